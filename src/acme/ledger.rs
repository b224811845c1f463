//! The count of orders, kept in a file over restarts: at most three a day and name, and the wait
//! after each failure (contract: The edge).
//!
//! An order is written down before it is sent, as one that has failed; only a certificate takes that
//! back. So a process that ends in the middle of an order, over and over, orders no more than one
//! that goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::UnixMillis;

/// The most orders of a name in [`DAY`].
pub const A_DAY: usize = 3;

/// The time for which an order counts.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest wait that an authority can ask for: the period of its longest rate limits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The waits after the first, the second and each further failed order in a row.
const WAITS: [Duration; 3] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(8 * 3600),
];

/// The orders of all names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    names: BTreeMap<String, Entry>,
}

/// The orders of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// The moments of the orders of the last day, in their order.
    orders: Vec<UnixMillis>,
    /// The orders that failed since the last certificate.
    failures: u32,
    /// The moment before which the name is not ordered again.
    not_before: Option<UnixMillis>,
}

/// The reason why a file is no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALedger;

impl Ledger {
    /// Reads the text of [`Self::text`].
    ///
    /// # Errors
    /// [`NotALedger`]: the caller must then take it that every name has used up its orders
    /// ([`Self::spent`]), since nobody knows.
    pub fn read(text: &[u8]) -> Result<Self, NotALedger> {
        let value: Value = serde_json::from_slice(text).map_err(|_| NotALedger)?;
        let listed = value.get("names").and_then(Value::as_object);
        let moment = |value: &Value| value.as_i64().map(UnixMillis).ok_or(NotALedger);
        let mut names = BTreeMap::new();
        for (name, value) in listed.ok_or(NotALedger)? {
            let orders = value.get("orders").and_then(Value::as_array);
            let orders: Result<Vec<_>, _> = orders.ok_or(NotALedger)?.iter().map(moment).collect();
            let failures = value.get("failures").and_then(Value::as_u64);
            let not_before = value.get("not_before").map(moment).transpose()?;
            let entry = Entry {
                orders: orders?,
                failures: u32::try_from(failures.ok_or(NotALedger)?).unwrap_or(u32::MAX),
                not_before,
            };
            names.insert(name.clone(), entry);
        }
        Ok(Self { names })
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let entry = |entry: &Entry| {
            let orders: Vec<i64> = entry.orders.iter().map(|at| at.0).collect();
            let mut object = Map::new();
            object.insert("orders".to_owned(), json!(orders));
            object.insert("failures".to_owned(), json!(entry.failures));
            if let Some(not_before) = entry.not_before {
                object.insert("not_before".to_owned(), json!(not_before.0));
            }
            Value::Object(object)
        };
        let names: Map<_, _> = self
            .names
            .iter()
            .map(|(name, own)| (name.clone(), entry(own)))
            .collect();
        format!("{:#}\n", json!({ "names": names }))
    }

    /// The ledger in which each of these names has used up its orders of the day.
    pub fn spent<'n>(names: impl IntoIterator<Item = &'n str>, now: UnixMillis) -> Self {
        let entry = Entry {
            orders: vec![now; A_DAY],
            failures: 1,
            not_before: None,
        };
        let names = names.into_iter();
        Self {
            names: names.map(|name| (name.to_owned(), entry.clone())).collect(),
        }
    }

    /// The moment from which the name may be ordered: `now` or earlier if it may be at once.
    pub fn earliest(&self, name: &str, now: UnixMillis) -> UnixMillis {
        let Some(entry) = self.names.get(name) else {
            return now;
        };
        // The clock may have been wrong when a wait began.
        let longest = later(now, LONGEST_WAIT);
        let wait = entry.not_before.map_or(now, |at| at.min(longest));
        let counted: Vec<_> = entry.counted(now).collect();
        // The order that must leave the day before another may come.
        let place = counted.len().checked_sub(A_DAY);
        let freed = place.and_then(|place| counted.get(place));
        let freed = freed.map_or(now, |at| later((*at).min(now), DAY));
        wait.max(freed)
    }

    /// The orders of the name within the last day.
    pub fn count(&self, name: &str, now: UnixMillis) -> usize {
        let entry = self.names.get(name);
        entry.map_or(0, |entry| entry.counted(now).count())
    }

    /// The orders of the name that failed since its last certificate.
    pub fn failures(&self, name: &str) -> u32 {
        self.names.get(name).map_or(0, |entry| entry.failures)
    }

    /// Writes an order down that is about to be sent.
    pub fn order(&mut self, name: &str, now: UnixMillis) {
        let entry = self.names.entry(name.to_owned()).or_default();
        entry.orders = entry.counted(now).collect();
        entry.orders.push(now);
        entry.orders.sort_unstable();
        entry.failures = entry.failures.saturating_add(1);
        let place = usize::try_from(entry.failures).unwrap_or(usize::MAX);
        let [.., last] = WAITS;
        let wait = WAITS.get(place.saturating_sub(1)).copied().unwrap_or(last);
        entry.not_before = Some(later(now, wait));
    }

    /// Writes down for how long the authority wants no further order of the name.
    pub fn wait(&mut self, name: &str, now: UnixMillis, asked: Duration) {
        let entry = self.names.entry(name.to_owned()).or_default();
        let until = later(now, asked.min(LONGEST_WAIT));
        entry.not_before = entry.not_before.max(Some(until));
    }

    /// Writes down that an order has brought a certificate. The order still counts.
    pub fn issued(&mut self, name: &str) {
        let entry = self.names.entry(name.to_owned()).or_default();
        entry.failures = 0;
        entry.not_before = None;
    }

    /// Forgets what counts no more of names that are in no configuration.
    pub fn tidy<'n>(&mut self, names: impl IntoIterator<Item = &'n str>, now: UnixMillis) {
        let names: Vec<_> = names.into_iter().collect();
        self.names.retain(|name, entry| {
            names.contains(&name.as_str())
                || entry.counted(now).next().is_some()
                || entry.not_before.is_some_and(|until| until > now)
        });
    }
}

