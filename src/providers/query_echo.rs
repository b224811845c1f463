//! A GET without a body whose challenge, in one parameter of the query, is answered as text: Dropbox,
//! Adobe I/O Events, Nylas and Onfleet (schemes: Handshakes).
//!
//! The parameter's name is all that these handshakes differ in. Each has a name of its own, so that a
//! configuration says which provider asks, and no other parameter is ever sent back.

use super::query;
use super::reading::echo;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// A provider's handshake of this kind.
#[derive(Debug)]
pub(super) struct QueryEcho {
    /// The name in a configuration file.
    name: &'static str,
    /// The parameter that holds the challenge.
    parameter: &'static str,
    /// The clause for `verigate providers`.
    words: &'static str,
}

const CHALLENGE: &str = "`GET ?challenge=…` is answered with the challenge as text";

/// Dropbox's handshake.
pub(super) static DROPBOX: QueryEcho = challenge("dropbox");

/// The handshake of Adobe I/O Events.
pub(super) static ADOBE_IO_EVENTS: QueryEcho = challenge("adobe-io-events");

/// The handshake of Nylas.
pub(super) static NYLAS: QueryEcho = challenge("nylas");

/// Onfleet's handshake.
pub(super) static ONFLEET: QueryEcho = QueryEcho {
    name: "onfleet",
    parameter: "check",
    words: "`GET ?check=…` is answered with the parameter's value as text",
};

const fn challenge(name: &'static str) -> QueryEcho {
    QueryEcho {
        name,
        parameter: "challenge",
        words: CHALLENGE,
    }
}

impl Handshake for QueryEcho {
    fn name(&self) -> &'static str {
        self.name
    }

    fn words(&self) -> &'static str {
        self.words
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match query::parameter_of(head, "GET", self.parameter)? {
            Some(challenge) => Ok(Some(Asked::Echo(Reply::text(echo(&challenge)?)))),
            None => Ok(None),
        }
    }
}
