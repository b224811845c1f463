//! The load generator: a thread with many kept-alive connections, one request at a time on each.
//!
//! **Closed loop**: a connection sends its next event as soon as it has its answer. **Open loop**:
//! events are due at a fixed rate whatever the answers do, and a latency counts from the moment at
//! which its event was due, so that a stall is seen by every event that it holds up. Every answer is
//! read whole and its status compared; another status ends the run.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Poll, Token};
use rustls::ClientConfig;

use super::events::Event;
use super::ticks::Ticks;
use super::upstream::{content_length, field};
use super::wire::{Identity, Transport, Wire};

/// No answer for so long ends a run.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest latency that is told from a longer one.
const LONGEST: Duration = Duration::from_secs(100);

/// How often the open loop looks for events that are due.
const TICK: Duration = Duration::from_micros(50);

const TICKS: Token = Token(usize::MAX);

/// A run that is over: each of its events was answered as expected.
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// In nanoseconds, to three digits.
    pub(crate) latencies: Histogram<u64>,
}

/// Where connections go, and how.
#[derive(Clone, Debug)]
pub(crate) struct To {
    address: SocketAddr,
    transport: Transport,
    /// Whom to trust, where the transport has TLS.
    tls: Option<Arc<ClientConfig>>,
}

impl To {
    /// An address, by this transport.
    pub(crate) fn by(transport: Transport, address: SocketAddr) -> io::Result<Self> {
        let tls = match transport {
            Transport::Plain => None,
            _ => Some(Identity::shared()?.client(transport)?),
        };
        Ok(Self {
            address,
            transport,
            tls,
        })
    }

    /// An address without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::Plain,
            tls: None,
        }
    }
}

/// Connections to one address.
pub(crate) struct Load {
    to: To,
    expected: u16,
    poll: Poll,
    connections: Vec<Connection>,
}

impl Load {
    /// Connects; each answer must have the status `expected`.
    pub(crate) fn connect(to: To, connections: usize, expected: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..connections)
            .map(|place| Connection::open(&to, &poll, place))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            to,
            expected,
            poll,
            connections,
        })
    }

    /// Sends all events in a closed loop.
    pub(crate) fn closed(&mut self, events: &[Event]) -> io::Result<Run> {
        let begun = Instant::now();
        self.run(events, begun, None, None)
    }

    /// Sends all events in an open loop of `rate` a second.
    pub(crate) fn open(&mut self, events: &[Event], rate: f64) -> io::Result<Run> {
        let ticks = Ticks::start(self.poll.registry(), TICKS, TICK)?;
        let begun = Instant::now() + Duration::from_millis(1);
        let apart = Duration::from_secs_f64(1.0 / rate);
        self.run(events, begun, Some(apart), Some(ticks))
    }

    /// Sends an event over each connection, one after the other.
    pub(crate) fn each(&mut self, events: &[Event]) -> io::Result<()> {
        let mut ready = mio::Events::with_capacity(1024);
        for (connection, event) in self.connections.iter_mut().zip(events) {
            let begun = Instant::now();
            connection.begin(0, begun);
            connection.send(event)?;
            while connection.receive(self.expected)?.is_none() {
                if begun.elapsed() > PATIENCE {
                    return Err(io::Error::other(format!("no answer within {PATIENCE:?}")));
                }
                match self.poll.poll(&mut ready, Some(Duration::from_millis(100))) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => other?,
                }
                connection.send(event)?;
            }
        }
        Ok(())
    }

    fn run(
        &mut self,
        events: &[Event],
        begun: Instant,
        apart: Option<Duration>,
        mut ticks: Option<Ticks>,
    ) -> io::Result<Run> {
        let mut latencies = Histogram::<u64>::new_with_bounds(1, LONGEST.as_nanos() as u64, 3)
            .map_err(io::Error::other)?;
        let mut ready = mio::Events::with_capacity(1024);
        let mut idle: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut sent = 0;
        let mut answered = 0;
        let mut last_answer = begun;
        loop {
            // Whatever is due goes out over the connections that are free.
            while let Some(event) = events.get(sent) {
                let due = match apart {
                    None => Instant::now(),
                    Some(apart) => begun + apart.mul_f64(sent as f64),
                };
                if apart.is_some() && due > Instant::now() {
                    break;
                }
                let Some(place) = idle.pop_front() else { break };
                if let Some(connection) = self.connections.get_mut(place) {
                    connection.begin(sent, due);
                    connection.send(event)?;
                }
                sent += 1;
            }
            if answered == events.len() {
                break;
            }
            let timeout = if apart.is_some() {
                Ticks::timeout()
            } else {
                Duration::from_secs(1)
            };
            match self.poll.poll(&mut ready, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if last_answer.elapsed() > PATIENCE {
                return Err(io::Error::other(format!(
                    "{answered} of {sent} events were answered, and then nothing came for {PATIENCE:?}"
                )));
            }
            for event in &ready {
                let place = event.token().0;
                if event.token() == TICKS {
                    ticks.iter_mut().for_each(Ticks::seen);
                }
                let Some(connection) = self.connections.get_mut(place) else {
                    continue;
                };
                let Some((number, due)) = connection.current else {
                    continue;
                };
                if let Some(event) = events.get(number) {
                    connection.send(event)?;
                }
                let Some(closes) = connection.receive(self.expected)? else {
                    continue;
                };
                last_answer = Instant::now();
                let nanos = last_answer.saturating_duration_since(due).as_nanos();
                latencies.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
                answered += 1;
                if closes || self.to.transport.is_each() {
                    *connection = Connection::open(&self.to, &self.poll, place)?;
                }
                idle.push_back(place);
                // The closed loop goes on at once, over the connection that has just become free.
                if apart.is_none()
                    && let Some(event) = events.get(sent)
                    && let Some(place) = idle.pop_front()
                    && let Some(connection) = self.connections.get_mut(place)
                {
                    connection.begin(sent, last_answer);
                    connection.send(event)?;
                    sent += 1;
                }
            }
        }
        Ok(Run {
            seconds: last_answer.saturating_duration_since(begun).as_secs_f64(),
            latencies,
        })
    }
}

struct Connection {
    wire: Wire,
    /// The number of the event under way, and since when.
    current: Option<(usize, Instant)>,
    /// Bytes of it that were sent.
    sent: usize,
    answer: Vec<u8>,
    filled: usize,
}

impl Connection {
    fn open(to: &To, poll: &Poll, place: usize) -> io::Result<Self> {
        Ok(Self {
            wire: Wire::open(to.address, to.tls.as_ref(), poll.registry(), Token(place))?,
            current: None,
            sent: 0,
            answer: vec![0; 4096],
            filled: 0,
        })
    }

    fn begin(&mut self, number: usize, due: Instant) {
        self.current = Some((number, due));
        self.sent = 0;
        self.filled = 0;
    }

    /// Sends as much as the socket takes.
    fn send(&mut self, event: &Event) -> io::Result<()> {
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

    /// Reads the answer. `None` while it is not whole, else whether the server closes.
    fn receive(&mut self, expected: u16) -> io::Result<Option<bool>> {
        loop {
            let room = self.answer.get_mut(self.filled..).unwrap_or_default();
            let wanted = room.len();
            match self.wire.read(room) {
                Ok(0) => return Err(self.broken("the connection was closed without an answer")),
                Ok(count) => {
                    self.filled += count;
                    if let Some(closes) = self.judge(expected)? {
                        return Ok(Some(closes));
                    }
                    if count < wanted && self.wire.is_short_read_the_end() {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

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
