//! The queue's part of the tour: the receiver goes down, deliveries are acknowledged and wait, it
//! comes up again and gets them; and one that it refuses is retried by hand.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::receiver::{Receiver, Seen};
use super::tour::{Visit, ask, body, post, signed, verdict};
use crate::cli::queue::Client;
use crate::clock::Clock;
use crate::key::secret::Secret;
use crate::scheme::Scheme;

/// The route that acknowledges first and delivers later.
pub(super) const PATH: &str = "/webhooks/queued";

/// The longest wait for a step.
const LIMIT: Duration = Duration::from_secs(20);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The events that come while the receiver is down.
const WAITING: [u32; 3] = [21, 22, 23];

/// The event that the receiver refuses.
const POISON: u32 = 24;

/// What the tour is made with.
pub(super) struct Means<'m> {
    /// The address of the gateway.
    pub(super) gateway: SocketAddr,
    /// Its admin port.
    pub(super) admin: Client,
    /// The scheme and the secret of the route.
    pub(super) scheme: &'m Scheme,
    pub(super) secret: &'m Secret,
}

/// Takes every step.
pub(super) fn travel(means: &Means<'_>, receiver: &mut Receiver) -> anyhow::Result<Vec<Visit>> {
    let mut visits = Vec::new();
    let mut visit = |cells: [&str; 5], as_expected: bool| {
        let cells = cells.map(str::to_owned);
        visits.push(Visit { cells, as_expected });
    };
    let before = receiver.seen().len();
    let seen = |receiver: &Receiver| receiver.seen().split_off(before);

    receiver.take_down();
    let mut first = Vec::new();
    let mut answers = Vec::new();
    for event in WAITING {
        let request = means.request(event)?;
        answers.push(ask(means.gateway, &request)?);
        if first.is_empty() {
            first = request;
        }
    }
    let all_queued = answers.iter().all(is_queued);
    let (status, _) = answers.first().context("nothing was sent")?;
    let waiting = means.wait_for("3 retrying")?;
    visit(
        [
            "acknowledged",
            "three deliveries while the receiver is down",
            &status.to_string(),
            &waiting,
            &saw(&seen(receiver)),
        ],
        all_queued && waiting == "3 retrying" && seen(receiver).is_empty(),
    );

    let (status, answer) = ask(means.gateway, &first)?;
    let verdict = verdict(&answer);
    visit(
        [
            "replayed",
            "the first of them again",
            &format!("{status} {verdict}"),
            &means.held()?,
            &saw(&seen(receiver)),
        ],
        (status, verdict.as_str()) == (409, "replayed_event") && seen(receiver).is_empty(),
    );

    receiver.bring_up()?;
    let left = means.wait_for(NOTHING)?;
    let arrived = seen(receiver);
    let is_each = WAITING.iter().all(|event| has(&arrived, *event));
    visit(
        [
            "delivered",
            "the receiver is up again",
            "-",
            &left,
            &saw(&arrived),
        ],
        left == NOTHING && is_each && arrived.len() == WAITING.len(),
    );

    receiver.refuse(Some(event_id(POISON)));
    let answer = ask(means.gateway, &means.request(POISON)?)?;
    let dead = means.wait_for("1 dead")?;
    let refused = receiver.refused();
    let arrived = seen(receiver);
    visit(
        [
            "poisoned",
            "one that the receiver answers with 410",
            &answer.0.to_string(),
            &dead,
            if refused == 1 {
                "and refused it"
            } else {
                "something else"
            },
        ],
        is_queued(&answer) && dead == "1 dead" && refused == 1 && arrived.len() == WAITING.len(),
    );

    receiver.refuse(None);
    means.retry_the_dead()?;
    let left = means.wait_for(NOTHING)?;
    let arrived = seen(receiver).split_off(WAITING.len());
    visit(
        [
            "retried",
            "by hand, once the receiver is mended",
            "-",
            &left,
            &saw(&arrived),
        ],
        left == NOTHING && arrived.len() == 1 && has(&arrived, POISON),
    );
    Ok(visits)
}

const NOTHING: &str = "nothing";

impl Means<'_> {
    /// A delivery of an event, signed now.
    fn request(&self, event: u32) -> anyhow::Result<Vec<u8>> {
        let (body, now) = (body(event), Clock::system().now().wall);
        let headers = signed(PATH, &body, now, self.scheme, self.secret)?;
        Ok(post(PATH, &headers, body.len(), &body))
    }

    fn deliveries(&self) -> anyhow::Result<Vec<Value>> {
        let listed = self.admin.get("/queue")?;
        let deliveries = listed.get("deliveries").and_then(Value::as_array);
        deliveries
            .cloned()
            .context("the gateway does not list its queue")
    }

    /// What the queue holds, in words.
    fn held(&self) -> anyhow::Result<String> {
        let deliveries = self.deliveries()?;
        let states = deliveries.iter().map(|one| one.get("state"));
        let mut states: Vec<_> = states.map(|state| state.and_then(Value::as_str)).collect();
        states.sort_unstable();
        let groups = states.chunk_by(|one, other| one == other);
        let words: Vec<String> = groups
            .filter_map(|group| Some(format!("{} {}", group.len(), group.first()?.unwrap_or("?"))))
            .collect();
        Ok(if words.is_empty() {
            NOTHING.to_owned()
        } else {
            words.join(", ")
        })
    }

    /// Waits until the queue holds this, and says what it holds then.
    fn wait_for(&self, wanted: &str) -> anyhow::Result<String> {
        let clock = Clock::system();
        let begun = clock.now().mono;
        loop {
            let held = self.held()?;
            if held == wanted || clock.now().mono.saturating_sub(begun) > LIMIT {
                return Ok(held);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Retries a dead delivery, as `verigate queue retry ID` does.
    fn retry_the_dead(&self) -> anyhow::Result<()> {
        let deliveries = self.deliveries()?;
        let dead = deliveries.first().and_then(|one| one.get("delivery_id"));
        let dead = dead.context("no delivery is dead")?;
        self.admin
            .post("/queue/retry", &json!({"delivery_id": dead}))?;
        Ok(())
    }
}

fn is_queued((status, answer): &(u16, String)) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    *status == 200 && answer.get("queued") == Some(&Value::Bool(true))
}

fn event_id(event: u32) -> String {
    let body: Value = serde_json::from_str(&body(event)).unwrap_or_default();
    let id = body.get("event_id").and_then(Value::as_str);
    id.unwrap_or_default().to_owned()
}

/// Whether an event arrived as it was sent.
fn has(seen: &[Seen], event: u32) -> bool {
    let sent = body(event);
    seen.iter().any(|one| one.body == sent.as_bytes())
}

fn saw(seen: &[Seen]) -> String {
    match seen {
        [] => NOTHING.to_owned(),
        [one] => format!("{} {}", one.event_type, one.event_id),
        more => format!("{} deliveries", more.len()),
    }
}
