//! Headers as programs print them: dictionaries of Python, hashes of Ruby, objects of Node, maps of
//! Go, arrays of PHP.
//!
//! The text is split into tokens, and a name with the sign of its language behind it (`:`, `=>` or
//! `=`) begins a pair. What cannot be a header's name is skipped.

use super::{Field, Message};

/// The beginnings of printed values that neither `{` nor `[` shows.
const BEGINNINGS: &[&str] = &[
    "map[",
    "http.Header",
    "Headers",
    "EnvironHeaders(",
    "Array",
    "array(",
    "array (",
    "{",
    "[Object",
    "CIMultiDict",
    "<CIMultiDict",
    "dict(",
    "Map(",
    "HeaderMap",
    "QueryDict",
    "Hash",
    "%{",
    "ActionDispatch",
    "#<",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A text in quotation marks.
    Text(String),
    /// A bare word.
    Word(String),
    /// A sign.
    Sign(char),
    /// `=>`.
    Arrow,
}

/// Whether a text begins as a printed value. What `print_r` of PHP prints is read as lines.
pub(super) fn is_printed(text: &str) -> bool {
    let ends = text.ends_with([')', '}', ']', '>', ';']);
    // A header line has a colon before any of the signs of printed values.
    let is_line = text
        .split_once(':')
        .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    ends && !is_line
        && BEGINNINGS.iter().any(|begin| text.starts_with(begin))
        && !text.contains("] => ")
}

