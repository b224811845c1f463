//! The account of every delivery: what the clients were told of it, what came to the app, and what the store had when
//! the gateway ended.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::sent::Sent;
use crate::support::answer::Answer;
use crate::support::upstream::Recorded;

/// The account of one delivery.
struct Entry {
    sent: Sent,
    /// How often it was sent.
    tries: u32,
    /// Whether an answer has said that the gateway has it.
    is_known: bool,
    /// The signed second of the copy for which a client has read that it is queued.
    queued: Option<u64>,
    /// The id under which it came to the app.
    id: Option<u128>,
    /// Whether the app has taken it.
    is_taken: bool,
    /// Whether the store had written that it was delivered.
    is_settled: bool,
}

/// What was known of a delivery when it was sent.
#[derive(Clone, Copy)]
pub(super) struct Before {
    is_known: bool,
    is_first: bool,
    queued: Option<u64>,
}

/// What a client does next with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The gateway has it.
    Known,
    /// It is sent again later.
    Again,
}

/// The account of all deliveries.
#[derive(Default)]
pub(super) struct Book {
    entries: Mutex<HashMap<String, Entry>>,
    faults: Mutex<Vec<String>>,
}

/// How much there was of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) events: usize,
    pub(super) tries: u32,
    pub(super) known: usize,
    pub(super) arrived: usize,
    pub(super) settled: usize,
}

impl Book {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().expect("no panic with it")
    }

    fn fault(&self, text: String) {
        self.faults.lock().expect("no panic with it").push(text);
    }

    /// Panics with everything that must not be.
    #[track_caller]
    pub(super) fn expect_no_fault(&self) {
        let faults = self.faults.lock().expect("no panic with it");
        let shown: Vec<_> = faults.iter().take(10).collect();
        assert!(faults.is_empty(), "{} faults: {shown:#?}", faults.len());
    }

    /// A client is about to send it.
    pub(super) fn sending(&self, sent: &Sent) -> Before {
        let mut entries = self.entries();
        let entry = entries.entry(sent.event.clone()).or_insert_with(|| Entry {
            sent: sent.clone(),
            tries: 0,
            is_known: false,
            queued: None,
            id: None,
            is_taken: false,
            is_settled: false,
        });
        entry.tries += 1;
        Before {
            is_known: entry.is_known,
            is_first: entry.tries == 1,
            queued: entry.queued,
        }
    }

    /// A client has read the answer to a copy that was signed then. `refused` are the codes that are in order beside
    /// those that a queue always may give.
    pub(super) fn answered(
        &self,
        sent: &Sent,
        before: Before,
        signed_at: u64,
        answer: &Answer,
        refused: &[&str],
    ) -> Then {
        let mut entries = self.entries();
        let entry = entries.get_mut(&sent.event).expect("it was sent");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = answer.code();
        let event = &sent.event;
        let is_same = before.queued == Some(signed_at);
        match (answer.status, code.as_str()) {
            (200, "") if body["queued"] == true => {
                if before.is_known || entry.queued.is_some() {
                    self.fault(format!("{event} was let in twice"));
                }
                entry.queued = Some(signed_at);
                entry.is_known = true;
                Then::Known
            }
            (200, "") if body["duplicate"] == true && !is_same => {
                self.seen(entry, before);
                Then::Known
            }
            (409, "replayed_event") => {
                self.seen(entry, before);
                Then::Known
            }
            (503, "event_in_flight") if !before.is_known => Then::Again,
            // A full queue refuses before it has read what it is.
            (503, "queue_full") if refused.contains(&"queue_full") && before.is_known => {
                Then::Known
            }
            (503, code) if refused.contains(&code) && !before.is_known => Then::Again,
            _ => {
                self.fault(format!(
                    "{event}, known before: {}, signed as accepted: {is_same}, got {answer}",
                    before.is_known
                ));
                Then::Again
            }
        }
    }

    /// The gateway says that it has seen it.
    fn seen(&self, entry: &mut Entry, before: Before) {
        if before.is_first && entry.tries == 1 {
            self.fault(format!("{} was never sent before", entry.sent.event));
        }
        entry.is_known = true;
    }

    /// These came to the app, which took those of which `is_taken` holds.
    pub(super) fn arrived(&self, requests: &[Arc<Recorded>], is_taken: impl Fn(&Recorded) -> bool) {
        let mut entries = self.entries();
        // Those that were cut off when the gateway ended are not deliveries.
        for request in requests.iter().filter(|request| request.complete) {
            let event = request.header("X-Verigate-Event-Id").unwrap_or_default();
            let Some(entry) = entries.get_mut(&event) else {
                self.fault(format!("nobody has sent {request}"));
                continue;
            };
            let id = id_of(request);
            if entry.id.is_some_and(|known| known != id) {
                self.fault(format!("{event} has a second delivery id"));
            }
            if entry.is_settled {
                self.fault(format!("{event} came again after it was settled"));
            }
            if let Some(fault) = entry.sent.fault(request) {
                self.fault(format!("{event}: {fault}"));
            }
            entry.id = Some(id);
            entry.is_taken |= is_taken(request);
        }
    }

    /// The store had these deliveries when the gateway had ended. Everything else that has ever come to the app is
    /// settled. `has_finished`: no attempt was cut off.
    pub(super) fn stored(&self, ids: &HashSet<u128>, has_finished: bool) {
        let mut known = HashSet::new();
        for (event, entry) in self.entries().iter_mut() {
            let Some(id) = entry.id else { continue };
            known.insert(id);
            match (ids.contains(&id), entry.is_taken) {
                (false, true) => entry.is_settled = true,
                (false, false) => self.fault(format!("{event} is gone, and the app never took it")),
                (true, true) if has_finished => {
                    self.fault(format!("{event} was taken, and would be delivered again"));
                }
                (true, _) if entry.is_settled => self.fault(format!("{event} has come back")),
                (true, _) => {}
            }
        }
        let waiting = ids.difference(&known).count();
        let open = self
            .entries()
            .values()
            .filter(|entry| entry.is_known && entry.id.is_none())
            .count();
        if waiting < open {
            self.fault(format!(
                "the store has {waiting} deliveries that were never tried, of {open} that were acknowledged"
            ));
        }
    }

    /// Everything of which a client has not read that the gateway has it.
    pub(super) fn unknown(&self) -> Vec<Sent> {
        let entries = self.entries();
        let unknown = entries.values().filter(|entry| !entry.is_known);
        unknown.map(|entry| entry.sent.clone()).collect()
    }

    /// Everything, with the signed second of what was queued.
    pub(super) fn all(&self) -> Vec<(Sent, Option<u64>)> {
        let entries = self.entries();
        let all = entries.values();
        all.map(|entry| (entry.sent.clone(), entry.queued))
            .collect()
    }

    /// The acknowledged deliveries that the app has not taken.
    pub(super) fn missing(&self) -> usize {
        let entries = self.entries();
        let missing = entries.values();
        missing
            .filter(|entry| entry.is_known && !entry.is_taken)
            .count()
    }

    pub(super) fn sums(&self) -> Sums {
        let entries = self.entries();
        let count =
            |which: &dyn Fn(&Entry) -> bool| entries.values().filter(|entry| which(entry)).count();
        Sums {
            events: entries.len(),
            tries: entries.values().map(|entry| entry.tries).sum(),
            known: count(&|entry| entry.is_known),
            arrived: count(&|entry| entry.id.is_some()),
            settled: count(&|entry| entry.is_settled),
        }
    }
}

