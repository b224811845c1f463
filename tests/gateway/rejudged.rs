//! Connections that are open over a reload (contract: Reload, The edge): certificates of clients and trusted proxies are
//! judged by what is in force then.

#![expect(clippy::unwrap_used, reason = "test code: a panic is how a test fails")]

use std::fs;
use std::sync::Arc;

use rustls::{ALL_VERSIONS, ClientConfig};

use super::tls::{A, NAME, config, folder, shake};
use crate::support::certificates::{Authority, client};
use crate::support::client::Client;
use crate::support::config::Config;
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::http2::{Http2, Tls};
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON};

/// A gateway with a TLS port, whose `client_ca` is `ca.crt` where the configuration names it.
fn start(config: &Config, authorities: &str) -> Gateway {
    let pair = Authority::of_tests().issue(&[NAME, "localhost"]);
    let folder = folder(&[("a", &pair)]);
    fs::write(folder.path().join("ca.crt"), authorities).unwrap();
    Gateway::start_in(folder, config)
}

/// A connection of HTTP/1 and one of HTTP/2, on each of which a delivery was answered.
fn connections(gateway: &Gateway, settings: &ClientConfig) -> (Client, Http2) {
    let mut first = shake(gateway.addr(), &Arc::new(settings.clone()), NAME).unwrap();
    first.ask(Delivery::fresh().bytes()).expect_status(200);
    let mut second = Tls::at(gateway.addr(), settings.clone()).client();
    assert_eq!(second.ask(&Delivery::fresh()).status, 200);
    (first, second)
}

fn reload(gateway: &Gateway) {
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
}

#[track_caller]
fn expect_kept(first: &mut Client, second: &mut Http2) {
    for _ in 0..2 {
        let answer = first.ask(Delivery::fresh().bytes());
        answer.expect_status(200);
        assert!(!answer.closes(), "{answer}");
        assert_eq!(second.ask(&Delivery::fresh()).status, 200);
    }
}

#[track_caller]
fn expect_ended(mut first: Client, mut second: Http2) {
    let answer = first.ask(Delivery::fresh().bytes());
    answer.expect_refusal(400, "bad_request");
    assert!(answer.closes(), "{answer}");
    first.expect_closed();
    let reply = second.ask(&Delivery::fresh());
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
    second.end(LATE).unwrap();
}

#[test]
fn tl_04_a_certificate_whose_authority_is_gone_is_served_no_more_on_an_open_connection() {
    let upstream = Upstream::start();
    let (leaving, staying) = (Authority::new(), Authority::new());
    let settings = |authority: &Authority| {
        let own = authority.issue(&["client"]);
        client(ALL_VERSIONS, Some(&own))
    };
    let port = config(&upstream, &format!("{A}\nclient_ca = \"ca.crt\""));
    let gateway = start(&port, &(leaving.pem() + &staying.pem()));
    let (first, second) = connections(&gateway, &settings(&leaving));
    let (mut kept, mut also_kept) = connections(&gateway, &settings(&staying));
    fs::write(gateway.folder().join("ca.crt"), staying.pem()).unwrap();
    reload(&gateway);
    expect_kept(&mut kept, &mut also_kept);
    expect_ended(first, second);
    expect_kept(&mut kept, &mut also_kept);
    assert_eq!(upstream.count(), 4 + 8, "what was refused is not forwarded");
}

#[test]
fn tl_04_a_connection_without_a_certificate_ends_once_certificates_are_asked_for() {
    let upstream = Upstream::start();
    let settings = client(ALL_VERSIONS, None);
    let gateway = start(&config(&upstream, A), "");
    let (mut first, mut second) = connections(&gateway, &settings);
    reload(&gateway);
    expect_kept(&mut first, &mut second);
    fs::write(gateway.folder().join("ca.crt"), Authority::new().pem()).unwrap();
    gateway.rewrite(&config(&upstream, &format!("{A}\nclient_ca = \"ca.crt\"")));
    reload(&gateway);
    expect_ended(first, second);
}

#[test]
fn connections_end_in_order_when_their_peer_is_a_trusted_proxy_no_more_or_from_now_on() {
    let upstream = Upstream::start();
    let settings = client(ALL_VERSIONS, None);
    let with = |networks: &str| config(&upstream, A).server("trusted_proxies", networks);
    let gateway = start(&with("[\"127.0.0.1\"]"), "");
    for (before, after) in [
        ("[\"127.0.0.1\"]", "[\"192.0.2.0/24\"]"),
        ("[]", "[\"127.0.0.1\"]"),
    ] {
        gateway.rewrite(&with(before));
        reload(&gateway);
        let (mut first, mut second) = connections(&gateway, &settings);
        reload(&gateway);
        expect_kept(&mut first, &mut second);
        gateway.rewrite(&with(after));
        reload(&gateway);
        // HTTP/2 says so at once, HTTP/1 with its next answer, which is judged by what is in force.
        second.end(SOON).unwrap();
        let said = Delivery::fresh().with("X-Forwarded-For", "198.51.100.7");
        let answer = first.ask(said.bytes());
        answer.expect_status(200);
        assert!(answer.closes(), "{after}: {answer}");
        let seen = upstream.last().header("X-Forwarded-For").unwrap();
        assert_eq!(seen.contains("198.51.100.7"), after.contains("127.0.0.1"));
    }
}
