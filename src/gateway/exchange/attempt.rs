//! The request of an attempt to deliver what waits in the queue (contract: Queue): made by the
//! configuration in force at the attempt, by the functions that make every forwarded request.

use bytes::Bytes;

use super::admission::headers_of_the_sender;
use super::headers;
use super::headers::{QueuedAttempt, RouteHeaders, VerigateHeaders};
use super::resigning;
use super::stored::StoredHead;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::request::VerifiedRequest;
use crate::queue::DeliveryId;
use crate::verify::claim::EventKey;

/// The attempt with this number, from 1, to deliver what is called `id`.
pub(crate) async fn request(
    running: &Running,
    route: &RouteState,
    stored: &StoredHead,
    body: &Bytes,
    id: DeliveryId,
    number: u32,
) -> VerifiedRequest {
    let head = stored.head();
    let signed = headers_of_the_sender(route, head);
    let verigate = VerigateHeaders {
        of_the_route: headers::own_lines(route),
        verdict: headers::VALID,
        request_id: stored.request_id.as_bytes(),
        secret: Some(&stored.secret),
        event_id: stored.event.id.as_deref(),
        event_type: stored.event.event_type.as_deref(),
        event_key: stored.event_key.as_ref().map(EventKey::as_bytes),
        attempt: Some(QueuedAttempt { id, number }),
    };
    let resigned = resigning::sign(running, route, head, stored.event_key, body).await;
    let fixed = RouteHeaders::of(route, stored.matched, &signed, resigned.as_ref());
    let forwarded = headers::forwarded(head, &stored.origin(), &verigate, &fixed, body.len());
    VerifiedRequest::stored(stored, forwarded, body)
}
