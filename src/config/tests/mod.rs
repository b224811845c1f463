//! Whole files: the values that a good file becomes, and that the shipped files are good. The
//! problems of bad files are in `problems`.

#[cfg(test)]
mod accounts;
mod acme;
pub(crate) mod fixtures;
mod handshakes;
mod judgements;
mod keys;
mod params;
mod placeholders;
mod presets;
mod problems;
mod public_keys;
mod queue;
mod resign;
mod schemes;
mod state;
mod syntax;
mod tls;
mod tokens;
mod traps;
mod upstreams;
mod warnings;
mod whole_lists;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::clock::UnixMillis;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::scheme::{KeyEncoding, KeyForm, Place, Stamped};
use crate::wire::head::FieldName;

/// An environment in which every variable is set, except those whose name says otherwise.
pub(super) fn env(name: &str) -> Option<OsString> {
    match name {
        "UNSET" => None,
        "EMPTY" => Some(OsString::new()),
        "NEWLINE" => Some("\n".into()),
        // All secrets of Stripe begin so.
        "STRIPE_WEBHOOK_SECRET" => Some("whsec_0123456789abcdef0123".into()),
        _ => Some(format!("value-of-{name}-0123456789\n").into()),
    }
}

/// Reads a text in that environment, on 2026-11-23.
pub(super) fn read(text: &str) -> Result<Config, Problems> {
    read_as("a.toml", text)
}

/// Reads as [`read`] does a text that messages call `path`.
pub(super) fn read_as(path: &str, text: &str) -> Result<Config, Problems> {
    let sources = Sources {
        base_dir: Path::new("/nowhere"),
        env: &env,
        now: UnixMillis(1_795_392_000_000),
        files: &Files::default(),
    };
    parse(path, text, &sources)
}

/// The warnings of a configuration, a line each.
pub(super) fn warned(config: &Config) -> String {
    let lines: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The least that a route needs, and a newline.
pub(super) const ROUTE: &str = "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\nsecrets = [\"env:S\"]\n\
     upstream = \"http://127.0.0.1:3000\"\n";

/// A route with a scheme of its own, `[route.scheme]` last.
pub(super) const CUSTOM: &str = "[[route]]\nname = \"c\"\npath = \"/c\"\nsecrets = [\"env:S\"]\n\
     upstream = \"http://127.0.0.1:3000\"\n[route.scheme]\nalgorithm = \"hmac-sha256\"\n\
     signed = \"{timestamp}.{body}\"\nsignature = { header = \"X-Signature\" }\ntimestamp = { header = \"X-Timestamp\" }\n";

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn defaults_are_those_of_the_specification() {
    let config = good(ROUTE);
    let server = &config.server;
    assert_eq!(server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert!(server.threads >= 1);
    assert_eq!(server.head_timeout, Duration::from_secs(10));
    assert_eq!(server.body_timeout, Duration::from_secs(30));
    assert_eq!(server.idle_timeout, Duration::from_secs(60));
    assert_eq!(server.write_timeout, Duration::from_secs(30));
    assert_eq!(server.max_buffered, 256 * 1024 * 1024);
    assert_eq!(server.max_connections, 10_000);
    assert_eq!(server.trusted_proxies, ["127.0.0.1/32".parse().unwrap()]);
    assert_eq!(server.shutdown_delay, Duration::ZERO);
    assert_eq!(server.shutdown_grace, Duration::from_secs(30));
    assert_eq!((server.max_head, server.max_headers), (65_536, 100));
    assert_eq!((&server.health_path, &server.public_url), (&None, &None));
    assert_eq!(config.admin.listen, "127.0.0.1:9090".parse().unwrap());
    assert!(config.admin.token.is_none() && config.admin.hosts.is_empty());
    assert_eq!(
        (config.replay.capacity, config.replay.ttl),
        (1_000_000, Duration::from_secs(72 * 3600))
    );
    assert!(!config.replay.refuse_older_than_start);
    assert_eq!(config.replay.on_error, OnError::Refuse);
    let [route] = config.routes.as_slice() else {
        panic!("one route")
    };
    assert_eq!(route.methods, ["POST"]);
    assert_eq!(route.tolerance, Tolerance::Within(Duration::from_secs(300)));
    assert_eq!(route.future_tolerance, route.tolerance);
    assert_eq!(
        (route.max_body, route.upstream_timeout),
        (1 << 20, Duration::from_secs(10))
    );
    assert!(route.replay.enabled && route.enforce);
    assert_eq!(
        route.replay.statuses,
        Statuses {
            on_replay: 409,
            on_duplicate: 200,
            on_conflict: None,
            on_in_flight: 503
        }
    );
    assert_eq!(
        (route.replay.capacity, route.replay.ttl),
        (None, config.replay.ttl)
    );
    assert_eq!(route.secrets[0].name, "env:S");
    assert_eq!(route.secrets[0].text.expose(), b"value-of-S-0123456789");
    assert_eq!(route.upstreams.to_string(), "http://127.0.0.1:3000");
    assert!(
        route.upstream_host.is_none()
            && route.upstream_headers.is_empty()
            && route.event_types.is_none()
    );
    assert_eq!(config.warnings, [] as [Warning; 0]);
}

#[test]
fn the_default_file_says_nothing_but_defaults() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/verigate.toml"))
            .unwrap();
    let name_and_place = "[[route]]\nname = \"itellico\"\npath = \"/webhooks/itellico\"\nprovider = \"itellico\"\n\
         secrets = [\"env:ITELLICO_WEBHOOK_SECRET\"]\nupstream = \"http://127.0.0.1:3000\"\n";
    assert_eq!(
        format!("{:#?}", good(&text)),
        format!("{:#?}", good(name_and_place))
    );
}

#[test]
fn the_options_of_the_default_file_can_be_switched_on() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/verigate.toml"))
            .unwrap();
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(option)
            if option
                .split_once(" = ")
                .is_some_and(|(key, _)| !key.contains(' ')) =>
        {
            option.to_owned()
        }
        _ => line.to_owned(),
    };
    let all: Vec<String> = text.lines().map(on).collect();
    assert_ne!(all.join("\n"), text);
    let config = good(&all.join("\n"));
    assert!(
        config.replay.refuse_older_than_start
            && config.admin.token.is_some()
            && !config.routes[0].enforce
    );
    assert_eq!(config.server.health_path.as_deref(), Some("/healthz"));
    assert!(config.state.dir.is_some() && config.server.upgrade_socket.is_some());
    assert_eq!(
        config.routes[0].upstream_headers[0].0.as_str(),
        "x-gateway-token"
    );
}

