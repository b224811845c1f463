//! Bodies cut, packed or decoded, URLs changed on the way, and the bound of the work.

use super::*;
use crate::explain::tests::fixtures::{TARGET, compare_suspicions};
use crate::scheme::tests::fixtures::plain;
use std::io::Write as _;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn more_mistakes_with_the_body_are_named() {
    let plain = BODY.as_bytes();
    let form = b"text=hello+world%21&user=%C3%A9";
    let latin: Vec<u8> = BODY.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let twice = serde_json::to_string(BODY).unwrap();
    let payload: String = "payload=".to_owned()
        + &BODY
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('"', "%22")
            .replace(':', "%3A")
            .replace(',', "%2C")
            .replace('/', "%2F")
            .replace('ë', "%C3%AB");
    let surplus = |sample: Sample| sample.and("Content-Length", &BODY.len().to_string());
    compare(vec![
        (
            "still gzip",
            changed(plain, &gzip(plain)),
            "body_other_form: gzip",
        ),
        (
            "not JSON, and escaped",
            changed("Zo\\u00eb".as_bytes(), "Zoë".as_bytes()),
            "body_other_form: json-ascii",
        ),
        (
            "longer than announced",
            surplus(changed(plain, &[plain, b"\0\0junk"].concat())),
            "body_too_long",
        ),
        (
            "serialised twice",
            changed(plain, twice.as_bytes()),
            "body_in_string",
        ),
        ("now UTF-8", changed(&latin, plain), "body_charset"),
        ("now ISO 8859-1", changed(plain, &latin), "body_charset"),
        (
            "a form decoded",
            changed(form, "text=hello world!&user=é".as_bytes()),
            "body_form_encoding",
        ),
        (
            "a form with other escapes",
            changed(form, b"text=hello%20world!&user=%c3%a9"),
            "body_form_encoding",
        ),
        (
            "a form was encoded",
            changed("a=b c".as_bytes(), b"a=b%20c"),
            "body_form_encoding",
        ),
        (
            "only the payload here",
            changed(payload.as_bytes(), plain),
            "body_form_member: `payload`",
        ),
        (
            "only the payload signed",
            changed(plain, payload.as_bytes()),
            "body_form_member: `payload`",
        ),
    ]);
}

#[test]
fn each_way_to_write_json_again_is_named() {
    let body = r#"{"b": {"y": "/é<"}, "a": [1.0, {}]}"#;
    let rows = [
        (r#"{"b":{"y":"/é<"},"a":[1.0,{}]}"#, "without white space"),
        (
            r#"{"a":[1.0,{}],"b":{"y":"/é<"}}"#,
            "without white space, with sorted keys",
        ),
        (
            r#"{"a": [1.0, {}], "b": {"y": "/é<"}}"#,
            "with a space after each comma and colon, with sorted keys",
        ),
        (
            r#"{"b":{"y":"/\u00e9<"},"a":[1.0,{}]}"#,
            "without white space, with all characters beyond ASCII escaped as \\u…",
        ),
        (
            r#"{"b":{"y":"\/\u00e9<"},"a":[1.0,{}]}"#,
            "without white space, with slashes and all characters beyond ASCII escaped",
        ),
        (
            r#"{"b":{"y":"/é\u003c"},"a":[1.0,{}]}"#,
            "without white space, with <, > and & escaped",
        ),
        (
            r#"{"b":{"y":"/é<"},"a":[1,{}]}"#,
            "without white space, with numbers as JavaScript writes them",
        ),
        (
            "{\n  \"b\": {\n    \"y\": \"/é<\"\n  },\n  \"a\": [\n    1.0,\n    {}\n  ]\n}",
            "indented by two spaces",
        ),
    ];
    let rows = rows.into_iter().map(|(signed, words)| {
        (
            words,
            changed(signed.as_bytes(), body.as_bytes()),
            format!("body_reserialised: JSON {words}."),
        )
    });
    compare(rows.collect());
}

#[test]
fn a_body_that_looks_cut_is_suspected() {
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(3000));
    let cut = |length: usize| changed(long.as_bytes(), &long.as_bytes()[..length]);
    let text = "x".repeat(70_000);
    let of_text = |length: usize| changed(text.as_bytes(), &text.as_bytes()[..length]);
    compare_suspicions(vec![
        (
            "at a buffer's size",
            cut(1024),
            "body_cut: after 1024 bytes … buffer",
        ),
        (
            "in the middle of its JSON",
            cut(1500),
            "body_cut: JSON … after 1500 bytes",
        ),
        (
            "shorter than announced",
            cut(1500).and("Content-Length", "3011"),
            "body_cut: 1500 bytes … 3011",
        ),
        (
            "65535 bytes of text",
            of_text(65_535),
            "body_cut: after 65535 bytes … buffer",
        ),
        (
            "unpacked on the way",
            changed(&gzip(b"{\"a\":1}"), b"{\"a\":1}").and("Content-Encoding", "gzip"),
            "body_unpacked",
        ),
    ]);
    // A size alone proves nothing if the document is whole.
    let whole = format!("\"{}\"", "x".repeat(1022));
    assert_eq!(changed(b"{}", whole.as_bytes()).suspicion(), None);
}

