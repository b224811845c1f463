//! Why the deliveries of routes wait, in words, each with the command or the change that ends it.

use serde_json::Value;

use super::shown::{distance, escaped, word};
use crate::cli::output::deliveries;
use crate::clock::UnixMillis;
use crate::notation::shell;

/// The members of `routes` in the answer to `GET /queue`, a line for each reason of each route.
/// `options` are those that the commands need to ask the same gateway.
pub(super) fn lines(routes: &Value, options: &str, now: UnixMillis) -> Vec<String> {
    lines_of(routes, options, now, |_| true)
}

/// Those lines of a route that was paused or resumed that neither of both changes.
pub(super) fn held(routes: &Value, options: &str, now: UnixMillis) -> Vec<String> {
    let is_meant = |kind: &str| matches!(kind, "removed" | "provider" | "held");
    lines_of(routes, options, now, is_meant)
}

fn lines_of(
    routes: &Value,
    options: &str,
    now: UnixMillis,
    is_meant: impl Fn(&str) -> bool + Copy,
) -> Vec<String> {
    let routes = routes.as_array().into_iter().flatten();
    let lines = routes.flat_map(|route| {
        let reasons = route.get("reasons").and_then(Value::as_array);
        let reasons = reasons.into_iter().flatten();
        // While an operator's pause lasts, what would delay deliveries otherwise does nothing.
        let is_paused = has_reason(route, "operator");
        let counts = move |reason: &&Value| {
            !is_paused || !matches!(word(reason, "reason").as_str(), "app" | "breaker" | "rate")
        };
        let reasons = reasons.filter(move |reason| is_meant(&word(reason, "reason")));
        let reasons = reasons.filter(counts);
        reasons.map(move |reason| line(route, reason, options, now))
    });
    lines.collect()
}

/// What is said behind a delivery that was retried: why it is not sent, or what comes of it. `answer` is
/// the gateway's.
pub(super) fn after_retry(answer: &Value, options: &str, now: UnixMillis) -> String {
    let routes = answer.get("routes").unwrap_or(&Value::Null);
    let missing = answer.get("missing_key").and_then(Value::as_str);
    let missing = missing.map(|key| format!("`[state] keys` has the key {} again", escaped(key)));
    let damage = answer.get("unreadable").and_then(Value::as_str);
    let ends: Vec<String> = held_until(routes, options)
        .into_iter()
        .chain(missing)
        .collect();
    let mut words = match (ends.is_empty(), damage) {
        (false, _) => format!(", and will not be sent until {}", ends.join(", and ")),
        (true, Some(why)) => format!(
            ", and will be dead again without being sent, because it is damaged on disk: {}",
            escaped(why)
        ),
        (true, None) => probed(routes, options, now).unwrap_or_default(),
    };
    if let Some(other) = answer.get("behind").and_then(Value::as_str) {
        words = format!(", behind the delivery {}{words}", escaped(other));
    }
    words
}

/// Until when no delivery of the route is sent, also after a retry by hand: words behind "until".
/// `None` where nothing holds all of them back.
fn held_until(routes: &Value, options: &str) -> Option<String> {
    let route = routes.as_array()?.first()?;
    let name = word(route, "route");
    let is_paused = has_reason(route, "operator");
    let is_removed = has_reason(route, "removed") || has_reason(route, "provider");
    let resumed = format!(
        "`verigate queue resume {}` ends the pause of the route {name}",
        shell::argument(&name, options)
    );
    let back = format!("the configuration has the route {name} with its provider again");
    match (is_paused, is_removed) {
        (true, true) => Some(format!("{back}, and {resumed}")),
        (true, false) => Some(resumed),
        (false, true) => Some(back),
        (false, false) => None,
    }
}

