//! The upstream's side of an exchange. This file keeps the connections to one upstream: its name is resolved from time
//! to time, and an idle connection is looked at before use.
//!
//! Pingora's connector opens connections; keeping the idle ones is ours, because its pool spawns a task for each return.
//! Whatever speaks to upstreams enters here. The room may import `timer`, and no other room of the gateway: it knows
//! neither clients nor routes.

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

/// A name is resolved again when its addresses are older than this (SPEC 5).
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// An idle connection is not used after this time: servers commonly close theirs after 5 s (Node.js), and a delivery
/// written to a connection that is just being closed cannot be sent again safely.
const IDLE: Duration = Duration::from_secs(4);
/// So many idle connections are kept for one upstream.
const IDLE_CONNECTIONS: usize = 256;

/// Why no connection could be had; nothing was sent.
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

/// One connection to an upstream, with its read buffer.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) inbound: BytesMut,
    pub(crate) timer: LazyTimer,
    address: SocketAddr,
}

/// One upstream.
pub(crate) struct Upstream {
    target: config::Upstream,
    /// `http://host:port`, for logs.
    pub(crate) label: Arc<str>,
    /// `host:port`, for requests without `Host`.
    pub(crate) authority: String,
    connector: Arc<TransportConnector>,
    // Held for a push or a pop only, never across a wait.
    idle: Mutex<Vec<(Connection, Instant)>>,
    // Likewise. Two tasks may resolve at the same time, and both answers are good.
    resolved: Mutex<Option<(Arc<[SocketAddr]>, Instant)>>,
}

impl Upstream {
    /// An idle connection that is still open and silent, the one used last first.
    pub(crate) async fn reuse(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if since.elapsed() >= IDLE {
                // The connections below are older still.
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

    /// A new connection, to the first address that takes one.
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

    /// Takes back a connection whose last answer ended exactly.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }

    /// Drops idle connections that nobody took in time.
    fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let old = idle
            .iter()
            .take_while(|(_, since)| since.elapsed() >= IDLE)
            .count();
        let dropped: Vec<_> = idle.drain(..old).collect();
        drop(idle);
        // Connections are closed outside the lock.
        drop(dropped);
    }

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

    /// Whether the upstream's name still resolves to the address of an idle connection, as far as is known.
    fn is_current(&self, address: SocketAddr) -> bool {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.as_ref().is_none_or(|(known, since)| {
            since.elapsed() < RESOLVE_EVERY && known.contains(&address)
        })
    }
}

/// Whether an idle connection is open and nothing arrived on it that nobody asked for.
async fn is_silent(connection: &mut Connection) -> bool {
    if !connection.inbound.is_empty() {
        return false;
    }
    let Connection {
        stream, inbound, ..
    } = connection;
    inbound.reserve(1);
    let mut read = pin!(stream.read_buf(inbound));
    // Unconstrained: the runtime's own budget must not make a closed connection look silent.
    tokio::task::unconstrained(poll_fn(|cx| {
        Poll::Ready(read.as_mut().poll(cx).is_pending())
    }))
    .await
}

/// Every upstream in use, so that a reload keeps the connections of those that stay.
pub(crate) struct Upstreams {
    connector: Arc<TransportConnector>,
    // Held at load and once a second, never by a delivery.
    known: Mutex<HashMap<config::Upstream, Weak<Upstream>>>,
}

impl Upstreams {
    /// No upstream yet; all of them will share one connector.
    pub(crate) fn new() -> Self {
        Self {
            connector: Arc::new(TransportConnector::new(None)),
            known: Mutex::default(),
        }
    }

    /// The upstream at `target`, the same one for the same target.
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

    /// Closes idle connections that are too old, in all upstreams, and forgets those that no route uses.
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
