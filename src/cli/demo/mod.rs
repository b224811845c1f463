//! `verigate demo`: the gateway, an embedded receiver, and a tour of deliveries, each with its
//! verdict; then the queue while the receiver is down.

mod queue;
mod receiver;
mod tour;

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use anyhow::Context;
use clap::Args;
use memchr::memmem;

use super::Exit;
use super::output::{note, print, table};
use super::queue::Client;
use crate::clock::Clock;
use crate::config;
use crate::gateway;
use crate::gateway::{Addresses, EarlySignals, Inherited, Stopper, Supervisor, Surroundings};
use crate::key::secret::SecretText;
use crate::notation::shell::quoted;
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
            is_over: false,
            line: Vec::new(),
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
        show(&DELIVERIES, &visits);
        let means = queue::Means {
            gateway: traffic,
            admin: Client::new(addresses.admin, files.token.clone()),
            scheme: &scheme,
            secret: &secret,
        };
        let steps = queue::travel(&means, &mut receiver)?;
        print("");
        show(&STEPS, &steps);
        let as_expected = visits.iter().chain(&steps).all(|visit| visit.as_expected);
        if self.once {
            stopper.stop();
        } else {
            let body = tour::body(4242);
            tour::end(traffic)?;
            let headers = tour::signed(tour::PATH, &body, clock.now().wall, &scheme, &secret)?;
            invite(&addresses, &receiver, &files, &body, &headers);
            log::set_max_level(level);
        }
        gateway
            .join()
            .map_err(|_| anyhow::anyhow!("the gateway panicked"))??;
        Ok(as_expected)
    }
}

/// A table of the tour: its titles, and what is said below it.
struct Shown {
    titles: [&'static str; 5],
    each: &'static str,
}

const DELIVERIES: Shown = Shown {
    titles: [
        "delivery",
        "what was sent",
        "verdict",
        "status",
        "the receiver saw",
    ],
    each: "deliveries, each with the expected verdict",
};

const STEPS: Shown = Shown {
    titles: [
        "queue",
        "what happens",
        "answer",
        "the queue holds",
        "the receiver saw",
    ],
    each: "steps of the queue, each as expected",
};

fn show(as_shown: &Shown, visits: &[tour::Visit]) {
    let mut rows = vec![as_shown.titles.map(str::to_owned)];
    rows.extend(visits.iter().map(|visit| visit.cells.clone()));
    print(&table(&rows));
    let surprises = visits.iter().filter(|visit| !visit.as_expected);
    let names: Vec<_> = surprises
        .filter_map(|visit| visit.cells.first().cloned())
        .collect();
    if names.is_empty() {
        print(&format!("\n{} {}.", visits.len(), as_shown.each));
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
        "\ngateway   http://{traffic}{path}\nqueue     http://{traffic}{queue}\nreceiver  http://{receiver}\n\
         metrics   curl -H \"Authorization: Bearer $(cat {token})\" http://{admin}/metrics\n\n\
         Send one yourself (good for five minutes; a second time it is a replay):\n\n\
         curl -i http://{traffic}{path} \\\n{lines}  -d '{body}'\n\n\
         Or sign your own, from a file that you can edit:\n\n\
         {program} sign --route itellico --config {config} --body {event} --curl --url http://{traffic}{path} | sh\n\n\
         See what waits in the queue:\n\n\
         {program} queue list --admin {admin} --token file:{token}\n\n\
         Ctrl-C ends it. The access log follows.\n",
        path = tour::PATH,
        queue = queue::PATH,
        token = quoted(&files.token_file.display().to_string()),
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

/// The folder of one demo's files and its queue, removed with the demo.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("verigate-demo-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed leaves only random secrets that nothing uses.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files that a printed command names.
struct Files {
    config: PathBuf,
    /// The body of an event that the tour did not send.
    event: PathBuf,
    token_file: PathBuf,
    token: SecretText,
}

/// Writes a configuration, fresh secrets for it that only this user can read, and an event to sign.
fn write_files(folder: &Path, receiver: &Receiver) -> anyhow::Result<Files> {
    let (secret, _) = fresh_secret(folder, "secret")?;
    let (token_file, token) = fresh_secret(folder, "token")?;
    let file = folder.join("verigate.toml");
    let text = format!(
        "[server]\nlisten = [\"{}\"]\n\n[admin]\nlisten = \"{}\"\ntoken = \"file:{token}\"\n\n\
         [state]\ndir = \"{state}\"\nmax_bytes = \"64MiB\"\nkeep_free = \"0B\"\n\n\
         [[route]]\nname = \"itellico\"\npath = \"{}\"\n{route}\n\
         [[route]]\nname = \"queued\"\npath = \"{}\"\nmode = \"queue\"\n{route}\n\
         [route.queue]\nretry = [\"1s\"]\n",
        free_or_any(8080),
        free_or_any(9090),
        tour::PATH,
        queue::PATH,
        token = token_file.display(),
        state = folder.join("state").display(),
        route = format_args!(
            "provider = \"itellico\"\nsecrets = [\"file:{}\"]\nupstream = \"http://{}\"\n",
            secret.display(),
            receiver.address
        ),
    );
    std::fs::write(&file, text)?;
    let event = folder.join("event.json");
    std::fs::write(&event, tour::body(4243))?;
    Ok(Files {
        config: file,
        event,
        token_file,
        token,
    })
}

/// Writes a random secret into a new file that only this user can read.
fn fresh_secret(folder: &Path, name: &str) -> anyhow::Result<(PathBuf, SecretText)> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let (path, text) = (folder.join(name), hex::encode(random));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?
        .write_all(text.as_bytes())?;
    Ok((path, SecretText::new(text.into_bytes())))
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

/// The access log without the lines of the tour, since the tables already show what it did.
struct LogAfterTour<W> {
    /// Whether the line that ends the tour has come.
    is_over: bool,
    /// The beginning of a line of the tour that is not whole yet.
    line: Vec<u8>,
    output: W,
}

impl<W: Write> Write for LogAfterTour<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.is_over {
            return self.output.write(lines);
        }
        let end = lines
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(lines.len(), |newline| newline + 1);
        let written = lines.get(..end).unwrap_or_default();
        self.line.extend_from_slice(written);
        if written.ends_with(b"\n") {
            self.is_over = memmem::find(&self.line, tour::END.as_bytes()).is_some();
            self.line.clear();
        }
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
            is_over: false,
            line: Vec::new(),
            output: Vec::new(),
        };
        let (start, rest) = tour::END.split_at(9);
        let end = format!("{rest}\"}}\nthree\n");
        for batch in ["one\ntw", "o\n", "{\"path\":\"", start, &end, "four\n"] {
            log.write_all(batch.as_bytes()).unwrap();
        }
        assert_eq!(log.output, b"three\nfour\n");
    }
}
