//! What is matched and not signed: types, paths and bodies beside an entry, conflicts, repeats, ignored types, and the
//! key of an event (contract: Beside an entry, Seen again, Repeats, The event key; RP-40 to RP-49).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, event_with, fresh_event_id, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, SOON, eventually, now};

const KEY: &str = "X-Verigate-Event-Key";

/// A route `/NAME` of the preset NAME with [`PLAIN_SECRET`].
fn preset(upstream: &Upstream, name: &str) -> Route {
    Route::new(name, &format!("/{name}"), upstream)
        .set("provider", &text(name))
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
}

fn github(body: &[u8], event_type: &str) -> Delivery {
    Delivery::unsigned("/github", body)
        .with("X-GitHub-Event", event_type)
        .with(
            "X-Hub-Signature-256",
            format!("sha256={}", sign_body(PLAIN_SECRET, body)),
        )
}

#[expect(clippy::expect_used, reason = "a helper of tests")]
fn shopify(body: &[u8], topic: &str) -> Delivery {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("any key length will do");
    mac.update(body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    Delivery::unsigned("/shopify", body)
        .with("X-Shopify-Topic", topic)
        .with("X-Shopify-Hmac-SHA256", signature)
}

fn value(gateway: &Gateway, name: &str) -> f64 {
    gateway.metrics().value(name, &[])
}

#[track_caller]
fn expect_entries(gateway: &Gateway, expected: f64) {
    let is_so = || (value(gateway, "verigate_replay_entries") - expected).abs() < 0.5;
    assert!(eventually(SOON, is_so), "{}", gateway.metrics().text);
}

#[test]
fn rp_40_invented_types_of_a_captured_delivery_get_nowhere_and_flush_nothing() {
    let upstream = Upstream::start();
    let config = Config::new()
        .replay("capacity", "30")
        .route(preset(&upstream, "github"))
        .route(preset(&upstream, "shopify"));
    let gateway = Gateway::start(&config);
    let (push, order) = (event(), event());
    gateway
        .ask(shopify(&order, "orders/paid"))
        .expect_status(200);
    gateway.ask(github(&push, "push")).expect_status(200);
    for number in 0..40 {
        gateway
            .ask(github(&push, &format!("x{number}")))
            .expect_refusal(409, "event_id_conflict");
    }
    gateway
        .ask(github(&push, "push").without("X-GitHub-Event"))
        .expect_refusal(409, "event_id_conflict");
    expect_entries(&gateway, 2.0);
    gateway
        .ask(shopify(&order, "orders/paid"))
        .expect_duplicate();
    gateway.ask(github(&push, "push")).expect_duplicate();
    assert_eq!(upstream.count(), 2);
    let labels = [("route", "github")];
    let conflicts = || {
        gateway
            .metrics()
            .value("verigate_event_id_conflicts_total", &labels)
    };
    assert!(eventually(SOON, || conflicts() > 40.5), "{}", conflicts());
    assert!(gateway.says("under another type"), "{}", gateway.stderr());
}

#[test]
fn rp_41_types_that_share_a_body_have_a_state_each_and_only_so_many() {
    let upstream = Upstream::start();
    let listed =
        preset(&upstream, "shopify").set("event_types", "[\"orders/create\", \"orders/paid\"]");
    let free = preset(&upstream, "shopify")
        .set("name", "\"free\"")
        .set("path", "\"/free\"");
    let gateway = Gateway::start(&Config::new().route(listed).route(free));
    let body = event();
    for topic in ["orders/create", "orders/paid"] {
        gateway.ask(shopify(&body, topic)).expect_status(200);
        gateway.ask(shopify(&body, topic)).expect_duplicate();
    }
    for number in 0..5 {
        let ignored = gateway.ask(shopify(&body, &format!("made/up{number}")));
        assert_eq!(ignored.json()["ignored"], true, "{ignored}");
    }
    expect_entries(&gateway, 1.0);
    assert_eq!(upstream.count(), 2);
    // Without a list, the first four that were done: what the app refuses takes no place.
    let free = |topic: &str| shopify(&body, topic).target("/free");
    for number in 0..5 {
        upstream.next(Behaviour::answer(&Reply::new(404)));
        gateway
            .ask(free(&format!("no/{number}")))
            .expect_status(404);
    }
    for topic in ["a", "b", "c", "d"] {
        gateway.ask(free(topic)).expect_status(200);
    }
    for topic in ["e", "f"] {
        gateway
            .ask(free(topic))
            .expect_refusal(409, "event_id_conflict");
    }
    gateway.ask(free("a")).expect_duplicate();
    expect_entries(&gateway, 2.0);
}

#[test]
fn rp_42_the_same_event_for_another_path_is_a_conflict() {
    let upstream = Upstream::start();
    let prefix = Route::itellico(&upstream).set("path", "\"/hooks/*\"");
    let gateway = Gateway::start(&Config::new().route(prefix));
    let body = event();
    let at = |path: &str, time: u64| Delivery::at(body.clone(), time).target(path);
    gateway.ask(at("/hooks/a", now())).expect_status(200);
    gateway.ask(at("/hooks/a", now() + 1)).expect_duplicate();
    for time in [now(), now() + 1] {
        gateway
            .ask(at("/hooks/b", time))
            .expect_refusal(409, "event_id_conflict");
    }
    assert_eq!(upstream.count(), 1);
    assert!(gateway.says("two routes"), "{}", gateway.stderr());
}

#[test]
fn rp_43_on_conflict_governs_every_conflict() {
    let upstream = Upstream::start();
    let own = Route::itellico(&upstream).set("replay", "{ on_conflict = 418 }");
    let types = preset(&upstream, "github").set("replay", "{ on_conflict = 299 }");
    let gateway = Gateway::start(&Config::new().route(own).route(types));
    let id = fresh_event_id();
    gateway
        .ask(Delivery::of(event_with(&id)))
        .expect_status(200);
    let other = Delivery::of(format!("{{\"event_id\":\"{id}\"}}"));
    let answer = gateway.ask(other);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (418, "event_id_conflict")
    );
    let body = event();
    gateway.ask(github(&body, "push")).expect_status(200);
    let answer = gateway.ask(github(&body, "ping"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (299, "event_id_conflict")
    );
}

#[test]
fn rp_43_a_forgiven_conflict_keeps_its_verdict() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = fresh_event_id();
    gateway
        .ask(Delivery::of(event_with(&id)))
        .expect_status(200);
    let answer = gateway.ask(Delivery::of(format!("{{\"event_id\":\"{id}\"}}")));
    answer.expect_duplicate();
    let line = gateway.log_of(&answer);
    assert_eq!(
        (line["verdict"].as_str(), line["outcome"].as_str()),
        (Some("event_id_conflict"), Some("duplicate")),
        "{line}"
    );
}

