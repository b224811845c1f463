//! Rules that concern more than a single table of the file (contract: Configuration, The window;
//! CF-04, CF-07): duplicates, overlaps, loops, sizes that do not fit their budget, a replay window
//! that forgets too early.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::listen::collide;
use super::reader::{Findings, Table};
use super::route::Draft;
use super::units::{written_duration, written_size};
use super::upstream::Upstream;
use super::warning::WarningName;
use super::{Admin, Mode, Replay, Route, Server};
use crate::notation::timestamp::Tolerance;
use crate::routes::Pattern;

/// The places of those values that belong to no route.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) server: Range<usize>,
    pub(super) max_buffered: Range<usize>,
    pub(super) health_path: Range<usize>,
    pub(super) tls: Range<usize>,
    pub(super) admin_listen: Range<usize>,
    pub(super) ttl: Option<Range<usize>>,
}

/// Judges the whole file.
pub(super) fn judge(
    spans: &Spans,
    server: &Server,
    admin: &Admin,
    window: &Replay,
    drafts: &[Draft<'_>],
    findings: &mut Findings,
) {
    if server
        .all_listen()
        .any(|listen| collide(listen, admin.listen))
    {
        findings.problem(
            spans.admin_listen.clone(),
            "`admin.listen` is an address of the traffic port too",
            "give the admin port an address of its own",
        );
    }
    let all: Vec<_> = server.all_listen().collect();
    let is_taken = |(place, own): (usize, &SocketAddr)| {
        let mut earlier = all.iter().take(place);
        place >= server.listen.len() && earlier.any(|other| collide(*other, *own))
    };
    if all.iter().enumerate().any(is_taken) {
        findings.problem(
            spans.tls.clone(),
            "`[[server.tls]]` listens on an address that is already listened on",
            "name each address once",
        );
    }
    if drafts.is_empty() {
        let help = "add a `[[route]]`; `verigate providers stripe` prints one";
        findings.absence(
            spans.server.clone(),
            "the file has no route: nothing could be taken in",
            help,
        );
    }
    let listeners: Vec<SocketAddr> = all.into_iter().chain([admin.listen]).collect();
    let health = server
        .health_path
        .as_deref()
        .and_then(|path| Pattern::parse(None, path).ok());
    for (place, draft) in drafts.iter().enumerate() {
        let (earlier, _) = drafts.split_at(place);
        findings.enter_route(Some(place));
        unique(draft, earlier, findings);
        if let (Some(health), Some(pattern)) = (&health, &draft.pattern)
            && health.overlaps(pattern)
        {
            let help = "give the health path or the route another path";
            findings.problem(
                spans.health_path.clone(),
                "`server.health_path` is the path of a route",
                help,
            );
        }
        for (place, upstream) in &draft.upstreams {
            let leads_here = |listener: &SocketAddr| leads_to(upstream, *listener);
            if listeners.iter().any(leads_here) {
                let help =
                    "name the application behind the gateway; a request would go round in circles";
                let message = "`upstream` is an address of this gateway";
                findings.problem(place.clone(), message, help);
            }
        }
        if let Some(own) = &server.upgrade_socket {
            let leads_here = |(_, upstream): &&(_, Upstream)| match upstream {
                Upstream::Unix(path) => is_same(path, own),
                Upstream::Tcp { .. } => false,
            };
            for (place, _) in draft.upstreams.iter().filter(leads_here) {
                findings.problem(
                    place.clone(),
                    "`upstream` is the socket by which this gateway is taken over",
                    "name the socket of the application behind the gateway",
                );
            }
        }
        if let Some(route) = &draft.route
            && route.mode == Mode::Queue
            && admin.token.is_none()
        {
            let message = format!(
                "route `{}`: its queue can only be seen and worked on with an `admin.token`",
                route.name
            );
            let place = draft.table.span_of("mode");
            findings.warn(place, WarningName::QueueUnseen, message);
        }
        budget(draft, server, spans, findings);
        memory(draft, server, window, spans, findings);
    }
    findings.enter_route(None);
}

fn unique(draft: &Draft<'_>, earlier: &[Draft<'_>], findings: &mut Findings) {
    let other = |draft: &Draft<'_>| {
        draft
            .name
            .clone()
            .unwrap_or_else(|| "another one".to_owned())
    };
    if let Some(name) = &draft.name
        && earlier
            .iter()
            .any(|other| other.name.as_ref() == Some(name))
    {
        let message = format!("two routes are called `{name}`");
        findings.problem(
            draft.table.span_of("name"),
            message,
            "give each route a name of its own",
        );
    }
    let Some(pattern) = &draft.pattern else {
        return;
    };
    if let Some(same) = earlier
        .iter()
        .find(|other| other.pattern.as_ref().is_some_and(|p| p.overlaps(pattern)))
    {
        let message = format!(
            "`{pattern}` takes the same requests as route `{}`",
            other(same)
        );
        findings.problem(
            draft.table.span_of("path"),
            message,
            "change `path` or `host` of one of them, or remove one",
        );
    }
}

/// Whether a request sent to `upstream` would arrive at `listener`. Names other than localhost are
/// not resolved: they may lead elsewhere later anyway.
fn leads_to(upstream: &Upstream, listener: SocketAddr) -> bool {
    let Upstream::Tcp { host, port, .. } = upstream else {
        return false;
    };
    if *port != listener.port() {
        return false;
    }
    let name = host.trim_end_matches('.');
    let is_localhost = name == "localhost" || name.ends_with(".localhost");
    let targets = match host.parse::<IpAddr>() {
        Ok(address) => vec![address.to_canonical()],
        Err(_) if is_localhost => vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ],
        Err(_) => return false,
    };
    let listening = listener.ip().to_canonical();
    targets.into_iter().any(|target| {
        // Connecting to the unspecified address reaches this machine.
        let is_here = target.is_loopback() || target.is_unspecified();
        target == listening
            || (is_here && listening.is_unspecified())
            || (target.is_unspecified() && listening.is_loopback())
    })
}

