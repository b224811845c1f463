//! `[route.params]`: texts of a route that its scheme signs, such as the key of an app (schemes:
//! Signed content).
//!
//! They are no secrets: a sender who knew them could sign nothing.

use super::reader::{Findings, Item};
use super::secrets::is_reference;
use crate::scheme::Scheme;

/// The longest text of a param, in bytes.
const LONGEST: usize = 256;

/// Reads the table `params` of a route and puts its texts into the route's scheme. What is still
/// missing afterwards is a fault of the scheme. The names and texts are returned in the order of the
/// names.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    scheme: &mut Scheme,
) -> Vec<(String, String)> {
    let Some(table) = item.table(findings, "params = { app_key = \"…\" }") else {
        return Vec::new();
    };
    let wanted: Vec<String> = scheme.params().into_iter().map(ToOwned::to_owned).collect();
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for (name, entry) in table.items() {
        if !wanted.iter().any(|known| known == name) {
            let shown = findings.shown_key(name);
            let help = match wanted.as_slice() {
                [] => "leave it out: the scheme signs no text of the route".to_owned(),
                names => format!("the scheme signs `{}`", names.join("`, `")),
            };
            findings.problem(
                entry.key_span.clone(),
                format!("{shown} is no param of this scheme"),
                help,
            );
            continue;
        }
        let text = entry
            .text(findings, "\"…\"")
            .and_then(|text| match fault(text) {
                Some((what, help)) => {
                    entry.refuse(findings, what, help);
                    None
                }
                None => Some(text),
            });
        // A text that is wrong is not missing as well, so any text takes its place.
        texts.push((name, text.unwrap_or("-")));
    }
    let text_of = |name: &str| {
        let mut texts = texts.iter();
        texts.find(|(own, _)| *own == name).map(|(_, text)| *text)
    };
    *scheme = scheme.clone().with_params(text_of);
    let owned = texts.iter();
    owned
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// What is wrong with the text of a param, and the help; `None` for a good text.
pub fn fault(text: &str) -> Option<(&'static str, &'static str)> {
    if text.is_empty() {
        return Some(("is empty", "write the text that the provider signs"));
    }
    if text.len() > LONGEST {
        return Some((
            "is longer than 256 bytes",
            "write the text that the provider signs",
        ));
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        let help = "write the text alone, without a line end or a space around it";
        return Some(("holds a control character, or a space at an end", help));
    }
    if is_reference(text) {
        let help = "write the text itself: a param is no secret";
        return Some(("is a reference to a secret", help));
    }
    None
}
