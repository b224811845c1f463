//! Takes secrets out of the text that is shown with problems (contract: Secrets; CF-01): whatever
//! is wrong with a file, no literal secret of it reaches a terminal, a log or the admin port.
//!
//! Three rules. Where the reader finds a value under a secret-bearing or an unknown key, the value is
//! hidden. Where the file has syntax errors, its tree cannot be trusted, and a line is shown only
//! if it plainly belongs to a key that holds no secret. Comments, and everything that could be a
//! secret by its look, are hidden wherever they are.

use std::ops::Range;

use crate::key::shape::{MASK, Suspicion, is_plain_path, suspects};

/// Keys whose line may be shown even where the tree cannot be trusted.
const HARMLESS: &[&str] = &[
    "accept_terms",
    "account",
    "ack",
    "algorithm",
    "answer",
    "balance",
    "body",
    "body_timeout",
    "ca",
    "capacity",
    "certificate",
    "certificates",
    "challenge",
    "client_ca",
    "code",
    "concurrency",
    "contact",
    "covers_body",
    "dead_on",
    "default",
    "dir",
    "drop",
    "encoding",
    "enforce",
    "event_id",
    "event_type",
    "event_types",
    "events_repeat",
    "future_tolerance",
    "handshake",
    "head_timeout",
    "header",
    "health",
    "health_path",
    "host",
    "hosts",
    "idle_timeout",
    "interval",
    "keep_dead",
    "keep_free",
    "listen",
    "max_age",
    "max_body",
    "max_buffered",
    "max_bytes",
    "max_connections",
    "max_deliveries",
    "max_head",
    "max_headers",
    "methods",
    "min_version",
    "mode",
    "name",
    "names",
    "on_conflict",
    "on_duplicate",
    "on_error",
    "on_replay",
    "order_by",
    "path",
    "provider",
    "rate",
    "refuse_older_than_start",
    "replay",
    "retry",
    "server_name",
    "shutdown_delay",
    "shutdown_grace",
    "signature",
    "signed",
    "store",
    "threads",
    "timeout",
    "timestamp",
    "tolerance",
    "trusted_proxies",
    "ttl",
    "unit",
    "upgrade_socket",
    "upstream_host",
    "upstream_path",
    "upstream_timeout",
    "upstream_tls",
    "watch",
    "weight",
    "write_timeout",
];

/// Keys that may be named beside a hidden value.
const SECRET_BEARING: &[&str] = &[
    "previous",
    "secret",
    "secrets",
    "token",
    "value",
    "upstream_headers",
    "upstream",
    "upstreams",
    "url",
    "public_url",
    "verify_token",
    "keys",
];

/// Keys of which every value is hidden that is not a reference to a secret.
const HOLDING_SECRETS: &[&str] = &[
    "previous",
    "secret",
    "secrets",
    "token",
    "value",
    "upstream_headers",
    "verify_token",
    "keys",
];

/// Keys whose values are names: of files, hosts, addresses, versions. Digits among their letters are
/// usual, so only what looks like a secret in any place is hidden.
const NAMES: &[&str] = &[
    "ca",
    "certificate",
    "client_ca",
    "contact",
    "default",
    "dir",
    "directory",
    "host",
    "listen",
    "min_version",
    "names",
    "server_name",
    "upgrade_socket",
    "upstream",
    "upstream_host",
    "upstream_path",
    "url",
];

/// The forms of a reference that names where a secret is.
pub(super) const REFERENCES: [&str; 4] = ["env:", "file:", "cred:", "learn:"];

/// Words that make any line suspect, whatever its key: an inline table, or several keys on a line,
/// can be judged by the tree only.
const SUSPECT: &[&str] = &[
    "secret",
    "token",
    "value",
    "upstream_headers",
    "plain:",
    "://",
];

/// A file's text with its secrets masked, and the way from its bytes to those of the file.
#[derive(Debug)]
pub(super) struct Masked {
    /// The text to show.
    pub(super) text: String,
    // The hidden ranges, in order and without overlaps, each with the place of its mask in `text`.
    hidden: Vec<(Range<usize>, usize)>,
}

