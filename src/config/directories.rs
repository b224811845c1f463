//! The directories in which a gateway keeps something, looked at for `check` (contract: State,
//! Upgrade, The edge). A look makes nothing and takes no lock. A gateway that starts applies its
//! own rules to what it opens then, since anything may change between a look and a start.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{Access, Mode, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::reader::{Findings, Item};
use super::secrets::Sources;
use super::warning::WarningName;

/// The words about a directory whose parent is missing, for `check` and for a start.
pub const NO_PARENT: &str = "lies in a directory that does not exist";

/// The correction of it. A path that is made as a whole would hide a wrong path and a disk that is not
/// mounted: the gateway would begin with an empty queue there.
pub const ONLY_LAST_IS_MADE: &str =
    "only the last directory of the path is made: mount or make the others, or mend the path";

/// The words about a directory of the gateway in which nothing can be written, for `check` and for a start.
pub const NOT_WRITABLE: &str = "names a directory in which its user may not write";

/// The reason why the owner of a directory may not write in it, with what would help; `None`: it may.
/// `found` is what the system says of the directory.
///
/// `check` may be run by another user than the gateway. For its own user the system answers, for others
/// the mode does. The mode does not bind root.
pub fn not_writable(dir: &Path, found: &fs::Metadata) -> Option<(String, String)> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let shown = dir.display();
    let of_mode = || {
        let why = format!("mode {:04o}", found.mode() & 0o7777);
        Some((why, format!("`chmod 700 {shown}`")))
    };
    let is_own = found.uid() == geteuid().as_raw();
    match access(dir, all) {
        Err(Errno::ROFS) => Some((
            "its file system is read-only".to_owned(),
            "mount it for writing, or name another directory".to_owned(),
        )),
        Err(Errno::ACCESS | Errno::PERM) if is_own => of_mode(),
        _ if !is_own && found.uid() != 0 && found.mode() & 0o700 != 0o700 => of_mode(),
        _ => None,
    }
}

/// How a directory of this mode that others may enter becomes one for the gateway alone, as the end of a
/// sentence: empty where it is one that others need.
pub fn closing(dir: &Path, mode: u32) -> String {
    let is_shared = mode & Mode::SVTX.bits() != 0 || dir.parent().is_none();
    if is_shared {
        String::new()
    } else {
        let shown = dir.display();
        format!(", or, if nothing else uses this one, `chmod 700 {shown}`")
    }
}

/// The use of a directory, from which its rules follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is for the gateway alone, which makes it where it is missing, but none above it (`[state]
    /// dir`).
    Own,
    /// The gateway makes one for itself in it, and the directory too where it is missing, but none
    /// above it (`[server.acme] dir`).
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
    let dir = or_here(dir);
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
            if let Some(parent) = missing_parent(dir) {
                let message = format!("{NO_PARENT}: {}", parent.display());
                item.refuse(findings, message, ONLY_LAST_IS_MADE);
                return;
            }
            let above = dir.ancestors().skip(1).map(or_here).find(|at| at.exists());
            if let Some(above) = above.filter(|above| is_of_kernel(above)) {
                let message = format!("{OF_KERNEL}: {}", above.display());
                item.refuse(findings, message, "name a directory on a disk");
            } else if let Some(above) = above
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
        let mode = closing(dir, found.mode());
        let help = format!("name one that is for this gateway alone{mode}");
        item.refuse(findings, message, help);
        return;
    }
    if let Some((why, help)) = not_writable(dir, &found) {
        item.refuse(findings, format!("{NOT_WRITABLE}: {shown} ({why})"), help);
    } else if found.uid() != own {
        let owner = found.uid();
        warn(format!(
            "{shown} belongs to the user {owner}, and the user {own} runs this check: the gateway must run as \
             {owner}"
        ));
    }
}

/// The directory above `dir`, where it does not exist.
pub fn missing_parent(dir: &Path) -> Option<&Path> {
    let parent = dir.parent().map(or_here)?;
    (!parent.exists()).then_some(parent)
}

/// The path; the working directory for an empty one.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// The words about a directory where nothing can be made.
const OF_KERNEL: &str = "lies in a directory that the kernel makes up, where nothing can be kept";

/// Whether a directory is one of `/proc`, `/sys` or their like. The system tells root that such a
/// directory can be written in, and refuses it then.
#[cfg(target_os = "linux")]
fn is_of_kernel(dir: &Path) -> bool {
    // `SYSFS_MAGIC`, `CGROUP2_SUPER_MAGIC` and `CGROUP_SUPER_MAGIC` of linux/magic.h.
    let of_kernel = [
        rustix::fs::PROC_SUPER_MAGIC,
        0x6265_6572,
        0x6367_7270,
        0x0027_e0eb,
    ];
    rustix::fs::statfs(dir).is_ok_and(|found| of_kernel.contains(&found.f_type))
}

/// Other systems have no such directories where one would look for a place.
#[cfg(not(target_os = "linux"))]
fn is_of_kernel(_: &Path) -> bool {
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_close_a_directory_that_others_need() {
        let closing = |dir: &str, mode| closing(Path::new(dir), mode);
        assert!(closing("/var/lib/verigate", 0o40755).contains("`chmod 700 /var/lib/verigate`"));
        assert_eq!(closing("/tmp", 0o41777), "");
        assert_eq!(closing("/", 0o40755), "");
    }
}
