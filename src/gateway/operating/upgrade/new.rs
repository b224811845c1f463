//! The new process's side of an upgrade: it takes over from the running gateway, and answers its
//! questions until that one has ended.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::frames::{self, FrameError, Kind, Wait};
use super::messages::{Go, Handover, Hello, words};
use super::replies::Replies;
use super::{ORDER, UpgradeError, socket};
use crate::clock::{Clock, UnixMillis};
use crate::gateway::operating::inherited::Inherited;
use crate::gateway::running::Running;
use crate::gateway::running::journal::WindowJournal;
use crate::replay::journal::Written;
use crate::replay::passing::{Change, Question, Reply};
use crate::replay::{Claimed, Leases, ReplayWindow as _};
use crate::verify::claim::FingerprintKey;

/// The time in which the running gateway must answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The time in which its window must have come.
const WINDOW: Duration = Duration::from_secs(70);
/// The silence of the other process after which its leases are looked at.
const SILENCE: Duration = Duration::from_millis(250);
/// The times that a gateway is looked for which has ended the conversation, and the pause before each.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The gateway from which this process takes over.
#[derive(Debug)]
pub(crate) struct Predecessor {
    path: PathBuf,
    stream: UnixStream,
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
                Ok(Some(Tail {
                    stream: self.stream,
                    pid,
                    running: Arc::clone(running),
                    leases,
                    is_there: None,
                }))
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

/// The gateway before this one, while it finishes its requests.
pub(crate) struct Tail {
    stream: UnixStream,
    pid: u32,
    running: Arc<Running>,
    /// Its claims that are not settled. They are released when this is dropped.
    leases: Leases,
    is_there: Option<Arc<AtomicBool>>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let left = self.leases.finish(self.running.window.here());
        // Before another process may take over from this one.
        self.running.share_queue(false);
        if let Some(is_there) = &self.is_there {
            is_there.store(false, Ordering::Release);
        }
        let what_follows = if left == 0 {
            ""
        } else {
            ": their events may come again"
        };
        log::info!(
            "the process {} has ended; {left} of its claims were not settled{what_follows}",
            self.pid
        );
    }
}

impl Tail {
    /// Answers its questions, on a thread of its own, until it has ended. `is_there` is true until
    /// then.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn answer(mut self, is_there: &Arc<AtomicBool>) -> std::io::Result<()> {
        is_there.store(true, Ordering::Release);
        self.is_there = Some(Arc::clone(is_there));
        // The window on disk is waited for, and that wait has an end.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let replies = Replies::on(&self.stream)?;
        let begun = std::thread::Builder::new()
            .name("upgrade-answers".to_owned())
            .spawn(move || self.serve(&runtime, &replies));
        begun.map(drop)
    }

    fn serve(&mut self, runtime: &Runtime, replies: &Replies) {
        let Self {
            stream,
            pid,
            running,
            leases,
            ..
        } = self;
        let why = loop {
            // A process that asks is not stopped, so leases end only while it is silent.
            let mut look = || end_leases(running, leases, *pid);
            let frame = match frames::receive(stream, Wait::Beside(SILENCE, &mut look)) {
                Ok(frame) => frame,
                Err(why) => break why,
            };
            leases.hear(running.clock.now());
            let question = match frame.kind {
                Kind::Here => continue,
                Kind::Question => Question::from_bytes(&frame.payload),
                _ => None,
            };
            let Some((number, question)) = question else {
                break FrameError::Foreign;
            };
            let (reply, written) = reply(running, leases, question, runtime);
            replies.send(number, reply, written);
        };
        if !matches!(why, FrameError::Ended) {
            log::error!("the conversation with the process {pid} breaks: {why}");
        }
    }
}

/// Releases the claims of the process `pid` whose leases are over.
fn end_leases(running: &Running, leases: &mut Leases, pid: u32) {
    let ended = leases.end(running.window.here(), running.clock.now());
    if ended > 0 {
        log::warn!(
            "the process {pid} has not settled {ended} of its claims in time, as if it were stopped: they are \
             released, and their events may come again. To end it: kill -KILL {pid}"
        );
    }
}

/// The reply to a question of another process, and what is to be written before it is sent.
fn reply(
    running: &Running,
    leases: &mut Leases,
    question: Question,
    runtime: &Runtime,
) -> (Reply, Option<Written>) {
    let (window, now) = (&running.window, running.clock.now());
    match question {
        Question::Claim(arrival) => {
            let claimed = runtime.block_on(window.claim(&arrival, now));
            if let Ok(Claimed::Granted(ticket)) = claimed {
                leases.grant(ticket, now);
            }
            (Reply::Claimed(claimed), None)
        }
        Question::Commit(ticket) => {
            let written = leases.commit(ticket, false, window.here(), now);
            (Reply::Settled, written)
        }
        Question::Stored(ticket) => {
            let written = leases.commit(ticket, true, window.here(), now);
            (Reply::Settled, written)
        }
        Question::Release(ticket) => {
            leases.release(ticket, window.here());
            (Reply::Settled, None)
        }
    }
}
