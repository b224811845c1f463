//! The handshake of a connection to a TLS port: it runs within the limits of the client's side, and
//! nothing of it is done before the connection has a place (contract: The edge).
//!
//! A handshake takes a turn once the client's greeting is complete: before that there is nothing to
//! compute, so whoever sends a greeting slowly keeps nobody waiting.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::StartHandshake;
use tokio_rustls::rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio_rustls::rustls::{self, HandshakeKind, ServerConfig};

use super::ahead::Ahead;
use super::challenge;
use super::handshakes::Handshakes;
use super::holder::Holder;
use super::port::SILENCE;
use super::shown::Shown;
use super::stream::Stream;
use super::turns::{Turns, spend};
use crate::acme::challenges::Challenges;
use crate::tls::{Clients, Peer, Port, words};

/// The first byte of a TLS record that holds a handshake (RFC 8446 5.1). No HTTP request begins so.
const HANDSHAKE: u8 = 0x16;

/// The record of the fatal alert `unrecognized_name` (RFC 6066 3), as it is sent before any version
/// was agreed on.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 112];

/// The most bytes of a client's greeting (`ClientHello`), with the framing of its records. Greetings
/// of clients have a few hundred bytes, and two thousand with a post-quantum key.
const MAX_HELLO: usize = 32 * 1024;

/// The work of a full handshake, counted in bytes that are hashed: a signature and a key exchange
/// take some 200 microseconds.
const WORK: u64 = 400 * 1024;

/// The bounds of the end of a connection whose handshake failed: the time and the bytes for which the
/// client is still read, so that it can read the alert instead of a reset.
const END_TIME: Duration = Duration::from_secs(1);
const END_BYTES: usize = 64 * 1024;

/// The outcome of a handshake.
pub(crate) enum Handshake {
    /// The connection speaks TLS; the flag says whether an earlier session was resumed.
    Done(Stream, bool),
    /// The client speaks something else, which has not been read.
    Plain(Stream),
    /// The connection ended.
    Failed(Failure),
    /// An authority looked at a challenge, and the connection ended.
    Challenged,
}

/// The reason why a handshake came to no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client left without a whole greeting, or the gateway stops.
    Left,
    /// The time was over, or others waited for a turn.
    Late,
    /// The client asked for this name, or for no name, and no certificate is for it.
    Name(Option<String>),
    /// The two sides did not agree, in words for the operator.
    Refused(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(cause) => Self::Refused(words(cause, Peer::Client)),
            None if error.kind() == io::ErrorKind::InvalidData => Self::Refused(error.to_string()),
            None => Self::Left,
        }
    }
}

/// Runs the handshake of a connection that was just accepted, until `deadline` at most. A connection
/// that has sent nothing ends once `stopping` turns true. `client` is `None` for a trusted proxy, and
/// `place` is that of the port in the file.
///
/// If this future is dropped, the connection and its turn are given back.
pub(crate) async fn run(
    handshakes: &Handshakes,
    stream: TcpStream,
    client: Option<Holder>,
    (place, port): (usize, &Port),
    deadline: Instant,
    (turns, challenges, stopping): (&Turns, &Challenges, watch::Receiver<bool>),
) -> Handshake {
    let shake = async {
        match first_byte(&stream, stopping).await {
            Some(HANDSHAKE) => {}
            Some(_) => return Ok(Handshake::Plain(Stream::Plain(stream))),
            None => return Err((Failure::Left, None)),
        }
        let hello = match read_hello(&stream).await {
            Ok(hello) => hello,
            Err(Hello::Lost(error)) => return Err((error.into(), None)),
            Err(Hello::Broken(error, alert)) => {
                let failure = Failure::Refused(words(&error, Peer::Client));
                return Err((failure, Some(tell(stream, alert).await)));
            }
        };
        let name = hello.client_hello().server_name().map(str::to_owned);
        let is_challenge = challenge::is_asked_for(&hello.client_hello());
        let settings = if is_challenge {
            let Some(settings) = name.and_then(|name| challenges.handshake(&name)) else {
                let failure = Failure::Refused(challenge::NOT_OPEN.to_owned());
                return Err((failure, Some(challenge::refuse(stream).await)));
            };
            settings
        } else if port.identities().has(name.as_deref()) {
            port.config()
        } else {
            let mut stream = stream;
            // The client may be gone, which changes nothing.
            let _ = stream.write_all(&UNRECOGNIZED_NAME).await;
            return Err((Failure::Name(name), Some(stream)));
        };
        let Some(turn) = handshakes.turn(client).await else {
            return Err((Failure::Left, None));
        };
        let result = tokio::select! {
            biased;
            result = turns.paced(shake_hands(stream, hello, settings, (place, port.clients()))) => result,
            () = handshakes.must_go() => Err((Failure::Late, None)),
        };
        drop(turn);
        match result {
            Ok(Handshake::Done(stream, _)) if is_challenge => {
                challenge::end(stream).await;
                Ok(Handshake::Challenged)
            }
            result => result,
        }
    };
    let ended = timeout_at(deadline, shake).await;
    match ended.unwrap_or(Err((Failure::Late, None))) {
        Ok(handshake) => handshake,
        Err((failure, stream)) => {
            if let Some(stream) = stream {
                end(stream).await;
            }
            Handshake::Failed(failure)
        }
    }
}

