//! Certificates that the gateway orders by itself (contract: The edge), from a real authority and from one that behaves as
//! a test wants it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code: a panic is how a test fails"
)]

mod handshake;
mod pebble;
mod stub;
mod upgrades;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::AlertDescription;
use serde_json::Value;

use self::handshake::{Shown, connect};
use self::pebble::{EAB_ID, EAB_KEY, Pebble, Wanted, free_port, is_installed};
use self::stub::{Does, Stub};
use crate::support::config::Config;
use crate::support::gateway::Gateway;
use crate::support::held::{FOR_GOOD, Held};
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually};

const NAME: &str = "hooks.example.com";
const CHALLENGE: &str = "acme-tls/1";

/// The ports of a gateway under test, known before it starts.
struct Ports {
    http: u16,
    tls: u16,
}

impl Ports {
    fn free() -> Self {
        Self {
            http: free_port(),
            tls: free_port(),
        }
    }

    fn tls(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.tls))
    }

    fn wanted(&self, validity: u32) -> Wanted {
        Wanted {
            http: self.http,
            tls: self.tls,
            validity,
            external: false,
        }
    }

    /// A configuration with these keys of `[server.acme]`.
    fn config(&self, upstream: &Upstream, dir: &Path, keys: &str) -> Config {
        Config::for_upstream(upstream)
            .with_own_ports()
            .server("listen", &format!("[\"127.0.0.1:{}\"]", self.http))
            .extra(&format!(
                "[[server.tls]]\nlisten = [\"127.0.0.1:{}\"]\n\
                 [server.acme]\ndir = \"{}\"\nnames = [{NAME:?}]\naccept_terms = true\n{keys}",
                self.tls,
                dir.display()
            ))
    }
}

/// The folder of an authority in the directory, with a count of orders, so that the gateway need not
/// wait as it does with an empty one.
fn counted(dir: &Path, directory: &str) -> PathBuf {
    let folder = dir.join("acme").join(verigate::acme::folder_of(directory));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("orders.json"), "{\"names\":{}}").expect("a file");
    folder
}

/// The orders that were written down for the name.
fn orders(folder: &Path) -> usize {
    let text = fs::read(folder.join("orders.json")).unwrap_or_default();
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    value["names"][NAME]["orders"]
        .as_array()
        .map_or(0, Vec::len)
}

/// The certificate that is shown for the name, waited for.
#[track_caller]
fn certificate(gateway: &Gateway, addr: SocketAddr) -> Shown {
    let shown = || connect(addr, NAME, &["http/1.1"]).ok();
    assert!(
        eventually(LATE, || shown().is_some()),
        "no certificate\n{}",
        gateway.stderr()
    );
    shown().expect("a certificate").certificate()
}

fn metric(gateway: &Gateway, result: &str) -> f64 {
    let metrics = gateway.metrics();
    metrics.value("verigate_acme_orders_total", &[("result", result)])
}

