//! The verification of a route's deliveries: `begin` judges the head, `update` hashes the body as
//! it arrives, `finish` proves it (contract: Before the body, Body, Proof).
//!
//! Only signature and freshness are judged here; `envelope` names the event, and `claim` decides
//! who may forward it. `signatures` reads signatures, `keys` makes keys of secrets, `template`
//! reads the parts of a head that a template needs, and `proving` tries keys and signatures once
//! the body is complete; `token` does so for a JSON Web Token. A verification can be dropped at any moment and leaves nothing behind.

mod forms;
mod keys;
mod proof;
mod proving;
mod signatures;
mod template;
mod token;
mod verification;
mod work;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use self::keys::{Key, Keyed};
pub use self::proof::Proof;
use self::signatures::SignatureRule;
use self::template::InBody;
use self::verification::HeadParts;
pub use self::verification::Verification;
pub use self::work::{STEP, STRETCH, Work};
use crate::clock::{Now, UnixMillis};
use crate::key::digest::Digest;
use crate::key::secret::Secret;
use crate::notation::timestamp::Window;
use crate::scheme::handshake::Challenge;
use crate::scheme::{BodyForm, ProofBy, PublicUrl, Scheme, Settings};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

/// The scheme, keys and settings of a route. Clones share them.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scheme: Arc<Scheme>,
    secrets: Vec<Keyed>,
    settings: Settings,
    public_url: Option<PublicUrl>,
    in_body: Option<InBody>,
    // The labels by which deliveries mark the signatures of each secret.
    labels: Vec<Vec<u8>>,
    // Whether the body can be hashed while it arrives, because the head decides everything that is
    // signed before it.
    streams: bool,
    /// Whether the signature covers a timestamp.
    signs_timestamp: bool,
}

impl Inner {
    /// The first secret with an active key that holds.
    fn find(&self, now: Now, holds: impl Fn(&Key) -> bool) -> Result<&Keyed, Refusal> {
        let has = |secret: &&Keyed| secret.active(now.wall).any(|(_, key)| holds(key));
        let found = self.secrets.iter().find(has);
        found.ok_or(Code::BadSignature.into())
    }

    /// Whether the bytes of the body are a part of the signed content of a template.
    fn hashes_body(&self) -> bool {
        let template = self.scheme.template();
        template.is_some_and(|template| template.signed.holds_body())
    }

    /// Whether the whole body is read before the signature can be judged: the signature, a signed
    /// value or a digest comes from it.
    fn is_read_first(&self) -> bool {
        let template = self.scheme.template();
        self.in_body.as_ref().is_some_and(InBody::is_read_first)
            || template.is_some_and(|template| template.signed.digests() > 0)
    }
}

/// The error for a secret that cannot be a key of its scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret {secret}: {why}")]
pub struct KeyError {
    /// The secret's name.
    pub secret: String,
    /// The reason, without a byte of the secret.
    pub why: Cow<'static, str>,
}

impl Verifier {
    /// Makes the keys. The loader must have found no [faults](Scheme::faults) of the scheme with
    /// these settings; with a faulty scheme deliveries are refused, never let through.
    ///
    /// # Errors
    /// The first secret that is not a key of this scheme.
    pub fn new(
        scheme: Arc<Scheme>,
        secrets: Vec<Secret>,
        settings: Settings,
    ) -> Result<Self, KeyError> {
        let keyed = |secret: Secret| {
            Keyed::new(&scheme, &secret).map_err(|why| KeyError {
                secret: secret.name.clone(),
                why,
            })
        };
        let texts = secrets.iter().map(|secret| &secret.text);
        let labels = scheme
            .code()
            .map(|code| code.labels(texts))
            .unwrap_or_default();
        let secrets = secrets.into_iter().map(keyed).collect::<Result<_, _>>()?;
        let public_url = settings.public_url.as_deref().map(PublicUrl::new);
        let in_body = InBody::of(&scheme, &settings);
        let streams = scheme.template().is_some_and(|template| {
            template.signature.json.is_none()
                && template.signed.pointers().next().is_none()
                && template.signed.digests() == 0
                && template.body.first() == Some(&BodyForm::Raw)
        });
        Ok(Self(Arc::new(Inner {
            signs_timestamp: scheme.signs_timestamp(),
            scheme,
            secrets,
            settings,
            public_url,
            in_body,
            labels,
            streams,
        })))
    }

