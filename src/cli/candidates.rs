//! `verigate explain` without a secret or without a provider: the providers that the headers may
//! come from, and what decides between them (contract: Command line).

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Exit;
use super::delivery::OpenDelivery;
use super::output::{json_object, print};
use super::providers::{facts, uses};
use super::subject::text_of;
use super::verify::Judging;
use crate::config::presets;
use crate::config::presets::Preset;
use crate::explain::{Candidate, Candidates, candidates, proved, value_words};
use crate::key::secret::Secret;
use crate::notation::query::parameter;
use crate::notation::timestamp::Tolerance;
use crate::scheme::{Role, Scheme, Settings, Source};
use crate::sign::{MAX_INFLATED, canonical};
use crate::verdict::Refusal;
use crate::wire::head::{FieldName, Found, Head};

/// The most candidates that are shown with their headers.
const SHOWN: usize = 8;

/// The most names in a sentence.
const NAMED: usize = 12;

/// Reads what is named of the scheme and the secrets, and the headers, with the body where there is
/// any, and prints the candidates.
pub(super) fn run(judging: &Judging) -> anyhow::Result<Exit> {
    let captive = judging.captured.headers()?;
    let (scheme, secrets) = (judging.by.scheme()?, judging.by.secrets()?);
    let texts = judging.by.texts()?;
    let delivery = judging.captured.read_open(captive)?;
    let given = (secrets.as_slice(), texts.as_slice());
    Ok(show(scheme.as_ref(), given, &delivery, judging.json))
}

/// The secrets, and the names and texts of params, that were given.
type Given<'g> = (&'g [Secret], &'g [(&'g str, &'g str)]);

/// The schemes of all presets, those that their providers document first: of several that fit
/// alike, they are named before the others.
pub(super) fn schemes() -> Vec<&'static Scheme> {
    let mut all: Vec<&Preset> = presets::all().iter().collect();
    all.sort_by_key(|preset| !preset.is_documented());
    all.into_iter().map(|preset| &preset.scheme).collect()
}

/// Prints the candidates. `scheme` is the scheme that the delivery should follow, if that is named.
fn show(
    scheme: Option<&Scheme>,
    (secrets, texts): Given<'_>,
    delivery: &OpenDelivery,
    is_json: bool,
) -> Exit {
    let head = match &delivery.head {
        Ok(head) => head,
        Err(refusal) => {
            let line = format!(
                "No HTTP request can have this head: {}. Check how it was captured.",
                refusal.why
            );
            return said(&Shown::default(), &[line], is_json);
        }
    };
    let schemes = schemes();
    let mut found = candidates(head, delivery.body.as_deref(), delivery.now, &schemes);
    let tells = |candidate: &Candidate<'_>| candidate.tells();
    if found.fitting.iter().any(tells) {
        found.fitting.retain(tells);
    }
    let settings = Settings {
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        public_url: delivery.origin.clone(),
        max_body: MAX_INFLATED,
    };
    let proofs = delivery.body.as_deref().map(|body| {
        let with = (&settings, delivery.now);
        let text_of = |name: &str| text_of(texts, name);
        proved(&found.fitting, (head, body), (secrets, &text_of), with)
    });
    let proofs = proofs.filter(|_| !secrets.is_empty());
    let mut lines = Vec::new();
    lines.extend(scheme.map(|scheme| own(scheme, &found)));
    lines.extend(values(head, &found));
    let holds: Vec<&str> = proofs
        .iter()
        .flatten()
        .map(|(scheme, _)| scheme.provider.as_str())
        .collect();
    // Those under which the delivery holds are the only candidates then.
    if !holds.is_empty() {
        let is_held = |candidate: &Candidate<'_>| holds.contains(&provider(candidate.scheme));
        found.fitting.retain(is_held);
        // Of those that fit alike, the ones that take the secret as it is written come first.
        let written = |one: &Candidate<'_>| {
            let forms = one.scheme.proof.key_forms().iter();
            let begins = forms
                .filter_map(|form| form.strip.as_deref())
                .filter(|strip| {
                    let mut texts = secrets.iter().map(|secret| secret.text.expose());
                    texts.any(|text| text.starts_with(strip.as_bytes()))
                });
            begins.map(str::len).max().unwrap_or_default()
        };
        let fitting = &mut found.fitting;
        fitting.sort_by_key(|one| (Reverse(one.rank()), Reverse(written(one))));
    }
    let list = listed(&found);
    // In JSON the members say what the list says.
    lines.extend(
        list.into_iter()
            .filter(|line| !is_json || !line.starts_with(' ')),
    );
    lines.extend(decisions(
        &found,
        proofs.as_deref(),
        (secrets, texts),
        delivery,
    ));
    let proved = proofs.is_some().then_some(!holds.is_empty());
    let found = Shown { found, proved };
    said(&found, &lines, is_json)
}

