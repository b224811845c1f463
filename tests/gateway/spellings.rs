//! Which spelling of the URL was signed (schemes: Code): what the provider's own library takes is taken, and a
//! captured delivery in another spelling is no new delivery.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, now};

const ORIGIN: &str = "https://hooks.example.com";

fn gateway(upstream: &Upstream, provider: &str) -> Gateway {
    let route = Route::new(provider, &format!("/{provider}"), upstream)
        .set("provider", &format!("\"{provider}\""))
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
        .set("public_url", &format!("\"{ORIGIN}\""))
        .set("methods", "[\"GET\", \"POST\"]")
        // A copy is to be told from a new delivery.
        .set("repeats", "\"off\"");
    Gateway::start(&Config::for_upstream(upstream).route(route))
}

/// A call of Twilio's to `target`, signed as a call to `url`.
fn twilio(target: &str, url: &str) -> Delivery {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("a key");
    mac.update(format!("{url}a1").as_bytes());
    Delivery::unsigned(target, "a=1")
        .set("Content-Type", "application/x-www-form-urlencoded")
        .with(
            "X-Twilio-Signature",
            STANDARD.encode(mac.finalize().into_bytes()),
        )
}

#[test]
fn au_50_twilio_s_spellings_of_the_url_are_taken() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "twilio");
    let mut cases = Cases::new();
    for (at, (sent, signed)) in [
        ("sip:1234@192.0.2.1", "sip%3A1234%40192.0.2.1"),
        ("O%27Brien", "O'Brien"),
        ("O'Brien", "O%27Brien"),
        ("a+b", "a%20b"),
        ("[]{}|", "%5B%5D%7B%7D%7C"),
    ]
    .into_iter()
    .enumerate()
    {
        for port in ["", ":443"] {
            cases.case(&format!("{sent} signed as {signed} with {port:?}"), || {
                let number = format!("&n={at}{}", port.len());
                let target = format!("/twilio?Caller={sent}{number}");
                let url = format!("{ORIGIN}{port}/twilio?Caller={signed}{number}");
                gateway.ask(twilio(&target, &url)).expect_status(200);
                let got = upstream.last();
                assert_eq!(got.target, target.as_bytes(), "forwarded as received");
            });
        }
    }
    for (sent, signed) in [
        ("sip%3A1%40x", "sip:1@x"),
        ("a%20b", "a+b"),
        ("a%26b=c", "a&b=c"),
        ("a&b=c", "a%26b=c"),
        ("a%3Db", "a=b"),
    ] {
        cases.case(&format!("{sent} signed as {signed}"), || {
            let url = format!("{ORIGIN}/twilio?Caller={signed}");
            gateway
                .ask(twilio(&format!("/twilio?Caller={sent}"), &url))
                .expect_refusal(401, "bad_signature");
        });
    }
    cases.finish();
}

#[test]
fn au_50_a_captured_delivery_in_another_spelling_is_no_new_one() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "twilio");
    let url = format!("{ORIGIN}/twilio?Caller=O%27Brien%20b&b=1");
    gateway
        .ask(twilio("/twilio?Caller=O%27Brien%20b&b=1", &url))
        .expect_status(200);
    let first = upstream.count();
    let mut cases = Cases::new();
    for query in [
        "Caller=O'Brien%20b&b=1",
        "Caller=%4f'Brien+b&b=1",
        "Caller=O'Brien+b&&b=1&",
    ] {
        cases.case(query, || {
            let _ = gateway.ask(twilio(&format!("/twilio?{query}"), &url));
            assert_eq!(upstream.count(), first, "forwarded again");
        });
    }
    cases.finish();
}

/// An event of HubSpot's to `target`, signed as an event to `url`.
fn hubspot(target: &str, url: &str, body: &str) -> Delivery {
    let at = format!("{}000", now());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("a key");
    mac.update(format!("POST{url}{body}{at}").as_bytes());
    Delivery::unsigned(target, body.to_owned())
        .with("X-HubSpot-Request-Timestamp", at)
        .with(
            "X-HubSpot-Signature-v3",
            STANDARD.encode(mac.finalize().into_bytes()),
        )
}

