//! Step 5: where a verification runs, by the work that is left of it (contract: Body).

use std::net::IpAddr;

use crate::clock::Now;
use crate::gateway::client::body::Body;
use crate::gateway::client::holder::Holder;
use crate::gateway::client::turns::spend;
use crate::gateway::running::Running;
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::{Proof, STEP, Verification, Work};

/// The judgement on a delivery whose body is complete, and which came from `client`.
///
/// # Errors
/// `overloaded`, if a thread is needed and the client can have none, or the budget has no room for a form of
/// the body. That is no judgement on the delivery, so shadow mode forwards nothing past it.
pub(super) async fn judge(
    running: &Running,
    client: Option<IpAddr>,
    verification: Box<Verification>,
    body: &mut Body,
    now: Now,
) -> Result<Result<Box<Proof>, Refusal>, Refusal> {
    let judged = match verification.work(&body.bytes, now) {
        Work::Little(bytes) => {
            running.turns.prove(bytes).await;
            verification.finish_within(&body.bytes, now, &mut body.reservation)
        }
        // Boxed, so that the common request is not as large as the rare one.
        work => {
            Box::pin(prove_in_pieces(
                running,
                client,
                verification,
                work,
                body,
                now,
            ))
            .await
        }
    };
    match judged {
        Err(refusal) if refusal.code == Code::Overloaded => Err(refusal),
        judged => Ok(judged),
    }
}

/// Proves a delivery that would hold up everything else on its thread: in steps, or on a thread of
/// its own (contract: Body).
async fn prove_in_pieces(
    running: &Running,
    client: Option<IpAddr>,
    mut verification: Box<Verification>,
    work: Work,
    body: &mut Body,
    now: Now,
) -> Result<Box<Proof>, Refusal> {
    let bytes = body.bytes.clone();
    if work == Work::Steps {
        while verification.advance(&bytes, now) {
            spend(STEP as u64);
            running.turns.next().await;
        }
        return verification.finish_within(&bytes, now, &mut body.reservation);
    }
    let mut share = body.reservation.empty();
    let (judged, share) = running
        .proving
        .run(
            Holder::of(client),
            move || (verification.finish_within(&bytes, now, &mut share), share),
            |(judged, _)| judged.is_ok(),
        )
        .await?;
    body.reservation.absorb(share);
    judged
}
