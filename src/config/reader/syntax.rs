//! The words for text that the TOML parser could not read (contract: Configuration): what was
//! written instead of TOML, and how it is written right.
//!
//! Nothing is parsed here. The failing line is looked at for the slips of people who come from
//! another language or copy from a page; the parser's own words are the last resort. A line may
//! hold a secret, so its text is repeated only where [`mask`](crate::config::mask) would show it.

use crate::config::mask::{is_harmless, known_key};

/// A message and its correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) message: String,
    pub(super) help: String,
}

fn words(message: impl Into<String>, help: impl Into<String>) -> Words {
    Words {
        message: message.into(),
        help: help.into(),
    }
}

/// A place to start from for people whose file is no TOML at all.
const START: &str = "the configuration is TOML: tables such as `[server]` and `[[route]]`, and \
                     `key = value` under them; `verigate providers stripe` prints a route to start from";

/// Characters that editors and pages put where a straight quotation mark belongs.
const TYPOGRAPHIC: &[char] = &[
    '\u{2018}', '\u{2019}', '\u{201A}', '\u{201B}', '\u{201C}', '\u{201D}', '\u{201E}', '\u{201F}',
    '\u{2032}', '\u{2033}', '\u{AB}', '\u{BB}', '\u{2039}', '\u{203A}', '`', '\u{B4}',
];

/// The language that a whole text is written in, if that is plainly another than TOML.
pub(super) fn other_language(text: &str) -> Option<Words> {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines = || {
        text.trim_start_matches('\u{FEFF}')
            .lines()
            .map(str::trim)
            .filter(is_code)
    };
    let first = lines().next()?;
    let share = |is_it: fn(&str) -> bool| {
        let count = lines().filter(|line| is_it(line)).count();
        count * 2 > lines().count()
    };
    let is = |name: &str| Some(words(format!("this file is {name}, not TOML"), START));
    if first.starts_with('{') {
        return is("JSON");
    }
    if first.starts_with('<') && !first.starts_with("<<<<") {
        return is("HTML or XML");
    }
    if first.starts_with("--- a/") || first.starts_with("diff ") || share(|l| l.starts_with('+')) {
        return is("a patch");
    }
    if first == "---" || share(is_of_yaml) {
        return is("YAML");
    }
    if share(|line| line.ends_with(['{', ';', '}'])) {
        return is("a configuration with blocks in braces");
    }
    // Some line of a TOML file is a table or has an equals sign.
    let is_of_toml = |line: &str| line.starts_with('[') || line.contains('=');
    (!lines().any(is_of_toml)).then(|| words("this file is not TOML", START))
}

/// `- item`, `key:` or `key: value`.
fn is_of_yaml(line: &str) -> bool {
    line.starts_with("- ")
        || line.split_once(':').is_some_and(|(key, value)| {
            is_bare(key.trim()) && (value.is_empty() || value.starts_with(' '))
        })
}

/// The words for the error that the parser met on `line`, of which it says `parser`; `before` is
/// the text in front of the line.
pub(super) fn of_line(before: &str, line: &str, parser: &str) -> Words {
    let code = line.trim_ascii();
    if parser.contains("recursion") {
        return words(
            parser,
            "no list, table or key of a configuration lies so deep",
        );
    }
    if is_in_list(before) {
        return strange_characters(code)
            .or_else(|| item(code))
            .unwrap_or_else(|| words(parser, ""));
    }
    beside_toml(code, parser)
        .or_else(|| repeated(code, parser))
        .or_else(|| header(code))
        .or_else(|| strange_characters(code))
        .or_else(|| sign(code))
        .or_else(|| value(code, parser))
        .unwrap_or_else(|| words(parser, ""))
}

