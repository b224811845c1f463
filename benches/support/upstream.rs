//! An upstream that is not the limit: a thread that reads many connections and answers each request
//! with a few bytes, without keeping what it read.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::process::ThreadCpu;

/// The answer to each request.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";

const LISTENER: Token = Token(usize::MAX);

/// The upstream's own port and counters. Its thread ends with the process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    served: Arc<AtomicU64>,
    cpu: ThreadCpu,
}

impl Upstream {
    /// Listens on a port of the system's choice.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&served);
        let (tell, told) = mpsc::channel();
        thread::Builder::new()
            .name("upstream".into())
            .spawn(move || {
                let _ = tell.send(ThreadCpu::of_this());
                if let Err(error) = serve(listener, &counter) {
                    eprintln!("the upstream failed: {error}");
                }
            })?;
        let cpu = told.recv().map_err(io::Error::other)??;
        Ok(Self {
            address,
            served,
            cpu,
        })
    }

    /// How many requests were read whole.
    pub(crate) fn served(&self) -> u64 {
        // Relaxed: whoever compares has got the answers to all of them first, over a socket.
        self.served.load(Ordering::Relaxed)
    }

    /// CPU time of its thread so far, in µs.
    pub(crate) fn cpu_us(&self) -> io::Result<f64> {
        self.cpu.us()
    }
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a head whose end has not come yet.
    head: Vec<u8>,
    /// Bytes of the body that are still to come; nothing between two requests.
    body: Option<u64>,
}

fn serve(mut listener: TcpListener, served: &AtomicU64) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections, &mut free)?;
                continue;
            }
            let place = event.token().0;
            let Some(slot) = connections.get_mut(place) else {
                continue;
            };
            let Some(connection) = slot else { continue };
            // A connection that breaks is the proxy's affair; the load generator misses the answer.
            if !connection.advance(&mut buffer, served).unwrap_or(false) {
                *slot = None;
                free.push(place);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let place = free.pop().unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        poll.registry()
            .register(&mut stream, Token(place), Interest::READABLE)?;
        if let Some(slot) = connections.get_mut(place) {
            *slot = Some(Connection {
                stream,
                head: Vec::new(),
                body: None,
            });
        }
    }
}

impl Connection {
    /// Reads what there is and answers each request that is whole; `false` at the connection's end.
    fn advance(&mut self, buffer: &mut [u8], served: &AtomicU64) -> io::Result<bool> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.take(buffer.get(..count).unwrap_or_default(), served)?;
            // A short read empties the socket (epoll(7)), so the next call would say so only.
            if count < buffer.len() {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], served: &AtomicU64) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(left) = self.body else {
                bytes = self.take_head(bytes)?;
                self.answer_if_whole(served)?;
                continue;
            };
            let used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            bytes = bytes.get(used..).unwrap_or_default();
            self.body = Some(left - used as u64);
            self.answer_if_whole(served)?;
        }
        Ok(())
    }

    fn answer_if_whole(&mut self, served: &AtomicU64) -> io::Result<()> {
        if self.body == Some(0) {
            self.body = None;
            // Relaxed: a count, which orders nothing.
            served.fetch_add(1, Ordering::Relaxed);
            // An answer always fits into an empty send buffer.
            self.stream.write_all(ANSWER)?;
        }
        Ok(())
    }

    /// Takes bytes up to the end of the head and returns those behind it.
    fn take_head<'b>(&mut self, bytes: &'b [u8]) -> io::Result<&'b [u8]> {
        if self.head.is_empty()
            && let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n")
        {
            let (head, rest) = bytes.split_at(end + 4);
            self.body = Some(content_length(head)?);
            return Ok(rest);
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        match memchr::memmem::find(&self.head, b"\r\n\r\n") {
            None => Ok(&[]),
            Some(end) => {
                self.head.truncate(end + 4);
                self.body = Some(content_length(&self.head)?);
                self.head.clear();
                Ok(bytes.get(end + 4 - before..).unwrap_or_default())
            }
        }
    }
}

/// The length that a head announces; 0 without one.
pub(crate) fn content_length(head: &[u8]) -> io::Result<u64> {
    field(head, b"content-length").map_or(Ok(0), |value| {
        std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| io::Error::other("no number in Content-Length"))
    })
}

/// The value of a header field, whose name is given in lower case.
pub(crate) fn field<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, further) = rest.split_at(end + 1);
        rest = further;
        if let Some((start, value)) = line.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name)
            && let Some(value) = value.strip_prefix(b":")
        {
            return Some(value.trim_ascii());
        }
    }
    None
}
