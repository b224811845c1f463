//! Signing: the headers that make a body a valid delivery of a scheme (contract: Command line).
//!
//! Template and key are those of the verifier, so the signed content is also the verified content.
//! A signature that belongs in the body is not written, since the caller's body stays as it is:
//! [`SignError::Place`] says which text belongs where. Private keys of all three types sign.
//!
//! What enters: the making of signatures for `verigate sign`, the demo and tests, and of those by
//! which an app knows what the gateway has proved. May import:
//! [`crate::verify`] and the rooms below it.

mod in_query;
mod listed;
mod name;
mod outgoing;
mod private;
mod resign;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use zeroize::Zeroizing;

pub use self::in_query::SignedRequest;
use self::in_query::with_signature;
use self::listed::listed;
pub use self::name::canonical;
use self::outgoing::Outgoing;
pub use self::private::public_half;
use self::private::{NO_SIGNATURE, chosen, privately, signing_key};
pub use self::resign::{Resigned, Resigner};
use crate::key::secret::{Secret, SecretText};
use crate::notation::encoding::Encoding;
use crate::notation::form::Said;
use crate::notation::json::{Places, Pointer};
use crate::scheme::code::CodeKey;
pub use crate::scheme::code::SignRequest;
use crate::scheme::content::{Piece, SignedContent};
use crate::scheme::form_fields;
use crate::scheme::refusals::NO_PUBLIC_URL;
use crate::scheme::template::Facts as _;
use crate::scheme::{
    CredentialKind, CredentialScheme, KeyForm, Kind, Part, Place, ProofBy, ProviderCode, PublicUrl,
    Scheme, TemplateScheme, TimestampPlace, TokenScheme,
};
use crate::verdict::{Code, Refusal};
use crate::verify::jwt::Covered;
use crate::verify::verifier::KeyError;
use crate::wire::head::{FieldName, Found};

/// A reason why a request cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The secret is not a key of this scheme.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The time of signing is before 1970.
    #[error("the time to sign at lies before 1970")]
    Time,
    /// The id cannot be a header's value.
    #[error("the event id is empty, begins or ends with white space, or holds a control character")]
    Id,
    /// The scheme signs this header, and the request does not have it.
    #[error("the scheme signs the header `{0}`, which is not given")]
    Header(String),
    /// The signature belongs in the body, which is not changed, in a form that is the provider's
    /// own.
    #[error(
        "the signature of this scheme is in the body, which is not changed here: capture a \
         delivery of the provider"
    )]
    InBody,
    /// The signature belongs in the body, and the caller has to put it there. Such a delivery needs
    /// no header.
    #[error("the signature of this scheme is in the body, at `{}`", pointer.text())]
    Place {
        /// The place in the JSON body.
        pointer: Pointer,
        /// The signature, or the shared secret where nothing is signed.
        text: SecretText,
    },
    /// A provider's code would sign with a private key, and none does.
    #[error(
        "deliveries of this scheme cannot be signed here: the provider's private key is needed"
    )]
    PrivateKey,
    /// The body has no form that the scheme signs.
    #[error("the body has no form that this scheme signs")]
    Form,
    /// The verifier would refuse the delivery.
    #[error("the delivery would be refused: {0}")]
    Refused(Refusal),
}

/// The most bytes that a compressed body may hold.
pub const MAX_INFLATED: usize = 64 << 20;

/// The headers that the scheme wants on this delivery: required headers, then id, timestamp and
/// signature. The other headers of the request are not repeated. For a token or a credential, the
/// last header carries it in the signature's place.
///
/// ```
/// use verigate::config::presets;
/// use verigate::clock::UnixMillis;
/// use verigate::key::secret::{Secret, SecretText};
/// use verigate::sign::{SignRequest, sign};
///
/// let scheme = &presets::find("stripe").ok_or("no such preset")?.scheme;
/// let text = SecretText::new(b"whsec_example".to_vec());
/// let secret = Secret { name: "example".to_owned(), written: None, text, not_before: None, not_after: None };
/// let request = SignRequest {
///     method: "POST",
///     target: "/webhooks/stripe",
///     body: br#"{"id":"evt_1"}"#,
///     id: None, // Stripe's id is in the body.
///     at: UnixMillis::from_secs(1_750_000_000),
///     public_url: None,
///     headers: &[],
/// };
/// let headers = sign(scheme, &secret, &request)?;
/// // printf '1750000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_example
/// let signature = "t=1750000000,v1=90bfd420a5cf401f5bd98e6ac1fc700e55981f32485c12f1f439145ed11a87b8";
/// assert_eq!(headers, [("Stripe-Signature".to_owned(), signature.to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As the variants of [`SignError`] say.
pub fn sign(
    scheme: &Scheme,
    secret: &Secret,
    request: &SignRequest<'_>,
) -> Result<Vec<(String, String)>, SignError> {
    signed_request(scheme, secret, request).map(|signed| signed.headers)
}

