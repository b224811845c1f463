//! Whether the file of a database is still where it was opened.
//!
//! SQLite goes on with a file that was moved, removed or replaced, and says nothing of it. What is written
//! to it from then on is not there at the next start.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

/// The place of a file that is open.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The file there when it was opened, by the numbers of its file system and of itself.
    file: Option<(u64, u64)>,
}

impl Place {
    /// The place of the file that is at `path` now.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            file: file_at(path),
            path: path.to_owned(),
        }
    }

    /// Whether the same file is there.
    ///
    /// # Errors
    /// It is not: `SQLITE_READONLY_DBMOVED`, as SQLite has it without a log.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        if file_at(&self.path) == self.file {
            return Ok(());
        }
        let code = ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED);
        let words = "the file was moved, removed or replaced while it is in use: put the same file back, \
                     or restart";
        Err(rusqlite::Error::SqliteFailure(code, Some(words.to_owned())))
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_in_place_until_it_is_moved_and_again_when_it_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "1").unwrap();
        let place = Place::of(&path);
        assert_eq!(place.check(), Ok(()));
        fs::write(&path, "more").unwrap();
        assert_eq!(place.check(), Ok(()));
        fs::rename(&path, &away).unwrap();
        let error = place.check().unwrap_err();
        assert!(
            error.to_string().contains("put the same file back"),
            "{error}"
        );
        // Another file of the same content.
        fs::copy(&away, &path).unwrap();
        assert_eq!(place.check(), Err(error));
        fs::rename(&away, &path).unwrap();
        assert_eq!(place.check(), Ok(()));
    }
}
