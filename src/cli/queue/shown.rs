//! Deliveries and plans as a person reads them. What came from the network cannot move the cursor.

use serde_json::Value;

use crate::cli::output::table;

/// The most characters of a value from the network in a table.
const SHORT: usize = 40;

/// A table of deliveries.
pub(super) fn listed(deliveries: &[Value]) -> String {
    let heads = [
        "ID", "ROUTE", "STATE", "ATTEMPTS", "RECEIVED", "NEXT", "STATUS", "EVENT", "TYPE",
    ];
    let members = [
        "delivery_id",
        "route",
        "state",
        "attempts",
        "received_at",
        "next_at",
        "last_status",
        "event_id",
        "event_type",
    ];
    let rows = deliveries
        .iter()
        .map(|one| members.map(|name| cut(&word(one, name))));
    let rows: Vec<_> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
    table(&rows)
}

/// A delivery, a member a line, and its head.
pub(super) fn delivery(shown: &Value) -> String {
    let members = [
        "delivery_id",
        "route",
        "state",
        "is_in_flight",
        "is_held",
        "is_behind",
        "attempts",
        "last_status",
        "received_at",
        "next_at",
        "event_id",
        "event_type",
        "request_id",
        "client",
        "secret",
        "bytes",
    ];
    let rows = members.map(|name| [name.to_owned(), word(shown, name)]);
    let mut lines = vec![table(&rows), String::new()];
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
    lines.join("\n")
}

/// A plan before it runs.
pub(super) fn plan(action: &str, plan: &Value) -> String {
    let more = plan.get("more").and_then(Value::as_bool) == Some(true);
    format!(
        "{action} {} deliveries, received from {} to {}{}",
        word(plan, "deliveries"),
        word(plan, "oldest"),
        word(plan, "newest"),
        if more {
            "; there are more, which need another plan"
        } else {
            ""
        }
    )
}

/// How far a plan is.
pub(super) fn progress(plan: &Value) -> String {
    format!(
        "{}: {} of {} done, {} passed over",
        word(plan, "state"),
        word(plan, "done"),
        word(plan, "deliveries"),
        word(plan, "skipped")
    )
}

fn word(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => escaped(text),
        Some(other) => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
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
        for shown in [listed(std::slice::from_ref(&one)), delivery(&one)] {
            assert!(!shown.contains('\u{1b}'), "{shown}");
            assert!(shown.contains("\"y\"") && shown.contains("500"), "{shown}");
        }
        let long = json!({"event_id": "e".repeat(100)});
        assert!(listed(&[long]).contains(&format!("{}…", "e".repeat(39))));
    }
}
