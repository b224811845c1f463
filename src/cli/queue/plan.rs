//! Plans in words: what will happen before a person agrees to it, how far it is, and what came of it.

use serde_json::Value;

use super::shown::{distance, escaped, word};
use crate::cli::output::deliveries;
use crate::clock::UnixMillis;
use crate::notation::shell;

/// A plan before it runs: its deliveries, and what will become of them.
pub(super) fn offered(
    action: &str,
    rate: Option<&str>,
    plan: &Value,
    options: &str,
    now: UnixMillis,
) -> String {
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
    lines.extend(held(action, plan, options));
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

/// What is said of the deliveries of a plan that are not tried whatever is done with them: a line for each
/// reason of each route. `options` are those that the commands need to ask the same gateway.
pub(super) fn held(action: &str, plan: &Value, options: &str) -> Vec<String> {
    let routes = plan.get("routes").and_then(Value::as_array);
    let mut lines = Vec::new();
    for route in routes.into_iter().flatten() {
        let name = word(route, "route");
        let these = |held| which(held, count(route, "deliveries"), &name);
        let held = count(route, "held");
        if held > 0 {
            let these = these(held);
            let otherwise = if action == "discard" {
                "to have them delivered, put it back and reload instead"
            } else {
                "they are not sent before it is back"
            };
            lines.push(format!(
                "{these} held, because the configuration has no route of that name and provider: {otherwise}"
            ));
        }
        let unreadable = count(route, "unreadable");
        if unreadable > 0 && action != "discard" {
            let keys = route.get("missing_keys").and_then(Value::as_array);
            let keys = keys.into_iter().flatten().filter_map(Value::as_str);
            let keys: Vec<_> = keys.map(escaped).collect();
            let (noun, are) = if keys.len() == 1 {
                ("key", "is")
            } else {
                ("keys", "are")
            };
            lines.push(format!(
                "{} held, because the {noun} {} {are} not in `[state] keys`: they are not sent before that",
                these(unreadable),
                keys.join(", ")
            ));
        }
        let paused = count(route, "paused");
        if paused > 0 && action != "discard" {
            lines.push(format!(
                "{} held, because an operator paused the route: they are not sent before `verigate queue resume {}`",
                these(paused),
                shell::argument(&name, options)
            ));
        }
    }
    lines
}

/// So many of all deliveries of a route, with their verb.
fn which(held: u64, all: u64, name: &str) -> String {
    let is = if held == 1 { "is" } else { "are" };
    match (held, all) {
        (1, 1) => format!("the delivery of {name} is"),
        (held, all) if held >= all => format!("all {all} deliveries of {name} are"),
        (held, all) => format!("{held} of the {all} deliveries of {name} {is}"),
    }
}

/// How a plan ended, or that it has not begun; and which of its deliveries are not tried. A line each.
pub(super) fn end(plan: &Value, options: &str) -> String {
    let mut lines = vec![progress(plan)];
    if plan.get("action").and_then(Value::as_str) == Some("retry") {
        lines.extend(held("retry", plan, options));
    }
    lines.join("\n")
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

    fn plan(held: u64, paused: u64) -> Value {
        json!({
            "deliveries": 3, "more": false,
            "oldest": "2025-06-12T15:06:40.000Z", "newest": "2025-06-15T15:05:40.000Z",
            "routes": [
                {"route": "a\u{1b}", "deliveries": 1, "held": 0, "paused": 0},
                {"route": "stripe", "deliveries": 2, "held": held, "paused": paused},
            ],
        })
    }

    #[test]
    fn a_plan_says_what_will_happen_to_how_many_of_which_routes_and_how_old() {
        let discard = offered("discard", None, &plan(0, 0), "", NOW);
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
        let retry = offered("retry", None, &plan(0, 0), "", NOW);
        assert!(
            retry.contains("the app gets each of them again (all"),
            "{retry}"
        );
        let paced = offered("retry", Some("20/s"), &plan(0, 0), "", NOW);
        assert!(paced.contains("(at most 20/s become due)"), "{paced}");
        let cut = json!({"deliveries": 2, "more": true});
        assert!(offered("retry", None, &cut, "", NOW).contains("there are more"));
    }

    #[test]
    fn a_plan_says_how_many_stay_held_and_what_would_free_them() {
        let of = |action, held, paused| offered(action, None, &plan(held, paused), " --json", NOW);
        let because = "held, because the configuration has no route of that name and provider: ";
        for (held, words) in [
            (1, "1 of the 2 deliveries of stripe is "),
            (2, "all 2 deliveries of stripe are "),
        ] {
            let retry = of("retry", held, 0);
            let line = format!("\n{words}{because}they are not sent before it is back");
            assert!(retry.ends_with(&line), "{retry}");
            let discard = of("discard", held, 0);
            let line = format!("\n{words}{because}to have them delivered, put it back");
            assert!(discard.contains(&line), "{discard}");
        }
        let paused = of("retry", 0, 2);
        let line = "\nall 2 deliveries of stripe are held, because an operator paused the route: they are \
                    not sent before `verigate queue resume stripe --json`";
        assert!(paused.ends_with(line), "{paused}");
        for plain in [of("retry", 0, 0), of("discard", 0, 2)] {
            assert!(!plain.contains("held"), "{plain}");
        }
    }

    #[test]
    fn a_retry_says_how_many_deliveries_no_key_can_read() {
        let mut plan = plan(0, 0);
        plan["routes"][1]["unreadable"] = 2.into();
        plan["routes"][1]["missing_keys"] = json!(["82cb:1478"]);
        let line = "all 2 deliveries of stripe are held, because the key 82cb:1478 is not in `[state] keys`";
        let retry = offered("retry", None, &plan, "", NOW);
        assert!(retry.contains(line), "{retry}");
        plan["state"] = "done".into();
        plan["action"] = "retry".into();
        assert!(end(&plan, "").contains(line));
        assert!(!offered("discard", None, &plan, "", NOW).contains("82cb"));
    }

    #[test]
    fn the_end_of_a_retry_says_what_is_held_after_all() {
        let mut plan = plan(1, 0);
        for (action, lines) in [("retry", 2), ("discard", 1)] {
            plan["state"] = "done".into();
            plan["action"] = action.into();
            let said = end(&plan, "");
            assert_eq!(said.lines().count(), lines, "{said}");
        }
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
