//! The snapshot: all that is built from a loaded configuration, which is routes with their
//! verifiers, upstreams and metric handles.
//!
//! A request takes the snapshot in force once and holds it to its end; a reload swaps in another.
//! Replay window, budget and counters are kept outside of it (see [`super`]).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use once_cell::sync::OnceCell;

use super::backlog::Backlog;
use super::ignored::IgnoredTypes;
use super::learning::{Awaited, SecretSource};
use super::queue_of_route::{self, QueueOfRoute};
use super::resigning::Resigning;
use crate::clock::{Now, UnixMillis};
use crate::config;
use crate::config::{Config, HandshakeMode, Mode, OnError, Route};
use crate::gateway::client::answer::RouteAnswers;
use crate::gateway::upstream::{Group, Upstreams};
use crate::key::secret::Secret;
use crate::queue::{RouteNumber, Settings};
use crate::routes::{Match, PathPattern, RouteTable};
use crate::scheme::Handshake;
use crate::store::StoreError;
use crate::telemetry::RouteNames;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::route_metrics::RouteMetrics;
use crate::tls;
use crate::tls::PortError;
use crate::verdict::{Code, Refusal};
use crate::verify::accounts::Accounts;
use crate::verify::claim::{Beside, FingerprintKey, Policy, RouteFingerprints, RouteIdentities};
use crate::verify::envelope::{Envelope, Event};
use crate::verify::handshake::Learning;
use crate::verify::verifier::{KeyError, Verification, Verifier};
use crate::wire::head::{FieldName, Head};

/// A loaded configuration, ready to serve requests.
pub(crate) struct Snapshot {
    pub(crate) routes: RouteTable<Arc<RouteState>>,
    /// The routes by their numbers in the store, where there is one.
    queued: HashMap<RouteNumber, Arc<RouteState>>,
    /// The metrics of requests that matched no route.
    pub(crate) unrouted: RouteMetrics,
    pub(crate) body_timeout: Duration,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) health_path: Option<String>,
    /// The pause between two looks at the files; `None` if they are not watched.
    pub(crate) watch: Option<Duration>,
    /// Whether timestamps from before the gateway's start are refused (contract: The window).
    pub(crate) refuse_older_than_start: bool,
    /// Whether nothing is claimed on relay routes while the window on disk cannot be written.
    pub(crate) refuses_unwritten: bool,
    pub(crate) connection: crate::gateway::client::port::ConnectionLimits,
    /// The TLS ports, in the order of the file.
    pub(crate) tls: Vec<TlsPort>,
    /// The certificates that the gateway orders by itself.
    pub(crate) acme: Option<Arc<config::acme::Acme>>,
    /// The time for which a gateway that stops is not ready and still takes connections.
    pub(crate) shutdown_delay: Duration,
    /// The time that requests in flight have to finish once the gateway takes no connection any more.
    pub(crate) shutdown_grace: Duration,
    /// The settings of the admin port: its token and its further host names.
    pub(crate) admin: config::Admin,
    /// The settings that a reload cannot change, to be compared with the next configuration.
    pub(crate) restart_settings: RestartSettings,
}

/// A TLS port, ready for handshakes.
pub(crate) struct TlsPort {
    pub(crate) port: tls::Port,
    /// The certificates' first names and ends, for the metrics.
    pub(crate) ends: Vec<(String, UnixMillis)>,
}

impl TlsPort {
    fn build(settings: &config::tls::Tls, mut share: tls::Share) -> Result<Self, PortError> {
        let authorities = settings.client_ca.as_ref();
        let mut identities = settings.identities();
        share.default.clone_from(&settings.managed_default);
        identities.set_managed(share);
        let ends = settings.certificates.iter().map(|certificate| {
            let first = certificate.names.first().unwrap_or(&certificate.file);
            (first.clone(), certificate.identity.not_after)
        });
        Ok(Self {
            ends: ends.collect(),
            port: tls::Port::new(identities, authorities, settings.min_version, &PROTOCOLS)?,
        })
    }
}

/// The protocols that a client may choose by ALPN, the preferred one first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// The reason why a checked configuration cannot run: a fault of the gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// A secret is no key of its scheme.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A route stores what it takes, and the gateway has no store.
    #[error(
        "route `{0}` has `mode = \"queue\"`, and the gateway was started without `[state] dir`"
    )]
    NoQueue(String),
    /// The store gives a route no number.
    #[error("route `{0}`: {1}")]
    Store(String, StoreError),
    /// A TLS port has no settings.
    #[error("`[[server.tls]]`: {0}")]
    Tls(#[from] PortError),
}

