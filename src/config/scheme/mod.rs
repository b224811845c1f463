//! `[route.scheme]`, and the presets, which are written in the same form: a signature scheme as data (SCHEMES 1).
//!
//! Each key that is a table of its own is read in a file of its own. What a scheme must not say (SCHEMES 2) is judged by
//! [`Scheme::faults`], which the route asks with its own settings.

mod answer;
mod envelope;
mod fields;
mod jwt;
mod key;
mod signature;
mod timestamp;

use std::time::Duration;

pub(super) use self::envelope::Envelope;
pub(super) use self::fields::is_field_value;
use super::reader::{Findings, Item, Table};
use super::units;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::providers;
use crate::scheme::code::ProviderCode;
use crate::scheme::handshake::Handshake;
use crate::scheme::{
    Algorithm, BodyForm, KeyForm, Kind, Scheme, SignaturePlace, Stamped, Template,
};

/// How far a timestamp may be off where nobody says.
const DEFAULT_TOLERANCE: Tolerance = Tolerance::Within(Duration::from_secs(300));

/// What says what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `signed`
    Template,
    /// Nothing: the secret itself is sent.
    Credential,
    /// `code`
    Code,
    /// `jwt`
    Jwt,
    /// Not known: `algorithm` is wrong or missing.
    Unknown,
}

impl Way {
    fn of(algorithm: Option<Algorithm>, has_code: bool, has_jwt: bool) -> Self {
        match algorithm.map(Algorithm::kind) {
            _ if has_code => Self::Code,
            Some(Kind::Jwt) => Self::Jwt,
            _ if has_jwt => Self::Jwt,
            Some(Kind::Token) => Self::Credential,
            Some(Kind::Digest(_) | Kind::Public(_)) => Self::Template,
            None => Self::Unknown,
        }
    }
}

/// Reads a scheme. `None` where what it needs is missing or wrong, which `findings` then knows.
pub(super) fn read(
    table: &mut Table<'_>,
    findings: &mut Findings,
    provider: &str,
    preset: bool,
) -> Option<Scheme> {
    // What is there and cannot be used must not look like what is not there: further faults would be about that.
    let mut is_usable = true;
    let algorithm = table.required(findings, "algorithm", "\"hmac-sha256\"");
    let algorithm = algorithm.and_then(|item| {
        item.one_of(
            findings,
            &Algorithm::ALL.map(Algorithm::name),
            &[],
            Algorithm::named,
        )
    });
    let code = table.item("code");
    let has_code = code.is_some();
    let code = usable(code, &mut is_usable, |item| {
        item.one_of(
            findings,
            &providers::CODES.map(ProviderCode::name),
            &[],
            providers::code,
        )
    });
    let is_jwt = algorithm == Some(Algorithm::Jwt);
    let jwt = if is_jwt {
        table.required(findings, "jwt", jwt::EXAMPLE)
    } else {
        table.item("jwt")
    };
    let way = Way::of(algorithm, has_code, jwt.is_some());
    is_usable &= jwt.is_some() || !is_jwt;
    let jwt = usable(jwt, &mut is_usable, |item| jwt::read(item, findings));
    let signed = match way {
        Way::Template => table
            .required(findings, "signed", "\"{timestamp}.{body}\"")
            .map(Some),
        _ => Some(table.item("signed")),
    };
    let signed = signed.and_then(|item| {
        item.map_or(Some(Template::default()), |item| {
            read_template(&item, findings)
        })
    });
    let covers_body = table.item("covers_body");
    let body = read_body(table, findings, way);
    let key = table
        .item("key")
        .map_or(Some(vec![KeyForm::default()]), |item| {
            key::read(&item, findings)
        });
    let signature = read_signature(table, findings, way, algorithm);
    let timestamp = usable(table.item("timestamp"), &mut is_usable, |item| {
        timestamp::read(item, findings)
    });
    let tolerance = read_tolerance(table, findings, "tolerance");
    let future_tolerance = read_tolerance(table, findings, "future_tolerance");
    if way == Way::Jwt {
        for key in ["tolerance", "future_tolerance"] {
            if let Some(item) = table.item(key) {
                let help = "say `max_age` and `leeway` in `jwt`";
                item.refuse(
                    findings,
                    "means nothing here: the token tells how long it holds",
                    help,
                );
            }
        }
    }
    let require = table
        .item("require")
        .map(|item| fields::read_require(&item, findings))
        .unwrap_or_default();
    let envelope = Envelope::read(table, findings);
    let events_repeat = table
        .item("events_repeat")
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    let ack = usable(table.item("ack"), &mut is_usable, |item| {
        answer::read(item, findings)
    });
    let handshake = usable(table.item("handshake"), &mut is_usable, |item| {
        item.one_of(
            findings,
            &providers::HANDSHAKES.map(Handshake::name),
            &[],
            providers::handshake,
        )
    });
    table.finish(findings);
    if !is_usable || !envelope.is_usable {
        return None;
    }
    let mut scheme = Scheme {
        provider: provider.to_owned(),
        preset,
        algorithm: algorithm?,
        signed: signed?,
        code,
        jwt,
        may_leave_body: false,
        body: body?,
        key: key?,
        signature: signature?,
        timestamp,
        tolerance: DEFAULT_TOLERANCE,
        future_tolerance: DEFAULT_TOLERANCE,
        require,
        event_id: None,
        event_id_required: false,
        event_type: None,
        event_type_required: false,
        account: None,
        account_required: false,
        events_repeat,
        ack,
        handshake,
    };
    let is_event_stamped = scheme.stamped() == Stamped::Event;
    scheme.tolerance = tolerance.unwrap_or(if is_event_stamped {
        Tolerance::Off
    } else {
        DEFAULT_TOLERANCE
    });
    scheme.future_tolerance = future_tolerance.unwrap_or(scheme.tolerance);
    envelope.set(&mut scheme);
    if let Some(item) = covers_body {
        set_covers_body(&mut scheme, &item, findings)?;
    }
    Some(scheme)
}

