//! Headers as a log shows them: a time, a level, the name of a container or a sign before each
//! line, or a printed map behind a few words.
//!
//! Such a text is looked at only where it is no plain list of headers: where no line is a header, or
//! where each name that was read is the beginning of a log's line.

use super::{Message, lines, printed as maps};

/// The signs that may be directly before a header's name.
const SIGNS: &[char] = &[':', '|', '>', ']', '"', '\'', '`', '=', '('];

/// Words that may be before the name with a colon of their own.
const WORDS: &[&str] = &[
    "trace", "debug", "info", "notice", "warn", "warning", "error", "fatal", "log", "header",
    "headers", "request", "req", "message", "msg", "root", "incoming", "received",
];

/// Whether what was read as headers are the beginnings of a log's lines.
pub(super) fn is_log(message: &Message) -> bool {
    let is_beginning = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        name.starts_with(|c: char| !c.is_ascii_alphabetic())
            || name.contains(|c: char| c.is_whitespace() || c == '=')
            || WORDS.contains(&name.to_ascii_lowercase().as_str())
    };
    // The name of a container before each line, as in `web: Host: a`.
    let is_shared = message.fields.len() > 1
        && message.fields.iter().all(|(name, value)| {
            let is_first = message
                .fields
                .first()
                .is_some_and(|(first, _)| first == name);
            is_first && memchr::memmem::find(value, b": ").is_some()
        });
    let mut names = message.fields.iter().map(|(name, _)| name);
    // A text that begins with a request line is a message as it was sent.
    let is_method = |method: &str| method.bytes().all(|b| b.is_ascii_alphabetic());
    let is_message = message.method.as_deref().is_some_and(is_method);
    !is_message && (is_shared || names.all(|name| is_beginning(name)))
}

/// The headers in a text of a log; `None` where it is none.
pub(super) fn read(text: &str, has_body: bool) -> Option<Message> {
    let map = printed(text).and_then(|inner| maps::read(&inner));
    map.or_else(|| lines::read(undone(text)?.as_bytes(), has_body).ok())
}

/// The header lines of a log, without what its program put before each; `None` if some line does
/// not begin as lines of logs do.
fn undone(text: &str) -> Option<String> {
    let plain = without_colours(text);
    let lines: Vec<&str> = plain
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    // These have readers of their own.
    if lines.iter().any(|line| line.starts_with("> ")) || text.contains("http header: \"") {
        return None;
    }
    let found: Vec<Vec<(usize, usize)>> = lines.iter().map(|line| names(line)).collect();
    let with_names = || {
        lines
            .iter()
            .zip(&found)
            .filter(|(_, names)| !names.is_empty())
    };
    let count = with_names().count();
    // A word with a colon that begins each line (`node: X-Name: value`) is no header.
    let first_of = |line: &str, names: &[(usize, usize)]| {
        let (from, to) = names.first().copied()?;
        line.get(from..to).map(str::to_owned)
    };
    let mut firsts = with_names().map(|(line, names)| first_of(line, names));
    let first = firsts.next()?;
    let is_shared = count > 1 && firsts.all(|other| other == first);
    let mut out = String::new();
    for (line, names) in lines.iter().zip(&found) {
        if let Some(request) = request_line(line) {
            out = format!("{request}\n{out}");
            continue;
        }
        let skipped = usize::from(is_shared && names.len() > 1);
        let known = |(from, to): &&(usize, usize)| {
            let word = line.get(*from..*to).unwrap_or_default();
            WORDS.contains(&word.to_ascii_lowercase().as_str())
        };
        let mut rest = names.get(skipped..).unwrap_or_default();
        while let [name, _, ..] = rest
            && known(&name)
        {
            rest = rest.get(1..).unwrap_or_default();
        }
        let Some((from, to)) = rest.first().copied() else {
            is_of_log(line).then_some(())?;
            continue;
        };
        let before = line.get(..from)?;
        if !is_of_log(before) && skipped == 0 {
            return None;
        }
        let value = line.get(to + 1..)?.trim();
        let mark = before.chars().next_back();
        let value = mark
            .filter(|mark| matches!(mark, '"' | '\'' | '`'))
            .and_then(|mark| value.strip_suffix(mark))
            .unwrap_or(value);
        out.extend([line.get(from..to)?, ": ", value, "\n"]);
    }
    (count > 0 && out.contains(": ")).then_some(out)
}

