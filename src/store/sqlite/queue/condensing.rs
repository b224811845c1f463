//! Records that wait until `queue.db` can be written again: of each delivery the last one counts, and of
//! each entry of the replay window. So they take memory for what the gateway has, and not for as long as
//! the file cannot be written.

use std::collections::{HashMap, HashSet, VecDeque};

use super::records::Record;
use crate::clock::UnixMillis;
use crate::queue::Number;
use crate::replay::passing::Change;
use crate::verify::claim::{ClaimKey, Fingerprint};

/// What later records say.
#[derive(Default)]
struct Later {
    deliveries: HashSet<Number>,
    entries: HashSet<ClaimKey>,
    forgotten: HashMap<Fingerprint, UnixMillis>,
    serial: Option<u64>,
}

/// Leaves out what later records make void. An answer to what is left out is dropped. Of attempts that
/// failed the last one of each delivery is remembered.
pub(super) fn condense(held: &mut VecDeque<Record>) {
    let mut later = Later::default();
    let all = std::mem::take(held);
    for mut record in all.into_iter().rev() {
        let stays = match &mut record {
            Record::Accept(_) => true,
            Record::Change { number, .. } => later.deliveries.insert(*number),
            Record::Claims { changes, .. } => {
                let all = std::mem::take(changes).into_iter().rev();
                *changes = all.filter(|change| later.lacks(change)).collect();
                changes.reverse();
                !changes.is_empty()
            }
        };
        if stays {
            held.push_front(record);
        }
    }
}

impl Later {
    /// Whether later changes leave something to this one. It counts as one of them afterwards.
    fn lacks(&mut self, change: &Change) -> bool {
        match change {
            Change::Entry(kept) => self.entries.insert(kept.key),
            Change::Gone(key) => self.entries.insert(*key),
            // Those of one key may be different variants of its entry.
            Change::Done(arrival, _) => !self.entries.contains(&arrival.key),
            Change::Forgotten(route, until) => {
                let is_latest = self.forgotten.get(route).is_none_or(|later| later < until);
                if is_latest {
                    self.forgotten.insert(*route, *until);
                }
                is_latest
            }
            Change::Serial(number) => {
                let is_highest = self.serial < Some(*number);
                self.serial = self.serial.max(Some(*number));
                is_highest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_channel::oneshot;

    use super::*;
    use crate::queue::{Change as Fate, Progress, State};

    fn change(number: u64, attempts: Option<u32>) -> Record {
        let progress = |attempts| {
            Fate::Progress(Progress {
                state: State::Retrying,
                attempts,
                round: 1,
                due: UnixMillis(9),
                aged_from: UnixMillis(8),
                last_status: None,
            })
        };
        Record::Change {
            number: Number(number),
            change: attempts.map_or(Fate::Gone, progress),
            attempt: None,
            answer: oneshot::channel().0,
        }
    }

    fn claims(changes: &[Change]) -> Record {
        Record::Claims {
            changes: changes.to_vec(),
            answer: oneshot::channel().0,
        }
    }

    /// What is left of some records, in words.
    fn left(records: impl IntoIterator<Item = Record>) -> Vec<String> {
        let mut held = records.into_iter().collect();
        condense(&mut held);
        let said = |record| match record {
            Record::Accept(_) => vec!["accept".to_owned()],
            Record::Change { number, change, .. } => match change {
                Fate::Gone => vec![format!("{} gone", number.0)],
                Fate::Progress(progress) => vec![format!("{} {}", number.0, progress.attempts)],
            },
            Record::Claims { changes, .. } => changes
                .iter()
                .map(|change| match change {
                    Change::Entry(kept) => format!("entry {}", kept.key.0),
                    Change::Gone(key) => format!("gone {}", key.0),
                    Change::Forgotten(route, until) => format!("forgot {} {}", route.0, until.0),
                    Change::Serial(number) => format!("serial {number}"),
                    Change::Done(..) => "done".to_owned(),
                })
                .collect(),
        };
        held.into_iter().flat_map(said).collect()
    }

    #[test]
    fn of_each_delivery_the_last_change_is_left_in_the_order_of_the_last_ones() {
        let many = (1..=1000).flat_map(|attempts| [change(1, Some(attempts)), change(2, Some(7))]);
        let end = [change(3, Some(1)), change(2, None)];
        assert_eq!(left(many.chain(end)), ["1 1000", "3 1", "2 gone"]);
    }

    #[test]
    fn of_each_entry_the_last_change_is_left() {
        let entry = crate::store::sqlite::tests::entry;
        let gone = |key| Change::Gone(ClaimKey(key));
        let forgotten = |route, until| Change::Forgotten(Fingerprint(route), UnixMillis(until));
        let said = left([
            claims(&[entry(1), gone(1), entry(2), gone(3)]),
            claims(&[forgotten(1, 10), forgotten(2, 30), Change::Serial(4)]),
            claims(&[entry(2)]),
            claims(&[
                forgotten(1, 20),
                forgotten(2, 20),
                entry(3),
                Change::Serial(3),
            ]),
            claims(&[entry(3)]),
        ]);
        let expected = [
            "gone 1",
            "forgot 2 30",
            "serial 4",
            "entry 2",
            "forgot 1 20",
            "entry 3",
        ];
        assert_eq!(said[..3], expected[..3]);
        // The lower values that come later say nothing new and are no harm.
        let rest: Vec<_> = said[3..]
            .iter()
            .filter(|said| !["forgot 2 20", "serial 3"].contains(&said.as_str()))
            .collect();
        assert_eq!(rest, expected[3..]);
    }
}
