//! The two databases of a directory: whether they belong together (contract: State).
//!
//! Both have the key of the digests in which they name events, and both copies of a backup have a mark
//! that no other backup has. A start takes `queue.db` into use before `window.db`, so a start that was
//! killed in between leaves a `queue.db` in use beside the `window.db` of a backup. That is not refused: such
//! a `window.db` shows by itself that both files may lack something. A `queue.db` of a backup does not show
//! it, so the `window.db` of the same backup must lie beside it.

use std::path::Path;
use std::time::Duration;

use super::file::Kind;
use super::logs::is_unused_copy;
use super::meta::{self, MetaKey};
use super::open_error::OpenError;

/// What a database says of where it comes from.
struct Known {
    is_unused_copy: bool,
    backup: Option<Vec<u8>>,
    digest_key: Option<Vec<u8>>,
    monotonic: Option<u64>,
}

/// Judges the files of a directory before a start opens them. Returns the monotonic time with which the last
/// gateway there ended, as far as it is known.
///
/// # Errors
/// [`OpenError::ForeignLog`], [`OpenError::HalfBackup`], [`OpenError::Strangers`]. Whatever else is wrong with a
/// file is said when it is opened.
pub fn judge(dir: &Path) -> Result<Option<Duration>, OpenError> {
    let queue = known(&super::queue::KIND, dir)?;
    let window = known(&super::window::KIND, dir)?;
    if let (Some(queue), Some(window)) = (&queue, &window) {
        let is_same_backup = window.is_unused_copy && queue.backup == window.backup;
        if queue.is_unused_copy && !is_same_backup {
            let path = dir.join(super::queue::KIND.name);
            return Err(OpenError::HalfBackup { path });
        }
        // A start that was killed leaves one without a key.
        let have_keys = queue.digest_key.is_some() && window.digest_key.is_some();
        if have_keys && queue.digest_key != window.digest_key {
            return Err(OpenError::Strangers);
        }
    }
    let nanos = queue.and_then(|queue| queue.monotonic);
    Ok(nanos.map(Duration::from_nanos))
}

/// What a database says; `None`: it is not there, or cannot be read.
fn known(kind: &Kind, dir: &Path) -> Result<Option<Known>, OpenError> {
    let is_unused_copy = is_unused_copy(&dir.join(kind.name));
    let connection = match kind.look(dir) {
        Ok(connection) => connection,
        Err(error @ OpenError::ForeignLog { .. }) => return Err(error),
        Err(_) => return Ok(None),
    };
    let read = || {
        Ok(Known {
            is_unused_copy,
            backup: meta::read(&connection, MetaKey::Backup)?,
            digest_key: meta::read(&connection, MetaKey::DigestKey)?,
            monotonic: meta::read_number(&connection, MetaKey::Monotonic)?,
        })
    };
    Ok(read().map_err(|_: rusqlite::Error| ()).ok())
}
