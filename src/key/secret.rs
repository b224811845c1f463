//! What the operator configures to verify with: bytes that are wiped on drop and print nothing.
//!
//! A secret has a name and may have a validity (SPEC 5). Its key is made in `scheme::key`.

use std::fmt;

use zeroize::Zeroizing;

use crate::clock::UnixMillis;

/// Secret bytes: wiped on drop, shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<Vec<u8>>);

impl SecretText {
    /// Takes the bytes over; they are wiped when the last owner drops them.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for making a key or setting a header; never for showing.
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
    /// What logs, metrics and `X-Verigate-Secret` call it: `env:NAME`, `file:BASENAME`, `plain-N` or the operator's name.
    pub name: String,
    /// The text as configured, before any decoding into a key.
    pub text: SecretText,
    /// Active from this moment on, that moment included.
    pub not_before: Option<UnixMillis>,
    /// Active before this moment, that moment excluded.
    pub not_after: Option<UnixMillis>,
}

impl Secret {
    /// Whether the secret may prove a delivery at `wall`.
    pub fn is_active(&self, wall: UnixMillis) -> bool {
        self.validity().includes(wall)
    }

    /// When it is active, without the text.
    pub fn validity(&self) -> Validity {
        Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// When a secret, or the key made of it, is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From this moment on, that moment included.
    pub not_before: Option<UnixMillis>,
    /// Before this moment, that moment excluded.
    pub not_after: Option<UnixMillis>,
}

impl Validity {
    /// Whether `wall` lies within it.
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
