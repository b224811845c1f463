//! Deliveries over TLS (contract: The edge): what is carried, how a connection ends, and what a port says to those who
//! speak another protocol. Handshakes are in `tls_handshakes`, reloads of certificates in `certificates`.

#![expect(clippy::unwrap_used, reason = "test code: a panic is how a test fails")]

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection};

use crate::support::behaviour::{Behaviour, Reply};
use crate::support::certificates::{Authority, Pair, client};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, event_of};
use crate::support::gateway::{Gateway, binary};
use crate::support::transport::{End, TlsWire};
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

/// The name of the certificate `a`.
pub(crate) const NAME: &str = "a.example.com";

/// A folder with these certificates.
pub(crate) fn folder(pairs: &[(&str, &Pair)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, pair) in pairs {
        pair.write(folder.path(), name);
    }
    folder
}

/// A gateway whose only port speaks TLS, with these keys of `[[server.tls]]` beside `listen`.
pub(crate) fn config(upstream: &Upstream, keys: &str) -> Config {
    let port = format!("[[server.tls]]\nlisten = [\"127.0.0.1:0\"]\n{keys}");
    Config::for_upstream(upstream)
        .server("listen", "[]")
        .with_own_ports()
        .extra(&port)
}

/// The keys of a port with the certificate `a`.
pub(crate) const A: &str = "certificate = \"a.crt\"\nkey = \"a.key\"";

/// Shakes hands, or says why not.
pub(crate) fn shake(
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> Result<Client, String> {
    let stream = TcpStream::connect_timeout(&addr, SOON).unwrap();
    stream.set_nodelay(true).unwrap();
    let (wire, shaken) = TlsWire::begin(stream, Arc::clone(config), name);
    shaken.map_err(|error| error.to_string())?;
    Ok(Client::over_tls(wire))
}

/// A client that trusts the authority of the tests.
pub(crate) fn trusting() -> Arc<ClientConfig> {
    Arc::new(client(ALL_VERSIONS, None))
}

/// An upstream and a gateway before it with the certificate `a`.
pub(crate) fn start(server: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let pair = Authority::of_tests().issue(&[NAME]);
    let config = server
        .iter()
        .fold(config(&upstream, A), |config, (key, value)| {
            config.server(key, value)
        });
    let gateway = Gateway::start_in(folder(&[("a", &pair)]), &config);
    (upstream, gateway)
}

fn connect(gateway: &Gateway) -> Client {
    shake(gateway.addr(), &trusting(), NAME).unwrap()
}

/// The greeting of a client that asks for this name.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    let name = name.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(trusting(), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn a_delivery_over_tls_is_forwarded_as_https_on_a_kept_connection() {
    let (upstream, gateway) = start(&[]);
    let mut client = connect(&gateway);
    for _ in 0..3 {
        let answer = client.ask(Delivery::fresh().bytes());
        answer.expect_status(200);
        assert!(!answer.closes());
        let request = upstream.last();
        let proto = request.header("X-Forwarded-Proto");
        assert_eq!(proto.as_deref(), Some("https"));
        assert_eq!(gateway.log_of(&answer)["status"], 200);
    }
    let forged = Delivery::fresh().set("X-Webhook-Signature-256", "0".repeat(64));
    client
        .ask(forged.bytes())
        .expect_refusal(401, "bad_signature");
    let metrics = gateway.metrics();
    let full = metrics.value("verigate_tls_handshakes_total", &[("result", "full")]);
    assert!((full - 1.0).abs() < 0.5, "{full}");
}

