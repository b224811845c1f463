//! Requests that only try an endpoint and carry no event (schemes: Handshakes): answered by their exact form, and
//! never forwarded or claimed.

use crate::support::answer::Answer;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

const PROVIDERS: [&str; 4] = ["woocommerce", "slack", "bitbucket", "intercom"];

/// A route of each provider at `/NAME`, with its preset, changed by `with`.
fn gateway(upstream: &Upstream, with: impl Fn(Route) -> Route) -> Gateway {
    let config = PROVIDERS
        .iter()
        .fold(Config::for_upstream(upstream), |config, name| {
            let route = Route::new(name, &format!("/{name}"), upstream)
                .set("provider", &text(name))
                .set("secrets", "[\"env:PLAIN_SECRET\"]");
            config.route(with(route))
        });
    Gateway::start(&config)
}

fn form(path: &str, body: &str) -> Delivery {
    Delivery::unsigned(path, body).set("Content-Type", "application/x-www-form-urlencoded")
}

fn in_chunks(path: &str, body: &str) -> Delivery {
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    Delivery::unsigned(path, chunk)
        .without("Content-Length")
        .with("Transfer-Encoding", "chunked")
}

#[track_caller]
fn expect_handshake(gateway: &Gateway, answer: &Answer) {
    answer.expect_status(200);
    assert!(answer.body.is_empty(), "{answer}");
    let log = gateway.log_of(answer);
    let told = |field: &str| log.get(field).and_then(|value| value.as_str());
    assert_eq!(told("outcome"), Some("handshake"), "{log}");
    assert_eq!(told("event_id"), None, "{log}");
}

#[test]
fn au_53_an_unsigned_probe_of_the_exact_form_is_answered_and_never_forwarded() {
    let upstream = Upstream::start();
    // The app never sees a probe, in whichever mode its handshakes are.
    for mode in ["answer", "forward"] {
        let gateway = gateway(&upstream, |route| route.handshake("mode", &text(mode)));
        let mut cases = Cases::new();
        for (name, probe) in [
            ("woocommerce", form("/woocommerce", "webhook_id=1")),
            (
                "woocommerce, a large number",
                form("/woocommerce", "webhook_id=18446744073709551615"),
            ),
            (
                "woocommerce, in chunks",
                in_chunks("/woocommerce", "webhook_id=1"),
            ),
            ("slack", form("/slack", "ssl_check=1&token=xxx")),
            (
                "slack, the other way round",
                form("/slack", "token=Jhj5dZrVaK7ZwHHjRyZWjbDl&ssl_check=1"),
            ),
            (
                "bitbucket",
                Delivery::unsigned("/bitbucket", "{\"test\": true}")
                    .with("X-Event-Key", "diagnostics:ping"),
            ),
        ] {
            cases.case(&format!("{name} ({mode})"), || {
                for _ in 0..2 {
                    expect_handshake(&gateway, &gateway.ask(probe.clone()));
                }
            });
        }
        cases.finish();
        assert_eq!(upstream.count(), 0);
    }
}

#[test]
fn a_head_request_of_intercom_is_answered() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, |route| route);
    let mut client = gateway.connect();
    let head = Delivery::unsigned("/intercom", "")
        .method("HEAD")
        .without("Content-Length");
    client.send(head.bytes());
    client.answer_to_head().expect_status(200);
    gateway
        .ask(Delivery::unsigned("/intercom", ""))
        .expect_refusal(401, "missing_signature");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_signed_check_of_slacks_certificate_is_answered_too() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream)
        .set("name", "\"slack\"")
        .set("path", "\"/slack\"")
        .scheme("handshake", "\"slack\"");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
    let check = Delivery::plain("ssl_check=1&token=xxx").target("/slack");
    for _ in 0..2 {
        expect_handshake(&gateway, &gateway.ask(check.clone()));
    }
    assert_eq!(upstream.count(), 0);
    gateway
        .ask(Delivery::plain("ssl_check=1&token=xxx&command=%2Fdeploy").target("/slack"))
        .expect_status(200);
    assert_eq!(upstream.count(), 1, "a signed command is an event");
}

