//! Texts in a file that keep the place of a value of the operator's own, as a printed route has them:
//! `app_key = "…"`, `public_url = "https://hooks.example.com"`, a preset's own example of an account
//! (contract: Configuration).
//!
//! Such a file loads, and takes no delivery of the provider. Placeholders of secrets are judged where
//! secrets are.

use std::ops::Range;

use super::preset::Preset;
use super::presets;
use super::reader::{Findings, Table};
use super::route::Route;
use super::scheme::CUSTOM;
use super::warning::WarningName;
use crate::key::shape;

/// Warns of the placeholders of a route, except of a `public_url` that is the server's.
pub(super) fn judge(route: &Route, table: &Table<'_>, findings: &mut Findings) {
    let preset = presets::find(&route.scheme.provider).filter(|_| route.scheme.provider != CUSTOM);
    let has = |key: &str| table.span_of(key) != table.span();
    let mut warn = |key: &str, message: &str| {
        let message = format!("route `{}`: {message}", route.name);
        findings.warn(table.span_of(key), WarningName::PlaceholderValue, message);
    };
    for (name, text) in &route.params {
        if shape::is_placeholder(text) || text == name {
            warn(
                &format!("params.{name}"),
                &format!(
                    "the text of `params.{name}` keeps the place of your own: it is signed, so no delivery is valid"
                ),
            );
        }
    }
    if let Some(url) = route.public_url.as_deref()
        && has("public_url")
        && let Some(host) = example_host(host_of_url(url))
    {
        warn("public_url", &example_words("public_url", host));
    }
    let hosts = [
        ("host", route.pattern.host.as_deref()),
        (
            "upstream_host",
            route.upstream_host.as_deref().map(host_of_authority),
        ),
    ];
    let key = if has("upstream") {
        "upstream"
    } else {
        "upstreams"
    };
    let members = route.upstreams.members.iter();
    let upstreams = members.map(|member| (key, member.upstream.host()));
    for (key, host) in hosts.into_iter().chain(upstreams) {
        if let Some(host) = host.and_then(example_host) {
            warn(key, &example_words(key, host));
        }
    }
    for account in route.accounts.listed().unwrap_or_default() {
        if is_example_account(account, preset) {
            warn(
                "accounts",
                "`accounts` lists the example of an account, and not yours: no delivery of yours is taken",
            );
        }
    }
    for kind in route.event_types.as_deref().unwrap_or_default() {
        if shape::keeps_place(kind) {
            warn(
                "event_types",
                "`event_types` lists a text that keeps the place of a type: no event has it",
            );
        }
    }
    if let Some(key) = &route.handshake.public_key
        && shape::is_placeholder(key)
    {
        warn(
            "handshake.public_key",
            "`handshake.public_key` keeps the place of your own: the provider takes no answer with it",
        );
    }
}

/// Warns of a `public_url` of the server that is an example. `span` is its place.
pub(super) fn judge_server(url: Option<&str>, span: Range<usize>, findings: &mut Findings) {
    if let Some(host) = url.map(host_of_url).and_then(example_host) {
        let words = example_words("server.public_url", host);
        findings.warn(span, WarningName::PlaceholderValue, words);
    }
}

fn example_words(key: &str, host: &str) -> String {
    format!("`{key}` names `{host}`, an example that belongs to nobody: write the host of your own")
}

/// Whether an account is the preset's own example, or keeps the place of an account.
fn is_example_account(account: &str, preset: Option<&Preset>) -> bool {
    let example = preset.and_then(|preset| preset.account_example.as_deref());
    example == Some(account) || shape::keeps_place(account)
}

/// The host of a URL, without its port.
fn host_of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    host_of_authority(rest.split('/').next().unwrap_or_default())
}

fn host_of_authority(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Names that nobody has (RFC 2606), each with all names below it. `localhost` is left out: a test on
/// one machine may use it.
const EXAMPLE_DOMAINS: &[&str] = &[
    "example.com",
    "example.net",
    "example.org",
    "example.edu",
    "example",
    "invalid",
    "test",
];

/// Parts of a name that are written for "yours".
const YOURS: &[&str] = &[
    "yourdomain",
    "your-domain",
    "mydomain",
    "yourcompany",
    "your-company",
    "yourapp",
    "your-app",
    "yourhost",
    "your-host",
    "yoursite",
    "your-site",
];

/// The host, if it is an example.
fn example_host(host: &str) -> Option<&str> {
    let lower = host.trim_end_matches('.').to_ascii_lowercase();
    let is_below = |domain: &&str| {
        let rest = lower.strip_suffix(*domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_example = EXAMPLE_DOMAINS.iter().any(is_below)
        || lower.split('.').any(|label| YOURS.contains(&label))
        || host.contains(['<', '>', '{', '}', '$', '\u{2026}', '*'])
        || host.contains("..");
    is_example.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_rfc_2606_is_an_example_and_no_other() {
        let rows = [
            ("https://hooks.example.com", true),
            ("https://example.com:8443/in", true),
            ("https://EXAMPLE.ORG./x", true),
            ("http://hooks.example.net", true),
            ("https://hooks.acme.example", true),
            ("https://hooks.test", true),
            ("https://hooks.invalid/a", true),
            ("https://hooks.yourdomain.com", true),
            ("https://<your-host>", true),
            ("https://myexample.com", false),
            ("https://example.com.acme.io", false),
            ("https://example.io", false),
            ("https://contest.io", false),
            ("https://test.acme.io", false),
            ("http://localhost:8080", false),
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(url, expected)| example_host(host_of_url(url)).is_some() != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
