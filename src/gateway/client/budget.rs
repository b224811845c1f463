//! The process-wide budget of body bytes, and one request's share of it (SPEC 2.4).
//!
//! Bytes are charged as they arrive, never by a declared length, so stalled connections hold next to nothing. One client
//! address may hold at most a quarter of the whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// No room is left, for everyone or for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// The budget. Shared by all connections.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    // Relaxed everywhere: the counters guard amounts, not other memory
    held: AtomicU64,
    // taken once per connection (or per request behind a trusted proxy), for a map look-up: a plain mutex is enough
    clients: Mutex<HashMap<IpAddr, Arc<Client>>>,
}

/// What one client address holds.
#[derive(Debug, Default)]
pub(crate) struct Client {
    held: AtomicU64,
}

/// Above so many known addresses, those that hold nothing are dropped before another is added.
const KNOWN_CLIENTS: usize = 16 * 1024;

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit: AtomicU64::new(limit), held: AtomicU64::new(0), clients: Mutex::default() })
    }

    /// Changes the limit; what is held already stays.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The account of one client address.
    pub(crate) fn client(&self, address: IpAddr) -> Arc<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= KNOWN_CLIENTS && !clients.contains_key(&address) {
            clients.retain(|_, client| Arc::strong_count(client) > 1);
        }
        Arc::clone(clients.entry(address).or_default())
    }

    /// A reservation of nothing yet.
    pub(crate) fn reservation(self: &Arc<Self>, client: Arc<Client>) -> Reservation {
        Reservation { budget: Arc::clone(self), client, held: 0 }
    }
}

/// One request's share; gives itself back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    client: Arc<Client>,
    held: u64,
}

impl Reservation {
    /// Charges `bytes` that have arrived.
    ///
    /// # Errors
    /// [`Exhausted`] when the whole budget or the client's quarter would be passed; nothing is charged then.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let limit = self.budget.limit.load(Ordering::Relaxed);
        if self.client.held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit / 4 {
            self.client.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        if self.budget.held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            self.client.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
        self.client.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn one_client_gets_a_quarter_and_what_it_drops_is_free_again() {
        let budget = Budget::new(400);
        let mut first = budget.reservation(budget.client(A));
        assert_eq!(first.charge(100), Ok(()));
        assert_eq!(budget.reservation(budget.client(A)).charge(1), Err(Exhausted));
        assert_eq!(budget.reservation(budget.client(B)).charge(1), Ok(()));
        drop(first);
        assert_eq!(budget.held(), 0);
        assert_eq!(budget.reservation(budget.client(A)).charge(100), Ok(()));
    }

    #[test]
    fn all_clients_together_stay_within_the_limit() {
        let budget = Budget::new(16);
        let mut held = Vec::new();
        for last in 0..5 {
            let mut share = budget.reservation(budget.client(IpAddr::from([192, 0, 2, last])));
            assert_eq!(share.charge(4).is_ok(), last < 4, "client {last}");
            held.push(share);
        }
        assert_eq!(budget.held(), 16);
    }
}
