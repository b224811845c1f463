//! The queue's workers: what is due is read, built by the configuration in force, sent by the code
//! that forwards every request, and what became of it is written down (contract: Queue).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use crate::clock::Now;
use crate::gateway::exchange::attempt;
use crate::gateway::exchange::deliver;
use crate::gateway::exchange::deliver::Delivered;
use crate::gateway::exchange::stored::{StoredHead, in_words};
use crate::gateway::running::Running;
use crate::gateway::running::backlog::{Backlog, Made};
use crate::gateway::running::body_rooms::BodyRoom;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward::{ForwardError, Response};
use crate::queue::{BreakerTurn, DeadReason, Lease, Next, Outcome, PauseTurn, retry_after};
use crate::store::sealing::Unreadable;
use crate::store::{Content, StoreError};
use crate::telemetry::{Outcome as Seen, Queued, Record, RequestId};
use crate::verdict::Refusal;
use crate::verify::envelope::Event;

/// The most bytes of an answer that are read so that its connection can be used again.
const MOST_OF_AN_ANSWER: u64 = 64 * 1024;

/// The longest sleep: the wall clock, by which attempts are due, may step.
const AT_MOST: Duration = Duration::from_secs(1);

/// The pause before a delivery is tried that the store did not give.
const AFTER_THE_STORE: Duration = Duration::from_secs(1);

/// The pause before a delivery is tried whose account has enough memory already.
const WITHOUT_ROOM: Duration = Duration::from_millis(500);

/// The longest time for which the rest of an answer is read.
const MOST_OF_ITS_TIME: Duration = Duration::from_secs(1);

/// Delivers what is due until the gateway stops. Each attempt is a task of its own.
pub(crate) async fn run(
    running: Arc<Running>,
    backlog: Arc<Backlog>,
    mut stopping: watch::Receiver<bool>,
) {
    while !*stopping.borrow() {
        let now = running.clock.now();
        match backlog.next(now) {
            Next::Try(lease) => {
                let held = Held {
                    running: Arc::clone(&running),
                    backlog: Arc::clone(&backlog),
                    lease,
                    outcome: Outcome::GivenBack,
                    event: None,
                    made: None,
                };
                tokio::spawn(attempt(held));
            }
            Next::Wait(until) => {
                let until = until.unwrap_or(Duration::MAX).min(now.mono + AT_MOST);
                tokio::select! {
                    () = backlog.wake.notified() => {}
                    () = sleep_until(running.instant(until)) => {}
                    _ = stopping.changed() => {}
                }
            }
        }
    }
}

/// Takes dead letters out of the queue that were kept long enough, and says which. It reads and waits.
pub(crate) fn end_dead_letters(backlog: &Backlog, now: Now) {
    backlog.expire(now, |expired, head| {
        let stored = head.and_then(|head| StoredHead::read(head));
        let name = backlog.name(expired.route);
        log::info!(
            "route {}, {}: the dead delivery {} was kept for `keep_dead` and is gone",
            name.as_deref().unwrap_or("-"),
            in_words(
                stored.as_ref().map(|stored| &stored.event),
                expired.id.received()
            ),
            expired.id
        );
    });
}

/// A delivery that is being tried. When it is dropped, what became of the attempt is written down: the
/// outcome that it was given, or that there is none, as after a panic.
struct Held {
    running: Arc<Running>,
    backlog: Arc<Backlog>,
    lease: Lease,
    outcome: Outcome,
    /// Its event, once its head was read.
    event: Option<Event>,
    /// What is remembered of the attempt, once it was made.
    made: Option<Made>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self {
            running,
            backlog,
            lease,
            outcome,
            event,
            made,
        } = self;
        let now = running.clock.now();
        let cause = made.as_ref().and_then(|made| made.cause.clone());
        let ended = backlog.ended(lease, *outcome, made.take(), now);
        let snapshot = running.snapshot.load();
        let route = snapshot.queued_route(lease.route);
        // A reload may have removed the route meanwhile.
        let former = route.is_none().then(|| backlog.name(lease.route)).flatten();
        let name = route.map_or(former.as_deref(), |route| Some(&*route.name));
        let name = name.unwrap_or("-");
        // Damage was told where it was found.
        if let Some(reason) = ended.dead.filter(|reason| *reason != DeadReason::Damaged) {
            log::warn!(
                "route {name}, {}: the delivery {id} is dead after attempt {}: {}; `verigate queue show {id}` has \
                 the attempts, `verigate queue retry {id}` tries it again",
                in_words(event.as_ref(), lease.id.received()),
                lease.attempt,
                why_dead(reason, *outcome, cause.as_deref()),
                id = lease.id,
            );
        }
        // The breaker speaks of what it counts, and a dead delivery has a line of its own.
        if let (Outcome::Status(status, _), Some(route), None) = (*outcome, route, ended.dead)
            && !matches!(status, 200..=299 | 429 | 502..=504)
        {
            let max_age = route.config.queue.max_age;
            running.warnings.refusing(name, status, max_age, now);
        }
        match ended.breaker {
            Some(BreakerTurn::Opened) => {
                let did = did("it", *outcome, cause.as_deref());
                let did = did.map_or_else(String::new, |did| format!(" ({did})"));
                log::warn!(
                    "route {name}: the app does not take deliveries{did}; from now on it is probed, and the others \
                     wait"
                );
            }
            Some(BreakerTurn::Closed) => log::info!("route {name}: the app takes deliveries again"),
            None => {}
        }
        match ended.pause {
            Some(PauseTurn::Began(time)) => {
                log::info!("route {name}: the app asks for a pause of {time:?}");
            }
            Some(PauseTurn::Ended) | None => {}
        }
    }
}

