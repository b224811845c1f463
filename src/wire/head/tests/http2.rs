//! Heads of HTTP/2 requests.

use crate::wire::head::{Expect, Framing, Head, Http2Request, Limits, Version};
use crate::wire::rules::Reason;

type Lines<'a> = &'a [(&'a str, &'a str)];

const PLAIN: Http2Request<'static> = Http2Request {
    method: b"POST",
    scheme: Some(b"https"),
    target: b"/hooks/a?b=c",
    authority: Some(b"a.example:443"),
    has_body: true,
};

fn head(request: &Http2Request<'_>, lines: Lines<'_>) -> Result<Head, &'static str> {
    let lines = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    Head::from_http2(request, lines, &Limits::default()).map_err(|refusal| refusal.why)
}

#[test]
fn a_request_becomes_a_head_with_the_bytes_that_were_sent() {
    let lines = [
        ("x-sig", "a  b\u{e9}"),
        ("cookie", "a=1"),
        ("x-other", ""),
        ("cookie", "b=2"),
        ("expect", "100-continue"),
    ];
    let head = head(&PLAIN, &lines).unwrap();
    assert_eq!((head.method(), head.target()), ("POST", "/hooks/a?b=c"));
    assert_eq!(head.host(), Some("a.example:443"));
    assert_eq!(head.version(), Version::Http2);
    assert_eq!(head.framing(), Framing::Chunked);
    assert_eq!(head.expect(), Expect::Continue);
    let found: Vec<_> = head.lines().collect();
    let expected: [(&[u8], &[u8]); 5] = [
        (b"host", b"a.example:443"),
        (b"x-sig", "a  b\u{e9}".as_bytes()),
        (b"x-other", b""),
        (b"expect", b"100-continue"),
        (b"cookie", b"a=1; b=2"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_refused_in_http_1_is_refused_here_for_the_same_reason() {
    let with = |change: fn(&mut Http2Request<'static>)| {
        let mut request = PLAIN;
        change(&mut request);
        request
    };
    let (long, shorter) = ("a".repeat(16 * 1024), "a".repeat(16 * 1024 - 9));
    let many = vec![("a", "b"); 100];
    let rows: &[(Http2Request<'_>, Lines<'_>, Reason)] = &[
        (with(|r| r.authority = None), &[], Reason::MissingHost),
        (
            with(|r| r.authority = Some(b"")),
            &[],
            Reason::MalformedHost,
        ),
        (
            with(|r| r.authority = Some(b"u@a")),
            &[],
            Reason::MalformedHost,
        ),
        (PLAIN, &[("host", "b.example:443")], Reason::OtherHost),
        (
            PLAIN,
            &[("host", "a.example:443"), ("host", "a.example:443")],
            Reason::SecondHost,
        ),
        (
            with(|r| r.authority = None),
            &[("host", "a"), ("host", "a")],
            Reason::SecondHost,
        ),
        (with(|r| r.target = b"*"), &[], Reason::NotOriginForm),
        (with(|r| r.target = b""), &[], Reason::NotOriginForm),
        (
            with(|r| r.target = b"http://a/"),
            &[],
            Reason::NotOriginForm,
        ),
        (with(|r| r.target = b"/a#b"), &[], Reason::TargetFragment),
        (with(|r| r.target = b"/a b"), &[], Reason::TargetByte),
        (
            with(|r| r.target = "/\u{e9}".as_bytes()),
            &[],
            Reason::TargetByte,
        ),
        (with(|r| r.method = b"PO ST"), &[], Reason::MethodByte),
        (PLAIN, &[("", "b")], Reason::EmptyName),
        (PLAIN, &[("a b", "b")], Reason::NameByte),
        (PLAIN, &[(":a", "b")], Reason::NameByte),
        (PLAIN, &[("a\r\nb", "b")], Reason::NameByte),
        (PLAIN, &[("a", "b\r\nc: d")], Reason::ControlByte),
        (PLAIN, &[("a", "b\nc")], Reason::BareLineFeed),
        (PLAIN, &[("a", "b\rc")], Reason::BareCarriageReturn),
        (PLAIN, &[("a", "b\0")], Reason::ControlByte),
        (PLAIN, &[("a", " b")], Reason::SpaceAroundValue),
        (PLAIN, &[("A", "b")], Reason::UpperCaseName),
        (PLAIN, &[("connection", "close")], Reason::ConnectionLine),
        (PLAIN, &[("keep-alive", "1")], Reason::ConnectionLine),
        (PLAIN, &[("proxy-connection", "1")], Reason::ConnectionLine),
        (
            PLAIN,
            &[("transfer-encoding", "chunked")],
            Reason::ConnectionLine,
        ),
        (
            PLAIN,
            &[("transfer_encoding", "chunked")],
            Reason::FramingAlias,
        ),
        (PLAIN, &[("upgrade", "h2c")], Reason::ConnectionLine),
        (PLAIN, &[("te", "gzip")], Reason::ConnectionLine),
        (
            PLAIN,
            &[("content-length", "1"), ("content-length", "1")],
            Reason::SecondLength,
        ),
        (PLAIN, &[("content-length", "01")], Reason::MalformedLength),
        (PLAIN, &[("content_length", "1")], Reason::FramingAlias),
        (PLAIN, &many, Reason::TooManyLines),
        (PLAIN, &[("a", &long)], Reason::LineTooLong),
        (
            PLAIN,
            &[("cookie", &shorter), ("cookie", "a=1")],
            Reason::LineTooLong,
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter_map(|(request, lines, reason)| {
            let found = head(request, lines).map(drop);
            (found != Err(reason.words())).then_some((reason, found))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_body_is_framed_by_its_length_or_by_its_end() {
    let rows: [(bool, Lines<'_>, Framing); 4] = [
        (false, &[], Framing::None),
        (true, &[], Framing::Chunked),
        (true, &[("content-length", "7")], Framing::Length(7)),
        (false, &[("content-length", "0")], Framing::Length(0)),
    ];
    for (has_body, lines, expected) in rows {
        let request = Http2Request { has_body, ..PLAIN };
        assert_eq!(head(&request, lines).unwrap().framing(), expected);
    }
}

#[test]
fn the_same_host_twice_is_one_host() {
    for (authority, lines) in [
        (Some(&b"A.example"[..]), &[("host", "a.Example")][..]),
        (None, &[("host", "A.example")]),
    ] {
        let request = Http2Request { authority, ..PLAIN };
        let head = head(&request, lines).unwrap();
        assert_eq!((head.host(), head.lines().count()), (Some("A.example"), 1));
    }
}
