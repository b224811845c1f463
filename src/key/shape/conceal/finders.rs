//! The searches for parts of a text that could be a secret: by a known beginning, by their place in
//! a URL or behind a word of `Authorization`, and by a random look (contract: Secrets).

use std::ops::Range;

use memchr::memmem::Finder;
use once_cell::sync::Lazy;

use crate::key::shape::prefixes;

/// Characters of which secrets are made.
fn is_secret_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '.')
}

/// The beginnings that mark secrets or API keys, each with its search, which takes longer to make than to
/// run. Words of configuration files mark nothing here.
static MARKS: Lazy<Vec<(&str, Finder<'static>)>> = Lazy::new(|| {
    let words = ["base64:", "hex:", "whpk_", "v1a,whpk_"];
    let all = prefixes::SIGNING.iter().chain(prefixes::API_KEYS);
    all.filter(|prefix| !words.contains(prefix))
        .map(|prefix| (*prefix, Finder::new(prefix)))
        .collect()
});

/// Texts behind a beginning that marks secrets or API keys. Private keys of Standard Webhooks and
/// of PEM are among them.
pub(in crate::key::shape) fn marked(text: &str, found: &mut Vec<Range<usize>>) {
    for (prefix, finder) in MARKS.iter() {
        let mut done = 0;
        for at in finder.find_iter(text.as_bytes()) {
            let (before, rest) = (text.get(..at), text.get(at + prefix.len()..));
            let (Some(before), Some(rest)) = (before, rest) else {
                continue;
            };
            let is_within_word = before.ends_with(|c: char| c.is_ascii_alphanumeric());
            // What is behind a later beginning in the same text was seen behind this one.
            if is_within_word || at < done {
                continue;
            }
            let length = rest.find(|c| !is_secret_char(c)).unwrap_or(rest.len());
            let behind = rest.get(..length).unwrap_or_default();
            let has_digit = behind.contains(|c: char| c.is_ascii_digit());
            let is_long = behind.len() >= if prefix.len() >= 6 { 4 } else { 8 };
            let has_border = prefix.ends_with(['_', '-', '.', ':', ',']);
            let is_sure = prefix.len() >= 6 && has_border;
            let is_key = is_long && (is_sure || has_digit) && (has_border || length >= 12);
            done = at + prefix.len() + length;
            if is_key {
                found.push(at..done);
            }
        }
    }
    let mut done = 0;
    for (at, _) in text.match_indices("-----BEGIN ") {
        if at < done {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        done = at + line.len();
        if line.contains("PRIVATE KEY") {
            let end = rest.rfind("-----END").unwrap_or(rest.len());
            done = done.max(at + end);
            found.push(at..done);
        }
    }
}

/// User names and passwords in URLs, and their queries.
pub(super) fn urls(text: &str, found: &mut Vec<Range<usize>>) {
    let is_end = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>".contains(c);
    for (at, sign) in text.match_indices("://") {
        let start = at + sign.len();
        let rest = text.get(start..).unwrap_or_default();
        let url = rest.split(is_end).next().unwrap_or_default();
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        // A password may hold a slash, so the last sign counts.
        let userinfo = url.rfind('@').or(authority.rfind('@'));
        if let Some(end) = userinfo.filter(|end| *end > 0) {
            found.push(start..start + end);
        }
        if let Some(query) = url.find('?').filter(|query| query + 1 < url.len()) {
            found.push(start + query + 1..start + url.len());
        }
    }
}

/// Credentials behind a word of `Authorization`.
pub(super) fn authorizations(text: &str, found: &mut Vec<Range<usize>>) {
    for word in prefixes::AUTHORIZATION {
        for (at, _) in text.match_indices(word) {
            let start = at + word.len();
            let rest = text.get(start..).unwrap_or_default();
            let length = rest.find(|c| !is_secret_char(c)).unwrap_or(rest.len());
            let credential = rest.get(..length).unwrap_or_default();
            let is_word = credential.chars().all(|c| c.is_ascii_lowercase());
            if length >= 8 && !is_word && credential != "TOKEN" {
                found.push(start..start + length);
            }
        }
    }
}

/// The words of a text, made of characters that `is_part` takes.
pub(in crate::key::shape) fn words(
    text: &str,
    is_part: impl Fn(char) -> bool,
) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_part(c) && at < text.len(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.extend(text.get(from..at).map(|word| (from, word)));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The kind of an ASCII letter or digit; `None` for another character.
pub(in crate::key::shape) fn class(c: char) -> Option<u8> {
    match c {
        'a'..='z' => Some(0),
        'A'..='Z' => Some(1),
        '0'..='9' => Some(2),
        _ => None,
    }
}

/// How often two neighbours are of different kinds.
pub(in crate::key::shape) fn changes(word: &str, class: impl Fn(char) -> Option<u8>) -> usize {
    let neighbours = word.chars().zip(word.chars().skip(1));
    neighbours
        .filter(|(a, b)| matches!((class(*a), class(*b)), (Some(a), Some(b)) if a != b))
        .count()
}

/// Long words of which the letters and digits change kind as often as those of random texts do.
pub(super) fn random(text: &str, found: &mut Vec<Range<usize>>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=');
    for (at, word) in words(text, is_part) {
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        if word.len() >= 16 && has_digit && changes(word, class) * 4 >= word.len() {
            found.push(at..at + word.len());
        }
    }
}

/// Names with digits among their letters that are no secrets.
const NAMES: &[&str] = &["x25519", "base64url", "utf8nfkd"];

/// Shorter words with digits among their letters.
pub(super) fn mixed(text: &str, found: &mut Vec<Range<usize>>) {
    let without_case = |c: char| class(c).map(|class| class / 2);
    for (at, word) in words(text, |c| c.is_ascii_alphanumeric()) {
        let is_mixed = word.len() >= 6 && changes(word, without_case) >= 2;
        let is_capital = word.len() < 16 && !word.contains(|c: char| c.is_ascii_lowercase());
        let lower = word.to_ascii_lowercase();
        if is_mixed && !is_duration(word) && !is_capital && !NAMES.contains(&lower.as_str()) {
            // The word may be the middle of a longer text of the same kind.
            let is_part = |c: char| is_secret_char(c) && c != '/' && c != '.';
            let before = text.get(..at).unwrap_or_default();
            let start = before.rfind(|c| !is_part(c)).map_or(0, |last| {
                last + before
                    .get(last..)
                    .and_then(|s| s.chars().next())
                    .map_or(1, char::len_utf8)
            });
            let behind = text.get(at + word.len()..).unwrap_or_default();
            let length = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
            found.push(start..at + word.len() + length);
        }
    }
}

/// `1h30m`: numbers, each with a short unit.
pub(super) fn is_duration(word: &str) -> bool {
    let starts = word.starts_with(|c: char| c.is_ascii_digit());
    let units = word.split(|c: char| c.is_ascii_digit());
    starts
        && units.into_iter().all(|unit| unit.len() <= 3)
        && !word.contains(|c: char| c.is_ascii_uppercase())
        && word.len() <= 12
}
