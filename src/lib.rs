//! verigate: a webhook verification gateway.
//!
//! The crate is built in floors; imports go downwards only (`tests/architecture.rs` holds them to it):
//!
//! 1. [`wire`] and [`verify`]: HTTP/1 as bytes, and the judgement on a delivery. Pure: no socket, file, runtime or log.
//! 2. [`config`] and [`replay`]: what the operator wrote; the stores of claims.
//! 3. [`telemetry`] and [`gateway`]: the only floor that knows Pingora.
//! 4. [`cli`]: the command line.

pub mod wire;

pub mod verify;

pub mod config;
pub mod replay;

pub mod telemetry;

pub mod gateway;

pub mod cli;
