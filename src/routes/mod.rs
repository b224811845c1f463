//! The routing table: from host and path to a route (contract: Route).
//!
//! A path is matched byte for byte as received. The most specific path wins: an exact path before a
//! longer prefix before a shorter prefix; among routes of the same path, a route that names the
//! host before a route for all hosts. The path is compared first, so an exact path for all hosts
//! wins over a prefix that names the host. Configuration builds [`Pattern`]s and asks whether they
//! overlap; the gateway looks routes up in a [`RouteTable`].
//!
//! Entered by: facts about hosts and paths; methods, schemes and all else that a route holds stay
//! outside. May import: no other room.

pub mod path;
mod pattern;
mod readings;

use std::collections::HashMap;

use foldhash::fast::RandomState;

pub use self::pattern::{BadPattern, PathPattern, Pattern, PatternPart};
use self::readings::Readings;
use crate::routes::path::ambiguity;

/// A table by text. Its keys are the operator's; strangers only look something up, so they cannot fill
/// it with keys of the same hash.
type ByText<K, V> = HashMap<K, V, RandomState>;

const NOTHING_AFTER_PREFIX: &str = "the path ends where the route's prefix does";

const OF_ANOTHER_ROUTE: &str =
    "the path is that of another route in another spelling, or on another host";

/// A lookup table of routes, each with a value of type `T`.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    routes: Vec<(Pattern, T)>,
    exact: ByText<String, Hosts>,
    prefixes: Vec<Prefix>,
    readings: Readings,
}

/// The result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'t, T> {
    /// The value of the most specific route.
    Found(&'t T),
    /// No route for this host and path (`no_route`).
    NoRoute,
    /// The most specific route is a prefix, but the path is ambiguous (`bad_path`). Holds the
    /// reason in plain words.
    Ambiguous(&'static str),
}

/// The routes of the same path. Each is an index in [`RouteTable::routes`].
#[derive(Clone, Debug, Default)]
struct Hosts {
    /// Hosts in lower case, sorted.
    named: Vec<(String, usize)>,
    any: Option<usize>,
}

#[derive(Clone, Debug)]
struct Prefix {
    /// The prefix with its closing slash.
    text: String,
    hosts: Hosts,
    /// The index of the longest other prefix that `text` begins with.
    shorter: Option<usize>,
}

impl<T> RouteTable<T> {
    /// Builds the table. If patterns overlap, the first pattern counts; the configuration refuses
    /// such patterns before.
    pub fn new(routes: Vec<(Pattern, T)>) -> Self {
        let mut exact = ByText::<String, Hosts>::default();
        let mut by_prefix = ByText::<String, Hosts>::default();
        for (place, (pattern, _)) in routes.iter().enumerate() {
            let (group, path) = match &pattern.path {
                PathPattern::Exact(path) => (&mut exact, path),
                PathPattern::Prefix(path) => (&mut by_prefix, path),
            };
            group
                .entry(path.clone())
                .or_default()
                .add(pattern.host.as_deref(), place);
        }
        let mut sorted: Vec<_> = by_prefix.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut prefixes: Vec<Prefix> = Vec::with_capacity(sorted.len());
        for (text, hosts) in sorted {
            // Prefixes are sorted, so the longest shorter prefix is the previous entry, or is found
            // by following `shorter` from there.
            let mut shorter = prefixes.len().checked_sub(1);
            while let Some(prefix) = shorter.and_then(|place| prefixes.get(place))
                && !text.starts_with(&prefix.text)
            {
                shorter = prefix.shorter;
            }
            prefixes.push(Prefix {
                text,
                hosts,
                shorter,
            });
        }
        let readings = Readings::of(routes.iter().map(|(pattern, _)| pattern));
        Self {
            routes,
            exact,
            prefixes,
            readings,
        }
    }

    /// The route for a request. `host` is the value of `Host` as received, with its port if any;
    /// `path` has no query. The host's case, its port and a dot at its end are ignored.
    pub fn find(&self, host: Option<&str>, path: &str) -> Match<'_, T> {
        let host = host.map(bare_name);
        if let Some(route) = self
            .exact
            .get(path)
            .and_then(|hosts| self.route(hosts, host))
        {
            return Match::Found(&route.1);
        }
        // Every prefix that the path begins with sorts before the path. So it is the last entry
        // before the path, or a shorter prefix of that entry.
        let mut place = self
            .prefixes
            .partition_point(|prefix| prefix.text.as_str() <= path)
            .checked_sub(1);
        while let Some(prefix) = place.and_then(|place| self.prefixes.get(place)) {
            if let Some(rest) = path.strip_prefix(&prefix.text)
                && let Some((pattern, route)) = self.route(&prefix.hosts, host)
            {
                return match ambiguity(path) {
                    Some(why) => Match::Ambiguous(why),
                    // Nobody reads `/` as another path.
                    None if rest.is_empty() && path != "/" => {
                        Match::Ambiguous(NOTHING_AFTER_PREFIX)
                    }
                    None if self.readings.has_other(path, pattern) => {
                        Match::Ambiguous(OF_ANOTHER_ROUTE)
                    }
                    None => Match::Found(route),
                };
            }
            place = prefix.shorter;
        }
        Match::NoRoute
    }

    fn route(&self, hosts: &Hosts, host: Option<&str>) -> Option<&(Pattern, T)> {
        hosts.find(host).and_then(|place| self.routes.get(place))
    }

    /// Whether the table has no routes.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// All routes in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&Pattern, &T)> {
        self.routes.iter().map(|(pattern, route)| (pattern, route))
    }
}

impl Hosts {
    fn add(&mut self, host: Option<&str>, place: usize) {
        match host {
            None => _ = self.any.get_or_insert(place),
            Some(host) => {
                if let Err(at) = self
                    .named
                    .binary_search_by(|(named, _)| named.as_str().cmp(host))
                {
                    self.named.insert(at, (host.to_owned(), place));
                }
            }
        }
    }

    fn find(&self, host: Option<&str>) -> Option<usize> {
        let named = host.filter(|_| !self.named.is_empty()).and_then(|host| {
            let lower = || host.bytes().map(|byte| byte.to_ascii_lowercase());
            let at = self
                .named
                .binary_search_by(|(named, _)| named.bytes().cmp(lower()))
                .ok()?;
            self.named.get(at).map(|(_, place)| *place)
        });
        named.or(self.any)
    }
}

/// The value of `Host` without `:port`, and without the dot with which a name may be closed.
fn bare_name(host: &str) -> &str {
    let name = without_port(host);
    name.strip_suffix('.').unwrap_or(name)
}

/// The value of `Host` without `:port`. The colons within the brackets of an IPv6 address do not
/// begin a port.
fn without_port(host: &str) -> &str {
    let before_digits = host.trim_end_matches(|last: char| last.is_ascii_digit());
    match before_digits.strip_suffix(':') {
        Some(name) if !name.contains(':') || name.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
