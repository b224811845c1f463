//! Reload, by SIGHUP or `POST /reload`: a new file takes effect whole or not at all (contract: Reload).
//!
//! Each reload reads files, and waits for the store, on a thread of its own and under a time limit: one
//! that hangs keeps neither a later reload nor the end of the process waiting. What it has made is put
//! in force by the task that asked, which waits for no disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{descriptors, fixed, notes::Notes};
use crate::config::{self, Config, FileSet, Position, Problem, Problems, Reading};
use crate::gateway::client::origin::is_trusted;
use crate::gateway::running::Running;
use crate::gateway::running::backlog_by_hand::key_still_needed;
use crate::gateway::running::learning::Awaited;
use crate::gateway::running::reloads::Lowered;
use crate::gateway::running::snapshot::{BuildError, Snapshot};
use crate::store::StoreError;
use crate::store::sealing::KeyId;
use crate::store::sqlite::Encrypted;

/// The reason why the configuration in force stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error("this configuration cannot run: {0}")]
    Build(#[from] BuildError),
    #[error("these keys cannot change while running: {}; {way}", keys.join(", "))]
    Fixed {
        keys: Vec<&'static str>,
        /// How they change.
        way: &'static str,
    },
    #[error(
        "`state.keys`: {count} of the deliveries on disk need the key {key}, which is not in the list any more: keep \
         it behind the others until `verigate state info` shows none of them, or restart to hold them"
    )]
    KeyNeeded { key: KeyId, count: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "too many earlier readings of the files have not ended: does one of them lie on a mount that does not answer?"
    )]
    Busy,
    #[error("another process has taken over from this one: ask that one for a reload")]
    HandedOver,
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

/// Reads the file again and puts it in force, as `asked_by` wishes. Requests in flight finish under
/// the old configuration.
///
/// Returns within twice [`config::TIME_TO_LOAD`], and may be dropped at any time.
pub(crate) async fn reload(
    running: &Arc<Running>,
    path: &Path,
    asked_by: &str,
) -> Result<(), ReloadError> {
    let own = path.to_owned();
    let read = move || config::read(&own);
    running.supervisor.reloading();
    // The manager waits for the end of each reload, also if the caller drops this future.
    let mut told = Told {
        running,
        is_in_force: false,
    };
    let result = replace(running, path, &read, config::TIME_TO_LOAD).await;
    told.is_in_force = result.is_ok();
    drop(told);
    report(running, path, asked_by, result)
}

/// A reload of which the service manager was told. It is told of the end when this is dropped.
struct Told<'r> {
    running: &'r Running,
    is_in_force: bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let routes = self.running.snapshot.load().routes.iter().count();
        self.running.supervisor.reloaded(self.is_in_force, routes);
    }
}

/// Counts and logs the result of a reload, and passes it on.
pub(super) fn report(
    running: &Running,
    path: &Path,
    asked_by: &str,
    result: Result<(), ReloadError>,
) -> Result<(), ReloadError> {
    let wall = running.clock.now().wall;
    running.telemetry.metrics.count_reload(result.is_ok(), wall);
    let shown = config::shown_path(path);
    match &result {
        Ok(()) => log::info!("{shown} is loaded and in force: {asked_by}"),
        Err(error) => log::error!(
            "{shown} is not loaded, the running configuration stays: {asked_by}\n{error}"
        ),
    }
    result
}

