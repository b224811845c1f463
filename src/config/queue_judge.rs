//! Judgements on a route's queue (contract: State): what a route in queue mode may not have, and what
//! it may have and probably should not.

use super::accounts::Accounts;
use super::judge::place;
use super::queue::{Mode, OrderBy};
use super::reader::{Findings, Table};
use super::route::{Draft, Route};
use super::state::State;
use super::units::{written_duration, written_size};
use super::warning::WarningName;
use crate::scheme::Scheme;

/// The providers that want an answer of the app to some of their requests, with what these are. A
/// queue route gives them nothing but the acknowledgement.
const WANT_ANSWERS: [(&str, &str); 3] = [
    ("slack", "slash commands and interactions"),
    ("twilio", "incoming calls and messages"),
    ("plivo", "incoming calls and messages"),
];

/// The provider whose every request wants an answer.
const ONLY_ANSWERS: &str = "discord-interactions";

/// Judges the settings of a route that could be read. What its `max_body` may be is judged in
/// [`super::checks`].
pub(super) fn judge(draft: &Draft<'_>, state: &State, findings: &mut Findings) {
    let Some(route) = &draft.route else { return };
    let table = &draft.table;
    let is_written = |key: &str| table.span_of(key) != table.span();
    if route.queue.order_by == Some(OrderBy::Account) && route.scheme.account.is_none() {
        findings.problem(
            table.span_of("queue.order_by"),
            "`order_by = \"account\"` needs an account, and the scheme names no place for it",
            "say where it is, as in `account = { json = \"/organization\" }`, or order by a pointer",
        );
    }
    match route.mode {
        Mode::Queue => {
            for (key, message, help) in problems(route, table, state) {
                findings.problem(place(route, table, key), message, help);
            }
            warn(route, table, state, findings);
        }
        Mode::Relay if is_written("queue") && !state.is_named => findings.warn(
            table.span_of("queue"),
            WarningName::NoEffect,
            format!(
                "route `{}`: `[route.queue]` has no effect: nothing is kept on disk without `[state] dir`",
                route.name
            ),
        ),
        // The table holds for what the route took before, so it is no mistake for some time.
        Mode::Relay if is_written("queue") => findings.warn(
            table.span_of("queue"),
            WarningName::NoEffect,
            format!(
                "route `{}`: `[route.queue]` is set and `mode` is `\"relay\"`: new deliveries are not queued, \
                 and the table holds only for what was queued before. Write `mode = \"queue\"`; after a move \
                 back, `acknowledge = [\"no-effect\"]` until the backlog is delivered",
                route.name
            ),
        ),
        Mode::Relay => {}
    }
}

/// What a route in queue mode may not have: the key, the message and the correction.
fn problems(
    route: &Route,
    table: &Table<'_>,
    state: &State,
) -> Vec<(&'static str, String, &'static str)> {
    let mut found = Vec::new();
    let mut refuse = |key, why: &str, help| {
        let message = format!("route `{}`: {why}", route.name);
        found.push((key, message, help));
    };
    let scheme = &route.scheme;
    if !state.is_named {
        refuse(
            "mode",
            "`mode = \"queue\"` keeps deliveries on disk, and no directory for them is named",
            "add `[state]` with `dir = \"/var/lib/verigate\"`, or leave `mode` out",
        );
    }
    if !route.enforce {
        refuse(
            "enforce",
            "shadow mode (`enforce = false`) forwards what is not proved, and a queue route acknowledges \
             only what is",
            "leave `mode` out until the route enforces its verdicts",
        );
    }
    if !route.replay.enabled {
        let help = if table.span_of("replay") == table.span() {
            "write `replay = {}`, if no two of the provider's events are alike, or leave `mode` out"
        } else {
            "leave `replay` out, or leave `mode` out"
        };
        refuse(
            "replay",
            "queue mode needs replay protection, which is off: a copy of an accepted delivery would be \
             accepted and delivered again",
            help,
        );
    }
    if matches!(route.accounts, Accounts::Any) {
        refuse(
            "accounts",
            "with `accounts = \"any\"` everybody who has an account with the provider could fill the disk",
            "list your accounts, or leave `mode` out",
        );
    }
    if scheme.provider == ONLY_ANSWERS {
        refuse(
            "provider",
            "Discord waits for the app's answer to each interaction, and a queue route answers before the \
             app has the delivery",
            "leave `mode` out",
        );
    } else if scheme.repeats.is_some() {
        refuse(
            "repeats",
            "`repeats` is for requests that come again because they want another answer of the app, and a \
             queue route answers before the app has the delivery",
            "write `repeats = \"off\"`, or leave `mode` out",
        );
    }
    if state.is_named && !state.names_keys && has_credential_in_body(scheme) {
        refuse(
            "mode",
            "its deliveries have the secret itself in the body, which would lie on the disk for everybody to \
             read who gets the disk",
            "name a key that encrypts them: `keys = [\"file:/etc/verigate/state.key\"]` in `[state]`, from \
             `openssl rand -base64 32`",
        );
    }
    found
}

