//! The connections that were accepted. Each that gets a place is served over HTTP/1 or HTTP/2 to its
//! end (contract: Shares).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::answer::{Answer, Denied};
use super::client::connections::{Admitted, Connections};
use super::client::h1::H1;
use super::client::h2::H2Connection;
use super::client::handshakes::Handshakes;
use super::client::holder::Holder;
use super::client::idle::Idle;
use super::client::origin::is_trusted;
use super::client::port::{BEYOND, NOT_LET_IN, NOT_TLS, Port, SILENCE, TOO_MANY};
use super::client::stream::Stream;
use super::client::tls::{self, Failure, Handshake};
use super::client::{Client, Next};
use super::exchange;
use super::running::Running;
use super::running::snapshot::Snapshot;
use crate::telemetry::handshakes::HandshakeResult;
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// The traffic port. Each of its requests is an exchange, except the probes of
/// `server.health_path`.
pub(super) struct Exchanges {
    running: Arc<Running>,
}

impl Port for Exchanges {
    async fn answer<C: Client>(&self, client: &mut C, head: &Head) -> Next {
        let snapshot = self.running.snapshot.load_full();
        if !self.is_let_in(client, &snapshot) {
            self.refuse(client, NOT_LET_IN).await;
            return Next::Linger;
        }
        if snapshot.health_path.as_deref() == Some(head.path()) {
            return answer_probe(&self.running, client, head).await;
        }
        if let Some(answer) = self.challenge(client, head) {
            return self.running.answer_unlogged(client, &answer, false).await;
        }
        exchange::serve(&self.running, &snapshot, client, head).await
    }

    async fn refuse<C: Client>(&self, client: &mut C, refusal: Refusal) {
        exchange::refuse(&self.running, client, refusal).await;
    }

    async fn answer_beyond<C: Client>(&self, client: &mut C, head: &Head) -> Next {
        let health_path = self.running.snapshot.load().health_path.clone();
        if health_path.as_deref() == Some(head.path()) {
            return answer_probe(&self.running, client, head).await;
        }
        if let Some(answer) = self.challenge(client, head) {
            return self.running.answer_unlogged(client, &answer, false).await;
        }
        self.refuse(client, TOO_MANY).await;
        Next::Linger
    }
}

impl Exchanges {
    /// Whether the certificate with which the connection began counts under this snapshot too.
    fn is_let_in<C: Client>(&self, client: &C, snapshot: &Snapshot) -> bool {
        client.shown().is_none_or(|shown| {
            // A reload cannot change the ports themselves.
            let port = snapshot.tls.get(shown.port);
            let wall = || self.running.clock.now().wall;
            port.is_some_and(|port| shown.counts(port.port.clients(), wall))
        })
    }

    /// The answer to an authority that looks at an open challenge over HTTP. It is no delivery: it is
    /// neither logged nor counted. While no such challenge is open, the path is like any other.
    fn challenge<C: Client>(&self, client: &C, head: &Head) -> Option<Answer> {
        let text = self.running.acme.challenges.answer(head.path())?;
        let is_asked = head.method() == "GET" && !client.is_tls();
        is_asked.then(|| Answer::challenge(text))
    }
}

/// Answers `server.health_path`. A probe is no delivery: it is neither logged nor counted
/// (contract: Route).
async fn answer_probe<C: Client>(running: &Running, client: &mut C, head: &Head) -> Next {
    let answer = if matches!(head.method(), "GET" | "HEAD") {
        Answer::readiness(running.readiness())
    } else {
        Answer::denied(Denied::NotAllowed("GET, HEAD"))
    };
    running
        .answer_unlogged(client, &answer, head.method() == "HEAD")
        .await
}

/// The server of the connections of one port.
pub(super) struct App<P> {
    running: Arc<Running>,
    port: Arc<P>,
    connections: Arc<Connections>,
    handshakes: Handshakes,
    /// Whether every peer is trusted like a proxy: only the operator's own programs reach the port.
    is_own: bool,
}

/// The server of the traffic port.
pub(super) type Traffic = App<Exchanges>;

impl Traffic {
    /// The server of exchanges.
    pub(super) fn new(running: Arc<Running>) -> Self {
        let port = Arc::new(Exchanges {
            running: Arc::clone(&running),
        });
        let threads = running.snapshot.load().restart_settings.threads;
        Self {
            connections: Arc::clone(&running.connections),
            handshakes: Handshakes::new(threads),
            running,
            port,
            is_own: false,
        }
    }
}

/// The way by which a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// An address without TLS.
    Plain,
    /// An address of the `[[server.tls]]` at this place of the file.
    Tls(usize),
}

/// A connection after its handshake, if it needs one.
enum Opened {
    Stream(Stream),
    /// The client does not speak TLS where it must.
    NotTls(Stream),
    Nothing,
}

impl<P: Port> App<P> {
    /// Opens a connection that came by this `door`, within `limit`. `client` is `None` for a trusted
    /// proxy. A connection that has sent nothing ends once `stopping` turns true.
    async fn open(
        &self,
        stream: TcpStream,
        (peer, client): (Option<IpAddr>, Option<Holder>),
        door: Door,
        limit: Duration,
        stopping: &watch::Receiver<bool>,
    ) -> Opened {
        match door {
            Door::Plain => Opened::Stream(Stream::Plain(stream)),
            Door::Tls(place) => {
                // Boxed, so that the task of a plain connection is not as large as this one.
                let client = (peer, client);
                Box::pin(self.shake_hands(stream, client, place, limit, stopping.clone())).await
            }
        }
    }

