//! AU: signatures, on the wire; timestamps are in `au_timestamps`.
//!
//! AU-10, AU-11 and AU-19 belong to the pure core, AU-17 and AU-18 are in `au_lists`; AU-20 to AU-22 are in
//! the gateway's `secrets`, AU-23 in its `shadow`, AU-24 and AU-25 in `au_handshakes`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "test code: a panic is how a test fails"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, sign};
use crate::support::{PLAIN_SECRET, SECRET, now};

pub(crate) const SIGNATURE: &str = "X-Webhook-Signature-256";
pub(crate) const TIMESTAMP: &str = "X-Webhook-Timestamp";

/// One case of a table: its name, what is sent, and the code it is refused with.
pub(crate) type Row = (&'static str, Delivery, &'static str);

/// Runs a table of refusals, each 401 and not forwarded.
pub(crate) fn refuse_all(stage: &Stage, rows: impl IntoIterator<Item = Row>) {
    let mut cases = Cases::new();
    for (name, delivery, code) in rows {
        cases.case(name, || drop(stage.refuses(delivery, 401, code)));
    }
    cases.finish();
}

/// A fresh delivery with another value in its signature header, made from the right one.
fn signed_as(change: impl FnOnce(&str) -> String) -> Delivery {
    let delivery = Delivery::fresh();
    let changed = change(&delivery.value(SIGNATURE));
    delivery.set(SIGNATURE, changed)
}

