//! What `check --json` prints: one object, for a good file and for a bad one alike (contract: Command
//! line).
//!
//! Every text in it is masked as in the tables, except fingerprints of public keys.

use std::path::Path;

use serde_json::{Value, json};

use super::certificates;
use super::keys::{key_kind, written_time};
use super::queue;
use super::queue::Found;
use super::report::{handshake_mode, identity, key_owner, state_now, tolerance};
use super::settings;
use super::shown::shown;
use crate::cli::output::json_object;
use crate::clock::UnixMillis;
use crate::config;
use crate::config::resign::SigningSecret;
use crate::config::units::written_duration;
use crate::config::{Accounts, Config, Health, Member, Problem, Problems, Resign, Route, Warning};
use crate::gateway::holder;
use crate::key::public::PublicKey;
use crate::key::secret::{Secret, Validity};
use crate::routes::PathPattern;
use crate::scheme::Place;
use crate::verify::claim::Policy;

/// The object of a good file. `wall` is the time at which secrets are active or expired.
pub(in crate::cli) fn good(config: &Config, found: &Found, wall: UnixMillis) -> String {
    let listen: Vec<String> = config.server.listen.iter().map(address).collect();
    let proxies = config.server.trusted_proxies.iter();
    let proxies: Vec<String> = proxies.map(ToString::to_string).collect();
    let routes = config.routes.iter();
    json_object(&[
        ("file", text(&config::shown_path(&config.path))),
        ("ok", true.into()),
        ("problems", json!([])),
        ("listen", listen.into()),
        (
            "tls",
            config.server.tls.iter().map(certificates::object).collect(),
        ),
        ("acme", certificates::ordered(config)),
        ("admin", address(&config.admin.listen).into()),
        ("admin_token", config.admin.token.is_some().into()),
        ("trusted_proxies", proxies.into()),
        ("watch", config.server.watch.map(written_duration).into()),
        (
            "health_path",
            optional(config.server.health_path.as_deref()),
        ),
        ("state_dir", path(config.state.dir.as_deref())),
        (
            "state_dir_holder",
            optional(config.state.dir.as_deref().and_then(holder).as_deref()),
        ),
        (
            "upgrade_socket",
            path(config.server.upgrade_socket.as_deref()),
        ),
        ("capacity", config.replay.capacity.into()),
        ("ttl", written_duration(config.replay.ttl).into()),
        (
            "refuse_older_than_start",
            config.replay.refuse_older_than_start.into(),
        ),
        ("state", queue::state_object(config, found)),
        (
            "routes",
            routes.map(|route| object(route, config, wall)).collect(),
        ),
        ("warnings", config.warnings.iter().map(warning).collect()),
        (
            "acknowledged",
            config.acknowledged.iter().map(warning).collect(),
        ),
    ])
}

fn path(path: Option<&Path>) -> Value {
    optional(path.map(|path| path.display().to_string()).as_deref())
}

/// The object of a file with problems, all of which it holds.
pub(in crate::cli) fn bad(problems: &Problems) -> String {
    let problem = |problem: &Problem| {
        json!({
            "file": text(&problems.path),
            "line": problem.position.map(|at| at.line),
            "column": problem.position.map(|at| at.column),
            "message": text(&problem.message),
            "help": optional(problem.help.as_deref()),
        })
    };
    json_object(&[
        ("file", text(&problems.path)),
        ("ok", false.into()),
        ("problems", problems.list.iter().map(problem).collect()),
        ("routes", json!([])),
        ("warnings", json!([])),
        ("acknowledged", json!([])),
    ])
}

fn address(address: &std::net::SocketAddr) -> String {
    format!("http://{address}")
}

/// A text without anything that could be a secret.
fn text(text: &str) -> Value {
    shown(text).into()
}

fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

fn list(values: &[String]) -> Value {
    values.iter().map(|value| text(value)).collect()
}

fn warning(warning: &Warning) -> Value {
    json!({
        "name": warning.name.as_str(),
        "route": optional(warning.route.as_deref()),
        "file": text(&warning.path),
        "line": warning.line,
        "message": text(&warning.message),
    })
}

