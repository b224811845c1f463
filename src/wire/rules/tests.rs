//! Every reason of the table, each with bytes that cause it.

use std::collections::HashSet;

use super::*;
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::head::{Head, HeadScanner, Http2Request, Limits};
use crate::wire::response::ResponseHead;

const HEAD: &str = "POST /h HTTP/1.1\r\nHost: a\r\n";

fn request(bytes: &[u8]) -> Result<(), Refusal> {
    let limits = Limits::default();
    match HeadScanner::new(limits).advance(bytes)? {
        Some(head) => Head::parse(bytes[head].to_vec().into(), &limits).map(drop),
        None => Ok(()),
    }
}

fn chunks(mut input: &[u8]) -> Result<(), Refusal> {
    let mut decoder = ChunkedDecoder::new();
    loop {
        match decoder.next(input)? {
            (used, Piece::Data(_)) => input = &input[used..],
            _ => return Ok(()),
        }
    }
}

fn answer(bytes: &[u8]) -> Result<(), Refusal> {
    ResponseHead::parse(bytes).map(drop).map_err(Refusal::from)
}

/// A request of HTTP/2: its `:authority`, then `name=value` for each line, divided by line feeds.
fn http2(bytes: &[u8]) -> Result<(), Refusal> {
    let mut parts = bytes.split(|byte| *byte == b'\n');
    let is_ftp = bytes == b"ftp";
    let request = Http2Request {
        method: b"POST",
        scheme: Some(if is_ftp { b"ftp" } else { b"https" }),
        target: b"/h",
        authority: parts.next(),
        has_body: false,
    };
    let lines = parts.map(|line| {
        let at = line.iter().position(|byte| *byte == b'=').unwrap();
        (&line[..at], &line[at + 1..])
    });
    Head::from_http2(&request, lines, &Limits::default()).map(drop)
}

fn whole_head(bytes: &[u8]) -> Result<(), Refusal> {
    Head::parse(bytes.to_vec().into(), &Limits::default()).map(drop)
}

