//! What the certificates that the gateway orders have in common with its connections: the open
//! challenges, and the certificates held now. Both outlive every snapshot.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::acme::challenges::Challenges;
use crate::tls::Managed;

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Acme {
    /// The challenges that connections answer.
    pub(crate) challenges: Arc<Challenges>,
    /// The certificates that handshakes are given.
    pub(crate) managed: Managed,
    /// Told when another configuration is in force.
    pub(crate) changed: Notify,
}
