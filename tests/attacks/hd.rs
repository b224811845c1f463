//! HD: head syntax, over the socket.
//!
//! HD-01 to HD-16 are one row for each kind of oddity here. The table with every row is that of the function that
//! judges heads: `src/wire/head/tests/mod.rs`. Hosts and routes (HD-14) are in `src/routes/tests.rs` too.

use std::time::Duration;

use crate::stage::{Stage, expect_rejected};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::transport::is_http1_only;

fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().with_line(line).bytes()
}

fn target(target: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().target(target).bytes()
}

fn request_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().request_line(line).bytes()
}

fn host(host: &str) -> Vec<u8> {
    Delivery::fresh().set("Host", host).bytes()
}

#[test]
fn heads_that_are_not_plain_are_rejected() {
    let all = Delivery::fresh();
    let hello = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        &[7; 506],
    ]
    .concat();
    Stage::new().rejects_all([
        (
            "HD-01 every line ended by LF",
            [all.head_ended_by(b"\n").as_slice(), all.body()].concat(),
        ),
        ("HD-01 one line ended by LF", line("X-A: b\nX-C: d")),
        ("HD-02 bare CR", line("X-A: a\rb")),
        (
            "HD-02 CR before the line end",
            request_line("POST /webhooks/itellico HTTP/1.1\r"),
        ),
        ("HD-02 NUL in a value", line("X-A: a\0b")),
        ("HD-02 folded", line("X-A: a\r\n b")),
        (
            "HD-02 the first line folded",
            Delivery::fresh().with_first_line(" X-A: b").bytes(),
        ),
        ("HD-02 space before the colon", line("X-A : b")),
        ("HD-02 no colon", line("X-A")),
        ("HD-02 empty name", line(": b")),
        ("HD-02 high byte in a name", line(b"X\x80A: b")),
        (
            "HD-05 a method of 500 bytes",
            Delivery::fresh().method(&"M".repeat(500)).bytes(),
        ),
        ("HD-06 OPTIONS *", request_line("OPTIONS * HTTP/1.1")),
        (
            "HD-06 CONNECT to an authority",
            request_line("CONNECT a:80 HTTP/1.1"),
        ),
        (
            "HD-07 bracket in the method",
            request_line("PO(ST /webhooks/itellico HTTP/1.1"),
        ),
        (
            "HD-07 version twice",
            request_line("POST /webhooks/itellico HTTP/1.1 HTTP/1.1"),
        ),
        (
            "HD-07 another version",
            request_line("POST /webhooks/itellico HTTP/1.2"),
        ),
        ("HD-07 HTTP/0.9", b"GET /webhooks/itellico\r\n".to_vec()),
        (
            "HD-07 HTTP/2 preface",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        ),
        ("HD-07 TLS", hello),
        (
            "HD-07 PROXY line",
            [
                b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n",
                all.bytes().as_slice(),
            ]
            .concat(),
        ),
        (
            "HD-08 two spaces",
            request_line("POST  /webhooks/itellico HTTP/1.1"),
        ),
        (
            "HD-08 control byte in the target",
            target("/webhooks/itellico?a\x01b"),
        ),
        ("HD-09 raw UTF-8", target(b"/webhooks/itellico?\xc3\xa9")),
        ("HD-09 quote", target("/webhooks/itellico?a\"b")),
        ("HD-09 bracket in the path", target("/webhooks/itellico[]")),
        ("HD-09 bar in the path", target("/webhooks/itellico|x?a")),
        ("HD-09 fragment", target("/webhooks/itellico#x")),
        (
            "HD-09 fragment in a query",
            target("/webhooks/itellico?a[]=1#x"),
        ),
        ("HD-10 nine empty lines", b"\r\n".repeat(9)),
        ("HD-11 no host", Delivery::fresh().without("Host").bytes()),
        ("HD-12 two hosts", line("Host: a")),
        ("HD-12 user information", host("u@a")),
        ("HD-13 empty", host("")),
        ("HD-13 a list", host("a, b")),
        ("HD-13 a port that is none", host("a:99999")),
        ("HD-16 absolute", target("http://a/webhooks/itellico")),
        (
            "HD-16 absolute, another host",
            target("http://evil/webhooks/itellico"),
        ),
        ("HD-16 asterisk", target("*")),
        ("HD-16 relative", target("webhooks/itellico")),
    ]);
}

