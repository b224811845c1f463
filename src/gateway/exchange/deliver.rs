//! Steps 8 and 9: a request that may be forwarded is delivered, and what became of it is a value.
//!
//! The exchange settles the claim, fills in its record and answers the client by what [`Delivered`] says. It does not
//! know how the request was delivered, so another way (a durable queue, which stores the request and answers that it
//! did) is a file beside this one, and changes no step.

use std::sync::Arc;
use std::time::Duration;

use super::ended::Ended;
use crate::clock::Now;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward;
use crate::gateway::upstream::forward::{ForwardError, Response, VerifiedRequest};
use crate::replay::Settlement;
use crate::telemetry::Record;

/// What became of a request that was delivered.
pub(super) struct Delivered {
    /// When that was known.
    pub(super) at: Now,
    /// The upstream's address as configured.
    upstream: Arc<str>,
    /// From asking for a connection to the upstream's final status line.
    time: Duration,
    response: Result<Response, ForwardError>,
}

/// Delivers a request as its route says: to the upstream, at once.
///
/// Returns when the upstream's final status line is there, or when none comes any more. Nothing here watches the client.
pub(super) async fn deliver(
    running: &Running,
    route: &RouteState,
    request: VerifiedRequest,
) -> Delivered {
    let asked = running.clock.now();
    let deadline = running.deadline(asked, route.config.upstream_timeout);
    let response = forward::send(request, &route.upstream, deadline).await;
    let at = running.clock.now();
    Delivered {
        at,
        upstream: Arc::clone(&route.upstream.label),
        time: at.mono.saturating_sub(asked.mono),
        response,
    }
}

impl Delivered {
    /// What the claim of the delivery is settled as: it is done only where the upstream said so.
    pub(super) fn settlement(&self) -> Settlement {
        match &self.response {
            Ok(response) if (200..300).contains(&response.head.status()) => Settlement::Done,
            Ok(_) | Err(_) => Settlement::Released,
        }
    }

    /// Writes down what the log tells of it.
    pub(super) fn note(&self, record: &mut Record) {
        record.upstream = Some(Arc::clone(&self.upstream));
        record.upstream_time = Some(self.time);
        record.upstream_status = self
            .response
            .as_ref()
            .ok()
            .map(|response| response.head.status());
    }

    /// The answer that is relayed to the client; else the exchange ends here.
    pub(super) fn answer(self) -> Result<Response, Ended> {
        self.response.map_err(Ended::Unanswered)
    }
}
