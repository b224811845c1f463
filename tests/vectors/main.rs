//! Every vector of the schemes that `[route.scheme]` can say in its plain form, through the functions of live traffic.
//!
//! The vectors prove signature and freshness; each brings its own clock and tolerance. Where a vector leaves the choice
//! open (`expected: null`), the strict one is made and listed in [`STRICT_CHOICES`].
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; the lints spare only tests themselves"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use verigate::config;
use verigate::verify::clock::{Now, UnixMillis};
use verigate::verify::scheme::{Scheme, Settings, Tolerance};
use verigate::verify::secret::{Secret, SecretText};
use verigate::verify::verdict::Refusal;
use verigate::verify::verifier::Verifier;
use verigate::wire::head::Head;

/// What is chosen where a vector leaves the choice open, and why.
const STRICT_CHOICES: &[(&str, bool)] = &[
    ("hubspot-028", false),  // ahead of the clock by more than the tolerance
    ("notion-026", false),   // upper-case hex: one spelling only
    ("github-029", false),   // likewise
    ("itellico-032", false), // likewise
    ("itellico-033", false), // milliseconds: the unit is seconds
    ("itellico-034", false), // ISO 8601: likewise
];

fn schemes() -> BTreeMap<String, Arc<Scheme>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/schemes.toml");
    let config = config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    config.routes.into_iter().map(|route| (route.name, route.scheme)).collect()
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("plain.json")).unwrap()
}

fn body(vector: &Value) -> Vec<u8> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match vector.get("body_rule") {
        Some(rule) => {
            let part = |key: &str| STANDARD.decode(text(rule, key)).unwrap();
            let count = usize::try_from(rule["count"].as_u64().unwrap()).unwrap();
            let body = [part("prefix_b64"), part("unit_b64").repeat(count), part("suffix_b64")].concat();
            assert_eq!(body.len() as u64, rule["length"].as_u64().unwrap(), "{}", vector["id"]);
            body
        }
        None => STANDARD.decode(text(vector, "body_b64")).unwrap(),
    }
}

fn judge(vector: &Value, scheme: &Arc<Scheme>) -> Result<(), Refusal> {
    let url = vector["url"].as_str().unwrap();
    let (origin_end, _) = url.match_indices('/').nth(2).unwrap_or((url.len(), ""));
    let (origin, target) = url.split_at(origin_end);
    let tolerance = vector
        .get("tolerance_s")
        .and_then(Value::as_u64)
        .map_or(Tolerance::Off, |s| Tolerance::Within(Duration::from_secs(s)));
    let settings = Settings { tolerance, future_tolerance: tolerance, public_url: Some(origin.to_owned()) };
    let text = vector["secret"]["value"].as_str().unwrap().as_bytes().to_vec();
    let secret = Secret { name: "vector".into(), text: SecretText::new(text), not_before: None, not_after: None };
    let verifier = Verifier::new(Arc::clone(scheme), vec![secret], settings).unwrap();
    let headers = vector["headers"].as_object().unwrap();
    // headers are bytes; a JSON text holds each as the character of its number
    let headers: Vec<(Vec<u8>, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| (name.clone().into_bytes(), value.as_str().unwrap().as_bytes().to_vec()))
        .collect();
    let lines = headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let target = if target.is_empty() { "/" } else { target };
    let head = Head::from_parts(vector["method"].as_str().unwrap_or("POST"), target, lines)?;
    let seconds = vector.get("now").and_then(Value::as_i64).unwrap_or(1_750_000_000);
    let now = Now { wall: UnixMillis::from_secs(seconds), mono: Duration::ZERO };
    let body = body(vector);
    let mut verification = verifier.begin(&head, now)?;
    verification.update(&body);
    verification.finish(&body, now).map(drop)
}

#[test]
fn every_vector_is_judged_as_expected() {
    let schemes = schemes();
    let vectors = vectors();
    assert_eq!(vectors.len(), 249);
    let mut wrong = Vec::new();
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let chosen = STRICT_CHOICES.iter().find(|(open, _)| *open == id).map(|(_, choice)| *choice);
        let expected = vector["expected"].as_bool().or(chosen).unwrap_or_else(|| panic!("{id}: no choice is made"));
        let judged = judge(vector, &schemes[vector["provider"].as_str().unwrap()]);
        if judged.is_ok() != expected {
            wrong.push(format!("{id} ({}): expected {expected}, got {judged:?}", vector["case"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[test]
fn one_flipped_bit_in_the_body_spoils_every_good_vector() {
    let schemes = schemes();
    let mut passed = Vec::new();
    for mut vector in vectors() {
        if vector["expected"] != Value::Bool(true) || vector.get("body_rule").is_some() {
            continue;
        }
        let mut bytes = body(&vector);
        let Some(middle) = bytes.len().checked_sub(1).map(|last| last / 2) else { continue };
        bytes[middle] ^= 1;
        vector["body_b64"] = STANDARD.encode(bytes).into();
        if judge(&vector, &schemes[vector["provider"].as_str().unwrap()]).is_ok() {
            passed.push(vector["id"].clone());
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}
