//! A JSON body with the signature at its place.
//!
//! No scheme whose signature is in the body signs the whole body, so members may come in another
//! order. How such a body would be answered is judged before it is printed.

use serde_json::{Map, Value};

use crate::key::secret::SecretText;
use crate::notation::json::Pointer;

/// The body with this text at the place, `*` meaning each element of an array that is there.
///
/// # Errors
/// The reason, which completes "… `/place`".
pub(super) fn with_text(
    body: &[u8],
    pointer: &Pointer,
    text: &SecretText,
) -> Result<String, &'static str> {
    let mut document: Value = serde_json::from_slice(body)
        .map_err(|_| "the body is no JSON, and the signature belongs in it at")?;
    let text = String::from_utf8_lossy(text.expose());
    if put(&mut document, &pointer.tokens, &text) {
        Ok(document.to_string())
    } else {
        Err("the body has no place for the signature: it belongs at")
    }
}

/// Whether the text was put somewhere, and everywhere that the tokens mean.
fn put(at: &mut Value, tokens: &[String], text: &str) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        *at = text.into();
        return true;
    };
    match at {
        Value::Array(elements) if token == Pointer::EACH => {
            let put = |element: &mut Value| put(element, rest, text);
            !elements.is_empty() && elements.iter_mut().all(put)
        }
        Value::Object(members) if token != Pointer::EACH => {
            let next = members
                .entry(token.as_str())
                .or_insert_with(|| Map::new().into());
            put(next, rest, text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_put_where_the_pointer_says() {
        let put = |body: &str, pointer| {
            let text = SecretText::new(b"s\"1".to_vec());
            with_text(body.as_bytes(), &Pointer::parse(pointer).unwrap(), &text)
        };
        let rows = [
            (r#"{"b":1,"a":2}"#, "/s", r#"{"a":2,"b":1,"s":"s\"1"}"#),
            (r#"{"x":{"s":"old"}}"#, "/x/s", r#"{"x":{"s":"s\"1"}}"#),
            ("{}", "/x/s", r#"{"x":{"s":"s\"1"}}"#),
            (
                r#"{"v":[{},{"s":0}]}"#,
                "/v/*/s",
                r#"{"v":[{"s":"s\"1"},{"s":"s\"1"}]}"#,
            ),
        ];
        for (body, pointer, expected) in rows {
            assert_eq!(put(body, pointer).as_deref(), Ok(expected), "{body}");
        }
        for (body, pointer) in [
            ("no JSON", "/s"),
            ("[]", "/s"),
            (r#"{"v":[]}"#, "/v/*/s"),
            (r#"{"v":[1]}"#, "/v/*/s"),
            (r#"{"x":1}"#, "/x/s"),
        ] {
            assert!(put(body, pointer).is_err(), "{body}");
        }
    }
}
