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
        ("still gzip", changed(plain, &gzip(plain)), Mistake::BodyOtherForm("inflated")),
        (
            "not JSON, and escaped",
            changed("Zo\\u00eb".as_bytes(), "Zoë".as_bytes()),
            Mistake::BodyOtherForm("json-ascii"),
        ),
        ("longer than announced", surplus(changed(plain, &[plain, b"\0\0junk"].concat())), Mistake::BodyTooLong),
        ("serialised twice", changed(plain, twice.as_bytes()), Mistake::BodyInString),
        ("now UTF-8", changed(&latin, plain), Mistake::BodyCharset),
        ("now ISO 8859-1", changed(plain, &latin), Mistake::BodyCharset),
        ("a form decoded", changed(form, "text=hello world!&user=é".as_bytes()), Mistake::BodyFormEncoding),
        ("a form with other escapes", changed(form, b"text=hello%20world!&user=%c3%a9"), Mistake::BodyFormEncoding),
        ("a form was encoded", changed("a=b c".as_bytes(), b"a=b%20c"), Mistake::BodyFormEncoding),
        ("only the payload here", changed(payload.as_bytes(), plain), Mistake::BodyFormMember("payload".into())),
        ("only the payload signed", changed(plain, payload.as_bytes()), Mistake::BodyFormMember("payload".into())),
    ]);
}

