//! `sign` and `verify` (contract: Command line; CF-12, CF-13): what one makes the other accepts, and what was changed
//! since is rejected with the code that live traffic would get.

use serde_json::Value;

use crate::stage::{Ended, Folder};
use crate::support::cases::Cases;
use crate::support::delivery::{Delivery, event_with, sign as sign_by_hand, sign_body};
use crate::support::now;

const SECRET: &str = "a-secret-of-the-environment";

fn folder() -> Folder {
    let folder = Folder::new().env("S", SECRET);
    folder.write("body.json", event_with("evt-1"));
    folder
}

/// The headers file that `sign` makes for `body.json`.
#[track_caller]
fn sign(folder: &Folder, provider: &str, more: &[&str]) -> String {
    let arguments = [
        "sign",
        "--provider",
        provider,
        "--secret",
        "env:S",
        "--body",
        "body.json",
    ];
    let ended = folder.run(arguments.iter().chain(more));
    ended.expect_code(0).expect_hidden(&[SECRET]);
    ended.stdout
}

/// `verify` of `body.json` with these headers.
fn verify(folder: &Folder, provider: &str, headers: &str, more: &[&str]) -> Ended {
    folder.write("headers.txt", headers);
    let arguments = [
        "verify",
        "--provider",
        provider,
        "--secret",
        "env:S",
        "--headers",
        "headers.txt",
        "--body",
        "body.json",
    ];
    folder.run(arguments.iter().chain(more))
}

/// The headers file of a delivery made by hand.
fn headers_of(delivery: &Delivery) -> String {
    let line = |name: &str| format!("{name}: {}\n", delivery.value(name));
    line("X-Webhook-Timestamp") + &line("X-Webhook-Signature-256")
}

#[test]
fn what_sign_makes_verify_accepts() {
    let folder = folder();
    let headers = sign(&folder, "itellico", &[]);
    assert!(
        headers.lines().all(|line| line.split_once(": ").is_some()),
        "{headers}"
    );
    let ended = verify(&folder, "itellico", &headers, &[]);
    ended.expect_code(0).expect_hidden(&[SECRET]);
    assert!(ended.stdout.contains("valid"), "{ended}");
    folder.write("body.json", event_with("evt-2"));
    verify(&folder, "itellico", &headers, &[])
        .expect_code(1)
        .expect_words(&["bad_signature"]);
}

#[test]
fn sign_agrees_with_a_signature_made_by_hand() {
    let folder = folder();
    let body = event_with("evt-1");
    let headers = sign(&folder, "itellico", &["--at", "1760000000"]);
    let expected = sign_by_hand(SECRET, &body, "1760000000");
    let line = |name: &str| {
        let found = headers.lines().find(|line| {
            line.to_lowercase()
                .starts_with(&format!("{}:", name.to_lowercase()))
        });
        found
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.to_owned())
    };
    assert_eq!(
        line("X-Webhook-Timestamp").as_deref(),
        Some("1760000000"),
        "{headers}"
    );
    assert_eq!(
        line("X-Webhook-Signature-256").as_deref(),
        Some(expected.as_str()),
        "{headers}"
    );
}

#[test]
fn sign_reads_a_body_from_standard_input() {
    let folder = folder();
    let arguments = [
        "sign",
        "--provider",
        "itellico",
        "--secret",
        "env:S",
        "--body",
        "-",
    ];
    let signed = folder.pipe(arguments, &event_with("evt-1"));
    signed.expect_code(0);
    verify(&folder, "itellico", &signed.stdout, &[]).expect_code(0);
}

#[test]
fn sign_takes_a_route_of_a_file() {
    let folder = folder();
    folder.write(
        "verigate.toml",
        "[[route]]\nname = \"conversations\"\npath = \"/w\"\nprovider = \"itellico\"\nsecrets = [\"env:S\"]\n\
         upstream = \"http://127.0.0.1:3000\"\n",
    );
    let of_route = [
        "--route",
        "conversations",
        "--config",
        "verigate.toml",
        "--body",
        "body.json",
    ];
    let signed = folder.run(["sign"].iter().chain(&of_route));
    signed.expect_code(0).expect_hidden(&[SECRET]);
    verify(&folder, "itellico", &signed.stdout, &[]).expect_code(0);
    folder
        .run([
            "sign",
            "--route",
            "nowhere",
            "--config",
            "verigate.toml",
            "--body",
            "body.json",
        ])
        .expect_code(2);
}

