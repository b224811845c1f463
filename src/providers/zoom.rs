//! Zoom: a signed `endpoint.url_validation` is answered with a MAC of its token (schemes:
//! Handshakes).

use once_cell::sync::Lazy;

use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Fields;
use crate::scheme::handshake::{Asked, Challenge, Formula, Handshake, MAX_TEXT, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Zoom's handshake.
#[derive(Debug)]
pub(super) struct Zoom;

static FIELDS: Lazy<Fields<2>> = Lazy::new(|| Fields::at(["/event", "/payload/plainToken"]));

/// The form of a token, `[A-Za-z0-9_-]{1,128}`, and the answer to it.
static FORMULA: Formula = Formula {
    algorithm: DigestAlgorithm::HmacSha256,
    lengths: 1..=MAX_TEXT,
    takes_byte: |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
    reply: |token, mac, _| {
        let mac = Encoding::Hex.encode(mac.as_bytes());
        Some(Reply::json([
            ("plainToken", token),
            ("encryptedToken", &*mac),
        ]))
    },
};

impl Handshake for Zoom {
    fn name(&self) -> &'static str {
        "zoom"
    }

    fn words(&self) -> &'static str {
        "a signed `endpoint.url_validation` is answered with its token and an HMAC of the token"
    }

    fn formula(&self) -> Option<&'static Formula> {
        Some(&FORMULA)
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([event, token]) if event.is("endpoint.url_validation") => {
                Ok(Some(Asked::Mac(Challenge::new(self, token.bytes())?)))
            }
            _ => Ok(None),
        }
    }
}
