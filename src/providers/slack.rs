//! Slack: a signed `url_verification` is answered with its challenge, and a check of the
//! certificate with 200 (schemes: Handshakes).
//!
//! The check of the certificate of a command's URL is a form of two fields, `ssl_check=1` and the
//! old `token`, and mostly has no signature. An app that finds `ssl_check` answers it and looks no
//! further, so a form with anything else in it is no check.

use once_cell::sync::Lazy;

use super::reading::echo;
use crate::notation::json::Fields;
use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Slack's handshake.
#[derive(Debug)]
pub(super) struct Slack;

static FIELDS: Lazy<Fields<2>> = Lazy::new(|| Fields::at(["/type", "/challenge"]));

/// The longest verification token, in bytes. Slack's have 24.
const MAX_TOKEN: usize = 64;

impl Handshake for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn words(&self) -> &'static str {
        "a signed `url_verification` is answered with its challenge as text; the form \
         `ssl_check=1&token=…`, signed or not, is answered 200"
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(is_certificate_check(body.bytes()).then(|| Asked::Probe(Reply::empty(200))))
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match FIELDS.read(body.bytes()) {
            Some([kind, challenge]) if kind.is("url_verification") => {
                Ok(Some(Asked::Echo(Reply::text(echo(challenge.bytes())?))))
            }
            _ => self.in_body(body),
        }
    }
}

/// Whether the body is exactly the two fields of the check, in either order and without an escape.
fn is_certificate_check(body: &[u8]) -> bool {
    let token = body
        .strip_prefix(b"ssl_check=1&token=")
        .or_else(|| body.strip_prefix(b"token=")?.strip_suffix(b"&ssl_check=1"));
    token.is_some_and(|token| {
        (1..=MAX_TOKEN).contains(&token.len()) && token.iter().all(u8::is_ascii_alphanumeric)
    })
}
