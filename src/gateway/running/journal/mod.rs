//! The replay window on disk: what the window does is written to `window.db`, and for routes that store
//! their deliveries to `queue.db`, and it is known here whether that is possible (contract: The window
//! on disk).
//!
//! Memory decides, whatever happens here. During an upgrade the process that has the window writes, and the
//! other one what that one cannot be told of any more.

mod gathering;
mod late;
mod reading;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;

use self::gathering::Gathering;
use super::snapshot::Snapshot;
use crate::clock::{Now, UnixMillis};
use crate::replay::Window;
use crate::replay::journal::{Journal, Told, Written};
use crate::replay::passing::Change;
use crate::store::sqlite::{Errors, MetaKey, QueueDb, WindowDb};
use crate::store::{QueueStore as _, StoreError, WindowStore};
use crate::verify::claim::Fingerprint;

/// The pause between two errors that say that only memory knows the window.
const REMIND: Duration = Duration::from_secs(600);

/// The seconds after which the time is kept though nothing was written.
const KEEP_TIME_EACH: u64 = 10;

/// The time for which an upgrade waits for the file. Claims wait meanwhile.
const PASSING: Duration = Duration::from_millis(400);

/// The replay window on disk.
#[derive(Debug)]
pub(crate) struct WindowJournal {
    queue: Arc<QueueDb>,
    window: Arc<WindowDb>,
    /// The routes whose claims are stored with their deliveries.
    queued: ArcSwap<HashSet<Fingerprint>>,
    /// The routes of which that was ever so: some of their claims may be there still.
    stored: ArcSwap<HashSet<Fingerprint>>,
    /// The routes of which `queue.db` says that. Held while more of them are written there, so only
    /// threads that may wait for the disk take it.
    noted: Mutex<HashSet<Fingerprint>>,
    /// Whether the start could not write that of all `stored` routes. Relaxed: it stands for itself.
    has_unnoted: AtomicBool,
    /// What is on its way to `window`.
    gathering: Arc<Gathering>,
    /// The longest wait for `queue`.
    timeout: Duration,
    /// Whether something was not written, so that the whole window must be.
    missed: AtomicBool,
    /// Held while it is. `missed` does not say so then, and it may take seconds. A plain lock: only the
    /// thread that writes waits for it.
    writing_all: Mutex<()>,
    /// Whether another process has the window.
    has_passed: AtomicBool,
    /// Whether something was told since the time was kept last, and the second of the monotonic clock
    /// in which that was. Relaxed: each stands for itself.
    is_stirred: AtomicBool,
    time_kept: AtomicU64,
    /// The time of which the window may lack something, and that of which the claims of stored
    /// deliveries may.
    gap: Gap,
    queue_gap: Gap,
    /// The monotonic time of the last reminder. A plain lock: it is taken once a second.
    reminded: Mutex<Option<Duration>>,
}

/// The first and the last moment of a time. Relaxed: both are set before requests are taken.
#[derive(Debug)]
struct Gap([AtomicI64; 2]);

impl Gap {
    fn nothing() -> Self {
        Self([AtomicI64::new(0), AtomicI64::new(i64::MIN)])
    }

    fn set(&self, (since, until): (UnixMillis, UnixMillis)) {
        let [first, last] = &self.0;
        first.store(since.0, Ordering::Relaxed);
        last.store(until.0, Ordering::Relaxed);
    }

    /// Whether a delivery came in it that was signed then, and was under way for at most `long`.
    fn may_have(&self, signed_at: UnixMillis, long: Duration) -> bool {
        let [first, last] = &self.0;
        let long = i64::try_from(long.as_millis()).unwrap_or(i64::MAX);
        let since = first.load(Ordering::Relaxed).saturating_sub(long);
        (since..=last.load(Ordering::Relaxed)).contains(&signed_at.0)
    }
}

