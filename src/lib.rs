//! verigate: a webhook verification gateway.

pub mod wire;

pub mod verify;

pub mod config;
pub mod replay;

pub mod telemetry;

pub mod gateway;
