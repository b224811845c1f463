//! Steps 8 and 9: a request that may be forwarded is delivered, and the outcome is a value.
//!
//! The exchange uses [`Delivered`] to settle the claim, fill in its record and answer the client.
//! A request that the queue stores ends its exchange before this step ([`super::queueing`]); each
//! attempt to deliver it calls [`deliver`] later, and what the attempt means for the queue is read
//! from [`Delivered`] too.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use super::ended::Ended;
use crate::clock::Now;
use crate::gateway::client::turns;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward;
use crate::gateway::upstream::forward::{ForwardError, Response};
use crate::gateway::upstream::request::VerifiedRequest;
use crate::replay::Settlement;
use crate::telemetry::Record;

/// The outcome of a delivered request.
pub(crate) struct Delivered {
    /// The time at which the outcome was known.
    pub(crate) at: Now,
    /// The time from the request for a connection to the upstream's final status line, or to the
    /// failure.
    time: Duration,
    /// The place of the upstream that was asked last, among those of the route.
    upstream: usize,
    response: Result<Response, ForwardError>,
}

/// Delivers a request as its route says: at once, to the upstream. `asked` is the present reading
/// of the monotonic clock.
///
/// Returns when the upstream's final status line has arrived, or when it cannot arrive any more.
/// Nothing here watches the client.
pub(crate) async fn deliver(
    running: &Running,
    route: &RouteState,
    request: &VerifiedRequest,
    asked: Duration,
) -> Delivered {
    let asked_at = running.instant(asked);
    let deadline = asked_at + route.config.upstream_timeout;
    turns::after_others().await;
    let (upstream, mut response) =
        pin!(forward::send(request, &route.upstreams, asked_at, deadline)).await;
    let at = running.clock.now();
    if let Ok(response) = &mut response {
        response.seen = running.instant(at.mono);
    }
    Delivered {
        at,
        upstream,
        time: at.mono.saturating_sub(asked),
        response,
    }
}

impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.response {
            Ok(response) => {
                match response.address {
                    Some(address) => write!(f, "{address}")?,
                    None => f.write_str("it")?,
                }
                let status = response.head.status();
                write!(f, " answered {status} after {:?}", self.time)
            }
            Err(error) => write!(f, "{error}, after {:?}", self.time),
        }
    }
}

impl Delivered {
    /// The settlement of the delivery's claim: it is done only if the upstream answered 2xx.
    pub(super) fn settlement(&self) -> Settlement {
        match &self.response {
            Ok(response) if (200..300).contains(&response.head.status()) => Settlement::Done,
            Ok(_) | Err(_) => Settlement::Released,
        }
    }

    /// Fills in the upstream's part of the record.
    pub(crate) fn note(&self, record: &mut Record<'_>) {
        record.asked_upstream = true;
        record.upstream = self.upstream;
        record.upstream_time = Some(self.time);
        record.upstream_status = self
            .response
            .as_ref()
            .ok()
            .map(|response| response.head.status());
    }

    /// The place of the upstream that was asked last, among those of the route.
    pub(crate) fn upstream(&self) -> usize {
        self.upstream
    }

    /// The upstream's answer, or the reason why there is none.
    pub(crate) fn response(&mut self) -> &mut Result<Response, ForwardError> {
        &mut self.response
    }

    /// The upstream's answer, if there is one.
    pub(crate) fn into_response(self) -> Option<Response> {
        self.response.ok()
    }

    /// The answer to relay to the client. Without an answer the exchange ends here.
    pub(super) fn answer(&mut self) -> Result<&mut Response, Ended> {
        let answer = self.response.as_mut();
        answer.map_err(|error| Ended::Unanswered(error.clone()))
    }
}
