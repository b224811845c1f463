//! The facts about a preset in words, the same for the list, the page and docs/providers.md.

use std::time::Duration;

use super::places::place_in;
pub(in crate::cli) use super::secret_words::{named_secret, secret};
use super::tokens;
use crate::config::presets::{After4xx, KeyOwner, Preset};
use crate::config::replay::DEFAULT_TTL;
use crate::config::takes_public_keys;
use crate::config::units::{written_duration, written_size};
use crate::scheme::{CredentialKind, ProofBy, Scheme};

const DAY: u64 = 24 * 3600;

/// The basis of the facts: documented by the provider, or unconfirmed if they come from somebody
/// else (contract: Providers).
pub(in crate::cli) fn basis(preset: &Preset) -> &'static str {
    if preset.is_documented() {
        "documented"
    } else {
        "unconfirmed"
    }
}

/// Whether test vectors prove the scheme.
pub(super) fn vectors(preset: &Preset) -> &'static str {
    if preset.proved { "yes" } else { "none" }
}

/// Basis and vectors in a single text.
pub(super) fn status(preset: &Preset) -> String {
    let vectors = if preset.proved { "" } else { ", no vector" };
    format!("{}{vectors}", basis(preset))
}

/// The signed content: the template, or words for a scheme without a template.
pub(super) fn signed(scheme: &Scheme) -> String {
    match &scheme.proof {
        ProofBy::Template(template) => {
            format!("`{}`", template.signed.text().replace('\n', "\\n"))
        }
        ProofBy::Code(code) if scheme.components.is_empty() => code.content_words().to_owned(),
        ProofBy::Code(code) => {
            let components = scheme.components.join("`, `");
            format!("{}, at least `{components}`", code.content_words())
        }
        ProofBy::Credential(credential) => match credential.kind {
            CredentialKind::Token => "nothing: the secret is sent",
            CredentialKind::Basic => "nothing: user and password are sent",
        }
        .to_owned(),
        ProofBy::Token(token) => tokens::signed(&token.rule),
    }
}

/// The protection of the body.
pub(super) fn body(scheme: &Scheme) -> &'static str {
    match scheme.covers_body() {
        true => "signed",
        false if scheme.is_credential() => {
            "not signed: anybody who has read the secret once can send any body"
        }
        false => "not signed: nothing authenticates it",
    }
}

/// Whose key it is, and what a valid signature therefore proves.
pub(super) fn key_owner(preset: &Preset) -> &'static str {
    match preset.key_owner {
        KeyOwner::Endpoint => "this endpoint: it was made for this URL or subscription",
        KeyOwner::Account => "your account: all of its endpoints share it",
        KeyOwner::App => "your app: deliveries of everybody who has installed it are genuine",
        KeyOwner::Provider if preset.scheme.account.is_none() => {
            "the provider, for all of its customers, and no delivery names an account: your app must \
             ask the provider for each object"
        }
        KeyOwner::Provider => {
            "the provider, for all of its customers: it does not prove whose delivery it is, so \
             `accounts` must name yours"
        }
    }
}

/// The place of the account, and whether `accounts` can be compared with it.
pub(super) fn account(scheme: &Scheme) -> String {
    match &scheme.account {
        None => "no known place".to_owned(),
        Some(at) if scheme.account_is_signed() => {
            format!(
                "{}, signed: `accounts` can name yours",
                place_in(scheme, at)
            )
        }
        Some(at) => format!("{}, not signed: it proves nothing", place_in(scheme, at)),
    }
}

