//! Listening sockets. The gateway binds them before it starts, so that an address that is taken ends
//! the process at once and the port is known that the system chose for `:0`. Each is then the socket
//! of a loop that accepts connections, until the gateway stops (contract: Shutdown).
//!
//! The loops are a Pingora service: Pingora gives it a runtime with its threads. The connections
//! are the gateway's own from the first byte on, because Pingora's streams read a clock at each
//! wait and pass each byte through several layers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::upgrade::Offered;
use crate::gateway::client::port::Port;
use crate::gateway::traffic::{App, Door};

/// The connections that the system completes and keeps until they are accepted, if it allows that
/// many (`net.core.somaxconn`).
const BACKLOG: i32 = 65_535;
/// The pause after an error that may come again at once, such as a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: cannot listen on {address}: {source}{}", advice(source))]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// A bound socket. The system accepts connections on it already.
pub(crate) struct Bound {
    socket: TcpListener,
    /// The address on which it listens, with the port that the system chose.
    pub(crate) address: SocketAddr,
}

/// The way out of an error, with the colon in front of it.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => ": stop the program that has it, or choose another port",
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher port, or \
             give the capability"
        }
        io::ErrorKind::AddrNotAvailable => {
            ": no interface of this machine has the address; choose one that has it"
        }
        _ => "",
    }
}

impl Bound {
    /// A copy of the socket for a process that takes over; `key` and `address` are those of the
    /// configuration.
    pub(crate) fn offered(
        &self,
        key: &'static str,
        address: SocketAddr,
    ) -> Result<Offered, BindError> {
        let copy = self.socket.try_clone().map_err(|source| BindError {
            key,
            address,
            source,
        });
        copy.map(|socket| Offered {
            key,
            address,
            socket,
        })
    }

    fn over(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // The standard library asks for a short queue; a second call sets another length.
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
        })
    }
}

/// Takes a socket that was bound before for `address`, which is the value of `key`.
pub(crate) fn adopt(
    key: &'static str,
    address: SocketAddr,
    socket: TcpListener,
) -> Result<Bound, BindError> {
    Bound::over(socket).map_err(|source| BindError {
        key,
        address,
        source,
    })
}

/// Binds an address, which is the value of `key`.
pub(crate) fn bind(key: &'static str, address: SocketAddr) -> Result<Bound, BindError> {
    let bound = TcpListener::bind(address).and_then(Bound::over);
    bound.map_err(|source| BindError {
        key,
        address,
        source,
    })
}

/// The runtime of a service, once the service has started.
pub(crate) type RuntimeOf = Arc<OnceLock<Handle>>;

/// Held by each loop that accepts and each connection that it has accepted, from that moment on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<()>);

impl Tasks {
    /// Whether nobody else has it any more.
    pub(crate) fn are_over(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// A service that accepts the connections of sockets which are bound already. The gateway's own
/// signal stops it, not the server's.
pub(crate) struct Listening<P> {
    name: &'static str,
    app: Arc<App<P>>,
    bound: Vec<(Bound, Door)>,
    stopping: watch::Receiver<bool>,
    threads: usize,
    runtime: RuntimeOf,
    /// `None` once the loops have it.
    tasks: Option<Tasks>,
}

impl<P: Port> Listening<P> {
    /// A service in which `app` serves the connections of `bound` on `threads` threads, until
    /// `stopping` turns true.
    pub(crate) fn new(
        name: &'static str,
        app: App<P>,
        bound: Vec<(Bound, Door)>,
        stopping: watch::Receiver<bool>,
        threads: usize,
    ) -> Self {
        Self {
            name,
            app: Arc::new(app),
            bound,
            stopping,
            threads,
            runtime: RuntimeOf::default(),
            tasks: Some(Tasks::default()),
        }
    }

    /// The loops and connections of the service, to be counted.
    pub(crate) fn tasks(&self) -> Tasks {
        self.tasks.clone().unwrap_or_default()
    }

    /// The runtime on which the connections are served.
    pub(crate) fn runtime(&self) -> RuntimeOf {
        Arc::clone(&self.runtime)
    }
}

#[async_trait]
impl<P: Port> Service for Listening<P> {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        // It is set once, since a service starts once.
        let _ = self.runtime.set(Handle::current());
        let tasks = self.tasks.take().unwrap_or_default();
        let mut loops = JoinSet::new();
        for (Bound { socket, address }, door) in self.bound.drain(..) {
            let (app, stopping) = (Arc::clone(&self.app), self.stopping.clone());
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => {
                    loops.spawn(accept(listener, app, door, stopping, tasks.clone()));
                }
                Err(error) => log::error!("cannot accept connections on {address}: {error}"),
            }
        }
        drop(tasks);
        while loops.join_next().await.is_some() {}
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        Some(self.threads)
    }
}

