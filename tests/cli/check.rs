//! `check` (contract: Command line): what would run, with its warnings, and never a secret.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use verigate::clock::Clock;
use verigate::store::sqlite::{QueueDb, WindowDb};

use crate::stage::Folder;
use crate::support::SOON;
use crate::support::cases::Cases;

const SECRET: &str = "a-secret-of-the-environment";

fn file(route: &str) -> String {
    format!(
        "[[route]]\nname = \"conversations\"\npath = \"/webhooks/itellico\"\nprovider = \"itellico\"\n\
         upstream = \"http://127.0.0.1:3000\"\n{route}\n"
    )
}

#[test]
fn a_good_file_shows_what_would_run() {
    let folder = Folder::new().env("S", SECRET);
    folder.write(
        "verigate.toml",
        file("secrets = [{ name = \"2026-q4\", value = \"env:S\" }]"),
    );
    let ended = folder.run(["check", "--config", "verigate.toml"]);
    ended.expect_code(0).expect_hidden(&[SECRET, "panicked"]);
    for word in [
        "conversations",
        "/webhooks/itellico",
        "itellico",
        "http://127.0.0.1:3000",
        "2026-q4",
    ] {
        assert!(
            ended.stdout.contains(word),
            "{word} is not on standard output: {ended}"
        );
    }
    assert!(
        !ended.all().to_lowercase().contains("warning"),
        "nothing to warn about: {ended}"
    );
}

#[test]
fn the_path_of_a_secret_is_shown_as_the_file_writes_it() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("keys")).expect("a directory");
    let secret = folder.write("keys/one.secret", "a-secret-of-the-file\n");
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("a mode");
    folder.write(
        "verigate.toml",
        file("secrets = [\"file:keys/one.secret\"]"),
    );
    folder
        .run(["check", "--config", "verigate.toml"])
        .expect_code(0)
        .expect_words(&[
            "file:one.secret (file:keys/one.secret)",
            "by signed id: replay 409, duplicate 200, conflict 409 (another body 200)",
        ]);
}

#[test]
fn what_is_allowed_but_unwise_is_warned_about() {
    let folder = Folder::new().env("S", SECRET);
    let secret_file = folder.write("secret", "a-secret-of-the-file\n");
    fs::set_permissions(&secret_file, PermissionsExt::from_mode(0o644)).expect("a mode");
    let crlf = folder.write("crlf", "a-secret-of-the-file\r\n");
    let bom = folder.write("bom", "\u{feff}a-secret-of-the-file\n");
    for path in [&crlf, &bom] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
    let of_file = |path: &Path| format!("secrets = [\"file:{}\"]", path.display());
    let mut cases = Cases::new();
    for (name, route, words) in [
        (
            "a literal secret",
            "secrets = [\"plain:a-literal-secret-77\"]".to_owned(),
            &["plain"][..],
        ),
        (
            "no replay protection",
            "secrets = [\"env:S\"]\nreplay = \"off\"".to_owned(),
            &["replay"],
        ),
        (
            "no freshness",
            "secrets = [\"env:S\"]\ntolerance = \"off\"".to_owned(),
            &["tolerance"],
        ),
        (
            "shadow mode",
            "secrets = [\"env:S\"]\nenforce = false".to_owned(),
            &["enforce"],
        ),
        (
            "a secret file that others can read",
            of_file(&secret_file),
            &["secret"],
        ),
        ("a secret file with CRLF", of_file(&crlf), &["crlf"]),
        (
            "a secret file with a byte-order mark",
            of_file(&bom),
            &["bom"],
        ),
    ] {
        cases.case(name, || {
            folder.write("verigate.toml", file(&route));
            let ended = folder.run(["check", "--config", "verigate.toml"]);
            ended.expect_code(0).expect_words(words);
            ended.expect_hidden(&[SECRET, "a-literal-secret-77", "a-secret-of-the-file"]);
            assert!(
                ended.all().to_lowercase().contains("warning"),
                "no warning: {ended}"
            );
        });
    }
    cases.finish();
}

