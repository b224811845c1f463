//! `explain`: the common mistake without which a rejected delivery would match (contract: Command line).

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::stage::{Ended, Folder};
use crate::support::cases::Cases;
use crate::support::delivery::{event_with, sign};
use crate::support::now;

const SECRET: &str = "a-secret-of-the-environment";

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length will do");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn headers(timestamp: &str, signature: &str) -> String {
    format!("X-Webhook-Timestamp: {timestamp}\nX-Webhook-Signature-256: {signature}\n")
}

fn explain(folder: &Folder, provider: &str, headers: &str, body: &[u8]) -> Ended {
    folder.write("headers.txt", headers);
    folder.write("body", body);
    folder.run([
        "explain",
        "--provider",
        provider,
        "--secret",
        "env:S",
        "--headers",
        "headers.txt",
        "--body",
        "body",
    ])
}

/// Expects a rejection whose words name the mistake in any of these ways.
#[track_caller]
fn expect_named(ended: &Ended, words: &[&str]) {
    ended.expect_code(1).expect_hidden(&["panicked"]);
    let text = ended.all().to_lowercase();
    assert!(
        words.iter().any(|word| text.contains(word)),
        "none of {words:?} in {ended}"
    );
}

#[test]
fn a_valid_delivery_needs_no_explanation() {
    let folder = Folder::new().env("S", SECRET);
    let (body, at) = (event_with("a"), now().to_string());
    let ended = explain(
        &folder,
        "itellico",
        &headers(&at, &sign(SECRET, &body, &at)),
        &body,
    );
    ended
        .expect_code(0)
        .expect_words(&["valid"])
        .expect_hidden(&[SECRET]);
}

#[test]
fn common_mistakes_are_named() {
    let (body, at) = (event_with("a"), now().to_string());
    let millis = format!("{at}000");
    // The body as a serialiser with spaces after its commas and colons writes it.
    let text = String::from_utf8(body.clone()).expect("UTF-8");
    let spaced = text
        .replace("\":", "\": ")
        .replace(",\"", ", \"")
        .into_bytes();
    let dots: [&[u8]; 3] = [at.as_bytes(), b".", &body];
    let mut cases = Cases::new();
    let with_newline = format!("{SECRET}\n");
    // A single line end at the end of a variable is dropped when it is read.
    let with_two = format!("{SECRET}\n\n");
    for (name, secret, signature, timestamp, captured, words) in [
        (
            "the sender's secret ends in a line end",
            SECRET,
            sign(&with_newline, &body, &at),
            &at,
            &body,
            &["newline", "line end", "line feed", "line break"][..],
        ),
        (
            "the secret here ends in a line end",
            with_two.as_str(),
            sign(SECRET, &body, &at),
            &at,
            &body,
            &["newline", "line end", "line feed", "line break"],
        ),
        (
            "the body was written anew",
            SECRET,
            sign(SECRET, &body, &at),
            &at,
            &spaced,
            &["serial", "re-encoded", "reformatted", "white space"],
        ),
        (
            "the parts are in the wrong order",
            SECRET,
            hex::encode(hmac(SECRET.as_bytes(), &dots)),
            &at,
            &body,
            &["order"],
        ),
        (
            "milliseconds for seconds",
            SECRET,
            sign(SECRET, &body, &millis),
            &millis,
            &body,
            &["millisecond"],
        ),
        (
            "base64 instead of hex",
            SECRET,
            STANDARD.encode(hmac(SECRET.as_bytes(), &[&body, b".", at.as_bytes()])),
            &at,
            &body,
            &["base64"],
        ),
    ] {
        cases.case(name, || {
            let folder = Folder::new().env("S", secret);
            let ended = explain(
                &folder,
                "itellico",
                &headers(timestamp, &signature),
                captured,
            );
            expect_named(&ended, words);
            ended.expect_hidden(&[SECRET]);
        });
    }
    cases.case("a base64 secret that was not decoded", || {
        let text = STANDARD.encode(b"0123456789abcdef0123456789abcdef");
        let folder = Folder::new().env("S", &text);
        let mac = hmac(
            b"0123456789abcdef0123456789abcdef",
            &[&body, b".", at.as_bytes()],
        );
        expect_named(
            &explain(&folder, "itellico", &headers(&at, &hex::encode(mac)), &body),
            &["base64"],
        );
    });
    cases.finish();
}

#[test]
fn what_no_mistake_explains_is_said_to_be_so() {
    let folder = Folder::new().env("S", SECRET);
    let (body, at) = (event_with("a"), now().to_string());
    let ended = explain(
        &folder,
        "itellico",
        &headers(&at, &sign("another secret", &body, &at)),
        &body,
    );
    ended
        .expect_code(1)
        .expect_words(&["bad_signature"])
        .expect_hidden(&[SECRET]);
}

