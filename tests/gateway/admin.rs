//! The admin port (contract: Admin port; CF-08 to CF-12, RP-17): who may ask what, and what is answered.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test code: a panic is how a test fails"
)]

use std::fmt::Write as _;

use crate::support::SOON;
use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::cases::Cases;
use crate::support::client::Client;
use crate::support::config::{Config, text};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

const TOKEN: &str = "admin-token-0123456789abcdef";

/// A request to the admin port with exactly these header lines, a length added.
#[track_caller]
fn ask(gateway: &Gateway, request_line: &str, lines: &[&str], body: &str) -> Answer {
    let mut request = format!("{request_line} HTTP/1.1\r\n");
    for line in lines {
        write!(request, "{line}\r\n").expect("a String takes all");
    }
    write!(
        request,
        "Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("a String takes all");
    Client::connect(gateway.admin_addr()).ask(request)
}

/// A refusal in the form of every refusal (contract: Answers), whatever its code.
#[track_caller]
fn expect_no(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer}");
    let json = answer.json();
    assert_eq!(json["ok"], false, "{answer}");
    assert!(
        json["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty()),
        "{answer}"
    );
    assert!(
        json["code"].as_str().is_some_and(|code| !code.is_empty()),
        "{answer}"
    );
    assert_eq!(answer.headers_named("X-Request-Id").len(), 1, "{answer}");
}

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    (upstream, gateway)
}

#[test]
fn health_and_readiness_are_answered() {
    let (_upstream, gateway) = start();
    for path in ["/healthz", "/readyz"] {
        let answer = gateway.admin("GET", path, &[], "");
        answer.expect_status(200);
        assert_eq!(answer.json()["ok"], true, "{answer}");
    }
}

#[test]
fn a_health_path_answers_on_the_traffic_port() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).server("health_path", "\"/up\""));
    let probe = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    gateway.ask(probe("/up")).expect_status(200);
    gateway.ask(probe("/up2")).expect_refusal(404, "no_route");
    gateway.expect_serving();
    assert_eq!(upstream.count(), 1);
}

#[test]
fn cf_08_a_token_guards_all_but_health() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let right = format!("Authorization: Bearer {TOKEN}");
    let off_by_one = format!("Authorization: Bearer {}e", &TOKEN[..TOKEN.len() - 1]);
    let guarded = [
        ("GET /metrics", ""),
        ("POST /reload", ""),
        ("POST /replay/forget", "{}"),
    ];
    let mut cases = Cases::new();
    for (request, body) in guarded {
        // A gateway for each, since a few wrong tokens within a minute are answered and no more.
        let gateway = Gateway::start(&config);
        let host = format!("Host: {}", gateway.admin_addr());
        for (name, line) in [
            ("none", "X-A: b".to_owned()),
            ("empty", "Authorization:".to_owned()),
            ("wrong", "Authorization: Bearer wrong".to_owned()),
            ("one byte off", off_by_one.clone()),
            ("longer", format!("{right}0")),
            ("shorter", right[..right.len() - 1].to_owned()),
            (
                "Basic",
                "Authorization: Basic YWRtaW46YWRtaW4tdG9rZW4tMDEyMzQ1Njc4OWFiY2RlZg==".to_owned(),
            ),
            ("no scheme", format!("Authorization: {TOKEN}")),
            ("two lines", format!("{right}\r\n{right}")),
            ("in the query", "X-Token: a".to_owned()),
        ] {
            cases.case(&format!("{request}, {name}"), || {
                let query = if name == "in the query" {
                    format!("?token={TOKEN}")
                } else {
                    String::new()
                };
                let answer = ask(
                    &gateway,
                    &format!("{request}{query}"),
                    &[&host, &line],
                    body,
                );
                expect_no(&answer, 401);
                assert_eq!(answer.code(), "unauthorized");
                assert!(!answer.to_string().contains(TOKEN), "{answer}");
            });
        }
    }
    let gateway = Gateway::start(&config);
    let host = format!("Host: {}", gateway.admin_addr());
    cases.case("the right one", || {
        ask(&gateway, "GET /metrics", &[&host, &right], "").expect_status(200);
        let small = right.replace("Bearer", "bearer");
        ask(&gateway, "GET /metrics", &[&host, &small], "").expect_status(200);
        ask(&gateway, "POST /reload", &[&host, &right], "").expect_status(200);
        let unknown = "{\"route\":\"itellico\",\"event_id\":\"x\"}";
        ask(&gateway, "POST /replay/forget", &[&host, &right], unknown).expect_status(404);
    });
    cases.case("health needs none", || {
        for path in ["/healthz", "/readyz"] {
            ask(&gateway, &format!("GET {path}"), &[&host], "").expect_status(200);
        }
    });
    cases.finish();
    assert!(
        !gateway.stdout().contains(TOKEN) && !gateway.stderr().contains(TOKEN),
        "the token is on an output"
    );
}

