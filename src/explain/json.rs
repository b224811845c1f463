//! The forms in which common JSON libraries would write a document again: white space, escapes,
//! order of keys, numbers.
//!
//! `serde_json` says whether a text is a document, and sorts its keys. The rest is done on its
//! tokens, since a tree would lose the order of the keys.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The signs and the white space between tokens.
#[derive(Clone, Copy)]
struct Style {
    comma: &'static str,
    colon: &'static str,
    indent: Option<&'static str>,
    end: &'static str,
    words: &'static str,
}

const fn style(
    comma: &'static str,
    colon: &'static str,
    indent: Option<&'static str>,
    end: &'static str,
    words: &'static str,
) -> Style {
    Style {
        comma,
        colon,
        indent,
        end,
        words,
    }
}

/// The styles of `JSON.stringify`, Python's default and Go's encoder, and the usual indentations.
const STYLES: &[Style] = &[
    style(",", ":", None, "", "without white space"),
    style(
        ", ",
        ": ",
        None,
        "",
        "with a space after each comma and colon",
    ),
    style(
        ",",
        ":",
        None,
        "\n",
        "without white space but a newline at the end",
    ),
    style(",", ": ", Some("  "), "", "indented by two spaces"),
    style(",", ": ", Some("    "), "", "indented by four spaces"),
    style(",", ": ", Some("\t"), "", "indented by tabs"),
    style(
        ",",
        ": ",
        Some("  "),
        "\n",
        "indented by two spaces, with a newline at the end",
    ),
];

/// The spelling of strings and numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    /// All as received.
    AsIs,
    /// Only those characters escaped that must be.
    Plain,
    /// The same, with numbers as `JavaScript` writes them.
    PlainNumbers,
    /// All characters beyond ASCII escaped (Python).
    Ascii,
    /// Slashes and all characters beyond ASCII escaped (PHP).
    AsciiSlashes,
    /// `<`, `>` and `&` escaped (Go).
    Html,
}

impl Text {
    /// The words for this spelling; `None` for the spelling as received.
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::AsIs => None,
            Self::Plain => Some("without needless escapes"),
            Self::PlainNumbers => Some("with numbers as JavaScript writes them"),
            Self::Ascii => Some("with all characters beyond ASCII escaped as \\u…"),
            Self::AsciiSlashes => Some("with slashes and all characters beyond ASCII escaped"),
            Self::Html => Some("with <, > and & escaped"),
        }
    }
}

const TEXTS: &[Text] = &[
    Text::AsIs,
    Text::Plain,
    Text::PlainNumbers,
    Text::Ascii,
    Text::AsciiSlashes,
    Text::Html,
];

