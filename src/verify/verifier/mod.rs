//! The verification of one route's deliveries: `begin` judges the head, `update` hashes the body as it arrives, `finish`
//! proves it (contract: Before the body, Body, Proof).
//!
//! Judges signature and freshness only; the event is named by `envelope`, and `claim` decides who may forward it.
//! `signatures` reads signatures, `keys` makes keys of secrets, `template` reads what a template needs from a head, and
//! `proving` tries keys and signatures once the body is there. A verification that is dropped half way leaves nothing
//! behind.

mod keys;
mod proof;
mod proving;
mod signatures;
mod template;
mod verification;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use self::keys::Keyed;
pub use self::proof::Proof;
use self::signatures::SignatureRule;
use self::template::InBody;
use self::verification::HeadParts;
pub use self::verification::Verification;
use crate::clock::{Now, UnixMillis};
use crate::key::digest::Digest;
use crate::key::secret::Secret;
use crate::notation::timestamp::Window;
use crate::scheme::handshake::Challenge;
use crate::scheme::{BodyForm, ProofBy, PublicUrl, Scheme, Settings};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

/// A route's scheme, keys and settings. Clones share them.
///
/// A delivery is judged in three calls, the same for live traffic and for every command:
///
/// ```
/// use std::sync::Arc;
///
/// use verigate::clock::{Clock, UnixMillis};
/// use verigate::config::presets;
/// use verigate::key::secret::{Secret, SecretText};
/// use verigate::scheme::Settings;
/// use verigate::verdict::{Code, Refusal};
/// use verigate::verify::verifier::{Proof, Verifier};
/// use verigate::wire::head::Head;
///
/// let scheme = Arc::new(presets::find("github").ok_or("no such preset")?.scheme.clone());
/// // The secret, body and signature of GitHub's own documentation.
/// let text = SecretText::new(b"It's a Secret to Everybody".to_vec());
/// let secret = Secret { name: "example".to_owned(), text, not_before: None, not_after: None };
/// let settings = Settings {
///     tolerance: scheme.tolerance,
///     future_tolerance: scheme.future_tolerance,
///     public_url: None,
///     max_body: 1 << 20,
/// };
/// let verifier = Verifier::new(scheme, vec![secret], settings)?;
///
/// let clock = Clock::set_to(UnixMillis::from_secs(1_750_000_000));
/// let name = b"X-Hub-Signature-256";
/// let value = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
///
/// let judge = |chunks: [&[u8]; 2]| -> Result<Proof, Refusal> {
///     let head = Head::from_parts("POST", "/hooks/github", [(&name[..], &value[..])])?;
///     let mut verification = verifier.begin(&head, clock.now())?; // before the body is read
///     chunks.iter().for_each(|chunk| verification.update(chunk)); // as the body arrives
///     // Without this proof nothing is forwarded.
///     verification.finish(&chunks.concat(), clock.now())
/// };
/// assert!(judge([b"Hello, ", b"World!"]).is_ok_and(|proof| &*proof.secret == "example"));
/// let forged = judge([b"Hello, ", b"world!"]);
/// assert!(forged.is_err_and(|refusal| refusal.code == Code::BadSignature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scheme: Arc<Scheme>,
    secrets: Vec<Keyed>,
    settings: Settings,
    public_url: Option<PublicUrl>,
    in_body: Option<InBody>,
    // The labels by which a delivery marks the signatures of each secret.
    labels: Vec<Vec<u8>>,
    // Whether the body can be hashed while it arrives: the head decides everything before it.
    streams: bool,
}

/// A secret that is no key of its scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret {secret}: {why}")]
pub struct KeyError {
    /// The secret's name.
    pub secret: String,
    /// The reason, without a byte of the secret.
    pub why: Cow<'static, str>,
}

impl Verifier {
    /// Makes the keys. The loader must have found no [faults](Scheme::faults) of the scheme with these settings; with a
    /// faulty scheme deliveries are refused, never let through.
    ///
    /// # Errors
    /// The first secret that is no key of this scheme.
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
                && template.body.first() == Some(&BodyForm::Raw)
        });
        Ok(Self(Arc::new(Inner {
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

    /// Judges everything that needs no body, in this order: required headers, the signature's form, the timestamp's
    /// form, freshness, the other signed values. So a stale delivery is `stale_timestamp` whatever its signature is
    /// worth.
    ///
    /// The verification owns all it needs and may live across awaits, longer than `head` and this verifier.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`, `stale_timestamp`,
    /// `future_timestamp`, and the refusals of [`Template::render`](crate::scheme::Template::render).
    pub fn begin(&self, head: &Head, now: Now) -> Result<Verification, Refusal> {
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
                        (Some(at), window)
                    }
                    None => (None, Window::ALWAYS),
                };
                (HeadParts::Code(Box::new((head.clone(), begun))), at, window)
            }
            ProofBy::Token(scheme) => {
                let token = scheme.rule.read(head)?;
                let times = scheme.rule.times(&token)?;
                (
                    HeadParts::Token(Box::new((head.clone(), token))),
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

    /// Judges the freshness of a proof once more, when its event is about to be claimed (contract: Proof).
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn recheck(&self, proof: &Proof, now: Now) -> Result<(), Refusal> {
        Ok(proof.window.judge(now.wall)?)
    }

    /// Judges that a proof was not signed before `start`, by whole seconds: most schemes know no smaller unit. A proof
    /// without a signed timestamp passes.
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

    /// The first moment of the wall clock at which the timestamp of `proof` is stale. `None` where no timestamp is
    /// signed, or the past is not judged.
    pub fn fresh_until(&self, proof: &Proof) -> Option<UnixMillis> {
        proof.signed_at.and(proof.window.until)
    }

    /// The MAC that answers a handshake, under the first active secret that can make it, or under the one of this name.
    /// For nothing but a [`Challenge`]: any other text could be a delivery.
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

    /// The timestamp that a head claims, for the log of a refused delivery; `None` where the head has no timestamp that
    /// can be read.
    pub fn timestamp_of(&self, head: &Head) -> Option<UnixMillis> {
        match &self.0.scheme.proof {
            ProofBy::Template(template) => template::timestamp_of(template, head),
            ProofBy::Code(code) => code.begin(head).ok()?.timestamp.map(|(at, _)| at),
            ProofBy::Token(token) => token.rule.times(&token.rule.read(head).ok()?).ok()?.made,
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
