//! The parts that headers, parameters of the query and values of the body have for each provider,
//! and the form of the value there.

use super::facts;
use super::places::{self, behind};
use crate::config::presets::{Preset, all};
use crate::scheme::{CredentialKind, ProofBy, Role, Scheme, Source, TimestampAt};
use crate::sign::canonical;
use crate::wire::head::FieldName;

/// The use that a provider makes of a place of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Use {
    /// The place: a header, a parameter of the query, or a value of the body.
    pub(in crate::cli) source: Source,
    /// Its part in the delivery, in a word or two.
    pub(in crate::cli) part: &'static str,
    /// The value that is read from it, in words.
    pub(in crate::cli) words: String,
}

impl Use {
    /// The place as it is usually written.
    pub(in crate::cli) fn place(&self) -> String {
        shown(&self.source)
    }

    /// The header, if the place is a header.
    pub(super) fn header(&self) -> Option<&FieldName> {
        self.source.header()
    }
}

/// A place of a delivery as it is usually written: the name of a header alone, and another place in
/// words.
pub(in crate::cli) fn shown(source: &Source) -> String {
    source.header().map_or_else(|| source.words(), canonical)
}

/// A place of a delivery in JSON: its kind, and its name. The whole body has no name.
pub(in crate::cli) fn named(source: &Source) -> (&'static str, String) {
    match source {
        Source::Header(name) => ("header", canonical(name)),
        Source::Query(name) => ("query", name.clone()),
        Source::Json(pointer) => ("json", pointer.text()),
        Source::Field(name) => ("form", name.clone()),
        Source::Body => ("body", String::new()),
    }
}

/// All that a scheme reads, the signature first.
pub(in crate::cli) fn of(scheme: &Scheme) -> Vec<Use> {
    let mut uses: Vec<Use> = scheme
        .sources()
        .into_iter()
        .map(|(role, source)| Use {
            words: words(scheme, role, &source),
            part: role.name(),
            source,
        })
        .collect();
    if let Some(handshake) = scheme.handshake {
        for name in names_in(handshake.words()) {
            if uses.iter().all(|one| one.header() != Some(&name)) {
                uses.push(Use {
                    source: Source::Header(name),
                    part: "handshake",
                    words: "part of the handshake".to_owned(),
                });
            }
        }
    }
    uses
}

/// All that a scheme reads from one header; empty where it reads nothing.
pub(in crate::cli) fn of_header(scheme: &Scheme, name: &FieldName) -> Vec<Use> {
    let mut uses = of(scheme);
    uses.retain(|one| one.header() == Some(name));
    uses
}

/// The names of all places that a scheme reads, as a search looks for them: headers, parameters of
/// the query, pointers and fields of the body.
pub(super) fn names(scheme: &Scheme) -> Vec<String> {
    let all = of(scheme).into_iter();
    all.map(|one| named(&one.source).1).collect()
}

fn words(scheme: &Scheme, role: Role, source: &Source) -> String {
    let signed = |is_signed| if is_signed { "signed" } else { "not signed" };
    match role {
        Role::Signature => signature(scheme),
        Role::Timestamp => {
            let unit = scheme.timestamp().map_or("", |place| place.unit.name());
            format!("{unit}, {}", signed(scheme.signs_timestamp()))
        }
        Role::Signed => "part of the signed content".to_owned(),
        Role::Required => {
            let mut required = scheme.require.iter();
            let value = required.find(|(own, _)| source.header() == Some(own));
            let value = value.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            format!("must be `{}`", value.unwrap_or_default())
        }
        Role::EventId => format!("the event's id, {}", signed(scheme.id_is_signed())),
        Role::EventType => {
            format!(
                "the event's type, {}",
                signed(scheme.event_type_is_signed())
            )
        }
        Role::Account => format!("the account, {}", signed(scheme.account_is_signed())),
        Role::Beside => "read beside the signature".to_owned(),
    }
}

