//! The settings of a route beside those of the first tables that decide about a delivery: what is
//! signed with it, and where its id, type and account are read.

use super::queue;
use crate::config::units::written_duration;
use crate::config::{Config, Resign, Route};
use crate::notation::json::Pointer;
use crate::scheme::Place;
use crate::sign::canonical;

/// The rows of the table: the route, the setting as the file writes it, and its value.
pub(super) fn rows(route: &Route, config: &Config) -> Vec<[String; 3]> {
    let scheme = &route.scheme;
    let mut rows: Vec<(String, String)> = Vec::new();
    let url = route
        .public_url
        .as_ref()
        .filter(|_| scheme.signs_url() || scheme.signs_path());
    rows.extend(url.map(|url| ("public_url".to_owned(), url.clone())));
    let params = route.params.iter();
    rows.extend(params.map(|(name, text)| (format!("params.{name}"), text.clone())));
    for (key, at) in [
        ("event_id", &scheme.event_id),
        ("event_type", &scheme.event_type),
        ("account", &scheme.account),
    ] {
        rows.extend(at.as_ref().map(|at| (key.to_owned(), place(at))));
    }
    rows.extend(scheme.repeats.map(|repeats| {
        let within = written_duration(repeats.within);
        (
            "repeats".to_owned(),
            format!("{} within {within}", repeats.most),
        )
    }));
    rows.extend(of_upstreams(route));
    if route.replay.enabled {
        let ttl = written_duration(route.replay.ttl);
        rows.push(("replay.ttl".to_owned(), ttl));
        let status = route.replay.statuses.on_in_flight.to_string();
        rows.push(("replay.on_in_flight".to_owned(), status));
    }
    rows.extend(queue::rows(route, config));
    if let Some(resign) = &route.resign {
        rows.push((
            "resign".to_owned(),
            "valid deliveries with a body".to_owned(),
        ));
        let removed = resign.removed(scheme).of_the_provider().join(", ");
        if resign.drop {
            rows.push(("resign.drop".to_owned(), removed));
        }
    }
    let token = route.handshake.verify_token.as_ref();
    rows.extend(token.map(|_| ("handshake.verify_token".to_owned(), "set".to_owned())));
    let own = |(key, value)| [route.name.clone(), key, value];
    rows.into_iter().map(own).collect()
}

/// The rows of the secrets with which a route signs anew, in the table of secrets.
pub(super) fn signing_rows(route: &Route) -> impl Iterator<Item = [String; 5]> {
    let secrets = route.resign.iter().flat_map(Resign::secrets);
    secrets.map(|(key, signing)| {
        [
            route.name.clone(),
            signing.shown(),
            "signs".to_owned(),
            "always".to_owned(),
            format!("{}, for `resign.{key}`", signing.reading()),
        ]
    })
}

/// The settings of the upstreams beside their addresses.
fn of_upstreams(route: &Route) -> Vec<(String, String)> {
    let upstreams = &route.upstreams;
    let mut rows = Vec::new();
    let mut add = |key: &str, value: String| rows.push((key.to_owned(), value));
    if upstreams.members.len() > 1 {
        add("balance", upstreams.balance.name().to_owned());
    }
    if let Some(health) = &upstreams.health {
        let [interval, timeout] = [health.interval, health.timeout].map(written_duration);
        let value = format!("GET {} every {interval}, within {timeout}", health.path);
        add("health", value);
    }
    if upstreams.members.iter().any(|member| member.tls.is_some()) {
        let tls = &upstreams.tls;
        let trust = match &tls.ca {
            _ if tls.is_insecure => "INSECURE: any certificate",
            Some(ca) => ca,
            None => "the system's authorities",
        };
        add("upstream_tls.ca", trust.to_owned());
        if let Some(name) = &tls.server_name {
            add("upstream_tls.server_name", name.clone());
        }
        if let Some(certificate) = &tls.certificate {
            add("upstream_tls.certificate", certificate.clone());
        }
    }
    if let Some(path) = &route.upstream_path {
        add("upstream_path", path.clone());
    }
    rows
}

/// A place of the envelope as `providers --json` writes it.
pub(super) fn place(at: &Place) -> String {
    match at {
        Place::Header(name) => format!("header {}", canonical(name)),
        Place::Json(pointers) => {
            let all: Vec<String> = pointers.iter().map(Pointer::text).collect();
            format!("json {}", all.join(" "))
        }
        Place::Claim(name) => format!("claim {name}"),
    }
}
