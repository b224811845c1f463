//! Upgrades (contract: Upgrade): a new process takes over from the running one. No request fails, no event is
//! forwarded twice, and whatever goes wrong leaves the running one as it was.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{LATE, SOON, eventually};

/// A gateway with a state directory beside its file, which has the socket.
pub(super) fn config(upstream: &Upstream) -> Config {
    Config::for_upstream(upstream).extra("[state]\ndir = \"state\"")
}

pub(super) fn socket(gateway: &Gateway) -> PathBuf {
    gateway.folder().join("state/upgrade.sock")
}

#[track_caller]
pub(super) fn expect_clean_exit(gateway: &mut Gateway) {
    let status = gateway.wait_exit(LATE).expect("the gateway ends in time");
    assert_eq!(status.code(), Some(0), "{status}");
}

/// Panics unless the event of this delivery is refused because it was processed.
#[track_caller]
pub(super) fn expect_seen(gateway: &Gateway, delivery: &Delivery) {
    gateway
        .ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
}

/// The outcome of `run --upgrade` with the file of a gateway that goes on.
pub(super) fn failed_successor(gateway: &Gateway, config: &Config) -> Output {
    outcome(gateway, config, &["run", "--upgrade", "--config"])
}

fn outcome(gateway: &Gateway, config: &Config, command: &[&str]) -> Output {
    fs::write(gateway.config_file(), config.toml()).expect("a configuration");
    binary()
        .args(command)
        .arg(gateway.config_file())
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the binary runs")
}

#[track_caller]
pub(super) fn expect_failure(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word} in {said}");
    }
}

/// Deliveries with `X-Slow` wait for the latch; all others are answered at once.
pub(super) fn upstream_with(latch: &Latch) -> Upstream {
    let latch = latch.clone();
    let upstream = Upstream::start();
    upstream.behave_by(move |request: &Recorded| {
        if request.has("X-Slow") {
            Behaviour::answer_after(&latch, &Reply::new(200))
        } else {
            Behaviour::status(200)
        }
    });
    upstream
}

/// A delivery that the upstream answers only when the latch is open.
pub(super) fn slow() -> Delivery {
    Delivery::fresh().with("X-Slow", "1")
}

/// A gateway with a request that waits at the app until the latch is open.
struct Busy {
    latch: Latch,
    upstream: Upstream,
    config: Config,
    old: Gateway,
    event: Delivery,
    waiting: Client,
}

impl Busy {
    #[track_caller]
    fn start() -> Self {
        let latch = Latch::closed();
        let upstream = upstream_with(&latch);
        let config = config(&upstream);
        let old = Gateway::start(&config);
        let event = slow();
        let mut waiting = old.connect();
        waiting.send(event.bytes());
        upstream.wait_for(1);
        Self {
            latch,
            upstream,
            config,
            old,
            event,
            waiting,
        }
    }

    /// A gateway that has taken over.
    #[track_caller]
    fn successor(&self) -> Gateway {
        self.old.successor(&self.config)
    }

    /// Lets the app answer, and waits for the answer and for the end of the old process.
    #[track_caller]
    fn finish(&mut self) {
        self.latch.open();
        self.waiting.answer().expect_status(200);
        expect_clean_exit(&mut self.old);
    }
}