/// What the app did, or why there was no answer; `None` where nothing is known of it. `who` is the app in
/// words.
fn did(who: &str, outcome: Outcome, cause: Option<&str>) -> Option<String> {
    match outcome {
        Outcome::Status(status, _) => Some(format!("{who} answered {status}")),
        _ => cause.map(str::to_owned),
    }
}

/// Why a delivery is dead, in words.
fn why_dead(reason: DeadReason, outcome: Outcome, cause: Option<&str>) -> String {
    let did = did("the app", outcome, cause);
    let did = did.unwrap_or_else(|| "there was no answer".to_owned());
    match reason {
        DeadReason::Status => format!("{did}, which `dead_on` lists"),
        DeadReason::Age => format!("{did}, and the delivery is older than `max_age`"),
        DeadReason::Damaged => "it is not what was accepted".to_owned(),
    }
}

/// Tries a delivery once.
async fn attempt(mut held: Held) {
    let Some((content, room)) = read(&mut held).await else {
        return;
    };
    let Some(stored) = StoredHead::read(&content.head) else {
        damaged(&mut held, &"its head is none");
        return;
    };
    held.event = Some(stored.event.clone());
    let snapshot = held.running.snapshot.load_full();
    // A reload may have removed the route since the attempt became due.
    let Some(route) = snapshot.queued_route(held.lease.route) else {
        return;
    };
    let (outcome, made, answer) = send(&held, route, &stored, &content).await;
    held.outcome = outcome;
    held.made = Some(made);
    // The status line decides. What follows holds neither the delivery nor its memory.
    drop((held, content, room));
    if let Some(mut answer) = answer {
        let _ = timeout(MOST_OF_ITS_TIME, finish(&mut answer)).await;
    }
}

/// The content of a delivery, within the memory for bodies that are read. Without it the delivery is
/// tried later.
async fn read(held: &mut Held) -> Option<(Content, BodyRoom)> {
    let Some(room) = held.backlog.room(&held.lease).await else {
        held.outcome = Outcome::Postponed(WITHOUT_ROOM);
        return None;
    };
    match held.backlog.read(&held.lease).await {
        Ok(Some(content)) => return Some((content, room)),
        Ok(None) => hold(held, &"it is not in queue.db any more"),
        Err(error @ StoreError::Damaged(_)) => hold(held, &error),
        Err(StoreError::Content(why @ (Unreadable::Changed | Unreadable::Plain))) => {
            damaged(held, &why);
        }
        Err(StoreError::Content(why @ Unreadable::NoKey(_))) => {
            let words = format!("{} cannot be read and is held: {why}", named(held));
            let now = held.running.clock.now();
            held.running.warnings.unreadable(&words, now);
            held.outcome = Outcome::Undeliverable;
        }
        Err(error @ StoreError::Unavailable(_)) => {
            held.running
                .warnings
                .store(&error, held.running.clock.now());
            held.outcome = Outcome::Postponed(AFTER_THE_STORE);
        }
    }
    None
}

/// Keeps a delivery that cannot be read: a disk that failed may give it later.
fn hold(held: &mut Held, why: &dyn std::fmt::Display) {
    let id = held.lease.id;
    log::error!(
        "{} cannot be read and is held: {why}. Look at the disk (`verigate state check` names damage of the \
         file). A reload, a restart or `verigate queue retry {id}` tries it again",
        named(held)
    );
    held.outcome = Outcome::Undeliverable;
}

