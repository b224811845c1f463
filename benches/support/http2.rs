//! A connection of HTTP/2: several requests at a time, from memory to the socket at little cost.
//!
//! The fields of a request are encoded ahead. Of the server's frames only what is needed is looked at:
//! the status, the end of each answer, and the room that it gives.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Instant;

use super::events::Event;
use super::wire::Wire;

/// The length of a frame's own head.
const HEAD: usize = 9;
/// The longest payload of a frame that every side takes (RFC 9113 4.2).
const MAX_PAYLOAD: usize = 16 * 1024;
/// The room for bodies at first, for a stream and for the connection.
const FIRST_WINDOW: i64 = 65_535;
/// The room for answers, which no run uses up.
const ROOM: u32 = (1 << 31) - 1;
/// The bytes that are gathered for a write.
const AT_ONCE: usize = 64 * 1024;

/// A status of 200, which is in the table that everyone has.
const STATUS_200: u8 = 0x88;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn push_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, length @ ..] = (length as u32).to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// A request under way.
struct Exchange {
    stream: u32,
    /// The event's number, and since when it was due.
    number: usize,
    due: Instant,
    /// The bytes of it that were gathered for sending.
    sent: usize,
    is_sent: bool,
    /// The bytes of its body that the server takes.
    window: i64,
    has_status: bool,
}

/// A connection.
pub(crate) struct Http2 {
    wire: Wire,
    /// The number of the next stream.
    next: u32,
    exchanges: Vec<Exchange>,
    /// The bytes of all bodies that the server takes, and those of a new stream's.
    window: i64,
    first_window: i64,
    out: Vec<u8>,
    written: usize,
    answers: Vec<u8>,
    filled: usize,
}

