//! `[state]`: the directory that a gateway has for itself, the limits of what is kept there, and the
//! keys that encrypt it (contract: State).

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::directories::{self, Use};
use super::reader::{Findings, Item, Table};
use super::secrets::Sources;
use super::sizes::size;
use super::state_keys;
pub use super::state_keys::StateKey;
use super::units;

/// `[state]`, each value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The directory; `None`: the gateway keeps nothing on disk.
    pub dir: Option<PathBuf>,
    /// The longest wait of a request for the store.
    pub timeout: Duration,
    /// The most live bytes of deliveries on disk, dead letters included.
    pub max_bytes: u64,
    /// The most deliveries on disk, dead letters included.
    pub max_deliveries: u64,
    /// The bytes that stay free on the file system: below them nothing is accepted.
    pub keep_free: u64,
    /// The keys that encrypt what is stored; empty: it is stored as it is. The first one writes, the
    /// others only read.
    pub keys: Vec<StateKey>,
    /// Whether a directory is written, be it usable or not.
    pub(super) is_named: bool,
    /// Whether a key is written, be it usable or not.
    pub(super) names_keys: bool,
}

/// The most deliveries that may be kept.
pub(super) const MOST_DELIVERIES: u64 = 1_000_000_000;

/// The longest wait for the store that may be set: a request holds its connection so long.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for State {
    fn default() -> Self {
        Self {
            dir: None,
            timeout: Duration::from_secs(2),
            max_bytes: 10 << 30,
            max_deliveries: 1_000_000,
            keep_free: 1 << 30,
            keys: Vec::new(),
            is_named: false,
            names_keys: false,
        }
    }
}

impl State {
    /// Reads the table. Returns the place of each of `keys` too.
    pub(super) fn read(
        mut table: Table<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> (Self, Vec<Range<usize>>) {
        let mut state = Self::default();
        let dir = table.item("dir");
        state.is_named = dir.is_some();
        state.dir = dir.and_then(|item| {
            let dir = read_path(&item, findings, sources, DIR)?;
            directories::judge(&item, &dir, Use::Own, sources, findings);
            Some(dir)
        });
        if let Some(item) = table.item("timeout") {
            state.timeout = read_timeout(&item, findings).unwrap_or(state.timeout);
        }
        let bytes = 1..=1 << 50;
        state.max_bytes = size(&mut table, findings, "max_bytes", bytes, state.max_bytes);
        if let Some(item) = table.item("max_deliveries") {
            let most = item.integer(findings, 1..=MOST_DELIVERIES);
            state.max_deliveries = most.unwrap_or(state.max_deliveries);
        }
        let bytes = 0..=1 << 50;
        state.keep_free = size(&mut table, findings, "keep_free", bytes, state.keep_free);
        let keys = table.item("keys");
        state.names_keys = keys.is_some();
        let keys = keys.map(|item| state_keys::read(&item, findings, sources));
        let (places, keys) = keys.unwrap_or_default().into_iter().unzip();
        state.keys = keys;
        let written = [
            "timeout",
            "max_bytes",
            "max_deliveries",
            "keep_free",
            "keys",
        ]
        .into_iter()
        .find(|key| table.span_of(key) != table.span());
        if let Some(key) = written.filter(|_| !state.is_named) {
            let message = format!(
                "`state.dir` is missing, and nothing is kept without it, so `{key}` has no effect"
            );
            let help = format!("add it, as in `dir = {DIR}`, or leave `[state]` out");
            findings.absence(table.span_of(key), message, help);
        }
        table.finish(findings);
        (state, places)
    }
}

fn read_timeout(item: &Item<'_>, findings: &mut Findings) -> Option<Duration> {
    let timeout = item.unit(findings, "\"2s\"", units::timeout)?;
    if timeout > LONGEST_TIMEOUT {
        let help = "write at most 1m; a provider waits no longer for its answer";
        item.refuse(findings, "is too long", help);
        return None;
    }
    Some(timeout)
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
