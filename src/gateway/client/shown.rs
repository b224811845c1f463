//! The certificate that a client showed at a TLS port, judged again after a reload (contract: The edge).
//!
//! A connection may stay open for as long as its client asks. So it is not enough that the handshake
//! judged the certificate: each request is served by the authorities that are in force for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::clock::UnixMillis;
use crate::tls::Clients;

/// The certificate of a connection, or the fact that it has none.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The place of the TLS port in the file.
    pub(crate) port: usize,
    chain: Vec<CertificateDer<'static>>,
    /// The authorities that last accepted it. Kept, so that no others can have their address.
    judged_by: ArcSwap<Clients>,
    // Relaxed: no other memory is read by way of it.
    is_refused: AtomicBool,
}

impl Shown {
    /// The chain that was accepted in a handshake by the authorities of the TLS port at this place.
    pub(crate) fn new(
        port: usize,
        chain: Vec<CertificateDer<'static>>,
        judged_by: Arc<Clients>,
    ) -> Self {
        Self {
            port,
            chain,
            judged_by: ArcSwap::new(judged_by),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Whether the authorities in force accept it. They are asked once for each reload.
    pub(crate) fn counts(&self, clients: &Arc<Clients>, wall: impl FnOnce() -> UnixMillis) -> bool {
        if Arc::ptr_eq(&self.judged_by.load(), clients) {
            return true;
        }
        let counts = clients.accept(&self.chain, wall());
        if counts {
            self.judged_by.store(Arc::clone(clients));
        } else {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        counts
    }

    /// Whether it was refused, so that the connection is to end.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}
