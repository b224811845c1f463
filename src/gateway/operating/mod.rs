//! What an operator does with a running gateway: listen, reload, stop, and look at it through the admin port.
//!
//! Nothing here takes part in an exchange. The room may import every other room but `exchange`, and only the start
//! (`gateway/mod.rs`) imports it.

pub(crate) mod admin;
pub(crate) mod listen;
mod reload;
pub(crate) mod stop;
