//! `[route.resign]` beside the rest of the file (contract: Signing anew): settings that do not go with
//! it, and keys that somebody else has too. The keys of `[state]` are compared here as well, since they
//! may have no other use either.
//!
//! The signature covers neither route nor path, so a key may be on no other route, and nobody who
//! sends deliveries may know it.

use std::collections::BTreeMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::acme::Eab;
use super::admin::Admin;
use super::reader::{Findings, Table};
use super::resign::{HEADERS, Resign, decoded, has_content, unprefixed};
use super::route::{Draft, Route};
use super::shared_keys;
use super::shared_keys::Sharing;
use super::state::StateKey;
use super::warning::WarningName;
use crate::key::secret::{Secret, SecretText};
use crate::notation::encoding::Encoding;
use crate::wire::head::FieldName;

/// Judges the table beside the other settings of its route. `forwards_unproved` says whether the route
/// forwards anything that has not the verdict `valid`.
pub(super) fn judge(
    route: &Route,
    table: &Table<'_>,
    forwards_unproved: bool,
    findings: &mut Findings,
) {
    if route.resign.is_none() {
        return;
    }
    if !route.replay.enabled {
        let (key, help) = if table.span_of("replay") == table.span() {
            let help = "write `replay = {}`, which this scheme needs for replay protection, or leave \
                        `resign` out";
            ("resign", help)
        } else {
            ("replay", "leave it out, or `resign`")
        };
        let message = "`resign` needs replay protection: `webhook-id` is the key by which that knows \
                       the event";
        findings.problem(table.span_of(key), message, help);
    }
    if !route.enforce {
        let message = "shadow mode forwards what is not proved, and `resign` says that it is";
        let help = "leave `resign` out until the route has left shadow mode";
        findings.problem(table.span_of("enforce"), message, help);
    }
    for (name, _) in &route.upstream_headers {
        if is_own(name) {
            let message = format!("the header `{}` is set by `resign`", name.as_str());
            let help = "leave it out of `upstream_headers`";
            findings.problem(table.span_of("upstream_headers"), message, help);
        }
    }
    let mut others = Vec::new();
    if route.methods.iter().any(|method| !has_content(method)) {
        others.push("what comes by GET or HEAD");
    }
    if route.enforce && forwards_unproved {
        others.push("the handshakes that it answers");
    }
    if !others.is_empty() {
        let message = format!(
            "route `{}`: `resign` signs valid deliveries with a body; your app gets {} without \
             `webhook-signature`",
            route.name,
            others.join(" and ")
        );
        findings.warn(table.span_of("resign"), WarningName::NotResigned, message);
    }
}

fn is_own(name: &FieldName) -> bool {
    HEADERS
        .into_iter()
        .filter_map(FieldName::new)
        .any(|own| own.is_or_aliases(name.as_str().as_bytes()))
}

/// A key of the file, as far as another place may have it too.
struct Place {
    /// The words that complete "is the same key as …".
    words: String,
    /// The place of the route whose deliveries the key signs anew; `None` for every other key.
    signs_for: Option<usize>,
}

/// The keys of `[state]`, each with its place in the file.
pub(super) struct OfState<'s> {
    pub(super) keys: &'s [StateKey],
    pub(super) places: &'s [Range<usize>],
}

