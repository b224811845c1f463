//! Private keys. They sign the deliveries that are made to try a route.
//!
//! A key is wiped on drop and never printed. For ECDSA and RSA the text of the key is kept, and
//! `ring` reads it for each signature: its own copies are not wiped, so they live no longer than
//! that.

use std::fmt;

use ed25519_dalek::Signer as _;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RsaEncoding,
};
use zeroize::Zeroizing;

use super::checked::Key;
use super::{KeyType, PublicAlgorithm, PublicKey, asn1, pem};
use crate::notation::encoding::Encoding;

/// A private key that signs: Ed25519, ECDSA with P-256, or RSA.
#[derive(Clone)]
pub struct SigningKey(Private);

#[derive(Clone)]
enum Private {
    Ed25519(ed25519_dalek::SigningKey),
    /// PKCS #8, and the public half.
    EcdsaP256(Zeroizing<Vec<u8>>, PublicKey),
    /// Likewise.
    Rsa(Zeroizing<Vec<u8>>, PublicKey),
}

impl SigningKey {
    /// Reads PEM of PKCS #8 with a key of any of the three types. Of Ed25519, also `whsk_` and
    /// base64 of the seed (alone or followed by the public key), or 64 hex digits of the seed. White
    /// space around the text is ignored.
    ///
    /// # Errors
    /// The reason why the text is no such key, without a byte of the text. A public key that does
    /// not belong to the private one beside it is refused, and so is an RSA key of fewer than 2048
    /// or more than 4096 bits.
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
            "PRIVATE KEY" => Self::from_pkcs8(block.decoded()?),
            "ENCRYPTED PRIVATE KEY" => {
                Err("the private key is encrypted: decrypt it (`openssl pkey`)")
            }
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Err(
                "the private key is not written as PKCS #8 (`openssl pkcs8 -topk8 -nocrypt` writes it so)",
            ),
            _ => Err(
                "the PEM block is no PRIVATE KEY of PKCS #8 (`openssl genpkey -algorithm ed25519` makes one)",
            ),
        }
    }

    fn from_pkcs8(bytes: Zeroizing<Vec<u8>>) -> Result<Self, &'static str> {
        match asn1::private_key_type(&bytes).map_err(|fault| fault.0)? {
            KeyType::Ed25519 => {
                let key = asn1::ed25519_private_key(&bytes).map_err(|fault| fault.0)?;
                Self::from_seed(&key.seed, key.public)
            }
            KeyType::EcdsaP256 => {
                let pair = ecdsa_pair(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes).ok_or(
                    "the ECDSA key cannot be read, or its public half is missing or of another \
                     key (`openssl pkey` writes both)",
                )?;
                let key = Key::ecdsa_p256(pair.public_key().as_ref())?;
                Ok(Self(Private::EcdsaP256(bytes, PublicKey::new(key))))
            }
            KeyType::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(&bytes).map_err(|_| {
                    "the RSA key cannot be read, or is not of two primes of the same length, 2048 \
                     to 4096 bits together, with an exponent of at least 65537"
                })?;
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                let key = Key::rsa(&public.n, &public.e)?;
                Ok(Self(Private::Rsa(bytes, PublicKey::new(key))))
            }
        }
    }

    fn from_seed(seed: &[u8; 32], public: Option<[u8; 32]>) -> Result<Self, &'static str> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        // A signature made with the public half of another key reveals the private half.
        if public.is_some_and(|public| public != key.verifying_key().to_bytes()) {
            return Err("the public key beside the private one does not belong to it");
        }
        Ok(Self(Private::Ed25519(key)))
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match &self.0 {
            Private::Ed25519(_) => KeyType::Ed25519,
            Private::EcdsaP256(..) => KeyType::EcdsaP256,
            Private::Rsa(..) => KeyType::Rsa,
        }
    }

    /// The signature of `message`, in the form that [`PublicKey::verify`] takes. That of Ed25519
    /// (RFC 8032 5.1.6) and that of RSA are the same each time; that of ECDSA is another.
    ///
    /// `None` where the key is of another type than the algorithm, or the operating system has no
    /// random bytes for ECDSA and RSA.
    pub fn sign(&self, algorithm: PublicAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        match (&self.0, algorithm) {
            (Private::Ed25519(key), PublicAlgorithm::Ed25519) => {
                Some(key.sign(message).to_bytes().to_vec())
            }
            (Private::EcdsaP256(key, _), PublicAlgorithm::EcdsaP256Der) => {
                ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, key, message)
            }
            (Private::EcdsaP256(key, _), PublicAlgorithm::EcdsaP256Raw) => {
                ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, key, message)
            }
            (Private::Rsa(key, _), PublicAlgorithm::RsaPkcs1Sha256) => {
                rsa(&RSA_PKCS1_SHA256, key, message)
            }
            (Private::Rsa(key, _), PublicAlgorithm::RsaPkcs1Sha384) => {
                rsa(&RSA_PKCS1_SHA384, key, message)
            }
            (Private::Rsa(key, _), PublicAlgorithm::RsaPkcs1Sha512) => {
                rsa(&RSA_PKCS1_SHA512, key, message)
            }
            (Private::Ed25519(_) | Private::EcdsaP256(..) | Private::Rsa(..), _) => None,
        }
    }

    /// The public key that verifies this key's signatures.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Private::Ed25519(key) => PublicKey::new(Key::Ed25519(Box::new(key.verifying_key()))),
            Private::EcdsaP256(_, public) | Private::Rsa(_, public) => public.clone(),
        }
    }
}

fn ecdsa_pair(form: &'static EcdsaSigningAlgorithm, pkcs8: &[u8]) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(form, pkcs8, &SystemRandom::new()).ok()
}

fn ecdsa(form: &'static EcdsaSigningAlgorithm, pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let signature = ecdsa_pair(form, pkcs8)?.sign(&SystemRandom::new(), message);
    Some(signature.ok()?.as_ref().to_vec())
}

fn rsa(padding: &'static dyn RsaEncoding, pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message, &mut signature)
        .ok()?;
    Some(signature)
}

const LENGTH: &str =
    "what follows `whsk_` must be base64 of 32 bytes (the seed) or 64 (seed and public key)";

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}
