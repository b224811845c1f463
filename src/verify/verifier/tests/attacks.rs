//! The rows of the attack catalogue's class AU that the pure rooms answer; each test names its
//! rows.

use super::*;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::tests::fixtures::{itellico, plain, secret, timestamped};
use crate::verify::verifier::*;

fn part(text: &str, range: impl std::slice::SliceIndex<str, Output = str>) -> &str {
    text.get(range).unwrap()
}

/// A name, header lines, and the code of their refusal.
type Row<'r> = (&'r str, Vec<(&'r str, &'r str)>, Option<Code>);

#[track_caller]
fn check(rows: &[Row<'_>]) {
    let route = route();
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, lines, expected)| (name, code(&route, lines, BODY), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn au_01_a_signature_that_is_not_there_is_missing_and_a_bare_prefix_malformed() {
    let time = (TIMESTAMP, "1750000000");
    check(&[
        ("no line", vec![time], Some(Code::MissingSignature)),
        ("neither line", vec![], Some(Code::MissingSignature)),
        (
            "empty",
            vec![(SIGNATURE, ""), time],
            Some(Code::MissingSignature),
        ),
        (
            "only white space",
            vec![(SIGNATURE, " \t "), time],
            Some(Code::MissingSignature),
        ),
        (
            "only tabs",
            vec![(SIGNATURE, "\t \t"), time],
            Some(Code::MissingSignature),
        ),
        (
            "another header",
            vec![("X-Signature", "00"), time],
            Some(Code::MissingSignature),
        ),
        (
            "an alias alone",
            vec![("X_Webhook_Signature_256", &good(BODY)), time],
            Some(Code::MissingSignature),
        ),
        (
            "only a prefix",
            vec![(SIGNATURE, "sha256="), time],
            Some(Code::MalformedSignature),
        ),
    ]);
    let mut prefixed = plain("{body}");
    template_of(&mut prefixed).signature.prefix = "sha256=".into();
    let prefixed = verifier(prefixed, vec![secret("s", "k")]);
    let signed = mac(b"k", BODY);
    let rows = [
        ("the right one", format!("sha256={signed}"), None),
        (
            "only the prefix",
            "sha256=".into(),
            Some(Code::MalformedSignature),
        ),
        ("nothing", String::new(), Some(Code::MissingSignature)),
        (
            "half the prefix",
            "sha25".into(),
            Some(Code::MalformedSignature),
        ),
        ("no prefix", signed.clone(), Some(Code::MalformedSignature)),
        ("none", "none".into(), Some(Code::MalformedSignature)),
        (
            "no algorithm",
            "alg=none;sha256=".into(),
            Some(Code::MalformedSignature),
        ),
        (
            "prefix in capitals",
            format!("SHA256={signed}"),
            Some(Code::MalformedSignature),
        ),
        (
            "another prefix",
            format!("sha1={signed}"),
            Some(Code::MalformedSignature),
        ),
        (
            "space behind the prefix",
            format!("sha256= {signed}"),
            Some(Code::MalformedSignature),
        ),
        (
            "prefix twice",
            format!("sha256=sha256={signed}"),
            Some(Code::MalformedSignature),
        ),
    ];
    for (name, value, expected) in rows {
        assert_eq!(
            code(&prefixed, &[("X-Signature", &value)], BODY),
            expected,
            "{name}"
        );
    }
}

#[test]
fn au_02_au_03_au_08_a_signature_of_another_form_is_malformed() {
    let signed = good(BODY);
    let sha1 = {
        let mut mac = DigestAlgorithm::HmacSha1.mac(b"k");
        mac.update(&[BODY, b".1750000000"].concat());
        hex::encode(mac.finalize().as_bytes())
    };
    let rows = [
        ("1 digit", part(&signed, ..1).to_owned()),
        ("40 digits", part(&signed, ..40).to_owned()),
        ("63 digits", part(&signed, ..63).to_owned()),
        ("62 digits", part(&signed, ..62).to_owned()),
        ("65 digits", format!("{signed}a")),
        ("128 digits", signed.repeat(2)),
        ("followed by 0", format!("{signed}0")),
        ("followed by a comma", format!("{signed},")),
        ("followed by a second one", format!("{signed},{signed}")),
        ("two with a space", format!("{signed} {signed}")),
        (
            "full-width digit",
            format!("{}\u{ff11}", part(&signed, ..61)),
        ),
        ("Arabic digit", format!("{}\u{0661}", part(&signed, ..62))),
        ("0x in front", format!("0x{signed}")),
        ("0x for the first two", format!("0x{}", part(&signed, 2..))),
        (
            "a space inside",
            format!("{} {}", part(&signed, ..31), part(&signed, 32..)),
        ),
        ("quotes", format!("\"{signed}\"")),
        (
            "a prefix that the scheme has not",
            format!("sha256={signed}"),
        ),
        ("upper case", signed.to_uppercase()),
        (
            "mixed case",
            format!(
                "{}{}",
                part(&signed, ..32).to_uppercase(),
                part(&signed, 32..)
            ),
        ),
        ("SHA-1", sha1.clone()),
        ("SHA-1, named", format!("sha1={sha1}")),
        ("an algorithm named", format!("hmac-sha256:{signed}")),
        (
            "base64",
            Encoding::Base64.encode(&hex::decode(&signed).unwrap()),
        ),
    ];
    let lines = |value| vec![(SIGNATURE, value), (TIMESTAMP, "1750000000")];
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(name, value)| (*name, lines(value.as_str()), Some(Code::MalformedSignature)))
        .collect();
    check(&rows);
}

#[test]
fn au_04_a_second_line_is_malformed() {
    let (good, bad) = (good(BODY), "0".repeat(64));
    let time = (TIMESTAMP, "1750000000");
    let both = format!("{good}, {bad}");
    let turned = format!("{bad}, {good}");
    let malformed = Some(Code::MalformedSignature);
    check(&[
        (
            "equal",
            vec![(SIGNATURE, &good), (SIGNATURE, &good), time],
            malformed,
        ),
        (
            "good then bad",
            vec![(SIGNATURE, &good), (SIGNATURE, &bad), time],
            malformed,
        ),
        (
            "bad then good",
            vec![(SIGNATURE, &bad), (SIGNATURE, &good), time],
            malformed,
        ),
        (
            "in other case",
            vec![(SIGNATURE, &good), ("x-webhook-signature-256", &good), time],
            malformed,
        ),
        (
            "an alias beside it",
            vec![(SIGNATURE, &good), ("X_Webhook-Signature-256", &good), time],
            malformed,
        ),
        (
            "good then empty",
            vec![(SIGNATURE, &good), (SIGNATURE, ""), time],
            malformed,
        ),
        (
            "empty then good",
            vec![(SIGNATURE, ""), (SIGNATURE, &good), time],
            malformed,
        ),
        (
            "both on one line",
            vec![(SIGNATURE, &both), time],
            malformed,
        ),
        (
            "both on one line, the bad one first",
            vec![(SIGNATURE, &turned), time],
            malformed,
        ),
        (
            "two timestamps",
            vec![(SIGNATURE, &good), time, time],
            Some(Code::MalformedTimestamp),
        ),
        (
            "another timestamp",
            vec![(SIGNATURE, &good), time, (TIMESTAMP, "1749999999")],
            Some(Code::MalformedTimestamp),
        ),
        (
            "an empty timestamp",
            vec![(SIGNATURE, &good), time, (TIMESTAMP, "")],
            Some(Code::MalformedTimestamp),
        ),
        (
            "both timestamps on one line",
            vec![(SIGNATURE, &good), (TIMESTAMP, "1750000000, 1750000000")],
            Some(Code::MalformedTimestamp),
        ),
        (
            "an alias of the timestamp",
            vec![
                (SIGNATURE, &good),
                time,
                ("X_Webhook_Timestamp", "1750000000"),
            ],
            Some(Code::MalformedTimestamp),
        ),
    ]);
}

#[test]
fn au_05_au_07_a_signature_of_something_else_is_bad() {
    let route = route();
    let content = |body: &[u8]| [body, b".1750000000"].concat();
    let plain_hash = |parts: &[&[u8]]| {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(parts.concat()))
    };
    let rows = [
        ("of the empty body", good(b""), BODY),
        ("on an empty body", good(BODY), b"".as_slice()),
        (
            "line feed added",
            good(BODY),
            b"{\"event_id\":\"1\",\"data\":{\"a\":1}}\n",
        ),
        (
            "a space in front",
            good(BODY),
            b" {\"event_id\":\"1\",\"data\":{\"a\":1}}",
        ),
        (
            "keys in another order",
            good(BODY),
            br#"{"data":{"a":1},"event_id":"1"}"#,
        ),
        (
            "the other order of parts",
            mac(b"k", &[b"1750000000.", BODY].concat()),
            BODY,
        ),
        ("of the body alone", mac(b"k", BODY), BODY),
        ("of nothing", mac(b"k", b""), BODY),
        (
            "without the full stop",
            mac(b"k", &[BODY, b"1750000000"].concat()),
            BODY,
        ),
        (
            "of another time",
            mac(b"k", &[BODY, b".1749999993"].concat()),
            BODY,
        ),
        ("empty key", mac(b"", &content(BODY)), BODY),
        ("zero key", mac(&[0; 32], &content(BODY)), BODY),
        ("the key and a line end", mac(b"k\n", &content(BODY)), BODY),
        ("the key in capitals", mac(b"K", &content(BODY)), BODY),
        ("a common default", mac(b"secret", &content(BODY)), BODY),
        (
            "the name of an environment variable",
            mac(b"env:ITELLICO_WEBHOOK_SECRET", &content(BODY)),
            BODY,
        ),
        (
            "the route's name as key",
            mac(b"mine", &content(BODY)),
            BODY,
        ),
        (
            "the preset's name as key",
            mac(b"itellico", &content(BODY)),
            BODY,
        ),
        (
            "plain hash of key and content",
            plain_hash(&[b"k", &content(BODY)]),
            BODY,
        ),
        (
            "plain hash of content and key",
            plain_hash(&[&content(BODY), b"k"]),
            BODY,
        ),
        (
            "plain hash of the content",
            plain_hash(&[&content(BODY)]),
            BODY,
        ),
        ("all zeros", "0".repeat(64), BODY),
    ];
    for (name, value, body) in rows {
        let lines = [(SIGNATURE, value.as_str()), (TIMESTAMP, "1750000000")];
        assert_eq!(
            code(&route, &lines, body),
            Some(Code::BadSignature),
            "{name}"
        );
    }
}

