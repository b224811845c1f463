//! A replay window on disk: the time to write entries to `window.db` as they become done, and to read
//! them back into memory, as a start does.
//!
//! `cargo bench --bench window_file` takes a million entries; a number behind `--` is another count.
//! Without `--bench`, as in `cargo test --benches`, a few entries are taken.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures, and prints its results"
)]

#[path = "support/arrivals.rs"]
mod arrivals;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrivals::{arrival, ready};
use verigate::clock::Clock;
use verigate::clock::{Now, UnixMillis};
use verigate::replay::journal::{Journal, Told, Written};
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow as _};
use verigate::store::WindowStore as _;
use verigate::store::sqlite::WindowDb;
use verigate::verify::claim::{Fingerprint, FingerprintKey};

const NOW: Now = Now {
    wall: UnixMillis::from_secs(1_750_000_000),
    mono: Duration::ZERO,
};

/// Writes what a window tells, and waits for nothing.
#[derive(Debug)]
struct ToFile(Arc<WindowDb>);

impl Journal for ToFile {
    fn append(&self, told: Vec<Told>) -> Written {
        let changes = told.into_iter().map(|(_, change)| change);
        drop(self.0.append(changes.collect()));
        Box::pin(std::future::ready(()))
    }

    fn up_to_now(&self, _: Fingerprint) -> Written {
        Box::pin(std::future::ready(()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let entries: u64 = asked.unwrap_or(if is_bench { 1_000_000 } else { 100 });
    let key = FingerprintKey::from_bytes([7; 16]);
    let folder = tempfile::tempdir()?;
    let clock = Clock::set_to(NOW.wall);
    let capacity = usize::try_from(entries)?;

    let begun = Instant::now();
    let file = Arc::new(WindowDb::open(folder.path(), &clock, None)?);
    let window = MemoryWindow::new(capacity);
    window.set_journal(Arc::new(ToFile(Arc::clone(&file))));
    for number in 0..entries {
        if let Ok(Claimed::Granted(ticket)) = ready(window.claim(&arrival(&key, number), NOW)) {
            let _ = ready(window.commit(ticket, NOW));
        }
    }
    file.flush()?;
    let written = begun.elapsed();
    file.close();
    let bytes = std::fs::metadata(folder.path().join("window.db"))?.len();

    let begun = Instant::now();
    let file = WindowDb::open(folder.path(), &clock, None)?;
    let opened = begun.elapsed();
    let again = MemoryWindow::new(capacity);
    file.changes(&mut |change| again.take_over(&change))?;
    again.fit(NOW);
    let read = begun.elapsed();
    println!(
        "{entries} entries: written in {written:.2?}, {bytes} bytes; opened in {opened:.2?}, read back in \
         {read:.2?}, {} of them",
        again.entries()
    );
    Ok(())
}
