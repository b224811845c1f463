//! Deliveries as a person reads them. What came from the network cannot move the cursor.

use serde_json::Value;

use crate::cli::output::table;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;

/// The most characters of a value from the network in a table.
const SHORT: usize = 40;

/// A table of deliveries. Times are those from `now`, so that a row is not longer than it must be.
/// `delays` says whether something delays deliveries of a route that are due.
pub(super) fn listed(
    deliveries: &[Value],
    delays: impl Fn(&str) -> bool,
    now: UnixMillis,
) -> String {
    let heads = [
        "ID", "ROUTE", "STATE", "ATTEMPTS", "AGE", "NEXT", "STATUS", "EVENT", "TYPE", "ACCOUNT",
    ];
    let rows = deliveries.iter().map(|one| {
        let plain = |name| cut(&word(one, name));
        [
            plain("delivery_id"),
            plain("route"),
            plain("state"),
            plain("attempts"),
            distance(one, "received_at", |at| now.0.saturating_sub(at.0)),
            next(one, &delays, now),
            last(one),
            plain("event_id"),
            plain("event_type"),
            plain("account"),
        ]
    });
    let rows: Vec<_> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
    table(&rows)
}

/// When a delivery is tried, or why it is not.
fn next(one: &Value, delays: &impl Fn(&str) -> bool, now: UnixMillis) -> String {
    let is = |name: &str| one.get(name).and_then(Value::as_bool) == Some(true);
    let left = distance(one, "next_at", |at| at.0.saturating_sub(now.0));
    let is_due = left == "0s";
    let words = match () {
        () if is("is_in_flight") => "now",
        () if word(one, "held_by") != "-" => "held",
        () if is("is_behind") => "behind",
        () if is_due && delays(&word(one, "route")) => "waits",
        () => return left,
    };
    words.to_owned()
}

/// The status of the last answer, or what there was instead.
fn last(one: &Value) -> String {
    let is_tried = one.get("attempts").and_then(Value::as_u64) > Some(0);
    match (word(one, "last_status"), word(one, "last_error")) {
        // It was not sent: the status is that of an attempt before.
        (_, error) if error == "damaged" => error,
        (none, error) if none == "-" && error != "-" => {
            error.strip_prefix("upstream_").unwrap_or(&error).to_owned()
        }
        (none, _) if none == "-" && is_tried => "no answer".to_owned(),
        (status, _) => status,
    }
}

/// The time to the moment in a member, in its largest unit: `45s`, `12m`, `3h`, `2d`.
pub(super) fn distance(value: &Value, name: &str, ms_to: impl Fn(UnixMillis) -> i64) -> String {
    let moment = value.get(name).and_then(Value::as_str);
    let moment = moment.and_then(|text| Unit::Rfc3339.parse(text.as_bytes()));
    let Some(moment) = moment else {
        return "-".to_owned();
    };
    let seconds = ms_to(moment).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A delivery, a member a line, and its head.
pub(super) fn delivery(shown: &Value) -> String {
    let members = [
        "delivery_id",
        "route",
        "state",
        "is_in_flight",
        "held_by",
        "is_held",
        "is_behind",
        "behind",
        "attempts",
        "last_status",
        "last_error",
        "received_at",
        "next_at",
        "event_id",
        "event_type",
        "account",
        "request_id",
        "client",
        "secret",
        "bytes",
    ];
    // What is usual is not said.
    let is_usual = |name: &str| match shown.get(name) {
        Some(value) if !value.is_null() => {
            name.starts_with("is_") && value.as_bool() == Some(false)
        }
        _ => matches!(name, "behind" | "held_by" | "last_error"),
    };
    let rows = members.iter().filter(|name| !is_usual(name));
    let rows: Vec<_> = rows
        .map(|name| [(*name).to_owned(), word(shown, name)])
        .collect();
    let mut lines = vec![table(&rows)];
    lines.extend(history(shown));
    lines.push(String::new());
    lines.push(format!(
        "{} {}",
        word(shown, "method"),
        word(shown, "target")
    ));
    let headers = shown.get("headers").and_then(Value::as_array);
    for header in headers.into_iter().flatten() {
        lines.push(format!(
            "{}: {}",
            word(header, "name"),
            word(header, "value")
        ));
    }
    if let Some(body) = shown.get("body").and_then(Value::as_str) {
        lines.push(String::new());
        lines.push(body.lines().map(escaped).collect::<Vec<_>>().join("\n"));
    }
    if let Some(body) = shown.get("body_base64").and_then(Value::as_str) {
        lines.push(format!("\n(in base64) {body}"));
    }
    if let Some(why) = shown.get("unreadable").and_then(Value::as_str) {
        lines.push(format!("({})", escaped(why)));
    }
    lines.join("\n")
}

/// A table of the attempts of a delivery; `None` where none has failed.
fn history(shown: &Value) -> Option<String> {
    let attempts = shown.get("history").and_then(Value::as_array)?;
    if attempts.is_empty() {
        return None;
    }
    let heads = ["ATTEMPT", "BEGAN", "TOOK", "ENDED"].map(str::to_owned);
    let rows = attempts.iter().map(|one| {
        let ended = match word(one, "error") {
            none if none == "-" => word(one, "status"),
            error => match word(one, "cause") {
                none if none == "-" => error,
                cause => format!("{error}: {cause}"),
            },
        };
        let took = format!("{} ms", word(one, "took_ms"));
        [word(one, "attempt"), word(one, "began_at"), took, ended]
    });
    let rows: Vec<_> = [heads].into_iter().chain(rows).collect();
    Some(format!("\n{}", table(&rows)))
}

pub(super) fn word(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => escaped(text),
        Some(other) => other.to_string(),
    }
}

