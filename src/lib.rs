//! verigate: a webhook verification gateway.
//!
//! The crate is a ladder of rooms, listed here from the bottom up. A room imports only rooms before
//! it; `tests/architecture.rs` checks this. All rooms before [`config`] are pure: bytes, headers
//! and a reading of the clock go in, a verdict comes out, and no socket, file, runtime or log is
//! touched.

pub mod verdict;

pub mod clock;

pub mod tls;

pub mod acme;

pub mod wire;

pub mod notation;

pub mod key;

pub mod scheme;

pub mod providers;

pub mod verify;

pub mod queue;

pub mod routes;

pub mod sign;

pub mod explain;

pub mod config;

pub mod replay;

pub mod store;

pub mod telemetry;

pub mod gateway;

pub mod cli;
