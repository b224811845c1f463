//! Handshakes on their way through an exchange. The scheme recognises them; then they are answered
//! or handed to the app, or their secret is kept (schemes: Handshakes).
//!
//! Four functions look for a handshake, each in another part of the request; the exchange chooses
//! when. They return the [`Passage`] of a handshake that the app is to answer, or `None` if the
//! request is no handshake. A handshake that the gateway answers ends the exchange. No handshake is
//! ever claimed.

use super::ended::Ended;
use crate::clock::Now;
use crate::config::HandshakeMode;
use crate::gateway::client::answer::Answer;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::scheme::Handshake;
use crate::scheme::handshake::{Asked, MAX_OPEN_BODY, Passage};
use crate::telemetry::Outcome;
use crate::verdict::{Code, Refusal};
use crate::verify::handshake;
use crate::verify::handshake::{AnswerFacts, Step};
use crate::verify::verifier::Proof;
use crate::wire::head::{Framing, Head};

/// Looks for an unsigned handshake in a head.
pub(super) async fn in_head(
    running: &Running,
    route: &RouteState,
    head: &Head,
) -> Result<Option<Passage>, Ended> {
    let Some(handshake) = route.handshake else {
        return Ok(None);
    };
    meet(running, route, handshake.in_head(head)?, None).await
}

/// Whether a request whose head was refused may still be a handshake by its body.
pub(super) fn may_be_in_body(route: &RouteState, head: &Head, refusal: Refusal) -> bool {
    let is_short = match head.framing() {
        Framing::None => false,
        Framing::Length(bytes) => bytes <= MAX_OPEN_BODY as u64,
        // A chunked body declares no length. It is read until it is too long for a handshake.
        Framing::Chunked => true,
    };
    is_short
        && refusal.code == Code::MissingSignature
        && route
            .handshake
            .is_some_and(|known| known.reads_body() || asks_if_empty(known, head))
}

/// Whether a head is that of a handshake if its body, whose length is not declared, turns out to be
/// empty.
fn asks_if_empty(handshake: &dyn Handshake, head: &Head) -> bool {
    head.framing() == Framing::Chunked
        && !matches!(handshake.in_head(&head.without_body()), Ok(None))
}

/// Looks for an unsigned handshake in the head of a request whose body came in chunks and was empty.
/// Senders and proxies that declare no length send a request without a body in this way.
pub(super) async fn in_empty_body(
    running: &Running,
    route: &RouteState,
    head: &Head,
    body: &[u8],
) -> Result<Option<Passage>, Ended> {
    if body.is_empty() && head.framing() == Framing::Chunked {
        in_head(running, route, &head.without_body()).await
    } else {
        Ok(None)
    }
}

/// Looks for an unsigned handshake in a body.
pub(super) async fn in_body(
    running: &Running,
    route: &RouteState,
    body: &[u8],
) -> Result<Option<Passage>, Ended> {
    let Some(handshake) = route.handshake else {
        return Ok(None);
    };
    meet(running, route, handshake.asked_in_body(body)?, None).await
}

/// Looks whether a proved delivery is a handshake rather than an event.
pub(super) async fn in_proved(
    running: &Running,
    route: &RouteState,
    head: &Head,
    body: &[u8],
    proof: &Proof,
) -> Result<Option<Passage>, Ended> {
    let Some(handshake) = route.handshake else {
        return Ok(None);
    };
    let asked = handshake.asked_in_proved(head, proof.signed_body(body))?;
    meet(running, route, asked, Some(&proof.secret)).await
}

/// The refusal of a wrong signature that the provider sent on purpose, to see it refused.
pub(super) fn probe(route: &RouteState, body: &[u8], refusal: Refusal) -> Option<Refusal> {
    let is_probe = refusal.code == Code::BadSignature
        && route.handshake.is_some_and(|known| known.probes_with(body));
    is_probe.then(|| Code::HandshakeProbe.into())
}

/// Treats a handshake, if there is any, as its route says. `proved_by` is the name of the secret
/// that proved a signed handshake.
async fn meet(
    running: &Running,
    route: &RouteState,
    asked: Option<Asked>,
    proved_by: Option<&str>,
) -> Result<Option<Passage>, Ended> {
    let Some(asked) = asked else { return Ok(None) };
    let settings = &route.config.handshake;
    // A probe is for the endpoint alone: the app never sees it.
    if settings.mode == HandshakeMode::Forward && !matches!(asked, Asked::Probe(_)) {
        return Ok(Some(asked.pass()));
    }
    let now = running.clock.now();
    let public_key = settings
        .public_key
        .as_deref()
        .or_else(|| paired_public_key(route, now));
    let facts = AnswerFacts {
        verifier: route.verifier(),
        proved_by,
        now,
        verify_token: settings.verify_token.as_ref(),
        public_key,
        learning: route.secret_source.learning(),
    };
    let reply = match handshake::step(asked, &facts)? {
        Step::Answer(reply) => reply,
        Step::Forward(passage) => return Ok(Some(passage)),
        Step::Learn { secret, reply } => {
            running.learn(route, secret, now).await?;
            reply
        }
    };
    Err(Ended::Answered(
        Box::new(Answer::handshake(reply)),
        Outcome::Handshake,
    ))
}

/// The public half of the first active secret, if the provider's secrets are written
/// `PUBLIC:PRIVATE`.
fn paired_public_key(route: &RouteState, now: Now) -> Option<&str> {
    let secret = route
        .config
        .secrets
        .iter()
        .find(|secret| secret.is_active(now.wall))?;
    route.handshake?.public_key(&secret.text)
}
