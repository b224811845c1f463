//! LG-05: outputs that nobody reads hold up no delivery.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::client::Client;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, fresh_event_id};
use crate::support::gateway::{Metrics, binary};
use crate::support::transport;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

/// A gateway whose standard output nobody reads, and its standard error only where told to.
struct Unread {
    child: Child,
    // kept open and unread
    _pipe: Option<BufReader<ChildStderr>>,
    traffic: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Unread {
    fn start(config: &Config, reads_errors: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("verigate.toml");
        config.write_certificate(folder.path());
        std::fs::write(&file, config.toml()).expect("a configuration file");
        let mut command = binary();
        command
            .args(["run", "--config"])
            .arg(&file)
            .envs(config.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut pipe = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            let mut line = String::new();
            assert!(
                pipe.read_line(&mut line).expect("a line") > 0,
                "the gateway did not start"
            );
            let shown = line
                .split_once("listening on ")
                .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
            addresses.extend::<Option<SocketAddr>>(shown);
        }
        let kept = if reads_errors {
            std::thread::spawn(move || pipe.lines().for_each(drop));
            None
        } else {
            Some(pipe)
        };
        transport::set_tls(addresses[0].port(), config.is_over_tls());
        transport::set_tls(addresses[1].port(), false);
        Self {
            child,
            _pipe: kept,
            traffic: addresses[0],
            admin: addresses[1],
            folder,
        }
    }

    fn metrics(&self) -> Metrics {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.admin
        );
        let answer = Client::connect(self.admin).ask(request);
        answer.expect_status(200);
        Metrics {
            text: String::from_utf8(answer.body).expect("metrics are UTF-8"),
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(self.folder.path().is_dir(), "the folder outlives the child");
    }
}

#[test]
fn lg_05_a_blocked_standard_output_holds_nobody_up_and_its_losses_are_counted() {
    let upstream = Upstream::start();
    let gateway = Unread::start(&Config::for_upstream(&upstream), true);
    // A replay's line is as long as a line can be, and costs the gateway little.
    let wide = "\u{2028}".repeat(300);
    let id = fresh_event_id();
    let body = format!(
        "{{\"event_id\":\"{id}\",\"event_type\":\"{wide}\",\"organization_uuid\":\"{wide}\"}}"
    );
    let replayed = Delivery::of(body);
    Client::connect(gateway.traffic)
        .ask(replayed.bytes())
        .expect_status(200);
    let over = Arc::new(AtomicBool::new(false));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (over, wrong, bytes) = (Arc::clone(&over), Arc::clone(&wrong), replayed.bytes());
            let mut client = Client::connect(gateway.traffic);
            std::thread::spawn(move || {
                let mut count = 0;
                while !over.load(Ordering::SeqCst) {
                    client.send(&bytes);
                    match client.try_answer(SOON) {
                        Ok(answer) if answer.status == 409 => count += 1,
                        other => {
                            wrong
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(format!("{other:?}"));
                            break;
                        }
                    }
                }
                count
            })
        })
        .collect();
    let dropped = || {
        gateway
            .metrics()
            .value("verigate_log_lines_dropped_total", &[])
    };
    let filled = eventually(LATE, || dropped() > 0.5);
    over.store(true, Ordering::SeqCst);
    let answered: usize = threads
        .into_iter()
        .map(|thread| thread.join().expect("a sending thread"))
        .sum();
    let wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        wrong.is_empty(),
        "with nobody reading the log, a delivery got {}",
        wrong[0]
    );
    assert!(
        filled,
        "{answered} deliveries were answered, and no line was lost yet"
    );
    Client::connect(gateway.traffic)
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn lg_05_a_blocked_standard_error_holds_nobody_up_either() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream);
    let gateway = Unread::start(&config, false);
    // each refused reload says many lines; a pipe holds 64 KiB, which these pass many times over
    let broken = "[[route]]\nname = 1\n".repeat(60);
    std::fs::write(gateway.folder.path().join("verigate.toml"), broken).expect("a file");
    let reload = format!(
        "POST /reload HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        gateway.admin
    );
    let mut admin = Client::connect(gateway.admin);
    for _ in 0..100 {
        admin.send(reload.as_bytes());
        let answer = admin
            .try_answer(SOON)
            .expect("an answer although nobody reads standard error");
        assert_eq!(answer.status, 422);
    }
    Client::connect(gateway.traffic)
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
}
