//! Upstreams that speak TLS: whose certificates are taken, what the operator reads where one is not, connections that
//! are kept, and none that outlives its settings.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::support::authority::{Authority, write};
use crate::support::behaviour::{Behaviour, Latch, Reply, Step};
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

const OWN: [&str; 2] = ["localhost", "127.0.0.1"];

/// A folder with the authority's certificate as `ca.crt`.
fn folder(authority: &Authority) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "ca.crt", &authority.pem());
    folder
}

fn config(upstream: &Upstream, tls: &str) -> Config {
    Config::new().route(Route::itellico(upstream).set("upstream_tls", tls))
}

const CA: &str = "{ ca = \"ca.crt\" }";

#[track_caller]
fn expect_reloaded(gateway: &Gateway, config: &Config) {
    gateway.rewrite(config);
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
}

#[test]
fn a_delivery_reaches_an_app_whose_certificate_a_given_authority_signed_by_tls_12_and_13() {
    for versions in [[&TLS12], [&TLS13]] {
        let authority = Authority::new();
        let pair = authority.server(&OWN);
        let upstream = Upstream::tls(pair.config_for(None, &versions));
        let gateway = Gateway::start_in(folder(&authority), &config(&upstream, CA));
        for size in [300, 300, 5000, 700_000] {
            let delivery = Delivery::of(event_of(size));
            let answer = gateway.ask(delivery.bytes());
            answer.expect_status(200);
            let log = gateway.log_of(&answer);
            assert_eq!(log["upstream"], upstream.url(), "{log}");
            upstream.last().expect_body(delivery.body());
        }
        let handshakes = upstream.handshakes();
        assert_eq!(
            (handshakes.len(), upstream.connections()),
            (1, 1),
            "the connection is kept: {handshakes:?}"
        );
        assert_eq!(
            handshakes[0].protocol.as_deref(),
            Some(b"http/1.1".as_slice()),
            "HTTP/1.1 alone is offered"
        );
        assert_eq!(handshakes[0].name, None, "an address is no name to ask for");
    }
}

#[test]
fn the_system_s_authorities_count_where_none_is_given() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let folder = folder(&authority);
    let file = folder.path().join("ca.crt").display().to_string();
    let config = Config::new().route(Route::itellico(&upstream));
    let gateway = Gateway::start_in(folder, &config.clone().env("SSL_CERT_FILE", &file));
    gateway.expect_serving();
    // The real ones of this machine, if it has any, did not sign it.
    let other = Authority::new();
    let second = tempfile::tempdir().expect("a folder");
    write(second.path(), "ca.crt", &other.pem());
    let file = second.path().join("ca.crt").display().to_string();
    let gateway = Gateway::start_in(second, &config.env("SSL_CERT_FILE", &file));
    gateway
        .ask(Delivery::fresh().bytes())
        .expect_refusal(502, "upstream_unreachable");
}

/// Each refused certificate with the words that the operator reads. Nothing is sent to such an upstream.
#[test]
fn up_13_a_certificate_that_does_not_prove_the_upstream_is_refused_in_words_that_say_why() {
    let authority = Authority::new();
    let other = Authority::called("Another authority");
    let rows = [
        (
            other.server(&OWN),
            CA,
            "no authority that the gateway knows",
        ),
        (Authority::new().server(&OWN), CA, "made anew?"),
        (
            authority.server(&["app.internal"]),
            CA,
            "not for the name 127.0.0.1 but for app.internal",
        ),
        (
            authority.server(&OWN),
            "{ ca = \"ca.crt\", server_name = \"app.internal\" }",
            "not for the name app.internal",
        ),
        (authority.expired(&OWN), CA, "its certificate expired "),
        (authority.client(), CA, "is not for servers"),
        (
            authority.as_pair(),
            CA,
            "certificate of an authority (CA) as its own",
        ),
    ];
    for (pair, tls, words) in rows {
        let upstream = Upstream::tls(pair.config(None));
        let gateway = Gateway::start_in(folder(&authority), &config(&upstream, tls));
        gateway
            .ask(Delivery::fresh().bytes())
            .expect_refusal(502, "upstream_unreachable");
        assert!(gateway.says(words), "{words}: {}", gateway.stderr());
        assert_eq!(upstream.count(), 0, "{words}");
    }
}

