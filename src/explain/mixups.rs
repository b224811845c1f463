//! Secrets that hold more or less than the secret: several in one, a document around it, one more
//! encoding, signs that a text editor put in.
//!
//! A mix-up is a row of [`MIXUPS`]: what undoes it gives texts, and each is tried in the place of
//! the secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::{Changed, Trials};
use super::wrapped::unescaped;

/// The most texts that are tried for a secret.
const MAX_TEXTS: usize = 188;

/// A way in which a secret is spoilt.
struct Mixup {
    name: &'static str,
    undo: fn(&str) -> Vec<String>,
    sentence: &'static str,
    fix: &'static str,
}

const MIXUPS: &[Mixup] = &[
    Mixup {
        name: "secret_typographic",
        undo: |text| {
            let is_mark = |c: char| "“”‘’„‚«»‹›′″´`'\"".contains(c) || c.is_whitespace();
            vec![text.trim_matches(is_mark).to_owned()]
        },
        sentence: "The configured secret has typographic quotation marks around it that are not \
                   part of it.",
        fix: "Remove them; a text editor, a chat or a word processor made them of plain ones.",
    },
    Mixup {
        name: "secret_invisible_signs",
        undo: |text| {
            let is_hidden = |c: char| {
                matches!(c, '\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
                    || c.is_whitespace()
                    || c.is_control()
            };
            vec![text.chars().filter(|c| !is_hidden(*c)).collect()]
        },
        sentence: "The configured secret has invisible signs in it (a space without a break, a \
                   zero-width sign, a line break in the middle).",
        fix: "Copy the secret again with the provider's copy button, or type it anew.",
    },
    Mixup {
        name: "secret_trailing_sign",
        undo: |text| {
            let without = text.trim_end_matches([',', ';', '.', ')', '}', ']', '\\', '"', '\'']);
            let comment = text.split_once(" #").or_else(|| text.split_once(" //"));
            let comment = comment.map(|(secret, _)| secret.trim().to_owned());
            std::iter::once(without.to_owned()).chain(comment).collect()
        },
        sentence: "The configured secret ends in a sign or a comment that is not part of it.",
        fix: "Configure the secret alone, without what followed it in the file it was copied from.",
    },
    Mixup {
        name: "secret_assigned",
        undo: |text| {
            let behind = text.split_once('=').or_else(|| text.split_once(": "));
            let value = behind.map(|(_, value)| value.trim().trim_matches(['"', '\'', ';']));
            value.map(str::to_owned).into_iter().collect()
        },
        sentence: "The configured secret is a line of a script or a file that assigns it.",
        fix: "Configure what follows the `=` or the colon alone, without quotation marks.",
    },
    Mixup {
        name: "secret_several",
        undo: |text| {
            // At a single sign each, since a secret may hold another of them.
            let signs = ['\n', ',', ';', '|', '\t', ' '];
            let pieces = signs.into_iter().flat_map(|sign| text.split(sign).take(4));
            let pieces = pieces.map(|piece| {
                let is_around = |c: char| "'\"[]".contains(c) || c.is_whitespace();
                piece.trim_matches(is_around).to_owned()
            });
            pieces.filter(|piece| piece.len() > 3).collect()
        },
        sentence: "The configured secret holds several secrets in one text, and one of them is \
                   right.",
        fix: "Give each secret an entry of its own: `secrets = [\"env:NEW\", \"env:OLD\"]` on the \
              route, or `--secret` twice.",
    },
    Mixup {
        name: "secret_doubled",
        undo: |text| {
            let halves = text
                .split_at_checked(text.len() / 2)
                .filter(|(a, b)| a == b);
            halves
                .map(|(half, _)| half.to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The configured secret is there twice in a row.",
        fix: "Configure the secret once.",
    },
    Mixup {
        name: "secret_prefix_doubled",
        undo: |text| {
            let end = text.find(['_', ':']).map(|at| at + 1);
            let halves = end.and_then(|at| text.split_at_checked(at));
            halves
                .filter(|(prefix, rest)| rest.starts_with(prefix))
                .map(|(_, rest)| rest.to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The prefix of the configured secret is there twice (`whsec_whsec_…`).",
        fix: "Configure the secret with its prefix once, as the provider shows it.",
    },
    Mixup {
        name: "secret_prefix_foreign",
        undo: |text| {
            const PREFIXES: [&str; 8] = [
                "whsec_",
                "v1,whsec_",
                "sha256=",
                "sha1=",
                "base64:",
                "hex:",
                "Bearer ",
                "secret_",
            ];
            let without = PREFIXES
                .iter()
                .filter_map(|prefix| text.strip_prefix(prefix));
            without.map(str::to_owned).collect()
        },
        sentence: "The configured secret has a prefix in front that the provider's secret does not \
                   have.",
        fix: "Copy the secret again as the provider shows it, without anything in front.",
    },
    Mixup {
        name: "secret_in_document",
        undo: |text| {
            let document = serde_json::from_str::<Value>(text).ok();
            document.iter().flat_map(texts).collect()
        },
        sentence: "The configured secret is a JSON document with the secret in a member of it, as \
                   secret managers hand it over.",
        fix: "Configure the member's value alone; most secret managers can be asked for a single \
              key.",
    },
    Mixup {
        name: "secret_case",
        undo: |text| vec![text.to_ascii_lowercase(), text.to_ascii_uppercase()],
        sentence: "The configured secret is right but for capital and small letters.",
        fix: "Copy the secret again: something changed the case of its letters.",
    },
    Mixup {
        name: "secret_escaped",
        undo: unescaped,
        sentence: "The configured secret has escapes of JSON or HTML in it (`\\/`, `\\u0026`, \
                   `&amp;`).",
        fix: "Configure the secret as the provider shows it.",
    },
    Mixup {
        name: "secret_decoded_already",
        undo: |text| {
            let encoded = STANDARD.encode(text);
            let of_hex = hex::decode(text.trim())
                .ok()
                .map(|bytes| STANDARD.encode(bytes));
            let prefixed = |text: &String| format!("whsec_{text}");
            let all: Vec<String> = std::iter::once(encoded).chain(of_hex).collect();
            all.iter()
                .cloned()
                .chain(all.iter().map(prefixed))
                .collect()
        },
        sentence: "The configured secret was decoded from base64 already, and this scheme decodes \
                   it itself.",
        fix: "Configure the secret as the provider shows it, in base64.",
    },
    Mixup {
        name: "secret_encoded_for_url",
        undo: |text| {
            let standard = text.replace('-', "+").replace('_', "/");
            vec![standard, text.replace(' ', "+")]
        },
        sentence: "The configured secret is in another alphabet than the provider's (`-` and `_` \
                   for `+` and `/`), or a `+` of it became a space.",
        fix: "Copy the secret as the provider shows it.",
    },
    Mixup {
        name: "secret_cut",
        undo: |text| {
            let signs = || (b'!'..=b'~').map(char::from);
            let at_end = signs().map(|sign| format!("{text}{sign}"));
            at_end
                .chain(signs().map(|sign| format!("{sign}{text}")))
                .collect()
        },
        sentence: "The configured secret lacks its first or its last character.",
        fix: "Copy the whole secret again, with the provider's copy button.",
    },
];

/// Mix-ups that look like a key in another encoding or with a prefix, and are tried before those.
const ENCODED: &[Mixup] = &[
    Mixup {
        name: "secret_of_header",
        undo: |text| {
            const WORDS: [&str; 5] = ["bearer ", "basic ", "token ", "secret ", "hmac "];
            let begins = |word: &&str| {
                text.get(..word.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
            };
            let word = WORDS.iter().find(|word| begins(word));
            let rest = word.and_then(|word| text.get(word.len()..));
            rest.map(|rest| rest.trim().to_owned())
                .into_iter()
                .collect()
        },
        sentence: "The configured secret begins with a word of a header (`Bearer`, `Basic`, \
                   `Token`) that is not part of it.",
        fix: "Configure the secret alone, as the provider shows it.",
    },
    Mixup {
        name: "secret_base64_once_more",
        undo: |text| {
            let once = any_base64(text.trim().as_bytes()).and_then(printable);
            let twice = once
                .as_deref()
                .and_then(|text| any_base64(text.trim().as_bytes()))
                .and_then(printable);
            let trimmed = once.as_deref().map(|text| text.trim().to_owned());
            [once, trimmed, twice].into_iter().flatten().collect()
        },
        sentence: "The configured secret is the base64 of the secret, as `data` of a Kubernetes \
                   Secret or a header of Basic authentication holds it.",
        fix: "Configure the decoded text; in Kubernetes use `stringData`, or mount the Secret as a \
              file, which decodes it.",
    },
    Mixup {
        name: "secret_hex_once_more",
        undo: |text| {
            hex::decode(text.trim())
                .ok()
                .and_then(printable)
                .into_iter()
                .collect()
        },
        sentence: "The configured secret is written in hexadecimal digits, and the secret is the \
                   text that they mean.",
        fix: "Configure the decoded text, as the provider shows it.",
    },
];

fn printable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let is_plain = |b: u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\n' | b'\r');
    text.bytes()
        .all(is_plain)
        .then_some(text)
        .filter(|text| text.len() > 3)
}

/// The texts in a document.
fn texts(document: &Value) -> Vec<String> {
    match document {
        Value::String(text) => vec![text.clone()],
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The secret was spoilt in one of the known ways.
pub(super) fn undone(case: &Trials<'_>) -> Option<Finding> {
    any_of(case, MIXUPS)
}

/// The secret is the base64 or the hexadecimal digits of the secret.
pub(super) fn encoded_once_more(case: &Trials<'_>) -> Option<Finding> {
    any_of(case, ENCODED)
}

fn any_of(case: &Trials<'_>, rows: &[Mixup]) -> Option<Finding> {
    rows.iter().find_map(|mixup| {
        (0..MAX_TEXTS).find_map(|place| {
            // The texts of all secrets at this place.
            let changed = case.changed(|secret| {
                let text = std::str::from_utf8(secret).ok()?;
                let new = (mixup.undo)(text).into_iter().nth(place)?;
                (new != text && !new.is_empty()).then(|| new.into_bytes())
            });
            if changed.is_empty() {
                return None;
            }
            let secret = case.proves(&Changed {
                secrets: &changed,
                ..case.as_is()
            });
            found(secret, || {
                Mistake::new(mixup.name, mixup.sentence, mixup.fix)
            })
        })
    })
}
