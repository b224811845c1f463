//! Whose delivery is it: `accounts` of a route (contract: Accounts; AU-40, AU-41). What an account is byte for byte, and
//! a topic of Amazon SNS, are tested on the pure core.

use crate::support::PLAIN_SECRET;
use crate::support::answer::Answer;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, fresh_event_id, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// A route at `/own` that signs the body, takes the account from it, and hands one kind of handshake to the app.
fn own(upstream: &Upstream) -> Route {
    Route::plain(upstream)
        .set("name", "\"own\"")
        .set("path", "\"/own\"")
        .set("accounts", "[\"ours\", \"42\"]")
        .scheme("event_id", "{ json = \"/id\" }")
        .scheme("account", "{ json = \"/team\" }")
        .scheme("handshake", "\"aws-sns\"")
}

fn start(upstream: &Upstream, route: Route) -> Gateway {
    Gateway::start(&Config::for_upstream(upstream).route(route))
}

/// A genuine delivery with these members behind a fresh id.
fn genuine(members: &str) -> Delivery {
    let body = format!("{{\"id\":\"{}\"{members}}}", fresh_event_id());
    let signature = format!("sha256={}", sign_body(PLAIN_SECRET, body.as_bytes()));
    Delivery::unsigned("/own", body).with("X-Signature", signature)
}

/// Deliveries that are genuine and not of a listed account: the name of the case, and the members of the body.
const UNLISTED: [(&str, &str); 9] = [
    ("another account", ",\"team\":\"theirs\""),
    ("one byte more", ",\"team\":\"ours \""),
    ("another case", ",\"team\":\"Ours\""),
    ("no account", ""),
    ("null", ",\"team\":null"),
    ("an object", ",\"team\":{\"ours\":1}"),
    (
        "twice, ours first",
        ",\"team\":\"ours\",\"team\":\"theirs\"",
    ),
    ("twice, ours last", ",\"team\":\"theirs\",\"team\":\"ours\""),
    (
        "a subscription",
        ",\"team\":\"theirs\",\"Type\":\"SubscriptionConfirmation\"",
    ),
];

#[track_caller]
fn expect_logged(gateway: &Gateway, answer: &Answer, account: Option<&str>) {
    let line = gateway.log_of(answer);
    let member = |name: &str| line.get(name).and_then(|value| value.as_str());
    assert_eq!(member("verdict"), Some("account_not_listed"), "{line}");
    assert_eq!(member("account"), account, "{line}");
    assert_eq!(member("secret"), None, "{line}");
}

#[test]
fn au_40_a_genuine_delivery_of_another_account_is_refused_before_it_claims_or_is_forwarded() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, own(&upstream));
    let mut cases = Cases::new();
    for (name, members) in UNLISTED {
        cases.case(name, || {
            let delivery = genuine(members);
            for _ in 0..2 {
                // Were it claimed, the second would be a duplicate.
                gateway
                    .ask(delivery.clone())
                    .expect_refusal(403, "account_not_listed");
            }
        });
    }
    cases.case("log", || {
        let answer = gateway.ask(genuine(",\"team\":\"the\\u001birs\""));
        expect_logged(&gateway, &answer, Some("the\u{1b}irs"));
        expect_logged(&gateway, &gateway.ask(genuine("")), None);
    });
    cases.case("forged before foreign", || {
        let forged = genuine(",\"team\":\"theirs\"")
            .set("X-Signature", format!("sha256={}", "0".repeat(64)));
        gateway.ask(forged).expect_refusal(401, "bad_signature");
    });
    cases.finish();
    assert_eq!(upstream.count(), 0, "forwarded");
    let secret = [("route", "own"), ("secret", "env:PLAIN_SECRET")];
    let matches = gateway
        .metrics()
        .value("verigate_secret_matches_total", &secret);
    assert!(matches < 0.5, "{matches} matches counted");

    for members in [
        ",\"team\":\"ours\"",
        ",\"team\":42",
        ",\"team\":\"\\u006furs\"",
    ] {
        gateway.ask(genuine(members)).expect_status(200);
    }
    let subscription = ",\"team\":\"ours\",\"Type\":\"SubscriptionConfirmation\"";
    gateway.ask(genuine(subscription)).expect_status(200);
    assert_eq!(
        upstream.last().header("X-Verigate-Verdict").as_deref(),
        Some("handshake")
    );
    assert_eq!(upstream.count(), 4, "forwarded");
}

#[test]
fn au_40_each_foreign_account_is_warned_about_once() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, own(&upstream));
    for team in ["theirs", "theirs", "oth\\ners", "theirs"] {
        let delivery = genuine(&format!(",\"team\":\"{team}\""));
        gateway
            .ask(delivery)
            .expect_refusal(403, "account_not_listed");
    }
    assert!(gateway.says("`oth\\ners`"), "{}", gateway.stderr());
    let said = gateway.stderr();
    assert_eq!(said.matches("`theirs`").count(), 1, "{said}");
}

#[test]
fn au_41_shadow_mode_counts_a_foreign_delivery_as_unproved() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, own(&upstream).set("enforce", "false"));
    let mut cases = Cases::new();
    for (name, members) in UNLISTED {
        cases.case(name, || {
            let delivery = genuine(members);
            for _ in 0..2 {
                let before = upstream.count();
                let answer = gateway.ask(delivery.clone());
                answer.expect_status(200);
                assert_eq!(upstream.count(), before + 1, "forwarded");
                let recorded = upstream.last();
                let verdict = recorded.header("X-Verigate-Verdict");
                assert_eq!(verdict.as_deref(), Some("account_not_listed"), "{recorded}");
                assert!(!recorded.has("X-Verigate-Secret"), "{recorded}");
                assert!(!recorded.has("X-Verigate-Event-Id"), "{recorded}");
            }
        });
    }
    cases.finish();
    gateway
        .ask(genuine(",\"team\":\"ours\""))
        .expect_status(200);
    let verdict = upstream.last().header("X-Verigate-Verdict");
    assert_eq!(verdict.as_deref(), Some("valid"));
}

#[test]
fn au_40_the_route_sets_the_status_and_a_handshake_that_is_answered_needs_no_account() {
    let upstream = Upstream::start();
    let route = own(&upstream)
        .set("on_unlisted", "202")
        .scheme("handshake", "\"slack\"");
    let gateway = start(&upstream, route);
    gateway
        .ask(genuine(",\"team\":\"theirs\""))
        .expect_refusal(202, "account_not_listed");
    let challenge = ",\"type\":\"url_verification\",\"challenge\":\"a1\"";
    gateway.ask(genuine(challenge)).expect_status(200);
    assert_eq!(upstream.count(), 0, "forwarded");
}

#[test]
fn au_40_any_takes_every_account_and_is_warned_about_at_the_start() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, own(&upstream).set("accounts", "\"any\""));
    gateway
        .ask(genuine(",\"team\":\"theirs\""))
        .expect_status(200);
    gateway.ask(genuine("")).expect_status(200);
    assert!(gateway.says("accounts-any"), "{}", gateway.stderr());
}
