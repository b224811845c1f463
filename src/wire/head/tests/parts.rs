//! The parts of good heads, received as bytes or built from parts.

use super::{good, with};
use crate::verdict::Code;
use crate::wire::head::{Expect, FieldName, Found, Framing, Head, Version};

#[test]
fn hosts_are_given_with_and_without_their_port() {
    let rows = [
        ("A.EXAMPLE:8080", "A.EXAMPLE"),
        ("a.example.", "a.example."),
        ("a", "a"),
        ("a:", "a"),
        ("a:0", "a"),
        ("192.0.2.1:65535", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:DB8::1]"),
        ("my_host-1~x", "my_host-1~x"),
    ];
    for (host, name) in rows {
        let head = good(format!("POST / HTTP/1.1\r\nhOST: \t{host} \r\n\r\n"));
        assert_eq!(
            (head.host(), head.host_name()),
            (Some(host), Some(name)),
            "HD-14"
        );
    }
}

#[test]
fn a_good_head_is_taken_apart() {
    let head = good(
        b"\r\nPOST /hooks/a%2F\\x;v=1?q=/../&r=%zz HTTP/1.1\r\nHost: a:1\r\nX-A:\r\nX-Webhook-Timestamp: \t1 2\t \r\n\
          X-Bin:\xff\xfe\r\nCONTENT-length: 9223372036854775808\r\n\r\nrest",
    );
    assert_eq!(head.method(), "POST");
    assert_eq!(head.target(), "/hooks/a%2F\\x;v=1?q=/../&r=%zz");
    assert_eq!(
        (head.path(), head.query()),
        ("/hooks/a%2F\\x;v=1", Some("q=/../&r=%zz"))
    );
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(
        head.framing(),
        Framing::Length(1 << 63),
        "SM-09: judged by size later"
    );
    assert_eq!(head.expect(), Expect::None);
    assert!(head.keep_alive());
    assert!(
        head.bytes().starts_with(b"POST ") && head.bytes().ends_with(b"08\r\n\r\n"),
        "HD-10: one empty line"
    );
    let lines: Vec<(&[u8], &[u8])> = vec![
        (b"Host", b"a:1"),
        (b"X-A", b""),
        (b"X-Webhook-Timestamp", b"1 2"),
        (b"X-Bin", b"\xff\xfe"),
        (b"CONTENT-length", b"9223372036854775808"),
    ];
    assert_eq!(head.lines().collect::<Vec<_>>(), lines, "HD-03");
}

#[test]
fn what_is_found_under_a_name_counts_its_aliases() {
    let head = good(with(
        b"X-One: 1\r\nX-Two: 1\r\nx-two: 2\r\nX-Mix: 1\r\nX_Mix: 2\r\nX.Ali: 1\r\nX-Empty:",
    ));
    let find = |name: &str| head.find(&FieldName::new(name).unwrap());
    assert_eq!(find("x-one"), Found::One(b"1"));
    assert_eq!(find("x-two"), Found::Several);
    assert_eq!(find("x-mix"), Found::Several, "HB-07 beside the real one");
    assert_eq!(find("x-ali"), Found::Nothing, "HB-07 alone");
    assert_eq!(find("x-empty"), Found::One(b""));
    assert_eq!(find("x-none"), Found::Nothing);
}

