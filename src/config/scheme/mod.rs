//! The table `[route.scheme]`: a signature scheme as data (schemes: The form). Presets are written
//! in the same form.
//!
//! Each key that is a table has a file of its own. A scheme that can be read may still be unsafe
//! (schemes: What is refused): [`Scheme::faults`] judges that, and the route calls it with its own
//! settings.

mod answer;
mod envelope;
mod headers;
mod jwt;
mod key;
pub(super) mod repeats;
mod signature;
mod timestamp;

use std::ops::Range;
use std::time::Duration;

pub(super) use self::envelope::Envelope;
pub(super) use self::headers::is_field_value;
use super::reader::{Findings, Item, Table};
use super::units;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::providers;
use crate::scheme::{
    Algorithm, BodyForm, CredentialKind, CredentialPlace, CredentialScheme, Handshake, IdForm,
    JwtRule, KeyForm, ProofBy, ProviderCode, Scheme, SignaturePlace, Template, TemplateScheme,
    TokenScheme,
};

/// The tolerance of a scheme that does not write its own.
const DEFAULT_TOLERANCE: Tolerance = Tolerance::Within(Duration::from_secs(300));

/// The name of a scheme without a preset.
pub(super) const CUSTOM: &str = "custom";

/// Keys that exclude each other: the place, the problem, and the help. They are reported once the
/// rest of a scheme is known to be readable, since a report before that would hide the scheme's
/// first mistake.
type Mixtures = Vec<(Range<usize>, String, String)>;

/// Reads a scheme. `None` where a part that it needs is missing or wrong; `findings` then holds the
/// reason.
pub(super) fn read(
    table: &mut Table<'_>,
    findings: &mut Findings,
    provider: &str,
    preset: bool,
) -> Option<Scheme> {
    // A part that is present and wrong must not look like a missing part, about which further
    // faults would be reported.
    let mut is_usable = true;
    let mut mixtures = Mixtures::new();
    let named = table.required(findings, "algorithm", "\"hmac-sha256\"");
    let algorithm = named.as_ref().and_then(|item| {
        let names = Algorithm::ALL.map(Algorithm::name);
        item.one_of(findings, &names, &[], Algorithm::named)
    });
    let code = table.item("code");
    let jwt = match algorithm {
        Some(Algorithm::Jwt) => {
            let jwt = table.required(findings, "jwt", jwt::EXAMPLE);
            is_usable &= jwt.is_some();
            jwt
        }
        _ => table.item("jwt"),
    };
    let has_token = jwt.is_some() || algorithm == Some(Algorithm::Jwt);
    let rule = usable(jwt.clone(), &mut is_usable, |item| {
        jwt::read(item, findings)
    });
    if let Some(item) = jwt.filter(|_| algorithm != Some(Algorithm::Jwt)) {
        let message = "`algorithm = \"jwt\"` and a `jwt` table belong together";
        let help = "write both, as in `jwt = { header = \"X-Token\", algorithms = [\"HS256\"] }`, or neither";
        mixtures.push((item.key_span.clone(), message.to_owned(), help.to_owned()));
    }
    let key = key_forms(table, findings);
    let proof = match (algorithm, code) {
        (_, Some(item)) => by_code(
            table,
            findings,
            &mut mixtures,
            &item,
            named.as_ref().zip(algorithm),
        ),
        (_, None) if has_token => by_token(table, findings, &mut mixtures, rule, key.clone()),
        (Some(Algorithm::Token), None) => by_credential(
            table,
            findings,
            &mut mixtures,
            CredentialKind::Token,
            key.clone(),
        ),
        (Some(Algorithm::Basic), None) => by_credential(
            table,
            findings,
            &mut mixtures,
            CredentialKind::Basic,
            key.clone(),
        ),
        (algorithm, None) => by_template(table, findings, algorithm, key.clone()),
    };
    // An unreadable part of any scheme is the only problem to report about it.
    is_usable &= algorithm.is_some() && key.is_some();
    let covers_body = table.item("covers_body");
    let tolerance = read_tolerance(table, findings, "tolerance");
    let future_tolerance = read_tolerance(table, findings, "future_tolerance");
    let require = table
        .item("require")
        .map(|item| headers::read_require(&item, findings));
    let components = usable(table.item("components"), &mut is_usable, |item| {
        headers::read_components(item, findings)
    });
    let envelope = Envelope::read(table, findings);
    let events_repeat = table
        .item("events_repeat")
        .and_then(|item| item.flag(findings));
    let types_share_bodies = table
        .item("types_share_bodies")
        .and_then(|item| item.flag(findings));
    let repeats = usable(table.item("repeats"), &mut is_usable, |item| {
        repeats::read(item, findings)
    });
    let ack = usable(table.item("ack"), &mut is_usable, |item| {
        answer::read(item, findings)
    });
    let secret_begins = usable(table.item("secret_begins"), &mut is_usable, |item| {
        key::read_begins(item, findings)
    });
    let secret_form = usable(table.item("secret_form"), &mut is_usable, |item| {
        key::read_secret_form(item, findings)
    });
    let handshake = usable(table.item("handshake"), &mut is_usable, |item| {
        let names = providers::HANDSHAKES.map(Handshake::name);
        item.one_of(findings, &names, &[], providers::handshake)
    });
    table.finish(findings);
    if !is_usable || !envelope.is_usable {
        return None;
    }
    let proof = proof?;
    for (span, message, help) in mixtures {
        findings.problem(span, message, help);
    }
    let mut scheme = Scheme {
        provider: provider.to_owned(),
        preset,
        proof,
        tolerance: DEFAULT_TOLERANCE,
        future_tolerance: DEFAULT_TOLERANCE,
        require: require.unwrap_or_default(),
        components: components.unwrap_or_default(),
        event_id: None,
        event_id_required: false,
        event_type: None,
        event_type_required: false,
        account: None,
        account_required: false,
        events_repeat: events_repeat.unwrap_or(false),
        types_share_bodies: types_share_bodies.unwrap_or(false),
        repeats: repeats.and_then(repeats::Written::repeats),
        ack,
        handshake,
        secret_begins: secret_begins.unwrap_or_default(),
        secret_form,
    };
    // An honest retry carries the event's own time, however old that is; a clock that is ahead is
    // another matter.
    let (past, future) = if scheme.is_stamped_by_event() {
        (tolerance.unwrap_or(Tolerance::Off), DEFAULT_TOLERANCE)
    } else {
        let past = tolerance.unwrap_or(DEFAULT_TOLERANCE);
        (past, past)
    };
    scheme.tolerance = past;
    scheme.future_tolerance = future_tolerance.unwrap_or(future);
    envelope.set(&mut scheme);
    if let Some(item) = covers_body {
        set_covers_body(&mut scheme, &item, findings)?;
    }
    Some(scheme)
}

