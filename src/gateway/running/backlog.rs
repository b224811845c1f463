//! The queue of the process: what waits in it, where it is stored, and who is told when something is
//! due (contract: Queue).
//!
//! [`crate::queue`] decides what is tried when, [`crate::store`] keeps it; this file holds both
//! together and outlives reloads.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::body_rooms::{BodyRoom, BodyRooms};
use super::fresh::{self, Fresh};
use super::paused::pause_as_stored;
use super::queue_of_route::settings;
use crate::clock::{Clock, Now, UnixMillis};
use crate::config;
use crate::queue::{
    Attempt, AttemptEnd, Change, Delivery, DeliveryId, Ended, Expired, Lease, Limits, Next, Number,
    Outcome, Progress, Queue, RouteNumber, State,
};
use crate::replay::passing;
use crate::replay::{Claim, Settlement};
use crate::store::sqlite::{MetaKey, QueueDb};
use crate::store::{Accepted, Content, QueueStore as _, StoreError};
use crate::telemetry::queue_metrics::QueueMetrics;
use crate::telemetry::rate_limit::RateLimits;
use crate::verdict::{Code, Refusal};
use crate::verify::claim::Mark;

/// The time after which it is said again that a queue is full.
const FULL_AGAIN: Duration = Duration::from_secs(60);

/// The queue of a gateway that has `[state] dir`.
pub(crate) struct Backlog {
    pub(super) store: Arc<QueueDb>,
    pub(super) metrics: QueueMetrics,
    // A plain lock: it is held for a decision and until the store was asked to write that, so that what
    // was decided last is written last. It is never held across a wait.
    queue: Mutex<Queue>,
    /// Held while a pause or its end is written and takes effect, so that the disk has what memory has.
    /// Only threads that may wait take it.
    pub(super) pauses: Mutex<()>,
    /// What has happened since the reading of the store began that is under way.
    joined: Mutex<Option<Meanwhile>>,
    pub(super) limits: Limits,
    /// The names of the routes by their numbers, those that are gone included.
    pub(super) names: Mutex<BTreeMap<RouteNumber, Arc<str>>>,
    /// Who was told when that a route has an old delivery.
    pub(super) overdue: Mutex<BTreeMap<RouteNumber, Duration>>,
    /// Limits what is said of a full queue.
    pub(super) full: RateLimits,
    /// Told when something may be due earlier than the workers know.
    pub(crate) wake: Notify,
    /// The longest wait for the store.
    pub(super) timeout: Duration,
    /// The room for bodies that are read for an attempt.
    rooms: Arc<BodyRooms>,
    /// The contents that need not be read.
    fresh: Fresh,
    /// The bytes of the file system that stay free by the configuration.
    pub(super) keep_free: u64,
    /// What the file system had for deliveries when it was looked at last, without what was stored
    /// since. Relaxed, as the next ones: each stands for itself.
    pub(super) disk_room: AtomicU64,
    /// Whether the file system had less than what stays free when it was looked at last.
    pub(super) is_disk_full: AtomicBool,
    /// Whether the store could not write when it was looked at last.
    pub(super) is_failing: AtomicBool,
    /// The second of the monotonic clock in which the time was kept last. Relaxed, too.
    time_kept: AtomicU64,
    /// The attempts in flight, and the deliveries that are being stored. Relaxed, too.
    attempts: AtomicUsize,
    storing: AtomicUsize,
}

/// What a queue is made of.
pub(crate) struct Means {
    /// The store.
    pub(crate) store: Arc<QueueDb>,
    /// The metrics.
    pub(crate) metrics: QueueMetrics,
    /// The limits of all deliveries together.
    pub(crate) limits: Limits,
    /// The bytes of the file system that stay free.
    pub(crate) keep_free: u64,
    /// The longest wait for the store.
    pub(crate) timeout: Duration,
    /// The bytes of bodies that attempts may hold at a time.
    pub(crate) bodies: u64,
}

