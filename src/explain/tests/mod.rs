//! Each mistake is made here and must be named, and a delivery without a mistake must not be
//! explained by any.

mod codes;
mod content;
#[cfg(test)]
pub(crate) mod fixtures;
mod headers;
mod jwt;
mod keys;
mod lists;
mod names;
mod places;
mod secrets;

use super::tests::fixtures::{AT, BODY, SECRET, SIGNATURE, Sample, TIMESTAMP, compare, expect};
use super::*;
use crate::key::secret::Secret;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::TimestampAt;
use crate::scheme::tests::fixtures::{field, itellico, secret, timestamped};
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Scheme, Template, TemplateScheme};
use crate::verdict::Code;

/// The reference scheme with a changed template.
fn like_itellico(change: impl FnOnce(&mut TemplateScheme)) -> Scheme {
    crate::scheme::tests::fixtures::changed(itellico(), change)
}

fn signing(text: &str) -> Scheme {
    like_itellico(|template| template.signed = Template::parse(text).unwrap())
}

/// A delivery signed over `signed`, and received with `body`.
fn changed(signed: &[u8], body: &[u8]) -> Sample {
    Sample {
        body: body.to_vec(),
        ..Sample::sent(&itellico(), SECRET, signed)
    }
}

fn keyed(encoding: KeyEncoding, strip: Option<&str>) -> Scheme {
    like_itellico(|template| {
        template.key = vec![KeyForm {
            encoding,
            strip: strip.map(str::to_owned),
            ..KeyForm::default()
        }];
    })
}

#[test]
fn a_correct_delivery_is_valid() {
    assert!(
        matches!(Sample::good().explained(), Explanation::Valid(proof) if &*proof.secret == "env:S")
    );
}

#[test]
fn an_unrelated_forgery_is_explained_by_no_mistake() {
    let mut sample = Sample::sent(&itellico(), "somebody else's", BODY.as_bytes());
    sample.presets = vec![timestamped("{timestamp}.{body}")];
    match sample.explained() {
        Explanation::Unexplained {
            error: CaseError::Refused(refusal),
            besides: None,
        } => {
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
        (
            "LF",
            Sample::good().with_secret(format!("{SECRET}\n").as_bytes()),
            "secret_ends_in_newline",
        ),
        (
            "CRLF",
            Sample::good().with_secret(format!("{SECRET}\r\n").as_bytes()),
            "secret_ends_in_newline",
        ),
        (
            "the sender's LF",
            signed_by(&itellico(), &format!("{SECRET}\n")),
            "secret_lacks_newline",
        ),
        (
            "spaces",
            Sample::good().with_secret(format!(" {SECRET} ").as_bytes()),
            "secret_in_space",
        ),
        (
            "quotes",
            Sample::good().with_secret(quoted.as_bytes()),
            "secret_in_quotes",
        ),
        (
            "byte order mark",
            Sample::good().with_secret(format!("\u{feff}{SECRET}").as_bytes()),
            "secret_has_byte_order_mark",
        ),
        (
            "base64 not decoded",
            signed_by(&keyed(KeyEncoding::Base64, None), &base64).with_secret(base64.as_bytes()),
            "secret_not_decoded: base64",
        ),
        (
            "base64 behind whsec_ not decoded",
            signed_by(
                &keyed(KeyEncoding::Base64, Some("whsec_")),
                &format!("whsec_{base64}"),
            )
            .with_secret(format!("whsec_{base64}").as_bytes()),
            "secret_not_decoded: base64",
        ),
        (
            "hex not decoded",
            signed_by(&keyed(KeyEncoding::Hex, None), "00ff17").with_secret(b"00ff17"),
            "secret_not_decoded: hex",
        ),
        (
            "base64 wrongly decoded",
            Sample {
                scheme: keyed(KeyEncoding::Base64, None),
                ..signed_by(&itellico(), &base64)
            }
            .with_secret(base64.as_bytes()),
            "secret_wrongly_decoded: base64",
        ),
        (
            "a text that is no base64 at all",
            Sample {
                scheme: keyed(KeyEncoding::Base64, None),
                ..Sample::good()
            },
            "secret_wrongly_decoded: base64",
        ),
        (
            "a prefix stripped by the sender",
            signed_by(&itellico(), "abc").with_secret(b"whsec_abc"),
            "secret_prefix: `whsec_`",
        ),
        (
            "a prefix stripped by us",
            Sample {
                scheme: keyed(KeyEncoding::Utf8, Some("whsec_")),
                ..signed_by(&itellico(), "whsec_abc")
            }
            .with_secret(b"whsec_abc"),
            "secret_prefix: `whsec_`",
        ),
    ]);
}

