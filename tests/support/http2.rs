//! HTTP/2 over TLS: a gateway with a certificate, a client that speaks it well, and one that sends frames as bytes.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::config::Config;
use super::delivery::Delivery;
use super::gateway::Gateway;
use super::{Deadline, LATE, SOON};

/// How a client reaches a gateway by TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) addr: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// A gateway that is known to listen with TLS there, for a client with these settings.
    pub(crate) fn at(addr: SocketAddr, mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        Self { addr, config }
    }

    /// Starts a gateway that also listens with TLS.
    #[track_caller]
    pub(crate) fn start(config: Config) -> (Gateway, Self) {
        let folder = tempfile::tempdir().expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        let params =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        for (name, text) in [
            ("tls.crt", certificate.pem()),
            ("tls.key", key.serialize_pem()),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(file, mode).expect("a mode");
        }
        let config = config.with_own_ports().extra(
            "[[server.tls]]\nlisten = [\"127.0.0.1:0\"]\ncertificate = 'tls.crt'\nkey = 'tls.key'",
        );
        let gateway = Gateway::start_in(folder, &config);
        let tls = Self {
            addr: gateway.addrs()[1],
            config: client_config(certificate.der()),
        };
        (gateway, tls)
    }

    /// A connection that has agreed on HTTP/2, on which nothing was sent.
    #[track_caller]
    pub(crate) fn connect(&self) -> Frames {
        let frames = self.try_connect().expect("a handshake");
        let alpn = frames.stream.conn.alpn_protocol();
        assert_eq!(alpn, Some(&b"h2"[..]), "by ALPN");
        frames
    }

    /// As [`Self::connect`]; an error where the gateway does not finish the handshake.
    pub(crate) fn try_connect(&self) -> std::io::Result<Frames> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).expect("settings");
        let mut socket = TcpStream::connect(self.addr).expect("a connection");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(LATE)).expect("a socket");
        socket.set_write_timeout(Some(SOON)).expect("a socket");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Frames {
            stream: StreamOwned::new(tls, socket),
            inbound: VecDeque::new(),
        })
    }

    /// A connection whose preface and settings were sent.
    #[track_caller]
    pub(crate) fn open(&self) -> Frames {
        let mut frames = self.connect();
        assert!(frames.send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()));
        frames
    }

    /// A client that speaks HTTP/2 as it should.
    #[track_caller]
    pub(crate) fn client(&self) -> Http2 {
        self.client_with(h2::client::Builder::new())
    }

    /// As [`Self::client`], with these settings.
    #[track_caller]
    pub(crate) fn client_with(&self, settings: h2::client::Builder) -> Http2 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        let addr = self.addr;
        let (send, driver) = runtime.block_on(async move {
            let socket = tokio::net::TcpStream::connect(addr)
                .await
                .expect("a connection");
            let stream = connector.connect(name, socket).await.expect("a handshake");
            let handshake = settings.handshake(stream);
            let (send, connection) = handshake.await.expect("HTTP/2");
            (send, tokio::spawn(connection))
        });
        Http2 {
            runtime,
            send,
            driver,
        }
    }
}

