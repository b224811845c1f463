//! What the process before this one accepted after this one had read its files (contract: Upgrade): a
//! reload, or a secret that came with a handshake. Both are in files, which are therefore looked at
//! once more.
//!
//! The other process puts nothing in force any more once it has let this one go, so one look at all
//! files suffices then. It still takes secrets until its requests have ended.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use super::reload::{self, Loaded, Turn};
use crate::config;
use crate::gateway::running::Running;

/// The time for the files to be looked at while nobody accepts connections.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two looks for secrets.
const PAUSE: Duration = Duration::from_millis(200);

/// The pause after a reload that was refused.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Loads the files of `path` again if they are not as this process has read them. Returns after
/// [`PATIENCE`] at the latest; a file that is read later than that still takes effect.
pub(super) fn catch_up(running: &Arc<Running>, path: &Path) {
    let (own, file) = (Arc::clone(running), path.to_owned());
    let (done, caught_up) = mpsc::sync_channel(1);
    let work = move || {
        let turn = Turn::begin(&own);
        let known = own.reloads.files();
        if known != known.read_again() || misses_a_secret(&own) {
            let result = Loaded::of(&own, config::read(&file)).put_in_force(&own, &turn);
            // The function itself logs and counts the result.
            let _ = reload::report(&own, &file, "it has changed during the upgrade", result);
        }
        // An error means that nobody waits any more.
        let _ = done.send(());
    };
    let begun = thread::Builder::new().name("reload".to_owned()).spawn(work);
    if begun.is_err() || caught_up.recv_timeout(PATIENCE).is_err() {
        log::warn!(
            "{} and its files could not be read again at once. If they were changed during the upgrade, \
             reload: SIGHUP, or POST /reload",
            config::shown_path(path)
        );
    }
}

/// Loads the secrets that come to the process before this one, as long as that one is there.
pub(super) async fn follow(running: Arc<Running>, path: &Path) {
    loop {
        // Before the look, so that there is a look after its end.
        let is_last = !running.has_predecessor.load(Ordering::Acquire);
        let mut pause = PAUSE;
        if misses_a_secret(&running) {
            let asked_by = "a secret has come to the process before this one";
            if reload::reload(&running, path, asked_by).await.is_err() {
                pause = LONG_PAUSE;
            }
        }
        if is_last {
            return;
        }
        sleep(pause).await;
    }
}

/// Whether a secret for which a route waits is there.
fn misses_a_secret(running: &Running) -> bool {
    let snapshot = running.snapshot.load();
    let mut waiting = snapshot.awaited().filter(|own| own.secret().is_none());
    waiting.any(|own| own.is_missed())
}
