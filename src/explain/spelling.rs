//! Mistakes made with the text of a signature on its way: cut, decorated, encoded once more,
//! unpadded, masked.
//!
//! A spelling is a row of [`SPELLINGS`]: a change that undoes it, tried on the whole value of each
//! header that carries the signature, on the text behind the scheme's prefix, and on each item of a
//! list. What no change undoes is described by its length and its alphabet.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::case::CaseError;
use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use super::wrapped::unescaped;
use crate::notation::encoding::Encoding;
use crate::notation::percent;
use crate::scheme::{Algorithm, Kind};
use crate::verdict::Code;

/// The most items of a list that are tried.
const MAX_ITEMS: usize = 16;

/// The fix for a value that was changed on the way.
const KEEP_THE_VALUE: &str = "Give the header's value exactly as it was sent; find out which proxy, \
                              log, script or capture rewrites it, and have it pass the value on \
                              unchanged.";

/// A way in which the text of a signature is spoilt.
struct Spelling {
    name: &'static str,
    /// The texts that it may have been, from the text that it is and the scheme's encoding.
    undo: fn(&str, Encoding) -> Vec<String>,
    sentence: &'static str,
}

const SPELLINGS: &[Spelling] = &[
    Spelling {
        name: "signature_percent_encoded",
        undo: |text, _| utf8(percent::decode(text.as_bytes(), false)),
        sentence: "The signature is right, but percent-encoded (`%3D` for `=`).",
    },
    Spelling {
        name: "signature_padding",
        undo: |text, _| vec![padded(text)],
        sentence: "The signature is right, but the padding at the end of its base64 (`=`) is \
                   missing or too long.",
    },
    Spelling {
        name: "signature_plus_lost",
        undo: |text, _| vec![text.replace(' ', "+"), text.replacen(' ', "+", 1)],
        sentence: "The signature is right, but a `+` of its base64 became a space, as decoding a \
                   form makes it.",
    },
    Spelling {
        name: "signature_alphabet",
        undo: |text, _| {
            let standard = text.replace('-', "+").replace('_', "/");
            let url_safe = text.replace('+', "-").replace('/', "_");
            vec![padded(&standard), url_safe.trim_end_matches('=').to_owned()]
        },
        sentence: "The signature is right, but in the other alphabet of base64: URL-safe (`-`, \
                   `_`) where the standard one (`+`, `/`) belongs, or the other way round.",
    },
    Spelling {
        name: "signature_escaped",
        undo: |text, _| unescaped(text),
        sentence: "The signature is right, but has escapes of JSON or HTML in it (`\\/`, `\\u003d`, \
                   `&#61;`).",
    },
    Spelling {
        name: "signature_decorated",
        undo: |text, _| undecorated(text),
        sentence: "The signature is right, but has signs around or within it that the sender does \
                   not write: brackets, `b'…'`, `0x`, colons, spaces, a line end.",
    },
    Spelling {
        name: "signature_case",
        undo: |text, _| vec![text.to_ascii_lowercase()],
        sentence: "The signature is right, but capital letters were made of its small ones.",
    },
    Spelling {
        name: "signature_has_name",
        undo: |text, _| {
            let behind = text.split_once(": ").or_else(|| text.split_once(':'));
            behind
                .map(|(_, value)| value.trim().to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The signature is right, but the name of its header is in the value once more.",
    },
    Spelling {
        name: "signature_prefix_doubled",
        undo: |text, _| {
            let at = text.find(['=', ',']).map(|at| at + 1);
            let halves = at.and_then(|at| text.split_at_checked(at));
            halves
                .filter(|(prefix, rest)| rest.starts_with(prefix))
                .map(|(_, rest)| rest.to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The signature is right, but its prefix is there twice.",
    },
    Spelling {
        name: "signature_encoded_twice",
        undo: |text, own| {
            let decoded = [any_base64(text.as_bytes()), hex::decode(text).ok()];
            let texts = decoded.into_iter().flatten().flat_map(utf8);
            texts
                .flat_map(|inner| {
                    let bytes = hex::decode(&inner)
                        .ok()
                        .or_else(|| any_base64(inner.as_bytes()));
                    let again = bytes.map(|bytes| own.encode(&bytes));
                    std::iter::once(inner).chain(again).collect::<Vec<_>>()
                })
                .collect()
        },
        sentence: "The signature is right, but encoded twice: the text of it was encoded in place \
                   of its bytes.",
    },
    Spelling {
        name: "signature_doubled",
        undo: |text, _| {
            let half = text.len() / 2;
            let halves = text.split_at_checked(half).filter(|(a, b)| a == b);
            let comma = text.split_once(',').filter(|(a, b)| *a == b.trim());
            halves
                .or(comma)
                .map(|(half, _)| half.to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The signature is right, but its value is there twice in a row.",
    },
];

fn utf8(bytes: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(bytes).ok();
    text.filter(|text| text.bytes().all(|b| matches!(b, b' '..=b'~')))
        .into_iter()
        .collect()
}

fn padded(text: &str) -> String {
    let bare = text.trim_end_matches(['=', '.']);
    let missing = (4 - bare.len() % 4) % 4;
    format!("{bare}{}", "=".repeat(missing))
}

/// The text without what printing and wrapping put around it, and without separators of hexadecimal
/// digits.
fn undecorated(text: &str) -> Vec<String> {
    let is_around =
        |c: char| c.is_whitespace() || "'\"`<>()[]{}“”‘’,;.\u{feff}\u{200b}".contains(c);
    let mut bare = text.trim_matches(is_around);
    for end in ["\\r\\n", "\\n", "\\r", "%0A", "%0D"] {
        bare = bare
            .strip_suffix(end)
            .unwrap_or(bare)
            .trim_matches(is_around);
    }
    let inner = bare
        .strip_prefix("b'")
        .or_else(|| bare.strip_prefix("b\""))
        .unwrap_or(bare);
    let inner = inner.strip_prefix("0x").unwrap_or(inner);
    let digits: String = inner
        .chars()
        .filter(|c| !matches!(c, ':' | ' ' | '-' | '\t'))
        .collect();
    let is_hex = digits.len() >= 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let mut texts = vec![inner.to_owned(), bare.to_owned()];
    texts.extend(is_hex.then(|| digits.to_ascii_lowercase()));
    texts.push(text.split_whitespace().collect());
    texts
}

/// A value taken apart: what is before the signature's text, the text, and what is behind it.
fn parts<'v>(case: &Trials<'_>, value: &'v str) -> Vec<(&'v str, &'v str, &'v str)> {
    let mut parts = vec![("", value, "")];
    let mut add = |from: usize, to: usize| {
        let (before, rest) = value.split_at_checked(from)?;
        let (text, behind) = rest.split_at_checked(to.checked_sub(from)?)?;
        parts.push((before, text, behind));
        Some(())
    };
    let prefix = case.scheme.signature_prefix();
    if !prefix.is_empty() && value.starts_with(prefix) {
        add(prefix.len(), value.len());
    }
    let items = case.scheme.items();
    let assign = items.assign.map(char::from);
    let separator = items.separator.as_deref().unwrap_or(",");
    if (items.separator.is_some() || assign.is_some()) && !separator.is_empty() {
        let mut from = 0;
        for item in value.split(separator).take(MAX_ITEMS) {
            let label = assign
                .and_then(|assign| item.find(assign))
                .map_or(0, |at| at + 1);
            add(from + label, from + item.len());
            from += item.len() + separator.len();
        }
    }
    parts
}

/// Tries the texts that `undo` makes of each part of the signature's headers.
fn with(case: &Trials<'_>, undo: &dyn Fn(&str) -> Vec<String>) -> Option<Arc<str>> {
    case.signature_values().find_map(|(name, value)| {
        let value = std::str::from_utf8(value).ok()?;
        parts(case, value)
            .into_iter()
            .find_map(|(before, text, behind)| {
                undo(text)
                    .into_iter()
                    .filter(|new| new != text)
                    .find_map(|new| {
                        let mended = format!("{before}{new}{behind}");
                        case.with_header(&name, mended.as_bytes())
                    })
            })
    })
}

/// The signature's text was spoilt in one of the known ways.
pub(super) fn undone(case: &Trials<'_>) -> Option<Finding> {
    let own = case
        .scheme
        .template()
        .map_or(Encoding::Base64, |own| own.signature.encoding);
    SPELLINGS.iter().find_map(|spelling| {
        found(with(case, &|text| (spelling.undo)(text, own)), || {
            Mistake::new(spelling.name, spelling.sentence, KEEP_THE_VALUE)
        })
    })
}

/// The algorithm that a prefix names is another than the scheme's, and it is the right one.
pub(super) fn algorithm_of_prefix(case: &Trials<'_>) -> Option<Finding> {
    const NAMED: [(&str, Algorithm); 4] = [
        ("sha1=", Algorithm::HmacSha1),
        ("sha256=", Algorithm::HmacSha256),
        ("sha384=", Algorithm::HmacSha384),
        ("sha512=", Algorithm::HmacSha512),
    ];
    let own = case.scheme.algorithm();
    NAMED
        .into_iter()
        .filter(|(_, algorithm)| *algorithm != own)
        .find_map(|(prefix, algorithm)| {
            let secret = case.with_template(|template| {
                template.algorithm = algorithm;
                prefix.clone_into(&mut template.signature.prefix);
            });
            found(secret, || {
                let name = case.scheme.signature_headers().first();
                let name = name.map_or("", |name| name.as_str());
                let own = own.name();
                Mistake::new(
                    "signature_of_other_hash",
                    format!(
                        "The header `{name}` holds a signature with {} (`{prefix}…`), and this \
                         scheme takes {own} there: the secret and the body are right, and the \
                         value belongs into another header.",
                        algorithm.name()
                    ),
                    "Have the sender or the test script write the signature of the right hash into \
                     that header; a proxy or a script may have copied an older header's value.",
                )
            })
        })
}

/// The lengths in bytes that a signature of this scheme may have.
fn lengths(algorithm: Algorithm) -> Option<RangeInclusive<usize>> {
    match algorithm.kind() {
        Kind::Digest(digest) => Some(digest.len()..=digest.len()),
        Kind::Public(public) => Some(public.signature_len()),
        Kind::Token | Kind::Jwt => None,
    }
}

/// The signature is missing a part, has another length or alphabet, or was masked.
pub(super) fn shape(case: &Trials<'_>) -> Option<Mistake> {
    let lengths = lengths(case.scheme.algorithm())?;
    let (least, most) = (*lengths.start(), *lengths.end());
    // A signature that was compared has the right alphabet and length, whatever is around it.
    let is_compared = matches!(
        case.judge(),
        Err(CaseError::Refused(refusal)) if refusal.code == Code::BadSignature
    );
    let encoding = case.scheme.template().map(|own| own.signature.encoding);
    let accepted = |label: &str| {
        let accept = &case.scheme.items().accept;
        accept.is_empty() || accept.iter().any(|(known, _)| known == label)
    };
    case.signature_values().find_map(|(name, value)| {
        let header = name.as_str();
        let value = std::str::from_utf8(value).ok()?;
        let assign = case.scheme.items().assign.map(char::from);
        // The text is the part that begins latest: that behind a prefix or an accepted label.
        let text = parts(case, value)
            .into_iter()
            .rfind(|(before, text, _)| {
                let label = before
                    .strip_suffix(|c| Some(c) == assign)
                    .and_then(|before| before.rsplit([',', ';', ' ']).next());
                !text.is_empty() && label.is_none_or(accepted)
            })
            .map_or(value, |(_, text, _)| text);
        let text = if case.scheme.code().is_some() {
            last_of_list(text)
        } else {
            text
        };
        if is_masked(text) {
            let sentence = format!(
                "The value of the header `{header}` is masked or a placeholder, so nothing can be \
                 compared with it."
            );
            let fix = "Capture the header before the log or the tool hides it, and give its whole \
                       value.";
            return Some(Mistake::new("signature_masked", sentence, fix));
        }
        let bare = text.trim_end_matches('=');
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        let is_base64 = bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b));
        let in_hex = match encoding {
            Some(Encoding::Hex | Encoding::HexAny) => true,
            Some(_) => false,
            None => is_hex && text.len() >= least * 2,
        };
        let (shortest, longest) = if in_hex {
            (least * 2, most * 2)
        } else {
            ((least * 4).div_ceil(3), most.div_ceil(3) * 4)
        };
        let kind = if in_hex {
            "hexadecimal digits"
        } else {
            "characters of base64"
        };
        let length = if in_hex { text.len() } else { bare.len() };
        if !is_compared && ((in_hex && !is_hex) || (!in_hex && !is_base64)) {
            return Some(other_alphabet(header, kind));
        }
        if !is_compared && length < shortest {
            let hash = of_hash(text, in_hex);
            return Some(match hash {
                Some(hash) => {
                    let sentence = format!(
                        "The header `{header}` holds a text of the length of {hash}, and this \
                         scheme signs with {}.",
                        case.scheme.algorithm().name()
                    );
                    let fix = "See whether the sender or a test script takes another hash, or \
                               whether the value of another header was copied.";
                    Mistake::new("signature_of_other_length", sentence, fix)
                }
                None => {
                    let sentence = format!(
                        "The signature in `{header}` was cut: it has {length} {kind}, and this \
                         scheme's have {shortest}."
                    );
                    let fix = "Capture the whole value; a log, a terminal, a column of a database \
                               or a proxy cut it.";
                    Mistake::new("signature_cut", sentence, fix)
                }
            });
        }
        if !is_compared && text.len() > longest {
            let sentence = format!(
                "The header `{header}` holds {} characters where a signature of this scheme has \
                 {longest}.",
                text.len()
            );
            return Some(Mistake::new("signature_too_long", sentence, KEEP_THE_VALUE));
        }
        let has_letters = bare.len() >= 24 && !in_hex && is_base64;
        let is_lower = has_letters && !bare.bytes().any(|b| b.is_ascii_uppercase());
        let is_upper = has_letters && !bare.bytes().any(|b| b.is_ascii_lowercase());
        (is_lower || is_upper).then(|| {
            let sentence = format!(
                "The signature in `{header}` is base64, but all its letters have the same case: \
                 something on the way changed them, which destroys it."
            );
            Mistake::new("signature_case_lost", sentence, KEEP_THE_VALUE)
        })
    })
}

/// The last text of a list that the code of a provider takes apart: `ts=…,v1=TEXT`, `TEXT,TEXT`.
fn last_of_list(value: &str) -> &str {
    let item = value.rsplit([',', '&', '|']).next().unwrap_or(value).trim();
    let labelled = item.split_once('=').filter(|(label, rest)| {
        let is_label = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        label.len() <= 4 && is_label && !rest.trim_matches('=').is_empty()
    });
    labelled.map_or(item, |(_, text)| text)
}

fn other_alphabet(header: &str, kind: &str) -> Mistake {
    Mistake::new(
        "signature_characters",
        format!("The signature in `{header}` holds other signs than {kind}."),
        "Compare the header with the documentation of the provider: it may be of another version \
         or another sender, or was rewritten on the way.",
    )
}

fn is_masked(text: &str) -> bool {
    let is_of_mask = |c: char| matches!(c, '*' | '•' | 'x' | 'X' | '.' | '…' | '#');
    let lower = text.to_ascii_lowercase();
    [
        "***",
        "...",
        "…",
        "•••",
        "redacted",
        "masked",
        "filtered",
        "[hidden",
        "signature>",
        "your",
    ]
    .iter()
    .any(|word| lower.contains(word))
        || (text.len() > 3 && text.chars().all(is_of_mask))
}

/// The hash that makes a text of this length.
fn of_hash(text: &str, in_hex: bool) -> Option<&'static str> {
    let of_hex = [(32, "MD5"), (40, "SHA-1"), (64, "SHA-256"), (96, "SHA-384")];
    let of_base64 = [(24, "MD5"), (28, "SHA-1"), (44, "SHA-256"), (64, "SHA-384")];
    let table = if in_hex { of_hex } else { of_base64 };
    table
        .into_iter()
        .find_map(|(length, name)| (text.len() == length).then_some(name))
}
