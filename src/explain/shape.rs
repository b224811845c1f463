//! What the look of a secret tells: another kind of key, another thing copied in its place, test or live.
//!
//! Only well-known prefixes are looked at and told, nothing behind them. A suspicion: the right secret is not known.

use super::mistake::{Known, Mistake};
use super::trials::Trials;
use crate::key::public::PublicKey;
use crate::scheme::{Kind, Scheme};

/// What API keys begin with.
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

/// What the ids of endpoints begin with.
const IDS: &[&str] = &["we_", "ep_", "wh_", "evt_", "msg_"];

/// Whether a scheme takes shared secrets, and whether it takes public keys.
fn takes(scheme: &Scheme) -> (bool, bool) {
    let items = &scheme.signature.items;
    let mut kinds: Vec<Kind> = match (&scheme.jwt, items.assign) {
        (Some(rule), _) => rule.algorithms.iter().map(|algorithm| algorithm.kind()).collect(),
        (None, Some(_)) => items.accept.iter().map(|(_, algorithm)| algorithm.kind()).collect(),
        (None, None) => Vec::new(),
    };
    if kinds.is_empty() {
        kinds.push(scheme.algorithm.kind());
    }
    let is_public = |kind: &Kind| matches!(kind, Kind::Public(_));
    (kinds.iter().any(|kind| !is_public(kind)), kinds.iter().any(is_public))
}

/// Another kind of key than this scheme takes, or no key at all.
pub(super) fn of_secret(case: &Trials<'_>) -> Option<Mistake> {
    let (takes_shared, takes_public) = takes(case.scheme);
    case.secrets.iter().find_map(|secret| {
        let text = secret.text.expose().trim_ascii();
        let begins = |prefix: &&&str| text.starts_with(prefix.as_bytes());
        let is_private = text.starts_with(b"whsk_")
            || (text.starts_with(b"-----BEGIN ") && memchr::memmem::find(text, b"PRIVATE KEY-----").is_some());
        let is_public = text.starts_with(b"whpk_") || text.starts_with(b"-----BEGIN ");
        if is_private {
            return Some(Known::PrivateKeyForSecret.into());
        }
        if is_public && takes_shared && !takes_public {
            return Some(Known::PublicKeyForSecret.into());
        }
        if text.starts_with(b"https://") || text.starts_with(b"http://") {
            return Some(Known::UrlForSecret.into());
        }
        if let Some(prefix) = API_KEYS.iter().find(begins) {
            return Some(Known::ApiKeyForSecret(prefix).into());
        }
        if let Some(prefix) = IDS.iter().find(begins) {
            return Some(Known::IdForSecret(prefix).into());
        }
        let is_shared = text.starts_with(b"whsec_") || !PublicKey::looks_public(text);
        let is_key = PublicKey::parse_all(text).is_ok();
        (takes_public && !takes_shared && is_shared && !is_key).then(|| Known::SecretForPublicKey.into())
    })
}

/// A secret whose prefix says test or live, and a delivery that says the other.
pub(super) fn of_mode(case: &Trials<'_>) -> Option<Mistake> {
    let document: serde_json::Value = serde_json::from_slice(case.body).ok()?;
    let is_live = ["livemode", "live_mode"].iter().find_map(|name| document.get(name)?.as_bool());
    let is_live = is_live.or_else(|| match document.get("mode")?.as_str()? {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    })?;
    let says = |word: &str| {
        case.secrets.iter().any(|secret| {
            let begin = secret.text.expose().get(..16).unwrap_or(secret.text.expose());
            memchr::memmem::find(begin, word.as_bytes()).is_some()
        })
    };
    let (own, other) = if is_live { ("_live_", "_test_") } else { ("_test_", "_live_") };
    (says(other) && !says(own)).then(|| Known::TestAndLive { is_live }.into())
}
