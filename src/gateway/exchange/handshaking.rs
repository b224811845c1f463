//! Handshakes on their way through an exchange: recognised by `verify::handshake`, then answered, handed to the app, or
//! their secret kept (SCHEMES 5).
//!
//! Which step comes when is the exchange's. None is claimed.

use std::sync::Arc;

use crate::clock::Now;
use crate::config::HandshakeMode;
use crate::gateway::client::answer::Answer;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::scheme::Handshake;
use crate::scheme::handshake::{Asked, MAX_OPEN_BODY, Passage};
use crate::verdict::{Code, Refusal};
use crate::verify::handshake;
use crate::verify::handshake::{RouteFacts as Context, Step};
use crate::verify::verifier::Proof;
use crate::wire::head::{Framing, Head};

/// What has become of a handshake that was not refused.
pub(super) enum Met {
    /// The gateway answers it.
    Answered(Box<Answer>),
    /// The app does.
    Passed(Passage),
}

/// The unsigned handshake that a head asks for; `None` where it is none.
pub(super) async fn in_head(running: &Running, route: &Arc<RouteState>, head: &Head) -> Result<Option<Met>, Refusal> {
    match route.handshake.map_or(Ok(None), |handshake| handshake.in_head(head))? {
        Some(asked) => meet(running, route, asked, None).await.map(Some),
        None => Ok(None),
    }
}

/// Whether a request whose head was refused may yet be a handshake by its body.
pub(super) fn may_be_in_body(route: &RouteState, head: &Head, refusal: Refusal) -> bool {
    let is_short = match head.framing() {
        Framing::None => false,
        Framing::Length(bytes) => bytes <= MAX_OPEN_BODY as u64,
        // as much of it is read as of a delivery with a wrong signature
        Framing::Chunked => true,
    };
    is_short && refusal.code == Code::MissingSignature && route.handshake.is_some_and(Handshake::reads_body)
}

/// The unsigned handshake that a body asks for; `None` where it is none.
pub(super) async fn in_body(running: &Running, route: &Arc<RouteState>, body: &[u8]) -> Result<Option<Met>, Refusal> {
    match route.handshake.map_or(Ok(None), |handshake| handshake.asked_in_body(body))? {
        Some(asked) => meet(running, route, asked, None).await.map(Some),
        None => Ok(None),
    }
}

/// The handshake that a proved delivery is; `None` where it is an event.
pub(super) async fn in_proved(
    running: &Running,
    route: &Arc<RouteState>,
    head: &Head,
    body: &[u8],
    proof: &Proof,
) -> Result<Option<Met>, Refusal> {
    match route.handshake.map_or(Ok(None), |handshake| handshake.asked_in_proved(head, proof.signed_body(body)))? {
        Some(asked) => meet(running, route, asked, Some(&proof.secret)).await.map(Some),
        None => Ok(None),
    }
}

/// A wrong signature that the provider sent on purpose, by the name that such a one has.
pub(super) fn probe(route: &RouteState, body: &[u8], refusal: Refusal) -> Option<Refusal> {
    let is_probe = refusal.code == Code::BadSignature && route.handshake.is_some_and(|known| known.probes_with(body));
    is_probe.then(|| Code::HandshakeProbe.into())
}

/// Does what the route says with a handshake.
async fn meet(
    running: &Running,
    route: &Arc<RouteState>,
    asked: Asked,
    proved_by: Option<&str>,
) -> Result<Met, Refusal> {
    let settings = &route.config.handshake;
    if settings.mode == HandshakeMode::Forward {
        return Ok(Met::Passed(asked.pass()));
    }
    let now = running.clock.now();
    let public_key = settings.public_key.as_deref().or_else(|| paired_public_key(route, now));
    let facts = RouteFacts {
        verifier: route.verifier(),
        proved_by,
        now,
        verify_token: settings.verify_token.as_ref(),
        public_key,
        learning: route.secret_source.learning(),
    };
    let reply = match handshake::step(asked, &facts)? {
        Step::Answer(reply) => reply,
        Step::Forward(passage) => return Ok(Met::Passed(passage)),
        Step::Learn { secret, reply } => {
            running.learn(route, secret, now).await?;
            reply
        }
    };
    Ok(Met::Answered(Box::new(Answer::handshake(reply))))
}

/// The public half of the first active secret, where that is written `PUBLIC:PRIVATE`.
fn paired_public_key(route: &RouteState, now: Now) -> Option<&str> {
    let secret = route.config.secrets.iter().find(|secret| secret.is_active(now.wall))?;
    route.handshake?.public_key(&secret.text)
}
