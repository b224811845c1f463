//! Secrets, lists, labels, header lines, other providers, plain hashes: what the grown schemes
//! brought.

use super::*;
use crate::explain::tests::fixtures::compare_suspicions;
use crate::notation::json::Pointer;
use crate::scheme::tests::fixtures::{plain, standard_webhooks, stripe};
use crate::scheme::{Items, Part, Place};

/// Sent and received by the same scheme.
pub(super) fn by(scheme: &Scheme) -> Sample {
    Sample { scheme: scheme.clone(), ..Sample::sent(scheme, SECRET, BODY.as_bytes()) }
}

/// Sent by one scheme, received by another.
pub(super) fn between(sent: &Scheme, received: &Scheme) -> Sample {
    Sample { scheme: received.clone(), ..by(sent) }
}

pub(super) fn with_secret(sample: Sample, text: &str) -> Sample {
    sample.with_secret(text.as_bytes())
}

#[test]
fn more_mistakes_with_the_secret_are_named() {
    let key = b"\xfb\xefkey bytes\xff";
    let base64 = Encoding::Base64.encode(key);
    let url_safe = Encoding::Base64Url.encode(key);
    let decoding = keyed(KeyEncoding::Base64, Some("whsec_"));
    let lists = |text: &str, received: &str| {
        Sample { scheme: stripe(), ..Sample::sent(&stripe(), text, BODY.as_bytes()) }.with_secret(received.as_bytes())
    };
    let candidates = Scheme {
        key: vec![
            KeyForm { encoding: KeyEncoding::Base64, strip: Some("whsec_".into()), strip_required: false },
            KeyForm { encoding: KeyEncoding::Hex, ..KeyForm::default() },
        ],
        ..itellico()
    };
    compare(vec![
        ("a line of .env", with_secret(Sample::good(), &format!("WEBHOOK_SECRET={SECRET}\n")), "secret_has_name"),
        ("exported, quoted", with_secret(Sample::good(), &format!("export S=\"{SECRET}\"")), "secret_has_name"),
        (
            "a line feed in two characters",
            with_secret(Sample::sent(&itellico(), "a\nb", BODY.as_bytes()), "a\\nb"),
            "secret_escaped_newlines",
        ),
        (
            "percent-encoded",
            with_secret(Sample::sent(&itellico(), "a+b/c", BODY.as_bytes()), "a%2Bb%2Fc"),
            "secret_percent_encoded",
        ),
        (
            "base64url for base64",
            with_secret(
                Sample { scheme: decoding.clone(), ..Sample::sent(&decoding, &base64, BODY.as_bytes()) },
                &format!("whsec_{url_safe}"),
            ),
            "secret_base64_spelling",
        ),
        ("Stripe's prefix stripped", lists("whsec_abc", "abc"), "secret_prefix: `whsec_`"),
        ("Stripe's secret with LF", lists("whsec_abc", "whsec_abc\n"), "secret_ends_in_newline"),
        (
            "Standard Webhooks' secret taken as text",
            with_secret(
                Sample {
                    scheme: standard_webhooks(),
                    ..Sample::sent(
                        &Scheme { key: decoding.key.clone(), ..standard_webhooks() },
                        &format!("whsec_{base64}"),
                        BODY.as_bytes(),
                    )
                },
                &format!("whsec_{base64}"),
            ),
            "secret_not_decoded: base64",
        ),
        (
            "the second candidate wrongly decoded",
            with_secret(Sample { scheme: candidates, ..Sample::sent(&itellico(), "00ff", BODY.as_bytes()) }, "00ff"),
            "secret_wrongly_decoded: base64",
        ),
        (
            "another route's",
            Sample { routes: vec![("shop".into(), vec![secret("env:T", SECRET)])], ..Sample::good() }
                .with_secret(b"other"),
            "secret_of_other_route: `shop`",
        ),
    ]);
}