#[test]
fn rx_32_what_is_under_way_ends_at_the_old_process_and_no_event_is_forwarded_twice() {
    // Under way: a request at the upstream, a body half read, a head half read, and a connection that idles.
    let mut busy = Busy::start();
    let done = Delivery::fresh();
    busy.old.ask(done.bytes()).expect_status(200);
    let uploaded = Delivery::fresh();
    let bytes = uploaded.bytes();
    let (mut uploading, mut asking) = (busy.old.connect(), busy.old.connect());
    uploading.send(&bytes[..bytes.len() - 9]);
    let asked = Delivery::fresh();
    asking.send(&asked.bytes()[..20]);
    let mut idle = busy.old.connect();
    idle.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect_status(404);
    let new = busy.successor();
    assert_eq!(
        (new.addr(), new.admin_addr()),
        (busy.old.addr(), busy.old.admin_addr())
    );
    // The connection that idled is served by the old process for a second, which asks the new one for the claim.
    let late = Delivery::fresh();
    let answer = idle.ask(late.bytes());
    answer.expect_status(200);
    assert!(answer.closes(), "{answer}");
    expect_seen(&new, &done);
    expect_seen(&new, &late);
    new.ask(busy.event.bytes())
        .expect_refusal(503, "event_in_flight");
    uploading.send(&bytes[bytes.len() - 9..]);
    asking.send(&asked.bytes()[20..]);
    for client in [&mut uploading, &mut asking] {
        let answer = client.answer();
        answer.expect_status(200);
        assert!(answer.closes(), "{answer}");
    }
    expect_seen(&new, &uploaded);
    expect_seen(&new, &asked);
    // A copy at the old process of an event that the new one has forwarded.
    new.expect_serving();
    assert!(
        busy.old.wait_exit(Duration::from_millis(1)).is_none(),
        "it ended"
    );
    busy.finish();
    expect_seen(&new, &busy.event);
    assert!(
        new.says("has ended; 0 of its claims were not settled"),
        "{}",
        new.stderr()
    );
    assert_eq!(busy.upstream.count(), 6, "each event was forwarded once");
    let owner = fs::read_to_string(new.folder().join("state/owner")).expect("the owner file");
    assert_eq!(owner, format!("pid {}\n", new.pid()));
    let answer = new.admin("GET", "/readyz", &[], "");
    answer.expect_status(200);
}

/// A copy that reaches the old process while the new one has the event in flight, and after that.
#[test]
fn the_old_process_asks_the_new_one_about_events_that_came_there() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let event = slow();
    let bytes = event.bytes();
    let mut copies: Vec<Client> = (0..2).map(|_| old.connect()).collect();
    for copy in &mut copies {
        copy.send(&bytes[..bytes.len() - 5]);
    }
    let new = old.successor(&config);
    let mut first = new.connect();
    first.send(&bytes);
    upstream.wait_for(1);
    copies[0].send(&bytes[bytes.len() - 5..]);
    copies[0].answer().expect_refusal(503, "event_in_flight");
    latch.open();
    first.answer().expect_status(200);
    copies[1].send(&bytes[bytes.len() - 5..]);
    copies[1].answer().expect_refusal(409, "replayed_event");
    expect_clean_exit(&mut old);
    assert_eq!(upstream.count(), 1);
}

/// What clients saw while gateways were exchanged.
#[derive(Default)]
struct Seen {
    /// Deliveries that were answered 200.
    done: Mutex<Vec<Delivery>>,
    failed: Mutex<Vec<String>>,
}

/// Sends fresh deliveries, most on kept connections, until told to end.
fn load(gateway: std::net::SocketAddr, seen: &Seen, is_over: &AtomicBool) {
    let mut kept: Option<Client> = None;
    while !is_over.load(Ordering::Relaxed) {
        let delivery = Delivery::fresh();
        let mut client = match kept.take().map_or_else(|| Client::try_connect(gateway), Ok) {
            Ok(client) => client,
            Err(error) => {
                seen.failed
                    .lock()
                    .expect("no panic")
                    .push(error.to_string());
                continue;
            }
        };
        client.send(delivery.bytes());
        match client.try_answer(LATE) {
            Ok(answer) if answer.status == 200 => {
                if !answer.closes() {
                    kept = Some(client);
                }
                seen.done.lock().expect("no panic").push(delivery);
            }
            other => {
                let mut failed = seen.failed.lock().expect("no panic");
                failed.push(format!("{other:?}"));
            }
        }
    }
}

