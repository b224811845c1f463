//! A raw-socket client: sends exactly the bytes it is given and reads answers strictly.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::answer::{Answer, Framing};
use super::transport::{self, TlsWire, Transport, Wire};
use super::{Deadline, LATE, SOON};

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The connection was closed or reset before any byte of it.
    Closed,
    /// It was closed or reset in the middle; what was read of it.
    Truncated(Vec<u8>),
    /// The deadline passed; what was read of it.
    TimedOut(Vec<u8>),
    /// It is not HTTP/1 as a strict client understands it.
    Malformed(String),
}

/// One connection to the gateway.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
    buffer: Vec<u8>,
    ended: bool,
}

impl Client {
    /// Opens a connection.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap_or_else(|error| panic!("cannot connect to {addr}: {error}"))
    }

    /// Opens a connection where it may be refused.
    pub(crate) fn try_connect(addr: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect_timeout(&addr, SOON).map(|stream| Self::over(stream, None))
    }

    /// Opens a connection from another local address (`127.0.0.2`), as another client would.
    pub(crate) fn connect_from(source: IpAddr, addr: SocketAddr) -> Self {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM,
            None,
        )
        .expect("a socket");
        socket
            .bind(&SocketAddr::new(source, 0).into())
            .expect("a local address");
        socket
            .connect_timeout(&addr.into(), SOON)
            .unwrap_or_else(|error| panic!("cannot connect to {addr}: {error}"));
        Self::over(socket.into(), None)
    }

    /// Opens a connection whose receive buffer is so small that a large answer soon stalls the sender.
    pub(crate) fn connect_with_small_window(addr: SocketAddr) -> Self {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM,
            None,
        )
        .expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a small buffer");
        socket
            .connect_timeout(&addr.into(), SOON)
            .unwrap_or_else(|error| panic!("cannot connect to {addr}: {error}"));
        Self::over(socket.into(), Some(2048))
    }

    fn over(stream: TcpStream, window: Option<u32>) -> Self {
        stream.set_nodelay(true).expect("no delay");
        stream.set_write_timeout(Some(LATE)).expect("a time limit");
        Self::by(Wire::over(stream, window))
    }

    /// A client on a TLS connection that was made by hand.
    pub(crate) fn over_tls(wire: TlsWire) -> Self {
        Self::by(Wire::Tls(Box::new(wire)))
    }

    fn by(wire: Wire) -> Self {
        Self {
            wire,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.wire.socket()
    }

    /// The TLS of the connection.
    #[track_caller]
    pub(crate) fn tls(&self) -> &TlsWire {
        match &self.wire {
            Wire::Tls(wire) => wire,
            Wire::Http2(wire) => wire.tls(),
            Wire::Plain(_) => panic!("the connection is plain"),
        }
    }

    /// The address of this end.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.wire.socket().local_addr().expect("an address")
    }

    /// Sends bytes; `false` when the other side no longer takes them (what it answered can still be read).
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.wire.write_all(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) => {
                let gone = [
                    ErrorKind::BrokenPipe,
                    ErrorKind::ConnectionReset,
                    ErrorKind::ConnectionAborted,
                ];
                assert!(gone.contains(&error.kind()), "sending failed: {error}");
                false
            }
        }
    }

    /// Sends one byte after the other, `pause` between them, until all are sent, the other side closes, or an answer
    /// begins to arrive. Returns how many were sent. The pause is part of what is sent.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) -> usize {
        for (sent, byte) in bytes.iter().enumerate() {
            if !self.send([*byte]) || self.has_heard(pause) {
                return sent + 1;
            }
        }
        bytes.len()
    }

    /// Waits up to `pause`; whether bytes or the end of the connection have arrived by then.
    pub(crate) fn has_heard(&mut self, pause: Duration) -> bool {
        !self.buffer.is_empty()
            || self.ended
            || !matches!(self.fill(Deadline::after(pause)), Fill::TimedOut)
    }

    /// Closes the sending side.
    pub(crate) fn finish(&mut self) {
        self.wire.finish();
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(self.wire.socket())
            .set_linger(Some(Duration::ZERO))
            .expect("linger");
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// As [`Self::ask`]; `None` if HTTP/2 itself rejects the request, which resets the stream, or the connection where no
    /// other request was sent on it. It is of no further use then.
    #[track_caller]
    pub(crate) fn ask_unless_reset(&mut self, request: impl AsRef<[u8]>) -> Option<Answer> {
        self.send(request);
        match self.try_answer(SOON) {
            Ok(answer) => Some(answer),
            Err(Missing::Closed) if self.is_rejected() => None,
            Err(missing) => panic!("no answer: {missing}"),
        }
    }

    fn is_rejected(&self) -> bool {
        match &self.wire {
            Wire::Http2(wire) => wire.is_reset() || wire.is_first(),
            _ => false,
        }
    }

    /// The next answer, an interim 1xx too.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_within(SOON)
    }

    /// The next answer, waited for as long as said.
    #[track_caller]
    pub(crate) fn answer_within(&mut self, wait: Duration) -> Answer {
        self.try_answer(wait)
            .unwrap_or_else(|missing| panic!("no answer: {missing}"))
    }

    /// The answer to a HEAD request.
    #[track_caller]
    pub(crate) fn answer_to_head(&mut self) -> Answer {
        self.read(Deadline::after(SOON), true)
            .unwrap_or_else(|missing| panic!("no answer: {missing}"))
    }

    /// The next answer, or why there is none.
    pub(crate) fn try_answer(&mut self, wait: Duration) -> Result<Answer, Missing> {
        self.read(Deadline::after(wait), false)
    }

    /// Panics unless the connection ends within the time, without another byte.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        self.expect_closed_within(SOON);
    }

    /// As [`Self::expect_closed`], with a time of one's own.
    #[track_caller]
    pub(crate) fn expect_closed_within(&mut self, wait: Duration) {
        let rest = self.rest(wait);
        match rest {
            Ok(rest) => assert!(rest.is_empty(), "bytes before the end: {}", show(&rest)),
            Err(rest) => panic!("the connection is still open; read so far: {}", show(&rest)),
        }
    }

    /// Everything until the connection ends (`Err` with what came when it does not end in time).
    pub(crate) fn rest(&mut self, wait: Duration) -> Result<Vec<u8>, Vec<u8>> {
        let deadline = Deadline::after(wait);
        loop {
            match self.fill(deadline) {
                Fill::Bytes => {}
                Fill::End => return Ok(std::mem::take(&mut self.buffer)),
                Fill::TimedOut => return Err(std::mem::take(&mut self.buffer)),
            }
        }
    }

    /// Takes at most `count` bytes of what arrives next; fewer at the end of the connection or of the time.
    pub(crate) fn take(&mut self, count: usize, wait: Duration) -> Vec<u8> {
        let deadline = Deadline::after(wait);
        while self.buffer.len() < count && matches!(self.fill(deadline), Fill::Bytes) {}
        self.buffer.drain(..count.min(self.buffer.len())).collect()
    }

    fn fill(&mut self, deadline: Deadline) -> Fill {
        if self.ended {
            return Fill::End;
        }
        let mut piece = [0; 8192];
        loop {
            self.wire
                .socket()
                .set_read_timeout(Some(deadline.left()))
                .expect("a time limit");
            match self.wire.read(&mut piece) {
                Ok(0) => {
                    self.ended = true;
                    return Fill::End;
                }
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return Fill::Bytes;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if deadline.passed() {
                        return Fill::TimedOut;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.ended = true;
                    return Fill::End;
                }
            }
        }
    }

    fn more(&mut self, deadline: Deadline) -> Result<(), Missing> {
        match self.fill(deadline) {
            Fill::Bytes => Ok(()),
            Fill::End if self.buffer.is_empty() => Err(Missing::Closed),
            Fill::End => Err(Missing::Truncated(self.buffer.clone())),
            Fill::TimedOut => Err(Missing::TimedOut(self.buffer.clone())),
        }
    }

    fn line_end(&mut self, from: usize, deadline: Deadline) -> Result<usize, Missing> {
        loop {
            if let Some(at) = self.buffer[from..]
                .windows(2)
                .position(|pair| pair == b"\r\n")
            {
                return Ok(from + at);
            }
            self.more(deadline)?;
        }
    }

    fn read(&mut self, deadline: Deadline, to_head: bool) -> Result<Answer, Missing> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more(deadline)?;
        };
        let (version, status, headers) = head(&self.buffer[..end]).map_err(Missing::Malformed)?;
        let framing = framing(status, &headers, to_head).map_err(Missing::Malformed)?;
        let (body, used) = match framing {
            Body::None => (Vec::new(), end),
            Body::Length(length) => {
                while self.buffer.len() < end + length {
                    self.more(deadline)?;
                }
                (self.buffer[end..end + length].to_vec(), end + length)
            }
            Body::Chunked => self.chunks(end, deadline)?,
            Body::Close => loop {
                match self.fill(deadline) {
                    Fill::Bytes => {}
                    Fill::End => break (self.buffer[end..].to_vec(), self.buffer.len()),
                    Fill::TimedOut => return Err(Missing::TimedOut(self.buffer.clone())),
                }
            },
        };
        let raw_head = self.buffer[..end].to_vec();
        self.buffer.drain(..used);
        let framing = match framing {
            Body::None => Framing::None,
            Body::Length(_) => Framing::Length,
            Body::Chunked => Framing::Chunked,
            Body::Close => Framing::Close,
        };
        Ok(Answer {
            version,
            status,
            headers,
            body,
            raw_head,
            framing,
        })
    }

    fn chunks(&mut self, start: usize, deadline: Deadline) -> Result<(Vec<u8>, usize), Missing> {
        let mut body = Vec::new();
        let mut at = start;
        loop {
            let end = self.line_end(at, deadline)?;
            let line = String::from_utf8_lossy(&self.buffer[at..end]).into_owned();
            let size = usize::from_str_radix(&line, 16)
                .map_err(|_| Missing::Malformed(format!("chunk size {line:?} in the answer")))?;
            at = end + 2;
            while self.buffer.len() < at + size + 2 {
                self.more(deadline)?;
            }
            if &self.buffer[at + size..at + size + 2] != b"\r\n" {
                return Err(Missing::Malformed(
                    "no line end after a chunk of the answer".to_owned(),
                ));
            }
            body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok((body, at));
            }
        }
    }
}