/// The alert of a server that speaks TLS 1.0 at most.
#[test]
fn up_13_an_app_that_speaks_old_versions_of_tls_alone_gets_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(&[0x15, 3, 1, 0, 2, 2, 70]);
            let _ = stream.read(&mut hello);
        }
    });
    let nobody = Upstream::start();
    let route = Route::itellico(&nobody)
        .set("upstream", &text(&url))
        .set("upstream_tls", "\"insecure\"");
    let gateway = Gateway::start(&Config::new().route(route));
    gateway
        .ask(Delivery::fresh().bytes())
        .expect_refusal(502, "upstream_unreachable");
    assert!(gateway.says("ProtocolVersion"), "{}", gateway.stderr());
}

#[test]
fn an_app_that_does_not_speak_tls_is_told_from_one_that_cannot_be_reached() {
    let plain = Upstream::start();
    let config = Config::new().route(
        Route::itellico(&plain)
            .set("upstream", &text(&plain.url().replace("http:", "https:")))
            .set("upstream_tls", "\"insecure\""),
    );
    let gateway = Gateway::start(&config);
    plain.behave(Behaviour::raw_then_close(
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    ));
    let answer = gateway.ask(Delivery::fresh().bytes());
    assert!((502..=504).contains(&answer.status), "{answer}");
    assert_eq!(plain.count(), 0);
}

#[test]
fn a_name_stands_in_for_an_address_and_is_asked_for() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&["app.internal"]).config(None));
    let tls = "{ ca = \"ca.crt\", server_name = \"app.internal\" }";
    let gateway = Gateway::start_in(folder(&authority), &config(&upstream, tls));
    gateway.expect_serving();
    assert_eq!(
        upstream.handshakes()[0].name.as_deref(),
        Some("app.internal")
    );
    assert_eq!(
        upstream.last().header("Host"),
        Some("a".to_owned()),
        "`Host` stays the client's"
    );
}

#[test]
fn insecure_takes_any_certificate_and_is_warned_about_at_each_start_and_reload() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.expired(&["elsewhere"]).config(None));
    let insecure = config(&upstream, "\"insecure\"");
    let gateway = Gateway::start_in(folder(&authority), &insecure);
    gateway.expect_serving();
    let warned = |count| {
        eventually(SOON, || {
            gateway.stderr().matches("[insecure-upstream]").count() == count
        })
    };
    assert!(warned(1), "{}", gateway.stderr());
    expect_reloaded(&gateway, &insecure);
    assert!(warned(2), "{}", gateway.stderr());
}

#[test]
fn a_client_certificate_is_shown_and_its_absence_is_told() {
    let (servers, clients) = (Authority::new(), Authority::new());
    for versions in [[&TLS12], [&TLS13]] {
        let pair = servers.server(&OWN);
        let upstream = Upstream::tls(pair.config_for(Some(&clients), &versions));
        let folder = folder(&servers);
        clients.client().write(folder.path(), "own");
        servers.client().write(folder.path(), "foreign");
        let with = |name| {
            format!("{{ ca = \"ca.crt\", certificate = \"{name}.crt\", key = \"{name}.key\" }}")
        };
        let gateway = Gateway::start_in(folder, &config(&upstream, &with("own")));
        gateway.expect_serving();
        assert!(upstream.handshakes()[0].has_certificate);
        // Another certificate is another connection, and this one is refused.
        for tls in [CA.to_owned(), with("foreign")] {
            expect_reloaded(&gateway, &config(&upstream, &tls));
            let answer = gateway.ask(Delivery::fresh().bytes());
            assert_eq!(answer.status, 502, "{answer}");
        }
        assert_eq!(upstream.count(), 1);
        assert!(gateway.says("client certificate"), "{}", gateway.stderr());
    }
}

