//! The operator's side of a running gateway: listen, reload, stop, and the admin port.
//!
//! Nothing here takes part in an exchange. The room may import every other room of the gateway
//! except `exchange`, and only the start (`gateway/mod.rs`) imports it.

pub(crate) mod acme;
pub(crate) mod admin;
pub(crate) mod descriptors;
pub(crate) mod early;
pub(crate) mod inherited;
pub(crate) mod listen;
mod reload;
pub(crate) mod state_dir;
pub(crate) mod stop;
#[expect(dead_code, reason = "the two sides of an upgrade are yet to come")]
pub(crate) mod upgrade;
mod watching;
mod wrong_tokens;

pub(crate) use reload::Notes;

/// The address of whoever uses the admin port, for the log.
fn shown_peer(peer: Option<std::net::IpAddr>) -> String {
    peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string())
}
