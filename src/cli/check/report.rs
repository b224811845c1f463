//! What `check` shows of a good configuration, as tables for people.

use std::time::Duration;

use super::certificates;
use super::keys::{key_rows, written_validity};
use super::queue;
use super::queue::Found;
use super::settings;
use super::shown::shown;
use crate::cli::output::table;
use crate::clock::UnixMillis;
use crate::config;
use crate::config::presets;
use crate::config::replay::Statuses;
use crate::config::units::{written_duration, written_size};
use crate::config::{Accounts, Config, HandshakeMode, Mode, Route};
use crate::gateway::holder;
use crate::key::secret::{Secret, Validity};
use crate::notation::timestamp::Tolerance;
use crate::scheme::Scheme;
use crate::verify::claim::Policy;

/// The configuration that would run. `wall` is the time at which secrets are active or expired.
pub(in crate::cli) fn report(config: &Config, found: &Found, wall: UnixMillis) -> String {
    let routes = if config.routes.len() == 1 {
        "1 route".to_owned()
    } else {
        format!("{} routes", config.routes.len())
    };
    let mut parts = vec![
        format!(
            "{}: good, {routes}",
            shown(&config::shown_path(&config.path))
        ),
        gateway(config, found),
    ];
    let rows = certificates::rows(config);
    if !rows.is_empty() {
        let titles = ["TLS port", "certificate", "for", "valid"].map(str::to_owned);
        parts.push(masked(&[vec![titles], rows].concat()));
    }
    let titles = [
        "route",
        "takes",
        "provider",
        "forwards to",
        "tolerance",
        "max body",
        "replay",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(config.routes.iter().map(row));
    parts.push(masked(&rows));
    let mut rows = vec![["route", "secret", "now", "active", "read as"].map(str::to_owned)];
    for route in &config.routes {
        rows.extend(
            route
                .secrets
                .iter()
                .map(|secret| secret_row(route, secret, wall)),
        );
        let awaited = route
            .learn
            .as_deref()
            .filter(|_| route.secrets.is_empty())
            .map(config::learned_name);
        rows.extend(settings::signing_rows(route));
        rows.extend(awaited.map(|name| {
            [
                route.name.clone(),
                name,
                "awaited".to_owned(),
                "once learned".to_owned(),
                "-".to_owned(),
            ]
        }));
    }
    parts.push(masked(&rows));
    let titles = [
        "route",
        "key of",
        "takes accounts",
        "takes types",
        "handshake",
    ]
    .map(str::to_owned);
    let rows = config.routes.iter().map(taken_row).collect();
    parts.push(masked(&[vec![titles], rows].concat()));
    let routes = config.routes.iter();
    let rows: Vec<_> = routes
        .flat_map(|route| settings::rows(route, config))
        .collect();
    if !rows.is_empty() {
        let titles = ["route", "setting", "value"].map(str::to_owned);
        parts.push(masked(&[vec![titles], rows].concat()));
    }
    let acknowledged = config.acknowledged_names();
    if !acknowledged.is_empty() {
        let row = |(route, names): (&str, Vec<&str>)| [route.to_owned(), names.join(", ")];
        let titles = ["route", "acknowledges"].map(str::to_owned);
        let rows = acknowledged.into_iter().map(row).collect();
        parts.push(masked(&[vec![titles], rows].concat()));
    }
    let keys: Vec<_> = config.routes.iter().flat_map(key_rows).collect();
    if !keys.is_empty() {
        let titles = ["route", "secret", "public key", "fingerprint", "valid"].map(str::to_owned);
        parts.push(table(&[vec![titles], keys].concat()));
    }
    parts.join("\n\n")
}

fn gateway(config: &Config, found: &Found) -> String {
    let plain = config.server.listen.iter();
    let plain = plain.map(|address| format!("http://{address}"));
    let with_tls = config.server.tls.iter().flat_map(|port| &port.listen);
    let with_tls = with_tls.map(|address| format!("https://{address}"));
    let listen: Vec<String> = plain.chain(with_tls).collect();
    let token = if config.admin.token.is_some() {
        ", with a token"
    } else {
        ""
    };
    let proxies: Vec<String> = config
        .server
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    let proxies = if proxies.is_empty() {
        "none".to_owned()
    } else {
        proxies.join(", ")
    };
    let window = &config.replay;
    let remembers = format!(
        "{} events for {}",
        window.capacity,
        written_duration(window.ttl)
    );
    let start = if window.refuse_older_than_start {
        "; refuses timestamps from before the start"
    } else {
        ""
    };
    let mut rows = vec![
        ["listens on".to_owned(), listen.join(", ")],
        [
            "admin".to_owned(),
            format!("http://{}{token}", config.admin.listen),
        ],
        ["trusts proxies".to_owned(), proxies],
        ["remembers".to_owned(), remembers + start],
    ];
    rows.extend(queue::state_rows(config, found));
    rows.extend(config.server.watch.map(|interval| {
        [
            "watches files".to_owned(),
            format!("every {}", written_duration(interval)),
        ]
    }));
    rows.extend(
        config
            .server
            .health_path
            .iter()
            .map(|path| ["health".to_owned(), path.clone()]),
    );
    let holder = config.state.dir.as_deref().and_then(holder);
    rows.extend(holder.map(|holder| {
        let process = holder.strip_prefix("the ").unwrap_or(&holder);
        let value = format!(
            "a gateway runs with it ({process}): reload that one, or take over with `run --upgrade`"
        );
        ["state in use".to_owned(), value]
    }));
    rows.extend(config.server.upgrade_socket.as_deref().map(|path| {
        let path = path.display().to_string();
        ["taken over by".to_owned(), path]
    }));
    masked(&rows)
}

/// A table of which no cell shows anything that could be a secret.
fn masked<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| shown(cell)))
        .collect();
    table(&rows)
}

