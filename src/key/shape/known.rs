//! Keys that everybody knows without having read them anywhere: nothing, a prefix alone, zero bytes
//! (contract: Secrets).

use super::{bare, prefixes};

/// Whether the text is a key that everybody knows: nothing, a provider's prefix alone, or zero
/// bytes, whatever is around it. The reason completes "the secret …".
pub fn known_text(text: &[u8]) -> Option<String> {
    let text = bare(text);
    let is_word = |word: &&str| word.trim_end().as_bytes() == text;
    if text.is_empty() || prefixes::AUTHORIZATION.iter().any(is_word) {
        return Some("holds nothing".to_owned());
    }
    if let Some(prefix) = prefixes::SIGNING
        .iter()
        .chain(prefixes::API_KEYS)
        .find(|prefix| prefix.as_bytes() == text)
    {
        return Some(only_prefix(prefix));
    }
    let prefix = prefixes::found(text, prefixes::SIGNING).unwrap_or_default();
    let rest = text.strip_prefix(prefix.as_bytes()).unwrap_or(text);
    let digits = rest.strip_prefix(b"0x").unwrap_or(rest);
    let is_all = |text: &[u8], byte: u8| !text.is_empty() && text.iter().all(|b| *b == byte);
    let unpadded = rest.trim_ascii_end();
    let padding = unpadded.iter().rev().take_while(|b| **b == b'=').count();
    let (letters, _) = unpadded.split_at_checked(unpadded.len() - padding)?;
    let is_zero = is_all(digits, b'0') || (letters.len() >= 2 && is_all(letters, b'A'));
    is_zero.then(|| ALL_ZERO.to_owned())
}

/// The words for a secret that is only a prefix.
pub fn only_prefix(prefix: &str) -> String {
    format!("is only the prefix `{prefix}`, which everybody knows")
}

/// The beginning by which the text is known as a signing secret. `text` has nothing around it.
pub fn signing_prefix(text: &[u8]) -> Option<&'static str> {
    prefixes::found(text, prefixes::SIGNING)
        .filter(|prefix| !prefixes::OF_ENCODING.contains(prefix))
}

/// Whether everybody knows these bytes of a key: there are none, or all are zero. A MAC fills its
/// key up with zero bytes, so such a key is the empty one.
pub fn known_key(key: &[u8]) -> Option<&'static str> {
    key.iter().all(|byte| *byte == 0).then_some(ALL_ZERO)
}

const ALL_ZERO: &str = "is nothing but zero bytes, a key that everybody knows";
