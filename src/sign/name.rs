//! The names of headers as they are usually written.

use crate::wire::head::FieldName;

/// The name with each word capitalised, as in `X-Webhook-Signature-256`.
pub fn canonical(name: &FieldName) -> String {
    let mut begins = true;
    let letter = |c: char| {
        let out = if begins { c.to_ascii_uppercase() } else { c };
        begins = c == '-';
        out
    };
    name.as_str().chars().map(letter).collect()
}
