//! The spellings of a path that no route matches but an app may still read as another route's path
//! (contract: Route).
//!
//! A sender who knows the key of a prefix route must not reach an app's handler that another route
//! guards with a stronger key. So under a prefix a path is refused if an exact route or a longer
//! prefix would match it but for ASCII case, a closing slash, an escape or, on a prefix for all
//! hosts, the host, which the sender chooses too.

use super::path::reading;
use super::{ByText, PathPattern, Pattern};

/// The paths of all routes, each as a lenient receiver may read it, with the hosts of its routes.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    exact: ByText<Vec<u8>, HostNames>,
    /// Prefixes without their closing slash.
    prefixes: ByText<Vec<u8>, HostNames>,
    /// The length of the longest of `prefixes`, in bytes.
    longest: usize,
}

/// The hosts of routes with the same reading.
#[derive(Clone, Debug, Default)]
struct HostNames {
    has_any: bool,
    named: Vec<String>,
}

impl Readings {
    /// The readings of these routes.
    pub(super) fn of<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Self {
        let mut readings = Self::default();
        for pattern in patterns {
            let (group, path) = match &pattern.path {
                PathPattern::Exact(path) => (&mut readings.exact, reading(path)),
                PathPattern::Prefix(path) => (&mut readings.prefixes, reading(path)),
            };
            if matches!(pattern.path, PathPattern::Prefix(_)) {
                readings.longest = readings.longest.max(path.len());
            }
            let hosts = group.entry(path).or_default();
            match &pattern.host {
                None => hosts.has_any = true,
                Some(host) => hosts.named.push(host.clone()),
            }
        }
        readings
    }

    /// Whether an app may read `path`, which the prefix `found` matches, as the path of an exact
    /// route or of a longer prefix.
    pub(super) fn has_other(&self, path: &str, found: &Pattern) -> bool {
        let PathPattern::Prefix(prefix) = &found.path else {
            return false;
        };
        let path = reading(path);
        let is_other = |hosts: &HostNames| hosts.meet(found.host.as_deref());
        // A longer prefix ends at a slash of the path or at its end, behind the prefix found.
        let shortest = reading(prefix).len() + 1;
        let mut ends = (shortest..=self.longest.min(path.len()))
            .filter(|end| matches!(path.get(*end), None | Some(b'/')));
        self.exact.get(&path).is_some_and(is_other)
            || ends.any(|end| {
                let start = path.get(..end).unwrap_or_default();
                self.prefixes.get(start).is_some_and(is_other)
            })
    }
}

impl HostNames {
    /// Whether some route of these hosts concerns a request that a route for `found` matched. On a
    /// route for all hosts, the sender may have left out or changed the host.
    fn meet(&self, found: Option<&str>) -> bool {
        found.is_none_or(|host| self.has_any || self.named.iter().any(|named| named == host))
    }
}
