//! Why the deliveries of routes wait, in words, each with the command or the change that ends it.

use serde_json::Value;

use super::shown::{distance, escaped, word};
use crate::cli::output::deliveries;
use crate::clock::UnixMillis;
use crate::notation::shell;

/// The members of `routes` in the answer to `GET /queue`, a line for each reason of each route.
/// `options` are those that the commands need to ask the same gateway.
pub(super) fn lines(routes: &Value, options: &str, now: UnixMillis) -> Vec<String> {
    let routes = routes.as_array().into_iter().flatten();
    let lines = routes.flat_map(|route| {
        let reasons = route.get("reasons").and_then(Value::as_array);
        let reasons = reasons.into_iter().flatten();
        // While an operator's pause lasts, what would delay deliveries otherwise does nothing.
        let is_paused = has_reason(route, "operator");
        let counts = move |reason: &&Value| {
            !is_paused || !matches!(word(reason, "reason").as_str(), "app" | "breaker" | "rate")
        };
        let reasons = reasons.filter(counts);
        reasons.map(move |reason| line(route, reason, options, now))
    });
    lines.collect()
}

/// Until when no delivery of a route is sent, also after a retry by hand: words behind "until".
/// `None` where nothing holds all of them back.
pub(super) fn held_until(routes: &Value, name: &str, options: &str) -> Option<String> {
    let routes = routes.as_array().into_iter().flatten();
    // A name is there twice where it had another provider.
    let same: Vec<&Value> = routes
        .filter(|route| word(route, "route") == name)
        .collect();
    let has = |kind| same.iter().any(|route| has_reason(route, kind));
    let (is_paused, is_removed) = (has("operator"), has("removed"));
    let resumed = format!(
        "`verigate queue resume {}` ends the pause of the route {name}",
        shell::argument(name, options)
    );
    let back = format!("the configuration has the route {name} with its provider again");
    match (is_paused, is_removed) {
        (true, true) => Some(format!("{back}, and {resumed}")),
        (true, false) => Some(resumed),
        (false, true) => Some(back),
        (false, false) => None,
    }
}

