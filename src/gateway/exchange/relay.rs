//! The upstream's response to the client, as it comes (SPEC 2.10). A truncated answer never looks complete.

use super::ended::Ended;
use super::headers::is_relayed;
use crate::gateway::client::answer::reason;
use crate::gateway::client::{AnswerHead, Client, Length};
use crate::gateway::upstream::forward::Response;
use crate::wire::response::{BodyEnd, ResponseHead};

/// Writes `response` to `client`. The claim is settled by then: whatever happens here changes nothing of it.
///
/// # Errors
/// [`Ended::Unanswered`] while nothing was written, [`Ended::BrokenOff`] afterwards; [`Ended::Gone`].
pub(super) async fn relay<C: Client>(
    client: &mut C,
    mut response: Response,
    request_id: &str,
    is_head: bool,
) -> Result<(), Ended> {
    // The part of the body that came together with the head leaves together with it.
    let first = response
        .ready()
        .map_err(Ended::Unanswered)?
        .unwrap_or_default();
    let head = RelayedHead {
        head: &response.head,
        request_id,
        is_head,
    };
    let mut done = response.is_done();
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

struct RelayedHead<'a> {
    head: &'a ResponseHead,
    request_id: &'a str,
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
        // The length of a body that is not sent (HEAD, 304) is information, not framing.
        let tells_length = self.length() == Length::NoBody && self.head.status() != 204;
        for (name, value) in self.head.lines() {
            let is_listed = || {
                self.head
                    .connection_names()
                    .any(|listed| listed.eq_ignore_ascii_case(name))
            };
            if (is_relayed(name) && !is_listed())
                || (tells_length && name.eq_ignore_ascii_case(b"content-length"))
            {
                put(name, value);
            }
        }
        put(b"X-Request-Id", self.request_id.as_bytes());
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
