//! AU: handshakes, which answer strangers: none may sign a delivery (AU-24) or show a stranger's page (AU-25).
//!
//! One row for each handshake and outcome; the tables with every row are in `src/providers/tests/handshakes/`.

use crate::stage::Stage;
use crate::support::SOON;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, sign_body};

fn stage() -> Stage {
    Stage::with(|upstream| {
        let route = |name: &str| {
            let path = text(&format!("/h/{name}"));
            Route::plain(upstream)
                .set("name", &text(name))
                .set("path", &path)
                .scheme("handshake", &text(name))
        };
        // No other route may have the key of a handshake that is answered with a MAC.
        let own = |name: &str| {
            let secret = text(&format!("plain:{}", secret_of(name)));
            route(name).set("secrets", &format!("[{secret}]"))
        };
        let braintree = own("braintree")
            .scheme("algorithm", "\"hmac-sha1\"")
            .handshake("public_key", "\"p\"");
        let meta = route("meta").handshake("verify_token", "\"plain:right-token\"");
        let zoom = own("zoom").scheme("signed", "\"v0:{timestamp}:{body}\"");
        let zoom = zoom.scheme("timestamp", "{ header = \"X-Timestamp\" }");
        // LinkedIn signs these words and the body.
        let linkedin = own("linkedin").scheme("signed", "\"hmacsha256={body}\"");
        let others = [
            own("x-twitter"),
            linkedin,
            route("microsoft-graph"),
            route("onfleet"),
            route("dropbox"),
            braintree,
            meta,
            zoom,
        ];
        others
            .into_iter()
            .fold(Config::for_upstream(upstream), Config::route)
    })
}

/// The secret of a route whose handshake is answered with a MAC.
fn secret_of(name: &str) -> String {
    format!("the-own-secret-of-{name}")
}

fn get(target: &str) -> Delivery {
    Delivery::unsigned(target, "")
        .method("GET")
        .without("Content-Length")
}

#[test]
fn au_24_a_handshake_does_not_sign_what_a_delivery_could_be() {
    let stage = stage();
    let mut cases = Cases::new();
    for (name, target) in [
        ("braces", "/h/x-twitter?crc_token=%7B%22event%22%3A1%7D"),
        ("empty", "/h/x-twitter?crc_token="),
        (
            "what LinkedIn signs",
            "/h/linkedin?challengeCode=hmacsha256=%7B%22a%22%3A1%7D",
        ),
        (
            "no UUID",
            "/h/linkedin?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed",
        ),
        (
            "capitals",
            "/h/braintree?bt_challenge=20F9F8ED05F77439FE955C977E4C8A53",
        ),
        (
            "a line end",
            "/h/braintree?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53%0A",
        ),
    ] {
        cases.case(name, || {
            drop(stage.refuses(get(target), 400, "malformed_handshake"));
        });
    }
    cases.case("as it is", || {
        stage.rejects(get("/h/x-twitter?crc_token={\"event\":1}"));
    });
    let zoom = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1654503849:{}"}}"#;
    let unsigned =
        Delivery::unsigned("/h/zoom", zoom).with("X-Timestamp", crate::support::now().to_string());
    cases.case("zoom, unsigned", || {
        drop(stage.refuses(unsigned.clone(), 401, "missing_signature"));
    });
    let forged = unsigned.with(
        "X-Signature",
        format!("sha256={}", sign_body("guessed", b"")),
    );
    cases.case("zoom, forged", || {
        drop(stage.refuses(forged, 401, "bad_signature"));
    });
    cases.finish();
}

#[test]
fn au_24_the_answer_to_a_handshake_signs_no_delivery() {
    let stage = stage();
    let signed = |body: &str| {
        let mac = sign_body(&secret_of("x-twitter"), body.as_bytes());
        Delivery::unsigned("/h/x-twitter", body).with("X-Signature", format!("sha256={mac}"))
    };
    for token in ["abc", "e30="] {
        stage
            .gateway
            .ask(get(&format!("/h/x-twitter?crc_token={token}")))
            .expect_status(200);
        stage.refuses(signed(token), 401, "bad_signature");
    }
    stage.accepts(signed(r#"{"for_user_id":"1"}"#));
}

#[test]
fn au_25_what_a_stranger_sent_comes_back_as_plain_text_or_not_at_all() {
    let stage = stage();
    let page = "%3Chtml%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let graph = |token: &str| {
        Delivery::unsigned(&format!("/h/microsoft-graph?validationToken={token}"), "")
    };
    let mut cases = Cases::new();
    for (name, request) in [
        ("graph", graph(page)),
        ("dropbox", get(&format!("/h/dropbox?challenge={page}"))),
        ("onfleet", get(&format!("/h/onfleet?check={page}"))),
    ] {
        cases.case(name, || {
            let answer = stage.gateway.ask(request);
            assert_eq!(
                answer.header("Content-Type"),
                Some("text/plain"),
                "{answer}"
            );
            assert_eq!(
                answer.header("X-Content-Type-Options"),
                Some("nosniff"),
                "{answer}"
            );
            assert_eq!(answer.body, b"<html><script>alert(1)</script>");
        });
    }
    let (more, most) = ("a".repeat(1025), "a".repeat(10_240));
    for (name, request, status, code) in [
        ("too long", graph(&more), 400, "malformed_handshake"),
        ("10 KB", graph(&most), 414, "uri_too_long"),
        (
            "a line end",
            graph("a%0d%0aSet-Cookie:%20a=b"),
            400,
            "malformed_handshake",
        ),
        (
            "no token",
            get("/h/meta?hub.mode=subscribe&hub.challenge=1"),
            403,
            "wrong_verify_token",
        ),
        (
            "another token",
            get("/h/meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token=right-tokem"),
            403,
            "wrong_verify_token",
        ),
    ] {
        cases.case(name, || drop(stage.refuses(request, status, code)));
    }
    cases.finish();
    let log = stage
        .gateway
        .wait_for_log(SOON, |line| line["status"] == 403);
    assert_eq!(
        (log["verdict"].as_str(), log["outcome"].as_str()),
        (Some("wrong_verify_token"), Some("refused"))
    );
    assert!(
        !stage.gateway.stdout().contains("right-toke"),
        "a verify token was logged"
    );
}
