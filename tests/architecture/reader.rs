//! Rust source as text: what is code in it, what is a comment or a string, and which paths it names. Knows no grammar
//! beyond that.

/// What a piece of source text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// A string or a character, with its quotes.
    Literal,
}

/// The text in pieces, in order.
pub(crate) fn pieces(text: &str) -> Vec<(Kind, &str)> {
    let mut found = Vec::new();
    // Where the code begins that leads up to `at`.
    let (mut begun, mut at) = (0, 0);
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let (before, rest) = text.split_at(at);
        let other = if rest.starts_with("//") {
            Some((Kind::Comment, rest.find('\n').unwrap_or(rest.len())))
        } else if rest.starts_with("/*") {
            Some((Kind::Comment, block_comment(rest)))
        } else if let Some(hashes) = raw_string(rest).filter(|_| !before.ends_with(is_word)) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').unwrap_or_default() + 1;
            let inner = rest.get(open..).and_then(|inner| inner.find(&end));
            Some((
                Kind::Literal,
                inner.map_or(rest.len(), |at| open + at + end.len()),
            ))
        } else if first == '"' || first == '\'' && is_character(rest) {
            Some((Kind::Literal, quoted(rest, first)))
        } else {
            None
        };
        let Some((kind, length)) = other else {
            at += first.len_utf8();
            continue;
        };
        found.extend(
            text.get(begun..at)
                .filter(|code| !code.is_empty())
                .map(|code| (Kind::Code, code)),
        );
        found.extend(text.get(at..at + length).map(|piece| (kind, piece)));
        at += length;
        begun = at;
    }
    found.extend(
        text.get(begun..)
            .filter(|code| !code.is_empty())
            .map(|code| (Kind::Code, code)),
    );
    found
}

/// `text` with comments, strings and characters blanked out; line ends stay.
pub(crate) fn code_of(text: &str) -> String {
    let blank = |piece: &str| {
        piece
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect::<String>()
    };
    let seen = |(kind, piece): (Kind, &str)| {
        if kind == Kind::Code {
            piece.to_owned()
        } else {
            blank(piece)
        }
    };
    pieces(text).into_iter().map(seen).collect()
}

/// The comments of `text`, each with the line on which it begins. Comments that only white space divides are one, their
/// lines joined by a space and without their slashes.
pub(crate) fn comments(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut line, mut is_next) = (1, false);
    for (kind, piece) in pieces(text) {
        if kind == Kind::Comment {
            let words = piece
                .trim_start_matches(['/', '!', '*'])
                .trim_end_matches(['*', '/'])
                .trim();
            match found.last_mut().filter(|_| is_next) {
                Some((_, joined)) => {
                    joined.push(' ');
                    joined.push_str(words);
                }
                None => found.push((line, words.to_owned())),
            }
        }
        is_next = kind == Kind::Comment || is_next && piece.trim().is_empty();
        line += piece.matches('\n').count();
    }
    found
}

/// The strings of `text`, without their quotes, as they are written.
pub(crate) fn strings(text: &str) -> Vec<&str> {
    let is_string = |(kind, piece): &(Kind, &str)| *kind == Kind::Literal && piece.contains('"');
    let inside = |piece: &'_ str| -> Option<std::ops::Range<usize>> {
        Some(piece.find('"')? + 1..piece.rfind('"')?)
    };
    pieces(text)
        .into_iter()
        .filter(is_string)
        .filter_map(|(_, piece)| piece.get(inside(piece)?))
        .collect()
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment with those inside it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The number of `#` of a raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest.get(hashes..)?.starts_with('"').then_some(hashes)
}

/// The length of a literal that begins and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a character begins here, and not a lifetime.
fn is_character(text: &str) -> bool {
    let mut inside = text.chars().skip(1);
    inside.next() == Some('\\') || inside.next() == Some('\'')
}

/// Each first segment that follows `from::` in `code`, members of a group one by one, with its line.
pub(crate) fn following(code: &str, from: &str) -> Vec<(usize, String)> {
    let start = format!("{from}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let (before, rest) = code.split_at(at);
        if before.ends_with(|c| is_word(c) || c == ':') {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let rest = rest.get(start.len()..).unwrap_or_default();
        for name in first_segments(rest) {
            found.push((line, name));
        }
    }
    found
}

/// `a::b` → a; `{a::b, c::{d}, e as f}` → a, c, e.
fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut found = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => found.push(word(group.get(at + 1..).unwrap_or_default())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The lines on which `code` uses the crate of this name.
pub(crate) fn uses(code: &str, name: &str) -> Vec<usize> {
    let mut lines: Vec<_> = following(code, name)
        .into_iter()
        .map(|(line, _)| line)
        .collect();
    let bare = [
        format!("use {name};"),
        format!("extern crate {name}"),
        format!("use {name} as"),
    ];
    lines.extend(
        code.lines()
            .zip(1..)
            .filter(|(text, _)| bare.iter().any(|b| text.contains(b)))
            .map(|(_, line)| line),
    );
    lines
}

#[test]
fn the_reader_sees_paths_and_neither_comments_nor_literals() {
    let text = "a /* crate::x /* */ crate::y */ 'b' '\\'' \"crate::\\\"z\" r#\"crate::\"w\"#\n//! crate::v\nf::<'c>(br\"\\\"); crate::u";
    assert_eq!(following(&code_of(text), "crate"), [(3, "u".to_owned())]);
    let group = "use crate::{one::{two, three}, four, five as six};\nuse other_crate::seven; x::crate::eight;";
    let names: Vec<_> = following(group, "crate")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["one", "four", "five"]);
    assert_eq!(
        uses("use log;\nlog::warn!();\nmy_log::x; self::log::y", "log"),
        [2, 1]
    );
}

#[test]
fn the_reader_tells_comments_and_strings_from_code() {
    let text = "//! one\n//! two\nfn f() {\n    // three\n\n    /* four */ g(\"// five\", r#\"six\"#, '\"');\n}";
    let comments = comments(text);
    assert_eq!(
        comments,
        [(1, "one two".to_owned()), (4, "three four".to_owned())]
    );
    assert_eq!(strings(text), ["// five", "six"]);
}
