//! What the pages of the queue read of stored deliveries.

use std::sync::Arc;

use crate::gateway::client::answer::Denied;
use crate::gateway::exchange::stored::{StoredHead, in_words};
use crate::gateway::running::backlog::Backlog;
use crate::queue::{Listed, Number};
use crate::store::StoreError;
use crate::store::sealing::Unreadable;
use crate::verdict::{Code, Refusal};
use crate::verify::envelope::Event;

/// The stored heads of deliveries; `None` for one that is gone, an error for one that cannot be read.
pub(super) async fn heads(
    backlog: &Arc<Backlog>,
    numbers: Vec<Number>,
) -> Result<Vec<Result<Option<StoredHead>, StoreError>>, Denied> {
    let read = move |backlog: &Backlog| {
        let heads = backlog.heads(&numbers)?.into_iter();
        Ok(heads
            .map(|head| match head? {
                None => Ok(None),
                Some(head) => match StoredHead::read(&head) {
                    None => Err(Unreadable::Changed.into()),
                    read => Ok(read),
                },
            })
            .collect())
    };
    from_store(backlog, read).await
}

/// Asks the store for something, on a thread that may wait.
pub(super) async fn from_store<T: Send + 'static>(
    backlog: &Arc<Backlog>,
    read: impl FnOnce(&Backlog) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Denied> {
    let own = Arc::clone(backlog);
    let read = tokio::task::spawn_blocking(move || read(&own)).await;
    let read = read.map_err(|_| Code::InternalError);
    read.map_err(Refusal::from)?.map_err(unavailable)
}

/// The reason why a delivery cannot be sent, if its content cannot be had. A store that does not answer
/// gives none.
pub(super) async fn unreadable(backlog: &Backlog, number: Number) -> Option<Unreadable> {
    match backlog.content(number).await {
        Ok(Some(content)) if StoredHead::read(&content.head).is_none() => Some(Unreadable::Changed),
        Err(StoreError::Content(why)) => Some(why),
        Ok(_) | Err(_) => None,
    }
}

/// The route of a delivery, its event and when it came, for the log.
pub(super) fn whose(backlog: &Backlog, found: &Listed, event: Option<&Event>) -> String {
    let delivery = &found.delivery;
    let route = backlog.name(delivery.route);
    let route = route.as_deref().unwrap_or("-");
    format!("route {route}, {}", in_words(event, delivery.id.received()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is called by `map_err`")]
pub(super) fn unavailable(error: StoreError) -> Denied {
    log::error!("the queue: {error}");
    Refusal::from(Code::QueueUnavailable).into()
}
