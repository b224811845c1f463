//! Rows of the catalogue that the scanner alone decides (attacks: Envelope), and its agreement with
//! another parser.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::JsonError::{
    BadEscape, BadNumber, ByteOrderMark, CutOff, Empty, NoColon, NoComma, NoKey, NoValue, NotUtf8,
    RawControl, RepeatedKey, TooDeep, Trailing,
};
use super::string::{Plain, end_of_string, plain_ascii};
use super::*;

fn places(pointers: &[&str]) -> (Places, Vec<Slot>) {
    let mut places = Places::default();
    let slots = pointers
        .iter()
        .map(|text| places.add(&Pointer::parse(text).expect(text)))
        .collect();
    (places, slots)
}

fn judge(body: &[u8]) -> Result<(), JsonError> {
    places(&["/id"]).0.scan(body).map(|_| ())
}

/// The value at `pointer`, as text.
fn at(pointer: &str, body: &str) -> Result<String, JsonError> {
    let (places, slots) = places(&[pointer]);
    let values = places.scan(body.as_bytes())?;
    Ok(match values.at(slots[0]) {
        Value::Text(text) => format!("text {}", text.read(usize::MAX).expect("text").0),
        Value::Integer(text) => format!("integer {text}"),
        other => format!("{other:?}").to_lowercase(),
    })
}

