//! The kind of a request, first by its head alone ([`RequestKind`]) and then, with its body, as a
//! reason to forward it ([`Admission`]); and the gateway's own headers, which tell the app about it
//! (contract: Forwarding).
//!
//! The admissions are the only three ways to the upstream. Each needs a value that only the
//! matching check can create.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::claiming::Granted;
use super::headers;
use super::headers::{RouteHeaders, VerigateHeaders};
use crate::gateway::client::origin::Origin;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::request::VerifiedRequest;
use crate::replay::Claim;
use crate::scheme::ProofBy;
use crate::scheme::handshake::Passage;
use crate::sign::Resigned;
use crate::verdict::Refusal;
use crate::verify::claim::EventKey;
use crate::verify::envelope::Event;
use crate::verify::verifier::{Proof, Verification};
use crate::wire::head::{FieldName, Head};

/// The kind of a request, as far as its head shows it.
pub(super) enum RequestKind {
    /// A delivery; `None` if its head was refused and shadow mode let the refusal pass.
    Delivery(Option<Box<Verification>>),
    /// A request without a signature, which may still be a handshake by its body. If it is not,
    /// this is its refusal.
    Unsigned(Refusal),
    /// A handshake for the app to answer.
    Handshake(Passage),
}

impl RequestKind {
    /// The verification that hashes the body while it arrives.
    pub(super) fn verification(&mut self) -> Option<&mut Verification> {
        match self {
            Self::Delivery(verification) => verification.as_deref_mut(),
            Self::Unsigned(_) | Self::Handshake(_) => None,
        }
    }
}

/// The reason why a request may be forwarded.
pub(super) enum Admission {
    /// The request is a proved delivery.
    Proved(Proved),
    /// The request is a handshake for the app to answer. A signed handshake brings the name of its
    /// secret.
    Handshake(Passage, Option<Arc<str>>),
    /// The request is not proved, but its route is in shadow mode.
    Shadow,
}

/// A proved delivery, with the event in it and the claim on that event.
pub(super) struct Proved {
    pub(super) proof: Box<Proof>,
    /// The key of the event for the app; `None` where nothing was to be claimed.
    pub(super) event_key: Option<EventKey>,
    /// The claim on the event; `None` without an event, without replay protection, or if the claim
    /// was refused and shadow mode let the refusal pass.
    pub(super) claim: Option<Claim>,
    /// What is stored of the claim, where deliveries are stored.
    pub(super) granted: Option<Granted>,
}

impl Admission {
    /// The request to forward, made of `head` and `body` as they came from `origin`. `event` is the
    /// event that was read from them, `shadowed` is the refusal that shadow mode let pass, and
    /// `resigned` is the gateway's own signature, if there are such.
    #[expect(
        clippy::too_many_arguments,
        reason = "the request shows all of these to the app"
    )]
    pub(super) fn request(
        &self,
        route: &RouteState,
        head: &Head,
        origin: &Origin<'_>,
        request_id: &[u8],
        event: Option<&Event>,
        shadowed: Option<Refusal>,
        resigned: Option<&Resigned>,
        body: &Bytes,
    ) -> VerifiedRequest {
        let verigate = self.verigate_headers(route, request_id, event, shadowed);
        let signed = match self {
            // In shadow mode the app still verifies for itself.
            Self::Proved(_) | Self::Shadow | Self::Handshake(_, Some(_)) => {
                headers_of_the_sender(route, head)
            }
            Self::Handshake(_, None) => Cow::default(),
        };
        let fixed = RouteHeaders::of(route, route.matched(), &signed, resigned);
        let forwarded = headers::forwarded(head, origin, &verigate, &fixed, body.len());
        let is_head = head.method() == "HEAD";
        match self {
            Self::Proved(proved) => {
                VerifiedRequest::proved(&proved.proof, forwarded, body, is_head)
            }
            Self::Handshake(passage, _) => {
                VerifiedRequest::handshake(passage, forwarded, body, is_head)
            }
            Self::Shadow => VerifiedRequest::unproved_in_shadow_mode(forwarded, body, is_head),
        }
    }

    /// The values of the gateway's own headers, which tell the app about the request.
    fn verigate_headers<'s>(
        &'s self,
        route: &'s RouteState,
        request_id: &'s [u8],
        event: Option<&'s Event>,
        shadowed: Option<Refusal>,
    ) -> VerigateHeaders<'s> {
        let (secret, event, event_key) = match self {
            Self::Proved(proved) => (Some(&proved.proof.secret), event, proved.event_key.as_ref()),
            Self::Handshake(_, secret) => (secret.as_ref(), None, None),
            Self::Shadow => (None, None, None),
        };
        VerigateHeaders {
            of_the_route: headers::own_lines(route),
            verdict: match self {
                // Never `valid`: the app must not take a handshake for an event.
                Self::Handshake(..) => "handshake",
                Self::Proved(_) | Self::Shadow => {
                    shadowed.map_or(headers::VALID, |refusal| refusal.code.name())
                }
            },
            request_id,
            secret: secret.map(|name| &**name),
            event_id: event.and_then(|e| e.id.as_deref()),
            event_type: event.and_then(|e| e.event_type.as_deref()),
            event_key: event_key.map(EventKey::as_bytes),
            attempt: None,
        }
    }

    /// The key of the event of a proved delivery; `None` for every other request.
    pub(super) fn event_key(&self) -> Option<EventKey> {
        match self {
            Self::Proved(proved) => proved.event_key,
            Self::Handshake(..) | Self::Shadow => None,
        }
    }

    /// The claim on the event, which the outcome of the request settles.
    pub(super) fn claim(self) -> Option<Claim> {
        match self {
            Self::Proved(proved) => proved.claim,
            Self::Handshake(..) | Self::Shadow => None,
        }
    }
}

/// The headers that belong to the sender on this route. Only a provider's code looks for them in
/// the request; for every other scheme they are found once.
pub(super) fn headers_of_the_sender<'r>(
    route: &'r RouteState,
    head: &Head,
) -> Cow<'r, [&'static FieldName]> {
    let scheme = &route.config.scheme;
    let find = || headers::of_the_sender(scheme, head);
    if matches!(scheme.proof, ProofBy::Code(_)) {
        find().into()
    } else {
        route.sender_headers.get_or_init(find).into()
    }
}
