//! Texts that are sent back to a stranger (AU-25).

use super::*;

#[test]
fn au_25_what_is_sent_back_is_short_visible_text_and_never_html() {
    let long = "a".repeat(1025);
    let (edge, html) = ("a".repeat(1024), "%3Cscript%3Ealert(1)%3C/script%3E");
    let rows: Vec<(&str, &str, String, Option<&str>)> = vec![
        (
            "microsoft-graph",
            "POST",
            format!("validationToken={html}"),
            Some("<script>alert(1)</script>"),
        ),
        (
            "microsoft-graph",
            "POST",
            format!("validationToken={edge}"),
            Some(&edge),
        ),
        (
            "microsoft-graph",
            "POST",
            format!("validationToken={long}"),
            None,
        ),
        (
            "microsoft-graph",
            "POST",
            "validationToken=a%0d%0aSet-Cookie:%20b".into(),
            None,
        ),
        ("microsoft-graph", "POST", "validationToken=".into(), None),
        (
            "microsoft-graph",
            "POST",
            "validationToken=%C3%A9".into(),
            None,
        ),
        (
            "microsoft-graph",
            "POST",
            "validationToken=a%09b".into(),
            None,
        ),
        (
            "microsoft-graph",
            "POST",
            "validationToken=a&validationToken=b".into(),
            None,
        ),
        (
            "microsoft-graph",
            "POST",
            "validationtoken=a&validationToken=b".into(),
            None,
        ),
        (
            "dropbox",
            "GET",
            format!("challenge={html}"),
            Some("<script>alert(1)</script>"),
        ),
        (
            "onfleet",
            "GET",
            format!("check={html}"),
            Some("<script>alert(1)</script>"),
        ),
        ("onfleet", "GET", format!("check={edge}"), Some(&edge)),
        ("onfleet", "GET", format!("check={long}"), None),
        ("onfleet", "GET", "check=".into(), None),
        ("onfleet", "GET", "check=a&check=b".into(), None),
        (
            "onfleet",
            "GET",
            "check=a%0d%0aSet-Cookie:%20b".into(),
            None,
        ),
        ("dropbox", "GET", "challenge=a+b".into(), None),
        ("dropbox", "GET", "challenge=a%00".into(), None),
        ("dropbox", "GET", format!("challenge={long}"), None),
    ];
    let mut wrong = Vec::new();
    for (handshake, method, query, expected) in rows {
        let asked = of(handshake).in_head(&head(method, &format!("/x?{query}"), &[]));
        let reply = match asked {
            Ok(Some(Asked::Echo(reply))) => Some((reply.content_type, reply.body)),
            Err(refusal) if refusal.code == Code::MalformedHandshake => None,
            other => {
                wrong.push(format!("{query}: {other:?}"));
                continue;
            }
        };
        if reply.as_ref().map(|(kind, body)| (*kind, &**body))
            != expected.map(|body| ("text/plain", body))
        {
            wrong.push(format!("{query}: {reply:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn text_in_json_is_escaped() {
    let okta = head(
        "GET",
        "/",
        &[("X-Okta-Verification-Challenge", r#"a","b":"\"#)],
    );
    let Ok(Some(Asked::Echo(reply))) = of("okta").in_head(&okta) else {
        panic!("no handshake")
    };
    assert_eq!(reply.body, r#"{"verification":"a\",\"b\":\"\\"}"#);
    let bad: &[&[(&str, &str)]] = &[
        &[("X-Okta-Verification-Challenge", "a b")],
        &[("X-Okta-Verification-Challenge", "")],
        &[
            ("X-Okta-Verification-Challenge", "a"),
            ("X-Okta-Verification-Challenge", "a"),
        ],
        &[
            ("X-Okta-Verification-Challenge", "a"),
            ("X_Okta_Verification_Challenge", "b"),
        ],
    ];
    for lines in bad {
        let asked = of("okta").in_head(&head("GET", "/", lines));
        assert_eq!(
            asked.unwrap_err().code,
            Code::MalformedHandshake,
            "{lines:?}"
        );
    }
    for lines in [
        &[("X-Front-Challenge", "a b")][..],
        &[("X-Front-Challenge", "")],
        &[("X-Front-Challenge", "a"), ("x_front_challenge", "a")],
    ] {
        let asked = of("front").in_head(&head("POST", "/", lines));
        assert_eq!(
            asked.unwrap_err().code,
            Code::MalformedHandshake,
            "{lines:?}"
        );
    }
    for body in [
        r#"{"challenge":"a\u0000"}"#,
        r#"{"challenge":1}"#,
        r#"{"challenge":""}"#,
        r#"{"challenge":"\ud800"}"#,
    ] {
        assert_eq!(
            of("monday")
                .asked_in_body(body.as_bytes())
                .unwrap_err()
                .code,
            Code::MalformedHandshake,
            "{body}"
        );
    }
}

#[test]
fn au_25_a_challenge_is_sent_back_only_with_the_right_verify_token() {
    let meta = |query: &str| {
        let asked = of("meta").in_head(&head("GET", &format!("/x?{query}"), &[]));
        asked.and_then(|asked| step("meta", asked.unwrap(), Learning::Never))
    };
    let rows = [
        (
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhoc",
            Code::WrongVerifyToken,
        ),
        (
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=MEATYHAMHOCK",
            Code::WrongVerifyToken,
        ),
        (
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
            Code::WrongVerifyToken,
        ),
        ("hub.mode=subscribe&hub.challenge=1", Code::WrongVerifyToken),
        (
            "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock",
            Code::MalformedHandshake,
        ),
        (
            "hub.challenge=1&hub.verify_token=meatyhamhock",
            Code::MalformedHandshake,
        ),
        (
            "hub.mode=subscribe&hub.verify_token=meatyhamhock",
            Code::MalformedHandshake,
        ),
        (
            "hub.mode=subscribe&hub.challenge=%0d%0a&hub.verify_token=meatyhamhock",
            Code::MalformedHandshake,
        ),
        (
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock&hub.verify_token=x",
            Code::MalformedHandshake,
        ),
    ];
    for (query, code) in rows {
        assert_eq!(meta(query).unwrap_err().code, code, "{query}");
    }
    for token in ["", "xxxxx", "xxxxxxx", "meatyhamhock"] {
        let body = format!(r#"{{"type":"url_verification","challenge":"a","token":"{token}"}}"#);
        let asked = of("lark").asked_in_body(body.as_bytes()).unwrap().unwrap();
        assert_eq!(
            step("lark", asked, Learning::Never).unwrap_err().code,
            Code::WrongVerifyToken,
            "{token}"
        );
    }
}

#[test]
fn without_a_verify_token_of_its_own_a_route_sends_nothing_back() {
    let verifier = verifier(scheme("meta"), &[("s", "k")]);
    let empty = SecretText::new(Vec::new());
    for verify_token in [None, Some(&empty)] {
        let asked = of("meta")
            .in_head(&head("GET", "/?hub.mode=subscribe&hub.challenge=1", &[]))
            .unwrap()
            .unwrap();
        let facts = AnswerFacts {
            verifier: &verifier,
            proved_by: None,
            now: NOW,
            verify_token,
            public_key: None,
            learning: Learning::Never,
        };
        assert_eq!(
            step_of(asked, &facts).unwrap_err().code,
            Code::WrongVerifyToken
        );
    }
}
