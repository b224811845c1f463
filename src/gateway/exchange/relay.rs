//! The upstream's answer, relayed to the client as it comes (contract: Relaying). An answer that
//! broke off never looks complete.

use super::ended::Ended;
use super::headers::is_relayed;
use crate::gateway::client::reason::reason;
use crate::gateway::client::{AnswerHead, Client, Length};
use crate::gateway::upstream::forward::Response;
use crate::wire::head::{KnownName, Line};
use crate::wire::response::{BodyEnd, ResponseHead};

/// Writes `response` to `client`. The claim was settled before, so nothing that happens here
/// changes it.
///
/// # Errors
/// [`Ended::Unanswered`] before anything was written, [`Ended::BrokenOff`] afterwards;
/// [`Ended::Gone`] if the client does not take the answer.
pub(super) async fn relay<C: Client>(
    client: &mut C,
    response: &mut Response,
    request_id: &[u8],
    is_head: bool,
) -> Result<(), Ended> {
    // The bytes of the body that came together with the head are written together with it.
    let first = response
        .ready()
        .map_err(Ended::Unanswered)?
        .unwrap_or_default();
    let mut done = response.is_done();
    if !done {
        response.begin();
    }
    let head = RelayedHead {
        head: &response.head,
        request_id,
        is_head,
    };
    client.start(&head, &first, done).await?;
    while !done {
        let piece = response.next().await.map_err(Ended::BrokenOff)?;
        done = response.is_done();
        client
            .piece(piece.as_deref().unwrap_or_default(), done)
            .await?;
    }
    Ok(())
}

/// The upstream's head in the form in which the client gets it.
struct RelayedHead<'a> {
    head: &'a ResponseHead,
    request_id: &'a [u8],
    is_head: bool,
}

impl AnswerHead for RelayedHead<'_> {
    fn status(&self) -> u16 {
        self.head.status()
    }

    fn reason(&self) -> &[u8] {
        reason(self.head.status()).as_bytes()
    }

    fn lines(&self, put: &mut dyn FnMut(&[u8], &[u8])) {
        // If the body is not sent (HEAD, 304), its length is information and not framing.
        let tells_length = self.length() == Length::NoBody && self.head.status() != 204;
        for Line {
            name,
            value,
            known,
            is_alias,
        } in self.head.fields()
        {
            let is_listed = || {
                self.head
                    .connection_names()
                    .any(|listed| listed.eq_ignore_ascii_case(name))
            };
            let is_length = known == KnownName::ContentLength && !is_alias;
            if (is_relayed(known, is_alias) && !is_listed()) || (tells_length && is_length) {
                put(name, value);
            }
        }
        put(b"X-Request-Id", self.request_id);
    }

    fn length(&self) -> Length {
        match self.head.body_end(self.is_head) {
            BodyEnd::None => Length::NoBody,
            BodyEnd::Length(bytes) => Length::Known(bytes),
            BodyEnd::Chunked | BodyEnd::Close => Length::Unknown,
        }
    }

    fn closes(&self) -> bool {
        false
    }
}