#[test]
fn rp_44_a_copy_in_flight_is_503_unless_the_route_says_otherwise() {
    let upstream = Upstream::start();
    let strict = Route::itellico(&upstream).set("replay", "{ on_in_flight = 425 }");
    let gateway = Gateway::start(&Config::new().route(strict).route(Route::plain(&upstream)));
    for (delivery, status) in [(Delivery::fresh(), 425), (Delivery::plain(event()), 503)] {
        let latch = Latch::closed();
        upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
        let mut first = gateway.connect();
        let before = upstream.count();
        first.send(delivery.bytes());
        upstream.wait_for(before + 1);
        let copy = gateway.ask(delivery);
        assert_eq!(
            (copy.status, copy.code().as_str()),
            (status, "event_in_flight")
        );
        assert_eq!(copy.header("Retry-After"), Some("1"), "{copy}");
        latch.open();
    }
}

#[test]
fn rp_45_types_that_a_route_does_not_take_are_acknowledged_and_claim_nothing() {
    let upstream = Upstream::start();
    let listed = |name: &str| {
        Route::itellico(&upstream)
            .set("name", &text(name))
            .set("path", &text(&format!("/{name}")))
            .set("event_types", "[\"conversation.ended\"]")
    };
    let config = Config::new()
        .route(listed("plain"))
        .route(listed("strict").set("on_ignored", "422"))
        .route(listed("shadow").set("enforce", "false"))
        .route(
            Route::spelled_out(&upstream)
                .set("name", "\"ack\"")
                .set("path", "\"/ack\"")
                .set("event_types", "[\"conversation.ended\"]")
                .scheme("event_type", "{ json = \"/event_type\" }")
                .scheme("ack", "{ status = 202, body = \"got it\" }"),
        );
    let gateway = Gateway::start(&config);
    let other = |path: &str| {
        let id = fresh_event_id();
        let body = format!("{{\"event_id\":\"{id}\",\"event_type\":\"conversation.started\"}}");
        Delivery::of(body).target(path)
    };
    let mut cases = Cases::new();
    cases.case("acknowledged", || {
        let delivery = other("/plain");
        for _ in 0..2 {
            let answer = gateway.ask(delivery.clone());
            answer.expect_status(200);
            assert_eq!(
                answer.json(),
                serde_json::json!({"ok": true, "ignored": true})
            );
            let line = gateway.log_of(&answer);
            assert_eq!(line["verdict"], "event_type_ignored", "{line}");
            assert_eq!(line["outcome"], "ignored", "{line}");
        }
        gateway.ask(other("/plain"));
    });
    cases.case("the first of the type is logged", || {
        let said = || gateway.stderr().matches("conversation.started").count();
        assert!(eventually(SOON, || said() == 1), "{}", gateway.stderr());
    });
    cases.case("another status", || {
        gateway
            .ask(other("/strict"))
            .expect_refusal(422, "event_type_ignored");
    });
    cases.case("the scheme's words", || {
        let answer = gateway.ask(other("/ack"));
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (202, b"got it".as_slice())
        );
    });
    cases.case("no type", || {
        let body = format!("{{\"event_id\":\"{}\"}}", fresh_event_id());
        gateway
            .ask(Delivery::of(body).target("/plain"))
            .expect_refusal(422, "invalid_envelope");
    });
    cases.case("not proved", || {
        gateway
            .ask(Delivery::signed("guessed", event(), &now().to_string()).target("/plain"))
            .expect_refusal(401, "bad_signature");
    });
    cases.case("nothing was forwarded or claimed", || {
        assert_eq!(upstream.count(), 0);
        expect_entries(&gateway, 0.0);
    });
    cases.case("shadow mode", || {
        gateway.ask(other("/shadow")).expect_status(200);
        let recorded = upstream.last();
        assert_eq!(
            recorded.header("X-Verigate-Verdict").as_deref(),
            Some("event_type_ignored")
        );
        assert!(!recorded.has(KEY), "{recorded}");
        expect_entries(&gateway, 0.0);
    });
    cases.finish();
}

