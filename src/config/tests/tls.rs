//! `[[server.tls]]`: what is read, chosen, refused and warned about.

use std::fs;
use std::path::Path;

use super::{ROUTE, env, warned};
use crate::clock::UnixMillis;
use crate::config::files::Files;
use crate::config::{Config, Problems, Sources, parse};
use crate::tls::Version;
use crate::tls::tests::pem_for;

/// A folder with the certificates `a` (two names), `b` (a wildcard), and `none` (an address alone).
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = [
        ("a", &["a.example.com", "www.example.com"][..]),
        ("b", &["*.example.org"]),
        ("none", &["127.0.0.1"]),
    ];
    for (name, names) in all {
        let (certificate, key) = pem_for(names);
        write(folder.path(), &format!("{name}.crt"), &certificate);
        write(folder.path(), &format!("{name}.key"), &key);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn read_at(folder: &Path, port: &str, now: UnixMillis) -> Result<Config, Problems> {
    let sources = Sources {
        base_dir: folder,
        env: &env,
        now,
        files: &Files::default(),
    };
    let text = format!("[[server.tls]]\n{port}\n{ROUTE}");
    parse("a.toml", &text, &sources)
}

fn read(folder: &Path, port: &str) -> Result<Config, Problems> {
    read_at(folder, port, UnixMillis(1_795_392_000_000))
}

const LISTEN: &str = "listen = [\"127.0.0.1:8443\"]\n";

#[test]
fn a_single_pair_is_the_default_and_a_list_has_none_unless_it_is_named() {
    let folder = folder();
    let single = format!("{LISTEN}certificate = \"a.crt\"\nkey = \"file:a.key\"");
    let list = format!(
        "{LISTEN}certificates = [{{ certificate = \"a.crt\", key = \"a.key\" }}, \
         {{ certificate = \"b.crt\", key = \"b.key\", names = [\"X.example.org\"] }}]"
    );
    let rows = [
        (single.clone(), None, true),
        (list.clone(), Some("www.example.com"), true),
        (list.clone(), Some("x.example.org"), true),
        (list.clone(), Some("y.example.org"), false),
        (list.clone(), None, false),
        (
            format!("{list}\ndefault = \"a.example.com\""),
            Some("y.example.org"),
            true,
        ),
    ];
    let mut failures = Vec::new();
    for (port, name, expected) in rows {
        let config = read(folder.path(), &port).unwrap_or_else(|problems| panic!("{problems}"));
        if config.server.tls[0].identities().has(name) != expected {
            failures.push((port, name));
        }
        assert_eq!(warned(&config), "");
    }
    assert!(failures.is_empty(), "{failures:?}");
    let strict = read(folder.path(), &format!("{single}\nmin_version = \"1.3\"")).unwrap();
    assert_eq!(strict.server.tls[0].min_version, Version::Tls13);
    let addresses: Vec<_> = strict.server.all_listen().map(|a| a.port()).collect();
    assert_eq!(addresses, [8080, 8443]);
}

#[test]
fn what_cannot_be_served_is_refused_where_it_is_written() {
    let folder = folder();
    write(folder.path(), "empty", "");
    let pair = |pair: &str| format!("{LISTEN}{pair}");
    let rows = [
        (pair(""), "`[[server.tls]]` needs a certificate and its key"),
        (
            pair("certificate = \"a.crt\""),
            "needs a certificate and its key",
        ),
        (
            "certificate = \"a.crt\"\nkey = \"a.key\"".to_owned(),
            "`server.tls.listen` is missing",
        ),
        (
            "listen = []\ncertificate = \"a.crt\"\nkey = \"a.key\"".to_owned(),
            "`server.tls.listen` is empty",
        ),
        (
            "listen = [\"127.0.0.1:8080\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"".to_owned(),
            "listens on an address that is already listened on",
        ),
        (
            "listen = [\"127.0.0.1:9090\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"".to_owned(),
            "`admin.listen` is an address of the traffic port too",
        ),
        (
            pair("certificate = \"gone.crt\"\nkey = \"a.key\""),
            "needs the file gone.crt, which does not exist",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"env:S\""),
            "`server.tls.key` names no file",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"b.key\""),
            "`server.tls.key` names a file that is not the key of the certificate",
        ),
        (
            pair("certificate = \"a.key\"\nkey = \"a.crt\""),
            "`server.tls.certificate` names a file that holds a private key and no certificate",
        ),
        (
            pair("certificate = \"empty\"\nkey = \"a.key\""),
            "`server.tls.certificate` names a file that holds no certificate",
        ),
        (
            pair("certificates = []"),
            "`server.tls.certificates` is empty",
        ),
        (
            pair("certificates = [{ certificate = \"a.crt\" }]"),
            "`server.tls.certificates.key` is missing",
        ),
        (
            pair(
                "certificates = [{ certificate = \"a.crt\", key = \"a.key\" }, \
                 { certificate = \"a.crt\", key = \"a.key\" }]",
            ),
            "is chosen for a.example.com, which an earlier certificate has",
        ),
        (
            pair(
                "certificates = [{ certificate = \"b.crt\", key = \"b.key\", names = [\"a.b.example.org\"] }]",
            ),
            "has a.b.example.org, which is no name of the certificate",
        ),
        (
            pair("certificates = [{ certificate = \"none.crt\", key = \"none.key\" }]"),
            "has none.crt, which is for no DNS name: no client would get it",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"a.key\"\ndefault = \"c.example.com\""),
            "`server.tls.default` is no name of a certificate of this port",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"a.key\"\nclient_ca = \"a.key\""),
            "`server.tls.client_ca` names a file that holds a private key and no certificate",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"a.key\"\nmin_version = \"1.1\""),
            "1.2",
        ),
        (
            pair("certificate = \"a.crt\"\nkey = \"a.key\"\nkeys = 1"),
            "did you mean",
        ),
    ];
    let mut failures = Vec::new();
    for (port, expected) in rows {
        let shown = read(folder.path(), &port)
            .err()
            .map(|problems| problems.render(false));
        let shown = shown.unwrap_or_default();
        if !shown.contains(expected) || shown.contains("MIG") {
            failures.push(format!("{port}\n{shown}\nlacks {expected}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_certificate_that_ends_is_warned_about_two_weeks_ahead() {
    use rcgen::{CertificateParams, KeyPair};
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    params.not_after = rcgen::date_time_ymd(2026, 4, 2);
    let certificate = params.self_signed(&key).unwrap();
    write(folder.path(), "a.crt", &certificate.pem());
    write(folder.path(), "a.key", &key.serialize_pem());
    let day = |month: u32, day: u32| {
        let text = format!("2026-{month:02}-{day:02}T00:00:00Z");
        UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    };
    let rows = [
        (day(1, 1), "counts from 2026-01-02 on only"),
        (day(1, 3), ""),
        (day(3, 18), ""),
        (day(3, 20), "expires on 2026-04-02"),
        (day(4, 3), "expired on 2026-04-02"),
    ];
    let port = format!("{LISTEN}certificate = \"a.crt\"\nkey = \"a.key\"");
    let mut failures = Vec::new();
    for (now, expected) in rows {
        let config = read_at(folder.path(), &port, now).unwrap();
        let shown = warned(&config);
        if shown.is_empty() != expected.is_empty() || !shown.contains(expected) {
            failures.push((expected, shown));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The default file shows a port behind `#`, with one pair and a list beside each other.
#[test]
fn the_port_of_the_default_file_can_be_switched_on() {
    let folder = folder();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/verigate.toml");
    let text = fs::read_to_string(file).unwrap();
    let (_, port) = text.split_once("# [[server.tls]]").unwrap();
    let keys = port
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix("#   "));
    let (list, single): (Vec<_>, Vec<_>) = keys.partition(|line| {
        ["certificates = ", "default = "]
            .iter()
            .any(|key| line.starts_with(key))
    });
    let at = |lines: &[&str]| {
        lines
            .join("\n")
            .replace("/etc/verigate/tls", "a")
            .replace("/etc/verigate/clients", "a")
    };
    let port = |port: &str| {
        let config = read(folder.path(), port).unwrap_or_else(|problems| panic!("{problems}"));
        config.server.tls.into_iter().next().unwrap()
    };
    assert!(port(&at(&single)).identities().has(None));
    let is_pair = |line: &&&str| {
        ["certificate = ", "key = "]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let others: Vec<&str> = single
        .iter()
        .filter(|line| !is_pair(line))
        .copied()
        .collect();
    let listed = port(&at(&[others, list].concat()));
    assert_eq!(listed.default, Some(0));
    assert_eq!(listed.certificates[0].names, ["a.example.com"]);
}

/// Digits among the letters of a file's name made it look like a secret.
#[test]
fn names_of_files_hosts_and_versions_are_shown_and_secrets_in_their_place_are_not() {
    let folder = folder();
    let rows = [
        (
            "certificate = \"hooks2026.crt\"\nkey = \"hooks2026.key\"",
            "hooks2026.crt\"",
            true,
        ),
        (
            "certificate = \"hooks2026.crt\"\nkey = \"hooks2026.key\"",
            "hooks2026.key\"",
            true,
        ),
        (
            "certificate = \"hooks2026.crt\"\nkey = \"hooks2026.key\"",
            "the file hooks2026.crt,",
            true,
        ),
        ("min_version = \"TLSv1.2\"", "\"TLSv1.2\"", true),
        ("min_version = \"TLSv1.2\"", "did you mean `1.2`?", true),
        (
            "certificate = \"a.crt\"\nkey = \"a.key\"\nclient_ca = \"ca2026.crt\"",
            "\"ca2026.crt\"",
            true,
        ),
        (
            "key = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\ncertificate = \"a.crt\"",
            "MfKQ9r8",
            false,
        ),
    ];
    for (keys, text, expected) in rows {
        let shown = read(folder.path(), &format!("{LISTEN}{keys}"))
            .unwrap_err()
            .to_string();
        assert_eq!(shown.contains(text), expected, "{shown}");
    }
}
