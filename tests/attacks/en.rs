//! EN: the envelope's form; ids and types are in `en_values`. Everything here is validly signed, so that the envelope is
//! the only reason for a refusal.

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, fresh_event_id};
use crate::support::upstream::Upstream;

/// What a row ends as: forwarded with this event id, forwarded without the header, or refused with 422.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    Taken(&'a str),
    TakenUnnamed,
    Refused,
}

use End::{Refused, Taken, TakenUnnamed};

#[track_caller]
pub(crate) fn check(stage: &Stage, delivery: Delivery, end: End<'_>) {
    let named = match end {
        Refused => return drop(stage.refuses(delivery, 422, "invalid_envelope")),
        Taken(id) => Some(id),
        TakenUnnamed => None,
    };
    let body = delivery.body().to_vec();
    let recorded = stage.accepts(delivery);
    recorded.expect_body(&body);
    assert_eq!(recorded.header("X-Verigate-Event-Id").as_deref(), named);
}

pub(crate) fn check_all<'a>(
    stage: &Stage,
    rows: impl IntoIterator<Item = (&'a str, Vec<u8>, End<'a>)>,
) {
    let mut cases = Cases::new();
    for (name, body, end) in rows {
        cases.case(name, || check(stage, Delivery::of(body), end));
    }
    cases.finish();
}

/// `/at`: the plain route with these places of the envelope.
pub(crate) fn placed(upstream: &Upstream, places: &[(&str, &str)]) -> Config {
    let route = Route::plain(upstream)
        .set("name", "\"at\"")
        .set("path", "\"/at\"");
    let route = places
        .iter()
        .fold(route, |route, (key, place)| route.scheme(key, place));
    Config::for_upstream(upstream).route(route)
}

pub(crate) fn at(body: impl Into<Vec<u8>>) -> Delivery {
    Delivery::plain(body).target("/at")
}

/// An id that is not used twice, with this text in it.
pub(crate) fn id(part: &str) -> String {
    format!("{part}-{}", fresh_event_id())
}

