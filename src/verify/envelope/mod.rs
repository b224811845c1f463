//! The envelope of a delivery: event id, event type and account, from a header, a JSON body or a
//! token's claims (contract: Envelope).
//!
//! The id decides which event is claimed, so it is read strictly. Type and account only serve logs,
//! headers and `event_types`, so a value that cannot be read is left out. Whether the id is signed,
//! and how a duplicate is answered, is not known here.

mod event;

use std::borrow::Cow;

use smallvec::SmallVec;

pub use self::event::{Event, EventText};
pub use crate::notation::json::text::Text;
use crate::notation::json::text::cut;
use crate::notation::json::{JsonError, Places, Slot, Value, Values, without_mark};
use crate::scheme::{Place, Scheme};
use crate::verdict::{Code, Refusal};
use crate::verify::jwt::claim;
use crate::wire::head::{FieldName, Found, Head};

/// The longest event id, in bytes of UTF-8 after unescaping and joining.
pub const MAX_ID_BYTES: usize = 256;
/// The longest integer taken as an event id, in digits.
pub const MAX_ID_DIGITS: usize = 64;
/// The length at which event type and account are cut, in bytes, on a character border.
pub const MAX_LABEL_BYTES: usize = 1024;

const MISSING: &str = "the event id is missing";
const EXTENDED: &str =
    "the body holds a zero byte, so bytes may have been added behind the signed content";
const NO_TYPE: &str = "the event type is missing";
const NO_ACCOUNT: &str = "the account is missing";
const EMPTY: &str = "the event id is empty";
const TOO_LONG: &str = "the event id is longer than 256 bytes";
const CONTROL: &str = "the event id holds a control character";
const NOT_INTEGER: &str = "the event id is a number that is not a plain integer";
const TOO_MANY_DIGITS: &str = "the event id is an integer of more than 64 digits";
const WRONG_KIND: &str = "the event id is neither a string nor an integer";
const REPEATED_ID: &str = "the event-id header appears more than once";
const LISTED_ID: &str = "the event-id header holds a list";
const ID_NOT_UTF8: &str = "the event-id header is not UTF-8 text";
const REPEATED_LABEL: &str = "the header of the event type or account appears more than once";

/// The places of the event's parts, resolved once per route.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers its own question about a part or the body"
)]
pub struct Envelope {
    id: Option<Source>,
    id_required: bool,
    event_type: Option<Source>,
    type_required: bool,
    account: Option<Source>,
    account_required: bool,
    places: Places,
    needs_json: bool,
    is_extendable: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Header(FieldName),
    /// A place in the JSON body, with a slot for each pointer.
    Json(Vec<Slot>),
    /// A claim of the token that signs the delivery.
    Claim(String),
}

/// The parts of a delivery that hold its event.
struct Parts<'d> {
    head: &'d Head,
    values: Option<Values<'d>>,
    claims: Option<&'d [u8]>,
}

impl Envelope {
    /// The envelope that a scheme describes. A part without a place is never required.
    pub fn of(scheme: &Scheme) -> Self {
        let mut places = Places::default();
        let mut needs_json = false;
        let mut source = |place: &Place| match place {
            Place::Header(name) => Some(Source::Header(name.clone())),
            Place::Json(pointers) => {
                needs_json = true;
                Some(Source::Json(
                    pointers.iter().map(|pointer| places.add(pointer)).collect(),
                ))
            }
            Place::Claim(name) => scheme
                .token_rule()
                .is_some()
                .then(|| Source::Claim(name.clone())),
        };
        let id = scheme.event_id.as_ref().and_then(&mut source);
        let event_type = scheme.event_type.as_ref().and_then(&mut source);
        let account = scheme.account.as_ref().and_then(&mut source);
        Self {
            id_required: scheme.event_id_required && id.is_some(),
            type_required: scheme.event_type_required && event_type.is_some(),
            account_required: scheme.account_required && account.is_some(),
            id,
            event_type,
            account,
            places,
            needs_json,
            is_extendable: scheme.is_extendable(),
        }
    }

