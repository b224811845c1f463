//! What a reader may see of the headers and the URL of a delivery (contract: Queue).
//!
//! The rule: what tells deliveries apart is shown (products, types, ids, times, addresses), and what
//! could give access to something, or prove a delivery, is `…`. The name of a header decides how far
//! its value is trusted:
//!
//! - A name that speaks of proof or access (`Authorization`, `X-Psk`): only a time is shown, as that
//!   of `X-Signature-Timestamp`. Under a name of access (`X-Pin-At`) only a date in the
//!   form of HTTP is shown, because a number may be what gives access.
//! - A name that HTTP or proxies give a meaning (`Content-Type`, `Host`), `User-Agent`, and a name
//!   that says id (`X-Request-Id`, `Idempotency-Key`): the value is shown without the parts that
//!   have the form of a credential. In an id random text is none, because ids are random.
//! - Any other name: the value is shown if each of its words is a plain word, a number, a time, an
//!   address or a UUID. One word that could be a credential hides the whole value.
//!
//! Whatever the name is, URLs lose user names, passwords and the values of their parameters. The
//! request's own URL is shown by the same rule.
//!
//! A secret of plain words, or a short one, is not recognised under a name that says nothing. Headers
//! by which a scheme proves deliveries are not known here; the caller hides them.

mod names;
mod quotes;
#[cfg(test)]
mod tests;
mod urls;
mod words;

use std::ops::Range;

pub use self::names::speaks_of_proof;
pub use self::words::is_plain_name;

use self::names::Trust;

/// What is shown in place of what is hidden.
pub const HIDDEN: &str = "…";

/// The value of a header as a reader may see it.
pub fn shown_value(name: &str, value: &str) -> String {
    let trust = names::trust(name);
    if trust == Trust::Nothing {
        let is_time = if names::speaks_of_access(name) {
            words::is_date_of_http(value)
        } else {
            words::is_time(value)
        };
        let is_time = is_time && names::says_time(name);
        return if is_time || value.is_empty() {
            value
        } else {
            HIDDEN
        }
        .to_owned();
    }
    let text = without(value, urls::hidden(value));
    let found = words::credentials(&text, trust);
    if trust == Trust::Little && !found.is_empty() {
        return HIDDEN.to_owned();
    }
    without(&text, found)
}

/// The target of a request as a reader may see it: of the query the names alone, and no segment of
/// the path that could be a credential.
pub fn shown_target(target: &str) -> String {
    let text = without(target, urls::hidden_of_url(target));
    let end = text.find('?').unwrap_or(text.len());
    let mut found = Vec::new();
    let mut at = 0;
    for segment in text.get(..end).unwrap_or_default().split('/') {
        let own = words::credentials(segment, Trust::Words);
        found.extend(
            own.into_iter()
                .map(|range| at + range.start..at + range.end),
        );
        at += segment.len() + 1;
    }
    without(&text, found)
}

/// The text with [`HIDDEN`] in place of these ranges, which may overlap.
fn without(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            shown.push_str(text.get(done..range.start).unwrap_or_default());
            shown.push_str(HIDDEN);
        }
        done = done.max(range.end);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}
