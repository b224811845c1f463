//! What is below conf/ for packages, containers and service managers: files that are named are there, and each
//! configuration passes `check`.

use std::fs;
use std::process::Command;

use crate::{nothing, read, root};

#[test]
fn every_file_of_the_package_is_there() {
    let manifest = read("Cargo.toml");
    let (_, section) = manifest.split_once("[package.metadata.deb]").unwrap();
    let (_, assets) = section.split_once("\nassets = [\n").unwrap();
    let assets = assets.split("\n]").next().unwrap();
    let mut sources = Vec::new();
    for line in assets.lines() {
        sources.push(line.split('"').nth(1).unwrap());
    }
    assert!(sources.len() > 10, "{sources:?}");
    let build = read("conf/debian/build");
    let mut missing = Vec::new();
    for source in sources {
        let (folder, file) = source.rsplit_once('/').unwrap_or((".", source));
        let is_there = if let Some(made) = source.strip_prefix("target/package-files/") {
            // The program makes the manual pages, the build script the others by name.
            made.starts_with("man") || build.contains(made)
        } else if let Some(end) = file.strip_prefix('*') {
            let entries = fs::read_dir(root().join(folder)).unwrap();
            let mut names = entries.map(|entry| entry.unwrap().file_name());
            names.any(|name| name.to_str().unwrap().ends_with(end))
        } else {
            source == "target/release/verigate" || root().join(source).exists()
        };
        if !is_there {
            missing.push(source.to_owned());
        }
    }
    nothing(
        &missing,
        "assets of [package.metadata.deb] that nobody makes",
    );
    for named in ["licence", "changelog", "postinst", "prerm", "postrm"] {
        assert!(root().join("conf/debian").join(named).exists(), "{named}");
    }
}

#[test]
fn the_configurations_of_containers_pass_check() {
    let mut wrong = Vec::new();
    for page in ["conf/docker/verigate.toml", "conf/kubernetes/verigate.toml"] {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "whsec_0123456789abcdef0123456789abcdef").unwrap();
        let text = read(page);
        let secrets = text
            .split('"')
            .filter(|part| part.starts_with("file:/run/secrets/"));
        let mut here = text.clone();
        for reference in secrets {
            here = here.replace(reference, &format!("file:{}", secret.display()));
        }
        let file = folder.path().join("verigate.toml");
        fs::write(&file, here).unwrap();
        let check = Command::new(env!("CARGO_BIN_EXE_verigate"))
            .arg("check")
            .arg(&file)
            .output()
            .unwrap();
        if !check.status.success() {
            wrong.push(format!(
                "{page}: {}",
                String::from_utf8_lossy(&check.stderr)
            ));
        }
    }
    nothing(&wrong, "configurations below conf/ that do not load");
}

#[test]
fn what_starts_the_program_uses_commands_that_there_are() {
    let mut wrong = Vec::new();
    for (page, start) in [
        ("conf/systemd/verigate.service", "/usr/bin/verigate "),
        ("conf/systemd/verigate@.service", "/usr/bin/verigate "),
        ("conf/docker/Dockerfile", "[\"/verigate\", \""),
        ("conf/debian/build", "\"$program\" "),
    ] {
        let text = read(page);
        let commands: Vec<_> = text.split(start).skip(1).collect();
        assert!(!commands.is_empty(), "{page}");
        for rest in commands {
            let command: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            let help = Command::new(env!("CARGO_BIN_EXE_verigate"))
                .args([command.as_str(), "--help"])
                .output()
                .unwrap();
            if !help.status.success() {
                wrong.push(format!("{page}: {command}"));
            }
        }
    }
    nothing(
        &wrong,
        "commands below conf/ that the program does not have",
    );
}

/// The instances are the service under another name of the configuration: none has a right more.
#[test]
fn the_instances_of_systemd_are_confined_as_the_service_is() {
    let lines = |page: &str| -> Vec<String> {
        let text = read(page).replace("/etc/verigate/%i.toml", "/etc/verigate/verigate.toml");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    let service = lines("conf/systemd/verigate.service");
    let instance = lines("conf/systemd/verigate@.service");
    let other = |own: &[String], all: &[String]| -> Vec<String> {
        own.iter()
            .filter(|line| !all.contains(line))
            .cloned()
            .collect()
    };
    assert_eq!(
        other(&instance, &service),
        [
            "Description=Webhook verification gateway (%i)",
            "ExecStart=/usr/bin/verigate run --upgrade --config /etc/verigate/verigate.toml",
        ]
    );
    assert_eq!(other(&service, &instance).len(), 2);
}
