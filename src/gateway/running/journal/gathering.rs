//! Changes of the window that go to the store together (contract: State).
//!
//! A transaction costs as much as many changes, and nearly half of that is the way of the thread that writes out of its
//! sleep and back. So what becomes done while a worker thread works off what its sockets have for it is one record: it is
//! handed over at the end, and answered once. It waits for no timer. A thread without other work hands over at once.

use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::SetOnce;
use tokio::task::yield_now;

use super::late::Late;
use super::lock;
use crate::replay::journal::Written;
use crate::replay::passing::Change;
use crate::store::{Pending, WindowStore};

/// As many changes are handed over though more may come: some 30 KiB.
const MANY: usize = 256;

/// Changes on their way to the store.
pub(super) struct Gathering {
    store: Arc<dyn WindowStore>,
    pub(super) late: Late,
    // A plain lock: it is held for moments. Changes are handed over under it, so that the store gets them in the order in
    // which they came.
    open: Mutex<Group>,
}

/// Changes that are not handed over yet.
#[derive(Default)]
struct Group {
    changes: Vec<Change>,
    /// What those who wait for them are told by; `None`: nobody waits.
    end: Option<Arc<SetOnce<()>>>,
}

/// The task that hands a group over. Whatever becomes of it, it does so, and tells those who wait.
struct Handing {
    gathering: Arc<Gathering>,
    end: Arc<SetOnce<()>>,
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").finish_non_exhaustive()
    }
}

/// The runtime of this thread, if tasks go on there whatever this one does.
fn runtime() -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    (runtime.runtime_flavor() == RuntimeFlavor::MultiThread).then_some(runtime)
}

impl Gathering {
    /// Changes for `store`. A request waits at most `timeout` for it.
    pub(super) fn new(store: Arc<dyn WindowStore>, timeout: Duration) -> Self {
        Self {
            store,
            late: Late::new(timeout),
            open: Mutex::default(),
        }
    }

    /// Has changes written. The answer comes when they are, with all that came before, or when that is waited for no
    /// longer.
    pub(super) fn append(self: &Arc<Self>, mut changes: Vec<Change>) -> Written {
        let mut open = lock(&self.open);
        open.changes.append(&mut changes);
        let Some(runtime) = runtime() else {
            let pending = self.hand_over_all(&mut open);
            let own = Arc::clone(self);
            return Box::pin(async move { own.late.wait(pending).await });
        };
        if open.changes.len() >= MANY {
            drop(self.hand_over_all(&mut open));
        }
        let (end, is_first) = match &open.end {
            Some(end) => (Arc::clone(end), false),
            None => {
                let end = Arc::new(SetOnce::new());
                open.end = Some(Arc::clone(&end));
                (end, true)
            }
        };
        drop(open);
        if is_first {
            let handing = Handing {
                gathering: Arc::clone(self),
                end: Arc::clone(&end),
            };
            runtime.spawn(handing.when_all_have_come());
        }
        Box::pin(async move {
            end.wait().await;
        })
    }

    /// Hands over what has gathered, without waiting.
    pub(super) fn hand_over(&self) {
        let mut open = lock(&self.open);
        if !open.changes.is_empty() {
            drop(self.hand_over_all(&mut open));
        }
    }

    fn hand_over_all(&self, open: &mut Group) -> Pending<()> {
        self.store.append(take(&mut open.changes))
    }
}

impl Handing {
    async fn when_all_have_come(self) {
        // The thread runs all tasks that are ready, looks at its sockets, and runs what that has made ready.
        yield_now().await;
        if let Some(pending) = self.hand_over() {
            self.gathering.late.wait(pending).await;
        }
    }

