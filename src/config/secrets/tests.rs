//! References that can be followed, and references that must not hang, crash or show anything.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{Oddity, Resolved, Sources, resolve};
use crate::clock::UnixMillis;
use crate::config::Files;
use crate::config::units::UnitFault;

/// A directory with a secret file of mode 0600.
fn with_file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hook");
    std::fs::write(&path, content).unwrap();
    set_mode(&path, 0o600);
    (directory, path)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn resolve_in(directory: &Path, reference: &str) -> Result<Resolved, UnitFault> {
    let env = |name: &str| match name {
        "SET" => Some(OsString::from("hunter2")),
        "LINE" => Some(OsString::from("hunter2\n")),
        "EMPTY" => Some(OsString::new()),
        "NEWLINE" => Some(OsString::from("\n")),
        "BLANK" => Some(OsString::from(" \r\n\n")),
        _ => None,
    };
    resolve(
        reference,
        &Sources {
            base_dir: directory,
            env: &env,
            now: UnixMillis(0),
            files: &Files::default(),
        },
    )
}

#[test]
fn a_reference_has_a_name_and_loses_one_newline() {
    let (directory, path) = with_file(b"hunter2\n");
    let rows = [
        ("env:SET".to_owned(), Some("env:SET")),
        ("env:LINE".to_owned(), Some("env:LINE")),
        ("file:hook".to_owned(), Some("file:hook")),
        (format!("file:{}", path.display()), Some("file:hook")),
        ("plain:hunter2".to_owned(), None),
    ];
    for (reference, name) in rows {
        let resolved = resolve_in(directory.path(), &reference).unwrap();
        assert_eq!(resolved.name.as_deref(), name, "{reference}");
        assert_eq!(resolved.text.expose(), b"hunter2", "{reference}");
        assert_eq!(
            resolved.exposures.len(),
            usize::from(name.is_none()),
            "{reference}: {resolved:?}"
        );
        assert_eq!(resolved.warnings, [] as [Oddity; 0], "{reference}");
    }
}

#[test]
fn cf_01_what_is_unset_empty_or_no_reference_is_refused_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let rows = [
        ("env:UNSET", "which is not set"),
        ("env:EMPTY", "EMPTY holds nothing"),
        ("env:NEWLINE", "NEWLINE holds nothing"),
        ("env:BLANK", "BLANK holds nothing"),
        ("env:", "names no environment variable"),
        ("env:A=B", "names no environment variable"),
        ("env:correct horse battery", "its text is not shown"),
        ("env:correct-horse-battery", "its text is not shown"),
        ("env:7horses", "its text is not shown"),
        ("plain:", "is an empty secret"),
        ("hunter2", "not a reference"),
        ("$hunter2", "not a reference"),
        ("ENV:hunter2", "not a reference"),
        (" env:hunter2", "not a reference"),
        ("", "not a reference"),
    ];
    let mut wrong = Vec::new();
    for (reference, expected) in rows {
        let fault = resolve_in(directory.path(), reference).unwrap_err();
        let shown = format!("{} {}", fault.message, fault.help);
        if !shown.contains(expected) || shown.contains("hunter2") {
            wrong.push((reference, shown));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        resolve_in(directory.path(), "env:UNSET")
            .unwrap_err()
            .help
            .contains("export UNSET=")
    );
}

