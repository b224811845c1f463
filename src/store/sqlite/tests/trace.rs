//! No answer precedes the sync that covers it, as the system calls of a process show.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use super::{delivery, wait};
use crate::clock::Clock;
use crate::store::QueueStore as _;
use crate::store::sqlite::QueueDb;

/// Accepts deliveries one after the other, and writes to a file whenever one was acknowledged.
#[test]
#[ignore = "is run by the test below, under strace"]
fn accepts() {
    let folder = tempfile::tempdir().unwrap();
    let queue = QueueDb::open(folder.path(), &Clock::system(), None).unwrap();
    let mut answers = File::create(folder.path().join("answers")).unwrap();
    for name in 0..30 {
        let size = if name % 10 == 9 { 2 << 20 } else { 500 };
        wait(queue.accept(delivery(name, size))).unwrap();
        answers.write_all(b"answer").unwrap();
    }
}

#[test]
fn no_answer_precedes_the_sync_that_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let child = "store::sqlite::tests::trace::accepts";
    let run = Command::new("strace")
        .args(["-f", "-y", "-s", "8", "-o"])
        .arg(&trace)
        .args(["-e", "trace=write,pwrite64,fsync,fdatasync"])
        .arg(std::env::current_exe().unwrap())
        .args([child, "--exact", "--ignored"])
        .output();
    let run = match run {
        Ok(run) => run,
        Err(error) => return println!("skipped: strace cannot be run: {error}"),
    };
    let said = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() && said.contains("ptrace") {
        return println!("skipped: nothing can be traced here: {said}");
    }
    assert!(run.status.success(), "{said}");
    let text = fs::read_to_string(&trace).unwrap();
    // The calls that have begun and not ended, by thread.
    let mut open: HashMap<&str, &str> = HashMap::new();
    let (mut answers, mut syncs, mut is_written, mut is_synced) = (0, 0, false, false);
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_begun = call.ends_with("<unfinished ...>");
        let whole = if call.starts_with("<... ") {
            open.remove(thread).unwrap_or_default()
        } else {
            call
        };
        if is_begun {
            open.insert(thread, call);
        }
        let is_of_log = whole.contains("queue.db-wal>");
        // The times of the log need no sync (`.cargo/config.toml`).
        assert!(!(is_of_log && whole.starts_with("fsync(")), "{text}");
        let is_sync = whole.starts_with("fdatasync(");
        if is_of_log && whole.starts_with("pwrite64(") {
            is_written = true;
            is_synced = false;
        } else if is_of_log && is_sync && !is_begun && call.ends_with("= 0") {
            is_synced = true;
            syncs += 1;
        } else if whole.contains("/answers>") && !call.starts_with("<... ") {
            assert!(is_written && is_synced, "answer {answers} in\n{text}");
            answers += 1;
            is_written = false;
        }
    }
    assert!(answers == 30 && syncs >= 30, "{answers} {syncs}\n{text}");
}
