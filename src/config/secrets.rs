//! `env:`, `file:` and `plain:` references become secret text (SPEC 5); a route's `secrets` become [`Secret`]s.
//!
//! The only reader of the environment, and of files other than the configuration itself. No message holds a byte of a
//! secret. Whether a text is a key of its scheme is not judged here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use toml::de::DeValue;
use zeroize::Zeroizing;

use super::reader::{Findings, Item};
use super::units::{UnitFault, moment};
use crate::verify::clock::{Clock, UnixMillis};
use crate::verify::secret::{Secret, SecretText};

/// The most that is read of a secret file.
const MAX_FILE: u64 = 64 * 1024;

/// What a secret may be written as, for messages.
const FORMS: &str = "write `env:NAME` or `file:PATH`; `plain:TEXT` if it really must stand in this file";

/// Where references lead.
#[derive(Clone, Copy)]
pub struct Sources<'s> {
    /// What a relative `file:` path is relative to: the directory of the configuration file.
    pub base_dir: &'s Path,
    /// Looks a variable up in the environment.
    pub env: &'s dyn Fn(&str) -> Option<OsString>,
    /// The moment by which a secret's `not_after` is called past.
    pub now: UnixMillis,
}

impl<'s> Sources<'s> {
    /// This process's environment and clock.
    pub fn of_process(base_dir: &'s Path) -> Self {
        Self { base_dir, env: &read_env, now: Clock::system().now().wall }
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("base_dir", &self.base_dir).field("now", &self.now).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the one reader of the environment")]
fn read_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A reference followed.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What it led to, one trailing newline dropped.
    pub text: SecretText,
    /// `env:NAME` or `file:BASENAME`; `None` for `plain:`.
    pub name: Option<String>,
    /// What is worth a warning: wide file modes, line endings, a literal. Each completes "secret NAME …".
    pub warnings: Vec<String>,
}

/// Follows one reference, as in `env:NAME`.
///
/// # Errors
/// What is wrong with it; its text is repeated only where it names a variable or a file.
pub fn resolve(reference: &str, sources: &Sources<'_>) -> Result<Resolved, UnitFault> {
    let mut warnings = Vec::new();
    let (bytes, name, emptiness) = if let Some(variable) = reference.strip_prefix("env:") {
        let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
        if !is_name {
            return Err(fault("names no environment variable".to_owned(), "write it as in `env:WEBHOOK_SECRET`"));
        }
        let Some(value) = (sources.env)(variable) else {
            let help = format!(
                "set it before the start, as in `export {variable}=…`; to add a secret to a running gateway, use `file:`"
            );
            return Err(fault(format!("needs the environment variable {variable}, which is not set"), help));
        };
        (value.into_encoded_bytes(), Some(reference.to_owned()), format!("the environment variable {variable}"))
    } else if let Some(path) = reference.strip_prefix("file:") {
        let bytes = read_file(&sources.base_dir.join(path), &mut warnings).map_err(|why| file_fault(path, &why))?;
        let base = Path::new(path).file_name().map_or_else(|| path.into(), |base| base.to_string_lossy());
        (bytes, Some(format!("file:{base}")), format!("the file {path}"))
    } else if let Some(text) = reference.strip_prefix("plain:") {
        warnings.push("stands in the configuration file for all its readers to see".to_owned());
        (text.as_bytes().to_vec(), None, "it".to_owned())
    } else {
        return Err(fault("is not a reference to a secret (its text is not shown)".to_owned(), FORMS));
    };
    let mut bytes = Zeroizing::new(bytes);
    if name.is_some() && bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let visible = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes).trim_ascii();
    if visible.is_empty() {
        return Err(fault(format!("is an empty secret: {emptiness} holds nothing"), "put the secret there"));
    }
    let oddities = [
        (bytes.starts_with(b"\xEF\xBB\xBF"), "begins with a byte order mark, which counts as part of it"),
        (bytes.ends_with(b"\r"), "ends with a carriage return (a CRLF line ending), which counts as part of it"),
        (bytes.ends_with(b"\n"), "ends with more than one newline, of which one was dropped"),
        (bytes.ends_with(b" ") || bytes.ends_with(b"\t"), "ends with white space, which counts as part of it"),
    ];
    warnings.extend(oddities.into_iter().filter(|(is_so, _)| *is_so).map(|(_, words)| words.to_owned()));
    // A copy of the exact length: a buffer cut short would keep what it no longer shows.
    Ok(Resolved { text: SecretText::new(bytes.as_slice().to_vec()), name, warnings })
}

fn fault(message: String, help: impl Into<String>) -> UnitFault {
    UnitFault { message, help: help.into() }
}

fn file_fault(path: &str, why: &io::Error) -> UnitFault {
    let reason = match why.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => why.to_string(),
    };
    fault(
        format!("needs the file {path}, which {reason}"),
        "name a regular file of at most 64 KiB that this user may read",
    )
}

