//! Judgements on a route as a whole, once its scheme, secrets and settings are known (contract:
//! Configuration, Providers; schemes: What is refused): a route that cannot work is a problem, a
//! setting that is allowed but weak is a warning.
//!
//! Conflicts between routes are found in [`super::checks`].

use std::sync::Arc;

use super::accounts;
use super::handshake::HandshakeMode;
use super::placeholders;
use super::presets;
use super::public_keys::public_keys;
use super::queue::Mode;
use super::reader::{Findings, Table};
use super::resign_checks;
use super::route::{Draft, Route};
use super::scheme::CUSTOM;
use super::secrets;
use super::units::{written_duration, written_size};
use super::warning::WarningName;
use crate::clock::UnixMillis;
use crate::key::secret::Secret;
use crate::notation::timestamp::Tolerance;
use crate::scheme::Scheme;
use crate::verify::verifier::Verifier;

/// Judges a route, if all of it could be read. `now` is the moment of loading.
pub(super) fn judge(draft: &Draft<'_>, now: UnixMillis, findings: &mut Findings) {
    let Some(route) = &draft.route else { return };
    let table = &draft.table;
    let place = |key: &str| place(route, table, key);
    let settings = route.settings();
    for fault in route.scheme.faults(&settings) {
        findings.problem(place(fault.key), fault.message, fault.help);
    }
    for (item, secret) in &draft.secrets {
        if let Err(fault) = Verifier::new(
            Arc::clone(&route.scheme),
            vec![secret.clone()],
            settings.clone(),
        ) {
            let message = format!(
                "the secret `{}` is no key of this scheme: {}",
                secret.name, fault.why
            );
            findings.problem(
                item.span(),
                message,
                secrets::correction(&route.scheme, &secret.text),
            );
        } else {
            secrets::judge(&route.scheme, item, secret, findings);
        }
    }
    route
        .handshake
        .judge(&route.scheme, &route.secrets, table, findings);
    accounts::judge(&route.name, &route.accounts, &route.scheme, table, findings);
    placeholders::judge(route, table, findings);
    learning(route, table, findings);
    resign_checks::judge(route, table, forwards_unproved(route), findings);
    for (key, name, message) in warnings(route, table, now) {
        let message = format!("route `{}`: {message}", route.name);
        findings.warn(place(key), name, message);
    }
}

/// The place of a key of the scheme: in `[route.scheme]`, or beside it in the route; where the
/// preset sets the key, the place of `provider`.
pub(super) fn place(route: &Route, table: &Table<'_>, key: &str) -> std::ops::Range<usize> {
    let own = table.span_of(key);
    match route.scheme.provider == CUSTOM {
        true if own == table.span() => table.span_of(&format!("scheme.{key}")),
        false if own == table.span() => table.span_of("provider"),
        _ => own,
    }
}

/// Refuses a secret that comes with a handshake where the gateway does not answer the handshake.
fn learning(route: &Route, table: &Table<'_>, findings: &mut Findings) {
    if route.learn.is_some() && route.handshake.mode != HandshakeMode::Answer {
        let message = "`learn:` waits for a handshake that this route does not answer";
        let help = "leave `mode` out, or name the secret itself in `secrets`";
        findings.problem(table.span_of("handshake.mode"), message, help);
    }
}

