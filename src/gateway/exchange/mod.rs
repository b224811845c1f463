//! THE file: a request from its head to its log line, as named steps in the order of the contract
//! (contract: The life of a request).
//!
//! A step lets the request pass, or ends the exchange by returning [`Ended`] as its error.
//! [`Exchange::enforce`] is the only place that knows of shadow mode. A client that leaves does not
//! cancel the exchange: nothing here watches the client while the upstream works, so that the claim
//! learns its true outcome.
//!
//! The room holds all that happens to a request, in a file for each longer step; nothing in it
//! outlives the request. It may import `client`, `upstream` and `running`. `traffic` enters it here;
//! the workers of the queue use `attempt`, `deliver` and `stored`, and the admin port reads what is
//! stored.

mod accounts;
mod admission;
pub(crate) mod attempt;
mod claiming;
pub(crate) mod deliver;
mod ended;
mod handshaking;
mod headers;
mod noting;
mod proving;
mod queueing;
mod relay;
mod resigning;
pub(crate) mod stored;
mod taking;
#[cfg(test)]
mod tests;
mod unwind;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::gateway::client::answer;
use crate::gateway::client::answer::Answer;
use crate::gateway::client::body::Body;
use crate::gateway::client::budget::Reservation;
use crate::gateway::client::origin::Origin;
use crate::gateway::client::{Client, Gone, Next};
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::{RouteState, Snapshot};
use crate::telemetry::{Outcome, Record, RequestId};
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::{Proof, Verification};
use crate::wire::head::{Expect, Framing, Head};
use admission::{Admission, Proved, RequestKind};
use ended::Ended;

/// Serves a request whose head was read: judges it, forwards it or answers it, and writes its log
/// line.
///
/// `snapshot` is the configuration that was in force when the head had come. The exchange keeps to
/// it.
pub(crate) async fn serve<C: Client>(
    running: &Running,
    snapshot: &Snapshot,
    client: &mut C,
    head: &Head,
) -> Next {
    let now = running.clock.now();
    let origin = Origin::of(
        client,
        head,
        &running.proxy_header_names,
        &snapshot.trusted_proxies,
    );
    let given_id = origin
        .trusted
        .as_ref()
        .and_then(|trusted| trusted.request_id);
    let request_id = given_id.map_or_else(|| running.request_ids.next(), RequestId::Given);
    let address = origin.address;
    let mut exchange = Exchange {
        running,
        snapshot,
        head,
        origin,
        head_share: None,
        route: None,
        shadowed: None,
        began: now,
        waited: Duration::ZERO,
        record: Record::begun(now.wall, request_id),
    };
    exchange.record.method = head.method();
    exchange.record.path = head.path();
    exchange.record.client = address;
    exchange.debug_begin();
    let ended = unwind::caught(pin!(exchange.steps(client)))
        .await
        .unwrap_or_else(|_| Err(Ended::Panicked));
    exchange.end(client, ended).await
}

/// Answers bytes that never became a request (contract: Head), and writes their log line.
pub(crate) async fn refuse<C: Client>(running: &Running, client: &mut C, refusal: Refusal) {
    let now = running.clock.now();
    let snapshot = running.snapshot.load();
    let mut record = Record::begun(now.wall, running.request_ids.next());
    record.client = client.peer();
    record.refused = Some(refusal.code);
    record.reason = Some(refusal.why);
    let answer = Answer::refusal(refusal, None);
    record.status = Some(answer.status);
    if answer::write(client, &answer, record.request_id.as_str(), now.wall, false)
        .await
        .is_err()
    {
        record.outcome = Outcome::ClientGone;
    }
    record.total = running.clock.mono().saturating_sub(now.mono);
    running.telemetry.finish(&snapshot.unrouted, &record);
}

/// A request on its way through the steps.
struct Exchange<'x> {
    running: &'x Running,
    snapshot: &'x Snapshot,
    head: &'x Head,
    origin: Origin<'x>,
    /// The head's share of the budget, where heads are charged.
    head_share: Option<Reservation>,
    route: Option<&'x RouteState>,
    /// The first refusal that shadow mode let pass.
    shadowed: Option<Refusal>,
    /// The clocks when the head had come.
    began: Now,
    /// The time for which the exchange waited for the body.
    waited: Duration,
    record: Record<'x>,
}

