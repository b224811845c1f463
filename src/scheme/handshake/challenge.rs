//! The texts that are answered with a MAC under the route's secret (schemes: Handshakes).
//!
//! The formula that answers is also the formula that signs deliveries. Two rules keep the answers
//! from signing a delivery: a [`Challenge`] can only be made of a text of its provider's narrow
//! form, and deliveries whose signed content has that form are refused.

use std::ops::RangeInclusive;

use super::{Handshake, Reply};
use crate::key::digest::{Digest, DigestAlgorithm};
use crate::verdict::{Code, Refusal};

/// The longest text of any form, in bytes.
pub const MAX_TEXT: usize = 128;

/// How a provider's handshake is answered with a MAC.
#[derive(Debug)]
pub struct Formula {
    /// The algorithm of the MAC.
    pub algorithm: DigestAlgorithm,
    /// The lengths that the provider's text may have, in bytes, at most [`MAX_TEXT`].
    pub lengths: RangeInclusive<usize>,
    /// The bytes that the provider's text may hold, all of them ASCII.
    pub takes_byte: fn(u8) -> bool,
    /// The answer to a text, from the text, its MAC and the route's public key; `None` where the
    /// answer names a public key and the route does not have it.
    pub reply: fn(&str, &Digest, Option<&str>) -> Option<Reply>,
}

impl Formula {
    /// Whether this text is answered.
    pub fn takes(&self, text: &[u8]) -> bool {
        text.len() <= MAX_TEXT
            && self.lengths.contains(&text.len())
            && text.iter().all(|byte| (self.takes_byte)(*byte))
    }
}

/// A text of the form that its provider's handshake has.
#[derive(Clone, Debug)]
pub struct Challenge {
    formula: &'static Formula,
    text: String,
}

const NOT_OF_FORM: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "the challenge is not of the form that this provider sends, so it is not answered with a MAC",
);

impl Challenge {
    /// Takes a text of the form that the provider sends.
    ///
    /// # Errors
    /// `malformed_handshake` for any other text.
    pub fn new(handshake: &dyn Handshake, text: &[u8]) -> Result<Self, Refusal> {
        // By the handshake's own formula, so that whatever is answered is also forbidden to deliveries.
        let formula = handshake
            .formula()
            .filter(|formula| formula.takes(text))
            .ok_or(NOT_OF_FORM)?;
        let text = std::str::from_utf8(text)
            .map_err(|_| NOT_OF_FORM)?
            .to_owned();
        Ok(Self { formula, text })
    }

    /// The algorithm of the MAC.
    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        self.formula.algorithm
    }

    /// The text under the MAC.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The answer with this MAC; `None` where it names a public key and there is no such key.
    pub(crate) fn reply(&self, mac: &Digest, public_key: Option<&str>) -> Option<Reply> {
        (self.formula.reply)(&self.text, mac, public_key)
    }
}
