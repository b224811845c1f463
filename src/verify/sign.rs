//! The same scheme the other way round: the headers that make a body a valid delivery (SPEC 7, `sign`).
//!
//! Shares the template and the key with `verifier`, so what is signed here is what is verified there.

use super::clock::UnixMillis;
use super::scheme::template::Facts;
use super::scheme::{Place, PublicUrl, Scheme};
use super::secret::Secret;
use super::verdict::Refusal;
use super::verifier::KeyFault;
use crate::wire::head::{FieldName, Found};

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct SignRequest<'r> {
    /// The method that the delivery will have.
    pub method: &'r str,
    /// Its target: path and query.
    pub target: &'r str,
    /// Its body.
    pub body: &'r [u8],
    /// The event's id, where the scheme keeps it in a header.
    pub id: Option<&'r str>,
    /// When it is signed; written in the scheme's unit, rounded down.
    pub at: UnixMillis,
    /// The URL that the provider calls, where the scheme signs it.
    pub public_url: Option<&'r str>,
    /// Other headers that the delivery will have, for schemes that sign them.
    pub headers: &'r [(&'r str, &'r str)],
}

/// Why a request cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// The secret is no key of this scheme.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The time lies before 1970.
    #[error("the time to sign at lies before 1970")]
    Time,
    /// The id cannot stand in a header.
    #[error("the event id is empty, begins or ends with white space, or holds a control character")]
    Id,
    /// What is to be signed would be refused.
    #[error("the delivery would be refused: {0}")]
    Refused(Refusal),
}

/// The headers that the scheme wants on this delivery, in the order required ones, id, timestamp, signature. The other
/// headers of the request are not repeated.
///
/// # Errors
/// See [`SignFault`].
pub fn sign(scheme: &Scheme, secret: &Secret, request: &SignRequest<'_>) -> Result<Vec<(String, String)>, SignFault> {
    let key = scheme.key.key(&secret.text).map_err(|why| KeyFault { secret: secret.name.clone(), why })?;
    let mut headers: Vec<(&FieldName, String)> = Vec::new();
    for (name, value) in &scheme.require {
        headers.push((name, String::from_utf8_lossy(value).into_owned()));
    }
    if let (Some(Place::Header(name)), Some(id)) = (&scheme.event_id, request.id) {
        if id.is_empty() || id.trim_ascii() != id || id.bytes().any(|b| b.is_ascii_control()) {
            return Err(SignFault::Id);
        }
        headers.push((name, id.to_owned()));
    }
    let timestamp = scheme.timestamp.as_ref().map(|place| place.unit.write(request.at).ok_or(SignFault::Time));
    let timestamp = timestamp.transpose()?;
    if let (Some(place), Some(text)) = (&scheme.timestamp, &timestamp) {
        headers.push((&place.header, text.clone()));
    }

    let facts = Outgoing {
        scheme,
        request,
        headers: &headers,
        timestamp: timestamp.as_deref(),
        public_url: request.public_url.map(PublicUrl::new),
    };
    let mut content = Vec::new();
    let before = scheme.signed.render(&facts, &mut content).map_err(SignFault::Refused)?;
    let (before, after) = content.split_at_checked(before).unwrap_or((&content, b""));
    let mut mac = scheme.algorithm.mac(&key);
    mac.update(before);
    if scheme.signed.covers_body() {
        mac.update(request.body);
    }
    mac.update(after);
    let place = &scheme.signature;
    let signature = place.prefix.clone() + &place.encoding.encode(mac.finalize().as_bytes());
    headers.push((&place.header, signature));
    Ok(headers.into_iter().map(|(name, value)| (canonical(name), value)).collect())
}

/// What a template takes from a request to be signed.
struct Outgoing<'r> {
    scheme: &'r Scheme,
    request: &'r SignRequest<'r>,
    headers: &'r [(&'r FieldName, String)],
    timestamp: Option<&'r str>,
    public_url: Option<PublicUrl>,
}

