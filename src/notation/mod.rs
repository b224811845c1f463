//! The notations in which values are written: hex and base64, decimals, percent escapes, forms, JSON,
//! timestamps, words of a shell.
//!
//! Entered by: the reading and writing of a format, with one strict spelling for each value that is
//! signed. The meaning of a value in a scheme does not belong here. May import: the rooms below it,
//! [`crate::wire`], [`crate::clock`] and [`crate::verdict`].

pub mod decimal;
pub mod encoding;
pub mod form;
pub mod json;
pub mod packed;
pub mod percent;
pub(crate) mod query;
pub mod shell;
pub mod timestamp;
