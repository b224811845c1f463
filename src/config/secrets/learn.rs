//! `secrets = ["learn:PATH"]`: the secret comes with the provider's handshake and is kept in a file
//! (schemes: Handshakes).
//!
//! This file only looks for the secret. The gateway writes it, once, when the handshake comes.

use std::io;
use std::path::{Path, PathBuf};

use super::reference::{LEARN, named};
use super::{Sources, hide_literal, resolve};
use crate::config::learned_name;
use crate::config::reader::{Findings, Item};
use crate::key::secret::Secret;

/// The file of the secret, and the secret itself once it has come.
#[derive(Debug)]
pub(in crate::config) struct Learned {
    /// Absolute, or relative to the process's directory, as the configuration's own path is.
    pub(in crate::config) path: PathBuf,
    /// `None` while the handshake is still to come.
    pub(in crate::config) secret: Option<Secret>,
}

/// Whether an entry is of this form.
pub(super) fn is_one(entry: &Item<'_>) -> bool {
    entry
        .value
        .get_ref()
        .as_str()
        .is_some_and(|text| text.starts_with(LEARN))
}

/// Reads the entry. `learns` says whether the scheme's handshake brings a secret, `is_alone`
/// whether the list has no other entry.
pub(super) fn read(
    entry: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    learns: bool,
    is_alone: bool,
) -> Option<Learned> {
    hide_literal(entry, findings);
    let written = entry.value.get_ref().as_str()?.strip_prefix(LEARN)?;
    if !learns {
        let help = "name the secret itself, as in `env:WEBHOOK_SECRET`; only the handshakes `asana` and `notion` bring one";
        entry.refuse(
            findings,
            "waits for a handshake that brings the secret, but the scheme has no such handshake",
            help,
        );
        return None;
    }
    if !is_alone {
        let help = "leave the others out: the handshake brings the route's only secret";
        entry.refuse(findings, "has `learn:` beside other secrets", help);
        return None;
    }
    let path = sources.base_dir.join(written);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if path.file_name().is_none()
        || written.is_empty()
        || written.ends_with('/')
        || written.contains('\0')
    {
        entry.refuse(
            findings,
            "names no file",
            "write it as in `learn:asana.secret`",
        );
        return None;
    }
    if !folder.is_dir() {
        let message = format_args!(
            "needs the directory of {}, which does not exist",
            named(written)
        );
        entry.refuse(
            findings,
            message,
            "make the directory, and let this user write to it",
        );
        return None;
    }
    let called = learned_name(&path);
    match std::fs::symlink_metadata(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return Some(Learned { path, secret: None });
        }
        Err(why) => {
            entry.refuse(
                findings,
                format_args!("needs the file {}: {why}", named(written)),
                "allow this user to look into its directory",
            );
            return None;
        }
        Ok(_) => {}
    }
    let resolved = entry.checked(findings, resolve(&format!("file:{written}"), sources))?;
    for (kind, words) in resolved.warnings.iter().chain(&resolved.exposures) {
        let message = format!("the secret `{called}` {words}");
        findings.warn(entry.span(), *kind, message);
    }
    let secret = Secret {
        written: None,
        name: called,
        text: resolved.text,
        not_before: None,
        not_after: None,
    };
    Some(Learned {
        path,
        secret: Some(secret),
    })
}