#[test]
fn a_body_is_one_json_text_or_refused() {
    let rows: [(&str, &[u8], Result<(), JsonError>); 75] = [
        ("EN-03 empty", b"", Err(Empty)),
        ("EN-03 space alone", b" \n", Err(Empty)),
        ("EN-03 no JSON", b"event=1", Err(NoValue)),
        ("EN-03 a word cut", b"tru", Err(NoValue)),
        ("EN-03 a word too long", b"truex", Err(Trailing)),
        ("EN-03 words", b"[true,false,null]", Ok(())),
        ("EN-03 NaN", br#"{"a":NaN}"#, Err(NoValue)),
        ("EN-03 Infinity", br#"{"a":-Infinity}"#, Err(BadNumber)),
        ("EN-03 single quotes", b"{'a':1}", Err(NoKey)),
        ("EN-03 a bare key", b"{a:1}", Err(NoKey)),
        ("EN-03 a number as a key", b"{1:1}", Err(NoKey)),
        ("EN-03 comment", b"{\"a\":1/*x*/}", Err(NoComma)),
        ("EN-03 comment first", b"//x\n{}", Err(NoValue)),
        (
            "EN-03 comma at the end of an object",
            br#"{"a":1,}"#,
            Err(NoKey),
        ),
        ("EN-03 comma at the end of an array", b"[1,]", Err(NoValue)),
        ("EN-03 comma alone", b"[,]", Err(NoValue)),
        ("EN-03 comma missing", b"[1 2]", Err(NoComma)),
        ("EN-03 colon missing", br#"{"a" 1}"#, Err(NoColon)),
        ("EN-03 colon in an array", b"[1:2]", Err(NoComma)),
        ("EN-03 wrong bracket", b"[1}", Err(NoComma)),
        ("EN-03 wrong brace", br#"{"a":1]"#, Err(NoComma)),
        ("EN-03 cut in an object", b"{", Err(CutOff)),
        ("EN-03 cut after a key", br#"{"a""#, Err(CutOff)),
        ("EN-03 cut after a colon", br#"{"a":"#, Err(CutOff)),
        ("EN-03 cut after a comma", br#"{"a":1,"#, Err(CutOff)),
        ("EN-03 cut after a value", br#"{"a":"b""#, Err(CutOff)),
        ("EN-03 cut in an array", b"[1", Err(CutOff)),
        ("EN-03 cut in a string", br#"["a"#, Err(CutOff)),
        ("EN-03 cut in an escape", br#"["a\"#, Err(CutOff)),
        ("EN-03 top-level values", b"\"x\"", Ok(())),
        ("EN-03 number at top", b"7", Ok(())),
        ("EN-03 array at top", b"[]", Ok(())),
        ("EN-03 raw NUL in a string", b"[\"a\0\"]", Err(RawControl)),
        (
            "EN-03 raw newline far into a string",
            b"[\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\n\"]",
            Err(RawControl),
        ),
        (
            "EN-03 raw newline in another member",
            b"{\"a\":1,\"b\":\"a\nb\"}",
            Err(RawControl),
        ),
        ("EN-03 raw 1F", b"[\"aaaaaaaa\x1f\"]", Err(RawControl)),
        ("EN-03 raw DEL may stand", b"[\"aaaaaaaa\x7f\"]", Ok(())),
        ("EN-03 unknown escape", br#"["\x41"]"#, Err(BadEscape)),
        ("EN-03 escaped single quote", br#"["\'"]"#, Err(BadEscape)),
        ("EN-03 short escape", br#"["\u12"]"#, Err(BadEscape)),
        ("EN-03 signed escape", br#"["\u+123"]"#, Err(BadEscape)),
        ("EN-03 capital U", br#"["\U0041"]"#, Err(BadEscape)),
        ("EN-03 escapes in a key", br#"{"\q":1}"#, Err(BadEscape)),
        (
            "EN-03 all escapes",
            br#"["\"\\\/\b\f\n\r\t\u00e9\uABCD"]"#,
            Ok(()),
        ),
        ("EN-04 leading zero", b"[01]", Err(NoComma)),
        (
            "EN-04 leading zero in an object",
            br#"{"a":01}"#,
            Err(NoComma),
        ),
        ("EN-04 plus", b"[+1]", Err(NoValue)),
        ("EN-04 minus alone", b"[-]", Err(BadNumber)),
        ("EN-04 point first", b"[.5]", Err(NoValue)),
        ("EN-04 point last", b"[1.]", Err(BadNumber)),
        ("EN-04 exponent empty", b"[1e+]", Err(BadNumber)),
        ("EN-04 hexadecimal", b"[0x1]", Err(NoComma)),
        (
            "EN-04 numbers",
            b"[0,-0,10,-1.50e+10,2E-3,0e1,1e9999]",
            Ok(()),
        ),
        ("EN-05 a second text", b"{}{}", Err(Trailing)),
        ("EN-05 a comma after it", b"{},", Err(Trailing)),
        ("EN-05 a letter after it", b"{}x", Err(Trailing)),
        ("EN-05 a form feed after it", b"{}\x0c", Err(Trailing)),
        ("EN-05 a NUL after it", b"{}\0", Err(Trailing)),
        ("EN-05 space and newline after it", b"{} \r\n\t", Ok(())),
        (
            "EN-05 another space after it",
            "{}\u{a0}".as_bytes(),
            Err(Trailing),
        ),
        ("EN-06 byte-order mark", b"\xef\xbb\xbf{}", Ok(())),
        (
            "EN-06 byte-order mark before white space",
            b"\xef\xbb\xbf\r\n{}",
            Ok(()),
        ),
        (
            "EN-06 two byte-order marks",
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            Err(ByteOrderMark),
        ),
        (
            "EN-06 byte-order mark behind white space",
            b" \xef\xbb\xbf{}",
            Err(NoValue),
        ),
        (
            "EN-06 byte-order mark at the end",
            b"{}\xef\xbb\xbf",
            Err(Trailing),
        ),
        ("EN-06 half a byte-order mark", b"\xef\xbb{}", Err(NotUtf8)),
        ("EN-06 byte-order mark alone", b"\xef\xbb\xbf", Err(Empty)),
        ("EN-06 UTF-16 with mark", b"\xff\xfe{\0}\0", Err(NotUtf8)),
        ("EN-06 UTF-16 without mark", b"{\0}\0", Err(NoKey)),
        (
            "EN-06 not UTF-8 elsewhere",
            b"{\"a\":\"\xff\"}",
            Err(NotUtf8),
        ),
        ("EN-06 not UTF-8 in a key", b"{\"\xff\":1}", Err(NotUtf8)),
        (
            "EN-06 surrogate as bytes",
            b"{\"a\":\"\xed\xa0\x80\"}",
            Err(NotUtf8),
        ),
        ("EN-06 overlong", b"{\"a\":\"\xc0\xae\"}", Err(NotUtf8)),
        (
            "EN-06 lone surrogate elsewhere",
            br#"{"a":"\ud800"}"#,
            Ok(()),
        ),
        ("EN-14 empty key", br#"{"":1,"/":2,"~":3}"#, Ok(())),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(_, body, right)| judge(body) != *right)
        .collect();
    let wrong: Vec<_> = wrong
        .iter()
        .map(|(row, body, right)| (row, judge(body), right))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_repeated_key_is_refused_only_on_the_way() {
    let far_apart = format!(
        r#"{{"event_id":"a","x":{},"event_id":"b"}}"#,
        "1".repeat(100_000)
    );
    let rows = [
        (
            "EN-01",
            "/event_id",
            r#"{"event_id":"a","event_id":"b"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/event_id",
            r#"{"event_id":"a","event\u005fid":"b"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/event_id",
            r#"{"event\u005Fid":"a","event_id":"a"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/event_id",
            r#"{"event_id":null,"event_id":"b"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/data/id",
            r#"{"data":{"id":1},"data":{"id":2}}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/data/id",
            r#"{"data":{"id":1},"data":3}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/data/id",
            r#"{"data":null,"data":{"id":1}}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/data/id",
            r#"{"data":{"id":1,"x":2,"id":1}}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/a/0/id",
            r#"{"a":[{"id":1,"id":2}]}"#,
            Err(RepeatedKey),
        ),
        ("EN-01", "/0", r#"{"0":1,"0":2}"#, Err(RepeatedKey)),
        ("EN-01", "/", r#"{"":1,"":2}"#, Err(RepeatedKey)),
        (
            "EN-01",
            "/data/id",
            r#"{"data":1,"data":{"id":2}}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-01",
            "/event_id",
            r#"{"\u0065vent_id":"a","event_id":"b"}"#,
            Err(RepeatedKey),
        ),
        ("EN-01", "/event_id", far_apart.as_str(), Err(RepeatedKey)),
        (
            "EN-02",
            "/event_id",
            r#"{"event_id":"a","x":1,"x":2}"#,
            Ok("text a"),
        ),
        (
            "EN-02",
            "/event_id",
            r#"{"x":1,"event_id":"a","x":2}"#,
            Ok("text a"),
        ),
        (
            "EN-02",
            "/event_id",
            r#"{"event_id":"a","data":{"event_id":1,"event_id":2}}"#,
            Ok("text a"),
        ),
        (
            "EN-02",
            "/event_id",
            r#"{"event_id":"a","event-id":2,"event_id ":3}"#,
            Ok("text a"),
        ),
        (
            "EN-30",
            "/event_id",
            r#"{"event_id":"a","EVENT_ID":"b"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-30",
            "/event_id",
            r#"{"Event_Id":"b","event_id":"a"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-30",
            "/event_id",
            r#"{"Event_Id":"b","EVENT_ID":"c"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-30",
            "/messageId",
            r#"{"messageId":"a","me\u017f\u017fageId":"b"}"#,
            Err(RepeatedKey),
        ),
        (
            "EN-30",
            "/kind",
            "{\"kind\":\"a\",\"\u{212a}ind\":\"b\"}",
            Err(RepeatedKey),
        ),
        (
            "EN-30",
            "/data/id",
            r#"{"data":{"id":1},"Data":{"id":2}}"#,
            Err(RepeatedKey),
        ),
        ("EN-30", "/id", r#"{"ID":1}"#, Ok("absent")),
        (
            "EN-02",
            "/id",
            r#"{"x":{"id":1,"id":2},"id":3}"#,
            Ok("integer 3"),
        ),
        ("EN-02", "/id", r#"{"id":{"id":1,"id":2}}"#, Ok("object")),
        (
            "EN-02",
            "/a/0/id",
            r#"{"a":[{"id":1},{"id":2,"id":3}]}"#,
            Ok("integer 1"),
        ),
        ("EN-02", "/0/id", r#"[{"id":1},{"id":2}]"#, Ok("integer 1")),
    ];
    let right = |(_, pointer, body, want): &(&str, &str, &str, Result<&str, JsonError>)| {
        at(pointer, body).as_deref().map_err(|why| *why) == *want
    };
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !right(row))
        .map(|row| (row, at(row.1, row.2)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn en_14_a_pointer_finds_what_rfc_6901_says() {
    let deep = r#"{"a":[10,{"b":"x"},[20]],"0":1,"01":2,"-":3,"a/b":4,"m~n":5,"":6," ":7,"__proto__":8,"constructor":9,
        "é":10,"k\"l":11,"\u0061a":12,"~1":13,"t":true,"n":null,"o":{"":14,"0":15},
        "a b":16,"m":17,"/":18}"#;
    let rows = [
        ("/a", "array"),
        ("/a/0", "integer 10"),
        ("/a/1/b", "text x"),
        ("/a/2/0", "integer 20"),
        ("/a/3", "absent"),
        ("/a/00", "absent"),
        ("/a/01", "absent"),
        ("/a/-", "absent"),
        ("/a/+1", "absent"),
        ("/a/99999999999999999999999", "absent"),
        ("/a/b", "absent"),
        ("/0", "integer 1"),
        ("/01", "integer 2"),
        ("/-", "integer 3"),
        ("/a~1b", "integer 4"),
        ("/a/b", "absent"),
        ("/m~0n", "integer 5"),
        ("/", "integer 6"),
        ("/ ", "integer 7"),
        ("/__proto__", "integer 8"),
        ("/constructor", "integer 9"),
        ("/é", "integer 10"),
        ("/k\"l", "integer 11"),
        ("/aa", "integer 12"),
        ("/~01", "integer 13"),
        ("/t", "bool"),
        ("/t/x", "absent"),
        ("/n", "null"),
        ("/o", "object"),
        ("/o/", "integer 14"),
        ("/o/0", "integer 15"),
        ("/o/00", "absent"),
        ("/a b", "integer 16"),
        ("/toString", "absent"),
        ("/A", "absent"),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(pointer, want)| at(pointer, deep).as_deref() != Ok(want))
        .map(|row| (row, at(row.0, deep)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn several_places_are_found_in_one_pass_also_one_inside_another() {
    let (places, slots) = places(&["/data/id", "/type", "/data", "/data/id", "/list/1", "/none"]);
    let values = places
        .scan(br#"{"type":"t","list":[1,2,3],"data":{"x":[{}],"id":7}}"#)
        .expect("JSON");
    let text = match values.at(slots[1]) {
        Value::Text(text) => text.read(10).expect("text").0,
        other => panic!("{other:?}"),
    };
    assert_eq!(text, "t");
    assert_eq!(slots[0], slots[3]);
    let found = [0, 2, 4, 5].map(|place| values.at(slots[place]));
    assert_eq!(
        found,
        [
            Value::Integer("7"),
            Value::Object,
            Value::Integer("2"),
            Value::Absent
        ]
    );
}

#[test]
fn nesting_is_bounded_before_after_and_around_a_place() {
    let arrays = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = |levels: usize| "{\"id\":".repeat(levels) + "1" + &"}".repeat(levels);
    let rows: [(&str, String, Result<(), JsonError>); 13] = [
        ("EN-10 128 arrays", arrays(128), Ok(())),
        ("EN-10 129 arrays", arrays(129), Err(TooDeep)),
        ("EN-10 128 objects", objects(128), Ok(())),
        ("EN-10 129 objects", objects(129), Err(TooDeep)),
        ("EN-10 10,000 around", objects(10_000), Err(TooDeep)),
        (
            "EN-10 before",
            format!(r#"{{"x":{},"id":1}}"#, arrays(10_000)),
            Err(TooDeep),
        ),
        (
            "EN-10 after",
            format!(r#"{{"id":1,"x":{}}}"#, arrays(10_000)),
            Err(TooDeep),
        ),
        (
            "EN-10 127 within one",
            format!(r#"{{"id":1,"x":{}}}"#, arrays(127)),
            Ok(()),
        ),
        (
            "EN-10 128 within one",
            format!(r#"{{"id":1,"x":{}}}"#, arrays(128)),
            Err(TooDeep),
        ),
        (
            "EN-10 10,000 as the value of the place",
            format!(r#"{{"id":{}}}"#, arrays(10_000)),
            Err(TooDeep),
        ),
        (
            "EN-10 10,000 objects within one",
            format!(r#"{{"x":{},"id":1}}"#, objects(10_000)),
            Err(TooDeep),
        ),
        ("EN-10 1 MB of [", "[".repeat(1 << 20), Err(TooDeep)),
        (
            "EN-10 1 MB of [ within one",
            format!(r#"{{"id":1,"x":{}"#, "[".repeat(1 << 20)),
            Err(TooDeep),
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(_, body, right)| judge(body.as_bytes()) != *right)
        .collect();
    let wrong: Vec<_> = wrong
        .iter()
        .map(|(row, body, _)| (row, judge(body.as_bytes())))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn size_alone_is_no_reason_to_refuse() {
    let many: Vec<_> = (0..100_000).map(|n| format!(r#""key{n}":{n}"#)).collect();
    let rows = [
        (
            "EN-11 number",
            format!(r#"{{"x":{},"id":"e"}}"#, "9".repeat(1 << 20)),
        ),
        (
            "EN-11 string",
            format!(r#"{{"x":"{}","id":"e"}}"#, "é".repeat(1 << 19)),
        ),
        (
            "EN-11 escapes",
            format!(r#"{{"x":"{}","id":"e"}}"#, r"\\".repeat(1 << 19)),
        ),
        ("EN-11 keys", format!(r#"{{{},"id":"e"}}"#, many.join(","))),
        (
            "EN-11 fraction",
            format!(r#"{{"x":0.{}e9,"id":"e"}}"#, "1".repeat(1 << 20)),
        ),
        (
            "EN-11 long key",
            format!(r#"{{"{}":1,"id":"e"}}"#, "k".repeat(1 << 20)),
        ),
        (
            "EN-11 elements",
            format!(r#"{{"x":[{}1],"id":"e"}}"#, "1,".repeat(400_000)),
        ),
        (
            "EN-11 escaped key",
            format!(r#"{{"{}":1,"id":"e"}}"#, r"\u0069".repeat(1 << 17)),
        ),
    ];
    for (row, body) in rows {
        assert_eq!(at("/id", &body), Ok("text e".to_owned()), "{row}");
    }
}

#[test]
fn the_end_of_plain_text_is_found_at_every_offset() {
    for mark in [b'"', b'\\', 0, 0x1f] {
        for before in 0..40 {
            for plain in [
                b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff,
            ] {
                let mut bytes = vec![plain; before];
                assert_eq!(Plain::of(&bytes).length, before);
                bytes.push(mark);
                bytes.extend([plain, b'"', plain, b'\\', 0, plain, plain, plain, plain]);
                let found = Plain::of(&bytes);
                assert_eq!(found.length, before, "{mark} after {before} times {plain}");
                if mark >= b' ' {
                    assert_eq!(found.is_ascii, before == 0 || plain.is_ascii());
                }
                bytes.extend([plain; 16]);
                let ascii = if plain.is_ascii() { before } else { 0 };
                assert_eq!(
                    plain_ascii(&bytes),
                    ascii,
                    "{mark} after {before} times {plain}"
                );
            }
        }
    }
}

/// The end of a string as it is found without any haste: byte by byte, and judged as a whole.
fn plain_end_of_string(bytes: &[u8], start: usize) -> Result<(usize, bool), JsonError> {
    let mut at = start;
    let mut escaped = false;
    loop {
        match *bytes.get(at).ok_or(CutOff)? {
            b'"' => break,
            ..0x20 => return Err(RawControl),
            b'\\' => {
                escaped = true;
                let digits = match *bytes.get(at + 1).ok_or(CutOff)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 0,
                    b'u' => 4,
                    _ => return Err(BadEscape),
                };
                let is_hex = |digit: usize| bytes.get(digit).is_some_and(u8::is_ascii_hexdigit);
                if !(at + 2..at + 2 + digits).all(is_hex) {
                    return Err(BadEscape);
                }
                at += 2 + digits;
            }
            _ => at += 1,
        }
    }
    match std::str::from_utf8(&bytes[start..at]) {
        Ok(_) => Ok((at, escaped)),
        Err(_) => Err(NotUtf8),
    }
}

/// Bytes that matter in a string, in stretches up to the length of several pieces.
fn stretches() -> impl Strategy<Value = Vec<u8>> {
    let stretch = prop_oneof![
        6 => (prop::sample::select(vec![b'a', b' ', b'!', 0x7f]), 0..90_usize)
            .prop_map(|(byte, count)| vec![byte; count]),
        1 => Just("é😀\u{ffff}".as_bytes().to_vec()),
        1 => prop::sample::select(vec![r"\n", r"\u00e9", r"\", r"\x", "\"", r#"\""#, "\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(stretch, 0..8).prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_end_of_a_string_is_the_one_found_byte_by_byte(
        bytes in stretches(), tail in stretches(), start in 0..4_usize,
    ) {
        let bytes = [&bytes[..], b"\"", &tail].concat();
        let start = start.min(bytes.len());
        prop_assert_eq!(end_of_string(&bytes, start), plain_end_of_string(&bytes, start));
        let cut = &bytes[..bytes.len() - 1];
        prop_assert_eq!(end_of_string(cut, 0), plain_end_of_string(cut, 0));
    }

    #[test]
    fn en_06_a_body_that_is_not_utf8_is_refused_as_such_whatever_else_is_wrong(
        tree in tree(), at in any::<prop::sample::Index>(), bytes in stretches(), takes in 0..3_usize,
    ) {
        let mut body = tree.to_string().into_bytes();
        let at = at.index(body.len());
        let end = body.len().min(at + takes);
        body.splice(at..end, bytes);
        let is_utf8 = std::str::from_utf8(&body).is_ok();
        prop_assert_eq!(judge(&body) != Err(NotUtf8), is_utf8);
    }
}

/// JSON of any shape. Its keys are taken from a few names, so that pointers meet them.
pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
        "[ -~]{0,40}".prop_map(Tree::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::from),
            prop::collection::hash_map(key(), inner, 0..6)
                .prop_map(|map| Tree::Object(map.into_iter().collect())),
        ]
    })
}

pub(super) fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["id", "data", "0", "1", "", "a/b", "m~n", "é", "01"])
            .prop_map(str::to_owned),
        any::<String>()
    ]
}

/// Writes the tree with white space between all tokens, and with every character of a string
/// escaped if `escape` is set.
pub(super) fn write(tree: &Tree, escape: bool, out: &mut String) {
    let string = |text: &str, out: &mut String| {
        if escape {
            out.push('"');
            for unit in text.encode_utf16() {
                write!(out, "\\u{unit:04X}").expect("a string");
            }
            out.push('"');
        } else {
            out.push_str(&Tree::from(text).to_string());
        }
    };
    out.push_str(" \t");
    match tree {
        Tree::String(text) => string(text, out),
        Tree::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "\r\n" });
                write(item, escape, out);
            }
            out.push(']');
        }
        Tree::Object(map) => {
            out.push('{');
            for (place, (key, item)) in map.iter().enumerate() {
                out.push_str(if place > 0 { "\n, " } else { " " });
                string(key, out);
                out.push_str("\n:");
                write(item, escape, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

/// Whether `serde_json` accepts the body. `None` if its answer does not count: it builds values, so
/// it also refuses lone surrogates and numbers that no float holds.
fn serde_takes(body: &[u8]) -> Option<bool> {
    let verdict = std::str::from_utf8(without_mark(body)).map(serde_json::from_str::<Tree>);
    match verdict {
        Ok(Ok(_)) => Some(true),
        Ok(Err(error)) => {
            let why = error.to_string();
            let own = ["out of range", "surrogate", "end of hex escape"];
            (!own.iter().any(|own| why.contains(own))).then_some(false)
        }
        Err(_) => Some(false),
    }
}

fn agrees(body: &[u8]) -> bool {
    serde_takes(body).is_none_or(|takes| takes == Places::default().scan(body).is_ok())
}

/// Texts that are nearly JSON, made of fragments.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "d800", "00e9", "\"id\"", "\"a\"",
            "true", "null", "fal", "-", "0", "1", "12", ".", "e", "E+", " ", "\n", "{}", "[]",
            "\"x\":", "{\"id\":", "é", "\u{feff}", "\0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_judged(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(agrees(&body));
    }

    #[test]
    fn what_is_nearly_json_is_judged_as_by_another_parser(body in nearly_json()) {
        prop_assert!(agrees(&body));
    }

    #[test]
    fn one_wrong_byte_is_judged_as_by_another_parser(
        tree in tree(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = tree.to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        prop_assert!(agrees(&body), "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_place_holds_what_another_parser_finds_there(
        tree in tree(), escape in any::<bool>(), tokens in prop::collection::vec(key(), 1..4),
    ) {
        let mut body = String::new();
        write(&tree, escape, &mut body);
        let tokens: Vec<_> = tokens.iter().map(|token| token.replace('~', "~0").replace('/', "~1")).collect();
        let pointer = format!("/{}", tokens.join("/"));
        let (places, slots) = places(&[&pointer, "/id", "/data/id"]);
        let values = places.scan(body.as_bytes()).expect("JSON");
        for (slot, pointer) in slots.iter().zip([pointer.as_str(), "/id", "/data/id"]) {
            let found = values.at(*slot);
            match tree.pointer(pointer) {
                None => prop_assert_eq!(found, Value::Absent),
                Some(Tree::Null) => prop_assert_eq!(found, Value::Null),
                Some(Tree::Bool(_)) => prop_assert_eq!(found, Value::Bool),
                Some(Tree::Array(_)) => prop_assert_eq!(found, Value::Array),
                Some(Tree::Object(_)) => prop_assert_eq!(found, Value::Object),
                Some(Tree::Number(number)) if number.is_f64() => prop_assert_eq!(found, Value::Fraction),
                Some(Tree::Number(number)) => prop_assert_eq!(found, Value::Integer(&number.to_string())),
                Some(Tree::String(text)) => match found {
                    Value::Text(found) => prop_assert_eq!(found.read(usize::MAX), Ok((text.clone(), true))),
                    other => prop_assert!(false, "{:?}", other),
                },
            }
        }
    }

    #[test]
    fn every_beginning_of_a_text_is_refused(tree in tree(), at in any::<prop::sample::Index>()) {
        let body = Tree::from(vec![tree]).to_string();
        prop_assert!(Places::default().scan(&body.as_bytes()[..at.index(body.len())]).is_err());
    }
}
