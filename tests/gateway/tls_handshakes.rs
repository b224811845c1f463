//! TLS handshakes (contract: The edge): certificates by server name, versions, tickets, certificates of clients, and
//! greetings that are slow, cut or many.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is how a test fails"
)]

use std::net::IpAddr;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, HandshakeKind, ProtocolVersion};

use super::tls::{A, NAME, config, folder, hello, shake, start, trusting};
use crate::support::certificates::{Authority, Pair, careless, client};
use crate::support::client::Client;
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

/// The first bytes of a TLS record: that of a handshake, and that of an alert.
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

fn count(gateway: &Gateway, result: &str) -> u64 {
    let metrics = gateway.metrics();
    let count = metrics.value("verigate_tls_handshakes_total", &[("result", result)]);
    format!("{count:.0}").parse().unwrap()
}

/// The letter of the certificate that a client gets for a name, or the alert.
fn got(gateway: &Gateway, name: &str, pairs: &[(&str, &Pair)]) -> String {
    match shake(gateway.addr(), &Arc::new(careless()), name) {
        Err(why) => why,
        Ok(client) => {
            let shown = client.tls().connection().peer_certificates().unwrap();
            let is_it = |pair: &Pair| pair.parts().0[0] == shown[0];
            let found = pairs.iter().find(|(_, pair)| is_it(pair));
            found.map_or("another".to_owned(), |(letter, _)| (*letter).to_owned())
        }
    }
}

