//! The upstreams of a route: addresses, weights, balance, health checks, TLS and the app's path.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::problems::{each_says, problems};
use super::{ROUTE, env, read, warned};
use crate::clock::UnixMillis;
use crate::config::files::Files;
use crate::config::{Balance, Config, Health, Problems, Sources, Upstreams, parse};
use crate::tls::tests::{pem_for, signed};

const UPSTREAM: &str = "upstream = \"http://127.0.0.1:3000\"\n";

/// The route with these lines in place of its `upstream`.
fn route(lines: &str) -> String {
    ROUTE.replace(UPSTREAM, &format!("{lines}\n"))
}

/// The route with `upstream` and these lines.
fn with(lines: &str) -> String {
    format!("{ROUTE}{lines}\n")
}

fn upstreams(text: &str) -> Upstreams {
    let config = read(text).unwrap_or_else(|problems| panic!("{problems}"));
    config.routes[0].upstreams.clone()
}

#[test]
fn one_upstream_or_several_with_weights_and_balance() {
    let rows = [
        (
            route("upstream = \"unix:/run/a.sock\""),
            "unix:/run/a.sock",
            Balance::RoundRobin,
        ),
        (
            route("upstreams = [{ url = \"http://a\" }, { url = \"http://b:1\", weight = 100 }]"),
            "http://a:80, http://b:1 ×100",
            Balance::RoundRobin,
        ),
        (
            route(
                "balance = \"least_busy\"\n[[route.upstreams]]\nurl = \"http://a\"\nweight = 2\n\
                 [[route.upstreams]]\nurl = \"unix:/b\"",
            ),
            "http://a:80 ×2, unix:/b",
            Balance::LeastBusy,
        ),
    ];
    for (text, expected, balance) in rows {
        let found = upstreams(&text);
        assert_eq!(
            (found.to_string().as_str(), found.balance),
            (expected, balance)
        );
        assert!(found.health.is_none());
    }
}

#[test]
fn health_checks_have_defaults_and_the_host_of_the_route() {
    let secs = Duration::from_secs;
    let health = |lines: &str| upstreams(&with(lines)).health.unwrap();
    let expected = Health {
        path: "/healthz".to_owned(),
        host: None,
        interval: secs(10),
        timeout: secs(3),
    };
    assert_eq!(health("health = { path = \"/healthz\" }"), expected);
    let own = health(
        "upstream_host = \"app:1\"\nhealth = { path = \"/a?b=c\", interval = \"1s\", timeout = \"100ms\" }",
    );
    let expected = Health {
        path: "/a?b=c".to_owned(),
        host: Some("app:1".to_owned()),
        interval: secs(1),
        timeout: Duration::from_millis(100),
    };
    assert_eq!(own, expected);
}

#[test]
fn the_app_s_path_ends_as_the_matched_prefix_does() {
    let path = |text: &str| read(text).unwrap().routes[0].upstream_path.clone();
    let prefix =
        |path: &str| ROUTE.replace("\"/a\"", "\"/a/*\"") + &format!("upstream_path = \"{path}\"\n");
    assert_eq!(path(ROUTE), None);
    let exact = path(&with("upstream_path = \"/b/c\""));
    assert_eq!(exact.as_deref(), Some("/b/c"));
    for (written, expected) in [("/", "/"), ("/b", "/b/"), ("/b/", "/b/")] {
        assert_eq!(path(&prefix(written)).as_deref(), Some(expected));
    }
}

