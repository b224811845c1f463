//! Answers that never sign a delivery (AU-24), and the key that a MAC is made with.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::scheme::handshake::Challenge;

#[test]
fn au_24_only_the_narrow_form_of_a_challenge_gets_a_mac() {
    let long = "a".repeat(129);
    let rows: Vec<(&str, Way, String)> = vec![
        (
            "x-twitter",
            Way::Head,
            "/x?crc_token=%7B%22event%22%3A1%7D".into(),
        ),
        ("x-twitter", Way::Head, "/x?crc_token=%7B%7D".into()),
        ("x-twitter", Way::Head, "/x?crc_token=%22a%22".into()),
        ("x-twitter", Way::Head, "/x?crc_token=a%20b".into()),
        ("x-twitter", Way::Head, "/x?crc_token=".into()),
        ("x-twitter", Way::Head, "/x?crc_token".into()),
        ("x-twitter", Way::Head, format!("/x?crc_token={long}")),
        ("x-twitter", Way::Head, "/x?crc_token=a&crc_token=a".into()),
        (
            "x-twitter",
            Way::Head,
            "/x?crc_token=a&crc%5ftoken=b".into(),
        ),
        ("x-twitter", Way::Head, "/x?crc_token=a%2".into()),
        ("x-twitter", Way::Head, "/x?crc_token=a%zz".into()),
        ("x-twitter", Way::Head, "/x?crc_token=a%00".into()),
        ("x-twitter", Way::Head, "/x?crc_token=a+b".into()),
        ("x-twitter", Way::Head, "/x?crc_token=a%0a".into()),
        ("x-twitter", Way::Head, "/x?crc_token=%c3%a9".into()),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=20F9F8ED05F77439FE955C977E4C8A53".into(),
        ),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=20f9f8ed05f77439fe955c977e4c8a5g".into(),
        ),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=20f9f8ed05f77439fe9".into(),
        ),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=20f9f8ed05f77439fe955c977e4c8a530".into(),
        ),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=20f9f8ed05f77439fe955c977e4c8a5%0A".into(),
        ),
        (
            "braintree",
            Way::Head,
            "/x?bt_challenge=bt_payload=a".into(),
        ),
        (
            "linkedin",
            Way::Head,
            "/x?challengeCode=hmacsha256=%7B%22event%22%3A1%7D%20%20%20".into(),
        ),
        ("linkedin", Way::Head, "/x?challengeCode=abc".into()),
        (
            "linkedin",
            Way::Head,
            "/x?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed".into(),
        ),
        (
            "linkedin",
            Way::Head,
            "/x?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeedg".into(),
        ),
        (
            "linkedin",
            Way::Head,
            "/x?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0&challengeCode=a".into(),
        ),
        ("smartcar", Way::Proved, r#"{\"eventId\":1}"#.into()),
        ("smartcar", Way::Proved, "a.b".into()),
        ("smartcar", Way::Proved, "a b".into()),
        ("smartcar", Way::Proved, String::new()),
        ("smartcar", Way::Proved, long.clone()),
        ("zoom", Way::Proved, "v0:1654503849:{}".into()),
        ("zoom", Way::Proved, "a.b".into()),
        ("zoom", Way::Proved, String::new()),
        ("zoom", Way::Proved, long),
    ];
    let mut wrong = Vec::new();
    for (handshake, way, text) in rows {
        let target = if matches!(way, Way::Head) {
            &*text
        } else {
            "/"
        };
        let body = if handshake == "smartcar" {
            format!(r#"{{"eventType":"VERIFY","data":{{"challenge":"{text}"}}}}"#)
        } else {
            format!(r#"{{"event":"endpoint.url_validation","payload":{{"plainToken":"{text}"}}}}"#)
        };
        match asked(handshake, way, &head("GET", target, &[]), body.as_bytes()) {
            Err(refusal) if refusal.code == Code::MalformedHandshake => {}
            other => wrong.push(format!("{handshake:?} {text}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The verdict on a correctly signed body, on a route with this handshake.
fn delivered(handshake: Option<&str>, mut scheme: Scheme, body: &[u8]) -> Result<Proof, Refusal> {
    scheme.handshake = handshake.map(of);
    let verifier = verifier(scheme, &[("s", "6b")]);
    let request = SignRequest {
        method: "POST",
        target: "/",
        body,
        id: None,
        at: NOW.wall,
        public_url: None,
        headers: &[],
    };
    let lines = sign(verifier.scheme(), &secret("s", "6b"), &request).unwrap();
    let head = Head::from_parts(
        "POST",
        "/",
        lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
    )
    .unwrap();
    verifier.begin(&head, NOW).unwrap().finish(body, NOW)
}

#[test]
fn au_24_a_delivery_that_an_answer_could_have_signed_proves_nothing() {
    let rows: &[(&str, &str, bool)] = &[
        ("x-twitter", "challenge_string", false),
        ("x-twitter", "1", false),
        ("x-twitter", "eyJhIjoxfQ==", false),
        // No token has such a form, so no answer can have signed these bodies.
        ("x-twitter", "", true),
        ("x-twitter", "[]", true),
        ("x-twitter", "\"a b\"", true),
        ("x-twitter", "{} ", true),
        ("x-twitter", "{}x", true),
        ("x-twitter", r#"{"for_user_id":"2244994945"}"#, true),
        ("zoom", "qgg8vlvZRS6UYooatFL8Aw", false),
        ("zoom", r#"{"event":"meeting.started"}"#, true),
        ("linkedin", "890e4665-4dfe-4ab1-b689-ed553bceeed0", false),
        ("linkedin", r#"{"type":"ORGANIZATION_SOCIAL"}"#, true),
        ("smartcar", "c62a5c6f", false),
        ("smartcar", "1", false),
        ("smartcar", r#"{"eventType":"VEHICLE_STATE"}"#, true),
        ("braintree", "20f9f8ed05f77439fe955c977e4c8a53", false),
        ("braintree", "bt_signature=a&bt_payload=PD94bWw", true),
    ];
    let mut wrong = Vec::new();
    for (handshake, body, is_taken) in rows {
        let judged = delivered(Some(handshake), scheme(handshake), body.as_bytes());
        let code = judged.as_ref().err().map(|refusal| refusal.code);
        if code != (!is_taken).then_some(Code::BadSignature) {
            wrong.push((handshake, body, code));
        }
        // The signature itself is valid: without the handshake the delivery is proved.
        assert!(
            delivered(None, scheme(handshake), body.as_bytes()).is_ok(),
            "{body}"
        );
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn au_24_the_parts_of_what_is_signed_count_together() {
    assert!(of("x-twitter").forbids(b"", b"abc", b""));
    assert!(of("zoom").forbids(b"ab", b"c", b"d"));
    assert!(!of("zoom").forbids(b"v0:1654503849:", b"abc", b""));
    assert!(!of("zoom").forbids(b"", &[b'a'; 129], b""));
    assert!(of("linkedin").forbids(b"890e4665-", b"4dfe-4ab1-b689-ed553bceeed0", b""));
    assert!(!of("slack").forbids(b"", b"abc", b""));
}

#[test]
fn the_mac_is_made_with_the_secret_that_proved_the_request_or_the_first_active_one() {
    let mut ended = secret("ended", "x");
    ended.not_after = Some(NOW.wall);
    let settings = Settings {
        tolerance: TOLERANCE,
        future_tolerance: TOLERANCE,
        public_url: None,
        max_body: 1 << 20,
    };
    let secrets = vec![ended, secret("new", "n"), secret("old", "o")];
    let verifier = Verifier::new(Arc::new(scheme("zoom")), secrets, settings).unwrap();
    let mac = |key: &[u8]| {
        let mut mac = of("zoom").mac_algorithm().unwrap().mac(key);
        mac.update(b"token");
        mac.finalize().as_bytes().to_vec()
    };
    let challenge = Challenge::new(of("zoom"), b"token").unwrap();
    let made = |name| {
        verifier
            .answer_mac(&challenge, name, NOW)
            .map(|digest| digest.as_bytes().to_vec())
    };
    assert_eq!(made(None), Some(mac(b"n")));
    assert_eq!(made(Some("old")), Some(mac(b"o")));
    assert_eq!(made(Some("ended")), None);
    // A key of another algorithm answers no challenge.
    let other = Challenge::new(of("braintree"), b"20f9f8ed05f77439fe955c977e4c8a53").unwrap();
    assert!(verifier.answer_mac(&other, None, NOW).is_none());
}

#[test]
fn a_scheme_whose_key_cannot_answer_or_whose_deliveries_an_answer_could_sign_is_at_fault() {
    let settings = Settings {
        tolerance: TOLERANCE,
        future_tolerance: TOLERANCE,
        public_url: None,
        max_body: 1 << 20,
    };
    let faults = |scheme: Scheme| -> Vec<_> {
        scheme
            .faults(&settings)
            .iter()
            .map(|fault| fault.key)
            .collect()
    };
    let sha512 = changed(scheme("x-twitter"), |template| {
        template.algorithm = Algorithm::HmacSha512;
    });
    assert_eq!(faults(sha512), ["handshake"]);
    let bare = Scheme {
        handshake: Some(of("x-twitter")),
        ..changed(plain("{header:x-nonce}"), |template| {
            template.may_leave_body = true;
        })
    };
    assert_eq!(faults(bare), ["handshake"]);
    let echo = Scheme {
        handshake: Some(of("slack")),
        ..changed(plain("{header:x-nonce}"), |template| {
            template.may_leave_body = true;
        })
    };
    assert_eq!(faults(echo), [""; 0]);
}

proptest! {
    /// LinkedIn signs `hmacsha256=` and the body. No body makes that a text which is answered with a
    /// MAC, so an answer is never the signature of a delivery.
    #[test]
    fn au_24_nothing_that_linkedin_signs_is_a_challenge(body in vec(any::<u8>(), 0..64)) {
        prop_assert!(!of("linkedin").forbids(b"hmacsha256=", &body, b""));
        let signed = [b"hmacsha256=", &body[..]].concat();
        prop_assert!(Challenge::new(of("linkedin"), &signed).is_err());
    }

    /// Smartcar signs the body alone. Whatever is answered with a MAC is refused as a delivery, and
    /// no JSON object or array is answered.
    #[test]
    fn au_24_what_smartcar_is_answered_with_is_no_delivery(
        text in "[ -~]{0,130}",
        bracket in prop_oneof![Just('{'), Just('[')],
    ) {
        let is_answered = Challenge::new(of("smartcar"), text.as_bytes()).is_ok();
        prop_assert_eq!(of("smartcar").forbids(b"", text.as_bytes(), b""), is_answered);
        let json = format!("{bracket}{text}");
        prop_assert!(Challenge::new(of("smartcar"), json.as_bytes()).is_err());
    }
}
