//! Asana: a header brings the secret, and the answer repeats the header (schemes: Handshakes).

use super::reading::brought;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Framing, Head};

/// Asana's handshake.
#[derive(Debug)]
pub(super) struct Asana;

/// The longest body of a handshake, in bytes: it is empty or `{}`.
const BARE: u64 = 2;

const REPEATED: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "the header that brings the secret is there more than once",
);

impl Handshake for Asana {
    fn name(&self) -> &'static str {
        "asana"
    }

    fn words(&self) -> &'static str {
        "the POST that brings `X-Hook-Secret` is forwarded; if the secret of the route is \
         `learn:PATH`, the gateway keeps the value and answers, once"
    }

    fn brings_secret(&self) -> bool {
        true
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        // The request may reach the application unproved, so its body must be too short for an
        // event.
        let is_bare = matches!(head.framing(), Framing::None | Framing::Length(0..=BARE));
        if head.method() != "POST"
            || head.find_str("X-Hook-Signature") != Found::Nothing
            || !is_bare
        {
            return Ok(None);
        }
        match head.find_str("X-Hook-Secret") {
            Found::Nothing => Ok(None),
            Found::Several => Err(REPEATED),
            Found::One(value) => {
                let secret = brought(value)?;
                let reply = Reply {
                    hook_secret: Some(secret.clone()),
                    ..Reply::empty(200)
                };
                Ok(Some(Asked::Secret { secret, reply }))
            }
        }
    }
}
