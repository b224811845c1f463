//! The process that has taken over, as the authority for the claims of the process that finishes its
//! requests.
//!
//! Questions are taken from the moment at which the window is frozen, and wait until it is clear who
//! has it. Then a thread writes them to the other process and another reads the replies.

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::frames::{self, Kind, Wait};
use crate::replay::passing::{Question, Reply};
use crate::replay::shared::{Answering, Authority, Unanswered};
use crate::replay::{Claimed, ReplayWindow as _, Ticket, Window};

/// The longest wait for a reply (contract: Upgrade).
const PATIENCE: Duration = Duration::from_secs(2);

/// The silence after which this process says that it goes on. The other one takes a longer one for a sign
/// that it is stopped.
const SILENCE: Duration = Duration::from_millis(100);

type Asker = oneshot::Sender<Result<Reply, Unanswered>>;

/// The authority, before and after the window has passed.
#[derive(Debug)]
pub(super) struct Successor {
    // A plain lock: held to put a question in or take it out.
    questions: Mutex<Questions>,
    has_more: Condvar,
    // A plain lock, likewise.
    asked: Mutex<HashMap<u64, Asker>>,
}

#[derive(Debug)]
struct Questions {
    stage: Stage,
    waiting: VecDeque<(Question, Option<Asker>)>,
}

/// Who has the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is not clear yet.
    Passing,
    /// The other process.
    Passed,
    /// This process, again.
    Here,
    /// The other process, which does not answer any more.
    Failed,
}

impl Successor {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            questions: Mutex::new(Questions {
                stage: Stage::Passing,
                waiting: VecDeque::new(),
            }),
            has_more: Condvar::new(),
            asked: Mutex::default(),
        })
    }

    /// The window did not pass, and `window` decides again. Whoever waits is told.
    pub(super) fn stays_here(&self, window: &Window) {
        let waiting = {
            let mut questions = self.questions();
            questions.stage = Stage::Here;
            std::mem::take(&mut questions.waiting)
        };
        for (question, asker) in waiting {
            match (question, asker) {
                (_, Some(asker)) => drop(asker.send(Err(Unanswered::IsHere))),
                (Question::Release(ticket), None) => window.abandon(ticket),
                (_, None) => {}
            }
        }
    }

    /// The window has passed to the process at the other end of `stream`. Returns when that process
    /// has ended; questions fail from then on.
    pub(super) fn passed(self: &Arc<Self>, stream: &UnixStream) {
        self.questions().stage = Stage::Passed;
        let own = Arc::clone(self);
        let writing = stream.try_clone().and_then(|stream| {
            let write = move || own.write(&stream);
            std::thread::Builder::new()
                .name("upgrade-asks".to_owned())
                .spawn(write)
        });
        if let Err(error) = writing {
            log::error!("the gateway that took over cannot be asked: {error}");
        } else {
            self.read(stream);
        }
        self.fail();
    }

    fn write(&self, stream: &UnixStream) {
        let mut number = 0;
        while let Some(next) = self.next() {
            let Some((question, asker)) = next else {
                if frames::send(stream, Kind::Here, &[]).is_err() {
                    break;
                }
                continue;
            };
            let is_in_vain = asker.as_ref().is_some_and(Asker::is_closed);
            if is_in_vain && matches!(question, Question::Claim(_)) {
                continue;
            }
            number += 1;
            if let Some(asker) = asker {
                self.asked().insert(number, asker);
            }
            if frames::send(stream, Kind::Question, &question.to_bytes(number)).is_err() {
                break;
            }
        }
        self.fail();
        // An error means that it is closed already.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    /// The next question, waited for; `Some(None)` after some silence. `None` when the other process does
    /// not answer any more.
    #[expect(
        clippy::option_option,
        reason = "the end, a silence and a question are three things"
    )]
    fn next(&self) -> Option<Option<(Question, Option<Asker>)>> {
        let mut questions = self.questions();
        loop {
            if questions.stage != Stage::Passed {
                return None;
            }
            if let Some(next) = questions.waiting.pop_front() {
                return Some(Some(next));
            }
            let waited = self.has_more.wait_timeout(questions, SILENCE);
            let (found, silence) = waited.unwrap_or_else(PoisonError::into_inner);
            if silence.timed_out() {
                return Some(None);
            }
            questions = found;
        }
    }

    fn read(&self, stream: &UnixStream) {
        while let Ok(frame) = frames::receive(stream, Wait::Forever) {
            let reply = Reply::from_bytes(&frame.payload).filter(|_| frame.kind == Kind::Reply);
            let Some((number, reply)) = reply else {
                log::error!("the gateway that took over says what is no reply");
                return;
            };
            let asker = self.asked().remove(&number);
            let left = asker.map_or(Ok(()), |asker| asker.send(Ok(reply)));
            if let Err(Ok(Reply::Claimed(Ok(Claimed::Granted(ticket))))) = left {
                let _ = self.release(ticket);
            }
        }
    }

    fn fail(&self) {
        {
            let mut questions = self.questions();
            questions.stage = Stage::Failed;
            // Whoever asked finds that nobody will answer.
            questions.waiting.clear();
        }
        self.has_more.notify_all();
        self.asked().clear();
    }

    fn put(&self, question: Question, asker: Option<Asker>) -> Result<(), Unanswered> {
        let mut questions = self.questions();
        match questions.stage {
            Stage::Passing | Stage::Passed => questions.waiting.push_back((question, asker)),
            Stage::Here => return Err(Unanswered::IsHere),
            Stage::Failed => return Err(Unanswered::Failed),
        }
        drop(questions);
        self.has_more.notify_one();
        Ok(())
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, Asker>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits for its reply. A claim that is granted to nobody is given back.
struct Waiting<'s> {
    reply: oneshot::Receiver<Result<Reply, Unanswered>>,
    successor: &'s Successor,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.reply.close();
        if let Ok(Ok(Reply::Claimed(Ok(Claimed::Granted(ticket))))) = self.reply.try_recv() {
            let _ = self.successor.release(ticket);
        }
    }
}

impl Authority for Successor {
    fn ask(&self, question: Question) -> Answering<'_> {
        Box::pin(async move {
            let (asker, reply) = oneshot::channel();
            self.put(question, Some(asker))?;
            let mut waiting = Waiting {
                reply,
                successor: self,
            };
            match timeout(PATIENCE, &mut waiting.reply).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) | Err(_) => Err(Unanswered::Failed),
            }
        })
    }

    fn release(&self, ticket: Ticket) -> Result<(), Unanswered> {
        match self.put(Question::Release(ticket), None) {
            // Nobody has the claim any more, since its window is gone.
            Ok(()) | Err(Unanswered::Failed) => Ok(()),
            Err(Unanswered::IsHere) => Err(Unanswered::IsHere),
        }
    }
}
