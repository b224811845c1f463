//! The providers that a head may come from, by the names of its headers and by the shape of their
//! values, without a secret and without a body.
//!
//! Each preset judges the head as live traffic would, but without keys and at any time: required
//! headers, the form of the signature, the form of the timestamp. What fits is ordered by what tells
//! one provider from another: a header that few providers read counts more than a header that many
//! read, and a header that is not there counts against its provider.

use std::collections::HashMap;
use std::sync::Arc;

use super::contents::Contents;
use crate::clock::Now;
use crate::key::secret::Secret;
use crate::notation::query::parameter;
use crate::notation::timestamp::Tolerance;
use crate::scheme::{ProofBy, Role, Scheme, Settings, Source, TemplateScheme, TimestampAt};
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::Verifier;
use crate::wire::head::{FieldName, Found, Head};

/// The preset that many providers follow.
pub(super) const STANDARD: &str = "standard-webhooks";

/// Headers that requests of every kind have: they tell no provider from another.
const COMMON: &[&str] = &[
    "authorization",
    "content-type",
    "content-digest",
    "date",
    "digest",
    "host",
    "idempotency-key",
    "user-agent",
];

/// The most items of a list that are compared with the labels of a scheme.
const MOST_ITEMS: usize = 16;

/// A provider whose headers, or whose places in the query or the body, are there.
#[derive(Clone, Debug)]
pub struct Candidate<'p> {
    /// Its scheme.
    pub scheme: &'p Scheme,
    /// The places of the scheme that are there, each with its part.
    pub there: Vec<(Role, Source)>,
    /// The headers of the scheme that are not there, although it can do without them.
    pub absent: Vec<(Role, FieldName)>,
    /// The rank: the higher, the likelier.
    rank: i64,
}

impl Candidate<'_> {
    /// How well the delivery fits: the higher, the likelier.
    pub fn rank(&self) -> i64 {
        self.rank
    }

    /// Whether a place is there that requests of other kinds do not have.
    pub fn tells(&self) -> bool {
        self.there.iter().any(|(_, source)| tells(source))
    }
}

fn tells(source: &Source) -> bool {
    source.header().is_none_or(|name| !name.is_one_of(COMMON))
}

/// The providers that a head may come from.
#[derive(Clone, Debug, Default)]
pub struct Candidates<'p> {
    /// Those whose form the head has, the likeliest first.
    pub fitting: Vec<Candidate<'p>>,
    /// Those that use the place of the signature, but write it or the time in another form, each
    /// with the reason.
    pub otherwise: Vec<(&'p Scheme, Refusal)>,
}

