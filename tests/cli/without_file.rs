//! `run` without a file (contract: Command line): its options make a route, and their mistakes are told like those of a
//! file.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::stage::Folder;
use crate::support::cases::Cases;
use crate::support::client::Client;
use crate::support::delivery::Delivery;
use crate::support::gateway::binary;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SECRET, SOON, eventually};

/// A gateway, ended with the test.
struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = binary();
        command
            .arg("run")
            .args(arguments)
            .current_dir(folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (line, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for read in stderr.lines().map_while(Result::ok) {
                let _ = line.send(read);
            }
        });
        Self { child, lines }
    }

    /// The next line with these words.
    #[track_caller]
    fn says(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LATE);
            let line = line.unwrap_or_else(|_| panic!("no line with `{words}`"));
            if line.contains(words) {
                return line;
            }
        }
    }

    #[track_caller]
    fn address(&self) -> SocketAddr {
        let line = self.says("listening on ");
        let address = line.trim_start_matches("listening on ").split(' ').next();
        address
            .and_then(|text| text.parse().ok())
            .expect("an address")
    }
}

#[test]
fn options_make_a_route_for_every_path() {
    let upstream = Upstream::start();
    let folder = Folder::new();
    folder.write("secret", SECRET);
    let url = upstream.url();
    let options = [
        "--provider",
        "itellico",
        "--secret",
        "file:secret",
        "--to",
        &url,
    ];
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let running = Running::start(&folder, &[&options[..], &ports].concat());
    let address = running.address();
    let admin = running.address();
    let good = Delivery::fresh().target("/any/path?x=1").bytes();
    Client::connect(address)
        .ask(good.clone())
        .expect_status(200);
    assert!(
        upstream.last().target.starts_with(b"/any/path"),
        "{:?}",
        upstream.last()
    );
    Client::connect(address)
        .ask(good)
        .expect_refusal(409, "replayed_event");
    let forged = Delivery::signed("another", *b"{}", "1").bytes();
    let code = Client::connect(address).ask(forged).code();
    assert_eq!(code, "stale_timestamp");
    folder
        .run(["health", &format!("http://{admin}")])
        .expect_code(0);

    // A reload reads the file of the secret again.
    folder.write("secret", "another-secret-0123456789");
    let sent = Command::new("kill")
        .args(["-HUP", &running.child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    running.says("the command line is loaded and in force");
    let old = Delivery::fresh().bytes();
    Client::connect(address)
        .ask(old)
        .expect_refusal(401, "bad_signature");
    let stopped = Command::new("kill")
        .args(["-TERM", &running.child.id().to_string()])
        .status();
    assert!(stopped.is_ok_and(|status| status.success()));
    let mut running = running;
    assert!(eventually(LATE, || !matches!(
        running.child.try_wait(),
        Ok(None)
    )));
}

/// A secret by its look.
const WRONG_PLACE: &str = "whsec_0123456789abcdefABCDEF0123456789";

#[test]
fn mistakes_in_options_are_told_all_at_once() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let mut cases = Cases::new();
    for (name, arguments, words) in [
        (
            "three mistakes",
            &[
                "--provider",
                "strip",
                "--secret",
                "env:NONE",
                "--to",
                "ftp://a",
            ][..],
            &[
                "did you mean `stripe`",
                "NONE",
                "`route.upstream`",
                "3 problems in the command line",
            ][..],
        ),
        (
            "a literal secret",
            &[
                "--provider",
                "stripe",
                "--secret",
                "whsec_0123456789abcdef",
                "--to",
                "http://a:1",
            ],
            &["is not a reference to a secret"],
        ),
        (
            "what an option cannot say",
            &[
                "--provider",
                "aws-sns",
                "--secret",
                "env:S",
                "--to",
                "http://a:1",
            ],
            &["accounts", "verigate providers aws-sns"],
        ),
        (
            "a secret in every place",
            &[
                "--provider",
                WRONG_PLACE,
                "--secret",
                WRONG_PLACE,
                "--to",
                WRONG_PLACE,
                "--listen",
                WRONG_PLACE,
                "--admin",
                WRONG_PLACE,
            ],
            &["5 problems in the command line", "verigate providers NAME"],
        ),
        (
            "an address",
            &[
                "--provider",
                "stripe",
                "--secret",
                "env:S",
                "--to",
                "http://a:1",
                "--listen",
                "8080",
            ],
            &["server.listen"],
        ),
        (
            "no secret",
            &["--provider", "stripe", "--to", "http://a:1"],
            &["--secret"],
        ),
        ("no provider", &["--to", "http://a:1"], &["--provider"]),
        (
            "a file beside",
            &[
                "a.toml",
                "--provider",
                "stripe",
                "--secret",
                "env:S",
                "--to",
                "http://a:1",
            ],
            &["cannot be used with"],
        ),
    ] {
        cases.case(name, || {
            let all = ["run"].iter().chain(arguments);
            folder
                .run_within(SOON, all, b"")
                .expect_code(2)
                .expect_words(words)
                .expect_hidden(&["whsec_0123", "a-secret-of", "panicked"]);
        });
    }
    cases.finish();
}
