//! `[replay]`, and a route's `replay` (contract: Replay protection).

use std::time::Duration;

use super::reader::{Findings, Item, Table};
use super::scheme::CUSTOM;
use super::state::State;
use super::units;
use super::warning::WarningName;
use crate::notation::timestamp::Tolerance;
use crate::scheme::Scheme;

/// The time for which a done event is remembered, unless the configuration says otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(72 * 3600);

/// `[replay]`, each value checked.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The most entries that the window holds.
    pub capacity: usize,
    /// How long a done event is remembered at least.
    pub ttl: Duration,
    /// Whether timestamps are refused from before the moment from which on the window is complete, so
    /// that a restart which forgets the window opens no gap.
    pub refuse_older_than_start: bool,
    /// What becomes of deliveries while the window on disk cannot be written.
    pub on_error: OnError,
}

/// What becomes of deliveries of relay routes while the window on disk cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// They are refused before they are forwarded.
    Refuse,
    /// They are let in, and only memory knows of them.
    Memory,
}

/// A route's replay protection.
#[derive(Clone, Debug)]
pub struct RouteReplay {
    /// Whether deliveries claim; `replay = "off"` turns that off.
    pub enabled: bool,
    /// The statuses that a route may choose (contract: Answers).
    pub statuses: Statuses,
    /// The most entries of this route; `None`: as many as the window holds.
    pub capacity: Option<usize>,
    /// The time for which a done event is remembered: the route's own, or that of `[replay]`.
    pub ttl: Duration,
}

/// The statuses with which a route answers a copy of an event (contract: Seen again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// `replayed_event`; default 409, or 200 where the timestamp is the event's own.
    pub on_replay: u16,
    /// `duplicate_event`; default 200.
    pub on_duplicate: u16,
    /// `event_id_conflict`; default 409. Where it is not set, another body under a preset's own id
    /// place is answered as a duplicate.
    pub on_conflict: Option<u16>,
    /// `event_in_flight`; default 503.
    pub on_in_flight: u16,
}

const EXAMPLE: &str = "replay = { on_replay = 409 }";

/// The largest `capacity` that may be set.
const MAX_CAPACITY: u64 = u32::MAX as u64;

impl Replay {
    pub(super) fn read(mut table: Table<'_>, state: &State, findings: &mut Findings) -> Self {
        if let Some(item) = table.item("store") {
            let memory = |name: &str| (name == "memory").then_some(());
            item.one_of(findings, &["memory"], &["disk", "redis", "valkey"], memory);
        }
        let on_error = table.item("on_error").and_then(|item| {
            let named = |name: &str| match name {
                "refuse" => Some(OnError::Refuse),
                "memory" => Some(OnError::Memory),
                _ => None,
            };
            if !state.is_named {
                findings.warn(
                    item.span(),
                    WarningName::NoEffect,
                    "`on_error` has no effect: the window is in memory alone without `[state] dir`"
                        .to_owned(),
                );
            }
            item.one_of(findings, &["refuse", "memory"], &[], named)
        });
        let capacity = table
            .item("capacity")
            .and_then(|item| read_capacity(&item, findings));
        let ttl = table
            .item("ttl")
            .and_then(|item| item.unit(findings, "\"72h\"", units::timeout));
        let refuse = table
            .item("refuse_older_than_start")
            .and_then(|item| item.flag(findings));
        table.finish(findings);
        Self {
            capacity: capacity.unwrap_or(1_000_000),
            ttl: ttl.unwrap_or(DEFAULT_TTL),
            refuse_older_than_start: refuse.unwrap_or(false),
            on_error: on_error.unwrap_or(OnError::Refuse),
        }
    }
}

fn read_capacity(item: &Item<'_>, findings: &mut Findings) -> Option<usize> {
    item.integer(findings, 1..=MAX_CAPACITY)
        .and_then(|capacity| usize::try_from(capacity).ok())
}

impl RouteReplay {
    /// Reads a route's `replay`: `"off"`, a table, or nothing. The scheme decides the defaults:
    /// whose timestamps it reads, for how long they are fresh, and whether different events may look
    /// the same.
    pub(super) fn read(
        item: Option<&Item<'_>>,
        findings: &mut Findings,
        window: &Replay,
        scheme: Option<&Scheme>,
        body_timeout: Duration,
    ) -> Self {
        let on_replay = if scheme.is_some_and(Scheme::may_retry_unchanged) {
            200
        } else {
            409
        };
        let statuses = Statuses {
            on_replay,
            on_duplicate: 200,
            on_conflict: None,
            on_in_flight: 503,
        };
        let mut replay = Self {
            enabled: true,
            statuses,
            capacity: None,
            ttl: scheme.map_or(window.ttl, |scheme| {
                window.ttl.max(retries_of_preset(scheme, body_timeout))
            }),
        };
        let Some(item) = item else {
            replay.enabled = !scheme.is_some_and(|scheme| scheme.events_repeat);
            return replay;
        };
        match item.value.get_ref().as_str() {
            Some("off") => {
                replay.enabled = false;
                return replay;
            }
            Some(_) => {
                item.refuse(
                    findings,
                    "is neither `\"off\"` nor a table",
                    format!("write `\"off\"` or `{EXAMPLE}`"),
                );
                return replay;
            }
            None => {}
        }
        let Some(mut table) = item.table(findings, EXAMPLE) else {
            return replay;
        };
        let mut status = |key| {
            table
                .item(key)
                .and_then(|item| read_status(&item, findings))
        };
        replay.statuses = Statuses {
            on_replay: status("on_replay").unwrap_or(statuses.on_replay),
            on_duplicate: status("on_duplicate").unwrap_or(statuses.on_duplicate),
            on_conflict: status("on_conflict"),
            on_in_flight: status("on_in_flight").unwrap_or(statuses.on_in_flight),
        };
        if let Some(item) = table.item("capacity") {
            replay.capacity = read_capacity(&item, findings);
            if replay.capacity.is_some_and(|own| own > window.capacity) {
                findings.warn(
                    item.span(),
                    WarningName::NoEffect,
                    "the route's `replay.capacity` is above the `capacity` of `[replay]`, so it limits nothing",
                );
            }
        }
        if let Some(ttl) = table
            .item("ttl")
            .and_then(|item| item.unit(findings, "\"72h\"", units::timeout))
        {
            replay.ttl = ttl;
        }
        table.finish(findings);
        replay
    }
}

/// The time for which a delivery of a preset can be fresh where its timestamp is the event's own:
/// the provider's retry horizon, which is longer than other tolerances. Zero for other schemes,
/// whose `ttl` the operator is asked to set.
fn retries_of_preset(scheme: &Scheme, body_timeout: Duration) -> Duration {
    match (scheme.tolerance, scheme.future_tolerance) {
        (Tolerance::Within(past), Tolerance::Within(future))
            if scheme.provider != CUSTOM && scheme.is_stamped_by_event() =>
        {
            past.saturating_add(future).saturating_add(body_timeout)
        }
        _ => Duration::ZERO,
    }
}

/// Reads a status with which the gateway may answer.
pub(super) fn read_status(item: &Item<'_>, findings: &mut Findings) -> Option<u16> {
    let status = item
        .integer(findings, 200..=599)
        .and_then(|status| u16::try_from(status).ok())?;
    // The answer has a JSON body, and these statuses allow no body.
    if matches!(status, 204 | 205 | 304) {
        item.refuse(
            findings,
            "is a status without a body, and the answer has one",
            "write 200, for instance",
        );
        return None;
    }
    Some(status)
}