/// The settings that a reload cannot change (contract: Reload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestartSettings {
    pub(crate) listen: Vec<std::net::SocketAddr>,
    pub(crate) tls_listen: Vec<Vec<std::net::SocketAddr>>,
    pub(crate) threads: usize,
    pub(crate) admin_listen: std::net::SocketAddr,
    pub(crate) capacity: usize,
    pub(crate) upgrade_socket: Option<PathBuf>,
    pub(crate) state: config::State,
}

/// A route, ready to serve requests.
pub(crate) struct RouteState {
    pub(crate) config: Route,
    pub(crate) name: Arc<str>,
    pub(crate) provider: Arc<str>,
    /// The names of the route in the access log.
    pub(crate) names: RouteNames,
    /// The verifier with the secrets that the loader found. It has no secret while the route waits
    /// for its first.
    verifier: Verifier,
    /// The source of the secret. A secret that a handshake brings may not have come yet.
    pub(crate) secret_source: SecretSource,
    /// The handshake that is looked for in requests; `None` if the scheme has no handshake or the
    /// route sets it to `off`.
    pub(crate) handshake: Option<&'static dyn Handshake>,
    /// The accounts that are taken; `None` where the route lists none.
    pub(crate) accounts: Option<Accounts>,
    pub(crate) envelope: Envelope,
    pub(crate) policy: Policy,
    pub(crate) answers: RouteAnswers,
    pub(crate) upstreams: Arc<Group>,
    /// The value of `Host` for a request without it.
    pub(crate) authority: String,
    /// The path of what is forwarded, where it is another than that of the request.
    pub(crate) new_path: Option<NewPath>,
    /// The keys by which what is valid is signed anew; `None` where nothing is.
    pub(crate) resigning: Option<Box<Resigning>>,
    pub(crate) metrics: RouteMetrics,
    /// The beginnings of the digests by which the replay window knows the route's events.
    pub(crate) fingerprints: RouteFingerprints,
    /// The beginnings of the events' identities, with that which the scheme keeps beside an entry of
    /// the replay window.
    pub(crate) identities: RouteIdentities,
    /// How often that may be kept beside an entry.
    pub(crate) variants: u16,
    /// The route's fair share of the replay window, in entries.
    pub(crate) share: usize,
    /// The types of events that were ignored so far.
    pub(crate) ignored: IgnoredTypes,
    /// The headers that the gateway would set or drop, but that the scheme signs in every request.
    /// The first request finds them.
    pub(crate) sender_headers: OnceCell<Vec<&'static FieldName>>,
    /// The lines of a forwarded head that are the same in every head. The first request makes them.
    pub(crate) own_lines: OnceCell<Vec<u8>>,
    /// The route's part in the queue; `None` without a store.
    pub(crate) queue: Option<QueueOfRoute>,
}

/// The path under which the app has what a route takes (contract: Forwarding).
pub(crate) struct NewPath {
    /// The text in place of the bytes of the path that a route has matched.
    pub(crate) text: String,
}

impl NewPath {
    fn of(route: &Route) -> Option<Self> {
        let text = route.upstream_path.clone()?;
        Some(Self { text })
    }
}

impl RouteState {
    /// How many bytes of a path the route matches: the length of its path, or of its prefix with the
    /// slash.
    pub(crate) fn matched(&self) -> usize {
        let (PathPattern::Exact(matched) | PathPattern::Prefix(matched)) =
            &self.config.pattern.path;
        matched.len()
    }
}

/// The part of a route in the queue, where there is a store.
fn queue_of(route: &Route, backlog: Option<&Backlog>) -> Result<Option<QueueOfRoute>, BuildError> {
    let Some(backlog) = backlog else {
        return match route.mode {
            Mode::Queue => Err(BuildError::NoQueue(route.name.clone())),
            Mode::Relay => Ok(None),
        };
    };
    let number = backlog.route_number(&route.name, &route.scheme.provider);
    match number {
        Ok(number) => Ok(Some(QueueOfRoute::of(route, number))),
        Err(error) => Err(BuildError::Store(route.name.clone(), error)),
    }
}

/// The variants beside an entry, where the configuration does not list them.
const FEW: u16 = 4;

