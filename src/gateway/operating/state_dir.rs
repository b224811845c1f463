//! `[state] dir`: a directory that one gateway has for itself, and the rules for every directory that
//! a gateway trusts (contract: State).
//!
//! The kernel's lock on a file in it says that a gateway has it. The lock ends with its process,
//! however that ends, so a file that was left behind holds nobody up. At an upgrade the lock passes
//! to the next process as an open file.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, open, openat};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

pub use super::state_error::StateError;
use crate::config::{missing_parent, not_writable};

/// The key of the configuration that names the directory.
const KEY: &str = "state.dir";

/// The name of the file that is locked and names the owner.
const OWNER: &str = "owner";

/// The most bytes of that file that are looked at.
const MOST: u64 = 64;

/// A directory that this process has, as long as this value or a copy of its file lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    owner: File,
}

impl StateDir {
    /// Takes the directory, which is made where it is missing.
    ///
    /// # Errors
    /// [`StateError`]: it cannot be made, is not for this user alone, or another gateway has it.
    pub(crate) fn hold(dir: &Path) -> Result<Self, StateError> {
        let mut owner = open_owner(dir)?;
        if let Err(source) = flock(&owner, FlockOperation::NonBlockingLockExclusive) {
            if source != Errno::WOULDBLOCK {
                return Err(system("locking the owner file of")(dir, source.into()));
            }
            return Err(StateError::Held {
                path: dir.to_owned(),
                owner: owner_in_words(&mut owner),
            });
        }
        let mut held = Self { owner };
        held.name_owner(dir);
        Ok(held)
    }

    /// Takes the directory from a gateway that is about to end, so that its lock may still be there for
    /// a moment.
    ///
    /// # Errors
    /// Those of [`hold`](Self::hold).
    pub(crate) fn hold_soon(dir: &Path) -> Result<Self, StateError> {
        for _ in 0..5 {
            match Self::hold(dir) {
                Err(StateError::Held { .. }) => thread::sleep(Duration::from_millis(100)),
                other => return other,
            }
        }
        Self::hold(dir)
    }

    /// Takes the directory over from another gateway by its locked file. `None` if `file` is not the
    /// file of this directory.
    ///
    /// # Errors
    /// [`StateError`]: the directory is not for this user alone.
    pub(crate) fn take_over(dir: &Path, file: OwnedFd) -> Result<Option<Self>, StateError> {
        let own = open_owner(dir)?;
        let handed = File::from(file);
        let identity = |file: &File| file.metadata().map(|file| (file.dev(), file.ino()));
        let is_same = matches!((identity(&own), identity(&handed)), (Ok(a), Ok(b)) if a == b);
        Ok(is_same.then_some(Self { owner: handed }))
    }

    /// Writes this process into the file as the owner. That is for people, and the lock is what counts:
    /// on a full disk the gateway goes on without it.
    pub(crate) fn name_owner(&mut self, dir: &Path) {
        let text = format!("pid {}\n", std::process::id());
        let file = &mut self.owner;
        // What is written over the name before needs no room.
        let written = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64));
        if let Err(error) = written {
            let _ = file.set_len(0);
            log::warn!(
                "state: the file `{OWNER}` in {} cannot be written, so it does not name this process: {error}",
                dir.display()
            );
        }
    }

    /// The locked file, for the gateway that takes over.
    pub(crate) fn file(&self) -> &File {
        &self.owner
    }
}

/// Opens the file of a directory that is made where it is missing.
fn open_owner(dir: &Path) -> Result<File, StateError> {
    make(KEY, dir)?;
    let entered = enter(KEY, dir)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let owner = openat(&entered, OWNER, flags, mode)
        .and_then(|owner| fchmod(&owner, mode).map(|()| File::from(owner)));
    owner.map_err(|source| system("opening the owner file of")(dir, source.into()))
}

