//! Upstreams on a Unix socket.

use std::os::unix::net::UnixListener;

use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

#[test]
fn deliveries_go_to_a_unix_socket_over_connections_that_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::unix(&folder.path().join("app.sock"));
    let gateway = Gateway::start_in(folder, &Config::for_upstream(&upstream));
    for size in [300, 5000, 700_000] {
        let delivery = Delivery::of(event_of(size));
        let answer = gateway.ask(delivery.bytes());
        answer.expect_status(200);
        assert_eq!(gateway.log_of(&answer)["upstream"], upstream.url());
        let last = upstream.last();
        last.expect_body(delivery.body());
        assert_eq!(last.header("Host").as_deref(), Some("a"));
    }
    assert_eq!(upstream.connections(), 1);
    upstream.close_connections();
    assert!(eventually(SOON, || upstream.open_connections() == 0));
    gateway.expect_serving();
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_request_without_a_host_gets_localhost() {
    if is_http1_only("HTTP/1.0") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::unix(&folder.path().join("app.sock"));
    let gateway = Gateway::start_in(folder, &Config::for_upstream(&upstream));
    let delivery = Delivery::fresh()
        .request_line("POST /webhooks/itellico HTTP/1.0")
        .without("Host");
    gateway.ask(delivery.bytes()).expect_status(200);
    assert_eq!(upstream.last().header("Host").as_deref(), Some("localhost"));
}

#[test]
fn a_socket_that_is_not_there_or_has_no_listener_is_an_upstream_that_cannot_be_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    let url = format!("unix:{}", path.display());
    let nobody = Upstream::start();
    let config = Config::new().route(Route::itellico(&nobody).set("upstream", &text(&url)));
    let gateway = Gateway::start_in(folder, &config);
    let unreachable = || {
        gateway
            .ask(Delivery::fresh().bytes())
            .expect_refusal(502, "upstream_unreachable");
    };
    unreachable();
    assert!(gateway.says("No such file"), "{}", gateway.stderr());
    drop(UnixListener::bind(&path).expect("a socket"));
    unreachable();
    std::fs::remove_file(&path).expect("the socket");
    // The app starts after the gateway.
    let upstream = Upstream::unix(&path);
    gateway.expect_serving();
    assert_eq!(upstream.count(), 1);
}

/// The system takes no more connections into the queue of a Unix socket that is full, and does not wait either.
#[test]
fn a_full_queue_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    let address = socket2::SockAddr::unix(&path).expect("an address");
    listener.bind(&address).expect("a free path");
    listener.listen(0).expect("a listener");
    let filler =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    filler.connect(&address).expect("a place in the queue");
    let nobody = Upstream::start();
    let url = format!("unix:{}", path.display());
    let config = Config::new().route(
        Route::itellico(&nobody)
            .set("upstream", &text(&url))
            .set("upstream_timeout", "\"30s\""),
    );
    let gateway = Gateway::start_in(folder, &config);
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    assert!(!client.has_heard(std::time::Duration::from_millis(200)));
    let (first, _) = listener.accept().expect("the filler");
    let (second, _) = listener.accept().expect("the gateway");
    let answered = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut second = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(second));
        let mut bytes = [0; 4096];
        let count = second.read(&mut bytes).expect("a request");
        second
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .expect("an answer");
        count
    });
    client.answer().expect_status(200);
    assert!(answered.join().expect("no panic") > 0);
    drop(first);
}
