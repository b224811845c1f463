//! The threads on which a verification runs that would hold up a worker thread (contract: Body).
//!
//! There are as many as worker threads, and no queue: work that a stranger can cause must not pile
//! up. While all are busy, a delivery that needs a thread is refused, and its sender tries again.
//!
//! A single stranger must not hold all of them either (contract: Shares). The last free thread is
//! for clients that hold none. Once another client has found no thread, whoever proved nothing
//! rests for three times as long as its verification took, so that a sender's next attempt finds
//! a thread.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::gateway::client::holder::{Holder, Network};
use crate::verdict::{Code, Refusal};

/// The threads, each free or busy.
#[derive(Clone, Debug)]
pub(crate) struct ProvingThreads(Arc<Pool>);

const BUSY: Refusal = Refusal::because(
    Code::Overloaded,
    "every thread for large verifications is busy",
);

const SHARE_USED: Refusal = Refusal::because(
    Code::Overloaded,
    "this client has used its share of the threads for large verifications",
);

/// The rest of a client that proved nothing, as a multiple of the time that its work took.
const REST: u32 = 3;
/// The rest of the /48 of an IPv6 client, as such a multiple: less, since others live there.
const REST_OF_A_SITE: u32 = 1;
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The time for which it counts that a client found no thread: its sender tries again meanwhile.
const WANTED: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
struct Pool {
    threads: usize,
    // Held for a look-up, once before and once after each large verification.
    shares: Mutex<Shares>,
}

/// Who has which threads. The clock comes in as an argument.
#[derive(Debug, Default)]
struct Shares {
    /// The client of each busy thread.
    busy: Vec<Network>,
    /// The end of the rest of each client and site that proved nothing. Those that are over are
    /// dropped at each insertion, and what is added rests for a multiple of the time for which it
    /// held a thread, so there are only a few for each thread.
    resting: HashMap<Network, Instant>,
    /// The last two clients without a thread that found none. A stranger is one of them at most
    /// times; the other one is whom it keeps out.
    wanted: [Option<(Network, Instant)>; 2],
}

impl Shares {
    /// Takes a thread for `client`.
    fn take(&mut self, threads: usize, client: Holder, now: Instant) -> Result<(), Refusal> {
        let holds_any = self.busy.contains(&client.own);
        let free = threads.saturating_sub(self.busy.len());
        if free == 1 && holds_any || self.is_wanted(client, now) && self.rests(client, now) {
            return Err(SHARE_USED);
        }
        if free == 0 {
            if !holds_any {
                self.want(client.own, now);
            }
            return Err(BUSY);
        }
        self.busy.push(client.own);
        Ok(())
    }

    /// Whether another client found no thread a short while ago.
    fn is_wanted(&self, client: Holder, now: Instant) -> bool {
        let mut others = self.wanted.iter().flatten();
        others.any(|(own, at)| *own != client.own && now.duration_since(*at) < WANTED)
    }

    fn rests(&self, client: Holder, now: Instant) -> bool {
        let networks = [Some(client.own), client.site];
        let mut ends = networks
            .iter()
            .flatten()
            .filter_map(|n| self.resting.get(n));
        ends.any(|end| now < *end)
    }

    fn want(&mut self, own: Network, now: Instant) {
        let [first, second] = &mut self.wanted;
        if first.is_none_or(|(known, _)| known != own) {
            *second = *first;
        }
        *first = Some((own, now));
    }

    /// Gives the thread of `client` back, after `took`.
    fn give_back(&mut self, client: Holder, took: Duration, is_proved: bool, now: Instant) {
        if let Some(place) = self.busy.iter().position(|own| *own == client.own) {
            self.busy.swap_remove(place);
        }
        if is_proved {
            return;
        }
        self.resting.retain(|_, end| now < *end);
        let site = client.site.map(|site| (site, REST_OF_A_SITE));
        for (network, times) in [(client.own, REST)].into_iter().chain(site) {
            let end = now + took.saturating_mul(times).min(LONGEST_REST);
            let known = self.resting.entry(network).or_insert(end);
            *known = end.max(*known);
        }
    }
}

/// A thread that is busy, free again when this is dropped.
struct Busy {
    pool: Arc<Pool>,
    client: Holder,
    since: Instant,
    is_proved: bool,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = now.duration_since(self.since);
        self.pool
            .shares()
            .give_back(self.client, took, self.is_proved, now);
    }
}

