//! The providers that a head may come from, by the names of its headers and by the shape of their
//! values, without a secret and without a body.
//!
//! Each preset judges the head as live traffic would, but without keys and at any time: required
//! headers, the form of the signature, the form of the timestamp. What fits is ordered by what tells
//! one provider from another: a header that few providers read counts more than a header that many
//! read, and a header that is not there counts against its provider.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Now;
use crate::key::secret::Secret;
use crate::notation::timestamp::Tolerance;
use crate::scheme::{ProofBy, Role, Scheme, Settings};
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

/// A provider whose headers are there.
#[derive(Clone, Debug)]
pub struct Candidate<'p> {
    /// Its scheme.
    pub scheme: &'p Scheme,
    /// The headers of the scheme that are there, each with its part.
    pub there: Vec<(Role, FieldName)>,
    /// The headers of the scheme that are not there, although it can do without them.
    pub absent: Vec<(Role, FieldName)>,
    /// The rank: the higher, the likelier.
    rank: i64,
}

impl Candidate<'_> {
    /// Whether a header is there that requests of other kinds do not have.
    pub fn tells(&self) -> bool {
        let mut names = self.there.iter();
        names.any(|(_, name)| !name.is_one_of(COMMON))
    }
}

/// The providers that a head may come from.
#[derive(Clone, Debug, Default)]
pub struct Candidates<'p> {
    /// Those whose form the head has, the likeliest first.
    pub fitting: Vec<Candidate<'p>>,
    /// Those that use the header of the signature, but write it or the time in another form, each
    /// with the reason.
    pub otherwise: Vec<(&'p Scheme, Refusal)>,
}

