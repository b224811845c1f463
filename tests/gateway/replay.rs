//! What is a replay, a redelivery, a conflict, and what is neither (contract: Seen again; RP-01 to RP-03, RP-13, RP-14,
//! RP-17, RP-18, RP-20, RP-30). Who gets a claim and how it ends is in `claims.rs`; both clocks are tested on the pure core.

use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, event_with, fresh_event_id, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, SECRET, SECRET_VARIABLE, eventually, now};
use crate::support::{SOON, delivery};

/// The plain route's scheme with `X-Event-Id`, which nothing signs, as the place of the event id.
fn unsigned_id(upstream: &Upstream) -> Route {
    Route::plain(upstream).scheme("event_id", "{ header = \"X-Event-Id\", required = false }")
}

/// `/hooks/timed`: signs timestamp and body, takes an unsigned event id.
fn timed(upstream: &Upstream) -> Route {
    unsigned_id(upstream)
        .set("name", "\"timed\"")
        .set("path", "\"/hooks/timed\"")
        .scheme("signed", "\"{timestamp}.{body}\"")
        .scheme(
            "timestamp",
            "{ header = \"X-Timestamp\", unit = \"seconds\" }",
        )
}

/// A delivery for [`timed`].
fn timed_delivery(body: &[u8], timestamp: u64) -> Delivery {
    let signed = [timestamp.to_string().as_bytes(), b".", body].concat();
    Delivery::unsigned("/hooks/timed", body)
        .with("X-Timestamp", timestamp.to_string())
        .with(
            "X-Signature",
            format!("sha256={}", sign_body(PLAIN_SECRET, &signed)),
        )
}

fn other_body_of(id: &str) -> Vec<u8> {
    format!("{{\"event_id\":\"{id}\",\"event_type\":\"conversation.ended\",\"data\":\"another\"}}")
        .into_bytes()
}

/// Bodies are hashed for the comparison while they arrive.
#[test]
fn a_body_is_the_same_body_in_whatever_pieces_it_arrives() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::new().route(Route::spelled_out(&upstream)));
    let mut cases = Cases::new();
    for size in [0, 511, 512, 5000, 70_000, 600_000] {
        let id = fresh_event_id();
        let body_of = |last: &str| {
            let data = "x".repeat(size);
            format!("{{\"event_id\":\"{id}\",\"event_type\":\"a\",\"data\":\"{data}{last}\"}}")
        };
        let in_pieces = |last: &str, size: usize, age: u64| {
            Delivery::at(body_of(last), now() - age).chunked_by(size)
        };
        gateway
            .ask(Delivery::at(body_of("y"), now() - 30))
            .expect_status(200);
        for (age, piece) in [1 << 20, 997, 100].into_iter().enumerate() {
            let age = u64::try_from(age).unwrap();
            cases.case(&format!("{size} bytes in pieces of {piece}"), || {
                gateway.ask(in_pieces("y", piece, age)).expect_duplicate();
                gateway
                    .ask(in_pieces("z", piece, age))
                    .expect_refusal(409, "event_id_conflict");
            });
        }
    }
    cases.finish();
}

