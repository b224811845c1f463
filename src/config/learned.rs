//! The file of a secret that comes with a handshake, `secrets = ["learn:PATH"]` (schemes:
//! Handshakes). It is written once, whole or not at all, and for its owner alone; later starts read
//! it like any `file:` secret.
//!
//! The caller decides when it is written, and makes sure that it is a key of its scheme. No message
//! holds a byte of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::key::secret::SecretText;

/// The name that logs, metrics and `X-Verigate-Secret` use for a secret that is kept at `path`.
pub fn learned_name(path: &Path) -> String {
    format!(
        "learn:{}",
        path.file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
    )
}

/// Whether there is a file at `path`. `false` where that cannot be known.
pub fn is_learned(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Writes a secret to `path`, which must not exist, with mode 0600, and returns once it is on the
/// disk. If several threads or processes call this at the same moment, exactly one succeeds.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where there is a file already. After any other error,
/// `path` leads to the whole secret or to no file.
pub fn store_learned(path: &Path, secret: &SecretText) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // The secret is written beside `path` under a random name, and then linked to `path`: a link
    // never replaces a file that exists.
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let draft = folder.join(format!(
        ".{}.{}",
        name.to_string_lossy(),
        hex::encode(random)
    ));
    let written = write_new(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    // After the link this name is only a second name of the same file, and after a failure it is
    // not needed.
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, secret: &SecretText) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.expose())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::Barrier;

    use super::*;

    fn text(secret: &str) -> SecretText {
        SecretText::new(secret.as_bytes().to_vec())
    }

    #[test]
    fn a_secret_is_written_once_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("asana.secret");
        assert!(!is_learned(&path));
        store_learned(&path, &text("first-secret")).unwrap();
        assert!(is_learned(&path));
        assert_eq!(fs::read(&path).unwrap(), b"first-secret");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = store_learned(&path, &text("second-secret")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first-secret");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a draft is left behind"
        );
        assert_eq!(learned_name(&path), "learn:asana.secret");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/folder");
        assert_eq!(
            store_learned(&path, &text("secret-1")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A link that leads nowhere counts as a file: its target is not made.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("target"), &link).unwrap();
        assert_eq!(
            store_learned(&link, &text("secret-1")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_many_at_once_exactly_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let start = Barrier::new(8);
        let won: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    let (path, start) = (&path, &start);
                    scope.spawn(move || {
                        let own = format!("secret-number-{n}");
                        start.wait();
                        store_learned(path, &text(&own)).is_ok().then_some(own)
                    })
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(fs::read(&path).unwrap(), won[0].as_bytes());
    }
}
