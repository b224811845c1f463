//! Which spelling of the URL was signed (schemes: Code): what the provider's own library takes is taken, and a
//! captured delivery in another spelling is no new delivery.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::support::PLAIN_SECRET;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

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
fn twilio_s_spellings_of_the_url_are_taken() {
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
fn a_captured_delivery_in_another_spelling_is_no_new_one() {
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
