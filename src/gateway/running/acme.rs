//! What the certificates that the gateway orders have in common with its connections: the open
//! challenges, and the certificates held now. Both outlive every snapshot.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::acme::challenges::Challenges;
use crate::tls::Managed;

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Acme {
    /// The challenges that connections answer.
    pub(crate) challenges: Arc<Challenges>,
    /// The certificates that handshakes are given.
    pub(crate) managed: Managed,
    /// Told when another configuration is in force.
    pub(crate) changed: Notify,
    /// Whether an order is under way, or may begin.
    pub(crate) orders: Arc<Orders>,
}

/// The order that is under way, of which there is one at most. Its challenge is answered by this
/// process alone, so a process that takes over waits for its end.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    // A plain lock: taken at each order and each upgrade.
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_under_way: bool,
    is_held: bool,
}

/// An order that is under way while this lives.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Orders>);

/// No order begins while this lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<Orders>);

impl Orders {
    /// Begins an order. `None` if none may begin now.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<UnderWay> {
        let mut state = self.state();
        if state.is_held || state.is_under_way {
            return None;
        }
        state.is_under_way = true;
        Some(UnderWay(Arc::clone(self)))
    }

    /// Lets no order begin. Only one process takes over at a time, so nobody else holds them.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        self.state().is_held = true;
        Held(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().is_under_way = false;
        self.0.ended.notify_all();
    }
}

impl Held {
    /// Whether no order is under way any more, which is waited for as long as `limit`.
    pub(crate) fn are_over_within(&self, limit: Duration) -> bool {
        let state = self.0.state();
        let is_under_way = |state: &mut State| state.is_under_way;
        let waited = self.0.ended.wait_timeout_while(state, limit, is_under_way);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_under_way
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().is_held = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_waited_for_and_none_begins_while_they_are_held() {
        let orders = Arc::new(Orders::default());
        let first = orders.begin().unwrap();
        assert!(orders.begin().is_none());
        let held = orders.hold();
        assert!(!held.are_over_within(Duration::ZERO));
        let ending = std::thread::spawn(move || drop(first));
        assert!(held.are_over_within(Duration::from_secs(60)));
        ending.join().unwrap();
        assert!(orders.begin().is_none());
        drop(held);
        assert!(orders.begin().is_some());
    }
}