#[test]
fn a_secret_of_another_route_is_named_by_its_route() {
    let folder = Folder::new()
        .env("S", SECRET)
        .env("T", "the-secret-of-the-shop");
    let route = |name: &str, secret: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}\"\nprovider = \"itellico\"\nsecrets = [\"env:{secret}\"]\n\
             upstream = \"http://127.0.0.1:3000\"\n"
        )
    };
    folder.write("verigate.toml", route("calls", "S") + &route("shop", "T"));
    let (body, at) = (event_with("a"), now().to_string());
    folder.write(
        "headers.txt",
        headers(&at, &sign("the-secret-of-the-shop", &body, &at)),
    );
    folder.write("body", &body);
    let arguments = [
        "explain",
        "--route",
        "calls",
        "--config",
        "verigate.toml",
        "--headers",
        "headers.txt",
    ];
    let ended = folder.run(arguments.iter().chain(&["--body", "body"]));
    expect_named(&ended, &["route `shop`"]);
    ended.expect_hidden(&[SECRET, "the-secret-of-the-shop"]);
}

#[test]
fn a_delivery_of_another_provider_is_named_by_it() {
    let key = b"0123456789abcdef0123456789abcdef";
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let folder = Folder::new().env("S", &secret);
    let (body, at) = (event_with("a"), now().to_string());
    let mac = STANDARD.encode(hmac(key, &[b"msg_1.", at.as_bytes(), b".", &body]));
    let svix = format!("svix-id: msg_1\nsvix-timestamp: {at}\nsvix-signature: v1,{mac}\n");
    let ended = explain(&folder, "stripe", &svix, &body);
    expect_named(&ended, &["`svix`"]);
    ended.expect_hidden(&[&secret, &mac]);
}

#[test]
fn a_raw_message_on_standard_input_brings_its_body() {
    let folder = Folder::new().env("S", SECRET);
    let (body, at) = (event_with("a"), now().to_string());
    let text = String::from_utf8(body.clone()).expect("UTF-8");
    let head = headers(&at, &sign(SECRET, &body, &at));
    for command in ["verify", "explain"] {
        let judge = |input: &str| {
            let arguments = [
                "--provider",
                "itellico",
                "--secret",
                "env:S",
                "--headers",
                "-",
            ];
            folder.pipe(std::iter::once(command).chain(arguments), input.as_bytes())
        };
        judge(&format!("POST /in HTTP/1.1\nHost: a\n{head}\n{text}")).expect_code(0);
        judge(&head)
            .expect_code(2)
            .expect_words(&["holds no body", "--body FILE"]);
        judge("no header").expect_code(2).expect_words(&[
            "-:1: this line has no colon",
            "raw HTTP message",
            "curl -v",
            "JSON object",
        ]);
    }
}

#[test]
fn a_probe_of_the_endpoint_is_named() {
    let folder = Folder::new().env("S", SECRET);
    let answered = "a running gateway answers it";
    for (provider, headers, body, words) in [
        ("woocommerce", "A: b\n", "webhook_id=1", answered),
        ("slack", "A: b\n", "ssl_check=1&token=x", answered),
        ("bitbucket", "A: b\n", "{\"test\": true}", answered),
        (
            "cal-com",
            "X-Cal-Signature-256: no-secret-provided\n",
            "{\"triggerEvent\":\"PING\"}",
            "the ping test of a webhook without a secret",
        ),
    ] {
        expect_named(
            &explain(&folder, provider, headers, body.as_bytes()),
            &[words],
        );
    }
}

/// Runs `explain` on headers alone, with further arguments.
fn candidates(folder: &Folder, headers: &str, more: &[&str]) -> Ended {
    folder.write("headers.txt", headers);
    let arguments = ["explain", "--headers", "headers.txt"];
    folder.run(arguments.iter().chain(more))
}

