//! Holds the repository to what its pages say of it: who imports whom, where which crate is used, how long files are,
//! and that the tables and examples of the pages are those of the code.
//!
//! Sources are read as text (`reader`): comments and literals blanked out, paths taken as written. What a macro would
//! expand to is not seen. The pages are compared with the code in `documents` and `keys`, the headings that comments cite
//! in `citations`, the catalogue of attacks with the tests in `catalogue`.

#![expect(
    clippy::unwrap_used,
    reason = "a file that is missing or unreadable is a failed test"
)]

#[path = "architecture/catalogue.rs"]
mod catalogue;
#[path = "architecture/citations.rs"]
mod citations;
#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/keys.rs"]
mod keys;
#[path = "architecture/links.rs"]
mod links;
#[path = "architecture/loops.rs"]
mod loops;
#[path = "architecture/monitoring.rs"]
mod monitoring;
#[path = "architecture/packages.rs"]
mod packages;
#[path = "architecture/reader.rs"]
mod reader;
#[path = "architecture/supply.rs"]
mod supply;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reader::{code_of, following, is_word, uses};

/// The rooms of the crate from the bottom up. Each may import the rooms before it.
const ORDER: [&str; 20] = [
    "verdict",
    "clock",
    "tls",
    "acme",
    "wire",
    "notation",
    "key",
    "scheme",
    "providers",
    "verify",
    "queue",
    "routes",
    "sign",
    "explain",
    "config",
    "replay",
    "store",
    "telemetry",
    "gateway",
    "cli",
];

/// The rooms of the gateway from the bottom up. Each may import the rooms before it.
const GATEWAY_ORDER: [&str; 8] = [
    "timer",
    "client",
    "upstream",
    "running",
    "exchange",
    "delivering",
    "traffic",
    "operating",
];

/// The pure rooms: all before `config`.
fn pure_rooms() -> &'static [&'static str] {
    let first_impure = ORDER.iter().position(|room| *room == "config").unwrap();
    ORDER.split_at(first_impure).0
}

/// All crates that the pure rooms may use: buffers, JSON, cryptography, and the crates of their tests.
const PURE_CRATES: [&str; 35] = [
    "arc_swap",
    "arrayvec",
    "base64",
    "bytes",
    "criterion",
    "der",
    "ed25519_dalek",
    "flate2",
    "foldhash",
    "hex",
    "highway",
    "hmac",
    "http",
    "httparse",
    "insta",
    "memchr",
    "once_cell",
    "proptest",
    "rcgen",
    "rcgen",
    "ring",
    "rustls",
    "serde_json",
    "sha1",
    "sha2",
    "simdutf8",
    "siphasher",
    "smallvec",
    "subtle",
    "tempfile",
    "thiserror",
    "unicode_normalization",
    "wide",
    "x509_parser",
    "zeroize",
];

/// Modules of the standard library that the pure rooms may not use: files, sockets, processes, the environment, the clocks.
const IMPURE_MODULES: [&str; 5] = ["fs", "env", "process", "os", "thread"];
const IMPURE_TYPES: [&str; 7] = [
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "UnixStream",
    "SystemTime",
    "Instant",
];
/// The one file that reads clocks.
const CLOCK: &str = "clock.rs";

/// Crates with one home.
const HOMES: [(&str, &str); 7] = [
    ("pingora", "gateway"),
    ("tokio", "gateway"),
    ("rusqlite", "store"),
    ("prometheus", "telemetry"),
    ("toml", "config"),
    ("clap", "cli"),
    ("anyhow", "cli"),
];

/// The most lines of a product file. Tables of tests may be longer.
const MOST_LINES: usize = 500;

/// One file under `src`.
struct Source {
    /// Below `src`, with `/`.
    path: String,
    text: String,
    /// The text without comments and literals.
    code: String,
}

impl Source {
    /// The room that the file belongs to; `main` and `lib` for the two files that are in none.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the file is compiled for tests only. Such a file may import any room.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn is_pure(&self) -> bool {
        pure_rooms().contains(&self.room())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Every Rust file below one of these folders, its path from the root of the repository and its text.
fn rust_files_in(tops: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = tops.iter().map(|top| root().join(top)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            // Packages and environments of other languages' tests are not ours.
            let is_foreign = path
                .file_name()
                .is_some_and(|name| name == "node_modules" || name == ".venv");
            if path.is_dir() && !is_foreign {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((
                    path.strip_prefix(root())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                    text,
                ));
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of the crate and its tests.
fn rust_files() -> Vec<(String, String)> {
    rust_files_in(&["src", "tests"])
}

fn sources() -> Vec<Source> {
    let below = |path: String| path.trim_start_matches("src/").to_owned();
    let source = |(path, text): (String, String)| Source {
        path: below(path),
        code: code_of(&text),
        text,
    };
    rust_files_in(&["src"]).into_iter().map(source).collect()
}

/// The modules of this crate that a file names, by `crate::` or by as many `super::` as lead to the root.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let depth = source.path.trim_end_matches("/mod.rs").split('/').count();
    // tests inside the file are one module further down: there the same chain leads elsewhere
    let outside_tests = source.code.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = following(&source.code, "crate");
    found.extend(following(outside_tests, &vec!["super"; depth].join("::")));
    found.retain(|(_, name)| ORDER.contains(&name.as_str()));
    found
}

/// The dependencies in Cargo.toml as they are written in code.
fn dependencies() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let mut found = BTreeSet::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = matches!(line, "[dependencies]" | "[dev-dependencies]");
        } else if let Some((name, _)) = line
            .split_once(" = ")
            .filter(|(name, _)| is_inside && !name.starts_with('#'))
        {
            found.insert(name.replace('-', "_"));
        }
    }
    assert!(
        found.contains("pingora") && found.contains("arc_swap"),
        "{found:?}"
    );
    found
}

