//! The operator's side of a running gateway: listen, reload, stop, and the admin port.
//!
//! Nothing here takes part in an exchange. The room may import every other room of the gateway
//! except `exchange`, and only the start (`gateway/mod.rs`) imports it.

pub(crate) mod admin;
pub(crate) mod listen;
mod reload;
pub(crate) mod stop;

pub(crate) use reload::show_warnings;
