//! Every row of the table of handshakes with its published exchange, requests that are no
//! handshake, and the fixtures that the other tests of this module share (schemes: Handshakes).

mod oracle;
mod reflection;

use std::sync::Arc;
use std::time::Duration;

use sha1::{Digest as _, Sha1};

use crate::clock::{Now, UnixMillis};
use crate::key::secret::SecretText;
use crate::providers::{HANDSHAKES, handshake as find};
use crate::scheme::handshake::{Asked, Handshake, MAX_OPEN_BODY, MAX_SIGNED_BODY};
use crate::scheme::tests::fixtures::{TOLERANCE, changed, plain, secret, template_of};
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Scheme, Settings};
use crate::sign::{SignRequest, sign};
use crate::verdict::{Code, Refusal};
use crate::verify::handshake::{AnswerFacts, Learning, Step, step as step_of};
use crate::verify::verifier::{Proof, Verifier};
use crate::wire::head::Head;

/// The handshake of this name.
fn of(name: &str) -> &'static dyn Handshake {
    find(name).unwrap()
}

const NOW: Now = Now {
    wall: UnixMillis(1_750_000_000_000),
    mono: Duration::ZERO,
};

fn verifier(scheme: Scheme, secrets: &[(&str, &str)]) -> Verifier {
    let settings = Settings {
        tolerance: TOLERANCE,
        future_tolerance: TOLERANCE,
        public_url: None,
        max_body: 1 << 20,
    };
    assert_eq!(scheme.faults(&settings), []);
    let secrets = secrets
        .iter()
        .map(|(name, text)| secret(name, text))
        .collect();
    Verifier::new(Arc::new(scheme), secrets, settings).unwrap()
}

/// A scheme whose key can answer this handshake.
fn scheme(handshake: &str) -> Scheme {
    let mut scheme = Scheme {
        handshake: Some(of(handshake)),
        ..plain("{body}")
    };
    if handshake == "braintree" {
        // The key is the hash of the private key.
        template_of(&mut scheme).algorithm = Algorithm::HmacSha1;
        template_of(&mut scheme).key = vec![KeyForm {
            encoding: KeyEncoding::Hex,
            ..KeyForm::default()
        }];
    }
    scheme
}

/// The secret of the published exchange.
fn published_secret(handshake: &str) -> String {
    match handshake {
        "zoom" => "zoom_secret_token".to_owned(),
        "x-twitter" => "consumer_secret".to_owned(),
        "linkedin" => "client-secret-test".to_owned(),
        "smartcar" => "amt-test".to_owned(),
        "braintree" => hex::encode(Sha1::digest(b"privkey")),
        _ => "unused".to_owned(),
    }
}

fn head(method: &str, target: &str, lines: &[(&str, &str)]) -> Head {
    Head::from_parts(
        method,
        target,
        lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
    )
    .unwrap()
}

/// The gateway's next step for a recognised handshake, on a route that knows the published values.
fn step(handshake: &str, asked: Asked, learning: Learning) -> Result<Step, Refusal> {
    let secret = published_secret(handshake);
    let verifier = verifier(scheme(handshake), &[("s", &secret)]);
    let token = SecretText::new(
        if handshake == "lark" {
            "xxxxxx"
        } else {
            "meatyhamhock"
        }
        .into(),
    );
    step_of(
        asked,
        &AnswerFacts {
            verifier: &verifier,
            proved_by: None,
            now: NOW,
            verify_token: Some(&token),
            public_key: Some("pubkey"),
            learning,
        },
    )
}

/// The part of a request in which a handshake is recognised.
#[derive(Clone, Copy, Debug)]
enum Way {
    Head,
    Body,
    Proved,
}

fn asked(handshake: &str, way: Way, head: &Head, body: &[u8]) -> Result<Option<Asked>, Refusal> {
    let handshake = of(handshake);
    match way {
        Way::Head => handshake.in_head(head),
        Way::Body => handshake.asked_in_body(body),
        Way::Proved => handshake.asked_in_proved(head, body),
    }
}

/// The answer by its status, type and body.
fn answered(step: &Result<Step, Refusal>) -> Option<(u16, &str, &str)> {
    match step {
        Ok(Step::Answer(reply) | Step::Learn { reply, .. }) => {
            Some((reply.status, reply.content_type, &reply.body))
        }
        _ => None,
    }
}

