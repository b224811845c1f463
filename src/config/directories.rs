//! The directories in which a gateway keeps something, looked at for `check` (contract: State,
//! Upgrade, The edge). A look makes nothing and takes no lock. A gateway that starts applies its
//! own rules to what it opens then, since anything may change between a look and a start.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::reader::{Findings, Item};
use super::secrets::Sources;
use super::warning::WarningName;

/// The use of a directory, from which its rules follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is for the gateway alone, which makes it where it is missing (`[state] dir`).
    Own,
    /// The gateway makes one for itself in it, and the directory too where it is missing
    /// (`[server.acme] dir`).
    Around,
    /// A socket of the gateway lies in it. It is for the gateway alone and must exist.
    OfSocket,
}

/// Judges the directory that an item names, where the loading is for `check`.
///
/// A directory that no user could use is a problem. Where it depends on the user as whom the gateway
/// will run, there is a warning, because `check` may be run by another one.
pub(super) fn judge(
    item: &Item<'_>,
    dir: &Path,
    of: Use,
    sources: &Sources<'_>,
    findings: &mut Findings,
) {
    if !sources.files.is_for_check() {
        return;
    }
    // An empty path is the working directory.
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let shown = dir.display();
    let own = geteuid().as_raw();
    let mut warn = |message: String| {
        let message = format!("`{}`: {message}", item.path);
        findings.warn(item.span(), WarningName::UnusableDirectory, message);
    };
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(why) if why.kind() == io::ErrorKind::NotFound && of == Use::OfSocket => {
            warn(format!(
                "{shown} is missing, and no gateway makes it: `install -d -m 700 -o {own} {shown}` with the \
                 user of the gateway"
            ));
            return;
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            if let Some(above) = dir.ancestors().skip(1).find(|above| above.exists())
                && access(above, Access::WRITE_OK | Access::EXEC_OK).is_err()
            {
                warn(format!(
                    "{shown} is missing, and the user {own}, who runs this check, may not make it in {}: the \
                     gateway can make it only if its user may",
                    above.display()
                ));
            }
            return;
        }
        Err(why) if why.kind() == io::ErrorKind::NotADirectory => {
            let message = format!("lies below a file: {shown}");
            item.refuse(findings, message, "name a directory");
            return;
        }
        Err(why) => {
            warn(format!(
                "{shown} cannot be looked at by the user {own}: {why}"
            ));
            return;
        }
    };
    if !found.is_dir() {
        let help = "name a directory that is for this gateway alone";
        item.refuse(findings, format!("names no directory: {shown}"), help);
        return;
    }
    if of == Use::Around {
        if access(dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            warn(format!(
                "the user {own}, who runs this check, may not write in {shown}: the user of the gateway must"
            ));
        }
        return;
    }
    if found.mode() & 0o077 != 0 {
        let message = format!(
            "names a directory that others may enter: {shown} (mode {:04o})",
            found.mode() & 0o7777
        );
        let help = format!(
            "name one that is for this gateway alone, or, if nothing else uses this one, `chmod 700 \
             {shown}`"
        );
        item.refuse(findings, message, help);
    } else if found.uid() != own {
        let owner = found.uid();
        warn(format!(
            "{shown} belongs to the user {owner}, and the user {own} runs this check: the gateway must run as \
             {owner}"
        ));
    }
}

/// Judges the file of a socket that the gateway will bind, where the loading is for `check`.
pub(super) fn judge_socket(
    item: &Item<'_>,
    path: &Path,
    sources: &Sources<'_>,
    findings: &mut Findings,
) {
    if !sources.files.is_for_check() {
        return;
    }
    let is_other = fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket());
    if is_other {
        let message = format!("names a file that is no socket: {}", path.display());
        item.refuse(findings, message, "remove the file, or name another path");
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    judge(item, dir, Use::OfSocket, sources, findings);
}
