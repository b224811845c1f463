//! The deliveries of a plan, as a filter finds them (contract: Queue).

use std::collections::BTreeMap;

use crate::clock::UnixMillis;
use crate::queue::{Delivery, Number, RouteNumber};

/// The deliveries that were found so far.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) numbers: Vec<Number>,
    /// Their routes, each with the number of its deliveries.
    pub(super) routes: BTreeMap<RouteNumber, usize>,
    pub(super) oldest: Option<UnixMillis>,
    pub(super) newest: Option<UnixMillis>,
    /// Whether there are others, which are left out.
    pub(super) is_cut: bool,
}

impl Chosen {
    /// A delivery was found, behind those that were found before. It is left out if there are `most`.
    pub(super) fn add(&mut self, delivery: &Delivery, most: usize) {
        if self.numbers.len() >= most {
            self.is_cut = true;
            return;
        }
        let received = delivery.id.received();
        self.numbers.push(delivery.number);
        *self.routes.entry(delivery.route).or_default() += 1;
        self.oldest = self.oldest.or(Some(received));
        self.newest = Some(received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{DeliveryId, Progress, State};

    fn delivery(number: u64) -> Delivery {
        let moment = UnixMillis(i64::try_from(number).unwrap() * 1000);
        Delivery {
            number: Number(number),
            id: DeliveryId::new(moment, [0; 10]),
            route: RouteNumber(u32::from(number > 2)),
            bytes: 1,
            account: None,
            order: None,
            progress: Progress {
                state: State::Dead,
                attempts: 1,
                round: 1,
                due: moment,
                aged_from: moment,
                last_status: None,
            },
        }
    }

    #[test]
    fn a_plan_says_that_there_are_others_if_and_only_if_one_is_left_out() {
        for (found, is_cut) in [(0, false), (2, false), (3, false), (4, true), (9, true)] {
            let mut chosen = Chosen::default();
            for number in 1..=found {
                chosen.add(&delivery(number), 3);
            }
            assert_eq!(chosen.is_cut, is_cut, "{found}");
            assert_eq!(chosen.numbers.len(), usize::try_from(found.min(3)).unwrap());
            let of_routes: usize = chosen.routes.values().sum();
            assert_eq!(of_routes, chosen.numbers.len());
            let ends = [chosen.oldest, chosen.newest].map(|end| end.map(|at| at.0));
            let expected = [1, found.min(3)].map(|number| delivery(number).id.received().0);
            assert_eq!(ends, expected.map(|at| Some(at).filter(|_| found > 0)));
        }
    }
}