impl Masked {
    /// Hides these ranges of `text`. `whole_lines` is for a file with syntax errors: each line is
    /// then judged by itself as well.
    pub(super) fn new(text: &str, mut ranges: Vec<Range<usize>>, whole_lines: bool) -> Self {
        if whole_lines {
            let mut start = 0;
            for line in text.split_inclusive('\n') {
                let content = line.trim_end_matches(['\n', '\r']);
                ranges.extend(unsafe_part(content).map(|from| start + from..start + content.len()));
                start += line.len();
            }
        }
        ranges.extend(comments(text));
        let suspects = suspects(text, Suspicion::Strict).into_iter();
        ranges.extend(suspects.filter(|range| !is_in_path(text, range)));
        ranges.retain(|range| range.start < range.end && text.get(range.clone()).is_some());
        ranges.sort_by_key(|range| range.start);

        let mut masked = Self {
            text: String::with_capacity(text.len()),
            hidden: Vec::new(),
        };
        let mut done = 0;
        for range in ranges {
            if range.start < done {
                // This range begins inside the range before it, so that range's mask covers both.
                done = done.max(range.end);
                if let Some((last, _)) = masked.hidden.last_mut() {
                    last.end = last.end.max(range.end);
                }
                continue;
            }
            masked
                .text
                .push_str(text.get(done..range.start).unwrap_or_default());
            masked.hidden.push((range.clone(), masked.text.len()));
            masked.text.push_str(MASK);
            done = range.end;
        }
        masked.text.push_str(text.get(done..).unwrap_or_default());
        masked
    }

    /// The range of the masked text that shows `span` of the file. A span that begins or ends
    /// inside a hidden range takes the whole mask.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        let (start, end) = (self.moved(span.start, false), self.moved(span.end, true));
        start..end.max(start)
    }

    fn moved(&self, offset: usize, is_end: bool) -> usize {
        let at = self
            .hidden
            .partition_point(|(range, _)| range.start <= offset);
        let Some((range, mask)) = at.checked_sub(1).and_then(|at| self.hidden.get(at)) else {
            return offset;
        };
        if offset >= range.end {
            mask + MASK.len() + (offset - range.end)
        } else if is_end && offset > range.start {
            mask + MASK.len()
        } else {
            *mask
        }
    }
}

/// The comments of a text, each without its sign. A sign in a text of several lines counts too.
fn comments(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let mut quote = None;
        let mut is_escaped = false;
        for (at, c) in content.char_indices() {
            match (quote, c) {
                _ if is_escaped => is_escaped = false,
                (Some('"'), '\\') => is_escaped = true,
                (Some(open), _) if open == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '#') => {
                    let first = at + 1;
                    let is_blank = content
                        .get(first..)
                        .is_none_or(|rest| rest.trim().is_empty());
                    if !is_blank {
                        found.push(start + first..start + content.len());
                    }
                    break;
                }
                _ => {}
            }
        }
        start += line.len();
    }
    found
}

/// Whether a range is within a reference in quotation marks that plainly names a file.
fn is_in_path(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).unwrap_or_default();
    let Some(open) = before.rfind(['"', '\'', '\n']) else {
        return false;
    };
    let inner = text.get(open + 1..).unwrap_or_default();
    let inner = inner.split(['"', '\'', '\n']).next().unwrap_or_default();
    let names = REFERENCES
        .iter()
        .filter_map(|form| inner.strip_prefix(form));
    range.end <= open + 1 + inner.len() && names.into_iter().any(is_plain_path)
}

/// Whether the values of a key are secrets.
pub(super) fn holds_secrets(key: &str) -> bool {
    HOLDING_SECRETS.contains(&key)
}

/// Whether the values of a key, by its whole path, are names rather than secrets.
pub(super) fn names_no_secret(path: &str) -> bool {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    // The file of a private key; elsewhere `key` is something else.
    let is_file = key == "key" && (table.contains(".tls") || table.contains("_tls"));
    is_file || NAMES.contains(&key)
}

/// Whether a key is known to hold no secret.
pub(super) fn is_harmless_key(key: &str) -> bool {
    HARMLESS.contains(&key)
}

/// The key of a line, as far as it is a key that may be named beside a hidden value.
pub(super) fn known_key(line: &str) -> Option<&'static str> {
    let word = line
        .trim()
        .split(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
    let last = word.into_iter().next()?.rsplit('.').next()?;
    let known = HARMLESS.iter().chain(SECRET_BEARING);
    known.copied().find(|known| *known == last)
}

/// Whether a line plainly holds no secret, so that it is shown even where the tree cannot be
/// trusted.
pub(super) fn is_harmless(line: &str) -> bool {
    unsafe_part(line).is_none() && suspects(line, Suspicion::Strict).is_empty()
}