#[test]
fn sign_knows_a_scheme_that_a_route_spells_out() {
    let folder = folder();
    folder.write(
        "verigate.toml",
        "[[route]]\nname = \"erp\"\npath = \"/erp\"\nsecrets = [\"env:S\"]\nupstream = \"http://127.0.0.1:3000\"\n\
         [route.scheme]\nalgorithm = \"hmac-sha256\"\nsigned = \"v0:{timestamp}:{body}\"\n\
         signature = { header = \"X-Signature\", encoding = \"hex\", prefix = \"v0=\" }\n\
         timestamp = { header = \"X-Timestamp\", unit = \"seconds\" }\n",
    );
    let arguments = [
        "sign",
        "--route",
        "erp",
        "--config",
        "verigate.toml",
        "--body",
        "body.json",
        "--at",
        "1760000000",
    ];
    let ended = folder.run(arguments);
    let content = [b"v0:1760000000:".as_slice(), &event_with("evt-1")].concat();
    let signature = format!("X-Signature: v0={}", sign_body(SECRET, &content));
    ended
        .expect_code(0)
        .expect_hidden(&[SECRET])
        .expect_words(&[&signature, "X-Timestamp: 1760000000"]);
}

#[test]
fn sign_makes_a_whole_command() {
    let folder = folder();
    let more = [
        "--curl",
        "--url",
        "http://127.0.0.1:8080/webhooks/itellico",
        "--at",
        "1760000000",
    ];
    let command = sign(&folder, "itellico", &more);
    assert!(command.trim_start().starts_with("curl "), "{command}");
    for part in [
        "http://127.0.0.1:8080/webhooks/itellico",
        "X-Webhook-Timestamp: 1760000000",
        "--data-binary",
        "body.json",
    ] {
        assert!(command.contains(part), "{part} in {command}");
    }
}

#[test]
fn verify_judges_at_the_chosen_time() {
    let folder = folder();
    let headers = sign(&folder, "itellico", &["--at", "1760000000"]);
    let mut cases = Cases::new();
    for (name, more, code, words) in [
        ("now", &[][..], 1, "stale_timestamp"),
        ("then", &["--at", "1760000000"], 0, "valid"),
        (
            "at the end of its tolerance",
            &["--at", "1760000300"],
            0,
            "valid",
        ),
        (
            "a second later",
            &["--at", "1760000301"],
            1,
            "stale_timestamp",
        ),
        ("as long before", &["--at", "1759999700"], 0, "valid"),
        (
            "a second more",
            &["--at", "1759999699"],
            1,
            "future_timestamp",
        ),
        (
            "another tolerance",
            &["--at", "1760000301", "--tolerance", "301s"],
            0,
            "valid",
        ),
        (
            "a narrower one",
            &["--at", "1760000031", "--tolerance", "30s"],
            1,
            "stale_timestamp",
        ),
        ("no tolerance", &["--tolerance", "off"], 0, "valid"),
    ] {
        cases.case(name, || {
            verify(&folder, "itellico", &headers, more)
                .expect_code(code)
                .expect_words(&[words]);
        });
    }
    cases.finish();
}

#[test]
fn verify_says_everything_as_json() {
    let folder = folder();
    let good = sign(&folder, "itellico", &[]);
    let ended = verify(&folder, "itellico", &good, &["--json"]);
    ended.expect_code(0);
    let valid = ended.json();
    for (field, expected) in [
        ("valid", Value::from(true)),
        ("secret", "env:S".into()),
        ("envelope", "ok".into()),
        ("event_id", "evt-1".into()),
        ("event_type", "conversation.ended".into()),
        ("account", "0f0e0d0c-0b0a-4000-8000-000000000001".into()),
    ] {
        assert_eq!(valid[field], expected, "{field} in {valid}");
    }
    assert!(valid.get("code").is_some(), "{valid}");

    let ended = verify(
        &folder,
        "itellico",
        &good.replace("X-Webhook-Timestamp: 1", "X-Webhook-Timestamp: 2"),
        &["--json"],
    );
    ended.expect_code(1);
    let invalid = ended.json();
    assert_eq!(
        (invalid["valid"].as_bool(), invalid["code"].as_str()),
        (Some(false), Some("future_timestamp")),
        "{invalid}"
    );
    for field in ["secret", "envelope", "event_id", "event_type", "account"] {
        assert!(invalid.get(field).is_some(), "{field} in {invalid}");
    }
    assert!(invalid["secret"].is_null(), "{invalid}");
}

#[test]
fn verify_judges_the_envelope_apart() {
    let mut cases = Cases::new();
    for (name, body) in [
        ("no id", &b"{\"event_type\":\"a\"}"[..]),
        ("key twice", b"{\"event_id\":\"a\",\"event_id\":\"b\"}"),
        ("control character", b"{\"event_id\":\"a\\n\"}"),
    ] {
        cases.case(name, || {
            let folder = folder();
            folder.write("body.json", body);
            let headers = headers_of(&Delivery::signed(SECRET, body, &now().to_string()));
            let ended = verify(&folder, "itellico", &headers, &["--json"]);
            ended.expect_code(0);
            let judged = ended.json();
            assert_eq!(judged["valid"], true, "{judged}");
            assert!(
                judged["envelope"]
                    .as_str()
                    .is_some_and(|reason| reason != "ok"),
                "{judged}"
            );
            verify(&folder, "itellico", &headers, &["--envelope"])
                .expect_code(1)
                .expect_words(&["invalid_envelope"]);
        });
    }
    cases.finish();
}

