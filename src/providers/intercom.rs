//! Intercom: a HEAD request, by which it tries an endpoint when the URL is set, is answered 200
//! (schemes: Handshakes; the provider's page "Set up Webhooks").

use super::query;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Intercom's handshake.
#[derive(Debug)]
pub(super) struct Intercom;

impl Handshake for Intercom {
    fn name(&self) -> &'static str {
        "intercom"
    }

    fn words(&self) -> &'static str {
        "HEAD, sent when the URL is set, is answered 200 without a body"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        Ok(query::is_bare(head, "HEAD").then(|| Asked::Echo(Reply::empty(200))))
    }
}
