//! The operational warnings that traffic can provoke. Each kind is shown at most once in ten
//! seconds for each cause, with the number of the others (contract: Access log).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Now;
use crate::config::units::written_duration;
use crate::gateway::client::tls::Failure;
use crate::gateway::upstream::forward::ForwardError;
use crate::notation::shell;
use crate::store::StoreError;
use crate::telemetry::rate_limit::{RateLimit, RateLimits};
use crate::verify::claim::Conflict;

const INTERVAL: Duration = Duration::from_secs(10);

/// The most accounts that are warned about by themselves, over all routes, in [`UNLISTED_INTERVAL`].
const MAX_UNLISTED: usize = 64;
/// The time after which an account is warned about again.
const UNLISTED_INTERVAL: Duration = Duration::from_secs(3600);
/// The time after which it is said again that the app of a route refuses deliveries of the queue.
const REFUSING_INTERVAL: Duration = Duration::from_secs(600);
/// The most characters of an account or of a server name that a warning shows.
const SHOWN: usize = 200;

/// A limit for each kind of warning.
pub(crate) struct Warnings {
    conflict: RateLimits,
    upstream: RateLimits,
    overload: RateLimit,
    accept: RateLimits,
    handshake: RateLimits,
    eviction: RateLimit,
    learning: RateLimits,
    store: RateLimit,
    refusing: RateLimits,
    unlisted: Unlisted,
}

/// The accounts that were warned about. Whoever has accounts at the provider chooses their names
/// and their number, so the names are cut and the set is bounded.
struct Unlisted {
    /// Each with its route, since the last clearing.
    // A lock of the standard library: it is held for a look-up alone, and only proved deliveries of
    // foreign accounts take it.
    seen: Mutex<BTreeSet<(String, Option<String>)>>,
    clearing: RateLimit,
    others: RateLimit,
}

impl Unlisted {
    const fn new() -> Self {
        Self {
            seen: Mutex::new(BTreeSet::new()),
            clearing: RateLimit::new(UNLISTED_INTERVAL),
            others: RateLimit::new(INTERVAL),
        }
    }

    /// Whether the account was warned about: `None` where it was, the number of other accounts
    /// without a warning of their own where it gets one now. The flag says whether the warning is
    /// about this account alone.
    fn note(&self, route: &str, account: Option<&str>, now: Duration) -> Option<(bool, u64)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clearing.allow(now).is_some() {
            seen.clear();
        }
        let key = (route.to_owned(), account.map(ToOwned::to_owned));
        if seen.contains(&key) {
            return None;
        }
        if seen.len() < MAX_UNLISTED {
            seen.insert(key);
            return Some((true, 0));
        }
        drop(seen);
        self.others.allow(now).map(|others| (false, others))
    }
}

impl Warnings {
    /// Limits that have shown no warning yet.
    pub(crate) const fn new() -> Self {
        Self {
            conflict: RateLimits::new(INTERVAL),
            upstream: RateLimits::new(INTERVAL),
            overload: RateLimit::new(INTERVAL),
            accept: RateLimits::new(INTERVAL),
            handshake: RateLimits::new(INTERVAL),
            eviction: RateLimit::new(INTERVAL),
            learning: RateLimits::new(INTERVAL),
            store: RateLimit::new(INTERVAL),
            refusing: RateLimits::new(REFUSING_INTERVAL),
            unlisted: Unlisted::new(),
        }
    }

    /// Warns that a genuine delivery is of an account that its route does not list: once for each
    /// account, and together for those beyond a bound.
    pub(crate) fn unlisted(&self, route: &str, account: Option<&str>, now: Now) {
        let shown = account.map(|account| account.chars().take(SHOWN).collect::<String>());
        match self.unlisted.note(route, shown.as_deref(), now.mono) {
            None => {}
            Some((true, _)) => {
                let words = shown.map_or_else(
                    || "names no account, or names it twice".to_owned(),
                    |account| {
                        let account = account.escape_debug();
                        format!("is of the account `{account}`; add it if it is yours")
                    },
                );
                log::warn!(
                    "route {route}: a genuine delivery that `accounts` does not list {words}"
                );
            }
            Some((false, others)) => {
                log::warn!(
                    "route {route}: genuine deliveries are of yet other accounts that `accounts` does not list{}",
                    more(others)
                );
            }
        }
    }

    /// Warns that an event came again and differs from the one that was done. `is_forgiven` says
    /// that it was answered as a duplicate.
    pub(crate) fn conflict(
        &self,
        route: &str,
        conflict: Conflict,
        is_forgiven: bool,
        request_id: &str,
        now: Now,
    ) {
        let (what, advice) = match conflict {
            Conflict::Body if is_forgiven => (
                "an event id was seen again with another body",
                "it was answered as a duplicate; `POST /replay/forget` lets it through",
            ),
            Conflict::Body => (
                "an event id was seen again with another body",
                "if this goes on, check the place of `event_id`",
            ),
            Conflict::Path => (
                "an event was seen again for another path",
                "a captured delivery looks like this; two endpoints of a provider need two routes",
            ),
            Conflict::Variant => (
                "an event was seen again under another type, or with more bodies than an event may have",
                "a captured delivery looks like this; where honest events of different types have \
                 the same body, the scheme needs `types_share_bodies = true`",
            ),
        };
        let cause = format!("{route} {what} {advice}");
        if let Some(others) = self.conflict.allow(&cause, now.mono) {
            log::warn!(
                "route {route}, request {request_id}: {what}: {advice}{}",
                more(others)
            );
        }
    }

