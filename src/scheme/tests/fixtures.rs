//! Schemes for tests, built by hand as presets and `[route.scheme]` would build them.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::key::secret::{Secret, SecretText};
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::notation::timestamp::Unit;
use crate::scheme::{
    Algorithm, BodyForm, CredentialKind, CredentialPlace, CredentialScheme, Items, KeyForm, Place,
    ProofBy, Scheme, SignaturePlace, Stamped, Template, TemplateScheme, TimestampAt,
    TimestampPlace,
};
use crate::wire::head::FieldName;

/// Five minutes.
pub(crate) const TOLERANCE: Tolerance = Tolerance::Within(Duration::from_secs(300));

/// A header name.
pub(crate) fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("tests name headers by tokens")
}

/// A scheme of HMAC-SHA256 over `template`, in hex in `X-Signature`, without a timestamp; the id is
/// in `X-Id`.
pub(crate) fn plain(template: &str) -> Scheme {
    Scheme {
        provider: "custom".into(),
        preset: false,
        proof: ProofBy::Template(TemplateScheme {
            algorithm: Algorithm::HmacSha256,
            signed: Template::parse(template).expect("tests write templates that can be read"),
            may_leave_body: false,
            decode_url: false,
            form: None,
            body: vec![BodyForm::Raw],
            key: vec![KeyForm::default()],
            signature: SignaturePlace {
                headers: vec![field("X-Signature")],
                json: None,
                in_form: false,
                query: None,
                repeat: false,
                encoding: Encoding::Hex,
                prefix: String::new(),
                prefix_once: false,
                items: Items::default(),
            },
            timestamp: None,
        }),
        tolerance: TOLERANCE,
        future_tolerance: TOLERANCE,
        require: Vec::new(),
        event_id: Some(Place::Header(field("X-Id"))),
        event_id_required: false,
        event_type: None,
        event_type_required: false,
        account: None,
        account_required: false,
        components: Vec::new(),
        events_repeat: false,
        types_share_bodies: false,
        repeats: None,
        ack: None,
        handshake: None,
        secret_begins: Vec::new(),
        secret_form: None,
    }
}

/// The template of a scheme, to be changed.
pub(crate) fn template_of(scheme: &mut Scheme) -> &mut TemplateScheme {
    scheme
        .template_mut()
        .expect("tests change the templates of template schemes")
}

/// The scheme with a changed template.
pub(crate) fn changed(mut scheme: Scheme, change: impl FnOnce(&mut TemplateScheme)) -> Scheme {
    change(template_of(&mut scheme));
    scheme
}

/// The template scheme with a credential in the place of its signature.
pub(crate) fn credential(scheme: Scheme, kind: CredentialKind, prefix: &str) -> Scheme {
    let proof = match &scheme.proof {
        ProofBy::Template(template) => ProofBy::Credential(CredentialScheme {
            kind,
            key: template.key.clone(),
            place: CredentialPlace {
                headers: template.signature.headers.clone(),
                json: template.signature.json.clone(),
                prefix: prefix.to_owned(),
            },
        }),
        other => other.clone(),
    };
    Scheme { proof, ..scheme }
}

/// [`plain`] with a timestamp in seconds in `X-Timestamp`.
pub(crate) fn timestamped(template: &str) -> Scheme {
    let timestamp = TimestampPlace {
        at: TimestampAt::Headers(vec![field("X-Timestamp")]),
        unit: Unit::Seconds,
        stamped: Stamped::Unknown,
        unsigned: false,
        required: true,
    };
    changed(plain(template), |template| {
        template.timestamp = Some(timestamp);
    })
}

/// The scheme of the reference receiver (contract: The reference receiver).
pub(crate) fn itellico() -> Scheme {
    let json = |pointer| {
        Some(Place::Json(vec![
            Pointer::parse(pointer).expect("a pointer"),
        ]))
    };
    let mut scheme = Scheme {
        provider: "itellico".into(),
        preset: true,
        event_id: json("/event_id"),
        event_id_required: true,
        event_type: json("/event_type"),
        account: json("/organization_uuid"),
        ..timestamped("{body}.{timestamp}")
    };
    template_of(&mut scheme).signature.headers = vec![field("X-Webhook-Signature-256")];
    if let Some(timestamp) = &mut template_of(&mut scheme).timestamp {
        timestamp.at = TimestampAt::Headers(vec![field("X-Webhook-Timestamp")]);
    }
    scheme
}

/// Stripe's scheme: `t=…,v1=…` in a single header.
pub(crate) fn stripe() -> Scheme {
    let mut scheme = timestamped("{timestamp}.{body}");
    template_of(&mut scheme).signature.headers = vec![field("Stripe-Signature")];
    template_of(&mut scheme).signature.items = Items {
        separator: Some(",".into()),
        assign: Some(b'='),
        accept: vec![("v1".into(), Algorithm::HmacSha256)],
        ..Items::default()
    };
    if let Some(timestamp) = &mut template_of(&mut scheme).timestamp {
        timestamp.at = TimestampAt::Field("t".into());
    }
    scheme
}

/// The scheme of Standard Webhooks with both versions of signatures; the secret's own bytes are the
/// key.
pub(crate) fn standard_webhooks() -> Scheme {
    let mut scheme = timestamped("{id}.{timestamp}.{body}");
    scheme.event_id = Some(Place::Header(field("webhook-id")));
    template_of(&mut scheme).signature.headers = vec![field("webhook-signature")];
    template_of(&mut scheme).signature.encoding = Encoding::Base64;
    template_of(&mut scheme).signature.items = Items {
        separator: Some(" ".into()),
        assign: Some(b','),
        accept: vec![
            ("v1".into(), Algorithm::HmacSha256),
            ("v1a".into(), Algorithm::Ed25519),
        ],
        ..Items::default()
    };
    if let Some(timestamp) = &mut template_of(&mut scheme).timestamp {
        timestamp.at = TimestampAt::Headers(vec![field("webhook-timestamp")]);
    }
    scheme
}

/// A secret that is always active.
pub(crate) fn secret(name: &str, text: &str) -> Secret {
    Secret {
        written: None,
        name: name.into(),
        text: SecretText::new(text.as_bytes().to_vec()),
        not_before: None::<UnixMillis>,
        not_after: None,
    }
}