/// Whether two paths lead to the same socket, whether it exists or not.
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        let dir = path.parent().unwrap_or(Path::new("/"));
        let dir = dir.canonicalize().or_else(|_| std::path::absolute(dir));
        dir.ok()
            .map(|dir| (dir, path.file_name().map(ToOwned::to_owned)))
    };
    a == b || whole(a).is_some_and(|a| Some(a) == whole(b))
}

fn budget(draft: &Draft<'_>, server: &Server, spans: &Spans, findings: &mut Findings) {
    let Some(route) = &draft.route else { return };
    let (body, all) = (route.max_body, server.max_buffered);
    let own = draft.table.span_of("max_body");
    let span = if own == draft.table.span() {
        spans.max_buffered.clone()
    } else {
        own
    };
    let (body_text, all_text) = (written_size(body), written_size(all));
    if body > all {
        let message = format!(
            "route `{}`: `max_body` ({body_text}) is above `server.max_buffered` ({all_text}): such a body could never be \
             received",
            route.name
        );
        let help = format!(
            "set `max_body` to at most a quarter of `max_buffered`, {}",
            written_size(all / 4)
        );
        findings.problem(span, message, help);
    } else if body > all / 4 && route.mode == Mode::Queue {
        let message = format!(
            "route `{}`: `max_body` ({body_text}) is above a quarter of `server.max_buffered` ({all_text}): a queue \
             route could accept a body that is too large to be read again for its delivery",
            route.name
        );
        let help = format!("set `max_body` to at most {}", written_size(all / 4));
        findings.problem(span, message, help);
    } else if body > all / 4 {
        findings.warn(
            span,
            WarningName::MaxBodyShare,
            format!(
                "route `{}`: `max_body` ({body_text}) is above a quarter of `server.max_buffered` ({all_text}), the most \
                 that one client address may hold: larger bodies are answered `overloaded`",
                route.name
            ),
        );
    }
}

/// Refuses a `ttl` with which an entry could be forgotten while its delivery can still be sent
/// again (contract: The window).
fn memory(
    draft: &Draft<'_>,
    server: &Server,
    replay: &Replay,
    spans: &Spans,
    findings: &mut Findings,
) {
    let Some(route) = &draft.route else { return };
    if !route.replay.enabled {
        return;
    }
    let Some(window) = freshness(route) else {
        return;
    };
    let needed = window.saturating_add(server.body_timeout);
    if route.replay.ttl >= needed {
        return;
    }
    let table: &Table<'_> = &draft.table;
    let own = Some(table.span_of("replay.ttl")).filter(|_| route.replay.ttl != replay.ttl);
    let span = own
        .or_else(|| spans.ttl.clone())
        .unwrap_or_else(|| table.span_of("tolerance"));
    let message = format!(
        "route `{}`: `ttl` ({}) is shorter than {} plus `body_timeout`: a delivery could be forgotten and sent again while \
         it is still in time",
        route.name,
        written_duration(route.replay.ttl),
        if route.scheme.token_rule().is_some() {
            "`jwt.max_age` and twice `leeway`"
        } else {
            "`tolerance` plus `future_tolerance`"
        }
    );
    findings.problem(
        span,
        message,
        format!("set `ttl` to at least {}", written_duration(needed)),
    );
}

/// For how long a delivery may be in time; `None` where freshness is not judged, or where the
/// length is not known beforehand.
fn freshness(route: &Route) -> Option<Duration> {
    if let Some(rule) = route.scheme.token_rule() {
        let millis = rule.max_age?.saturating_add(rule.leeway.saturating_mul(2));
        return u64::try_from(millis).ok().map(Duration::from_millis);
    }
    let length = |tolerance| {
        if let Tolerance::Within(within) = tolerance {
            Some(within)
        } else {
            None
        }
    };
    let past = length(route.tolerance).filter(|_| route.scheme.has_timestamp())?;
    let future = length(route.future_tolerance).unwrap_or(past);
    Some(past.saturating_add(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cf_07_an_upstream_is_recognised_as_our_own_listener() {
        let rows = [
            ("127.0.0.1", "127.0.0.1:80", true),
            ("localhost", "127.0.0.1:80", true),
            ("localhost.", "[::1]:80", true),
            ("127.0.0.1", "0.0.0.0:80", true),
            ("127.0.0.2", "0.0.0.0:80", true),
            ("127.0.0.1", "[::]:80", true),
            ("::1", "[::]:80", true),
            ("::ffff:127.0.0.1", "127.0.0.1:80", true),
            ("0.0.0.0", "127.0.0.1:80", true),
            ("10.0.0.1", "10.0.0.1:80", true),
            ("127.0.0.1", "127.0.0.1:81", false),
            ("127.0.0.2", "127.0.0.1:80", false),
            ("10.0.0.2", "10.0.0.1:80", false),
            ("10.0.0.2", "0.0.0.0:80", false),
            ("app", "127.0.0.1:80", false),
        ];
        let upstream = |host: &str| Upstream::Tcp {
            host: host.to_owned(),
            port: 80,
            is_tls: false,
        };
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(host, listener, expected)| {
                leads_to(&upstream(host), listener.parse().unwrap()) != *expected
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
