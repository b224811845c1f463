//! The pure core: headers, bytes and a clock reading go in, a verdict comes out.

pub mod verdict;
