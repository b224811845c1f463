//! What an operator does with a running gateway: listen, reload, stop, and look at it through the admin port.

pub(crate) mod admin;
pub(crate) mod listen;
mod reload;
pub(crate) mod stop;
