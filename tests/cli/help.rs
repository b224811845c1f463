//! `--help` and `--version` (contract: Command line): each fits a screen and shows an example.

use crate::stage::Folder;
use crate::support::cases::Cases;

const COMMANDS: [&str; 13] = [
    "run",
    "check",
    "demo",
    "sign",
    "verify",
    "explain",
    "providers",
    "health",
    "state",
    "queue",
    "completions",
    "man",
    "schema",
];

/// A large terminal.
const SCREEN: usize = 50;

#[test]
fn help_fits_a_screen_and_shows_an_example() {
    let folder = Folder::new();
    let mut cases = Cases::new();
    for command in COMMANDS {
        cases.case(command, || {
            let ended = folder.run([command, "--help"]);
            ended.expect_code(0);
            // clap does not wrap what follows `Usage:`.
            let mut wrapped = ended
                .stdout
                .lines()
                .filter(|line| !line.starts_with("Usage:"));
            let lines = ended.stdout.lines().count();
            assert!(lines <= SCREEN, "{lines} lines: {ended}");
            let example = ended
                .stdout
                .split("Example")
                .nth(1)
                .unwrap_or_else(|| panic!("no example in {ended}"));
            assert!(
                example.contains(&format!("verigate {command}")),
                "its example is of another command: {ended}"
            );
            assert!(
                wrapped.all(|line| line.chars().count() <= 110),
                "a line is too wide: {ended}"
            );
        });
    }
    cases.case("all", || {
        let ended = folder.run(["--help"]);
        ended.expect_code(0).expect_words(&COMMANDS);
        assert!(ended.stdout.lines().count() <= SCREEN, "{ended}");
    });
    cases.finish();
}

#[test]
fn the_version_is_that_of_the_package() {
    let ended = Folder::new().run(["--version"]);
    ended.expect_code(0);
    assert_eq!(
        ended.stdout.trim(),
        format!("verigate {}", env!("CARGO_PKG_VERSION"))
    );
}
