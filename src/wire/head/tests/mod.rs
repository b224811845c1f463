//! Rows of the catalogue that the head alone decides (attacks: Framing and request smuggling, Head
//! syntax).

mod http2;
mod parts;

use super::*;
use crate::verdict::{Code, Refusal};

/// Scans and parses `bytes` as a server would; `None` if the scanner waits for more.
fn read(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    let limits = Limits::default();
    let Some(place) = HeadScanner::new(limits).advance(bytes)? else {
        return Ok(None);
    };
    Head::parse(Bytes::copy_from_slice(&bytes[place]), &limits).map(Some)
}

fn good(bytes: impl AsRef<[u8]>) -> Head {
    read(bytes.as_ref())
        .expect("a good head")
        .expect("a whole head")
}

/// A good request, with `lines` among its header lines.
fn with(lines: &[u8]) -> Vec<u8> {
    [
        b"POST /webhooks/itellico HTTP/1.1\r\nHost: a\r\n",
        lines,
        b"\r\n\r\n",
    ]
    .concat()
}

/// A good request, with this request line.
fn line(line: &[u8]) -> Vec<u8> {
    [line, b"\r\nHost: a\r\nContent-Length: 2\r\n\r\n"].concat()
}

fn check(rows: &[(&str, Vec<u8>)], code: Code) {
    let mut wrong = Vec::new();
    for (id, bytes) in rows {
        let got = read(bytes);
        if !matches!(&got, Err(refusal) if refusal.code == code) {
            let got = got.map(|head| head.map(|head| head.framing));
            wrong.push(format!(
                "{id} {:.90?}: {got:?}",
                String::from_utf8_lossy(bytes)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn framing_that_two_readers_could_see_differently_is_refused() {
    let rows: &[(&str, &[u8])] = &[
        ("SM-01", b"Content-Length: 12\r\nTransfer-Encoding: chunked"),
        ("SM-02", b"Transfer-Encoding: chunked\r\nContent-Length: 4"),
        (
            "SM-03 xchunked",
            b"Transfer-Encoding: xchunked\r\nContent-Length: 4",
        ),
        ("SM-03 xchunked alone", b"Transfer-Encoding: xchunked"),
        ("SM-03 list", b"Transfer-Encoding: chunked, identity"),
        (
            "SM-03 lines",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        ("SM-03 quoted", b"Transfer-Encoding: \"chunked\""),
        ("SM-03 parameter", b"Transfer-Encoding: chunked;q=1"),
        ("SM-03 vertical tab", b"Transfer-Encoding: chunked\x0b"),
        ("SM-03 no-break space", b"Transfer-Encoding: \xa0chunked"),
        ("SM-03 empty", b"Transfer-Encoding:\r\nContent-Length: 4"),
        ("SM-03 empty alone", b"Transfer-Encoding:"),
        ("SM-03 space before colon", b"Transfer-Encoding : chunked"),
        (
            "SM-03 space before colon, with a length",
            b"Transfer-Encoding : chunked\r\nContent-Length: 4",
        ),
        ("SM-04 identity", b"Transfer-Encoding: identity, chunked"),
        ("SM-04 gzip", b"Transfer-Encoding: gzip, chunked"),
        ("SM-04 twice", b"Transfer-Encoding: chunked, chunked"),
        (
            "SM-04 two lines",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        ("SM-04 empty member", b"Transfer-Encoding: , chunked"),
        ("SM-04 empty last member", b"Transfer-Encoding: chunked,"),
        (
            "SM-05 coding",
            b"Transfer_Encoding: chunked\r\nContent-Length: 4",
        ),
        ("SM-05 coding alone", b"Transfer.Encoding: chunked"),
        ("SM-05 length", b"Content_Length: 5\r\nContent-Length: 4"),
        ("SM-05 length alone", b"content~length: 5"),
        (
            "SM-05 length with a full stop",
            b"Content.Length: 5\r\nContent-Length: 4",
        ),
        ("SM-07 two", b"Content-Length: 4\r\nContent-Length: 5"),
        ("SM-07 list", b"Content-Length: 4, 5"),
        ("SM-07 comma", b"Content-Length: 4,"),
        ("SM-07 plus", b"Content-Length: +4"),
        ("SM-07 minus", b"Content-Length: -1"),
        ("SM-07 hexadecimal", b"Content-Length: 0x10"),
        ("SM-07 space", b"Content-Length: 1 2"),
        ("SM-07 fraction", b"Content-Length: 2.0"),
        ("SM-07 exponent", b"Content-Length: 2e0"),
        ("SM-07 empty", b"Content-Length:"),
        ("SM-07 white space", b"Content-Length: \t "),
        ("SM-07 Arabic-Indic", b"Content-Length: \xd9\xa2"),
        ("SM-07 overflow", b"Content-Length: 18446744073709551616"),
        (
            "SM-07 long overflow",
            b"Content-Length: 99999999999999999999999999",
        ),
        ("SM-08 two equal", b"Content-Length: 4\r\nContent-Length: 4"),
        ("SM-08 equal list", b"Content-Length: 4, 4"),
        ("SM-08 leading zeros", b"Content-Length: 0004"),
        ("SM-08 double zero", b"Content-Length: 00"),
    ];
    let mut rows: Vec<_> = rows.iter().map(|(id, lines)| (*id, with(lines))).collect();
    rows.push((
        "SM-03 HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    ));
    check(&rows, Code::BadRequest);
}

#[test]
fn lines_that_are_not_fields_are_refused() {
    let rows: &[(&str, &[u8])] = &[
        ("HD-01 one line", b"X-A: b\nX-B: c"),
        ("HD-02 bare CR", b"X-A: a\rb"),
        ("HD-02 NUL in a value", b"X-A: a\0b"),
        ("HD-02 NUL in a name", b"X-\0A: b"),
        ("HD-02 DEL", b"X-A: a\x7fb"),
        ("HD-02 control", b"X-A: a\x01b"),
        ("HD-02 escape", b"X-A: a\x1bb"),
        ("HD-02 vertical tab", b"X-A: a\x0bb"),
        ("HD-02 fold by space", b"X-A: a\r\n b"),
        ("HD-02 fold by tab", b"X-A: a\r\n\tb: c"),
        ("HD-02 fold to nothing", b"X-A: a\r\n "),
        ("HD-02 space before colon", b"X-A : b"),
        ("HD-02 tab before colon", b"X-A\t: b"),
        ("HD-02 no colon", b"X-A"),
        ("HD-02 empty name", b": b"),
        ("HD-02 parenthesis", b"X(A: b"),
        ("HD-02 quote", b"X\"A: b"),
        ("HD-02 slash", b"X/A: b"),
        ("HD-02 high byte", b"X\x80A: b"),
        ("HD-11 doubled", b"Host: a"),
        ("HD-12 doubled, unequal", b"hOST: b"),
    ];
    let mut rows: Vec<_> = rows.iter().map(|(id, lines)| (*id, with(lines))).collect();
    rows.push(("HD-01 all lines", b"POST / HTTP/1.1\nHost: a\n\n".to_vec()));
    rows.push((
        "HD-01 the request line",
        b"POST / HTTP/1.1\nX-A: b\r\nHost: a\r\n\r\n".to_vec(),
    ));
    rows.push((
        "HD-01 the last line",
        b"POST / HTTP/1.1\r\nHost: a\r\n\n".to_vec(),
    ));
    rows.push((
        "HD-02 first line folded",
        b"POST / HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(),
    ));
    check(&rows, Code::BadRequest);
}

#[test]
fn request_lines_that_are_not_plain_are_refused() {
    let rows: &[(&str, &[u8])] = &[
        ("HD-02 double CR", b"POST / HTTP/1.1\r"),
        ("HD-05 method", &[&[b'A'; 500][..], b" / HTTP/1.1"].concat()),
        ("HD-06 asterisk", b"OPTIONS * HTTP/1.1"),
        ("HD-06 CONNECT", b"CONNECT a:80 HTTP/1.1"),
        ("HD-07 method", b"PO(ST / HTTP/1.1"),
        ("HD-07 leading space", b" POST / HTTP/1.1"),
        ("HD-07 tab after the method", b"POST\t/ HTTP/1.1"),
        ("HD-07 tab after the target", b"POST /\tHTTP/1.1"),
        ("HD-07 version twice", b"POST / HTTP/1.1 HTTP/1.1"),
        ("HD-07 trailing space", b"POST / HTTP/1.1 "),
        ("HD-07 no version", b"POST /webhooks/itellico"),
        ("HD-07 1.2", b"POST / HTTP/1.2"),
        ("HD-07 9.9", b"POST / HTTP/9.9"),
        ("HD-07 2.0", b"POST / HTTP/2.0"),
        ("HD-07 1.01", b"POST / HTTP/1.01"),
        ("HD-07 lower case", b"POST / http/1.1"),
        ("HD-07 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM"),
        ("HD-08 two spaces", b"POST  / HTTP/1.1"),
        ("HD-08 two spaces before the version", b"POST /  HTTP/1.1"),
        ("HD-08 space", b"POST /a b HTTP/1.1"),
        ("HD-08 tab", b"POST /a\tb HTTP/1.1"),
        ("HD-08 control", b"POST /a\x01b HTTP/1.1"),
        ("HD-08 NUL", b"POST /a\0b HTTP/1.1"),
        ("HD-08 DEL", b"POST /a\x7fb HTTP/1.1"),
        ("HD-09 UTF-8", b"POST /\xc3\xa9 HTTP/1.1"),
        ("HD-09 Latin-1", b"POST /\xe9 HTTP/1.1"),
        ("HD-09 quote", b"POST /?\" HTTP/1.1"),
        ("HD-09 less", b"POST /?< HTTP/1.1"),
        ("HD-09 greater", b"POST /?> HTTP/1.1"),
        ("HD-09 brace", b"POST /{ HTTP/1.1"),
        ("HD-09 closing brace", b"POST /} HTTP/1.1"),
        ("HD-09 bar", b"POST /| HTTP/1.1"),
        ("HD-09 caret", b"POST /^ HTTP/1.1"),
        ("HD-09 backtick", b"POST /` HTTP/1.1"),
        ("HD-09 bracket", b"POST /a[]?a[]=b HTTP/1.1"),
        ("HD-09 bracket behind a backslash", b"POST /\\[?[ HTTP/1.1"),
        ("HD-09 quote behind a bracket", b"POST /?[\" HTTP/1.1"),
        ("HD-09 UTF-8 in the query", b"POST /?[]=\xc3\xa9 HTTP/1.1"),
        ("HD-09 fragment behind a bracket", b"POST /?[#] HTTP/1.1"),
        ("HD-09 fragment", b"POST /webhooks/itellico#x HTTP/1.1"),
        (
            "HD-16 absolute",
            b"POST http://a/webhooks/itellico HTTP/1.1",
        ),
        (
            "HD-16 absolute, TLS",
            b"POST https://a/webhooks/itellico HTTP/1.1",
        ),
        (
            "HD-16 other host",
            b"POST http://evil/webhooks/itellico HTTP/1.1",
        ),
        ("HD-16 file", b"POST file:///etc/passwd HTTP/1.1"),
        ("HD-16 authority", b"POST a:80 HTTP/1.1"),
        ("HD-16 asterisk", b"POST * HTTP/1.1"),
        ("HD-16 no slash", b"POST webhooks/itellico HTTP/1.1"),
        ("HD-16 empty target", b"POST  HTTP/1.1"),
        ("PA-05 fragment after a query", b"POST /hooks/a?# HTTP/1.1"),
    ];
    let rows: Vec<_> = rows.iter().map(|(id, bytes)| (*id, line(bytes))).collect();
    check(&rows, Code::BadRequest);
}

#[test]
fn a_query_may_hold_the_bytes_that_senders_do_not_escape() {
    for target in [
        "/?tags[]=a&tags[]=b",
        "/?filter={x}|y",
        "/?a=^`",
        "/?a\\b",
        "/\\?\\",
        "/?a?b[",
        "/?[]{}|\\^`",
    ] {
        let head = read(&line(format!("POST {target} HTTP/1.1").as_bytes()))
            .unwrap_or_else(|refusal| panic!("{target}: {refusal:?}"))
            .expect("a whole head");
        assert_eq!(head.target(), target);
        assert_eq!(head.query(), target.split_once('?').map(|(_, query)| query));
    }
}

#[test]
fn what_is_no_http_is_refused_without_waiting_for_more() {
    let rows: &[(&str, &[u8])] = &[
        ("HD-07 HTTP/0.9", b"GET /webhooks/itellico\r\n"),
        ("HD-07 HTTP/2 preface", b"PRI * HTTP/2.0\r\n"),
        ("HD-07 ClientHello", b"\x16\x03\x01\x02\0\x01"),
        ("HD-07 ClientHello, one byte", b"\x16"),
        ("HD-07 SSH", b"SSH-2.0-x\r\n"),
        ("HD-07 PROXY", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("HD-07 PROXY, version 2", b"\r\n\r\n\0\r\nQUIT\n"),
        (
            "HD-10 nine empty lines",
            b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
        ),
        ("HD-10 CR and no LF", b"\rP"),
        ("HD-01 LF", b"\n"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, bytes)| (*id, bytes.to_vec()))
        .collect();
    check(&rows, Code::BadRequest);
}

#[test]
fn hosts_that_are_not_one_name_or_address_are_refused() {
    let hosts = [
        ("HD-12 userinfo", "u@a"),
        ("HD-12 userinfo with a password", "u:p@a"),
        ("HD-13 empty", ""),
        ("HD-13 list", "a, b"),
        ("HD-13 list without space", "a,b"),
        ("HD-13 space", "a b"),
        ("HD-13 slash", "a/x"),
        ("HD-13 question mark", "a?b"),
        ("HD-13 number sign", "a#b"),
        ("HD-13 name as port", "a:b"),
        ("HD-13 port too large", "a:99999"),
        ("HD-13 port by one too large", "a:65536"),
        ("HD-13 port too long", "a:000080"),
        ("HD-13 signed port", "a:+80"),
        ("HD-13 two ports", "a:80:80"),
        ("HD-13 tab", "a\tb"),
        ("HD-13 port alone", ":80"),
        ("HD-13 escape", "%61"),
        ("HD-13 obs-text", "é"),
        ("HD-13 bare IPv6", "::1"),
        ("HD-13 open bracket", "[::1"),
        ("HD-13 closing bracket", "::1]"),
        ("HD-13 empty brackets", "[]"),
        ("HD-13 no address", "[a]"),
        ("HD-13 zone", "[fe80::1%25eth0]"),
        ("HD-13 after the bracket", "[::1]a"),
        ("HD-13 port name after the bracket", "[::1]:a"),
        ("HD-13 future address", "[v1.a]"),
    ];
    let mut rows: Vec<_> = hosts
        .iter()
        .map(|(id, host)| {
            (
                *id,
                format!("POST / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            )
        })
        .collect();
    rows.push((
        "HD-11",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n".to_vec(),
    ));
    rows.push((
        "HD-16 absolute without a host",
        b"POST http://a/x HTTP/1.1\r\nContent-Length: 2\r\n\r\n".to_vec(),
    ));
    rows.push((
        "HD-12 doubled",
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_vec(),
    ));
    rows.push((
        "HD-12 HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: u@a\r\n\r\n".to_vec(),
    ));
    check(&rows, Code::BadRequest);
}

#[test]
fn what_is_too_large_is_refused_by_its_limit() {
    let field = |bytes: usize| format!("X: {}", "a".repeat(bytes)).into_bytes();
    let large: Vec<(&str, Vec<u8>)> = vec![
        ("HD-04 257 lines", with(&b"\r\nX-A: b".repeat(257)[2..])),
        ("HD-04 101 lines", with(&b"\r\nX-A: b".repeat(100)[2..])),
        ("HD-04 20 KiB", with(&field(20 * 1024))),
        (
            "HD-04 20 KiB, unfinished",
            [b"POST / HTTP/1.1\r\n", &field(20 * 1024)[..]].concat(),
        ),
        (
            "HD-04 70 KiB",
            with(
                &field(10 * 1024)
                    .iter()
                    .copied()
                    .chain(*b"\r\n")
                    .collect::<Vec<_>>()
                    .repeat(7),
            ),
        ),
        ("HD-04 2 MB", with(&field(2_000_000))),
        ("RX-15 5,000 lines", with(&b"\r\nX-A: b".repeat(5_000)[2..])),
    ];
    check(&large, Code::HeadersTooLarge);
    let target = |bytes: usize| format!("POST /{}", "a".repeat(bytes - 1)).into_bytes();
    let long: Vec<(&str, Vec<u8>)> = vec![
        (
            "HD-05 9 KiB",
            line(&[&target(9 * 1024)[..], b" HTTP/1.1"].concat()),
        ),
        (
            "HD-05 one too long",
            line(&[&target(8 * 1024 + 1)[..], b" HTTP/1.1"].concat()),
        ),
        (
            "HD-05 65 KiB",
            line(&[&target(65 * 1024)[..], b" HTTP/1.1"].concat()),
        ),
        (
            "HD-05 100 KiB",
            line(&[&target(100 * 1024)[..], b" HTTP/1.1"].concat()),
        ),
        ("HD-05 unfinished", target(9 * 1024)),
    ];
    check(&long, Code::UriTooLong);
    assert_eq!(
        good(line(&[&target(8 * 1024)[..], b" HTTP/1.1"].concat()))
            .target()
            .len(),
        8 * 1024
    );
    assert_eq!(
        good(with(&b"\r\nX-A: b".repeat(99)[2..])).lines().count(),
        100
    );
    assert_eq!(good(with(&field(16 * 1024 - 3))).lines().count(), 2);
}

#[test]
fn an_operators_limits_hold_in_scanner_and_parser() {
    let head = with(b"A: b\r\nB: c");
    let small = Limits {
        max_head: head.len() - 1,
        max_headers: 3,
    };
    let few = Limits {
        max_head: head.len(),
        max_headers: 2,
    };
    let exact = Limits {
        max_head: head.len(),
        max_headers: 3,
    };
    for (limits, code) in [
        (small, Err(Code::HeadersTooLarge)),
        (few, Err(Code::HeadersTooLarge)),
        (exact, Ok(())),
    ] {
        let scanned = HeadScanner::new(limits)
            .advance(&head)
            .map(drop)
            .map_err(|refusal| refusal.code);
        let parsed = Head::parse(head.clone().into(), &limits)
            .map(drop)
            .map_err(|refusal| refusal.code);
        assert_eq!((scanned, parsed), (code, code), "{limits:?}");
    }
}

#[test]
fn a_complete_head_stays_complete() {
    let bytes = [&with(b"A: b")[..], b"rest"].concat();
    let mut scanner = HeadScanner::new(Limits::default());
    assert_eq!(scanner.advance(&bytes[..20]), Ok(None));
    let place = 0..bytes.len() - 4;
    assert_eq!(scanner.advance(&bytes), Ok(Some(place.clone())));
    assert_eq!(scanner.advance(&bytes), Ok(Some(place)));
}
