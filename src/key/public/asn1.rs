//! The reader of DER: `SubjectPublicKeyInfo`, certificates, RSA public keys, Ed25519 private keys
//! and the type of any private key (RFC 5280 4.1, RFC 3279 2.3, RFC 8017 A.1.1, RFC 8410, RFC
//! 5958). [`spki`](super::spki) writes DER.
//!
//! Only the key and the dates of a certificate are read. The operator pins it, so its signature,
//! issuer, names and extensions are not checked.

use der::asn1::{
    AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UintRef, UtcTime,
};
use der::{ErrorKind, Reader, SliceReader, Tag, TagNumber, Tagged as _};
use zeroize::Zeroizing;

use super::checked::{Key, PRIVATE};
use super::spki::{EC_PUBLIC_KEY, ED25519, PRIME256V1, RSA};
use super::{KeyType, PublicKey};
use crate::clock::UnixMillis;
use crate::key::secret::Validity;

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// The reason why DER is refused, in plain words for the operator.
pub(super) struct DerError(pub(super) &'static str);

impl From<der::Error> for DerError {
    fn from(error: der::Error) -> Self {
        Self(match error.kind() {
            ErrorKind::Incomplete { .. } => "the key's DER is cut off",
            ErrorKind::TrailingData { .. } => "something follows the key's DER",
            _ => "the key's DER cannot be read",
        })
    }
}

/// The key of a `SubjectPublicKeyInfo` or of a certificate. The bytes show which of the two they
/// are.
pub(super) fn key_or_certificate(bytes: &[u8]) -> Result<PublicKey, DerError> {
    // SEQUENCE { SEQUENCE { OBJECT IDENTIFIER … is a SubjectPublicKeyInfo, and SEQUENCE { SEQUENCE
    // { with any other element a certificate. SEQUENCE { INTEGER … is a private key if the number
    // has a single byte (its version), and a bare RSA key if it has more (its modulus).
    let outer = AnyRef::try_from(bytes)?;
    let inner = first(outer.value())?;
    if inner.tag() == Tag::Integer {
        return Err(DerError(match inner.value() {
            [_] => PRIVATE,
            _ => "the DER is a bare RSA key: write it as PEM, or as a SubjectPublicKeyInfo",
        }));
    }
    if first(inner.value())?.tag() == Tag::ObjectIdentifier {
        public_key(bytes)
    } else {
        certificate(bytes)
    }
}

/// The first element within a constructed value.
fn first(bytes: &[u8]) -> Result<AnyRef<'_>, DerError> {
    Ok(SliceReader::new(bytes)?.decode()?)
}

/// The key of a `SubjectPublicKeyInfo`.
pub(super) fn public_key(bytes: &[u8]) -> Result<PublicKey, DerError> {
    whole(bytes, |reader| Ok(PublicKey::new(key_info(reader)?)))
}

/// The key and the dates of a certificate.
pub(super) fn certificate(bytes: &[u8]) -> Result<PublicKey, DerError> {
    whole(bytes, |reader| {
        reader.sequence(|reader| {
            let key = reader.sequence(to_be_signed)?;
            let _signature_algorithm = any(reader)?;
            let _signature: BitStringRef<'_> = reader.decode()?;
            Ok(key)
        })
    })
}

fn to_be_signed<'r>(reader: &mut SliceReader<'r>) -> Result<PublicKey, DerError> {
    let version_or_serial = any(reader)?;
    if version_or_serial.tag() != Tag::Integer {
        let _serial = any(reader)?;
    }
    let _signature_algorithm = any(reader)?;
    let _issuer = any(reader)?;
    let validity = reader.sequence(|reader: &mut SliceReader<'r>| {
        let not_before = seconds(reader)?;
        let not_after = seconds(reader)?;
        if not_after < not_before {
            return Err(DerError("the certificate's last date is before its first"));
        }
        Ok(Validity {
            not_before: Some(UnixMillis::from_secs(not_before)),
            // The last second belongs to the validity (RFC 5280 4.1.2.5).
            not_after: Some(UnixMillis::from_secs(not_after + 1)),
        })
    })?;
    let _subject = any(reader)?;
    let key = key_info(reader)?;
    while !reader.is_finished() {
        any(reader)?;
    }
    Ok(PublicKey {
        validity,
        ..PublicKey::new(key)
    })
}

/// A date of a certificate, in seconds since 1970.
fn seconds(reader: &mut SliceReader<'_>) -> Result<i64, DerError> {
    const DATES: DerError = DerError("the certificate's dates cannot be read, or lie before 1970");
    let date = any(reader)?;
    let since = if date.tag() == Tag::UtcTime {
        date.decode_as::<UtcTime>()
            .map(|date| date.to_unix_duration())
    } else {
        date.decode_as::<GeneralizedTime>()
            .map(|date| date.to_unix_duration())
    };
    since
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .ok_or(DATES)
}

