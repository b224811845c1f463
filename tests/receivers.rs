//! Six apps in five languages that verify nothing (`receivers/`), behind the gateway: what reaches them is byte for byte what
//! was signed, and nothing else reaches them (contract: The reference receiver, Forwarding).
//!
//! A runtime that is not installed is named on standard error and counts as passed, unless
//! `VERIGATE_REQUIRE_RECEIVERS=1` is set.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails, and its output is for the one who reads the failure"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually, now};

#[test]
fn a_flask_app_gets_what_was_signed_and_nothing_else() {
    let python = match python_with_flask() {
        Ok(python) => python,
        Err(why) => return skipped("flask", &why),
    };
    drive(
        "flask",
        Command::new(python)
            .arg(folder("flask").join("app.py"))
            .arg("0"),
        None,
    );
}

#[test]
fn a_plain_python_app_gets_what_was_signed_and_nothing_else() {
    if let Err(why) = works("python3", &["--version"]) {
        return skipped("python", &why);
    }
    drive(
        "python",
        Command::new("python3")
            .arg(folder("python").join("app.py"))
            .arg("0"),
        None,
    );
}

#[test]
fn an_express_app_gets_what_was_signed_and_nothing_else() {
    let app = folder("express");
    if let Err(why) = works("node", &["--version"]) {
        return skipped("node/express", &why);
    }
    if !app.join("node_modules/express").is_dir() {
        return skipped(
            "node/express",
            "no express: run npm install --prefix tests/receivers/express",
        );
    }
    drive(
        "express",
        Command::new("node").arg(app.join("app.js")).arg("0"),
        None,
    );
}

#[test]
fn a_php_app_gets_what_was_signed_and_nothing_else() {
    if let Err(why) = works("php", &["--version"]) {
        return skipped("php", &why);
    }
    // PHP's server cannot say which port it took, so one that was free a moment ago is given to it.
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let mut command = Command::new("php");
    command
        .args(["-S", &free.to_string()])
        .arg(folder("php").join("app.php"));
    drive("php", &mut command, Some(free.port()));
}