/// Accepts connections until `stopping` turns true or its sender is gone, and those that wait in the
/// system's queue then. Each is served by a task of its own, so a connection that panics ends alone.
async fn accept<P: Port>(
    listener: tokio::net::TcpListener,
    app: Arc<App<P>>,
    door: Door,
    stopping: watch::Receiver<bool>,
    tasks: Tasks,
) {
    let serve = |stream: tokio::net::TcpStream, address: SocketAddr| {
        // An answer is one write, so waiting for more would only delay it. An error means that the
        // connection is broken, which its first read shows.
        let _ = stream.set_nodelay(true);
        let (app, stopping, own) = (Arc::clone(&app), stopping.clone(), tasks.clone());
        tokio::spawn(async move {
            app.serve(stream, address.ip(), door, stopping).await;
            drop(own);
        });
    };
    let mut watched = stopping.clone();
    let mut stopped = pin!(watched.wait_for(|stop| *stop));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => serve(stream, address),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                app.warn_of_accept(&error);
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
    // The system would reset the connections that it has completed when the socket is closed.
    let Ok(socket) = listener.into_std() else {
        return;
    };
    for _ in 0..BACKLOG {
        match socket.accept() {
            Ok((stream, address)) => {
                let stream = stream
                    .set_nonblocking(true)
                    .and_then(|()| tokio::net::TcpStream::from_std(stream));
                if let Ok(stream) = stream {
                    serve(stream, address);
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => return,
        }
    }
}

/// Whether the error is about a connection that broke before it was accepted. The system has
/// dropped that connection, so the next call is about another.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::gateway::client::answer::Answer;
    use crate::gateway::client::{Client, Next};
    use crate::gateway::running::Running;
    use crate::gateway::tests::running_by;
    use crate::verdict::Refusal;
    use crate::wire::head::Head;

    const ANY: &str = "127.0.0.1:0";

    /// A port that panics where it is asked to.
    struct Panicking(Arc<Running>);

    impl Port for Panicking {
        async fn answer<C: Client>(&self, client: &mut C, head: &Head) -> Next {
            assert!(head.path() != "/panic", "as asked");
            self.0.answer_unlogged(client, &Answer::done(), false).await
        }

        async fn refuse<C: Client>(&self, _: &mut C, _: Refusal) {}

        async fn answer_beyond<C: Client>(&self, _: &mut C, _: &Head) -> Next {
            Next::Abort
        }
    }

    fn running() -> Arc<Running> {
        let text = "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\n\
                    secrets = [\"plain:a-secret-of-the-test\"]\nupstream = \"http://127.0.0.1:3000\"\n";
        Arc::new(running_by(text))
    }

    /// The bytes that come back for a request, up to `most`.
    async fn ask(stream: &mut TcpStream, path: &str, most: usize) -> Vec<u8> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; most];
        let count = stream.read(&mut answer).await.unwrap_or(0);
        answer.truncate(count);
        answer
    }

    #[tokio::test]
    async fn a_connection_that_panics_ends_alone_and_after_the_stop_no_other_is_taken() {
        let bound = [
            bind("a", ANY.parse().unwrap()),
            bind("b", ANY.parse().unwrap()),
        ];
        let bound: Vec<_> = bound
            .into_iter()
            .map(|bound| (bound.unwrap(), Door::Plain))
            .collect();
        let addresses: Vec<_> = bound.iter().map(|(bound, _)| bound.address).collect();
        let running = running();
        let app = App::new_beside(Arc::clone(&running), Panicking(running), 16);
        let (stop, stopping) = watch::channel(false);
        let mut service = Listening::new("test", app, bound, stopping.clone(), 1);
        let serving = tokio::spawn(async move { service.start_service(None, stopping, 1).await });
        let mut kept = TcpStream::connect(addresses[0]).await.unwrap();
        assert!(ask(&mut kept, "/", 12).await == b"HTTP/1.1 200");
        for address in addresses.iter().chain(&addresses) {
            let mut panicking = TcpStream::connect(*address).await.unwrap();
            assert!(ask(&mut panicking, "/panic", 1).await.is_empty());
            let mut other = TcpStream::connect(*address).await.unwrap();
            assert!(ask(&mut other, "/", 12).await == b"HTTP/1.1 200");
        }
        stop.send_replace(true);
        serving.await.unwrap();
        let mut rest = Vec::new();
        kept.read_to_end(&mut rest).await.unwrap();
        for address in addresses {
            assert!(
                TcpStream::connect(address).await.is_err(),
                "{address} is open"
            );
        }
    }

    #[tokio::test]
    async fn rx_31_connections_that_wait_in_the_queue_when_the_gateway_stops_are_served() {
        let bound = bind("a", ANY.parse().unwrap()).unwrap();
        let address = bound.address;
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
        let running = running();
        let app = App::new_beside(Arc::clone(&running), Panicking(running), 20);
        let (stop, stopping) = watch::channel(false);
        stop.send_replace(true);
        let bound = vec![(bound, Door::Plain)];
        let mut service = Listening::new("test", app, bound, stopping.clone(), 1);
        service.start_service(None, stopping, 1).await;
        for mut client in waiting {
            let answer = ask(&mut client, "/", 4096).await;
            assert!(answer.starts_with(b"HTTP/1.1 200"));
            assert!(String::from_utf8_lossy(&answer).contains("Connection: close"));
        }
    }

    /// A burst of connections waits in the system's queue until it is accepted.
    #[test]
    fn the_queue_of_connections_is_as_long_as_the_system_allows() {
        let bound = bind("a", ANY.parse().unwrap()).unwrap();
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
        let burst = allowed.map_or(0, |most| most.trim().parse().unwrap_or(0).min(400));
        let second = Duration::from_secs(1);
        let waiting: Vec<_> = (0..burst)
            .map_while(|_| std::net::TcpStream::connect_timeout(&bound.address, second).ok())
            .collect();
        assert_eq!(waiting.len(), burst);
    }

    #[test]
    fn only_a_broken_connection_needs_no_pause() {
        // EMFILE, ENFILE, ENOBUFS and ENOMEM come again at once.
        for (number, expected) in [
            (103, true),
            (24, false),
            (23, false),
            (105, false),
            (12, false),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_of_one_connection(&error), expected, "{error}");
        }
    }
}
