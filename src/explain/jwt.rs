//! Mistakes made with a JSON Web Token: expired, another algorithm, another body, URL or issuer, an
//! unknown key.
//!
//! The rule of the scheme reads and judges the token. Its header and claims are read here only to
//! say what is wrong.

use serde_json::Value;

use super::case::Case;
use super::clock::{self, between, in_words};
use super::headers::other_header;
use super::mistake::{Finding, Mistake, found};
use super::signature::other_prefix;
use super::trials::Trials;
use crate::clock::UnixMillis;
use crate::key::public::PublicKey;
use crate::notation::encoding::Encoding;
use crate::scheme::jwt::{JwtAlgorithm, JwtRule, TokenPlace};
use crate::scheme::{ProofBy, Scheme};
use crate::verify::jwt::Token;
use crate::wire::head::{FieldName, Found};

/// The fix for a token that is out of its time.
const COMPARE_CLOCKS: &str = "For a captured delivery, judge it at its own time with `--at`; on \
                              live traffic, compare the clocks.";

/// The secret with which the case holds under another rule.
fn with(case: &Trials<'_>, change: impl FnOnce(&mut JwtRule)) -> Option<std::sync::Arc<str>> {
    let mut scheme = Scheme::clone(case.scheme);
    let ProofBy::Token(token) = &mut scheme.proof else {
        return None;
    };
    change(&mut token.rule);
    case.with_scheme(scheme)
}

/// The token is in another header, or has another word in front of it.
pub(super) fn written_elsewhere(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.token_rule()?;
    let TokenPlace::Header { name: own, prefix } = &rule.place else {
        return None;
    };
    let at = |name: &FieldName, prefix: &str| {
        with(case, |rule| {
            rule.place = TokenPlace::Header {
                name: name.clone(),
                prefix: prefix.to_owned(),
            };
        })
    };
    let prefixed = ["", "Bearer ", "bearer ", "JWT "]
        .into_iter()
        .filter(|other| other != prefix);
    let in_prefix = prefixed
        .into_iter()
        .find_map(|prefix| found(at(own, prefix), || other_prefix(prefix)));
    in_prefix.or_else(|| {
        let names = case
            .head
            .lines()
            .filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
        names
            .filter(|name| name != own)
            .take(64)
            .find_map(|name| found(at(&name, prefix), || other_header(own, &name)))
    })
}

/// The token is signed with an algorithm that the scheme does not allow.
pub(super) fn algorithm(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.token_rule()?;
    let named = JwtAlgorithm::named(&algorithm_of(case, rule)?)
        .filter(|named| !rule.algorithms.contains(named))?;
    let secret = with(case, |rule| rule.algorithms = vec![named]);
    found(secret, || other_algorithm(Some(named.name())))
}

/// The token names an algorithm that the scheme does not allow; `None` if the algorithm is not a
/// known one.
fn other_algorithm(name: Option<&str>) -> Mistake {
    let sentence = match name {
        Some(name) => {
            format!("The token names the algorithm {name}, which this scheme does not allow.")
        }
        None => {
            "The token names an unknown algorithm, which this scheme does not allow.".to_owned()
        }
    };
    let fix = "If the provider documents the algorithm, allow it in `algorithms` of `jwt`, with \
               the key that belongs to it; otherwise the token is a forgery.";
    Mistake::new("token_algorithm", sentence, fix)
}

/// The token is genuine, but was made for another body or URL, or by another issuer.
pub(super) fn other_claims(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.token_rule()?;
    let issuer = || {
        found(with(case, |rule| rule.issuer = None), || {
            let sentence = "The token is genuine, but this scheme names another issuer.";
            let fix = "Compare `issuer` in `jwt` with the documentation of the provider.";
            Mistake::new("token_other_issuer", sentence, fix)
        })
    };
    let url = || {
        let secret = with(case, |rule| {
            (rule.url_digest, rule.url_claim) = (None, None);
        });
        found(secret, || {
            let sentence = "The token is genuine, but was made for another URL.";
            let fix = "Set `public_url` of the route to the endpoint exactly as the provider has \
                       it.";
            Mistake::new("token_other_url", sentence, fix)
        })
    };
    let body = || {
        let secret = with(case, |rule| {
            (rule.body_digest, rule.body_claim, rule.absent_if_empty) = (None, None, false);
        });
        found(secret, || {
            let sentence = "The token is genuine, but was made for another body.";
            let fix = "Pass on and store the body byte for byte; if it is unchanged, the token \
                       was taken from another delivery.";
            Mistake::new("token_other_body", sentence, fix)
        })
    };
    let in_issuer = rule.issuer.as_ref().and_then(|_| issuer());
    let request = || {
        found(with(case, |rule| rule.request_digest = None), || {
            let sentence = "The token is genuine, but was made for another method, path or query.";
            let fix = "Compare the path with the URL below the app's base URL: a proxy may have \
                       changed it, or the base URL has a path that `base_path` does not name.";
            Mistake::new("token_other_request", sentence, fix)
        })
    };
    let has_body_claim = rule.body_digest.is_some() || rule.body_claim.is_some();
    in_issuer
        .or_else(|| rule.signs_url().then(url)?)
        .or_else(|| rule.request_digest.as_ref().and_then(|_| request()))
        .or_else(|| has_body_claim.then(body)?)
}

