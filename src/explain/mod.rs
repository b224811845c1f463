//! The search for the common mistake without which a rejected delivery would match (contract:
//! Command line).
//!
//! A captured delivery with its scheme and secrets comes in, and an explanation comes out. The room
//! imports `verify` and the rooms below it; the commands `explain`, `verify` and `sign` call it.
//!
//! Each finder is a pure function over a case: it changes one thing, judges again with the verifier
//! of live traffic, and says the mistake if the changed case matches. Finders run in order of
//! likelihood, and the first match counts. A mistake that no signature can confirm, but that can be
//! seen, is a suspicion; it counts only if no finder matches. An explanation never holds an
//! expected signature or a byte of a secret: only names.
//!
//! The work is bounded by the bytes that are hashed, counted in `trials`: 64 MiB, or 48 times the
//! body if that is more, and no finder takes more than a third of the rest. So likely mistakes are
//! found in a body of any length, and the long enumerations (orders, separators, forms of JSON,
//! URLs, other providers) run as far as the bound allows.
//!
//! A new mistake is a finder in the file of its subject, with the words of the mistake in it, a
//! line in `FINDERS` or `SUSPICIONS`, and a row of a test that makes it.

mod absent;
mod body;
mod candidates;
mod case;
mod clock;
mod codes;
mod content;
mod contents;
mod documents;
mod envelopes;
mod form;
mod headers;
mod json;
mod jwt;
mod lists;
mod literal;
mod look;
mod messages;
mod mistake;
mod mixups;
mod nulls;
mod older;
mod params;
mod printed;
mod providers;
mod proxy;
mod secrets;
mod shape;
mod signature;
mod spelling;
mod times;
mod timestamp;
mod tokens;
mod tree;
mod trials;
mod url;
mod wrapped;

#[cfg(test)]
pub(crate) mod tests;

pub use self::candidates::{Candidate, Candidates, candidates, proved};
pub use self::case::{Around, Case, CaseError};
pub use self::look::value_words;
pub use self::mistake::{Finding, Mistake};
use self::trials::Trials;
use crate::verify::verifier::Proof;

/// The explanation of a case.
#[derive(Debug)]
pub enum Explanation {
    /// The case is valid.
    Valid(Proof),
    /// The delivery is not valid, and with one mistake undone it matches.
    Mistaken {
        /// The reason why it is not valid.
        error: CaseError,
        /// The mistake, confirmed by a signature.
        finding: Finding,
        /// A second mistake, in the timestamp: no signature depends on it, but it would be refused
        /// next.
        besides: Option<Mistake>,
    },
    /// The delivery is not valid, no finder makes it match, and a likely mistake can be seen.
    Suspected {
        /// The reason why it is not valid.
        error: CaseError,
        /// The likely mistake, which no signature confirms.
        mistake: Mistake,
        /// A second mistake, in the timestamp.
        besides: Option<Mistake>,
    },
    /// The delivery is not valid, and no known mistake would make it match.
    Unexplained {
        /// The reason why it is not valid.
        error: CaseError,
        /// A second mistake, in the timestamp.
        besides: Option<Mistake>,
    },
}

