//! Warnings about a route, once its scheme, secrets and settings are put together.

use super::problems::problems;
use super::{CUSTOM, ROUTE, good, read, warned};
use crate::config::presets;
use crate::config::presets::Family;
use crate::config::{Config, Warning, WarningName};
use crate::notation::timestamp::Tolerance;

/// A route with a scheme of its own; `own` are lines of the route, `scheme` lines of the scheme.
fn custom(own: &str, scheme: &str) -> String {
    let head = CUSTOM.split("[route.scheme]").next().unwrap();
    format!("{head}{own}\n[route.scheme]\n{scheme}\n")
}

fn preset(name: &str, own: &str) -> String {
    ROUTE.replace("itellico", name) + own
}

/// The warnings of a file, without those of events that look alike: most schemes of these tests sign
/// no id.
fn others(config: &Config) -> Vec<&Warning> {
    let others = config.warnings.iter();
    others
        .filter(|warning| warning.name != WarningName::AlikeEvents)
        .collect()
}

/// Asserts that each text loads with exactly one warning but for events that look alike, which says
/// these words of the route.
fn each_warns(rows: &[(String, &str)]) {
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        match read(text) {
            Ok(config) if others(&config).len() == 1 && warned(&config).contains(expected) => {}
            Ok(config) => wrong.push(format!("wanted: {expected}\n{:#?}", config.warnings)),
            Err(problems) => wrong.push(format!("wanted: {expected}\n{problems}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const EVENT: &str = "algorithm = \"hmac-sha256\"\nsigned = \"{timestamp}.{body}\"\nsignature = { header = \"X-S\" }\n\
    timestamp = { header = \"X-T\", stamped = \"event\" }";
const JWT: &str = "algorithm = \"jwt\"\n\
    jwt = { header = \"X-J\", algorithms = [\"HS256\"], max_age = \"10m\", leeway = \"5s\", body_digest = { claim = \"h\" } }";

#[test]
fn what_is_weak_is_warned_about() {
    let hash = |algorithm: &str, signed: &str| {
        custom(
            "",
            &format!(
                "algorithm = \"{algorithm}\"\nsigned = \"{signed}\"\nsignature = {{ header = \"X-S\" }}"
            ),
        )
    };
    each_warns(&[
        (
            custom(
                "",
                "algorithm = \"token\"\nsignature = { header = \"X-T\" }",
            ),
            "a.toml:9: route `c`: the secret itself",
        ),
        (
            custom("", "algorithm = \"basic\""),
            "the secret itself is sent and nothing is signed",
        ),
        (
            custom(
                "",
                "algorithm = \"hmac-sha256\"\ncode = \"dropbox-sign\"\ntolerance = \"5m\"",
            ),
            "does not cover the body",
        ),
        (
            custom("", &JWT.replace(", body_digest = { claim = \"h\" }", "")),
            "does not cover the body, so nothing authenticates it",
        ),
        (
            hash("sha256", "{secret}{body}"),
            "a.toml:9: route `c`: a plain hash with the secret before",
        ),
        (
            hash("sha1", "{body}{secret}"),
            "two contents made to collide",
        ),
        (
            custom("", EVENT),
            "its timestamps are the events' own and may be of any age",
        ),
        (
            custom("tolerance = \"off\"", EVENT),
            "`tolerance` is off: timestamps may be of any age",
        ),
        (
            custom("", &JWT.replace("10m", "off")),
            "a.toml:9: route `c`: `max_age` is off",
        ),
        (
            custom("tolerance = \"1m\"", JWT),
            "the token tells how long it holds",
        ),
        (
            custom(
                "future_tolerance = \"1m\"",
                &EVENT
                    .replace("{timestamp}.", "")
                    .replace("timestamp = { header = \"X-T\", stamped = \"event\" }", ""),
            ),
            "`future_tolerance` has no effect",
        ),
        (
            custom("", JWT) + "[replay]\non_error = \"memory\"\n",
            "`on_error` has no effect: the window is in memory alone without `[state] dir`",
        ),
    ]);
    assert_eq!(others(&good(&custom("", JWT))), [] as [&Warning; 0]);
    assert_eq!(
        others(&good(&custom("tolerance = \"1h\"", EVENT))),
        [] as [&Warning; 0]
    );
    assert_eq!(good(&custom("", EVENT)).routes[0].tolerance, Tolerance::Off);
    assert_eq!(
        good(&custom("", EVENT)).routes[0].replay.statuses.on_replay,
        200
    );
}

#[test]
fn a_preset_that_is_doubtful_says_so_at_the_line_that_names_it() {
    let warnings = |name: &str| {
        read(&preset(name, ""))
            .map(|config| warned(&config))
            .unwrap_or_default()
    };
    // Presets of this family need nothing but a secret.
    let simple = || {
        presets::all()
            .iter()
            .filter(|known| known.family == Family::BodyHmac)
    };
    assert!(simple().any(|known| !known.is_documented()));
    for known in simple() {
        // Some want a key in hexadecimal.
        let Ok(config) = read(&preset(&known.name, "")) else {
            continue;
        };
        let (name, shown) = (&known.name, warned(&config));
        let doubt = "a.toml:4: route `a`: unconfirmed: the facts do not come from";
        assert_eq!(
            shown.contains(doubt),
            !known.is_documented(),
            "{name}: {shown}"
        );
        // A preset without a vector may come again.
        assert_eq!(
            shown.contains("no test vector exists"),
            !known.proved,
            "{name}: {shown}"
        );
    }
    let shown = warnings("github");
    assert!(
        !shown.is_empty() && !shown.contains("unconfirmed") && !shown.contains("no test vector"),
        "{shown}"
    );
    // The alias is warned about too: the scheme bears the preset's own name.
    assert_eq!(good(&preset("gh", "")).routes[0].scheme.provider, "github");
}

#[test]
fn a_provider_that_is_none_of_ours_is_told_why() {
    let shown = problems(&preset("paypal", ""));
    assert!(
        shown.contains("`route.provider`") && shown.contains("CRC-32"),
        "{shown}"
    );
}

#[test]
fn a_route_whose_secrets_have_all_expired_is_warned_about() {
    let secrets = |list: &str| ROUTE.replace("[\"env:S\"]", list);
    let (old, new) = (
        "not_after = \"2025-01-01T00:00:00Z\"",
        "not_before = \"2030-01-01T00:00:00Z\"",
    );
    let entry =
        |name: &str, bound: &str| format!("{{ name = \"{name}\", value = \"env:S\", {bound} }}");
    let dead = [
        format!("[{}]", entry("a", old)),
        format!("[{}]", entry("a", new)),
        format!("[{}, {}]", entry("a", old), entry("b", new)),
    ];
    for list in dead {
        let warnings = warned(&good(&secrets(&list)));
        assert!(
            warnings.contains("a.toml:5: route `a`: none of its secrets is active now"),
            "{list}: {warnings}"
        );
    }
    let warnings = warned(&good(&secrets(&format!(
        "[{}, \"env:S\"]",
        entry("a", old)
    ))));
    assert!(!warnings.contains("none of its secrets"), "{warnings}");
}

#[test]
fn a_url_that_is_signed_must_be_known() {
    let url_digest = JWT.replace("body_digest", "url_digest = { claim = \"u\" }, body_digest");
    for scheme in [
        "algorithm = \"hmac-sha1\"\ncode = \"twilio\"",
        "algorithm = \"hmac-sha256\"\ncode = \"plivo-v3\"",
        url_digest.as_str(),
    ] {
        let shown = problems(&custom("", scheme));
        assert!(
            shown.contains("the URL is signed, but the route has no `public_url`"),
            "{shown}"
        );
        let own = "public_url = \"https://hooks.example.com\"";
        assert_eq!(problems(&custom(own, scheme)), "no problem");
    }
}

#[test]
fn the_replay_window_outlives_a_token() {
    let ttl = |ttl: &str, scheme: &str| {
        problems(&custom(&format!("replay = {{ ttl = \"{ttl}\" }}"), scheme))
    };
    // Ten minutes, the leeway twice, and the time that a body may take.
    assert!(
        ttl("639s", JWT).contains("set `ttl` to at least 640s"),
        "{}",
        ttl("639s", JWT)
    );
    assert_eq!(ttl("640s", JWT), "no problem");
    assert_eq!(
        ttl("1s", &JWT.replace("max_age = \"10m\", ", "")),
        "no problem",
        "its end is not known beforehand"
    );
    assert_eq!(ttl("1s", EVENT), "no problem");
}

#[test]
fn events_that_look_alike_are_named_with_the_key_that_mends_it() {
    let body = |own: &str, scheme: &str| {
        custom(
            own,
            &format!(
                "algorithm = \"hmac-sha256\"\nsigned = \"{{body}}\"\nsignature = {{ header = \"X-S\" }}\n{scheme}"
            ),
        )
    };
    let rows = [
        (
            body("", ""),
            Some("two events with the same body look alike"),
        ),
        (custom("", EVENT), Some("in the same second look alike")),
        (body("replay = \"off\"", ""), None),
        (body("", "events_repeat = true"), None),
        (body("event_id = { json = \"/id\" }", ""), None),
        (body("repeats = { most = 1, within = \"1m\" }", ""), None),
        (
            preset("ably", ""),
            Some("two events with the same body look alike"),
        ),
        (
            preset("buildkite", ""),
            Some("in the same second look alike"),
        ),
        (
            preset("github", ""),
            Some(
                "two events with the same body (as two runs of `workflow_dispatch` with the same inputs",
            ),
        ),
        (
            preset("shopify", ""),
            Some("(as of `inventory_levels/disconnect`"),
        ),
        (
            preset("paystack", ""),
            Some("(as of `customeridentification.failed`"),
        ),
        (preset("line", ""), None),
        (preset("xero", ""), None),
        (preset("stripe", ""), None),
    ];
    for (text, expected) in rows {
        let config = good(&text);
        let named: Vec<_> = config
            .warnings
            .iter()
            .filter(|warning| warning.name == WarningName::AlikeEvents)
            .map(|warning| warning.message.clone())
            .collect();
        let is_right = expected.map_or(named.is_empty(), |words| {
            named.len() == 1 && named[0].contains(words) && named[0].contains("`event_id`")
        });
        assert!(is_right, "{text}\n{named:?}");
    }
}

#[test]
fn a_type_that_the_preset_does_not_know_is_named() {
    let config = good(&preset(
        "itellico",
        "event_types = [\"conversation.ended\", \"conversation.end\"]\n",
    ));
    let shown = warned(&config);
    assert!(
        shown.contains("lists `conversation.end`,") && config.warnings.len() == 1,
        "{shown}"
    );
}

#[test]
fn what_remains_of_an_unsigned_type_is_said() {
    for (own, words) in [
        ("", "once under three other types"),
        (
            "event_types = [\"orders/create\", \"orders/paid\"]\n",
            "each of the 2 types of `event_types`",
        ),
    ] {
        let shown = warned(&good(&preset("shopify", own)));
        assert!(shown.contains(words), "{shown}");
    }
    let shown = warned(&good(&preset("github", "")));
    assert!(shown.contains("until a delivery is done"), "{shown}");
}

#[test]
fn a_route_takes_as_much_as_its_provider_sends_within_the_budget() {
    let github = ROUTE.replace("itellico", "github");
    let largest = |server: &str, more: &str| {
        let config = good(&format!("{server}{github}{more}"));
        let warned = config
            .warnings
            .iter()
            .any(|w| w.name == WarningName::ProviderBody);
        (config.routes[0].max_body, warned)
    };
    assert_eq!(largest("", ""), (25 << 20, false));
    assert_eq!(largest("", "max_body = \"64MiB\"\n"), (64 << 20, false));
    assert_eq!(largest("", "max_body = \"1MiB\"\n"), (1 << 20, true));
    // A quarter of the budget is the most that a client may hold.
    let small = |size: &str| format!("[server]\nmax_buffered = \"{size}\"\n");
    assert_eq!(largest(&small("40MiB"), ""), (10 << 20, true));
    assert_eq!(largest(&small("4MiB"), ""), (1 << 20, true));
    assert_eq!(good(ROUTE).routes[0].max_body, 1 << 20);
}