/// The token names an algorithm that no configured key could confirm, or a key that is not
/// configured.
pub(super) fn unknown(case: &Trials<'_>) -> Option<Mistake> {
    let rule = case.scheme.token_rule()?;
    let name = algorithm_of(case, rule)?;
    if rule
        .algorithms
        .iter()
        .all(|algorithm| algorithm.name() != name)
    {
        // A name that is not known is the sender's own text, which is not repeated.
        let known = JwtAlgorithm::named(&name).map(JwtAlgorithm::name);
        let none = name.eq_ignore_ascii_case("none").then_some("none");
        return Some(other_algorithm(known.or(none)));
    }
    let asked = rule.find(case.head, case.body).ok()?.key_id?;
    let keys: Vec<PublicKey> = case
        .secrets
        .iter()
        .filter_map(|secret| PublicKey::parse_all(secret.text.expose()).ok())
        .flatten()
        .collect();
    is_unknown(
        &asked,
        &keys.iter().map(PublicKey::key_id).collect::<Vec<_>>(),
    )
    .then(|| {
        Mistake::new(
            "token_key_unknown",
            "The token asks by its `kid` for a key that is not configured.",
            "Fetch the provider's present keys, and configure them beside the old ones.",
        )
    })
}

/// Whether every key has a name, and each another name than `asked`. A key without a name may be
/// the right one.
fn is_unknown(asked: &str, known: &[Option<&str>]) -> bool {
    !known.is_empty()
        && known
            .iter()
            .all(|name| name.is_some_and(|name| name != asked))
}

/// The mistake in a token's times; `None` if they are fresh or cannot be read.
pub(super) fn clock(case: &Case<'_>) -> Option<Mistake> {
    let rule = case.scheme.token_rule()?;
    let token = rule.find(case.head, case.body).ok()?;
    let times = rule.times(&token).ok()?;
    let wall = case.now.wall;
    times.window.judge(wall).err()?;
    match (moment(&token, "exp"), moment(&token, "nbf")) {
        (Some(end), _) if end <= wall => {
            let sentence = format!("The token expired {} ago.", in_words(between(end, wall)));
            Some(Mistake::new("token_expired", sentence, COMPARE_CLOCKS))
        }
        (_, Some(begin)) if begin > wall => {
            let sentence = format!(
                "The token becomes valid only {} from now.",
                in_words(between(begin, wall))
            );
            Some(Mistake::new("token_not_yet", sentence, COMPARE_CLOCKS))
        }
        _ => times.made.map(|made| clock::plain(made, wall)),
    }
}

/// The moment that a claim names.
fn moment(token: &Token, claim: &str) -> Option<UnixMillis> {
    let claims: Value = serde_json::from_slice(&token.claims).ok()?;
    claims.get(claim)?.as_i64().map(UnixMillis::from_secs)
}

/// The `alg` of the token's header.
fn algorithm_of(case: &Trials<'_>, rule: &JwtRule) -> Option<String> {
    let token = match rule.header().map(|name| case.head.find(name)) {
        None => case.body,
        Some(Found::One(value)) => value.strip_prefix(rule.prefix().as_bytes())?,
        Some(_) => return None,
    };
    let header = token.split(|byte| *byte == b'.').next()?;
    let mut bytes = vec![0; header.len()];
    let len = Encoding::Base64Url.decode(header, &mut bytes)?;
    let header: Value = serde_json::from_slice(bytes.get(..len)?).ok()?;
    header.get("alg")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::is_unknown;

    #[test]
    fn a_key_is_unknown_where_all_have_other_names() {
        assert!(is_unknown("a", &[Some("b"), Some("c")]));
        assert!(!is_unknown("a", &[Some("b"), Some("a")]));
        assert!(!is_unknown("a", &[Some("b"), None]) && !is_unknown("a", &[]));
    }
}