/// The providers among `presets` that a head may come from, with its body where that is known. A
/// signature in the body is looked for only there. Of providers that fit alike, the order of
/// `presets` remains, but the standard comes first.
pub fn candidates<'p>(
    head: &Head,
    body: Option<&[u8]>,
    now: Now,
    presets: &[&'p Scheme],
) -> Candidates<'p> {
    let mut users: HashMap<String, i64> = HashMap::new();
    let read: Vec<Vec<(Role, Source)>> = presets.iter().map(|preset| looked_for(preset)).collect();
    for all in &read {
        for (place, (_, source)) in all.iter().enumerate() {
            let is_new = all.iter().take(place).all(|(_, earlier)| earlier != source);
            *users.entry(source.words()).or_default() += i64::from(is_new);
        }
    }
    let named = Named::of(head);
    let contents = body.map(Contents::of);
    let mut found = Candidates::default();
    for (scheme, reads) in presets.iter().copied().zip(&read) {
        let is_found = |source: &Source| match source {
            Source::Header(name) => is_there(head, name),
            Source::Query(name) => {
                let found = parameter(head.query().unwrap_or_default(), name);
                !matches!(found, Found::Nothing | Found::One(b""))
            }
            _ => contents
                .as_ref()
                .is_some_and(|contents| contents.hold(scheme, source)),
        };
        let (there, absent): (Vec<_>, Vec<_>) = reads
            .iter()
            .cloned()
            .partition(|(_, source)| is_found(source));
        let is_signature = |(role, _): &&(Role, Source)| *role == Role::Signature;
        let is_in_body = |source: &Source| !matches!(source, Source::Header(_) | Source::Query(_));
        // A body that is not known may hold the signature.
        let may_be_signed = there.iter().any(|entry| is_signature(&entry))
            || reads.iter().all(|entry| !is_signature(&entry))
            || (body.is_none()
                && reads
                    .iter()
                    .filter(is_signature)
                    .all(|(_, at)| is_in_body(at)));
        let signature = there.iter().find(is_signature);
        let has_telling = there.iter().any(|(_, source)| tells(source));
        if there.is_empty() || !may_be_signed || (signature.is_none() && !has_telling) {
            continue;
        }
        let whole = body.filter(|_| signature.is_some_and(|(_, at)| is_in_body(at)));
        match judge(scheme, head, whole, now) {
            Ok(()) => {
                let weight = |source: &Source| match users.get(&source.words()) {
                    Some(_) if !tells(source) => 5,
                    Some(users) => 100 / users.max(&1) + 10,
                    None => 0,
                };
                let own: i64 = there.iter().map(|(_, source)| weight(source)).sum();
                let optional = absent.iter().filter(|entry| !is_signature(entry));
                let lost = optional.filter(|(_, source)| source.header().is_some());
                let lost: i64 = lost.map(|(_, source)| weight(source)).sum();
                let rank = own - lost / 2 + named.points(scheme) + closeness(scheme, head);
                let headers = absent.into_iter();
                let headers = headers.filter_map(|(role, at)| Some((role, at.header()?.clone())));
                let candidate = Candidate {
                    scheme,
                    there,
                    absent: headers.collect(),
                    rank,
                };
                found.fitting.push(candidate);
            }
            Err(refusal) if signature.is_some() && has_telling => {
                found.otherwise.push((scheme, refusal));
            }
            Err(_) => {}
        }
    }
    let is_standard = |scheme: &Scheme| scheme.provider == STANDARD;
    found
        .fitting
        .sort_by_key(|candidate| (-candidate.rank, !is_standard(candidate.scheme)));
    found
}

/// The places by which a provider is known: its headers, and where a signature is read from the
/// query or the body. Ids and types in a body are too common to tell a provider.
fn looked_for(scheme: &Scheme) -> Vec<(Role, Source)> {
    let mut sources = scheme.sources();
    sources.retain(|(role, source)| *role == Role::Signature || source.header().is_some());
    sources
}

/// The secrets, and the texts of a route by their names.
type Given<'g, 't> = (&'g [Secret], &'g dyn Fn(&str) -> Option<&'t str>);

/// The providers among `fitting` under whose scheme the delivery holds with one of the secrets. The
/// time is not judged. `text_of` gives the texts of a route, by their names.
pub fn proved<'p>(
    fitting: &[Candidate<'p>],
    (head, body): (&Head, &[u8]),
    (secrets, text_of): Given<'_, '_>,
    (settings, now): (&Settings, Now),
) -> Vec<(&'p Scheme, Arc<str>)> {
    let mut proved = Vec::new();
    for candidate in fitting {
        let scheme = Arc::new(candidate.scheme.clone().with_params(text_of));
        let proof = secrets.iter().find_map(|secret| {
            let settings = Settings {
                tolerance: Tolerance::Off,
                future_tolerance: Tolerance::Off,
                ..settings.clone()
            };
            let one = vec![secret.clone()];
            let verifier = Verifier::new(Arc::clone(&scheme), one, settings).ok()?;
            let mut verification = verifier.begin(head, now).ok()?;
            verification.update(body);
            verification.finish(body, now).ok()
        });
        proved.extend(proof.map(|proof| (candidate.scheme, proof.secret)));
    }
    proved
}

/// Whether a header is there, with a value.
pub(super) fn is_there(head: &Head, name: &FieldName) -> bool {
    match head.find(name) {
        Found::Nothing => false,
        Found::One(value) => !value.is_empty(),
        Found::Several => true,
    }
}

/// The years 2001 to 2100, in Unix milliseconds.
const PLAUSIBLE: std::ops::Range<i64> = 978_307_200_000..4_133_980_800_000;

const OTHER_UNIT: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp is written in another unit",
);

