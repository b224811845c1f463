//! `demo` (contract: Command line): the tour, with a verdict for each delivery, and the commands that it prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::stage::Folder;
use crate::support::gateway::binary;
use crate::support::{LATE, eventually};

/// Held while a demo starts: two that look for the usual ports at the same moment find the same ones free.
static STARTING: Mutex<()> = Mutex::new(());

#[test]
fn the_tour_shows_at_least_ten_deliveries_and_ends_well() {
    let folder = Folder::new();
    let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = folder.run(["demo", "--once"]);
    ended.expect_code(0).expect_hidden(&["panicked"]);
    // A row has a status of HTTP in a cell of its own.
    let is_status = |word: &str| {
        word.len() == 3
            && word
                .parse::<u16>()
                .is_ok_and(|status| (200..600).contains(&status))
    };
    let rows: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.split_whitespace().any(is_status))
        .collect();
    assert!(rows.len() >= 10, "{} rows in {ended}", rows.len());
    for verdict in [
        "valid",
        "bad_signature",
        "stale_timestamp",
        "replayed_event",
        "duplicate_event",
    ] {
        assert!(
            rows.iter().any(|row| row.contains(verdict)),
            "{verdict} in {ended}"
        );
    }
    let ends: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.ends_with("expected."))
        .collect();
    assert_eq!(ends, ["5 steps of the queue, each as expected."], "{ended}");
    for step in ["3 retrying", "1 dead", "3 deliveries", "and refused it"] {
        assert!(ended.stdout.contains(step), "{step} in {ended}");
    }
}

#[test]
fn the_printed_commands_work_as_printed_in_any_directory() {
    let files = Folder::new();
    let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = binary();
    command
        .arg("demo")
        .env("TMPDIR", files.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut demo = Demo(command.spawn().expect("the binary starts"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    let mut after = |words: &str| {
        lines
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("no {words}"))
    };
    let mut curl = vec![after("curl -i ")];
    while curl.last().is_some_and(|line| line.ends_with('\\')) {
        curl.push(after(""));
    }
    let sign = after(" sign --route ");
    let list = after(" queue list ");
    let elsewhere = Folder::new();
    for (typed, answer) in [
        (curl.join("\n"), "200 OK"),
        (curl.join("\n"), "replayed_event"),
        (sign.clone(), "\"received\":true"),
        (sign, "\"ok\":"),
        (list.clone() + " --json", "\"deliveries\":[]"),
    ] {
        let output = Command::new("sh")
            .arg("-c")
            .arg(&typed)
            .current_dir(elsewhere.path())
            .output()
            .expect("a shell");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.contains(answer),
            "{typed}\n{printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &demo.0.id().to_string()])
        .status()
        .expect("kill");
    assert!(interrupted.success());
    assert!(
        eventually(LATE, || !matches!(demo.0.try_wait(), Ok(None))),
        "Ctrl-C did not end it"
    );
    let left: Vec<_> = std::fs::read_dir(files.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A demo that serves, ended with the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
