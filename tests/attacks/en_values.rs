//! EN: event ids, event types and the places that they stand in; all validly signed. The body's form is in `en`.

use crate::en::End::{Refused, Taken, TakenUnnamed};
use crate::en::{at, check, check_all, id, placed};
use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, sign_body};
use crate::support::{PLAIN_SECRET, SOON};

#[test]
fn en_04_an_integer_id_is_its_exact_text() {
    let stage = Stage::new();
    let digits = "9".repeat(64);
    let of = |number: &str| format!("{{\"event_id\":{number}}}").into_bytes();
    check_all(
        &stage,
        [
            ("integer", of("12"), Taken("12")),
            (
                "beyond 2^53",
                of("9007199254740993"),
                Taken("9007199254740993"),
            ),
            (
                "one more, which a float would not tell apart",
                of("9007199254740992"),
                Taken("9007199254740992"),
            ),
            ("64 digits", of(&digits), Taken(&digits)),
            ("65 digits", of(&"9".repeat(65)), Refused),
            ("400 digits", of(&"9".repeat(400)), Refused),
            ("exponent", of("1e2"), Refused),
            ("exponent in capitals", of("1E2"), Refused),
            ("fraction", of("1.0"), Refused),
            ("leading zero", of("012"), Refused),
            ("plus", of("+12"), Refused),
            ("hex", of("0x12"), Refused),
        ],
    );
}

#[test]
fn en_07_an_id_holds_no_control_character() {
    let stage = Stage::new();
    let of = |id: &str| format!("{{\"event_id\":\"{id}\"}}").into_bytes();
    check_all(
        &stage,
        [
            ("NUL", of("evt\\u0000x"), Refused),
            ("line feed", of("evt\\nx"), Refused),
            ("carriage return", of("evt\\rx"), Refused),
            ("tab", of("evt\\tx"), Refused),
            ("escape", of("evt\\u001b[31m"), Refused),
            ("delete", of("evt\u{7f}"), Refused),
            ("C1", of("evt\u{85}"), Refused),
            ("C1, escaped", of("evt\\u009b"), Refused),
            ("line separator", of("en07-\u{2028}"), TakenUnnamed),
            ("direction override", of("en07-\u{202e}"), TakenUnnamed),
            ("above ASCII", of("en07-é"), TakenUnnamed),
            (
                "visible ASCII",
                of("en07-!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
                Taken("en07-!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
            ),
            ("quotes", of("en07-\\\"\\\\"), Taken("en07-\"\\")),
        ],
    );
    // What is not refused does not break out of the log line.
    for part in ["en07-\u{2028}", "en07-\u{202e}", "en07-é"] {
        let line = stage
            .gateway
            .wait_for_log(SOON, |line| line["event_id"] == part);
        assert_eq!(line["verdict"], "valid", "{line}");
    }
}

#[test]
fn en_08_an_id_has_at_most_256_bytes() {
    let stage = Stage::with(|upstream| {
        Config::new()
            .route(Route::itellico(upstream).set("max_body", "\"4MiB\""))
            .route(Route::plain(upstream))
    });
    let (fits, two_byte) = ("a".repeat(256), "é".repeat(128));
    let of = |id: &str| format!("{{\"event_id\":\"{id}\"}}").into_bytes();
    check_all(
        &stage,
        [
            ("256 bytes", of(&fits), Taken(&fits)),
            ("257 bytes", of(&"b".repeat(257)), Refused),
            ("256 bytes above ASCII", of(&two_byte), TakenUnnamed),
            ("258 bytes above ASCII", of(&"é".repeat(129)), Refused),
            (
                "256 bytes of escapes",
                of(&"\\u0063".repeat(256)),
                Taken(&"c".repeat(256)),
            ),
            ("1 MB", of(&"d".repeat(1_000_000)), Refused),
        ],
    );
}

#[test]
fn en_09_ids_are_compared_byte_by_byte() {
    let stage = Stage::new();
    let base = id("en09");
    let mut cases = Cases::new();
    for (name, part) in [
        ("lower case", "e"),
        ("upper case", "E"),
        ("composed", "\u{e9}"),
        ("decomposed", "e\u{301}"),
    ] {
        cases.case(name, || {
            let body = format!("{{\"event_id\":\"{base}{part}\"}}");
            stage.accepts(Delivery::of(body.clone()));
            stage
                .gateway
                .ask(Delivery::of(body))
                .expect_refusal(409, "replayed_event");
        });
    }
    cases.case("escaped or not is the same id", || {
        let at = crate::support::now() + 3;
        let escaped = format!("{{\"event_id\":\"{base}\\u0065\"}}");
        let answer = stage.gateway.ask(Delivery::at(escaped, at));
        // Another body under the same preset id: answered as a duplicate (SPEC 4).
        answer.expect_duplicate();
    });
    cases.finish();
}

#[test]
fn en_12_the_type_may_be_missing_or_odd() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, kind, header) in [
        ("missing", "", None),
        ("null", ",\"event_type\":null", None),
        ("object", ",\"event_type\":{}", None),
        ("array", ",\"event_type\":[\"a\"]", None),
        ("true", ",\"event_type\":true", None),
        ("empty", ",\"event_type\":\"\"", None),
        (
            "plain",
            ",\"event_type\":\"conversation.started\"",
            Some("conversation.started"),
        ),
        ("quotes", ",\"event_type\":\"a\\\"b\"", Some("a\"b")),
        ("line end", ",\"event_type\":\"a\\r\\nX-Injected: 1\"", None),
        ("above ASCII", ",\"event_type\":\"é\"", None),
    ] {
        cases.case(name, || {
            let body = format!("{{\"event_id\":\"{}\"{kind}}}", id("en12"));
            let recorded = stage.accepts(Delivery::of(body));
            assert_eq!(
                recorded.header("X-Verigate-Event-Type").as_deref(),
                header,
                "{recorded}"
            );
            assert!(!recorded.has("X-Injected"), "{recorded}");
        });
    }
    cases.case("10 KB", || {
        let long = "x".repeat(10_240);
        let body = format!(
            "{{\"event_id\":\"{}\",\"event_type\":\"{long}\"}}",
            id("en12")
        );
        let recorded = stage.accepts(Delivery::of(body));
        let header = recorded.header("X-Verigate-Event-Type");
        assert!(
            header.is_none_or(|header| header.len() < long.len() && long.starts_with(&header)),
            "{recorded}"
        );
    });
    cases.finish();
}

