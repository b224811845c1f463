//! `verigate providers`: the presets of this version, the facts about each, and a route to copy
//! (contract: Command line).
//!
//! `facts`, `window`, `places`, `tokens` and `uses` put the facts into words, read from the schemes themselves.
//! `filter` decides which providers are shown; `tables`, `page` and `json` write them.

pub(super) mod facts;
mod filter;
mod json;
mod page;
mod places;
mod secret_words;
mod tables;
mod tokens;
pub(super) mod uses;
mod window;

use clap::Args;
use serde_json::Value;

use self::filter::Filter;
use super::Exit;
use super::output::{note, print};
use crate::config::presets;
use crate::config::presets::{Preset, Unsupported};

pub(super) use self::places::read_from;

/// Arguments of `providers`.
#[derive(Args, Debug)]
#[command(
    after_help = "A sender that is not listed can be described in [route.scheme].\n\n\
    --json prints an array of objects, or with NAME an object; those with `\"supported\": false` come last\n\
    and have a `reason`. Exit status: 0 shown, 1 nothing found, 2 no such provider.\n\n\
    Examples:\n  verigate providers itellico > verigate.toml\n  \
    verigate providers --header X-Hook-Signature\n  \
    verigate providers --family token --json"
)]
pub(super) struct Providers {
    /// Show all facts about this provider, and a route for it in TOML
    name: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Print JSON: an array, or with NAME an object
    #[arg(long)]
    json: bool,
    /// Print docs/providers.md
    #[arg(long, hide = true, conflicts_with_all = ["name", "json"])]
    markdown: bool,
}

impl Providers {
    /// Prints the list, or a single preset.
    pub(super) fn run(&self) -> Exit {
        if let Some(name) = &self.name {
            return self.one(name);
        }
        let shown: Vec<&Preset> = presets::all()
            .iter()
            .filter(|preset| self.filter.takes(preset))
            .collect();
        let others: Vec<&Unsupported> = presets::unsupported()
            .iter()
            .filter(|other| self.filter.takes_unsupported(other))
            .collect();
        if self.markdown {
            print(&tables::markdown(&shown, &others));
        } else if self.json {
            let presets = shown.iter().map(|preset| json::object(preset));
            print(
                &Value::from(
                    presets
                        .chain(others.iter().map(|other| json::unsupported(other)))
                        .collect::<Vec<_>>(),
                )
                .to_string(),
            );
        } else if !self.filter.header.is_empty() && !shown.is_empty() {
            print(&tables::header_uses(&shown, &self.filter.header));
            for elsewhere in self.filter.header.iter().filter_map(uses::elsewhere) {
                note(&format!("note: {elsewhere}"));
            }
        } else if !(shown.is_empty() && others.is_empty()) {
            print(&tables::list(&shown, &others));
        }
        if shown.is_empty() && others.is_empty() {
            for line in self.filter.nothing().lines() {
                note(&format!("verigate: {line}"));
            }
            Exit::Failure
        } else {
            Exit::Success
        }
    }

    fn one(&self, name: &str) -> Exit {
        let Some(preset) = presets::find(name)
            .or_else(|| presets::find(&name.to_ascii_lowercase()))
            .or_else(|| filter::titled(name))
        else {
            note(&format!("verigate: {}", unknown(name)));
            return Exit::Usage;
        };
        print(&if self.json {
            json::object(preset).to_string()
        } else {
            page::page(preset)
        });
        Exit::Success
    }
}

