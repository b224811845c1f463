//! SIGTERM (contract: Shutdown; RX-18): no new connection, what is in flight finishes, idle connections
//! hold nothing up, exit status 0, and it ends in any case.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

#[track_caller]
fn expect_clean_exit(gateway: &mut Gateway) {
    let status = gateway.wait_exit(SOON).expect("the gateway ends in time");
    assert_eq!(status.code(), Some(0), "{status}");
}

/// The status of `/readyz` on the admin port; `None` where nobody answers.
fn readiness(gateway: &Gateway) -> Option<u16> {
    let mut client = Client::try_connect(gateway.admin_addr()).ok()?;
    client.send(format!(
        "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        gateway.admin_addr()
    ));
    client.try_answer(SOON).ok().map(|answer| answer.status)
}

#[test]
fn an_idle_gateway_ends_at_once() {
    let upstream = Upstream::start();
    for signal in ["TERM", "INT"] {
        let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
        gateway.expect_serving();
        assert_eq!(readiness(&gateway), Some(200));
        gateway.signal(signal);
        expect_clean_exit(&mut gateway);
    }
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut kept = gateway.connect();
    kept.ask(Delivery::fresh().bytes()).expect_status(200);
    let mut silent = gateway.connect();
    let mut admin = Client::connect(gateway.admin_addr());
    admin
        .ask(format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n",
            gateway.admin_addr()
        ))
        .expect_status(200);
    let connected = || gateway.metrics().value("verigate_open_connections", &[]) > 1.5;
    assert!(eventually(SOON, connected), "{}", gateway.metrics().text);
    gateway.signal("TERM");
    kept.expect_closed();
    silent.expect_closed();
    expect_clean_exit(&mut gateway);
}

#[test]
fn rx_18_what_is_in_flight_finishes_and_nothing_new_is_taken() {
    const IN_FLIGHT: usize = 200;
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut clients: Vec<Client> = (0..IN_FLIGHT).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(Delivery::fresh().bytes());
    }
    assert!(
        eventually(LATE, || upstream.count() == IN_FLIGHT),
        "{} are in flight",
        upstream.count()
    );
    gateway.signal("TERM");
    assert!(
        eventually(SOON, || readiness(&gateway) == Some(503)),
        "/readyz says {:?}",
        readiness(&gateway)
    );
    let refused = || Client::try_connect(gateway.addr()).is_err();
    assert!(
        eventually(SOON, refused),
        "a new connection is taken while stopping"
    );
    assert!(
        gateway
            .wait_exit(std::time::Duration::from_millis(1))
            .is_none(),
        "ended with deliveries in flight"
    );
    latch.open();
    let mut lost = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        match client.try_answer(LATE) {
            Ok(answer) if answer.status == 200 => {}
            other => lost.push(format!("{number}: {other:?}")),
        }
    }
    assert!(
        lost.is_empty(),
        "{} of {IN_FLIGHT} were lost: {}",
        lost.len(),
        lost[0]
    );
    let status = gateway.wait_exit(LATE).expect("the gateway ends");
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(upstream.count(), IN_FLIGHT);
    // What was still in the log's queue was written before the end.
    assert!(
        eventually(SOON, || gateway.log_lines().len() == IN_FLIGHT),
        "{} log lines",
        gateway.log_lines().len()
    );
}

#[test]
fn a_delivery_whose_body_is_arriving_finishes() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh();
    let mut client = gateway.connect();
    client.send(delivery.clone().with("Expect", "100-continue").head());
    client.answer().expect_status(100);
    gateway.signal("TERM");
    assert!(
        eventually(SOON, || readiness(&gateway) == Some(503)),
        "/readyz says {:?}",
        readiness(&gateway)
    );
    client.send(delivery.body());
    client.answer().expect_status(200);
    client.expect_closed();
    expect_clean_exit(&mut gateway);
    upstream.wait_for(1)[0].expect_body(delivery.body());
}

#[test]
fn while_it_is_not_ready_any_more_connections_are_still_taken() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .server("shutdown_delay", "\"3s\"")
        .server("health_path", "\"/up\"");
    let mut gateway = Gateway::start(&config);
    let mut kept = gateway.connect();
    kept.ask(Delivery::fresh().bytes()).expect_status(200);
    gateway.signal("TERM");
    assert!(eventually(SOON, || readiness(&gateway) == Some(503)));
    let probe = gateway.ask("GET /up HTTP/1.1\r\nHost: a\r\n\r\n");
    probe.expect_status(503);
    gateway.expect_serving();
    let answer = kept.ask(Delivery::fresh().bytes());
    answer.expect_status(200);
    assert!(!answer.closes(), "{answer}");
    let refused = || Client::try_connect(gateway.addr()).is_err();
    assert!(eventually(SOON, refused), "a connection is taken after it");
    kept.expect_closed();
    expect_clean_exit(&mut gateway);
}

/// Every answer after the stop ends its connection: that of a request in flight, and that of a request which was on its
/// way when the ports closed.
#[test]
fn rx_31_a_request_on_an_idle_connection_is_served_and_the_next_answer_says_close() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut in_flight = gateway.connect();
    in_flight.send(Delivery::fresh().bytes());
    upstream.wait_for(1);
    let mut kept = gateway.connect();
    kept.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect_status(404);
    gateway.signal("TERM");
    let refused = || Client::try_connect(gateway.addr()).is_err();
    assert!(eventually(SOON, refused), "a new connection is taken");
    assert!(kept.send(Delivery::fresh().bytes()));
    upstream.wait_for(2);
    latch.open();
    for mut client in [in_flight, kept] {
        let answer = client.answer();
        answer.expect_status(200);
        assert!(answer.closes(), "{answer}");
        client.expect_closed();
    }
    expect_clean_exit(&mut gateway);
}

#[test]
fn it_ends_even_when_the_grace_is_exceeded() {
    let upstream = Upstream::with(Behaviour::never());
    let config = Config::for_upstream(&upstream).server("shutdown_grace", "\"1s\"");
    let mut gateway = Gateway::start(&config);
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    upstream.wait_for(1);
    gateway.signal("TERM");
    assert!(
        gateway.wait_exit(SOON).is_some(),
        "still there after its grace"
    );
    client.expect_closed();
}

#[test]
fn attempts_of_the_queue_that_the_grace_cuts_short_are_counted_in_the_log_and_tried_again() {
    let upstream = Upstream::with(Behaviour::never());
    let route = Route::itellico(&upstream).set("mode", "\"queue\"");
    let config = Config::new()
        .route(route)
        .server("shutdown_grace", "\"1s\"")
        .extra("[state]\ndir = \"state\"");
    let mut gateway = Gateway::start(&config);
    gateway.ask(Delivery::fresh()).expect_status(200);
    upstream.wait_for(1);
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("its end");
    let words = "still under way when `server.shutdown_grace` ended: 1; the next process tries";
    assert!(gateway.says(words), "{}", gateway.stderr());
    let _gateway = gateway.started_again(&config);
    upstream.wait_for(2);
}