#[test]
fn tl_01_a_client_gets_the_certificate_of_the_exact_name_else_of_a_wildcard_else_the_default() {
    let upstream = Upstream::start();
    let authority = Authority::of_tests();
    let a = authority.issue(&["a.example.com", "www.example.com"]);
    let b = authority.issue(&["*.example.com"]);
    let c = authority.issue(&["c.example.net"]);
    let pairs = [("a", &a), ("b", &b), ("c", &c)];
    let list = "certificates = [{ certificate = \"a.crt\", key = \"a.key\" }, \
                { certificate = \"b.crt\", key = \"b.key\" }, { certificate = \"c.crt\", key = \"c.key\" }]";
    let with_default = format!("{list}\ndefault = \"c.example.net\"");
    let unknown = "received fatal alert: UnrecognisedName";
    let rows = [
        ("a.example.com", "a", "a"),
        ("WWW.Example.COM", "a", "a"),
        ("www.example.com.", "a", "a"),
        ("b.example.com", "b", "b"),
        ("x.b.example.com", unknown, "c"),
        ("example.com", unknown, "c"),
        ("c.example.net", "c", "c"),
        ("d.example.net", unknown, "c"),
        // No server name is sent for an address.
        ("127.0.0.1", unknown, "c"),
    ];
    let mut failures = Vec::new();
    let strict = Gateway::start_in(folder(&pairs), &config(&upstream, list));
    let lenient = Gateway::start_in(folder(&pairs), &config(&upstream, &with_default));
    for (name, first, second) in rows {
        let found = (got(&strict, name, &pairs), got(&lenient, name, &pairs));
        if found != (first.to_owned(), second.to_owned()) {
            failures.push((name, found));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(count(&strict, "unknown_name"), 4);
    assert!(strict.says("failed: no certificate is for `x.b.example.com`"));
}

/// The greeting of a client with its server name written otherwise, of the same length.
fn hello_for(name: &[u8]) -> Vec<u8> {
    let mut hello = hello(NAME);
    let at = hello
        .windows(NAME.len())
        .position(|part| part == NAME.as_bytes());
    let at = at.unwrap();
    hello[at..at + NAME.len()].copy_from_slice(name);
    hello
}

/// The first byte of the answer to these bytes, and the alert that it may be.
fn first(client: &mut Client) -> (u8, Option<u8>) {
    let record = client.take(7, SOON);
    let alert = record.get(6).copied();
    let first = record.first().copied().unwrap_or(0);
    (first, alert.filter(|_| first == ALERT))
}

#[test]
fn tl_01_a_server_name_in_an_odd_form_gets_a_certificate_or_an_alert() {
    let upstream = Upstream::start();
    let pair = Authority::of_tests().issue(&[NAME, "a.example.co"]);
    let list = "certificates = [{ certificate = \"a.crt\", key = \"a.key\" }]";
    let gateway = Gateway::start_in(folder(&[("a", &pair)]), &config(&upstream, list));
    let mut failures = Vec::new();
    for (name, expected) in [
        (b"A.EXAMPLE.com", HANDSHAKE),
        (b"a.example.co.", HANDSHAKE),
        (b"192.168.100.1", ALERT),
        (b"a..xample.com", ALERT),
        (b"a.example.co\0", ALERT),
        (b"a.example.\xc3\xa9m", ALERT),
        (b"\na.example.co", ALERT),
    ] {
        let mut client = Client::connect(gateway.addr());
        client.send(hello_for(name));
        let found = first(&mut client);
        if found.0 != expected {
            failures.push((String::from_utf8_lossy(name), found));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    assert!(shake(gateway.addr(), &trusting(), NAME).is_ok());
}

#[test]
fn tl_02_a_port_speaks_no_version_below_its_least() {
    let upstream = Upstream::start();
    let pair = Authority::of_tests().issue(&[NAME]);
    let old = Arc::new(client(&[&TLS12], None));
    let new = Arc::new(client(&[&TLS13], None));
    let both = start(&[]);
    let version = |client: Client| client.tls().connection().protocol_version();
    let at = both.1.addr();
    let is = |shaken: Result<Client, String>| shaken.map(version);
    assert_eq!(
        is(shake(at, &old, NAME)),
        Ok(Some(ProtocolVersion::TLSv1_2))
    );
    assert_eq!(
        is(shake(at, &new, NAME)),
        Ok(Some(ProtocolVersion::TLSv1_3))
    );
    let strict = config(&upstream, &format!("{A}\nmin_version = \"1.3\""));
    let strict = Gateway::start_in(folder(&[("a", &pair)]), &strict);
    let refused = shake(strict.addr(), &old, NAME).err().unwrap_or_default();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    assert!(strict.says("have no way in common"));
    assert!(shake(strict.addr(), &new, NAME).is_ok());
    // A client may know that it is done before the gateway has counted it.
    let counts = || (count(&strict, "failed"), count(&strict, "full"));
    assert!(eventually(SOON, || counts() == (1, 1)), "{:?}", counts());
    // A client of TLS 1.1 alone: the greeting of 1.2 with another number, and no extension that says more.
    let mut client = Client::connect(at);
    client.send(b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02");
    client.send([7; 32]);
    client.send(b"\x00\x00\x02\xc0\x2f\x01\x00");
    assert_eq!(first(&mut client).0, ALERT);
}

#[test]
fn tl_03_a_session_is_resumed_by_its_ticket_without_early_data() {
    let (_upstream, gateway) = start(&[]);
    for version in [&TLS12, &TLS13] {
        let mut settings = client(&[version], None);
        settings.enable_early_data = true;
        let settings = Arc::new(settings);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = shake(gateway.addr(), &settings, NAME).unwrap();
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            let connection = client.tls().connection();
            assert_eq!(connection.handshake_kind(), Some(expected), "{version:?}");
            assert!(!connection.is_early_data_accepted());
        }
    }
    assert_eq!(
        (count(&gateway, "full"), count(&gateway, "resumed")),
        (2, 2)
    );
}

#[test]
fn tl_02_a_protocol_that_the_port_does_not_speak_is_refused_by_an_alert() {
    let (_upstream, gateway) = start(&[]);
    let mut other = client(ALL_VERSIONS, None);
    other.alpn_protocols = vec![b"spdy/1".to_vec()];
    let refused = shake(gateway.addr(), &Arc::new(other), NAME).err();
    assert!(
        refused
            .unwrap_or_default()
            .contains("NoApplicationProtocol")
    );
    let mut own = client(ALL_VERSIONS, None);
    own.alpn_protocols = vec![b"spdy/1".to_vec(), b"http/1.1".to_vec()];
    let client = shake(gateway.addr(), &Arc::new(own), NAME).unwrap();
    let chosen = client.tls().connection().alpn_protocol();
    assert_eq!(chosen, Some(&b"http/1.1"[..]));
}

#[test]
fn tl_04_where_clients_need_a_certificate_only_those_of_the_authority_are_served() {
    let upstream = Upstream::start();
    let pair = Authority::of_tests().issue(&[NAME]);
    let (own, foreign) = (Authority::new(), Authority::new());
    let folder = folder(&[("a", &pair)]);
    std::fs::write(folder.path().join("ca.crt"), own.pem()).unwrap();
    let port = config(&upstream, &format!("{A}\nclient_ca = \"ca.crt\""));
    let gateway = Gateway::start_in(folder, &port);
    let ended = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let good = own.issue(&["client"]);
    let rows = [
        ("none", None, Some("CertificateRequired")),
        (
            "of another authority",
            Some(foreign.issue(&["client"])),
            Some("UnknownCA"),
        ),
        (
            "ended",
            Some(own.issue_with(&["client"], ended)),
            Some("CertificateExpired"),
        ),
        ("good", Some(good.clone()), None),
    ];
    let mut failures = Vec::new();
    for (name, certificate, refused) in rows {
        for version in [&TLS12, &TLS13] {
            let settings = Arc::new(client(&[version], certificate.as_ref()));
            let found = shake(gateway.addr(), &settings, NAME).and_then(|mut client| {
                client.send(Delivery::fresh().bytes());
                let answer = client.try_answer(SOON);
                answer.map_err(|missing| {
                    let told = client.tls().failure().map(ToString::to_string);
                    told.unwrap_or_else(|| missing.to_string())
                })
            });
            let is_expected = match (&found, refused) {
                (Ok(answer), None) => answer.status == 200,
                // TLS 1.2 has no alert of its own for a missing certificate.
                (Err(why), Some("CertificateRequired")) => {
                    why.contains("CertificateRequired") || why.contains("HandshakeFailure")
                }
                (Err(why), Some(refused)) => why.contains(refused),
                _ => false,
            };
            if !is_expected {
                failures.push((name, found));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(upstream.count(), 2);
    // None of the three hides another.
    for why in [
        "failed: the client sent no certificate",
        "failed: the client's certificate is not trusted: no authority of `client_ca` signed it",
        "failed: the client's certificate expired ",
    ] {
        assert!(gateway.says(why), "{why}: {}", gateway.stderr());
    }
    // A resumed session keeps what was proved.
    let settings = Arc::new(client(&[&TLS13], Some(&good)));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = shake(gateway.addr(), &settings, NAME).unwrap();
        client.ask(Delivery::fresh().bytes()).expect_status(200);
        assert_eq!(client.tls().connection().handshake_kind(), Some(expected));
    }
}

/// The message of a greeting in records of `size` bytes.
fn cut(hello: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1][..], &length, piece].concat()
    };
    hello[5..].chunks(size).flat_map(record).collect()
}

#[test]
fn rx_16_a_greeting_in_single_bytes_or_records_is_read_and_a_slow_or_endless_one_ends() {
    let (_upstream, gateway) = start(&[("head_timeout", "\"1s\"")]);
    let mut failures = Vec::new();
    let own = hello(NAME);
    for (name, bytes) in [
        ("whole", own.clone()),
        ("records of a byte", cut(&own, 1)),
        ("records of 100 bytes", cut(&own, 100)),
    ] {
        let mut client = Client::connect(gateway.addr());
        for byte in bytes {
            client.send([byte]);
        }
        let found = first(&mut client).0;
        if found != HANDSHAKE {
            failures.push((name, found));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    // Records of a message that has no end.
    let mut client = Client::connect(gateway.addr());
    client.send([HANDSHAKE, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff]);
    let mut endless = vec![0; 0x3ffc];
    endless.extend([HANDSHAKE, 3, 1, 0x40, 0]);
    endless.resize(0x3ffc + 5 + 0x4000, 0);
    client.send(&endless);
    client.send(&endless);
    assert!(client.rest(SOON).is_ok());
    assert!(gateway.says("the client's greeting is too long"));
    let slow: [&[u8]; 3] = [b"", &own[..1], &own[..own.len() - 1]];
    for greeting in slow {
        let mut client = Client::connect(gateway.addr());
        client.send(greeting);
        client.expect_closed();
    }
    // The greeting is whole, and nothing follows it.
    let mut client = Client::connect(gateway.addr());
    client.send(&own);
    assert!(client.rest(SOON).is_ok());
    assert!(eventually(SOON, || count(&gateway, "late") >= 4));
    assert!(shake(gateway.addr(), &trusting(), NAME).is_ok());
}

#[test]
fn rx_16_half_handshakes_keep_nobody_else_from_shaking_hands() {
    let limits = [("head_timeout", "\"10m\""), ("threads", "1")];
    let (_upstream, gateway) = start(&limits);
    let from = |last: u8| IpAddr::from([127, 0, 0, last]);
    let connect = |last: u8, bytes: &[u8]| {
        let mut client = Client::connect_from(from(last), gateway.addr());
        client.send(bytes);
        client
    };
    let own = hello(NAME);
    // Greetings that are not whole take no turn, not even among the handshakes of the same client.
    let _slow: Vec<_> = (0..100).map(|_| connect(1, &own[..1])).collect();
    let _slower: Vec<_> = (0..100)
        .map(|_| connect(1, &own[..own.len() - 1]))
        .collect();
    assert!(shake(gateway.addr(), &trusting(), NAME).is_ok());
    // A client has 16 of 64 turns: its next handshake waits.
    let mut half: Vec<_> = (0..16).map(|_| connect(2, &own)).collect();
    assert!(half.iter_mut().all(|client| first(client).0 == HANDSHAKE));
    let mut waits = connect(2, &own);
    assert!(!waits.has_heard(std::time::Duration::from_millis(300)));
    assert!(shake(gateway.addr(), &trusting(), NAME).is_ok());
    // All turns are taken: the handshakes that wait for their clients longest make room.
    for last in 3..6 {
        half.extend((0..16).map(|_| connect(last, &own)));
    }
    assert!(
        half[16..]
            .iter_mut()
            .all(|client| first(client).0 == HANDSHAKE)
    );
    for _ in 0..8 {
        let mut client = shake(gateway.addr(), &trusting(), NAME).unwrap();
        client.ask(Delivery::fresh().bytes()).expect_status(200);
    }
    assert!(count(&gateway, "late") >= 1);
}
