//! What a gateway has kept on disk: found at the start, and closed at the end (contract: State).

use std::sync::Arc;

use super::kept_window::{KeptWindow, WindowFileError};
use crate::clock::Clock;
use crate::clock::{Now, UnixMillis};
use crate::config::State;
use crate::config::units::rounded_size;
use crate::gateway::running::backlog::{Backlog, Means};
use crate::gateway::running::backlog_by_hand::{keyring, report_keys};
use crate::gateway::running::backlog_seen::deliveries_wait;
use crate::gateway::running::snapshot::Snapshot;
use crate::queue::Limits;
use crate::replay::Window;
use crate::store::sqlite::{Observer, OpenError, QueueDb};
use crate::store::{StoreError, sqlite};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::queue_metrics::QueueMetrics;

/// The reason why what is kept on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A database cannot be opened.
    #[error("`state.dir`: {0}")]
    Open(#[from] OpenError),
    /// A database cannot be read or written.
    #[error("`state.dir`: {0}")]
    Store(#[from] StoreError),
    /// The replay window cannot be used.
    #[error(transparent)]
    Window(#[from] WindowFileError),
    /// The directory is that of another gateway than the one from which this one takes over.
    #[error(
        "`state.dir`: its files were not written by the gateway that runs; name the directory of that one or \
         an empty one, or stop it and start this one without `--upgrade`"
    )]
    ForeignUpgrade,
}

/// What is kept on disk.
pub(crate) struct Kept {
    queue: Arc<QueueDb>,
    pub(crate) window: KeptWindow,
    /// A clock that goes on with the monotonic time of the last gateway.
    pub(crate) clock: Clock,
    metrics: QueueMetrics,
}

impl Kept {
    /// Opens what is kept in `[state] dir`, which this process must have for itself; `None` without
    /// such a directory. `clock` is that of the gateway from which this one takes over, which still
    /// writes there.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn open(
        state: &State,
        metrics: &Metrics,
        clock: Option<Clock>,
    ) -> Result<Option<Self>, KeptError> {
        let Some(dir) = &state.dir else {
            return Ok(None);
        };
        let metrics = metrics.queue();
        let synced = metrics.clone();
        let observer: Observer = Arc::new(move |took| synced.synced(took));
        let is_shared = clock.is_some();
        // Nothing has opened the files yet, so where they do not belong together, they stay as they are.
        let monotonic = sqlite::judge(dir)?;
        let clock = clock.unwrap_or_else(|| {
            // The time in which no gateway ran counts for nothing.
            Clock::begun(monotonic.unwrap_or_default())
        });
        let queue = QueueDb::open_with(
            dir,
            &clock,
            Some(Arc::clone(&observer)),
            keyring(state),
            is_shared,
        )?;
        let queue = Arc::new(queue);
        let window = KeptWindow::open(dir, &clock, observer, &queue, state.timeout)?;
        Ok(Some(Self {
            queue,
            window,
            clock,
            metrics,
        }))
    }

    /// As [`KeptWindow::digest_key`].
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn digest_key(&self, made: [u8; 16]) -> Result<[u8; 16], KeptError> {
        Ok(self.window.digest_key(made)?)
    }

    /// As [`KeptWindow::begin`].
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn begin(
        &self,
        begun: UnixMillis,
        now: UnixMillis,
        takes_over: bool,
    ) -> Result<UnixMillis, KeptError> {
        Ok(self.window.begin(begun, now, takes_over)?)
    }

    /// As [`KeptWindow::restore`].
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn restore(&self, window: &Window, now: Now) -> Result<(), KeptError> {
        Ok(self.window.restore(window, now)?)
    }

    /// As [`KeptWindow::restore_late`].
    ///
    /// # Errors
    /// [`KeptError`].
    pub(super) fn restore_late(&self, window: &Window, now: Now) -> Result<UnixMillis, KeptError> {
        Ok(self.window.restore_late(window, now)?)
    }

    /// The queue, without what waits in it: [`Self::fill`] must follow. `bodies` is the memory for bodies
    /// that are read.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn backlog(
        &self,
        state: &State,
        bodies: u64,
        now: Now,
    ) -> Result<Backlog, KeptError> {
        let limits = Limits {
            max_bytes: state.max_bytes,
            max_deliveries: state.max_deliveries,
        };
        let means = Means {
            store: Arc::clone(&self.queue),
            metrics: self.metrics.clone(),
            limits,
            timeout: state.timeout,
            keep_free: state.keep_free,
            bodies,
        };
        Ok(Backlog::open(means, now)?)
    }

    /// Puts into the queue what waits on disk, now that the settings of its routes are known, and says
    /// what that is.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn fill(
        &self,
        backlog: &Backlog,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<(), KeptError> {
        backlog.read_store(now, |queue| {
            queue.set_routes(snapshot.queue_settings(), now);
        })?;
        let (_, bytes) = backlog.queue().totals();
        let statuses = backlog.statuses(now);
        let counts = || statuses.iter().map(|(_, status)| status.counts);
        let waiting = counts()
            .map(|counts| counts.waiting + counts.retrying)
            .sum();
        let dead: u64 = counts().map(|counts| counts.dead).sum();
        if self.queue.is_new() {
            if self.window.is_new() {
                log::info!("state: new");
            }
        } else {
            let dead = match dead {
                0 => String::new(),
                1 => ", 1 is dead".to_owned(),
                _ => format!(", {dead} are dead"),
            };
            let waiting = deliveries_wait(waiting);
            log::info!("state: {waiting}{dead}, {} in all", rounded_size(bytes));
        }
        match backlog.encrypted() {
            Ok(found) => report_keys(&found, &snapshot.restart_settings.state),
            Err(error) => log::error!("the queue: {error}"),
        }
        backlog.set_routes(snapshot.queued_routes(), now);
        Ok(())
    }
}
