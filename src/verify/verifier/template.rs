//! The parts of a delivery that a template needs: signatures, timestamp and signed values of the
//! head, and the places that are read in the body.

use super::Inner;
use super::signatures;
use super::signatures::{SignatureRule, Signatures, Stamp};
use super::verification::HeadParts;
use crate::clock::{Now, UnixMillis};
use crate::notation::form::Said;
use crate::notation::json::{EachSlot, Places, Slot, Value};
use crate::notation::timestamp::{Tolerance, Unit, Window};
use crate::scheme::template::Facts;
use crate::scheme::{
    Place, ProofBy, PublicUrl, Scheme, Settings, TemplateScheme, TimestampAt, TimestampPlace,
};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

/// The places in a body that are needed to judge the signature.
#[derive(Debug)]
pub(super) struct InBody {
    pub(super) places: Places,
    /// The places of the signed values.
    pub(super) parts: Vec<Slot>,
    /// The place of the signatures or credentials.
    pub(super) signature: Option<EachSlot>,
    /// The place of the timestamp.
    pub(super) timestamp: Option<Slot>,
}

impl InBody {
    /// Whether the body is read before the signature is judged.
    pub(super) fn is_read_first(&self) -> bool {
        self.signature.is_some() || !self.parts.is_empty()
    }

    /// The places of a scheme; `None` where the body does not have to be read.
    pub(super) fn of(scheme: &Scheme, settings: &Settings) -> Option<Self> {
        let mut places = match &scheme.proof {
            // Only the values at these places are signed, and not the keys beside them.
            ProofBy::Template(template) if !template.signed.covers_body() => Places::exact(),
            _ => Places::default(),
        };
        let (template, signature) = match &scheme.proof {
            ProofBy::Template(template) => (Some(template), template.signature.json.as_ref()),
            ProofBy::Credential(credential) => (None, credential.place.json.as_ref()),
            ProofBy::Code(_) | ProofBy::Token(_) => return None,
        };
        let pointers = template
            .into_iter()
            .flat_map(|template| template.signed.pointers());
        let parts: Vec<Slot> = pointers.map(|pointer| places.add(pointer)).collect();
        let signature = signature.map(|pointer| places.add_each(pointer));
        let is_judged =
            settings.tolerance != Tolerance::Off || settings.future_tolerance != Tolerance::Off;
        let timestamp = match scheme.timestamp().map(|place| &place.at) {
            Some(TimestampAt::Json(pointer)) if is_judged => Some(places.add(pointer)),
            _ => None,
        };
        let is_needed = !parts.is_empty() || signature.is_some() || timestamp.is_some();
        is_needed.then_some(Self {
            places,
            parts,
            signature,
            timestamp,
        })
    }
}

/// Reads the signatures, the timestamp and the signed values of a head.
///
/// # Errors
/// As [`Verifier::begin`](super::Verifier::begin).
pub(super) fn begin(
    inner: &Inner,
    template: &TemplateScheme,
    head: &Head,
    now: Now,
) -> Result<(HeadParts, Option<UnixMillis>, Window), Refusal> {
    let Inner {
        scheme,
        settings,
        public_url,
        ..
    } = inner;
    let (signatures, stamp) = match &template.signature.json {
        Some(_) => (Signatures::default(), Stamp::Nothing),
        None => signatures::read(&SignatureRule::of_template(template), head)?,
    };
    let mut facts = Received {
        scheme,
        head,
        target: None,
        timestamp: None,
        public_url: public_url.as_ref(),
    };
    let (mut at, mut window) = (None, Window::ALWAYS);
    if let Some(place) = &template.timestamp
        && !matches!(place.at, TimestampAt::Json(_))
    {
        let (text, moment) = timestamp(place, head, stamp)?;
        window = place
            .unit
            .window(moment, settings.tolerance, settings.future_tolerance);
        window.judge(now.wall)?;
        (facts.timestamp, at) = (Some(text), Some(moment));
    }
    let content = template.signed.render(&facts)?;
    let mut others = Vec::new();
    let targets = if template.signed.holds_url() {
        spellings(template, head.target())
    } else {
        Vec::new()
    };
    for target in &targets {
        facts.target = Some(target);
        let other = template.signed.render(&facts)?;
        if other != content && !others.contains(&other) {
            others.push(other);
        }
    }
    Ok((
        HeadParts::Template {
            signatures,
            content,
            others,
            said: said(template, head)?,
        },
        at,
        window,
    ))
}

/// The kind of body that the head announces; nothing where the template reads no forms.
///
/// # Errors
/// As [`Said::of`] says.
pub(super) fn said(template: &TemplateScheme, head: &Head) -> Result<Said, Refusal> {
    template
        .form_at()
        .map_or(Ok(Said::Nothing), |_| Said::of(head))
}

/// The timestamp that a head states; `None` where the head has no timestamp that can be read.
pub(super) fn timestamp_of(template: &TemplateScheme, head: &Head) -> Option<UnixMillis> {
    let place = template.timestamp.as_ref()?;
    let stamp = match &place.at {
        TimestampAt::Field(_) | TimestampAt::Item(_) => {
            signatures::read(&SignatureRule::of_template(template), head)
                .ok()?
                .1
        }
        TimestampAt::Headers(_) => Stamp::Nothing,
        TimestampAt::Json(_) => return None,
    };
    timestamp(place, head, stamp).ok().map(|(_, at)| at)
}

const SEVERAL_TIMESTAMPS: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp header is there more than once",
);
const NOT_ONE_FIELD: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the signature header does not hold exactly one timestamp",
);

