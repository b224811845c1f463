//! A delivery that has to wait between its judgements: its freshness is judged by the time at which it
//! is claimed (contract: Claim).

use std::net::IpAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::time::Instant;

use crate::clock::{Clock, UnixMillis};
use crate::config::{Files, Sources};
use crate::gateway::client::budget::{Account, Budget};
use crate::gateway::client::turns::{BETWEEN_TURNS, spend};
use crate::gateway::client::{AnswerHead, Client, Gone, Next, ReadError};
use crate::gateway::running::Running;
use crate::telemetry::Telemetry;
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
    let files = Files::default();
    let sources = Sources::of_process(Path::new(""), &files);
    let config = crate::config::parse("a.toml", &text, &sources)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let (telemetry, _writer) = Telemetry::start(std::io::sink(), "1").unwrap();
    let mut running = crate::gateway::build(config, telemetry).unwrap();
    running.clock = Clock::set_to(UnixMillis::from_secs(SIGNED));
    running
}

/// A client whose delivery has come as a whole.
struct Sends {
    body: Vec<u8>,
    is_read: bool,
    answered: Option<u16>,
}

/// The head and the client of a delivery, with these elements of a list in its body.
fn delivery(elements: &str) -> (Head, Sends) {
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
    let client = Sends {
        body: body.into_bytes(),
        is_read: false,
        answered: None,
    };
    (
        Head::parse(head.into_bytes().into(), &limits).unwrap(),
        client,
    )
}

impl Client for Sends {
    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn is_tls(&self) -> bool {
        false
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
        into.extend_from_slice(&self.body);
        self.is_read = true;
        Ok(self.body.len())
    }

    fn is_body_at_hand(&self) -> bool {
        true
    }

    fn drop_body_at_hand(&mut self) {}

    fn is_body_complete(&self) -> bool {
        self.is_read
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
            running.turns.aside(u64::MAX, first).await;
            assert_eq!(exchange.await, Next::KeepAlive);
        }
        assert_eq!(client.answered, Some(expected), "after {waits:?}");
    }
}
