//! Disks that fill up: file systems of a test's own, which need the right to mount.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::book::ids_in;
use super::senders::{Senders, probe, send_copies, send_what_is_open};
use super::{Random, config_in, seed};
use crate::support::behaviour::Behaviour;
use crate::support::config::Config;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{LATE, SOON, eventually};

const MIB: u64 = 1 << 20;

/// A file system of its own.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// One in memory with so many bytes; `None`, said aloud, where nothing can be mounted.
    fn in_memory(bytes: u64) -> Option<Self> {
        let options = format!("size={bytes},mode=0700");
        let mounting = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        Self::mounted(tempfile::tempdir().expect("a folder"), &mounting)
    }

    /// One in a file with holes, so that its room is not taken from that of the machine.
    fn in_a_file(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        let file = fs::File::create(&image).expect("a file");
        file.set_len(bytes).expect("a size");
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0"])
            .arg(&image)
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            eprintln!("skipped: mkfs.ext4 cannot be run");
            return None;
        }
        let image = image.display().to_string();
        Self::mounted(folder, &["-o", "loop", &image])
    }

    fn mounted(folder: tempfile::TempDir, mounting: &[&str]) -> Option<Self> {
        let place = folder.path().join("disk");
        fs::create_dir(&place).expect("a folder");
        let mounted = Command::new("mount").args(mounting).arg(&place).output();
        let said = match mounted {
            Ok(mounted) if mounted.status.success() => return Some(Self { folder }),
            Ok(mounted) => String::from_utf8_lossy(&mounted.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("skipped: nothing can be mounted here: {said}");
        None
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn state(&self) -> PathBuf {
        self.place().join("state")
    }

    fn ballast(&self) -> PathBuf {
        self.place().join("ballast")
    }

    /// The bytes that may still be written.
    fn free(&self) -> u64 {
        let system = rustix::fs::statvfs(self.place()).expect("a file system");
        system.f_bavail * system.f_frsize
    }

    /// Leaves so many bytes free, by a file that holds nothing.
    fn leave(&self, bytes: u64) {
        let file = fs::File::create(self.ballast()).expect("a file");
        let taken = self.free().saturating_sub(bytes);
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 0, taken).expect("room for it");
    }

    /// Fills it to the last byte, again and again until `is_over`: what is given back is taken.
    fn keep_full(&self, is_over: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
        let (path, is_over) = (self.ballast(), Arc::clone(is_over));
        std::thread::spawn(move || {
            let mut file = fs::File::create(path).expect("a file");
            while !is_over.load(Ordering::SeqCst) {
                for size in [1 << 20, 4096, 1] {
                    while file.write_all(&vec![b'x'; size]).is_ok() {}
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a gateway that a failed test has not ended yet may hold it.
        let _ = Command::new("umount").arg("-l").arg(self.place()).status();
    }
}

fn config(upstream: &Upstream, dir: &Path, queue: &str, state: &str) -> Config {
    config_in(upstream, &dir.display().to_string(), queue, state).with_own_ports()
}

fn errors(gateway: &Gateway, kind: &str) -> f64 {
    let metrics = gateway.metrics();
    metrics.value("verigate_state_errors_total", &[("kind", kind)])
}

fn is_2xx(_: &Recorded) -> bool {
    true
}

/// Waits until the app has taken everything that was acknowledged.
fn all_comes(upstream: &Upstream, senders: &Senders, gateway: &Gateway) {
    let book = &senders.shared.book;
    let all_came = || {
        book.arrived(&upstream.taken(), is_2xx);
        book.missing() == 0
    };
    let came = eventually(LATE, all_came);
    assert!(
        came,
        "{} did not come: {}",
        book.missing(),
        gateway.stderr()
    );
}

/// Waits until nothing is in the store.
fn is_empty(gateway: &Gateway, state: &Path) {
    assert!(
        eventually(LATE, || ids_in(state).is_empty()),
        "{} are left: {}",
        ids_in(state).len(),
        gateway.stderr()
    );
}

/// A gateway with its state on the disk and an app that fails, to which so many senders have sent some
/// deliveries and go on.
fn under_load(
    upstream: &Upstream,
    disk: &Disk,
    senders: u64,
    random: &mut Random,
) -> (Config, Gateway, Senders) {
    let queue = "retry = [\"200ms\"]";
    let config = config(upstream, &disk.state(), queue, "keep_free = \"0B\"");
    let gateway = Gateway::start(&config);
    let senders = Senders::start(senders, random, &["queue_unavailable", "queue_full"]);
    senders.go_to(Some(gateway.addr()));
    assert!(eventually(LATE, || senders.shared.book.sums().known > 30));
    (config, gateway, senders)
}

#[test]
#[ignore = "needs the right to mount"]
fn qu_06_a_disk_that_is_full_to_the_last_byte_refuses_and_loses_nothing() {
    let Some(disk) = Disk::in_memory(48 * MIB) else {
        return;
    };
    let mut random = Random(seed());
    let upstream = Upstream::with(Behaviour::status(500));
    let (_, mut gateway, mut senders) = under_load(&upstream, &disk, 6, &mut random);
    let shared = Arc::clone(&senders.shared);
    let is_over = Arc::new(AtomicBool::new(false));
    let filling = disk.keep_full(&is_over);
    let is_seen = || errors(&gateway, "full") > 0.5;
    assert!(eventually(LATE, is_seen), "it is not full");
    let refused = || probe(&shared, gateway.addr(), &mut random).starts_with("queue_");
    assert!(eventually(LATE, refused), "nothing is refused");
    upstream.taken();
    // The app comes back while nothing can be written: attempts need no room.
    upstream.behave(Behaviour::status(200));
    all_comes(&upstream, &senders, &gateway);
    // A few seconds of it: whoever looks at the log must still find something in it.
    let before = gateway.stderr().lines().count();
    let seconds = std::time::Instant::now();
    while seconds.elapsed() < Duration::from_secs(5) {
        probe(&shared, gateway.addr(), &mut random);
        std::thread::sleep(Duration::from_millis(50));
    }
    let lines = gateway.stderr().lines().count() - before;
    assert!(lines < 40, "{lines} lines in 5 s: {}", gateway.stderr());
    is_over.store(true, Ordering::SeqCst);
    filling.join().expect("the filling ends");
    disk.make_room();
    // Without a restart it goes on.
    let is_taken = || probe(&shared, gateway.addr(), &mut random).is_empty();
    assert!(eventually(LATE, is_taken), "{}", gateway.stderr());
    senders.stop();
    send_what_is_open(&shared, gateway.addr());
    all_comes(&upstream, &senders, &gateway);
    send_copies(&shared, gateway.addr());
    is_empty(&gateway, &disk.state());
    shared.book.expect_no_fault();
    gateway.signal("TERM");
    let status = gateway.wait_exit(LATE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", gateway.stderr());
}

#[test]
#[ignore = "needs the right to mount"]
fn qu_06_a_gateway_that_is_killed_on_a_full_disk_has_everything_when_there_is_room() {
    let Some(disk) = Disk::in_memory(24 * MIB) else {
        return;
    };
    let mut random = Random(seed());
    let upstream = Upstream::with(Behaviour::status(500));
    let (config, gateway, mut senders) = under_load(&upstream, &disk, 6, &mut random);
    let shared = Arc::clone(&senders.shared);
    let is_over = Arc::new(AtomicBool::new(false));
    let filling = disk.keep_full(&is_over);
    assert!(eventually(LATE, || errors(&gateway, "full") > 0.5));
    let refused = || probe(&shared, gateway.addr(), &mut random).starts_with("queue_");
    assert!(eventually(LATE, refused), "nothing is refused");
    let gateway = gateway.killed_then(&config, || {
        senders.go_to(None);
        is_over.store(true, Ordering::SeqCst);
        filling.join().expect("the filling ends");
        assert!(
            eventually(SOON, || upstream.open_connections() == 0),
            "connections outlive their process"
        );
        shared.book.arrived(&upstream.taken(), |_| false);
        shared.book.stored(&ids_in(&disk.state()), false);
        shared.book.expect_no_fault();
        upstream.behave(Behaviour::status(200));
        disk.make_room();
    });
    senders.stop();
    all_comes(&upstream, &senders, &gateway);
    send_what_is_open(&shared, gateway.addr());
    all_comes(&upstream, &senders, &gateway);
    send_copies(&shared, gateway.addr());
    is_empty(&gateway, &disk.state());
    shared.book.expect_no_fault();
}

#[test]
#[ignore = "needs the right to mount"]
fn qu_06_an_end_in_order_on_a_full_disk_says_that_changes_are_lost() {
    let Some(disk) = Disk::in_memory(24 * MIB) else {
        return;
    };
    let mut random = Random(seed());
    let upstream = Upstream::with(Behaviour::status(500));
    let (_, mut gateway, mut senders) = under_load(&upstream, &disk, 2, &mut random);
    let is_over = Arc::new(AtomicBool::new(false));
    let filling = disk.keep_full(&is_over);
    assert!(eventually(LATE, || errors(&gateway, "full") > 0.5));
    senders.stop();
    upstream.behave(Behaviour::status(200));
    all_comes(&upstream, &senders, &gateway);
    gateway.signal("TERM");
    let status = gateway.wait_exit(LATE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", gateway.stderr());
    let words = "changes could not be written before the end: what was delivered meanwhile is delivered again";
    assert!(gateway.says(words), "{}", gateway.stderr());
    is_over.store(true, Ordering::SeqCst);
    filling.join().expect("the filling ends");
}

/// Such a start, and a reload of a configuration in which nothing was new, failed: each asked for the numbers of its
/// routes where something could have been written.
#[test]
#[ignore = "needs the right to mount"]
fn qu_06_a_gateway_starts_and_reloads_on_a_disk_that_others_have_filled() {
    let Some(disk) = Disk::in_memory(24 * MIB) else {
        return;
    };
    let mut random = Random(seed());
    let upstream = Upstream::with(Behaviour::status(500));
    let (config, gateway, mut senders) = under_load(&upstream, &disk, 2, &mut random);
    let shared = Arc::clone(&senders.shared);
    let is_over = Arc::new(AtomicBool::new(false));
    let filling = disk.keep_full(&is_over);
    let refused = |gateway: &Gateway| {
        let mut random = Random(seed());
        eventually(LATE, || {
            probe(&shared, gateway.addr(), &mut random).starts_with("queue_")
        })
    };
    assert!(refused(&gateway), "nothing is refused");
    let gateway = gateway.killed_then(&config, || {
        senders.go_to(None);
        shared.book.arrived(&upstream.taken(), |_| false);
    });
    assert!(refused(&gateway), "nothing is refused");
    gateway.signal("HUP");
    assert!(gateway.says("loaded and in force"), "{}", gateway.stderr());
    upstream.behave(Behaviour::status(200));
    all_comes(&upstream, &senders, &gateway);
    is_over.store(true, Ordering::SeqCst);
    filling.join().expect("the filling ends");
    disk.make_room();
    let is_taken = || probe(&shared, gateway.addr(), &mut random).is_empty();
    assert!(eventually(LATE, is_taken), "{}", gateway.stderr());
    senders.stop();
    send_what_is_open(&shared, gateway.addr());
    all_comes(&upstream, &senders, &gateway);
    is_empty(&gateway, &disk.state());
    shared.book.expect_no_fault();
}

/// The log of queue.db had taken the last byte, so it could not be put into the database any more, and nothing was
/// settled or accepted until somebody made room.
#[test]
#[ignore = "needs the right to mount"]
fn qu_06_a_disk_that_deliveries_alone_have_filled_empties_itself() {
    for (keep_free, is_killed) in [("0B", false), ("6MiB", true)] {
        let Some(disk) = Disk::in_memory(24 * MIB) else {
            return;
        };
        let mut random = Random(seed());
        let upstream = Upstream::with(Behaviour::status(500));
        let queue = "retry = [\"200ms\"]";
        let state = format!("keep_free = \"{keep_free}\"");
        let config = config(&upstream, &disk.state(), queue, &state);
        let mut gateway = Gateway::start(&config);
        let mut senders = Senders::start(6, &mut random, &["queue_full", "queue_unavailable"]);
        let shared = Arc::clone(&senders.shared);
        senders.go_to(Some(gateway.addr()));
        // Attempts go on to fail, and are written too.
        assert!(gateway.says("stay free "), "{}", gateway.stderr());
        let refused = || probe(&shared, gateway.addr(), &mut random) == "queue_full";
        assert!(eventually(LATE, refused), "{}", gateway.stderr());
        if is_killed {
            gateway = gateway.killed_then(&config, || {
                senders.go_to(None);
                let is_quiet = || upstream.open_connections() == 0;
                assert!(
                    eventually(SOON, is_quiet),
                    "connections outlive their process"
                );
                shared.book.arrived(&upstream.taken(), |_| false);
                shared.book.stored(&ids_in(&disk.state()), false);
            });
            senders.go_to(Some(gateway.addr()));
        }
        upstream.taken();
        upstream.behave(Behaviour::status(200));
        all_comes(&upstream, &senders, &gateway);
        let is_taken = || probe(&shared, gateway.addr(), &mut random).is_empty();
        assert!(eventually(LATE, is_taken), "{}", gateway.stderr());
        senders.stop();
        send_what_is_open(&shared, gateway.addr());
        all_comes(&upstream, &senders, &gateway);
        is_empty(&gateway, &disk.state());
        shared.book.expect_no_fault();
        let bytes = || fs::metadata(disk.state().join("queue.db")).map_or(0, |file| file.len());
        assert!(eventually(LATE, || bytes() < 12 * MIB), "{}", bytes());
    }
}

#[test]
#[ignore = "needs the right to mount"]
fn qu_06_with_keep_free_as_it_is_by_default_a_disk_is_never_full() {
    let Some(disk) = Disk::in_a_file(3 << 30) else {
        return;
    };
    let mut random = Random(seed());
    let upstream = Upstream::with(Behaviour::status(500));
    let queue = "retry = [\"200ms\"]";
    let gateway = Gateway::start(&config(&upstream, &disk.state(), queue, ""));
    let mut senders = Senders::start(8, &mut random, &["queue_full"]);
    let shared = Arc::clone(&senders.shared);
    disk.leave((1 << 30) + 24 * MIB);
    senders.go_to(Some(gateway.addr()));
    let refused = || probe(&shared, gateway.addr(), &mut random) == "queue_full";
    assert!(eventually(LATE, refused), "it is not full");
    assert!(gateway.says("stay free by `state.keep_free`"));
    assert!(disk.free() > (1 << 30) - 64 * MIB, "{} free", disk.free());
    // What waits is delivered and settled: that needs room, and there is some.
    upstream.taken();
    upstream.behave(Behaviour::status(200));
    all_comes(&upstream, &senders, &gateway);
    disk.make_room();
    let is_taken = || probe(&shared, gateway.addr(), &mut random).is_empty();
    assert!(eventually(LATE, is_taken), "{}", gateway.stderr());
    senders.stop();
    send_what_is_open(&shared, gateway.addr());
    all_comes(&upstream, &senders, &gateway);
    is_empty(&gateway, &disk.state());
    shared.book.expect_no_fault();
    let metrics = gateway.metrics();
    let errors = metrics.value("verigate_state_errors_total", &[]);
    assert!(errors < 0.5, "{errors}");
}
