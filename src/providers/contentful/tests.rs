//! Signatures of the provider's library, 3.16.1, and attacks on them.

use super::super::tests::codes::Delivery;
use super::*;
use crate::clock::UnixMillis;

const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHORT: &str = "x-contentful-signed-headers,x-contentful-timestamp";
const TYPED: &str = "content-type,x-contentful-signed-headers,x-contentful-timestamp";
const JSON: &str = "application/json; charset=utf-8";

fn sent(target: &str, list: &str, signature: &str, body: &[u8]) -> Delivery {
    let time = "1750000000000";
    Delivery::new(
        target,
        &[
            (SIGNATURE, signature),
            (SIGNED_HEADERS, list),
            (TIMESTAMP, time),
        ],
        body,
    )
}

#[test]
fn deliveries_of_the_provider_s_library_are_proved() {
    let topic =
        "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic";
    let body =
        br#"{"id":"evt_0001","type":"conversation.ended","created":"2026-04-19T14:30:00.000000+00:00","data":{"n":1}}"#;
    let signature = "3a52643c4b74ae031f6162dda1cfdfcaf8526eaeddb6dfc7325a520a4801782a";
    let full = sent("/in/contentful", topic, signature, body)
        .with("X-Contentful-Topic", "ContentManagement.Entry.publish")
        .with(
            "Content-Type",
            "application/vnd.contentful.management.v1+json",
        );
    assert_eq!(full.code("contentful", KEY), None);
    assert_eq!(full.code("contentful", "k"), Some("bad_signature"));
    let empty = sent(
        "/in/contentful",
        SHORT,
        "d8eeac4e285b89b4e62fa2e8b6587bafe9b3c55eacf26918e0fe98efeee4e283",
        b"",
    );
    assert_eq!(empty.code("contentful", KEY), None);
    let escaped = "bad25217f3f5d098715fd5f39a80e6ae131a465e6f96382574c95494064b86cf";
    let escaped = sent(
        "/in/contentful/%C3%A9",
        SHORT,
        escaped,
        b"{\r\n  \"id\": \"evt_0003\"\r\n}\r\n",
    );
    assert_eq!(escaped.code("contentful", KEY), None);
    let rows = [
        (
            "/in/contentful?x=1&y=a%20b",
            "ee3a98734287f15c11a87aca79b9adb50e0b64719b0174f3ae9548a345526082",
        ),
        (
            "/in/contentful?x=1&y=a%20b",
            "db439a8f45d4fe2a6377742daef7d4aa6b56a65720b83e5d0aa107ab9d556a6f",
        ),
        (
            "/in/contentful/%C3%A9?q=%C3%BC",
            "8e506b9a2f40b086dc68633f32e01554e5c87e47e2a534ffa004449f5954e8b9",
        ),
        (
            "/in/contentful/%C3%A9?q=%C3%BC",
            "8c0a1e3eec903d77ac7859f181217de3b49aa59fabb076df843c9ff82eb47611",
        ),
        (
            "/in/c?a=1&b=%5Bx%5D",
            "48dcc1bcf8f63e47153901789335425fcc243e22ced308632279885b5fba0b9b",
        ),
    ];
    for (target, signature) in rows {
        let delivery = sent(target, TYPED, signature, b"{}").with("Content-Type", JSON);
        assert_eq!(
            delivery.code("contentful", KEY),
            None,
            "{target} {signature}"
        );
    }
}

#[test]
fn a_target_is_taken_for_its_text_only_where_no_other_target_could_be() {
    let rows: &[(&str, Option<&str>)] = &[
        ("/a", Some("/a")),
        ("/%C3%A9%20", Some("/\u{e9} ")),
        ("/%c3%a9", None),
        ("/%2F", None),
        ("/%41", None),
        ("/%25", None),
        ("/%5C", None),
        ("/%0A", None),
        ("/%7F", None),
        ("/%", None),
        ("/%2", None),
        ("/%+1", None),
    ];
    for (text, expected) in rows {
        assert_eq!(
            plain(text.as_bytes()),
            expected.map(|text| text.as_bytes().to_vec()),
            "{text}"
        );
    }
}

