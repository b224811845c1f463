//! `[server.acme]`: what is read, and what is refused in words.

use super::{ROUTE, good, read, warned};
use crate::config::acme::ChallengeKind;

const PORT: &str = "[[server.tls]]\nlisten = [\"127.0.0.1:8443\"]\n";
const DIR: &str = "dir = \"state\"\n";
const DIRECTORY: &str = "directory = \"https://acme.example.com/dir\"\n";
const NAMES: &str = "names = [\"hooks.example.com\"]\n";
const TERMS: &str = "accept_terms = true\n";

fn file(keys: &str, port: &str) -> String {
    format!("[server.acme]\n{keys}{port}{ROUTE}")
}

fn with(more: &str) -> String {
    file(&format!("{DIR}{DIRECTORY}{NAMES}{TERMS}{more}"), PORT)
}

#[test]
fn the_least_table_has_the_defaults_and_serves_a_port_without_a_certificate() {
    let config = good(&with(""));
    let acme = config.server.acme.as_ref().unwrap();
    assert_eq!(acme.dir, std::path::Path::new("/nowhere/state"));
    assert_eq!(acme.directory, "https://acme.example.com/dir");
    assert_eq!(acme.names, ["hooks.example.com"]);
    assert!(acme.contact.is_empty() && acme.ca.is_none() && acme.eab.is_none());
    assert_eq!(
        acme.challenges,
        [ChallengeKind::TlsAlpn, ChallengeKind::Http]
    );
    let port = &config.server.tls[0];
    assert!(port.certificates.is_empty() && port.default.is_none());
    assert_eq!(port.managed_default, None);
    assert_eq!(warned(&config), "");
}

#[test]
fn the_directory_is_that_of_the_state_where_it_has_none_of_its_own() {
    let text = |keys: &str| {
        let keys = format!("{keys}{DIRECTORY}{NAMES}{TERMS}");
        format!("{}\n[state]\ndir = \"kept\"\n", file(&keys, PORT))
    };
    for (keys, expected) in [("", "/nowhere/kept"), (DIR, "/nowhere/state")] {
        let config = good(&text(keys));
        let acme = config.server.acme.as_ref().unwrap();
        assert_eq!(acme.dir, std::path::Path::new(expected));
    }
}

#[test]
fn http_01_is_left_out_where_no_plain_port_could_answer_it() {
    let config = good(&format!("[server]\nlisten = []\n{}", with("")));
    let acme = config.server.acme.as_ref().unwrap();
    assert_eq!(acme.challenges, [ChallengeKind::TlsAlpn]);
    let written = with("challenge = [\"tls-alpn-01\"]\n");
    good(&format!("[server]\nlisten = []\n{written}"));
}

#[test]
fn every_key_is_read() {
    let keys = format!(
        "dir = \"/var/lib/verigate\"\n{DIRECTORY}\
         names = [\"Hooks.Example.com\", \"xn--bcher-kva.example\"]\n{TERMS}\
         contact = [\"mailto:ops@example.com\", \"night@example.com\"]\n\
         challenge = [\"http-01\"]\neab = {{ key_id = \"kid-1\", key = \"env:EAB1\" }}\n"
    );
    let port = format!("{PORT}default = \"HOOKS.example.com\"\n");
    let config = good(&file(&keys, &port));
    let acme = config.server.acme.as_ref().unwrap();
    assert_eq!(acme.dir, std::path::Path::new("/var/lib/verigate"));
    assert_eq!(acme.names, ["hooks.example.com", "xn--bcher-kva.example"]);
    assert_eq!(
        acme.contact,
        ["mailto:ops@example.com", "mailto:night@example.com"]
    );
    assert_eq!(acme.challenges, [ChallengeKind::Http]);
    let eab = acme.eab.as_ref().unwrap();
    assert_eq!(eab.key_id, "kid-1");
    assert!(eab.key.expose().len() >= 16);
    let default = config.server.tls[0].managed_default.as_deref();
    assert_eq!(default, Some("hooks.example.com"));
}

