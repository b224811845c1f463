//! The look of a signature's value in words, without a byte of it.

use crate::key::shape::is_plain_name;

/// The longest label that is shown whatever it looks like (`keyId`).
const SHORT_LABEL: usize = 5;

/// The look of a signature's value in words, without a byte of a signature: its encoding and length,
/// the labels of a list; `None` where it has no look that says anything.
pub fn value_words(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    if text.is_empty() {
        return None;
    }
    if text.matches('.').count() == 2 && text.contains("eyJ") {
        return Some("a JSON Web Token".to_owned());
    }
    if let Some(words) = encoded(text) {
        return Some(words);
    }
    let separator = [", ", ",", ";", " "]
        .into_iter()
        .find(|separator| text.contains(separator));
    let items: Vec<&str> = separator.map_or_else(|| vec![text], |by| text.split(by).collect());
    let labelled = |item: &&str| -> Option<(String, Option<String>)> {
        let at = item.find(['=', ','])?;
        let (label, value) = item.split_at_checked(at)?;
        // The padding of base64 makes no label of what is in front of it.
        let rest = value.trim_matches('=');
        let is_label = !label.is_empty()
            && !rest.is_empty()
            && (label.len() <= SHORT_LABEL || is_plain_name(label))
            && label.len() <= 16
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        is_label.then(|| {
            (
                label.to_owned(),
                encoded(value.get(1..).unwrap_or_default()),
            )
        })
    };
    // Standard Webhooks divides a label from its value by a comma, and items by a blank.
    let standard = text
        .strip_prefix("v1,")
        .and_then(|value| encoded(value.split(' ').next()?));
    if let Some(words) = standard {
        return Some(format!("{words}, behind `v1,`"));
    }
    let labels: Vec<_> = items.iter().filter_map(labelled).collect();
    let shape = labels.iter().rev().find_map(|(_, shape)| shape.clone());
    if labels.is_empty() {
        return None;
    }
    let shown: Vec<String> = labels
        .iter()
        .map(|(label, _)| format!("`{label}`"))
        .collect();
    let list = format!("a value labelled {}", shown.join(", "));
    Some(match shape {
        Some(shape) => format!("{list}: {shape}"),
        None => list,
    })
}

/// The encoding and length of a text that looks like a digest or a signature.
fn encoded(text: &str) -> Option<String> {
    let of = |bytes: usize| match bytes {
        20 => ", the length of SHA-1",
        32 => ", the length of SHA-256",
        48 => ", the length of SHA-384",
        64 => ", the length of SHA-512 and of Ed25519",
        256 | 384 | 512 => ", the length of an RSA signature",
        _ => "",
    };
    if text.len() >= 32
        && text.len().is_multiple_of(2)
        && text.bytes().all(|b| b.is_ascii_hexdigit())
    {
        let (digits, bytes) = (text.len(), text.len() / 2);
        return Some(format!("{digits} hexadecimal digits{}", of(bytes)));
    }
    let letters = text.trim_end_matches('=');
    let is_base64 = letters
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b));
    let bytes = letters.len() * 3 / 4;
    let is_length = matches!(bytes, 20 | 32 | 48 | 64 | 256 | 384 | 512)
        || (text.ends_with('=') && bytes >= 16);
    let mixed = |test: fn(&u8) -> bool| letters.as_bytes().iter().any(test);
    let is_mixed = mixed(u8::is_ascii_uppercase) && mixed(u8::is_ascii_lowercase);
    (is_base64 && is_length && is_mixed).then(|| format!("base64 of {bytes} bytes{}", of(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_value_is_no_label() {
        let words = |text: &str| value_words(text.as_bytes());
        for value in ["c2VjcmV0cw==", "hunter2=", "kZ3q8vX1pL=,x=1", "p4ssw0rd=x"] {
            let said = words(value).unwrap_or_default();
            let label = value.split('=').next().unwrap_or_default();
            assert!(!said.contains(label), "{value}: {said}");
        }
        let rows = [
            ("t=1750000000,v1=ab", "a value labelled `t`, `v1`"),
            (
                "keyId=a,signature=ab",
                "a value labelled `keyId`, `signature`",
            ),
            ("hmac-sha256-hex=ab", "a value labelled `hmac-sha256-hex`"),
        ];
        for (value, expected) in rows {
            assert_eq!(words(value).as_deref(), Some(expected));
        }
    }
}
