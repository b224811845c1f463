//! Secrets: lines of `.env` files, encodings, prefixes, and the secrets of other routes.

use super::*;
use crate::explain::tests::fixtures::with_secret;
use crate::scheme::tests::fixtures::{standard_webhooks, stripe};

#[test]
fn more_mistakes_with_the_secret_are_named() {
    let key = b"\xfb\xefkey bytes\xff";
    let base64 = Encoding::Base64.encode(key);
    let url_safe = Encoding::Base64Url.encode(key);
    let decoding = keyed(KeyEncoding::Base64, Some("whsec_"));
    let lists = |text: &str, received: &str| {
        Sample {
            scheme: stripe(),
            ..Sample::sent(&stripe(), text, BODY.as_bytes())
        }
        .with_secret(received.as_bytes())
    };
    let candidates = crate::scheme::tests::fixtures::changed(itellico(), |template| {
        template.key = vec![
            KeyForm {
                encoding: KeyEncoding::Base64,
                strip: Some("whsec_".into()),
                ..KeyForm::default()
            },
            KeyForm {
                encoding: KeyEncoding::Hex,
                ..KeyForm::default()
            },
        ];
    });
    compare(vec![
        (
            "a line of .env",
            with_secret(Sample::good(), &format!("WEBHOOK_SECRET={SECRET}\n")),
            "secret_has_name",
        ),
        (
            "exported, quoted",
            with_secret(Sample::good(), &format!("export S=\"{SECRET}\"")),
            "secret_has_name",
        ),
        (
            "a line feed in two characters",
            with_secret(Sample::sent(&itellico(), "a\nb", BODY.as_bytes()), "a\\nb"),
            "secret_escaped_newlines",
        ),
        (
            "percent-encoded",
            with_secret(
                Sample::sent(&itellico(), "a+b/c", BODY.as_bytes()),
                "a%2Bb%2Fc",
            ),
            "secret_percent_encoded",
        ),
        (
            "base64url for base64",
            with_secret(
                Sample {
                    scheme: decoding.clone(),
                    ..Sample::sent(&decoding, &base64, BODY.as_bytes())
                },
                &format!("whsec_{url_safe}"),
            ),
            "secret_base64_spelling",
        ),
        (
            "Stripe's prefix stripped",
            lists("whsec_abc", "abc"),
            "secret_prefix: `whsec_`",
        ),
        (
            "Stripe's secret with LF",
            lists("whsec_abc", "whsec_abc\n"),
            "secret_ends_in_newline",
        ),
        (
            "Standard Webhooks' secret taken as text",
            with_secret(
                Sample {
                    scheme: standard_webhooks(),
                    ..Sample::sent(
                        &crate::scheme::tests::fixtures::changed(standard_webhooks(), |template| {
                            template.key = decoding.proof.key_forms().to_vec();
                        }),
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
            with_secret(
                Sample {
                    scheme: candidates,
                    ..Sample::sent(&itellico(), "00ff", BODY.as_bytes())
                },
                "00ff",
            ),
            "secret_wrongly_decoded: base64",
        ),
        (
            "another route's",
            Sample {
                routes: vec![("shop".into(), vec![secret("env:T", SECRET)])],
                ..Sample::good()
            }
            .with_secret(b"other"),
            "secret_of_other_route: `shop`",
        ),
    ]);
}
