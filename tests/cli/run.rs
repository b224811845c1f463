//! `run` that does not get as far as running (contract: Configuration, Command line; CF-01, CF-02, CF-04,
//! CF-07, CF-08).

use std::net::TcpListener;
use std::process::Command;

use crate::stage::Folder;
use crate::support::SOON;
use crate::support::cases::Cases;

/// A file that runs, with room for what a case gets wrong.
fn file(server: &str, admin: &str, rest: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n\
         [[route]]\nname = \"itellico\"\npath = \"/webhooks/itellico\"\nprovider = \"itellico\"\n\
         upstream = \"http://127.0.0.1:3000\"\n{rest}"
    )
}

fn with_secret(secret: &str) -> String {
    file("", "", &format!("secrets = [{secret}]\n"))
}

/// `run` and `check` both end with exit status 2 and say these words.
#[track_caller]
fn expect_refused(folder: &Folder, toml: impl AsRef<[u8]>, words: &[&str], hidden: &[&str]) {
    folder.write("bad.toml", toml);
    for command in ["run", "check"] {
        let ended = folder.run_within(SOON, [command, "--config", "bad.toml"], b"");
        ended
            .expect_code(2)
            .expect_words(words)
            .expect_hidden(hidden);
        assert!(!ended.stderr.is_empty(), "{command}: {ended}");
        assert!(!ended.all().contains("panicked"), "{command}: {ended}");
    }
}

#[test]
fn a_file_that_does_not_exist_is_named_with_the_ways_to_begin() {
    let ended = Folder::new().run(["run", "none-such.toml"]);
    ended.expect_code(2).expect_words(&[
        "there is no configuration file none-such.toml",
        "It was looked for at /",
        "verigate providers NAME > verigate.toml",
        "conf/verigate.toml",
        "verigate run --provider NAME --secret env:SECRET --to http://127.0.0.1:3000",
    ]);
}

