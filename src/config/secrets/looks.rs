//! The look of a secret, as far as a warning is due (contract: Secrets): a short key, a placeholder,
//! another value that was copied instead.
//!
//! What is around a secret is warned about where its reference is followed.

use crate::config::reader::{Findings, Item};
use crate::config::scheme::CUSTOM;
use crate::config::warning::WarningName;
use crate::key::secret::{Secret, SecretText};
use crate::key::shape;
use crate::key::shape::{Kind, Shape, Wanted};
use crate::scheme::Scheme;

/// The length in bytes from which on a key is not called short: no attacker can try all keys of 128
/// random bits.
const ENOUGH: usize = 16;

/// Warns of the look of a route's secret. `item` is its place.
pub(in crate::config) fn judge(
    scheme: &Scheme,
    item: &Item<'_>,
    secret: &Secret,
    findings: &mut Findings,
) {
    let keys = scheme.shared_keys(&secret.text).unwrap_or_default();
    let length = keys.iter().map(|(_, key)| key.len()).min();
    let length = length.map(|length| length.min(secret.text.expose().len()));
    let called = format!("the secret `{}`", secret.name);
    let is_named = warn(
        &secret.text,
        &scheme.wanted(),
        length,
        &called,
        item,
        findings,
    );
    if let Some(doubt) = scheme.secret_doubt(&secret.text).filter(|_| !is_named) {
        let message = format!("{called} {}", doubt.words(&scheme.provider));
        findings.warn(item.span(), WarningName::UnlikelySecret, message);
    }
}

/// The correction for a text that is no key of its scheme: what the text looks like, as far as that
/// is another value, and what the scheme expects.
pub(in crate::config) fn correction(scheme: &Scheme, text: &SecretText) -> String {
    let shapes = shape::of(text.expose(), &scheme.wanted());
    let told = shapes
        .iter()
        .find(|shape| !matches!(shape, Shape::NoPublicKey));
    let told = told.map_or_else(String::new, |shape| format!("it {}; ", shape.words()));
    let source = if scheme.provider == CUSTOM {
        "copy it again, or correct `key` in the scheme"
    } else {
        "copy it again from the provider"
    };
    format!(
        "{told}{source}: a secret here is {}",
        scheme.expected_secret()
    )
}

/// Refuses a token that everybody knows, and warns of the look of another. `item` is its place.
pub(in crate::config) fn judge_token(
    item: &Item<'_>,
    token: &SecretText,
    findings: &mut Findings,
) -> Option<()> {
    refuse_known(item, token, findings)?;
    let wanted = Wanted {
        shared: true,
        is_credential: true,
        ..Wanted::default()
    };
    let called = format!("the secret of `{}`", item.path);
    let length = Some(token.expose().len());
    warn(token, &wanted, length, &called, item, findings);
    Some(())
}

/// Refuses the text of a signing secret that everybody knows. `item` is its place.
pub(in crate::config) fn refuse_known(
    item: &Item<'_>,
    text: &SecretText,
    findings: &mut Findings,
) -> Option<()> {
    let Some(words) = shape::known_text(text.expose()) else {
        return Some(());
    };
    item.refuse(
        findings,
        format_args!("leads to a secret that {words}"),
        "put a secret there",
    );
    None
}

/// Warns of the look of a signing secret of Standard Webhooks. `item` is its place.
pub(in crate::config) fn judge_signing(item: &Item<'_>, secret: &Secret, findings: &mut Findings) {
    let wanted = Wanted {
        shared: true,
        begins: vec!["whsec_".to_owned()],
        ..Wanted::default()
    };
    let called = format!("the secret `{}`", secret.name);
    warn(&secret.text, &wanted, None, &called, item, findings);
}

/// Warns of the look of a text. The answer says whether its own look, and not what is around it, is
/// named already.
fn warn(
    text: &SecretText,
    wanted: &Wanted,
    length: Option<usize>,
    called: &str,
    item: &Item<'_>,
    findings: &mut Findings,
) -> bool {
    let is_spelled = |shape: &Shape| {
        shape.kind() == Kind::Around
            && !matches!(
                shape,
                Shape::Authorization(_) | Shape::EscapedNewlines | Shape::SpaceWithin
            )
    };
    if let Some(place) = shape::published(text.expose()) {
        let message =
            format!("{called} is printed in {place}: anybody can sign deliveries with it");
        findings.warn(item.span(), WarningName::PublishedSecret, message);
        return true;
    }
    let (mut is_placeholder, mut is_named) = (false, false);
    for shape in shape::of(text.expose(), wanted) {
        if is_spelled(&shape) {
            continue;
        }
        is_placeholder |= shape.kind() == Kind::Placeholder;
        is_named |= shape.kind() != Kind::Around || matches!(shape, Shape::Authorization(_));
        let name = match shape.kind() {
            Kind::Around => WarningName::SecretSpelling,
            Kind::Placeholder => WarningName::PlaceholderSecret,
            Kind::Other => WarningName::UnlikelySecret,
        };
        findings.warn(item.span(), name, format!("{called} {}", shape.words()));
    }
    if length.is_some_and(|length| length < ENOUGH) && !is_placeholder {
        let message = format!(
            "{called} is shorter than {ENOUGH} bytes: a key so short may be found by trying"
        );
        findings.warn(item.span(), WarningName::ShortSecret, message);
    }
    is_named
}