#[test]
fn cf_21_guessing_a_token_is_slow_and_whoever_does_what_is_logged() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let gateway = Gateway::start(&config);
    let host = format!("Host: {}", gateway.admin_addr());
    let right = format!("Authorization: Bearer {TOKEN}");
    let guess = |n: usize| format!("Authorization: Bearer guess-{n}");
    for n in 0..10 {
        expect_no(&ask(&gateway, "GET /metrics", &[&host, &guess(n)], ""), 401);
    }
    for n in 10..20 {
        let mut client = Client::connect(gateway.admin_addr());
        client.send(format!(
            "POST /reload HTTP/1.1\r\n{host}\r\n{}\r\nContent-Length: 0\r\n\r\n",
            guess(n)
        ));
        assert_eq!(client.rest(SOON), Ok(Vec::new()), "guess {n}");
        // The right token, and a request without a token, are answered as ever.
        ask(&gateway, "GET /metrics", &[&host, &right], "").expect_status(200);
        expect_no(&ask(&gateway, "GET /metrics", &[&host], ""), 401);
    }
    let unknown = "{\"route\":\"itellico\",\"event_id\":\"the-event\"}";
    ask(&gateway, "POST /replay/forget", &[&host, &right], unknown).expect_status(404);
    ask(&gateway, "POST /reload", &[&host, &right], "").expect_status(200);
    for words in [
        "got a wrong token from 127.0.0.1",
        "left a wrong token from 127.0.0.1 unanswered",
        "forget, asked by 127.0.0.1",
        "the-event",
        "in force: asked by 127.0.0.1",
    ] {
        assert!(gateway.says(words), "{words}");
    }
    let said = gateway.stderr();
    assert_eq!(said.matches("got a wrong token").count(), 10);
    assert!(!said.contains("guess-") && !said.contains(TOKEN));
}

#[test]
fn cf_09_a_browser_is_refused() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).admin("hosts", "[\"admin.example\"]");
    let gateway = Gateway::start(&config);
    let (addr, port) = (gateway.admin_addr(), gateway.admin_addr().port());
    let host = format!("Host: {addr}");
    let mut cases = Cases::new();
    for (name, lines) in [
        ("another host", vec!["Host: evil.example".to_owned()]),
        (
            "another host with our port",
            vec![format!("Host: evil.example:{port}")],
        ),
        (
            "our name as a prefix",
            vec![format!("Host: localhost.evil.example:{port}")],
        ),
        (
            "our address as a prefix",
            vec![format!("Host: 127.0.0.1.evil.example:{port}")],
        ),
        (
            "foreign origin",
            vec![host.clone(), "Origin: http://evil.example".to_owned()],
        ),
        (
            "our own origin",
            vec![host.clone(), format!("Origin: http://{addr}")],
        ),
        ("null origin", vec![host.clone(), "Origin: null".to_owned()]),
        (
            "cross-site",
            vec![host.clone(), "Sec-Fetch-Site: cross-site".to_owned()],
        ),
        (
            "same-site",
            vec![host.clone(), "Sec-Fetch-Site: same-site".to_owned()],
        ),
        (
            "same-origin",
            vec![host.clone(), "Sec-Fetch-Site: same-origin".to_owned()],
        ),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for (request, body) in [
            ("POST /reload", ""),
            (
                "POST /replay/forget",
                "{\"route\":\"itellico\",\"event_id\":\"x\"}",
            ),
            ("GET /metrics", ""),
            ("PATCH /metrics", ""),
            ("GET /reload", ""),
            ("DELETE /replay/forget", ""),
            ("GET /", ""),
            ("OPTIONS /anything", ""),
        ] {
            cases.case(&format!("{request}, {name}"), || {
                let answer = ask(&gateway, request, &lines, body);
                expect_no(&answer, 403);
                assert_eq!(answer.code(), "forbidden");
            });
        }
        for path in ["/healthz", "/readyz"] {
            cases.case(&format!("{path}, {name}"), || {
                // A probe may come by any name, but not from a page.
                let status = if lines.len() > 1 { 403 } else { 200 };
                ask(&gateway, &format!("GET {path}"), &lines, "").expect_status(status);
            });
        }
    }
    for (name, line) in [
        ("the bound address", host.clone()),
        // A page cannot make a browser send an address that it did not connect to.
        ("another address", format!("Host: 192.0.2.7:{port}")),
        ("an IPv6 address", format!("Host: [2001:db8::7]:{port}")),
        ("localhost", format!("Host: localhost:{port}")),
        ("localhost in capitals", format!("Host: LOCALHOST:{port}")),
        ("a host of the list", format!("Host: admin.example:{port}")),
        ("not from a page", format!("{host}\r\nSec-Fetch-Site: none")),
    ] {
        cases.case(name, || {
            ask(&gateway, "POST /reload", &[&line], "").expect_status(200);
        });
    }
    cases.finish();
    let reloads = gateway
        .metrics()
        .value("verigate_config_reloads_total", &[]);
    assert!((reloads - 7.0).abs() < 0.5, "{reloads} reloads");
}

