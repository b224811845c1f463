//! The queue's rules, each with a queue of its own.

mod attempts;
mod bad_days;
mod id;
mod order;
mod pauses;
mod poison;
mod simulation;
mod slots;
mod steps;
mod stock;

use std::time::Duration;

use super::*;
use crate::clock::{Clock, Now};

/// The route of most tests.
pub(super) const ROUTE: RouteNumber = RouteNumber(7);

/// Limits that no test reaches.
pub(super) const LIMITS: Limits = Limits {
    max_bytes: 1 << 40,
    max_deliveries: 1_000_000,
};

/// A queue and its clock. Nothing of it is random: delays are those of the schedule.
pub(super) struct Bench {
    pub(super) queue: Queue,
    pub(super) clock: Clock,
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
        // No test is to pass because a process begins with its clock at zero.
        clock.step(0, Duration::from_secs(5000));
        let mut queue = Queue::new(LIMITS);
        queue.set_routes([(ROUTE, settings)], clock.now());
        Self { queue, clock }
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(super) fn set(&mut self, settings: Settings) {
        self.queue.set_routes([(ROUTE, settings)], self.clock.now());
    }

    /// Time passes, by both clocks.
    pub(super) fn pass(&self, seconds: f64) {
        let millis = Duration::from_secs_f64(seconds);
        let wall = i64::try_from(millis.as_millis()).unwrap();
        self.clock.step(wall, millis);
    }

    /// A delivery that is accepted now.
    pub(super) fn fresh(&self, number: u64) -> Delivery {
        let wall = self.clock.now().wall;
        Delivery {
            number: Number(number),
            id: DeliveryId::new(wall, [u8::try_from(number % 251).unwrap(); 10]),
            route: ROUTE,
            bytes: 1000,
            account: None,
            order: None,
            progress: Progress {
                state: State::Waiting,
                attempts: 0,
                round: 0,
                due: wall,
                aged_from: wall,
                last_status: None,
            },
        }
    }

    pub(super) fn add(&mut self, number: u64) {
        let delivery = self.fresh(number);
        self.queue.add(&delivery, self.clock.now());
    }

    pub(super) fn add_of(&mut self, number: u64, account: u64) {
        let delivery = Delivery {
            account: Some(Mark(account)),
            ..self.fresh(number)
        };
        self.queue.add(&delivery, self.clock.now());
    }

    pub(super) fn add_in_order(&mut self, number: u64, key: u64) {
        let delivery = Delivery {
            order: Some(Mark(key)),
            ..self.fresh(number)
        };
        self.queue.add(&delivery, self.clock.now());
    }

    /// The attempt that begins now, if one does.
    pub(super) fn lease(&mut self) -> Option<Lease> {
        let now = self.clock.now();
        loop {
            match self.queue.next(now) {
                Next::Try(lease) => return Some(lease),
                Next::Wait(Some(at)) if at <= now.mono => {}
                Next::Wait(_) => return None,
            }
        }
    }

    /// The numbers of all attempts that begin now.
    pub(super) fn begin_all(&mut self) -> Vec<u64> {
        let mut begun = Vec::new();
        while let Some(lease) = self.lease() {
            begun.push(lease.number.0);
        }
        begun
    }

    /// The seconds until the queue is to be asked again.
    pub(super) fn wait(&mut self) -> Option<f64> {
        let now = self.clock.now();
        match self.queue.next(now) {
            Next::Try(lease) => panic!("{lease:?} begins"),
            Next::Wait(until) => until.map(|until| {
                let left = until.checked_sub(now.mono);
                left.unwrap().as_secs_f64()
            }),
        }
    }

    /// Why the route waits, and what it holds.
    pub(super) fn status(&mut self) -> RouteStatus {
        self.queue.status(ROUTE, self.clock.now())
    }

    /// Ends the pauses of the route by hand.
    pub(super) fn resume(&mut self) -> bool {
        self.queue.resume(ROUTE, self.clock.now())
    }

    /// Retries a delivery by hand.
    #[track_caller]
    pub(super) fn retry(&mut self, number: u64) {
        let done = self.queue.retry(Number(number), self.clock.now());
        assert!(matches!(done, ByHand::Done(_)), "{number}: {done:?}");
    }

    pub(super) fn end(&mut self, number: u64, outcome: Outcome) -> Ended {
        let now = self.clock.now();
        self.queue.ended(Number(number), outcome, now, &mut || 0.5)
    }

    pub(super) fn end_with(&mut self, number: u64, status: u16) -> Ended {
        self.end(number, Outcome::Status(status, None))
    }

    /// What is stored about a delivery after this end.
    pub(super) fn progress(ended: &Ended) -> Progress {
        match ended.change {
            Some(Change::Progress(progress)) => progress,
            other => panic!("no progress: {other:?}"),
        }
    }

    pub(super) fn listed(&self, number: u64) -> Listed {
        self.queue
            .get(Number(number), self.clock.now())
            .unwrap_or_else(|| panic!("{number} is gone"))
    }

    /// A new process on the same clock after `seconds`, with what was stored, which comes once the
    /// routes are set.
    pub(super) fn restart(&self, seconds: f64, settings: Settings, stored: &[Delivery]) -> Self {
        let wall = self.clock.now().wall.0;
        let mut next = Self::new(settings);
        let millis = i64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap();
        let ahead = wall + millis - next.clock.now().wall.0;
        // The queue of the new process has not seen a clock before this.
        next.clock.step(ahead, Duration::ZERO);
        let known = next.queue.routes.at(0).settings.clone();
        next.queue = Queue::new(LIMITS);
        next.queue
            .set_routes([(ROUTE, known.unwrap_or_default())], next.clock.now());
        for delivery in stored {
            next.queue.add(delivery, next.clock.now());
        }
        next
    }

    /// Everything that is stored.
    pub(super) fn stored(&self) -> Vec<Delivery> {
        let page = self
            .queue
            .list(&Filter::default(), None, usize::MAX, self.clock.now());
        page.deliveries
            .into_iter()
            .map(|listed| listed.delivery)
            .collect()
    }
}

pub(super) fn ordered() -> Settings {
    Settings {
        is_ordered: true,
        ..Settings::default()
    }
}

pub(super) fn slots(concurrency: u16) -> Settings {
    Settings {
        concurrency,
        ..Settings::default()
    }
}
