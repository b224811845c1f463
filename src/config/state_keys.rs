//! `keys` of `[state]`: the keys that encrypt deliveries on disk (contract: State).
//!
//! A key is a reference to a secret that is the base64 of at least 32 random bytes. It is a key of its
//! own: the loader refuses one that has another use in the file too ([`super::resign_checks`]).

use std::ops::Range;

use toml::de::DeValue;
use zeroize::Zeroizing;

use super::reader::{Findings, Item};
use super::secrets;
use super::secrets::Sources;
use super::warning::WarningName;
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;

/// A key that encrypts deliveries on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateKey {
    /// The name for messages: that of the reference, or the operator's own. It is unique, but it may
    /// mean another key tomorrow: what is stored must know its key by the key's bytes.
    pub name: String,
    /// The decoded bytes, at least 32 and not all alike.
    pub key: SecretText,
}

/// The least bytes of a key.
const LEAST: usize = 32;

const EXAMPLE: &str = "keys = [\"file:/etc/verigate/state.key\"]";

/// The way to a good key.
const MAKE: &str =
    "write one there with `openssl rand -base64 32`, for the gateway's user alone to read";

/// Reads the list. Returns the keys that could be read, each with its place.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Vec<(Range<usize>, StateKey)> {
    let mut keys: Vec<(Range<usize>, StateKey)> = Vec::new();
    if !matches!(item.value.get_ref(), DeValue::Array(_)) {
        findings.hide_all(item.value);
    }
    let Some(entries) = item.list(findings, EXAMPLE) else {
        return keys;
    };
    if entries.is_empty() {
        let help = format!("leave it out, or name a key, as in `{EXAMPLE}`");
        item.refuse(findings, "is empty", help);
    }
    for (place, entry) in entries.iter().enumerate() {
        let Some((name, text)) = read_entry(entry, findings, sources, place) else {
            continue;
        };
        let same = |(_, key): &&(Range<usize>, StateKey)| key.name == name;
        if keys.iter().any(|known| same(&known)) {
            let message = format!("two keys of `[state]` are called `{name}`");
            let help = "give one another name: `{ name = \"…\", value = \"…\" }`";
            findings.problem(entry.span(), message, help);
            continue;
        }
        match decoded(&text) {
            Err(why) => {
                let message = format!("the key `{name}` of `[state]` {why}");
                findings.problem(entry.span(), message, MAKE);
            }
            Ok(key) => {
                if let Some((_, other)) = keys.iter().find(|(_, other)| other.key == key) {
                    let message = format!(
                        "the key `{name}` of `[state]` is the same as `{}`",
                        other.name
                    );
                    let help = "name each key once; the first one writes, the others only read";
                    findings.problem(entry.span(), message, help);
                    continue;
                }
                if is_hex(&text) {
                    let message = format!(
                        "the key `{name}` of `[state]` consists of hexadecimal digits alone, and is decoded as base64: \
                         another program makes another key of it; {MAKE}, and name it in front of this one"
                    );
                    findings.warn(entry.span(), WarningName::UnlikelySecret, message);
                }
                keys.push((entry.span(), StateKey { name, key }));
            }
        }
    }
    keys
}

/// Reads a reference, or a reference with a name: `{ name = "2026", value = "file:…" }`.
fn read_entry(
    entry: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    place: usize,
) -> Option<(String, SecretText)> {
    let mut own = None;
    let value = if let DeValue::Table(_) = entry.value.get_ref() {
        let mut table = entry.table(findings, EXAMPLE)?;
        let name = table.item("name");
        own = name.and_then(|item| item.label(findings, 128, "2026").map(ToOwned::to_owned));
        let value = table.required(findings, "value", "\"file:/etc/verigate/state.key\"");
        table.finish(findings);
        value?
    } else {
        entry.clone()
    };
    secrets::read_named(&value, findings, sources, |written| {
        own.or(written)
            .unwrap_or_else(|| format!("plain-{}", place + 1))
    })
}

/// The bytes of a key. White space is left out, since programs break base64 into lines.
fn decoded(text: &SecretText) -> Result<SecretText, String> {
    let mut written = Zeroizing::new(text.expose().to_vec());
    written.retain(|byte| !byte.is_ascii_whitespace());
    let mut bytes = Zeroizing::new(vec![0; written.len()]);
    let length = [Encoding::Base64, Encoding::Base64UrlAny]
        .into_iter()
        .find_map(|encoding| encoding.decode(&written, &mut bytes))
        .ok_or("is no base64")?;
    bytes.truncate(length);
    if length < LEAST {
        return Err(format!(
            "holds {length} bytes once decoded, and at least {LEAST} are needed"
        ));
    }
    if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
        return Err("is the same byte again and again".to_owned());
    }
    Ok(SecretText::new(bytes.to_vec()))
}

/// Whether a key that is read as base64 was probably written as hexadecimal digits.
fn is_hex(text: &SecretText) -> bool {
    let mut digits = text
        .expose()
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace());
    digits.all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_base64_of_at_least_32_bytes() {
        let bytes: Vec<u8> = (0..64).map(|at| at * 4 + 3).collect();
        let text = |encoding: Encoding, bytes: &[u8]| encoding.encode(bytes);
        let standard = text(Encoding::Base64, &bytes);
        assert!(standard.contains(['+', '/']));
        let (first, second) = standard.split_at(64);
        let good = [
            standard.clone(),
            format!("{standard}\r\n"),
            format!("{first}\n{second}\n"),
            text(Encoding::Base64Url, &bytes),
        ];
        for text in good {
            let key = decoded(&SecretText::new(text.clone().into_bytes()));
            assert_eq!(key.unwrap().expose(), bytes, "{text}");
        }
        let bad = [
            (text(Encoding::Base64, &bytes[..31]), "holds 31 bytes"),
            (
                "hunter2hunter2hunter2hunter2hunter2!".to_owned(),
                "is no base64",
            ),
            (hex::encode(&bytes[..16]), "holds 24 bytes"),
            (standard.trim_end_matches('=').to_owned(), "is no base64"),
            (text(Encoding::Base64, &[0; 32]), "the same byte"),
            (text(Encoding::Base64, &[7; 40]), "the same byte"),
        ];
        for (text, expected) in bad {
            let why = decoded(&SecretText::new(text.clone().into_bytes())).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