#[test]
fn each_secret_is_shown_with_the_way_in_which_it_is_read() {
    let base64 = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    let (marked, hex) = (format!("whsec_{base64}"), "0a1b2c3d".repeat(8));
    let shown = format!("v1,{marked}");
    let warning = "[unlikely-secret]";
    let mut cases = Cases::new();
    for (provider, secret, words, warned) in [
        (
            "imagekit",
            &marked,
            "the whole text, `whsec_` included",
            false,
        ),
        (
            "composio",
            &marked,
            "the whole text, `whsec_` included",
            false,
        ),
        (
            "stripe",
            &marked,
            "the whole text, `whsec_` included",
            false,
        ),
        ("github", &marked, "the whole text, `whsec_` included", true),
        ("stripe", &hex, "does not begin with `whsec_`", true),
        ("make", &marked, "base64 behind `whsec_`", false),
        ("make", &hex, "base64", true),
        ("supabase-auth", &shown, "base64 behind `v1,whsec_`", false),
        ("cloudflare-stream", &hex, "the text", false),
        ("squarespace", &hex, "hexadecimal digits", false),
        (
            "whop",
            &marked,
            "base64 behind `whsec_`, or the whole text",
            false,
        ),
    ] {
        cases.case(&format!("{provider}: {words}"), || {
            let folder = Folder::new().env("S", secret);
            folder.write(
                "verigate.toml",
                format!(
                    "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"{provider}\"\n\
                     secrets = [\"env:S\"]\nupstream = \"http://127.0.0.1:3000\"\n"
                ),
            );
            let ended = folder.run(["check", "--config", "verigate.toml"]);
            ended
                .expect_code(0)
                .expect_words(&[words])
                .expect_hidden(&[base64, &hex]);
            assert_eq!(ended.all().contains(warning), warned, "{ended}");
        });
    }
    cases.case("a prefix that is not taken off", || {
        let folder = Folder::new().env("S", &marked);
        folder.write(
            "verigate.toml",
            "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"finch\"\nsecrets = [\"env:S\"]\n\
             upstream = \"http://127.0.0.1:3000\"\n",
        );
        folder
            .run(["check", "--config", "verigate.toml"])
            .expect_code(2)
            .expect_words(&["`whsec_`, which this scheme does not take off"])
            .expect_hidden(&[base64]);
    });
    cases.finish();
}

#[test]
fn an_acknowledged_warning_is_listed_by_its_name_alone() {
    let folder = Folder::new().env("S", SECRET);
    let off = "secrets = [\"env:S\"]\ntolerance = \"off\"";
    folder.write("verigate.toml", file(off));
    let ended = folder.run(["check", "--config", "verigate.toml"]);
    ended.expect_code(0).expect_words(&["[tolerance-off]"]);
    folder.write(
        "verigate.toml",
        file(&format!("{off}\nacknowledge = [\"tolerance-off\"]")),
    );
    let ended = folder.run(["check", "--config", "verigate.toml"]);
    ended.expect_code(0);
    assert!(!ended.stderr.contains("tolerance-off"), "{ended}");
    let listed = "conversations  tolerance-off";
    assert!(
        ended.stdout.contains(listed),
        "{listed} is missing: {ended}"
    );
}

#[test]
fn ky_02_two_routes_with_one_key_are_named_in_one_line() {
    let folder = Folder::new().env("S", SECRET).env("ANOTHER_NAME", SECRET);
    let first = file("secrets = [\"env:S\"]");
    let second = file("secrets = [\"env:ANOTHER_NAME\"]")
        .replace("conversations", "billing")
        .replace("/webhooks", "/billing");
    folder.write("verigate.toml", format!("{first}\n{second}"));
    let ended = folder.run(["check", "--config", "verigate.toml"]);
    ended.expect_code(0).expect_hidden(&[SECRET]);
    let is_it = |line: &str| {
        let words = ["warning", "`conversations`", "`billing`", "shared-key"];
        words.iter().all(|word| line.contains(word))
    };
    assert!(ended.stderr.lines().any(is_it), "{ended}");
}

