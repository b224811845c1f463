//! The types of events that a route has ignored: the first event of each is logged.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The most types that are remembered for a route. A stranger who has a captured delivery may be
/// able to invent types.
const MOST: usize = 64;
/// The most characters of a type that are logged.
const SHOWN: usize = 200;

/// The types that one route has ignored since its configuration was loaded.
#[derive(Debug, Default)]
pub(crate) struct IgnoredTypes(Mutex<HashSet<String>>);

impl IgnoredTypes {
    /// Logs a type if it is new. The lock is held for a look-up, and only for ignored events.
    pub(crate) fn note(&self, route: &str, event_type: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST || known.contains(event_type) {
            return;
        }
        known.insert(event_type.to_owned());
        drop(known);
        let shown: String = event_type.chars().take(SHOWN).collect();
        log::info!(
            "route {route}: events of the type {shown:?} are acknowledged and not forwarded: \
             `event_types` does not list it"
        );
    }
}
