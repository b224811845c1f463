//! The look of a signature's value in words, without a byte of it.

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
        let is_label = !label.is_empty()
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
