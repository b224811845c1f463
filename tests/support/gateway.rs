//! The gateway as a child process on ports of the system's choice, its output collected, killed on drop.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::client::Client;
use super::config::Config;
use super::delivery::Delivery;
use super::transport;
use super::upstream::Upstream;
use super::{LATE, SOON, eventually};

/// The product's binary, to be run with an empty environment but for `PATH`.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verigate"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

type Lines = Arc<Mutex<Vec<String>>>;

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    // Shared with a successor, whose files are the same.
    folder: Arc<tempfile::TempDir>,
    addresses: Vec<SocketAddr>,
    admin: SocketAddr,
    stdout: Lines,
    stderr: Lines,
    exit: Option<ExitStatus>,
}

impl Gateway {
    /// Starts the gateway and waits until it accepts. Panics, showing its output, when it does not.
    #[track_caller]
    pub(crate) fn start(config: &Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, config)
    }

    /// As [`Self::start`], with the usual route to this upstream and these keys of `[server]`.
    #[track_caller]
    pub(crate) fn start_for(upstream: &Upstream, server: &[(&str, &str)]) -> Self {
        let config = server
            .iter()
            .fold(Config::for_upstream(upstream), |config, (key, value)| {
                config.server(key, value)
            });
        Self::start(&config)
    }

    /// As [`Self::start`], in a folder that the test has put files into.
    #[track_caller]
    pub(crate) fn start_in(folder: tempfile::TempDir, config: &Config) -> Self {
        Self::start_after(folder, config, |_| ())
    }

    /// As [`Self::start_in`]; `begun` is called with the process id as soon as there is one.
    #[track_caller]
    pub(crate) fn start_after(
        folder: tempfile::TempDir,
        config: &Config,
        begun: impl FnOnce(u32),
    ) -> Self {
        let file = folder.path().join("verigate.toml");
        fs::write(&file, config.toml()).expect("a configuration file");
        Self::start_with(folder.into(), config, &["run"], &file, Stdio::null(), begun)
    }

    /// Starts another gateway with the same file, which takes over from this one, and waits until it accepts.
    #[track_caller]
    pub(crate) fn successor(&self, config: &Config) -> Self {
        let (folder, file) = (Arc::clone(&self.folder), self.config_file());
        fs::write(&file, config.toml()).expect("a configuration file");
        Self::start_with(
            folder,
            config,
            &["run", "--upgrade"],
            &file,
            Stdio::null(),
            |_| (),
        )
    }

    /// Kills this gateway without a word to it, and starts another one in its folder.
    #[track_caller]
    pub(crate) fn killed_and_started(self, config: &Config) -> Self {
        self.killed_then(config, || ())
    }

    /// As [`Self::killed_and_started`], with something done in between.
    #[track_caller]
    pub(crate) fn killed_then(mut self, config: &Config, between: impl FnOnce()) -> Self {
        self.signal("KILL");
        self.wait_exit(LATE).expect("the kernel ends it");
        between();
        self.started_again(config)
    }

    /// Starts another gateway in the folder of this one, which has ended.
    #[track_caller]
    pub(crate) fn started_again(&self, config: &Config) -> Self {
        let (folder, file) = (Arc::clone(&self.folder), self.config_file());
        fs::write(&file, config.toml()).expect("a configuration file");
        Self::start_with(folder, config, &["run"], &file, Stdio::null(), |_| ())
    }

    /// Starts the gateway with its configuration on standard input, and waits until it accepts.
    #[track_caller]
    pub(crate) fn start_piped(config: &Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text = tempfile::tempfile().expect("a file");
        text.write_all(config.toml().as_bytes())
            .and_then(|()| text.rewind())
            .expect("a configuration");
        Self::start_with(
            folder.into(),
            config,
            &["run"],
            Path::new("-"),
            text.into(),
            |_| (),
        )
    }

    #[track_caller]
    fn start_with(
        folder: Arc<tempfile::TempDir>,
        config: &Config,
        arguments: &[&str],
        file: &Path,
        input: Stdio,
        begun: impl FnOnce(u32),
    ) -> Self {
        config.write_certificate(folder.path());
        let mut command = binary();
        command
            .args(arguments)
            .arg("--config")
            .arg(file)
            .stdin(input)
            .current_dir(folder.path())
            .env("RUST_BACKTRACE", "1");
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        begun(child.id());
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self {
            child,
            folder,
            addresses: Vec::new(),
            admin: unknown,
            stdout,
            stderr,
            exit: None,
        };
        let all = eventually(LATE, || {
            gateway.learn_addresses(config) || gateway.try_exit().is_some()
        });
        assert!(
            all && gateway.exit.is_none(),
            "the gateway did not start: {:?}\n{}",
            gateway.exit,
            config.toml()
        );
        gateway
    }

    /// Reads `listening on ADDR` lines: every bound address in the order of `server.listen`, then the admin port.
    fn learn_addresses(&mut self, config: &Config) -> bool {
        let mut bound: Vec<SocketAddr> = Vec::new();
        let mut admin = None;
        for line in lines(&self.stderr) {
            let Some((_, rest)) = line.split_once("listening on ") else {
                continue;
            };
            let word = rest.split_whitespace().next().unwrap_or_default();
            let word = word
                .trim_start_matches("http://")
                .trim_start_matches("https://");
            let Ok(addr) = word.trim_end_matches(['/', ',', '.', ';']).parse() else {
                continue;
            };
            if rest.contains("admin") {
                admin = Some(addr);
            } else {
                bound.push(addr);
            }
        }
        // The admin port is said last.
        let Some(admin) = admin else {
            return false;
        };
        self.admin = admin;
        self.addresses = bound;
        for address in &self.addresses {
            transport::set_tls(address.port(), config.is_over_tls());
        }
        transport::set_tls(self.admin.port(), false);
        true
    }

    /// The first address that takes deliveries.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Every address that takes deliveries.
    pub(crate) fn addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The admin port's address.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The folder that holds the configuration, also the child's working directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("verigate.toml")
    }

    /// Writes another configuration over the file; a reload makes it count.
    pub(crate) fn rewrite(&self, config: &Config) {
        fs::write(self.config_file(), config.toml()).expect("a configuration file");
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr())
    }

    /// The answer to these bytes on a new connection.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl Into<Vec<u8>>) -> Answer {
        self.connect().ask(request.into())
    }

    /// Panics unless a good delivery on a new connection gets 200.
    #[track_caller]
    pub(crate) fn expect_serving(&self) {
        let answer = self.ask(Delivery::fresh());
        assert_eq!(answer.status, 200, "a good delivery got {answer}");
    }

    /// A request to the admin port, with a `Host` that it accepts.
    #[track_caller]
    pub(crate) fn admin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.admin
        );
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").expect("a String takes all");
        }
        write!(request, "Content-Length: {}\r\n\r\n{body}", body.len())
            .expect("a String takes all");
        Client::connect(self.admin).ask(request)
    }

    /// What `/metrics` shows now.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.admin("GET", "/metrics", &[], "");
        answer.expect_status(200);
        Metrics {
            text: String::from_utf8(answer.body).expect("metrics are UTF-8"),
        }
    }

    /// Every access-log line so far. Panics at a line on standard output that is no JSON object.
    #[track_caller]
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        lines(&self.stdout)
            .iter()
            .map(|line| match serde_json::from_str(line) {
                Ok(value @ Value::Object(_)) => value,
                _ => panic!("a line on standard output is no JSON object: {line}"),
            })
            .collect()
    }

    /// The first access-log line of which `wanted` holds, waited for.
    #[track_caller]
    pub(crate) fn wait_for_log(
        &self,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut found = None;
        let came = eventually(deadline, || {
            found = self.log_lines().into_iter().find(|line| wanted(line));
            found.is_some()
        });
        assert!(
            came,
            "no such access-log line among {:#?}",
            self.log_lines()
        );
        found.expect("found")
    }

    /// The access-log line of this answer, by its `X-Request-Id`.
    #[track_caller]
    pub(crate) fn log_of(&self, answer: &Answer) -> Value {
        let id = answer
            .header("X-Request-Id")
            .unwrap_or_else(|| panic!("no X-Request-Id in {answer}"))
            .to_owned();
        self.wait_for_log(SOON, |line| line["request_id"] == id.as_str())
    }

    /// Standard output so far, as it came.
    pub(crate) fn stdout(&self) -> String {
        lines(&self.stdout).join("\n")
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> String {
        lines(&self.stderr).join("\n")
    }

    /// Whether `text` appears on standard error in time.
    #[must_use]
    pub(crate) fn says(&self, text: &str) -> bool {
        eventually(SOON, || self.stderr().contains(text))
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -s {name} failed");
    }

    /// Stops all threads until a `CONT`. The signal alone returns before they have stopped.
    pub(crate) fn halt(&self) {
        self.signal("STOP");
        let has_stopped = |task: std::io::Result<fs::DirEntry>| {
            let status = fs::read_to_string(task.expect("a task").path().join("status"));
            // A thread that has ended meanwhile does nothing either.
            status.map_or(true, |status| status.contains("\nState:\tT"))
        };
        let tasks = format!("/proc/{}/task", self.pid());
        let have_stopped = || fs::read_dir(&tasks).expect("it runs").all(has_stopped);
        assert!(eventually(LATE, have_stopped), "it does not stop");
    }

    /// How the child ended, waited for.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let _ = eventually(deadline, || self.try_exit().is_some());
        self.exit
    }

    fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("the child can be asked");
        }
        self.exit
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory in bytes that was resident since the last call of
    /// [`forget_peak`](Self::forget_peak).
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Lets the peak of resident memory begin at what is resident now.
    pub(crate) fn forget_peak(&self) {
        // proc(5): 5 resets the peak.
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("the child runs");
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the child runs");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a resident size");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<u64>().ok())
            .expect("a number of KiB")
            * 1024
    }

    /// CPU time used so far, user and system, in hundredths of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the child runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|n| n.parse::<u64>().expect("a number"))
            .sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only where the child has already ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (name, collected) in [
                ("standard output", &self.stdout),
                ("standard error", &self.stderr),
            ] {
                let all = lines(collected);
                eprintln!("--- the gateway's {name}, last of {} lines", all.len());
                for line in &all[all.len().saturating_sub(60)..] {
                    eprintln!("{}", line.chars().take(600).collect::<String>());
                }
            }
        }
    }
}

fn lines(collected: &Lines) -> Vec<String> {
    collected
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn collect(pipe: impl Read + Send + 'static) -> Lines {
    let collected = Lines::default();
    let into = Arc::clone(&collected);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches('\n')
                .to_owned();
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text);
            line.clear();
        }
    });
    collected
}

/// What `/metrics` showed at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// As received.
    pub(crate) text: String,
}

impl Metrics {
    /// The sum of all series of that name that carry these labels; 0 where there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels)
            .iter()
            .map(|(_, value)| value)
            .sum()
    }

    /// Every series of exactly that name that carries these labels, with its value.
    pub(crate) fn series(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(String, f64)> {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        self.text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (metric, shown) = series.split_once('{').unwrap_or((series, ""));
                let carries =
                    metric == name && wanted.iter().all(|label| shown.contains(label.as_str()));
                carries.then(|| Some((series.to_owned(), value.parse().ok()?)))?
            })
            .collect()
    }
}
