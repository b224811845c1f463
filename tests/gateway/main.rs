//! The gateway from outside: the real binary over real sockets, one module per capability (SPEC 2 to 8).

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod answers;
mod blocked;
mod bodies;
mod claims;
mod expect;
mod framing;
mod headers;
mod keepalive;
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
