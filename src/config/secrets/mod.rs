//! A route's `secrets` become [`Secret`]s (contract: Secrets).
//!
//! An entry is a reference ([`resolve`]), a public key as it is, or `learn:PATH` where a handshake
//! brings the secret (`learn`). Whether a text is a key of its scheme is not judged here.
//!
//! No message holds a byte of a secret.

mod learn;
mod looks;
mod reference;

use std::path::PathBuf;

use toml::de::DeValue;

use self::learn::Learned;
pub(super) use self::looks::{correction, judge, judge_signing, judge_token, refuse_known};
use self::reference::{LEARN, is_variable, named};
pub use self::reference::{Oddity, Resolved, Sources, resolve};
pub(super) use self::reference::{is_reference, resolve_file};
use super::public_keys::Taken;
use super::reader::{Findings, Item};
use super::units::moment;
use super::warning::WarningName;
use crate::clock::UnixMillis;
use crate::key::secret::{Secret, SecretText};

/// Reads a value that is a single reference (`admin.token`, a value of `upstream_headers`). A
/// literal is kept out of messages.
pub(super) fn read_reference(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<SecretText> {
    hide_literal(item, findings);
    let reference = item.text(findings, "\"env:NAME\"")?;
    let resolved = item.checked(findings, resolve(reference, sources))?;
    for (kind, words) in resolved.warnings.iter().chain(&resolved.exposures) {
        let message = format!("the secret of `{}` {words}", item.path);
        findings.warn(item.span(), *kind, message);
    }
    Some(resolved.text)
}

/// Reads a reference to a secret that has a name. `name` makes it of that of the reference, which
/// `plain:` has not. How the text is spelled is not judged, since the caller decodes it.
pub(super) fn read_named(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    name: impl FnOnce(Option<String>) -> String,
) -> Option<(String, SecretText)> {
    hide_literal(item, findings);
    let reference = item.text(findings, "\"file:PATH\"")?;
    let resolved = item.checked(findings, resolve(reference, sources))?;
    let name = name(resolved.name);
    for (kind, words) in resolved.warnings.iter().chain(&resolved.exposures) {
        if *kind != WarningName::SecretSpelling {
            findings.warn(item.span(), *kind, format!("the key `{name}` {words}"));
        }
    }
    Some((name, resolved.text))
}

/// Reads a value that is a single reference to a shared secret, and keeps its name. A literal is kept
/// out of messages.
pub(super) fn read_one(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<Secret> {
    let mut reading = Reading {
        sources,
        taken: Taken::Shared,
        literals: 0,
        keys: 0,
    };
    reading.secret(item, None, findings)
}

/// Keeps a value out of messages unless it names a variable or a file.
fn hide_literal(item: &Item<'_>, findings: &mut Findings) {
    let is_reference = |text: &str| {
        text.strip_prefix("env:").is_some_and(is_variable)
            || ["file:", "cred:", LEARN]
                .iter()
                .any(|form| text.starts_with(form))
    };
    if !item.value.get_ref().as_str().is_some_and(is_reference) {
        findings.hide_all(item.value);
    }
}

/// The kinds of entries that a scheme allows in `secrets`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) taken: Taken,
    /// Whether the handshake brings the secret.
    pub(super) learns: bool,
}

/// A route's secrets.
#[derive(Debug, Default)]
pub(super) struct Listed<'t> {
    /// The secrets, each with its place. Empty where no entry could be read, or where the secret is
    /// still to come.
    pub(super) secrets: Vec<(Item<'t>, Secret)>,
    /// The file for the secret that a handshake brings.
    pub(super) learn: Option<PathBuf>,
}

/// Reads a route's `secrets`.
pub(super) fn read_list<'t>(
    item: &Item<'t>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    wanted: Wanted,
) -> Listed<'t> {
    let mut listed = Listed::default();
    let DeValue::Array(entries) = item.value.get_ref() else {
        hide_literal(item, findings);
        item.refuse(
            findings,
            "must be a list",
            "write it as in `secrets = [\"env:WEBHOOK_SECRET\"]`",
        );
        return listed;
    };
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: nothing could be verified",
            "name at least one, as in `[\"env:WEBHOOK_SECRET\"]`",
        );
    }
    let mut reading = Reading {
        sources,
        taken: wanted.taken,
        literals: 0,
        keys: 0,
    };
    for value in entries {
        let entry = Item {
            path: item.path.clone(),
            key_span: value.span(),
            value,
        };
        if learn::is_one(&entry) {
            let learned = learn::read(&entry, findings, sources, wanted.learns, entries.len() == 1);
            if let Some(Learned { path, secret }) = learned {
                listed.learn = Some(path);
                listed.secrets.extend(secret.map(|secret| (entry, secret)));
            }
            continue;
        }
        let Some(secret) = reading.entry(&entry, findings) else {
            continue;
        };
        if listed
            .secrets
            .iter()
            .any(|(_, other)| other.name == secret.name)
        {
            let message = format!("two secrets of this route are called `{}`", secret.name);
            findings.problem(
                entry.span(),
                message,
                "give one another name: `{ name = \"…\", value = \"…\" }`",
            );
            continue;
        }
        listed.secrets.push((entry, secret));
    }
    listed
}

