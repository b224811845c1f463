//! All that outlives a request. This file holds the values that live as long as the process, across
//! reloads: replay window, budget, counters, clock, connections.
//!
//! [`snapshot`] holds all that is built from a loaded configuration, [`learning`] a secret that
//! comes while a configuration is in force. Values that many requests share enter here, never the
//! state of a single request. The room may import `client`, `upstream` and `timer`.

pub(crate) mod acme;
pub(crate) mod backlog;
pub(crate) mod backlog_by_hand;
pub(super) mod backlog_room;
pub(crate) mod backlog_seen;
pub(crate) mod body_rooms;
pub(crate) mod ending;
mod fresh;
mod ignored;
pub(crate) mod journal;
pub(crate) mod learning;
mod paused;
pub(crate) mod proving;
pub(crate) mod queue_of_route;
pub(crate) mod reloads;
mod resigning;
pub(crate) mod snapshot;
pub(crate) mod supervisor;
pub(crate) mod warnings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::clock::{Clock, Now, UnixMillis};
use crate::config::{self, Sharing, WarningName};
use crate::gateway::client::answer;
use crate::gateway::client::answer::{Answer, Readiness};
use crate::gateway::client::budget::Budget;
use crate::gateway::client::connections::Connections;
use crate::gateway::client::origin::{ProxyHeaderNames, RequestIds};
use crate::gateway::client::turns::Turns;
use crate::gateway::client::{Client, Next};
use crate::gateway::upstream::Upstreams;
use crate::key::secret::SecretText;
use crate::replay::{ReplayWindow, Window};
use crate::store::StoreError;
use crate::telemetry::Telemetry;
use crate::verdict::{Code, Refusal};
use crate::verify::claim::FingerprintKey;
use backlog::Backlog;
use journal::WindowJournal;
use proving::ProvingThreads;
use snapshot::{RouteState, Snapshot};

/// The running gateway.
pub(crate) struct Running {
    /// The access log and the metrics.
    pub(crate) telemetry: Telemetry,
    /// The key of all fingerprints. It is the same for every snapshot, so that a reload forgets no
    /// claim.
    pub(crate) fingerprints: FingerprintKey,
    /// The connections to upstreams. A reload keeps those of the upstreams that stay.
    pub(crate) upstreams: Upstreams,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// The queue; `None` without `[state] dir`.
    pub(crate) backlog: Option<Arc<Backlog>>,
    pub(crate) window: Arc<Window>,
    /// The window on disk; `None` without `[state] dir`.
    pub(crate) journal: Option<Arc<WindowJournal>>,
    pub(crate) budget: Arc<Budget>,
    /// The turns of requests that hash large bodies.
    pub(crate) turns: Turns,
    /// The threads for verifications that would hold up a worker thread.
    pub(crate) proving: ProvingThreads,
    pub(crate) clock: Clock,
    /// The runtime's time at which the monotonic time of `clock` was 0, so that one reading serves
    /// for both.
    pub(crate) epoch: Instant,
    /// The wall-clock time from which on the replay window is complete, in milliseconds. Relaxed: it is
    /// changed before requests are taken.
    pub(crate) started: AtomicI64,
    /// The longest `upstream_timeout` of any snapshot since the start, in milliseconds. Relaxed: no other
    /// memory is read by way of it.
    pub(crate) longest_timeout: AtomicU64,
    pub(crate) request_ids: RequestIds,
    pub(crate) proxy_header_names: ProxyHeaderNames,
    /// Set at SIGTERM. `/readyz` answers 503 from then on. Relaxed: no other memory is read by way
    /// of it.
    pub(crate) stopping: AtomicBool,
    /// Set once this process ends, at SIGTERM or because another has taken over. Relaxed, too.
    pub(crate) leaving: AtomicBool,
    /// Whether the process from which this one took over has not ended yet.
    pub(crate) has_predecessor: AtomicBool,
    /// The connections of the traffic port.
    pub(crate) connections: Arc<Connections>,
    /// The order of reloads.
    pub(crate) reloads: reloads::Reloads,
    /// The challenges and the certificates of `[server.acme]`.
    pub(crate) acme: acme::Acme,
    /// The service manager, which is told of reloads and of the stop.
    pub(crate) supervisor: supervisor::Supervisor,
    /// The warnings that a stranger can provoke, limited in number.
    pub(crate) warnings: warnings::Warnings,
}

