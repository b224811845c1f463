//! What every row needs: a gateway before a recording upstream, and the ways in which a case may end.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use std::sync::Arc;

use crate::support::SOON;
use crate::support::answer::Answer;
use crate::support::cases::Cases;
use crate::support::client::{Client, Missing};
use crate::support::config::Config;
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::transport::{self, Transport};
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

    /// REJ of the catalogue: 400 `bad_request` and a closed connection. Nothing is forwarded, and what follows is not
    /// answered.
    #[track_caller]
    pub(crate) fn rejects(&self, request: impl Into<Vec<u8>>) {
        let request = request.into();
        if transport::is_left_out(&request) {
            return;
        }
        let before = self.upstream.count();
        let mut client = self.gateway.connect();
        expect_rejected(&mut client, request);
        self.expect_forwarded(before, 0);
    }

    /// A table of rows that are each REJ.
    #[track_caller]
    pub(crate) fn rejects_all<R: Into<Vec<u8>>>(
        &self,
        rows: impl IntoIterator<Item = (&'static str, R)>,
    ) {
        let mut cases = Cases::new();
        for (name, request) in rows {
            cases.case(name, || self.rejects(request));
        }
        cases.finish();
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

    /// A table of refusals that all have this status: the name of a row, what is sent, and the code.
    #[track_caller]
    pub(crate) fn refuses_all(
        &self,
        status: u16,
        rows: impl IntoIterator<Item = (&'static str, Delivery, &'static str)>,
    ) {
        let mut cases = Cases::new();
        for (name, delivery, code) in rows {
            cases.case(name, || drop(self.refuses(delivery, status, code)));
        }
        cases.finish();
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

/// REJ of a request: over HTTP/2 the refusal, or the reset of its stream. Over HTTP/1 the refusal is read whole even where the client still sends, for
/// the gateway closes its sending side and goes on reading for a while.
#[track_caller]
pub(crate) fn expect_rejected(client: &mut Client, request: Vec<u8>) {
    let answer = client.ask_unless_reset(request);
    if let Some(answer) = &answer {
        answer.expect_refusal(400, "bad_request");
    }
    if transport::chosen() != Transport::Http2 {
        client.expect_closed();
    }
}

/// Panics if anything else comes before the connection's end, once this side has ended too.
#[track_caller]
pub(crate) fn expect_no_more(client: &mut Client) {
    client.finish();
    client.expect_closed();
}

/// Panics unless the connection ends without a byte of an answer.
#[track_caller]
pub(crate) fn expect_no_answer(client: &mut Client) {
    match client.try_answer(SOON) {
        Err(Missing::Closed) => {}
        other => panic!("not closed without an answer: {other:?}"),
    }
}
