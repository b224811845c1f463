//! The configuration that the operator wrote: a TOML file (contract: Configuration), read into
//! checked values or into every problem at once.
//!
//! Entered by: whatever a configuration file, a preset or a scheme file can say. The room fills the
//! types of [`crate::scheme`], [`crate::routes`] and [`crate::key`], and asks [`crate::verify`]
//! whether a secret is a key of its scheme. May import: `explain` and the rooms below it; no
//! Pingora.

pub mod accounts;
pub mod acme;
pub mod admin;
mod checks;
mod directories;
mod files;
mod given;
mod handshake;
mod judge;
mod learned;
mod listen;
mod mask;
pub mod params;
mod placeholders;
mod preset;
pub mod presets;
pub mod problem;
mod public_keys;
pub mod queue;
mod queue_judge;
mod reader;
pub mod replay;
pub mod resign;
mod resign_checks;
pub mod route;
mod scheme;
mod scheme_file;
pub mod secrets;
pub mod server;
mod shared_keys;
mod sizes;
pub mod state;
mod state_keys;
pub mod tls;
pub mod units;
mod upstream;
mod upstream_headers;
mod upstream_path;
mod upstream_tls;
pub mod upstreams;
pub mod warning;

#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

pub use accounts::Accounts;
pub use admin::Admin;
pub use directories::{
    NO_PARENT, NOT_WRITABLE, ONLY_LAST_IS_MADE, closing, missing_parent, not_writable,
};
pub use files::{Change, FileSet, Files};
pub use given::Given;
pub use handshake::{HandshakeMode, HandshakeSettings};
pub use learned::{is_learned, learned_name, store_learned};
pub use problem::{Position, Problem, Problems};
pub use public_keys::{public_keys, takes_public_keys};
pub use queue::{Mode, OrderBy, Queue};
pub use replay::{OnError, Replay, RouteReplay, Statuses};
pub use resign::Resign;
use resign_checks::OfState;
pub use resign_checks::judge_learned_beside;
pub use route::Route;
pub use scheme_file::{load_scheme, parse_scheme};
pub use secrets::Sources;
pub use server::Server;
pub use shared_keys::{Sharing, judge_learned};
pub use state::{State, StateKey};
pub use upstream::Upstream;
pub use upstream_tls::UpstreamTls;
pub use upstreams::{Balance, Health, Member, Upstreams};
pub use warning::{Acknowledging, Warning, WarningName};

use checks::Spans;
use problem::LineStarts;
pub use reader::suggestion;
use reader::{Findings, Sorted, Table};
use route::Draft;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// The largest file that is taken for a configuration.
const MAX_FILE: u64 = 1 << 20;

/// The time in which a configuration and all its files must be read. A file on a dead mount would
/// hold up its reader for ever.
pub const TIME_TO_LOAD: Duration = Duration::from_secs(10);

