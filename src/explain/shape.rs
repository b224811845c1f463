//! Mistakes that the look of a secret shows: another kind of key, another value copied in its
//! place, test or live.
//!
//! Only well-known prefixes are looked at and repeated, never the text behind them. These are
//! suspicions: the right secret is not known, so no signature can confirm them.

use memchr::memmem;

use super::mistake::Mistake;
use super::trials::Trials;
use crate::key::public::PublicKey;
use crate::scheme::{Kind, Scheme};

/// The beginnings of well-known API keys.
const API_KEYS: &[&str] = &[
    "sk_test_",
    "sk_live_",
    "rk_test_",
    "rk_live_",
    "pk_test_",
    "pk_live_",
    "sk-",
    "ghp_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "SG.",
    "shpat_",
    "glpat-",
];

/// The beginnings of the ids of endpoints and messages.
const IDS: &[&str] = &["we_", "ep_", "wh_", "evt_", "msg_"];

/// The fix for a value that is not a secret at all.
const COPY_THE_SECRET: &str = "Copy the signing secret of this very endpoint; providers show it \
                               beside the URL of the endpoint.";

/// Whether a scheme takes shared secrets, and whether it takes public keys.
fn takes(scheme: &Scheme) -> (bool, bool) {
    let kinds = scheme.proof.key_kinds();
    let is_public = |kind: &Kind| matches!(kind, Kind::Public(_));
    (
        kinds.iter().any(|kind| !is_public(kind)),
        kinds.iter().any(is_public),
    )
}

/// A secret is another kind of key than this scheme takes, or not a key at all.
pub(super) fn of_secret(case: &Trials<'_>) -> Option<Mistake> {
    let takes = takes(case.scheme);
    case.secrets
        .iter()
        .find_map(|secret| of_text(secret.text.expose().trim_ascii(), takes))
}

fn of_text(text: &[u8], (takes_shared, takes_public): (bool, bool)) -> Option<Mistake> {
    let begins = |prefix: &&&str| text.starts_with(prefix.as_bytes());
    let is_pem = text.starts_with(b"-----BEGIN ");
    if text.starts_with(b"whsk_") || (is_pem && memmem::find(text, b"PRIVATE KEY-----").is_some()) {
        return Some(Mistake::new(
            "private_key_for_secret",
            "The configured secret is a private key, which only a sender may have.",
            "Take it out of the configuration, have the sender replace the key, and configure the \
             public key of the new one or the shared secret.",
        ));
    }
    if (text.starts_with(b"whpk_") || is_pem) && takes_shared && !takes_public {
        return Some(Mistake::new(
            "public_key_for_secret",
            "The configured secret is a public key, and this scheme needs the shared signing \
             secret.",
            "Copy the signing secret of this endpoint from the provider.",
        ));
    }
    if text.starts_with(b"https://") || text.starts_with(b"http://") {
        return Some(Mistake::new(
            "url_for_secret",
            "The configured secret is a URL.",
            COPY_THE_SECRET,
        ));
    }
    if let Some(prefix) = API_KEYS.iter().find(begins) {
        let sentence = format!(
            "The configured secret begins with `{prefix}`: it is an API key, not a signing secret."
        );
        return Some(Mistake::new(
            "api_key_for_secret",
            sentence,
            COPY_THE_SECRET,
        ));
    }
    if let Some(prefix) = IDS.iter().find(begins) {
        let sentence =
            format!("The configured secret begins with `{prefix}`: it is an id, not a secret.");
        return Some(Mistake::new("id_for_secret", sentence, COPY_THE_SECRET));
    }
    let is_shared = text.starts_with(b"whsec_") || !PublicKey::looks_public(text);
    let is_key = PublicKey::parse_all(text).is_ok();
    (takes_public && !takes_shared && is_shared && !is_key).then(|| {
        Mistake::new(
            "secret_for_public_key",
            "The configured secret is not a public key, and this scheme verifies with the \
             sender's public key.",
            "Copy the public key from the provider: PEM, JWK, `whpk_…`, or in the form that the \
             provider shows.",
        )
    })
}

/// The prefix of a secret says test or live, and the delivery says the other.
pub(super) fn of_mode(case: &Trials<'_>) -> Option<Mistake> {
    let document: serde_json::Value = serde_json::from_slice(case.body).ok()?;
    let is_live = ["livemode", "live_mode"]
        .iter()
        .find_map(|name| document.get(name)?.as_bool());
    let is_live = is_live.or_else(|| match document.get("mode")?.as_str()? {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    })?;
    let says = |word: &str| {
        case.secrets.iter().any(|secret| {
            let begin = secret
                .text
                .expose()
                .get(..16)
                .unwrap_or(secret.text.expose());
            memmem::find(begin, word.as_bytes()).is_some()
        })
    };
    let (own, other) = if is_live {
        ("_live_", "_test_")
    } else {
        ("_test_", "_live_")
    };
    let sentence = if is_live {
        "The prefix of the secret says test, and the body says that the delivery is live."
    } else {
        "The prefix of the secret says live, and the body says that the delivery is a test."
    };
    (says(other) && !says(own)).then(|| {
        let fix = "Copy the secret of the endpoint in the same mode: each mode has its own.";
        Mistake::new("test_and_live", sentence, fix)
    })
}
