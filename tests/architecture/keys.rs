//! The keys of the configuration: those that the program knows are the keys that docs/configuration.md explains and that
//! conf/verigate.toml shows.
//!
//! The program itself says which keys a table knows: it lists them where a key is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::documents::{names_in, prose, table};
use crate::{nothing, read};

/// A key that no table knows, and no table knows a similar one.
const UNKNOWN: &str = "qqqqqqqqqqqq";

/// Every table with an unknown key in it. One route has a handshake, one a template, one a token.
const PROBE: &str = r#"
KEY = 0
[server]
KEY = 0
[[server.tls]]
KEY = 0
certificates = [{ certificate = "a", key = "b", KEY = 0 }]
[server.acme]
KEY = 0
eab = { KEY = 0 }
[admin]
KEY = 0
[replay]
KEY = 0
[state]
KEY = 0
keys = [{ KEY = 0 }]
[[route]]
name = "preset"
path = "/preset"
provider = "meta"
secrets = [{ KEY = 0 }]
upstream = "http://127.0.0.1:3000"
KEY = 0
[route.replay]
KEY = 0
[route.queue]
KEY = 0
[route.handshake]
KEY = 0
[route.resign]
KEY = 0
[route.event_id]
KEY = 0
[route.event_type]
KEY = 0
[route.account]
KEY = 0
[route.repeats]
KEY = 0
[[route]]
name = "several"
path = "/several"
provider = "meta"
secrets = ["plain:secret"]
upstreams = [{ url = "http://127.0.0.1:3000", KEY = 0 }]
[route.health]
KEY = 0
[route.upstream_tls]
KEY = 0
[[route]]
name = "scheme"
path = "/scheme"
secrets = ["plain:secret"]
upstream = "http://127.0.0.1:3000"
[route.scheme]
algorithm = "hmac-sha256"
signed = "{body}"
KEY = 0
[route.scheme.key]
KEY = 0
[route.scheme.signature]
KEY = 0
[route.scheme.timestamp]
KEY = 0
[route.scheme.event_id]
KEY = 0
[route.scheme.event_type]
KEY = 0
[route.scheme.account]
KEY = 0
[route.scheme.repeats]
KEY = 0
[route.scheme.secret_form]
KEY = 0
[route.scheme.ack]
KEY = 0
[[route]]
name = "token"
path = "/token"
secrets = ["plain:secret"]
upstream = "http://127.0.0.1:3000"
[route.scheme]
algorithm = "jwt"
[route.scheme.jwt]
KEY = 0
[route.scheme.jwt.body_digest]
KEY = 0
[route.scheme.jwt.url_digest]
KEY = 0
[route.scheme.jwt.request_digest]
KEY = 0
"#;

type Keys = BTreeMap<String, BTreeSet<String>>;