fn timestamp<'h>(
    place: &TimestampPlace,
    head: &'h Head,
    stamp: Stamp<'h>,
) -> Result<(&'h [u8], UnixMillis), Refusal> {
    let text = match &place.at {
        TimestampAt::Field(_) | TimestampAt::Item(_) => match stamp {
            Stamp::One(text) => text,
            Stamp::Nothing | Stamp::Several => return Err(NOT_ONE_FIELD),
        },
        TimestampAt::Headers(names) => {
            let mut found = None;
            for name in names {
                match head.find(name) {
                    Found::Nothing | Found::One(b"") => {}
                    Found::Several => return Err(SEVERAL_TIMESTAMPS),
                    Found::One(text) => {
                        found = Some(text);
                        break;
                    }
                }
            }
            found.ok_or(Refusal::from(Code::MissingTimestamp))?
        }
        TimestampAt::Json(_) => return Err(Code::MissingTimestamp.into()),
    };
    place
        .unit
        .parse(text)
        .map(|at| (text, at))
        .ok_or(why_no_time(place.unit))
}

/// The timestamp in a signed body; `None` if it is absent and need not be present.
pub(super) fn moment_in(
    places: &Places,
    slot: Slot,
    place: &TimestampPlace,
    body: &[u8],
) -> Result<Option<UnixMillis>, Refusal> {
    let values = match places.scan(body) {
        Ok(values) => values,
        Err(_) if !place.required => return Ok(None),
        Err(fault) => return Err(Refusal::because(Code::MalformedTimestamp, fault.why())),
    };
    match values.at(slot) {
        Value::Absent if !place.required => Ok(None),
        value => moment(place, value).map(Some),
    }
}

fn moment(place: &TimestampPlace, value: Value<'_>) -> Result<UnixMillis, Refusal> {
    if matches!(value, Value::Absent | Value::Null) {
        return Err(Code::MissingTimestamp.into());
    }
    let text = value.string_or_integer(MAX_TIMESTAMP);
    text.and_then(|text| place.unit.parse(text.as_bytes()))
        .ok_or(why_no_time(place.unit))
}

/// The longest timestamp in a body, in bytes of its text.
const MAX_TIMESTAMP: usize = 64;

/// The refusal of a text that is not a timestamp of this unit.
fn why_no_time(unit: Unit) -> Refusal {
    Refusal::because(Code::MalformedTimestamp, unit.refusal())
}

/// The further spellings of the target with which the URL may have been signed, at most three:
/// without the slash of an empty path, which a URL need not have and a request does, and with escapes
/// decoded where the scheme says so.
fn spellings(template: &TemplateScheme, target: &str) -> Vec<String> {
    let bare = |target: &str| {
        let query = target.strip_prefix('/')?;
        (query.is_empty() || query.starts_with('?')).then(|| query.to_owned())
    };
    let decoded = template.decode_url.then(|| plain_target(target)).flatten();
    let all = [bare(target), decoded.as_deref().and_then(bare), decoded];
    all.into_iter().flatten().collect()
}

/// The target with the escapes decoded that HubSpot decodes before it signs a URL (its page
/// "Validating requests": `: / ? @ ! $ ' ( ) * , ;`); `None` where the target has no such escape.
///
/// A byte that divides a path from its query, or one segment from the next, stays as it is in the
/// path, so that nothing moves over a border: who reads the target decodes the rest alike.
fn plain_target(target: &str) -> Option<String> {
    let mut out = String::with_capacity(target.len());
    let mut rest = target;
    let mut is_query = false;
    while let Some(first) = rest.chars().next() {
        let byte = rest
            .get(1..3)
            .filter(|digits| first == '%' && !digits.starts_with('+'));
        let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let decoded = byte
            .map(char::from)
            .filter(|byte| ":@!$'()*,".contains(*byte) || (is_query && "/?;".contains(*byte)));
        is_query |= first == '?';
        out.push(decoded.unwrap_or(first));
        let taken = decoded.map_or(first.len_utf8(), |_| 3);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (out != target).then_some(out)
}

/// The values of a received head that a template renders.
struct Received<'h> {
    scheme: &'h Scheme,
    head: &'h Head,
    /// Another spelling of the target than the received one.
    target: Option<&'h str>,
    timestamp: Option<&'h [u8]>,
    public_url: Option<&'h PublicUrl>,
}

impl Facts for Received<'_> {
    fn method(&self) -> &str {
        self.head.method()
    }

    fn target(&self) -> &str {
        self.target.unwrap_or_else(|| self.head.target())
    }

    fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp
    }

    fn id(&self) -> Found<'_> {
        match &self.scheme.event_id {
            Some(Place::Header(name)) => self.head.find(name),
            _ => Found::Nothing,
        }
    }

    fn header(&self, name: &FieldName) -> Found<'_> {
        self.head.find(name)
    }

    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url
    }
}

#[cfg(test)]
mod tests {
    use super::plain_target;

    #[test]
    fn escapes_are_decoded_only_where_nothing_moves_over_a_border() {
        let rows = [
            ("/in", None),
            ("/in?a=%20b%26c%3Dd%2Bf%25g%23h", None),
            ("/in?a=%zz%4&b=%+3a", None),
            ("/in?a=%3A%2f%3F%40", Some("/in?a=:/?@")),
            ("/in?a=%21%24%27%28%29%2A%2C%3b", Some("/in?a=!$'()*,;")),
            ("/in%40me%3Fa%2Fb%3Bc", Some("/in@me%3Fa%2Fb%3Bc")),
            ("/in?a=%2540", None),
        ];
        for (target, expected) in rows {
            assert_eq!(plain_target(target).as_deref(), expected, "{target}");
        }
    }
}
