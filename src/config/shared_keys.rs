//! Keys that several routes share (contract: Keys): a delivery that was captured at one of them is
//! valid once at each, and the answer to a handshake of one may be a signature for another.
//!
//! Keys are compared as their algorithm uses them, whatever the secrets are called and however they
//! are written. The loader compares the secrets of a file; a secret that a handshake brings is
//! compared when it comes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::handshake::HandshakeMode;
use super::public_keys::public_keys;
use super::reader::Findings;
use super::route::{Draft, Route};
use super::scheme::CUSTOM;
use super::warning::WarningName;
use crate::key::secret::Secret;
use crate::scheme::{Kind, Scheme, SharedKey};

/// The harm of a key that several routes share, in a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The handshake of a route signs what a stranger sends, which could be a delivery for another
    /// route: the key may not be used.
    Signs(String),
    /// A captured delivery is valid once on each route.
    Repeats(String),
}

/// A key on a route.
#[derive(Clone, Copy)]
struct Use<'d> {
    route: &'d Route,
    secret: &'d Secret,
}

/// Judges every key that stands on more than one route.
pub(super) fn judge(drafts: &[Draft<'_>], findings: &mut Findings) {
    // Each use with the place of its route among all routes.
    let mut uses: BTreeMap<[u8; 32], Vec<(usize, Use<'_>)>> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Some(route) = &draft.route else { continue };
        // A secret of several keys is named once.
        let mut shared: Vec<(usize, Vec<Use<'_>>)> = Vec::new();
        for (at, (_, secret)) in draft.secrets.iter().enumerate() {
            for key in keys(&route.scheme, secret) {
                let known = uses.entry(key).or_default();
                let earlier = known.iter().filter(|(other, _)| *other != place);
                let earlier: Vec<_> = earlier.map(|(_, used)| *used).collect();
                if !earlier.is_empty() && shared.iter().all(|(named, _)| *named != at) {
                    shared.push((at, earlier));
                }
                known.push((place, Use { route, secret }));
            }
        }
        findings.enter_route(Some(place));
        for (at, earlier) in shared {
            let Some((item, secret)) = draft.secrets.get(at) else {
                continue;
            };
            match sharing(Use { route, secret }, &earlier) {
                Some(Sharing::Signs(message)) => {
                    findings.problem(
                        item.span(),
                        message,
                        "give each of them a secret of its own",
                    );
                }
                Some(Sharing::Repeats(message)) => {
                    findings.warn(item.span(), WarningName::SharedKey, message);
                }
                None => {}
            }
        }
    }
    findings.enter_route(None);
}

/// Judges the secret that a handshake brings to `route` as the loader judges the secrets of a file.
/// `others` are the secrets of the other routes. `None` where no other route has such a key.
pub fn judge_learned<'d>(
    route: &'d Route,
    secret: &'d Secret,
    others: impl IntoIterator<Item = (&'d Route, &'d Secret)>,
) -> Option<Sharing> {
    let own = keys(&route.scheme, secret);
    if own.is_empty() {
        return None;
    }
    let has_own = |used: &Use<'_>| {
        let keys = keys(&used.route.scheme, used.secret);
        keys.iter().any(|key| own.contains(key))
    };
    let others = others.into_iter();
    let uses = others.map(|(route, secret)| Use { route, secret });
    let shared: Vec<_> = uses.filter(has_own).collect();
    sharing(Use { route, secret }, &shared)
}

/// A digest of each key of a secret, the same for equal keys.
fn keys(scheme: &Scheme, secret: &Secret) -> Vec<[u8; 32]> {
    let shared = scheme.shared_keys(&secret.text).unwrap_or_default();
    let shared = shared.iter().flat_map(digests);
    let public = public_keys(scheme, secret);
    let public = public
        .iter()
        .map(|key| Sha256::digest(key.fingerprint()).into());
    let mut keys: Vec<[u8; 32]> = shared.chain(public).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The digests by which a shared key is compared: of the key as HMAC uses it, and of the bytes of a
/// key that HMAC hashes first, since another algorithm may use those.
fn digests((kind, key): &SharedKey) -> Vec<[u8; 32]> {
    let used = match kind {
        Kind::Digest(algorithm) => algorithm.used_key(key),
        _ => Cow::Borrowed(key.as_slice()),
    };
    // A MAC fills its key up with zero bytes, so zero bytes at its end make no difference.
    let end = used.iter().rposition(|byte| *byte != 0);
    let significant = used.get(..end.map_or(0, |last| last + 1));
    let mut digests = vec![Sha256::digest(significant.unwrap_or_default()).into()];
    if matches!(used, Cow::Owned(_)) {
        digests.push(Sha256::digest(key).into());
    }
    digests
}

/// Whether the gateway answers a handshake on this route with a MAC of its key.
fn answers_with_mac(route: &Route) -> bool {
    let handshake = route.scheme.handshake;
    route.handshake.mode == HandshakeMode::Answer
        && handshake.is_some_and(|handshake| handshake.formula().is_some())
}

/// Whether two routes have the same preset, so that both refuse as a delivery whatever the
/// handshake of either signs.
fn is_same(one: &Route, other: &Route) -> bool {
    one.scheme.provider == other.scheme.provider && one.scheme.provider != CUSTOM
}

/// Whether no delivery is valid on both routes, since they read the account at the same signed place
/// and list other accounts. Several topics of Amazon SNS in one region are such routes.
fn are_kept_apart(one: &Route, other: &Route) -> bool {
    let is_same_place = is_same(one, other) && one.scheme.account == other.scheme.account;
    let (Some(own), Some(others)) = (one.accounts.listed(), other.accounts.listed()) else {
        return false;
    };
    let is_holder = |holder: &str, account: &str| {
        let code = one.scheme.code();
        code.and_then(|code| code.account_holder(account)) == Some(holder)
    };
    // An entry that names a holder takes all of the holder's accounts.
    let overlap = |a: &str, b: &str| a == b || is_holder(a, b) || is_holder(b, a);
    is_same_place && !own.iter().any(|a| others.iter().any(|b| overlap(a, b)))
}

/// The harm of a key that the routes of `earlier` have too; `None` where they are kept apart.
fn sharing(Use { route, secret }: Use<'_>, earlier: &[Use<'_>]) -> Option<Sharing> {
    let oracle = earlier.iter().find(|other| {
        !is_same(route, other.route) && (answers_with_mac(route) || answers_with_mac(other.route))
    });
    if let Some(other) = oracle {
        let (answering, signed) = if answers_with_mac(route) {
            (route, other.route)
        } else {
            (other.route, route)
        };
        let message = format!(
            "the secret `{}` of route `{}` is the same key as `{}` of route `{}`: the handshake of \
             `{}` signs what a stranger sends, which could be a delivery for `{}`",
            secret.name,
            route.name,
            other.secret.name,
            other.route.name,
            answering.name,
            signed.name
        );
        return Some(Sharing::Signs(message));
    }
    let earlier: Vec<_> = earlier
        .iter()
        .filter(|other| !are_kept_apart(route, other.route))
        .collect();
    if earlier.is_empty() {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for other in &earlier {
        let name = format!("`{}`", other.route.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let others = names.join(" and of route ");
    let tells = |route: &Route| route.scheme.signs_path();
    let tail = if tells(route) && earlier.iter().all(|other| tells(other.route)) {
        "only the signed URL keeps a captured delivery of one from the other"
    } else {
        "a captured delivery is valid once on each"
    };
    let message = format!(
        "route `{}`: the secret `{}` is also a key of route {others}: {tail}",
        route.name, secret.name
    );
    Some(Sharing::Repeats(message))
}
