//! Schemes that no template can express: the trait of a provider's own code (schemes: Code).
//!
//! Code only reads a delivery into a [`Statement`]: the contents, and the signatures under them.
//! Keys, comparison, freshness and rotation are the verifier's, the same for every scheme.

use std::fmt;

use zeroize::Zeroizing;

use super::{Algorithm, Place, PublicUrl, Role, Source, Stamped};
use crate::clock::UnixMillis;
use crate::key::secret::SecretText;
use crate::notation::timestamp::Unit;
use crate::verdict::Refusal;
use crate::wire::head::{FieldName, Head};

/// A key, and the algorithm that it is good for.
pub type PinnedKey = (Algorithm, Zeroizing<Vec<u8>>);

/// A timestamp, and the unit in which it was written.
pub type Stamp = (UnixMillis, Unit);

/// The claims of a whole delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Each assertion must hold, all under the same secret. A statement without assertions proves
    /// nothing.
    pub assertions: Vec<Assertion>,
    /// The signed timestamp of a scheme that has it in the body.
    pub timestamp: Option<Stamp>,
    /// The text that holds the event, where that is not the raw body: a field of a form, or nothing
    /// where the signed form of the body is no JSON text. An event is read from the bytes that were
    /// verified, and from no other reading of them.
    pub text: Option<Vec<u8>>,
}

/// Contents, and the signatures under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The forms that the signed content may have, at most [`ProviderCode::spellings`]; one of them
    /// must hold. The form that held counts in replay protection.
    pub contents: Vec<Vec<u8>>,
    /// The end of the signed content, which is the same for all its forms.
    pub tail: Vec<u8>,
    /// The decoded signatures; one of them must hold.
    pub signatures: Vec<Vec<u8>>,
    /// The algorithm of the signatures; a secret pinned to another algorithm does not count.
    pub algorithm: Algorithm,
}

/// The parts of a delivery that its head alone shows. Empty where the signature is in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The timestamp, whose freshness is judged before the body is read.
    pub timestamp: Option<Stamp>,
    /// The decoded signatures.
    pub signatures: Vec<Vec<u8>>,
    /// The algorithm of the signatures.
    pub algorithm: Algorithm,
    /// The text of the timestamp, for a scheme that signs it as received.
    pub timestamp_text: Vec<u8>,
    /// The first moment at which the signature no longer holds, where a signed text says so. It
    /// counts beside a timestamp.
    pub expires: Option<UnixMillis>,
}

/// The facts about a route that [`ProviderCode::read`] depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteFacts<'r> {
    /// The URL that the provider calls.
    pub public_url: Option<&'r PublicUrl>,
    /// The [labels](ProviderCode::label) of the route's secrets. Only signatures under one of them
    /// are tried; all signatures if this is empty.
    pub labels: &'r [Vec<u8>],
    /// The [components](super::Scheme::components) that a signature must cover.
    pub components: &'r [String],
}

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct SignRequest<'r> {
    /// The method that the delivery will have.
    pub method: &'r str,
    /// The target that the delivery will have: path and query.
    pub target: &'r str,
    /// The body.
    pub body: &'r [u8],
    /// The event's id, for a scheme that keeps it in a header or a token; `plivo-v3` takes it for
    /// the nonce.
    pub id: Option<&'r str>,
    /// The time of signing; written in the scheme's unit, rounded down.
    pub at: UnixMillis,
    /// The URL that the provider calls, for a scheme that signs the URL.
    pub public_url: Option<&'r str>,
    /// Other headers that the delivery will have, for schemes that sign them.
    pub headers: &'r [(&'r str, &'r str)],
}

/// The key that signs a request for a provider's code.
#[derive(Clone, Copy, Debug)]
pub struct CodeKey<'k> {
    /// The algorithm of the signature.
    pub algorithm: Algorithm,
    /// The key of a MAC, or the text of a private key.
    pub bytes: &'k [u8],
    /// The [components](super::Scheme::components) that the signature must cover.
    pub components: &'k [String],
}

/// The code of a provider whose signed content no template can express, and the words for it.
///
/// The defaults are those of an HMAC-SHA256 over content that holds the body, in a signature of the
/// body, under the secret's own bytes.
pub trait ProviderCode: fmt::Debug + Sync {
    /// The name in a configuration file.
    fn name(&self) -> &'static str;

    /// The signed content in words, for `verigate providers`.
    fn content_words(&self) -> &'static str;

    /// The secret in words, for `verigate providers`.
    fn secret_words(&self) -> &'static str;

