//! `acknowledge`: which warnings a route may acknowledge, and what becomes of names that fit none.

use super::problems::each_says;
use super::{ROUTE, good, read, warned};

/// A Twitch route, which has one warning: nothing signs the type of its events.
fn twitch(own: &str) -> String {
    format!("{}{own}\n", ROUTE.replace("itellico", "twitch"))
}

/// A second route like it.
fn another(own: &str) -> String {
    twitch(own)
        .replace("\"a\"", "\"b\"")
        .replace("\"/a\"", "\"/b\"")
        .replace("env:S", "env:T")
}

#[test]
fn an_acknowledged_warning_is_listed_and_no_longer_shown() {
    let text = format!(
        "{}{}",
        twitch("acknowledge = [\"unsigned-type\"]"),
        another("")
    );
    let config = good(&text);
    assert_eq!(config.acknowledged_names(), [("a", vec!["unsigned-type"])]);
    let shown = warned(&config);
    // The other route's warning of the same name is its own.
    assert!(
        shown.starts_with("a.toml:11: route `b`") && shown.ends_with("[unsigned-type]"),
        "{shown}"
    );
    assert_eq!(config.warnings.len(), 1, "{shown}");
    assert_eq!(config.acknowledged[0].route.as_deref(), Some("a"));
}

#[test]
fn names_that_fit_no_warning_are_problems() {
    let names = |names: &str| twitch(&format!("acknowledge = {names}"));
    let mut rows = vec![
        (
            names("[\"unsinged-type\"]"),
            "did you mean `unsigned-type`?",
        ),
        (names("[\"x\"]"), "`route.acknowledge` names no warning"),
        (names("\"unsigned-type\""), "must be a list"),
        (names("[1]"), "must be a string"),
        (
            ROUTE.to_owned() + "acknowledge = [\"unsigned-type\"]\n",
            "`acknowledge` names `unsigned-type`, and this route has no such warning",
        ),
    ];
    for name in [
        "replay-off",
        "secret-expired",
        "no-active-secret",
        "trusts-everybody",
    ] {
        let text = names(&format!("[\"{name}\"]"));
        rows.push((text, "a warning that cannot be acknowledged"));
    }
    each_says(&rows);
}

#[test]
fn a_stale_name_is_not_judged_while_other_problems_may_hide_its_warning() {
    let text = ROUTE.replace("/a\"", "a\"") + "acknowledge = [\"unsigned-type\"]\n";
    let shown = read(&text).unwrap_err().render(false);
    assert!(!shown.contains("no such warning"), "{shown}");
}

#[test]
fn a_secret_that_became_better_never_keeps_the_gateway_from_starting() {
    let config = good(&(ROUTE.to_owned() + "acknowledge = [\"readable-secret\"]\n"));
    let shown = warned(&config);
    assert!(shown.ends_with("[stale-acknowledgement]"), "{shown}");
    assert_eq!(config.acknowledged, []);
}
