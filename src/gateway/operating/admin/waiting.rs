//! Why the deliveries of a route wait (contract: Queue).

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Now, UnixMillis};
use crate::config::units::written_moment;
use crate::gateway::running::backlog::Backlog;
use crate::queue::{AttemptEnd, DeadReason, Listed, Probe, RouteNumber, RouteStatus, State};
use crate::verdict::Code;

/// The routes of these that have a reason to wait, each with its reasons. A route that the
/// configuration does not have is left out unless it holds something.
pub(super) fn routes(
    backlog: &Backlog,
    statuses: &[(RouteNumber, RouteStatus)],
    now: Now,
) -> Vec<Value> {
    let meant = statuses
        .iter()
        .filter(|(_, status)| status.is_listed || status.counts.deliveries() > 0);
    let shown = meant.filter_map(|(number, status)| {
        let name = backlog.name(*number)?;
        let reasons = reasons(status, backlog.has_heir(*number, status), now);
        if reasons.is_empty() {
            return None;
        }
        Some(json!({
            "route": &*name,
            "deliveries": status.counts.waiting + status.counts.retrying,
            "reasons": reasons,
        }))
    });
    shown.collect()
}

/// `has_heir`: the configuration has a route of the same name.
pub(super) fn reasons(status: &RouteStatus, has_heir: bool, now: Now) -> Vec<Value> {
    let moment = |at: Duration| written_moment(wall(at, now));
    let to_come = |at: &Duration| *at > now.mono;
    let mut reasons = Vec::new();
    if status.is_paused {
        reasons.push(json!({"reason": "operator"}));
    }
    if !status.is_listed {
        let reason = if has_heir { "provider" } else { "removed" };
        reasons.push(json!({"reason": reason}));
    }
    if status.counts.held > 0 {
        reasons.push(json!({"reason": "held", "deliveries": status.counts.held}));
    }
    if !status.is_listed {
        // Nothing else matters until it is back.
        return reasons;
    }
    if let Some(until) = status.asked_until.filter(to_come) {
        reasons.push(json!({"reason": "app", "until": moment(until)}));
    }
    if let Some(probe) = status.next_probe {
        let next = match probe {
            Probe::At(at) => Some(moment(at.max(now.mono))),
            Probe::AfterAttempt | Probe::Nothing => None,
        };
        let (end, at) = status.last.unzip();
        reasons.push(json!({
            "reason": "breaker",
            "next_probe_at": next,
            "is_probing": probe == Probe::AfterAttempt,
            "last_status": end.and_then(AttemptEnd::status),
            "last_error": end.and_then(error_of),
            "last_at": at.map(written_moment),
        }));
    }
    if let Some(until) = status.paced_until.filter(to_come) {
        reasons.push(json!({"reason": "rate", "until": moment(until)}));
    }
    reasons
}

/// The name of the error of an attempt that got no answer, or that was not made for damage.
pub(super) fn error_of(end: AttemptEnd) -> Option<&'static str> {
    let code = match end {
        AttemptEnd::Status(_) => return None,
        AttemptEnd::Unreachable => Code::UpstreamUnreachable,
        AttemptEnd::Timeout => Code::UpstreamTimeout,
        AttemptEnd::Failed => Code::UpstreamFailed,
        AttemptEnd::Damaged => return Some(DeadReason::Damaged.name()),
    };
    Some(code.name())
}

/// Why a delivery is not tried whatever its time is, until somebody ends that; `None`: it is tried,
/// or it is dead.
pub(super) fn held_by(
    one: &Listed,
    status: Option<&RouteStatus>,
    has_heir: bool,
) -> Option<&'static str> {
    if one.delivery.progress.state == State::Dead {
        return None;
    }
    match status {
        Some(status) if !status.is_listed && has_heir => Some("provider"),
        Some(status) if !status.is_listed => Some("removed"),
        Some(status) if status.is_paused => Some("operator"),
        _ => one.is_held.then_some("unreadable"),
    }
}

/// A moment of the monotonic clock by the wall clock.
fn wall(at: Duration, now: Now) -> UnixMillis {
    let left = at.saturating_sub(now.mono).as_millis();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    UnixMillis(now.wall.0.saturating_add(left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Counts;

    #[test]
    fn a_route_has_all_its_reasons_and_a_removed_one_those_that_outlast_that() {
        let now = Now {
            mono: Duration::from_secs(100),
            wall: UnixMillis(1_750_000_000_000),
        };
        let all = RouteStatus {
            is_listed: true,
            is_paused: true,
            asked_until: Some(Duration::from_secs(130)),
            is_breaker_open: true,
            next_probe: Some(Probe::At(Duration::from_secs(105))),
            last: Some((AttemptEnd::Status(503), UnixMillis(now.wall.0 - 1000))),
            paced_until: Some(Duration::from_millis(100_500)),
            counts: Counts {
                held: 2,
                ..Counts::default()
            },
            ..RouteStatus::default()
        };
        let expected = json!([
            {"reason": "operator"},
            {"reason": "held", "deliveries": 2},
            {"reason": "app", "until": "2025-06-15T15:07:10.000Z"},
            {"reason": "breaker", "next_probe_at": "2025-06-15T15:06:45.000Z", "is_probing": false,
             "last_status": 503, "last_error": null, "last_at": "2025-06-15T15:06:39.000Z"},
            {"reason": "rate", "until": "2025-06-15T15:06:40.500Z"},
        ]);
        assert_eq!(Value::from(reasons(&all, true, now)), expected);
        let removed = RouteStatus {
            is_listed: false,
            ..all
        };
        let expected = json!([
            {"reason": "operator"},
            {"reason": "removed"},
            {"reason": "held", "deliveries": 2},
        ]);
        assert_eq!(Value::from(reasons(&removed, false, now)), expected);
        let other = &reasons(&removed, true, now)[1];
        assert_eq!(*other, json!({"reason": "provider"}));
        let over = RouteStatus {
            is_listed: true,
            asked_until: Some(Duration::from_secs(100)),
            paced_until: Some(Duration::from_secs(99)),
            is_breaker_open: true,
            ..RouteStatus::default()
        };
        for (probe, is_probing) in [(Probe::AfterAttempt, true), (Probe::Nothing, false)] {
            let over = RouteStatus {
                next_probe: Some(probe),
                last: Some((AttemptEnd::Timeout, now.wall)),
                ..over
            };
            let expected = json!([{
                "reason": "breaker", "next_probe_at": null, "is_probing": is_probing,
                "last_status": null, "last_error": "upstream_timeout",
                "last_at": "2025-06-15T15:06:40.000Z",
            }]);
            assert_eq!(Value::from(reasons(&over, true, now)), expected);
        }
        let well = RouteStatus {
            is_listed: true,
            ..RouteStatus::default()
        };
        assert!(reasons(&well, true, now).is_empty());
    }
}
