//! `check` (contract: Command line): what would run, with its warnings, and never a secret.

use std::os::unix::fs::PermissionsExt;

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
fn what_is_allowed_but_unwise_is_warned_about() {
    let folder = Folder::new().env("S", SECRET);
    let secret_file = folder.write("secret", "a-secret-of-the-file\n");
    std::fs::set_permissions(&secret_file, PermissionsExt::from_mode(0o644)).expect("a mode");
    let crlf = folder.write("crlf", "a-secret-of-the-file\r\n");
    let bom = folder.write("bom", "\u{feff}a-secret-of-the-file\n");
    for path in [&crlf, &bom] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
    let of_file = |path: &std::path::Path| format!("secrets = [\"file:{}\"]", path.display());
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
    let both = folder.run(["check", "own.toml", "--config", "own.toml"]);
    both.expect_code(2);
}

#[test]
fn the_default_file_of_a_folder_is_taken() {
    let folder = Folder::new().env("S", SECRET);
    std::fs::create_dir(folder.path().join("conf")).expect("a folder");
    folder.write("conf/verigate.toml", file("secrets = [\"env:S\"]"));
    folder
        .run(["check"])
        .expect_code(0)
        .expect_words(&["conversations"])
        .expect_hidden(&[SECRET]);
}
