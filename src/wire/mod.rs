//! HTTP/1 as bytes: request heads, response heads and chunked bodies, judged strictly (contract:
//! Head, Relaying).
//!
//! A request's head is found by [`head::HeadScanner`] and taken apart by [`head::Head::parse`];
//! [`response`] does the same for the upstream's answers; [`chunked`] decodes the bodies of both
//! directions; [`rules`] holds the grammar and one table of every reason to refuse,
//! [`rules::Reason`].
//!
//! Entered by: rules of HTTP/1 that hold for bytes alone. No socket, runtime, file or log line is
//! touched here. May import: [`crate::verdict`].

pub mod chunked;
pub mod head;
pub mod response;
pub mod rules;
#[cfg(test)]
pub(crate) mod tests;
