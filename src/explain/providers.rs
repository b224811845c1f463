//! Deliveries of another provider: every preset is tried with the same secrets, lists of signatures
//! included.
//!
//! A preset whose headers are missing costs nothing.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::scheme::{Scheme, TimestampAt};
use crate::wire::head::{FieldName, Found};

/// The preset that many providers follow.
const STANDARD: &str = "standard-webhooks";

/// The delivery holds under the scheme of another provider.
///
/// If many providers sign alike, the provider whose name is in the header is named, else the
/// standard, else the first three of them.
pub(super) fn signs_alike(case: &Trials<'_>) -> Option<Finding> {
    let others = case
        .around
        .presets
        .iter()
        .filter(|preset| preset.provider != case.scheme.provider);
    let mut alike: Vec<_> = others
        .filter_map(|preset| Some((*preset, case.with_scheme(Scheme::clone(preset))?)))
        .collect();
    let is_named = |preset: &Scheme| {
        let own = format!("-{}-", preset.provider);
        headers(preset)
            .iter()
            .any(|name| format!("-{}-", name.as_str()).contains(&own))
    };
    let rank = |preset: &Scheme| (!is_named(preset), preset.provider != STANDARD);
    alike.sort_by_key(|(preset, _)| rank(preset));
    let (first, secret) = alike.first()?;
    let shown = if rank(first) == (true, true) { 3 } else { 1 };
    let names: Vec<&str> = alike
        .iter()
        .take(shown)
        .map(|(preset, _)| preset.provider.as_str())
        .collect();
    found(Some(std::sync::Arc::clone(secret)), || {
        match names.as_slice() {
            [name] => Mistake::new(
                "other_provider",
                format!("The delivery is signed as the provider `{name}` signs."),
                format!("Set `provider = \"{name}\"` on the route."),
            ),
            names => Mistake::new(
                "other_provider",
                format!(
                    "The delivery is signed as the providers `{}` sign.",
                    names.join("`, `")
                ),
                "Set `provider` on the route to the provider that sends it.",
            ),
        }
    })
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
    if names.len() > 3 {
        // Among many that sign alike, the provider that a header names, else the standard.
        let is_named = |provider: &&str| {
            let word = format!("-{provider}-");
            let has = |name: &[u8]| {
                let name = format!("-{}-", String::from_utf8_lossy(name).to_ascii_lowercase());
                name.contains(&word)
            };
            case.head.lines().any(|(name, _)| has(name))
        };
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
