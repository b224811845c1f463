//! HMAC states with the key already absorbed: made once per secret, cloned per delivery (SCHEMES 1, `algorithm`).
//!
//! The algorithm is the scheme's and never taken from the wire. MD5 is not offered.

use std::fmt;

use hmac::digest::FixedOutput as _;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use crate::verify::encoding::Encoding;

/// The longest digest, in bytes.
const MAX_DIGEST: usize = 64;

/// A signature's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha1`
    HmacSha1,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::HmacSha256, Self::HmacSha1, Self::HmacSha384, Self::HmacSha512];

    /// Its name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The length of its digest in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// Absorbs a key. Any length is taken, an empty one too: that it has bytes at all is for the caller to see to.
    pub fn mac(self, key: &[u8]) -> Mac {
        Mac(match self {
            Self::HmacSha1 => State::Sha1(keyed(key)),
            Self::HmacSha256 => State::Sha256(keyed(key)),
            Self::HmacSha384 => State::Sha384(keyed(key)),
            Self::HmacSha512 => State::Sha512(keyed(key)),
        })
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 2); the error exists for other MACs")]
fn keyed<H: hmac::KeyInit>(key: &[u8]) -> H {
    H::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// An HMAC under way. Wiped on drop, shown by nothing.
#[derive(Clone)]
pub struct Mac(State);

#[derive(Clone)]
enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Mac {
    /// Takes in more of the signed content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(mac) => mac.update(bytes),
            State::Sha256(mac) => mac.update(bytes),
            State::Sha384(mac) => mac.update(bytes),
            State::Sha512(mac) => mac.update(bytes),
        }
    }

    /// Whether the content taken in has this digest, in constant time for digests of the right length.
    pub fn verify(self, expected: &[u8]) -> bool {
        self.finalize().as_bytes().ct_eq(expected).into()
    }

    /// The digest of the content taken in.
    pub fn finalize(self) -> Digest {
        match self.0 {
            State::Sha1(mac) => Digest::copied(&mac.finalize_fixed()),
            State::Sha256(mac) => Digest::copied(&mac.finalize_fixed()),
            State::Sha384(mac) => Digest::copied(&mac.finalize_fixed()),
            State::Sha512(mac) => Digest::copied(&mac.finalize_fixed()),
        }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(hidden)")
    }
}

/// A digest, computed or received, without an allocation.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl Digest {
    /// Decodes a received digest; `None` where `text` is not its one spelling or it is not `algorithm`'s length.
    pub fn decode(algorithm: Algorithm, encoding: Encoding, text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_DIGEST];
        let len = encoding.decode(text, &mut bytes)?;
        (len == algorithm.digest_len()).then_some(Self { bytes, len })
    }

    fn copied(digest: &[u8]) -> Self {
        let mut bytes = [0; MAX_DIGEST];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = *from;
            len += 1;
        }
        Self { bytes, len }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

// A digest that we computed is the signature that a forger is after.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_algorithm() {
        assert_eq!(Algorithm::ALL.map(|a| Algorithm::named(a.name())), Algorithm::ALL.map(Some));
    }

    #[test]
    fn the_digests_are_those_of_rfc_2202_and_rfc_4231() {
        // Test case 2 of both: key "Jefe", data "what do ya want for nothing?".
        let rows = [
            (Algorithm::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::HmacSha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::HmacSha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, expected) in rows {
            let mut mac = algorithm.mac(b"Jefe");
            mac.update(b"what do ya want ");
            mac.update(b"for nothing?");
            assert_eq!(hex::encode(mac.clone().finalize().as_bytes()), expected, "{}", algorithm.name());
            assert_eq!(expected.len(), 2 * algorithm.digest_len());
            let received = Digest::decode(algorithm, Encoding::Hex, expected.as_bytes()).unwrap();
            assert!(mac.clone().verify(received.as_bytes()));
            assert!(!mac.clone().verify(&received.as_bytes()[1..]), "a shorter digest is none");
            assert!(!mac.verify(b""));
        }
    }

    #[test]
    fn a_digest_of_another_length_is_not_decoded() {
        for (digits, is_one) in
            [(62, false), (63, false), (64, true), (65, false), (66, false), (0, false), (128, false)]
        {
            let text = "a".repeat(digits);
            let digest = Digest::decode(Algorithm::HmacSha256, Encoding::Hex, text.as_bytes());
            assert_eq!(digest.is_some(), is_one, "{digits} digits");
        }
    }

    #[test]
    fn debug_shows_neither_state_nor_digest() {
        let mac = Algorithm::HmacSha256.mac(b"key");
        assert_eq!(format!("{mac:?} {:?}", mac.clone().finalize()), "Mac(hidden) Digest(hidden)");
    }
}