#[test]
fn the_file_is_an_argument_an_option_or_standard_input() {
    let folder = Folder::new().env("S", SECRET);
    let good = file("secrets = [\"env:S\"]");
    folder.write("own.toml", &good);
    let bad = good.replace("itellico\"\nupstream", "itelico\"\nupstream");
    for arguments in [
        ["check", "own.toml"].as_slice(),
        &["check", "-c", "own.toml"],
    ] {
        folder
            .run(arguments)
            .expect_code(0)
            .expect_words(&["own.toml: good"]);
    }
    for arguments in [["check", "-"].as_slice(), &["check", "--config", "-"]] {
        let ended = folder.run_within(SOON, arguments, good.as_bytes());
        ended.expect_code(0).expect_words(&["standard input: good"]);
        let ended = folder.run_within(SOON, arguments, bad.as_bytes());
        ended
            .expect_code(2)
            .expect_words(&["standard input:4:12", "itellico"]);
    }
    // A watch would never find a change.
    let watched = format!("[server]\nwatch = \"10s\"\n{good}");
    for command in ["check", "run"] {
        let ended = folder.run_within(SOON, [command, "-"], watched.as_bytes());
        ended.expect_code(2).expect_words(&[
            "standard input:2:",
            "`watch`",
            "cannot be read again",
            "name a file",
        ]);
    }
    let both = folder.run(["check", "own.toml", "--config", "own.toml"]);
    both.expect_code(2);
}

#[test]
fn the_default_file_of_a_folder_is_taken() {
    let folder = Folder::new().env("S", SECRET);
    fs::create_dir(folder.path().join("conf")).expect("a folder");
    folder.write("conf/verigate.toml", file("secrets = [\"env:S\"]"));
    folder
        .run(["check"])
        .expect_code(0)
        .expect_words(&["conversations"])
        .expect_hidden(&[SECRET]);
}

#[test]
fn json_has_the_routes_with_warnings_and_acknowledgements_apart() {
    let folder = Folder::new().env("S", SECRET);
    let good = file(
        "secrets = [\"env:S\"]\ntolerance = \"off\"\nenforce = false\n\
         event_types = [\"conversation.ended\"]\nacknowledge = [\"tolerance-off\"]",
    );
    folder.write("own.toml", &good);
    let of_file = folder.run(["check", "own.toml", "--json"]);
    let piped = folder.pipe(["check", "-", "--json"], good.as_bytes());
    for (ended, path) in [(of_file, "own.toml"), (piped, "standard input")] {
        ended.expect_code(0).expect_hidden(&[SECRET]);
        assert_eq!(ended.stderr, "", "{ended}");
        let object = ended.json();
        assert_eq!(object["ok"], true);
        assert_eq!(object["file"], path);
        assert_eq!(object["problems"], serde_json::json!([]));
        let route = &object["routes"][0];
        let expected = serde_json::json!({
            "name": "conversations",
            "host": null,
            "path": "/webhooks/itellico",
            "methods": ["POST"],
            "provider": "itellico",
            "key_owner": "endpoint",
            "enforce": false,
            "tolerance": "OFF",
            "max_body": 1 << 20,
            "accounts": null,
            "event_types": ["conversation.ended"],
            "handshake": null,
        });
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&route[name], value, "{name} in {ended}");
        }
        assert_eq!(route["secrets"][0]["name"], "env:S");
        assert_eq!(route["secrets"][0]["now"], "active");
        let named = |list: &str| -> Vec<_> {
            let all = object[list].as_array().expect("a list").iter();
            all.map(|it| (it["name"].clone(), it["route"].clone(), it["line"].clone()))
                .collect()
        };
        let of_route = |name: &str, line: u32| (name.into(), "conversations".into(), line.into());
        assert_eq!(named("warnings"), [of_route("shadow-mode", 8)], "{ended}");
        assert_eq!(
            named("acknowledged"),
            [of_route("tolerance-off", 7)],
            "{ended}"
        );
    }
}

