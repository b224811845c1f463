//! The upstream's side of an exchange. This file keeps the connections to each upstream: it tries
//! the upstream's addresses in turn, and looks at an idle connection before it is used again. The
//! addresses of a name come from `names`.
//!
//! Idle connections are a stack under a lock, which costs a delivery no task. Code that speaks to
//! upstreams enters here. The room may import `timer`, and no other room of the gateway: it knows neither
//! clients nor routes.

mod balance;
mod ejection;
pub(crate) mod forward;
#[expect(dead_code, reason = "forwarding by groups is yet to come")]
mod group;
#[expect(dead_code, reason = "forwarding by groups is yet to come")]
mod health;
mod names;
#[expect(dead_code, reason = "forwarding by groups is yet to come")]
mod pool;
mod sending;
#[expect(dead_code, reason = "forwarding by groups is yet to come")]
mod stream;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::config;
use crate::gateway::timer::LazyTimer;
use names::{Failure, Name, Names};

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
    #[error("cannot connect to {address}: no answer within {} ms", within.as_millis())]
    Silent {
        address: SocketAddr,
        within: Duration,
    },
}

/// A connection to an upstream, with its read buffer.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) inbound: BytesMut,
    pub(crate) timer: LazyTimer,
    address: SocketAddr,
}

/// An upstream with its idle connections and the addresses of its name.
pub(crate) struct Upstream {
    host: String,
    port: u16,
    /// The upstream as `http://host:port`, for logs.
    pub(crate) label: Arc<str>,
    /// The upstream as `host:port`, for requests without `Host`.
    pub(crate) authority: String,
    // Held only to push, pop or drop entries, never across a wait.
    idle: Mutex<Vec<(Connection, Instant)>>,
    addresses: Addresses,
    // Held only to read or write the address, which a stale reading does not harm.
    worked_last: Mutex<Option<SocketAddr>>,
}

/// Where the addresses of an upstream come from.
enum Addresses {
    /// The configuration names the address.
    Fixed(IpAddr),
    /// The configuration names a name.
    Of(Arc<Name>),
}

impl Upstream {
    /// An idle connection that is still open and silent. The connection that was used last comes
    /// first. It is `now`.
    pub(crate) fn reuse(&self, now: Instant) -> Option<Connection> {
        loop {
            let (mut connection, since) = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if now.saturating_duration_since(since) >= IDLE {
                // All other connections have been idle for longer still.
                self.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clear();
                return None;
            }
            if is_silent(&mut connection) && self.is_current(connection.address) {
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
        let mut failed = ConnectError::NoAddress {
            host: self.host.clone(),
        };
        let addresses = self.addresses().await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let most = CONNECT.min(left / 3);
        let mut untried = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            // The time is divided among all addresses that are left, and the request itself.
            let left = deadline.saturating_duration_since(Instant::now());
            let within = most.min(left / untried.saturating_add(1));
            untried = untried.saturating_sub(1);
            match tokio::time::timeout(within, open(address)).await {
                Ok(Ok(stream)) => {
                    self.worked(address);
                    return Ok(Connection {
                        stream,
                        inbound: BytesMut::new(),
                        timer: LazyTimer::default(),
                        address,
                    });
                }
                Ok(Err(reason)) => failed = ConnectError::Connect { address, reason },
                Err(_) => failed = ConnectError::Silent { address, within },
            }
        }
        Err(failed)
    }

    /// Keeps a connection for reuse, idle `since` a moment that is not later than the end of its last
    /// answer. That answer must have been read to its exact end.
    pub(crate) fn keep(&self, connection: Connection, since: Instant) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, since));
        }
    }

    /// Closes connections that have been idle for too long.
    fn sweep(&self) {
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
    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let port = self.port;
        let name = match &self.addresses {
            Addresses::Fixed(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Addresses::Of(name) => name,
        };
        let found = name
            .addresses()
            .await
            .map_err(|why| ConnectError::Resolve {
                host: self.host.clone(),
                why,
            })?;
        let mut addresses: Vec<_> = found
            .iter()
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        let last = *self
            .worked_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Stable: the others stay in the resolver's order.
        addresses.sort_by_key(|address| Some(*address) != last);
        Ok(addresses)
    }

    fn worked(&self, address: SocketAddr) {
        let mut last = self
            .worked_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(address);
    }

    /// Whether the address of an idle connection is still an address of the upstream.
    fn is_current(&self, address: SocketAddr) -> bool {
        match &self.addresses {
            Addresses::Fixed(_) => true,
            Addresses::Of(name) => name.has(address.ip()),
        }
    }
}

