//! What the benches over real sockets share: signed events, an upstream, a load generator, and the
//! cost of a process.
//!
//! Shared by `#[path]`. Knows the contract and nothing of the product's code, as the tests' support
//! does: the signatures are made from the schemes' definitions by the crypto crates alone.

#![allow(dead_code, reason = "each bench uses a part of it")]
#![expect(
    clippy::print_stderr,
    reason = "an upstream that fails says why, and the deliveries that it does not answer end the run"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "measures real time, and signs for a gateway that judges real time"
)]

pub(crate) mod events;
pub(crate) mod fields;
pub(crate) mod gateway;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod ticks;
pub(crate) mod upstream;
pub(crate) mod wire;