impl Entry {
    /// The orders that count now. One that lies ahead was written by a clock that was wrong then or
    /// is wrong now: within a day it counts, so that a clock set back allows no more orders.
    fn counted(&self, now: UnixMillis) -> impl Iterator<Item = UnixMillis> {
        let counts = move |at: &&UnixMillis| now.0.abs_diff(at.0) < millis(DAY);
        self.orders.iter().filter(counts).copied()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The moment `duration` after another.
pub fn later(moment: UnixMillis, duration: Duration) -> UnixMillis {
    UnixMillis(moment.0.saturating_add_unsigned(millis(duration)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_795_392_000_000);
    const NAME: &str = "a.example";

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn tl_10_a_name_is_ordered_three_times_a_day_and_the_waits_grow() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.earliest(NAME, START), START);
        let mut now = START;
        let mut sent = Vec::new();
        while now < later(START, hours(72)) {
            ledger.order(NAME, now);
            sent.push(now.0 - START.0);
            now = ledger.earliest(NAME, now);
        }
        let at = |duration: Duration| i64::try_from(duration.as_millis()).unwrap();
        let expected = [
            minutes(0),
            minutes(5),
            minutes(35),
            hours(24),
            hours(32),
            hours(40),
            hours(48),
            hours(56),
            hours(64),
        ];
        assert_eq!(sent, expected.map(at));
        assert_eq!(ledger.earliest("b.example", START), START);
    }

    #[test]
    fn a_certificate_ends_the_wait_and_its_order_still_counts() {
        let mut ledger = Ledger::default();
        for count in 1..=A_DAY {
            assert_eq!(ledger.earliest(NAME, START), START);
            ledger.order(NAME, START);
            assert!(ledger.earliest(NAME, START) > START);
            ledger.issued(NAME);
            assert_eq!(ledger.count(NAME, START), count);
        }
        assert_eq!(ledger.earliest(NAME, START), later(START, DAY));
        let next = later(START, DAY);
        assert_eq!(ledger.earliest(NAME, next), next);
    }

    #[test]
    fn the_wait_that_an_authority_asks_for_is_kept_up_to_a_week() {
        for (asked, expected) in [
            (hours(1), hours(1)),
            (hours(100), hours(100)),
            (hours(10_000), LONGEST_WAIT),
            (minutes(1), minutes(5)),
        ] {
            let mut ledger = Ledger::default();
            ledger.order(NAME, START);
            ledger.wait(NAME, START, asked);
            assert_eq!(ledger.earliest(NAME, START), later(START, expected));
        }
    }

    #[test]
    fn tl_10_a_clock_that_is_set_allows_no_more_orders_and_stops_none_for_ever() {
        let mut ledger = Ledger::default();
        for _ in 0..A_DAY {
            ledger.order(NAME, START);
        }
        // Half a day back: the orders lie ahead, and count.
        let back = UnixMillis(START.0 - 12 * 3_600_000);
        assert_eq!(ledger.count(NAME, back), A_DAY);
        assert_eq!(ledger.earliest(NAME, back), later(back, DAY));
        // Years back: the first clock was wrong.
        let far = UnixMillis(START.0 - 3 * 365 * 24 * 3_600_000);
        assert_eq!(ledger.count(NAME, far), 0);
        assert_eq!(ledger.earliest(NAME, far), later(far, LONGEST_WAIT));
    }

    #[test]
    fn tl_10_the_file_says_all_and_what_is_no_ledger_is_refused() {
        let mut ledger = Ledger::default();
        ledger.order(NAME, START);
        ledger.order("b.example", START);
        ledger.issued("b.example");
        assert_eq!(Ledger::read(ledger.text().as_bytes()), Ok(ledger.clone()));
        let whole = ledger.text();
        let (cut, _) = whole.split_at(whole.len() / 2);
        for text in [
            "",
            "{}",
            "null",
            "{\"names\":[]}",
            "{\"names\":{\"a\":{}}}",
            "{\"names\":{\"a\":{\"orders\":[\"x\"],\"failures\":0}}}",
            "{\"names\":{\"a\":{\"orders\":[],\"failures\":-1}}}",
            cut,
        ] {
            assert_eq!(Ledger::read(text.as_bytes()), Err(NotALedger), "{text}");
        }
        let spent = Ledger::spent([NAME], START);
        assert_eq!(spent.earliest(NAME, START), later(START, DAY));
    }

    #[test]
    fn names_of_former_configurations_are_forgotten_once_their_orders_do_not_count() {
        let mut ledger = Ledger::default();
        ledger.order(NAME, START);
        ledger.order("b.example", START);
        ledger.tidy(["b.example"], later(START, hours(1)));
        assert_eq!(ledger.count(NAME, START), 1);
        ledger.tidy(["b.example"], later(START, hours(25)));
        assert!(!ledger.text().contains(NAME) && ledger.text().contains("b.example"));
    }
}