#[expect(clippy::expect_used, reason = "a helper of tests")]
fn twilio(fields: &[(&str, &str)]) -> Delivery {
    let mut signed = b"https://hooks.example.com/twilio".to_vec();
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    for (name, value) in sorted {
        signed.extend_from_slice(name.as_bytes());
        signed.extend_from_slice(value.as_bytes());
    }
    let mut mac =
        Hmac::<Sha1>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("any key length will do");
    mac.update(&signed);
    let body: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Delivery::unsigned("/twilio", body.join("&"))
        .with("Content-Type", "application/x-www-form-urlencoded")
        .with(
            "X-Twilio-Signature",
            STANDARD.encode(mac.finalize().into_bytes()),
        )
}

#[test]
fn rp_46_a_request_that_wants_an_answer_is_forwarded_again_so_often() {
    let upstream = Upstream::start();
    let url = |route: Route| route.set("public_url", "\"https://hooks.example.com\"");
    let few = url(preset(&upstream, "twilio"))
        .set("name", "\"few\"")
        .set("path", "\"/few\"")
        .set("public_url", "\"https://hooks.example.com/twilio\"")
        .set("repeats", "{ most = 2, within = \"1h\" }");
    let none = url(preset(&upstream, "twilio"))
        .set("name", "\"none\"")
        .set("path", "\"/none\"")
        .set("public_url", "\"https://hooks.example.com/twilio\"")
        .set("repeats", "\"off\"");
    let config = Config::new()
        .route(url(preset(&upstream, "twilio")))
        .route(few)
        .route(none);
    let gateway = Gateway::start(&config);
    let menu = twilio(&[("CallSid", "CA1"), ("Digits", "")]);
    for _ in 0..21 {
        gateway.ask(menu.clone()).expect_status(200);
    }
    gateway.ask(menu).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 21);
    let asked = twilio(&[("CallSid", "CA2")]).target("/few");
    gateway.ask(asked.clone()).expect_status(200);
    // A repeat that fails does not count.
    for _ in 0..3 {
        upstream.next(Behaviour::answer(&Reply::new(500)));
        gateway.ask(asked.clone()).expect_status(500);
    }
    for _ in 0..2 {
        gateway.ask(asked.clone()).expect_status(200);
    }
    gateway.ask(asked).expect_refusal(409, "replayed_event");
    let once = twilio(&[("CallSid", "CA3")]).target("/none");
    gateway.ask(once.clone()).expect_status(200);
    gateway.ask(once).expect_duplicate();
}