#[test]
fn cf_10_each_path_has_its_methods_and_its_port() {
    let (upstream, gateway) = start();
    let host = format!("Host: {}", gateway.admin_addr());
    let mut cases = Cases::new();
    for (request, allowed) in [
        ("GET /reload", "POST"),
        ("PUT /reload", "POST"),
        ("GET /replay/forget", "POST"),
        ("DELETE /replay/forget", "POST"),
        ("POST /metrics", "GET"),
        ("POST /healthz", "GET"),
        ("POST /readyz", "GET"),
    ] {
        cases.case(request, || {
            let answer = ask(&gateway, request, &[&host], "");
            expect_no(&answer, 405);
            assert!(
                answer
                    .header("Allow")
                    .is_some_and(|allow| allow.contains(allowed)),
                "{answer}"
            );
        });
    }
    for request in [
        "GET /",
        "GET /metrics/",
        "GET /metrics/../metrics",
        "GET /Metrics",
        "POST /webhooks/itellico",
    ] {
        cases.case(&format!("{request} on the admin port"), || {
            let answer = ask(&gateway, request, &[&host], "");
            expect_no(&answer, 404);
        });
    }
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", "/reload"),
        ("POST", "/replay/forget"),
    ] {
        cases.case(&format!("{method} {path} on the traffic port"), || {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
                gateway.admin_addr()
            );
            gateway.ask(request).expect_refusal(404, "no_route");
        });
    }
    cases.finish();
    let delivery = Delivery::fresh();
    let answer = Client::connect(gateway.admin_addr()).ask(delivery.bytes());
    expect_no(&answer, 403);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn cf_11_the_admin_port_has_limits_too() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .server("head_timeout", "\"1s\"")
        .server("body_timeout", "\"1s\"");
    let gateway = Gateway::start(&config);
    let host = format!("Host: {}", gateway.admin_addr());
    let mut cases = Cases::new();
    let padded = |size: usize| {
        format!(
            "{{\"route\":\"itellico\",\"event_id\":\"x\"{}}}",
            " ".repeat(size)
        )
    };
    cases.case("a body within 4 KiB", || {
        ask(&gateway, "POST /replay/forget", &[&host], &padded(4000)).expect_status(404);
    });
    cases.case("a body over 4 KiB", || {
        expect_no(
            &ask(&gateway, "POST /replay/forget", &[&host], &padded(5000)),
            413,
        );
    });
    cases.case("a body over 4 KiB in chunks", || {
        let body = padded(5000);
        let mut client = Client::connect(gateway.admin_addr());
        let head =
            format!("POST /replay/forget HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = client.ask(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
        expect_no(&answer, 413);
    });
    cases.case("a declared body over 4 KiB that never comes", || {
        let mut client = Client::connect(gateway.admin_addr());
        let answer = client.ask(format!(
            "POST /replay/forget HTTP/1.1\r\n{host}\r\nContent-Length: 1000000\r\n\r\n"
        ));
        expect_no(&answer, 413);
    });
    cases.case("a slow head and a slow body", || {
        let mut slow_head = Client::connect(gateway.admin_addr());
        slow_head.send("GET /metrics HTTP/1.1\r\n");
        let mut slow_body = Client::connect(gateway.admin_addr());
        slow_body.send(format!(
            "POST /replay/forget HTTP/1.1\r\n{host}\r\nContent-Length: 10\r\n\r\n{{"
        ));
        expect_no(&slow_head.answer(), 408);
        expect_no(&slow_body.answer(), 408);
    });
    cases.case("a long head", || {
        let answer = ask(
            &gateway,
            "GET /metrics",
            &[&host, &format!("X-A: {}", "a".repeat(70_000))],
            "",
        );
        expect_no(&answer, 431);
    });
    cases.case("malformed HTTP", || {
        let mut client = Client::connect(gateway.admin_addr());
        expect_no(&client.ask("GET /metrics HTTP/1.1\nHost: a\n\n"), 400);
    });
    cases.finish();
    gateway.admin("GET", "/healthz", &[], "").expect_status(200);
}