enum Fill {
    Bytes,
    End,
    TimedOut,
}

enum Body {
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Missing {
    /// Whether an answer was begun and broke off. Over HTTP/2 a reset takes back what was not sent yet, the head too.
    pub(crate) fn is_broken_off(&self) -> bool {
        let is_http2 = transport::chosen() == Transport::Http2;
        matches!(self, Self::Truncated(_)) || is_http2 && *self == Self::Closed
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed"),
            Self::Truncated(read) => write!(f, "the connection was closed after {}", show(read)),
            Self::TimedOut(read) => write!(f, "waited in vain; read so far: {}", show(read)),
            Self::Malformed(reason) => f.write_str(reason),
        }
    }
}

/// The first bytes, readable.
fn show(bytes: &[u8]) -> String {
    format!(
        "{} bytes {:?}",
        bytes.len(),
        String::from_utf8_lossy(&bytes[..bytes.len().min(400)])
    )
}

type Head = (String, u16, Vec<(String, String)>);

/// Takes a whole head apart, as strictly as the gateway takes heads of requests apart.
fn head(bytes: &[u8]) -> Result<Head, String> {
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut parts = first.splitn(3, ' ');
    let version = parts.next().unwrap_or_default();
    let status = parts.next().unwrap_or_default();
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0" | "HTTP/2")
        || status.len() != 3
        || !status.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(format!("status line {first:?}"));
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("header line {line:?}"))?;
        let token = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !token || value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err(format!("header line {line:?}"));
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok((
        version.to_owned(),
        status
            .parse()
            .map_err(|_| format!("status line {first:?}"))?,
        headers,
    ))
}

fn framing(status: u16, headers: &[(String, String)], to_head: bool) -> Result<Body, String> {
    let all = |name: &str| -> Vec<&str> {
        headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    if !lengths.is_empty() && !codings.is_empty() {
        return Err("the answer has Content-Length and Transfer-Encoding".to_owned());
    }
    if lengths.len() > 1 || codings.len() > 1 {
        return Err("the answer has a doubled framing header".to_owned());
    }
    if to_head || status < 200 || matches!(status, 204 | 304) {
        return Ok(Body::None);
    }
    if let Some(coding) = codings.first() {
        return if *coding == "chunked" {
            Ok(Body::Chunked)
        } else {
            Err(format!("Transfer-Encoding {coding}"))
        };
    }
    match lengths.first() {
        Some(length) if length.bytes().all(|b| b.is_ascii_digit()) && !length.is_empty() => {
            Ok(Body::Length(
                length
                    .parse()
                    .map_err(|_| format!("Content-Length {length}"))?,
            ))
        }
        Some(length) => Err(format!("Content-Length {length}")),
        None => Ok(Body::Close),
    }
}
