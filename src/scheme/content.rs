//! The signed content of one delivery, without its body (schemes: Signed content).
//!
//! A template leaves a gap for each value that only the body or the secret decides. Values and
//! digests of the body are put in here. The secret is never put in: the verifier hashes it in its place, so that
//! no content holds the secret.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::notation::json::Value;
use crate::verdict::{Code, Refusal};

/// Bytes of signed content. Nearly all schemes have no more beside the body, and so need no
/// allocation.
pub(super) type ContentBytes = SmallVec<[u8; 64]>;

/// The signed content around the body: the bytes before it and the bytes after it. Where the
/// template has no `{body}`, all bytes come before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedContent {
    pub(super) bytes: ContentBytes,
    pub(super) before: usize,
    // In the order of the content; empty unless the template has a part for a gap.
    pub(super) gaps: Vec<Gap>,
}

/// A position in the content at which a value is still to be put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) at: usize,
    pub(super) is_behind_body: bool,
    pub(super) what: Open,
}

/// The value that belongs into a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Secret,
    // A value of the body; it must not contain these bytes, its delimiters.
    Json([Option<u8>; 2]),
    // A digest of the body. Its length is fixed, so it needs no delimiters.
    BodyDigest,
}

/// A piece of the signed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'c> {
    /// These bytes.
    Bytes(&'c [u8]),
    /// The secret.
    Secret,
}

const NO_TEXT: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed value of the body is missing, or neither a string nor an integer",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed value of the body holds a byte that divides it from the rest of the signed content",
);

/// The longest value of the body, in bytes, that is signed by itself.
const MAX_VALUE: usize = 4096;

impl SignedContent {
    /// Content without gaps, and without bytes after the body.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self {
            before: bytes.len(),
            bytes: bytes.into(),
            gaps: Vec::new(),
        }
    }

    /// The bytes after the body if `behind_body`, else those before it; without the secret.
    pub fn side(&self, behind_body: bool) -> &[u8] {
        if behind_body {
            self.after()
        } else {
            self.before()
        }
    }

    /// The bytes before the body, without the secret.
    pub fn before(&self) -> &[u8] {
        self.bytes.get(..self.before).unwrap_or_default()
    }

    /// The bytes after the body, without the secret.
    pub fn after(&self) -> &[u8] {
        self.bytes.get(self.before..).unwrap_or_default()
    }

    /// Whether any byte of the content comes before or after the body.
    pub fn surrounds_body(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The pieces after the body if `behind_body`, else those before it.
    pub fn pieces(&self, behind_body: bool) -> impl Iterator<Item = Piece<'_>> {
        let (start, end) = if behind_body {
            (self.before, self.bytes.len())
        } else {
            (0, self.before)
        };
        let secrets =
            move |gap: &&Gap| gap.is_behind_body == behind_body && gap.what == Open::Secret;
        let mut from = start;
        let mut gaps = self.gaps.iter().filter(secrets).map(|gap| gap.at);
        let mut pending_secret = false;
        let mut is_over = false;
        std::iter::from_fn(move || {
            if std::mem::take(&mut pending_secret) {
                return Some(Piece::Secret);
            }
            if is_over {
                return None;
            }
            let to = gaps.next();
            (pending_secret, is_over) = (to.is_some(), to.is_none());
            let bytes = self.bytes.get(from..to.unwrap_or(end)).unwrap_or_default();
            from = to.unwrap_or(end);
            Some(Piece::Bytes(bytes))
        })
    }

    /// Puts the values and the digests of the body into their gaps, each in the order of the
    /// template's parts of its kind.
    ///
    /// # Errors
    /// `malformed_signature` where a value is missing, is neither a string nor an integer, is
    /// longer than [`MAX_VALUE`], or contains a delimiter.
    pub(crate) fn fill<'b>(
        &mut self,
        values: impl IntoIterator<Item = Value<'b>>,
        digests: &[String],
    ) -> Result<(), Refusal> {
        let (mut values, mut digests) = (values.into_iter(), digests.iter());
        let mut filled = ContentBytes::with_capacity(self.bytes.len() + 64);
        let (mut from, mut before) = (0, self.before);
        let mut gaps = Vec::new();
        for gap in &self.gaps {
            filled.extend_from_slice(self.bytes.get(from..gap.at).unwrap_or_default());
            from = gap.at;
            let text = match gap.what {
                Open::Json(delimiters) => {
                    let text = values
                        .next()
                        .and_then(|value| value.string_or_integer(MAX_VALUE))
                        .ok_or(NO_TEXT)?;
                    divided(text.as_bytes(), delimiters, NOT_DIVIDED)?;
                    Cow::Owned(text)
                }
                Open::BodyDigest => Cow::Borrowed(digests.next().ok_or(NO_TEXT)?.as_str()),
                Open::Secret => {
                    gaps.push(Gap {
                        at: filled.len(),
                        ..gap.clone()
                    });
                    continue;
                }
            };
            filled.extend_from_slice(text.as_bytes());
            if !gap.is_behind_body {
                before += text.len();
            }
        }
        filled.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        *self = Self {
            bytes: filled,
            before,
            gaps,
        };
        Ok(())
    }
}

