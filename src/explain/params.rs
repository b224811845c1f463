//! Mistakes made with the params of a route: the texts that its scheme signs beside the delivery.
//!
//! A param is no secret, but its text is not shown either: a mistake names the place where the right
//! text is.

use serde_json::Value;

use super::contents::Contents;
use super::mistake::{Finding, Mistake, found};
use super::trials::{Changed, Trials};
use crate::key::shape;
use crate::scheme::{Scheme, Template};

/// The most texts that are tried for a param.
const MAX_TEXTS: usize = 256;

/// The longest text that is tried, in bytes: no param may be longer.
const LONGEST: usize = 256;

const FIX: &str = "Write the text that the provider signs into `params` of the route, exactly as the \
                   provider shows it; offline, give it with `--param NAME=TEXT`.";

/// A text that may be the right one, and its place in words.
type Place = (String, String);

/// The text of a param is another than that which was signed.
pub(super) fn other(case: &Trials<'_>) -> Option<Finding> {
    let (open, given) = params(case.scheme)?;
    given.iter().find_map(|(name, own)| {
        texts(case, name, own).into_iter().find_map(|(text, words)| {
            let signed = filled(&open, given, name, &text);
            found(case.with_template(|template| template.signed = signed), || {
                Mistake::new(
                    "param_other",
                    format!(
                        "The text of the param `{name}` is not the one that was signed: the \
                         signed text is {words}."
                    ),
                    FIX,
                )
            })
        })
    })
}

/// The secret is in the place of a param, and the param's text in the place of the secret.
pub(super) fn swapped(case: &Trials<'_>) -> Option<Finding> {
    let (open, given) = params(case.scheme)?;
    given.iter().find_map(|(name, own)| {
        case.secrets.iter().find_map(|secret| {
            let text = std::str::from_utf8(secret.text.expose()).ok()?;
            let mut scheme = Scheme::clone(case.scheme);
            scheme.template_mut()?.signed = filled(&open, given, name, text);
            let secrets = case.changed(|_| Some(own.as_bytes().to_vec()));
            let holds = case.proves(&Changed {
                scheme: scheme.into(),
                secrets: &secrets,
                ..case.as_is()
            });
            found(holds, || {
                Mistake::new(
                    "param_and_secret_swapped",
                    format!("The secret and the text of the param `{name}` are swapped."),
                    "Write the key of the app into `params` of the route, and its secret into \
                     `secrets`.",
                )
            })
        })
    })
}

/// The template without the texts of its params, and those texts; `None` for a scheme without
/// params.
fn params(scheme: &Scheme) -> Option<(Template, &[(String, String)])> {
    let signed = &scheme.template()?.signed;
    let given = signed.given();
    (!given.is_empty()).then_some(())?;
    Some((signed.without_params()?, given))
}

/// The template with its texts, of which the one of `name` is changed.
fn filled(open: &Template, given: &[(String, String)], name: &str, text: &str) -> Template {
    open.with_params(|param| {
        let mut texts = given.iter();
        let own = texts.find(|(known, _)| known == param);
        if param == name {
            Some(text)
        } else {
            own.map(|(_, own)| own.as_str())
        }
    })
}

/// The texts that may be meant: the configured one spelled otherwise, then what is in the delivery
/// itself, of which places with a similar name come first.
fn texts(case: &Trials<'_>, name: &str, own: &str) -> Vec<Place> {
    let behind = own.split_once(['=', ':']).map(|(_, text)| text.trim());
    let bare = String::from_utf8_lossy(shape::bare(own.as_bytes())).into_owned();
    let mut texts: Vec<Place> = vec![
        (
            bare,
            "the configured text without the signs around it".to_owned(),
        ),
        (
            own.to_ascii_lowercase(),
            "the configured text in small letters".to_owned(),
        ),
        (
            own.to_ascii_uppercase(),
            "the configured text in capital letters".to_owned(),
        ),
    ];
    let behind = behind.map(|text| {
        let words = "the configured text without the name in front of it";
        (text.to_owned(), words.to_owned())
    });
    texts.extend(behind);
    let mut sent = sent(case);
    let squeezed = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = squeezed(name);
    sent.sort_by_key(|(_, words)| !squeezed(words).contains(&wanted));
    texts.extend(sent);
    let mut seen: Vec<String> = vec![own.to_owned(), String::new()];
    texts.retain(|(text, _)| {
        let is_new = text.len() <= LONGEST && !seen.contains(text);
        seen.extend(is_new.then(|| text.clone()));
        is_new
    });
    texts.truncate(MAX_TEXTS);
    texts
}

/// The texts of the delivery itself: headers, the query, the body.
fn sent(case: &Trials<'_>) -> Vec<Place> {
    let mut texts = Vec::new();
    for (name, value) in case.head.lines() {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            continue;
        };
        let words = format!("in the header `{}`", name.to_ascii_lowercase());
        texts.push((value.to_owned(), words.clone()));
        let pieces = value.split([' ', ',', ';', '=', ':', '"']);
        let pieces = pieces.filter(|piece| !piece.is_empty() && piece.len() < value.len());
        texts.extend(pieces.map(|piece| (piece.to_owned(), words.clone())));
    }
    let query = case.head.query().unwrap_or_default();
    texts.extend(query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let words = format!("in the parameter `{name}` of the URL's query");
        Some((value.to_owned(), words))
    }));
    let contents = Contents::of(case.body);
    for document in &contents.documents {
        values(document, "", &mut texts);
    }
    texts.extend(contents.fields.iter().filter_map(|(name, value)| {
        let (name, value) = (
            std::str::from_utf8(name).ok()?,
            std::str::from_utf8(value).ok()?,
        );
        Some((
            value.to_owned(),
            format!("in the field `{name}` of the form"),
        ))
    }));
    texts
}

/// The texts and numbers of a document, each with its pointer.
fn values(value: &Value, pointer: &str, texts: &mut Vec<Place>) {
    if texts.len() >= MAX_TEXTS {
        return;
    }
    let mut add = |text: String| texts.push((text, format!("at `{pointer}` of the JSON body")));
    match value {
        Value::String(text) => add(text.clone()),
        Value::Number(number) => add(number.to_string()),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                values(item, &format!("{pointer}/{place}"), texts);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                values(item, &format!("{pointer}/{name}"), texts);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
