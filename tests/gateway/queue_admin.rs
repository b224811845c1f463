//! Operating the queue by the admin port (contract: Queue): what waits is seen, chosen and retried or discarded, and
//! routes are paused.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SECRET, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

fn config(upstream: &Upstream) -> Config {
    let route = Route::itellico(upstream).set("mode", "\"queue\"");
    Config::new()
        .route(route)
        .extra("[route.queue]\nretry = [\"1h\"]")
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
}

/// The answer to a request with the token.
#[track_caller]
fn ask(gateway: &Gateway, method: &str, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    gateway.admin(method, path, &[("Authorization", &token)], body)
}

#[track_caller]
fn done(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = ask(gateway, method, path, &body);
    answer.expect_status(200);
    answer.json()
}

#[track_caller]
fn list(gateway: &Gateway, query: &str) -> Vec<Value> {
    let listed = done(gateway, "GET", &format!("/queue?{query}"), &Value::Null);
    let deliveries = listed.get("deliveries").and_then(Value::as_array);
    deliveries.expect("a list").clone()
}

/// Sends deliveries, and waits until as many are in this state.
#[track_caller]
fn send(gateway: &Gateway, count: usize, state: &str) -> Vec<String> {
    let before = list(gateway, &format!("state={state}")).len();
    let ids: Vec<String> = (0..count).map(|_| fresh_event_id()).collect();
    for id in &ids {
        gateway.ask(Delivery::of(event_with(id))).expect_status(200);
    }
    let all_are = || list(gateway, &format!("state={state}")).len() == before + count;
    assert!(eventually(LATE, all_are), "{:?}", list(gateway, ""));
    ids
}

