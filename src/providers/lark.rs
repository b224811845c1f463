//! Lark: a `url_verification` is answered with its challenge if it brings the route's verify token
//! (schemes: Handshakes).
//!
//! Lark never signs this request. It may encrypt it, and then only the application can read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use once_cell::sync::Lazy;

use super::reading::echo;
use crate::key::secret::SecretText;
use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Lark's handshake.
#[derive(Debug)]
pub(super) struct Lark;

/// The size of a block of AES, in bytes.
const BLOCK: usize = 16;

/// The largest encrypted text that counts as a handshake, in decoded bytes. Challenge, token and
/// type make 160 bytes with the initial vector. An event is longer, so a captured event does not
/// pass for a handshake.
const MAX_ENCRYPTED: usize = 256;

static FIELDS: Lazy<Fields<3>> = Lazy::new(|| Fields::at(["/type", "/challenge", "/token"]));
static ENCRYPTED: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/encrypt"]));

impl Handshake for Lark {
    fn name(&self) -> &'static str {
        "lark"
    }

    fn words(&self) -> &'static str {
        "a `url_verification` is answered with its challenge if it brings your `verify_token`, else \
         403; an encrypted request is forwarded"
    }

    fn wants_verify_token(&self) -> bool {
        true
    }

    fn is_for_app(&self) -> bool {
        true
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        if is_encrypted(body) {
            Ok(Some(Asked::ForApp))
        } else {
            in_clear(body)
        }
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        in_clear(body)
    }
}

/// The handshake in a body that is not encrypted.
fn in_clear(body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
    match FIELDS.read(body.bytes()) {
        Some([kind, challenge, token]) if kind.is("url_verification") => {
            let reply = Reply::json([("challenge", &*echo(challenge.bytes())?)]);
            Ok(Some(Asked::Guarded {
                token: SecretText::new(token.bytes().to_vec()),
                reply,
            }))
        }
        _ => Ok(None),
    }
}

/// Whether the body is an object whose `encrypt` is base64 of an initial vector and at least a
/// whole block, together at most [`MAX_ENCRYPTED`] bytes.
fn is_encrypted(body: SmallBody<'_>) -> bool {
    let Some([Field::Text(text)]) = ENCRYPTED.read(body.bytes()) else {
        return false;
    };
    STANDARD.decode(text).is_ok_and(|bytes| {
        (2 * BLOCK..=MAX_ENCRYPTED).contains(&bytes.len()) && bytes.len() % BLOCK == 0
    })
}
