//! Upgrades with the test between the two processes (contract: Upgrade): it passes on what they say to each other, and
//! holds a word back while the old one goes on, or until it has ended.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recvmsg,
    sendmsg, socket_with,
};

use super::upgrade::{config, expect_clean_exit, expect_seen, socket};
use super::upgrade_played::{ENTRIES, GO, HELLO, READY, TAKEN, message, next};
use super::window::{boot, lose_power};
use crate::support::LATE;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// More open files than a gateway of these tests hands over.
const FILES: usize = 16;

/// The end of the old process, seen from the new one, which is ready to take over.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It gets this signal before the last word.
    Before(&'static str),
    /// It has said the last word, and has ended when the new one hears it.
    After,
}

/// The socket of the test in the place of that of the old process. A process of its own listens on it, which ends with
/// the old one: the kernel tells the new one which process listens, and that one would not end before the test.
struct InItsPlace {
    listener: UnixListener,
    process: Child,
}

impl InItsPlace {
    #[track_caller]
    fn of(old: &Gateway) -> Self {
        fs::rename(socket(old), moved(old)).expect("a name");
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let own = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
        let path = SocketAddrUnix::new(socket(old)).expect("a path");
        bind(&own, &path).expect("a name");
        let script = "open(my $own, '+<&=', 0) or die $!; listen($own, 9) or die $!; \
                      print 'listens'; close(STDOUT); sleep(600)";
        let mut process = Command::new("perl")
            .args(["-e", script])
            .stdin(own.try_clone().expect("a file"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("perl");
        let mut said = String::new();
        let mut words = process.stdout.take().expect("a pipe");
        words.read_to_string(&mut said).expect("its word");
        assert_eq!(said, "listens");
        let listener = own.into();
        Self { listener, process }
    }
}

impl Drop for InItsPlace {
    fn drop(&mut self) {
        // Both fail only where it has already ended, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The two processes, as the test has them at the other end.
struct Between {
    old: UnixStream,
    new: UnixStream,
    place: InItsPlace,
}

impl Between {
    /// Passes on what they say until the new process is ready, which is held back.
    #[track_caller]
    fn until_ready(place: InItsPlace, old: &Gateway) -> Self {
        let (mut new, _) = place.listener.accept().expect("a new process");
        let mut old = UnixStream::connect(moved(old)).expect("the old process answers");
        for stream in [&new, &old] {
            stream.set_read_timeout(Some(LATE)).expect("a time limit");
        }
        pass(&mut new, &mut old, HELLO);
        pass_files(&old, &new);
        let word = next(&mut new);
        assert_eq!(word.map(|(kind, _)| kind), Some(READY));
        Self { old, new, place }
    }

    /// Lets the old process end, and only then the conversation.
    #[track_caller]
    fn end(self, end: End, gateway: &Gateway) {
        let Self {
            mut old,
            mut new,
            place,
        } = self;
        let (old, new) = (&mut old, &mut new);
        match end {
            End::Before(signal) => {
                gateway.signal(signal);
                wait_for_end(old);
                // Nobody answers any more, neither this process nor the test.
                drop(place);
            }
            End::After => {
                old.write_all(&message(READY, b"")).expect("it is taken");
                while pass_any(old, new) == ENTRIES {}
                pass(new, old, TAKEN);
                let (kind, last) = next(old).expect("the last word");
                assert_eq!(kind, GO);
                wait_for_end(old);
                drop(place);
                new.write_all(&message(GO, &last)).expect("it is taken");
            }
        }
    }
}

/// Where the socket of the old process is while the test has its place.
fn moved(gateway: &Gateway) -> PathBuf {
    socket(gateway).with_extension("old")
}

/// Reads until the process at the other end is gone.
fn wait_for_end(stream: &mut UnixStream) {
    while next(stream).is_some() {}
}

/// Passes a message on, and returns its kind.
#[track_caller]
fn pass_any(from: &mut UnixStream, to: &mut UnixStream) -> u8 {
    let (kind, payload) = next(from).expect("a message");
    to.write_all(&message(kind, &payload)).expect("it is taken");
    kind
}

#[track_caller]
fn pass(from: &mut UnixStream, to: &mut UnixStream, kind: u8) {
    assert_eq!(pass_any(from, to), kind);
}

/// Passes a message on that has open files.
#[track_caller]
fn pass_files(from: &UnixStream, to: &UnixStream) {
    let mut bytes = vec![0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut bytes)];
    // A child of another test must not get them.
    let received = recvmsg(from, &mut into, &mut along, RecvFlags::CMSG_CLOEXEC);
    let length = received.expect("a message").bytes;
    let mut files: Vec<OwnedFd> = Vec::new();
    for with in along.drain() {
        if let RecvAncillaryMessage::ScmRights(these) = with {
            files.extend(these);
        }
    }
    assert!(!files.is_empty());
    let files: Vec<_> = files.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    assert!(along.push(SendAncillaryMessage::ScmRights(&files)));
    let all = bytes.get(..length).expect("what came");
    let sent = sendmsg(to, &[IoSlice::new(all)], &mut along, SendFlags::empty());
    assert_eq!(sent, Ok(length));
}

/// Starts a gateway that takes over from `old`, which ends like this; `meanwhile` is called when the new one has read
/// all files and the old one still serves.
#[track_caller]
fn taken_over(
    old: &mut Gateway,
    config: &Config,
    end: End,
    meanwhile: impl Fn(&Gateway) + Send,
) -> Gateway {
    let place = InItsPlace::of(old);
    let own = &*old;
    let new = thread::scope(|scope| {
        let playing = scope.spawn(move || {
            let between = Between::until_ready(place, own);
            meanwhile(own);
            between.end(end, own);
        });
        let new = own.successor(config);
        playing.join().expect("no panic");
        new
    });
    match end {
        End::Before("KILL") => drop(old.wait_exit(LATE).expect("it ends")),
        End::Before(_) | End::After => expect_clean_exit(old),
    }
    let said = match end {
        End::Before(_) => "has ended before it handed its replay window over: starting as usual",
        End::After => "took over from the process",
    };
    assert!(new.says(said), "{end:?}: {}", new.stderr());
    new
}

/// The queue was read before the old process had stored all that it acknowledged. It was read once more only if that
/// process was seen alive later.
#[test]
fn rx_34_whenever_the_old_process_ends_the_new_one_delivers_all_that_was_acknowledged() {
    const TOKEN: &str = "admin-token-0123456789abcdef";
    for end in [End::Before("TERM"), End::Before("KILL"), End::After] {
        let upstream = Upstream::start();
        let config = Config::new()
            .route(Route::itellico(&upstream).set("mode", "\"queue\""))
            .extra("[route.queue]\nretry = [\"100ms\"]\n[state]\ndir = \"state\"")
            .admin("token", "\"env:ADMIN_TOKEN\"")
            .env("ADMIN_TOKEN", TOKEN)
            .with_own_ports();
        let mut old = Gateway::start(&config);
        let token = format!("Bearer {TOKEN}");
        let ask = |gateway: &Gateway, method: &str, path: &str, body: &str| {
            let answer = gateway.admin(method, path, &[("Authorization", &token)], body);
            answer.expect_status(200);
            answer.json()
        };
        let route = "{\"route\":\"itellico\"}";
        let stored = Delivery::fresh();
        let new = taken_over(&mut old, &config, end, |old| {
            ask(old, "POST", "/queue/pause", route);
            old.ask(stored.bytes()).expect_status(200);
        });
        // What it learns of the pause, it has read.
        let is_paused =
            || ask(&new, "GET", "/queue", "")["routes"][0]["reasons"][0]["reason"] == "operator";
        assert!(eventually(LATE, is_paused), "{end:?}: {}", new.stderr());
        new.ask(stored.bytes())
            .expect_refusal(409, "replayed_event");
        assert_eq!(upstream.count(), 0, "{end:?}");
        ask(&new, "POST", "/queue/resume", route);
        upstream
            .wait_for(1)
            .first()
            .expect("an attempt")
            .expect_body(stored.body());
    }
}

/// The old process wrote at its end that it stopped in order, and a loss of power while the new one ran was taken for a
/// stop in order.
#[test]
fn rx_34_where_the_old_process_is_stopped_during_an_upgrade_a_later_loss_of_power_is_noticed() {
    let upstream = Upstream::start();
    let config = config(&upstream).with_own_ports();
    let mut old = Gateway::start(&config);
    let before = Delivery::fresh();
    let new = taken_over(&mut old, &config, End::Before("TERM"), |old| {
        old.ask(before.bytes()).expect_status(200);
    });
    expect_seen(&new, &before);
    let unknown = Delivery::fresh();
    let last = lose_power(new, &config);
    assert!(last.says("the machine lost power"), "{}", last.stderr());
    last.ask(unknown.bytes())
        .expect_refusal(503, "replay_store_unavailable");
}

#[test]
fn rx_34_the_stop_of_a_gateway_is_in_order_once_the_process_before_it_has_ended() {
    for end in [End::Before("TERM"), End::Before("KILL"), End::After] {
        let upstream = Upstream::start();
        let config = config(&upstream).with_own_ports();
        let mut old = Gateway::start(&config);
        let mut new = taken_over(&mut old, &config, end, |_| ());
        assert!(new.says("has ended"), "{end:?}: {}", new.stderr());
        new.signal("TERM");
        expect_clean_exit(&mut new);
        boot(new.folder());
        let last = new.started_again(&config);
        last.ask(Delivery::fresh().bytes()).expect_status(200);
        let said = last.stderr();
        assert!(!said.contains("lost power"), "{end:?}: {said}");
    }
}

#[test]
fn rx_34_what_the_old_process_has_loaded_before_it_ends_is_not_lost() {
    for end in [End::Before("TERM"), End::After] {
        let upstream = Upstream::start();
        let config = config(&upstream).with_own_ports();
        let mut old = Gateway::start(&config);
        let added = Route::plain(&upstream)
            .set("name", &text("added"))
            .set("path", &text("/added"));
        let new = taken_over(&mut old, &config, end, |old| {
            old.rewrite(&config.clone().route(added.clone()));
            old.admin("POST", "/reload", &[], "").expect_status(200);
        });
        new.ask(Delivery::plain("{}").target("/added"))
            .expect_status(200);
    }
}
