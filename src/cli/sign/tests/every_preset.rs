//! `sign` against the verifier of live traffic, over all presets: the verifier accepts the
//! deliveries that `sign` makes, a changed body is refused where the signature covers it, and
//! presets that cannot be signed are listed here.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::cli::sign::in_body::with_text;
use crate::cli::tests::samples;
use crate::clock::{Now, UnixMillis};
use crate::config::presets;
use crate::config::presets::Preset;
use crate::key::secret::{Secret, SecretText};
use crate::notation::json::Pointer;
use crate::scheme::ProviderCode;
use crate::scheme::{Algorithm, IdForm, Part, Scheme, Settings, TimestampAt};
use crate::sign::{SignError, SignRequest, sign, signed_request};
use crate::verdict::Refusal;
use crate::verify::verifier::Verifier;
use crate::wire::head::Head;

const AT: UnixMillis = UnixMillis(1_750_000_000_000);
const ORIGIN: &str = "https://hooks.example.com";
const TARGET: &str = "/in/x?data.id=abc123";

/// Presets whose signature is in the body, and `sign` says where.
const IN_BODY: &[&str] = &["mailgun", "microsoft-graph", "signwell"];
/// Presets whose body is the provider's own form, or the token itself.
const IN_OWN_BODY: &[&str] = &[
    "adyen",
    "aws-sns",
    "braintree",
    "dropbox-sign",
    "kinde",
    "opennode",
    "wix",
];

