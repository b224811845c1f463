//! A reference to a secret, `env:NAME`, `file:PATH` or `plain:TEXT`, followed to the secret's text
//! (contract: Secrets).
//!
//! This is the only reader of the environment. No message holds a byte of a secret.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::clock::{Clock, UnixMillis};
use crate::config::files::{FileRead, Files};
use crate::config::units::UnitFault;
use crate::config::warning::WarningName;
use crate::key::secret::SecretText;
use crate::key::shape::{self, MASK, Suspicion, concealed, is_out_of_place, is_plain_path};

/// The beginning of an entry whose secret comes with a handshake.
pub(super) const LEARN: &str = "learn:";

/// The forms of a reference that can be followed.
pub(super) const FOLLOWED: [&str; 4] = ["env:", "file:", "cred:", "plain:"];

/// Whether a text is a reference that could be followed.
pub(in crate::config) fn is_reference(text: &str) -> bool {
    FOLLOWED.iter().any(|form| text.starts_with(form))
}

/// The variable in which systemd names the folder of a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The largest secret file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The largest file of certificates, in bytes.
const MAX_PEM: u64 = 1024 * 1024;

/// The forms of a reference, for messages.
const FORMS: &str = "write `env:NAME`, `file:PATH` or `cred:NAME`; `plain:TEXT` if the secret really must be \
                     written in this file";

/// The surroundings in which references are followed.
#[derive(Clone, Copy)]
pub struct Sources<'s> {
    /// The directory that relative `file:` paths start from: that of the configuration file.
    pub base_dir: &'s Path,
    /// Looks a variable up in the environment.
    pub env: &'s dyn Fn(&str) -> Option<OsString>,
    /// The present moment; a secret whose `not_after` lies before it is expired.
    pub now: UnixMillis,
    /// The files that this loading has read so far.
    pub files: &'s Files,
}

impl<'s> Sources<'s> {
    /// This process's environment and clock.
    pub fn of_process(base_dir: &'s Path, files: &'s Files) -> Self {
        Self {
            base_dir,
            env: &read_env,
            now: Clock::system().now().wall,
            files,
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

/// The kind of a warning about a secret, and words that complete "secret NAME …".
pub type Oddity = (WarningName, String);

/// A reference that was followed.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The secret's text, without the newline at its end.
    pub text: SecretText,
    /// `env:NAME` or `file:BASENAME`; `None` for `plain:`.
    pub name: Option<String>,
    /// Oddities worth a warning, such as line endings, each with the words that complete "secret
    /// NAME …".
    pub warnings: Vec<Oddity>,
    /// Ways in which others can read the text, which are worth a warning unless it is a public key.
    pub exposures: Vec<Oddity>,
}

/// Follows a reference, as in `env:NAME`.
///
/// # Errors
/// A sentence about the reference. Its text is repeated only where it names a variable or a file.
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
            if !is_variable(variable) {
                return Err(fault(
                    "names no environment variable that is set (its text is not shown)".to_owned(),
                    "write the name alone, without `$` and in single quotes in a shell, as in \
                     `env:WEBHOOK_SECRET`",
                ));
            }
            let variable = named(variable);
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
            format!("the environment variable {}", named(variable)),
        )
    } else if let Some(path) = reference.strip_prefix("file:") {
        let at = sources.base_dir.join(path);
        let bytes = read_file(sources.files, &at, MAX_FILE, &mut warnings, &mut exposures)
            .map_err(|why| file_fault(path, &why))?;
        let base = Path::new(path)
            .file_name()
            .map_or_else(|| path.into(), |base| base.to_string_lossy());
        (
            bytes,
            Some(format!("file:{base}")),
            format!("the file {}", named(path)),
        )
    } else if let Some(credential) = reference.strip_prefix("cred:") {
        let at = credential_path(credential, sources)?;
        let mut ignored = Vec::new();
        // systemd decides on the mode, and whom it lets read the file.
        let bytes = read_file(sources.files, &at, MAX_FILE, &mut ignored, &mut Vec::new())
            .map_err(|why| credential_fault(credential, &why))?;
        let name = reference.to_owned();
        let emptiness = format!("the credential {}", named(credential));
        (bytes, Some(name), emptiness)
    } else if let Some(text) = reference.strip_prefix("plain:") {
        let words =
            "is written in the configuration file, where everybody who can read the file sees it";
        exposures.push((WarningName::LiteralSecret, words.to_owned()));
        (text.as_bytes().to_vec(), None, "it".to_owned())
    } else if reference.starts_with(LEARN) {
        let help = "write `secrets = [\"learn:PATH\"]`, with nothing else in the list, on a \
                    route whose handshake brings the secret";
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
    if let Some(shape) = shape::around(&bytes) {
        warnings.push((WarningName::SecretSpelling, shape.words()));
    }
    // A copy of the exact length: a longer buffer would still hold the bytes that were cut off.
    Ok(Resolved {
        text: SecretText::new(bytes.as_slice().to_vec()),
        name,
        warnings,
        exposures,
    })
}