#[test]
fn rp_17_forget_answers_by_what_it_finds() {
    let (upstream, gateway) = start();
    let host = format!("Host: {}", gateway.admin_addr());
    let forget = |body: &str| ask(&gateway, "POST /replay/forget", &[&host], body);
    let by_event =
        |route: &str, id: &str| format!("{{\"route\":{},\"event_id\":{}}}", text(route), text(id));
    let (done, open) = (fresh_event_id(), fresh_event_id());
    let latch = Latch::closed();
    gateway
        .ask(Delivery::of(event_with(&done)))
        .expect_status(200);
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut client = gateway.connect();
    client.send(Delivery::of(event_with(&open)).bytes());
    upstream.wait_for(2);
    let mut cases = Cases::new();
    cases.case("in flight", || {
        let answer = forget(&by_event("itellico", &open));
        expect_no(&answer, 409);
        assert_eq!(answer.code(), "in_flight");
    });
    for (name, body) in [
        ("unknown id", by_event("itellico", "unknown")),
        ("unknown route", by_event("nowhere", &done)),
        ("another route", by_event("plain", &done)),
        (
            "unknown request",
            "{\"route\":\"itellico\",\"request_id\":\"unknown\"}".to_owned(),
        ),
    ] {
        cases.case(name, || expect_no(&forget(&body), 404));
    }
    for (name, body) in [
        ("empty", ""),
        ("no JSON", "event_id=a"),
        ("no object", "[\"itellico\",\"a\"]"),
        ("no route", "{\"event_id\":\"a\"}"),
        ("no id", "{\"route\":\"itellico\"}"),
        (
            "an id that is no text",
            "{\"route\":\"itellico\",\"event_id\":7}",
        ),
        ("cut off", "{\"route\":\"itellico\",\"event_id\":\"a\""),
        (
            "both ids",
            "{\"route\":\"itellico\",\"event_id\":\"a\",\"request_id\":\"b\"}",
        ),
    ] {
        cases.case(name, || expect_no(&forget(body), 400));
    }
    cases.case("done", || {
        let answer = forget(&by_event("itellico", &done));
        answer.expect_status(200);
        let json = answer.json();
        assert_eq!(
            (json["ok"].as_bool(), json["forgotten"].as_u64()),
            (Some(true), Some(1)),
            "{answer}"
        );
    });
    cases.case("done, but forgotten already", || {
        expect_no(&forget(&by_event("itellico", &done)), 404);
    });
    latch.open();
    client.answer().expect_status(200);
    cases.case("no longer in flight", || {
        forget(&by_event("itellico", &open)).expect_status(200);
    });
    cases.finish();
    gateway
        .ask(Delivery::of(event_with(&done)))
        .expect_status(200);
    assert_eq!(upstream.count(), 3);
}

#[test]
fn cf_12_no_page_shows_what_is_secret() {
    let (_upstream, gateway) = start();
    let delivery = Delivery::of("{\"event_id\":\"visible\",\"data\":\"payl0ad\"}")
        .target("/webhooks/itellico?q=s3cr3t");
    let signature = delivery.value("X-Webhook-Signature-256");
    gateway.ask(delivery).expect_status(200);
    gateway
        .ask(Delivery::of("payl0ad"))
        .expect_refusal(422, "invalid_envelope");
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", "/reload"),
        ("GET", "/"),
    ] {
        let answer = gateway.admin(method, path, &[], "");
        let shown = [answer.raw_head.as_slice(), &answer.body].concat();
        let shown = String::from_utf8_lossy(&shown);
        for hidden in [
            crate::support::SECRET,
            crate::support::PLAIN_SECRET,
            &signature,
            "payl0ad",
            "s3cr3t",
            "visible",
        ] {
            assert!(!shown.contains(hidden), "{hidden} is on {path}");
        }
    }
}
