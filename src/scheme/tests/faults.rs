//! Tests of each rule of the loader.

use super::fixtures::{TOLERANCE, changed, field, itellico, plain, template_of, timestamped};
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::notation::timestamp::Unit::{Iso8601Utc, Milliseconds, Rfc3339, Seconds};
use crate::scheme::{Algorithm, BodyForm, IdForm, Scheme, Settings, TemplateScheme, TimestampAt};

fn settings(tolerance: Tolerance) -> Settings {
    Settings {
        tolerance,
        future_tolerance: tolerance,
        public_url: None,
        max_body: 1 << 20,
    }
}

fn keys(scheme: &Scheme, settings: &Settings) -> Vec<&'static str> {
    scheme
        .faults(settings)
        .into_iter()
        .map(|fault| fault.key)
        .collect()
}

#[test]
fn the_reference_scheme_has_no_fault() {
    assert_eq!(itellico().faults(&settings(TOLERANCE)), []);
    assert_eq!(itellico().faults(&settings(Tolerance::Off)), []);
}

#[test]
fn each_rule_of_the_loader_is_held() {
    let public = |url: &str| Settings {
        public_url: Some(url.into()),
        ..settings(TOLERANCE)
    };
    let (origin, no_url) = (public("https://a.example"), public("a.example"));
    let (on, off) = (settings(TOLERANCE), settings(Tolerance::Off));
    let no_future = Settings {
        future_tolerance: Tolerance::Off,
        ..on.clone()
    };
    let without_body = |scheme| changed(scheme, |template| template.may_leave_body = true);
    let unsigned = |mut scheme: Scheme| {
        template_of(&mut scheme)
            .timestamp
            .as_mut()
            .unwrap()
            .unsigned = true;
        scheme
    };
    let json_id = |scheme| Scheme {
        event_id: None,
        ..scheme
    };
    let same_header = |mut scheme: Scheme| {
        template_of(&mut scheme).timestamp.as_mut().unwrap().at =
            TimestampAt::Headers(vec![field("X-Signature")]);
        scheme
    };
    let dated = |unit, text| {
        let mut scheme = timestamped(text);
        template_of(&mut scheme).timestamp.as_mut().unwrap().unit = unit;
        scheme
    };
    let rows: Vec<(&str, Scheme, &Settings, &[&str])> = vec![
        ("no body", timestamped("{timestamp}.{id}"), &on, &["signed"]),
        (
            "no body, and said so",
            without_body(timestamped("{timestamp}.{id}")),
            &on,
            &[],
        ),
        (
            "a body, and said not so",
            without_body(plain("{body}")),
            &on,
            &["covers_body"],
        ),
        (
            "nothing of the delivery",
            without_body(plain("{method}")),
            &on,
            &["signed"],
        ),
        (
            "timestamp without a place",
            plain("{timestamp}.{body}"),
            &on,
            &["timestamp"],
        ),
        (
            "timestamp that nothing signs",
            timestamped("{body}"),
            &on,
            &["timestamp"],
        ),
        (
            "timestamp that may only refuse",
            unsigned(timestamped("{body}")),
            &on,
            &[],
        ),
        (
            "timestamp signed by its header's name",
            timestamped("{header:x-timestamp}.{body}"),
            &on,
            &[],
        ),
        (
            "signed timestamp called unsigned",
            unsigned(timestamped("{timestamp}.{body}")),
            &on,
            &["timestamp.unsigned"],
        ),
        (
            "timestamp in the signature's header",
            same_header(timestamped("{timestamp}.{body}")),
            &on,
            &["timestamp.header"],
        ),
        (
            "id without a header",
            json_id(plain("{id}.{body}")),
            &on,
            &["event_id"],
        ),
        (
            "url without public_url",
            plain("{url}{body}"),
            &on,
            &["signed"],
        ),
        ("url with it", plain("{url}{body}"), &origin, &[]),
        (
            "url with a wrong one",
            plain("{body}{url}"),
            &no_url,
            &["public_url"],
        ),
        (
            "the signature signed",
            plain("{header:X-Signature}.{body}"),
            &on,
            &["signed"],
        ),
        ("id beside body", plain("{id}{body}"), &on, &["signed"]),
        (
            "id beside body, with a timestamp elsewhere",
            timestamped("{timestamp}.{id}{body}"),
            &on,
            &["signed"],
        ),
        (
            "header beside query",
            plain("{header:a}{query}.{body}"),
            &on,
            &["signed"],
        ),
        (
            "id, timestamp and body, judged",
            timestamped("{id}{timestamp}{body}"),
            &on,
            &[],
        ),
        (
            "id, timestamp and body, not judged",
            timestamped("{id}{timestamp}{body}"),
            &off,
            &["signed", "signed"],
        ),
        (
            "the future not judged",
            timestamped("{body}{timestamp}"),
            &no_future,
            &["signed"],
        ),
        (
            "a digit between",
            timestamped("{timestamp}0{body}"),
            &off,
            &["signed"],
        ),
        (
            "a digit and more between",
            timestamped("{timestamp}0.{body}"),
            &off,
            &[],
        ),
        (
            "divided, not judged",
            timestamped("{timestamp}.{body}"),
            &off,
            &[],
        ),
        (
            "method, path, body, timestamp",
            timestamped("{method}{path}{body}{timestamp}"),
            &on,
            &[],
        ),
        (
            "decimals beside body",
            dated(Iso8601Utc, "{timestamp}{body}"),
            &on,
            &["signed"],
        ),
        (
            "decimals, a point and body",
            dated(Iso8601Utc, "{timestamp}.{body}"),
            &on,
            &["signed"],
        ),
        (
            "decimals, a digit and body",
            dated(Iso8601Utc, "{timestamp}0{body}"),
            &off,
            &["signed"],
        ),
        (
            "decimals, divided",
            dated(Iso8601Utc, "v1:{timestamp}:{body}"),
            &off,
            &[],
        ),
        (
            "decimals last",
            dated(Iso8601Utc, "{body}{timestamp}"),
            &on,
            &[],
        ),
        (
            "a zone, a point and body",
            dated(Rfc3339, "{timestamp}.{body}"),
            &off,
            &[],
        ),
        (
            "a zone beside body",
            dated(Rfc3339, "{timestamp}{body}"),
            &on,
            &[],
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, scheme, settings, expected)| (name, keys(scheme, settings), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_list_whose_items_could_be_taken_for_each_other_is_a_fault() {
    let on = settings(TOLERANCE);
    let listed = |position, separator: Option<&str>, assign: Option<u8>, unit| {
        changed(timestamped("{timestamp}.{body}"), |template| {
            let place = template.timestamp.as_mut().unwrap();
            (place.at, place.unit) = (TimestampAt::Item(position), unit);
            template.signature.items.separator = separator.map(str::to_owned);
            template.signature.items.assign = assign;
            if assign.is_some() {
                template.signature.items.accept = vec![("v1".to_owned(), Algorithm::HmacSha256)];
            }
        })
    };
    let last = |assign, encoding| {
        changed(plain("{body}"), |template| {
            template.signature.encoding = encoding;
            let items = &mut template.signature.items;
            (items.assign, items.assign_last) = (Some(assign), true);
            items.accept = vec![("*".to_owned(), Algorithm::HmacSha256)];
        })
    };
    let field = changed(timestamped("{timestamp}.{body}"), |template| {
        template.timestamp.as_mut().unwrap().at = TimestampAt::Field("t1".to_owned());
        let items = &mut template.signature.items;
        items.assign = Some(b'=');
        items.accept = vec![("t*".to_owned(), Algorithm::HmacSha256)];
    });
    let rows: Vec<(&str, Scheme, &[&str])> = vec![
        ("as Recurly", listed(1, Some(","), None, Milliseconds), &[]),
        ("as DocuSeal", listed(1, Some("."), None, Seconds), &[]),
        (
            "no list",
            listed(1, None, None, Seconds),
            &["timestamp.item"],
        ),
        (
            "items with labels",
            listed(1, Some(","), Some(b'='), Seconds),
            &["timestamp.item"],
        ),
        (
            "a date",
            listed(1, Some(","), None, Rfc3339),
            &["timestamp.item"],
        ),
        (
            "divided by a digit",
            listed(1, Some("0"), None, Seconds),
            &["signature.separator"],
        ),
        ("as Worldpay", last(b'/', Encoding::Hex), &[]),
        (
            "a slash in base64",
            last(b'/', Encoding::Base64),
            &["signature.assign_at"],
        ),
        (
            "an equals sign in base64",
            last(b'=', Encoding::Base64UrlAny),
            &["signature.assign_at"],
        ),
        ("no padding", last(b'=', Encoding::Base64Url), &[]),
        (
            "a time that counts as a signature",
            field,
            &["timestamp.field"],
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, scheme, expected)| (name, keys(scheme, &on), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn au_82_a_value_of_fixed_length_needs_no_border_and_is_none() {
    let on = settings(TOLERANCE);
    let uuid = |text: &str| {
        changed(timestamped(text), |template| {
            template.timestamp = template
                .timestamp
                .take()
                .filter(|_| text.contains("{timestamp}"));
            let signed = std::mem::take(&mut template.signed);
            template.signed = signed.with_id_form(IdForm::Uuid);
        })
    };
    let rows: [(&str, &[&str]); 22] = [
        ("{body}{id}", &[]),
        ("{id}{body}", &[]),
        ("{body}{header:X-A}", &["signed", "id_form"]),
        ("{header:X-A}{id}{body}", &["signed"]),
        ("{header:X-A}{id}{header:X-B}.{body}", &["signed"]),
        ("{header:X-A}.{id}{body}", &[]),
        ("{header:X-A}{id}.{body}", &[]),
        ("{header:X-A}{id}{body_sha256:hex}", &[]),
        ("{header:X-A}{id}{body_sha256:hex}{header:X-B}", &["signed"]),
        ("{id}{body_sha256:hex}{header:X-B}", &[]),
        ("{id}{timestamp}{body}", &[]),
        ("{header:X-A}{id}{timestamp}.{body}", &[]),
        ("{header:X-A}{id}{param:p}{body}", &["signed", "params"]),
        ("{header:X-A}{param:p}{id}.{body}", &["params"]),
        ("{param:p}{body}{id}", &["params"]),
        ("{body_sha512:base64}|{id}", &[]),
        ("{body_sha256:base64}{id}", &[]),
        ("{body_sha256:base64}{id}{header:X-A}", &[]),
        (
            "{header:X-A}{body_sha256:base64}{header:X-B}{id}",
            &["signed"],
        ),
        ("{header:X-A}{body_sha256:base64}{method}{id}", &["signed"]),
        ("{header:X-A}/{body_sha256:base64}/{id}", &[]),
        ("{json:/a}{id}{json:/b}{body}", &["signed", "signed"]),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(text, expected)| (text, keys(&uuid(text), &on), expected))
        .filter(|(_, found, expected)| {
            let (mut found, mut expected) = (found.clone(), expected.to_vec());
            found.sort_unstable();
            expected.sort_unstable();
            found != expected
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A date without an end is open, whatever lies behind it.
    let open = changed(uuid("{timestamp}{id}{body}"), |template| {
        template.timestamp.as_mut().unwrap().unit = Iso8601Utc;
    });
    assert_eq!(keys(&open, &on), ["signed"]);
}

#[test]
fn the_text_of_a_route_is_no_border_between_values_that_may_hold_it() {
    let on = settings(TOLERANCE);
    let off = settings(Tolerance::Off);
    let scheme = |text: &str, param: &'static str| {
        changed(timestamped(text), |template| {
            let is_signed = text.contains("{timestamp}");
            template.timestamp = template.timestamp.take().filter(|_| is_signed);
            template.signed = template.signed.with_params(|_| Some(param));
        })
    };
    // The template, and the faults with a judged and with an open freshness.
    let rows: [(&str, &str, &[&str], &[&str]); 15] = [
        ("{header:X-A}{param:p}{body}", "1", &["signed"], &["signed"]),
        ("{header:X-A}{param:p}{body}", ".", &["signed"], &["signed"]),
        (
            "{body}{param:p}{header:X-A}",
            "app-1",
            &["signed"],
            &["signed"],
        ),
        (
            "{id}{param:p}{param:q}{body}",
            "|",
            &["signed"],
            &["signed"],
        ),
        (
            "{json:/a}{param:p}{json:/b}{body}",
            "|",
            &["signed", "signed"],
            &["signed", "signed"],
        ),
        (
            "{path}{param:p}{header:X-A}.{body}",
            "|",
            &["signed"],
            &["signed"],
        ),
        (
            "{header:X-A}{body_sha256:hex}{param:p}{id}",
            "|",
            &["signed"],
            &["signed"],
        ),
        ("{header:X-A}.{param:p}{body}", "1", &[], &[]),
        ("{header:X-A}{param:p}.{body}", "1", &[], &[]),
        ("{param:p}{body}", "1", &[], &[]),
        ("{path}{param:p}{body}", "1", &[], &[]),
        ("{body_sha256:hex}{param:p}{id}", "1", &[], &[]),
        ("{timestamp}{param:p}{body}", "app", &[], &[]),
        ("{timestamp}{param:p}{body}", "1", &[], &["signed"]),
        ("{timestamp}1{param:p}{body}", "1", &[], &["signed"]),
    ];
    let mut wrong = Vec::new();
    for (text, param, judged, open) in rows {
        let scheme = scheme(text, param);
        let found = (keys(&scheme, &on), keys(&scheme, &off));
        let is_right = found.0 == judged && (found.1 == open || !text.contains("timestamp"));
        if !is_right {
            wrong.push((text, param, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_digest_of_the_body_covers_it_and_no_other_form_of_it() {
    let on = settings(TOLERANCE);
    let more = changed(plain("{body_sha256:hex}"), |template| {
        template.body = vec![BodyForm::Raw, BodyForm::Inflated];
    });
    let denied = changed(plain("{body_sha256:hex}"), |template| {
        template.may_leave_body = true;
    });
    let in_body = changed(plain("{body_sha256:hex}"), |template| {
        template.signature.headers = Vec::new();
        template.signature.json = Pointer::parse("/signature");
    });
    let rows = [
        (plain("{body_sha256:hex}"), &[][..]),
        (plain("{body_sha256:hex}.{body}"), &[]),
        (more, &["body"]),
        (denied, &["covers_body"]),
        (in_body, &["signature.json"]),
    ];
    for (scheme, expected) in rows {
        let text = scheme.template().unwrap().signed.text().to_owned();
        assert_eq!(keys(&scheme, &on), expected, "{text}");
    }
    // The answer to a handshake could be a digest.
    let answering = Scheme {
        handshake: crate::providers::handshake("zoom"),
        ..plain("{body_sha256:hex}")
    };
    assert_eq!(keys(&answering, &on), ["handshake"]);
}

#[test]
fn a_form_and_a_json_body_are_not_mixed() {
    let on = settings(TOLERANCE);
    let field = |template: &mut TemplateScheme| {
        template.signature.headers = Vec::new();
        (template.signature.json, template.signature.in_form) = (Pointer::field("s"), true);
        template.may_leave_body = true;
    };
    let open = |text: &str, change: fn(&mut TemplateScheme)| {
        changed(plain(text), |template| {
            template.may_leave_body = true;
            change(template);
        })
    };
    let rows: Vec<(&str, Scheme, &[&str])> = vec![
        ("as OpenNode", changed(plain("{form:id}"), field), &[]),
        ("a signature in a header", open("{form:id}", |_| {}), &[]),
        ("two fields", open("{form:a}.{form:b}", |_| {}), &[]),
        ("no border", open("{form:a}{form:b}", |_| {}), &["signed"]),
        (
            "a field and a JSON value",
            open("{form:a}.{json:/b}", |_| {}),
            &["signed"],
        ),
        (
            "a signature in JSON",
            open("{form:a}", |template| {
                template.signature.json = Pointer::parse("/s");
            }),
            &["signed"],
        ),
        (
            "both shapes",
            open("{form:a}", |template| template.form = Pointer::parse("/x")),
            &["signed"],
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, scheme, expected)| (name, keys(scheme, &on), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        keys(&changed(plain("{body}"), field), &on),
        ["covers_body", "signed"]
    );
}
