//! A service manager such as systemd (contract: Service managers): the sockets that it hands over, and what it is told.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::config::{Config, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

/// The next message to the service manager that begins with `first`. Others are passed over.
#[track_caller]
fn told(manager: &UnixDatagram, first: &str) -> String {
    let mut buffer = [0; 4096];
    manager.set_read_timeout(Some(SOON)).expect("a time limit");
    loop {
        let count = manager.recv(&mut buffer).expect("a message");
        let bytes = buffer.get(..count).unwrap_or_default();
        let message = String::from_utf8_lossy(bytes).into_owned();
        if message.starts_with(first) {
            return message;
        }
    }
}

#[test]
fn it_is_told_of_the_start_reloads_signs_of_life_and_the_stop() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let config = Config::for_upstream(&upstream)
        .env("NOTIFY_SOCKET", &socket.display().to_string())
        .env("WATCHDOG_USEC", "200000");
    let mut gateway = Gateway::start(&config);
    assert!(told(&manager, "READY=1").contains("STATUS=serving 2 routes"));
    for _ in 0..3 {
        told(&manager, "WATCHDOG=1");
    }
    gateway.signal("HUP");
    let reloading = told(&manager, "RELOADING=1");
    let micros = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
        .and_then(|micros| micros.parse::<u64>().ok());
    assert!(micros.is_some_and(|micros| micros > 0), "{reloading}");
    assert!(told(&manager, "READY=1").contains("serving 2 routes"));
    std::fs::write(gateway.config_file(), "nothing").expect("a file");
    gateway.signal("HUP");
    told(&manager, "RELOADING=1");
    assert!(told(&manager, "READY=1").contains("refused"));
    gateway.signal("TERM");
    told(&manager, "STOPPING=1");
    let status = gateway.wait_exit(SOON).expect("the gateway ends");
    assert_eq!(status.code(), Some(0));
}

/// A gateway to which a socket is handed over as descriptor 3, killed on drop.
struct Handed {
    child: Child,
    folder: tempfile::TempDir,
}

impl Handed {
    fn start(config: &Config, socket: TcpListener, variables: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("verigate.toml");
        std::fs::write(&file, config.toml()).expect("a configuration");
        let messages = File::create(folder.path().join("messages")).expect("a file");
        // The shell gives the socket its number, and its own process id is that of the gateway.
        let script = format!("exec env {variables} \"$0\" run --config \"$1\" 3<&0 0</dev/null");
        let child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_verigate")])
            .arg(&file)
            .envs(config.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .stderr(messages)
            .spawn()
            .expect("a shell");
        Self { child, folder }
    }

    fn messages(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("messages")).unwrap_or_default()
    }

    #[track_caller]
    fn expect_failure(mut self, words: &[&str]) -> String {
        let mut status = None;
        let ended = eventually(LATE, || {
            status = self.child.try_wait().expect("the child can be asked");
            status.is_some()
        });
        let messages = self.messages();
        assert!(ended, "it runs: {messages}");
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(1),
            "{messages}"
        );
        for word in words {
            assert!(messages.contains(word), "no {word} in {messages}");
        }
        messages
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // Both fail only where the child has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

#[test]
fn a_socket_that_is_handed_over_serves_its_address_and_connections_that_came_before_the_start() {
    let upstream = Upstream::start();
    let (handed, address) = socket();
    let listen = format!("[{}]", text(&address.to_string()));
    let config = Config::for_upstream(&upstream).with_own_ports();
    let config = config.server("listen", &listen);
    let mut early = Client::connect(address);
    early.send(Delivery::fresh().bytes());
    let gateway = Handed::start(&config, handed, "LISTEN_FDS=1 LISTEN_PID=$$");
    early.answer_within(LATE).expect_status(200);
    Client::connect(address)
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
    let said = || {
        gateway
            .messages()
            .contains(&format!("listening on {address}"))
    };
    assert!(eventually(SOON, said), "{}", gateway.messages());
}

/// The address was tried, and called taken, before the socket was found to be for no address.
#[test]
fn a_socket_for_every_address_beside_a_configured_one_of_its_port_is_named_and_nothing_is_called_taken()
 {
    let upstream = Upstream::start();
    let handed = TcpListener::bind("[::]:0").expect("a socket");
    let port = handed.local_addr().expect("an address").port();
    let listen = format!("[\"127.0.0.1:{port}\"]");
    let config = Config::for_upstream(&upstream).with_own_ports();
    let config = config.server("listen", &listen);
    let gateway = Handed::start(&config, handed, "LISTEN_FDS=1 LISTEN_PID=$$");
    let unknown = format!("LISTEN_FDS hands over a socket on [::]:{port}");
    let bare = format!("`server.listen`: no socket is handed over for 127.0.0.1:{port}");
    let messages = gateway.expect_failure(&[&unknown, &bare, &format!("write [::]:{port} here")]);
    assert!(!messages.contains("cannot listen"), "{messages}");
}

#[test]
fn a_socket_that_no_address_is_for_ends_the_start_and_that_of_another_process_is_left_alone() {
    let upstream = Upstream::start();
    let (handed, address) = socket();
    let config = Config::for_upstream(&upstream)
        .with_own_ports()
        .server("listen", "[\"127.0.0.2:0\"]")
        .admin("listen", "\"127.0.0.3:0\"");
    let other = Handed::start(&config, handed, "LISTEN_FDS=1 LISTEN_PID=$$");
    other.expect_failure(&[&address.to_string(), "server.listen", "write it there"]);
    let (handed, address) = socket();
    let gateway = Handed::start(&config, handed, "LISTEN_FDS=1 LISTEN_PID=1");
    let started = || gateway.messages().contains("(admin)");
    assert!(eventually(LATE, started), "{}", gateway.messages());
    assert!(
        !gateway.messages().contains(&format!("{address}")),
        "{}",
        gateway.messages()
    );
}
