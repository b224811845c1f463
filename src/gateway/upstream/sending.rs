//! A request on its way into an upstream's connection, in pieces, so that a large body holds up
//! nothing else on its thread (contract: Body).

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// The most bytes of a body that are written at once. The system copies what is written, and an
/// upstream that reads fast takes a large body whole, for which everything else on the thread would
/// wait. A piece of this length takes the system less than a tenth of a millisecond.
const WRITE: usize = 256 * 1024;

/// A request that is being sent.
pub(super) struct Sending<'r> {
    head: &'r [u8],
    body: &'r [u8],
    sent: usize,
    broken: bool,
    flushed: bool,
    /// Ends once everything else on the thread had a turn.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<'r> Sending<'r> {
    /// A request of which nothing was sent yet.
    pub(super) fn of(head: &'r [u8], body: &'r [u8]) -> Self {
        Self {
            head,
            body,
            sent: 0,
            broken: false,
            flushed: false,
            pause: None,
        }
    }

    /// The number of bytes that the connection has taken.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Whether the whole request was handed over to the system. TLS may take bytes earlier than the
    /// system takes them from it.
    pub(super) fn is_done(&self) -> bool {
        self.flushed && self.is_taken()
    }

    /// Whether the connection has taken the whole request.
    fn is_taken(&self) -> bool {
        self.sent == self.head.len() + self.body.len()
    }

    /// Whether the connection takes no more bytes.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Writes as many bytes as `stream` takes now, with a pause after each piece. A broken pipe
    /// ends the writing alone, since the answer may have arrived before.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, mut stream: Pin<&mut impl AsyncWrite>) {
        while !self.broken && !self.is_taken() {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return;
                }
                self.pause = None;
            }
            let head = self.head.get(self.sent..).unwrap_or_default();
            let body = self
                .body
                .get(self.sent.saturating_sub(self.head.len())..)
                .unwrap_or_default();
            let body = body.get(..WRITE).unwrap_or(body);
            let stream = stream.as_mut();
            let written = if head.is_empty() {
                stream.poll_write(cx, body)
            } else if body.is_empty() {
                stream.poll_write(cx, head)
            } else {
                stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
            };
            match written {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.sent += count;
                    if !self.is_taken() {
                        self.pause = Some(Box::pin(tokio::task::yield_now()));
                    }
                }
                Poll::Ready(_) => self.broken = true,
                Poll::Pending => return,
            }
        }
        if !self.flushed && !self.broken {
            match stream.as_mut().poll_flush(cx) {
                Poll::Ready(result) => {
                    (self.flushed, self.broken) = (result.is_ok(), result.is_err());
                }
                Poll::Pending => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A vector takes everything at once, as an upstream does that reads fast.
    #[tokio::test]
    async fn rx_27_a_large_body_is_sent_in_pieces_and_a_small_one_at_once() {
        let head = b"POST / HTTP/1.1\r\n\r\n";
        for (length, expected) in [(0, 1), (WRITE, 1), (WRITE + 1, 2), (10 * WRITE, 10)] {
            let body: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let (mut sending, mut polls) = (Sending::of(head, &body), 0);
            let mut taken = Vec::new();
            poll_fn(|cx| {
                let before = taken.len();
                sending.poll(cx, Pin::new(&mut taken));
                assert!(taken.len() - before <= head.len() + WRITE, "of {length}");
                polls += usize::from(taken.len() > before);
                if sending.is_done() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            assert_eq!(polls, expected, "of {length}");
            assert_eq!(sending.sent(), taken.len());
            assert!(taken == [head.as_slice(), &body].concat(), "of {length}");
        }
    }
}