/// The places of the words of a line that could be a header's name with its colon, up to the first
/// that is followed by something else than such a word.
fn names(line: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    for word in line.split_inclusive(char::is_whitespace) {
        let start = at;
        at += word.len();
        let Some(bare) = word.trim_end().strip_suffix(':') else {
            if found.is_empty() {
                continue;
            }
            break;
        };
        let from = bare.rfind(SIGNS).map_or(0, |sign| sign + 1);
        let name = bare.get(from..).unwrap_or_default();
        let is_name = name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if is_name {
            found.push((start + from, start + from + name.len()));
        }
    }
    found
}

/// Whether a text looks like the beginning of a log's line: a time, a level, a name in brackets, a
/// bar or another sign.
fn is_of_log(before: &str) -> bool {
    let is_word = |word: &str| WORDS.contains(&word.to_ascii_lowercase().as_str());
    before.starts_with(|c: char| c.is_ascii_digit() || "[|<>*#(`\"'".contains(c))
        || before.starts_with('\u{2022}')
        || before.contains('|')
        || before.contains("]:")
        || before
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(is_word)
        || before.split_whitespace().any(is_time)
}

/// `10:00:00`, as syslog has it behind the date.
fn is_time(word: &str) -> bool {
    word.len() >= 8
        && word.bytes().take(8).enumerate().all(|(place, byte)| {
            if matches!(place, 2 | 5) {
                byte == b':'
            } else {
                byte.is_ascii_digit()
            }
        })
}

/// The request line in a line of a log.
fn request_line(line: &str) -> Option<&str> {
    let at = ["POST /", "PUT /", "GET /", "PATCH /"]
        .iter()
        .find_map(|begin| line.find(begin))?;
    let request = line.get(at..)?.trim_end_matches(['"', '\'', '`']);
    let (_, version) = request.rsplit_once(' ')?;
    version.starts_with("HTTP/").then_some(request)
}

/// The text without the sequences that colour a terminal.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let rest = part.split_once('m').map_or(part, |(_, rest)| rest);
        out + rest
    })
}

