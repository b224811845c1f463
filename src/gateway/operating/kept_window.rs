//! The replay window as it is kept on disk: its way back into memory, and what the stop before means
//! for it (contract: The window on disk).

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Now, UnixMillis};
use crate::config::units::written_moment;
use crate::gateway::running::journal::WindowJournal;
use crate::replay::passing::Change;
use crate::replay::{Leases, ReplayWindow as _, Window};
use crate::store::sqlite::{MetaKey, Observer, OpenError, QueueDb, WindowDb};
use crate::store::{QueueStore as _, StoreError, WindowStore as _};
use crate::verify::claim::ClaimKey;

/// The file in which Linux names the boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The time for which a gap of an earlier start counts, whatever a route's tolerance is.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// The reason why the replay window on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WindowFileError {
    /// The file cannot be opened.
    #[error("`state.dir`: {0}")]
    Open(#[from] OpenError),
    /// A database cannot be read or written.
    #[error("`state.dir`: {0}")]
    Store(#[from] StoreError),
    /// What a database says of itself is not of the form in which it was written.
    #[error(
        "`state.dir`: a database is damaged: its {0} is broken; restore a backup, or move the files away"
    )]
    Broken(&'static str),
}

/// The replay window on disk, as it was found.
pub(crate) struct KeptWindow {
    file: Arc<WindowDb>,
    queue: Arc<QueueDb>,
    pub(crate) journal: Arc<WindowJournal>,
}

impl KeptWindow {
    /// Opens the file in `dir`. `clock` is the one by which the window measures its entries. A request
    /// waits at most `timeout` for the file.
    ///
    /// # Errors
    /// [`WindowFileError`].
    pub(crate) fn open(
        dir: &Path,
        clock: &Clock,
        observer: Observer,
        queue: &Arc<QueueDb>,
        timeout: Duration,
    ) -> Result<Self, WindowFileError> {
        let file = Arc::new(WindowDb::open(dir, clock, Some(observer))?);
        let journal = WindowJournal::new(Arc::clone(&file), Arc::clone(queue), timeout);
        journal.read_stored_routes()?;
        Ok(Self {
            file,
            queue: Arc::clone(queue),
            journal: Arc::new(journal),
        })
    }

    /// The key of all digests of the replay window, of which there is one in both files. The first gateway
    /// in the directory keeps `made`.
    ///
    /// # Errors
    /// [`WindowFileError`].
    pub(crate) fn digest_key(&self, made: [u8; 16]) -> Result<[u8; 16], WindowFileError> {
        let of_queue = self.queue.meta(MetaKey::DigestKey)?;
        let of_window = self.file.meta(MetaKey::DigestKey)?;
        let known = of_queue.as_ref().or(of_window.as_ref());
        let key = match known {
            Some(known) => {
                let known = known.as_slice().try_into();
                known.map_err(|_| WindowFileError::Broken("key of digests"))?
            }
            None => made,
        };
        if of_queue.is_none() {
            self.queue.set_meta(MetaKey::DigestKey, Some(&key))?;
        }
        if of_window.is_none() {
            self.file.set_meta(MetaKey::DigestKey, Some(&key))?;
        }
        Ok(key)
    }

