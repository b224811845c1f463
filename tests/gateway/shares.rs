//! What a client can take from all, and what is kept for the others: connections, memory, the health path, file descriptors
//! (contract: Shares).

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

/// A connection from `127.0.0.LAST`.
fn from(gateway: &Gateway, last: u8) -> Client {
    Client::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), gateway.addr())
}

fn open_is(gateway: &Gateway, expected: usize) -> bool {
    let expected = f64::from(u32::try_from(expected).unwrap_or(u32::MAX));
    eventually(SOON, || {
        let open = gateway.metrics().value("verigate_open_connections", &[]);
        (open - expected).abs() < 0.5
    })
}

#[test]
fn rx_22_a_client_holds_a_quarter_of_the_connections_and_others_are_served_beside_it() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("max_connections", "8")]);
    let mut held: Vec<Client> = (0..2).map(|_| from(&gateway, 2)).collect();
    for client in &mut held {
        client.send(b"POST /webhooks/itellico HTTP/1.1\r\n");
    }
    assert!(open_is(&gateway, 2));
    let mut third = from(&gateway, 2);
    third
        .ask(Delivery::fresh().bytes())
        .expect_refusal(503, "overloaded");
    third.expect_closed();
    from(&gateway, 3)
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
    drop(held);
    assert!(open_is(&gateway, 0));
    from(&gateway, 2)
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
}

#[test]
fn rx_22_the_connection_that_idled_longest_ends_for_a_newcomer_and_no_request_is_lost() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("max_connections", "4")]);
    let mut clients: Vec<Client> = (2..6)
        .map(|last| {
            let mut client = from(&gateway, last);
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            // Idleness is measured in milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(5));
            client
        })
        .collect();
    assert!(open_is(&gateway, 4));
    let mut newcomer = from(&gateway, 6);
    newcomer.ask(Delivery::fresh().bytes()).expect_status(200);
    let mut first = clients.remove(0);
    first.expect_closed();
    for client in &mut clients {
        client.ask(Delivery::fresh().bytes()).expect_status(200);
    }
}

#[test]
fn rx_23_beyond_the_limit_the_health_path_is_answered_and_nothing_else() {
    if is_http1_only("answers without a request") {
        return;
    }
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[("max_connections", "2"), ("health_path", "\"/alive\"")],
    );
    let mut held: Vec<Client> = (2..4).map(|last| from(&gateway, last)).collect();
    for client in &mut held {
        client.send(b"POST /webhooks/itellico HTTP/1.1\r\n");
    }
    assert!(open_is(&gateway, 2));
    let mut probe = from(&gateway, 4);
    probe
        .ask(b"GET /alive HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect_status(200);
    probe.expect_closed();
    from(&gateway, 5)
        .ask(Delivery::fresh().bytes())
        .expect_refusal(503, "overloaded");
    // A silent connection is told so after a second, and one that sends no HTTP is too.
    from(&gateway, 6).answer().expect_refusal(503, "overloaded");
    from(&gateway, 7)
        .ask(b"no HTTP\r\n\r\n")
        .expect_refusal(503, "overloaded");
    assert_eq!(upstream.count(), 0);
    assert!(gateway.says("refused a new connection"));
}

#[test]
fn rx_22_the_addresses_of_an_ipv6_network_are_one_client_of_the_budget() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[
            ("max_buffered", "\"4MiB\""),
            ("trusted_proxies", "[\"127.0.0.1/32\"]"),
        ],
    );
    let of = |address: &str, size| Delivery::of(event_of(size)).with("X-Forwarded-For", address);
    let mut held: Vec<Client> = (1..5)
        .map(|last| {
            let delivery = of(&format!("2001:db8:1:2::{last}"), 1_000_000).bytes();
            let mut client = gateway.connect();
            client.send(&delivery[..delivery.len() - 100]);
            client
        })
        .collect();
    let is_refused = |client: &mut Client| {
        client
            .try_answer(std::time::Duration::from_millis(1))
            .is_ok_and(|answer| answer.code() == "overloaded")
    };
    let mut refused = 0;
    let all = eventually(SOON, || {
        refused += held
            .iter_mut()
            .filter_map(|client| is_refused(client).then_some(()))
            .count();
        refused == 3
    });
    assert!(all, "{refused} of four were refused");
    gateway
        .ask(of("198.51.100.7", 600_000).bytes())
        .expect_status(200);
    gateway
        .ask(of("2001:db8:1:3::1", 600_000).bytes())
        .expect_status(200);
}

