//! The output of an HTTP/1 connection: head, framing and body of an answer, gathered in a buffer
//! and written from it.

use tokio::io::AsyncWriteExt;

use super::H1;
use super::reading::{FIRST_READ, LARGE_READ};
use crate::gateway::client::port::LINGER_TOTAL;
use crate::gateway::client::{AnswerHead, Client, Gone, Length};
use crate::notation::decimal::push_number;
use crate::wire::head::Version;

impl H1 {
    /// Buffers the head of an answer and the first bytes of its body.
    pub(super) fn put_start(&mut self, head: &dyn AnswerHead, first: &[u8], last: bool) {
        // An answer before the end of the request's body ends the connection: nobody could find the
        // next request. So does the next answer after the gateway has begun to stop.
        self.keep_alive &= self.is_body_complete() && !head.closes() && !self.is_ending();
        self.outbound.extend_from_slice(b"HTTP/1.1 ");
        push_number(&mut self.outbound, u64::from(head.status()));
        self.outbound.push(b' ');
        self.outbound.extend_from_slice(head.reason());
        self.outbound.extend_from_slice(b"\r\n");
        self.put_length(head.length());
        let outbound = &mut self.outbound;
        head.lines(&mut |name, value| {
            outbound.extend_from_slice(name);
            outbound.extend_from_slice(b": ");
            outbound.extend_from_slice(value);
            outbound.extend_from_slice(b"\r\n");
        });
        if !self.keep_alive {
            self.outbound.extend_from_slice(b"Connection: close\r\n");
        }
        self.outbound.extend_from_slice(b"\r\n");
        if head.length() != Length::NoBody {
            self.put_piece(first, last);
        }
    }

    /// Writes the buffered bytes. Each write that makes progress renews the time limit.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        let mut written = 0;
        while let Some(rest) = self.outbound.get(written..).filter(|rest| !rest.is_empty()) {
            let write = self.stream.write(rest);
            let limit = self.limits.write_timeout;
            match self.writing.within(limit, write).await {
                Ok(Ok(count @ 1..)) => written += count,
                _ => {
                    self.keep_alive = false;
                    return Err(Gone);
                }
            }
        }
        self.outbound.clear();
        if self.outbound.capacity() > LARGE_READ * 2 {
            self.outbound.shrink_to(FIRST_READ);
        }
        if !self.stream.is_tls() {
            return Ok(());
        }
        // TLS holds bytes back that the socket did not take.
        let flush = self.stream.flush();
        let limit = self.limits.write_timeout;
        match self.writing.within(limit, flush).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                self.keep_alive = false;
                Err(Gone)
            }
        }
    }

    /// Ends the gateway's side of the connection. Returns whether the client can still be read.
    pub(super) async fn end(&mut self) -> bool {
        let shutdown = self.stream.shutdown();
        let limit = self.limits.write_timeout.min(LINGER_TOTAL);
        matches!(self.writing.within(limit, shutdown).await, Ok(Ok(())))
    }

    /// Buffers the header line that frames the answer's body, where the version has a line for it.
    fn put_length(&mut self, length: Length) {
        self.chunked_answer = false;
        match length {
            Length::Known(bytes) => {
                self.outbound.extend_from_slice(b"Content-Length: ");
                push_number(&mut self.outbound, bytes);
                self.outbound.extend_from_slice(b"\r\n");
            }
            Length::Unknown if self.version == Version::Http11 => {
                self.chunked_answer = true;
                self.outbound
                    .extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            Length::Unknown => self.keep_alive = false,
            Length::NoBody => {}
        }
    }

    /// Buffers bytes of an answer's body, as a chunk where the answer is chunked.
    pub(super) fn put_piece(&mut self, data: &[u8], last: bool) {
        if !self.chunked_answer {
            self.outbound.extend_from_slice(data);
            return;
        }
        if !data.is_empty() {
            put_hex(&mut self.outbound, data.len());
            self.outbound.extend_from_slice(b"\r\n");
            self.outbound.extend_from_slice(data);
            self.outbound.extend_from_slice(b"\r\n");
        }
        if last {
            self.outbound.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

fn put_hex(into: &mut Vec<u8>, number: usize) {
    use std::io::Write;
    // Writing to a `Vec` cannot fail.
    let _ = write!(into, "{number:x}");
}