impl Pool {
    fn shares(&self) -> std::sync::MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvingThreads {
    /// This many threads, all of them free. The runtime starts a thread when it is first needed.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Pool {
            threads,
            shares: Mutex::default(),
        }))
    }

    /// Runs `work` for a client on a free thread. The thread finishes it even if this future is
    /// dropped. `is_proof` says of its result whether the client has proved its delivery.
    ///
    /// # Errors
    /// `overloaded` if no thread is free, or the client has used its share. Nothing runs then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        client: Holder,
        work: impl FnOnce() -> T + Send + 'static,
        is_proof: impl FnOnce(&T) -> bool + Send + 'static,
    ) -> Result<T, Refusal> {
        let pool = Arc::clone(&self.0);
        let now = Instant::now();
        pool.shares().take(pool.threads, client, now)?;
        let mut busy = Busy {
            pool,
            client,
            since: now,
            is_proved: false,
        };
        let done = spawn_blocking(move || {
            let done = work();
            busy.is_proved = is_proof(&done);
            drop(busy);
            done
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime drops the work only when it ends itself.
                Err(_) => Err(Code::InternalError.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::mpsc;

    use super::*;

    fn client(address: &str) -> Holder {
        Holder::of(Some(address.parse::<IpAddr>().unwrap()))
    }

    #[tokio::test]
    async fn work_beyond_the_threads_is_refused_and_a_free_thread_is_used_again() {
        let threads = ProvingThreads::new(2);
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let (threads, (end, ended)) = (threads.clone(), mpsc::channel::<()>());
                let task = tokio::spawn(async move {
                    let work = move || ended.recv().map(|()| number);
                    let own = client(&format!("192.0.2.{number}"));
                    threads.run(own, work, Result::is_ok).await
                });
                (end, task)
            })
            .collect();
        while threads.0.shares().busy.len() < 2 {
            tokio::task::yield_now().await;
        }
        let other = client("192.0.2.9");
        let refused = threads.run(other, || (), |()| true).await.unwrap_err();
        assert_eq!(refused, BUSY);
        for (expected, (end, task)) in waiting.into_iter().enumerate() {
            end.send(()).unwrap();
            assert_eq!(task.await.unwrap().unwrap(), Ok(expected));
        }
        assert_eq!(threads.run(other, || 7, |_| true).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_frees_the_thread() {
        let threads = ProvingThreads::new(1);
        let (own, someone) = (threads.clone(), client("192.0.2.1"));
        let task = tokio::spawn(async move {
            let work = || assert!(std::hint::black_box(false), "broken");
            own.run(someone, work, |()| true).await
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(threads.run(someone, || 7, |_| true).await, Ok(7));
    }

    #[test]
    fn rx_25_the_last_free_thread_is_for_a_client_that_holds_none() {
        let now = Instant::now();
        let (stranger, sender) = (client("192.0.2.1"), client("192.0.2.2"));
        for threads in 1..5 {
            let mut shares = Shares::default();
            for _ in 1..threads.max(2) {
                assert_eq!(shares.take(threads, stranger, now), Ok(()));
            }
            let refused = if threads == 1 { BUSY } else { SHARE_USED };
            assert_eq!(shares.take(threads, stranger, now), Err(refused));
            let expected = if threads == 1 { Err(BUSY) } else { Ok(()) };
            assert_eq!(shares.take(threads, sender, now), expected, "of {threads}");
        }
    }

    /// A stranger with a connection that always asks, against a sender that tries again: without
    /// rests, a single thread was held for all but moments.
    #[test]
    fn rx_25_a_client_that_proves_nothing_rests_while_another_one_needs_a_thread() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let took = Duration::from_secs(1);
        let rows = [
            ("192.0.2.1", "192.0.2.1", 3),
            ("2001:db8:1:2::1", "2001:db8:1:2::9", 3),
            // Another network of the same site.
            ("2001:db8:1:2::1", "2001:db8:1:3::1", 1),
        ];
        for (stranger, next, rest) in rows {
            let (stranger, next, sender) = (client(stranger), client(next), client("192.0.2.2"));
            let mut shares = Shares::default();
            // Nobody else needs a thread, so nobody rests.
            for second in 0..3 {
                shares.take(1, stranger, at(second * 1000)).unwrap();
                shares.give_back(stranger, took, false, at(second * 1000 + 999));
            }
            shares.take(1, stranger, at(3000)).unwrap();
            assert_eq!(shares.take(1, sender, at(3500)), Err(BUSY));
            shares.give_back(stranger, took, false, at(4000));
            assert_eq!(shares.take(1, next, at(4001)), Err(SHARE_USED));
            assert_eq!(
                shares.take(1, next, at(3999 + rest * 1000)),
                Err(SHARE_USED)
            );
            // The sender proves its deliveries, so it never rests.
            for ms in 4100..4110 {
                shares.take(1, sender, at(ms)).unwrap();
                // The stranger finds no thread meanwhile, and that keeps nobody else out.
                assert!(shares.take(1, stranger, at(ms)).is_err());
                shares.give_back(sender, took, true, at(ms));
            }
            assert_eq!(shares.take(1, next, at(4000 + rest * 1000)), Ok(()));
            shares.give_back(next, took, true, at(8000));
            let later = begin + WANTED + Duration::from_secs(5);
            assert_eq!(shares.take(1, stranger, later), Ok(()));
            shares.give_back(stranger, took, false, later);
            assert_eq!(shares.take(1, stranger, later), Ok(()), "nobody wants it");
            assert!(shares.resting.len() <= 2);
        }
    }
}
