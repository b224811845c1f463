//! Steps 7 and 9 of an exchange: an event is claimed, and later its claim is settled (contract:
//! Claim, Settling).
//!
//! This file decides which digest is claimed. Whether the claim is granted is the decision of
//! `verify::claim`, and the outcome with which it is settled comes from [`super::deliver`].

use std::pin::pin;
use std::sync::Arc;

use super::Exchange;
use crate::clock::Now;
use crate::gateway::client::body::Body;
use crate::gateway::running::Running;
use crate::gateway::running::journal::WindowJournal;
use crate::gateway::running::snapshot::{RouteState, Snapshot};
use crate::replay::{Claim, Claimed, ReplayWindow as _, Settlement, WindowError};
use crate::routes::PathPattern;
use crate::telemetry::RequestId;
use crate::verdict::{Code, Refusal};
use crate::verify::claim;
use crate::verify::claim::{
    Arrival, Decision, EventKey, FingerprintKey, HashedBody, IdTrust, Identity, Mark,
};
use crate::verify::envelope::Event;
use crate::verify::verifier::Proof;
use crate::wire::head::{Found, Head};

/// A proved delivery with its event.
pub(super) struct Delivery<'d> {
    pub(super) route: &'d RouteState,
    pub(super) proof: &'d Proof,
    pub(super) event: Option<&'d Event>,
    /// The body in the form that was signed.
    pub(super) body: HashedBody<'d>,
    pub(super) head: &'d Head,
    /// The body as it was received.
    pub(super) received: HashedBody<'d>,
    pub(super) request_id: RequestId<'d>,
}

/// What is stored of the claim on a delivery: the arrival with which it was granted, and when.
pub(super) type Granted = (Box<Arrival>, Now);

impl Exchange<'_> {
    /// Step 7: the claim on the event of a proved delivery, the key of the event for the app, and what
    /// is stored of the claim where the delivery is.
    pub(super) async fn claim(
        &self,
        route: &RouteState,
        proof: &Proof,
        body: &Body,
    ) -> (Option<EventKey>, Result<Claim, Refusal>, Option<Granted>) {
        let running = self.running;
        let received = HashedBody::new(&body.bytes, body.hash);
        let delivery = Delivery {
            route,
            proof,
            event: self.record.event.as_ref(),
            body: received.in_form(proof.signed_body(&body.bytes)),
            head: self.head,
            received,
            request_id: self.record.request_id,
        };
        let turn = running.turns.aside(delivery.work()).await;
        let (arrival, event_key) = turn.work(|| delivery.digests(&running.fingerprints));
        let now = running.clock.now();
        let stored = self.queue_of(route).map(|_| (Box::new(arrival), now));
        let claimed = match judge_freshness(running, self.snapshot, &delivery, now) {
            // Nothing waits between the window's decision and the guard of the claim.
            Ok(()) => {
                let decided = pin!(running.window.claim(&arrival, now)).await;
                let granted = granted(running, &delivery, decided, now);
                match &running.journal {
                    Some(journal) => {
                        let is_stored = stored.is_some();
                        kept(journal, self.snapshot, &delivery, is_stored, granted)
                    }
                    None => granted,
                }
            }
            Err(refusal) => Err(refusal),
        };
        if claimed.is_ok() {
            self.debug(format_args!("the event is claimed"));
        }
        (Some(event_key), claimed, stored)
    }
}

/// Whether the claims of a route need the hash of the body.
pub(super) fn compares_bodies(route: &RouteState) -> bool {
    let config = &route.config;
    config.replay.enabled
        && (route.policy.id_trust != IdTrust::Unsigned
            || config.scheme.repeats.is_some()
            || route.identities.beside.body)
}

