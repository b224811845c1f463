//! Every vector, judged by the presets: through the functions of live traffic, and through `verigate verify`.
//!
//! `public.json` and `second.json` hold vectors of many providers. A file `NAME.json` beside them holds those of the
//! preset `NAME`, in the same form; it is found without being listed. docs/adding-a-provider.md explains the form.
//!
//! The vectors prove signature and freshness; each brings its own clock and tolerance. Where a vector leaves the choice
//! open (`expected: null`), the choice is in [`CHOICES`].
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; the lints spare only tests themselves"
)]

mod matrix;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use verigate::clock::{Now, UnixMillis};
use verigate::config::presets::{self, Preset};
use verigate::key::secret::{Secret, SecretText};
use verigate::notation::timestamp::Tolerance;
use verigate::scheme::{Scheme, Settings};
use verigate::verify::verifier::Verifier;
use verigate::wire::head::Head;

/// The verdict where a vector leaves the choice open, and why.
const CHOICES: &[(&str, bool)] = &[
    ("braintree-001", false), // the payload is no base64 text, as every real one is
    ("stripe-028", false),    // ahead of the clock by more than the tolerance
    ("hubspot-028", false),   // likewise
    ("standard-webhooks-036", false), // a signature without its version
    ("standard-webhooks-037", false), // a timestamp with a leading zero
    ("standard-webhooks-038", false), // a timestamp with a fraction
    ("standard-webhooks-041", false), // an id that holds the delimiter
    ("twilio-017", false),    // JSON without `bodySHA256`: nothing would authenticate the body
    ("notion-026", false),    // upper-case hex: one spelling only
    ("github-029", false),    // likewise
    ("itellico-032", false),  // likewise
    ("sanity-016", false),    // a space after the comma
    ("itellico-033", false),  // milliseconds: the unit is seconds
    ("itellico-034", false),  // ISO 8601: likewise
    ("plain-003", true), // a signed body without the time: its SDK refuses it, and the route may
    ("segment-002", false), // of a batch only the first event is signed
];

/// Vectors of schemes that are no preset: what they sign leaves the body open, and a better scheme of the provider is one.
const NO_PRESET: &[&str] = &["plivo-v2", "hubspot-v1", "hubspot-v2", "paypal"];

/// Given an empty secret: usage, before anything is judged.
const NO_SECRET: &str = "messagebird-044";

/// Presets that count as proved without a vector here, and what proves them.
const PROVED_ELSEWHERE: &[(&str, &str)] = &[
    (
        "discord-events",
        "signed as `discord-interactions`, which has vectors",
    ),
    ("easypost", "the SDK in tests/sdks"),
    (
        "linear",
        "the SDK that its preset names, which tests/sdks does not hold",
    ),
    ("lithic", "signed as `standard-webhooks`, which has vectors"),
    ("plivo", "the SDK in tests/sdks"),
];

/// The texts of a route that vectors of a provider are signed with.
const PARAMS: &[(&str, &str, &str)] = &[("tiktok-shop", "app_key", "app_key_123")];

fn vectors() -> Vec<Value> {
    let mut all: Vec<Value> = serde_json::from_str(include_str!("public.json")).unwrap();
    let second: Vec<Value> = serde_json::from_str(include_str!("second.json")).unwrap();
    assert_eq!((all.len(), second.len()), (599, 627));
    all.extend(second);
    for (name, own) in own_vectors() {
        let is_own = |vector: &Value| text(vector, "provider") == name;
        assert!(
            !own.is_empty() && own.iter().all(is_own),
            "tests/vectors/{name}.json holds vectors of `{name}` alone"
        );
        all.extend(own);
    }
    let mut ids = BTreeSet::new();
    let twice: Vec<_> = all
        .iter()
        .map(|vector| text(vector, "id"))
        .filter(|id| !ids.insert(*id))
        .collect();
    assert!(twice.is_empty(), "ids of several vectors: {twice:?}");
    all.into_iter()
        .filter(|vector| !NO_PRESET.contains(&text(vector, "provider")))
        .filter(|vector| presets::find(text(vector, "provider")).is_some())
        .collect()
}

/// The vectors of single presets, by the name of their file.
fn own_vectors() -> Vec<(String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let named = files.map(|path| {
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            path,
        )
    });
    let mut own: Vec<_> = named
        .filter(|(name, _)| !["public", "second"].contains(&name.as_str()))
        .collect();
    own.sort();
    let read = |(name, path): (String, PathBuf)| match serde_json::from_str(
        &fs::read_to_string(path).unwrap(),
    ) {
        Ok(vectors) => (name, vectors),
        Err(why) => panic!("tests/vectors/{name}.json: {why}"),
    };
    own.into_iter().map(read).collect()
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_default()
}