#[test]
fn tl_08_a_name_gets_its_certificate_and_the_next_one_before_that_ends() {
    if !is_installed("certificates from pebble") {
        return;
    }
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let mut pebble = Pebble::start(&ports.wanted(36));
    let config = ports.config(&upstream, dir.path(), &pebble.keys());
    let gateway = Gateway::start(&config);
    let tls = ports.tls();
    // Nothing is ordered at once in a new directory, so that a crash loop orders nothing.
    let alert = |name, protocols: &[&str]| connect(tls, name, protocols).err();
    let unknown = Some(AlertDescription::UnrecognisedName);
    assert_eq!(alert(NAME, &["http/1.1"]), unknown);
    let no_protocol = Some(AlertDescription::NoApplicationProtocol);
    assert_eq!(alert(NAME, &[CHALLENGE]), no_protocol);
    gateway.expect_serving();
    assert_eq!(gateway.admin("GET", "/readyz", &[], "").status, 200);

    let first = certificate(&gateway, tls);
    assert_eq!(first.names, [format!("DNSName({NAME})")]);
    let answer = connect(tls, NAME, &["http/1.1"])
        .unwrap()
        .ask("GET /nowhere HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\n\r\n");
    assert!(answer.unwrap().starts_with("HTTP/1.1 404 "));
    assert_eq!(alert(NAME, &[CHALLENGE]), no_protocol);
    assert_eq!(alert("b.example.com", &["http/1.1"]), unknown);
    assert!((metric(&gateway, "issued") - 1.0).abs() < 0.1);
    let ends = gateway.metrics();
    let end = ends.value(
        "verigate_certificate_not_after_timestamp_seconds",
        &[("name", NAME)],
    );
    assert!(end > 1.0);

    let folder = dir.path().join("acme");
    let folder = folder.join(verigate::acme::folder_of(&pebble.directory()));
    for entry in fs::read_dir(&folder).unwrap() {
        let found = entry.unwrap().metadata().unwrap();
        assert_eq!(found.mode() & 0o777, 0o600);
    }
    for path in [folder.as_path(), folder.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
    }

    // The first one serves until the second is there.
    let renewed = eventually(LATE, || {
        connect(tls, NAME, &["http/1.1"]).unwrap().certificate() != first
    });
    assert!(renewed, "{}", gateway.stderr());
    let second = certificate(&gateway, tls);
    assert_eq!(orders(&folder), 2);
    drop(gateway);

    // A restart serves what was in force, at once and without an order.
    pebble.stop();
    let gateway = Gateway::start(&config);
    let shown = connect(tls, NAME, &["http/1.1"]).unwrap().certificate();
    assert_eq!(shown, second);
    assert!(metric(&gateway, "issued").abs() < 0.1);
    // The authority is gone: that is a warning.
    assert!(gateway.says("the authority of `[server.acme]` cannot be used"));
    gateway.expect_serving();
}

#[test]
fn tl_09_a_challenge_over_http_is_answered_on_plain_listeners_and_an_account_is_bound() {
    if !is_installed("certificates from pebble over HTTP") {
        return;
    }
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let pebble = Pebble::start(&Wanted {
        external: true,
        ..ports.wanted(86_400)
    });
    let folder = counted(dir.path(), &pebble.directory());
    let keys = format!(
        "{}challenge = [\"http-01\"]\ncontact = [\"mailto:ops@example.com\"]\n\
         eab = {{ key_id = {EAB_ID:?}, key = \"env:EAB_KEY\" }}\n",
        pebble.keys()
    );
    let config = ports
        .config(&upstream, dir.path(), &keys)
        .env("EAB_KEY", EAB_KEY);
    let gateway = Gateway::start(&config);
    certificate(&gateway, ports.tls());
    assert_eq!(orders(&folder), 1);
    // The path is like any other again, and the challenge was no exchange.
    assert_eq!(gateway.log_lines(), Vec::<Value>::new());
    let answer = gateway.ask("GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: a\r\n\r\n");
    answer.expect_status(404);
    let line = gateway.log_of(&answer);
    assert_eq!(line["verdict"], "no_route");
    let stderr = gateway.stderr();
    assert!(!stderr.contains(EAB_KEY), "{stderr}");
}

#[test]
fn tl_10_a_name_that_cannot_be_proved_is_not_ordered_again_by_restarts() {
    if !is_installed("a challenge that pebble cannot reach") {
        return;
    }
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pebble = Pebble::start(&Wanted {
        tls: free_port(),
        ..ports.wanted(86_400)
    });
    let folder = counted(dir.path(), &pebble.directory());
    let config = ports.config(&upstream, dir.path(), &pebble.keys());
    let gateway = Gateway::start(&config);
    let warning = format!("no certificate for {NAME}: ");
    let warned = eventually(LATE, || gateway.stderr().contains(&warning));
    assert!(warned, "{}", gateway.stderr());
    assert!(gateway.says("Failed to connect") && gateway.says("there is none in force"));
    assert!((metric(&gateway, "failed") - 1.0).abs() < 0.1);
    gateway.expect_serving();
    drop(gateway);
    for _ in 0..3 {
        let gateway = Gateway::start(&config);
        assert!(gateway.says("(orders in the last day: 1)"));
        assert!(!gateway.stderr().contains("ordering a certificate"));
    }
    assert_eq!(orders(&folder), 1);
    // Emptied: the count is lost, and the mark of the directory is not, where there are marks.
    fs::remove_dir_all(dir.path().join("acme")).unwrap();
    for _ in 0..2 {
        let gateway = Gateway::start(&config);
        assert!(gateway.says("there is no certificate for"));
        let stderr = gateway.stderr();
        assert!(!stderr.contains("it is ordered now"), "{stderr}");
        drop(gateway);
    }
    assert_eq!(orders(&folder), 0);
}