impl Facts for Outgoing<'_> {
    fn method(&self) -> &str {
        self.request.method
    }

    fn target(&self) -> &str {
        self.request.target
    }

    fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp.map(str::as_bytes)
    }

    fn id(&self) -> Found<'_> {
        match &self.scheme.event_id {
            Some(Place::Header(name)) => self.header(name),
            _ => Found::Nothing,
        }
    }

    fn header(&self, name: &FieldName) -> Found<'_> {
        let ours = self.headers.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        let others = self.request.headers.iter().filter(|(n, _)| name.is_or_aliases(n.as_bytes())).map(|(_, v)| *v);
        let mut values = ours.chain(others);
        match (values.next(), values.next()) {
            (None, _) => Found::Nothing,
            (Some(value), None) => Found::One(value.trim_ascii().as_bytes()),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }
}

/// `X-Webhook-Signature-256`: each letter that begins a word is a capital one.
fn canonical(name: &FieldName) -> String {
    let mut begins = true;
    let letter = |c: char| {
        let out = if begins { c.to_ascii_uppercase() } else { c };
        begins = c == '-';
        out
    };
    name.as_str().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::super::scheme::fixtures::{field, itellico, plain, secret, timestamped};
    use super::*;

    const AT: UnixMillis = UnixMillis(1_750_000_000_999);

    fn request() -> SignRequest<'static> {
        SignRequest { method: "POST", target: "/in/x", body: b"{}", id: None, at: AT, public_url: None, headers: &[] }
    }

    #[test]
    fn the_reference_scheme_gives_its_two_headers() {
        let headers = sign(&itellico(), &secret("s", "itellico_test_secret"), &request()).unwrap();
        // printf '{}.1750000000' | openssl dgst -sha256 -hmac itellico_test_secret
        let expected = [
            ("X-Webhook-Timestamp", "1750000000"),
            ("X-Webhook-Signature-256", "b77330893dbeefc42e604b1636f166dc4ad0eef711228e7b10820bb5649790d0"),
        ];
        assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn required_headers_and_id_come_first() {
        let mut scheme = timestamped("{id}.{header:X-Version}.{header:X-Nonce}.{timestamp}.{body}");
        scheme.require = vec![(field("x-version"), b"1".to_vec())];
        scheme.signature.prefix = "v1=".into();
        let request = SignRequest { id: Some("evt"), headers: &[("x-NONCE", " n ")], ..request() };
        let headers = sign(&scheme, &secret("s", "k"), &request).unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-Version", "X-Id", "X-Timestamp", "X-Signature"]);
        let mut mac = scheme.algorithm.mac(b"k");
        mac.update(b"evt.1.n.1750000000.{}");
        assert_eq!(headers[3].1, format!("v1={}", hex::encode(mac.finalize().as_bytes())));
    }

    #[test]
    fn what_cannot_be_signed_says_why() {
        let fault = |scheme: &Scheme, text, request: SignRequest<'_>| {
            sign(scheme, &secret("mine", text), &request).unwrap_err().to_string()
        };
        let id = |id| SignRequest { id, ..request() };
        let early = SignRequest { at: UnixMillis(-1), ..request() };
        assert_eq!(fault(&itellico(), "", request()), "secret mine: the secret is empty");
        assert_eq!(fault(&itellico(), "k", early), "the time to sign at lies before 1970");
        assert!(fault(&plain("{id}.{body}"), "k", id(None)).contains("missing"));
        assert!(fault(&plain("{id}.{body}"), "k", id(Some("a.b"))).contains("divides"));
        assert!(fault(&plain("{id}.{body}"), "k", id(Some("a\nb"))).contains("control character"));
        assert!(fault(&plain("{url}{body}"), "k", request()).contains("public_url"));
        assert!(fault(&plain("{header:X-A}.{body}"), "k", request()).contains("a signed header is missing"));
    }
}
