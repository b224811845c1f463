//! The calendar: dates of the years 0000 to 9999, and the days between them (RFC 3339 section 5.7
//! and appendix C).
//!
//! The Gregorian calendar is applied to all years, also to those before its introduction. Text and
//! the time of day are not known here.

/// The days from 0000-01-01 to 1970-01-01.
const EPOCH: i64 = 719_528;

/// The last year of four digits.
const MAX_YEAR: i64 = 9999;

const MONTHS: i64 = 12;

/// A day that exists in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The day of this year, month (from 1) and day of the month (from 1); `None` if it does not
    /// exist.
    pub(super) fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        let is_there = (0..=MAX_YEAR).contains(&year)
            && (1..=MONTHS).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        is_there.then_some(Self { year, month, day })
    }

    /// The day that is `days` after 1970-01-01; `None` before the year 0000 and after 9999.
    pub(super) fn of_days(days: i64) -> Option<Self> {
        let days = days.checked_add(EPOCH)?;
        if !(0..days_before(MAX_YEAR + 1)).contains(&days) {
            return None;
        }
        // 400 years have 146,097 days. Within them the estimate is wrong by a year at most.
        let mut year = days * 400 / 146_097;
        while days < days_before(year) {
            year -= 1;
        }
        while days >= days_before(year + 1) {
            year += 1;
        }
        let (mut month, mut day) = (1, days - days_before(year) + 1);
        while day > days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        Some(Self { year, month, day })
    }

    /// The days since 1970-01-01; negative before it.
    pub(super) fn days(self) -> i64 {
        let months: i64 = (1..self.month)
            .map(|month| days_in_month(self.year, month))
            .sum();
        days_before(self.year) - EPOCH + months + self.day - 1
    }

    /// The year, the month and the day of the month.
    pub(super) fn parts(self) -> (i64, i64, i64) {
        (self.year, self.month, self.day)
    }
}

/// The weekday, from 0 for Monday, of the day that is `days` after 1970-01-01. That day was a
/// Thursday.
pub(super) fn weekday(days: i64) -> usize {
    usize::try_from((days.rem_euclid(7) + 3) % 7).unwrap_or_default()
}

/// The days from 0000-01-01 to the first of January of a year.
fn days_before(year: i64) -> i64 {
    // The quotients count the leap years before `year`; the year 0000 is a leap year, as 2000 is.
    365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_are_where_they_belong() {
        // The days since the epoch are from GNU date, and the weekdays from its %u.
        let rows = [
            ((0, 1, 1), -719_528, 5),
            ((1, 1, 1), -719_162, 0),
            ((1582, 10, 15), -141_427, 4),
            ((1900, 2, 28), -25_509, 2),
            ((1969, 12, 31), -1, 2),
            ((1970, 1, 1), 0, 3),
            ((1994, 11, 6), 9_075, 6),
            ((2000, 2, 29), 11_016, 1),
            ((2025, 6, 15), 20_254, 6),
            ((2100, 3, 1), 47_541, 0),
            ((9999, 12, 31), 2_932_896, 4),
        ];
        for ((year, month, day), days, of_week) in rows {
            let date = Date::new(year, month, day).unwrap();
            assert_eq!(
                (date.days(), weekday(days)),
                (days, of_week),
                "{year}-{month}-{day}"
            );
            assert_eq!(Date::of_days(days), Some(date), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut days = -EPOCH;
        for year in 0..=MAX_YEAR {
            // Every day of the first 400 years, after which the calendar repeats itself; then the borders of months.
            let all = year < 400;
            for month in 1..=MONTHS {
                for day in 1..=31 {
                    if let Some(date) = Date::new(year, month, day) {
                        if all || day == 1 || day > 27 {
                            assert_eq!((date.days(), Date::of_days(days)), (days, Some(date)));
                        }
                        days += 1;
                    }
                }
            }
        }
        assert_eq!(days + EPOCH, 25 * 146_097);
        assert_eq!(Date::of_days(days), None);
        assert_eq!(
            [
                Date::of_days(-EPOCH - 1),
                Date::of_days(i64::MAX),
                Date::of_days(i64::MIN)
            ],
            [None; 3]
        );
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_none() {
        let rows = [
            (2025, 2, 29),
            (1900, 2, 29),
            (2100, 2, 29),
            (2024, 2, 30),
            (2025, 4, 31),
            (2025, 6, 31),
            (2025, 9, 31),
            (2025, 11, 31),
            (2025, 1, 32),
            (2025, 1, 0),
            (2025, 0, 1),
            (2025, 13, 1),
            (10_000, 1, 1),
            (-1, 1, 1),
        ];
        assert_eq!(
            rows.map(|(year, month, day)| Date::new(year, month, day)),
            [None; 14]
        );
    }
}
