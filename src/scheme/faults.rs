//! The rules that make a scheme safe by construction (schemes: What is refused).
//!
//! The loader asks for all faults at once. Nothing here reads a file or knows the position of a key
//! in it.

use super::borders::border_faults;
use super::fault::{SchemeFault, fault};
use super::{
    Algorithm, BodyForm, JwtRule, Kind, Part, Place, ProofBy, PublicUrl, Scheme, Settings,
    TemplateScheme, TimestampAt,
};
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;

impl Scheme {
    /// Every fault that makes this scheme unsafe or unusable on a route with these settings; empty
    /// for a good scheme.
    pub fn faults(&self, settings: &Settings) -> Vec<SchemeFault> {
        let mut faults = Vec::new();
        self.claim_faults(&mut faults);
        self.handshake_faults(&mut faults);
        self.url_faults(settings, &mut faults);
        self.component_faults(&mut faults);
        if let ProofBy::Template(template) = &self.proof {
            body_faults(template, &mut faults);
            self.place_faults(template, &mut faults);
            signature_faults(template, &mut faults);
            self.timestamp_faults(template, &mut faults);
            border_faults(template, settings, &mut faults);
            param_faults(template, &mut faults);
        }
        faults
    }

    /// A claim as the place of an id, a type or an account needs a token.
    fn claim_faults(&self, faults: &mut Vec<SchemeFault>) {
        let mut places = [&self.event_id, &self.event_type, &self.account]
            .into_iter()
            .flatten();
        let is_detached = self.token_rule().is_some_and(JwtRule::is_detached);
        let has_token = matches!(self.proof, ProofBy::Token(_));
        if (!has_token || is_detached) && places.any(|place| matches!(place, Place::Claim(_))) {
            faults.push(fault(
                "event_id",
                if is_detached {
                    "a place is a `claim`, but a detached token has no claims"
                } else {
                    "a place is a `claim`, but no JWT signs this delivery"
                },
                "take it from a header or from the JSON body",
            ));
        }
    }

    /// A handshake that is answered with a MAC needs the key of that MAC. Besides, the signature
    /// must cover the body, because only the body shows that a delivery is not a text that such an
    /// answer signs (schemes: Handshakes).
    fn handshake_faults(&self, faults: &mut Vec<SchemeFault>) {
        let Some((handshake, wanted)) = self
            .handshake
            .and_then(|known| Some((known, known.mac_algorithm()?)))
        else {
            return;
        };
        if self.algorithm().kind() != Kind::Digest(wanted) {
            faults.push(SchemeFault {
                key: "handshake",
                message: format!(
                    "the answer to the handshake `{}` needs the key of another algorithm",
                    handshake.name()
                ),
                help: format!(
                    "name `{}` as `algorithm`, or leave `handshake` out",
                    mac_name(wanted)
                ),
            });
        }
        let holds_body = self.template().is_none_or(|own| own.signed.holds_body());
        if !self.covers_body() || !holds_body {
            faults.push(SchemeFault {
                key: "handshake",
                message: format!(
                    "the handshake `{}` is answered with a MAC, and the signature does not cover \
                     the body itself: the answer could sign a delivery",
                    handshake.name()
                ),
                help: "put `{body}` into `signed`, or leave `handshake` out".to_owned(),
            });
        }
    }

    /// Components belong to a provider's code that reads them from the delivery.
    fn component_faults(&self, faults: &mut Vec<SchemeFault>) {
        let judged = match self.code() {
            Some(code) => code.judge_components(&self.components),
            None if self.components.is_empty() => Ok(()),
            None => Err("`components` belongs to a scheme with a `code`".to_owned()),
        };
        faults.extend(judged.err().map(|message| {
            SchemeFault {
                key: "components",
                message,
                help: "list them for the code `http-message-signatures` alone, as in \
                   `components = [\"@request-target\", \"content-digest\"]`"
                    .to_owned(),
            }
        }));
    }

    fn url_faults(&self, settings: &Settings, faults: &mut Vec<SchemeFault>) {
        if !self.signs_url() {
            return;
        }
        match settings.public_url.as_deref().map(PublicUrl::new) {
            None => faults.push(fault(
                "signed",
                "the URL is signed, but the route has no `public_url`",
                "set the URL that the provider calls, as in \
                 `public_url = \"https://hooks.example.com\"`",
            )),
            Some(url) => faults.extend(url.fault().map(|why| {
                SchemeFault {
                    key: "public_url",
                    message: format!("`public_url` is not a URL that a provider signs: {why}"),
                    help:
                        "write an origin, as in `https://hooks.example.com`, or a URL with a path"
                            .to_owned(),
                }
            })),
        }
    }

