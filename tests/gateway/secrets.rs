//! Where secrets come from, how they are named, and when they count (contract: Secrets; AU-20 to AU-22, CF-01, CF-03).
//! The exact bounds of `not_before` and `not_after` are tested on the pure core with a set clock.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs;

use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{SECRET, SOON, eventually, now};

const OLD: &str = "the-old-secret-0123456789abcdef";
const NEW: &str = "the-new-secret-0123456789abcdef";

/// Unix seconds as RFC 3339.
fn rfc3339(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).expect("in range");
    jiff::Timestamp::from_second(seconds)
        .expect("in range")
        .to_string()
}

fn signed(secret: &str) -> Delivery {
    Delivery::signed(secret, event(), &now().to_string())
}

fn with_secrets(upstream: &Upstream, secrets: &str) -> Config {
    let route = Route::itellico(upstream).set("secrets", secrets);
    Config::new().route(route).env("OLD", OLD).env("NEW", NEW)
}

#[test]
fn a_rotation_takes_both_and_names_the_one_that_matched() {
    let upstream = Upstream::start();
    let secrets = "[{ name = \"2026-q4\", value = \"env:NEW\" }, \"env:OLD\"]";
    let gateway = Gateway::start(&with_secrets(&upstream, secrets));
    for (secret, name, count) in [(NEW, "2026-q4", 2), (OLD, "env:OLD", 3)] {
        for _ in 0..count {
            let answer = gateway.ask(signed(secret));
            answer.expect_status(200);
            assert_eq!(
                upstream.last().header("X-Verigate-Secret").as_deref(),
                Some(name)
            );
            assert_eq!(gateway.log_of(&answer)["secret"], name);
        }
        let labels = [("route", "itellico"), ("secret", name)];
        let counted = || {
            gateway
                .metrics()
                .value("verigate_secret_matches_total", &labels)
        };
        assert!(
            eventually(SOON, || (counted() - f64::from(count)).abs() < 0.5),
            "{name}: {}",
            counted()
        );
    }
    gateway
        .ask(signed(SECRET))
        .expect_refusal(401, "bad_signature");
}

#[test]
fn a_secret_without_a_name_is_called_by_its_source() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("itellico_previous");
    fs::write(&file, format!("{OLD}\n")).expect("a secret file");
    let path = text(&format!("file:{}", file.display()));
    let secrets = format!(
        "[\"env:NEW\", {path}, \"plain:first-plain-secret-01\", \"plain:other-plain-secret-02\"]"
    );
    let gateway = Gateway::start_in(folder, &with_secrets(&upstream, &secrets));
    let mut names = Vec::new();
    for secret in [NEW, OLD, "first-plain-secret-01", "other-plain-secret-02"] {
        gateway.ask(signed(secret)).expect_status(200);
        names.push(upstream.last().header("X-Verigate-Secret").expect("a name"));
    }
    assert_eq!(&names[..2], ["env:NEW", "file:itellico_previous"]);
    assert!(
        names[2..].iter().all(|name| name
            .strip_prefix("plain-")
            .is_some_and(|n| n.parse::<u8>().is_ok())),
        "{names:?}"
    );
    assert_ne!(names[2], names[3]);
    assert!(gateway.says("plain"), "a literal secret is warned about");
    for secret in [NEW, OLD, "first-plain-secret-01", "other-plain-secret-02"] {
        assert!(
            !gateway.stderr().contains(secret) && !gateway.stdout().contains(secret),
            "a secret is on an output"
        );
    }
}

#[test]
fn au_20_a_secret_counts_only_between_its_dates() {
    let upstream = Upstream::start();
    let dated = |variable: &str, key: &str, at: u64| {
        format!(
            "{{ value = \"env:{variable}\", {key} = \"{}\" }}",
            rfc3339(at)
        )
    };
    let secrets = [
        ("ENDED", "not_after", now() - 60, false),
        ("ENDING", "not_after", now() + 600, true),
        ("BEGUN", "not_before", now() - 60, true),
        ("COMING", "not_before", now() + 600, false),
    ];
    let list: Vec<_> = secrets
        .iter()
        .map(|(variable, key, at, _)| dated(variable, key, *at))
        .collect();
    let config = with_secrets(&upstream, &format!("[{}]", list.join(", ")));
    let secret_of = |variable: &str| format!("the-secret-that-is-{variable}");
    let config = secrets.iter().fold(config, |config, (variable, ..)| {
        config.env(variable, &secret_of(variable))
    });
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    for (variable, _, _, counts) in secrets {
        cases.case(variable, || {
            let answer = gateway.ask(signed(&secret_of(variable)));
            if counts {
                answer.expect_status(200);
            } else {
                answer.expect_refusal(401, "bad_signature");
            }
        });
    }
    cases.finish();
}

#[test]
fn au_20_a_rotation_ends_by_itself_while_running() {
    let upstream = Upstream::start();
    let end = now() + 2;
    let secrets = format!(
        "[\"env:NEW\", {{ value = \"env:OLD\", not_after = \"{}\" }}]",
        rfc3339(end)
    );
    let gateway = Gateway::start(&with_secrets(&upstream, &secrets));
    let first = gateway.ask(signed(OLD));
    if now() < end {
        first.expect_status(200);
    }
    assert!(
        eventually(SOON, || gateway.ask(signed(OLD)).code() == "bad_signature"),
        "the old secret still counts"
    );
    assert!(now() >= end, "it ended too early");
    gateway.ask(signed(NEW)).expect_status(200);
}

#[test]
fn au_21_a_delivery_for_one_route_is_forged_on_another() {
    let upstream = Upstream::start();
    let named = |name: &str, secret: &str| {
        Route::itellico(&upstream)
            .set("name", &text(name))
            .set("path", &text(&format!("/{name}")))
            .set("secrets", &format!("[\"env:{secret}\"]"))
    };
    let config = Config::new()
        .route(named("x", "OLD"))
        .route(named("y", "NEW"))
        .env("OLD", OLD)
        .env("NEW", NEW);
    let gateway = Gateway::start(&config);
    gateway
        .ask(signed(OLD).target("/y"))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(signed(NEW).target("/x"))
        .expect_refusal(401, "bad_signature");
    gateway.ask(signed(OLD).target("/x")).expect_status(200);
    gateway.ask(signed(NEW).target("/y")).expect_status(200);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn au_22_one_line_end_of_a_secret_file_is_dropped_and_nothing_else() {
    let upstream = Upstream::start();
    let mut cases = Cases::new();
    for (name, contents, secret) in [
        ("no line end", OLD.to_owned(), OLD.to_owned()),
        ("one", format!("{OLD}\n"), OLD.to_owned()),
        ("two", format!("{OLD}\n\n"), format!("{OLD}\n")),
        ("white space", format!(" {OLD} \n"), format!(" {OLD} ")),
        ("above ASCII", format!("{OLD}é\n"), format!("{OLD}é")),
    ] {
        cases.case(name, || {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("secret");
            fs::write(&file, contents).expect("a secret file");
            let secrets = format!("[{}]", text(&format!("file:{}", file.display())));
            let gateway = Gateway::start_in(folder, &with_secrets(&upstream, &secrets));
            gateway.ask(signed(&secret)).expect_status(200);
            if secret != OLD {
                gateway
                    .ask(signed(OLD))
                    .expect_refusal(401, "bad_signature");
            }
        });
    }
    cases.finish();
}
