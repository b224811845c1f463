//! Rows of the catalogue that the decoder alone decides (attacks: Framing and request smuggling,
//! Resources).

use super::*;

/// Decodes `input` in pieces of `step` bytes. Returns the data and, if the message ended, its
/// length in `input`.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Reason> {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut at) = (Vec::new(), 0);
    for part in input.chunks(step) {
        let mut rest = part;
        loop {
            let (used, piece) = decoder.next(rest)?;
            at += used;
            rest = &rest[used..];
            match piece {
                Piece::Data(bytes) => data.extend_from_slice(bytes),
                Piece::NeedMore => break,
                Piece::End => return Ok((data, Some(at))),
            }
        }
        assert!(rest.is_empty(), "NeedMore leaves nothing behind");
    }
    Ok((data, None))
}

#[test]
fn chunks_that_two_readers_could_see_differently_are_refused() {
    let long = |head: &str, bytes: usize| [head.as_bytes(), &vec![b'a'; bytes]].concat();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("SM-10 LF in an extension", b"2;a\nb\r\n".into()),
        ("SM-10 NUL in an extension", b"2;\0x\r\n".into()),
        ("SM-10 DEL in an extension", b"2;a\x7f\r\n".into()),
        ("SM-10 DEL in a quoted string", b"2;a=\"\x7f\"\r\n".into()),
        (
            "SM-10 control in a quoted string",
            b"2;a=\"\x01\"\r\n".into(),
        ),
        ("SM-10 LF in a quoted string", b"2;a=\"\n\"\r\n".into()),
        ("SM-10 CRLF in a quoted string", b"2;a=\"\r\n\"\r\n".into()),
        ("SM-10 escaped LF", b"2;a=\"\\\n\"\r\n".into()),
        (
            "SM-10 LF in the last chunk's extension",
            b"0;a\nb\r\n\r\n".into(),
        ),
        ("SM-10 open quoted string", b"2;a=\"b\r\n".into()),
        ("SM-10 after a quoted string", b"2;a=\"b\"c\r\n".into()),
        ("SM-10 high byte", b"2;\x80\r\n".into()),
        ("SM-10 no name", b"2;\r\n".into()),
        ("SM-10 no second name", b"2;a;\r\n".into()),
        ("SM-10 no name before a value", b"2;=a\r\n".into()),
        ("SM-10 no value", b"2;a=\r\n".into()),
        ("SM-10 two values", b"2;a=b=c\r\n".into()),
        ("SM-10 space in an extension", b"2; a\r\n".into()),
        ("SM-11 CR in an extension", b"2;a\rb\r\n".into()),
        ("SM-11 LF ends", b"2\n{}\n0\n\n".into()),
        ("SM-11 size line ended by LF", b"2\n{}\r\n0\r\n\r\n".into()),
        ("SM-11 last chunk ended by LF", b"2\r\n{}\r\n0\n\r\n".into()),
        ("SM-11 data ended by LF", b"2\r\n{}\n0\r\n\r\n".into()),
        ("SM-11 data ended by XX", b"2\r\n{}XX0\r\n\r\n".into()),
        (
            "SM-11 data ended by CR and X",
            b"2\r\n{}\rX0\r\n\r\n".into(),
        ),
        ("SM-11 minus", b"-5\r\n".into()),
        ("SM-11 plus", b"+5\r\n".into()),
        ("SM-11 0x", b"0x5\r\n".into()),
        ("SM-11 underscore", b"0_5\r\n".into()),
        ("SM-11 leading space", b" 5\r\n".into()),
        ("SM-11 17 digits", b"00000000000000002\r\n".into()),
        (
            "SM-11 17 digits that overflow",
            b"10000000000000002\r\n".into(),
        ),
        ("SM-11 overflow", b"ffffffffffffffff\r\n".into()),
        ("SM-11 trailer ended by LF", b"0\r\nA: b\n\r\n".into()),
        ("SM-11 last line ended by LF", b"0\r\n\n".into()),
        ("SM-12 no size", b"\r\n\r\n".into()),
        ("SM-12 no size after a chunk", b"2\r\n{}\r\n\r\n\r\n".into()),
        ("SM-12 extension without a size", b";x\r\n\r\n".into()),
        ("SM-12 space after the size", b"5 \r\n".into()),
        ("SM-12 tab after the size", b"5\t\r\n".into()),
        ("SM-12 space after an extension", b"5;a \r\n".into()),
        ("SM-15 9,000 bytes", long("2;", 9_000)),
        ("SM-15 257 bytes", long("2;", 256)),
        (
            "SM-15 64 KiB in all",
            [&long("1;", 199)[..], b"\r\nx\r\n"].concat().repeat(400),
        ),
        ("SM-16 no field", b"0\r\nfoo bar \0 baz\r\n\r\n".into()),
        ("SM-16 no colon", b"0\r\nfoo\r\n\r\n".into()),
        ("SM-16 space before the colon", b"0\r\nA : b\r\n\r\n".into()),
        ("SM-16 bare CR", b"0\r\nA: b\rc\r\n\r\n".into()),
        ("SM-16 folded", b"0\r\nA: b\r\n c\r\n\r\n".into()),
        (
            "SM-17 70 KiB",
            [b"0\r\n", &b"A: b\r\n".repeat(12_000)[..], b"\r\n"].concat(),
        ),
        ("SM-17 one line of 9 KB", long("0\r\nA: ", 9_000)),
        (
            "SM-17 one byte too many",
            [&long("0\r\nA: ", MAX_TRAILERS - 4)[..], b"\r\n\r\n"].concat(),
        ),
        ("SM-26", b"zz\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
    ];
    let mut wrong = Vec::new();
    for (id, bytes) in &rows {
        let (whole, single) = (decode(bytes, bytes.len()), decode(bytes, 1));
        if whole.is_ok() || whole != single {
            let got = (
                whole.map(|(data, _)| data.len()),
                single.map(|(data, _)| data.len()),
            );
            wrong.push(format!("{id}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn legal_chunks_are_decoded_and_what_follows_is_left_alone() {
    let limit = [&b"2;"[..], &[b'a'; 255], b"\r\n{}\r\n0\r\n\r\n"].concat();
    let trailers = [
        &b"2\r\n{}\r\n0\r\nA: "[..],
        &vec![b'a'; MAX_TRAILERS - 5],
        b"\r\n\r\n",
    ]
    .concat();
    let rows: Vec<(&str, &[u8])> = vec![
        ("plain", b"2\r\n{}\r\n0\r\n\r\n"),
        ("SM-13 ten digits", b"0000000002\r\n{}\r\n0\r\n\r\n"),
        (
            "SM-13 sixteen digits",
            b"0000000000000002\r\n{}\r\n0000000000000000\r\n\r\n",
        ),
        ("SM-13 extension", b"2;name=value\r\n{}\r\n0\r\n\r\n"),
        (
            "SM-13 extensions",
            b"1;a;b=c;d=\"e \\\"\t\xff\";f\r\n{\r\n1\r\n}\r\n0;x\r\n\r\n",
        ),
        (
            "SM-13 trailers",
            b"2\r\n{}\r\n0\r\nX-Verigate-Event-Id: x\r\nContent-Length: 5\r\nA:\r\n\r\n",
        ),
        ("SM-15 at the limit", &limit),
        ("SM-17 at the limit", &trailers),
    ];
    for (id, bytes) in rows {
        let followed = [bytes, b"POST / HTTP/1.1\r\n"].concat();
        for step in [1, 2, 3, 7, followed.len()] {
            assert_eq!(
                decode(&followed, step),
                Ok((b"{}".to_vec(), Some(bytes.len()))),
                "{id}, steps of {step}"
            );
        }
    }
}

#[test]
fn an_unfinished_message_asks_for_more() {
    let whole = b"2;a=\"b\"\r\n{}\r\n0\r\nA: b\r\n\r\n";
    for cut in 0..whole.len() {
        let (_, end) = decode(&whole[..cut], 1).unwrap();
        assert_eq!(end, None, "SM-18: cut after {cut} bytes");
    }
}

#[test]
fn a_chunk_is_declared_as_soon_as_its_size_line_is_read() {
    let mut decoder = ChunkedDecoder::new();
    assert_eq!(decoder.next(b"7ffffff").unwrap(), (7, Piece::NeedMore));
    assert_eq!(decoder.declared(), 0);
    assert_eq!(decoder.next(b"f\r\n{}").unwrap(), (5, Piece::Data(b"{}")));
    assert_eq!(decoder.declared(), 0x7fff_ffff, "SM-14");

    let mut sum = ChunkedDecoder::new();
    assert_eq!(
        sum.next(b"2\r\n{}\r\n3\r\n").unwrap(),
        (5, Piece::Data(b"{}"))
    );
    assert_eq!(sum.next(b"\r\n3\r\n").unwrap(), (5, Piece::NeedMore));
    assert_eq!(sum.declared(), 5);
}

#[test]
fn an_error_stays_and_an_end_stays() {
    let mut broken = ChunkedDecoder::new();
    assert_eq!(broken.next(b"z"), Err(Reason::ChunkSize));
    assert_eq!(broken.next(b"0\r\n\r\n"), Err(Reason::ChunkSize), "SM-26");
    let mut ended = ChunkedDecoder::new();
    assert_eq!(ended.next(b"0\r\n\r\n"), Ok((5, Piece::End)));
    assert_eq!(ended.next(b"0\r\n\r\n"), Ok((0, Piece::End)));
}

#[test]
fn many_small_chunks_are_one_body() {
    let bytes = [&b"1\r\nx\r\n".repeat(100_000)[..], b"0\r\n\r\n"].concat();
    let (data, end) = decode(&bytes, 4096).unwrap();
    assert_eq!((data.len(), end), (100_000, Some(bytes.len())), "RX-06");
}
