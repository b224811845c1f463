//! The window passes to another process while all of it is written down once more.

use super::*;
use crate::clock::Clock;
use crate::replay::{Claimed, ReplayWindow as _};
use crate::verify::claim::sample;

/// A moment of another thread: what it does falls between two shards of a writing.
type Moment = Box<dyn FnOnce() + Send>;

/// A journal, and what is done once the next changes were given to it.
struct Interrupted {
    own: Arc<WindowJournal>,
    then: Mutex<Option<Moment>>,
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupted").finish_non_exhaustive()
    }
}

impl Journal for Interrupted {
    fn append(&self, told: Vec<Told>) -> Written {
        let written = self.own.append(told);
        let then = lock(&self.then).take();
        if let Some(then) = then {
            then();
        }
        written
    }

    fn up_to_now(&self, route: Fingerprint) -> Written {
        self.own.up_to_now(route)
    }
}

/// The process that took over was told that the file had everything, and the old one wrote the other shards behind
/// what the new one had written by then, or did not write them at all.
#[tokio::test]
async fn a_window_that_passes_while_it_is_written_is_missing_in_the_file_and_nothing_of_it_follows()
{
    const EVENTS: u128 = 100;
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
    let queue = Arc::new(QueueDb::open(folder.path(), &clock, None).unwrap());
    let file = Arc::new(WindowDb::open(folder.path(), &clock, None).unwrap());
    let wait = Duration::from_secs(60);
    let journal = Arc::new(WindowJournal::new(Arc::clone(&file), queue, wait));
    let interrupted = Arc::new(Interrupted {
        own: Arc::clone(&journal),
        then: Mutex::default(),
    });
    let window = Arc::new(Window::new(10_000));
    let set: Arc<dyn Journal> = Arc::<Interrupted>::clone(&interrupted);
    window.here().set_journal(set);
    let now = clock.now();
    for id in 0..EVENTS {
        // By the upper bits a key has its shard.
        let claimed = window.claim(&sample(id << 112), now).await;
        let Ok(Claimed::Granted(ticket)) = claimed else {
            panic!("{claimed:?}");
        };
        window.commit(ticket, now).await.unwrap();
    }
    let in_file = || {
        let mut count = 0;
        file.changes(&mut |_| count += 1).unwrap();
        count
    };
    let before = in_file();
    journal.has_missed();
    let (own, passing, seen) = (
        Arc::clone(&journal),
        Arc::clone(&window),
        Arc::new(Mutex::new(None)),
    );
    let told = Arc::clone(&seen);
    *lock(&interrupted.then) = Some(Box::new(move || {
        // The first shard is locked by who writes it down.
        for shard in 1..passing.here().shards() {
            passing.here().freeze(shard);
        }
        *lock(&told) = Some(own.pass());
    }));
    journal.write_missed(&window, now);
    assert_eq!(*lock(&seen), Some(Some(false)), "the file lacks the others");
    let memory = window.here();
    memory.thaw();
    let first = memory.copy(0);
    memory.thaw();
    let first = first
        .iter()
        .filter(|change| matches!(change, Change::Entry(_)));
    let (first, all) = (first.count(), usize::try_from(EVENTS).unwrap());
    assert!((1..all).contains(&first), "{first} of {all} are in it");
    assert_eq!(in_file(), before + first, "what is frozen came behind");
    // The other process has not taken over after all.
    assert_eq!(journal.pass(), Some(false));
    journal.keep();
    journal.write_missed(&window, now);
    assert_eq!(in_file(), before + first + all);
    assert_eq!(journal.pass(), Some(true));
}
