//! The gateway as a child process on a port of the system's choice.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::thread;

use super::process::{Process, pinned};

/// A program that accepts connections. Dropped, it ends.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Its configuration, and its access log as `access.log`.
    pub(crate) folder: tempfile::TempDir,
}

impl Started {
    /// How many lines the access log has.
    pub(crate) fn log_lines(&self) -> io::Result<usize> {
        let bytes = fs::read(self.folder.path().join("access.log"))?;
        Ok(memchr::memchr_iter(b'\n', &bytes).count())
    }
}

/// Starts this binary of the gateway, on a core of its own if there is one, and waits until it
/// accepts. `config` listens on port 0, and its routes name `env:BENCH_SECRET`.
pub(crate) fn start(
    program: &Path,
    config: &str,
    secret: &str,
    core: Option<usize>,
) -> io::Result<Started> {
    start_in(tempfile::tempdir()?, program, config, secret, core)
}

/// The same in a folder in which it may have run before.
pub(crate) fn start_in(
    folder: tempfile::TempDir,
    program: &Path,
    config: &str,
    secret: &str,
    core: Option<usize>,
) -> io::Result<Started> {
    let file = folder.path().join("verigate.toml");
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command
        .args(["run", "--config"])
        .arg(&file)
        .env("BENCH_SECRET", secret)
        .stdin(Stdio::null())
        .stdout(File::create(folder.path().join("access.log"))?)
        .stderr(Stdio::piped());
    let mut child = pinned(core, || command.spawn())??;
    let messages = child.stderr.take();
    let process = Process::killed(child);
    let messages = messages.ok_or_else(|| io::Error::other("it has no standard error"))?;
    let address = listening(BufReader::new(messages))?;
    Ok(Started {
        process,
        address,
        folder,
    })
}

/// The address that the gateway says it listens on.
fn listening(messages: BufReader<ChildStderr>) -> io::Result<SocketAddr> {
    let mut address = None;
    let mut said = Vec::new();
    let mut lines = messages.lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some(found) = line.strip_prefix("listening on ") {
            if found.ends_with("(admin)") {
                break;
            }
            address = found.parse().ok();
        }
        said.push(line);
    }
    // Later messages must not fill the pipe.
    thread::spawn(move || lines.for_each(drop));
    address.ok_or_else(|| io::Error::other(format!("it ended and said: {}", said.join("\n"))))
}
