//! `upstream_path`: the path under which the app has what the route takes (contract: Forwarding).

use super::reader::{Findings, Item};
use crate::routes::{PathPattern, Pattern};

/// Reads the path that replaces the matched path, or the matched prefix of a route that ends in `/*`.
/// What replaces a prefix ends in a slash, whether the file writes it or not.
pub(super) fn read(
    item: &Item<'_>,
    pattern: Option<&Pattern>,
    findings: &mut Findings,
) -> Option<String> {
    let text = item.text(findings, "\"/internal/hooks\"")?;
    let is_prefix = pattern.map(|pattern| matches!(pattern.path, PathPattern::Prefix(_)));
    if text.ends_with("/*") {
        let help = "leave `*` out: what the sender put in its place follows by itself";
        item.refuse(findings, "holds a `*`", help);
        return None;
    }
    // It is judged as the path of a route is: an app would read another spelling in another way.
    if let Err(problem) = Pattern::parse(None, text) {
        item.refuse(
            findings,
            format_args!("cannot be a path: {}", problem.message),
            "write a plain path without a query, as in `/internal/hooks`",
        );
        return None;
    }
    let slash = is_prefix == Some(true) && !text.ends_with('/');
    Some(format!("{text}{}", if slash { "/" } else { "" }))
}
