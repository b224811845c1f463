//! Discord: a signed PING is answered, and a PING that is signed wrongly on purpose is refused
//! (schemes: Handshakes).

use once_cell::sync::Lazy;

use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// The handshake of interactions, whose PING is of type 1.
#[derive(Debug)]
pub(super) struct Interactions;

/// The handshake of webhook events, whose PING is of type 0.
#[derive(Debug)]
pub(super) struct Events;

static FIELDS: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/type"]));

fn is_ping(body: SmallBody<'_>, kind: &str) -> bool {
    FIELDS
        .read(body.bytes())
        .is_some_and(|[field]| field == Field::Integer(kind.to_owned()))
}

impl Handshake for Interactions {
    fn name(&self) -> &'static str {
        "discord-interactions"
    }

    fn words(&self) -> &'static str {
        "a signed PING (type 1) is answered `{\"type\":1}`; a PING that is signed wrongly on \
         purpose gets 401"
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(is_ping(body, "1").then(|| Asked::Echo(Reply::raw_json(r#"{"type":1}"#.to_owned()))))
    }

    fn is_probe(&self, body: SmallBody<'_>) -> bool {
        is_ping(body, "1")
    }
}

impl Handshake for Events {
    fn name(&self) -> &'static str {
        "discord-events"
    }

    fn words(&self) -> &'static str {
        "a signed PING (type 0) is answered 204; a PING that is signed wrongly on purpose gets 401"
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(is_ping(body, "0").then(|| Asked::Echo(Reply::empty(204))))
    }

    fn is_probe(&self, body: SmallBody<'_>) -> bool {
        is_ping(body, "0")
    }
}