#[test]
fn en_01_a_key_that_is_asked_for_occurs_once() {
    let stage = Stage::new();
    check_all(
        &stage,
        [
            (
                "twice",
                br#"{"event_id":"a1","event_id":"b1"}"#.to_vec(),
                Refused,
            ),
            (
                "twice alike",
                br#"{"event_id":"a2","event_id":"a2"}"#.to_vec(),
                Refused,
            ),
            (
                "alike when unescaped",
                br#"{"event_id":"a3","event\u005fid":"b3"}"#.to_vec(),
                Refused,
            ),
            (
                "escaped first",
                br#"{"\u0065vent_id":"a4","event_id":"b4"}"#.to_vec(),
                Refused,
            ),
            (
                "escaped only",
                br#"{"\u0065vent_id":"en01-a5"}"#.to_vec(),
                Taken("en01-a5"),
            ),
            (
                "far apart",
                [
                    br#"{"event_id":"a6","x":"#.as_slice(),
                    &vec![b'1'; 100_000],
                    br#","event_id":"b6"}"#,
                ]
                .concat(),
                Refused,
            ),
            (
                "the type twice",
                br#"{"event_id":"a7","event_type":"t","event_type":"u"}"#.to_vec(),
                Refused,
            ),
            (
                "the account twice",
                br#"{"event_id":"a8","organization_uuid":"t","organization_uuid":"u"}"#.to_vec(),
                Refused,
            ),
            (
                "in another case",
                br#"{"event_id":"en01-a9","Event_Id":"b9"}"#.to_vec(),
                Taken("en01-a9"),
            ),
        ],
    );
    let stage =
        Stage::with(|upstream| placed(upstream, &[("event_id", "{ json = \"/data/id\" }")]));
    let mut cases = Cases::new();
    for (name, body, end) in [
        (
            "on the way",
            r#"{"data":{"id":1},"data":{"id":2}}"#,
            Refused,
        ),
        (
            "on the way, one is no object",
            r#"{"data":1,"data":{"id":2}}"#,
            Refused,
        ),
        ("at the end", r#"{"data":{"id":1,"id":2}}"#, Refused),
        ("once", r#"{"data":{"id":101},"id":3}"#, Taken("101")),
        (
            "beside the way",
            r#"{"id":1,"id":2,"data":{"id":102,"x":{"id":1,"id":2}}}"#,
            Taken("102"),
        ),
    ] {
        cases.case(name, || check(&stage, at(body), end));
    }
    cases.finish();
}

#[test]
fn en_02_a_key_that_nobody_asks_for_may_occur_twice() {
    let stage = Stage::new();
    check_all(
        &stage,
        [
            (
                "in another object",
                br#"{"event_id":"en02-a","data":{"x":1,"x":2}}"#.to_vec(),
                Taken("en02-a"),
            ),
            (
                "of that name, elsewhere",
                br#"{"event_id":"en02-b","data":{"event_id":1,"event_id":2}}"#.to_vec(),
                Taken("en02-b"),
            ),
            (
                "in the same object",
                br#"{"x":1,"event_id":"en02-c","x":2}"#.to_vec(),
                Taken("en02-c"),
            ),
        ],
    );
}

#[test]
fn en_03_a_required_id_is_there_and_the_body_is_json() {
    let stage = Stage::new();
    let refused = |body: &[u8]| (body.to_vec(), Refused);
    let rows: [(&str, &[u8]); 28] = [
        ("no id", br#"{"event_type":"a"}"#),
        ("no object at all", b"{}"),
        ("null", br#"{"event_id":null}"#),
        ("empty text", br#"{"event_id":""}"#),
        ("object", br#"{"event_id":{}}"#),
        ("array", br#"{"event_id":["a"]}"#),
        ("true", br#"{"event_id":true}"#),
        ("false", br#"{"event_id":false}"#),
        ("only deeper", br#"{"data":{"event_id":"a"}}"#),
        ("no JSON", b"event_id=a"),
        ("empty body", b""),
        ("white space", b" \r\n"),
        ("array at top", b"[]"),
        ("array with the object", br#"[{"event_id":"a"}]"#),
        ("text at top", b"\"x\""),
        ("number at top", b"7"),
        ("NaN", br#"{"event_id":"a","x":NaN}"#),
        ("single quotes", b"{'event_id':'a'}"),
        ("no quotes", b"{event_id:\"a\"}"),
        ("comment", br#"{"event_id":"a"/* */}"#),
        ("trailing comma", br#"{"event_id":"a",}"#),
        ("raw control byte in a text", b"{\"event_id\":\"a\x01b\"}"),
        (
            "raw line end in another text",
            b"{\"event_id\":\"a\",\"x\":\"a\nb\"}",
        ),
        ("bad escape", br#"{"event_id":"a\x"}"#),
        ("short escape", br#"{"event_id":"a\u12"}"#),
        ("bad escape elsewhere", br#"{"event_id":"a","x":"\x"}"#),
        ("cut off", br#"{"event_id":"a""#),
        ("leading zero elsewhere", br#"{"event_id":"a","x":01}"#),
    ];
    check_all(
        &stage,
        rows.map(|(name, body)| {
            let (body, end) = refused(body);
            (name, body, end)
        }),
    );
}

#[test]
fn en_05_nothing_follows_the_json_text() {
    let stage = Stage::new();
    let followed =
        |id: &str, by: &[u8]| [format!("{{\"event_id\":\"{id}\"}}").as_bytes(), by].concat();
    check_all(
        &stage,
        [
            ("an object", followed("en05-a", b"{}"), Refused),
            ("a comma", followed("en05-b", b","), Refused),
            ("NUL", followed("en05-c", b"\0"), Refused),
            ("a byte", followed("en05-d", b"x"), Refused),
            ("a form feed", followed("en05-e", b"\x0c"), Refused),
            (
                "a no-break space",
                followed("en05-f", "\u{a0}".as_bytes()),
                Refused,
            ),
            ("white space", followed("en05-g", b" \n"), Taken("en05-g")),
            (
                "all of JSON's white space",
                followed("en05-h", b" \t\r\n"),
                Taken("en05-h"),
            ),
        ],
    );
}

#[test]
fn en_06_the_body_is_utf_8() {
    let stage = Stage::new();
    let utf16: Vec<u8> = "{\"event_id\":\"a\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check_all(
        &stage,
        [
            (
                "byte-order mark",
                b"\xef\xbb\xbf{\"event_id\":\"a\"}".to_vec(),
                Refused,
            ),
            ("UTF-16", utf16, Refused),
            (
                "invalid in the id",
                b"{\"event_id\":\"a\xff\"}".to_vec(),
                Refused,
            ),
            (
                "invalid in another text",
                b"{\"event_id\":\"a\",\"x\":\"\xff\"}".to_vec(),
                Refused,
            ),
            (
                "invalid in a key",
                b"{\"event_id\":\"a\",\"\xff\":1}".to_vec(),
                Refused,
            ),
            (
                "overlong",
                b"{\"event_id\":\"a\",\"x\":\"\xc0\xaf\"}".to_vec(),
                Refused,
            ),
            (
                "surrogate as bytes",
                b"{\"event_id\":\"a\",\"x\":\"\xed\xa0\x80\"}".to_vec(),
                Refused,
            ),
            (
                "lone surrogate",
                br#"{"event_id":"a\ud800"}"#.to_vec(),
                Refused,
            ),
            (
                "surrogates the wrong way round",
                br#"{"event_id":"a\udc00\ud800"}"#.to_vec(),
                Refused,
            ),
            (
                "a pair of them",
                br#"{"event_id":"en06-\ud83d\ude00"}"#.to_vec(),
                TakenUnnamed,
            ),
        ],
    );
}

#[test]
fn en_10_nesting_has_a_limit_and_no_stack_overflows() {
    let stage = Stage::with(|upstream| {
        Config::new()
            .route(Route::itellico(upstream).set("max_body", "\"4MiB\""))
            .route(Route::plain(upstream))
    });
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    check_all(
        &stage,
        [
            (
                "127 within the object",
                format!("{{\"event_id\":\"en10-a\",\"x\":{}}}", nested(127)).into_bytes(),
                Taken("en10-a"),
            ),
            (
                "128 within the object",
                format!("{{\"event_id\":\"en10-b\",\"x\":{}}}", nested(128)).into_bytes(),
                Refused,
            ),
            (
                "10,000 behind the id",
                format!("{{\"event_id\":\"en10-c\",\"x\":{}}}", nested(10_000)).into_bytes(),
                Refused,
            ),
            (
                "10,000 before the id",
                format!("{{\"x\":{},\"event_id\":\"en10-d\"}}", nested(10_000)).into_bytes(),
                Refused,
            ),
            (
                "10,000 objects",
                format!("{{\"x\":{},\"event_id\":\"en10-e\"}}", objects(10_000)).into_bytes(),
                Refused,
            ),
            (
                "10,000 as the id",
                format!("{{\"event_id\":{}}}", nested(10_000)).into_bytes(),
                Refused,
            ),
            (
                "1 MB of brackets",
                "[".repeat(1_000_000).into_bytes(),
                Refused,
            ),
            (
                "1 MB of brackets inside",
                format!("{{\"event_id\":\"en10-f\",\"x\":{}", "[".repeat(1_000_000)).into_bytes(),
                Refused,
            ),
        ],
    );
}

#[test]
fn en_11_what_nobody_asks_for_may_be_long() {
    let stage = Stage::with(|upstream| {
        Config::new()
            .route(Route::itellico(upstream).set("max_body", "\"4MiB\""))
            .route(Route::plain(upstream))
    });
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
    check_all(
        &stage,
        [
            (
                "digits",
                format!(
                    "{{\"x\":{},\"event_id\":\"en11-a\"}}",
                    "1".repeat(1_000_000)
                )
                .into_bytes(),
                Taken("en11-a"),
            ),
            (
                "fraction",
                format!(
                    "{{\"x\":0.{}e9,\"event_id\":\"en11-b\"}}",
                    "1".repeat(1_000_000)
                )
                .into_bytes(),
                Taken("en11-b"),
            ),
            (
                "text",
                format!(
                    "{{\"x\":\"{}\",\"event_id\":\"en11-c\"}}",
                    "a".repeat(1_000_000)
                )
                .into_bytes(),
                Taken("en11-c"),
            ),
            (
                "escapes",
                format!(
                    "{{\"x\":\"{}\",\"event_id\":\"en11-d\"}}",
                    "\\u00e9".repeat(160_000)
                )
                .into_bytes(),
                Taken("en11-d"),
            ),
            (
                "keys",
                format!("{{{},\"event_id\":\"en11-e\"}}", keys.join(",")).into_bytes(),
                Taken("en11-e"),
            ),
            (
                "a long key",
                format!(
                    "{{\"{}\":1,\"event_id\":\"en11-f\"}}",
                    "k".repeat(1_000_000)
                )
                .into_bytes(),
                Taken("en11-f"),
            ),
            (
                "elements",
                format!(
                    "{{\"x\":[{}1],\"event_id\":\"en11-g\"}}",
                    "1,".repeat(400_000)
                )
                .into_bytes(),
                Taken("en11-g"),
            ),
        ],
    );
}
