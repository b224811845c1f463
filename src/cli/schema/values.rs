//! The keys of which the documentation's words for their type say too little: closed lists of names,
//! which are those of the code, and small tables that a sentence explains.

use serde_json::{Map, Value, json};

use super::closed;
use super::kinds;
use crate::config::{Acknowledging, WarningName, presets};
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::providers;
use crate::scheme::jwt::JwtAlgorithm;
use crate::scheme::{Algorithm, BodyForm, Characters, Handshake, IdForm, ProviderCode};

/// The schema of the key at `path`, if it is one of these. `nested` is the table, or the list of
/// tables, that the documentation shows for it.
pub(super) fn of(path: &str, nested: Option<&Value>) -> Option<Value> {
    let path = path.strip_prefix("route.").unwrap_or(path);
    Some(match path {
        // A directory or a socket, which may be relative; a public key may be written as it is.
        "state.dir" | "server.acme.dir" | "server.upgrade_socket" | "secrets.value" => text(),
        "state.keys" => {
            let reference = || kinds::of("secret reference", None);
            let table = table_of([("name", text()), ("value", reference()?)], &["value"]);
            list(&json!({ "anyOf": [reference()?, table] }))
        }
        "server.tls.certificates" => {
            let table = [
                ("certificate", text()),
                ("key", text()),
                ("names", list(&text())),
            ];
            list(&table_of(table, &["certificate", "key"]))
        }
        "server.acme.eab" => {
            let key = kinds::of("secret reference", None)?;
            table_of([("key_id", text()), ("key", key)], &["key_id", "key"])
        }
        "upstreams" => {
            let weight = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 1 });
            let url = text_like("^(https?://|unix:/)");
            list(&table_of([("url", url), ("weight", weight)], &["url"]))
        }
        "health" => {
            let duration = || kinds::of("duration", None);
            let path = kinds::of("path", None)?;
            let table = [
                ("path", path),
                ("interval", duration()?),
                ("timeout", duration()?),
            ];
            table_of(table, &["path"])
        }
        "upstream_tls" => {
            let table = ["ca", "server_name", "certificate", "key"].map(|name| (name, text()));
            json!({ "anyOf": [table_of(table, &[]), { "enum": ["insecure"] }] })
        }
        "provider" => names(provider_names()),
        "secrets" => {
            let entry = nested?.get("items")?;
            json!({ "type": "array", "minItems": 1, "items": { "anyOf": [text(), entry] } })
        }
        "acknowledge" => list(&names(acknowledged())),
        "upstream_headers" => texts(&kinds::of("secret reference", None)?),
        "params" | "scheme.require" => texts(&text()),
        "handshake.mode" => names(["answer", "forward", "off"]),
        "event_id" | "event_type" | "account" | "scheme.event_id" | "scheme.event_type"
        | "scheme.account" => place(),
        "repeats" | "scheme.repeats" => {
            let most = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
            let table = [("most", most), ("within", kinds::of("duration", None)?)];
            json!({ "anyOf": [table_of(table, &["most", "within"]), { "enum": ["off"] }] })
        }
        "scheme.algorithm" => names(Algorithm::ALL.map(Algorithm::name)),
        "scheme.id_form" => names(IdForm::ALL.map(IdForm::name)),
        "scheme.body" => list(&names(BodyForm::ALL.map(BodyForm::name))),
        "scheme.handshake" => names(providers::HANDSHAKES.map(Handshake::name)),
        "scheme.code" => names(providers::CODES.map(ProviderCode::name)),
        "scheme.key" => key(),
        "scheme.ack" => {
            let status = json!({ "type": "integer", "minimum": 200, "maximum": 299 });
            let body = json!({ "type": "string" });
            table_of(
                [("status", status), ("body", body), ("content_type", text())],
                &[],
            )
        }
        "scheme.secret_form" => {
            let length = || json!({ "type": "integer", "minimum": 1, "maximum": 65_535 });
            let characters = names(Characters::ALL.map(Characters::name));
            let table = [
                ("characters", characters),
                ("least", length()),
                ("most", length()),
            ];
            table_of(table, &["characters"])
        }
        "scheme.signature.encoding" => names(Encoding::ALL.map(Encoding::name)),
        "scheme.signature.accept" => {
            let signing = texts(&names(Algorithm::ALL.map(Algorithm::name)));
            json!({ "anyOf": [list(&text()), signing] })
        }
        "scheme.timestamp.unit" => names(Unit::ALL.map(Unit::name)),
        "scheme.timestamp.stamped" => names(["unknown", "attempt", "event"]),
        "scheme.jwt.place" => names(["header", "body"]),
        "scheme.jwt.detached" => names(["encoded", "unencoded"]),
        "scheme.jwt.algorithms" => list(&names(JwtAlgorithm::ALL.map(JwtAlgorithm::name))),
        "scheme.jwt.body_digest" | "scheme.jwt.url_digest" => {
            let encoding = names(Encoding::ALL.map(Encoding::name));
            let table = [
                ("claim", text()),
                ("hash", names(["sha256"])),
                ("encoding", encoding),
            ];
            table_of(table, &["claim"])
        }
        "scheme.jwt.request_digest" => table_of(
            [
                ("claim", text()),
                ("base_path", json!({ "type": "string" })),
            ],
            &["claim"],
        ),
        _ => return None,
    })
}

/// The names and the other names of all presets.
fn provider_names() -> impl Iterator<Item = &'static str> {
    presets::all().iter().flat_map(|preset| {
        let aliases = preset.aliases.iter().map(String::as_str);
        std::iter::once(preset.name.as_str()).chain(aliases)
    })
}

/// The names of warnings that a route may acknowledge.
fn acknowledged() -> impl Iterator<Item = &'static str> {
    let may = |name: &&WarningName| name.acknowledging() != Acknowledging::Never;
    WarningName::ALL
        .iter()
        .filter(may)
        .map(|name| name.as_str())
}

/// The place of a part of the envelope.
fn place() -> Value {
    let pointer = || json!({ "type": "string", "pattern": "^/" });
    let pointers = json!({ "anyOf": [pointer(), list(&pointer())] });
    let required = json!({ "type": "boolean" });
    let table = [
        ("header", text()),
        ("json", pointers),
        ("claim", text()),
        ("required", required),
    ];
    table_of(table, &[])
}

/// The way from a secret's text to the key.
fn key() -> Value {
    let encoding = || names(["utf8", "utf8-nfkd", "base64", "hex"]);
    let table = [
        ("encoding", encoding()),
        ("strip", text()),
        ("drop_first", text()),
        ("required", json!({ "type": "boolean" })),
    ];
    let one = json!({ "anyOf": [encoding(), table_of(table, &["encoding"])] });
    json!({ "anyOf": [one, list(&one)] })
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// A text of this form.
fn text_like(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> Value {
    json!({ "enum": names.into_iter().collect::<Vec<_>>() })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "minItems": 1, "items": items })
}

/// A table whose keys are the operator's.
fn texts(value: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

fn table_of<const N: usize>(keys: [(&str, Value); N], required: &[&str]) -> Value {
    let keys: Map<String, Value> = keys
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    closed(&keys, required)
}
