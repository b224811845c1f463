//! The budget for body bytes of the whole process, and a request's share of it (contract: Body).
//!
//! Bytes are charged as they arrive and never by a declared length, so that stalled connections
//! hold next to nothing. A client's address may hold at most a quarter of the whole.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::scheme::body_form::Room;

/// The budget has no room left, for everyone or for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// The budget, shared by all connections.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    // Relaxed everywhere: the counters hold amounts, and no other memory is read by way of them.
    held: AtomicU64,
    // A plain mutex is enough: it is held for a look-up in a map, once per connection, or once per
    // request behind a trusted proxy.
    accounts: Mutex<Accounts>,
}

/// The bytes that a client's address holds.
#[derive(Debug, Default)]
pub(crate) struct Account {
    held: AtomicU64,
}

/// The accounts of all client addresses that were seen.
#[derive(Debug)]
struct Accounts {
    known: HashMap<IpAddr, Arc<Account>>,
    /// The number of addresses at which unused accounts are dropped before another is added.
    full: usize,
}

/// The least number of accounts at which unused accounts are looked for.
const FULL: usize = 16 * 1024;

impl Accounts {
    fn get(&mut self, address: IpAddr) -> &Arc<Account> {
        if self.known.len() >= self.full && !self.known.contains_key(&address) {
            self.known
                .retain(|_, account| Arc::strong_count(account) > 1);
            // An open connection holds its account. If most accounts are held, the next search
            // waits until their number has doubled, so that not every new address pays for a
            // search.
            self.full = FULL.max(self.known.len() * 2);
        }
        self.known.entry(address).or_default()
    }
}

impl Budget {
    /// A budget of `limit` bytes, all of them free.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        let accounts = Mutex::new(Accounts {
            known: HashMap::new(),
            full: FULL,
        });
        Arc::new(Self {
            limit: AtomicU64::new(limit),
            held: AtomicU64::new(0),
            accounts,
        })
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. Bytes that are held already stay held.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The number of bytes that are held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The account of a client's address. All clients without an address share an account.
    pub(crate) fn account(&self, address: Option<IpAddr>) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.get(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }

    /// A share of the budget for a request, still empty.
    pub(crate) fn reservation(self: &Arc<Self>, account: Arc<Account>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            account,
            held: 0,
        }
    }
}

/// A request's share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    account: Arc<Account>,
    held: u64,
}

impl Reservation {
    /// A further share of the same client, still empty.
    pub(crate) fn empty(&self) -> Self {
        self.budget.reservation(Arc::clone(&self.account))
    }

    /// Takes over what another share of the same client holds.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.held += std::mem::take(&mut other.held);
    }

    /// Charges `bytes` that have arrived.
    ///
    /// # Errors
    /// [`Exhausted`] if these bytes would exceed the whole budget or the client's quarter. Nothing
    /// is charged then.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let limit = self.budget.limit.load(Ordering::Relaxed);
        if self.account.held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit / 4 {
            self.account.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        if self.budget.held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            self.account.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        self.held += bytes;
        Ok(())
    }
}

/// A form of a body is charged like the bytes that arrived.
impl Room for Reservation {
    fn take(&mut self, bytes: usize) -> bool {
        self.charge(bytes as u64).is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
        self.account.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_client_gets_a_quarter_and_dropped_bytes_are_free_again() {
        let budget = Budget::new(400);
        let mut first = budget.reservation(budget.account(Some(A)));
        assert_eq!(first.charge(100), Ok(()));
        assert_eq!(
            budget.reservation(budget.account(Some(A))).charge(1),
            Err(Exhausted)
        );
        assert_eq!(
            budget.reservation(budget.account(Some(B))).charge(1),
            Ok(())
        );
        drop(first);
        assert_eq!(budget.held(), 0);
        assert_eq!(
            budget.reservation(budget.account(Some(A))).charge(100),
            Ok(())
        );
    }

    #[test]
    fn an_account_in_use_is_kept_however_many_addresses_come() {
        let budget = Budget::new(400);
        let mut first = budget.reservation(budget.account(Some(A)));
        first.charge(100).unwrap();
        for number in 0..3 * u32::try_from(FULL).unwrap() {
            budget.account(Some(IpAddr::from(number.to_be_bytes())));
        }
        assert_eq!(
            budget.reservation(budget.account(Some(A))).charge(1),
            Err(Exhausted)
        );
        assert!(budget.accounts.lock().unwrap().known.len() <= FULL);
    }

    #[test]
    fn accounts_in_use_are_not_searched_for_each_new_address() {
        let mut accounts = Accounts {
            known: HashMap::new(),
            full: FULL,
        };
        let addresses =
            (0..=FULL).map(|number| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes()));
        let held: Vec<_> = addresses
            .map(|address| Arc::clone(accounts.get(address)))
            .collect();
        assert_eq!(
            (accounts.known.len(), accounts.full),
            (held.len(), 2 * FULL)
        );
        drop(held);
        accounts.full = accounts.known.len();
        accounts.get(A);
        assert_eq!((accounts.known.len(), accounts.full), (1, FULL));
    }

    #[test]
    fn all_clients_together_stay_within_the_limit() {
        let budget = Budget::new(16);
        let mut held = Vec::new();
        for last in 0..5 {
            let mut share =
                budget.reservation(budget.account(Some(IpAddr::from([192, 0, 2, last]))));
            assert_eq!(share.charge(4).is_ok(), last < 4, "client {last}");
            held.push(share);
        }
        assert_eq!(budget.held(), 16);
    }
}
