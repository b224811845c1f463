//! The alerts and the dashboard below conf/: each metric and label that they name is one that the program has.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use verigate::telemetry::descriptions::{DESCRIPTIONS, Description};
use verigate::verdict::Code;

use crate::{nothing, read, root};

const RULES: &str = "conf/prometheus/verigate.rules.yml";
const RULES_TEST: &str = "conf/prometheus/verigate.rules.test.yml";
const DASHBOARD: &str = "conf/grafana/verigate.json";

/// The labels that Prometheus adds to each series.
const ADDED: [&str; 2] = ["job", "instance"];

/// Every `NAME` or `NAME{…}` in a text whose name begins as our metrics do: the name, and what is in the braces.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for start in ["verigate_", "process_"] {
        for (at, _) in text.match_indices(start) {
            let (before, rest) = text.split_at(at);
            let is_begin = !before.ends_with(is_part);
            let name = rest.split(|c| !is_part(c)).next().unwrap_or_default();
            let (_, behind) = rest.split_at(name.len());
            let matchers = behind
                .strip_prefix('{')
                .and_then(|rest| rest.split('}').next());
            if is_begin {
                found.push((name, matchers.unwrap_or_default()));
            }
        }
    }
    found
}

/// The metric that a series of this name belongs to, and whether it is a bucket.
fn metric(name: &str) -> Option<(&'static Description, bool)> {
    let plain = DESCRIPTIONS
        .iter()
        .find(|one| one.name == name && one.kind != "histogram");
    if let Some(plain) = plain {
        return Some((plain, false));
    }
    let (base, end) = name.rsplit_once('_')?;
    let histogram = DESCRIPTIONS
        .iter()
        .find(|one| one.name == base && one.kind == "histogram");
    histogram
        .filter(|_| ["bucket", "sum", "count"].contains(&end))
        .map(|histogram| (histogram, end == "bucket"))
}

/// What is wrong with the metrics that a text names.
fn faults(page: &str, text: &str) -> Vec<String> {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let mut wrong = Vec::new();
    for (name, matchers) in named(text) {
        let Some((metric, is_bucket)) = metric(name) else {
            wrong.push(format!("{page}: no metric gives {name}"));
            continue;
        };
        for matcher in matchers
            .split(',')
            .filter(|matcher| !matcher.trim().is_empty())
        {
            let end = matcher.find(['=', '!']).unwrap_or(matcher.len());
            let (label, value) = matcher.split_at(end);
            let (label, value) = (label.trim(), value.trim_start_matches(['=', '!', '~']));
            let is_known = metric.labels.contains(&label)
                || ADDED.contains(&label)
                || (is_bucket && label == "le");
            if !is_known {
                wrong.push(format!("{page}: {name} has no label {label}"));
            }
            if label == "verdict" {
                let values = value.trim_matches(['\\', '"']).split('|');
                let unknown = values
                    .filter(|value| !codes.contains(value) && !["valid", "none"].contains(value));
                wrong.extend(unknown.map(|value| format!("{page}: {value} is no verdict")));
            }
        }
    }
    wrong
}

/// Every query in the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        found.push(text.to_owned());
                    }
                    _ => queries(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let mut wrong = faults(RULES, &read(RULES));
    wrong.extend(faults(RULES_TEST, &read(RULES_TEST)));
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut all = Vec::new();
    queries(&dashboard, &mut all);
    assert!(all.len() > 30, "{all:?}");
    for query in &all {
        wrong.extend(faults(DASHBOARD, query));
    }
    nothing(&wrong, "metrics below conf/ that the program does not have");
    // What waits is nobody's but the operator's, so all that is known of the queue is shown.
    let of_queue = |name: &str| {
        ["verigate_queue_", "verigate_state_"]
            .iter()
            .any(|begin| name.starts_with(begin))
    };
    let shown: BTreeSet<&str> = all
        .iter()
        .flat_map(|query| named(query))
        .filter_map(|(name, _)| Some(metric(name)?.0.name))
        .collect();
    let missing: Vec<_> = DESCRIPTIONS
        .iter()
        .filter(|one| of_queue(one.name) && !shown.contains(one.name))
        .map(|one| one.name.to_owned())
        .collect();
    nothing(
        &missing,
        "metrics of the queue that the dashboard does not show",
    );
    assert!(!faults("x", "rate(verigate_request_total[5m])").is_empty());
    assert!(!faults("x", "verigate_buffered_bytes{route=\"a\"}").is_empty());
    assert!(!faults("x", "verigate_requests_total{verdict=~\"valid|bad\"}").is_empty());
}

#[test]
fn every_alert_says_what_to_do_and_is_tried() {
    let (rules, tests) = (read(RULES), read(RULES_TEST));
    let alerts: Vec<_> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10, "{RULES}");
    let mut wrong = Vec::new();
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in ["expr: |", "severity: ", "summary: ", "runbook: "] {
            if !alert.contains(part) {
                wrong.push(format!("{name} has no {part}"));
            }
        }
        if !tests.contains(name) {
            wrong.push(format!("{name} is in no test of {RULES_TEST}"));
        }
    }
    nothing(&wrong, RULES);
}

#[test]
fn promtool_takes_the_alerts() {
    let here = root().join("conf/prometheus");
    for (check, file) in [("check", RULES), ("test", RULES_TEST)] {
        let file = file.rsplit('/').next().unwrap();
        let ran = Command::new("promtool")
            .args([check, "rules", file])
            .current_dir(&here)
            .output();
        // It is a part of Prometheus, which not every machine has.
        let Ok(output) = ran else { return };
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&said)
        );
    }
}
