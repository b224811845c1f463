//! The routes that an operator has paused: a pause outlives the process (contract: Queue).

use std::sync::Arc;

use crate::notation::shell;
use crate::queue::Queue;
use crate::store::sqlite::{MetaKey, QueueDb};
use crate::store::{QueueStore as _, StoreError};

/// What is stored of a route that an operator has paused.
pub(super) const BY_OPERATOR: &[u8] = b"operator";

/// Pauses the routes that an operator has paused before the start.
///
/// # Errors
/// [`StoreError`].
pub(super) fn pause_as_stored(store: &Arc<QueueDb>, queue: &mut Queue) -> Result<(), StoreError> {
    for route in store.routes()? {
        if store.meta(MetaKey::Pause(route.number))?.is_some() {
            log::warn!(
                "route {}: it is paused, as an operator asked: `verigate queue resume {}` ends that",
                route.name,
                shell::argument(&route.name, "")
            );
            queue.pause(route.number);
        }
    }
    Ok(())
}