impl<'x> Exchange<'x> {
    /// Steps 2 to 10. `Ok` means that the client has the upstream's whole answer.
    ///
    /// The futures of large steps are pinned where they are made, here and within them: one that is
    /// awaited as a value is copied first.
    async fn steps<C: Client>(&mut self, client: &mut C) -> Result<(), Ended> {
        self.charge_head(client)?;
        let route = self.find_route()?;
        let place = self.take_place()?;
        let mut kind = self.begin(route).await?;
        if self.head.expect() == Expect::Continue {
            client.proceed().await?;
        }
        let (mut body, now) = self
            .take_body(client, route, &mut kind, place.as_ref())
            .await?;
        self.debug(format_args!("{} bytes of body", body.bytes.len()));
        let admission = self.admit(route, kind, &mut body, now).await?;
        let admission = self.store(route, admission, &body).await?;
        // Step 8: the request is made in the form in which it is sent.
        let key = admission.event_key();
        let resigned = resigning::sign(self.running, route, self.head, key, &body.bytes).await;
        let request = admission.request(
            route,
            self.head,
            &self.origin,
            self.record.request_id.as_bytes(),
            self.record.event.as_ref(),
            self.shadowed,
            resigned.as_ref(),
            &body.bytes,
        );
        // Step 9: the claim is settled as soon as its true outcome is known.
        let asked = self.judged();
        self.debug(format_args!("forwarding to {}", route.config.upstreams));
        let mut delivered = pin!(deliver::deliver(self.running, route, &request, asked)).await;
        drop(request);
        delivered.note(&mut self.record);
        self.debug(format_args!("upstream: {delivered}"));
        let (claim, settlement) = (admission.claim(), delivered.settlement());
        pin!(claiming::settle(claim, settlement, delivered.at)).await;
        drop(body);
        // Step 10: the answer is relayed.
        let response = delivered.answer()?;
        self.record.status = Some(response.head.status());
        relay::relay(
            client,
            response,
            self.record.request_id.as_bytes(),
            self.head.method() == "HEAD",
        )
        .await
    }

