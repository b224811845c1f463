//! Meta: a subscription request is answered with its challenge if it brings the route's verify
//! token (schemes: Handshakes).

use super::query;
use super::reading::echo;
use crate::key::secret::SecretText;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// Meta's handshake.
#[derive(Debug)]
pub(super) struct Meta;

const NOT_SUBSCRIBE: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "`hub.mode` of the handshake is not `subscribe`",
);

impl Handshake for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    fn words(&self) -> &'static str {
        "`GET ?hub.mode=subscribe&…` is answered with its challenge as text if it brings your \
         `verify_token`, else 403"
    }

    fn wants_verify_token(&self) -> bool {
        true
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        if !query::is_bare(head, "GET") {
            return Ok(None);
        }
        let value = |name| query::parameter(head.query(), name);
        let (mode, challenge, token) = (
            value("hub.mode")?,
            value("hub.challenge")?,
            value("hub.verify_token")?,
        );
        if mode.is_none() && challenge.is_none() && token.is_none() {
            return Ok(None);
        }
        if mode.as_deref() != Some(b"subscribe") {
            return Err(NOT_SUBSCRIBE);
        }
        let reply = Reply::text(echo(&challenge.unwrap_or_default())?);
        Ok(Some(Asked::Guarded {
            token: SecretText::new(token.unwrap_or_default()),
            reply,
        }))
    }
}
