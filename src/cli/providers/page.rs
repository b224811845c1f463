//! The page about a provider, which is a file to start from: facts as comments, a route, and the
//! scheme.

use super::facts;
use super::places::{place_in, signature, timestamp};
use crate::cli::check::tolerance;
use crate::config::presets::{KeyOwner, Preset};
use crate::config::units::{written_duration, written_size};
use crate::scheme::Handshake;

/// The whole page. It loads as a configuration once the secret is set.
pub(super) fn page(preset: &Preset) -> String {
    let facts = comments(preset);
    let scheme = preset
        .text
        .split_once(&format!("[{}.scheme]\n", preset.name))
        .map_or("", |(_, scheme)| scheme);
    let scheme: Vec<_> = scheme
        .replace(&format!("[{}.scheme.", preset.name), "[route.scheme.")
        .lines()
        .map(|line| format!("# {line}").trim_end().to_owned())
        .collect();
    let meant = format!("# `provider = \"{}\"` stands for this scheme:", preset.name);
    [
        facts.join("\n"),
        String::new(),
        route(preset),
        String::new(),
        meant,
        scheme.join("\n"),
    ]
    .join("\n")
}

/// The facts, one per line.
fn comments(preset: &Preset) -> Vec<String> {
    let scheme = &preset.scheme;
    let mut lines = vec![format!("# {}: {}", preset.title, facts::status(preset))];
    let mut line =
        |name: &str, words: &str| lines.push(format!("# {:<13}{words}", format!("{name}:")));
    if !preset.aliases.is_empty() {
        line("also", &preset.aliases.join(", "));
    }
    if !preset.is_documented() {
        line(
            "unconfirmed",
            "these facts do not come from the provider itself: try the route in shadow mode (`enforce = false`) first",
        );
    }
    if !preset.proved {
        line(
            "no vector",
            "nothing made outside of this program proves this scheme: see a delivery verified before you rely on it",
        );
    }
    line("family", preset.family.name());
    line("algorithm", scheme.algorithm().name());
    line("signed", &facts::signed(scheme));
    line("signature", &signature(scheme));
    line("timestamp", &timestamp(scheme));
    if scheme.has_timestamp() || scheme.token_rule().is_some() {
        let shown = tolerance(scheme, scheme.tolerance, scheme.future_tolerance);
        line("tolerance", &shown);
    }
    line("body", facts::body(scheme));
    if let Some(weakness) = scheme.weakness() {
        line("weak", weakness);
    }
    line("secret", &facts::named_secret(preset));
    line("key of", facts::key_owner(preset));
    line("account", &facts::account(scheme));
    line("replay key", &facts::replay_key(scheme));
    if let Some(answer) = facts::seen_again(scheme) {
        line("seen again", answer);
    }
    let by_type = scheme.event_type.as_ref().map(|at| {
        format!(
            "{}, {}",
            place_in(scheme, at),
            if scheme.event_type_is_signed() {
                "signed"
            } else {
                "not signed"
            }
        )
    });
    line("event type", by_type.as_deref().unwrap_or("none"));
    line(
        "handshake",
        scheme.handshake.map_or("none", Handshake::words),
    );
    for probe in &preset.probes {
        line("refused", probe);
    }
    line("retries", &preset.retries);
    if let Some(ttl) = facts::remembered(preset) {
        line("replay ttl", &ttl);
    }
    line("time limit", &facts::time_limit(preset));
    line("body limit", &facts::body_limit(preset));
    line("after a 4xx", &facts::after_4xx(preset));
    for note in &preset.notes {
        line("note", note);
    }
    line("source", &preset.source);
    lines
}