fn expected(vector: &Value) -> bool {
    let id = text(vector, "id");
    let chosen = CHOICES
        .iter()
        .find(|(open, _)| *open == id)
        .map(|(_, choice)| *choice);
    vector["expected"]
        .as_bool()
        .or(chosen)
        .unwrap_or_else(|| panic!("{id}: no choice is made"))
}

fn body(vector: &Value) -> Vec<u8> {
    if let Some(plain) = vector.get("body") {
        return plain.as_str().unwrap().as_bytes().to_vec();
    }
    let Some(rule) = vector.get("body_rule") else {
        return STANDARD.decode(text(vector, "body_b64")).unwrap();
    };
    let part = |key: &str| STANDARD.decode(text(rule, key)).unwrap();
    let count = usize::try_from(rule["count"].as_u64().unwrap()).unwrap();
    let body = [
        part("prefix_b64"),
        part("unit_b64").repeat(count),
        part("suffix_b64"),
    ]
    .concat();
    assert_eq!(
        body.len() as u64,
        rule["length"].as_u64().unwrap(),
        "{}",
        vector["id"]
    );
    body
}

/// The secret's text as a user would configure it.
fn secret(vector: &Value) -> String {
    let value = text(&vector["secret"], "value");
    match vector.get("public_key").and_then(Value::as_str) {
        Some(public) => format!("{public}:{value}"),
        None => value.to_owned(),
    }
}

/// Why the functions of live traffic refuse a vector.
fn judge(vector: &Value, body: &[u8]) -> Result<(), String> {
    let provider = text(vector, "provider");
    let preset = presets::find(provider).ok_or_else(|| format!("{provider} is no preset"))?;
    let arrived = Arrived::of(vector)?;
    let verifier = arrived.verifier(&Arc::new(scheme_of(preset)))?;
    arrived.judge(&verifier, body)
}

/// The scheme of a preset, with the texts that its vectors ask of a route.
fn scheme_of(preset: &Preset) -> Scheme {
    let text_of = |name: &str| {
        let mut params = PARAMS.iter();
        params
            .find(|(of, own, _)| (*of, *own) == (preset.name.as_str(), name))
            .map(|(_, _, text)| *text)
    };
    preset.scheme.clone().with_params(text_of)
}

/// A vector as a gateway gets it: its head, its moment, and how its route is configured.
struct Arrived {
    head: Head,
    now: Now,
    secret: String,
    settings: Settings,
}

impl Arrived {
    fn of(vector: &Value) -> Result<Self, String> {
        let url = text(vector, "url");
        let (origin_end, _) = url.match_indices('/').nth(2).unwrap_or((url.len(), ""));
        let (origin, target) = url.split_at(origin_end);
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        // A target is ASCII; a vector may show it as the text that it stands for.
        let escaped = |byte: u8| {
            if byte.is_ascii_graphic() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        };
        let target: String = target.bytes().map(escaped).collect();
        let tolerance = vector["tolerance_s"].as_u64().map_or(Tolerance::Off, |s| {
            Tolerance::Within(Duration::from_secs(s))
        });
        let headers = vector["headers"].as_object().unwrap();
        let lines = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_str().unwrap().as_bytes()));
        let head = Head::from_parts(text_or(vector, "method", "POST"), &target, lines)
            .map_err(|r| r.to_string())?;
        let seconds = vector["now"].as_i64().unwrap_or(1_750_000_000);
        Ok(Self {
            head,
            now: Now {
                wall: UnixMillis::from_secs(seconds),
                mono: Duration::ZERO,
            },
            secret: secret(vector),
            settings: Settings {
                tolerance,
                future_tolerance: tolerance,
                public_url: Some(origin.to_owned()),
                max_body: 1 << 20,
            },
        })
    }

    /// The verifier of a route with the vector's secret and this scheme.
    fn verifier(&self, scheme: &Arc<Scheme>) -> Result<Verifier, String> {
        let secret = Secret {
            written: None,
            name: "vector".into(),
            text: SecretText::new(self.secret.clone().into_bytes()),
            not_before: None,
            not_after: None,
        };
        Verifier::new(Arc::clone(scheme), vec![secret], self.settings.clone())
            .map_err(|f| f.to_string())
    }

    fn judge(&self, verifier: &Verifier, body: &[u8]) -> Result<(), String> {
        let mut verification = verifier
            .begin(&self.head, self.now)
            .map_err(|refusal| refusal.to_string())?;
        let (first, second) = body.split_at(body.len() / 3);
        verification.update(first);
        verification.update(second);
        verification
            .finish(body, self.now)
            .map(drop)
            .map_err(|refusal| refusal.to_string())
    }
}

fn text_or<'v>(vector: &'v Value, key: &str, otherwise: &'v str) -> &'v str {
    vector[key].as_str().unwrap_or(otherwise)
}