#[test]
fn rp_01_the_same_delivery_is_a_replay_and_a_new_signature_a_redelivery() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let body = event();
    let first = Delivery::at(body.clone(), now() - 60);
    gateway.ask(first.clone()).expect_status(200);
    let mut cases = Cases::new();
    for round in 0..3 {
        let name = |what: &str| format!("{what}, round {round}");
        cases.case(&name("replay"), || {
            gateway
                .ask(first.clone())
                .expect_refusal(409, "replayed_event");
        });
        cases.case(&name("replay in chunks"), || {
            gateway
                .ask(first.clone().chunked_by(7))
                .expect_refusal(409, "replayed_event");
        });
        // The signature is looked at, not the spelling of what nothing signs.
        cases.case(&name("replay with other unsigned headers"), || {
            gateway
                .ask(first.clone().with("X-Attempt", "2"))
                .expect_refusal(409, "replayed_event");
        });
        cases.case(&name("redelivery, later"), || {
            gateway
                .ask(Delivery::at(body.clone(), now() + round))
                .expect_duplicate();
        });
        cases.case(&name("redelivery, earlier"), || {
            gateway
                .ask(Delivery::at(body.clone(), now() - 120 - round))
                .expect_duplicate();
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_01_a_forged_copy_of_a_done_event_is_told_nothing_of_it() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let body = event();
    gateway.ask(Delivery::of(body.clone())).expect_status(200);
    gateway
        .ask(Delivery::signed("guessed", body, &now().to_string()))
        .expect_refusal(401, "bad_signature");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_02_another_body_under_a_presets_id_is_a_duplicate_and_counted() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = fresh_event_id();
    let at = now();
    gateway
        .ask(Delivery::at(event_with(&id), at))
        .expect_status(200);
    for timestamp in [at, at + 1] {
        gateway
            .ask(Delivery::at(other_body_of(&id), timestamp))
            .expect_duplicate();
    }
    assert_eq!(upstream.count(), 1);
    let labels = [("route", "itellico")];
    assert!(
        eventually(SOON, || close_to(
            gateway
                .metrics()
                .value("verigate_event_id_conflicts_total", &labels),
            2.0
        )),
        "{}",
        gateway.metrics().text
    );
    assert!(
        gateway.says("itellico"),
        "the conflict is warned about, naming the route"
    );
}

#[test]
fn rp_02_another_body_under_an_operators_id_is_refused_and_counted() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::new().route(Route::spelled_out(&upstream)));
    let id = fresh_event_id();
    gateway
        .ask(Delivery::of(event_with(&id)))
        .expect_status(200);
    gateway
        .ask(Delivery::of(other_body_of(&id)))
        .expect_refusal(409, "event_id_conflict");
    gateway
        .ask(Delivery::at(event_with(&id), now() + 2))
        .expect_duplicate();
    assert_eq!(upstream.count(), 1);
    let labels = [("route", "itellico")];
    let counted = || {
        close_to(
            gateway
                .metrics()
                .value("verigate_event_id_conflicts_total", &labels),
            1.0,
        )
    };
    assert!(eventually(SOON, counted), "{}", gateway.metrics().text);
    assert!(
        !gateway.stderr().contains(&id),
        "an event id is not for operational messages"
    );
}

#[test]
fn rp_03_an_unsigned_id_makes_nothing_new_and_refuses_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::new()
            .route(unsigned_id(&upstream))
            .route(timed(&upstream)),
    );
    let body = event();
    gateway
        .ask(Delivery::plain(body.clone()).with("X-Event-Id", "a"))
        .expect_status(200);
    let at = now();
    gateway
        .ask(timed_delivery(&body, at).with("X-Event-Id", "a"))
        .expect_status(200);
    assert_eq!(upstream.count(), 2);
    let mut cases = Cases::new();
    for (name, id) in [
        ("same", Some("a")),
        ("changed", Some("b")),
        ("removed", None),
    ] {
        let named = |delivery: Delivery| match id {
            Some(id) => delivery.with("X-Event-Id", id),
            None => delivery,
        };
        cases.case(&format!("{name}, no timestamp"), || {
            gateway
                .ask(named(Delivery::plain(body.clone())))
                .expect_duplicate();
        });
        cases.case(&format!("{name}, signed timestamp"), || {
            gateway
                .ask(named(timed_delivery(&body, at)))
                .expect_refusal(409, "replayed_event");
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 2, "an old delivery became new");
    gateway
        .ask(Delivery::plain(event()).with("X-Event-Id", "a"))
        .expect_status(200);
    gateway
        .ask(timed_delivery(&event(), at).with("X-Event-Id", "a"))
        .expect_status(200);
    assert_eq!(
        upstream.count(),
        4,
        "an unsigned id refused another honest delivery"
    );
    assert_eq!(
        upstream.last().header("X-Verigate-Event-Id").as_deref(),
        Some("a"),
        "it still names the event"
    );
}

#[test]
fn rp_03_githubs_delivery_id_makes_nothing_new() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream)
        .set("path", "\"/hooks/github\"")
        .scheme(
            "signature",
            "{ header = \"X-Hub-Signature-256\", encoding = \"hex\", prefix = \"sha256=\" }",
        )
        .scheme(
            "event_id",
            "{ header = \"X-GitHub-Delivery\", required = false }",
        )
        .scheme("event_type", "{ header = \"X-GitHub-Event\" }");
    let gateway = Gateway::start(&Config::new().route(route));
    let push = |body: &[u8], id: &str, kind: &str| {
        Delivery::unsigned("/hooks/github", body)
            .with("X-GitHub-Event", kind)
            .with("X-GitHub-Delivery", id)
            .with(
                "X-Hub-Signature-256",
                format!("sha256={}", sign_body(PLAIN_SECRET, body)),
            )
    };
    let (one, other) = (event(), event());
    gateway.ask(push(&one, "d-1", "push")).expect_status(200);
    gateway.ask(push(&one, "d-1", "push")).expect_duplicate();
    gateway.ask(push(&one, "d-2", "push")).expect_duplicate();
    gateway
        .ask(push(&one, "d-3", "push").without("X-GitHub-Delivery"))
        .expect_duplicate();
    assert_eq!(upstream.count(), 1);
    gateway.ask(push(&other, "d-1", "push")).expect_status(200);
    // An entry takes one type (contract: Beside an entry).
    gateway
        .ask(push(&one, "d-4", "ping"))
        .expect_refusal(409, "event_id_conflict");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn rp_13_a_claim_belongs_to_its_route() {
    let upstream = Upstream::start();
    let named = |name: &str, path: &str| {
        Route::itellico(&upstream)
            .set("name", &text(name))
            .set("path", &text(path))
            .set("replay", "{ on_replay = 409 }")
    };
    let gateway = Gateway::start(
        &Config::new()
            .route(named("a", "/a"))
            .route(named("a:b", "/b"))
            .route(named("b", "/c")),
    );
    let body = event();
    let mut cases = Cases::new();
    for (name, target, body) in [
        ("an id on one route", "/a", body.clone()),
        ("the same delivery on another", "/b", body.clone()),
        ("the same delivery on a third", "/c", body),
        ("route a, id b:c", "/a", event_with("b:c")),
        ("route a:b, id c", "/b", event_with("c")),
        ("route b, id c", "/c", event_with("c")),
    ] {
        cases.case(name, || {
            let before = upstream.count();
            let delivery = Delivery::of(body).target(target);
            gateway.ask(delivery.clone()).expect_status(200);
            gateway.ask(delivery).expect_refusal(409, "replayed_event");
            assert_eq!(upstream.count(), before + 1);
        });
    }
    cases.finish();
}

