//! The form of a request of which Atlassian's tokens hold a digest, the query string hash `qsh`
//! (schemes: Tokens; Atlassian, "Understanding JWT for Connect apps"; atlassian-jwt 2.0.3).
//!
//! Method, path and sorted query stand in one text with `&` between them. The text has a single
//! reading: the method is a token of HTTP, a `&` of the path is escaped, and names and values of the
//! query are escaped, so none of them can hold the `&`, `=` or `,` beside it. Requests that differ
//! only in the order or the spelling of their query have the same form.
//!
//! Atlassian's own library leaves a parameter `jwt` out, for requests that carry their token there.
//! Here it counts like every other, since a parameter that is left out could be added by anybody.

use crate::notation::form::pairs;
use crate::notation::percent::{UNRESERVED, encode};

/// The text of which `qsh` is the SHA-256. `target` is the request's target as received, `base_path`
/// the path of the app's base URL, which the digested path does not have.
///
/// `None` where the query has a broken escape, a `;` or too many parameters, or the path does not lie under
/// `base_path`.
pub(super) fn canonical(method: &str, target: &str, base_path: &str) -> Option<String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let below = path.strip_prefix(base_path.trim_end_matches('/'))?;
    if !(below.is_empty() || below.starts_with('/')) {
        return None;
    }
    let below = below.strip_suffix('/').unwrap_or(below);
    let below = if below.is_empty() { "/" } else { below };
    let mut parameters = pairs(query.as_bytes())?;
    parameters.sort();
    let mut text = format!(
        "{}&{}&",
        method.to_ascii_uppercase(),
        below.replace('&', "%26")
    );
    let mut last: Option<&[u8]> = None;
    for (name, value) in &parameters {
        let value = encode(value, UNRESERVED);
        match last {
            // The values of one name stand in one list.
            Some(earlier) if earlier == name => text.push(','),
            earlier => {
                if earlier.is_some() {
                    text.push('&');
                }
                text.push_str(&encode(name, UNRESERVED));
                text.push('=');
            }
        }
        text.push_str(&value);
        last = Some(name);
    }
    Some(text)
}