#[test]
fn up_17_a_reload_with_another_authority_never_uses_an_old_connection() {
    let (authority, other) = (Authority::new(), Authority::new());
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let folder = folder(&authority);
    write(folder.path(), "other.crt", &other.pem());
    let gateway = Gateway::start_in(folder, &config(&upstream, CA));
    gateway.expect_serving();
    expect_reloaded(&gateway, &config(&upstream, "{ ca = \"other.crt\" }"));
    gateway
        .ask(Delivery::fresh().bytes())
        .expect_refusal(502, "upstream_unreachable");
    assert_eq!((upstream.count(), upstream.connections()), (1, 1));
    // The same settings in other words use the connections that are there.
    expect_reloaded(&gateway, &config(&upstream, CA));
    gateway.expect_serving();
    gateway.expect_serving();
    assert_eq!(upstream.connections(), 2);
    expect_reloaded(&gateway, &config(&upstream, "{ ca = \"./ca.crt\" }"));
    gateway.expect_serving();
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn up_16_an_idle_connection_with_tickets_is_used_again_and_one_that_was_closed_is_not() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let gateway = Gateway::start_in(folder(&authority), &config(&upstream, CA));
    gateway.expect_serving();
    gateway.expect_serving();
    assert_eq!(upstream.connections(), 1, "tickets are no answer unasked");
    for (close, count) in [(true, 2), (false, 3)] {
        if close {
            upstream.close_connections();
        } else {
            upstream.cut_connections();
        }
        assert!(eventually(SOON, || upstream.open_connections() == 0));
        gateway.expect_serving();
        assert_eq!(upstream.connections(), count);
    }
    assert!(
        upstream.handshakes()[1].is_resumed,
        "sessions go on: {:?}",
        upstream.handshakes()
    );
    upstream.send_unasked(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    gateway.expect_serving();
    assert_eq!(
        upstream.connections(),
        4,
        "an answer unasked ends a connection"
    );
}

#[test]
fn up_16_an_answer_that_ends_with_its_connection_is_whole_only_where_tls_says_so() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let gateway = Gateway::start_in(folder(&authority), &config(&upstream, CA));
    let reply = Reply::new(200).body("all of it");
    upstream.next(Behaviour::close_delimited(&reply));
    let answer = gateway.ask(Delivery::fresh().bytes());
    assert_eq!(answer.body, b"all of it", "{answer}");
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(reply.unframed_bytes()),
        Step::Close,
    ]));
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    assert!(
        client.try_answer(SOON).is_err(),
        "whoever cuts the connection could have cut the answer"
    );
    let log = gateway.wait_for_log(SOON, |line| line["outcome"] == "upstream_failed");
    assert_eq!(log["upstream_status"], 200, "{log}");
}

#[test]
fn up_16_an_upstream_that_dies_in_the_middle_gets_no_second_copy() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let gateway = Gateway::start_in(folder(&authority), &config(&upstream, CA));
    gateway.expect_serving();
    for behaviour in [Behaviour::close(), Behaviour::reset()] {
        let before = upstream.count();
        upstream.next(behaviour);
        gateway
            .ask(Delivery::of(event_of(200_000)).bytes())
            .expect_refusal(502, "upstream_failed");
        assert_eq!(upstream.count(), before + 1);
    }
}

#[test]
fn a_large_body_to_a_slow_reader_and_its_answer_arrive_whole() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&OWN).config(None));
    let gateway = Gateway::start_in(
        folder(&authority),
        &Config::new().route(
            Route::itellico(&upstream)
                .set("upstream_tls", CA)
                .set("max_body", "\"8MiB\""),
        ),
    );
    let (latch, delivery) = (Latch::closed(), Delivery::of(event_of(6 << 20)));
    let body: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    upstream.behave(Behaviour(vec![
        Step::Wait(latch.clone()),
        Step::ReadBody,
        Step::Send(Reply::new(200).body(body.clone()).bytes()),
    ]));
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    assert!(eventually(SOON, || upstream.count() == 1));
    latch.open();
    let answer = client.answer_within(crate::support::LATE);
    assert!(answer.body == body, "{} bytes", answer.body.len());
    upstream.last().expect_body(delivery.body());
}

#[test]
fn many_deliveries_at_a_time_share_nothing_but_the_settings() {
    let authority = Authority::new();
    let upstream = Arc::new(Upstream::tls(authority.server(&OWN).config(None)));
    let gateway = Gateway::start_in(folder(&authority), &config(&upstream, CA));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = gateway.connect();
                for size in [300, 3000, 40_000, 300] {
                    client
                        .ask(Delivery::of(event_of(size)).bytes())
                        .expect_status(200);
                }
            });
        }
    });
    assert_eq!(upstream.count(), 32);
    assert!(upstream.requests().iter().all(|request| request.complete));
}
