//! Lark: a `url_verification` is answered with its challenge if it brings the route's verify token (schemes:
//! Handshakes).
//!
//! Lark never signs this request, and may encrypt it; only the application can read it then.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use once_cell::sync::Lazy;

use super::reading::echo;
use crate::key::secret::SecretText;
use crate::notation::json::{Field, Fields};
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Lark's handshake.
#[derive(Debug)]
pub(super) struct Lark;

/// One block of AES, in bytes.
const BLOCK: usize = 16;

/// The longest text that is taken for an encrypted handshake, in bytes. Challenge, token and type make 160 with the
/// initial vector. An event is longer, so a captured event does not pass for a handshake.
const MAX_ENCRYPTED: usize = 256;

static FIELDS: Lazy<Fields<3>> = Lazy::new(|| Fields::at(["/type", "/challenge", "/token"]));
static ENCRYPTED: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/encrypt"]));

impl Handshake for Lark {
    fn name(&self) -> &'static str {
        "lark"
    }

    fn words(&self) -> &'static str {
        "a `url_verification` is answered with its challenge if it brings your `verify_token`; encrypted ones are forwarded"
    }

    fn wants_verify_token(&self) -> bool {
        true
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        if is_encrypted(body) {
            Ok(Some(Asked::ForApp))
        } else {
            in_clear(body)
        }
    }

    fn in_proved(&self, _head: &Head, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        in_clear(body)
    }
}

/// The handshake in a body that is not encrypted.
fn in_clear(body: &[u8]) -> Result<Option<Asked>, Refusal> {
    match FIELDS.read(body) {
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

/// Whether the body is an object whose `encrypt` holds an initial vector and whole blocks behind it, at most
/// [`MAX_ENCRYPTED`] bytes.
fn is_encrypted(body: &[u8]) -> bool {
    let Some([Field::Text(text)]) = ENCRYPTED.read(body) else {
        return false;
    };
    STANDARD.decode(text).is_ok_and(|bytes| {
        (2 * BLOCK..=MAX_ENCRYPTED).contains(&bytes.len()) && bytes.len() % BLOCK == 0
    })
}