#[test]
fn every_name_leads_back_to_its_handshake() {
    for handshake in HANDSHAKES {
        assert_eq!(of(handshake.name()).name(), handshake.name());
    }
}

#[test]
fn every_published_exchange_is_answered_as_published() {
    type Row<'r> = (
        &'r str,
        Way,
        &'r str,
        &'r str,
        &'r [(&'r str, &'r str)],
        &'r str,
        Option<(u16, &'r str, &'r str)>,
    );
    const TEXT: &str = "text/plain";
    const JSON: &str = "application/json";
    const LONG: &str = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let challenge = format!(r#"{{"challenge":"{LONG}"}}"#);
    let slack = format!(
        r#"{{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"{LONG}","type":"url_verification"}}"#
    );
    let rows: &[Row<'_>] = &[
        (
            "slack",
            Way::Proved,
            "POST",
            "/",
            &[],
            &slack,
            Some((200, TEXT, LONG)),
        ),
        (
            "zoom",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#,
            Some((
                200,
                JSON,
                r#"{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"bd48235863f4a6323ccc4963c594908b7c97f88b4a6a95278f4f093690b12726"}"#,
            )),
        ),
        (
            "x-twitter",
            Way::Head,
            "GET",
            "/in/x-twitter?crc_token=challenge_string",
            &[],
            "",
            Some((
                200,
                JSON,
                r#"{"response_token":"sha256=v1WdiCVwy17uGTMWveHGlqQXN/qW1bQraNXXByRO2YA="}"#,
            )),
        ),
        (
            "okta",
            Way::Head,
            "GET",
            "/",
            &[("x-okta-verification-challenge", "abc123")],
            "",
            Some((200, JSON, r#"{"verification":"abc123"}"#)),
        ),
        (
            "asana",
            Way::Head,
            "POST",
            "/",
            &[(
                "X-Hook-Secret",
                "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81",
            )],
            "",
            Some((200, TEXT, "")),
        ),
        (
            "discord-interactions",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"type":1}"#,
            Some((200, JSON, r#"{"type":1}"#)),
        ),
        (
            "discord-events",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"version":1,"application_id":"1234560123453231555","type":0}"#,
            Some((204, TEXT, "")),
        ),
        (
            "meta",
            Way::Head,
            "GET",
            "/in/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock",
            &[],
            "",
            Some((200, TEXT, "1158201444")),
        ),
        (
            "twitch",
            Way::Proved,
            "POST",
            "/",
            &[(
                "Twitch-Eventsub-Message-Type",
                "webhook_callback_verification",
            )],
            r#"{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{}}"#,
            Some((200, TEXT, "pogchamp-kappa-360noscope-vohiyo")),
        ),
        (
            "braintree",
            Way::Head,
            "GET",
            "/in/braintree?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
            &[],
            "",
            Some((200, TEXT, "pubkey|737ee49fd8648314b65baa80fcdd1408a822168e")),
        ),
        (
            "microsoft-graph",
            Way::Head,
            "POST",
            "/in/msgraph?validationToken=Validation%3A+Testing+client",
            &[],
            "",
            Some((200, TEXT, "Validation: Testing client")),
        ),
        (
            "lark",
            Way::Body,
            "POST",
            "/",
            &[],
            r#"{"challenge":"ajls384kdjx98XX","token":"xxxxxx","type":"url_verification"}"#,
            Some((200, JSON, r#"{"challenge":"ajls384kdjx98XX"}"#)),
        ),
        (
            "xero",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"events":[],"entropy":"S0m3"}"#,
            Some((200, TEXT, "")),
        ),
        (
            "dropbox",
            Way::Head,
            "GET",
            "/in/dropbox?challenge=abc123",
            &[],
            "",
            Some((200, TEXT, "abc123")),
        ),
        (
            "onfleet",
            Way::Head,
            "GET",
            "/in/onfleet?check=abc123",
            &[],
            "",
            Some((200, TEXT, "abc123")),
        ),
        (
            "nylas",
            Way::Head,
            "GET",
            "/in/nylas?challenge=bc609b38-c81f-47fb-a275-0d9bd61a968b",
            &[],
            "",
            Some((200, TEXT, "bc609b38-c81f-47fb-a275-0d9bd61a968b")),
        ),
        (
            "adobe-io-events",
            Way::Head,
            "GET",
            "/in/adobe-io-events?challenge=8ec8d794-e0ab-42df-9017-e3dada8e84f7",
            &[],
            "",
            Some((200, TEXT, "8ec8d794-e0ab-42df-9017-e3dada8e84f7")),
        ),
        (
            "front",
            Way::Head,
            "POST",
            "/",
            &[("X-Front-Challenge", "abc123")],
            "",
            Some((200, TEXT, "abc123")),
        ),
        (
            "linkedin",
            Way::Head,
            "GET",
            "/in/linkedin?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0",
            &[],
            "",
            Some((
                200,
                JSON,
                r#"{"challengeCode":"890e4665-4dfe-4ab1-b689-ed553bceeed0","challengeResponse":"a1b176c35d271d4b4ad2f2db29f20500099524b698dc6fef5a7082cdbbcab44a"}"#,
            )),
        ),
        (
            "smartcar",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"eventName":"verify","payload":{"challenge":"c62a5c6f"}}"#,
            Some((
                200,
                JSON,
                r#"{"challenge":"0f5c718abbbf73684baec817325851687d1d27123e9d11718ed1f6034a57da95"}"#,
            )),
        ),
        (
            "trello",
            Way::Head,
            "HEAD",
            "/",
            &[],
            "",
            Some((200, TEXT, "")),
        ),
        (
            "aws-sns",
            Way::Proved,
            "POST",
            "/",
            &[],
            r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"u"}"#,
            None,
        ),
        (
            "notion",
            Way::Body,
            "POST",
            "/",
            &[],
            r#"{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}"#,
            Some((200, TEXT, "")),
        ),
        (
            "monday",
            Way::Body,
            "POST",
            "/",
            &[],
            &challenge,
            Some((200, JSON, &challenge)),
        ),
        (
            "intercom",
            Way::Head,
            "HEAD",
            "/",
            &[],
            "",
            Some((200, TEXT, "")),
        ),
        (
            "woocommerce",
            Way::Body,
            "POST",
            "/",
            &[],
            "webhook_id=1",
            Some((200, TEXT, "")),
        ),
        (
            "bitbucket",
            Way::Body,
            "POST",
            "/",
            &[("X-Event-Key", "diagnostics:ping")],
            "{\"test\": true}",
            Some((200, TEXT, "")),
        ),
    ];
    assert_eq!(rows.len(), HANDSHAKES.len());
    let mut wrong = Vec::new();
    for (handshake, way, method, target, lines, body, expected) in rows {
        let asked = asked(
            handshake,
            *way,
            &head(method, target, lines),
            body.as_bytes(),
        );
        let Ok(Some(asked)) = asked else {
            wrong.push(format!("{handshake:?}: {asked:?}"));
            continue;
        };
        let step = step(handshake, asked, Learning::Open);
        if answered(&step) != *expected {
            wrong.push(format!("{handshake:?}: {step:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_handshake_that_comes_in_two_forms_is_answered_in_both() {
    let front = head("POST", "/", &[("X-Front-Challenge", "abc123")]);
    let sync = br#"{"type":"sync","authorization":{"id":"cmp_abc"}}"#;
    let asked = of("front").asked_in_proved(&front, sync).unwrap().unwrap();
    let step_of_front = step("front", asked, Learning::Never);
    assert_eq!(
        answered(&step_of_front),
        Some((200, "text/plain", "abc123"))
    );
    let verify = br#"{"eventId":"52f6e0bb","eventType":"VERIFY","data":{"challenge":"c62a5c6f"}}"#;
    let asked = of("smartcar").asked_in_proved(&head("POST", "/", &[]), verify);
    let step_of_smartcar = step("smartcar", asked.unwrap().unwrap(), Learning::Never);
    let mac = r#"{"challenge":"0f5c718abbbf73684baec817325851687d1d27123e9d11718ed1f6034a57da95"}"#;
    assert_eq!(
        answered(&step_of_smartcar),
        Some((200, "application/json", mac))
    );
}

#[test]
fn what_is_no_handshake_by_its_form_is_left_to_the_usual_judgement() {
    type Row<'r> = (
        &'r str,
        Way,
        &'r str,
        &'r str,
        &'r [(&'r str, &'r str)],
        &'r str,
    );
    let rows: &[Row<'_>] = &[
        ("x-twitter", Way::Head, "GET", "/x", &[], ""),
        ("x-twitter", Way::Head, "POST", "/x?crc_token=a", &[], ""),
        ("x-twitter", Way::Head, "HEAD", "/x?crc_token=a", &[], ""),
        (
            "x-twitter",
            Way::Head,
            "GET",
            "/x?crc_token=a",
            &[("Content-Length", "1")],
            "",
        ),
        (
            "x-twitter",
            Way::Head,
            "GET",
            "/x?CRC_TOKEN=a&crc_token2=b&x=crc_token=c",
            &[],
            "",
        ),
        ("dropbox", Way::Head, "GET", "/x?chal%lenge=a", &[], ""),
        ("meta", Way::Head, "GET", "/x?mode=subscribe", &[], ""),
        (
            "microsoft-graph",
            Way::Head,
            "POST",
            "/x?validationToken=a",
            &[("Content-Length", "2")],
            "",
        ),
        (
            "microsoft-graph",
            Way::Head,
            "POST",
            "/x?validationToken=a",
            &[("Transfer-Encoding", "chunked")],
            "",
        ),
        (
            "microsoft-graph",
            Way::Head,
            "GET",
            "/x?validationToken=a",
            &[],
            "",
        ),
        ("onfleet", Way::Head, "GET", "/x?challenge=a", &[], ""),
        ("onfleet", Way::Head, "POST", "/x?check=a", &[], ""),
        ("nylas", Way::Head, "GET", "/x?check=a", &[], ""),
        (
            "adobe-io-events",
            Way::Head,
            "GET",
            "/x?challenge=a",
            &[("Content-Length", "2")],
            "",
        ),
        // A signed request is a delivery, whatever header a stranger adds to it.
        (
            "front",
            Way::Head,
            "POST",
            "/x",
            &[("X-Front-Challenge", "a"), ("X-Front-Signature", "b")],
            "",
        ),
        (
            "front",
            Way::Head,
            "POST",
            "/x",
            &[("X-Front-Challenge", "a"), ("Content-Length", "2")],
            "",
        ),
        (
            "front",
            Way::Head,
            "GET",
            "/x",
            &[("X-Front-Challenge", "a")],
            "",
        ),
        ("front", Way::Head, "POST", "/x", &[], ""),
        (
            "front",
            Way::Proved,
            "POST",
            "/x",
            &[("X-Front-Challenge", "a")],
            r#"{"type":"message"}"#,
        ),
        (
            "front",
            Way::Proved,
            "POST",
            "/x",
            &[("X-Front-Challenge", "a")],
            r#"{"payload":{"type":"sync"}}"#,
        ),
        (
            "front",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":"sync"}"#,
        ),
        ("linkedin", Way::Head, "GET", "/x?challengecode=a", &[], ""),
        ("linkedin", Way::Head, "POST", "/x?challengeCode=a", &[], ""),
        (
            "smartcar",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"eventType":"VERIFY","data":{"challenge":"a"}}"#,
        ),
        (
            "smartcar",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"eventType":"VEHICLE_STATE","data":{"challenge":"a"}}"#,
        ),
        (
            "smartcar",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"data":{"eventType":"VERIFY","challenge":"a"}}"#,
        ),
        ("trello", Way::Head, "GET", "/x", &[], ""),
        (
            "asana",
            Way::Head,
            "POST",
            "/x",
            &[("X-Hook-Secret", "0123456789"), ("X-Hook-Signature", "ab")],
            "",
        ),
        (
            "asana",
            Way::Head,
            "GET",
            "/x",
            &[("X-Hook-Secret", "0123456789")],
            "",
        ),
        (
            "asana",
            Way::Head,
            "POST",
            "/x",
            &[("X_Hook_Secret", "0123456789")],
            "",
        ),
        // No signature covers the request and the app may get it, so its body must be too short for
        // an event.
        (
            "asana",
            Way::Head,
            "POST",
            "/x",
            &[("X-Hook-Secret", "0123456789"), ("Content-Length", "13")],
            "",
        ),
        (
            "asana",
            Way::Head,
            "POST",
            "/x",
            &[
                ("X-Hook-Secret", "0123456789"),
                ("Transfer-Encoding", "chunked"),
            ],
            "",
        ),
        (
            "slack",
            Way::Head,
            "POST",
            "/x",
            &[],
            r#"{"type":"url_verification","challenge":"a"}"#,
        ),
        (
            "slack",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"type":"url_verification","challenge":"a"}"#,
        ),
        (
            "slack",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":"event_callback","challenge":"a"}"#,
        ),
        (
            "slack",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":"a","type":"url_verification","challenge":"a"}"#,
        ),
        (
            "slack",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":"url_verification","challenge":"a"}x"#,
        ),
        (
            "slack",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"event":{"type":"url_verification","challenge":"a"}}"#,
        ),
        (
            "slack",
            Way::Proved,
            "POST",
            "/x",
            &[],
            "payload=url_verification",
        ),
        (
            "zoom",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"event":"meeting.started","payload":{"plainToken":"a"}}"#,
        ),
        (
            "zoom",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}"#,
        ),
        (
            "twitch",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"challenge":"a"}"#,
        ),
        (
            "twitch",
            Way::Proved,
            "POST",
            "/x",
            &[("Twitch-Eventsub-Message-Type", "notification")],
            r#"{"challenge":"a"}"#,
        ),
        (
            "twitch",
            Way::Proved,
            "POST",
            "/x",
            &[(
                "Twitch-Eventsub-Message-Type",
                "webhook_callback_verification",
            )],
            r#"{"event":{"challenge":"a"}}"#,
        ),
        (
            "discord-interactions",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":2}"#,
        ),
        (
            "discord-interactions",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":"1"}"#,
        ),
        (
            "discord-interactions",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":1.0}"#,
        ),
        (
            "discord-interactions",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"type":1}"#,
        ),
        (
            "discord-events",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"type":1}"#,
        ),
        ("xero", Way::Proved, "POST", "/x", &[], r#"{"events":[{}]}"#),
        (
            "xero",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"events":[null]}"#,
        ),
        ("xero", Way::Proved, "POST", "/x", &[], r#"{"events":{}}"#),
        ("xero", Way::Proved, "POST", "/x", &[], "{}"),
        (
            "aws-sns",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"Type":"Notification"}"#,
        ),
        (
            "lark",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"type":"event_callback","challenge":"a","token":"xxxxxx"}"#,
        ),
        (
            "lark",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"encrypt":"AAAA"}"#,
        ),
        (
            "lark",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"encrypt":"no base64"}"#,
        ),
        (
            "lark",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"encrypt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
        ),
        (
            "monday",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"challenge":"a","event":{}}"#,
        ),
        (
            "monday",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"[{"challenge":"a"}]"#,
        ),
        (
            "notion",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"verification_token":"0123456789","type":"page.created"}"#,
        ),
        (
            "notion",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"verification_token":"0123456789","id":"a"}"#,
        ),
        (
            "notion",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"verification_token":"0123456789","entity":{}}"#,
        ),
        (
            "notion",
            Way::Body,
            "POST",
            "/x",
            &[],
            r#"{"verification_token":"0123456789","data":null}"#,
        ),
        (
            "notion",
            Way::Proved,
            "POST",
            "/x",
            &[],
            r#"{"verification_token":"0123456789"}"#,
        ),
    ];
    let mut wrong = Vec::new();
    for (handshake, way, method, target, lines, body) in rows {
        let asked = asked(
            handshake,
            *way,
            &head(method, target, lines),
            body.as_bytes(),
        );
        if !matches!(asked, Ok(None)) {
            wrong.push(format!("{handshake:?} {target} {body}: {asked:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_body_larger_than_any_handshake_is_none() {
    let fill = |length: usize| {
        format!(
            r#"{{"challenge":"a","type":"url_verification","fill":"{}"}}"#,
            "x".repeat(length)
        )
    };
    assert!(
        of("monday")
            .asked_in_body(fill(MAX_OPEN_BODY - 100).as_bytes())
            .unwrap()
            .is_some()
    );
    assert!(
        of("monday")
            .asked_in_body(fill(MAX_OPEN_BODY).as_bytes())
            .unwrap()
            .is_none()
    );
    let slack = |length| {
        of("slack")
            .asked_in_proved(&head("POST", "/", &[]), fill(length).as_bytes())
            .unwrap()
    };
    assert!(slack(MAX_SIGNED_BODY - 100).is_some());
    assert!(slack(MAX_SIGNED_BODY).is_none());
}

#[test]
fn an_encrypted_handshake_of_lark_is_for_the_app() {
    let body = format!(r#"{{"encrypt":"{}"}}"#, "A".repeat(42) + "A=");
    let asked = of("lark").asked_in_body(body.as_bytes()).unwrap().unwrap();
    assert!(matches!(
        step("lark", asked, Learning::Never),
        Ok(Step::Forward(_))
    ));
    // A text as long as an event is no handshake: the first has 240 bytes decoded, the second 288.
    let encrypted = |length| format!(r#"{{"encrypt":"{}"}}"#, "A".repeat(length));
    assert!(
        of("lark")
            .asked_in_body(encrypted(320).as_bytes())
            .unwrap()
            .is_some()
    );
    assert!(
        of("lark")
            .asked_in_body(encrypted(384).as_bytes())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_secret_is_taken_once_and_only_by_a_route_that_waits_for_one() {
    let asked = || {
        of("asana")
            .in_head(&head("POST", "/", &[("X-Hook-Secret", "0123456789")]))
            .unwrap()
            .unwrap()
    };
    let step = |learning| step("asana", asked(), learning);
    let Ok(Step::Learn { secret, reply }) = step(Learning::Open) else {
        panic!("not taken")
    };
    assert_eq!(secret.expose(), b"0123456789");
    assert_eq!(reply.hook_secret, Some(secret));
    assert!(matches!(step(Learning::Never), Ok(Step::Forward(_))));
    assert_eq!(step(Learning::Done).unwrap_err().code, Code::BadSignature);
    assert!(
        !format!("{:?}", asked()).contains("0123456789"),
        "a secret is shown"
    );
}

#[test]
fn a_secret_that_is_too_short_or_long_or_not_visible_is_refused() {
    let (edge, long) = ("k".repeat(512), "k".repeat(513));
    for (value, is_taken) in [
        ("1234567", false),
        ("12345678", true),
        (&*edge, true),
        (&*long, false),
        ("1234 5678", false),
    ] {
        let asana = of("asana").in_head(&head("POST", "/", &[("X-Hook-Secret", value)]));
        let notion =
            of("notion").asked_in_body(format!(r#"{{"verification_token":"{value}"}}"#).as_bytes());
        for asked in [asana, notion] {
            assert_eq!(asked.is_ok(), is_taken, "{value}");
            assert!(asked.is_ok() || asked.unwrap_err().code == Code::MalformedHandshake);
        }
    }
    let twice = head(
        "POST",
        "/",
        &[("X-Hook-Secret", "12345678"), ("X-Hook-Secret", "12345678")],
    );
    assert_eq!(
        of("asana").in_head(&twice).unwrap_err().code,
        Code::MalformedHandshake
    );
    let other = of("notion").asked_in_body(br#"{"verification_token":12345678}"#);
    assert_eq!(other.unwrap_err().code, Code::MalformedHandshake);
}

#[test]
fn only_the_requests_that_come_wrongly_signed_on_purpose_are_probes() {
    for (handshake, body, is_probe) in [
        ("discord-interactions", r#"{"type":1}"#, true),
        ("discord-interactions", r#"{"type":2}"#, false),
        ("discord-events", r#"{"type":0}"#, true),
        ("discord-events", r#"{"type":1}"#, false),
        ("xero", r#"{"events":[]}"#, true),
        ("xero", r#"{"events":[{"a":1}]}"#, false),
        (
            "slack",
            r#"{"type":"url_verification","challenge":"a"}"#,
            false,
        ),
    ] {
        assert_eq!(
            of(handshake).probes_with(body.as_bytes()),
            is_probe,
            "{handshake:?} {body}"
        );
    }
}
