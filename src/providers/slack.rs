//! Slack: a signed `url_verification` is answered with its challenge (schemes: Handshakes).

use once_cell::sync::Lazy;

use super::reading::echo;
use crate::notation::json::Fields;
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Slack's handshake.
#[derive(Debug)]
pub(super) struct Slack;

static FIELDS: Lazy<Fields<2>> = Lazy::new(|| Fields::at(["/type", "/challenge"]));

impl Handshake for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn words(&self) -> &'static str {
        "a signed `url_verification` is answered with its challenge as text"
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([kind, challenge]) if kind.is("url_verification") => {
                Ok(Some(Asked::Echo(Reply::text(echo(challenge.bytes())?))))
            }
            _ => Ok(None),
        }
    }
}
