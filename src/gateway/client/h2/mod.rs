//! What a client does on an HTTP/2 connection, seen on the bytes below the crate that speaks the
//! protocol (contract: HTTP/2). `watched` looks at the bytes on their way, and `frames` and `tally`
//! count what a client does.

mod frames;
mod tally;
mod watched;
