//! The forms of a JSON Web Token as a scheme says them: claims for URL and request, a detached token, a
//! token that is the body.

use super::CUSTOM;
use super::problems::{each_says, problems};
use super::schemes::read_good;
use crate::scheme::Place;
use crate::scheme::jwt::{Payload, TokenPlace};

fn jwt(keys: &str) -> String {
    format!("algorithm = \"jwt\"\n[jwt]\n{keys}")
}

#[test]
fn a_token_may_be_detached_be_the_body_or_name_url_and_request() {
    let scheme = read_good(&jwt(
        "header = \"X-J\"\nalgorithms = [\"RS512\"]\ndetached = \"encoded\"",
    ));
    let rule = scheme.token_rule().unwrap();
    let expected = Payload::Detached {
        is_encoded: true,
        stamp: None,
    };
    assert_eq!(
        (&rule.payload, rule.timeless, rule.max_age),
        (&expected, true, None)
    );
    assert!(scheme.covers_body() && !scheme.has_timestamp() && !scheme.signs_timestamp());

    let scheme = read_good(&jwt(
        "header = \"X-J\"\nalgorithms = [\"RS256\"]\ndetached = \"unencoded\"\nstamp = \"ts\"\nmax_age = \"5m\"",
    ));
    let rule = scheme.token_rule().unwrap();
    let expected = Payload::Detached {
        is_encoded: false,
        stamp: Some("ts".into()),
    };
    assert_eq!(
        (&rule.payload, rule.timeless, rule.max_age),
        (&expected, false, Some(300_000))
    );
    assert!(scheme.covers_body() && scheme.signs_timestamp());

    let scheme = read_good(&format!(
        "event_id = {{ json = \"/data/id\" }}\naccount = {{ claim = \"iss\" }}\n{}",
        jwt("place = \"body\"\nalgorithms = [\"RS256\"]\njson_texts = [\"/data\"]")
    ));
    let rule = scheme.token_rule().unwrap();
    assert!(matches!(&rule.place, TokenPlace::Body { json_texts } if json_texts.len() == 1));
    assert_eq!(
        (rule.header(), rule.prefix(), rule.timeless),
        (None, "", false)
    );
    assert!(scheme.covers_body() && scheme.id_is_signed() && scheme.account_is_signed());
    assert_eq!(scheme.account, Some(Place::Claim("iss".into())));

    let scheme = read_good(&jwt(
        "header = \"X-J\"\nplace = \"header\"\nalgorithms = [\"HS256\"]\nurl_claim = \"aud\"\n\
         request_digest = { claim = \"qsh\", base_path = \"/app\" }",
    ));
    let rule = scheme.token_rule().unwrap();
    assert_eq!(rule.url_claim.as_deref(), Some("aud"));
    let digest = rule.request_digest.as_ref().unwrap();
    assert_eq!(
        (digest.claim.as_str(), digest.base_path.as_str()),
        ("qsh", "/app")
    );
    assert!(!scheme.covers_body() && scheme.signs_url() && scheme.signs_path());
    // Only the request is digested: no public URL is needed.
    let scheme = read_good(&jwt(
        "header = \"X-J\"\nalgorithms = [\"HS256\"]\nrequest_digest = { claim = \"qsh\" }",
    ));
    assert!(!scheme.covers_body() && !scheme.signs_url() && scheme.signs_path());
}

#[test]
fn what_means_nothing_for_a_form_of_token_is_refused() {
    let head = CUSTOM.split("[route.scheme]").next().unwrap();
    let of = |more: &str, keys: &str| {
        format!(
            "{head}[route.scheme]\nalgorithm = \"jwt\"\n{more}\n[route.scheme.jwt]\nalgorithms = [\"HS256\"]\n{keys}\n"
        )
    };
    let detached = |keys: &str| {
        of(
            "",
            &format!("header = \"X-J\"\ndetached = \"encoded\"\n{keys}"),
        )
    };
    let body = |keys: &str| of("", &format!("place = \"body\"\n{keys}"));
    assert_eq!(problems(&detached("")), "no problem");
    assert_eq!(problems(&detached("max_age = \"off\"")), "no problem");
    assert_eq!(
        problems(&body("issuer = \"x\"\nmax_age = \"5m\"")),
        "no problem"
    );
    each_says(&[
        (
            of("", "place = \"query\"\nheader = \"A\""),
            "known: `header`, `body`",
        ),
        (
            of("", "header = \"A\"\ndetached = \"raw\""),
            "known: `encoded`, `unencoded`",
        ),
        (
            body("detached = \"encoded\""),
            "contradicts `place = \"body\"`",
        ),
        (body("header = \"A\""), "the token is the whole body"),
        (body("prefix = \"Bearer \""), "the token is the whole body"),
        (
            body("body_digest = { claim = \"h\" }"),
            "the token is the whole body",
        ),
        (body("body_claim = \"h\""), "the token is the whole body"),
        (
            body("json_texts = [\"data\"]"),
            "is no JSON pointer to one place",
        ),
        (
            body("json_texts = [\"/data/*\"]"),
            "is no JSON pointer to one place",
        ),
        (
            of("", "header = \"A\"\njson_texts = [\"/data\"]"),
            "the token is in a header",
        ),
        (
            of("", "header = \"A\"\nstamp = \"ts\""),
            "the token is not detached",
        ),
        (
            detached("stamp = \"ts\""),
            "means nothing without `max_age`",
        ),
        (
            detached("stamp = \"ts\"\nmax_age = \"off\""),
            "means nothing without `max_age`",
        ),
        (
            detached("stamp = \"crit\"\nmax_age = \"5m\""),
            "means something else",
        ),
        (detached("max_age = \"5m\""), "only where `stamp` names it"),
        (detached("issuer = \"x\""), "a detached token has no claims"),
        (
            detached("url_claim = \"aud\""),
            "a detached token has no claims",
        ),
        (
            detached("body_digest = { claim = \"h\" }"),
            "a detached token has no claims",
        ),
        (
            detached("request_digest = { claim = \"h\" }"),
            "a detached token has no claims",
        ),
        (
            of(
                "event_id = { claim = \"jti\" }",
                "header = \"A\"\ndetached = \"encoded\"",
            ),
            "a detached token has no claims",
        ),
        (
            of("", "header = \"A\"\nrequest_digest = { }"),
            "request_digest.claim` is missing",
        ),
        (
            of(
                "",
                "header = \"A\"\nrequest_digest = { claim = \"q\", base_path = \"/app/\" }",
            ),
            "is no path that others can lie under",
        ),
        (
            of("", "header = \"A\"\nurl_claim = \"aud\""),
            "the route has no `public_url`",
        ),
        (
            of(
                "covers_body = true",
                "header = \"A\"\nrequest_digest = { claim = \"q\" }",
            ),
            "does not cover the body",
        ),
        (
            of(
                "covers_body = false",
                "header = \"A\"\ndetached = \"encoded\"",
            ),
            "this scheme covers the body",
        ),
    ]);
}