/// The message for a name that no provider has: a similar name, or the reason why there is no
/// preset.
fn unknown(name: &str) -> String {
    let part = name.to_ascii_lowercase();
    let is_unsupported = presets::unsupported()
        .iter()
        .any(|other| other.name == part);
    let why = if is_unsupported {
        presets::why_not(&part)
    } else {
        presets::why_not(name)
    };
    let about = format!(
        "`{}` is not a provider that this version knows: ",
        name.escape_debug()
    );
    if is_unsupported || part.is_empty() {
        return about + &why;
    }
    let squeezed = filter::squeezed(&part);
    let has_part = |text: &str| {
        text.to_ascii_lowercase().contains(&part)
            || (!squeezed.is_empty() && filter::squeezed(text).contains(&squeezed))
    };
    let is_like = |preset: &&Preset| {
        has_part(&preset.name)
            || has_part(&preset.title)
            || preset.aliases.iter().any(|alias| has_part(alias))
    };
    let mut liked: Vec<&Preset> = presets::all().iter().filter(is_like).collect();
    // A name that begins so comes before a name that holds the word, and that before a title.
    liked.sort_by_key(|preset| {
        let begins = [&preset.name, &preset.title]
            .iter()
            .any(|name| name.to_ascii_lowercase().starts_with(&part));
        (!begins, !has_part(&preset.name), preset.name.len())
    });
    let others = described(&part).into_iter();
    let others: Vec<&Preset> = others
        .filter(|preset| liked.iter().all(|one| one.name != preset.name))
        .collect();
    liked.extend(others);
    let more = liked.len().saturating_sub(MOST_LIKE);
    let shown = liked.iter().take(MOST_LIKE);
    let mut like: Vec<String> = shown.map(|preset| format!("`{}`", preset.name)).collect();
    if more > 0 {
        like.push(format!("and {more} more"));
    }
    let refused = presets::unsupported()
        .iter()
        .filter(|other| has_part(&other.name) || has_part(&other.title));
    like.extend(refused.map(|other| format!("`{}` (not supported)", other.name)));
    let title = filter::nearest_title(&part).filter(|_| presets::nearest(name).is_none());
    match like.as_slice() {
        [] if title.is_some() => format!(
            "{about}did you mean `{}`? `verigate providers` lists them all",
            title.unwrap_or_default()
        ),
        [] => about + &why,
        [one] => format!("{about}did you mean {one}? `verigate providers` lists them all"),
        _ => format!(
            "{about}these are like it: {}; `verigate providers` lists them all",
            like.join(", ")
        ),
    }
}

/// The most presets that are named as like a word.
const MOST_LIKE: usize = 12;

/// The presets that have a word in the names of their headers and fields, in the words about their
/// secret or in their notes; those with the word in more telling places come first.
fn described(part: &str) -> Vec<&'static Preset> {
    if part.len() < 3 {
        return Vec::new();
    }
    let has = |text: &str| text.to_ascii_lowercase().contains(part);
    let has_word = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        words.any(|word| word.eq_ignore_ascii_case(part))
    };
    let place = |preset: &Preset| {
        if uses::names(&preset.scheme).iter().any(|name| has(name)) {
            Some(0)
        } else if has(preset.family.name()) || has(preset.scheme.algorithm().name()) {
            Some(1)
        } else if preset.secret_name.as_deref().is_some_and(has) {
            Some(2)
        } else if preset.notes.iter().any(|note| has_word(note)) || has_word(&preset.source) {
            Some(3)
        } else {
            None
        }
    };
    let all = presets::all().iter();
    let mut found: Vec<(usize, bool, &Preset)> = all
        .filter_map(|preset| Some((place(preset)?, !preset.is_documented(), preset)))
        .collect();
    found.sort_by_key(|(place, is_unconfirmed, _)| (*place, *is_unconfirmed));
    found.into_iter().map(|(_, _, preset)| preset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_told_what_was_meant_or_why_not() {
        let rows: [(&str, &[&str]); 12] = [
            ("token", &["`gitlab`", "and ", "these are like it"]),
            ("atlassian", &["`jira-connect`", "`jira`", "`trello`"]),
            ("strype", &["did you mean `stripe`", "verigate providers"]),
            ("whats", &["did you mean `meta`"]),
            (
                "git",
                &[
                    "`github`",
                    "`gitlab`",
                    "`gitlab-signing`",
                    "these are like it",
                ],
            ),
            ("hubspot-l", &["`hubspot-legacy` (not supported)"]),
            ("PayPal", &["PayPal is not supported", "CRC-32"]),
            ("travis", &["SHA-1"]),
            ("zzzzzzzzz", &["[route.scheme]"]),
            ("Cloudflare Streem", &["did you mean `cloudflare-stream`"]),
            ("", &["verigate providers"]),
            ("a\u{1b}[2J", &["`a\\u{1b}[2J`"]),
        ];
        for (name, words) in rows {
            let told = unknown(name);
            assert!(
                words.iter().all(|word| told.contains(word)),
                "{name}: {told}"
            );
            assert!(!told.contains('\u{1b}'), "{told}");
        }
    }
}
