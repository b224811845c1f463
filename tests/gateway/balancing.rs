//! Several upstreams for a route: how deliveries are shared, who is left out and comes back, and health checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, SOON, eventually};

/// A list of upstreams with their weights.
fn list(upstreams: &[(&str, u8)]) -> String {
    let entries = upstreams
        .iter()
        .map(|(url, weight)| format!("{{ url = {}, weight = {weight} }}", text(url)));
    format!("[{}]", entries.collect::<Vec<_>>().join(", "))
}

fn route(upstreams: &[(&str, u8)]) -> Route {
    Route::itellico(&Upstream::start())
        .unset("upstream")
        .set("upstreams", &list(upstreams))
}

fn config(upstreams: &[(&str, u8)]) -> Config {
    Config::new().route(route(upstreams))
}

#[track_caller]
fn deliver(gateway: &Gateway, count: usize) {
    for _ in 0..count {
        gateway.expect_serving();
    }
}

/// What `/metrics` says of an upstream.
fn healthy(gateway: &Gateway, url: &str) -> Option<f64> {
    let labels = [("route", "itellico"), ("upstream", url)];
    let series = gateway
        .metrics()
        .series("verigate_upstream_healthy", &labels);
    series.first().map(|(_, value)| *value)
}

#[track_caller]
fn expect_healthy(gateway: &Gateway, url: &str, value: f64) {
    let shown = eventually(LATE, || healthy(gateway, url) == Some(value));
    assert!(shown, "{url}: {:?}", healthy(gateway, url));
}

#[test]
fn each_upstream_has_its_share_and_the_log_names_it() {
    let [first, second] = [Upstream::start(), Upstream::start()];
    let gateway = Gateway::start(&config(&[(&first.url(), 3), (&second.url(), 1)]));
    deliver(&gateway, 12);
    assert_eq!((first.count(), second.count()), (9, 3));
    assert!(eventually(SOON, || gateway.log_lines().len() == 12));
    let lines = gateway.log_lines();
    let count = |upstream: &Upstream| {
        let is_its = |line: &&Value| line["upstream"] == upstream.url();
        lines.iter().filter(is_its).count()
    };
    assert_eq!((count(&first), count(&second)), (9, 3));
    for upstream in [&first, &second] {
        assert_eq!(healthy(&gateway, &upstream.url()), Some(1.0));
    }
}

#[test]
fn the_least_busy_gets_the_next_delivery() {
    let [slow, fast] = [Upstream::start(), Upstream::start()];
    let route = route(&[(&slow.url(), 1), (&fast.url(), 1)]).set("balance", "\"least_busy\"");
    let gateway = Gateway::start(&Config::new().route(route));
    let latch = Latch::closed();
    slow.behave(Behaviour::answer_after(&latch, &Reply::new(200)));
    // An upstream has a delivery in hand until its line is in the log, which may be after its answer.
    let all_of_fast_are_over = || eventually(SOON, || gateway.log_lines().len() == fast.count());
    let mut waiting = gateway.connect();
    while slow.count() == 0 {
        assert!(all_of_fast_are_over());
        let before = fast.count();
        waiting = gateway.connect();
        waiting.send(Delivery::fresh().bytes());
        let arrived = eventually(SOON, || slow.count() + fast.count() > before);
        assert!(arrived);
    }
    let before = fast.count();
    for _ in 0..6 {
        assert!(all_of_fast_are_over());
        deliver(&gateway, 1);
    }
    assert_eq!((slow.count(), fast.count()), (1, before + 6));
    latch.open();
    waiting.answer().expect_status(200);
    deliver(&gateway, 6);
    assert!(slow.count() > 1, "it has its share again");
}

#[test]
fn up_18_a_delivery_that_reaches_nobody_goes_to_the_next_upstream() {
    let (closed, good) = (ClosedPort::take(), Upstream::start());
    let gateway = Gateway::start(&config(&[(&closed.url(), 1), (&good.url(), 1)]));
    deliver(&gateway, 10);
    assert_eq!(good.count(), 10);
    assert!(
        gateway.says("left out after 3 failures to connect in a row"),
        "{}",
        gateway.stderr()
    );
    assert_eq!(healthy(&gateway, &closed.url()), Some(0.0));
    assert_eq!(healthy(&gateway, &good.url()), Some(1.0));
}

