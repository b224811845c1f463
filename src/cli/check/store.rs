//! What is wrong with the directory of `[state]` itself: what a gateway would not start with, and a disk
//! without room for deliveries (contract: State). A look changes nothing there.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::statvfs;

use super::shown::shown;
use crate::config;
use crate::config::units::{rounded_size, written_size};
use crate::config::{Config, Mode, Problem, Problems, Warning, WarningName};
use crate::gateway::KeptFree;
use crate::store::sqlite::OpenError;

/// The files that a gateway opens in the directory and must own.
const OWN_FILES: [&str; 7] = [
    "owner",
    "queue.db",
    "queue.db-wal",
    "queue.db-shm",
    "window.db",
    "window.db-wal",
    "window.db-shm",
];

/// The reason why no gateway would start with databases that cannot be opened for a look, as the start
/// says it; `None`: it would.
pub(super) fn fault(error: &OpenError) -> Option<String> {
    match error {
        // A start makes them, or goes on making them; of one that is gone it says what is lost.
        OpenError::System { .. } | OpenError::Unmade { .. } | OpenError::Gone { .. } => None,
        // A start brings them up to date.
        OpenError::Newer { found, known, .. } if found < known => None,
        error => Some(error.to_string()),
    }
}

/// The first file in the directory that its user cannot use, in words: `check` may be run by root, and the
/// gateway runs as the owner of the directory. Nothing keeps root from using them all.
pub(super) fn foreign_file(dir: &Path) -> Option<String> {
    let user = fs::metadata(dir).ok()?.uid();
    if user == 0 {
        return None;
    }
    OWN_FILES.iter().find_map(|name| {
        let path = dir.join(name);
        let found = fs::symlink_metadata(&path).ok()?;
        let path = path.display();
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if owner != user {
            Some(format!(
                "{path} belongs to the user {owner}, and the gateway runs as {user}, to whom {} belongs: `chown {user} \
                 {path}`",
                dir.display()
            ))
        } else if mode & 0o600 != 0o600 {
            Some(format!(
                "the gateway may not read and write {path} (mode {mode:04o}): `chmod 600 {path}`"
            ))
        } else {
            None
        }
    })
}

/// The problem of a directory that holds something with which no gateway would start.
pub(super) fn problem(config: &Config, fault: &str) -> Problems {
    let problem = Problem {
        span: None,
        position: Some(config::Position {
            line: config.state_line,
            column: 1,
        }),
        message: format!("`state.dir`: {fault}"),
        help: None,
    };
    Problems {
        path: config::shown_path(&config.path),
        text: String::new(),
        list: vec![problem],
    }
}

/// The warning about a disk on which no delivery would find room, where there is a queue route. The disk
/// has `deliveries` already.
pub(super) fn full_disk(config: &Config, deliveries: u64) -> Option<Warning> {
    let is_queue = |route: &config::Route| route.mode == Mode::Queue;
    let dir = config.state.dir.as_deref()?;
    if !config.routes.iter().any(is_queue) {
        return None;
    }
    // Where the directory is to be made, its disk is that of the one above.
    let found = dir.ancestors().find_map(|dir| statvfs(or_here(dir)).ok())?;
    // Some file systems of networks have no size.
    let all = Some(found.f_blocks.saturating_mul(found.f_frsize)).filter(|all| *all > 0)?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let kept = KeptFree::of(config.state.keep_free, deliveries);
    if free > kept.bytes {
        return None;
    }
    let (why, help) = if kept.by_config {
        let less = format!(
            "make room, or write less, as in `keep_free = \"{}\"`",
            written_size(least_kept(all, deliveries))
        );
        ("by `state.keep_free`", less)
    } else {
        ("whatever `state.keep_free` is", "make room".to_owned())
    };
    Some(Warning {
        path: config::shown_path(&config.path),
        line: config.state_line,
        route: None,
        name: WarningName::FullDisk,
        message: format!(
            "`state.dir`: the disk of {} has {} free of {}, and {} stay free {why}, so every delivery of a queue route \
             is answered `queue_full`: {help}",
            shown(&dir.display().to_string()),
            rounded_size(free),
            rounded_size(all),
            rounded_size(kept.bytes),
        ),
    })
}

/// A good `keep_free` for a disk of so many bytes: an eighth of it, in whole MiB, and no less than the
/// gateway keeps in any case.
fn least_kept(all: u64, deliveries: u64) -> u64 {
    let needed = KeptFree::of(0, deliveries).bytes;
    let eighth = (all / 8).min(1 << 30).max(needed);
    eighth.next_multiple_of(1 << 20)
}

/// The path; the working directory for an empty one.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proposed_to_keep_free_is_small_beside_the_disk_and_enough_for_the_gateway() {
        for (all, deliveries, expected) in [
            (64 << 20, 0, 8 << 20),
            (8 << 20, 0, 4 << 20),
            (64 << 20, 1_000_000, 66 << 20),
            (1 << 40, 0, 1 << 30),
        ] {
            assert_eq!(least_kept(all, deliveries), expected, "{all} {deliveries}");
        }
    }
}