#[test]
fn the_file_of_the_first_steps_is_named_where_another_one_is_looked_for() {
    let folder = Folder::new();
    folder.write("verigate.toml", "");
    let ended = folder.run(["run"]);
    let words = "there is a ./verigate.toml, which is read only where it is named: `verigate run ./verigate.toml`";
    ended
        .expect_code(2)
        .expect_words(&["there is no configuration file conf/verigate.toml", words]);
    let ended = folder.run(["check", "none-such.toml"]);
    ended
        .expect_code(2)
        .expect_words(&[words, "`--config ./verigate.toml`"]);
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let toml = "[server]\nlisten = [\"127.0.0.1:0\"]\nthread = 2\nhead_timeout = \"soon\"\nmax_buffered = \"lots\"\n\n\
                [replay]\nttl = 7\n\n\
                [[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itelico\"\nsecrets = [\"env:S\"]\n\
                upstream = \"http://127.0.0.1:3000/path\"\n\n\
                [[route]]\nname = \"a\"\npath = \"/b\"\nprovider = \"itellico\"\nsecrets = [\"env:NOT_SET\"]\n\
                upstream = \"ftp://127.0.0.1\"\n";
    folder.write("bad.toml", toml);
    for command in ["run", "check"] {
        let ended = folder.run([command, "--config", "bad.toml"]);
        ended
            .expect_code(2)
            .expect_hidden(&["a-secret-of-the-environment"])
            .expect_words(&[
                "bad.toml",
                // What is wrong, and what would be right where that can be told.
                "thread",
                "threads",
                "head_timeout",
                "max_buffered",
                "ttl",
                "itelico",
                "itellico",
                "NOT_SET",
                "ftp",
            ]);
        // Line and column of two of them.
        for place in ["3:1", "4:16"] {
            assert!(ended.stderr.contains(place), "{place}: {ended}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    folder
        .run(["run", "--config", "nowhere.toml"])
        .expect_code(2)
        .expect_words(&["nowhere.toml"]);
    folder
        .run(["run"])
        .expect_code(2)
        .expect_words(&["conf/verigate.toml"]);
    folder
        .run(["check"])
        .expect_code(2)
        .expect_words(&["conf/verigate.toml"]);
}

#[test]
fn an_address_in_use_ends_it_at_once_and_is_named() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("an address").to_string();
    let good = with_secret("\"env:S\"");
    let mut cases = Cases::new();
    for (name, toml) in [
        ("traffic", good.replacen("127.0.0.1:0", &addr, 1)),
        (
            "the second of two",
            good.replacen(
                "\"127.0.0.1:0\"]",
                &format!("\"127.0.0.1:0\", \"{addr}\"]"),
                1,
            ),
        ),
        (
            "admin",
            good.replacen(
                "listen = \"127.0.0.1:0\"",
                &format!("listen = \"{addr}\""),
                1,
            ),
        ),
    ] {
        cases.case(name, || {
            folder.write("verigate.toml", toml);
            let ended = folder.run_within(SOON, ["run", "--config", "verigate.toml"], b"");
            ended.expect_code(1).expect_words(&[&addr]);
        });
    }
    cases.finish();
}

#[test]
fn cf_01_a_secret_that_is_none_is_refused_by_name() {
    let folder = Folder::new().env("EMPTY", "").env("NEWLINE", "\n");
    let mut cases = Cases::new();
    for (name, secret, words, hidden) in [
        ("unset", "\"env:NOT_SET\"", &["NOT_SET"][..], &[][..]),
        ("empty", "\"env:EMPTY\"", &["EMPTY"], &[]),
        ("only a line end", "\"env:NEWLINE\"", &["NEWLINE"], &[]),
        (
            "literal",
            "\"a-literal-secret-77\"",
            &["plain:"],
            &["a-literal-secret-77"],
        ),
        (
            "literal with a name",
            "{ name = \"n\", value = \"a-literal-secret-77\" }",
            &["plain:"],
            &["a-literal-secret-77"],
        ),
        ("empty literal", "\"plain:\"", &["secrets"], &[]),
    ] {
        cases.case(name, || {
            expect_refused(&folder, with_secret(secret), words, hidden);
        });
    }
    cases.case("none at all", || {
        expect_refused(&folder, file("", "", ""), &["secrets"], &[]);
    });
    cases.case("an empty list", || {
        expect_refused(&folder, with_secret(""), &["secrets"], &[]);
    });
    cases.finish();
}

#[test]
fn cf_02_a_secret_file_that_is_none_is_refused_in_time() {
    let folder = Folder::new();
    folder.write("huge", vec![b'a'; 10 << 20]);
    folder.write("empty", "");
    folder.write("line-end", "\n");
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    let mut cases = Cases::new();
    for name in ["missing", "huge", "empty", "line-end", "fifo", "."] {
        cases.case(name, || {
            let path = folder.path().join(name);
            expect_refused(
                &folder,
                with_secret(&format!("{:?}", format!("file:{}", path.display()))),
                &["file:"],
                &["aaaa"],
            );
        });
    }
    cases.case("/dev/zero", || {
        expect_refused(
            &folder,
            with_secret("\"file:/dev/zero\""),
            &["/dev/zero"],
            &[],
        );
    });
    cases.finish();
}

/// A row for each kind of mistake; the table with every row is in `src/config/tests/`.
#[test]
fn cf_04_what_cannot_run_is_refused_and_says_what_would_be_right() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let good = with_secret("\"env:S\"");
    let another = |name: &str, path: &str| {
        format!(
            "{good}[[route]]\nname = \"{name}\"\npath = \"{path}\"\nprovider = \"itellico\"\nsecrets = [\"env:S\"]\n\
             upstream = \"http://127.0.0.1:3000\"\n"
        )
    };
    let mut cases = Cases::new();
    for (name, toml, words) in [
        (
            "unknown key",
            format!("{good}tolerence = \"5m\"\n"),
            &["tolerence", "tolerance"][..],
        ),
        ("duplicate name", another("itellico", "/b"), &["itellico"]),
        (
            "duplicate path",
            another("b", "/webhooks/itellico"),
            &["/webhooks/itellico"],
        ),
        (
            "ttl too short",
            format!("{good}[replay]\nttl = \"5m\"\n"),
            &["ttl"],
        ),
        (
            "timeout 0",
            good.replacen("[admin]", "head_timeout = \"0s\"\n[admin]", 1),
            &["head_timeout"],
        ),
        (
            "upstream with a user",
            good.replacen("127.0.0.1:3000", "a:b@127.0.0.1:3000", 1),
            &["upstream"],
        ),
        (
            "10 MB",
            format!("x = \"{}\"", "a".repeat(10 << 20)),
            &["bad.toml"],
        ),
        (
            "nesting",
            format!("x = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
            &["bad.toml"],
        ),
    ] {
        cases.case(name, || {
            expect_refused(&folder, toml, words, &["a-secret-of-the-environment"]);
        });
    }
    cases.case("not UTF-8", || {
        expect_refused(
            &folder,
            b"[server]\nlisten = [\"\xff\"]\n",
            &["bad.toml"],
            &[],
        );
    });
    cases.finish();
}

#[test]
fn cf_07_up_14_an_upstream_that_is_the_gateway_itself_is_refused() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let listening = with_secret("\"env:S\"").replacen(
        "[\"127.0.0.1:0\"]",
        &format!("[\"127.0.0.1:{port}\"]"),
        1,
    );
    for host in ["127.0.0.1", "localhost"] {
        let toml = listening.replacen("http://127.0.0.1:3000", &format!("http://{host}:{port}"), 1);
        expect_refused(&folder, toml, &["upstream"], &[]);
    }
}

#[test]
fn cf_08_an_admin_port_beyond_loopback_needs_a_token() {
    let folder = Folder::new().env("S", "a-secret-of-the-environment");
    let toml =
        with_secret("\"env:S\"").replacen("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", 1);
    expect_refused(&folder, toml, &["token"], &[]);
}
