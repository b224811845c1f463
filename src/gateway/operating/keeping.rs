//! What a gateway has kept on disk: found at the start, and closed at the end (contract: State).

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::clock::Now;
use crate::config::State;
use crate::gateway::running::backlog::{Backlog, Means};
use crate::queue::Limits;
use crate::replay::Window;
use crate::store::sqlite::{MetaKey, OpenError, QueueDb};
use crate::store::{QueueStore as _, StoreError};
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
    /// The gateway does not encrypt yet, so it must not take what is to be encrypted.
    #[error(
        "`state.keys`: this version stores deliveries as they are; leave `keys` out, or wait for the one that encrypts them"
    )]
    Keys,
    /// What a database says of itself is not of the form in which it was written.
    #[error(
        "`state.dir`: queue.db is damaged: its {0} is broken; restore a backup, or move the file away"
    )]
    Broken(&'static str),
}

/// What is kept on disk.
pub(crate) struct Kept {
    queue: Arc<QueueDb>,
    metrics: QueueMetrics,
}

impl Kept {
    /// Opens what is kept in `[state] dir`, which this process must have for itself; `None` without
    /// such a directory.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn open(state: &State, metrics: &Metrics) -> Result<Option<Self>, KeptError> {
        let Some(dir) = &state.dir else {
            return Ok(None);
        };
        if !state.keys.is_empty() {
            return Err(KeptError::Keys);
        }
        let metrics = metrics.queue();
        let synced = metrics.clone();
        let observer = Arc::new(move |took| synced.synced(took));
        let queue = QueueDb::open(dir, &Clock::system(), Some(observer))?;
        Ok(Some(Self {
            queue: Arc::new(queue),
            metrics,
        }))
    }

    /// The key of all digests of the replay window. The first gateway in the directory keeps `made`.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn digest_key(&self, made: [u8; 16]) -> Result<[u8; 16], KeptError> {
        match self.queue.meta(MetaKey::DigestKey)? {
            Some(kept) => kept
                .try_into()
                .map_err(|_| KeptError::Broken("key of digests")),
            None => {
                self.queue.set_meta(MetaKey::DigestKey, Some(&made))?;
                Ok(made)
            }
        }
    }

    /// The monotonic time with which the last gateway ended, as far as it is known: the time in
    /// between counts for nothing.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn monotonic(&self) -> Result<Duration, KeptError> {
        let Some(kept) = self.queue.meta(MetaKey::Monotonic)? else {
            return Ok(Duration::ZERO);
        };
        let nanos = kept.try_into().map_err(|_| KeptError::Broken("clock"))?;
        Ok(Duration::from_nanos(u64::from_le_bytes(nanos)))
    }

    /// Puts the claims of stored deliveries into the window. Returns their number.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) fn restore(&self, window: &Window, now: Now) -> Result<usize, KeptError> {
        let mut count = 0;
        self.queue.claims(&mut |change| {
            window.here().take_over(&change);
            count += 1;
        })?;
        window.here().fit(now);
        Ok(count)
    }

    /// The queue, with what waits in it. `bodies` is the memory for bodies that are read.
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
        let backlog = Backlog::load(means, now)?;
        let (deliveries, bytes) = backlog.queue().totals();
        if self.queue.is_new() {
            log::info!("state: new");
        } else {
            log::info!("state: {deliveries} deliveries wait, of {bytes} bytes");
        }
        Ok(backlog)
    }
}
