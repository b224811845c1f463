//! Plans (contract: Queue): deliveries that an operator has chosen to retry or to discard. What a plan
//! holds is fixed when it is made, so that it does what was shown, and to nothing that came since.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep_until;

use super::chosen::Chosen;
use super::filter::Routes;
use super::heads::{heads, whose};
use super::plan_routes::{OfName, PAGE, PlanState, of_names};
use crate::clock::{Now, UnixMillis};
use crate::config::units::written_moment;
use crate::gateway::client::answer::Denied;
use crate::gateway::running::Running;
use crate::gateway::running::backlog::Backlog;
use crate::queue::{ByHand, Filter, Number, Rate, RouteNumber, State};
use crate::store::Pending;
use crate::verdict::{Code, Refusal};
use crate::verify::envelope::Event;

/// The time for which a plan can be begun, and for which the end of one is known.
const KEPT: Duration = Duration::from_secs(600);
/// The most plans at a time, and the most deliveries of a plan: 32 MB in all.
const MOST_PLANS: usize = 8;
const MOST_DELIVERIES: usize = 500_000;
/// The longest time for which a plan that waits for its rate does not look whether it is to end.
const LOOK_EACH: Duration = Duration::from_millis(200);
/// The deliveries between two waits for the store.
const BATCH: usize = 64;

/// What is done with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Retry,
    Discard,
}

/// What is written down about a delivery.
pub(super) type Stored = Pending<()>;

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// Does it with a delivery. What comes back is to be waited for.
    ///
    /// # Errors
    /// There is no such delivery, or it is in flight.
    pub(super) fn carry_out(
        self,
        backlog: &Backlog,
        number: Number,
        now: Now,
    ) -> Result<Stored, Denied> {
        let mut queue = backlog.queue();
        let done = match self {
            Self::Retry => queue.retry(number, now),
            Self::Discard => queue.discard(number, now),
        };
        match done {
            ByHand::Done(change) => Ok(backlog.change(&queue, number, change)),
            ByHand::InFlight => Err(Denied::DeliveryInFlight(
                "the delivery is being tried; ask again when that has ended",
            )),
            ByHand::Unknown => Err(Denied::UnknownDelivery),
        }
    }
}

/// All plans of a gateway.
#[derive(Default)]
pub(super) struct Plans {
    // A plain lock: it is held for a look, and for one delivery of a plan.
    plans: Mutex<BTreeMap<String, Plan>>,
}

/// A plan.
struct Plan {
    numbers: Arc<[Number]>,
    state: PlanState,
    action: Option<Action>,
    /// The filter's state: what has left it since is passed over.
    wanted: Option<State>,
    done: usize,
    skipped: usize,
    oldest: Option<UnixMillis>,
    newest: Option<UnixMillis>,
    is_cut: bool,
    /// Its routes, each with the number of its deliveries.
    routes: BTreeMap<RouteNumber, usize>,
    /// The monotonic time at which it is forgotten, unless it runs.
    until: Duration,
}

impl Plan {
    fn shown(&self, id: &str, routes: &BTreeMap<Arc<str>, OfName>) -> Value {
        let moment = |at: Option<UnixMillis>| at.map(written_moment);
        let removed = routes.iter().filter(|(_, of)| of.is_removed);
        json!({
            "plan": id,
            "state": self.state.name(),
            "action": self.action.map(Action::name),
            "deliveries": self.numbers.len(),
            "more": self.is_cut,
            "oldest": moment(self.oldest),
            "newest": moment(self.newest),
            "routes": routes.iter().map(|(name, of)| of.shown(name)).collect::<Vec<_>>(),
            "removed_routes": removed.map(|(name, _)| &**name).collect::<Vec<_>>(),
            "done": self.done,
            "skipped": self.skipped,
        })
    }
}

