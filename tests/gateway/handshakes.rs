//! Handshakes on the wire (contract: Proof; schemes: Handshakes): who is answered what, what is handed to the app, and
//! that none is claimed. Routes that learn their secret are in `learning`.

use crate::support::answer::{Answer, Framing};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, SOON, eventually};

/// A route of this handshake at `/h/NAME`, which signs the body alone.
fn route(upstream: &Upstream, name: &str) -> Route {
    let path = text(&format!("/h/{name}"));
    let route = Route::plain(upstream)
        .set("name", &text(name))
        .set("path", &path)
        .scheme("handshake", &text(name));
    if answers_with_mac(name) {
        let secret = text(&format!("plain:{}", secret_of(name)));
        return route.set("secrets", &format!("[{secret}]"));
    }
    route
}

/// Whether the handshake is answered with a MAC; no other route may have the key of such a route.
fn answers_with_mac(name: &str) -> bool {
    ["x-twitter", "zoom", "braintree", "linkedin", "smartcar"].contains(&name)
}

/// The secret of the route of this handshake.
fn secret_of(name: &str) -> String {
    if answers_with_mac(name) {
        format!("the-own-secret-of-{name}")
    } else {
        PLAIN_SECRET.to_owned()
    }
}

/// The gateway with a route for each of these.
fn gateway(upstream: &Upstream, names: &[&str]) -> Gateway {
    let with = |config: Config, name: &&str| config.route(route(upstream, name));
    Gateway::start(&names.iter().fold(Config::for_upstream(upstream), with))
}

/// A request without a body.
fn bare(method: &str, target: &str) -> Delivery {
    Delivery::unsigned(target, "")
        .method(method)
        .without("Content-Length")
}

/// A delivery of this body to a route, well signed.
fn signed(name: &str, body: &str) -> Delivery {
    let signature = sign_body(&secret_of(name), body.as_bytes());
    Delivery::plain(body)
        .target(format!("/h/{name}"))
        .set("X-Signature", format!("sha256={signature}"))
}

/// A delivery of this body to a route, its signature of the right form and wrong.
fn forged(name: &str, body: &str) -> Delivery {
    signed(name, body).set(
        "X-Signature",
        format!("sha256={}", sign_body("guessed", body.as_bytes())),
    )
}

/// Panics unless it is the gateway's answer to a handshake: this status, type and body, with `nosniff`.
#[track_caller]
fn expect_answer(answer: &Answer, status: u16, content_type: &str, body: &str) {
    assert_eq!(answer.status, status, "{answer}");
    assert_eq!(
        answer.header("Content-Type"),
        Some(content_type),
        "{answer}"
    );
    assert_eq!(
        answer.header("X-Content-Type-Options"),
        Some("nosniff"),
        "{answer}"
    );
    assert_eq!(String::from_utf8_lossy(&answer.body), body, "{answer}");
    assert!(answer.header("X-Request-Id").is_some(), "{answer}");
}