/// The id of the delivery of which this is an attempt.
pub(super) fn id_of(request: &Recorded) -> u128 {
    let text = request.header("X-Verigate-Delivery-Id");
    let text = text.expect("each attempt has the id").replace('-', "");
    u128::from_str_radix(&text, 16).expect("an id is hexadecimal")
}

/// A copy of a store, with its folder: who opens the files themselves tidies them up.
fn copied(state: &Path) -> (tempfile::TempDir, rusqlite::Connection) {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["queue.db", "queue.db-wal"] {
        let from = state.join(name);
        if from.exists() {
            std::fs::copy(&from, copy.path().join(name)).expect("a copy");
        }
    }
    let database = rusqlite::Connection::open(copy.path().join("queue.db")).expect("a database");
    (copy, database)
}

/// Whether pieces of large bodies are in a store.
pub(super) fn has_pieces(state: &Path) -> bool {
    let (_copy, database) = copied(state);
    let has_some = "select exists (select 1 from piece)";
    let found = database.query_row(has_some, (), |row| row.get(0));
    // Copied while it is written, it may be anything.
    found.unwrap_or(false)
}

/// The ids of the deliveries in the store of a gateway that has ended.
pub(super) fn ids_in(state: &Path) -> HashSet<u128> {
    let (_copy, database) = copied(state);
    let mut select = database
        .prepare("select id from delivery")
        .expect("the table of deliveries");
    let ids = select.query_map((), |row| row.get::<_, [u8; 16]>(0));
    ids.expect("a query")
        .map(|id| u128::from_be_bytes(id.expect("an id")))
        .collect()
}
