//! Readers that several providers share: the signature header, the spellings of the signed URL, the
//! kind of the body, and the texts that a handshake brings.
//!
//! No reader decides which content is signed: the file of the provider does.

use crate::key::digest::DigestAlgorithm;
use crate::key::public::SigningKey;
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::form::Said;
use crate::notation::json::MAX_TEXT;
use crate::scheme::ProviderCode;
use crate::scheme::code::{Assertion, Begun, CodeKey, SignRequest, Statement};
use crate::scheme::refusals::{NO_PUBLIC_URL, NO_SIGNATURE, SEVERAL_SIGNATURES};
use crate::scheme::{Algorithm, Kind, PublicUrl};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SEVERAL_TYPES: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Content-Type, which says how the body is signed, is there more than once",
);

const NO_ECHO: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "the challenge is not visible ASCII of 1 to 1024 bytes",
);
const NO_SECRET: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "the secret is not visible ASCII of 8 to 512 bytes",
);

/// The refusal of a body that the signature does not cover.
pub(super) const BODY_NOT_SIGNED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not cover the body of this delivery",
);
/// The refusal of a body that is not a form.
pub(super) const NO_FORM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the fields of the body are signed, but the body is not a well-formed form",
);

/// The text of a signature header; `None` where the header is missing or empty.
///
/// # Errors
/// `malformed_signature` for a repeated header.
pub(super) fn signature_text<'h>(head: &'h Head, name: &str) -> Result<Option<&'h [u8]>, Refusal> {
    match head.find_str(name) {
        Found::Nothing | Found::One(b"") => Ok(None),
        Found::One(text) => Ok(Some(text)),
        Found::Several => Err(SEVERAL_SIGNATURES),
    }
}

/// The decoded signature in a header that holds a single signature.
///
/// # Errors
/// `missing_signature`, `malformed_signature`.
pub(super) fn signature(
    head: &Head,
    name: &str,
    encoding: Encoding,
    algorithm: Algorithm,
) -> Result<Vec<u8>, Refusal> {
    let text = signature_text(head, name)?.ok_or(Refusal::from(Code::MissingSignature))?;
    decoded(text, encoding, algorithm).ok_or(NO_SIGNATURE)
}

/// The bytes of a signature; `None` where `text` has another encoding, or its length does not fit
/// the algorithm.
pub(super) fn decoded(text: &[u8], encoding: Encoding, algorithm: Algorithm) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let len = encoding.decode(text, &mut bytes)?;
    bytes.truncate(len);
    algorithm.takes_length(len).then_some(bytes)
}

/// The bytes of a signature under the first algorithm of this code that fits its length; `None`
/// where no algorithm fits or `text` has another encoding.
pub(super) fn decoded_for(
    code: &(dyn ProviderCode + 'static),
    text: &str,
    encoding: Encoding,
) -> Option<Vec<u8>> {
    let decoded = |known| decoded(text.as_bytes(), encoding, known);
    code.algorithms().find_map(decoded)
}

/// The encoded signature of this content: a MAC under a shared secret, or by the private key whose
/// text is `key`; `None` where the algorithm uses neither.
pub(super) fn signed(
    content: &[u8],
    algorithm: Algorithm,
    key: &[u8],
    encoding: Encoding,
) -> Option<String> {
    match algorithm.kind() {
        Kind::Digest(algorithm) => {
            let mut mac = DigestAlgorithm::mac(algorithm, key);
            mac.update(content);
            Some(encoding.encode(mac.finalize().as_bytes()))
        }
        Kind::Public(algorithm) => {
            let key = SigningKey::parse(key).ok()?;
            Some(encoding.encode(&key.sign(algorithm, content)?))
        }
        Kind::Token | Kind::Jwt => None,
    }
}

/// The statement of a delivery whose signatures are in its head, over any of `contents`, each
/// followed by `tail`.
pub(super) fn statement(contents: Vec<Vec<u8>>, tail: Vec<u8>, begun: Begun) -> Statement {
    let Begun {
        signatures,
        algorithm,
        ..
    } = begun;
    Statement {
        assertions: vec![Assertion {
            contents,
            tail,
            signatures,
            algorithm,
        }],
        timestamp: None,
        text: None,
    }
}

/// The head of a request to be signed, without its signature.
///
/// # Errors
/// Why the head would be refused.
pub(super) fn unsigned(
    request: &SignRequest<'_>,
    headers: &[(String, String)],
) -> Result<Head, Refusal> {
    let given = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let ours = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Head::from_parts(request.method, request.target, given.chain(ours))
}

/// The given headers, followed by the header `name` with the signature of `content`; `None` where
/// the key cannot sign.
pub(super) fn completed(
    mut headers: Vec<(String, String)>,
    name: &str,
    content: &[u8],
    key: CodeKey<'_>,
    encoding: Encoding,
) -> Option<Vec<(String, String)>> {
    let signature = signed(content, key.algorithm, key.bytes, encoding)?;
    headers.push((name.to_owned(), signature));
    Some(headers)
}

/// The most spellings that [`urls`] finds.
pub(super) const MOST_URLS: usize = 2;

/// The spellings of the signed URL, at most [`MOST_URLS`]. `https://a.example` and `https://a.example/` make
/// the same request, and the request does not show which of them was configured at the provider.
///
/// # Errors
/// `malformed_signature` where the route has no `public_url`.
pub(super) fn urls(public_url: Option<&PublicUrl>, target: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let public_url = public_url.ok_or(NO_PUBLIC_URL)?;
    let url = |target: &str| {
        let mut url = Vec::new();
        public_url.write(target, &mut url);
        url
    };
    let mut urls = vec![url(target)];
    if let Some(query) = target.strip_prefix('/')
        && (query.is_empty() || query.starts_with('?'))
    {
        let bare = url(query);
        if !urls.contains(&bare) {
            urls.push(bare);
        }
    }
    Ok(urls)
}

/// The kind of body that `Content-Type` announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// The header is missing or empty.
    Unsaid,
    /// `application/x-www-form-urlencoded`, with or without parameters.
    Form,
    /// Any other media type.
    Other,
}

