//! Twilio: the URL, followed by every form field with its value, sorted (schemes: Code; the
//! provider's own libraries, `twilio` 9.13.0 for Python and 6.2.0 for Node).
//!
//! The signature covers another body than a form by its hash, which the signed URL holds as
//! `bodySHA256`. A body with neither fields nor hash is refused. The URL may have been signed in
//! several spellings ([`spelling`]). The provider puts no separator between names and values, so two bodies can
//! have the same signed content: replay protection therefore compares the content, not the body.
//!
//! The provider signs with the account's token by HMAC-SHA1, or with a shared key by HMAC-SHA256,
//! and names the algorithm in a header that no signature covers. The secret therefore says which
//! algorithms its key is good for: `hmac-sha1:TEXT` and `hmac-sha256:TEXT` are keys of that
//! algorithm alone, a bare text is a key of both. The header chooses among these keys and never
//! adds a key.

mod spelling;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use self::spelling::Spellings;
use super::reading;
use super::reading::{BODY_NOT_SIGNED, BodyKind, NO_FORM};
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::scheme::code::{
    Begun, CodeKey, PinnedKey, ProviderCode, RouteFacts, SignRequest, Statement,
};
use crate::scheme::{Algorithm, Place, PublicUrl};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SIGNATURE: &str = "X-Twilio-Signature";
const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";
const BODY_HASH: &str = "bodySHA256";

const SEVERAL_SETTINGS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "X-Twilio-Webhooks-Signature-Settings is there more than once",
);
const NO_ALGORITHM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "X-Twilio-Webhooks-Signature-Settings does not name exactly one algorithm, HMAC_SHA1 or \
     HMAC_SHA256",
);
const SEVERAL_HASHES: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signed URL holds bodySHA256 more than once",
);
const OTHER_BODY: Refusal = Refusal::because(
    Code::BadSignature,
    "the SHA-256 of the body is not the value of bodySHA256 in the signed URL",
);

/// The prefixes that pin a secret to an algorithm.
const PINS: [(&[u8], Algorithm); 2] = [
    (b"hmac-sha1:", Algorithm::HmacSha1),
    (b"hmac-sha256:", Algorithm::HmacSha256),
];

/// Twilio's code.
#[derive(Debug)]
pub(super) struct Twilio;

impl ProviderCode for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn content_words(&self) -> &'static str {
        "the URL and the form's fields, sorted, or `bodySHA256` in the URL"
    }

    fn secret_words(&self) -> &'static str {
        "the account's auth token; `hmac-sha1:` or `hmac-sha256:` in front pins the algorithm"
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn spellings(&self) -> usize {
        spelling::MOST
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::HmacSha1
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE, SETTINGS]
    }

    fn signs_url(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Json(_))
    }

    fn keys(&self, text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        let text = text.expose();
        let pinned = PINS
            .into_iter()
            .find_map(|(pin, algorithm)| Some((text.strip_prefix(pin)?, algorithm)));
        let (key, algorithms) = match &pinned {
            Some((key, algorithm)) => (*key, std::slice::from_ref(algorithm)),
            None => (text, &[Algorithm::HmacSha1, Algorithm::HmacSha256][..]),
        };
        if key.is_empty() {
            return Err("the secret is empty");
        }
        Ok(algorithms
            .iter()
            .map(|algorithm| (*algorithm, Zeroizing::new(key.to_vec())))
            .collect())
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let algorithm = announced(head)?;
        let signature = reading::signature(head, SIGNATURE, Encoding::Base64, algorithm)?;
        Ok(Begun {
            signatures: vec![signature],
            algorithm,
            ..Begun::default()
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let urls = Spellings::of(route.public_url, head.target())?.all;
        let signed = SignedBody::of(head, body)?;
        let urls = signed.covered_by(urls)?;
        // The signature covers the fields of a form, and no JSON text.
        let text = signed.is_form.then(Vec::new);
        Ok(Statement {
            text,
            ..reading::statement(urls, signed.fields, begun)
        })
    }

    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let mut headers = Vec::new();
        if key.algorithm == Algorithm::HmacSha256 {
            headers.push((SETTINGS.to_owned(), "algorithm=HMAC_SHA256".to_owned()));
        }
        let head = reading::unsigned(request, &headers)?;
        let public_url = request.public_url.map(PublicUrl::new);
        let url = Spellings::of(public_url.as_ref(), head.target())?.received;
        let signed = SignedBody::of(&head, request.body)?;
        signed.covered_by(vec![url.clone()])?;
        Ok(reading::completed(
            headers,
            SIGNATURE,
            &[url, signed.fields].concat(),
            key,
            Encoding::Base64,
        ))
    }
}

