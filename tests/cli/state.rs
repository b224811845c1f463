//! `state` (contract: Command line): what is in the databases, beside a process that has them open.

use std::fs;

use verigate::clock::Clock;
use verigate::store::QueueStore as _;
use verigate::store::sqlite::{MetaKey, QueueDb, WindowDb};

use crate::stage::Folder;

#[test]
fn databases_are_described_checked_and_copied_while_a_gateway_has_them() {
    let folder = Folder::new();
    let dir = folder.path().join("state");
    fs::create_dir(&dir).expect("a directory");
    let queue = QueueDb::open(&dir, &Clock::system(), None).expect("a database");
    queue.route("one", "itellico").expect("a number");
    let _window = WindowDb::open(&dir, &Clock::system(), None).expect("a database");
    folder
        .run(["state", "info", "state"])
        .expect_code(0)
        .expect_words(&[
            "state/queue.db: schema 1",
            "state/window.db: schema 1",
            "0 changes",
            "a gateway runs",
        ]);
    folder
        .run(["state", "check", "state"])
        .expect_code(0)
        .expect_words(&["no fault was found"]);
    folder
        .run(["state", "backup", "state", "copy"])
        .expect_code(0)
        .expect_words(&["copy/queue.db: "]);
    let copy = folder.path().join("copy");
    let copied = QueueDb::open(&copy, &Clock::system(), None).expect("the copy opens");
    assert_eq!(copied.routes().expect("routes").len(), 1);
    folder
        .run(["state", "backup", "state", "copy"])
        .expect_code(1)
        .expect_words(&["copy is there already and is not empty", "new or empty"]);
    fs::create_dir(folder.path().join("empty")).expect("a directory");
    folder
        .run(["state", "backup", "state", "empty"])
        .expect_code(0)
        .expect_words(&["empty/queue.db: ", "empty/window.db: "]);
    folder.write("file", "x");
    for to in ["nowhere/copy", "file", "file/copy"] {
        folder
            .run(["state", "backup", "state", to])
            .expect_code(1)
            .expect_words(&[
                &format!("the directory {to} cannot be made: "),
                "name a new one in a directory that exists",
            ]);
    }
}

/// It said no word of that, and `check` found no fault.
#[test]
fn databases_of_two_gateways_are_a_fault_and_are_copied_with_a_word_about_it() {
    let folder = Folder::new();
    let dir = folder.path().join("state");
    fs::create_dir(&dir).expect("a directory");
    let queue = QueueDb::open(&dir, &Clock::system(), None).expect("a database");
    let window = WindowDb::open(&dir, &Clock::system(), None).expect("a database");
    let key = MetaKey::DigestKey;
    queue.set_meta(key, Some(&[1; 16])).expect("a key");
    window.set_meta(key, Some(&[2; 16])).expect("a key");
    let words = "queue.db and window.db were not written by the same gateway";
    folder
        .run(["state", "check", "state"])
        .expect_code(1)
        .expect_words(&[words, "there is a fault"]);
    folder
        .run(["state", "backup", "state", "copy"])
        .expect_code(0)
        .expect_words(&[
            "copy/queue.db: ",
            "copy/window.db: ",
            "no gateway starts",
            words,
        ]);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = Folder::new();
    folder
        .run(["state", "info", "nowhere"])
        .expect_code(1)
        .expect_words(&["nowhere", "No such file or directory"]);
    folder.write("file", "");
    folder
        .run(["state", "backup", "file", "copy"])
        .expect_code(1)
        .expect_words(&["file", "Not a directory"]);
    folder
        .run(["state", "info", "."])
        .expect_code(1)
        .expect_words(&["neither queue.db nor window.db"]);
    folder.write("queue.db", [b'x'; 5000]);
    folder
        .run(["state", "check", "."])
        .expect_code(1)
        .expect_words(&["queue.db is damaged", "there is a fault"]);
    folder.run(["state", "backup", "."]).expect_code(2);
    folder.run(["state", "info", ".", "to"]).expect_code(2);
}
