//! `[state]`: its limits, and the keys that encrypt what is kept.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::problems::each_says;
use super::{ROUTE, env, good, warned};
use crate::clock::UnixMillis;
use crate::config::{Config, Files, Problems, Sources, State, parse};
use crate::notation::encoding::Encoding;

/// A key of 32 bytes in base64, another for each `seed`.
fn key(seed: u8) -> String {
    let bytes: Vec<u8> = (0..32).map(|at| at ^ seed).collect();
    Encoding::Base64.encode(&bytes)
}

fn state(lines: &str) -> String {
    format!("[state]\n{lines}\n{ROUTE}")
}

#[test]
fn the_limits_have_defaults_and_are_read() {
    let config = good(&state("dir = \"kept\""));
    let expected = State {
        dir: Some(Path::new("/nowhere/kept").to_owned()),
        ..config.state.clone()
    };
    assert_eq!(config.state, expected);
    let limits = |state: &State| {
        let State {
            timeout,
            max_bytes,
            max_deliveries,
            keep_free,
            ..
        } = state;
        (timeout.as_millis(), *max_bytes, *max_deliveries, *keep_free)
    };
    let defaults = (2000, 10 << 30, 1_000_000, 1 << 30);
    assert_eq!(limits(&config.state), defaults);
    assert_eq!(limits(&State::default()), defaults);
    assert_eq!(limits(&good(ROUTE).state), defaults);
    let config = good(&state(
        "dir = \"kept\"\ntimeout = \"500ms\"\nmax_bytes = \"64KiB\"\nmax_deliveries = 3\nkeep_free = 0",
    ));
    assert_eq!(limits(&config.state), (500, 65_536, 3, 0));
    assert_eq!(config.state.timeout, Duration::from_millis(500));
    assert_eq!(config.warnings, []);
}

#[test]
fn a_key_of_hexadecimal_digits_alone_is_warned_about_as_a_secret_is() {
    let keys = |text: &str| state(&format!("dir = \"kept\"\nkeys = [\"plain:{text}\"]"));
    let digits = "0123456789abcdef".repeat(4);
    let shown = warned(&good(&keys(&digits)));
    for words in [
        "hexadecimal digits alone",
        "decoded as base64",
        "[unlikely-secret]",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains(&digits));
    let shown = warned(&good(&keys(&key(3))));
    assert!(!shown.contains("hexadecimal"), "{shown}");
}

#[test]
fn the_state_is_told_what_is_wrong() {
    let dir = |lines: &str| state(&format!("dir = \"kept\"\n{lines}"));
    each_says(&[
        (state("timeout = \"1s\""), "`state.dir` is missing"),
        (
            state("max_bytes = \"1GiB\"\nkeep_free = 0"),
            "`state.dir` is missing",
        ),
        (dir("timeout = \"0s\""), "`state.timeout` is zero"),
        (dir("timeout = \"61s\""), "write at most 1m"),
        (dir("max_bytes = \"0\""), "`state.max_bytes` is zero"),
        (dir("max_deliveries = 0"), "from 1 to 1000000000"),
        (dir("keep_free = \"some\""), "is no size"),
        (dir("max_byte = 1"), "did you mean `max_bytes`?"),
        (dir("keys = \"hunter2\""), "must be a list"),
        (
            dir("keys = [\"hunter2\"]"),
            "is not a reference to a secret",
        ),
        (dir("keys = [[\"hunter2\"]]"), "must be a string"),
        (dir("keys = []"), "`state.keys` is empty"),
        (
            dir("keys = [\"plain:hunter2hunter2hunter2hunter2hunter2h\"]"),
            "the key `plain-1` of `[state]`",
        ),
        (dir("keys = [\"env:UNSET\"]"), "which is not set"),
        (
            dir("keys = [{ name = \"a\" }]"),
            "`state.keys.value` is missing",
        ),
        (
            dir("keys = [{ value = \"hunter2\" }]"),
            "is not a reference to a secret",
        ),
    ]);
}

#[test]
fn a_key_is_never_shown() {
    for (lines, expected) in [
        (
            format!("keys = [\"plain:{0}\", \"plain:{0}\"]", key(1)),
            "is the same as `plain-1`",
        ),
        (format!("keys = [\"{}\"]", key(1)), "is not a reference"),
        (format!("keys = {{ a = \"{}\" }}", key(1)), "must be a list"),
        (format!("keys = [\"plain:{}\"\n", key(1)), " in a.toml"),
    ] {
        let text = state(&format!("dir = \"kept\"\n{lines}"));
        let shown = super::read(&text).unwrap_err().render(false);
        assert!(shown.contains(expected), "{expected}: {shown}");
        assert!(!shown.contains(key(1).get(..8).unwrap()), "{shown}");
    }
    let config = good(&state(&format!(
        "dir = \"kept\"\nkeys = [\"plain:{}\"]",
        key(1)
    )));
    assert!(!format!("{config:?}").contains(key(1).get(..8).unwrap()));
    assert!(warned(&config).contains("the key `plain-1` is written in the configuration file"));
}

/// Reads a file whose secrets lie in a folder: `new` and `old` are keys, `both` is the secret of the
/// route.
fn read_beside(text: &str, both: &str) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    let long = Encoding::Base64.encode(&[key(3), key(4)].concat().into_bytes());
    let (first, rest) = long.split_at(64);
    for (name, text) in [
        ("new", format!("{}\n", key(1))),
        ("old", format!("{}\r\n", key(2))),
        ("a/new", key(5)),
        ("lines", format!("{first}\n{rest}\n")),
        ("both", both.to_owned()),
    ] {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).write(true).mode(0o600);
        let mut file = file.open(folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    let sources = Sources {
        base_dir: folder.path(),
        env: &env,
        now: UnixMillis(1_795_392_000_000),
        files: &Files::default(),
    };
    parse("a.toml", text, &sources)
}