#[test]
fn each_way_to_write_json_anew_is_named() {
    let body = r#"{"b": {"y": "/é<"}, "a": [1.0, {}]}"#;
    let rows = [
        (r#"{"b":{"y":"/é<"},"a":[1.0,{}]}"#, "without white space"),
        (r#"{"a":[1.0,{}],"b":{"y":"/é<"}}"#, "without white space, with sorted keys"),
        (r#"{"a": [1.0, {}], "b": {"y": "/é<"}}"#, "with a space behind each comma and colon, with sorted keys"),
        (r#"{"b":{"y":"/\u00e9<"},"a":[1.0,{}]}"#, "without white space, with all beyond ASCII escaped as \\u…"),
        (r#"{"b":{"y":"\/\u00e9<"},"a":[1.0,{}]}"#, "without white space, with slashes and all beyond ASCII escaped"),
        (r#"{"b":{"y":"/é\u003c"},"a":[1.0,{}]}"#, "without white space, with <, > and & escaped"),
        (r#"{"b":{"y":"/é<"},"a":[1,{}]}"#, "without white space, with numbers as JavaScript writes them"),
        ("{\n  \"b\": {\n    \"y\": \"/é<\"\n  },\n  \"a\": [\n    1.0,\n    {}\n  ]\n}", "indented by two spaces"),
    ];
    let rows = rows.into_iter().map(|(signed, words)| {
        (words, changed(signed.as_bytes(), body.as_bytes()), Mistake::BodyReserialised(words.to_owned()))
    });
    compare(rows.collect());
}

#[test]
fn a_body_that_looks_cut_is_suspected() {
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(3000));
    let cut = |length: usize| changed(long.as_bytes(), &long.as_bytes()[..length]);
    let text = "x".repeat(70_000);
    let of_text = |length: usize| changed(text.as_bytes(), &text.as_bytes()[..length]);
    let said = |length, announced, is_round| Mistake::BodyCut { length, announced, is_round };
    compare_suspicions(vec![
        ("at a buffer's size", cut(1024), said(1024, None, true)),
        ("in the middle of its JSON", cut(1500), said(1500, None, false)),
        ("shorter than announced", cut(1500).and("Content-Length", "3011"), said(1500, Some(3011), false)),
        ("65535 bytes of text", of_text(65_535), said(65_535, None, true)),
        (
            "unpacked on the way",
            changed(&gzip(b"{\"a\":1}"), b"{\"a\":1}").and("Content-Encoding", "gzip"),
            Mistake::BodyUnpacked,
        ),
    ]);
    // A size alone proves nothing where the document is whole.
    let whole = format!("\"{}\"", "x".repeat(1022));
    assert_eq!(changed(b"{}", whole.as_bytes()).suspicion(), None);
}

/// Signed with one URL, received under another.
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
        Sample { lines, ..path_only("https://a.example/", received) }
    };
    assert!(matches!(to("https://a.example/in/x?b=1").explained(), Explanation::Valid(_)));
    compare(vec![
        ("http", to("http://a.example/in/x?b=1"), Mistake::UrlScheme("http")),
        ("with :443", to("https://a.example:443/in/x?b=1"), Mistake::UrlPort(Some("443".into()))),
        ("with :80", to("https://a.example:80/in/x?b=1"), Mistake::UrlPort(Some("80".into()))),
        ("without a port", called("https://a.example/in/x", "https://a.example:8443", "/in/x"), Mistake::UrlPort(None)),
        (
            "another host",
            to("https://b.example/in/x?b=1").and("Host", "b.example"),
            Mistake::UrlHost("b.example".into()),
        ),
        (
            "a forwarded host",
            to("https://b.example:8443/in/x?b=1").and("Host", "10.0.0.1").and("X-Forwarded-Host", "b.example:8443"),
            Mistake::UrlHost("b.example:8443".into()),
        ),
        (
            "Forwarded",
            to("https://b.example/in/x?b=1").and("Forwarded", "for=10.0.0.1;host=\"b.example\";proto=https"),
            Mistake::UrlHost("b.example".into()),
        ),
        ("a slash more", to("https://a.example/in/x/?b=1"), Mistake::UrlSlash { is_signed: true }),
        ("a slash less", called("https://a.example/in", own, "/in/"), Mistake::UrlSlash { is_signed: false }),
        ("no query", to("https://a.example/in/x"), Mistake::UrlQueryNotSigned),
        (
            "a prefix stripped",
            to("https://a.example/api/in/x?b=1").and("X-Forwarded-Prefix", "/api"),
            Mistake::UrlPath("/api/in/x".into()),
        ),
        (
            "the target before it was rewritten",
            to("https://a.example/hook?b=1").and("X-Original-URI", "/hook?b=1"),
            Mistake::UrlPath("/hook".into()),
        ),
        (
            "a path of its own",
            called("https://a.example/in/x", "https://a.example/other", "/in/x"),
            Mistake::UrlPath("/in/x".into()),
        ),
        ("escapes undone", called("https://a.example/in/~x", own, "/in/%7Ex"), Mistake::UrlEncoding),
        ("escapes in lower case", called("https://a.example/in/%c3%a9", own, "/in/%C3%A9"), Mistake::UrlEncoding),
        ("escapes made", called("https://a.example/x?u=a%2Cb", own, "/x?u=a,b"), Mistake::UrlEncoding),
        (
            "scheme, host and port",
            to("http://b.example:8080/in/x?b=1").and("Host", "b.example:8080"),
            Mistake::UrlOther("http://b.example:8080/in/x".into()),
        ),
        ("only the path is signed", path_signed("/in/x/", "/in/x"), Mistake::UrlSlash { is_signed: true }),
    ]);
    let no_host = to("https://elsewhere.example/in/x?b=1").and("Host", "b.example");
    assert!(matches!(no_host.explained(), Explanation::Unexplained { .. }));
    assert_eq!(Sample::good().target, TARGET);
}

#[test]
fn in_a_large_body_a_mistake_late_in_the_list_is_still_found() {
    let large = format!("{{\"text\": \"{}\", \"n\": 1}}", "x".repeat(200_000));
    let compact = large.replace(": ", ":").replace(", ", ",");
    let words = "without white space".to_owned();
    let other = Scheme { provider: "acme".into(), ..timestamped("v0:{timestamp}:{body}") };
    compare(vec![
        ("written anew", changed(compact.as_bytes(), large.as_bytes()), Mistake::BodyReserialised(words)),
        (
            "another provider",
            Sample { presets: vec![other.clone()], ..Sample::sent(&other, SECRET, large.as_bytes()) },
            Mistake::OtherProvider("acme".into()),
        ),
    ]);
}
