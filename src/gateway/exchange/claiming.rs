//! Steps 7 and 9 of an exchange: an event is claimed, and later its claim is settled (contract:
//! Claim, Settling).
//!
//! This file decides which digest is claimed. Whether the claim is granted is the decision of
//! `verify::claim`, and the outcome with which it is settled comes from [`super::deliver`].

use std::sync::Arc;

use crate::clock::Now;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::{RouteState, Snapshot};
use crate::replay::{Claim, Claimed, ReplayWindow, Settlement, WindowError};
use crate::verdict::{Code, Refusal};
use crate::verify::claim;
use crate::verify::claim::{Arrival, Decision, IdTrust};
use crate::verify::envelope::Event;
use crate::verify::verifier::Proof;

/// Claims a proved delivery. Its freshness is judged once more, since its body may have taken long
/// to arrive.
///
/// If this future is dropped half way, a claim that was granted is released.
///
/// # Errors
/// `stale_timestamp` or `future_timestamp`; the code of the decision on a delivery that was seen
/// before; `overloaded` or `replay_store_unavailable` from the store.
pub(super) async fn claim(
    running: &Running,
    snapshot: &Snapshot,
    route: &RouteState,
    proof: &Proof,
    event: &Event,
    body: &[u8],
    request_id: &str,
) -> Result<Claim, Refusal> {
    let now = running.clock.now();
    route.verifier().recheck(proof, now)?;
    if snapshot.refuse_older_than_start {
        route.verifier().judge_start(proof, running.started)?;
    }
    match running
        .window
        .claim(arrival(running, route, proof, event, body, request_id), now)
        .await
    {
        Ok(Claimed::Granted(ticket)) => Ok(Claim::new(Arc::clone(&running.window), ticket)),
        Ok(Claimed::Denied(decision)) => {
            if decision == Decision::Conflict {
                route.metrics.count_conflict();
                let is_preset = route.policy.id_trust == IdTrust::SignedPresetPlace;
                running
                    .warnings
                    .conflict(&route.name, is_preset, request_id, now);
            }
            Err(claim::refusal(decision, &route.policy)
                .unwrap_or(Code::InternalError)
                .into())
        }
        Err(WindowError::Full) => Err(Refusal::because(
            Code::Overloaded,
            "every entry of the replay window is in flight",
        )),
        Err(WindowError::Unavailable) => Err(Code::ReplayStoreUnavailable.into()),
    }
}

/// Settles the claim of a delivery, if it has a claim.
pub(super) async fn settle(claim: Option<Claim>, settlement: Settlement, now: Now) {
    let Some(claim) = claim else { return };
    if let Err(error) = claim.settle(settlement, now).await {
        log::error!("a claim could not be settled: {error}; its event may be delivered again");
    }
}

/// The delivery in the form in which the replay window compares it with others.
fn arrival(
    running: &Running,
    route: &RouteState,
    proof: &Proof,
    event: &Event,
    body: &[u8],
    request_id: &str,
) -> Arrival {
    let key = &running.fingerprints;
    // Bytes that no signature covers decide nothing (contract: Keys).
    let body = if route.verifier().scheme().body_tells_deliveries_apart() {
        body
    } else {
        b"".as_slice()
    };
    let signed_id = event
        .id
        .as_ref()
        .filter(|_| route.policy.id_trust != IdTrust::Unsigned);
    let (claim_key, content) = if let Some(id) = signed_id {
        (key.by_id(&route.name, id), key.body(body))
    } else {
        let content = key.content(proof.content.before(), body, proof.content.after());
        (
            key.by_content(&route.name, event.event_type.as_deref(), content),
            content,
        )
    };
    Arrival {
        key: claim_key,
        body: content,
        signed_at: proof.signed_at,
        route: route.fingerprint,
        event: event.id.as_ref().map(|id| key.event(&route.name, id)),
        request: key.request(&route.name, request_id),
        ttl: route.config.replay.ttl,
        fresh_until: route.verifier().fresh_until(proof),
        route_capacity: route.config.replay.capacity,
    }
}
