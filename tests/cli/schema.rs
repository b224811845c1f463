//! `schema` (contract: Command line): what the program takes is valid by it, and a mistake is not.
//!
//! The judge here knows only the words that our schema uses, and panics at any other: a word that it passed over would
//! prove nothing. `check-jsonschema` and `taplo` judge the same files alike.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::stage::Folder;

fn schema() -> Value {
    let ended = Folder::new().run(["schema"]);
    ended.expect_code(0);
    ended.json()
}

/// The data of a TOML file as JSON.
fn data(text: &str) -> Value {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    of_table(table.get_ref())
}

fn of_table(table: &DeTable<'_>) -> Value {
    let members = table.iter().map(|(key, value)| {
        let key: &str = key.get_ref();
        (key.to_owned(), of_value(value.get_ref()))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn of_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(digits) => {
            Value::from(i64::from_str_radix(digits.as_str(), digits.radix()).expect("a number"))
        }
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Array(items) => items.iter().map(|item| of_value(item.get_ref())).collect(),
        DeValue::Table(table) => of_table(table),
        DeValue::Float(_) | DeValue::Datetime(_) => panic!("no file of ours has such a value"),
    }
}

/// What the schema says against the data at `path`.
fn faults(schema: &Value, data: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        let number = || rule.as_u64().expect("a number");
        let length = data.as_str().map(|text| text.chars().count() as u64);
        let is_met = match word.as_str() {
            "$schema" | "title" | "description" | "default" | "format" => true,
            "type" => match rule.as_str().expect("a type") {
                "object" => data.is_object(),
                "array" => data.is_array(),
                "string" => data.is_string(),
                "integer" => data.is_i64(),
                "boolean" => data.is_boolean(),
                other => panic!("the judge does not know the type {other}"),
            },
            "enum" => rule.as_array().expect("a list").contains(data),
            "pattern" => {
                let pattern = Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
                data.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minimum" => data.as_u64().is_none_or(|value| value >= number()),
            "maximum" => data.as_u64().is_none_or(|value| value <= number()),
            "minLength" => length.is_none_or(|length| length >= number()),
            "maxLength" => length.is_none_or(|length| length <= number()),
            "minItems" => data
                .as_array()
                .is_none_or(|items| items.len() as u64 >= number()),
            "anyOf" => {
                let forms = rule.as_array().expect("a list");
                forms.iter().any(|form| faults(form, data, path).is_empty())
            }
            "required" => {
                let names = rule
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter_map(Value::as_str);
                data.as_object()
                    .is_none_or(|members| names.into_iter().all(|name| members.contains_key(name)))
            }
            "items" => {
                for (place, item) in data.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(rule, item, &format!("{path}.{place}")));
                }
                true
            }
            "properties" => {
                for (name, member) in data.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        found.extend(faults(rule, member, &format!("{path}.{name}")));
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, member) in data.as_object().into_iter().flatten() {
                    let path = format!("{path}.{name}");
                    if schema["properties"].get(name).is_some() {
                    } else if *rule == false {
                        found.push(format!("{path} is unknown"));
                    } else {
                        found.extend(faults(rule, member, &path));
                    }
                }
                true
            }
            other => panic!("the judge does not know the word {other}"),
        };
        if !is_met {
            found.push(format!("{path}: {word} {rule}"));
        }
    }
    found
}

/// The TOML files directly in a folder of the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder)
        .expect("a folder")
        .map_while(Result::ok);
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect()
}

#[test]
fn the_shipped_files_are_valid() {
    let schema = schema();
    let files = [files("conf"), files("conf/examples")].concat();
    assert!(files.len() > 5, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        let faults = faults(&schema, &data(&text), "");
        wrong.extend(
            faults
                .iter()
                .map(|fault| format!("{}: {fault}", file.display())),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_scheme_of_every_preset_is_valid() {
    let schema = schema();
    let scheme = schema.pointer("/properties/route/items/properties/scheme");
    let rule = scheme.expect("[route.scheme]");
    let files = files("src/config/presets");
    assert!(files.len() > 100, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let preset = data(&fs::read_to_string(&file).expect("a file"));
        let scheme = preset.get("scheme").expect("a scheme");
        let faults = faults(rule, scheme, "");
        wrong.extend(
            faults
                .iter()
                .map(|fault| format!("{}: {fault}", file.display())),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A route that is valid.
const ROUTE: &str = "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"stripe\"\nsecrets = [\"env:S\"]\n\
     upstream = \"http://127.0.0.1:3000\"\n";

#[test]
fn a_mistake_is_found() {
    let schema = schema();
    assert_eq!(faults(&schema, &data(ROUTE), ""), [""; 0]);
    let rows = [
        ("a key of the file", format!("serve = 1\n{ROUTE}")),
        (
            "a key of [server]",
            format!("[server]\nidle_timeot = \"60s\"\n{ROUTE}"),
        ),
        ("a key of a route", format!("{ROUTE}tolerence = \"5m\"\n")),
        (
            "a key of a table of a route",
            format!("{ROUTE}[route.replay]\non_reply = 200\n"),
        ),
        (
            "a key of a scheme",
            format!("{ROUTE}[route.scheme]\nalgorithm = \"hmac-sha256\"\nsign = \"x\"\n"),
        ),
        ("a provider", ROUTE.replace("\"stripe\"", "\"strip\"")),
        ("a duration", format!("{ROUTE}tolerance = \"5 minutes\"\n")),
        ("a size", format!("{ROUTE}max_body = \"1 megabyte\"\n")),
        ("a type", format!("{ROUTE}enforce = \"no\"\n")),
        ("a range", format!("[server]\nthreads = 5000\n{ROUTE}")),
        (
            "a status",
            format!("{ROUTE}[route.replay]\non_replay = 99\n"),
        ),
        ("a warning", format!("{ROUTE}acknowledge = [\"no-such\"]\n")),
        (
            "no upstream",
            ROUTE.replace("upstream = \"http://127.0.0.1:3000\"\n", ""),
        ),
        ("no route", "[server]\n".to_owned()),
        ("an empty list of secrets", ROUTE.replace("\"env:S\"", "")),
    ];
    let missed: Vec<_> = rows
        .iter()
        .filter(|(_, text)| faults(&schema, &data(text), "").is_empty())
        .map(|(name, _)| *name)
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
    let extended = json!({ "route": [] });
    assert!(!faults(&schema, &extended, "").is_empty());
}
