//! The choice among upstreams, as pure functions (contract: Several upstreams). A set of upstreams is
//! a mask: bit `n` stands for the upstream at place `n` of the configuration.

/// The turns of upstreams: each comes as often as its weight says, and evenly spread (the smooth
/// weighted round robin of nginx).
#[derive(Debug)]
pub(super) struct Turns {
    weights: Box<[u8]>,
    /// What each has saved up. It grows by the weight in each turn that is another's.
    saved: Box<[i64]>,
}

impl Turns {
    /// Turns for upstreams of these weights.
    pub(super) fn new(weights: Box<[u8]>) -> Self {
        let saved = vec![0; weights.len()].into();
        Self { weights, saved }
    }

    /// Whose turn it is `among` these; `None` if there is nobody among them.
    pub(super) fn next(&mut self, among: u64) -> Option<usize> {
        let mut best: Option<(usize, i64)> = None;
        let mut total = 0;
        let all = self.weights.iter().zip(&mut self.saved).enumerate();
        for (place, (weight, saved)) in all {
            if among & bit(place) == 0 {
                continue;
            }
            let weight = i64::from(*weight);
            *saved += weight;
            total += weight;
            if best.is_none_or(|(_, most)| *saved > most) {
                best = Some((place, *saved));
            }
        }
        let (place, _) = best?;
        if let Some(saved) = self.saved.get_mut(place) {
            *saved -= total;
        }
        Some(place)
    }

    /// Those `among` these that have the fewest deliveries in hand for their weight. `busy` gives the
    /// number of each.
    pub(super) fn least_busy(&self, among: u64, busy: impl Fn(usize) -> usize) -> u64 {
        let (mut found, mut least) = (0, None);
        for (place, weight) in self.weights.iter().enumerate() {
            if among & bit(place) == 0 {
                continue;
            }
            // With the delivery that is to come, so that of idle ones the heavier comes first.
            let load = (busy(place) as u64 + 1, u64::from(*weight));
            let order = least.map(|(busy, weight): (u64, u64)| {
                (load.0.saturating_mul(weight)).cmp(&busy.saturating_mul(load.1))
            });
            match order {
                None | Some(std::cmp::Ordering::Less) => (found, least) = (bit(place), Some(load)),
                Some(std::cmp::Ordering::Equal) => found |= bit(place),
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        found
    }
}

/// The mask of a place. The configuration takes at most 64 upstreams.
pub(super) fn bit(place: usize) -> u64 {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u64.checked_shl(place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(weights: &[u8], among: u64, count: usize) -> Vec<usize> {
        let mut turns = Turns::new(weights.into());
        (0..count).map(|_| turns.next(among).unwrap()).collect()
    }

    #[test]
    fn each_has_its_share_and_nobody_comes_in_bursts() {
        let rows: &[(&[u8], u64, &[usize])] = &[
            (&[1, 1, 1], 0b111, &[0, 1, 2, 0, 1, 2]),
            (&[5, 1, 1], 0b111, &[0, 0, 1, 0, 2, 0, 0]),
            (&[1, 1, 1], 0b101, &[0, 2, 0, 2]),
            (&[3, 1, 2], 0b110, &[2, 1, 2, 2, 1, 2]),
            (&[100], 0b1, &[0, 0, 0]),
        ];
        for (weights, among, expected) in rows {
            let found = order(weights, *among, expected.len());
            assert_eq!(found, *expected, "{weights:?}");
        }
        assert_eq!(Turns::new([1, 1].into()).next(0), None);
    }

    #[test]
    fn over_many_turns_the_shares_are_exact_whoever_is_away_for_a_while() {
        let weights = [7_u8, 2, 1, 100];
        let mut turns = Turns::new(weights.into());
        for _ in 0..1000 {
            turns.next(0b1011).unwrap();
        }
        let mut counts = [0_usize; 4];
        for _ in 0..110 * 50 {
            counts[turns.next(0b1111).unwrap()] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            let expected = usize::from(weight) * 50;
            assert!(count.abs_diff(expected) <= 2, "{counts:?}");
        }
    }

    #[test]
    fn the_least_busy_for_its_weight_comes_first_and_equals_share() {
        let rows: &[(&[u8], &[usize], u64, u64)] = &[
            (&[1, 1, 1], &[0, 0, 0], 0b111, 0b111),
            (&[1, 1, 1], &[2, 1, 1], 0b111, 0b110),
            (&[1, 1, 1], &[2, 1, 3], 0b101, 0b001),
            (&[1, 4], &[0, 0], 0b11, 0b10),
            (&[1, 4], &[0, 3], 0b11, 0b11),
            (&[1, 4], &[0, 4], 0b11, 0b01),
            (&[1, 1], &[0, usize::MAX - 1], 0b11, 0b01),
            (&[1, 1], &[0, 0], 0, 0),
        ];
        for (weights, busy, among, expected) in rows {
            let turns = Turns::new((*weights).into());
            let found = turns.least_busy(*among, |place| busy[place]);
            assert_eq!(found, *expected, "{weights:?} {busy:?}");
        }
    }

    #[test]
    fn every_place_has_a_bit_of_its_own() {
        assert_eq!((0..64).fold(0, |all, place| all | bit(place)), u64::MAX);
        assert_eq!(bit(64), 0);
    }
}
