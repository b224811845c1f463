//! A connection as the recording upstream sees it: over TCP, with TLS or without, or over a Unix socket. It can be read
//! and written by reference, as a `TcpStream` can.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

/// A connection.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TcpStream, Box<Mutex<Session>>),
}

/// The state of TLS, and bytes that it has no room for yet.
pub(crate) struct Session {
    tls: ServerConnection,
    waiting: Vec<u8>,
}

/// What the upstream learned in a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    /// The name that was asked for.
    pub(crate) name: Option<String>,
    /// The protocol that was agreed on.
    pub(crate) protocol: Option<Vec<u8>>,
    /// Whether it went on from an earlier session.
    pub(crate) is_resumed: bool,
    /// Whether the client showed a certificate.
    pub(crate) has_certificate: bool,
}

impl Socket {
    /// A connection that speaks TLS. Shakes hands.
    pub(crate) fn tls(
        stream: TcpStream,
        config: &Arc<ServerConfig>,
    ) -> io::Result<(Self, Handshake)> {
        let mut session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while session.is_handshaking() {
            if let Err(error) = session.complete_io(&mut &stream) {
                // The alert tells the client why.
                let _ = session.write_tls(&mut &stream);
                return Err(error);
            }
        }
        // The tickets of TLS 1.3.
        while session.wants_write() {
            session.write_tls(&mut &stream)?;
        }
        let handshake = Handshake {
            name: session.server_name().map(ToOwned::to_owned),
            protocol: session.alpn_protocol().map(ToOwned::to_owned),
            is_resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            has_certificate: session.peer_certificates().is_some(),
        };
        Ok((
            {
                let waiting = Vec::new();
                let tls = session;
                Self::Tls(stream, Box::new(Mutex::new(Session { tls, waiting })))
            },
            handshake,
        ))
    }

    /// Ends one direction or both; TLS says so before.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tls(stream, session) => {
                let tls = &mut held(session).tls;
                tls.send_close_notify();
                while tls.wants_write() {
                    tls.write_tls(&mut &*stream)?;
                }
                stream.shutdown(how)
            }
        }
    }

    /// Ends the connection beneath TLS, which learns nothing of it.
    pub(crate) fn cut(&self) {
        let _ = match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Sends each write at once.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Lets the connection be reset when it is dropped.
    pub(crate) fn reset_at_end(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => {
                socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
            }
            Self::Unix(_) => Ok(()),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (stream, session) = match self {
            Socket::Tcp(stream) => return (&*stream).read(into),
            Socket::Unix(stream) => return (&*stream).read(into),
            Socket::Tls(stream, session) => (stream, session),
        };
        loop {
            {
                let mut session = held(session);
                let Session { tls, waiting } = &mut *session;
                match tls.reader().read(into) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    other => return other,
                }
                if !waiting.is_empty() {
                    let count = tls.read_tls(&mut waiting.as_slice())?;
                    waiting.drain(..count);
                    tls.process_new_packets().map_err(io::Error::other)?;
                    continue;
                }
            }
            // Not read under the lock, so that others can write meanwhile.
            let mut bytes = [0; 1 << 14];
            let count = (&*stream).read(&mut bytes)?;
            let mut session = held(session);
            if count == 0 {
                session.tls.read_tls(&mut io::empty())?;
            }
            session
                .waiting
                .extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (stream, session) = match self {
            Socket::Tcp(stream) => return (&*stream).write(bytes),
            Socket::Unix(stream) => return (&*stream).write(bytes),
            Socket::Tls(stream, session) => (stream, session),
        };
        let tls = &mut held(session).tls;
        let count = tls.writer().write(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut &*stream)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
