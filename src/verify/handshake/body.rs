//! The handshakes that a body asks for without a signature: Lark and monday.com (SCHEMES 5).
//!
//! Lark never signs this one request, not even where it encrypts it; then only the app can read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::asked::{Asked, Reply};
use super::echo;
use super::json::{Field, fields};
use crate::key::secret::SecretText;
use crate::verdict::Refusal;

/// One block of AES, in bytes.
const BLOCK: usize = 16;

/// The longest text that is taken for Lark's encrypted handshake, in bytes. Challenge, token and type make 160 with the
/// initial vector; an event is longer, so that one that was captured does not pass for a handshake.
const MAX_ENCRYPTED: usize = 256;

/// Lark's handshake, in clear or encrypted.
pub(super) fn lark(body: &[u8]) -> Result<Option<Asked>, Refusal> {
    if is_encrypted(body) { Ok(Some(Asked::ForApp)) } else { lark_in_clear(body) }
}

/// Lark's handshake as it can be read here.
pub(super) fn lark_in_clear(body: &[u8]) -> Result<Option<Asked>, Refusal> {
    match fields(body, ["/type", "/challenge", "/token"]) {
        Some([kind, challenge, token]) if kind.is("url_verification") => {
            let reply = Reply::json([("challenge", &*echo(challenge.bytes())?)]);
            Ok(Some(Asked::Guarded { token: SecretText::new(token.bytes().to_vec()), reply }))
        }
        _ => Ok(None),
    }
}

/// Whether the body is an object whose `encrypt` holds an initial vector and whole blocks behind it, at most
/// [`MAX_ENCRYPTED`] bytes.
fn is_encrypted(body: &[u8]) -> bool {
    let Some([Field::Text(text)]) = fields(body, ["/encrypt"]) else { return false };
    STANDARD
        .decode(text)
        .is_ok_and(|bytes| (2 * BLOCK..=MAX_ENCRYPTED).contains(&bytes.len()) && bytes.len() % BLOCK == 0)
}

/// monday.com's handshake: a challenge, and no event beside it.
pub(super) fn monday(body: &[u8]) -> Result<Option<Asked>, Refusal> {
    match fields(body, ["/challenge", "/event"]) {
        Some([challenge, Field::Absent]) if challenge != Field::Absent => {
            Ok(Some(Asked::Echo(Reply::json([("challenge", &*echo(challenge.bytes())?)]))))
        }
        _ => Ok(None),
    }
}
