//! Dropbox: a challenge in the query is answered as text (schemes: Handshakes).

use super::query;
use super::reading::echo;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Dropbox's handshake.
#[derive(Debug)]
pub(super) struct Dropbox;

impl Handshake for Dropbox {
    fn name(&self) -> &'static str {
        "dropbox"
    }

    fn words(&self) -> &'static str {
        "`GET ?challenge=…` is answered with the challenge as text"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match query::parameter_of(head, "GET", "challenge")? {
            Some(challenge) => Ok(Some(Asked::Echo(Reply::text(echo(&challenge)?)))),
            None => Ok(None),
        }
    }
}