/// The keys that each table knows, by the table's name in messages (`route.replay`).
fn known() -> Keys {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("verigate.toml");
    fs::write(&file, PROBE.replace("KEY", UNKNOWN)).unwrap();
    let program = env!("CARGO_BIN_EXE_verigate");
    let output = Command::new(program)
        .args(["check", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    // For people only the first problems are printed.
    let text = String::from_utf8(output.stdout).unwrap();
    let checked: Value = serde_json::from_str(&text).unwrap();
    let mut known = Keys::new();
    for problem in checked.get("problems").and_then(Value::as_array).unwrap() {
        let (message, help) = (problem.get("message"), problem.get("help"));
        let (message, help) = (
            message.and_then(Value::as_str),
            help.and_then(Value::as_str),
        );
        let path = message.and_then(|message| message.strip_prefix("unknown key `"));
        let Some(path) = path.and_then(|path| path.strip_suffix('`')) else {
            continue;
        };
        let keys = help.and_then(|help| help.strip_prefix("known here: "));
        let keys = keys.unwrap().split(", ").map(str::to_owned);
        known.insert(
            path.trim_end_matches(UNKNOWN)
                .trim_end_matches('.')
                .to_owned(),
            keys.collect(),
        );
    }
    assert_eq!(known.len(), PROBE.matches("KEY").count(), "{text}");
    known
}

#[test]
fn configuration_explains_exactly_the_keys_there_are() {
    let known = known();
    let mut wrong = Vec::new();
    for (title, path) in [
        ("`[server]`", "server"),
        ("`[[server.tls]]`", "server.tls"),
        ("`[server.acme]`", "server.acme"),
        ("`[admin]`", "admin"),
        ("`[replay]`", "replay"),
        ("`[state]`", "state"),
        ("`[[route]]`", "route"),
        ("`[route.replay]`", "route.replay"),
        ("`[route.queue]`", "route.queue"),
        ("`[route.handshake]`", "route.handshake"),
        ("`[route.resign]`", "route.resign"),
        ("entry of `secrets`", "route.secrets"),
    ] {
        let rows = table("docs/configuration.md", title);
        assert!(
            rows.iter().all(|row| row.len() == 5),
            "{title}: a row has not key, type, default and meaning: {rows:?}"
        );
        let named: Vec<_> = rows
            .iter()
            .filter_map(|row| row.first())
            .flat_map(|cell| names_in(cell))
            .collect();
        let named_once: BTreeSet<_> = named.iter().cloned().collect();
        assert_eq!(
            named.len(),
            named_once.len(),
            "{title}: a key is there twice"
        );
        let known = &known[path];
        wrong.extend(
            known
                .difference(&named_once)
                .map(|key| format!("{path}.{key} is not explained")),
        );
        wrong.extend(
            named_once
                .difference(known)
                .map(|key| format!("{path}.{key} is unknown to the program")),
        );
    }
    nothing(&wrong, "docs/configuration.md");
}

/// The keys of each table of the schema that takes no others, by the table's name in messages.
fn in_schema() -> Keys {
    let program = env!("CARGO_BIN_EXE_verigate");
    let output = Command::new(program).arg("schema").output().unwrap();
    let mut found = Keys::new();
    collect(
        &serde_json::from_slice(&output.stdout).unwrap(),
        "",
        &mut found,
    );
    found
}

fn collect(schema: &Value, path: &str, found: &mut Keys) {
    if schema["additionalProperties"] == false {
        let keys = schema["properties"].as_object().unwrap();
        // The forms of a value are alternatives, and at most one of them is a table.
        let earlier = found.insert(path.to_owned(), keys.keys().cloned().collect());
        assert_eq!(earlier, None, "{path} has two forms that are tables");
        for (key, value) in keys {
            let dot = if path.is_empty() { "" } else { "." };
            collect(value, &format!("{path}{dot}{key}"), found);
        }
    }
    // A list of tables has the name of its entries. `key` may be a form or a list of forms.
    match (schema.get("items"), schema["anyOf"].as_array()) {
        (Some(items), _) => collect(items, path, found),
        (None, Some(forms)) => {
            let mut seen = Vec::new();
            for form in forms {
                let mut of_form = Keys::new();
                collect(form, path, &mut of_form);
                if !of_form.is_empty() {
                    seen.push(of_form);
                }
            }
            seen.dedup();
            assert!(seen.len() < 2, "{path} has several tables: {seen:?}");
            found.extend(seen.into_iter().flatten());
        }
        (None, None) => {}
    }
}

#[test]
fn the_schema_has_exactly_the_keys_there_are() {
    let (known, schema) = (known(), in_schema());
    let mut wrong = Vec::new();
    for (path, keys) in &known {
        let Some(own) = schema.get(path) else {
            wrong.push(format!("the schema has no table {path}"));
            continue;
        };
        let missing = keys.difference(own);
        wrong.extend(missing.map(|key| format!("the schema lacks {path}.{key}")));
        let surplus = own.difference(keys);
        wrong.extend(surplus.map(|key| format!("the program does not know {path}.{key}")));
    }
    let unproved = schema.keys().filter(|path| !known.contains_key(*path));
    wrong.extend(unproved.map(|path| format!("PROBE has no table {path}")));
    nothing(
        &wrong,
        "`verigate schema`, which is made from the tables of docs/configuration.md and docs/schemes.md",
    );
}

/// The keys that conf/verigate.toml shows, switched on or behind a `#`, by the table that they are in.
fn shown() -> Keys {
    let mut shown = Keys::new();
    let mut path = String::new();
    for line in read("conf/verigate.toml").lines() {
        let line = line.trim_start_matches('#').trim_start();
        if let Some(header) = line.strip_prefix('[') {
            header
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap()
                .clone_into(&mut path);
            // The header of a table shows the key that it is.
            if let Some((outer, key)) = path.rsplit_once('.') {
                shown
                    .entry(outer.to_owned())
                    .or_default()
                    .insert(key.to_owned());
            }
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            shown
                .entry(path.clone())
                .or_default()
                .insert(key.to_owned());
        }
    }
    shown
}

#[test]
fn the_default_file_shows_every_key() {
    let (known, shown) = (known(), shown());
    let mut wrong = Vec::new();
    for path in [
        "server",
        "server.tls",
        "server.acme",
        "admin",
        "replay",
        "state",
        "route",
        "route.replay",
        "route.queue",
        "route.handshake",
        "route.resign",
    ] {
        let missing = known[path]
            .iter()
            .filter(|key| !shown.get(path).is_some_and(|keys| keys.contains(*key)));
        wrong.extend(missing.map(|key| format!("{path}.{key} is not shown")));
    }
    nothing(
        &wrong,
        "conf/verigate.toml shows every key of every table but `[route.scheme]`",
    );
}

#[test]
fn schemes_explains_every_key_of_a_scheme() {
    let known = known();
    let named: BTreeSet<_> = prose("docs/schemes.md")
        .iter()
        .flat_map(|line| names_in(line))
        .collect();
    let mut wrong = Vec::new();
    for (path, keys) in known
        .iter()
        .filter(|(path, _)| path.starts_with("route.scheme"))
    {
        // A key is named alone, with its table in front, or with a value behind it, perhaps within a table.
        let is_told = |key: &String| {
            let table = path.rsplit('.').next().unwrap_or_default();
            let begins = |part: &str| part.trim_start().starts_with(&format!("{key} = "));
            let names = |name: &String| name == key || *name == format!("{table}.{key}");
            named
                .iter()
                .any(|name| names(name) || name.split(['{', ',']).any(begins))
        };
        wrong.extend(
            keys.iter()
                .filter(|key| !is_told(key))
                .map(|key| format!("{path}.{key}")),
        );
    }
    nothing(&wrong, "keys that docs/schemes.md does not explain");
}