#[test]
fn every_vector_is_judged_as_expected() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for vector in &vectors {
        let judged = judge(vector, &body(vector));
        if judged.is_ok() != expected(vector) {
            wrong.push(format!(
                "{} ({}): {judged:?}",
                text(vector, "id"),
                text(vector, "case")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        vectors.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_command_judges_every_vector_alike() {
    let vectors = vectors();
    // A process for each vector: as many at a time as there are processors.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let parts = vectors.chunks(vectors.len().div_ceil(threads));
        let running: Vec<_> = parts
            .map(|part| scope.spawn(|| part.iter().filter_map(misjudged).collect()))
            .collect();
        running
            .into_iter()
            .flat_map(|part| {
                part.join()
                    .unwrap_or_else(|_| vec!["a thread panicked".into()])
            })
            .collect()
    });
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What `verigate verify` says of a vector, where it is not what is expected.
fn misjudged(vector: &Value) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let headers = vector["headers"].as_object().unwrap().iter();
    let headers = headers.fold(String::new(), |lines, (name, value)| {
        lines + name + ": " + value.as_str().unwrap() + "\n"
    });
    let tolerance = vector["tolerance_s"]
        .as_u64()
        .map_or("off".to_owned(), |s| format!("{s}s"));
    let output = Command::new(env!("CARGO_BIN_EXE_verigate"))
        .args(["verify", "--json", "--provider", text(vector, "provider")])
        .args([
            "--method",
            text_or(vector, "method", "POST"),
            "--url",
            text(vector, "url"),
        ])
        .args([
            "--at",
            &vector["now"].as_i64().unwrap_or(1_750_000_000).to_string(),
            "--tolerance",
            &tolerance,
        ])
        .args(
            PARAMS
                .iter()
                .filter(|(provider, ..)| *provider == text(vector, "provider"))
                .flat_map(|(_, name, text)| ["--param".to_owned(), format!("{name}={text}")]),
        )
        .arg("--secret")
        .arg(format!(
            "file:{}",
            file("secret", secret(vector).as_bytes()).display()
        ))
        .arg("--headers")
        .arg(file("headers", headers.as_bytes()))
        .arg("--body")
        .arg(file("body", &body(vector)))
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let (valid, exit) = match expected(vector) {
        _ if text(vector, "id") == NO_SECRET => (None, 2),
        true => (Some(true), 0),
        false => (Some(false), 1),
    };
    let is_right =
        told.get("valid").and_then(Value::as_bool) == valid && output.status.code() == Some(exit);
    let said = String::from_utf8_lossy(&output.stderr);
    (!is_right).then(|| {
        format!(
            "{}: {told} {:?} {said}",
            text(vector, "id"),
            output.status.code()
        )
    })
}

#[test]
fn one_flipped_bit_in_a_covered_body_spoils_every_good_vector() {
    let mut passed = Vec::new();
    let mut tried = BTreeSet::new();
    for vector in vectors() {
        let covers_body = presets::find(text(&vector, "provider"))
            .is_some_and(|preset| preset.scheme.covers_body());
        if vector["expected"] != Value::Bool(true)
            || vector.get("body_rule").is_some()
            || !covers_body
        {
            continue;
        }
        let mut bytes = body(&vector);
        let Some(middle) = bytes.len().checked_sub(1).map(|last| last / 2) else {
            continue;
        };
        bytes[middle] ^= 1;
        tried.insert(text(&vector, "provider").to_owned());
        if judge(&vector, &bytes).is_ok() {
            passed.push(text(&vector, "id").to_owned());
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
    assert!(tried.len() > 50, "{tried:?}");
}

#[test]
fn every_open_choice_is_that_of_a_vector() {
    let open: BTreeSet<String> = vectors()
        .iter()
        .filter(|v| v["expected"].is_null())
        .map(|v| text(v, "id").to_owned())
        .collect();
    let chosen: BTreeSet<String> = CHOICES.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert!(
        open.is_subset(&chosen) && chosen.is_subset(&open),
        "{:?}",
        open.symmetric_difference(&chosen)
    );
}

#[test]
fn every_preset_that_counts_as_proved_has_a_vector() {
    let vectors = vectors();
    let with_vector: BTreeSet<_> = vectors
        .iter()
        .filter_map(|vector| presets::find(text(vector, "provider")))
        .map(|preset| &preset.name)
        .collect();
    let is_elsewhere = |name: &str| PROVED_ELSEWHERE.iter().any(|(other, _)| *other == name);
    let is_wrong = |preset: &&Preset| {
        preset.proved != (with_vector.contains(&preset.name) || is_elsewhere(&preset.name))
    };
    let wrong: Vec<_> = presets::all()
        .iter()
        .filter(is_wrong)
        .map(|preset| &preset.name)
        .collect();
    let help = "add tests/vectors/NAME.json, or say `proved = false` where there is no vector";
    assert!(wrong.is_empty(), "`proved` is wrong of {wrong:?}: {help}");
}
