//! The handshakes that bring the secret itself: Asana and Notion (SCHEMES 5).
//!
//! Whether a secret is taken is the route's to decide, and where it is kept the gateway's. No value is shown by anything.

use super::asked::{Asked, Reply};
use super::header;
use super::json::{Field, fields};
use crate::key::secret::SecretText;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Framing, Head};

/// The lengths that a secret may have, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;

/// The longest body of Asana's, in bytes: none, or `{}`.
const BARE: u64 = 2;

const REPEATED: Refusal =
    Refusal::because(Code::MalformedHandshake, "the header that brings the secret is there more than once");
const NO_SECRET: Refusal =
    Refusal::because(Code::MalformedHandshake, "the secret is not visible ASCII of 8 to 512 bytes");

/// Asana's: the secret stands in a header, which the answer repeats.
pub(super) fn in_head(head: &Head) -> Result<Option<Asked>, Refusal> {
    // What may reach the app unproved must be no event.
    let is_bare = matches!(head.framing(), Framing::None | Framing::Length(0..=BARE));
    if head.method() != "POST" || header(head, "X-Hook-Signature") != Found::Nothing || !is_bare {
        return Ok(None);
    }
    match header(head, "X-Hook-Secret") {
        Found::Nothing => Ok(None),
        Found::Several => Err(REPEATED),
        Found::One(value) => {
            let secret = secret(value)?;
            let reply = Reply { hook_secret: Some(secret.clone()), ..Reply::empty(200) };
            Ok(Some(Asked::Secret { secret, reply }))
        }
    }
}

/// Notion's: the secret stands in the body, and nothing of an event beside it.
pub(super) fn in_body(body: &[u8]) -> Result<Option<Asked>, Refusal> {
    match fields(body, ["/verification_token", "/type", "/id", "/entity", "/data"]) {
        Some([token, rest @ ..]) if token != Field::Absent && rest.iter().all(|field| *field == Field::Absent) => {
            Ok(Some(Asked::Secret { secret: secret(token.bytes())?, reply: Reply::empty(200) }))
        }
        _ => Ok(None),
    }
}

fn secret(value: &[u8]) -> Result<SecretText, Refusal> {
    let fits = LENGTHS.contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    fits.then(|| SecretText::new(value.to_vec())).ok_or(NO_SECRET)
}