/// The candidates as they are printed.
#[derive(Debug, Default)]
struct Shown<'p> {
    found: Candidates<'p>,
    /// Whether the delivery holds under the candidates; `None` where no secret was tried.
    proved: Option<bool>,
}

fn said(shown: &Shown<'_>, lines: &[String], is_json: bool) -> Exit {
    let Shown { found, proved } = shown;
    if is_json {
        let there = |all: &[(Role, Source)]| -> Vec<Value> {
            let entry = |(role, source): &(Role, Source)| {
                let (kind, name) = uses::named(source);
                json!({ kind: name, "part": role.name() })
            };
            all.iter().map(entry).collect()
        };
        let headers = |all: &[(Role, FieldName)]| -> Vec<Value> {
            let entry = |(role, name): &(Role, FieldName)| json!({ "header": canonical(name), "part": role.name() });
            all.iter().map(entry).collect()
        };
        let object = |candidate: &Candidate<'_>| {
            json!({
                "provider": candidate.scheme.provider,
                "title": preset(candidate.scheme).map(|preset| preset.title.clone()),
                "basis": preset(candidate.scheme).map(facts::basis),
                "proved": proved,
                "there": there(&candidate.there),
                "absent": headers(&candidate.absent),
            })
        };
        let otherwise = |(scheme, refusal): &(&Scheme, Refusal)| json!({ "provider": scheme.provider, "why": refusal.why });
        print(&json_object(&[
            ("valid", Value::Null),
            ("code", Value::Null),
            ("candidates", found.fitting.iter().map(object).collect()),
            ("otherwise", found.otherwise.iter().map(otherwise).collect()),
            ("explanation", lines.join(" ").into()),
        ]));
    } else {
        print(&lines.join("\n"));
    }
    if found.fitting.is_empty() || *proved == Some(false) {
        Exit::Failure
    } else {
        Exit::Success
    }
}

fn preset(scheme: &Scheme) -> Option<&'static Preset> {
    presets::all()
        .iter()
        .find(|preset| preset.name == scheme.provider)
}

fn provider(scheme: &Scheme) -> &str {
    &scheme.provider
}