fn upgrades_under_load(times: usize) {
    const CLIENTS: usize = 6;
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut current = Gateway::start(&config);
    let address = current.addr();
    let seen = Arc::new(Seen::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            std::thread::spawn(move || load(address, &seen, &is_over))
        })
        .collect();
    for round in 0..times {
        let before = seen.done.lock().expect("no panic").len();
        let moves = || seen.done.lock().expect("no panic").len() > before + 50;
        assert!(eventually(LATE, moves), "nothing moves in round {round}");
        let next = current.successor(&config);
        let known = seen.done.lock().expect("no panic").clone();
        for delivery in known.iter().rev().step_by(known.len() / 40 + 1) {
            expect_seen(&next, delivery);
        }
        expect_clean_exit(&mut current);
        let ended = || next.stderr().contains("has ended; 0 of its claims");
        assert!(eventually(SOON, ended), "{}", next.stderr());
        current = next;
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no panic");
    }
    let failed = seen.failed.lock().expect("no panic");
    let done = seen.done.lock().expect("no panic");
    assert!(
        failed.is_empty(),
        "{} failed beside {}: {:?}",
        failed.len(),
        done.len(),
        failed.first()
    );
    for delivery in done.iter() {
        expect_seen(&current, delivery);
    }
    let mut forwarded: HashMap<Vec<u8>, usize> = HashMap::new();
    for request in upstream.requests() {
        *forwarded.entry(request.body.clone()).or_default() += 1;
    }
    assert_eq!(forwarded.len(), done.len());
    assert!(
        forwarded.values().all(|times| *times == 1),
        "an event came twice"
    );
}

#[test]
fn rp_15_rx_32_five_upgrades_under_load_fail_no_request_and_let_no_replay_in() {
    upgrades_under_load(5);
}

#[test]
#[ignore = "takes minutes"]
fn twenty_upgrades_under_load_fail_no_request_and_let_no_replay_in() {
    upgrades_under_load(20);
}

#[test]
fn where_no_gateway_answers_it_starts_as_usual_and_says_so() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut first = Gateway::start(&config);
    first.signal("KILL");
    assert!(first.wait_exit(SOON).is_some());
    assert!(
        socket(&first).exists(),
        "the socket of a killed process stays"
    );
    let mut second = first.successor(&config);
    assert!(second.says("no gateway answers on"), "{}", second.stderr());
    second.expect_serving();
    second.signal("TERM");
    expect_clean_exit(&mut second);
    assert!(
        !socket(&second).exists(),
        "a process that ends removes its socket"
    );
    let without = failed_successor(&second, &Config::for_upstream(&upstream));
    expect_failure(
        &without,
        &["--upgrade", "`dir` in `[state]`", "upgrade_socket"],
    );
}

#[test]
fn the_settings_may_change_and_a_successor_that_cannot_run_changes_nothing() {
    let upstream = Upstream::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|at| (at, taken))
        .expect("an address");
    let first = config(&upstream);
    let mut old = Gateway::start(&first);
    let seen = Delivery::fresh();
    old.ask(seen.bytes()).expect_status(200);
    let broken = failed_successor(&old, &first.clone().extra("nonsense = 1"));
    assert_eq!(broken.status.code(), Some(2));
    let listen = format!("[\"127.0.0.1:0\", {}]", text(&taken.0.to_string()));
    let colliding = failed_successor(&old, &first.clone().server("listen", &listen));
    expect_failure(&colliding, &["cannot listen on"]);
    assert!(
        old.says("this gateway goes on as before"),
        "{}",
        old.stderr()
    );
    old.expect_serving();
    expect_seen(&old, &seen);
    // One more address, another number of threads, and a smaller window with another number of shards.
    let other = first
        .server("listen", "[\"127.0.0.1:0\", \"127.0.0.2:0\"]")
        .server("threads", "1")
        .replay("capacity", "1000");
    let new = old.successor(&other);
    expect_clean_exit(&mut old);
    assert_eq!(new.addr(), old.addr());
    expect_seen(&new, &seen);
    Client::connect(new.addrs()[1])
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
}

#[test]
fn while_the_process_before_it_is_there_a_gateway_is_not_taken_over() {
    let mut busy = Busy::start();
    let mut middle = busy.successor();
    let refused = failed_successor(&middle, &busy.config);
    expect_failure(&refused, &["still finishing its requests"]);
    busy.finish();
    assert!(
        middle.says("has ended; 0 of its claims"),
        "{}",
        middle.stderr()
    );
    let last = middle.successor(&busy.config);
    expect_clean_exit(&mut middle);
    expect_seen(&last, &busy.event);
}

/// A new process that is stopped while the old one still has requests.
#[test]
fn a_gateway_that_stops_waits_for_the_process_before_it() {
    let mut busy = Busy::start();
    let bytes = Delivery::fresh().bytes();
    let mut uploading = busy.old.connect();
    uploading.send(&bytes[..bytes.len() - 5]);
    let mut new = busy.successor();
    new.signal("TERM");
    let refused = || Client::try_connect(new.addr()).is_err();
    assert!(eventually(SOON, refused), "a new connection is taken");
    uploading.send(&bytes[bytes.len() - 5..]);
    uploading.answer().expect_status(200);
    busy.finish();
    expect_clean_exit(&mut new);
    assert!(new.stderr().contains("has ended; 0 of its claims"));
}