    fn place_faults(&self, template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
        let parts = template.signed.parts();
        if parts.contains(&Part::Timestamp) {
            match template.timestamp.as_ref().map(|place| &place.at) {
                Some(TimestampAt::Json(pointer)) => faults.push(SchemeFault {
                    key: "signed",
                    message: "`{timestamp}` is signed, but the timestamp is in the body".to_owned(),
                    help: format!(
                        "write `{{json:{}}}` in its place if the provider signs it apart from the \
                         body",
                        pointer.text()
                    ),
                }),
                Some(_) => {}
                None => faults.push(fault(
                    "timestamp",
                    "`{timestamp}` is signed, but the scheme has no `timestamp`",
                    "say where it is, as in \
                     `timestamp = { header = \"X-Timestamp\", unit = \"seconds\" }`",
                )),
            }
        }
        if parts.contains(&Part::Id) && !matches!(self.event_id, Some(Place::Header(_))) {
            faults.push(fault(
                "event_id",
                "`{id}` is signed, but `event_id` names no header",
                "say which header holds it, as in `event_id = { header = \"X-Event-Id\" }`",
            ));
        }
        if template.signed.id_form().is_some() && !parts.contains(&Part::Id) {
            faults.push(fault(
                "id_form",
                "`id_form` speaks of the id, but nothing signs `{id}`",
                "leave `id_form` out",
            ));
        }
        let own = &template.signature.headers;
        let is_signature = |part: &Part| matches!(part, Part::Header(name) if own.contains(name));
        if parts.iter().any(is_signature) {
            faults.push(fault(
                "signed",
                "the signature's own header is signed",
                "name another header, which the provider signs",
            ));
        }
    }

    fn timestamp_faults(&self, template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
        let Some(place) = &template.timestamp else {
            return;
        };
        match &place.at {
            TimestampAt::Headers(names)
                if names
                    .iter()
                    .any(|name| template.signature.headers.contains(name)) =>
            {
                faults.push(fault(
                    "timestamp.header",
                    "signature and timestamp are in the same header",
                    "name the header of each, or the label of the timestamp, as in `field = \"t\"`",
                ));
            }
            TimestampAt::Field(label) => {
                let items = &template.signature.items;
                if items.assign.is_none() || items.accepted(label.as_bytes()).is_some() {
                    faults.push(fault(
                        "timestamp.field",
                        "the signature header has no labels, or this label is a signature's",
                        "name another label, and `signature.assign`, as in `assign = \"=\"`",
                    ));
                }
            }
            TimestampAt::Item(_) => item_faults(template, place.unit, faults),
            TimestampAt::Headers(_) | TimestampAt::Json(_) => {}
        }
        if !place.required && !template.signed.covers_body() {
            faults.push(fault(
                "timestamp.required",
                "the timestamp may be missing, and nothing signs the body: anybody could leave it \
                 out",
                "leave `required` out",
            ));
        }
        if !place.unsigned && !template.signs_timestamp(self.id_header()) {
            faults.push(fault(
                "timestamp",
                "nothing signs this timestamp: an old delivery could be sent with a new timestamp",
                "add `{timestamp}` to `signed`, leave `timestamp` out, or say `unsigned = true`: \
                 then it can only refuse deliveries",
            ));
        }
        if place.unsigned && template.signs_timestamp(self.id_header()) {
            faults.push(fault(
                "timestamp.unsigned",
                "the timestamp is called unsigned, but `signed` holds it",
                "leave `unsigned` out",
            ));
        }
    }
}

/// A text of the route that is signed must be known.
fn param_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    for name in template.signed.params() {
        faults.push(SchemeFault {
            key: "params",
            message: format!("`{{param:{name}}}` is signed, and the route has no such param"),
            help: format!("write its text on the route, as in `params = {{ {name} = \"…\" }}`"),
        });
    }
}

fn body_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    let covers_body = template.signed.covers_body();
    if !template.may_leave_body && !covers_body {
        faults.push(fault(
            "signed",
            "the signed content has no `{body}`: anybody could put another body under a signature",
            "add `{body}`, or a digest of it, where the provider signs it, or say `covers_body = \
             false` if it does not",
        ));
    }
    if template.may_leave_body && covers_body {
        faults.push(fault(
            "covers_body",
            "`covers_body` is false, but the signed content has the body or a digest of it",
            "leave `covers_body` out",
        ));
    }
    if covers_body && template.takes_forms_alone() {
        faults.push(fault(
            "signed",
            "fields of a form are read by themselves, but the signature covers the whole body",
            "leave the fields out: a signed body may be a form",
        ));
    }
    if template.takes_forms_alone() {
        mixture_faults(template, faults);
    }
    if covers_body && template.form.is_some() {
        faults.push(fault(
            "form",
            "`form` reads values of a form, but the signature covers the whole body",
            "leave `form` out: a signed body may be a form",
        ));
    }
    if template.decode_url && !template.signed.parts().contains(&Part::Url) {
        faults.push(fault(
            "decode_url",
            "`decode_url` speaks of the URL, but nothing signs it",
            "leave `decode_url` out",
        ));
    }
    let is_raw = template.body.iter().all(|form| *form == BodyForm::Raw);
    if !covers_body && !is_raw {
        faults.push(fault(
            "body",
            "`body` names forms of the body, but nothing signs the body",
            "leave `body` out",
        ));
    }
    if template.signed.digests() > 0 && !is_raw {
        faults.push(fault(
            "body",
            "`body` names forms of the body, but the signed digest is made of the body as received",
            "leave `body` out",
        ));
    }
    if template.signed.parts().iter().all(Part::is_settled) {
        faults.push(fault(
            "signed",
            "the signed content is the same for every delivery",
            "name what the provider signs of a delivery: `{body}`, `{timestamp}`, `{id}` …",
        ));
    }
    let secrets = template
        .signed
        .parts()
        .iter()
        .filter(|part| **part == Part::Secret)
        .count();
    if template.algorithm.is_plain_hash() && secrets != 1 {
        faults.push(fault(
            "signed",
            "a plain hash without exactly one `{secret}`: anybody could compute it",
            "put `{secret}` where the provider puts it, or name an HMAC as `algorithm`",
        ));
    }
    if !template.algorithm.is_plain_hash() && secrets > 0 {
        faults.push(fault(
            "signed",
            "`{secret}` is part of the signed content, but this algorithm takes the secret as its \
             key",
            "leave it out, or name `sha256` or `sha1` as `algorithm` if the provider hashes \
             without a key",
        ));
    }
}

