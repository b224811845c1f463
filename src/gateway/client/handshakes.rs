//! The turns of TLS handshakes, so that handshakes do not keep each other waiting for long, nor one
//! client the others (contract: The edge).
//!
//! A handshake that waits for its client for more than [`GRACE`] loses its turn, and its connection,
//! if another waits for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::holder::{Holder, Network};

/// The handshakes that may be in progress at a time, for each worker thread.
const A_THREAD: usize = 64;

/// The time for which a handshake may wait for its client while others wait for a turn.
const GRACE: Duration = Duration::from_secs(1);

/// The handshakes in progress. A client has a quarter of them; who has to wait for its turn waits
/// within the time limit of its handshake.
#[derive(Debug)]
pub(crate) struct Handshakes {
    all: Arc<Semaphore>,
    share: usize,
    /// A permit for each handshake that waits for a turn and for which no other ends yet. The handshake
    /// that has waited for its client longest takes it, and ends.
    wanted: Semaphore,
    // Held for an addition.
    waiting: Mutex<Waiting>,
    // Held for a look-up, once before and once after each handshake.
    clients: Mutex<HashMap<Network, Arc<Semaphore>>>,
}

/// The handshakes that wait for a turn, counted.
#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    /// Those for which another handshake has ended, or is about to.
    served: usize,
}

/// A handshake's turn. Another may follow when it is dropped.
pub(crate) struct Turn<'h> {
    _all: OwnedSemaphorePermit,
    _own: Option<(OwnedSemaphorePermit, Share<'h>)>,
}

/// The share of a client, kept while one of its handshakes has a turn or waits for one.
struct Share<'h> {
    handshakes: &'h Handshakes,
    client: Network,
    turns: Option<Arc<Semaphore>>,
}

/// A handshake that waits for its turn.
struct Want<'h>(&'h Handshakes);

