//! The unsigned handshakes that the head alone asks for: X, Braintree, Okta, Microsoft Graph, Meta, Trello, Dropbox
//! (SCHEMES 5).
//!
//! Parameters are decoded as a form's: `%hh` is a byte, `+` a space. One that is there twice, or with a broken escape, is
//! refused: nothing is sent back that two parsers could read in two ways.

use super::asked::{Asked, Reply};
use super::challenge::Challenge;
use super::{Handshake, echo, header, printable};
use crate::key::secret::SecretText;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Framing, Head};

const REPEATED: Refusal =
    Refusal::because(Code::MalformedHandshake, "a parameter or header of the handshake is there more than once");
const BROKEN_ESCAPE: Refusal =
    Refusal::because(Code::MalformedHandshake, "a parameter of the handshake holds a broken percent escape");
const NOT_SUBSCRIBE: Refusal =
    Refusal::because(Code::MalformedHandshake, "`hub.mode` of the handshake is not `subscribe`");

/// The handshake that a head asks for.
pub(super) fn in_head(handshake: Handshake, head: &Head) -> Result<Option<Asked>, Refusal> {
    let method = match handshake {
        Handshake::MicrosoftGraph => "POST",
        Handshake::Trello => "HEAD",
        Handshake::XTwitter | Handshake::Braintree | Handshake::Okta | Handshake::Meta | Handshake::Dropbox => "GET",
        _ => return Ok(None),
    };
    // none has a body: with one, it is something else
    if head.method() != method || !matches!(head.framing(), Framing::None | Framing::Length(0)) {
        return Ok(None);
    }
    let value = |name| parameter(head.query(), name);
    Ok(match handshake {
        Handshake::XTwitter => match value("crc_token")? {
            Some(token) => Some(Asked::Mac(Challenge::new(handshake, &token)?)),
            None => None,
        },
        Handshake::Braintree => match value("bt_challenge")? {
            Some(challenge) => Some(Asked::Mac(Challenge::new(handshake, &challenge)?)),
            None => None,
        },
        Handshake::Okta => match header(head, "X-Okta-Verification-Challenge") {
            Found::Nothing => None,
            Found::Several => return Err(REPEATED),
            Found::One(challenge) => Some(Asked::Echo(Reply::json([("verification", &*echo(challenge)?)]))),
        },
        Handshake::MicrosoftGraph => match value("validationToken")? {
            Some(token) => Some(Asked::Echo(Reply::text(printable(&token, |b| *b == b' ' || b.is_ascii_graphic())?))),
            None => None,
        },
        Handshake::Meta => meta(head)?,
        Handshake::Dropbox => match value("challenge")? {
            Some(challenge) => Some(Asked::Echo(Reply::text(echo(&challenge)?))),
            None => None,
        },
        Handshake::Trello => Some(Asked::Echo(Reply::empty(200))),
        _ => None,
    })
}

fn meta(head: &Head) -> Result<Option<Asked>, Refusal> {
    let value = |name| parameter(head.query(), name);
    let (mode, challenge, token) = (value("hub.mode")?, value("hub.challenge")?, value("hub.verify_token")?);
    if mode.is_none() && challenge.is_none() && token.is_none() {
        return Ok(None);
    }
    if mode.as_deref() != Some(b"subscribe") {
        return Err(NOT_SUBSCRIBE);
    }
    let reply = Reply::text(echo(&challenge.unwrap_or_default())?);
    Ok(Some(Asked::Guarded { token: SecretText::new(token.unwrap_or_default()), reply }))
}

/// The decoded value of a parameter, `None` where it is not there.
fn parameter(query: Option<&str>, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let mut found = None;
    for piece in query.unwrap_or_default().split('&') {
        let (own, value) = piece.split_once('=').unwrap_or((piece, ""));
        if decoded(own).as_deref() == Some(name.as_bytes()) {
            let value = decoded(value).ok_or(BROKEN_ESCAPE)?;
            if found.replace(value).is_some() {
                return Err(REPEATED);
            }
        }
    }
    Ok(found)
}

/// The bytes that a name or a value stands for; `None` where an escape is broken.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '+' => out.push(b' '),
            '%' => {
                let byte = rest.next()?.to_digit(16)? << 4 | rest.next()?.to_digit(16)?;
                out.push(u8::try_from(byte).ok()?);
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(out)
}