/// The names of the routes that an operator paused.
pub(super) fn paused(routes: &Value) -> Vec<String> {
    let routes = routes.as_array().into_iter().flatten();
    let paused = routes.filter(|route| has_reason(route, "operator"));
    let mut names: Vec<String> = paused.map(|route| word(route, "route")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn has_reason(route: &Value, kind: &str) -> bool {
    let reasons = route.get("reasons").and_then(Value::as_array);
    let mut reasons = reasons.into_iter().flatten();
    reasons.any(|reason| word(reason, "reason") == kind)
}

fn line(route: &Value, reason: &Value, options: &str, now: UnixMillis) -> String {
    let name = word(route, "route");
    let waiting = route.get("deliveries").and_then(Value::as_u64);
    let waiting = waiting.unwrap_or(0);
    let left = |member| distance(reason, member, |at| at.0.saturating_sub(now.0));
    let resume = format!(
        "`verigate queue resume {}`",
        shell::argument(&name, options)
    );
    let kind = word(reason, "reason");
    let words = match kind.as_str() {
        "operator" => {
            format!("an operator paused it, and no delivery is tried: {resume} ends that")
        }
        "app" => format!(
            "the app asked for a pause (503 with `Retry-After`), which ends in {}: {resume} ends it now",
            left("until")
        ),
        "breaker" => {
            let next = match left("next_probe_at") {
                none if none == "-" => "one is under way".to_owned(),
                left => format!("the next in {left}"),
            };
            format!(
                "the app does not take deliveries, so there are single probes, {next}: if it is mended, {resume} \
                 probes it now"
            )
        }
        "removed" => format!(
            "{} held, because the configuration has no route of this name and provider: put it back and reload, or \
             give them up by `verigate queue discard {}{options}`",
            is_or_are(waiting),
            shell::option("--route", &name)
        ),
        // A filter by the route's name would mean the deliveries of the route in force, too.
        "provider" => format!(
            "{} held, because the route had another provider when they came: give them their own route of that \
             provider and name and reload, or give them up one by one by `verigate queue discard ID{options}`",
            is_or_are(waiting)
        ),
        "held" => {
            let held = reason.get("deliveries").and_then(Value::as_u64);
            format!(
                "{} held, because the gateway cannot read them: put their key back into `[state] keys` and reload; \
                 `verigate state check` says whether the file is damaged",
                is_or_are(held.unwrap_or(0))
            )
        }
        "rate" => format!(
            "its `rate` holds deliveries up, the next for {}: a larger `rate` in its `[route.queue]` and a reload end \
             that",
            left("until")
        ),
        other => other.to_owned(),
    };
    format!("route {name}: {words}")
}

fn is_or_are(count: u64) -> String {
    let is = if count == 1 { "is" } else { "are" };
    format!("{} {is}", escaped(&deliveries(count)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_reason_is_a_line_with_what_ends_it() {
        let routes = json!([
            {"route": "a b\u{1b}", "deliveries": 3, "reasons": [
                {"reason": "operator"},
                {"reason": "held", "deliveries": 1},
                {"reason": "app", "until": "2025-06-15T15:07:10.000Z"},
                {"reason": "breaker", "next_probe_at": "2025-06-15T15:06:40.000Z"},
                {"reason": "rate", "until": "2025-06-15T15:06:41.000Z"},
            ]},
            {"route": "b", "deliveries": 3, "reasons": [
                {"reason": "app", "until": "2025-06-15T15:07:10.000Z"},
                {"reason": "breaker", "next_probe_at": "2025-06-15T15:06:45.000Z"},
                {"reason": "breaker", "next_probe_at": null},
                {"reason": "held", "deliveries": 2},
                {"reason": "rate", "until": "2025-06-15T15:06:41.000Z"},
            ]},
            {"route": "old", "deliveries": 1, "reasons": [{"reason": "removed"}]},
            {"route": "new", "deliveries": 2, "reasons": [{"reason": "provider"}]},
        ]);
        let lines = lines(&routes, " --config x.toml", UnixMillis(1_750_000_000_000));
        let expected: [&[&str]; 9] = [
            &[
                "an operator paused it",
                "`verigate queue resume 'a b\\u{1b}' --config x.toml`",
            ],
            &["1 delivery is held"],
            &["`Retry-After`", "in 30s", "queue resume b --config x.toml"],
            &["single probes", "the next in 5s", "queue resume"],
            &["one is under way"],
            &["2 deliveries are held", "`[state] keys`"],
            &["`rate`", "for 1s"],
            &[
                "route old: 1 delivery is held",
                "queue discard --route old --config x.toml",
            ],
            &["another provider", "queue discard ID --config x.toml"],
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, words) in lines.iter().zip(expected) {
            assert!(!line.contains('\u{1b}'), "{line}");
            for word in words {
                assert!(line.contains(word), "{word}: {line}");
            }
        }
        assert!(super::lines(&Value::Null, "", UnixMillis(0)).is_empty());
    }

    #[test]
    fn what_holds_back_a_retry_too_is_told_with_its_end() {
        let routes = json!([
            {"route": "a", "deliveries": 1, "reasons": [{"reason": "breaker"}, {"reason": "operator"}]},
            {"route": "b", "deliveries": 1, "reasons": [{"reason": "removed"}]},
            {"route": "c", "deliveries": 1, "reasons": [{"reason": "operator"}, {"reason": "removed"}]},
            {"route": "d", "deliveries": 1, "reasons": [{"reason": "breaker"}, {"reason": "app"}]},
        ]);
        let until = |name| held_until(&routes, name, " --config x.toml");
        let resume = "`verigate queue resume a --config x.toml` ends the pause of the route a";
        assert_eq!(until("a").as_deref(), Some(resume));
        let back = "the configuration has the route b with its provider again";
        assert_eq!(until("b").as_deref(), Some(back));
        let both = until("c").unwrap();
        assert!(both.contains("route c with its provider") && both.contains("resume c"));
        assert_eq!((until("d"), until("e")), (None, None));
        assert_eq!(paused(&routes), ["a", "c"]);
        assert_eq!(held_until(&Value::Null, "a", ""), None);
    }
}
