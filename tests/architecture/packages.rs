//! What is below conf/ for packages, containers and service managers: files that are named are there, and each
//! configuration passes `check`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

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

/// Runs Bash where `own` is the only target of the compiler, and C for musl and cargo-deb are missing.
fn on_a_bare_machine(own: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script(
        "rustc",
        &format!("[ \"$1\" = -vV ] && echo 'host: {own}' || echo /no/such/folder"),
    );
    script("rustup", "echo \"rustup $*\"");
    script("cargo", "exit 101");
    for tool in ["sed", "dirname"] {
        let mut files = ["/usr/bin", "/bin"]
            .map(|place| Path::new(place).join(tool))
            .into_iter();
        let file = files.find(|file| file.exists()).unwrap();
        symlink(file, folder.path().join(tool)).unwrap();
    }
    let bash = ["/bin/bash", "/usr/bin/bash"]
        .into_iter()
        .find(|bash| Path::new(bash).exists());
    Command::new(bash.unwrap())
        .args(arguments)
        .env("PATH", folder.path())
        .env("FILE", folder.path().join("target"))
        .env_remove("TARGET")
        .current_dir(root())
        .output()
        .unwrap()
}

#[test]
fn package_and_image_hold_a_static_program_for_the_same_target() {
    let image = read("conf/docker/Dockerfile");
    let package = read("conf/debian/build");
    let mut steps = image.split("\n\n").flat_map(|stage| stage.split("\nRUN "));
    let adds = steps
        .find(|step| step.contains("rustup target add"))
        .unwrap();
    let adds = adds
        .split("\nWORKDIR")
        .next()
        .unwrap()
        .replace("/target", "\"$FILE\"");
    for (own, target) in [
        ("x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"),
        ("aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"),
        (
            "armv7-unknown-linux-gnueabihf",
            "armv7-unknown-linux-musleabihf",
        ),
        ("x86_64-unknown-linux-musl", "x86_64-unknown-linux-musl"),
    ] {
        let add = format!("rustup target add {target}\n");
        let of_image = on_a_bare_machine(own, &["-euo", "pipefail", "-c", &adds]);
        assert_eq!(
            String::from_utf8_lossy(&of_image.stdout),
            add,
            "image on {own}"
        );
        // What is missing is said before anything is built.
        let of_package = on_a_bare_machine(own, &["conf/debian/build"]);
        let said = String::from_utf8_lossy(&of_package.stderr);
        assert!(!of_package.status.success(), "{said}");
        assert!(said.contains(&add), "package on {own}: {said}");
        assert_eq!(
            said.contains("apt install musl-tools"),
            own != target,
            "{said}"
        );
        assert!(said.contains("cargo install cargo-deb"), "{said}");
    }

    let mut wrong = Vec::new();
    for (page, text, command) in [
        ("conf/docker/Dockerfile", &image, "cargo build --"),
        ("conf/debian/build", &package, "cargo build --"),
        ("conf/debian/build", &package, "cargo deb --no-build"),
    ] {
        let mut lines = text.lines().filter(|line| line.contains(command));
        if !lines.any(|line| line.contains("--target \"$target\"")) {
            wrong.push(format!("{page}: {command}"));
        }
    }
    nothing(&wrong, "commands that do not take the target with musl");
    let (_, last) = image.rsplit_once("\nFROM ").unwrap();
    assert!(
        last.starts_with("gcr.io/distroless/static-"),
        "an image without a C library: {last}"
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
