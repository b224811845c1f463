//! Mistakes made with the body: changes to it between the signing and the judgement.
//!
//! Bodies that are forms (`application/x-www-form-urlencoded`) are in `form`.

use unicode_normalization::UnicodeNormalization as _;

use super::documents;
use super::json;
use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::scheme::BodyForm;
use crate::wire::head::{FieldName, Found, Framing};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes that gzip begins with (RFC 1952 section 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";

pub(super) fn surplus_newline(case: &Trials<'_>) -> Option<Finding> {
    let end = case
        .body
        .iter()
        .rposition(|b| !matches!(b, b'\r' | b'\n'))
        .map_or(0, |last| last + 1);
    let one = case.body.strip_suffix(b"\n")?;
    let one = one.strip_suffix(b"\r").unwrap_or(one);
    let all = case.body.get(..end).unwrap_or_default();
    found(case.with_body(one).or_else(|| case.with_body(all)), || {
        Mistake::new(
            "body_gained_newline",
            "The body ends in a newline that was not signed.",
            "Pass on and store the body byte for byte; an editor or `echo` adds a newline.",
        )
    })
}

pub(super) fn lost_newline(case: &Trials<'_>) -> Option<Finding> {
    let with = |end: &[u8]| case.with_body(&[case.body, end].concat());
    found(with(b"\n").or_else(|| with(b"\r\n")), || {
        Mistake::new(
            "body_lost_newline",
            "The body that was signed ended in a newline, and the received body does not.",
            "Pass on and store the body byte for byte; nothing may trim it.",
        )
    })
}

pub(super) fn line_ends(case: &Trials<'_>) -> Option<Finding> {
    if !case.body.contains(&b'\n') {
        return None;
    }
    let mut unix = Vec::with_capacity(case.body.len());
    let mut bytes = case.body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            unix.push(byte);
        }
    }
    let mut dos = Vec::with_capacity(unix.len() + 16);
    for byte in &unix {
        if *byte == b'\n' {
            dos.push(b'\r');
        }
        dos.push(*byte);
    }
    found(
        case.with_body(&unix).or_else(|| case.with_body(&dos)),
        || {
            Mistake::new(
                "body_line_ends",
                "The line ends of the body were changed between CRLF and LF after it was signed.",
                "Pass on the body byte for byte, and capture it in binary mode.",
            )
        },
    )
}

pub(super) fn empty(case: &Trials<'_>) -> Option<Finding> {
    if case.body.is_empty() {
        return None;
    }
    found(case.with_body(b""), || {
        Mistake::new(
            "body_was_empty",
            "The signature is that of an empty body.",
            "Have the sender sign the very bytes that it sends; often its body stream was read to \
             the end before it was signed.",
        )
    })
}

pub(super) fn byte_order_mark(case: &Trials<'_>) -> Option<Finding> {
    let secret = match case.body.strip_prefix(BYTE_ORDER_MARK) {
        Some(without) => case.with_body(without),
        None => case.with_body(&[BYTE_ORDER_MARK, case.body].concat()),
    };
    found(secret, || {
        Mistake::new(
            "body_byte_order_mark",
            "A byte order mark at the start of the body was added or dropped after it was signed.",
            "Pass on the body byte for byte.",
        )
    })
}

pub(super) fn still_base64(case: &Trials<'_>) -> Option<Finding> {
    let decoded = any_base64(case.body.trim_ascii())?;
    found(case.with_body(&decoded), || {
        Mistake::new(
            "body_still_base64",
            "The body is base64 text, and its decoded bytes were signed.",
            "Decode the body first; some platforms hand bodies over in base64.",
        )
    })
}

pub(super) fn still_packed(case: &Trials<'_>) -> Option<Finding> {
    let fix = "Set `body = [\"raw\", \"inflated\"]` in the scheme, or have nothing on the way \
               compress the body.";
    with_form(
        case,
        BodyForm::Inflated,
        "The body is gzip, and its unpacked bytes were signed.",
        fix,
    )
}

/// The sender signed its text with the characters beyond ASCII escaped, as Box does.
///
/// A body that was serialised again is tried before.
pub(super) fn escaped(case: &Trials<'_>) -> Option<Finding> {
    let fix = "Set `body = [\"raw\", \"json-ascii\"]` in the scheme.";
    let sentence = "The sender signed the body with all characters beyond ASCII escaped \
                    (`json-ascii`).";
    with_form(case, BodyForm::JsonAscii, sentence, fix)
}

/// The sender signed a form of the body that the scheme does not try.
fn with_form(
    case: &Trials<'_>,
    form: BodyForm,
    sentence: &'static str,
    fix: &'static str,
) -> Option<Finding> {
    if case
        .scheme
        .template()
        .is_some_and(|own| own.body.contains(&form))
    {
        return None;
    }
    let changed = form.apply(case.body, case.settings.max_body)?;
    found(case.with_body(&changed), || {
        Mistake::new("body_other_form", sentence, fix)
    })
}

