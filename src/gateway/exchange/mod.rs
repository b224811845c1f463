//! THE file: one request from its head to its log line, as named steps in the order of SPEC 2.
//!
//! Each step either lets the request pass or ends it with a [`Refusal`]. [`Exchange::enforce`] is the one place that
//! knows of shadow mode. The exchange is never cancelled by the client's departure: nothing here watches the client
//! while the upstream works, so the claim learns its true outcome.

mod claiming;
mod handshaking;
mod headers;
mod relay;
mod right;
mod unwind;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::gateway::client::answer;
use crate::gateway::client::answer::Answer;
use crate::gateway::client::body;
use crate::gateway::client::body::Body;
use crate::gateway::client::origin::Origin;
use crate::gateway::client::{Client, Gone, Next};
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::{RouteState, Snapshot};
use crate::gateway::upstream::forward;
use crate::gateway::upstream::forward::VerifiedRequest;
use crate::replay::{Claim, Settlement};
use crate::routes::Match;
use crate::scheme::handshake::Passage;
use crate::telemetry::{Outcome, Record};
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::{Proof, Verification};
use crate::wire::head::{Expect, Framing, Head};
use handshaking::Met;
use headers::Fixed;
use relay::Relayed;
use right::{Proved, Right};

/// Serves one request whose head is read: judges it, forwards it or answers it, and writes its log line.
///
/// `snapshot` is the configuration in force when the head was there: it holds to the end of the exchange.
pub(crate) async fn serve<C: Client>(running: &Running, snapshot: &Snapshot, client: &mut C, head: &Head) -> Next {
    let now = running.clock.now();
    let origin = Origin::of(client, head, &running.names, &snapshot.trusted_proxies);
    let given_id = origin.trusted.as_ref().and_then(|trusted| trusted.request_id);
    let request_id = given_id.map_or_else(|| running.request_ids.next(), str::to_owned);
    let mut exchange = Exchange {
        running,
        snapshot,
        head,
        origin,
        route: None,
        shadowed: None,
        record: Record::begun(now.wall, request_id),
    };
    exchange.record.method = head.method().to_owned();
    exchange.record.path = head.path().to_owned();
    exchange.record.client = exchange.origin.address;
    let ended = unwind::caught(exchange.run(client, now)).await.unwrap_or_else(|unwind::Panicked| {
        exchange.record.outcome = Outcome::Aborted;
        if exchange.record.status.is_some() { Ended::Torn } else { Ended::Refused(Code::InternalError.into()) }
    });
    exchange.end(client, ended, now).await
}

/// Answers what never became a request (SPEC 2.1), and writes its log line.
pub(crate) async fn refuse<C: Client>(running: &Running, client: &mut C, refusal: Refusal) {
    let now = running.clock.now();
    let snapshot = running.snapshot.load();
    let mut record = Record::begun(now.wall, running.request_ids.next());
    record.client = client.peer();
    record.refused = Some(refusal.code);
    let answer = Answer::refusal(refusal, None);
    record.status = Some(answer.status);
    if answer::write(client, &answer, &record.request_id.0, now.wall, false).await.is_err() {
        record.outcome = Outcome::ClientGone;
    }
    record.total = running.clock.mono().saturating_sub(now.mono);
    running.telemetry.finish(&snapshot.unrouted, &record);
}

/// One request on its way.
struct Exchange<'x> {
    running: &'x Running,
    snapshot: &'x Snapshot,
    head: &'x Head,
    origin: Origin<'x>,
    route: Option<Arc<RouteState>>,
    /// What would have been refused, had the route not been in shadow mode.
    shadowed: Option<Refusal>,
    record: Record,
}

