//! Each mistake is made here, and must be named; what is no mistake must not.

#[cfg(test)]
pub(crate) mod fixtures;
mod grown;
mod jwt;
mod keys;
mod places;

use super::tests::fixtures::{AT, BODY, SECRET, SIGNATURE, Sample, TIMESTAMP, compare};
use super::*;
use crate::key::secret::Secret;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::TimestampAt;
use crate::scheme::tests::fixtures::{field, itellico, secret, timestamped};
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Scheme, Template};
use crate::verdict::Code;

/// The reference scheme with something changed.
fn like_itellico(change: impl FnOnce(&mut Scheme)) -> Scheme {
    let mut scheme = itellico();
    change(&mut scheme);
    scheme
}

fn signing(template: &str) -> Scheme {
    like_itellico(|scheme| scheme.signed = Template::parse(template).unwrap())
}

/// Signed over `signed`, received with `body`.
fn changed(signed: &[u8], body: &[u8]) -> Sample {
    Sample { body: body.to_vec(), ..Sample::sent(&itellico(), SECRET, signed) }
}

fn keyed(encoding: KeyEncoding, strip: Option<&str>) -> Scheme {
    like_itellico(|scheme| {
        scheme.key = vec![KeyForm { encoding, strip: strip.map(str::to_owned), strip_required: false }];
    })
}

#[test]
fn a_correct_delivery_is_valid() {
    assert!(matches!(Sample::good().explained(), Explanation::Valid(proof) if &*proof.secret == "env:S"));
}

