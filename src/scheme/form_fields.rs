//! The second shape of a body whose first is JSON: a form with the same values (schemes: Forms of a
//! JSON body).
//!
//! A provider may send its events as JSON and its older notifications as forms, signed in the same
//! way. Such a form is read as the JSON text in which its fields would be an object at a place. Only
//! fields that the scheme asks for are read, each at most once and without an alias, so that an app
//! finds the value that was verified. The form is known by its first byte. `Content-Type`, which no
//! signature covers, chooses nothing; but an app takes the body apart as it says, so a body of another
//! kind is refused.

use serde_json::{Map, Value};

use crate::notation::form::{Fields, Said};
use crate::notation::json::{Pointer, without_mark};
use crate::scheme::{Place, Scheme, TemplateScheme, TimestampAt};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Found;

const SEVERAL: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a field of the form that is signed, or that names the event, is there more than once or has an \
     alias",
);

const OTHER_KIND: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body is not of the kind that Content-Type says: an app would read other fields in it than \
     were verified",
);

const NO_FORM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body is no form with the fields that this scheme signs",
);

/// The form as a JSON text, in which its fields are strings of an object at the template's
/// [`form_at`](TemplateScheme::form_at). `None` where the scheme knows no forms, and for a body that is no
/// well-formed form with a field that the scheme asks for.
///
/// # Errors
/// `malformed_signature` where such a field is there more than once, or beside an alias, or is a file;
/// where the body is a form or JSON and `said` says that it is another kind; and for every other body
/// where the template takes forms alone.
pub(crate) fn as_json(
    scheme: &Scheme,
    template: &TemplateScheme,
    said: &Said,
    body: &[u8],
) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(at) = template.form_at() else {
        return Ok(None);
    };
    let otherwise = if template.takes_forms_alone() {
        Err(NO_FORM)
    } else {
        Ok(None)
    };
    if is_json(body) {
        return match said {
            Said::Nothing | Said::Other => otherwise,
            Said::Urlencoded | Said::Multipart(_) => Err(OTHER_KIND),
        };
    }
    let Some(fields) = Fields::of(said, body) else {
        let is_said_otherwise = Fields::of(&Said::Nothing, body).is_some();
        return if is_said_otherwise {
            Err(OTHER_KIND)
        } else {
            otherwise
        };
    };
    let mut object = Map::new();
    for name in names(scheme, template, at) {
        match fields.one(name.as_bytes()) {
            Found::Nothing => {}
            Found::Several => return Err(SEVERAL),
            Found::One(value) => {
                if let Ok(text) = std::str::from_utf8(value) {
                    object.insert(name.to_owned(), text.into());
                }
            }
        }
    }
    if object.is_empty() {
        return otherwise;
    }
    let nested = at
        .tokens
        .iter()
        .rev()
        .fold(Value::Object(object), |inner, token| {
            Value::Object(Map::from_iter([(token.clone(), inner)]))
        });
    Ok(Some(nested.to_string().into_bytes()))
}

/// The names of the fields that the scheme asks for: the members of the object at `at`.
fn names<'s>(scheme: &'s Scheme, template: &'s TemplateScheme, at: &Pointer) -> Vec<&'s str> {
    let timestamp = match template.timestamp.as_ref().map(|place| &place.at) {
        Some(TimestampAt::Json(pointer)) => Some(pointer),
        _ => None,
    };
    let of_the_event = [&scheme.event_id, &scheme.event_type, &scheme.account];
    let of_the_event = of_the_event
        .into_iter()
        .flatten()
        .flat_map(|place| match place {
            Place::Json(pointers) => pointers.as_slice(),
            Place::Header(_) | Place::Claim(_) => &[],
        });
    let pointers = template
        .signed
        .pointers()
        .chain(&template.signature.json)
        .chain(timestamp)
        .chain(of_the_event);
    let mut names = Vec::new();
    for pointer in pointers {
        if let Some((name, parent)) = pointer.tokens.split_last()
            && parent == at.tokens.as_slice()
            && !names.contains(&name.as_str())
        {
            names.push(name.as_str());
        }
    }
    names
}