#[test]
fn headers_alone_name_the_providers_that_they_may_come_from() {
    let folder = Folder::new()
        .env("S", SECRET)
        .env("OTHER", "another-secret-0123");
    let body = event_with("a");
    folder.write("body", &body);
    let mac = hmac(SECRET.as_bytes(), &[&body]);
    let (hex, base64) = (hex::encode(&mac), STANDARD.encode(&mac));
    let of = |value: &str| format!("Webhook-Signature: {value}\n");
    let mut cases = Cases::new();
    for (name, headers, first, words) in [
        (
            "hex of SHA-256",
            of(&hex),
            "gocardless",
            "64 hexadecimal digits",
        ),
        (
            "hex of SHA-1",
            of(&hex.chars().take(40).collect::<String>()),
            "pusher-beams",
            "40 hexadecimal digits",
        ),
        ("base64", of(&base64), "mautic", "base64 of 32 bytes"),
        (
            "a list",
            of(&format!("time=1750000000,sig1={hex}")),
            "cloudflare-stream",
            "`time`, `sig1`",
        ),
        (
            "a header of its own",
            format!("x-gitea-signature: {hex}\n"),
            "gitea",
            "single provider",
        ),
    ] {
        cases.case(name, || {
            let ended = candidates(&folder, &headers, &[]);
            ended
                .expect_code(0)
                .expect_words(&[words])
                .expect_hidden(&[&hex, &base64]);
            let ended = candidates(&folder, &headers, &["--json"]);
            let object: Value = serde_json::from_str(&ended.stdout).expect("a JSON object");
            assert_eq!(object["candidates"][0]["provider"], first, "{ended}");
            assert_eq!(object["candidates"][0]["proved"], Value::Null);
        });
    }
    cases.case("no provider", || {
        candidates(&folder, "X-Nothing: 1\n", &[])
            .expect_code(1)
            .expect_words(&["No provider of this version sends such headers"]);
    });
    cases.case("a named provider", || {
        candidates(&folder, &of(&hex), &["--provider", "github"])
            .expect_code(0)
            .expect_words(&["The headers of `github` are not there", "gocardless"]);
    });
    cases.case("with body and secret", || {
        let headers = format!("X-Webhook-Signature: {hex}\n");
        let with = |secret| ["--body", "body", "--secret", secret];
        let ended = candidates(&folder, &headers, &with("env:S"));
        ended
            .expect_code(0)
            .expect_words(&["also signed so", "`bland`", "no delivery tells them apart"])
            .expect_hidden(&[SECRET, &hex]);
        candidates(&folder, &headers, &with("env:OTHER"))
            .expect_code(1)
            .expect_words(&["the signature holds under no such scheme"]);
    });
    cases.finish();
}

#[test]
fn a_provider_that_signs_like_others_is_not_said_to_be_the_only_one() {
    let folder = Folder::new().env("S", SECRET);
    let body = event_with("a");
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[&body]));
    let ended = explain(
        &folder,
        "github",
        &format!("X-Webhook-Signature: {mac}\n"),
        &body,
    );
    expect_named(&ended, &["each of these providers signs: `bland`"]);
    let gitea = format!("X-Gitea-Signature: {mac}\nX-Gitea-Event: push\n");
    expect_named(
        &explain(&folder, "github", &gitea, &body),
        &["as the provider `gitea` signs."],
    );
}

/// A signature that was compared is well formed, whatever is around it in its header.
#[test]
fn a_changed_body_is_not_taken_for_a_signature_of_another_form() {
    for (provider, id) in [("outpost", "outpost-001"), ("keygen", "keygen-001")] {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../vectors/second.json")).expect("JSON");
        let vector = vectors.iter().find(|vector| vector["id"] == id).expect(id);
        let headers = vector["headers"].as_object().expect("headers");
        let lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.as_str().expect("a text")))
            .collect();
        let secret = vector["secret"]["value"].as_str().expect("a secret");
        let folder = Folder::new().env("S", secret);
        folder.write("headers", lines.join("\n"));
        folder.write("body", r#"{"x":"y"}"#);
        let (url, now) = (
            &vector["url"],
            vector["now"].as_i64().unwrap_or(1_750_000_000),
        );
        let explained = folder.run([
            "explain",
            "--provider",
            provider,
            "--secret",
            "env:S",
            "--headers",
            "headers",
            "--body",
            "body",
            "--url",
            url.as_str().expect("a URL"),
            "--at",
            &now.to_string(),
        ]);
        let said = explained.to_string();
        assert!(
            said.contains("bad_signature") && !said.contains("other signs"),
            "{said}"
        );
    }
}

#[test]
fn a_signature_in_the_query_or_in_the_body_names_its_provider() {
    let folder = Folder::new().env("S", SECRET);
    let body = event_with("a");
    folder.write("body", &body);
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[&body]));
    let line = format!("POST /in?signature={mac} HTTP/1.1\nHost: a\n");
    let with_body = ["--body", "body", "--secret", "env:S"];
    for more in [&[][..], &with_body] {
        candidates(&folder, &line, more)
            .expect_code(0)
            .expect_words(&["pandadoc", "parameter `signature` of the URL's query"])
            .expect_hidden(&[&mac, SECRET]);
    }
    let hash = hex::encode(hmac(SECRET.as_bytes(), &[b"document_sent@1750000000"]));
    let event = format!(
        "{{\"event\":{{\"type\":\"document_sent\",\"time\":1750000000,\"hash\":\"{hash}\"}}}}"
    );
    folder.write("body", &event);
    candidates(&folder, "Host: a\n", &with_body)
        .expect_code(0)
        .expect_words(&["The signature holds as `signwell` signs", "`/event/hash`"])
        .expect_hidden(&[&hash, SECRET]);
}