#[test]
fn up_18_the_log_says_that_the_last_upstream_in_service_is_not_left_out() {
    let [first, second] = [ClosedPort::take(), ClosedPort::take()];
    let gateway = Gateway::start(&config(&[(&first.url(), 1), (&second.url(), 1)]));
    for _ in 0..6 {
        gateway
            .ask(Delivery::fresh().bytes())
            .expect_refusal(502, "upstream_unreachable");
    }
    let last = "it goes on getting deliveries after 3 failures to connect in a row";
    assert!(gateway.says(last), "{}", gateway.stderr());
    let said = |words: &str| {
        let lines = gateway.stderr();
        let lines = lines.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let out = said("left out after 3 failures to connect in a row");
    let last = said(last);
    assert_eq!((out.len(), last.len()), (1, 1), "{}", gateway.stderr());
    assert!(
        last.concat().contains("no other upstream is in service"),
        "{last:?}"
    );
    assert_eq!(
        healthy(&gateway, &first.url())
            .zip(healthy(&gateway, &second.url()))
            .map(|(a, b)| a + b),
        Some(1.0)
    );
}

#[test]
fn up_18_nothing_is_sent_twice_once_a_byte_was_sent() {
    let [first, second] = [Upstream::start(), Upstream::start()];
    let gateway = Gateway::start(&config(&[(&first.url(), 1), (&second.url(), 1)]));
    for behaviour in [
        Behaviour::close(),
        Behaviour::reset(),
        Behaviour::raw("nonsense\r\n\r\n"),
    ] {
        first.next(behaviour.clone());
        second.next(behaviour);
        let before = first.count() + second.count();
        for _ in 0..2 {
            gateway
                .ask(Delivery::of(event_of(500)).bytes())
                .expect_refusal(502, "upstream_failed");
        }
        assert_eq!(first.count() + second.count(), before + 2);
    }
    // Failures after the connection leave nobody out.
    assert_eq!(healthy(&gateway, &first.url()), Some(1.0));
    deliver(&gateway, 2);
}

#[test]
fn an_upstream_that_is_left_out_comes_back() {
    let good = Upstream::start();
    let place = ClosedPort::take();
    let url = place.url();
    let gateway = Gateway::start(&config(&[(&url, 1), (&good.url(), 1)]));
    deliver(&gateway, 8);
    assert_eq!(healthy(&gateway, &url), Some(0.0));
    let addr = place.addr();
    drop(place);
    let back = Upstream::at(addr, Behaviour::status(200));
    let served = eventually(LATE, || {
        gateway.expect_serving();
        back.count() > 0
    });
    assert!(served, "{}", gateway.stderr());
    assert!(gateway.says("takes connections again"));
    expect_healthy(&gateway, &url, 1.0);
}

/// Connections that another route's deliveries have made and keep count as well.
#[test]
fn an_upstream_comes_back_by_connections_that_another_route_made() {
    let good = Upstream::start();
    let place = ClosedPort::take();
    let url = place.url();
    let other = Route::itellico(&Upstream::start())
        .set("name", "\"other\"")
        .set("path", "\"/other\"")
        .set("upstream", &text(&url));
    let config = config(&[(&url, 1), (&good.url(), 1)]).route(other);
    let gateway = Gateway::start(&config);
    deliver(&gateway, 8);
    assert_eq!(healthy(&gateway, &url), Some(0.0));
    let addr = place.addr();
    drop(place);
    let back = Upstream::at(addr, Behaviour::status(200));
    let served = eventually(LATE, || {
        let delivery = Delivery::fresh().target("/other");
        assert_eq!(gateway.ask(delivery.bytes()).status, 200);
        gateway.expect_serving();
        healthy(&gateway, &url) == Some(1.0)
    });
    assert!(served, "{}", gateway.stderr());
    assert!(back.count() > 0);
}

#[test]
fn up_18_the_last_upstream_is_never_left_out() {
    let [first, second] = [ClosedPort::take(), ClosedPort::take()];
    let gateway = Gateway::start(&config(&[(&first.url(), 1), (&second.url(), 1)]));
    for _ in 0..6 {
        gateway
            .ask(Delivery::fresh().bytes())
            .expect_refusal(502, "upstream_unreachable");
    }
    let shown = [&first, &second].map(|port| healthy(&gateway, &port.url()));
    assert!(shown.contains(&Some(1.0)), "{shown:?}");
    // It serves at once when it is back, though nobody waited for anything.
    let stays = if shown[0] == Some(1.0) { first } else { second };
    let addr = stays.addr();
    drop(stays);
    let back = Upstream::at(addr, Behaviour::status(200));
    deliver(&gateway, 2);
    assert_eq!(back.count(), 2);
}

#[test]
fn up_18_an_upstream_that_fails_its_health_check_gets_nothing_until_it_passes() {
    let [sick, well] = [Upstream::start(), Upstream::start()];
    let is_sick = Arc::new(AtomicUsize::new(1));
    let checks = Arc::new(AtomicUsize::new(0));
    let (flag, count) = (Arc::clone(&is_sick), Arc::clone(&checks));
    sick.behave_by(move |request| {
        if request.target == b"/healthz?deep=1" {
            count.fetch_add(1, Ordering::SeqCst);
            assert_eq!(request.method, "GET");
            Behaviour::status(if flag.load(Ordering::SeqCst) > 0 {
                503
            } else {
                204
            })
        } else {
            Behaviour::status(200)
        }
    });
    let health = "{ path = \"/healthz?deep=1\", interval = \"1s\", timeout = \"5s\" }";
    let with_health = Config::new()
        .route(route(&[(&sick.url(), 1), (&well.url(), 1)]).set("health", health))
        .route(
            Route::plain(&well)
                .set("health", health)
                .set("upstream", &text(&sick.url())),
        );
    let gateway = Gateway::start(&with_health);
    expect_healthy(&gateway, &sick.url(), 0.0);
    assert!(
        gateway.says("failed: it answered 503"),
        "{}",
        gateway.stderr()
    );
    let delivered = |upstream: &Upstream| {
        let requests = upstream.requests();
        requests
            .iter()
            .filter(|request| request.method == "POST")
            .count()
    };
    deliver(&gateway, 6);
    assert_eq!((delivered(&sick), delivered(&well)), (0, 6));
    // The only upstream of a route gets its deliveries, whatever its checks say.
    gateway
        .ask(Delivery::plain("{}").bytes())
        .expect_status(200);
    assert_eq!(delivered(&sick), 1);
    is_sick.store(0, Ordering::SeqCst);
    expect_healthy(&gateway, &sick.url(), 1.0);
    deliver(&gateway, 6);
    assert_eq!((delivered(&sick), delivered(&well)), (4, 9));
    // Without routes that want them, the checks end.
    gateway.rewrite(&config(&[(&sick.url(), 1), (&well.url(), 1)]));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    let ended = eventually(LATE, || {
        let before = checks.load(Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(2500));
        checks.load(Ordering::SeqCst) == before
    });
    assert!(ended);
    deliver(&gateway, 2);
}

#[test]
fn a_reload_keeps_who_is_left_out_and_changes_who_is_asked() {
    let (closed, good, new) = (ClosedPort::take(), Upstream::start(), Upstream::start());
    let with = config(&[(&closed.url(), 1), (&good.url(), 1)]);
    let gateway = Gateway::start(&with);
    deliver(&gateway, 8);
    assert_eq!(healthy(&gateway, &closed.url()), Some(0.0));
    gateway.rewrite(&with.server("max_headers", "90"));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    assert_eq!(healthy(&gateway, &closed.url()), Some(0.0), "as before");
    gateway.rewrite(&config(&[(&good.url(), 1), (&new.url(), 1)]));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    assert_eq!(healthy(&gateway, &closed.url()), None);
    let before = good.count();
    deliver(&gateway, 6);
    assert_eq!((good.count() - before, new.count()), (3, 3));
}

#[test]
fn tls_unix_and_plain_upstreams_stand_in_a_list_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = crate::support::authority::Authority::new();
    crate::support::authority::write(folder.path(), "ca.crt", &authority.pem());
    let tls = Upstream::tls(authority.server(&["127.0.0.1"]).config(None));
    let unix = Upstream::unix(&folder.path().join("app.sock"));
    let plain = Upstream::start();
    let all = [(&*tls.url(), 1), (&unix.url(), 1), (&plain.url(), 1)];
    let route = route(&all).set("upstream_tls", "{ ca = \"ca.crt\" }");
    let gateway = Gateway::start_in(folder, &Config::new().route(route));
    deliver(&gateway, 6);
    assert_eq!([&tls, &unix, &plain].map(Upstream::count), [2, 2, 2]);
}