    /// Notes that a gateway runs, and finds out what the end of the one before means: if the machine
    /// lost power, the file may lack what came last. `takes_over`: that one still runs. Returns the
    /// wall-clock time from which on the window is complete, which is `begun` for a new file.
    ///
    /// # Errors
    /// [`WindowFileError`].
    pub(crate) fn begin(
        &self,
        begun: UnixMillis,
        now: UnixMillis,
        takes_over: bool,
    ) -> Result<UnixMillis, WindowFileError> {
        let file = &*self.file;
        let boot = std::fs::read(BOOT).unwrap_or_default();
        let boot = boot.trim_ascii();
        let of_file = file.meta(MetaKey::Boot)?;
        let is_same_boot = !boot.is_empty() && of_file.as_deref() == Some(boot);
        let was_in_order = file.meta(MetaKey::CleanStop)?.is_some();
        let complete = if let [Some(since)] = moments(file, MetaKey::Complete)? {
            since
        } else {
            file.set_meta(MetaKey::Complete, Some(&begun.0.to_le_bytes()))?;
            begun
        };
        let mut gap = known_gap(file, MetaKey::Gap, now)?;
        let mut queue_gap = known_gap(file, MetaKey::QueueGap, now)?;
        if !takes_over && !file.is_new() && !was_in_order && !is_same_boot {
            let [synced] = moments(file, MetaKey::Wall)?;
            let synced = synced.unwrap_or(complete).min(now);
            gap = Some(longer_gap(file, MetaKey::Gap, gap, (synced, now))?);
            // A copy has no boot. What is acknowledged is synced before, so only a copy lacks it.
            let what = if of_file.is_none() {
                queue_gap = Some(longer_gap(
                    file,
                    MetaKey::QueueGap,
                    queue_gap,
                    (synced, now),
                )?);
                "the files are those of a backup: they may"
            } else {
                "the machine lost power: window.db may"
            };
            log::warn!(
                "state: {what} lack deliveries that came after {}. What was signed between then and now is answered \
                 `replay_store_unavailable` until it is stale, but on the routes that `verigate check` names",
                written_moment(synced)
            );
        }
        if !takes_over && file.is_new() && self.queue.meta(MetaKey::Backup)?.is_some() {
            // Only the other file of the backup says how old it is.
            let lost = (UnixMillis(0), now);
            queue_gap = Some(longer_gap(file, MetaKey::QueueGap, queue_gap, lost)?);
            log::warn!(
                "state: window.db is new, and queue.db goes back to a backup: it may lack deliveries. On routes with \
                 `mode = \"queue\"` what was signed before now is answered `replay_store_unavailable` until it is \
                 stale, but on the routes that `verigate check` names"
            );
        }
        if !takes_over && self.queue.is_new() && !file.is_new() {
            // A start makes queue.db before window.db: there was one.
            let lost = (complete.min(now), now);
            queue_gap = Some(longer_gap(file, MetaKey::QueueGap, queue_gap, lost)?);
            log::error!(
                "state: there was no queue.db beside window.db, and a new one was made: the deliveries that it \
                 held are lost. If you did not move it away, stop the gateway, remove the new one, and put it back \
                 or restore a backup. On routes with `mode = \"queue\"` what was signed before now is answered \
                 `replay_store_unavailable` until it is stale, but on the routes that `verigate check` names"
            );
        }
        if let Some(gap) = gap {
            self.journal.set_gap(gap);
        }
        if let Some(gap) = queue_gap {
            self.journal.set_queue_gap(gap);
        }
        // A process that takes over finds both as they are to be. It writes nothing, since it would wait
        // for the one that still writes.
        if !is_same_boot || was_in_order {
            file.set_meta(MetaKey::Boot, Some(boot))?;
            file.set_meta(MetaKey::CleanStop, None)?;
            file.sync()?;
        }
        Ok(complete)
    }

    /// Whether the file was made by this start.
    pub(super) fn is_new(&self) -> bool {
        self.file.is_new()
    }

    /// Says that all is to be written that the process has which hands over, if the file is new.
    pub(crate) fn expect_all(&self) {
        if self.file.is_new() {
            self.journal.has_missed();
        }
    }

    /// As [`restore`](Self::restore), where the process has ended from which this one was to take over.
    /// Returns the wall-clock time from which on the window is complete.
    ///
    /// # Errors
    /// [`WindowFileError`].
    pub(super) fn restore_late(
        &self,
        window: &Window,
        now: Now,
    ) -> Result<UnixMillis, WindowFileError> {
        self.restore(window, now)?;
        if !self.file.is_new()
            && let [Some(since)] = moments(&self.file, MetaKey::Complete)?
        {
            return Ok(since);
        }
        let complete = now.wall.0.to_le_bytes();
        self.file.set_meta(MetaKey::Complete, Some(&complete))?;
        Ok(now.wall)
    }

