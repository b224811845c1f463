//! X: a challenge in the query (CRC) is answered with a MAC of it (schemes: Handshakes).

use super::query;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::handshake::{Asked, Challenge, Formula, Handshake, MAX_TEXT, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// X's handshake.
#[derive(Debug)]
pub(super) struct XTwitter;

/// The form of a token, `[A-Za-z0-9_+/=.-]{1,128}`, and the answer to it.
static FORMULA: Formula = Formula {
    algorithm: DigestAlgorithm::HmacSha256,
    lengths: 1..=MAX_TEXT,
    takes_byte: |byte| byte.is_ascii_alphanumeric() || b"_+/=.-".contains(&byte),
    reply: |_, mac, _| {
        let mac = Encoding::Base64.encode(mac.as_bytes());
        Some(Reply::json([("response_token", &*format!("sha256={mac}"))]))
    },
};

impl Handshake for XTwitter {
    fn name(&self) -> &'static str {
        "x-twitter"
    }

    fn words(&self) -> &'static str {
        "`GET ?crc_token=…` is answered with an HMAC of the token; a delivery whose signed content \
         has the form of a token is refused"
    }

    fn formula(&self) -> Option<&'static Formula> {
        Some(&FORMULA)
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match query::parameter_of(head, "GET", "crc_token")? {
            Some(token) => Ok(Some(Asked::Mac(Challenge::new(self, &token)?))),
            None => Ok(None),
        }
    }
}
