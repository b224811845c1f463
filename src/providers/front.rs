//! Front: a challenge in a header is answered as text (schemes: Handshakes; the provider's page
//! "Application webhooks").
//!
//! When the endpoint is saved, Front sends a signed delivery of the type `sync` with the challenge.
//! The header is not signed, so the header alone makes no handshake of a signed delivery: its signed
//! body must say `sync`. A request without a signature is a handshake only if it has no body, since an
//! app that answers handshakes itself gets it unproved.

use once_cell::sync::Lazy;

use super::query;
use super::reading::echo;
use crate::notation::json::Fields;
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::{Found, Head};

/// Front's handshake.
#[derive(Debug)]
pub(super) struct Front;

const CHALLENGE: &str = "X-Front-Challenge";

static FIELDS: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/type"]));

/// The handshake in a request whose header holds a challenge.
fn asked(head: &Head) -> Result<Option<Asked>, Refusal> {
    match head.find_str(CHALLENGE) {
        Found::Nothing => Ok(None),
        Found::Several => Err(query::REPEATED),
        Found::One(challenge) => Ok(Some(Asked::Echo(Reply::text(echo(challenge)?)))),
    }
}

impl Handshake for Front {
    fn name(&self) -> &'static str {
        "front"
    }

    fn words(&self) -> &'static str {
        "a POST with `X-Front-Challenge`, signed and of the type `sync` or without a body, is answered \
         with the header's value as text"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        if !query::is_bare(head, "POST") || head.find_str("X-Front-Signature") != Found::Nothing {
            return Ok(None);
        }
        asked(head)
    }

    fn in_proved(&self, head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([kind]) if kind.is("sync") => asked(head),
            _ => Ok(None),
        }
    }
}
