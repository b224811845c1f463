//! The query of a handshake without a body.
//!
//! Parameters are decoded as in a form: `%hh` is a byte, `+` a space. A parameter that occurs twice,
//! stands beside a `;`, or holds a broken escape is refused, so that no answer repeats a text that two
//! parsers could read in two ways.

use crate::notation::form;
use crate::notation::query::holds;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Framing, Head};

/// The refusal of a repeated parameter or header.
pub(super) const REPEATED: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "a parameter or header of the handshake is there more than once",
);
const BROKEN_ESCAPE: Refusal = Refusal::because(
    Code::MalformedHandshake,
    "a parameter of the handshake holds a broken percent escape",
);

/// Whether a request has this method and no body. A request with a body is no handshake of this
/// kind.
pub(super) fn is_bare(head: &Head, method: &str) -> bool {
    head.method() == method && matches!(head.framing(), Framing::None | Framing::Length(0))
}

/// The decoded parameter of a request with this method and no body; `None` for any other request,
/// and where the parameter is missing.
pub(super) fn parameter_of(
    head: &Head,
    method: &str,
    name: &str,
) -> Result<Option<Vec<u8>>, Refusal> {
    if is_bare(head, method) {
        parameter(head.query(), name)
    } else {
        Ok(None)
    }
}

/// The decoded value of a parameter; `None` where the parameter is missing. An alias beside it, which
/// an app may read under the same name, counts as a repetition.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let (mut found, mut has_alias) = (None, false);
    for piece in query.unwrap_or_default().split('&') {
        let (own, value) = piece.split_once('=').unwrap_or((piece, ""));
        if form::decoded(own.as_bytes()).is_some_and(|own| own == name.as_bytes()) {
            // Some programs divide parameters at a `;` too.
            if value.contains(';') {
                return Err(REPEATED);
            }
            let value = form::decoded(value.as_bytes()).ok_or(BROKEN_ESCAPE)?;
            if found.replace(value).is_some() {
                return Err(REPEATED);
            }
        } else {
            has_alias |= holds(piece, name);
        }
    }
    if found.is_some() && has_alias {
        return Err(REPEATED);
    }
    Ok(found)
}