#[test]
fn rx_22_the_requests_of_a_client_behind_a_trusted_proxy_are_counted() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[
            ("max_connections", "8"),
            ("trusted_proxies", "[\"127.0.0.1/32\"]"),
        ],
    );
    let of = |address: &str| Delivery::fresh().with("X-Forwarded-For", address);
    let mut held: Vec<Client> = (0..2)
        .map(|_| {
            let delivery = of("198.51.100.7").bytes();
            let mut client = gateway.connect();
            client.send(&delivery[..delivery.len() - 1]);
            client
        })
        .collect();
    let is_held = eventually(SOON, || {
        gateway.metrics().value("verigate_buffered_bytes", &[]) > 300.0
    });
    assert!(is_held, "two bodies but for their last byte");
    gateway
        .ask(of("198.51.100.7").bytes())
        .expect_refusal(503, "overloaded");
    gateway.ask(of("198.51.100.8").bytes()).expect_status(200);
    for client in &mut held {
        client.send(b"}");
        client.answer().expect_status(200);
    }
    gateway.ask(of("198.51.100.7").bytes()).expect_status(200);
}

#[test]
fn rx_24_the_limit_of_connections_is_lowered_to_what_the_descriptors_hold() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("a folder: {error}"));
    let file = folder.path().join("verigate.toml");
    let config = Config::new()
        .server("threads", "2")
        .route(Route::itellico(&upstream));
    config.write_certificate(folder.path());
    let written = std::fs::write(&file, config.toml());
    assert!(written.is_ok(), "{written:?}");
    for (limit, is_lowered) in [("ulimit -n 300", true), ("ulimit -Sn 300", false)] {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limit}; exec \"$@\""), "sh"])
            .args([env!("CARGO_BIN_EXE_verigate"), "run", "--config"])
            .arg(&file)
            .envs(config.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            unreachable!("the binary starts");
        };
        let said = Arc::new(Mutex::new(String::new()));
        let (into, stderr) = (Arc::clone(&said), child.stderr.take());
        let reader = std::thread::spawn(move || {
            for line in stderr
                .map(BufReader::new)
                .into_iter()
                .flat_map(BufRead::lines)
            {
                let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                into.push_str(&line.unwrap_or_default());
                into.push('\n');
            }
        });
        let all = || said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lowered = "WARN  at most 107 connections are taken instead of 10000: the limit of open file descriptors (`ulimit -n`) of 300 has room";
        let awaited = if is_lowered { lowered } else { "(admin)" };
        let came = eventually(LATE, || {
            all().contains(awaited) && all().contains("(admin)")
        });
        // A reload says nothing that the start has said.
        let id = child.id().to_string();
        let reloads = |count| {
            let sent = Command::new("kill").args(["-s", "HUP", &id]).status();
            let loaded = || all().matches("in force: asked by SIGHUP").count() == count;
            sent.is_ok_and(|sent| sent.success()) && eventually(LATE, loaded)
        };
        let reloaded = came && reloads(1) && reloads(2);
        let again = all().matches("of 300 has room").count();
        // Another number is another matter.
        let other = config.clone().server("max_connections", "5000");
        let written = std::fs::write(&file, other.toml());
        let changed = written.is_ok() && reloaded && reloads(3);
        let written = std::fs::write(&file, config.toml());
        assert!(written.is_ok(), "{written:?}");
        let ended = child.kill().and_then(|()| child.wait());
        assert!(ended.is_ok() && reader.join().is_ok(), "{ended:?}");
        assert!(came, "{limit}: {}", all());
        assert!(reloaded && changed, "{limit}: {}", all());
        let warned = (again, all().matches("of 300 has room").count());
        let expected = if is_lowered { (1, 2) } else { (0, 0) };
        // It names what the operator has written.
        let written = "WARN  `server.max_connections` is 5000, but";
        assert_eq!(all().contains(written), is_lowered, "{}", all());
        assert_eq!(warned, expected, "{limit}: {}", all());
    }
}
