//! Secrets as the operator configures them: bytes that are wiped on drop and never printed.
//!
//! A secret has a name and may have a validity (contract: Secrets). `scheme::key` makes its key.

use std::fmt;

use zeroize::Zeroizing;

use crate::clock::UnixMillis;

/// The bytes of a secret: wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<Vec<u8>>);

impl SecretText {
    /// Takes ownership of the bytes, which are wiped on drop. Each clone wipes its own copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, to make a key or to set a header. They must never be shown.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A configured secret: its name, its text, and when it is active.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The name in logs, metrics and `X-Verigate-Secret`: `env:NAME`, `file:BASENAME`, `plain-N` or
    /// the operator's own.
    pub name: String,
    /// The reference as the file writes it, `file:PATH` or `cred:NAME`, where the name does not say
    /// it; only for people who read `check`.
    pub written: Option<String>,
    /// The text as configured, before any decoding into a key.
    pub text: SecretText,
    /// The first moment at which the secret is active; `None`: no lower bound.
    pub not_before: Option<UnixMillis>,
    /// The first moment at which the secret is no longer active; `None`: no upper bound.
    pub not_after: Option<UnixMillis>,
}

impl Secret {
    /// Whether the secret may prove a delivery at `wall`.
    pub fn is_active(&self, wall: UnixMillis) -> bool {
        self.validity().includes(wall)
    }

    /// The two bounds, without the text.
    pub fn validity(&self) -> Validity {
        Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// The period in which a secret, or a key made of it, is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment of the period; `None`: no lower bound.
    pub not_before: Option<UnixMillis>,
    /// The first moment after the period; `None`: no upper bound.
    pub not_after: Option<UnixMillis>,
}

impl Validity {
    /// Whether `wall` lies within the period.
    pub fn includes(self, wall: UnixMillis) -> bool {
        self.not_before.is_none_or(|from| wall >= from)
            && self.not_after.is_none_or(|end| wall < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_bound_is_in_and_the_upper_one_is_out() {
        let secret = Secret {
            name: "s".into(),
            written: None,
            text: SecretText::new(b"k".to_vec()),
            not_before: Some(UnixMillis(10)),
            not_after: Some(UnixMillis(20)),
        };
        let active: Vec<bool> = [9, 10, 19, 20]
            .map(|t| secret.is_active(UnixMillis(t)))
            .to_vec();
        assert_eq!(active, [false, true, true, false]);
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        let text = SecretText::new(b"tops3cret".to_vec());
        assert!(!format!("{text:?}").contains("s3cret"));
    }
}