#[test]
fn a_previous_secret_is_named_with_its_time() {
    let mut sample = Sample::good();
    let moment = |s| Some(crate::clock::UnixMillis::from_secs(s));
    sample.secrets = vec![
        secret("new", "other"),
        Secret {
            not_after: moment(AT),
            ..secret("old", SECRET)
        },
    ];
    match sample.explained() {
        Explanation::Mistaken { finding, .. } => {
            expect(Some(&finding.mistake), "secret_inactive: `not_after`");
            assert_eq!(&*finding.secret, "old");
        }
        other => panic!("{other:?}"),
    }
    sample.secrets = vec![Secret {
        not_before: moment(AT + 1),
        ..secret("next", SECRET)
    }];
    expect(sample.mistake().as_ref(), "secret_inactive: `not_before`");
}

#[test]
fn mistakes_with_the_body_are_named() {
    let line = |end: &str| format!("{BODY}{end}").into_bytes();
    let lines = |end: &str| format!("{{{end}\"a\": 1{end}}}").into_bytes();
    let python =
        r#"{"type": "conversation.ended", "event_id": "e/1", "data": {"n": 1, "who": "Zo\u00eb"}}"#;
    let php = r#"{"type":"conversation.ended","event_id":"e\/1","data":{"n":1,"who":"Zo\u00eb"}}"#;
    let sorted = r#"{"data":{"n":1,"who":"Zoë"},"event_id":"e/1","type":"conversation.ended"}"#;
    let base64 = Encoding::Base64.encode(BODY.as_bytes());
    let plain = BODY.as_bytes();
    compare(vec![
        (
            "LF gained",
            changed(plain, &line("\n")),
            "body_gained_newline",
        ),
        (
            "CRLF gained",
            changed(plain, &line("\r\n")),
            "body_gained_newline",
        ),
        (
            "one LF of two gained",
            changed(&line("\n"), &line("\n\n")),
            "body_gained_newline",
        ),
        ("LF lost", changed(&line("\n"), plain), "body_lost_newline"),
        (
            "CRLF lost",
            changed(&line("\r\n"), plain),
            "body_lost_newline",
        ),
        (
            "LF for CRLF",
            changed(&lines("\r\n"), &lines("\n")),
            "body_line_ends",
        ),
        (
            "CRLF for LF",
            changed(&lines("\n"), &lines("\r\n")),
            "body_line_ends",
        ),
        (
            "Python's form signed",
            changed(python.as_bytes(), plain),
            "body_reserialised: JSON with a space after each comma and colon, with all characters \
             beyond ASCII escaped as \\u….",
        ),
        (
            "Python's form received",
            changed(plain, python.as_bytes()),
            "body_reserialised: JSON without white space, without needless escapes.",
        ),
        (
            "PHP's form signed",
            changed(php.as_bytes(), plain),
            "body_reserialised: JSON without white space, with slashes and all characters beyond \
             ASCII escaped.",
        ),
        (
            "sorted keys signed",
            changed(sorted.as_bytes(), plain),
            "body_reserialised: JSON without white space, with sorted keys.",
        ),
        (
            "sorted keys received",
            changed(plain, sorted.as_bytes()),
            "body_reserialised: JSON with its members in another order.",
        ),
        (
            "the empty body signed",
            changed(b"", plain),
            "body_was_empty",
        ),
        (
            "byte order mark lost",
            changed(&[b"\xEF\xBB\xBF", plain].concat(), plain),
            "body_byte_order_mark",
        ),
        (
            "byte order mark gained",
            changed(plain, &[b"\xEF\xBB\xBF", plain].concat()),
            "body_byte_order_mark",
        ),
        (
            "base64 received",
            changed(plain, base64.as_bytes()),
            "body_still_base64",
        ),
    ]);
}

#[test]
fn mistakes_in_the_signed_content_are_named() {
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    let sha512 = like_itellico(|template| template.algorithm = Algorithm::HmacSha512);
    let sha1 = like_itellico(|template| template.algorithm = Algorithm::HmacSha1);
    let other = Scheme {
        provider: "acme".into(),
        ..timestamped("v0:{timestamp}:{body}")
    };
    let three = Scheme {
        preset: true,
        ..timestamped("{id}.{timestamp}.{body}")
    };
    let two = timestamped("{timestamp}.{body}");
    let three_received = |sample: Sample| Sample {
        scheme: three.clone(),
        ..sample
    };
    let mut without_id = sent(&two);
    without_id.lines.push(("X-Id".into(), "id_1".into()));
    compare(vec![
        (
            "timestamp first",
            sent(&signing("{timestamp}.{body}")),
            "other_order: `{timestamp}.{body}`",
        ),
        (
            "first and bare",
            sent(&signing("{timestamp}{body}")),
            "other_order: `{timestamp}{body}`",
        ),
        (
            "a colon",
            sent(&signing("{body}:{timestamp}")),
            "other_separator: `{body}:{timestamp}`",
        ),
        (
            "a line feed",
            sent(&signing("{body}\n{timestamp}")),
            "other_separator: `{body}\\n{timestamp}`",
        ),
        (
            "the body alone",
            sent(&signing("{body}")),
            "body_alone_signed",
        ),
        (
            "the id left out",
            three_received(without_id),
            "part_left_out: `{timestamp}.{body}`",
        ),
        ("SHA-512", sent(&sha512), "other_algorithm: hmac-sha512"),
        ("SHA-1", sent(&sha1), "other_algorithm: hmac-sha1"),
        (
            "another provider",
            Sample {
                presets: vec![itellico(), other.clone()],
                ..sent(&other)
            },
            "other_provider: `acme`",
        ),
    ]);
}

