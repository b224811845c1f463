//! The directory of `[server.acme]`: account, certificates and the count of orders, in files that
//! only this user can read (contract: The edge).
//!
//! A file is replaced as a whole or not at all: it is written beside, synced, and renamed. A lock
//! keeps two processes from ordering at the same time. Everything here blocks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, XattrFlags, flock, getxattr, setxattr};
use zeroize::Zeroizing;

use crate::acme::folder_of;
use crate::clock::UnixMillis;
use crate::gateway::operating::state_dir::make;

/// The folder of all authorities, within the configured directory.
const FOLDER: &str = "acme";

/// The files of an authority beside those of the certificates.
pub(super) const ACCOUNT: &str = "account.json";
pub(super) const ORDERS: &str = "orders.json";
const LOCK: &str = "lock";
const WRITING: &str = "writing.tmp";

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The folder of one authority.
#[derive(Clone, Debug)]
pub(super) struct Store {
    dir: PathBuf,
    folder: PathBuf,
    /// The name of the mark on the configured directory.
    mark: String,
}

/// The lock of a folder. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Locked(#[expect(dead_code, reason = "the lock belongs to the open file")] File);

impl Store {
    /// Opens the folder for the authority of this directory URL, and makes it where it is missing, with
    /// `dir` but nothing above that.
    ///
    /// # Errors
    /// Those of the system; that the folder belongs to another user, or that `dir` lies in a directory
    /// that does not exist.
    pub(super) fn open(dir: &Path, directory: &str) -> io::Result<Self> {
        let name = folder_of(directory);
        let all = dir.join(FOLDER);
        let folder = all.join(&name);
        // The ones above it are not made, as those of `[state] dir`.
        make("server.acme.dir", dir).map_err(io::Error::other)?;
        for path in [&all, &folder] {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
                _ => {}
            }
            let found = fs::symlink_metadata(path)?;
            if !found.is_dir() {
                return Err(io::Error::other(format!(
                    "{} is no directory",
                    path.display()
                )));
            }
            if found.uid() != rustix::process::geteuid().as_raw() {
                let message = format!("{} belongs to another user", path.display());
                return Err(io::Error::other(message));
            }
            if found.mode() & 0o077 != 0 {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            folder,
            mark: format!("user.verigate.{name}"),
        })
    }

    /// The folders of the other authorities that were ever named.
    pub(super) fn others(&self) -> Vec<Self> {
        let all = fs::read_dir(self.dir.join(FOLDER)).into_iter().flatten();
        let folders = all.flatten().map(|entry| entry.path());
        let others = folders.filter(|folder| *folder != self.folder);
        others
            .map(|folder| Self {
                folder,
                ..self.clone()
            })
            .collect()
    }

    /// The folder, for messages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Locks the folder; `None` while another process has it.
    pub(super) fn lock(&self) -> io::Result<Option<Locked>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
            .open(self.folder.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Locked(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// The content of a file; `None` where there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
            .open(self.folder.join(name));
        let file = match opened {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let length = file.metadata()?.len();
        if !file.metadata()?.is_file() || length > MAX_FILE {
            return Err(io::Error::other("is no regular file of at most 1 MiB"));
        }
        let capacity = usize::try_from(length).unwrap_or(0) + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Replaces a file by this content, or makes it. Called under the lock.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(WRITING);
        match fs::remove_file(&beside) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Puts a file that is of no use any more out of the way, where a person can look at it.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<()> {
        let aside = format!("{name}.old");
        fs::rename(self.folder.join(name), self.folder.join(aside))
    }

    /// Marks the configured directory itself with the moment of an order. The mark stays when the
    /// directory is emptied, and goes only with it. Where the file system keeps no such marks, there
    /// is none.
    pub(super) fn mark(&self, now: UnixMillis) {
        let text = now.0.to_string();
        let _ = setxattr(&self.dir, &*self.mark, text.as_bytes(), XattrFlags::empty());
    }

    /// The moment of the last order, as the mark of the directory tells it.
    pub(super) fn marked(&self) -> Option<UnixMillis> {
        let mut bytes = [0; 32];
        let length = getxattr(&self.dir, &*self.mark, &mut bytes).ok()?;
        let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
        text.parse().ok().map(UnixMillis)
    }
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://acme.example.com/dir";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn tl_12_files_are_replaced_whole_and_only_this_user_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), URL).unwrap();
        assert_eq!(store.read("a.pem").unwrap(), None);
        for content in ["first", "second, which is longer"] {
            store.write("a.pem", content.as_bytes()).unwrap();
            let read = store.read("a.pem").unwrap().unwrap();
            assert_eq!(read.as_slice(), content.as_bytes());
        }
        assert_eq!(mode(&store.folder().join("a.pem")), 0o600);
        assert_eq!(mode(store.folder()), 0o700);
        assert_eq!(mode(store.folder().parent().unwrap()), 0o700);
        // What a process left behind that ended while it wrote.
        fs::write(store.folder().join(WRITING), "half").unwrap();
        store.write("a.pem", b"third").unwrap();
        let names = fs::read_dir(store.folder()).unwrap().count();
        assert_eq!(names, 1);
        store.set_aside("a.pem").unwrap();
        assert_eq!(store.read("a.pem").unwrap(), None);
        assert!(store.folder().join("a.pem.old").exists());
    }

    #[test]
    fn tl_12_a_folder_that_others_could_read_is_closed_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), URL).unwrap();
        fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store::open(dir.path(), URL).unwrap();
        assert_eq!(mode(store.folder()), 0o700);
        std::os::unix::fs::symlink("/etc/passwd", store.folder().join("a.pem")).unwrap();
        assert!(store.read("a.pem").is_err());
        fs::create_dir(store.folder().join("b.pem")).unwrap();
        assert!(store.read("b.pem").is_err());
        fs::write(store.folder().join("c.pem"), vec![b'x'; 2 << 20]).unwrap();
        assert!(store.read("c.pem").is_err());
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), elsewhere.path().join(FOLDER)).unwrap();
        assert!(Store::open(elsewhere.path(), URL).is_err());
    }

    #[test]
    fn the_directory_is_made_and_none_above_it() {
        let around = tempfile::tempdir().unwrap();
        let deep = around.path().join("disk/acme");
        let error = Store::open(&deep, URL).unwrap_err().to_string();
        let words = format!(
            "`server.acme.dir` lies in a directory that does not exist: {}/disk; only the last directory",
            around.path().display()
        );
        assert!(error.contains(&words), "{error}");
        assert!(!around.path().join("disk").exists());
        let dir = around.path().join("kept");
        let store = Store::open(&dir, URL).unwrap();
        assert_eq!((mode(&dir), mode(store.folder())), (0o700, 0o700));
    }

    #[test]
    fn one_process_at_a_time_orders() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (
            Store::open(dir.path(), URL).unwrap(),
            Store::open(dir.path(), URL).unwrap(),
        );
        let locked = one.lock().unwrap().unwrap();
        assert!(other.lock().unwrap().is_none());
        drop(locked);
        assert!(other.lock().unwrap().is_some());
    }

    #[test]
    fn tl_10_the_mark_of_a_directory_stays_when_it_is_emptied() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let store = Store::open(dir.path(), URL).unwrap();
        assert_eq!(store.marked(), None);
        store.mark(UnixMillis(1_795_392_000_000));
        fs::remove_dir_all(dir.path().join(FOLDER)).unwrap();
        let again = Store::open(dir.path(), URL).unwrap();
        assert_eq!(again.marked(), Some(UnixMillis(1_795_392_000_000)));
        let other = Store::open(dir.path(), "https://other.example/dir").unwrap();
        assert_eq!(other.marked(), None);
    }
}
