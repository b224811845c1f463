//! A warning about secrets that end soon while no other secret takes over (contract: Metrics), and
//! about certificates that end soon (contract: The edge).

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot::{RouteState, Snapshot};
use crate::clock::{Now, UnixMillis};
use crate::config::tls::AHEAD;
use crate::key::secret::Secret;

/// A secret that ends within this time is looked at.
const SOON_MILLIS: i64 = 14 * DAY_MILLIS;

/// Another secret has taken over if it matched within this time.
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// The time between two warnings about the same secret.
const WARN_INTERVAL: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The warnings that were shown, so that each is repeated once a day.
#[derive(Debug, Default)]
pub(crate) struct EndingSecrets {
    /// The monotonic time of the last warning about each secret, by route and name.
    warned: HashMap<(Arc<str>, String), std::time::Duration>,
}

/// The certificates that were looked at, so that each which ends soon is warned about once a day.
#[derive(Debug, Default)]
pub(crate) struct EndingCertificates {
    /// The monotonic time of the last warning about each certificate in use, by name and end; `None`
    /// if there was no warning.
    known: HashMap<(String, UnixMillis), Option<std::time::Duration>>,
}

impl EndingCertificates {
    /// Warns about the certificates of a configuration that end soon, or have ended. What ends soon
    /// when it is loaded, the loader has warned about.
    pub(crate) fn warn(&mut self, snapshot: &Snapshot, now: Now) {
        let ends = snapshot.tls.iter().flat_map(|port| &port.ends);
        for (name, days) in self.due(ends, now) {
            let words = if days <= 0 {
                "has ended".to_owned()
            } else {
                format!("ends within {days} days")
            };
            log::warn!(
                "the TLS certificate for {name} {words}: renew it, and let the gateway load it"
            );
        }
    }

    /// The names of certificates to warn about now, with the days that are left.
    fn due<'c>(
        &mut self,
        in_use: impl Iterator<Item = &'c (String, UnixMillis)>,
        now: Now,
    ) -> Vec<(String, i64)> {
        let ahead = i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
        let mut before = std::mem::take(&mut self.known);
        let mut due = Vec::new();
        for own in in_use {
            // Two ports may have the same certificate.
            if self.known.contains_key(own) {
                continue;
            }
            let left = own.1.0.saturating_sub(now.wall.0);
            let is_soon = left < ahead;
            let warned = match before.remove(own) {
                None => is_soon.then_some(now.mono),
                Some(last) => {
                    let is_over = |last| now.mono.saturating_sub(last) >= WARN_INTERVAL;
                    if is_soon && last.is_none_or(is_over) {
                        let days = left.saturating_add(DAY_MILLIS - 1).div_euclid(DAY_MILLIS);
                        due.push((own.0.clone(), days));
                        Some(now.mono)
                    } else {
                        last
                    }
                }
            };
            self.known.insert(own.clone(), warned);
        }
        due
    }
}

impl EndingSecrets {
    /// Warns about the secrets of a configuration that end soon.
    pub(crate) fn warn(&mut self, snapshot: &Snapshot, now: Now) {
        for (_, route) in snapshot.routes.iter() {
            for (secret, days) in ending(route, now.wall) {
                let key = (Arc::clone(&route.name), secret.name.clone());
                if self.is_due(key, now.mono) {
                    log::warn!(
                        "route {}: the secret `{}` ends within {days} days, and no other active secret of the \
                         route has matched for a day: see whether the provider signs with the next one",
                        route.name,
                        secret.name
                    );
                }
            }
        }
    }

    fn is_due(&mut self, key: (Arc<str>, String), now: std::time::Duration) -> bool {
        let is_due = self
            .warned
            .get(&key)
            .is_none_or(|last| now.saturating_sub(*last) >= WARN_INTERVAL);
        if is_due {
            // What has passed by more than a day is due in any case and need not be remembered.
            self.warned
                .retain(|_, last| now.saturating_sub(*last) < WARN_INTERVAL);
            self.warned.insert(key, now);
        }
        is_due
    }
}

