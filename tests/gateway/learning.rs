//! `secrets = ["learn:PATH"]`: the secret comes with a handshake of Asana or Notion (schemes: Handshakes), is kept
//! once, and verifies from then on.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::support::SOON;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

const LEARNED: &str = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";

fn route(upstream: &Upstream, name: &str) -> Route {
    Route::plain(upstream)
        .set("name", &text(name))
        .set("path", &text(&format!("/h/{name}")))
        .set("secrets", &format!("[\"learn:{name}.secret\"]"))
        .scheme("handshake", &text(name))
}

fn config(upstream: &Upstream) -> Config {
    Config::for_upstream(upstream)
        .route(route(upstream, "asana"))
        .route(route(upstream, "notion"))
}

fn file(gateway: &Gateway, name: &str) -> PathBuf {
    gateway.folder().join(format!("{name}.secret"))
}

fn asana(secret: &str) -> Delivery {
    Delivery::unsigned("/h/asana", "").with("X-Hook-Secret", secret)
}

fn notion(secret: &str) -> Delivery {
    Delivery::unsigned(
        "/h/notion",
        format!(r#"{{"verification_token":"{secret}"}}"#),
    )
}

fn delivery(name: &str, secret: &str, body: &str) -> Delivery {
    let signature = format!("sha256={}", sign_body(secret, body.as_bytes()));
    Delivery::unsigned(&format!("/h/{name}"), body).with("X-Signature", signature)
}

#[test]
fn a_route_learns_its_secret_once_and_verifies_by_it_at_once() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    for name in ["asana", "notion"] {
        let early = gateway.ask(delivery(name, LEARNED, "{\"a\":1}"));
        early.expect_refusal(503, "secret_not_learned");
        assert_eq!(early.header("Retry-After"), Some("60"), "{early}");
        let unsigned = Delivery::unsigned(&format!("/h/{name}"), "{}");
        gateway
            .ask(unsigned)
            .expect_refusal(401, "missing_signature");
        assert!(!file(&gateway, name).exists());
    }
    gateway
        .ask(asana("1234567"))
        .expect_refusal(400, "malformed_handshake");

    let answer = gateway.ask(asana(LEARNED));
    answer.expect_status(200);
    assert_eq!(answer.header("X-Hook-Secret"), Some(LEARNED), "{answer}");
    assert_eq!(
        (
            answer.header("Content-Length"),
            answer.header("X-Content-Type-Options")
        ),
        (Some("0"), Some("nosniff"))
    );
    let log = gateway.log_of(&answer);
    assert_eq!(
        (log["verdict"].as_str(), log["outcome"].as_str()),
        (None, Some("handshake")),
        "{log}"
    );
    let answer = gateway.ask(notion(LEARNED));
    answer.expect_status(200);
    assert!(
        answer.body.is_empty() && answer.header("X-Hook-Secret").is_none(),
        "{answer}"
    );

    for name in ["asana", "notion"] {
        assert_eq!(
            fs::read_to_string(file(&gateway, name)).unwrap_or_default(),
            LEARNED,
            "{name}"
        );
        assert_eq!(
            fs::metadata(file(&gateway, name))
                .map(|facts| facts.mode() & 0o777)
                .ok(),
            Some(0o600),
            "{name}"
        );
        assert_eq!(upstream.count(), usize::from(name == "notion"));
        gateway
            .ask(delivery(name, LEARNED, "{\"a\":1}"))
            .expect_status(200);
        let secret = format!("learn:{name}.secret");
        assert_eq!(
            upstream.last().header("X-Verigate-Secret"),
            Some(secret.clone())
        );
        let labels = [("route", name), ("secret", &*secret)];
        let counted = || {
            gateway
                .metrics()
                .value("verigate_secret_matches_total", &labels)
                > 0.5
        };
        assert!(
            crate::support::eventually(SOON, counted),
            "{}",
            gateway.metrics().text
        );
        gateway
            .ask(delivery(name, "another secret", "{\"a\":2}"))
            .expect_refusal(401, "bad_signature");
    }
    for again in [
        asana(LEARNED),
        asana("another-secret"),
        notion(LEARNED),
        notion("another-secret"),
    ] {
        gateway.ask(again).expect_refusal(401, "bad_signature");
    }
    assert_eq!(
        fs::read_to_string(file(&gateway, "asana")).unwrap_or_default(),
        LEARNED
    );
    let told = gateway.stdout() + &gateway.stderr();
    assert!(
        !told.contains(LEARNED) && !told.contains("another-secret"),
        "a secret was logged"
    );
}