#[test]
fn mistakes_in_lists_are_named() {
    let (stripe, standard) = (stripe(), standard_webhooks());
    let header = "Stripe-Signature";
    let change = |from: &'static str, to: &'static str| by(&stripe).with(header, move |s| s.replace(from, to));
    let timed = timestamped("{timestamp}.{body}");
    let in_list = |sample: Sample| sample.with("X-Signature", |s| format!("t={AT},v1={s}"));
    compare(vec![
        ("only v0", change("v1=", "v0="), "other_label: `v0` … `v1`"),
        ("a space behind the comma", change(",", ", "), "list_separator: `, `"),
        ("semicolons", change(",", ";"), "list_separator: `;`"),
        (
            "capitals",
            by(&stripe).with(header, |s| s.to_ascii_uppercase().replace("T=", "t=").replace("V1", "v1")),
            "signature_upper_case",
        ),
        ("quotes", by(&stripe).with(header, |s| s.replace("v1=", "v1=\"") + "\""), "signature_in_quotes"),
        (
            "base64 in a list",
            between(&Scheme { signature: base64(&stripe), ..stripe.clone() }, &stripe),
            "signature_encoding: base64",
        ),
        ("no label", by(&standard).with("Webhook-Signature", |s| s.replace("v1,", "")), "label_missing: `v1`, `v1a`"),
        ("a list unlooked for", in_list(by(&timed)), "signature_labelled: `v1`"),
        ("two lists joined", by(&stripe).with(header, |s| format!("{s},{s}")), "header_joined: `stripe-signature`"),
        (
            "milliseconds in t=",
            by(&stripe).with(header, |s| s.replace(&AT.to_string(), &format!("{AT}000"))),
            "other_unit_signed",
        ),
        (
            "milliseconds signed in t=",
            between(&Scheme { timestamp: millis(&stripe), ..stripe.clone() }, &stripe),
            "milliseconds_for_seconds",
        ),
        ("stale in t=", Sample { now: AT + 900, ..by(&stripe) }, "stale: 15 min old"),
        ("two hours behind in t=", Sample { now: AT + 7200, ..by(&stripe) }, "time_zone: 2 hours behind"),
        (
            "another order in a list",
            between(&Scheme { signed: Template::parse("{body}.{timestamp}").unwrap(), ..stripe.clone() }, &stripe),
            "other_order: `{body}.{timestamp}`",
        ),
        ("another algorithm in a list", between(&sha512(&stripe), &stripe), "other_algorithm: hmac-sha512"),
    ]);
    let v1a = "v1a,bm90IGEgc2lnbmF0dXJlIG9mIHRoaXMgbGVuZ3RoLi4u";
    compare_suspicions(vec![
        ("only a wrong v0", with_secret(change("v1=", "v0="), "other"), "only_other_labels: `v1` … `v0`"),
        (
            "a bare one of the wrong secret shows nothing of itself as a label",
            with_secret(
                between(&itellico(), &stripe).renamed(SIGNATURE, header).with(header, |_| "tops3cr=".into()),
                "sk_test_x",
            ),
            "api_key_for_secret: `sk_test_`",
        ),
        ("only v1 under a public key", with_secret(by(&standard), "whpk_AAAA"), "needs_shared_secret: `v1`"),
        (
            "only v1a under a shared secret",
            by(&standard).with("Webhook-Signature", |_| v1a.to_owned()),
            "needs_public_key: `v1a`",
        ),
    ]);
}

fn base64(scheme: &Scheme) -> crate::scheme::SignaturePlace {
    crate::scheme::SignaturePlace { encoding: Encoding::Base64, ..scheme.signature.clone() }
}

fn millis(scheme: &Scheme) -> Option<crate::scheme::TimestampPlace> {
    scheme.timestamp.clone().map(|place| crate::scheme::TimestampPlace { unit: Unit::Milliseconds, ..place })
}

fn sha512(scheme: &Scheme) -> Scheme {
    let mut scheme = Scheme { algorithm: Algorithm::HmacSha512, ..scheme.clone() };
    template_of(&mut scheme).signature.items.accept = vec![("v1".into(), Algorithm::HmacSha512)];
    scheme
}

