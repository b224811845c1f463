//! The way of log lines to their sink, within 100 ms (contract: Configuration): a bounded queue,
//! and the thread that writes its lines.
//!
//! A caller appends its line under a lock that is never held during input or output, so a sink that
//! blocks or fails delays nobody. Lines that find no room are dropped whole and counted. The
//! content of a line is not known here.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prometheus::IntCounter;

use super::rate_limit::RateLimit;
use crate::clock::Clock;

/// The most bytes that may wait for the sink, including those that are being written: some twenty
/// thousand lines.
const MAX_PENDING: usize = 8 << 20;

/// How long a batch is gathered after its first line: short beside the promised 100 ms, long beside
/// a request, so that a busy gateway wakes the thread at most fifty times a second.
const GATHER: Duration = Duration::from_millis(20);

/// The pause before another attempt at a non-blocking sink (a pipe, for instance) that was full.
const RETRY: Duration = Duration::from_millis(10);

/// The capacity that the buffer keeps: what it grew beyond this while the sink was jammed is given
/// back.
const KEPT_CAPACITY: usize = 1 << 20;

/// How long [`LogWriter`] waits for the sink when it is dropped.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// The least time between two warnings about a failing sink.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// The lines that wait for the writing thread.
#[derive(Debug)]
pub(super) struct Queue {
    // A plain lock: held for one copy of a line or one swap of two buffers, never during a write.
    pending: Mutex<Pending>,
    // Wakes the writing thread: for the first line of a batch, and when the queue is closed.
    filled: Condvar,
    // Wakes the guard when the writing thread has ended.
    ended: Condvar,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    lines: u64,
    // The size of the batch that is being written.
    written_bytes: usize,
    written_lines: u64,
    is_closed: bool,
    has_ended: bool,
}

impl Queue {
    /// Takes a whole line, its line feed included, or drops and counts it. Returns at once.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = self.lock();
        let room = MAX_PENDING
            .saturating_sub(pending.bytes.len())
            .saturating_sub(pending.written_bytes);
        if pending.is_closed || line.len() > room {
            drop(pending);
            self.dropped.inc();
            return;
        }
        let is_first = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        pending.lines += 1;
        drop(pending);
        // Waking is a system call, so it is done once for a batch and not for every line.
        if is_first {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // If a thread panicked while it held the lock, the worst it left behind is a part of a
        // line.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and swaps them into `batch`, which must be empty. Returns `false` when the
    /// queue is closed and nothing is left.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let pending = self.lock();
        let pending = self
            .filled
            .wait_while(pending, |pending| {
                pending.bytes.is_empty() && !pending.is_closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let (mut pending, _) = self
            .filled
            .wait_timeout_while(pending, GATHER, |pending| !pending.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut pending.bytes, batch);
        pending.written_bytes = batch.len();
        pending.written_lines = std::mem::take(&mut pending.lines);
        !batch.is_empty()
    }

    fn batch_is_written(&self) {
        let mut pending = self.lock();
        pending.written_bytes = 0;
        pending.written_lines = 0;
    }
}

/// Guards the writing thread. [`LogWriter::finish`] writes the pending lines and ends the thread;
/// so does dropping the guard, which waits for at most a second.
#[derive(Debug)]
pub struct LogWriter {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Starts the thread. Lines that are lost, whatever the reason, are counted in `dropped`.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<(Arc<Queue>, Self)> {
        let queue = Arc::new(Queue {
            pending: Mutex::default(),
            filled: Condvar::new(),
            ended: Condvar::new(),
            dropped,
        });
        let of_thread = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let queue = of_thread;
                // Dropped however the thread ends, by a panic too; its drop wakes the guard.
                let _signal = SignalEnd(&queue);
                write_batches(&queue, Sink::new(sink));
            })?;
        Ok((
            Arc::clone(&queue),
            Self {
                queue,
                thread: Some(thread),
            },
        ))
    }

    /// Takes no more lines, writes the pending lines and ends the thread; gives up after `limit`,
    /// since the sink may be blocked. Returns how many lines were left unwritten; they are counted
    /// as dropped. There is no warning about them: where both outputs lead to the same blocked
    /// pipe, the warning would wait for ever.
    pub fn finish(mut self, limit: Duration) -> u64 {
        self.close(limit)
    }