/// The value, if it contains neither of its delimiters; else the refusal `otherwise`.
pub(super) fn divided(
    value: &[u8],
    delimiters: [Option<u8>; 2],
    otherwise: Refusal,
) -> Result<&[u8], Refusal> {
    if delimiters
        .into_iter()
        .flatten()
        .any(|byte| value.contains(&byte))
    {
        Err(otherwise)
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::json::Places;
    use crate::notation::json::Pointer;
    use crate::scheme::template::Facts;
    use crate::scheme::{PublicUrl, Template};
    use crate::wire::head::{FieldName, Found};

    /// A request without headers, as far as templates can see.
    struct Nothing;

    impl Facts for Nothing {
        fn method(&self) -> &'static str {
            "POST"
        }
        fn target(&self) -> &'static str {
            "/"
        }
        fn timestamp(&self) -> Option<&[u8]> {
            None
        }
        fn id(&self) -> Found<'_> {
            Found::Nothing
        }
        fn header(&self, _: &FieldName) -> Found<'_> {
            Found::Nothing
        }
        fn public_url(&self) -> Option<&PublicUrl> {
            None
        }
    }

    fn pieces(content: &SignedContent, behind_body: bool) -> Vec<Piece<'_>> {
        content
            .pieces(behind_body)
            .filter(|piece| *piece != Piece::Bytes(b""))
            .collect()
    }

    #[test]
    fn the_secret_stays_a_gap_and_values_of_the_body_are_put_in() {
        let template = Template::parse("a{secret}b{json:/x}c{body}{json:/y}d{secret}").unwrap();
        let mut content = template.render(&Nothing).unwrap();
        let mut places = Places::default();
        let slots: Vec<_> = template
            .pointers()
            .map(|pointer| places.add(pointer))
            .collect();
        let values = places.scan(br#"{"x":"1\u0032","y":34}"#).unwrap();
        content
            .fill(slots.iter().map(|slot| values.at(*slot)), &[])
            .unwrap();
        assert_eq!(
            pieces(&content, false),
            [Piece::Bytes(b"a"), Piece::Secret, Piece::Bytes(b"b12c")]
        );
        assert_eq!(
            pieces(&content, true),
            [Piece::Bytes(b"34d"), Piece::Secret]
        );
        assert_eq!(
            (content.before(), content.after()),
            (&b"ab12c"[..], &b"34d"[..])
        );
    }

    #[test]
    fn a_value_that_is_missing_no_text_or_not_divided_is_refused() {
        let template = Template::parse("{json:/x}.{body}").unwrap();
        let mut places = Places::default();
        let slot = places.add(&Pointer::parse("/x").unwrap());
        for body in [
            &b"{}"[..],
            br#"{"x":1.5}"#,
            br#"{"x":{}}"#,
            br#"{"x":null}"#,
            br#"{"x":"a.b"}"#,
        ] {
            let mut content = template.render(&Nothing).unwrap();
            let values = places.scan(body).unwrap();
            let refusal = content.fill([values.at(slot)], &[]).unwrap_err();
            assert_eq!(
                refusal.code,
                Code::MalformedSignature,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
