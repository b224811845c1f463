//! EN: the envelope, over the socket. Everything here is validly signed, so that the envelope is the only reason for a
//! refusal.
//!
//! One row for each way in which a delivery may end. The tables with every row are those of the functions that decide:
//! `src/notation/json/tests.rs` (the JSON text) and `src/verify/envelope/tests.rs` (event id, type and account).

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, fresh_event_id, sign_body};
use crate::support::{PLAIN_SECRET, SOON, now};

/// How a row ends: forwarded with this event id, forwarded without the header, or refused with 422.
#[derive(Clone, Copy)]
enum End {
    Taken(&'static str),
    TakenUnnamed,
    Refused,
}

use End::{Refused, Taken, TakenUnnamed};

/// The reference receiver's route, and plain ones that take their event id from another place: `/data`, `/escaped`,
/// `/header`.
fn stage() -> Stage {
    Stage::with(|upstream| {
        let placed = |name: &str, place: &str| {
            let route = Route::plain(upstream)
                .set("name", &text(name))
                .set("path", &text(&format!("/{name}")));
            route.scheme("event_id", place)
        };
        Config::for_upstream(upstream)
            .route(placed("data", "{ json = \"/data/id\" }"))
            .route(placed("escaped", "{ json = \"/a~1b/m~0n/1\" }"))
            .route(
                placed("header", "{ header = \"X-Event-Id\" }").scheme("signed", "\"{id}.{body}\""),
            )
    })
}

fn at(target: &str, body: &str) -> Delivery {
    Delivery::plain(body).target(target)
}

/// A delivery to `/header` that signs this event id.
fn by_header(id: &str, body: &str) -> Delivery {
    let signature = sign_body(PLAIN_SECRET, format!("{id}.{body}").as_bytes());
    Delivery::unsigned("/header", body)
        .with("X-Event-Id", id)
        .with("X-Signature", format!("sha256={signature}"))
}

#[test]
fn each_way_in_which_an_envelope_may_end() {
    let stage = stage();
    let (fits, long) = ("a".repeat(256), "b".repeat(257));
    let fits: &'static str = fits.leak();
    let of = |id: &str| Delivery::of(format!("{{\"event_id\":\"{id}\"}}"));
    let (json, bytes) = (
        |body: &str| Delivery::of(body),
        |body: &[u8]| Delivery::of(body),
    );
    let mut cases = Cases::new();
    for (name, delivery, end) in [
        (
            "EN-01 a key twice",
            json(r#"{"event_id":"a1","event\u005fid":"b1"}"#),
            Refused,
        ),
        (
            "EN-01 the key of the type twice",
            json(r#"{"event_id":"a","event_type":"t","event_type":"u"}"#),
            Refused,
        ),
        (
            "EN-01 a key twice on the way",
            at("/data", r#"{"data":{"id":1},"data":{"id":2}}"#),
            Refused,
        ),
        (
            "EN-02 a key twice beside the way",
            at("/data", r#"{"id":1,"id":2,"data":{"id":102}}"#),
            Taken("102"),
        ),
        (
            "EN-30 a key in another case",
            json(r#"{"event_id":"a","EVENT_ID":"b"}"#),
            Refused,
        ),
        (
            "EN-30 a key in another case first",
            json(r#"{"Event_Id":"b","event_id":"a"}"#),
            Refused,
        ),
        (
            "EN-30 the key of the type in another case",
            json(r#"{"event_id":"a","event_type":"t","Event_Type":"u"}"#),
            Refused,
        ),
        (
            "EN-30 a key on the way in another case",
            at("/data", r#"{"data":{"id":1},"Data":{"id":2}}"#),
            Refused,
        ),
        ("EN-03 no id", json(r#"{"event_type":"a"}"#), Refused),
        (
            "EN-03 no text as the id",
            json(r#"{"event_id":["a"]}"#),
            Refused,
        ),
        ("EN-03 no JSON", json("event_id=a"), Refused),
        ("EN-03 empty", json(""), Refused),
        (
            "EN-04 an integer",
            json(r#"{"event_id":9007199254740993}"#),
            Taken("9007199254740993"),
        ),
        ("EN-04 an exponent", json(r#"{"event_id":1e2}"#), Refused),
        (
            "EN-05 an object behind it",
            json(r#"{"event_id":"en05-a"}{}"#),
            Refused,
        ),
        (
            "EN-05 white space behind it",
            json("{\"event_id\":\"en05-b\"} \t\r\n"),
            Taken("en05-b"),
        ),
        (
            "EN-06 byte-order mark",
            bytes(b"\xef\xbb\xbf{\"event_id\":\"en06-a\"}"),
            Taken("en06-a"),
        ),
        (
            "EN-06 two byte-order marks",
            bytes(b"\xef\xbb\xbf\xef\xbb\xbf{\"event_id\":\"a\"}"),
            Refused,
        ),
        (
            "EN-06 not UTF-8",
            bytes(b"{\"event_id\":\"a\",\"x\":\"\xff\"}"),
            Refused,
        ),
        ("EN-07 NUL", of("evt\\u0000x"), Refused),
        ("EN-07 line separator", of("en07-\u{2028}"), TakenUnnamed),
        ("EN-07 above ASCII", of("en07-é"), TakenUnnamed),
        ("EN-07 quotes", of("en07-\\\"\\\\"), Taken("en07-\"\\")),
        ("EN-08 256 bytes", of(fits), Taken(fits)),
        ("EN-08 257 bytes", of(&long), Refused),
        (
            "EN-10 too deep",
            json(&format!(
                "{{\"event_id\":\"a\",\"x\":{}",
                "[".repeat(500_000)
            )),
            Refused,
        ),
        (
            "EN-11 much that nobody asks for",
            json(&format!(
                "{{\"x\":[{}1],\"event_id\":\"en11\"}}",
                "1,".repeat(200_000)
            )),
            Taken("en11"),
        ),
        (
            "EN-13 in the header",
            by_header("en13-h", "{\"id\":\"en13-j\"}"),
            Taken("en13-h"),
        ),
        (
            "EN-13 in the header, an opaque body",
            by_header("en13-o", "\x01\u{e9}"),
            Taken("en13-o"),
        ),
        (
            "EN-13 in the body",
            at("/data", r#"{"data":{"id":"en13-j"}}"#).with("X-Event-Id", "x"),
            Taken("en13-j"),
        ),
        (
            "EN-13 the header twice",
            by_header("en13-t", "").with("X-Event-Id", "en13-t"),
            Refused,
        ),
        (
            "EN-13 an alias beside the header",
            by_header("en13-v", "").with("X_Event_Id", "other"),
            Refused,
        ),
        ("EN-13 an empty header", by_header("", "a"), Refused),
        (
            "EN-14 escapes in a pointer",
            at("/escaped", r#"{"a/b":{"m~n":["x","en14"]},"a":1}"#),
            Taken("en14"),
        ),
        (
            "EN-14 a key that is no index",
            at("/escaped", r#"{"a/b":{"m~n":["x"]}}"#),
            Refused,
        ),
    ] {
        cases.case(name, || {
            let named = match end {
                Refused => return drop(stage.refuses(delivery, 422, "invalid_envelope")),
                Taken(id) => Some(id),
                TakenUnnamed => None,
            };
            let body = delivery.body().to_vec();
            let recorded = stage.accepts(delivery);
            recorded.expect_body(&body);
            assert_eq!(recorded.header("X-Verigate-Event-Id").as_deref(), named);
        });
    }
    cases.finish();
    // An id that no header can hold is logged all the same, inside its field.
    for id in ["en07-\u{2028}", "en07-é"] {
        let line = stage
            .gateway
            .wait_for_log(SOON, |line| line["event_id"] == id);
        assert_eq!(line["verdict"], "valid", "{line}");
    }
}

#[test]
fn en_09_ids_are_compared_byte_by_byte() {
    let stage = Stage::new();
    let base = fresh_event_id();
    let mut cases = Cases::new();
    for (name, part) in [
        ("lower case", "e"),
        ("upper case", "E"),
        ("composed", "\u{e9}"),
        ("decomposed", "e\u{301}"),
    ] {
        cases.case(name, || {
            let delivery = Delivery::of(format!("{{\"event_id\":\"{base}{part}\"}}"));
            stage.accepts(delivery.clone());
            stage
                .gateway
                .ask(delivery)
                .expect_refusal(409, "replayed_event");
        });
    }
    cases.case("escaped or not is the same id", || {
        let escaped = format!("{{\"event_id\":\"{base}\\u0065\"}}");
        // Another body under the same id of a preset is answered as a duplicate.
        stage
            .gateway
            .ask(Delivery::at(escaped, now() + 3))
            .expect_duplicate();
    });
    cases.finish();
}

#[test]
fn en_12_a_type_that_no_header_can_hold_is_left_out() {
    let stage = Stage::new();
    let (long, cut) = ("x".repeat(10_240), "x".repeat(1024));
    let mut cases = Cases::new();
    for (name, kind, header) in [
        ("missing", "", None),
        ("no text", ",\"event_type\":{}", None),
        ("quotes", ",\"event_type\":\"a\\\"b\"", Some("a\"b")),
        ("line end", ",\"event_type\":\"a\\r\\nX-Injected: 1\"", None),
        ("above ASCII", ",\"event_type\":\"é\"", None),
        (
            "10 KB",
            &format!(",\"event_type\":\"{long}\""),
            Some(cut.as_str()),
        ),
    ] {
        cases.case(name, || {
            let recorded = stage.accepts(Delivery::of(format!(
                "{{\"event_id\":\"{}\"{kind}}}",
                fresh_event_id()
            )));
            assert_eq!(
                recorded.header("X-Verigate-Event-Type").as_deref(),
                header,
                "{recorded}"
            );
            assert!(!recorded.has("X-Injected"), "{recorded}");
        });
    }
    cases.finish();
}