#[test]
fn tl_11_an_authority_that_does_not_answer_costs_a_warning() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let directory = format!("https://localhost:{}/dir", free_port());
    counted(dir.path(), &directory);
    let keys = format!("directory = {directory:?}\n");
    let gateway = Gateway::start(&ports.config(&upstream, dir.path(), &keys));
    assert!(gateway.says("the authority of `[server.acme]` cannot be used: localhost: "));
    gateway.expect_serving();
    let count = gateway.stderr().matches("cannot be used").count();
    assert_eq!(count, 1, "{}", gateway.stderr());
    // A file where the directory should be.
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let gateway = Gateway::start(&Ports::free().config(&upstream, &blocked, &keys));
    assert!(gateway.says("the directory of `[server.acme]`"));
    gateway.expect_serving();
}

#[test]
fn tl_11_an_authority_that_is_not_trusted_is_a_warning_that_names_the_key_for_its_root() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let (stub, other) = (Stub::start(Does::Renews), Stub::start(Does::Renews));
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    fs::write(&root, other.root()).unwrap();
    let keys = format!(
        "directory = {:?}\nca = \"{}\"\n",
        stub.directory(),
        root.display()
    );
    counted(dir.path(), &stub.directory());
    let gateway = Gateway::start(&ports.config(&upstream, dir.path(), &keys));
    let words = "cannot be used: localhost: its certificate is not trusted";
    assert!(gateway.says(words), "{}", gateway.stderr());
    assert!(
        gateway.says("`server.acme.ca` names"),
        "{}",
        gateway.stderr()
    );
}

/// A gateway that orders from a stub at once, and the folder of its files.
fn ordering(stub: &Stub, ports: &Ports, upstream: &Upstream, dir: &Path) -> (Gateway, PathBuf) {
    let folder = counted(dir, &stub.directory());
    let config = config_for(stub, ports, upstream, dir);
    (Gateway::start(&config), folder)
}

/// A configuration that orders from a stub.
fn config_for(stub: &Stub, ports: &Ports, upstream: &Upstream, dir: &Path) -> Config {
    let root = dir.join("root.pem");
    fs::write(&root, stub.root()).expect("a file");
    let keys = format!(
        "directory = {:?}\nca = \"{}\"\n",
        stub.directory(),
        root.display()
    );
    ports.config(upstream, dir, &keys)
}

#[test]
fn a_certificate_is_renewed_when_the_authority_suggests_it_and_says_which_it_replaces() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::start(Does::Renews);
    let (gateway, folder) = ordering(&stub, &ports, &upstream, dir.path());
    let first = certificate(&gateway, ports.tls());
    let renewed = eventually(LATE, || {
        connect(ports.tls(), NAME, &["http/1.1"])
            .unwrap()
            .certificate()
            != first
    });
    assert!(renewed, "{}", gateway.stderr());
    // The authority goes on suggesting, so a third order may be under way.
    assert!(orders(&folder) >= 2);
    let sent = stub.asked("/order");
    let new: Vec<_> = sent.iter().filter(|payload| payload.is_object()).collect();
    assert!(new.len() >= 2, "{sent:?}");
    assert!(new[0].get("replaces").is_none());
    let replaced = new[1]["replaces"].as_str().unwrap();
    assert!(replaced.split('.').count() == 2, "{replaced}");
}