#[test]
fn rp_14_timestamps_before_the_start_are_refused_where_asked_for() {
    let upstream = Upstream::start();
    let at = now();
    let gateway =
        Gateway::start(&Config::for_upstream(&upstream).replay("refuse_older_than_start", "true"));
    gateway
        .ask(Delivery::at(event(), at - 30))
        .expect_refusal(401, "stale_timestamp");
    gateway
        .ask(Delivery::at(event(), now() + 2))
        .expect_status(200);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_17_a_forgotten_event_goes_through_once_more() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(timed(&upstream)));
    let id = fresh_event_id();
    let delivery = Delivery::of(event_with(&id));
    gateway.ask(delivery.clone()).expect_status(200);
    gateway
        .ask(delivery.clone())
        .expect_refusal(409, "replayed_event");
    forget(
        &gateway,
        &format!("{{\"route\":\"itellico\",\"event_id\":\"{id}\"}}"),
        200,
    );
    gateway.ask(delivery.clone()).expect_status(200);
    gateway.ask(delivery).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 2);

    // By the request id that the access log and the answer show: the only name of a delivery without an id.
    let plain = timed_delivery(&event(), now());
    let answer = gateway.ask(plain.clone());
    answer.expect_status(200);
    let request = upstream
        .last()
        .header("X-Request-Id")
        .expect("X-Request-Id at the upstream");
    gateway
        .ask(plain.clone())
        .expect_refusal(409, "replayed_event");
    forget(
        &gateway,
        &format!("{{\"route\":\"timed\",\"request_id\":\"{request}\"}}"),
        200,
    );
    gateway.ask(plain.clone()).expect_status(200);
    gateway.ask(plain).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 4);
}

#[test]
fn rp_17_an_unsigned_id_names_what_is_to_be_forgotten() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::new().route(unsigned_id(&upstream)));
    let delivery = Delivery::plain(event()).with("X-Event-Id", "named-1");
    gateway.ask(delivery.clone()).expect_status(200);
    gateway.ask(delivery.clone()).expect_duplicate();
    forget(
        &gateway,
        "{\"route\":\"plain\",\"event_id\":\"named-1\"}",
        200,
    );
    gateway.ask(delivery.clone()).expect_status(200);
    gateway.ask(delivery).expect_duplicate();
    assert_eq!(upstream.count(), 2);
}

