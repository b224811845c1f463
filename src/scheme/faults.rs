//! What a scheme must not say: the rules of SCHEMES 2 that make a template safe by construction.
//!
//! The loader asks for every fault at once. Nothing here reads a file or knows where in it a key stands.

use super::{
    Algorithm, BodyForm, Kind, Part, Place, ProofBy, PublicUrl, Scheme, Settings, TemplateScheme,
    TimestampAt,
};
use crate::key::digest::DigestAlgorithm;
use crate::notation::timestamp::Tolerance;
use crate::notation::timestamp::Unit;

/// One thing a scheme must not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeFault {
    /// The key of `[route.scheme]` that is to be changed, dotted (`timestamp.unsigned`); `public_url` is the route's.
    pub key: &'static str,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl Scheme {
    /// Everything that makes this scheme unsafe or unusable on a route with these settings; empty where all is well.
    pub fn faults(&self, settings: &Settings) -> Vec<SchemeFault> {
        let mut faults = Vec::new();
        self.claim_faults(&mut faults);
        self.handshake_faults(&mut faults);
        self.url_faults(settings, &mut faults);
        if let ProofBy::Template(template) = &self.proof {
            body_faults(template, &mut faults);
            self.place_faults(template, &mut faults);
            signature_faults(template, &mut faults);
            self.timestamp_faults(template, &mut faults);
            border_faults(template, settings, &mut faults);
        }
        faults
    }

    /// Claims exist only in a token.
    fn claim_faults(&self, faults: &mut Vec<SchemeFault>) {
        let mut places = [&self.event_id, &self.event_type, &self.account]
            .into_iter()
            .flatten();
        let has_token = matches!(self.proof, ProofBy::Token(_));
        if !has_token && places.any(|place| matches!(place, Place::Claim(_))) {
            faults.push(fault(
                "event_id",
                "a `claim` is asked for, but no JWT signs this delivery",
                "take it from a header or from the JSON body",
            ));
        }
    }

    /// A handshake that is answered with a MAC needs the key of that MAC; and a delivery must show in its body that it is
    /// none of the texts that are answered so (SCHEMES 5).
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
                    "the handshake `{}` is answered with another algorithm's key",
                    handshake.name()
                ),
                help: format!(
                    "name `{}` as `algorithm`, or leave `handshake` out",
                    mac_name(wanted)
                ),
            });
        }
        if !self.covers_body() {
            faults.push(SchemeFault {
                key: "handshake",
                message: format!(
                    "the handshake `{}` is answered with a MAC, and the signature does not cover the body: the answer \
                     could sign a delivery",
                    handshake.name()
                ),
                help: "put `{body}` into `signed`, or leave `handshake` out".to_owned(),
            });
        }
    }

    fn url_faults(&self, settings: &Settings, faults: &mut Vec<SchemeFault>) {
        if !self.signs_url() {
            return;
        }
        match settings.public_url.as_deref().map(PublicUrl::new) {
            None => faults.push(fault(
                "signed",
                "the URL is signed, but the route has no `public_url`",
                "set the URL that the provider calls, as in `public_url = \"https://hooks.example.com\"`",
            )),
            Some(url) => faults.extend(url.fault().map(|why| SchemeFault {
                key: "public_url",
                message: format!("`public_url` is not a URL that a provider signs: {why}"),
                help: "write an origin, as in `https://hooks.example.com`, or a URL with a path".to_owned(),
            })),
        }
    }

    fn place_faults(&self, template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
        let parts = template.signed.parts();
        if parts.contains(&Part::Timestamp) {
            match template.timestamp.as_ref().map(|place| &place.at) {
                Some(TimestampAt::Json(pointer)) => faults.push(SchemeFault {
                    key: "signed",
                    message: "`{timestamp}` is signed, but it stands in the body".to_owned(),
                    help: format!("write `{{json:{}}}` where it is signed apart from the body", pointer.text()),
                }),
                Some(_) => {}
                None => faults.push(fault(
                    "timestamp",
                    "`{timestamp}` is signed, but the scheme has no `timestamp`",
                    "say where it stands, as in `timestamp = { header = \"X-Timestamp\", unit = \"seconds\" }`",
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
        let is_signature = |part: &Part| matches!(part, Part::Header(name) if template.signature.headers.contains(name));
        if parts.iter().any(is_signature) {
            faults.push(fault(
                "signed",
                "the signature's own header is signed",
                "name the header that the provider signs besides",
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
                    "signature and timestamp stand in the same header",
                    "name the header of each, or the label of the timestamp, as in `field = \"t\"`",
                ));
            }
            TimestampAt::Field(label) => {
                let items = &template.signature.items;
                if items.assign.is_none()
                    || items.accept.iter().any(|(accepted, _)| accepted == label)
                {
                    faults.push(fault(
                        "timestamp.field",
                        "the signature header has no such label, or it is a signature's",
                        "name another label, and `signature.assign`, as in `assign = \"=\"`",
                    ));
                }
            }
            _ => {}
        }
        if !place.required && !template.signed.covers_body() {
            faults.push(fault(
                "timestamp.required",
                "a time that may be missing, in a body that nothing signs: anybody could leave it out",
                "leave `required` out",
            ));
        }
        if !place.unsigned && !template.signs_timestamp(self.id_header()) {
            faults.push(fault(
                "timestamp",
                "nothing signs this timestamp: an old delivery could be sent under a new one",
                "add `{timestamp}` to `signed`, leave `timestamp` out, or say `unsigned = true` to let it only refuse",
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

fn body_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    let covers_body = template.signed.covers_body();
    if !template.may_leave_body && !covers_body {
        faults.push(fault(
            "signed",
            "the signed content has no `{body}`: anybody could put another body under a signature",
            "add `{body}` where the provider signs it, or say `covers_body = false` if it does not",
        ));
    }
    if template.may_leave_body && covers_body {
        faults.push(fault(
            "covers_body",
            "`covers_body` is false, but the signed content has a `{body}`",
            "leave `covers_body` out",
        ));
    }
    if !covers_body && template.body.iter().any(|form| *form != BodyForm::Raw) {
        faults.push(fault(
            "body",
            "forms of a body that nothing signs",
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
            "`{secret}` is part of the signed content, but this algorithm takes the secret as its key",
            "leave it out, or name `sha256` or `sha1` as `algorithm` if the provider hashes without a key",
        ));
    }
}

fn signature_faults(template: &TemplateScheme, faults: &mut Vec<SchemeFault>) {
    let place = &template.signature;
    if place.json.is_some() && template.signed.covers_body() {
        faults.push(fault(
            "signature.json",
            "the signature stands in the body that it signs",
            "name the header that carries it, or what is signed of the body: `{json:/token}` …",
        ));
    }
    let items = &place.items;
    if items.assign.is_some() && items.accept.is_empty() {
        faults.push(fault(
            "signature.accept",
            "no label counts",
            "name the labels, as in `accept = [\"v1\"]`",
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

/// Bytes must not be able to move from one value into the next one under the same signature.
fn border_faults(template: &TemplateScheme, settings: &Settings, faults: &mut Vec<SchemeFault>) {
    let is_judged = template.timestamp.is_some()
        && settings.tolerance != Tolerance::Off
        && settings.future_tolerance != Tolerance::Off;
    let has_open_end = template
        .timestamp
        .as_ref()
        .is_some_and(|place| place.unit == Unit::Iso8601Utc);
    let (mut left, mut between) = (None::<&Part>, "");
    for part in template.signed.parts() {
        if let Part::Literal(text) = part {
            between = text;
            continue;
        }
        if let Some(left) = left {
            let has_timestamp = template.is_timestamp(left) || template.is_timestamp(part);
            // Decimals that may be there or not, with no zone behind them: they could move, and the time stay fresh.
            let is_open = template.is_timestamp(left) && has_open_end;
            // A digit divides a timestamp from nothing, nor does the point before its decimals.
            let could_belong = |b: u8| has_timestamp && b.is_ascii_digit() || is_open && b == b'.';
            if between.bytes().all(could_belong) {
                let open = is_open.then(open_end_fault);
                faults.extend(open.or_else(|| border_fault(left, part, has_timestamp, is_judged)));
            }
        }
        (left, between) = (Some(part), "");
    }
}

fn open_end_fault() -> SchemeFault {
    fault(
        "signed",
        "nothing divides `{timestamp}` in `iso8601-utc` from what follows: its decimals could move there",
        "put the text that the provider signs between them, as in `{timestamp}:{body}`; `.` alone divides nothing here",
    )
}

/// What is wrong with two values side by side.
fn border_fault(
    left: &Part,
    right: &Part,
    has_timestamp: bool,
    is_judged: bool,
) -> Option<SchemeFault> {
    if has_timestamp {
        // A date has its four digits and a hyphen in front, and its zone behind.
        // Digits only, and a window far smaller than any number of another length: no byte can move over the border.
        return (!is_judged).then(|| {
            fault(
                "signed",
                "nothing divides `{timestamp}` from what stands beside it, and its freshness is not judged",
                "set `tolerance` and `future_tolerance` to a time, so that no digit can move into the neighbour",
            )
        });
    }
    if *left == Part::Secret || *right == Part::Secret {
        // Nobody who does not know it can shift it.
        return None;
    }
    match (left.is_settled(), right.is_settled()) {
        (true, true) => None,
        // Square and Trello sign URL and body side by side. An exact route has picked the path, and a JSON or XML body
        // begins with a byte that no target holds; only a form behind a URL with a query could lose bytes to it.
        (true, false) if *right == Part::Body => None,
        (false, true) if *left == Part::Body => None,
        _ => Some(fault(
            "signed",
            "nothing divides two values: bytes could move from one into the other under the same signature",
            "put the text that the provider signs between them, as in `{id}.{body}`",
        )),
    }
}

fn fault(key: &'static str, message: &str, help: &str) -> SchemeFault {
    SchemeFault {
        key,
        message: message.to_owned(),
        help: help.to_owned(),
    }
}

/// The name of the algorithm that makes this digest.
fn mac_name(wanted: DigestAlgorithm) -> &'static str {
    let named = Algorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.kind() == Kind::Digest(wanted));
    named.map_or("", Algorithm::name)
}