#[test]
fn another_directory_is_said_with_what_serves_until_its_certificates_come() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let (first, other) = (Stub::start(Does::Renews), Stub::start(Does::Renews));
    let (gateway, _) = ordering(&first, &ports, &upstream, dir.path());
    certificate(&gateway, ports.tls());
    let root = dir.path().join("root.pem");
    fs::write(&root, other.root()).unwrap();
    let keys = format!(
        "directory = {:?}\nca = \"{}\"\n",
        other.directory(),
        root.display()
    );
    gateway.rewrite(&ports.config(&upstream, dir.path(), &keys));
    gateway.signal("HUP");
    let words = format!(
        "`server.acme.directory` is {} now: it gets an account of its own, and certificates of {} stay in force",
        other.directory(),
        first.directory()
    );
    assert!(gateway.says(&words), "{}", gateway.stderr());
    let words = format!(
        "there is no certificate for {NAME} from {} yet",
        other.directory()
    );
    assert!(gateway.says(&words), "{}", gateway.stderr());
    let words = "that of another authority is in force until then, at most until 2";
    assert!(gateway.says(words), "{}", gateway.stderr());
}

#[test]
fn tl_11_whatever_an_authority_answers_is_a_warning_on_one_line_and_a_wait() {
    let rows = [
        (
            Does::Limits("864000000000"),
            "too many certificates",
            "limited",
        ),
        (
            Does::Forges,
            "no\\n2026-01-01T00:00:00Z ERROR forged \\u{1b}[31m",
            "failed",
        ),
        (
            Does::Mistakes,
            "the certificate that came is not for",
            "failed",
        ),
        (Does::Floods, "length limit exceeded", "failed"),
        (Does::Misleads, "an address that is none", ""),
        (Does::Pages, "none of the protocol", ""),
    ];
    let upstream = Upstream::start();
    let mut failures = Vec::new();
    for (does, words, result) in rows {
        let (stub, ports) = (Stub::start(does), Ports::free());
        let dir = tempfile::tempdir().unwrap();
        let (gateway, folder) = ordering(&stub, &ports, &upstream, dir.path());
        let count = usize::from(!result.is_empty());
        let is_said = eventually(LATE, || {
            let counted = result.is_empty() || (metric(&gateway, result) - 1.0).abs() < 0.1;
            counted && gateway.stderr().contains(words)
        });
        if !is_said || orders(&folder) != count {
            failures.push(format!("{does:?}: {}", gateway.stderr()));
        }
        gateway.expect_serving();
        assert!(!gateway.stderr().contains("panicked"));
        assert!(gateway.resident_bytes() < 200 << 20);
        let alert = connect(ports.tls(), NAME, &["http/1.1"]).err();
        assert_eq!(alert, Some(AlertDescription::UnrecognisedName));
        if let Does::Limits(_) = does {
            // A week, however long the authority wishes.
            let text = fs::read_to_string(folder.join("orders.json")).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let until = value["names"][NAME]["not_before"].as_u64().unwrap() / 1000;
            let ahead = until - crate::support::now();
            assert!((7 * 86_400 - 60..=7 * 86_400).contains(&ahead), "{ahead}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The task that orders shares its thread with reloads, health checks and the signs of life, and marked the directory
/// there.
#[test]
fn a_directory_that_does_not_answer_while_an_order_is_marked_keeps_no_reload_waiting() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let (broken, other) = (Stub::start(Does::Pages), Stub::start(Does::Renews));
    let (gateway, _) = ordering(&broken, &ports, &upstream, dir.path());
    let Some(_held) = Held::every(&gateway, "setxattr", FOR_GOOD) else {
        return;
    };
    counted(dir.path(), &other.directory());
    gateway.rewrite(&config_for(&other, &ports, &upstream, dir.path()));
    gateway.signal("HUP");
    let is_marking = || Held::is_waiting(&gateway, "");
    let loaded = "is loaded and in force: asked by SIGHUP";
    let is_loaded = |times| gateway.stderr().matches(loaded).count() >= times;
    // A thread that gets the signal stops for a moment as well.
    let both = || is_loaded(1) && is_marking();
    assert!(eventually(LATE, both), "{}", gateway.stderr());
    // Two signals in a row may come as one.
    let is_loaded_again = || {
        gateway.signal("HUP");
        is_loaded(2)
    };
    assert!(eventually(LATE, is_loaded_again), "{}", gateway.stderr());
    assert!(eventually(LATE, is_marking), "{}", gateway.stderr());
}
