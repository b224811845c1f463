//! Bodies with something around or within them that was not signed: escapes of HTML or JSON, words
//! of a log, the head of the request, chunk lines, another encoding.
//!
//! A wrapping is a row of [`WRAPPINGS`]: what undoes it gives bodies, and each is tried.

use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::notation::percent;
use crate::scheme::BodyForm;
use crate::wire::chunked;

/// The longest body that is unwrapped as text.
const MAX_BYTES: usize = 4 << 20;

/// A way in which a body is wrapped.
struct Wrapping {
    name: &'static str,
    undo: fn(&[u8]) -> Vec<Vec<u8>>,
    sentence: &'static str,
    fix: &'static str,
}

const KEEP_THE_BYTES: &str = "Capture and pass on the raw bytes of the body, before anything parses, \
                              decodes or prints them.";

const WRAPPINGS: &[Wrapping] = &[
    Wrapping {
        name: "body_is_message",
        undo: |body| {
            let at = memchr::memmem::find(body, b"\r\n\r\n").map(|at| at + 4);
            let at = at.or_else(|| memchr::memmem::find(body, b"\n\n").map(|at| at + 2));
            let rest = at.and_then(|at| body.get(at..));
            rest.map(<[u8]>::to_vec).into_iter().collect()
        },
        sentence: "The body file holds the head of the request too: only what follows the first \
                   blank line was signed.",
        fix: "Give the whole message as `--headers` and leave `--body` out, or cut the head off.",
    },
    Wrapping {
        name: "body_still_chunked",
        undo: |body| chunked::whole(body).into_iter().collect(),
        sentence: "The body still has the chunk lines of `Transfer-Encoding: chunked` in it.",
        fix: "Put the chunks together first: capture the decoded body.",
    },
    Wrapping {
        name: "body_percent_encoded",
        undo: |body| {
            let decoded = |plus| percent::decode(body, plus);
            let [plain, form] = [decoded(false), decoded(true)];
            let without = |text: &Vec<u8>| text.strip_suffix(b"=").map(<[u8]>::to_vec);
            [without(&form), without(&plain), Some(form), Some(plain)]
                .into_iter()
                .flatten()
                .collect()
        },
        sentence: "The body is percent-encoded, as a parser of forms makes it of a body that is no \
                   form; the decoded text was signed.",
        fix: KEEP_THE_BYTES,
    },
    Wrapping {
        name: "body_html_escaped",
        undo: |body| {
            text_of(body)
                .map(|text| entities(text).into_bytes())
                .into_iter()
                .collect()
        },
        sentence: "The body has escapes of HTML in it (`&quot;`), and the plain text was signed.",
        fix: "Capture the bytes, not a page that shows them.",
    },
    Wrapping {
        name: "body_backslashes",
        undo: |body| {
            let inner = |text: &str| serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
            let once = text_of(body).map(str::trim).and_then(inner);
            let twice = once.as_deref().and_then(inner);
            [once, twice]
                .into_iter()
                .flatten()
                .map(String::into_bytes)
                .collect()
        },
        sentence: "The body has backslashes before its quotation marks, as text within a JSON \
                   string has them; without them it was signed.",
        fix: KEEP_THE_BYTES,
    },
    Wrapping {
        name: "body_with_words",
        undo: within,
        sentence: "The body has words or signs around it that were not signed: quotation marks, \
                   the beginning of a log line, a code fence.",
        fix: "Keep the body alone in its file.",
    },
    Wrapping {
        name: "body_in_hex",
        undo: |body| hex::decode(body.trim_ascii()).into_iter().collect(),
        sentence: "The body is written in hexadecimal digits, and its bytes were signed.",
        fix: KEEP_THE_BYTES,
    },
    Wrapping {
        name: "body_base64_wrapped",
        undo: |body| {
            let text = text_of(body).unwrap_or_default();
            let text = text.rsplit_once("base64,").map_or(text, |(_, data)| data);
            let bare: String = text
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\''))
                .collect();
            let once = any_base64(bare.as_bytes());
            let twice = once.as_deref().and_then(any_base64);
            let unpacked = once
                .as_deref()
                .and_then(|bytes| BodyForm::Inflated.apply(bytes, MAX_BYTES));
            let unpacked = unpacked.map(std::borrow::Cow::into_owned);
            [once.clone(), twice, unpacked]
                .into_iter()
                .flatten()
                .collect()
        },
        sentence: "The body is base64 (in lines, in a `data:` URL, twice, or around packed bytes), \
                   and its decoded bytes were signed.",
        fix: "Decode the body first; serverless platforms hand bodies over in base64 \
              (`isBase64Encoded`).",
    },
    Wrapping {
        name: "body_utf16",
        undo: |body| utf16(body).into_iter().collect(),
        sentence: "The body is UTF-16, and its text in UTF-8 was signed.",
        fix: "Write the bytes as they came: PowerShell's `>` and some editors write UTF-16.",
    },
    Wrapping {
        name: "body_edges",
        undo: |body| {
            let is_edge = |b: &u8| b.is_ascii_whitespace() || *b == 0;
            let from = body.iter().position(|b| !is_edge(b)).unwrap_or(0);
            let to = body
                .iter()
                .rposition(|b| !is_edge(b))
                .map_or(0, |at| at + 1);
            let inner = body.get(from..to).unwrap_or_default().to_vec();
            vec![[&inner[..], b"\n"].concat(), inner]
        },
        sentence: "The body has white space or zero bytes at its start or end that were not \
                   signed.",
        fix: "Pass on and store the body byte for byte.",
    },
    Wrapping {
        name: "body_doubled",
        undo: |body| {
            let halves = body
                .split_at_checked(body.len() / 2)
                .filter(|(a, b)| a == b);
            halves.map(|(half, _)| half.to_vec()).into_iter().collect()
        },
        sentence: "The body is there twice in a row.",
        fix: "Write the body once: something appended it to what was there.",
    },
    Wrapping {
        name: "body_quotes_typeset",
        undo: |body| {
            let plain = text_of(body).map(|text| {
                text.replace(['“', '”', '„'], "\"")
                    .replace(['‘', '’'], "'")
                    .replace('\u{a0}', " ")
            });
            plain.map(String::into_bytes).into_iter().collect()
        },
        sentence: "The body has typographic quotation marks or spaces that a chat or a text editor \
                   put in; with plain ones it was signed.",
        fix: "Copy the body from its source as a file, not through a text editor or a chat.",
    },
    Wrapping {
        name: "body_charset_windows",
        undo: |body| text_of(body).into_iter().flat_map(mojibake).collect(),
        sentence: "The text of the body was read as Windows-1252 or ISO 8859-1 and written as \
                   UTF-8 (or twice so) after it was signed.",
        fix: "Pass on and store the body as bytes, never as text.",
    },
];

