//! `[route.scheme]`, and the presets, which are written in the same form: a signature scheme as data (SCHEMES 1).
//!
//! Reads the plain part: HMAC over a template, one signature, a timestamp in a header. Keys that a later version will
//! know are refused by name. What a scheme must not say (SCHEMES 2) is judged by [`Scheme::faults`], which the route
//! asks with its own settings.

use std::time::Duration;

use super::reader::{Findings, Item, Table};
use super::units;
use crate::verify::encoding::Encoding;
use crate::verify::scheme::{
    Algorithm, KeyEncoding, KeyForm, Place, Pointer, Scheme, SignaturePlace, Stamped, Template, TimestampPlace,
    Tolerance,
};
use crate::verify::timestamp::Unit;
use crate::wire::head::FieldName;

/// How far a timestamp may be off where nobody says.
const DEFAULT_TOLERANCE: Tolerance = Tolerance::Within(Duration::from_secs(300));

const LATER_ALGORITHMS: &[&str] = &[
    "sha256",
    "sha1",
    "ed25519",
    "ecdsa-p256-sha256",
    "ecdsa-p256-sha256-raw",
    "rsa-pkcs1-sha256",
    "token",
    "basic",
    "jwt",
];

const LATER: &str = "this version verifies one HMAC over a template; leave the key out";

/// Reads a scheme. `None` where what it needs is missing or wrong, which `findings` then knows.
pub(super) fn read(table: &mut Table<'_>, findings: &mut Findings, provider: &str, preset: bool) -> Option<Scheme> {
    let algorithm = table.required(findings, "algorithm", "\"hmac-sha256\"");
    let algorithm = algorithm.and_then(|item| {
        item.one_of(findings, &Algorithm::ALL.map(Algorithm::name), LATER_ALGORITHMS, Algorithm::named)
    });
    let signed = table.required(findings, "signed", "\"{timestamp}.{body}\"");
    let signed = signed.and_then(|item| read_template(&item, findings));
    let covers_body = table.item("covers_body").and_then(|item| item.flag(findings)).unwrap_or(true);
    let key = table.item("key").and_then(|item| read_key(&item, findings)).unwrap_or_default();
    let signature = table.required(findings, "signature", "{ header = \"X-Signature\", encoding = \"hex\" }");
    let signature = signature.and_then(|item| read_signature(&item, findings));
    // An unusable timestamp must not look like a scheme without one: further faults would be about that.
    let timestamp_item = table.item("timestamp");
    let has_timestamp = timestamp_item.is_some();
    let timestamp = timestamp_item.and_then(|item| read_timestamp(&item, findings));
    let is_event_stamped = timestamp.as_ref().is_some_and(|place| place.stamped == Stamped::Event);
    let default = if is_event_stamped { Tolerance::Off } else { DEFAULT_TOLERANCE };
    let tolerance = read_tolerance(table, findings, "tolerance").unwrap_or(default);
    let future_tolerance = read_tolerance(table, findings, "future_tolerance").unwrap_or(tolerance);
    let require = table.item("require").map(|item| read_require(&item, findings)).unwrap_or_default();
    let envelope = Envelope::read(table, findings);
    if let Some(item) = table.item("body") {
        read_body(&item, findings);
    }
    for key in ["ack", "handshake", "code", "jwt"] {
        table.not_yet(findings, key, LATER);
    }
    table.finish(findings);
    let (algorithm, signed, signature) = (algorithm?, signed?, signature?);
    if has_timestamp && timestamp.is_none() {
        return None;
    }
    let mut scheme = Scheme {
        provider: provider.to_owned(),
        preset,
        algorithm,
        signed,
        covers_body,
        key,
        signature,
        timestamp,
        tolerance,
        future_tolerance,
        require,
        event_id: None,
        event_id_required: false,
        event_type: None,
        account: None,
    };
    if !envelope.is_usable {
        return None;
    }
    envelope.set(&mut scheme);
    Some(scheme)
}

fn read_template(item: &Item<'_>, findings: &mut Findings) -> Option<Template> {
    let text = item.text(findings, "signed = \"{timestamp}.{body}\"")?;
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(problem) => {
            // Behind the opening quote; with escapes in the text this is only near the place, never beyond the value.
            let span = item.span();
            let at = (span.start + 1 + problem.offset).min(span.end.saturating_sub(1)).max(span.start);
            findings.problem(at..at + 1, format!("`{}`: {}", item.path, problem.message), problem.help);
            None
        }
    }
}