impl Plans {
    fn plans(&self) -> MutexGuard<'_, BTreeMap<String, Plan>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fixes the deliveries that a filter finds now. Returns the plan's id.
    ///
    /// # Errors
    /// There are too many plans.
    pub(super) async fn make(
        &self,
        backlog: &Backlog,
        filter: &Filter,
        routes: &Routes,
        now: Now,
    ) -> Result<String, Denied> {
        let (mut chosen, mut after) = (Chosen::default(), None);
        loop {
            let page = backlog.queue().list(filter, after, PAGE, now);
            let found = page.deliveries.iter().map(|one| &one.delivery);
            for delivery in found.filter(|delivery| routes.has(delivery.route)) {
                chosen.add(delivery, MOST_DELIVERIES);
            }
            after = page.next;
            if after.is_none() || chosen.is_cut {
                break;
            }
            tokio::task::yield_now().await;
        }
        let plan = Plan {
            routes: chosen.routes,
            numbers: chosen.numbers.into(),
            state: PlanState::Planned,
            action: None,
            wanted: filter.state,
            done: 0,
            skipped: 0,
            oldest: chosen.oldest,
            newest: chosen.newest,
            is_cut: chosen.is_cut,
            until: now.mono + KEPT,
        };
        let id = id()?;
        let mut plans = self.plans();
        forget_old(&mut plans, now);
        if plans.len() >= MOST_PLANS {
            // One that was never begun, or has ended, is of less use than this one.
            let idle = plans
                .iter()
                .filter(|(_, plan)| plan.state != PlanState::Running);
            let oldest = idle.min_by_key(|(_, plan)| plan.until);
            let oldest = oldest.map(|(id, _)| id.clone());
            plans.remove(&oldest.ok_or(Denied::TooManyPlans)?);
        }
        plans.insert(id.clone(), plan);
        Ok(id)
    }

    /// How far a plan is, and which of its deliveries are not tried by now.
    ///
    /// # Errors
    /// There is none of this id.
    pub(super) async fn shown(
        &self,
        id: &str,
        backlog: &Arc<Backlog>,
        now: Now,
    ) -> Result<Value, Denied> {
        // A plan that begins or ends meanwhile is looked at again: what is said of a state is of that state.
        loop {
            let (numbers, of_routes, state) = {
                let mut plans = self.plans();
                forget_old(&mut plans, now);
                let plan = plans.get(id).ok_or(Denied::UnknownPlan)?;
                (Arc::clone(&plan.numbers), plan.routes.clone(), plan.state)
            };
            let routes = of_names(backlog, (&numbers, state), of_routes).await?;
            let plans = self.plans();
            let plan = plans.get(id).ok_or(Denied::UnknownPlan)?;
            if plan.state == state {
                return Ok(plan.shown(id, &routes));
            }
        }
    }

    /// Ends a plan: nothing more is done by it. Returns whether it had not ended before.
    ///
    /// # Errors
    /// There is none of this id.
    pub(super) fn cancel(&self, id: &str) -> Result<bool, Denied> {
        let mut plans = self.plans();
        let plan = plans.get_mut(id).ok_or(Denied::UnknownPlan)?;
        let goes_on = !matches!(plan.state, PlanState::Done | PlanState::Cancelled);
        if goes_on {
            plan.state = PlanState::Cancelled;
        }
        Ok(goes_on)
    }

    /// Begins a plan, which goes on by itself. A plan runs once.
    ///
    /// # Errors
    /// There is none of this id, or it was begun before.
    pub(super) fn run(
        self: &Arc<Self>,
        id: &str,
        action: Action,
        rate: Option<Rate>,
        running: Arc<Running>,
        backlog: Arc<Backlog>,
    ) -> Result<(), Denied> {
        let mut plans = self.plans();
        forget_old(&mut plans, running.clock.now());
        let plan = plans.get_mut(id).ok_or(Denied::UnknownPlan)?;
        if plan.state != PlanState::Planned {
            return Err(Denied::PlanUsed);
        }
        plan.state = PlanState::Running;
        plan.action = Some(action);
        let run = Run {
            plans: Arc::clone(self),
            id: id.to_owned(),
            numbers: Arc::clone(&plan.numbers),
            wanted: plan.wanted,
            action,
            rate,
            running,
            backlog,
            is_over: false,
        };
        // Where the gateway ends, it is dropped at once, and looks for its plan.
        drop(plans);
        tokio::spawn(run.go_on());
        Ok(())
    }
}

/// A plan that runs.
struct Run {
    plans: Arc<Plans>,
    id: String,
    numbers: Arc<[Number]>,
    wanted: Option<State>,
    action: Action,
    rate: Option<Rate>,
    running: Arc<Running>,
    backlog: Arc<Backlog>,
    /// Whether it has come to its end, and is not dropped before because the gateway ends.
    is_over: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_over {
            self.end();
        }
    }
}