#[test]
fn rp_18_without_an_id_the_signed_content_is_the_event() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(timed(&upstream)));
    let mut cases = Cases::new();
    for (name, body) in [
        ("json", event()),
        ("form", b"a=1&b=2".to_vec()),
        ("empty", Vec::new()),
    ] {
        cases.case(&format!("{name}, no timestamp: a redelivery"), || {
            let before = upstream.count();
            gateway
                .ask(Delivery::plain(body.clone()))
                .expect_status(200);
            gateway
                .ask(Delivery::plain(body.clone()))
                .expect_duplicate();
            assert_eq!(upstream.count(), before + 1);
        });
        cases.case(
            &format!("{name}, signed timestamp: a replay, but new at another time"),
            || {
                let before = upstream.count();
                let at = now();
                gateway.ask(timed_delivery(&body, at)).expect_status(200);
                gateway
                    .ask(timed_delivery(&body, at))
                    .expect_refusal(409, "replayed_event");
                gateway
                    .ask(timed_delivery(&body, at + 1))
                    .expect_status(200);
                assert_eq!(upstream.count(), before + 2);
            },
        );
    }
    cases.finish();
}

#[test]
fn rp_20_what_nothing_signs_does_not_make_a_delivery_new() {
    let upstream = Upstream::start();
    let prefix = |route: Route, path: &str| route.set("path", &text(path));
    let config = Config::new()
        .route(prefix(Route::itellico(&upstream), "/hooks/i/*"))
        .route(prefix(Route::plain(&upstream), "/hooks/p/*"))
        .route(prefix(timed(&upstream), "/hooks/t/*"));
    let gateway = Gateway::start(&config);
    let (at, body) = (now(), event());
    let timestamp = at.to_string();
    let signature = delivery::sign(SECRET, &body, &timestamp);
    let reordered = Delivery::unsigned("/hooks/i/a?y=2&x=1", body.clone())
        .with("x-webhook-signature-256", &signature)
        .with("Content-Type", "application/json")
        .with("x-webhook-timestamp", &timestamp);
    let first = Delivery::signed(SECRET, body.clone(), &timestamp).target("/hooks/i/a?x=1&y=2");
    gateway.ask(first.clone()).expect_status(200);
    gateway
        .ask(Delivery::plain(body.clone()).target("/hooks/p/a?x=1&y=2"))
        .expect_status(200);
    gateway
        .ask(timed_delivery(&body, at).target("/hooks/t/a?x=1&y=2"))
        .expect_status(200);
    let mut cases = Cases::new();
    cases.case("headers in another order", || {
        gateway.ask(reordered).expect_refusal(409, "replayed_event");
    });
    for (name, rest) in [
        ("path case", "A?x=1&y=2"),
        ("other path", "b/c?x=1&y=2"),
        ("escaped", "%40?x=1&y=2"),
    ] {
        for (route, delivery) in [
            ("i", first.clone()),
            ("p", Delivery::plain(body.clone())),
            ("t", timed_delivery(&body, at)),
        ] {
            cases.case(&format!("{name}, route {route}"), || {
                gateway
                    .ask(delivery.target(format!("/hooks/{route}/{rest}")))
                    .expect_refusal(409, "event_id_conflict");
            });
        }
    }
    for (name, rest) in [
        ("query reordered", "a?y=2&x=1"),
        ("query gone", "a"),
        ("query empty", "a?"),
    ] {
        cases.case(&format!("{name}, signed id"), || {
            gateway
                .ask(first.clone().target(format!("/hooks/i/{rest}")))
                .expect_refusal(409, "replayed_event");
        });
        cases.case(&format!("{name}, no id"), || {
            gateway
                .ask(Delivery::plain(body.clone()).target(format!("/hooks/p/{rest}")))
                .expect_duplicate();
        });
        cases.case(&format!("{name}, no id, signed timestamp"), || {
            let copy = timed_delivery(&body, at).target(format!("/hooks/t/{rest}"));
            gateway.ask(copy).expect_refusal(409, "replayed_event");
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 3);
}

#[test]
fn a_second_secret_does_not_make_a_delivery_new() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set(
        "secrets",
        &format!("[\"env:{SECRET_VARIABLE}\", {{ name = \"next\", value = \"env:NEXT\" }}]"),
    );
    let gateway = Gateway::start(
        &Config::new()
            .route(route)
            .env("NEXT", "the-next-secret-0123456789"),
    );
    let (body, at) = (event(), now().to_string());
    gateway
        .ask(Delivery::signed(SECRET, body.clone(), &at))
        .expect_status(200);
    gateway
        .ask(Delivery::signed("the-next-secret-0123456789", body, &at))
        .expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn replay_off_forwards_every_copy() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&Config::new().route(Route::itellico(&upstream).set("replay", "\"off\"")));
    let delivery = Delivery::fresh();
    for _ in 0..3 {
        gateway.ask(delivery.clone()).expect_status(200);
    }
    assert_eq!(upstream.count(), 3);
    assert!(
        gateway.says("replay"),
        "replay = \"off\" is warned about at the start"
    );
}

