//! JSON Web Tokens in front of the running gateway: detached, as the whole body, with the URL or a digest of the
//! request in a claim (schemes: Tokens).

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, now};

const ORIGIN: &str = "https://hooks.example.com";

/// A route of a scheme with tokens of HS256.
fn route(upstream: &Upstream, path: &str, jwt: &str) -> Route {
    Route::new(&path.replace('/', ""), path, upstream)
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
        .set("public_url", &format!("\"{ORIGIN}\""))
        .scheme("algorithm", "\"jwt\"")
        .scheme("jwt", &format!("{{ algorithms = [\"HS256\"], {jwt} }}"))
}

/// The token of these texts, signed over `content` where that is given in place of the claims.
fn token(header: &str, claims: &str, content: Option<&[u8]>) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    let claims = URL_SAFE_NO_PAD.encode(claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(PLAIN_SECRET.as_bytes()).expect("a key");
    mac.update(format!("{header}.").as_bytes());
    mac.update(content.unwrap_or(claims.as_bytes()));
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{header}.{claims}.{signature}")
}

fn with_claims(claims: &str) -> String {
    token(r#"{"alg":"HS256"}"#, claims, None)
}

#[test]
fn au_70_a_detached_token_proves_its_body_and_no_other_reading_of_it() {
    let upstream = Upstream::start();
    let plain = route(
        &upstream,
        "/plain",
        "header = \"X-Jws\", detached = \"unencoded\", stamp = \"ts\", max_age = \"5m\"",
    )
    .scheme("event_id", "{ json = \"/id\" }");
    let encoded = route(
        &upstream,
        "/encoded",
        "header = \"X-Jws\", detached = \"encoded\"",
    );
    let gateway = Gateway::start(&Config::new().route(plain).route(encoded));
    let header = |ts: u64| format!(r#"{{"alg":"HS256","ts":{ts},"b64":false,"crit":["b64"]}}"#);
    let of = |ts: u64, body: &str| {
        Delivery::unsigned("/plain", body)
            .with("X-Jws", token(&header(ts), "", Some(body.as_bytes())))
    };
    let id = fresh_event_id();
    let body = format!("{{\"id\":\"{id}\",\"text\":\"a.b\"}}");
    let good = of(now(), &body);
    gateway
        .ask(good.clone().with_body(format!(".{body}")))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(good.clone().with_body(URL_SAFE_NO_PAD.encode(&body)))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(of(now() - 301, &body))
        .expect_refusal(401, "stale_timestamp");
    gateway
        .ask(of(now() + 60, &body))
        .expect_refusal(401, "future_timestamp");
    assert_eq!(upstream.count(), 0, "forwarded");
    gateway.ask(good.clone()).expect_status(200);
    let recorded = upstream.last();
    recorded.expect_body(body.as_bytes());
    assert_eq!(recorded.header("X-Verigate-Event-Id"), Some(id));
    assert_eq!(recorded.header("X-Jws"), Some(good.value("X-Jws")));
    gateway.ask(good).expect_refusal(409, "replayed_event");
    gateway.ask(of(now() - 2, &body)).expect_duplicate();

    // The other form, and a genuine token with claims that was taken apart.
    let text = URL_SAFE_NO_PAD.encode(&body);
    let other = token(r#"{"alg":"HS256"}"#, "", Some(text.as_bytes()));
    let crossed = Delivery::unsigned("/plain", text.clone()).with("X-Jws", &other);
    gateway
        .ask(crossed)
        .expect_refusal(401, "malformed_signature");
    let encoded = Delivery::unsigned("/encoded", body.clone()).with("X-Jws", &other);
    gateway.ask(encoded).expect_status(200);
    let crossed = Delivery::unsigned("/encoded", body.clone())
        .with("X-Jws", token(&header(now()), "", Some(body.as_bytes())));
    gateway
        .ask(crossed)
        .expect_refusal(401, "malformed_signature");
}

#[test]
fn au_71_a_token_that_is_the_body_is_forwarded_as_it_is_and_read_for_its_event() {
    let upstream = Upstream::start();
    let body = route(
        &upstream,
        "/body",
        "place = \"body\", json_texts = [\"/data\"]",
    )
    .set("accounts", "[\"site_1\"]")
    .scheme("event_id", "{ json = \"/data/id\" }")
    .scheme("event_type", "{ claim = \"type\" }")
    .scheme("account", "{ json = \"/data/site\" }");
    let gateway = Gateway::start(&Config::new().route(body));
    let of = |id: &str, site: &str, exp: u64| {
        let data = format!(r#"{{\"id\":\"{id}\",\"site\":\"{site}\"}}"#);
        with_claims(&format!(
            r#"{{"exp":{exp},"type":"order","data":"{data}"}}"#
        ))
    };
    let ask = |token: &str| {
        gateway.ask(Delivery::unsigned("/body", token).set("Content-Type", "text/plain"))
    };
    let id = fresh_event_id();
    let good = of(&id, "site_1", now() + 60);
    for around in [
        format!("{good}\n"),
        format!(" {good}"),
        format!("\"{good}\""),
    ] {
        ask(&around).expect_refusal(401, "malformed_signature");
    }
    ask(&of(&id, "site_1", now() - 1)).expect_refusal(401, "stale_timestamp");
    ask(&of(&id, "site_2", now() + 60)).expect_refusal(403, "account_not_listed");
    ask("").expect_refusal(401, "missing_signature");
    let beside = Delivery::unsigned("/body", "{}").with("Authorization", &good);
    gateway
        .ask(beside)
        .expect_refusal(401, "malformed_signature");
    assert_eq!(upstream.count(), 0, "forwarded");
    ask(&good).expect_status(200);
    let recorded = upstream.last();
    recorded.expect_body(good.as_bytes());
    assert_eq!(recorded.header("X-Verigate-Event-Id"), Some(id.clone()));
    assert_eq!(
        recorded.header("X-Verigate-Event-Type").as_deref(),
        Some("order")
    );
    assert_eq!(
        recorded.header("Content-Type").as_deref(),
        Some("text/plain")
    );
    // Another token for the same event.
    ask(&of(&id, "site_1", now() + 90)).expect_duplicate();
    assert_eq!(upstream.count(), 1, "forwarded");
}

#[test]
fn au_72_au_73_a_token_for_another_url_or_request_is_refused_and_one_without_the_body_comes_once() {
    let upstream = Upstream::start();
    let url = route(
        &upstream,
        "/url",
        "header = \"Authorization\", url_claim = \"aud\"",
    );
    let request = route(
        &upstream,
        "/request",
        "header = \"Authorization\", prefix = \"JWT \", request_digest = { claim = \"qsh\" }",
    );
    let gateway = Gateway::start(&Config::new().route(url).route(request));
    let of_url = |url: &str| with_claims(&format!(r#"{{"exp":{},"aud":"{url}"}}"#, now() + 60));
    let ask = |target: &str, token: String, body: &str| {
        gateway.ask(Delivery::unsigned(target, body).with("Authorization", token))
    };
    for other in [
        "https://elsewhere.example/url",
        "https://hooks.example.com/url/",
        "/url",
    ] {
        ask("/url", of_url(other), "{}").expect_refusal(401, "bad_signature");
    }
    let good = of_url(&format!("{ORIGIN}/url"));
    ask("/url?x=1", good.clone(), "{}").expect_refusal(401, "bad_signature");
    ask("/url", good.clone(), "{}").expect_status(200);
    // Nothing signs the body: the captured token under another body is the same delivery.
    ask("/url", good, "{\"other\":1}").expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1, "forwarded");

    let of_request = |text: &str| {
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        format!(
            "JWT {}",
            with_claims(&format!(r#"{{"exp":{},"qsh":"{digest}"}}"#, now() + 60))
        )
    };
    let good = of_request("POST&/request&a=1&b=2");
    for target in [
        "/request",
        "/request?a=1&b=3",
        "/request?a=1&b=2&jwt=x",
        "/request?a=1&b=2&c",
    ] {
        ask(target, good.clone(), "{}").expect_refusal(401, "bad_signature");
    }
    ask("/request?a=1&b=2", of_request("GET&/request&a=1&b=2"), "{}")
        .expect_refusal(401, "bad_signature");
    ask(
        "/request?a=1&b=2",
        format!(
            "JWT {}",
            with_claims(&format!(r#"{{"exp":{},"qsh":"context-qsh"}}"#, now() + 60))
        ),
        "{}",
    )
    .expect_refusal(401, "malformed_signature");
    ask("/request?b=2&a=1", good.clone(), "{}").expect_status(200);
    // Another order of the query is the same delivery.
    ask("/request?a=1&b=2", good, "{}").expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 2, "forwarded");
}
