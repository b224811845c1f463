//! Upgrades after which the test is the old process (contract: Upgrade): the new one answers it, holds its claims while
//! it lives, and finds what it has written down.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rusqlite::{Connection, params};
use verigate::clock::{Now, UnixMillis};
use verigate::replay::passing::{Change, Kept, Question, Reply};
use verigate::replay::{Claimed, WindowError};
use verigate::verify::claim::{Arrival, ClaimKey};

use super::upgrade::{config, expect_failure, expect_seen, failed_successor, slow, upstream_with};
use super::upgrade_played::{GO, Predecessor, QUESTION, REPLY, next, say};
use crate::support::behaviour::Latch;
use crate::support::config::Config;
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::{LATE, eventually, now};

/// A gateway that has taken over from the test, which plays the gateway `old`. The test goes on as `then` says, once the
/// window has passed.
fn taken_over<T: Send>(
    old: &mut Gateway,
    config: &Config,
    lease_ms: u64,
    then: impl FnOnce(UnixStream, &Predecessor) -> T + Send,
) -> (Gateway, T) {
    let played = Predecessor::of(old);
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            let offered = TcpListener::bind("127.0.0.1:0").expect("a port");
            let mut stream = played.meet();
            played.hand_over(&stream, &offered);
            played.hand_window_over(&mut stream);
            let go = [&lease_ms.to_le_bytes()[..], &[0]].concat();
            say(&mut stream, GO, &go);
            then(stream, &played)
        });
        let new = old.successor(config);
        (new, playing.join().expect("no panic"))
    })
}

/// What was in flight at the app could be forwarded again by the new process, as soon as the two said nothing more.
#[test]
fn rx_35_the_claims_of_a_process_that_says_no_more_and_lives_are_held_until_their_leases_are_over()
{
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    for says_nonsense in [false, true] {
        let mut old = Gateway::start(&config);
        let event = slow();
        let mut waiting = old.connect();
        waiting.send(event.bytes());
        upstream.wait_for(1 + usize::from(says_nonsense));
        let ends = |mut stream: UnixStream, _: &Predecessor| {
            if says_nonsense {
                say(&mut stream, REPLY, b"");
            }
            // A socket that is dropped is closed.
            says_nonsense.then_some(stream)
        };
        let (new, stream) = taken_over(&mut old, &config, 4000, ends);
        let goes_on = "is over, and that process goes on";
        assert!(new.says(goes_on), "{}", new.stderr());
        if let Some(mut stream) = stream {
            assert!(next(&mut stream).is_none(), "it hangs up");
        }
        new.ask(event.bytes())
            .expect_refusal(503, "event_in_flight");
        let is_let_in = || {
            new.stderr()
                .contains("has not settled 1 of its claims in time")
        };
        assert!(eventually(LATE, is_let_in), "{}", new.stderr());
        // It may have requests for longer, and it may store deliveries.
        let refused = failed_successor(&new, &config);
        expect_failure(&refused, &["still finishing its requests"]);
        assert!(!new.stderr().contains("has ended"), "{}", new.stderr());
    }
}

/// The number of the next reply, and what it says.
#[track_caller]
fn reply(stream: &mut UnixStream) -> (u64, Reply) {
    let (kind, payload) = next(stream).expect("a reply");
    assert_eq!(kind, REPLY);
    Reply::from_bytes(&payload).expect("a reply")
}

/// The delivery of an entry that is done, as it was claimed.
fn done(kept: &Kept) -> Option<Arrival> {
    let mut kept = kept.clone();
    let is_done = kept.was_done();
    kept.first.phase = verigate::replay::passing::Phase::InFlight;
    kept.arrival(kept.first.serial).filter(|_| is_done)
}

/// A copy waits until it is written that its event is done. All questions of the old process waited with it.
#[test]
fn a_copy_that_waits_for_the_disk_holds_up_no_other_answer_and_a_file_that_fails_grants_nothing() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    old.ask(Delivery::fresh().bytes()).expect_status(200);
    let mut waiting = old.connect();
    waiting.send(slow().bytes());
    upstream.wait_for(2);
    let then = |stream, played: &Predecessor| (stream, played.tickets(), played.kept());
    let (new, (mut stream, tickets, kept)) = taken_over(&mut old, &config, 60_000, then);
    let seen = kept.iter().find_map(done).expect("an event that is done");
    let of_key = |id| Arrival {
        key: ClaimKey(id),
        ..seen
    };
    let file = Connection::open(new.folder().join("state/window.db")).expect("the database");
    file.execute_batch("begin immediate").expect("a lock");
    let questions = [
        Question::Commit(tickets[0]),
        Question::Claim(seen),
        Question::Claim(of_key(1)),
    ];
    for (number, question) in (1..).zip(questions) {
        say(&mut stream, QUESTION, &question.to_bytes(number));
    }
    let (number, first) = reply(&mut stream);
    assert!(
        matches!(
            (number, first),
            (3, Reply::Claimed(Ok(Claimed::Granted(_))))
        ),
        "{number}: {first:?}"
    );
    // By default nothing is let in that cannot be written.
    let mut asked = 100;
    let mut answer = |key: u128| {
        asked += 1;
        say(
            &mut stream,
            QUESTION,
            &Question::Claim(of_key(key)).to_bytes(asked),
        );
        loop {
            let (number, answer) = reply(&mut stream);
            if number == asked {
                return answer;
            }
        }
    };
    let mut refused = 100;
    let is_refused = || {
        refused += 1;
        answer(refused) == Reply::Claimed(Err(WindowError::Unavailable))
    };
    assert!(eventually(LATE, is_refused), "{}", new.stderr());
    file.execute_batch("rollback").expect("no lock");
    let is_granted = || matches!(answer(refused), Reply::Claimed(Ok(Claimed::Granted(_))));
    assert!(eventually(LATE, is_granted), "{}", new.stderr());
}

/// The old process is at an end after the delivery is stored, and before it has said so; or it is stopped then.
#[test]
fn rx_34_what_the_old_process_stored_and_did_not_settle_is_let_in_by_no_copy() {
    for is_stopped in [false, true] {
        let latch = Latch::closed();
        let upstream = upstream_with(&latch);
        let config = config(&upstream);
        let mut old = Gateway::start(&config);
        let event = slow();
        let mut waiting = old.connect();
        waiting.send(event.bytes());
        upstream.wait_for(1);
        let file = old.folder().join("state/queue.db");
        let ends = |stream: UnixStream, played: &Predecessor| {
            let kept = &played.kept()[0];
            let arrival = kept.arrival(kept.first.serial).expect("it is in flight");
            let mono = *played.facts[20..].first_chunk().expect("the time");
            let at = Now {
                wall: UnixMillis(i64::try_from(now() * 1000).expect("a time")),
                mono: Duration::from_nanos(u64::from_le_bytes(mono)),
            };
            let mut bytes = Vec::new();
            Change::Done(Box::new(arrival), at).write(&mut bytes);
            let queue = Connection::open(&file).expect("the database");
            let insert = "insert into claim (changes, bytes) values (1, ?1)";
            queue.execute(insert, params![bytes]).expect("a row");
            // A process that is stopped leaves the conversation open.
            is_stopped.then_some(stream)
        };
        let (new, _open) = taken_over(&mut old, &config, 2000, ends);
        let is_found = "has written down 1 of its claims as done";
        assert!(
            eventually(LATE, || new.stderr().contains(is_found)),
            "{}",
            new.stderr()
        );
        expect_seen(&new, &event);
        assert_eq!(upstream.count(), 1);
    }
}
