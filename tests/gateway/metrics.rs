//! `/metrics` (contract: Metrics; LG-02): every name with its type, counts that agree with the traffic, and series that
//! do not grow with what comes from the network.

use std::collections::BTreeSet;

use super::tls::{A, NAME, folder};
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::cases::Cases;
use crate::support::certificates::Authority;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, event_with, fresh_event_id};
use crate::support::gateway::{Gateway, Metrics};
use crate::support::upstream::Upstream;
use crate::support::{LATE, SECRET_VARIABLE, SOON, eventually, now};

/// Every metric (contract: Metrics): name, type, labels.
const METRICS: [(&str, &str, &[&str]); 49] = [
    ("verigate_requests_total", "counter", &["route", "verdict"]),
    ("verigate_request_duration_seconds", "histogram", &["route"]),
    (
        "verigate_verification_duration_seconds",
        "histogram",
        &["route"],
    ),
    (
        "verigate_upstream_duration_seconds",
        "histogram",
        &["route"],
    ),
    (
        "verigate_upstream_responses_total",
        "counter",
        &["class", "route"],
    ),
    ("verigate_buffered_bytes", "gauge", &[]),
    ("verigate_open_connections", "gauge", &[]),
    (
        "verigate_secret_matches_total",
        "counter",
        &["route", "secret"],
    ),
    ("verigate_replay_entries", "gauge", &[]),
    ("verigate_replay_evictions_total", "counter", &["reason"]),
    ("verigate_event_id_conflicts_total", "counter", &["route"]),
    ("verigate_log_lines_dropped_total", "counter", &[]),
    ("verigate_config_reloads_total", "counter", &["result"]),
    ("verigate_build_info", "gauge", &["version"]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_max_fds", "gauge", &[]),
    ("process_virtual_memory_bytes", "gauge", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
    ("process_threads", "gauge", &[]),
    ("verigate_config_last_reload_successful", "gauge", &[]),
    (
        "verigate_config_last_reload_success_timestamp_seconds",
        "gauge",
        &[],
    ),
    (
        "verigate_secret_not_after_timestamp_seconds",
        "gauge",
        &["route", "secret"],
    ),
    (
        "verigate_secret_last_match_timestamp_seconds",
        "gauge",
        &["route", "secret"],
    ),
    ("verigate_secrets_active", "gauge", &["route"]),
    (
        "verigate_route_last_valid_timestamp_seconds",
        "gauge",
        &["route"],
    ),
    ("verigate_replay_capacity", "gauge", &[]),
    ("verigate_max_buffered_bytes", "gauge", &[]),
    ("verigate_max_connections", "gauge", &[]),
    ("verigate_tls_handshakes_total", "counter", &["result"]),
    ("verigate_acme_orders_total", "counter", &["result"]),
    (
        "verigate_certificate_not_after_timestamp_seconds",
        "gauge",
        &["name"],
    ),
    ("verigate_queue_deliveries", "gauge", &["route", "state"]),
    ("verigate_queue_oldest_seconds", "gauge", &["route"]),
    ("verigate_queue_bytes", "gauge", &[]),
    ("verigate_queue_max_bytes", "gauge", &[]),
    ("verigate_queue_max_deliveries", "gauge", &[]),
    ("verigate_queue_route_bytes", "gauge", &["route"]),
    ("verigate_queue_route_max_bytes", "gauge", &["route"]),
    ("verigate_queue_route_max_deliveries", "gauge", &["route"]),
    (
        "verigate_queue_attempts_total",
        "counter",
        &["class", "route"],
    ),
    ("verigate_queue_dead_total", "counter", &["reason", "route"]),
    ("verigate_queue_held", "gauge", &["route"]),
    ("verigate_queue_paused", "gauge", &["reason", "route"]),
    ("verigate_queue_breaker_open", "gauge", &["route"]),
    ("verigate_queue_accept_duration_seconds", "histogram", &[]),
    ("verigate_state_sync_duration_seconds", "histogram", &[]),
    ("verigate_state_errors_total", "counter", &["kind"]),
];

fn series_of(metrics: &Metrics) -> BTreeSet<String> {
    let lines = metrics.text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

/// Waits until a series has this value: an exchange is counted when it ends, which is after its answer was read.
#[track_caller]
fn expect_value(gateway: &Gateway, name: &str, labels: &[(&str, &str)], expected: u32) {
    let reached = eventually(SOON, || {
        close_to(gateway.metrics().value(name, labels), expected)
    });
    assert!(
        reached,
        "{name} {labels:?} is {} and not {expected}",
        gateway.metrics().value(name, labels)
    );
}

fn close_to(value: f64, expected: u32) -> bool {
    (value - f64::from(expected)).abs() < 0.5
}

#[test]
fn every_metric_has_its_name_type_help_and_labels() {
    let upstream = Upstream::start();
    let secrets = format!(
        "[\"env:{SECRET_VARIABLE}\", {{ name = \"old\", value = \"env:PLAIN_SECRET\", not_after = \"2099-01-01T00:00:00Z\" }}]"
    );
    let route = Route::itellico(&upstream).set("secrets", &secrets);
    // Few enough to fit into the file descriptors of any machine.
    let config = Config::new()
        .server("max_connections", "100")
        .route(route)
        .route(Route::plain(&upstream).set("mode", "\"queue\""))
        .extra("[state]\ndir = \"state\"")
        .with_own_ports()
        .extra(&format!("[[server.tls]]\nlisten = [\"127.0.0.1:0\"]\n{A}"));
    let pair = Authority::of_tests().issue(&[NAME]);
    let gateway = Gateway::start_in(folder(&[("a", &pair)]), &config);
    gateway.expect_serving();
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    expect_value(
        &gateway,
        "verigate_requests_total",
        &[("route", "itellico"), ("verdict", "valid")],
        1,
    );
    let answer = gateway.admin("GET", "/metrics", &[], "");
    let content_type = answer.header("Content-Type").unwrap_or_default().to_owned();
    assert!(content_type.starts_with("text/plain"), "{content_type}");
    let metrics = gateway.metrics();
    let mut cases = Cases::new();
    for (name, kind, labels) in METRICS {
        cases.case(name, || {
            assert!(
                metrics.text.contains(&format!("# TYPE {name} {kind}\n")),
                "its type is not {kind}"
            );
            assert!(metrics.text.contains(&format!("# HELP {name} ")), "no help");
            let sample = if kind == "histogram" {
                format!("{name}_count")
            } else {
                name.to_owned()
            };
            let series = metrics.series(&sample, &[]);
            assert!(!series.is_empty(), "no series of {sample}");
            for (series, _) in series {
                let shown = series
                    .split_once('{')
                    .map_or("", |(_, labels)| labels.trim_end_matches('}'));
                let mut found: Vec<&str> = shown
                    .split("\",")
                    .filter_map(|pair| Some(pair.split_once('=')?.0))
                    .collect();
                found.sort_unstable();
                assert_eq!(found, labels, "labels of {series}");
            }
        });
    }
    let known: BTreeSet<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
    cases.case("no other name", || {
        for line in metrics
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE verigate_"))
        {
            let name = format!("verigate_{}", line.split(' ').next().unwrap_or_default());
            assert!(known.contains(name.as_str()), "{name} is in no table");
        }
    });
    cases.case("version", || {
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            close_to(
                metrics.value("verigate_build_info", &[("version", version)]),
                1
            ),
            "{}",
            metrics.text
        );
    });
    let soon_ago = |name: &str, labels: &[(&str, &str)]| {
        let age = seconds_now() - metrics.value(name, labels);
        assert!((-2.0..120.0).contains(&age), "{name} is {age} seconds ago");
    };
    let route = ("route", "itellico");
    for (name, labels) in [
        ("process_start_time_seconds", &[][..]),
        ("verigate_config_last_reload_success_timestamp_seconds", &[]),
        ("verigate_route_last_valid_timestamp_seconds", &[route]),
        (
            "verigate_secret_last_match_timestamp_seconds",
            &[route, ("secret", "env:ITELLICO_WEBHOOK_SECRET")],
        ),
    ] {
        cases.case(name, || soon_ago(name, labels));
    }
    for (name, labels, value) in [
        ("verigate_config_last_reload_successful", &[][..], 1.0),
        ("verigate_secrets_active", &[route], 2.0),
        (
            "verigate_secret_last_match_timestamp_seconds",
            &[route, ("secret", "old")],
            0.0,
        ),
        (
            "verigate_secret_not_after_timestamp_seconds",
            &[route, ("secret", "old")],
            4_070_908_800.0,
        ),
        ("verigate_replay_capacity", &[], 1_000_000.0),
        ("verigate_max_buffered_bytes", &[], 268_435_456.0),
        ("verigate_max_connections", &[], 100.0),
    ] {
        cases.case(&format!("the value of {name}"), || {
            let found = metrics.value(name, labels);
            assert!((found - value).abs() < 0.5, "{found} and not {value}");
        });
    }
    cases.finish();
}

fn seconds_now() -> f64 {
    f64::from(u32::try_from(now()).unwrap_or(u32::MAX))
}

/// A handshake, a refusal and a probe of health are no events, so they do not hide that events no longer come.
#[test]
fn what_is_no_valid_event_leaves_the_time_of_the_last_one() {
    let upstream = Upstream::start();
    let handshakes = Route::new("dropbox", "/dropbox", &upstream)
        .set("provider", "\"dropbox\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let config = Config::for_upstream(&upstream)
        .route(handshakes)
        .server("health_path", "\"/health\"");
    let gateway = Gateway::start(&config);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway
        .ask(get("/dropbox?challenge=abc"))
        .expect_status(200);
    gateway.ask(get("/health")).expect_status(200);
    gateway
        .ask(Delivery::signed("guessed", event(), &now().to_string()))
        .expect_refusal(401, "bad_signature");
    for route in ["dropbox", "itellico"] {
        let requests = [("route", route)];
        assert!(eventually(SOON, || gateway
            .metrics()
            .value("verigate_requests_total", &requests)
            > 0.5));
    }
    let last = |route| {
        let metrics = gateway.metrics();
        metrics.value(
            "verigate_route_last_valid_timestamp_seconds",
            &[("route", route)],
        )
    };
    assert!(last("dropbox") < 0.5 && last("itellico") < 0.5);
    gateway.expect_serving();
    assert!(eventually(SOON, || last("itellico") > 0.5));
}

#[test]
fn series_vanish_with_their_route_at_a_reload() {
    let upstream = Upstream::start();
    let second = Route::plain(&upstream);
    let both = Config::for_upstream(&upstream)
        .route(second.set("name", "\"second\"").set("path", "\"/second\""));
    let gateway = Gateway::start(&both);
    gateway.expect_serving();
    let has = |label: &str| gateway.metrics().text.contains(label);
    assert!(has("route=\"second\""));
    gateway.rewrite(&Config::for_upstream(&upstream));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    assert!(!has("route=\"second\""));
    expect_value(
        &gateway,
        "verigate_requests_total",
        &[("route", "itellico"), ("verdict", "valid")],
        1,
    );
}

#[test]
fn the_counts_agree_with_the_traffic() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = fresh_event_id();
    let (body, at) = (event_with(&id), now() - 5);
    let ask = |count: usize, delivery: &dyn Fn() -> Delivery| {
        for _ in 0..count {
            gateway.ask(delivery());
        }
    };
    ask(7, &Delivery::fresh);
    ask(1, &|| Delivery::at(body.clone(), at));
    ask(3, &|| Delivery::at(body.clone(), at));
    ask(2, &|| Delivery::at(body.clone(), at + 1));
    ask(1, &|| {
        Delivery::at(format!("{{\"event_id\":\"{id}\",\"n\":1}}"), at)
    });
    ask(4, &|| {
        Delivery::signed("guessed", event(), &now().to_string())
    });
    ask(5, &|| Delivery::fresh().without("X-Webhook-Signature-256"));
    ask(6, &|| Delivery::fresh().target("/nowhere"));
    ask(2, &|| Delivery::of("no json"));
    ask(3, &|| Delivery::plain(event()));
    for status in [204, 302, 404, 503] {
        upstream.next(Behaviour::answer(&Reply::new(status).body("")));
        ask(1, &Delivery::fresh);
    }
    upstream.next(Behaviour::close());
    ask(1, &Delivery::fresh);

    let mut cases = Cases::new();
    let requests = "verigate_requests_total";
    for (name, labels, expected) in [
        (
            requests,
            &[("route", "itellico"), ("verdict", "valid")][..],
            13,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "replayed_event")],
            3,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "duplicate_event")],
            2,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "event_id_conflict")],
            1,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "bad_signature")],
            4,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "missing_signature")],
            5,
        ),
        (
            requests,
            &[("route", "itellico"), ("verdict", "invalid_envelope")],
            2,
        ),
        (requests, &[("route", "-"), ("verdict", "no_route")], 6),
        (requests, &[("route", "plain"), ("verdict", "valid")], 3),
        (requests, &[("route", "itellico")], 30),
        (
            "verigate_request_duration_seconds_count",
            &[("route", "itellico")],
            30,
        ),
        (
            "verigate_request_duration_seconds_count",
            &[("route", "plain")],
            3,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "itellico"), ("class", "2xx")],
            9,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "itellico"), ("class", "3xx")],
            1,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "itellico"), ("class", "4xx")],
            1,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "itellico"), ("class", "5xx")],
            1,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "itellico"), ("class", "none")],
            1,
        ),
        (
            "verigate_upstream_responses_total",
            &[("route", "plain"), ("class", "2xx")],
            3,
        ),
        (
            "verigate_secret_matches_total",
            &[
                ("route", "itellico"),
                ("secret", "env:ITELLICO_WEBHOOK_SECRET"),
            ],
            21,
        ),
        (
            "verigate_secret_matches_total",
            &[("route", "plain"), ("secret", "env:PLAIN_SECRET")],
            3,
        ),
        (
            "verigate_event_id_conflicts_total",
            &[("route", "itellico")],
            1,
        ),
        ("verigate_replay_entries", &[], 12),
        ("verigate_buffered_bytes", &[], 0),
        ("verigate_log_lines_dropped_total", &[], 0),
    ] {
        cases.case(&format!("{name} {labels:?}"), || {
            expect_value(&gateway, name, labels, expected);
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 16);
}

#[test]
fn gauges_go_up_and_down() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::of(crate::support::delivery::event_of(50_000));
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    upstream.wait_for(1);
    expect_value(&gateway, "verigate_replay_entries", &[], 1);
    let held = gateway.metrics().value("verigate_buffered_bytes", &[]);
    assert!(
        held >= 50_000.0,
        "{held} bytes are held while the delivery is in flight"
    );
    let open = gateway.metrics().value("verigate_open_connections", &[]);
    assert!(open > 0.5, "{open} connections are open");
    latch.open();
    client.answer().expect_status(200);
    drop(client);
    expect_value(&gateway, "verigate_buffered_bytes", &[], 0);
    // The admin port's own connection may be counted as well.
    assert!(eventually(SOON, || gateway
        .metrics()
        .value("verigate_open_connections", &[])
        < open + 0.5));
}

