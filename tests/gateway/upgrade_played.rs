//! Upgrades in which the test plays one of the two processes (contract: Upgrade): what the other one does at each
//! step of the hand-over, and where its peer says nonsense or ends.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::collections::HashMap;
use std::fs;
use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use verigate::replay::Ticket;
use verigate::replay::passing::{Change, Kept, Question};

use super::upgrade::{
    config, expect_clean_exit, expect_failure, expect_seen, failed_successor, slow, socket,
    upstream_with,
};
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually, now};

/// The bytes of a message of an upgrade.
pub(super) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [b"VGup", &[1, 0, kind, 0][..], &length, payload].concat()
}

pub(super) const HELLO: u8 = 1;
const HANDOVER: u8 = 2;
pub(super) const READY: u8 = 3;
pub(super) const ENTRIES: u8 = 4;
const FROZEN: u8 = 5;
pub(super) const TAKEN: u8 = 6;
pub(super) const GO: u8 = 7;
pub(super) const QUESTION: u8 = 9;
pub(super) const REPLY: u8 = 10;

/// A process that begins an upgrade, played by the test.
fn hello(gateway: &Gateway) -> UnixStream {
    let mut stream = UnixStream::connect(socket(gateway)).expect("the gateway answers");
    stream.set_read_timeout(Some(SOON)).expect("a time limit");
    let payload = [&7_u32.to_le_bytes()[..], &[4], b"test"].concat();
    stream
        .write_all(&message(HELLO, &payload))
        .expect("it is taken");
    stream
}

/// The kind of the next message, and what it says.
pub(super) fn next(stream: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let mut payload = vec![0; usize::try_from(length).expect("a length")];
    stream.read_exact(&mut payload).ok()?;
    Some((head[6], payload))
}

/// What a gateway handed over before it was killed. The test goes on as that gateway.
pub(super) struct Predecessor {
    listener: UnixListener,
    /// The beginning of the handover: process, key, and the times of its clocks.
    pub(super) facts: [u8; 36],
    entries: Vec<Vec<u8>>,
}

impl Predecessor {
    /// Takes the place of `gateway`.
    pub(super) fn of(gateway: &mut Gateway) -> Self {
        let mut stream = hello(gateway);
        let (kind, handover) = next(&mut stream).expect("a handover");
        assert_eq!(kind, HANDOVER);
        stream.write_all(&message(READY, b"")).expect("taken");
        let mut entries = Vec::new();
        while let Some((ENTRIES, payload)) = next(&mut stream) {
            entries.push(payload);
        }
        let path = socket(gateway);
        gateway.signal("KILL");
        assert!(gateway.wait_exit(SOON).is_some());
        fs::remove_file(&path).expect("its socket");
        Self {
            listener: UnixListener::bind(&path).expect("a socket"),
            facts: *handover.first_chunk().expect("the facts"),
            entries,
        }
    }

    /// The process that wants to take over, once it has said who it is.
    pub(super) fn meet(&self) -> UnixStream {
        let (mut stream, _) = self.listener.accept().expect("a new process");
        stream.set_read_timeout(Some(LATE)).expect("a time limit");
        expect(&mut stream, HELLO);
        stream
    }

    /// Hands over, with `socket` as that of the first address of the configuration.
    pub(super) fn hand_over(&self, stream: &UnixStream, socket: &TcpListener) {
        let address = b"127.0.0.1:0";
        let length = [u8::try_from(address.len()).expect("short")];
        let payload = [&self.facts[..], &[0, 0], &length, address].concat();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        let files = [socket.as_fd()];
        assert!(along.push(SendAncillaryMessage::ScmRights(&files)));
        let bytes = message(HANDOVER, &payload);
        let flags = SendFlags::empty();
        sendmsg(stream, &[IoSlice::new(&bytes)], &mut along, flags).expect("it is taken");
    }

    /// Hands the window over, but for the last word.
    pub(super) fn hand_window_over(&self, stream: &mut UnixStream) {
        expect(stream, READY);
        for entries in &self.entries {
            say(stream, ENTRIES, entries);
        }
        say(stream, FROZEN, b"");
        expect(stream, TAKEN);
    }
}