#[test]
fn every_example_can_be_loaded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/examples");
    let files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    let secrets = tempfile::tempdir().unwrap();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in text
            .split("file:/run/secrets/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            let mut options = std::fs::OpenOptions::new();
            let mut secret = options
                .create(true)
                .write(true)
                .mode(0o600)
                .open(secrets.path().join(name))
                .unwrap();
            secret.write_all(b"a-secret-that-nobody-guesses").unwrap();
        }
        let config = good(&text.replace("/run/secrets", secrets.path().to_str().unwrap()));
        // Hosts in `hosts.toml` and `providers.toml` are for the reader to replace.
        let expected = match file.file_name().and_then(|name| name.to_str()) {
            Some("hosts.toml") => 2,
            Some("shadow.toml" | "providers.toml") => 1,
            _ => 0,
        };
        assert_eq!(
            config.warnings.len(),
            expected,
            "{}: {:?}",
            file.display(),
            config.warnings
        );
    }
}

#[test]
fn every_key_is_read() {
    let config = good(
        r#"
        [server]
        listen = ["127.0.0.1:0", "[::1]:0"]
        threads = 3
        head_timeout = "1s"
        body_timeout = "2s"
        idle_timeout = "3s"
        write_timeout = "4s"
        max_buffered = "8MiB"
        max_connections = 5
        trusted_proxies = ["10.0.0.0/8", "::1"]
        shutdown_delay = "5s"
        shutdown_grace = "0s"
        max_head = 2048
        max_headers = 7
        health_path = "/healthz"
        public_url = "https://hooks.example.com"
        [admin]
        listen = "0.0.0.0:9999"
        token = "env:TOKEN"
        hosts = ["Admin.Internal"]
        [replay]
        store = "memory"
        capacity = 8
        ttl = "1h"
        refuse_older_than_start = true
        on_error = "memory"
        [[route]]
        name = "custom one"
        host = "A.example"
        path = "/a/*"
        mode = "relay"
        methods = ["POST", "PUT", "POST"]
        secrets = [
            { name = "new", value = "env:NEW", not_before = "2026-01-01T00:00:00Z", not_after = 2027-01-01T00:00:00Z },
            "plain:hunter2",
        ]
        upstream = "http://[::1]:9"
        upstream_host = "b.example:1"
        upstream_headers = { "X-Gateway-Token" = "env:T" }
        upstream_timeout = "6s"
        tolerance = "7s"
        future_tolerance = "8s"
        max_body = "1KiB"
        replay = { on_replay = 200, on_duplicate = 208, on_conflict = 500, capacity = 4, ttl = "30m" }
        enforce = false
        public_url = "https://hooks.example.com/a"
        event_types = ["x"]
        account = { header = "X-Account" }
        [route.scheme]
        algorithm = "hmac-sha512"
        signed = "{id}.{timestamp}.{body}"
        covers_body = true
        body = ["raw"]
        key = { encoding = "utf8", strip = "whsec_" }
        signature = { header = "X-Signature", encoding = "base64", prefix = "v1," }
        timestamp = { header = "X-Timestamp", unit = "milliseconds", stamped = "attempt", unsigned = false }
        tolerance = "1s"
        require = { "X-Version" = "1" }
        event_id = { header = "X-Id", required = true }
        event_type = { json = ["/type", "/sub~1type"] }
        "#,
    );
    let server = &config.server;
    assert_eq!(
        server.listen,
        ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()]
    );
    let secs = Duration::from_secs;
    let timeouts = [
        server.head_timeout,
        server.body_timeout,
        server.idle_timeout,
        server.write_timeout,
    ];
    assert_eq!(timeouts, [secs(1), secs(2), secs(3), secs(4)]);
    assert_eq!(
        (server.threads, server.max_buffered, server.max_connections),
        (3, 8 << 20, 5)
    );
    assert_eq!(
        server.trusted_proxies,
        ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    assert_eq!(
        (server.shutdown_delay, server.shutdown_grace),
        (secs(5), secs(0))
    );
    assert_eq!((server.max_head, server.max_headers), (2048, 7));
    assert_eq!(server.health_path.as_deref(), Some("/healthz"));
    assert_eq!(
        server.public_url.as_deref(),
        Some("https://hooks.example.com")
    );
    assert_eq!(config.admin.listen, "0.0.0.0:9999".parse().unwrap());
    assert_eq!(
        config.admin.token.as_ref().unwrap().expose(),
        b"value-of-TOKEN-0123456789"
    );
    assert_eq!(config.admin.hosts, ["admin.internal"]);
    assert_eq!((config.replay.capacity, config.replay.ttl), (8, secs(3600)));
    assert!(config.replay.refuse_older_than_start);
    assert_eq!(config.replay.on_error, OnError::Memory);

    let [route] = config.routes.as_slice() else {
        panic!("one route")
    };
    assert_eq!(
        (route.name.as_str(), route.pattern.to_string().as_str()),
        ("custom one", "a.example/a/*")
    );
    assert_eq!(route.methods, ["POST", "PUT"]);
    assert_eq!(
        route
            .secrets
            .iter()
            .map(|s| s.name.as_str())
            .collect::<Vec<_>>(),
        ["new", "plain-1"]
    );
    assert_eq!(
        route.secrets[0].not_before,
        Some(UnixMillis(1_767_225_600_000))
    );
    assert_eq!(
        route.secrets[0].not_after,
        Some(UnixMillis(1_798_761_600_000))
    );
    assert_eq!(route.secrets[1].text.expose(), b"hunter2");
    assert_eq!(route.upstreams.to_string(), "http://[::1]:9");
    assert_eq!(route.upstream_host.as_deref(), Some("b.example:1"));
    assert_eq!(route.upstream_headers[0].0.as_str(), "x-gateway-token");
    assert_eq!(
        route.upstream_headers[0].1.expose(),
        b"value-of-T-0123456789"
    );
    assert_eq!((route.upstream_timeout, route.max_body), (secs(6), 1024));
    assert_eq!(
        (route.tolerance, route.future_tolerance),
        (Tolerance::Within(secs(7)), Tolerance::Within(secs(8)))
    );
    assert_eq!(
        route.replay.statuses,
        Statuses {
            on_replay: 200,
            on_duplicate: 208,
            on_conflict: Some(500),
            on_in_flight: 503
        }
    );
    assert_eq!(
        (route.replay.capacity, route.replay.ttl),
        (Some(4), secs(1800))
    );
    assert!(!route.enforce);
    assert_eq!(
        route.public_url.as_deref(),
        Some("https://hooks.example.com/a")
    );
    assert_eq!(
        route.event_types.as_deref(),
        Some(["x".to_owned()].as_slice())
    );

    let scheme = &route.scheme;
    assert_eq!((scheme.provider.as_str(), scheme.preset), ("custom", false));
    assert_eq!(
        (
            scheme.algorithm().name(),
            scheme.template().unwrap().signed.text()
        ),
        ("hmac-sha512", "{id}.{timestamp}.{body}")
    );
    let key = KeyForm {
        encoding: KeyEncoding::Utf8,
        strip: Some("whsec_".into()),
        ..KeyForm::default()
    };
    assert_eq!(scheme.proof.key_forms(), [key]);
    assert_eq!(
        (
            scheme.template().unwrap().signature.encoding.name(),
            scheme.signature_prefix()
        ),
        ("base64", "v1,")
    );
    let timestamp = scheme.timestamp().unwrap();
    assert_eq!(
        (timestamp.unit.name(), timestamp.stamped, timestamp.unsigned),
        ("milliseconds", Stamped::Attempt, false)
    );
    assert_eq!(scheme.tolerance, Tolerance::Within(secs(1)));
    assert_eq!(
        scheme.require,
        [(FieldName::new("X-Version").unwrap(), b"1".to_vec())]
    );
    assert_eq!(
        scheme.event_id,
        Some(Place::Header(FieldName::new("x-id").unwrap()))
    );
    let pointers = ["/type", "/sub~1type"].map(|text| Pointer::parse(text).unwrap());
    assert_eq!(scheme.event_type, Some(Place::Json(pointers.to_vec())));
    assert_eq!(
        scheme.account,
        Some(Place::Header(FieldName::new("x-account").unwrap()))
    );
}