    /// Whether a part is looked for in a JSON body. If not, bodies are opaque and never parsed.
    pub fn needs_json(&self) -> bool {
        self.needs_json
    }

    /// The work of [`extract`](Self::extract), estimated as a number of bytes that take as long to
    /// hash.
    pub fn work(&self, body: &[u8]) -> u64 {
        if self.needs_json {
            self.places.work(body)
        } else if self.is_extendable {
            // A search for a single byte.
            body.len() as u64 / 8
        } else {
            0
        }
    }

    /// The event of a delivery. `body` is the body in the form that was signed; `claims` are the
    /// claims of the token that signs the delivery.
    ///
    /// # Errors
    /// [`Code::InvalidEnvelope`]: the body is not a JSON text although a part is looked for in it,
    /// a key or header that is looked for is repeated, a required part is missing, or two readers
    /// could read different ids.
    pub fn extract(
        &self,
        head: &Head,
        body: &[u8],
        claims: Option<&[u8]>,
    ) -> Result<Event, Refusal> {
        self.read(head, body, claims)
            .map_err(|why| Refusal::because(Code::InvalidEnvelope, why))
    }

    fn read(&self, head: &Head, body: &[u8], claims: Option<&[u8]>) -> Result<Event, &'static str> {
        // Length extension inserts the hash's padding, which contains a zero byte; JSON text never
        // does. So a zero byte means that the body may have been extended.
        if self.is_extendable && memchr::memchr(0, body).is_some() {
            return Err(EXTENDED);
        }
        // If no part is required, a body that is not JSON (such as a form) has no parts. Its first
        // byte decides (schemes: Envelope places).
        let is_required = self.id_required || self.type_required || self.account_required;
        let is_asked = self.needs_json && (is_required || begins_as_container(body));
        let values = if is_asked {
            Some(self.places.scan(body).map_err(JsonError::why)?)
        } else {
            None
        };
        let parts = Parts {
            head,
            values,
            claims,
        };
        let id = match &self.id {
            Some(source) => id(source, &parts)?,
            None => None,
        };
        if id.is_none() && self.id_required {
            return Err(MISSING);
        }
        let event_type = match &self.event_type {
            Some(source) => label(source, &parts)?,
            None => None,
        };
        let account = match &self.account {
            Some(source) => label(source, &parts)?,
            None => None,
        };
        if event_type.is_none() && self.type_required {
            return Err(NO_TYPE);
        }
        if account.is_none() && self.account_required {
            return Err(NO_ACCOUNT);
        }
        Ok(Event::of(&[id, event_type, account]))
    }
}

/// Whether `text` can be a header's value as it is: visible ASCII (RFC 5234 VCHAR) and not empty.
pub fn visible_ascii(text: impl AsRef<[u8]>) -> bool {
    let bytes = text.as_ref();
    // A fold and not `all`: without an early end the compiler compares many bytes at once.
    !bytes.is_empty()
        && bytes
            .iter()
            .fold(true, |others, byte| others & byte.is_ascii_graphic())
}

/// Whether the first byte that is neither JSON's white space nor a byte-order mark at the start
/// opens an object or an array.
fn begins_as_container(body: &[u8]) -> bool {
    let first = without_mark(body)
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    matches!(first, Some(b'{' | b'['))
}