#[test]
fn the_list_must_name_itself_and_the_timestamp_and_what_is_there_once_in_order() {
    // Each list is signed as given, so that only the form of the list can be the reason for a
    // refusal.
    let code = |list: &str| {
        let value = |name: &str| match name {
            SIGNED_HEADERS => list,
            TIMESTAMP => "1750000000000",
            "a" | "A" => "1",
            "b" => "2",
            _ => "",
        };
        let headers: Vec<_> = list
            .split(',')
            .map(|name| format!("{name}:{}", value(name)))
            .collect();
        let content = format!("POST\n/in\n{}\n{{}}", headers.join(";"));
        let signature =
            reading::signed(content.as_bytes(), ALGORITHM, KEY.as_bytes(), Encoding::Hex).unwrap();
        sent("/in", list, &signature, b"{}")
            .with("A", "1")
            .with("B", "2")
            .code("contentful", KEY)
    };
    let malformed = Some("malformed_signature");
    assert_eq!(code(SHORT), None);
    assert_eq!(code(&format!("a,b,{SHORT}")), None);
    for (why, list) in [
        ("nothing", String::new()),
        ("not itself", TIMESTAMP.to_owned()),
        ("not the timestamp", SIGNED_HEADERS.to_owned()),
        ("not sorted", format!("b,a,{SHORT}")),
        ("twice", format!("a,a,{SHORT}")),
        ("capitals", format!("A,{SHORT}")),
        ("white space", SHORT.replace(',', ", ")),
        ("not there", format!("a,c,{SHORT}")),
        ("an empty name", format!(",{SHORT}")),
        (
            "an alias of one",
            SHORT.replace("x-contentful-timestamp", "x-contentful_timestamp"),
        ),
    ] {
        assert_eq!(code(&list), malformed, "{why}");
    }
}

#[test]
fn a_header_that_could_hold_the_next_one_is_refused() {
    let good =
        |a: &str, b: &str| Delivery::new("/in", &[("a", a), ("b", b)], b"{}").code_when_signed();
    assert_eq!(good("1;c:2", "3"), Ok(()));
    assert_eq!(good("1", "2;b:3"), Ok(()));
    assert_eq!(good("1;b:2", "3").unwrap_err(), NOT_DIVIDED);
}

impl Delivery {
    /// The verdict on this delivery, once it is signed.
    fn code_when_signed(self) -> Result<(), Refusal> {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|(n, v)| (n.as_str(), std::str::from_utf8(v).unwrap()))
            .collect();
        let request = SignRequest {
            method: self.method,
            target: &self.target,
            body: &self.body,
            id: None,
            at: UnixMillis(super::super::tests::codes::NOW_MS),
            public_url: None,
            headers: &lines,
        };
        let key = CodeKey {
            algorithm: ALGORITHM,
            bytes: KEY.as_bytes(),
            components: &[],
        };
        Contentful.sign(key, &request).map(drop)
    }
}

#[test]
fn what_stands_behind_a_second_question_mark_is_not_signed_and_refused() {
    let good = Delivery::new("/in?a=1", &[], b"").signed("contentful", KEY, None);
    assert_eq!(good.code("contentful", KEY), None);
    let longer = Delivery {
        target: "/in?a=1?b=2".into(),
        ..good
    };
    assert_eq!(longer.code("contentful", KEY), Some("malformed_signature"));
}

#[test]
fn method_path_and_headers_are_signed_and_the_time_must_be_a_number() {
    let good =
        Delivery::new("/in", &[("x-contentful-topic", "t")], b"{}").signed("contentful", KEY, None);
    assert_eq!(good.code("contentful", KEY), None);
    assert_eq!(
        Delivery {
            method: "PUT",
            ..good.clone()
        }
        .code("contentful", KEY),
        Some("bad_signature")
    );
    assert_eq!(
        Delivery {
            target: "/in/".into(),
            ..good.clone()
        }
        .code("contentful", KEY),
        Some("bad_signature")
    );
    for (time, expected) in [
        ("", "missing_timestamp"),
        ("1750000000000.0", "malformed_timestamp"),
        ("01750000000000", "malformed_timestamp"),
        ("1750000000", "stale_timestamp"),
        ("1750000000001", "bad_signature"),
    ] {
        let mut delivery = good.clone();
        delivery
            .lines
            .iter_mut()
            .find(|(name, _)| name == TIMESTAMP)
            .unwrap()
            .1 = time.into();
        assert_eq!(delivery.code("contentful", KEY), Some(expected), "{time}");
    }
    let mut without = good;
    without.lines.retain(|(name, _)| name != TIMESTAMP);
    assert_eq!(without.code("contentful", KEY), Some("missing_timestamp"));
}