/// Reads a regular file of at most [`MAX_FILE`] bytes, links followed; never waits for a pipe or a device.
fn read_file(path: &Path, warnings: &mut Vec<String>) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    // Asked first, so that nothing is opened that takes offence at it; and again of what was opened.
    let is_regular = std::fs::metadata(path)?.is_file();
    let file: Option<File> =
        is_regular.then(|| OpenOptions::new().read(true).custom_flags(nonblocking).open(path)).transpose()?;
    let other = || io::Error::other("is not a regular file");
    let file = file.ok_or_else(other)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(other());
    }
    // One allocation for all of it, so that no half-read copy is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE).unwrap_or(0) + 32));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("is larger than 64 KiB"));
    }
    let mode = facts.mode() & 0o777;
    if mode & 0o066 != 0 {
        warnings.push(format!("can be read or written by others than its owner (mode {mode:04o}); 0600 is enough"));
    }
    let (owner, own) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        warnings.push(format!("belongs to another user (id {owner}), who can change it"));
    }
    Ok(bytes.as_slice().to_vec())
}

/// Reads a value that is one reference (`admin.token`, a value of `upstream_headers`). A literal is kept out of messages.
pub(super) fn read_reference(item: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Option<SecretText> {
    let resolved = follow(item, findings, sources)?;
    for warning in &resolved.warnings {
        findings.warn(item.span(), format!("the secret of `{}` {warning}", item.path));
    }
    Some(resolved.text)
}

fn follow(item: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Option<Resolved> {
    hide_literal(item, findings);
    let reference = item.text(findings, "\"env:NAME\"")?;
    item.checked(findings, resolve(reference, sources))
}

/// Keeps a value out of messages unless it names a variable or a file.
fn hide_literal(item: &Item<'_>, findings: &mut Findings) {
    let is_reference = |text: &str| text.starts_with("env:") || text.starts_with("file:");
    if !item.value.get_ref().as_str().is_some_and(is_reference) {
        findings.hide_all(item.value);
    }
}

/// Reads a route's `secrets`, each with the place where it stands. Empty where none could be read.
pub(super) fn read_list<'t>(
    item: &Item<'t>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Vec<(Item<'t>, Secret)> {
    let DeValue::Array(entries) = item.value.get_ref() else {
        hide_literal(item, findings);
        item.refuse(findings, "must be a list", "write it as in `secrets = [\"env:WEBHOOK_SECRET\"]`");
        return Vec::new();
    };
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: nothing could be verified",
            "name at least one, as in `[\"env:WEBHOOK_SECRET\"]`",
        );
    }
    let mut secrets: Vec<(Item<'t>, Secret)> = Vec::new();
    let mut literals = 0;
    for value in entries {
        let entry = Item { path: item.path.clone(), key_span: value.span(), value };
        let Some(secret) = read_entry(&entry, &mut literals, findings, sources) else { continue };
        if secrets.iter().any(|(_, other)| other.name == secret.name) {
            let message = format!("two secrets of this route are called `{}`", secret.name);
            findings.problem(entry.span(), message, "give one another name: `{ name = \"…\", value = \"…\" }`");
            continue;
        }
        secrets.push((entry, secret));
    }
    secrets
}

fn read_entry(
    entry: &Item<'_>,
    literals: &mut usize,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<Secret> {
    if !matches!(entry.value.get_ref(), DeValue::Table(_)) {
        return secret(entry, None, literals, findings, sources);
    }
    let mut table = entry.table(findings, "")?;
    let name = table.item("name");
    let name = name.and_then(|item| item.label(findings, 128, "2026-q4").map(ToOwned::to_owned));
    let value = table.required(findings, "value", "\"env:WEBHOOK_SECRET\"");
    let mut bound = |key| table.item(key).and_then(|item| read_moment(&item, findings));
    let (not_before, not_after) = (bound("not_before"), bound("not_after"));
    let bounds = table.span_of("not_after");
    table.finish(findings);
    let secret = Secret { not_before, not_after, ..secret(&value?, name, literals, findings, sources)? };
    if not_before.zip(not_after).is_some_and(|(from, end)| from >= end) {
        let help = "put `not_before` before `not_after`";
        findings.problem(bounds, format!("the secret `{}` is never active", secret.name), help);
    } else if not_after.is_some_and(|end| end <= sources.now) {
        findings
            .warn(bounds, format!("the secret `{}` is past its `not_after` and proves nothing any more", secret.name));
    }
    Some(secret)
}

fn read_moment(item: &Item<'_>, findings: &mut Findings) -> Option<UnixMillis> {
    // TOML has moments of its own; both spellings mean the same.
    if let DeValue::Datetime(written) = item.value.get_ref() {
        return item.checked(findings, moment(&written.to_string()));
    }
    item.unit(findings, "\"2026-12-31T00:00:00Z\"", moment)
}

fn secret(
    value: &Item<'_>,
    name: Option<String>,
    literals: &mut usize,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<Secret> {
    let resolved = follow(value, findings, sources)?;
    *literals += usize::from(resolved.name.is_none());
    let name = name.or(resolved.name).unwrap_or_else(|| format!("plain-{literals}"));
    for warning in &resolved.warnings {
        findings.warn(value.span(), format!("the secret `{name}` {warning}"));
    }
    Some(Secret { name, text: resolved.text, not_before: None, not_after: None })
}

#[cfg(test)]
mod tests;