fn id<'d>(source: &'d Source, parts: &Parts<'d>) -> Result<Option<Cow<'d, str>>, &'static str> {
    let id = match source {
        Source::Header(name) => match parts.head.find(name) {
            Found::Nothing | Found::One(b"") => return Ok(None),
            Found::Several => return Err(REPEATED_ID),
            // A proxy may have joined two lines into a list, so it is unknown which of the values
            // counts.
            Found::One(value) if value.contains(&b',') => return Err(LISTED_ID),
            Found::One(value) => std::str::from_utf8(value).map_err(|_| ID_NOT_UTF8)?.into(),
        },
        Source::Json(slots) => {
            let Some(values) = &parts.values else {
                return Ok(None);
            };
            let mut texts = Texts::new();
            for slot in slots {
                match id_part(values.at(*slot))? {
                    Some(part) => texts.push(part),
                    None => return Ok(None),
                }
            }
            if texts.is_empty() {
                return Ok(None);
            }
            join(texts)
        }
        Source::Claim(name) => match parts.claims.and_then(|claims| claim(claims, name)) {
            None => return Ok(None),
            Some(id) if id.is_empty() => return Err(EMPTY),
            Some(id) => id.into(),
        },
    };
    if id.len() > MAX_ID_BYTES {
        return Err(TOO_LONG);
    }
    if !visible_ascii(&*id) && id.chars().any(char::is_control) {
        return Err(CONTROL);
    }
    Ok(Some(id))
}

/// A part of an id; `None` where the body does not hold it.
fn id_part(value: Value<'_>) -> Result<Option<Cow<'_, str>>, &'static str> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Text(text) => match text.decoded(MAX_ID_BYTES)? {
            (_, false) => Err(TOO_LONG),
            (part, true) if part.is_empty() => Err(EMPTY),
            (part, true) => Ok(Some(part)),
        },
        Value::Integer(text) if text.trim_start_matches('-').len() > MAX_ID_DIGITS => {
            Err(TOO_MANY_DIGITS)
        }
        Value::Integer(text) => Ok(Some(text.into())),
        Value::Fraction => Err(NOT_INTEGER),
        Value::Bool | Value::Array | Value::Object => Err(WRONG_KIND),
    }
}

/// The event type or account, cut to its limit; `None` where there is no value or it cannot be
/// read.
fn label<'d>(source: &'d Source, parts: &Parts<'d>) -> Result<Option<Cow<'d, str>>, &'static str> {
    let label: Cow<'d, str> = match source {
        Source::Header(name) => match parts.head.find(name) {
            Found::Nothing => return Ok(None),
            Found::Several => return Err(REPEATED_LABEL),
            Found::One(value) => match std::str::from_utf8(value) {
                Ok(text) => cut(text, MAX_LABEL_BYTES).into(),
                Err(_) => return Ok(None),
            },
        },
        Source::Json(slots) => {
            let Some(values) = &parts.values else {
                return Ok(None);
            };
            let mut texts = Texts::new();
            for slot in slots {
                match values.at(*slot) {
                    Value::Text(text) => texts.push(text.decoded(MAX_LABEL_BYTES)?.0),
                    Value::Integer(text) => texts.push(cut(text, MAX_LABEL_BYTES).into()),
                    _ => return Ok(None),
                }
            }
            match join(texts) {
                Cow::Borrowed(text) => cut(text, MAX_LABEL_BYTES).into(),
                Cow::Owned(mut joined) => {
                    let kept = cut(&joined, MAX_LABEL_BYTES).len();
                    joined.truncate(kept);
                    joined.into()
                }
            }
        }
        Source::Claim(name) => match parts.claims.and_then(|claims| claim(claims, name)) {
            None => return Ok(None),
            Some(text) => cut(&text, MAX_LABEL_BYTES).to_owned().into(),
        },
    };
    Ok((!label.is_empty()).then_some(label))
}

/// The parts of an id or a label. Nearly always there is a single part.
type Texts<'d> = SmallVec<[Cow<'d, str>; 1]>;

/// Joins parts so that two different lists of the same length never give the same text. A single
/// part is left as it is.
fn join(mut parts: Texts<'_>) -> Cow<'_, str> {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut joined = String::new();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            joined.push('|');
        }
        for c in part.chars() {
            if matches!(c, '|' | '\\') {
                joined.push('\\');
            }
            joined.push(c);
        }
    }
    joined.into()
}

#[cfg(test)]
mod tests;
