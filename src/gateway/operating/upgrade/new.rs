//! The new process's side of an upgrade: it takes over from the running gateway.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::frames::{self, FrameError, Kind, Wait};
use super::messages::{Go, Handover, Hello, words};
use super::peer::Peer;
use super::tail::{Answering, Tail};
use super::{ORDER, UpgradeError, socket};
use crate::clock::{Clock, UnixMillis};
use crate::gateway::operating::inherited::Inherited;
use crate::gateway::running::Running;
use crate::gateway::running::journal::WindowJournal;
use crate::replay::passing::Change;
use crate::replay::{Leases, ReplayWindow as _};
use crate::verify::claim::FingerprintKey;

/// The time in which the running gateway must answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The time in which its window must have come.
const WINDOW: Duration = Duration::from_secs(70);
/// The times that a gateway is looked for which has ended the conversation, and the pause before each.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The gateway from which this process takes over.
#[derive(Debug)]
pub(crate) struct Predecessor {
    path: PathBuf,
    stream: UnixStream,
    peer: Peer,
    handover: Handover,
    sockets: Vec<TcpListener>,
    lock: Option<OwnedFd>,
}

/// The reason why a conversation leads to nothing.
enum Failure {
    /// The gateway refuses, in these words.
    Refused(String),
    Frame(FrameError),
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<Failure> for UpgradeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Refused(why),
            Failure::Frame(error) => Self::Broken(error.to_string()),
        }
    }
}

impl Predecessor {
    /// The gateway that answers on the socket at `path`. `None` if no gateway answers, or if it ends
    /// before it has handed anything over.
    ///
    /// # Errors
    /// [`UpgradeError`]: the socket cannot be reached, or the gateway refuses.
    pub(crate) fn meet(path: &Path) -> Result<Option<Self>, UpgradeError> {
        let mut ended = FrameError::Ended;
        for _ in 0..LOOKS {
            let Some(stream) = socket::connect(path)? else {
                return Ok(None);
            };
            match Self::greet(path, stream) {
                Err(Failure::Frame(error @ FrameError::Ended)) => ended = error,
                met => return Ok(Some(met?)),
            }
            std::thread::sleep(PAUSE);
        }
        Err(Failure::Frame(ended).into())
    }