/// When the app is tried of a route that was resumed, or of which a delivery was retried, if its breaker
/// is open.
pub(super) fn probed(routes: &Value, options: &str, now: UnixMillis) -> Option<String> {
    let mut routes = routes.as_array()?.iter();
    let reason = routes.find_map(|route| reason(route, "breaker"))?;
    let next = match (
        left(reason, "next_probe_at", now).as_str(),
        is_probing(reason),
    ) {
        ("-", true) => "one is being tried".to_owned(),
        ("-", false) => {
            return Some(
                "; the app did not take deliveries, and none that waits can be tried: the next one that comes is"
                    .to_owned(),
            );
        }
        ("0s", _) => "one is tried now".to_owned(),
        (left, _) => format!("one is tried in {left}"),
    };
    Some(format!(
        "; the app did not take deliveries, and {next}: `verigate queue list{options}` shows what comes of it"
    ))
}

/// Whether something delays deliveries of a route that are due.
pub(super) fn delays(routes: &Value, name: &str) -> bool {
    let routes = routes.as_array().into_iter().flatten();
    let mut same = routes.filter(|route| word(route, "route") == name);
    same.any(|route| {
        ["app", "breaker", "rate"]
            .iter()
            .any(|kind| has_reason(route, kind))
    })
}

fn reason<'v>(route: &'v Value, kind: &str) -> Option<&'v Value> {
    let reasons = route.get("reasons").and_then(Value::as_array);
    let mut reasons = reasons.into_iter().flatten();
    reasons.find(|reason| word(reason, "reason") == kind)
}

fn has_reason(route: &Value, kind: &str) -> bool {
    reason(route, kind).is_some()
}

/// The time to the moment in a member.
fn left(reason: &Value, member: &str, now: UnixMillis) -> String {
    distance(reason, member, |at| at.0.saturating_sub(now.0))
}

/// Whether the next probe follows an attempt that is under way. An older gateway says no moment for no
/// other reason.
fn is_probing(breaker: &Value) -> bool {
    breaker.get("is_probing").and_then(Value::as_bool) != Some(false)
}

/// What the app did last, in brackets behind a blank; nothing where that is not known.
fn last(breaker: &Value, now: UnixMillis) -> String {
    let ago = distance(breaker, "last_at", |at| now.0.saturating_sub(at.0));
    let did = match word(breaker, "last_error").as_str() {
        "upstream_unreachable" => "there was no connection".to_owned(),
        "upstream_timeout" => "there was no answer in time".to_owned(),
        "upstream_failed" => "there was no whole answer".to_owned(),
        _ => match word(breaker, "last_status").as_str() {
            "-" => return String::new(),
            status => format!("it answered {status}"),
        },
    };
    format!(" ({ago} ago {did})")
}

