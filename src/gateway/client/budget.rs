//! The budget for body bytes of the whole process, and a request's share of it (contract: Body).
//!
//! Bytes are charged as they arrive and never by a declared length, so that stalled connections
//! hold next to nothing. A client may hold at most a quarter of the whole, a site of IPv6 at most
//! half, and the last quarter is for a single request each of clients that hold nothing else
//! (contract: Shares). Where there is a queue, a quarter of the whole is set aside for the bodies
//! that it reads: clients have the other three together, and each of them as much as before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::holder::{Holder, Network};
use crate::scheme::body_form::Room;

/// The budget has no room left, for everyone or for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// The budget, shared by all connections.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    /// Whether a quarter of it is set aside for a queue.
    has_queue: bool,
    // Relaxed everywhere: the counters hold amounts, and no other memory is read by way of them.
    held: AtomicU64,
    // A plain mutex is enough: it is held for a look-up in a map, once per connection, or once per
    // request behind a trusted proxy.
    accounts: Mutex<Accounts>,
}

/// The bytes that a client holds.
#[derive(Debug, Default)]
pub(crate) struct Account {
    held: AtomicU64,
    /// The requests that a client behind trusted proxies has at this time.
    requests: AtomicUsize,
    /// The account of the site; `None` for IPv4, and for a site itself.
    site: Option<Arc<Account>>,
}

/// The accounts of all clients that were seen.
#[derive(Debug)]
struct Accounts {
    known: HashMap<Network, Arc<Account>>,
    /// The number of clients at which unused accounts are dropped before another is added.
    full: usize,
}

/// The least number of accounts at which unused accounts are looked for.
const FULL: usize = 16 * 1024;

impl Accounts {
    fn get(&mut self, holder: Holder) -> Arc<Account> {
        if let Some(account) = self.known.get(&holder.own) {
            return Arc::clone(account);
        }
        if self.known.len() >= self.full {
            self.known
                .retain(|_, account| Arc::strong_count(account) > 1);
            // An open connection holds its account. If most accounts are held, the next search
            // waits until their number has doubled, so that not every new address pays for a
            // search.
            self.full = FULL.max(self.known.len() * 2);
        }
        let site = holder
            .site
            .map(|site| Arc::clone(self.known.entry(site).or_default()));
        let account = Arc::new(Account {
            site,
            ..Account::default()
        });
        self.known.insert(holder.own, Arc::clone(&account));
        account
    }
}

impl Budget {
    /// A budget of `limit` bytes, all of them free.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Self::of(limit, false)
    }

    /// The same, of which a quarter is set aside for the bodies that a queue reads.
    pub(crate) fn beside_a_queue(limit: u64) -> Arc<Self> {
        Self::of(limit, true)
    }

    fn of(limit: u64, has_queue: bool) -> Arc<Self> {
        let accounts = Mutex::new(Accounts {
            known: HashMap::new(),
            full: FULL,
        });
        Arc::new(Self {
            limit: AtomicU64::new(limit),
            has_queue,
            held: AtomicU64::new(0),
            accounts,
        })
    }

    /// The limit in bytes, with what is set aside.
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

    /// The account of the client behind an address. All clients without an address share an
    /// account.
    pub(crate) fn account(&self, address: Option<IpAddr>) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(Holder::of(address))
    }

    /// A share of the budget for a request, still empty.
    pub(crate) fn reservation(self: &Arc<Self>, account: Arc<Account>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            account,
            held: 0,
            beside: 0,
        }
    }
}

/// A request's share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    account: Arc<Account>,
    held: u64,
    /// The bytes that other reservations hold for the same request.
    beside: u64,
}

impl Reservation {
    /// A further share of the same request, still empty.
    pub(crate) fn empty(&self) -> Self {
        let mut share = self.budget.reservation(Arc::clone(&self.account));
        share.beside = self.held + self.beside;
        share
    }