/// The routes of a snapshot that store what they accept.
fn storing(snapshot: &Snapshot) -> HashSet<Fingerprint> {
    let routes = snapshot.routes.iter().map(|(_, route)| route);
    let queued = routes.filter(|route| route.queue.as_ref().is_some_and(|own| own.accepts));
    queued.map(|route| route.fingerprints.route).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WindowJournal {
    /// A journal in `window`. Claims of routes that store their deliveries go to `queue`. A request
    /// waits at most `timeout` for either.
    pub(crate) fn new(window: Arc<WindowDb>, queue: Arc<QueueDb>, timeout: Duration) -> Self {
        let store: Arc<dyn WindowStore> = Arc::<WindowDb>::clone(&window);
        Self {
            queue,
            window,
            queued: ArcSwap::default(),
            stored: ArcSwap::default(),
            noted: Mutex::default(),
            has_unnoted: AtomicBool::new(false),
            gathering: Arc::new(Gathering::new(store, timeout)),
            timeout,
            missed: AtomicBool::new(false),
            writing_all: Mutex::default(),
            has_passed: AtomicBool::new(false),
            is_stirred: AtomicBool::new(false),
            time_kept: AtomicU64::new(0),
            gap: Gap::nothing(),
            queue_gap: Gap::nothing(),
            reminded: Mutex::new(None),
        }
    }

    /// Reads which routes ever stored their claims with deliveries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read_stored_routes(&self) -> Result<(), StoreError> {
        let known = self.routes_on_disk()?;
        self.stored.store(Arc::new(known.clone()));
        *lock(&self.noted) = known;
        Ok(())
    }

    fn routes_on_disk(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        let known = self.queue.meta(MetaKey::StoredRoutes)?.unwrap_or_default();
        let (known, _) = known.as_chunks();
        let routes = known
            .iter()
            .map(|bytes| Fingerprint(u128::from_le_bytes(*bytes)));
        Ok(routes.collect())
    }

    /// Writes down in `queue.db` which routes of a configuration store their claims there, before it is
    /// in force. May wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn note_routes(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.note(&storing(snapshot))
    }

    fn note(&self, routes: &HashSet<Fingerprint>) -> Result<(), StoreError> {
        let mut noted = lock(&self.noted);
        if routes.is_subset(&noted) {
            return Ok(());
        }
        // Another process may have noted more of them since: during an upgrade.
        let mut all = self.routes_on_disk()?;
        all.extend(noted.union(routes));
        let bytes: Vec<_> = all.iter().flat_map(|route| route.0.to_le_bytes()).collect();
        self.queue.set_meta(MetaKey::StoredRoutes, Some(&bytes))?;
        *noted = all;
        Ok(())
    }

    /// The same for the routes in force at the start, which does not fail for it: what cannot be written
    /// now is tried again by [`Self::write_missed`].
    pub(crate) fn note_routes_or_later(&self, snapshot: &Snapshot) {
        if let Err(error) = self.note_routes(snapshot) {
            log::error!(
                "state: queue.db cannot note which routes store their deliveries: {error}; that is tried again"
            );
            self.has_unnoted.store(true, Ordering::Relaxed);
        }
    }

    /// Sets the routes of the configuration in force. Does not wait.
    pub(crate) fn set_routes(&self, snapshot: &Snapshot) {
        let queued = storing(snapshot);
        let stored = self.stored.load();
        if !queued.is_subset(&stored) {
            let all = stored.union(&queued).copied().collect();
            self.stored.store(Arc::new(all));
        }
        self.queued.store(Arc::new(queued));
    }

    /// Says of which time the window may lack something.
    pub(crate) fn set_gap(&self, time: (UnixMillis, UnixMillis)) {
        self.gap.set(time);
    }

    /// Says of which time the claims of stored deliveries may lack something.
    pub(crate) fn set_queue_gap(&self, time: (UnixMillis, UnixMillis)) {
        self.queue_gap.set(time);
    }

    /// Whether the window may lack a delivery that was signed then, and was under way for at most
    /// `long`. `is_stored`: its claim is stored with it.
    pub(crate) fn may_lack(&self, signed_at: UnixMillis, long: Duration, is_stored: bool) -> bool {
        let gap = if is_stored {
            &self.queue_gap
        } else {
            &self.gap
        };
        gap.may_have(signed_at, long)
    }

    /// Whether what is claimed now can be written when it is done.
    pub(crate) fn is_writable(&self) -> bool {
        // The process that has the window writes it.
        self.has_passed.load(Ordering::Acquire)
            || (!self.gathering.late.is_any() && !self.window.is_failing())
    }

    /// The errors of the file since the start.
    pub(crate) fn errors(&self) -> Errors {
        self.window.errors()
    }

    /// Writes what is missing in the files, and keeps the time. May wait.
    pub(crate) fn write_missed(&self, all: &Window, now: Now) {
        if self.has_unnoted.load(Ordering::Relaxed) && self.note(&self.stored.load()).is_ok() {
            self.has_unnoted.store(false, Ordering::Relaxed);
            log::info!("state: queue.db has noted which routes store their deliveries");
        }
        if self.has_passed.load(Ordering::Acquire) || !self.is_writable() {
            return;
        }
        let writing = lock(&self.writing_all);
        if self.missed.swap(false, Ordering::AcqRel) || self.window.is_behind() {
            self.write_all(all);
        }
        drop(writing);
        self.keep_time(now);
    }

    /// Looks whether the file answers again, and reminds of one that cannot be written. `refuses`:
    /// deliveries are refused then, which says enough. Does not wait.
    pub(crate) fn look(&self, now: Now, refuses: bool) {
        if self.has_passed.load(Ordering::Acquire) {
            return;
        }
        self.gathering.late.look();
        if self.is_writable() {
            *lock(&self.reminded) = None;
            return;
        }
        let mut reminded = lock(&self.reminded);
        if !refuses && reminded.is_none_or(|last| now.mono >= last.saturating_add(REMIND)) {
            *reminded = Some(now.mono);
            log::error!(
                "state: window.db cannot be written, and `replay.on_error` is `memory`: deliveries are let \
                 in, and a restart forgets them"
            );
        }
    }

    /// Writes the whole window, a shard at a time, so that little of it is held twice. It ends early
    /// where the window passes to another process, which is told that something is missing.
    fn write_all(&self, all: &Window) {
        self.window.caught_up();
        let memory = all.here();
        for shard in 0..memory.shards() {
            if !memory.write_down_again(shard) || self.flush().is_err() {
                return self.has_missed();
            }
        }
        log::info!("state: window.db has the whole replay window again");
    }

    /// Returns when all that was told before is written.
    fn flush(&self) -> Result<(), StoreError> {
        self.gathering.hand_over();
        self.window.flush()
    }

    /// Keeps the time behind all that was told before. What a loss of power takes from the file was told
    /// later.
    fn keep_time(&self, now: Now) {
        let seconds = now.mono.as_secs();
        let since = seconds.saturating_sub(self.time_kept.load(Ordering::Relaxed));
        if !self.is_stirred.swap(false, Ordering::Relaxed) && since < KEEP_TIME_EACH {
            return;
        }
        self.time_kept.store(seconds, Ordering::Relaxed);
        let kept = self
            .window
            .set_meta(MetaKey::Wall, Some(&now.wall.0.to_le_bytes()));
        if let Err(error) = kept {
            log::error!("state: the time cannot be kept: {error}");
        }
    }

    /// Says that the file lacks something that memory has.
    pub(crate) fn has_missed(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// Sees to it that all is in the file, for the process that takes over. The window is frozen, so
    /// nothing is told meanwhile. Returns whether all was written; `None`: that is not known, because
    /// the file does not answer.
    pub(crate) fn pass(&self) -> Option<bool> {
        self.has_passed.store(true, Ordering::Release);
        self.gathering.hand_over();
        let (tell, told) = mpsc::channel();
        let window = Arc::clone(&self.window);
        // On a thread: a file that cannot be written must not hold up the upgrade.
        let begun = std::thread::Builder::new().spawn(move || {
            let _ = tell.send(window.flush().is_ok());
        });
        begun.ok()?;
        let is_written = told.recv_timeout(PASSING).ok()?;
        // Where the whole window is being written, the rest of it is still missing.
        let idle = self.writing_all.try_lock();
        let is_missing = idle.is_err() || self.missed.load(Ordering::Acquire);
        Some(is_written && !is_missing && !self.window.is_behind())
    }

    /// The other process did not take over.
    pub(crate) fn keep(&self) {
        self.has_passed.store(false, Ordering::Release);
    }

    /// Gives up what could not be written, for the process that has taken over. Does not wait.
    pub(crate) fn drop_file(&self) {
        self.gathering.hand_over();
        let window = Arc::clone(&self.window);
        let _ = std::thread::Builder::new().spawn(move || window.leave());
    }

    /// Writes what was told before, and closes the file.
    pub(crate) fn close(&self, now: Now) {
        self.gathering.hand_over();
        if self.has_passed.load(Ordering::Acquire) {
            return self.window.leave();
        }
        self.is_stirred.store(true, Ordering::Relaxed);
        self.keep_time(now);
        // During an upgrade the other process goes on with the files, whatever becomes of this one, and
        // a loss of power must not find them marked.
        if !self.queue.is_shared()
            && let Err(error) = self.window.set_meta(MetaKey::CleanStop, Some(&[1]))
        {
            log::error!("state: {error}");
        }
        self.window.close();
    }
}