fn system(doing: &'static str) -> impl Fn(&Path, io::Error) -> StateError {
    move |path, source| StateError::System {
        key: KEY,
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Makes a directory, the value of `key`, for this user alone where it is missing. The ones above it are
/// never made: a path that is wrong, or below a disk that is not mounted, would become an empty queue.
///
/// # Errors
/// [`StateError::NoParent`], [`StateError::System`].
pub(crate) fn make(key: &'static str, dir: &Path) -> Result<(), StateError> {
    let Err(source) = DirBuilder::new().mode(0o700).create(dir) else {
        return Ok(());
    };
    match (source.kind(), missing_parent(dir)) {
        (io::ErrorKind::AlreadyExists, _) => Ok(()),
        (io::ErrorKind::NotFound, Some(parent)) => Err(StateError::NoParent {
            key,
            path: parent.to_owned(),
        }),
        _ => Err(StateError::System {
            key,
            doing: "making",
            path: dir.to_owned(),
            source,
        }),
    }
}

/// Opens a directory that is the value of `key` and must be for this user alone.
///
/// # Errors
/// [`StateError`] that says what would be right.
pub(crate) fn enter(key: &'static str, dir: &Path) -> Result<File, StateError> {
    let path = || dir.to_owned();
    // An empty path is the working directory.
    let named = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open(named, flags, Mode::empty()).map(File::from);
    let own = geteuid().as_raw();
    let foreign = |owner| StateError::Foreign {
        key,
        path: path(),
        owner,
        own,
    };
    let entered = opened.map_err(|error| {
        let owner = fs::metadata(named).ok().map(|found| found.uid());
        match (error, owner) {
            (Errno::NOTDIR, _) => StateError::NoDirectory { key, path: path() },
            // Only its owner may enter a directory of mode 0700.
            (Errno::ACCESS, Some(owner)) if owner != own => foreign(owner),
            _ => StateError::System {
                key,
                doing: "opening",
                path: path(),
                source: error.into(),
            },
        }
    })?;
    let found = entered.metadata().map_err(|source| StateError::System {
        key,
        doing: "looking at",
        path: path(),
        source,
    })?;
    if found.uid() != own {
        return Err(foreign(found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(StateError::Open {
            key,
            path: path(),
            mode: found.mode() & 0o7777,
            own,
        });
    }
    if let Some((why, help)) = not_writable(named, &found) {
        let path = path();
        return Err(StateError::NotWritable {
            key,
            path,
            why,
            help,
        });
    }
    Ok(entered)
}

/// The gateway that has a directory, in words; `None` where none has it, or where it is not known.
///
/// The kernel is asked for its list of locks (`/proc/locks`). A lock of our own, however short, could
/// keep a gateway from starting.
pub fn holder(dir: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut owner = open(dir.join(OWNER), flags, Mode::empty())
        .map(File::from)
        .ok()?;
    let named = named_in(&mut owner);
    let locker = locker(&owner, named)?;
    Some(in_words(named, Some(locker)))
}

/// The process that has the lock of this file, in words.
fn owner_in_words(owner: &mut File) -> String {
    let named = named_in(owner);
    in_words(named, locker(owner, named))
}

/// The process that has locked this file, by the kernel's list; `None` where the list has no such lock.
/// It may have ended since: at an upgrade its lock has passed on.
fn locker(owner: &File, named: Option<u32>) -> Option<u32> {
    let found = owner.metadata().ok()?;
    let dev = found.dev();
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let own = format!("{major:02x}:{minor:02x}:{}", found.ino());
    let inode = format!(":{}", found.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let &[_, "FLOCK", _, _, pid, file, ..] = words.as_slice() else {
            return None;
        };
        let pid = pid.parse().unwrap_or(0);
        // Some file systems have another device number there than a file's own.
        let is_own = file == own || (file.ends_with(&inode) && named == Some(pid));
        is_own.then_some(pid)
    })
}

/// The process that has a lock, in words. The kernel knows best who has it: the number in the file may
/// belong to another process by now. After an upgrade the kernel's is the process that took the lock
/// first. As long as that one has not ended, the file names the one to which the lock has passed.
fn in_words(named: Option<u32>, locker: Option<u32>) -> String {
    let alive = |pid: &u32| is_alive(*pid);
    match (named, locker.filter(alive)) {
        (Some(named), Some(locker)) if named != locker && is_alive(named) => {
            format!("the process {locker} (the file `{OWNER}` names the process {named})")
        }
        (_, Some(locker)) => format!("the process {locker}"),
        (Some(named), None) if is_alive(named) => format!("the process {named}"),
        (Some(named), None) => format!(
            "a process whose number is not known (the file `{OWNER}` names the process {named}, which has ended)"
        ),
        (None, None) => "a process that has not said its number".to_owned(),
    }
}

/// Whether a process lives. One that has ended, and for which its parent was not told so yet, does not.
fn is_alive(pid: u32) -> bool {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name of the program, in brackets, may hold anything (proc(5)).
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next());
        return !matches!(state, Some('Z' | 'X'));
    }
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// The process that the file names. The file may hold anything, since anybody may have written it who
/// may enter the directory.
fn named_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).ok()?;
    let pid = text.trim().strip_prefix("pid ")?;
    let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| pid.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_is_made_for_its_user_alone_and_had_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("disk/state");
        let error = StateDir::hold(&deep).unwrap_err().to_string();
        let words = format!(
            "`state.dir` lies in a directory that does not exist: {}/disk; only the last directory",
            folder.path().display()
        );
        assert!(error.contains(&words), "{error}");
        assert!(!folder.path().join("disk").exists());
        let dir = folder.path().join("state");
        let held = StateDir::hold(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&dir), mode(&dir.join(OWNER))), (0o700, 0o600));
        let own = format!("the process {};", std::process::id());
        let error = StateDir::hold(&dir).unwrap_err().to_string();
        assert!(error.contains(&own), "{error}");
        assert_eq!(holder(&dir).map(|holder| holder + ";"), Some(own));
        drop(held);
        assert_eq!(holder(&dir), None);
        assert_eq!(holder(folder.path()), None);
        fs::write(dir.join(OWNER), "pid 1; rm -rf /\n").unwrap();
        let again = StateDir::hold(&dir).unwrap();
        let text = fs::read_to_string(dir.join(OWNER)).unwrap();
        assert_eq!(text, format!("pid {}\n", std::process::id()));
        drop(again);
    }

    #[test]
    fn a_process_that_has_ended_is_not_named_as_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        let _held = StateDir::hold(&dir).unwrap();
        let own = std::process::id();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        // Its parent does not ask how it ended: it is in the list of processes still.
        while is_alive(dead) {
            thread::yield_now();
        }
        let expect_own = || {
            fs::write(dir.join(OWNER), format!("pid {dead}\n")).unwrap();
            let error = StateDir::hold(&dir).unwrap_err().to_string();
            assert!(error.contains(&format!(": the process {own};")), "{error}");
            assert_eq!(holder(&dir), Some(format!("the process {own}")));
        };
        expect_own();
        child.wait().unwrap();
        expect_own();
        assert!(!is_alive(dead));
        let unknown = format!(
            "a process whose number is not known (the file `owner` names the process {dead}, which has ended)"
        );
        assert_eq!(in_words(Some(dead), Some(dead)), unknown);
        assert_eq!(in_words(Some(dead), None), unknown);
        assert_eq!(
            in_words(Some(own), Some(dead)),
            format!("the process {own}")
        );
        // Numbers of processes are used again: the file may name one that has nothing to do with it.
        assert!(is_alive(1));
        assert_eq!(
            in_words(Some(1), Some(own)),
            format!("the process {own} (the file `owner` names the process 1)")
        );
        fs::write(dir.join(OWNER), "pid 1\n").unwrap();
        let said = holder(&dir).unwrap();
        assert!(said.starts_with(&format!("the process {own} ")), "{said}");
        let silent = "a process that has not said its number";
        assert_eq!(in_words(None, Some(dead)), silent);
    }

    #[test]
    fn the_lock_passes_on_by_its_file_and_no_other_file_does() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        let held = StateDir::hold(&dir).unwrap();
        let copy = held.file().try_clone().unwrap();
        let other = tempfile::tempfile().unwrap();
        let taken = StateDir::take_over(&dir, other.into()).unwrap();
        assert!(taken.is_none());
        let taken = StateDir::take_over(&dir, copy.into()).unwrap().unwrap();
        drop(held);
        assert!(matches!(StateDir::hold(&dir), Err(StateError::Held { .. })));
        drop(taken);
        assert!(StateDir::hold(&dir).is_ok());
    }

    #[test]
    fn a_directory_that_others_may_enter_and_what_is_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o710, 0o701, 0o770] {
            let dir = folder.path().join(format!("{mode:o}"));
            fs::create_dir(&dir).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
            let error = StateDir::hold(&dir).unwrap_err().to_string();
            let help = format!("`chmod 700 {}`", dir.display());
            assert!(error.contains(&help), "{error}");
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(StateDir::hold(&file).is_err());
        assert!(matches!(
            enter("server.upgrade_socket", &file),
            Err(StateError::NoDirectory { .. })
        ));
        // A link in place of the owner file would let somebody else choose what is overwritten.
        let dir = folder.path().join("linked");
        make(KEY, &dir).unwrap();
        std::os::unix::fs::symlink(&file, dir.join(OWNER)).unwrap();
        assert!(StateDir::hold(&dir).is_err());
    }
}
