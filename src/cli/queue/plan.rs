//! Plans in words: what will happen before a person agrees to it, how far it is, and what came of it.

use serde_json::Value;

use super::shown::{distance, escaped, word};
use crate::cli::output::deliveries;
use crate::clock::UnixMillis;
use crate::notation::shell;

/// A plan before it runs: its deliveries, and what will become of them.
pub(super) fn offered(action: &str, rate: Option<&str>, plan: &Value, now: UnixMillis) -> String {
    let mut lines = vec![format!(
        "{action} {}{}; {}",
        deliveries(count(plan, "deliveries")),
        of_routes(plan),
        ages(plan, now)
    )];
    if plan.get("more").and_then(Value::as_bool) == Some(true) {
        lines.push("there are more, which need another plan".to_owned());
    }
    lines.push(if action == "discard" {
        "they are gone for good then: the app never gets them, and what the provider sends again is answered as a \
         replay or a duplicate until `POST /replay/forget` on the admin port"
            .to_owned()
    } else {
        let pace = match rate {
            Some(rate) => format!("at most {} become due", escaped(rate)),
            None => "all become due at once, at the pace that their route allows".to_owned(),
        };
        format!(
            "the app gets each of them again ({pace}), also what it has done without an answer in time; for what it \
             does not take, a new round of the schedule begins"
        )
    });
    lines.extend(removed(action, plan));
    lines.join("\n")
}

/// The routes of a plan, each with the number of its deliveries.
fn of_routes(plan: &Value) -> String {
    let routes = plan.get("routes").and_then(Value::as_array);
    let routes = routes.into_iter().flatten();
    let of_each: Vec<String> = routes
        .map(|route| format!("{} of {}", count(route, "deliveries"), word(route, "route")))
        .collect();
    if of_each.is_empty() {
        return String::new();
    }
    format!(": {}", of_each.join(", "))
}

fn ages(plan: &Value, now: UnixMillis) -> String {
    let ago = |name| distance(plan, name, |at| now.0.saturating_sub(at.0));
    format!(
        "the oldest came {} ago ({}), the newest {} ago ({})",
        ago("oldest"),
        word(plan, "oldest"),
        ago("newest"),
        word(plan, "newest")
    )
}

/// What is said of deliveries whose route is not in the configuration.
fn removed(action: &str, plan: &Value) -> Option<String> {
    let removed = plan.get("removed_routes").and_then(Value::as_array);
    let names = removed.into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<String> = names.map(escaped).collect();
    if names.is_empty() {
        return None;
    }
    let names = names.join(", ");
    let none = "the configuration has no route of the name and provider of";
    Some(if action == "discard" {
        format!(
            "{none} {names}: its deliveries are held; to have them delivered, put it back and reload instead"
        )
    } else {
        format!(
            "{none} {names}: its deliveries are held, whatever is done with them, until it is back"
        )
    })
}

/// What is said of deliveries of a retry whose route is among the `paused` ones: a line for each such
/// route, each after a line feed.
pub(super) fn paused(plan: &Value, paused: &[String], options: &str) -> Option<String> {
    let routes = plan.get("routes").and_then(Value::as_array);
    let names = routes.into_iter().flatten().map(|of| word(of, "route"));
    let lines = names.filter(|name| paused.contains(name)).map(|name| {
        format!(
            "\nan operator paused the route {name}: no delivery of it is sent until `verigate queue resume \
             {}`",
            shell::argument(&name, options)
        )
    });
    let lines: String = lines.collect();
    (!lines.is_empty()).then_some(lines)
}