fn row(route: &Route) -> [String; 7] {
    let scheme = &route.scheme;
    let replay = &route.replay;
    let replay = if replay.enabled {
        format!(
            "by {}: {}",
            identity(scheme),
            seen_again(scheme, &replay.statuses)
        )
    } else {
        "OFF".to_owned()
    };
    let manner = if !route.enforce {
        " (SHADOW: forwards all)"
    } else if route.mode == Mode::Queue {
        " (queue: acknowledged first)"
    } else {
        ""
    };
    [
        route.name.clone(),
        format!("{} {}", route.methods.join(","), route.pattern),
        scheme.provider.clone(),
        format!("{}{manner}", route.upstreams),
        tolerance(scheme, route.tolerance, route.future_tolerance),
        written_size(route.max_body),
        replay,
    ]
}

/// The statuses for copies of a done event that this scheme can tell apart, each with its reason
/// (contract: Seen again).
fn seen_again(scheme: &Scheme, statuses: &Statuses) -> String {
    let mut answers = vec![format!("duplicate {}", statuses.on_duplicate)];
    // Without a time that says when it was made, a replay is not known from an honest retry.
    let is_told = scheme.signs_timestamp() || scheme.token_rule().is_some();
    if is_told || scheme.repeats.is_some() {
        answers.insert(0, format!("replay {}", statuses.on_replay));
    }
    answers.push(match statuses.on_conflict {
        Some(status) => format!("conflict {status}"),
        None if Policy::of(scheme, false).forgives_other_bodies => {
            format!("conflict 409 (another body {})", statuses.on_duplicate)
        }
        None => "conflict 409".to_owned(),
    });
    answers.join(", ")
}

/// The values by which replay protection recognises a delivery (contract: Keys).
pub(in crate::cli) fn identity(scheme: &Scheme) -> &'static str {
    if scheme.id_is_signed() {
        "signed id"
    } else if scheme.is_credential() {
        "body"
    } else {
        "signed content"
    }
}

/// The tolerances of a route in words.
pub(in crate::cli) fn tolerance(scheme: &Scheme, past: Tolerance, future: Tolerance) -> String {
    let one = |tolerance| match tolerance {
        Tolerance::Off => "OFF".to_owned(),
        Tolerance::Within(time) => written_duration(time),
    };
    if let Some(rule) = scheme.token_rule() {
        let age = rule.max_age.and_then(|age| u64::try_from(age).ok());
        let otherwise = if rule.timeless { "OFF" } else { "by its token" };
        age.map_or(otherwise.to_owned(), |age| {
            written_duration(Duration::from_millis(age))
        })
    } else if !scheme.has_timestamp() {
        "no timestamp".to_owned()
    } else if past == future {
        one(past)
    } else {
        format!("-{} +{}", one(past), one(future))
    }
}

