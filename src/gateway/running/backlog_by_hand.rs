//! What an operator does with the queue, and sees of a delivery (contract: Queue).

use std::sync::{Arc, MutexGuard};

use tokio::time::timeout;

use super::backlog::{Backlog, locked};
use super::paused::BY_OPERATOR;
use crate::clock::Now;
use crate::config::State;
use crate::queue::{Attempt, AttemptEnd, Change, Number, Queue, RouteNumber, RouteStatus};
use crate::store::sealing::{KeyId, Keyring};
use crate::store::sqlite::{Encrypted, Head, MetaKey};
use crate::store::{Content, Pending, QueueStore as _, StoreError};

impl Backlog {
    /// How many deliveries are encrypted with which key. It reads, so it may wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn encrypted(&self) -> Result<Vec<Encrypted>, StoreError> {
        self.store.encrypted()
    }

    /// Sets other keys for what is stored, and says which deliveries of those `found` on disk have no key
    /// then. Does not wait.
    pub(crate) fn set_keys(&self, state: &State, found: &[Encrypted]) {
        self.store.set_keys(keyring(state));
        report_keys(found, state);
    }

    /// Tries again what could not be read: its key may be there by now, or the disk may give it.
    pub(crate) fn try_held(&self, now: Now) {
        let released = self.queue().release_held(now);
        if released > 0 {
            log::info!("the queue: tried again, of those that were held: {released}");
        }
        self.wake.notify_one();
    }

    /// Whether a route that the configuration in force does not have was given another provider: its
    /// name is there.
    pub(crate) fn has_heir(&self, route: RouteNumber, status: &RouteStatus) -> bool {
        let name = Some(route).filter(|_| !status.is_listed);
        let Some(name) = name.and_then(|route| self.name(route)) else {
            return false;
        };
        let same = self.numbers(&name);
        let queue = self.queue();
        same.into_iter().any(|number| queue.is_listed(number))
    }

    /// The routes with this name: one for each provider that it had.
    pub(crate) fn numbers(&self, name: &str) -> Vec<RouteNumber> {
        let names = locked(&self.names);
        let of_name = names.iter().filter(|(_, known)| ***known == *name);
        of_name.map(|(number, _)| *number).collect()
    }

    /// The names of all routes that are known, each once.
    pub(crate) fn route_names(&self) -> Vec<Arc<str>> {
        let names = locked(&self.names);
        let mut names: Vec<_> = names.values().cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The keys that are not there and that deliveries need, in their order; `None` for one that can be
    /// read, or is gone. It reads, so it may wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn missing_keys(
        &self,
        numbers: &[Number],
    ) -> Result<Vec<Option<KeyId>>, StoreError> {
        self.store.missing_keys(numbers)
    }

    /// Pauses routes, or ends their pauses, and returns once that is on disk. Says whether it is new
    /// for one of them, and why each waits from then on. Where the app is only probed, the end of a
    /// pause has the next probe made at once, also where there was none.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed, or not for all routes.
    pub(crate) fn pause(
        &self,
        routes: &[RouteNumber],
        is_paused: bool,
        now: Now,
    ) -> Result<(bool, Vec<(RouteNumber, RouteStatus)>), StoreError> {
        let mut is_new = false;
        let mut statuses = Vec::new();
        let _one_at_a_time = locked(&self.pauses);
        for route in routes {
            let stored = is_paused.then_some(BY_OPERATOR);
            self.store.set_meta(MetaKey::Pause(*route), stored)?;
            let mut queue = self.queue();
            is_new |= if is_paused {
                queue.pause(*route)
            } else {
                queue.resume(*route, now)
            };
            // Before a worker can begin what this has begin.
            statuses.push((*route, queue.status(*route, now)));
        }
        self.wake.notify_one();
        Ok((is_new, statuses))
    }

    /// Has the store write what was decided about a delivery, under the lock under which that was
    /// decided: a later decision is written later. Tells the workers: something may be due.
    pub(crate) fn change(
        &self,
        _decided: &MutexGuard<'_, Queue>,
        number: Number,
        change: Change,
    ) -> Pending<()> {
        if let Some(meanwhile) = self.joined().as_mut() {
            meanwhile.by_hand.push((number, change));
        }
        let pending = self.store.change(number, change);
        self.wake.notify_one();
        pending
    }

    /// Waits until what was done is stored.
    ///
    /// # Errors
    /// [`StoreError`]; the store did not answer in time, and writes it as soon as it can.
    pub(crate) async fn stored(&self, pending: Pending<()>) -> Result<(), StoreError> {
        match timeout(self.timeout, pending).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        }
    }

    /// The stored heads of deliveries. It reads, so it may wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn heads(&self, numbers: &[Number]) -> Result<Vec<Head>, StoreError> {
        self.store.heads(numbers)
    }

    /// The ends of the last failed attempts of deliveries; `None` for one that was never tried. It
    /// reads, so it may wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn last_ends(
        &self,
        numbers: &[Number],
    ) -> Result<Vec<Option<AttemptEnd>>, StoreError> {
        self.store.last_ends(numbers)
    }

    /// The latest failed attempts of a delivery, the oldest first. It reads, so it may wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn attempts(&self, number: Number) -> Result<Vec<Attempt>, StoreError> {
        self.store.attempts(number)
    }

    /// The content of a delivery that an operator wants to see.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn content(&self, number: Number) -> Result<Option<Content>, StoreError> {
        match timeout(self.timeout, self.store.read(number)).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        }
    }
}