/// A delivery that is to be signed.
struct Sample {
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Sample {
    /// The delivery with all parts that the scheme takes from body and headers.
    fn of(scheme: &Scheme) -> Self {
        let named = scheme.parts().iter().filter_map(|part| match part {
            Part::Header(name) => Some((name.as_str().to_owned(), "a-nonce".to_owned())),
            _ => None,
        });
        let mut headers: Vec<_> = named.collect();
        if scheme.code().is_some_and(ProviderCode::signs_url) {
            headers.push((
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
            let body: &[u8] = if scheme.code().is_some_and(|code| code.name() == "mandrill") {
                b"mandrill_events=%5B%7B%22event%22%3A%22send%22%7D%5D"
            } else {
                b"From=%2B15551234&Body=hello+there"
            };
            return Self {
                body: body.to_vec(),
                headers,
            };
        }
        let mut body = Value::from(Map::from_iter([("text".to_owned(), "gr\u{fc}n".into())]));
        for pointer in scheme
            .template()
            .into_iter()
            .flat_map(|own| own.signed.pointers())
        {
            put(&mut body, pointer, "abc".into());
        }
        if let Some(place) = scheme.timestamp()
            && let TimestampAt::Json(pointer) = &place.at
        {
            let text = place.unit.write(AT).unwrap();
            put(
                &mut body,
                pointer,
                if place.unit.is_number() {
                    text.parse::<i64>().unwrap().into()
                } else {
                    text.into()
                },
            );
        }
        Self {
            body: body.to_string().into_bytes(),
            headers,
        }
    }

    fn signed(&self, scheme: &Scheme, secret: &str) -> Result<Vec<(String, String)>, SignError> {
        let given: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = SignRequest {
            method: "POST",
            target: TARGET,
            body: &self.body,
            id: Some(id_of(scheme)),
            at: AT,
            public_url: Some(ORIGIN),
            headers: &given,
        };
        sign(scheme, &named(secret), &request).map(|signed| [self.headers.clone(), signed].concat())
    }

    /// The target, with the signature in it where the scheme puts it there.
    fn target(&self, scheme: &Scheme, secret: &str) -> String {
        let request = SignRequest {
            method: "POST",
            target: TARGET,
            body: &self.body,
            id: None,
            at: AT,
            public_url: Some(ORIGIN),
            headers: &[],
        };
        let signed = scheme.signature_query().and_then(|_| {
            signed_request(scheme, &named(secret), &request)
                .unwrap()
                .target
        });
        signed.unwrap_or_else(|| TARGET.to_owned())
    }
}

/// An id of the form that the scheme gives its ids.
fn id_of(scheme: &Scheme) -> &'static str {
    match scheme.template().and_then(|own| own.signed.id_form()) {
        Some(IdForm::Uuid) => "6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4f",
        None => "evt_1",
    }
}

fn put(body: &mut Value, pointer: &Pointer, value: Value) {
    let mut at = body;
    for token in &pointer.tokens {
        if !at.is_object() {
            *at = Value::from(Map::new());
        }
        at = at
            .as_object_mut()
            .unwrap()
            .entry(token)
            .or_insert(Value::Null);
    }
    *at = value;
}

fn named(text: &str) -> Secret {
    Secret {
        written: None,
        name: "s".into(),
        text: SecretText::new(text.into()),
        not_before: None,
        not_after: None,
    }
}

fn verifier(scheme: &Scheme, secret: &str) -> Verifier {
    let settings = Settings {
        tolerance: scheme.tolerance,
        future_tolerance: scheme.future_tolerance,
        public_url: Some(ORIGIN.to_owned()),
        max_body: 1 << 20,
    };
    Verifier::new(Arc::new(scheme.clone()), vec![named(secret)], settings).unwrap()
}

/// The result of a delivery, by `begin` and `finish`.
fn judge(
    verifier: &Verifier,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<(), Refusal> {
    let lines = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let head = Head::from_parts("POST", target, lines)?;
    let now = Now {
        wall: AT,
        mono: Duration::ZERO,
    };
    let mut verification = verifier.begin(&head, now)?;
    verification.update(body);
    verification.finish(body, now).map(|_| ())
}

/// The problems of the deliveries that `sign` makes for a scheme with the secret `signs`.
/// `verifies` is the verifier's secret: the public key where a private key signs.
fn faults_of(scheme: &Scheme, signs: &str, verifies: &str) -> Result<Vec<String>, SignError> {
    let mut wrong = Vec::new();
    let sample = Sample::of(scheme);
    let headers = sample.signed(scheme, signs)?;
    let target = &sample.target(scheme, signs);
    let verifier = verifier(scheme, verifies);
    if let Err(refusal) = judge(&verifier, target, &headers, &sample.body) {
        wrong.push(format!("is refused as signed: {refusal}"));
    }
    // Flips a bit of every byte: no byte of the body may change unnoticed.
    for place in 0..sample.body.len() {
        let mut changed = sample.body.clone();
        changed[place] ^= 1;
        let is_taken = judge(&verifier, target, &headers, &changed).is_ok();
        if scheme.covers_body() && is_taken {
            wrong.push(format!("is taken with byte {place} of the body changed"));
        }
        // The byte in the middle is judged. The first byte is a bracket, without which values of
        // the body cannot be found.
        if !scheme.covers_body() && place == sample.body.len() / 2 && !is_taken {
            wrong.push("covers the body, and says that it does not".to_owned());
        }
    }
    // Every header that was made matters, except an id that is not signed.
    let unsigned_id = if scheme.id_is_signed() {
        None
    } else {
        Some(id_of(scheme))
    };
    for place in 0..headers.len() {
        let mut changed = headers.clone();
        changed[place].1.push('0');
        let is_nothing = Some(headers[place].1.as_str()) == unsigned_id
            || sample.headers.contains(&headers[place]);
        if !is_nothing && judge(&verifier, target, &changed, &sample.body).is_ok() {
            wrong.push(format!("is taken with `{}` changed", headers[place].0));
        }
    }
    Ok(wrong)
}

#[test]
fn what_is_signed_verifies_and_a_changed_body_does_not_for_every_preset() {
    let mut wrong = Vec::new();
    let (mut in_body, mut in_own_body) = (Vec::new(), Vec::new());
    for Preset { name, scheme, .. } in presets::all() {
        let scheme = &scheme.clone().with_params(|_| Some("a-text"));
        let (signs, verifies) = (samples::signing_secret(scheme), samples::secret(scheme));
        match faults_of(scheme, signs, verifies) {
            Ok(faults) => wrong.extend(faults.into_iter().map(|fault| format!("{name} {fault}"))),
            Err(SignError::Place { pointer, text }) => {
                in_body.push(name.as_str());
                wrong.extend(faults_in_body(scheme, verifies, &pointer, &text));
            }
            Err(SignError::InBody) => in_own_body.push(name.as_str()),
            Err(fault) => wrong.push(format!("{name} cannot be signed: {fault}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    in_body.sort_unstable();
    in_own_body.sort_unstable();
    assert_eq!(in_body, IN_BODY);
    assert_eq!(in_own_body, IN_OWN_BODY);
}

/// The problems of the sample's delivery with the text at the place of its body.
fn faults_in_body(
    scheme: &Scheme,
    secret: &str,
    pointer: &Pointer,
    text: &SecretText,
) -> Vec<String> {
    let mut sample = Sample::of(scheme);
    if pointer.is_each() {
        sample.body = br#"{"value":[{},{}]}"#.to_vec();
    }
    let body = with_text(&sample.body, pointer, text).unwrap();
    match judge(
        &verifier(scheme, secret),
        TARGET,
        &sample.headers,
        body.as_bytes(),
    ) {
        Ok(()) => Vec::new(),
        Err(refusal) => vec![format!("{} is refused: {refusal}", scheme.provider)],
    }
}

#[test]
fn a_whsk_key_signs_where_the_public_half_verifies() {
    let text = |prefix: &str, hex: &str| {
        format!(
            "{prefix}{}",
            crate::notation::encoding::Encoding::Base64.encode(&hex::decode(hex).unwrap())
        )
    };
    let (private, public) = (
        text("whsk_", samples::ED25519_SEED),
        text("whpk_", samples::ED25519),
    );
    let is_one = |preset: &&Preset| {
        let accepted = &preset.scheme.items().accept;
        accepted
            .iter()
            .any(|(_, algorithm)| *algorithm == Algorithm::Ed25519)
    };
    let takes_both: Vec<_> = presets::all().iter().filter(is_one).collect();
    assert!(!takes_both.is_empty());
    for Preset { name, scheme, .. } in takes_both {
        assert_eq!(
            faults_of(scheme, &private, &public),
            Ok(Vec::new()),
            "{name}"
        );
        let headers = Sample::of(scheme).signed(scheme, &private).unwrap();
        assert!(
            headers.iter().any(|(_, value)| value.starts_with("v1a,")),
            "{headers:?}"
        );
        assert!(
            matches!(
                Sample::of(scheme).signed(scheme, &public),
                Err(SignError::Key(_))
            ),
            "{name}"
        );
    }
}
