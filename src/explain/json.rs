//! The forms in which common JSON libraries would write a document again: white space, escapes,
//! order of keys, numbers.
//!
//! `serde_json` says whether a text is a document, and sorts its keys. The rest is done on its
//! tokens, since a tree would lose the order of the keys.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::tree::{Node, ORDERS};

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

/// The usual indentation.
const PRETTY: Style = style(",", ": ", Some("  "), "", "indented by two spaces");

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
    style(
        ",",
        ": ",
        Some("    "),
        "\n",
        "indented by four spaces, with a newline at the end",
    ),
    style(
        ",",
        ":",
        Some("  "),
        "",
        "indented by two spaces, without a space after colons",
    ),
    style(
        ",",
        " : ",
        Some("  "),
        "",
        "indented by two spaces, with spaces around colons",
    ),
    style(
        ", ",
        ": ",
        None,
        "\n",
        "with a space after each comma and colon, and a newline",
    ),
    style(",", ": ", None, "", "with a space after each colon"),
    style(", ", ":", None, "", "with a space after each comma"),
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
    /// Slashes escaped (PHP with `JSON_UNESCAPED_UNICODE`).
    Slashes,
    /// The same as [`Self::Ascii`], with capital digits (Jackson, Java).
    AsciiCapitals,
    /// Signs of HTML and all characters beyond ASCII escaped, with capital digits (.NET).
    DotNet,
    /// Signs of HTML and all characters beyond ASCII escaped (Ruby, Gson).
    HtmlAscii,
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
            Self::Slashes => Some("with slashes escaped"),
            Self::AsciiCapitals => {
                Some("with all characters beyond ASCII escaped as \\u… in capital digits")
            }
            Self::DotNet => Some("with escapes as .NET writes them"),
            Self::HtmlAscii => Some("with signs of HTML and all characters beyond ASCII escaped"),
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
    Text::Slashes,
    Text::AsciiCapitals,
    Text::DotNet,
    Text::HtmlAscii,
];

/// Every form of a JSON document that differs from the document itself, each once, likely forms
/// first, with the words that describe it. A body that is not JSON has no forms.
pub(super) fn forms(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    let original = std::str::from_utf8(body).unwrap_or_default().to_owned();
    let mut documents = Vec::new();
    if is_json(&original) {
        let tokens = tokens(&original);
        if let Some(tree) = Node::read(&tokens) {
            documents.push((None, owned(&tokens)));
            documents.extend(ORDERS.iter().map(|(words, order)| {
                let ordered = tree.ordered(*order).compact();
                (Some(*words), owned(&self::tokens(&ordered)))
            }));
        }
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

/// The document indented by two spaces.
pub(super) fn pretty(compact: &str) -> String {
    write(&owned(&tokens(compact)), PRETTY)
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn owned(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(|token| (*token).to_owned()).collect()
}

/// The tokens of a text that is known to be JSON.
pub(super) fn tokens(text: &str) -> Vec<&str> {
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
        Text::Html => html(&plain),
        Text::Slashes => plain.replace('/', "\\/"),
        Text::AsciiCapitals => capitals(&ascii(&plain)),
        Text::DotNet => {
            let inner = plain
                .get(1..plain.len().saturating_sub(1))
                .unwrap_or_default();
            let inner = html(&inner.replace("\\\"", "\\u0022"))
                .replace('\'', "\\u0027")
                .replace('+', "\\u002B");
            format!("\"{}\"", capitals(&ascii(&inner)))
        }
        Text::HtmlAscii => ascii(&html(&plain).replace('\'', "\\u0027")),
    }
}

fn html(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The text with the digits of its `\u` escapes as capitals.
fn capitals(text: &str) -> String {
    let mut pieces = text.split("\\u");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| {
        let (digits, rest) = piece.split_at_checked(4).unwrap_or((piece, ""));
        out + "\\u" + &digits.to_ascii_uppercase() + rest
    })
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
    fn what_is_no_json_has_no_forms_and_nothing_panics() {
        for body in [&b"hello"[..], b"", b"{\"a\":", b"\"\\", b"\xff", b"{} {}"] {
            assert_eq!(forms(body).count(), 0, "{body:?}");
        }
        assert!(forms(b"{}").all(|(form, _)| form != "{}"));
    }
}