impl Snapshot {
    /// Builds the snapshot of a checked configuration.
    ///
    /// # Errors
    /// [`BuildError`]. The loader has tried secrets and certificates, so this is a fault of the
    /// gateway.
    pub(crate) fn build(
        config: Config,
        metrics: &Metrics,
        upstreams: &Upstreams,
        fingerprints: &FingerprintKey,
        managed: &tls::Managed,
        backlog: Option<&Backlog>,
    ) -> Result<Self, BuildError> {
        let mut routes = Vec::with_capacity(config.routes.len());
        let mut queued = HashMap::new();
        let share = config.replay.capacity / config.routes.len().max(1);
        for route in config.routes {
            let queue = queue_of(&route, backlog)?;
            let state = RouteState::build(route, metrics, upstreams, fingerprints, share, queue)?;
            let state = Arc::new(state);
            if let Some(queue) = &state.queue {
                queued.insert(queue.number, Arc::clone(&state));
            }
            routes.push((state.config.pattern.clone(), state));
        }
        let server = config.server;
        let names = server.acme.iter().flat_map(|acme| &acme.names).cloned();
        let share = tls::Share {
            names: names.collect(),
            default: None,
            managed: managed.clone(),
        };
        let tls = server.tls.iter();
        let tls = tls.map(|port| TlsPort::build(port, share.clone()));
        Ok(Self {
            tls: tls.collect::<Result<_, _>>()?,
            routes: RouteTable::new(routes),
            queued,
            unrouted: metrics.no_route(),
            body_timeout: server.body_timeout,
            trusted_proxies: server.trusted_proxies,
            health_path: server.health_path,
            watch: server.watch,
            refuse_older_than_start: config.replay.refuse_older_than_start,
            refuses_unwritten: config.replay.on_error == OnError::Refuse,
            connection: crate::gateway::client::port::ConnectionLimits {
                head: crate::wire::head::Limits {
                    max_head: server.max_head,
                    max_headers: server.max_headers,
                },
                head_timeout: server.head_timeout,
                idle_timeout: server.idle_timeout,
                write_timeout: server.write_timeout,
            },
            acme: server.acme.map(Arc::new),
            shutdown_delay: server.shutdown_delay,
            shutdown_grace: server.shutdown_grace,
            restart_settings: RestartSettings {
                listen: server.listen,
                tls_listen: server.tls.into_iter().map(|port| port.listen).collect(),
                threads: server.threads,
                admin_listen: config.admin.listen,
                capacity: config.replay.capacity,
                upgrade_socket: server.upgrade_socket,
                state: config.state,
            },
            admin: config.admin,
        })
    }

    /// The route of a request, by host and path.
    ///
    /// # Errors
    /// `no_route`; `bad_path` for a path that other programs could read differently.
    pub(crate) fn find_route(&self, head: &Head) -> Result<&RouteState, Refusal> {
        match self.routes.find(head.host(), head.path()) {
            Match::Found(route) => Ok(route),
            Match::NoRoute => Err(Code::NoRoute.into()),
            Match::Ambiguous(why) => Err(Refusal::because(Code::BadPath, why)),
        }
    }

    /// The route with this number in the store.
    pub(crate) fn queued_route(&self, number: RouteNumber) -> Option<&RouteState> {
        self.queued.get(&number).map(|route| &**route)
    }

    /// Every route that has a number in the store.
    pub(crate) fn queued_routes(&self) -> impl Iterator<Item = (RouteNumber, &Route)> {
        let routes = self.queued.iter();
        routes.map(|(number, route)| (*number, &route.config))
    }

    /// Every route that has a number in the store, with its settings for the schedule.
    pub(crate) fn queue_settings(&self) -> impl Iterator<Item = (RouteNumber, Settings)> {
        let routes = self.queued_routes();
        routes.map(|(number, route)| (number, queue_of_route::settings(route)))
    }

    /// The secrets that the routes of this snapshot wait for, or have got since it was built.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = &Arc<Awaited>> {
        self.routes
            .iter()
            .filter_map(|(_, route)| route.secret_source.awaited())
    }

    /// Gives the routes that wait for a secret what the routes of `before` have learned, as far as
    /// those were `waiting` for it when this snapshot began to be made.
    pub(crate) fn take_over_learned(&self, before: &Self, waiting: &[Arc<Awaited>]) {
        for own in self.awaited() {
            if waiting.iter().any(|other| other.is_for(own)) {
                before.awaited().for_each(|other| own.take_over(other));
            }
        }
    }

    /// The settings of every route.
    pub(super) fn route_settings(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|(_, route)| &route.config)
    }

    /// The secrets of every route that is not called `name`, those of handshakes too.
    pub(super) fn secrets_beside(&self, name: &str) -> impl Iterator<Item = (&Route, &Secret)> {
        let others = self.routes.iter().map(|(_, route)| route);
        let others = others.filter(move |route| route.name.as_ref() != name);
        others.flat_map(|route| {
            let learned = route.secret_source.awaited();
            let learned = learned.and_then(|awaited| awaited.secret());
            let secrets = route.config.secrets.iter().chain(learned);
            secrets.map(|secret| (&route.config, secret))
        })
    }
}

