//! One command, run to its end with a deadline, its output collected.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::gateway::binary;
use crate::support::{LATE, eventually};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` where it had to be ended.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Both outputs.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON. Panics if it is none.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is no JSON ({error}): {self}"))
    }

    /// Panics unless it ended with this exit status.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Panics unless each of the words is on one of the outputs.
    #[track_caller]
    pub(crate) fn expect_words(&self, words: &[&str]) -> &Self {
        let all = self.all();
        let missing: Vec<_> = words.iter().filter(|word| !all.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} in {self}");
        self
    }

    /// Panics if one of the words is on one of the outputs.
    #[track_caller]
    pub(crate) fn expect_hidden(&self, words: &[&str]) -> &Self {
        let all = self.all();
        let shown: Vec<_> = words.iter().filter(|word| all.contains(**word)).collect();
        assert!(shown.is_empty(), "{shown:?} in {self}");
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| text.chars().take(4000).collect::<String>();
        write!(
            f,
            "exit {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}

/// A folder of a test's own, in which commands run.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Folder {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            environment: Vec::new(),
        }
    }

    /// Sets a variable of the commands' environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and returns where it is.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        self.run_within(LATE, arguments, b"")
    }

    /// Runs a command to its end with this on standard input.
    #[track_caller]
    pub(crate) fn pipe<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ended {
        self.run_within(LATE, arguments, input)
    }

    /// Runs a command, which is ended when the deadline has passed.
    #[track_caller]
    pub(crate) fn run_within<S: AsRef<OsStr>>(
        &self,
        deadline: Duration,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ended {
        let mut command = binary();
        command.args(arguments).current_dir(self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        // A command that reads no input may be gone already.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        let code = wait(&mut child, deadline);
        Ended {
            code,
            stdout: read(stdout),
            stderr: read(stderr),
        }
    }
}

fn wait(child: &mut Child, deadline: Duration) -> Option<i32> {
    let ended = eventually(deadline, || !matches!(child.try_wait(), Ok(None)));
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().expect("a status");
    if ended { status.code() } else { None }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn read(collected: JoinHandle<Vec<u8>>) -> String {
    let bytes = collected
        .join()
        .unwrap_or_else(|_| panic!("the reading thread panicked"));
    String::from_utf8(bytes).unwrap_or_else(|error| panic!("the output is not UTF-8: {error}"))
}
