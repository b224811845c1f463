//! Signatures in lists: labels, separators, and signatures without a label.

use super::*;
use crate::explain::tests::fixtures::{between, by, compare_suspicions, with_secret};
use crate::scheme::tests::fixtures::{changed, standard_webhooks, stripe};

#[test]
fn mistakes_in_lists_are_named() {
    let (stripe, standard) = (stripe(), standard_webhooks());
    let header = "Stripe-Signature";
    let change = |from: &'static str, to: &'static str| {
        by(&stripe).with(header, move |s| s.replace(from, to))
    };
    let timed = timestamped("{timestamp}.{body}");
    let in_list = |sample: Sample| sample.with("X-Signature", |s| format!("t={AT},v1={s}"));
    compare(vec![
        ("only v0", change("v1=", "v0="), "other_label: `v0` … `v1`"),
        ("a space behind the comma", change(",", ", "), "list_spaces"),
        ("semicolons", change(",", ";"), "list_separator: `;`"),
        (
            "capitals",
            by(&stripe).with(header, |s| {
                s.to_ascii_uppercase()
                    .replace("T=", "t=")
                    .replace("V1", "v1")
            }),
            "signature_upper_case",
        ),
        (
            "quotes",
            by(&stripe).with(header, |s| s.replace("v1=", "v1=\"") + "\""),
            "signature_in_quotes",
        ),
        (
            "base64 in a list",
            between(
                &changed(stripe.clone(), |own| {
                    own.signature.encoding = Encoding::Base64;
                }),
                &stripe,
            ),
            "signature_encoding: base64",
        ),
        (
            "no label",
            by(&standard).with("Webhook-Signature", |s| s.replace("v1,", "")),
            "label_missing: `v1`, `v1a`",
        ),
        (
            "a list unlooked for",
            in_list(by(&timed)),
            "signature_labelled: `v1`",
        ),
        (
            "two lists joined",
            by(&stripe).with(header, |s| format!("{s},{s}")),
            "header_joined: `stripe-signature`",
        ),
        (
            "milliseconds in t=",
            by(&stripe).with(header, |s| s.replace(&AT.to_string(), &format!("{AT}000"))),
            "other_unit_signed",
        ),
        (
            "milliseconds signed in t=",
            between(&changed(stripe.clone(), in_millis), &stripe),
            "milliseconds_for_seconds",
        ),
        (
            "stale in t=",
            Sample {
                now: AT + 900,
                ..by(&stripe)
            },
            "stale: 15 min old",
        ),
        (
            "two hours behind in t=",
            Sample {
                now: AT + 7200,
                ..by(&stripe)
            },
            "time_zone: 2 hours behind",
        ),
        (
            "another order in a list",
            between(
                &changed(stripe.clone(), |own| {
                    own.signed = Template::parse("{body}.{timestamp}").unwrap();
                }),
                &stripe,
            ),
            "other_order: `{body}.{timestamp}`",
        ),
        (
            "another algorithm in a list",
            between(&sha512(&stripe), &stripe),
            "other_algorithm: hmac-sha512",
        ),
    ]);
    let v1a = "v1a,bm90IGEgc2lnbmF0dXJlIG9mIHRoaXMgbGVuZ3RoLi4u";
    compare_suspicions(vec![
        (
            "only a wrong v0",
            with_secret(change("v1=", "v0="), "other"),
            "only_other_labels: `v1` … `v0`",
        ),
        (
            "a bare one of the wrong secret shows nothing of itself as a label",
            with_secret(
                between(&itellico(), &stripe)
                    .renamed(SIGNATURE, header)
                    .with(header, |_| "tops3cr=".into()),
                "sk_test_x",
            ),
            "api_key_for_secret: `sk_test_`",
        ),
        (
            "only v1 under a public key",
            with_secret(by(&standard), "whpk_AAAA"),
            "needs_shared_secret: `v1`",
        ),
        (
            "only v1a under a shared secret",
            by(&standard).with("Webhook-Signature", |_| v1a.to_owned()),
            "needs_public_key: `v1a`",
        ),
    ]);
}

fn in_millis(template: &mut TemplateScheme) {
    template.timestamp.as_mut().unwrap().unit = Unit::Milliseconds;
}

fn sha512(scheme: &Scheme) -> Scheme {
    changed(scheme.clone(), |template| {
        template.algorithm = Algorithm::HmacSha512;
        template.signature.items.accept = vec![("v1".into(), Algorithm::HmacSha512)];
    })
}
