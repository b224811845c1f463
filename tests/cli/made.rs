//! What `completions` and `man` make (contract: Command line): scripts that shells can read, and pages that are
//! written where they belong.

use std::process::{Command, Stdio};

use crate::stage::Folder;
use crate::support::cases::Cases;

/// Whether the machine has this program.
fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

#[test]
fn each_shell_can_read_its_completions() {
    let folder = Folder::new();
    let mut cases = Cases::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        cases.case(shell, || {
            let ended = folder.run(["completions", shell]);
            ended.expect_code(0);
            for word in ["verigate", "providers", "config", "completions", "to"] {
                assert!(ended.stdout.contains(word), "{word} in {ended}");
            }
            if matches!(shell, "bash" | "zsh" | "fish") && has(shell) {
                let script = folder.write(shell, &ended.stdout);
                let read = Command::new(shell).arg("-n").arg(script).status();
                assert!(
                    read.is_ok_and(|status| status.success()),
                    "{shell} cannot read it"
                );
            }
        });
    }
    cases.case("another shell", || {
        folder
            .run(["completions", "dash"])
            .expect_code(2)
            .expect_words(&["bash", "zsh", "fish"]);
    });
    cases.finish();
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = Folder::new();
    let script = folder.run(["completions", "bash"]).stdout;
    let file = folder.write("verigate.bash", script);
    if !has("bash") {
        return;
    }
    for (words, expected) in [
        ("verigate he", "health"),
        ("verigate run --pro", "--provider"),
    ] {
        let typed: Vec<_> = words.split(' ').collect();
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={}; _verigate verigate '{}' ''; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            typed.len() - 1,
            typed.last().unwrap_or(&""),
        );
        let output = Command::new("bash").args(["-c", &ask]).output();
        let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let said = output.unwrap_or_default();
        assert!(
            said.split_whitespace().any(|word| word == expected),
            "{words}: {said}"
        );
    }
}

#[test]
fn manual_pages_are_written_where_man_looks_for_them() {
    let folder = Folder::new();
    let ended = folder.run(["man", "pages"]);
    ended.expect_code(0);
    let written: Vec<_> = ended.stdout.lines().collect();
    for page in [
        "pages/man1/verigate.1",
        "pages/man1/verigate-run.1",
        "pages/man1/verigate-health.1",
        "pages/man5/verigate.toml.5",
    ] {
        assert!(written.contains(&page), "{page} in {ended}");
    }
    for page in &written {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.first().is_some_and(|line| line.starts_with(".TH ")),
            "{page}"
        );
        for heading in ["NAME", "SEE ALSO"] {
            assert!(
                lines.contains(&format!(".SH \"{heading}\"").as_str()),
                "{page}: {heading}"
            );
        }
        // Nothing of the text is taken for a macro that it is not.
        let known = [
            ".TH", ".SH", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".nh", ".ad",
        ];
        let strange: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with(['.', '\'']))
            .filter(|line| !known.contains(&line.split(' ').next().unwrap_or_default()))
            .collect();
        assert!(strange.is_empty(), "{page}: {strange:?}");
    }
    folder.write("file", "");
    folder
        .run(["man", "file"])
        .expect_code(1)
        .expect_words(&["cannot write file/man1/verigate.1"]);
}