impl RouteState {
    fn build(
        route: Route,
        metrics: &Metrics,
        upstreams: &Upstreams,
        fingerprints: &FingerprintKey,
        share: usize,
        queue: Option<QueueOfRoute>,
    ) -> Result<Self, KeyError> {
        let scheme = &route.scheme;
        let verifier = Verifier::new(Arc::clone(scheme), route.secrets.clone(), route.settings())?;
        let secret_source = SecretSource::of(&route, &verifier);
        let learned_name = secret_source.awaited().map(|awaited| awaited.name());
        let secret_names = route
            .secrets
            .iter()
            .map(|secret| secret.name.as_str())
            .chain(learned_name.as_deref());
        let upstreams = upstreams.group(&route.upstreams);
        let labels = upstreams.members().iter().map(|member| &*member.label);
        let handshake = scheme
            .handshake
            .filter(|_| route.handshake.mode != HandshakeMode::Off);
        Ok(Self {
            name: route.name.as_str().into(),
            provider: scheme.provider.as_str().into(),
            names: RouteNames::new(&route.name, &scheme.provider, labels),
            verifier,
            secret_source,
            handshake,
            accounts: route
                .accounts
                .listed()
                .map(|listed| Accounts::of(scheme, listed.to_vec())),
            envelope: Envelope::of(scheme),
            policy: Policy::of(scheme, route.replay.statuses.on_conflict.is_some()),
            answers: RouteAnswers {
                statuses: route.replay.statuses,
                on_unlisted: route.on_unlisted,
                on_ignored: route.on_ignored,
                allow: route.methods.join(", "),
                ack: scheme.ack.clone(),
                silent_401: handshake.is_some_and(Handshake::refuses_without_words),
            },
            authority: upstreams.authority(),
            upstreams,
            new_path: NewPath::of(&route),
            resigning: Resigning::of(&route),
            metrics: metrics.route(&route.name, secret_names),
            fingerprints: fingerprints.of_route(&route.name),
            identities: RouteIdentities::new(&route.name, Beside::of(scheme)),
            variants: variants(&route),
            share,
            ignored: IgnoredTypes::default(),
            sender_headers: OnceCell::new(),
            own_lines: OnceCell::new(),
            queue,
            config: route,
        })
    }

    /// Shows in the metrics which secrets are active at `wall`, and when each ends.
    pub(super) fn show_secrets(&self, wall: UnixMillis) {
        let secrets = &self.config.secrets;
        let active = secrets.iter().filter(|secret| secret.is_active(wall));
        let learned = self.secret_source.awaited();
        let learned = learned.is_some_and(|awaited| awaited.verifier().is_some());
        let ends = secrets
            .iter()
            .map(|secret| (secret.name.as_str(), secret.not_after));
        self.metrics
            .set_secrets(active.count() + usize::from(learned), ends);
    }

    /// The verifier of deliveries now: with the secret of a handshake, if it has come.
    pub(crate) fn verifier(&self) -> &Verifier {
        self.secret_source
            .awaited()
            .and_then(|awaited| awaited.verifier())
            .unwrap_or(&self.verifier)
    }

    /// Judges the head of a delivery (contract: Before the body).
    ///
    /// # Errors
    /// As [`Verifier::begin`]; `secret_not_learned` for a head that could be a delivery's, while
    /// the route waits for its secret.
    pub(crate) fn begin(&self, head: &Head, now: Now) -> Result<Box<Verification>, Refusal> {
        // Read before the head is judged, so that a secret which comes in between counts from the
        // next delivery on.
        let learning = self.secret_source.learning();
        match self.verifier().begin(head, now) {
            Ok(_) if learning == Learning::Open => Err(Code::SecretNotLearned.into()),
            judged => judged,
        }
    }

    /// Judges the type of an event by the route's `event_types` (contract: Envelope). The first
    /// event of each ignored type is logged.
    ///
    /// # Errors
    /// `event_type_ignored` for an event of another type, `invalid_envelope` for one of no type.
    pub(crate) fn accept(&self, event: &Event) -> Result<(), Refusal> {
        let Some(types) = &self.config.event_types else {
            return Ok(());
        };
        match &event.event_type {
            None => Err(Refusal::because(
                Code::InvalidEnvelope,
                "the event type is missing, and this route takes certain types",
            )),
            Some(own) if types.iter().any(|taken| **taken == **own) => Ok(()),
            Some(other) => {
                self.ignored.note(&self.name, other);
                Err(Code::EventTypeIgnored.into())
            }
        }
    }
}

/// The most variants that an entry of this route may have (contract: Beside an entry).
fn variants(route: &Route) -> u16 {
    let beside = Beside::of(&route.scheme);
    let listed = route.event_types.as_ref().map(Vec::len);
    let listed = listed.map_or(FEW, |types| u16::try_from(types).unwrap_or(u16::MAX));
    match beside {
        Beside { body: true, .. } => FEW,
        Beside {
            event_type: true, ..
        } if route.scheme.types_share_bodies => listed,
        _ => 1,
    }
}
