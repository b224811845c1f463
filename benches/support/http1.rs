//! A connection of HTTP/1.1: one request at a time.

use std::io::{self, ErrorKind};
use std::time::Instant;

use super::events::Event;
use super::upstream::{content_length, field};
use super::wire::Wire;

pub(crate) struct Http1 {
    wire: Wire,
    /// The number of the event under way, and since when.
    current: Option<(usize, Instant)>,
    /// Bytes of it that were sent.
    sent: usize,
    answer: Vec<u8>,
    filled: usize,
}

impl Http1 {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire,
            current: None,
            sent: 0,
            answer: vec![0; 4096],
            filled: 0,
        }
    }

    /// Takes an event to send, by its number; it is due since `due`.
    pub(crate) fn begin(&mut self, number: usize, due: Instant) {
        self.current = Some((number, due));
        self.sent = 0;
        self.filled = 0;
    }

    /// Sends as much of it as the socket takes.
    pub(crate) fn send(&mut self, events: &[Event]) -> io::Result<()> {
        let Some(event) = self.current.and_then(|(number, _)| events.get(number)) else {
            return Ok(());
        };
        self.wire.flush()?;
        while self.sent < event.len() {
            match self.wire.write(&event.rest(self.sent)) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A refusal before the end of the body closes; its answer can still be read.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                    ) =>
                {
                    self.sent = event.len();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads the answer. Once it is whole, puts into `answered` since when its event was due, and
    /// returns whether the server closes.
    pub(crate) fn receive(
        &mut self,
        expected: u16,
        answered: &mut Vec<Instant>,
    ) -> io::Result<bool> {
        let Some((_, due)) = self.current else {
            return Ok(false);
        };
        loop {
            let room = self.answer.get_mut(self.filled..).unwrap_or_default();
            let wanted = room.len();
            match self.wire.read(room) {
                Ok(0) => return Err(self.broken("the connection was closed without an answer")),
                Ok(count) => {
                    self.filled += count;
                    if let Some(closes) = self.judge(expected)? {
                        answered.push(due);
                        return Ok(closes);
                    }
                    if count < wanted && self.wire.is_short_read_the_end() {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// `None` while the answer is not whole, else whether the server closes.
    fn judge(&mut self, expected: u16) -> io::Result<Option<bool>> {
        let so_far = self.answer.get(..self.filled).unwrap_or_default();
        let Some(end) = memchr::memmem::find(so_far, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = so_far.get(..end + 4).unwrap_or_default();
        let status = status(head);
        let body = usize::try_from(content_length(head)?).unwrap_or(usize::MAX);
        if end + 4 + body > self.answer.len() {
            return Err(self.broken("an answer is longer than 4 KiB"));
        }
        if end + 4 + body > self.filled {
            return Ok(None);
        }
        if status != Some(expected) {
            return Err(self.broken(&format!("an answer is not {expected}")));
        }
        let closes =
            field(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        self.current = None;
        Ok(Some(closes))
    }

    fn broken(&self, what: &str) -> io::Error {
        let answer = self.answer.get(..self.filled).unwrap_or_default();
        io::Error::other(format!(
            "{what}; read so far: {:?}",
            String::from_utf8_lossy(answer)
        ))
    }
}

/// The status of an answer's head.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.1 ")?;
    std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
}
