//! Which headers are dropped, stripped and set.

use std::net::IpAddr;

use super::*;
use crate::gateway::client::origin::Trusted;
use crate::wire::response::ResponseHead;

fn forward(
    lines: &[(&str, &str)],
    trusted: Option<Trusted<'_>>,
    fixed: &RouteHeaders<'_>,
) -> String {
    let lines = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    let head = Head::from_parts("POST", "/in?a=%20b", lines).unwrap();
    let peer = Some(IpAddr::from([192, 0, 2, 7]));
    let origin = Origin {
        peer,
        is_tls: false,
        address: peer,
        trusted,
    };
    let verigate = VerigateHeaders {
        of_the_route: &of_the_route("in", "itellico"),
        verdict: "valid",
        request_id: b"r1",
        secret: Some("env:S"),
        event_id: Some("e\u{e9}"),
        event_type: Some("t"),
        event_key: Some(b"00ff"),
        attempt: None,
    };
    String::from_utf8(forwarded(&head, &origin, &verigate, fixed, 3)).unwrap()
}

const PLAIN: RouteHeaders<'static> = RouteHeaders {
    host: None,
    authority: "up:80",
    path: None,
    matched: 0,
    query: None,
    signed: &[],
    headers: &[],
    removed: None,
    resigned: None,
};

#[test]
fn a_plain_head_keeps_its_end_to_end_lines_and_gains_ours() {
    let out = forward(
        &[
            ("Host", "a"),
            ("X-A", "1"),
            ("Content-Length", "3"),
            ("X-A", "2"),
        ],
        None,
        &PLAIN,
    );
    let expected = "POST /in?a=%20b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\
        X-Verigate-Route: in\r\nX-Verigate-Provider: itellico\r\nX-Verigate-Verdict: valid\r\n\
        X-Verigate-Secret: env:S\r\nX-Verigate-Event-Type: t\r\n\
        X-Verigate-Event-Key: 00ff\r\nX-Request-Id: r1\r\n\
        X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n";
    assert_eq!(out, expected);
}

#[test]
fn another_path_replaces_what_the_route_matched_and_nothing_else() {
    let rows = [
        ("/app/hooks", "/in".len(), None, "/app/hooks?a=%20b"),
        ("/app/", "/".len(), None, "/app/in?a=%20b"),
        ("/", "/".len(), None, "/in?a=%20b"),
        ("/app", "/".len(), None, "/app/in?a=%20b"),
        ("/app/", "/in".len(), None, "/app/?a=%20b"),
        ("/app/hooks", "/in".len(), Some("a"), "/app/hooks"),
    ];
    for (text, matched, query, expected) in rows {
        let text = text.to_owned();
        let fixed = RouteHeaders {
            path: Some(&NewPath { text }),
            matched,
            query,
            ..PLAIN
        };
        let out = forward(&[("Host", "a")], None, &fixed);
        let line = format!("POST {expected} HTTP/1.1\r\n");
        assert!(out.starts_with(&line), "{line} in {out}");
    }
}

#[test]
fn connection_headers_and_the_gateways_own_are_dropped() {
    let dropped = [
        ("Keep-Alive", "x-gone"),
        ("Proxy-Connection", "x-gone"),
        ("Proxy-Authorization", "x-gone"),
        ("TE", "x-gone"),
        ("Trailer", "x-gone"),
        ("Upgrade", "x-gone"),
        ("HTTP2-Settings", "x-gone"),
        ("Proxy", "x-gone"),
        ("Expect", "x-gone"),
        ("Forwarded", "x-gone"),
        ("X_Verigate_Event_Id", "x-gone"),
        ("X.Verigate.Foo", "x-gone"),
        ("X-Verigate-", "x-gone"),
        ("X_Forwarded_For", "x-gone"),
        ("X-Gateway_Token", "x-gone"),
        ("X-Named", "x-gone"),
    ];
    let token = [(
        FieldName::new("X-Gateway-Token").unwrap(),
        SecretText::new(b"tok".to_vec()),
    )];
    let fixed = RouteHeaders {
        host: Some("inner"),
        headers: &token,
        ..PLAIN
    };
    let mut lines = vec![("Host", "a"), ("Connection", "x-named"), ("X-Stays", "yes")];
    lines.extend(dropped);
    let out = forward(&lines, None, &fixed);
    assert!(!out.contains("x-gone"), "{out}");
    for kept in [
        "Host: inner\r\n",
        "X-Stays: yes\r\n",
        "x-gateway-token: tok\r\n",
    ] {
        assert!(out.contains(kept), "{kept} in {out}");
    }
}

/// The names by which lines were dropped when each name was compared with each of them.
#[test]
fn a_line_is_dropped_by_the_text_of_its_name() {
    let ours = [
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    let both = [
        "te",
        "trailer",
        "upgrade",
        "connection",
        "keep-alive",
        "content-length",
        "proxy-connection",
        "transfer-encoding",
        "proxy-authenticate",
        "proxy-authorization",
    ];
    let of_requests = ["host", "proxy", "expect", "http2-settings"];
    let wrong: Vec<_> = KnownName::ALL
        .iter()
        .filter(|(known, text)| {
            let is_dropped =
                ours.contains(text) || both.contains(text) || of_requests.contains(text);
            let stays_here = both.contains(text) || *text == "x-request-id";
            is_end_to_end(*known) == is_dropped
                || is_relayed(*known, false) == stays_here
                || !is_relayed(*known, true)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn relays(name: &str) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\n{name}: x\r\n\r\n");
    let head = ResponseHead::from_bytes(head.into_bytes().into()).unwrap();
    head.fields()
        .any(|line| is_relayed(line.known, line.is_alias))
}

#[test]
fn an_answer_loses_connection_headers_and_the_gateways_own() {
    for name in [
        "X-Verigate-Verdict",
        "X_Verigate_Route",
        "X-Verigate-Event-Id",
        "Connection",
        "keep-alive",
    ] {
        assert!(!relays(name), "{name}");
    }
    for name in [
        "Server",
        "Set-Cookie",
        "X-Verigate",
        "Retry-After",
        "Content-Type",
        "Keep_Alive",
        "Host",
    ] {
        assert!(relays(name), "{name}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_and_appended_to() {
    let trusted = Trusted {
        forwarded_for: vec!["198.51.100.1"],
        proto: Some("https"),
        host: Some("hooks.example"),
        request_id: None,
    };
    let out = forward(
        &[("Host", "a"), ("X-Forwarded-For", "198.51.100.1")],
        Some(trusted),
        &PLAIN,
    );
    for line in [
        "X-Forwarded-For: 198.51.100.1, 192.0.2.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: hooks.example",
    ] {
        assert!(out.contains(&format!("{line}\r\n")), "{line} in {out}");
    }
    assert_eq!(out.matches("X-Forwarded-For").count(), 1, "{out}");
}
