//! Braintree: an HMAC over a field of a form, under the SHA-1 of the private key, labelled with the
//! public key (schemes: Code).
//!
//! Source: the Braintree libraries (`WebhookNotificationGateway`). The secret is
//! `PUBLIC_KEY:PRIVATE_KEY`, or the private key alone; then the signatures of every public key are
//! tried. The other fields of the form are not authenticated, and a form with a second `bt_payload`
//! or `bt_signature` is refused.

use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::query;
use crate::key::digest::DigestAlgorithm;
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::notation::form::Said;
use crate::scheme::code::{Assertion, Begun, PinnedKey, ProviderCode, RouteFacts, Statement};
use crate::scheme::handshake::{Asked, Challenge, Formula, Handshake, Reply};
use crate::scheme::{Algorithm, Role, Source};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const NO_FORM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body is not a form with exactly one bt_signature and one bt_payload",
);
const NO_PAIR: Refusal = Refusal::because(
    Code::MalformedSignature,
    "bt_signature holds no pair of a public key and a signature in hex",
);
const NO_BASE64: Refusal =
    Refusal::because(Code::MalformedSignature, "bt_payload is not base64 text");
/// The most signatures that are tried.
const LIMIT: usize = 16;

/// Braintree's code and handshake.
#[derive(Debug)]
pub(super) struct Braintree;

/// The form of a challenge, `[a-f0-9]{20,32}`, and the answer to it.
static FORMULA: Formula = Formula {
    algorithm: DigestAlgorithm::HmacSha1,
    lengths: 20..=32,
    takes_byte: |byte| matches!(byte, b'a'..=b'f' | b'0'..=b'9'),
    reply: |_, mac, public_key| {
        Some(Reply::text(format!(
            "{}|{}",
            public_key?,
            Encoding::Hex.encode(mac.as_bytes())
        )))
    },
};

impl ProviderCode for Braintree {
    fn name(&self) -> &'static str {
        "braintree"
    }

    fn content_words(&self) -> &'static str {
        "`bt_payload` of the form"
    }

    fn secret_words(&self) -> &'static str {
        "`PUBLIC_KEY:PRIVATE_KEY`"
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        let field = |name: &str| Source::Field(name.to_owned());
        vec![
            (Role::Signature, field("bt_signature")),
            (Role::Signed, field("bt_payload")),
        ]
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::HmacSha1
    }

    fn label<'s>(&self, secret: &'s SecretText) -> Option<&'s [u8]> {
        keys(secret).0
    }

    fn keys(&self, text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        key(text).map(|key| vec![key])
    }

    fn read(
        &self,
        head: &Head,
        _begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        if matches!(Said::of(head)?, Said::Multipart(_)) {
            return Err(NO_FORM);
        }
        read(body, route.labels)
    }
}

impl Handshake for Braintree {
    fn name(&self) -> &'static str {
        "braintree"
    }

    fn words(&self) -> &'static str {
        "`GET ?bt_challenge=…` is answered with the public key and an HMAC of the challenge"
    }

    fn formula(&self) -> Option<&'static Formula> {
        Some(&FORMULA)
    }

    fn wants_public_key(&self) -> bool {
        true
    }

    fn public_half<'s>(&self, secret: &'s SecretText) -> Option<&'s [u8]> {
        keys(secret).0
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match query::parameter_of(head, "GET", "bt_challenge")? {
            Some(challenge) => Ok(Some(Asked::Mac(Challenge::new(self, &challenge)?))),
            None => Ok(None),
        }
    }
}

/// The public and the private key in a secret; a text without a colon is the private key alone.
fn keys(text: &SecretText) -> (Option<&[u8]>, &[u8]) {
    let text = text.expose();
    match text.iter().position(|byte| *byte == b':') {
        Some(at) => (text.get(..at), text.get(at + 1..).unwrap_or_default()),
        None => (None, text),
    }
}

/// The key of the HMAC: the SHA-1 of the private key.
fn key(text: &SecretText) -> Result<PinnedKey, &'static str> {
    let (public, private) = keys(text);
    if private.is_empty() || public.is_some_and(<[u8]>::is_empty) {
        return Err("the secret is neither `PUBLIC_KEY:PRIVATE_KEY` nor a private key");
    }
    Ok((
        Algorithm::HmacSha1,
        Zeroizing::new(Sha1::digest(private).to_vec()),
    ))
}

