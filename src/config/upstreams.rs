//! The upstreams of a route: `upstream` or `upstreams`, how deliveries are shared among them, and how
//! their health is checked (contract: Several upstreams).

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::reader::{Findings, Item, Table};
use super::secrets::Sources;
use super::units;
use super::upstream::Upstream;
use super::upstream_tls::{TlsWritten, UpstreamTls};

/// The upstreams of a route.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// At least one, in the order of the file.
    pub members: Vec<Member>,
    /// How deliveries are shared among several.
    pub balance: Balance,
    /// How their health is checked; `None`: it is not.
    pub health: Option<Health>,
    /// The settings of TLS, as the file has them.
    pub tls: TlsWritten,
}

/// Writes the addresses, each with its weight where that is not 1.
impl fmt::Display for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, member) in self.members.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            write!(f, "{}", member.upstream)?;
            if member.weight != 1 {
                write!(f, " ×{}", member.weight)?;
            }
        }
        Ok(())
    }
}

/// An upstream among those of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its address.
    pub upstream: Upstream,
    /// Its share of deliveries, from 1 to 100, among those of the others.
    pub weight: u8,
    /// The settings of TLS; `None` if its connections do not speak TLS.
    pub tls: Option<UpstreamTls>,
}

/// How deliveries are shared among upstreams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Each in turn, as often as its weight says.
    #[default]
    RoundRobin,
    /// To the upstream that has the fewest deliveries in hand for its weight.
    LeastBusy,
}

impl Balance {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
        }
    }
}

/// The check of an upstream's health: a `GET` that must be answered 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// The path, with a query if there is one.
    pub path: String,
    /// The value of `Host`; `None`: the upstream's own host and port.
    pub host: Option<String>,
    /// The pause between two checks.
    pub interval: Duration,
    /// The time in which a check must have its answer.
    pub timeout: Duration,
}

/// The most upstreams of a route.
const MAX_MEMBERS: usize = 64;

/// The names of nginx, HAProxy, Caddy, Envoy and Traefik.
const ELSEWHERE: &[(&str, &str)] = &[
    ("least_conn", "least_busy"),
    ("leastconn", "least_busy"),
    ("least_connections", "least_busy"),
    ("least_request", "least_busy"),
    ("least_time", "least_busy"),
    ("p2c", "least_busy"),
    ("roundrobin", "round_robin"),
    ("rr", "round_robin"),
    ("wrr", "round_robin"),
    ("weighted_round_robin", "round_robin"),
    ("static-rr", "round_robin"),
    ("random", "round_robin"),
];

const LIST: &str =
    "upstreams = [{ url = \"http://10.0.0.1:3000\" }, { url = \"http://10.0.0.2:3000\" }]";
const URL: &str = "\"http://127.0.0.1:3000\"";

/// The upstreams of a route as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The addresses, each with its place in the file.
    pub(super) addresses: Vec<(Range<usize>, Upstream)>,
    /// All of it, if no part was missing.
    pub(super) upstreams: Option<Upstreams>,
}