/// A body is a form or JSON, and not both.
fn mixture_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    let parts = template.signed.parts();
    let place = &template.signature;
    let is_mixed = parts.iter().any(|part| matches!(part, Part::Json(_)))
        || place.json.is_some() && !place.in_form
        || template.form.is_some();
    if is_mixed {
        faults.push(fault(
            "signed",
            "some values are fields of a form, and others are in a JSON body",
            "write `{form:NAME}` and `signature.form` for a form, and leave `form` out; or `form` \
             beside `{json:…}` where both come",
        ));
    }
}

/// The signature in the query must not sign itself, and is written there without an escape.
fn query_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    if template.signature.query.is_none() {
        return;
    }
    let signs_query = |part: &Part| matches!(part, Part::Query | Part::Url);
    if template.signed.parts().iter().any(signs_query) {
        faults.push(fault(
            "signature.query",
            "the signature is in the query that it signs",
            "name what the provider signs besides the query: `{body}`, `{path}` …",
        ));
    }
    if template.signature.encoding == Encoding::Base64 {
        faults.push(fault(
            "signature.query",
            "base64 has signs that a query writes in more than one way",
            "name `hex` or `base64url` as `encoding`",
        ));
    }
}

fn signature_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    let place = &template.signature;
    if place.json.is_some() && !place.in_form && template.signed.covers_body() {
        faults.push(fault(
            "signature.json",
            "the signature is in the body that it signs",
            "name the header that carries it, or the values of the body that are signed: \
             `{json:/token}` …",
        ));
    }
    query_faults(template, faults);
    let items = &place.items;
    if items.assign.is_some() && items.accept.is_empty() {
        faults.push(fault(
            "signature.accept",
            "no label is accepted",
            "name the labels, as in `accept = [\"v1\"]`",
        ));
    }
    if let (true, Some(assign)) = (items.assign_last, items.assign)
        && place.encoding.may_hold(assign)
    {
        faults.push(fault(
            "signature.assign_at",
            "the label ends at the last `assign`, which the signature itself may hold",
            "leave `assign_at` out, or name the encoding that the provider writes",
        ));
    }
    let is_plain =
        |algorithm: Algorithm| matches!(algorithm.kind(), Kind::Digest(_) | Kind::Public(_));
    if items
        .accept
        .iter()
        .any(|(_, algorithm)| !is_plain(*algorithm))
    {
        faults.push(fault(
            "signature.accept",
            "a label with an algorithm that signs no content",
            "name an HMAC or a public-key algorithm for each label",
        ));
    }
    if items.assign.is_some()
        && !items
            .accept
            .iter()
            .any(|(_, algorithm)| *algorithm == template.algorithm)
    {
        faults.push(fault(
            "signature.accept",
            "no label has the algorithm of the scheme",
            "give one label the algorithm that `algorithm` names",
        ));
    }
}

/// A timestamp by its position: the list must be one whose items have no labels, and a timestamp
/// must not hold what divides them.
fn item_faults(template: &TemplateScheme, unit: Unit, faults: &mut Vec<SchemeFault>) {
    let items = &template.signature.items;
    if items.separator.is_none() || items.assign.is_some() {
        faults.push(fault(
            "timestamp.item",
            "the timestamp has a position, but the signature header is no list of items without \
             labels",
            "name the `separator` of the items; where items have labels, name the timestamp's, as \
             in `field = \"t\"`",
        ));
    }
    if !unit.is_number() {
        faults.push(fault(
            "timestamp.item",
            "only a timestamp of digits alone can be an item by its position",
            "name `seconds` or `milliseconds` as `unit`",
        ));
    }
    let is_digit = |byte: u8| byte.is_ascii_digit();
    if items
        .separator
        .iter()
        .any(|text| text.bytes().any(is_digit))
    {
        faults.push(fault(
            "signature.separator",
            "the items are divided by a digit, which the timestamp may hold",
            "name the text that the provider writes between them",
        ));
    }
}

/// The name of the algorithm that makes this digest.
fn mac_name(wanted: DigestAlgorithm) -> &'static str {
    let named = Algorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.kind() == Kind::Digest(wanted));
    named.map_or("", Algorithm::name)
}