/// Opens a connection.
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A request is one write, so waiting for more would only delay it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether an idle connection is open, and no byte arrived on it without a request.
fn is_silent(connection: &mut Connection) -> bool {
    let Connection {
        stream, inbound, ..
    } = connection;
    let nothing_comes = |read: io::Result<usize>| {
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    inbound.is_empty() && nothing_comes(stream.try_read(&mut [0]))
}

/// Every upstream in use. A reload takes the upstreams that stay from here, with their connections.
pub(crate) struct Upstreams {
    names: Names,
    // Held at load and once a second, never by a delivery.
    known: Mutex<HashMap<config::Upstream, Weak<Upstream>>>,
}

impl Upstreams {
    /// An empty list of upstreams.
    pub(crate) fn new() -> Self {
        Self::resolving_by(Arc::new(names::system))
    }

    /// As [`new`](Self::new), with another resolver than the system's.
    fn resolving_by(resolve: Arc<names::Resolve>) -> Self {
        Self {
            names: Names::new(resolve),
            known: Mutex::default(),
        }
    }

    /// The upstream at `target`. The same target gives the same upstream, as long as it is in use.
    /// `None` for one that is not reached over plain TCP.
    pub(crate) fn get(&self, target: &config::Upstream) -> Option<Arc<Upstream>> {
        let config::Upstream::Tcp {
            host,
            port,
            is_tls: false,
        } = target
        else {
            return None;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = known.get(target).and_then(Weak::upgrade) {
            return Some(upstream);
        }
        let addresses = match host.parse() {
            Ok(address) => Addresses::Fixed(address),
            Err(_) => Addresses::Of(self.names.get(host)),
        };
        let upstream = Arc::new(Upstream {
            host: host.clone(),
            port: *port,
            label: target.to_string().into(),
            authority: target.authority(),
            idle: Mutex::default(),
            addresses,
            worked_last: Mutex::default(),
        });
        known.insert(target.clone(), Arc::downgrade(&upstream));
        Some(upstream)
    }

    /// The age of the addresses of each upstream's name. A name without addresses has no age.
    pub(crate) fn address_ages(&self) -> Vec<(String, Duration)> {
        self.names.ages()
    }

    /// Closes connections that have been idle for too long, in all upstreams, resolves names that
    /// are due, and forgets upstreams that no route uses.
    pub(crate) fn sweep(&self) {
        self.names.keep_fresh();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, upstream| upstream.strong_count() > 0);
        let upstreams: Vec<_> = known.values().filter_map(Weak::upgrade).collect();
        drop(known);
        for upstream in upstreams {
            upstream.sweep();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::names::Answer;
    use super::*;

    /// An address that accepts nothing and refuses nothing: the queue of its listener is full, so
    /// the system drops what comes.
    fn silent(address: Ipv4Addr, port: u16) -> (Socket, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let at = SocketAddr::from((address, port));
        listener.bind(&at.into()).unwrap();
        listener.listen(0).unwrap();
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            // The connection is still being made, or is made; both are what is wanted.
            let _ = filler.connect(&at.into());
            filler
        });
        (listener, fillers.collect())
    }

    #[tokio::test]
    async fn up_15_a_silent_or_refusing_address_hides_no_other_and_what_worked_is_tried_first() {
        let [silent_at, refusing, good] = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
        let listener = TcpListener::bind((good, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _silent = silent(silent_at, port);
        let all = [silent_at, refusing, good].map(IpAddr::V4).to_vec();
        let upstreams =
            Upstreams::resolving_by(Arc::new(move |_: &str| Answer::Addresses(all.clone())));
        let upstream = upstreams.get(&config::Upstream::Tcp {
            host: "app".into(),
            port,
            is_tls: false,
        });
        let upstream = upstream.unwrap();
        let began = Instant::now();
        let deadline = began + Duration::from_secs(3);
        let first = upstream.connect(deadline).await.unwrap();
        assert_eq!(first.address.ip(), IpAddr::V4(good));
        assert!(Instant::now() < deadline, "time is left for the request");
        let order = upstream.addresses().await.unwrap();
        assert_eq!(
            order.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
            [good, silent_at, refusing].map(IpAddr::V4)
        );
        drop(listener);
        // Nothing else works: the silent address is given up in time, and the last is reported.
        let failed = upstream
            .connect(Instant::now() + Duration::from_millis(300))
            .await;
        assert!(
            matches!(&failed, Err(ConnectError::Connect { address, .. }) if address.ip() == refusing),
            "{:?}",
            failed.err()
        );
    }
}
