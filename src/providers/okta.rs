//! Okta: a challenge in a header is answered as JSON (schemes: Handshakes).

use super::query;
use super::reading::echo;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::{Found, Head};

/// Okta's handshake.
#[derive(Debug)]
pub(super) struct Okta;

impl Handshake for Okta {
    fn name(&self) -> &'static str {
        "okta"
    }

    fn words(&self) -> &'static str {
        "a GET with `X-Okta-Verification-Challenge` is answered with its value as JSON"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        if !query::is_bare(head, "GET") {
            return Ok(None);
        }
        match head.find_str("X-Okta-Verification-Challenge") {
            Found::Nothing => Ok(None),
            Found::Several => Err(query::REPEATED),
            Found::One(challenge) => Ok(Some(Asked::Echo(Reply::json([(
                "verification",
                &*echo(challenge)?,
            )])))),
        }
    }
}