#[test]
fn requests_that_share_a_record_and_large_bodies_either_way_are_whole() {
    let upstream = Upstream::start();
    let pair = Authority::of_tests().issue(&[NAME]);
    let route = Route::itellico(&upstream)
        .set("name", "\"large\"")
        .set("path", "\"/large\"")
        .set("max_body", "\"16MiB\"");
    let config = config(&upstream, A).route(route);
    let gateway = Gateway::start_in(folder(&[("a", &pair)]), &config);
    let mut client = connect(&gateway);
    // All that rustls has decrypted is read before the socket is asked again.
    let several: Vec<u8> = (0..4).flat_map(|_| Delivery::fresh().bytes()).collect();
    client.send(&several);
    for _ in 0..4 {
        client.answer().expect_status(200);
    }
    for size in [16 * 1024, 16 * 1024 + 1, 12 * 1024 * 1024] {
        let (body, answer) = (event_of(size), event_of(size));
        upstream.next(Behaviour::answer(&Reply::new(200).body(answer.clone())));
        let delivery = Delivery::of(body.clone()).target("/large");
        let received = client.ask(delivery.bytes());
        received.expect_status(200);
        assert!(received.body == answer, "an answer of {size} bytes");
        upstream.last().expect_body(&body);
        let delivery = Delivery::fresh().target("/large").chunked_by(7);
        client.ask(delivery.bytes()).expect_status(200);
    }
}

#[test]
fn tl_05_every_orderly_end_is_told_and_a_broken_answer_is_not() {
    let (upstream, gateway) = start(&[("idle_timeout", "\"300ms\""), ("head_timeout", "\"2s\"")]);
    let mut client = connect(&gateway);
    client
        .ask(Delivery::fresh().with("Connection", "close").bytes())
        .expect_status(200);
    client.expect_closed();
    assert_eq!(client.tls().end(), Some(End::Told), "Connection: close");
    let mut client = connect(&gateway);
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    client.expect_closed();
    assert_eq!(client.tls().end(), Some(End::Told), "idle_timeout");
    let mut client = connect(&gateway);
    client.expect_closed();
    assert_eq!(client.tls().end(), Some(End::Told), "no request at all");
    let mut client = connect(&gateway);
    client.ask("nonsense\r\n\r\n").expect_status(400);
    client.expect_closed();
    assert_eq!(client.tls().end(), Some(End::Told), "a refused head");
    let mut client = connect(&gateway);
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbroken";
    upstream.next(Behaviour::raw_then_close(broken));
    client.send(Delivery::fresh().bytes());
    assert!(client.try_answer(SOON).is_err());
    assert_eq!(client.tls().end(), Some(End::Cut), "an answer cut short");
}

#[test]
fn tl_05_a_request_that_is_cut_by_the_end_of_tcp_is_not_forwarded() {
    let (upstream, gateway) = start(&[]);
    let delivery = Delivery::fresh().bytes();
    let chunked = Delivery::fresh().chunked_by(50).bytes();
    for (bytes, most) in [
        (&delivery, 40),
        (&delivery, delivery.len() - 1),
        (&chunked, chunked.len() - 7),
    ] {
        let mut client = connect(&gateway);
        client.send(&bytes[..most]);
        client.socket().shutdown(Shutdown::Write).unwrap();
        client.expect_closed();
    }
    gateway_serves(&gateway);
    assert_eq!(upstream.count(), 1);
}

fn gateway_serves(gateway: &Gateway) {
    let answer = connect(gateway).ask(Delivery::fresh().bytes());
    answer.expect_status(200);
}

#[test]
fn tl_06_a_plain_request_on_a_tls_port_and_the_reverse_get_an_answer_that_says_so() {
    let (upstream, gateway) = start(&[("listen", "[\"127.0.0.1:0\"]")]);
    let (plain, tls) = (gateway.addrs()[0], gateway.addrs()[1]);
    let mut client = Client::connect(tls);
    let answer = client.ask(Delivery::fresh().bytes());
    answer.expect_refusal(400, "bad_request");
    assert!(
        answer.json()["error"].to_string().contains("https://"),
        "{answer}"
    );
    client.expect_closed();
    assert_eq!(gateway.log_of(&answer)["verdict"], "bad_request");
    let mut client = Client::connect(plain);
    client.send(hello(NAME));
    let answer = client.answer();
    answer.expect_refusal(400, "bad_request");
    assert!(
        answer.json()["error"].to_string().contains("TLS"),
        "{answer}"
    );
    client.expect_closed();
    assert_eq!(upstream.count(), 0);
    let metrics = gateway.metrics();
    let not_tls = metrics.value("verigate_tls_handshakes_total", &[("result", "not_tls")]);
    assert!((not_tls - 1.0).abs() < 0.5, "{not_tls}");
}

