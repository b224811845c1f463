//! Names of header fields, and which names count as the same (contract: Before the body).

use crate::wire::rules::names::Tag;
use crate::wire::rules::{fold, is_token_byte};

/// A header name: a token (RFC 9110 5.6.2), kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldName {
    name: Box<str>,
    tag: Tag,
}

impl FieldName {
    /// The field name that `name`, in any case, spells; `None` if it is not a token.
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty() && name.bytes().all(is_token_byte)).then(|| Self {
            name: name.to_ascii_lowercase().into(),
            tag: Tag::of(name.as_bytes()),
        })
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// Whether `name` is this name, compared without regard to case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
    }

    /// Whether this name is in the list, compared without regard to case.
    pub fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name.as_bytes()))
    }

    /// Whether `name` is this name or an alias of it. An alias is equal without regard to case once
    /// every byte that is neither letter nor digit is read as `-`: CGI and WSGI receivers read such
    /// names as the same name (contract: Before the body).
    pub fn is_or_aliases(&self, name: &[u8]) -> bool {
        is_or_aliases(self.name.as_bytes(), name)
    }
}

/// Whether two names are equal or aliases of each other.
pub(super) fn is_or_aliases(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| fold(*a) == fold(*b))
}

/// The result of a look-up by name in a head or in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'h> {
    /// No line has this name. Aliases of the name alone do not count as the name.
    Nothing,
    /// Exactly one line has this name, and no alias is beside it. The value has no white space
    /// around it.
    One(&'h [u8]),
    /// Several lines have this name, or an alias is beside it.
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token_in_lower_case() {
        assert_eq!(
            FieldName::new("X-Webhook-Timestamp").unwrap().as_str(),
            "x-webhook-timestamp"
        );
        for bad in ["", "a b", "a:", "a\r", "é", "a(b", "a\0"] {
            assert_eq!(FieldName::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_alias_differs_only_in_bytes_that_are_neither_letter_nor_digit() {
        let name = FieldName::new("X-Webhook-Timestamp").unwrap();
        for alias in [
            &b"X_Webhook_Timestamp"[..],
            b"x.webhook.TIMESTAMP",
            b"X-Webhook~Timestamp",
        ] {
            assert!(name.is_or_aliases(alias) && !name.is(alias), "{alias:?}");
        }
        for other in [
            &b"XWebhookTimestamp"[..],
            b"X-Webhook-Timestamp-",
            b"X-Webhook-Timestamq",
            b"",
        ] {
            assert!(!name.is_or_aliases(other), "{other:?}");
        }
        assert!(name.is(b"x-WEBHOOK-timestamp"));
    }
}
