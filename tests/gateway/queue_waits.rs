//! Why deliveries wait, as an operator sees it and ends it (contract: Queue); and what is never shown of them.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::support::behaviour::{Behaviour, Reply};
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";
const OTHER_SECRET: &str = "another-secret-0123456789abcdef";

/// A gateway's configuration with these routes, each with these keys of `[route.queue]`.
fn config(routes: &[Route], queue: &str) -> Config {
    let mut config = Config::new()
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
        .env("OTHER_SECRET", OTHER_SECRET)
        .extra("[state]\ndir = \"state\"");
    for route in routes {
        let queue = format!("{{ {} }}", queue.replace('\n', ", "));
        let route = route.clone().set("mode", "\"queue\"").set("queue", &queue);
        config = config.route(route);
    }
    config
}

#[track_caller]
fn done(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Value {
    let token = format!("Bearer {TOKEN}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = gateway.admin(method, path, &[("Authorization", &token)], &body);
    answer.expect_status(200);
    answer.json()
}

#[track_caller]
fn get(gateway: &Gateway, path: &str) -> Value {
    done(gateway, "GET", path, &Value::Null)
}

#[track_caller]
fn send(gateway: &Gateway, count: usize) {
    for _ in 0..count {
        let delivery = Delivery::of(event_with(&fresh_event_id()));
        gateway.ask(delivery.bytes()).expect_status(200);
    }
}

/// The reasons of a route, by their names.
#[track_caller]
fn reasons(gateway: &Gateway, route: &str) -> Vec<Value> {
    let listed = get(gateway, "/queue?limit=1");
    let routes = listed.get("routes").and_then(|routes| routes.as_array());
    let routes = routes.expect("routes");
    let mut own = routes.iter().filter(|one| one["route"] == route);
    let reasons = own.next().map(|one| one["reasons"].clone());
    assert!(own.next().is_none(), "{listed}");
    let reasons = reasons.unwrap_or_else(|| json!([]));
    reasons.as_array().expect("reasons").clone()
}

/// Waits until a route has one reason, which is this one.
#[track_caller]
fn waits_for(gateway: &Gateway, route: &str, reason: &str) -> Value {
    let is_so = || matches!(&reasons(gateway, route)[..], [one] if one["reason"] == reason);
    assert!(
        eventually(LATE, is_so),
        "{reason}: {:?}\n{}",
        reasons(gateway, route),
        gateway.stderr()
    );
    reasons(gateway, route).remove(0)
}

/// The times at which attempts were logged.
fn attempts(gateway: &Gateway) -> Vec<Timestamp> {
    let lines = gateway.log_lines().into_iter();
    let attempts = lines.filter(|line| line["attempt"].is_u64());
    attempts
        .map(|line| moment(line.get("time").unwrap_or(&Value::Null)))
        .collect()
}

fn moment(written: &Value) -> Timestamp {
    let written = written.as_str().expect("a time");
    written.parse().expect("a time")
}

fn sha1(secret: &str, content: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key length will do");
    mac.update(content);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn cf_32_what_proved_a_delivery_is_hidden_whether_its_route_is_there_changed_or_gone() {
    let upstream = Upstream::with(Behaviour::status(410));
    let trello = Route::new("trello", "/trello", &upstream)
        .set("provider", "\"trello\"")
        .set("secrets", "[\"env:OTHER_SECRET\"]")
        .set("public_url", "\"https://hooks.test\"");
    let own = |header: &str| {
        let signature = format!("{{ header = \"{header}\", encoding = \"base64\" }}");
        Route::new("own", "/own", &upstream)
            .set("secrets", "[\"env:OTHER_SECRET\"]")
            .scheme("algorithm", "\"hmac-sha1\"")
            .scheme("signed", "\"{body}\"")
            .scheme("signature", &signature)
            .scheme("event_id", "{ json = \"/event_id\" }")
    };
    let gateway = Gateway::start(&config(&[trello.clone(), own("X-Ping")], ""));
    let body = |members: &Value| members.to_string().into_bytes();
    let of_trello =
        body(&json!({"action": {"id": fresh_event_id(), "type": "t"}, "model": {"id": "m"}}));
    let signed = [&of_trello[..], b"https://hooks.test/trello"].concat();
    let of_own = event_with(&fresh_event_id());
    let signatures = [sha1(OTHER_SECRET, &signed), sha1(OTHER_SECRET, &of_own)];
    let [first, second] = &signatures;
    let trello_delivery = Delivery::unsigned("/trello", of_trello).with("X-Trello-Webhook", first);
    let own_delivery = Delivery::unsigned("/own", of_own).with("X-Ping", second);
    for delivery in [trello_delivery, own_delivery] {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    let dead = || get(&gateway, "/queue?state=dead")["deliveries"].clone();
    let count = || dead().as_array().map_or(0, Vec::len);
    assert!(eventually(LATE, || count() == 2), "{}", gateway.stderr());
    let plain = Route::itellico(&upstream);
    for (what, routes) in [
        ("there", None),
        ("changed", Some(vec![trello, own("X-Pong")])),
        ("gone", Some(vec![plain])),
    ] {
        if let Some(routes) = routes {
            gateway.rewrite(&config(&routes, ""));
            done(&gateway, "POST", "/reload", &Value::Null);
        }
        for one in dead().as_array().expect("a list") {
            let id = one["delivery_id"].as_str().expect("an id");
            let shown = get(&gateway, &format!("/queue/{id}")).to_string();
            let lower = shown.to_ascii_lowercase();
            assert!(lower.contains("x-trello-webhook") || lower.contains("x-ping"));
            for signature in &signatures {
                assert!(!shown.contains(signature), "{what}: {shown}");
            }
        }
    }
}

/// A gateway whose app has just failed so often that the breaker is open; and then what an operator does, for which
/// the next probe begins earlier than it was due.
fn probed_by_hand(upstream: &Upstream, by_hand: impl FnOnce(&Gateway)) -> Gateway {
    let before = upstream.count();
    let route = Route::itellico(upstream);
    let gateway = Gateway::start(&config(&[route], "retry = [\"1h\"]"));
    send(&gateway, 10);
    let open = waits_for(&gateway, "itellico", "breaker");
    let due = open.get("next_probe_at").map(moment);
    let seen = upstream.count();
    by_hand(&gateway);
    upstream.wait_for(seen + 1);
    let probed = || attempts(&gateway).get(seen - before).copied();
    assert!(eventually(LATE, || probed().is_some()));
    let probed = probed();
    assert!(
        probed < due,
        "at {probed:?}, and it was due at {due:?} without that"
    );
    gateway
}

#[test]
fn an_open_breaker_is_probed_at_once_after_resume_and_after_a_retry_by_hand() {
    let upstream = Upstream::with(Behaviour::status(502));
    let resume = |gateway: &Gateway| {
        let route = json!({"route": "itellico"});
        done(gateway, "POST", "/queue/resume", &route)
    };
    let gateway = probed_by_hand(&upstream, |gateway| {
        let answer = resume(gateway);
        assert_eq!(
            (&answer["changed"], &answer["probed"]),
            (&json!(false), &json!(true))
        );
    });
    // That one failed.
    waits_for(&gateway, "itellico", "breaker");
    drop(gateway);
    let gateway = probed_by_hand(&upstream, |gateway| {
        let id = get(gateway, "/queue?limit=1")["deliveries"][0]["delivery_id"].clone();
        upstream.behave(Behaviour::status(200));
        let id = json!({"delivery_id": id});
        done(gateway, "POST", "/queue/retry", &id);
    });
    assert!(eventually(LATE, || reasons(&gateway, "itellico").is_empty()));
    let answer = resume(&gateway);
    assert!(answer.get("probed").is_none(), "{answer}");
}

#[test]
fn a_pause_that_the_app_asked_for_is_shown_and_ended_by_resume() {
    let asks = Reply::new(503).with("Retry-After", "3600");
    let upstream = Upstream::with(Behaviour::answer(&asks));
    let route = Route::itellico(&upstream);
    let gateway = Gateway::start(&config(&[route], "retry = [\"1h\"]"));
    assert_eq!(get(&gateway, "/queue")["routes"], json!([]));
    send(&gateway, 3);
    let paused = waits_for(&gateway, "itellico", "app");
    let until = paused["until"].as_str().expect("a time");
    assert!(until.ends_with('Z') && until.len() == 24, "{paused}");
    send(&gateway, 1);
    let listed = get(&gateway, "/queue?limit=1");
    assert_eq!(listed["routes"][0]["deliveries"], 4, "{listed}");
    // A retry by hand has one attempt begin, and the pause goes on.
    let id = listed["deliveries"][0]["delivery_id"].clone();
    let seen = upstream.count();
    done(
        &gateway,
        "POST",
        "/queue/retry",
        &json!({"delivery_id": id}),
    );
    upstream.wait_for(seen + 1);
    waits_for(&gateway, "itellico", "app");
    upstream.behave(Behaviour::status(200));
    let answer = done(
        &gateway,
        "POST",
        "/queue/resume",
        &json!({"route": "itellico"}),
    );
    assert_eq!(answer["changed"], true);
    assert!(reasons(&gateway, "itellico").is_empty());
    let is_taken = || {
        let waiting = get(&gateway, "/queue?state=waiting");
        waiting["deliveries"] == json!([])
    };
    assert!(eventually(LATE, is_taken));
}

#[test]
fn a_rate_an_operators_pause_and_a_removed_route_are_named_as_reasons() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream);
    let other = Route::plain(&upstream);
    let all = [route, other.clone()];
    let gateway = Gateway::start(&config(&all, "rate = \"1/h\""));
    send(&gateway, 3);
    let limited = waits_for(&gateway, "itellico", "rate");
    assert!(limited["until"].is_string(), "{limited}");
    done(
        &gateway,
        "POST",
        "/queue/pause",
        &json!({"route": "itellico"}),
    );
    done(&gateway, "POST", "/queue/pause", &json!({"route": "plain"}));
    let names = |route: &str| {
        let reasons = reasons(&gateway, route).into_iter();
        let names = reasons.map(|one| one["reason"].as_str().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("itellico"), ["operator", "rate"]);
    assert_eq!(names("plain"), ["operator"]);
    let of_one = get(&gateway, "/queue?route=plain");
    let routes = of_one["routes"].as_array().expect("routes");
    assert!(routes.iter().all(|one| one["route"] == "plain"), "{of_one}");
    let plan = done(
        &gateway,
        "POST",
        "/queue/plan",
        &json!({"state": "waiting"}),
    );
    let expected = json!([{"route": "itellico", "deliveries": 2, "held": 0, "paused": 2, "unreadable": 0, "missing_keys": []}]);
    assert_eq!(
        (&plan["routes"], &plan["removed_routes"]),
        (&expected, &json!([]))
    );
    gateway.rewrite(&config(&[other], ""));
    done(&gateway, "POST", "/reload", &Value::Null);
    assert_eq!(names("itellico"), ["operator", "removed"]);
    // A plan of before says what holds its deliveries by now.
    let id = plan["plan"].as_str().expect("an id");
    let now = get(&gateway, &format!("/queue/plan/{id}"));
    let expected = json!([{"route": "itellico", "deliveries": 2, "held": 2, "paused": 0, "unreadable": 0, "missing_keys": []}]);
    assert_eq!(
        (&now["routes"], &now["removed_routes"]),
        (&expected, &json!(["itellico"]))
    );
    let listed = get(&gateway, "/queue?state=waiting");
    let one = &listed["deliveries"][0];
    assert_eq!(one["held_by"], "removed", "{listed}");
    let retried = json!({"delivery_id": one["delivery_id"]});
    let retried = done(&gateway, "POST", "/queue/retry", &retried);
    let kinds = &retried["routes"][0]["reasons"];
    assert_eq!(kinds[1]["reason"], "removed", "{retried}");
    let resumed = done(
        &gateway,
        "POST",
        "/queue/resume",
        &json!({"route": "itellico"}),
    );
    assert_eq!(
        (&resumed["changed"], &resumed["is_listed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(resumed["routes"][0]["reasons"][0]["reason"], "removed");
}

#[test]
fn a_plan_over_a_name_that_had_another_provider_says_how_many_of_it_are_held() {
    let upstream = Upstream::with(Behaviour::status(500));
    let before = Route::itellico(&upstream);
    let gateway = Gateway::start(&config(std::slice::from_ref(&before), "retry = [\"1h\"]"));
    send(&gateway, 2);
    let count = || {
        let listed = get(&gateway, "/queue?state=retrying");
        listed["deliveries"].as_array().map_or(0, Vec::len)
    };
    assert!(eventually(LATE, || count() == 2));
    let other = Route::new("itellico", "/own", &upstream)
        .set("secrets", "[\"env:OTHER_SECRET\"]")
        .scheme("algorithm", "\"hmac-sha1\"")
        .scheme("signed", "\"{body}\"")
        .scheme(
            "signature",
            "{ header = \"X-Ping\", encoding = \"base64\" }",
        )
        .scheme("event_id", "{ json = \"/event_id\" }");
    let after = config(&[other], "retry = [\"1h\"]");
    gateway.rewrite(&after);
    done(&gateway, "POST", "/reload", &Value::Null);
    // A filter by the name would discard those of the new provider, too.
    let is_said = || gateway.stderr().contains("discard them one by one");
    assert!(eventually(LATE, is_said), "{}", gateway.stderr());
    let mut check = binary();
    check.arg("check").arg(gateway.config_file());
    check.envs(after.environment.iter().map(|(name, value)| (name, value)));
    let checked = check.output().expect("the binary runs");
    let checked = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(
        checked.contains("discard them (one by one, by `verigate queue discard ID`)"),
        "{checked}"
    );
    let body = event_with(&fresh_event_id());
    let signature = sha1(OTHER_SECRET, &body);
    let own = Delivery::unsigned("/own", body).with("X-Ping", &signature);
    gateway.ask(own.bytes()).expect_status(200);
    assert!(eventually(LATE, || count() == 3), "{}", gateway.stderr());
    let plan = done(
        &gateway,
        "POST",
        "/queue/plan",
        &json!({"route": "itellico"}),
    );
    let expected = json!([{"route": "itellico", "deliveries": 3, "held": 2, "paused": 0, "unreadable": 0, "missing_keys": []}]);
    assert_eq!(plan["routes"], expected, "{plan}");
    let listed = get(&gateway, "/queue");
    let held = |place: usize| &listed["deliveries"][place]["held_by"];
    assert_eq!(
        [held(0), held(1), held(2)],
        [&json!("provider"), &json!("provider"), &Value::Null]
    );
}

#[test]
fn a_probe_is_promised_when_it_is_made_and_an_operator_has_one_each_5_s_at_most() {
    let asks = Reply::new(429).with("Retry-After", "3600");
    let upstream = Upstream::with(Behaviour::answer(&asks));
    let route = Route::itellico(&upstream);
    let gateway = Gateway::start(&config(&[route], "retry = [\"1s\"]"));
    send(&gateway, 10);
    let open = waits_for(&gateway, "itellico", "breaker");
    // All wait as the app asked, so nothing is tried before.
    let first = get(&gateway, "/queue?limit=1")["deliveries"][0]["next_at"].clone();
    let apart = moment(&open["next_probe_at"]).duration_since(moment(&first));
    assert!(apart.abs() < SignedDuration::from_secs(1), "{open}");
    assert_eq!(
        (&open["last_status"], &open["is_probing"]),
        (&json!(429), &json!(false))
    );
    let seen = upstream.count();
    let resume = || {
        let route = json!({"route": "itellico"});
        done(&gateway, "POST", "/queue/resume", &route)
    };
    assert_eq!(resume()["probed"], true);
    upstream.wait_for(seen + 1);
    let is_over = || {
        let waits = reasons(&gateway, "itellico");
        waits.iter().any(|one| one["is_probing"] == false)
    };
    assert!(eventually(LATE, is_over));
    // Each of these is answered with what comes of it: the next one, five seconds after the first.
    let begun = *attempts(&gateway).last().expect("an attempt");
    for _ in 0..20 {
        resume();
    }
    upstream.wait_for(seen + 2);
    assert!(eventually(LATE, || attempts(&gateway).len() > seen + 1));
    let logged = attempts(&gateway);
    let apart = logged[seen + 1].duration_since(begun);
    assert!(apart > SignedDuration::from_millis(4500), "{apart}");
    assert_eq!(upstream.count(), seen + 2);
}

#[test]
fn a_list_says_what_there_was_instead_of_an_answer() {
    let closed = ClosedPort::take();
    let route =
        Route::itellico(&Upstream::start()).set("upstream", &format!("\"{}\"", closed.url()));
    let gateway = Gateway::start(&config(&[route], "retry = [\"1h\"]"));
    send(&gateway, 1);
    let is_told = || {
        let listed = get(&gateway, "/queue?state=retrying");
        listed["deliveries"][0]["last_error"] == "upstream_unreachable"
    };
    assert!(eventually(LATE, is_told), "{}", get(&gateway, "/queue"));
}

#[test]
fn a_delivery_says_behind_which_one_it_waits() {
    let upstream = Upstream::with(Behaviour::status(500));
    let route = Route::itellico(&upstream);
    let queue = "order_by = \"all\"\nretry = [\"1h\"]";
    let gateway = Gateway::start(&config(&[route], queue));
    send(&gateway, 2);
    let is_tried = || get(&gateway, "/queue?state=retrying")["deliveries"] != json!([]);
    assert!(eventually(LATE, is_tried));
    let listed = get(&gateway, "/queue");
    let id = |place: usize| listed["deliveries"][place]["delivery_id"].clone();
    let shown = |place: usize| {
        let id = id(place);
        get(&gateway, &format!("/queue/{}", id.as_str().expect("an id")))
    };
    let (first, second) = (shown(0), shown(1));
    assert_eq!(
        (&first["is_behind"], first.get("behind")),
        (&json!(false), None)
    );
    assert_eq!(
        (&second["is_behind"], &second["behind"]),
        (&json!(true), &id(0))
    );
}

#[test]
fn a_pause_of_a_route_in_relay_mode_says_that_what_comes_is_forwarded() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
        .extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let route = json!({"route": "itellico"});
    let paused = done(&gateway, "POST", "/queue/pause", &route);
    assert_eq!(
        (&paused["changed"], &paused["mode"]),
        (&json!(true), &json!("relay"))
    );
    gateway.ask(Delivery::fresh()).expect_status(200);
    let mut says = binary();
    says.args(["queue", "pause", "itellico", "--token", "env:ADMIN_TOKEN"]);
    says.args(["--admin", &gateway.admin_addr().to_string()]);
    let said = says.env("ADMIN_TOKEN", TOKEN).output().expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let words = "was paused already; it is in relay mode, so what comes is forwarded at once";
    assert!(said.contains(words), "{said}");
}