#[test]
fn a_stop_ends_silent_connections_and_lets_a_request_in_flight_finish() {
    let (upstream, mut gateway) = start(&[]);
    let latch = crate::support::behaviour::Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut busy = connect(&gateway);
    busy.send(Delivery::fresh().bytes());
    upstream.wait_for(1);
    let mut silent = Client::connect(gateway.addr());
    let mut shaken = connect(&gateway);
    gateway.signal("TERM");
    silent.expect_closed();
    shaken.expect_closed();
    assert_eq!(shaken.tls().end(), Some(End::Told));
    latch.open();
    busy.answer().expect_status(200);
    busy.expect_closed();
    assert_eq!(busy.tls().end(), Some(End::Told));
    assert!(
        gateway
            .wait_exit(SOON)
            .is_some_and(|status| status.success())
    );
}

#[test]
fn a_client_that_reads_nothing_is_given_up_after_write_timeout() {
    let (upstream, gateway) = start(&[("write_timeout", "\"500ms\"")]);
    upstream.next(Behaviour::answer(
        &Reply::new(200).body(vec![b'x'; 32 << 20]),
    ));
    let mut client = connect(&gateway);
    client.send(Delivery::fresh().bytes());
    let is_gone = || {
        let lines = gateway.log_lines();
        lines
            .iter()
            .any(|line| line["outcome"] != serde_json::Value::Null)
            && gateway.metrics().value("verigate_open_connections", &[]) < 0.5
    };
    assert!(eventually(SOON, is_gone), "{:#?}", gateway.log_lines());
    gateway_serves(&gateway);
}

/// The command that `sign --curl` prints goes to the plain port of 8080 no more where only a TLS port listens.
#[test]
fn the_printed_command_for_curl_reaches_a_gateway_that_listens_with_tls_alone() {
    let upstream = Upstream::start();
    let authority = Authority::of_tests();
    let (a, wild) = (
        authority.issue(&[NAME]),
        authority.issue(&["*.example.org"]),
    );
    let pairs = [("a", &a), ("wild", &wild)];
    let own = config(&upstream, A);
    let gateway = Gateway::start_in(folder(&pairs), &own);
    let port = gateway.addr().port();
    let text = std::fs::read_to_string(gateway.config_file()).unwrap();
    let known = text.replace(
        "127.0.0.1:0\"]\ncert",
        &format!("127.0.0.1:{port}\"]\ncert"),
    );
    let at = |name: &str| gateway.folder().join(name);
    std::fs::write(at("body"), event()).unwrap();
    let printed = |config: &str, more: &[&str]| {
        std::fs::write(at("sign.toml"), config).unwrap();
        let mut sign = binary();
        let route = [
            "sign",
            "--route",
            "itellico",
            "--curl",
            "--config",
            "sign.toml",
            "--body",
            "body",
        ];
        sign.args(route)
            .args(more)
            .envs(own.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(gateway.folder());
        let output = sign.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    let (command, said) = printed(&known, &[]);
    let origin = format!(" https://{NAME}:{port}/webhooks/itellico ");
    assert!(
        command.contains(&origin) && said.is_empty(),
        "{command}{said}"
    );
    let sent = Command::new("sh")
        .args(["-c", &command])
        .current_dir(gateway.folder())
        .output();
    let sent = sent.unwrap();
    assert_eq!(
        upstream.count(),
        1,
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );

    let wild = known
        .replace("a.crt", "wild.crt")
        .replace("a.key\"", "wild.key\"\nclient_ca = \"root.crt\"");
    std::fs::write(at("root.crt"), authority.pem()).unwrap();
    let (command, said) = printed(&wild, &[]);
    let resolve = format!("--resolve any.example.org:{port}:127.0.0.1");
    assert!(
        command.contains(&resolve) && command.contains("--cacert wild.crt"),
        "{command}"
    );
    assert!(said.contains("--cert FILE --key FILE"), "{said}");
    let (command, said) = printed(&known, &["--url", "https://elsewhere.example/x"]);
    assert!(
        !command.contains("--resolve") && said.is_empty(),
        "{command}{said}"
    );
}
