//! A handshake that was recognised, on what condition it is answered, and the answer as a value (SCHEMES 5).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::challenge::Challenge;
use crate::clock::Now;
use crate::key::secret::SecretText;
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::Verifier;

/// The answer to a handshake. Its body is written with `X-Content-Type-Options: nosniff`, never as HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Content-Type`; also of an empty body, for Discord asks for one.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// The value of `X-Hook-Secret`, where that is sent back.
    pub hook_secret: Option<SecretText>,
}

impl Reply {
    /// 200 with this text.
    pub(super) fn text(body: String) -> Self {
        Self { status: 200, content_type: "text/plain", body, hook_secret: None }
    }

    /// 200 with an object of these strings, escaped.
    pub(super) fn json<const N: usize>(entries: [(&str, &str); N]) -> Self {
        let entry = |(key, value)| format!("{}:{}", serde_json::Value::from(key), serde_json::Value::from(value));
        Self::raw_json(format!("{{{}}}", entries.map(entry).join(",")))
    }

    /// 200 with this JSON text.
    pub(super) fn raw_json(body: String) -> Self {
        Self { status: 200, content_type: "application/json", body, hook_secret: None }
    }

    /// This status, and nothing else.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, ..Self::text(String::new()) }
    }
}

/// A request that is a handshake by its exact form.
#[derive(Debug)]
pub enum Asked {
    /// Answered with what it brought.
    Echo(Reply),
    /// Answered if the token it brought is the route's.
    Guarded {
        /// What it brought.
        token: SecretText,
        /// The answer.
        reply: Reply,
    },
    /// Answered with a MAC under the route's secret.
    Mac(Challenge),
    /// Brings the secret itself.
    Secret {
        /// Visible ASCII, 8 to 512 bytes.
        secret: SecretText,
        /// The answer once it is kept.
        reply: Reply,
    },
    /// For the app to answer.
    ForApp,
}

/// What a route knows to answer with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// Holds the keys.
    pub verifier: &'c Verifier,
    /// The name of the secret that proved the request, where it was signed: the answer is made with the same one.
    pub proved_by: Option<&'c str>,
    /// Which secrets are active.
    pub now: Now,
    /// What the provider was told to say.
    pub verify_token: Option<&'c SecretText>,
    /// The public half of a pair of keys, for Braintree.
    pub public_key: Option<&'c str>,
    /// Whether the route takes its secret from a handshake.
    pub learning: Learning,
}

/// Whether a route takes its secret from a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// It does not: its secrets are configured.
    Never,
    /// It has none yet.
    Open,
    /// It has one, and takes no other.
    Done,
}

/// What is to be done about a handshake.
#[derive(Debug)]
pub enum Step {
    /// Answer it.
    Answer(Reply),
    /// Hand it to the app.
    Forward(Passage),
    /// Keep the secret, then answer; refuse where another one was faster.
    Learn {
        /// To be kept.
        secret: SecretText,
        /// The answer once it is.
        reply: Reply,
    },
}

/// That a request has the form of a handshake, so that it may be handed to the app, which must not take it for an event:
/// it is unproved, or proved to be none. Only an [`Asked`] makes one.
#[derive(Debug)]
pub struct Passage(());

const WRONG_TOKEN: Refusal =
    Refusal::because(Code::WrongVerifyToken, "the handshake does not bring the verify token of this route");
const HAS_SECRET: Refusal =
    Refusal::because(Code::BadSignature, "this route has its secret already and takes none from a handshake");
const NO_MAC: Refusal =
    Refusal::because(Code::InternalError, "no active secret of this route can answer this handshake");

impl Asked {
    /// Hands it to the app, whatever it asks.
    pub fn pass(self) -> Passage {
        Passage(())
    }

    /// What is to be done where the gateway answers.
    ///
    /// # Errors
    /// `wrong_verify_token`; `bad_signature` for a second secret; `internal_error` where no secret is active.
    pub fn step(self, context: &Context<'_>) -> Result<Step, Refusal> {
        match self {
            Self::Echo(reply) => Ok(Step::Answer(reply)),
            Self::Guarded { token, reply } => {
                let holds = context.verify_token.is_some_and(|wanted| is_same(wanted, &token));
                if holds { Ok(Step::Answer(reply)) } else { Err(WRONG_TOKEN) }
            }
            Self::Mac(challenge) => {
                let digest = context.verifier.answer_mac(&challenge, context.proved_by, context.now);
                let reply = digest.and_then(|digest| challenge.reply(&digest, context.public_key));
                reply.map(Step::Answer).ok_or(NO_MAC)
            }
            Self::Secret { secret, reply } => match context.learning {
                Learning::Never => Ok(Step::Forward(Passage(()))),
                Learning::Open => Ok(Step::Learn { secret, reply }),
                Learning::Done => Err(HAS_SECRET),
            },
            Self::ForApp => Ok(Step::Forward(Passage(()))),
        }
    }
}

/// Whether two texts are the same, told in a time that depends on neither. An empty one is like nothing.
fn is_same(wanted: &SecretText, given: &SecretText) -> bool {
    let hash = |text: &SecretText| Sha256::digest(text.expose());
    let same = hash(wanted).ct_eq(&hash(given));
    bool::from(same) && !wanted.expose().is_empty()
}