#[test]
fn au_05_one_bit_changed_in_any_byte_of_the_signature_is_bad() {
    let route = route();
    let bytes = hex::decode(good(BODY)).unwrap();
    for place in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[place / 8] ^= 1 << (place % 8);
        let value = hex::encode(&bytes);
        let lines = [(SIGNATURE, value.as_str()), (TIMESTAMP, "1750000000")];
        assert_eq!(
            code(&route, &lines, BODY),
            Some(Code::BadSignature),
            "bit {place}"
        );
    }
}

#[test]
fn au_06_a_digit_cannot_move_from_body_to_timestamp() {
    let signed = mac(b"k", b"{}.1.2");
    let lines = [(SIGNATURE, signed.as_str()), (TIMESTAMP, "1.2")];
    assert_eq!(
        code(&route(), &lines, b"{}"),
        Some(Code::MalformedTimestamp)
    );
}

#[test]
fn au_09_only_canonical_base64_is_a_signature() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).signature.encoding = Encoding::Base64;
    let route = verifier(scheme, vec![secret("s", "k")]);
    let bytes = hex::decode(mac(b"k", b"62")).unwrap();
    let signed = Encoding::Base64.encode(&bytes);
    // The last digit before the padding carries two spare bits.
    let spare = {
        let last = signed.as_bytes()[42] + 1;
        format!("{}{}=", part(&signed, ..42), char::from(last))
    };
    let no_pad = signed
        .replace('+', "-")
        .replace('/', "_")
        .trim_end_matches('=')
        .to_owned();
    let rows = [
        ("the right one", signed.clone(), None),
        (
            "padding missing",
            signed.trim_end_matches('=').to_owned(),
            Some(Code::MalformedSignature),
        ),
        (
            "padding added",
            format!("{signed}="),
            Some(Code::MalformedSignature),
        ),
        (
            "url alphabet",
            signed.replace('+', "-").replace('/', "_"),
            Some(Code::MalformedSignature),
        ),
        (
            "white space inside",
            format!("{} {}", part(&signed, ..20), part(&signed, 20..)),
            Some(Code::MalformedSignature),
        ),
        (
            "url alphabet without padding",
            no_pad,
            Some(Code::MalformedSignature),
        ),
        (
            "a tab inside",
            format!("{}\t{}", part(&signed, ..20), part(&signed, 20..)),
            Some(Code::MalformedSignature),
        ),
        (
            "padding inside",
            format!("{}=={}", part(&signed, ..4), part(&signed, 6..)),
            Some(Code::MalformedSignature),
        ),
        (
            "31 bytes",
            Encoding::Base64.encode(&bytes[..31]),
            Some(Code::MalformedSignature),
        ),
        (
            "33 bytes",
            Encoding::Base64.encode(&[&bytes[..], &[0]].concat()),
            Some(Code::MalformedSignature),
        ),
        (
            "quotes",
            format!("\"{signed}\""),
            Some(Code::MalformedSignature),
        ),
        ("trailing bits", spare, Some(Code::MalformedSignature)),
        ("hex", hex::encode(&bytes), Some(Code::MalformedSignature)),
    ];
    assert!(
        signed.contains(['+', '/']),
        "the row for the url alphabet needs such a signature"
    );
    let mut wrong = Vec::new();
    for (name, value, expected) in rows {
        let found = code(&route, &[("X-Signature", &value)], b"62");
        if found != expected {
            wrong.push((name, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn au_12_au_13_a_timestamp_that_is_missing_or_no_plain_number_is_refused() {
    let signed = good(BODY);
    let mut wrong = Vec::new();
    let long = "9".repeat(400);
    for (text, expected) in [
        (None, Code::MissingTimestamp),
        (Some(""), Code::MissingTimestamp),
        (Some("  "), Code::MissingTimestamp),
        (Some("17500000001750000000"), Code::MalformedTimestamp),
        (Some("9223372036854775808"), Code::MalformedTimestamp),
        (Some("18446744073709551616"), Code::MalformedTimestamp),
        (Some(&long), Code::MalformedTimestamp),
        (Some("+1750000000"), Code::MalformedTimestamp),
        (Some("-1750000000"), Code::MalformedTimestamp),
        (Some("01750000000"), Code::MalformedTimestamp),
        (Some("1750000000.0"), Code::MalformedTimestamp),
        (Some("1e9"), Code::MalformedTimestamp),
        (Some("0x684edbf0"), Code::MalformedTimestamp),
        (Some("1_750_000_000"), Code::MalformedTimestamp),
        (Some("1,750,000,000"), Code::MalformedTimestamp),
        (Some("1750000000e0"), Code::MalformedTimestamp),
        (Some("1750000000s"), Code::MalformedTimestamp),
        (Some("1750000000;1750000000"), Code::MalformedTimestamp),
        (Some("\"1750000000\""), Code::MalformedTimestamp),
        (Some("2025-06-15T15:06:40Z"), Code::MalformedTimestamp),
        (Some("\u{661}750000000"), Code::MalformedTimestamp),
        // 2^64 and the time, which a sum that wraps would take.
        (Some("18446744075459551616"), Code::MalformedTimestamp),
        (Some("Infinity"), Code::MalformedTimestamp),
        (Some("NaN"), Code::MalformedTimestamp),
        (Some("\u{ff11}750000000"), Code::MalformedTimestamp),
        (Some("1750 000000"), Code::MalformedTimestamp),
    ] {
        let mut lines = vec![(SIGNATURE, signed.as_str())];
        lines.extend(text.map(|text| (TIMESTAMP, text)));
        let found = code(&route(), &lines, BODY);
        if found != Some(expected) {
            wrong.push((text, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn au_14_au_15_a_timestamp_outside_the_tolerance_is_refused_and_the_bounds_are_in() {
    let rows = [
        (NOW_S - 301, Some(Code::StaleTimestamp)),
        (NOW_S - 300, None),
        (NOW_S, None),
        (NOW_S + 300, None),
        (NOW_S + 301, Some(Code::FutureTimestamp)),
        (0, Some(Code::StaleTimestamp)),
        (1, Some(Code::StaleTimestamp)),
        (NOW_S * 1000, Some(Code::FutureTimestamp)),
        (999_999_999_999_999_999, Some(Code::FutureTimestamp)),
    ];
    for (time, expected) in rows {
        let time = time.to_string();
        let signed = mac(b"k", &[BODY, b".", time.as_bytes()].concat());
        let lines = [(SIGNATURE, signed.as_str()), (TIMESTAMP, time.as_str())];
        assert_eq!(code(&route(), &lines, BODY), expected, "{time}");
    }
}

#[test]
fn au_16_a_stale_delivery_is_stale_whatever_its_signature_is_worth() {
    let time = (NOW_S - 301).to_string();
    let well = mac(b"k", &[BODY, b".", time.as_bytes()].concat());
    let badly = "0".repeat(64);
    let refusals = [&well, &badly].map(|signed| {
        let lines = [(SIGNATURE, signed.as_str()), (TIMESTAMP, time.as_str())];
        route().begin(&head(&lines), now()).unwrap_err()
    });
    assert_eq!(refusals, [Refusal::from(Code::StaleTimestamp); 2]);

    // A stale timestamp is refused before an id that cannot be read.
    let with_id = verifier(
        timestamped("{id}.{timestamp}.{body}"),
        vec![secret("s", "k")],
    );
    let lines = [
        ("X-Signature", badly.as_str()),
        ("X-Timestamp", time.as_str()),
        ("X-Id", "a.b"),
    ];
    assert_eq!(code(&with_id, &lines, BODY), Some(Code::StaleTimestamp));
}

#[test]
fn au_20_a_secret_proves_from_its_first_moment_and_up_to_its_last() {
    let mut limited = secret("limited", "k");
    limited.not_before = Some(UnixMillis::from_secs(NOW_S));
    limited.not_after = Some(UnixMillis::from_secs(NOW_S + 10));
    let route = verifier(itellico(), vec![secret("other", "o"), limited]);
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    for (wall, proves) in [(-1, false), (0, true), (9_999, true), (10_000, false)] {
        let verdict = verify(&route, &lines, BODY, at(UnixMillis(NOW_S * 1000 + wall)));
        let expected = if proves {
            Ok("limited")
        } else {
            Err(Code::BadSignature)
        };
        assert_eq!(
            verdict
                .as_ref()
                .map(|proof| &*proof.secret)
                .map_err(|refusal| refusal.code),
            expected,
            "{wall} ms"
        );
    }
}

#[test]
fn au_21_a_delivery_for_another_route_of_the_same_provider_is_bad() {
    let other = verifier(itellico(), vec![secret("theirs", "not k")]);
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    assert_eq!(code(&other, &lines, BODY), Some(Code::BadSignature));
}
