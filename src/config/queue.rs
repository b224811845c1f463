//! `mode` and `[route.queue]`: whether deliveries are answered by the app or kept on disk first, and
//! how what was kept is delivered (contract: State).
//!
//! Only the settings are read here. [`super::queue_judge`] judges them, and the gateway carries them
//! out. A route in relay mode may have the table too: it holds for what the route accepted while it
//! was in queue mode.

use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Findings, Item, Table};
use super::sizes::size;
use super::state::{MOST_DELIVERIES, State};
use super::units;
use super::units::UnitFault;
use crate::notation::json::Pointer;
use crate::queue::Rate;

/// How a route forwards what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The delivery is forwarded at once, and the app's answer is relayed.
    #[default]
    Relay,
    /// The delivery is stored and acknowledged, and delivered afterwards until the app takes it.
    Queue,
}

impl Mode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Relay, Self::Queue];

    /// The name of the mode in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Queue => "queue",
        }
    }
}

/// `[route.queue]`, each value checked. Every route has these settings: a route back in relay mode
/// goes on delivering what it accepted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The status of the answer `queued`, 200 or 202. The scheme's `ack` goes before it.
    pub answer: u16,
    /// The most live bytes of the route's deliveries on disk, dead letters included. A quarter of
    /// `[state] max_bytes` by default.
    pub max_bytes: u64,
    /// The most deliveries of the route on disk, dead letters included. A quarter of
    /// `[state] max_deliveries` by default.
    pub max_deliveries: u64,
    /// The pause after each failed attempt, before it is spread by ± 20 %. The last one is repeated.
    /// Never empty.
    pub retry: Vec<Duration>,
    /// The age after which a failed attempt is the last one: since the acceptance, or, with
    /// `order_by`, since the delivery became the first of its key.
    pub max_age: Duration,
    /// The statuses with which the app refuses a delivery for good.
    pub dead_on: Vec<u16>,
    /// How long a dead letter is kept.
    pub keep_dead: Duration,
    /// The most attempts of the route at the same time, at least 1.
    pub concurrency: u16,
    /// The most attempts of the route in a time; `None`: no limit.
    pub rate: Option<Rate>,
    /// The key within which deliveries keep their order; `None`: no order.
    pub order_by: Option<OrderBy>,
}

/// The key within which deliveries are delivered one by one, in the order of their acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// One key for the whole route.
    All,
    /// The account. A delivery without account has no order.
    Account,
    /// A value of the JSON body. A delivery without it has no order.
    Pointer(Pointer),
}

impl OrderBy {
    /// The text that the configuration has for it.
    pub fn text(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Account => "account".to_owned(),
            Self::Pointer(pointer) => pointer.text(),
        }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The pauses of `retry`, in seconds.
const RETRY: [u64; 7] = [5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR];

/// What other programs call the end of the attempts and the pauses between them.
const ELSEWHERE: [(&str, &str); 8] = [
    ("attempts", NOT_BY_NUMBER),
    ("max_attempts", NOT_BY_NUMBER),
    ("max_retries", NOT_BY_NUMBER),
    ("retries", NOT_BY_NUMBER),
    ("backoff", PAUSES),
    ("delay", PAUSES),
    ("interval", PAUSES),
    ("schedule", PAUSES),
];
const NOT_BY_NUMBER: &str =
    "attempts end by age, not by number: write `max_age`, as in `max_age = \"72h\"`";
const PAUSES: &str = "write the pauses between attempts as in `retry = [\"5s\", \"1m\", \"1h\"]`; the last one is repeated";

/// The most pauses that `retry` may have.
const MOST_PAUSES: usize = 100;

/// The most attempts of a route at the same time.
const MOST_CONCURRENCY: u64 = 1024;

impl Queue {
    /// The settings of a route that writes none of them.
    pub fn of(state: &State) -> Self {
        Self {
            answer: 200,
            max_bytes: state.max_bytes / 4,
            max_deliveries: (state.max_deliveries / 4).max(1),
            retry: RETRY.map(Duration::from_secs).to_vec(),
            max_age: Duration::from_secs(72 * HOUR),
            dead_on: vec![410],
            keep_dead: Duration::from_secs(14 * DAY),
            concurrency: 16,
            rate: None,
            order_by: None,
        }
    }

