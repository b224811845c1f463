//! The Unix socket by which a gateway is taken over: in a directory for its user alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::UpgradeError;
use crate::gateway::operating::state_dir;

const KEY: &str = "server.upgrade_socket";

/// A bound socket, and the file that is its address.
#[derive(Debug)]
pub(crate) struct UpgradeSocket {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, which another process may replace.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Removes the file, unless it is that of another process by now.
    pub(crate) fn remove(&self) {
        if identity(&self.path).ok() == Some(self.identity) {
            // Where it fails, the next gateway finds that nobody answers.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The directory of a socket, which must be for this user alone.
fn enter(path: &Path) -> Result<PathBuf, UpgradeError> {
    let dir = path.parent().unwrap_or(Path::new(""));
    state_dir::enter(KEY, dir)?;
    Ok(dir.to_owned())
}

/// Connects to the gateway behind a socket. `None` if no gateway answers.
pub(super) fn connect(path: &Path) -> Result<Option<UnixStream>, UpgradeError> {
    match enter(path) {
        Err(UpgradeError::Directory(state_dir::StateError::System { source, .. }))
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(None);
        }
        entered => entered?,
    };
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(source) => match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(UpgradeError::Socket {
                doing: "connecting to",
                path: path.to_owned(),
                source,
            }),
        },
    }
}

impl UpgradeSocket {
    /// Binds the socket, in place of the one that a process has left behind; `is_successor`: of that
    /// of the process from which this one took over.
    pub(crate) fn bind(path: &Path, is_successor: bool) -> Result<Self, UpgradeError> {
        let dir = enter(path)?;
        if !is_successor {
            match fs::symlink_metadata(path) {
                Ok(found) if !found.file_type().is_socket() => {
                    return Err(UpgradeError::NoSocketFile(path.to_owned()));
                }
                _ if connect(path)?.is_some() => {
                    return Err(UpgradeError::Answers(path.to_owned()));
                }
                _ => {}
            }
        }
        let bound = bind_over(path, &dir);
        bound.map_err(|source| UpgradeError::Socket {
            doing: "binding",
            path: path.to_owned(),
            source,
        })
    }

    /// The file, which is to be removed when the gateway ends.
    pub(crate) fn split(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

/// Binds under another name first, so that the path leads to a socket at any time.
fn bind_over(path: &Path, dir: &Path) -> io::Result<UpgradeSocket> {
    let own = dir.join(format!(".{}", std::process::id()));
    match fs::remove_file(&own) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&own)?;
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600))?;
    let identity = identity(&own)?;
    fs::rename(&own, path)?;
    Ok(UpgradeSocket {
        listener,
        file: SocketFile {
            path: path.to_owned(),
            identity,
        },
    })
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
