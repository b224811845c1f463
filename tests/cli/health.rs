//! `health` (contract: Command line): asks a running gateway, and says what was wrong.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use crate::stage::Folder;
use crate::support::SOON;
use crate::support::cases::Cases;
use crate::support::gateway::Gateway;
use crate::support::upstream::{ClosedPort, Upstream};

#[test]
fn a_gateway_that_is_ready_is_healthy() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("health_path", "\"/up\"")]);
    let folder = Folder::new();
    let (admin, traffic) = (gateway.admin_addr(), gateway.addr());
    for url in [
        format!("http://{admin}"),
        format!("http://{admin}/healthz"),
        format!("http://localhost:{}", admin.port()),
        format!("http://{traffic}/up"),
    ] {
        folder
            .run(["health", &url])
            .expect_code(0)
            .expect_words(&["200", &url]);
    }
    let configured = format!("[admin]\nlisten = \"0.0.0.0:{}\"\n", admin.port());
    // Nothing but the address is looked at: the secrets of the gateway are none of its business.
    let rest = "[[route]]\nsecrets = [\"env:NOT_SET\"]\n";
    folder.write("verigate.toml", format!("{configured}{rest}"));
    folder
        .run(["health", "--config", "verigate.toml"])
        .expect_code(0)
        .expect_words(&[&format!("http://127.0.0.1:{}/readyz", admin.port())]);
    folder
        .run(["health", &format!("http://{admin}/nothing")])
        .expect_code(1)
        .expect_words(&["404", "no such page"]);
}

/// A server that gives each connection these bytes, and then closes or waits.
fn server(answer: &'static [u8], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
            if !closes {
                kept.push(stream);
            }
        }
    });
    address
}

#[test]
fn what_is_wrong_is_said() {
    let folder = Folder::new();
    let dead = ClosedPort::take();
    let mut cases = Cases::new();
    let unready = server(
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nstop",
        true,
    );
    let strange = server(b"SSH-2.0-OpenSSH_9.2\r\n", true);
    let silent = server(b"", false);
    let empty = server(b"", true);
    for (name, address, words) in [
        ("nobody", dead.addr(), &["nothing accepts connections"][..]),
        ("not ready", unready, &["503", "stop"]),
        ("another protocol", strange, &["not answer in HTTP"]),
        ("no byte", empty, &["not answer in HTTP"]),
        ("silence", silent, &["5 seconds are over"]),
    ] {
        cases.case(name, || {
            let url = format!("http://{address}/readyz");
            let ended = folder.run_within(SOON, ["health", &url], b"");
            ended
                .expect_code(1)
                .expect_words(words)
                .expect_words(&[&url]);
            assert!(ended.stdout.is_empty(), "{ended}");
        });
    }
    cases.case("an answer without an end", || {
        let kept = server(b"HTTP/1.1 200 OK\r\n\r\n", false);
        folder
            .run_within(SOON, ["health", &format!("http://{kept}")], b"")
            .expect_code(0);
    });
    cases.case("no URL", || {
        folder
            .run(["health", "https://127.0.0.1:9090"])
            .expect_code(2)
            .expect_words(&["http://"]);
    });
    cases.case("no such file", || {
        folder
            .run(["health", "--config", "nowhere.toml"])
            .expect_code(1)
            .expect_words(&["nowhere.toml"]);
    });
    cases.case("a bad address", || {
        folder.write("bad.toml", "[admin]\nlisten = \"9090\"\n");
        folder
            .run(["health", "--config", "bad.toml"])
            .expect_code(1)
            .expect_words(&["bad.toml:2:10"]);
    });
    cases.case("a port of the system's choice", || {
        folder.write("zero.toml", "[admin]\nlisten = \"127.0.0.1:0\"\n");
        folder
            .run(["health", "--config", "zero.toml"])
            .expect_code(1)
            .expect_words(&["not known here"]);
    });
    cases.finish();
}
