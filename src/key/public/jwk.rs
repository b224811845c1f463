//! JSON Web Keys and sets of them (RFC 7517; RFC 7518 6, RFC 8037 2).
//!
//! Only the members of the key itself are read. Certificates within it and URLs to them (`x5c`,
//! `x5u`, `jku`) are ignored. In a set, a key that says it is not for signatures is left out,
//! because providers mix such keys in. Any other key that cannot be used is a fault: deliveries
//! signed with it would be refused, and the operator would not learn why.

use serde_json::{Map, Value};

use super::checked::{Key, PRIVATE};
use super::{PublicAlgorithm, PublicKey};
use crate::notation::encoding::Encoding;

type Object = Map<String, Value>;

/// The private members of all key types except the symmetric key, whose member is `k`.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// All keys for signatures in a JWK or a JWK Set.
pub(super) fn keys(text: &[u8]) -> Result<Vec<PublicKey>, &'static str> {
    let Ok(Value::Object(object)) = serde_json::from_slice(text) else {
        return Err("the text begins like a JWK but is not JSON");
    };
    let Some(set) = object.get("keys") else {
        return Ok(vec![key(&object)?.ok_or(
            "the JWK is not for signatures: its `use` or `key_ops` says so",
        )?]);
    };
    let mut keys = Vec::new();
    for member in set.as_array().ok_or("the JWK Set's `keys` is not a list")? {
        keys.extend(key(member
            .as_object()
            .ok_or("the JWK Set's `keys` holds something that is no JWK")?)?);
    }
    if keys.is_empty() {
        Err("the JWK Set holds no key for signatures")
    } else {
        Ok(keys)
    }
}

/// The key of a JWK; `None` if the JWK says that it is not for signatures.
fn key(object: &Object) -> Result<Option<PublicKey>, &'static str> {
    if PRIVATE_MEMBERS
        .iter()
        .any(|member| object.contains_key(*member))
    {
        return Err(PRIVATE);
    }
    if object.contains_key("k") || object.get("kty").is_some_and(|kty| kty == "oct") {
        return Err("the JWK is a symmetric secret: a public key is needed here");
    }
    if !is_for_signatures(object)? {
        return Ok(None);
    }
    let key = match text(object, "kty")? {
        Some("OKP") => match text(object, "crv")? {
            Some("Ed25519") => Key::ed25519(&number(object, "x")?)?,
            _ => {
                return Err(
                    "the JWK is of an unsupported curve: Ed25519 alone is supported for OKP",
                );
            }
        },
        Some("EC") => match text(object, "crv")? {
            Some("P-256") => {
                // Each coordinate is 32 bytes long, zeros in front included (RFC 7518 6.2.1.2).
                let (x, y) = (number(object, "x")?, number(object, "y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err("the JWK's `x` and `y` must be 32 bytes each");
                }
                Key::ecdsa_p256(&[&[4], &x[..], &y].concat())?
            }
            _ => return Err("the JWK is of an unsupported curve: P-256 alone is supported for EC"),
        },
        Some("RSA") => Key::rsa(&number(object, "n")?, &number(object, "e")?)?,
        _ => return Err("the JWK is of an unsupported type: `kty` must be OKP, EC or RSA"),
    };
    let only = match (&key, text(object, "alg")?) {
        (_, None)
        | (Key::Ed25519(_), Some("EdDSA" | "Ed25519"))
        // ES256 names the curve and the hash but leaves the encoding of signatures open here:
        // providers sign in DER with such keys too.
        | (Key::EcdsaP256(_), Some("ES256")) => None,
        (Key::Rsa { .. }, Some("RS256")) => Some(PublicAlgorithm::RsaPkcs1Sha256),
        (Key::Rsa { .. }, Some("RS384")) => Some(PublicAlgorithm::RsaPkcs1Sha384),
        (Key::Rsa { .. }, Some("RS512")) => Some(PublicAlgorithm::RsaPkcs1Sha512),
        (_, Some(_)) => {
            return Err("the JWK's `alg` does not fit its type: \
                        EdDSA for Ed25519, ES256 for P-256, RS256, RS384 or RS512 for RSA");
        }
    };
    let key_id = text(object, "kid")?.map(Into::into);
    Ok(Some(PublicKey {
        key_id,
        only,
        ..PublicKey::new(key)
    }))
}

fn is_for_signatures(object: &Object) -> Result<bool, &'static str> {
    let by_use = text(object, "use")?.is_none_or(|usage| usage == "sig");
    let by_operations = match object.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => return Err("the JWK's `key_ops` is not a list"),
    };
    Ok(by_use && by_operations)
}

/// The value of an optional member, which must be text.
fn text<'o>(object: &'o Object, member: &str) -> Result<Option<&'o str>, &'static str> {
    match object.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("the JWK has a member that is not text but must be"),
    }
}

/// The number in a required member: base64url of its big-endian bytes.
fn number(object: &Object, member: &str) -> Result<Vec<u8>, &'static str> {
    let text =
        text(object, member)?.ok_or("the JWK lacks a member of its key: `x`, `y`, `n` or `e`")?;
    let mut bytes = vec![0; text.len()];
    let len = Encoding::Base64Url.decode(text.as_bytes(), &mut bytes);
    bytes.truncate(len.ok_or("the JWK's key is not base64url without padding")?);
    Ok(bytes)
}