pub(super) fn escaped(text: &str) -> String {
    let shown: String = text.chars().flat_map(char::escape_debug).collect();
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHORT {
        return text.to_owned();
    }
    text.chars().take(SHORT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        let one = json!({"delivery_id": "a", "event_id": "x\u{1b}[2J\n\"y\"", "last_status": 500});
        let now = UnixMillis(1_750_000_000_000);
        let list = listed(std::slice::from_ref(&one), |_| false, now);
        for shown in [list, delivery(&one)] {
            assert!(!shown.contains('\u{1b}'), "{shown}");
            assert!(shown.contains("\"y\"") && shown.contains("500"), "{shown}");
        }
        let long = json!({"event_id": "e".repeat(100)});
        assert!(listed(&[long], |_| false, now).contains(&format!("{}…", "e".repeat(39))));
    }

    #[test]
    fn times_in_a_list_are_distances() {
        let now = UnixMillis(1_750_000_000_000);
        let one = |received: i64, next: Option<i64>| {
            let written = |ms: i64| Unit::Rfc3339.write(UnixMillis(now.0 + ms));
            json!({"received_at": written(received), "next_at": next.map(written)})
        };
        let rows = [
            one(-119_999, Some(-1)),
            one(-7_199_000, Some(120_000)),
            one(-172_799_000, None),
            one(-172_800_000, Some(90_000_000)),
            one(60_000, Some(0)),
        ];
        let shown = listed(&rows, |_| false, now);
        let times: Vec<_> = shown
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().skip(4).take(2).collect::<Vec<_>>())
            .collect();
        let expected = [
            ["119s", "0s"],
            ["119m", "2m"],
            ["47h", "-"],
            ["2d", "25h"],
            ["0s", "0s"],
        ];
        assert_eq!(times, expected, "{shown}");
    }

    #[test]
    fn a_list_says_what_came_of_the_last_attempt_and_whether_a_next_one_comes() {
        let now = UnixMillis(1_750_000_000_000);
        let due = Unit::Rfc3339.write(now);
        let delays = |name: &str| name == "ill";
        for (members, expected) in [
            (json!({"attempts": 0}), ["0s", "-"]),
            (json!({"attempts": 1, "last_status": 500}), ["0s", "500"]),
            (
                json!({"attempts": 1, "last_error": "upstream_timeout"}),
                ["0s", "timeout"],
            ),
            (
                json!({"attempts": 1, "route": "ill"}),
                ["waits", "no answer"],
            ),
            (
                json!({"is_in_flight": true, "held_by": "operator"}),
                ["now", "-"],
            ),
            (json!({"held_by": "removed", "route": "ill"}), ["held", "-"]),
            (
                json!({"attempts": 1, "last_status": 500, "last_error": "damaged"}),
                ["0s", "damaged"],
            ),
            (json!({"is_behind": true}), ["behind", "-"]),
        ] {
            let mut one =
                json!({"route": "a", "next_at": due, "held_by": null, "last_error": null});
            if let (Some(one), Some(members)) = (one.as_object_mut(), members.as_object()) {
                one.extend(members.clone());
            }
            let found = [next(&one, &delays, now), last(&one)];
            assert_eq!(found, expected, "{one}");
        }
    }

    #[test]
    fn the_attempts_of_a_delivery_are_shown() {
        let one = json!({"attempts": 2, "history": [
            {"attempt": 1, "began_at": "2026-01-01T00:00:00.000Z", "took_ms": 3, "status": null,
             "error": "upstream_unreachable", "cause": "http://app: refused"},
            {"attempt": 2, "began_at": "2026-01-01T00:00:05.000Z", "took_ms": 12, "status": 503,
             "error": null},
        ]});
        let shown = delivery(&one);
        let words: Vec<Vec<&str>> = shown
            .lines()
            .skip_while(|line| !line.starts_with("ATTEMPT"))
            .take(3)
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected = [
            vec!["ATTEMPT", "BEGAN", "TOOK", "ENDED"],
            vec![
                "1",
                "2026-01-01T00:00:00.000Z",
                "3",
                "ms",
                "upstream_unreachable:",
                "http://app:",
                "refused",
            ],
            vec!["2", "2026-01-01T00:00:05.000Z", "12", "ms", "503"],
        ];
        assert_eq!(words, expected, "{shown}");
        assert!(!delivery(&json!({"history": []})).contains("BEGAN"));
    }
}