#[test]
fn en_13_the_place_that_the_route_names_decides() {
    let stage = Stage::with(|upstream| {
        let base = Route::plain(upstream).scheme("signed", "\"{id}.{body}\"");
        placed(upstream, &[("event_id", "{ json = \"/id\" }")]).route(
            base.set("name", "\"header\"")
                .set("path", "\"/header\"")
                .scheme("event_id", "{ header = \"X-Event-Id\" }"),
        )
    });
    let by_header = |id: &str, body: &str| {
        let content = format!("{id}.{body}");
        Delivery::unsigned("/header", body)
            .with("X-Event-Id", id)
            .with(
                "X-Signature",
                format!("sha256={}", sign_body(PLAIN_SECRET, content.as_bytes())),
            )
    };
    let mut cases = Cases::new();
    for (name, delivery, end) in [
        (
            "header on the header's route",
            by_header("en13-h", "{\"id\":\"en13-j\"}"),
            Taken("en13-h"),
        ),
        (
            "an opaque body there",
            by_header("en13-o", "\x01\u{e9}"),
            Taken("en13-o"),
        ),
        (
            "JSON on the other",
            at("{\"id\":\"en13-j\"}").with("X-Event-Id", "en13-h"),
            Taken("en13-j"),
        ),
        (
            "header twice",
            by_header("en13-t", "").with("X-Event-Id", "en13-t"),
            Refused,
        ),
        (
            "header twice, another",
            by_header("en13-u", "").with("X-Event-Id", "other"),
            Refused,
        ),
        (
            "alias beside the header",
            by_header("en13-v", "").with("X_Event_Id", "other"),
            Refused,
        ),
        ("a comma list", by_header("en13-w, en13-x", ""), Refused),
        ("empty", by_header("", "a"), Refused),
        ("missing", by_header("", "b").without("X-Event-Id"), Refused),
    ] {
        cases.case(name, || check(&stage, delivery, end));
    }
    cases.finish();
}

#[test]
fn en_14_a_pointer_matches_exactly() {
    let pointers = [
        (
            "proto",
            "/__proto__",
            r#"{"__proto__":"en14-a"}"#,
            Taken("en14-a"),
        ),
        (
            "constructor",
            "/constructor/name",
            r#"{"constructor":{"name":"en14-b"}}"#,
            Taken("en14-b"),
        ),
        ("empty", "/", r#"{"":"en14-c"}"#, Taken("en14-c")),
        (
            "slash",
            "/a~1b",
            r#"{"a/b":"en14-d","a":{"b":"x"}}"#,
            Taken("en14-d"),
        ),
        (
            "tilde",
            "/m~0n",
            r#"{"m~n":"en14-e","m":"x"}"#,
            Taken("en14-e"),
        ),
        (
            "both",
            "/~01",
            r#"{"~1":"en14-f","/":"x"}"#,
            Taken("en14-f"),
        ),
        ("index", "/a/1", r#"{"a":["x","en14-g"]}"#, Taken("en14-g")),
        (
            "key-like-index",
            "/a/0",
            r#"{"a":{"0":"en14-h"}}"#,
            Taken("en14-h"),
        ),
        ("no-index", "/a/01", r#"{"a":["x","y"]}"#, Refused),
        ("absent-proto", "/toString", r#"{"a":1}"#, Refused),
        ("space", "/a b", r#"{"a b":"en14-i"}"#, Taken("en14-i")),
        (
            "above-ascii",
            "/é",
            r#"{"\u00e9":"en14-j"}"#,
            Taken("en14-j"),
        ),
    ];
    let stage = Stage::with(|upstream| {
        pointers.iter().fold(
            Config::for_upstream(upstream),
            |config, (name, pointer, ..)| {
                let route = Route::plain(upstream)
                    .set("name", &text(name))
                    .set("path", &text(&format!("/{name}")))
                    .scheme("event_id", &format!("{{ json = {} }}", text(pointer)));
                config.route(route)
            },
        )
    });
    let mut cases = Cases::new();
    for (name, _, body, end) in pointers {
        cases.case(name, || {
            check(
                &stage,
                Delivery::plain(body).target(format!("/{name}")),
                end,
            )
        });
    }
    cases.finish();
}
