//! The facts about a preset in words, the same for the list, the page and docs/providers.md.

use super::places::place_in;
pub(in crate::cli) use super::secret_words::{named_secret, secret};
use super::tokens;
pub(super) use super::window::{longer_ttl, remembered, replay_key, replay_name, seen_again};
use crate::config::presets::{After4xx, KeyOwner, Preset};
use crate::config::takes_public_keys;
use crate::config::units::{written_duration, written_size};
use crate::scheme::{CredentialKind, ProofBy, Scheme};

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
            "not signed: the secret itself travels with every delivery, so whoever has read it once can \
             send any body"
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

/// The variable that the secret is kept in: the names of the provider and of its secret. A word
/// that ends the former and begins the latter is written once.
pub(super) fn secret_variable(preset: &Preset) -> String {
    let usual = if takes_public_keys(&preset.scheme) {
        "public key"
    } else {
        "webhook secret"
    };
    let (provider, secret) = (
        variable(&preset.name),
        variable(preset.secret_name.as_deref().unwrap_or(usual)),
    );
    let last = provider.rsplit('_').next().unwrap_or_default();
    match secret
        .strip_prefix(last)
        .and_then(|rest| rest.strip_prefix('_'))
    {
        Some(rest) => format!("{provider}_{rest}"),
        None => format!("{provider}_{secret}"),
    }
}

/// A name as a variable is written: upper case, with `_` for all that is neither letter nor digit.
pub(super) fn variable(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{all, find};

    #[test]
    fn a_variable_names_provider_and_secret_and_no_word_twice() {
        for (name, expected) in [
            ("github", "GITHUB_WEBHOOK_SECRET"),
            ("gitlab-signing", "GITLAB_SIGNING_TOKEN"),
            ("twilio", "TWILIO_AUTH_TOKEN"),
            ("okta", "OKTA_AUTHENTICATION_SECRET"),
        ] {
            assert_eq!(secret_variable(find(name).unwrap()), expected);
        }
        for preset in all() {
            let name = secret_variable(preset);
            let words: Vec<_> = name.split('_').collect();
            let is_doubled = words.windows(2).any(|pair| pair[0] == pair[1]);
            assert!(!is_doubled, "{name}");
        }
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