#[test]
fn mistakes_with_header_lines_are_named() {
    let standard = standard_webhooks();
    let svix = by(&standard)
        .renamed("webhook-id", "Svix-Id")
        .renamed("webhook-timestamp", "Svix-Timestamp")
        .renamed("webhook-signature", "Svix-Signature");
    let noted = Scheme { signed: Template::parse("{header:X-Nonce}.{body}").unwrap(), ..plain("{body}") };
    assert!(noted.signed.parts().contains(&Part::Header(field("x-nonce"))));
    let nonce = |name: &str| {
        let sent = Sample::sent(
            &Scheme { event_id: Some(Place::Header(field("X-Nonce"))), ..plain("{id}.{body}") },
            SECRET,
            BODY.as_bytes(),
        );
        Sample { scheme: noted.clone(), ..sent.renamed("x-nonce", name) }
    };
    let requiring = Scheme { require: vec![(field("X-Version"), b"1".to_vec())], ..itellico() };
    let mut two = itellico();
    two.signature.headers = vec![field("X-First"), field("X-Second")];
    let forged = "0".repeat(64);
    compare(vec![
        ("svix names", svix.clone(), "other_header_family: `webhook-…` … `svix-…`"),
        (
            "the id alone renamed",
            by(&standard).renamed("webhook-id", "Svix-Id"),
            "other_header: `webhook-id` … `svix-id`",
        ),
        ("a signed header renamed", nonce("X-Once"), "other_header: `x-nonce` … `x-once`"),
        ("neither of two headers", between(&itellico(), &two), "other_header: `x-first` … `x-webhook-signature-256`"),
        (
            "the second of two in quotes",
            between(&itellico(), &two).renamed(SIGNATURE, "X-Second").with("X-Second", |s| format!("\"{s}\"")),
            "signature_in_quotes",
        ),
        (
            "two signatures joined",
            Sample::good().with(SIGNATURE, |s| format!("{forged}, {s}")),
            "header_joined: `x-webhook-signature-256`",
        ),
        (
            "two timestamps joined",
            Sample::good().with(TIMESTAMP, |s| format!("{s}, {s}")),
            "header_joined: `x-webhook-timestamp`",
        ),
        ("two signatures", Sample::good().and(SIGNATURE, &forged), "header_twice: `x-webhook-signature-256`"),
        ("an alias beside", Sample::good().and("X_Webhook_Timestamp", "1"), "header_twice: `x-webhook-timestamp`"),
        (
            "another version",
            Sample { scheme: requiring, ..Sample::good().and("X-Version", "2") },
            "required_header: `x-version`",
        ),
    ]);
    let without_id = |mut sample: Sample| {
        sample.lines.retain(|(name, _)| !name.eq_ignore_ascii_case("webhook-id"));
        sample
    };
    compare_suspicions(vec![("the id is gone", without_id(by(&standard)), "header_missing: `webhook-id`")]);
}

#[test]
fn another_provider_is_named_by_its_signature_or_by_its_headers() {
    let named = |provider: &str, scheme: Scheme| Scheme { provider: provider.into(), ..scheme };
    let named_by_header = |name: &str| {
        let mut scheme = named("svix", standard_webhooks());
        template_of(&mut scheme).signature.headers = vec![field(name)];
        scheme
    };
    let (stripe, svix) = (named("stripe", stripe()), named_by_header("svix-signature"));
    // Others that sign as these do stand before them.
    let clerk = named("clerk", standard_webhooks());
    let presets = vec![itellico(), clerk, stripe.clone(), svix.clone()];
    let sent = |scheme: &Scheme, received: &Scheme| Sample { presets: presets.clone(), ..between(scheme, received) };
    compare(vec![
        ("Svix judged as Stripe", sent(&svix, &stripe), "other_provider: `svix`"),
        ("Stripe judged as Svix", sent(&stripe, &svix), "other_provider: `stripe`"),
        (
            "three that sign alike, judged as Stripe",
            Sample {
                presets: ["d", "c", "b", "a"].map(|name| named(name, standard_webhooks())).to_vec(),
                ..between(&standard_webhooks(), &stripe)
            },
            "other_provider: `d`, `c`, `b`",
        ),
        (
            "the standard that many follow",
            Sample {
                presets: ["d", "standard-webhooks"].map(|name| named(name, standard_webhooks())).to_vec(),
                ..between(&standard_webhooks(), &stripe)
            },
            "other_provider: `standard-webhooks`",
        ),
        ("itellico judged as Stripe", sent(&itellico(), &stripe), "other_provider: `itellico`"),
    ]);
    compare_suspicions(vec![
        ("Svix, the secret unknown", with_secret(sent(&svix, &stripe), "other"), "looks_like_provider: `svix`"),
        ("Stripe, the secret unknown", with_secret(sent(&stripe, &svix), "other"), "looks_like_provider: `stripe`"),
    ]);
}