#[track_caller]
fn forget(gateway: &Gateway, body: &str, status: u16) {
    gateway
        .admin(
            "POST",
            "/replay/forget",
            &[("Content-Type", "application/json")],
            body,
        )
        .expect_status(status);
}

fn close_to(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 0.5
}

/// A body that nothing signs must not make a captured signature new again.
#[test]
fn an_unsigned_body_makes_no_captured_delivery_new() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream)
        .scheme("signed", "\"{timestamp}.{method}\"")
        .scheme("covers_body", "false")
        .scheme("timestamp", "{ header = \"X-Timestamp\" }");
    let gateway = Gateway::start(&Config::new().route(route));
    let at = now().to_string();
    let signature = format!(
        "sha256={}",
        sign_body(PLAIN_SECRET, format!("{at}.POST").as_bytes())
    );
    let with = |body: &str| {
        Delivery::unsigned("/hooks/plain", body.as_bytes())
            .with("X-Timestamp", at.clone())
            .with("X-Signature", signature.clone())
    };
    gateway.ask(with("one")).expect_status(200);
    gateway
        .ask(with("one"))
        .expect_refusal(409, "replayed_event");
    gateway
        .ask(with("two"))
        .expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1);
}

/// A route of this preset at `/in`. The signatures below were made with Python's `hmac`, so they share no fault with
/// the product.
fn preset(upstream: &Upstream, provider: &str, secret: &str) -> Route {
    Route::new(provider, "/in", upstream)
        .set("provider", &text(provider))
        .set(
            "secrets",
            &format!("[{}]", text(&format!("plain:{secret}"))),
        )
}

