//! The connections to an upstream: made to its addresses in turn, kept while they are idle, and
//! looked at before they are used again.
//!
//! Idle connections are a stack under a lock, which costs a delivery no task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_rustls::rustls;

use super::names::{Failure, Name, Names};
use super::stream::Stream;
use crate::config;
use crate::config::{Health, UpstreamTls};
use crate::gateway::timer::LazyTimer;
use crate::tls;

/// The longest time for which an address is tried: this, or a third of `upstream_timeout` if that is
/// less. So an address that stays silent hides no other (contract: Forwarding).
const CONNECT: Duration = Duration::from_secs(3);
/// The longest time for which a connection may be idle. Servers commonly close an idle connection
/// after 5 s (Node.js), and a delivery that is written to a connection while it is being closed
/// cannot be sent again safely.
const IDLE: Duration = Duration::from_secs(4);
/// The most idle connections that are kept for an upstream.
const IDLE_CONNECTIONS: usize = 256;

/// The reason why no connection could be made. Nothing was sent then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot resolve {host}: {why}")]
    Resolve { host: String, why: Failure },
    #[error("{host} has no address")]
    NoAddress { host: String },
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        address: SocketAddr,
        reason: io::Error,
    },
    #[error("{address}: {words}")]
    Handshake { address: SocketAddr, words: String },
    #[error("cannot connect to {address}: no answer within {} ms", within.as_millis())]
    Silent {
        address: SocketAddr,
        within: Duration,
    },
    #[error("cannot connect to {}: {reason}", path.display())]
    Socket { path: PathBuf, reason: io::Error },
    #[error("cannot connect to {}: it takes no connection within {} ms", path.display(), within.as_millis())]
    Full { path: PathBuf, within: Duration },
}

/// What makes two upstreams the same. Connections are kept for each by itself, so a connection that
/// was made with other settings of TLS is never used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) address: config::Upstream,
    pub(super) tls: Option<UpstreamTls>,
    pub(super) health: Option<Health>,
}

/// A connection to an upstream, with its read buffer.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) inbound: BytesMut,
    pub(crate) timer: LazyTimer,
    /// The address of the other side; `None` for a Unix socket.
    pub(super) address: Option<SocketAddr>,
}

/// An upstream with its idle connections and the addresses of its name.
pub(crate) struct Upstream {
    pub(super) target: Target,
    /// The upstream as the configuration writes it, for logs.
    pub(crate) label: Arc<str>,
    /// The deliveries that it has in hand, as far as a choice depends on them. Relaxed: no other
    /// memory is read by way of it.
    pub(super) busy: AtomicUsize,
    /// Whether its last health check succeeded; true before the first. Relaxed, as `busy`.
    pub(super) passes_checks: AtomicBool,
    /// Whether a task checks its health.
    pub(super) is_checked: AtomicBool,
    // Held only to push, pop or drop entries, never across a wait.
    idle: Mutex<Vec<(Connection, Instant)>>,
    place: Place,
    // Held only to read or write the address, which a stale reading does not harm.
    worked_last: Mutex<Option<SocketAddr>>,
}

/// Where connections to an upstream go.
enum Place {
    /// The configuration names the address.
    Fixed(SocketAddr),
    /// The configuration names a name and a port.
    Of(Arc<Name>, u16),
    /// The configuration names a Unix socket.
    Socket(PathBuf),
}

impl Upstream {
    /// The upstream at `target`, which no connection leads to yet.
    pub(super) fn new(target: Target, names: &Names) -> Self {
        let place = match &target.address {
            config::Upstream::Unix(path) => Place::Socket(path.clone()),
            config::Upstream::Tcp { host, port, .. } => match host.parse() {
                Ok(address) => Place::Fixed(SocketAddr::new(address, *port)),
                Err(_) => Place::Of(names.get(host), *port),
            },
        };
        Self {
            label: target.address.to_string().into(),
            target,
            busy: AtomicUsize::new(0),
            passes_checks: AtomicBool::new(true),
            is_checked: AtomicBool::new(false),
            idle: Mutex::default(),
            place,
            worked_last: Mutex::default(),
        }
    }

    /// An idle connection that is still open and silent. The connection that was kept last comes
    /// first. It is `now`. A connection that is too old is closed, and says nothing of those beneath
    /// it: it may have been kept long after its answer, since a slow client or disk was waited for.
    pub(crate) fn reuse(&self, now: Instant) -> Option<Connection> {
        loop {
            let (mut connection, since) = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if now.saturating_duration_since(since) < IDLE
                && connection.inbound.is_empty()
                && connection.stream.is_silent()
                && self.is_current(connection.address)
            {
                return Some(connection);
            }
        }
    }

