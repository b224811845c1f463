//! What one loaded configuration builds: routes with their verifiers, upstreams and metric handles.
//!
//! A request takes the running snapshot once and holds it to its end; a reload swaps in another. Replay window, budget
//! and counters live outside (see [`super::gate`]).

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::shared::Shared;
use super::upstream::Upstream;
use crate::config::{self, Config, Route};
use crate::telemetry::route_metrics::RouteMetrics;
use crate::verify::claim::{Fingerprint, IdTrust, Policy};
use crate::verify::envelope::Envelope;
use crate::verify::routes::RouteTable;
use crate::verify::scheme::{Settings, Stamped};
use crate::verify::verifier::{KeyFault, Verifier};

/// One loaded configuration at work.
pub(super) struct Snapshot {
    pub(super) routes: RouteTable<Arc<RouteState>>,
    /// Counts what matched no route.
    pub(super) unrouted: RouteMetrics,
    pub(super) body_timeout: Duration,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) health_path: Option<String>,
    /// Timestamps before the start are refused (SPEC 4).
    pub(super) refuse_older_than_start: bool,
    pub(super) connection: super::h1::Settings,
    pub(super) max_connections: usize,
    /// How long what is in flight may take once the gateway stops.
    pub(super) shutdown_grace: Duration,
    /// Who may do what on the admin port.
    pub(super) admin: config::Admin,
    /// The file's own text of what cannot change live, compared at a reload.
    pub(super) fixed: Fixed,
}

/// What a reload cannot change (SPEC 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) listen: Vec<std::net::SocketAddr>,
    pub(super) threads: usize,
    pub(super) admin_listen: std::net::SocketAddr,
    pub(super) capacity: usize,
}

/// One route at work.
pub(super) struct RouteState {
    pub(super) config: Route,
    pub(super) name: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) verifier: Verifier,
    pub(super) envelope: Envelope,
    pub(super) policy: Policy,
    /// `Allow`, for 405.
    pub(super) allow: String,
    pub(super) upstream: Arc<Upstream>,
    pub(super) metrics: RouteMetrics,
    pub(super) fingerprint: Fingerprint,
}

impl Snapshot {
    /// Builds everything a checked file asks for.
    ///
    /// # Errors
    /// A secret that is no key for its scheme (the loader has tried them, so this is a fault of ours).
    pub(super) fn build(config: Config, shared: &Shared) -> Result<Self, KeyFault> {
        let mut routes = Vec::with_capacity(config.routes.len());
        for route in config.routes {
            let state = RouteState::build(route, shared)?;
            routes.push((state.config.pattern.clone(), Arc::new(state)));
        }
        let server = config.server;
        Ok(Self {
            routes: RouteTable::new(routes),
            unrouted: shared.telemetry.metrics.no_route(),
            body_timeout: server.body_timeout,
            trusted_proxies: server.trusted_proxies,
            health_path: server.health_path,
            refuse_older_than_start: config.replay.refuse_older_than_start,
            connection: super::h1::Settings {
                head: crate::wire::head::Limits { max_head: server.max_head, max_headers: server.max_headers },
                head_timeout: server.head_timeout,
                idle_timeout: server.idle_timeout,
                write_timeout: server.write_timeout,
            },
            max_connections: server.max_connections,
            shutdown_grace: server.shutdown_grace,
            fixed: Fixed {
                listen: server.listen,
                threads: server.threads,
                admin_listen: config.admin.listen,
                capacity: config.replay.capacity,
            },
            admin: config.admin,
        })
    }
}

impl RouteState {
    fn build(route: Route, shared: &Shared) -> Result<Self, KeyFault> {
        let scheme = &route.scheme;
        let settings = Settings {
            tolerance: route.tolerance,
            future_tolerance: route.future_tolerance,
            public_url: route.public_url.clone(),
        };
        let id_trust = match (scheme.id_is_signed(), scheme.preset) {
            (false, _) => IdTrust::Unsigned,
            (true, true) => IdTrust::SignedPresetPlace,
            (true, false) => IdTrust::SignedOperatorPlace,
        };
        let stamped_by_event = scheme.timestamp.as_ref().is_some_and(|place| place.stamped == Stamped::Event);
        Ok(Self {
            name: route.name.as_str().into(),
            provider: scheme.provider.as_str().into(),
            verifier: Verifier::new(Arc::clone(scheme), route.secrets.clone(), settings)?,
            envelope: Envelope::of(scheme),
            policy: Policy { id_trust, stamped_by_event },
            allow: route.methods.join(", "),
            upstream: shared.upstreams.get(&route.upstream, &shared.connector),
            metrics: shared.telemetry.metrics.route(&route.name, route.secrets.iter().map(|s| s.name.as_str())),
            fingerprint: shared.fingerprints.route(&route.name),
            config: route,
        })
    }
}
