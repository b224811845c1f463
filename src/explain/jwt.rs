//! Mistakes made with a JSON Web Token: expired, another algorithm, another body, URL or issuer, a key that is not there.
//!
//! What a token says is read by the rule itself, its header and claims here only to say what is wrong with them.

use std::time::Duration;

use serde_json::Value;

use super::case::Case;
use super::clock;
use super::mistake::{Finding, Known, Mistake, found};
use super::trials::Trials;
use crate::clock::UnixMillis;
use crate::key::public::PublicKey;
use crate::notation::encoding::Encoding;
use crate::scheme::jwt::{JwtAlgorithm, JwtRule};
use crate::verify::jwt::Token;
use crate::wire::head::{FieldName, Found};

/// With another rule.
fn with(case: &Trials<'_>, change: impl FnOnce(&mut JwtRule)) -> Option<std::sync::Arc<str>> {
    let mut rule = case.scheme.jwt.clone()?;
    change(&mut rule);
    case.with_change(|scheme| scheme.jwt = Some(rule))
}

/// In another header, or with or without `Bearer `.
pub(super) fn written_elsewhere(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.jwt.as_ref()?;
    let prefixed = ["", "Bearer ", "bearer ", "JWT "].into_iter().filter(|prefix| *prefix != rule.prefix);
    let in_prefix = prefixed.into_iter().find_map(|prefix| {
        let secret = with(case, |rule| prefix.clone_into(&mut rule.prefix));
        found(secret, || Known::SignaturePrefix(prefix.to_owned()))
    });
    in_prefix.or_else(|| {
        let names = case.head.lines().filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
        names.filter(|name| *name != rule.header).take(64).find_map(|name| {
            let secret = with(case, |rule| rule.header = name.clone());
            found(secret, || Known::OtherHeader {
                expected: rule.header.as_str().to_owned(),
                found: name.as_str().to_owned(),
            })
        })
    })
}

/// Signed with another algorithm than the scheme allows.
pub(super) fn algorithm(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.jwt.as_ref()?;
    let named = JwtAlgorithm::named(&algorithm_of(case, rule)?).filter(|named| !rule.algorithms.contains(named))?;
    let secret = with(case, |rule| rule.algorithms = vec![named]);
    found(secret, || Known::TokenAlgorithm(named.name().to_owned()))
}

/// The token is genuine, but speaks of another body, another URL, or comes from another issuer.
pub(super) fn other_claims(case: &Trials<'_>) -> Option<Finding> {
    let rule = case.scheme.jwt.as_ref()?;
    let issuer = || found(with(case, |rule| rule.issuer = None), || Known::TokenOtherIssuer);
    let url = || found(with(case, |rule| rule.url_digest = None), || Known::TokenOtherUrl);
    let body = || {
        let secret = with(case, |rule| {
            (rule.body_digest, rule.body_claim, rule.absent_if_empty) = (None, None, false);
        });
        found(secret, || Known::TokenOtherBody)
    };
    let in_issuer = rule.issuer.as_ref().and_then(|_| issuer());
    let in_url = || rule.url_digest.as_ref().and_then(|_| url());
    in_issuer.or_else(in_url).or_else(|| rule.covers_body().then(body)?)
}

/// Another algorithm than the key could confirm, or a `kid` that none of the keys has.
pub(super) fn unknown(case: &Trials<'_>) -> Option<Mistake> {
    let rule = case.scheme.jwt.as_ref()?;
    let name = algorithm_of(case, rule)?;
    if rule.algorithms.iter().all(|algorithm| algorithm.name() != name) {
        // What is not one of the known names is the sender's own text, and not repeated.
        let known = JwtAlgorithm::named(&name).map(JwtAlgorithm::name);
        let none = name.eq_ignore_ascii_case("none").then_some("none");
        return Some(Known::TokenAlgorithm(known.or(none).unwrap_or("an unknown one").to_owned()).into());
    }
    let asked = rule.read(case.head).ok()?.key_id?;
    let keys: Vec<PublicKey> =
        case.secrets.iter().filter_map(|secret| PublicKey::parse_all(secret.text.expose()).ok()).flatten().collect();
    is_unknown(&asked, &keys.iter().map(PublicKey::key_id).collect::<Vec<_>>()).then(|| Known::TokenKeyUnknown.into())
}

/// Whether none of the keys, of which each has a name, has this one. Without names, any may be meant.
fn is_unknown(asked: &str, known: &[Option<&str>]) -> bool {
    !known.is_empty() && known.iter().all(|name| name.is_some_and(|name| name != asked))
}

/// What is wrong with a token's times; `None` where it is fresh or cannot be read.
pub(super) fn clock(case: &Case<'_>) -> Option<Mistake> {
    let rule = case.scheme.jwt.as_ref()?;
    let token = rule.read(case.head).ok()?;
    let times = rule.times(&token).ok()?;
    let wall = case.now.wall;
    times.window.judge(wall).err()?;
    let off = |at: UnixMillis| Duration::from_millis(wall.0.saturating_sub(at.0).unsigned_abs());
    match (moment(&token, "exp"), moment(&token, "nbf")) {
        (Some(end), _) if end <= wall => Some(Known::TokenExpired(off(end)).into()),
        (_, Some(begin)) if begin > wall => Some(Known::TokenNotYet(off(begin)).into()),
        _ => times.made.map(|made| clock::plain(made, wall)),
    }
}

fn moment(token: &Token, claim: &str) -> Option<UnixMillis> {
    let claims: Value = serde_json::from_slice(&token.claims).ok()?;
    claims.get(claim)?.as_i64().map(UnixMillis::from_secs)
}

/// `alg` of the token's header.
fn algorithm_of(case: &Trials<'_>, rule: &JwtRule) -> Option<String> {
    let Found::One(value) = case.head.find(&rule.header) else { return None };
    let token = value.strip_prefix(rule.prefix.as_bytes())?;
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