fn line(route: &Value, reason: &Value, options: &str, now: UnixMillis) -> String {
    let name = word(route, "route");
    let waiting = route.get("deliveries").and_then(Value::as_u64);
    let waiting = waiting.unwrap_or(0);
    let left = |member| left(reason, member, now);
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
            let does_not = format!("the app does not take deliveries{}", last(reason, now));
            match (left("next_probe_at").as_str(), is_probing(reason)) {
                ("-", false) => format!(
                    "{does_not}, and none that waits can be tried: the next one that comes is the next probe"
                ),
                (next, _) => {
                    let next = match next {
                        "-" => "the next follows the attempt that is under way".to_owned(),
                        "0s" => "the next now".to_owned(),
                        next => format!("the next in {next}"),
                    };
                    format!(
                        "{does_not}, so there are single probes, {next}: if it is mended, {resume} probes it now"
                    )
                }
            }
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
                {"reason": "breaker", "next_probe_at": "2025-06-15T15:06:45.000Z", "is_probing": false,
                 "last_status": 503, "last_at": "2025-06-15T15:06:28.000Z"},
                {"reason": "breaker", "next_probe_at": null},
                {"reason": "breaker", "next_probe_at": null, "is_probing": false,
                 "last_error": "upstream_timeout", "last_at": "2025-06-15T15:06:28.000Z"},
                {"reason": "held", "deliveries": 2},
                {"reason": "rate", "until": "2025-06-15T15:06:41.000Z"},
            ]},
            {"route": "old", "deliveries": 1, "reasons": [{"reason": "removed"}]},
            {"route": "new", "deliveries": 2, "reasons": [{"reason": "provider"}]},
        ]);
        let lines = lines(&routes, " --config x.toml", UnixMillis(1_750_000_000_000));
        let expected: [&[&str]; 10] = [
            &[
                "an operator paused it",
                "`verigate queue resume 'a b\\u{1b}' --config x.toml`",
            ],
            &["1 delivery is held"],
            &["`Retry-After`", "in 30s", "queue resume b --config x.toml"],
            &[
                "deliveries (12s ago it answered 503), so there are single probes, the next in 5s",
                "queue resume",
            ],
            &["follows the attempt that is under way"],
            &[
                "(12s ago there was no answer in time), and none that waits can be tried",
                "the next one that comes",
            ],
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
        let after = |name: &str, reasons: Value| {
            let routes = json!([{"route": name, "deliveries": 1, "reasons": reasons}]);
            let answer = json!({"ok": true, "routes": routes, "behind": null});
            after_retry(&answer, " --config x.toml", UnixMillis(1_750_000_000_000))
        };
        let paused = json!([{"reason": "breaker"}, {"reason": "operator"}]);
        let resume = ", and will not be sent until `verigate queue resume a --config x.toml` ends the \
                      pause of the route a";
        assert_eq!(after("a", paused), resume);
        let dashed = after("-x", json!([{"reason": "operator"}]));
        assert!(
            dashed.contains("`verigate queue resume --config x.toml -- -x`"),
            "{dashed}"
        );
        for kind in ["removed", "provider"] {
            let back = ", and will not be sent until the configuration has the route b with its \
                        provider again";
            assert_eq!(after("b", json!([{"reason": kind}])), back);
        }
        let both = after("c", json!([{"reason": "operator"}, {"reason": "removed"}]));
        assert!(both.contains("route c with its provider") && both.contains("resume c"));
        assert_eq!(after("d", json!([{"reason": "app"}])), "");
        let unreadable = |reasons: Value, key: Value| {
            let routes = json!([{"route": "a", "reasons": reasons}]);
            let answer =
                json!({"routes": routes, "unreadable": "it is not what was", "missing_key": key});
            after_retry(&answer, "", UnixMillis(0))
        };
        let until = ", and will not be sent until `[state] keys` has the key 82cb:1478 again";
        assert_eq!(unreadable(json!([]), json!("82cb:1478")), until);
        let both = unreadable(json!([{"reason": "operator"}]), json!("82cb:1478"));
        assert!(both.contains("resume a` ends") && both.ends_with("has the key 82cb:1478 again"));
        let damaged = unreadable(json!([{"reason": "breaker"}]), Value::Null);
        assert!(damaged.starts_with(", and will be dead again") && damaged.ends_with("what was"));
        let unknown = after_retry(&json!({"ok": true}), "", UnixMillis(0));
        assert_eq!(unknown, "");
        let ordered = json!({"ok": true, "routes": [], "behind": "0192"});
        let ordered = after_retry(&ordered, "", UnixMillis(0));
        assert_eq!(ordered, ", behind the delivery 0192");
    }

    #[test]
    fn the_next_probe_is_told_as_it_will_be_made() {
        let at = "2025-06-15T15:06:44.000Z";
        for (next, is_probing, words) in [
            (
                json!("2025-06-15T15:06:40.000Z"),
                false,
                "one is tried now: ",
            ),
            (json!(at), false, "one is tried in 4s: "),
            (Value::Null, true, "one is being tried: "),
            (Value::Null, false, "none that waits can be tried"),
        ] {
            let breaker =
                json!({"reason": "breaker", "next_probe_at": next, "is_probing": is_probing});
            let routes = json!([{"route": "a", "reasons": [breaker]}]);
            let said = probed(&routes, "", UnixMillis(1_750_000_000_000)).unwrap();
            assert!(said.contains(words), "{said}");
        }
        let other = json!([{"route": "a", "reasons": [{"reason": "held", "deliveries": 1}]}]);
        assert_eq!(probed(&other, "", UnixMillis(0)), None);
        assert_eq!(held(&other, "", UnixMillis(0)).len(), 1);
    }
}