/// A fresh delivery whose signature is HMAC-SHA256 with this key over these parts.
fn with_mac(body: &[u8], key: &[u8], parts: &[&[u8]], timestamp: &str) -> Delivery {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| panic!("any key length will do"));
    for part in parts {
        mac.update(part);
    }
    Delivery::signed(SECRET, body, timestamp)
        .set(SIGNATURE, hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn au_01_an_absent_signature_is_missing() {
    let stage = Stage::new();
    let fresh = Delivery::fresh;
    refuse_all(
        &stage,
        [
            ("none", fresh().without(SIGNATURE), "missing_signature"),
            (
                "empty",
                fresh()
                    .without(SIGNATURE)
                    .with_line("X-Webhook-Signature-256:"),
                "missing_signature",
            ),
            ("spaces", fresh().set(SIGNATURE, "   "), "missing_signature"),
            ("tabs", fresh().set(SIGNATURE, "\t \t"), "missing_signature"),
            (
                "another header",
                fresh().without(SIGNATURE).with("X-Signature", "00"),
                "missing_signature",
            ),
            (
                "only a prefix",
                fresh().set(SIGNATURE, "sha256="),
                "malformed_signature",
            ),
            (
                "none on a prefixed route",
                Delivery::plain("a").without("X-Signature"),
                "missing_signature",
            ),
            (
                "only the prefix there",
                Delivery::plain("a").set("X-Signature", "sha256="),
                "malformed_signature",
            ),
            (
                "half the prefix there",
                Delivery::plain("a").set("X-Signature", "sha25"),
                "malformed_signature",
            ),
        ],
    );
}

#[test]
fn au_02_a_signature_of_another_shape_is_malformed() {
    let stage = Stage::new();
    let malformed = |change: fn(&str) -> String| signed_as(change);
    let rows: [(&str, Delivery); 17] = [
        ("63 digits", malformed(|mac| mac[..63].to_owned())),
        ("65 digits", malformed(|mac| format!("{mac}0"))),
        ("62 digits", malformed(|mac| mac[..62].to_owned())),
        ("1 digit", malformed(|mac| mac[..1].to_owned())),
        (
            "twice the right one",
            malformed(|mac| format!("{mac}{mac}")),
        ),
        ("40 digits", malformed(|mac| mac[..40].to_owned())),
        ("128 digits", malformed(|_| "0".repeat(128))),
        ("a comma behind", malformed(|mac| format!("{mac},"))),
        (
            "a second one behind",
            malformed(|mac| format!("{mac},{mac}")),
        ),
        (
            "a second one behind a space",
            malformed(|mac| format!("{mac} {mac}")),
        ),
        (
            "full-width digits",
            malformed(|mac| mac.replacen(&mac[..1], "\u{ff11}", 1)),
        ),
        (
            "Arabic digits",
            malformed(|mac| format!("{}\u{661}", &mac[..63])),
        ),
        ("0x in front", malformed(|mac| format!("0x{mac}"))),
        (
            "0x instead of two digits",
            malformed(|mac| format!("0x{}", &mac[2..])),
        ),
        (
            "a space inside",
            malformed(|mac| format!("{} {}", &mac[..32], &mac[33..])),
        ),
        ("quotes around", malformed(|mac| format!("\"{mac}\""))),
        (
            "a prefix that this scheme has not",
            malformed(|mac| format!("sha256={mac}")),
        ),
    ];
    refuse_all(
        &stage,
        rows.map(|(name, delivery)| (name, delivery, "malformed_signature")),
    );
    // Optional white space around a value is not part of it (SPEC 2.3).
    stage.accepts(signed_as(|mac| format!(" \t{mac} \t")));
}

#[test]
fn au_03_a_signature_has_one_spelling() {
    let stage = Stage::new();
    // A signature that is digits only has no other case: take bodies until there is a letter in it.
    let upper = signed_as(str::to_ascii_uppercase);
    let mixed = signed_as(|mac| {
        let letter = mac
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or_else(|| panic!("no letter in {mac}"));
        let (start, rest) = mac.split_at(letter);
        format!("{start}{}{}", rest[..1].to_ascii_uppercase(), &rest[1..])
    });
    refuse_all(
        &stage,
        [
            ("upper", upper, "malformed_signature"),
            ("mixed", mixed, "malformed_signature"),
        ],
    );
}

#[test]
fn au_04_a_header_that_occurs_twice_is_malformed() {
    let stage = Stage::new();
    let bad = "0".repeat(64);
    let twice = |first: Option<&str>, second: Option<&str>| {
        let delivery = Delivery::fresh();
        let good = delivery.value(SIGNATURE);
        delivery
            .set(SIGNATURE, first.unwrap_or(&good))
            .with(SIGNATURE, second.unwrap_or(&good))
    };
    let timestamps = |first: &str, second: &str| {
        Delivery::signed(SECRET, event(), first).with(TIMESTAMP, second)
    };
    let (at, other) = (now().to_string(), (now() - 1).to_string());
    refuse_all(
        &stage,
        [
            ("equal signatures", twice(None, None), "malformed_signature"),
            (
                "good, then bad",
                twice(None, Some(&bad)),
                "malformed_signature",
            ),
            (
                "bad, then good",
                twice(Some(&bad), None),
                "malformed_signature",
            ),
            (
                "good, then empty",
                twice(None, Some("")),
                "malformed_signature",
            ),
            (
                "empty, then good",
                twice(Some(""), None),
                "malformed_signature",
            ),
            (
                "names in another case",
                Delivery::fresh().with("x-webhook-signature-256", &bad),
                "malformed_signature",
            ),
            (
                "one line, good and bad",
                signed_as(|mac| format!("{mac}, {}", "0".repeat(64))),
                "malformed_signature",
            ),
            (
                "one line, bad and good",
                signed_as(|mac| format!("{}, {mac}", "0".repeat(64))),
                "malformed_signature",
            ),
            (
                "equal timestamps",
                timestamps(&at, &at),
                "malformed_timestamp",
            ),
            (
                "timestamps, good one first",
                timestamps(&at, &other),
                "malformed_timestamp",
            ),
            (
                "timestamps, good and empty",
                timestamps(&at, ""),
                "malformed_timestamp",
            ),
            (
                "timestamps in one line",
                Delivery::fresh().set(TIMESTAMP, format!("{at}, {at}")),
                "malformed_timestamp",
            ),
        ],
    );
}

#[test]
fn au_05_each_bit_and_each_byte_counts() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for byte in 0..32 {
        cases.case(&format!("one bit of byte {byte}"), || {
            let delivery = signed_as(|mac| {
                let mut bytes = hex::decode(mac).unwrap_or_else(|error| panic!("{error}"));
                bytes[byte] ^= 1 << (byte % 8);
                hex::encode(bytes)
            });
            stage
                .gateway
                .ask(delivery)
                .expect_refusal(401, "bad_signature");
        });
    }
    let body = event();
    let at = now().to_string();
    let reordered = {
        let text = String::from_utf8(body.clone()).unwrap_or_else(|error| panic!("{error}"));
        text.replacen("\"event_type\":\"conversation.ended\",", "", 1)
            .replacen('{', "{\"event_type\":\"conversation.ended\",", 1)
    };
    for (name, delivery) in [
        (
            "MAC of the empty body on a body",
            with_mac(&body, SECRET.as_bytes(), &[b".", at.as_bytes()], &at),
        ),
        (
            "MAC of a body on the empty one",
            Delivery::of("")
                .set(SIGNATURE, sign(SECRET, &body, &at))
                .set(TIMESTAMP, &at),
        ),
        (
            "a line end behind",
            Delivery::of([body.as_slice(), b"\n"].concat())
                .set(SIGNATURE, sign(SECRET, &body, &at)),
        ),
        (
            "a space in front",
            Delivery::of([b" ", body.as_slice()].concat()).set(SIGNATURE, sign(SECRET, &body, &at)),
        ),
        (
            "keys in another order",
            Delivery::of(reordered).set(SIGNATURE, sign(SECRET, &body, &at)),
        ),
        (
            "timestamp first",
            with_mac(&body, SECRET.as_bytes(), &[at.as_bytes(), b".", &body], &at),
        ),
        (
            "body alone",
            with_mac(&body, SECRET.as_bytes(), &[&body], &at),
        ),
        (
            "no full stop",
            with_mac(&body, SECRET.as_bytes(), &[&body, at.as_bytes()], &at),
        ),
        (
            "another timestamp",
            Delivery::of(body.clone()).set(TIMESTAMP, (now() - 7).to_string()),
        ),
        (
            "nothing signed",
            with_mac(&body, SECRET.as_bytes(), &[], &at),
        ),
    ] {
        cases.case(name, || drop(stage.refuses(delivery, 401, "bad_signature")));
    }
    cases.finish();
}