/// The state of reading a list.
struct Reading<'s, 'e> {
    sources: &'s Sources<'e>,
    taken: Taken,
    // How many literal secrets and literal keys had no name of their own so far.
    literals: usize,
    keys: usize,
}

impl Reading<'_, '_> {
    fn entry(&mut self, entry: &Item<'_>, findings: &mut Findings) -> Option<Secret> {
        if !matches!(entry.value.get_ref(), DeValue::Table(_)) {
            return self.secret(entry, None, findings);
        }
        let mut table = entry.table(findings, "")?;
        let name = table.item("name");
        let name =
            name.and_then(|item| item.label(findings, 128, "2026-q4").map(ToOwned::to_owned));
        let value = table.required(findings, "value", "\"env:WEBHOOK_SECRET\"");
        let mut bound = |key| {
            table
                .item(key)
                .and_then(|item| read_moment(&item, findings))
        };
        let (not_before, not_after) = (bound("not_before"), bound("not_after"));
        let bounds = table.span_of("not_after");
        table.finish(findings);
        let secret = Secret {
            not_before,
            not_after,
            ..self.secret(&value?, name, findings)?
        };
        if not_before
            .zip(not_after)
            .is_some_and(|(from, end)| from >= end)
        {
            let help = "put `not_before` before `not_after`";
            findings.problem(
                bounds,
                format!("the secret `{}` is never active", secret.name),
                help,
            );
        } else if not_after.is_some_and(|end| end <= self.sources.now) {
            let message = format!(
                "the secret `{}` has passed its `not_after` and proves nothing any more",
                secret.name
            );
            findings.warn(bounds, WarningName::SecretExpired, message);
        }
        Some(secret)
    }

    fn secret(
        &mut self,
        value: &Item<'_>,
        name: Option<String>,
        findings: &mut Findings,
    ) -> Option<Secret> {
        hide_literal(value, findings);
        let written = value.text(findings, "\"env:NAME\"")?;
        if !is_reference(written) && self.taken.is_public(written.as_bytes()) {
            self.keys += 1;
            let name = name.unwrap_or_else(|| format!("key-{}", self.keys));
            let text = SecretText::new(written.as_bytes().to_vec());
            return Some(Secret {
                name,
                written: None,
                text,
                not_before: None,
                not_after: None,
            });
        }
        let resolved = value.checked(findings, resolve(written, self.sources))?;
        self.literals += usize::from(resolved.name.is_none());
        let name = name
            .or(resolved.name)
            .unwrap_or_else(|| format!("plain-{}", self.literals));
        let is_secret = !self.taken.is_public(resolved.text.expose());
        for (kind, words) in resolved
            .warnings
            .iter()
            .filter(|(kind, _)| is_secret || *kind != WarningName::SecretSpelling)
            .chain(resolved.exposures.iter().filter(|_| is_secret))
        {
            let message = format!("the secret `{name}` {words}");
            findings.warn(value.span(), *kind, message);
        }
        let shown = written
            .split_once(':')
            .filter(|(form, _)| *form != "plain")
            .map(|(form, rest)| format!("{form}:{}", named(rest)));
        Some(Secret {
            written: shown.filter(|shown| *shown != name),
            name,
            text: resolved.text,
            not_before: None,
            not_after: None,
        })
    }
}

fn read_moment(item: &Item<'_>, findings: &mut Findings) -> Option<UnixMillis> {
    // TOML has moments of its own; both spellings mean the same.
    if let DeValue::Datetime(written) = item.value.get_ref() {
        return item.checked(findings, moment(&written.to_string()));
    }
    item.unit(findings, "\"2026-12-31T00:00:00Z\"", moment)
}

#[cfg(test)]
mod tests;