#[test]
fn cf_13_verify_gives_the_codes_of_live_traffic() {
    let folder = folder();
    let body = event_with("evt-1");
    let at = now().to_string();
    let mac = sign_by_hand(SECRET, &body, &at);
    let headers = |timestamp: &str, signature: &str| {
        format!("X-Webhook-Timestamp: {timestamp}\nX-Webhook-Signature-256: {signature}\n")
    };
    let mut cases = Cases::new();
    for (name, file, code) in [
        (
            "no signature",
            format!("X-Webhook-Timestamp: {at}\n"),
            "missing_signature",
        ),
        (
            "no timestamp",
            format!("X-Webhook-Signature-256: {mac}\n"),
            "missing_timestamp",
        ),
        (
            "upper case",
            headers(&at, &mac.to_uppercase()),
            "malformed_signature",
        ),
        (
            "signature twice",
            format!("{}X-Webhook-Signature-256: {mac}\n", headers(&at, &mac)),
            "malformed_signature",
        ),
        (
            "alias beside it",
            format!("{}X_Webhook_Signature_256: 00\n", headers(&at, &mac)),
            "malformed_signature",
        ),
        ("exponent", headers("1e9", &mac), "malformed_timestamp"),
        (
            "milliseconds",
            headers(&format!("{at}000"), &mac),
            "future_timestamp",
        ),
        ("zero", headers("0", &mac), "stale_timestamp"),
        ("all zeros", headers(&at, &"0".repeat(64)), "bad_signature"),
    ] {
        cases.case(name, || {
            let ended = verify(&folder, "itellico", &file, &["--json"]);
            ended.expect_code(1).expect_hidden(&[SECRET]);
            assert_eq!(ended.json()["code"], code, "{ended}");
        });
    }
    cases.case("in words", || {
        verify(&folder, "itellico", &headers("0", &mac), &[])
            .expect_code(1)
            .expect_words(&["stale_timestamp"]);
    });
    cases.case("names in another case, other headers beside them", || {
        let file = format!(
            "host: a\nx-webhook-timestamp: {at}\nX-WEBHOOK-SIGNATURE-256:   {mac}\nX-Other: 1\n"
        );
        verify(&folder, "itellico", &file, &[]).expect_code(0);
    });
    cases.case("line ends of another system", || {
        verify(
            &folder,
            "itellico",
            &headers(&at, &mac).replace('\n', "\r\n"),
            &[],
        )
        .expect_code(0);
    });
    cases.finish();
}

#[test]
fn wrong_arguments_are_told_apart_from_a_rejected_delivery() {
    let folder = folder();
    folder.write("headers.txt", "X-Webhook-Timestamp: 1\n");
    folder.write("broken.txt", "no colon here\n");
    let verify = |more: &[&str]| {
        let all = [
            "verify",
            "--provider",
            "itellico",
            "--secret",
            "env:S",
            "--headers",
            "headers.txt",
            "--body",
            "body.json",
        ];
        let mut arguments: Vec<String> = all.iter().map(|a| (*a).to_owned()).collect();
        for pair in more.chunks(2) {
            match arguments.iter().position(|a| a == pair[0]) {
                Some(place) => pair[1].clone_into(&mut arguments[place + 1]),
                None => arguments.extend(pair.iter().map(|a| (*a).to_owned())),
            }
        }
        folder.run(arguments)
    };
    let mut cases = Cases::new();
    for (name, ended) in [
        ("nothing", folder.run::<&str>([])),
        ("unknown command", folder.run(["serve"])),
        ("unknown flag", folder.run(["run", "--confg", "a"])),
        (
            "verify without a body",
            folder.run(["verify", "--provider", "itellico", "--secret", "env:S"]),
        ),
        ("unknown provider", verify(&["--provider", "itelico"])),
        ("unset secret", verify(&["--secret", "env:NOT_SET"])),
        (
            "literal secret",
            verify(&["--secret", "a-literal-secret-77"]),
        ),
        ("headers missing", verify(&["--headers", "nowhere.txt"])),
        ("headers broken", verify(&["--headers", "broken.txt"])),
        ("body missing", verify(&["--body", "nowhere.json"])),
        ("time that is none", verify(&["--at", "yesterday"])),
        ("tolerance that is none", verify(&["--tolerance", "soon"])),
        (
            "sign without a secret",
            folder.run(["sign", "--provider", "itellico", "--body", "body.json"]),
        ),
        (
            "sign with a route and a provider",
            folder.run([
                "sign",
                "--route",
                "a",
                "--provider",
                "itellico",
                "--secret",
                "env:S",
                "--body",
                "body.json",
            ]),
        ),
        ("explain without anything", folder.run(["explain"])),
        (
            "providers with an unknown name",
            folder.run(["providers", "itelico"]),
        ),
    ] {
        cases.case(name, || {
            ended
                .expect_code(2)
                .expect_hidden(&[SECRET, "a-literal-secret-77", "panicked"]);
            assert!(
                !ended.stderr.is_empty() && ended.stdout.is_empty(),
                "{ended}"
            );
        });
    }
    cases.finish();
}