/// The algorithm that the settings header names; HMAC-SHA1 where it names no algorithm.
fn announced(head: &Head) -> Result<Algorithm, Refusal> {
    let settings = match head.find_str(SETTINGS) {
        Found::Nothing => return Ok(Algorithm::HmacSha1),
        Found::One(settings) => settings,
        Found::Several => return Err(SEVERAL_SETTINGS),
    };
    let named = settings.split(|byte| *byte == b',').filter_map(|item| {
        let at = memchr::memchr(b'=', item)?;
        let (name, value) = item.split_at_checked(at)?;
        let value = value.get(1..)?.trim_ascii();
        (name.trim_ascii() == b"algorithm" && !value.is_empty()).then_some(value)
    });
    let mut named = named.fuse();
    match (named.next(), named.next()) {
        (None, _) => Ok(Algorithm::HmacSha1),
        (Some(name), None) if name.eq_ignore_ascii_case(b"HMAC_SHA1") => Ok(Algorithm::HmacSha1),
        (Some(name), None) if name.eq_ignore_ascii_case(b"HMAC_SHA256") => {
            Ok(Algorithm::HmacSha256)
        }
        _ => Err(NO_ALGORITHM),
    }
}

/// The part of the signed content that stands for the body.
struct SignedBody<'b> {
    body: &'b [u8],
    is_form: bool,
    /// The fields of a form, sorted, each name followed by its value.
    fields: Vec<u8>,
}

impl<'b> SignedBody<'b> {
    fn of(head: &Head, body: &'b [u8]) -> Result<Self, Refusal> {
        let is_form = match reading::body_kind(head)? {
            BodyKind::Form => true,
            BodyKind::Unsaid => body_hash(head.query().unwrap_or_default())?.is_none(),
            BodyKind::Other => false,
        };
        let mut pairs = if is_form {
            form::pairs(body).ok_or(NO_FORM)?
        } else {
            Vec::new()
        };
        pairs.sort_unstable();
        pairs.dedup();
        let fields = pairs
            .iter()
            .flat_map(|(name, value)| [name.as_slice(), value])
            .flatten()
            .copied()
            .collect();
        Ok(Self {
            body,
            is_form,
            fields,
        })
    }

    /// The spellings of the URL under which a signature covers the body: all where it has fields.
    /// Without fields the hash must cover it, even an empty body, which an attacker may have
    /// emptied. The hash is read from the very spelling that is signed.
    fn covered_by(&self, urls: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Refusal> {
        if !self.fields.is_empty() {
            return Ok(urls);
        }
        let digest: [u8; 32] = Sha256::digest(self.body).into();
        let mut covering = Vec::with_capacity(urls.len());
        let mut why = BODY_NOT_SIGNED;
        for url in urls {
            let text = std::str::from_utf8(&url).unwrap_or_default();
            let query = text.split_once('?').map_or("", |(_, query)| query);
            match body_hash(query)? {
                Some(hash) if is_hex_of(hash, &digest) => covering.push(url),
                Some(_) => why = OTHER_BODY,
                None if self.body.is_empty() => covering.push(url),
                None => {}
            }
        }
        if covering.is_empty() {
            Err(why)
        } else {
            Ok(covering)
        }
    }
}

/// The value of `bodySHA256` in a query; `None` where the query does not hold it. The name is not
/// decoded: the query is in a spelling that is signed, so an attacker cannot spell the name in
/// another way.
fn body_hash(query: &str) -> Result<Option<&str>, Refusal> {
    let values = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix(BODY_HASH)?.strip_prefix('='));
    let mut values = values.fuse();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(SEVERAL_HASHES),
    }
}

/// Whether `text` is this digest in lower-case hex.
fn is_hex_of(text: &str, digest: &[u8; 32]) -> bool {
    let mut hash = [0; 32];
    Encoding::Hex.decode(text.as_bytes(), &mut hash) == Some(hash.len())
        && digest.ct_eq(&hash).into()
}

#[cfg(test)]
mod tests;