#[test]
fn what_cannot_be_ordered_is_refused_where_it_is_written() {
    let names = |names: &str| file(&format!("{DIR}{DIRECTORY}{TERMS}names = {names}\n"), PORT);
    let directory = |url: &str| {
        let keys = format!("{DIR}{NAMES}{TERMS}directory = \"{url}\"\n");
        file(&keys, PORT)
    };
    let rows = [
        (
            file(&format!("{DIRECTORY}{NAMES}{TERMS}"), PORT),
            "`server.acme.dir` is missing",
        ),
        (
            file(&format!("{DIR}{NAMES}{TERMS}"), PORT),
            "acme-staging-v02.api.letsencrypt.org",
        ),
        (
            file(&format!("{DIR}{DIRECTORY}{TERMS}"), PORT),
            "`server.acme.names` is missing",
        ),
        (
            file(&format!("{DIR}{DIRECTORY}{NAMES}"), PORT),
            "`server.acme.accept_terms` is missing",
        ),
        (
            file(
                &format!("{DIR}{DIRECTORY}{NAMES}accept_terms = false\n"),
                PORT,
            ),
            "read the terms of service",
        ),
        (
            file(&format!("{DIR}{DIRECTORY}{NAMES}{TERMS}"), ""),
            "`[server.acme]` has no port to serve",
        ),
        (directory("http://acme.example.com/dir"), "is not encrypted"),
        (directory("acme.example.com"), "is no URL of a directory"),
        (
            directory("https://user:word@acme.example.com/dir"),
            "is no URL of a directory",
        ),
        (directory("https:///dir"), "is no URL of a directory"),
        (names("[]"), "`server.acme.names` is empty"),
        (names("\"hooks.example.com\""), "must be a list"),
        (names("[\"*.example.com\"]"), "has a wildcard"),
        (names("[\"bücher.example\"]"), "xn--"),
        (names("[\"127.0.0.1\"]"), "has an address"),
        (names("[\"a.example\", \"A.example\"]"), "has a name twice"),
        (with("contact = [\"ops\"]\n"), "is no mail address"),
        (
            with("contact = [\"mailto:a@b.example?cc=c@d.example\"]\n"),
            "is no mail address",
        ),
        (
            with("contact = [\"https://example.com/\"]\n"),
            "is no mail address",
        ),
        (with("challenge = []\n"), "no name could be proved"),
        (
            with("challenge = [\"tls\"]\n"),
            "did you mean `tls-alpn-01`",
        ),
        (with("challenge = [\"dns-01\"]\n"), "cannot change the DNS"),
        (with("challenge = [\"http-1\"]\n"), "did you mean `http-01`"),
        (
            format!(
                "[server]\nlisten = []\n{}",
                with("challenge = [\"tls-alpn-01\", \"http-01\"]\n")
            ),
            "and `server.listen` is empty",
        ),
        (
            with("challenge = [\"http-01\", \"http-01\"]\n"),
            "names a challenge twice",
        ),
        (
            with("ca = \"gone.crt\"\n"),
            "needs the file gone.crt, which does not exist",
        ),
        (
            with("eab = { key_id = \"k\" }\n"),
            "`server.acme.eab.key` is missing",
        ),
        (
            with("eab = { key_id = \"k\", key = \"plain:!!!!\" }\n"),
            "is no key of an external account",
        ),
        (
            with("eab = { key_id = \"k\", key = \"plain:c2hvcnQ\" }\n"),
            "is a key of less than 16 bytes",
        ),
        (
            with("eab = { key_id = \"k\", key = \"c2VjcmV0LXRoaW5n\" }\n"),
            "is not a reference",
        ),
        (
            with("email = \"a@b.example\"\n"),
            "unknown key `server.acme.email`",
        ),
        (
            file(
                &format!("{DIR}{DIRECTORY}{NAMES}{TERMS}"),
                &format!("{PORT}default = \"a.example.com\"\n"),
            ),
            "write one of hooks.example.com",
        ),
        (
            file(
                &format!("{DIR}{DIRECTORY}{NAMES}{TERMS}"),
                &format!("{PORT}certificate = \"a.crt\"\n"),
            ),
            "needs a certificate and its key",
        ),
    ];
    let mut failures = Vec::new();
    for (text, expected) in rows {
        let shown = read(&text).err().map(|problems| problems.render(false));
        let shown = shown.unwrap_or_default();
        if !shown.contains(expected) || shown.contains("c2VjcmV0") || shown.contains("!!!!") {
            failures.push(format!("{text}\n{shown}\nlacks {expected}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The default file shows the table behind `#`; the root of a private authority is a file of its own.
#[test]
fn the_table_of_the_default_file_can_be_switched_on() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/verigate.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("# [server.acme]").unwrap();
    let keys = table.lines().skip(1);
    let keys = keys.map_while(|line| line.strip_prefix("#   "));
    let keys: Vec<_> = keys.filter(|line| !line.starts_with("ca = ")).collect();
    assert!(keys.len() >= 7, "{keys:?}");
    let keys = keys.join("\n").replace("ACME_EAB_KEY", "EAB1");
    let config = good(&file(&format!("{keys}\n"), PORT));
    let acme = config.server.acme.unwrap();
    assert!(acme.directory.contains("staging"));
    assert!(acme.eab.is_some() && acme.contact.len() == 1);
}
