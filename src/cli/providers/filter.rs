//! The choice of the providers that are shown: every given option must hold.

use clap::Args;

use super::places;
use crate::config::presets::{Family, Preset, Unsupported};
use crate::scheme::{Algorithm, Scheme};

/// The options that narrow the list.
#[derive(Args, Debug, Default)]
pub(super) struct Filter {
    /// Only providers of this family, as in `body-hmac`
    #[arg(long, value_parser = family, conflicts_with = "name")]
    family: Option<Family>,
    /// Only providers with this algorithm, as in `ed25519`
    #[arg(long, value_parser = algorithm, conflicts_with = "name")]
    algorithm: Option<Algorithm>,
    /// Only providers whose facts do not come from the provider itself
    #[arg(long, conflicts_with = "name")]
    unconfirmed: bool,
    /// Only providers that ask the endpoint for an answer before they deliver
    #[arg(long, conflicts_with = "name")]
    handshake: bool,
    /// Only providers whose signature does not cover the body
    #[arg(long, conflicts_with = "name")]
    unsigned_body: bool,
    /// Only providers whose name, other names or headers hold this text
    #[arg(long, value_name = "TEXT", conflicts_with = "name")]
    search: Option<String>,
}

impl Filter {
    /// Whether a preset is shown.
    pub(super) fn takes(&self, preset: &Preset) -> bool {
        let scheme = &preset.scheme;
        self.family.is_none_or(|family| family == preset.family)
            && self
                .algorithm
                .is_none_or(|algorithm| has(scheme, algorithm))
            && (!self.unconfirmed || !preset.is_documented())
            && (!self.handshake || scheme.handshake.is_some())
            && (!self.unsigned_body || !scheme.covers_body())
            && self.finds(|| {
                let names = [preset.name.clone(), preset.title.clone()]
                    .into_iter()
                    .chain(preset.aliases.clone());
                names.chain(places::headers(scheme)).collect()
            })
    }

    /// Whether a provider without a preset is shown. Only its name is known, so no other option
    /// matches it.
    pub(super) fn takes_unsupported(&self, other: &Unsupported) -> bool {
        let asks_more = self.family.is_some()
            || self.algorithm.is_some()
            || self.unconfirmed
            || self.handshake
            || self.unsigned_body;
        !asks_more && self.finds(|| vec![other.name.clone(), other.title.clone()])
    }

    fn finds(&self, texts: impl FnOnce() -> Vec<String>) -> bool {
        let Some(wanted) = self.search.as_deref().map(str::to_lowercase) else {
            return true;
        };
        texts()
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }
}

fn has(scheme: &Scheme, algorithm: Algorithm) -> bool {
    scheme.algorithm() == algorithm
        || scheme
            .items()
            .accept
            .iter()
            .any(|(_, one)| *one == algorithm)
}

fn family(text: &str) -> Result<Family, String> {
    Family::named(text)
        .ok_or_else(|| format!("one of {}", Family::ALL.map(Family::name).join(", ")))
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::named(text)
        .ok_or_else(|| format!("one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    fn found(filter: &Filter) -> Vec<&'static str> {
        let all = presets::all().iter();
        all.filter(|preset| filter.takes(preset))
            .map(|preset| preset.name.as_str())
            .collect()
    }

    fn searched(text: &str) -> Vec<&'static str> {
        found(&Filter {
            search: Some(text.to_owned()),
            ..Filter::default()
        })
    }

    #[test]
    fn each_option_narrows_the_list() {
        let all = found(&Filter::default()).len();
        assert_eq!(all, presets::all().len());
        let token = found(&Filter {
            family: Some(Family::Token),
            ..Filter::default()
        });
        assert!(
            token.contains(&"gitlab") && !token.contains(&"gitlab-signing"),
            "{token:?}"
        );
        let ed25519 = found(&Filter {
            algorithm: Some(Algorithm::Ed25519),
            ..Filter::default()
        });
        assert!(
            ed25519.contains(&"telnyx")
                && ed25519.contains(&"standard-webhooks")
                && !ed25519.contains(&"kick"),
            "{ed25519:?}"
        );
        let unconfirmed = found(&Filter {
            unconfirmed: true,
            ..Filter::default()
        });
        assert!(
            unconfirmed.contains(&"trello") && !unconfirmed.contains(&"stripe"),
            "{unconfirmed:?}"
        );
        let handshake = found(&Filter {
            handshake: true,
            ..Filter::default()
        });
        assert!(
            handshake.contains(&"slack") && !handshake.contains(&"github"),
            "{handshake:?}"
        );
        let unsigned = found(&Filter {
            unsigned_body: true,
            ..Filter::default()
        });
        assert!(
            unsigned.contains(&"mailgun")
                && unsigned.contains(&"gitlab")
                && !unsigned.contains(&"plaid")
        );
        let both = found(&Filter {
            unconfirmed: true,
            handshake: true,
            ..Filter::default()
        });
        assert!(
            both.iter()
                .all(|name| unconfirmed.contains(name) && handshake.contains(name))
                && !both.is_empty()
        );
    }

    #[test]
    fn a_text_is_looked_for_in_names_titles_aliases_and_headers() {
        assert_eq!(searched("X-GitHub-Delivery"), ["github"]);
        assert!(searched("whatsapp").contains(&"meta"));
        assert!(searched("feishu").contains(&"lark"));
        assert!(searched("X-Twilio-Signature").contains(&"twilio"));
        assert!(searched("plaid-verification").contains(&"plaid"));
        assert_eq!(searched("no such text"), [""; 0]);
    }

    #[test]
    fn those_that_are_no_presets_are_found_by_name_alone() {
        let paypal = presets::unsupported()
            .iter()
            .find(|other| other.name == "paypal")
            .unwrap();
        assert!(Filter::default().takes_unsupported(paypal));
        assert!(
            Filter {
                search: Some("PAYP".into()),
                ..Filter::default()
            }
            .takes_unsupported(paypal)
        );
        assert!(
            !Filter {
                search: Some("x".into()),
                ..Filter::default()
            }
            .takes_unsupported(paypal)
        );
        assert!(
            !Filter {
                handshake: true,
                ..Filter::default()
            }
            .takes_unsupported(paypal)
        );
    }

    #[test]
    fn a_family_or_an_algorithm_that_is_none_is_told_which_there_are() {
        assert!(family("body").unwrap_err().contains("body-hmac, "));
        assert!(algorithm("md5").unwrap_err().contains("hmac-sha256, "));
    }
}