/// The place on a line from which it may hold a secret; `None` where it plainly holds no secret.
fn unsafe_part(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    let content = line.trim();
    if content.is_empty() || is_header(content) {
        return None;
    }
    let (key, assigned) = content
        .split_once('=')
        .map_or((content, None), |(key, _)| (key, Some(key.len() + 1)));
    let word = key
        .split(|c: char| c == '.' || c.is_whitespace())
        .find(|word| !word.is_empty())
        .unwrap_or_default();
    let last = key.trim_end().rsplit('.').next().unwrap_or_default().trim();
    let lower = content.to_ascii_lowercase();
    let is_suspect = SUSPECT.iter().any(|word| lower.contains(word));
    if !is_suspect && HARMLESS.contains(&if assigned.is_some() { last } else { word }) {
        return None;
    }
    let names_key = SECRET_BEARING.contains(&last) || HARMLESS.contains(&last);
    Some(indent + assigned.filter(|_| names_key).unwrap_or(0))
}

/// `[table]` or `[[table]]`. With a comment behind it the line does not count, since the comment
/// may hold anything.
fn is_header(line: &str) -> bool {
    let inner = line
        .strip_prefix("[[")
        .and_then(|rest| rest.strip_suffix("]]"));
    let inner = inner.or_else(|| {
        line.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
    });
    let is_table = |name: &str| ["server", "admin", "replay", "state", "route"].contains(&name);
    inner.is_some_and(|name| {
        is_table(name.split('.').next().unwrap_or_default())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"_.-".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_ranges_become_one_mask_each_and_spans_follow() {
        let text = "a = \"hunter2\", b = 1";
        let masked = Masked::new(text, vec![4..13, 5..9], false);
        assert_eq!(masked.text, "a = ********, b = 1");
        let shown = |span: Range<usize>| masked.text.get(masked.span(&span)).unwrap();
        assert_eq!(shown(0..1), "a");
        assert_eq!(shown(4..13), "********");
        assert_eq!(shown(6..8), "********");
        assert_eq!(shown(15..16), "b");
        assert_eq!(shown(0..20), masked.text);
    }

    #[test]
    fn a_mask_tells_no_length() {
        let short = Masked::new("a = 1", vec![4..5, 9..12], false);
        let long = Masked::new("a = 1234567890123", vec![4..17, 3..3], false);
        assert_eq!(short.text, long.text);
    }

    #[test]
    fn a_line_of_a_broken_file_is_shown_only_if_it_is_plainly_harmless() {
        let rows = [
            ("threads = ", "threads = "),
            (
                "  listen = [\"127.0.0.1:80\"",
                "  listen = [\"127.0.0.1:80\"",
            ),
            ("threads 4", "threads 4"),
            ("[server]", "[server]"),
            ("[[route]]", "[[route]]"),
            ("[route.scheme]", "[route.scheme]"),
            ("[state]", "[state]"),
            ("client_ca = \"ca.crt", "client_ca = \"ca.crt"),
            ("health = { path = \"/a\"", "health = { path = \"/a\""),
            ("[route", "********"),
            ("", ""),
            ("secrets = [\"hunter2\"", "secrets =********"),
            ("route.secrets=hunter2", "route.secrets=********"),
            ("admin.token = hunter2", "admin.token =********"),
            ("verify_token = \"hunter2", "verify_token =********"),
            (
                "handshake = { verify_token = \"hunter2 }",
                "handshake =********",
            ),
            ("mode = \"answer", "mode = \"answer"),
            ("key = \"hunter2", "********"),
            ("  \"hunter2\",", "  ********"),
            ("  aHVudGVyMg==,", "  ********"),
            ("hunter2", "********"),
            ("[hunter2]", "********"),
            ("  { name = \"a\", value = \"hunter2 },", "  ********"),
            ("name = \"a\", value = \"hunter2", "name =********"),
            ("sekrets = \"hunter2", "********"),
            ("path = \"plain:hunter2", "path =********"),
            ("upstream = \"http://u:hunter2@h", "upstream =********"),
            ("name = \"a\" # secret: hunter2", "name =********"),
        ];
        let mut wrong = Vec::new();
        for (line, expected) in rows {
            let masked = Masked::new(line, Vec::new(), true);
            if masked.text != expected {
                wrong.push((line, masked.text));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
