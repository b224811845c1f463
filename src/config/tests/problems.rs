//! The problems of bad files: every rule of the configuration that can be judged while loading
//! (contract: Configuration; CF-01 to CF-08).

use super::{CUSTOM, ROUTE, read};

/// The text that is printed about a file.
pub(super) fn problems(text: &str) -> String {
    read(text).map_or_else(|problems| problems.to_string(), |_| "no problem".to_owned())
}

/// A file with these lines in `[server]`.
fn server(lines: &str) -> String {
    format!("[server]\n{lines}\n{ROUTE}")
}

/// A file with these lines in its preset route.
fn route(lines: &str) -> String {
    format!("{ROUTE}{lines}\n")
}

/// A file in whose custom route a text is replaced by another.
pub(super) fn scheme(from: &str, to: &str) -> String {
    assert!(CUSTOM.contains(from), "{from}");
    CUSTOM.replacen(from, to, 1)
}

/// Asserts that each file has exactly one problem, which says these words, has a place, and shows
/// no secret.
pub(super) fn each_says(rows: &[(String, &str)]) {
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let shown = problems(text);
        let is_right = shown.contains(expected)
            && shown.contains("\n1 problem in a.toml\n")
            && shown.contains("--> a.toml:")
            && !shown.contains("hunter2");
        if !is_right {
            wrong.push(format!("wanted: {expected}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_server_is_told_what_is_wrong() {
    each_says(&[
        (server("thread = 4"), "did you mean `threads`?"),
        (
            server("lisen = [\"127.0.0.1:1\"]"),
            "did you mean `listen`?",
        ),
        (server("colour = 1"), "known here: acme, body_timeout, "),
        (
            server("threads = \"many\""),
            "`server.threads` must be a whole number, not a string",
        ),
        (server("threads = -1"), "from 0 to 1024"),
        (server("threads = 1.5"), "not a number with a point"),
        (
            server("listen = \"127.0.0.1:8080\""),
            "must be a list, not a string",
        ),
        (server("listen = []"), "`server.listen` is empty"),
        (
            server("listen = [\"localhost:8080\"]"),
            "is no address to listen on",
        ),
        (
            server("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]"),
            "already listened on",
        ),
        (
            server("listen = [\"127.0.0.1:1\", \"0.0.0.0:1\"]"),
            "already listened on",
        ),
        (
            server("listen = [\"127.0.0.1:9090\"]"),
            "`admin.listen` is an address of the traffic port too",
        ),
        (
            server("head_timeout = \"0s\""),
            "`server.head_timeout` is zero",
        ),
        (
            server("body_timeout = 30"),
            "must be a string, not an integer",
        ),
        (server("idle_timeout = \"60\""), "has no unit"),
        (server("write_timeout = \"1 s\""), "is no duration"),
        (server("write_timeout = \"-1s\""), "is no duration"),
        (
            server("write_timeout = \"99999999999999999999h\""),
            "is no duration",
        ),
        (
            server("max_buffered = \"99999999999999999999GiB\""),
            "is no size",
        ),
        (server("max_buffered = \"0\""), "is zero"),
        (server("max_buffered = \"big\""), "is no size"),
        (server("max_connections = 0"), "from 1 to"),
        (server("trusted_proxies = [\"proxy\"]"), "is no network"),
        (server("max_head = \"100\""), "from 1KiB to 1MiB"),
        (server("max_headers = 0"), "from 1 to"),
        (server("health_path = \"healthz\""), "begin it with `/`"),
        (
            server("health_path = \"/a\""),
            "`server.health_path` is the path of a route",
        ),
        (
            server("public_url = \"hooks.example.com\""),
            "names no host",
        ),
        (
            server("public_url = \"https://u:hunter2@a.example\""),
            "holds a user name or password",
        ),
        (
            server("tls = { listen = [], key = \"hunter2\" }"),
            "`server.tls` must be a list of tables",
        ),
        (
            format!("server = 1\n{ROUTE}"),
            "`server` must be a table, not an integer",
        ),
        (
            format!("[servers]\nthreads = 1\n{ROUTE}"),
            "did you mean `server`?",
        ),
        (
            format!("[sever]\nthreads = 1\n{ROUTE}"),
            "did you mean `server`?",
        ),
    ]);
}

#[test]
fn cf_08_the_admin_port_stays_on_this_machine_without_a_token() {
    let admin = |lines: &str| format!("[admin]\n{lines}\n{ROUTE}");
    each_says(&[
        (
            admin("listen = \"0.0.0.0:9090\""),
            "is open beyond this machine, and there is no token",
        ),
        (
            admin("listen = \"[::]:9090\""),
            "is open beyond this machine",
        ),
        (
            admin("listen = [\"127.0.0.1:9090\"]"),
            "must be a string, not a list",
        ),
        (
            admin("listen = \"0.0.0.0:9090\"\ntoken = \"env:EMPTY\""),
            "is an empty secret",
        ),
        (
            admin("token = \"hunter2\""),
            "is not a reference to a secret (its text is not shown)",
        ),
        (
            admin("token = { value = \"hunter2\" }"),
            "must be a string, not a table",
        ),
        (
            admin("token = \"plain:hunter2 and a space\""),
            "holds a byte that no request could send",
        ),
        (admin("hosts = [\"http://a\"]"), "is no host name"),
        (admin("tokn = \"hunter2\""), "did you mean `token`?"),
    ]);
    assert_eq!(problems(&admin("listen = \"[::1]:9090\"")), "no problem");
}

#[test]
fn the_replay_window_is_told_what_is_wrong() {
    let window = |lines: &str| format!("[replay]\n{lines}\n{ROUTE}");
    each_says(&[
        (
            window("store = \"redis\""),
            "= `redis` is not supported yet",
        ),
        (window("store = \"memry\""), "did you mean `memory`?"),
        (window("capacity = 0"), "is out of range"),
        (window("ttl = \"0s\""), "is zero"),
        (window("ttl = \"10m\""), "set `ttl` to at least 630s"),
        (
            format!("[replay]\nttl = \"629s\"\n{ROUTE}"),
            "--> a.toml:2:1",
        ),
        (
            window("on_error = \"forward\""),
            "known: `refuse`, `memory`",
        ),
        (
            window("refuse_older_than_start = \"yes\""),
            "must be `true` or `false`, not a string",
        ),
        (route("replay = { ttl = \"629s\" }"), "--> a.toml:7:12"),
        (
            route("tolerance = \"37h\""),
            "`ttl` (3d) is shorter than `tolerance` plus `future_tolerance` plus `body_timeout`",
        ),
        (
            route("future_tolerance = \"72h\""),
            "set `ttl` to at least 259530s",
        ),
        (route("replay = \"on\""), "is neither `\"off\"` nor a table"),
        (route("replay = true"), "must be a table, not a boolean"),
        (route("replay = { on_replay = 199 }"), "from 200 to 599"),
        (route("replay = { on_duplicate = 600 }"), "from 200 to 599"),
        (
            route("replay = { on_conflict = 204 }"),
            "is a status without a body",
        ),
        (
            route("replay = { on_duplicates = 200 }"),
            "did you mean `on_duplicate`?",
        ),
    ]);
    for good in [
        window("ttl = \"630s\""),
        window("ttl = \"1s\"\n") + "replay = \"off\"",
        route("replay = { ttl = \"630s\" }"),
    ] {
        assert_eq!(problems(&good), "no problem", "{good}");
    }
    let off = format!("[replay]\nttl = \"1s\"\n{ROUTE}tolerance = \"off\"\n");
    assert_eq!(problems(&off), "no problem");
}

#[test]
fn a_route_is_told_what_is_wrong() {
    let without = |key: &str| {
        let lines = ROUTE.lines().filter(|line| !line.starts_with(key));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    each_says(&[
        (without("name"), "`route.name` is missing"),
        (without("path"), "`route.path` is missing"),
        (without("upstream"), "`route.upstream` is missing"),
        (without("secrets"), "`route.secrets` is missing"),
        (
            without("provider"),
            "neither `provider` nor `[route.scheme]`",
        ),
        (ROUTE.replace("\"a\"", "\"-\""), "where no route matched"),
        (ROUTE.replace("\"a\"", "\" \""), "`route.name` is empty"),
        (
            ROUTE.replace("\"a\"", "\"a\\u0007\""),
            "holds a control character",
        ),
        (
            ROUTE.replace("\"/a\"", "\"a\""),
            "`route.path` cannot be matched",
        ),
        (
            ROUTE.replace("\"/a\"", "\"/a/*/b\""),
            "`route.path` cannot be matched",
        ),
        (route("host = \"a b\""), "`route.host` cannot be matched"),
        (route("host = 1"), "`route.host` must be a string"),
        (
            ROUTE.replace("itellico", "itelico"),
            "did you mean `itellico`?",
        ),
        (
            ROUTE.replace("itellico", "no-such-provider"),
            "any other is spelled out in `[route.scheme]`",
        ),
        (
            route("[route.scheme]\nalgorithm = \"hmac-sha256\""),
            "has both `route.provider` and `route.scheme`",
        ),
        (
            ROUTE.replace("http://", "ftp://"),
            "does not begin with http://",
        ),
        (
            ROUTE.replace(":3000", ":3000/hook"),
            "has a path, query or fragment",
        ),
        (
            ROUTE.replace("http://", "http://u:hunter2@"),
            "holds a user name or password",
        ),
        (
            ROUTE.replace(":3000", ":8080"),
            "`upstream` is an address of this gateway",
        ),
        (
            ROUTE.replace("127.0.0.1:3000", "localhost:9090"),
            "`upstream` is an address of this gateway",
        ),
        (
            format!(
                "[server]\nupgrade_socket = \"/run/gone/upgrade.sock\"\n{}",
                ROUTE.replace("http://127.0.0.1:3000", "unix:/run/gone/./upgrade.sock")
            ),
            "`upstream` is the socket by which this gateway is taken over",
        ),
        (
            route("upstream_host = \"http://a\""),
            "is no value for `Host`",
        ),
        (route("methods = []"), "`route.methods` is empty"),
        (route("methods = [\"post\"]"), "write it in capitals"),
        (route("methods = [\"TRACE\"]"), "carries no delivery"),
        (route("max_body = \"0\""), "is zero"),
        (
            route("max_body = \"1MiB\"\nmax_body = \"2MiB\""),
            "is there twice",
        ),
        (
            route("max_body = \"257MiB\""),
            "to at most a quarter of `max_buffered`, 64MiB",
        ),
        (
            server("max_buffered = \"512KiB\""),
            "`max_body` (1MiB) is above `server.max_buffered` (512KiB)",
        ),
        (
            route("upstream_timeout = \"0s\""),
            "`route.upstream_timeout` is zero",
        ),
        (route("tolerance = \"0s\""), "no delivery could be in time"),
        (route("tolerance = \"none\""), "or `off`"),
        (route("enforce = 0"), "must be `true` or `false`"),
        (route("event_types = []"), "no delivery could be taken"),
        (route("mode = \"queue\""), "no directory for them is named"),
        (
            route("[route.handshake]\nverify_token = \"hunter2\""),
            "the route has `route.handshake`, but its scheme has no handshake",
        ),
        (route("event_id = \"/id\""), "must be a table, not a string"),
        (route("event_id = { json = \"id\" }"), "is no JSON pointer"),
        (route("account = { }"), "names no place"),
        (
            route("account = { header = \"X-A\", json = \"/a\" }"),
            "names two places",
        ),
        (
            route("event_type = { claim = \"t\" , header = \"X-T\" }"),
            "keep one of `header`, `json` and `claim`",
        ),
        (
            route("event_type = { claim = \"t\" }"),
            "no JWT signs this delivery",
        ),
        (
            format!("{ROUTE}{}", ROUTE.replace("\"/a\"", "\"/b\"")),
            "two routes are called `a`",
        ),
        (
            format!("{ROUTE}{}", ROUTE.replace("\"a\"", "\"b\"")),
            "takes the same requests as route `a`",
        ),
        ("[server]\n".to_owned(), "the file has no route"),
        (ROUTE.replace("[[route]]", "[route]"), "in double brackets"),
        (
            ROUTE.replace("[[route]]", "[[routes]]")
                + "[[route]]\nname = \"b\"\npath = \"/b\"\nprovider = \"itellico\"\n\
          secrets = [\"env:S\"]\nupstream = \"http://a\"\n",
            "did you mean `route`?",
        ),
    ]);
}

#[test]
fn secrets_are_refused_without_being_shown() {
    let secrets = |value: &str| ROUTE.replace("[\"env:S\"]", value);
    each_says(&[
        (secrets("[]"), "is empty: nothing could be verified"),
        (secrets("\"hunter2\""), "must be a list"),
        (
            secrets("[\"hunter2\"]"),
            "is not a reference to a secret (its text is not shown)",
        ),
        (
            secrets("[\"\"\"\nhunter2\"\"\"]"),
            "is not a reference to a secret",
        ),
        (
            secrets("['hunter2', \"env:S\"]"),
            "is not a reference to a secret",
        ),
        (secrets("[42]"), "must be a string, not an integer"),
        (secrets("[[\"hunter2\"]]"), "must be a string, not a list"),
        (secrets("[\"env:UNSET\"]"), "as in `export UNSET=…`"),
        (
            secrets("[\"env:EMPTY\"]"),
            "the environment variable EMPTY holds nothing",
        ),
        (
            secrets("[\"env:NEWLINE\"]"),
            "the environment variable NEWLINE holds nothing",
        ),
        (
            secrets("[\"file:none\"]"),
            "needs the file none, which does not exist",
        ),
        (
            secrets("[\"file:none\"]"),
            "a relative path begins beside the configuration file",
        ),
        (
            secrets("[\"file:/run/secrets/none\"]"),
            "in a container, mount it there",
        ),
        (
            secrets("[\"file:/\"]"),
            "Docker makes a directory where the file to mount is missing",
        ),
        (
            secrets("[\"env:S\", \"env:S\"]"),
            "two secrets of this route are called `env:S`",
        ),
        (
            secrets("[{ name = \"a\" }]"),
            "`route.secrets.value` is missing",
        ),
        (
            secrets("[{ value = \"hunter2\" }]"),
            "is not a reference to a secret",
        ),
        (
            secrets("[{ value = \"env:S\", nam = \"hunter2\" }]"),
            "did you mean `name`?",
        ),
        (
            secrets("[{ name = \"\", value = \"plain:hunter2\" }]"),
            "`route.secrets.name` is empty",
        ),
        (
            secrets("[{ value = \"plain:hunter2\", not_after = \"tomorrow\" }]"),
            "is no moment",
        ),
        (
            secrets(
                "[{ value = \"plain:hunter2\", not_before = \"2026-01-02T00:00:00Z\", not_after = 2026-01-01T00:00:00Z }]",
            ),
            "is never active",
        ),
        (
            ROUTE.replace("secrets = [\"env:S\"]", "secret = [\"hunter2\"]")
                + "secrets = [\"env:S\"]\n",
            "did you mean `secrets`?",
        ),
        (
            scheme("[route.scheme]\n", "[route.scheme]\nkey = \"base64\"\n"),
            "is no key of this scheme",
        ),
        (
            scheme("[route.scheme]\n", "[route.scheme]\nkey = \"hunter2\"\n"),
            "is not a known name",
        ),
        (
            route("upstream_headers = { \"X-Token\" = \"hunter2\" }"),
            "is not a reference to a secret",
        ),
        (
            route("upstream_headers = { \"X-Token\" = \"plain:hunter2\\u0007\" }"),
            "holds a byte that no header may hold",
        ),
        (
            route("upstream_headers = { \"X Token\" = \"plain:hunter2\" }"),
            "is no header name",
        ),
        (
            route("upstream_headers = { \"Host\" = \"plain:hunter2\" }"),
            "is set by `upstream_host`",
        ),
        (
            route("upstream_headers = { \"content_length\" = \"env:S\" }"),
            "is set by the gateway itself",
        ),
        (
            route("upstream_headers = { \"X_Verigate-Route\" = \"env:S\" }"),
            "is set by the gateway itself",
        ),
        (
            route("upstream_headers = { \"X_Webhook_Timestamp\" = \"env:S\" }"),
            "is a header that the provider sends",
        ),
        (
            route("upstream_headers = { X-A = \"env:S\", X_A = \"env:S\" }"),
            "in this or another spelling",
        ),
    ]);
}

#[test]
fn cf_01_the_path_of_a_secret_that_is_missing_is_shown_and_a_secret_in_its_place_is_not() {
    for (path, is_shown) in [
        ("file:/etc/verigate-test/stripe2.secret", true),
        ("file:stripe2v3.secret", true),
        ("file:/run/verigate-test/stripe2v3", true),
        ("file:hunter2", false),
        ("file:/etc/verigate-test/whsec_hunter2.secret", false),
        ("file:/etc/verigate-test/kZ3q8vX1pLm0aQ7bR5nT", false),
    ] {
        for text in [
            ROUTE.replace("env:S", path),
            format!("{ROUTE}[admin]\ntoken = \"{path}\"\n"),
            format!("{ROUTE}[state]\ndir = \"/tmp\"\nkeys = [\"{path}\"]\n"),
        ] {
            let shown = problems(&text);
            let name = path.strip_prefix("file:").unwrap();
            let last = name.rsplit('/').next().unwrap();
            let words = [format!("needs the file {name}"), format!("\"{path}\"")];
            assert!(
                if is_shown {
                    words.iter().all(|words| shown.contains(words))
                } else {
                    !shown.contains(last)
                },
                "{path}: {shown}"
            );
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_shown_unless_its_key_holds_secrets() {
    let rows = [
        (
            ROUTE.to_owned() + "[admin]\nlisten = [\"127.0.0.1:9090\"]\n",
            "listen = [\"127.0.0.1:9090\"]",
        ),
        (
            ROUTE.to_owned() + "[server]\nlisten = \"127.0.0.1:8080\"\n",
            "listen = \"127.0.0.1:8080\"",
        ),
        (
            ROUTE.replace(
                "upstream = \"http://127.0.0.1:3000\"",
                "upstream = [\"http://127.0.0.1:3000\"]",
            ),
            "upstream = [\"http://127.0.0.1:3000\"]",
        ),
        (
            ROUTE.to_owned() + "tolerance = { past = \"a5m\", ttl = \"5m\" }\n",
            "tolerance = { past = ********, ttl = \"5m\" }",
        ),
        (
            ROUTE.to_owned() + "event_id = [\"/id\", 1, true]\n",
            "event_id = [\"/id\", 1, true]",
        ),
        (
            ROUTE.to_owned() + "public_url = [\"https://u:hunter2@h.io\"]\n",
            "public_url = [********]",
        ),
        (
            ROUTE.to_owned() + "host = [\"whsec_c2VjcmV0c2VjcmV0\"]\n",
            "host = [********]",
        ),
        (
            ROUTE.to_owned() + "[admin]\ntoken = [\"hunter2\", 7]\n",
            "token = [********, ********]",
        ),
        (
            ROUTE.to_owned() + "upstream_headers = { X-T = [\"hunter2\"] }\n",
            "upstream_headers = { X-T = [********] }",
        ),
        (
            ROUTE.replace("\"env:S\"", "{ name = [\"a\"], value = [\"hunter2\"] }"),
            "{ name = [\"a\"], value = [********] }",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, line) in rows {
        let shown = problems(&text);
        if !shown.contains(line) || shown.contains("hunter2") {
            wrong.push((line, shown));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
