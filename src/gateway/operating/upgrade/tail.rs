//! The gateway before this one, while it finishes its requests: its questions are answered, and its claims
//! are held until it has ended (contract: Upgrade).
//!
//! The conversation may end before the process does. Then its claims are held all the same: what it has
//! claimed may be at the app. Whatever it has written down as done by its end is done.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use super::frames::{self, FrameError, Kind, Wait};
use super::peer::Peer;
use super::replies::Replies;
use crate::gateway::running::Running;
use crate::gateway::running::journal::WindowJournal;
use crate::replay::journal::Written;
use crate::replay::passing::{Change, Question, Reply};
use crate::replay::{Claimed, Leases, ReplayWindow as _, WindowError};
use crate::store::StoreError;
use crate::verify::claim::Fingerprint;

/// The silence of the other process after which its leases are looked at.
const SILENCE: Duration = Duration::from_millis(250);

/// The time that a process may take to end once it has closed its files.
const ENDS: Duration = Duration::from_secs(2);

/// The threads that answer, before there is anything to be answered: they are made while this process can
/// still give up.
pub(super) struct Answering(Sender<Conversation>);

impl Answering {
    /// Answers on `stream`, once it is known what.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn on(stream: &UnixStream) -> std::io::Result<Self> {
        let replies = Replies::on(stream)?;
        let (begin, begun) = mpsc::channel::<Conversation>();
        let answers = std::thread::Builder::new().name("upgrade-answers".to_owned());
        answers.spawn(move || {
            if let Ok(conversation) = begun.recv() {
                conversation.run(replies);
            }
        })?;
        Ok(Self(begin))
    }

    /// The process `pid` at the other end of `stream`, which has these claims.
    pub(super) fn of(
        self,
        stream: UnixStream,
        (peer, pid): (Peer, u32),
        running: &Arc<Running>,
        leases: Leases,
    ) -> Tail {
        let conversation = Conversation {
            stream,
            peer,
            pid,
            running: Arc::clone(running),
            leases,
        };
        Tail {
            conversation,
            answering: self,
        }
    }
}

/// The gateway before this one, before it is answered.
pub(crate) struct Tail {
    conversation: Conversation,
    answering: Answering,
}

impl Tail {
    /// Answers its questions until it has ended, which [`Running::has_predecessor`] tells.
    pub(crate) fn answer(self) {
        let running = &self.conversation.running;
        running.has_predecessor.store(true, Ordering::Release);
        // The thread waits for it, and ends by nothing else.
        let _ = self.answering.0.send(self.conversation);
    }
}

/// What is known of the gateway before this one. Its claims that are left are released when this is dropped.
struct Conversation {
    stream: UnixStream,
    peer: Peer,
    pid: u32,
    running: Arc<Running>,
    /// Its claims that are not settled.
    leases: Leases,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let left = self.leases.finish(self.running.window.here());
        // Before another process may take over from this one.
        self.running.share_queue(false);
        self.running.has_predecessor.store(false, Ordering::Release);
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

impl Conversation {
    fn run(mut self, replies: Replies) {
        // A process that takes nothing for a while is not gone. An error means that the socket is closed already.
        let _ = self.stream.set_write_timeout(None);
        // A panic, which the hook has reported, ends the conversation, and not the other process.
        let why = catch_unwind(AssertUnwindSafe(|| self.serve(&replies)));
        // The other process finds that nobody answers any more.
        drop(replies);
        let why = why.map_or_else(|_| "a panic".to_owned(), |why| why.to_string());
        self.outlast(&why);
    }

    /// Answers until the conversation is over, and returns the reason.
    fn serve(&mut self, replies: &Replies) -> FrameError {
        loop {
            // A process that asks is not stopped, so leases end only while it is silent.
            let (stream, leases) = (&self.stream, &mut self.leases);
            let mut look = || look(&self.running, leases, self.pid);
            let frame = match frames::receive(stream, Wait::Beside(SILENCE, &mut look)) {
                Ok(frame) => frame,
                Err(why) => return why,
            };
            self.leases.hear(self.running.clock.now());
            let question = match frame.kind {
                Kind::Here => continue,
                Kind::Question => Question::from_bytes(&frame.payload),
                _ => None,
            };
            let Some((number, question)) = question else {
                return FrameError::Foreign;
            };
            let (reply, written) = self.reply(question);
            replies.send(number, reply, written);
        }
    }

