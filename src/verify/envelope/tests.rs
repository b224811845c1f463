//! The rows of the attack catalogue's class EN that the pure rooms answer.

use proptest::prelude::*;

use super::*;
use crate::notation::json::Pointer;

/// Header lines.
type Lines<'a> = &'a [(&'a str, &'a [u8])];
/// The event that is found, or the reason of the refusal.
type Read<T> = Result<T, &'static str>;
/// An id and a type.
type IdAndType<'a> = (Option<&'a str>, Option<&'a str>);

fn json(pointers: &[&str]) -> Option<Place> {
    pointers
        .iter()
        .map(|text| Pointer::parse(text))
        .collect::<Option<_>>()
        .map(Place::Json)
}

fn header(name: &str) -> Option<Place> {
    FieldName::new(name).map(Place::Header)
}

fn head(lines: Lines<'_>) -> Head {
    Head::from_parts(
        "POST",
        "/",
        lines.iter().map(|(name, value)| (name.as_bytes(), *value)),
    )
    .expect("head")
}

/// Reads only the id at `/id`, which is required.
fn id_of(body: &[u8]) -> Result<String, &'static str> {
    let envelope = reading(json(&["/id"]), true, None, None);
    envelope
        .extract(&head(&[]), body, None)
        .map(|event| event.id.as_deref().unwrap_or_default().to_owned())
        .map_err(|refusal| {
            assert_eq!(refusal.code, Code::InvalidEnvelope);
            refusal.why
        })
}

/// An envelope with these places.
fn reading(
    event_id: Option<Place>,
    id_required: bool,
    event_type: Option<Place>,
    account: Option<Place>,
) -> Envelope {
    let scheme = crate::scheme::tests::fixtures::plain("{body}");
    Envelope::of(&Scheme {
        event_id,
        event_id_required: id_required,
        event_type,
        account,
        ..scheme
    })
}

