//! Bad days of an app, with hours and days that pass on the clock alone: every delivery that was accepted
//! is counted at the end, and the delay of those that the app takes is bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What the app does with an attempt: the time that it takes, and its end.
type Reply = (Duration, Outcome);

/// A day: deliveries arrive evenly, and the app replies as it is told.
struct Day<A> {
    bench: Bench,
    /// The milliseconds between two arrivals.
    each: u64,
    /// The app, by number and seconds since the beginning.
    app: A,
    account: fn(u64) -> u64,
    begun: Duration,
    accepted: u64,
    /// Attempts in flight, by the moment of their end.
    ends: BTreeMap<(Duration, u64), Outcome>,
    delivered: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// The delays of what was delivered, by number.
    delays: BTreeMap<u64, Duration>,
}

const ACCOUNTS: u64 = 50;

fn account(number: u64) -> u64 {
    number % ACCOUNTS
}

impl<A: Fn(u64, u64) -> Reply> Day<A> {
    fn new(settings: Settings, each: u64, app: A) -> Self {
        let bench = Bench::new(settings);
        let begun = bench.now().mono;
        Self {
            bench,
            each,
            app,
            account,
            begun,
            accepted: 0,
            ends: BTreeMap::new(),
            delivered: BTreeSet::new(),
            dead: BTreeSet::new(),
            delays: BTreeMap::new(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.bench.now().mono.saturating_sub(self.begun)
    }

    /// Lets time pass up to so many seconds since the beginning. Deliveries arrive while `arrives`.
    fn run(&mut self, until: u64, arrives: bool) {
        let until = self.begun + Duration::from_secs(until);
        loop {
            let now = self.bench.now().mono;
            self.end_what_ends(now);
            let next = self.begin(now);
            let arrival = self.begun + Duration::from_millis((self.accepted + 1) * self.each);
            let arrival = Some(arrival).filter(|_| arrives);
            let end = self.ends.first_key_value().map(|((at, _), _)| *at);
            let moments = [next, arrival, end].into_iter().flatten();
            let at = moments.min().unwrap_or(until).min(until);
            let step = at.saturating_sub(now);
            // The wall clock has whole milliseconds.
            let millis = i64::try_from(step.as_micros().div_ceil(1000)).unwrap();
            let step = Duration::from_millis(millis.unsigned_abs());
            self.bench.clock.step(millis, step);
            let now = self.bench.now().mono;
            if arrival.is_some_and(|arrival| arrival <= now) {
                self.accepted += 1;
                let account = (self.account)(self.accepted);
                self.bench.add_of(self.accepted, account);
            }
            if now >= until {
                return;
            }
        }
    }

    fn end_what_ends(&mut self, now: Duration) {
        while let Some((&(at, number), &outcome)) = self.ends.first_key_value()
            && at <= now
        {
            self.ends.remove(&(at, number));
            let received = self.bench.listed(number).delivery.id.received().0;
            let ended = self.bench.end(number, outcome);
            if ended.change == Some(Change::Gone) {
                assert!(self.delivered.insert(number), "{number} came twice");
                let took = self.bench.now().wall.0 - received;
                let delay = Duration::from_millis(took.unsigned_abs());
                self.delays.insert(number, delay);
            } else if ended.dead.is_some() {
                assert!(self.dead.insert(number));
            }
        }
    }

    /// Begins what can be tried. Returns when something is due.
    fn begin(&mut self, now: Duration) -> Option<Duration> {
        loop {
            match self.bench.queue.next(self.bench.now()) {
                Next::Try(lease) => {
                    let number = lease.number.0;
                    let seconds = self.elapsed().as_secs();
                    let (takes, outcome) = (self.app)(number, seconds);
                    self.ends.insert((now + takes, number), outcome);
                }
                Next::Wait(until) => return until,
            }
        }
    }

    /// Every delivery is delivered, dead or still waits, and none is in two of these places.
    fn expect_none_lost(&self) {
        let now = self.bench.now();
        let waits = |number: u64| self.bench.queue.get(Number(number), now).is_some();
        for number in 1..=self.accepted {
            let places = [self.delivered.contains(&number), waits(number)];
            let count = places.iter().filter(|is_there| **is_there).count();
            assert_eq!(count, 1, "{number} of {}", self.accepted);
        }
        assert!(self.dead.iter().all(|number| waits(*number)));
    }

    /// The delay that one in a hundred of those exceeds, and the longest, of deliveries of which `which`
    /// holds.
    fn delays(&self, which: impl Fn(u64) -> bool) -> (Duration, Duration) {
        let all = self.delays.iter().filter(|(number, _)| which(**number));
        let mut all: Vec<Duration> = all.map(|(_, delay)| *delay).collect();
        all.sort_unstable();
        let place = all.len() * 99 / 100;
        (all[place], all[all.len() - 1])
    }
}

fn hours(hours: u64) -> u64 {
    hours * 3600
}

const TAKEN: Reply = (Duration::from_millis(20), Outcome::Status(200, None));
const NO_CONNECTION: Reply = (Duration::from_millis(1), Outcome::Unreachable);

/// Each time the same: half of the deliveries of one account in 50.
fn is_poison(number: u64) -> bool {
    number.is_multiple_of(ACCOUNTS * 2)
}

#[test]
fn one_in_a_hundred_is_poison_from_one_of_fifty_accounts() {
    let hangs = (Duration::from_secs(10), Outcome::Timeout);
    let app = |number, _| if is_poison(number) { hangs } else { TAKEN };
    let mut day = Day::new(Settings::default(), 20, app);
    day.run(1200, true);
    day.expect_none_lost();
    let (p99, longest) = day.delays(|number| account(number) != 0);
    println!("poison: p99 {p99:?}, longest {longest:?}");
    let own = day.delays(|number| account(number) == 0);
    println!("the same account: p99 and longest {own:?}");
    assert!(p99 < Duration::from_millis(200), "{p99:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn qu_12_an_account_that_hangs_and_sends_nearly_everything_opens_the_breaker_and_the_other_is_probed()
 {
    let hangs = (Duration::from_secs(10), Outcome::Timeout);
    let is_other = |number: u64| number.is_multiple_of(60);
    let app = |number, _| if is_other(number) { TAKEN } else { hangs };
    let mut day = Day::new(Settings::default(), 1000, app);
    day.account = |number| u64::from(number.is_multiple_of(60));
    day.run(hours(4), true);
    day.expect_none_lost();
    let (p99, longest) = day.delays(is_other);
    println!("an account that hangs: p99 {p99:?}, longest {longest:?}");
    assert!(longest < Duration::from_secs(150), "{longest:?}");
}

#[test]
fn qu_11_one_tenant_is_asked_to_wait_for_an_hour() {
    let asks = Outcome::Status(429, Some(Duration::from_secs(3600)));
    let asks = (Duration::from_millis(20), asks);
    let is_of_it = |number: u64| account(number) == 7;
    let app = |number, seconds| {
        if is_of_it(number) && seconds < hours(6) {
            asks
        } else {
            TAKEN
        }
    };
    let mut day = Day::new(Settings::default(), 250, app);
    day.run(hours(6), true);
    day.run(hours(8), false);
    day.expect_none_lost();
    assert_eq!(day.delivered.len() as u64, day.accepted);
    let (p99, longest) = day.delays(|number| !is_of_it(number));
    println!("429 for one tenant: p99 {p99:?}, longest {longest:?}");
    assert!(p99 < Duration::from_millis(200), "{p99:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn qu_11_an_outage_of_eighty_hours_kills_nothing() {
    let app = |_, seconds| {
        if (hours(1)..hours(81)).contains(&seconds) {
            NO_CONNECTION
        } else {
            TAKEN
        }
    };
    let mut day = Day::new(Settings::default(), 10_000, app);
    day.run(hours(84), true);
    day.run(hours(90), false);
    day.expect_none_lost();
    assert!(day.dead.is_empty(), "{} are dead", day.dead.len());
    assert_eq!(day.delivered.len() as u64, day.accepted);
    // Those that came when the app was back did not wait behind the backlog for long.
    let after = |number: u64| number > hours(82) / 10;
    let (p99, longest) = day.delays(after);
    println!("after an outage: p99 {p99:?}, longest {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn qu_11_an_app_that_hangs_for_six_hours_gets_everything_afterwards() {
    let hangs = (Duration::from_secs(10), Outcome::Timeout);
    let app = |_, seconds| {
        if seconds < hours(6) { hangs } else { TAKEN }
    };
    let mut day = Day::new(Settings::default(), 1000, app);
    day.run(hours(6), true);
    let probes = day.bench.listed(1).delivery.progress.attempts;
    day.run(hours(9), true);
    day.expect_none_lost();
    assert!(day.dead.is_empty() && probes < 100, "{probes}");
    let left = day.accepted - day.delivered.len() as u64;
    assert!(left < 20, "{left} wait");
    let (p99, longest) = day.delays(|number| number > hours(7));
    println!("after a hang: p99 {p99:?}, longest {longest:?}");
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
}

#[test]
fn qu_11_after_a_pause_over_a_weekend_everything_gets_one_more_attempt_at_least() {
    let fails = (Duration::from_millis(20), Outcome::Status(500, None));
    let app = |number: u64, seconds| {
        let is_begin = (hours(80)..hours(80) + 60).contains(&seconds);
        if is_begin && number.is_multiple_of(3) {
            fails
        } else {
            TAKEN
        }
    };
    let mut day = Day::new(Settings::default(), 10_000, app);
    day.run(hours(1), true);
    assert!(day.bench.queue.pause(ROUTE));
    day.run(hours(80), true);
    let before = day.delivered.len();
    assert!(before as u64 <= hours(1) / 10);
    assert!(day.bench.resume());
    day.run(hours(81), true);
    day.run(hours(83), false);
    day.expect_none_lost();
    // The first ones were older than `max_age` when they failed, in an attempt that began after the
    // pause: these are dead, as the contract has it, and nothing else is.
    let is_old = |number: &u64| number * 10 < hours(80) - hours(72) + 60;
    assert!(day.dead.iter().all(is_old), "{:?}", day.dead);
    let left = day.accepted - (day.delivered.len() + day.dead.len()) as u64;
    assert_eq!(left, 0);
    println!("after a weekend: {} are dead", day.dead.len());
}

#[test]
fn qu_11_dead_letters_fill_a_queue_until_they_are_discarded() {
    let mut bench = Bench::new(Settings {
        max_deliveries: 100,
        ..Settings::default()
    });
    for number in 1..=100 {
        assert!(bench.queue.admit(ROUTE, 1000).is_ok());
        bench.add(number);
    }
    while let Some(lease) = bench.lease() {
        bench.end_with(lease.number.0, 410);
    }
    assert_eq!(bench.queue.admit(ROUTE, 1).err(), Some(Full::Route));
    bench.pass(13.0 * 24.0 * 3600.0);
    assert!(bench.queue.expire(bench.now(), 1000).is_empty());
    assert_eq!(bench.queue.admit(ROUTE, 1).err(), Some(Full::Route));
    bench.queue.discard(Number(50), bench.now());
    assert!(bench.queue.admit(ROUTE, 1000).is_ok());
    bench.pass(2.0 * 24.0 * 3600.0);
    assert_eq!(bench.queue.expire(bench.now(), 1000).len(), 99);
    assert!(bench.queue.admit(ROUTE, 1000).is_ok());
}