/// The name of a variable or the path of a file as messages show it: a secret may have been written
/// in its place.
pub(super) fn named(name: &str) -> String {
    if is_plain_path(name) {
        return name.to_owned();
    }
    let shown = |part| if is_out_of_place(part) { MASK } else { part };
    name.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// Whether this is the usual form of a variable's name. A shell that replaces `env:$SECRET` puts the
/// secret itself behind `env:`.
pub(super) fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The file of a credential that systemd hands to the service.
fn credential_path(name: &str, sources: &Sources<'_>) -> Result<PathBuf, UnitFault> {
    if name.is_empty() || [".", ".."].contains(&name) || name.contains(['/', '\0']) {
        return Err(fault(
            "names no credential".to_owned(),
            "write the name alone, as in `cred:stripe`",
        ));
    }
    let folder = (sources.env)(CREDENTIALS).filter(|folder| !folder.is_empty());
    folder.map(|folder| Path::new(&folder).join(name)).ok_or_else(|| {
        let message = format!(
            "needs the credential {}, and {CREDENTIALS} is not set: this process has no credentials",
            named(name)
        );
        let help = "start it by systemd with `LoadCredential=NAME:PATH` in the unit, or use `file:PATH`";
        fault(message, help)
    })
}

fn credential_fault(name: &str, why: &io::Error) -> UnitFault {
    let reason = match why.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {why}"),
    };
    let name = named(name);
    fault(
        format!("needs the credential {name}, which {reason}"),
        format!("add `LoadCredential={name}:PATH` to the unit, and restart the service"),
    )
}

fn fault(message: String, help: impl Into<String>) -> UnitFault {
    UnitFault {
        message,
        help: help.into(),
    }
}

fn file_fault(path: &str, why: &io::Error) -> UnitFault {
    file_fault_of(path, &named(path), why)
}

/// The fault of a file that messages call `shown`.
fn file_fault_of(path: &str, shown: &str, why: &io::Error) -> UnitFault {
    let reason = match why.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ if why.raw_os_error().is_some() => format!("cannot be opened: {why}"),
        _ => why.to_string(),
    };
    let help = match why.kind() {
        io::ErrorKind::NotFound if Path::new(path).is_absolute() => {
            "write the secret into that file, or name another one; in a container, mount it there"
        }
        io::ErrorKind::NotFound => {
            "write the secret into that file; a relative path begins beside the configuration file"
        }
        io::ErrorKind::PermissionDenied => {
            "give the file to the user that verigate runs as (`chown`), with mode 600"
        }
        _ => {
            "name a regular file of at most 64 KiB that this user may read; Docker makes a directory \
             where the file to mount is missing"
        }
    };
    fault(format!("needs the file {shown}, which {reason}"), help)
}

/// Whether an orchestrator has put the file into a container: Kubernetes links each name to a folder
/// `..data` beside it, and Docker and Podman put secrets below `/run/secrets`. There the mode says
/// little, since nobody else is in the container. The owner must be root or this user, and nobody
/// else may write.
fn is_mounted(path: &Path, read: &FileRead) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let is_theirs = (read.owner == 0 || read.owner == own) && read.mode & 0o022 == 0;
    let leads_to_data = std::fs::read_link(path).is_ok_and(|target| target.starts_with("..data"));
    let is_below = ["/run/secrets", "/var/run/secrets"]
        .iter()
        .any(|folder| path.starts_with(folder));
    is_theirs && (leads_to_data || is_below)
}

/// Follows a reference to a file that may be large: `file:PATH`, `cred:NAME`, or the path alone. The
/// oddities are those of its mode and its owner, each with the words that complete "the file …".
///
/// # Errors
/// A sentence about the reference.
pub(in crate::config) fn resolve_file(
    reference: &str,
    sources: &Sources<'_>,
) -> Result<(Zeroizing<Vec<u8>>, Vec<Oddity>), UnitFault> {
    let mut oddities = Vec::new();
    let bytes = if let Some(credential) = reference.strip_prefix("cred:") {
        let at = credential_path(credential, sources)?;
        let read = sources.files.read(&at, MAX_PEM);
        let read = read.map_err(|why| credential_fault(credential, &why))?;
        read.bytes.clone()
    } else if ["env:", "plain:", LEARN]
        .iter()
        .any(|form| reference.starts_with(form))
    {
        return Err(fault(
            "names no file".to_owned(),
            "write the path of a file, or `cred:NAME` for a credential of systemd",
        ));
    } else {
        let path = reference.strip_prefix("file:").unwrap_or(reference);
        let mut exposures = Vec::new();
        let at = sources.base_dir.join(path);
        let read = read_file(sources.files, &at, MAX_PEM, &mut oddities, &mut exposures);
        let read = read.map_err(|why| {
            // The path of a certificate is no secret, unless somebody wrote one in its place.
            let fault = file_fault_of(path, &concealed(path, Suspicion::Plain), &why);
            match why.kind() {
                io::ErrorKind::NotFound => UnitFault {
                    help: format!(
                        "is the name right? It was looked for at {}",
                        concealed(&at.display().to_string(), Suspicion::Plain)
                    ),
                    ..fault
                },
                _ => fault,
            }
        })?;
        oddities.append(&mut exposures);
        Zeroizing::new(read)
    };
    Ok((bytes, oddities))
}

/// Reads a file of at most `most` bytes, and adds what is odd about its mode and its owner.
fn read_file(
    files: &Files,
    path: &Path,
    most: u64,
    warnings: &mut Vec<Oddity>,
    exposures: &mut Vec<Oddity>,
) -> io::Result<Vec<u8>> {
    let read = files.read(path, most)?;
    let mode = read.mode;
    if mode & 0o066 != 0 && !is_mounted(path, &read) {
        let list = if mode & 0o022 == 0 {
            exposures
        } else {
            &mut *warnings
        };
        let words = format!(
            "can be read or written by others than its owner (mode {mode:04o}); 0600 is enough"
        );
        list.push((WarningName::ReadableSecret, words));
    }
    let (owner, own) = (read.owner, rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        let words = format!("belongs to another user (id {owner}), who can change it");
        warnings.push((WarningName::ForeignSecret, words));
    }
    Ok(read.bytes.as_slice().to_vec())
}
