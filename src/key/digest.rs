//! Digests under a shared secret (schemes: Algorithms): hash states that have absorbed the key
//! already. They are made once for each secret and cloned for each delivery.

use std::borrow::Cow;
use std::fmt;

use hmac::Hmac;
use hmac::digest::{FixedOutput as _, Update as _};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq as _};

/// The longest digest, in bytes.
const MAX_DIGEST: usize = 64;

/// The algorithms whose result both sides compute and compare: HMACs and plain hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-1.
    HmacSha1,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// SHA-256 without a key.
    Sha256,
    /// SHA-1 without a key.
    Sha1,
}

impl DigestAlgorithm {
    /// The length of its digest in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::HmacSha1 | Self::Sha1 => 20,
            Self::HmacSha256 | Self::Sha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// The key that HMAC uses for `key`: the hash of a key that is longer than the hash's block, else
    /// the key itself (RFC 2104 2). A plain hash uses its secret as it is.
    pub fn used_key(self, key: &[u8]) -> Cow<'_, [u8]> {
        use sha2::Digest as _;
        let hashed = match self {
            Self::HmacSha1 if key.len() > 64 => Sha1::digest(key).to_vec(),
            Self::HmacSha256 if key.len() > 64 => Sha256::digest(key).to_vec(),
            Self::HmacSha384 if key.len() > 128 => Sha384::digest(key).to_vec(),
            Self::HmacSha512 if key.len() > 128 => Sha512::digest(key).to_vec(),
            _ => return Cow::Borrowed(key),
        };
        Cow::Owned(hashed)
    }

    /// A state that has absorbed `key`. Every length is accepted, zero included; `scheme::key`
    /// refuses empty keys before. A plain hash absorbs no key: its secret is part of the content.
    pub fn mac(self, key: &[u8]) -> Mac {
        Mac(match self {
            Self::HmacSha1 => State::HmacSha1(keyed(key)),
            Self::HmacSha256 => State::HmacSha256(keyed(key)),
            Self::HmacSha384 => State::HmacSha384(Box::new(keyed(key))),
            Self::HmacSha512 => State::HmacSha512(Box::new(keyed(key))),
            Self::Sha256 => State::Sha256(Sha256::default()),
            Self::Sha1 => State::Sha1(Sha1::default()),
        })
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length (RFC 2104 2); the error exists for other MACs"
)]
fn keyed<H: hmac::KeyInit>(key: &[u8]) -> H {
    H::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// A digest in the making. Its state is wiped on drop and never printed.
#[derive(Clone)]
pub struct Mac(State);

#[derive(Clone)]
enum State {
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    // Boxed, since they are twice as large as the others and rare.
    HmacSha384(Box<Hmac<Sha384>>),
    HmacSha512(Box<Hmac<Sha512>>),
    Sha256(Sha256),
    Sha1(Sha1),
}

impl Mac {
    /// Hashes more of the signed content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::HmacSha1(mac) => hmac::Mac::update(mac, bytes),
            State::HmacSha256(mac) => hmac::Mac::update(mac, bytes),
            State::HmacSha384(mac) => hmac::Mac::update(&mut **mac, bytes),
            State::HmacSha512(mac) => hmac::Mac::update(&mut **mac, bytes),
            State::Sha256(hash) => hash.update(bytes),
            State::Sha1(hash) => hash.update(bytes),
        }
    }

    /// Whether the content hashed so far has the digest `expected`. The comparison takes constant
    /// time if `expected` has the right length.
    pub fn verify(self, expected: &[u8]) -> bool {
        self.finalize().is(expected).into()
    }

    /// The digest of the content hashed so far.
    pub fn finalize(self) -> Digest {
        match self.0 {
            State::HmacSha1(mac) => Digest::copied(&mac.finalize_fixed()),
            State::HmacSha256(mac) => Digest::copied(&mac.finalize_fixed()),
            // A box wipes its state on drop; a state moved out of it would leave its bytes behind.
            State::HmacSha384(mac) => Digest::copied(&Hmac::clone(&mac).finalize_fixed()),
            State::HmacSha512(mac) => Digest::copied(&Hmac::clone(&mac).finalize_fixed()),
            State::Sha256(hash) => Digest::copied(&hash.finalize_fixed()),
            State::Sha1(hash) => Digest::copied(&hash.finalize_fixed()),
        }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(hidden)")
    }
}