/// The first of the keys in force that deliveries `found` on disk need and `state` does not have, and the
/// number of those deliveries.
pub(crate) fn key_still_needed(found: &[Encrypted], state: &State) -> Option<(KeyId, u64)> {
    let keys = keyring(state);
    let mut in_use = found.iter().filter(|one| one.is_readable);
    in_use.find_map(|one| Some((one.key.filter(|key| !keys.has(*key))?, one.count)))
}

/// Says which deliveries of those `found` on disk cannot be read with the keys of `state`.
pub(crate) fn report_keys(found: &[Encrypted], state: &State) {
    let keys = keyring(state);
    for one in found {
        match one.key {
            Some(key) if !keys.has(key) => log::error!(
                "state: the key {key} is not in `state.keys`, and {} of the deliveries need it: they are held \
                 until it is there",
                one.count
            ),
            None if !one.is_readable => log::error!(
                "state: {} of the deliveries are not encrypted, though all that was stored here is: they are \
                 damaged, and are not sent",
                one.count
            ),
            Some(_) | None => {}
        }
    }
}

/// The keys of `[state]`.
pub(crate) fn keyring(state: &State) -> Keyring {
    Keyring::new(state.keys.iter().map(|key| key.key.clone()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::gateway::running::backlog::{Made, Means};
    use crate::gateway::tests::parsed;
    use crate::queue::{ByHand, DeliveryId, Filter, Limits, Next, Outcome};
    use crate::store::Accepted;
    use crate::store::sqlite::QueueDb;
    use crate::telemetry::metrics::Metrics;

    /// A queue in `dir` that holds one delivery, which is due.
    fn with_one(dir: &std::path::Path, clock: &Clock) -> Backlog {
        let store = QueueDb::open(dir, clock, None).unwrap();
        let route = store.route("a", "itellico").unwrap();
        drop(store.accept(Accepted {
            id: DeliveryId::new(clock.now().wall, [1; 10]),
            route,
            account: None,
            order: None,
            head: "head".into(),
            body: "body".into(),
            claim: None,
        }));
        // Written after the delivery.
        store.set_meta(MetaKey::Pause(route), None).unwrap();
        let means = Means {
            store: store.into(),
            metrics: Metrics::new("1").queue(),
            limits: Limits {
                max_bytes: 1 << 20,
                max_deliveries: 10,
            },
            keep_free: 0,
            timeout: Duration::from_secs(2),
            bodies: 1 << 20,
        };
        let backlog = Backlog::open(means, clock.now()).unwrap();
        let config = parsed(&format!(
            "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\nmode = \"queue\"\n\
             secrets = [\"plain:a-secret-of-the-test\"]\nupstream = \"http://127.0.0.1:3000\"\n\
             [state]\ndir = \"{}\"\n",
            dir.display()
        ));
        let routes = config.routes.iter().map(|own| (route, own));
        backlog.read_store(clock.now(), |_| {}).unwrap();
        backlog.set_routes(routes, clock.now());
        backlog
    }

    /// The queue that was read took the place of the one in which that was decided.
    #[test]
    fn what_is_done_by_hand_while_the_store_is_read_stays_done() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let backlog = with_one(dir.path(), &clock);
        let now = clock.now();
        let list = backlog.queue().list(&Filter::default(), None, 10, now);
        let number = list.deliveries[0].delivery.number;
        // It is written once the store was read.
        let other = RefCell::new(None);
        let read = backlog.read_store(now, |_| {
            if other.borrow().is_none() {
                *other.borrow_mut() = Some(backlog.store.written_by_another());
                let mut queue = backlog.queue();
                let ByHand::Done(change) = queue.discard(number, now) else {
                    panic!("it is there")
                };
                drop(backlog.change(&queue, number, change));
            }
        });
        read.unwrap();
        drop(other);
        assert!(backlog.queue().get(number, now).is_none());
    }

    /// The end of an attempt was written after the lock was given back, and could overwrite a retry by
    /// hand that was decided after it. The next start then had the older decision.
    #[test]
    fn what_was_decided_last_about_a_delivery_is_written_last() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let backlog = with_one(dir.path(), &clock);
        let now = clock.now();
        let Next::Try(lease) = backlog.next(now) else {
            panic!("it is not due")
        };
        let number = lease.number;
        std::thread::scope(|scope| {
            // What follows the decision needs the route's name.
            let names = locked(&backlog.names);
            let made = Made {
                began: now.wall,
                took: Duration::ZERO,
                cause: None,
            };
            let (backlog, lease) = (&backlog, &lease);
            scope.spawn(move || {
                backlog.ended(lease, Outcome::Status(500, None), Some(made), now);
            });
            while backlog.queue().get(number, now).unwrap().is_in_flight {
                std::thread::yield_now();
            }
            let mut queue = backlog.queue();
            let ByHand::Done(change) = queue.retry(number, now) else {
                panic!("it is there")
            };
            drop(backlog.change(&queue, number, change));
            drop((queue, names));
        });
        // Written after both.
        backlog.keep_time(now.mono);
        let known = backlog.queue().get(number, now).unwrap().delivery.progress;
        let mut stored = Vec::new();
        let each = &mut |delivery: crate::queue::Delivery| stored.push(delivery.progress.round);
        backlog.store.deliveries(each).unwrap();
        assert_eq!((known.round, stored), (0, vec![0]));
    }
}