/// Reads `upstream` or `upstreams`, and the settings that go with them.
pub(super) fn read(table: &mut Table<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Read {
    let (single, list) = (table.item("upstream"), table.item("upstreams"));
    let balance = table.item("balance");
    if let (Some(item), None) = (&balance, &list) {
        let help = format!("list several upstreams, as in `{LIST}`, or leave `balance` out");
        item.refuse(findings, "has nothing to choose from", help);
    }
    let balance = balance.and_then(|item| read_balance(&item, findings));
    let health = table.item("health");
    let health = health.map(|item| read_health(&item, findings));
    let tls_item = table.item("upstream_tls");
    let (is_whole, weighted) = match (&single, &list) {
        (Some(single), None) => {
            let upstream = read_upstream(single, findings);
            let weighted = upstream.map(|upstream| (single.span(), upstream, 1));
            (weighted.is_some(), weighted.into_iter().collect())
        }
        (None, Some(list)) => read_list(list, findings),
        (Some(_), Some(list)) => {
            let message = format!(
                "the route has both `{}` and `{}`",
                table.path_of("upstream"),
                list.path
            );
            let help = "keep one: `upstream` names a single upstream, `upstreams` lists several";
            findings.problem(list.key_span.clone(), message, help);
            (false, Vec::new())
        }
        (None, None) => {
            let message = format!("`{}` is missing", table.path_of("upstream"));
            let help = format!("add it, as in `upstream = {URL}`");
            findings.absence(table.span(), message, help);
            (false, Vec::new())
        }
    };
    let addresses: Vec<_> = weighted
        .iter()
        .map(|(span, upstream, _)| (span.clone(), upstream.clone()))
        .collect();
    let needs_tls = addresses.iter().any(|(_, upstream)| upstream.is_tls());
    let written = match &tls_item {
        None => Some(TlsWritten::default()),
        Some(item) => TlsWritten::read(item, findings, sources),
    };
    if let Some(item) = tls_item.filter(|_| !needs_tls && is_whole) {
        let help = "write `https://` in `upstream`, or leave `upstream_tls` out";
        item.refuse(findings, "is set, and no upstream is `https://`", help);
    }
    let Some(written) = written else {
        return Read {
            addresses,
            upstreams: None,
        };
    };
    let settings = if needs_tls {
        let place = addresses.iter().find(|(_, upstream)| upstream.is_tls());
        let place = place.map_or_else(|| table.span(), |(span, _)| span.clone());
        written.settings(place, findings, sources)
    } else {
        None
    };
    let (mut members, mut is_whole) = (Vec::new(), is_whole);
    for (span, upstream, weight) in weighted {
        let tls = match &settings {
            Some(settings) if upstream.is_tls() => {
                let tls = written.towards(&upstream, settings, span, findings);
                is_whole &= tls.is_some();
                tls
            }
            _ => {
                is_whole &= !upstream.is_tls();
                None
            }
        };
        members.push(Member {
            upstream,
            weight,
            tls,
        });
    }
    let upstreams = Upstreams {
        members,
        balance: balance.unwrap_or_default(),
        health: health.flatten(),
        tls: written,
    };
    Read {
        addresses,
        upstreams: is_whole.then_some(upstreams),
    }
}

/// Reads the list. Returns whether all of it could be read, and each entry with its place.
fn read_list(
    list: &Item<'_>,
    findings: &mut Findings,
) -> (bool, Vec<(Range<usize>, Upstream, u8)>) {
    let Some(entries) = list.list(findings, LIST) else {
        return (false, Vec::new());
    };
    let count = entries.len();
    if count == 0 {
        list.refuse(
            findings,
            "is empty: no delivery could be forwarded",
            format!("write `{LIST}`"),
        );
    } else if count > MAX_MEMBERS {
        let message = format!("has more than {MAX_MEMBERS} entries");
        list.refuse(findings, message, "put a load balancer before them");
    }
    let mut read: Vec<(Range<usize>, Upstream, u8)> = Vec::new();
    for entry in entries {
        let Some(mut table) = entry.table(findings, LIST) else {
            continue;
        };
        let url = table.required(findings, "url", URL);
        let weight = table.item("weight").map(|item| {
            let weight = item.integer(findings, 1..=100);
            weight.and_then(|weight| u8::try_from(weight).ok())
        });
        table.finish(findings);
        let Some((url, upstream)) =
            url.and_then(|url| read_upstream(&url, findings).map(|upstream| (url, upstream)))
        else {
            continue;
        };
        if read.iter().any(|(_, other, _)| *other == upstream) {
            let help = "list each upstream once; a higher `weight` gives it more deliveries";
            url.refuse(findings, "is in the list already", help);
        } else if let Some(weight) = weight.unwrap_or(Some(1)) {
            read.push((url.span(), upstream, weight));
        }
    }
    (
        count > 0 && read.len() == count && count <= MAX_MEMBERS,
        read,
    )
}

fn read_upstream(item: &Item<'_>, findings: &mut Findings) -> Option<Upstream> {
    let text = item.value.get_ref().as_str();
    if text.is_some_and(|text| text.contains('@') && !text.starts_with("unix:")) {
        findings.hide(item.span());
    }
    item.unit(findings, URL, Upstream::parse)
}

fn read_balance(item: &Item<'_>, findings: &mut Findings) -> Option<Balance> {
    let all = [Balance::RoundRobin, Balance::LeastBusy];
    let names = all.map(Balance::name);
    item.one_of_or(findings, &names, &[], ELSEWHERE, |name| {
        all.into_iter().find(|balance| balance.name() == name)
    })
}

fn read_health(item: &Item<'_>, findings: &mut Findings) -> Option<Health> {
    const EXAMPLE: &str = "health = { path = \"/healthz\", interval = \"10s\", timeout = \"3s\" }";
    let mut table = item.table(findings, EXAMPLE)?;
    let path = table.required(findings, "path", "\"/healthz\"");
    let path = path.and_then(|item| item.unit(findings, "\"/healthz\"", health_path));
    let mut time = |key, default| match table.item(key) {
        None => Some(default),
        Some(item) => item.unit(findings, "\"10s\"", |text| check_time(text, key)),
    };
    let interval = time("interval", Duration::from_secs(10));
    let timeout = time("timeout", Duration::from_secs(3));
    table.finish(findings);
    Some(Health {
        path: path?,
        host: None,
        interval: interval?,
        timeout: timeout?,
    })
}

fn health_path(text: &str) -> Result<String, units::UnitFault> {
    let is_target = text.starts_with('/') && text.len() <= 1024;
    if is_target && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        Ok(text.to_owned())
    } else {
        let help = "write a path of the app, as in `/healthz`; a query may follow";
        Err(units::UnitFault::new("is no path", help))
    }
}

/// Checks are neither so frequent that they are a load, nor so rare that they say nothing.
fn check_time(text: &str, key: &str) -> Result<Duration, units::UnitFault> {
    let time = units::timeout(text)?;
    let (least, most) = match key {
        "interval" => (Duration::from_secs(1), Duration::from_secs(3600)),
        _ => (Duration::from_millis(100), Duration::from_secs(60)),
    };
    if (least..=most).contains(&time) {
        return Ok(time);
    }
    let [least, most] = [least, most].map(units::written_duration);
    let help = format!("write a time from {least} to {most}");
    Err(units::UnitFault::new("is out of range", help))
}
