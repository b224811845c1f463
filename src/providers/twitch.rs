//! Twitch: a signed `webhook_callback_verification` is answered with its challenge (schemes:
//! Handshakes).

use once_cell::sync::Lazy;

use super::reading::echo;
use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::{Found, Head};

/// Twitch's handshake.
#[derive(Debug)]
pub(super) struct Twitch;

/// The header that names the type of a message. No signature covers it, so the header alone makes
/// no handshake: the signed body must hold a challenge as well.
const MESSAGE_TYPE: &str = "Twitch-Eventsub-Message-Type";

static FIELDS: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/challenge"]));

impl Handshake for Twitch {
    fn name(&self) -> &'static str {
        "twitch"
    }

    fn words(&self) -> &'static str {
        "a signed `webhook_callback_verification` is answered with its challenge as text"
    }

    fn in_proved(&self, head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        if head.find_str(MESSAGE_TYPE) != Found::One(b"webhook_callback_verification") {
            return Ok(None);
        }
        match FIELDS.read(body.bytes()) {
            Some([challenge]) if challenge != Field::Absent => {
                Ok(Some(Asked::Echo(Reply::text(echo(challenge.bytes())?))))
            }
            _ => Ok(None),
        }
    }
}
