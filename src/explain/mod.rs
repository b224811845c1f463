//! Which common mistake would make a rejected delivery match (SPEC 7, `explain`).
//!
//! Each candidate is a pure function over one case: it changes one thing, judges again with the verifier of live
//! traffic, and names the mistake where that matches. They are tried in order of likelihood, the first that matches
//! counts. What no signature can confirm, but shows by itself, is a suspicion, told only where nothing matches. Nothing
//! here ever holds an expected signature in its result, nor a byte of a secret: only names.
//!
//! The work is bounded by the bytes that are hashed, counted in [`trials`]: 64 MiB, or 48 times the body where that is
//! more, and no candidate takes more than a third of what is left. So likely mistakes are found in a body of any length,
//! and of the long enumerations (orders, separators, forms of JSON, URLs, other providers) as many as there is room for.

mod body;
mod case;
mod clock;
mod content;
mod form;
mod headers;
mod json;
mod jwt;
mod lists;
mod mistake;
mod providers;
mod secrets;
mod shape;
mod signature;
mod timestamp;
mod tokens;
mod trials;
mod url;

#[cfg(test)]
pub(crate) mod tests;

pub use self::case::{Around, Case, CaseError};
pub use self::mistake::{Finding, Mistake};
use self::trials::Trials;
use crate::verify::verifier::Proof;

/// What can be said of a case.
#[derive(Debug)]
pub enum Explanation {
    /// Nothing is wrong.
    Valid(Proof),
    /// Refused, and with one mistake undone it matches.
    Mistaken {
        /// Why it is refused as it is.
        error: CaseError,
        /// What would make it match.
        finding: Finding,
        /// The timestamp is off too: nothing that a signature hangs on, but the next thing to be refused.
        besides: Option<Mistake>,
    },
    /// Refused, nothing that was tried makes it match, and this much is to be seen of it: likely, not confirmed.
    Suspected {
        /// Why it is refused.
        error: CaseError,
        /// What is likely wrong.
        mistake: Mistake,
        /// What is wrong with the timestamp.
        besides: Option<Mistake>,
    },
    /// Refused, and no mistake that is known here would make it match.
    Unexplained {
        /// Why it is refused.
        error: CaseError,
        /// What is wrong with the timestamp.
        besides: Option<Mistake>,
    },
}

/// A finder gives its finding if the mistake that it looks for was made.
type Finder = fn(&Trials<'_>) -> Option<Finding>;

/// In order of likelihood. What is cheap and certain to be meant comes first; another provider's scheme and a body
/// written anew, which take many trials, come last.
const FINDERS: &[Finder] = &[
    secrets::surplus_newline,
    secrets::inactive,
    body::surplus_newline,
    body::lost_newline,
    secrets::surplus_space,
    secrets::quotes,
    secrets::byte_order_mark,
    secrets::name,
    secrets::escaped_newlines,
    secrets::not_decoded,
    secrets::wrongly_decoded,
    secrets::prefix,
    secrets::lacks_newline,
    secrets::percent_encoded,
    tokens::user,
    signature::upper_case,
    signature::quotes,
    signature::prefix,
    signature::encoding,
    headers::elsewhere,
    headers::family,
    headers::joined,
    headers::several,
    headers::required,
    lists::separator,
    lists::label,
    lists::bare,
    lists::listed,
    jwt::written_elsewhere,
    jwt::algorithm,
    url::one_thing,
    url::several_things,
    body::still_packed,
    body::too_long,
    content::order_and_separator,
    timestamp::unit_signed,
    timestamp::other_unit,
    timestamp::as_text,
    timestamp::rewritten,
    body::line_ends,
    body::empty,
    body::byte_order_mark,
    body::still_base64,
    body::in_string,
    body::charset,
    form::encoding,
    form::member,
    content::algorithm,
    content::plain_hash,
    content::part_added,
    body::reserialised,
    body::escaped,
    body::reordered,
    jwt::other_claims,
    secrets::of_other_route,
    providers::signs_alike,
];

/// One suspicion: what is to be seen without a signature that holds.
type Suspicion = fn(&Trials<'_>) -> Option<Mistake>;

/// In order of how much they say.
const SUSPICIONS: &[Suspicion] = &[
    providers::looks_alike,
    lists::other_labels,
    headers::missing,
    shape::of_secret,
    jwt::unknown,
    body::cut,
    body::unpacked,
    shape::of_mode,
];

/// Explains a case. What is around it is tried after all else.
pub fn explain(case: &Case<'_>, around: &Around<'_>) -> Explanation {
    let error = match case.judge() {
        Ok(proof) => return Explanation::Valid(proof),
        Err(error) => error,
    };
    let trials = Trials::new(*case, *around);
    let besides = clock::judge(case).or_else(|| jwt::clock(case));
    if let Some(secret) = trials.proves(&trials.as_is()) {
        // The signature holds, so it is the clock.
        return match besides {
            Some(mistake) => Explanation::Mistaken { error, finding: Finding { mistake, secret }, besides: None },
            None => Explanation::Unexplained { error, besides },
        };
    }
    let mut findings = FINDERS.iter().map(|finder| {
        trials.share();
        finder(&trials)
    });
    if let Some(finding) = findings.find_map(|finding| finding) {
        return Explanation::Mistaken { error, finding, besides };
    }
    match SUSPICIONS.iter().find_map(|suspicion| suspicion(&trials)) {
        Some(mistake) => Explanation::Suspected { error, mistake, besides },
        None => Explanation::Unexplained { error, besides },
    }
}