impl Http2 {
    /// Begins a connection whose handshake is done.
    pub(crate) fn new(wire: Wire) -> Self {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        push_head(&mut out, 12, SETTINGS, 0, 0);
        out.extend_from_slice(&[0, 2, 0, 0, 0, 0]); // nothing is pushed
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&ROOM.to_be_bytes());
        push_head(&mut out, 4, WINDOW_UPDATE, 0, 0);
        out.extend_from_slice(&(ROOM - FIRST_WINDOW as u32).to_be_bytes());
        Self {
            wire,
            next: 1,
            exchanges: Vec::new(),
            window: FIRST_WINDOW,
            first_window: FIRST_WINDOW,
            out,
            written: 0,
            answers: vec![0; 2 * (HEAD + MAX_PAYLOAD)],
            filled: 0,
        }
    }

    /// Takes an event to send, by its number; it is due since `due`.
    pub(crate) fn begin(&mut self, number: usize, due: Instant) {
        self.exchanges.push(Exchange {
            stream: self.next,
            number,
            due,
            sent: 0,
            is_sent: false,
            window: self.first_window,
            has_status: false,
        });
        self.next += 2;
    }

    /// Sends as much as the server and the socket take.
    pub(crate) fn send(&mut self, events: &[Event]) -> io::Result<()> {
        self.wire.flush()?;
        loop {
            self.gather(events);
            let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) else {
                return Ok(());
            };
            match self.wire.write(&[IoSlice::new(rest)]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gathers frames, once those before are written.
    fn gather(&mut self, events: &[Event]) {
        if self.written < self.out.len() {
            return;
        }
        self.out.clear();
        self.written = 0;
        for exchange in self.exchanges.iter_mut().filter(|one| !one.is_sent) {
            let Some(event) = events.get(exchange.number) else {
                continue;
            };
            if exchange.sent == 0 {
                let length = event.head_len();
                let stream = exchange.stream;
                push_head(&mut self.out, length, HEADERS, END_HEADERS, stream);
                push_part(&mut self.out, event, &mut exchange.sent, length);
            }
            while exchange.sent < event.len() && self.out.len() < AT_ONCE {
                let room = usize::try_from(self.window.min(exchange.window)).unwrap_or(0);
                let length = (event.len() - exchange.sent).min(room).min(MAX_PAYLOAD);
                if length == 0 {
                    break;
                }
                let taken = i64::try_from(length).unwrap_or(i64::MAX);
                self.window -= taken;
                exchange.window -= taken;
                exchange.is_sent = exchange.sent + length == event.len();
                let flags = if exchange.is_sent { END_STREAM } else { 0 };
                push_head(&mut self.out, length, DATA, flags, exchange.stream);
                push_part(&mut self.out, event, &mut exchange.sent, length);
            }
        }
    }

    /// Reads answers, and puts into `answered` since when the events of those that are whole were due.
    /// Sends what the server has made room for.
    pub(crate) fn receive(
        &mut self,
        events: &[Event],
        expected: u16,
        answered: &mut Vec<Instant>,
    ) -> io::Result<()> {
        if expected != 200 {
            return Err(io::Error::other("an answer over HTTP/2 is 200 here"));
        }
        loop {
            let room = self.answers.get_mut(self.filled..).unwrap_or_default();
            match self.wire.read(room) {
                Ok(0) => return Err(io::Error::other("the connection was closed")),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.send(events),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let mut at = 0;
            while let Some((head, rest)) = self
                .answers
                .get(at..self.filled)
                .and_then(|rest| rest.split_first_chunk::<HEAD>())
            {
                let [a, b, c, kind, flags, stream @ ..] = *head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                let Some(payload) = rest.get(..length) else {
                    break;
                };
                let stream = u32::from_be_bytes(stream);
                let taken = Taken {
                    exchanges: &mut self.exchanges,
                    window: &mut self.window,
                    first_window: &mut self.first_window,
                    out: &mut self.out,
                };
                taken.frame((kind, flags, stream), payload, answered)?;
                at += HEAD + length;
            }
            self.answers.copy_within(at..self.filled, 0);
            self.filled -= at;
        }
    }
}

/// Puts the next `length` bytes of an event behind `out`.
fn push_part(out: &mut Vec<u8>, event: &Event, sent: &mut usize, length: usize) {
    let mut left = length;
    for part in event.rest(*sent) {
        let (part, _) = part.split_at(part.len().min(left));
        out.extend_from_slice(part);
        left -= part.len();
    }
    *sent += length;
}

/// What a frame of the server may change.
struct Taken<'c> {
    exchanges: &'c mut Vec<Exchange>,
    window: &'c mut i64,
    first_window: &'c mut i64,
    out: &'c mut Vec<u8>,
}

impl Taken<'_> {
    fn frame(
        self,
        (kind, flags, stream): (u8, u8, u32),
        payload: &[u8],
        answered: &mut Vec<Instant>,
    ) -> io::Result<()> {
        let place = self.exchanges.iter().position(|one| one.stream == stream);
        let exchange = place.and_then(|place| self.exchanges.get_mut(place));
        match kind {
            HEADERS | DATA => {
                let (Some(exchange), Some(place)) = (exchange, place) else {
                    return Err(io::Error::other("an answer to no request"));
                };
                if kind == HEADERS {
                    if payload.first() != Some(&STATUS_200) {
                        return Err(io::Error::other("an answer is not 200"));
                    }
                    exchange.has_status = true;
                }
                if flags & END_STREAM != 0 {
                    if !exchange.has_status {
                        return Err(io::Error::other("an answer has no status"));
                    }
                    answered.push(exchange.due);
                    // In their order: a stream must not begin before one of a lower number.
                    self.exchanges.remove(place);
                }
            }
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    if let [0, 4, value @ ..] = setting {
                        let window = i64::from(number(value));
                        for exchange in self.exchanges.iter_mut() {
                            exchange.window += window - *self.first_window;
                        }
                        *self.first_window = window;
                    }
                }
                push_head(self.out, 0, SETTINGS, ACK, 0);
            }
            PING if flags & ACK == 0 => {
                push_head(self.out, payload.len(), PING, ACK, 0);
                self.out.extend_from_slice(payload);
            }
            WINDOW_UPDATE if stream == 0 => *self.window += i64::from(number(payload)),
            WINDOW_UPDATE => {
                if let Some(exchange) = exchange {
                    exchange.window += i64::from(number(payload));
                }
            }
            RST_STREAM | GOAWAY => {
                return Err(io::Error::other(format!(
                    "the server ended stream {stream}: {payload:?}"
                )));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A number of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
