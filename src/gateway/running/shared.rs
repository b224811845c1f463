//! What snapshots are built with and what outlives them: counters, keys, upstreams.

use std::sync::Arc;

use pingora::connectors::TransportConnector;

use crate::gateway::upstream::Upstreams;
use crate::telemetry::Telemetry;
use crate::verify::claim::FingerprintKey;

/// What a snapshot is built with, and outlives it.
pub(crate) struct Shared {
    pub(crate) telemetry: Telemetry,
    pub(crate) fingerprints: FingerprintKey,
    pub(crate) upstreams: Upstreams,
    pub(crate) connector: Arc<TransportConnector>,
}