/// A finished digest of up to 64 bytes, held without an allocation.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl Digest {
    fn copied(digest: &[u8]) -> Self {
        let mut bytes = [0; MAX_DIGEST];
        if let Some(to) = bytes.get_mut(..digest.len()) {
            to.copy_from_slice(digest);
        }
        Self {
            bytes,
            len: digest.len(),
        }
    }

    /// The digest's bytes, as many as its algorithm gives.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether this digest is `other`. The time taken depends on the lengths alone. Words are
    /// compared, since each comparison in constant time costs the same for a byte as for eight.
    pub fn is(&self, other: &[u8]) -> Choice {
        let own = self.as_bytes();
        if own.len() != other.len() {
            return Choice::from(0);
        }
        let ((own, own_rest), (other, other_rest)) = (own.as_chunks(), other.as_chunks());
        let words = own.iter().zip(other);
        words.fold(own_rest.ct_eq(other_rest), |all, (own, other)| {
            all & u64::from_le_bytes(*own).ct_eq(&u64::from_le_bytes(*other))
        })
    }
}

// A digest that we computed is the signature that a forger needs, so it is not printed.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_of_rfc_2202_and_rfc_4231() {
        // Test case 2 of both: key "Jefe", data "what do ya want for nothing?".
        let rows = [
            (
                DigestAlgorithm::HmacSha1,
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                DigestAlgorithm::HmacSha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                DigestAlgorithm::HmacSha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                DigestAlgorithm::HmacSha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, expected) in rows {
            let mut mac = algorithm.mac(b"Jefe");
            mac.update(b"what do ya want ");
            mac.update(b"for nothing?");
            assert_eq!(
                hex::encode(mac.clone().finalize().as_bytes()),
                expected,
                "{algorithm:?}"
            );
            assert_eq!(expected.len(), 2 * algorithm.len());
            let received = hex::decode(expected).unwrap();
            assert!(mac.clone().verify(&received));
            assert!(
                !mac.clone().verify(&received[1..]),
                "a shorter digest is none"
            );
            assert!(!mac.verify(b""));
        }
    }

    #[test]
    fn a_digest_is_no_other_bytes() {
        for algorithm in [
            DigestAlgorithm::Sha1,
            DigestAlgorithm::Sha256,
            DigestAlgorithm::HmacSha384,
            DigestAlgorithm::HmacSha512,
        ] {
            let digest = algorithm.mac(b"key").finalize();
            let right = digest.as_bytes();
            assert!(bool::from(digest.is(right)), "{algorithm:?}");
            for at in 0..right.len() {
                for bit in 0..8 {
                    let mut wrong = right.to_vec();
                    wrong[at] ^= 1 << bit;
                    assert!(!bool::from(digest.is(&wrong)), "{algorithm:?} {at} {bit}");
                }
                assert!(!bool::from(digest.is(&right[..at])), "{algorithm:?} {at}");
            }
            let longer = [right, &[0]].concat();
            assert!(!bool::from(digest.is(&longer)), "{algorithm:?}");
        }
    }

    #[test]
    fn a_key_beyond_the_block_is_used_as_its_hash() {
        let rows = [
            (DigestAlgorithm::HmacSha1, 64),
            (DigestAlgorithm::HmacSha256, 64),
            (DigestAlgorithm::HmacSha384, 128),
            (DigestAlgorithm::HmacSha512, 128),
        ];
        let long = [b'k'; 129];
        for (algorithm, block) in rows {
            let fits = &long[..block];
            assert_eq!(algorithm.used_key(fits), fits, "{algorithm:?}");
            let beyond = &long[..=block];
            let used = algorithm.used_key(beyond);
            assert_eq!(used.len(), algorithm.len(), "{algorithm:?}");
            // Both are the same key to HMAC itself.
            let mut mac = algorithm.mac(&used);
            mac.update(b"content");
            let mut same = algorithm.mac(beyond);
            same.update(b"content");
            assert_eq!(
                mac.finalize().as_bytes(),
                same.finalize().as_bytes(),
                "{algorithm:?}"
            );
        }
        assert_eq!(DigestAlgorithm::Sha256.used_key(&long), &long[..]);
    }

    #[test]
    fn a_plain_hash_absorbs_no_key() {
        // FIPS 180-4's example "abc".
        let rows = [
            (
                DigestAlgorithm::Sha1,
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            (
                DigestAlgorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ];
        for (algorithm, expected) in rows {
            let mut hash = algorithm.mac(b"key");
            hash.update(b"a");
            hash.update(b"bc");
            assert_eq!(
                hex::encode(hash.finalize().as_bytes()),
                expected,
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn debug_shows_neither_state_nor_digest() {
        let mac = DigestAlgorithm::HmacSha256.mac(b"key");
        assert_eq!(
            format!("{mac:?} {:?}", mac.clone().finalize()),
            "Mac(hidden) Digest(hidden)"
        );
    }
}