#[test]
fn json_has_every_problem_of_a_bad_file_with_its_place() {
    let folder = Folder::new().env("S", SECRET);
    let bad = file("secrets = [\"env:UNSET\"]\nmax_bodi = 1")
        .replace("\"itellico\"\nup", "\"itelico\"\nup");
    let ended = folder.pipe(["check", "--json", "-"], bad.as_bytes());
    ended.expect_code(2);
    assert_eq!(ended.stderr, "", "{ended}");
    let object = ended.json();
    assert_eq!(object["ok"], false);
    let problems = object["problems"].as_array().expect("a list");
    let places: Vec<_> = problems
        .iter()
        .map(|it| (it["line"].as_u64(), it["column"].as_u64()))
        .collect();
    assert_eq!(
        places,
        [(Some(4), Some(12)), (Some(6), Some(12)), (Some(7), Some(1))],
        "{ended}"
    );
    assert!(
        problems
            .iter()
            .all(|it| it["file"] == "standard input" && it["message"].is_string()),
        "{ended}"
    );
    assert!(
        problems[2]["help"]
            .as_str()
            .is_some_and(|help| help.contains("max_body")),
        "{ended}"
    );

    let absent = folder.run(["check", "--json", "absent.toml"]);
    absent.expect_code(2);
    let object = absent.json();
    assert_eq!(
        object["problems"][0]["line"],
        serde_json::Value::Null,
        "{absent}"
    );
}

#[test]
fn whose_key_a_route_has_and_which_deliveries_it_takes_is_shown() {
    let folder = Folder::new().env("S", SECRET);
    let slack = file("secrets = [\"env:S\"]\naccounts = [\"T0123\"]\non_unlisted = 200\nhandshake = { mode = \"forward\" }")
        .replace("provider = \"itellico\"", "provider = \"slack\"");
    folder.write("verigate.toml", &slack);
    let ended = folder.run(["check", "verigate.toml"]);
    ended.expect_code(0);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.contains("T0123"))
        .unwrap_or_default();
    let cells: Vec<_> = line
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(
        cells,
        [
            "conversations",
            "app",
            "T0123 (others: 200)",
            "all",
            "slack: forward"
        ],
        "{ended}"
    );
}

#[test]
fn a_secret_as_a_stray_argument_is_not_repeated() {
    let folder = Folder::new();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for arguments in [
        vec!["sign".to_owned(), format!("--key={secret}")],
        vec!["sign".to_owned(), secret.to_owned()],
        vec![secret.to_owned()],
        vec!["explain".to_owned(), format!("--{secret}")],
    ] {
        let ended = folder.run(&arguments);
        ended.expect_code(2).expect_hidden(&["MfKQ9r8GKYqr"]);
        ended.expect_words(&["error: ", "--help"]);
    }
    folder
        .run(["check", "--jsno"])
        .expect_code(2)
        .expect_words(&["--json"]);
}

#[test]
fn what_is_signed_with_a_delivery_is_shown_and_what_is_left_open_is_named() {
    let folder = Folder::new().env("S", SECRET);
    let route = |lines: &str| {
        format!(
            "[[route]]\nname = \"shop\"\npath = \"/shop\"\nprovider = \"tiktok-shop\"\n\
             secrets = [\"env:S\"]\nupstream = \"http://127.0.0.1:3000\"\n{lines}\n"
        )
    };
    folder.write("verigate.toml", route("params = { app_key = \"29a39d\" }"));
    let good = folder.run(["check", "--config", "verigate.toml"]);
    good.expect_code(0)
        .expect_words(&[
            "params.app_key",
            "29a39d",
            "json /tts_notification_id",
            "replay.ttl",
        ])
        .expect_hidden(&["placeholder-value"]);
    let json = folder
        .run(["check", "--config", "verigate.toml", "--json"])
        .json();
    assert_eq!(
        json["routes"][0]["params"],
        serde_json::json!({ "app_key": "29a39d" })
    );
    assert_eq!(json["routes"][0]["event_type"], "json /type");
    folder.write("verigate.toml", route("params = { app_key = \"…\" }"));
    folder
        .run(["check", "--config", "verigate.toml"])
        .expect_code(0)
        .expect_words(&[
            "`params.app_key` keeps the place of your own",
            "[placeholder-value]",
        ]);
}