/// The identity of a delivery in the replay window (contract: Keys).
pub(super) fn replay_key(scheme: &Scheme) -> String {
    if scheme.events_repeat {
        return "nothing: two events may be alike, so replay protection is off unless the route asks for it".to_owned();
    }
    match &scheme.event_id {
        Some(id) if scheme.id_is_signed() => {
            let without = if scheme.event_id_required {
                ""
            } else {
                "; without an id the signed content"
            };
            format!(
                "the event's id, {}, which is signed{without}",
                place_in(scheme, id)
            )
        }
        id => {
            let content = if scheme.is_credential() {
                "the body, which nothing signs"
            } else {
                "the signed content"
            };
            let names = id.as_ref().map(|id| {
                format!(
                    "; the id, {}, is not signed and only names the event",
                    place_in(scheme, id)
                )
            });
            let beside = [
                (
                    scheme.type_is_beside(),
                    "; the event type is kept beside it",
                ),
                (
                    scheme.bodies_are_beside(),
                    "; four bodies are kept beside it",
                ),
            ];
            let beside = beside.into_iter().filter(|(is, _)| *is);
            let beside: String = beside.map(|(_, words)| words).collect();
            let repeats = scheme.repeats.map(|repeats| {
                format!(
                    "; the same request is forwarded {} times more within {}",
                    repeats.most,
                    written_duration(repeats.within)
                )
            });
            format!(
                "{content}{}{beside}{}",
                names.unwrap_or_default(),
                repeats.unwrap_or_default()
            )
        }
    }
}

/// The advised time for which a done event is remembered: as long as the provider retries, in whole
/// days, and never shorter than the default.
pub(super) fn advised_ttl(preset: &Preset) -> Duration {
    let days = preset
        .horizon
        .map_or(0, |horizon| horizon.as_secs().div_ceil(DAY));
    DEFAULT_TTL.max(Duration::from_secs(days * DAY))
}

/// The advised time as it is written in a file; `None` where the default is enough.
pub(super) fn longer_ttl(preset: &Preset) -> Option<String> {
    let ttl = advised_ttl(preset);
    (ttl > DEFAULT_TTL).then(|| written_duration(ttl))
}

/// The last part of the variable that the secret is kept in: the provider's own name for it.
pub(super) fn secret_variable(preset: &Preset) -> String {
    let usual = if takes_public_keys(&preset.scheme) {
        "public key"
    } else {
        "webhook secret"
    };
    let name = preset.secret_name.as_deref().unwrap_or(usual);
    name.to_ascii_uppercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// How long the provider waits for an answer.
pub(super) fn time_limit(preset: &Preset) -> String {
    preset.time_limit.map_or_else(
        || "not known".to_owned(),
        |limit| format!("{}{}", written_duration(limit), doubt(preset)),
    )
}

/// The largest body that the provider sends.
pub(super) fn body_limit(preset: &Preset) -> String {
    preset.max_body.map_or_else(
        || "not known; the default `max_body` of 1MiB is our choice".to_owned(),
        |largest| {
            format!(
                "{}, which is the route's default `max_body`",
                written_size(largest)
            )
        },
    )
}

/// What an answer of 4xx costs.
pub(super) fn after_4xx(preset: &Preset) -> String {
    let words = preset
        .after_4xx
        .iter()
        .map(|consequence| match consequence {
            After4xx::Retried => "the delivery is sent again",
            After4xx::Dropped => "the delivery is never sent again by itself",
            After4xx::Disabled => "after several the endpoint is disabled",
            After4xx::Deleted => "after several the subscription is deleted",
        });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "not known".to_owned()
    } else {
        format!("{}{}", words.join("; "), doubt(preset))
    }
}

/// The doubt about the facts that come from the same place as the words on retries.
fn doubt(preset: &Preset) -> &'static str {
    [" (unconfirmed)", " (third-party account)"]
        .into_iter()
        .find(|doubt| preset.retries.ends_with(doubt))
        .unwrap_or_default()
}

/// The names of the consequences of a 4xx, for a table.
pub(super) fn after_4xx_names(preset: &Preset) -> String {
    let names: Vec<_> = preset.after_4xx.iter().map(|known| known.name()).collect();
    names.join(", ")
}