/// The claims of a form. Only pairs whose public key is among `publics` count; all pairs if
/// `publics` is empty.
fn read(body: &[u8], publics: &[Vec<u8>]) -> Result<Statement, Refusal> {
    let pairs = form::pairs(body).ok_or(NO_FORM)?;
    let (signature, payload) = match (
        form::one(&pairs, b"bt_signature"),
        form::one(&pairs, b"bt_payload"),
    ) {
        (Found::Nothing | Found::One(b""), _) => return Err(Code::MissingSignature.into()),
        (Found::One(signature), Found::One(payload)) => (signature, payload),
        _ => return Err(NO_FORM),
    };
    let is_text =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n');
    if payload.is_empty() || !payload.iter().all(is_text) {
        return Err(NO_BASE64);
    }
    let mut signatures = Vec::new();
    let mut is_pair = false;
    for pair in signature.split(|byte| *byte == b'&') {
        let Some(at) = pair.iter().position(|byte| *byte == b'|') else {
            continue;
        };
        let (public, digest) = (
            pair.get(..at).unwrap_or_default(),
            pair.get(at + 1..).unwrap_or_default(),
        );
        let mut bytes = [0; 20];
        if digest.len() != 40 || Encoding::Hex.decode(digest, &mut bytes).is_none() {
            continue;
        }
        is_pair = true;
        if (publics.is_empty() || publics.iter().any(|known| known == public))
            && signatures.len() < LIMIT
        {
            signatures.push(bytes.to_vec());
        }
    }
    if !is_pair {
        return Err(NO_PAIR);
    }
    // The signed payload of some versions ends in a line feed, which may have been lost on the way,
    // so both spellings are tried. The spelling without line feed comes first in both cases, and
    // replay protection recognises a delivery by the first.
    let text = payload.trim_ascii_end();
    let contents = vec![text.to_vec(), [text, b"\n"].concat()];
    let assertion = Assertion {
        contents,
        tail: Vec::new(),
        signatures,
        algorithm: Algorithm::HmacSha1,
    };
    Ok(Statement {
        assertions: vec![assertion],
        timestamp: None,
        text: Some(payload.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "8e985832e7920ef3331b34af17d1ee137be821d0";

    fn refused(body: &str) -> Option<Code> {
        read(body.as_bytes(), &[]).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_payload_is_the_same_with_a_line_feed_at_its_end_and_without() {
        // Otherwise an attacker could send a captured delivery again as new by removing the line
        // feed.
        for end in ["", "%0A", "%0A%0A"] {
            let body =
                format!("bt_signature=a%7C{DIGEST}%26b%7C{DIGEST}&bt_payload=YQ%3D%3D%0Ab{end}");
            let assertion = &read(body.as_bytes(), &[]).unwrap().assertions[0];
            assert_eq!(
                assertion.contents,
                [b"YQ==\nb".to_vec(), b"YQ==\nb\n".to_vec()],
                "{end}"
            );
            assert_eq!(assertion.signatures.len(), 2);
        }
    }

    #[test]
    fn only_pairs_of_a_known_public_key_count() {
        let body = format!("bt_signature=other%7C{DIGEST}&bt_payload=YQ%3D%3D");
        let counted = |publics: &[Vec<u8>]| {
            read(body.as_bytes(), publics).unwrap().assertions[0]
                .signatures
                .len()
        };
        assert_eq!(
            (
                counted(&[]),
                counted(&[b"mine".to_vec()]),
                counted(&[b"other".to_vec()])
            ),
            (1, 0, 1)
        );
    }

    #[test]
    fn what_is_no_such_form_is_refused() {
        let rows = [
            ("", Some(Code::MissingSignature)),
            ("bt_payload=YQ%3D%3D", Some(Code::MissingSignature)),
            (
                &format!("bt_signature=a%7C{DIGEST}"),
                Some(Code::MalformedSignature),
            ),
            (
                &format!("bt_signature=a%7C{DIGEST}&bt_payload=a&bt_payload=b"),
                Some(Code::MalformedSignature),
            ),
            (
                &format!("bt_signature=a%7C{DIGEST}&bt_signature=a&bt_payload=b"),
                Some(Code::MalformedSignature),
            ),
            (
                &format!("bt_signature=a%7C{DIGEST}&bt_payload=hello%20world"),
                Some(Code::MalformedSignature),
            ),
            (
                &format!("bt_signature={DIGEST}&bt_payload=YQ%3D%3D"),
                Some(Code::MalformedSignature),
            ),
            (
                "bt_signature=a%7Cabc&bt_payload=YQ%3D%3D",
                Some(Code::MalformedSignature),
            ),
            (
                &format!(
                    "bt_signature=a%7C{}&bt_payload=YQ%3D%3D",
                    DIGEST.to_uppercase()
                ),
                Some(Code::MalformedSignature),
            ),
            (
                &format!("bt_signature=a%7C{DIGEST}&bt_payload=%zz"),
                Some(Code::MalformedSignature),
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(body, code)| refused(body) != *code)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_secret_holds_both_keys_or_the_private_one() {
        let text = |text: &str| SecretText::new(text.as_bytes().to_vec());
        assert_eq!(keys(&text("pub:priv")), (Some(&b"pub"[..]), &b"priv"[..]));
        assert_eq!(keys(&text("priv")), (None, &b"priv"[..]));
        assert!(key(&text(":priv")).is_err() && key(&text("pub:")).is_err());
        // Braintree's own test of its key derivation: the HMAC of "hello world" under "secretKey".
        let (algorithm, key) = key(&text("pub:secretKey")).unwrap();
        let crate::scheme::Kind::Digest(digest) = algorithm.kind() else {
            panic!("a digest")
        };
        let mut mac = digest.mac(&key);
        mac.update(b"hello world");
        assert_eq!(
            hex::encode(mac.finalize().as_bytes()),
            "d503d7a1a6adba1e6474e9ff2c4167f9dfdf4247"
        );
    }
}