impl Journal for WindowJournal {
    fn append(&self, told: Vec<Told>) -> Written {
        self.is_stirred.store(true, Ordering::Relaxed);
        let (routes, stored) = (self.queued.load(), self.stored.load());
        let (mut queued, mut relayed) = (Vec::new(), Vec::new());
        for (route, change) in told {
            match change {
                // Either file may have it, by the mode that the route had when it came.
                Change::Gone(key) => {
                    if stored.contains(&route) {
                        queued.push(Change::Gone(key));
                    }
                    relayed.push(Change::Gone(key));
                }
                change if routes.contains(&route) => queued.push(change),
                change => relayed.push(change),
            }
        }
        let of_queue = (!queued.is_empty()).then(|| self.queue.change_claims(queued));
        let of_window = (!relayed.is_empty()).then(|| self.gathering.append(relayed));
        let Some(pending) = of_queue else {
            return of_window.unwrap_or_else(|| Box::pin(std::future::ready(())));
        };
        let wait = self.timeout;
        Box::pin(async move {
            if let Some(written) = of_window {
                written.await;
            }
            let _: Result<Result<Result<(), StoreError>, _>, _> = timeout(wait, pending).await;
        })
    }

    fn up_to_now(&self, route: Fingerprint) -> Written {
        // What is stored with a delivery was written before the delivery was done.
        if self.queued.load().contains(&route) {
            return Box::pin(std::future::ready(()));
        }
        self.gathering.append(Vec::new())
    }
}

#[cfg(test)]
mod tests;
