//! `providers` (SPEC 7): what ships, one or all, as text or JSON.

use serde_json::Value;

use crate::stage::Folder;

#[test]
fn all_are_listed() {
    let ended = Folder::new().run(["providers"]);
    ended.expect_code(0);
    let listed = ended.stdout.lines().any(|line| line.split_whitespace().next() == Some("itellico"));
    assert!(listed, "{ended}");
    Folder::new().run(["providers", "--json"]).expect_code(0).expect_words(&["itellico"]);
}

#[test]
fn one_shows_its_scheme_and_its_facts() {
    let folder = Folder::new();
    let words = ["X-Webhook-Signature-256", "X-Webhook-Timestamp", "{body}.{timestamp}", "hmac-sha256"];
    folder.run(["providers", "itellico"]).expect_code(0).expect_words(&words);
    let ended = folder.run(["providers", "itellico", "--json"]);
    ended.expect_code(0);
    // Names of headers are the same in any case.
    let shown = ended.stdout.to_lowercase();
    assert!(words.iter().all(|word| shown.contains(&word.to_lowercase())), "{ended}");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"));
    assert!(json.is_object(), "{ended}");
    folder.run(["providers", "itelico"]).expect_code(2).expect_words(&["itelico", "verigate providers"]);
}
