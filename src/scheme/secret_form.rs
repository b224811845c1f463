//! The form of a provider's secrets, where it is known, and the text that a scheme expects for a
//! secret, in words (schemes: Keys and secrets).

use super::{CredentialKind, KeyEncoding, KeyForm, Kind, ProofBy, Scheme};
use crate::key::public::KeyType;

/// The form that all secrets of a provider have: their characters and their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretForm {
    /// The characters that a secret may hold.
    pub characters: Characters,
    /// The shortest and the longest length in characters, and at most 64 KiB.
    pub length: [u16; 2],
}

/// Sets of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// `ascii`: visible ASCII.
    Ascii,
    /// `url-safe`: ASCII letters, digits, `_` and `-`.
    UrlSafe,
    /// `hex`: hexadecimal digits in either case.
    Hex,
}

impl Characters {
    /// Every set.
    pub const ALL: [Self; 3] = [Self::Ascii, Self::UrlSafe, Self::Hex];

    /// The name of the set in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::UrlSafe => "url-safe",
            Self::Hex => "hex",
        }
    }

    /// The set of this name; `None` if the name is unknown.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    fn has(self, byte: u8) -> bool {
        match self {
            Self::Ascii => byte.is_ascii_graphic(),
            Self::UrlSafe => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Ascii => "visible characters of ASCII",
            Self::UrlSafe => "letters, digits, `_` and `-`",
            Self::Hex => "hexadecimal digits",
        }
    }
}

impl SecretForm {
    /// Whether a secret has this form.
    pub fn fits(self, text: &[u8]) -> bool {
        let [least, most] = self.length.map(usize::from);
        (least..=most).contains(&text.len()) && text.iter().all(|byte| self.characters.has(*byte))
    }

    /// The form in words: `1 to 256 letters, digits, …`.
    pub fn words(self) -> String {
        let [least, most] = self.length;
        let characters = self.characters.words();
        match (least, most) {
            (1, u16::MAX) => characters.to_owned(),
            (least, u16::MAX) => format!("at least {least} {characters}"),
            (least, most) if least == most => format!("{least} {characters}"),
            (least, most) => format!("{least} to {most} {characters}"),
        }
    }
}

impl Scheme {
    /// The text that this scheme expects for a secret, in words that complete "a secret of this
    /// scheme is …".
    pub fn expected_secret(&self) -> String {
        let mut ways: Vec<String> = Vec::new();
        if let ProofBy::Code(code) = &self.proof {
            ways.push(code.secret_words().to_owned());
        } else {
            for kind in self.proof.key_kinds() {
                let way = match kind {
                    Kind::Public(algorithm) => public_key(algorithm.key_type()).to_owned(),
                    Kind::Token => self.expected_credential(),
                    Kind::Digest(_) | Kind::Jwt => self.expected_shared(),
                };
                if !ways.contains(&way) {
                    ways.push(way);
                }
            }
        }
        ways.join(", or ")
    }

    fn expected_credential(&self) -> String {
        let is_basic = matches!(&self.proof, ProofBy::Credential(credential)
            if credential.kind == CredentialKind::Basic);
        match self.secret_form {
            _ if is_basic => "`user:password`".to_owned(),
            Some(form) => format!("the token itself, {}", form.words()),
            None => "the token itself, as it is sent".to_owned(),
        }
    }

    fn expected_shared(&self) -> String {
        let begins: Vec<String> = self
            .secret_begins
            .iter()
            .map(|begin| format!("`{begin}…`"))
            .collect();
        let forms: Vec<String> = self.proof.key_forms().iter().map(form_words).collect();
        match (self.secret_form, begins.as_slice()) {
            (Some(form), _) => form.words(),
            (None, []) => forms.join(", or "),
            (None, begins) => format!("{}: {}", begins.join(" or "), forms.join(", or ")),
        }
    }
}

fn form_words(form: &KeyForm) -> String {
    let text = match form.encoding {
        KeyEncoding::Utf8 | KeyEncoding::Utf8Nfkd => "a text, as the provider shows it",
        KeyEncoding::Base64 => "base64 (the standard alphabet, padded with `=`)",
        KeyEncoding::Hex => "hexadecimal digits, an even number of them",
    };
    match &form.strip {
        Some(prefix) if form.strip_required => format!("`{prefix}` and {text}"),
        Some(prefix) => format!("{text}, with or without `{prefix}` in front"),
        None => text.to_owned(),
    }
}

/// The ways in which a public key of this type is written.
const fn public_key(key: KeyType) -> &'static str {
    match key {
        KeyType::Ed25519 => {
            "a public key of Ed25519: 64 hex digits, base64 of its 32 bytes, `whpk_…`, PEM or JWK"
        }
        KeyType::EcdsaP256 => {
            "a public key of ECDSA P-256: PEM of the key or its certificate, base64 of DER, JWK or \
             JWKS"
        }
        KeyType::Rsa => {
            "a public key of RSA: PEM of the key or its certificate, base64 of DER, JWK or JWKS"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_said_in_words_and_holds_to_characters_and_length() {
        let form = |characters, length| SecretForm { characters, length };
        let rows = [
            (
                form(Characters::UrlSafe, [1, 256]),
                "a-B_9",
                "123:ABC",
                "1 to 256 letters",
            ),
            (
                form(Characters::Hex, [64, 64]),
                &"0aF1".repeat(16),
                "0a",
                "64 hexadecimal digits",
            ),
            (
                form(Characters::Ascii, [4, u16::MAX]),
                "a:b~",
                "a:~",
                "at least 4 visible",
            ),
            (
                form(Characters::Ascii, [1, u16::MAX]),
                "a",
                "a b",
                "visible",
            ),
        ];
        for (form, good, bad, words) in rows {
            assert!(form.fits(good.as_bytes()), "{good}");
            assert!(!form.fits(bad.as_bytes()) && !form.fits(b""), "{bad}");
            assert!(form.words().starts_with(words), "{}", form.words());
        }
    }
}
