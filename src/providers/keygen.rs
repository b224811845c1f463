//! Keygen: request target, host, date and the digest of the body, as the draft of HTTP signatures by
//! Cavage signs them (schemes: Code; draft-cavage-http-signatures-08; the provider's own source,
//! `signature_methods.rb` and `webhook_worker.rb`).
//!
//! The signature names the list of what it covers. The list must hold these four and nothing else, in
//! any order: a shorter list would leave the body or the time to a stranger. The digest in the signed
//! content is computed from the body, never read from a header. The algorithm in the signature is not
//! read either: the type of the configured key decides.
//!
//! Each value stands on a line of its own and cannot hold a line end, so no byte can move from one
//! value into the next.

use sha2::{Digest as _, Sha256};

use super::quoted;
use super::reading;
use super::url_parts::UrlParts;
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{
    Begun, CodeKey, PinnedKey, ProviderCode, RouteFacts, SignRequest, Statement,
};
use crate::scheme::refusals::{NO_PUBLIC_URL, NO_SIGNATURE};
use crate::scheme::{Algorithm, Place, PublicUrl};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SIGNATURE: &str = "Keygen-Signature";
const OWN_DATE: &str = "Keygen-Date";
const DATE: &str = "Date";
const UNIT: Unit = Unit::HttpDate;

/// The parts that a signature must cover, in the order in which the provider signs them.
const COVERED: [&str; 4] = ["(request-target)", "host", "date", "digest"];

const NO_PARAMETERS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature is not a list of parameters in quotation marks, each there once, with a comma \
     between them",
);
const OTHER_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not cover exactly `(request-target)`, `host`, `date` and `digest`",
);
const SEVERAL_DATES: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "Keygen-Date or Date, which is signed, is there more than once",
);
const NO_DATE: Refusal = Refusal::because(Code::MalformedTimestamp, UNIT.refusal());

/// Keygen's code.
#[derive(Debug)]
pub(super) struct Keygen;

impl ProviderCode for Keygen {
    fn name(&self) -> &'static str {
        "keygen"
    }

    fn content_words(&self) -> &'static str {
        "request target, host, date and the SHA-256 of the body"
    }

    fn secret_words(&self) -> &'static str {
        "the public key of the account: 64 hex digits of Ed25519, or PEM of the algorithm that the \
         endpoint has"
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("header `Keygen-Date`, or `Date` without it, an HTTP date")
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn further_algorithms(&self) -> &'static [Algorithm] {
        &[Algorithm::EcdsaP256Sha256, Algorithm::RsaPkcs1Sha256]
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE, OWN_DATE, DATE]
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn signs_url(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Json(_))
    }

    fn keys(&self, _text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        Err("the secret is no public key")
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let (signature, _) = parameters(head)?;
        let signature =
            reading::decoded_for(self, signature, Encoding::Base64).ok_or(NO_SIGNATURE)?;
        let date = date(head)?;
        let at = UNIT.parse(date).ok_or(NO_DATE)?;
        Ok(Begun {
            timestamp: Some((at, UNIT)),
            signatures: vec![signature],
            algorithm: self.algorithm(),
            timestamp_text: date.to_vec(),
            expires: None,
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let (_, list) = parameters(head)?;
        let parts = Parts {
            method: head.method(),
            target: head.target(),
            public_url: route.public_url,
            date: &begun.timestamp_text,
            body,
        };
        let content = parts.content(list)?;
        Ok(reading::statement(vec![content], Vec::new(), begun))
    }

    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let date = UNIT.write(request.at).ok_or(NO_DATE)?;
        let public_url = request.public_url.map(PublicUrl::new);
        let parts = Parts {
            method: request.method,
            target: request.target,
            public_url: public_url.as_ref(),
            date: date.as_bytes(),
            body: request.body,
        };
        let list = COVERED.join(" ");
        let content = parts.content(&list)?;
        let headers = vec![(DATE.to_owned(), date)];
        let algorithm = match key.algorithm {
            Algorithm::EcdsaP256Sha256 => "ecdsa-p256",
            Algorithm::RsaPkcs1Sha256 => "rsa-sha256",
            _ => "ed25519",
        };
        let signed = reading::completed(headers, SIGNATURE, &content, key, Encoding::Base64);
        Ok(signed.map(|mut headers| {
            if let Some((_, signature)) = headers.last_mut() {
                *signature = format!(
                    r#"algorithm="{algorithm}", signature="{signature}", headers="{list}""#
                );
            }
            headers
        }))
    }
}

/// The signature, and the list of what it covers.
fn parameters(head: &Head) -> Result<(&str, &str), Refusal> {
    let text =
        reading::signature_text(head, SIGNATURE)?.ok_or(Refusal::from(Code::MissingSignature))?;
    let parameters = quoted::parameters(text).ok_or(NO_PARAMETERS)?;
    let value = |name| quoted::value(&parameters, name).ok_or(NO_PARAMETERS);
    Ok((value("signature")?, value("headers")?))
}

/// The signed date. The provider sends it twice, since some proxies write a `Date` of their own.
fn date(head: &Head) -> Result<&[u8], Refusal> {
    for name in [OWN_DATE, DATE] {
        match head.find_str(name) {
            Found::Nothing | Found::One(b"") => {}
            Found::One(date) => return Ok(date),
            Found::Several => return Err(SEVERAL_DATES),
        }
    }
    Err(Code::MissingTimestamp.into())
}

/// The signed parts of a delivery.
struct Parts<'d> {
    method: &'d str,
    target: &'d str,
    public_url: Option<&'d PublicUrl>,
    date: &'d [u8],
    body: &'d [u8],
}