impl Predecessor {
    /// The entries of the window that it handed over, by its last bytes.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut latest = HashMap::new();
        for payload in &self.entries {
            assert!(Change::read_all(payload, |change| {
                if let Change::Entry(kept) = change {
                    latest.insert(kept.key.0, kept);
                }
            }));
        }
        latest.into_values().collect()
    }

    /// The tickets of its claims in flight.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        let of = |kept: &Kept| {
            let (key, slot) = (kept.key, 0);
            let serials: Vec<_> = kept.in_flight().collect();
            serials
                .into_iter()
                .map(move |serial| Ticket { key, slot, serial })
        };
        self.kept().iter().flat_map(of).collect()
    }
}

#[track_caller]
pub(super) fn expect(stream: &mut UnixStream, kind: u8) {
    assert_eq!(next(stream).map(|(kind, _)| kind), Some(kind));
}

#[track_caller]
pub(super) fn say(stream: &mut UnixStream, kind: u8, payload: &[u8]) {
    stream.write_all(&message(kind, payload)).expect("taken");
}

/// The steps after which the old process may end before the new one has taken over.
const STEPS: [u8; 4] = [HELLO, HANDOVER, READY, TAKEN];

#[test]
fn rx_34_where_the_old_process_ends_before_the_last_word_the_new_one_starts_as_usual() {
    for ends_after in STEPS {
        let latch = Latch::closed();
        let upstream = upstream_with(&latch);
        let config = config(&upstream).replay("refuse_older_than_start", "true");
        let config = config.with_own_ports();
        let mut old = Gateway::start(&config);
        // Signed for a later moment, so that no start is after them.
        let later = || Delivery::at(event(), now() + 60);
        let (done, open) = (later(), later().with("X-Slow", "1"));
        old.ask(done.bytes()).expect_status(200);
        let mut waiting = old.connect();
        waiting.send(open.bytes());
        upstream.wait_for(2);
        let mut played = Predecessor::of(&mut old);
        // The time of its start, which was long ago.
        played.facts[28..].fill(0);
        let offered = TcpListener::bind("127.0.0.1:0").expect("a port");
        let offered_address = offered.local_addr().expect("an address");
        let playing = std::thread::spawn(move || {
            let mut stream = played.meet();
            if ends_after >= HANDOVER {
                played.hand_over(&stream, &offered);
            }
            if ends_after == TAKEN {
                played.hand_window_over(&mut stream);
            } else if ends_after == READY {
                expect(&mut stream, READY);
                say(&mut stream, ENTRIES, &played.entries[0]);
            }
        });
        let mut new = old.successor(&config);
        playing.join().expect("no panic");
        let has_sockets = ends_after >= HANDOVER;
        assert_eq!(new.addr() == offered_address, has_sockets, "{ends_after}");
        let said = if has_sockets {
            "has ended before it handed its replay window over: starting as usual"
        } else {
            "no gateway answers on"
        };
        assert!(new.says(said), "{ends_after}: {}", new.stderr());
        // What has not come of its window is on disk.
        expect_seen(&new, &done);
        // The claims of the old process ended with it, and its start counts no more.
        latch.open();
        new.ask(open.bytes()).expect_status(200);
        new.ask(Delivery::at(event(), now() - 30).bytes())
            .expect_refusal(401, "stale_timestamp");
        // It is a gateway like any other.
        let owner = fs::read_to_string(new.folder().join("state/owner")).expect("the owner file");
        assert_eq!(owner, format!("pid {}\n", new.pid()));
        let third = new.successor(&config);
        expect_clean_exit(&mut new);
        third.expect_serving();
    }
}

