//! `server.watch`: the configuration and the files of its secrets are looked at from time to time,
//! and loaded when a content has changed (contract: Reload).
//!
//! The files are one set. Two readings of the whole set must agree before it is loaded, and the
//! bytes that agreed are those that are loaded. So a file that is half written, or a set that is
//! half replaced (Kubernetes swaps a link, an agent rewrites a file in place), is never put in
//! force. A file that can no longer be read changes nothing: deleting is no revocation.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use super::reload::{self, Loaded};
use crate::clock::Now;
use crate::config::{self, Change, FileSet, Reading};
use crate::gateway::running::Running;

/// The pause between two looks at the clock, and the shortest `server.watch`.
const STEP: Duration = Duration::from_secs(1);

/// The longest pause between the two readings that must agree.
const SETTLE: Duration = Duration::from_secs(2);

/// The readings of a look. If no two in a row agree, the next look tries again.
const MAX_READINGS: u32 = 4;

/// The time between two warnings about the same file.
const WARN_INTERVAL: Duration = Duration::from_secs(3600);

/// Watches the files as long as `server.watch` of the configuration in force says so.
pub(super) async fn watch(running: &Arc<Running>, path: &Path) {
    let mut watcher = Watcher::default();
    let mut looked = running.clock.now();
    loop {
        sleep(STEP).await;
        let Some(interval) = running.snapshot.load().watch else {
            continue;
        };
        let now = running.clock.now();
        if now.mono.saturating_sub(looked.mono) < interval {
            continue;
        }
        looked = now;
        watcher.look(running, path, interval, now).await;
    }
}

/// The state between two looks.
#[derive(Default)]
struct Watcher {
    /// Whether a look has not ended. A look that hangs is left behind, and no other begins before
    /// it ends, so that they do not pile up. Relaxed: no other memory is read by way of it.
    is_looking: Arc<AtomicBool>,
    warned: Warned,
}

/// What a look found.
enum Found {
    /// No content has changed. Some files may be unreadable.
    Same(Vec<PathBuf>),
    /// Contents are changing right now.
    Unsettled,
    /// The contents have changed, and these are loaded.
    Changed(Box<Loaded>),
}

impl Watcher {
    async fn look(&mut self, running: &Arc<Running>, path: &Path, interval: Duration, now: Now) {
        if self.is_looking.swap(true, Ordering::Relaxed) {
            self.warned.hangs(path, now);
            return;
        }
        let turn = reload::Turn::begin(running);
        let known = running.reloads.files();
        let (own, own_path) = (Arc::clone(running), path.to_owned());
        let looking = Looking(Arc::clone(&self.is_looking));
        let pause = interval.min(SETTLE);
        let work = move || {
            let _looking = looking;
            let read = || config::read(&own_path);
            examine(&known, read, || thread::sleep(pause))
                .map_or_else(|same| same, |reading| changed(&own, reading))
        };
        let limit = config::TIME_TO_LOAD + pause * MAX_READINGS;
        match reload::in_time(running, path, limit, work).await {
            Ok(Found::Same(unreadable)) => self.warned.unreadable(&unreadable, now),
            Ok(Found::Unsettled) => {
                log::info!("the files of {} are being written: waiting", path.display());
            }
            Ok(Found::Changed(loaded)) => {
                let result = loaded.put_in_force(running, &turn);
                // The function itself logs and counts the result.
                let result = reload::report(running, path, "a watched file has changed", result);
                if result.is_ok() && reload::misses_a_secret_now(running, path).await {
                    let _ = reload::reload(running, path, "a secret has come").await;
                }
            }
            Err(_) => self.warned.hangs(path, now),
        }
    }
}