    /// The place and unit of the timestamp in words, for `verigate providers`; `None` for a scheme
    /// without timestamp.
    fn timestamp_words(&self) -> Option<&'static str> {
        None
    }

    /// The algorithm that a scheme with this code must name.
    fn algorithm(&self) -> Algorithm {
        Algorithm::HmacSha256
    }

    /// The algorithms by which a signature may have been made as well. The type of the configured
    /// key, never the delivery, says which of them counts.
    fn further_algorithms(&self) -> &'static [Algorithm] {
        &[]
    }

    /// Judges the [components](super::Scheme::components) that a scheme with this code demands.
    ///
    /// # Errors
    /// Why the code cannot demand these components, in lower case and without a full stop.
    fn judge_components(&self, components: &[String]) -> Result<(), String> {
        if components.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "`components` means nothing for the code `{}`",
                self.name()
            ))
        }
    }

    /// The headers that the code reads, the signature's first; empty where the signature is in the
    /// body.
    fn headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// The places beside the headers that the code reads, each with its part: parameters of the
    /// query and values of the body.
    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        Vec::new()
    }

    /// Whether the signature authenticates the body.
    fn covers_body(&self) -> bool;

    /// Whether the provider's URL is signed, so that a `public_url` is needed.
    fn signs_url(&self) -> bool {
        false
    }

    /// Whether the path is signed, as part of the URL or by itself.
    fn signs_path(&self) -> bool {
        self.signs_url()
    }

    /// The most forms that the signed content of an assertion may have, such as spellings of the URL.
    /// A stranger chooses how many of them are hashed.
    fn spellings(&self) -> usize {
        1
    }

    /// Whether a header carries an id that is signed and is not the event's.
    fn has_own_id(&self) -> bool {
        false
    }

    /// Whether so little is signed that two honest events may have the same signed content.
    fn events_look_alike(&self) -> bool {
        false
    }

    /// Whether a timestamp is signed.
    fn signs_timestamp(&self) -> bool {
        false
    }

    /// The time at which the provider makes that timestamp.
    fn stamped(&self) -> Stamped {
        Stamped::Unknown
    }

    /// Whether the value at this place is signed.
    fn signs(&self, _place: &Place) -> bool {
        false
    }

    /// Whether the signature covers this header of this request.
    fn signs_header(&self, _head: &Head, name: &FieldName) -> bool {
        self.signs(&Place::Header(name.clone()))
    }

    /// The part of an account that names its holder, such as the AWS account in a topic's ARN. A
    /// route may list it in place of the account. `None` where accounts have no such part.
    fn account_holder<'a>(&self, _account: &'a str) -> Option<&'a str> {
        None
    }

    /// The label by which a delivery marks the signatures under this secret; `None` where the
    /// secret has no label.
    fn label<'s>(&self, _secret: &'s SecretText) -> Option<&'s [u8]> {
        None
    }

    /// The keys in a secret's text, each with the algorithm it is pinned to; at least one. Never
    /// called where the algorithm takes public keys.
    ///
    /// # Errors
    /// Says, without a byte of the text, why the text is no secret of this provider.
    fn keys(&self, text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        let key = Zeroizing::new(text.expose().to_vec());
        if key.is_empty() {
            Err("the secret is empty")
        } else {
            Ok(vec![(self.algorithm(), key)])
        }
    }

    /// Reads the parts that the head alone shows, before a byte of the body is read.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`.
    fn begin(&self, _head: &Head) -> Result<Begun, Refusal> {
        Ok(Begun::default())
    }

    /// Reads the claims of a whole delivery, whose head was [begun](Self::begin).
    ///
    /// # Errors
    /// As [`begin`](Self::begin), for the parts in the body.
    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal>;

    /// The headers that make a request a delivery, the signature last, with one of the
    /// [`keys`](Self::keys) or a private key of one of its algorithms; the other headers of the request are not
    /// repeated. `None` where deliveries are not signed in a header with such a key.
    ///
    /// # Errors
    /// Why the delivery would be refused.
    fn sign(
        &self,
        _key: CodeKey<'_>,
        _request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        Ok(None)
    }
}

impl dyn ProviderCode {
    /// Every algorithm by which a signature may have been made, the first the one that the scheme
    /// names.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + use<> {
        std::iter::once(self.algorithm()).chain(self.further_algorithms().iter().copied())
    }

    /// The labels of all the route's secrets; empty where a secret has no label, since any
    /// signature may be its own.
    pub fn labels<'s>(&self, secrets: impl IntoIterator<Item = &'s SecretText>) -> Vec<Vec<u8>> {
        let labels = secrets
            .into_iter()
            .map(|text| self.label(text).map(<[u8]>::to_vec));
        labels.collect::<Option<_>>().unwrap_or_default()
    }
}
