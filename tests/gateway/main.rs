//! The gateway from outside: the real binary over real sockets, one module per capability (SPEC 2 to 8).

#[path = "../support/mod.rs"]
mod support;

mod acks;
mod admin;
mod answers;
mod blocked;
mod bodies;
mod claims;
mod expect;
mod floods;
mod framing;
mod handshakes;
mod headers;
mod keepalive;
mod learning;
mod limits;
mod logs;
mod metrics;
mod paths;
mod relay;
mod reload;
mod replay;
mod secrets;
mod shadow;
mod shutdown;
mod spellings;
