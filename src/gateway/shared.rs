//! What snapshots are built with and what outlives them: counters, keys, upstreams.

use std::sync::Arc;

use pingora::connectors::TransportConnector;

use super::upstream::Upstreams;
use crate::telemetry::Telemetry;
use crate::verify::claim::FingerprintKey;

/// What a snapshot is built with, and outlives it.
pub(super) struct Shared {
    pub(super) telemetry: Telemetry,
    pub(super) fingerprints: FingerprintKey,
    pub(super) upstreams: Upstreams,
    pub(super) connector: Arc<TransportConnector>,
}