/// The algorithm, the signed content, and how the value is written.
fn signature(scheme: &Scheme) -> String {
    match &scheme.proof {
        ProofBy::Credential(credential) => match credential.kind {
            CredentialKind::Basic => "user and password, as `Basic` and base64".to_owned(),
            CredentialKind::Token => {
                format!("the secret itself{}", behind(&credential.place.prefix))
            }
        },
        ProofBy::Token(token) => {
            let names = token.rule.algorithms.iter().map(|known| known.name());
            let names: Vec<_> = names.collect();
            let signed = facts::signed(scheme);
            let prefix = behind(token.rule.prefix());
            format!("{signed}{prefix}, {}", names.join(" or "))
        }
        ProofBy::Code(_) => format!("{} of {}", scheme.algorithm().name(), facts::signed(scheme)),
        ProofBy::Template(template) => {
            let place = places::signature(scheme);
            // The encoding follows the place.
            let form = place.split_once(": ").map_or_else(
                || template.signature.encoding.name().to_owned(),
                |(_, form)| form.to_owned(),
            );
            let time = match template
                .timestamp
                .as_ref()
                .map(|place| (&place.at, place.unit))
            {
                Some((TimestampAt::Field(label), unit)) => {
                    format!(", with the time as `{label}` in {}", unit.name())
                }
                _ => String::new(),
            };
            let signed = facts::signed(scheme);
            format!("{} of {signed}: {form}{time}", scheme.algorithm().name())
        }
    }
}

/// The header names in a sentence, where they are written between backticks.
fn names_in(text: &str) -> Vec<FieldName> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| word.contains('-') && !word.contains(['/', '_', '.']);
    quoted.filter(is_name).filter_map(FieldName::new).collect()
}

/// The header that an argument names: `X-Name`, a whole line `X-Name: value`, or the spelling of
/// CGI, `HTTP_X_NAME`.
pub(super) fn header(text: &str) -> Result<FieldName, String> {
    let name = text.split_once(':').map_or(text, |(name, _)| name).trim();
    let name = match name.strip_prefix("HTTP_") {
        Some(rest) => rest.replace('_', "-"),
        None => name.to_owned(),
    };
    FieldName::new(&name)
        .ok_or_else(|| "it is no name of a header: write it as in `X-Hub-Signature-256`".to_owned())
}