fn read_key(item: &Item<'_>, findings: &mut Findings) -> Option<KeyForm> {
    if item.value.get_ref().is_str() {
        return Some(KeyForm { encoding: read_key_encoding(item, findings)?, ..KeyForm::default() });
    }
    if item.value.get_ref().is_array() {
        findings.hide_all(item.value);
        item.refuse(findings, "= a list of candidates is not supported yet", "write one encoding, as in `\"base64\"`");
        return None;
    }
    let mut table = item.table(findings, "key = \"utf8\"")?;
    let encoding = table.required(findings, "encoding", "\"base64\"");
    let strip = table.item("strip");
    let has_strip = strip.is_some();
    let strip = strip.and_then(|item| item.label(findings, 64, "whsec_").map(ToOwned::to_owned));
    let required = table.item("required");
    let strip_required = required.as_ref().and_then(|item| item.flag(findings)).unwrap_or(false);
    if let Some(item) = required.filter(|_| strip_required && !has_strip) {
        item.refuse(
            findings,
            "is set without a prefix",
            "say which, as in `strip = \"whsec_\"`, or leave `required` out",
        );
    }
    table.finish(findings);
    Some(KeyForm { encoding: read_key_encoding(&encoding?, findings)?, strip, strip_required })
}

fn read_key_encoding(item: &Item<'_>, findings: &mut Findings) -> Option<KeyEncoding> {
    let encoding = item.one_of(findings, &["utf8", "utf8-nfkd", "base64", "hex"], &[], |name| match name {
        "utf8" => Some(KeyEncoding::Utf8),
        "utf8-nfkd" => Some(KeyEncoding::Utf8Nfkd),
        "base64" => Some(KeyEncoding::Base64),
        "hex" => Some(KeyEncoding::Hex),
        _ => None,
    });
    if encoding.is_none() {
        // Somebody may have taken `key` for the place of the secret.
        findings.hide_all(item.value);
    }
    encoding
}

fn read_signature(item: &Item<'_>, findings: &mut Findings) -> Option<SignaturePlace> {
    let mut table = item.table(findings, "signature = { header = \"X-Signature\", encoding = \"hex\" }")?;
    for key in ["json", "repeat", "separator", "assign", "accept", "limit"] {
        table.not_yet(findings, key, "this version reads one signature, which is the whole value of one header");
    }
    let header = table.required(findings, "header", "\"X-Signature\"");
    let header = header.and_then(|item| {
        if item.value.get_ref().is_array() {
            item.refuse(findings, "= a list of headers is not supported yet", "name one header");
            return None;
        }
        read_field(&item, findings)
    });
    let encoding = match table.item("encoding") {
        Some(item) => item.one_of(findings, &Encoding::ALL.map(Encoding::name), &[], Encoding::named),
        None => Some(Encoding::Hex),
    };
    let prefix = match table.item("prefix") {
        Some(item) => item.text(findings, "prefix = \"sha256=\"").and_then(|text| {
            let is_fit = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && !text.starts_with(' ');
            if !is_fit {
                let help = "write visible ASCII characters; white space around a header's value is no part of it";
                item.refuse(findings, "could never begin a header's value", help);
            }
            is_fit.then(|| text.to_owned())
        }),
        None => Some(String::new()),
    };
    table.finish(findings);
    Some(SignaturePlace { header: header?, encoding: encoding?, prefix: prefix? })
}

fn read_timestamp(item: &Item<'_>, findings: &mut Findings) -> Option<TimestampPlace> {
    let mut table = item.table(findings, "timestamp = { header = \"X-Timestamp\", unit = \"seconds\" }")?;
    let later = ["field", "json"];
    let is_elsewhere = later.iter().any(|key| table.span_of(key) != table.span());
    for key in later {
        table.not_yet(findings, key, "this version reads the timestamp from a header of its own");
    }
    let header =
        if is_elsewhere { table.item("header") } else { table.required(findings, "header", "\"X-Timestamp\"") };
    let header = header.and_then(|item| read_field(&item, findings));
    let unit = match table.item("unit") {
        Some(item) => item.one_of(findings, &Unit::ALL.map(Unit::name), &[], Unit::named),
        None => Some(Unit::Seconds),
    };
    let stamped = match table.item("stamped") {
        Some(item) => item.one_of(findings, &["unknown", "attempt", "event"], &[], |name| match name {
            "unknown" => Some(Stamped::Unknown),
            "attempt" => Some(Stamped::Attempt),
            "event" => Some(Stamped::Event),
            _ => None,
        }),
        None => Some(Stamped::Unknown),
    };
    let unsigned = table.item("unsigned").and_then(|item| item.flag(findings)).unwrap_or(false);
    table.finish(findings);
    Some(TimestampPlace { header: header?, unit: unit?, stamped: stamped?, unsigned })
}

/// Reads a `tolerance` or `future_tolerance`, of a scheme or a route.
pub(super) fn read_tolerance(table: &mut Table<'_>, findings: &mut Findings, key: &'static str) -> Option<Tolerance> {
    table.item(key)?.unit(findings, "\"5m\"", units::tolerance)
}

fn read_require(item: &Item<'_>, findings: &mut Findings) -> Vec<(FieldName, Vec<u8>)> {
    let Some(table) = item.table(findings, "require = { \"X-Signature-Version\" = \"1\" }") else { return Vec::new() };
    let mut required = Vec::new();
    for (name, entry) in table.items() {
        let Some(name) = FieldName::new(name) else {
            let message = format!("{} is no header name", findings.shown_key(name));
            findings.problem(entry.key_span, message, "write it as in `X-Version`");
            continue;
        };
        let Some(value) = entry.text(findings, "\"1\"") else { continue };
        if is_field_value(value.as_bytes()) {
            required.push((name, value.as_bytes().to_vec()));
        } else {
            entry.refuse(findings, "could never be a header's value", "write visible characters");
        }
    }
    required
}

