//! Rows of the catalogue that the response head alone decides (attacks: Upstream side, Resources).

use super::*;

fn good(bytes: impl AsRef<[u8]>) -> ResponseHead {
    ResponseHead::parse(bytes.as_ref())
        .expect("a good head")
        .expect("a whole head")
        .0
}

#[test]
fn heads_that_are_not_plain_http_are_refused() {
    let with = |lines: &[u8]| [b"HTTP/1.1 200 OK\r\n", lines, b"\r\n\r\n"].concat();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        (
            "UP-01 length and chunked",
            with(b"Content-Length: 2\r\nTransfer-Encoding: chunked"),
        ),
        ("UP-01 gzip", with(b"Transfer-Encoding: gzip")),
        (
            "UP-01 gzip, chunked",
            with(b"Transfer-Encoding: gzip, chunked"),
        ),
        (
            "UP-01 HTTP/1.0",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        ),
        (
            "UP-02 two lengths",
            with(b"Content-Length: 2\r\nContent-Length: 3"),
        ),
        (
            "UP-02 two equal lengths",
            with(b"Content-Length: 2\r\nContent-Length: 2"),
        ),
        ("UP-02 negative", with(b"Content-Length: -1")),
        ("UP-02 list", with(b"Content-Length: 5, 6")),
        ("UP-02 99", b"HTTP/1.1 99 OK\r\n\r\n".into()),
        ("UP-02 099", b"HTTP/1.1 099 OK\r\n\r\n".into()),
        ("UP-02 600", b"HTTP/1.1 600 OK\r\n\r\n".into()),
        ("UP-02 1000", b"HTTP/1.1 1000 OK\r\n\r\n".into()),
        ("UP-02 letters", b"HTTP/1.1 2OO OK\r\n\r\n".into()),
        ("UP-02 sign", b"HTTP/1.1 +20 OK\r\n\r\n".into()),
        ("UP-02 no status", b"HTTP/1.1\r\n\r\n".into()),
        ("UP-02 two spaces", b"HTTP/1.1  200 OK\r\n\r\n".into()),
        ("UP-02 tab", b"HTTP/1.1 200\tOK\r\n\r\n".into()),
        ("UP-02 HTTP/2", b"HTTP/2 200 OK\r\n\r\n".into()),
        ("UP-02 HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n".into()),
        ("UP-02 other protocol", b"HTTQ/1.1 200 OK\r\n\r\n".into()),
        ("UP-02 garbage, at once", b"<".into()),
        ("UP-02 empty line", b"\r\n".into()),
        ("UP-02 LF ends", b"HTTP/1.1 200 OK\n\n".into()),
        ("UP-05 CR", with(b"A: b\rc")),
        ("UP-05 LF", with(b"A: b\nc")),
        ("UP-05 NUL", with(b"A: b\0c")),
        ("UP-05 DEL", with(b"A: b\x7fc")),
        (
            "UP-05 control in the reason",
            b"HTTP/1.1 200 O\x01K\r\n\r\n".into(),
        ),
        ("UP-05 folded", with(b"A: b\r\n c")),
        ("UP-05 space before the colon", with(b"A : b")),
        ("UP-05 no colon", with(b"A")),
        ("RX-11 300 headers", with(&b"\r\nA: b".repeat(300)[2..])),
        (
            "RX-11 2 MB head",
            with(&[b"A: ", &vec![b'b'; 2_000_000][..]].concat()),
        ),
        (
            "RX-11 endless line",
            [b"HTTP/1.1 200 ", &vec![b'b'; 17_000][..]].concat(),
        ),
        (
            "RX-11 70 KiB",
            with(
                &[b"A: ", &vec![b'b'; 10_000][..], b"\r\n"]
                    .concat()
                    .repeat(7),
            ),
        ),
    ];
    let mut wrong = Vec::new();
    for (id, bytes) in &rows {
        let got = ResponseHead::parse(bytes);
        if got.is_ok() {
            wrong.push(format!(
                "{id}: {:?}",
                got.map(|found| found.map(|(head, _)| head.status))
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_good_head_is_taken_apart() {
    let bytes =
        b"HTTP/1.1 201 Made \xff\r\nA: \t b\xe9 \r\nContent-Length: 4\r\nX-Empty:\r\n\r\nbody";
    let (head, end) = ResponseHead::parse(bytes).unwrap().unwrap();
    assert_eq!(
        (head.status(), head.version(), end),
        (201, Version::Http11, bytes.len() - 4)
    );
    let lines: Vec<(&[u8], &[u8])> = vec![
        (b"A", b"b\xe9"),
        (b"Content-Length", b"4"),
        (b"X-Empty", b""),
    ];
    assert_eq!(head.lines().collect::<Vec<_>>(), lines);
    for line in ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 599 Odd"] {
        assert!(good(format!("{line}\r\n\r\n")).status() >= 200, "{line}");
    }
}

#[test]
fn an_unfinished_head_asks_for_more() {
    let whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    for cut in 0..whole.len() {
        assert!(
            ResponseHead::parse(&whole[..cut]).unwrap().is_none(),
            "cut after {cut} bytes"
        );
    }
}

#[test]
fn the_body_ends_as_status_method_and_lines_say() {
    let rows = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
            BodyEnd::Length(4),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            BodyEnd::Length(0),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            BodyEnd::Chunked,
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", BodyEnd::Close, true),
        ("HTTP/1.0 200 OK\r\n\r\n", BodyEnd::Close, false),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n",
            BodyEnd::Length(4),
            false,
        ),
        (
            "HTTP/1.1 500 No\r\nConnection: x\r\nConnection: y, Close\r\n\r\n",
            BodyEnd::Close,
            false,
        ),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", BodyEnd::None, true),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            BodyEnd::None,
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", BodyEnd::None, true),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            BodyEnd::None,
            true,
        ),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
            BodyEnd::None,
            false,
        ),
        (
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            BodyEnd::None,
            false,
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
            BodyEnd::None,
            true,
        ),
    ];
    for (bytes, end, keep_alive) in rows {
        let head = good(bytes);
        assert_eq!(
            (head.body_end(false), head.keep_alive()),
            (end, keep_alive),
            "UP-07 to UP-10: {bytes:?}"
        );
        assert_eq!(head.body_end(true), BodyEnd::None, "UP-10, HEAD: {bytes:?}");
    }
}

#[test]
fn connection_names_are_gathered_from_all_lines() {
    let head =
        good("HTTP/1.1 200 OK\r\nConnection: X-Foo, ,keep-alive\r\nconnection: Upgrade\r\n\r\n");
    let names: Vec<&[u8]> = head.connection_names().collect();
    assert_eq!(names, [&b"X-Foo"[..], b"keep-alive", b"Upgrade"], "UP-06");
}