    /// Takes over what another share of the same request holds.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.held += std::mem::take(&mut other.held);
    }

    /// Charges `bytes` that have arrived.
    ///
    /// # Errors
    /// [`Exhausted`] if these bytes would exceed the whole budget, the client's quarter or the
    /// site's half, or would come from the last quarter although the client holds bytes of another
    /// request. Nothing is charged then.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let limit = self.budget.limit.load(Ordering::Relaxed);
        let add = |held: &AtomicU64| held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let own = add(&self.account.held);
        let site = self.account.site.as_ref().map_or(0, |site| add(&site.held));
        let all = add(&self.budget.held);
        self.held += bytes;
        let is_only_request = own == self.held + self.beside;
        let set_aside = if self.budget.has_queue { limit / 4 } else { 0 };
        let most = limit - set_aside;
        let fits = own <= limit / 4
            && site <= limit / 2
            && (all <= most - most / 4 || all <= most && is_only_request);
        if fits {
            return Ok(());
        }
        self.give_back(bytes);
        Err(Exhausted)
    }

    fn give_back(&mut self, bytes: u64) {
        self.held -= bytes;
        let site = self.account.site.as_ref().map(|site| &site.held);
        for held in [&self.account.held, &self.budget.held]
            .into_iter()
            .chain(site)
        {
            held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// A request behind a trusted proxy, counted among those of its client while this value lives.
pub(crate) struct RequestPlace(Arc<Account>);

impl RequestPlace {
    /// A place for a further request of a client that may have `most` at a time.
    pub(crate) fn take(account: Arc<Account>, most: usize) -> Option<Self> {
        let place = Self(account);
        let requests = place.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
        (requests <= most).then_some(place)
    }

    /// The account of the client.
    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.0)
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
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
        self.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
            .map(|address| accounts.get(Holder::of(Some(address))))
            .collect();
        assert_eq!(
            (accounts.known.len(), accounts.full),
            (held.len(), 2 * FULL)
        );
        drop(held);
        accounts.full = accounts.known.len();
        accounts.get(Holder::of(Some(A)));
        assert_eq!((accounts.known.len(), accounts.full), (1, FULL));
    }

    #[test]
    fn beside_a_queue_a_client_has_the_same_share_and_all_have_less() {
        let budget = Budget::beside_a_queue(1600);
        let account = |last: u8| budget.account(Some([192, 0, 2, last].into()));
        let mut shares: Vec<_> = (1..=4)
            .map(|last| budget.reservation(account(last)))
            .collect();
        let charged: Vec<_> = shares
            .iter_mut()
            .map(|share| share.charge(400).is_ok())
            .collect();
        assert_eq!(charged, [true, true, true, false]);
        // A reload changes the whole, and a quarter stays set aside.
        budget.set_limit(2400);
        assert_eq!(shares[3].charge(601), Err(Exhausted));
        assert_eq!(shares[3].charge(600), Ok(()));
        let mut last = budget.reservation(account(5));
        assert_eq!(last.charge(1), Err(Exhausted));
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

    #[test]
    fn rx_22_addresses_of_a_network_share_what_a_client_gets_and_networks_of_a_site_half() {
        let budget = Budget::new(1600);
        let mut held = Vec::new();
        let mut charge = |address: &str, bytes| {
            let account = budget.account(Some(address.parse().unwrap()));
            let mut share = budget.reservation(account);
            let charged = share.charge(bytes).is_ok();
            held.push(share);
            charged
        };
        let rows = [
            ("2001:db8:1:2::1", 300, true),
            ("2001:db8:1:2::2", 101, false),
            ("2001:db8:1:2::3", 100, true),
            ("2001:db8:1:3::1", 400, true),
            ("2001:db8:1:4::1", 1, false),
            ("2001:db8:2:4::1", 400, true),
            ("198.51.100.7", 400, true),
        ];
        let wrong: Vec<_> = rows
            .into_iter()
            .filter(|(address, bytes, expected)| charge(address, *bytes) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        held.clear();
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn rx_22_the_last_quarter_is_for_a_single_request_of_clients_that_hold_nothing_else() {
        let budget = Budget::new(1600);
        let share = |last: u8| budget.reservation(budget.account(Some([192, 0, 2, last].into())));
        let mut held: Vec<_> = (1..=3).map(share).collect();
        for share in &mut held {
            assert_eq!(share.charge(390), Ok(()));
        }
        let (mut first, mut second) = (share(4), share(4));
        assert_eq!(first.charge(20), Ok(()), "within three quarters");
        assert_eq!(first.charge(100), Ok(()), "the only request");
        assert_eq!(
            second.charge(1),
            Err(Exhausted),
            "another request of the same client"
        );
        assert_eq!(first.charge(100), Ok(()), "the refused byte is not held");
        let mut beside = first.empty();
        assert_eq!(beside.charge(50), Ok(()), "of the same request");
        let mut third = beside.empty();
        assert_eq!(third.charge(50), Ok(()), "a third share of it");
        drop(third);
        first.absorb(beside);
        drop((first, held));
        assert_eq!(second.charge(1), Ok(()));
        drop(second);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn rx_22_the_requests_of_a_client_behind_a_proxy_are_counted() {
        let budget = Budget::new(400);
        let take = || RequestPlace::take(budget.account(Some(A)), 2);
        let (first, second) = (take(), take());
        assert!(first.is_some() && second.is_some() && take().is_none() && take().is_none());
        assert!(RequestPlace::take(budget.account(Some(B)), 2).is_some());
        drop(first);
        assert!(take().is_some());
    }
}
