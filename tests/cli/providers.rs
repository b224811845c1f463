//! `providers` (contract: Providers, Command line): what ships, one or all, as text or JSON.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use serde_json::Value;

use crate::stage::{Ended, Folder};
use crate::support::cases::Cases;

#[track_caller]
fn json(ended: &Ended) -> Value {
    ended.expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
}

/// The first words of the lines: the names that are listed.
fn listed(ended: &Ended) -> Vec<&str> {
    ended.expect_code(0);
    ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn all_are_listed() {
    let ended = Folder::new().run(["providers"]);
    let names = listed(&ended);
    assert!(names.contains(&"itellico") && names.len() > 100, "{ended}");
    let supported = ended
        .stdout
        .split("not supported")
        .next()
        .unwrap_or_default();
    assert!(!supported.contains("paypal"), "{ended}");
    ended.expect_words(&["paypal", "CRC-32"]);
}

#[test]
fn the_json_array_has_what_the_list_has_and_those_that_are_none_last() {
    let folder = Folder::new();
    let array = json(&folder.run(["providers", "--json"]));
    let array = array
        .as_array()
        .unwrap_or_else(|| panic!("no array: {array}"));
    let supported = array
        .iter()
        .take_while(|one| one["supported"] == true)
        .count();
    assert!(supported > 100 && supported < array.len());
    for one in &array[supported..] {
        assert!(
            one["supported"] == false && one["reason"].is_string(),
            "{one}"
        );
    }
    let list = folder.run(["providers"]);
    let names = listed(&list);
    let mut cases = Cases::new();
    for one in &array[..supported] {
        let name = one["id"].as_str().unwrap_or_default();
        cases.case(name, || {
            assert!(names.contains(&name), "not listed");
            let line = list
                .stdout
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")))
                .unwrap_or_default();
            for key in ["title", "family", "tolerance", "replay_key", "basis"] {
                let word = one[key].as_str().unwrap_or("nothing");
                assert!(line.contains(word), "{key} {word} in {line}");
            }
            for key in [
                "aliases",
                "horizon_s",
                "advised_ttl",
                "proved",
                "handshake",
                "body_covered",
                "signed",
                "toml",
            ] {
                assert!(one.get(key).is_some(), "{key}");
            }
        });
    }
    cases.finish();
}

#[test]
fn options_narrow_the_list() {
    let folder = Folder::new();
    let mut cases = Cases::new();
    for (options, there, absent) in [
        (
            &["--family", "token"][..],
            &["gitlab", "okta"][..],
            &["github", "paypal"][..],
        ),
        (
            &["--algorithm", "ed25519"],
            &["telnyx", "standard-webhooks"],
            &["github"],
        ),
        (&["--unconfirmed"], &["trello"], &["stripe"]),
        (&["--handshake"], &["slack", "meta"], &["github"]),
        (
            &["--unsigned-body"],
            &["mailgun", "adyen", "gitlab"],
            &["stripe"],
        ),
        (
            &["--search", "x-hub-signature"],
            &["github", "meta"],
            &["stripe", "paypal"],
        ),
        (&["--search", "PayPal"], &["paypal"], &["stripe"]),
        (
            &["--header", "x-hook-signature"],
            &["asana", "netbox"],
            &["github", "paypal"],
        ),
        (
            &["--header", "Webhook-Signature", "--family", "body-hmac"],
            &["gocardless", "mautic", "pusher-beams"],
            &["openai", "cloudflare-stream"],
        ),
        (
            &[
                "--header",
                "X-Hub-Signature-256",
                "--header",
                "x-github-event",
            ],
            &["github"],
            &["meta"],
        ),
        (&["--search", "Hugging Face"], &["huggingface"], &["github"]),
        (
            &["--unconfirmed", "--handshake"],
            &["trello", "xero"],
            &["slack", "attio"],
        ),
    ] {
        cases.case(&options.join(" "), || {
            let ended = folder.run(["providers"].iter().chain(options));
            let names = listed(&ended);
            assert!(there.iter().all(|name| names.contains(name)), "{ended}");
            assert!(!absent.iter().any(|name| names.contains(name)), "{ended}");
            let array = json(&folder.run(["providers", "--json"].iter().chain(options)));
            let ids: Vec<_> = array
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one["id"].as_str())
                .collect();
            assert!(there.iter().all(|name| ids.contains(name)), "{ids:?}");
            assert!(!absent.iter().any(|name| ids.contains(name)), "{ids:?}");
        });
    }
    cases.case("nothing is found", || {
        folder
            .run(["providers", "--search", "no such header"])
            .expect_code(1)
            .expect_words(&["no provider"]);
        assert_eq!(
            folder
                .run(["providers", "--search", "no such header", "--json"])
                .stdout
                .trim(),
            "[]"
        );
    });
    cases.case("what was meant", || {
        for (options, words) in [
            (
                &["--header", "X-Hub-Signatur"][..],
                "did you mean `X-Hub-Signature`",
            ),
            (&["--search", "strype"], "did you mean `stripe`"),
            (
                &[
                    "--header",
                    "X-Hub-Signature-256",
                    "--header",
                    "X-Slack-Signature",
                ],
                "`X-Slack-Signature` is read by `slack`",
            ),
            (
                &["--header", "X-Slack-Signature", "--family", "token"],
                "no provider fits all of them",
            ),
        ] {
            let ended = folder.run(["providers"].iter().chain(options));
            ended.expect_code(1).expect_words(&[words]);
            let ended = folder.run(["providers", "--json"].iter().chain(options));
            ended.expect_code(1).expect_words(&[words]);
            assert_eq!(ended.stdout.trim(), "[]");
        }
        folder
            .run(["providers", "--header", "no name"])
            .expect_code(2)
            .expect_words(&["X-Hub-Signature-256"]);
    });
    cases.case("what is read from a header", || {
        let ended = folder.run(["providers", "--header", "X-Hook-Signature"]);
        ended.expect_code(0).expect_words(&[
            "hmac-sha256 of `{body}`: hex",
            "hmac-sha512 of `{body}`: hex",
            "signature",
        ]);
        let array = json(&folder.run(["providers", "--json", "--header", "X-Hook-Signature"]));
        let reads = array[0]["reads"].as_array();
        let mut reads = reads.into_iter().flatten();
        assert!(
            reads.any(|one| one["header"] == "X-Hook-Signature" && one["part"] == "signature"),
            "{array}"
        );
    });
    cases.case("options that are none", || {
        folder
            .run(["providers", "--family", "hmac"])
            .expect_code(2)
            .expect_words(&["body-hmac"]);
        folder
            .run(["providers", "--algorithm", "md5"])
            .expect_code(2)
            .expect_words(&["hmac-sha256"]);
        folder
            .run(["providers", "itellico", "--handshake"])
            .expect_code(2);
    });
    cases.finish();
}

