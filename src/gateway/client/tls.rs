//! The handshake of a connection to a TLS port: it runs within the limits of the client's side, and
//! nothing of it is done before the connection has a place (contract: The edge).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;

use super::holder::{Holder, Network};
use super::stream::Stream;
use crate::tls::Port;

/// The first byte of a TLS record that holds a handshake (RFC 8446 5.1). No HTTP request begins so.
const HANDSHAKE: u8 = 0x16;

/// The record of the fatal alert `unrecognized_name` (RFC 6066 3), as it is sent before any version
/// was agreed on.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 112];

/// The handshakes that may be in progress at a time, for each worker thread.
const A_THREAD: usize = 64;

/// The outcome of a handshake.
pub(crate) enum Handshake {
    /// The connection speaks TLS.
    Done(Stream),
    /// The client speaks something else, which has not been read.
    Plain(Stream),
    /// The connection ended: it was too slow, it broke, it asked for an unknown name, or the two
    /// sides did not agree. The words say which, for the operator.
    Failed(String),
}

/// The handshakes in progress. A client has a quarter of them; who has to wait for its turn waits
/// within the time limit of its handshake.
#[derive(Debug)]
pub(crate) struct Handshakes {
    all: Arc<Semaphore>,
    share: usize,
    // Held for a look-up, once before and once after each handshake.
    clients: Mutex<HashMap<Network, Arc<Semaphore>>>,
}

/// A handshake's turn. Another may follow when it is dropped.
struct Turn<'h> {
    handshakes: &'h Handshakes,
    client: Option<(Network, OwnedSemaphorePermit)>,
    _all: OwnedSemaphorePermit,
}

impl Handshakes {
    /// Turns for this many worker threads.
    pub(crate) fn new(threads: usize) -> Self {
        let most = A_THREAD.saturating_mul(threads).min(Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(most)),
            share: (most / 4).max(1),
            clients: Mutex::default(),
        }
    }

    /// Waits for the turn of a handshake. `client` is `None` for a trusted proxy, which speaks for
    /// many clients.
    async fn turn(&self, client: Option<Holder>) -> Option<Turn<'_>> {
        let client = match client {
            Some(client) => {
                let own = {
                    let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
                    let own = clients.entry(client.own);
                    Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.share))))
                };
                // Neither semaphore is ever closed, so no error can come.
                Some((client.own, own.acquire_owned().await.ok()?))
            }
            None => None,
        };
        Some(Turn {
            handshakes: self,
            client,
            _all: Arc::clone(&self.all).acquire_owned().await.ok()?,
        })
    }

    /// Runs the handshake of a connection that was just accepted, until `deadline` at most.
    pub(crate) async fn run(
        &self,
        stream: TcpStream,
        client: Option<Holder>,
        port: &Port,
        deadline: Instant,
    ) -> Handshake {
        let shake = async {
            // Whoever sends nothing takes no turn.
            let mut first = [0];
            match stream.peek(&mut first).await {
                Ok(1..) if first == [HANDSHAKE] => {}
                Ok(1..) => return Handshake::Plain(Stream::Plain(stream)),
                Ok(0) | Err(_) => return Handshake::Failed("the client left".to_owned()),
            }
            let Some(_turn) = self.turn(client).await else {
                return Handshake::Failed("the gateway ends".to_owned());
            };
            shake_hands(stream, port).await
        };
        let ended = timeout_at(deadline, shake).await;
        ended.unwrap_or_else(|_| Handshake::Failed("it took too long".to_owned()))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some((network, permit)) = self.client.take() else {
            return;
        };
        drop(permit);
        let clients = self.handshakes.clients.lock();
        let mut clients = clients.unwrap_or_else(PoisonError::into_inner);
        // Who waits for a turn of this client holds its semaphore too.
        if clients
            .get(&network)
            .is_some_and(|own| Arc::strong_count(own) == 1)
        {
            clients.remove(&network);
        }
    }
}

async fn shake_hands(stream: TcpStream, port: &Port) -> Handshake {
    let started = match LazyConfigAcceptor::new(Acceptor::default(), stream).await {
        Ok(started) => started,
        Err(error) => return Handshake::Failed(error.to_string()),
    };
    let hello = started.client_hello();
    if !port.identities().has(hello.server_name()) {
        let name = hello.server_name().unwrap_or("no name").to_owned();
        let mut stream = started.io;
        let _ = stream.write_all(&UNRECOGNIZED_NAME).await;
        let _ = stream.shutdown().await;
        return Handshake::Failed(format!("no certificate for {name}"));
    }
    match started.into_stream(port.config()).await {
        Ok(stream) => Handshake::Done(Stream::Tls(Box::new(stream))),
        Err(error) => Handshake::Failed(error.to_string()),
    }
}