/// The providers among `presets` that a head may come from.
pub fn candidates<'p>(head: &Head, now: Now, presets: &[&'p Scheme]) -> Candidates<'p> {
    let mut users: HashMap<&FieldName, i64> = HashMap::new();
    let read: Vec<Vec<(Role, FieldName)>> = presets.iter().map(|preset| preset.reads()).collect();
    for all in &read {
        for (place, (_, name)) in all.iter().enumerate() {
            let is_new = all.iter().take(place).all(|(_, earlier)| earlier != name);
            *users.entry(name).or_default() += i64::from(is_new);
        }
    }
    let named = Named::of(head);
    let mut found = Candidates::default();
    for (scheme, reads) in presets.iter().copied().zip(&read) {
        let (there, absent): (Vec<_>, Vec<_>) = reads
            .iter()
            .cloned()
            .partition(|(_, name)| is_there(head, name));
        let signs_in_head = absent
            .iter()
            .chain(&there)
            .any(|(role, _)| *role == Role::Signature);
        let has_signature = there.iter().any(|(role, _)| *role == Role::Signature);
        let tells = |(_, name): &(Role, FieldName)| !name.is_one_of(COMMON);
        if there.is_empty() || (signs_in_head && !has_signature) {
            continue;
        }
        if !signs_in_head && !there.iter().any(tells) {
            continue;
        }
        match judge(scheme, head, now) {
            Ok(()) => {
                let weight = |(_, name): &(Role, FieldName)| match users.get(name) {
                    Some(_) if name.is_one_of(COMMON) => 5,
                    Some(users) => 100 / users.max(&1) + 10,
                    None => 0,
                };
                let own: i64 = there.iter().map(weight).sum();
                let optional = absent.iter().filter(|(role, _)| *role != Role::Signature);
                let lost: i64 = optional.map(weight).sum();
                let rank = own - lost / 2 + named.points(scheme) + closeness(scheme);
                let candidate = Candidate {
                    scheme,
                    there,
                    absent,
                    rank,
                };
                found.fitting.push(candidate);
            }
            Err(refusal) if has_signature && there.iter().any(tells) => {
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

/// The providers among `fitting` under whose scheme the delivery holds with one of the secrets. The
/// time is not judged.
pub fn proved<'p>(
    fitting: &[Candidate<'p>],
    (head, body): (&Head, &[u8]),
    secrets: &[Secret],
    (settings, now): (&Settings, Now),
) -> Vec<(&'p Scheme, Arc<str>)> {
    let mut proved = Vec::new();
    for candidate in fitting {
        let scheme = Arc::new(candidate.scheme.clone());
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

/// Judges all that the head alone shows, at any time and without a key.
fn judge(scheme: &Scheme, head: &Head, now: Now) -> Result<(), Refusal> {
    let settings = Settings {
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        // Any URL does where only the forms are judged.
        public_url: Some("https://hooks.example.com".to_owned()),
        max_body: 0,
    };
    // So does any text of a route.
    let scheme = scheme.clone().with_params(|_| Some("text"));
    let Ok(verifier) = Verifier::new(Arc::new(scheme), Vec::new(), settings) else {
        return Ok(());
    };
    // A number of seconds that is read as milliseconds, or the other way round, is a time of 1970 or
    // of a far century.
    let stated = verifier.timestamp_of(head, None);
    if stated.is_some_and(|at| !PLAUSIBLE.contains(&at.0)) {
        return Err(OTHER_UNIT);
    }
    match verifier.begin(head, now) {
        Ok(_) => Ok(()),
        // The times of a token are judged by its own claims.
        Err(refusal) if matches!(refusal.code, Code::StaleTimestamp | Code::FutureTimestamp) => {
            Ok(())
        }
        Err(refusal) => Err(refusal),
    }
}

/// How much the form of the signature's value says: a label, a prefix or a length can be wrong, and
/// a token fits every value.
fn closeness(scheme: &Scheme) -> i64 {
    match &scheme.proof {
        ProofBy::Credential(credential) if credential.place.prefix.is_empty() => -20,
        ProofBy::Credential(_) => -10,
        ProofBy::Template(template) => {
            let has_labels = template.signature.items.assign.is_some();
            let has_prefix = !template.signature.prefix.is_empty();
            8 * i64::from(has_labels) + 8 * i64::from(has_prefix)
        }
        ProofBy::Code(_) | ProofBy::Token(_) => 0,
    }
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

/// The look of a signature's value in words, without a byte of a signature: its encoding and length,
/// the labels of a list; `None` where it has no look that says anything.
pub fn value_words(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    if text.is_empty() {
        return None;
    }
    if text.matches('.').count() == 2 && text.contains("eyJ") {
        return Some("a JSON Web Token".to_owned());
    }
    if let Some(words) = encoded(text) {
        return Some(words);
    }
    let separator = [", ", ",", ";", " "]
        .into_iter()
        .find(|separator| text.contains(separator));
    let items: Vec<&str> = separator.map_or_else(|| vec![text], |by| text.split(by).collect());
    let labelled = |item: &&str| -> Option<(String, Option<String>)> {
        let at = item.find(['=', ','])?;
        let (label, value) = item.split_at_checked(at)?;
        let is_label = !label.is_empty()
            && label.len() <= 16
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        is_label.then(|| {
            (
                label.to_owned(),
                encoded(value.get(1..).unwrap_or_default()),
            )
        })
    };
    // Standard Webhooks divides a label from its value by a comma, and items by a blank.
    let standard = text
        .strip_prefix("v1,")
        .and_then(|value| encoded(value.split(' ').next()?));
    if let Some(words) = standard {
        return Some(format!("{words}, behind `v1,`"));
    }
    let labels: Vec<_> = items.iter().filter_map(labelled).collect();
    let shape = labels.iter().rev().find_map(|(_, shape)| shape.clone());
    if labels.is_empty() {
        return None;
    }
    let shown: Vec<String> = labels
        .iter()
        .map(|(label, _)| format!("`{label}`"))
        .collect();
    let list = format!("a value labelled {}", shown.join(", "));
    Some(match shape {
        Some(shape) => format!("{list}: {shape}"),
        None => list,
    })
}

/// The encoding and length of a text that looks like a digest or a signature.
fn encoded(text: &str) -> Option<String> {
    let of = |bytes: usize| match bytes {
        20 => ", the length of SHA-1",
        32 => ", the length of SHA-256",
        48 => ", the length of SHA-384",
        64 => ", the length of SHA-512 and of Ed25519",
        256 | 384 | 512 => ", the length of an RSA signature",
        _ => "",
    };
    if text.len() >= 32
        && text.len().is_multiple_of(2)
        && text.bytes().all(|b| b.is_ascii_hexdigit())
    {
        let (digits, bytes) = (text.len(), text.len() / 2);
        return Some(format!("{digits} hexadecimal digits{}", of(bytes)));
    }
    let letters = text.trim_end_matches('=');
    let is_base64 = letters
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b));
    let bytes = letters.len() * 3 / 4;
    let is_length = matches!(bytes, 20 | 32 | 48 | 64 | 256 | 384 | 512)
        || (text.ends_with('=') && bytes >= 16);
    let mixed = |test: fn(&u8) -> bool| letters.as_bytes().iter().any(test);
    let is_mixed = mixed(u8::is_ascii_uppercase) && mixed(u8::is_ascii_lowercase);
    (is_base64 && is_length && is_mixed).then(|| format!("base64 of {bytes} bytes{}", of(bytes)))
}
