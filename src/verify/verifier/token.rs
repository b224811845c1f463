//! The proof of a delivery by its JSON Web Token: in a header or as the whole body, with claims or
//! over a body that it does not hold (schemes: Tokens).

use std::borrow::Cow;
use std::sync::Arc;

use super::Inner;
use super::forms::NO_ROOM;
use super::keys::Key;
use super::proof::Proof;
use super::signatures::{Candidate, Signatures};
use crate::clock::{Now, UnixMillis};
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Window;
use crate::scheme::JwtRule;
use crate::scheme::body_form::Room;
use crate::scheme::content::SignedContent;
use crate::scheme::jwt::Payload;
use crate::verdict::Refusal;
use crate::verify::jwt::Token;
use crate::wire::head::Head;

/// The times that a token in a head states, which were judged already.
pub(super) struct Stated {
    pub(super) at: Option<UnixMillis>,
    pub(super) window: Window,
}

/// Proves a delivery whose body is complete. `given` is the token and its times, or `None` where
/// the body is the token. Every text that is made of the body takes its bytes from `room`.
///
/// # Errors
/// `bad_signature`, after every active secret was tried; the refusals of [`JwtRule::judge`]; where
/// the body is the token, also those of [`JwtRule::read_body`] and [`JwtRule::times`], and a time
/// that is not fresh; `overloaded` where `room` has too little left.
pub(super) fn prove(
    inner: &Inner,
    rule: &JwtRule,
    (head, given): (&Head, Option<(Token, Stated)>),
    body: &[u8],
    (now, room): (Now, &mut dyn Room),
) -> Result<Proof, Refusal> {
    let (token, stated) = match given {
        Some((token, stated)) => (token, Some(stated)),
        None => {
            // The token's parts, and the claims once more with the texts in them.
            if !room.take(body.len().saturating_mul(2)) {
                return Err(NO_ROOM);
            }
            (rule.read_body(body)?, None)
        }
    };
    let signed = signed_body(rule, body, room)?;
    let kind = token.algorithm.kind();
    let content = SignedContent::whole(token.signing_input.clone());
    let signatures = Signatures::of([Candidate::new(kind, token.signature.clone())]);
    // If the token names a key (`kid`), keys with another name are skipped; keys without a name are
    // still tried.
    let is_asked = |key: &Key| {
        token.key_id.is_none() || key.id().is_none() || key.id() == token.key_id.as_deref()
    };
    let holds = |key: &Key| is_asked(key) && key.holds(&content, &signed, &signatures);
    let secret = Arc::clone(&inner.find(now, holds)?.name);
    rule.judge(&token, head, body, inner.public_url.as_ref())?;
    let Stated { at, window } = match stated {
        Some(stated) => stated,
        // Like a time in a body, judged once the signature holds.
        None => {
            let times = rule.times(&token)?;
            times.window.judge(now.wall)?;
            Stated {
                at: times.made,
                window: times.window,
            }
        }
    };
    let form = rule.is_body().then(|| rule.event(&token));
    let claims = (!rule.is_detached()).then_some(token.claims);
    Ok(Proof {
        secret,
        signed_at: at,
        timestamp: at,
        content,
        window,
        form,
        claims,
    })
}

/// What is signed behind the token's header and dot: the body of a detached token, nothing of the
/// others.
fn signed_body<'b>(
    rule: &JwtRule,
    body: &'b [u8],
    room: &mut dyn Room,
) -> Result<Cow<'b, [u8]>, Refusal> {
    match rule.payload {
        Payload::Claims => Ok(Cow::Borrowed(b"")),
        Payload::Detached {
            is_encoded: false, ..
        } => Ok(Cow::Borrowed(body)),
        Payload::Detached {
            is_encoded: true, ..
        } => {
            if !room.take(body.len().div_ceil(3).saturating_mul(4)) {
                return Err(NO_ROOM);
            }
            Ok(Cow::Owned(Encoding::Base64Url.encode(body).into_bytes()))
        }
    }
}