#[test]
fn hd_09_a_query_with_bytes_that_senders_do_not_escape_is_forwarded_unchanged() {
    let stage = Stage::new();
    for target in [
        "/webhooks/itellico?tags[]=a&tags[]=b",
        "/webhooks/itellico?filter={x}|y",
        "/webhooks/itellico?a=\\^`",
        "/webhooks/itellico?a=%5B1%5D&b[c]=%7c",
    ] {
        let request = stage.accepts(Delivery::fresh().target(target));
        assert_eq!(request.target, target.as_bytes());
    }
}

#[test]
fn a_rejection_is_answered_before_the_body_has_come() {
    let stage = Stage::new();
    for head in [
        Delivery::fresh().with_line("X-A : b").head(),
        Delivery::fresh().without("Host").head(),
    ] {
        let mut client = stage.gateway.connect();
        expect_rejected(&mut client, head);
    }
}

#[test]
fn hd_03_obs_text_in_a_value_is_passed_on_unchanged() {
    let request = Stage::new().accepts(Delivery::fresh().with("X-Opaque", b"\xff\xfe"));
    assert_eq!(request.headers_named("X-Opaque"), [b"\xff\xfe"]);
}

#[test]
fn hd_04_hd_05_what_is_too_large_is_refused_and_costs_no_memory() {
    let stage = Stage::new();
    let many = (0..253).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("X-{n}"), "v")
    });
    let large = (0..7).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("X-{n}"), "v".repeat(10_000))
    });
    let mut cases = Cases::new().http1_only(
        "an answer to a head above 64 KiB that is not that of the protocol",
        &["HD-04 70 KiB in all", "HD-04 a line of 2 MB"],
    );
    for (name, request, status, code) in [
        ("HD-04 257 lines", many, 431, "headers_too_large"),
        (
            "HD-04 a line of 20 KiB",
            Delivery::fresh().with("X-A", "v".repeat(20_480)),
            431,
            "headers_too_large",
        ),
        ("HD-04 70 KiB in all", large, 431, "headers_too_large"),
        (
            "HD-05 a target of 9 KiB",
            Delivery::fresh().target(format!("/{}", "a".repeat(9 << 10))),
            414,
            "uri_too_long",
        ),
    ] {
        cases.case(name, || drop(stage.refuses(request, status, code)));
    }
    cases.case("HD-04 a line of 2 MB", || {
        let resident = stage.gateway.resident_bytes();
        let request = Delivery::fresh().with("X-A", "v".repeat(2_000_000));
        stage.refuses(request, 431, "headers_too_large");
        let grown = stage.gateway.resident_bytes().saturating_sub(resident);
        assert!(grown < 1 << 20, "resident memory grew by {grown}");
    });
    cases.finish();
}

#[test]
fn hd_06_other_methods_are_refused_and_nothing_is_echoed() {
    let stage = Stage::new();
    let mut cases = Cases::new().http1_only("CONNECT with a path", &["CONNECT"]);
    for method in ["post", "CONNECT", "TRACE"] {
        cases.case(method, || {
            let request = Delivery::fresh()
                .method(method)
                .with("Cookie", "session=s3cr3t");
            let answer = stage.refuses(request, 405, "method_not_allowed");
            assert_eq!(answer.header("Allow"), Some("POST"));
            assert!(!answer.to_string().contains("s3cr3t"), "{answer}");
        });
    }
    cases.finish();
}

#[test]
fn hd_10_eight_empty_lines_before_a_request_are_skipped_and_more_between_requests() {
    if is_http1_only("empty lines") {
        return;
    }
    let stage = Stage::new();
    stage.accepts([b"\r\n".repeat(8).as_slice(), &Delivery::fresh().bytes()].concat());
    let mut client = stage.gateway.connect();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    client.send(b"\r\n");
    client.ask(Delivery::fresh().bytes()).expect_status(200);
}