#[test]
fn the_upstreams_of_a_route_are_shown_with_how_they_are_shared_known_and_checked() {
    let folder = Folder::new().env("S", SECRET);
    let own = "secrets = [\"env:S\"]\nbalance = \"least_busy\"\nupstream_tls = \"insecure\"\n\
               upstream_path = \"/app\"\nhealth = { path = \"/healthz\" }\n\
               upstreams = [{ url = \"https://10.0.0.1\", weight = 3 }, { url = \"unix:/run/app.sock\" }]";
    let text = file(own).replace("upstream = \"http://127.0.0.1:3000\"\n", "");
    folder.write("verigate.toml", text);
    folder
        .run(["check", "verigate.toml"])
        .expect_code(0)
        .expect_words(&[
            "https://10.0.0.1:443 ×3, unix:/run/app.sock",
            "least_busy",
            "GET /healthz every 10s, within 3s",
            "INSECURE: any certificate",
            "/app",
            "[insecure-upstream]",
        ]);
    let ended = folder.run(["check", "--json", "verigate.toml"]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let route = &json["routes"][0];
    let expected = serde_json::json!([
        { "url": "https://10.0.0.1:443", "weight": 3 },
        { "url": "unix:/run/app.sock", "weight": 1 },
    ]);
    assert_eq!(route["upstreams"], expected, "{ended}");
    assert_eq!(route["upstream"], serde_json::Value::Null);
    assert_eq!(route["upstream_tls"]["verified"], false);
    assert_eq!(route["health"]["interval"], "10s");
}

#[test]
fn an_https_upstream_needs_authorities_of_the_file_or_of_the_system() {
    let folder = Folder::new().env("S", SECRET);
    let none = folder.write("none.crt", "no certificate\n");
    let folder = folder.env("SSL_CERT_FILE", &none.display().to_string());
    let text = file("secrets = [\"env:S\"]").replace("http://", "https://");
    folder.write("verigate.toml", text);
    folder
        .run(["check", "verigate.toml"])
        .expect_code(2)
        .expect_words(&[
            "needs certificates of authorities, and this system has none",
            "--> verigate.toml:5:12",
            "ca-certificates",
        ]);
}

#[test]
fn a_queue_route_is_shown_with_its_limits_and_its_schedule() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let folder = Folder::new().env("S", SECRET).env("KEY", key);
    let route = file(
        "secrets = [\"env:S\"]\nmode = \"queue\"\nupstream_headers = { X-Gateway = \"env:S\" }\n\
         [route.queue]\nretry = [\"1s\", \"2m\"]\nrate = \"30/m\"\norder_by = \"/order/id\"",
    );
    let state = "[state]\ndir = \"kept\"\nkeys = [\"env:KEY\"]\nmax_bytes = \"4GiB\"\n";
    folder.write("queue.toml", format!("{state}{route}"));
    let ended = folder.run(["check", "queue.toml"]);
    ended.expect_code(0).expect_hidden(&[SECRET, key]);
    ended.expect_words(&[
        "in kept (does not exist yet: it will be made): at most 4GiB and 1000000 deliveries, 1GiB left free, encrypted with env:KEY",
        "http://127.0.0.1:3000 (queue: acknowledged first)",
        "after 1s, then every 2m",
        "30/m",
        "/order/id",
    ]);
    let object = folder.run(["check", "queue.toml", "--json"]).json();
    assert_eq!(object["state"]["keys"], serde_json::json!(["env:KEY"]));
    let route = &object["routes"][0];
    assert_eq!(route["mode"], "queue");
    let expected = serde_json::json!({
        "answer": 200, "max_bytes": 1 << 30, "max_deliveries": 250_000, "retry": ["1s", "2m"],
        "max_age": "1h", "dead_on": [410], "keep_dead": "14d", "concurrency": 16,
        "rate": "30/m", "order_by": "/order/id",
    });
    assert_eq!(route["queue"], expected);
    let plain = file("secrets = [\"env:S\"]");
    folder.write("relay.toml", plain);
    let object = folder.run(["check", "relay.toml", "--json"]).json();
    let route = &object["routes"][0];
    assert_eq!(
        (&route["mode"], &route["queue"]),
        (&"relay".into(), &serde_json::Value::Null)
    );
    assert_eq!(object["state"], serde_json::Value::Null);
}

/// A folder in which a file names these keys of `[server]` and `[state]`.
fn with_directories(server: &str, state: &str) -> Folder {
    let folder = Folder::new().env("S", SECRET);
    let route = file("secrets = [\"env:S\"]");
    let text = format!("[server]\n{server}\n[state]\n{state}\n{route}");
    folder.write("verigate.toml", text);
    folder
}

