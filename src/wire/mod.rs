//! HTTP/1 as bytes: what a head, a chunked body and an answer's head are, judged strictly (SPEC 2.1).
//!
//! Nothing here knows a socket, a runtime, a file or a log line. Bytes go in; parts or a reason come out. A request is
//! found by [`head::HeadScanner`] and taken apart by [`head::Head::parse`]; [`chunked`] decodes the bodies of both
//! directions; [`response`] is the upstream's side; every rule's reason stands in one table, [`rules::Reason`].

pub mod chunked;
pub mod head;
pub mod response;
pub mod rules;
#[cfg(test)]
pub(crate) mod tests;