#[test]
fn mistakes_in_the_signature_s_form_are_named() {
    let base64 = like_itellico(|template| template.signature.encoding = Encoding::Base64);
    let prefixed = like_itellico(|template| template.signature.prefix = "sha256=".into());
    let renamed = like_itellico(|template| {
        template.signature.headers = vec![field("X_Webhook_Signature_256")];
    });
    let timed = like_itellico(|template| {
        template.timestamp.as_mut().unwrap().at = TimestampAt::Headers(vec![field("X-Time")]);
    });
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    compare(vec![
        (
            "capitals",
            Sample::good().with(SIGNATURE, str::to_ascii_uppercase),
            "signature_upper_case",
        ),
        (
            "quotes",
            Sample::good().with(SIGNATURE, |s| format!("\"{s}\"")),
            "signature_in_quotes",
        ),
        ("base64", sent(&base64), "signature_encoding: base64"),
        (
            "base64 behind a prefix",
            sent(&base64).with(SIGNATURE, |s| format!("sha256={s}")),
            "signature_encoding: base64",
        ),
        (
            "a prefix too many",
            sent(&prefixed),
            "signature_prefix: `sha256=`",
        ),
        (
            "no prefix",
            Sample {
                scheme: prefixed.clone(),
                ..Sample::good()
            },
            "signature_prefix: is missing",
        ),
        (
            "an alias",
            sent(&renamed),
            "other_header: `x-webhook-signature-256` … `x_webhook_signature_256`",
        ),
        (
            "the timestamp elsewhere",
            sent(&timed),
            "other_header: `x-webhook-timestamp` … `x-time`",
        ),
    ]);
}

#[test]
fn mistakes_with_the_time_are_named() {
    let millis =
        like_itellico(|template| template.timestamp.as_mut().unwrap().unit = Unit::Milliseconds);
    let sent = |scheme: &Scheme| Sample::sent(scheme, SECRET, BODY.as_bytes());
    let at = |now| Sample {
        now: AT + now,
        ..Sample::good()
    };
    // The text of the header is signed, whatever it is.
    let texts =
        crate::scheme::tests::fixtures::changed(signing("{body}.{header:X-Date}"), |template| {
            template.timestamp = None;
        });
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
        Sample {
            lines,
            ..Sample::good()
        }
        .and(TIMESTAMP, text)
    };
    compare(vec![
        ("one second too old", at(301), "stale: 5 min 1 s old"),
        ("a day old", at(86_400), "stale: 1 d old"),
        ("too far ahead", at(-301), "future: 5 min 1 s ahead"),
        ("two hours behind", at(7_230), "time_zone: 2 hours behind"),
        ("one hour ahead", at(-3_400), "time_zone: 1 hour ahead"),
        ("milliseconds", sent(&millis), "milliseconds_for_seconds"),
        (
            "seconds",
            Sample {
                scheme: millis.clone(),
                ..Sample::good()
            },
            "seconds_for_milliseconds",
        ),
        (
            "seconds signed, milliseconds sent",
            Sample::good().with(TIMESTAMP, |s| format!("{s}000")),
            "other_unit_signed",
        ),
        (
            "a date",
            as_text("2025-06-15T15:06:40Z"),
            "timestamp_no_number",
        ),
        (
            "a leading zero",
            as_text("01750000000"),
            "timestamp_no_number",
        ),
    ]);
}

#[test]
fn an_old_delivery_with_another_mistake_is_explained_by_both() {
    let mut sample = Sample::good().with_secret(format!("{SECRET}\n").as_bytes());
    sample.now += 1000;
    match sample.explained() {
        Explanation::Mistaken {
            error: CaseError::Refused(refusal),
            finding,
            besides,
        } => {
            assert_eq!(refusal.code, Code::StaleTimestamp);
            expect(Some(&finding.mistake), "secret_ends_in_newline");
            expect(besides.as_ref(), "stale: 16 min 40 s old");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_explanation_shows_a_secret_or_the_expected_signature() {
    let good = Sample::good();
    let signature = &good
        .lines
        .iter()
        .find(|(name, _)| name == SIGNATURE)
        .unwrap()
        .1;
    let spoilt = [
        Sample::good().with_secret(format!("{SECRET}\n").as_bytes()),
        changed(BODY.as_bytes(), b"{}"),
        Sample::good().with(SIGNATURE, |_| "0".repeat(64)),
    ];
    for sample in spoilt {
        let explanation = sample.explained();
        let mut text = format!("{explanation:?}");
        if let Explanation::Mistaken { finding, .. } = explanation {
            text = text + &finding.mistake.sentence + &finding.mistake.fix;
        }
        assert!(
            !text.contains(SECRET) && !text.contains(signature),
            "{text}"
        );
    }
}
