//! Xero: an "intent to receive", a delivery without events, is answered with an empty body
//! (schemes: Handshakes).

use once_cell::sync::Lazy;

use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Xero's handshake.
#[derive(Debug)]
pub(super) struct Xero;

static FIELDS: Lazy<Fields<2>> = Lazy::new(|| Fields::at(["/events", "/events/0"]));

fn is_without_events(body: SmallBody<'_>) -> bool {
    FIELDS
        .read(body.bytes())
        .is_some_and(|found| found == [Field::Array, Field::Absent])
}

impl Handshake for Xero {
    fn name(&self) -> &'static str {
        "xero"
    }

    fn words(&self) -> &'static str {
        "a delivery without events is answered 200; if Xero signed it wrongly on purpose, 401; both \
         with an empty body"
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(is_without_events(body).then(|| Asked::Echo(Reply::empty(200))))
    }

    fn is_probe(&self, body: SmallBody<'_>) -> bool {
        is_without_events(body)
    }

    fn refuses_without_words(&self) -> bool {
        true
    }
}