fn object(route: &Route, config: &Config, wall: UnixMillis) -> Value {
    let scheme = &route.scheme;
    let (is_prefix, path) = match &route.pattern.path {
        PathPattern::Exact(path) => (false, path),
        PathPattern::Prefix(path) => (true, path),
    };
    let path = if is_prefix {
        format!("{path}*")
    } else {
        path.clone()
    };
    let accounts = match &route.accounts {
        Accounts::Unsaid => Value::Null,
        Accounts::Any => "any".into(),
        Accounts::Listed(listed) => list(listed),
    };
    let statuses = &route.replay.statuses;
    let is_forgiven = Policy::of(scheme, statuses.on_conflict.is_some()).forgives_other_bodies;
    let other_body = if is_forgiven {
        statuses.on_duplicate
    } else {
        statuses.on_conflict.unwrap_or(409)
    };
    let replay = json!({
        "by": identity(scheme),
        "on_replay": statuses.on_replay,
        "on_duplicate": statuses.on_duplicate,
        "on_conflict": statuses.on_conflict.unwrap_or(409),
        "on_other_body": other_body,
        "on_in_flight": statuses.on_in_flight,
        "ttl": written_duration(route.replay.ttl),
    });
    let handshake = scheme
        .handshake
        .map(|handshake| json!({ "name": handshake.name(), "mode": handshake_mode(route) }));
    let upstream_headers = route.upstream_headers.iter();
    let awaited = route.learn.as_deref().filter(|_| route.secrets.is_empty());
    json!({
        "name": text(&route.name),
        "host": optional(route.pattern.host.as_deref()),
        "path": text(&path),
        "methods": list(&route.methods),
        "provider": text(&scheme.provider),
        "key_owner": key_owner(route),
        "upstream": single_upstream(route),
        "upstreams": route.upstreams.members.iter().map(upstream).collect::<Value>(),
        "balance": route.upstreams.balance.name(),
        "health": route.upstreams.health.as_ref().map(health),
        "upstream_tls": upstream_tls(route),
        "upstream_path": optional(route.upstream_path.as_deref()),
        "upstream_host": optional(route.upstream_host.as_deref()),
        "upstream_headers": upstream_headers.map(|(name, _)| text(name.as_str())).collect::<Value>(),
        "resign": route.resign.as_ref().map(|resign| resigns(route, resign)),
        "upstream_timeout": written_duration(route.upstream_timeout),
        "mode": route.mode.name(),
        "queue": queue::object(route, config),
        "enforce": route.enforce,
        "tolerance": tolerance(scheme, route.tolerance, route.future_tolerance),
        "max_body": route.max_body,
        "public_url": optional(route.public_url.as_deref()),
        "params": params(route),
        "event_id": envelope(scheme.event_id.as_ref()),
        "event_type": envelope(scheme.event_type.as_ref()),
        "account": envelope(scheme.account.as_ref()),
        "replay": if route.replay.enabled { replay } else { Value::Null },
        "accounts": accounts,
        "on_unlisted": route.on_unlisted,
        "event_types": route.event_types.as_deref().map_or(Value::Null, list),
        "on_ignored": route.on_ignored,
        "handshake": handshake,
        "secrets": route.secrets.iter().map(|secret| secret_object(route, secret, wall)).collect::<Value>(),
        "awaits": awaited.map(|path| text(&config::learned_name(path))),
    })
}

/// The upstream of a route that has a single one; null where it has several.
fn single_upstream(route: &Route) -> Value {
    match route.upstreams.members.as_slice() {
        [only] => text(&only.upstream.to_string()),
        _ => Value::Null,
    }
}

fn upstream(member: &Member) -> Value {
    json!({ "url": text(&member.upstream.to_string()), "weight": member.weight })
}

fn health(health: &Health) -> Value {
    json!({
        "path": text(&health.path),
        "interval": written_duration(health.interval),
        "timeout": written_duration(health.timeout),
    })
}

/// How the certificates of a route's upstreams are judged; null where no upstream speaks TLS.
fn upstream_tls(route: &Route) -> Value {
    let upstreams = &route.upstreams;
    if !upstreams.members.iter().any(|member| member.tls.is_some()) {
        return Value::Null;
    }
    let tls = &upstreams.tls;
    json!({
        "verified": !tls.is_insecure,
        "ca": optional(tls.ca.as_deref()),
        "server_name": optional(tls.server_name.as_deref()),
        "certificate": optional(tls.certificate.as_deref()),
    })
}

/// The secrets with which a route signs anew, and the headers of the provider that it removes.
fn resigns(route: &Route, resign: &Resign) -> Value {
    let secret = |signing: &SigningSecret| {
        json!({
            "name": text(&signing.secret.name),
            "written": optional(signing.secret.written.as_deref()),
            "read_as": signing.reading(),
        })
    };
    json!({
        "secret": secret(&resign.secret),
        "previous": resign.previous.as_ref().map(secret),
        "drop": resign.drop,
        "removed": resign.removed(&route.scheme).of_the_provider(),
    })
}

/// The texts of a route's `params` by their names.
fn params(route: &Route) -> Value {
    let params = route.params.iter();
    let params: serde_json::Map<_, _> = params
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    params.into()
}

fn envelope(at: Option<&Place>) -> Value {
    at.map_or(Value::Null, |at| text(&settings::place(at)))
}

fn secret_object(route: &Route, secret: &Secret, wall: UnixMillis) -> Value {
    let key = |key: PublicKey| {
        let (from, end) = dates(key.validity());
        json!({
            "type": key_kind(&key),
            "id": optional(key.key_id()),
            "fingerprint": key.fingerprint(),
            "not_before": from,
            "not_after": end,
        })
    };
    let keys = config::public_keys(&route.scheme, secret).into_iter();
    let (from, end) = dates(secret.validity());
    json!({
        "name": text(&secret.name),
        "written": optional(secret.written.as_deref()),
        "now": state_now(route, secret, wall).to_ascii_lowercase(),
        "read_as": route.scheme.secret_reading(&secret.text),
        "not_before": from,
        "not_after": end,
        "public_keys": keys.map(key).collect::<Value>(),
    })
}

fn dates(validity: Validity) -> (Option<String>, Option<String>) {
    let written = |at: Option<UnixMillis>| at.map(written_time);
    (written(validity.not_before), written(validity.not_after))
}
