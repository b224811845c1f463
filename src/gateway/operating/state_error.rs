//! The reasons why a directory that a gateway trusts cannot be used, in words (contract: State).

use std::io;
use std::path::PathBuf;

use crate::config::{NO_PARENT, NOT_WRITABLE, ONLY_LAST_IS_MADE, closing};

/// The reason why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refuses.
    #[error("`{key}`: {doing} {} fails: {source}", path.display())]
    System {
        /// The key of the configuration.
        key: &'static str,
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The directory above it does not exist.
    #[error("`{key}` {NO_PARENT}: {}; {ONLY_LAST_IS_MADE}", path.display())]
    NoParent {
        /// The key of the configuration.
        key: &'static str,
        /// The missing directory.
        path: PathBuf,
    },
    /// Its user may not write in it.
    #[error("`{key}` {NOT_WRITABLE}: {} ({why}); {help}", path.display())]
    NotWritable {
        /// The key of the configuration.
        key: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        why: String,
        /// What would help.
        help: String,
    },
    /// It is no directory.
    #[error("`{key}`: {} is no directory: name one that is for this gateway alone", path.display())]
    NoDirectory {
        /// The key of the configuration.
        key: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error(
        "`{key}`: {} belongs to the user {owner} and the gateway runs as {own}: `chown {own} {0}`, or \
         name another directory",
        path.display()
    )]
    Foreign {
        /// The key of the configuration.
        key: &'static str,
        /// The path.
        path: PathBuf,
        /// The user to whom it belongs.
        owner: u32,
        /// The user of this process.
        own: u32,
    },
    /// Others may enter it.
    #[error(
        "`{key}`: others may enter {0} (mode {mode:04o}): name a directory that is for this gateway alone \
         (`install -d -m 700 -o {own} DIRECTORY`){1}",
        path.display(),
        closing(path, *mode)
    )]
    Open {
        /// The key of the configuration.
        key: &'static str,
        /// The path.
        path: PathBuf,
        /// The mode.
        mode: u32,
        /// The user of this process.
        own: u32,
    },
    /// Another gateway has it.
    #[error(
        "`state.dir`: another gateway has {}: {owner}; stop it first, name another directory, or start \
         this one with `--upgrade` to take over from it",
        path.display()
    )]
    Held {
        /// The path.
        path: PathBuf,
        /// Who has it, in words.
        owner: String,
    },
}
