//! Public keys in `secrets`: they may be written as they are, and only where nothing else could be
//! meant (schemes: Keys and secrets).

use super::problems::{each_says, problems};
use super::{good, warned};
use crate::config::tests::fixtures::{
    ED25519_FINGERPRINT, ED25519_HEX, ED25519_PEM, ED25519_PRIVATE, P256_CERTIFICATE, P256_PEM,
    RSA_PEM,
};
use crate::config::{Config, Warning, WarningName, public_keys, takes_public_keys};

/// A route whose scheme has this algorithm, with these secrets.
fn route(algorithm: &str, secrets: &str) -> String {
    format!(
        "[[route]]\nname = \"c\"\npath = \"/c\"\nsecrets = [{secrets}]\nupstream = \"http://127.0.0.1:3000\"\n\
         [route.scheme]\nalgorithm = \"{algorithm}\"\nsigned = \"{{timestamp}}.{{body}}\"\n\
         signature = {{ header = \"X-Signature\" }}\ntimestamp = {{ header = \"X-Timestamp\" }}\n\
         event_id = {{ json = \"/id\" }}\n"
    )
}

/// Standard Webhooks, which takes secrets of both kinds.
fn either(secrets: &str) -> String {
    route("hmac-sha256", secrets).replace(
        "{ header = \"X-Signature\" }",
        "{ header = \"X-Signature\", separator = \" \", assign = \",\", encoding = \"base64\", \
         accept = { v1 = \"hmac-sha256\", v1a = \"ed25519\" } }",
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\n', "\\n"))
}

fn names(config: &Config) -> Vec<&str> {
    config.routes[0]
        .secrets
        .iter()
        .map(|secret| secret.name.as_str())
        .collect()
}

/// The warnings but for the doubt whose key it is, which every public key raises.
fn doubts(config: &Config) -> Vec<&Warning> {
    let is_other = |warning: &&Warning| warning.name != WarningName::UnknownKeyOwner;
    config.warnings.iter().filter(is_other).collect()
}

#[test]
fn a_public_key_may_stand_in_the_file_as_it_is() {
    let rows = [
        ("ed25519", ED25519_HEX),
        ("ed25519", ED25519_PEM),
        ("ecdsa-p256-sha256", P256_PEM),
        ("ecdsa-p256-sha256-raw", P256_PEM),
        ("rsa-pkcs1-sha256", RSA_PEM),
    ];
    for (algorithm, key) in rows {
        let config = good(&route(algorithm, &quoted(key)));
        assert_eq!(names(&config), ["key-1"], "{algorithm}");
        assert_eq!(
            doubts(&config),
            [] as [&Warning; 0],
            "{algorithm}: a public key is no secret"
        );
        let route = &config.routes[0];
        assert!(takes_public_keys(&route.scheme));
        assert_eq!(public_keys(&route.scheme, &route.secrets[0]).len(), 1);
    }
    let two = format!(
        "{}, {{ name = \"old\", value = {}, not_after = \"2030-01-01T00:00:00Z\" }}, {}, \"plain:{ED25519_HEX}\"",
        quoted(ED25519_HEX),
        quoted(ED25519_PEM),
        quoted(ED25519_PEM)
    );
    let config = good(&route("ed25519", &two));
    assert_eq!(names(&config), ["key-1", "old", "key-3", "plain-1"]);
    assert_eq!(doubts(&config), [] as [&Warning; 0]);
    for secret in &config.routes[0].secrets {
        let keys = public_keys(&config.routes[0].scheme, secret);
        assert!(
            keys[0].fingerprint().ends_with(ED25519_FINGERPRINT),
            "{}",
            keys[0].fingerprint()
        );
    }
}

#[test]
fn where_a_shared_secret_could_be_meant_only_an_unmistakable_key_is_one() {
    let config = good(&either(&format!("{}, \"env:S\"", quoted(ED25519_PEM))));
    assert_eq!(names(&config), ["key-1", "env:S"]);
    assert!(!takes_public_keys(&config.routes[0].scheme));
    assert_eq!(
        public_keys(&config.routes[0].scheme, &config.routes[0].secrets[1]).len(),
        0
    );
    // 64 hex digits may be anybody's secret, so they are never shown.
    let shown = problems(&either(&quoted(ED25519_HEX)));
    assert!(
        shown.contains("is not a reference to a secret") && !shown.contains("c461dc6b"),
        "{shown}"
    );
    let shown = problems(&route("hmac-sha256", &quoted(ED25519_PEM)));
    assert!(
        shown.contains("is not a reference to a secret") && !shown.contains("BEGIN"),
        "{shown}"
    );
}

#[test]
fn a_key_that_cannot_verify_is_refused_and_not_shown() {
    each_says(&[
        (
            route("ed25519", &quoted(P256_PEM)),
            "of another type than the algorithm",
        ),
        (
            route("ecdsa-p256-sha256", &quoted(RSA_PEM)),
            "of another type than the algorithm",
        ),
        (
            route("ed25519", "\"hunter2\""),
            "is not a reference to a secret",
        ),
        (
            route("ed25519", "\"whpk_hunter2\""),
            "the secret `key-1` is no key of this scheme",
        ),
    ]);
    let shown = problems(&route("ed25519", &quoted(ED25519_PRIVATE)));
    assert!(
        shown.contains("the secret `key-1` is no key of this scheme") && shown.contains("private"),
        "{shown}"
    );
    assert!(
        !shown.contains("BEGIN") && !shown.contains("MC4CAQAw"),
        "{shown}"
    );
}

#[test]
fn a_certificate_that_has_expired_proves_nothing() {
    let config = good(&route("ecdsa-p256-sha256", &quoted(P256_CERTIFICATE)));
    assert!(
        warned(&config).contains("none of its secrets is active now"),
        "{:?}",
        config.warnings
    );
    let both = format!("{}, {}", quoted(P256_CERTIFICATE), quoted(P256_PEM));
    let config = good(&route("ecdsa-p256-sha256", &both));
    assert_eq!(doubts(&config), [] as [&Warning; 0]);
}