    fn greet(path: &Path, stream: UnixStream) -> Result<Self, Failure> {
        let hello = Hello {
            pid: std::process::id(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let limited = stream.set_write_timeout(Some(ANSWER));
        limited.map_err(FrameError::from)?;
        // A gateway that refuses may have closed its end already, after it said why.
        let said = frames::send(&stream, Kind::Hello, &hello.to_bytes());
        let mut files = Vec::new();
        let deadline = Instant::now() + ANSWER;
        let frame = frames::receive_with(&stream, deadline, &mut files);
        let mut frame = frame.map_err(|error| said.err().unwrap_or(error))?;
        if frame.kind == Kind::Wait {
            log::info!(
                "the running gateway asks for time: {}",
                words(&frame.payload)
            );
            frame = frames::receive_with(&stream, deadline + ORDER, &mut files)?;
        }
        let handover = match frame.kind {
            Kind::Handover => Handover::from_bytes(&frame.payload),
            Kind::Refused => return Err(Failure::Refused(words(&frame.payload))),
            _ => None,
        };
        let handover = handover.ok_or(FrameError::Foreign)?;
        let lock = if handover.has_lock { files.pop() } else { None };
        if files.len() != handover.sockets.len() {
            return Err(FrameError::TooFewFiles.into());
        }
        Ok(Self {
            path: path.to_owned(),
            peer: Peer::of(&stream),
            stream,
            handover,
            sockets: files.into_iter().map(TcpListener::from).collect(),
            lock,
        })
    }

    /// The sockets that came along, and behind them those that a service manager has handed over.
    pub(crate) fn sockets(&mut self, others: Inherited) -> Inherited {
        let of = self.handover.sockets.iter().copied();
        Inherited::of_gateway(self.sockets.drain(..).zip(of), others)
    }

    /// The locked file of its state directory.
    pub(crate) fn lock(&mut self) -> Option<OwnedFd> {
        self.lock.take()
    }

    /// The key of all digests.
    pub(crate) fn key(&self) -> FingerprintKey {
        FingerprintKey::from_bytes(self.handover.key)
    }

    /// A clock that goes on with the monotonic time of the gateway. It is late by as much as passed
    /// since that was said, so entries are kept longer and never shorter.
    pub(crate) fn clock(&self) -> Clock {
        Clock::begun(Duration::from_nanos(self.handover.mono_ns))
    }

    /// The time from which on its window is complete.
    pub(crate) fn started(&self) -> UnixMillis {
        UnixMillis(self.handover.started_ms)
    }

    /// Says that this process is ready, and takes the window over. From then on this process decides
    /// about all claims. `None` if the gateway has ended before: this process starts as usual, with
    /// the part of the window that has come.
    ///
    /// # Errors
    /// [`UpgradeError`]: the gateway goes on, and this process must end.
    pub(crate) fn take_over(self, running: &Arc<Running>) -> Result<Option<Tail>, UpgradeError> {
        let window = &running.window;
        let answering = Answering::on(&self.stream);
        let answering = answering.map_err(|error| Failure::from(FrameError::Io(error)))?;
        let taken = self.take_window(running);
        let events = || {
            window.here().fit(running.clock.now());
            window.entries()
        };
        let pid = self.handover.pid;
        match taken {
            Ok(leases) => {
                if let Some(journal) = &running.journal {
                    let journal = Arc::<WindowJournal>::clone(journal);
                    window.here().set_journal(journal);
                }
                log::info!(
                    "took over from the process {pid}, with {} events in the replay window",
                    events()
                );
                let process = (self.peer, pid);
                Ok(Some(answering.of(self.stream, process, running, leases)))
            }
            Err(Failure::Frame(FrameError::Ended)) if has_ended(&self.path)? => {
                let (own, now) = (window.here(), running.clock.now());
                Leases::new(own.in_flight(), Duration::ZERO, now).finish(own);
                log::warn!(
                    "the process {pid} has ended before it handed its replay window over: starting as usual, \
                     with the {} of its events that have come",
                    events()
                );
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Takes the window, and returns the claims of the other process in it.
    fn take_window(&self, running: &Running) -> Result<Leases, Failure> {
        let window = running.window.here();
        self.say(Kind::Ready)?;
        let deadline = Instant::now() + WINDOW;
        loop {
            let frame = frames::receive(&self.stream, Wait::Until(deadline))?;
            let is_good = match frame.kind {
                Kind::Entries => {
                    Change::read_all(&frame.payload, |change| window.take_over(&change))
                }
                Kind::Frozen => break,
                Kind::Refused => return Err(Failure::Refused(words(&frame.payload))),
                _ => false,
            };
            if !is_good {
                return Err(FrameError::Foreign.into());
            }
        }
        self.say(Kind::Taken)?;
        let frame = frames::receive(&self.stream, Wait::Until(Instant::now() + ANSWER))?;
        match frame.kind {
            Kind::Go => {
                let go = Go::from_bytes(&frame.payload).ok_or(FrameError::Foreign)?;
                if let Some(journal) = running.journal.as_ref().filter(|_| go.is_behind) {
                    journal.has_missed();
                }
                // No request was taken yet, so all that is in flight is of the other process.
                let now = running.clock.now();
                Ok(Leases::new(window.in_flight(), go.lease, now))
            }
            Kind::Refused => Err(Failure::Refused(words(&frame.payload))),
            _ => Err(FrameError::Foreign.into()),
        }
    }

    /// Sends a frame that says all by its kind. A gateway that hung up may have said why, so that is
    /// left to be read.
    fn say(&self, kind: Kind) -> Result<(), FrameError> {
        match frames::send(&self.stream, kind, &[]) {
            Err(FrameError::Ended) => Ok(()),
            said => said,
        }
    }
}

/// Whether no gateway answers any more on the socket of one that has ended the conversation.
fn has_ended(path: &Path) -> Result<bool, UpgradeError> {
    for _ in 0..LOOKS {
        if socket::connect(path)?.is_none() {
            return Ok(true);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}