pub(super) fn too_long(case: &Trials<'_>) -> Option<Finding> {
    let Framing::Length(announced) = case.head.framing() else {
        return None;
    };
    let first = case
        .body
        .get(..usize::try_from(announced).ok()?)
        .filter(|first| first.len() < case.body.len())?;
    found(case.with_body(first), || {
        Mistake::new(
            "body_too_long",
            "The body is longer than `Content-Length` announces, and only the announced part was \
             signed.",
            "Capture the body byte for byte; something was appended to it.",
        )
    })
}

pub(super) fn in_string(case: &Trials<'_>) -> Option<Finding> {
    let text: String = serde_json::from_slice(case.body).ok()?;
    found(case.with_body(text.as_bytes()), || {
        Mistake::new(
            "body_in_string",
            "The body is a JSON string that holds the signed text: it was serialised twice.",
            "Pass on and store the raw bytes, not a JSON value that holds them.",
        )
    })
}

pub(super) fn charset(case: &Trials<'_>) -> Option<Finding> {
    let other: Vec<u8> = match std::str::from_utf8(case.body) {
        Ok(text) if !text.is_ascii() => text
            .chars()
            .map(u8::try_from)
            .collect::<Result<_, _>>()
            .ok()?,
        Ok(_) => return None,
        Err(_) => case
            .body
            .iter()
            .copied()
            .map(char::from)
            .collect::<String>()
            .into_bytes(),
    };
    found(case.with_body(&other), || {
        Mistake::new(
            "body_charset",
            "The text of the body was converted between UTF-8 and ISO 8859-1 after it was signed.",
            "Pass on and store the body as bytes, never as text.",
        )
    })
}

/// The same characters are composed of other code points, as some file systems, databases and
/// programs of macOS write them (Unicode Standard Annex 15).
pub(super) fn unicode_form(case: &Trials<'_>) -> Option<Finding> {
    let text = std::str::from_utf8(case.body)
        .ok()
        .filter(|text| !text.is_ascii())?;
    let composed: String = text.nfc().collect();
    let decomposed: String = text.nfd().collect();
    let other = [composed, decomposed]
        .into_iter()
        .filter(|other| other != text)
        .find_map(|other| case.with_body(other.as_bytes()));
    found(other, || {
        Mistake::new(
            "body_unicode_form",
            "The text of the body was brought into another Unicode form after it was signed: an \
             accent was put together with its letter, or taken apart from it.",
            "Pass on and store the body as bytes, never as text.",
        )
    })
}

pub(super) fn reserialised(case: &Trials<'_>) -> Option<Finding> {
    let mut forms = json::forms(case.body);
    // A form of a long body takes time to write, so it is only written if it can be tried.
    let affordable = std::iter::from_fn(|| {
        let next = case.affords(case.body.len()).then(|| forms.next());
        next.flatten()
    });
    affordable
        .into_iter()
        .find_map(|(form, words)| found(case.with_body(form.as_bytes()), || written_again(&words)))
}

/// A serialiser wrote the members of objects in another order, sorted for example.
///
/// The sender's order is not known, so every order is tried.
pub(super) fn reordered(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.is_credential() {
        return None;
    }
    let secret = documents::orders(case.body)
        .into_iter()
        .find_map(|form| case.with_body(form.as_bytes()));
    found(secret, || {
        written_again("with its members in another order")
    })
}

/// A parser changed values: numbers, nulls, empty objects.
pub(super) fn other_values(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.is_credential() {
        return None;
    }
    documents::variants(case.body)
        .into_iter()
        .find_map(|(form, words)| found(case.with_body(form.as_bytes()), || written_again(words)))
}

fn written_again(words: &str) -> Mistake {
    Mistake::new(
        "body_reserialised",
        format!(
            "The body was parsed and serialised again after it was signed: the sender signed the \
             same JSON {words}."
        ),
        "Verify the raw bytes of the request, before any JSON parser has touched them.",
    )
}

/// The body is empty, and a signature covers it.
pub(super) fn nothing(case: &Trials<'_>) -> Option<Mistake> {
    if !case.body.is_empty() || !case.scheme.covers_body() {
        return None;
    }
    let announced = match case.head.framing() {
        Framing::Length(announced) if announced > 0 => {
            format!(", although `Content-Length` announces {announced} bytes")
        }
        _ => String::new(),
    };
    Some(Mistake::new(
        "body_is_empty",
        format!(
            "The body is empty{announced}: something read it before it was captured or verified, or \
             it was not captured."
        ),
        "Read the raw body before any middleware does (`express.json()`, a body parser, a framework \
         that consumes the stream), or keep a copy of its bytes; then give that as the body.",
    ))
}