/// The retries of the provider, and the `ttl` that follows from them.
pub(super) fn remembered(preset: &Preset) -> String {
    match (preset.horizon, longer_ttl(preset)) {
        (None, _) => {
            "it is not known for how long it retries; the default `ttl` of 72h is our choice"
                .to_owned()
        }
        (Some(horizon), None) => {
            format!(
                "it retries for {}: the default `ttl` of 72h is enough",
                written_duration(horizon)
            )
        }
        (Some(horizon), Some(ttl)) => format!(
            "it retries for {}: set `ttl = \"{ttl}\"`",
            written_duration(horizon)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{all, find};

    #[test]
    fn a_window_is_advised_that_outlives_the_retries() {
        let rows = [
            ("github", None),
            ("stripe", None),
            ("adyen", Some("30d")),
            ("chargebee", Some("4d")),
        ];
        for (name, expected) in rows {
            assert_eq!(
                longer_ttl(find(name).unwrap()).as_deref(),
                expected,
                "{name}"
            );
        }
        let mut preset = find("github").unwrap().clone();
        for (hours, expected) in [
            (1, None),
            (72, None),
            (73, Some("4d")),
            (96, Some("4d")),
            (97, Some("5d")),
        ] {
            preset.horizon = Some(Duration::from_secs(hours * 3600));
            assert_eq!(longer_ttl(&preset).as_deref(), expected, "{hours} hours");
        }
        for preset in all() {
            let ttl = advised_ttl(preset);
            assert!(
                preset.horizon.is_none_or(|horizon| horizon <= ttl),
                "{}",
                preset.name
            );
            assert!(
                ttl.as_secs().is_multiple_of(DAY) && ttl >= DEFAULT_TTL,
                "{}",
                preset.name
            );
        }
        assert!(remembered(find("stripe").unwrap()).contains("72h is enough"));
        assert!(remembered(find("adyen").unwrap()).contains("`ttl = \"30d\"`"));
        assert!(remembered(find("itellico").unwrap()).contains("not known"));
    }

    #[test]
    fn what_a_delivery_is_known_by_is_said_with_its_place() {
        let rows = [
            (
                "itellico",
                "the event's id, `/event_id` of the JSON body, which is signed",
            ),
            ("svix", "the event's id, header `Svix-Id`, which is signed"),
            (
                "github",
                "the signed content; the id, header `X-Github-Delivery`, is not signed and only names the event; the event type is kept beside it",
            ),
            (
                "contentful",
                "the signed content; the event type is kept beside it",
            ),
            (
                "dropbox-sign",
                "the signed content; four bodies are kept beside it",
            ),
            (
                "plivo",
                "the signed content; the same request is forwarded 20 times more within 4h",
            ),
            ("deepgram", "the body, which nothing signs"),
            (
                "wix",
                "the event's id, `/data/data/id` of the token's claims, which is signed; without an id the signed content",
            ),
            (
                "slack",
                "the event's id, `/event_id` of the JSON body, which is signed; without an id the signed content",
            ),
        ];
        for (name, expected) in rows {
            assert_eq!(replay_key(&find(name).unwrap().scheme), expected, "{name}");
        }
        let dropbox = replay_key(&find("dropbox").unwrap().scheme);
        assert!(
            dropbox.starts_with("nothing: two events may be alike"),
            "{dropbox}"
        );
    }

    #[test]
    fn what_is_signed_is_said_where_no_template_says_it() {
        assert_eq!(
            signed(&find("stripe").unwrap().scheme),
            "`{timestamp}.{body}`"
        );
        assert_eq!(
            signed(&find("messagebird").unwrap().scheme),
            "a token with the SHA-256 of the body and the SHA-256 of the URL"
        );
        assert_eq!(
            signed(&find("lago").unwrap().scheme),
            "a token with the body"
        );
        for (name, expected) in [
            ("wix", "the event: the body is a token that holds it"),
            (
                "fireblocks",
                "the header of the token and the body in base64url",
            ),
            ("saleor", "the header of the token and the body"),
            ("monday", "a token with the URL"),
            (
                "jira-connect",
                "a token with the SHA-256 of method, path and query",
            ),
        ] {
            assert_eq!(signed(&find(name).unwrap().scheme), expected, "{name}");
        }
        for preset in all() {
            assert!(
                !signed(&preset.scheme).trim_matches('`').is_empty(),
                "{}",
                preset.name
            );
            assert_eq!(
                body(&preset.scheme) == "signed",
                preset.scheme.covers_body(),
                "{}",
                preset.name
            );
        }
    }
}