#[test]
fn rp_46_only_the_same_request_byte_for_byte_is_a_repeat() {
    let upstream = Upstream::start();
    let route = preset(&upstream, "twilio")
        .set("public_url", "\"https://hooks.example.com\"")
        .set("methods", "[\"POST\", \"PUT\"]");
    let gateway = Gateway::start(&Config::new().route(route));
    let call = || twilio(&[("Body", "hello"), ("CallSid", "CA1")]);
    gateway.ask(call()).expect_status(200);
    let mut cases = Cases::new();
    // Nothing divides names and values in the content that is signed, so it is the same in each.
    for (name, body) in [
        ("a value that joins its name", "Bodyhello=&CallSid=CA1"),
        ("a name that joins a value", "Body=helloCallSidCA1"),
        ("a name made of two fields", "BodyhelloCallSid=CA1"),
        ("another order", "CallSid=CA1&Body=hello"),
        ("a field twice", "Body=hello&CallSid=CA1&CallSid=CA1"),
        ("an escape", "%42ody=hello&CallSid=CA1"),
    ] {
        cases.case(name, || {
            let length = body.len().to_string();
            let changed = call().set("Content-Length", length).with_body(body);
            gateway
                .ask(changed)
                .expect_refusal(409, "event_id_conflict");
        });
    }
    let charset = "application/x-www-form-urlencoded; charset=utf-16";
    for (name, changed) in [
        ("another method", call().method("PUT")),
        ("an empty query", call().target("/twilio?")),
        ("another charset", call().set("Content-Type", charset)),
    ] {
        cases.case(name, || {
            let refused = gateway.ask(changed);
            assert!((400..500).contains(&refused.status), "{refused}");
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 1);
    gateway.ask(call()).expect_status(200);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn rp_47_bodies_that_dropbox_sign_does_not_sign_are_kept_beside_the_entry() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::new().route(preset(&upstream, "dropbox-sign")));
    let (at, event_type) = (now().to_string(), "signature_request_sent");
    let hash = sign_body(PLAIN_SECRET, format!("{at}{event_type}").as_bytes());
    let callback = |account: &str, extra: &str| {
        let json = format!(
            "{{\"event\":{{\"event_time\":\"{at}\",\"event_type\":\"{event_type}\",\"event_hash\":\"{hash}\"}},\
             \"account_guid\":\"{account}\"}}"
        );
        let form = json
            .bytes()
            .fold(String::new(), |form, byte| form + &format!("%{byte:02X}"));
        Delivery::unsigned("/dropbox-sign", format!("json={form}{extra}"))
            .with("Content-Type", "application/x-www-form-urlencoded")
    };
    let ask = |account: &str, extra: &str| gateway.ask(callback(account, extra));
    let mut keys = Vec::new();
    for account in ["a", "b", "c", "d"] {
        assert_eq!(ask(account, "").status, 200);
        let recorded = upstream.last();
        assert_eq!(
            recorded.header("X-Verigate-Event-Type").as_deref(),
            Some(event_type),
            "the event is read from the form's field: {recorded}"
        );
        keys.push(recorded.header(KEY).unwrap());
    }
    assert_eq!(upstream.count(), 4);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "four events, four keys");
    // The form around the text that was verified makes nothing new.
    let copy = ask("a", "&other=1");
    assert_eq!(copy.body, b"Hello API Event Received", "{copy}");
    ask("e", "").expect_refusal(409, "event_id_conflict");
    assert_eq!(upstream.count(), 4);
    expect_entries(&gateway, 1.0);
}

