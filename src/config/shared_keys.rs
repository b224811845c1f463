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
    /// The key also signs for another route, where the handshake signs what a stranger sends or
    /// `resign` signs what is valid: it may not be used.
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

/// Judges every key that stands on more than one route. Each route after the first has a warning of
/// its own, which it may acknowledge; all warnings about one secret are the same matter, of which the
/// operator reads once.
pub(super) fn judge(drafts: &[Draft<'_>], findings: &mut Findings) {
    // Each use with the place of its route among all routes.
    let mut uses: BTreeMap<[u8; 32], Vec<(usize, Use<'_>)>> = BTreeMap::new();
    // The number of the first secret that has this key.
    let mut first: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    // The keys of each secret, with the places of its route and of itself there.
    let mut secrets: Vec<(usize, usize, Use<'_>, Vec<[u8; 32]>)> = Vec::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Some(route) = &draft.route else { continue };
        for (at, (_, secret)) in draft.secrets.iter().enumerate() {
            let used = Use { route, secret };
            let keys = keys(&route.scheme, secret);
            for key in &keys {
                uses.entry(*key).or_default().push((place, used));
                first.entry(*key).or_insert(secrets.len());
            }
            secrets.push((place, at, used, keys));
        }
    }
    for (place, at, used, keys) in &secrets {
        // Several keys of a secret may be those of one other secret: it is named once.
        let of = |key| uses.get(key).into_iter().flatten();
        let mut others: Vec<(usize, Use<'_>)> = Vec::new();
        for (other, used) in keys.iter().flat_map(of) {
            let is_known = keys.len() > 1
                && others
                    .iter()
                    .any(|(known, own)| known == other && own.secret.name == used.secret.name);
            if other != place && !is_known {
                others.push((*other, *used));
            }
        }
        let earlier = others.iter().filter(|(other, _)| other < place);
        let earlier: Vec<_> = earlier.map(|(_, used)| *used).collect();
        let Some((item, _)) = drafts.get(*place).and_then(|draft| draft.secrets.get(*at)) else {
            continue;
        };
        findings.enter_route(Some(*place));
        match sharing(*used, &earlier) {
            Some(Sharing::Signs(message)) => {
                findings.problem(
                    item.span(),
                    message,
                    "give each of them a secret of its own",
                );
            }
            Some(Sharing::Repeats(_)) => {
                others.sort_by_key(|(other, _)| *other);
                let all: Vec<_> = others.into_iter().map(|(_, used)| used).collect();
                if let Some(message) = repeats(*used, &all) {
                    let matter = keys.iter().filter_map(|key| first.get(key)).min().copied();
                    findings.warn_of(matter, item.span(), WarningName::SharedKey, message);
                }
            }
            None => {}
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
pub(super) fn keys(scheme: &Scheme, secret: &Secret) -> Vec<[u8; 32]> {
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
    repeats(Use { route, secret }, earlier).map(Sharing::Repeats)
}

/// How many routes a message names; the others are counted.
const NAMED: usize = 3;

/// The sentence about a key that the routes of `others` have too, in their order; `None` where they
/// are kept apart.
fn repeats(Use { route, secret }: Use<'_>, others: &[Use<'_>]) -> Option<String> {
    let others: Vec<_> = others
        .iter()
        .filter(|other| !are_kept_apart(route, other.route))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for other in &others {
        // The secrets of a route are beside each other.
        if names.last() != Some(&other.route.name.as_str()) {
            names.push(&other.route.name);
        }
    }
    let named: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    let (last, before) = named.split_last()?;
    let of = match (before, names.len().saturating_sub(NAMED)) {
        ([], _) => format!("of route {last}"),
        (before, 0) => format!("of the routes {} and {last}", before.join(", ")),
        (before, 1) => format!(
            "of the routes {}, {last} and of another route",
            before.join(", ")
        ),
        (before, more) => format!(
            "of the routes {}, {last} and of {more} others, {} routes with this one",
            before.join(", "),
            names.len() + 1
        ),
    };
    let tells = |route: &Route| route.scheme.signs_path();
    let tail = if tells(route) && others.iter().all(|other| tells(other.route)) {
        "only the signed URL keeps a captured delivery of one from the other"
    } else {
        "a captured delivery is valid once on each"
    };
    Some(format!(
        "route `{}`: the secret `{}` is also a key {of}: {tail}",
        route.name, secret.name
    ))
}
