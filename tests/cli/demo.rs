//! `demo --once` (SPEC 7): the tour, with a verdict for each delivery.

use crate::stage::Folder;

#[test]
fn the_tour_shows_at_least_ten_deliveries_and_ends_well() {
    let folder = Folder::new();
    let ended = folder.run(["demo", "--once"]);
    ended.expect_code(0).expect_hidden(&["panicked"]);
    // A row has a status of HTTP in a cell of its own.
    let is_status =
        |word: &str| word.len() == 3 && word.parse::<u16>().is_ok_and(|status| (200..600).contains(&status));
    let rows: Vec<&str> = ended.stdout.lines().filter(|line| line.split_whitespace().any(is_status)).collect();
    assert!(rows.len() >= 10, "{} rows in {ended}", rows.len());
    for verdict in ["valid", "bad_signature", "stale_timestamp", "replayed_event", "duplicate_event"] {
        assert!(rows.iter().any(|row| row.contains(verdict)), "{verdict} in {ended}");
    }
}