/// Whether deliveries carry the secret itself in their body. In a header it is left out of what is
/// stored, but a body is stored as it is.
fn has_credential_in_body(scheme: &Scheme) -> bool {
    scheme.is_credential() && scheme.proof.headers().is_empty()
}

/// Warns about settings of a route in queue mode that are allowed and probably not meant.
fn warn(route: &Route, table: &Table<'_>, state: &State, findings: &mut Findings) {
    let (scheme, queue) = (&route.scheme, &route.queue);
    let mut warn = |key: &str, name, message: &str| {
        let message = format!("route `{}`: {message}", route.name);
        findings.warn(place(route, table, key), name, message);
    };
    let wants = WANT_ANSWERS
        .iter()
        .find(|(provider, _)| *provider == scheme.provider);
    if let Some((_, requests)) = wants {
        let message = format!(
            "the provider wants an answer of your app to {requests}, and gets only the acknowledgement of \
             the queue: use `mode = \"queue\"` for its events alone"
        );
        warn("mode", WarningName::WantsAnswer, &message);
    }
    if !vouches(route) {
        warn(
            "mode",
            WarningName::LateAttempts,
            "it has neither `[route.resign]` nor `upstream_headers`: an attempt may come hours after the \
             provider signed the delivery, and an app that still verifies it with a tolerance refuses it",
        );
    }
    if queue.max_bytes < route.max_body {
        let message = format!(
            "its queue has `max_bytes` {}, less than a single body of `max_body` ({}): such a delivery is \
             always answered `queue_full`",
            written_size(queue.max_bytes),
            written_size(route.max_body)
        );
        let key = if is_in_queue(table, "max_bytes") {
            "queue.max_bytes"
        } else {
            "max_body"
        };
        warn(key, WarningName::QueueRoom, &message);
    }
    let no_effect = |key: &str, message: &str| {
        is_in_queue(table, key).then(|| (format!("queue.{key}"), message.to_owned()))
    };
    let mut idle: Vec<(String, String)> = Vec::new();
    if scheme.ack.is_some() {
        let message =
            "the provider expects an answer of its own (`ack`), so `answer` has no effect";
        idle.extend(no_effect("answer", message));
    }
    if queue.max_bytes > state.max_bytes {
        let message = "the route's `max_bytes` is above that of `[state]`, so it limits nothing";
        idle.extend(no_effect("max_bytes", message));
    }
    if queue.max_deliveries > state.max_deliveries {
        let message =
            "the route's `max_deliveries` is above that of `[state]`, so it limits nothing";
        idle.extend(no_effect("max_deliveries", message));
    }
    let longest = queue.retry.iter().max();
    if let Some(longest) = longest.filter(|pause| **pause > queue.max_age) {
        let message = format!(
            "`retry` has a pause of {}, which is longer than `max_age` ({}): the attempt after it is the \
             last one",
            written_duration(*longest),
            written_duration(queue.max_age)
        );
        idle.extend(no_effect("retry", &message));
    }
    for (key, message) in idle {
        warn(&key, WarningName::NoEffect, &message);
    }
}

/// Whether `[route.queue]` writes this key.
fn is_in_queue(table: &Table<'_>, key: &str) -> bool {
    let own = table.span_of(&format!("queue.{key}"));
    own != table.span() && own != table.span_of("queue")
}

/// Whether the app can know by something else than the provider's signature that a request came
/// through the gateway: by a signature of the gateway, or by a header.
fn vouches(route: &Route) -> bool {
    route.resign.is_some() || !route.upstream_headers.is_empty()
}
