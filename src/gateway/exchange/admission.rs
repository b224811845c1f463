//! What a request is: by its head alone ([`RequestKind`]), and once its body is there ([`Admission`]); what the gateway says
//! of it to the app (SPEC 2.8).
//!
//! The admissions are the only three ways to the upstream. Each needs a value that only the matching check can create.

use std::sync::Arc;

use bytes::Bytes;

use super::headers;
use super::headers::{RouteHeaders, VerigateHeaders};
use crate::gateway::client::origin::Origin;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward::VerifiedRequest;
use crate::replay::Claim;
use crate::scheme::handshake::Passage;
use crate::verdict::Refusal;
use crate::verify::envelope::Event;
use crate::verify::verifier::{Proof, Verification};
use crate::wire::head::Head;

/// What the head alone shows of a request.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives per request; a box would be an allocation for each delivery"
)]
pub(super) enum RequestKind {
    /// It is a delivery; `None` where shadow mode let pass that its head was refused.
    Delivery(Option<Verification>),
    /// It carries no signature, and may yet be a handshake by its body; else this is the refusal.
    Unsigned(Refusal),
    /// It is a handshake for the app.
    Handshake(Passage),
}

impl RequestKind {
    /// The verification that hashes the body while it arrives.
    pub(super) fn verification(&mut self) -> Option<&mut Verification> {
        match self {
            Self::Delivery(verification) => verification.as_mut(),
            Self::Unsigned(_) | Self::Handshake(_) => None,
        }
    }
}

/// Why a request may be forwarded.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives per request; a box would be an allocation for each delivery"
)]
pub(super) enum Admission {
    /// It is a proved delivery.
    Proved(Proved),
    /// It is a handshake for the app; with the secret's name where it is a signed one.
    Handshake(Passage, Option<Arc<str>>),
    /// Its route is in shadow mode, which let it pass unproved.
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

impl Admission {
    /// The request to forward: `head` and `body` as they came, from this origin. `shadowed` is the refusal that shadow
    /// mode let pass.
    pub(super) fn request(
        &self,
        route: &RouteState,
        head: &Head,
        origin: &Origin<'_>,
        request_id: &str,
        shadowed: Option<Refusal>,
        body: &Bytes,
    ) -> VerifiedRequest {
        let verigate = self.verigate_headers(route, request_id, shadowed);
        let fixed = RouteHeaders {
            host: route.config.upstream_host.as_deref(),
            authority: &route.upstream.authority,
            headers: &route.config.upstream_headers,
        };
        let forwarded = headers::forwarded(head, origin, &verigate, &fixed, body.len());
        let is_head = head.method() == "HEAD";
        match self {
            Self::Proved(proved) => {
                VerifiedRequest::proved(&proved.proof, forwarded, body.clone(), is_head)
            }
            Self::Handshake(passage, _) => {
                VerifiedRequest::handshake(passage, forwarded, body.clone(), is_head)
            }
            Self::Shadow => {
                VerifiedRequest::unproved_in_shadow_mode(forwarded, body.clone(), is_head)
            }
        }
    }

    /// What the app is told of the request.
    fn verigate_headers<'s>(
        &'s self,
        route: &'s RouteState,
        request_id: &'s str,
        shadowed: Option<Refusal>,
    ) -> VerigateHeaders<'s> {
        let (secret, event) = match self {
            Self::Proved(proved) => (Some(&proved.proof.secret), proved.event.as_ref()),
            Self::Handshake(_, secret) => (secret.as_ref(), None),
            Self::Shadow => (None, None),
        };
        VerigateHeaders {
            route: &route.name,
            provider: &route.provider,
            verdict: match self {
                // Never `valid`: the app must not take a handshake for an event.
                Self::Handshake(..) => "handshake",
                Self::Proved(_) | Self::Shadow => {
                    shadowed.map_or("valid", |refusal| refusal.code.name())
                }
            },
            request_id,
            secret: secret.map(|name| &**name),
            event_id: event.and_then(|e| e.id.as_deref()),
            event_type: event.and_then(|e| e.event_type.as_deref()),
        }
    }

    /// The claim on its event, to be settled by what becomes of the request.
    pub(super) fn claim(self) -> Option<Claim> {
        match self {
            Self::Proved(proved) => proved.claim,
            Self::Handshake(..) | Self::Shadow => None,
        }
    }
}