impl Parts<'_> {
    /// The signed content: a line for each name of the list.
    fn content(&self, list: &str) -> Result<Vec<u8>, Refusal> {
        let names: Vec<&str> = list.split(' ').collect();
        let is_whole =
            names.len() == COVERED.len() && COVERED.iter().all(|covered| names.contains(covered));
        if !is_whole {
            return Err(OTHER_LIST);
        }
        let public_url = self.public_url.ok_or(NO_PUBLIC_URL)?;
        let url = UrlParts::of(public_url, self.target).ok_or(NO_PUBLIC_URL)?;
        let lines = names.into_iter().map(|name| {
            let value = match name {
                "(request-target)" => {
                    let method = self.method.to_ascii_lowercase();
                    format!("{method} {}", url.target).into_bytes()
                }
                "host" => url.host().as_bytes().to_vec(),
                "date" => self.date.to_vec(),
                _ => {
                    let digest = Encoding::Base64.encode(&Sha256::digest(self.body));
                    format!("sha-256={digest}").into_bytes()
                }
            };
            [name.as_bytes(), b": ", &value].concat()
        });
        Ok(lines.collect::<Vec<_>>().join(&b'\n'))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes::{Delivery, ORIGIN};
    use super::*;
    use crate::key::public::{PublicAlgorithm, SigningKey};

    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const NOW: &str = "Sun, 15 Jun 2025 15:06:40 GMT";

    /// A delivery whose signature names this list and covers these lines.
    fn signed(list: &str, lines: &[String]) -> Delivery {
        let key = SigningKey::parse(SEED.as_bytes()).unwrap();
        let signature = key.sign(PublicAlgorithm::Ed25519, lines.join("\n").as_bytes());
        let signature = Encoding::Base64.encode(&signature.unwrap());
        let parameters = format!(r#"keyid="a", signature="{signature}", headers="{list}""#);
        Delivery::new("/in?a=1", &[(DATE, NOW), (SIGNATURE, &parameters)], b"{}")
    }

    /// The line of each of these parts.
    fn lines(names: &[&str]) -> Vec<String> {
        let digest = Encoding::Base64.encode(&Sha256::digest(b"{}"));
        let value = |name: &str| match name {
            "(request-target)" => "post /in?a=1".to_owned(),
            "host" => ORIGIN.replace("https://", ""),
            "date" => NOW.to_owned(),
            _ => format!("sha-256={digest}"),
        };
        names
            .iter()
            .map(|name| format!("{name}: {}", value(name)))
            .collect()
    }

    #[test]
    fn au_61_the_list_holds_all_that_must_be_covered_and_nothing_else() {
        let code = |names: &[&str]| signed(&names.join(" "), &lines(names)).code("keygen", PUBLIC);
        assert_eq!(code(&COVERED), None);
        assert_eq!(code(&["digest", "date", "host", "(request-target)"]), None);
        let malformed = Some("malformed_signature");
        for names in [
            &[][..],
            &["(request-target)", "host", "date"],
            &["(request-target)", "host", "digest"],
            &["(request-target)", "host", "date", "date"],
            &["(request-target)", "host", "date", "digest", "digest"],
            &["(request-target)", "host", "date", "digest", "x-a"],
            &["(request-target)", "host", "date", "Digest"],
        ] {
            assert_eq!(code(names), malformed, "{names:?}");
        }
        assert_eq!(signed("", &[]).code("keygen", PUBLIC), malformed);
    }

    #[test]
    fn au_61_the_body_is_hashed_and_no_header_is_believed() {
        let good = signed(&COVERED.join(" "), &lines(&COVERED));
        let mut other = good.clone();
        other.body = b"[]".to_vec();
        for digest in [Sha256::digest(b"{}"), Sha256::digest(b"[]")] {
            let digest = format!("sha-256={}", Encoding::Base64.encode(&digest));
            let told = other
                .clone()
                .with("Digest", &digest)
                .with("Keygen-Digest", &digest);
            assert_eq!(told.code("keygen", PUBLIC), Some("bad_signature"));
        }
        // Whatever host a stranger writes, the configured one was signed.
        let elsewhere = good.clone().with("Host", "other.example");
        assert_eq!(elsewhere.code("keygen", PUBLIC), None);
        let mut moved = good.clone();
        moved.target = "/in?a=2".to_owned();
        assert_eq!(moved.code("keygen", PUBLIC), Some("bad_signature"));
        let mut moved = good;
        moved.origin = "https://other.example";
        assert_eq!(moved.code("keygen", PUBLIC), Some("bad_signature"));
    }

    #[test]
    fn the_date_of_the_provider_s_own_header_counts() {
        let good = signed(&COVERED.join(" "), &lines(&COVERED));
        let mut rewritten = good.clone().with(OWN_DATE, NOW);
        rewritten.lines[0].1 = b"Sun, 15 Jun 2025 15:06:41 GMT".to_vec();
        assert_eq!(rewritten.code("keygen", PUBLIC), None);
        let other = good.clone().with(OWN_DATE, "Sun, 15 Jun 2025 15:06:41 GMT");
        assert_eq!(other.code("keygen", PUBLIC), Some("bad_signature"));
        let old = good.clone().with(OWN_DATE, "Sun, 15 Jun 2025 15:01:39 GMT");
        assert_eq!(old.code("keygen", PUBLIC), Some("stale_timestamp"));
        let twice = good.with(DATE, NOW);
        assert_eq!(twice.code("keygen", PUBLIC), Some("malformed_timestamp"));
    }
}
