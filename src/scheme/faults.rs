//! What a scheme must not say: the rules of SCHEMES 2 that make a template safe by construction.
//!
//! The loader asks for every fault at once. Nothing here reads a file or knows where in it a key stands.

use super::{Algorithm, BodyForm, Kind, Part, Place, PublicUrl, Scheme, Settings, TimestampAt};
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
        self.method_faults(&mut faults);
        self.handshake_faults(&mut faults);
        self.url_faults(settings, &mut faults);
        if self.is_template() {
            self.body_faults(&mut faults);
            self.place_faults(&mut faults);
            self.signature_faults(&mut faults);
            self.timestamp_faults(&mut faults);
            self.border_faults(settings, &mut faults);
        }
        faults
    }

    /// Whether `signed` says what is signed.
    fn is_template(&self) -> bool {
        self.code.is_none() && self.jwt.is_none() && !self.is_token()
    }

    /// What cannot stand together.
    fn method_faults(&self, faults: &mut Vec<SchemeFault>) {
        if let Some(code) = self.code
            && self.algorithm != code.algorithm()
        {
            faults.push(SchemeFault {
                key: "algorithm",
                message: format!("the code `{}` verifies another algorithm", code.name()),
                help: format!("write `{}`", code.algorithm().name()),
            });
        }
        if (self.algorithm == Algorithm::Jwt) != self.jwt.is_some() {
            faults.push(fault(
                "jwt",
                "`algorithm = \"jwt\"` and a `jwt` table belong together",
                "write both, as in `jwt = { header = \"X-Token\", algorithms = [\"HS256\"] }`, or neither",
            ));
        }
        if !self.is_template() && !self.signed.parts().is_empty() {
            faults.push(fault(
                "signed",
                "`signed` means nothing here: what is signed is known, or nothing is",
                "leave `signed` out",
            ));
        }
        if !self.is_template() && self.timestamp.is_some() {
            faults.push(fault(
                "timestamp",
                "a timestamp that nothing here signs, or that is read elsewhere",
                "leave `timestamp` out",
            ));
        }
        let claims = [&self.event_id, &self.event_type, &self.account];
        if self.jwt.is_none()
            && claims
                .iter()
                .any(|place| matches!(place, Some(Place::Claim(_))))
        {
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
        if self.algorithm.kind() != Kind::Digest(wanted) {
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

    fn body_faults(&self, faults: &mut Vec<SchemeFault>) {
        let covers_body = self.signed.covers_body();
        if !self.may_leave_body && !covers_body {
            faults.push(fault(
                "signed",
                "the signed content has no `{body}`: anybody could put another body under a signature",
                "add `{body}` where the provider signs it, or say `covers_body = false` if it does not",
            ));
        }
        if self.may_leave_body && covers_body {
            faults.push(fault(
                "covers_body",
                "`covers_body` is false, but the signed content has a `{body}`",
                "leave `covers_body` out",
            ));
        }
        if !covers_body && self.body.iter().any(|form| *form != BodyForm::Raw) {
            faults.push(fault(
                "body",
                "forms of a body that nothing signs",
                "leave `body` out",
            ));
        }
        if self.signed.parts().iter().all(Part::is_settled) {
            faults.push(fault(
                "signed",
                "the signed content is the same for every delivery",
                "name what the provider signs of a delivery: `{body}`, `{timestamp}`, `{id}` …",
            ));
        }
        let secrets = self
            .signed
            .parts()
            .iter()
            .filter(|part| **part == Part::Secret)
            .count();
        if self.algorithm.is_plain_hash() && secrets != 1 {
            faults.push(fault(
                "signed",
                "a plain hash without exactly one `{secret}`: anybody could compute it",
                "put `{secret}` where the provider puts it, or name an HMAC as `algorithm`",
            ));
        }
        if !self.algorithm.is_plain_hash() && secrets > 0 {
            faults.push(fault(
                "signed",
                "`{secret}` is part of the signed content, but this algorithm takes the secret as its key",
                "leave it out, or name `sha256` or `sha1` as `algorithm` if the provider hashes without a key",
            ));
        }
    }

    fn place_faults(&self, faults: &mut Vec<SchemeFault>) {
        let parts = self.signed.parts();
        if parts.contains(&Part::Timestamp) {
            match self.timestamp.as_ref().map(|place| &place.at) {
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
        let is_signature = |part: &Part| matches!(part, Part::Header(name) if self.signature.headers.contains(name));
        if parts.iter().any(is_signature) {
            faults.push(fault(
                "signed",
                "the signature's own header is signed",
                "name the header that the provider signs besides",
            ));
        }
    }

    fn signature_faults(&self, faults: &mut Vec<SchemeFault>) {
        let place = &self.signature;
        if place.json.is_some() && self.signed.covers_body() {
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
                .any(|(_, algorithm)| *algorithm == self.algorithm)
        {
            faults.push(fault(
                "signature.accept",
                "no label has the algorithm of the scheme",
                "give one label the algorithm that `algorithm` names",
            ));
        }
    }

    fn timestamp_faults(&self, faults: &mut Vec<SchemeFault>) {
        let Some(place) = &self.timestamp else { return };
        match &place.at {
            TimestampAt::Headers(names)
                if names
                    .iter()
                    .any(|name| self.signature.headers.contains(name)) =>
            {
                faults.push(fault(
                    "timestamp.header",
                    "signature and timestamp stand in the same header",
                    "name the header of each, or the label of the timestamp, as in `field = \"t\"`",
                ));
            }
            TimestampAt::Field(label) => {
                let items = &self.signature.items;
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
        if !place.required && !self.signed.covers_body() {
            faults.push(fault(
                "timestamp.required",
                "a time that may be missing, in a body that nothing signs: anybody could leave it out",
                "leave `required` out",
            ));
        }
        if !place.unsigned && !self.signs_timestamp() {
            faults.push(fault(
                "timestamp",
                "nothing signs this timestamp: an old delivery could be sent under a new one",
                "add `{timestamp}` to `signed`, leave `timestamp` out, or say `unsigned = true` to let it only refuse",
            ));
        }
        if place.unsigned && self.signs_timestamp() {
            faults.push(fault(
                "timestamp.unsigned",
                "the timestamp is called unsigned, but `signed` holds it",
                "leave `unsigned` out",
            ));
        }
    }

    /// Bytes must not be able to move from one value into the next one under the same signature.
    fn border_faults(&self, settings: &Settings, faults: &mut Vec<SchemeFault>) {
        let is_judged = self.timestamp.is_some()
            && settings.tolerance != Tolerance::Off
            && settings.future_tolerance != Tolerance::Off;
        let has_open_end = self
            .timestamp
            .as_ref()
            .is_some_and(|place| place.unit == Unit::Iso8601Utc);
        let (mut left, mut between) = (None::<&Part>, "");
        for part in self.signed.parts() {
            if let Part::Literal(text) = part {
                between = text;
                continue;
            }
            if let Some(left) = left {
                let has_timestamp = self.is_timestamp(left) || self.is_timestamp(part);
                // Decimals that may be there or not, with no zone behind them: they could move, and the time stay fresh.
                let is_open = self.is_timestamp(left) && has_open_end;
                // A digit divides a timestamp from nothing, nor does the point before its decimals.
                let could_belong =
                    |b: u8| has_timestamp && b.is_ascii_digit() || is_open && b == b'.';
                if between.bytes().all(could_belong) {
                    let open = is_open.then(open_end_fault);
                    faults.extend(
                        open.or_else(|| border_fault(left, part, has_timestamp, is_judged)),
                    );
                }
            }
            (left, between) = (Some(part), "");
        }
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

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures::{TOLERANCE, field, itellico, plain, timestamped};
    use super::Unit::{Iso8601Utc, Rfc3339};
    use super::*;

    fn settings(tolerance: Tolerance) -> Settings {
        Settings {
            tolerance,
            future_tolerance: tolerance,
            public_url: None,
            max_body: 1 << 20,
        }
    }

    fn keys(scheme: &Scheme, settings: &Settings) -> Vec<&'static str> {
        scheme
            .faults(settings)
            .into_iter()
            .map(|fault| fault.key)
            .collect()
    }

    #[test]
    fn the_reference_scheme_has_no_fault() {
        assert_eq!(itellico().faults(&settings(TOLERANCE)), []);
        assert_eq!(itellico().faults(&settings(Tolerance::Off)), []);
    }

    #[test]
    fn each_rule_of_the_loader_is_held() {
        let public = |url: &str| Settings {
            public_url: Some(url.into()),
            ..settings(TOLERANCE)
        };
        let (origin, no_url) = (public("https://a.example"), public("a.example"));
        let (on, off) = (settings(TOLERANCE), settings(Tolerance::Off));
        let no_future = Settings {
            future_tolerance: Tolerance::Off,
            ..on.clone()
        };
        let without_body = |scheme| Scheme {
            may_leave_body: true,
            ..scheme
        };
        let unsigned = |mut scheme: Scheme| {
            scheme.timestamp.as_mut().unwrap().unsigned = true;
            scheme
        };
        let json_id = |scheme| Scheme {
            event_id: None,
            ..scheme
        };
        let same_header = |mut scheme: Scheme| {
            scheme.timestamp.as_mut().unwrap().at =
                TimestampAt::Headers(vec![field("X-Signature")]);
            scheme
        };
        let dated = |unit, template| {
            let mut scheme = timestamped(template);
            scheme.timestamp.as_mut().unwrap().unit = unit;
            scheme
        };
        let rows: Vec<(&str, Scheme, &Settings, &[&str])> = vec![
            ("no body", timestamped("{timestamp}.{id}"), &on, &["signed"]),
            (
                "no body, and said so",
                without_body(timestamped("{timestamp}.{id}")),
                &on,
                &[],
            ),
            (
                "a body, and said not so",
                without_body(plain("{body}")),
                &on,
                &["covers_body"],
            ),
            (
                "nothing of the delivery",
                without_body(plain("{method}")),
                &on,
                &["signed"],
            ),
            (
                "timestamp without a place",
                plain("{timestamp}.{body}"),
                &on,
                &["timestamp"],
            ),
            (
                "timestamp that nothing signs",
                timestamped("{body}"),
                &on,
                &["timestamp"],
            ),
            (
                "timestamp that may only refuse",
                unsigned(timestamped("{body}")),
                &on,
                &[],
            ),
            (
                "timestamp signed by its header's name",
                timestamped("{header:x-timestamp}.{body}"),
                &on,
                &[],
            ),
            (
                "signed timestamp called unsigned",
                unsigned(timestamped("{timestamp}.{body}")),
                &on,
                &["timestamp.unsigned"],
            ),
            (
                "timestamp in the signature's header",
                same_header(timestamped("{timestamp}.{body}")),
                &on,
                &["timestamp.header"],
            ),
            (
                "id without a header",
                json_id(plain("{id}.{body}")),
                &on,
                &["event_id"],
            ),
            (
                "url without public_url",
                plain("{url}{body}"),
                &on,
                &["signed"],
            ),
            ("url with it", plain("{url}{body}"), &origin, &[]),
            (
                "url with a wrong one",
                plain("{body}{url}"),
                &no_url,
                &["public_url"],
            ),
            (
                "the signature signed",
                plain("{header:X-Signature}.{body}"),
                &on,
                &["signed"],
            ),
            ("id beside body", plain("{id}{body}"), &on, &["signed"]),
            (
                "id beside body, with a timestamp elsewhere",
                timestamped("{timestamp}.{id}{body}"),
                &on,
                &["signed"],
            ),
            (
                "header beside query",
                plain("{header:a}{query}.{body}"),
                &on,
                &["signed"],
            ),
            (
                "id, timestamp and body, judged",
                timestamped("{id}{timestamp}{body}"),
                &on,
                &[],
            ),
            (
                "id, timestamp and body, not judged",
                timestamped("{id}{timestamp}{body}"),
                &off,
                &["signed", "signed"],
            ),
            (
                "the future not judged",
                timestamped("{body}{timestamp}"),
                &no_future,
                &["signed"],
            ),
            (
                "a digit between",
                timestamped("{timestamp}0{body}"),
                &off,
                &["signed"],
            ),
            (
                "a digit and more between",
                timestamped("{timestamp}0.{body}"),
                &off,
                &[],
            ),
            (
                "divided, not judged",
                timestamped("{timestamp}.{body}"),
                &off,
                &[],
            ),
            (
                "method, path, body, timestamp",
                timestamped("{method}{path}{body}{timestamp}"),
                &on,
                &[],
            ),
            (
                "decimals beside body",
                dated(Iso8601Utc, "{timestamp}{body}"),
                &on,
                &["signed"],
            ),
            (
                "decimals, a point and body",
                dated(Iso8601Utc, "{timestamp}.{body}"),
                &on,
                &["signed"],
            ),
            (
                "decimals, a digit and body",
                dated(Iso8601Utc, "{timestamp}0{body}"),
                &off,
                &["signed"],
            ),
            (
                "decimals, divided",
                dated(Iso8601Utc, "v1:{timestamp}:{body}"),
                &off,
                &[],
            ),
            (
                "decimals last",
                dated(Iso8601Utc, "{body}{timestamp}"),
                &on,
                &[],
            ),
            (
                "a zone, a point and body",
                dated(Rfc3339, "{timestamp}.{body}"),
                &off,
                &[],
            ),
            (
                "a zone beside body",
                dated(Rfc3339, "{timestamp}{body}"),
                &on,
                &[],
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .map(|(name, scheme, settings, expected)| (name, keys(scheme, settings), expected))
            .filter(|(_, found, expected)| found != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