/// Whether bytes can stand in a header line as a whole value: no control byte, no white space around them.
pub(super) fn is_field_value(value: &[u8]) -> bool {
    value.trim_ascii() == value && value.iter().all(|b| *b == b'\t' || !b.is_ascii_control())
}

/// Reads a header's name.
pub(super) fn read_field(item: &Item<'_>, findings: &mut Findings) -> Option<FieldName> {
    let name = FieldName::new(item.text(findings, "\"X-Signature\"")?);
    if name.is_none() {
        item.refuse(findings, "is no header name", "write letters, digits and `-`, as in `X-Signature`");
    }
    name
}

fn read_body(item: &Item<'_>, findings: &mut Findings) {
    let forms = item.list(findings, "body = [\"raw\"]").unwrap_or_default();
    for form in &forms {
        let raw = |name: &str| (name == "raw").then_some(());
        form.one_of(findings, &["raw"], &["json-ascii", "inflated"], raw);
    }
    if forms.is_empty() && item.value.get_ref().is_array() {
        item.refuse(findings, "is empty", "leave it out: the body is signed as received");
    }
}

/// Where id, type and account are: keys of a scheme, and of a route that knows better than its preset.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The id's place, and whether a delivery without one is refused.
    event_id: Option<(Place, bool)>,
    event_type: Option<Place>,
    account: Option<Place>,
    /// False where one of them was there and wrong.
    pub(super) is_usable: bool,
}

impl Envelope {
    /// Reads the three keys of a table.
    pub(super) fn read(table: &mut Table<'_>, findings: &mut Findings) -> Self {
        let mut is_usable = true;
        let mut place = |key, findings: &mut Findings| {
            let item = table.item(key)?;
            let place = read_place(&item, findings);
            is_usable &= place.is_some();
            Some((item, place?))
        };
        let event_id = place("event_id", findings);
        let mut other = |key, findings: &mut Findings| {
            let (item, (place, required)) = place(key, findings)?;
            if required == Some(true) {
                item.refuse(findings, "cannot be `required` yet", "leave `required` out");
            }
            Some(place)
        };
        let (event_type, account) = (other("event_type", findings), other("account", findings));
        let event_id = event_id.map(|(_, (place, required))| (place, required.unwrap_or(true)));
        Self { event_id, event_type, account, is_usable }
    }

    /// Puts into a scheme what was written. An id place of the operator's own is no longer the preset's (SPEC 4).
    pub(super) fn set(self, scheme: &mut Scheme) {
        if let Some((place, required)) = self.event_id {
            scheme.event_id = Some(place);
            scheme.event_id_required = required;
        }
        scheme.event_type = self.event_type.or(scheme.event_type.take());
        scheme.account = self.account.or(scheme.account.take());
    }

    /// Whether it names a place for the id.
    pub(super) fn has_id(&self) -> bool {
        self.event_id.is_some()
    }
}

fn read_place(item: &Item<'_>, findings: &mut Findings) -> Option<(Place, Option<bool>)> {
    let mut table = item.table(findings, "{ json = \"/id\" }")?;
    table.not_yet(findings, "claim", "this version takes it from a header or from the JSON body");
    let (header, json) = (table.item("header"), table.item("json"));
    let required = table.item("required").and_then(|item| item.flag(findings));
    table.finish(findings);
    let place = match (header, json) {
        (Some(header), None) => Place::Header(read_field(&header, findings)?),
        (None, Some(json)) => Place::Json(read_pointers(&json, findings)?),
        (Some(_), Some(_)) => {
            item.refuse(findings, "names two places", "keep either `header` or `json`");
            return None;
        }
        (None, None) => {
            item.refuse(findings, "names no place", "write `{ header = \"X-Event-Id\" }` or `{ json = \"/id\" }`");
            return None;
        }
    };
    Some((place, required))
}

fn read_pointers(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<Pointer>> {
    let pointer = |entry: &Item<'_>, findings: &mut Findings| {
        let pointer = Pointer::parse(entry.text(findings, "\"/id\"")?);
        if pointer.is_none() {
            let help = "begin it with `/`, as in `/data/id`; `~1` stands for `/`, `~0` for `~` (RFC 6901)";
            entry.refuse(findings, "is no JSON pointer", help);
        }
        pointer
    };
    if !item.value.get_ref().is_array() {
        return Some(vec![pointer(item, findings)?]);
    }
    let entries = item.list(findings, "json = \"/id\"")?;
    let pointers: Vec<_> = entries.iter().filter_map(|entry| pointer(entry, findings)).collect();
    if entries.is_empty() {
        item.refuse(findings, "is empty", "write at least one pointer, as in `/id`");
    }
    (!pointers.is_empty() && pointers.len() == entries.len()).then_some(pointers)
}