/// The n-th delivery of a kind.
type Kind = fn(usize) -> Delivery;

#[test]
fn lg_02_series_do_not_grow_with_what_comes_from_the_network() {
    let upstream = Upstream::start();
    let prefix = Route::plain(&upstream)
        .set("name", "\"below\"")
        .set("path", "\"/below/*\"");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(prefix));
    let kinds: [(&str, Kind); 8] = [
        ("paths", |n| Delivery::fresh().target(format!("/path-{n}"))),
        ("paths below a prefix", |n| {
            Delivery::plain(format!("{n}")).target(format!("/below/{n}"))
        }),
        ("queries", |n| {
            Delivery::fresh().target(format!("/webhooks/itellico?n={n}"))
        }),
        ("methods", |n| Delivery::fresh().method(&format!("M{n}"))),
        ("hosts", |n| {
            Delivery::fresh().set("Host", format!("h{n}.example"))
        }),
        ("ids", |n| Delivery::of(event_with(&format!("id-{n}")))),
        ("types", |n| {
            Delivery::of(format!(
                "{{\"event_id\":\"t-{n}\",\"event_type\":\"type-{n}\"}}"
            ))
        }),
        ("signatures", |n| {
            Delivery::signed(&format!("s{n}"), event(), &now().to_string())
        }),
    ];
    let send = |numbers: std::ops::Range<usize>| {
        for (_, kind) in kinds {
            let mut client = gateway.connect();
            for number in numbers.clone() {
                let answer = client.ask(kind(number).bytes());
                if answer.closes() {
                    client = gateway.connect();
                }
            }
        }
    };
    let counted = || gateway.metrics().value("verigate_requests_total", &[]);
    send(0..1);
    assert!(
        eventually(SOON, || close_to(counted(), 8)),
        "{} are counted",
        counted()
    );
    let before = series_of(&gateway.metrics());
    send(1..126);
    assert!(
        eventually(LATE, || close_to(counted(), 1008)),
        "{} are counted",
        counted()
    );
    let after = series_of(&gateway.metrics());
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{} new series: {new:#?}", new.len());
}
