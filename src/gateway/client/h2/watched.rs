//! The bytes of an HTTP/2 connection on their way to `h2` and back: its frames are counted, and a
//! client that takes nothing ends it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::frames::{Frame, FrameReader, PREFACE};
use super::tally::{Sender, Tally};
use crate::gateway::client::port::{LINGER_BYTES, LINGER_IDLE, LINGER_TOTAL};
use crate::gateway::client::stream::Stream;

/// The bytes that are read before everything else on the thread has its turn. They may be thousands
/// of frames.
const AT_A_STRETCH: usize = 64 * 1024;

/// A connection whose frames are counted.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    watch: Watch,
    read: FrameReader,
    written: FrameReader,
    /// The bytes that were read since the last turn of the others.
    at_a_stretch: usize,
    write_timeout: Duration,
    /// The end of the time in which the client must take something.
    patience: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

/// What is left of a connection that the gateway has ended, while the client reads why.
#[derive(Debug)]
struct Lingering {
    discarded: usize,
    end: Instant,
    silence: Pin<Box<Sleep>>,
}

/// What the task of a connection and the bytes below it tell each other. That task alone uses it, so
/// the lock is free.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Watching>>);

#[derive(Debug)]
pub(super) struct Watching {
    pub(super) tally: Tally,
    /// Whether nothing is read, because requests that were read wait to be taken.
    pub(super) is_paused: bool,
    /// Whether so much was read that everything else on the thread must have its turn. The task has
    /// been woken for its next one.
    pub(super) has_enough: bool,
}

impl Watch {
    /// The watch over a connection that begins now.
    pub(super) fn new(is_exempt: bool) -> Self {
        Self(Arc::new(Mutex::new(Watching {
            tally: Tally::new(is_exempt, Instant::now()),
            is_paused: false,
            has_enough: false,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    pub(super) fn new(stream: Stream, watch: Watch, write_timeout: Duration) -> Self {
        Self {
            stream,
            watch,
            read: FrameReader::after(PREFACE),
            written: FrameReader::after(0),
            at_a_stretch: 0,
            write_timeout,
            patience: None,
            lingering: None,
        }
    }

    /// Gives the outcome of a write on, unless the client has taken nothing for too long.
    fn patient<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.patience = None;
            return outcome;
        }
        let limit = self.write_timeout;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Writes down that `h2` itself resets a stream, because its request breaks the rules of HTTP/2: such a
/// request never becomes an exchange, which would be logged.
fn tell_of_rejected(frame: Frame) {
    let Frame::Reset { stream, code } = frame else {
        return;
    };
    let reason = Reason::from(code);
    match reason {
        // The reasons of exchanges, and of streams that are not taken.
        Reason::NO_ERROR | Reason::INTERNAL_ERROR | Reason::CANCEL | Reason::REFUSED_STREAM => {}
        _ => log::debug!("the HTTP/2 stream {stream} is reset: {reason} ({reason:?})"),
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut watch = this.watch.lock();
        // Where there was too much of something, the task is about to end the connection.
        if watch.is_paused || watch.tally.excess().is_some() {
            return Poll::Pending;
        }
        if this.at_a_stretch >= AT_A_STRETCH {
            this.at_a_stretch = 0;
            watch.has_enough = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        if read.is_pending() {
            this.at_a_stretch = 0;
        }
        ready!(read)?;
        let new = into.filled().get(before..).unwrap_or_default();
        this.at_a_stretch += new.len();
        let tally = &mut watch.tally;
        // Most reads bring a frame that counts, and a clock is read once for all of them.
        let mut now = None;
        let mut clock = || *now.get_or_insert_with(Instant::now);
        this.read
            .read(new, |frame| tally.note(frame, Sender::Client, &mut clock));
        tally.note_head(this.read.is_in_headers(), clock);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, data);
        let count = ready!(this.patient(cx, written))?;
        let tally = &mut this.watch.lock().tally;
        this.written
            .read(data.get(..count).unwrap_or_default(), |frame| {
                tell_of_rejected(frame);
                tally.note(frame, Sender::Gateway, Instant::now);
            });
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.patient(cx, flushed)
    }

    /// Ends the gateway's side, and discards what still comes for a while, so that the client can
    /// read why.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let ended = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.patient(cx, ended))?;
        }
        let Lingering {
            discarded,
            end,
            silence,
        } = this.lingering.get_or_insert_with(|| Lingering {
            discarded: 0,
            end: Instant::now() + LINGER_TOTAL,
            silence: Box::pin(sleep(LINGER_IDLE)),
        });
        let mut scratch = [0; 4096];
        while *discarded < LINGER_BYTES && silence.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => *discarded += into.filled().len(),
                _ => break,
            }
            silence
                .as_mut()
                .reset((*end).min(Instant::now() + LINGER_IDLE));
        }
        Poll::Ready(Ok(()))
    }
}
