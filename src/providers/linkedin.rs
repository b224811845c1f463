//! LinkedIn: a challenge in the query is answered with a MAC of it (schemes: Handshakes; the
//! provider's page "Webhooks").

use super::query;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::handshake::{Asked, Challenge, Formula, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// LinkedIn's handshake.
#[derive(Debug)]
pub(super) struct LinkedIn;

/// The length of a UUID, in bytes.
const UUID: usize = 36;

/// The form of a challenge, the hexadecimal digits and hyphens of a UUID, and the answer to it.
/// LinkedIn signs deliveries with `hmacsha256=` in front of the body, which no such text begins with.
static FORMULA: Formula = Formula {
    algorithm: DigestAlgorithm::HmacSha256,
    lengths: UUID..=UUID,
    takes_byte: |byte| byte.is_ascii_hexdigit() || byte == b'-',
    reply: |challenge, mac, _| {
        let mac = Encoding::Hex.encode(mac.as_bytes());
        Some(Reply::json([
            ("challengeCode", challenge),
            ("challengeResponse", &*mac),
        ]))
    },
};

impl Handshake for LinkedIn {
    fn name(&self) -> &'static str {
        "linkedin"
    }

    fn words(&self) -> &'static str {
        "`GET ?challengeCode=…`, a UUID, is answered with the challenge and an HMAC of it; a delivery \
         whose signed content has the form of a challenge is refused"
    }

    fn formula(&self) -> Option<&'static Formula> {
        Some(&FORMULA)
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match query::parameter_of(head, "GET", "challengeCode")? {
            Some(challenge) => Ok(Some(Asked::Mac(Challenge::new(self, &challenge)?))),
            None => Ok(None),
        }
    }
}
