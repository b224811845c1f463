//! By what right a request is forwarded, and what the gateway says of it to the app (SPEC 2.8).
//!
//! There is no fourth: each is made of evidence that only the judgement on the request gives.

use std::sync::Arc;

use bytes::Bytes;

use super::headers::Statement;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward::VerifiedRequest;
use crate::replay::Claim;
use crate::scheme::handshake::Passage;
use crate::verdict::Refusal;
use crate::verify::envelope::Event;
use crate::verify::verifier::Proof;

/// By what right a request is forwarded.
#[expect(clippy::large_enum_variant, reason = "one lives per request; a box would be an allocation for each delivery")]
pub(super) enum Right {
    /// It is a proved delivery.
    Proved(Proved),
    /// It is a handshake for the app; with the secret's name where it is a signed one.
    Handshake(Passage, Option<Arc<str>>),
    /// Shadow mode let it through.
    Shadow,
}

/// What is proved of a delivery.
pub(super) struct Proved {
    pub(super) proof: Proof,
    /// `None` in shadow mode, where the envelope was refused.
    pub(super) event: Option<Event>,
    /// `None` in shadow mode where the claim was refused, and on routes without replay protection.
    pub(super) claim: Option<Claim>,
}

impl Right {
    /// What is told of the request; `shadowed` is what would have been refused.
    pub(super) fn statement<'s>(
        &'s self,
        route: &'s RouteState,
        request_id: &'s str,
        shadowed: Option<Refusal>,
    ) -> Statement<'s> {
        let (secret, event) = match self {
            Self::Proved(proved) => (Some(&proved.proof.secret), proved.event.as_ref()),
            Self::Handshake(_, secret) => (secret.as_ref(), None),
            Self::Shadow => (None, None),
        };
        Statement {
            route: &route.name,
            provider: &route.provider,
            verdict: match self {
                // never `valid`: an app must not take it for an event (SCHEMES 5)
                Self::Handshake(..) => "handshake",
                Self::Proved(_) | Self::Shadow => shadowed.map_or("valid", |refusal| refusal.code.name()),
            },
            request_id,
            secret: secret.map(|name| &**name),
            event_id: event.and_then(|e| e.id.as_deref()),
            event_type: event.and_then(|e| e.event_type.as_deref()),
        }
    }

    /// The request that this right allows.
    pub(super) fn request(&self, head: Vec<u8>, body: Bytes, is_head: bool) -> VerifiedRequest {
        match self {
            Self::Proved(proved) => VerifiedRequest::proved(&proved.proof, head, body, is_head),
            Self::Handshake(passage, _) => VerifiedRequest::handshake(passage, head, body, is_head),
            Self::Shadow => VerifiedRequest::unproved_in_shadow_mode(head, body, is_head),
        }
    }

    /// The claim, to be settled by what becomes of the request.
    pub(super) fn claim(self) -> Option<Claim> {
        match self {
            Self::Proved(proved) => proved.claim,
            Self::Handshake(..) | Self::Shadow => None,
        }
    }
}