#[test]
fn a_learned_secret_outlives_a_reload_and_a_restart() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    gateway.ask(asana(LEARNED)).expect_status(200);
    gateway.signal("HUP");
    assert!(
        gateway.says("is loaded and in force"),
        "{}",
        gateway.stderr()
    );
    gateway
        .ask(delivery("asana", LEARNED, "{\"a\":1}"))
        .expect_status(200);
    gateway
        .ask(asana("another-secret"))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(delivery("notion", LEARNED, "{}"))
        .expect_refusal(503, "secret_not_learned");
    let again = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
    let copied = fs::copy(file(&gateway, "asana"), again.path().join("asana.secret"));
    assert!(copied.is_ok(), "{copied:?}");
    let restarted = Gateway::start_in(again, &config(&upstream));
    restarted
        .ask(delivery("asana", LEARNED, "{\"a\":2}"))
        .expect_status(200);
    restarted
        .ask(asana("another-secret"))
        .expect_refusal(401, "bad_signature");
}

#[test]
fn of_many_handshakes_at_once_exactly_one_is_accepted() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    let clients: Vec<_> = (0..16)
        .map(|n| {
            let secret = format!("secret-number-{n:02}");
            let mut client = gateway.connect();
            client.send(asana(&secret).bytes());
            (secret, client)
        })
        .collect();
    let mut won = Vec::new();
    for (secret, mut client) in clients {
        let answer = client.answer();
        match answer.status {
            200 => won.push(secret),
            _ => answer.expect_refusal(401, "bad_signature"),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(
        fs::read_to_string(file(&gateway, "asana")).unwrap_or_default(),
        won[0]
    );
    gateway
        .ask(delivery("asana", &won[0], "{\"a\":1}"))
        .expect_status(200);
}

/// Whoever sends the first handshake chooses the secret, so it can be the key of another route.
#[test]
fn ky_02_ky_03_a_learned_key_is_compared_with_those_of_the_other_routes_when_it_comes() {
    const KEY: &str = "zoom-key-of-sixteen";
    let upstream = Upstream::start();
    let zoom = Route::new("zoom", "/h/zoom", &upstream)
        .set("provider", &text("zoom"))
        .set("secrets", &format!("[\"plain:{KEY}\"]"));
    let gateway = Gateway::start(&config(&upstream).route(zoom));
    for again in [asana(KEY), notion(KEY)] {
        // The handshake of Zoom would sign a delivery of the route for whoever asks.
        let answer = gateway.ask(again);
        answer.expect_refusal(400, "malformed_handshake");
    }
    let why = "was not taken: the secret `learn:asana.secret` of route `asana` is the same key as \
               `plain-1` of route `zoom`: the handshake of `zoom` signs what a stranger sends";
    assert!(gateway.says(why), "{}", gateway.stderr());
    for name in ["asana", "notion"] {
        assert!(!file(&gateway, name).exists(), "{name}");
        gateway
            .ask(delivery(name, KEY, "{}"))
            .expect_refusal(503, "secret_not_learned");
    }
    gateway.ask(asana(LEARNED)).expect_status(200);
    assert!(!gateway.stderr().contains("[shared-key]"));
    gateway.ask(notion(LEARNED)).expect_status(200);
    let shared = "route `notion`: the secret `learn:notion.secret` is also a key of route `asana`: \
                  a captured delivery is valid once on each [shared-key]";
    assert!(gateway.says(shared), "{}", gateway.stderr());
    let told = gateway.stdout() + &gateway.stderr();
    assert!(!told.contains(KEY) && !told.contains(LEARNED));
}

#[test]
fn a_secret_that_cannot_be_kept_is_not_taken() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let path = format!(
        "[{}]",
        text(&format!(
            "learn:{}",
            folder.path().join("asana.secret").display()
        ))
    );
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream).route(route(&upstream, "asana").set("secrets", &path)),
    );
    // The loader saw that the folder was there.
    folder.close().unwrap();
    gateway
        .ask(asana(LEARNED))
        .expect_refusal(500, "internal_error");
    assert!(
        gateway.says("the secret of a handshake was not taken"),
        "{}",
        gateway.stderr()
    );
    gateway
        .ask(delivery("asana", LEARNED, "{}"))
        .expect_refusal(503, "secret_not_learned");
    assert!(!gateway.stderr().contains(LEARNED));
}

#[test]
fn a_reload_at_the_same_moment_loses_no_secret() {
    let upstream = Upstream::start();
    for round in 0..4 {
        let gateway = Gateway::start(&config(&upstream));
        let mut client = gateway.connect();
        gateway.signal("HUP");
        client.send(asana(LEARNED).bytes());
        gateway.signal("HUP");
        client.answer().expect_status(200);
        let body = format!("{{\"round\":{round}}}");
        gateway
            .ask(delivery("asana", LEARNED, &body))
            .expect_status(200);
        assert!(
            gateway.says("is loaded and in force"),
            "{}",
            gateway.stderr()
        );
        gateway
            .ask(delivery("asana", LEARNED, &format!("{body} ")))
            .expect_status(200);
    }
}
