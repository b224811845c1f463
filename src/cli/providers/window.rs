//! The replay window in words: what a delivery is known by, how a copy of it is answered, and for how
//! long it is remembered (contract: Keys, Seen again).

use std::time::Duration;

use super::places::place_in;
use crate::cli::check::identity;
use crate::config::presets::Preset;
use crate::config::replay::DEFAULT_TTL;
use crate::config::units::written_duration;
use crate::scheme::Scheme;

const DAY: u64 = 24 * 3600;

/// The identity of a delivery in the replay window (contract: Keys).
pub(super) fn replay_key(scheme: &Scheme) -> String {
    if scheme.events_repeat {
        return "nothing: two events may be alike, byte for byte, so replay protection is off and a \
                captured delivery can be sent again. `replay = {}` on the route turns it on, and an event \
                like an earlier one is then taken for a duplicate"
            .to_owned();
    }
    match &scheme.event_id {
        Some(id) if scheme.id_is_signed() => {
            let without = if scheme.event_id_required {
                ""
            } else {
                "; without an id the signed content"
            };
            format!(
                "the event's id, {}, which is signed{without}",
                place_in(scheme, id)
            )
        }
        id => {
            let content = if scheme.is_credential() {
                "the body, which nothing signs"
            } else {
                "the signed content"
            };
            let names = id.as_ref().map(|id| {
                format!(
                    "; the id, {}, is not signed and only names the event",
                    place_in(scheme, id)
                )
            });
            let beside = [
                (
                    scheme.type_is_beside(),
                    "; the event type is kept beside it",
                ),
                (
                    scheme.bodies_are_beside(),
                    "; four bodies are kept beside it",
                ),
            ];
            let beside = beside.into_iter().filter(|(is, _)| *is);
            let beside: String = beside.map(|(_, words)| words).collect();
            let repeats = scheme.repeats.map(|repeats| {
                format!(
                    "; the same request is forwarded {} times more within {}",
                    repeats.most,
                    written_duration(repeats.within)
                )
            });
            format!(
                "{content}{}{beside}{}",
                names.unwrap_or_default(),
                repeats.unwrap_or_default()
            )
        }
    }
}

/// The identity of a delivery in a word or two, for a table: `off` where no delivery is claimed.
pub(super) fn replay_name(scheme: &Scheme) -> &'static str {
    if scheme.events_repeat {
        "off"
    } else {
        identity(scheme)
    }
}

/// The answer to a copy of a delivery that is done (contract: Seen again); `None` where no delivery
/// is claimed.
pub(super) fn seen_again(scheme: &Scheme) -> Option<&'static str> {
    if scheme.events_repeat {
        return None;
    }
    Some(match (scheme.signs_timestamp(), scheme.id_is_signed()) {
        _ if scheme.repeats.is_some() => "200, as a duplicate, once the repeats are used up",
        (true, _) if scheme.may_retry_unchanged() => {
            "200, as a duplicate: an honest retry may carry the same time and look the same"
        }
        (true, true) => {
            "409 for the very same delivery; 200, as a duplicate, for the same event under another time"
        }
        (true, false) => {
            "409 for the very same delivery; under another time it counts as a new one"
        }
        _ if scheme
            .token_rule()
            .is_some_and(|rule| rule.timeless && !rule.is_detached()) =>
        {
            "409 for the very same token where it says when it was made; else 200, as a duplicate"
        }
        (false, _) => "200, as a duplicate: no time is signed, so an honest retry looks the same",
    })
}

/// The advised time for which a done event is remembered: as long as the provider retries, in whole
/// days, and never shorter than the default.
pub(super) fn advised_ttl(preset: &Preset) -> Duration {
    let days = preset
        .horizon
        .map_or(0, |horizon| horizon.as_secs().div_ceil(DAY));
    DEFAULT_TTL.max(Duration::from_secs(days * DAY))
}

/// The advised time as it is written in a file; `None` where the default is enough.
pub(super) fn longer_ttl(preset: &Preset) -> Option<String> {
    let ttl = advised_ttl(preset);
    (ttl > DEFAULT_TTL).then(|| written_duration(ttl))
}

