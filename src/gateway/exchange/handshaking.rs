//! Handshakes on their way through an exchange: recognised by `verify::handshake`, then answered, handed to the app, or
//! their secret kept (SCHEMES 5).
//!
//! Which step comes when is the exchange's. None is claimed.

use std::io;
use std::sync::Arc;

use crate::clock::Now;
use crate::config;
use crate::config::HandshakeMode;
use crate::gateway::client::answer::Answer;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::key::secret::{Secret, SecretText};
use crate::scheme::Handshake;
use crate::scheme::handshake::{Asked, MAX_OPEN_BODY, Passage, Reply};
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
        learning: route.learning(),
    };
    let reply = match handshake::step(asked, &facts)? {
        Step::Answer(reply) => reply,
        Step::Forward(passage) => return Ok(Met::Passed(passage)),
        Step::Learn { secret, reply } => keep(running, route, secret, reply, now).await?,
    };
    Ok(Met::Answered(Box::new(Answer::handshake(reply))))
}

/// The public half of the first active secret, where that is written `PUBLIC:PRIVATE`.
fn paired_public_key(route: &RouteState, now: Now) -> Option<&str> {
    let secret = route.config.secrets.iter().find(|secret| secret.is_active(now.wall))?;
    route.handshake?.public_key(&secret.text)
}

/// Keeps the secret of a handshake, and verifies by it from then on.
async fn keep(
    running: &Running,
    route: &Arc<RouteState>,
    secret: SecretText,
    reply: Reply,
    now: Now,
) -> Result<Reply, Refusal> {
    let Some(path) = route.awaited.as_ref().map(|awaited| awaited.path.clone()) else {
        return Err(Code::BadSignature.into());
    };
    let named = Secret { name: config::learned_name(&path), text: secret.clone(), not_before: None, not_after: None };
    let verifier = route.verifier_with(named.clone()).map_err(|fault| {
        running.warnings.learning(&route.name, &fault, now);
        Refusal::because(Code::MalformedHandshake, "the secret of the handshake is no key of this route's scheme")
    })?;
    let (own, file) = (Arc::clone(route), path.clone());
    // kept and in force in one go, even if nobody waits for it any more
    let storing = tokio::task::spawn_blocking(move || {
        config::store_learned(&file, &secret)?;
        own.learn(verifier);
        Ok(())
    });
    match storing.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Refusal::because(Code::BadSignature, "the secret of this route has come already"));
        }
        Err(error) => {
            running.warnings.learning(&route.name, &format_args!("{}: {error}", path.display()), now);
            return Err(Refusal::because(Code::InternalError, "the secret of the handshake could not be kept"));
        }
    }
    // a reload that found no file may have come in between; that it finds one afterwards is its own concern
    for (_, other) in running.snapshot.load().routes.iter() {
        if other.awaited.as_ref().is_some_and(|awaited| awaited.path == path)
            && let Ok(verifier) = other.verifier_with(named.clone())
        {
            other.learn(verifier);
        }
    }
    log::info!("route {}: its secret has come with a handshake and is kept in {}", route.name, path.display());
    Ok(reply)
}
