//! Names and values in columns or on lines of their own: what Chrome's network panel copies, tables,
//! lists, `name=value` lines, and maps of Java and C#.
//!
//! These forms are tried when a text is no header lines, so that they change the meaning of no text
//! that has a meaning already.

use super::{Field, Message};
use crate::wire::head::FieldName;

/// The fewest fields by which a form is recognised.
const LEAST: usize = 2;

/// A way to take a line apart.
type Taken = fn(&str) -> Option<(&str, &str)>;

pub(super) fn read(text: &str) -> Option<Message> {
    if let Some(message) = in_turn(text) {
        return Some(message);
    }
    let ways: [Taken; 4] = [of_table, in_brackets, assigned, aligned];
    ways.into_iter().find_map(|way| each_line(text, way))
}

/// Names and values on lines in turn, as Chrome's network panel copies them, with the headings and
/// the general facts of its panel.
fn in_turn(text: &str) -> Option<Message> {
    let mut message = Message::default();
    let mut is_answer = false;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        let name = line.strip_suffix(':').unwrap_or(line);
        match name.to_ascii_lowercase().as_str() {
            "general"
            | "raw"
            | "parsed"
            | "view source"
            | "view parsed"
            | "provisional headers are shown" => continue,
            "request headers" => {
                is_answer = false;
                continue;
            }
            "response headers" => {
                is_answer = true;
                continue;
            }
            _ => {}
        }
        let value = lines.next()?;
        match name.to_ascii_lowercase().as_str() {
            _ if is_answer => {}
            "request url" | ":path" => message.url = Some(value.to_owned()),
            "request method" | ":method" => message.method = Some(value.to_owned()),
            "status code" | "remote address" | "referrer policy" | ":authority" | ":scheme" => {}
            _ => {
                FieldName::new(name)?;
                message.fields.push(field(name, value));
            }
        }
    }
    (message.fields.len() >= LEAST).then_some(message)
}

/// Each line is a name and a value. A heading, a rule under it, and a request line are skipped.
fn each_line(text: &str, taken: Taken) -> Option<Message> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_rule = |line: &str| line.chars().all(|c| "-=+|: ".contains(c));
    let mut fields = Vec::new();
    for line in lines.filter(|line| !is_rule(line)) {
        let (name, value) = taken(line)?;
        FieldName::new(name)?;
        let is_heading = ["name", "header", "key"].contains(&name.to_ascii_lowercase().as_str())
            && value.eq_ignore_ascii_case("value");
        if !is_heading {
            fields.push(field(name, value));
        }
    }
    (fields.len() >= LEAST).then(|| Message {
        fields,
        ..Message::default()
    })
}

/// A row of a table: `| name | value |`.
fn of_table(line: &str) -> Option<(&str, &str)> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let (name, value) = inner.split_once('|')?;
    Some((
        name.trim().trim_matches('`'),
        value.trim().trim_matches('`'),
    ))
}

/// A pair of C#: `[name, value]`.
fn in_brackets(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim_end_matches(',').strip_prefix('[')?;
    let (name, value) = inner.strip_suffix(']')?.split_once(',')?;
    Some((name.trim(), value.trim()))
}

/// `name=value`.
fn assigned(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// A name and a value with at least one space between them, as PowerShell prints a dictionary.
fn aligned(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(' ')?;
    Some((name, value.trim()))
}

/// A map of Java: `{name=[value], name=[value, value]}`.
pub(super) fn java_map(text: &str) -> Option<Message> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = Vec::new();
    while let Some((name, behind)) = rest.split_once("=[") {
        let end = behind.find("], ").or_else(|| behind.rfind(']'))?;
        let (value, after) = behind.split_at_checked(end)?;
        FieldName::new(name.trim())?;
        fields.push(field(name.trim(), value));
        rest = after.strip_prefix("], ").unwrap_or_default();
    }
    (!fields.is_empty()).then(|| Message {
        fields,
        ..Message::default()
    })
}

/// Lines of a list (`- Name: value`) or with values in quotation marks (`Name: "value"`), as YAML
/// has them, without either; `None` where a line is otherwise.
pub(super) fn of_yaml(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.len() < LEAST {
        return None;
    }
    let items: Option<Vec<&str>> = lines.iter().map(|line| line.strip_prefix("- ")).collect();
    let is_list = items.is_some();
    let lines = items.unwrap_or(lines);
    let bare = |line: &&str| {
        let (name, value) = line.split_once(": ")?;
        let value = value.trim();
        let inner = value.strip_prefix('"')?.strip_suffix('"')?;
        FieldName::new(name)?;
        Some(format!("{name}: {inner}"))
    };
    let quoted: Option<Vec<String>> = lines.iter().map(bare).collect();
    match quoted {
        Some(lines) => Some(lines.join("\n")),
        None => is_list.then(|| lines.join("\n")),
    }
}

fn field(name: &str, value: &str) -> Field {
    (name.into(), value.into())
}