#[test]
fn what_the_lines_mean_follows_version_and_every_line() {
    let at =
        |version: &str, lines: &str| good(format!("GET / {version}\r\nHost: a\r\n{lines}\r\n"));
    let chunked = at("HTTP/1.1", "Transfer-Encoding: ChUnKeD\r\n");
    assert_eq!(chunked.framing(), Framing::Chunked, "SM-06");
    assert_eq!(
        at("HTTP/1.1", "Content-Length: 0\r\n").framing(),
        Framing::Length(0)
    );
    assert_eq!(
        at("HTTP/1.1", "Content-Length: 18446744073709551615\r\n").framing(),
        Framing::Length(u64::MAX)
    );
    assert_eq!(at("HTTP/1.1", "").framing(), Framing::None, "SM-20");

    let old = good(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(
        (old.version(), old.host(), old.keep_alive()),
        (Version::Http10, None, false),
        "HD-15"
    );
    assert!(!at("HTTP/1.0", "Connection: keep-alive\r\n").keep_alive());
    assert!(at("HTTP/1.1", "Connection: keep-alive, x-close\r\n").keep_alive());
    assert!(
        !at(
            "HTTP/1.1",
            "Connection: keep-alive\r\nConnection: close\r\n"
        )
        .keep_alive(),
        "HD-19"
    );
    assert!(
        !at(
            "HTTP/1.1",
            "Connection: close\r\nConnection: keep-alive\r\n"
        )
        .keep_alive(),
        "HD-19"
    );
    assert!(
        !at("HTTP/1.1", "Connection: x ,\tCLOSE ,\r\n").keep_alive(),
        "HD-19"
    );

    let expect = |version: &str, lines: &str| at(version, lines).expect();
    assert_eq!(
        expect("HTTP/1.1", "Expect: 100-Continue\r\n"),
        Expect::Continue,
        "HD-18"
    );
    assert_eq!(
        expect("HTTP/1.0", "Expect: 100-continue\r\n"),
        Expect::None,
        "HD-18"
    );
    assert_eq!(
        expect("HTTP/1.1", "Expect: banana\r\n"),
        Expect::Other,
        "HD-18"
    );
    assert_eq!(
        expect("HTTP/1.1", "Expect: 100-continue, x\r\n"),
        Expect::Other,
        "HD-18"
    );
    assert_eq!(expect("HTTP/1.1", "Expect:\r\n"), Expect::Other, "HD-18");
    assert_eq!(
        expect(
            "HTTP/1.1",
            "Expect: 100-continue\r\nExpect: 100-continue\r\n"
        ),
        Expect::Other,
        "HD-18"
    );
}

#[test]
fn connection_names_are_gathered_from_all_lines() {
    let head = good(with(
        b"Connection: X-Foo,,\tclose ,\r\nA: b\r\ncONNECTION: Upgrade\r\nConnection:",
    ));
    let names: Vec<&[u8]> = head.connection_names().collect();
    assert_eq!(names, [&b"X-Foo"[..], b"close", b"Upgrade"], "HB-03");
}

#[test]
fn parts_make_the_same_head_as_bytes() {
    let lines: [(&[u8], &[u8]); 3] = [(b"Host", b"a"), (b"X-A", b" b "), (b"Content-Length", b"2")];
    let made = Head::from_parts("POST", "/h?q", lines).unwrap();
    let received = good(made.bytes());
    assert_eq!(
        made.lines().collect::<Vec<_>>(),
        received.lines().collect::<Vec<_>>()
    );
    assert_eq!(
        (made.framing(), made.host(), made.keep_alive()),
        (Framing::Length(2), Some("a"), true)
    );
    assert_eq!((made.method(), made.target()), ("POST", "/h?q"));
    assert_eq!(Head::from_parts("GET", "/", []).unwrap().host(), None);
}

#[test]
fn parts_that_cannot_stand_in_a_head_are_refused() {
    type Row<'a> = (&'a str, &'a str, &'a [u8], &'a [u8], Code);
    let rows: &[Row<'_>] = &[
        ("GET X", "/", b"A", b"b", Code::BadRequest),
        ("", "/", b"A", b"b", Code::BadRequest),
        ("GET", "", b"A", b"b", Code::BadRequest),
        ("GET", "/ HTTP/1.1\r\nA: b", b"A", b"b", Code::BadRequest),
        ("GET", "/", b"", b"b", Code::BadRequest),
        ("GET", "/", b"A:b", b"c", Code::BadRequest),
        ("GET", "/", b"A\r\nB", b"c", Code::BadRequest),
        ("GET", "/", b"A", b"b\r\nC: d", Code::BadRequest),
        ("GET", "/", b"A", b"b\r\n", Code::BadRequest),
        ("GET", "/", b"A", b"b\nC: d", Code::BadRequest),
        ("GET", "/", b"A", b"b\r", Code::BadRequest),
        ("GET", "/", b"A", b"b\0", Code::BadRequest),
        ("GET", "/", b"Content_Length", b"2", Code::BadRequest),
        ("GET", "/", b"Host", b"a b", Code::BadRequest),
        ("GET", "/", b"A", &[b'b'; 16 * 1024], Code::HeadersTooLarge),
        (
            "GET",
            &"/".repeat(8 * 1024 + 1),
            b"A",
            b"b",
            Code::UriTooLong,
        ),
    ];
    for (method, target, name, value, code) in rows {
        let got = Head::from_parts(method, target, [(*name, *value)])
            .map(drop)
            .map_err(|refusal| refusal.code);
        assert_eq!(
            got,
            Err(*code),
            "{method:?} {target:.20?} {:?}",
            String::from_utf8_lossy(name)
        );
    }
    let many = std::iter::repeat_n((&b"A"[..], &b"b"[..]), 101);
    assert_eq!(
        Head::from_parts("GET", "/", many)
            .map(drop)
            .map_err(|r| r.code),
        Err(Code::HeadersTooLarge)
    );
    let large = std::iter::repeat_n((&b"A"[..], &[b'b'; 16_000][..]), 5);
    assert_eq!(
        Head::from_parts("GET", "/", large)
            .map(drop)
            .map_err(|r| r.code),
        Err(Code::HeadersTooLarge)
    );
}
