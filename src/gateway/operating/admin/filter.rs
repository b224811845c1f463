//! Which deliveries an operator asks for (contract: Queue): the same members in a query and in JSON.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::UnixMillis;
use crate::config::suggestion;
use crate::config::units::duration;
use crate::gateway::client::answer::Denied;
use crate::gateway::running::backlog::Backlog;
use crate::notation::form::pairs;
use crate::notation::timestamp::Unit;
use crate::queue::{Filter, Number, RouteNumber, State};

/// How to ask.
pub(super) const USAGE_FILTER: Denied = Denied::BadRequest(
    "the filter is `route`, `state` (waiting, retrying or dead), `since` (RFC 3339, or a time as `2h`) and `status` \
     of the last answer; a list has `limit` (1 to 1000) and `after` too",
);

/// The most deliveries of a page, and their number where none is asked for.
const MOST: usize = 1000;
const USUAL: usize = 100;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The filter, but for the route.
    pub(super) filter: Filter,
    /// The name of the route.
    pub(super) route: Option<String>,
    /// The most deliveries of the page.
    pub(super) limit: usize,
    /// The number after which the page begins.
    pub(super) after: Option<Number>,
}

/// The routes that are asked for: several where one has had several providers.
pub(super) struct Routes(Option<Vec<RouteNumber>>);

impl Routes {
    /// Whether this route is among them.
    pub(super) fn has(&self, route: RouteNumber) -> bool {
        let listed = self.0.as_ref();
        listed.is_none_or(|listed| listed.contains(&route))
    }
}

impl Asked {
    fn nothing() -> Self {
        Self {
            filter: Filter::default(),
            route: None,
            limit: USUAL,
            after: None,
        }
    }

    /// Reads a query. `None` if it is not of the form of [`USAGE_FILTER`].
    pub(super) fn of_query(query: &str, wall: UnixMillis) -> Option<Self> {
        let mut asked = Self::nothing();
        for (name, value) in pairs(query.as_bytes())? {
            let (name, value) = (str::from_utf8(&name).ok()?, str::from_utf8(&value).ok()?);
            // `?state=` is what a form sends where nothing was chosen.
            if value.is_empty() {
                continue;
            }
            match name {
                "limit" => asked.limit = value.parse().ok().filter(|n| (1..=MOST).contains(n))?,
                "after" => asked.after = Some(Number(value.parse().ok()?)),
                name => asked.put(name, value, wall)?,
            }
        }
        Some(asked)
    }

    /// Reads a JSON object, which has to name something: what is planned may be discarded.
    pub(super) fn of_json(body: &[u8], wall: UnixMillis) -> Option<Self> {
        let mut asked = Self::nothing();
        let value: Value = serde_json::from_slice(body).ok()?;
        let members = value.as_object().filter(|members| !members.is_empty())?;
        for (name, value) in members {
            match value {
                Value::String(text) => asked.put(name, text, wall)?,
                Value::Number(number) if name == "status" => {
                    asked.put(name, &number.to_string(), wall)?;
                }
                // Nobody means all deliveries by a member that is `null`.
                _ => return None,
            }
        }
        Some(asked)
    }

    fn put(&mut self, name: &str, value: &str, wall: UnixMillis) -> Option<()> {
        match name {
            "route" => self.route = Some(value.to_owned()),
            "state" => {
                let state = State::ALL.into_iter().find(|state| state.name() == value);
                self.filter.state = Some(state?);
            }
            "since" => self.filter.since = Some(since(value, wall)?),
            "status" => {
                let status = value.parse().ok();
                self.filter.status = Some(status.filter(|status| (100..=599).contains(status))?);
            }
            _ => return None,
        }
        Some(())
    }

    /// The routes that are meant.
    ///
    /// # Errors
    /// There is none of that name.
    pub(super) fn routes(&self, backlog: &Backlog) -> Result<Routes, Denied> {
        let Some(name) = &self.route else {
            return Ok(Routes(None));
        };
        Ok(Routes(Some(numbers(backlog, name)?)))
    }
}