fn key_info<'r>(reader: &mut SliceReader<'r>) -> Result<Key, DerError> {
    reader.sequence(|reader: &mut SliceReader<'r>| {
        let (algorithm, parameters) = algorithm(reader)?;
        let bits: BitStringRef<'_> = reader.decode()?;
        let bits = bits
            .as_bytes()
            .ok_or(DerError("the key's DER cannot be read"))?;
        match algorithm {
            ED25519 if parameters.is_none() => Key::ed25519(bits).map_err(DerError),
            EC_PUBLIC_KEY => match parameters.map(AnyRef::decode_as::<ObjectIdentifier>) {
                Some(Ok(PRIME256V1)) => Key::ecdsa_p256(bits).map_err(DerError),
                _ => Err(CURVE),
            },
            RSA if parameters.is_none_or(AnyRef::is_null) => rsa_public_key(bits),
            RSA_PSS => Err(PSS),
            ED25519 | RSA => Err(DerError("the key's DER cannot be read")),
            _ => Err(TYPE),
        }
    })
}

const CURVE: DerError =
    DerError("the key is of an unsupported curve: P-256 alone is supported for ECDSA");
const PSS: DerError = DerError("the key is for RSASSA-PSS alone, which is not supported");
const TYPE: DerError =
    DerError("the key is of an unsupported type: Ed25519, ECDSA P-256 and RSA are supported");

fn algorithm<'r>(
    reader: &mut SliceReader<'r>,
) -> Result<(ObjectIdentifier, Option<AnyRef<'r>>), DerError> {
    reader.sequence(|reader: &mut SliceReader<'r>| {
        let algorithm = reader.decode()?;
        let parameters = if reader.is_finished() {
            None
        } else {
            Some(any(reader)?)
        };
        Ok((algorithm, parameters))
    })
}

/// The key of an `RSAPublicKey`.
pub(super) fn rsa_public_key(bytes: &[u8]) -> Result<Key, DerError> {
    whole(bytes, |reader| {
        reader.sequence(|reader: &mut SliceReader<'_>| {
            let modulus: UintRef<'_> = reader.decode()?;
            let exponent: UintRef<'_> = reader.decode()?;
            Key::rsa(modulus.as_bytes(), exponent.as_bytes()).map_err(DerError)
        })
    })
}

/// The type of a private key of PKCS #8 (RFC 5958 2). Its numbers are not read.
pub(super) fn private_key_type(bytes: &[u8]) -> Result<KeyType, DerError> {
    whole(bytes, |reader| {
        reader.sequence(|reader: &mut SliceReader<'_>| {
            let _version: u8 = reader.decode()?;
            let (algorithm, parameters) = algorithm(reader)?;
            while !reader.is_finished() {
                any(reader)?;
            }
            match algorithm {
                ED25519 => Ok(KeyType::Ed25519),
                EC_PUBLIC_KEY => match parameters.map(AnyRef::decode_as::<ObjectIdentifier>) {
                    Some(Ok(PRIME256V1)) => Ok(KeyType::EcdsaP256),
                    _ => Err(CURVE),
                },
                RSA => Ok(KeyType::Rsa),
                RSA_PSS => Err(PSS),
                _ => Err(TYPE),
            }
        })
    })
}

/// The content of an Ed25519 private key in PKCS #8: its seed, and its public key if it is written
/// beside it.
pub(super) struct Ed25519Private {
    pub(super) seed: Zeroizing<[u8; 32]>,
    pub(super) public: Option<[u8; 32]>,
}

/// Reads an Ed25519 private key of PKCS #8 (RFC 8410 7).
pub(super) fn ed25519_private_key(bytes: &[u8]) -> Result<Ed25519Private, DerError> {
    whole(bytes, |reader| {
        reader.sequence(|reader: &mut SliceReader<'_>| {
            let _version: u8 = reader.decode()?;
            if algorithm(reader)? != (ED25519, None) {
                return Err(DerError("the private key is not an Ed25519 key"));
            }
            let wrapped: &OctetStringRef = reader.decode()?;
            let seed = whole(wrapped.as_bytes(), |reader| {
                let seed: &OctetStringRef = reader.decode()?;
                seed.as_bytes()
                    .try_into()
                    .map(Zeroizing::new)
                    .map_err(|_| DerError("an Ed25519 seed has 32 bytes"))
            })?;
            let mut public = None;
            while !reader.is_finished() {
                let field = any(reader)?;
                // The public key is [1] IMPLICIT BIT STRING: the count of unused bits, then the
                // key.
                if let Tag::ContextSpecific {
                    number: TagNumber(1),
                    ..
                } = field.tag()
                {
                    let key = field
                        .value()
                        .strip_prefix(&[0])
                        .and_then(|key| key.try_into().ok());
                    public = Some(key.ok_or(DerError("the key's DER cannot be read"))?);
                }
            }
            Ok(Ed25519Private { seed, public })
        })
    })
}

fn any<'r>(reader: &mut SliceReader<'r>) -> Result<AnyRef<'r>, DerError> {
    Ok(reader.decode()?)
}

/// Reads an element that must fill `bytes` to the end.
fn whole<'r, T>(
    bytes: &'r [u8],
    read: impl FnOnce(&mut SliceReader<'r>) -> Result<T, DerError>,
) -> Result<T, DerError> {
    let mut reader = SliceReader::new(bytes)?;
    let read = read(&mut reader)?;
    reader.finish()?;
    Ok(read)
}
