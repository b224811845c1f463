//! HD: head syntax.

use crate::stage::{Stage, expect_no_more, expect_rejected};
use crate::support::answer::check_gateway_answer;
use crate::support::cases::Cases;
use crate::support::client::Missing;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::{LATE, SOON, now};

fn rejects_all(rows: Vec<(&str, Vec<u8>)>) {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, request) in rows {
        cases.case(name, || stage.rejects(request));
    }
    cases.finish();
}

fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().with_line(line).bytes()
}

fn target(target: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().target(target).bytes()
}

fn request_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    Delivery::fresh().request_line(line).bytes()
}

#[test]
fn hd_01_lines_ended_by_a_bare_line_feed_are_refused() {
    let all = Delivery::fresh();
    rejects_all(vec![
        (
            "every line",
            [all.head_ended_by(b"\n").as_slice(), all.body()].concat(),
        ),
        ("one header line", line("X-A: b\nX-C: d")),
        (
            "the request line",
            request_line("POST /webhooks/itellico HTTP/1.1\nX-A: b"),
        ),
    ]);
}

#[test]
fn hd_02_bytes_that_are_no_header_line_are_refused() {
    rejects_all(vec![
        ("bare CR in a value", line("X-A: a\rb")),
        (
            "CR before the line end of the request line",
            request_line("POST /webhooks/itellico HTTP/1.1\r"),
        ),
        ("NUL in a value", line("X-A: a\0b")),
        ("NUL in a name", line("X\0A: b")),
        ("DEL in a value", line("X-A: a\x7fb")),
        ("control byte in a value", line("X-A: a\x01b")),
        ("folded with a space", line("X-A: a\r\n b")),
        ("folded with a tab", line("X-A: a\r\n\tb")),
        (
            "the first header line folded",
            Delivery::fresh().with_first_line(" X-A: b").bytes(),
        ),
        ("space before the colon", line("X-A : b")),
        ("no colon", line("X-A")),
        ("empty name", line(": b")),
        ("bracket in a name", line("X(A: b")),
        ("quote in a name", line("X\"A: b")),
        ("slash in a name", line("X/A: b")),
        ("high byte in a name", line(b"X\x80A: b")),
    ]);
}

#[test]
fn hd_03_obs_text_in_a_value_is_passed_on_unchanged() {
    let request = Stage::new().accepts(Delivery::fresh().with("X-Opaque", b"\xff\xfe"));
    assert_eq!(request.headers_named("X-Opaque"), [b"\xff\xfe"]);
}

#[test]
fn hd_04_a_head_that_is_too_large_is_refused() {
    let stage = Stage::new();
    let many = (0..253).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("X-{n}"), "v")
    });
    let large = (0..7).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("X-{n}"), "v".repeat(10_000))
    });
    let mut cases = Cases::new();
    for (name, request) in [
        ("257 lines", many),
        (
            "one of 20 KiB",
            Delivery::fresh().with("X-A", "v".repeat(20_480)),
        ),
        ("70 KiB in all", large),
    ] {
        cases.case(name, || {
            stage.refuses(request, 431, "headers_too_large");
        });
    }
    cases.case("one of 2 MB", || {
        let before = stage.upstream.count();
        let resident = stage.gateway.resident_bytes();
        let mut client = stage.gateway.connect();
        client.send(Delivery::fresh().with("X-A", "v".repeat(2_000_000)).bytes());
        match client.try_answer(SOON) {
            Ok(answer) => answer.expect_refusal(431, "headers_too_large"),
            Err(missing) => assert_eq!(missing, Missing::Closed),
        }
        let grown = stage.gateway.resident_bytes().saturating_sub(resident);
        assert!(grown < 1 << 20, "resident memory grew by {grown}");
        stage.expect_forwarded(before, 0);
    });
    cases.finish();
}

#[test]
fn hd_05_a_target_or_method_that_is_too_long_is_refused() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for kib in [9, 65, 100] {
        cases.case(&format!("target of {kib} KiB"), || {
            stage.refuses(
                target(format!("/{}", "a".repeat(kib * 1024))),
                414,
                "uri_too_long",
            );
        });
    }
    cases.case("method of 500 bytes", || {
        stage.rejects_or(&[405], Delivery::fresh().method(&"M".repeat(500)))
    });
    cases.finish();
}

#[test]
fn hd_06_other_methods_are_refused_and_nothing_is_echoed() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    cases.case("lower case", || {
        let answer = stage.refuses(Delivery::fresh().method("post"), 405, "method_not_allowed");
        assert_eq!(answer.header("Allow"), Some("POST"));
    });
    cases.case("OPTIONS *", || {
        stage.rejects_or(&[405], request_line("OPTIONS * HTTP/1.1"))
    });
    cases.case("CONNECT", || {
        stage.rejects_or(&[405], request_line("CONNECT a:80 HTTP/1.1"))
    });
    cases.case("CONNECT by path", || {
        stage.refuses(
            Delivery::fresh().method("CONNECT"),
            405,
            "method_not_allowed",
        );
    });
    cases.case("TRACE", || {
        let request = Delivery::fresh()
            .method("TRACE")
            .with("Cookie", "session=s3cr3t");
        let answer = stage.refuses(request, 405, "method_not_allowed");
        assert!(!answer.to_string().contains("s3cr3t"), "{answer}");
    });
    cases.finish();
}

