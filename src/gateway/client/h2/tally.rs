//! What a client does with an HTTP/2 connection, counted: streams that it opens for nothing, pings,
//! and heads that it begins and does not end (contract: HTTP/2).
//!
//! A request that is reset costs its sender nothing and the gateway all that a request costs. So a
//! connection ends if most of its streams are reset, whoever resets them: a client can bring the
//! gateway to do it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::frames::Frame;

/// The streams of a connection after which resets count.
pub(super) const FIRST: usize = 500;
/// The time over which streams and their resets are compared.
const SECOND: Duration = Duration::from_secs(1);
/// The most streams of the last second that are remembered.
const REMEMBERED: usize = 4096;
/// The pings and settings that a connection may send in a minute beside one for each request.
const SIGNALS: u32 = 200;
/// The frames that ask for nothing which a connection may send in a minute, beside some for each
/// request and for each piece of an answer: clients send priorities, and make room for answers.
const OTHERS: u32 = 1000;
const OTHERS_A_REQUEST: u32 = 10;
const OTHERS_A_PIECE: u32 = 4;
const MINUTE: Duration = Duration::from_secs(60);

/// The code of a reset behind a complete answer (RFC 9113 8.1). Nothing was done in vain.
const NO_ERROR: u32 = 0;

/// The sender of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Gateway,
}

/// The reason why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    Resets,
    Signals,
    Others,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resets => "most of its requests of a second were reset",
            Self::Signals => "it sent more pings and settings than 200 a minute",
            Self::Others => "it sent more frames that ask for nothing than 1000 a minute",
        })
    }
}

/// The counts of a connection.
#[derive(Debug)]
pub(super) struct Tally {
    /// Whether the client is a trusted proxy, which speaks for many: nothing is too much then.
    is_exempt: bool,
    /// The number of streams in all, and the highest of them.
    opened: usize,
    highest: u32,
    /// The streams of the last second in the order of their numbers.
    recent: VecDeque<Opened>,
    /// Those among them that were reset.
    resets: usize,
    /// The beginning of the present minute, and what has come in it.
    minute: Instant,
    signals: u32,
    served: u32,
    others: u32,
    pieces: u32,
    excess: Option<Excess>,
    /// The time since which a head is not complete.
    head_since: Option<Instant>,
}

#[derive(Debug)]
struct Opened {
    stream: u32,
    at: Instant,
    is_reset: bool,
}

impl Tally {
    /// The counts of a connection that begins now.
    pub(super) fn new(is_exempt: bool, now: Instant) -> Self {
        Self {
            is_exempt,
            opened: 0,
            highest: 0,
            recent: VecDeque::new(),
            resets: 0,
            minute: now,
            signals: 0,
            served: 0,
            others: 0,
            pieces: 0,
            excess: None,
            head_since: None,
        }
    }