#[test]
fn an_unrelated_forgery_is_explained_by_no_mistake() {
    let mut sample = Sample::sent(&itellico(), "somebody else's", BODY.as_bytes());
    sample.presets = vec![timestamped("{timestamp}.{body}")];
    match sample.explained() {
        Explanation::Unexplained { error: CaseError::Refused(refusal), besides: None } => {
            assert_eq!(refusal.code, Code::BadSignature);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn mistakes_with_the_secret_are_named() {
    let key = b"\x01\x02\xffkey bytes\x00!";
    let base64 = Encoding::Base64.encode(key);
    let signed_by = |scheme: &Scheme, text: &str| Sample::sent(scheme, text, BODY.as_bytes());
    let quoted = format!("\"{SECRET}\"");
    compare(vec![
        ("LF", Sample::good().with_secret(format!("{SECRET}\n").as_bytes()), Mistake::SecretEndsInNewline),
        ("CRLF", Sample::good().with_secret(format!("{SECRET}\r\n").as_bytes()), Mistake::SecretEndsInNewline),
        ("the sender's LF", signed_by(&itellico(), &format!("{SECRET}\n")), Mistake::SecretLacksNewline),
        ("spaces", Sample::good().with_secret(format!(" {SECRET} ").as_bytes()), Mistake::SecretInSpace),
        ("quotes", Sample::good().with_secret(quoted.as_bytes()), Mistake::SecretInQuotes),
        (
            "byte order mark",
            Sample::good().with_secret(format!("\u{feff}{SECRET}").as_bytes()),
            Mistake::SecretHasByteOrderMark,
        ),
        (
            "base64 not decoded",
            signed_by(&keyed(KeyEncoding::Base64, None), &base64).with_secret(base64.as_bytes()),
            Mistake::SecretNotDecoded("base64"),
        ),
        (
            "base64 behind whsec_ not decoded",
            signed_by(&keyed(KeyEncoding::Base64, Some("whsec_")), &format!("whsec_{base64}"))
                .with_secret(format!("whsec_{base64}").as_bytes()),
            Mistake::SecretNotDecoded("base64"),
        ),
        (
            "hex not decoded",
            signed_by(&keyed(KeyEncoding::Hex, None), "00ff17").with_secret(b"00ff17"),
            Mistake::SecretNotDecoded("hex"),
        ),
        (
            "base64 wrongly decoded",
            Sample { scheme: keyed(KeyEncoding::Base64, None), ..signed_by(&itellico(), &base64) }
                .with_secret(base64.as_bytes()),
            Mistake::SecretWronglyDecoded("base64"),
        ),
        (
            "a text that is no base64 at all",
            Sample { scheme: keyed(KeyEncoding::Base64, None), ..Sample::good() },
            Mistake::SecretWronglyDecoded("base64"),
        ),
        (
            "a prefix stripped by the sender",
            signed_by(&itellico(), "abc").with_secret(b"whsec_abc"),
            Mistake::SecretPrefix("whsec_".into()),
        ),
        (
            "a prefix stripped by us",
            Sample { scheme: keyed(KeyEncoding::Utf8, Some("whsec_")), ..signed_by(&itellico(), "whsec_abc") }
                .with_secret(b"whsec_abc"),
            Mistake::SecretPrefix("whsec_".into()),
        ),
    ]);
}

#[test]
fn a_previous_secret_is_named_with_its_time() {
    let mut sample = Sample::good();
    let moment = |s| Some(crate::clock::UnixMillis::from_secs(s));
    sample.secrets = vec![secret("new", "other"), Secret { not_after: moment(AT), ..secret("old", SECRET) }];
    match sample.explained() {
        Explanation::Mistaken { finding, .. } => {
            assert_eq!(finding.mistake, Mistake::SecretInactive { is_past: true });
            assert_eq!(&*finding.secret, "old");
        }
        other => panic!("{other:?}"),
    }
    sample.secrets = vec![Secret { not_before: moment(AT + 1), ..secret("next", SECRET) }];
    assert_eq!(sample.mistake(), Some(Mistake::SecretInactive { is_past: false }));
}

#[test]
fn mistakes_with_the_body_are_named() {
    let line = |end: &str| format!("{BODY}{end}").into_bytes();
    let lines = |end: &str| format!("{{{end}\"a\": 1{end}}}").into_bytes();
    let python = r#"{"type": "conversation.ended", "event_id": "e/1", "data": {"n": 1, "who": "Zo\u00eb"}}"#;
    let php = r#"{"type":"conversation.ended","event_id":"e\/1","data":{"n":1,"who":"Zo\u00eb"}}"#;
    let sorted = r#"{"data":{"n":1,"who":"Zoë"},"event_id":"e/1","type":"conversation.ended"}"#;
    let base64 = Encoding::Base64.encode(BODY.as_bytes());
    let plain = BODY.as_bytes();
    compare(vec![
        ("LF gained", changed(plain, &line("\n")), Mistake::BodyGainedNewline),
        ("CRLF gained", changed(plain, &line("\r\n")), Mistake::BodyGainedNewline),
        ("one LF of two gained", changed(&line("\n"), &line("\n\n")), Mistake::BodyGainedNewline),
        ("LF lost", changed(&line("\n"), plain), Mistake::BodyLostNewline),
        ("CRLF lost", changed(&line("\r\n"), plain), Mistake::BodyLostNewline),
        ("LF for CRLF", changed(&lines("\r\n"), &lines("\n")), Mistake::BodyLineEnds),
        ("CRLF for LF", changed(&lines("\n"), &lines("\r\n")), Mistake::BodyLineEnds),
        (
            "Python's form signed",
            changed(python.as_bytes(), plain),
            Mistake::BodyReserialised(
                "with a space behind each comma and colon, with all beyond ASCII escaped as \\u…".into(),
            ),
        ),
        (
            "Python's form received",
            changed(plain, python.as_bytes()),
            Mistake::BodyReserialised("without white space, with no needless escapes".into()),
        ),
        (
            "PHP's form signed",
            changed(php.as_bytes(), plain),
            Mistake::BodyReserialised("without white space, with slashes and all beyond ASCII escaped".into()),
        ),
        (
            "sorted keys signed",
            changed(sorted.as_bytes(), plain),
            Mistake::BodyReserialised("without white space, with sorted keys".into()),
        ),
        (
            "sorted keys received",
            changed(plain, sorted.as_bytes()),
            Mistake::BodyReserialised("with its members in another order".into()),
        ),
        ("the empty body signed", changed(b"", plain), Mistake::BodyWasEmpty),
        ("byte order mark lost", changed(&[b"\xEF\xBB\xBF", plain].concat(), plain), Mistake::BodyByteOrderMark),
        ("byte order mark gained", changed(plain, &[b"\xEF\xBB\xBF", plain].concat()), Mistake::BodyByteOrderMark),
        ("base64 received", changed(plain, base64.as_bytes()), Mistake::BodyStillBase64),
    ]);
}

#[test]
fn mistakes_in_the_signed_content_are_named() {
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    let sha512 = like_itellico(|scheme| scheme.algorithm = Algorithm::HmacSha512);
    let sha1 = like_itellico(|scheme| scheme.algorithm = Algorithm::HmacSha1);
    let other = Scheme { provider: "acme".into(), ..timestamped("v0:{timestamp}:{body}") };
    let three = Scheme { preset: true, ..timestamped("{id}.{timestamp}.{body}") };
    let two = timestamped("{timestamp}.{body}");
    let three_received = |sample: Sample| Sample { scheme: three.clone(), ..sample };
    let mut without_id = sent(&two);
    without_id.lines.push(("X-Id".into(), "id_1".into()));
    compare(vec![
        ("timestamp first", sent(&signing("{timestamp}.{body}")), Mistake::OtherOrder("{timestamp}.{body}".into())),
        ("first and bare", sent(&signing("{timestamp}{body}")), Mistake::OtherOrder("{timestamp}{body}".into())),
        ("a colon", sent(&signing("{body}:{timestamp}")), Mistake::OtherSeparator("{body}:{timestamp}".into())),
        ("a line feed", sent(&signing("{body}\n{timestamp}")), Mistake::OtherSeparator("{body}\\n{timestamp}".into())),
        ("the body alone", sent(&signing("{body}")), Mistake::BodyAloneSigned),
        ("the id left out", three_received(without_id), Mistake::PartLeftOut("{timestamp}.{body}".into())),
        ("SHA-512", sent(&sha512), Mistake::OtherAlgorithm("hmac-sha512")),
        ("SHA-1", sent(&sha1), Mistake::OtherAlgorithm("hmac-sha1")),
        (
            "another provider",
            Sample { presets: vec![itellico(), other.clone()], ..sent(&other) },
            Mistake::OtherProvider("acme".into()),
        ),
    ]);
}

#[test]
fn mistakes_in_the_signature_s_form_are_named() {
    let base64 = like_itellico(|scheme| scheme.signature.encoding = Encoding::Base64);
    let prefixed = like_itellico(|scheme| scheme.signature.prefix = "sha256=".into());
    let renamed = like_itellico(|scheme| scheme.signature.headers = vec![field("X_Webhook_Signature_256")]);
    let timed =
        like_itellico(|scheme| scheme.timestamp.as_mut().unwrap().at = TimestampAt::Headers(vec![field("X-Time")]));
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    let at = |found: &str, expected: &str| Mistake::OtherHeader {
        expected: expected.to_ascii_lowercase(),
        found: found.to_ascii_lowercase(),
    };
    compare(vec![
        ("capitals", Sample::good().with(SIGNATURE, str::to_ascii_uppercase), Mistake::SignatureUpperCase),
        ("quotes", Sample::good().with(SIGNATURE, |s| format!("\"{s}\"")), Mistake::SignatureInQuotes),
        ("base64", sent(&base64), Mistake::SignatureEncoding("base64")),
        (
            "base64 behind a prefix",
            sent(&base64).with(SIGNATURE, |s| format!("sha256={s}")),
            Mistake::SignatureEncoding("base64"),
        ),
        ("a prefix too many", sent(&prefixed), Mistake::SignaturePrefix("sha256=".into())),
        ("no prefix", Sample { scheme: prefixed.clone(), ..Sample::good() }, Mistake::SignaturePrefix(String::new())),
        ("an alias", sent(&renamed), at("X_Webhook_Signature_256", SIGNATURE)),
        ("the timestamp elsewhere", sent(&timed), at("X-Time", TIMESTAMP)),
    ]);
}

#[test]
fn mistakes_with_the_time_are_named() {
    let millis = like_itellico(|scheme| scheme.timestamp.as_mut().unwrap().unit = Unit::Milliseconds);
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    let at = |now| Sample { now: AT + now, ..Sample::good() };
    let secs = std::time::Duration::from_secs;
    // Signed as it stands there, whatever it is.
    let texts = Scheme { timestamp: None, ..signing("{body}.{header:X-Date}") };
    let as_text = |text: &str| {
        let request = crate::sign::SignRequest {
            method: "POST",
            target: "/",
            body: BODY.as_bytes(),
            id: None,
            at: crate::clock::UnixMillis::from_secs(AT),
            public_url: None,
            headers: &[("X-Date", text)],
        };
        let lines = crate::sign::sign(&texts, &secret("s", SECRET), &request).unwrap();
        Sample { lines, ..Sample::good() }.and(TIMESTAMP, text)
    };
    compare(vec![
        ("one second too old", at(301), Mistake::Stale(secs(301))),
        ("a day old", at(86_400), Mistake::Stale(secs(86_400))),
        ("too far ahead", at(-301), Mistake::Future(secs(301))),
        ("two hours behind", at(7_230), Mistake::Zone { hours: 2, is_behind: true }),
        ("one hour ahead", at(-3_400), Mistake::Zone { hours: 1, is_behind: false }),
        ("milliseconds", sent(&millis), Mistake::MillisecondsForSeconds),
        ("seconds", Sample { scheme: millis.clone(), ..Sample::good() }, Mistake::SecondsForMilliseconds),
        (
            "seconds signed, milliseconds sent",
            Sample::good().with(TIMESTAMP, |s| format!("{s}000")),
            Mistake::OtherUnitSigned,
        ),
        ("a date", as_text("2025-06-15T15:06:40Z"), Mistake::TimestampNoNumber),
        ("a leading zero", as_text("01750000000"), Mistake::TimestampNoNumber),
    ]);
}

#[test]
fn an_old_delivery_with_another_mistake_is_told_both() {
    let mut sample = Sample::good().with_secret(format!("{SECRET}\n").as_bytes());
    sample.now += 1000;
    match sample.explained() {
        Explanation::Mistaken { error: CaseError::Refused(refusal), finding, besides } => {
            assert_eq!(refusal.code, Code::StaleTimestamp);
            assert_eq!(finding.mistake, Mistake::SecretEndsInNewline);
            assert_eq!(besides, Some(Mistake::Stale(std::time::Duration::from_secs(1000))));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_explanation_shows_a_secret_or_the_expected_signature() {
    let good = Sample::good();
    let signature = &good.lines.iter().find(|(name, _)| name == SIGNATURE).unwrap().1;
    let spoilt = [
        Sample::good().with_secret(format!("{SECRET}\n").as_bytes()),
        changed(BODY.as_bytes(), b"{}"),
        Sample::good().with(SIGNATURE, |_| "0".repeat(64)),
    ];
    for sample in spoilt {
        let explanation = sample.explained();
        let mut text = format!("{explanation:?}");
        if let Explanation::Mistaken { finding, .. } = explanation {
            text += &(finding.mistake.sentence() + &finding.mistake.fix());
        }
        assert!(!text.contains(SECRET) && !text.contains(signature), "{text}");
    }
}