#[test]
fn what_waits_is_listed_page_by_page_and_shown_without_what_proves_it() {
    let upstream = Upstream::with(Behaviour::status(500));
    let gateway = Gateway::start(&config(&upstream));
    let events = send(&gateway, 3, "retrying");
    let first = done(
        &gateway,
        "GET",
        "/queue?limit=2&route=itellico",
        &Value::Null,
    );
    assert_eq!(
        first["deliveries"].as_array().map(Vec::len),
        Some(2),
        "{first}"
    );
    let next = first["next"].as_u64().expect("a next page");
    let second = done(
        &gateway,
        "GET",
        &format!("/queue?limit=2&after={next}"),
        &Value::Null,
    );
    let of = |page: &Value, place: usize| page["deliveries"][place]["event_id"].clone();
    let listed = [of(&first, 0), of(&first, 1), of(&second, 0)];
    assert_eq!(
        listed,
        [0, 1, 2].map(|place| json!(events[place])),
        "{second}"
    );
    assert_eq!(second["next"], Value::Null);
    let one = &first["deliveries"][0];
    let members = [
        "account",
        "attempts",
        "delivery_id",
        "event_id",
        "event_type",
        "held_by",
        "is_behind",
        "is_in_flight",
        "last_error",
        "last_status",
        "next_at",
        "received_at",
        "route",
        "state",
    ];
    let found: Vec<&String> = one.as_object().expect("an object").keys().collect();
    assert_eq!(found, members);
    assert_eq!(
        (&one["attempts"], &one["last_status"]),
        (&json!(1), &json!(500))
    );
    for name in ["received_at", "next_at"] {
        let time = one[name].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    }
    for (query, count) in [
        ("status=500", 3),
        ("status=404", 0),
        ("state=dead", 0),
        ("since=1h", 3),
        ("since=2099-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(list(&gateway, query).len(), count, "{query}");
    }
    let id = one["delivery_id"].as_str().expect("an id");
    let answer = ask(&gateway, "GET", &format!("/queue/{id}"), "");
    let shown = answer.json();
    assert_eq!(shown["method"], "POST");
    assert!(shown.get("body").is_none(), "{shown}");
    let attempt = &shown["history"][0];
    assert_eq!(
        (&attempt["attempt"], &attempt["status"], &attempt["error"]),
        (&json!(1), &json!(500), &Value::Null),
        "{shown}"
    );
    assert!(attempt["took_ms"].is_u64() && attempt["began_at"].is_string());
    let header = |name: &str| {
        let headers = shown["headers"].as_array().expect("headers");
        // HTTP/2 has names in small letters.
        let is_named = |header: &&Value| {
            let own = header["name"].as_str().unwrap_or_default();
            own.eq_ignore_ascii_case(name)
        };
        let of_name = headers.iter().find(is_named);
        of_name.map(|header| header["value"].clone())
    };
    assert_eq!(
        header("X-Webhook-Signature-256"),
        Some(json!("…")),
        "{shown}"
    );
    assert!(
        header("X-Webhook-Timestamp").is_some_and(|value| value != "…"),
        "{shown}"
    );
    assert!(!answer.to_string().contains(SECRET));
    let whole = done(
        &gateway,
        "GET",
        &format!("/queue/{id}?body=1"),
        &Value::Null,
    );
    let body = whole["body"].as_str().expect("a body");
    assert!(body.contains(&events[0]), "{body}");
    assert!(gateway.says(&format!(
        "the body of the delivery {id} was read by 127.0.0.1"
    )));
}

/// Each page with a method that it takes.
const PAGES: [(&str, &str); 10] = [
    ("GET", "/queue"),
    ("GET", "/queue/"),
    ("GET", "/queue/0192f0c4-7b1e-7c3a-8000-000000000001?body=1"),
    ("GET", "/queue/plan/x"),
    ("POST", "/queue/plan"),
    ("POST", "/queue/retry"),
    ("POST", "/queue/discard"),
    ("POST", "/queue/cancel"),
    ("POST", "/queue/pause"),
    ("POST", "/queue/resume"),
];

#[test]
fn cf_30_the_pages_of_the_queue_are_for_nobody_whom_the_app_can_be_made_to_ask_for() {
    let upstream = Upstream::with(Behaviour::status(410));
    let route = Route::itellico(&upstream).set("mode", "\"queue\"");
    let open = Config::new().route(route).extra("[state]\ndir = \"state\"");
    let without_token = Gateway::start(&open);
    let gateway = Gateway::start(&config(&upstream));
    let event = send(&gateway, 1, "dead").remove(0);
    let before = list(&gateway, "");
    let token = format!("Bearer {TOKEN}");
    let right = ("Authorization", token.as_str());
    let cookie = format!("token={TOKEN}");
    let body = r#"{"route":"itellico","state":"dead"}"#;
    for (method, path) in PAGES {
        let body = if method == "POST" { body } else { "" };
        for headers in [&[][..], &[right]] {
            let answer = without_token.admin(method, path, headers, body);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (404, "no_route"),
                "{method} {path} without a token in the configuration: {answer}"
            );
        }
        // A request that an app sends on behalf of another has no header of that one's choice.
        let sign = if path.contains('?') { '&' } else { '?' };
        let in_query = format!("{path}{sign}token={TOKEN}");
        for (what, path, headers) in [
            ("no token", path, &[][..]),
            ("in the query", &in_query, &[]),
            ("in a cookie", path, &[("Cookie", cookie.as_str())]),
        ] {
            let answer = gateway.admin(method, path, headers, body);
            assert_eq!(answer.status, 401, "{method} {path} {what}: {answer}");
            assert!(!answer.to_string().contains(&event));
        }
        for header in [
            ("Origin", "http://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let answer = gateway.admin(method, path, &[right, header], body);
            let found = (answer.status, answer.code());
            assert_eq!(found, (403, "forbidden".to_owned()), "{method} {path}");
        }
        let answer = gateway.ask(Delivery::unsigned(path, body).method(method).bytes());
        answer.expect_refusal(404, "no_route");
    }
    assert_eq!(list(&gateway, ""), before, "nothing has changed");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn cf_31_a_delivery_is_shown_without_secrets_and_its_body_only_when_asked_for_and_logged() {
    const HIDDEN: &str = "s3cr3t";
    let upstream = Upstream::with(Behaviour::status(410));
    let route = Route::itellico(&upstream).set("mode", "\"queue\"").set(
        "upstream_headers",
        "{ \"X-Gateway-Token\" = \"plain:s3cr3t-of-the-gateway\" }",
    );
    let config = Config::new()
        .route(route)
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let gateway = Gateway::start(&config);
    let event = fresh_event_id();
    let delivery = Delivery::of(event_with(&event))
        .target("/webhooks/itellico?token=s3cr3t&s3cr3t")
        .with("Authorization", "Bearer s3cr3t")
        .with("Cookie", "session=s3cr3t")
        .with("X-Api-Key", "s3cr3t");
    let signature = delivery.value("X-Webhook-Signature-256");
    gateway.ask(delivery.bytes()).expect_status(200);
    assert!(eventually(LATE, || list(&gateway, "state=dead").len() == 1));
    let listed = ask(&gateway, "GET", "/queue", "");
    let id = listed.json()["deliveries"][0]["delivery_id"].clone();
    let id = id.as_str().expect("an id");
    let path = format!("/queue/{id}");
    let shown = ask(&gateway, "GET", &path, "");
    for other in ["?body=0", "?body", "?body=1&x=1", "?BODY=1"] {
        let answer = ask(&gateway, "GET", &format!("{path}{other}"), "");
        answer.expect_refusal(400, "bad_request");
    }
    assert!(!gateway.says("the body of the delivery"));
    for answer in [&listed, &shown] {
        let text = answer.to_string();
        for secret in [HIDDEN, &signature, SECRET, TOKEN, "organization_uuid"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(answer.header("X-Content-Type-Options").is_some());
    }
    let whole = ask(&gateway, "GET", &format!("{path}?body=1"), "");
    let body = whole.json()["body"].clone();
    assert!(body.as_str().is_some_and(|body| body.contains(&event)));
    assert!(!whole.to_string().contains(HIDDEN));
    assert!(gateway.says(&format!(
        "the body of the delivery {id} was read by 127.0.0.1"
    )));
    for text in [gateway.stderr(), gateway.stdout()] {
        assert!(!text.contains(HIDDEN), "{text}");
    }
}

#[test]
fn wrong_requests_are_told_how() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    let id = "0192f0c4-7b1e-7c3a-8000-000000000001";
    let gone = format!("{{\"delivery_id\":\"{id}\"}}");
    for (method, path, body, status, code) in [
        ("GET", "/queue?state=x", "", 400, "bad_request"),
        ("GET", "/queue?route=x", "", 404, "unknown_route"),
        ("GET", "/queue/x", "", 404, "unknown_delivery"),
        ("GET", &format!("/queue/{id}"), "", 404, "unknown_delivery"),
        ("GET", "/queue/plan/x", "", 404, "unknown_plan"),
        ("DELETE", "/queue", "", 405, "method_not_allowed"),
        ("GET", "/queue/retry", "", 405, "method_not_allowed"),
        ("POST", "/queue/plan", "{\"state\":1}", 400, "bad_request"),
        ("POST", "/queue/plan", "", 400, "bad_request"),
        (
            "POST",
            "/queue/plan",
            "{\"route\":null}",
            400,
            "bad_request",
        ),
        ("POST", "/queue/plan", "{\"route\":5}", 400, "bad_request"),
        ("POST", "/queue/retry", "{}", 400, "bad_request"),
        (
            "POST",
            "/queue/retry",
            "{\"plan\":\"x\"}",
            404,
            "unknown_plan",
        ),
        (
            "POST",
            "/queue/retry",
            "{\"plan\":\"x\",\"rate\":\"fast\"}",
            400,
            "bad_request",
        ),
        ("POST", "/queue/discard", &gone, 404, "unknown_delivery"),
        (
            "POST",
            "/queue/pause",
            "{\"route\":\"x\"}",
            404,
            "unknown_route",
        ),
        ("POST", "/queue/cancel", "[]", 400, "bad_request"),
    ] {
        let answer = ask(&gateway, method, path, body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}: {answer}"
        );
    }
}

#[test]
fn dead_letters_are_planned_and_retried_and_what_came_since_is_left_alone() {
    let upstream = Upstream::with(Behaviour::status(410));
    let gateway = Gateway::start(&config(&upstream));
    send(&gateway, 3, "dead");
    let plan = done(
        &gateway,
        "POST",
        "/queue/plan",
        &json!({"route": "itellico", "state": "dead"}),
    );
    assert_eq!(
        (&plan["deliveries"], &plan["state"]),
        (&json!(3), &json!("planned")),
        "{plan}"
    );
    assert!(plan["oldest"].as_str() <= plan["newest"].as_str(), "{plan}");
    send(&gateway, 1, "dead");
    let seen = upstream.count();
    upstream.behave(Behaviour::status(200));
    let id = &plan["plan"];
    done(
        &gateway,
        "POST",
        "/queue/retry",
        &json!({"plan": id, "rate": "1000/s"}),
    );
    upstream.wait_for(seen + 3);
    let path = format!("/queue/plan/{}", id.as_str().expect("an id"));
    let progress = || done(&gateway, "GET", &path, &Value::Null);
    assert!(
        eventually(LATE, || progress()["state"] == "done"),
        "{}",
        progress()
    );
    assert_eq!(
        (&progress()["done"], &progress()["skipped"]),
        (&json!(3), &json!(0))
    );
    let left = || list(&gateway, "state=dead").len();
    assert!(eventually(LATE, || list(&gateway, "").len() == 1) && left() == 1);
    let again = ask(
        &gateway,
        "POST",
        "/queue/retry",
        &json!({"plan": id}).to_string(),
    );
    assert_eq!((again.status, again.code().as_str()), (409, "plan_used"));
}

#[test]
fn a_plan_passes_over_what_has_changed_and_a_cancelled_one_does_no_more() {
    let upstream = Upstream::with(Behaviour::status(410));
    let gateway = Gateway::start(&config(&upstream));
    send(&gateway, 3, "dead");
    let plan = || done(&gateway, "POST", "/queue/plan", &json!({"state": "dead"}));
    let (first, second) = (plan(), plan());
    upstream.behave(Behaviour::status(500));
    let one = list(&gateway, "state=dead")[0]["delivery_id"].clone();
    done(
        &gateway,
        "POST",
        "/queue/retry",
        &json!({"delivery_id": one}),
    );
    assert!(eventually(LATE, || list(&gateway, "state=retrying").len() == 1));
    done(
        &gateway,
        "POST",
        "/queue/discard",
        &json!({"plan": first["plan"]}),
    );
    assert!(eventually(LATE, || list(&gateway, "state=dead").is_empty()));
    assert_eq!(
        list(&gateway, "").len(),
        1,
        "the one that is tried again stays"
    );
    let path = format!("/queue/plan/{}", first["plan"].as_str().expect("an id"));
    let ended = || done(&gateway, "GET", &path, &Value::Null);
    assert!(eventually(LATE, || ended()["state"] == "done"));
    assert_eq!(
        (&ended()["done"], &ended()["skipped"]),
        (&json!(2), &json!(1))
    );
    let cancelled = done(
        &gateway,
        "POST",
        "/queue/cancel",
        &json!({"plan": second["plan"]}),
    );
    assert_eq!(cancelled["state"], "cancelled");
    let late = ask(
        &gateway,
        "POST",
        "/queue/discard",
        &json!({"plan": second["plan"]}).to_string(),
    );
    assert_eq!((late.status, late.code().as_str()), (409, "plan_used"));
}

#[test]
fn a_plan_that_an_upgrade_cuts_short_says_so() {
    let upstream = Upstream::with(Behaviour::status(410));
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    send(&old, 3, "dead");
    let plan = done(&old, "POST", "/queue/plan", &json!({"state": "dead"}));
    let run = json!({"plan": plan["plan"], "rate": "1/h"});
    done(&old, "POST", "/queue/discard", &run);
    assert!(eventually(LATE, || list(&old, "").len() == 2));
    let new = old.successor(&config);
    let status = old.wait_exit(LATE).expect("the old one ends");
    assert_eq!(status.code(), Some(0));
    let said = "is cancelled: 1 done, 0 passed over, and the rest is left: make a new plan for it";
    assert!(old.stderr().contains(said), "{}", old.stderr());
    assert_eq!(list(&new, "state=dead").len(), 2);
}

#[test]
fn nothing_is_discarded_that_the_process_before_an_upgrade_may_be_trying() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    old.ask(Delivery::fresh().bytes()).expect_status(200);
    upstream.wait_for(1);
    let new = old.successor(&config);
    let one = json!({"delivery_id": list(&new, "")[0]["delivery_id"]}).to_string();
    let discard = || {
        let answer = ask(&new, "POST", "/queue/discard", &one);
        (answer.status, answer.code())
    };
    assert_eq!(discard(), (409, "in_flight".to_owned()));
    latch.open();
    old.wait_exit(LATE).expect("the old one ends");
    assert!(eventually(LATE, || list(&new, "").is_empty()));
    assert_eq!(discard(), (404, "unknown_delivery".to_owned()));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn what_was_discarded_stays_away_after_kill_9_and_is_named_in_the_log() {
    let upstream = Upstream::with(Behaviour::status(410));
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    send(&gateway, 2, "dead");
    let one = list(&gateway, "")[0]["delivery_id"].clone();
    done(
        &gateway,
        "POST",
        "/queue/discard",
        &json!({"delivery_id": one}),
    );
    let id = one.as_str().expect("an id").to_owned();
    assert!(gateway.says(&format!("the delivery {id} was discarded by 127.0.0.1")));
    let gateway = gateway.killed_and_started(&config);
    assert!(gateway.says("state: 0 deliveries wait, 1 is dead, "));
    let left = list(&gateway, "");
    assert_eq!(left.len(), 1);
    assert_ne!(left[0]["delivery_id"], one);
}

#[test]
fn a_pause_survives_a_restart_and_ends_by_hand() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    let route = json!({"route": "itellico"});
    assert_eq!(
        done(&gateway, "POST", "/queue/pause", &route)["changed"],
        true
    );
    assert_eq!(
        done(&gateway, "POST", "/queue/pause", &route)["changed"],
        false
    );
    send(&gateway, 1, "waiting");
    let gateway = gateway.killed_and_started(&config);
    assert!(gateway.says("route itellico: it is paused"));
    let paused = |gateway: &Gateway| {
        let token = format!("Bearer {TOKEN}");
        let answer = gateway.admin("GET", "/metrics", &[("Authorization", &token)], "");
        let text = String::from_utf8(answer.body).expect("text");
        text.contains("verigate_queue_paused{reason=\"operator\",route=\"itellico\"} 1")
    };
    assert!(paused(&gateway));
    send(&gateway, 1, "waiting");
    assert_eq!(upstream.count(), 0);
    done(&gateway, "POST", "/queue/resume", &route);
    upstream.wait_for(2);
    assert!(!paused(&gateway));
}