/// Reads a scheme that a template describes. `algorithm` is `None` if it could not be read.
fn by_template(
    table: &mut Table<'_>,
    findings: &mut Findings,
    algorithm: Option<Algorithm>,
    key: Option<Vec<KeyForm>>,
) -> Option<ProofBy> {
    let signed = match algorithm {
        Some(_) => table.required(findings, "signed", "\"{timestamp}.{body}\""),
        None => table.item("signed"),
    };
    let signed = signed.and_then(|item| read_template(&item, findings));
    let id_form = table.item("id_form");
    let id_form = id_form.map_or(Some(None), |item| {
        let names = IdForm::ALL.map(IdForm::name);
        item.one_of(findings, &names, &[], IdForm::named).map(Some)
    });
    let body = table
        .item("body")
        .map_or(Some(vec![BodyForm::Raw]), |item| read_body(&item, findings));
    let decode_url = table
        .item("decode_url")
        .and_then(|item| item.flag(findings));
    let mut is_usable = true;
    let form = usable(table.item("form"), &mut is_usable, |item| {
        timestamp::read_pointer(item, findings)
    });
    let signature = match table.item("signature") {
        Some(item) => signature::read(&item, findings, algorithm),
        None => {
            if algorithm.is_some() {
                let example = "{ header = \"X-Signature\", encoding = \"hex\" }";
                table.required(findings, "signature", example);
            }
            None
        }
    };
    let timestamp = usable(table.item("timestamp"), &mut is_usable, |item| {
        timestamp::read(item, findings)
    });
    if !is_usable {
        return None;
    }
    let signed = match id_form? {
        Some(form) => signed?.with_id_form(form),
        None => signed?,
    };
    Some(ProofBy::Template(TemplateScheme {
        algorithm: algorithm?,
        signed,
        may_leave_body: false,
        decode_url: decode_url.unwrap_or(false),
        form,
        body: body?,
        key: key?,
        signature: signature?,
        timestamp,
    }))
}

/// Reads a scheme whose deliveries carry the secret itself.
fn by_credential(
    table: &mut Table<'_>,
    findings: &mut Findings,
    mixtures: &mut Mixtures,
    kind: CredentialKind,
    key: Option<Vec<KeyForm>>,
) -> Option<ProofBy> {
    let is_usable = without_template(table, findings, mixtures);
    let algorithm = match kind {
        CredentialKind::Token => Algorithm::Token,
        CredentialKind::Basic => Algorithm::Basic,
    };
    let place = match table.item("signature") {
        Some(item) => signature::read(&item, findings, Some(algorithm)).map(credential_place),
        None if kind == CredentialKind::Basic => Some(signature::authorization()),
        None => {
            table.required(findings, "signature", "{ header = \"X-Token\" }");
            None
        }
    };
    let scheme = CredentialScheme {
        kind,
        key: key?,
        place: place?,
    };
    is_usable.then_some(ProofBy::Credential(scheme))
}