/// The `ttl` that follows from the provider's retries; `None` where no delivery is claimed, so that
/// a route has no use for a `ttl`.
pub(super) fn remembered(preset: &Preset) -> Option<String> {
    if preset.scheme.events_repeat {
        return None;
    }
    Some(match (preset.horizon, longer_ttl(preset)) {
        (None, _) if preset.never_retries() => {
            "the default of 72h, which keeps captured copies out; no retry needs it".to_owned()
        }
        (None, _) if preset.retries.starts_with("not known") => {
            "the default of 72h, which is our choice".to_owned()
        }
        (None, _) => {
            "the default of 72h, which is our choice: it is not known for how long it retries"
                .to_owned()
        }
        (Some(horizon), None) => {
            format!(
                "the default of 72h, which is enough: it retries for {}",
                written_duration(horizon)
            )
        }
        (Some(horizon), Some(ttl)) => format!(
            "`ttl = \"{ttl}\"`, as in the route below: it retries for {}",
            written_duration(horizon)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{After4xx, all, find};

    #[test]
    fn a_window_is_advised_that_outlives_the_retries() {
        let rows = [
            ("github", None),
            ("stripe", None),
            ("adyen", Some("30d")),
            ("chargebee", Some("4d")),
        ];
        for (name, expected) in rows {
            assert_eq!(
                longer_ttl(find(name).unwrap()).as_deref(),
                expected,
                "{name}"
            );
        }
        let mut preset = find("github").unwrap().clone();
        for (hours, expected) in [
            (1, None),
            (72, None),
            (73, Some("4d")),
            (96, Some("4d")),
            (97, Some("5d")),
        ] {
            preset.horizon = Some(Duration::from_secs(hours * 3600));
            assert_eq!(longer_ttl(&preset).as_deref(), expected, "{hours} hours");
        }
        for preset in all() {
            let ttl = advised_ttl(preset);
            assert!(
                preset.horizon.is_none_or(|horizon| horizon <= ttl),
                "{}",
                preset.name
            );
            assert!(
                ttl.as_secs().is_multiple_of(DAY) && ttl >= DEFAULT_TTL,
                "{}",
                preset.name
            );
        }
        for (name, words) in [
            ("stripe", "72h, which is enough: it retries for 3d"),
            ("adyen", "`ttl = \"30d\"`"),
            ("front", "our choice: it is not known for how long"),
            ("ably", "the default of 72h, which is our choice"),
            ("github", "no retry needs it"),
        ] {
            let shown = remembered(find(name).unwrap()).unwrap();
            assert!(shown.contains(words), "{name}: {shown}");
        }
        for preset in all() {
            let is_claimed = !preset.scheme.events_repeat;
            let shown = (remembered(preset), seen_again(&preset.scheme));
            assert_eq!(
                (shown.0.is_some(), shown.1.is_some()),
                (is_claimed, is_claimed),
                "{}",
                preset.name
            );
        }
    }

    #[test]
    fn a_provider_that_never_retries_is_not_said_to_retry() {
        let mut none = 0;
        for preset in all() {
            let sends_again = preset.horizon.is_some()
                || preset.after_4xx.contains(&After4xx::Retried)
                || preset.retries.contains("automatic redelivery");
            assert!(
                !(preset.never_retries() && sends_again),
                "{}: {}",
                preset.name,
                preset.retries
            );
            none += usize::from(preset.never_retries());
        }
        assert!(none > 10, "{none}");
    }

    #[test]
    fn the_answer_to_a_copy_is_said_as_the_window_gives_it() {
        for (name, words) in [
            ("stripe", "409 for the very same delivery; 200"),
            ("zoom", "409 for the very same delivery; under another"),
            ("github", "200, as a duplicate: no time is signed"),
            ("linear", "200, as a duplicate: an honest retry may carry"),
            (
                "mercadopago",
                "200, as a duplicate: an honest retry may carry",
            ),
            ("kinde", "409 for the very same token where"),
            ("saleor", "200, as a duplicate: no time is signed"),
            ("twilio", "once the repeats are used up"),
        ] {
            let shown = seen_again(&find(name).unwrap().scheme).unwrap();
            assert!(shown.contains(words), "{name}: {shown}");
        }
    }

    #[test]
    fn what_a_delivery_is_known_by_is_said_with_its_place() {
        let rows = [
            (
                "itellico",
                "the event's id, `/event_id` of the JSON body, which is signed",
            ),
            ("svix", "the event's id, header `Svix-Id`, which is signed"),
            (
                "github",
                "the signed content; the id, header `X-Github-Delivery`, is not signed and only names the event; the event type is kept beside it",
            ),
            (
                "contentful",
                "the signed content; the event type is kept beside it",
            ),
            (
                "dropbox-sign",
                "the signed content; four bodies are kept beside it",
            ),
            (
                "plivo",
                "the signed content; the same request is forwarded 20 times more within 4h",
            ),
            ("deepgram", "the body, which nothing signs"),
            (
                "wix",
                "the event's id, `/data/data/id` of the token's claims, which is signed; without an id the signed content",
            ),
            (
                "slack",
                "the event's id, `/event_id` of the JSON body, which is signed; without an id the signed content",
            ),
        ];
        for (name, expected) in rows {
            assert_eq!(replay_key(&find(name).unwrap().scheme), expected, "{name}");
        }
        let dropbox = replay_key(&find("dropbox").unwrap().scheme);
        assert!(
            dropbox.starts_with("nothing: two events may be alike"),
            "{dropbox}"
        );
    }
}
