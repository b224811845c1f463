//! Takes accepted connections over from Pingora and serves each over HTTP/1, within the connection limit.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use super::client::h1::{H1, Handler, Next};
use super::exchange;
use super::running::{OpenConnection, Running};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// The traffic port's handler: one exchange per request.
pub(super) struct Exchanges {
    running: Arc<Running>,
}

impl Handler for Exchanges {
    async fn handle(&self, client: &mut H1, head: Head) -> Next {
        exchange::serve(&self.running, client, &head).await
    }

    async fn refuse(&self, client: &mut H1, refusal: Refusal) {
        exchange::refuse(&self.running, client, refusal).await;
    }
}

/// A Pingora application over a handler.
pub(super) struct App<H> {
    running: Arc<Running>,
    handler: Arc<H>,
    is_traffic: bool,
    open: std::sync::atomic::AtomicUsize,
}

/// The application of the traffic port.
pub(super) type Traffic = App<Exchanges>;

impl Traffic {
    /// Serves exchanges.
    pub(super) fn new(running: Arc<Running>) -> Self {
        let handler = Arc::new(Exchanges { running: Arc::clone(&running) });
        Self { running, handler, is_traffic: true, open: std::sync::atomic::AtomicUsize::new(0) }
    }
}

impl<H: Handler> App<H> {
    /// Serves `handler` beside the traffic, with a count of its own.
    pub(super) fn new_beside(running: Arc<Running>, handler: H) -> Self {
        Self { running, handler: Arc::new(handler), is_traffic: false, open: std::sync::atomic::AtomicUsize::new(0) }
    }
}

#[async_trait]
impl<H: Handler> ServerApp for App<H> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let counter = if self.is_traffic { &self.running.connections } else { &self.open };
        let (_counted, open) = OpenConnection::count(counter);
        let (settings, limit) = {
            let snapshot = self.running.snapshot.load();
            (snapshot.connection, snapshot.max_connections)
        };
        let digest = stream.get_socket_digest();
        let peer = digest.and_then(|d| d.peer_addr().and_then(|a| a.as_inet()).map(|a| a.ip().to_canonical()));
        let mut connection = H1::new(stream, peer, settings);
        if open > limit {
            self.running.warnings.overload(open, self.running.clock.now());
            self.handler.refuse(&mut connection, Refusal::because(Code::Overloaded, "too many connections")).await;
            return None;
        }
        let mut shutdown = shutdown.clone();
        let stopping = async move {
            // an error means that the sender is gone: nobody will stop us any more
            if shutdown.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        connection.serve(&self.handler, stopping).await;
        None
    }
}