/// Reads `Content-Type`. The header is not signed, so an attacker can change it: for every kind,
/// the caller must still require something that authenticates the body.
///
/// # Errors
/// `malformed_signature` for a repeated header, and for a form of which two programs could read other
/// fields.
pub(super) fn body_kind(head: &Head) -> Result<BodyKind, Refusal> {
    match head.find_str("content-type") {
        Found::Nothing | Found::One(b"") => {
            // A packed body has other fields than its bytes show.
            Said::of(head)?;
            Ok(BodyKind::Unsaid)
        }
        Found::One(text) => {
            let kind = text
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let is_form = kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded");
            if !is_form {
                return Ok(BodyKind::Other);
            }
            Said::of(head)?;
            Ok(BodyKind::Form)
        }
        Found::Several => Err(SEVERAL_TYPES),
    }
}

/// A challenge that may be sent back: visible ASCII, not empty, at most [`MAX_TEXT`] bytes.
///
/// # Errors
/// `malformed_handshake` for any other text.
pub(super) fn echo(text: &[u8]) -> Result<String, Refusal> {
    printable(text, u8::is_ascii_graphic)
}

/// As [`echo`], for a text of the ASCII bytes that `takes` accepts.
///
/// # Errors
/// `malformed_handshake` for any other text.
pub(super) fn printable(text: &[u8], takes: impl Fn(&u8) -> bool) -> Result<String, Refusal> {
    let fits =
        !text.is_empty() && text.len() <= MAX_TEXT && text.is_ascii() && text.iter().all(takes);
    let text = fits.then(|| std::str::from_utf8(text).ok()).flatten();
    text.map(str::to_owned).ok_or(NO_ECHO)
}

/// The lengths of a secret that a handshake may bring, in bytes.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;

/// The secret that a handshake brings. Only its text is checked here: the route decides whether the
/// secret is accepted, and the gateway where it is kept.
///
/// # Errors
/// `malformed_handshake` for a text of another length, or with other bytes than visible ASCII.
pub(super) fn brought(value: &[u8]) -> Result<SecretText, Refusal> {
    let fits = SECRET_LENGTHS.contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    fits.then(|| SecretText::new(value.to_vec()))
        .ok_or(NO_SECRET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&str, &str)]) -> Head {
        Head::from_parts(
            "POST",
            "/",
            lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
        )
        .unwrap()
    }

    #[test]
    fn a_url_of_no_path_has_two_spellings_and_any_other_one() {
        let rows: &[(&str, &str, &[&str])] = &[
            (
                "https://a.example",
                "/",
                &["https://a.example/", "https://a.example"],
            ),
            (
                "https://a.example",
                "/?b=1",
                &["https://a.example/?b=1", "https://a.example?b=1"],
            ),
            ("https://a.example", "/in", &["https://a.example/in"]),
            ("https://a.example", "//", &["https://a.example//"]),
            ("https://a.example/hook", "/", &["https://a.example/hook"]),
            ("https://a.example/", "/?b=1", &["https://a.example/?b=1"]),
        ];
        for (public, target, expected) in rows {
            let urls = urls(Some(&PublicUrl::new(public)), target).unwrap();
            let urls: Vec<_> = urls
                .into_iter()
                .map(|url| String::from_utf8(url).unwrap())
                .collect();
            assert_eq!(&urls, expected, "{public} + {target}");
        }
        assert_eq!(urls(None, "/").unwrap_err().code, Code::MalformedSignature);
    }

    #[test]
    fn a_form_is_known_by_its_media_type_alone() {
        let kind = |text| body_kind(&head(&[("Content-Type", text)]));
        assert_eq!(
            kind("application/x-www-form-urlencoded"),
            Ok(BodyKind::Form)
        );
        assert_eq!(
            kind("Application/X-WWW-Form-URLencoded ; charset=UTF-8"),
            Ok(BodyKind::Form)
        );
        assert_eq!(
            kind("application/x-www-form-urlencoded2"),
            Ok(BodyKind::Other)
        );
        assert_eq!(
            kind("application/json; x=application/x-www-form-urlencoded"),
            Ok(BodyKind::Other)
        );
        assert_eq!(kind(""), Ok(BodyKind::Unsaid));
        assert_eq!(body_kind(&head(&[])), Ok(BodyKind::Unsaid));
        let two = head(&[
            ("Content-Type", "application/json"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(body_kind(&two), Err(SEVERAL_TYPES));
        let alias = head(&[
            ("Content-Type", "application/json"),
            ("content_type", "text/plain"),
        ]);
        assert_eq!(body_kind(&alias), Err(SEVERAL_TYPES));
    }
}