/// The signed body is within the received body.
pub(super) fn undone(case: &Trials<'_>) -> Option<Finding> {
    if case.body.is_empty() || case.body.len() > MAX_BYTES || case.scheme.is_credential() {
        return None;
    }
    WRAPPINGS.iter().find_map(|wrapping| {
        (wrapping.undo)(case.body)
            .into_iter()
            .filter(|body| body != case.body)
            .find_map(|body| {
                found(case.with_body(&body), || {
                    Mistake::new(wrapping.name, wrapping.sentence, wrapping.fix)
                })
            })
    })
}

fn text_of(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok()
}

/// The texts that a text with escapes of JSON, HTML or percent signs may have been.
pub(super) fn unescaped(text: &str) -> Vec<String> {
    let of_json = serde_json::from_str::<String>(&format!("\"{}\"", text.trim_matches('"'))).ok();
    let slashes = text.replace("\\/", "/");
    [of_json, Some(entities(text)), Some(slashes)]
        .into_iter()
        .flatten()
        .collect()
}

/// The text with the usual entities of HTML decoded.
fn entities(text: &str) -> String {
    const NAMED: [(&str, &str); 12] = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x22;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#61;", "="),
        ("&#x3D;", "="),
        ("&#43;", "+"),
        ("&#x2F;", "/"),
    ];
    let plain = NAMED.iter().fold(text.to_owned(), |text, (name, sign)| {
        text.replace(name, sign)
    });
    plain.replace("&amp;", "&")
}