/// Judges every key that signs anew, and every key that encrypts the disk, beside all other keys and
/// tokens of the file.
pub(super) fn judge_beside(
    drafts: &[Draft<'_>],
    admin: &Admin,
    eab: Option<&Eab>,
    of_state: &OfState<'_>,
    findings: &mut Findings,
) {
    let mut routes = drafts.iter().filter_map(|draft| draft.route.as_ref());
    if of_state.keys.is_empty() && routes.all(|route| route.resign.is_none()) {
        return;
    }
    let mut known: BTreeMap<[u8; 32], Place> = BTreeMap::new();
    let mut add = |digests: Vec<[u8; 32]>, words: &str, signs_for| {
        for digest in digests {
            let words = words.to_owned();
            known.entry(digest).or_insert(Place { words, signs_for });
        }
    };
    if let Some(token) = &admin.token {
        add(readings(token), "`admin.token`", None);
    }
    if let Some(eab) = eab {
        add(readings(&eab.key), "`server.acme.eab.key`", None);
    }
    for route in drafts.iter().filter_map(|draft| draft.route.as_ref()) {
        for secret in &route.secrets {
            let words = format!("the secret `{}` of route `{}`", secret.name, route.name);
            add(inbound(route, secret), &words, None);
        }
        let headers = route.upstream_headers.iter();
        let headers = headers.map(|(_, token)| ("upstream_headers", token));
        let tokens = route.handshake.verify_token.iter();
        let tokens = tokens.map(|token| ("handshake.verify_token", token));
        for (key, token) in headers.chain(tokens) {
            add(
                readings(token),
                &format!("`{key}` of route `{}`", route.name),
                None,
            );
        }
    }
    for (place, draft) in drafts.iter().enumerate() {
        let Some(route) = &draft.route else { continue };
        findings.enter_route(Some(place));
        for (key, secret) in route.resign.iter().flat_map(Resign::secrets) {
            let digests = readings(&secret.secret.text);
            let other = digests.iter().find_map(|digest| known.get(digest));
            // Two keys of one table are compared where it is read.
            if let Some(other) = other.filter(|other| other.signs_for != Some(place)) {
                let (why, help) = match other.signs_for {
                    Some(_) => (
                        "the signature covers neither route nor path, so what is signed for one \
                         would count at the other",
                        "give each route a secret of its own for `resign`",
                    ),
                    None => (
                        "whoever has it could sign what your app takes for proved",
                        "give `resign` a secret that nobody else has",
                    ),
                };
                let message = format!(
                    "route `{}`: `resign.{key}` is the same key as {}: {why}",
                    route.name, other.words
                );
                findings.problem(draft.table.span_of(&format!("resign.{key}")), message, help);
            }
            for digest in digests {
                let words = format!("`resign.{key}` of route `{}`", route.name);
                let signs_for = Some(place);
                known.entry(digest).or_insert(Place { words, signs_for });
            }
        }
    }
    findings.enter_route(None);
    for (own, place) in of_state.keys.iter().zip(of_state.places) {
        if let Some(other) = known.get(&digest(own.key.expose())) {
            let message = format!(
                "the key `{}` of `[state]` is also {}: whoever has that could read the disk",
                own.name, other.words
            );
            findings.problem(place.clone(), message, OWN_KEY);
        }
    }
}

/// The correction where a key of `[state]` has another use.
const OWN_KEY: &str = "give the disk a key of its own, from `openssl rand -base64 32`";

/// Judges the secret that a handshake brings to `route`: `None` unless it is a key with which one of
/// `routes` signs anew, or one of `of_state`.
pub fn judge_learned_beside<'r>(
    route: &Route,
    secret: &Secret,
    routes: impl IntoIterator<Item = &'r Route>,
    of_state: &[StateKey],
) -> Option<Sharing> {
    let own = inbound(route, secret);
    let of_disk = |key: &&StateKey| own.contains(&digest(key.key.expose()));
    if let Some(key) = of_state.iter().find(of_disk) {
        return Some(Sharing::Signs(format!(
            "the secret `{}` of route `{}` is also the key `{}` of `[state]`: whoever sends it could read \
             the disk",
            secret.name, route.name, key.name
        )));
    }
    routes.into_iter().find_map(|other| {
        let (key, _) = other.resign.iter().flat_map(Resign::secrets).find(|(_, signing)| {
            let digests = readings(&signing.secret.text);
            digests.iter().any(|digest| own.contains(digest))
        })?;
        Some(Sharing::Signs(format!(
            "the secret `{}` of route `{}` is the same key as `resign.{key}` of route `{}`: whoever \
             sends it could sign what the app takes for proved",
            secret.name, route.name, other.name
        )))
    })
}

/// The digests of a secret by which deliveries are proved: of its keys, and of whatever else its text
/// could mean.
fn inbound(route: &Route, secret: &Secret) -> Vec<[u8; 32]> {
    let mut digests = shared_keys::keys(&route.scheme, secret);
    digests.extend(readings(&secret.text));
    digests
}

/// A digest of each reading of a text: as it is, without its prefix, decoded, and each of these of
/// what is behind a user name or a word such as `Bearer`, and of the text without its white space. Equal
/// keys have an equal digest, however they are written.
fn readings(text: &SecretText) -> Vec<[u8; 32]> {
    let whole = text.expose().trim_ascii();
    let behind = |border: fn(&u8) -> bool| {
        let last = whole.iter().rposition(border);
        last.and_then(|place| whole.get(place + 1..))
    };
    let joined: Vec<u8> = whole
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let (named, last) = (
        behind(|byte| *byte == b':'),
        behind(u8::is_ascii_whitespace),
    );
    let mut digests = Vec::new();
    for text in [Some(whole), Some(&*joined), named, last]
        .into_iter()
        .flatten()
    {
        let bare = unprefixed(text);
        let bare = bare.strip_prefix(b"0x").unwrap_or(bare);
        // Some leave the padding out.
        let mut padded = bare.trim_ascii_end().to_vec();
        while !padded.len().is_multiple_of(4) {
            padded.push(b'=');
        }
        let written = [
            (Encoding::Base64, bare),
            (Encoding::Base64, &padded),
            (Encoding::Base64UrlAny, bare),
            (Encoding::HexAny, bare),
        ];
        let decoded = written
            .into_iter()
            .filter_map(|(encoding, text)| decoded(encoding, text));
        digests.extend(decoded.map(|key| digest(&key)));
        digests.extend([text, bare].map(digest));
    }
    digests
}

/// The digest of a key. A MAC fills its key up with zero bytes, so those at its end do not count.
fn digest(key: &[u8]) -> [u8; 32] {
    let end = key.iter().rposition(|byte| *byte != 0);
    let significant = key.get(..end.map_or(0, |last| last + 1));
    Sha256::digest(significant.unwrap_or_default()).into()
}