#[track_caller]
fn nothing(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn imports_go_down_the_ladder_only() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        let Some(own) = ORDER.iter().position(|room| *room == source.room()) else {
            continue;
        };
        for (line, name) in imports(&source) {
            let is_above = ORDER
                .iter()
                .position(|room| *room == name)
                .is_some_and(|place| place > own);
            if is_above {
                wrong.push(format!("src/{}:{line} imports {name}", source.path));
            }
        }
    }
    nothing(
        &wrong,
        &format!("a room may import those before it in {ORDER:?}"),
    );
}

#[test]
fn imports_go_down_the_rooms_of_the_gateway_only() {
    let place = |room: &str| GATEWAY_ORDER.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        let Some(path) = source.path.strip_prefix("gateway/") else {
            continue;
        };
        let first = path.split('/').next().unwrap_or_default();
        let Some(own) = place(first.strip_suffix(".rs").unwrap_or(first)) else {
            continue;
        };
        for (line, name) in following(&source.code, "crate::gateway") {
            if place(&name).is_some_and(|other| other > own) {
                wrong.push(format!(
                    "src/{}:{line} imports gateway::{name}",
                    source.path
                ));
            }
        }
    }
    nothing(
        &wrong,
        &format!("a room of the gateway may import those before it in {GATEWAY_ORDER:?}"),
    );
}

#[test]
fn one_file_names_the_store_of_claims() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "replay") {
        for (text, line) in source.code.lines().zip(1..) {
            if text
                .split(|c| !is_word(c))
                .any(|word| word == "MemoryWindow")
            {
                wrong.push(format!("src/{}:{line} names MemoryWindow", source.path));
            }
        }
    }
    nothing(
        &wrong,
        "`replay::Window` is the name of the store outside of its room",
    );
}

#[test]
fn the_drawing_of_the_ladder_is_that_of_the_imports() {
    let page = read("ARCHITECTURE.md");
    let drawing = page.split("```").nth(1).unwrap_or_default();
    let mut drawn: Vec<&str> = drawing
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    drawn.reverse();
    assert_eq!(
        drawn, ORDER,
        "the drawing at the top of ARCHITECTURE.md, from the bottom up"
    );
}

#[test]
fn every_room_has_its_place() {
    let known = |room: &str| ORDER.contains(&room) || matches!(room, "main" | "lib");
    let wrong: Vec<_> = sources()
        .iter()
        .filter(|s| !known(s.room()))
        .map(|s| format!("src/{}", s.path))
        .collect();
    nothing(
        &wrong,
        "a new room needs a place in ORDER, lib.rs and ARCHITECTURE.md",
    );
}

#[test]
fn pure_rooms_use_pure_crates_only() {
    let forbidden: Vec<_> = dependencies()
        .into_iter()
        .filter(|d| !PURE_CRATES.contains(&d.as_str()))
        .collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.is_pure()) {
        for name in &forbidden {
            wrong.extend(
                uses(&source.code, name)
                    .iter()
                    .map(|line| format!("src/{}:{line} uses {name}", source.path)),
            );
        }
    }
    nothing(
        &wrong,
        "the pure rooms know no runtime, log, file or server",
    );
}

#[test]
fn pure_rooms_touch_no_file_socket_environment_or_clock() {
    let mut wrong = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.is_pure() && source.path != CLOCK)
    {
        for (line, name) in following(&source.code, "std") {
            if IMPURE_MODULES.contains(&name.as_str()) {
                wrong.push(format!("src/{}:{line} uses std::{name}", source.path));
            }
        }
        for (text, line) in source.code.lines().zip(1..) {
            let mut words = text.split(|c| !is_word(c));
            if let Some(word) = words.find(|word| IMPURE_TYPES.contains(word)) {
                wrong.push(format!("src/{}:{line} uses {word}", source.path));
            }
        }
    }
    nothing(
        &wrong,
        &format!("the pure rooms do no input or output; only {CLOCK} reads clocks"),
    );
}

#[test]
fn some_crates_have_one_home() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, home) in HOMES.iter().filter(|(_, home)| *home != source.room()) {
            for line in uses(&source.code, name) {
                wrong.push(format!(
                    "src/{}:{line} uses {name}, which belongs to {home}",
                    source.path
                ));
            }
        }
    }
    nothing(&wrong, "crates used where they do not belong");
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("src/{} does not open with `//!`", source.path));
        }
        let lines = source.text.lines().count();
        if lines > MOST_LINES && !source.is_test() {
            wrong.push(format!(
                "src/{} has {lines} lines, more than {MOST_LINES}",
                source.path
            ));
        }
    }
    nothing(&wrong, "split a long file along its reasons to change");
}
