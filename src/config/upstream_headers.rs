//! A route's `upstream_headers`: headers that forwarded requests get as a proof that they came
//! through the gateway (contract: Forwarding). Their values are secrets, and no message shows a
//! value.

use super::reader::{Findings, Item};
use super::scheme::is_field_value;
use super::secrets;
use super::secrets::Sources;
use crate::key::secret::SecretText;
use crate::scheme::{Part, Place, Scheme, TimestampAt};
use crate::wire::head::{FieldName, fold};

/// Header names that `upstream_headers` may not set: those of framing and connection, and those
/// that the gateway itself sets.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Reads the table. Returns the headers that could be read; all others become problems.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    scheme: Option<&Scheme>,
) -> Vec<(FieldName, SecretText)> {
    const EXAMPLE: &str = "upstream_headers = { \"X-Gateway-Token\" = \"env:GATEWAY_TOKEN\" }";
    let mut headers: Vec<(FieldName, SecretText)> = Vec::new();
    let Some(table) = item.table(findings, EXAMPLE) else {
        return headers;
    };
    for (name, entry) in table.items() {
        // The value is a secret even if the name is wrong.
        let value = secrets::read_reference(&entry, findings, sources)
            .filter(|value| secrets::judge_token(&entry, value, findings).is_some());
        let problem = match FieldName::new(name) {
            None => Some((
                "is no header name",
                "write letters, digits and `-`, as in `X-Gateway-Token`",
            )),
            Some(field) if field.is_or_aliases(b"host") => {
                Some(("is set by `upstream_host`", "use that key"))
            }
            Some(field) if is_reserved(&field) => {
                Some(("is set by the gateway itself", "choose another name"))
            }
            Some(field) if scheme.is_some_and(|scheme| is_read_by(scheme, &field)) => {
                Some(("is a header that the provider sends", "choose another name"))
            }
            Some(field)
                if headers
                    .iter()
                    .any(|(other, _)| other.is_or_aliases(field.as_str().as_bytes())) =>
            {
                Some((
                    "is there already, in this or another spelling",
                    "set each header once",
                ))
            }
            Some(field) => {
                if let Some(value) = value {
                    if is_field_value(value.expose()) {
                        headers.push((field, value));
                    } else {
                        entry.refuse(
                            findings,
                            "holds a byte that no header may hold",
                            "use visible characters only",
                        );
                    }
                }
                None
            }
        };
        if let Some((what, help)) = problem {
            let message = format!("{} {what}", findings.shown_key(name));
            findings.problem(entry.key_span.clone(), message, help);
        }
    }
    headers
}

fn is_reserved(field: &FieldName) -> bool {
    let folded: Vec<u8> = field.as_str().bytes().map(fold).collect();
    folded.starts_with(b"x-verigate-")
        || RESERVED_HEADERS
            .iter()
            .any(|name| name.as_bytes() == folded)
}

/// Whether the scheme reads this header.
fn is_read_by(scheme: &Scheme, field: &FieldName) -> bool {
    let is_it = |name: &FieldName| name.is_or_aliases(field.as_str().as_bytes());
    let places = [&scheme.event_id, &scheme.event_type, &scheme.account];
    let timestamps = match scheme.timestamp().map(|place| &place.at) {
        Some(TimestampAt::Headers(names)) => names.as_slice(),
        _ => &[],
    };
    scheme.proof.headers().iter().chain(timestamps).any(is_it)
        || scheme.require.iter().any(|(name, _)| is_it(name))
        || scheme
            .parts()
            .iter()
            .any(|part| matches!(part, Part::Header(name) if is_it(name)))
        || places
            .into_iter()
            .any(|place| matches!(place, Some(Place::Header(name)) if is_it(name)))
}
