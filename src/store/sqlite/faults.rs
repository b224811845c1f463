//! The seam at which tests let a database fail.

/// What a database is about to do, or has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A transaction begins.
    Begin,
    /// A record is written.
    Write,
    /// A transaction is committed: its pages are written, and synced where the database does so.
    Commit,
    /// All pages of the log were put into the database, and the log begins anew.
    Checkpoint,
    /// The log is synced, where commits do not do so.
    Sync,
    /// Pages of the log are put into the database beside the writer.
    CheckpointBeside,
    /// The database is synced beside the writer.
    SyncDatabase,
}

/// Decides which steps fail. Outside of tests none does.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    #[cfg(test)]
    planned: std::sync::Arc<std::sync::Mutex<Planned>>,
}

/// The steps that are to fail, in their order, once as many others of the first kind went well.
#[cfg(test)]
#[derive(Debug, Default)]
struct Planned {
    steps: Vec<Step>,
    skipped: usize,
}

#[cfg(test)]
impl Faults {
    /// Lets these steps fail, one after the other.
    pub(super) fn plan(&self, steps: Vec<Step>) {
        self.plan_after(0, steps);
    }

    /// The same, after as many steps like the first one have gone well.
    pub(super) fn plan_after(&self, skipped: usize, steps: Vec<Step>) {
        *self.planned.lock().unwrap() = Planned { steps, skipped };
    }
}

#[cfg_attr(
    not(test),
    expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "a seam for tests"
    )
)]
impl Faults {
    /// Whether `step` may go on.
    ///
    /// # Errors
    /// The one that a test has planned.
    pub(super) fn at(&self, step: Step) -> rusqlite::Result<()> {
        #[cfg(test)]
        {
            let mut planned = self.planned.lock().unwrap();
            if planned.steps.first() == Some(&step) {
                if planned.skipped > 0 {
                    planned.skipped -= 1;
                    return Ok(());
                }
                planned.steps.remove(0);
                let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
                let words = Some(format!("planned at {step:?}"));
                return Err(rusqlite::Error::SqliteFailure(error, words));
            }
        }
        #[cfg(not(test))]
        let _ = step;
        Ok(())
    }
}