/// Every form of a JSON document that differs from the document itself, each once, likely forms
/// first, with the words that describe it. A body that is not JSON has no forms.
pub(super) fn forms(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    let original = std::str::from_utf8(body).unwrap_or_default().to_owned();
    let value: Option<serde_json::Value> = serde_json::from_str(&original).ok();
    let mut documents = Vec::new();
    if let Some(value) = value {
        let sorted = value.to_string();
        documents.push((
            None,
            tokens(&original)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        ));
        documents.push((
            Some("with sorted keys"),
            tokens(&sorted).into_iter().map(str::to_owned).collect(),
        ));
    }
    // Hashes of the forms rather than the forms: a large body has many.
    let mut seen = HashSet::from([fingerprint(&original)]);
    documents
        .into_iter()
        .flat_map(|(order, document)| {
            let rewritten = move |text: &Text| {
                (
                    order,
                    *text,
                    document.iter().map(|t| rewrite(t, *text)).collect(),
                )
            };
            TEXTS.iter().map(rewritten)
        })
        .flat_map(|(order, text, document): (_, _, Vec<String>)| {
            STYLES.iter().map(move |style| {
                let words = [Some(style.words), order, text.words()];
                (
                    write(&document, *style),
                    words.into_iter().flatten().collect::<Vec<_>>().join(", "),
                )
            })
        })
        .filter(move |(form, _)| seen.insert(fingerprint(form)))
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// An object with its outermost members in every order, without white space and as Python spaces
/// it.
///
/// A body that has too many members or is too long has no orders, and neither has a body that is
/// not an object.
pub(super) fn orders(body: &[u8]) -> impl Iterator<Item = String> {
    const MAX_MEMBERS: usize = 6;
    const MAX_BYTES: usize = 32 * 1024;
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.len() <= MAX_BYTES);
    let is_object = |text: &&str| {
        serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
    };
    let members = text
        .filter(is_object)
        .map(members)
        .filter(|members| members.len() <= MAX_MEMBERS);
    let members = members
        .filter(|members| members.len() > 1)
        .unwrap_or_default();
    // Places of the members, so that no order holds a copy of them.
    let mut orders: Vec<Vec<usize>> = if members.is_empty() {
        Vec::new()
    } else {
        vec![Vec::new()]
    };
    for member in 0..members.len() {
        let longer = |order: Vec<usize>| {
            (0..=order.len()).map(move |place| {
                let mut next = order.clone();
                next.insert(place, member);
                next
            })
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    STYLES.iter().take(2).flat_map(move |style| {
        let texts: Vec<String> = members.iter().map(|member| write(member, *style)).collect();
        let document = move |order: &Vec<usize>| {
            let inner: Vec<&str> = order
                .iter()
                .filter_map(|place| texts.get(*place))
                .map(String::as_str)
                .collect();
            format!("{{{}}}", inner.join(style.comma))
        };
        orders
            .clone()
            .into_iter()
            .map(move |order| document(&order))
    })
}

/// The members of an object, each as its tokens without the comma after it.
fn members(text: &str) -> Vec<Vec<String>> {
    let mut members = vec![Vec::new()];
    let mut depth = 0_usize;
    for token in tokens(text) {
        let is_outermost = depth == 1;
        match token {
            "{" | "[" => depth += 1,
            "}" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if is_outermost && token == "," {
            members.push(Vec::new());
        } else if depth > 0
            && (is_outermost || depth > 1 || token != "{")
            && let Some(member) = members.last_mut()
        {
            member.push(token.to_owned());
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

/// The tokens of a text that is known to be JSON.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.bytes().next() {
        let len = match first {
            b'"' => string_len(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest
                .find([',', ':', '}', ']', ' ', '\t', '\r', '\n'])
                .unwrap_or(rest.len())
                .max(1),
        };
        let Some((token, behind)) = rest.split_at_checked(len) else {
            break;
        };
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

/// The length of the string that `text` begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn rewrite(token: &str, text: Text) -> String {
    if text == Text::AsIs {
        return token.to_owned();
    }
    if !token.starts_with('"') {
        return if text == Text::PlainNumbers {
            number(token)
        } else {
            token.to_owned()
        };
    }
    // Both steps fail only for a token that is not a JSON string.
    let read = serde_json::from_str::<String>(token).and_then(|read| serde_json::to_string(&read));
    let plain = read.unwrap_or_else(|_| token.to_owned());
    match text {
        Text::AsIs | Text::Plain | Text::PlainNumbers => plain,
        Text::Ascii => ascii(&plain),
        Text::AsciiSlashes => ascii(&plain).replace('/', "\\/"),
        Text::Html => plain
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
    }
}

fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// A whole number without its fraction and exponent, and any other number as it is.
fn number(token: &str) -> String {
    // 2^53: beyond it, not every whole number is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match token.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < EXACT => format!("{}", number + 0.0),
        _ => token.to_owned(),
    }
}

fn write(tokens: &[String], style: Style) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    };
    let mut previous = "";
    for token in tokens {
        match token.as_str() {
            close @ ("}" | "]") => {
                depth = depth.saturating_sub(1);
                // An empty container stays on its line.
                if !matches!(previous, "{" | "[") {
                    line(&mut out, depth);
                }
                out.push_str(close);
            }
            other => {
                if matches!(previous, "{" | "[") {
                    line(&mut out, depth);
                }
                match other {
                    "," => {
                        out.push_str(style.comma);
                        line(&mut out, depth);
                    }
                    ":" => out.push_str(style.colon),
                    other => out.push_str(other),
                }
                if matches!(other, "{" | "[") {
                    depth += 1;
                }
            }
        }
        previous = token;
    }
    out.push_str(style.end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_libraries_forms_are_among_them() {
        let body = "{ \"b\" : [1.0, {}, []],\r\n \"a\":\"\\u00e9/\u{e9}<\\\"\" }";
        let rows = [
            ("JSON.stringify", "{\"b\":[1,{},[]],\"a\":\"é/é<\\\"\"}"),
            (
                "json.dumps",
                "{\"b\": [1.0, {}, []], \"a\": \"\\u00e9/\\u00e9<\\\"\"}",
            ),
            (
                "json_encode",
                "{\"b\":[1.0,{},[]],\"a\":\"\\u00e9\\/\\u00e9<\\\"\"}",
            ),
            (
                "Go's encoder",
                "{\"a\":\"é/é\\u003c\\\"\",\"b\":[1.0,{},[]]}\n",
            ),
            ("sorted", "{\"a\":\"é/é<\\\"\",\"b\":[1.0,{},[]]}"),
            (
                "indented",
                "{\n  \"b\": [\n    1,\n    {},\n    []\n  ],\n  \"a\": \"é/é<\\\"\"\n}",
            ),
        ];
        let all: Vec<String> = forms(body.as_bytes()).map(|(form, _)| form).collect();
        let missing: Vec<_> = rows
            .iter()
            .filter(|(_, form)| !all.iter().any(|one| one == form))
            .collect();
        assert!(missing.is_empty(), "{missing:#?} not in {all:#?}");
    }

    #[test]
    fn members_come_in_every_order() {
        let all: Vec<String> =
            orders(b"{ \"a\" : [1, {\"x\": 2}],\n\"b\":{},\"c\":\"},{\" }").collect();
        assert_eq!(all.len(), 12, "{all:#?}");
        for form in [
            "{\"c\":\"},{\",\"a\":[1,{\"x\":2}],\"b\":{}}",
            "{\"b\": {}, \"a\": [1, {\"x\": 2}], \"c\": \"},{\"}",
        ] {
            assert!(all.iter().any(|one| one == form), "{form} not in {all:#?}");
        }
        for none in [&b"[1,2]"[..], b"{}", b"{\"a\":1}", b"{\"a\":1", b"\xff"] {
            assert_eq!(orders(none).count(), 0, "{none:?}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_forms_and_nothing_panics() {
        for body in [&b"hello"[..], b"", b"{\"a\":", b"\"\\", b"\xff", b"{} {}"] {
            assert_eq!(forms(body).count(), 0, "{body:?}");
        }
        assert!(forms(b"{}").all(|(form, _)| form != "{}"));
    }
}
