//! Every good vector, judged under every preset: a preset accepts the vectors of another where both have the same
//! scheme, and nowhere else.
//!
//! Two presets have the same scheme where a delivery of the first has all that the second asks for. [`takes`] derives
//! that from the parts of the schemes and proves nothing itself: no signature, no time. The pairs beyond that are
//! listed in [`LISTED`] with their reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use verigate::config::presets::{self, Preset};
use verigate::key::secret::SecretText;
use verigate::notation::encoding::Encoding;
use verigate::scheme::{Items, KeyForm, Part, Place, ProofBy, Scheme, TimestampAt, TimestampPlace};
use verigate::verify::verifier::Verifier;
use verigate::wire::head::FieldName;

use super::{Arrived, body, scheme_of, text, vectors};

/// Pairs that no comparison of the schemes gives: whose vectors, the presets that accept them, and the reason.
const LISTED: &[(&[&str], &[&str], &str)] = &[];

/// A part of the signed content, by its place and not by its name.
fn part(scheme: &Scheme, part: &Part) -> String {
    match (
        part,
        scheme.timestamp().map(|place| &place.at),
        &scheme.event_id,
    ) {
        (Part::Timestamp, Some(TimestampAt::Headers(names)), _) => {
            format!("header {}", names[0].as_str())
        }
        (Part::Timestamp, Some(TimestampAt::Field(name)), _) => format!("field {name}"),
        (Part::Timestamp, Some(TimestampAt::Json(pointer)), _) => {
            format!("json {}", pointer.text())
        }
        (Part::Json(pointer), ..) => format!("json {}", pointer.text()),
        (Part::Id, _, Some(Place::Header(name))) | (Part::Header(name), ..) => {
            format!("header {}", name.as_str())
        }
        (other, ..) => format!("{other:?}"),
    }
}

/// The signed content, part by part.
fn content(scheme: &Scheme) -> Vec<String> {
    scheme.parts().iter().map(|own| part(scheme, own)).collect()
}

fn have_common<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.iter().any(|own| other.contains(own))
}

/// The keys that forms make of a secret.
fn keys<'f>(forms: impl IntoIterator<Item = &'f KeyForm>, secret: &str) -> BTreeSet<Vec<u8>> {
    let text = SecretText::new(secret.as_bytes().to_vec());
    let made = forms.into_iter().filter_map(|form| form.key(&text).ok());
    made.map(|key| key.to_vec()).collect()
}

/// The forms of the secret under which the vector holds: a preset may try several.
fn used_forms(arrived: &Arrived, body: &[u8], scheme: &Scheme) -> Vec<KeyForm> {
    let holds = |form: &&KeyForm| {
        let mut alone = scheme.clone();
        alone.proof.set_key_forms(vec![(*form).clone()]);
        let verifier = arrived.verifier(&Arc::new(alone));
        verifier.is_ok_and(|verifier| arrived.judge(&verifier, body).is_ok())
    };
    scheme
        .proof
        .key_forms()
        .iter()
        .filter(holds)
        .cloned()
        .collect()
}

/// Whether the second reads what the first writes.
fn is_same_encoding(one: Encoding, other: Encoding) -> bool {
    one == other || (one, other) == (Encoding::Hex, Encoding::HexAny)
}

/// Whether the items of the first are items of the second: labels in common, each with the same algorithm. A list of a
/// single item has no separator; a list with a timestamp has two items.
fn are_same_items(one: &Items, other: &Items, has_time: bool) -> bool {
    let is_same_label = match (one.assign, other.assign) {
        (None, None) => true,
        (Some(own), Some(assign)) => own == assign && have_common(&one.accept, &other.accept),
        _ => false,
    };
    is_same_label && (one.separator == other.separator || !has_time)
}

/// Whether the second finds its timestamp in a delivery of the first.
fn has_timestamp(one: Option<&TimestampPlace>, other: Option<&TimestampPlace>) -> bool {
    let names = |place: &TimestampPlace| match &place.at {
        TimestampAt::Headers(names) => names.clone(),
        _ => Vec::<FieldName>::new(),
    };
    match (one, other) {
        (_, None) => true,
        (None, Some(other)) => !other.required,
        (Some(one), Some(other)) => {
            let is_there = one.at == other.at || have_common(&names(one), &names(other));
            is_there && one.unit == other.unit || !other.required
        }
    }
}