    /// Hands the group over, and ends it: the next change begins another one. `None`: that was done before. If its
    /// changes were handed over already, an empty record follows them: its answer comes after theirs.
    fn hand_over(&self) -> Option<Pending<()>> {
        let mut open = lock(&self.gathering.open);
        open.end.take_if(|end| Arc::ptr_eq(end, &self.end))?;
        Some(self.gathering.hand_over_all(&mut open))
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        drop(self.hand_over());
        let _ = self.end.set(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_channel::oneshot;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::store::StoreError;

    /// A store that notes which changes came together, and answers when it may.
    #[derive(Default)]
    struct Notes {
        records: Mutex<Vec<Vec<Change>>>,
        is_silent: AtomicBool,
        silenced: Mutex<Vec<oneshot::Sender<Result<(), StoreError>>>>,
    }

    impl WindowStore for Notes {
        fn append(&self, changes: Vec<Change>) -> Pending<()> {
            let (answer, pending) = oneshot::channel();
            self.records.lock().unwrap().push(changes);
            if self.is_silent.load(Ordering::Relaxed) {
                self.silenced.lock().unwrap().push(answer);
            } else {
                answer.send(Ok(())).unwrap();
            }
            pending
        }

        fn changes(&self, _: &mut dyn FnMut(Change)) -> Result<(), StoreError> {
            Ok(())
        }
    }

    impl Notes {
        /// The serials that came, record by record.
        fn taken(&self) -> Vec<Vec<u64>> {
            let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            let serial = |change: &Change| match change {
                Change::Serial(serial) => *serial,
                other => panic!("{other:?}"),
            };
            records
                .iter()
                .map(|record| record.iter().map(serial).collect())
                .collect()
        }
    }

    fn gathering(timeout: Duration) -> (Arc<Notes>, Arc<Gathering>) {
        let notes = Arc::new(Notes::default());
        let store: Arc<dyn WindowStore> = Arc::<Notes>::clone(&notes);
        (notes, Arc::new(Gathering::new(store, timeout)))
    }

    fn worker() -> Runtime {
        let mut one = Builder::new_multi_thread();
        one.worker_threads(1).enable_time().build().unwrap()
    }

    /// Lets tasks of one worker thread append a change each, and wait for it.
    fn append_each(gathering: &Arc<Gathering>, serials: std::ops::Range<u64>) {
        let own = Arc::clone(gathering);
        let runtime = worker();
        let all = runtime.spawn(async move {
            let begin = |serial| {
                let own = Arc::clone(&own);
                async move { own.append(vec![Change::Serial(serial)]).await }
            };
            let tasks: Vec<_> = serials.map(|serial| tokio::spawn(begin(serial))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        runtime.block_on(all).unwrap();
    }

    #[test]
    fn what_a_thread_does_before_it_looks_at_its_sockets_is_one_record() {
        let (notes, gathering) = gathering(Duration::from_secs(60));
        append_each(&gathering, 0..3);
        let mut taken = notes.taken();
        taken[0].sort_unstable();
        assert_eq!(taken, [[0, 1, 2]]);
        append_each(&gathering, 3..4);
        assert_eq!(notes.taken()[1..], [[3]], "the next group begins anew");
    }

    #[test]
    fn many_changes_do_not_gather_for_long_and_keep_their_order() {
        let (notes, gathering) = gathering(Duration::from_secs(60));
        let own = Arc::clone(&gathering);
        let (most, runtime) = (MANY as u64, worker());
        let all = runtime.spawn(async move {
            let mut written: Vec<_> = (0..=2 * most)
                .map(|serial| own.append(vec![Change::Serial(serial)]))
                .collect();
            written.pop().unwrap().await;
        });
        runtime.block_on(all).unwrap();
        let taken = notes.taken();
        assert!(taken.concat().into_iter().eq(0..=2 * most));
        assert!(taken.iter().all(|record| record.len() <= MANY), "{taken:?}");
    }

    #[test]
    fn a_thread_whose_tasks_may_stand_still_hands_over_at_once_what_others_gather_too() {
        let (notes, gathering) = gathering(Duration::from_secs(60));
        lock(&gathering.open).changes.push(Change::Serial(1));
        drop(gathering.append(vec![Change::Serial(2)]));
        assert_eq!(notes.taken(), [[1, 2]]);
        let current = Builder::new_current_thread().enable_time().build().unwrap();
        let own = Arc::clone(&gathering);
        current.block_on(async move { drop(own.append(vec![Change::Serial(3)])) });
        assert_eq!(notes.taken()[1..], [[3]]);
        lock(&gathering.open).changes.push(Change::Serial(4));
        gathering.hand_over();
        gathering.hand_over();
        assert_eq!(notes.taken()[2..], [[4]], "there is nothing more");
    }

    #[test]
    fn a_task_that_is_dropped_hands_over_and_tells_those_who_wait() {
        let (notes, gathering) = gathering(Duration::from_secs(60));
        let end = Arc::new(SetOnce::new());
        *lock(&gathering.open) = Group {
            changes: vec![Change::Serial(1)],
            end: Some(Arc::clone(&end)),
        };
        let handing = Handing {
            gathering: Arc::clone(&gathering),
            end: Arc::clone(&end),
        };
        drop(handing.when_all_have_come());
        assert_eq!(notes.taken(), [[1]]);
        assert!(end.get().is_some());
        assert!(lock(&gathering.open).end.is_none());
    }

    #[test]
    fn nobody_waits_longer_for_a_group_than_for_a_record() {
        let (notes, gathering) = gathering(Duration::from_millis(1));
        notes.is_silent.store(true, Ordering::Relaxed);
        append_each(&gathering, 0..3);
        assert!(gathering.late.is_any());
        for answer in notes.silenced.lock().unwrap().drain(..) {
            answer.send(Ok(())).unwrap();
        }
        gathering.late.look();
        assert!(!gathering.late.is_any());
    }
}