/// Ends a look when it is dropped.
struct Looking(Arc<AtomicBool>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn changed(running: &Running, reading: Reading) -> Found {
    let loaded = Loaded::of(running, reading);
    // A handshake has brought a secret meanwhile: the next look finds it.
    if loaded.misses_a_secret() {
        Found::Unsettled
    } else {
        Found::Changed(Box::new(loaded))
    }
}

/// Looks at the files that are `known`, and reads everything again if a content has changed: until
/// two readings in a row agree, with a `pause` between them.
///
/// # Errors
/// What was found, if nothing is to be loaded.
fn examine(
    known: &FileSet,
    read: impl Fn() -> Reading,
    pause: impl Fn(),
) -> Result<Reading, Found> {
    let now = known.read_again();
    if known.change(&now) != Change::Content {
        return Err(same(&now));
    }
    let mut before = read();
    for _ in 1..MAX_READINGS {
        pause();
        let reading = read();
        if before.files == reading.files {
            return match known.change(&reading.files) {
                Change::Content => Ok(reading),
                Change::Nothing | Change::Vanished => Err(same(&reading.files)),
            };
        }
        before = reading;
    }
    Err(Found::Unsettled)
}

fn same(files: &FileSet) -> Found {
    Found::Same(files.unreadable().map(Path::to_owned).collect())
}

/// The warnings that are repeated hourly and no more often.
#[derive(Default)]
struct Warned {
    /// The monotonic time of the last warning about each file that cannot be read now.
    unreadable: HashMap<PathBuf, Duration>,
    hangs: Option<Duration>,
}

impl Warned {
    fn unreadable(&mut self, files: &[PathBuf], now: Now) {
        self.unreadable.retain(|file, _| files.contains(file));
        for file in files {
            let last = self.unreadable.get(file).copied();
            if is_due(last, now.mono) {
                self.unreadable.insert(file.clone(), now.mono);
                log::warn!(
                    "{} can no longer be read: what was loaded from it stays in force. To end a \
                     secret, take it out of `secrets`, or put another into its file",
                    file.display()
                );
            }
        }
    }

    fn hangs(&mut self, path: &Path, now: Now) {
        if is_due(self.hangs, now.mono) {
            self.hangs = Some(now.mono);
            log::warn!(
                "{} and its files cannot be watched: a reading has not ended. See whether one of \
                 them lies on a mount that does not answer",
                path.display()
            );
        }
    }
}

fn is_due(last: Option<Duration>, now: Duration) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= WARN_INTERVAL)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::config::Problems;

    /// A folder with a configuration that names a secret's file. The loader refuses it for its
    /// missing route, and its files count all the same.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "[admin]\ntoken = \"file:secret\"\n").unwrap();
        fs::write(folder.path().join("secret"), "first").unwrap();
        (folder, path)
    }

    fn name(found: &Result<Reading, Found>) -> &'static str {
        match found {
            Ok(_) => "changed",
            Err(Found::Same(unreadable)) if unreadable.is_empty() => "same",
            Err(Found::Same(_)) => "unreadable",
            Err(Found::Unsettled) => "unsettled",
            Err(Found::Changed(_)) => "loaded",
        }
    }

    #[test]
    fn cf_23_a_set_is_taken_only_when_two_readings_of_it_agree() {
        type Write = fn(&Path, usize);
        // What is written before the look, and in each pause between two readings.
        let rows: [(&str, Write, Write, &str); 8] = [
            ("nothing", |_, _| (), |_, _| (), "same"),
            (
                "the same bytes",
                |at, _| fs::write(at.join("secret"), "first").unwrap(),
                |_, _| (),
                "same",
            ),
            (
                "another secret",
                |at, _| fs::write(at.join("secret"), "second").unwrap(),
                |_, _| (),
                "changed",
            ),
            (
                "a secret that is finished in the first pause",
                |at, _| fs::write(at.join("secret"), "sec").unwrap(),
                |at, _| fs::write(at.join("secret"), "second").unwrap(),
                "changed",
            ),
            (
                "a secret that is written again and again",
                |at, _| fs::write(at.join("secret"), "sec").unwrap(),
                |at, n| fs::write(at.join("secret"), format!("second-{n}")).unwrap(),
                "unsettled",
            ),
            (
                "another secret that is taken back",
                |at, _| fs::write(at.join("secret"), "second").unwrap(),
                |at, _| fs::write(at.join("secret"), "first").unwrap(),
                "same",
            ),
            (
                "a secret's file that is gone",
                |at, _| fs::remove_file(at.join("secret")).unwrap(),
                |_, _| (),
                "unreadable",
            ),
            (
                "a configuration that is gone",
                |at, _| fs::remove_file(at.join("a.toml")).unwrap(),
                |_, _| (),
                "unreadable",
            ),
        ];
        let mut failures = Vec::new();
        for (row, write, meanwhile, expected) in rows {
            let (folder, path) = folder();
            let known = config::read(&path).files;
            write(folder.path(), 0);
            let pauses = Cell::new(0);
            let found = examine(
                &known,
                || config::read(&path),
                || {
                    pauses.set(pauses.get() + 1);
                    meanwhile(folder.path(), pauses.get());
                },
            );
            if name(&found) != expected {
                failures.push((row, name(&found)));
            }
            if let Ok(reading) = found
                && reading.files != known.read_again()
            {
                failures.push((row, "the bytes that agreed are not those that were loaded"));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_configuration_that_names_another_file_is_a_change() {
        let (folder, path) = folder();
        let known = config::read(&path).files;
        fs::write(folder.path().join("other"), "first").unwrap();
        fs::write(&path, "[admin]\ntoken = \"file:other\"\n").unwrap();
        let found = examine(&known, || config::read(&path), || ());
        assert_eq!(name(&found), "changed");
        let problems: Option<Problems> = found.ok().and_then(|reading| reading.config.err());
        assert!(problems.is_some_and(|problems| problems.to_string().contains("no route")));
    }

    #[test]
    fn a_file_that_is_gone_is_warned_about_hourly_and_at_once_when_it_goes_again() {
        let mut warned = Warned::default();
        let file = [PathBuf::from("/nowhere/secret")];
        let mut last = |files: &[PathBuf], secs| {
            let now = Now {
                wall: UnixMillis(0),
                mono: Duration::from_secs(secs),
            };
            warned.unreadable(files, now);
            warned.unreadable.values().next().map(Duration::as_secs)
        };
        assert_eq!(last(&file, 10), Some(10));
        assert_eq!(last(&file, 3609), Some(10));
        assert_eq!(last(&file, 3610), Some(3610));
        assert_eq!(last(&[], 3620), None);
        assert_eq!(last(&file, 3630), Some(3630));
    }
}
