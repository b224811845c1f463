//! The transport over which the tests send their deliveries: `VERIGATE_TEST_TRANSPORT` is `plain` (the default), `tls` or
//! `h2`.
//!
//! With `tls` and `h2` every gateway listens on a TLS port instead ([`super::config::Config::toml`] writes it), tells here
//! which ports those are, and a client that connects to one of them wraps its socket; with `h2` it translates what it
//! sends and reads ([`super::translated`]). Tests need not know of it; a test or a case of one that is about what HTTP/1
//! alone can say asks [`is_http1_only`].

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection};

use super::translated::{Translated, untranslatable};
use super::{LATE, certificates};

/// A way to carry HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// HTTP/1.1 over TCP.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

/// The transport that was asked for.
pub(crate) fn chosen() -> Transport {
    static CHOSEN: OnceLock<Transport> = OnceLock::new();
    *CHOSEN.get_or_init(
        || match std::env::var("VERIGATE_TEST_TRANSPORT").as_deref() {
            Err(_) | Ok("" | "plain") => Transport::Plain,
            Ok("tls") => Transport::Tls,
            Ok("h2") => Transport::Http2,
            Ok(other) => panic!("VERIGATE_TEST_TRANSPORT is {other}, not plain, tls or h2"),
        },
    )
}

/// The scheme of URLs over that transport, as `X-Forwarded-Proto` has it.
pub(crate) fn scheme() -> &'static str {
    match chosen() {
        Transport::Plain => "http",
        Transport::Tls | Transport::Http2 => "https",
    }
}

/// Whether a test, or a case of one, is left out: what it is about (`what`) is HTTP/1's own, and the transport is HTTP/2.
#[must_use]
pub(crate) fn is_http1_only(what: &str) -> bool {
    let is_left_out = chosen() == Transport::Http2;
    if is_left_out {
        eprintln!("left out over HTTP/2, because HTTP/1 alone has {what}");
    }
    is_left_out
}

/// Whether a request is left out, because HTTP/2 has no way to say it, and is the transport.
#[must_use]
pub(crate) fn is_left_out(request: &[u8]) -> bool {
    let why = (chosen() == Transport::Http2).then(|| untranslatable(request));
    why.flatten().is_some_and(|why| is_http1_only(&why))
}

/// The ports that speak TLS.
static PORTS: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// Remembers that clients must speak TLS to this port, or no longer.
pub(crate) fn set_tls(port: u16, is_tls: bool) {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let ports = ports.get_or_insert_default();
    if is_tls {
        ports.insert(port);
    } else {
        ports.remove(&port);
    }
}

/// The name of the certificate that the gateways of the tests have.
pub(crate) const NAME: &str = "gateway.test";

/// A client's end of a connection: bytes go in and out as HTTP has them.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsWire>),
    Http2(Box<Translated>),
}

/// A client's end of a TLS connection.
#[derive(Debug)]
pub(crate) struct TlsWire {
    stream: TcpStream,
    connection: ClientConnection,
    /// How the other side ended the connection, once it has.
    end: Option<End>,
    failure: Option<rustls::Error>,
}

/// The end of a TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side said so (`close_notify`).
    Told,
    /// TCP ended without a word.
    Cut,
}

impl Wire {
    /// Wraps a socket as its peer's port needs it. Of an answer over HTTP/2 as many bytes are sent as `window` says before
    /// some of them are read.
    pub(crate) fn over(stream: TcpStream, window: Option<u32>) -> Self {
        static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let port = stream.peer_addr().map_or(0, |address| address.port());
        let ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let is_tls = ports.as_ref().is_some_and(|ports| ports.contains(&port));
        drop(ports);
        if !is_tls {
            return Self::Plain(stream);
        }
        let is_http2 = chosen() == Transport::Http2;
        let config = CLIENT.get_or_init(|| {
            let mut config = certificates::client(ALL_VERSIONS, None);
            if is_http2 {
                config.alpn_protocols = vec![b"h2".to_vec()];
            }
            Arc::new(config)
        });
        let (wire, _) = TlsWire::begin(stream, Arc::clone(config), NAME);
        if is_http2 {
            Self::Http2(Box::new(Translated::begin(wire, window)))
        } else {
            Self::Tls(Box::new(wire))
        }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(wire) => wire.socket(),
            Self::Http2(wire) => wire.tls().socket(),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(wire) => wire.read(into),
            Self::Http2(wire) => wire.read(into),
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(wire) => wire.write_all(bytes),
            Self::Http2(wire) => wire.write_all(bytes),
        }
    }

    /// Ends the sending side.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Plain(stream) => shut_down(stream),
            Self::Tls(wire) => wire.finish(),
            Self::Http2(wire) => wire.finish(),
        }
    }
}

fn shut_down(stream: &TcpStream) {
    // A connection that the other side has reset cannot be shut down, which is no fault of the test's.
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

impl TlsWire {
    /// Shakes hands, and says how that failed if it did: what can still be read then is the end.
    pub(crate) fn begin(
        stream: TcpStream,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> (Self, io::Result<()>) {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(config, name).expect("settings");
        let mut wire = Self {
            stream,
            connection,
            end: None,
            failure: None,
        };
        wire.stream
            .set_read_timeout(Some(LATE))
            .expect("a time limit");
        let mut shaken = Ok(());
        while wire.connection.is_handshaking() && shaken.is_ok() {
            shaken = wire.flush().and_then(|()| wire.take());
        }
        (wire, shaken)
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Ends the sending side.
    pub(crate) fn finish(&mut self) {
        self.connection.send_close_notify();
        let _ = self.flush();
        shut_down(&self.stream);
    }

    /// What was agreed on.
    pub(crate) fn connection(&self) -> &ClientConnection {
        &self.connection
    }

    /// How the other side ended the connection, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// The alert or the fault that ended the connection.
    pub(crate) fn failure(&self) -> Option<&rustls::Error> {
        self.failure.as_ref()
    }

    /// Sends what waits to be sent.
    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Takes what has come.
    fn take(&mut self) -> io::Result<()> {
        if self.connection.read_tls(&mut self.stream)? == 0 {
            self.end.get_or_insert(End::Cut);
            if self.connection.is_handshaking() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let taken = self.connection.process_new_packets();
        if taken.as_ref().is_ok_and(rustls::IoState::peer_has_closed) {
            self.end = Some(End::Told);
        }
        // An alert may be due.
        let _ = self.flush();
        taken.map(drop).map_err(|error| {
            self.failure = Some(error.clone());
            io::Error::new(ErrorKind::InvalidData, error)
        })
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.take()?,
                other => return other,
            }
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.connection.writer().write(rest)?;
            rest = &rest[count..];
            self.flush()?;
        }
        Ok(())
    }
}
