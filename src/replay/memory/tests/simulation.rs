//! The memory window against a naive model: a thousand seeds of random steps, and every promise
//! checked after each step.
//!
//! The model keeps everything for ever. It knows which signed deliveries were done and which events
//! an operator forgot. It does not know which entries the window evicts or when it sweeps, so it
//! says which answers are allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ready;
use crate::clock::{Clock, UnixMillis};
use crate::replay::memory::*;
use crate::replay::passing::Change;
use crate::scheme::Repeats;
use crate::verify::claim::{Conflict, Mark};

const SEEDS: u64 = 1000;
const STEPS: usize = 300;
const KEYS: u64 = 12;
const ROUTES: u64 = 3;
const TTL: Duration = Duration::from_secs(700);
const TOLERANCE_MS: i64 = 300_000;
/// The wall clock at the start: an ordinary time, one before the epoch, and one at which the whole
/// seconds that entries have room for end (in 2106).
const STARTS: [i64; 3] = [1_750_000_000_000, -2_000_000, 4_294_967_295_000 - 2_000_000];

/// The generator `SplitMix64`, which gives the same steps for the same seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// The model's knowledge of an entry: the deliveries that are in flight, and those that were done
/// and that no operator forgot since.
#[derive(Clone, Debug)]
struct Model {
    /// The arrival that made the entry.
    first: Arrival,
    variants: BTreeMap<u64, State>,
    /// The number of repeats that were done.
    repeated: u16,
    /// When the entry was done first, and when a variant of it was done last.
    done_first: Duration,
    done_last: Duration,
    /// The moment from which on the last of the copies seen is stale.
    fresh_until: Option<UnixMillis>,
    /// Whether the window may have evicted a part of this: it granted a claim that it could also
    /// have granted without.
    is_doubtful: bool,
}

#[derive(Clone, Debug)]
enum State {
    InFlight {
        ticket: Ticket,
        arrival: Arrival,
        /// Whether it was done before.
        again: bool,
    },
    Done(Arrival),
}

impl Model {
    fn has_flight(&self) -> bool {
        self.variants
            .values()
            .any(|state| matches!(state, State::InFlight { .. }))
    }

    fn count(&self) -> (usize, usize) {
        let is_done =
            |state: &&State| matches!(state, State::Done(_) | State::InFlight { again: true, .. });
        let done = self.variants.values().filter(is_done).count();
        (done, self.variants.len() - done)
    }

    /// The rules of the contract, said once more in other words.
    fn expects(&self, arrival: &Arrival, mono: Duration) -> Decision {
        let (done, flying) = self.count();
        let elsewhere = self.first.path != arrival.path;
        let other_body = self.first.body != arrival.body;
        if done == 0 && (elsewhere || other_body) {
            return Decision::InFlight;
        }
        if elsewhere {
            return Decision::Conflict(Conflict::Path);
        }
        if other_body {
            return Decision::Conflict(Conflict::Body);
        }
        match self.variants.get(&arrival.variant.0) {
            Some(State::InFlight { .. }) => Decision::InFlight,
            Some(State::Done(first)) => match arrival.repeats {
                Some(repeats) => {
                    let late = mono > self.done_first + repeats.within;
                    if late || self.repeated >= repeats.most {
                        Decision::Replay
                    } else {
                        Decision::Claim
                    }
                }
                None if arrival.signed_at.is_some() && first.signed_at == arrival.signed_at => {
                    Decision::Replay
                }
                None => Decision::Redelivery,
            },
            None if done >= usize::from(arrival.variants) => Decision::Conflict(Conflict::Variant),
            None if done + flying >= usize::from(arrival.variants) => Decision::InFlight,
            None => Decision::Claim,
        }
    }
}