impl Handshakes {
    /// Turns for this many worker threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self::of(A_THREAD.saturating_mul(threads))
    }

    fn of(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(most)),
            share: (most / 4).max(1),
            wanted: Semaphore::new(0),
            waiting: Mutex::default(),
            clients: Mutex::default(),
        }
    }

    /// Waits for the turn of a handshake. `client` is `None` for a trusted proxy, which speaks for
    /// many clients.
    pub(crate) async fn turn(&self, client: Option<Holder>) -> Option<Turn<'_>> {
        // No semaphore is ever closed, so no error can come.
        let own = match client {
            Some(client) => {
                let share = self.share_of(client.own);
                let turns = share.turns.clone()?;
                Some((turns.acquire_owned().await.ok()?, share))
            }
            None => None,
        };
        let all = match Arc::clone(&self.all).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _want = Want::new(self);
                Arc::clone(&self.all).acquire_owned().await.ok()?
            }
        };
        Some(Turn {
            _all: all,
            _own: own,
        })
    }

    fn share_of(&self, client: Network) -> Share<'_> {
        let mut clients = self.clients();
        let turns = clients.entry(client);
        let turns = turns.or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        Share {
            handshakes: self,
            client,
            turns: Some(Arc::clone(turns)),
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Network, Arc<Semaphore>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a handshake that began to wait for its client now must make room for another.
    pub(crate) async fn must_go(&self) {
        sleep(GRACE).await;
        // The permits are given in the order in which they were asked for: the longest wait ends.
        while let Ok(wanted) = self.wanted.acquire().await {
            wanted.forget();
            if self.waiting().serve() {
                return;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Notes that a handshake ends for one that waits. `false` if each of these is served already: the
    /// permit was for one that has got its turn meanwhile.
    fn serve(&mut self) -> bool {
        let is_wanted = self.all > self.served;
        self.served += usize::from(is_wanted);
        is_wanted
    }

    /// Notes that a handshake waits no more. Returns whether one has ended for it: it does not matter
    /// which, as long as each that ends counts for one that waits.
    fn end(&mut self) -> bool {
        self.all -= 1;
        let is_served = self.served > 0;
        self.served -= usize::from(is_served);
        is_served
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut clients = self.handshakes.clients();
        // Within the lock, so that of two that end at the same time one sees that it is the last.
        drop(self.turns.take());
        if clients
            .get(&self.client)
            .is_some_and(|turns| Arc::strong_count(turns) == 1)
        {
            clients.remove(&self.client);
        }
    }
}

impl<'h> Want<'h> {
    fn new(handshakes: &'h Handshakes) -> Self {
        handshakes.waiting().all += 1;
        handshakes.wanted.add_permits(1);
        Self(handshakes)
    }
}

impl Drop for Want<'_> {
    fn drop(&mut self) {
        // Where nobody has ended for it, nobody needs to any more.
        if !self.0.waiting().end()
            && let Ok(wanted) = self.0.wanted.try_acquire()
        {
            wanted.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::net::IpAddr;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tokio::time::{Instant, timeout};

    use super::*;

    fn holder(last: u8) -> Holder {
        Holder::of(Some(IpAddr::from([10, 0, 0, last])))
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_client_has_a_quarter_of_the_turns_and_a_trusted_proxy_all_of_them() {
        let handshakes = Handshakes::of(8);
        let turns = |client: Option<Holder>, count: usize| -> Vec<_> {
            (0..count)
                .map_while(|_| now(handshakes.turn(client)))
                .collect()
        };
        let first = turns(Some(holder(1)), 3);
        assert_eq!(first.len(), 2);
        let second = turns(Some(holder(2)), 3);
        assert_eq!(second.len(), 2);
        let proxy = turns(None, 9);
        assert_eq!(proxy.len(), 4);
        assert!(now(handshakes.turn(Some(holder(3)))).is_none());
        drop(first);
        assert!(now(handshakes.turn(Some(holder(3)))).is_some());
        drop((second, proxy));
        assert!(handshakes.clients().is_empty());
        assert_eq!(handshakes.all.available_permits(), 8);
        assert_eq!(handshakes.wanted.available_permits(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_handshake_that_waited_longest_goes_for_another_and_no_further_one() {
        let handshakes = Handshakes::of(2);
        let began = Instant::now();
        let one = |handshakes| async move {
            let handshakes: &Handshakes = handshakes;
            let _turn = handshakes.turn(None).await;
            handshakes.must_go().await;
            began.elapsed()
        };
        let second = |handshakes| async move {
            sleep(Duration::from_millis(1)).await;
            one(handshakes).await
        };
        let newcomer = async {
            sleep(Duration::from_secs(5)).await;
            let turn = handshakes.turn(Some(holder(1))).await;
            let at = began.elapsed();
            sleep(Duration::from_secs(5)).await;
            drop(turn);
            at
        };
        let mut first = pin!(one(&handshakes));
        let mut second = pin!(second(&handshakes));
        let mut newcomer = pin!(newcomer);
        let gone = tokio::select! {
            at = &mut first => at,
            _ = &mut second => panic!("the later one ended"),
            _ = &mut newcomer => panic!("there was no turn"),
        };
        assert_eq!(gone.as_secs(), 5);
        tokio::select! {
            biased;
            _ = &mut second => panic!("both ended"),
            at = &mut newcomer => assert_eq!(at.as_secs(), 5),
        }
        let late = timeout(Duration::from_secs(60), second).await;
        assert!(late.is_err(), "it ended though nobody waited");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_goes_for_each_other_that_waits() {
        let handshakes = Handshakes::of(2);
        let began = Instant::now();
        let ms = Duration::from_millis;
        let stalls = async |start| {
            sleep(start).await;
            let _turn = handshakes.turn(None).await;
            handshakes.must_go().await;
            began.elapsed()
        };
        let waits = async |start, work| {
            sleep(start).await;
            let _turn = handshakes.turn(None).await;
            let at = began.elapsed();
            sleep(work).await;
            at
        };
        let all = async {
            tokio::join!(
                stalls(Duration::ZERO),
                stalls(ms(500)),
                waits(ms(600), ms(5000)),
                waits(ms(600), ms(100)),
            )
        };
        let ended = timeout(Duration::from_secs(60), all).await;
        let (first, second, third, fourth) = ended.expect("the second one stayed");
        assert_eq!((first, third), (ms(1000), ms(1000)));
        assert_eq!((second, fourth), (ms(1500), ms(1500)));
        let late = timeout(Duration::from_secs(60), stalls(Duration::ZERO)).await;
        assert!(late.is_err(), "it ended though nobody waited");
    }
}