    /// The reason why the connection must end, if there is one.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.excess
    }

    /// The time since which a head is not complete.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.head_since
    }

    /// Takes note of whether a head is incomplete.
    pub(super) fn note_head(&mut self, is_incomplete: bool, now: impl FnOnce() -> Instant) {
        if !is_incomplete {
            self.head_since = None;
        } else if self.head_since.is_none() {
            self.head_since = Some(now());
        }
    }

    /// Takes note of a request that was served.
    pub(super) fn note_served(&mut self) {
        self.served = self.served.saturating_add(1);
    }

    /// Takes note of a frame that was sent. `now` is called where the frame counts by the time.
    pub(super) fn note(&mut self, frame: Frame, sender: Sender, now: impl FnOnce() -> Instant) {
        match (frame, sender) {
            (Frame::Headers { stream }, Sender::Client) => self.note_opened(stream, now()),
            (Frame::Reset { stream, .. }, Sender::Client) => {
                let now = now();
                let is_new = self.note_reset(stream, now);
                if !is_new {
                    self.note_other(now);
                }
            }
            (Frame::Reset { stream, code }, Sender::Gateway) if code != NO_ERROR => {
                self.note_reset(stream, now());
            }
            (Frame::Signal, Sender::Client) => self.note_signal(now()),
            (Frame::Other, Sender::Client) => self.note_other(now()),
            (Frame::Data, Sender::Gateway) => self.pieces = self.pieces.saturating_add(1),
            _ => {}
        }
    }

    fn note_opened(&mut self, stream: u32, now: Instant) {
        // Trailers belong to a stream that is known.
        if stream <= self.highest {
            return;
        }
        self.highest = stream;
        self.opened += 1;
        self.forget(now);
        if self.recent.len() == REMEMBERED {
            self.forget_first();
        }
        self.recent.push_back(Opened {
            stream,
            at: now,
            is_reset: false,
        });
    }

    /// Takes note of a reset. Returns whether it is the first of a stream of the last second.
    fn note_reset(&mut self, stream: u32, now: Instant) -> bool {
        self.forget(now);
        let place = self.recent.binary_search_by_key(&stream, |one| one.stream);
        let one = place.ok().and_then(|place| self.recent.get_mut(place));
        let Some(one) = one.filter(|one| !one.is_reset) else {
            return false;
        };
        one.is_reset = true;
        self.resets += 1;
        let is_most = self.resets * 2 > self.recent.len();
        if self.opened > FIRST && is_most && !self.is_exempt {
            self.excess.get_or_insert(Excess::Resets);
        }
        true
    }

    /// Begins to count anew once a minute is over.
    fn begin_minute(&mut self, now: Instant) {
        if now.saturating_duration_since(self.minute) >= MINUTE {
            (self.minute, self.signals, self.served) = (now, 0, 0);
            (self.others, self.pieces) = (0, 0);
        }
    }

    fn note_other(&mut self, now: Instant) {
        self.begin_minute(now);
        self.others = self.others.saturating_add(1);
        let most = OTHERS
            .saturating_add(self.served.saturating_mul(OTHERS_A_REQUEST))
            .saturating_add(self.pieces.saturating_mul(OTHERS_A_PIECE));
        if self.others > most && !self.is_exempt {
            self.excess.get_or_insert(Excess::Others);
        }
    }

    fn note_signal(&mut self, now: Instant) {
        self.begin_minute(now);
        self.signals = self.signals.saturating_add(1);
        if self.signals > SIGNALS.saturating_add(self.served) && !self.is_exempt {
            self.excess.get_or_insert(Excess::Signals);
        }
    }

    /// Forgets the streams that were opened more than a second ago.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.recent.front()
            && now.saturating_duration_since(first.at) > SECOND
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.recent.pop_front() {
            self.resets -= usize::from(first.is_reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const CANCEL: u32 = 8;

    struct Client(Tally, Instant, u32);

    impl Client {
        fn new(is_exempt: bool) -> Self {
            let now = Instant::now();
            Self(Tally::new(is_exempt, now), now, 0)
        }

        fn open(&mut self) -> u32 {
            self.2 += 2;
            let stream = self.2 + 1;
            self.0
                .note(Frame::Headers { stream }, Sender::Client, || self.1);
            stream
        }

        fn reset(&mut self, stream: u32, code: u32, by: Sender) {
            self.0.note(Frame::Reset { stream, code }, by, || self.1);
        }

        /// Opens `all` streams, `reset` of them in vain, all at once.
        fn burst(&mut self, all: u32, reset: u32, by: Sender) -> Option<Excess> {
            let streams: Vec<u32> = (0..all).map(|_| self.open()).collect();
            for stream in streams.into_iter().take(reset as usize) {
                self.reset(stream, CANCEL, by);
            }
            self.0.excess()
        }

        fn others(&mut self, count: u32) -> Option<Excess> {
            for _ in 0..count {
                self.0.note(Frame::Other, Sender::Client, || self.1);
            }
            self.0.excess()
        }

        fn signals(&mut self, count: u32) -> Option<Excess> {
            for _ in 0..count {
                self.0.note(Frame::Signal, Sender::Client, || self.1);
            }
            self.0.excess()
        }
    }

    #[test]
    fn a_connection_ends_when_most_streams_of_a_second_are_reset_by_whomever() {
        for by in [Sender::Client, Sender::Gateway] {
            let mut client = Client::new(false);
            assert_eq!(client.burst(500, 500, by), None, "the first are free");
            client.1 += 1001 * MS;
            assert_eq!(client.burst(100, 50, by), None, "half");
            assert_eq!(client.burst(1, 1, by), Some(Excess::Resets));
        }
    }

    #[test]
    fn each_stream_counts_once_and_a_complete_answer_is_no_reset() {
        let mut client = Client::new(false);
        client.burst(600, 0, Sender::Client);
        client.1 += 1001 * MS;
        let streams: Vec<u32> = (0..100).map(|_| client.open()).collect();
        for stream in &streams[..50] {
            client.reset(*stream, CANCEL, Sender::Client);
            client.reset(*stream, CANCEL, Sender::Gateway);
        }
        for stream in &streams[50..] {
            client.reset(*stream, NO_ERROR, Sender::Gateway);
        }
        client.reset(1, CANCEL, Sender::Client);
        assert_eq!(client.0.excess(), None);
    }

    #[test]
    fn trailers_open_no_stream_and_old_streams_are_forgotten() {
        let mut client = Client::new(false);
        client.burst(600, 0, Sender::Client);
        for _ in 0..10 {
            let stream = 3;
            client
                .0
                .note(Frame::Headers { stream }, Sender::Client, || client.1);
        }
        assert_eq!((client.0.opened, client.0.recent.len()), (600, 600));
        client.1 += 1001 * MS;
        client.open();
        assert_eq!(client.0.recent.len(), 1);
        client.burst(9000, 4500, Sender::Client);
        assert_eq!(client.0.recent.len(), REMEMBERED);
    }

    #[test]
    fn two_hundred_signals_a_minute_and_one_for_each_request_are_let_pass() {
        let mut client = Client::new(false);
        assert_eq!(client.signals(200), None);
        client.0.note_served();
        assert_eq!(client.signals(1), None);
        client.1 += MINUTE;
        assert_eq!(client.signals(200), None, "another minute");
        assert_eq!(client.signals(1), Some(Excess::Signals));
    }

    #[test]
    fn frames_that_ask_for_nothing_are_let_pass_as_far_as_answers_need_them() {
        let mut client = Client::new(false);
        assert_eq!(client.others(1000), None);
        client.0.note_served();
        assert_eq!(client.others(10), None);
        client.0.note(Frame::Data, Sender::Gateway, || client.1);
        assert_eq!(client.others(4), None);
        client.1 += MINUTE;
        assert_eq!(client.others(1000), None, "another minute");
        client.0.note(Frame::Data, Sender::Client, || client.1);
        assert_eq!(client.0.excess(), None);
        // A stream that is over already.
        client.reset(1, CANCEL, Sender::Client);
        assert_eq!(client.0.excess(), Some(Excess::Others));
    }

    #[test]
    fn a_trusted_proxy_may_do_as_it_likes() {
        let mut client = Client::new(true);
        assert_eq!(client.others(5000), None);
        assert_eq!(client.burst(1000, 1000, Sender::Client), None);
        assert_eq!(client.signals(1000), None);
    }

    #[test]
    fn a_head_is_late_since_it_began() {
        let mut client = Client::new(false);
        let start = client.1;
        client.0.note_head(true, || start);
        client.0.note_head(true, || start + MINUTE);
        assert_eq!(client.0.head_since(), Some(start));
        client.0.note_head(false, || start);
        assert_eq!(client.0.head_since(), None);
    }
}