    /// The reply to a question, and what is to be written before it is sent.
    fn reply(&mut self, question: Question) -> (Reply, Option<Written>) {
        let (running, leases) = (&*self.running, &mut self.leases);
        let (window, now) = (running.window.here(), running.clock.now());
        match question {
            Question::Claim(arrival) => match window.answer(&arrival, now) {
                Ok((Claimed::Granted(ticket), _)) if lacks_a_file(running, arrival.route) => {
                    running.window.abandon(ticket);
                    (Reply::Claimed(Err(WindowError::Unavailable)), None)
                }
                Ok((claimed, written)) => {
                    if let Claimed::Granted(ticket) = claimed {
                        leases.grant(ticket, now);
                    }
                    (Reply::Claimed(Ok(claimed)), written)
                }
                Err(error) => (Reply::Claimed(Err(error)), None),
            },
            Question::Commit(ticket) => {
                let written = leases.commit(ticket, false, window, now);
                (Reply::Settled, written)
            }
            Question::Stored(ticket) => {
                let written = leases.commit(ticket, true, window, now);
                (Reply::Settled, written)
            }
            Question::Release(ticket) => {
                leases.release(ticket, window);
                (Reply::Settled, None)
            }
        }
    }

    /// Holds the claims of the process until it has ended. Where the system does not say whether it has,
    /// until they are settled or their leases are over, and for a lease at least: without a claim it may
    /// still be delivering.
    fn outlast(&mut self, why: &str) {
        let has_ended = |own: &Self, time| {
            let ended = own.peer.ends_within(time);
            ended.unwrap_or_else(|| own.leases.are_over(own.running.clock.now()))
        };
        if !has_ended(self, ENDS) {
            log::error!(
                "the conversation with the process {} is over, and that process goes on ({why}): its claims are held \
                 until it ends or their leases are over",
                self.pid
            );
            while !has_ended(self, SILENCE) {
                look(&self.running, &mut self.leases, self.pid);
            }
        }
        settle_written(&self.running, &mut self.leases, self.pid);
    }
}

/// Releases the claims of the process `pid` whose leases are over, but for those that it has written down as
/// done.
fn look(running: &Running, leases: &mut Leases, pid: u32) {
    if leases.is_any_due(running.clock.now()) {
        settle_written(running, leases, pid);
        end_leases(running, leases, pid);
    }
}

/// Settles what the process `pid` has written down as done without saying so.
fn settle_written(running: &Running, leases: &mut Leases, pid: u32) {
    type Reading = fn(&WindowJournal, &mut dyn FnMut(Change)) -> Result<(), StoreError>;
    const READINGS: [Reading; 2] = [WindowJournal::read_queue, WindowJournal::read_window];
    let Some(journal) = &running.journal else {
        return;
    };
    let (window, now) = (running.window.here(), running.clock.now());
    for read in READINGS {
        match leases.settle_written(window, now, |each| read(journal, each)) {
            Ok(0) => {}
            Ok(count) => log::info!(
                "the process {pid} has written down {count} of its claims as done, without saying so"
            ),
            Err(error) => log::error!(
                "what the process {pid} has written cannot be read, so its events may come again: {error}"
            ),
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

/// Whether a claim of this route could not be written when it is done, and the configuration refuses such a
/// claim, as in an exchange. What is stored with its delivery is refused where the store cannot write.
fn lacks_a_file(running: &Running, route: Fingerprint) -> bool {
    let snapshot = running.snapshot.load();
    let is_written = |journal: &Arc<WindowJournal>| journal.is_writable();
    if !snapshot.refuses_unwritten || running.journal.as_ref().is_none_or(is_written) {
        return false;
    }
    let mut routes = snapshot.routes.iter().map(|(_, route)| route);
    !routes.any(|own| {
        let stores = own.queue.as_ref().is_some_and(|own| own.accepts);
        stores && own.fingerprints.route == route
    })
}