#[test]
fn au_53_a_probe_with_anything_else_in_it_is_refused_as_unsigned() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, |route| route);
    let event = String::from_utf8(event_of(400)).expect("text");
    let token = "a".repeat(65);
    let spaces = " ".repeat(65);
    let mut cases = Cases::new();
    for (path, body) in [
        ("/woocommerce", "webhook_id="),
        ("/woocommerce", "webhook_id=0"),
        ("/woocommerce", "webhook_id=01"),
        ("/woocommerce", "webhook_id=-1"),
        ("/woocommerce", "webhook_id=1&id=2"),
        ("/woocommerce", "webhook_id=1&webhook_id=1"),
        ("/woocommerce", "webhook_id=1\n"),
        ("/woocommerce", "webhook%5Fid=1"),
        ("/woocommerce", "id=1&webhook_id=1"),
        ("/woocommerce", "webhook_id=123456789012345678901"),
        ("/woocommerce", "{\"webhook_id\":1}"),
        ("/woocommerce", event.as_str()),
        ("/slack", "ssl_check=1"),
        ("/slack", "ssl_check=0&token=x"),
        ("/slack", "ssl_check=1&token="),
        ("/slack", "ssl_check=1&token=x&command=%2Fdeploy"),
        (
            "/slack",
            "ssl_check=1&ssl_check=1&token=x&command=%2Fdeploy",
        ),
        ("/slack", "ssl_check=1&token=x&token=y"),
        ("/slack", "token=x&token=y&ssl_check=1"),
        ("/slack", "command=%2Fx&ssl_check=1"),
        (
            "/slack",
            "ssl_check=1&payload=%7B%22type%22%3A%22event_callback%22%7D",
        ),
        ("/slack", "ssl_check=1&token=a%26command%3Dx"),
        ("/slack", &format!("ssl_check=1&token={token}")),
        ("/slack", event.as_str()),
        ("/bitbucket", "{\"test\": false}"),
        ("/bitbucket", "{\"test\": true, \"actor\": {}}"),
        ("/bitbucket", "{\"test\": true}{}"),
        ("/bitbucket", "{\"te st\": tr ue}x"),
        ("/bitbucket", &format!("{{\"test\":{spaces}true}}")),
        ("/bitbucket", "{}"),
        // A probe of one provider is none of another.
        ("/slack", "webhook_id=1"),
        ("/woocommerce", "ssl_check=1&token=xxx"),
        ("/intercom", "{\"test\": true}"),
    ] {
        for delivery in [form(path, body), in_chunks(path, body)] {
            cases.case(&format!("{path} {body:.60}"), || {
                gateway
                    .ask(delivery)
                    .expect_refusal(401, "missing_signature");
            });
        }
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_signature_beside_a_probe_is_judged() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, |route| route);
    gateway
        .ask(form("/woocommerce", "webhook_id=1").with(
            "X-WC-Webhook-Signature",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ))
        .expect_refusal(401, "bad_signature");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn of_an_unsigned_body_only_as_much_is_read_as_a_probe_may_hold() {
    let upstream = Upstream::start();
    let plain = gateway(&upstream, |route| route);
    // The chunks never end: a gateway that read on would wait for more.
    let head = Delivery::unsigned("/slack", "")
        .without("Content-Length")
        .with("Transfer-Encoding", "chunked")
        .head();
    let mut client = plain.connect();
    let chunk = format!("2000\r\n{}\r\n", "a".repeat(0x2000));
    client
        .ask([head, chunk.into_bytes()].concat())
        .expect_refusal(401, "missing_signature");
    // In shadow mode an unsigned delivery goes to the app, so it is read whole.
    let shadow = gateway(&upstream, |route| route.set("enforce", "false"));
    let body = "a".repeat(0x2000);
    shadow.ask(in_chunks("/slack", &body)).expect_status(200);
    assert_eq!(upstream.last().body, body.as_bytes());
}