/// The answer where no provider reads all of these headers, without a capital letter.
pub(super) fn nothing(names: &[FieldName]) -> String {
    let users = |name: &FieldName| -> Vec<&'static str> {
        let reads = |preset: &&Preset| !of_header(&preset.scheme, name).is_empty();
        let presets = all().iter().filter(reads);
        presets.map(|preset| preset.name.as_str()).collect()
    };
    let read: Vec<_> = names.iter().map(|name| (name, users(name))).collect();
    let unread: Vec<_> = read.iter().filter(|(_, users)| users.is_empty()).collect();
    if unread.is_empty() {
        let each = read.iter().map(|(name, users)| {
            let shown: Vec<_> = users
                .iter()
                .take(5)
                .map(|user| format!("`{user}`"))
                .collect();
            let more = if users.len() > 5 { ", …" } else { "" };
            format!(
                "`{}` is read by {}{more}",
                canonical(name),
                shown.join(", ")
            )
        });
        let each: Vec<_> = each.collect();
        return format!(
            "no provider reads all of these headers: {}",
            each.join("; ")
        );
    }
    let lines = unread.iter().map(|(name, _)| {
        let shown = canonical(name);
        if let Some((preset, note)) = mentioned(name) {
            return format!("no provider reads `{shown}`; a note of `{preset}` names it: {note}");
        }
        if let Some(elsewhere) = elsewhere(name) {
            return format!("no provider reads a header `{shown}`; {elsewhere}");
        }
        let near = near(name);
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        format!(
            "no provider of this version reads `{shown}`{}",
            near.unwrap_or_default()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The words for providers that read a signature of this name elsewhere than in a header; `None`
/// where none does.
pub(super) fn elsewhere(name: &FieldName) -> Option<String> {
    let is_named = |source: &Source| match source {
        Source::Header(_) | Source::Body => false,
        Source::Query(own) | Source::Field(own) => own.eq_ignore_ascii_case(name.as_str()),
        Source::Json(pointer) => {
            let last = pointer.tokens.last();
            last.is_some_and(|own| own.eq_ignore_ascii_case(name.as_str()))
        }
    };
    let places = all().iter().filter_map(|preset| {
        let mut sources = preset.scheme.signature_sources().into_iter();
        let source = sources.find(is_named)?;
        Some(format!(
            "`{}` reads it from {}",
            preset.name,
            source.words()
        ))
    });
    let places: Vec<String> = places.collect();
    (!places.is_empty()).then(|| format!("elsewhere {}", places.join("; ")))
}

/// The note of a preset that names the header.
fn mentioned(name: &FieldName) -> Option<(&'static str, &'static str)> {
    all().iter().find_map(|preset| {
        let mut notes = preset.notes.iter();
        let note = notes.find(|note| {
            let words = note.split('`').skip(1).step_by(2);
            words.into_iter().any(|word| name.is(word.as_bytes()))
        });
        note.map(|note| (preset.name.as_str(), note.as_str()))
    })
}

/// The header that this is probably a misspelling of.
fn near(name: &FieldName) -> Option<String> {
    let known = all().iter().flat_map(|preset| of(&preset.scheme));
    let distance = |one: &FieldName| strsim::damerau_levenshtein(name.as_str(), one.as_str());
    let near = known
        .filter_map(|one| one.header().cloned())
        .map(|one| (distance(&one), one))
        .min_by_key(|(distance, _)| *distance)?;
    (near.0 <= name.as_str().len() / 4).then(|| canonical(&near.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::find;

    fn read(provider: &str, name: &str) -> Vec<(&'static str, String)> {
        let name = header(name).unwrap();
        let uses = of_header(&find(provider).unwrap().scheme, &name);
        uses.into_iter().map(|one| (one.part, one.words)).collect()
    }

    #[test]
    fn what_a_provider_reads_from_a_header_is_said() {
        let rows: [(&str, &str, &[&str]); 13] = [
            (
                "github",
                "x-hub-signature-256",
                &["signature", "hmac-sha256 of `{body}`: hex behind `sha256=`"],
            ),
            ("github", "X-GitHub-Event", &["event type", "not signed"]),
            ("netbox", "X-Hook-Signature", &["signature", "hmac-sha512"]),
            (
                "asana",
                "HTTP_X_HOOK_SIGNATURE",
                &["signature", "hmac-sha256"],
            ),
            (
                "stripe",
                "Stripe-Signature: t=1",
                &["signature", "labelled `v1=`", "`t` in seconds"],
            ),
            (
                "slack",
                "X-Slack-Request-Timestamp",
                &["timestamp", "seconds, signed"],
            ),
            ("svix", "svix-id", &["event id", "signed"]),
            (
                "lago-hmac",
                "X-Lago-Signature-Algorithm",
                &["required", "must be `hmac`"],
            ),
            (
                "chargebee",
                "Authorization",
                &["signature", "user and password"],
            ),
            (
                "supabase-db",
                "authorization",
                &["signature", "the secret itself behind `Bearer `"],
            ),
            (
                "plaid",
                "Plaid-Verification",
                &["signature", "ES256", "SHA-256 of the body"],
            ),
            ("twilio", "X-Twilio-Signature", &["signature", "hmac-sha1"]),
            ("asana", "X-Hook-Secret", &["handshake"]),
        ];
        for (provider, name, expected) in rows {
            let found = format!("{:?}", read(provider, name));
            assert!(
                expected.iter().all(|word| found.contains(word)),
                "{provider}: {found}"
            );
        }
        assert!(read("github", "X-Slack-Signature").is_empty());
    }

    /// Every header of the JSON object, and so every header that a scheme reads, has a part.
    #[test]
    fn no_header_of_a_preset_is_left_out() {
        let mut wrong = Vec::new();
        for preset in all() {
            let uses = of(&preset.scheme);
            for name in places::headers(&preset.scheme) {
                let known = uses
                    .iter()
                    .any(|one| one.header().is_some_and(|own| own.is(name.as_bytes())));
                if !known || uses.iter().any(|one| one.words.ends_with(": ")) {
                    wrong.push(format!("{}: {name}", preset.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn where_nothing_fits_the_answer_says_what_was_meant() {
        let rows = [
            (
                &["X-Hub-Signatur-256"][..],
                "did you mean `X-Hub-Signature-256`?",
            ),
            (
                &["X-Nothing-Of-This-Kind"],
                "no provider of this version reads",
            ),
            (&["x-ik-signature"], "a note of `imagekit` names it"),
            (
                &["X-GitHub-Event", "X-Slack-Signature"],
                "`X-Github-Event` is read by `github`",
            ),
        ];
        for (names, expected) in rows {
            let names: Vec<_> = names.iter().map(|name| header(name).unwrap()).collect();
            let said = nothing(&names);
            assert!(said.contains(expected), "{said}");
        }
        assert!(header("no name").is_err() && header("").is_err());
    }
}
