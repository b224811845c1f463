//! The bytes of a connection to an upstream: over TCP, with TLS or without, or over a Unix socket.

use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::UpstreamTls;

/// The pause before a Unix socket whose queue is full is tried again. The system does not wait for
/// it by itself, as it does for TCP.
const FULL: Duration = Duration::from_millis(5);

/// A connection to an upstream. Bytes are plain on the gateway's side of this type.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(Socket<TcpStream>),
    // Boxed: the state of TLS is ten times as large as a socket.
    Tls(Box<TlsStream<Socket<TcpStream>>>),
    Unix(Socket<UnixStream>),
}

impl Stream {
    /// Connects to an address, and shakes hands where the upstream speaks TLS.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] inside where the
    /// handshake failed.
    pub(super) async fn to_address(
        address: SocketAddr,
        tls: Option<&UpstreamTls>,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // A request is one write, so waiting for more would only delay it.
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Self::Tcp(Socket::new(stream)));
        };
        let connector = TlsConnector::from(tls.settings.config());
        let socket = Socket::new(stream);
        let stream = connector.connect(tls.name.clone(), socket).await?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) async fn to_path(path: &Path) -> io::Result<Self> {
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self::Unix(Socket::new(stream))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(FULL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The bytes that the system has taken so far, where they are not those that were written: TLS
    /// may fail to write after a part of it was sent. Without TLS it is 0, since the system says
    /// exactly how many bytes it took.
    pub(super) fn sent_beneath(&self) -> u64 {
        match self {
            Self::Tls(stream) => stream.get_ref().0.written,
            Self::Tcp(_) | Self::Unix(_) => 0,
        }
    }

    /// Whether an idle connection is open, and no byte for the gateway arrived on it without a
    /// request. What belongs to TLS alone, such as a ticket for a later session, is taken in.
    pub(super) fn is_silent(&mut self) -> bool {
        let nothing_comes = |read: io::Result<usize>| {
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        match self {
            Self::Tcp(socket) => nothing_comes(read_ready(&socket.stream, &mut [0])),
            Self::Unix(socket) => nothing_comes(read_ready(&socket.stream, &mut [0])),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                loop {
                    let read = session.read_tls(&mut Ready(&socket.stream));
                    let Ok(state) = session.process_new_packets() else {
                        return false;
                    };
                    if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                        return false;
                    }
                    match read {
                        Ok(1..) => {}
                        other => return nothing_comes(other),
                    }
                }
            }
        }
    }
}

/// The bytes that a socket has ready, read without a wait.
struct Ready<'s>(&'s TcpStream);

impl io::Read for Ready<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_ready(self.0, into)
    }
}

/// Reads what a socket has ready, and returns the number of bytes; 0 where the other side has closed it.
///
/// The system is asked itself, which takes 0.4 µs. The runtime's `try_read` answers by the events that it
/// has taken so far. One of its threads may have them and not have run since, or nobody has asked for
/// some milliseconds; and a delivery that is sent on a connection that was closed cannot be sent again.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where nothing is ready, and those of the system.
fn read_ready(socket: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, into, RecvFlags::DONTWAIT)?.0)
}

/// A socket that counts the bytes that the system took, and remembers that it broke.
///
/// The system tells of a break once, to whoever reads or writes next, and then of an end as the upstream
/// makes it in order. The request may be told, and the answer must not look complete.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    written: u64,
    broken: Option<io::ErrorKind>,
}

impl<S> Socket<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            written: 0,
            broken: None,
        }
    }

    fn note(&mut self, error: &io::Error) {
        // A broken pipe breaks the writing alone: the upstream has ended its own side in order.
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.broken = Some(error.kind());
        }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count)) => self.written += *count as u64,
            Poll::Ready(Err(error)) => self.note(error),
            Poll::Pending => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        match (&read, this.broken) {
            (Poll::Ready(Err(error)), _) => this.note(error),
            (Poll::Ready(Ok(())), Some(kind)) if into.filled().len() == before => {
                return Poll::Ready(Err(kind.into()));
            }
            _ => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, data);
        this.count(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        this.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Calls the same function of whichever stream it is.
macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, stream => Pin::new(stream).poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => Pin::new(stream).poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => Pin::new(stream).poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// The runtime has one thread, which takes no event while the test does not wait.
    #[tokio::test]
    async fn rx_14_what_just_came_is_seen_before_the_runtime_hears_of_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || Stream::to_address(address, None);
        let mut closed = connect().await.unwrap();
        let (closes, _) = listener.accept().unwrap();
        let mut spoken_to = connect().await.unwrap();
        let (mut speaks, _) = listener.accept().unwrap();
        assert!(closed.is_silent() && spoken_to.is_silent());
        closes.shutdown(Shutdown::Both).unwrap();
        speaks.write_all(b"HTTP/1.1 408").unwrap();
        assert!(!closed.is_silent());
        assert!(!spoken_to.is_silent());
    }

    /// The outcomes of reads once a write has failed, because the upstream ended its side in order before
    /// it broke the connection, or not.
    #[tokio::test]
    async fn up_09_a_break_that_a_write_was_told_of_is_no_end_in_order() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        for (ends_in_order, expected) in
            [(true, Ok(0)), (false, Err(io::ErrorKind::ConnectionReset))]
        {
            let mut stream = Stream::to_address(address, None).await.unwrap();
            let (mut upstream, _) = listener.accept().unwrap();
            upstream.write_all(b"half").unwrap();
            if ends_in_order {
                upstream.shutdown(Shutdown::Write).unwrap();
            }
            // What is left unread makes the system reset the connection.
            stream.write_all(b"a request").await.unwrap();
            upstream.peek(&mut [0]).unwrap();
            drop(upstream);
            while stream.write_all(b"more").await.is_ok() {}
            let mut answer = [0; 9];
            assert_eq!(stream.read(&mut answer).await.unwrap(), 4);
            let end = stream.read(&mut answer).await;
            assert_eq!(end.map_err(|error| error.kind()), expected);
        }
    }
}
