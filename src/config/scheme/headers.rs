//! Names and values of headers, which several keys of a scheme hold (schemes: The form).

use super::super::reader::{Findings, Item};
use crate::wire::head::FieldName;

/// Whether bytes can be the whole value of a header line: no control byte except a tab, no white
/// space around them.
pub(in crate::config) fn is_field_value(value: &[u8]) -> bool {
    value.trim_ascii() == value && value.iter().all(|b| *b == b'\t' || !b.is_ascii_control())
}

/// Reads the name of a header.
pub(super) fn read_field(item: &Item<'_>, findings: &mut Findings) -> Option<FieldName> {
    let name = FieldName::new(item.text(findings, "\"X-Signature\"")?);
    if name.is_none() {
        item.refuse(
            findings,
            "is no header name",
            "write letters, digits and `-`, as in `X-Signature`",
        );
    }
    name
}

/// Reads the components of a request that a signature must cover: names of headers, in lower case, and
/// derived components, as in `@method`.
pub(super) fn read_components(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let entries = item.list(findings, "components = [\"content-digest\"]")?;
    let mut names: Vec<String> = Vec::new();
    let mut is_usable = true;
    for entry in &entries {
        let Some(text) = entry.text(findings, "components = [\"content-digest\"]") else {
            is_usable = false;
            continue;
        };
        let header = text.strip_prefix('@').unwrap_or(text);
        let is_name = FieldName::new(header).is_some_and(|name| name.as_str() == header);
        if !is_name {
            entry.refuse(
                findings,
                "is no component",
                "write the name of a header in lower case, or a name as `@method`",
            );
            is_usable = false;
        } else if names.iter().any(|name| name == text) {
            entry.refuse(findings, "is named twice", "name each component once");
            is_usable = false;
        } else {
            names.push(text.to_owned());
        }
    }
    is_usable.then_some(names)
}

/// Reads the name of a header or a list of names. Two names that could be taken for each other are
/// refused.
pub(super) fn read_fields(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<FieldName>> {
    if !item.value.get_ref().is_array() {
        return Some(vec![read_field(item, findings)?]);
    }
    let entries = item.list(findings, "header = [\"X-Signature\"]")?;
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty",
            "name at least one header, as in `[\"X-Signature\"]`",
        );
        return None;
    }
    let mut names: Vec<FieldName> = Vec::new();
    let mut is_usable = true;
    for entry in &entries {
        let Some(name) = read_field(entry, findings) else {
            is_usable = false;
            continue;
        };
        if names
            .iter()
            .any(|other| other.is_or_aliases(name.as_str().as_bytes()))
        {
            entry.refuse(
                findings,
                "names a header twice, in this or another spelling",
                "name each header once",
            );
            is_usable = false;
        }
        names.push(name);
    }
    is_usable.then_some(names)
}

/// Reads `require`: headers that must have exactly the written value.
pub(super) fn read_require(item: &Item<'_>, findings: &mut Findings) -> Vec<(FieldName, Vec<u8>)> {
    let Some(table) = item.table(findings, "require = { \"X-Signature-Version\" = \"1\" }") else {
        return Vec::new();
    };
    let mut required: Vec<(FieldName, Vec<u8>)> = Vec::new();
    for (name, entry) in table.items() {
        let Some(field) = FieldName::new(name) else {
            let message = format!("{} is no header name", findings.shown_key(name));
            findings.problem(entry.key_span, message, "write it as in `X-Version`");
            continue;
        };
        if required
            .iter()
            .any(|(other, _)| other.is_or_aliases(field.as_str().as_bytes()))
        {
            let message = format!(
                "{} is there already, in this or another spelling",
                findings.shown_key(name)
            );
            findings.problem(entry.key_span, message, "require one value of each header");
            continue;
        }
        let Some(value) = entry.text(findings, "\"1\"") else {
            continue;
        };
        if is_field_value(value.as_bytes()) && !value.is_empty() {
            required.push((field, value.as_bytes().to_vec()));
        } else {
            entry.refuse(
                findings,
                "could never be a header's value",
                "write visible characters",
            );
        }
    }
    required
}
