//! Properties that hold for any bytes, however they are split: no panic, the same outcome, and for
//! accepted bytes the same reading as by a lenient parser.

use std::ops::Range;

use bytes::BytesMut;
use proptest::prelude::*;

use super::plain;
use crate::verdict::Refusal;
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::head::{FieldName, Found, Framing, Head, HeadScanner, Limits, Version};
use crate::wire::response::{LIMITS, ResponseHead, ResponseScanner};
use crate::wire::rules::Reason;

/// Limits so low that short inputs reach them.
const TIGHT: Limits = Limits {
    max_head: 160,
    max_headers: 5,
};

/// Bytes that look enough like HTTP to pass the first rules: fragments of heads and chunks among
/// random bytes.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => prop::sample::select(vec![
            "\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "POST /a?b HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 204 \r\n", "Host: b:1\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X-A: b\r\n",
            "Connection: close\r\n", "Content_Length: 1\r\n", "Expect: 100-continue\r\n", "2\r\nab\r\n", "0\r\n\r\n",
            "1;a=\"b\"\r\n", "10\r\n0123456789abcdef\r\n", "A: ", " ", ":", "\t", "\r", "\n", "#", "\"", ";", "=", "\0",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
        1 => (any::<u8>(), 1_usize..9000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|parts| parts.concat())
}

