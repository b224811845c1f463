//! Facts about an exchange for the operator alone: by how much a timestamp is off, and the steps
//! that `RUST_LOG=debug` shows (contract: Access log).
//!
//! No step shows a secret, a signature, a header, a query or a byte of a body, except the event's
//! id, type and account, which the access log shows as well.

use std::fmt;

use super::Exchange;
use crate::clock::UnixMillis;
use crate::gateway::running::snapshot::RouteState;
use crate::gateway::upstream::forward::ForwardError;
use crate::telemetry::{Outcome, Record};
use crate::verify::envelope::Event;

/// The most characters of a text from the network that are shown.
const SHOWN: usize = 200;

impl Exchange<'_> {
    /// Records that the upstream failed, and warns the operator. An upstream whose answer the client took
    /// too slowly has not failed.
    pub(super) fn failed(&mut self, error: &ForwardError) {
        self.record.outcome = match error {
            ForwardError::Untaken => {
                self.record.outcome = Outcome::ClientGone;
                return;
            }
            ForwardError::Late | ForwardError::Unfinished => Outcome::UpstreamTimeout,
            ForwardError::Unreachable(_) | ForwardError::Failed(_) => Outcome::UpstreamFailed,
        };
        if let Some(route) = self.route {
            let upstream = route.upstreams.label(self.record.upstream);
            self.running
                .warnings
                .upstream(&route.name, upstream, error, self.began);
        }
    }

    /// Tells of a step, for whoever follows one request.
    pub(super) fn debug(&self, step: fmt::Arguments<'_>) {
        log::debug!("request {}: {step}", self.record.request_id.as_str());
    }

    /// Tells of the request that begins.
    pub(super) fn debug_begin(&self) {
        let Record {
            method,
            path,
            client,
            ..
        } = &self.record;
        self.debug(format_args!(
            "{} {} from {}",
            Cut(method),
            Cut(path),
            Known(client.as_ref())
        ));
    }

    /// Tells of the event that was read.
    pub(super) fn debug_event(&self, event: &Event) {
        let Event {
            id,
            event_type,
            account,
            ..
        } = event;
        let shown = |text| Cut(Option::as_deref(text).unwrap_or("none"));
        self.debug(format_args!(
            "event {}, type {}, account {}",
            shown(id),
            shown(event_type),
            shown(account)
        ));
    }

    /// Tells how the request ended.
    pub(super) fn debug_end(&self) {
        self.debug(format_args!(
            "{}, status {}, verdict {}: {}",
            self.record.outcome.name(),
            Known(self.record.status.as_ref()),
            self.record.verdict().unwrap_or("none"),
            self.record.reason.unwrap_or("nothing to refuse")
        ));
    }

    /// Records the timestamp that a delivery states, unless it is known already. `body` is the whole
    /// body, if it was read. A long body of a refused delivery is not read for the log: it would hold
    /// up everything else on the thread (contract: Body).
    pub(super) fn note_timestamp(&mut self, route: &RouteState, body: Option<&[u8]>) {
        if self.record.delivery_timestamp.is_none() {
            let body = body.filter(|body| body.len() <= READ_FOR_THE_LOG);
            self.record.delivery_timestamp = route.verifier().timestamp_of(self.head, body);
        }
    }

    /// Records by how much the delivery's timestamp was off when the head had come, so that the time
    /// that a body or an upstream took does not count. Whole seconds are compared, as freshness is
    /// judged.
    pub(super) fn note_skew(&mut self) {
        let seconds = |at: UnixMillis| at.0.div_euclid(1000);
        self.record.skew_secs = self
            .record
            .delivery_timestamp
            .map(|at| seconds(at).saturating_sub(seconds(self.began.wall)));
    }
}

/// The longest body that is read for the log alone, in bytes.
const READ_FOR_THE_LOG: usize = 64 * 1024;

/// A value, or a dash where it is not known.
struct Known<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A text from the network, cut when it is shown.
struct Cut<'t>(&'t str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(SHOWN);
        let end = end.map_or(self.0.len(), |(at, _)| at);
        write!(f, "{:?}", self.0.get(..end).unwrap_or_default())
    }
}
