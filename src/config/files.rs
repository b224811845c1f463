//! The files that a loading reads: the configuration itself and the files of its secrets (contract:
//! Reload).
//!
//! A file is opened without waiting for a pipe or a device, read up to a limit, and read only once
//! in a loading, however many places name it. A loading ends with a [`FileSet`], by which a later
//! look tells whether any content has changed. A read from a dead mount never returns, so
//! [`within`] bounds the time of a whole loading.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::tls::Authorities;

/// How often a file is read again if somebody writes to it meanwhile.
const MAX_TRIES: u32 = 3;

/// The content of a file, and whose it is.
#[derive(Debug)]
pub(super) struct FileRead {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The permission bits, `0o777` at most.
    pub(super) mode: u32,
    /// The user id of the owner.
    pub(super) owner: u32,
}

/// The files that one loading has read so far.
#[derive(Debug, Default)]
pub struct Files {
    seen: RefCell<BTreeMap<PathBuf, Seen>>,
    system_roots: OnceCell<Result<Authorities, String>>,
    is_for_check: bool,
}

/// A file of a loading: the limit of its size, and its content or the reason why it cannot be read.
#[derive(Debug)]
struct Seen {
    max_bytes: u64,
    // The error is kept as its kind and its words, because an `io::Error` cannot be cloned.
    read: Result<Rc<FileRead>, (io::ErrorKind, String)>,
}

impl Files {
    /// The files of a loading for `check`, which looks at more than a loading needs.
    pub(super) fn for_check() -> Self {
        Self {
            is_for_check: true,
            ..Self::default()
        }
    }

    /// Whether the loading is for `check`.
    pub(super) fn is_for_check(&self) -> bool {
        self.is_for_check
    }

    /// The content of a regular file of at most `max_bytes` bytes, links followed. The first
    /// reading of a path counts for the whole loading.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::Other`] for what is no regular file, is too large, or
    /// changes at each reading.
    pub(super) fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Rc<FileRead>> {
        let mut files = self.seen.borrow_mut();
        let seen = match files.entry(path.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Seen {
                max_bytes,
                read: read(path, max_bytes)
                    .map(Rc::new)
                    .map_err(|why| (why.kind(), why.to_string())),
            }),
        };
        let failed = |(kind, words): &(io::ErrorKind, String)| io::Error::new(*kind, words.clone());
        seen.read.as_ref().map(Rc::clone).map_err(failed)
    }

    /// The authorities whose certificates the system trusts. They are read once in a loading, and
    /// only where a route asks for them.
    ///
    /// # Errors
    /// The reason why there are not any, in words.
    pub(super) fn system_roots(&self) -> &Result<Authorities, String> {
        self.system_roots.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let errors = found.errors.iter().map(ToString::to_string);
            let errors: Vec<String> = errors.take(1).collect();
            Authorities::of_system(found.certs).ok_or_else(|| errors.concat())
        })
    }

    /// The files as they were read, to be compared with a later look at them.
    pub(super) fn set(&self) -> FileSet {
        let files = self.seen.borrow();
        let content = |seen: &Seen| match &seen.read {
            Ok(read) => Content::of(&read.bytes),
            Err((kind, _)) => Content::Unreadable(*kind),
        };
        let content =
            |(path, seen): (&PathBuf, &Seen)| (path.clone(), (seen.max_bytes, content(seen)));
        FileSet(files.iter().map(content).collect())
    }
}

/// The files of a loading, each by a digest of its content. Two sets are equal if they have the same
/// files with the same contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSet(BTreeMap<PathBuf, (u64, Content)>);

/// The content of a file, as far as a comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Sha256([u8; 32]),
    Unreadable(io::ErrorKind),
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }
}

/// The difference between a set of files and a later look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every file is as it was.
    Nothing,
    /// Some files can no longer be read, and the others are as they were.
    Vanished,
    /// A file has other content, can be read again, or is new in the set.
    Content,
}