#[test]
fn hd_07_what_is_no_request_line_of_http_1_is_refused() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, text) in [
        ("bracket in the method", "PO(ST /webhooks/itellico HTTP/1.1"),
        (
            "space before the method",
            " POST /webhooks/itellico HTTP/1.1",
        ),
        ("tab as separator", "POST\t/webhooks/itellico\tHTTP/1.1"),
        ("version twice", "POST /webhooks/itellico HTTP/1.1 HTTP/1.1"),
        (
            "space behind the version",
            "POST /webhooks/itellico HTTP/1.1 ",
        ),
        ("no version", "POST /webhooks/itellico"),
    ] {
        cases.case(name, || stage.rejects(request_line(text)));
    }
    for version in ["HTTP/1.2", "HTTP/9.9", "HTTP/2.0", "HTTP/1.01", "http/1.1"] {
        cases.case(version, || {
            stage.rejects_or(
                &[505],
                request_line(format!("POST /webhooks/itellico {version}")),
            )
        });
    }
    cases.case("HTTP/2 preface", || {
        stage.rejects(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec())
    });
    cases.finish();
}

#[test]
fn hd_07_what_is_no_http_at_all_is_refused_or_closed() {
    // None of these ends a head, so a server that reads whole heads first may wait for its time limit.
    let stage =
        Stage::with(|upstream| Config::for_upstream(upstream).server("head_timeout", "\"2s\""));
    let mut cases = Cases::new();
    for (name, bytes) in [
        ("HTTP/0.9", b"GET /webhooks/itellico\r\n".to_vec()),
        (
            "TLS",
            [
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
                &[7; 506],
            ]
            .concat(),
        ),
        ("SSH", b"SSH-2.0-x\r\n".to_vec()),
        (
            "PROXY line",
            [
                b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n".as_slice(),
                &Delivery::fresh().bytes(),
            ]
            .concat(),
        ),
    ] {
        cases.case(name, || stage.rejects_or(&[408], bytes));
    }
    cases.finish();
}

#[test]
fn hd_08_white_space_and_control_bytes_in_the_target_are_refused() {
    rejects_all(vec![
        (
            "two spaces behind the method",
            request_line("POST  /webhooks/itellico HTTP/1.1"),
        ),
        (
            "two spaces before the version",
            request_line("POST /webhooks/itellico  HTTP/1.1"),
        ),
        ("space within", target("/webhooks/itellico?a b")),
        ("tab", target("/webhooks/itellico?a\tb")),
        ("control byte", target("/webhooks/itellico?a\x01b")),
        ("zero", target("/webhooks/itellico?a\0b")),
        ("DEL", target("/webhooks/itellico?a\x7fb")),
    ]);
}

#[test]
fn hd_09_bytes_that_no_uri_holds_are_refused_in_the_target() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for byte in ["\"", "<", ">", "{", "}", "|", "^", "`"] {
        cases.case(byte, || {
            stage.rejects(target(format!("/webhooks/itellico?a{byte}b")))
        });
    }
    cases.case("raw UTF-8", || {
        stage.rejects(target(b"/webhooks/itellico?\xc3\xa9"))
    });
    cases.case("raw Latin-1", || {
        stage.rejects(target(b"/webhooks/itellico?\xe9"))
    });
    cases.case("fragment", || stage.rejects(target("/webhooks/itellico#x")));
    cases.finish();
}

#[test]
fn hd_10_empty_lines_before_a_request_are_few() {
    let stage =
        Stage::with(|upstream| Config::for_upstream(upstream).server("head_timeout", "\"2s\""));
    stage.accepts([b"\r\n", Delivery::fresh().bytes().as_slice()].concat());
    let before = stage.upstream.count();
    let mut client = stage.gateway.connect();
    // Far more than the time limit and the limit on lines allow.
    let lines = b"\r\n".repeat(10_000);
    let sent = client.drip(&lines, std::time::Duration::from_millis(1));
    assert!(sent < lines.len(), "all empty lines were taken");
    match client.try_answer(LATE) {
        Ok(answer) => {
            assert!(matches!(answer.status, 400 | 408), "{answer}");
            check_gateway_answer(&answer);
        }
        Err(missing) => assert_eq!(missing, Missing::Closed),
    }
    stage.expect_forwarded(before, 0);
}