/// The routes of this name, of which there is one at least.
///
/// # Errors
/// There is none.
pub(super) fn numbers(backlog: &Backlog, name: &str) -> Result<Vec<RouteNumber>, Denied> {
    let numbers = backlog.numbers(name);
    if numbers.is_empty() {
        let names = backlog.route_names();
        return Err(Denied::UnknownRoute(near(name, &names)));
    }
    Ok(numbers)
}

/// The most names of routes that are listed.
const MOST_NAMES: usize = 10;

/// The end of the sentence that there is no route of a name: the one that was meant, or those that there
/// are.
fn near(name: &str, names: &[Arc<str>]) -> String {
    if let Some(meant) = suggestion(name, names.iter().map(|name| &**name)) {
        return format!(": did you mean `{meant}`?");
    }
    let quoted: Vec<_> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(MOST_NAMES) {
        _ if quoted.is_empty() => String::new(),
        0 => format!(": the queue has {}", quoted.join(", ")),
        more => format!(": the queue has {} and {more} more", quoted.join(", ")),
    }
}

/// A moment, or the one that is this long ago.
fn since(text: &str, wall: UnixMillis) -> Option<UnixMillis> {
    if let Some(moment) = Unit::Rfc3339.parse(text.as_bytes()) {
        return Some(moment);
    }
    let ago: Duration = duration(text).ok()?;
    let ago = i64::try_from(ago.as_millis()).ok()?;
    Some(UnixMillis(wall.0.saturating_sub(ago)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    #[test]
    fn a_filter_is_read_from_a_query_and_from_json_alike() {
        let expected = Asked {
            filter: Filter {
                route: None,
                state: Some(State::Dead),
                since: Some(UnixMillis(NOW.0 - 7_200_000)),
                status: Some(410),
            },
            route: Some("a b".to_owned()),
            limit: USUAL,
            after: None,
        };
        let query = "route=a%20b&state=dead&since=2h&status=410&limit=";
        assert_eq!(Asked::of_query(query, NOW).as_ref(), Some(&expected));
        let body = br#"{"route":"a b","state":"dead","since":"2h","status":410}"#;
        assert_eq!(Asked::of_json(body, NOW), Some(expected));
        let paged = Asked::of_query("limit=7&after=12", NOW).unwrap();
        assert_eq!((paged.limit, paged.after), (7, Some(Number(12))));
        let moment = Asked::of_query("since=2025-06-15T15:06:40Z", NOW).unwrap();
        assert_eq!(moment.filter.since, Some(NOW));
    }

    #[test]
    fn a_name_that_no_route_has_is_told_with_those_that_there_are() {
        let names = |count: usize| -> Vec<Arc<str>> {
            let names = ["stripe", "github"].map(str::to_owned).into_iter();
            let more = (0..).map(|at| format!("r{at}"));
            names.chain(more).take(count).map(Arc::from).collect()
        };
        assert_eq!(near("strip", &names(2)), ": did you mean `stripe`?");
        assert_eq!(near("shop", &names(0)), "");
        assert_eq!(
            near("shop", &names(2)),
            ": the queue has `stripe`, `github`"
        );
        let many = near("shop", &names(13));
        assert!(many.ends_with("`r7` and 3 more"), "{many}");
    }

    #[test]
    fn what_is_not_known_is_refused_and_asks_for_nothing() {
        for query in [
            "state=gone",
            "states=dead",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "after=x",
            "since=yesterday",
            "status=2xx",
            "status=99",
        ] {
            assert_eq!(Asked::of_query(query, NOW), None, "{query}");
        }
        for body in [
            "",
            "{}",
            r#"{"route":null}"#,
            r#"{"route":5}"#,
            "[]",
            "x",
            r#"{"state":["dead"]}"#,
            r#"{"limit":5}"#,
            r#"{"status":true}"#,
        ] {
            assert_eq!(Asked::of_json(body.as_bytes(), NOW), None, "{body}");
        }
    }
}