/// A printed map, list or object behind a few words, as in `INFO headers: map[…]`, or the pairs of
/// a hash without the braces around them.
fn printed(text: &str) -> Option<String> {
    if let Some(at) = text.find("map[").filter(|_| text.contains(":[")) {
        let inner = text.get(at..)?;
        let end = inner.find("]]").map_or(inner.len(), |end| end + 2);
        return inner.get(..end).map(str::to_owned);
    }
    let is_bare = |begin: &str, sign: &str| text.starts_with(begin) && text.contains(sign);
    let is_pairs = is_bare("\"", "\"=>\"") || is_bare("\"", "\" => \"") || is_bare("('", "', '");
    if is_pairs || is_bare("(\"", "\", \"") || is_bare("(b'", "', b'") {
        return Some(format!("{{{text}}}"));
    }
    let at = text.find(['{', '['])?;
    let (before, inner) = text.split_at_checked(at)?;
    let inner = inner.trim_end();
    // A header whose value is JSON has its name alone before it.
    let word = before.trim().trim_end_matches([':', '=']);
    let last = word.rsplit(':').next().unwrap_or_default().to_lowercase();
    let is_words = word.contains(char::is_whitespace) || WORDS.contains(&last.as_str());
    let is_map = ["{'", "{\"", "[('", "[(\"", "[(b'", "{ '", "{ \""]
        .iter()
        .any(|begin| inner.starts_with(begin));
    (is_words && is_map && inner.ends_with(['}', ']'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Message;

    /// The signature's header as logs show it.
    const LOGGED: &[&str] = &[
        "2024-01-01T10:00:00Z INFO  X-Sig: sha256=ab, t=1:2",
        "2024-01-01 10:00:00,123 DEBUG app X-Sig: sha256=ab, t=1:2",
        "2024-01-01T10:00:00.123456789Z stdout F X-Sig: sha256=ab, t=1:2",
        "2024/01/01 10:00:00 X-Sig: sha256=ab, t=1:2",
        "10:00:00.000 [main] INFO  c.e.App - X-Sig: sha256=ab, t=1:2",
        "Jan  1 10:00:00 host app[123]: X-Sig: sha256=ab, t=1:2",
        "2024-01-01T00:00:00.000000+00:00 app[web.1]: X-Sig: sha256=ab, t=1:2",
        "I0101 10:00:00.000000       1 main.go:12] X-Sig: sha256=ab, t=1:2",
        "[node] X-Sig: sha256=ab, t=1:2",
        "[2024-01-01 10:00:00] local.INFO: X-Sig: sha256=ab, t=1:2",
        "[pod/app-7d9f/app] X-Sig: sha256=ab, t=1:2",
        "|  X-Sig: sha256=ab, t=1:2",
        "web-1  | X-Sig: sha256=ab, t=1:2",
        "\u{1b}[36mweb_1  |\u{1b}[0m X-Sig: sha256=ab, t=1:2",
        "* X-Sig: sha256=ab, t=1:2",
        "> X-Sig: sha256=ab, t=1:2",
        "INFO:root:X-Sig: sha256=ab, t=1:2",
        "INFO: X-Sig: sha256=ab, t=1:2",
        "DEBUG header: X-Sig: sha256=ab, t=1:2",
        "time=2024-01-01T10:00:00Z level=info msg=\"X-Sig: sha256=ab, t=1:2\"",
        "12:X-Sig: sha256=ab, t=1:2",
        "`X-Sig: sha256=ab, t=1:2`",
        "('X-Sig', 'sha256=ab, t=1:2')",
        "[('X-Sig', 'sha256=ab, t=1:2')]",
        "INFO:root:[('X-Sig', 'sha256=ab, t=1:2')]",
        "2024-01-01 10:00:00 INFO headers: {'X-Sig': 'sha256=ab, t=1:2'}",
        "Headers: {\"X-Sig\":\"sha256=ab, t=1:2\"}",
        "2024/01/01 10:00:00 map[X-Sig:[sha256=ab, t=1:2]]",
        "&{Method:POST URL:/x Header:map[X-Sig:[sha256=ab, t=1:2]] Body:0xc000}",
        "\"HTTP_X_SIG\"=>\"sha256=ab, t=1:2\"",
        "\"HTTP_X_SIG\" => \"sha256=ab, t=1:2\",",
        "{\"HTTP_X_SIG\"=>\"sha256=ab, t=1:2\"}",
    ];

    fn shown(text: &str) -> Vec<String> {
        let read = Message::read(text.as_bytes(), true);
        let fields = read.map(|message| message.fields).unwrap_or_default();
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
            format!("{name}: {}", String::from_utf8_lossy(value).trim())
        };
        fields.iter().map(line).collect()
    }

    #[test]
    fn what_a_log_puts_before_a_header_is_left_out() {
        let wrong: Vec<_> = LOGGED
            .iter()
            .map(|text| (text, shown(text)))
            .filter(|(_, fields)| fields[..] != ["x-sig: sha256=ab, t=1:2"])
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn several_lines_of_a_log_are_headers_and_the_others_are_left_out() {
        let rows = [
            "2024-01-01T10:00:00Z INFO request received\n2024-01-01T10:00:01Z INFO Host: a\n2024-01-01T10:00:01Z INFO X-Sig: 1\n",
            "node: Host: a\nnode: X-Sig: 1\n",
            "web-1  | POST /x HTTP/1.1\nweb-1  | Host: a\nweb-1  | X-Sig: 1\n",
            "('Host', 'a')\n('X-Sig', '1')\n",
            "('Host', 'a'),\n('X-Sig', '1'),\n",
        ];
        for text in rows {
            assert_eq!(shown(text), ["host: a", "x-sig: 1"], "{text}");
        }
    }

    #[test]
    fn headers_without_anything_before_them_stay_as_they_are() {
        let rows = [
            ("X-Data: {\"a\":\"b\"}", "x-data: {\"a\":\"b\"}"),
            ("X-List: [\"a\"]", "x-list: [\"a\"]"),
            (
                "X-Time: 2024-01-01T10:00:00Z INFO: x",
                "x-time: 2024-01-01T10:00:00Z INFO: x",
            ),
            ("Info: a: b", "info: a: b"),
            ("X-Map: map[a:[b]] c", "x-map: map[a:[b]] c"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), [expected], "{text}");
        }
    }
}