/// A delivery signed with the URL `signed`, and received for another.
fn called(signed: &str, public_url: &str, received: &str) -> Sample {
    let scheme = plain("{url}{body}");
    let (begin, rest) = signed.split_once("://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let request = crate::sign::SignRequest {
        method: "POST",
        target,
        body: BODY.as_bytes(),
        id: None,
        at: crate::clock::UnixMillis::from_secs(AT),
        public_url: Some(&format!("{begin}://{host}")),
        headers: &[],
    };
    Sample {
        lines: crate::sign::sign(&scheme, &secret("s", SECRET), &request).unwrap(),
        scheme,
        target: received.to_owned(),
        public_url: Some(public_url.to_owned()),
        ..Sample::good()
    }
}

#[test]
fn mistakes_with_the_url_are_named() {
    let own = "https://a.example";
    let to = |signed: &str| called(signed, own, "/in/x?b=1");
    let path_only = |signed: &str, received: &str| Sample {
        scheme: plain("{path}.{body}"),
        lines: called(signed, own, received).lines,
        target: received.to_owned(),
        ..Sample::good()
    };
    // Signed over the path alone, which the URL's own signature is not.
    let path_signed = |signed: &str, received: &str| {
        let sent = plain("{path}.{body}");
        let request = crate::sign::SignRequest {
            method: "POST",
            target: signed,
            body: BODY.as_bytes(),
            id: None,
            at: crate::clock::UnixMillis::from_secs(AT),
            public_url: None,
            headers: &[],
        };
        let lines = crate::sign::sign(&sent, &secret("s", SECRET), &request).unwrap();
        Sample {
            lines,
            ..path_only("https://a.example/", received)
        }
    };
    assert!(matches!(
        to("https://a.example/in/x?b=1").explained(),
        Explanation::Valid(_)
    ));
    compare(vec![
        (
            "http",
            to("http://a.example/in/x?b=1"),
            "url_scheme: `http://`",
        ),
        (
            "with :443",
            to("https://a.example:443/in/x?b=1"),
            "url_port: `:443`",
        ),
        (
            "with :80",
            to("https://a.example:80/in/x?b=1"),
            "url_port: `:80`",
        ),
        (
            "without a port",
            called("https://a.example/in/x", "https://a.example:8443", "/in/x"),
            "url_port: names no port",
        ),
        (
            "another host",
            to("https://b.example/in/x?b=1").and("Host", "b.example"),
            "url_host: `b.example`",
        ),
        (
            "a forwarded host",
            to("https://b.example:8443/in/x?b=1")
                .and("Host", "10.0.0.1")
                .and("X-Forwarded-Host", "b.example:8443"),
            "url_host: `b.example:8443`",
        ),
        (
            "Forwarded",
            to("https://b.example/in/x?b=1")
                .and("Forwarded", "for=10.0.0.1;host=\"b.example\";proto=https"),
            "url_host: `b.example`",
        ),
        (
            "a slash more",
            to("https://a.example/in/x/?b=1"),
            "url_slash: ends in a slash",
        ),
        (
            "a slash less",
            called("https://a.example/in", own, "/in/"),
            "url_slash: does not end in a slash",
        ),
        (
            "no query",
            to("https://a.example/in/x"),
            "url_query_not_signed",
        ),
        (
            "a prefix stripped",
            to("https://a.example/api/in/x?b=1").and("X-Forwarded-Prefix", "/api"),
            "url_path: `/api/in/x`",
        ),
        (
            "the target before it was rewritten",
            to("https://a.example/hook?b=1").and("X-Original-URI", "/hook?b=1"),
            "url_path: `/hook`",
        ),
        (
            "a path of its own",
            called("https://a.example/in/x", "https://a.example/other", "/in/x"),
            "url_path: `/in/x`",
        ),
        (
            "escapes undone",
            called("https://a.example/in/~x", own, "/in/%7Ex"),
            "url_encoding",
        ),
        (
            "escapes in lower case",
            called("https://a.example/in/%c3%a9", own, "/in/%C3%A9"),
            "url_encoding",
        ),
        (
            "escapes made",
            called("https://a.example/x?u=a%2Cb", own, "/x?u=a,b"),
            "url_encoding",
        ),
        (
            "scheme, host and port",
            to("http://b.example:8080/in/x?b=1").and("Host", "b.example:8080"),
            "url_other: `http://b.example:8080/in/x`",
        ),
        (
            "only the path is signed",
            path_signed("/in/x/", "/in/x"),
            "url_slash: ends in a slash",
        ),
    ]);
    let no_host = to("https://elsewhere.example/in/x?b=1").and("Host", "b.example");
    expect(no_host.suspicion().as_ref(), "url_unknown: `public_url`");
    assert_eq!(Sample::good().target, TARGET);
    let other_path = path_signed("/in/quite/another", "/in/x").suspicion();
    expect(other_path.as_ref(), "target_unknown: `/in/x`");
}

#[test]
fn in_a_large_body_a_mistake_late_in_the_list_is_still_found() {
    let large = format!("{{\"text\": \"{}\", \"n\": 1}}", "x".repeat(200_000));
    let compact = large.replace(": ", ":").replace(", ", ",");
    let other = Scheme {
        provider: "acme".into(),
        ..timestamped("v0:{timestamp}:{body}")
    };
    compare(vec![
        (
            "written anew",
            changed(compact.as_bytes(), large.as_bytes()),
            "body_reserialised: JSON without white space.",
        ),
        (
            "another provider",
            Sample {
                presets: vec![other.clone()],
                ..Sample::sent(&other, SECRET, large.as_bytes())
            },
            "other_provider: `acme`",
        ),
    ]);
}