    /// Puts what is kept of the window into memory, and keeps what it does from now on.
    ///
    /// # Errors
    /// [`WindowFileError`].
    pub(crate) fn restore(&self, window: &Window, now: Now) -> Result<(), WindowFileError> {
        let memory = window.here();
        self.file.changes(&mut |change| memory.take_over(&change))?;
        self.restore_queue(window)?;
        // What was in flight when the last process ended is not done, and may come again.
        Leases::new(memory.in_flight(), Duration::ZERO, now).finish(memory);
        memory.set_journal(Arc::<WindowJournal>::clone(&self.journal));
        memory.fit(now);
        if !self.file.is_new() {
            log::info!("state: the replay window has {} events", window.entries());
        } else if !self.queue.is_new() {
            log::info!("state: the replay window of relay routes is new");
        }
        Ok(())
    }

    /// Puts the claims of stored deliveries into memory. A route may have relayed before it stored, so
    /// an entry may be in both files. No order is known between those, and what either says is gone
    /// may be there by the other. Of a route that is in both, all entries are put in the order of time.
    fn restore_queue(&self, window: &Window) -> Result<(), StoreError> {
        let memory = window.here();
        let of_window = memory.routes();
        let mut of_both = HashSet::new();
        let mut gone: HashMap<ClaimKey, u64> = HashMap::new();
        let mut place = 0_u64;
        self.queue.claims(&mut |change| {
            if let Change::Gone(key) = change {
                gone.insert(key, place);
            }
            place += 1;
        })?;
        let mut place = 0_u64;
        self.queue.claims(&mut |change| {
            let (key, route) = match &change {
                Change::Entry(kept) => (Some(kept.key), Some(kept.route)),
                Change::Done(arrival, _) => (Some(arrival.key), Some(arrival.route)),
                Change::Gone(key) => (Some(*key), None),
                Change::Forgotten(..) | Change::Serial(_) => (None, None),
            };
            let went = key.and_then(|key| gone.get(&key));
            if went.is_none_or(|went| *went < place) {
                memory.take_beside(&change);
            }
            of_both.extend(route.filter(|route| of_window.contains(route)));
            place += 1;
        })?;
        for route in of_both {
            memory.put_in_order(route);
        }
        Ok(())
    }
}

/// The first and the last moment of a time.
type Time = (UnixMillis, UnixMillis);

/// A gap of an earlier start, as long as it counts.
fn known_gap(
    file: &WindowDb,
    key: MetaKey,
    now: UnixMillis,
) -> Result<Option<Time>, WindowFileError> {
    Ok(match moments(file, key)? {
        [Some(since), Some(until)] if until.0.saturating_add(DAY_MS) > now.0 => {
            Some((since, until))
        }
        _ => None,
    })
}

/// Keeps a gap, with the one that is `known`. Returns both in one.
fn longer_gap(
    file: &WindowDb,
    key: MetaKey,
    known: Option<Time>,
    (since, until): Time,
) -> Result<Time, WindowFileError> {
    let since = known.map_or(since, |(known, _)| known.min(since));
    let bytes = [since.0.to_le_bytes(), until.0.to_le_bytes()].concat();
    file.set_meta(key, Some(&bytes))?;
    Ok((since, until))
}

/// The moments of which a fact consists, as far as it is there.
fn moments<const N: usize>(
    file: &WindowDb,
    key: MetaKey,
) -> Result<[Option<UnixMillis>; N], WindowFileError> {
    let Some(bytes) = file.meta(key)? else {
        return Ok([None; N]);
    };
    let (moments, rest) = bytes.as_chunks();
    if moments.len() != N || !rest.is_empty() {
        return Err(WindowFileError::Broken("time"));
    }
    let mut moments = moments
        .iter()
        .map(|bytes| UnixMillis(i64::from_le_bytes(*bytes)));
    Ok(std::array::from_fn(|_| moments.next()))
}
