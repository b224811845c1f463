//! Smartcar: a signed `VERIFY` is answered with a MAC of its challenge (schemes: Handshakes; the
//! provider's page "VERIFY Event").

use once_cell::sync::Lazy;

use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Fields;
use crate::scheme::handshake::{Asked, Challenge, Formula, Handshake, MAX_TEXT, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Smartcar's handshake.
#[derive(Debug)]
pub(super) struct Smartcar;

/// The type and the challenge in version 4.0 of its webhooks, then in version 2.0.
static FIELDS: Lazy<Fields<4>> = Lazy::new(|| {
    Fields::at([
        "/eventType",
        "/data/challenge",
        "/eventName",
        "/payload/challenge",
    ])
});

/// The form of a challenge, `[A-Za-z0-9_-]{1,128}`, and the answer to it.
static FORMULA: Formula = Formula {
    algorithm: DigestAlgorithm::HmacSha256,
    lengths: 1..=MAX_TEXT,
    takes_byte: |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
    reply: |_, mac, _| {
        let mac = Encoding::Hex.encode(mac.as_bytes());
        Some(Reply::json([("challenge", &*mac)]))
    },
};

impl Handshake for Smartcar {
    fn name(&self) -> &'static str {
        "smartcar"
    }

    fn words(&self) -> &'static str {
        "a signed `VERIFY` is answered with an HMAC of its challenge; a delivery whose signed content \
         has the form of a challenge is refused"
    }

    fn formula(&self) -> Option<&'static Formula> {
        Some(&FORMULA)
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        let challenge = match FIELDS.read(body.bytes()) {
            Some([kind, challenge, _, _]) if kind.is("VERIFY") => challenge,
            Some([_, _, name, challenge]) if name.is("verify") => challenge,
            _ => return Ok(None),
        };
        Ok(Some(Asked::Mac(Challenge::new(self, challenge.bytes())?)))
    }
}