/// A finder gives its finding if the mistake that it looks for was made.
type Finder = fn(&Trials<'_>) -> Option<Finding>;

/// All finders, in order of likelihood.
///
/// Cheap and telling finders come first. The schemes of other providers and the forms of JSON take
/// many trials and come last.
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
    mixups::encoded_once_more,
    secrets::not_decoded,
    secrets::wrongly_decoded,
    secrets::prefix,
    secrets::lacks_newline,
    secrets::percent_encoded,
    mixups::undone,
    tokens::user,
    tokens::spelled_otherwise,
    params::other,
    params::swapped,
    spelling::algorithm_of_prefix,
    lists::spaces,
    signature::upper_case,
    signature::quotes,
    spelling::undone,
    signature::prefix,
    signature::encoding,
    headers::elsewhere,
    headers::family,
    headers::swapped,
    headers::joined,
    headers::several,
    headers::required,
    messages::bare_signature,
    messages::not_demanded,
    codes::order_of_list,
    codes::header_rewritten,
    codes::content_type,
    codes::mandrill_test_key,
    codes::mandrill_events,
    lists::separator,
    lists::label,
    lists::bare,
    lists::listed,
    older::beside,
    jwt::written_elsewhere,
    jwt::algorithm,
    proxy::method,
    url::one_thing,
    url::several_things,
    proxy::query,
    body::still_packed,
    body::too_long,
    content::order_and_separator,
    timestamp::unit_signed,
    timestamp::other_unit,
    timestamp::as_text,
    times::rewritten_form,
    timestamp::rewritten,
    body::line_ends,
    body::empty,
    body::byte_order_mark,
    body::still_base64,
    body::in_string,
    body::charset,
    body::unicode_form,
    form::encoding,
    form::member,
    printed::read_back,
    envelopes::inside,
    wrapped::undone,
    content::algorithm,
    content::plain_hash,
    content::part_added,
    body::reserialised,
    body::escaped,
    body::other_values,
    body::reordered,
    jwt::other_claims,
    secrets::of_other_route,
    providers::signs_alike,
];

/// A suspicion gives the mistake that can be seen without a signature that holds.
type Suspicion = fn(&Trials<'_>) -> Option<Mistake>;

/// All suspicions, the most telling first.
const SUSPICIONS: &[Suspicion] = &[
    older::only,
    providers::looks_alike,
    lists::other_labels,
    headers::missing,
    body::nothing,
    printed::looks_printed,
    envelopes::looks_wrapped,
    body::looks_encoded,
    body::file_name,
    messages::broken,
    codes::header_missing,
    shape::of_secret,
    tokens::differs,
    spelling::shape,
    times::malformed,
    jwt::unknown,
    body::cut,
    body::unpacked,
    shape::of_mode,
    absent::no_signature,
    body::rewritten,
    shape::of_beginning,
    shape::of_uuid,
    codes::date_rewritten,
    proxy::unknown_url,
    proxy::unknown_target,
    codes::header_changed,
];

/// Explains a case. The other routes and providers `around` it are tried last.
pub fn explain(case: &Case<'_>, around: &Around<'_>) -> Explanation {
    let mut explanation = search(case, around);
    let (mistake, besides) = match &mut explanation {
        Explanation::Valid(_) => (None, None),
        Explanation::Mistaken {
            finding, besides, ..
        } => (Some(&mut finding.mistake), besides.as_mut()),
        Explanation::Suspected {
            mistake, besides, ..
        } => (Some(mistake), besides.as_mut()),
        Explanation::Unexplained { besides, .. } => (None, besides.as_mut()),
    };
    for mistake in mistake.into_iter().chain(besides) {
        *mistake = mistake
            .clone()
            .for_user_of(case.scheme, around.is_unconfirmed);
    }
    explanation
}

fn search(case: &Case<'_>, around: &Around<'_>) -> Explanation {
    let error = match case.judge() {
        Ok(proof) => return Explanation::Valid(proof),
        Err(error) => error,
    };
    let trials = Trials::new(*case, *around);
    let besides = clock::judge(case).or_else(|| jwt::clock(case));
    if let Some(secret) = trials.proves(&trials.as_is()) {
        // The signature holds, so only the time can be wrong.
        return match besides {
            Some(mistake) => Explanation::Mistaken {
                error,
                finding: Finding { mistake, secret },
                besides: None,
            },
            None => Explanation::Unexplained { error, besides },
        };
    }
    let mut findings = FINDERS.iter().map(|finder| {
        trials.share();
        finder(&trials)
    });
    if let Some(finding) = findings.find_map(|finding| finding) {
        return Explanation::Mistaken {
            error,
            finding,
            besides,
        };
    }
    match SUSPICIONS.iter().find_map(|suspicion| suspicion(&trials)) {
        Some(mistake) => Explanation::Suspected {
            error,
            mistake,
            besides,
        },
        None => Explanation::Unexplained { error, besides },
    }
}
