//! The memory for bodies that are read for attempts, and who has it (contract: Queue).
//!
//! An attempt has its room until it ends, so an app that does not answer holds it. What an account of
//! a route may hold has a limit, so that the deliveries of others find room meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most room, in KiB.
const MOST_KIB: u32 = (1 << 29) - 1;

/// The memory for bodies that are read.
#[derive(Debug)]
pub(crate) struct BodyRooms {
    most: u32,
    /// What is free, in KiB.
    free: Arc<Semaphore>,
    /// What each account has or waits for, in KiB. A plain lock: it is held for a look-up.
    held: Mutex<HashMap<u32, u32>>,
}

/// Memory for a body. It is given back on drop.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    rooms: Arc<BodyRooms>,
    account: u32,
    kib: u32,
    /// Given back on drop; `None` while it is waited for.
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        let mut held = self.rooms.held();
        if let Some(own) = held.get_mut(&self.account) {
            *own = own.saturating_sub(self.kib);
            if *own == 0 {
                held.remove(&self.account);
            }
        }
    }
}

impl BodyRooms {
    /// Room for `bytes` bytes.
    pub(crate) fn new(bytes: u64) -> Arc<Self> {
        let most = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let most = most.clamp(1, MOST_KIB);
        let permits = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            most,
            free: Arc::new(Semaphore::new(permits)),
            held: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u32, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the memory for a head and a body of `bytes` bytes together, of a delivery of this
    /// account. What is larger than all of it, as the largest body with its head is, or a body of a
    /// time when there was more memory, takes all. `None`: the account has half of all already, and
    /// is to come again later.
    pub(crate) async fn take(self: &Arc<Self>, account: u32, bytes: u64) -> Option<BodyRoom> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let kib = kib.clamp(1, self.most);
        {
            let mut held = self.held();
            let own = held.entry(account).or_default();
            if *own > 0 && own.saturating_add(kib) > self.most / 2 {
                return None;
            }
            *own += kib;
        }
        // Counted from here on, also while it waits, and given back if the wait is dropped.
        let mut room = BodyRoom {
            rooms: Arc::clone(self),
            account,
            kib,
            permit: None,
        };
        let permit = Arc::clone(&self.free).acquire_many_owned(kib).await;
        room.permit = Some(permit.ok()?);
        Some(room)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const KIB: u64 = 1024;

    #[tokio::test]
    async fn an_account_has_half_at_most_unless_one_body_is_more() {
        let rooms = BodyRooms::new(16 * KIB);
        let first = rooms.take(1, 6 * KIB).await.unwrap();
        assert!(rooms.take(1, 3 * KIB).await.is_none(), "more than half");
        let second = rooms.take(1, 2 * KIB).await.unwrap();
        let other = rooms.take(2, 8 * KIB).await.unwrap();
        assert_eq!(rooms.free.available_permits(), 0);
        drop((first, second, other));
        let whole = rooms.take(1, 100 * KIB).await.unwrap();
        assert_eq!(rooms.free.available_permits(), 0);
        // Who waits in vain holds nothing afterwards.
        let waits = timeout(Duration::ZERO, rooms.take(2, KIB)).await;
        assert!(waits.is_err());
        drop(whole);
        assert!(rooms.held().is_empty());
        assert_eq!(rooms.free.available_permits(), 16);
    }
}
