//! The keys that encrypt what is stored, and how they are known.

use std::fmt;

use super::SALT;
use crate::key::digest::{Digest, DigestAlgorithm};
use crate::key::secret::SecretText;

/// What a key is made for, as HKDF has it.
const FOR_ITS_ID: &[u8] = b"verigate state: id of a key";
const FOR_A_DELIVERY: &[u8] = b"verigate state: key of a delivery";
const FOR_A_FIRST_START: &[u8] = b"verigate state: a first start with keys is under way";

/// The name of a key in what is stored: made of the key itself, so that it means the same key
/// whatever the key's file is called. It says nothing about the key. Written as four groups of hex
/// digits, which nothing takes for a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// The id of the key with these bytes.
    pub fn of(key: &SecretText) -> Self {
        let made = derived(key, &[], FOR_ITS_ID);
        // A digest is longer.
        Self(made.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.0.chunks(2).enumerate() {
            if place > 0 {
                f.write_str(":")?;
            }
            f.write_str(&hex::encode(pair))?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The keys of a store. The first one writes, all of them read. Their bytes are wiped on drop and
/// never printed.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<(KeyId, SecretText)>,
    refuses_plain: bool,
}

impl Keyring {
    /// The keys with these bytes, in this order.
    pub fn new(keys: impl IntoIterator<Item = SecretText>) -> Self {
        let keys = keys.into_iter().map(|key| (KeyId::of(&key), key));
        Self {
            keys: keys.collect(),
            refuses_plain: false,
        }
    }

    /// The same keys, for a store in which everything is encrypted: what is not is damage.
    #[must_use]
    pub fn refusing_plain(mut self, refuses_plain: bool) -> Self {
        self.refuses_plain = refuses_plain;
        self
    }

    /// Whether what is not encrypted is damage.
    pub fn refuses_plain(&self) -> bool {
        self.refuses_plain
    }

    /// The key that writes; `None`: what is stored is stored as it is.
    pub fn first(&self) -> Option<KeyId> {
        self.keys.first().map(|(id, _)| *id)
    }

    /// Whether there is a key of this id.
    pub fn has(&self, id: KeyId) -> bool {
        self.keys.iter().any(|(own, _)| *own == id)
    }

    /// The bytes that say on disk that the first start with keys is under way. Nobody makes them who
    /// has no key. `None`: there are no keys.
    pub fn first_start(&self) -> Option<Vec<u8>> {
        let (id, key) = self.keys.first()?;
        let proof = derived(key, &[], FOR_A_FIRST_START);
        Some([&id.0[..], proof.as_bytes()].concat())
    }

    /// Whether one of the keys made these bytes by [`first_start`](Self::first_start).
    pub fn made_first_start(&self, bytes: &[u8]) -> bool {
        let Some((id, proof)) = bytes.split_first_chunk() else {
            return false;
        };
        let own = self.keys.iter().find(|(own, _)| own.0 == *id);
        own.is_some_and(|(_, key)| derived(key, &[], FOR_A_FIRST_START).is(proof).into())
    }

    /// The key of one delivery: of 32 bytes; `None`: there is no key of this id.
    pub(super) fn of_delivery(&self, id: KeyId, salt: &[u8; SALT]) -> Option<Digest> {
        let (_, key) = self.keys.iter().find(|(own, _)| *own == id)?;
        Some(derived(key, salt, FOR_A_DELIVERY))
    }
}

/// HKDF-SHA-256 (RFC 5869) with one block of output. What is left of it in memory leads back to no
/// key of the configuration.
fn derived(key: &SecretText, salt: &[u8], purpose: &[u8]) -> Digest {
    let hmac = DigestAlgorithm::HmacSha256;
    let mut extract = hmac.mac(salt);
    extract.update(key.expose());
    let mut expand = hmac.mac(extract.finalize().as_bytes());
    expand.update(purpose);
    expand.update(&[1]);
    expand.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::shape::{Suspicion, concealed};

    /// RFC 5869, appendix A: test cases 1 and 3, the first 32 bytes.
    #[test]
    fn keys_are_derived_as_rfc_5869_does() {
        let rows = [
            (
                "000102030405060708090a0b0c",
                "f0f1f2f3f4f5f6f7f8f9",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                "",
                "",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        let key = SecretText::new(vec![0x0b; 22]);
        for (salt, purpose, expected) in rows {
            let [salt, purpose] = [salt, purpose].map(|text| hex::decode(text).unwrap());
            let made = derived(&key, &salt, &purpose);
            assert_eq!(hex::encode(made.as_bytes()), expected);
        }
    }

    #[test]
    fn a_first_start_is_known_by_its_keys_alone() {
        let key = |first: u8| SecretText::new(vec![first; 32]);
        let made = Keyring::new([key(1)]).first_start().unwrap();
        assert!(Keyring::new([key(2), key(1)]).made_first_start(&made));
        assert!(!Keyring::new([key(2)]).made_first_start(&made));
        assert!(!Keyring::default().made_first_start(&made));
        assert_eq!(Keyring::default().first_start(), None);
        for at in 0..made.len() {
            let mut bad = made.clone();
            bad[at] ^= 1;
            assert!(!Keyring::new([key(1)]).made_first_start(&bad), "byte {at}");
            assert!(!Keyring::new([key(1)]).made_first_start(&made[..at]));
        }
    }

    #[test]
    fn an_id_is_shown_where_secrets_are_masked() {
        let id = KeyId([0x82, 0xcb, 0x14, 0x78, 0x71, 0x5e, 0xe7, 0xa7]).to_string();
        assert_eq!(id, "82cb:1478:715e:e7a7");
        assert_eq!(concealed(&id, Suspicion::Plain), id);
    }

    #[test]
    fn debug_shows_no_byte_of_a_key() {
        let keys = Keyring::new([SecretText::new(b"tops3cret".to_vec())]);
        assert!(!format!("{keys:?}").contains("s3cret"), "{keys:?}");
    }
}
