//! `verigate schema`: the JSON schema of the configuration file, by which editors complete keys and
//! mark mistakes (contract: Command line).
//!
//! The tables and their explanations are those of the documentation ([`super::keys`]), the names of
//! closed lists those of the code. A schema sees less than `verigate check` does: no rule between
//! two keys, and no secret.

mod kinds;
mod values;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Exit;
use super::keys::{Key, Section, sections};
use super::output::print;

/// The dialect that most editors and validators know.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// Arguments of `schema`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  verigate schema > verigate.schema.json\n  \
    taplo check --schema file://$PWD/verigate.schema.json verigate.toml\n  \
    check-jsonschema --schemafile verigate.schema.json verigate.toml\n\n\
    A first line `#:schema ./verigate.schema.json` in a file lets editors find it.")]
pub(super) struct Schema {}

impl Schema {
    /// Prints the schema.
    #[expect(clippy::unused_self, reason = "each command is run so")]
    pub(super) fn run(&self) -> Exit {
        print(&format!("{:#}", schema()));
        Exit::Success
    }
}

/// The schema of a whole file.
fn schema() -> Value {
    let sections = sections();
    let mut tables = Map::new();
    for section in sections
        .iter()
        .filter(|section| !section.path.contains('.'))
    {
        tables.insert(section.path.clone(), of_section(section, &sections));
    }
    let mut file = closed(&tables, &["route"]);
    set(&mut file, "$schema", DIALECT.into());
    set(&mut file, "title", "verigate's configuration".into());
    file
}

/// A table, or a list of them.
fn of_section(section: &Section, all: &[Section]) -> Value {
    let mut properties = Map::new();
    for key in &section.keys {
        properties.insert(key.name.to_owned(), of_key(section, key, all));
    }
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| key.default == "required")
        .map(|key| key.name)
        .collect();
    let mut table = closed(&properties, &required);
    // A key that is required unless another stands in for it.
    let either = section.keys.iter().find_map(|key| {
        let other = key.default.strip_prefix("required, or `")?;
        Some([key.name, other.strip_suffix('`')?])
    });
    if let Some(names) = either {
        let one = names.map(|name| json!({ "required": [name] }));
        set(&mut table, "anyOf", json!(one));
    }
    if section.is_list {
        json!({ "type": "array", "minItems": 1, "items": table })
    } else {
        table
    }
}

/// The value of a key, with what the documentation says of it.
fn of_key(section: &Section, key: &Key, all: &[Section]) -> Value {
    let path = format!("{}.{}", section.path, key.name);
    let nested = all.iter().find(|section| section.path == path);
    let nested = nested.map(|section| of_section(section, all));
    // Where the form is not known, anything is allowed; a test finds such a key.
    let mut value = values::of(&path, nested.as_ref())
        .or_else(|| kinds::of(key.kind, nested.as_ref()))
        .or(nested)
        .unwrap_or_else(|| json!({}));
    set(&mut value, "description", key.meaning.clone().into());
    if let Some(default) = default_of(key) {
        set(&mut value, "default", default);
    }
    value
}

/// The default, where its words are one value in TOML's spelling.
fn default_of(key: &Key) -> Option<Value> {
    let text = key.default.strip_prefix('`')?.strip_suffix('`')?;
    // The spelling of these values is that of JSON, but for the digits.
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_');
    let text = if is_number {
        text.replace('_', "")
    } else {
        text.to_owned()
    };
    serde_json::from_str(&text).ok()
}

/// A table that takes these keys and no others.
fn closed(properties: &Map<String, Value>, required: &[&str]) -> Value {
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        set(&mut table, "required", required.into());
    }
    table
}

fn set(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_pages_is_known() {
        let all = sections();
        let mut unknown = Vec::new();
        for section in &all {
            for key in &section.keys {
                let path = format!("{}.{}", section.path, key.name);
                let nested = all.iter().find(|section| section.path == path);
                let nested = nested.map(|section| of_section(section, &all));
                let is_known = values::of(&path, nested.as_ref())
                    .or_else(|| kinds::of(key.kind, nested.as_ref()))
                    .is_some();
                if !is_known {
                    unknown.push(format!("{path}: {}", key.kind));
                }
            }
        }
        let rule = "say in src/cli/schema/kinds.rs what these words mean, or in values.rs what this key takes";
        assert!(unknown.is_empty(), "{rule}: {unknown:#?}");
    }

    #[test]
    fn defaults_are_values() {
        let file = schema();
        let server = &file["properties"]["server"]["properties"];
        assert_eq!(server["threads"]["default"], 0);
        assert_eq!(server["max_connections"]["default"], 10000);
        assert_eq!(server["listen"]["default"], json!(["127.0.0.1:8080"]));
        assert_eq!(
            file["properties"]["replay"]["properties"]["capacity"]["default"],
            1_000_000
        );
    }
}