/// Whether a body begins as a JSON object or array.
fn is_json(body: &[u8]) -> bool {
    let mut text = without_mark(body).iter();
    let first = text.find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scheme::tests::fixtures::{plain, template_of, timestamped};

    /// Two values of an object are signed, beside the signature; another member names the event.
    fn scheme() -> Scheme {
        let mut scheme = plain("{json:/s/timestamp}{json:/s/token}");
        let template = template_of(&mut scheme);
        template.signature.json = Pointer::parse("/s/signature");
        template.form = Pointer::parse("/s");
        scheme.event_id = Pointer::parse("/s/token").map(|pointer| Place::Json(vec![pointer]));
        scheme.event_type = Pointer::parse("/e/type").map(|pointer| Place::Json(vec![pointer]));
        scheme
    }

    fn read(body: &[u8]) -> Result<Option<String>, Refusal> {
        let scheme = scheme();
        let template = scheme.template().expect("a template");
        as_json(&scheme, template, &Said::Nothing, body)
            .map(|text| text.map(|text| String::from_utf8(text).expect("UTF-8")))
    }

    fn multipart(parts: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--XyZ\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--XyZ--\r\n"
    }

    const WHOLE: &str = r#"{"s":{"signature":"ab","timestamp":"1","token":"t\"é"}}"#;

    #[test]
    fn the_fields_that_are_asked_for_become_members_of_an_object() {
        for body in [
            "timestamp=1&token=t%22%C3%A9&signature=ab&subject=x&subject=y".to_owned(),
            "subject=&token=t%22%c3%a9&signature=ab&timestamp=1".to_owned(),
            multipart(&[
                ("\"timestamp\"", "1"),
                ("token", "t\"é"),
                ("\"attachment-1\"; filename=\"token\"", "\0\r\n--Xy"),
                ("\"signature\"", "ab"),
            ]),
        ] {
            let text = read(body.as_bytes()).expect(&body).expect(&body);
            let members: Value = serde_json::from_str(&text).expect(&body);
            let wanted: Value = serde_json::from_str(WHOLE).expect("JSON");
            assert_eq!(members, wanted, "{body}");
        }
    }

    #[test]
    fn a_field_that_is_asked_for_is_there_once_and_has_no_alias() {
        for more in [
            "token=t",
            "Token=u",
            "token[]=u",
            "token%00=u",
            "+token=u",
            "TIMESTAMP=2",
            "token.x=u",
            "%2574oken=u",
            "%5Btoken%5D=u",
            "?token=u",
            "_charset_=utf-7",
        ] {
            for body in [
                format!("timestamp=1&token=t&signature=ab&{more}"),
                format!("{more}&timestamp=1&token=t&signature=ab"),
            ] {
                assert_eq!(read(body.as_bytes()), Err(SEVERAL), "{body}");
            }
        }
        let twice = multipart(&[("token", "t"), ("\"token\"", "t")]);
        assert_eq!(read(twice.as_bytes()), Err(SEVERAL));
    }

    #[test]
    fn what_is_no_such_form_is_read_as_it_is() {
        for body in [
            "",
            "{\"token\":1}",
            " [1]",
            "\u{feff}{}",
            "subject=x",
            "token=%zz",
            "token=t;timestamp=1",
            "--",
            "--XyZ",
            "--XyZ\r\n",
            &multipart(&[("token", "t")]).replace("--XyZ--", "--XyZ"),
            &multipart(&[("\"tok\\\"en\"", "t")]),
            &multipart(&[("token; name=signature", "t")]),
            &multipart(&[("token", "t")]).replace("name=", "name*="),
            &multipart(&[("token", "t")]).replace("--XyZ", &format!("--{}", "x".repeat(71))),
        ] {
            assert_eq!(read(body.as_bytes()), Ok(None), "{body}");
        }
        let mut without = scheme();
        template_of(&mut without).form = None;
        let template = without.template().expect("a template");
        assert_eq!(
            as_json(&without, template, &Said::Nothing, b"token=t"),
            Ok(None)
        );
    }

    #[test]
    fn au_84_a_body_is_of_the_kind_that_content_type_says() {
        let scheme = scheme();
        let template = scheme.template().expect("a template");
        let form = "timestamp=1&token=t&signature=ab";
        let parts = multipart(&[("timestamp", "1"), ("token", "t"), ("signature", "ab")]);
        let own = || Said::Multipart(b"XyZ".to_vec());
        let rows = [
            (form, Said::Urlencoded, true),
            (form, Said::Other, true),
            (form, own(), false),
            (&parts, own(), true),
            (&parts, Said::Urlencoded, false),
            (&parts, Said::Multipart(b"Other".to_vec()), false),
            ("{}", Said::Other, true),
            (" {\"a\":\"&token=t\"}", Said::Urlencoded, false),
            ("{}", own(), false),
        ];
        for (body, said, is_taken) in rows {
            let read = as_json(&scheme, template, &said, body.as_bytes());
            let expected = if is_taken { None } else { Some(OTHER_KIND) };
            assert_eq!(read.err(), expected, "{said:?}: {body}");
        }
    }

    #[test]
    fn a_timestamp_is_asked_for_where_it_is_not_signed_by_itself() {
        let mut scheme = timestamped("{json:/s/token}");
        let template = template_of(&mut scheme);
        template.form = Pointer::parse("/s");
        if let (Some(place), Some(pointer)) = (&mut template.timestamp, Pointer::parse("/s/at")) {
            place.at = TimestampAt::Json(pointer);
        }
        let template = scheme.template().expect("a template");
        let text = as_json(&scheme, template, &Said::Nothing, b"at=5&timestamp=1").expect("a form");
        assert_eq!(text.as_deref(), Some(&br#"{"s":{"at":"5"}}"#[..]));
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&body);
            let _ = read(&[b"--XyZ\r\n", body.as_slice(), b"--XyZ--"].concat());
        }
    }
}
