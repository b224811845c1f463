//! The providers that a head may come from, among all presets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cli::delivery::split_url;
use crate::clock::{Clock, UnixMillis};
use crate::config::presets;
use crate::explain::{Candidates, candidates, value_words};
use crate::scheme::Scheme;
use crate::wire::head::Head;

fn of<'p>(lines: &[(&str, &str)], presets: &[&'p Scheme]) -> Candidates<'p> {
    let lines = lines
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let head = Head::from_parts("POST", "/", lines).unwrap();
    let now = Clock::set_to(UnixMillis::from_secs(1_750_000_000)).now();
    candidates(&head, None, now, presets)
}

fn names(found: &Candidates<'_>) -> Vec<String> {
    let fitting = found.fitting.iter();
    fitting.map(|one| one.scheme.provider.clone()).collect()
}

/// Header lines, the first candidates, and providers that are no candidates.
type Row<'r> = (&'r [(&'r str, &'r str)], &'r [&'r str], &'r [&'r str]);

#[test]
fn a_header_with_many_users_is_told_by_the_shape_of_its_value() {
    let all: Vec<&Scheme> = presets::all().iter().map(|preset| &preset.scheme).collect();
    let hex = |digits: usize| "0a".repeat(digits / 2);
    let base64 = "x+NJdmPQVqoZgUv8P8qxwD7zzwhQ9Rciyqh9W5SNJAM=";
    let stream = format!("time=1750000000,sig1={}", hex(64));
    let (sha256, sha1) = (format!("sha256={}", hex(64)), format!("sha1={}", hex(40)));
    let standard = format!("v1,{base64}");
    let (name, time) = ("Webhook-Signature", "1750000000");
    let rows: &[Row<'_>] = &[
        (
            &[(name, &hex(64))],
            &["gocardless"],
            &["mautic", "pusher-beams"],
        ),
        (
            &[(name, &hex(40))],
            &["pusher-beams"],
            &["mautic", "gocardless"],
        ),
        (
            &[(name, base64)],
            &["mautic"],
            &["gocardless", "pusher-beams"],
        ),
        (
            &[(name, &stream)],
            &["cloudflare-stream"],
            &["mautic", "gocardless"],
        ),
        (
            &[
                (name, &standard),
                ("Webhook-Id", "msg_1"),
                ("Webhook-Timestamp", time),
            ],
            &["standard-webhooks"],
            &["mautic", "iron", "svix"],
        ),
        (&[("X-Hook-Signature", &hex(64))], &["asana"], &["netbox"]),
        (&[("X-Hook-Signature", &hex(128))], &["netbox"], &["asana"]),
        (
            &[("x-hub-signature-256", &sha256), ("X-GitHub-Event", "push")],
            &["github", "meta"],
            &["intercom"],
        ),
        (
            &[("X-Hub-Signature-256", &sha256), ("User-Agent", "Meta/1.0")],
            &["meta", "github"],
            &[],
        ),
        (
            &[("X-Hub-Signature", &sha1)],
            &["intercom"],
            &["mastodon", "snyk"],
        ),
        // Cashfree states milliseconds.
        (
            &[
                ("x-webhook-signature", base64),
                ("x-webhook-timestamp", time),
            ],
            &[],
            &["cashfree"],
        ),
        (
            &[
                ("x-webhook-signature", base64),
                ("x-webhook-timestamp", "1750000000000"),
            ],
            &["cashfree"],
            &[],
        ),
        (
            &[("Authorization", "Bearer abcdefghijkl")],
            &["brevo"],
            &["ms-teams", "postmark"],
        ),
        (
            &[("Content-Type", "application/json"), ("X-Nothing", "1")],
            &[],
            &["github"],
        ),
    ];
    let mut wrong = Vec::new();
    for (lines, first, absent) in rows {
        let found = of(lines, &all);
        let names = names(&found);
        let is_first = names.iter().zip(*first).all(|(name, first)| name == first);
        let is_right = is_first
            && names.len() >= first.len()
            && !names.iter().any(|name| absent.contains(&name.as_str()));
        if !is_right {
            wrong.push((lines, names));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_provider_whose_form_the_value_lacks_is_named_apart() {
    let all: Vec<&Scheme> = presets::all().iter().map(|preset| &preset.scheme).collect();
    let found = of(&[("X-Hook-Signature", &"0a".repeat(32))], &all);
    let otherwise: Vec<_> = found
        .otherwise
        .iter()
        .map(|(one, _)| &one.provider)
        .collect();
    assert!(otherwise.contains(&&"netbox".to_owned()), "{otherwise:?}");
    let found = of(&[("X-Hook-Signature", "")], &all);
    assert!(found.fitting.is_empty() && found.otherwise.is_empty());
}

#[test]
fn the_look_of_a_value_is_said_without_a_byte_of_it() {
    let hex = "0a1b".repeat(16);
    let base64 = "x+NJdmPQVqoZgUv8P8qxwD7zzwhQ9Rciyqh9W5SNJAM=";
    let rows = [
        (hex.clone(), "64 hexadecimal digits, the length of SHA-256"),
        (
            base64.to_owned(),
            "base64 of 32 bytes, the length of SHA-256",
        ),
        (format!("v1,{base64}"), "behind `v1,`"),
        (
            format!("t=1750000000,v1={hex}"),
            "labelled `t`, `v1`: 64 hexadecimal digits",
        ),
        (format!("sha256={hex}"), "labelled `sha256`: 64 hexadecimal"),
        (
            "eyJhbGciOiJIUzI1NiJ9.e30.c2ln".to_owned(),
            "a JSON Web Token",
        ),
    ];
    for (value, expected) in rows {
        let words = value_words(value.as_bytes()).unwrap();
        assert!(words.contains(expected), "{words}");
        assert!(!words.contains("0a1b") && !words.contains("x+NJ") && !words.contains("1750"));
    }
    for value in ["", "tops3cret", "Bearer tops3cret-token", "a b c"] {
        assert_eq!(value_words(value.as_bytes()), None, "{value}");
    }
}

/// The vectors hold deliveries as the providers send them, so each must fit its provider, wherever
/// the signature is: in the head, in the query or in the body.
#[test]
fn every_genuine_delivery_fits_its_provider() {
    let all: Vec<&Scheme> = presets::all().iter().map(|preset| &preset.scheme).collect();
    let now = Clock::set_to(UnixMillis::from_secs(1_750_000_000)).now();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for file in ["public.json", "second.json"] {
        let path = format!("{}/tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for vector in &vectors {
            let text = |key: &str| vector[key].as_str().unwrap_or_default();
            let Some(preset) = presets::find(text("provider")) else {
                continue;
            };
            let body = STANDARD.decode(text("body_b64")).ok();
            let lines: Vec<(&str, &str)> = vector["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
                .collect();
            if vector["expected"] != true {
                continue;
            }
            judged += 1;
            let bytes = lines
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let method = vector["method"].as_str().unwrap_or("POST");
            let url = split_url(text("url"));
            let target = url.map_or_else(|_| "/".to_owned(), |(_, target)| target);
            let head = Head::from_parts(method, &target, bytes).unwrap();
            let found = candidates(&head, body.as_deref(), now, &all);
            if !names(&found).contains(&preset.name) {
                wrong.push((text("id").to_owned(), names(&found)));
            }
        }
    }
    assert!(judged > 600, "{judged}");
    assert!(wrong.is_empty(), "{} of {judged}: {wrong:#?}", wrong.len());
}