/// A head: `opening`, a few lines that are mostly good fields, and an empty line. Many are
/// accepted, and many others break only a single rule.
fn head(opening: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![9 => 0x20_u8..0x7f, 1 => any::<u8>()];
    let name = prop_oneof![8 => "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", 1 => "[ -~]{0,6}"];
    let line = (
        name,
        prop::sample::select(vec![":", ": ", ":\t ", ":"]),
        prop::collection::vec(byte, 0..12),
    );
    let lines = prop::collection::vec(line, 0..4);
    lines.prop_map(move |lines| {
        let mut bytes = opening.as_bytes().to_vec();
        for (name, colon, value) in lines {
            bytes.extend([name.as_bytes(), colon.as_bytes(), &value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    })
}

/// A head of lines whose names mean something to the gateway, aliases among them.
fn known_head(opening: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "Host: a",
        "Host: a.b:80",
        "host: [::1]:8080",
        "Host: [::1",
        "Host: a:b",
        "Host: a:65536",
        "Host:",
        "Host: :80",
        "Content-Length: 5",
        "CONTENT-LENGTH:0",
        "Content-Length: 05",
        "Content_Length: 5",
        "Transfer-Encoding: chunked",
        "transfer.encoding: chunked",
        "Transfer-Encoding: gzip",
        "Connection: close",
        "connection: x-a ,\tCLOSE",
        "Connection: x-a",
        "Connection_: close",
        "Expect: 100-continue",
        "expect: 100-Continue",
        "Expect: x",
        "X_Verigate-A: 1",
        "X-Forwarded-For: ::1",
        "X-A:  b ",
        "X-A:\tb\t",
        "X-A: ",
        "X-A:",
        "x.a: b",
        "TE: x",
        "Accept: */*",
        "X-Webhook-Signature-256: \u{e9}",
        " folded",
        "no colon",
        ": x",
        "a b: c",
        "X-Request-Id: 1",
        "X-Long-Name-That-Goes-On-And-On_And-On: 0123456789abcdef0123456789",
        "Bad\u{1}: x",
        "X: \r",
    ]);
    prop::collection::vec(line, 0..7).prop_map(move |lines| {
        let mut head = opening.to_owned();
        for line in lines {
            head.extend([line, "\r\n"]);
        }
        (head + "\r\n").into_bytes()
    })
}

/// The lengths of growing prefixes of `bytes`, as a connection's buffer would hold them; the last
/// is the whole.
fn prefixes(bytes: &[u8], cuts: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    ends
}

fn scan(bytes: &[u8], ends: &[usize], limits: Limits) -> Result<Option<Range<usize>>, Refusal> {
    let mut scanner = HeadScanner::new(limits);
    for &end in ends {
        if let Some(place) = scanner.advance(&bytes[..end])? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn scan_answer(bytes: &[u8], ends: &[usize]) -> Result<Option<usize>, Reason> {
    let mut scanner = ResponseScanner::new();
    for &end in ends {
        if let Some(end) = scanner.advance(&bytes[..end])? {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// Takes a head out of a connection's buffer that grows to these lengths. Returns it with the bytes
/// that are left.
fn taken<H, E>(
    bytes: &[u8],
    ends: &[usize],
    mut take: impl FnMut(&mut BytesMut) -> Result<Option<H>, E>,
) -> Result<Option<(H, Vec<u8>)>, E> {
    let (mut buf, mut at) = (BytesMut::new(), 0);
    for &end in ends {
        buf.extend_from_slice(&bytes[at..end]);
        at = end;
        if let Some(head) = take(&mut buf)? {
            return Ok(Some((head, [&buf[..], &bytes[at..]].concat())));
        }
    }
    assert_eq!(buf, bytes);
    Ok(None)
}

type Decoded = (Vec<u8>, Result<Option<usize>, Reason>, u64);

fn decode(bytes: &[u8], ends: &[usize]) -> Decoded {
    let (mut decoder, mut data, mut at) = (ChunkedDecoder::new(), Vec::new(), 0);
    for &end in ends {
        loop {
            match decoder.next(&bytes[at..end]) {
                Ok((used, Piece::Data(piece))) => {
                    at += used;
                    data.extend_from_slice(piece);
                }
                Ok((used, Piece::NeedMore)) => {
                    at += used;
                    assert_eq!(at, end);
                    break;
                }
                Ok((used, Piece::End)) => return (data, Ok(Some(at + used)), decoder.declared()),
                Err(reason) => return (data, Err(reason), decoder.declared()),
            }
        }
    }
    (data, Ok(None), decoder.declared())
}

fn owned<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(Vec<u8>, Vec<u8>)> {
    lines
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_request_head_ends_the_same_however_it_is_split(
        bytes in fragments(), cuts in prop::collection::vec(any::<usize>(), 0..6), tight in any::<bool>()
    ) {
        let limits = if tight { TIGHT } else { Limits::default() };
        let whole = scan(&bytes, &[bytes.len()], limits);
        prop_assert_eq!(&whole, &scan(&bytes, &prefixes(&bytes, &cuts), limits));
        let each: Vec<usize> = (0..=bytes.len().min(9_000)).chain([bytes.len()]).collect();
        prop_assert_eq!(&whole, &scan(&bytes, &each, limits));
    }

    #[test]
    fn a_request_head_that_arrives_is_read_as_the_whole_head(
        before in "(\r\n){0,2}", bytes in prop_oneof![
            4 => known_head("POST /a?b HTTP/1.1\r\nHost: a\r\n"), 2 => head("PUT /a HTTP/1.1\r\nHost: a\r\n"),
            1 => head("M /a HTTP/1.0\r\n"), 2 => fragments(),
        ],
        body in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(any::<usize>(), 0..6), tight in any::<bool>(),
    ) {
        let limits = if tight { TIGHT } else { Limits::default() };
        let bytes = [before.as_bytes(), &bytes, &body].concat();
        let mut scanner = HeadScanner::new(limits);
        let taken = taken(&bytes, &prefixes(&bytes, &cuts), |buf| scanner.take(buf));
        let whole = scan(&bytes, &[bytes.len()], limits).and_then(|place| {
            let read = |place: Range<usize>| {
                let head = Head::parse(bytes[place.clone()].to_vec().into(), &limits)?;
                Ok((head, bytes[place.end..].to_vec()))
            };
            place.map(read).transpose()
        });
        prop_assert_eq!(format!("{taken:?}"), format!("{whole:?}"));
    }

    #[test]
    fn an_answer_that_arrives_is_read_as_the_whole_answer(
        bytes in prop_oneof![known_head("HTTP/1.1 200 OK\r\n"), head("HTTP/1.0 503 \r\n"), fragments()],
        body in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let bytes = [bytes, body].concat();
        let mut scanner = ResponseScanner::new();
        let taken = taken(&bytes, &prefixes(&bytes, &cuts), |buf| scanner.take(buf));
        let whole = ResponseHead::parse(&bytes);
        let whole = whole.map(|found| found.map(|(head, end)| (head, bytes[end..].to_vec())));
        prop_assert_eq!(format!("{taken:?}"), format!("{whole:?}"));
    }

    #[test]
    fn chunks_are_the_same_however_they_are_split(
        bytes in fragments(), cuts in prop::collection::vec(any::<usize>(), 0..6)
    ) {
        let whole = decode(&bytes, &[bytes.len()]);
        prop_assert_eq!(&whole, &decode(&bytes, &prefixes(&bytes, &cuts)));
        let each: Vec<usize> = (0..=bytes.len()).collect();
        prop_assert_eq!(&whole, &decode(&bytes, &each));
        prop_assert!(whole.0.len() as u64 <= whole.2, "no data that was not declared");
    }

    #[test]
    fn an_answers_head_ends_the_same_however_it_is_split(
        bytes in fragments(), cuts in prop::collection::vec(any::<usize>(), 0..6)
    ) {
        let whole = scan_answer(&bytes, &[bytes.len()]);
        prop_assert_eq!(whole, scan_answer(&bytes, &prefixes(&bytes, &cuts)));
        let parsed = ResponseHead::parse(&bytes).map(|found| found.map(|(_, end)| end));
        if whole != parsed {
            prop_assert!(matches!((whole, parsed), (Ok(Some(_)), Err(_))), "{:?} {:?}", whole, parsed);
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Head::parse(bytes.clone().into(), &Limits::default());
        let _ = ResponseHead::from_bytes(bytes.clone().into());
        let _ = ResponseHead::parse(&bytes);
        let _ = decode(&bytes, &[bytes.len()]);
        let text = String::from_utf8_lossy(&bytes);
        let _ = Head::from_parts(&text, &text, [(&bytes[..], &bytes[..])]);
    }

    #[test]
    fn a_request_is_read_as_in_the_plainest_way(
        bytes in prop_oneof![
            4 => known_head("POST /a?b HTTP/1.1\r\nHost: a\r\n"), 2 => known_head("POST /a?b HTTP/1.1\r\n"),
            1 => known_head("GET / HTTP/1.0\r\n"), 1 => head("GET / HTTP/1.1\r\nHost: a\r\n"), 1 => fragments(),
        ],
        tight in any::<bool>(), wanted in "[Xx][-_.]A|content-length|Accept|x-webhook-signature-256|host",
    ) {
        let limits = if tight { TIGHT } else { Limits::default() };
        let read = Head::parse(bytes.clone().into(), &limits);
        let plain = match plain::request(&bytes, &limits) {
            Ok(plain) => plain,
            Err(reason) => {
                prop_assert_eq!(read.map(|_| ()), Err(Refusal::from(reason)));
                return Ok(());
            }
        };
        let head = read.unwrap();
        let host = plain.host.as_deref().map(|host| std::str::from_utf8(host).unwrap());
        prop_assert_eq!((owned(head.lines()), head.framing(), head.keep_alive(), head.expect(), head.host()),
            (plain.lines.clone(), plain.framing, plain.keep_alive, plain.expect, host));
        let alike: Vec<_> = plain.lines.iter().filter(|(name, _)| plain::is_alike(name, wanted.as_bytes())).collect();
        let real: Vec<_> = alike.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).collect();
        let found = match (&real[..], alike.len()) {
            ([], _) => Found::Nothing,
            ([(_, value)], 1) => Found::One(value),
            _ => Found::Several,
        };
        prop_assert_eq!(head.find(&FieldName::new(&wanted).unwrap()), found);
    }

    #[test]
    fn lines_are_copied_as_if_each_were_written_anew(
        bytes in prop_oneof![known_head("POST /a HTTP/1.1\r\nHost: a\r\n"), head("GET / HTTP/1.1\r\nHost: a\r\n")],
        kept in any::<u16>(),
    ) {
        let Ok(head) = Head::parse(bytes.into(), &Limits::default()) else { return Ok(()) };
        let (mut copied, mut written, mut at) = (b"x".to_vec(), b"x".to_vec(), 0..);
        head.copy_lines(&mut copied, |_, _| kept >> (at.next().unwrap() % 16) & 1 == 1);
        for (at, (name, value)) in head.lines().enumerate() {
            if kept >> (at % 16) & 1 == 1 {
                written.extend([name, b": ", value, b"\r\n"].concat());
            }
        }
        prop_assert_eq!(copied, written);
    }

    #[test]
    fn an_answer_is_read_as_in_the_plainest_way(
        bytes in prop_oneof![known_head("HTTP/1.1 200 OK\r\n"), head("HTTP/1.1 200\r\n")]
    ) {
        let read = ResponseHead::from_bytes(bytes.clone().into());
        match plain::answer(&bytes, &LIMITS, Version::Http11) {
            Ok(plain) => {
                let head = read.unwrap();
                prop_assert_eq!((owned(head.lines()), head.keep_alive()), (plain.lines, plain.keep_alive));
            }
            Err(reason) => prop_assert_eq!(read.map(|_| ()), Err(reason)),
        }
    }

    #[test]
    fn an_accepted_request_is_read_the_same_by_a_lenient_parser(
        bytes in prop_oneof![fragments(), head("PUT /a?b HTTP/1.0\r\n"), head("GET / HTTP/1.1\r\nHost: a\r\n")]
    ) {
        let Ok(Some(place)) = scan(&bytes, &[bytes.len()], Limits::default()) else { return Ok(()) };
        let bytes = &bytes[place];
        let Ok(head) = Head::parse(bytes.to_vec().into(), &Limits::default()) else { return Ok(()) };
        let mut lines = [httparse::EMPTY_HEADER; 100];
        let mut other = httparse::Request::new(&mut lines);
        prop_assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(bytes.len())));
        prop_assert_eq!((other.method, other.path), (Some(head.method()), Some(head.target())));
        prop_assert_eq!(other.version, Some(u8::from(head.version() == Version::Http11)));
        prop_assert_eq!(
            owned(head.lines()),
            owned(other.headers.iter().map(|line| (line.name.as_bytes(), line.value)))
        );
        let again = Head::parse(head.bytes().to_vec().into(), &Limits::default()).unwrap();
        prop_assert_eq!(again.framing(), head.framing());
    }

    #[test]
    fn an_accepted_answer_is_read_the_same_by_a_lenient_parser(
        bytes in prop_oneof![fragments(), head("HTTP/1.1 200 OK\r\n"), head("HTTP/1.0 503 \r\n")]
    ) {
        let Ok(Some((head, end))) = ResponseHead::parse(&bytes) else { return Ok(()) };
        let mut lines = [httparse::EMPTY_HEADER; 200];
        let mut other = httparse::Response::new(&mut lines);
        prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(end)));
        prop_assert_eq!(other.code, Some(head.status()));
        prop_assert_eq!(
            owned(head.lines()),
            owned(other.headers.iter().map(|line| (line.name.as_bytes(), line.value)))
        );
    }

    #[test]
    fn a_good_head_gives_back_what_was_put_in(
        method in "[A-Z]{1,32}", target in "/[a-z0-9%;:@&=+$,!~*'()./?_-]{0,60}", length in any::<u64>(),
        lines in prop::collection::vec(("X-[A-Za-z0-9_-]{1,20}", "([!-~]([ -~\\t]{0,40}[!-~])?)?"), 0..20),
    ) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n");
        for (name, value) in &lines {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text += "\r\n";
        let head = Head::parse(text.into(), &Limits::default()).unwrap();
        prop_assert_eq!((head.method(), head.target()), (method.as_str(), target.as_str()));
        prop_assert_eq!(head.framing(), Framing::Length(length));
        let put_in: Vec<_> = lines.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
        prop_assert_eq!(owned(head.lines().skip(2)), put_in);
    }

    #[test]
    fn what_was_chunked_is_decoded_to_itself(
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..9), rest in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut bytes = Vec::new();
        for chunk in &body {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let end = bytes.len();
        bytes.extend_from_slice(&rest);
        let body = body.concat();
        let declared = body.len() as u64;
        prop_assert_eq!(decode(&bytes, &prefixes(&bytes, &cuts)), (body, Ok(Some(end)), declared));
    }
}
