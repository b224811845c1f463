//! An upgrade: a new process takes over from the running one, and no request fails (contract:
//! Upgrade).
//!
//! 1. The new process connects to the Unix socket of the old one and says who it is (`Hello`).
//! 2. The old one hands over its listening sockets, the lock on its state directory, the key of its
//!    digests and the time on its monotonic clock (`Handover`). Both go on as before. Where a
//!    certificate is being ordered, the old one says so (`Wait`) and finishes the order first.
//! 3. The new one builds everything and says `Ready`, without accepting a connection.
//! 4. The old one copies its replay window (`Entries`) while it goes on deciding, and freezes it with
//!    the last changes (`Frozen`). Claims wait from then on.
//! 5. The new one has all of it (`Taken`); the old one lets it go (`Go`). This is the moment at which
//!    the authority for claims passes. Until then the old one can take everything back by itself,
//!    whatever becomes of the new one.
//! 6. The new one accepts connections. The old one accepts none any more, finishes its requests, asks
//!    the new one for each of their claims (`Question`, `Reply`), and ends. Whatever it has not
//!    settled by then is released, as if each of those requests had ended without an answer, unless it has
//!    written it down as done. It says all the time that it goes on (`Here`): once it was silent for as long
//!    as a lease lasts, it is taken for stopped, and what it has not settled within its lease is released.
//!    The end of the conversation is not taken for the end of the process.
//!
//! `old` and `new` are the two sides, `frames` is what passes between them, `authority` asks the
//! questions, `tail` answers them until the old process has ended, of which `peer` knows, and `replies`
//! sends the answers.

mod authority;
mod frames;
mod messages;
mod new;
mod old;
mod peer;
mod replies;
mod socket;
mod tail;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use new::Predecessor;
pub(crate) use old::{Offered, Sockets, Upgradable};
pub(crate) use socket::UpgradeSocket;

use super::keeping::KeptError;
use super::state_dir::StateError;

/// The longest time for which an upgrade waits for an order of a certificate.
const ORDER: Duration = Duration::from_secs(20);

/// The reason why a process does not take over, or cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The configuration names no socket.
    #[error(
        "`--upgrade` needs a socket by which to reach the running gateway: name `dir` in `[state]`, or \
         `upgrade_socket` in `[server]`"
    )]
    NoSocket,
    /// The directory of the socket cannot be used.
    #[error(transparent)]
    Directory(#[from] StateError),
    /// What is kept in the state directory cannot be used.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The socket cannot be bound or reached.
    #[error("`server.upgrade_socket`: {doing} {} fails: {source}", path.display())]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Another file has its place.
    #[error("`server.upgrade_socket`: {} is no socket: name another path", .0.display())]
    NoSocketFile(PathBuf),
    /// Another gateway answers on it.
    #[error(
        "`server.upgrade_socket`: another gateway answers on {}: stop it first, or start this one with \
         `--upgrade` to take over from it",
        .0.display()
    )]
    Answers(PathBuf),
    /// The running gateway refuses, in its own words.
    #[error("the running gateway refuses the upgrade: {0}")]
    Refused(String),
    /// The conversation broke.
    #[error("the upgrade fails, and the running gateway goes on: {0}")]
    Broken(String),
}
