//! monday.com: a body with a challenge and no event is answered with the challenge (schemes:
//! Handshakes).

use once_cell::sync::Lazy;

use super::reading::echo;
use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// monday.com's handshake, signed or not.
#[derive(Debug)]
pub(super) struct Monday;

static FIELDS: Lazy<Fields<2>> = Lazy::new(|| Fields::at(["/challenge", "/event"]));

impl Handshake for Monday {
    fn name(&self) -> &'static str {
        "monday"
    }

    fn words(&self) -> &'static str {
        "a POST of `{\"challenge\":…}` is answered with the same JSON"
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([challenge, Field::Absent]) if challenge != Field::Absent => Ok(Some(
                Asked::Echo(Reply::json([("challenge", &*echo(challenge.bytes())?)])),
            )),
            _ => Ok(None),
        }
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        self.in_body(body)
    }
}