#[test]
fn cf_02_what_is_not_a_small_regular_file_is_refused_at_once() {
    let (directory, path) = with_file(&vec![b'a'; 64 * 1024 + 1]);
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    symlink(directory.path().join("loop"), directory.path().join("loop")).unwrap();
    let rows = [
        ("file:missing", "does not exist"),
        ("file:", "not a regular file"),
        ("file:.", "not a regular file"),
        ("file:/dev/zero", "not a regular file"),
        ("file:fifo", "not a regular file"),
        ("file:hook", "larger than 64 KiB"),
        ("file:hook/x", "file hook/x, which"),
        ("file:loop", "file loop, which"),
        ("file:a\0b", "which"),
    ];
    let mut wrong = Vec::new();
    for (reference, expected) in rows {
        match resolve_in(directory.path(), reference) {
            Err(fault) if fault.message.contains(expected) => {}
            other => wrong.push((
                reference,
                other.map(|_| "was read").map_err(|fault| fault.message),
            )),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    std::fs::write(&path, vec![b'a'; 64 * 1024]).unwrap();
    assert_eq!(
        resolve_in(directory.path(), "file:hook")
            .unwrap()
            .text
            .expose()
            .len(),
        64 * 1024
    );
}

#[test]
fn cf_03_a_file_open_to_others_is_warned_about_and_a_link_is_followed() {
    let (directory, path) = with_file(b"hunter2");
    symlink(&path, directory.path().join("link")).unwrap();
    let rows = [
        (0o600, 0),
        (0o400, 0),
        (0o700, 0),
        (0o644, 1),
        (0o640, 1),
        (0o604, 1),
        (0o620, 1),
    ];
    for (mode, warnings) in rows {
        set_mode(&path, mode);
        for reference in ["file:hook", "file:link"] {
            let resolved = resolve_in(directory.path(), reference).unwrap();
            let found = [resolved.warnings.len(), resolved.exposures.len()];
            // A file that others may write to is dangerous for public keys too.
            let expected = if mode & 0o022 == 0 {
                [0, warnings]
            } else {
                [warnings, 0]
            };
            assert_eq!(found, expected, "{reference} {mode:o}: {resolved:?}");
        }
    }
    assert_eq!(
        resolve_in(directory.path(), "file:link")
            .unwrap()
            .name
            .as_deref(),
        Some("file:link")
    );
}

#[test]
fn au_22_one_newline_is_dropped_and_odd_bytes_are_warned_about() {
    let rows: [(&[u8], &[u8], &str); 6] = [
        (b"k\n", b"k", ""),
        (b"k\n\n", b"k\n", "ends with a newline"),
        (b"k\r\n", b"k\r", "carriage return"),
        (b"\xEF\xBB\xBFk\n", b"\xEF\xBB\xBFk", "byte order mark"),
        (b"k \n", b"k ", "white space"),
        (b"\xff\xfe\n", b"\xff\xfe", ""),
    ];
    for (content, text, warning) in rows {
        let (directory, _path) = with_file(content);
        let resolved = resolve_in(directory.path(), "file:hook").unwrap();
        assert_eq!(resolved.text.expose(), text);
        let found: Vec<_> = resolved
            .warnings
            .iter()
            .map(|(_, words)| words.as_str())
            .collect();
        let found = found.join("; ");
        assert!(
            if warning.is_empty() {
                found.is_empty()
            } else {
                found.contains(warning)
            },
            "{content:?}: {found}"
        );
    }
    for empty in [&b""[..], b"\n", b"\r\n", b"\xEF\xBB\xBF\n", b" \n"] {
        let (directory, _path) = with_file(empty);
        assert!(
            resolve_in(directory.path(), "file:hook")
                .unwrap_err()
                .message
                .contains("is an empty secret")
        );
    }
}

#[test]
fn what_was_resolved_shows_nothing_when_formatted() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        !format!(
            "{:?}",
            resolve_in(directory.path(), "plain:hunter2").unwrap()
        )
        .contains("hunter2")
    );
}

#[test]
fn secrets_that_kubernetes_mounts_are_no_warning_each() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("..2026_11_23")).unwrap();
    let file = at("..2026_11_23/stripe");
    std::fs::write(&file, "hunter2").unwrap();
    symlink("..2026_11_23", at("..data")).unwrap();
    symlink("..data/stripe", at("stripe")).unwrap();
    for (mode, is_quiet) in [(0o644, true), (0o440, true), (0o666, false)] {
        set_mode(&file, mode);
        let resolved = resolve_in(directory.path(), "file:stripe").unwrap();
        let found = resolved.warnings.len() + resolved.exposures.len();
        assert_eq!(found == 0, is_quiet, "{mode:o}: {resolved:?}");
    }
    // The same file by its own path is a file like any other.
    set_mode(&file, 0o644);
    let resolved = resolve_in(directory.path(), "file:..2026_11_23/stripe").unwrap();
    assert_eq!(resolved.exposures.len(), 1);
}

#[test]
fn a_credential_is_found_in_the_folder_that_systemd_names() {
    let (directory, path) = with_file(b"hunter2\n");
    // The mode under systemd, which lets this user read by other means.
    set_mode(&path, 0o440);
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    let folder = directory.path().as_os_str().to_owned();
    let with = |reference: &str, folder: Option<OsString>| {
        let env = |name: &str| folder.clone().filter(|_| name == "CREDENTIALS_DIRECTORY");
        resolve(
            reference,
            &Sources {
                base_dir: Path::new("/nowhere"),
                env: &env,
                now: UnixMillis(0),
                files: &Files::default(),
            },
        )
    };
    let resolved = with("cred:hook", Some(folder.clone())).unwrap();
    assert_eq!(resolved.text.expose(), b"hunter2");
    assert_eq!(resolved.name.as_deref(), Some("cred:hook"));
    assert!(resolved.warnings.is_empty() && resolved.exposures.is_empty());
    let rows = [
        ("cred:hook", None, "CREDENTIALS_DIRECTORY is not set"),
        (
            "cred:hook",
            Some(OsString::new()),
            "CREDENTIALS_DIRECTORY is not set",
        ),
        (
            "cred:none",
            Some(folder.clone()),
            "needs the credential none, which does not exist",
        ),
        (
            "cred:folder",
            Some(folder.clone()),
            "needs the credential folder, which cannot be read: ",
        ),
        ("cred:", Some(folder.clone()), "names no credential"),
        ("cred:../hook", Some(folder.clone()), "names no credential"),
        ("cred:..", Some(folder.clone()), "names no credential"),
        ("cred:/etc/passwd", Some(folder), "names no credential"),
    ];
    for (reference, folder, words) in rows {
        let fault = with(reference, folder).unwrap_err();
        assert!(fault.message.contains(words), "{reference}: {fault:?}");
        assert!(!fault.help.is_empty());
    }
}