/// A whole file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The path that the file was read from; [`shown_path`] is its name in messages.
    pub path: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[replay]`
    pub replay: Replay,
    /// `[state]`
    pub state: State,
    /// The line of `[state] dir`, from 1, for warnings about what lies there; 0 without one.
    pub state_line: usize,
    /// Each `[[route]]`, in the order of the file. Names are unique, and no two routes overlap.
    pub routes: Vec<Route>,
    /// Everything that is allowed but worth a warning: literal secrets, `replay = "off"`, unsigned
    /// event types, wide file modes.
    pub warnings: Vec<Warning>,
    /// The warnings that a route's `acknowledge` names. They are listed, and not shown as warnings.
    pub acknowledged: Vec<Warning>,
    /// The files from which all of this was read.
    pub files: FileSet,
}

impl Config {
    /// The names of the warnings that each route acknowledges, in the order of the file; routes
    /// that acknowledge nothing are left out.
    pub fn acknowledged_names(&self) -> Vec<(&str, Vec<&'static str>)> {
        let named = |route: &'_ Route| -> Vec<&'static str> {
            let of = |warning: &&Warning| warning.route.as_deref() == Some(route.name.as_str());
            let mut names: Vec<_> = self.acknowledged.iter().filter(of).collect();
            names.sort_by_key(|warning| warning.name);
            names.dedup_by_key(|warning| warning.name);
            names
                .into_iter()
                .map(|warning| warning.name.as_str())
                .collect()
        };
        let all = self
            .routes
            .iter()
            .map(|route| (route.name.as_str(), named(route)));
        all.filter(|(_, names)| !names.is_empty()).collect()
    }
}

/// A configuration as it was read from its files, whether it is good or not.
#[derive(Debug)]
pub struct Reading {
    /// The configuration, or every problem of it at once.
    pub config: Result<Config, Problems>,
    /// The files that were read for it, or could not be read.
    pub files: FileSet,
}

/// Reads and checks the file at `path`, its secrets too. Relative `file:` secrets are looked for
/// beside it. Returns after [`TIME_TO_LOAD`] at the latest.
///
/// # Errors
/// Every problem of the file at once, ready to print.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let own = path.to_owned();
    files::within(TIME_TO_LOAD, move || read(&own).config).unwrap_or_else(|| Err(too_late(path)))
}

/// Reads and checks as [`load`] does, and looks at the directories too in which the gateway will keep
/// something.
///
/// # Errors
/// Every problem of the file and of those directories at once.
pub fn check(path: &Path) -> Result<Config, Problems> {
    let own = path.to_owned();
    let read = move || read_into(&own, &Files::for_check());
    files::within(TIME_TO_LOAD, read).unwrap_or_else(|| Err(too_late(path)))
}

/// Reads and checks as [`load`] does, however long that takes.
pub fn read(path: &Path) -> Reading {
    let files = Files::default();
    Reading {
        config: read_into(path, &files),
        files: files.set(),
    }
}

fn read_into(path: &Path, files: &Files) -> Result<Config, Problems> {
    let shown = shown_path(path);
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let sources = Sources::of_process(base_dir, files);
    let is_piped = path == Path::new(STANDARD_INPUT);
    let text = if is_piped {
        read_standard_input(&shown)
    } else if given::is_path(path) {
        Ok(given::text())
    } else {
        read_text(path, &shown, files)
    };
    let config = text.and_then(|text| parse_whole(&shown, &text, &sources, is_piped));
    config.map(|config| Config {
        path: path.to_owned(),
        ..config
    })
}

/// The problem of a configuration that was not read within [`TIME_TO_LOAD`].
pub fn too_late(path: &Path) -> Problems {
    let shown = shown_path(path);
    let seconds = TIME_TO_LOAD.as_secs();
    Problems::whole_file(
        &shown,
        format!("{shown} and its files could not be read within {seconds} seconds"),
        "see whether the file, one of its `file:` secrets or `[state] dir` lies on a mount that does not answer",
    )
}

/// Reads and checks `text`, which messages call `path`; secrets come from `sources`.
///
/// # Errors
/// Every problem of the text at once.
pub fn parse(path: &str, text: &str, sources: &Sources<'_>) -> Result<Config, Problems> {
    parse_whole(path, text, sources, false)
}

/// Tables of a route that are easily written as tables of the file.
const OF_A_ROUTE: [(&str, &str); 3] = [("queue", EACH), ("resign", EACH), ("scheme", EACH)];
const EACH: &str = "each route has its own: write `[route.…]` below its `[[route]]`";

/// Parses as [`parse`] does. `is_piped`: the text cannot be read again.
fn parse_whole(
    path: &str,
    text: &str,
    sources: &Sources<'_>,
    is_piped: bool,
) -> Result<Config, Problems> {
    let mut findings = Findings::default();
    let (tree, errors) = DeTable::parse_recoverable(text);
    findings.syntax(text, &errors);

    let empty = DeTable::new();
    let mut file = Table::new("", 0..0, tree.get_ref());
    let mut section = |key: &'static str, findings: &mut Findings| {
        let item = file.item(key);
        let table = item.and_then(|item| item.table(findings, &format!("[{key}]")));
        table.unwrap_or_else(|| Table::new(key, 0..0, &empty))
    };
    let server_table = section("server", &mut findings);
    let admin_table = section("admin", &mut findings);
    let replay_table = section("replay", &mut findings);
    let state_table = section("state", &mut findings);
    let spans = Spans {
        server: server_table.span(),
        max_buffered: server_table.span_of("max_buffered"),
        health_path: server_table.span_of("health_path"),
        tls: server_table.span_of("tls"),
        admin_listen: admin_table.span_of("listen"),
        ttl: Some(replay_table.span_of("ttl")).filter(|span| *span != replay_table.span()),
    };
    let watch = server_table.span_of("watch");
    let public_url = server_table.span_of("public_url");
    let state_dir = state_table.span_of("dir").start;
    let (state, state_keys) = State::read(state_table, &mut findings, sources);
    let server = Server::read(server_table, &mut findings, sources, &state);
    placeholders::judge_server(server.public_url.as_deref(), public_url, &mut findings);
    if is_piped && server.watch.is_some() {
        findings.problem(
            watch,
            "`watch` reads the configuration again, and standard input cannot be read again",
            "name a file, or leave `watch` out",
        );
    }
    let admin = Admin::read(admin_table, &mut findings, sources);
    let replay = Replay::read(replay_table, &state, &mut findings);
    let drafts = read_routes(&mut file, &mut findings, sources, &server, &replay, &state);
    file.finish_with(&mut findings, &OF_A_ROUTE);
    if let Some(drafts) = &drafts {
        checks::judge(&spans, &server, &admin, &replay, drafts, &mut findings);
        shared_keys::judge(drafts, &mut findings);
        let of_state = OfState {
            keys: &state.keys,
            places: &state_keys,
        };
        let eab = server.acme.as_ref().and_then(|acme| acme.eab.as_ref());
        resign_checks::judge_beside(drafts, &admin, eab, &of_state, &mut findings);
    }
    let routes: Vec<Route> = drafts
        .unwrap_or_default()
        .into_iter()
        .filter_map(|draft| draft.route)
        .collect();
    let names: Vec<String> = routes.iter().map(|route| route.name.clone()).collect();
    let Sorted {
        warnings,
        acknowledged,
    } = findings.finish(path, text, &names)?;
    Ok(Config {
        path: path.into(),
        server,
        admin,
        replay,
        state_line: if state.is_named {
            LineStarts::of(text).position(state_dir).line
        } else {
            0
        },
        state,
        routes,
        warnings,
        acknowledged,
        files: sources.files.set(),
    })
}

/// Reads every `[[route]]`. `None` where `route` is not a list of tables, so that the file is not
/// also refused for having no route.
fn read_routes<'t>(
    file: &mut Table<'t>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    server: &Server,
    replay: &Replay,
    state: &State,
) -> Option<Vec<Draft<'t>>> {
    let Some(item) = file.item("route") else {
        return Some(Vec::new());
    };
    let DeValue::Array(entries) = item.value.get_ref() else {
        findings.hide_all(item.value);
        let message = "`route` must be a list of tables";
        findings.problem(
            item.key_span,
            message,
            "begin each route with a line `[[route]]`, in double brackets, and its `name` below",
        );
        return None;
    };
    let mut drafts = Vec::with_capacity(entries.len());
    for value in entries {
        if let DeValue::Table(entries) = value.get_ref() {
            let table = Table::new("route", value.span(), entries);
            findings.enter_route(Some(drafts.len()));
            let draft = route::read(table, findings, sources, server, replay, state);
            judge::judge(&draft, sources.now, findings);
            queue_judge::judge(&draft, state, findings);
            findings.enter_route(None);
            drafts.push(draft);
        } else {
            findings.hide_all(value);
            findings.problem(
                value.span(),
                "a route must be a table",
                "write each route under `[[route]]`",
            );
        }
    }
    Some(drafts)
}

/// Reads the address of the admin port in the file at `path`, and nothing else of it: no secret is
/// looked for. Returns after [`TIME_TO_LOAD`] at the latest.
///
/// # Errors
/// The file cannot be read, or has no such address where one is written.
pub fn admin_address(path: &Path) -> Result<SocketAddr, Problems> {
    let own = path.to_owned();
    let read = move || {
        let shown = shown_path(&own);
        let text = read_text(&own, &shown, &Files::default())?;
        Admin::address(&shown, &text)
    };
    files::within(TIME_TO_LOAD, read).unwrap_or_else(|| Err(too_late(path)))
}

/// The address of the admin port in the file at `path` and its token, of which nothing else is judged.
///
/// # Errors
/// The file or the token cannot be read, or one of both is wrong.
pub fn admin_access(
    path: &Path,
) -> Result<(SocketAddr, Option<crate::key::secret::SecretText>), Problems> {
    let own = path.to_owned();
    let read = move || {
        let shown = shown_path(&own);
        let files = Files::default();
        let text = read_text(&own, &shown, &files)?;
        let sources = Sources::of_process(own.parent().unwrap_or(Path::new("")), &files);
        Admin::access(&shown, &text, &sources)
    };
    files::within(TIME_TO_LOAD, read).unwrap_or_else(|| Err(too_late(path)))
}

/// The name that messages use for a configuration file.
pub fn shown_path(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) {
        "standard input".to_owned()
    } else if given::is_path(path) {
        given::SHOWN.to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads the configuration from standard input, once in the life of the process.
fn read_standard_input(shown: &str) -> Result<Zeroizing<String>, Problems> {
    static IS_READ: AtomicBool = AtomicBool::new(false);
    let whole = |message: &str, help: &str| Err(Problems::whole_file(shown, message, help));
    // Nothing else depends on the flag, so no ordering is needed.
    if IS_READ.swap(true, Ordering::Relaxed) {
        return whole(
            "the configuration came from standard input, which cannot be read again",
            "start again, or name a file",
        );
    }
    // A single allocation, so that a growing buffer leaves no half-read copy of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(MAX_FILE).unwrap_or(0) + 32,
    ));
    let read = io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes);
    match read {
        Err(why) => whole(
            &format!("standard input cannot be read: {why}"),
            "name a file",
        ),
        Ok(_) if bytes.len() as u64 > MAX_FILE => whole(
            "standard input is larger than 1 MiB",
            "name a configuration file",
        ),
        Ok(_) => text_of(&bytes, shown),
    }
}

/// The file that the first steps of README make.
const HERE: &str = "./verigate.toml";

fn read_text(path: &Path, shown: &str, files: &Files) -> Result<Zeroizing<String>, Problems> {
    let whole = |message: String, help: &str| Problems::whole_file(shown, message, help);
    let looked_for = |path: &Path| match std::path::absolute(path) {
        Ok(absolute) if path.is_relative() => {
            format!(" It was looked for at {}", absolute.display())
        }
        _ => String::new(),
    };
    let read = files.read(path, MAX_FILE).map_err(|why| {
        let message = match why.kind() {
            io::ErrorKind::NotFound => format!("there is no configuration file {shown}"),
            io::ErrorKind::Other => format!("the configuration file {shown} {why}"),
            _ => format!("the configuration file {shown} cannot be read: {why}"),
        };
        let help = match why.kind() {
            io::ErrorKind::NotFound if Path::new(HERE).is_file() => format!(
                "there is a {HERE}, which is read only where it is named: `verigate run {HERE}`, or \
                 `--config {HERE}` with any command.{}",
                looked_for(path)
            ),
            io::ErrorKind::NotFound => format!(
                "name yours, as in `--config verigate.toml`, or begin one with `verigate providers \
                 NAME > verigate.toml`; the sample conf/verigate.toml, which packages install as \
                 /etc/verigate/verigate.toml, shows every key.{}",
                looked_for(path)
            ),
            io::ErrorKind::PermissionDenied => {
                "let the user that verigate runs as read it and each directory above it".to_owned()
            }
            _ => "name a regular file of at most 1 MiB with `--config FILE`".to_owned(),
        };
        whole(message, &help)
    })?;
    text_of(&read.bytes, shown)
}

/// The text of a configuration.
fn text_of(bytes: &[u8], shown: &str) -> Result<Zeroizing<String>, Problems> {
    let whole = |message: String, help: &str| Problems::whole_file(shown, message, help);
    let bad_line = |at: usize| bytes.iter().take(at).filter(|b| **b == b'\n').count() + 1;
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        let message = format!("line {} of {shown} holds a NUL byte", bad_line(at));
        return Err(whole(message, "save it as plain UTF-8 text"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(why) => {
            let message = format!(
                "line {} of {shown} is not UTF-8",
                bad_line(why.valid_up_to())
            );
            Err(whole(message, "save it as UTF-8 text"))
        }
    }
}