#[test]
fn au_07_a_signature_by_another_key_or_construction_is_bad() {
    let stage = Stage::new();
    let (body, at) = (event(), now().to_string());
    let content: [&[u8]; 3] = [&body, b".", at.as_bytes()];
    let by = |key: &[u8]| with_mac(&body, key, &content, &at);
    let plain_hash = |parts: &[&[u8]]| {
        let hash = parts.iter().fold(Sha256::new(), Sha256::chain_update);
        Delivery::of(body.clone())
            .set(SIGNATURE, hex::encode(hash.finalize()))
            .set(TIMESTAMP, &at)
    };
    let joined = content.concat();
    refuse_all(
        &stage,
        [
            ("empty key", by(b""), "bad_signature"),
            ("zero key", by(&[0; 32]), "bad_signature"),
            ("the route's name", by(b"itellico"), "bad_signature"),
            (
                "the secret's name",
                by(b"env:ITELLICO_WEBHOOK_SECRET"),
                "bad_signature",
            ),
            (
                "the secret and a line end",
                by(format!("{SECRET}\n").as_bytes()),
                "bad_signature",
            ),
            (
                "the secret in capitals",
                by(SECRET.to_uppercase().as_bytes()),
                "bad_signature",
            ),
            (
                "another route's secret",
                by(PLAIN_SECRET.as_bytes()),
                "bad_signature",
            ),
            ("a common default", by(b"secret"), "bad_signature"),
            (
                "plain hash, secret first",
                plain_hash(&[SECRET.as_bytes(), &joined]),
                "bad_signature",
            ),
            (
                "plain hash, secret last",
                plain_hash(&[&joined, SECRET.as_bytes()]),
                "bad_signature",
            ),
            (
                "plain hash of the content",
                plain_hash(&[&joined]),
                "bad_signature",
            ),
            (
                "all zeros",
                Delivery::fresh().set(SIGNATURE, "0".repeat(64)),
                "bad_signature",
            ),
        ],
    );
}

#[test]
fn au_08_the_algorithm_never_comes_from_the_wire() {
    let stage = Stage::new();
    let (body, at) = (event(), now().to_string());
    let mut sha1 =
        Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| panic!("any key"));
    sha1.update(&[body.as_slice(), b".", at.as_bytes()].concat());
    let sha1 = hex::encode(sha1.finalize().into_bytes());
    let mut plain_sha1 =
        Hmac::<Sha1>::new_from_slice(PLAIN_SECRET.as_bytes()).unwrap_or_else(|_| panic!("any key"));
    plain_sha1.update(&body);
    let plain_sha1 = hex::encode(plain_sha1.finalize().into_bytes());
    let itellico = |value: &str| Delivery::signed(SECRET, body.clone(), &at).set(SIGNATURE, value);
    let plain = |value: &str| Delivery::plain(body.clone()).set("X-Signature", value);
    let right = Delivery::plain(body.clone()).value("X-Signature");
    refuse_all(
        &stage,
        [
            (
                "SHA-1 in the header of SHA-256",
                itellico(&sha1),
                "malformed_signature",
            ),
            (
                "with its name in front",
                itellico(&format!("sha1={sha1}")),
                "malformed_signature",
            ),
            (
                "on a prefixed route",
                plain(&format!("sha256={plain_sha1}")),
                "malformed_signature",
            ),
            (
                "sha1= on a prefixed route",
                plain(&format!("sha1={plain_sha1}")),
                "malformed_signature",
            ),
            (
                "prefix in capitals",
                plain(&right.replacen("sha256", "SHA256", 1)),
                "malformed_signature",
            ),
            (
                "prefix twice",
                plain(&format!("sha256={right}")),
                "malformed_signature",
            ),
            ("none", plain("none"), "malformed_signature"),
            ("alg=none", plain("alg=none;sha256="), "malformed_signature"),
            (
                "a hint beside it",
                itellico(&sha1)
                    .with("X-Webhook-Signature-Algorithm", "sha1")
                    .with("X-Signature-Algorithm", "hmac-sha1"),
                "malformed_signature",
            ),
        ],
    );
}

