//! The load generator: a thread with many kept-alive connections, one request at a time on each, or
//! several on a connection of HTTP/2.
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
use super::http1::Http1;
use super::http2::Http2;
use super::ticks::Ticks;
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
        let mut answered = Vec::new();
        for (connection, event) in self.connections.iter_mut().zip(events) {
            let begun = Instant::now();
            let event = std::slice::from_ref(event);
            connection.begin(0, begun);
            answered.clear();
            loop {
                connection.send(event)?;
                connection.receive(event, self.expected, &mut answered)?;
                if !answered.is_empty() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Err(io::Error::other(format!("no answer within {PATIENCE:?}")));
                }
                match self.poll.poll(&mut ready, Some(Duration::from_millis(100))) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Sends what was begun on the connections at these places.
    fn send(&mut self, places: &mut Vec<usize>, events: &[Event]) -> io::Result<()> {
        for place in places.drain(..) {
            if let Some(connection) = self.connections.get_mut(place) {
                connection.send(events)?;
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
        // The place of each connection, as often as it takes further requests.
        let places = self.connections.len();
        let all = places * self.to.transport.streams();
        let mut idle: VecDeque<usize> = (0..places).cycle().take(all).collect();
        // The places of those that have something new to send.
        let mut begun_at: Vec<usize> = Vec::new();
        let mut dues = Vec::new();
        let mut sent = 0;
        let mut answered = 0;
        let mut last_answer = begun;
        loop {
            // Whatever is due goes out over the connections that are free.
            while sent < events.len() {
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
                    begun_at.push(place);
                }
                sent += 1;
            }
            self.send(&mut begun_at, events)?;
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
                connection.send(events)?;
                dues.clear();
                let closes = connection.receive(events, self.expected, &mut dues)?;
                if dues.is_empty() {
                    continue;
                }
                last_answer = Instant::now();
                if closes || self.to.transport.is_each() {
                    *connection = Connection::open(&self.to, &self.poll, place)?;
                }
                for due in &dues {
                    let nanos = last_answer.saturating_duration_since(*due).as_nanos();
                    latencies.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
                    answered += 1;
                    idle.push_back(place);
                    // The closed loop goes on at once, over the connection that has just become free.
                    if apart.is_none()
                        && sent < events.len()
                        && let Some(place) = idle.pop_front()
                        && let Some(connection) = self.connections.get_mut(place)
                    {
                        connection.begin(sent, last_answer);
                        begun_at.push(place);
                        sent += 1;
                    }
                }
                self.send(&mut begun_at, events)?;
            }
        }
        Ok(Run {
            seconds: last_answer.saturating_duration_since(begun).as_secs_f64(),
            latencies,
        })
    }
}

/// A connection, by the protocol that it speaks.
enum Connection {
    Http1(Http1),
    Http2(Box<Http2>),
}

impl Connection {
    fn open(to: &To, poll: &Poll, place: usize) -> io::Result<Self> {
        let wire = Wire::open(to.address, to.tls.as_ref(), poll.registry(), Token(place))?;
        Ok(match to.transport {
            Transport::Http2 => Self::Http2(Box::new(Http2::new(wire))),
            _ => Self::Http1(Http1::new(wire)),
        })
    }

    /// Takes an event to send, by its number; it is due since `due`.
    fn begin(&mut self, number: usize, due: Instant) {
        match self {
            Self::Http1(connection) => connection.begin(number, due),
            Self::Http2(connection) => connection.begin(number, due),
        }
    }

    /// Sends as much of what was begun as the server takes.
    fn send(&mut self, events: &[Event]) -> io::Result<()> {
        match self {
            Self::Http1(connection) => connection.send(events),
            Self::Http2(connection) => connection.send(events),
        }
    }

    /// Reads answers, and puts into `answered` since when their events were due. Returns whether the
    /// server closes.
    fn receive(
        &mut self,
        events: &[Event],
        expected: u16,
        answered: &mut Vec<Instant>,
    ) -> io::Result<bool> {
        match self {
            Self::Http1(connection) => connection.receive(expected, answered),
            Self::Http2(connection) => {
                connection.receive(events, expected, answered)?;
                Ok(false)
            }
        }
    }
}