    /// A new connection, to the first address that accepts it. The address that worked last is
    /// tried first. `deadline` is the end of the exchange with the upstream.
    ///
    /// # Errors
    /// [`ConnectError`] of the last address that was tried.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Connection, ConnectError> {
        if let Place::Socket(path) = &self.place {
            let left = deadline.saturating_duration_since(Instant::now());
            let within = CONNECT.min(left / 2);
            let path = || path.clone();
            return match tokio::time::timeout(within, Stream::to_path(&path())).await {
                Ok(Ok(stream)) => Ok(Connection::new(stream, None)),
                Ok(Err(reason)) => Err(ConnectError::Socket {
                    path: path(),
                    reason,
                }),
                Err(_) => Err(ConnectError::Full {
                    path: path(),
                    within,
                }),
            };
        }
        let mut failed = ConnectError::NoAddress { host: self.host() };
        let addresses = self.addresses().await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let most = CONNECT.min(left / 3);
        let mut untried = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            // The time is divided among all addresses that are left, and the request itself.
            let left = deadline.saturating_duration_since(Instant::now());
            let within = most.min(left / untried.saturating_add(1));
            untried = untried.saturating_sub(1);
            let open = Stream::to_address(address, self.target.tls.as_ref());
            match tokio::time::timeout(within, open).await {
                Ok(Ok(stream)) => {
                    self.worked(address);
                    return Ok(Connection::new(stream, Some(address)));
                }
                Ok(Err(reason)) => failed = self.failed(address, reason),
                Err(_) => failed = ConnectError::Silent { address, within },
            }
        }
        Err(failed)
    }

    /// The error of an address, in words of TLS where the handshake failed.
    fn failed(&self, address: SocketAddr, reason: io::Error) -> ConnectError {
        let Some(tls) = &self.target.tls else {
            return ConnectError::Connect { address, reason };
        };
        let of_tls = reason
            .get_ref()
            .and_then(|error| error.downcast_ref::<rustls::Error>());
        let words = match (of_tls, reason.kind()) {
            (Some(error), _) => tls::words(error, tls::Peer::Upstream(&tls.name)),
            (None, io::ErrorKind::UnexpectedEof) => {
                "it closed the connection during the TLS handshake".to_owned()
            }
            (None, _) => return ConnectError::Connect { address, reason },
        };
        ConnectError::Handshake { address, words }
    }

    /// Keeps a connection for reuse, idle `since` a moment that is not later than the end of its last
    /// answer. That answer must have been read to its exact end.
    pub(crate) fn keep(&self, connection: Connection, since: Instant) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, since));
        }
    }

    /// Closes connections that have been idle for too long, as far as they are in their order; the
    /// others follow later, and [`reuse`](Self::reuse) takes none of them.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let old = idle
            .iter()
            .take_while(|(_, since)| since.elapsed() >= IDLE)
            .count();
        let dropped: Vec<_> = idle.drain(..old).collect();
        drop(idle);
        // The connections are closed outside of the lock.
        drop(dropped);
    }

    /// The addresses of the upstream, the one that worked last in front.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let (name, port) = match &self.place {
            Place::Fixed(address) => return Ok(vec![*address]),
            Place::Of(name, port) => (name, *port),
            Place::Socket(_) => return Ok(Vec::new()),
        };
        let found = name
            .addresses()
            .await
            .map_err(|why| ConnectError::Resolve {
                host: self.host(),
                why,
            })?;
        let mut addresses: Vec<_> = found
            .iter()
            .map(|address: &IpAddr| SocketAddr::new(*address, port))
            .collect();
        let last = *self
            .worked_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Stable: the others stay in the resolver's order.
        addresses.sort_by_key(|address| Some(*address) != last);
        Ok(addresses)
    }

    fn host(&self) -> String {
        self.target.address.host().unwrap_or_default().to_owned()
    }

    fn worked(&self, address: SocketAddr) {
        let mut last = self
            .worked_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(address);
    }

    /// Whether the address of an idle connection is still an address of the upstream.
    fn is_current(&self, address: Option<SocketAddr>) -> bool {
        match (&self.place, address) {
            (Place::Of(name, _), Some(address)) => name.has(address.ip()),
            _ => true,
        }
    }
}

impl Connection {
    fn new(stream: Stream, address: Option<SocketAddr>) -> Self {
        Self {
            stream,
            inbound: BytesMut::new(),
            timer: LazyTimer::default(),
            address,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::super::names::Answer;
    use super::*;

    /// All idle connections were closed.
    #[tokio::test]
    async fn a_connection_that_is_kept_late_takes_no_younger_one_with_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let target = Target {
            address: config::Upstream::parse(&address).unwrap(),
            tls: None,
            health: None,
        };
        let names = Names::new(Arc::new(|_: &str| Answer::Addresses(Vec::new())));
        let upstream = Upstream::new(target, &names);
        let now = Instant::now();
        let mut accepted = Vec::new();
        // The latter answered before the former, and its client took the answer slowly.
        for since in [now + IDLE, now] {
            upstream.keep(upstream.connect(now + CONNECT).await.unwrap(), since);
            accepted.push(listener.accept().await.unwrap());
        }
        assert!(upstream.reuse(now + IDLE).is_some(), "the younger one");
        assert!(upstream.reuse(now + IDLE).is_none());
    }
}