    /// Step 2: the route, found by host and path.
    fn find_route(&mut self) -> Result<&'x RouteState, Refusal> {
        let route = self.snapshot.find_route(self.head)?;
        self.route = Some(route);
        self.record.route = Some(&route.names);
        self.debug(format_args!(
            "route {}, provider {}",
            route.name, route.provider
        ));
        Ok(route)
    }

    /// Step 3: the judgement on the head, before the body is read.
    async fn begin(&mut self, route: &RouteState) -> Result<RequestKind, Ended> {
        if let Some(passage) = handshaking::in_head(self.running, route, self.head).await? {
            self.check_head(route)?;
            return Ok(RequestKind::Handshake(passage));
        }
        // Handshakes may come by another method than deliveries, so only deliveries are judged by
        // it.
        if !route
            .config
            .methods
            .iter()
            .any(|method| method == self.head.method())
        {
            return Err(Refusal::from(Code::MethodNotAllowed).into());
        }
        self.check_head(route)?;
        self.check_queue(route)?;
        match route.begin(self.head, self.began) {
            Err(refusal) if handshaking::may_be_in_body(route, self.head, refusal) => {
                Ok(RequestKind::Unsigned(refusal))
            }
            judged => {
                let verification = self.enforce(route, judged)?;
                self.debug(format_args!("the head may be a delivery's"));
                Ok(RequestKind::Delivery(verification))
            }
        }
    }

    /// Step 3, for deliveries and handshakes alike: refuses any expectation except `100-continue`,
    /// and a body that is declared too large.
    fn check_head(&self, route: &RouteState) -> Result<(), Refusal> {
        if self.head.expect() == Expect::Other {
            return Err(Code::ExpectationFailed.into());
        }
        match self.head.framing() {
            Framing::Length(bytes) if bytes > route.config.max_body => {
                Err(Code::BodyTooLarge.into())
            }
            _ => Ok(()),
        }
    }

    /// Steps 5 to 7: the judgement on the whole request, which gives the reason why it may be
    /// forwarded.
    async fn admit(
        &mut self,
        route: &RouteState,
        kind: RequestKind,
        body: &mut Body,
        now: Now,
    ) -> Result<Admission, Ended> {
        let running = self.running;
        if !matches!(kind, RequestKind::Handshake(_))
            && let Some(passage) =
                handshaking::in_empty_body(running, route, self.head, &body.bytes).await?
        {
            return Ok(Admission::Handshake(passage, None));
        }
        match kind {
            RequestKind::Handshake(passage) => Ok(Admission::Handshake(passage, None)),
            RequestKind::Unsigned(refusal) => {
                if let Some(passage) = handshaking::in_body(running, route, &body.bytes).await? {
                    return Ok(Admission::Handshake(passage, None));
                }
                self.enforce::<()>(route, Err(refusal))?;
                Ok(Admission::Shadow)
            }
            RequestKind::Delivery(verification) => {
                let Some(proof) = self.prove(route, verification, body, now).await? else {
                    return Ok(Admission::Shadow);
                };
                let bytes = &body.bytes;
                // A handshake that the gateway answers has no account and ends here; a handshake for the
                // app is a delivery like any other.
                let passage =
                    handshaking::in_proved(running, route, self.head, bytes, &proof).await?;
                if !self.owns(route, &proof, body).await? {
                    return Ok(Admission::Shadow);
                }
                match passage {
                    Some(passage) => Ok(Admission::Handshake(passage, Some(proof.secret))),
                    None => Ok(Admission::Proved(
                        self.identify_and_claim(route, proof, body).await?,
                    )),
                }
            }
        }
    }

    /// Step 5: the proof that the body is the signed body. `None` where shadow mode let a refusal
    /// pass.
    async fn prove(
        &mut self,
        route: &RouteState,
        verification: Option<Box<Verification>>,
        body: &mut Body,
        now: Now,
    ) -> Result<Option<Box<Proof>>, Refusal> {
        let Some(verification) = verification else {
            return Ok(None);
        };
        let client = self.origin.address;
        let judged = proving::judge(self.running, client, verification, body, now).await?;
        // A provider may send a wrong signature on purpose, to see it refused. It must see that in
        // shadow mode too.
        let probe = judged
            .as_ref()
            .err()
            .and_then(|refusal| handshaking::probe(route, &body.bytes, *refusal));
        if judged.is_err() {
            self.note_timestamp(route, Some(&body.bytes));
        }
        let proof = probe.map_or_else(|| self.enforce(route, judged), Err)?;
        if let Some(proof) = &proof {
            self.debug(format_args!("proved by the secret {}", proof.secret));
            self.record.proved = true;
            self.record.secret = Some(Arc::clone(&proof.secret));
            self.record.delivery_timestamp = proof.timestamp;
        }
        Ok(proof)
    }

    /// Steps 6 and 7: the event is read, its type is judged, and a claim on it is taken.
    async fn identify_and_claim(
        &mut self,
        route: &RouteState,
        proof: Box<Proof>,
        body: &Body,
    ) -> Result<Proved, Ended> {
        let running = self.running;
        let signed = proof.signed_body(&body.bytes);
        let turn = running.turns.aside(route.envelope.work(signed)).await;
        let found = turn.work(|| route.envelope.extract(self.head, signed, proof.claims()));
        self.record.event = self.enforce(route, found)?;
        // In shadow mode a delivery whose envelope or type was refused is forwarded all the same,
        // and nothing is claimed.
        let (mut claim, mut event_key, mut granted) = (None, None, None);
        if let Some(event) = &self.record.event {
            self.debug_event(event);
            let is_taken = route.accept(event);
            if self.enforce(route, is_taken)?.is_some() && route.config.replay.enabled {
                let claimed;
                (event_key, claimed, granted) = self.claim(route, &proof, body).await;
                claim = self.enforce(route, claimed)?;
            }
        }
        Ok(Proved {
            proof,
            event_key,
            claim,
            granted,
        })
    }

    /// Shadow mode, in the only place that knows of it. A refusal ends the exchange; in shadow mode
    /// it is recorded, and the step passes with `None`.
    fn enforce<T>(
        &mut self,
        route: &RouteState,
        judged: Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        match judged {
            Ok(passed) => Ok(Some(passed)),
            Err(refusal) if route.config.enforce => Err(refusal),
            Err(refusal) => {
                self.debug(format_args!("shadow mode lets pass: {refusal}"));
                self.shadowed.get_or_insert(refusal);
                self.note_timestamp(route, None);
                Ok(None)
            }
        }
    }

    /// Step 11: an answer if nothing was relayed, the log line, and the metrics.
    async fn end<C: Client>(&mut self, client: &mut C, ended: Result<(), Ended>) -> Next {
        if self.record.verify.is_zero() && self.route.is_some() {
            self.judged();
        }
        self.record.refused = self.shadowed.map(|refusal| refusal.code);
        self.record.reason = self.shadowed.map(|refusal| refusal.why);
        let next = match ended {
            Ok(()) => {
                self.record.outcome = Outcome::Forwarded;
                Next::KeepAlive
            }
            Err(Ended::Refused(refusal)) => self.refuse(client, refusal).await,
            Err(Ended::Answered(answer, outcome)) => {
                self.record.outcome = outcome;
                self.answer(client, &answer).await
            }
            Err(Ended::Unanswered(error)) => {
                self.failed(&error);
                let told = Refusal::from(error.code());
                self.record.reason = Some(told.why);
                let answer = Answer::refusal(told, self.route.map(|route| &route.answers));
                self.answer(client, &answer).await
            }
            Err(Ended::BrokenOff(error)) => {
                self.debug(format_args!("the answer breaks off: {error}"));
                self.failed(&error);
                Next::Abort
            }
            Err(Ended::Gone) => {
                self.record.outcome = Outcome::ClientGone;
                Next::Close
            }
            Err(Ended::Panicked) => {
                self.record.outcome = Outcome::Aborted;
                // An answer that has begun can only be broken off.
                if self.record.status.is_some() {
                    Next::Abort
                } else {
                    self.refuse(client, Code::InternalError.into()).await
                }
            }
        };
        self.note_skew();
        let mono = self.running.clock.mono();
        client.end(self.running.instant(mono));
        self.record.total = mono.saturating_sub(self.began.mono);
        self.debug_end();
        let metrics = self
            .route
            .map_or(&self.snapshot.unrouted, |route| &route.metrics);
        self.running.telemetry.finish(metrics, &self.record);
        next
    }

    /// Answers with a refusal and records it.
    async fn refuse<C: Client>(&mut self, client: &mut C, refusal: Refusal) -> Next {
        self.record.refused = Some(refusal.code);
        self.record.reason = Some(refusal.why);
        if let Some(route) = self.route {
            self.note_timestamp(route, None);
        }
        match refusal.answer {
            Code::DuplicateEvent => self.record.outcome = Outcome::Duplicate,
            Code::EventTypeIgnored => self.record.outcome = Outcome::Ignored,
            _ => {}
        }
        let answer = Answer::refusal(refusal, self.route.map(|route| &route.answers));
        self.answer(client, &answer).await
    }

    /// Writes an answer and records its status, and whether the client took it.
    async fn answer<C: Client>(&mut self, client: &mut C, answer: &Answer) -> Next {
        self.record.status = Some(answer.status);
        let wall = self.running.clock.now().wall;
        let to_head = self.head.method() == "HEAD";
        answer::write(
            client,
            answer,
            self.record.request_id.as_str(),
            wall,
            to_head,
        )
        .await
        .unwrap_or_else(|Gone| {
            self.record.outcome = Outcome::ClientGone;
            Next::Close
        })
    }

    /// Records how long the judgement took, which ends now: the time since the head had come, without
    /// the wait for the body. Returns the reading of the monotonic clock.
    fn judged(&mut self) -> Duration {
        let mono = self.running.clock.mono();
        let since = mono.saturating_sub(self.began.mono);
        self.record.verify = since.saturating_sub(self.waited);
        mono
    }
}