/// As [`sign`], with the target as well, which holds the signature of some schemes.
///
/// # Errors
/// As the variants of [`SignError`] say.
pub fn signed_request(
    scheme: &Scheme,
    secret: &Secret,
    request: &SignRequest<'_>,
) -> Result<SignedRequest, SignError> {
    request.id.map_or(Ok(()), judge_id)?;
    let mut headers = required(scheme);
    let mut target = None;
    if let ProofBy::Code(code) = &scheme.proof {
        let required = headers
            .into_iter()
            .map(|(name, value)| (canonical(name), value));
        let headers = required.chain(by_code(*code, scheme, secret, request)?);
        return Ok(SignedRequest {
            headers: headers.collect(),
            target,
        });
    }
    headers.extend(id(scheme, request));
    match &scheme.proof {
        ProofBy::Template(template) => {
            // The signature is a field of the provider's own form.
            if template.signature.header().is_none()
                && template.signature.json.is_some()
                && template.takes_forms_alone()
            {
                return Err(SignError::InBody);
            }
            let value = value_by_template(scheme, template, secret, request, &mut headers)?;
            let place = &template.signature;
            match (place.header(), &place.json, &place.query) {
                (Some(name), ..) => headers.push((name, value)),
                (None, Some(pointer), _) => {
                    return Err(SignError::Place {
                        pointer: pointer.clone(),
                        text: SecretText::new(value.into_bytes()),
                    });
                }
                (.., Some(name)) => target = Some(with_signature(request.target, name, &value)),
                _ => return Err(SignError::InBody),
            }
        }
        ProofBy::Token(token) => {
            let value = by_token(token, scheme, secret, request)?;
            // A token without a header is the body.
            headers.push((token.rule.header().ok_or(SignError::InBody)?, value));
        }
        ProofBy::Credential(credential) => {
            let value = the_secret_itself(credential, secret)?;
            match (credential.place.headers.first(), &credential.place.json) {
                (Some(name), _) => headers.push((name, value)),
                (None, Some(pointer)) => {
                    return Err(SignError::Place {
                        pointer: pointer.clone(),
                        text: SecretText::new(value.into_bytes()),
                    });
                }
                (None, None) => return Err(SignError::InBody),
            }
        }
        ProofBy::Code(_) => {}
    }
    let headers = headers.into_iter();
    Ok(SignedRequest {
        headers: headers
            .map(|(name, value)| (canonical(name), value))
            .collect(),
        target,
    })
}

/// The headers that every delivery of the scheme has, with their values.
fn required(scheme: &Scheme) -> Vec<(&FieldName, String)> {
    let text = |value| String::from_utf8_lossy(value).into_owned();
    let required = scheme.require.iter();
    required.map(|(name, value)| (name, text(value))).collect()
}

/// The header of the event's id, if the scheme has such a header and an id is given.
fn id<'s>(scheme: &'s Scheme, request: &SignRequest<'_>) -> Option<(&'s FieldName, String)> {
    Some((scheme.id_header()?, request.id?.to_owned()))
}

/// The text that carries the signature by the scheme's template. The header of the timestamp, if
/// the scheme has such a header, is added to `headers`.
fn value_by_template<'s>(
    scheme: &'s Scheme,
    template: &'s TemplateScheme,
    secret: &'s Secret,
    request: &'s SignRequest<'s>,
    headers: &mut Vec<(&'s FieldName, String)>,
) -> Result<String, SignError> {
    let timestamp = template.timestamp.as_ref();
    let text = timestamp.map(|place| place.unit.write(request.at).ok_or(SignError::Time));
    let text = text.transpose()?;
    if let (Some(name), Some(text)) = (timestamp.and_then(TimestampPlace::header), &text) {
        headers.push((name, text.clone()));
    }
    let signed = Signed {
        scheme,
        template,
        secret,
        request,
        timestamp: text.as_deref(),
    };
    let signature = by_template(&signed, headers)?;
    Ok(listed(template, text.as_deref(), signature))
}