/// The body has another length than announced, or looks as if a serialiser wrote it again.
pub(super) fn rewritten(case: &Trials<'_>) -> Option<Mistake> {
    if !case.scheme.covers_body() {
        return None;
    }
    let length = case.body.len() as u64;
    let is_json = serde_json::from_slice::<serde_json::Value>(case.body).is_ok();
    let sentence = match case.head.framing() {
        Framing::Length(announced) if announced != length => {
            let how = if is_json {
                "it was probably parsed and serialised again (other spaces, key order, numbers or \
                 nulls)"
            } else {
                "it was changed"
            };
            format!(
                "The body has {length} bytes, and `Content-Length` announces {announced}: {how}."
            )
        }
        _ if std::str::from_utf8(case.body).is_ok_and(|text| text.contains('\u{fffd}')) => {
            "The body holds the sign for a character that could not be read (U+FFFD): its bytes \
             were decoded as text of another encoding, and are lost."
                .to_owned()
        }
        _ if has_lost_letters(case.body) => {
            "The body holds `?` within words, as a text is written in an encoding that lacks its \
             letters: they are lost."
                .to_owned()
        }
        _ => {
            let looks = documents::looks(case.body)?;
            format!(
                "The body looks as if it was parsed and serialised again after it was signed: \
                 {looks}."
            )
        }
    };
    let fix = "Verify and capture the raw bytes of the request, before any JSON parser has touched \
               them: a framework's request object or a database column of JSON gives them in \
               another form. If they are the raw bytes, check that this is the secret of this very \
               endpoint: no signature confirms how the body looks.";
    Some(Mistake::new("body_rewritten", sentence, fix))
}

/// Whether question marks are between letters where no text has them, as in `M?ller`, and no other
/// letter than those of ASCII is there. The query of a URL is no such place.
fn has_lost_letters(body: &[u8]) -> bool {
    body.is_ascii()
        && body
            .split(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b','))
            .filter(|word| !word.contains(&b'/') && !word.contains(&b'='))
            .any(|word| {
                word.windows(3).any(|three| {
                    matches!(three, [before, b'?', after] if before.is_ascii_alphabetic() && after.is_ascii_lowercase())
                })
            })
}

/// The body is shorter than announced, or ends in the middle of its JSON, perhaps at a size that a
/// buffer has.
pub(super) fn cut(case: &Trials<'_>) -> Option<Mistake> {
    let length = case.body.len();
    let is_json = matches!(case.body.trim_ascii_start(), [b'{' | b'[', ..]);
    let read = serde_json::from_slice::<serde_json::Value>(case.body);
    let is_broken_off = is_json && read.as_ref().is_err_and(serde_json::Error::is_eof);
    let is_round = length >= 1024
        && [length, length + 1]
            .iter()
            .any(|size| size % 1024 == 0 || size % 10_000 == 0);
    let sentence = match case.head.framing() {
        // A whole document was rather written again than cut.
        Framing::Length(announced) if announced > length as u64 && !(is_json && read.is_ok()) => {
            format!(
                "The body has {length} bytes, and `Content-Length` announces {announced}: it was \
                 cut off."
            )
        }
        _ if is_round && read.is_err() => {
            format!(
                "The body breaks off after {length} bytes, the size of a buffer: it was probably \
                 cut there."
            )
        }
        _ if is_broken_off => {
            format!(
                "The body ends in the middle of its JSON, after {length} bytes: it was cut off."
            )
        }
        _ => return None,
    };
    let fix = "Raise the limit that cut it, of a proxy, a log or the capture, and capture a whole \
               delivery.";
    Some(Mistake::new("body_cut", sentence, fix))
}

/// The body is base64 around JSON, and not even the decoded bytes match.
pub(super) fn looks_encoded(case: &Trials<'_>) -> Option<Mistake> {
    if !case.scheme.covers_body() {
        return None;
    }
    let text = case.body.trim_ascii();
    let decoded = any_base64(text).filter(|_| text.len() >= 12)?;
    let is_json = matches!(decoded.trim_ascii_start(), [b'{' | b'[', ..])
        && std::str::from_utf8(&decoded).is_ok();
    is_json.then(|| {
        Mistake::new(
            "body_looks_base64",
            "The body is base64 around JSON: the bytes of the request are what it decodes to.",
            "Decode the body first; serverless platforms hand bodies over in base64 \
             (`isBase64Encoded`).",
        )
    })
}

/// The body is the name of a file, and not what the file holds.
pub(super) fn file_name(case: &Trials<'_>) -> Option<Mistake> {
    let text = std::str::from_utf8(case.body).ok()?.trim();
    let (_, ending) = text.rsplit_once('.')?;
    let is_name = text.len() < 200
        && !text.contains(|c: char| c.is_whitespace() || "{}[]\"'=&<>".contains(c))
        && ["json", "txt", "bin", "body", "xml", "raw"].contains(&ending);
    (is_name && case.scheme.covers_body()).then(|| {
        Mistake::new(
            "body_is_file_name",
            "The body is the name of a file, and not what the file holds.",
            "Give the file itself: `--body FILE` here, `--data-binary @FILE` with curl.",
        )
    })
}

/// The headers say gzip, and the body does not begin as gzip does.
pub(super) fn unpacked(case: &Trials<'_>) -> Option<Mistake> {
    let name = FieldName::new("content-encoding")?;
    let Found::One(value) = case.head.find(&name) else {
        return None;
    };
    let is_packed = value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip");
    (is_packed && !case.body.starts_with(GZIP)).then(|| {
        Mistake::new(
            "body_unpacked",
            "The headers say that the body is gzip, but it is not: something on the way unpacked \
             it, and the signature may be that of the packed bytes.",
            "Have the proxy pass on the body as it came, still packed.",
        )
    })
}