/// The judgement on the freshness of a proved delivery that is about to be claimed: once more, since
/// its body may have taken long to arrive and to be proved. `now` is the present, since entries of
/// the window may have been forgotten meanwhile too.
///
/// # Errors
/// `stale_timestamp` or `future_timestamp`.
pub(super) fn judge_freshness(
    running: &Running,
    snapshot: &Snapshot,
    delivery: &Delivery<'_>,
    now: Now,
) -> Result<(), Refusal> {
    let Delivery { route, proof, .. } = *delivery;
    route.verifier().recheck(proof, now)?;
    if snapshot.refuse_older_than_start {
        route.verifier().judge_start(proof, running.started())?;
    }
    Ok(())
}

/// The claim on a delivery, or the refusal that the window's decision at `now` means.
///
/// # Errors
/// The code of the decision on a delivery that was seen before; `overloaded` or
/// `replay_store_unavailable` from the store.
pub(super) fn granted(
    running: &Running,
    delivery: &Delivery<'_>,
    decided: Result<Claimed, WindowError>,
    now: Now,
) -> Result<Claim, Refusal> {
    let Delivery {
        route, request_id, ..
    } = *delivery;
    match decided {
        Ok(Claimed::Granted(ticket)) => Ok(Claim::new(Arc::clone(&running.window), ticket)),
        Ok(Claimed::Denied(decision)) => {
            if let Decision::Conflict(conflict) = decision {
                route.metrics.count_conflict();
                let is_forgiven = route.policy.forgives_other_bodies;
                running.warnings.conflict(
                    &route.name,
                    conflict,
                    is_forgiven,
                    request_id.as_str(),
                    now,
                );
            }
            Err(claim::refusal(decision, &route.policy).unwrap_or(Code::InternalError.into()))
        }
        Err(WindowError::Full) => Err(Refusal::because(
            Code::Overloaded,
            "every entry of the replay window is in flight",
        )),
        Err(WindowError::Unavailable | WindowError::Elsewhere) => {
            Err(Code::ReplayStoreUnavailable.into())
        }
    }
}

/// A claim that the window on disk must be able to keep: it is given back where the file cannot be
/// written, unless the configuration says otherwise, and where the file may lack the same delivery
/// since the machine lost power or a backup was restored. `is_stored`: the claim is stored with its
/// delivery, which is refused there where the store cannot write.
///
/// # Errors
/// That of `granted`; `replay_store_unavailable`.
fn kept(
    journal: &WindowJournal,
    snapshot: &Snapshot,
    delivery: &Delivery<'_>,
    is_stored: bool,
    granted: Result<Claim, Refusal>,
) -> Result<Claim, Refusal> {
    let claim = granted?;
    let unavailable = |why| Err(Refusal::because(Code::ReplayStoreUnavailable, why));
    if !is_stored && snapshot.refuses_unwritten && !journal.is_writable() {
        return unavailable("the replay window cannot be written to disk");
    }
    let config = &delivery.route.config;
    if let Some(signed_at) = delivery.proof.signed_at
        && config.is_stamped_by_attempt()
        && journal.may_lack(
            signed_at,
            config
                .upstream_timeout
                .saturating_add(snapshot.body_timeout),
            is_stored,
        )
    {
        return unavailable("it is not known whether this came before the last start");
    }
    Ok(claim)
}

/// Settles the claim of a delivery, if it has a claim.
pub(super) async fn settle(claim: Option<Claim>, settlement: Settlement, now: Now) {
    let Some(claim) = claim else { return };
    if let Err(error) = claim.settle(settlement, now).await {
        log::error!(
            "a claim could not be settled in time: {error}; its event may be delivered again"
        );
    }
}