/// A request to be signed by a template.
struct Signed<'s> {
    scheme: &'s Scheme,
    template: &'s TemplateScheme,
    secret: &'s Secret,
    request: &'s SignRequest<'s>,
    timestamp: Option<&'s str>,
}

/// The label and the signature by the scheme's template, under the algorithm that the secret is
/// good for.
fn by_template<'s>(
    signed: &Signed<'s>,
    headers: &[(&FieldName, String)],
) -> Result<(Option<&'s str>, String), SignError> {
    let Signed {
        scheme,
        template,
        secret,
        request,
        timestamp,
    } = *signed;
    let (label, algorithm) = chosen(template, secret.text.expose())?;
    let facts = Outgoing {
        scheme,
        request,
        headers,
        timestamp,
        public_url: request.public_url.map(PublicUrl::new),
    };
    for part in template.signed.parts() {
        if let Part::Header(name) = part
            && facts.header(name) == Found::Nothing
        {
            return Err(SignError::Header(canonical(name)));
        }
    }
    let mut content = template.signed.render(&facts).map_err(SignError::Refused)?;
    fill(scheme, template, request.body, &mut content)?;
    let form = template
        .body
        .iter()
        .find_map(|form| form.apply(request.body, MAX_INFLATED))
        .ok_or(SignError::Form)?;
    let body = if template.signed.holds_body() {
        &*form
    } else {
        b""
    };
    let signature = match algorithm.kind() {
        Kind::Digest(algorithm) => {
            let key = digest_key(&template.key, secret)?;
            let mut mac = algorithm.mac(&key);
            for piece in pieces(&content, body) {
                mac.update(match piece {
                    Piece::Bytes(bytes) => bytes,
                    Piece::Secret => &key,
                });
            }
            template
                .signature
                .encoding
                .encode(mac.finalize().as_bytes())
        }
        Kind::Public(algorithm) => {
            let message = [content.before(), body, content.after()].concat();
            let signature = signing_key(secret, algorithm)?.sign(algorithm, &message);
            let signature = signature.ok_or_else(|| fault(secret, NO_SIGNATURE))?;
            template.signature.encoding.encode(&signature)
        }
        Kind::Token | Kind::Jwt => return Err(SignError::PrivateKey),
    };
    let place = &template.signature;
    let prefix = if place.prefix_once { "" } else { &place.prefix };
    Ok((label, format!("{prefix}{signature}")))
}

/// The signed content, body included, in order.
fn pieces<'c>(content: &'c SignedContent, body: &'c [u8]) -> impl Iterator<Item = Piece<'c>> {
    content
        .pieces(false)
        .chain([Piece::Bytes(body)])
        .chain(content.pieces(true))
}

/// Puts the values and digests that the template takes from the body into the content.
fn fill(
    scheme: &Scheme,
    template: &TemplateScheme,
    body: &[u8],
    content: &mut SignedContent,
) -> Result<(), SignError> {
    let mut places = Places::default();
    let slots: Vec<_> = template
        .signed
        .pointers()
        .map(|pointer| places.add(pointer))
        .collect();
    let digests = template.signed.digests_of(body);
    let text =
        form_fields::as_json(scheme, template, &Said::Nothing, body).map_err(SignError::Refused)?;
    let body = text.as_deref().unwrap_or(body);
    if slots.is_empty() {
        return content.fill([], &digests).map_err(SignError::Refused);
    }
    let why = |why| SignError::Refused(Refusal::because(Code::MalformedSignature, why));
    let values = places.scan(body).map_err(|fault| why(fault.why()))?;
    content
        .fill(slots.iter().map(|slot| values.at(*slot)), &digests)
        .map_err(SignError::Refused)
}

/// The error of a secret.
fn fault(secret: &Secret, why: impl Into<Cow<'static, str>>) -> SignError {
    SignError::Key(KeyError {
        secret: secret.name.clone(),
        why: why.into(),
    })
}

