//! One route's verification: `begin` judges the head, `update` hashes the body as it arrives, `finish` proves it
//! (SPEC 2.3 to 2.5).
//!
//! Judges signature and freshness only; the event is named by `envelope`, and who may forward it is decided in `claim`.
//! A verification that is dropped half way leaves nothing behind.

use std::borrow::Cow;
use std::sync::Arc;

use super::clock::{Now, UnixMillis};
pub use super::scheme::Settings;
use super::scheme::algorithm::{Digest, Mac};
use super::scheme::template::Facts;
use super::scheme::{Place, PublicUrl, Scheme, TimestampPlace};
use super::secret::{Secret, Validity};
use super::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// A route's scheme, keys and settings. Clones share them.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scheme: Arc<Scheme>,
    keys: Vec<Key>,
    settings: Settings,
    public_url: Option<PublicUrl>,
}

/// A secret, made ready: its text is no longer held.
#[derive(Debug)]
struct Key {
    name: Arc<str>,
    validity: Validity,
    // With the key absorbed and nothing else.
    mac: Mac,
}

/// A secret that is no key of its scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret {secret}: {why}")]
pub struct KeyFault {
    /// The secret's name.
    pub secret: String,
    /// What is wrong, without a byte of it.
    pub why: Cow<'static, str>,
}

impl Verifier {
    /// Makes the keys. That the scheme has no [faults](Scheme::faults) with these settings is for the loader to see to;
    /// where it has, deliveries are refused, never let through.
    ///
    /// # Errors
    /// The first secret that is no key of this scheme.
    pub fn new(scheme: Arc<Scheme>, secrets: Vec<Secret>, settings: Settings) -> Result<Self, KeyFault> {
        let key = |secret: Secret| {
            let validity = secret.validity();
            match scheme.key.key(&secret.text) {
                Ok(bytes) => Ok(Key { mac: scheme.algorithm.mac(&bytes), validity, name: secret.name.into() }),
                Err(why) => Err(KeyFault { secret: secret.name, why }),
            }
        };
        let keys = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        let public_url = settings.public_url.as_deref().map(PublicUrl::new);
        Ok(Self(Arc::new(Inner { scheme, keys, settings, public_url })))
    }

    /// The scheme verified by.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.0.scheme
    }

    /// The settings verified by.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Judges all that needs no body, in this order: required headers, the signature's form, the timestamp's form,
    /// freshness, the other signed values. So a stale delivery is `stale_timestamp` whatever its signature is worth.
    ///
    /// The verification owns all it needs and may live across awaits, longer than `head` and this verifier.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`, `stale_timestamp`,
    /// `future_timestamp`, and what [`Template::render`](super::scheme::Template::render) refuses.
    pub fn begin(&self, head: &Head, now: Now) -> Result<Verification, Refusal> {
        let Inner { scheme, keys, settings, public_url } = &*self.0;
        for (name, value) in &scheme.require {
            if head.find(name) != Found::One(value) {
                return Err(WRONG_REQUIRED);
            }
        }
        let expected = signature(scheme, head)?;
        let mut facts = Received { scheme, head, timestamp: None, public_url: public_url.as_ref() };
        let mut at = None;
        if let Some(place) = &scheme.timestamp {
            let (text, moment) = timestamp(place, head)?;
            place.unit.judge(moment, now.wall, settings.tolerance, settings.future_tolerance)?;
            facts.timestamp = Some(text);
            at = Some(moment);
        }
        let mut bytes = Vec::with_capacity(CONTENT_ROOM);
        let before = scheme.signed.render(&facts, &mut bytes)?;
        let content = SignedContent { bytes, before };

        let running = keys.iter().position(|key| key.validity.includes(now.wall)).and_then(|index| {
            let mut mac = keys.get(index)?.mac.clone();
            mac.update(content.before());
            Some(Running { index, mac, body_bytes: 0 })
        });
        Ok(Verification { verifier: self.clone(), expected, content, at, running })
    }

    /// Judges the freshness of a proof once more, when its event is about to be claimed (SPEC 2.5).
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn recheck(&self, proof: &Proof, now: Now) -> Result<(), Refusal> {
        let settings = &self.0.settings;
        match (&self.0.scheme.timestamp, proof.timestamp) {
            (Some(place), Some(at)) => {
                Ok(place.unit.judge(at, now.wall, settings.tolerance, settings.future_tolerance)?)
            }
            _ => Ok(()),
        }
    }

    /// The first moment of the wall clock at which the timestamp of `proof` is stale. `None` where no timestamp is
    /// signed, or the past is not judged.
    pub fn fresh_until(&self, proof: &Proof) -> Option<UnixMillis> {
        let place = self.0.scheme.timestamp.as_ref()?;
        place.unit.fresh_until(proof.signed_at?, self.0.settings.tolerance)
    }

    /// The timestamp that a head claims, for logs of what was refused; `None` where there is none that can be read.
    pub fn timestamp_of(&self, head: &Head) -> Option<UnixMillis> {
        timestamp(self.0.scheme.timestamp.as_ref()?, head).ok().map(|(_, at)| at)
    }
}

/// Room for what is signed besides the body in nearly all schemes, so that it is allocated once.
const CONTENT_ROOM: usize = 64;

const WRONG_REQUIRED: Refusal =
    Refusal::because(Code::MalformedSignature, "a header that this scheme requires is missing or has another value");
const SEVERAL_SIGNATURES: Refusal =
    Refusal::because(Code::MalformedSignature, "the signature header is there more than once");
