//! Tokens, Basic authentication, and secrets that look like another kind of key.

use super::*;
use crate::explain::tests::fixtures::{by, compare_suspicions, with_secret};
use crate::scheme::CredentialKind;
use crate::scheme::tests::fixtures::{
    changed, credential, plain, standard_webhooks, stripe, template_of,
};

#[test]
fn the_fixtures_themselves_are_valid() {
    for scheme in [
        itellico(),
        stripe(),
        standard_webhooks(),
        plain("{body}"),
        basic(),
        bearer(),
    ] {
        let sample = if scheme.is_credential() {
            token(&scheme)
        } else {
            by(&scheme)
        };
        assert!(
            matches!(sample.explained(), Explanation::Valid(_)),
            "{:?}",
            scheme.proof
        );
    }
}

#[test]
fn the_look_of_a_secret_is_named_by_its_prefix_alone() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAtops3cret\n-----END PUBLIC KEY-----";
    let private = pem.replace("PUBLIC", "EC PRIVATE");
    let live = |text: &str| Sample {
        body: br#"{"livemode":true}"#.to_vec(),
        ..with_secret(by(&stripe()), text)
    };
    let mut public = itellico();
    template_of(&mut public).algorithm = Algorithm::Ed25519;
    let rows = vec![
        (
            "a public key",
            with_secret(Sample::good(), "whpk_tops3cret"),
            "public_key_for_secret",
        ),
        (
            "one in PEM",
            with_secret(Sample::good(), pem),
            "public_key_for_secret",
        ),
        (
            "a private key",
            with_secret(Sample::good(), &private),
            "private_key_for_secret",
        ),
        (
            "an API key",
            with_secret(by(&stripe()), "sk_live_tops3cret"),
            "api_key_for_secret: `sk_live_`",
        ),
        (
            "an endpoint's id",
            with_secret(by(&stripe()), "we_tops3cret"),
            "id_for_secret: `we_`",
        ),
        (
            "a URL",
            with_secret(Sample::good(), "https://tops3cret.example"),
            "url_for_secret",
        ),
        (
            "a placeholder",
            with_secret(by(&stripe()), "whsec_your_tops3cret"),
            "placeholder_for_secret",
        ),
        (
            "the address of a secret",
            with_secret(by(&stripe()), "op://tops3cret"),
            "address_for_secret: `op://`",
        ),
        (
            "the path of a file",
            with_secret(by(&stripe()), "/run/secrets/tops3cret"),
            "path_for_secret",
        ),
        (
            "a JSON text",
            with_secret(by(&stripe()), "{\"secret\":\"tops3cret\"}"),
            "json_for_secret",
        ),
        (
            "a token",
            with_secret(by(&stripe()), "eyJhbGciOiJIUzI1NiJ9.e30.tops3cret"),
            "jwt_for_secret",
        ),
        (
            "a signature",
            with_secret(by(&stripe()), "sha256=tops3cret"),
            "signature_for_secret: `sha256=`",
        ),
        (
            "base64 of a secret",
            with_secret(by(&stripe()), "d2hzZWNfdG9wczNjcmV0"),
            "secret_encoded_twice",
        ),
        (
            "two secrets",
            with_secret(by(&stripe()), "whsec_tops3cret,whsec_tops3cret"),
            "several_for_secret",
        ),
        (
            "a shared secret",
            with_secret(
                Sample {
                    scheme: public,
                    ..Sample::good()
                },
                "whsec_tops3cret",
            ),
            "secret_for_public_key",
        ),
        (
            "test and live",
            live("whsec_test_tops3cret"),
            "test_and_live: delivery is live",
        ),
    ];
    for (name, sample, _) in &rows {
        let shown = sample
            .suspicion()
            .map(|mistake| format!("{mistake:?}{}{}", mistake.sentence, mistake.fix));
        assert!(
            shown.is_some_and(|text| !text.contains("tops3cret")),
            "{name}"
        );
    }
    compare_suspicions(rows);
}

/// A scheme whose credential is in `Authorization`.
fn authorized(kind: CredentialKind, prefix: &str) -> Scheme {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).signature.headers = vec![field("Authorization")];
    credential(scheme, kind, prefix)
}

fn bearer() -> Scheme {
    authorized(CredentialKind::Token, "Bearer ")
}

fn basic() -> Scheme {
    authorized(CredentialKind::Basic, "")
}

/// The delivery of a sender who sends the token rightly.
fn token(scheme: &Scheme) -> Sample {
    let (secret, value) = match scheme.algorithm() {
        Algorithm::Basic => (
            "hook:pass",
            format!("Basic {}", Encoding::Base64.encode(b"hook:pass")),
        ),
        _ => (SECRET, format!("Bearer {SECRET}")),
    };
    let sample = Sample {
        scheme: scheme.clone(),
        lines: Vec::new(),
        ..Sample::good()
    };
    sample
        .and("Authorization", &value)
        .with_secret(secret.as_bytes())
}

#[test]
fn mistakes_with_tokens_are_named() {
    let (basic, bearer) = (basic(), bearer());
    let bare = authorized(CredentialKind::Token, "");
    let hmac = changed(plain("{body}"), |template| {
        template.signature.headers = vec![field("Authorization")];
    });
    compare(vec![
        (
            "no Bearer",
            token(&bearer).with("Authorization", |s| s.replace("Bearer ", "")),
            "signature_prefix: is missing",
        ),
        (
            "a Bearer",
            Sample {
                scheme: bare,
                ..token(&bearer)
            },
            "signature_prefix: `Bearer `",
        ),
        (
            "Bearer in the secret",
            with_secret(token(&bearer), &format!("Bearer {SECRET}")),
            "secret_of_header: `Bearer`",
        ),
        (
            "a token's newline",
            with_secret(token(&bearer), &format!("{SECRET}\n")),
            "secret_ends_in_newline",
        ),
        (
            "in another header",
            token(&bearer).renamed("Authorization", "X-Token"),
            "other_header: `authorization` … `x-token`",
        ),
        (
            "no user",
            with_secret(token(&basic), "pass"),
            "basic_user: password alone",
        ),
        (
            "another user",
            with_secret(token(&basic), "admin:pass"),
            "basic_user: the user is",
        ),
        (
            "Basic encoded already",
            with_secret(token(&basic), &Encoding::Base64.encode(b"hook:pass")),
            "secret_base64_once_more",
        ),
        (
            "a token for a signature",
            Sample {
                scheme: hmac,
                ..token(&bearer)
            }
            .with("Authorization", |_| SECRET.into())
            .with_secret(SECRET.as_bytes()),
            "other_algorithm: the secret itself",
        ),
    ]);
    let wrong = with_secret(token(&bearer), "other");
    compare_suspicions(vec![("another token", wrong, "token_differs: not alike")]);
}
