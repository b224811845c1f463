//! What the words of the documentation for a type mean in a schema: `duration`, `list of names`,
//! `table or "off"`.

use serde_json::{Value, json};

/// Digits and a unit, as [`units::duration`](crate::config::units::duration) reads them.
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";

/// Digits and perhaps a unit, as [`units::size`](crate::config::units::size) reads them.
const SIZE: &str = "^[0-9]+(B|KB|kB|KiB|MB|MiB|GB|GiB)?$";

/// A number of attempts in a second, a minute or an hour.
const RATE: &str = "^[0-9]+/(s|m|h)$";

/// A reference to a secret.
const REFERENCE: &str = "^(env|file|cred|plain|learn):(.|\\n)";

/// The schema of a type. `nested` is the table, or the list of tables, that the key is.
pub(super) fn of(kind: &str, nested: Option<&Value>) -> Option<Value> {
    if let Some(value) = simple(kind, nested) {
        return Some(value);
    }
    // `list of "a", "b"`
    let items = kind.strip_prefix("list of ").map(alternatives);
    let texts = items.and_then(|items| items.into_iter().map(fixed).collect::<Option<Vec<_>>>());
    if let Some(texts) = texts {
        return Some(json!({ "type": "array", "minItems": 1, "items": { "enum": texts } }));
    }
    // `name, table, or a list of these`; `list or "any"`.
    let mut parts = alternatives(kind);
    if parts.last() == Some(&"a list of these") {
        parts.pop();
        let one = any_of(&parts, nested)?;
        return Some(json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] }));
    }
    any_of(&parts, nested)
}

/// The parts between `, ` and ` or ` that are not within backticks.
fn alternatives(kind: &str) -> Vec<&str> {
    let is_within = |at: usize| kind.bytes().take(at).filter(|byte| *byte == b'`').count() % 2 == 1;
    let (mut parts, mut from) = (Vec::new(), 0);
    let mut at = 0;
    while at < kind.len() {
        let rest = kind.get(at..).unwrap_or_default();
        let divider = [", or ", " or ", ", "]
            .into_iter()
            .find(|one| rest.starts_with(one));
        match divider.filter(|_| !is_within(at)) {
            Some(divider) => {
                parts.extend(kind.get(from..at));
                at += divider.len();
                from = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.extend(kind.get(from..));
    parts
}

/// The schema of what one of these types allows. Fixed texts become one list.
fn any_of(parts: &[&str], nested: Option<&Value>) -> Option<Value> {
    let mut texts = Vec::new();
    let mut all = Vec::new();
    for part in parts {
        match fixed(part) {
            Some(text) => texts.push(text),
            None => all.push(simple(part, nested)?),
        }
    }
    if !texts.is_empty() {
        all.push(json!({ "enum": texts }));
    }
    match all.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(json!({ "anyOf": all })),
    }
}

/// A text in quotation marks, or another value, between backticks.
fn fixed(kind: &str) -> Option<Value> {
    let quoted = kind.strip_prefix('`')?.strip_suffix('`')?;
    serde_json::from_str(quoted).ok()
}

/// The schema of a type that is no choice between others.
fn simple(kind: &str, nested: Option<&Value>) -> Option<Value> {
    if let Some(text) = fixed(kind) {
        return Some(json!({ "enum": [text] }));
    }
    if let Some(range) = range(kind) {
        return Some(range);
    }
    if let Some(items) = kind.strip_prefix("list of ") {
        let one = match items {
            "tables" => return nested.cloned(),
            "networks" => json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]+)?$" }),
            // The plural of a type.
            _ => simple(items, nested).or_else(|| simple(items.strip_suffix('s')?, nested))?,
        };
        return Some(json!({ "type": "array", "items": one }));
    }
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    Some(match kind {
        "text" | "template" => json!({ "type": "string" }),
        "name" | "label" | "file" => json!({ "type": "string", "minLength": 1 }),
        "mail address" | "mail addresses" => text("@"),
        "boolean" => json!({ "type": "boolean" }),
        "list" => json!({ "type": "array", "items": { "type": "string" } }),
        "table" | "tables" => nested.cloned()?,
        "duration" => text(DURATION),
        "size" | "1 KiB to 1 MiB" => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, text(SIZE)] })
        }
        "`IP:port`" => text("^([0-9.]+|\\[[0-9A-Fa-f:.%]+\\]):[0-9]+$"),
        "rate" => text(RATE),
        "path" | "pointer" => text("^/"),
        "URL" => text("^https?://"),
        "`https` URL" | "`https://host:port`" => text("^https://"),
        "`http://host:port`" => text("^http://"),
        "`unix:/path`" => text("^unix:/"),
        "status" => json!({ "type": "integer", "minimum": 200, "maximum": 599 }),
        "secret reference" => text(REFERENCE),
        "date and time with zone" => json!({ "type": "string", "format": "date-time" }),
        "1 to 4 characters" => json!({ "type": "string", "minLength": 1, "maxLength": 4 }),
        _ => return None,
    })
}

/// `0–1024`, `1 to 64`, `1 and up`.
fn range(kind: &str) -> Option<Value> {
    if let Some(least) = kind.strip_suffix(" and up") {
        let least: u64 = least.parse().ok()?;
        return Some(json!({ "type": "integer", "minimum": least }));
    }
    let (least, most) = kind.split_once('–').or_else(|| kind.split_once(" to "))?;
    let (least, most): (u64, u64) = (least.parse().ok()?, most.parse().ok()?);
    Some(json!({ "type": "integer", "minimum": least, "maximum": most }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_schemas() {
        let rows = [
            (
                "0–1024",
                json!({ "type": "integer", "minimum": 0, "maximum": 1024 }),
            ),
            ("1 and up", json!({ "type": "integer", "minimum": 1 })),
            ("`\"relay\"`", json!({ "enum": ["relay"] })),
            (
                "`\"=\"`, `\",\"` or `\"/\"`",
                json!({ "enum": ["=", ",", "/"] }),
            ),
            (
                "list of pointers",
                json!({ "type": "array", "items": { "type": "string", "pattern": "^/" } }),
            ),
            (
                "duration or `\"off\"`",
                json!({ "anyOf": [{ "type": "string", "pattern": DURATION }, { "enum": ["off"] }] }),
            ),
        ];
        for (kind, expected) in rows {
            assert_eq!(of(kind, None), Some(expected), "{kind}");
        }
        let urls = of(
            "`http://host:port`, `https://host:port` or `unix:/path`",
            None,
        );
        assert_eq!(urls.unwrap()["anyOf"].as_array().unwrap().len(), 3);
        assert_eq!(
            of("list of `\"a\"`, `\"b\"`", None).unwrap()["items"],
            json!({ "enum": ["a", "b"] })
        );
        assert_eq!(
            alternatives("`{ a, b }` or `\"c\"`"),
            ["`{ a, b }`", "`\"c\"`"]
        );
        assert_eq!(of("`true`", None), Some(json!({ "enum": [true] })));
        assert_eq!(of("a thing", None), None);
        assert_eq!(of("table", None), None);
        let table = json!({ "type": "object" });
        assert_eq!(of("table", Some(&table)), Some(table));
    }
}
