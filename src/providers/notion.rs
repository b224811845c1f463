//! Notion: a body that holds no event brings the secret (schemes: Handshakes).

use once_cell::sync::Lazy;

use super::reading::brought;
use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;

/// Notion's handshake.
#[derive(Debug)]
pub(super) struct Notion;

static FIELDS: Lazy<Fields<5>> =
    Lazy::new(|| Fields::at(["/verification_token", "/type", "/id", "/entity", "/data"]));

impl Handshake for Notion {
    fn name(&self) -> &'static str {
        "notion"
    }

    fn words(&self) -> &'static str {
        "the POST that brings `verification_token` is forwarded; if the secret of the route is \
         `learn:PATH`, the gateway keeps the token and answers, once"
    }

    fn brings_secret(&self) -> bool {
        true
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([token, rest @ ..])
                if token != Field::Absent && rest.iter().all(|field| *field == Field::Absent) =>
            {
                Ok(Some(Asked::Secret {
                    secret: brought(token.bytes())?,
                    reply: Reply::empty(200),
                }))
            }
            _ => Ok(None),
        }
    }
}
