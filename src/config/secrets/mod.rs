//! `env:`, `file:` and `plain:` references become secret text (SPEC 5); a route's `secrets` become [`Secret`]s.
//!
//! A public key may stand as it is; a secret that a handshake brings is `learn:PATH` (in `learn`).
//!
//! The only reader of the environment, and of files other than the configuration itself. No message holds a byte of a
//! secret. Whether a text is a key of its scheme is not judged here.

pub(super) mod learn;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use zeroize::Zeroizing;

use self::learn::Learned;
use super::public_keys::Taken;
use super::reader::{Findings, Item};
use super::units::{UnitFault, moment};
use crate::clock::{Clock, UnixMillis};
use crate::key::secret::{Secret, SecretText};

/// The most that is read of a secret file.
const MAX_FILE: u64 = 64 * 1024;

/// What a secret may be written as, for messages.
const FORMS: &str =
    "write `env:NAME` or `file:PATH`; `plain:TEXT` if it really must stand in this file";

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
        Self {
            base_dir,
            env: &read_env,
            now: Clock::system().now().wall,
        }
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("base_dir", &self.base_dir)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this file is the one reader of the environment"
)]
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
    /// What is worth a warning, such as line endings. Each completes "secret NAME …".
    pub warnings: Vec<String>,
    /// Likewise, where it is a secret: that others can read it. A public key is for all to read.
    pub exposures: Vec<String>,
}

/// Follows one reference, as in `env:NAME`.
///
/// # Errors
/// What is wrong with it; its text is repeated only where it names a variable or a file.
pub fn resolve(reference: &str, sources: &Sources<'_>) -> Result<Resolved, UnitFault> {
    let (mut warnings, mut exposures) = (Vec::new(), Vec::new());
    let (bytes, name, emptiness) = if let Some(variable) = reference.strip_prefix("env:") {
        let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
        if !is_name {
            return Err(fault(
                "names no environment variable".to_owned(),
                "write it as in `env:WEBHOOK_SECRET`",
            ));
        }
        let Some(value) = (sources.env)(variable) else {
            let help = format!(
                "set it before the start, as in `export {variable}=…`; to add a secret to a running gateway, use `file:`"
            );
            return Err(fault(
                format!("needs the environment variable {variable}, which is not set"),
                help,
            ));
        };
        (
            value.into_encoded_bytes(),
            Some(reference.to_owned()),
            format!("the environment variable {variable}"),
        )
    } else if let Some(path) = reference.strip_prefix("file:") {
        let bytes = read_file(&sources.base_dir.join(path), &mut warnings, &mut exposures)
            .map_err(|why| file_fault(path, &why))?;
        let base = Path::new(path)
            .file_name()
            .map_or_else(|| path.into(), |base| base.to_string_lossy());
        (
            bytes,
            Some(format!("file:{base}")),
            format!("the file {path}"),
        )
    } else if let Some(text) = reference.strip_prefix("plain:") {
        exposures.push("stands in the configuration file for all its readers to see".to_owned());
        (text.as_bytes().to_vec(), None, "it".to_owned())
    } else if reference.starts_with(learn::PREFIX) {
        let help = "`secrets = [\"learn:PATH\"]`, and nothing else, stands on a route whose handshake brings the secret";
        return Err(fault("cannot be learned here".to_owned(), help));
    } else {
        return Err(fault(
            "is not a reference to a secret (its text is not shown)".to_owned(),
            FORMS,
        ));
    };
    let mut bytes = Zeroizing::new(bytes);
    if name.is_some() && bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let visible = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(&bytes)
        .trim_ascii();
    if visible.is_empty() {
        return Err(fault(
            format!("is an empty secret: {emptiness} holds nothing"),
            "put the secret there",
        ));
    }
    let oddities = [
        (
            bytes.starts_with(b"\xEF\xBB\xBF"),
            "begins with a byte order mark, which counts as part of it",
        ),
        (
            bytes.ends_with(b"\r"),
            "ends with a carriage return (a CRLF line ending), which counts as part of it",
        ),
        (
            bytes.ends_with(b"\n"),
            "ends with more than one newline, of which one was dropped",
        ),
        (
            bytes.ends_with(b" ") || bytes.ends_with(b"\t"),
            "ends with white space, which counts as part of it",
        ),
    ];
    warnings.extend(
        oddities
            .into_iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, words)| words.to_owned()),
    );
    // A copy of the exact length: a buffer cut short would keep what it no longer shows.
    Ok(Resolved {
        text: SecretText::new(bytes.as_slice().to_vec()),
        name,
        warnings,
        exposures,
    })
}

