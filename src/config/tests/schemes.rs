//! `[route.scheme]` in all its forms: the values that each key becomes, and the problems of wrong
//! values (schemes: The form).

use super::problems::{each_says, problems, scheme};
use super::{CUSTOM, good};
use crate::config::{Problems, parse_scheme};
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::notation::timestamp::Unit;
use crate::providers::CODES;
use crate::providers::HANDSHAKES;
use crate::scheme::jwt::JwtAlgorithm;
use crate::scheme::{Algorithm, BodyForm, KeyEncoding, Place, Scheme, Stamped, TimestampAt};
use crate::scheme::{Handshake, ProviderCode};

fn read(text: &str) -> Result<Scheme, Problems> {
    parse_scheme("s.toml", text)
}

pub(super) fn read_good(text: &str) -> Scheme {
    read(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn names(headers: &[crate::wire::head::FieldName]) -> Vec<&str> {
    headers
        .iter()
        .map(crate::wire::head::FieldName::as_str)
        .collect()
}

/// A scheme that signs `{timestamp}.{body}`, with these keys.
fn timestamped(lines: &str) -> String {
    format!("algorithm = \"hmac-sha256\"\nsigned = \"{{timestamp}}.{{body}}\"\n{lines}\n")
}

#[test]
fn a_list_of_signatures_with_the_time_among_them_is_taken_apart_as_written() {
    let scheme = read_good(&timestamped(
        "signature = { header = \"Stripe-Signature\", separator = \",\", assign = \"=\" }\n\
         timestamp = { field = \"t\" }",
    ));
    let items = scheme.items();
    assert_eq!(
        (items.separator.as_deref(), items.assign, items.limit),
        (Some(","), Some(b'='), 16)
    );
    assert_eq!(
        items.accept,
        [("v1".to_owned(), Algorithm::HmacSha256)],
        "`v1` counts unless somebody says otherwise"
    );
    let timestamp = scheme.timestamp().unwrap();
    assert_eq!(
        (timestamp.at.clone(), timestamp.unit),
        (TimestampAt::Field("t".into()), Unit::Seconds)
    );
    assert_eq!(scheme.template().unwrap().signature.encoding, Encoding::Hex);
}

#[test]
fn labels_have_the_algorithm_of_the_scheme_or_their_own() {
    let accept = |accept: &str| {
        let lines = format!(
            "signature = {{ header = \"X-S\", separator = \" \", assign = \",\", limit = 64, accept = {accept} }}\n\
             timestamp = {{ header = \"X-T\" }}"
        );
        read_good(&timestamped(&lines)).items().clone()
    };
    let hmac = Algorithm::HmacSha256;
    assert_eq!(
        accept("[\"v0\", \"v1\"]").accept,
        [("v0".into(), hmac), ("v1".into(), hmac)]
    );
    let own = accept("{ v1 = \"hmac-sha256\", v1a = \"ed25519\" }");
    assert_eq!(
        own.accept,
        [("v1".into(), hmac), ("v1a".into(), Algorithm::Ed25519)]
    );
    assert_eq!(
        (own.limit, own.separator.as_deref(), own.assign),
        (64, Some(" "), Some(b','))
    );
}

#[test]
fn several_headers_several_lines_and_several_forms_are_kept_in_order() {
    let scheme = read_good(
        "algorithm = \"hmac-sha512\"\nsigned = \"{body}{timestamp}\"\nbody = [\"json-ascii\", \"raw\", \"inflated\"]\n\
         key = [\"hex\", { encoding = \"base64\", strip = \"k_\", required = true }, \"utf8-nfkd\"]\n\
         signature = { header = [\"X-A\", \"X-B\"], repeat = true, encoding = \"base64url\", prefix = \"s=\" }\n\
         timestamp = { header = [\"X-T\", \"Date\"], unit = \"rfc3339\", stamped = \"attempt\" }\n\
         tolerance = \"10m\"\nfuture_tolerance = \"1m\"",
    );
    assert_eq!(
        scheme.template().unwrap().body,
        [BodyForm::JsonAscii, BodyForm::Raw, BodyForm::Inflated]
    );
    let keys: Vec<_> = scheme
        .proof
        .key_forms()
        .iter()
        .map(|k| (k.encoding, k.strip.as_deref(), k.strip_required))
        .collect();
    let expected = [
        (KeyEncoding::Hex, None, false),
        (KeyEncoding::Base64, Some("k_"), true),
        (KeyEncoding::Utf8Nfkd, None, false),
    ];
    assert_eq!(keys, expected);
    assert_eq!(names(scheme.signature_headers()), ["x-a", "x-b"]);
    assert!(scheme.template().unwrap().signature.repeat);
    assert_eq!(
        (
            scheme.template().unwrap().signature.encoding,
            scheme.template().unwrap().signature.prefix.as_str()
        ),
        (Encoding::Base64Url, "s=")
    );
    let timestamp = scheme.timestamp().unwrap();
    let TimestampAt::Headers(headers) = &timestamp.at else {
        panic!("{:?}", timestamp.at)
    };
    assert_eq!(
        (names(headers), timestamp.unit, timestamp.stamped),
        (vec!["x-t", "date"], Unit::Rfc3339, Stamped::Attempt)
    );
    let minutes = |m: u64| Tolerance::Within(std::time::Duration::from_secs(60 * m));
    assert_eq!(
        (scheme.tolerance, scheme.future_tolerance),
        (minutes(10), minutes(1))
    );
}

#[test]
fn a_signature_and_a_time_may_stand_in_the_body() {
    let scheme = read_good(
        "algorithm = \"hmac-sha256\"\nsigned = \"{json:/signature/timestamp}{json:/signature/token}\"\n\
         covers_body = false\nsignature = { json = \"/signature/signature\" }\n\
         timestamp = { json = \"/signature/timestamp\" }\ntolerance = \"9h\"\nevent_id = { json = \"/signature/token\" }",
    );
    let pointer = |text| Pointer::parse(text).unwrap();
    assert_eq!(
        scheme.template().unwrap().signature.json,
        Some(pointer("/signature/signature"))
    );
    assert!(
        scheme.signature_headers().is_empty() && !scheme.covers_body() && scheme.id_is_signed()
    );
    assert_eq!(
        scheme.timestamp().unwrap().at.clone(),
        TimestampAt::Json(pointer("/signature/timestamp"))
    );
}

#[test]
fn what_signs_nothing_needs_no_template() {
    let token = read_good("algorithm = \"token\"\nsignature = { json = \"/value/*/clientState\" }");
    assert!(
        token.is_credential()
            && !token.covers_body()
            && token
                .credential()
                .unwrap()
                .place
                .json
                .as_ref()
                .is_some_and(Pointer::is_each)
    );
    let bearer = read_good(
        "algorithm = \"token\"\nsignature = { header = \"Authorization\", prefix = \"Bearer \" }\n\
                   covers_body = false",
    );
    assert_eq!(bearer.signature_prefix(), "Bearer ");
    for basic in [
        "",
        "signature = {}\n",
        "signature = { header = \"Authorization\" }\n",
    ] {
        let basic = read_good(&format!("algorithm = \"basic\"\n{basic}"));
        assert_eq!(names(basic.signature_headers()), ["authorization"]);
    }
}

#[test]
fn code_of_its_own_knows_what_is_signed_and_when_it_is_stamped() {
    for code in CODES {
        let components = if code.judge_components(&[]).is_err() {
            "components = [\"content-digest\"]\n"
        } else {
            ""
        };
        let scheme = read_good(&format!(
            "algorithm = \"{}\"\ncode = \"{}\"\nevent_id = {{ json = \"/id\", required = false }}\n\
             {components}",
            code.algorithm().name(),
            code.name()
        ));
        assert_eq!(scheme.code().map(ProviderCode::name), Some(code.name()));
        assert_eq!(scheme.covers_body(), code.covers_body());
        let five_minutes = Tolerance::Within(std::time::Duration::from_secs(300));
        let past = if code.stamped() == Stamped::Event {
            Tolerance::Off
        } else {
            five_minutes
        };
        let found = (scheme.tolerance, scheme.future_tolerance);
        assert_eq!(found, (past, five_minutes), "{}", code.name());
    }
}

#[test]
fn components_are_demanded_of_a_message_and_tell_what_is_signed() {
    let scheme = read_good(
        "algorithm = \"ed25519\"\ncode = \"http-message-signatures\"\n\
         components = [\"content-digest\", \"@authority\", \"x-event-id\"]\n\
         event_id = { header = \"X-Event-Id\" }\nevent_type = { header = \"X-Event-Type\" }\n",
    );
    assert_eq!(
        scheme.components,
        ["content-digest", "@authority", "x-event-id"]
    );
    assert!(scheme.signs_url() && scheme.id_is_signed() && !scheme.event_type_is_signed());
    let with = |components: &str| {
        problems(&scheme_of(&format!(
            "algorithm = \"ed25519\"\ncode = \"http-message-signatures\"\n\
                 components = {components}"
        )))
    };
    for (components, expected) in [
        ("[]", "does not demand `content-digest`"),
        ("[\"@method\"]", "does not demand `content-digest`"),
        (
            "[\"content-digest\", \"@status\"]",
            "`@status` is no component",
        ),
        ("[\"Content-Digest\"]", "is no component"),
        ("[\"content-digest\", \"content-digest\"]", "is named twice"),
        ("\"content-digest\"", "components"),
        ("[1]", "components"),
    ] {
        let shown = with(components);
        assert!(shown.contains(expected), "{components}: {shown}");
    }
    let other = problems(&scheme_of(
        "algorithm = \"hmac-sha256\"\nsigned = \"{body}\"\nsignature = { header = \"X-S\" }\n\
         components = [\"content-digest\"]",
    ));
    assert!(
        other.contains("belongs to a scheme with a `code`"),
        "{other}"
    );
}

/// A route whose public key is of Ed25519, with this scheme.
fn scheme_of(lines: &str) -> String {
    let head = CUSTOM.split("[route.scheme]").next().unwrap_or_default();
    format!("{head}[route.scheme]\n{lines}\n")
}

#[test]
fn a_token_of_json_says_what_it_must_hold() {
    let scheme = read_good(
        "algorithm = \"jwt\"\nevent_id = { claim = \"jti\" }\nevent_type = { json = \"/type\", required = true }\n\
         [jwt]\nheader = \"Authorization\"\nprefix = \"Bearer \"\nalgorithms = [\"HS256\", \"HS512\"]\n\
         body_digest = { claim = \"payload_hash\", hash = \"sha256\", encoding = \"base64\" }\n\
         url_digest = { claim = \"url_hash\" }\nabsent_if_empty = true\nissuer = \"MessageBird\"\nmax_age = \"5m\"\n\
         leeway = \"0s\"",
    );
    let rule = scheme.token_rule().unwrap();
    assert_eq!(
        (rule.header().unwrap().as_str(), rule.prefix()),
        ("authorization", "Bearer ")
    );
    assert_eq!(rule.algorithms, [JwtAlgorithm::Hs256, JwtAlgorithm::Hs512]);
    let (body, url) = (
        rule.body_digest.as_ref().unwrap(),
        rule.url_digest.as_ref().unwrap(),
    );
    assert_eq!(
        (body.claim.as_str(), body.encoding),
        ("payload_hash", Encoding::Base64)
    );
    assert_eq!(
        (url.claim.as_str(), url.encoding),
        ("url_hash", Encoding::Hex)
    );
    assert!(rule.absent_if_empty && rule.body_claim.is_none());
    assert_eq!(
        (rule.issuer.as_deref(), rule.max_age, rule.leeway),
        (Some("MessageBird"), Some(300_000), 0)
    );
    assert_eq!(scheme.event_id, Some(Place::Claim("jti".into())));
    assert!(scheme.event_id_required && scheme.event_type_required && !scheme.account_required);
    assert!(scheme.covers_body() && scheme.signs_url() && scheme.has_timestamp());
}

#[test]
fn the_answer_to_a_duplicate_and_the_handshake_are_kept() {
    let more = |line: &str| {
        read_good(&timestamped(&format!(
            "signature = {{ header = \"X-S\" }}\ntimestamp = {{ header = \"X-T\" }}\n{line}"
        )))
    };
    let ack = more("ack = { body = \"Hello API Event Received\" }")
        .ack
        .unwrap();
    assert_eq!(
        (ack.status, ack.body.as_str()),
        (200, "Hello API Event Received")
    );
    assert_eq!(ack.content_type, "text/plain");
    let ack = more("ack = { status = 204, content_type = \"application/json; charset=utf-8\" }")
        .ack
        .unwrap();
    assert_eq!((ack.status, ack.body.as_str()), (204, ""));
    assert_eq!(ack.content_type, "application/json; charset=utf-8");
    for handshake in HANDSHAKES
        .into_iter()
        .filter(|known| known.name() != "braintree")
    {
        let found = more(&format!("handshake = \"{}\"", handshake.name())).handshake;
        assert_eq!(found.map(Handshake::name), Some(handshake.name()));
    }
}

#[test]
fn the_worked_examples_can_be_loaded() {
    let standard = "algorithm = \"hmac-sha256\"\nkey = { encoding = \"base64\", strip = \"whsec_\" }\n\
        signed = \"{id}.{timestamp}.{body}\"\nsignature = { header = \"webhook-signature\", separator = \" \", \
        assign = \",\", encoding = \"base64\", accept = { v1 = \"hmac-sha256\", v1a = \"ed25519\" } }\n\
        timestamp = { header = \"webhook-timestamp\", unit = \"seconds\" }\nevent_id = { header = \"webhook-id\" }\n";
    let box_com = "algorithm = \"hmac-sha256\"\nsigned = \"{body}{timestamp}\"\nbody = [\"raw\", \"json-ascii\"]\n\
        signature = { header = [\"BOX-SIGNATURE-PRIMARY\", \"BOX-SIGNATURE-SECONDARY\"], encoding = \"base64\" }\n\
        timestamp = { header = \"BOX-DELIVERY-TIMESTAMP\", unit = \"rfc3339\" }\ntolerance = \"10m\"\n\
        require = { \"BOX-SIGNATURE-VERSION\" = \"1\", \"BOX-SIGNATURE-ALGORITHM\" = \"HmacSHA256\" }\n\
        event_id = { json = \"/id\", required = false }\n";
    for text in [standard, box_com] {
        assert!(read_good(text).id_is_signed());
    }
}

#[test]
fn a_scheme_is_told_what_is_wrong() {
    let timestamp = |inner: &str| scheme("{ header = \"X-Timestamp\" }", inner);
    let more = |line: &str| format!("{CUSTOM}{line}\n");
    each_says(&[
        (
            scheme("algorithm = \"hmac-sha256\"\n", ""),
            "`route.scheme.algorithm` is missing",
        ),
        (
            scheme("hmac-sha256", "hmac-sha265"),
            "did you mean `hmac-sha256`?",
        ),
        (
            scheme("hmac-sha256", "hmac-md5"),
            "known: `hmac-sha256`, `hmac-sha1`",
        ),
        (
            scheme("hmac-sha256", "sha256"),
            "a plain hash without exactly one `{secret}`",
        ),
        (
            scheme("signed = \"{timestamp}.{body}\"\n", ""),
            "`route.scheme.signed` is missing",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}.{boddy}"),
            "--> a.toml:8:23",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}."),
            "has no `{body}`",
        ),
        (
            scheme("{timestamp}.{body}", "{body}"),
            "nothing signs this timestamp",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}.{url}.{body}"),
            "has no `public_url`",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}.{id}.{body}"),
            "`event_id` names no header",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}.{json:/a/*/b}.{body}"),
            "`*` is only for `signature.json`",
        ),
        (more("covers_body = false"), "`covers_body` is false"),
        (
            more("tolerance = \"off\"").replace("{timestamp}.{body}", "{body}{timestamp}"),
            "freshness is not judged",
        ),
        (
            timestamp("{ }"),
            "`route.scheme.timestamp.header` is missing",
        ),
        (
            timestamp("{ header = \"A\", field = \"t\" }"),
            "keep one of `header`, `field`, `item` and `json`",
        ),
        (
            timestamp("{ field = \"t\" }"),
            "the signature header has no labels",
        ),
        (timestamp("{ field = \"t=\" }"), "is more than a label"),
        (timestamp("{ item = 0 }"), "from 1 to 8"),
        (
            timestamp("{ item = 1 }"),
            "is no list of items without labels",
        ),
        (
            timestamp("{ json = \"time\" }"),
            "is no JSON pointer to one place",
        ),
        (
            timestamp("{ json = \"/a/*\" }"),
            "is no JSON pointer to one place",
        ),
        (timestamp("{ json = \"/a\" }"), "write `{json:/a}`"),
        (timestamp("{ header = [] }"), "is empty"),
        (
            timestamp("{ header = [\"X-T\", \"x_t\"] }"),
            "names a header twice, in this or another spelling",
        ),
        (
            timestamp("{ header = \"T\", unit = \"rfc3399\" }"),
            "did you mean `rfc3339`?",
        ),
        (
            timestamp("{ header = \"T\", unit = \"second\" }"),
            "did you mean `seconds`?",
        ),
        (
            timestamp("{ header = \"T\", stamped = \"never\" }"),
            "known: `unknown`, `attempt`, `event`",
        ),
        (
            timestamp("{ header = \"T\", unsigned = true }"),
            "called unsigned",
        ),
        (
            more("body = [\"json\"]"),
            "known: `raw`, `json-ascii`, `inflated`",
        ),
        (more("body = []"), "is empty"),
        (more("body = \"raw\""), "must be a list"),
        (more("body = [\"raw\", \"raw\"]"), "names a form twice"),
        (more("key = []"), "no secret could be a key"),
        (
            more("key = { strip = \"whsec_\" }"),
            "`route.scheme.key.encoding` is missing",
        ),
        (
            more("key = [\"utf8\", { strip = \"whsec_\" }]"),
            "`route.scheme.key.encoding` is missing",
        ),
        (
            more("key = \"utf8-nfdk\""),
            "known: `utf8`, `utf8-nfkd`, `base64`, `hex`",
        ),
        (
            more("key = { encoding = \"utf8\", required = true }"),
            "is set without a prefix",
        ),
        (
            more("key = { encoding = \"utf8\", strip = \"whsec_\", required = true }"),
            "does not begin with `whsec_`",
        ),
        (
            more("require = { \"A B\" = \"1\" }"),
            "`A B` is no header name",
        ),
        (
            more("require = { A = 1 }"),
            "must be a string, not an integer",
        ),
        (
            more("require = { X-A = \"1\", x_a = \"2\" }"),
            "is there already, in this or another spelling",
        ),
        (more("event_id = { json = [] }"), "is empty"),
        (
            more("event_id = { json = \"/a/*\" }"),
            "`*` is only for `signature.json`",
        ),
        (
            more("event_id = { claim = \"jti\" }"),
            "no JWT signs this delivery",
        ),
        (
            more("event_type = { json = \"/t\", claim = \"t\" }"),
            "names two places",
        ),
        (more("ack = { status = 300 }"), "from 200 to 299"),
        (
            more("ack = { status = 204, body = \"ok\" }"),
            "a response with this status has no body",
        ),
        (
            more("ack = { content_type = \"text\" }"),
            "is no content type",
        ),
        (
            more("ack = { content_type = \"text/plain\\r\\nX: 1\" }"),
            "is no content type",
        ),
        (
            more(&format!("ack = {{ body = \"{}\" }}", "a".repeat(4097))),
            "is longer than 4096 bytes",
        ),
        (more("handshake = \"slak\""), "did you mean `slack`?"),
        (
            scheme(
                "signature = { header = \"X-Signature\" }",
                "code = \"twillio\"",
            ),
            "did you mean `twilio`?",
        ),
        (more("sign = \"x\""), "did you mean `signed`?"),
    ]);
}

#[test]
fn the_place_of_a_signature_is_told_what_is_wrong() {
    let signature = |inner: &str| scheme("{ header = \"X-Signature\" }", inner);
    let list = |inner: &str| {
        signature(&format!(
            "{{ header = \"A\", separator = \",\", assign = \"=\", {inner} }}"
        ))
    };
    each_says(&[
        (
            scheme("signature = { header = \"X-Signature\" }\n", ""),
            "`route.scheme.signature` is missing",
        ),
        (
            signature("\"X-Signature\""),
            "must be a table, not a string",
        ),
        (
            signature("{ }"),
            "`route.scheme.signature.header` is missing",
        ),
        (
            signature("{ header = \"X Signature\" }"),
            "is no header name",
        ),
        (
            signature("{ header = \"A\", json = \"/s\" }"),
            "names two places",
        ),
        (signature("{ header = [] }"), "is empty"),
        (
            signature("{ header = [\"X-A\", \"X A\"] }"),
            "is no header name",
        ),
        (
            signature("{ header = [\"X-A\", \"X_A\"] }"),
            "names a header twice",
        ),
        (signature("{ json = \"s\" }"), "is no JSON pointer"),
        (
            signature("{ json = \"/s\" }"),
            "the signature is in the body that it signs",
        ),
        (
            signature("{ json = \"/s\", repeat = true }"),
            "the signature is in the body, not in a header",
        ),
        (
            signature("{ header = \"A\", encoding = \"base46\" }"),
            "did you mean `base64`?",
        ),
        (
            signature("{ header = \"A\", prefix = \" v1\" }"),
            "could never begin a header's value",
        ),
        (
            signature("{ header = \"A\", separator = \"\" }"),
            "cannot be a separator",
        ),
        (
            signature("{ header = \"A\", separator = \"     \" }"),
            "cannot be a separator",
        ),
        (
            signature("{ header = \"A\", separator = \"\\t\" }"),
            "cannot be a separator",
        ),
        (
            signature("{ header = \"A\", assign = \":\" }"),
            "known: `=`, `,`, `/`",
        ),
        (
            signature("{ header = \"A\", separator = \",\", assign = \",\" }"),
            "is also the separator of the items",
        ),
        (
            signature("{ header = \"A\", accept = [\"v1\"] }"),
            "without `assign` items have no labels",
        ),
        (signature("{ header = \"A\", limit = 0 }"), "from 1 to 64"),
        (signature("{ header = \"A\", limit = 65 }"), "from 1 to 64"),
        (
            signature("{ header = \"X-Timestamp\" }"),
            "are in the same header",
        ),
        (
            signature("{ header = \"A\", query = \"s\" }"),
            "keep one of `header`, `json`, `form` and `query`",
        ),
        (
            signature("{ query = \"a b\" }"),
            "is no name of a parameter",
        ),
        (
            signature("{ query = \"s\", encoding = \"base64\" }"),
            "base64 has signs that a query writes in more than one way",
        ),
        (
            signature("{ query = \"s\", repeat = true }"),
            "the signature is in the query, not in a header",
        ),
        (
            scheme("{timestamp}.{body}", "{timestamp}.{query}.{body}")
                .replace("{ header = \"X-Signature\" }", "{ query = \"s\" }"),
            "the signature is in the query that it signs",
        ),
        (signature("{ form = \"a[]\" }"), "is no name of a field"),
        (
            signature("{ form = \"s\" }"),
            "fields of a form are read by themselves",
        ),
        (
            signature("{ header = \"A\", prefix = \"v0=\", prefix_once = true }"),
            "`route.scheme.signature.prefix_once` means nothing here",
        ),
        (
            signature("{ header = \"A\", separator = \",\", prefix_once = true }"),
            "`route.scheme.signature.prefix_once` means nothing here",
        ),
        (
            signature("{ header = \"A\", assign_at = \"last\" }"),
            "`route.scheme.signature.assign_at` means nothing here",
        ),
        (list("assign_at = \"end\""), "known: `first`, `last`"),
        (
            list("assign_at = \"last\", encoding = \"base64\""),
            "which the signature itself may hold",
        ),
        (list("accept = []"), "no signature could count"),
        (list("accept = {}"), "no signature could count"),
        (list("accept = \"v1\""), "must be a list"),
        (
            list("accept = [\"v1=\"]"),
            "which `separator` or `assign` would cut",
        ),
        (
            list("accept = [\"v0,v1\"]"),
            "which `separator` or `assign` would cut",
        ),
        (list("accept = [\"v1\", \"v1\"]"), "names a label twice"),
        (
            list("accept = { v1 = \"hmac-md5\" }"),
            "known: `hmac-sha256`",
        ),
        (list("accept = { v1 = \"token\" }"), "is not a known name"),
        (
            list("accept = { \"\" = \"hmac-sha256\" }"),
            "no item can have this label",
        ),
        (
            list("accept = { v1 = \"hmac-sha1\" }"),
            "no label has the algorithm of the scheme",
        ),
    ]);
}

#[test]
fn what_means_nothing_beside_the_rest_is_refused() {
    let with = |lines: &str| {
        let head = CUSTOM.split("algorithm").next().unwrap();
        format!(
            "{}{lines}\n",
            head.replace(
                "[route.scheme]",
                "public_url = \"https://a.example\"\n[route.scheme]"
            )
        )
    };
    let token = |lines: &str| with(&format!("algorithm = \"token\"\nsignature = {lines}"));
    let jwt = |lines: &str| {
        let rule =
            "jwt = { header = \"X-J\", algorithms = [\"HS256\"], body_digest = { claim = \"h\" } }";
        with(&format!("algorithm = \"jwt\"\n{rule}\n{lines}"))
    };
    let rule = |rule: &str| with(&format!("algorithm = \"jwt\"\njwt = {rule}"));
    let code = |lines: &str| {
        with(&format!(
            "algorithm = \"hmac-sha256\"\ncode = \"dropbox-sign\"\n{lines}"
        ))
    };
    assert_eq!(
        [problems(&jwt("")), problems(&code(""))],
        ["no problem", "no problem"]
    );
    each_says(&[
        (
            with("algorithm = \"token\""),
            "as in `signature = { header = \"X-Token\" }`",
        ),
        (
            token("{ header = \"X-T\", encoding = \"hex\" }"),
            "the secret itself is sent along",
        ),
        (
            token("{ header = \"X-T\", separator = \",\" }"),
            "the secret itself is sent along",
        ),
        (
            token("{ header = \"X-T\" }\nsigned = \"{body}\""),
            "`signed` means nothing here",
        ),
        (
            token("{ header = \"X-T\" }\nbody = [\"raw\"]"),
            "no `{body}` is signed",
        ),
        (
            token("{ header = \"X-T\" }\ncovers_body = true"),
            "this scheme does not cover the body",
        ),
        (
            token("{ header = \"X-T\" }\ntimestamp = { header = \"X-S\" }"),
            "`timestamp` means nothing here",
        ),
        (
            with("algorithm = \"basic\"\nsignature = { prefix = \"Basic \" }"),
            "`Basic ` is always the prefix",
        ),
        (with("algorithm = \"jwt\""), "`route.scheme.jwt` is missing"),
        (
            jwt("signature = { header = \"X-J\" }"),
            "`jwt.header` names the header",
        ),
        (
            jwt("tolerance = \"5m\""),
            "write `max_age` and `leeway` in `jwt`",
        ),
        (jwt("covers_body = false"), "this scheme covers the body"),
        (
            jwt("").replace("\"jwt\"", "\"hmac-sha256\""),
            "belong together",
        ),
        (
            rule("{ algorithms = [\"HS256\"] }"),
            "`route.scheme.jwt.header` is missing",
        ),
        (
            rule("{ header = \"A\" }"),
            "`route.scheme.jwt.algorithms` is missing",
        ),
        (
            rule("{ header = \"A\", algorithms = [] }"),
            "no token could be accepted",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"none\"] }"),
            "known: `HS256`",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"HS256\", \"RS256\"] }"),
            "mixes families of algorithms",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"RS256\", \"ES256\"] }"),
            "mixes families of algorithms",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"HS256\"], body_digest = { } }"),
            "body_digest.claim` is missing",
        ),
        (
            rule(
                "{ header = \"A\", algorithms = [\"HS256\"], body_digest = { claim = \"a\", hash = \"md5\" } }",
            ),
            "known: `sha256`",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"HS256\"], absent_if_empty = true }"),
            "no claim holds the body or its digest",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"HS256\"], max_age = \"0s\" }"),
            "is zero",
        ),
        (
            rule("{ header = \"A\", algorithms = [\"HS256\"], leeway = \"1\" }"),
            "has no unit",
        ),
        (
            code("signature = { header = \"X-S\" }"),
            "the code knows the place of the signature",
        ),
        (code("signed = \"{body}\""), "`signed` means nothing here"),
        (
            code("timestamp = { header = \"X-S\" }"),
            "leave `timestamp` out",
        ),
        (
            code("").replace("hmac-sha256", "hmac-sha1"),
            "verifies another algorithm",
        ),
    ]);
}

#[test]
fn one_wrong_value_does_not_hide_another() {
    let text = "algorithm = \"hmac-sha265\"\nsignature = { header = \"A B\", encoding = \"base46\", limit = 99 }\n\
        timestamp = { header = \"T T\", unit = \"weeks\" }\nbody = [\"rew\"]\nkey = \"text\"\n";
    let found = read(text).unwrap_err();
    let lines: Vec<usize> = found
        .list
        .iter()
        .filter_map(|problem| problem.position.map(|at| at.line))
        .collect();
    assert_eq!(lines, [1, 2, 2, 2, 3, 3, 4, 5], "{found}");
    assert!(good(CUSTOM).routes.len() == 1);
}