#[test]
fn each_reason_is_given_for_what_it_names() {
    type Judge = fn(&[u8]) -> Result<(), Refusal>;
    let with = |lines: &str| format!("{HEAD}{lines}\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    let rows: Vec<(Reason, Judge, Vec<u8>)> = vec![
        (
            Reason::TargetTooLong,
            request,
            line(&format!("GET /{} HTTP/1.1", "a".repeat(MAX_TARGET))),
        ),
        (
            Reason::TargetTooLong,
            request,
            format!("GET /{}", "a".repeat(9 * 1024)).into(),
        ),
        (
            Reason::TargetTooLong,
            request,
            format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_TARGET)).into(),
        ),
        (
            Reason::LineTooLong,
            request,
            with(&format!("A: {}\r\n", "a".repeat(MAX_LINE))),
        ),
        (
            Reason::LineTooLong,
            whole_head,
            with(&format!("A: {}\r\n", "a".repeat(MAX_LINE))),
        ),
        (
            Reason::LineTooLong,
            request,
            format!("{HEAD}A: {}", "a".repeat(MAX_LINE)).into(),
        ),
        (
            Reason::HeadTooLarge,
            request,
            with(&format!("A: {}\r\n", "a".repeat(16_000)).repeat(5)),
        ),
        (Reason::TooManyLines, request, with(&"A: b\r\n".repeat(100))),
        (
            Reason::TooManyLines,
            request,
            format!("{HEAD}{}", "A: b\r\n".repeat(100)).into(),
        ),
        (Reason::TooManyEmptyLines, request, "\r\n".repeat(9).into()),
        (Reason::BareLineFeed, request, b"GET / HTTP/1.1\n".to_vec()),
        (Reason::BareLineFeed, request, b"\n".to_vec()),
        (
            Reason::BareLineFeed,
            whole_head,
            b"GET / HTTP/1.1\r\nHost: a\n\r\n".to_vec(),
        ),
        (
            Reason::BareLineFeed,
            whole_head,
            b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            Reason::BareCarriageReturn,
            whole_head,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r".to_vec(),
        ),
        (Reason::BareCarriageReturn, request, with("A: a\rb\r\n")),
        (Reason::BareCarriageReturn, request, b"\rGET".to_vec()),
        (Reason::BareCarriageReturn, request, with("A: a\r\r\n")),
        (Reason::ControlByte, request, with("A: \0\r\n")),
        (Reason::BrokenHead, whole_head, HEAD.into()),
        (Reason::BrokenHead, whole_head, with("\r\n")),
        (Reason::BrokenHead, whole_head, Vec::new()),
        (Reason::NotHttp, request, vec![0x80, 3, 1]),
        (Reason::TlsHello, request, vec![0x16, 3, 1]),
        (Reason::NotHttp, request, b" ".to_vec()),
        (Reason::RequestLineParts, request, b"GET /h\r\n".to_vec()),
        (Reason::RequestLineParts, request, b"GET\r\n".to_vec()),
        (
            Reason::RequestLineParts,
            request,
            format!("GET /h {}", "a".repeat(9 * 1024)).into(),
        ),
        (
            Reason::UnknownVersion,
            request,
            b"GET /h HTTP/1.2\r\n".to_vec(),
        ),
        (
            Reason::MethodTooLong,
            request,
            line(&format!("{} / HTTP/1.1", "A".repeat(MAX_METHOD + 1))),
        ),
        (
            Reason::MethodTooLong,
            request,
            format!("{} / HTTP/1.1\r\n", "A".repeat(MAX_METHOD + 1)).into(),
        ),
        (Reason::MethodTooLong, request, "A".repeat(9 * 1024).into()),
        (Reason::MethodByte, request, line("PO(ST / HTTP/1.1")),
        (
            Reason::NotOriginForm,
            request,
            line("GET http://a/ HTTP/1.1"),
        ),
        (Reason::TargetFragment, request, line("GET /a#b HTTP/1.1")),
        (Reason::TargetByte, request, line("GET /a|b HTTP/1.1")),
        (Reason::FoldedLine, request, with("A: b\r\n c\r\n")),
        (Reason::MissingColon, request, with("abc\r\n")),
        (Reason::MissingColon, request, with("a b c\r\n")),
        (Reason::EmptyName, request, with(": b\r\n")),
        (Reason::SpaceBeforeColon, request, with("A : b\r\n")),
        (Reason::NameByte, request, with("A(: b\r\n")),
        (
            Reason::LengthBesideChunked,
            request,
            with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            Reason::SecondLength,
            request,
            with("Content-Length: 1\r\ncontent-length: 1\r\n"),
        ),
        (
            Reason::MalformedLength,
            request,
            with("Content-Length: +1\r\n"),
        ),
        (
            Reason::UnknownCoding,
            request,
            with("Transfer-Encoding: gzip\r\n"),
        ),
        (
            Reason::SecondCoding,
            request,
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (Reason::FramingAlias, request, with("Content_Length: 1\r\n")),
        (
            Reason::ChunkedBeforeHttp11,
            request,
            b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        ),
        (
            Reason::MissingHost,
            request,
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        (Reason::SecondHost, request, with("host: a\r\n")),
        (
            Reason::MalformedHost,
            request,
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(),
        ),
        (Reason::UnknownScheme, http2, b"ftp".to_vec()),
        (Reason::OtherHost, http2, b"a\nhost=b".to_vec()),
        (Reason::ConnectionLine, http2, b"a\nte=gzip".to_vec()),
        (Reason::UpperCaseName, http2, b"a\nX-a=b".to_vec()),
        (Reason::SpaceAroundValue, http2, b"a\nx-a=b ".to_vec()),
        (Reason::ChunkSize, chunks, b"g\r\n".to_vec()),
        (
            Reason::ChunkSizeTooLarge,
            chunks,
            b"8000000000000000".to_vec(),
        ),
        (Reason::ChunkLineEnd, chunks, b"2\n".to_vec()),
        (Reason::ChunkExtension, chunks, b"2;\0".to_vec()),
        (
            Reason::ChunkExtensionTooLong,
            chunks,
            format!("2;{}", "a".repeat(256)).into(),
        ),
        (Reason::ChunkDataEnd, chunks, b"2\r\nabX".to_vec()),
        (
            Reason::TrailersTooLarge,
            chunks,
            format!("0\r\n{}", "a".repeat(9_000)).into(),
        ),
        (Reason::StatusLine, answer, b"HTTP/1.1 99\r\n\r\n".to_vec()),
        (Reason::StatusLine, answer, b"<".to_vec()),
    ];
    let mut wrong = Vec::new();
    for (reason, judge, bytes) in &rows {
        let got = judge(bytes);
        if got != Err(Refusal::from(*reason)) {
            wrong.push(format!(
                "{reason:?} for {:.60?}: {got:?}",
                String::from_utf8_lossy(bytes)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let seen: HashSet<Reason> = rows.iter().map(|row| row.0).collect();
    let unseen: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !seen.contains(reason))
        .collect();
    assert!(unseen.is_empty(), "reasons without a row: {unseen:?}");
}

#[test]
fn a_broken_rule_of_the_upstream_is_a_failure_of_the_upstream() {
    for reason in Reason::ALL {
        assert_eq!(
            reason.of_upstream(),
            Refusal::because(Code::UpstreamFailed, reason.words())
        );
    }
}