#[test]
fn hd_11_a_missing_host_is_refused() {
    Stage::new().rejects(Delivery::fresh().without("Host"));
}

#[test]
fn hd_12_two_hosts_or_user_information_are_refused() {
    rejects_all(vec![
        ("two equal", line("Host: a")),
        ("two different", line("Host: b")),
        (
            "user information",
            Delivery::fresh().set("Host", "u@a").bytes(),
        ),
    ]);
}

#[test]
fn hd_13_a_host_that_is_none_is_refused() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for host in [
        "", "a, b", "a b", "a/x", "a:b", "a:99999", "a\tb", ":80", "a?b", "a#b", "[::1", "a:80:80",
    ] {
        cases.case(&format!("{host:?}"), || {
            stage.rejects(Delivery::fresh().set("Host", host))
        });
    }
    cases.finish();
}

#[test]
fn hd_14_a_hosts_case_and_port_do_not_count_but_a_trailing_dot_does() {
    let stage = Stage::with(|upstream| {
        let hosted = Route::itellico(upstream)
            .set("name", "\"hosted\"")
            .set("path", "\"/hosted\"")
            .set("host", "\"a.example\"");
        Config::for_upstream(upstream).route(hosted)
    });
    let request = stage.accepts(
        Delivery::fresh()
            .target("/hosted")
            .set("Host", "A.EXAMPLE:8080"),
    );
    assert_eq!(request.header("Host").as_deref(), Some("A.EXAMPLE:8080"));
    stage.refuses(
        Delivery::fresh()
            .target("/hosted")
            .set("Host", "a.example."),
        404,
        "no_route",
    );
}

#[test]
fn hd_15_http_1_0_without_a_host_is_served_and_closed() {
    let stage = Stage::new();
    let delivery = Delivery::fresh()
        .without("Host")
        .request_line("POST /webhooks/itellico HTTP/1.0");
    let mut client = stage.gateway.connect();
    let answer = client.ask(delivery.bytes());
    answer.expect_status(200);
    assert!(
        answer.header("Content-Length").is_some() && answer.header("Transfer-Encoding").is_none(),
        "{answer}"
    );
    client.expect_closed();
    assert_eq!(stage.upstream.count(), 1);
    stage.upstream.last().expect_body(delivery.body());
}

#[test]
fn hd_16_a_target_that_is_not_origin_form_is_refused() {
    rejects_all(vec![
        ("absolute", target("http://a/webhooks/itellico")),
        ("absolute https", target("https://a/webhooks/itellico")),
        (
            "absolute without Host",
            Delivery::fresh()
                .target("http://a/webhooks/itellico")
                .without("Host")
                .bytes(),
        ),
        (
            "absolute, another host",
            target("http://evil/webhooks/itellico"),
        ),
        ("file", target("file:///etc/passwd")),
        ("authority", target("a:80")),
        ("asterisk", target("*")),
        ("relative", target("webhooks/itellico")),
    ]);
}

#[test]
fn hd_17_an_upgrade_is_not_passed_on() {
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

#[test]
fn hd_18_an_expectation_is_judged_with_the_head() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for value in ["banana", "100-continue, x"] {
        cases.case(value, || {
            stage.refuses(
                Delivery::fresh().with("Expect", value).head(),
                417,
                "expectation_failed",
            );
        });
    }
    cases.case("on HTTP/1.0", || {
        let delivery = Delivery::fresh()
            .request_line("POST /webhooks/itellico HTTP/1.0")
            .with("Expect", "100-continue");
        let mut client = stage.gateway.connect();
        client.send(delivery.head());
        assert!(
            !client.has_heard(std::time::Duration::from_millis(100)),
            "HTTP/1.0 knows no interim answers"
        );
        client.ask(delivery.body()).expect_status(200);
    });
    cases.case("with a stale timestamp", || {
        let delivery = Delivery::at(event(), now() - 400).with("Expect", "100-continue");
        stage.refuses(delivery.head(), 401, "stale_timestamp");
    });
    cases.finish();
}

#[test]
fn hd_19_every_connection_line_counts() {
    let stage = Stage::new();
    let mut client = stage.gateway.connect();
    let delivery = Delivery::fresh()
        .with("Connection", "keep-alive")
        .with("Connection", "close");
    client.ask(delivery.bytes()).expect_status(200);
    client.expect_closed();
    assert_eq!(stage.upstream.count(), 1);
}

#[test]
fn a_rejection_is_answered_before_the_body_has_come() {
    let stage = Stage::new();
    let mut client = stage.gateway.connect();
    client.send(Delivery::fresh().with_line("X-A : b").head());
    expect_rejected(&mut client, &[]);
    let mut client = stage.gateway.connect();
    client
        .ask(Delivery::fresh().without("Host").head())
        .expect_refusal(400, "bad_request");
    expect_no_more(&mut client);
}