#[test]
fn plain_hashes_and_parts_too_many_are_named() {
    let hash = |template: &str| Scheme { algorithm: Algorithm::Sha256, ..plain(template) };
    let sent = |scheme: &Scheme| between(scheme, &plain("{body}"));
    let unkeyed = {
        let mut sample = by(&plain("{body}"));
        let mut hash = crate::key::digest::DigestAlgorithm::Sha256.mac(b"");
        hash.update(BODY.as_bytes());
        sample.lines = vec![("X-Signature".into(), hex::encode(hash.finalize().as_bytes()))];
        sample
    };
    let slack = timestamped("v0:{timestamp}:{body}");
    let swapped = between(&timestamped("v0:{body}:{timestamp}"), &slack);
    let own = hash("{body}{secret}");
    compare(vec![
        ("the secret behind", sent(&hash("{body}{secret}")), "plain_hash: sha256 … `{body}{secret}`"),
        ("the secret before", sent(&hash("{secret}{body}")), "plain_hash: sha256 … `{secret}{body}`"),
        ("no secret at all", unkeyed, "unkeyed: sha256"),
        (
            "an own plain hash, a newline too many",
            Sample { body: format!("{BODY}\n").into_bytes(), ..by(&own) },
            "body_gained_newline",
        ),
        (
            "an own plain hash, the other order",
            between(&hash("{secret}.{body}"), &own),
            "other_order: `{secret}.{body}`",
        ),
        ("the time too", sent(&timestamped("{timestamp}.{body}")), "part_added: `{header:x-timestamp}.{body}`"),
        ("the id too", sent(&plain("{id}:{body}")), "part_added: `{header:x-id}:{body}`"),
        ("the path too", sent(&plain("{path}{body}")), "part_added: `{path}{body}`"),
        (
            "another order without the body",
            between(&timestamped("{id}.{timestamp}"), &timestamped("{timestamp}.{id}")),
            "other_order: `{id}.{timestamp}`",
        ),
        ("another order behind v0:", swapped, "other_order: `v0:{body}:{timestamp}`"),
    ]);
}

#[test]
fn a_time_in_the_body_and_a_rewritten_date_are_judged_too() {
    let in_body = || {
        let mut scheme = timestamped("{body}");
        template_of(&mut scheme).timestamp.as_mut().unwrap().at = TimestampAt::Json(Pointer::parse("/at").unwrap());
        scheme
    };
    let sent = |at: i64| {
        let body = format!("{{\"at\":{at}}}").into_bytes();
        Sample { scheme: in_body(), ..Sample::sent(&plain("{body}"), SECRET, &body) }
    };
    let mut dated = timestamped("{timestamp}.{body}");
    let place = dated.timestamp.as_mut().unwrap();
    (place.at, place.unit) = (TimestampAt::Headers(vec![field("Date")]), Unit::HttpDate);
    let mut rfc3339 = timestamped("{timestamp}.{body}");
    rfc3339.timestamp.as_mut().unwrap().unit = Unit::Rfc3339;
    let numbers = timestamped("{timestamp}.{body}");
    let later = |at: i64| Unit::HttpDate.write(crate::clock::UnixMillis::from_secs(at)).unwrap();
    compare(vec![
        ("old in the body", sent(AT - 1000), "stale: 16 min 40 s old"),
        ("milliseconds in the body", sent(AT * 1000), "milliseconds_for_seconds"),
        ("Date written anew", by(&dated).with("Date", |_| later(AT + 7)), "timestamp_rewritten"),
        ("a number for a date", between(&numbers, &rfc3339), "timestamp_unit: it is a number"),
        ("a date for a number", between(&rfc3339, &numbers), "timestamp_no_number"),
        (
            "a date of another form",
            between(&rfc3339, &{
                let mut other = rfc3339.clone();
                other.timestamp.as_mut().unwrap().unit = Unit::HttpDate;
                other
            }),
            "timestamp_unit: `rfc3339`",
        ),
    ]);
    // A list's own timestamp is told as well where the signature is wrong.
    let old = Sample { now: AT + 900, ..with_secret(by(&stripe()), "other") };
    match old.explained() {
        Explanation::Unexplained { besides, .. } => expect(besides.as_ref(), "stale: 15 min old"),
        other => panic!("{other:?}"),
    }
    assert_eq!(Items::default().assign, None);
}