impl Run {
    async fn go_on(mut self) {
        let begun = self.running.clock.mono();
        let mut pending = Vec::new();
        let mut events = Vec::new();
        for (place, number) in self.numbers.iter().enumerate() {
            if let Some(rate) = self.rate {
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                let due = begun + (rate.per / rate.count.max(1)).saturating_mul(place);
                self.wait_until(due).await;
            }
            if place.is_multiple_of(BATCH) {
                events = self.events(place).await;
            }
            if !self.is_running() {
                break;
            }
            let event = events.get(place % BATCH).and_then(Option::as_ref);
            let done = self.step(*number, event);
            let is_done = done.is_some();
            pending.extend(done);
            self.note(is_done);
            if pending.len() >= BATCH {
                self.wait_for(&mut pending).await;
            }
        }
        self.wait_for(&mut pending).await;
        self.is_over = true;
        self.end();
    }

    /// Says how far the plan has come.
    fn end(&self) {
        let now = self.running.clock.mono();
        let mut plans = self.plans.plans();
        let Some(plan) = plans.get_mut(&self.id) else {
            return;
        };
        let mut why = "";
        let is_whole = plan.done + plan.skipped == self.numbers.len();
        if plan.state == PlanState::Running && is_whole {
            plan.state = PlanState::Done;
        } else if plan.state == PlanState::Running {
            plan.state = PlanState::Cancelled;
            why = ", and the rest is left: make a new plan for it";
        }
        plan.until = now + KEPT;
        let (done, skipped) = (plan.done, plan.skipped);
        let (id, action, state) = (&self.id, self.action.name(), plan.state.name());
        log::info!(
            "queue: the plan {id} ({action}) is {state}: {done} done, {skipped} passed over{why}"
        );
    }

    /// Waits until this time of the monotonic clock, or until the plan is to end.
    async fn wait_until(&self, due: Duration) {
        let mut now = self.running.clock.mono();
        while now < due && self.is_running() {
            let next = due.min(now + LOOK_EACH);
            sleep_until(self.running.instant(next)).await;
            now = self.running.clock.mono();
        }
    }

    /// The events of the next deliveries, for the log; `None` for one that cannot be read.
    async fn events(&self, from: usize) -> Vec<Option<Event>> {
        if self.action != Action::Discard {
            return Vec::new();
        }
        let next = self.numbers.iter().skip(from).take(BATCH).copied();
        let heads = heads(&self.backlog, next.collect()).await;
        let heads = heads.unwrap_or_default().into_iter();
        heads.map(|head| Some(head.ok()??.event)).collect()
    }

    /// Does one delivery; `None`: it is passed over.
    fn step(&self, number: Number, event: Option<&Event>) -> Option<Stored> {
        let now = self.running.clock.now();
        let found = self.backlog.queue().get(number, now)?;
        let is_as_planned = self
            .wanted
            .is_none_or(|state| found.delivery.progress.state == state);
        if !is_as_planned {
            return None;
        }
        let stored = self.action.carry_out(&self.backlog, number, now).ok()?;
        if self.action == Action::Discard {
            let id = found.delivery.id;
            log::info!(
                "{}: the delivery {id} was discarded by the plan {}",
                whose(&self.backlog, &found, event),
                self.id
            );
        }
        Some(stored)
    }

    /// Waits until the store has what was done, so that no plan fills the memory.
    async fn wait_for(&self, pending: &mut Vec<Stored>) {
        for stored in pending.drain(..) {
            if let Err(error) = self.backlog.stored(stored).await {
                self.running
                    .warnings
                    .store(&error, self.running.clock.now());
            }
        }
    }

    fn is_running(&self) -> bool {
        let plans = self.plans.plans();
        let plan = plans.get(&self.id);
        plan.is_some_and(|plan| plan.state == PlanState::Running) && !self.running.is_leaving()
    }

    fn note(&self, is_done: bool) {
        if let Some(plan) = self.plans.plans().get_mut(&self.id) {
            plan.done += usize::from(is_done);
            plan.skipped += usize::from(!is_done);
        }
    }
}

fn forget_old(plans: &mut BTreeMap<String, Plan>, now: Now) {
    plans.retain(|_, plan| plan.state == PlanState::Running || plan.until > now.mono);
}

fn id() -> Result<String, Denied> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::from(Code::InternalError))?;
    let mut id = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}
