//! The choice of the providers that are shown: every given option must hold.

use clap::Args;

use super::uses;
use crate::config::presets::{self, Family, Preset, Unsupported};
use crate::scheme::{Algorithm, Scheme};
use crate::wire::head::FieldName;

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
    /// Only providers that read this header, with what they read from it; several must all be read
    #[arg(long, value_name = "NAME", value_parser = uses::header, conflicts_with = "name")]
    pub(super) header: Vec<FieldName>,
    /// Only providers in whose name, other names, headers, query parameters or body fields this
    /// text is
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
            && self.reads_headers(scheme)
            && self.finds(|| {
                let names = [preset.name.clone(), preset.title.clone()]
                    .into_iter()
                    .chain(preset.aliases.clone());
                names.chain(uses::names(scheme)).collect()
            })
    }

    /// Whether a provider without a preset is shown. Only its name is known, so no other option
    /// matches it.
    pub(super) fn takes_unsupported(&self, other: &Unsupported) -> bool {
        let asks_more = self.family.is_some()
            || self.algorithm.is_some()
            || self.unconfirmed
            || self.handshake
            || self.unsigned_body
            || !self.header.is_empty();
        !asks_more && self.finds(|| vec![other.name.clone(), other.title.clone()])
    }

    fn reads_headers(&self, scheme: &Scheme) -> bool {
        let mut wanted = self.header.iter();
        wanted.all(|name| !uses::of_header(scheme, name).is_empty())
    }

    fn finds(&self, texts: impl FnOnce() -> Vec<String>) -> bool {
        let Some(wanted) = self.search.as_deref() else {
            return true;
        };
        let (wanted, squeezed) = (wanted.to_lowercase(), squeezed(wanted));
        texts().iter().any(|text| {
            text.to_lowercase().contains(&wanted)
                || (!squeezed.is_empty() && self::squeezed(text).contains(&squeezed))
        })
    }

    /// The answer where no provider is found, without a capital letter: the option that no provider
    /// fits, and the name that was probably meant.
    pub(super) fn nothing(&self) -> String {
        let alone = |header: &[FieldName]| Self {
            header: header.to_vec(),
            ..Self::default()
        };
        let headers = alone(&self.header);
        let is_unread = !presets::all().iter().any(|preset| headers.takes(preset));
        if is_unread {
            return uses::nothing(&self.header);
        }
        let search = Self {
            search: self.search.clone(),
            ..Self::default()
        };
        let is_found = presets::all().iter().any(|preset| search.takes(preset));
        if let Some(text) = self.search.as_deref().filter(|_| !is_found) {
            let near = presets::nearest(text).or_else(|| nearest_title(text));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let text = text.escape_debug();
            return format!(
                "no provider has `{text}` in its name, other names, \
                 headers, query parameters or body fields{near}"
            );
        }
        "each of these options fits some provider, but no provider fits all of them".to_owned()
    }
}

/// The letters and digits of a name in lower case: `Hugging Face` and `hugging-face` are the same.
pub(super) fn squeezed(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// The preset whose title this is, or probably is, however it is spelled.
pub(super) fn titled(text: &str) -> Option<&'static Preset> {
    let wanted = squeezed(text);
    let is_called = |preset: &&Preset| {
        let mut names = [&preset.name, &preset.title]
            .into_iter()
            .chain(&preset.aliases);
        names.any(|name| squeezed(name) == wanted)
    };
    let mut called = presets::all().iter().filter(is_called);
    called
        .next()
        .filter(|_| !wanted.is_empty() && called.next().is_none())
}

/// The name of the preset of which this is probably a misspelled title.
pub(super) fn nearest_title(text: &str) -> Option<&'static str> {
    let wanted = squeezed(text);
    let distance = |preset: &Preset| strsim::damerau_levenshtein(&wanted, &squeezed(&preset.title));
    let all = presets::all()
        .iter()
        .map(|preset| (distance(preset), preset));
    let (distance, preset) = all.min_by_key(|(distance, _)| *distance)?;
    (distance <= wanted.len() / 4).then_some(preset.name.as_str())
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
    fn a_name_is_found_however_it_is_spelled() {
        for text in [
            "Hugging Face",
            "huggingface",
            "HUGGING-FACE",
            "hugging_face",
        ] {
            assert!(searched(text).contains(&"huggingface"), "{text}");
            assert_eq!(titled(text).unwrap().name, "huggingface", "{text}");
        }
        assert_eq!(
            titled("Cloudflare Stream").unwrap().name,
            "cloudflare-stream"
        );
        assert!(titled("").is_none() && titled("-").is_none() && titled("cloudflare").is_none());
        assert_eq!(nearest_title("Cloudflar Streem"), Some("cloudflare-stream"));
    }

    fn reading(names: &[&str], family: Option<Family>) -> Filter {
        Filter {
            header: names
                .iter()
                .map(|name| FieldName::new(name).unwrap())
                .collect(),
            family,
            ..Filter::default()
        }
    }

    #[test]
    fn a_header_finds_all_that_read_it_and_several_narrow_the_list_down() {
        let hook = found(&reading(&["x-hook-signature"], None));
        assert!(
            hook.contains(&"asana") && hook.contains(&"netbox"),
            "{hook:?}"
        );
        let github = found(&reading(&["X-Hub-Signature-256"], None));
        assert!(
            github.contains(&"github") && github.contains(&"meta"),
            "{github:?}"
        );
        let both = found(&reading(&["X-Hub-Signature-256", "X-GitHub-Event"], None));
        assert_eq!(both, ["github"]);
        let webhook = found(&reading(&["Webhook-Signature"], None));
        let bodies = found(&reading(&["Webhook-Signature"], Some(Family::BodyHmac)));
        assert!(
            webhook.contains(&"openai") && bodies.contains(&"gocardless"),
            "{bodies:?}"
        );
        assert!(!bodies.contains(&"openai") && bodies.iter().all(|name| webhook.contains(name)));
        let paypal = presets::unsupported().first().unwrap();
        assert!(!reading(&["X-Hub-Signature"], None).takes_unsupported(paypal));
    }

    #[test]
    fn where_nothing_fits_the_option_that_no_provider_fits_is_named() {
        let family = Some(Family::JwtDigest);
        let search = |text: &str| Filter {
            search: Some(text.to_owned()),
            ..Filter::default()
        };
        let rows = [
            (
                reading(&["x-no-such-header-at-all"], None),
                "no provider of this version reads",
            ),
            (
                reading(&["x-hub-signature-256"], family),
                "no provider fits all of them",
            ),
            (search("no such text"), "no provider has `no such text`"),
            (search("strype"), "did you mean `stripe`?"),
            (
                search("Cloudflare Streem"),
                "did you mean `cloudflare-stream`?",
            ),
        ];
        for (filter, expected) in rows {
            assert!(found(&filter).is_empty());
            assert!(filter.nothing().contains(expected), "{}", filter.nothing());
        }
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