fn secret_row(route: &Route, secret: &Secret, wall: UnixMillis) -> [String; 5] {
    [
        route.name.clone(),
        match &secret.written {
            Some(written) => format!("{} ({written})", secret.name),
            None => secret.name.clone(),
        },
        state_now(route, secret, wall).to_owned(),
        written_validity(secret.validity()),
        route.scheme.secret_reading(&secret.text),
    ]
}

/// Whether a secret may prove a delivery at `wall`, in a word.
pub(super) fn state_now(route: &Route, secret: &Secret, wall: UnixMillis) -> &'static str {
    // A certificate has dates of its own: its key is active only while both certificate and secret
    // are.
    let keys = config::public_keys(&route.scheme, secret);
    let all: Vec<Validity> = if keys.is_empty() {
        vec![secret.validity()]
    } else {
        keys.iter()
            .map(|key| both(secret.validity(), key.validity()))
            .collect()
    };
    if all.iter().any(|validity| validity.includes(wall)) {
        "active"
    } else if all
        .iter()
        .all(|validity| validity.not_after.is_some_and(|end| end <= wall))
    {
        "EXPIRED"
    } else {
        "not yet"
    }
}

/// Whose key it is, the accounts and event types that a route takes, with the status for others, and
/// who answers handshakes.
fn taken_row(route: &Route) -> [String; 5] {
    let only = |taken: &[String], status| format!("{} (others: {status})", taken.join(", "));
    let accounts = match &route.accounts {
        Accounts::Unsaid => "all".to_owned(),
        Accounts::Any => "ANY".to_owned(),
        Accounts::Listed(listed) => only(listed, route.on_unlisted),
    };
    let types = route.event_types.as_ref();
    let types = types.map_or("all".to_owned(), |types| only(types, route.on_ignored));
    let handshake = route.scheme.handshake;
    let handshake = handshake.map_or("none".to_owned(), |handshake| {
        format!("{}: {}", handshake.name(), handshake_mode(route))
    });
    [
        route.name.clone(),
        key_owner(route).unwrap_or("not known").to_owned(),
        accounts,
        types,
        handshake,
    ]
}

/// Whose key signs the deliveries of a route, by the name that presets write; `None` where the
/// scheme is spelled out.
pub(super) fn key_owner(route: &Route) -> Option<&'static str> {
    presets::find(&route.scheme.provider).map(|preset| preset.key_owner.name())
}

/// The mode of a route's handshake, as the file writes it.
pub(super) fn handshake_mode(route: &Route) -> &'static str {
    match route.handshake.mode {
        HandshakeMode::Answer => "answer",
        HandshakeMode::Forward => "forward",
        HandshakeMode::Off => "off",
    }
}

