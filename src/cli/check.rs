//! `verigate check`: what would run, secrets hidden (SPEC 7).

use clap::Args;

use super::output::{note, print, table};
use super::{ConfigFile, Exit};
use crate::config::units::{written_duration, written_size};
use crate::config::{self, Config, Route};
use crate::verify::clock::{Clock, UnixMillis};
use crate::verify::scheme::{Scheme, Tolerance};
use crate::verify::secret::Secret;

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 good, warnings included; 2 if the file has problems, which are all shown.\n\n\
    `env:` secrets are looked up in this shell's environment; a running gateway has its own and judges a\n\
    file itself when told to load it.\n\n\
    Example:\n  verigate check --config conf/verigate.toml\n  \
    curl --fail-with-body -X POST http://127.0.0.1:9090/reload")]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

impl Check {
    /// Prints every problem at once, or what would run with its warnings.
    pub(super) fn run(&self) -> Exit {
        match config::load(&self.file.config) {
            Ok(config) => {
                for warning in &config.warnings {
                    note(&format!("warning: {warning}"));
                }
                print(&report(&config, Clock::system().now().wall));
                Exit::Success
            }
            Err(problems) => {
                note(problems.to_string().trim_end());
                Exit::Usage
            }
        }
    }
}

/// What a checked file would run at `wall`.
fn report(config: &Config, wall: UnixMillis) -> String {
    let routes =
        if config.routes.len() == 1 { "1 route".to_owned() } else { format!("{} routes", config.routes.len()) };
    let mut parts = vec![format!("{}: good, {routes}", config.path.display()), settings(config)];
    let titles = ["route", "takes", "provider", "forwards to", "tolerance", "max body", "replay"];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(config.routes.iter().map(row));
    parts.push(table(&rows));
    let mut rows = vec![["route", "secret", "now", "active"].map(str::to_owned)];
    for route in &config.routes {
        rows.extend(route.secrets.iter().map(|secret| secret_row(route, secret, wall)));
    }
    parts.push(table(&rows));
    parts.join("\n\n")
}

fn settings(config: &Config) -> String {
    let listen: Vec<String> = config.server.listen.iter().map(|address| format!("http://{address}")).collect();
    let token = if config.admin.token.is_some() { ", with a token" } else { "" };
    let proxies: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    let proxies = if proxies.is_empty() { "none".to_owned() } else { proxies.join(", ") };
    let window = &config.replay;
    let remembers = format!("{} events for {}", window.capacity, written_duration(window.ttl));
    let start = if window.refuse_older_than_start { ", none from before the start" } else { "" };
    let mut rows = vec![
        ["listens on".to_owned(), listen.join(", ")],
        ["admin".to_owned(), format!("http://{}{token}", config.admin.listen)],
        ["trusts proxies".to_owned(), proxies],
        ["remembers".to_owned(), remembers + start],
    ];
    rows.extend(config.server.health_path.iter().map(|path| ["health".to_owned(), path.clone()]));
    table(&rows)
}

fn row(route: &Route) -> [String; 7] {
    let scheme = &route.scheme;
    let replay = &route.replay;
    let replay = if replay.enabled {
        let statuses = &replay.statuses;
        let own = format!("{}/{}/{}", statuses.on_replay, statuses.on_duplicate, statuses.on_conflict);
        format!("by {}, {own}", identity(scheme))
    } else {
        "OFF".to_owned()
    };
    let shadow = if route.enforce { "" } else { " (SHADOW: forwards all)" };
    [
        route.name.clone(),
        format!("{} {}", route.methods.join(","), route.pattern),
        scheme.provider.clone(),
        format!("{}{shadow}", route.upstream),
        tolerance(scheme, route.tolerance, route.future_tolerance),
        written_size(route.max_body),
        replay,
    ]
}

/// What a delivery is known by (SPEC 4).
pub(super) fn identity(scheme: &Scheme) -> &'static str {
    if scheme.id_is_signed() { "signed id" } else { "signed content" }
}

/// How far a timestamp may be off.
pub(super) fn tolerance(scheme: &Scheme, past: Tolerance, future: Tolerance) -> String {
    let one = |tolerance| match tolerance {
        Tolerance::Off => "OFF".to_owned(),
        Tolerance::Within(time) => written_duration(time),
    };
    if scheme.timestamp.is_none() {
        "no timestamp".to_owned()
    } else if past == future {
        one(past)
    } else {
        format!("-{} +{}", one(past), one(future))
    }
}

fn secret_row(route: &Route, secret: &Secret, wall: UnixMillis) -> [String; 4] {
    let now = if secret.is_active(wall) {
        "active"
    } else if secret.not_after.is_some_and(|end| end <= wall) {
        "EXPIRED"
    } else {
        "not yet"
    };
    let active = match (secret.not_before, secret.not_after) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {}", moment(from)),
        (None, Some(end)) => format!("until {}", moment(end)),
        (Some(from), Some(end)) => format!("from {} until {}", moment(from), moment(end)),
    };
    [route.name.clone(), secret.name.clone(), now.to_owned(), active]
}

fn moment(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Sources;

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

    #[test]
    fn what_would_run_is_shown_with_secrets_by_name_alone() {
        let env = |_: &str| Some("tops3cret-too".into());
        let sources = Sources { base_dir: Path::new(""), env: &env, now: UnixMillis(0) };
        let config = config::parse("a.toml", FILE, &sources).unwrap_or_else(|problems| panic!("{problems}"));
        let shown = report(&config, UnixMillis::from_secs(1_750_000_000));
        assert!(!shown.contains("tops3cret"), "{shown}");
        insta::assert_snapshot!(shown, @r"
        a.toml: good, 2 routes

        listens on      http://127.0.0.1:8080
        admin           http://127.0.0.1:9090, with a token
        trusts proxies  127.0.0.1/32
        remembers       1000000 events for 3d

        route     takes                             provider  forwards to                               tolerance  max body  replay
        itellico  POST /webhooks/itellico           itellico  http://127.0.0.1:3000                     5m         1MiB      by signed id, 409/200/409
        erp       POST,PUT hooks.example.com/erp/*  custom    http://[::1]:3001 (SHADOW: forwards all)  -5m +10s   1500      OFF

        route     secret   now      active
        itellico  env:NEW  active   always
        itellico  old      EXPIRED  until 2025-01-01T00:00:00Z
        erp       env:NEW  active   always
        ");
    }
}