/// The key from the secret's text, by the first of the scheme's forms that fits the text.
fn digest_key(forms: &[KeyForm], secret: &Secret) -> Result<Zeroizing<Vec<u8>>, SignError> {
    let key = forms
        .iter()
        .map(|form| form.key(&secret.text))
        .reduce(Result::or);
    let key = key.unwrap_or(Err("the scheme takes no secret".into()));
    key.map_err(|why| fault(secret, why))
}

/// The header's value where nothing is signed: the shared secret, as it is or as RFC 7617 says.
fn the_secret_itself(credential: &CredentialScheme, secret: &Secret) -> Result<String, SignError> {
    let fault = |why: &'static str| fault(secret, why);
    let key = digest_key(&credential.key, secret)?;
    if credential.kind == CredentialKind::Basic {
        let is_pair = key.contains(&b':');
        return if is_pair {
            Ok(format!("Basic {}", Encoding::Base64.encode(&key)))
        } else {
            Err(fault(
                "the secret has no colon: write it as `user:password`",
            ))
        };
    }
    let text = std::str::from_utf8(&key).map_err(|_| fault("the token is not UTF-8 text"))?;
    if text.trim_ascii() != text || text.bytes().any(|b| b.is_ascii_control()) {
        return Err(fault(
            "the token begins or ends with white space, or holds a control character: no header \
             can carry it",
        ));
    }
    Ok(credential.place.prefix.clone() + text)
}

/// The value of the header that carries a token.
fn by_token(
    token: &TokenScheme,
    scheme: &Scheme,
    secret: &Secret,
    request: &SignRequest<'_>,
) -> Result<String, SignError> {
    let rule = &token.rule;
    if rule.is_body() {
        return Err(SignError::InBody);
    }
    if request.at.0 < 0 {
        return Err(SignError::Time);
    }
    let url = match (rule.signs_url(), request.public_url) {
        (false, _) => None,
        (true, None) => return Err(SignError::Refused(NO_PUBLIC_URL)),
        (true, Some(public_url)) => {
            let mut url = Vec::new();
            PublicUrl::new(public_url).write(request.target, &mut url);
            Some(url)
        }
    };
    let claims: Vec<(&str, &str)> = match (&scheme.event_id, request.id) {
        (Some(Place::Claim(name)), Some(id)) => vec![(name, id)],
        _ => Vec::new(),
    };
    // Everything else that `sign` needs is checked above, so only a body that the token should
    // carry and cannot, or a query that has no digested form, can fail here.
    let covered = Covered {
        body: request.body,
        url: url.as_deref(),
        request: (request.method, request.target),
        at: request.at,
        more: &claims,
    };
    match privately(token) {
        Some(algorithm) => {
            let key = signing_key(secret, algorithm)?;
            rule.sign_privately(&key, &covered)
        }
        None => {
            let key = digest_key(&token.key, secret)?;
            rule.sign(&key, &covered)
        }
    }
    .ok_or(SignError::Form)
}

/// The headers of a scheme with a provider's code, signed with the first key in the secret.
fn by_code(
    code: &'static dyn ProviderCode,
    scheme: &Scheme,
    secret: &Secret,
    request: &SignRequest<'_>,
) -> Result<Vec<(String, String)>, SignError> {
    if code.headers().is_empty() {
        return Err(SignError::InBody);
    }
    if request.at.0 < 0 {
        return Err(SignError::Time);
    }
    let algorithm = private::by_code(code, secret.text.expose());
    let keys = match algorithm.kind() {
        Kind::Digest(_) => code.keys(&secret.text).map_err(|why| fault(secret, why))?,
        Kind::Public(public) => {
            signing_key(secret, public)?;
            let text = Zeroizing::new(secret.text.expose().to_vec());
            vec![(algorithm, text)]
        }
        Kind::Token | Kind::Jwt => return Err(SignError::PrivateKey),
    };
    let (algorithm, bytes) = keys.first().ok_or(SignError::PrivateKey)?;
    let key = CodeKey {
        algorithm: *algorithm,
        bytes,
        components: &scheme.components,
    };
    code.sign(key, request)
        .map_err(SignError::Refused)?
        .ok_or(SignError::InBody)
}

fn judge_id(id: &str) -> Result<(), SignError> {
    let is_none =
        id.is_empty() || id.trim_ascii() != id || id.bytes().any(|b| b.is_ascii_control());
    if is_none { Err(SignError::Id) } else { Ok(()) }
}