impl FileSet {
    /// The same files as they are now.
    #[must_use]
    pub fn read_again(&self) -> Self {
        let content = |(path, (max_bytes, _)): (&PathBuf, &(u64, Content))| {
            let content = match read(path, *max_bytes) {
                Ok(read) => Content::of(&read.bytes),
                Err(why) => Content::Unreadable(why.kind()),
            };
            (path.clone(), (*max_bytes, content))
        };
        Self(self.0.iter().map(content).collect())
    }

    /// The difference between this set and a `later` one.
    pub fn change(&self, later: &Self) -> Change {
        if self == later {
            return Change::Nothing;
        }
        let is_same_or_gone = |(path, (_, now)): (&PathBuf, &(u64, Content))| {
            matches!((self.0.get(path), now), (Some(_), Content::Unreadable(_)))
                || self.0.get(path).is_some_and(|(_, before)| before == now)
        };
        if self.0.len() == later.0.len() && later.0.iter().all(is_same_or_gone) {
            Change::Vanished
        } else {
            Change::Content
        }
    }

    /// The files that cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &Path> {
        self.0
            .iter()
            .filter(|(_, (_, content))| matches!(content, Content::Unreadable(_)))
            .map(|(path, _)| path.as_path())
    }
}

/// Runs `work` on a thread of its own and waits at most `limit` for its result. A thread that comes
/// too late is left behind, and its result is dropped.
///
/// `None` if the time was over, or if the system gives no thread.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    let begun = thread::Builder::new()
        .name("loading".to_owned())
        .spawn(move || {
            // An error means that nobody waits for the result any more.
            let _ = done.send(work());
        });
    begun.ok()?;
    result.recv_timeout(limit).ok()
}

/// Reads a regular file of at most `max_bytes` bytes, links followed. A file that is written to
/// meanwhile is read again.
fn read(path: &Path, max_bytes: u64) -> io::Result<FileRead> {
    for _ in 0..MAX_TRIES {
        if let Some(read) = read_once(path, max_bytes)? {
            return Ok(read);
        }
    }
    Err(io::Error::other("changes while it is read"))
}

/// The content of a file; `None` if its size or its time of change was another one afterwards.
fn read_once(path: &Path, max_bytes: u64) -> io::Result<Option<FileRead>> {
    let other = || io::Error::other("is not a regular file");
    // The kind of the file is looked at before it is opened, since opening a device can have
    // effects, and again once it is open, since the path may lead elsewhere by then.
    if !std::fs::metadata(path)?.is_file() {
        return Err(other());
    }
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(other());
    }
    // A single allocation, so that a growing buffer leaves no half-read copy of a secret behind.
    let capacity = usize::try_from(before.len().min(max_bytes)).unwrap_or(0) + 32;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    read_up_to(&file, max_bytes, &mut bytes)?;
    let facts = |file: &Metadata| (file.len(), file.mtime(), file.mtime_nsec());
    if facts(&before) != facts(&file.metadata()?) {
        return Ok(None);
    }
    Ok(Some(FileRead {
        bytes,
        mode: before.mode() & 0o777,
        owner: before.uid(),
    }))
}