#[test]
fn rx_34_when_the_old_process_is_killed_its_events_may_come_again() {
    let mut busy = Busy::start();
    let done = Delivery::fresh();
    busy.old.ask(done.bytes()).expect_status(200);
    let new = busy.successor();
    new.ask(busy.event.bytes())
        .expect_refusal(503, "event_in_flight");
    busy.old.signal("KILL");
    assert!(busy.old.wait_exit(SOON).is_some());
    assert!(
        new.says("has ended; 1 of its claims were not settled"),
        "{}",
        new.stderr()
    );
    busy.latch.open();
    new.ask(busy.event.bytes()).expect_status(200);
    expect_seen(&new, &busy.event);
    expect_seen(&new, &done);
}

#[test]
fn rx_34_when_the_new_process_is_killed_the_old_one_refuses_what_it_cannot_ask_about() {
    let mut busy = Busy::start();
    let uploaded = Delivery::fresh();
    let bytes = uploaded.bytes();
    let mut uploading = busy.old.connect();
    uploading.send(&bytes[..bytes.len() - 5]);
    let mut new = busy.successor();
    new.signal("KILL");
    assert!(new.wait_exit(SOON).is_some());
    assert!(
        busy.old.says("does not answer any more"),
        "{}",
        busy.old.stderr()
    );
    // It has the directory until it ends, and the killed one is not named as the holder.
    let third = outcome(&busy.old, &busy.config, &["run", "--config"]);
    expect_failure(
        &third,
        &[&format!("the process {};", busy.old.pid()), "state.dir"],
    );
    uploading.send(&bytes[bytes.len() - 5..]);
    uploading
        .answer()
        .expect_refusal(503, "replay_store_unavailable");
    busy.finish();
    assert_eq!(busy.upstream.count(), 1);
}

/// More questions than the socket between the two holds. They ended with the old process.
#[test]
fn rx_36_what_is_done_while_the_new_process_is_stopped_is_known_to_it_later() {
    const MANY: usize = 400;
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream).server("max_connections", "4096");
    let mut old = Gateway::start(&config);
    let events: Vec<_> = (0..MANY).map(|_| slow()).collect();
    let begin = |event: &Delivery| {
        let mut client = old.connect();
        client.send(event.bytes());
        client
    };
    let mut waiting: Vec<_> = events.iter().map(begin).collect();
    upstream.wait_for(MANY);
    let new = old.successor(&config);
    new.halt();
    latch.open();
    for client in &mut waiting {
        client.answer_within(LATE).expect_status(200);
    }
    drop(waiting);
    expect_clean_exit(&mut old);
    new.signal("CONT");
    assert!(
        new.says("has ended; 0 of its claims were not settled"),
        "{}",
        new.stderr()
    );
    for event in &events {
        expect_seen(&new, event);
    }
    assert_eq!(upstream.count(), MANY);
}

#[test]
fn rx_33_a_directory_that_others_may_enter_and_another_user_are_refused() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let open = folder.path().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = text(&open.join("socket").display().to_string());
    let config = Config::for_upstream(&upstream).server("upgrade_socket", &path);
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let help = format!("chmod 700 {}", open.display());
    expect_failure(
        &failed_successor(&gateway, &config),
        &["server.upgrade_socket", &help],
    );
    fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).expect("a mode");
    let old = Gateway::start(&config);
    // Only root can play another user.
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    if is_root {
        // Past the directory, the user of the process itself is looked at.
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let socket = open.join("socket");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("a mode");
        let script = "use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0); \
                      connect($s, sockaddr_un($ARGV[0])) or die $!; \
                      sysread($s, my $said, 999); print $said";
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["perl", "-e", script])
            .arg(&socket)
            .output()
            .expect("setpriv and perl");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("another user"), "{output:?}");
        assert!(old.says("another user"), "{}", old.stderr());
    }
    old.expect_serving();
}
