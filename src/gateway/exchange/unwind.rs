//! Panics: a panic inside an exchange becomes a value, so that it harms no other exchange
//! (contract: Answers).

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The future panicked. The panic hook has reported the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Runs `future` to its end or its panic. The caller pins it in place: the future of an exchange has
/// kilobytes, and would be copied on its way here.
///
/// Unwind safety: the values that the future borrows are used afterwards only to answer 500 and to
/// write the log line. The guards inside it (claim, budget) release when it is dropped.
pub(super) async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::{Arc, Mutex};

    use bytes::BytesMut;

    use super::*;
    use crate::gateway::client::Next;
    use crate::gateway::exchange::tests::Fake;
    use crate::gateway::tests::{parsed, running};
    use crate::key::secret::SecretText;
    use crate::wire::head::{Head, Limits};

    #[tokio::test]
    async fn a_panic_becomes_a_value_and_a_result_is_kept() {
        assert_eq!(caught(pin!(async { 7 })).await, Ok(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert_eq!(caught(pin!(panics)).await, Err::<(), _>(Panicked));
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const ROUTE: &str = "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\n\
        secrets = [\"plain:a-secret-of-the-test\"]\nupstream = \"http://127.0.0.1:3000\"\n\
        tolerance = \"off\"\nfuture_tolerance = \"off\"\n";

    #[tokio::test]
    async fn lg_04_a_panic_in_a_step_is_answered_gives_its_bytes_back_and_shows_no_secret() {
        let sink = Sink::default();
        let (running, writer) = running(parsed(ROUTE), sink.clone());
        let head = format!(
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nX-Webhook-Timestamp: 1750000000\r\n\
             X-Webhook-Signature-256: {}\r\n\r\n",
            "0".repeat(64)
        );
        let limits = Limits {
            max_head: 1 << 16,
            max_headers: 100,
        };
        let head = Head::parse(head.into_bytes().into(), &limits).unwrap();
        // The step panics at the second read, with a secret at hand.
        let secret = SecretText::new(b"a-secret-of-the-test".to_vec());
        let mut client = Fake::new(false, |number, into: &mut BytesMut| {
            assert!(number < 2, "on purpose, with {secret:?}");
            into.extend_from_slice(b"{");
        });
        let snapshot = running.snapshot.load_full();
        let next = super::super::serve(&running, &snapshot, &mut client, &head).await;
        assert_eq!((next, client.answered), (Next::Linger, Some(500)));
        assert_eq!(client.reads, 2, "the step was never reached");
        assert_eq!(running.budget.held(), 0);
        assert!(!format!("{secret:?}").contains("a-secret"));
        assert_eq!(writer.finish(std::time::Duration::from_secs(20)), 0);
        let line = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(line.contains(r#""verdict":"internal_error""#), "{line}");
        assert!(line.contains(r#""outcome":"aborted""#), "{line}");
        assert!(!line.contains("a-secret"), "{line}");
    }
}