async fn replace(
    running: &Arc<Running>,
    path: &Path,
    read: &(impl Fn() -> Reading + Clone + Send + 'static),
    limit: Duration,
) -> Result<(), ReloadError> {
    // A second round finds the secret that the first round missed.
    for _ in 0..2 {
        let turn = Turn::begin(running);
        let (own, read) = (Arc::clone(running), read.clone());
        let work = move || {
            let loaded = Loaded::of(&own, read());
            // A handshake may bring a secret after the loader looked for its file. A snapshot that
            // still waits for the secret must not be put in force, so the configuration is loaded
            // once more.
            if loaded.misses_a_secret() {
                Loaded::of(&own, read())
            } else {
                loaded
            }
        };
        let loaded = in_time(running, path, limit, work).await?;
        loaded.put_in_force(running, &turn)?;
        // A secret may still come between the last look of the loader and the moment when the new
        // snapshot is in force.
        if !misses_a_secret_now(running, path).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the configuration in force waits for a secret that has come. `false` where that cannot
/// be known in time.
pub(super) async fn misses_a_secret_now(running: &Running, path: &Path) -> bool {
    let in_force = running.snapshot.load_full();
    if in_force.awaited().next().is_none() {
        return false;
    }
    let look = move || misses_a_secret(&in_force);
    let looked = in_time(running, path, config::TIME_TO_LOAD, look).await;
    looked.unwrap_or(false)
}

fn misses_a_secret(snapshot: &Snapshot) -> bool {
    snapshot.awaited().any(|awaited| awaited.is_missed())
}

/// Runs `work`, which reads files and may wait for the store, on a thread of its own. A thread that does not end in time is
/// left behind, and its result is dropped.
///
/// # Errors
/// [`ReloadError::Busy`], or that the files of `path` were not read in time.
pub(super) async fn in_time<T: Send + 'static>(
    running: &Running,
    path: &Path,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReloadError> {
    let place = running.reloads.place().ok_or(ReloadError::Busy)?;
    let (done, result) = oneshot::channel();
    let begun = std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            let _place = place;
            // An error means that nobody waits for the result any more.
            let _ = done.send(work());
        });
    begun.map_err(|_| ReloadError::Busy)?;
    match timeout(limit, result).await {
        Ok(Ok(value)) => Ok(value),
        // The time is over, or the thread panicked.
        Ok(Err(_)) | Err(_) => Err(config::too_late(path).into()),
    }
}

/// A reload that has begun.
pub(super) struct Turn {
    /// Its place in the order of reloads.
    number: u64,
    /// The secrets for which routes waited when it began. Only what came since then is taken over
    /// from them: an operator who removes the file of an older secret wants another.
    waiting: Vec<Arc<Awaited>>,
}

impl Turn {
    /// Begins a reload, before anything is read.
    pub(super) fn begin(running: &Running) -> Self {
        let in_force = running.snapshot.load();
        let waiting = in_force.awaited().filter(|own| own.secret().is_none());
        Self {
            waiting: waiting.cloned().collect(),
            number: running.reloads.begin(),
        }
    }
}

/// A configuration that was read and is not in force yet.
pub(super) struct Loaded {
    files: FileSet,
    made: Result<Made, ReloadError>,
}

struct Made {
    snapshot: Snapshot,
    max_buffered: u64,
    max_connections: usize,
    /// That limit, if it is lower than the configured one.
    lowered: Option<Lowered>,
    notes: Notes,
    /// What is encrypted on disk with which key, where the keys are other ones.
    encrypted: Vec<Encrypted>,
}

impl Loaded {
    /// Makes a snapshot of a reading, and has the store write what it must know before the snapshot is
    /// in force. May wait for the disk.
    pub(super) fn of(running: &Running, reading: Reading) -> Self {
        let make = |config: Config| {
            let in_force = running.snapshot.load_full();
            let settings = &in_force.restart_settings;
            let keys = fixed::differences(settings, &config);
            if !keys.is_empty() {
                let way = fixed::way(settings, &config);
                return Err(ReloadError::Fixed { keys, way });
            }
            let encrypted = fixed::encrypted(running.backlog.as_deref(), settings, &config)?;
            if let Some((key, count)) = key_still_needed(&encrypted, &config.state) {
                return Err(ReloadError::KeyNeeded { key, count });
            }
            let (max_connections, lowered) = descriptors::fitting(&config.server);
            let (max_buffered, notes) = (config.server.max_buffered, Notes::of(&config));
            let snapshot = Snapshot::build(
                config,
                &running.telemetry.metrics,
                &running.upstreams,
                &running.fingerprints,
                &running.acme.managed,
                running.backlog.as_deref(),
            )?;
            if let Some(journal) = &running.journal {
                journal.note_routes(&snapshot)?;
            }
            Ok(Made {
                snapshot,
                max_buffered,
                max_connections,
                lowered,
                notes,
                encrypted,
            })
        };
        Self {
            files: reading.files,
            made: reading.config.map_err(ReloadError::from).and_then(make),
        }
    }

    pub(super) fn misses_a_secret(&self) -> bool {
        let made = self.made.as_ref();
        made.is_ok_and(|made| misses_a_secret(&made.snapshot))
    }

    /// Puts the snapshot in force, unless that of a later turn is in force already. Waits for nothing
    /// but another call.
    ///
    /// # Errors
    /// The reason why there is no snapshot.
    pub(super) fn put_in_force(self, running: &Running, turn: &Turn) -> Result<(), ReloadError> {
        let mut latest = running.reloads.latest();
        if latest.is_over {
            return Err(ReloadError::HandedOver);
        }
        latest.saw(turn.number, self.files);
        let made = self.made?;
        if turn.number < latest.in_force {
            return Ok(());
        }
        latest.in_force = turn.number;
        running.budget.set_limit(made.max_buffered);
        running.connections.set_limit(made.max_connections);
        let routes = made.snapshot.routes.iter().map(|(_, route)| &route.metrics);
        running.telemetry.metrics.keep_only(routes);
        let (now, before) = (Arc::new(made.snapshot), running.snapshot.load_full());
        now.take_over_learned(&before, &turn.waiting);
        running.wait_as_long_as(&now);
        if let Some(journal) = &running.journal {
            journal.set_routes(&now);
        }
        running.snapshot.store(Arc::clone(&now));
        if let Some(backlog) = &running.backlog {
            let (state, at) = (&now.restart_settings.state, running.clock.now());
            backlog.set_routes(now.queued_routes(), at);
            if state.keys != before.restart_settings.state.keys {
                backlog.set_keys(state, &made.encrypted);
            }
            backlog.try_held(at);
        }
        (running.connections).judge_again(|peer| is_trusted(peer, &now.trusted_proxies));
        running.acme.changed.notify_one();
        // A secret may have come to the former routes since the first look.
        now.take_over_learned(&before, &turn.waiting);
        let lowered = latest.lowers(made.lowered);
        drop(latest);
        if let Some(lowered) = lowered {
            lowered.say();
        }
        made.notes.show();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;
    use crate::gateway::tests::{self, parsed};
    use crate::key::secret::SecretText;

    fn config(route: &str) -> Config {
        let text = format!(
            "[[route]]\nname = \"{route}\"\npath = \"/a\"\nprovider = \"itellico\"\n\
             secrets = [\"plain:a-secret-of-the-test\"]\nupstream = \"http://127.0.0.1:3000\"\n"
        );
        parsed(&text)
    }

    fn reading(route: &str) -> Reading {
        Reading {
            config: Ok(config(route)),
            files: FileSet::default(),
        }
    }

    fn running() -> Arc<Running> {
        Arc::new(tests::running(config("first"), io::sink()).0)
    }

    fn in_force(running: &Running) -> String {
        let snapshot = running.snapshot.load();
        let (_, route) = snapshot.routes.iter().next().unwrap();
        route.name.as_ref().to_owned()
    }

    /// A file on a dead mount: its reading never returns. A reading that began later must not wait
    /// for it, and must stay in force when it returns after all.
    #[tokio::test]
    async fn cf_20_a_reading_that_hangs_keeps_no_other_waiting_and_changes_nothing_afterwards() {
        let running = running();
        let (release, until) = mpsc::channel::<()>();
        let until = Arc::new(std::sync::Mutex::new(until));
        let path = Path::new("a.toml");
        let hangs = move || {
            let _ = until.lock().unwrap().recv();
            reading("hung")
        };
        let late = replace(&running, path, &hangs, Duration::from_millis(50)).await;
        let words = late.unwrap_err().to_string();
        assert!(words.contains("mount that does not answer"), "{words}");
        assert_eq!(in_force(&running), "first");
        let limit = Duration::from_secs(20);
        let later = replace(&running, path, &|| reading("second"), limit).await;
        assert!(later.is_ok());
        assert_eq!(in_force(&running), "second");
        drop(release);
        while running.reloads.is_reading() {
            tokio::task::yield_now().await;
        }
        assert_eq!(in_force(&running), "second");
    }

    #[tokio::test]
    async fn of_two_readings_the_one_that_began_later_counts() {
        let running = running();
        let (earlier, later) = (Turn::begin(&running), Turn::begin(&running));
        let put = |route, turn: &Turn| {
            let loaded = Loaded::of(&running, reading(route));
            loaded.put_in_force(&running, turn).is_ok()
        };
        assert!(put("later", &later));
        assert!(put("earlier", &earlier));
        assert_eq!(in_force(&running), "later");
    }

    /// A secret may come while a configuration is read that does not know it yet. One that came
    /// before the reading is another matter: its file was removed, so the route learns again.
    #[tokio::test]
    async fn a_secret_that_comes_while_a_configuration_is_read_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let made = || {
            let path = folder.path().join("secret");
            let text = format!(
                "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"asana\"\n\
                 secrets = [\"learn:{}\"]\nupstream = \"http://127.0.0.1:3000\"\n",
                path.display()
            );
            parsed(&text)
        };
        let (running, _writer) = tests::running(made(), io::sink());
        let waits = || {
            let snapshot = running.snapshot.load_full();
            let own = snapshot.awaited().next().unwrap();
            (own.secret().is_none(), Arc::clone(own))
        };
        let loaded = || {
            Loaded::of(
                &running,
                Reading {
                    config: Ok(made()),
                    files: FileSet::default(),
                },
            )
        };
        let turn = Turn::begin(&running);
        let read = loaded();
        let (_, own) = waits();
        own.learn(&own.named(SecretText::new(b"a-secret-of-the-test".to_vec())));
        assert!(read.put_in_force(&running, &turn).is_ok());
        assert!(!waits().0, "the secret is lost");
        let turn = Turn::begin(&running);
        assert!(loaded().put_in_force(&running, &turn).is_ok());
        assert!(waits().0, "the route does not learn again");
    }

    #[tokio::test]
    async fn a_process_that_has_handed_over_puts_nothing_in_force() {
        let running = running();
        running.reloads.latest().is_over = true;
        let (path, limit) = (Path::new("a.toml"), Duration::from_secs(20));
        let refused = replace(&running, path, &|| reading("second"), limit).await;
        assert!(matches!(refused, Err(ReloadError::HandedOver)));
        assert_eq!(in_force(&running), "first");
        running.reloads.latest().is_over = false;
        let again = replace(&running, path, &|| reading("second"), limit).await;
        assert!(again.is_ok());
        assert_eq!(in_force(&running), "second");
    }

    #[tokio::test]
    async fn when_too_many_readings_hang_a_further_one_says_so_at_once() {
        let running = running();
        let places: Vec<_> = std::iter::from_fn(|| running.reloads.place()).collect();
        let path = Path::new("a.toml");
        let read = || reading("second");
        let limit = Duration::from_secs(20);
        let busy = replace(&running, path, &read, limit).await;
        assert!(matches!(busy, Err(ReloadError::Busy)));
        drop(places);
        assert!(replace(&running, path, &read, limit).await.is_ok());
    }
}
