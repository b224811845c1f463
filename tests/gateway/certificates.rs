//! Certificates of TLS ports while the gateway runs (contract: The edge): a reload and `server.watch` put others in
//! force without dropping a connection, and their end is seen in time.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is how a test fails"
)]

use std::fs;
use std::sync::Arc;

use super::tls::{A, NAME, config, folder, shake, trusting};
use crate::support::certificates::{Authority, Pair, careless};
use crate::support::client::Client;
use crate::support::delivery::Delivery;
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually, now};

fn pair() -> Pair {
    Authority::of_tests().issue(&[NAME])
}

/// Whether a new connection gets this certificate.
fn has(gateway: &Gateway, pair: &Pair) -> bool {
    let client = shake(gateway.addr(), &Arc::new(careless()), NAME).unwrap();
    let shown = client.tls().connection().peer_certificates().unwrap();
    shown[0] == pair.parts().0[0]
}

fn kept(gateway: &Gateway) -> Client {
    let mut client = shake(gateway.addr(), &trusting(), NAME).unwrap();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    client
}

#[test]
fn tl_07_a_reload_changes_the_certificate_and_keeps_every_connection() {
    let upstream = Upstream::start();
    let (old, new) = (pair(), pair());
    let config = config(&upstream, A);
    let gateway = Gateway::start_in(folder(&[("a", &old)]), &config);
    let mut client = kept(&gateway);
    assert!(has(&gateway, &old));
    new.write(gateway.folder(), "a");
    assert!(has(&gateway, &old), "nothing is loaded unasked");
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    assert!(has(&gateway, &new));
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    // A bad pair leaves the running one.
    fs::write(gateway.folder().join("a.key"), &old.key).unwrap();
    let refused = gateway.admin("POST", "/reload", &[], "");
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(refused.status >= 400, "{refused}");
    assert!(text.contains("is not the key of the certificate"), "{text}");
    assert!(!text.contains("PRIVATE"), "{text}");
    assert!(has(&gateway, &new));
    new.write(gateway.folder(), "a");
    let other_port = config
        .clone()
        .extra(&format!("[[server.tls]]\nlisten = [\"127.0.0.1:0\"]\n{A}"));
    gateway.rewrite(&other_port);
    let refused = gateway.admin("POST", "/reload", &[], "");
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("server.tls.listen"), "{text}");
    client.ask(Delivery::fresh().bytes()).expect_status(200);
}

#[test]
fn tl_07_a_watched_certificate_is_loaded_with_its_key_and_never_half() {
    let upstream = Upstream::start();
    let (old, new) = (pair(), pair());
    let config = config(&upstream, A).server("watch", "\"1s\"");
    let gateway = Gateway::start_in(folder(&[("a", &old)]), &config);
    let mut client = kept(&gateway);
    new.write(gateway.folder(), "a");
    assert!(eventually(LATE, || has(&gateway, &new)));
    // The certificate comes long before its key.
    fs::write(gateway.folder().join("a.crt"), &old.certificate).unwrap();
    assert!(eventually(LATE, || {
        gateway
            .stderr()
            .contains("is not the key of the certificate")
    }));
    assert!(has(&gateway, &new));
    old.write(gateway.folder(), "a");
    assert!(eventually(LATE, || has(&gateway, &old)));
    // A file that vanishes changes nothing.
    fs::remove_file(gateway.folder().join("a.key")).unwrap();
    assert!(eventually(LATE, || gateway.stderr().contains("a.key")));
    assert!(has(&gateway, &old));
    client.ask(Delivery::fresh().bytes()).expect_status(200);
}

#[test]
fn tl_04_a_resumed_session_does_not_outlive_the_reload_that_asks_for_another_certificate() {
    let upstream = Upstream::start();
    let (own, other) = (Authority::new(), Authority::new());
    let folder = folder(&[("a", &pair())]);
    fs::write(folder.path().join("ca.crt"), own.pem()).unwrap();
    let port = config(&upstream, &format!("{A}\nclient_ca = \"ca.crt\""));
    let gateway = Gateway::start_in(folder, &port);
    let certificate = own.issue(&["client"]);
    let settings = crate::support::certificates::client(rustls::ALL_VERSIONS, Some(&certificate));
    let settings = Arc::new(settings);
    let ask = || -> bool {
        shake(gateway.addr(), &settings, NAME).is_ok_and(|mut client| {
            client.send(Delivery::fresh().bytes());
            client.try_answer(LATE).is_ok()
        })
    };
    assert!(ask() && ask());
    fs::write(gateway.folder().join("ca.crt"), other.pem()).unwrap();
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    assert!(!ask());
}

#[test]
fn the_end_of_a_certificate_is_a_metric_a_warning_and_in_check() {
    let upstream = Upstream::start();
    let end = i64::try_from(now()).unwrap() + 5 * 24 * 3600;
    let soon = Authority::of_tests().issue_with(&[NAME, "www.example.com"], |params| {
        let since = u64::try_from(end - 1_577_836_800).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1) + std::time::Duration::from_secs(since);
    });
    let gateway = Gateway::start_in(folder(&[("a", &soon)]), &config(&upstream, A));
    let metrics = gateway.metrics();
    let shown = metrics.value(
        "verigate_certificate_not_after_timestamp_seconds",
        &[("name", NAME)],
    );
    assert!(
        (shown - 1.0 - f64::from(u32::try_from(end).unwrap())).abs() < 0.5,
        "{shown}"
    );
    assert!(gateway.says("expires on 20"));
    let check = |arguments: &[&str]| {
        let output = binary()
            .arg("check")
            .args(arguments)
            .arg("--config")
            .arg(gateway.config_file())
            .env(crate::support::SECRET_VARIABLE, crate::support::SECRET)
            .env("PLAIN_SECRET", crate::support::PLAIN_SECRET)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let table = check(&[]);
    for word in [
        "https://127.0.0.1:0",
        "a.crt",
        "a.example.com, www.example.com, every other name",
        " until 20",
    ] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    let json: serde_json::Value = serde_json::from_str(&check(&["--json"])).unwrap();
    let certificate = &json["tls"][0]["certificates"][0];
    assert_eq!(certificate["names"][1], "www.example.com");
    assert_eq!(certificate["default"], true);
    assert!(
        json["warnings"].to_string().contains("certificate-ends"),
        "{json}"
    );
}