#[test]
fn au_51_hubspot_s_url_may_be_signed_with_certain_escapes_decoded() {
    let upstream = Upstream::start();
    let route = |name: &str, path: &str| {
        Route::new(name, path, &upstream)
            .set("provider", "\"hubspot\"")
            .set("secrets", "[\"env:OTHER\", \"env:PLAIN_SECRET\"]")
            .set("public_url", &format!("\"{ORIGIN}\""))
    };
    let config = Config::for_upstream(&upstream)
        .route(route("hubspot", "/hubspot"))
        .route(route("below", "/below/*"))
        .env("OTHER", "another-secret-0123456789");
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    for (at, (sent, signed)) in [
        ("/hubspot?a=1", "/hubspot?a=1"),
        ("/hubspot?mail=a%40b.example", "/hubspot?mail=a@b.example"),
        ("/hubspot?u=https%3A%2F%2Fx%3Fy", "/hubspot?u=https://x?y"),
        ("/hubspot?a=%21%24%27%28%29%2a%2c%3b", "/hubspot?a=!$'()*,;"),
        ("/hubspot?mail=c%40d.example", "/hubspot?mail=c%40d.example"),
        ("/hubspot?a=%20b", "/hubspot?a=%20b"),
        ("/below/%40me", "/below/@me"),
    ]
    .into_iter()
    .enumerate()
    {
        cases.case(sent, || {
            let body = format!("[{{\"n\":{at}}}]");
            let url = format!("{ORIGIN}{signed}");
            gateway.ask(hubspot(sent, &url, &body)).expect_status(200);
            assert_eq!(upstream.last().target, sent.as_bytes());
        });
    }
    for (sent, signed) in [
        // What divides names, values, path and query is never decoded.
        ("/hubspot?a=1%26b%3D2", "/hubspot?a=1&b=2"),
        ("/below/x%3Fa=1", "/below/x?a=1"),
        ("/hubspot?a=%2Bb", "/hubspot?a=+b"),
        ("/hubspot?a=@", "/hubspot?a=%40"),
    ] {
        cases.case(&format!("{sent} signed as {signed}"), || {
            gateway
                .ask(hubspot(sent, &format!("{ORIGIN}{signed}"), "[]"))
                .expect_refusal(401, "bad_signature");
        });
    }
    cases.case("a captured event in another spelling", || {
        let url = format!("{ORIGIN}/hubspot?mail=e@f");
        let event = hubspot("/hubspot?mail=e@f", &url, "[1]");
        gateway.ask(event.clone()).expect_status(200);
        let count = upstream.count();
        gateway
            .ask(event.target("/hubspot?mail=e%40f"))
            .expect_refusal(409, "replayed_event");
        assert_eq!(upstream.count(), count);
    });
    cases.finish();
}

/// A delivery whose body and URL are signed, as Trello signs them.
fn trello(target: &str, url: &str, body: &str) -> Delivery {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("a key");
    mac.update(format!("{body}{url}").as_bytes());
    Delivery::unsigned(target, body.to_owned()).with(
        "X-Trello-Webhook",
        STANDARD.encode(mac.finalize().into_bytes()),
    )
}

#[test]
fn a_url_without_a_path_may_be_signed_with_its_slash_and_without() {
    let upstream = Upstream::start();
    let route = Route::new("trello", "/", &upstream)
        .set("provider", "\"trello\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
        .set("public_url", &format!("\"{ORIGIN}\""));
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
    let mut cases = Cases::new();
    for (at, (target, url)) in [("/", ""), ("/", "/"), ("/?a=1", "?a=1"), ("/?a=1", "/?a=1")]
        .into_iter()
        .enumerate()
    {
        cases.case(&format!("{target} signed as {url:?}"), || {
            let body = format!("{{\"n\":{at}}}");
            gateway
                .ask(trello(target, &format!("{ORIGIN}{url}"), &body))
                .expect_status(200);
        });
    }
    cases.case("another path", || {
        gateway
            .ask(trello("/", &format!("{ORIGIN}//"), "{}"))
            .expect_refusal(401, "bad_signature");
    });
    cases.finish();
}
