//! The operator's side of a running gateway: listen, reload, stop, and the admin port.
//!
//! Nothing here takes part in an exchange. The room may import every other room of the gateway
//! except `exchange`, and only the start (`gateway/mod.rs`) imports it.

pub(crate) mod acme;
pub(crate) mod admin;
mod catching_up;
pub(crate) mod descriptors;
pub(crate) mod early;
mod fixed;
pub(crate) mod inherited;
pub(crate) mod keeping;
mod kept_window;
pub(crate) mod listen;
mod notes;
mod reload;
pub(crate) mod state_dir;
mod state_error;
pub(crate) mod stop;
pub(crate) mod upgrade;
mod watching;
mod wrong_tokens;

pub(crate) use notes::Notes;

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::gateway::running::Running;
use keeping::Kept;
use state_dir::{StateDir, StateError};
use upgrade::{Predecessor, UpgradeError};

/// The gateway from which this process takes over. `None` if no gateway answers, which is said.
pub(crate) fn predecessor(config: &Config) -> Result<Option<Predecessor>, UpgradeError> {
    let path = config.server.upgrade_socket.as_deref();
    let path = path.ok_or(UpgradeError::NoSocket)?;
    let found = Predecessor::meet(path)?;
    if found.is_none() {
        log::info!(
            "no gateway answers on {}: starting as usual; one that runs without this socket has to be \
             stopped first",
            path.display()
        );
    }
    Ok(found)
}

/// The state directory, held by this process or together with the one from which it takes over.
pub(crate) fn held_state_dir(
    config: &Config,
    predecessor: Option<&mut Predecessor>,
) -> Result<Option<StateDir>, StateError> {
    let Some(dir) = config.state.dir.as_deref() else {
        return Ok(None);
    };
    if let Some(file) = predecessor.and_then(Predecessor::lock)
        && let Some(held) = StateDir::take_over(dir, file)?
    {
        return Ok(Some(held));
    }
    StateDir::hold(dir).map(Some)
}

/// Takes over from the gateway before this one, whose claims are answered for until it has ended;
/// `Running::has_predecessor` is true until then. `false` if that gateway has ended before: this process starts
/// as usual, and holds the state directory by itself. What that gateway has loaded from the files of
/// the configuration at `path` is in force here, too.
///
/// # Errors
/// [`UpgradeError`], before this process has taken over. Afterwards it ends for nothing that it can do
/// without.
pub(crate) fn take_over(
    predecessor: Predecessor,
    running: &Arc<Running>,
    path: &Path,
    held: &mut Option<StateDir>,
    kept: Option<&Kept>,
) -> Result<bool, UpgradeError> {
    let tail = predecessor.take_over(running)?;
    let dir = running.snapshot.load().restart_settings.state.dir.clone();
    let Some(tail) = tail else {
        // The lock that was handed over is given up, since only the end of the other process lets it
        // be had again.
        drop(held.take());
        *held = dir.as_deref().map(StateDir::hold_soon).transpose()?;
        let complete = match kept {
            Some(kept) => kept.restore_late(&running.window, running.clock.now())?,
            None => running.clock.now().wall,
        };
        running.begin_window(complete);
        running.share_queue(false);
        catching_up::catch_up(running, path);
        return Ok(false);
    };
    tail.answer();
    catching_up::catch_up(running, path);
    if let (Some(held), Some(dir)) = (held, dir) {
        held.name_owner(&dir);
    }
    Ok(true)
}

/// The address of whoever uses the admin port, for the log.
fn shown_peer(peer: Option<std::net::IpAddr>) -> String {
    peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string())
}