fn both(one: Validity, other: Validity) -> Validity {
    Validity {
        not_before: one.not_before.max(other.not_before),
        not_after: one.not_after.into_iter().chain(other.not_after).min(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;
    use crate::config::tests::fixtures;
    use crate::config::{Files, Sources};

    const FILE: &str = r#"
[admin]
token = "plain:tops3cret-token"

[[route]]
name = "itellico"
path = "/webhooks/itellico"
provider = "itellico"
secrets = ["env:NEW", { name = "old", value = "plain:tops3cret", not_after = "2025-01-01T00:00:00Z" }]
upstream = "http://127.0.0.1:3000"

[[route]]
name = "erp"
host = "hooks.example.com"
path = "/erp/*"
methods = ["POST", "PUT"]
secrets = ["env:NEW"]
upstream = "http://[::1]:3001"
enforce = false
replay = "off"
max_body = 1500
future_tolerance = "10s"
[route.scheme]
algorithm = "hmac-sha256"
signed = "{timestamp}.{body}"
signature = { header = "X-Signature" }
timestamp = { header = "X-Timestamp" }
"#;

    /// The report on a file whose variables have the values that `env` gives.
    fn shown(file: &str, env: &dyn Fn(&str) -> Option<OsString>) -> String {
        let sources = Sources {
            base_dir: Path::new(""),
            env,
            now: UnixMillis(0),
            files: &Files::default(),
        };
        let config =
            config::parse("a.toml", file, &sources).unwrap_or_else(|problems| panic!("{problems}"));
        report(
            &config,
            &Found::of(&config),
            UnixMillis::from_secs(1_750_000_000),
        )
    }

    #[test]
    fn what_would_run_is_shown_with_secrets_by_name_alone() {
        let shown = shown(FILE, &|_| Some("tops3cret-too".into()));
        assert!(!shown.contains("tops3cret"), "{shown}");
        insta::assert_snapshot!(shown, @r"
        a.toml: good, 2 routes

        listens on      http://127.0.0.1:8080
        admin           http://127.0.0.1:9090, with a token
        trusts proxies  127.0.0.1/32
        remembers       1000000 events for 3d
        keeps on disk   nothing: a restart forgets what came

        route     takes                             provider  forwards to                               tolerance  max body  replay
        itellico  POST /webhooks/itellico           itellico  http://127.0.0.1:3000                     5m         1MiB      by signed id: replay 409, duplicate 200, conflict 409 (another body 200)
        erp       POST,PUT hooks.example.com/erp/*  custom    http://[::1]:3001 (SHADOW: forwards all)  -5m +10s   1500      OFF

        route     secret   now      active                      read as
        itellico  env:NEW  active   always                      the text
        itellico  old      EXPIRED  until 2025-01-01T00:00:00Z  the text
        erp       env:NEW  active   always                      the text

        route     key of     takes accounts  takes types  handshake
        itellico  endpoint   all             all          none
        erp       not known  all             all          none

        route     setting              value
        itellico  event_id             json /event_id
        itellico  event_type           json /event_type
        itellico  account              json /organization_uuid
        itellico  replay.ttl           3d
        itellico  replay.on_in_flight  503
        ");
    }

    #[test]
    fn public_keys_are_shown_by_their_fingerprints_and_an_awaited_secret_by_its_name() {
        let file = r#"
[[route]]
name = "keys"
path = "/keys"
secrets = [{ name = "old", value = "env:CERTIFICATE" }, "env:KEY"]
upstream = "http://127.0.0.1:3000"
[route.scheme]
algorithm = "ecdsa-p256-sha256"
signed = "{timestamp}.{body}"
signature = { header = "X-Signature" }
timestamp = { header = "X-Timestamp" }

[[route]]
name = "asana"
path = "/asana"
provider = "asana"
secrets = ["learn:not-there-yet.secret"]
upstream = "http://127.0.0.1:3000"
"#;
        let env = |name: &str| match name {
            "CERTIFICATE" => Some(fixtures::P256_CERTIFICATE.into()),
            _ => Some(fixtures::P256_PEM.into()),
        };
        let shown = shown(file, &env);
        let rows = shown
            .split_once("route  secret")
            .map(|(_, rows)| format!("route  secret{rows}"));
        insta::assert_snapshot!(rows.unwrap_or(shown), @r"
        route  secret                      now      active        read as
        keys   old (env:CERTIFICATE)       EXPIRED  always        a public key
        keys   env:KEY                     active   always        a public key
        asana  learn:not-there-yet.secret  awaited  once learned  -

        route  key of     takes accounts  takes types  handshake
        keys   not known  all             all          none
        asana  endpoint   all             all          asana: answer

        route  setting              value
        keys   replay.ttl           3d
        keys   replay.on_in_flight  503
        asana  replay.ttl           3d
        asana  replay.on_in_flight  503

        route  secret   public key   fingerprint                                                              valid
        keys   old      ECDSA P-256  SHA256:9c9895d59c3d03237396168e6efee7fddb345662bb39c5eb8c2051e23209cbbe  from 2020-01-01T00:00:00Z until 2021-01-01T00:00:01Z
        keys   env:KEY  ECDSA P-256  SHA256:9c9895d59c3d03237396168e6efee7fddb345662bb39c5eb8c2051e23209cbbe  always
        ");
    }
}
