//! `[state]`: the directory that a gateway has for itself (contract: State).

use std::path::PathBuf;

use super::directories::{self, Use};
use super::reader::{Findings, Item, Table};
use super::secrets::Sources;

/// `[state]`, each value checked.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The directory; `None`: the gateway keeps nothing on disk.
    pub dir: Option<PathBuf>,
    /// Whether a directory is written, be it usable or not.
    pub(super) is_named: bool,
}

/// The keys that come with the databases.
const LATER: [&str; 5] = [
    "timeout",
    "max_bytes",
    "max_deliveries",
    "keep_free",
    "keys",
];

impl State {
    pub(super) fn read(
        mut table: Table<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> Self {
        let dir = table.item("dir");
        let is_named = dir.is_some();
        let dir = dir.and_then(|item| {
            let dir = read_path(&item, findings, sources, DIR)?;
            directories::judge(&item, &dir, Use::Own, sources, findings);
            Some(dir)
        });
        for key in LATER {
            table.not_yet(
                findings,
                key,
                "leave it out: nothing but the lock is in the directory yet",
            );
        }
        table.finish(findings);
        Self { dir, is_named }
    }
}

const DIR: &str = "\"/var/lib/verigate\"";
const SOCKET: &str = "\"/run/verigate/upgrade.sock\"";

/// The most bytes of the path of a Unix socket on every system, with room for a temporary name.
const LONGEST_SOCKET: usize = 96;

/// The name of the socket for upgrades in `[state] dir`.
const UPGRADE_SOCKET: &str = "upgrade.sock";

/// Reads a path. A relative one begins at the directory of the configuration.
fn read_path(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    example: &str,
) -> Option<PathBuf> {
    let text = item.text(findings, example)?;
    if text.is_empty() || text.contains('\0') {
        item.refuse(
            findings,
            "is no path",
            format!("write a path, as in `{example}`"),
        );
        return None;
    }
    Some(sources.base_dir.join(text))
}

/// Reads `server.upgrade_socket`.
pub(super) fn read_upgrade_socket(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<PathBuf> {
    let path = read_path(item, findings, sources, SOCKET)?;
    if path.as_os_str().len() > LONGEST_SOCKET {
        item.refuse(
            findings,
            "is too long for the path of a socket",
            format!("write a path of at most {LONGEST_SOCKET} bytes, as in `{SOCKET}`"),
        );
        return None;
    }
    if path.file_name().is_none() {
        item.refuse(
            findings,
            "names no file",
            format!("write a path, as in `{SOCKET}`"),
        );
        return None;
    }
    directories::judge_socket(item, &path, sources, findings);
    Some(path)
}

/// The socket for upgrades: the one that is named, else the one in `[state] dir`. `None` where its
/// path would be too long, or there is no directory.
pub(super) fn upgrade_socket(named: Option<PathBuf>, state: &State) -> Option<PathBuf> {
    let in_dir = || Some(state.dir.as_ref()?.join(UPGRADE_SOCKET));
    let path = named.or_else(in_dir)?;
    (path.as_os_str().len() <= LONGEST_SOCKET).then_some(path)
}
