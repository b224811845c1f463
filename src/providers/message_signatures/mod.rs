//! HTTP Message Signatures: the components of a request that the message names, a line for each
//! (schemes: Code; RFC 9421, RFC 9530).
//!
//! The message says what it covers, so the scheme says what must be covered: its `components`, and
//! always `content-digest`, whose digests are compared with the body. The parameter `alg` is not
//! read: the type of the configured key decides on the algorithm. A message has a single signature, and
//! each field has a single spelling ([`fields`]), because what is received is signed as it is.
//!
//! The lines of the signature base begin with the component's name and hold no line end, so no byte
//! can move from one component into the next.

mod fields;

use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use self::fields::Input;
use super::reading;
use super::url_parts::{UrlParts, path};
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{
    Begun, CodeKey, PinnedKey, ProviderCode, RouteFacts, SignRequest, Statement,
};
use crate::scheme::refusals::{NO_PUBLIC_URL, NO_SIGNATURE, SEVERAL_SIGNATURES};
use crate::scheme::{Algorithm, Place, PublicUrl};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

const SIGNATURE: &str = "Signature";
const INPUT: &str = "Signature-Input";
const DIGEST: &str = "Content-Digest";
/// The component that covers the body.
const BODY: &str = "content-digest";
const UNIT: Unit = Unit::Seconds;
/// The label of signatures that are made here.
const LABEL: &str = "sig1";

/// The derived components of a request (RFC 9421 2.2), without `@query-param`, which has a parameter.
const DERIVED: [&str; 7] = [
    "@method",
    "@target-uri",
    "@authority",
    "@scheme",
    "@request-target",
    "@path",
    "@query",
];

const BAD_INPUT: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Signature-Input is missing, there more than once, or does not hold a single signature in the \
     spelling of RFC 9421, its components each named once and without parameters",
);
const OTHER_LABEL: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Signature and Signature-Input do not hold a single signature under the same label",
);
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "`created` or `expires` of the signature is not a plain decimal number without a leading zero",
);
const NOT_COVERED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not cover a component that the scheme demands, or not `content-digest`",
);
const NO_COMPONENT: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed component is missing, there more than once, or not known",
);
const NO_DIGEST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Content-Digest is missing, there more than once, not in the spelling of RFC 9530, or holds \
     neither `sha-256` nor `sha-512`",
);
const OTHER_BODY: Refusal = Refusal::because(
    Code::BadSignature,
    "the body has another digest than Content-Digest, which is signed, says",
);

/// The code of HTTP Message Signatures.
#[derive(Debug)]
pub(super) struct MessageSignatures;

impl ProviderCode for MessageSignatures {
    fn name(&self) -> &'static str {
        "http-message-signatures"
    }

    fn content_words(&self) -> &'static str {
        "the components that the message names (RFC 9421)"
    }

    fn secret_words(&self) -> &'static str {
        "the sender's public key: Ed25519, ECDSA P-256 or RSA"
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("`created` of the signature, seconds")
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn further_algorithms(&self) -> &'static [Algorithm] {
        &[Algorithm::EcdsaP256Sha256Raw, Algorithm::RsaPkcs1Sha256]
    }

    fn judge_components(&self, components: &[String]) -> Result<(), String> {
        if !components.iter().any(|name| name == BODY) {
            return Err(
                "`components` does not demand `content-digest`, without which nothing \
                        authenticates the body"
                    .to_owned(),
            );
        }
        let unknown = components
            .iter()
            .find(|name| name.starts_with('@') && !DERIVED.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            Err(format!(
                "`{name}` is no component of a request that is read here"
            ))
        })
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE, INPUT, DIGEST]
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Json(_))
    }

    fn signs_header(&self, head: &Head, name: &FieldName) -> bool {
        let input = input(head).ok();
        input.is_some_and(|input| input.components.contains(&name.as_str()))
    }

    fn keys(&self, _text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        Err("the secret is no public key")
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let text = match head.find_str(SIGNATURE) {
            Found::Nothing | Found::One(b"") => return Err(Code::MissingSignature.into()),
            Found::Several => return Err(SEVERAL_SIGNATURES),
            Found::One(text) => text,
        };
        let input = input(head)?;
        let (label, signature) = fields::labelled(text).ok_or(OTHER_LABEL)?;
        if label != input.label {
            return Err(OTHER_LABEL);
        }
        let signature =
            reading::decoded_for(self, signature, Encoding::Base64).ok_or(NO_SIGNATURE)?;
        let created = input.created.ok_or(Refusal::from(Code::MissingTimestamp))?;
        let time = |digits: &str| UNIT.parse(digits.as_bytes()).ok_or(NO_TIME);
        Ok(Begun {
            timestamp: Some((time(created)?, UNIT)),
            signatures: vec![signature],
            algorithm: self.algorithm(),
            expires: input.expires.map(time).transpose()?,
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
        let input = input(head)?;
        let demanded = route.components.iter().map(String::as_str).chain([BODY]);
        for name in demanded {
            if !input.components.contains(&name) {
                return Err(NOT_COVERED);
            }
        }
        judge_body(head, body)?;
        let base = base(head, route.public_url, &input.components, input.signed)?;
        Ok(reading::statement(vec![base], Vec::new(), begun))
    }

    /// Signs the components that the scheme demands.
    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let created = UNIT.write(request.at).ok_or(NO_TIME)?;
        let digest = Encoding::Base64.encode(&Sha256::digest(request.body));
        let headers = vec![(DIGEST.to_owned(), format!("sha-256=:{digest}:"))];
        let head = reading::unsigned(request, &headers)?;
        let mut components: Vec<&str> = key.components.iter().map(String::as_str).collect();
        if !components.contains(&BODY) {
            components.push(BODY);
        }
        let signed = format!("({});created={created}", quoted(&components).join(" "));
        let public_url = request.public_url.map(PublicUrl::new);
        let base = base(&head, public_url.as_ref(), &components, &signed)?;
        let mut headers = headers;
        headers.push((INPUT.to_owned(), format!("{LABEL}={signed}")));
        let made = reading::completed(headers, SIGNATURE, &base, key, Encoding::Base64);
        Ok(made.map(|mut headers| {
            if let Some((_, signature)) = headers.last_mut() {
                *signature = format!("{LABEL}=:{signature}:");
            }
            headers
        }))
    }
}

fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("\"{name}\"")).collect()
}

/// What the message says that its signature covers.
fn input(head: &Head) -> Result<Input<'_>, Refusal> {
    match head.find_str(INPUT) {
        Found::One(text) => Input::parse(text).ok_or(BAD_INPUT),
        Found::Nothing | Found::Several => Err(BAD_INPUT),
    }
}

/// Compares every known digest of `Content-Digest` with the body.
fn judge_body(head: &Head, body: &[u8]) -> Result<(), Refusal> {
    let Found::One(text) = head.find_str(DIGEST) else {
        return Err(NO_DIGEST);
    };
    let (mut is_known, mut is_same) = (false, true);
    for (algorithm, stated) in fields::digests(text).ok_or(NO_DIGEST)? {
        let digest = match algorithm {
            "sha-256" => Encoding::Base64.encode(&Sha256::digest(body)),
            "sha-512" => Encoding::Base64.encode(&Sha512::digest(body)),
            _ => continue,
        };
        is_known = true;
        is_same &= bool::from(digest.as_bytes().ct_eq(stated.as_bytes()));
    }
    match (is_known, is_same) {
        (false, _) => Err(NO_DIGEST),
        (true, false) => Err(OTHER_BODY),
        (true, true) => Ok(()),
    }
}

/// The signature base (RFC 9421 2.5): a line for each component, then the parameters as received.
fn base(
    head: &Head,
    public_url: Option<&PublicUrl>,
    components: &[&str],
    signed: &str,
) -> Result<Vec<u8>, Refusal> {
    let url = match public_url {
        Some(url) => Some(UrlParts::of(url, head.target()).ok_or(NO_PUBLIC_URL)?),
        None => None,
    };
    let target = url.as_ref().map_or(head.target(), |url| &url.target);
    let known = || url.as_ref().ok_or(NO_PUBLIC_URL);
    let mut base = Vec::new();
    for name in components {
        let value = match *name {
            "@method" => head.method().as_bytes().to_vec(),
            "@target-uri" => known()?.whole.clone().into_bytes(),
            "@authority" => known()?.authority().into_bytes(),
            "@scheme" => known()?.scheme.clone().into_bytes(),
            "@request-target" => target.as_bytes().to_vec(),
            "@path" => path(target).as_bytes().to_vec(),
            "@query" => {
                let query = target.split_once('?').map_or("", |(_, query)| query);
                format!("?{query}").into_bytes()
            }
            name => match head.find_str(name) {
                Found::One(value) => value.to_vec(),
                Found::Nothing | Found::Several => return Err(NO_COMPONENT),
            },
        };
        base.extend_from_slice(&[b"\"", name.as_bytes(), b"\": ", &value, b"\n"].concat());
    }
    base.extend_from_slice(&[b"\"@signature-params\": ", signed.as_bytes()].concat());
    Ok(base)
}

#[cfg(test)]
mod tests;
