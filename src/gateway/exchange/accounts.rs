//! Whose delivery is it (contract: Accounts): the step between the proof and the envelope.

use super::Exchange;
use crate::gateway::client::body::Body;
use crate::gateway::running::snapshot::RouteState;
use crate::verdict::{Code, Refusal};
use crate::verify::accounts::Unlisted;
use crate::verify::verifier::Proof;

impl Exchange<'_> {
    /// Step 5: whether the route takes the account of a proved delivery. A delivery of another account
    /// counts as unproved in shadow mode: the provider has signed it, but for somebody else.
    pub(super) async fn owns(
        &mut self,
        route: &RouteState,
        proof: &Proof,
        body: &Body,
    ) -> Result<bool, Refusal> {
        let Some(own) = &route.accounts else {
            return Ok(true);
        };
        let signed = proof.signed_body(&body.bytes);
        let turn = self.running.turns.aside(own.work(signed)).await;
        let judged = turn.work(|| own.judge(self.head, signed, proof.claims()));
        let Err(Unlisted { account }) = judged else {
            return Ok(true);
        };
        let now = self.running.clock.now();
        self.running
            .warnings
            .unlisted(&route.name, account.as_deref(), now);
        self.record.unlisted = account;
        (self.record.proved, self.record.secret) = (false, None);
        self.enforce::<()>(route, Err(Code::AccountNotListed.into()))?;
        Ok(false)
    }
}