/// The first byte that a client sends, which is not taken. `None` if it leaves, or has sent nothing
/// [`SILENCE`] after `stopping` turned true.
async fn first_byte(stream: &TcpStream, mut stopping: watch::Receiver<bool>) -> Option<u8> {
    let mut first = [0];
    let stopped = async {
        // An error means that the sender is gone: nobody will stop this connection any more.
        if stopping.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
        // The client's greeting may be on its way already.
        tokio::time::sleep(SILENCE).await;
    };
    tokio::select! {
        biased;
        count = stream.peek(&mut first) => match count {
            Ok(1..) => Some(first[0]),
            Ok(0) | Err(_) => None,
        },
        () = stopped => None,
    }
}

/// The reason why there is no greeting.
enum Hello {
    Lost(io::Error),
    Broken(rustls::Error, AcceptedAlert),
}

/// Reads a client's greeting. What follows it stays with the greeting.
async fn read_hello(stream: &TcpStream) -> Result<Accepted, Hello> {
    let mut acceptor = Acceptor::default();
    let mut left = MAX_HELLO;
    loop {
        stream.readable().await.map_err(Hello::Lost)?;
        let mut source = Source {
            stream,
            left: &mut left,
        };
        match acceptor.read_tls(&mut source) {
            Ok(0) => return Err(Hello::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(Hello::Lost(error)),
        }
        match acceptor.accept() {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err((error, alert)) => return Err(Hello::Broken(error, alert)),
        }
    }
}

/// The bytes of a socket that are there, up to a bound.
struct Source<'s> {
    stream: &'s TcpStream,
    left: &'s mut usize,
}

impl io::Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(*self.left);
        if most == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the client's greeting is too long",
            ));
        }
        let count = self
            .stream
            .try_read(into.get_mut(..most).unwrap_or_default())?;
        *self.left -= count;
        Ok(count)
    }
}

/// Writes an alert.
async fn tell(mut stream: TcpStream, mut alert: AcceptedAlert) -> TcpStream {
    let mut bytes = Vec::new();
    // Writing to a `Vec` cannot fail, and the client may be gone, which changes nothing.
    let _ = alert.write_all(&mut bytes);
    let _ = stream.write_all(&bytes).await;
    stream
}

async fn shake_hands(
    stream: TcpStream,
    hello: Accepted,
    settings: Arc<ServerConfig>,
    (place, clients): (usize, &Arc<Clients>),
) -> Result<Handshake, (Failure, Option<TcpStream>)> {
    spend(WORK);
    let started = StartHandshake::from_parts(hello, Ahead::new(stream));
    match started.into_stream(settings).into_fallible().await {
        Ok(stream) => {
            let session = stream.get_ref().1;
            let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
            let chain = session.peer_certificates().unwrap_or_default().to_vec();
            let shown = Shown::new(place, chain, Arc::clone(clients));
            let stream = Stream::Tls(Box::new(stream), Arc::new(shown));
            Ok(Handshake::Done(stream, is_resumed))
        }
        Err((error, stream)) => Err((error.into(), Some(stream.into_socket()))),
    }
}

/// Ends a connection whose handshake failed.
async fn end(mut stream: TcpStream) {
    let ending = async {
        stream.shutdown().await?;
        let mut left = END_BYTES;
        while left > 0 {
            stream.readable().await?;
            let mut piece = [0; 4096];
            match stream.try_read(&mut piece) {
                Ok(0) => break,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    // Whether the client has left already changes nothing.
    let _: Result<io::Result<()>, _> = timeout(END_TIME, pin!(ending)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_words_and_a_client_that_left_is_none() {
        let rows = [
            (
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA),
                ),
                Failure::Refused(
                    "the client does not trust the certificate (UnknownCA)".to_owned(),
                ),
            ),
            (
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    rustls::Error::NoCertificatesPresented,
                ),
                Failure::Refused("the client sent no certificate".to_owned()),
            ),
            (io::ErrorKind::ConnectionReset.into(), Failure::Left),
            (io::ErrorKind::UnexpectedEof.into(), Failure::Left),
        ];
        for (error, expected) in rows {
            let shown = error.to_string();
            assert_eq!(Failure::from(error), expected, "{shown}");
        }
    }
}
