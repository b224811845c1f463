//! The routes of a plan (contract: Queue): how many of its deliveries they have, and how many of these are
//! not tried whatever is done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::heads::from_store;
use crate::gateway::client::answer::Denied;
use crate::gateway::running::backlog::Backlog;
use crate::queue::{Number, RouteNumber, State};
use crate::store::sealing::KeyId;

/// The most deliveries that are looked at in one go.
pub(super) const PAGE: usize = 10_000;

/// How far a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlanState {
    Planned,
    Running,
    Done,
    Cancelled,
}

impl PlanState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The deliveries of a plan under the name of a route, which has had several providers where it is
/// several routes.
#[derive(Default)]
pub(super) struct OfName {
    deliveries: usize,
    /// Those that wait and are not tried, because the configuration in force does not have their route.
    held: usize,
    /// Those that wait and are not tried, because an operator paused their route.
    paused: usize,
    /// Those that are not sent, because their key is missing.
    unreadable: usize,
    /// The keys that these need.
    missing_keys: BTreeSet<KeyId>,
    pub(super) is_removed: bool,
}

impl OfName {
    /// The object of a route.
    pub(super) fn shown(&self, name: &str) -> Value {
        json!({
            "route": name,
            "deliveries": self.deliveries,
            "held": self.held,
            "paused": self.paused,
            "unreadable": self.unreadable,
            "missing_keys": self.missing_keys.iter().map(KeyId::to_string).collect::<Vec<_>>(),
        })
    }
}

/// What is known of those deliveries of a route that are still there.
#[derive(Default)]
struct Waiting {
    count: usize,
    unreadable: usize,
    missing_keys: BTreeSet<KeyId>,
}

/// The routes of a plan by their names. `of_routes` are the numbers of its deliveries by route. Once it has
/// begun, a dead delivery is not one that it has retried. While it runs, nobody looks for missing keys: that
/// reads.
///
/// # Errors
/// The store does not answer.
pub(super) async fn of_names(
    backlog: &Arc<Backlog>,
    (numbers, state): (&[Number], PlanState),
    of_routes: BTreeMap<RouteNumber, usize>,
) -> Result<BTreeMap<Arc<str>, OfName>, Denied> {
    let is_begun = state != PlanState::Planned;
    let mut waiting: BTreeMap<RouteNumber, Waiting> = BTreeMap::new();
    let tried = |route: &RouteNumber| backlog.queue().is_tried(*route);
    let is_all_tried = state == PlanState::Running && of_routes.keys().all(tried);
    let looked_at = if is_all_tried { &[] } else { numbers };
    for some in looked_at.chunks(PAGE) {
        let there = there(backlog, some, is_begun);
        let keys = if state == PlanState::Running {
            Vec::new()
        } else {
            missing_keys(backlog, there.iter().map(|(number, _)| *number).collect()).await?
        };
        let keys = keys.into_iter().chain(std::iter::repeat(None));
        for ((_, route), key) in there.into_iter().zip(keys) {
            let waiting = waiting.entry(route).or_default();
            waiting.count += 1;
            waiting.unreadable += usize::from(key.is_some());
            waiting.missing_keys.extend(key);
        }
        tokio::task::yield_now().await;
    }
    let mut routes: BTreeMap<Arc<str>, OfName> = BTreeMap::new();
    for (route, count) in of_routes {
        let Some(name) = backlog.name(route) else {
            continue;
        };
        let is_listed = backlog.queue().is_listed(route);
        let is_tried = backlog.queue().is_tried(route);
        let waits = waiting.remove(&route).unwrap_or_default();
        let of_name = routes.entry(name).or_default();
        of_name.deliveries += count;
        of_name.is_removed |= !is_listed;
        match (is_listed, is_tried) {
            (false, _) => of_name.held += waits.count,
            (true, false) => of_name.paused += waits.count,
            (true, true) => {}
        }
        of_name.unreadable += waits.unreadable;
        of_name.missing_keys.extend(waits.missing_keys);
    }
    Ok(routes)
}

/// Those of these deliveries that are still there, with their routes.
fn there(backlog: &Backlog, numbers: &[Number], is_begun: bool) -> Vec<(Number, RouteNumber)> {
    let queue = backlog.queue();
    let there = numbers.iter().filter_map(|number| {
        let (route, state) = queue.whose(*number)?;
        (!is_begun || state != State::Dead).then_some((*number, route))
    });
    there.collect()
}

/// The keys that are not there and that deliveries need.
async fn missing_keys(
    backlog: &Arc<Backlog>,
    numbers: Vec<Number>,
) -> Result<Vec<Option<KeyId>>, Denied> {
    from_store(backlog, move |backlog| backlog.missing_keys(&numbers)).await
}