/// The event key, from the words of the contract.
fn event_key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(32);
    digits
}

#[test]
fn rp_48_the_event_key_is_what_the_contract_says_for_every_copy_and_after_a_restart() {
    let upstream = Upstream::start();
    let shadow = |route: Route| route.set("enforce", "false");
    let config = Config::new()
        .route(shadow(Route::itellico(&upstream)))
        .route(shadow(preset(&upstream, "github")))
        .route(
            Route::plain(&upstream)
                .set("enforce", "false")
                .scheme("signed", "\"{header:X-Nonce}|{body}\""),
        )
        .route(
            Route::plain(&upstream)
                .set("name", "\"off\"")
                .set("path", "\"/off\"")
                .set("replay", "\"off\""),
        );
    let (id, body) = (fresh_event_id(), event());
    let first = Delivery::of(event_with(&id));
    let nonce = |nonce: &str, body: &[u8]| {
        let signed = [nonce.as_bytes(), b"|", body].concat();
        Delivery::unsigned("/hooks/plain", body)
            .with("X-Nonce", nonce)
            .with(
                "X-Signature",
                format!("sha256={}", sign_body(PLAIN_SECRET, &signed)),
            )
    };
    let content = [b"n|".as_slice(), &body].concat();
    let rows = [
        (
            first.clone(),
            event_key(&[b"itellico", b"id", id.as_bytes()]),
        ),
        (
            Delivery::at(event_with(&id), now() - 9),
            event_key(&[b"itellico", b"id", id.as_bytes()]),
        ),
        (
            github(&body, "push"),
            event_key(&[b"github", b"content+type", &body, b"push"]),
        ),
        (
            github(&body, "push").with("X-GitHub-Delivery", "made up"),
            event_key(&[b"github", b"content+type", &body, b"push"]),
        ),
        (
            github(&body, "x").without("X-GitHub-Event"),
            event_key(&[b"github", b"content+type", &body, b""]),
        ),
        (
            nonce("n", &body),
            event_key(&[b"plain", b"content", &content]),
        ),
    ];
    for _ in 0..2 {
        // In shadow mode copies are forwarded, so that their keys can be seen.
        let gateway = Gateway::start(&config);
        for (delivery, expected) in &rows {
            for _ in 0..2 {
                let spoofed = delivery
                    .clone()
                    .with(KEY, "spoofed")
                    .with("X_Verigate_Event_Key", "1");
                gateway.ask(spoofed).expect_status(200);
                let recorded = upstream.last();
                let keys = recorded.headers_named(KEY);
                assert_eq!(keys, [expected.as_bytes()], "{recorded}");
                assert!(!recorded.has("X_Verigate_Event_Key"), "{recorded}");
            }
        }
        gateway
            .ask(Delivery::plain(event()).target("/off"))
            .expect_status(200);
        assert!(!upstream.last().has(KEY), "no replay protection, no key");
        gateway
            .ask(Delivery::signed("guessed", event(), "1"))
            .expect_status(200);
        assert!(!upstream.last().has(KEY), "an unproved request has no key");
    }
}

#[test]
fn rp_49_a_busy_route_does_not_push_out_the_events_of_a_quiet_one() {
    let upstream = Upstream::start();
    let config = Config::new()
        .replay("capacity", "20")
        .route(Route::itellico(&upstream))
        .route(Route::plain(&upstream));
    let gateway = Gateway::start(&config);
    let quiet: Vec<_> = (0..10).map(|_| Delivery::plain(event())).collect();
    for delivery in &quiet {
        gateway.ask(delivery.clone()).expect_status(200);
    }
    for _ in 0..40 {
        gateway.ask(Delivery::fresh()).expect_status(200);
    }
    for delivery in &quiet {
        gateway.ask(delivery.clone()).expect_duplicate();
    }
    expect_entries(&gateway, 20.0);
    assert!(
        eventually(SOON, || gateway.says("could still be replayed")),
        "{}",
        gateway.stderr()
    );
}