const NO_PREFIX: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not begin with the text that this scheme puts there",
);
const NO_DIGEST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not have the encoding and length that this scheme gives it",
);
const SEVERAL_TIMESTAMPS: Refusal =
    Refusal::because(Code::MalformedTimestamp, "the timestamp header is there more than once");

fn signature(scheme: &Scheme, head: &Head) -> Result<Digest, Refusal> {
    let place = &scheme.signature;
    let text = match head.find(&place.header) {
        Found::Nothing | Found::One(b"") => return Err(Code::MissingSignature.into()),
        Found::Several => return Err(SEVERAL_SIGNATURES),
        Found::One(text) => text,
    };
    let text = text.strip_prefix(place.prefix.as_bytes()).ok_or(NO_PREFIX)?;
    Digest::decode(scheme.algorithm, place.encoding, text).ok_or(NO_DIGEST)
}

fn timestamp<'h>(place: &TimestampPlace, head: &'h Head) -> Result<(&'h [u8], UnixMillis), Refusal> {
    match head.find(&place.header) {
        Found::Nothing | Found::One(b"") => Err(Code::MissingTimestamp.into()),
        Found::Several => Err(SEVERAL_TIMESTAMPS),
        Found::One(text) => match place.unit.parse(text) {
            Some(at) => Ok((text, at)),
            None => Err(Refusal::because(Code::MalformedTimestamp, place.unit.refusal())),
        },
    }
}

/// What a template takes from a received head.
struct Received<'h> {
    scheme: &'h Scheme,
    head: &'h Head,
    timestamp: Option<&'h [u8]>,
    public_url: Option<&'h PublicUrl>,
}

impl Facts for Received<'_> {
    fn method(&self) -> &str {
        self.head.method()
    }

    fn target(&self) -> &str {
        self.head.target()
    }

    fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp
    }

    fn id(&self) -> Found<'_> {
        match &self.scheme.event_id {
            Some(Place::Header(name)) => self.head.find(name),
            _ => Found::Nothing,
        }
    }

    fn header(&self, name: &FieldName) -> Found<'_> {
        self.head.find(name)
    }

    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url
    }
}

/// A delivery whose head was judged and whose body is arriving. Holds no borrow and is `Send`.
#[derive(Debug)]
pub struct Verification {
    verifier: Verifier,
    expected: Digest,
    content: SignedContent,
    at: Option<UnixMillis>,
    // None where no secret is active.
    running: Option<Running>,
}

/// The hash that runs while the body arrives.
#[derive(Debug)]
struct Running {
    // Its key's place in the list.
    index: usize,
    mac: Mac,
    body_bytes: usize,
}

impl Verification {
    /// Hashes the next bytes of the body, with the first active secret.
    pub fn update(&mut self, chunk: &[u8]) {
        if let Some(running) = &mut self.running
            && self.verifier.0.scheme.signed.covers_body()
        {
            running.mac.update(chunk);
            running.body_bytes += chunk.len();
        }
    }

    /// The timestamp that the head carries, proved or not.
    pub fn timestamp(&self) -> Option<UnixMillis> {
        self.at
    }

    /// Compares the digest of the body taken in by [`update`](Self::update) with the signature; where they differ, goes
    /// through `body` again with every other secret that is active at `now`. A `body` that was never given to `update`
    /// is hashed here.
    ///
    /// `body` must be the bytes given to `update`, one after the other: what was hashed is what is proved.
    ///
    /// # Errors
    /// `bad_signature`, after every active secret was tried.
    pub fn finish(self, body: &[u8], now: Now) -> Result<Proof, Refusal> {
        let Self { verifier, expected, content, at, running } = self;
        let Inner { scheme, keys, .. } = &*verifier.0;
        let body = if scheme.signed.covers_body() { body } else { b"" };
        // A hash over another number of bytes is not one over this body.
        let mut running = running.filter(|running| running.body_bytes == body.len());

        for (index, key) in keys.iter().enumerate() {
            if !key.validity.includes(now.wall) {
                continue;
            }
            let mut mac = if let Some(running) = running.take_if(|running| running.index == index) {
                running.mac
            } else {
                let mut mac = key.mac.clone();
                mac.update(content.before());
                mac.update(body);
                mac
            };
            mac.update(content.after());
            if mac.verify(expected.as_bytes()) {
                let signed_at = at.filter(|_| scheme.signs_timestamp());
                return Ok(Proof { secret: Arc::clone(&key.name), signed_at, timestamp: at, content });
            }
        }
        Err(Code::BadSignature.into())
    }
}

/// That a delivery was signed with an active secret, and fresh when its head was judged. Only
/// [`Verification::finish`] makes one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Proof {
    /// The name of the secret that matched.
    pub secret: Arc<str>,
    /// The timestamp, where the signature covers it: what replay protection may rest on.
    pub signed_at: Option<UnixMillis>,
    /// The timestamp, covered or not: for the log.
    pub timestamp: Option<UnixMillis>,
    /// What was signed besides the body.
    pub content: SignedContent,
}

/// The signed content without the body: what stands before it and after it. Where the template has no `{body}`, all of
/// it stands before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedContent {
    bytes: Vec<u8>,
    before: usize,
}

impl SignedContent {
    /// What stands before the body.
    pub fn before(&self) -> &[u8] {
        self.bytes.get(..self.before).unwrap_or_default()
    }

    /// What stands after the body.
    pub fn after(&self) -> &[u8] {
        self.bytes.get(self.before..).unwrap_or_default()
    }
}