/// How the steps ended.
enum Ended {
    /// The gateway answers.
    Refused(Refusal),
    /// The gateway answers a handshake.
    Answered(Box<Answer>),
    /// The upstream was asked and did not answer; the delivery itself was fine.
    Unanswered(forward::Fault),
    /// The upstream's answer was relayed, or as much of it as came.
    Relayed(Relayed),
    /// Nobody is left to answer.
    Gone,
    /// A panic in the middle of an answer: what was begun can only be broken off.
    Torn,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<body::Fault> for Ended {
    fn from(fault: body::Fault) -> Self {
        match fault {
            body::Fault::Refused(refusal) => Self::Refused(refusal),
            body::Fault::Gone => Self::Gone,
        }
    }
}

/// What the head alone has shown.
#[expect(clippy::large_enum_variant, reason = "one lives per request; a box would be an allocation for each delivery")]
enum Begun {
    /// A delivery; `None` in shadow mode, where its head was refused.
    Delivery(Option<Verification>),
    /// No signature, on a route where a handshake may stand in the body; else this is the refusal.
    Unsigned(Refusal),
    /// A handshake for the app.
    Handshake(Passage),
}

impl Exchange<'_> {
    async fn run<C: Client>(&mut self, client: &mut C, now: Now) -> Ended {
        match self.steps(client, now).await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    /// SPEC 2, from step 2 on.
    async fn steps<C: Client>(&mut self, client: &mut C, now: Now) -> Result<Ended, Ended> {
        let running = self.running;
        let route = self.find_route()?;
        let passage = match handshaking::in_head(running, &route, self.head).await? {
            Some(Met::Answered(answer)) => return Err(Ended::Answered(answer)),
            Some(Met::Passed(passage)) => Some(passage),
            None => None,
        };
        self.check_head(&route, passage.is_some())?;
        let mut begun = passage.map_or_else(|| self.begin(&route, now), |passage| Ok(Begun::Handshake(passage)))?;
        self.record.verify = self.since(now);
        if self.head.expect() == Expect::Continue && client.proceed().await.is_err() {
            return Err(Ended::Gone);
        }
        let body = self.take_body(client, &route, &mut begun).await?;
        let right = self.judge(&route, begun, &body).await?;
        let request = self.request(&route, &right, &body);
        let asked = running.clock.now();
        let deadline = running.deadline(asked, route.config.upstream_timeout);
        let response = forward::send(request, &route.upstream, deadline).await;
        let answered = running.clock.now();
        self.record.upstream = Some(Arc::clone(&route.upstream.label));
        self.record.upstream_time = Some(answered.mono.saturating_sub(asked.mono));
        self.record.upstream_status = response.as_ref().ok().map(|r| r.head.status());
        self.settle(right.claim(), answered).await;
        drop(body);
        let response = response.map_err(Ended::Unanswered)?;
        self.record.status = self.record.upstream_status;
        let is_head = self.head.method() == "HEAD";
        match relay::relay(client, response, &self.record.request_id.0, is_head).await {
            Relayed::NotBegun(fault) => {
                self.record.status = None;
                Err(Ended::Unanswered(fault))
            }
            relayed => Ok(Ended::Relayed(relayed)),
        }
    }

    /// Step 2: host and path.
    fn find_route(&mut self) -> Result<Arc<RouteState>, Refusal> {
        match self.snapshot.routes.find(self.head.host(), self.head.path()) {
            Match::Found(route) => {
                self.record.route = Some(Arc::clone(&route.name));
                self.record.provider = Some(Arc::clone(&route.provider));
                self.route = Some(Arc::clone(route));
                Ok(Arc::clone(route))
            }
            Match::NoRoute => Err(Code::NoRoute.into()),
            Match::Ambiguous(why) => Err(Refusal::because(Code::BadPath, why)),
        }
    }

    /// Step 3, what does not concern the signature. A handshake may come by a method that deliveries may not.
    fn check_head(&self, route: &RouteState, is_handshake: bool) -> Result<(), Refusal> {
        if !is_handshake && !route.config.methods.iter().any(|method| method == self.head.method()) {
            return Err(Code::MethodNotAllowed.into());
        }
        if self.head.expect() == Expect::Other {
            return Err(Code::ExpectationFailed.into());
        }
        match self.head.framing() {
            Framing::Length(bytes) if bytes > route.config.max_body => Err(Code::BodyTooLarge.into()),
            _ => Ok(()),
        }
    }

    /// Step 3, the signature's and the timestamp's form.
    fn begin(&mut self, route: &RouteState, now: Now) -> Result<Begun, Refusal> {
        match route.begin(self.head, now) {
            Err(refusal) if handshaking::may_be_in_body(route, self.head, refusal) => Ok(Begun::Unsigned(refusal)),
            judged => self.enforce(route, judged).map(Begun::Delivery),
        }
    }

    /// Step 4: the body.
    async fn take_body<C: Client>(
        &mut self,
        client: &mut C,
        route: &RouteState,
        begun: &mut Begun,
    ) -> Result<Body, Ended> {
        let running = self.running;
        let account = running.budget.client(self.origin.address.unwrap_or(IpAddr::from([0, 0, 0, 0])));
        let reservation = running.budget.reservation(account);
        let verification = match begun {
            Begun::Delivery(verification) => verification.as_mut(),
            Begun::Unsigned(_) | Begun::Handshake(_) => None,
        };
        let timeout = self.snapshot.body_timeout;
        let body = body::read(client, route.config.max_body, timeout, reservation, verification).await?;
        self.record.body_bytes = body.bytes.len() as u64;
        Ok(body)
    }

    /// Steps 5 to 7: by what right it is forwarded.
    async fn judge(&mut self, route: &Arc<RouteState>, begun: Begun, body: &Body) -> Result<Right, Ended> {
        let (running, head) = (self.running, self.head);
        let (met, proof) = match begun {
            Begun::Handshake(passage) => (Some(Met::Passed(passage)), None),
            Begun::Unsigned(refusal) => {
                let met = handshaking::in_body(running, route, &body.bytes).await?;
                if met.is_none() {
                    self.enforce::<()>(route, Err(refusal))?;
                }
                (met, None)
            }
            Begun::Delivery(verification) => match self.prove(route, verification, body)? {
                Some(proof) => (handshaking::in_proved(running, route, head, &body.bytes, &proof).await?, Some(proof)),
                None => (None, None),
            },
        };
        match (met, proof) {
            (Some(Met::Answered(answer)), _) => Err(Ended::Answered(answer)),
            (Some(Met::Passed(passage)), proof) => Ok(Right::Handshake(passage, proof.map(|proof| proof.secret))),
            (None, Some(proof)) => self.identify_and_claim(route, proof, body).await.map(Right::Proved),
            (None, None) => Ok(Right::Shadow),
        }
    }

    /// Step 5: the proof that the body is what was signed.
    fn prove(
        &mut self,
        route: &RouteState,
        verification: Option<Verification>,
        body: &Body,
    ) -> Result<Option<Proof>, Refusal> {
        let Some(verification) = verification else { return Ok(None) };
        let now = self.running.clock.now();
        let judged = verification.finish(&body.bytes, now);
        // a probe wants to be refused, in shadow mode too
        let probe = judged.as_ref().err().and_then(|refusal| handshaking::probe(route, &body.bytes, *refusal));
        let proof = probe.map_or_else(|| self.enforce(route, judged), Err)?;
        self.record.verify += self.since(now);
        if let Some(proof) = &proof {
            self.record.proved = true;
            self.record.secret = Some(Arc::clone(&proof.secret));
            self.record.delivery_timestamp = proof.timestamp;
        }
        Ok(proof)
    }

    /// Steps 6 and 7: whose event it is, and the right to forward it.
    async fn identify_and_claim(&mut self, route: &RouteState, proof: Proof, body: &Body) -> Result<Proved, Ended> {
        let running = self.running;
        let now = running.clock.now();
        let signed = proof.signed_body(&body.bytes);
        let found = route.envelope.extract(self.head, signed, proof.claims()).and_then(|event| route.accept(event));
        let event = self.enforce(route, found)?;
        self.record.verify += self.since(now);
        if let Some(event) = &event {
            self.record.event_id.clone_from(&event.id);
            self.record.event_type.clone_from(&event.event_type);
            self.record.account.clone_from(&event.account);
        }
        // in shadow mode what cannot be identified is not claimed either
        let claim = match &event {
            Some(event) if route.config.replay.enabled => {
                let request_id = &self.record.request_id.0;
                let claimed = claiming::claim(running, self.snapshot, route, &proof, event, signed, request_id).await;
                self.enforce(route, claimed)?
            }
            _ => None,
        };
        Ok(Proved { proof, event, claim })
    }

    /// Step 8: what is sent.
    fn request(&self, route: &RouteState, right: &Right, body: &Body) -> VerifiedRequest {
        let statement = right.statement(route, &self.record.request_id.0, self.shadowed);
        let fixed = Fixed {
            host: route.config.upstream_host.as_deref(),
            authority: &route.upstream.authority,
            headers: &route.config.upstream_headers,
        };
        let head = headers::forwarded(self.head, &self.origin, &statement, &fixed, body.bytes.len());
        right.request(head, body.bytes.clone(), self.head.method() == "HEAD")
    }

    /// Step 9: the claim's true outcome, from the upstream's final status line.
    async fn settle(&self, claim: Option<Claim>, now: Now) {
        let Some(claim) = claim else { return };
        let settlement = match self.record.upstream_status {
            Some(200..=299) => Settlement::Done,
            _ => Settlement::Released,
        };
        if let Err(error) = claim.settle(settlement, now).await {
            log::error!("a claim could not be settled: {error}; its event may be delivered again");
        }
    }

    /// The one place that knows of shadow mode: a refusal ends the exchange, or is written down and let pass.
    /// `None` means that the route let it pass.
    fn enforce<T>(&mut self, route: &RouteState, judged: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
        match judged {
            Ok(passed) => Ok(Some(passed)),
            Err(refusal) if route.config.enforce => Err(refusal),
            Err(refusal) => {
                self.shadowed.get_or_insert(refusal);
                Ok(None)
            }
        }
    }

    /// Step 11: the answer where none was relayed, the log line, the metrics.
    async fn end<C: Client>(mut self, client: &mut C, ended: Ended, began: Now) -> Next {
        self.record.refused = self.record.refused.or(self.shadowed.map(|refusal| refusal.code));
        let mut next = Next::KeepAlive;
        match ended {
            Ended::Refused(refusal) => {
                self.record.refused = Some(refusal.code);
                if self.record.outcome != Outcome::Aborted && refusal.code == Code::DuplicateEvent {
                    self.record.outcome = Outcome::Duplicate;
                }
                next = self.refuse(client, refusal).await;
            }
            Ended::Answered(answer) => {
                self.record.outcome = Outcome::Handshake;
                next = self.answer(client, &answer).await;
            }
            Ended::Unanswered(fault) => {
                let (code, outcome) = match &fault {
                    forward::Fault::Unreachable(_) => (Code::UpstreamUnreachable, Outcome::UpstreamFailed),
                    forward::Fault::Late => (Code::UpstreamTimeout, Outcome::UpstreamTimeout),
                    forward::Fault::Failed(_) => (Code::UpstreamFailed, Outcome::UpstreamFailed),
                };
                self.record.outcome = outcome;
                self.warn(&fault, began);
                next = self.refuse(client, code.into()).await;
            }
            Ended::Relayed(Relayed::Whole) => self.record.outcome = Outcome::Forwarded,
            Ended::Relayed(Relayed::ClientGone) | Ended::Gone => {
                self.record.outcome = Outcome::ClientGone;
                next = Next::Close;
            }
            Ended::Relayed(Relayed::BrokenOff(fault) | Relayed::NotBegun(fault)) => {
                self.record.outcome = match fault {
                    forward::Fault::Late => Outcome::UpstreamTimeout,
                    _ => Outcome::UpstreamFailed,
                };
                self.warn(&fault, began);
                next = Next::Abort;
            }
            Ended::Torn => next = Next::Abort,
        }
        self.record.total = self.since(began);
        let metrics = self.route.as_ref().map_or(&self.snapshot.unrouted, |route| &route.metrics);
        self.running.telemetry.finish(metrics, &self.record);
        next
    }

    async fn refuse<C: Client>(&mut self, client: &mut C, refusal: Refusal) -> Next {
        let answer = Answer::refusal(refusal, self.route.as_ref().map(|route| &route.answers));
        self.answer(client, &answer).await
    }

    async fn answer<C: Client>(&mut self, client: &mut C, answer: &Answer) -> Next {
        self.record.status = Some(answer.status);
        let wall = self.running.clock.now().wall;
        let to_head = self.head.method() == "HEAD";
        answer::write(client, answer, &self.record.request_id.0, wall, to_head).await.unwrap_or_else(|Gone| {
            self.record.outcome = Outcome::ClientGone;
            Next::Close
        })
    }

    fn warn(&self, fault: &forward::Fault, now: Now) {
        if let Some(route) = &self.route {
            self.running.warnings.upstream(&route.name, &route.upstream.label, fault, now);
        }
    }

    fn since(&self, then: Now) -> Duration {
        self.running.clock.mono().saturating_sub(then.mono)
    }
}
