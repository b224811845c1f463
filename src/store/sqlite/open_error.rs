//! The reasons why a database cannot be opened or copied, in words (contract: State).

use std::io;
use std::path::{Path, PathBuf};

use super::in_words;

/// The reason why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("{doing} {} fails: {reason}", path.display())]
    System {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// SQLite refuses.
    #[error("opening {} fails: {}", path.display(), in_words(reason))]
    Sqlite {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: rusqlite::Error,
    },
    /// The disk has no room for what SQLite writes to open the file.
    #[error(
        "opening {} fails, because its disk is full: make room there ({})",
        path.display(),
        in_words(reason)
    )]
    Full {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: rusqlite::Error,
    },
    /// The file is the database of another program, or of another purpose.
    #[error("{} is a file of another program: move it away, or name another directory", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// A start began to make the database and did not finish: nothing is in it.
    #[error(
        "nothing is stored in {} yet: a first start of the gateway failed, and the next one goes on from there",
        path.display()
    )]
    Unmade {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing in the file, or no file, and its log shows that there was.
    #[error(
        "{} is empty or missing, and {log} beside it is not: put it back as it was, or restore a backup; to begin \
         anew without what it held, move {log} away",
        path.display()
    )]
    Lost {
        /// The path.
        path: PathBuf,
        /// The name of its log.
        log: String,
    },
    /// The file is a backup with which no gateway has run, and the log beside it is of another database.
    #[error(
        "{} is a backup, and {log} beside it is the log of another database, which SQLite would mix into it: stop the \
         gateway if one runs there, move the files that end in -wal and -shm away, and restore queue.db and window.db \
         from one backup again",
        path.display()
    )]
    ForeignLog {
        /// The path.
        path: PathBuf,
        /// The name of the log.
        log: String,
    },
    /// The database of the queue is a backup with which no gateway has run, and that of the window is not of the
    /// same backup.
    #[error(
        "{} is a backup, and window.db beside it is not of the same backup: restore both from one backup, or move \
         window.db away, which forgets what came on relay routes",
        path.display()
    )]
    HalfBackup {
        /// The path.
        path: PathBuf,
    },
    /// The databases are of two gateways.
    #[error(
        "queue.db and window.db were not written by the same gateway; restore both from one backup, or move \
         window.db away, which forgets what came on relay routes"
    )]
    Strangers,
    /// There is nothing in the database of the queue, or no such file, and that of the window shows that there
    /// was.
    #[error(
        "{} is empty or missing, and window.db beside it is not: put it back as it was, or restore a backup; a start \
         makes a new one, without what it held",
        path.display()
    )]
    Gone {
        /// The path.
        path: PathBuf,
    },
    /// A newer version of this program wrote the file.
    #[error(
        "{} has schema {found}, and this version of verigate knows schemas up to {known}: run the \
         version that wrote it, or restore a backup that this one has made",
        path.display()
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// The version of its schema.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// A directory that is to get copies has something in it.
    #[error(
        "{} is there already and is not empty: name a directory that is new or empty, so that no copy is written over",
        path.display()
    )]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// A directory that is to get copies cannot be made.
    #[error(
        "the directory {} cannot be made: {reason}; name a new one in a directory that exists and that this user may \
         write to",
        path.display()
    )]
    NotMade {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// A copy cannot be written.
    #[error("copying {} to {} fails{why}", from.display(), to.display())]
    NotCopied {
        /// The path of the database.
        from: PathBuf,
        /// The path of the copy.
        to: PathBuf,
        /// The reason, as the end of the sentence.
        why: String,
    },
    /// A backup ended before it was whole.
    #[error("{reason}; there is no backup: what was written of it {left}")]
    Unfinished {
        /// The reason.
        reason: Box<OpenError>,
        /// What became of the copies that were written, in words.
        left: String,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged: {what}; restore a backup, or move the file away and lose what is in it \
         (`verigate state check` says more)",
        path.display()
    )]
    Damaged {
        /// The path.
        path: PathBuf,
        /// The damage, in words.
        what: String,
    },
}

impl OpenError {
    /// What a reason of the system becomes that something fails at `path`.
    pub(super) fn system(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::System {
            doing,
            path,
            reason,
        }
    }
}