pub(super) fn read(text: &str) -> Option<Message> {
    let fields = go_map(text).unwrap_or_else(|| {
        let tokens = tokens(text);
        in_turn(&tokens).unwrap_or_else(|| pairs(&tokens))
    });
    let fields: Vec<Field> = fields
        .into_iter()
        .filter(|(name, _)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
        .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
        .collect();
    (!fields.is_empty()).then(|| Message {
        fields,
        ..Message::default()
    })
}

/// Go's `%v` of `http.Header`: `map[Accept:[*/*] X-Name:[value]]`.
fn go_map(text: &str) -> Option<Vec<(String, String)>> {
    let inner = text.strip_prefix("map[")?.strip_suffix("]")?;
    let mut fields = Vec::new();
    let mut rest = inner.trim();
    while let Some((name, behind)) = rest.split_once(":[") {
        let end = behind.find("] ").or_else(|| behind.rfind(']'))?;
        let (value, after) = behind.split_at_checked(end)?;
        fields.push((name.trim().to_owned(), value.to_owned()));
        rest = after.get(1..).unwrap_or_default().trim_start();
    }
    Some(fields)
}

/// A list of names and values in turn, as Node prints `rawHeaders`.
fn in_turn(tokens: &[Token]) -> Option<Vec<(String, String)>> {
    let [Token::Sign('['), inner @ .., Token::Sign(']')] = tokens else {
        return None;
    };
    let texts = inner
        .iter()
        .enumerate()
        .filter_map(|(place, token)| match token {
            Token::Text(text) if place % 2 == 0 => Some(Some(text)),
            Token::Sign(',') if place % 2 == 1 => None,
            _ => Some(None),
        });
    let texts: Vec<&String> = texts.collect::<Option<_>>()?;
    let is_even = texts.len() >= 2 && texts.len().is_multiple_of(2);
    is_even.then(|| {
        let pair = |pair: &[&String]| match pair {
            [name, value] => Some(((*name).clone(), (*value).clone())),
            _ => None,
        };
        texts.chunks_exact(2).filter_map(pair).collect()
    })
}

/// The pairs of a printed value, whatever is around them.
fn pairs(tokens: &[Token]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let name = match token {
            Token::Text(name) | Token::Word(name) => name.trim_start_matches(':').to_owned(),
            _ => continue,
        };
        // `["name"]=>` of PHP's `var_dump`, and the comma of a tuple.
        let mut behind = at;
        if tokens.get(behind) == Some(&Token::Sign(']')) {
            behind += 1;
        }
        let is_tuple = matches!(token, Token::Text(_))
            && matches!(before(tokens, at), Some(Token::Sign('(' | '[' | '{')))
            && tokens.get(behind) == Some(&Token::Sign(','))
            && matches!(tokens.get(behind + 1), Some(Token::Text(_)));
        let is_pair = matches!(
            tokens.get(behind),
            Some(Token::Sign(':' | '=') | Token::Arrow)
        );
        // Ruby's `name: value` keeps the colon at the word.
        let (name, is_pair) = match name.strip_suffix(':') {
            Some(name) if !is_pair => (name.to_owned(), true),
            _ => {
                behind += usize::from(is_pair || is_tuple);
                (name, is_pair || is_tuple)
            }
        };
        if !is_pair {
            continue;
        }
        let (values, next) = value(tokens, behind);
        at = next.max(at);
        fields.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    fields
}

/// The token before the name at `at - 1`.
fn before(tokens: &[Token], at: usize) -> Option<&Token> {
    tokens.get(at.checked_sub(2)?)
}

/// The texts of a value, and the place behind it. An object has no texts of its own: its pairs are
/// read next.
fn value(tokens: &[Token], from: usize) -> (Vec<String>, usize) {
    match tokens.get(from) {
        Some(Token::Text(text)) => (vec![text.clone()], from + 1),
        Some(Token::Sign('[' | '(')) => list(tokens, from),
        Some(Token::Word(word)) => match (word.as_str(), tokens.get(from + 1)) {
            // `string(12) "text"` and `array(1) { … }` of `var_dump`, `array ( … )` of `var_export`.
            ("string", Some(Token::Sign('('))) => value(tokens, from + 4),
            ("array", Some(Token::Sign('('))) => {
                let sized = matches!(tokens.get(from + 3), Some(Token::Sign(')')))
                    && matches!(tokens.get(from + 4), Some(Token::Sign('{')));
                list(tokens, if sized { from + 4 } else { from + 1 })
            }
            _ => {
                let is_word = |token: &&Token| matches!(token, Token::Word(_));
                let rest = tokens.get(from..).unwrap_or_default();
                let words: Vec<&str> = rest
                    .iter()
                    .take_while(is_word)
                    .filter_map(|token| match token {
                        Token::Word(word) => Some(word.as_str()),
                        _ => None,
                    })
                    .collect();
                (vec![words.join(" ")], from + words.len())
            }
        },
        _ => (Vec::new(), from),
    }
}

/// The texts in brackets, up to their end.
fn list(tokens: &[Token], from: usize) -> (Vec<String>, usize) {
    let mut texts = Vec::new();
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Sign('[' | '(' | '{') => depth += 1,
            Token::Sign(']' | ')' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            Token::Text(text) if tokens.get(at) != Some(&Token::Arrow) => texts.push(text.clone()),
            _ => {}
        }
    }
    // Go writes `[]string{"value"}`: an empty list with the true one behind it.
    match tokens.get(at) {
        Some(Token::Word(word)) if texts.is_empty() && word == "string" => list(tokens, at + 1),
        _ => (texts, at),
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // `b'…'` of Python: the letter belongs to the quotation marks.
        if matches!(c, '\'' | '"' | '`') {
            if !matches!(word.as_str(), "b" | "u" | "r" | "") {
                tokens.push(Token::Word(std::mem::take(&mut word)));
            }
            word.clear();
            tokens.push(Token::Text(quoted(&mut chars, c)));
            continue;
        }
        // A colon within a word is part of it (`12:30`), and one at its end is a sign.
        let is_sign = matches!(c, ',' | '[' | ']' | '{' | '}' | '(' | ')' | '=' | ';')
            || (c == ':'
                && !word.is_empty()
                && !matches!(chars.peek(), Some(next) if !next.is_ascii_whitespace() && !matches!(next, '\'' | '"' | '[' | '{')))
            || (c == ':' && word.is_empty());
        if !is_sign && !c.is_ascii_whitespace() {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(Token::Word(std::mem::take(&mut word)));
        }
        if c == '=' && chars.peek() == Some(&'>') {
            chars.next();
            tokens.push(Token::Arrow);
        } else if is_sign {
            tokens.push(Token::Sign(c));
        }
    }
    if !word.is_empty() {
        tokens.push(Token::Word(word));
    }
    tokens
}

/// A quoted text up to its end, with the escapes that most languages share.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, mark: char) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == mark => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}