    fn close(&mut self, limit: Duration) -> u64 {
        let Some(thread) = self.thread.take() else {
            return 0;
        };
        let mut pending = self.queue.lock();
        pending.is_closed = true;
        self.queue.filled.notify_all();
        let (mut pending, _) = self
            .queue
            .ended
            .wait_timeout_while(pending, limit, |pending| !pending.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut pending.lines);
        pending.bytes.clear();
        let left = waiting + pending.written_lines;
        let has_ended = pending.has_ended;
        drop(pending);
        self.queue.dropped.inc_by(left);
        if has_ended {
            // The thread has nothing left to do, so this does not wait. If it panicked, that was
            // reported when it happened.
            let _ = thread.join();
        }
        left
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.close(DROP_LIMIT);
    }
}

struct SignalEnd<'a>(&'a Queue);

impl Drop for SignalEnd<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.lock();
        // After a panic of the sink nobody takes lines any more.
        pending.is_closed = true;
        pending.has_ended = true;
        self.0.ended.notify_all();
    }
}

fn write_batches<W: Write>(queue: &Queue, mut sink: Sink<W>) {
    let clock = Clock::system();
    let warnings = RateLimit::new(WARN_INTERVAL);
    let mut batch = Vec::new();
    while queue.take(&mut batch) {
        if let Err((lost, error)) = sink.write_batch(&batch) {
            queue.dropped.inc_by(lost);
            if let Some(more) = warnings.allow(clock.now().mono) {
                log::warn!(
                    "a log cannot be written, {lost} lines are lost: {error} \
                     ({more} more failures since the last such warning)"
                );
            }
        }
        queue.batch_is_written();
        batch.clear();
        batch.shrink_to(KEPT_CAPACITY);
    }
}

/// The sink, and whether its last line was cut off in the middle.
struct Sink<W> {
    inner: W,
    is_torn: bool,
}

