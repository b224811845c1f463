//! What is hidden of URLs: user names and passwords, and the values of parameters in the query, the
//! fragment and the path. A path alone (`X-Original-Uri`) counts as a URL, too.

use std::ops::Range;

use super::quotes::pieces;
use super::words::is_plain_name;

/// The ranges of a text that are hidden for their place in a URL.
pub(super) fn hidden(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, piece) in pieces(text) {
        parts(piece, at, &mut found);
    }
    found
}

/// The ranges that are hidden of a text that is a single URL.
pub(super) fn hidden_of_url(url: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    parts(url, 0, &mut found);
    found
}

/// Hides what is hidden of `url`, which begins at `at`.
fn parts(url: &str, at: usize, found: &mut Vec<Range<usize>>) {
    let end = query(url, at, found);
    let base = url.get(..end).unwrap_or_default();
    user(base, at, found);
    parameters_of_path(base, at, found);
}

/// Hides the values of the query and of the fragment of `url`, which begins at `at`. Returns where
/// the query begins, or the length of the URL.
fn query(url: &str, at: usize, found: &mut Vec<Range<usize>>) -> usize {
    let escaped = url.to_ascii_lowercase().find("%3f");
    let begin = match (url.find('?'), escaped) {
        (Some(query), escaped) if escaped.is_none_or(|escaped| query < escaped) => query,
        // The URL is a value within another one, and its marks are escaped.
        (_, Some(escaped)) => {
            let rest = escaped + 3;
            if rest < url.len() {
                found.push(at + rest..at + url.len());
            }
            return escaped;
        }
        (_, None) => match url.find('#') {
            Some(fragment) if url.get(fragment..).is_some_and(|text| text.contains('=')) => {
                fragment
            }
            _ => return url.len(),
        },
    };
    let mut start = begin + 1;
    for pair in url.get(start..).unwrap_or_default().split(['&', ';']) {
        let value = pair.find('=').map(|sign| sign + 1);
        let is_named = pair.split('=').next().is_some_and(is_plain_name);
        let from = value.filter(|_| is_named).unwrap_or(0);
        if from < pair.len() {
            found.push(at + start + from..at + start + pair.len());
        }
        start += pair.len() + 1;
    }
    begin
}

/// Hides the user name and the password in front of a host.
fn user(base: &str, at: usize, found: &mut Vec<Range<usize>>) {
    let scheme = base.find("://").map(|sign| sign + 3);
    // In a path a segment may look like a user with a password.
    let is_path = base.starts_with('/');
    let segment = base.rfind('@').filter(|_| is_path).and_then(|end| {
        let before = base.get(..end)?;
        Some(before.rfind('/')? + 1)
    });
    let start = scheme.or(segment);
    let rest = base.get(start.unwrap_or(0)..).unwrap_or_default();
    let Some(end) = rest.rfind('@').filter(|end| *end > 0) else {
        return;
    };
    let before = rest.get(..end).unwrap_or_default();
    let is_in_authority = scheme.is_some() && !before.contains('/');
    // A password may hold a slash. A path may hold the sign without a user, and an e-mail address
    // does.
    let has_password = before.contains(':') && !before.starts_with("mailto:");
    if is_in_authority || has_password {
        let from = start.unwrap_or(0);
        found.push(at + from..at + from + end);
    }
}

/// Hides the values of `;name=value` in the path of a URL.
fn parameters_of_path(base: &str, at: usize, found: &mut Vec<Range<usize>>) {
    if !(base.contains("://") || base.starts_with('/')) {
        return;
    }
    let mut start = 0;
    for part in base.split_inclusive([';', '/', ',']) {
        let is_parameter = base
            .get(..start)
            .is_some_and(|before| before.ends_with(';'));
        let own = part.trim_end_matches([';', '/', ',']);
        let value = own.find('=').map(|sign| sign + 1);
        if let Some(value) = value.filter(|value| is_parameter && *value < own.len()) {
            found.push(at + start + value..at + start + own.len());
        }
        start += part.len();
    }
}