#[test]
fn one_shows_its_scheme_and_its_facts() {
    let folder = Folder::new();
    let words = [
        "X-Webhook-Signature-256",
        "X-Webhook-Timestamp",
        "{body}.{timestamp}",
        "hmac-sha256",
    ];
    folder
        .run(["providers", "itellico"])
        .expect_code(0)
        .expect_words(&words);
    let ended = folder.run(["providers", "itellico", "--json"]);
    ended.expect_code(0);
    // Names of headers are the same in any case.
    let shown = ended.stdout.to_lowercase();
    assert!(
        words
            .iter()
            .all(|word| shown.contains(&word.to_lowercase())),
        "{ended}"
    );
    assert!(json(&ended).is_object(), "{ended}");
    let meta = folder.run(["providers", "WhatsApp"]);
    meta.expect_code(0).expect_words(&[
        "provider = \"meta\"",
        "unconfirmed",
        "verify_token",
        "hub.mode=subscribe",
    ]);
    folder
        .run(["providers", "adyen"])
        .expect_code(0)
        .expect_words(&["not signed: nothing authenticates it", "ttl = \"30d\""]);
}

#[test]
fn a_page_is_a_configuration_that_check_takes() {
    let mut cases = Cases::new();
    for (name, variable) in [
        ("itellico", "ITELLICO_WEBHOOK_SECRET"),
        ("square", "SQUARE_SIGNATURE_KEY"),
        ("adyen-platform", "ADYEN_PLATFORM_HMAC_KEY"),
    ] {
        cases.case(name, || {
            let folder = Folder::new().env(variable, "5f6e7d8c5f6e7d8c");
            folder.write(
                "verigate.toml",
                folder
                    .run(["providers", name])
                    .expect_code(0)
                    .stdout
                    .as_bytes(),
            );
            folder
                .run(["check", "--config", "verigate.toml"])
                .expect_code(0)
                .expect_words(&[name]);
        });
    }
    cases.finish();
}

#[test]
fn a_name_that_is_none_is_told_what_was_meant() {
    let folder = Folder::new();
    folder
        .run(["providers", "itelico"])
        .expect_code(2)
        .expect_words(&["itelico", "did you mean", "verigate providers"]);
    folder
        .run(["providers", "git"])
        .expect_code(2)
        .expect_words(&["`github`", "`gitlab`"]);
    folder
        .run(["providers", "paypal"])
        .expect_code(2)
        .expect_words(&["not supported", "CRC-32"]);
    folder
        .run(["providers", "PayPal", "--json"])
        .expect_code(2)
        .expect_words(&["CRC-32"]);
}

#[test]
fn probes_of_an_endpoint_are_named_whether_they_are_answered_or_refused() {
    let folder = Folder::new();
    let mut cases = Cases::new();
    for (name, expected) in [
        ("woocommerce", "the unsigned form `webhook_id=N`"),
        ("slack", "`ssl_check=1&token=…`"),
        ("intercom", "HEAD"),
        ("bitbucket", "{\"test\": true}"),
        ("zendesk", "The test of a webhook that is not saved yet"),
        ("cal-com", "The ping test of a webhook without a secret"),
        ("shopify", "The review of an app"),
    ] {
        cases.case(name, || {
            let page = folder.run(["providers", name]).stdout;
            let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
            let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(page.contains(&expected), "{page}");
        });
    }
    cases.finish();
}