fn make(folder: &Folder, name: &str, mode: u32) {
    let path = folder.path().join(name);
    fs::create_dir(&path).expect("a folder");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn directories_that_no_gateway_could_use_are_refused_together_and_nothing_is_made() {
    let check = ["check", "verigate.toml"];
    let folder = with_directories("upgrade_socket = \"open/a.sock\"", "dir = \"file/state\"");
    folder.write("file", "");
    make(&folder, "open", 0o755);
    folder.run(check).expect_code(2).expect_words(&[
        "`server.upgrade_socket` names a directory that others may enter: open (mode 0755)",
        "chmod 700 open",
        "`state.dir` lies below a file: file/state",
        "2 problems",
    ]);
    let folder = with_directories("upgrade_socket = \"own/a.sock\"", "dir = \"file\"");
    folder.write("file", "");
    make(&folder, "own", 0o700);
    folder.write("own/a.sock", "");
    folder.run(check).expect_code(2).expect_words(&[
        "`server.upgrade_socket` names a file that is no socket: own/a.sock",
        "`state.dir` names no directory: file",
    ]);
    let folder = with_directories("upgrade_socket = \"gone/a.sock\"", "dir = \"state\"");
    let ended = folder.run(check);
    ended.expect_code(0).expect_words(&[
        "`server.upgrade_socket`: gone is missing, and no gateway makes it",
        "[unusable-directory]",
        "in state (does not exist yet: it will be made): at most",
    ]);
    assert!(!ended.all().contains("state is missing"), "{ended}");
    for name in ["gone", "state"] {
        assert!(!folder.path().join(name).exists(), "{name} was made");
    }
    make(&folder, "state", 0o700);
    let ended = folder.run(check);
    ended.expect_code(0).expect_words(&["in state: at most"]);
}

#[test]
fn a_state_dir_below_a_missing_directory_is_refused_by_check_and_run_in_the_same_words() {
    let folder = with_directories("", "dir = \"disk/deep/state\"");
    for (command, code) in [("check", 2), ("run", 1)] {
        let ended = folder.run([command, "verigate.toml"]);
        ended.expect_code(code).expect_words(&[
            "`state.dir` lies in a directory that does not exist: disk/deep",
            "only the last directory of the path is made",
        ]);
    }
    assert!(!folder.path().join("disk").exists());
    let acme = "listen = []\n[server.acme]\ndir = \"disk/deep/acme\"\naccept_terms = true\n\
                directory = \"https://acme.example.com/dir\"\nnames = [\"hooks.example.com\"]\n\
                [[server.tls]]\nlisten = [\"127.0.0.1:8443\"]";
    let folder = with_directories(acme, "dir = \"state\"");
    folder
        .run(["check", "verigate.toml"])
        .expect_code(2)
        .expect_words(&[
            "`server.acme.dir` lies in a directory that does not exist: disk/deep",
            "only the last directory of the path is made",
        ]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_dir_in_a_directory_of_the_kernel_is_refused() {
    for dir in ["/proc/verigate", "/sys/verigate"] {
        let folder = with_directories("", &format!("dir = \"{dir}\""));
        folder
            .run(["check", "verigate.toml"])
            .expect_code(2)
            .expect_words(&["`state.dir` lies in a directory that the kernel makes up"]);
    }
}

/// The files of a directory with their bytes.
fn files(dir: &Path) -> Vec<(OsString, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("a directory");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (entry.file_name(), fs::read(entry.path()).expect("a file"))
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

/// A folder with a state directory that has both databases, which nobody has open.
fn with_databases() -> Folder {
    let folder = with_directories("listen = [\"127.0.0.1:0\"]", "dir = \"state\"");
    make(&folder, "state", 0o700);
    let dir = folder.path().join("state");
    drop(QueueDb::open(&dir, &Clock::system(), None).expect("a database"));
    drop(WindowDb::open(&dir, &Clock::system(), None).expect("a database"));
    folder
}

/// What somebody does to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn databases_with_which_no_gateway_would_start_are_a_problem_in_the_words_of_the_start() {
    let damage: [(&str, Damage); 4] = [
        ("queue.db", |bytes| bytes.truncate(10_000)),
        ("queue.db", |bytes| bytes[..100].fill(7)),
        ("window.db", |bytes| bytes.truncate(5_000)),
        ("window.db", |bytes| bytes[0] ^= 1),
    ];
    for (name, damage) in damage {
        let folder = with_databases();
        let dir = folder.path().join("state");
        let path = dir.join(name);
        let mut bytes = fs::read(&path).expect("a database");
        damage(&mut bytes);
        fs::write(&path, bytes).expect("a database");
        let before = files(&dir);
        let checked = folder.run(["check", "verigate.toml"]);
        checked.expect_code(2).expect_words(&["1 problem in"]);
        let json = folder.run(["check", "verigate.toml", "--json"]);
        json.expect_code(2);
        let json = json.json();
        let message = json["problems"][0]["message"].as_str().unwrap_or_default();
        assert!(
            message.contains(&format!("state/{name} is damaged")),
            "{json}"
        );
        assert_eq!(
            (&json["ok"], &json["problems"][0]["line"]),
            (&false.into(), &4.into())
        );
        assert!(files(&dir) == before, "a look changes nothing: {checked}");
        let run = folder.run(["run", "verigate.toml"]);
        run.expect_code(1).expect_words(&[message]);
    }
}

#[test]
fn a_look_leaves_nothing_beside_databases_that_nobody_has_open() {
    let folder = with_databases();
    let dir = folder.path().join("state");
    let before = files(&dir);
    for command in [
        &["check", "verigate.toml"][..],
        &["state", "info", "state"],
        &["state", "check", "state"],
    ] {
        folder.run(command).expect_code(0);
        assert!(files(&dir) == before, "{command:?}");
    }
}

#[test]
fn what_the_user_of_the_state_dir_cannot_write_is_a_problem() {
    let folder = with_databases();
    let dir = folder.path().join("state");
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    // The mode of a directory does not bind root, so root looks at one of another user.
    let is_root = std::os::unix::fs::chown(&dir, Some(65_534), None).is_ok();
    set(&dir, 0o500);
    let ended = folder.run(["check", "verigate.toml"]);
    set(&dir, 0o700);
    ended.expect_code(2).expect_words(&[
        "`state.dir` names a directory in which its user may not write: state (mode 0500)",
        "`chmod 700 state`",
    ]);
    if is_root {
        folder
            .run(["check", "verigate.toml"])
            .expect_code(2)
            .expect_words(&[
                "`state.dir`: state/queue.db belongs to the user 0, and the gateway runs as 65534",
                "`chown 65534 state/queue.db`",
            ]);
        for name in ["queue.db", "window.db"] {
            let path = dir.join(name);
            std::os::unix::fs::chown(path, Some(65_534), None).expect("an owner");
        }
        folder.run(["check", "verigate.toml"]).expect_code(0);
        set(&dir.join("window.db"), 0o400);
        folder
            .run(["check", "verigate.toml"])
            .expect_code(2)
            .expect_words(&["may not read and write state/window.db (mode 0400)"]);
    }
}

#[test]
fn a_disk_on_which_no_delivery_finds_room_is_warned_about_where_there_is_a_queue_route() {
    let folder = Folder::new().env("S", SECRET);
    for (mode, keep_free, is_warned) in [
        ("queue", "\"1048576GiB\"", true),
        ("relay", "\"1048576GiB\"", false),
        ("queue", "0", false),
    ] {
        let route = file(&format!("secrets = [\"env:S\"]\nmode = \"{mode}\""));
        let state = format!("[state]\ndir = \"kept\"\nkeep_free = {keep_free}\n");
        folder.write("disk.toml", format!("{state}{route}"));
        let ended = folder.run(["check", "disk.toml"]);
        ended.expect_code(0);
        let words = [
            "free of",
            "and 1048576GiB stay free by `state.keep_free`, so every delivery of a queue route is answered `queue_full`",
            "as in `keep_free = ",
            "[full-disk]",
        ];
        if is_warned {
            ended.expect_words(&words);
        } else {
            ended.expect_hidden(&words[3..]);
        }
    }
}