#[test]
fn the_text_of_a_route_counts_for_every_candidate() {
    let folder = Folder::new().env("S", SECRET);
    let body = event_with("a");
    folder.write("body", &body);
    let mac = hex::encode(hmac(SECRET.as_bytes(), &[b"key-17", &body]));
    let headers = format!("Authorization: {mac}\nX-App: key-17\n");
    let with = |param| ["--body", "body", "--secret", "env:S", "--param", param];
    candidates(&folder, &headers, &with("app_key=key-17"))
        .expect_code(0)
        .expect_words(&["The signature holds as `tiktok-shop` signs"]);
    candidates(&folder, &headers, &["--body", "body", "--secret", "env:S"])
        .expect_code(1)
        .expect_words(&["add `--param app_key=TEXT`"]);
    candidates(&folder, &headers, &with("shop=1"))
        .expect_code(2)
        .expect_words(&["`--param shop` is no param of any provider", "`app_key`"]);
    let named = |secret: &str, param: &str| {
        let subject = [
            "--provider",
            "tiktok-shop",
            "--secret",
            secret,
            "--param",
            param,
        ];
        candidates(
            &folder,
            &headers,
            &[&subject[..], &["--body", "body"]].concat(),
        )
    };
    named("env:S", "app_key=other")
        .expect_code(1)
        .expect_words(&["the param `app_key`", "in the header `x-app`"])
        .expect_hidden(&["key-17", SECRET]);
    let folder = folder.env("S", "somebody-else-s-0123");
    let subject = [
        "--provider",
        "tiktok-shop",
        "--secret",
        "env:S",
        "--param",
        "app_key=k",
    ];
    candidates(
        &folder,
        &headers,
        &[&subject[..], &["--body", "body"]].concat(),
    )
    .expect_code(1)
    .expect_words(&["the text of `app_key` in `params`", "are unconfirmed"]);
}

#[test]
fn a_valid_signature_does_not_hide_what_the_gateway_would_refuse_or_nothing_proves() {
    let folder = Folder::new().env("S", SECRET);
    let body = event_with("a");
    let mut mac = Hmac::<sha2::Sha512>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(&body);
    let mac = hex::encode(mac.finalize().into_bytes());
    let put = format!("PUT / HTTP/1.1\nX-Hook-Signature: {mac}\n");
    explain(&folder, "netbox", &put, &body)
        .expect_code(0)
        .expect_words(&[
            "valid",
            "405 `method_not_allowed`",
            "methods = [\"POST\", \"PUT\"]",
        ]);
    let token = format!("X-Telegram-Bot-Api-Secret-Token: {SECRET}\n");
    explain(&folder, "telegram", &token, &body)
        .expect_code(0)
        .expect_words(&["valid", "nothing signs the body"]);
}

#[test]
fn the_words_follow_what_is_known_of_the_provider() {
    let folder = Folder::new().env("S", SECRET);
    let body = event_with("a");
    let linkedin = hex::encode(hmac(SECRET.as_bytes(), &[b"hmacsha256=", &body]));
    explain(
        &folder,
        "linkedin",
        &format!("X-LI-Signature: hmacsha256={linkedin}\n"),
        &body,
    )
    .expect_code(1)
    .expect_words(&[
        "has `hmacsha256=` in front of it",
        "are unconfirmed",
        "`params`",
        "`methods`",
    ])
    .expect_hidden(&["itself does not send this"]);
    let own = hex::encode(hmac(SECRET.as_bytes(), &[&body]));
    explain(
        &folder,
        "github",
        &format!("X-Hub-Signature-256: HMAC_SHA256: {own}\n"),
        &body,
    )
    .expect_code(1)
    .expect_words(&["`HMAC_SHA256: `", "`github` itself does not send this"]);
    let aikido = format!("X-Aikido-Webhook-Signature: {own}\n");
    explain(&folder, "aikido", &aikido, &body)
        .expect_code(1)
        .expect_words(&["`/dispatched_at` of the JSON body"])
        .expect_hidden(&["`` header", "timestamp header"]);
}
