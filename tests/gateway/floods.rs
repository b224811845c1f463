//! Much of something at a time: forged deliveries, refusals, connections without a file descriptor left for them.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::client::Client;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, SOON, eventually};

#[test]
fn rp_10_forged_deliveries_take_no_place_in_the_window() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).replay("capacity", "10"));
    let remembered = Delivery::fresh();
    gateway.ask(remembered.clone()).expect_status(200);
    let entries = || gateway.metrics().value("verigate_replay_entries", &[]);
    assert!(
        eventually(SOON, || entries() > 0.5),
        "the good delivery has an entry"
    );
    let mut client = gateway.connect();
    for _ in 0..1000 {
        let forged = Delivery::signed(
            "another secret",
            Delivery::fresh().body(),
            &remembered.value("X-Webhook-Timestamp"),
        );
        client
            .ask(forged.bytes())
            .expect_refusal(401, "bad_signature");
    }
    assert!(
        (entries() - 1.0).abs() < 0.5,
        "{} entries after 1000 forged deliveries",
        entries()
    );
    gateway
        .ask(remembered)
        .expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1, "forwarded");
}

#[test]
fn lg_06_of_many_refusals_each_has_its_log_line_and_warnings_are_few() {
    const REFUSED: usize = 4000;
    const UNREACHABLE: usize = 200;
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let nowhere = Route::plain(&upstream).set("upstream", &text(&port.url()));
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream).route(
            nowhere
                .set("name", "\"nowhere\"")
                .set("path", "\"/nowhere\""),
        ),
    );
    let forged = Delivery::fresh()
        .set("X-Webhook-Signature-256", "0".repeat(64))
        .bytes();
    let flooders: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, batch) = (gateway.connect(), forged.repeat(10));
            std::thread::spawn(move || {
                for _ in 0..REFUSED / 40 {
                    client.send(&batch);
                    for _ in 0..10 {
                        client.answer().expect_refusal(401, "bad_signature");
                    }
                }
            })
        })
        .collect();
    for flooder in flooders {
        flooder.join().expect("a flooding thread");
    }
    let mut client = gateway.connect();
    for _ in 0..UNREACHABLE {
        let delivery = Delivery::plain(Delivery::fresh().body()).target("/nowhere");
        client
            .ask(delivery.bytes())
            .expect_refusal(502, "upstream_unreachable");
    }
    let all = REFUSED + UNREACHABLE;
    let lost = || {
        gateway
            .metrics()
            .value("verigate_log_lines_dropped_total", &[])
    };
    let is_complete = || {
        let expected = i32::try_from(all - gateway.log_lines().len()).map(f64::from);
        expected.is_ok_and(|missing| (lost() - missing).abs() < 0.5)
    };
    assert!(
        eventually(LATE, is_complete),
        "{} lines and {} lost of {all}",
        gateway.log_lines().len(),
        lost()
    );
    let warnings = gateway.stderr().matches("WARN").count();
    // One for each ten seconds, and this takes a few.
    assert!(
        (1..=6).contains(&warnings),
        "{warnings} warnings:\n{}",
        gateway.stderr()
    );
}

#[test]
fn rx_17_without_a_file_descriptor_left_it_waits_and_serves_again() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    gateway.expect_serving();
    let pid =
        Pid::from_raw(i32::try_from(gateway.pid()).expect("a process id")).expect("a process id");
    let limit = |current| Rlimit {
        current: Some(current),
        maximum: Some(4096),
    };
    prlimit(Some(pid), Resource::Nofile, limit(60)).expect("a limit");
    let waiting: Vec<Client> = (0..100).map(|_| gateway.connect()).collect();
    assert!(
        gateway.says("Too many open files"),
        "the gateway says what it lacks"
    );
    let before = gateway.cpu_ticks();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let spent = gateway.cpu_ticks() - before;
    assert!(
        spent < 50,
        "{spent} hundredths of a second of CPU in two seconds without a descriptor"
    );
    let said = gateway.stderr().matches("Too many open files").count();
    assert!(said < 20, "said {said} times");
    drop(waiting);
    assert!(
        eventually(LATE, || gateway.ask(Delivery::fresh()).status == 200),
        "it serves again"
    );
}

#[test]
fn without_a_file_descriptor_left_it_stops_as_always() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let pid =
        Pid::from_raw(i32::try_from(gateway.pid()).expect("a process id")).expect("a process id");
    let limit = Rlimit {
        current: Some(40),
        maximum: Some(4096),
    };
    prlimit(Some(pid), Resource::Nofile, limit).expect("a limit");
    let _waiting: Vec<Client> = (0..60).map(|_| gateway.connect()).collect();
    assert!(
        gateway.says("cannot accept connections"),
        "the gateway says what it lacks"
    );
    gateway.signal("TERM");
    let status = gateway.wait_exit(SOON).expect("the gateway ends in time");
    assert_eq!(status.code(), Some(0), "{status}");
}
