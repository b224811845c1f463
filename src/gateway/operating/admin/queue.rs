//! `/queue` on the admin port: what waits, and what an operator does with it (contract: Queue).
//!
//! The queue's lock is never held for long: a search takes it anew for each ten thousand deliveries,
//! and a plan for each delivery.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::filter::{Asked, USAGE_FILTER, numbers};
use super::heads::{from_store, heads, unavailable, unreadable, whose};
use super::masked::masked_head;
use super::plans::{Action, Plans};
use super::waiting;
use crate::clock::{Now, UnixMillis};
use crate::config::units::written_moment;
use crate::gateway::client::answer::{Answer, Denied};
use crate::gateway::exchange::stored::StoredHead;
use crate::gateway::operating::shown_peer;
use crate::gateway::running::Running;
use crate::gateway::running::backlog::Backlog;
use crate::queue::{Attempt, AttemptEnd, DeliveryId, Listed, Number, Probe, RouteStatus, State};
use crate::store::StoreError;
use crate::store::sealing::Unreadable;
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

const USAGE_COMMAND: Denied = Denied::BadRequest(
    r#"send {"plan":"ID"}, with "rate":"10/s" for a slower pace, or {"delivery_id":"ID"}"#,
);
const USAGE_ROUTE: Denied = Denied::BadRequest(r#"send {"route":"NAME"}"#);
const USAGE_PLAN: Denied = Denied::BadRequest(r#"send {"plan":"ID"}"#);

/// The pages below `/queue`.
pub(super) struct QueuePages {
    running: Arc<Running>,
    plans: Arc<Plans>,
}

/// Whether a path belongs to these pages.
pub(super) fn is_page(path: &str) -> bool {
    path == "/queue" || path.starts_with("/queue/")
}

impl QueuePages {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self {
            running,
            plans: Arc::default(),
        }
    }

    fn backlog(&self) -> Result<&Arc<Backlog>, Denied> {
        let backlog = self.running.backlog.as_ref();
        let why = "there is no queue: `[state] dir` is not set";
        backlog.ok_or_else(|| Refusal::because(Code::NoRoute, why).into())
    }

    /// Answers a request that has the token. `body` is empty for a GET.
    pub(super) async fn answer(
        &self,
        head: &Head,
        body: &[u8],
        by: &str,
    ) -> Result<Answer, Denied> {
        let backlog = self.backlog()?;
        let is_read = matches!(head.method(), "GET" | "HEAD");
        let rest = head.path().strip_prefix("/queue").unwrap_or_default();
        match rest.strip_prefix('/').unwrap_or_default() {
            "" if is_read => self.list(backlog, head.query()).await,
            "" => Err(Denied::NotAllowed("GET, HEAD")),
            "plan" | "retry" | "discard" | "cancel" | "pause" | "resume"
                if head.method() != "POST" =>
            {
                Err(Denied::NotAllowed("POST"))
            }
            "plan" => self.plan(backlog, body).await,
            "retry" => self.command(backlog, Action::Retry, body, by).await,
            "discard" => self.command(backlog, Action::Discard, body, by).await,
            "cancel" => {
                let asked = read(body, USAGE_PLAN)?;
                let id = text(&asked, "plan").ok_or(USAGE_PLAN)?;
                if self.plans.cancel(id)? {
                    log::info!("queue: the plan {id} was cancelled by {by}");
                }
                self.plan_shown(backlog, id).await
            }
            "pause" => self.pause(backlog, true, body, by).await,
            "resume" => self.pause(backlog, false, body, by).await,
            _ if !is_read => Err(Denied::NotAllowed("GET, HEAD")),
            other => match other.strip_prefix("plan/") {
                Some(id) => self.plan_shown(backlog, id).await,
                None => self.show(backlog, other, head.query(), by).await,
            },
        }
    }

    async fn list(&self, backlog: &Arc<Backlog>, query: Option<&str>) -> Result<Answer, Denied> {
        let now = self.running.clock.now();
        let asked = Asked::of_query(query.unwrap_or_default(), now.wall).ok_or(USAGE_FILTER)?;
        let routes = asked.routes(backlog)?;
        let (mut found, mut after) = (Vec::new(), asked.after);
        let next = loop {
            let left = asked.limit.saturating_sub(found.len());
            let page = backlog.queue().list(&asked.filter, after, left, now);
            let listed = page.deliveries.into_iter();
            found.extend(listed.filter(|one| routes.has(one.delivery.route)));
            after = page.next;
            if after.is_none() || found.len() >= asked.limit {
                break after;
            }
            tokio::task::yield_now().await;
        };
        let listed: Vec<_> = found.iter().map(|one| one.delivery.number).collect();
        let ends = ends(backlog, listed.clone()).await?;
        let heads = heads(backlog, listed).await?;
        let mut meant = backlog.statuses(now);
        meant.retain(|(number, _)| routes.has(*number));
        let listed = found.iter().zip(heads).zip(ends);
        let deliveries: Vec<Value> = listed
            .map(|((one, head), end)| {
                let head = head.ok().flatten();
                let own = meant.iter().find(|(of, _)| *of == one.delivery.route);
                let status = own.map(|(_, status)| status);
                Value::Object(members(backlog, one, head.as_ref(), end, status))
            })
            .collect();
        Ok(answer(&json!({
            "deliveries": deliveries,
            "next": next.map(|number| number.0),
            "routes": waiting::routes(backlog, &meant, now),
        })))
    }

    async fn show(
        &self,
        backlog: &Arc<Backlog>,
        id: &str,
        query: Option<&str>,
        by: &str,
    ) -> Result<Answer, Denied> {
        let id = DeliveryId::parse(id).ok_or(Denied::UnknownDelivery)?;
        let with_body = match query {
            None | Some("") => false,
            Some("body=1") => true,
            Some(_) => return Err(Denied::BadRequest("the one parameter here is `body=1`")),
        };
        let found = {
            let mut queue = backlog.queue();
            let now = self.running.clock.now();
            let found = queue.find(id).and_then(|number| queue.get(number, now));
            found.map(|one| {
                let status = queue.status(one.delivery.route, now);
                (one, status)
            })
        };
        let (found, status) = found.ok_or(Denied::UnknownDelivery)?;
        let number = found.delivery.number;
        let read = heads(backlog, vec![number]).await?.pop();
        let (head, unreadable) = match read {
            Some(Ok(head)) => (head, None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        let attempts = attempts(backlog, number).await?;
        let end = attempts.last().map(|attempt| attempt.end);
        let history = attempts.iter().map(attempt).collect();
        let mut shown = members(backlog, &found, head.as_ref(), end, Some(&status));
        if let Some(why) = unreadable {
            shown.insert("unreadable".into(), why.into());
        }
        shown.insert("history".into(), history);
        shown.insert("bytes".into(), found.delivery.bytes.into());
        shown.insert("is_held".into(), found.is_held.into());
        if let Some(other) = found.behind {
            shown.insert("behind".into(), other.to_string().into());
        }
        if let Some(stored) = &head {
            let snapshot = self.running.snapshot.load();
            let route = snapshot.queued_route(found.delivery.route);
            let scheme = route.map(|route| &*route.config.scheme);
            let (target, headers) = masked_head(stored.head(), scheme, &stored.event);
            shown.insert("method".into(), stored.head().method().into());
            shown.insert("target".into(), target.into());
            shown.insert("headers".into(), headers.into());
            shown.insert("request_id".into(), stored.request_id.as_str().into());
            shown.insert("secret".into(), stored.secret.as_str().into());
            let client = stored.address().map(|address| address.to_string());
            shown.insert("client".into(), client.into());
        }
        if with_body {
            log::info!("queue: the body of the delivery {id} was read by {by}");
            match backlog.content(number).await {
                Ok(content) => {
                    let body = content.ok_or(Denied::UnknownDelivery)?.body;
                    // A body may be anything: text is shown as it is, all else in base64.
                    match std::str::from_utf8(&body) {
                        Ok(text) => shown.insert("body".into(), text.into()),
                        Err(_) => shown.insert("body_base64".into(), STANDARD.encode(&body).into()),
                    };
                }
                Err(why @ StoreError::Content(_)) => {
                    shown.insert("unreadable".into(), why.to_string().into());
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(answer(&Value::Object(shown)))
    }

    async fn plan(&self, backlog: &Arc<Backlog>, body: &[u8]) -> Result<Answer, Denied> {
        let now = self.running.clock.now();
        let asked = Asked::of_json(body, now.wall).ok_or(USAGE_FILTER)?;
        let routes = asked.routes(backlog)?;
        let plan = self
            .plans
            .make(backlog, &asked.filter, &routes, now)
            .await?;
        self.plan_shown(backlog, &plan).await
    }

    async fn plan_shown(&self, backlog: &Arc<Backlog>, id: &str) -> Result<Answer, Denied> {
        let now = self.running.clock.now();
        Ok(answer(&self.plans.shown(id, backlog, now).await?))
    }

    async fn command(
        &self,
        backlog: &Arc<Backlog>,
        action: Action,
        body: &[u8],
        by: &str,
    ) -> Result<Answer, Denied> {
        let asked = read(body, USAGE_COMMAND)?;
        let rate = match asked.get("rate") {
            None | Some(Value::Null) => None,
            Some(Value::String(rate)) => {
                Some(crate::config::queue::rate(rate).map_err(|_| USAGE_COMMAND)?)
            }
            Some(_) => return Err(USAGE_COMMAND),
        };
        // What is gone must not be delivered, and that process ends the attempts that it has begun.
        if action == Action::Discard && self.running.has_predecessor.load(Ordering::Acquire) {
            return Err(Denied::DeliveryInFlight(
                "the process before this one may be delivering it; ask again when that process has ended",
            ));
        }
        match (text(&asked, "plan"), text(&asked, "delivery_id")) {
            (Some(plan), None) => {
                let running = Arc::clone(&self.running);
                self.plans
                    .run(plan, action, rate, running, Arc::clone(backlog))?;
                log::info!(
                    "queue: the plan {plan} ({}) was begun by {by}",
                    action.name()
                );
                self.plan_shown(backlog, plan).await
            }
            (None, Some(id)) if rate.is_none() => {
                let id = DeliveryId::parse(id).ok_or(Denied::UnknownDelivery)?;
                let number = backlog.queue().find(id).ok_or(Denied::UnknownDelivery)?;
                let now = self.running.clock.now();
                let found = backlog.queue().get(number, now);
                let (event, unreadable) = match action {
                    Action::Discard => (heads(backlog, vec![number]).await?.pop(), None),
                    Action::Retry => (None, unreadable(backlog, number).await),
                };
                let event = event.and_then(Result::ok).flatten().map(|head| head.event);
                let stored = action.carry_out(backlog, number, now)?;
                match (action, &found) {
                    (Action::Discard, Some(found)) => {
                        let whose = whose(backlog, found, event.as_ref());
                        log::info!("{whose}: the delivery {id} was discarded by {by}");
                    }
                    _ => log::info!("queue: the delivery {id}: {} by {by}", action.name()),
                }
                backlog.stored(stored).await.map_err(unavailable)?;
                match (action, found) {
                    (Action::Retry, Some(found)) => Ok(retried(backlog, &found, unreadable, now)),
                    _ => Ok(Answer::done()),
                }
            }
            _ => Err(USAGE_COMMAND),
        }
    }

    async fn pause(
        &self,
        backlog: &Arc<Backlog>,
        is_paused: bool,
        body: &[u8],
        by: &str,
    ) -> Result<Answer, Denied> {
        let asked = read(body, USAGE_ROUTE)?;
        let route = text(&asked, "route").ok_or(USAGE_ROUTE)?;
        let numbers = numbers(backlog, route)?;
        let mode = {
            let snapshot = self.running.snapshot.load();
            let mut in_force = numbers.iter().filter_map(|of| snapshot.queued_route(*of));
            in_force.next().map(|route| route.config.mode.name())
        };
        let now = self.running.clock.now();
        // It waits until the store has it: a pause that a restart ends is none.
        let done = from_store(backlog, move |own| own.pause(&numbers, is_paused, now)).await;
        let (is_new, statuses) = done?;
        let is_due = |probe: Option<Probe>| matches!(probe, Some(Probe::At(at)) if at <= now.mono);
        let is_probed = !is_paused && statuses.iter().any(|(_, one)| is_due(one.next_probe));
        match (is_new, is_paused) {
            (true, true) => log::warn!("route {route}: paused by {by}"),
            (true, false) => log::warn!("route {route}: resumed by {by}"),
            // Nothing has changed.
            (false, true) => {
                log::info!("route {route}: to be paused by {by}: it was paused before");
            }
            (false, false) => {
                log::info!("route {route}: to be resumed by {by}: it was not paused");
            }
        }
        let mut done = json!({
            "ok": true,
            "route": route,
            "changed": is_new,
            "is_listed": statuses.iter().any(|(_, status)| status.is_listed),
            "mode": mode,
            "routes": waiting::routes(backlog, &statuses, now),
        });
        if is_probed && let Some(members) = done.as_object_mut() {
            log::info!("route {route}: the app is probed at once, as {by} asked");
            members.insert("probed".into(), true.into());
        }
        Ok(answer(&done))
    }
}

/// What is said of a delivery that was retried: why its route waits, behind which one it does, and why it
/// cannot be sent.
fn retried(backlog: &Backlog, before: &Listed, unreadable: Option<Unreadable>, now: Now) -> Answer {
    let (route, number) = (before.delivery.route, before.delivery.number);
    let (status, after) = {
        let mut queue = backlog.queue();
        (queue.status(route, now), queue.get(number, now))
    };
    let mut statuses = vec![(route, status)];
    // One that is gone by now was sent.
    statuses.retain(|_| after.is_some());
    let behind = after.and_then(|after| after.behind);
    answer(&json!({
        "ok": true,
        "routes": waiting::routes(backlog, &statuses, now),
        "behind": behind.map(|id| id.to_string()),
        "unreadable": unreadable.map(|why| why.to_string()),
        "missing_key": unreadable.and_then(Unreadable::missing_key).map(|key| key.to_string()),
    }))
}

/// The latest failed attempts of a delivery, the oldest first.
async fn attempts(backlog: &Arc<Backlog>, number: Number) -> Result<Vec<Attempt>, Denied> {
    from_store(backlog, move |backlog| backlog.attempts(number)).await
}

/// The ends of the last failed attempts of deliveries; `None` for one that was never tried.
async fn ends(
    backlog: &Arc<Backlog>,
    numbers: Vec<Number>,
) -> Result<Vec<Option<AttemptEnd>>, Denied> {
    from_store(backlog, move |backlog| backlog.last_ends(&numbers)).await
}

fn attempt(attempt: &Attempt) -> Value {
    let took = u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX);
    json!({
        "attempt": attempt.number,
        "began_at": written_moment(attempt.began),
        "took_ms": took,
        "status": attempt.end.status(),
        "error": waiting::error_of(attempt.end),
        "cause": attempt.cause,
    })
}

/// What is shown of every delivery.
fn members(
    backlog: &Backlog,
    one: &Listed,
    head: Option<&StoredHead>,
    end: Option<AttemptEnd>,
    status: Option<&RouteStatus>,
) -> Map<String, Value> {
    let delivery = &one.delivery;
    let progress = &delivery.progress;
    let event = head.map(|head| &head.event);
    let moment = |at: UnixMillis| Value::from(written_moment(at));
    let next_at = match progress.state {
        State::Dead => Value::Null,
        State::Waiting | State::Retrying => moment(progress.due),
    };
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("delivery_id", delivery.id.to_string().into());
    put("route", backlog.name(delivery.route).as_deref().into());
    put("state", progress.state.name().into());
    put("attempts", progress.attempts.into());
    put("received_at", moment(delivery.id.received()));
    put("next_at", next_at);
    put("last_status", progress.last_status.into());
    // The status of the schedule is the newer one: that of an attempt is read from the store.
    // A damaged delivery keeps the status that the app answered before.
    let is_newer = |end: &AttemptEnd| *end == AttemptEnd::Damaged || progress.last_status.is_none();
    let error = end.filter(is_newer);
    put("last_error", error.and_then(waiting::error_of).into());
    let has_heir = status.is_some_and(|status| backlog.has_heir(delivery.route, status));
    put("held_by", waiting::held_by(one, status, has_heir).into());
    put("is_in_flight", one.is_in_flight.into());
    put("is_behind", one.is_behind.into());
    put(
        "event_id",
        event.and_then(|event| event.id.as_deref()).into(),
    );
    put(
        "event_type",
        event.and_then(|event| event.event_type.as_deref()).into(),
    );
    put(
        "account",
        event.and_then(|event| event.account.as_deref()).into(),
    );
    members
}

fn answer(value: &Value) -> Answer {
    let mut answer = Answer::json(200, value.to_string());
    // What strangers sent is in it.
    answer.nosniff = true;
    answer
}

/// Who asks, for the log.
pub(super) fn asked_by(peer: Option<std::net::IpAddr>) -> String {
    format!("{} on the admin port", shown_peer(peer))
}

fn read(body: &[u8], usage: Denied) -> Result<Value, Denied> {
    let value: Value = serde_json::from_slice(body).map_err(|_| usage.clone())?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(usage)
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}
