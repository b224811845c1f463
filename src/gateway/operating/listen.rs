//! Listening sockets. The gateway binds them before it starts, hands them to Pingora, and knows
//! which addresses were bound.
//!
//! Pingora binds inside a service, retries a port that is taken for 30 s and then panics, and
//! cannot report the port that the system chose for `:0`. Binding first avoids all three: Pingora
//! looks sockets up in a table by address before it binds, and the gateway puts its sockets into
//! that table. Pingora's hand-over of sockets goes on working.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::ListenerConfig;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service as ServiceTrait;
use pingora::services::listening::Service;

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: cannot listen on {address}: {source}{}", advice(source))]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

/// A bound socket. The system accepts connections on it already.
pub(crate) struct Bound {
    socket: TcpListener,
    /// The address on which it listens, with the port that the system chose.
    pub(crate) address: SocketAddr,
}

/// The way out of an error, with the colon in front of it.
fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => ": stop the program that has it, or choose another port",
        std::io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher port, or \
             give the capability"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            ": no interface of this machine has the address; choose one that has it"
        }
        _ => "",
    }
}

/// Binds an address, which is the value of `key`.
pub(crate) fn bind(key: &'static str, address: SocketAddr) -> Result<Bound, BindError> {
    let bound = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(Bound {
            address: socket.local_addr()?,
            socket,
        })
    });
    bound.map_err(|source| BindError {
        key,
        address,
        source,
    })
}

/// A Pingora service on sockets that are bound already. The gateway's own signal stops it, not the
/// server's.
pub(crate) struct Listening<A> {
    inner: Service<A>,
    bound: Vec<Bound>,
    stopping: ShutdownWatch,
    threads: usize,
}

impl<A> Listening<A> {
    /// A service in which `app` serves the connections of `bound` on `threads` threads, until
    /// `stopping` turns true.
    pub(crate) fn new(
        name: &str,
        app: A,
        bound: Vec<Bound>,
        stopping: ShutdownWatch,
        threads: usize,
    ) -> Self {
        let mut inner = Service::new(name.to_owned(), app);
        for socket in &bound {
            // Every stream has a buffer of the gateway's own behind it; Pingora's would only copy
            // the bytes again.
            let unbuffered = L4BufferSettings::unbuffered();
            inner.add_listener(
                ListenerConfig::tcp(socket.address.to_string()).l4_buffer(unbuffered),
            );
        }
        Self {
            inner,
            bound,
            stopping,
            threads,
        }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServiceTrait for Listening<A> {
    async fn start_service(
        &mut self,
        fds: Option<ListenFds>,
        _: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        if let Some(fds) = &fds {
            let mut table = fds.lock();
            for socket in self.bound.drain(..) {
                table.add(socket.address.to_string(), socket.socket.into_raw_fd());
            }
        }
        self.inner
            .start_service(fds, self.stopping.clone(), listeners_per_fd)
            .await;
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn threads(&self) -> Option<usize> {
        Some(self.threads)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.inner.listen_addresses()
    }
}
