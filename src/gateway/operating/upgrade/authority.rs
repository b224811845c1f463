//! The process that has taken over, as the authority for the claims of the process that finishes its
//! requests.
//!
//! Questions are taken from the moment at which the window is frozen, and wait until it is clear who
//! has it. Then a thread writes them to the other process and another reads the replies.
//!
//! A question whose reply has not come in time goes on: it is sent all the same, and where nobody is left to
//! be asked, it is settled here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::frames::{self, Kind, Wait};
use crate::clock::{Clock, Now};
use crate::replay::passing::{Question, Reply};
use crate::replay::shared::{Answering, Authority, Unanswered};
use crate::replay::{Claimed, Ticket, Window};

/// The longest wait for a reply (contract: Upgrade).
const PATIENCE: Duration = Duration::from_secs(2);

/// The silence after which this process says that it goes on. The other one takes a longer one for a sign
/// that it is stopped.
const SILENCE: Duration = Duration::from_millis(100);

type Answer = Result<Reply, Unanswered>;
type Asker = oneshot::Sender<Answer>;

/// The authority, before and after the window has passed.
#[derive(Debug)]
pub(super) struct Successor {
    // A plain lock: held to put a question in, to take it out, and to end the wait for its reply.
    questions: Mutex<Questions>,
    has_more: Condvar,
}

#[derive(Debug)]
struct Questions {
    stage: Stage,
    waiting: VecDeque<(Question, Option<Asker>)>,
    /// The number of the question that was sent last.
    number: u64,
    /// The questions that were sent and not answered, by their numbers.
    asked: HashMap<u64, (Question, Asker)>,
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
    /// The other process, which cannot be asked any more.
    Over,
}

impl Questions {
    /// The next question to be sent, with its number.
    fn next(&mut self) -> Option<(u64, Question)> {
        loop {
            let (question, asker) = self.waiting.pop_front()?;
            let is_in_vain = asker.as_ref().is_some_and(Asker::is_closed);
            if is_in_vain && matches!(question, Question::Claim(_)) {
                continue;
            }
            self.number += 1;
            if let Some(asker) = asker {
                self.asked.insert(self.number, (question, asker));
            }
            return Some((self.number, question));
        }
    }
}

