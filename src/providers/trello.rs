//! Trello: a HEAD request is answered 200 (schemes: Handshakes).

use super::query;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Trello's handshake.
#[derive(Debug)]
pub(super) struct Trello;

impl Handshake for Trello {
    fn name(&self) -> &'static str {
        "trello"
    }

    fn words(&self) -> &'static str {
        "HEAD is answered 200 without a body"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        Ok(query::is_bare(head, "HEAD").then(|| Asked::Echo(Reply::empty(200))))
    }
}