#[track_caller]
fn expect_log(gateway: &Gateway, answer: &Answer, verdict: Option<&str>, outcome: &str) {
    let log = gateway.log_of(answer);
    let told = |field: &str| {
        log.get(field)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    assert_eq!(
        (told("verdict").as_deref(), told("outcome").as_deref()),
        (verdict, Some(outcome)),
        "{log}"
    );
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

#[test]
fn unsigned_handshakes_are_answered_from_the_head_alone() {
    let upstream = Upstream::start();
    let x = route(&upstream, "x-twitter").set("secrets", "[\"env:X_SECRET\"]");
    let names = [
        "okta",
        "dropbox",
        "onfleet",
        "front",
        "microsoft-graph",
        "trello",
    ];
    let linkedin = route(&upstream, "linkedin").set("secrets", "[\"plain:client-secret-test\"]");
    let braintree = route(&upstream, "braintree")
        .scheme("algorithm", "\"hmac-sha1\"")
        .scheme("key", "\"hex\"")
        .set("secrets", "[\"env:BRAINTREE\"]")
        .handshake("public_key", "\"pubkey\"");
    let meta = route(&upstream, "meta").handshake("verify_token", "\"plain:meatyhamhock\"");
    let with = |config: Config, name: &&str| config.route(route(&upstream, name));
    let config = names
        .iter()
        .fold(Config::for_upstream(&upstream), with)
        .route(x)
        .route(linkedin)
        .route(braintree)
        .route(meta);
    // the published secrets: SHA-1 of `privkey`, and X's
    let config = config
        .env("BRAINTREE", "0dd0da07feae08ca6e2aebb6d43a404292ba868c")
        .env("X_SECRET", "consumer_secret");
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    let crc = r#"{"response_token":"sha256=v1WdiCVwy17uGTMWveHGlqQXN/qW1bQraNXXByRO2YA="}"#;
    for (name, request, content_type, body) in [
        (
            "x",
            bare("GET", "/h/x-twitter?nonce=1&crc_token=challenge_string"),
            JSON,
            crc,
        ),
        (
            "okta",
            bare("GET", "/h/okta").with("X-Okta-Verification-Challenge", r#"a"b"#),
            JSON,
            r#"{"verification":"a\"b"}"#,
        ),
        (
            "dropbox",
            bare("GET", "/h/dropbox?challenge=%3Cb%3E"),
            TEXT,
            "<b>",
        ),
        (
            "onfleet",
            bare("GET", "/h/onfleet?check=%3Cb%3E"),
            TEXT,
            "<b>",
        ),
        (
            "front",
            Delivery::unsigned("/h/front", "").with("X-Front-Challenge", "abc123"),
            TEXT,
            "abc123",
        ),
        (
            "linkedin",
            bare(
                "GET",
                "/h/linkedin?applicationId=1&challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0",
            ),
            JSON,
            r#"{"challengeCode":"890e4665-4dfe-4ab1-b689-ed553bceeed0","challengeResponse":"a1b176c35d271d4b4ad2f2db29f20500099524b698dc6fef5a7082cdbbcab44a"}"#,
        ),
        (
            "braintree",
            bare(
                "GET",
                "/h/braintree?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
            ),
            TEXT,
            "pubkey|737ee49fd8648314b65baa80fcdd1408a822168e",
        ),
        (
            "graph",
            Delivery::unsigned(
                "/h/microsoft-graph?validationToken=Validation%3A+Testing",
                "",
            ),
            TEXT,
            "Validation: Testing",
        ),
        (
            "graph, as a client without a declared length sends no body",
            Delivery::unsigned("/h/microsoft-graph?validationToken=a+b", "").chunked(),
            TEXT,
            "a b",
        ),
        (
            "graph, as SharePoint spells it",
            Delivery::unsigned("/h/microsoft-graph?validationtoken=a", ""),
            TEXT,
            "a",
        ),
        (
            "meta",
            bare(
                "GET",
                "/h/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock",
            ),
            TEXT,
            "1158201444",
        ),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            expect_answer(&answer, 200, content_type, body);
            expect_log(&gateway, &answer, None, "handshake");
        });
    }
    cases.case("trello", || {
        let mut client = gateway.connect();
        client.send(bare("HEAD", "/h/trello").bytes());
        let answer = client.answer_to_head();
        assert_eq!(
            (answer.status, answer.header("Content-Length")),
            (200, Some("0")),
            "{answer}"
        );
        // the connection is in step
        client.send(Delivery::fresh().bytes());
        client.answer().expect_status(200);
    });
    cases.finish();
    assert_eq!(upstream.count(), 1);
    let labels = [("route", "okta"), ("verdict", "none")];
    let counted =
        || (gateway.metrics().value("verigate_requests_total", &labels) - 1.0).abs() < 0.5;
    assert!(eventually(SOON, counted), "{}", gateway.metrics().text);
}

#[test]
fn a_route_takes_get_and_head_for_its_handshake_alone() {
    let upstream = Upstream::start();
    let names = ["x-twitter", "trello", "slack"];
    let config = names
        .iter()
        .fold(Config::for_upstream(&upstream), |config, name| {
            config.route(route(&upstream, name))
        });
    let meta = route(&upstream, "meta").handshake("verify_token", "\"env:VERIFY_TOKEN\"");
    let gateway = Gateway::start(&config.route(meta).env("VERIFY_TOKEN", "right-token"));
    let mut cases = Cases::new();
    for (name, request) in [
        ("no token", bare("GET", "/h/x-twitter")),
        ("another parameter", bare("GET", "/h/x-twitter?challenge=a")),
        (
            "the handshake of another",
            bare("GET", "/h/slack?crc_token=a"),
        ),
        (
            "with a body",
            Delivery::unsigned("/h/x-twitter?crc_token=a", "x").method("GET"),
        ),
        ("another method", bare("PUT", "/h/x-twitter?crc_token=a")),
        ("GET of what takes HEAD", bare("GET", "/h/trello")),
        (
            "GET of what takes GET with parameters",
            bare("GET", "/h/meta"),
        ),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            answer.expect_refusal(405, "method_not_allowed");
            assert_eq!(answer.header("Allow"), Some("POST"), "{answer}");
        });
    }
    cases.finish();
    gateway
        .ask(bare("GET", "/h/meta?hub.mode=subscribe&hub.challenge=1"))
        .expect_refusal(403, "wrong_verify_token");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_signed_handshake_is_verified_first_answered_and_not_claimed() {
    let upstream = Upstream::start();
    let names = [
        "slack",
        "twitch",
        "discord-interactions",
        "discord-events",
        "zoom",
        "smartcar",
        "front",
    ];
    let gateway = gateway(&upstream, &names);
    let slack = r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let mut cases = Cases::new();
    for (name, delivery, status, content_type, body) in [
        ("slack", signed("slack", slack), 200, TEXT, "3eZbrw1a"),
        (
            "twitch",
            signed("twitch", r#"{"challenge":"pogchamp"}"#).with(
                "Twitch-Eventsub-Message-Type",
                "webhook_callback_verification",
            ),
            200,
            TEXT,
            "pogchamp",
        ),
        (
            "front",
            signed("front", r#"{"type":"sync"}"#).with("X-Front-Challenge", "abc123"),
            200,
            TEXT,
            "abc123",
        ),
        (
            "discord",
            signed("discord-interactions", r#"{"type":1}"#),
            200,
            JSON,
            r#"{"type":1}"#,
        ),
        (
            "discord events",
            signed("discord-events", r#"{"type":0}"#),
            204,
            TEXT,
            "",
        ),
    ] {
        cases.case(name, || {
            // the very same again: it was not claimed
            for _ in 0..2 {
                let answer = gateway.ask(delivery.clone());
                expect_answer(&answer, status, content_type, body);
                expect_log(&gateway, &answer, Some("valid"), "handshake");
            }
        });
    }
    cases.case("zoom", || {
        let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}"#;
        let answer = gateway.ask(signed("zoom", body));
        let mac = sign_body(&secret_of("zoom"), b"abc");
        expect_answer(
            &answer,
            200,
            JSON,
            &format!(r#"{{"plainToken":"abc","encryptedToken":"{mac}"}}"#),
        );
    });
    cases.case("smartcar", || {
        let body = r#"{"eventType":"VERIFY","data":{"challenge":"abc"}}"#;
        let mac = sign_body(&secret_of("smartcar"), b"abc");
        let answer = gateway.ask(signed("smartcar", body));
        expect_answer(&answer, 200, JSON, &format!(r#"{{"challenge":"{mac}"}}"#));
        gateway
            .ask(Delivery::unsigned("/h/smartcar", body))
            .expect_refusal(401, "missing_signature");
        gateway
            .ask(signed("smartcar", "abc"))
            .expect_refusal(401, "bad_signature");
    });
    cases.case("204 has no length", || {
        let answer = gateway.ask(signed("discord-events", r#"{"type":0}"#));
        assert!(
            answer.header("Content-Length").is_none() && answer.framing == Framing::None,
            "{answer}"
        );
    });
    cases.case("forged", || {
        gateway
            .ask(forged("slack", slack))
            .expect_refusal(401, "bad_signature");
    });
    let unsigned = Delivery::unsigned("/h/slack", slack);
    cases.case("unsigned", || {
        gateway
            .ask(unsigned)
            .expect_refusal(401, "missing_signature");
    });
    let bad = r#"{"type":"url_verification","challenge":"a b"}"#;
    cases.case("not of the form", || {
        gateway
            .ask(signed("slack", bad))
            .expect_refusal(400, "malformed_handshake");
    });
    cases.finish();
    assert_eq!(upstream.count(), 0);
    assert!(
        gateway.metrics().value("verigate_replay_entries", &[]) < 0.5,
        "a handshake was claimed"
    );
    // an event is none
    gateway
        .ask(signed(
            "slack",
            r#"{"type":"event_callback","challenge":"a"}"#,
        ))
        .expect_status(200);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn the_answer_to_zoom_is_made_with_the_secret_that_proved_its_request() {
    let upstream = Upstream::start();
    let route =
        route(&upstream, "zoom").set("secrets", "[\"env:NEXT_SECRET\", \"env:ZOOM_SECRET\"]");
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream)
            .route(route)
            .env("NEXT_SECRET", "not in use yet")
            .env("ZOOM_SECRET", &secret_of("zoom")),
    );
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}"#;
    let answer = gateway.ask(signed("zoom", body));
    assert_eq!(
        answer.json()["encryptedToken"],
        sign_body(&secret_of("zoom"), b"abc"),
        "{answer}"
    );
}

#[test]
fn a_wrong_signature_sent_on_purpose_is_refused_under_a_name_of_its_own() {
    let upstream = Upstream::start();
    let gateway = gateway(
        &upstream,
        &["discord-interactions", "discord-events", "xero"],
    );
    let mut cases = Cases::new();
    for (name, body, code) in [
        ("discord-interactions", r#"{"type":1}"#, "handshake_probe"),
        ("discord-interactions", r#"{"type":2}"#, "bad_signature"),
        ("discord-events", r#"{"type":0}"#, "handshake_probe"),
        ("discord-events", r#"{"type":1}"#, "bad_signature"),
    ] {
        cases.case(body, || {
            let answer = gateway.ask(forged(name, body));
            answer.expect_refusal(401, code);
            expect_log(&gateway, &answer, Some(code), "refused");
        });
    }
    for (body, status, verdict, outcome) in [
        (
            forged("xero", r#"{"events":[]}"#),
            401,
            "handshake_probe",
            "refused",
        ),
        (
            forged("xero", r#"{"events":[1]}"#),
            401,
            "bad_signature",
            "refused",
        ),
        (
            Delivery::unsigned("/h/xero", "{}"),
            401,
            "missing_signature",
            "refused",
        ),
        (
            signed("xero", r#"{"events":[]}"#),
            200,
            "valid",
            "handshake",
        ),
    ] {
        cases.case(verdict, || {
            let answer = gateway.ask(body);
            assert_eq!(
                (answer.status, answer.header("Content-Length")),
                (status, Some("0")),
                "{answer}"
            );
            expect_log(&gateway, &answer, Some(verdict), outcome);
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
    let labels = [("verdict", "handshake_probe")];
    let counted =
        || (gateway.metrics().value("verigate_requests_total", &labels) - 3.0).abs() < 0.5;
    assert!(eventually(SOON, counted), "{}", gateway.metrics().text);
}

const LARK: &str = r#"{"type":"url_verification","challenge":"ajls384","token":"xxxxxx"}"#;

/// Routes whose handshake stands in an unsigned body.
fn by_body(upstream: &Upstream) -> Gateway {
    let lark = route(upstream, "lark").handshake("verify_token", "\"plain:xxxxxx\"");
    Gateway::start(
        &Config::for_upstream(upstream)
            .route(lark)
            .route(route(upstream, "monday")),
    )
}

#[test]
fn an_unsigned_handshake_may_stand_in_a_small_body() {
    let upstream = Upstream::start();
    let gateway = by_body(&upstream);
    let unsigned = |name: &str, body: &str| Delivery::unsigned(&format!("/h/{name}"), body);
    let mut cases = Cases::new();
    for (name, request, verdict) in [
        ("lark", unsigned("lark", LARK), None),
        ("lark, chunked", unsigned("lark", LARK).chunked_by(7), None),
        ("lark, signed", signed("lark", LARK), Some("valid")),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            expect_answer(&answer, 200, JSON, r#"{"challenge":"ajls384"}"#);
            expect_log(&gateway, &answer, verdict, "handshake");
        });
    }
    cases.case("monday", || {
        let answer = gateway.ask(unsigned("monday", r#"{"challenge":"3eZ"}"#));
        expect_answer(&answer, 200, JSON, r#"{"challenge":"3eZ"}"#);
    });
    let large = format!(r#"{{"challenge":"a","fill":"{}"}}"#, "x".repeat(5000));
    for (name, request, status, code) in [
        (
            "an event",
            unsigned("lark", r#"{"type":"event_callback"}"#),
            401,
            "missing_signature",
        ),
        ("no body", unsigned("lark", ""), 401, "missing_signature"),
        (
            "no JSON",
            unsigned("monday", "challenge"),
            401,
            "missing_signature",
        ),
        (
            "larger",
            unsigned("monday", &large),
            401,
            "missing_signature",
        ),
        (
            "larger, chunked",
            unsigned("monday", &large).chunked(),
            401,
            "missing_signature",
        ),
        (
            "with a wrong signature",
            forged("lark", LARK),
            401,
            "bad_signature",
        ),
        (
            "with a signature of another form",
            unsigned("lark", LARK).with("X-Signature", "a"),
            401,
            "malformed_signature",
        ),
        (
            "another token",
            unsigned("lark", &LARK.replace("xxxxxx", "yyyyyy")),
            403,
            "wrong_verify_token",
        ),
        (
            "not of the form",
            unsigned("monday", r#"{"challenge":1}"#),
            400,
            "malformed_handshake",
        ),
    ] {
        cases.case(name, || gateway.ask(request).expect_refusal(status, code));
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn the_body_of_what_is_too_large_for_a_handshake_is_not_waited_for() {
    let upstream = Upstream::start();
    let gateway = by_body(&upstream);
    let head = Delivery::unsigned("/h/lark", event_of(5000))
        .with("Expect", "100-continue")
        .head();
    gateway.ask(head).expect_refusal(401, "missing_signature");
    // a small one is asked for
    let head = Delivery::unsigned("/h/lark", LARK).with("Expect", "100-continue");
    let mut client = gateway.connect();
    client.ask(head.head()).expect_status(100);
    client.ask(head.body()).expect_status(200);
}

#[test]
fn a_handshake_for_the_app_is_never_called_valid_and_never_claimed() {
    let upstream = Upstream::start();
    let forward = |name: &str| route(&upstream, name).handshake("mode", "\"forward\"");
    let config = [
        "x-twitter",
        "trello",
        "slack",
        "lark",
        "asana",
        "microsoft-graph",
    ]
    .iter()
    .fold(Config::for_upstream(&upstream), |config, name| {
        config.route(forward(name))
    })
    .route(route(&upstream, "aws-sns"))
    .route(route(&upstream, "notion"));
    let gateway = Gateway::start(&config);
    let encrypted = format!(r#"{{"encrypt":"{}A="}}"#, "A".repeat(42));
    let mut cases = Cases::new();
    for (name, request, secret, verdict) in [
        ("x", bare("GET", "/h/x-twitter?crc_token=a"), None, None),
        (
            "graph",
            Delivery::unsigned("/h/microsoft-graph?validationToken=a", ""),
            None,
            None,
        ),
        (
            "slack",
            signed("slack", r#"{"type":"url_verification","challenge":"a"}"#),
            Some("env:PLAIN_SECRET"),
            Some("valid"),
        ),
        (
            "sns",
            signed("aws-sns", r#"{"Type":"SubscriptionConfirmation"}"#),
            Some("env:PLAIN_SECRET"),
            Some("valid"),
        ),
        ("lark", Delivery::unsigned("/h/lark", LARK), None, None),
        (
            "lark, encrypted",
            Delivery::unsigned("/h/lark", encrypted),
            None,
            None,
        ),
        (
            "asana",
            Delivery::unsigned("/h/asana", "{}").with("X-Hook-Secret", "0123456789"),
            None,
            None,
        ),
        (
            "notion",
            Delivery::unsigned("/h/notion", r#"{"verification_token":"0123456789"}"#),
            None,
            None,
        ),
    ] {
        cases.case(name, || {
            let body = request.body().to_vec();
            for _ in 0..2 {
                let before = upstream.count();
                let answer = gateway.ask(request.clone().with("X-Verigate-Verdict", "valid"));
                answer.expect_status(200);
                assert_eq!(upstream.count(), before + 1, "forwarded");
                let recorded = upstream.last();
                assert_eq!(
                    recorded.header("X-Verigate-Verdict").as_deref(),
                    Some("handshake"),
                    "{recorded}"
                );
                assert_eq!(
                    recorded.header("X-Verigate-Secret").as_deref(),
                    secret,
                    "{recorded}"
                );
                assert!(!recorded.has("X-Verigate-Event-Id"), "{recorded}");
                assert_eq!(recorded.body, body);
                expect_log(&gateway, &answer, verdict, "forwarded");
            }
        });
    }
    cases.case("trello", || {
        let mut client = gateway.connect();
        client.send(bare("HEAD", "/h/trello").bytes());
        client.answer_to_head().expect_status(200);
        assert_eq!(upstream.last().method, "HEAD");
    });
    let long = "a".repeat(129);
    for (name, request, code) in [
        (
            "not of the form",
            bare("GET", &format!("/h/x-twitter?crc_token={long}")),
            "malformed_handshake",
        ),
        (
            "a secret that is none",
            Delivery::unsigned("/h/asana", "").with("X-Hook-Secret", "short"),
            "malformed_handshake",
        ),
    ] {
        cases.case(name, || gateway.ask(request).expect_refusal(400, code));
    }
    let forged = "{\"events\":[{\"action\":\"deleted\"}]}";
    let forged = Delivery::unsigned("/h/asana", forged).with("X-Hook-Secret", "0123456789");
    let token = "{\"verification_token\":\"0123456789\",\"data\":{}}";
    let captured = format!("{{\"encrypt\":\"{}\"}}", "A".repeat(384));
    for (name, request) in [
        ("an event as Asana's handshake", forged),
        (
            "an event as Notion's",
            Delivery::unsigned("/h/notion", token),
        ),
        (
            "an event as Lark's",
            Delivery::unsigned("/h/lark", captured),
        ),
    ] {
        cases.case(name, || {
            let before = upstream.count();
            gateway
                .ask(request)
                .expect_refusal(401, "missing_signature");
            assert_eq!(upstream.count(), before, "nothing unproved reaches the app");
        });
    }
    let large = Delivery::unsigned("/h/asana", "")
        .with("X-Hook-Secret", "0123456789")
        .set("Content-Length", "9999999");
    cases.case("too large", || {
        gateway.ask(large).expect_refusal(413, "body_too_large");
    });
    cases.finish();
    assert!(
        gateway.metrics().value("verigate_replay_entries", &[]) < 0.5,
        "a handshake was claimed"
    );
}

#[test]
fn a_route_may_turn_its_handshake_off() {
    let upstream = Upstream::start();
    let off = |name: &str| route(&upstream, name).handshake("mode", "\"off\"");
    let names = ["x-twitter", "slack", "monday", "xero"];
    let config = names
        .iter()
        .fold(Config::for_upstream(&upstream), |config, name| {
            config.route(off(name))
        });
    let gateway = Gateway::start(&config);
    gateway
        .ask(bare("GET", "/h/x-twitter?crc_token=a"))
        .expect_refusal(405, "method_not_allowed");
    gateway
        .ask(Delivery::unsigned("/h/monday", r#"{"challenge":"a"}"#))
        .expect_refusal(401, "missing_signature");
    gateway
        .ask(forged("xero", r#"{"events":[]}"#))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(signed(
            "slack",
            r#"{"type":"url_verification","challenge":"a"}"#,
        ))
        .expect_status(200);
    assert_eq!(
        upstream.last().header("X-Verigate-Verdict").as_deref(),
        Some("valid")
    );
}

#[test]
fn in_shadow_mode_handshakes_are_answered_as_usual() {
    let upstream = Upstream::start();
    let shadow = |name: &str| route(&upstream, name).set("enforce", "false");
    let names = ["x-twitter", "slack", "monday", "discord-interactions"];
    let config = names
        .iter()
        .fold(Config::for_upstream(&upstream), |config, name| {
            config.route(shadow(name))
        });
    let gateway = Gateway::start(&config);
    let challenge = r#"{"challenge":"a"}"#;
    gateway
        .ask(bare("GET", "/h/x-twitter?crc_token=a"))
        .expect_status(200);
    gateway
        .ask(bare("GET", "/h/x-twitter?crc_token=a%20b"))
        .expect_refusal(400, "malformed_handshake");
    expect_answer(
        &gateway.ask(Delivery::unsigned("/h/monday", challenge)),
        200,
        JSON,
        challenge,
    );
    let slack = r#"{"type":"url_verification","challenge":"a"}"#;
    expect_answer(&gateway.ask(signed("slack", slack)), 200, TEXT, "a");
    gateway
        .ask(forged("discord-interactions", r#"{"type":1}"#))
        .expect_refusal(401, "handshake_probe");
    assert_eq!(upstream.count(), 0);
    // what is none of them is let through with its verdict
    let large = format!(r#"{{"fill":"{}"}}"#, "x".repeat(9000));
    let mut cases = Cases::new();
    for (name, request, verdict) in [
        (
            "unsigned",
            Delivery::unsigned("/h/monday", r#"{"event":{}}"#),
            "missing_signature",
        ),
        (
            "unsigned, chunked",
            Delivery::unsigned("/h/monday", large.clone()).chunked(),
            "missing_signature",
        ),
        (
            "unsigned, large",
            Delivery::unsigned("/h/monday", large),
            "missing_signature",
        ),
        (
            "a forged handshake",
            forged("slack", slack),
            "bad_signature",
        ),
        (
            "what an answer could have signed",
            signed("x-twitter", "abc"),
            "bad_signature",
        ),
    ] {
        cases.case(name, || {
            let body = request.body().to_vec();
            gateway.ask(request).expect_status(200);
            let recorded = upstream.last();
            assert_eq!(
                recorded.header("X-Verigate-Verdict").as_deref(),
                Some(verdict),
                "{recorded}"
            );
            assert_eq!(recorded.body, body);
        });
    }
    cases.finish();
}
