//! Order keys: the deliveries of a key are delivered one after the other (contract: Queue).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::list::List;
use super::slab::Slab;
use crate::verify::claim::Mark;

/// A key with deliveries in a route.
#[derive(Debug, Default)]
pub(super) struct Key {
    route: u32,
    mark: Option<Mark>,
    deliveries: u32,
    /// The deliveries that hold the key: one at most, but where the order was switched on while
    /// several were in flight.
    pub(super) holders: u32,
    /// The last delivery that took the key.
    pub(super) head: u32,
    /// The deliveries behind it.
    pub(super) waiting: List,
}

/// The keys of all routes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: Slab<Key>,
    places: HashMap<(u32, u64), u32, RandomState>,
}

impl Keys {
    /// The place of a key, for one more delivery.
    pub(super) fn join(&mut self, route: u32, mark: Mark) -> u32 {
        let place = *self.places.entry((route, mark.0)).or_insert_with(|| {
            self.keys.insert(Key {
                route,
                mark: Some(mark),
                ..Key::default()
            })
        });
        self.keys.at_mut(place).deliveries += 1;
        place
    }

    /// A delivery of the key is gone.
    pub(super) fn leave(&mut self, place: u32) {
        let key = self.keys.at_mut(place);
        key.deliveries = key.deliveries.saturating_sub(1);
        if key.deliveries == 0 {
            if let Some(mark) = key.mark {
                self.places.remove(&(key.route, mark.0));
            }
            self.keys.take(place);
        }
    }

    pub(super) fn at(&self, place: u32) -> &Key {
        self.keys.at(place)
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut Key {
        self.keys.at_mut(place)
    }

    pub(super) fn mark(&self, place: u32) -> Option<Mark> {
        self.keys.at(place).mark
    }
}
