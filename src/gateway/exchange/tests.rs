//! A delivery that has to wait between its judgements: its freshness is judged by the time at which it
//! is claimed (contract: Claim).

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::time::Instant;

use crate::clock::{Clock, UnixMillis};
use crate::gateway::client::budget::{Account, Budget};
use crate::gateway::client::shown::Shown;
use crate::gateway::client::turns::{BETWEEN_TURNS, spend};
use crate::gateway::client::{AnswerHead, Client, Gone, Next, ReadError};
use crate::gateway::running::Running;
use crate::gateway::tests::running_by;
use crate::wire::head::{Head, Limits};

const SECRET: &str = "a-secret-of-the-test";
const SIGNED: i64 = 1_750_000_000;
const LATE: Duration = Duration::from_secs(301);

/// The gateway with a clock that stands at the time of the signature. Nobody listens at its upstream.
fn running() -> Running {
    let text = format!(
        "[server]\nthreads = 1\n[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\n\
         secrets = [\"plain:another-secret-of-it\", \"plain:{SECRET}\"]\n\
         upstream = \"http://127.0.0.1:1\"\ntolerance = \"5m\"\n"
    );
    let mut running = running_by(&text);
    running.clock = Clock::set_to(UnixMillis::from_secs(SIGNED));
    running
}

/// A client without an address, of which a test says what is read from it.
pub(super) struct Fake<R> {
    /// Appends bytes of the body at each read, whose number it is told, from 1.
    pub(super) read: R,
    /// Whether the body has come as a whole, and its first read reads all of it. Otherwise it never
    /// ends.
    pub(super) is_whole: bool,
    /// The reads so far.
    pub(super) reads: usize,
    /// The status of the answer.
    pub(super) answered: Option<u16>,
}

impl<R: FnMut(usize, &mut BytesMut) + Send> Fake<R> {
    pub(super) fn new(is_whole: bool, read: R) -> Self {
        Self {
            read,
            is_whole,
            reads: 0,
            answered: None,
        }
    }
}

/// The head and the client of a delivery, with these elements of a list in its body.
fn delivery(elements: &str) -> (Head, Fake<impl FnMut(usize, &mut BytesMut) + Send + use<>>) {
    let body = format!(r#"{{"event_id":"evt_1","event_type":"a","list":[{elements}0]}}"#);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{body}.{SIGNED}").as_bytes());
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nX-Webhook-Timestamp: {SIGNED}\r\n\
         X-Webhook-Signature-256: {}\r\n\r\n",
        body.len(),
        hex::encode(mac.finalize().into_bytes())
    );
    let limits = Limits {
        max_head: 1 << 16,
        max_headers: 100,
    };
    let client = Fake::new(true, move |_, into: &mut BytesMut| {
        into.extend_from_slice(body.as_bytes());
    });
    (
        Head::parse(head.into_bytes().into(), &limits).unwrap(),
        client,
    )
}

impl<R: FnMut(usize, &mut BytesMut) + Send> Client for Fake<R> {
    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn is_tls(&self) -> bool {
        false
    }

    fn shown(&self) -> Option<&Shown> {
        None
    }

    fn account(&mut self, budget: &Budget) -> Arc<Account> {
        budget.account(None)
    }

    async fn proceed(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn read_body(
        &mut self,
        into: &mut BytesMut,
        _: u64,
        _: Instant,
    ) -> Result<usize, ReadError> {
        let before = into.len();
        self.reads += 1;
        (self.read)(self.reads, into);
        Ok(into.len() - before)
    }

    fn is_body_at_hand(&self) -> bool {
        self.is_whole
    }

    fn drop_body_at_hand(&mut self) {}

    fn is_body_complete(&self) -> bool {
        self.is_whole && self.reads > 0
    }

    fn end(&mut self, _: Instant) {}

    async fn start(&mut self, head: &dyn AnswerHead, _: &[u8], _: bool) -> Result<(), Gone> {
        self.answered = Some(head.status());
        Ok(())
    }

    async fn piece(&mut self, _: &[u8], _: bool) -> Result<(), Gone> {
        Ok(())
    }
}

fn poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// The statuses of a delivery that is fresh to the end, and of one that becomes stale while it waits.
const EXPECTED: [(Duration, u16); 2] = [(Duration::ZERO, 502), (LATE, 401)];

#[tokio::test]
async fn rp_52_a_delivery_whose_proof_waits_for_its_turn_until_it_is_stale_is_not_claimed() {
    for (waits, expected) in EXPECTED {
        let (running, (head, mut client)) = (running(), delivery(""));
        let snapshot = running.snapshot.load_full();
        {
            let mut exchange = pin!(super::serve(&running, &snapshot, &mut client, &head));
            // The proof with the second secret is work, and the thread has done enough already.
            spend(BETWEEN_TURNS as u64);
            assert!(poll(&mut exchange).is_pending(), "the proof does not wait");
            running
                .clock
                .step(waits.as_millis().try_into().unwrap(), waits);
            assert_eq!(exchange.await, Next::KeepAlive);
        }
        assert_eq!(client.answered, Some(expected), "after {waits:?}");
    }
}

/// The event stands in a body that is dear to read, so it is read in a turn, and the test holds the
/// only turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rp_52_a_delivery_that_waits_to_be_read_until_it_is_stale_is_not_claimed() {
    for (waits, expected) in EXPECTED {
        let (running, (head, mut client)) = (running(), delivery(&"[],".repeat(200 * 1024)));
        let snapshot = running.snapshot.load_full();
        {
            let mut exchange = pin!(super::serve(&running, &snapshot, &mut client, &head));
            let first = || {
                // Once for the turn of its proof.
                assert!(poll(&mut exchange).is_pending());
                assert!(poll(&mut exchange).is_pending());
                running
                    .clock
                    .step(waits.as_millis().try_into().unwrap(), waits);
            };
            running.turns.aside(u64::MAX).await.work(first);
            assert_eq!(exchange.await, Next::KeepAlive);
        }
        assert_eq!(client.answered, Some(expected), "after {waits:?}");
    }
}