impl Delivery<'_> {
    /// The delivery in the form in which the replay window compares it with others, and the key of
    /// its event for the app. Reads the body; how often depends on the scheme.
    pub(super) fn digests(&self, key: &FingerprintKey) -> (Arrival, EventKey) {
        let identity = self.identity();
        let arrival = arrival(key, self, &identity);
        (arrival, self.event_key(identity))
    }

    /// The work of [`digests`](Self::digests), as a number of bytes that take as long to hash.
    pub(super) fn work(&self) -> u64 {
        let route = self.route;
        let is_kept_beside = route.identities.beside.body;
        let by_id = self.signed_id().map(|_| self.signed_body());
        let beside = Some(self.body).filter(|_| is_kept_beside);
        let repeated = Some(self.received).filter(|_| route.config.scheme.repeats.is_some());
        // A body that was not hashed while it arrived passes through HighwayHash, which is four
        // times as fast as SHA-256.
        let bodies = [by_id, beside, repeated].into_iter().flatten();
        let compared = bodies.map(|body| body.unhashed() as u64).sum::<u64>() / 4;
        let content = self
            .signed_id()
            .map_or(self.signed_body().bytes().len(), |_| 0);
        let key = if is_kept_beside {
            self.body.bytes().len()
        } else {
            0
        };
        compared + content as u64 + key as u64
    }

    /// The identity of the event: its id where that is signed, otherwise the signed content. Bytes
    /// that no signature covers are no part of it (contract: Keys).
    fn identity(&self) -> Identity {
        let (route, content) = (self.route, &self.proof.content);
        match self.signed_id() {
            Some(id) => route.identities.by_id(id),
            None => {
                let body = self.signed_body();
                let content = [content.before(), body.bytes(), content.after()];
                route.identities.by_content(content)
            }
        }
    }

    /// The key of the event for the app.
    fn event_key(&self, identity: Identity) -> EventKey {
        identity.event_key(
            self.route.identities.beside,
            self.event_type(),
            self.body.bytes(),
        )
    }

    fn event_type(&self) -> Option<&str> {
        self.event?.event_type.as_deref()
    }

    fn id(&self) -> Option<&str> {
        self.event?.id.as_deref()
    }

    fn signed_id(&self) -> Option<&str> {
        let id = self.id();
        id.filter(|_| self.route.policy.id_trust != IdTrust::Unsigned)
    }

    /// The head of the request as an app reads it: its method, target and media type.
    fn read_by_apps(&self) -> [&[u8]; 3] {
        let media_type = match self.head.find_str("content-type") {
            Found::One(text) => text,
            Found::Nothing | Found::Several => b"",
        };
        [
            self.head.method().as_bytes(),
            self.head.target().as_bytes(),
            media_type,
        ]
    }

    /// The body, as far as it tells deliveries apart.
    fn signed_body(&self) -> HashedBody<'_> {
        if self.route.verifier().scheme().body_tells_deliveries_apart() {
            self.body
        } else {
            b"".into()
        }
    }
}

/// The delivery in the form in which the replay window compares it with others.
fn arrival(key: &FingerprintKey, delivery: &Delivery<'_>, identity: &Identity) -> Arrival {
    let Delivery { route, proof, .. } = *delivery;
    let of_route = &route.fingerprints;
    let (claim_key, body, compared, named) = match delivery.signed_id() {
        Some(id) => {
            let by_id = of_route.by_id(id);
            let body = key.body(delivery.signed_body());
            (by_id, body, body.mark(), Some(by_id.mark()))
        }
        None => {
            let content = key.content(identity);
            let named = delivery.id().map(|id| of_route.event(id));
            // The content is the key already, so two deliveries of one key have the same body.
            (of_route.by_content(content), content, Mark(0), named)
        }
    };
    let repeats = route.config.scheme.repeats;
    // A repeat is the same request byte for byte. Others with the same signed content, as where
    // nothing divides the names and values of a form, are none.
    let body = match repeats {
        Some(_) => key.repeat(body, delivery.read_by_apps(), delivery.received),
        None => compared,
    };
    let is_prefix = matches!(route.config.pattern.path, PathPattern::Prefix(_));
    Arrival {
        key: claim_key,
        body,
        path: is_prefix.then(|| key.path(delivery.head.path())),
        variant: key.variant(
            route.identities.beside,
            delivery.event_type(),
            delivery.body,
        ),
        variants: route.variants,
        repeats,
        signed_at: proof.signed_at,
        route: of_route.route,
        event: named,
        request: of_route.request(delivery.request_id.as_bytes()),
        ttl: route.config.replay.ttl,
        fresh_until: route.verifier().fresh_until(proof),
        route_capacity: route.config.replay.capacity,
        share: route.share,
    }
}