impl<W: Write> Sink<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            is_torn: false,
        }
    }

    /// Writes a batch of lines, by a single call where possible. On an error the rest of the batch
    /// is given up: returns how many lines are lost, counting a line that was cut off in the
    /// middle. The next batch then begins on a new line.
    fn write_batch(&mut self, batch: &[u8]) -> Result<(), (u64, io::Error)> {
        if self.is_torn {
            self.write_all(b"\n")
                .map_err(|(_, error)| (count_lines(batch), error))?;
            self.is_torn = false;
        }
        let written = self.write_all(batch);
        // A sink with a buffer of its own may have kept some of the batch; nobody knows how much,
        // so the whole batch counts as lost.
        let written = written.and_then(|()| self.inner.flush().map_err(|error| (0, error)));
        written.map_err(|(done, error)| {
            let (done, rest) = batch.split_at_checked(done).unwrap_or((batch, &[]));
            self.is_torn = done.last().is_some_and(|byte| *byte != b'\n');
            (count_lines(rest), error)
        })
    }

    /// Writes all bytes. An error comes with the number of bytes written before it.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.inner.write(rest) {
                Ok(0) => return Err((done, ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => return Err((done, error)),
            }
        }
        Ok(())
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").unwrap()
    }

    /// A sink that reports each write, then waits for the test to say how that write ends.
    struct Told {
        entered: mpsc::Sender<Vec<u8>>,
        answers: mpsc::Receiver<io::Result<usize>>,
    }

    fn told() -> (
        Told,
        mpsc::Receiver<Vec<u8>>,
        mpsc::Sender<io::Result<usize>>,
    ) {
        let (entered, writes) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        (Told { entered, answers }, writes, answer)
    }

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.entered
                .send(bytes.to_vec())
                .map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
            self.answers
                .recv()
                .unwrap_or(Ok(bytes.len()))
                .map(|count| count.min(bytes.len()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const ALL: io::Result<usize> = Ok(usize::MAX);

    #[test]
    fn a_line_reaches_the_sink_without_being_asked_for() {
        let (sink, writes, answer) = told();
        let (queue, _writer) = LogWriter::start(sink, counter()).unwrap();
        for _ in 0..3 {
            queue.push(b"{}\n");
            assert_eq!(writes.recv_timeout(LONG).unwrap(), b"{}\n");
            answer.send(ALL).unwrap();
        }
    }

    #[test]
    fn lines_that_come_during_a_write_leave_in_one_batch_and_in_order() {
        let (sink, writes, answer) = told();
        let (queue, writer) = LogWriter::start(sink, counter()).unwrap();
        queue.push(b"0\n");
        writes.recv_timeout(LONG).unwrap();
        let expected: Vec<u8> = (1..1000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        for n in 1..1000 {
            queue.push(format!("{n}\n").as_bytes());
        }
        answer.send(ALL).unwrap();
        assert_eq!(writes.recv_timeout(LONG).unwrap(), expected);
        answer.send(ALL).unwrap();
        assert_eq!(writer.finish(LONG), 0);
    }

    #[test]
    fn a_blocked_sink_delays_nobody_and_what_finds_no_room_is_counted_whole() {
        let (sink, writes, answer) = told();
        let dropped = counter();
        let (queue, writer) = LogWriter::start(sink, dropped.clone()).unwrap();
        let line = [vec![b'x'; 65_535], vec![b'\n']].concat();
        queue.push(&line);
        let mut received = writes.recv_timeout(LONG).unwrap();
        // The sink is blocked from here on; these pushes would hang if they waited for it.
        for _ in 0..1000 {
            queue.push(&line);
        }
        let fit = MAX_PENDING / line.len() - 1;
        assert_eq!(dropped.get(), 1000 - fit as u64);
        answer.send(ALL).unwrap();
        received.extend(writes.recv_timeout(LONG).unwrap());
        answer.send(ALL).unwrap();
        assert!(
            received.chunks(line.len()).all(|chunk| chunk == line),
            "a line was torn"
        );
        assert_eq!(received.len() / line.len(), fit + 1);
        // There is room again.
        queue.push(&line);
        assert_eq!(writes.recv_timeout(LONG).unwrap(), line);
        answer.send(ALL).unwrap();
        assert_eq!(writer.finish(LONG), 0);
        assert_eq!(dropped.get(), 1000 - fit as u64);
    }

    #[test]
    fn the_end_writes_what_is_pending() {
        let (sink, writes, answer) = told();
        let (queue, writer) = LogWriter::start(sink, counter()).unwrap();
        queue.push(b"1\n");
        queue.push(b"2\n");
        answer.send(ALL).unwrap();
        answer.send(ALL).unwrap();
        assert_eq!(writer.finish(LONG), 0);
        assert_eq!(writes.try_iter().flatten().collect::<Vec<_>>(), b"1\n2\n");
    }

    #[test]
    fn the_end_does_not_wait_for_a_blocked_sink_and_counts_what_is_left() {
        let (sink, writes, answer) = told();
        let dropped = counter();
        let (queue, writer) = LogWriter::start(sink, dropped.clone()).unwrap();
        queue.push(b"1\n");
        writes.recv_timeout(LONG).unwrap();
        queue.push(b"2\n");
        queue.push(b"3\n");
        assert_eq!(writer.finish(Duration::from_millis(5)), 3);
        assert_eq!(dropped.get(), 3);
        queue.push(b"4\n");
        assert_eq!(dropped.get(), 4);
        drop(answer);
    }

    #[test]
    fn a_sink_that_fails_loses_its_lines_counted_and_the_next_ones_start_on_a_line_of_their_own() {
        let (sink, writes, answer) = told();
        let dropped = counter();
        let (queue, writer) = LogWriter::start(sink, dropped.clone()).unwrap();
        queue.push(b"one\n");
        assert_eq!(writes.recv_timeout(LONG).unwrap(), b"one\n");
        queue.push(b"two\n");
        queue.push(b"three\n");
        answer.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
        assert_eq!(writes.recv_timeout(LONG).unwrap(), b"two\nthree\n");
        answer.send(Ok(6)).unwrap();
        assert_eq!(writes.recv_timeout(LONG).unwrap(), b"ree\n");
        queue.push(b"four\n");
        answer.send(Err(ErrorKind::StorageFull.into())).unwrap();
        assert_eq!(writes.recv_timeout(LONG).unwrap(), b"\n");
        assert_eq!(dropped.get(), 2);
        answer.send(ALL).unwrap();
        assert_eq!(writes.recv_timeout(LONG).unwrap(), b"four\n");
        answer.send(ALL).unwrap();
        assert_eq!(writer.finish(LONG), 0);
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn a_sink_that_would_block_or_is_interrupted_is_asked_again() {
        let (sink, writes, answer) = told();
        let dropped = counter();
        let (queue, writer) = LogWriter::start(sink, dropped.clone()).unwrap();
        queue.push(b"line\n");
        for reply in [
            Err(ErrorKind::WouldBlock.into()),
            Err(ErrorKind::Interrupted.into()),
            ALL,
        ] {
            assert_eq!(writes.recv_timeout(LONG).unwrap(), b"line\n");
            answer.send(reply).unwrap();
        }
        assert_eq!(writer.finish(LONG), 0);
        assert_eq!(dropped.get(), 0);
    }
}