/// The old process of the test takes a reload, and later a secret, after the new one has read its files.
#[test]
fn what_the_old_process_accepts_while_it_is_replaced_is_not_lost() {
    let upstream = Upstream::start();
    let learning = |name: &str| {
        Route::plain(&upstream)
            .set("name", &text(name))
            .set("path", &text(&format!("/{name}")))
            .set("secrets", &format!("[\"learn:{name}.secret\"]"))
            .scheme("handshake", "\"asana\"")
    };
    let config = config(&upstream)
        .route(learning("first"))
        .route(learning("second"));
    let mut old = Gateway::start(&config);
    let played = Predecessor::of(&mut old);
    let file = old.config_file();
    let secret = |name: &str| {
        let path = file.with_file_name(format!("{name}.secret"));
        let draft = path.with_extension("draft");
        fs::write(&draft, "a-secret-of-a-handshake").expect("a file");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("a mode");
        fs::rename(&draft, &path).expect("a name");
    };
    let delivery = |name: &str| {
        let body = format!("{{\"of\":{name:?}}}");
        let signature = sign_body("a-secret-of-a-handshake", body.as_bytes());
        Delivery::unsigned(&format!("/{name}"), body)
            .with("X-Signature", format!("sha256={signature}"))
    };
    let offered = TcpListener::bind("127.0.0.1:0").expect("a port");
    let reloaded = config.clone().route(
        Route::plain(&upstream)
            .set("name", "\"added\"")
            .set("path", "\"/added\""),
    );
    let (new, stream) = std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            let mut stream = played.meet();
            // By now the new process has read its files.
            fs::write(&file, reloaded.toml()).expect("a configuration");
            secret("first");
            played.hand_over(&stream, &offered);
            played.hand_window_over(&mut stream);
            say(&mut stream, GO, &60_000_u64.to_le_bytes());
            stream
        });
        let new = old.successor(&config);
        (new, playing.join().expect("no panic"))
    });
    new.ask(Delivery::plain("{}").target("/added"))
        .expect_status(200);
    new.ask(delivery("first")).expect_status(200);
    assert!(
        new.stderr().contains("it has changed during the upgrade"),
        "{}",
        new.stderr()
    );
    new.ask(delivery("second"))
        .expect_refusal(503, "secret_not_learned");
    secret("second");
    let has_come = || new.ask(delivery("second")).status == 200;
    assert!(eventually(SOON, has_come), "{}", new.stderr());
    drop(stream);
}

/// A process that is stopped in the middle of its requests, and goes on after its leases are over.
#[test]
fn rx_35_the_claims_of_a_silent_process_end_with_their_leases_and_what_it_says_later_counts() {
    const LEASE_MS: u64 = 2000;
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let events = [slow(), slow()];
    let mut waiting = [old.connect(), old.connect()];
    for (client, event) in waiting.iter_mut().zip(&events) {
        client.send(event.bytes());
    }
    upstream.wait_for(2);
    let played = Predecessor::of(&mut old);
    let tickets = played.tickets();
    assert_eq!(tickets.len(), 2);
    let playing = std::thread::spawn(move || {
        let offered = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut stream = played.meet();
        played.hand_over(&stream, &offered);
        played.hand_window_over(&mut stream);
        say(&mut stream, GO, &LEASE_MS.to_le_bytes());
        stream
    });
    let new = old.successor(&config);
    let mut stream = playing.join().expect("no panic");
    for event in &events {
        new.ask(event.bytes())
            .expect_refusal(503, "event_in_flight");
    }
    assert!(
        new.says("has not settled 2 of its claims in time"),
        "{}",
        new.stderr()
    );
    // It goes on, and says that both were done. A copy of one is under way and will fail.
    let failing = Latch::closed();
    let wait = failing.clone();
    upstream.behave_by(move |_| Behaviour::answer_after(&wait, &Reply::new(500)));
    let mut copy = new.connect();
    copy.send(events[0].bytes());
    upstream.wait_for(3);
    for (number, ticket) in (1..).zip(tickets) {
        say(
            &mut stream,
            QUESTION,
            &Question::Commit(ticket).to_bytes(number),
        );
        expect(&mut stream, REPLY);
    }
    for event in &events {
        expect_seen(&new, event);
    }
    failing.open();
    copy.answer().expect_status(500);
    for event in &events {
        expect_seen(&new, event);
    }
    drop(stream);
    // The process that listened is that of the test.
    let goes_on = "is over, and that process goes on";
    assert!(new.says(goes_on), "{}", new.stderr());
}

