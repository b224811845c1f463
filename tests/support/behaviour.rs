//! What the recording upstream does with a request: steps, and the answers made of them.

use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::LATE;
use super::delivery::chunk;

/// A point in a behaviour where the upstream waits until the test goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    /// A latch that holds until [`Self::open`].
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and later.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits here until it is open.
    pub(crate) fn wait(&self) {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_timeout_while(open, LATE * 2, |open| !*open));
    }
}

/// One thing that the upstream does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads the body. What is not read by the end is read and dropped before the next request.
    ReadBody,
    /// Waits until the test opens the latch.
    Wait(Latch),
    /// Lets time pass; only where a row demands a pause.
    Pause(Duration),
    /// Sends bytes exactly as they are.
    Send(Vec<u8>),
    /// Sends one byte after the other, with a pause behind each.
    Drip(Vec<u8>, Duration),
    /// Sends the same bytes again and again.
    Repeat(Vec<u8>, usize),
    /// Says that nothing more will be sent, and waits for the other side to close.
    Finish,
    /// Closes at once, whatever was left unread.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends nothing more and keeps the connection until the other side closes it.
    Hold,
}

/// An answer under construction.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// With `{"received":true}` as its body.
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: b"{\"received\":true}".to_vec(),
        }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Some Reason\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes all");
        }
        head.push_str(framing);
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// All bytes, framed by a length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// All bytes, in chunks of `size`.
    pub(crate) fn chunked_bytes(&self, size: usize) -> Vec<u8> {
        let mut bytes = self.head("Transfer-Encoding: chunked\r\n");
        for piece in self.body.chunks(size) {
            bytes.extend_from_slice(&chunk(piece, false));
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// All bytes, to be ended by the end of the connection.
    pub(crate) fn unframed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head("");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What the upstream does with one request, in order; then it waits for the next on the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour(pub(crate) Vec<Step>);

impl Behaviour {
    /// Reads the body and answers with a length.
    pub(crate) fn answer(reply: &Reply) -> Self {
        Self::raw(reply.bytes())
    }

    /// Reads the body and answers 200 or any other status.
    pub(crate) fn status(status: u16) -> Self {
        Self::answer(&Reply::new(status))
    }

    /// Reads the body and answers when the latch opens.
    pub(crate) fn answer_after(latch: &Latch, reply: &Reply) -> Self {
        Self(vec![
            Step::ReadBody,
            Step::Wait(latch.clone()),
            Step::Send(reply.bytes()),
        ])
    }

    /// Reads the body and answers in chunks.
    pub(crate) fn chunked(reply: &Reply, size: usize) -> Self {
        Self::raw(reply.chunked_bytes(size))
    }

    /// Reads the body, answers, and ends the answer by closing.
    pub(crate) fn close_delimited(reply: &Reply) -> Self {
        Self(vec![
            Step::ReadBody,
            Step::Send(reply.unframed_bytes()),
            Step::Finish,
        ])
    }

    /// Reads the body and sends these bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::ReadBody, Step::Send(bytes.into())])
    }

    /// Reads the body, sends these bytes and closes.
    pub(crate) fn raw_then_close(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::ReadBody, Step::Send(bytes.into()), Step::Finish])
    }

    /// Reads the body and closes without an answer.
    pub(crate) fn close() -> Self {
        Self(vec![Step::ReadBody, Step::Close])
    }

    /// Reads the body and resets the connection.
    pub(crate) fn reset() -> Self {
        Self(vec![Step::ReadBody, Step::Reset])
    }

    /// Reads the body and never answers.
    pub(crate) fn never() -> Self {
        Self(vec![Step::ReadBody, Step::Hold])
    }

    /// Reads the body and sends the answer byte by byte.
    pub(crate) fn drip(reply: &Reply, pause: Duration) -> Self {
        Self(vec![Step::ReadBody, Step::Drip(reply.bytes(), pause)])
    }

    /// Answers before it reads the body.
    pub(crate) fn early(reply: &Reply) -> Self {
        Self(vec![Step::Send(reply.bytes()), Step::ReadBody])
    }
}