/// An attempt that was made.
pub(crate) struct Made {
    /// The moment at which it began.
    pub(crate) began: UnixMillis,
    /// The time that it took.
    pub(crate) took: Duration,
    /// Why there was no answer.
    pub(crate) cause: Option<String>,
}

/// A delivery to be stored.
pub(crate) struct Proved {
    /// The number of its route.
    pub(crate) route: RouteNumber,
    /// What an attempt is built from, beside the body.
    pub(crate) head: Bytes,
    /// The body as it was received.
    pub(crate) body: Bytes,
    /// The digest of its account.
    pub(crate) account: Option<Mark>,
    /// The digest of its order key.
    pub(crate) order: Option<Mark>,
    /// The claim on its event, and what is stored of the claim.
    pub(crate) claim: (Claim, passing::Change),
}

/// What happens while the store is read.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// Deliveries that were stored.
    deliveries: Vec<Delivery>,
    /// What was done by hand.
    pub(super) by_hand: Vec<(Number, Change)>,
}

impl Backlog {
    /// A queue over a store, without what the store has: [`Self::read_store`] must follow.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open(means: Means, now: Now) -> Result<Self, StoreError> {
        let Means {
            store,
            metrics,
            limits,
            keep_free,
            timeout,
            bodies,
        } = means;
        let known = store.routes()?.into_iter();
        let names = known.map(|route| (route.number, Arc::from(route.name)));
        let backlog = Self {
            store,
            metrics,
            names: Mutex::new(names.collect()),
            overdue: Mutex::default(),
            full: RateLimits::new(FULL_AGAIN),
            queue: Mutex::new(Queue::new(limits)),
            pauses: Mutex::default(),
            joined: Mutex::new(None),
            limits,
            wake: Notify::new(),
            timeout,
            keep_free,
            disk_room: AtomicU64::new(0),
            is_disk_full: AtomicBool::new(false),
            time_kept: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            rooms: BodyRooms::new(bodies),
            fresh: Fresh::default(),
            attempts: AtomicUsize::new(0),
            storing: AtomicUsize::new(0),
        };
        // Before the first delivery is taken.
        backlog.look_at_store(now);
        Ok(backlog)
    }

    /// The queue, for a decision.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a route in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn route_number(
        &self,
        name: &str,
        provider: &str,
    ) -> Result<RouteNumber, StoreError> {
        let number = self.store.route(name, provider)?;
        locked(&self.names).insert(number, name.into());
        Ok(number)
    }

    /// Keeps the monotonic time, so that the next process goes on with it.
    pub(crate) fn keep_time(&self, mono: Duration) {
        let nanos = u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX);
        let kept = self
            .store
            .set_meta(MetaKey::Monotonic, Some(&nanos.to_le_bytes()));
        if let Err(error) = kept {
            log::error!("the queue: {error}");
        }
    }

    /// Writes what was asked for before, and closes the store.
    pub(crate) fn close(&self, mono: Duration) {
        self.keep_time(mono);
        self.store.close();
    }

    /// Sets the routes of the configuration in force.
    pub(crate) fn set_routes<'r>(
        &self,
        routes: impl Iterator<Item = (RouteNumber, &'r config::Route)>,
        now: Now,
    ) {
        let mut relays = Vec::new();
        let listed = routes.map(|(number, route)| {
            if route.mode == config::Mode::Relay {
                relays.push((number, &*route.name));
            }
            (number, settings(route))
        });
        self.queue().set_routes(listed, now);
        self.report_removed(now);
        self.report_draining(&relays, now);
        self.wake.notify_one();
    }

    /// How many attempts are in flight, and how many deliveries are being stored.
    pub(crate) fn under_way(&self) -> (usize, usize) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (of(&self.attempts), of(&self.storing))
    }

    /// What is to be tried now.
    pub(crate) fn next(&self, now: Now) -> Next {
        let next = self.queue().next(now);
        if matches!(next, Next::Try(_)) {
            self.attempts.fetch_add(1, Ordering::Relaxed);
        }
        next
    }

    /// Stores a proved delivery, and settles its claim by what became of that. Returns once a sync
    /// has covered it. If that takes longer than `[state] timeout`, the delivery stays in flight
    /// until it is known what became of it.
    ///
    /// # Errors
    /// `queue_full`, `queue_unavailable`.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        proved: Proved,
        id: DeliveryId,
        clock: &Clock,
    ) -> Result<(), Refusal> {
        let begun = clock.now();
        let received = id.received();
        let Proved {
            route,
            head,
            body,
            account,
            order,
            claim: (claim, stored),
        } = proved;
        let bytes = (head.len() + body.len()) as u64;
        let room = self.take_room(route, bytes, begun)?;
        let content = fresh::copied(&head, &body);
        let pending = self.store.accept(Accepted {
            id,
            route,
            account,
            order,
            head,
            body,
            claim: Some(stored),
        });
        self.storing.fetch_add(1, Ordering::Relaxed);
        let (backlog, clock) = (Arc::clone(self), clock.clone());
        let (tell, told) = oneshot::channel();
        // A task of its own: what becomes of the delivery does not depend on who waits for it.
        tokio::spawn(async move {
            // Not released by the end of the process: the next one reads whether the delivery is stored.
            let claim = ManuallyDrop::new(claim);
            let number = pending.await.ok().and_then(Result::ok);
            let claim = ManuallyDrop::into_inner(claim);
            let settlement = number.map_or(Settlement::Released, |_| Settlement::Stored);
            let now = clock.now();
            if number.is_some() {
                backlog
                    .metrics
                    .accepted(now.mono.saturating_sub(begun.mono));
            }
            if let Err(error) = claim.settle(settlement, now).await {
                log::error!("a claim could not be settled: {error}; its event may be taken again");
            }
            if let Some(number) = number {
                if let Some(content) = content {
                    backlog.fresh.keep(number, content, now.mono);
                }
                let progress = Progress {
                    state: State::Waiting,
                    attempts: 0,
                    round: 0,
                    due: received,
                    aged_from: received,
                    last_status: None,
                };
                let delivery = Delivery {
                    number,
                    id,
                    route,
                    bytes,
                    account,
                    order,
                    progress,
                };
                backlog.add(delivery, now);
            }
            drop(room);
            backlog.storing.fetch_sub(1, Ordering::Relaxed);
            let _ = tell.send(number);
        });
        match timeout(self.timeout, told).await {
            Ok(Ok(Some(_))) => Ok(()),
            Ok(_) => Err(Code::QueueUnavailable.into()),
            Err(_) => Err(Refusal::because(
                Code::QueueUnavailable,
                "the queue did not store the delivery in time",
            )),
        }
    }

    pub(super) fn joined(&self) -> MutexGuard<'_, Option<Meanwhile>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, delivery: Delivery, now: Now) {
        let mut queue = self.queue();
        queue.add(&delivery, now);
        if let Some(joined) = self.joined().as_mut() {
            joined.deliveries.push(delivery);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Reads the store: at the start, and once more after another process has written to it. Nothing may
    /// be in flight here. `set_up` sets the routes of the configuration in force. It is called before
    /// the deliveries come, which wait no longer than the settings of their route allow, and again
    /// after them, since a reload may have come meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]: what was known before stays.
    pub(crate) fn read_store(
        &self,
        now: Now,
        set_up: impl Fn(&mut Queue),
    ) -> Result<(), StoreError> {
        // A pause by hand waits. What else is done by hand is noted, or was given to the store before.
        let (_no_pause, own) = (locked(&self.pauses), self.queue());
        *self.joined() = Some(Meanwhile::default());
        drop(own);
        let mut queue = Queue::new(self.limits);
        set_up(&mut queue);
        // What was given to the store is read if it can be written before.
        let _: Result<(), StoreError> = self.store.flush();
        let read = self
            .store
            .deliveries(&mut |delivery| queue.add(&delivery, now))
            .and_then(|()| pause_as_stored(&self.store, &mut queue));
        let mut own = self.queue();
        let joined = self.joined().take().unwrap_or_default();
        read?;
        for delivery in &joined.deliveries {
            queue.add(delivery, now);
        }
        set_up(&mut queue);
        for (number, change) in joined.by_hand {
            match change {
                Change::Gone => drop(queue.discard(number, now)),
                Change::Progress(_) => drop(queue.retry(number, now)),
            }
        }
        *own = queue;
        drop(own);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes out what was dead for long enough. `each` gets every one of them, with its head if that
    /// can be had.
    pub(crate) fn expire(&self, now: Now, mut each: impl FnMut(&Expired, Option<&Bytes>)) {
        let expired = self.queue().expire(now, MOST_EXPIRED);
        let numbers: Vec<_> = expired.iter().map(|expired| expired.number).collect();
        let heads = if numbers.is_empty() {
            Vec::new()
        } else {
            self.store.heads(&numbers).unwrap_or_default()
        };
        for (place, expired) in expired.iter().enumerate() {
            let head = heads.get(place).and_then(|head| head.as_ref().ok());
            each(expired, head.and_then(Option::as_ref));
            // Nothing is decided any more about a delivery that is gone.
            drop(self.store.change(expired.number, Change::Gone));
        }
    }

    /// Looks at what waits for long. Does not wait for the store.
    pub(super) fn look(&self, now: Now) {
        self.fresh.forget_old(now.mono);
        self.report_overdue(now);
    }

    /// Looks at the store, and keeps the time. May wait.
    pub(crate) fn look_after(&self, now: Now) {
        self.look_at_store(now);
        // Each writing is a sync of the disk.
        let seconds = now.mono.as_secs();
        if seconds.saturating_sub(self.time_kept.load(Ordering::Relaxed)) >= KEEP_TIME_EACH {
            self.time_kept.store(seconds, Ordering::Relaxed);
            self.keep_time(now.mono);
        }
    }

    /// The memory for the content of a delivery; `None`: its account has so much of it that the
    /// delivery is to be tried later.
    pub(crate) async fn room(&self, lease: &Lease) -> Option<BodyRoom> {
        self.rooms.take(lease.account, lease.bytes).await
    }

    /// The content of a delivery.
    ///
    /// # Errors
    /// [`StoreError`]; the store did not answer in time.
    pub(crate) async fn read(&self, lease: &Lease) -> Result<Option<Content>, StoreError> {
        if let Some(content) = self.fresh.take(lease.number) {
            return Ok(Some(content));
        }
        match timeout(self.timeout, self.store.read(lease.number)).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        }
    }

    /// Writes down what became of an attempt, and what is remembered of one that was made.
    pub(crate) fn ended(
        &self,
        lease: &Lease,
        outcome: Outcome,
        made: Option<Made>,
        now: Now,
    ) -> Ended {
        let attempt = made.zip(AttemptEnd::of(outcome));
        let attempt = attempt.map(|(made, end)| Attempt {
            number: lease.attempt,
            began: made.began,
            took: made.took,
            end,
            cause: made.cause,
        });
        let mut queue = self.queue();
        let ended = queue.ended(lease.number, outcome, now, &mut chance);
        // Nobody waits: if the process ends before the change is stored, the delivery is tried once
        // more.
        match (ended.change, attempt) {
            (Some(Change::Progress(progress)), Some(attempt)) => {
                drop(self.store.failed(lease.number, progress, attempt));
            }
            (Some(change), _) => drop(self.change(&queue, lease.number, change)),
            (None, _) => {}
        }
        drop(queue);
        self.count(lease.route, outcome, &ended);
        self.attempts.fetch_sub(1, Ordering::Relaxed);
        self.wake.notify_one();
        ended
    }
}

/// The seconds after which the monotonic time is kept again: by so much longer may an entry of the
/// replay window live after a crash.
const KEEP_TIME_EACH: u64 = 10;

/// The most dead letters that are taken out at a time.
const MOST_EXPIRED: usize = 1000;

/// A number from 0 to 1, for the jitter of the schedule.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without chance all retries keep exactly to the schedule, which is worse and not wrong.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

pub(super) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