fn credential_place(place: SignaturePlace) -> CredentialPlace {
    CredentialPlace {
        headers: place.headers,
        json: place.json,
        prefix: place.prefix,
    }
}

/// Reads a scheme whose deliveries carry a JSON Web Token.
fn by_token(
    table: &mut Table<'_>,
    findings: &mut Findings,
    mixtures: &mut Mixtures,
    rule: Option<JwtRule>,
    key: Option<Vec<KeyForm>>,
) -> Option<ProofBy> {
    let mut is_usable = without_template(table, findings, mixtures);
    if let Some(item) = table.item("signature") {
        let help = "leave it out: `jwt.header` names the header";
        item.refuse(
            findings,
            "means nothing here: the token holds its signature",
            help,
        );
        is_usable = false;
    }
    for key in ["tolerance", "future_tolerance"] {
        if let Some(item) = table.item(key) {
            let help = "write `max_age` and `leeway` in `jwt`";
            item.refuse(
                findings,
                "means nothing here: the token tells how long it holds",
                help,
            );
        }
    }
    let scheme = TokenScheme {
        rule: rule?,
        key: key?,
    };
    is_usable.then_some(ProofBy::Token(scheme))
}

/// Reads a scheme whose deliveries are read by a provider's code.
fn by_code(
    table: &mut Table<'_>,
    findings: &mut Findings,
    mixtures: &mut Mixtures,
    item: &Item<'_>,
    algorithm: Option<(&Item<'_>, Algorithm)>,
) -> Option<ProofBy> {
    let names = providers::CODES.map(ProviderCode::name);
    let code = item.one_of(findings, &names, &[], providers::code);
    let mut is_usable = without_template(table, findings, mixtures);
    if let Some(item) = table.item("signature") {
        item.refuse(
            findings,
            "means nothing here: the code knows the place of the signature",
            "leave it out",
        );
        is_usable = false;
    }
    let code = code.filter(|_| is_usable)?;
    if let Some((item, _)) = algorithm.filter(|(_, named)| *named != code.algorithm()) {
        let message = format!("the code `{}` verifies another algorithm", code.name());
        let help = format!("write `{}`", code.algorithm().name());
        mixtures.push((item.key_span.clone(), message, help));
    }
    Some(ProofBy::Code(code))
}

/// Refuses the keys that only a template has. False if the scheme cannot be used because of them.
fn without_template(
    table: &mut Table<'_>,
    findings: &mut Findings,
    mixtures: &mut Mixtures,
) -> bool {
    let mut is_usable = true;
    if let Some(item) = table.item("signed") {
        is_usable &= read_template(&item, findings).is_some();
        let message = "`signed` means nothing here: a code or token has its own signed \
             content, and a credential signs nothing";
        mixtures.push((
            item.key_span.clone(),
            message.to_owned(),
            "leave `signed` out".to_owned(),
        ));
    }
    if let Some(item) = table.item("body") {
        item.refuse(
            findings,
            "means nothing here: no `{body}` is signed",
            "leave it out",
        );
        is_usable = false;
    }
    if let Some(item) = table.item("timestamp") {
        is_usable &= timestamp::read(&item, findings).is_some();
        let message = "`timestamp` means nothing here: it belongs to a scheme with `signed`";
        mixtures.push((
            item.key_span.clone(),
            message.to_owned(),
            "leave `timestamp` out".to_owned(),
        ));
    }
    is_usable
}

/// Reads the forms of the secret's text.
fn key_forms(table: &mut Table<'_>, findings: &mut Findings) -> Option<Vec<KeyForm>> {
    table
        .item("key")
        .map_or(Some(vec![KeyForm::default()]), |item| {
            key::read(&item, findings)
        })
}

/// Sets `covers_body`. For a template it says whether `{body}` may be missing. For every other
/// scheme the answer is known, and the key may only repeat it.
fn set_covers_body(scheme: &mut Scheme, item: &Item<'_>, findings: &mut Findings) -> Option<()> {
    let covers_body = item.flag(findings)?;
    if let Some(template) = scheme.template_mut() {
        template.may_leave_body = !covers_body;
    } else if covers_body != scheme.covers_body() {
        let known = if covers_body {
            "this scheme does not cover the body"
        } else {
            "this scheme covers the body"
        };
        item.refuse(
            findings,
            format_args!("is wrong: {known}"),
            "leave it out: the scheme decides it",
        );
        return None;
    }
    Some(())
}

/// Reads the value of a key that is present. If it cannot be read, `is_usable` becomes false.
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
            // The offset counts from behind the opening quote. If the text has escapes, the place
            // is only nearly right, but never beyond the value.
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

/// Reads the `tolerance` or `future_tolerance` of a scheme or a route.
pub(super) fn read_tolerance(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
) -> Option<Tolerance> {
    table.item(key)?.unit(findings, "\"5m\"", units::tolerance)
}

/// Reads the forms of the body, in the order in which they are tried.
fn read_body(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<BodyForm>> {
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
