//! The private half of an Ed25519 key. It signs the deliveries that are made to try a route.
//!
//! The key is wiped on drop and never printed. Keys of other algorithms only verify.

use std::fmt;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::checked::Key;
use super::{PublicKey, asn1, pem};
use crate::notation::encoding::Encoding;

/// An Ed25519 key that signs.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads PEM of PKCS #8, `whsk_` and base64 of the seed (alone or followed by the public key),
    /// or 64 hex digits of the seed. White space around the text is ignored.
    ///
    /// # Errors
    /// The reason why the text is no such key, without a byte of the text. A public key that does
    /// not belong to the seed beside it is refused.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        if text.starts_with(b"-----BEGIN") {
            return Self::from_pem(text);
        }
        if let Some(text) = text.strip_prefix(b"whsk_") {
            let bytes = pem::base64(text).ok_or("what follows `whsk_` is not base64")?;
            let (seed, public) = bytes.split_at_checked(32).ok_or(LENGTH)?;
            let seed = Zeroizing::new(seed.try_into().map_err(|_| LENGTH)?);
            let public = if public.is_empty() {
                None
            } else {
                Some(public.try_into().map_err(|_| LENGTH)?)
            };
            return Self::from_seed(&seed, public);
        }
        let mut seed = Zeroizing::new([0; 32]);
        if Encoding::HexAny.decode(text, &mut *seed) == Some(32) {
            return Self::from_seed(&seed, None);
        }
        Err(
            "the signing key has none of the known forms: PEM of PKCS #8, `whsk_` and base64, or 64 hex digits",
        )
    }

    fn from_pem(text: &[u8]) -> Result<Self, &'static str> {
        let blocks = pem::blocks(text)?;
        let [block] = &blocks[..] else {
            return Err("more than one PEM block: give the private key alone");
        };
        match block.label {
            "PRIVATE KEY" => {
                let key = asn1::ed25519_private_key(&block.decoded()?).map_err(|fault| fault.0)?;
                Self::from_seed(&key.seed, key.public)
            }
            "ENCRYPTED PRIVATE KEY" => {
                Err("the private key is encrypted: decrypt it (`openssl pkey`)")
            }
            _ => Err(
                "the PEM block is no PRIVATE KEY of PKCS #8 (`openssl genpkey -algorithm ed25519` makes one)",
            ),
        }
    }

    fn from_seed(seed: &[u8; 32], public: Option<[u8; 32]>) -> Result<Self, &'static str> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        // A signature made with the public half of another key reveals the private half.
        if public.is_some_and(|public| public != key.verifying_key().to_bytes()) {
            return Err("the public key beside the private one does not belong to it");
        }
        Ok(Self(key))
    }

    /// The signature of `message` (RFC 8032 5.1.6). It is deterministic.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The public key that verifies this key's signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(Key::Ed25519(Box::new(self.0.verifying_key())))
    }
}

const LENGTH: &str =
    "what follows `whsk_` must be base64 of 32 bytes (the seed) or 64 (seed and public key)";

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}