/// Names in a sentence; of many, the first.
fn names<'n>(all: impl IntoIterator<Item = &'n str>) -> String {
    let all: Vec<_> = all.into_iter().map(|name| format!("`{name}`")).collect();
    let more = all.len().saturating_sub(NAMED);
    let shown = all.get(..all.len() - more).unwrap_or_default().join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

/// The words on the provider that was named.
fn own(scheme: &Scheme, found: &Candidates<'_>) -> String {
    let name = provider(scheme);
    let fits = found.fitting.iter().any(|one| one.scheme.provider == name);
    let otherwise = found.otherwise.iter().find(|(one, _)| one.provider == name);
    match otherwise {
        _ if fits => format!("The headers have the form of `{name}`."),
        Some((_, refusal)) => {
            format!(
                "The headers are those of `{name}`, but not in its form: {}.",
                refusal.why
            )
        }
        None => format!("The headers of `{name}` are not there."),
    }
}

/// The look of the values in which signatures are looked for.
fn values(head: &Head, found: &Candidates<'_>) -> Vec<String> {
    let of_fitting = found.fitting.iter().map(|one| one.scheme);
    let of_others = found.otherwise.iter().map(|(scheme, _)| *scheme);
    let mut seen: Vec<Source> = Vec::new();
    for source in of_fitting
        .chain(of_others)
        .flat_map(Scheme::signature_sources)
    {
        if !seen.contains(&source) {
            seen.push(source);
        }
    }
    let words = seen.into_iter().filter_map(|source| {
        let (place, found) = match &source {
            Source::Header(name) => (format!("`{}`", canonical(name)), head.find(name)),
            Source::Query(name) => {
                let query = head.query().unwrap_or_default();
                (format!("The {}", source.words()), parameter(query, name))
            }
            Source::Json(_) | Source::Field(_) | Source::Body => return None,
        };
        match found {
            Found::One(value) => Some(format!("{place} holds {}.", value_words(value)?)),
            _ => None,
        }
    });
    words.take(3).collect()
}

/// The candidates in groups: those of a group are known by the same headers and sign alike.
fn listed(found: &Candidates<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    match found.fitting.len() {
        0 => lines.push("No provider of this version sends such headers.".to_owned()),
        1 => lines.push("A single provider sends such headers:".to_owned()),
        count => lines.push(format!(
            "{count} providers send such headers, the likeliest first:"
        )),
    }
    for (headers, group) in grouped(found) {
        for scheme in group.iter().take(SHOWN) {
            let title = preset(scheme).map_or("", |preset| &preset.title);
            let basis = preset(scheme).map_or("", facts::basis);
            lines.push(format!("  {} ({title}, {basis})", provider(scheme)));
        }
        let rest: Vec<&str> = group.iter().skip(SHOWN).map(|one| provider(one)).collect();
        if !rest.is_empty() {
            lines.push(format!("  and {}", names(rest)));
        }
        lines.extend(headers);
        if group.len() > 1 {
            lines.push(
                "    They sign alike: no delivery tells them apart, but the account in which this \
                 URL is registered does."
                    .to_owned(),
            );
        }
    }
    if !found.otherwise.is_empty() {
        let others = found.otherwise.iter().map(|(scheme, _)| provider(scheme));
        lines.push(format!(
            "Not in the form of others that use the same header: {}.",
            names(others)
        ));
    }
    lines
}

/// The candidates that are known by the same headers and sign alike, with the lines that say how;
/// the likeliest group first.
fn grouped<'p>(found: &Candidates<'p>) -> Vec<(Vec<String>, Vec<&'p Scheme>)> {
    let mut groups: Vec<(Vec<String>, Vec<&Scheme>)> = Vec::new();
    for candidate in &found.fitting {
        let scheme = candidate.scheme;
        let is_there = |source: &Source| candidate.there.iter().any(|(_, one)| one == source);
        let uses = uses::of(scheme).into_iter();
        let mut lines: Vec<String> = uses
            .filter(|one| is_there(&one.source))
            .map(|one| format!("    {}: {}, {}", one.place(), one.part, one.words))
            .collect();
        lines.push(format!("    The secret: {}", facts::secret(scheme)));
        let absent = candidate.absent.iter();
        let absent = absent.filter(|(role, _)| *role != Role::Signature);
        let absent: Vec<String> = absent.map(|(_, name)| canonical(name)).collect();
        if !absent.is_empty() {
            let absent = names(absent.iter().map(String::as_str));
            lines.push(format!(
                "    It may also send {absent}, which this head lacks."
            ));
        }
        match groups.iter_mut().find(|(known, _)| *known == lines) {
            Some((_, group)) => group.push(scheme),
            None => groups.push((lines, vec![scheme])),
        }
    }
    groups
}

/// The candidates that sign a text of the route which was not given: without it no secret proves
/// them.
fn open_params(
    found: &Candidates<'_>,
    proofs: Option<&[(&Scheme, Arc<str>)]>,
    texts: &[(&str, &str)],
) -> Vec<String> {
    if proofs.is_some_and(|proofs| !proofs.is_empty()) {
        return Vec::new();
    }
    let fitting = found.fitting.iter().take(SHOWN);
    let open = fitting.flat_map(|one| {
        let names = one.scheme.params().into_iter();
        let missing = names.filter(|name| text_of(texts, name).is_none());
        missing.map(|name| {
            format!(
                "`{}` also signs a text of the route, `{name}`: add `--param {name}=TEXT`, without \
                 which no secret can be tried.",
                provider(one.scheme)
            )
        })
    });
    open.collect()
}

/// What decides between the candidates.
fn decisions(
    found: &Candidates<'_>,
    proofs: Option<&[(&Scheme, Arc<str>)]>,
    (secrets, texts): Given<'_>,
    delivery: &OpenDelivery,
) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(open_params(found, proofs, texts));
    match proofs {
        Some([]) => lines.push(
            "With this secret the signature holds under no such scheme: it is the secret \
             of another endpoint, the body was changed, or the sender is not listed. `--provider NAME` \
             says more."
                .to_owned(),
        ),
        Some([(scheme, secret), rest @ ..]) => {
            let first = found.fitting.first().map_or(*scheme, |one| one.scheme);
            let others = found.fitting.iter().skip(1);
            let others = names(others.map(|one| provider(one.scheme)));
            let others = match rest {
                [] => String::new(),
                _ => format!("; also signed so: {others}"),
            };
            lines.push(format!(
                "The signature holds as `{}` signs, with the secret `{secret}`{others}.",
                provider(first)
            ));
        }
        None => {}
    }
    if proofs.is_none() && grouped(found).len() > 1 {
        let missing = match (&delivery.body, secrets) {
            (None, []) => "The body and the secret decide: `--body FILE --secret env:NAME`",
            (None, _) => "The body decides: `--body FILE`",
            (Some(_), _) => "The secret decides: `--secret env:NAME`",
        };
        lines.push(format!("{missing} beside `--headers` tries each of them."));
    }
    lines
}