#[test]
fn hd_14_a_hosts_case_port_and_closing_dot_do_not_count() {
    let stage = Stage::with(|upstream| {
        let hosted = Route::itellico(upstream)
            .set("name", "\"hosted\"")
            .set("path", "\"/hosted\"")
            .set("host", "\"a.example\"");
        Config::for_upstream(upstream).route(hosted)
    });
    for host in ["A.EXAMPLE:8080", "a.example.", "a.Example.:80"] {
        let request = stage.accepts(Delivery::fresh().target("/hosted").set("Host", host));
        assert_eq!(request.header("Host").as_deref(), Some(host));
    }
    stage.refuses(
        Delivery::fresh()
            .target("/hosted")
            .set("Host", "a.example.."),
        404,
        "no_route",
    );
}

#[test]
fn hd_15_http_1_0_is_served_and_closed_with_or_without_a_host() {
    if is_http1_only("HTTP/1.0") {
        return;
    }
    let stage = Stage::new();
    let old = || Delivery::fresh().request_line("POST /webhooks/itellico HTTP/1.0");
    for delivery in [
        old().without("Host"),
        old().with("Connection", "keep-alive"),
    ] {
        let mut client = stage.gateway.connect();
        let answer = client.ask(delivery.bytes());
        answer.expect_status(200);
        assert!(
            answer.header("Content-Length").is_some()
                && answer.header("Transfer-Encoding").is_none(),
            "{answer}"
        );
        client.expect_closed();
        stage.upstream.last().expect_body(delivery.body());
    }
    assert_eq!(stage.upstream.count(), 2);
}

#[test]
fn hd_17_an_upgrade_is_not_passed_on() {
    if is_http1_only("upgrades") {
        return;
    }
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, delivery) in [
        (
            "websocket",
            Delivery::fresh()
                .with("Upgrade", "websocket")
                .with("Connection", "Upgrade"),
        ),
        (
            "h2c",
            Delivery::fresh()
                .with("Upgrade", "h2c")
                .with("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
                .with("Connection", "Upgrade, HTTP2-Settings"),
        ),
    ] {
        cases.case(name, || {
            let request = stage.accepts(delivery);
            assert!(
                !request.has("Upgrade") && !request.has("HTTP2-Settings"),
                "{request}"
            );
            let connection = request
                .header("Connection")
                .unwrap_or_default()
                .to_ascii_lowercase();
            assert!(
                !connection.contains("upgrade") && !connection.contains("http2"),
                "{request}"
            );
        });
    }
    cases.finish();
}

/// That a refused head is never told to continue is in the gateway's `expect`.
#[test]
fn hd_18_an_expectation_is_judged_with_the_head() {
    let stage = Stage::new();
    for value in ["banana", "100-continue, x"] {
        stage.refuses(
            Delivery::fresh().with("Expect", value).head(),
            417,
            "expectation_failed",
        );
    }
    if is_http1_only("HTTP/1.0") {
        return;
    }
    let delivery = Delivery::fresh()
        .request_line("POST /webhooks/itellico HTTP/1.0")
        .with("Expect", "100-continue");
    let mut client = stage.gateway.connect();
    client.send(delivery.head());
    assert!(
        !client.has_heard(Duration::from_millis(100)),
        "HTTP/1.0 knows no interim answers"
    );
    client.ask(delivery.body()).expect_status(200);
}

#[test]
fn hd_19_a_client_that_says_close_on_any_line_is_closed() {
    if is_http1_only("lines about the connection") {
        return;
    }
    let stage = Stage::new();
    let close = || Delivery::fresh().with("Connection", "close");
    for delivery in [
        close(),
        Delivery::fresh()
            .with("Connection", "keep-alive")
            .with("Connection", "close"),
    ] {
        let mut client = stage.gateway.connect();
        let answer = client.ask(delivery.bytes());
        answer.expect_status(200);
        assert!(answer.closes(), "{answer}");
        client.expect_closed();
    }
    assert_eq!(stage.upstream.count(), 2);
}