struct Simulation {
    seed: u64,
    random: Random,
    window: MemoryWindow,
    clock: Clock,
    /// The clocks at the step before, as a thread that was held up may still have them.
    earlier: Now,
    /// Whether all keys have the same low half: the same bucket, and the same bit of its filter.
    collides: bool,
    /// Tickets that were settled already.
    settled: Vec<Ticket>,
    capacity: usize,
    route_capacity: Option<usize>,
    // The highest reading of the wall clock so far.
    latest_wall: UnixMillis,
    entries: BTreeMap<u128, Model>,
    /// The evictions of windows that were passed on.
    evicted_before: Evictions,
    // The number of entries that the model gave up because the window granted a claim that the
    // entry would have denied.
    evicted: u64,
    requests: u64,
    answers: BTreeSet<&'static str>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let capacity = [1, 2, 5, 9, 100][usize::try_from(random.below(5)).unwrap()];
        let shards = [1, 1, 4][usize::try_from(random.below(3)).unwrap()];
        let route_capacity = [None, None, Some(2)][usize::try_from(random.below(3)).unwrap()];
        let start = UnixMillis(STARTS[usize::try_from(random.below(3)).unwrap()]);
        let clock = Clock::set_to(start);
        Self {
            seed,
            collides: random.below(3) == 0,
            random,
            window: MemoryWindow::with_shards(capacity, shards),
            earlier: clock.now(),
            clock,
            settled: Vec::new(),
            capacity,
            route_capacity,
            latest_wall: start,
            entries: BTreeMap::new(),
            evicted_before: Evictions::default(),
            evicted: 0,
            requests: 0,
            answers: BTreeSet::new(),
        }
    }

    fn run(mut self) -> BTreeSet<&'static str> {
        for _ in 0..STEPS {
            let before = self.clock.now();
            match self.random.below(22) {
                21 => self.pass_on(),
                0..=9 => self.arrive(),
                10..=14 => self.settle(),
                15..=16 => self.pass_time(),
                17 => self.step_wall_clock(),
                18 => self.forget(),
                19 => self.settle_again(),
                _ => self.arrive_again(),
            }
            self.earlier = before;
            self.check();
        }
        self.answers
    }

    /// Another window takes everything over, with another number of shards; between its copy and its
    /// end, the first window goes on.
    fn pass_on(&mut self) {
        let shards = [1, 2, 4][usize::try_from(self.random.below(3)).unwrap()];
        let mut other = MemoryWindow::with_shards(self.capacity, shards);
        let pass = |changes: Vec<Change>| {
            let mut bytes = Vec::new();
            for change in &changes {
                change.write(&mut bytes);
            }
            assert!(Change::read_all(&bytes, |change| other.take_over(&change)));
        };
        let all = 0..self.window.shards();
        for shard in all.clone() {
            pass(self.window.copy(shard));
        }
        for _ in 0..self.random.below(12) {
            match self.random.below(3) {
                0 => self.settle(),
                1 => self.forget(),
                _ => self.arrive(),
            }
            if self.random.below(4) == 0 {
                all.clone()
                    .for_each(|shard| pass(self.window.changes(shard)));
            }
        }
        // An upgrade that fails changes nothing.
        if self.random.below(3) == 0 {
            all.for_each(|shard| drop(self.window.freeze(shard)));
            self.window.thaw();
            return;
        }
        all.for_each(|shard| pass(self.window.freeze(shard)));
        let (entries, evictions) = (self.window.entries(), self.window.evictions());
        let mut in_flight = other.in_flight();
        in_flight.sort_unstable_by_key(|(key, serial)| (key.0, *serial));
        assert_eq!(other.entries(), entries, "seed {}", self.seed);
        other.fit(self.clock.now());
        assert_eq!(other.entries(), entries, "seed {}", self.seed);
        std::mem::swap(&mut self.window, &mut other);
        // The counts of evictions begin anew, and what they explain too.
        self.evicted_before.old += evictions.old;
        self.evicted_before.fresh += evictions.fresh;
        let mut tickets = Vec::new();
        for model in self.entries.values_mut() {
            for state in model.variants.values_mut() {
                if let State::InFlight { ticket, .. } = state {
                    *ticket = self.window.ticket(ticket.key, ticket.serial).unwrap();
                    tickets.push((ticket.key, ticket.serial));
                }
            }
        }
        tickets.sort_unstable_by_key(|(key, serial)| (key.0, *serial));
        assert_eq!(in_flight, tickets, "seed {}", self.seed);
    }

    /// Sends a delivery of a random event, signed around now, rarely with a different body. Route 0
    /// signs no timestamp, keeps three types beside an entry, and has a prefix of paths; route 1
    /// keeps one type; route 2 takes repeats.
    fn arrive(&mut self) {
        let number = self.random.below(KEYS);
        let route = number % ROUTES;
        let now = self.read_clocks();
        let wall = now.wall;
        let age = 1000 * i64::try_from(self.random.below(4)).unwrap() * 100 - 1000;
        // Some providers sign milliseconds.
        let age = age + i64::try_from(self.random.below(2) * self.random.below(1000)).unwrap();
        let signed_at = (route == 1).then_some(UnixMillis(wall.0 - age));
        let fresh_until = signed_at.map(|at| UnixMillis(at.0 + TOLERANCE_MS + 1));
        let body = Mark(self.random.below(8) / 7);
        self.requests += 1;
        let key = self.key(number);
        let event_type = match route {
            0 => self.random.below(5),
            1 => self.random.below(8) / 7,
            _ => 0,
        };
        let path = Mark(1 + self.random.below(8) / 7);
        let arrival = Arrival {
            key: ClaimKey(key),
            body,
            path: (route == 0).then_some(path),
            variant: Mark(event_type),
            variants: if route == 0 { 3 } else { 1 },
            repeats: (route == 2).then_some(Repeats {
                most: 2,
                within: Duration::from_secs(300),
            }),
            signed_at,
            route: Fingerprint(u128::from(route)),
            event: Some(self.named(number)),
            request: Mark(self.requests),
            ttl: TTL,
            fresh_until,
            route_capacity: self.route_capacity,
            share: self.capacity / usize::try_from(ROUTES).unwrap(),
        };
        self.meet(arrival, now);
    }

    /// Sends exactly the same delivery that was done some time ago, if it is still fresh.
    fn arrive_again(&mut self) {
        let now = self.read_clocks();
        let done = |model: &Model| -> Vec<Arrival> {
            let states = model.variants.values();
            states
                .filter_map(|state| match state {
                    State::Done(first) => Some(*first),
                    State::InFlight { .. } => None,
                })
                .collect()
        };
        let known: Vec<_> = self.entries.values().flat_map(done).collect();
        if known.is_empty() {
            return;
        }
        let bound = known.len() as u64;
        let copy = known[usize::try_from(self.random.below(bound)).unwrap()];
        if copy.fresh_until.is_none_or(|until| now.wall < until) {
            self.meet(copy, now);
        }
    }

    /// The clocks, by which an arrival was just judged fresh. Rarely, a thread was held up for a step
    /// since it read them.
    fn read_clocks(&mut self) -> Now {
        if self.random.below(8) == 0 {
            self.earlier
        } else {
            self.clock.now()
        }
    }

    fn meet(&mut self, arrival: Arrival, now: Now) {
        let key = arrival.key.0;
        let answer = ready(self.window.claim(&arrival, now));
        let was = self.entries.get(&key).cloned();
        let expected = was
            .as_ref()
            .map_or(Decision::Claim, |was| was.expects(&arrival, now.mono));
        let context = || {
            format!(
                "seed {}: {arrival:?} at {now:?} after {was:?} got {answer:?}, expected {expected:?}",
                self.seed
            )
        };
        let is_sure = was.as_ref().is_none_or(|was| !was.is_doubtful);
        let seen = match answer {
            Ok(Claimed::Granted(ticket)) => {
                let mut model = was.clone().unwrap_or_else(|| begun(&arrival));
                let let_go = self.clock.now().mono > model.done_last + TTL
                    && model
                        .fresh_until
                        .is_none_or(|until| self.latest_wall >= until);
                if expected != Decision::Claim {
                    // A second forwarding needs a reason: both clocks let the entry go, or room was
                    // needed.
                    assert!(!is_sure || !model.has_flight(), "{}", context());
                    let same =
                        arrival.signed_at.is_some() && model.first.signed_at == arrival.signed_at;
                    if is_sure && (!let_go || same) {
                        self.evicted += 1;
                    }
                    model = Model {
                        variants: model
                            .variants
                            .into_iter()
                            .filter(|(_, state)| matches!(state, State::InFlight { .. }))
                            .collect(),
                        is_doubtful: !is_sure,
                        ..begun(&arrival)
                    };
                } else if was.is_some() && !model.has_flight() {
                    // The window may have joined the entry, or have begun it again.
                    model.is_doubtful |= let_go || self.may_evict();
                }
                let before = model.variants.get(&arrival.variant.0);
                assert!(
                    !matches!(before, Some(State::InFlight { .. })),
                    "two in flight. {}",
                    context()
                );
                let again = before.is_some();
                let flight = State::InFlight {
                    ticket,
                    arrival,
                    again,
                };
                model.variants.insert(arrival.variant.0, flight);
                model.fresh_until = model.fresh_until.max(arrival.fresh_until);
                self.entries.insert(key, model);
                if again { "repeated" } else { "granted" }
            }
            Ok(Claimed::Denied(decision)) => {
                // After a step back of the wall clock, a delivery that could have been done and
                // forgotten is a replay.
                let forgotten = decision == Decision::Replay
                    && arrival.fresh_until.is_some_and(|until| {
                        now.wall < self.latest_wall && until <= self.latest_wall
                    });
                assert!(
                    forgotten || !is_sure || (was.is_some() && decision == expected),
                    "{}",
                    context()
                );
                if let Some(was) = self.entries.get_mut(&key) {
                    was.fresh_until = was.fresh_until.max(arrival.fresh_until);
                }
                match decision {
                    Decision::InFlight => "in flight",
                    Decision::Replay if was.is_some() => "replay",
                    Decision::Replay => "forgotten",
                    Decision::Redelivery => "redelivery",
                    Decision::Conflict(Conflict::Body) => "another body",
                    Decision::Conflict(Conflict::Path) => "another path",
                    Decision::Conflict(Conflict::Variant) => "another type",
                    Decision::Claim => panic!("denied as a claim. {}", context()),
                }
            }
            Err(error) => {
                assert_eq!(error, WindowError::Full);
                let flying = |of_route: bool| {
                    let models = self.entries.values().filter(|model| model.has_flight());
                    models
                        .filter(|model| !of_route || model.first.route == arrival.route)
                        .count()
                };
                // A route that holds its share makes room itself, so it is full if all that it
                // holds is in flight.
                let is_full = flying(false) >= self.capacity
                    || flying(true) >= arrival.share
                    || self
                        .route_capacity
                        .is_some_and(|capacity| flying(true) >= capacity);
                assert!(is_full, "full, but not of entries in flight. {}", context());
                "full"
            }
        };
        self.answers.insert(seen);
    }

    /// Whether the window is too small for all events at one time.
    fn may_evict(&self) -> bool {
        self.capacity < usize::try_from(KEYS).unwrap() || self.route_capacity.is_some()
    }

    /// Settles a random claim, in half of the cases as done.
    fn settle(&mut self) {
        let flights: Vec<_> = self
            .entries
            .iter()
            .flat_map(|(key, model)| {
                let states = model.variants.iter();
                states.filter_map(|(variant, state)| match state {
                    State::InFlight {
                        ticket,
                        arrival,
                        again,
                    } => Some((*key, *variant, *ticket, *arrival, *again)),
                    State::Done(_) => None,
                })
            })
            .collect();
        if flights.is_empty() {
            return;
        }
        let now = self.clock.now();
        let place = usize::try_from(self.random.below(flights.len() as u64)).unwrap();
        let (key, variant, ticket, arrival, again) = flights[place];
        let is_done = match self.random.below(4) {
            0 => ready(self.window.release(ticket)).map(|()| false).unwrap(),
            1 => {
                self.window.abandon(ticket);
                false
            }
            _ => ready(self.window.commit(ticket, now))
                .map(|()| true)
                .unwrap(),
        };
        let model = self.entries.get_mut(&key).unwrap();
        let (done, _) = model.count();
        if is_done {
            if again {
                model.repeated += 1;
            } else {
                model.done_last = now.mono;
            }
            if done == 0 {
                model.done_first = now.mono;
            }
        }
        if is_done || again {
            model.variants.insert(variant, State::Done(arrival));
        } else {
            model.variants.remove(&variant);
        }
        if model.variants.is_empty() && !model.is_doubtful {
            self.entries.remove(&key);
        }
        self.settled.push(ticket);
    }

    /// Settles a claim that is settled already. Another entry may be in its slot meanwhile, or
    /// another claim of the same event in flight. Nothing changes.
    fn settle_again(&mut self) {
        let bound = self.settled.len().max(1) as u64;
        let place = usize::try_from(self.random.below(bound)).unwrap();
        if let Some(ticket) = self.settled.get(place) {
            if self.random.below(2) == 0 {
                self.window.abandon(*ticket);
            } else {
                ready(self.window.commit(*ticket, self.clock.now())).unwrap();
            }
        }
    }

    fn pass_time(&mut self) {
        let seconds = [1, 60, 299, 700, 701][usize::try_from(self.random.below(5)).unwrap()];
        self.clock.step(
            i64::try_from(seconds * 1000).unwrap(),
            Duration::from_secs(seconds),
        );
    }

    fn step_wall_clock(&mut self) {
        let step = [-3_600_000, -300_001, -1, 1, 300_001, 3_600_000]
            [usize::try_from(self.random.below(6)).unwrap()];
        self.clock.step(step, Duration::ZERO);
    }

    fn forget(&mut self) {
        let number = self.random.below(KEYS);
        let key = self.key(number);
        let answer = ready(self.window.forget(Forget::Event(self.named(number)))).unwrap();
        let is_in_flight = self.entries.get(&key).is_some_and(Model::has_flight);
        assert_eq!(
            answer == Forgotten::InFlight,
            is_in_flight,
            "seed {}",
            self.seed
        );
        if answer == Forgotten::Dropped(1) {
            assert!(
                self.entries.remove(&key).is_some(),
                "seed {}: dropped what was never done",
                self.seed
            );
        }
    }

    /// The key of event number `number`, spread over the shards and their buckets, or always in the
    /// same.
    fn key(&self, number: u64) -> u128 {
        if self.collides {
            u128::from(number) << 64 | 0x9e37_79b9_7f4a_7c15
        } else {
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }
    }

    /// The mark of event number `number`. In route 1 it is that of the key, as where the id is
    /// signed.
    fn named(&self, number: u64) -> Mark {
        if number % ROUTES == 1 && !self.collides {
            ClaimKey(self.key(number)).mark()
        } else {
            Mark(number)
        }
    }

    fn check(&mut self) {
        self.latest_wall = self.latest_wall.max(self.clock.now().wall);
        let (entries, Evictions { old, fresh }) = (self.window.entries(), self.window.evictions());
        let evictions = old + fresh + self.evicted_before.old + self.evicted_before.fresh;
        assert!(
            entries <= self.capacity,
            "seed {}: {entries} entries",
            self.seed
        );
        let flying = self.entries.values().filter(|model| model.has_flight());
        assert!(
            entries >= flying.clone().count(),
            "seed {}: an entry in flight is gone",
            self.seed
        );
        assert!(entries <= self.entries.len() + usize::try_from(evictions).unwrap());
        assert!(
            self.evicted <= evictions,
            "seed {}: a replay got in that no eviction explains",
            self.seed
        );
        if !self.may_evict() {
            assert_eq!(evictions, 0, "seed {}: evicted without need", self.seed);
        }
        if let Some(capacity) = self.route_capacity {
            assert!(
                entries <= capacity * usize::try_from(ROUTES).unwrap(),
                "seed {}: {entries} entries",
                self.seed
            );
        }
        for model in flying {
            let states = model.variants.values();
            for arrival in states.filter_map(|state| match state {
                State::InFlight { arrival, .. } => Some(*arrival),
                State::Done(_) => None,
            }) {
                let answer = ready(self.window.claim(&arrival, self.clock.now()));
                let expected = Ok(Claimed::Denied(Decision::InFlight));
                assert_eq!(
                    answer, expected,
                    "seed {}: {arrival:?} is in flight",
                    self.seed
                );
            }
        }
    }
}

/// An entry without a variant.
fn begun(arrival: &Arrival) -> Model {
    Model {
        first: *arrival,
        variants: BTreeMap::new(),
        repeated: 0,
        done_first: Duration::ZERO,
        done_last: Duration::ZERO,
        fresh_until: arrival.fresh_until,
        is_doubtful: false,
    }
}

#[test]
fn a_thousand_seeds_of_random_steps_break_no_promise() {
    let mut answers = BTreeSet::new();
    for seed in 0..SEEDS {
        answers.extend(Simulation::new(seed).run());
    }
    // The steps must reach every answer. Otherwise the promises above were not tested.
    let all = [
        "another body",
        "another path",
        "another type",
        "forgotten",
        "full",
        "granted",
        "in flight",
        "redelivery",
        "repeated",
        "replay",
    ];
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), all);
}