/// Every setting that is allowed but worth a sentence, with the key that the sentence is about.
fn warnings(
    route: &Route,
    table: &Table<'_>,
    now: UnixMillis,
) -> Vec<(&'static str, WarningName, String)> {
    let scheme = &route.scheme;
    let mut found: Vec<(&'static str, WarningName, String)> = Vec::new();
    let mut warn = |key, name, message: &str| found.push((key, name, message.to_owned()));
    if !route.enforce {
        warn(
            "enforce",
            WarningName::ShadowMode,
            "shadow mode (`enforce = false`): deliveries are forwarded whatever their verdict",
        );
    }
    if !route.upstream_headers.is_empty() && forwards_unproved(route) {
        warn(
            "upstream_headers",
            WarningName::HeadersOnValid,
            "`upstream_headers` are set on valid deliveries alone: what shadow mode lets pass and the \
             handshakes for your app come without them",
        );
    }
    if !route.replay.enabled {
        warn(
            "replay",
            WarningName::ReplayOff,
            "replay protection is off: a captured delivery can be sent again",
        );
    }
    if let Some(largest) = presets::find(&scheme.provider)
        .and_then(|preset| preset.max_body)
        .filter(|largest| *largest > route.max_body)
    {
        let message = format!(
            "its provider sends bodies of up to {}, and `max_body` is {}: larger ones are refused",
            written_size(largest),
            written_size(route.max_body)
        );
        warn("max_body", WarningName::ProviderBody, &message);
    }
    if let Some((key, name, message)) = freshness(route, table) {
        warn(key, name, message);
    }
    if scheme.is_credential() {
        warn(
            "signature",
            WarningName::SecretInDelivery,
            "the secret itself is sent and nothing is signed: whoever sees a delivery can forge others",
        );
    } else if !scheme.covers_body() {
        warn(
            "covers_body",
            WarningName::UnsignedBody,
            match route.resign {
                Some(_) => {
                    "the signature does not cover the body, so nothing authenticates it, and `resign` signs it"
                }
                None => "the signature does not cover the body, so nothing authenticates it",
            },
        );
    }
    if let Some(weakness) = scheme.weakness() {
        warn("signed", WarningName::WeakHash, weakness);
    }
    if let Some((name, doubt)) = doubt(scheme) {
        warn("provider", name, doubt);
    }
    if route.learn.is_some() && route.secrets.is_empty() {
        warn(
            "secrets",
            WarningName::SecretAwaited,
            "there is no secret until the provider's handshake brings it; deliveries before that are \
             answered with 503",
        );
    } else if !route.secrets.is_empty()
        && !route
            .secrets
            .iter()
            .any(|secret| is_active(scheme, secret, now))
    {
        warn(
            "secrets",
            WarningName::NoActiveSecret,
            "none of its secrets is active now: every delivery is refused",
        );
    }
    if route.replay.enabled && scheme.type_is_beside() {
        found.push((
            "event_type",
            WarningName::UnsignedType,
            unsigned_type(route),
        ));
    }
    let preset = presets::find(&scheme.provider).filter(|_| scheme.provider != CUSTOM);
    let is_distinct = preset.is_some_and(|preset| preset.distinct.is_some());
    if let Some(alike) = scheme.alike_events()
        && route.replay.enabled
        && !is_distinct
    {
        found.push((
            "event_id",
            WarningName::AlikeEvents,
            alike_events(
                route,
                alike,
                preset.and_then(|preset| preset.alike.as_deref()),
            ),
        ));
    }
    let unknown = preset
        .filter(|preset| !preset.types.is_empty())
        .zip(route.event_types.as_ref())
        .into_iter()
        .flat_map(|(preset, types)| types.iter().filter(move |own| !preset.types.contains(*own)));
    for unknown in unknown {
        let message = format!(
            "`event_types` lists `{unknown}`, which is none of the types that are known of this provider"
        );
        found.push(("event_types", WarningName::UnknownType, message));
    }
    found
}

/// Whether the route forwards anything that has not the verdict `valid`.
fn forwards_unproved(route: &Route) -> bool {
    let forwards_handshakes = route.scheme.handshake.is_some_and(|handshake| {
        let is_for_app =
            handshake.is_for_app() || (handshake.brings_secret() && route.learn.is_none());
        match route.handshake.mode {
            HandshakeMode::Forward => true,
            HandshakeMode::Answer => is_for_app,
            HandshakeMode::Off => false,
        }
    });
    !route.enforce || forwards_handshakes
}

/// The rest of the risk with a type that no signature covers (contract: Beside an entry).
fn unsigned_type(route: &Route) -> String {
    if !route.scheme.types_share_bodies {
        return "no signature covers the event type: until a delivery is done, a captured copy of it can be sent \
                under another type"
            .to_owned();
    }
    let most = match &route.event_types {
        Some(types) => format!("each of the {} types of `event_types`", types.len()),
        None => "three other types; `event_types` narrows that".to_owned(),
    };
    format!(
        "no signature covers the event type, and events of different types may have the same body: a captured \
         delivery can be sent again once under {most}"
    )
}

/// The events that count as one although they are two, and the keys that mend it. `known` names such
/// events of the provider.
fn alike_events(route: &Route, alike: &str, known: Option<&str>) -> String {
    let known = known.map_or_else(String::new, |known| format!(" ({known})"));
    let own = if route.scheme.provider == CUSTOM {
        "; a scheme whose events are alike by design has `events_repeat = true`"
    } else {
        ""
    };
    // Queue mode refuses `replay = "off"`, and so does a route that signs anew.
    let mend = match route.mode {
        _ if route.resign.is_some() => "or shorten `ttl` in `[route.replay]`",
        Mode::Relay => "or write `replay = \"off\"`",
        Mode::Queue => {
            "shorten `ttl` in `[route.replay]`, or write `mode = \"relay\"` with `replay = \"off\"`"
        }
    };
    format!(
        "{alike}{known} look alike and count as one event for {}: the second is answered as a duplicate and not \
         forwarded. Where that can happen, name a signed id with `event_id`, {mend}{own}",
        written_duration(route.replay.ttl)
    )
}

/// The warning about the tolerances, if they deserve a warning.
fn freshness(
    route: &Route,
    table: &Table<'_>,
) -> Option<(&'static str, WarningName, &'static str)> {
    let scheme = &route.scheme;
    let written = ["tolerance", "future_tolerance"]
        .into_iter()
        .find(|key| table.span_of(key) != table.span());
    if let Some(rule) = scheme.token_rule() {
        if rule.timeless {
            return Some((
                "jwt.max_age",
                WarningName::ToleranceOff,
                "`max_age` is off: a token may be of any age",
            ));
        }
        return Some((
            written?,
            WarningName::NoEffect,
            "the token tells how long it holds, so the route's tolerance has no effect",
        ));
    }
    if !scheme.has_timestamp() {
        let message = match written? {
            "tolerance" => "its scheme has no timestamp, so `tolerance` has no effect",
            _ => "its scheme has no timestamp, so `future_tolerance` has no effect",
        };
        return Some((written?, WarningName::NoEffect, message));
    }
    if route.tolerance == Tolerance::Off && scheme.is_stamped_by_event() && written.is_none() {
        let message = "its timestamps are the events' own and may be of any age: only the replay window \
                       recognises an old delivery. If you know for how long the provider retries, write \
                       that as `tolerance`";
        return Some(("tolerance", WarningName::EventTime, message));
    }
    if let (Tolerance::Within(own), Tolerance::Within(horizon)) =
        (route.tolerance, scheme.tolerance)
        && scheme.is_stamped_by_event()
        && own < horizon
    {
        let message = "its timestamps are the events' own, so a retry carries the old timestamp: `tolerance` is \
                       shorter than the time for which the provider retries, and later retries are refused";
        return Some(("tolerance", WarningName::ShortTolerance, message));
    }
    if route.tolerance == Tolerance::Off {
        return Some((
            "tolerance",
            WarningName::ToleranceOff,
            "`tolerance` is off: timestamps may be of any age",
        ));
    }
    let is_off = route.future_tolerance == Tolerance::Off;
    is_off.then_some((
        "future_tolerance",
        WarningName::FutureToleranceOff,
        "`future_tolerance` is off: timestamps may lie anywhere in the future",
    ))
}

/// The doubt about the preset, if its facts or its scheme are not confirmed.
fn doubt(scheme: &Scheme) -> Option<(WarningName, &'static str)> {
    let preset = presets::find(&scheme.provider).filter(|_| scheme.provider != CUSTOM)?;
    match (preset.is_documented(), preset.proved) {
        (true, true) => None,
        (true, false) => Some((
            WarningName::NoVector,
            "no test vector exists for this provider: check that a real delivery is accepted",
        )),
        (false, true) => Some((
            WarningName::Unconfirmed,
            "unconfirmed: the facts do not come from the provider itself; check that a real delivery \
             is accepted",
        )),
        (false, false) => Some((
            WarningName::Unconfirmed,
            "unconfirmed: the facts do not come from the provider itself, and no test vector exists; check that a real \
             delivery is accepted",
        )),
    }
}

/// Whether a secret, or a key that it holds, may prove a delivery at `now`.
fn is_active(scheme: &Scheme, secret: &Secret, now: UnixMillis) -> bool {
    let keys = public_keys(scheme, secret);
    secret.is_active(now)
        && (keys.is_empty() || keys.iter().any(|key| key.validity().includes(now)))
}