/// Whether a delivery by the first scheme, under this secret in one of these forms, has all that the second asks for.
fn takes(one: &Scheme, used: &[KeyForm], secret: &str, other: &Scheme) -> bool {
    let own = keys(used, secret);
    let has_key = used.is_empty() && one.proof.key_forms() == other.proof.key_forms()
        || !own.is_disjoint(&keys(other.proof.key_forms(), secret));
    let has_required = other.require.iter().all(|own| one.require.contains(own));
    let is_proved = match (&one.proof, &other.proof) {
        (ProofBy::Template(a), ProofBy::Template(b)) => {
            let labelled = a.signature.items.assign.is_some();
            (labelled || a.algorithm == b.algorithm)
                && content(one) == content(other)
                && a.body.first() == b.body.first()
                && (have_common(&a.signature.headers, &b.signature.headers)
                    || a.signature.json.is_some() && a.signature.json == b.signature.json
                    || a.signature.query.is_some() && a.signature.query == b.signature.query)
                && a.signature.in_form == b.signature.in_form
                && is_same_encoding(a.signature.encoding, b.signature.encoding)
                && a.signature.prefix == b.signature.prefix
                && are_same_items(&a.signature.items, &b.signature.items, has_field(one))
                && has_timestamp(a.timestamp.as_ref(), b.timestamp.as_ref())
        }
        (ProofBy::Code(a), ProofBy::Code(b)) => {
            let covers = |component| one.components.contains(component);
            a.name() == b.name() && other.components.iter().all(covers)
        }
        (ProofBy::Token(a), ProofBy::Token(b)) => {
            // What a token covers beside the body, the second does not have to ask for.
            let asks = |own: bool, same: bool| !own || same;
            let (one, other) = (&a.rule, &b.rule);
            one.header() == other.header()
                && one.is_body() == other.is_body()
                && one.prefix() == other.prefix()
                && one.payload == other.payload
                && have_common(&one.algorithms, &other.algorithms)
                && asks(
                    other.body_digest.is_some(),
                    one.body_digest == other.body_digest,
                )
                && asks(
                    other.body_claim.is_some(),
                    one.body_claim == other.body_claim,
                )
                && asks(
                    other.url_digest.is_some(),
                    one.url_digest == other.url_digest,
                )
                && asks(other.url_claim.is_some(), one.url_claim == other.url_claim)
                && asks(
                    other.request_digest.is_some(),
                    one.request_digest == other.request_digest,
                )
                && (b.rule.issuer.is_none() || a.rule.issuer == b.rule.issuer)
        }
        (ProofBy::Credential(a), ProofBy::Credential(b)) => {
            a.kind == b.kind
                && a.place.prefix == b.place.prefix
                && (have_common(&a.place.headers, &b.place.headers)
                    || a.place.json.is_some() && a.place.json == b.place.json)
        }
        _ => false,
    };
    has_required && has_key && is_proved
}

/// Whether the timestamp is an item of the signature header.
fn has_field(scheme: &Scheme) -> bool {
    matches!(
        scheme.timestamp().map(|place| &place.at),
        Some(TimestampAt::Field(_))
    )
}

/// A preset whose vector it is, and another preset.
type Pair = (String, String);

/// The pairs of a vector's preset and another preset that accepts the vector, and those for which it follows from the
/// schemes.
fn pairs(
    vectors: &[Value],
    schemes: &[(&Preset, Arc<Scheme>)],
) -> (BTreeSet<Pair>, BTreeSet<Pair>) {
    let (mut accepted, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    // Most vectors of a preset share secret and settings, and so the verifiers of all presets.
    let mut verifiers: BTreeMap<String, Vec<Option<Verifier>>> = BTreeMap::new();
    for vector in vectors {
        let own = presets::find(text(vector, "provider")).unwrap();
        let arrived = Arrived::of(vector).unwrap();
        let route = format!("{} {:?}", arrived.secret, arrived.settings);
        let verifiers = verifiers.entry(route).or_insert_with(|| {
            let made = schemes
                .iter()
                .map(|(_, scheme)| arrived.verifier(scheme).ok());
            made.collect()
        });
        let body = body(vector);
        let used = used_forms(&arrived, &body, &scheme_of(own));
        for ((preset, scheme), verifier) in schemes.iter().zip(verifiers) {
            if preset.name == own.name {
                continue;
            }
            let pair = || (own.name.clone(), preset.name.clone());
            if verifier
                .as_ref()
                .is_some_and(|own| arrived.judge(own, &body).is_ok())
            {
                accepted.insert(pair());
            }
            if takes(&scheme_of(own), &used, &arrived.secret, scheme) {
                allowed.insert(pair());
            }
        }
    }
    (accepted, allowed)
}

#[test]
fn au_26_a_preset_accepts_the_vectors_of_others_only_where_the_scheme_is_the_same() {
    let mut by_preset: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for vector in vectors() {
        if vector["expected"] == Value::Bool(true) {
            let own = presets::find(text(&vector, "provider")).unwrap();
            by_preset.entry(&own.name).or_default().push(vector);
        }
    }
    let schemes: Vec<_> = presets::all()
        .iter()
        .map(|preset| (preset, Arc::new(scheme_of(preset))))
        .collect();
    assert!(by_preset.len() > 200 && schemes.len() > 250);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shares: Vec<Vec<Value>> = (0..threads)
        .map(|share| {
            let own = by_preset.values().skip(share).step_by(threads);
            own.flatten().cloned().collect()
        })
        .collect();
    let (mut accepted, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .iter()
            .map(|share| scope.spawn(|| pairs(share, &schemes)))
            .collect();
        for share in running {
            let (own_accepted, own_allowed) = share.join().unwrap();
            accepted.extend(own_accepted);
            allowed.extend(own_allowed);
        }
    });
    let mut wrong = Vec::new();
    for (vectors, presets, why) in LISTED {
        for vector in *vectors {
            for preset in presets.iter().filter(|preset| *preset != vector) {
                if !allowed.insert(((*vector).to_owned(), (*preset).to_owned())) {
                    wrong.push(format!(
                        "`{vector}`, `{preset}` follows from the schemes: {why}"
                    ));
                }
            }
        }
    }
    let unlisted = accepted.difference(&allowed).map(|(vector, preset)| {
        format!("`{preset}` accepts a vector of `{vector}`: mend it, or list it with the reason")
    });
    let untrue = allowed.difference(&accepted).map(|(vector, preset)| {
        format!("`{preset}` should accept vectors of `{vector}` and accepts none")
    });
    wrong.extend(unlisted.chain(untrue));
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