fn client_config(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply2 {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply2 {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client that speaks HTTP/2 as it should.
pub(crate) struct Http2 {
    runtime: Runtime,
    send: SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// A request that was sent, or is being sent.
pub(crate) struct Asked {
    response: ResponseFuture,
    pub(crate) body: SendStream<Bytes>,
}

/// The request that a delivery is, without its body. `Host` becomes `:authority`, and the length is told.
pub(crate) fn request_of(delivery: &Delivery) -> Request<()> {
    let head = String::from_utf8(delivery.head()).expect("text");
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next().expect("a request line").split(' ');
    let (method, target) = (
        first.next().expect("a method"),
        first.next().expect("a target"),
    );
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://a{target}"))
        .version(http::Version::HTTP_2);
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a line");
        if !name.eq_ignore_ascii_case("host") {
            request = request.header(name, value);
        }
    }
    request.body(()).expect("a request")
}

impl Http2 {
    /// Sends a head.
    #[track_caller]
    pub(crate) fn begin(&mut self, request: Request<()>, has_body: bool) -> Asked {
        let Self { runtime, send, .. } = self;
        let sent = runtime.block_on(async {
            let ready = send.clone().ready().await?;
            *send = ready;
            send.send_request(request, !has_body)
        });
        let (response, body) = sent.expect("a stream");
        Asked { response, body }
    }

    /// Sends a whole delivery.
    #[track_caller]
    pub(crate) fn send(&mut self, delivery: &Delivery) -> Asked {
        let mut asked = self.begin(request_of(delivery), true);
        let body = Bytes::copy_from_slice(delivery.body());
        asked.body.send_data(body, true).expect("a body");
        asked
    }

    /// The answer to a request; the error that the stream ended with, if it did.
    pub(crate) fn answer(&self, asked: Asked) -> Result<Reply2, h2::Error> {
        let whole = async {
            let (head, mut body) = asked.response.await?.into_parts();
            let mut bytes = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece?;
                body.flow_control().release_capacity(piece.len())?;
                bytes.extend_from_slice(&piece);
            }
            Ok(Reply2 {
                status: head.status.as_u16(),
                headers: head.headers,
                body: bytes,
            })
        };
        self.runtime
            .block_on(async { tokio::time::timeout(LATE, whole).await.expect("an answer") })
    }

    /// The whole answer to a delivery.
    #[track_caller]
    pub(crate) fn ask(&mut self, delivery: &Delivery) -> Reply2 {
        let asked = self.send(delivery);
        self.answer(asked).expect("an answer")
    }

    /// How the connection ended, waited for.
    #[track_caller]
    pub(crate) fn end(self, wait: Duration) -> Result<(), h2::Error> {
        let Self {
            runtime,
            driver,
            send,
        } = self;
        let ended = runtime.block_on(async { tokio::time::timeout(wait, driver).await });
        drop(send);
        ended
            .expect("the connection does not end")
            .expect("no panic")
    }
}

/// Whether the stream ended by a reset for this reason.
pub(crate) fn is_reset(ended: &Result<Reply2, h2::Error>, reason: Reason) -> bool {
    ended
        .as_ref()
        .is_err_and(|error| error.reason() == Some(reason))
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// Flags: the end of a stream (also the acknowledgement of a ping and of settings), and of a head.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a length")
        .to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A header block of literals: neither a table nor Huffman coding is used.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(lines: &[(N, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in lines {
        out.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            push_length(&mut out, text.len());
            out.extend_from_slice(text);
        }
    }
    out
}

/// A length with a prefix of seven bits (RFC 7541 5.1).
fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return out.push(u8::try_from(length).expect("seven bits"));
    }
    out.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
}

/// The lines of a delivery's head, pseudo-headers first.
pub(crate) fn lines_of(delivery: &Delivery) -> Vec<(String, String)> {
    let request = request_of(delivery);
    let path = request.uri().path_and_query().expect("a path").as_str();
    let mut lines = vec![
        (":method".to_owned(), request.method().to_string()),
        (":scheme".to_owned(), "https".to_owned()),
        (":authority".to_owned(), "a".to_owned()),
        (":path".to_owned(), path.to_owned()),
    ];
    for (name, value) in request.headers() {
        let value = value.to_str().expect("text");
        lines.push((name.to_string(), value.to_owned()));
    }
    lines
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    /// The code of a `RST_STREAM` or `GOAWAY`.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let code = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(code)
    }

    /// The status that a head begins with, if the head is the first of its connection.
    pub(crate) fn status(&self) -> u16 {
        match self.payload[..] {
            [0x88, ..] => 200,
            [0x89, ..] => 204,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x8e, ..] => 500,
            // A literal with the name of entry 8: three digits, by Huffman's code of five and six bits.
            [0x48, length, ref rest @ ..] if length & 128 != 0 => {
                let mut bits = rest
                    .iter()
                    .take(3)
                    .fold(0, |bits, byte| bits << 8 | u32::from(*byte));
                let mut status = 0;
                for _ in 0..3 {
                    // The first digits have five bits and the others six.
                    let (digit, used) = match bits >> 19 & 31 {
                        few @ 0..=2 => (few, 5),
                        _ => ((bits >> 18 & 63) - 0b01_1001 + 3, 6),
                    };
                    status = status * 10 + digit;
                    bits <<= used;
                }
                u16::try_from(status).expect("a status")
            }
            ref other => panic!("no status: {other:?}"),
        }
    }
}

/// A connection whose frames are bytes.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: StreamOwned<ClientConnection, TcpStream>,
    inbound: VecDeque<u8>,
}

impl Frames {
    /// Sends bytes; `false` if the gateway takes no more.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends the head of a request whose body follows or not.
    pub(crate) fn head(&mut self, stream: u32, lines: &[(String, String)], has_body: bool) -> bool {
        let flags = END_HEADERS | if has_body { 0 } else { END_STREAM };
        self.send(frame(HEADERS, flags, stream, &block(lines)))
    }

    /// The next frame; `None` if the connection ended.
    ///
    /// # Panics
    /// If neither came within `wait`.
    #[track_caller]
    pub(crate) fn next_within(&mut self, wait: Duration) -> Option<Came> {
        let deadline = Deadline::after(wait);
        loop {
            if let Some(came) = self.take() {
                return Some(came);
            }
            assert!(!deadline.passed(), "no frame came");
            let socket = self.stream.get_ref();
            socket
                .set_read_timeout(Some(deadline.left()))
                .expect("a socket");
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.inbound.extend(&bytes[..count]),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return None,
            }
        }
    }

    fn take(&mut self) -> Option<Came> {
        let head: Vec<u8> = self.inbound.iter().take(9).copied().collect();
        let head: [u8; 9] = head.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if self.inbound.len() < 9 + length {
            return None;
        }
        let payload = self.inbound.drain(..9 + length).skip(9).collect();
        Some(Came {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The first frame of which `wanted` holds; `None` if the connection ends before. Pings and settings are
    /// acknowledged meanwhile.
    #[track_caller]
    pub(crate) fn wait_for(
        &mut self,
        wait: Duration,
        wanted: impl Fn(&Came) -> bool,
    ) -> Option<Came> {
        let deadline = Deadline::after(wait);
        loop {
            let came = self.next_within(deadline.left())?;
            if wanted(&came) {
                return Some(came);
            }
            match (came.kind, came.flags & END_STREAM) {
                (PING, 0) => drop(self.send(frame(PING, END_STREAM, 0, &came.payload))),
                (SETTINGS, 0) => drop(self.send(frame(SETTINGS, END_STREAM, 0, b""))),
                _ => {}
            }
        }
    }

    /// Waits for the end of the connection, and returns the code of the last `GOAWAY` before it.
    #[track_caller]
    pub(crate) fn end(&mut self, wait: Duration) -> Option<u32> {
        let mut code = None;
        while let Some(came) = self.wait_for(wait, |came| came.kind == GOAWAY) {
            code = Some(came.code());
        }
        code
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}