fn fault(message: String, help: impl Into<String>) -> UnitFault {
    UnitFault {
        message,
        help: help.into(),
    }
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
fn read_file(
    path: &Path,
    warnings: &mut Vec<String>,
    exposures: &mut Vec<String>,
) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    // Asked first, so that nothing is opened that takes offence at it; and again of what was opened.
    let is_regular = std::fs::metadata(path)?.is_file();
    let file: Option<File> = is_regular
        .then(|| {
            OpenOptions::new()
                .read(true)
                .custom_flags(nonblocking)
                .open(path)
        })
        .transpose()?;
    let other = || io::Error::other("is not a regular file");
    let file = file.ok_or_else(other)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(other());
    }
    // One allocation for all of it, so that no half-read copy is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(MAX_FILE).unwrap_or(0) + 32,
    ));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("is larger than 64 KiB"));
    }
    let mode = facts.mode() & 0o777;
    if mode & 0o066 != 0 {
        let list = if mode & 0o022 == 0 {
            exposures
        } else {
            &mut *warnings
        };
        list.push(format!(
            "can be read or written by others than its owner (mode {mode:04o}); 0600 is enough"
        ));
    }
    let (owner, own) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        warnings.push(format!(
            "belongs to another user (id {owner}), who can change it"
        ));
    }
    Ok(bytes.as_slice().to_vec())
}

/// Reads a value that is one reference (`admin.token`, a value of `upstream_headers`). A literal is kept out of messages.
pub(super) fn read_reference(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<SecretText> {
    hide_literal(item, findings);
    let reference = item.text(findings, "\"env:NAME\"")?;
    let resolved = item.checked(findings, resolve(reference, sources))?;
    for warning in resolved.warnings.iter().chain(&resolved.exposures) {
        findings.warn(
            item.span(),
            format!("the secret of `{}` {warning}", item.path),
        );
    }
    Some(resolved.text)
}

/// Keeps a value out of messages unless it names a variable or a file.
fn hide_literal(item: &Item<'_>, findings: &mut Findings) {
    let is_reference = |text: &str| {
        ["env:", "file:", learn::PREFIX]
            .iter()
            .any(|form| text.starts_with(form))
    };
    if !item.value.get_ref().as_str().is_some_and(is_reference) {
        findings.hide_all(item.value);
    }
}

/// What a scheme's secrets may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) taken: Taken,
    /// Whether the handshake brings the secret.
    pub(super) learns: bool,
}

/// A route's secrets.
#[derive(Debug, Default)]
pub(super) struct Listed<'t> {
    /// Each with the place where it stands. Empty where none could be read, or where it is still to come.
    pub(super) secrets: Vec<(Item<'t>, Secret)>,
    /// Where the secret is kept that a handshake brings.
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

/// A list under way.
struct Reading<'s, 'e> {
    sources: &'s Sources<'e>,
    taken: Taken,
    // How many of each had no name of their own so far.
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
                "the secret `{}` is past its `not_after` and proves nothing any more",
                secret.name
            );
            findings.warn(bounds, message);
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
        let is_reference = ["env:", "file:", "plain:"]
            .iter()
            .any(|form| written.starts_with(form));
        if !is_reference && self.taken.is_public(written.as_bytes()) {
            self.keys += 1;
            let name = name.unwrap_or_else(|| format!("key-{}", self.keys));
            let text = SecretText::new(written.as_bytes().to_vec());
            return Some(Secret {
                name,
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
        for warning in resolved
            .warnings
            .iter()
            .chain(resolved.exposures.iter().filter(|_| is_secret))
        {
            findings.warn(value.span(), format!("the secret `{name}` {warning}"));
        }
        Some(Secret {
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