#[test]
fn rp_20_braintrees_body_without_its_last_line_feed_is_a_duplicate() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&Config::new().route(preset(&upstream, "braintree", "public:private")));
    let delivery = |data: &str| {
        let form = format!(
            "bt_signature=public%7Cbe38792461cdf359376a2bf538778368a21ec66e&bt_payload={data}"
        );
        Delivery::unsigned("/in", form).with("Content-Type", "application/x-www-form-urlencoded")
    };
    gateway.ask(delivery("PG4%2B%0A")).expect_status(200);
    for data in ["PG4%2B%0A", "PG4%2B", "PG4%2b%0a", "PG4%2B&other=1"] {
        gateway.ask(delivery(data)).expect_duplicate();
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_20_adyens_items_are_taken_one_at_a_time() {
    let upstream = Upstream::start();
    let key = "00".repeat(31) + "01";
    let gateway = Gateway::start(&Config::new().route(preset(&upstream, "adyen", &key)));
    let item = |value: u8| {
        let signature = match value {
            1 => "8dMpcU1hPhTwv1pPx6N35+XQIRH8SBZUjjzMr/AawP4=",
            _ => "mH8wcO2Ee7udDkxRzEE1piQaf/maeJ5G2JBnTtMdbek=",
        };
        format!(
            "{{\"NotificationRequestItem\":{{\"pspReference\":\"p{value}\",\"merchantAccountCode\":\"m\",\
             \"merchantReference\":\"r\",\"amount\":{{\"value\":{value},\"currency\":\"EUR\"}},\
             \"eventCode\":\"AUTHORISATION\",\"success\":\"true\",\
             \"additionalData\":{{\"hmacSignature\":\"{signature}\"}}}}}}"
        )
    };
    let delivery = |values: &[u8]| {
        let items: Vec<_> = values.iter().map(|value| item(*value)).collect();
        Delivery::unsigned(
            "/in",
            format!("{{\"notificationItems\":[{}]}}", items.join(",")),
        )
    };
    for several in [&[1, 2][..], &[2, 1], &[1, 1]] {
        gateway
            .ask(delivery(several))
            .expect_refusal(401, "malformed_signature");
    }
    gateway.ask(delivery(&[1])).expect_status(200);
    gateway.ask(delivery(&[2])).expect_status(200);
    gateway.ask(delivery(&[1])).expect_duplicate();
    gateway
        .ask(delivery(&[1, 2]))
        .expect_refusal(401, "malformed_signature");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn rp_18_two_changes_that_dropbox_puts_in_the_same_words_are_two_events() {
    let upstream = Upstream::start();
    let asked = preset(&upstream, "dropbox", "app")
        .set("name", "\"asked\"")
        .set("path", "\"/asked\"");
    let routes = Config::new()
        .route(preset(&upstream, "dropbox", "app"))
        .route(asked.set("replay", "{}"));
    let gateway = Gateway::start(&routes);
    let delivery = |path: &str| {
        Delivery::unsigned(path, "{\"list_folder\":{\"accounts\":[\"dbid:1\"]}}").with(
            "X-Dropbox-Signature",
            "b6bcd2fbc4b4292ed721fd46eb0be7bd454f0b2978c369eda912845b957ab8e8",
        )
    };
    for _ in 0..3 {
        gateway.ask(delivery("/in")).expect_status(200);
    }
    assert_eq!(upstream.count(), 3);
    gateway.ask(delivery("/asked")).expect_status(200);
    gateway.ask(delivery("/asked")).expect_duplicate();
    assert_eq!(upstream.count(), 4);
}

/// A delivery of this time for a route `/hooks/linear`, whose timestamp is in the signed body.
fn linear_delivery(millis: u64) -> Delivery {
    let body = format!(
        "{{\"type\":\"Issue\",\"webhookTimestamp\":{millis},\"data\":{{\"id\":\"{}\"}}}}",
        fresh_event_id()
    );
    let signature = sign_body(PLAIN_SECRET, body.as_bytes());
    Delivery::unsigned("/hooks/linear", body).with("Linear-Signature", signature)
}

#[test]
fn rp_30_a_retry_that_keeps_its_body_is_fresh_for_as_long_as_its_provider_retries() {
    let upstream = Upstream::start();
    let linear = Route::new("linear", "/hooks/linear", &upstream)
        .set("provider", "\"linear\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(linear));
    let millis = |age: u64| (now() - age) * 1000;
    let mut cases = Cases::new();
    for (name, age) in [
        ("after a minute", 60),
        ("after an hour and a minute", 3660),
        ("after seven hours and a minute", 7 * 3600 + 60),
    ] {
        let retry = linear_delivery(millis(age));
        cases.case(name, || {
            let before = upstream.count();
            gateway.ask(retry.clone()).expect_status(200);
            gateway.ask(retry.clone()).expect_duplicate();
            assert_eq!(upstream.count(), before + 1, "forwarded requests");
        });
    }
    cases.case("older than any retry", || {
        gateway
            .ask(linear_delivery(millis(9 * 3600)))
            .expect_refusal(401, "stale_timestamp");
    });
    cases.case("ten minutes ahead", || {
        gateway
            .ask(linear_delivery((now() + 600) * 1000))
            .expect_refusal(401, "future_timestamp");
    });
    cases.finish();
}

/// Mercado Pago tries again every 15 minutes, and does not say whether with a new time. The identical delivery may be an
/// honest retry, and it would never get through.
#[test]
fn rp_01_the_identical_delivery_is_a_duplicate_where_nothing_says_that_retries_differ() {
    let upstream = Upstream::start();
    let mercado = Route::new("mp", "/mp", &upstream)
        .set("provider", "\"mercadopago\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(mercado));
    let first = {
        let time = now() * 1000;
        let manifest = format!("id:123;request-id:one;ts:{time};");
        let signature = sign_body(PLAIN_SECRET, manifest.as_bytes());
        Delivery::unsigned("/mp?data.id=123&type=payment", "{}")
            .with("x-request-id", "one")
            .with("x-signature", format!("ts={time},v1={signature}"))
    };
    gateway.ask(first.clone()).expect_status(200);
    let forwarded = upstream.count();
    for _ in 0..2 {
        let again = gateway.ask(first.clone());
        again.expect_duplicate();
        assert_eq!(gateway.log_of(&again)["verdict"], "duplicate_event");
    }
    assert_eq!(upstream.count(), forwarded);
}