    /// The scheme of the route.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.0.scheme
    }

    /// The settings of the route.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Judges everything that needs no body, in this order: required headers, the form of the
    /// signature, the form of the timestamp, freshness, the other signed values. So a stale
    /// delivery is refused as `stale_timestamp`, whether or not its signature holds.
    ///
    /// The verification owns all it needs and may live across awaits, longer than `head` and this
    /// verifier. It is in a box because it is large, and copying it from step to step costs more
    /// than the allocation.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`,
    /// `stale_timestamp`, `future_timestamp`, and the refusals of
    /// [`Template::render`](crate::scheme::Template::render).
    pub fn begin(&self, head: &Head, now: Now) -> Result<Box<Verification>, Refusal> {
        let Inner {
            scheme, settings, ..
        } = &*self.0;
        for (name, value) in &scheme.require {
            if head.find(name) != Found::One(value) {
                return Err(WRONG_REQUIRED);
            }
        }
        let (way, at, window) = match &scheme.proof {
            ProofBy::Template(template) => template::begin(&self.0, template, head, now)?,
            ProofBy::Code(code) => {
                let begun = code.begin(head)?;
                let (at, window) = match begun.timestamp {
                    Some((at, unit)) => {
                        let window = unit.window(at, settings.tolerance, settings.future_tolerance);
                        let until = begun.expires;
                        (Some(at), window.within(Window { from: None, until }))
                    }
                    None => (None, Window::ALWAYS),
                };
                (HeadParts::Code(Box::new((head.clone(), begun))), at, window)
            }
            // The token is the body, so nothing of it is known yet.
            ProofBy::Token(scheme) if scheme.rule.is_body() => (
                HeadParts::Token(Box::new((head.clone(), None))),
                None,
                Window::ALWAYS,
            ),
            ProofBy::Token(scheme) => {
                let token = scheme.rule.read(head)?;
                let times = scheme.rule.times(&token)?;
                (
                    HeadParts::Token(Box::new((head.clone(), Some(token)))),
                    times.made,
                    times.window,
                )
            }
            ProofBy::Credential(credential) => {
                let signatures = match &credential.place.json {
                    Some(_) => signatures::Signatures::default(),
                    None => signatures::read(&SignatureRule::of_credential(credential), head)?.0,
                };
                (HeadParts::Credential(signatures), None, Window::ALWAYS)
            }
        };
        window.judge(now.wall)?;
        Ok(Verification::begun(self.clone(), way, at, window, now))
    }

    /// Judges the freshness of a proof once more, when its event is about to be claimed (contract:
    /// Proof).
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn recheck(&self, proof: &Proof, now: Now) -> Result<(), Refusal> {
        Ok(proof.window.judge(now.wall)?)
    }

    /// Refuses a proof that was signed before `start`. Compares whole seconds, since most schemes
    /// know no smaller unit. A proof without a signed timestamp passes.
    ///
    /// # Errors
    /// `stale_timestamp`.
    pub fn judge_start(&self, proof: &Proof, start: UnixMillis) -> Result<(), Refusal> {
        let seconds = |at: UnixMillis| at.0.div_euclid(1000);
        let is_older = proof
            .signed_at
            .is_some_and(|at| seconds(at) < seconds(start));
        if is_older {
            Err(FROM_BEFORE_THE_START)
        } else {
            Ok(())
        }
    }

    /// The first moment of the wall clock at which the timestamp of `proof` is stale. `None` where
    /// no timestamp is signed, or the past is not judged.
    pub fn fresh_until(&self, proof: &Proof) -> Option<UnixMillis> {
        proof.signed_at.and(proof.window.until)
    }

    /// The MAC that answers a handshake, made with the first active secret that can make it, or
    /// only with the secret named `secret` if that is given. Takes nothing but a [`Challenge`]: the
    /// MAC of any other text could be the signature of a delivery.
    pub(crate) fn answer_mac(
        &self,
        challenge: &Challenge,
        secret: Option<&str>,
        now: Now,
    ) -> Option<Digest> {
        let is_meant = |keyed: &&Keyed| secret.is_none_or(|name| *keyed.name == *name);
        let mut keys = self
            .0
            .secrets
            .iter()
            .filter(is_meant)
            .flat_map(|keyed| keyed.active(now.wall));
        keys.find_map(|(_, key)| key.answer(challenge.algorithm(), challenge.text().as_bytes()))
    }

    /// The timestamp that a delivery states, proved or not, for the log of a refused one. `body` is
    /// its whole body, if that was read. `None` where no timestamp can be read.
    pub fn timestamp_of(&self, head: &Head, body: Option<&[u8]>) -> Option<UnixMillis> {
        match &self.0.scheme.proof {
            ProofBy::Template(template) => template::timestamp_of(template, head)
                .or_else(|| proving::timestamp_in(&self.0, template, head, body?)),
            ProofBy::Code(code) => {
                let begun = code.begin(head).ok()?;
                let in_head = begun.timestamp;
                let in_body = || proving::timestamp_stated(&self.0, *code, (head, begun), body?);
                in_head.or_else(in_body).map(|(at, _)| at)
            }
            ProofBy::Token(token) => {
                let read = token.rule.find(head, body.unwrap_or_default());
                token.rule.times(&read.ok()?).ok()?.made
            }
            ProofBy::Credential(_) => None,
        }
    }
}

const WRONG_REQUIRED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a header that this scheme requires is missing or has another value",
);
const FROM_BEFORE_THE_START: Refusal = Refusal::because(
    Code::StaleTimestamp,
    "the timestamp is from before the gateway's start",
);
