//! Mistakes made by a proxy that only the signature of a URL shows: another method, the query in
//! another order, a prefix of the path; and the URL that cannot be guessed.

use super::mistake::{Finding, Mistake, found};
use super::trials::{Changed, Trials};
use crate::scheme::Part;
use crate::wire::head::Head;

/// The methods that webhooks come with.
const METHODS: [&str; 6] = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD"];

/// The most parameters whose every order is tried.
const MAX_PARAMETERS: usize = 5;

/// The method was changed on the way, or in the capture.
pub(super) fn method(case: &Trials<'_>) -> Option<Finding> {
    let is_signed = case.scheme.parts().contains(&Part::Method) || case.scheme.code().is_some();
    if !is_signed {
        return None;
    }
    METHODS
        .into_iter()
        .filter(|method| *method != case.head.method())
        .find_map(|method| {
            let head = Head::from_parts(method, case.head.target(), case.head.lines()).ok()?;
            let secret = case.proves(&Changed {
                head: &head,
                ..case.as_is()
            });
            found(secret, || {
                Mistake::new(
                    "method_changed",
                    format!(
                        "The method is signed, and the signed one is `{method}`, not `{}`.",
                        case.head.method()
                    ),
                    "See which proxy or redirect changes the method (a 301 or 302 turns POST into \
                     GET), or give the right one with `--method`.",
                )
            })
        })
}

/// The query was signed with its parameters in another order, or without some of them.
pub(super) fn query(case: &Trials<'_>) -> Option<Finding> {
    let is_signed = case.scheme.signs_url() || case.scheme.parts().contains(&Part::Query);
    let (path, query) = case.head.target().split_once('?').filter(|_| is_signed)?;
    let parameters: Vec<&str> = query.split('&').collect();
    if parameters.len() > 16 {
        return None;
    }
    let with = |parameters: &[&str]| {
        let target = if parameters.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", parameters.join("&"))
        };
        let head = Head::from_parts(case.head.method(), &target, case.head.lines()).ok()?;
        case.proves(&Changed {
            head: &head,
            ..case.as_is()
        })
    };
    let mistake = |sentence: &'static str| {
        Mistake::new(
            "url_query_changed",
            sentence,
            "Have every proxy pass the query on byte for byte; for a query of its own, set \
             `public_url` of the route to the URL that the provider calls.",
        )
    };
    let mut sorted = parameters.clone();
    sorted.sort_unstable();
    let by_order = with(&sorted).or_else(|| {
        orders(&parameters)
            .into_iter()
            .filter(|order| *order != parameters)
            .find_map(|order| with(&order))
    });
    let in_order = found(by_order, || {
        mistake("The URL was signed with the parameters of its query in another order.")
    });
    in_order.or_else(|| {
        let fewer = (0..parameters.len()).find_map(|left_out| {
            let rest = parameters.iter().enumerate();
            let rest: Vec<&str> = rest
                .filter(|(place, _)| *place != left_out)
                .map(|(_, parameter)| *parameter)
                .collect();
            with(&rest)
        });
        found(fewer, || {
            mistake("The URL was signed without a parameter that a proxy added to its query.")
        })
    })
}

fn orders<'p>(parameters: &[&'p str]) -> Vec<Vec<&'p str>> {
    if parameters.len() > MAX_PARAMETERS {
        return vec![parameters.iter().rev().copied().collect()];
    }
    let mut orders: Vec<Vec<&str>> = vec![Vec::new()];
    for parameter in parameters {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |place| {
                    let mut next = order.clone();
                    next.insert(place, *parameter);
                    next
                })
            })
            .collect();
    }
    orders
}

/// The scheme signs the URL, and the one that the provider calls is not known for certain.
pub(super) fn unknown_url(case: &Trials<'_>) -> Option<Mistake> {
    if !case.scheme.signs_url() || case.scheme.token_rule().is_some() {
        return None;
    }
    let host = case.head.host().unwrap_or_default();
    let sentence = match case.settings.public_url.as_deref() {
        None => format!(
            "This scheme signs the URL, and neither `public_url` nor `--url` says which URL the \
             provider calls (the delivery came with the host `{host}`)."
        ),
        Some(url) => format!(
            "This scheme signs the URL that the provider calls, and with `{url}` and the path \
             `{}` the delivery does not match: behind a proxy or a tunnel, scheme, host, port, \
             path or query are often others than the provider's.",
            case.head.path()
        ),
    };
    Some(Mistake::new(
        "url_unknown",
        sentence,
        "Set `public_url` of the route (or of `[server]`) to the endpoint exactly as it is written \
         at the provider, with `https://`, host, port and path; offline, give it with `--url`. If \
         it is the same already, compare the secret.",
    ))
}

/// The scheme signs the path, the query or the method, and nothing else explains the failure.
pub(super) fn unknown_target(case: &Trials<'_>) -> Option<Mistake> {
    let is_signed = case
        .scheme
        .parts()
        .iter()
        .any(|part| matches!(part, Part::Path | Part::Query));
    (is_signed && !case.scheme.signs_url()).then(|| {
        Mistake::new(
            "target_unknown",
            format!(
                "This scheme signs the path or the query, and with `{}` the delivery does not \
                 match: a proxy may have changed them.",
                case.head.path()
            ),
            "Give the target that the provider calls with `--url`, query included; have every \
             proxy pass it on unchanged. If it is the same already, compare the secret.",
        )
    })
}