#[test]
fn an_id_is_one_that_everybody_reads_alike() {
    let fits = "x".repeat(256);
    let long = "x".repeat(257);
    let digits = "9".repeat(64);
    let two_byte = "é".repeat(128);
    let visible = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~";
    let rows: [(&str, String, Result<&str, &str>); 52] = [
        ("EN-03 none", r#"{"a":1}"#.into(), Err(MISSING)),
        ("EN-03 null", r#"{"id":null}"#.into(), Err(MISSING)),
        ("EN-03 empty", r#"{"id":""}"#.into(), Err(EMPTY)),
        ("EN-03 object", r#"{"id":{}}"#.into(), Err(WRONG_KIND)),
        ("EN-03 array", r#"{"id":["a"]}"#.into(), Err(WRONG_KIND)),
        ("EN-03 true", r#"{"id":true}"#.into(), Err(WRONG_KIND)),
        ("EN-03 false", r#"{"id":false}"#.into(), Err(WRONG_KIND)),
        ("EN-03 array at top", "[]".into(), Err(MISSING)),
        (
            "EN-03 array with the object",
            r#"[{"id":"a"}]"#.into(),
            Err(MISSING),
        ),
        (
            "EN-03 only deeper",
            r#"{"data":{"id":"a"}}"#.into(),
            Err(MISSING),
        ),
        ("EN-03 number at top", "7".into(), Err(MISSING)),
        ("EN-03 string at top", r#""x""#.into(), Err(MISSING)),
        ("EN-04 integer", r#"{"id":12}"#.into(), Ok("12")),
        ("EN-04 zero", r#"{"id":0}"#.into(), Ok("0")),
        ("EN-04 negative", r#"{"id":-12}"#.into(), Ok("-12")),
        (
            "EN-04 beyond 2^53",
            r#"{"id":9007199254740993}"#.into(),
            Ok("9007199254740993"),
        ),
        (
            "EN-04 64 digits",
            format!(r#"{{"id":{digits}}}"#),
            Ok(&digits),
        ),
        (
            "EN-04 64 digits and a sign",
            format!(r#"{{"id":-{digits}}}"#),
            Ok("-"),
        ),
        (
            "EN-04 65 digits",
            format!(r#"{{"id":{digits}9}}"#),
            Err(TOO_MANY_DIGITS),
        ),
        (
            "EN-04 400 digits",
            format!(r#"{{"id":{}}}"#, "9".repeat(400)),
            Err(TOO_MANY_DIGITS),
        ),
        ("EN-04 exponent", r#"{"id":1e2}"#.into(), Err(NOT_INTEGER)),
        (
            "EN-04 exponent in capitals",
            r#"{"id":1E2}"#.into(),
            Err(NOT_INTEGER),
        ),
        ("EN-04 fraction", r#"{"id":1.0}"#.into(), Err(NOT_INTEGER)),
        ("EN-04 minus zero", r#"{"id":-0}"#.into(), Err(NOT_INTEGER)),
        (
            "EN-06 lone surrogate",
            r#"{"id":"\ud800"}"#.into(),
            Err("surrogate"),
        ),
        (
            "EN-06 lone surrogate elsewhere",
            r#"{"id":"a","x":"\ud800"}"#.into(),
            Ok("a"),
        ),
        (
            "EN-06 surrogates the wrong way round",
            r#"{"id":"\udc00\ud800"}"#.into(),
            Err("surrogate"),
        ),
        ("EN-06 pair", r#"{"id":"\ud83d\ude00"}"#.into(), Ok("😀")),
        ("EN-07 NUL", r#"{"id":"evt\u0000x"}"#.into(), Err(CONTROL)),
        ("EN-07 newline", r#"{"id":"evt\nx"}"#.into(), Err(CONTROL)),
        (
            "EN-07 carriage return",
            r#"{"id":"evt\rx"}"#.into(),
            Err(CONTROL),
        ),
        ("EN-07 tab", r#"{"id":"evt\tx"}"#.into(), Err(CONTROL)),
        ("EN-07 ESC", r#"{"id":"\u001bx"}"#.into(), Err(CONTROL)),
        (
            "EN-07 DEL as it is",
            "{\"id\":\"a\u{7f}\"}".into(),
            Err(CONTROL),
        ),
        (
            "EN-07 DEL escaped",
            r#"{"id":"\u007f"}"#.into(),
            Err(CONTROL),
        ),
        (
            "EN-07 C1 as it is",
            "{\"id\":\"a\u{85}\"}".into(),
            Err(CONTROL),
        ),
        (
            "EN-07 C1 escaped",
            r#"{"id":"\u009f"}"#.into(),
            Err(CONTROL),
        ),
        (
            "EN-07 line separator",
            r#"{"id":"a\u2028b"}"#.into(),
            Ok("a\u{2028}b"),
        ),
        (
            "EN-07 direction override",
            r#"{"id":"a\u202Eb"}"#.into(),
            Ok("a\u{202e}b"),
        ),
        (
            "EN-07 visible ASCII",
            format!(r#"{{"id":"{visible}"}}"#),
            Ok(visible),
        ),
        ("EN-07 quotes", r#"{"id":"\"\\"}"#.into(), Ok("\"\\")),
        (
            "EN-08 256 bytes",
            format!(r#"{{"id":"{fits}"}}"#),
            Ok(&fits),
        ),
        (
            "EN-08 257 bytes",
            format!(r#"{{"id":"{long}"}}"#),
            Err(TOO_LONG),
        ),
        (
            "EN-08 1 MB",
            format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20)),
            Err(TOO_LONG),
        ),
        (
            "EN-08 1 MB of escapes",
            format!(r#"{{"id":"{}"}}"#, r"\u0041".repeat(1 << 18)),
            Err(TOO_LONG),
        ),
        (
            "EN-08 256 bytes once unescaped",
            format!(r#"{{"id":"{}"}}"#, r"\u0078".repeat(256)),
            Ok(&fits),
        ),
        (
            "EN-08 256 bytes in 128 characters",
            format!(r#"{{"id":"{two_byte}"}}"#),
            Ok(&two_byte),
        ),
        (
            "EN-08 bytes, not characters",
            format!(r#"{{"id":"{}"}}"#, "é".repeat(129)),
            Err(TOO_LONG),
        ),
        ("EN-09 capital", r#"{"id":"Evt"}"#.into(), Ok("Evt")),
        ("EN-09 escaped", r#"{"id":"\u0045vt"}"#.into(), Ok("Evt")),
        ("EN-09 NFC", r#"{"id":"\u00e9"}"#.into(), Ok("\u{e9}")),
        ("EN-09 NFD", r#"{"id":"e\u0301"}"#.into(), Ok("e\u{301}")),
    ];
    let mut wrong = Vec::new();
    for (row, body, want) in &rows {
        let found = id_of(body.as_bytes());
        let is_right = match (&found, want) {
            (Ok(found), Ok("-")) => *found == format!("-{digits}"),
            (Ok(found), Ok(want)) => found == want,
            (Err(why), Err("surrogate")) => why.contains("lone surrogate"),
            (Err(why), Err(want)) => why == want,
            _ => false,
        };
        if !is_right {
            wrong.push((row, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn en_01_a_repeated_key_is_an_invalid_envelope_wherever_something_is_extracted() {
    let envelope = reading(
        json(&["/id"]),
        true,
        json(&["/type"]),
        json(&["/data/account"]),
    );
    for body in [
        r#"{"id":"a","id":"a"}"#,
        r#"{"id":"a","type":"x","type":"y"}"#,
        r#"{"id":"a","type":1,"type":"y"}"#,
        r#"{"id":"a","data":{"account":1,"account":2}}"#,
        r#"{"id":"a","data":1,"data":{}}"#,
    ] {
        let refusal = envelope
            .extract(&head(&[]), body.as_bytes(), None)
            .expect_err(body);
        assert!(refusal.why.contains("twice"), "{body}: {refusal}");
        assert_eq!(refusal.code, Code::InvalidEnvelope);
    }
}

#[test]
fn an_id_in_a_header_is_as_strict() {
    let long = [b'x'; 257];
    let rows: [(&str, Lines<'_>, Read<&str>); 16] = [
        ("one", &[("X-Event-Id", b"evt_1")], Ok("evt_1")),
        (
            "case of the name",
            &[("x-eVENT-iD", b" evt_1 ")],
            Ok("evt_1"),
        ),
        ("EN-13 none", &[("X-Other", b"x")], Err(MISSING)),
        ("EN-13 empty", &[("X-Event-Id", b"")], Err(MISSING)),
        ("EN-13 space alone", &[("X-Event-Id", b"  ")], Err(MISSING)),
        (
            "EN-13 twice",
            &[("X-Event-Id", b"a"), ("X-Event-Id", b"b")],
            Err(REPEATED_ID),
        ),
        (
            "EN-13 twice alike",
            &[("X-Event-Id", b"a"), ("x-event-id", b"a")],
            Err(REPEATED_ID),
        ),
        (
            "EN-13 alias beside it",
            &[("X-Event-Id", b"a"), ("X_Event_Id", b"b")],
            Err(REPEATED_ID),
        ),
        ("EN-13 alias alone", &[("X_Event_Id", b"a")], Err(MISSING)),
        ("EN-13 list", &[("X-Event-Id", b"a, b")], Err(LISTED_ID)),
        (
            "EN-13 list without space",
            &[("X-Event-Id", b"a,")],
            Err(LISTED_ID),
        ),
        (
            "EN-06 not UTF-8",
            &[("X-Event-Id", b"\xff")],
            Err(ID_NOT_UTF8),
        ),
        ("EN-07 tab", &[("X-Event-Id", b"a\tb")], Err(CONTROL)),
        ("EN-07 C1", &[("X-Event-Id", b"a\xc2\x85b")], Err(CONTROL)),
        ("EN-08 257 bytes", &[("X-Event-Id", &long)], Err(TOO_LONG)),
        ("UTF-8", &[("X-Event-Id", "é".as_bytes())], Ok("é")),
    ];
    let envelope = reading(header("X-Event-Id"), true, None, None);
    assert!(!envelope.needs_json());
    let mut wrong = Vec::new();
    for (row, lines, want) in rows {
        let found = envelope
            .extract(&head(lines), b"\xff not looked at", None)
            .map_err(|refusal| refusal.why);
        if found
            .as_ref()
            .map(|event| event.id.as_deref().unwrap_or_default())
            .map_err(|why| *why)
            != want
        {
            wrong.push((row, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn en_13_the_place_decides_where_header_and_body_both_hold_an_id() {
    let (lines, body) = (
        head(&[("X-Event-Id", b"from-header")]),
        br#"{"id":"from-body"}"#,
    );
    let of = |place| {
        reading(place, true, None, None)
            .extract(&lines, body, None)
            .expect("event")
            .id
    };
    assert_eq!(of(header("X-Event-Id")).as_deref(), Some("from-header"));
    assert_eq!(of(json(&["/id"])).as_deref(), Some("from-body"));
}

#[test]
fn where_no_id_is_required_one_may_be_missing_but_not_wrong() {
    let envelope = reading(json(&["/id"]), false, json(&["/type"]), None);
    let rows: [(&str, &[u8], Read<IdAndType<'_>>); 17] = [
        (
            "there",
            br#"{"id":"a","type":"t"}"#,
            Ok((Some("a"), Some("t"))),
        ),
        ("missing", br#"{"type":"t"}"#, Ok((None, Some("t")))),
        ("null", br#"{"id":null}"#, Ok((None, None))),
        ("array at top", b"[]", Ok((None, None))),
        ("a form", b"payload=%7B%7D", Ok((None, None))),
        ("no body", b"", Ok((None, None))),
        ("bytes", b"\xff\xfe\0", Ok((None, None))),
        (
            "byte-order mark",
            b"\xef\xbb\xbf{\"id\":\"a\"}",
            Ok((Some("a"), None)),
        ),
        (
            "byte-order mark before a form",
            b"\xef\xbb\xbfid=a",
            Ok((None, None)),
        ),
        (
            "two byte-order marks",
            b"\xef\xbb\xbf\xef\xbb\xbf{\"id\":\"a\"}",
            Ok((None, None)),
        ),
        ("another space first", b"\x0b{\"id\":1}", Ok((None, None))),
        ("true", br#"{"id":true}"#, Err(WRONG_KIND)),
        ("object", br#"{"id":{}}"#, Err(WRONG_KIND)),
        ("empty", br#"{"id":""}"#, Err(EMPTY)),
        ("fraction", br#"{"id":1.5}"#, Err(NOT_INTEGER)),
        (
            "cut",
            b" \r\n\t{",
            Err("the body is not JSON: it ends too early"),
        ),
        (
            "trailing",
            b"[]x",
            Err("something follows the JSON text in the body"),
        ),
    ];
    let mut wrong = Vec::new();
    for (row, body, want) in rows {
        let found = envelope
            .extract(&head(&[]), body, None)
            .map_err(|refusal| refusal.why);
        let plain = found
            .as_ref()
            .map(|event| (event.id.as_deref(), event.event_type.as_deref()));
        if plain.map_err(|why| *why) != want {
            wrong.push((row, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_body_must_be_json_where_the_id_is_required_and_any_part_is_in_it() {
    let envelope = reading(header("X-Event-Id"), true, json(&["/type"]), None);
    assert!(envelope.needs_json());
    let lines = head(&[("X-Event-Id", b"a")]);
    assert!(envelope.extract(&lines, b"{}", None).is_ok());
    assert!(envelope.extract(&lines, b"\xef\xbb\xbf{}", None).is_ok());
    for body in [&b"payload=1"[..], b"", b"{}\xef\xbb\xbf", b"{}{}"] {
        assert_eq!(
            envelope
                .extract(&lines, body, None)
                .expect_err("refusal")
                .code,
            Code::InvalidEnvelope
        );
    }
    // Without a place for an id, no id can be required.
    let event = reading(None, true, json(&["/type"]), None).extract(&lines, b"payload=1", None);
    assert_eq!(event, Ok(Event::default()));
}

#[test]
fn en_12_type_and_account_are_taken_where_they_are_there() {
    let long = "é".repeat(5 * 1024);
    let rows: [(&str, String, Option<String>); 15] = [
        ("text", r#"{"type":"push"}"#.into(), Some("push".into())),
        ("missing", "{}".into(), None),
        ("null", r#"{"type":null}"#.into(), None),
        ("empty", r#"{"type":""}"#.into(), None),
        ("bool", r#"{"type":true}"#.into(), None),
        ("object", r#"{"type":{"a":1}}"#.into(), None),
        ("array", r#"{"type":["a"]}"#.into(), None),
        ("fraction", r#"{"type":1.5}"#.into(), None),
        ("integer", r#"{"type":17}"#.into(), Some("17".into())),
        ("quotes", r#"{"type":"a\"b"}"#.into(), Some("a\"b".into())),
        (
            "newline",
            r#"{"type":"a\nb\u0000"}"#.into(),
            Some("a\nb\0".into()),
        ),
        (
            "10 KB",
            format!(r#"{{"type":"{long}"}}"#),
            Some("é".repeat(512)),
        ),
        (
            "10 KB, border within a character",
            format!(r#"{{"type":"x{long}"}}"#),
            Some(format!("x{}", "é".repeat(511))),
        ),
        (
            "10 KB of escapes",
            format!(r#"{{"type":"{}"}}"#, r"\u00e9".repeat(5120)),
            Some("é".repeat(512)),
        ),
        (
            "10 KB of digits",
            format!(r#"{{"type":{}}}"#, "1".repeat(10_240)),
            Some("1".repeat(1024)),
        ),
    ];
    for (row, body, want) in rows {
        for envelope in [
            reading(None, false, json(&["/type"]), None),
            reading(None, false, None, json(&["/type"])),
        ] {
            let event = envelope
                .extract(&head(&[]), body.as_bytes(), None)
                .expect(row);
            let label = event.event_type.or(event.account);
            assert_eq!(label.as_deref(), want.as_deref(), "{row}");
        }
    }
}

#[test]
fn en_12_a_type_in_a_header_is_taken_where_it_is_there() {
    let envelope = reading(None, false, header("X-Type"), None);
    let long = [b'x'; 2000];
    let rows: [(&str, Lines<'_>, Read<Option<&str>>); 6] = [
        ("one", &[("X-Type", b"push")], Ok(Some("push"))),
        ("none", &[], Ok(None)),
        ("empty", &[("X-Type", b"")], Ok(None)),
        ("not UTF-8", &[("X-Type", b"\xff")], Ok(None)),
        (
            "long",
            &[("X-Type", &long)],
            Ok(std::str::from_utf8(&long[..1024]).ok()),
        ),
        (
            "twice",
            &[("X-Type", b"a"), ("X-Type", b"b")],
            Err(REPEATED_LABEL),
        ),
    ];
    for (row, lines, want) in rows {
        let event = envelope
            .extract(&head(lines), b"", None)
            .map_err(|refusal| refusal.why);
        assert_eq!(
            event
                .as_ref()
                .map(|event| event.event_type.as_deref())
                .map_err(|why| *why),
            want,
            "{row}"
        );
    }
}

#[test]
fn several_parts_are_joined_unambiguously() {
    let envelope = reading(json(&["/call", "/event"]), true, None, None);
    let rows = [
        (r#"{"event":"ended","call":"c1"}"#, Ok(r"c1|ended")),
        (r#"{"event":2,"call":1}"#, Ok("1|2")),
        (r#"{"event":"b|c","call":"a"}"#, Ok(r"a|b\|c")),
        (r#"{"event":"c","call":"a|b"}"#, Ok(r"a\|b|c")),
        (r#"{"event":"c","call":"a\\"}"#, Ok(r"a\\|c")),
        (r#"{"call":"a"}"#, Err(MISSING)),
        (r#"{"call":"a","event":null}"#, Err(MISSING)),
        (r#"{"call":"a","event":""}"#, Err(EMPTY)),
        (r#"{"call":"a","event":"\u0000"}"#, Err(CONTROL)),
    ];
    for (body, want) in rows {
        let id = envelope
            .extract(&head(&[]), body.as_bytes(), None)
            .map(|event| event.id.as_deref().unwrap_or_default().to_owned());
        assert_eq!(id.as_deref().map_err(|refusal| refusal.why), want, "{body}");
    }
    // The bound is on the whole id that is claimed.
    let body = |len| {
        format!(
            r#"{{"call":"{}","event":"{}"}}"#,
            "a".repeat(len),
            "b".repeat(128)
        )
    };
    assert!(
        envelope
            .extract(&head(&[]), body(127).as_bytes(), None)
            .is_ok()
    );
    assert_eq!(
        envelope
            .extract(&head(&[]), body(128).as_bytes(), None)
            .expect_err("long")
            .why,
        TOO_LONG
    );
    // A single part stays as it is.
    assert_eq!(id_of(br#"{"id":"a|b\\c"}"#).as_deref(), Ok(r"a|b\c"));
}

#[test]
fn only_visible_ascii_is_fit_for_a_header() {
    for (text, want) in [
        ("evt_1~!", true),
        ("", false),
        ("a b", false),
        ("é", false),
        ("a\n", false),
        ("\u{7f}", false),
    ] {
        assert_eq!(visible_ascii(text), want, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_an_id_keeps_its_promise(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            any::<String>().prop_map(|id| serde_json::json!({ "id": id }).to_string().into_bytes()),
        ],
        // A header can hold only these bytes (RFC 9110 5.5).
        value in prop::collection::vec(prop_oneof![Just(b'\t'), b' '..=b'~', 0x80_u8..], 0..300),
    ) {
        for envelope in [
            reading(json(&["/id"]), true, json(&["/type"]), header("X-A")),
            reading(header("X-A"), false, header("X-A"), json(&["/id", "/id"])),
        ] {
            if let Ok(Event { id: Some(id), .. }) = envelope.extract(&head(&[("X-A", &value)]), &body, None) {
                prop_assert!(!id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn two_lists_of_parts_are_never_joined_alike(
        one in prop::collection::vec("[a|\\\\]{0,3}", 2..4), other in prop::collection::vec("[a|\\\\]{0,3}", 2..4),
    ) {
        let joined = |parts: &[String]| join(parts.iter().map(Cow::from).collect()).into_owned();
        prop_assert_eq!(one == other, joined(&one) == joined(&other));
    }
}

#[test]
fn a_body_that_was_added_to_behind_a_plain_hash_is_refused_wherever_the_parts_stand() {
    use crate::scheme::{Algorithm, Template};
    let envelope = |algorithm, signed: &str| {
        let signed = Template::parse(signed).expect("a template");
        let plain = crate::scheme::tests::fixtures::plain("{body}");
        let plain = crate::scheme::tests::fixtures::changed(plain, |template| {
            (template.algorithm, template.signed) = (algorithm, signed);
        });
        Envelope::of(&Scheme {
            event_type: header("X-Type"),
            ..plain
        })
    };
    let why = |envelope: &Envelope, body: &[u8]| {
        envelope
            .extract(&head(&[]), body, None)
            .err()
            .map(|refusal| refusal.why)
    };
    // SHA-256 fills its last block with 0x80, zeros and the length in bits.
    let added = [&b"a=1\x80"[..], &[0; 50], b"\x01\x80&a=2"].concat();
    let extendable = envelope(Algorithm::Sha256, "{timestamp}{secret}{body}");
    assert_eq!(why(&extendable, &added), Some(EXTENDED));
    assert_eq!(why(&extendable, b"a=1&a=2"), None);
    for (algorithm, signed) in [
        (Algorithm::Sha1, "{body}{timestamp}{secret}"),
        (Algorithm::HmacSha256, "{body}"),
    ] {
        assert_eq!(why(&envelope(algorithm, signed), &added), None, "{signed}");
    }
}
