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

const SEEDS: u64 = 1000;
const STEPS: usize = 300;
const KEYS: u64 = 12;
const ROUTES: u64 = 3;
const TTL: Duration = Duration::from_secs(700);
const TOLERANCE_MS: i64 = 300_000;
const START: UnixMillis = UnixMillis(1_750_000_000_000);

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

/// The model's knowledge of a key that was done and that no operator forgot since.
#[derive(Clone, Debug)]
struct Done {
    first: Arrival,
    at: Duration,
    /// The moment from which on the last of the copies seen is stale.
    fresh_until: Option<UnixMillis>,
}

struct Simulation {
    seed: u64,
    random: Random,
    window: MemoryWindow,
    clock: Clock,
    capacity: usize,
    route_capacity: Option<usize>,
    // The highest reading of the wall clock so far.
    latest_wall: UnixMillis,
    in_flight: BTreeMap<u128, (Ticket, Arrival)>,
    done: BTreeMap<u128, Done>,
    // The number of done entries that the model gave up because the window granted their claim
    // again.
    evicted: u64,
    requests: u128,
    answers: BTreeSet<&'static str>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let capacity = [2, 5, 9, 100][usize::try_from(random.below(4)).unwrap()];
        let shards = [1, 1, 4][usize::try_from(random.below(3)).unwrap()];
        let route_capacity = [None, None, Some(2)][usize::try_from(random.below(3)).unwrap()];
        Self {
            seed,
            random,
            window: MemoryWindow::with_shards(capacity, shards),
            clock: Clock::set_to(START),
            capacity,
            route_capacity,
            latest_wall: START,
            in_flight: BTreeMap::new(),
            done: BTreeMap::new(),
            evicted: 0,
            requests: 0,
            answers: BTreeSet::new(),
        }
    }

    fn run(mut self) -> BTreeSet<&'static str> {
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..=9 => self.arrive(),
                10..=14 => self.settle(),
                15..=16 => self.pass_time(),
                17 => self.step_wall_clock(),
                18 => self.forget(),
                _ => self.arrive_again(),
            }
            self.check();
        }
        self.answers
    }

    /// Sends a delivery of a random event, signed around now, rarely with a different body. Route 0
    /// signs no timestamp.
    fn arrive(&mut self) {
        let number = self.random.below(KEYS);
        let route = number % ROUTES;
        let wall = self.clock.now().wall;
        let age = 1000 * i64::try_from(self.random.below(4)).unwrap() * 100 - 1000;
        let signed_at = (route != 0).then_some(UnixMillis(wall.0 - age));
        let fresh_until = signed_at.map(|at| UnixMillis(at.0 + TOLERANCE_MS + 1));
        let body = Fingerprint(u128::from(self.random.below(8) / 7));
        self.requests += 1;
        let key = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.meet(Arrival {
            key: ClaimKey(key),
            body,
            signed_at,
            route: Fingerprint(u128::from(route)),
            event: Some(Fingerprint(key)),
            request: Fingerprint(self.requests),
            ttl: TTL,
            fresh_until,
            route_capacity: self.route_capacity,
        });
    }

    /// Sends exactly the same delivery that was done some time ago, if it is still fresh.
    fn arrive_again(&mut self) {
        let wall = self.clock.now().wall;
        let known: Vec<_> = self.done.values().map(|done| done.first).collect();
        if known.is_empty() {
            return;
        }
        let bound = known.len() as u64;
        let copy = known[usize::try_from(self.random.below(bound)).unwrap()];
        if copy.fresh_until.is_none_or(|until| wall < until) {
            self.meet(copy);
        }
    }

    fn meet(&mut self, arrival: Arrival) {
        let now = self.clock.now();
        let key = arrival.key.0;
        let answer = ready(self.window.claim(arrival, now));
        let was = self.done.get(&key).cloned();
        let context = || {
            format!(
                "seed {}: {arrival:?} at {now:?} after {was:?} got {answer:?}",
                self.seed
            )
        };
        let seen = match answer {
            Ok(Claimed::Granted(ticket)) => {
                assert!(
                    !self.in_flight.contains_key(&key),
                    "two in flight under one key. {}",
                    context()
                );
                if let Some(was) = &was {
                    // A second forwarding needs a reason: both clocks let the entry go, or room was
                    // needed.
                    let let_go = now.mono > was.at + TTL
                        && was
                            .fresh_until
                            .is_none_or(|until| self.latest_wall >= until);
                    let same =
                        arrival.signed_at.is_some() && was.first.signed_at == arrival.signed_at;
                    if !let_go || same {
                        self.evicted += 1;
                    }
                }
                self.done.remove(&key);
                self.in_flight.insert(key, (ticket, arrival));
                "granted"
            }
            Ok(Claimed::Denied(decision)) => {
                let expected = match (&was, self.in_flight.contains_key(&key)) {
                    (_, true) => Decision::InFlight,
                    (Some(was), _) if was.first.body != arrival.body => Decision::Conflict,
                    (Some(was), _)
                        if was.first.signed_at == arrival.signed_at
                            && arrival.signed_at.is_some() =>
                    {
                        Decision::Replay
                    }
                    (Some(_), _) => Decision::Redelivery,
                    (None, _) => Decision::Replay,
                };
                // After a step back of the wall clock, a delivery that could have been done and
                // forgotten is a replay.
                let forgotten = decision == Decision::Replay
                    && arrival.fresh_until.is_some_and(|until| {
                        now.wall < self.latest_wall && until <= self.latest_wall
                    });
                let known = was.is_some() || self.in_flight.contains_key(&key);
                assert!(
                    forgotten || (known && decision == expected),
                    "expected {expected:?}. {}",
                    context()
                );
                if let Some(was) = self.done.get_mut(&key) {
                    was.fresh_until = was.fresh_until.max(arrival.fresh_until);
                }
                match decision {
                    Decision::InFlight => "in flight",
                    Decision::Replay if known => "replay",
                    Decision::Replay => "forgotten",
                    Decision::Redelivery => "redelivery",
                    Decision::Conflict => "conflict",
                    Decision::Claim => panic!("denied as a claim. {}", context()),
                }
            }
            Err(error) => {
                assert_eq!(error, WindowError::Full);
                let of_route = self
                    .in_flight
                    .values()
                    .filter(|(_, other)| other.route == arrival.route)
                    .count();
                let is_full = self.in_flight.len() >= self.capacity
                    || self
                        .route_capacity
                        .is_some_and(|capacity| of_route >= capacity);
                assert!(is_full, "full, but not of entries in flight. {}", context());
                "full"
            }
        };
        self.answers.insert(seen);
    }

    /// Settles a random claim, in half of the cases as done.
    fn settle(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let now = self.clock.now();
        let place = usize::try_from(self.random.below(self.in_flight.len() as u64)).unwrap();
        let key = *self.in_flight.keys().nth(place).unwrap();
        let (ticket, first) = self.in_flight.remove(&key).unwrap();
        match self.random.below(4) {
            0 => ready(self.window.release(ticket)).unwrap(),
            1 => self.window.abandon(ticket),
            _ => {
                ready(self.window.commit(ticket, now)).unwrap();
                self.done.insert(
                    key,
                    Done {
                        first,
                        at: now.mono,
                        fresh_until: first.fresh_until,
                    },
                );
            }
        }
        // A second settling changes nothing.
        if self.random.below(2) == 0 {
            self.window.abandon(ticket);
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
        let key = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let answer = ready(self.window.forget(Forget::Event(Fingerprint(key)))).unwrap();
        let is_in_flight = self.in_flight.contains_key(&key);
        assert_eq!(
            answer == Forgotten::InFlight,
            is_in_flight,
            "seed {}",
            self.seed
        );
        if answer == Forgotten::Dropped(1) {
            assert!(
                self.done.remove(&key).is_some(),
                "seed {}: dropped what was never done",
                self.seed
            );
        }
    }

    fn check(&mut self) {
        self.latest_wall = self.latest_wall.max(self.clock.now().wall);
        let (entries, Evictions { old, fresh }) = (self.window.entries(), self.window.evictions());
        assert!(
            entries <= self.capacity,
            "seed {}: {entries} entries",
            self.seed
        );
        assert!(
            entries >= self.in_flight.len(),
            "seed {}: an entry in flight is gone",
            self.seed
        );
        assert!(
            entries
                <= self.in_flight.len() + self.done.len() + usize::try_from(old + fresh).unwrap()
        );
        assert!(
            self.evicted <= old + fresh,
            "seed {}: a replay got in that no eviction explains",
            self.seed
        );
        if self.capacity >= usize::try_from(KEYS).unwrap() && self.route_capacity.is_none() {
            assert_eq!(old + fresh, 0, "seed {}: evicted without need", self.seed);
        }
        if let Some(capacity) = self.route_capacity {
            assert!(
                entries <= capacity * usize::try_from(ROUTES).unwrap(),
                "seed {}: {entries} entries",
                self.seed
            );
        }
        for (key, (_, arrival)) in &self.in_flight {
            let answer = ready(self.window.claim(*arrival, self.clock.now()));
            let expected = Ok(Claimed::Denied(Decision::InFlight));
            assert_eq!(answer, expected, "seed {}: {key} is in flight", self.seed);
        }
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
        "conflict",
        "forgotten",
        "full",
        "granted",
        "in flight",
        "redelivery",
        "replay",
    ];
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), all);
}
