//! The turns of two gateways that write one database: during an upgrade (contract: Upgrade).
//!
//! SQLite lets whoever asks first have the file, so a thread that never rests would have it always. While there are two,
//! each leaves the other one the time to ask behind its commits, and waits longer for the file than for any other program.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::stats::{ErrorKind, Shared};

/// The attempts of a second each after which it is an error that another gateway has the file.
const MOST_WAITS: usize = 5;

/// The pause behind a commit, in which another gateway asks for the file.
const PAUSE: Duration = Duration::from_millis(2);

/// Whether the only fault is that another gateway, which writes too, has the file.
pub(super) fn is_for_others(shared: &Shared, error: &rusqlite::Error) -> bool {
    ErrorKind::of(error) == ErrorKind::Busy && shared.has_others.load(Relaxed)
}

/// Begins a transaction by `begin`, for which another gateway may be in the way.
///
/// # Errors
/// That of `begin`.
pub(super) fn patiently<T>(
    shared: &Shared,
    mut begin: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    for _ in 1..MOST_WAITS {
        match begin() {
            Err(error) if is_for_others(shared, &error) => shared.count(&error),
            begun => return begun,
        }
    }
    begin()
}

/// Lets another gateway that writes too have the file, after a commit.
pub(super) fn make_way(shared: &Shared) {
    if shared.has_others.load(Relaxed) {
        thread::sleep(PAUSE);
    }
}
