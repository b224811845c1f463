//! Header lines that are renamed, joined, doubled or missing, and the headers of other providers.

use super::*;
use crate::explain::tests::fixtures::{between, by, compare_suspicions, with_secret};
use crate::scheme::tests::fixtures::{plain, standard_webhooks, stripe, template_of};
use crate::scheme::{Part, Place};

#[test]
fn mistakes_with_header_lines_are_named() {
    let standard = standard_webhooks();
    let svix = by(&standard)
        .renamed("webhook-id", "Svix-Id")
        .renamed("webhook-timestamp", "Svix-Timestamp")
        .renamed("webhook-signature", "Svix-Signature");
    let noted = plain("{header:X-Nonce}.{body}");
    assert!(noted.parts().contains(&Part::Header(field("x-nonce"))));
    let nonce = |name: &str| {
        let sent = Sample::sent(
            &Scheme {
                event_id: Some(Place::Header(field("X-Nonce"))),
                ..plain("{id}.{body}")
            },
            SECRET,
            BODY.as_bytes(),
        );
        Sample {
            scheme: noted.clone(),
            ..sent.renamed("x-nonce", name)
        }
    };
    let requiring = Scheme {
        require: vec![(field("X-Version"), b"1".to_vec())],
        ..itellico()
    };
    let mut two = itellico();
    template_of(&mut two).signature.headers = vec![field("X-First"), field("X-Second")];
    let forged = "0".repeat(64);
    compare(vec![
        (
            "svix names",
            svix.clone(),
            "other_header_family: `webhook-…` … `svix-…`",
        ),
        (
            "the id alone renamed",
            by(&standard).renamed("webhook-id", "Svix-Id"),
            "other_header: `webhook-id` … `svix-id`",
        ),
        (
            "a signed header renamed",
            nonce("X-Once"),
            "other_header: `x-nonce` … `x-once`",
        ),
        (
            "neither of two headers",
            between(&itellico(), &two),
            "other_header: `x-first` … `x-webhook-signature-256`",
        ),
        (
            "the second of two in quotes",
            between(&itellico(), &two)
                .renamed(SIGNATURE, "X-Second")
                .with("X-Second", |s| format!("\"{s}\"")),
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
        (
            "two signatures",
            Sample::good().and(SIGNATURE, &forged),
            "header_twice: `x-webhook-signature-256`",
        ),
        (
            "an alias beside",
            Sample::good().and("X_Webhook_Timestamp", "1"),
            "header_twice: `x-webhook-timestamp`",
        ),
        (
            "another version",
            Sample {
                scheme: requiring,
                ..Sample::good().and("X-Version", "2")
            },
            "required_header: `x-version`",
        ),
    ]);
    let without_id = |mut sample: Sample| {
        sample
            .lines
            .retain(|(name, _)| !name.eq_ignore_ascii_case("webhook-id"));
        sample
    };
    compare_suspicions(vec![(
        "the id is gone",
        without_id(by(&standard)),
        "header_missing: `webhook-id`",
    )]);
}

#[test]
fn another_provider_is_named_by_its_signature_or_by_its_headers() {
    let named = |provider: &str, scheme: Scheme| Scheme {
        provider: provider.into(),
        ..scheme
    };
    let named_by_header = |name: &str| {
        let mut scheme = named("svix", standard_webhooks());
        template_of(&mut scheme).signature.headers = vec![field(name)];
        scheme
    };
    let (stripe, svix) = (named("stripe", stripe()), named_by_header("svix-signature"));
    // Other presets that sign alike come first in the list.
    let clerk = named("clerk", standard_webhooks());
    let presets = vec![itellico(), clerk, stripe.clone(), svix.clone()];
    let sent = |scheme: &Scheme, received: &Scheme| Sample {
        presets: presets.clone(),
        ..between(scheme, received)
    };
    compare(vec![
        (
            "Svix judged as Stripe",
            sent(&svix, &stripe),
            "other_provider: `svix`",
        ),
        (
            "Stripe judged as Svix",
            sent(&stripe, &svix),
            "other_provider: `stripe`",
        ),
        (
            "three that sign alike, judged as Stripe",
            Sample {
                presets: ["d", "c", "b", "a"]
                    .map(|name| named(name, standard_webhooks()))
                    .to_vec(),
                ..between(&standard_webhooks(), &stripe)
            },
            "other_provider: `d`, `c`, `b`, `a`",
        ),
        (
            "the standard that many follow",
            Sample {
                presets: ["d", "standard-webhooks"]
                    .map(|name| named(name, standard_webhooks()))
                    .to_vec(),
                ..between(&standard_webhooks(), &stripe)
            },
            "other_provider: `standard-webhooks`",
        ),
        (
            "itellico judged as Stripe",
            sent(&itellico(), &stripe),
            "other_provider: `itellico`",
        ),
    ]);
    compare_suspicions(vec![
        (
            "Svix, the secret unknown",
            with_secret(sent(&svix, &stripe), "other"),
            "looks_like_provider: `svix`",
        ),
        (
            "Stripe, the secret unknown",
            with_secret(sent(&stripe, &svix), "other"),
            "looks_like_provider: `stripe`",
        ),
    ]);
}
