//! The next step after a handshake was recognised: answer it, hand it to the application, or keep
//! its secret (schemes: Handshakes).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::verifier::Verifier;
use crate::clock::Now;
use crate::key::secret::SecretText;
use crate::scheme::handshake::{Asked, Passage, Reply};
use crate::verdict::{Code, Refusal};

/// The facts that the answer to a handshake depends on.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFacts<'r> {
    /// The verifier of the route, which holds the keys.
    pub verifier: &'r Verifier,
    /// The name of the secret that proved a signed request; the answer is made with the same
    /// secret.
    pub proved_by: Option<&'r str>,
    /// The time, which decides which secrets are active.
    pub now: Now,
    /// The verify token that the operator gave to the provider.
    pub verify_token: Option<&'r SecretText>,
    /// The public half of a pair of keys, as text for the answer.
    pub public_key: Option<&'r str>,
    /// Whether the route takes its secret from a handshake.
    pub learning: Learning,
}

/// The answer to the question whether a route takes its secret from a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Never, since the route's secrets are configured.
    Never,
    /// Yes, since the route still waits for its secret.
    Open,
    /// No longer, since the route has learned its secret.
    Done,
}

/// The next step after a handshake was recognised.
#[derive(Debug)]
pub enum Step {
    /// Answer the handshake.
    Answer(Reply),
    /// Hand the handshake to the application.
    Forward(Passage),
    /// Keep the secret, then answer. If another request has brought its secret first, refuse this
    /// one.
    Learn {
        /// The secret to keep.
        secret: SecretText,
        /// The answer, once the secret is kept.
        reply: Reply,
    },
}

const WRONG_TOKEN: Refusal = Refusal::because(
    Code::WrongVerifyToken,
    "the handshake does not bring the verify token of this route",
);
const HAS_SECRET: Refusal = Refusal::because(
    Code::BadSignature,
    "this route already has its secret and takes no other from a handshake",
);
const NO_MAC: Refusal = Refusal::because(
    Code::InternalError,
    "no active secret of this route can answer this handshake",
);

/// Decides the next step about a handshake that the gateway answers.
///
/// # Errors
/// `wrong_verify_token`; `bad_signature` for a second secret; `internal_error` if no active secret
/// can make the answer.
pub fn step(asked: Asked, route: &AnswerFacts<'_>) -> Result<Step, Refusal> {
    match asked {
        Asked::Echo(reply) | Asked::Probe(reply) => Ok(Step::Answer(reply)),
        Asked::Guarded { token, reply } => {
            let holds = route
                .verify_token
                .is_some_and(|wanted| is_same(wanted, &token));
            if holds {
                Ok(Step::Answer(reply))
            } else {
                Err(WRONG_TOKEN)
            }
        }
        Asked::Mac(challenge) => {
            let digest = route
                .verifier
                .answer_mac(&challenge, route.proved_by, route.now);
            let reply = digest.and_then(|digest| challenge.reply(&digest, route.public_key));
            reply.map(Step::Answer).ok_or(NO_MAC)
        }
        Asked::Secret { secret, reply } => match route.learning {
            Learning::Never => Ok(Step::Forward(Asked::ForApp.pass())),
            Learning::Open => Ok(Step::Learn { secret, reply }),
            Learning::Done => Err(HAS_SECRET),
        },
        Asked::ForApp => Ok(Step::Forward(Asked::ForApp.pass())),
    }
}

/// Whether two texts are equal, in a time that depends on neither. An empty text equals no other
/// text, not even an empty one.
fn is_same(wanted: &SecretText, given: &SecretText) -> bool {
    let hash = |text: &SecretText| Sha256::digest(text.expose());
    let same = hash(wanted).ct_eq(&hash(given));
    bool::from(same) && !wanted.expose().is_empty()
}
