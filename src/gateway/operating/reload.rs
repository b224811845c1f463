//! Reload, by SIGHUP or `POST /reload`: a new file takes effect whole or not at all (contract:
//! Reload).

use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::config::{self, Config, Position, Problem, Problems};
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::{RestartSettings, Snapshot};
use crate::verify::verifier::KeyError;

/// The reason why the configuration in force stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error("this configuration cannot run: {0}")]
    Key(#[from] KeyError),
    #[error("`{0}` cannot change while running: restart to change it")]
    Fixed(&'static str),
}

impl ReloadError {
    /// The problems for the answer to `POST /reload`, a sentence for each.
    pub(crate) fn list(&self) -> Vec<String> {
        let Self::Problems(problems) = self else {
            return vec![self.to_string()];
        };
        let place = |at: Position| format!("{}:{}:{}: ", problems.path, at.line, at.column);
        let sentence = |problem: &Problem| {
            let place = problem.position.map(place).unwrap_or_default();
            let help = problem
                .help
                .as_ref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("{place}{}{help}", problem.message)
        };
        problems.list.iter().map(sentence).collect()
    }
}

/// Reads the file again and puts it in force. Requests in flight finish under the old
/// configuration.
///
/// This function reads files, so it must be called where blocking is allowed.
pub(crate) fn reload(running: &Running, path: &Path) -> Result<(), ReloadError> {
    // Reloads run one after another: an older file must not be put in force after a newer file.
    let _turn = running
        .reloading
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut result = replace(running, path);
    // A secret may still come between the last look in `replace` and the moment when the new
    // snapshot is in force.
    if result.is_ok() && misses_a_secret(&running.snapshot.load()) {
        result = replace(running, path);
    }
    running.telemetry.metrics.count_reload(result.is_ok());
    match &result {
        Ok(()) => log::info!("{} is loaded and in force", path.display()),
        Err(error) => log::error!(
            "{} is not loaded, the running configuration stays:\n{error}",
            path.display()
        ),
    }
    result
}

fn replace(running: &Running, path: &Path) -> Result<(), ReloadError> {
    let mut loaded = load(running, path)?;
    // A handshake may bring a secret after the loader looked for its file. A snapshot that still
    // waits for the secret must not be put in force, so the configuration is loaded once more.
    if misses_a_secret(&loaded.snapshot) {
        loaded = load(running, path)?;
    }
    running.budget.set_limit(loaded.max_buffered);
    running.snapshot.store(Arc::new(loaded.snapshot));
    Ok(())
}

fn misses_a_secret(snapshot: &Snapshot) -> bool {
    snapshot.awaited().any(|awaited| awaited.is_missed())
}

/// A loaded configuration that is not in force yet.
struct Loaded {
    snapshot: Snapshot,
    max_buffered: u64,
}

/// Logs the warnings of a configuration, and the names of those that its routes acknowledge.
pub(crate) fn show_warnings(config: &Config) {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    for (route, names) in config.acknowledged_names() {
        log::info!("route `{route}` acknowledges: {}", names.join(", "));
    }
}

fn load(running: &Running, path: &Path) -> Result<Loaded, ReloadError> {
    let config = config::load(path)?;
    let in_force = running.snapshot.load_full();
    if let Some(key) = first_difference(&in_force.restart_settings, &config) {
        return Err(ReloadError::Fixed(key));
    }
    show_warnings(&config);
    let max_buffered = config.server.max_buffered;
    let snapshot = Snapshot::build(
        config,
        &running.telemetry.metrics,
        &running.upstreams,
        &running.fingerprints,
    )?;
    Ok(Loaded {
        snapshot,
        max_buffered,
    })
}

/// The first setting that differs but takes effect only at a restart. `replay.capacity` is among
/// them because the window is built only once.
fn first_difference(in_force: &RestartSettings, config: &Config) -> Option<&'static str> {
    [
        ("server.listen", in_force.listen != config.server.listen),
        ("server.threads", in_force.threads != config.server.threads),
        ("admin.listen", in_force.admin_listen != config.admin.listen),
        (
            "replay.capacity",
            in_force.capacity != config.replay.capacity,
        ),
    ]
    .into_iter()
    .find_map(|(key, differs)| differs.then_some(key))
}
