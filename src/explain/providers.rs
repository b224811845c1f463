//! Deliveries of another provider: every preset is tried with the same secrets, lists of signatures
//! included.
//!
//! A preset whose headers are missing costs nothing.

use super::candidates::{self, Named, STANDARD};
use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::scheme::{Scheme, TimestampAt};
use crate::wire::head::{FieldName, Found};

/// The most siblings that a sentence names.
const SHOWN: usize = 6;

/// The delivery holds under the scheme of another provider.
///
/// Many providers sign alike, under the same header. The provider that the head names comes first,
/// else the standard, and the others are named beside it: the signature confirms what was signed and
/// how, and not which of them sent it.
pub(super) fn signs_alike(case: &Trials<'_>) -> Option<Finding> {
    // No scheme is copied whose signature cannot be there.
    let may_hold = |preset: &Scheme| {
        let names = preset.proof.headers();
        names.is_empty()
            || names
                .iter()
                .any(|name| candidates::is_there(case.head, name))
    };
    let others = case
        .around
        .presets
        .iter()
        .filter(|preset| preset.provider != case.scheme.provider && may_hold(preset));
    let mut alike: Vec<_> = others
        .filter_map(|preset| Some((*preset, case.with_preset(preset)?)))
        .collect();
    let likely = match alike.as_slice() {
        [] => return None,
        [_] => candidates::Candidates::default(),
        _ => candidates::candidates(case.head, Some(case.body), case.now, case.around.presets),
    };
    let named = Named::of(case.head);
    let place = |preset: &Scheme| {
        let mut fitting = likely.fitting.iter();
        fitting.position(|candidate| candidate.scheme.provider == preset.provider)
    };
    let rank = |preset: &Scheme| {
        let is_named = named.has_header_of(&preset.provider);
        let is_unranked = place(preset).is_none();
        (
            !is_named,
            preset.provider != STANDARD,
            is_unranked,
            place(preset),
        )
    };
    alike.sort_by_key(|(preset, _)| rank(preset));
    let (first, secret) = alike.first()?;
    let (is_unnamed, is_no_standard, ..) = rank(first);
    let names: Vec<&str> = alike
        .iter()
        .map(|(preset, _)| preset.provider.as_str())
        .collect();
    found(Some(std::sync::Arc::clone(secret)), || {
        match names.as_slice() {
            [] | [_] => Mistake::new(
                "other_provider",
                format!(
                    "The delivery is signed as the provider `{}` signs.",
                    first.provider
                ),
                format!("Set `provider = \"{}\"` on the route.", first.provider),
            ),
            [_, siblings @ ..] if !(is_unnamed && is_no_standard) => Mistake::new(
                "other_provider",
                format!(
                    "The delivery is signed as the provider `{}` signs; also signed so: {}.",
                    first.provider,
                    listed(siblings)
                ),
                format!(
                    "Set `provider = \"{}\"` on the route, or the one of the others that sends it.",
                    first.provider
                ),
            ),
            names => Mistake::new(
                "other_provider",
                format!(
                    "The delivery is signed as each of these providers signs: {}.",
                    listed(names)
                ),
                "Set `provider` on the route to the one of them that sends it: their signatures are \
             alike, so no delivery tells them apart.",
            ),
        }
    })
}

/// Names in a sentence; of many, the first.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The headers of the scheme's own signature are missing, and those of at most three other
/// providers are there: more providers would tell the operator nothing.
pub(super) fn looks_alike(case: &Trials<'_>) -> Option<Mistake> {
    let own = headers(case.scheme)
        .into_iter()
        .chain(case.signature_names());
    let own: Vec<FieldName> = own.collect();
    let is_there =
        |name: &FieldName| matches!(case.head.find(name), Found::One(value) if !value.is_empty());
    if own.iter().any(is_there) || own.is_empty() {
        return None;
    }
    let matched = |preset: &Scheme| {
        let signature = headers(preset);
        let times = match preset.timestamp().map(|place| &place.at) {
            Some(TimestampAt::Headers(names)) => names.clone(),
            _ => Vec::new(),
        };
        let is_like =
            signature.iter().any(is_there) && (times.is_empty() || times.iter().any(is_there));
        is_like.then(|| signature.len() + times.len())
    };
    let others = case
        .around
        .presets
        .iter()
        .filter(|preset| preset.provider != case.scheme.provider);
    let mut likely: Vec<(usize, &str)> = others
        .filter_map(|preset| Some((matched(preset)?, preset.provider.as_str())))
        .collect();
    let most = likely.iter().map(|(count, _)| *count).max()?;
    likely.retain(|(count, _)| *count == most);
    let mut names: Vec<&str> = likely.iter().map(|(_, name)| *name).collect();
    // Of several that use the same header, those whose form the value has.
    let found = candidates::candidates(case.head, Some(case.body), case.now, case.around.presets);
    let fitting = found.fitting.iter();
    let fitting: Vec<&str> = fitting
        .map(|candidate| candidate.scheme.provider.as_str())
        .filter(|name| names.contains(name))
        .collect();
    if !fitting.is_empty() {
        names = fitting;
    }
    if names.len() > 3 {
        // Among many that sign alike, the provider that a header names, else the standard.
        let head = Named::of(case.head);
        let is_named = |provider: &&str| head.has_header_of(provider);
        let is_standard = |provider: &&str| *provider == STANDARD;
        let named = names.iter().copied().find(is_named);
        let one = named.or_else(|| names.iter().copied().find(is_standard));
        names = one.map_or(names, |one| vec![one]);
    }
    (names.len() <= 3).then(|| {
        let names = names.join("`, `");
        Mistake::new(
            "looks_like_provider",
            format!(
                "The header with the signature of this scheme is missing, and the headers of \
                 `{names}` are there."
            ),
            "Set that `provider` on the route, or correct the path that the sender calls.",
        )
    })
}

/// The headers that carry a scheme's signature. `Authorization` tells no provider from another.
fn headers(scheme: &Scheme) -> Vec<FieldName> {
    let names = scheme.proof.headers().iter();
    names
        .filter(|name| name.as_str() != "authorization")
        .cloned()
        .collect()
}
