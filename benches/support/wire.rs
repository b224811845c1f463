//! A connection's bytes, with TLS or without.

use std::fs;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// The name in the certificate.
const NAME: &str = "hooks.example.com";

/// The names of protocols to offer, so that nobody guesses (RFC 7301).
const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";

/// How a delivery gets to the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// TCP alone.
    #[default]
    Plain,
    /// TLS, over connections that are kept.
    Tls,
    /// HTTP/2 over TLS, over connections that are kept, with several requests at a time on each.
    Http2,
    /// A connection for each delivery, with a whole handshake.
    TlsEach,
    /// A connection for each delivery, which resumes an earlier one's session.
    TlsResumed,
}

impl Transport {
    /// Whether the program listens with TLS.
    pub(crate) fn is_tls(self) -> bool {
        self != Self::Plain
    }

    /// Whether each delivery has its own connection.
    pub(crate) fn is_each(self) -> bool {
        matches!(self, Self::TlsEach | Self::TlsResumed)
    }

    /// What it is called in a heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "HTTP, kept connections",
            Self::Tls => "TLS, kept connections",
            Self::Http2 => "HTTP/2 over TLS, 10 streams a connection",
            Self::TlsResumed => "TLS, each resumed",
            Self::TlsEach => "TLS, a whole handshake each",
        }
    }

    /// The requests that a connection has under way at a time.
    pub(crate) fn streams(self) -> usize {
        match self {
            Self::Http2 => 10,
            _ => 1,
        }
    }

    /// The protocol inside of TLS, by its name in ALPN.
    pub(crate) fn alpn(self) -> &'static str {
        match self {
            Self::Http2 => HTTP2,
            _ => HTTP1,
        }
    }
}

/// A certificate for [`NAME`] with a key of ECDSA on P-256, in files.
#[derive(Debug)]
pub(crate) struct Identity {
    folder: tempfile::TempDir,
    certificate: String,
}

impl Identity {
    /// The identity of all programs of this run.
    pub(crate) fn shared() -> io::Result<&'static Self> {
        static SHARED: OnceLock<Identity> = OnceLock::new();
        if let Some(identity) = SHARED.get() {
            return Ok(identity);
        }
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let folder = tempfile::tempdir()?;
        for (name, text) in [
            ("certificate.pem", &certificate),
            ("key.pem", &key),
            ("both.pem", &format!("{certificate}{key}")),
        ] {
            fs::write(folder.path().join(name), text)?;
        }
        Ok(SHARED.get_or_init(|| Self {
            folder,
            certificate,
        }))
    }

    /// The path of a file: `certificate.pem`, `key.pem`, or `both.pem`.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A client that trusts this certificate.
    pub(crate) fn client(&self, transport: Transport) -> io::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        let der = rustls::pki_types::CertificateDer::from_pem_slice(self.certificate.as_bytes());
        roots
            .add(der.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![transport.alpn().as_bytes().to_vec()];
        if transport == Transport::TlsEach {
            config.resumption = Resumption::disabled();
        }
        Ok(Arc::new(config))
    }
}

/// A connection that never blocks.
pub(crate) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Connects, and shakes hands where `tls` says with whom.
    pub(crate) fn open(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        // Connected before it is used: the first send must not find a connection half made.
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let tls = match tls {
            Some(config) => {
                let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
                let tls = ClientConnection::new(Arc::clone(config), name);
                let mut tls = Box::new(tls.map_err(io::Error::other)?);
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream)?;
                }
                Some(tls)
            }
            None => None,
        };
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, tls })
    }

    /// Sends as much as the connection takes.
    pub(crate) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.write_vectored(parts);
        };
        let taken = tls.writer().write_vectored(parts)?;
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Sends what is left from before.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                other => other?,
            };
        }
        Ok(())
    }

    /// Reads what is there. 0 is the end.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(room);
        };
        loop {
            match tls.reader().read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            // Nothing that is decrypted is left.
            let _ = tls.read_tls(&mut self.stream)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Whether all that was read from the socket has been taken, so that a short read means that
    /// nothing else is there.
    pub(crate) fn is_short_read_the_end(&self) -> bool {
        self.tls.is_none()
    }
}