/// How far a plan is, or how it ended.
pub(super) fn progress(plan: &Value) -> String {
    let state = word(plan, "state");
    let (all, done, skipped) = (
        count(plan, "deliveries"),
        count(plan, "done"),
        count(plan, "skipped"),
    );
    let verb = match plan.get("action").and_then(Value::as_str) {
        Some("retry") => "retried",
        Some("discard") => "discarded",
        _ => "done",
    };
    if state == "planned" {
        return format!(
            "{state}: {}, with which nothing is done yet",
            deliveries(all)
        );
    }
    let passed_over = match skipped {
        0 => String::new(),
        _ => {
            format!(", {skipped} passed over (just being tried, gone, or in another state by then)")
        }
    };
    let left = match all.saturating_sub(done).saturating_sub(skipped) {
        left if state == "cancelled" && left > 0 => format!(", {left} left as before"),
        _ => String::new(),
    };
    format!("{state}: {done} of {all} {verb}{passed_over}{left}")
}

fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    fn plan(removed: &[&str]) -> Value {
        json!({
            "deliveries": 3, "more": false,
            "oldest": "2025-06-12T15:06:40.000Z", "newest": "2025-06-15T15:05:40.000Z",
            "routes": [{"route": "a\u{1b}", "deliveries": 1}, {"route": "stripe", "deliveries": 2}],
            "removed_routes": removed,
        })
    }

    #[test]
    fn a_plan_says_what_will_happen_to_how_many_of_which_routes_and_how_old() {
        let discard = offered("discard", None, &plan(&[]), NOW);
        let lines: Vec<&str> = discard.lines().collect();
        assert_eq!(
            lines[0],
            "discard 3 deliveries: 1 of a\\u{1b}, 2 of stripe; the oldest came 3d ago \
             (2025-06-12T15:06:40.000Z), the newest 60s ago (2025-06-15T15:05:40.000Z)"
        );
        assert!(
            lines[1].contains("gone for good")
                && lines[1].contains("answered as a replay or a duplicate")
                && lines.len() == 2,
            "{discard}"
        );
        let retry = offered("retry", None, &plan(&[]), NOW);
        assert!(
            retry.contains("the app gets each of them again (all"),
            "{retry}"
        );
        let paced = offered("retry", Some("20/s"), &plan(&[]), NOW);
        assert!(paced.contains("(at most 20/s become due)"), "{paced}");
        let cut = json!({"deliveries": 2, "more": true});
        assert!(offered("retry", None, &cut, NOW).contains("there are more"));
    }

    #[test]
    fn a_plan_says_what_stays_held_and_what_would_free_it() {
        let removed = plan(&["stripe"]);
        let retry = offered("retry", None, &removed, NOW);
        assert!(
            retry.contains("provider of stripe: its deliveries are held, whatever"),
            "{retry}"
        );
        let discard = offered("discard", None, &removed, NOW);
        assert!(
            discard.contains("put it back and reload instead"),
            "{discard}"
        );
        assert!(!offered("retry", None, &plan(&[]), NOW).contains("held"));
        let names = ["elsewhere".to_owned(), "stripe".to_owned()];
        let paused = paused(&plan(&[]), &names, " --config x.toml").unwrap();
        let words = "\nan operator paused the route stripe: no delivery of it is sent until \
                     `verigate queue resume stripe --config x.toml`";
        assert_eq!(paused, words);
        assert_eq!(super::paused(&plan(&[]), &[], ""), None);
    }

    #[test]
    fn an_end_says_what_was_passed_over_and_what_was_left() {
        let plan = |state: &str, done: u64, skipped: u64| json!({"state": state, "action": "discard", "deliveries": 5, "done": done, "skipped": skipped});
        for (plan, expected) in [
            (plan("done", 5, 0), "done: 5 of 5 discarded"),
            (plan("running", 2, 0), "running: 2 of 5 discarded"),
            (
                plan("done", 3, 2),
                "done: 3 of 5 discarded, 2 passed over (just being tried, gone, or in another state by then)",
            ),
            (
                plan("cancelled", 2, 0),
                "cancelled: 2 of 5 discarded, 3 left as before",
            ),
            (
                json!({"state": "planned", "action": null, "deliveries": 5, "done": 0, "skipped": 0}),
                "planned: 5 deliveries, with which nothing is done yet",
            ),
        ] {
            assert_eq!(progress(&plan), expected);
        }
    }
}
