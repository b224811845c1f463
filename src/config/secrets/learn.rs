//! `secrets = ["learn:PATH"]`: the secret comes with the provider's handshake and is kept in a file (SCHEMES 5).
//!
//! Here it is looked for; that it is written once, and when, is the gateway's.

use std::io;
use std::path::{Path, PathBuf};

use super::reference::LEARN;
use super::{Sources, hide_literal, resolve};
use crate::config::learned_name;
use crate::config::reader::{Findings, Item};
use crate::key::secret::Secret;

/// Where the secret is kept, and the secret itself once it has come.
#[derive(Debug)]
pub(in crate::config) struct Learned {
    /// Absolute, or relative to the process's directory, as the configuration's own path is.
    pub(in crate::config) path: PathBuf,
    /// `None`: the handshake is still to come.
    pub(in crate::config) secret: Option<Secret>,
}

/// Whether an entry is one.
pub(super) fn is_one(entry: &Item<'_>) -> bool {
    entry
        .value
        .get_ref()
        .as_str()
        .is_some_and(|text| text.starts_with(LEARN))
}

/// Reads the one entry. `learns` says whether the scheme's handshake brings a secret, `is_alone` whether no other entry
/// stands beside it.
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
            "waits for a handshake that brings the secret, and the scheme has none",
            help,
        );
        return None;
    }
    if !is_alone {
        let help = "leave the others out: what the handshake brings is all that the route has";
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
        let message = format_args!("needs the directory of {written}, which does not exist");
        entry.refuse(findings, message, "make it, for this user to write in");
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
                format_args!("needs the file {written}: {why}"),
                "let this user look for it",
            );
            return None;
        }
        Ok(_) => {}
    }
    let resolved = entry.checked(findings, resolve(&format!("file:{written}"), sources))?;
    for warning in resolved.warnings.iter().chain(&resolved.exposures) {
        findings.warn(entry.span(), format!("the secret `{called}` {warning}"));
    }
    let secret = Secret {
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