impl Running {
    /// The wall-clock time from which on the replay window is complete.
    pub(crate) fn started(&self) -> UnixMillis {
        UnixMillis(self.started.load(Ordering::Relaxed))
    }

    /// The replay window is complete only from `wall` on.
    pub(crate) fn begin_window(&self, wall: UnixMillis) {
        self.started.store(wall.0, Ordering::Relaxed);
    }

    /// The longest time for which any request of this process waits for its upstream.
    pub(crate) fn longest_timeout(&self) -> Duration {
        Duration::from_millis(self.longest_timeout.load(Ordering::Relaxed))
    }

    /// Remembers the times for which the requests of a snapshot wait, before it is in force.
    pub(crate) fn wait_as_long_as(&self, snapshot: &Snapshot) {
        let routes = snapshot.routes.iter();
        let longest = routes.map(|(_, route)| route.config.upstream_timeout).max();
        let millis = longest.unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.longest_timeout.fetch_max(millis, Ordering::Relaxed);
    }

    /// Whether this process ends, be it that another has taken over.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether new traffic is welcome, and the reason if it is not.
    pub(crate) fn readiness(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            Readiness::Stopping
        } else if self.stores_nothing() {
            Readiness::StoresNothing
        } else {
            Readiness::Ready
        }
    }

    /// Whether every route stores its deliveries, and the store cannot write.
    fn stores_nothing(&self) -> bool {
        let is_failing = self
            .backlog
            .as_ref()
            .is_some_and(|backlog| backlog.is_failing());
        let stores = |route: &RouteState| route.queue.as_ref().is_some_and(|own| own.accepts);
        is_failing
            && self
                .snapshot
                .load()
                .routes
                .iter()
                .all(|(_, route)| stores(route))
    }

    /// Takes the secret that a handshake of `route` brings, as [`learning::keep`] does. A key that
    /// another route has too is judged as the loader judges it: refused where a handshake would sign
    /// deliveries with it, else warned about.
    ///
    /// # Errors
    /// `bad_signature` if the route does not wait for a secret, `malformed_handshake` for a secret
    /// that no configuration could have on this route, and those of [`learning::keep`].
    pub(crate) async fn learn(
        &self,
        route: &RouteState,
        secret: SecretText,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(awaited) = route.secret_source.awaited() else {
            return Err(Code::BadSignature.into());
        };
        let secret = awaited.named(secret);
        let sharing = || {
            let snapshot = self.snapshot.load();
            let routes = snapshot.route_settings();
            let of_state = &snapshot.restart_settings.state.keys;
            config::judge_learned_beside(&route.config, &secret, routes, of_state).or_else(|| {
                let others = snapshot.secrets_beside(&route.name);
                config::judge_learned(&route.config, &secret, others)
            })
        };
        if let Some(Sharing::Signs(message)) = sharing() {
            self.warnings.learning(&route.name, &message, now);
            return Err(Refusal::because(
                Code::MalformedHandshake,
                "the secret of the handshake may not be used on this route; the gateway's log says why",
            ));
        }
        let in_force = || self.snapshot.load().awaited().cloned().collect();
        learning::keep(awaited, &secret, &route.name, &self.warnings, now, in_force).await?;
        // Once more, since a reload or another handshake may have brought the same key meanwhile.
        if let Some(Sharing::Signs(message) | Sharing::Repeats(message)) = sharing() {
            log::warn!("{message} [{}]", WarningName::SharedKey);
        }
        Ok(())
    }

    /// Writes an answer that belongs to no exchange: it is neither logged nor counted.
    pub(crate) async fn answer_unlogged<C: Client>(
        &self,
        client: &mut C,
        answer: &Answer,
        is_to_head: bool,
    ) -> Next {
        let wall = self.clock.now().wall;
        answer::write(
            client,
            answer,
            self.request_ids.next().as_str(),
            wall,
            is_to_head,
        )
        .await
        .unwrap_or(Next::Close)
    }

    /// The text of `/metrics`.
    pub(crate) fn render_metrics(&self) -> String {
        let metrics = &self.telemetry.metrics;
        metrics
            .buffered_bytes
            .set(i64::try_from(self.budget.held()).unwrap_or(i64::MAX));
        let open = self.connections.open();
        metrics
            .open_connections
            .set(i64::try_from(open).unwrap_or(i64::MAX));
        metrics.set_address_ages(self.upstreams.address_ages());
        metrics.set_replay(self.window.entries(), self.window.evictions());
        let limit = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.max_buffered.set(limit(self.budget.limit()));
        let snapshot = self.snapshot.load();
        metrics
            .replay_capacity
            .set(limit(snapshot.restart_settings.capacity as u64));
        metrics
            .max_connections
            .set(limit(self.connections.limit() as u64));
        let now = self.clock.now();
        let wall = now.wall;
        let mut healthy = Vec::new();
        for (_, route) in snapshot.routes.iter() {
            route.show_secrets(wall);
            let upstreams = route.upstreams.in_service().unwrap_or_default();
            healthy.extend(upstreams.into_iter().map(|(upstream, is_healthy)| {
                (
                    [route.name.as_ref(), upstream].map(str::to_owned),
                    is_healthy,
                )
            }));
        }
        metrics.set_healthy(healthy);
        let ends = snapshot.tls.iter().flat_map(|port| &port.ends).cloned();
        metrics.set_certificates(ends.chain(self.acme.managed.ends()));
        if let Some(backlog) = &self.backlog {
            let journal = self.journal.as_ref();
            let of_window = journal.map(|journal| journal.errors()).unwrap_or_default();
            backlog.show(&snapshot, now, of_window);
        }
        metrics.render()
    }

    /// Warns of evicted events that could still be replayed, as far as their number exceeds
    /// `reported`. Returns the number of all such events since the start.
    pub(crate) fn report_evictions(&self, reported: u64) -> u64 {
        let fresh = self.window.evictions().fresh;
        if fresh > reported {
            self.warnings.eviction(fresh - reported, self.clock.now());
        }
        fresh
    }

    /// Looks at what is kept on disk, and says what an operator must know of it. Does not wait.
    pub(crate) fn look_at_state(&self) {
        let now = self.clock.now();
        if let Some(journal) = &self.journal {
            journal.look(now, self.snapshot.load().refuses_unwritten);
        }
        if let Some(backlog) = &self.backlog {
            backlog.look(now);
        }
    }

    /// Writes what is missing in the window on disk. May wait.
    pub(crate) fn look_after_window(&self) {
        if let Some(journal) = &self.journal {
            journal.write_missed(&self.window, self.clock.now());
        }
    }

    /// Says whether another process stores deliveries too: during an upgrade.
    pub(crate) fn share_queue(&self, is_shared: bool) {
        if let Some(backlog) = &self.backlog {
            backlog.store.share(is_shared);
        }
    }

    /// Reads the queue once more, after the process before this one has ended. Until that has succeeded
    /// nothing may be delivered: what is known here was read before that process wrote last. May wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read_queue_again(&self, backlog: &Backlog) -> Result<(), StoreError> {
        let now = self.clock.now();
        backlog.read_store(now, |queue| {
            queue.set_routes(self.snapshot.load().queue_settings(), now);
        })
    }

    /// The moment in the runtime's time at which the monotonic clock shows `mono`.
    pub(crate) fn instant(&self, mono: Duration) -> Instant {
        self.epoch + mono
    }
}