#[test]
fn keys_are_read_from_files_decoded_and_named() {
    let lines = "dir = \"kept\"\nkeys = [\"file:new\", \"file:old\", { name = \"2026\", value = \"file:a/new\" }, \"file:lines\"]";
    let config = read_beside(&state(lines), "").unwrap();
    let names: Vec<_> = config
        .state
        .keys
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(names, ["file:new", "file:old", "2026", "file:lines"]);
    let bytes: Vec<u8> = (0..32).map(|at| at ^ 2).collect();
    assert_eq!(config.state.keys[1].key.expose(), bytes);
    assert_eq!(
        config.state.keys[3].key.expose(),
        [key(3), key(4)].concat().as_bytes()
    );
    assert_eq!(config.warnings, []);
    let lines = "dir = \"kept\"\nkeys = [\"file:new\", \"file:a/new\"]";
    let shown = read_beside(&state(lines), "").unwrap_err().render(false);
    assert!(
        shown.contains("two keys of `[state]` are called `file:new`"),
        "{shown}"
    );
}

#[test]
fn a_key_that_also_verifies_deliveries_is_refused() {
    let custom = |algorithm: &str, more: &str| {
        format!(
            "[state]\ndir = \"kept\"\nkeys = [\"file:old\", \"file:new\"]\n[[route]]\nname = \"c\"\npath = \"/c\"\n\
             secrets = [\"file:both\"]\nupstream = \"http://127.0.0.1:3000\"\n[route.scheme]\n\
             algorithm = \"{algorithm}\"\nsignature = {{ header = \"X-Signature\" }}\n{more}"
        )
    };
    let signed = |more: &str| {
        let parts = "signed = \"{timestamp}.{body}\"\ntimestamp = { header = \"X-Timestamp\" }\n";
        custom("hmac-sha256", &format!("{parts}{more}"))
    };
    let hex = |seed: u8| hex::encode((0..32).map(|at| at ^ seed).collect::<Vec<u8>>());
    let rows = [
        (signed(""), key(1), key(7)),
        (signed("key = \"base64\""), key(1), key(7)),
        (signed("key = \"hex\""), hex(1), hex(7)),
        (custom("token", ""), key(1), key(7)),
        // Written in other ways: without padding, in lines, behind a word.
        (custom("token", ""), key(1).replace('=', ""), key(7)),
        (custom("token", ""), key(1).replacen('A', "\nA", 1), key(7)),
        (custom("token", ""), format!("Bearer {}", key(1)), key(7)),
        (custom("token", ""), format!("0x{}", hex(1)), hex(7)),
    ];
    for (text, secret, other) in rows {
        let shown = read_beside(&text, &secret).unwrap_err().render(false);
        let words = "the key `file:new` of `[state]` is also the secret `file:both` of route `c`";
        assert!(shown.contains(words), "{text}\n{shown}");
        assert!(shown.contains("--> a.toml:3:21"), "{shown}");
        let other = read_beside(&text, &other);
        assert!(other.is_ok(), "{}", other.unwrap_err());
    }
}

#[test]
fn a_key_that_signs_or_opens_something_else_is_refused() {
    const KEYS: &str = "[state]\ndir = \"kept\"\nkeys = [\"file:old\", \"file:new\"]\n";
    let resign = |secrets: &str| format!("{KEYS}{ROUTE}[route.resign]\n{secrets}");
    let asked = "verify_token = \"file:new\"\nmode = \"answer\"\n";
    let asked = ROUTE.replace("itellico", "meta") + "[route.handshake]\n" + asked;
    let eab = "[server.acme]\ndirectory = \"https://acme.example.com/dir\"\nnames = [\"a.example.com\"]\n\
               accept_terms = true\neab = { key_id = \"1\", key = \"file:new\" }\n\
               [[server.tls]]\nlisten = [\"127.0.0.1:8443\"]\n";
    let rows = [
        (
            format!("{KEYS}[admin]\ntoken = \"file:new\"\n{ROUTE}"),
            "`admin.token`:",
        ),
        (
            resign("secret = \"file:new\"\n"),
            "`resign.secret` of route `a`:",
        ),
        (
            resign("secret = \"file:a/new\"\nprevious = \"file:new\"\n"),
            "`resign.previous` of route `a`:",
        ),
        (
            format!("{KEYS}{ROUTE}upstream_headers = {{ X-Token = \"file:new\" }}\n"),
            "`upstream_headers` of route `a`:",
        ),
        (
            format!("{KEYS}{asked}"),
            "`handshake.verify_token` of route `a`:",
        ),
        (format!("{KEYS}{eab}{ROUTE}"), "`server.acme.eab.key`:"),
    ];
    for (text, other) in rows {
        let shown = read_beside(&text, "").unwrap_err().render(false);
        let words = format!("the key `file:new` of `[state]` is also {other}");
        assert!(shown.contains(&words), "{words}\n{shown}");
        assert!(shown.contains("--> a.toml:3:21"), "{shown}");
        assert!(!shown.contains(key(1).get(..8).unwrap()), "{shown}");
        // Where only the first key of the list is there, the other place has the secret for itself.
        let alone = text.replace(", \"file:new\"]", "]");
        let read = read_beside(&alone, "");
        assert!(read.is_ok(), "{}", read.unwrap_err().render(false));
    }
}
