//! Keys that several routes share (contract: Keys): a delivery that was captured at one of them is
//! valid once at each, and the answer to a handshake of one may be a signature for another.
//!
//! Keys are compared by their bytes, whatever the secrets are called and however they are written.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::handshake::HandshakeMode;
use super::public_keys::public_keys;
use super::reader::Findings;
use super::route::{Draft, Route};
use super::scheme::CUSTOM;
use super::warning::WarningName;
use crate::key::secret::Secret;
use crate::scheme::Scheme;

/// A key on a route.
#[derive(Clone, Copy)]
struct Use<'d> {
    /// The place of the route among all routes.
    place: usize,
    route: &'d Route,
    secret: &'d Secret,
}

/// Judges every key that stands on more than one route.
pub(super) fn judge(drafts: &[Draft<'_>], findings: &mut Findings) {
    let mut uses: BTreeMap<[u8; 32], Vec<Use<'_>>> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Some(route) = &draft.route else { continue };
        // A secret of several keys is named once.
        let mut shared: Vec<(usize, Vec<Use<'_>>)> = Vec::new();
        for (at, (_, secret)) in draft.secrets.iter().enumerate() {
            for key in keys(&route.scheme, secret) {
                let known = uses.entry(key).or_default();
                let earlier: Vec<_> = known.iter().copied().filter(|u| u.place != place).collect();
                if !earlier.is_empty() && shared.iter().all(|(named, _)| *named != at) {
                    shared.push((at, earlier));
                }
                known.push(Use {
                    place,
                    route,
                    secret,
                });
            }
        }
        findings.enter_route(Some(place));
        for (at, earlier) in shared {
            if let Some((item, secret)) = draft.secrets.get(at) {
                report(route, secret, &earlier, item.span(), findings);
            }
        }
    }
    findings.enter_route(None);
}

/// A digest of each key of a secret, the same for equal keys. A MAC fills its key up with zero
/// bytes, so zero bytes at its end make no difference.
fn keys(scheme: &Scheme, secret: &Secret) -> Vec<[u8; 32]> {
    let shared = scheme.shared_keys(&secret.text).unwrap_or_default();
    let shared = shared.iter().map(|(_, key)| {
        let end = key.iter().rposition(|byte| *byte != 0);
        let length = end.map_or(0, |last| last + 1);
        Sha256::digest(key.get(..length).unwrap_or_default()).into()
    });
    let public = public_keys(scheme, secret);
    let public = public
        .iter()
        .map(|key| Sha256::digest(key.fingerprint()).into());
    let mut keys: Vec<[u8; 32]> = shared.chain(public).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
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

fn report(
    route: &Route,
    secret: &Secret,
    earlier: &[Use<'_>],
    span: std::ops::Range<usize>,
    findings: &mut Findings,
) {
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
        findings.problem(span, message, "give each of them a secret of its own");
        return;
    }
    let earlier: Vec<_> = earlier
        .iter()
        .filter(|other| !are_kept_apart(route, other.route))
        .collect();
    if earlier.is_empty() {
        return;
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
    findings.warn(span, WarningName::SharedKey, message);
}