/// Whether the body may be left out of a template; elsewhere it is known whether it is, and only that can be said.
fn set_covers_body(scheme: &mut Scheme, item: &Item<'_>, findings: &mut Findings) -> Option<()> {
    let covers_body = item.flag(findings)?;
    if scheme.code.is_none() && scheme.jwt.is_none() && !scheme.is_token() {
        scheme.may_leave_body = !covers_body;
    } else if covers_body != scheme.covers_body() {
        let known = if covers_body {
            "the body is not covered here"
        } else {
            "the body is covered here"
        };
        item.refuse(
            findings,
            format_args!("is wrong: {known}"),
            "leave it out: it is known",
        );
        return None;
    }
    Some(())
}

/// Reads the place of the signature, which some schemes know.
fn read_signature(
    table: &mut Table<'_>,
    findings: &mut Findings,
    way: Way,
    algorithm: Option<Algorithm>,
) -> Option<SignaturePlace> {
    match (table.item("signature"), way) {
        (Some(item), Way::Code | Way::Jwt) => {
            let help = if way == Way::Jwt {
                "leave it out: `jwt.header` names the header"
            } else {
                "leave it out"
            };
            item.refuse(findings, "means nothing here: its place is known", help);
            None
        }
        (Some(item), _) => signature::read(&item, findings, algorithm),
        (None, Way::Code | Way::Jwt) => Some(signature::nowhere()),
        (None, _) if algorithm == Some(Algorithm::Basic) => Some(signature::authorization()),
        (None, Way::Unknown) => None,
        (None, _) => {
            let example = if way == Way::Template {
                "{ header = \"X-Signature\", encoding = \"hex\" }"
            } else {
                TOKEN
            };
            table.required(findings, "signature", example);
            None
        }
    }
}

/// An example of the place of a token.
const TOKEN: &str = "{ header = \"X-Token\" }";

/// What was read, where it was there; that it could not be read is noted.
fn usable<T>(
    item: Option<Item<'_>>,
    is_usable: &mut bool,
    read: impl FnOnce(&Item<'_>) -> Option<T>,
) -> Option<T> {
    let read = read(&item?);
    *is_usable &= read.is_some();
    read
}

fn read_template(item: &Item<'_>, findings: &mut Findings) -> Option<Template> {
    let text = item.text(findings, "signed = \"{timestamp}.{body}\"")?;
    match Template::parse(text) {
        Ok(template) if template.pointers().any(Pointer::is_each) => {
            let help = "name one place: `*` is only for `signature.json`";
            item.refuse(findings, "takes a value from many places of the body", help);
            None
        }
        Ok(template) => Some(template),
        Err(problem) => {
            // Behind the opening quote; with escapes in the text this is only near the place, never beyond the value.
            let span = item.span();
            let at = (span.start + 1 + problem.offset)
                .min(span.end.saturating_sub(1))
                .max(span.start);
            findings.problem(
                at..at + 1,
                format!("`{}`: {}", item.path, problem.message),
                problem.help,
            );
            None
        }
    }
}

/// Reads a `tolerance` or `future_tolerance`, of a scheme or a route.
pub(super) fn read_tolerance(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
) -> Option<Tolerance> {
    table.item(key)?.unit(findings, "\"5m\"", units::tolerance)
}

/// Reads the forms of the body, in the order in which they are tried.
fn read_body(table: &mut Table<'_>, findings: &mut Findings, way: Way) -> Option<Vec<BodyForm>> {
    let Some(item) = table.item("body") else {
        return Some(vec![BodyForm::Raw]);
    };
    if !matches!(way, Way::Template | Way::Unknown) {
        item.refuse(
            findings,
            "means nothing here: no `{body}` is signed",
            "leave it out",
        );
        return None;
    }
    let entries = item.list(findings, "body = [\"raw\"]")?;
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: no body could have been signed",
            "write at least one, as in `[\"raw\"]`",
        );
        return None;
    }
    let names = BodyForm::ALL.map(BodyForm::name);
    let mut forms = Vec::new();
    let mut is_usable = true;
    for entry in &entries {
        match entry.one_of(findings, &names, &[], BodyForm::named) {
            Some(form) if forms.contains(&form) => {
                entry.refuse(
                    findings,
                    "names a form twice",
                    "name each once, in the order in which they are tried",
                );
                is_usable = false;
            }
            Some(form) => forms.push(form),
            None => is_usable = false,
        }
    }
    is_usable.then_some(forms)
}
