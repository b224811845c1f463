//! TLS as data: the certificates of a port, which of them a server name gets, and the settings of a
//! handshake (contract: The edge).
//!
//! Entered by: PEM that was read from files, and server names that clients ask for. May import:
//! `clock`. The room touches no socket and no file.

mod identity;
mod managed;
mod outbound;
mod port;
mod words;

#[cfg(test)]
pub(crate) mod tests;

pub use identity::{Authorities, Fault, Identity, Part};
pub use managed::{Managed, Share};
pub use outbound::{Outbound, Trust};
pub use port::{Clients, Identities, Port, PortError, Version};
pub use rustls::pki_types::ServerName;
pub use words::{Peer, ended_by, words};
