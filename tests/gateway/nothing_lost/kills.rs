//! The process ends at random moments under load, by `kill -9` and by SIGTERM, and starts again on the same directory.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use super::book::ids_in;
use super::senders::{Senders, Shared, send_copies, send_what_is_open};
use super::{Random, config_in, mixed, seed};
use crate::support::behaviour::{Behaviour, Reply, Step};
use crate::support::config::Config;
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{LATE, SOON, eventually};

/// What the app does with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// It takes it, after so many milliseconds.
    Take(u64),
    /// It answers 500.
    Fail,
    /// It closes the connection instead of an answer.
    Close,
}

/// The same for the same attempt, whenever it is asked.
fn choice(request: &Recorded) -> Choice {
    let id = request.header("X-Verigate-Delivery-Id").unwrap_or_default();
    let number = request.header("X-Verigate-Attempt").unwrap_or_default();
    let number: u64 = number.parse().unwrap_or(0);
    let bytes = id.bytes().fold(number, |sum, byte| {
        mixed(sum.wrapping_mul(257).wrapping_add(u64::from(byte)))
    });
    match bytes % 100 {
        0..10 if number < 4 => Choice::Fail,
        10..15 if number < 4 => Choice::Close,
        15..40 => Choice::Take(bytes / 100 % 30),
        _ => Choice::Take(0),
    }
}

fn behaviour(request: &Recorded) -> Behaviour {
    match choice(request) {
        Choice::Take(0) => Behaviour::status(200),
        Choice::Take(millis) => Behaviour(vec![
            Step::ReadBody,
            Step::Pause(Duration::from_millis(millis)),
            Step::Send(Reply::new(204).body("").bytes()),
        ]),
        Choice::Fail => Behaviour::status(500),
        Choice::Close => Behaviour::close(),
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// `kill -9`.
    Kill,
    /// SIGTERM: attempts in flight have the grace.
    Term,
}

impl End {
    fn signal(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Term => "TERM",
        }
    }
}

/// The gateway ends so many times at random moments under the load of eight clients.
fn ends_under_load(times: usize, end: End) {
    let mut random = Random(seed());
    let upstream = Upstream::start();
    upstream.behave_by(behaviour);
    // The disk of the machine is not what is tried here.
    let state = "keep_free = \"0B\"";
    let config = config_in(&upstream, "state", "retry = [\"50ms\"]", state).with_own_ports();
    let mut gateway = Gateway::start(&config);
    let mut senders = Senders::start(8, &mut random, &[]);
    let shared = Arc::clone(&senders.shared);
    senders.go_to(Some(gateway.addr()));
    for _ in 0..times {
        // The moment is by chance: this waits for nothing.
        std::thread::sleep(Duration::from_millis(random.below(500)));
        gateway.signal(end.signal());
        end_of(&mut gateway, end);
        senders.go_to(None);
        take_stock(&gateway, &upstream, &shared, end);
        if end == End::Kill && random.is_one_of(3) {
            kill_at_its_start(&gateway, &config, &mut random);
            take_stock(&gateway, &upstream, &shared, end);
        }
        gateway = gateway.started_again(&config);
        senders.go_to(Some(gateway.addr()));
    }
    senders.stop();
    send_what_is_open(&shared, gateway.addr());
    settle(&gateway, &upstream, &shared);
    send_copies(&shared, gateway.addr());
    gateway.signal("TERM");
    end_of(&mut gateway, End::Term);
    take_stock(&gateway, &upstream, &shared, End::Term);
    let sums = shared.book.sums();
    eprintln!(
        "{times} times {end:?}: {} deliveries in {} requests, {} of them seen by the app",
        sums.events, sums.tries, sums.arrived
    );
    assert_eq!(
        (sums.known, sums.settled),
        (sums.events, sums.events),
        "{sums:?}"
    );
    expect_clean_state(&gateway);
}

fn end_of(gateway: &mut Gateway, end: End) {
    let status = gateway.wait_exit(LATE).expect("it ends");
    if end == End::Term {
        assert_eq!(status.code(), Some(0), "{}", gateway.stderr());
    }
    let said = gateway.stderr();
    assert!(!said.contains("panicked"), "{said}");
}

/// Compares what has come with what the store has, after the gateway has ended.
fn take_stock(gateway: &Gateway, upstream: &Upstream, shared: &Arc<Shared>, end: End) {
    // What was sent before the end may still be on its way.
    let is_read = || upstream.open_connections() == 0;
    assert!(
        eventually(SOON, is_read),
        "connections outlive their process"
    );
    let is_taken = |request: &Recorded| matches!(choice(request), Choice::Take(_));
    shared.book.arrived(&upstream.taken(), is_taken);
    let ids = ids_in(&gateway.folder().join("state"));
    shared.book.stored(&ids, end == End::Term);
    shared.book.expect_no_fault();
}

/// Starts a gateway and kills it before it has said that it listens, or soon afterwards.
fn kill_at_its_start(gateway: &Gateway, config: &Config, random: &mut Random) {
    let mut command = binary();
    command
        .args(["run", "--config"])
        .arg(gateway.config_file())
        .current_dir(gateway.folder())
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary starts");
    // The moment is by chance, again.
    std::thread::sleep(Duration::from_millis(random.below(150)));
    child.kill().expect("a child");
    child.wait().expect("its end");
}

/// Waits until the app has taken everything that was acknowledged, and the store has written so.
fn settle(gateway: &Gateway, upstream: &Upstream, shared: &Arc<Shared>) {
    let is_taken = |request: &Recorded| matches!(choice(request), Choice::Take(_));
    let all_came = || {
        shared.book.arrived(&upstream.taken(), is_taken);
        shared.book.missing() == 0
    };
    assert!(
        eventually(LATE, all_came),
        "{} acknowledged deliveries did not come; {}",
        shared.book.missing(),
        gateway.stderr()
    );
}

/// `verigate state check` finds nothing wrong.
fn expect_clean_state(gateway: &Gateway) {
    let dir = gateway.folder().join("state");
    assert!(fs::metadata(dir.join("queue.db")).is_ok());
    let checked = binary()
        .args(["state", "check"])
        .arg(&dir)
        .output()
        .expect("the binary runs");
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn qu_05_ten_kills_under_load_lose_nothing_and_let_nothing_in_twice() {
    ends_under_load(10, End::Kill);
}

#[test]
fn qu_05_five_stops_under_load_lose_nothing_and_deliver_nothing_twice() {
    ends_under_load(5, End::Term);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_kills_under_load_lose_nothing_and_let_nothing_in_twice() {
    ends_under_load(200, End::Kill);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_stops_under_load_lose_nothing_and_deliver_nothing_twice() {
    ends_under_load(200, End::Term);
}
