//! Step 8 on a route with `mode = "queue"`: a proved delivery is stored and acknowledged instead of
//! being forwarded (contract: Queue).

use std::sync::Arc;

use super::Exchange;
use super::admission::{Admission, Proved, headers_of_the_sender};
use super::ended::Ended;
use super::stored;
use super::stored::Facts;
use crate::gateway::client::answer::Answer;
use crate::gateway::client::body::Body;
use crate::gateway::running::backlog;
use crate::gateway::running::backlog::Backlog;
use crate::gateway::running::queue_of_route::QueueOfRoute;
use crate::gateway::running::snapshot::RouteState;
use crate::queue::DeliveryId;
use crate::replay::passing::Change;
use crate::telemetry::{Outcome, Queued};
use crate::verdict::Refusal;
use crate::verify::claim::EventKey;
use crate::wire::head::Framing;

impl<'x> Exchange<'x> {
    /// The queue of a route that stores its deliveries. GET and HEAD ask for an answer of the app, so
    /// they are never stored.
    pub(super) fn queue_of(
        &self,
        route: &'x RouteState,
    ) -> Option<(&'x Arc<Backlog>, &'x QueueOfRoute)> {
        let own = route.queue.as_ref().filter(|own| own.accepts)?;
        let asks = matches!(self.head.method(), "GET" | "HEAD");
        let backlog = self.running.backlog.as_ref().filter(|_| !asks)?;
        Some((backlog, own))
    }

    /// Step 3: refuses a delivery of a length for which the queue has no room.
    pub(super) fn check_queue(&self, route: &'x RouteState) -> Result<(), Refusal> {
        let Some((backlog, own)) = self.queue_of(route) else {
            return Ok(());
        };
        let length = match self.head.framing() {
            Framing::Length(bytes) => bytes,
            _ => 0,
        };
        backlog.has_room(own.number, length, self.began)
    }

    /// Stores a proved delivery. `Ok` is a delivery that is forwarded at once.
    ///
    /// # Errors
    /// The acknowledgement, which ends the exchange; `queue_full`, `queue_unavailable`.
    pub(super) async fn store(
        &mut self,
        route: &'x RouteState,
        admission: Admission,
        body: &Body,
    ) -> Result<Admission, Ended> {
        let Some((backlog, own)) = self.queue_of(route) else {
            return Ok(admission);
        };
        // Without a claim there is nothing that keeps a copy out; a queue route has one always.
        let (proof, event_key, claim, granted) = match admission {
            Admission::Proved(Proved {
                proof,
                event_key,
                claim: Some(claim),
                granted: Some(granted),
            }) => (proof, event_key, claim, granted),
            other => return Ok(other),
        };
        let event = self.record.event.as_ref();
        let signed = headers_of_the_sender(route, self.head);
        let facts = Facts {
            request_id: self.record.request_id.as_str(),
            secret: &proof.secret,
            event,
            event_key: event_key.as_ref().map(EventKey::as_bytes),
            matched: route.matched(),
        };
        let scheme = &route.config.scheme;
        let head = stored::write(self.head, &self.origin, scheme, &signed, &facts);
        let account = event.and_then(|event| event.account.as_deref());
        let mark = |text: &str| route.fingerprints.event(text);
        let (arrival, at) = granted;
        let delivery = backlog::Proved {
            route: own.number,
            head,
            body: body.bytes.clone(),
            account: account.map(mark),
            order: own
                .order_key(account, proof.signed_body(&body.bytes))
                .as_deref()
                .map(mark),
            claim: (claim, Change::Done(arrival, at)),
        };
        let clock = &self.running.clock;
        let [_, _, _, _, _, _, random @ ..] = self.running.request_ids.bytes();
        let id = DeliveryId::new(clock.now().wall, random);
        self.judged();
        backlog.accept(delivery, id, clock).await?;
        self.record.queued = Some(Queued { id, attempt: None });
        self.debug(format_args!("stored as the delivery {id}"));
        let answer = Answer::queued(route.config.queue.answer, &route.answers);
        Err(Ended::Answered(Box::new(answer), Outcome::Queued))
    }
}