#[test]
fn a_long_delay_survives_a_restart_an_upgrade_and_the_absence_of_its_route() {
    let upstream = Upstream::with(Behaviour::status(500));
    let without = Config::new()
        .route(Route::plain(&upstream))
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let route = Route::itellico(&upstream).set("mode", "\"queue\"");
    let long = without
        .clone()
        .route(route.set("queue", "{ retry = [\"6h\"] }"));
    // A delay is spread by a fifth either way.
    let expect_long = |gateway: &Gateway, count: usize| {
        let all = list(gateway, "state=retrying");
        assert_eq!(all.len(), count, "{all:?}");
        for one in all {
            let due: Timestamp = one["next_at"]
                .as_str()
                .and_then(|at| at.parse().ok())
                .expect("a time");
            let left = due.duration_since(Timestamp::now());
            assert!(left > SignedDuration::from_hours(4), "{left} of {one}");
        }
    };
    let gateway = Gateway::start(&long);
    send(&gateway, 2, "retrying");
    expect_long(&gateway, 2);
    let mut gateway = gateway.killed_and_started(&long);
    expect_long(&gateway, 2);
    let new = gateway.successor(&long);
    assert!(gateway.wait_exit(LATE).is_some(), "{}", gateway.stderr());
    // What is tried shows that the new process has read what the old one wrote.
    send(&new, 1, "retrying");
    expect_long(&new, 3);
    let new = new.killed_and_started(&without);
    new.rewrite(&long);
    done(&new, "POST", "/reload", &Value::Null);
    send(&new, 1, "retrying");
    expect_long(&new, 4);
}