/// `/b64`: a scheme whose signatures are base64.
fn with_base64(upstream: &crate::support::upstream::Upstream) -> Config {
    let route = Route::plain(upstream)
        .set("name", "\"b64\"")
        .set("path", "\"/b64\"")
        .scheme(
            "signature",
            "{ header = \"X-Signature\", encoding = \"base64\" }",
        );
    Config::for_upstream(upstream).route(route)
}

fn base64_delivery(body: &[u8], spell: impl FnOnce(&[u8]) -> String) -> Delivery {
    let mut mac = Hmac::<Sha256>::new_from_slice(PLAIN_SECRET.as_bytes())
        .unwrap_or_else(|_| panic!("any key"));
    mac.update(body);
    Delivery::unsigned("/b64", body).with("X-Signature", spell(&mac.finalize().into_bytes()))
}

/// A way to write a MAC.
type Spelling = fn(&[u8]) -> String;

/// The same 32 bytes with other bits where base64's last digit has none: `…A=` as `…B=`.
fn with_trailing_bits(mac: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = STANDARD.encode(mac);
    let last = text.as_bytes()[42];
    let place = ALPHABET
        .iter()
        .position(|digit| *digit == last)
        .unwrap_or_else(|| panic!("no digit: {text}"));
    format!("{}{}=", &text[..42], char::from(ALPHABET[place + 1]))
}

#[test]
fn au_09_base64_has_one_spelling() {
    let stage = Stage::with(with_base64);
    let spellings: [(&str, Spelling); 12] = [
        ("padding missing", |mac| STANDARD_NO_PAD.encode(mac)),
        ("padding twice", |mac| format!("{}=", STANDARD.encode(mac))),
        ("another alphabet", |mac| URL_SAFE.encode(mac)),
        ("another alphabet, no padding", |mac| {
            URL_SAFE_NO_PAD.encode(mac)
        }),
        ("a space inside", |mac| {
            format!(
                "{} {}",
                &STANDARD.encode(mac)[..10],
                &STANDARD.encode(mac)[10..]
            )
        }),
        ("a tab inside", |mac| {
            format!(
                "{}\t{}",
                &STANDARD.encode(mac)[..10],
                &STANDARD.encode(mac)[10..]
            )
        }),
        ("trailing bits", with_trailing_bits),
        ("padding inside", |mac| {
            format!(
                "{}=={}",
                &STANDARD.encode(mac)[..4],
                &STANDARD.encode(mac)[6..]
            )
        }),
        ("hex", |mac| hex::encode(mac)),
        ("31 bytes", |mac| STANDARD.encode(&mac[..31])),
        ("33 bytes", |mac| STANDARD.encode([mac, &[0]].concat())),
        ("quotes", |mac| format!("\"{}\"", STANDARD.encode(mac))),
    ];
    let mut cases = Cases::new();
    for (name, spell) in spellings {
        cases.case(name, || {
            // Only a MAC with `+` or `/` in it is spelled otherwise in the other alphabet.
            let body = (0..1000)
                .map(|n| format!("body {n} {}", now()).into_bytes())
                .find(|body| {
                    base64_delivery(body, |mac| STANDARD.encode(mac))
                        .value("X-Signature")
                        .contains(['+', '/'])
                })
                .unwrap_or_default();
            let right = base64_delivery(&body, |mac| STANDARD.encode(mac));
            let odd = base64_delivery(&body, spell);
            assert_ne!(odd.value("X-Signature"), right.value("X-Signature"));
            drop(stage.refuses(odd.clone(), 401, "malformed_signature"));
            // The replay of a done delivery under another spelling is no new delivery.
            match stage.gateway.ask(right) {
                answer if answer.status == 200 => {}
                answer => panic!("{answer}"),
            }
            drop(stage.refuses(odd, 401, "malformed_signature"));
        });
    }
    cases.finish();
}

#[test]
fn rp_19_bytes_behind_the_signed_body_are_not_let_through() {
    let stage = Stage::new();
    let delivery = Delivery::fresh();
    let longer = [delivery.body(), b" "].concat();
    let in_chunks = Delivery::fresh();
    let more = [
        crate::support::delivery::chunk(in_chunks.body(), false),
        crate::support::delivery::chunk(b" ", true),
    ];
    refuse_all(
        &stage,
        [
            (
                "a larger length",
                delivery
                    .clone()
                    .set("Content-Length", longer.len().to_string())
                    .payload(longer),
                "bad_signature",
            ),
            (
                "another chunk",
                in_chunks.chunked_as(more.concat()),
                "bad_signature",
            ),
        ],
    );
}