/// What lies between quotation marks, or between the first and the last bracket.
fn within(body: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let trimmed = body.trim_ascii();
    for mark in [&b"'"[..], b"`", b"\"", b"'''", b"\"\"\"", b"```"] {
        let inner = trimmed
            .strip_prefix(mark)
            .and_then(|rest| rest.strip_suffix(mark));
        bodies.extend(inner.map(<[u8]>::to_vec));
        bodies.extend(inner.map(|inner| inner.trim_ascii().to_vec()));
    }
    for (open, close) in [(b'{', b'}'), (b'[', b']')] {
        let from = memchr::memchr(open, body);
        let to = memchr::memrchr(close, body);
        let inner = from.zip(to).and_then(|(from, to)| body.get(from..=to));
        bodies.extend(inner.map(<[u8]>::to_vec));
    }
    // `body={…}` and `body: …` before a form or a text.
    let at = body.iter().take(24).position(|b| matches!(b, b'=' | b':'));
    let behind = at.and_then(|at| body.get(at + 1..));
    bodies.extend(behind.map(|text| text.trim_ascii().to_vec()));
    bodies
}

fn utf16(body: &[u8]) -> Option<Vec<u8>> {
    let read = |is_big: bool, bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|pair| match pair {
            [a, b] if is_big => u16::from_be_bytes([*a, *b]),
            [a, b] => u16::from_le_bytes([*a, *b]),
            _ => 0,
        });
        String::from_utf16(&units.collect::<Vec<_>>())
            .ok()
            .map(String::into_bytes)
    };
    match body {
        [0xFF, 0xFE, rest @ ..] => read(false, rest),
        [0xFE, 0xFF, rest @ ..] => read(true, rest),
        [0, b, ..] if *b != 0 => read(true, body),
        [b, 0, ..] if *b != 0 => read(false, body),
        _ => None,
    }
}

/// The byte that a character stands for in Windows-1252.
fn windows_1252(c: char) -> Option<u8> {
    const HIGH: [(char, u8); 27] = [
        ('€', 0x80),
        ('‚', 0x82),
        ('ƒ', 0x83),
        ('„', 0x84),
        ('…', 0x85),
        ('†', 0x86),
        ('‡', 0x87),
        ('ˆ', 0x88),
        ('‰', 0x89),
        ('Š', 0x8A),
        ('‹', 0x8B),
        ('Œ', 0x8C),
        ('Ž', 0x8E),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('•', 0x95),
        ('–', 0x96),
        ('—', 0x97),
        ('˜', 0x98),
        ('™', 0x99),
        ('š', 0x9A),
        ('›', 0x9B),
        ('œ', 0x9C),
        ('ž', 0x9E),
        ('Ÿ', 0x9F),
    ];
    HIGH.iter()
        .find_map(|(known, byte)| (*known == c).then_some(*byte))
        .or_else(|| u8::try_from(c).ok())
}

/// The bytes of a text that was decoded as Windows-1252, once or twice.
fn mojibake(text: &str) -> Vec<Vec<u8>> {
    if text.is_ascii() {
        return Vec::new();
    }
    let once: Option<Vec<u8>> = text.chars().map(windows_1252).collect();
    let twice = once
        .as_deref()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().map(windows_1252).collect());
    [once, twice].into_iter().flatten().collect()
}