/// Judges all that the head alone shows, and `body` where the signature is in it, at any time and
/// without a key.
fn judge(scheme: &Scheme, head: &Head, body: Option<&[u8]>, now: Now) -> Result<(), Refusal> {
    let settings = Settings {
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        // Any URL does where only the forms are judged.
        public_url: Some("https://hooks.example.com".to_owned()),
        max_body: body.map_or(0, <[u8]>::len),
    };
    // So does any text of a route.
    let scheme = scheme.clone().with_params(|_| Some("text"));
    let Ok(verifier) = Verifier::new(Arc::new(scheme), Vec::new(), settings) else {
        return Ok(());
    };
    // A number of seconds that is read as milliseconds, or the other way round, is a time of 1970 or
    // of a far century.
    let stated = verifier.timestamp_of(head, body);
    if stated.is_some_and(|at| !PLAUSIBLE.contains(&at.0)) {
        return Err(OTHER_UNIT);
    }
    let begun = verifier.begin(head, now);
    let judged = match (begun, body) {
        (Ok(mut verification), Some(body)) => {
            verification.update(body);
            verification.finish(body, now).map(|_| ())
        }
        (begun, _) => begun.map(|_| ()),
    };
    match judged {
        // Without a key no signature holds, and the times of a token are judged by its own claims.
        Err(refusal)
            if matches!(
                refusal.code,
                Code::BadSignature | Code::StaleTimestamp | Code::FutureTimestamp
            ) =>
        {
            Ok(())
        }
        judged => judged,
    }
}

/// How much the form of the signature's value says: a label, a prefix or a length can be wrong, and
/// a token fits every value.
fn closeness(scheme: &Scheme, head: &Head) -> i64 {
    match &scheme.proof {
        ProofBy::Credential(credential) if credential.place.prefix.is_empty() => -20,
        ProofBy::Credential(_) => -10,
        ProofBy::Template(template) => {
            let has_labels = template.signature.items.assign.is_some();
            let has_prefix = !template.signature.prefix.is_empty();
            8 * i64::from(has_labels) + 8 * i64::from(has_prefix) + exactness(template, head)
        }
        ProofBy::Code(_) | ProofBy::Token(_) => 0,
    }
}

/// How exactly the list of a signature header has the form of a scheme: points for each label in
/// it that the scheme reads, and points off for each that the scheme skips.
fn exactness(template: &TemplateScheme, head: &Head) -> i64 {
    let items = &template.signature.items;
    let (Some(assign), headers) = (items.assign.map(char::from), &template.signature.headers)
    else {
        return 0;
    };
    let time = match template.timestamp.as_ref().map(|place| &place.at) {
        Some(TimestampAt::Field(label)) => Some(label.as_str()),
        _ => None,
    };
    let values = headers.iter().filter_map(|name| match head.find(name) {
        Found::One(value) => std::str::from_utf8(value).ok(),
        _ => None,
    });
    let points = values.flat_map(|value| {
        let separator = items.separator.as_deref().filter(|text| !text.is_empty());
        let listed: Vec<&str> =
            separator.map_or_else(|| vec![value], |by| value.split(by).collect());
        listed.into_iter().take(MOST_ITEMS).map(|item| {
            let label = item.split_once(assign).map(|(label, _)| label);
            let is_read = |label: &str| {
                Some(label) == time || items.accept.iter().any(|(own, _)| own == label)
            };
            if label.is_some_and(is_read) { 4 } else { -4 }
        })
    });
    points.sum()
}

/// The words by which a head names its sender: the names of its headers, and `User-Agent`.
#[derive(Debug)]
pub(super) struct Named {
    names: Vec<String>,
    agent: String,
}

impl Named {
    pub(super) fn of(head: &Head) -> Self {
        let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let agent = head
            .lines()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"user-agent"));
        Self {
            agent: agent.map(|(_, value)| lower(value)).collect(),
            names: head
                .lines()
                .map(|(name, _)| format!("-{}-", lower(name)))
                .collect(),
        }
    }

    /// Points for a provider that the head names.
    fn points(&self, scheme: &Scheme) -> i64 {
        let provider = scheme.provider.as_str();
        let joined = provider.replace('-', "");
        let is_in_agent = self.agent.contains(provider) || self.agent.contains(&joined);
        60 * i64::from(self.has_header_of(provider)) + 60 * i64::from(is_in_agent)
    }

    /// Whether the name of a header has the provider's name in it.
    pub(super) fn has_header_of(&self, provider: &str) -> bool {
        let joined = provider.replace('-', "");
        let has = |word: &str| {
            let word = format!("-{word}-");
            self.names.iter().any(|name| name.contains(&word))
        };
        has(provider) || has(&joined)
    }
}