/// Says that a delivery is damaged, and has that remembered beside its attempts. It is never sent: who
/// changed it may have written it.
fn damaged(held: &mut Held, why: &dyn std::fmt::Display) {
    log::error!(
        "{} is damaged on disk: it is dead, and was not sent: {why}",
        named(held)
    );
    held.outcome = Outcome::Damaged;
    held.made = Some(Made {
        began: held.running.clock.now().wall,
        took: Duration::ZERO,
        cause: Some(why.to_string()),
    });
}

/// The delivery with its route, at the beginning of a message.
fn named(held: &Held) -> String {
    let Lease { route, id, .. } = held.lease;
    let name = held.backlog.name(route);
    format!(
        "route {}: the delivery {id}",
        name.as_deref().unwrap_or("-")
    )
}

/// Sends the request of an attempt, writes its log line, and warns where there was no answer. Returns
/// what is remembered of it, too, and the answer.
async fn send(
    held: &Held,
    route: &RouteState,
    stored: &StoredHead,
    content: &Content,
) -> (Outcome, Made, Option<Response>) {
    let Held { running, lease, .. } = held;
    let began = running.clock.now();
    let request = attempt::request(
        running,
        route,
        stored,
        &content.body,
        lease.id,
        lease.attempt,
    )
    .await;
    let mut delivered = deliver::deliver(running, route, &request, began.mono).await;
    let at = delivered.at;
    let outcome = outcome(delivered.response(), at);
    note(
        held,
        route,
        stored,
        began,
        &mut delivered,
        content.body.len(),
    );
    let upstream = route.upstreams.label(delivered.upstream());
    let cause = delivered.response().as_ref().err().map(|error| {
        let warnings = &running.warnings;
        warnings.upstream(&route.name, upstream, error, at);
        format!("{upstream}: {error}")
    });
    let made = Made {
        began: began.wall,
        took: at.mono.saturating_sub(began.mono),
        cause,
    };
    (outcome, made, delivered.into_response())
}

/// Reads the rest of a short answer, so that its connection can be used again.
async fn finish(response: &mut Response) {
    let mut left = MOST_OF_AN_ANSWER;
    while let Ok(Some(piece)) = response.next().await {
        left = left.saturating_sub(piece.len() as u64);
        if left == 0 {
            return;
        }
    }
}

/// What an answer, or the lack of one, means for the schedule.
fn outcome(response: &Result<Response, ForwardError>, at: Now) -> Outcome {
    match response {
        Ok(response) => {
            let mut lines = response.head.fields();
            let after = lines.find(|line| line.name.eq_ignore_ascii_case(b"retry-after"));
            let asked = after.and_then(|line| retry_after(line.value, at.wall));
            Outcome::Status(response.head.status(), asked)
        }
        Err(ForwardError::Unreachable(_)) => Outcome::Unreachable,
        Err(ForwardError::Late | ForwardError::Unfinished | ForwardError::Untaken) => {
            Outcome::Timeout
        }
        Err(ForwardError::Failed(_)) => Outcome::Failed,
    }
}

/// The log line of an attempt, with the id of the request that brought the delivery.
fn note(
    held: &Held,
    route: &RouteState,
    stored: &StoredHead,
    began: Now,
    delivered: &mut Delivered,
    body_bytes: usize,
) {
    let head = stored.head();
    let mut record = Record::begun(began.wall, RequestId::Given(&stored.request_id));
    record.route = Some(&route.names);
    record.client = stored.address();
    record.method = head.method();
    record.path = head.path();
    record.proved = true;
    record.secret = Some(stored.secret.as_str().into());
    record.event = Some(stored.event.clone());
    record.queued = Some(Queued {
        id: held.lease.id,
        attempt: Some(held.lease.attempt),
    });
    record.body_bytes = body_bytes as u64;
    record.total = delivered.at.mono.saturating_sub(began.mono);
    delivered.note(&mut record);
    record.outcome = match delivered.response() {
        Ok(response) if (200..300).contains(&response.head.status()) => Seen::Forwarded,
        Err(ForwardError::Late) => Seen::UpstreamTimeout,
        _ => Seen::UpstreamFailed,
    };
    if let Err(error) = delivered.response() {
        record.reason = Some(Refusal::from(error.code()).why);
    }
    held.running.telemetry.attempted(&route.metrics, &record);
}
