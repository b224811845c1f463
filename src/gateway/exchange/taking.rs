//! What a request takes of the shares: a place among those of its client, and the memory for its
//! body (contract: Body, Shares).

use std::pin::pin;

use super::Exchange;
use super::admission::RequestKind;
use super::claiming;
use super::ended::Ended;
use crate::clock::Now;
use crate::gateway::client::Client;
use crate::gateway::client::body::{self, Body, BodyError, Hashing};
use crate::gateway::client::budget::{Exhausted, RequestPlace};
use crate::gateway::running::snapshot::RouteState;
use crate::scheme::handshake::MAX_OPEN_BODY;
use crate::verdict::{Code, Refusal};
use crate::wire::head::Framing;

const TOO_MANY_REQUESTS: Refusal = Refusal::because(
    Code::Overloaded,
    "too many requests of this client are in progress",
);

impl Exchange<'_> {
    /// Charges the head to the budget, where a client may have many heads at a time. It is charged
    /// to the end of the exchange.
    ///
    /// # Errors
    /// `overloaded`.
    pub(super) fn charge_head<C: Client>(&mut self, client: &mut C) -> Result<(), Refusal> {
        let bytes = client.charged_head();
        if bytes == 0 {
            return Ok(());
        }
        let budget = &self.running.budget;
        let account = if self.origin.address == self.origin.peer {
            client.account(budget)
        } else {
            budget.account(self.origin.address)
        };
        let mut share = budget.reservation(account);
        share.charge(bytes).map_err(|Exhausted| Code::Overloaded)?;
        self.head_share = Some(share);
        Ok(())
    }

    /// The place of a request among those of its client. Behind a trusted proxy, the requests of
    /// many clients share connections, so the requests are counted. `None` for a client with a
    /// connection of its own, which is counted itself.
    ///
    /// # Errors
    /// `overloaded`.
    pub(super) fn take_place(&self) -> Result<Option<RequestPlace>, Refusal> {
        if self.origin.address == self.origin.peer {
            return Ok(None);
        }
        let account = self.running.budget.account(self.origin.address);
        RequestPlace::take(account, self.running.connections.share())
            .map(Some)
            .ok_or(TOO_MANY_REQUESTS)
    }

    /// Step 4: the body, read to its end, and the clocks when it was complete. A body that came
    /// together with the head costs no further look at the clocks.
    pub(super) async fn take_body<C: Client>(
        &mut self,
        client: &mut C,
        route: &RouteState,
        kind: &mut RequestKind,
        place: Option<&RequestPlace>,
    ) -> Result<(Body, Now), Ended> {
        let clock = &self.running.clock;
        let is_at_hand = client.is_body_at_hand();
        let before = if is_at_hand { self.began } else { clock.now() };
        let budget = &self.running.budget;
        let account = match place {
            Some(place) => place.account(),
            None => client.account(budget),
        };
        let (max_body, timeout) = (route.config.max_body, self.snapshot.body_timeout);
        // Of a request without a signature only as much is read as a handshake may hold. Shadow
        // mode forwards such a request, so it needs the whole body.
        let unsigned = match kind {
            RequestKind::Unsigned(refusal) if route.config.enforce => Some(*refusal),
            _ => None,
        };
        let limit = unsigned.map_or(max_body, |_| max_body.min(MAX_OPEN_BODY as u64));
        // A body has no more memory than its declared length needs.
        let most = match self.head.framing() {
            Framing::Length(bytes) => limit.min(bytes),
            _ => limit,
        };
        let verification = kind.verification();
        // A stranger's body is hashed for the replay window only where that costs next to nothing.
        let is_compared = verification
            .as_ref()
            .is_some_and(|proof| proof.is_hashing())
            && claiming::compares_bodies(route);
        let mut hashing = Hashing {
            verification,
            compared: is_compared.then(|| self.running.fingerprints.hasher()),
        };
        let start = self.running.instant(before.mono);
        let share = match &self.head_share {
            Some(head) => head.empty(),
            None => budget.reservation(account),
        };
        let read = pin!(body::read(
            client,
            most,
            (start, timeout),
            &self.running.turns,
            share,
            &mut hashing,
        ))
        .await;
        let now = if is_at_hand { before } else { clock.now() };
        self.waited = now.mono.saturating_sub(before.mono);
        let body = read.map_err(|error| match (error, unsigned) {
            (BodyError::Refused(found), Some(refusal))
                if found.code == Code::BodyTooLarge && limit < max_body =>
            {
                BodyError::Refused(refusal)
            }
            (error, _) => error,
        })?;
        self.record.body_bytes = body.bytes.len() as u64;
        Ok((body, now))
    }
}