/// The route, with the further keys that this provider needs.
fn route(preset: &Preset) -> String {
    let Preset { name, scheme, .. } = preset;
    let mut lines = vec![
        "[[route]]".to_owned(),
        format!("name = \"{name}\""),
        format!("path = \"/webhooks/{name}\""),
        format!("provider = \"{name}\""),
        format!("secrets = [\"env:{}\"]", facts::secret_variable(preset)),
    ];
    if scheme.handshake.is_some_and(Handshake::brings_secret) {
        lines.push(
            "# The handshake brings the secret. The gateway can keep it, in a file that must not exist yet:"
                .to_owned(),
        );
        lines.push(format!("# secrets = [\"learn:{name}.secret\"]"));
    }
    if preset.key_owner == KeyOwner::Provider {
        if let Some(example) = &preset.account_example {
            lines.push(
                "# The key signs for every customer of the provider: write your own accounts."
                    .to_owned(),
            );
            lines.push(format!("accounts = [\"{example}\"]"));
        } else {
            lines.push(
                "# The key signs for every customer, and no delivery names an account: have the app ask the provider."
                    .to_owned(),
            );
            lines.push("accounts = \"any\"".to_owned());
        }
    }
    lines.push("upstream = \"http://127.0.0.1:3000\"".to_owned());
    if scheme.signs_url() {
        lines.push(
            "# The URL is signed: write the origin that the provider calls, or the whole URL if a proxy changes its path.".to_owned(),
        );
        lines.push("public_url = \"https://hooks.example.com\"".to_owned());
    }
    if let Some(limit) = preset.time_limit {
        let limit = written_duration(limit);
        lines.push(format!(
            "# The provider waits {limit} for an answer. What the app answers later still counts here, so"
        ));
        lines.push(format!(
            "# `upstream_timeout` may be longer; have the app answer within {limit} and work afterwards."
        ));
    }
    if let Some(largest) = preset.max_body {
        lines.push(format!("max_body = \"{}\"", written_size(largest)));
    }
    if let Some(ttl) = facts::longer_ttl(preset) {
        lines.push(format!("replay = {{ ttl = \"{ttl}\" }}"));
    }
    if scheme.event_type.is_some() && !scheme.event_type_is_signed() {
        lines.push("# The type is not signed: take only those that you handle.".to_owned());
        lines.push("# event_types = [\"…\"]".to_owned());
    }
    let params = scheme.params();
    if !params.is_empty() {
        lines.push(
            match params.len() {
                1 => "# Your own value, which is signed with each delivery, and is no secret.",
                _ => "# Your own values, which are signed with each delivery, and are no secrets.",
            }
            .to_owned(),
        );
        lines.push("[route.params]".to_owned());
        lines.extend(params.iter().map(|param| format!("{param} = \"…\"")));
    }
    if scheme.handshake.is_some_and(Handshake::wants_verify_token) {
        lines.push("[route.handshake]".to_owned());
        let variable = facts::variable(name);
        lines.push(format!("verify_token = \"env:{variable}_VERIFY_TOKEN\""));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::providers::window;
    use crate::cli::tests::samples;
    use crate::clock::UnixMillis;
    use crate::config::presets::{all, find};
    use crate::config::{Files, Sources};

    #[test]
    fn every_preset_has_a_route_that_can_be_loaded() {
        let mut wrong = Vec::new();
        for preset in all() {
            let env = |name: &str| {
                Some(if name.ends_with("_VERIFY_TOKEN") {
                    "a-token".into()
                } else {
                    samples::secret(&preset.scheme).into()
                })
            };
            let sources = Sources {
                base_dir: Path::new(""),
                env: &env,
                now: UnixMillis(0),
                files: &Files::default(),
            };
            let page = page(preset);
            match crate::config::parse("a.toml", &page, &sources) {
                Ok(config)
                    if config.routes.len() == 1
                        && config.routes[0].scheme.provider == preset.name =>
                {
                    let ttl = config.routes[0].replay.ttl;
                    if ttl != window::advised_ttl(preset) {
                        wrong.push(format!("{}: remembers for {ttl:?}", preset.name));
                    }
                }
                other => wrong.push(format!("{}: {other:?}", preset.name)),
            }
            if !page.contains("# algorithm = ") || page.lines().any(|line| line.ends_with(' ')) {
                wrong.push(format!("{}: {page}", preset.name));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn no_note_repeats_a_line_that_the_page_has_anyway() {
        let repeated = [
            "in a header that no signature covers: it only names",
            "headers that no signature covers: they only name",
            "travels with every delivery and covers nothing",
            "The URL is signed: set `public_url`",
            "Two events may be alike",
            "the route takes as much unless",
            "The signature is an HMAC with SHA-1.",
            "The time is in milliseconds.",
        ];
        let mut wrong = Vec::new();
        for preset in all() {
            let secret = preset.secret_name.as_deref().unwrap_or("webhook secret");
            let named =
                ["The secret is the", "The key is the"].map(|begin| format!("{begin} {secret}."));
            wrong.extend(preset.notes.iter().filter(|note| {
                named.contains(note) || repeated.iter().any(|words| note.contains(words))
            }));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_line_on_the_window_is_there_only_where_deliveries_are_claimed() {
        for preset in all() {
            let page = page(preset);
            let lines = ["# replay ttl:", "# seen again:"].map(|line| page.contains(line));
            assert_eq!(lines, [!preset.scheme.events_repeat; 2], "{page}");
            let has_time = preset.scheme.has_timestamp() || preset.scheme.token_rule().is_some();
            assert_eq!(page.contains("# tolerance:"), has_time, "{page}");
            assert!(!page.contains(&format!("[{}.", preset.name)), "{page}");
        }
    }

    #[test]
    fn what_a_provider_needs_stands_in_its_route() {
        let rows: [(&str, &[&str], &[&str]); 16] = [
            (
                "itellico",
                &["{body}.{timestamp}", "X-Webhook-Signature-256"],
                &["public_url", "ttl =", "event_types"],
            ),
            (
                "square",
                &["\npublic_url = ", "URL is signed"],
                &["[route.handshake]"],
            ),
            ("twilio", &["\npublic_url = "], &[]),
            (
                "adyen",
                &["\nreplay = { ttl = \"30d\" }", "nothing authenticates it"],
                &[],
            ),
            (
                "github",
                &["\n# event_types = ", "header `X-Github-Event`, not signed"],
                &["learn:"],
            ),
            (
                "meta",
                &[
                    "\n[route.handshake]\nverify_token = \"env:META_VERIFY_TOKEN\"",
                    "unconfirmed:",
                ],
                &["no vector:"],
            ),
            (
                "asana",
                &[
                    "\n# secrets = [\"learn:",
                    "\nsecrets = [\"env:ASANA_WEBHOOK_SECRET\"]",
                ],
                &["[route.handshake]"],
            ),
            (
                "discord",
                &["secrets = [\"env:DISCORD_INTERACTIONS_PUBLIC_KEY\"]"],
                &[],
            ),
            ("cloudinary", &["weak:        a plain SHA-1"], &[]),
            (
                "slack",
                &[
                    "\nsecrets = [\"env:SLACK_SIGNING_SECRET\"]",
                    "time limit:  3s",
                    "# The provider waits 3s for an answer",
                    "key of:      your app",
                ],
                &["accounts ="],
            ),
            ("twilio", &["env:TWILIO_AUTH_TOKEN"], &[]),
            (
                "github",
                &["25MiB, which", "\nmax_body = \"25MiB\"", "never sent again"],
                &[],
            ),
            (
                "aws-sns",
                &["\naccounts = [\"arn:aws:sns:", "for all of its customers"],
                &[],
            ),
            ("chargebee", &["secret:      `user:password`", "note:"], &[]),
            (
                "tiktok-shop",
                &[
                    "\n[route.params]\napp_key = \"…\"\n",
                    "TIKTOK_SHOP_APP_SECRET",
                ],
                &[],
            ),
            ("integrated-finance", &["\naccounts = \"any\""], &[]),
        ];
        for (name, there, absent) in rows {
            let page = page(find(name).unwrap());
            assert!(
                there.iter().all(|words| page.contains(words)),
                "{name}: {page}"
            );
            assert!(
                !absent.iter().any(|words| page.contains(words)),
                "{name}: {page}"
            );
        }
    }
}