    /// Warns that an upstream could not be reached, was late, or broke off.
    pub(crate) fn upstream(&self, route: &str, upstream: &str, error: &ForwardError, now: Now) {
        let cause = format!("route {route}: upstream {upstream}: {error}");
        if let Some(others) = self.upstream.allow(&cause, now.mono) {
            log::warn!("{cause}{}", more(others));
        }
    }

    /// Warns that the app of a route answers a status that means that a delivery of the queue is tried
    /// again.
    pub(crate) fn refusing(&self, route: &str, status: u16, max_age: Duration, now: Now) {
        if let Some(others) = self.refusing.allow(route, now.mono) {
            log::warn!(
                "route {route}: the app answers {status} to deliveries of the queue; they are tried again until \
                 `max_age` ({}): `verigate queue list {} --state retrying`{}",
                written_duration(max_age),
                shell::option("--route", route),
                more(others)
            );
        }
    }

    /// Warns that the store of the queue does not do what it was asked for.
    pub(crate) fn store(&self, error: &StoreError, now: Now) {
        if let Some(others) = self.store.allow(now.mono) {
            log::error!("the queue: {error}{}", more(others));
        }
    }

    /// Warns, in these words, that a delivery cannot be read. It shares the limit of [`store`](Self::store).
    pub(crate) fn unreadable(&self, words: &str, now: Now) {
        if let Some(others) = self.store.allow(now.mono) {
            log::error!("{words}{}", more(others));
        }
    }

    /// Warns that a connection was refused because its client may have no further place.
    pub(crate) fn overload(&self, open: usize, now: Now) {
        if let Some(others) = self.overload.allow(now.mono) {
            log::warn!(
                "refused a new connection: {open} are open, and its client may have no further place (`server.max_connections`){}",
                more(others)
            );
        }
    }

    /// Warns that the system gives no connection that waits to be accepted.
    pub(crate) fn accept(&self, error: &std::io::Error, now: Now) {
        if let Some(others) = self.accept.allow(&error.to_string(), now.mono) {
            log::warn!(
                "cannot accept connections, and goes on trying: {error}; where file descriptors are missing, raise \
                 their limit (`ulimit -n`, systemd: `LimitNOFILE=`){}",
                more(others)
            );
        }
    }

    /// Says that a TLS handshake failed. Whoever scans the internet for ports makes many of them fail,
    /// so this is no warning; that a client left is not said at all.
    pub(crate) fn handshake(&self, peer: Option<IpAddr>, failure: &Failure, now: Now) {
        let why = match failure {
            Failure::Left => return,
            Failure::Late => "the client was too slow".to_owned(),
            Failure::Name(None) => {
                "the client asked for no server name, and the port has no `default`".to_owned()
            }
            Failure::Name(Some(name)) => {
                let name: String = name.chars().take(SHOWN).collect();
                format!("no certificate is for `{}`", name.escape_debug())
            }
            Failure::Refused(why) => why.clone(),
        };
        // A client chooses the name that it asks for.
        let cause = match failure {
            Failure::Name(Some(_)) => "name",
            _ => &why,
        };
        if let Some(others) = self.handshake.allow(cause, now.mono) {
            let client = peer.map_or_else(|| "a client".to_owned(), |peer| peer.to_string());
            log::info!(
                "a TLS handshake with {client} failed: {why}{}",
                more(others)
            );
        }
    }

    /// Warns that the secret of a handshake was not taken.
    pub(crate) fn learning(&self, route: &str, reason: &dyn std::fmt::Display, now: Now) {
        let cause = format!("route {route}: the secret of a handshake was not taken: {reason}");
        if let Some(others) = self.learning.allow(&cause, now.mono) {
            log::warn!("{cause}{}", more(others));
        }
    }

    /// Warns that events which could still be replayed were forgotten to make room.
    pub(crate) fn eviction(&self, evicted: u64, now: Now) {
        if let Some(others) = self.eviction.allow(now.mono) {
            log::warn!(
                "the replay window is full: forgot {evicted} events that could still be replayed; raise `replay.capacity`{}",
                more(others)
            );
        }
    }
}

pub(super) fn more(others: u64) -> String {
    if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more like this)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_is_warned_about_once_and_their_number_is_bounded() {
        let unlisted = Unlisted::new();
        let at = Duration::from_secs;
        let alone = Some((true, 0));
        assert_eq!(unlisted.note("a", Some("x"), at(0)), alone);
        assert_eq!(unlisted.note("a", Some("x"), at(1)), None);
        assert_eq!(unlisted.note("b", Some("x"), at(1)), alone);
        assert_eq!(unlisted.note("a", None, at(1)), alone);
        for n in 3..MAX_UNLISTED {
            assert_eq!(unlisted.note("a", Some(&n.to_string()), at(2)), alone);
        }
        assert_eq!(unlisted.note("a", Some("y"), at(3)), Some((false, 0)));
        assert_eq!(unlisted.note("a", Some("z"), at(4)), None);
        assert_eq!(unlisted.note("a", Some("z"), at(13)), Some((false, 1)));
        assert_eq!(unlisted.seen.lock().unwrap().len(), MAX_UNLISTED);
        // An hour later each is worth a warning again.
        assert_eq!(unlisted.note("a", Some("x"), at(3600)), alone);
    }
}