#[test]
fn a_go_app_gets_what_was_signed_and_nothing_else() {
    if let Err(why) = works("go", &["version"]) {
        return skipped("go", &why);
    }
    let built = tempfile::tempdir().expect("a folder");
    let program = built.path().join("receiver");
    let output = Command::new("go")
        .current_dir(folder("go"))
        .envs([
            ("GO111MODULE", "off"),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
        ])
        .env("GOCACHE", built.path().join("cache"))
        .args(["build", "-o"])
        .arg(&program)
        .arg("main.go")
        .output()
        .expect("go runs");
    assert!(
        output.status.success(),
        "go build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    drive("go", Command::new(program).arg("0"), None);
}

#[test]
fn a_ruby_app_gets_what_was_signed_and_nothing_else() {
    if let Err(why) = works("ruby", &["-e", "require 'webrick'"]) {
        return skipped("ruby", &why);
    }
    drive(
        "ruby",
        Command::new("ruby")
            .arg(folder("ruby").join("app.rb"))
            .arg("0"),
        None,
    );
}

/// Sends good, forged and replayed deliveries through a gateway in front of the app, and compares what it noted.
fn drive(name: &str, command: &mut Command, port: Option<u16>) {
    let receiver = Receiver::start(name, command, port);
    let nobody = Upstream::start();
    let route = Route::itellico(&nobody).set(
        "upstream",
        &text(&format!("http://127.0.0.1:{}", receiver.port)),
    );
    let gateway = Gateway::start(&Config::new().route(route));

    let odd = format!(
        "{{ \"event_id\" : \"{}\",\"event_type\":\"conversation.started\", \"data\":\"é\u{2028}漢 \\u00e9\" }}\r\n",
        fresh_event_id()
    );
    let plain = Delivery::fresh();
    let good = [
        ("plain", plain.clone()),
        (
            "bytes above ASCII, odd white space, a line end at the end",
            Delivery::of(odd),
        ),
        (
            "100 KiB in chunks",
            Delivery::of(event_of(100 * 1024)).chunked_by(4096),
        ),
        ("900 KiB", Delivery::of(event_of(900 * 1024))),
        (
            "headers of the gateway's own, made up",
            Delivery::fresh()
                .with("X-Verigate-Event-Id", "forged")
                .with("X_Verigate_Event_Id", "forged")
                .with("X-Forwarded-For", "192.0.2.1"),
        ),
    ];
    for (case, delivery) in &good {
        let answer = gateway.ask(delivery.clone());
        answer.expect_status(200);
        let id = event_id(delivery);
        assert_eq!(answer.json()["received"], id.as_str(), "{name}, {case}");
    }
    let stale = Delivery::at(event_of(400), now() - 3600);
    for (case, delivery, status, code) in [
        (
            "forged",
            Delivery::signed("guessed", event_of(400), &now().to_string()),
            401,
            "bad_signature",
        ),
        (
            "changed on the way",
            Delivery::fresh().with_body(Delivery::fresh().body().to_vec()),
            401,
            "bad_signature",
        ),
        (
            "unsigned",
            Delivery::unsigned("/webhooks/itellico", event_of(400)),
            401,
            "missing_signature",
        ),
        ("stale", stale, 401, "stale_timestamp"),
        ("replayed", plain.clone(), 409, "replayed_event"),
    ] {
        let answer = gateway.ask(delivery);
        assert!(
            answer.status == status && answer.code() == code,
            "{name}, {case}: {answer}"
        );
    }
    gateway
        .ask(Delivery::at(plain.body().to_vec(), now() + 1))
        .expect_duplicate();

    let noted = receiver.noted();
    assert_eq!(
        noted.len(),
        good.len(),
        "{name} saw what it should not have seen: {noted:#?}"
    );
    for ((case, delivery), entry) in good.iter().zip(&noted) {
        let expected = [
            ("path", entry["path"] == "/webhooks/itellico"),
            ("length", entry["length"] == delivery.body().len()),
            (
                "sha256",
                entry["sha256"] == hex::encode(Sha256::digest(delivery.body())).as_str(),
            ),
            (
                "event id",
                entry["headers"]["X-Verigate-Event-Id"] == event_id(delivery).as_str(),
            ),
            (
                "event type",
                entry["headers"]["X-Verigate-Event-Type"] == event_type(delivery).as_str(),
            ),
            ("verdict", entry["headers"]["X-Verigate-Verdict"] == "valid"),
            (
                "secret's name",
                entry["headers"]["X-Verigate-Secret"] == "env:ITELLICO_WEBHOOK_SECRET",
            ),
            (
                "signature",
                entry["headers"]["X-Webhook-Signature-256"]
                    == delivery.value("X-Webhook-Signature-256").as_str(),
            ),
            ("client", entry["headers"]["X-Forwarded-For"] == "127.0.0.1"),
        ];
        let wrong: Vec<&str> = expected
            .iter()
            .filter(|(_, right)| !right)
            .map(|(what, _)| *what)
            .collect();
        assert!(wrong.is_empty(), "{name}, {case}: {wrong:?} in {entry:#}");
    }
}

fn event_id(delivery: &Delivery) -> String {
    envelope(delivery, "event_id")
}

fn event_type(delivery: &Delivery) -> String {
    envelope(delivery, "event_type")
}

fn envelope(delivery: &Delivery, key: &str) -> String {
    let body: Value = serde_json::from_slice(delivery.body()).expect("the body is JSON");
    body[key].as_str().expect("a text").to_owned()
}

/// An app as a child process; killed on drop, its output shown when the test fails.
struct Receiver {
    child: Child,
    port: u16,
    notes: PathBuf,
    output: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
}

impl Receiver {
    /// Starts the app and waits until it accepts. `port` is the one it was given, where it cannot say it.
    fn start(name: &str, command: &mut Command, port: Option<u16>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = folder.path().join("received.jsonl");
        command
            .env("RECEIVED", &notes)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the app starts");
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("a pipe"), &output);
        collect(child.stderr.take().expect("a pipe"), &output);
        let mut receiver = Self {
            child,
            port: port.unwrap_or_default(),
            notes,
            output,
            _folder: folder,
        };
        let ready = eventually(LATE, || receiver.learn_port(port) || receiver.has_ended());
        assert!(
            ready && !receiver.has_ended(),
            "the {name} app did not start:\n{}",
            receiver.shown()
        );
        receiver
    }

    fn learn_port(&mut self, given: Option<u16>) -> bool {
        let shown = self.shown();
        if given.is_some() {
            return shown.contains("Development Server (http");
        }
        let said = shown
            .lines()
            .find_map(|line| line.strip_prefix("ready ")?.parse().ok());
        self.port = said.unwrap_or_default();
        said.is_some()
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn shown(&self) -> String {
        self.output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the app noted, in order.
    fn noted(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.notes).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a note is JSON"))
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            say(&format!("--- the app's output\n{}", self.shown()));
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, into: &Arc<Mutex<String>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
        }
    });
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/receivers")
        .join(name)
}

/// `Err` says what is missing.
fn works(program: &str, arguments: &[&str]) -> Result<(), String> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err(format!("{program} {} fails", arguments.join(" "))),
        Err(error) => Err(format!("{program} cannot be run: {error}")),
    }
}

fn python_with_flask() -> Result<PathBuf, String> {
    let own = folder(".venv/bin/python");
    let candidates = [own, PathBuf::from("python3")];
    let found = candidates
        .iter()
        .find(|python| works(&python.to_string_lossy(), &["-c", "import flask"]).is_ok());
    found.cloned().ok_or_else(|| {
        "no python with flask, neither in tests/receivers/.venv nor in PATH".to_owned()
    })
}

/// Says visibly that a test did not run; fails where every runtime is required.
fn skipped(name: &str, why: &str) {
    say(&format!("SKIPPED: {name}: {why}"));
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' own switch, none of the product's"
    )]
    let required = std::env::var("VERIGATE_REQUIRE_RECEIVERS").is_ok_and(|value| value == "1");
    assert!(!required, "VERIGATE_REQUIRE_RECEIVERS=1, but {name}: {why}");
}

/// Writes to the handle, which the test harness does not capture as it does the print macros.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
