//! The texts that are answered with a MAC under the route's secret, and the three answers made so (SCHEMES 5).
//!
//! The formula is the one that signs deliveries. What keeps it from signing one: a [`Challenge`] can only be made of a
//! text of its provider's narrow form, and deliveries whose signed content has that form are refused.

use super::Handshake;
use super::asked::Reply;
use crate::key::digest::{Digest, DigestAlgorithm};
use crate::notation::encoding::Encoding;
use crate::verdict::{Code, Refusal};

/// The longest text of any form, in bytes.
pub(super) const MAX_TEXT: usize = 128;

/// A text of the form that its provider's handshake has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    formula: Formula,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Formula {
    /// `[A-Za-z0-9_-]{1,128}`
    Zoom,
    /// `[A-Za-z0-9_+/=.-]{1,128}`
    XTwitter,
    /// `[a-f0-9]{20,32}`
    Braintree,
}

const NOT_OF_FORM: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "the challenge is not of the form that this provider sends, so it is not answered with a MAC",
);

impl Challenge {
    /// Takes a text of the form that this provider sends.
    pub(super) fn new(handshake: Handshake, text: &[u8]) -> Result<Self, Refusal> {
        let formula = Formula::of(handshake).filter(|formula| formula.takes(text)).ok_or(NOT_OF_FORM)?;
        let text = std::str::from_utf8(text).map_err(|_| NOT_OF_FORM)?.to_owned();
        Ok(Self { formula, text })
    }

    /// What the MAC is made with.
    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        match self.formula {
            Formula::Zoom | Formula::XTwitter => DigestAlgorithm::HmacSha256,
            Formula::Braintree => DigestAlgorithm::HmacSha1,
        }
    }

    /// What the MAC is made of.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The answer with this MAC; `None` where it needs a public key and there is none.
    pub(super) fn reply(&self, mac: &Digest, public_key: Option<&str>) -> Option<Reply> {
        let hex = || Encoding::Hex.encode(mac.as_bytes());
        Some(match self.formula {
            Formula::Zoom => Reply::json([("plainToken", &*self.text), ("encryptedToken", &*hex())]),
            Formula::XTwitter => {
                let base64 = Encoding::Base64.encode(mac.as_bytes());
                Reply::json([("response_token", &*format!("sha256={base64}"))])
            }
            Formula::Braintree => Reply::text(format!("{}|{}", public_key?, hex())),
        })
    }
}

impl Formula {
    fn of(handshake: Handshake) -> Option<Self> {
        match handshake {
            Handshake::Zoom => Some(Self::Zoom),
            Handshake::XTwitter => Some(Self::XTwitter),
            Handshake::Braintree => Some(Self::Braintree),
            _ => None,
        }
    }

    fn takes(self, text: &[u8]) -> bool {
        let (length, takes): (_, fn(u8) -> bool) = match self {
            Self::Zoom => (1..=MAX_TEXT, |b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
            Self::XTwitter => (1..=MAX_TEXT, |b| b.is_ascii_alphanumeric() || b"_+/=.-".contains(&b)),
            Self::Braintree => (20..=32, |b| matches!(b, b'a'..=b'f' | b'0'..=b'9')),
        };
        length.contains(&text.len()) && text.iter().all(|byte| takes(*byte))
    }
}

/// Whether this handshake would answer this text with a MAC.
pub(super) fn is_text_of(handshake: Handshake, text: &[u8]) -> bool {
    Formula::of(handshake).is_some_and(|formula| formula.takes(text))
}

impl Handshake {
    /// The algorithm that a scheme must have for its key to answer this handshake; `None` where any will do.
    pub fn mac_algorithm(self) -> Option<DigestAlgorithm> {
        Formula::of(self).map(|formula| Challenge { formula, text: String::new() }.algorithm())
    }
}
