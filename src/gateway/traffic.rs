//! The connections that Pingora has accepted. Each is served over HTTP/1 to its end, as long as
//! fewer are open than `server.max_connections` allows.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use super::client::Next;
use super::client::answer::{Answer, Denied};
use super::client::h1::{H1, Port};
use super::exchange;
use super::running::{OpenConnection, Running};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// The traffic port. Each of its requests is an exchange, except the probes of
/// `server.health_path`.
pub(super) struct Exchanges {
    running: Arc<Running>,
}

impl Port for Exchanges {
    async fn answer(&self, client: &mut H1, head: Head) -> Next {
        let snapshot = self.running.snapshot.load_full();
        if snapshot.health_path.as_deref() == Some(head.path()) {
            return answer_probe(&self.running, client, &head).await;
        }
        exchange::serve(&self.running, &snapshot, client, &head).await
    }

    async fn refuse(&self, client: &mut H1, refusal: Refusal) {
        exchange::refuse(&self.running, client, refusal).await;
    }
}

/// Answers `server.health_path`. A probe is no delivery: it is neither logged nor counted
/// (contract: Route).
async fn answer_probe(running: &Running, client: &mut H1, head: &Head) -> Next {
    let answer = if matches!(head.method(), "GET" | "HEAD") {
        Answer::readiness(running.is_ready())
    } else {
        Answer::denied(Denied::NotAllowed("GET, HEAD"))
    };
    running
        .answer_unlogged(client, &answer, head.method() == "HEAD")
        .await
}

/// A Pingora application that serves the connections of one port.
pub(super) struct App<P> {
    running: Arc<Running>,
    port: Arc<P>,
    is_traffic: bool,
    /// The number of open connections, unless the port is the traffic port: [`Running`] counts its
    /// connections. Relaxed: no other memory is read by way of this number.
    open: AtomicUsize,
}

/// The application of the traffic port.
pub(super) type Traffic = App<Exchanges>;

impl Traffic {
    /// The application that serves exchanges.
    pub(super) fn new(running: Arc<Running>) -> Self {
        let port = Arc::new(Exchanges {
            running: Arc::clone(&running),
        });
        Self {
            running,
            port,
            is_traffic: true,
            open: AtomicUsize::new(0),
        }
    }
}

impl<P: Port> App<P> {
    /// The application of a port other than traffic. It counts its own connections.
    pub(super) fn new_beside(running: Arc<Running>, port: P) -> Self {
        Self {
            running,
            port: Arc::new(port),
            is_traffic: false,
            open: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl<P: Port> ServerApp for App<P> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let counter = if self.is_traffic {
            &self.running.connections
        } else {
            &self.open
        };
        let (_counted, open) = OpenConnection::count(counter);
        let (settings, limit) = {
            let snapshot = self.running.snapshot.load();
            (snapshot.connection, snapshot.max_connections)
        };
        let digest = stream.get_socket_digest();
        let peer = digest.and_then(|d| {
            d.peer_addr()
                .and_then(|a| a.as_inet())
                .map(|a| a.ip().to_canonical())
        });
        let mut connection = H1::new(stream, peer, settings);
        if open > limit {
            self.running
                .warnings
                .overload(open, self.running.clock.now());
            self.port
                .refuse(
                    &mut connection,
                    Refusal::because(Code::Overloaded, "too many connections"),
                )
                .await;
            return None;
        }
        let mut shutdown = shutdown.clone();
        let stopping = async move {
            // An error means that the sender is gone: nobody will stop this connection any more.
            if shutdown.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        connection.serve(&self.port, stopping).await;
        None
    }
}