/// Whether a line begins inside a list: the line before it ends as a list that goes on.
fn is_in_list(before: &str) -> bool {
    let lines = before.lines().rev().map(str::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .next()
        .is_some_and(|line| line.ends_with('[') || line.ends_with(',') && !line.contains('='))
}

/// An item of a list on a line of its own.
fn item(line: &str) -> Option<Words> {
    (!line.starts_with(['"', '\'', '{', '[', ']'])).then(|| {
        words(
            "this item of a list has no quotation marks",
            "write it as in `\"…\",`, and close the list with `]`",
        )
    })
}

/// Lines that belong to something else than a configuration.
fn beside_toml(line: &str, parser: &str) -> Option<Words> {
    if parser.starts_with("carriage return") {
        return Some(words(
            "a line ends with a carriage return alone",
            "save the file with Unix or Windows line ends",
        ));
    }
    if ["//", "/*", ";", "--", "<!--"]
        .iter()
        .any(|start| line.starts_with(start))
    {
        return Some(words(
            "this is no comment of TOML",
            "begin a comment with `#`",
        ));
    }
    if line.starts_with("```") {
        return Some(words(
            "this line is a fence of Markdown",
            "leave the lines with ``` out",
        ));
    }
    if ["<<<<<<<", "=======", ">>>>>>>"]
        .iter()
        .any(|mark| line.starts_with(mark))
    {
        return Some(words(
            "this line is the mark of a merge conflict",
            "keep one of the two versions, and delete the marks",
        ));
    }
    if line.starts_with("cat >") || line.starts_with("cat <<") || line == "EOF" {
        return Some(words(
            "this line is a command of the shell around the file",
            "leave it out",
        ));
    }
    line.starts_with("export ").then(|| {
        words(
            "`export` belongs to a shell",
            "write `key = value` without `export`; a secret in a variable is named as \
             `secrets = [\"env:NAME\"]`",
        )
    })
}

/// A table or key that is there twice.
fn repeated(line: &str, parser: &str) -> Option<Words> {
    if !parser.starts_with("duplicate key") {
        return None;
    }
    if is_route(line) {
        return Some(words(
            "`route` is there twice, and not in double brackets everywhere",
            "begin each route with a line `[[route]]`",
        ));
    }
    Some(if line.starts_with('[') {
        words(
            "this table is there twice",
            "put all its keys under the first of the two",
        )
    } else {
        words(
            "this key is there twice in its table",
            "keep one of the two; another route begins with a line `[[route]]` of its own",
        )
    })
}

/// `[route]` or `[[route]]`.
pub(super) fn is_route(line: &str) -> bool {
    matches!(line.trim_matches(['[', ']', ' ']), "route") && line.starts_with('[')
}

/// A line that begins with a bracket.
fn header(line: &str) -> Option<Words> {
    let line = line.split('#').next().unwrap_or_default().trim();
    line.strip_prefix('[')?;
    let count = |sign: char| line.chars().filter(|c| *c == sign).count();
    Some(if count('[') == count(']') {
        words(
            "this is not the name of a table",
            "write `[server]`, `[admin]`, `[replay]` or `[[route]]`, alone on its line",
        )
    } else {
        words(
            "the brackets of this table do not match",
            "write `[[route]]` in double brackets, and `[server]`, `[admin]` and `[replay]` in single ones",
        )
    })
}

/// Typographic quotation marks, and characters that cannot be seen.
fn strange_characters(line: &str) -> Option<Words> {
    let outside = outside_quotes(line);
    if let Some(c) = outside.chars().find(|c| TYPOGRAPHIC.contains(c)) {
        return Some(words(
            format!(
                "`{c}` (U+{:04X}) is no quotation mark of TOML",
                u32::from(c)
            ),
            "type straight quotation marks, as in `name = \"stripe\"`; editors and web pages change them",
        ));
    }
    let is_unseen = |c: &char| {
        !c.is_ascii()
            && (c.is_whitespace()
                || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}'))
    };
    let c = outside.chars().find(is_unseen)?;
    Some(words(
        format!(
            "the line holds a character that cannot be seen (U+{:04X})",
            u32::from(c)
        ),
        "delete the blanks of this line and type them again",
    ))
}

/// The text outside of straight quotation marks, comments included.
fn outside_quotes(line: &str) -> String {
    let mut open = None;
    line.chars()
        .filter(|c| match (open, c) {
            (None, '"' | '\'') => {
                open = Some(*c);
                false
            }
            (Some(mark), c) if mark == *c => {
                open = None;
                false
            }
            (Some(_), _) => false,
            (None, _) => true,
        })
        .collect()
}

/// Another sign than a single `=` between key and value, or no sign at all.
fn sign(line: &str) -> Option<Words> {
    let at = line.find(['=', ':', '"', '\'', '[', '{']);
    let (key, rest) = match at {
        Some(at) => line.split_at_checked(at)?,
        None => (line, ""),
    };
    let example = format!("write `{} = …`", known_key(line).unwrap_or("key"));
    if let Some(wrong) = [":=", "=>", "==", ":"]
        .iter()
        .find(|wrong| rest.starts_with(**wrong))
    {
        return Some(words(
            format!("`{wrong}` is between key and value"),
            format!("{example} with a single `=`"),
        ));
    }
    if rest.starts_with('=') {
        let key = key.trim();
        let is_split = key.contains(char::is_whitespace) && !key.contains(['"', '\'']);
        return is_split.then(|| {
            let joined = key.split_whitespace().collect::<Vec<_>>().join("_");
            let help = known_key(&joined).map_or_else(
                || "write the key as a single word, as in `max_body`".to_owned(),
                |known| format!("write `{known} = …`"),
            );
            words("there is a blank inside the key", help)
        });
    }
    Some(words(
        "there is no `=` between a key and its value",
        format!("{example}, or begin a comment with `#`"),
    ))
}

/// A value that is not written as TOML wants it.
fn value(line: &str, parser: &str) -> Option<Words> {
    let (_, value) = line.split_once('=')?;
    let value = value.trim();
    let key = known_key(line).unwrap_or("key");
    let small = value.to_ascii_lowercase();
    let lead = value.trim_start_matches(['[', ' ', ',', '"']);
    if value.is_empty() || value.starts_with('#') {
        return Some(words(
            "this key has no value",
            format!("write one, as in `{key} = \"…\"`, or leave the line out"),
        ));
    }
    if matches!(
        small.as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off"
    ) {
        return Some(words(
            "this is neither `true` nor `false`",
            "write `true` or `false`, in small letters and without quotation marks",
        ));
    }
    if matches!(small.as_str(), "null" | "none" | "nil" | "undefined" | "~") {
        return Some(words(
            "TOML has no word for a missing value",
            "leave the line out",
        ));
    }
    if lead.starts_with('$') || lead.starts_with("{{") || lead.starts_with('%') {
        return Some(words(
            "this is a variable or a template, which nothing has filled in",
            "write the value itself; a secret that is in a variable is named as `secrets = [\"env:NAME\"]`",
        ));
    }
    if value.starts_with('(') {
        return Some(words(
            "a list is in round brackets",
            format!("write it in square ones, as in `{key} = [\"…\"]`"),
        ));
    }
    if value.contains('\\') && value.contains('"') {
        return Some(words(
            "a backslash in double quotation marks begins an escape",
            "write the text in single quotation marks, or `\\\\` for each backslash",
        ));
    }
    if let Some(mark) = value.chars().next_back().filter(|c| matches!(c, ';' | ',')) {
        return Some(words(
            format!("there is a `{mark}` behind the value"),
            format!("leave the `{mark}` out: the line end is the end of a value"),
        ));
    }
    let is_open = |mark: char| value.matches(mark).count() % 2 == 1;
    if value.starts_with(['"', '\'', '[']) && (is_open('"') || is_open('\'')) {
        return Some(words(
            "a quotation mark is not closed",
            "end the text with the mark that it begins with, on the same line",
        ));
    }
    if let Some(inner) = value.strip_prefix('[') {
        if inner.starts_with(['"', '\'']) || inner.contains('=') {
            return None;
        }
        return Some(words(
            "the texts of this list have no quotation marks",
            format!("write each in quotation marks, as in `{key} = [\"…\"]`"),
        ));
    }
    if value.starts_with(['"', '\'', '{']) {
        return parser.starts_with("unexpected key").then(|| {
            words(
                "there is something behind the value",
                "write each key on a line of its own, and begin a comment with `#`",
            )
        });
    }
    let lists = [
        "secrets",
        "listen",
        "hosts",
        "methods",
        "event_types",
        "accounts",
        "trusted_proxies",
    ];
    if ["capacity", "max_connections", "max_headers", "threads"].contains(&key) {
        return Some(words(
            "this value is no number",
            format!("write digits alone, as in `{key} = 4`"),
        ));
    }
    let shown = if is_harmless(line) && !value.contains(['"', '\'', '#']) {
        value
    } else {
        "…"
    };
    let shown = if lists.contains(&key) {
        format!("[\"{shown}\"]")
    } else {
        format!("\"{shown}\"")
    };
    Some(words(
        "this value has no quotation marks",
        format!("write `{key} = {shown}`: texts, durations and sizes are in quotation marks"),
    ))
}

fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
}