#[test]
#[ignore = "takes ten seconds"]
fn rx_35_the_events_of_a_stopped_process_come_again_after_its_lease() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = Config::new()
        .route(Route::itellico(&upstream).set("upstream_timeout", "\"3s\""))
        .extra("[state]\ndir = \"state\"");
    let mut old = Gateway::start(&config);
    let event = slow();
    let mut waiting = old.connect();
    waiting.send(event.bytes());
    upstream.wait_for(1);
    let new = old.successor(&config);
    old.halt();
    latch.open();
    new.ask(event.bytes())
        .expect_refusal(503, "event_in_flight");
    let is_let_in = || new.ask(event.bytes()).status == 200;
    assert!(eventually(LATE, is_let_in), "{}", new.stderr());
    old.signal("CONT");
    let answer = waiting.answer();
    assert!([200, 504].contains(&answer.status), "{answer}");
    expect_clean_exit(&mut old);
    expect_seen(&new, &event);
}

#[test]
fn rx_33_garbage_a_second_successor_and_one_that_leaves_change_nothing() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let seen = Delivery::fresh();
    old.ask(seen.bytes()).expect_status(200);
    let version = [b"VGup", &[9, 9, 1, 0, 0, 0, 0, 0][..]].concat();
    let huge = [b"VGup", &[1, 0, 1, 0, 255, 255, 255, 255][..]].concat();
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0; 100_000],
        version,
        huge,
        message(READY, b""),
        message(HELLO, b"x"),
        message(200, b""),
    ] {
        let mut stream = UnixStream::connect(socket(&old)).expect("it answers");
        stream.set_read_timeout(Some(SOON)).expect("a time limit");
        // The gateway may have hung up before all of it was sent.
        let _ = stream.write_all(&garbage);
        let said = next(&mut stream);
        assert!(said.is_none_or(|(kind, _)| kind == 8), "{garbage:?}");
    }
    assert!(old.says("speaks version 2313"), "{}", old.stderr());
    // While a successor is under way, another is refused.
    let mut first = hello(&old);
    assert!(next(&mut first).is_some_and(|(kind, _)| kind == 2));
    let second = failed_successor(&old, &config);
    expect_failure(
        &second,
        &["refuses the upgrade", "another upgrade is running"],
    );
    drop(first);
    assert!(old.says("ended the conversation"), "{}", old.stderr());
    old.expect_serving();
    // It leaves while the window is being copied, and after it has passed but for the last word.
    for leaves_at in [0, FROZEN] {
        let mut stream = hello(&old);
        assert!(next(&mut stream).is_some_and(|(kind, _)| kind == 2));
        stream.write_all(&message(READY, b"")).expect("taken");
        while let Some((kind, _)) = next(&mut stream) {
            if leaves_at == 0 || kind == leaves_at {
                break;
            }
        }
        drop(stream);
        old.expect_serving();
        expect_seen(&old, &seen);
    }
    // It never says that it has the window: claims wait a little, and are decided as before.
    let mut stream = hello(&old);
    assert!(next(&mut stream).is_some_and(|(kind, _)| kind == 2));
    stream.write_all(&message(READY, b"")).expect("taken");
    while next(&mut stream).is_some_and(|(kind, _)| kind != FROZEN) {}
    let waited = Delivery::fresh();
    old.ask(waited.bytes()).expect_status(200);
    expect_seen(&old, &waited);
    expect_seen(&old, &seen);
    drop(stream);
    let new = old.successor(&config);
    expect_clean_exit(&mut old);
    expect_seen(&new, &seen);
    expect_seen(&new, &waited);
}

/// The time of the contract, which a test can only wait for.
#[test]
#[ignore = "takes half a minute"]
fn a_successor_that_is_not_ready_in_time_is_given_up() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let mut stream = hello(&old);
    assert!(next(&mut stream).is_some_and(|(kind, _)| kind == 2));
    let given_up = || old.stderr().contains("did not answer in time");
    assert!(eventually(LATE, given_up), "{}", old.stderr());
    old.expect_serving();
    let new = old.successor(&config);
    expect_clean_exit(&mut old);
    new.expect_serving();
}