impl Successor {
    /// The process at the other end of `stream`, once the window has passed.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn over(stream: &UnixStream) -> io::Result<Arc<Self>> {
        let successor = Arc::new(Self {
            questions: Mutex::new(Questions {
                stage: Stage::Passing,
                waiting: VecDeque::new(),
                number: 0,
                asked: HashMap::new(),
            }),
            has_more: Condvar::new(),
        });
        let (own, stream) = (Arc::clone(&successor), stream.try_clone()?);
        let begun = std::thread::Builder::new().name("upgrade-asks".to_owned());
        begun.spawn(move || own.write(&stream))?;
        Ok(successor)
    }

    /// The window did not pass, and `window` decides again. Whoever waits hears of it; what nobody waits for
    /// any more is settled.
    pub(super) fn stays_here(&self, window: &Window, now: Now) {
        let left: Vec<_> = {
            let mut questions = self.questions();
            questions.stage = Stage::Here;
            let waiting = questions.waiting.drain(..);
            let unheard = |(question, asker): (Question, Option<Asker>)| {
                let is_heard =
                    asker.is_some_and(|asker| asker.send(Err(Unanswered::IsHere)).is_ok());
                (!is_heard).then_some(question)
            };
            waiting.filter_map(unheard).collect()
        };
        self.has_more.notify_all();
        for question in left {
            window.settle_here(question, now);
        }
    }

    /// The window has passed to the process at the other end of `stream`. Returns when that process
    /// cannot be asked any more; what it did not answer is written down in `window`.
    pub(super) fn passed(&self, stream: &UnixStream, window: &Window, clock: &Clock) {
        // A process that does not read for a while is not gone, and nobody waits for it longer than
        // `PATIENCE`. An error means that the socket is closed already, as below.
        let _ = stream.set_write_timeout(None);
        self.questions().stage = Stage::Passed;
        self.has_more.notify_all();
        self.read(stream);
        // The thread that writes may wait for a process that takes nothing.
        let _ = stream.shutdown(Shutdown::Both);
        window.ask_no_more(clock.now());
    }

    fn write(&self, stream: &UnixStream) {
        while let Some(next) = self.next() {
            let sent = match next {
                Some((number, question)) => {
                    frames::send(stream, Kind::Question, &question.to_bytes(number))
                }
                None => frames::send(stream, Kind::Here, &[]),
            };
            if sent.is_err() {
                // Whoever reads finds that the conversation is over.
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// The next question with its number, waited for; `Some(None)` after some silence. `None` when there
    /// is nobody to be asked any more.
    #[expect(
        clippy::option_option,
        reason = "the end, a silence and a question are three things"
    )]
    fn next(&self) -> Option<Option<(u64, Question)>> {
        let mut questions = self.questions();
        loop {
            match questions.stage {
                Stage::Passing => {}
                Stage::Passed => {
                    if let Some(next) = questions.next() {
                        return Some(Some(next));
                    }
                }
                Stage::Here | Stage::Over => return None,
            }
            let waited = self.has_more.wait_timeout(questions, SILENCE);
            let (found, silence) = waited.unwrap_or_else(PoisonError::into_inner);
            questions = found;
            if silence.timed_out() && questions.stage == Stage::Passed {
                return Some(None);
            }
        }
    }

    fn read(&self, stream: &UnixStream) {
        while let Ok(frame) = frames::receive(stream, Wait::Forever) {
            let reply = Reply::from_bytes(&frame.payload).filter(|_| frame.kind == Kind::Reply);
            let Some((number, reply)) = reply else {
                log::error!("the gateway that took over says what is no reply");
                return;
            };
            let asked = self.questions().asked.remove(&number);
            let left = asked.map_or(Ok(()), |(_, asker)| asker.send(Ok(reply)));
            if let Err(Ok(Reply::Claimed(Ok(Claimed::Granted(ticket))))) = left {
                let _ = self.release(ticket);
            }
        }
    }

    fn put(&self, question: Question, asker: Option<Asker>) -> Result<(), Unanswered> {
        let mut questions = self.questions();
        match questions.stage {
            Stage::Passing | Stage::Passed => questions.waiting.push_back((question, asker)),
            Stage::Here => return Err(Unanswered::IsHere),
            Stage::Over => return Err(Unanswered::Over),
        }
        drop(questions);
        self.has_more.notify_one();
        Ok(())
    }

    /// The end of the wait for a reply that has not come in time. From then on `reply` is closed, so that
    /// whoever finds it so settles the question.
    fn give_up(&self, reply: &mut oneshot::Receiver<Answer>) -> Answer {
        let questions = self.questions();
        match reply.try_recv() {
            Ok(reply) => reply,
            Err(_) if questions.stage == Stage::Over => Err(Unanswered::Over),
            Err(_) => {
                reply.close();
                Err(Unanswered::Late)
            }
        }
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits for its reply. A claim that is granted to nobody is given back.
struct Waiting<'s> {
    reply: oneshot::Receiver<Answer>,
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
                Ok(reply) => reply.unwrap_or(Err(Unanswered::Over)),
                Err(_) => self.give_up(&mut waiting.reply),
            }
        })
    }

    fn release(&self, ticket: Ticket) -> Result<(), Unanswered> {
        match self.put(Question::Release(ticket), None) {
            Err(Unanswered::IsHere) => Err(Unanswered::IsHere),
            // Nobody has the claim any more where its window is gone.
            Ok(()) | Err(Unanswered::Over | Unanswered::Late) => Ok(()),
        }
    }

    /// Whoever waits finds by itself that nobody answers.
    fn end(&self) -> Vec<Question> {
        let left = {
            let mut questions = self.questions();
            questions.stage = Stage::Over;
            let asked = std::mem::take(&mut questions.asked).into_values();
            let waiting = questions.waiting.drain(..);
            let waiting = waiting.filter_map(|(question, asker)| Some((question, asker?)));
            let late = asked.chain(waiting).filter(|(_, asker)| asker.is_closed());
            late.map(|(question, _)| question).collect()
        };
        self.has_more.notify_all();
        left
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::clock::UnixMillis;
    use crate::replay::journal::{Journal, Told, Written};
    use crate::replay::{Claim, ReplayWindow as _, Settlement};
    use crate::verify::claim::{Fingerprint, sample};

    /// Counts what it is given to write.
    #[derive(Debug, Default)]
    struct Counting(Mutex<usize>);

    impl Journal for Counting {
        fn append(&self, told: Vec<Told>) -> Written {
            *self.0.lock().unwrap() += told.len();
            Box::pin(std::future::ready(()))
        }

        fn up_to_now(&self, _: Fingerprint) -> Written {
            Box::pin(std::future::ready(()))
        }
    }

    /// A window with a claim, frozen, and the process to which it passes.
    struct Setting {
        written: Arc<Counting>,
        runtime: tokio::runtime::Runtime,
        window: Arc<Window>,
        clock: Clock,
        claim: Claim,
        successor: Arc<Successor>,
        stream: UnixStream,
        other: UnixStream,
    }

    impl Setting {
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_time().build().unwrap();
            let window = Arc::new(Window::new(10));
            let written = Arc::<Counting>::default();
            let journal = Arc::<Counting>::clone(&written);
            window.here().set_journal(journal);
            let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
            let claimed = runtime.block_on(window.claim(&sample(1), clock.now()));
            let Ok(Claimed::Granted(ticket)) = claimed else {
                panic!("{claimed:?} instead of a claim");
            };
            let (stream, other) = UnixStream::pair().unwrap();
            let successor = Successor::over(&stream).unwrap();
            window.set_authority(Some(Arc::<Successor>::clone(&successor)));
            for shard in 0..window.here().shards() {
                window.here().freeze(shard);
            }
            Self {
                written,
                runtime,
                claim: Claim::new(Arc::clone(&window), ticket),
                window,
                clock,
                successor,
                stream,
                other,
            }
        }
    }

    /// A claim that was given back in vain, because that took too long, was in flight for good.
    #[test]
    fn what_timed_out_while_the_window_was_passing_is_settled_where_the_window_stays() {
        let it = Setting::new();
        let now = it.clock.now();
        let released = it
            .runtime
            .block_on(it.claim.settle(Settlement::Released, now));
        assert!(released.is_err(), "nobody has the window");
        it.window.here().thaw();
        it.successor.stays_here(&it.window, now);
        it.window.set_authority(None);
        assert_eq!(it.window.entries(), 0);
    }

    #[test]
    fn rx_36_what_timed_out_is_written_down_as_done_once_nobody_can_be_asked_any_more() {
        let it = Setting::new();
        let (own, stream) = (Arc::clone(&it.successor), it.stream.try_clone().unwrap());
        let (window, clock) = (Arc::clone(&it.window), it.clock.clone());
        let passed = std::thread::spawn(move || own.passed(&stream, &window, &clock));
        let settling = it.claim.settle(Settlement::Done, it.clock.now());
        assert!(it.runtime.block_on(settling).is_err(), "it says nothing");
        assert_eq!(*it.written.0.lock().unwrap(), 0, "it may be slow");
        drop(it.other);
        passed.join().unwrap();
        assert_eq!(*it.written.0.lock().unwrap(), 1);
    }

    /// A limit that was meant for the hand-over ended the conversation with a process that was slow once.
    #[test]
    fn a_process_that_has_the_window_may_take_its_time_to_read() {
        let it = Setting::new();
        let limit = Some(Duration::from_millis(1500));
        it.stream.set_write_timeout(limit).unwrap();
        let (own, stream) = (Arc::clone(&it.successor), it.stream.try_clone().unwrap());
        let (window, clock) = (Arc::clone(&it.window), it.clock.clone());
        let passed = std::thread::spawn(move || own.passed(&stream, &window, &clock));
        let mut context = Context::from_waker(Waker::noop());
        let mut asking = std::pin::pin!(it.claim.settle(Settlement::Done, it.clock.now()));
        let asked = it.runtime.block_on(async {
            assert!(asking.as_mut().poll(&mut context).is_pending());
            frames::receive(&it.other, Wait::Forever)
        });
        assert_eq!(asked.unwrap().kind, Kind::Question);
        assert_eq!(it.stream.write_timeout().unwrap(), None);
        drop(it.other);
        passed.join().unwrap();
    }
}