fn read_up_to(file: &File, max_bytes: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    file.take(max_bytes + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > max_bytes {
        let (size, unit) = if max_bytes < 1 << 20 {
            (max_bytes >> 10, "KiB")
        } else {
            (max_bytes >> 20, "MiB")
        };
        return Err(io::Error::other(format!("is larger than {size} {unit}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn set(folder: &tempfile::TempDir, names: &[&str]) -> FileSet {
        let files = Files::default();
        for name in names {
            let _ = files.read(&folder.path().join(name), 100);
        }
        files.set()
    }

    #[test]
    fn a_path_is_read_once_in_a_loading() {
        let folder = folder(&[("a", "first")]);
        let (files, path) = (Files::default(), folder.path().join("a"));
        assert_eq!(files.read(&path, 100).unwrap().bytes.as_slice(), b"first");
        fs::write(&path, "second").unwrap();
        assert_eq!(files.read(&path, 100).unwrap().bytes.as_slice(), b"first");
        let missing = folder.path().join("missing");
        assert!(files.read(&missing, 100).is_err());
        fs::write(&missing, "now").unwrap();
        let again = files.read(&missing, 100).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_regular_file_of_the_allowed_size_is_refused_at_once() {
        let folder = folder(&[("large", &"x".repeat(101)), ("full", &"x".repeat(100))]);
        let at = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink(at("pipe"), at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let rows = [
            (at("pipe"), "is not a regular file"),
            (at("link"), "is not a regular file"),
            (at("socket"), "is not a regular file"),
            (at(""), "is not a regular file"),
            ("/dev/zero".into(), "is not a regular file"),
            ("/dev/tty".into(), "is not a regular file"),
            (at("large"), "is larger than"),
            (at("loop"), "symbolic link"),
            (at("missing"), "No such file"),
        ];
        let mut failures = Vec::new();
        for (path, expected) in rows {
            let found = Files::default()
                .read(&path, 100)
                .map(|read| read.bytes.len())
                .map_err(|why| why.to_string());
            if !found.as_ref().is_err_and(|why| why.contains(expected)) {
                failures.push((path, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
        let full = Files::default().read(&at("full"), 100).unwrap();
        assert_eq!(full.bytes.len(), 100);
    }

    #[test]
    fn a_later_look_tells_what_changed() {
        type Step = (&'static str, fn(&Path), Change);
        let steps: [Step; 7] = [
            ("nothing", |_| (), Change::Nothing),
            (
                "the same bytes again",
                |at| fs::write(at.join("a"), "a1").unwrap(),
                Change::Nothing,
            ),
            (
                "other bytes of the same length",
                |at| fs::write(at.join("a"), "a2").unwrap(),
                Change::Content,
            ),
            (
                "a file is gone",
                |at| fs::remove_file(at.join("a")).unwrap(),
                Change::Vanished,
            ),
            (
                "a file is a directory",
                |at| {
                    fs::remove_file(at.join("a")).unwrap();
                    fs::create_dir(at.join("a")).unwrap();
                },
                Change::Vanished,
            ),
            (
                "one file is gone and another has changed",
                |at| {
                    fs::remove_file(at.join("a")).unwrap();
                    fs::write(at.join("b"), "b2").unwrap();
                },
                Change::Content,
            ),
            (
                "a missing file has come",
                |at| fs::write(at.join("c"), "c1").unwrap(),
                Change::Content,
            ),
        ];
        let mut failures = Vec::new();
        for (name, step, expected) in steps {
            let folder = folder(&[("a", "a1"), ("b", "b1")]);
            let before = set(&folder, &["a", "b", "c"]);
            step(folder.path());
            let found = before.change(&before.read_again());
            if found != expected {
                failures.push((name, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
        let folder = folder(&[("a", "a1"), ("b", "b1")]);
        let (both, one) = (set(&folder, &["a", "b"]), set(&folder, &["a"]));
        assert_eq!(both.change(&one), Change::Content);
        assert_eq!(one.change(&both), Change::Content);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = folder(&[("a", "a1")]);
        let set = set(&folder, &["a", "b"]);
        let unreadable: Vec<_> = set.unreadable().collect();
        assert_eq!(unreadable, [folder.path().join("b")]);
    }

    /// A dead mount: the read never returns.
    #[test]
    fn work_that_never_ends_is_left_behind() {
        let (release, until) = mpsc::channel::<()>();
        let stuck = within(Duration::from_millis(20), move || until.recv().is_ok());
        assert_eq!(stuck, None);
        drop(release);
        assert_eq!(within(Duration::from_secs(20), || 7), Some(7));
    }
}