    /// Reads the table, which a route need not have.
    pub(super) fn read(item: Option<&Item<'_>>, findings: &mut Findings, state: &State) -> Self {
        let mut queue = Self::of(state);
        let Some(mut table) = item.and_then(|item| item.table(findings, "[route.queue]")) else {
            return queue;
        };
        let table = &mut table;
        if let Some(item) = table.item("answer") {
            queue.answer = read_answer(&item, findings).unwrap_or(queue.answer);
        }
        queue.max_bytes = size(table, findings, "max_bytes", 1..=1 << 50, queue.max_bytes);
        if let Some(item) = table.item("max_deliveries") {
            let most = item.integer(findings, 1..=MOST_DELIVERIES);
            queue.max_deliveries = most.unwrap_or(queue.max_deliveries);
        }
        if let Some(item) = table.item("retry") {
            queue.retry = read_retry(&item, findings).unwrap_or(queue.retry);
        }
        let max_age = duration(table, findings, "max_age", "\"72h\"");
        if let Some(item) = table.item("dead_on") {
            queue.dead_on = read_dead_on(&item, findings).unwrap_or(queue.dead_on);
        }
        if let Some(kept) = duration(table, findings, "keep_dead", "\"14d\"") {
            queue.keep_dead = kept;
        }
        if let Some(item) = table.item("concurrency") {
            let most = item.integer(findings, 1..=MOST_CONCURRENCY);
            let most = most.and_then(|most| u16::try_from(most).ok());
            queue.concurrency = most.unwrap_or(queue.concurrency);
        }
        if let Some(item) = table.item("rate") {
            queue.rate = item.unit(findings, "\"100/s\"", rate);
        }
        if let Some(item) = table.item("order_by") {
            queue.order_by = read_order(&item, findings);
            // What waits behind a delivery waits for its end, so the end comes sooner.
            if queue.order_by.is_some() {
                queue.max_age = Duration::from_secs(HOUR);
            }
        }
        queue.max_age = max_age.unwrap_or(queue.max_age);
        table.finish_with(findings, &ELSEWHERE);
        queue
    }
}

fn duration(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    example: &str,
) -> Option<Duration> {
    let item = table.item(key)?;
    item.unit(findings, example, units::timeout)
}

/// Reads `mode`.
pub(super) fn read_mode(item: &Item<'_>, findings: &mut Findings) -> Option<Mode> {
    let named = |name: &str| Mode::ALL.into_iter().find(|mode| mode.name() == name);
    item.one_of(findings, &Mode::ALL.map(Mode::name), &[], named)
}

fn read_answer(item: &Item<'_>, findings: &mut Findings) -> Option<u16> {
    let DeValue::Integer(digits) = item.value.get_ref() else {
        item.wrong_type(findings, "a whole number", "answer = 202");
        return None;
    };
    let status = u16::from_str_radix(digits.as_str(), digits.radix()).ok();
    let taken = status.filter(|status| matches!(status, 200 | 202));
    if taken.is_none() {
        let help = "write 200 or 202; a provider takes either for an acknowledgement";
        item.refuse(findings, "is neither 200 nor 202", help);
    }
    taken
}

fn read_retry(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<Duration>> {
    const EXAMPLE: &str = "retry = [\"5s\", \"1m\", \"15m\"]";
    let entries = item.list(findings, EXAMPLE)?;
    if entries.is_empty() {
        let help = format!("name at least one pause, as in `{EXAMPLE}`; the last one is repeated");
        item.refuse(findings, "is empty", help);
        return None;
    }
    if entries.len() > MOST_PAUSES {
        let help = format!("name at most {MOST_PAUSES} pauses; the last one is repeated");
        item.refuse(findings, "is too long", help);
        return None;
    }
    let pauses: Vec<_> = entries
        .iter()
        .map(|entry| entry.unit(findings, "\"5s\"", units::timeout))
        .collect();
    pauses.into_iter().collect()
}

fn read_dead_on(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<u16>> {
    const EXAMPLE: &str = "dead_on = [410, 422]";
    let entries = item.list(findings, EXAMPLE)?;
    let statuses: Vec<_> = entries
        .iter()
        .map(|entry| {
            if !matches!(entry.value.get_ref(), DeValue::Integer(_)) {
                entry.wrong_type(findings, "the number of a status", EXAMPLE);
                return None;
            }
            let status = entry.integer(findings, 300..=599)?;
            u16::try_from(status).ok()
        })
        .collect();
    let mut statuses: Vec<u16> = statuses.into_iter().collect::<Option<_>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    Some(statuses)
}

fn read_order(item: &Item<'_>, findings: &mut Findings) -> Option<OrderBy> {
    const HELP: &str = "write `\"all\"`, `\"account\"`, or a pointer into the JSON body, as in \
                        `\"/order/id\"`";
    let text = item.text(findings, "\"account\"")?;
    match text {
        "all" => return Some(OrderBy::All),
        "account" => return Some(OrderBy::Account),
        _ => {}
    }
    match Pointer::parse(text) {
        Some(pointer) if pointer.is_each() => {
            let message = "means many values by its `*`, and a delivery has one place in the order";
            item.refuse(findings, message, "point at a single value");
            None
        }
        Some(pointer) => Some(OrderBy::Pointer(pointer)),
        None => {
            item.refuse(findings, "is no key to order by", HELP);
            None
        }
    }
}

/// `100/s`, `30/m`, `1000/h`: a number from 1 to a million in a second, a minute or an hour.
pub(crate) fn rate(text: &str) -> Result<Rate, UnitFault> {
    const HELP: &str = "write a number and one of /s, /m, /h, as in `100/s` or `30/m`";
    let fault = || UnitFault::new("is no rate", HELP);
    let (digits, unit) = text.split_once('/').ok_or_else(fault)?;
    let per = Duration::from_secs(match unit {
        "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return Err(fault()),
    });
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u32 = match digits.parse() {
        Ok(count) if is_number => count,
        _ => return Err(fault()),
    };
    if count == 0 {
        let help = "write a number above zero; `verigate queue pause` stops a route";
        return Err(UnitFault::new("is zero: nothing would be delivered", help));
    }
    if count > 1_000_000 {
        let help = "write at most 1000000, or leave it out for no limit";
        return Err(UnitFault::new("is too high", help));
    }
    Ok(Rate { count, per })
}

/// The rate as the file writes it.
pub(crate) fn written_rate(rate: Rate) -> String {
    let unit = match rate.per.as_secs() {
        HOUR => "h",
        MINUTE => "m",
        _ => "s",
    };
    format!("{}/{unit}", rate.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_second_a_minute_or_an_hour() {
        let is = |count, secs| {
            Some(Rate {
                count,
                per: Duration::from_secs(secs),
            })
        };
        let rows = [
            ("100/s", is(100, 1)),
            ("30/m", is(30, 60)),
            ("1000000/h", is(1_000_000, 3600)),
            ("007/s", is(7, 1)),
            ("0/s", None),
            ("1000001/s", None),
            ("99999999999/s", None),
            ("100", None),
            ("/s", None),
            ("+1/s", None),
            ("-1/s", None),
            ("1.5/s", None),
            ("100 /s", None),
            ("100/ s", None),
            ("100/d", None),
            ("100/sec", None),
            ("100/s/s", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
        for text in ["100/s", "30/m", "1000000/h"] {
            assert_eq!(rate(text).map(written_rate).as_deref(), Ok(text));
        }
    }
}