    /// Runs the handshake of a connection to the TLS port at this `place`, and counts it.
    async fn shake_hands(
        &self,
        stream: TcpStream,
        (peer, client): (Option<IpAddr>, Option<Holder>),
        place: usize,
        limit: Duration,
        stopping: watch::Receiver<bool>,
    ) -> Opened {
        let deadline = Instant::now() + limit;
        // The certificates of the moment; a reload cannot change the ports themselves.
        let snapshot = self.running.snapshot.load_full();
        let Some(port) = snapshot.tls.get(place) else {
            return Opened::Nothing;
        };
        let handshake = tls::run(
            &self.handshakes,
            stream,
            client,
            (place, &port.port),
            deadline,
            (&self.running.turns, &self.running.acme.challenges, stopping),
        )
        .await;
        let (result, opened) = match handshake {
            Handshake::Done(stream, true) => (HandshakeResult::Resumed, Opened::Stream(stream)),
            Handshake::Done(stream, false) => (HandshakeResult::Full, Opened::Stream(stream)),
            Handshake::Plain(stream) => (HandshakeResult::NotTls, Opened::NotTls(stream)),
            Handshake::Challenged => (HandshakeResult::Challenge, Opened::Nothing),
            Handshake::Failed(failure) => {
                let now = self.running.clock.now();
                self.running.warnings.handshake(peer, &failure, now);
                let result = match failure {
                    Failure::Left => HandshakeResult::Left,
                    Failure::Late => HandshakeResult::Late,
                    Failure::Name(_) => HandshakeResult::UnknownName,
                    Failure::Refused(_) => HandshakeResult::Failed,
                };
                (result, Opened::Nothing)
            }
        };
        self.running.telemetry.metrics.count_handshake(result);
        opened
    }

    /// The server of a port other than traffic, with at most `most` connections of its own.
    pub(super) fn new_beside(running: Arc<Running>, port: P, most: usize) -> Self {
        Self {
            running,
            port: Arc::new(port),
            connections: Connections::new(most),
            handshakes: Handshakes::new(1),
            is_own: true,
        }
    }

    /// Whether `peer` is a trusted proxy by the snapshot in force.
    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        is_trusted(peer, &self.running.snapshot.load().trusted_proxies)
    }

    /// Warns that no connection can be accepted now.
    pub(super) fn warn_of_accept(&self, error: &io::Error) {
        let now = self.running.clock.now();
        self.running.warnings.accept(error, now);
    }

    /// Serves a connection from `peer` by this `door` to its end. Once `stopping` turns true, its
    /// next answer is its last, and it ends after a second without a request.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        door: Door,
        stopping: watch::Receiver<bool>,
    ) {
        let peer = Some(peer.to_canonical());
        let (settings, is_trusted) = {
            let snapshot = self.running.snapshot.load();
            let is_trusted = self.is_own || is_trusted(peer, &snapshot.trusted_proxies);
            (snapshot.connection, is_trusted)
        };
        let client = (!is_trusted).then(|| Holder::of(peer));
        // A connection has its place before anything is done for it.
        let place = match self.connections.admit(peer, is_trusted) {
            Admitted::Within(place) => place,
            beyond => {
                let (open, now) = (self.connections.open(), self.running.clock.now());
                self.running.warnings.overload(open, now);
                match (beyond, door) {
                    (Admitted::Beyond(_place), _) => {
                        let opened = self
                            .open(stream, (peer, client), door, BEYOND, &stopping)
                            .await;
                        let Opened::Stream(stream) = opened else {
                            return;
                        };
                        if stream.speaks_http2() {
                            let connection = H2Connection::new(stream, peer, settings);
                            return Box::pin(connection.serve_beyond(&self.port)).await;
                        }
                        let connection = H1::new(stream, peer, settings);
                        connection.serve_beyond(&self.port).await;
                    }
                    (_, Door::Plain) => {
                        let mut connection = H1::new(Stream::Plain(stream), peer, settings);
                        self.port.refuse(&mut connection, TOO_MANY).await;
                    }
                    // An answer would need a handshake, which is what there is no room for.
                    (_, Door::Tls(_)) => {}
                }
                return;
            }
        };
        // A reload that came before the connection had its place does not know of it.
        if !self.is_own && self.trusts(peer) != is_trusted {
            place.idle().retire();
        }
        let limit = settings.head_timeout;
        let opened = self.open(stream, (peer, client), door, limit, &stopping);
        let stream = match opened.await {
            Opened::Stream(stream) => stream,
            Opened::NotTls(stream) => {
                let connection = H1::new(stream, peer, settings);
                return connection.refuse(&self.port, NOT_TLS).await;
            }
            Opened::Nothing => return,
        };
        let idle = place.idle();
        if stream.speaks_http2() {
            // GOAWAY is sent at once: unlike a close, it loses no request that is on its way.
            let retiring = Arc::clone(&idle);
            let stopping = async move {
                tokio::select! {
                    () = ending(idle, stopping, Duration::ZERO) => {}
                    () = retiring.retiring() => {}
                }
            };
            let connection = H2Connection::new(stream, peer, settings);
            // Boxed, so that the task of an HTTP/1 connection is not as large.
            return Box::pin(connection.serve(&self.port, &place, stopping)).await;
        }
        let connection = H1::new(stream, peer, settings).with_place(place.idle(), stopping.clone());
        // The client's next request may be on its way already.
        connection
            .serve(&self.port, ending(idle, stopping, SILENCE))
            .await;
    }
}

/// Returns when a connection that waits for a request is to end: when its place is wanted, or `after`
/// the gateway began to stop.
async fn ending(idle: Arc<Idle>, mut stopping: watch::Receiver<bool>, after: Duration) {
    let stopped = async {
        // An error means that the sender is gone: nobody will stop this connection any more, except
        // for its place.
        if stopping.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(after).await;
    };
    tokio::select! {
        biased;
        () = idle.ending() => {}
        () = stopped => {}
    }
}