#[test]
fn what_is_wrong_with_upstreams_is_said() {
    let list = |entries: &str| route(&format!("upstreams = [{entries}]"));
    let many: Vec<_> = (0..65)
        .map(|n| format!("{{ url = \"http://a{n}\" }}"))
        .collect();
    each_says(&[
        (route(""), "`route.upstream` is missing"),
        (
            with("upstreams = [{ url = \"http://b\" }]"),
            "has both `route.upstream` and `route.upstreams`",
        ),
        (list(""), "`route.upstreams` is empty"),
        (list(&many.join(", ")), "has more than 64 entries"),
        (list("\"http://a\""), "must be a table, not a string"),
        (list("{ weight = 1 }"), "`route.upstreams.url` is missing"),
        (
            list("{ url = \"http://a\", wieght = 1 }"),
            "did you mean `weight`?",
        ),
        (list("{ url = \"http://a\", weight = 0 }"), "from 1 to 100"),
        (
            list("{ url = \"http://a\", weight = 101 }"),
            "from 1 to 100",
        ),
        (
            list("{ url = \"http://a\" }, { url = \"http://A:80\", weight = 2 }"),
            "is in the list already",
        ),
        (
            list("{ url = \"http://u:hunter2@a\" }"),
            "holds a user name or password",
        ),
        (
            list("{ url = \"http://a\" }, { url = \"http://127.0.0.1:8080\" }"),
            "`upstream` is an address of this gateway",
        ),
        (
            list("{ url = \"http://a\" }, { url = \"unix:///run/app.sock\" }"),
            "`unix:/run/app.sock` for `unix:///run/app.sock`",
        ),
        (
            route("upstreams = [{ url = \"http://a\" }]\nbalance = \"least_conn\""),
            "did you mean `least_busy`?",
        ),
        (
            route("upstreams = [{ url = \"http://a\" }]\nbalance = \"LeastConn\""),
            "did you mean `least_busy`?",
        ),
        (
            route("upstreams = [{ url = \"http://a\" }]\nbalance = \"roundrobin\""),
            "did you mean `round_robin`?",
        ),
        (
            with("balance = \"least_busy\""),
            "`route.balance` has nothing to choose from",
        ),
        (
            route("balance = \"random\"\nupstreams = [{ url = \"http://a\" }]"),
            "known: `round_robin`, `least_busy`",
        ),
        (with("health = \"/healthz\""), "must be a table"),
        (with("health = {}"), "`route.health.path` is missing"),
        (with("health = { path = \"healthz\" }"), "is no path"),
        (with("health = { path = \"/a b\" }"), "is no path"),
        (
            with("health = { path = \"/a\", interval = \"500ms\" }"),
            "write a time from 1s to 1h",
        ),
        (
            with("health = { path = \"/a\", timeout = \"61s\" }"),
            "write a time from 100ms to 1m",
        ),
        (
            with("upstream_tls = \"insecure\""),
            "is set, and no upstream is `https://`",
        ),
        (
            route("upstream = \"https://a\"\nupstream_tls = \"off\""),
            "is not \"insecure\"",
        ),
        (
            route("upstream = \"https://a\"\nupstream_tls = { ca = \"none.crt\" }"),
            "needs the file none.crt",
        ),
        (
            route("upstream = \"https://a\"\nupstream_tls = { server_name = \"https://a\" }"),
            "is no name of a server",
        ),
        (
            route("upstream = \"https://a\"\nupstream_tls = { certificate = \"a.crt\" }"),
            "stands without the other half",
        ),
        (
            route("upstream = \"https://a\"\nupstream_tls = { verify = false }"),
            "unknown key `route.upstream_tls.verify`",
        ),
        (with("upstream_path = \"b\""), "does not start with `/`"),
        (with("upstream_path = \"/b/*\""), "holds a `*`"),
        (with("upstream_path = \"/b?c\""), "holds a query"),
        (with("upstream_path = \"/b/../c\""), "dot segment"),
        (with("upstream_path = \"//b\""), "empty segment"),
    ]);
}

#[test]
fn a_wrong_address_in_a_list_has_its_own_place() {
    let shown = problems(&route(
        "upstreams = [\n  { url = \"http://a\" },\n  { url = \"http://b/c\" },\n]",
    ));
    assert!(shown.contains("--> a.toml:8:11"), "{shown}");
}

fn read_in(folder: &Path, text: &str) -> Result<Config, Problems> {
    let sources = Sources {
        base_dir: folder,
        env: &env,
        now: UnixMillis(1_795_392_000_000),
        files: &Files::default(),
    };
    parse("a.toml", text, &sources)
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn tls_is_equal_only_with_the_same_authorities_name_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, certificate, key) = signed();
    let (other_ca, ..) = signed();
    let (client, client_key) = pem_for(&["gateway"]);
    for (name, text) in [
        ("ca.crt", &ca),
        ("other.crt", &other_ca),
        ("own.crt", &certificate),
        ("own.key", &key),
        ("client.crt", &client),
        ("client.key", &client_key),
    ] {
        write(folder.path(), name, text);
    }
    let tls = |settings: &str| {
        let text = route(&format!(
            "upstream = \"https://app\"\nupstream_tls = {settings}"
        ));
        let config = read_in(folder.path(), &text).unwrap_or_else(|problems| panic!("{problems}"));
        let warned = warned(&config).contains("[insecure-upstream]");
        assert_eq!(warned, settings == "\"insecure\"", "{settings}");
        config.routes[0].upstreams.members[0].tls.clone().unwrap()
    };
    let all = [
        "\"insecure\"",
        "{ ca = \"ca.crt\" }",
        "{ ca = \"other.crt\" }",
        "{ ca = \"ca.crt\", server_name = \"other\" }",
        "{ ca = \"ca.crt\", certificate = \"own.crt\", key = \"own.key\" }",
        "{ ca = \"ca.crt\", certificate = \"client.crt\", key = \"client.key\" }",
    ];
    for (place, one) in all.iter().enumerate() {
        for (other_place, other) in all.iter().enumerate() {
            let is_equal = tls(one) == tls(other);
            assert_eq!(is_equal, place == other_place, "{one} {other}");
        }
    }
    let named = tls("{ ca = \"ca.crt\", server_name = \"APP\" }");
    assert_eq!(named, tls(all[1]), "the host's name in other letters");
}

#[test]
fn an_https_upstream_may_have_an_address_for_its_name() {
    for host in ["10.0.0.1", "[::1]", "my_app", "app.internal."] {
        let text = route(&format!(
            "upstream = \"https://{host}\"\nupstream_tls = \"insecure\""
        ));
        assert!(upstreams(&text).members[0].tls.is_some(), "{host}");
    }
}