#[test]
fn a_route_may_name_other_places_than_its_preset() {
    let config = good(&format!(
        "{ROUTE}event_id = {{ json = \"/id\", required = false }}\n"
    ));
    let scheme = &config.routes[0].scheme;
    assert!(!scheme.preset, "its id place is no longer the preset's own");
    assert!(!scheme.event_id_required);
    assert_eq!(scheme.provider, "itellico");
    let config = good(&format!("{ROUTE}account = {{ header = \"X-Account\" }}\n"));
    let scheme = &config.routes[0].scheme;
    assert!(scheme.preset && scheme.event_id_required);
    assert!(matches!(&scheme.account, Some(Place::Header(name)) if name.as_str() == "x-account"));
}

#[test]
fn the_routes_own_tolerance_wins_and_stands_for_the_future_too() {
    let seconds = |s| Tolerance::Within(Duration::from_secs(s));
    let rows = [
        ("", "", seconds(300), seconds(300)),
        ("", "tolerance = \"1s\"\n", seconds(1), seconds(1)),
        ("", "future_tolerance = \"1s\"\n", seconds(300), seconds(1)),
        (
            "",
            "tolerance = \"off\"\nfuture_tolerance = \"2s\"\n",
            Tolerance::Off,
            seconds(2),
        ),
        ("tolerance = \"3s\"\n", "", seconds(3), seconds(3)),
        (
            "tolerance = \"3s\"\n",
            "tolerance = \"4s\"\n",
            seconds(3),
            seconds(3),
        ),
        (
            "future_tolerance = \"5s\"\n",
            "tolerance = \"4s\"\n",
            seconds(4),
            seconds(5),
        ),
    ];
    let mut wrong = Vec::new();
    for (own, scheme, past, future) in rows {
        let text = CUSTOM.replace(
            "[route.scheme]\n",
            &format!("{own}[route.scheme]\n{scheme}"),
        );
        let route = &good(&text).routes[0];
        if (route.tolerance, route.future_tolerance) != (past, future) {
            wrong.push((own, scheme, route.tolerance, route.future_tolerance));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_timestamp_that_is_the_events_own_changes_three_defaults() {
    let within = |secs| Tolerance::Within(Duration::from_secs(secs));
    let off = Tolerance::Off;
    let header = "timestamp = { header = \"X-Timestamp\"";
    let rows = [
        (
            "header = \"X-Timestamp\"",
            "",
            within(300),
            within(300),
            409,
        ),
        (
            "header = \"X-Timestamp\", stamped = \"event\"",
            "",
            off,
            within(300),
            200,
        ),
        ("json = \"/t\"", "", off, within(300), 200),
        (
            "json = \"/t\", stamped = \"event\"",
            "",
            off,
            within(300),
            200,
        ),
        (
            "json = \"/t\", stamped = \"attempt\"",
            "",
            within(300),
            within(300),
            409,
        ),
        (
            "json = \"/t\", stamped = \"unknown\"",
            "",
            within(300),
            within(300),
            409,
        ),
        (
            "json = \"/t\"",
            "tolerance = \"8h\"",
            within(28_800),
            within(300),
            200,
        ),
        (
            "json = \"/t\"",
            "future_tolerance = \"1m\"",
            off,
            within(60),
            200,
        ),
    ];
    let mut wrong = Vec::new();
    for (place, tolerances, past, future, on_replay) in rows {
        for of_route in [true, false] {
            let signed = if place.starts_with("json") {
                "{body}"
            } else {
                "{timestamp}.{body}"
            };
            let text = CUSTOM
                .replace(header, &format!("timestamp = {{ {place}"))
                .replace("{timestamp}.{body}", signed);
            let text = if of_route {
                text.replace("[route.scheme]", &format!("{tolerances}\n[route.scheme]"))
            } else {
                format!("{text}\n{tolerances}\n")
            };
            let route = &good(&text).routes[0];
            let found = (route.tolerance, route.future_tolerance);
            if (found, route.replay.statuses.on_replay) != ((past, future), on_replay) {
                wrong.push((place, tolerances, of_route, found));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_preset_whose_retries_carry_the_old_timestamp_raises_its_routes_ttl() {
    let short = good(&format!(
        "{}tolerance = \"5m\"\n",
        ROUTE.replace("itellico", "linear")
    ));
    let names =
        |config: &Config| -> Vec<_> { config.warnings.iter().map(|w| w.name.as_str()).collect() };
    assert!(
        names(&short).contains(&"short-tolerance"),
        "{:?}",
        short.warnings
    );
    let linear = ROUTE.replace("itellico", "linear");
    let ttl = |text: &str| good(text).routes[0].replay.ttl.as_secs();
    let raised = 8 * 3600 + 300 + 30;
    assert_eq!(ttl(&format!("[replay]\nttl = \"1h\"\n{linear}")), raised);
    assert_eq!(ttl(&linear), 72 * 3600);
    let own = format!("{linear}replay = {{ ttl = \"1h\" }}\n");
    let problems = read(&own).unwrap_err().to_string();
    assert!(
        problems.contains("set `ttl` to at least 29130s"),
        "{problems}"
    );
    // Without a tolerance nothing but the `ttl` decides, so any is allowed.
    assert_eq!(
        ttl(&format!(
            "{linear}tolerance = \"off\"\nreplay = {{ ttl = \"1h\" }}\n"
        )),
        3600
    );
}

#[test]
fn what_is_allowed_but_doubtful_is_warned_about_with_its_line() {
    let text = CUSTOM.replace(
        "timestamp = { header = \"X-Timestamp\" }",
        "event_type = { header = \"X-Type\" }",
    );
    let text = text
        .replace("{timestamp}.", "")
        .replace("\"env:S\"", "\"plain:hunter2\"")
        .replace(
            "[route.scheme]",
            "tolerance = \"1m\"\nenforce = false\nmax_body = \"65MiB\"\n[route.scheme]",
        );
    let second = ROUTE.replace("\"a\"", "\"b\"").replace("/a", "/b");
    let both = format!(
        "[server]\ntrusted_proxies = [\"0.0.0.0/0\"]\n{ROUTE}tolerance = \"off\"\n\n{text}\
         {second}replay = \"off\"\nfuture_tolerance = \"off\"\n"
    );
    insta::assert_snapshot!(warned(&good(&both)), @r#"
    a.toml:2: `trusted_proxies` trusts everybody: any client can claim any address [trusts-everybody]
    a.toml:9: route `a`: `tolerance` is off: timestamps may be of any age [tolerance-off]
    a.toml:14: the secret `plain-1` is written in the configuration file, where everybody who can read the file sees it [literal-secret]
    a.toml:14: the secret `plain-1` looks like a placeholder that was never replaced [placeholder-secret]
    a.toml:16: route `c`: its scheme has no timestamp, so `tolerance` has no effect [no-effect]
    a.toml:17: route `c`: shadow mode (`enforce = false`): deliveries are forwarded whatever their verdict [shadow-mode]
    a.toml:18: route `c`: `max_body` (65MiB) is above a quarter of `server.max_buffered` (256MiB), the most that one client address may hold: larger bodies are answered `overloaded` [max-body-share]
    a.toml:19: route `c`: two events with the same body look alike and count as one event for 3d: the second is answered as a duplicate and not forwarded. Where that can happen, name a signed id with `event_id`, or write `replay = "off"`; a scheme whose events are alike by design has `events_repeat = true` [alike-events]
    a.toml:23: route `c`: no signature covers the event type: until a delivery is done, a captured copy of it can be sent under another type [unsigned-type]
    a.toml:28: route `b`: the secret `env:S` is also a key of route `a`: a captured delivery is valid once on each [shared-key]
    a.toml:30: route `b`: replay protection is off: a captured delivery can be sent again [replay-off]
    a.toml:31: route `b`: `future_tolerance` is off: timestamps may lie anywhere in the future [future-tolerance-off]
    "#);
}

#[test]
fn a_missing_file_says_which_and_how_to_name_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.toml");
    let shown = load(&path).unwrap_err().to_string();
    assert!(
        shown.contains(&format!(
            "there is no configuration file {}",
            path.display()
        )),
        "{shown}"
    );
    for words in [
        "--config verigate.toml",
        "verigate providers NAME",
        "conf/verigate.toml",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(!shown.contains("looked for"), "{shown}");
    let shown = load(Path::new("none-such.toml")).unwrap_err().to_string();
    let whole = std::env::current_dir().unwrap().join("none-such.toml");
    let whole = format!("It was looked for at {}", whole.display());
    assert!(shown.contains(&whole), "{shown}");
}

#[test]
fn cf_04_a_file_that_is_no_configuration_is_refused_without_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    let nested = |count| format!("a = {}{}", "[".repeat(count), "]".repeat(count));
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "ten megabytes",
            b"# x\n".repeat(2_500_000),
            "is larger than 1 MiB",
        ),
        (
            "invalid UTF-8",
            b"[server]\nthreads = \xff\n".to_vec(),
            "line 2",
        ),
        ("NUL", b"[server]\n\nthreads = 1\0\n".to_vec(), "line 3"),
        ("nested lists", nested(10_000).into_bytes(), "recursion"),
        (
            "nested tables",
            format!("a{}", ".a".repeat(10_000)).into_bytes(),
            "a.toml",
        ),
        (
            "a deep key",
            format!("a{} = 1", ".a".repeat(10_000)).into_bytes(),
            "recursion",
        ),
        (
            "a deep header",
            format!("[a{}]", ".a".repeat(100_000)).into_bytes(),
            "recursion",
        ),
        ("nothing but brackets", b"[".repeat(1 << 20), "1 problem in"),
        ("nothing but quotes", b"\"\n".repeat(1 << 16), "is not TOML"),
        ("empty", Vec::new(), "has no route"),
        (
            "a mark of order",
            b"\xEF\xBB\xBF[server]\n".to_vec(),
            "has no route",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, bytes, expected) in rows {
        std::fs::write(&path, bytes).unwrap();
        match load(&path) {
            Ok(_) => wrong.push((name, "was taken".to_owned())),
            Err(problems) if problems.to_string().contains(expected) => {}
            Err(problems) => wrong.push((name, problems.to_string().chars().take(500).collect())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        load(directory.path())
            .unwrap_err()
            .to_string()
            .contains("is not a regular file")
    );
}
