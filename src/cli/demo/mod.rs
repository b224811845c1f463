//! `verigate demo`: the gateway, an embedded receiver, and a tour of deliveries, each with its
//! verdict.

mod receiver;
mod tour;

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use anyhow::Context;
use clap::Args;

use super::Exit;
use super::output::{note, print, quoted, table};
use crate::clock::Clock;
use crate::config;
use crate::gateway;
use crate::gateway::{Addresses, EarlySignals, Inherited, Stopper, Supervisor, Surroundings};
use crate::telemetry::access_log::standard_output;
use crate::telemetry::operational;
use receiver::Receiver;

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  verigate demo            tour, then serve until Ctrl-C\n  \
    verigate demo --once     tour only; exit status 0 if every verdict was the expected one"
)]
pub(super) struct Demo {
    /// End after the tour
    #[arg(long)]
    once: bool,
}

impl Demo {
    /// Runs the tour, and then serves unless `--once` is given.
    pub(super) fn run(&self) -> Exit {
        match self.try_run() {
            Ok(true) => Exit::Success,
            Ok(false) => Exit::Failure,
            Err(error) => {
                note(&format!("verigate: demo: {error:#}"));
                Exit::Failure
            }
        }
    }

    fn try_run(&self) -> anyhow::Result<bool> {
        // The tour provokes warnings on purpose, and the table already shows their causes.
        let _messages = operational::init()?;
        let level = log::max_level();
        log::set_max_level(log::LevelFilter::Off);
        let mut receiver = Receiver::start().context("cannot start the receiver")?;
        let folder = Folder::make().context("cannot make a folder for the demo's files")?;
        let files = write_files(&folder.0, &receiver).context("cannot write the demo's files")?;
        let config =
            config::load(&files.config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let route = config
            .routes
            .first()
            .context("the demo's file has no route")?;
        let (scheme, secret) = (
            Arc::clone(&route.scheme),
            route
                .secrets
                .first()
                .context("the demo's route has no secret")?
                .clone(),
        );
        let access_log = LogAfterTour {
            left: tour::deliveries(),
            output: standard_output()?,
        };
        let stopper = Stopper::default();
        let (ready, is_ready) = mpsc::channel();
        let surroundings = Surroundings {
            access_log: Box::new(access_log),
            on_ready: Box::new(move |addresses| drop(ready.send(addresses.clone()))),
            stopper: stopper.clone(),
            early: EarlySignals::default(),
            supervisor: Supervisor::default(),
            inherited: Inherited::default(),
            is_upgrade: false,
        };
        let gateway = std::thread::spawn(move || gateway::run(config, surroundings));
        let Ok(addresses) = is_ready.recv() else {
            // The gateway never became ready, and its error says why.
            let ended = gateway
                .join()
                .map_err(|_| anyhow::anyhow!("the gateway panicked"))?;
            ended.context("cannot start the gateway")?;
            anyhow::bail!("the gateway ended before it was ready");
        };
        let traffic = *addresses
            .traffic
            .first()
            .context("the gateway listens nowhere")?;
        let clock = Clock::system();
        let visits = tour::travel(traffic, &scheme, &secret, clock.now().wall, &mut receiver)?;
        let as_expected = visits.iter().all(|visit| visit.as_expected);
        show(&visits);
        if self.once {
            stopper.stop();
        } else {
            let body = tour::body(4242);
            let headers = tour::signed(&body, clock.now().wall, &scheme, &secret)?;
            invite(&addresses, &receiver, &files, &body, &headers);
            log::set_max_level(level);
        }
        gateway
            .join()
            .map_err(|_| anyhow::anyhow!("the gateway panicked"))??;
        Ok(as_expected)
    }
}

fn show(visits: &[tour::Visit]) {
    let titles = [
        "delivery",
        "what was sent",
        "verdict",
        "status",
        "the receiver saw",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(visits.iter().map(|visit| visit.cells.clone()));
    print(&table(&rows));
    let surprises = visits.iter().filter(|visit| !visit.as_expected);
    let names: Vec<_> = surprises
        .filter_map(|visit| visit.cells.first().cloned())
        .collect();
    if names.is_empty() {
        print(&format!(
            "\n{} deliveries, each with the expected verdict.",
            visits.len()
        ));
    } else {
        print(&format!("\nNot as expected: {}", names.join(", ")));
    }
}

/// Prints where everything listens and how to send deliveries by hand. Each printed command works
/// in any directory.
fn invite(
    addresses: &Addresses,
    receiver: &Receiver,
    files: &Files,
    body: &str,
    headers: &[(String, String)],
) {
    let Some(traffic) = addresses.traffic.first() else {
        return;
    };
    let lines = headers
        .iter()
        .map(|(name, value)| format!("  -H '{name}: {value}' \\\n"))
        .collect::<Vec<_>>()
        .concat();
    print(&format!(
        "\ngateway   http://{traffic}{path}\nreceiver  http://{receiver}\nmetrics   http://{admin}/metrics\n\n\
         Send one yourself (good for five minutes; a second time it is a replay):\n\n\
         curl -i http://{traffic}{path} \\\n{lines}  -d '{body}'\n\n\
         Or sign your own, from a file that you can edit:\n\n\
         {program} sign --route itellico --config {config} --body {event} --curl --url http://{traffic}{path} | sh\n\n\
         Ctrl-C ends it. The access log follows.\n",
        path = tour::PATH,
        receiver = receiver.address,
        admin = addresses.admin,
        program = quoted(&program()),
        config = quoted(&files.config.display().to_string()),
        event = quoted(&files.event.display().to_string()),
    ));
}

/// The path of this program, for commands that work in any directory; its bare name where the
/// system does not know the path.
fn program() -> String {
    std::env::current_exe()
        .map_or_else(|_| "verigate".to_owned(), |path| path.display().to_string())
}

/// The folder of one demo's files, removed with the demo.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("verigate-demo-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed leaves only a random secret that nothing uses.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files that a printed command names.
struct Files {
    config: PathBuf,
    /// The body of an event that the tour did not send.
    event: PathBuf,
}

/// Writes a configuration, a fresh secret for it that only this user can read, and an event to
/// sign.
fn write_files(folder: &Path, receiver: &Receiver) -> anyhow::Result<Files> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let secret = folder.join("secret");
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)?
        .write_all(hex::encode(random).as_bytes())?;
    let file = folder.join("verigate.toml");
    let text = format!(
        "[server]\nlisten = [\"{}\"]\n\n[admin]\nlisten = \"{}\"\n\n[[route]]\nname = \"itellico\"\npath = \"{}\"\n\
         provider = \"itellico\"\nsecrets = [\"file:{}\"]\nupstream = \"http://{}\"\n",
        free_or_any(8080),
        free_or_any(9090),
        tour::PATH,
        secret.display(),
        receiver.address,
    );
    std::fs::write(&file, text)?;
    let event = folder.join("event.json");
    std::fs::write(&event, tour::body(4243))?;
    Ok(Files {
        config: file,
        event,
    })
}

/// The address with this port if the port is free, else with port 0, which takes any free port.
fn free_or_any(port: u16) -> String {
    let port = if TcpListener::bind(("127.0.0.1", port)).is_ok() {
        port
    } else {
        0
    };
    format!("127.0.0.1:{port}")
}

/// The access log without the lines of the tour, since the table already shows its deliveries.
struct LogAfterTour<W> {
    /// The number of lines of the tour that are still to come.
    left: usize,
    output: W,
}

impl<W: Write> Write for LogAfterTour<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.output.write(lines);
        }
        let end = lines
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(lines.len(), |newline| newline + 1);
        let is_whole = lines.get(..end).is_some_and(|line| line.ends_with(b"\n"));
        self.left -= usize::from(is_whole);
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_tour_are_left_out_and_no_other() {
        let mut log = LogAfterTour {
            left: 2,
            output: Vec::new(),
        };
        for batch in ["one\ntw", "o\nthree\n", "four\n"] {
            log.write_all(batch.as_bytes()).unwrap();
        }
        assert_eq!(log.output, b"three\nfour\n");
    }
}
