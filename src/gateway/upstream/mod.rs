//! The upstream's side of an exchange. This file keeps the connections to each upstream: it
//! resolves the upstream's name again from time to time, and looks at an idle connection before it
//! is used again.
//!
//! Pingora's connector opens the connections. The gateway keeps idle connections itself, because
//! Pingora's pool spawns a task for each connection that is returned. Code that speaks to upstreams
//! enters here. The room may import `timer`, and no other room of the gateway: it knows neither
//! clients nor routes.

pub(crate) mod forward;

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use pingora::upstreams::peer::BasicPeer;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::config;
use crate::gateway::timer::LazyTimer;

/// The age of addresses at which a name is resolved again (contract: Forwarding).
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// The longest time for which a connection may be idle. Servers commonly close an idle connection
/// after 5 s (Node.js), and a delivery that is written to a connection while it is being closed
/// cannot be sent again safely.
const IDLE: Duration = Duration::from_secs(4);
/// The most idle connections that are kept for an upstream.
const IDLE_CONNECTIONS: usize = 256;

/// The reason why no connection could be made. Nothing was sent then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        host: String,
        source: std::io::Error,
    },
    #[error("{host} has no address")]
    NoAddress { host: String },
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: SocketAddr, reason: String },
}

/// A connection to an upstream, with its read buffer.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) inbound: BytesMut,
    pub(crate) timer: LazyTimer,
    address: SocketAddr,
}

/// An upstream with its idle connections and the addresses of its name.
pub(crate) struct Upstream {
    target: config::Upstream,
    /// The upstream as `http://host:port`, for logs.
    pub(crate) label: Arc<str>,
    /// The upstream as `host:port`, for requests without `Host`.
    pub(crate) authority: String,
    connector: Arc<TransportConnector>,
    // Held only to push, pop or drop entries, never across a wait.
    idle: Mutex<Vec<(Connection, Instant)>>,
    // Held only to read or replace the addresses. Two tasks may resolve the name at the same time,
    // and both answers are good.
    resolved: Mutex<Option<(Arc<[SocketAddr]>, Instant)>>,
}

impl Upstream {
    /// An idle connection that is still open and silent. The connection that was used last comes
    /// first.
    pub(crate) async fn reuse(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if since.elapsed() >= IDLE {
                // All other connections have been idle for longer still.
                self.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clear();
                return None;
            }
            if is_silent(&mut connection).await && self.is_current(connection.address) {
                return Some(connection);
            }
        }
    }

    /// A new connection, to the first address that accepts it.
    ///
    /// # Errors
    /// [`ConnectError`] of the last address that was tried.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let mut failed = ConnectError::NoAddress {
            host: self.target.host.clone(),
        };
        for address in self.addresses().await?.iter().copied() {
            match self
                .connector
                .new_stream(&BasicPeer::new(&address.to_string()))
                .await
            {
                Ok(stream) => {
                    return Ok(Connection {
                        stream,
                        inbound: BytesMut::new(),
                        timer: LazyTimer::default(),
                        address,
                    });
                }
                Err(error) => {
                    let reason = error.root_cause().to_string();
                    failed = ConnectError::Connect { address, reason };
                }
            }
        }
        Err(failed)
    }

    /// Keeps a connection for reuse. Its last answer must have been read to its exact end.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
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

    /// The addresses of the upstream: its own address, or those of its name from a look-up that is
    /// at most [`RESOLVE_EVERY`] old.
    async fn addresses(&self) -> Result<Arc<[SocketAddr]>, ConnectError> {
        let config::Upstream { host, port } = &self.target;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, *port)]));
        }
        if let Some((addresses, since)) =
            &*self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
            && since.elapsed() < RESOLVE_EVERY
        {
            return Ok(Arc::clone(addresses));
        }
        let found = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(|source| ConnectError::Resolve {
                host: host.clone(),
                source,
            })?;
        let addresses: Arc<[SocketAddr]> = found.collect();
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Arc::clone(&addresses), Instant::now()));
        Ok(addresses)
    }

    /// Whether the upstream's name still resolves to the address of an idle connection. Addresses
    /// that are too old make the answer no.
    fn is_current(&self, address: SocketAddr) -> bool {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.as_ref().is_none_or(|(known, since)| {
            since.elapsed() < RESOLVE_EVERY && known.contains(&address)
        })
    }
}

/// Whether an idle connection is open, and no byte arrived on it without a request.
async fn is_silent(connection: &mut Connection) -> bool {
    if !connection.inbound.is_empty() {
        return false;
    }
    let Connection {
        stream, inbound, ..
    } = connection;
    inbound.reserve(1);
    let mut read = pin!(stream.read_buf(inbound));
    // Unconstrained: a task that has used up its share of the runtime would see every connection as
    // silent, a closed connection too.
    tokio::task::unconstrained(poll_fn(|cx| {
        Poll::Ready(read.as_mut().poll(cx).is_pending())
    }))
    .await
}

/// Every upstream in use. A reload takes the upstreams that stay from here, with their connections.
pub(crate) struct Upstreams {
    connector: Arc<TransportConnector>,
    // Held at load and once a second, never by a delivery.
    known: Mutex<HashMap<config::Upstream, Weak<Upstream>>>,
}

impl Upstreams {
    /// An empty list of upstreams. All that are added share a connector.
    pub(crate) fn new() -> Self {
        Self {
            connector: Arc::new(TransportConnector::new(None)),
            known: Mutex::default(),
        }
    }

    /// The upstream at `target`. The same target gives the same upstream, as long as it is in use.
    pub(crate) fn get(&self, target: &config::Upstream) -> Arc<Upstream> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = known.get(target).and_then(Weak::upgrade) {
            return upstream;
        }
        let label = target.to_string();
        let upstream = Arc::new(Upstream {
            target: target.clone(),
            authority: label.trim_start_matches("http://").to_owned(),
            label: label.into(),
            connector: Arc::clone(&self.connector),
            idle: Mutex::default(),
            resolved: Mutex::default(),
        });
        known.insert(target.clone(), Arc::downgrade(&upstream));
        upstream
    }

    /// Closes connections that have been idle for too long, in all upstreams, and forgets upstreams
    /// that no route uses.
    pub(crate) fn sweep(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, upstream| upstream.strong_count() > 0);
        let upstreams: Vec<_> = known.values().filter_map(Weak::upgrade).collect();
        drop(known);
        for upstream in upstreams {
            upstream.sweep();
        }
    }
}
