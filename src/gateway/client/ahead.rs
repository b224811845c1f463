//! The socket below a client's TLS. It reads more than TLS asks for at a time.
//!
//! TLS asks for 4 KiB and no more, of large bodies and of many requests at a time too. A call of the
//! system for each 4 KiB costs more than to copy them once more.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes that are read at a time: those of a TLS record, nearly.
const AHEAD: usize = 16 * 1024;

/// A socket that is read ahead of whoever asks, as long as it has much to say.
#[derive(Debug)]
pub(crate) struct Ahead {
    socket: TcpStream,
    /// The bytes that were read and not asked for. A client that is silent has no memory here.
    read: Vec<u8>,
    /// Those of them that were taken.
    taken: usize,
    /// Whether the last read brought as much as was asked for.
    has_much: bool,
}

impl Ahead {
    /// A socket of which nothing was read.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            read: Vec::new(),
            taken: 0,
            has_much: false,
        }
    }

    /// The socket. Bytes that were read from it and not taken are lost.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Takes bytes that were read before.
    fn take(&mut self, into: &mut ReadBuf<'_>) {
        let rest = self.read.get(self.taken..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(into.remaining()));
        into.put_slice(now);
        self.taken += now.len();
        if later.is_empty() {
            (self.read, self.taken) = (Vec::new(), 0);
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            let wanted = into.remaining();
            if !this.has_much || wanted >= AHEAD {
                let before = into.filled().len();
                ready!(Pin::new(&mut this.socket).poll_read(cx, into))?;
                this.has_much = into.filled().len() - before == wanted;
                return Poll::Ready(Ok(()));
            }
            // No memory before there is something to read.
            ready!(this.socket.poll_read_ready(cx))?;
            let mut read = Vec::with_capacity(AHEAD);
            let count = ready!(pin!(this.socket.read_buf(&mut read)).poll(cx))?;
            this.has_much = count > wanted;
            this.read = read;
        }
        this.take(into);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.get_mut().socket);
        match parts {
            // A record or a few, as most answers are: cheaper without a list.
            [part] => socket.poll_write(cx, part),
            parts => socket.poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn every_byte_comes_once_and_in_order_whatever_is_asked_for_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut ahead = Ahead::new(listener.accept().await.unwrap().0);
        let sent: Vec<u8> = (0..200_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let copy = sent.clone();
        let sending = tokio::spawn(async move {
            // Pieces below, at and above what is asked for, and all the rest.
            let mut rest = &copy[..];
            for length in [1, 4095, 4096, 4097, 50, 16 * 1024, 16 * 1024 + 1] {
                let (piece, after) = rest.split_at(length);
                client.write_all(piece).await.unwrap();
                rest = after;
            }
            client.write_all(rest).await.unwrap();
        });
        let mut read = Vec::new();
        for asked in [4096, 1, 4096, 20_000, 100, 7].into_iter().cycle() {
            let mut piece = vec![0; asked];
            let count = ahead.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            read.extend_from_slice(&piece[..count]);
        }
        sending.await.unwrap();
        assert!(read == sent, "{} of {} bytes", read.len(), sent.len());
        assert_eq!(ahead.read.capacity(), 0);
    }
}