/// The secrets of a route that end soon, with the days that are left, if no other secret has taken
/// over.
fn ending(route: &RouteState, wall: UnixMillis) -> impl Iterator<Item = (&Secret, i64)> {
    let secrets = &route.config.secrets;
    let has_matched = move |secret: &Secret| {
        let last = route.metrics.last_match(&secret.name);
        last.is_some_and(|secs| wall.0.saturating_sub(secs.saturating_mul(1000)) < DAY_MILLIS)
    };
    secrets.iter().filter_map(move |secret| {
        let left = secret.not_after?.0.saturating_sub(wall.0);
        let is_soon = secret.is_active(wall) && left <= SOON_MILLIS;
        let is_replaced = || {
            secrets.iter().any(|other| {
                other.name != secret.name && other.is_active(wall) && has_matched(other)
            })
        };
        let days = left.saturating_add(DAY_MILLIS - 1).div_euclid(DAY_MILLIS);
        (is_soon && !is_replaced()).then_some((secret, days))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::tests::running_by;
    use crate::telemetry::{Record, RequestId};

    const NOW: UnixMillis = UnixMillis(1_795_392_000_000);

    /// The names of the secrets that are warned about. Each row of `secrets` has a name, the days
    /// until its end, and the hours since its last match.
    fn warned(secrets: &[(&str, Option<i64>, Option<i64>)]) -> Vec<String> {
        let listed: Vec<String> = secrets
            .iter()
            .map(|(name, days, _)| {
                let end = days.map_or_else(String::new, |days| {
                    let at = NOW.0 + days * DAY_MILLIS;
                    let at = jiff::Timestamp::from_millisecond(at).unwrap();
                    format!(", not_after = \"{at}\"")
                });
                format!(
                    "{{ name = \"{name}\", value = \"plain:the-secret-{name}-of-the-test\"{end} }}"
                )
            })
            .collect();
        let text = format!(
            "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\nsecrets = [{}]\n\
             upstream = \"http://127.0.0.1:3000\"\n",
            listed.join(", ")
        );
        let running = running_by(&text);
        let snapshot = running.snapshot.load();
        let (_, route) = snapshot.routes.iter().next().unwrap();
        for (name, _, hours) in secrets {
            let Some(hours) = hours else { continue };
            let time = UnixMillis(NOW.0 - hours * 3_600_000);
            let mut record = Record::begun(time, RequestId::Given("id"));
            record.proved = true;
            record.secret = Some((*name).into());
            running.telemetry.finish(&route.metrics, &record);
        }
        let found = ending(route, NOW);
        found
            .map(|(secret, days)| format!("{} {days}", secret.name))
            .collect()
    }

    #[test]
    fn a_secret_that_ends_is_warned_about_unless_another_has_taken_over() {
        type Row<'r> = (&'r [(&'r str, Option<i64>, Option<i64>)], &'r [&'r str]);
        let rows: [Row<'_>; 8] = [
            (&[("old", Some(5), None)], &["old 5"]),
            (&[("old", Some(14), Some(0))], &["old 14"]),
            (&[("old", Some(15), None)], &[]),
            (&[("old", None, None)], &[]),
            (&[("old", Some(5), None), ("new", None, None)], &["old 5"]),
            (&[("old", Some(5), Some(0)), ("new", None, Some(23))], &[]),
            (
                &[("old", Some(5), Some(0)), ("new", None, Some(25))],
                &["old 5"],
            ),
            // Each would take over for the other, and neither has matched.
            (
                &[("old", Some(5), None), ("new", Some(7), None)],
                &["old 5", "new 7"],
            ),
        ];
        let mut failures = Vec::new();
        for (secrets, expected) in rows {
            let found = warned(secrets);
            if found != expected {
                failures.push((secrets, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_certificate_is_warned_about_once_a_day_from_two_weeks_before_its_end() {
        let hour = |hours: i64| UnixMillis(NOW.0 + hours * 3_600_000);
        let mut ending = EndingCertificates::default();
        let mut due = |hours: u64, days: &[i64]| -> Vec<i64> {
            let ends: Vec<_> = days
                .iter()
                .map(|days| ("a".to_owned(), hour(days * 24)))
                .collect();
            let now = Now {
                wall: hour(i64::try_from(hours).unwrap()),
                mono: Duration::from_secs(hours * 3600),
            };
            let due = ending.due(ends.iter(), now);
            due.into_iter().map(|(_, days)| days).collect()
        };
        let none: [i64; 0] = [];
        // What ends soon when it is loaded was said then.
        assert_eq!(due(0, &[10, 20]), none);
        assert_eq!(due(23, &[10, 20]), none);
        assert_eq!(due(24, &[10, 20]), [9]);
        assert_eq!(due(25, &[10, 20]), none);
        // The first is replaced, and the other comes near its end.
        assert_eq!(due(145, &[90, 20]), [14]);
        assert_eq!(due(168, &[90, 20]), none);
        assert_eq!(due(169, &[90, 20]), [13]);
        assert_eq!(due(24 * 21, &[90, 20]), [-1]);
    }

    #[test]
    fn a_warning_is_repeated_once_a_day() {
        let mut ending = EndingSecrets::default();
        let mut is_due = |name: &str, hours: u64| {
            ending.is_due(
                ("a".into(), name.to_owned()),
                Duration::from_secs(hours * 3600),
            )
        };
        assert!(is_due("old", 1));
        assert!(!is_due("old", 24));
        assert!(is_due("other", 24));
        assert!(is_due("old", 25));
        assert!(!is_due("old", 26));
    }
}
