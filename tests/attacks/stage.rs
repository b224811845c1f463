//! What every row needs: a gateway before a recording upstream, and the ways in which a case may end.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use std::sync::Arc;

use crate::support::SOON;
use crate::support::answer::Answer;
use crate::support::client::{Client, Missing};
use crate::support::config::Config;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recorded, Upstream};

/// A gateway, and its upstream.
pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
}

impl Stage {
    /// With the reference receiver's route and the plain one.
    pub(crate) fn new() -> Self {
        Self::with(Config::for_upstream)
    }

    /// With a configuration of the row's own; it must serve the reference receiver's route.
    pub(crate) fn with(config: impl FnOnce(&Upstream) -> Config) -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(&config(&upstream));
        Self { upstream, gateway }
    }

    /// REJ of the catalogue: 400 `bad_request` and a closed connection, or a connection closed without an answer.
    /// Nothing is forwarded, and what follows is not answered.
    #[track_caller]
    pub(crate) fn rejects(&self, request: impl Into<Vec<u8>>) {
        self.rejects_or(&[], request);
    }

    /// REJ, or one of these statuses with a closed connection.
    #[track_caller]
    pub(crate) fn rejects_or(&self, also: &[u16], request: impl Into<Vec<u8>>) {
        let before = self.upstream.count();
        let mut client = self.gateway.connect();
        client.send(request.into());
        expect_rejected(&mut client, also);
        self.expect_forwarded(before, 0);
    }

    /// A refusal by name. Nothing is forwarded, and what follows on the connection is not answered as a request.
    #[track_caller]
    pub(crate) fn refuses(&self, request: impl Into<Vec<u8>>, status: u16, code: &str) -> Answer {
        let before = self.upstream.count();
        let mut client = self.gateway.connect();
        let answer = client.ask(request.into());
        answer.expect_refusal(status, code);
        expect_no_more(&mut client);
        self.expect_forwarded(before, 0);
        answer
    }

    /// A 200 and exactly one forwarded request, which is returned.
    #[track_caller]
    pub(crate) fn accepts(&self, request: impl Into<Vec<u8>>) -> Arc<Recorded> {
        let before = self.upstream.count();
        self.gateway.ask(request).expect_status(200);
        assert_eq!(self.upstream.count(), before + 1, "forwarded requests");
        self.upstream.last()
    }

    /// Panics unless the upstream has seen this many requests more, and a good delivery on a new connection gets 200.
    #[track_caller]
    pub(crate) fn expect_forwarded(&self, before: usize, more: usize) {
        assert_eq!(self.upstream.count(), before + more, "forwarded requests");
        self.gateway.expect_serving();
        assert_eq!(
            self.upstream.count(),
            before + more + 1,
            "forwarded requests, the good delivery counted"
        );
    }
}

/// REJ, or one of `also`, on a connection whose request has been sent.
#[track_caller]
pub(crate) fn expect_rejected(client: &mut Client, also: &[u16]) {
    match client.try_answer(SOON) {
        Ok(answer) if also.contains(&answer.status) => {
            crate::support::answer::check_gateway_answer(&answer);
            expect_no_more(client);
        }
        Ok(answer) => {
            answer.expect_refusal(400, "bad_request");
            // Lingering: the gateway's sending side is closed even while this one is open.
            client.expect_closed();
        }
        Err(Missing::Closed) => {}
        Err(missing) => panic!("neither refused nor closed: {missing}"),
    }
}

/// Panics if anything else comes before the connection's end, once this side has ended too.
#[track_caller]
pub(crate) fn expect_no_more(client: &mut Client) {
    client.finish();
    client.expect_closed();
}
