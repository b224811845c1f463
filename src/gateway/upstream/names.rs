//! The addresses of upstream names, resolved in the background (contract: Forwarding).
//!
//! A delivery never waits for the resolver while addresses are known. A name is resolved again
//! before its addresses are 30 s old, one resolution at a time however many upstreams share it. The
//! resolver of the C library is asked (`getaddrinfo`), so `/etc/hosts` and `/etc/resolv.conf` count,
//! and with glibc `nsswitch.conf` too.
//!
//! A resolver that does not answer says nothing about the name: known addresses serve for an hour.
//! The answer that there is no such name ends them, but only if it comes a second time: resolvers
//! give it for a moment while they start again, or while a service is being replaced.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType};
use tokio::sync::watch;
use tokio::time::Instant;

/// The age of addresses at which a name is resolved again. The contract allows 30 s, and the
/// look-up itself takes time.
const RESOLVE_AFTER: Duration = Duration::from_secs(25);
/// The age up to which addresses serve while the resolver does not answer.
const USABLE: Duration = Duration::from_secs(60 * 60);
/// The time between two answers that there is no such name, after which it is believed.
const DENIED_FOR: Duration = Duration::from_secs(10);
/// The time after a failure before the resolver is asked again in the background.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The time after a failure before a delivery that has no address asks again.
const AGAIN_FOR_A_DELIVERY: Duration = Duration::from_secs(1);

/// The answer of a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The addresses of the name, in the order in which they are to be tried. At least one.
    Addresses(Vec<IpAddr>),
    /// The name does not exist, or has no address.
    NoSuchName,
    /// The resolver failed, or cannot be reached. The reason is in its own words.
    Failed(String),
}

/// A function that resolves a name, and may take its time.
pub(super) type Resolve = dyn Fn(&str) -> Answer + Send + Sync;

/// Asks the system's resolver.
pub(super) fn system(host: &str) -> Answer {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    match dns_lookup::getaddrinfo(Some(host), None, Some(hints)) {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for entry in found.flatten() {
                let address = entry.sockaddr.ip();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() {
                Answer::NoSuchName
            } else {
                Answer::Addresses(addresses)
            }
        }
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Answer::NoSuchName,
            // glibc's words are "Temporary failure in name resolution", musl's "Try again".
            LookupErrorKind::Again => {
                Answer::Failed("the name servers do not answer, or say that they failed".into())
            }
            _ => Answer::Failed(std::io::Error::from(error).to_string()),
        },
    }
}

/// The names of all upstreams. Upstreams with the same name share it.
pub(super) struct Names {
    resolve: Arc<Resolve>,
    // Held at load, once a second, and when metrics are scraped.
    known: Mutex<HashMap<String, Weak<Name>>>,
}

impl Names {
    pub(super) fn new(resolve: Arc<Resolve>) -> Self {
        Self {
            resolve,
            known: Mutex::default(),
        }
    }

    /// The name `host`, which is being resolved from now on.
    pub(super) fn get(&self, host: &str) -> Arc<Name> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(host).and_then(Weak::upgrade) {
            return name;
        }
        let name = Arc::new(Name {
            host: host.to_owned(),
            resolve: Arc::clone(&self.resolve),
            state: Mutex::default(),
            done: watch::Sender::new(()),
        });
        known.insert(host.to_owned(), Arc::downgrade(&name));
        drop(known);
        name.resolve_when_due();
        name
    }

    /// Resolves every name that is due, and forgets names that no upstream has.
    pub(super) fn keep_fresh(&self) {
        for name in self.in_use() {
            name.resolve_when_due();
        }
    }

    /// The age of the addresses of each name that has any.
    pub(super) fn ages(&self) -> Vec<(String, Duration)> {
        let now = Instant::now();
        let names = self.in_use().into_iter();
        let ages = names.filter_map(|name| Some((name.host.clone(), name.state().age(now)?)));
        ages.collect()
    }

    fn in_use(&self) -> Vec<Arc<Name>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, name| name.strong_count() > 0);
        known.values().filter_map(Weak::upgrade).collect()
    }
}

/// A name and its addresses.
pub(super) struct Name {
    host: String,
    resolve: Arc<Resolve>,
    // Held to read or write the state, never while the resolver works.
    state: Mutex<State>,
    /// Tells deliveries without an address that a resolution has ended.
    done: watch::Sender<()>,
}

/// What is known of a name. The clock comes in as an argument.
#[derive(Default)]
struct State {
    known: Option<Known>,
    /// The last answer that was no address, and its time.
    failed: Option<(Failure, Instant)>,
    /// The time of the first answer since `known` that there is no such name.
    denied: Option<Instant>,
    is_running: bool,
}

struct Known {
    addresses: Arc<[IpAddr]>,
    since: Instant,
}

/// The reason why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The resolver says so.
    #[error("there is no such name")]
    NoSuchName,
    /// The resolver gave no answer.
    #[error("{0}")]
    Failed(String),
}

impl State {
    /// The addresses that may be used.
    fn usable(&self, now: Instant) -> Option<&Arc<[IpAddr]>> {
        let known = self.known.as_ref()?;
        (now.duration_since(known.since) < USABLE).then_some(&known.addresses)
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        let known = self.known.as_ref()?;
        Some(now.duration_since(known.since))
    }

    /// Whether the name should be resolved now. `waits` says that a delivery has no address.
    fn is_due(&self, now: Instant, waits: bool) -> bool {
        let since = |then: Instant| now.duration_since(then);
        match (&self.failed, &self.known) {
            _ if self.is_running => false,
            (Some((_, at)), _) if waits => since(*at) >= AGAIN_FOR_A_DELIVERY,
            // The second answer is asked for when it can count.
            (Some((Failure::NoSuchName, at)), Some(_)) => since(*at) >= DENIED_FOR,
            (Some((_, at)), _) => since(*at) >= AGAIN_AFTER,
            (None, Some(known)) => since(known.since) >= RESOLVE_AFTER,
            (None, None) => true,
        }
    }

    fn take(&mut self, answer: Answer, now: Instant) {
        self.is_running = false;
        match answer {
            Answer::Addresses(addresses) => {
                *self = Self {
                    known: Some(Known {
                        addresses: addresses.into(),
                        since: now,
                    }),
                    ..Self::default()
                };
            }
            Answer::NoSuchName => {
                let first = *self.denied.get_or_insert(now);
                if now.duration_since(first) >= DENIED_FOR {
                    self.known = None;
                }
                self.failed = Some((Failure::NoSuchName, now));
            }
            Answer::Failed(why) => self.failed = Some((Failure::Failed(why), now)),
        }
    }
}

impl Name {
    /// The addresses that are known. Without any, the answer of a resolution that is under way or
    /// begins now.
    ///
    /// # Errors
    /// The reason why there is no address.
    pub(super) async fn addresses(self: &Arc<Self>) -> Result<Arc<[IpAddr]>, Failure> {
        let mut done = self.done.subscribe();
        loop {
            let now = Instant::now();
            {
                let state = self.state();
                if let Some(addresses) = state.usable(now) {
                    return Ok(Arc::clone(addresses));
                }
                if let (Some((failure, _)), false, false) =
                    (&state.failed, state.is_running, state.is_due(now, true))
                {
                    return Err(failure.clone());
                }
            }
            self.begin(|state| state.is_due(now, true));
            // The sender is in `self`, so it is there.
            let _ = done.changed().await;
        }
    }

    /// Whether an address is among those of the name.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let state = self.state();
        let usable = state.usable(Instant::now());
        usable.is_some_and(|addresses| addresses.contains(&address))
    }

    fn resolve_when_due(self: &Arc<Self>) {
        let now = Instant::now();
        self.begin(|state| state.is_due(now, false));
    }

    /// Begins a resolution on a thread of its own, if `is_due`: a resolver may hang for long, and
    /// no runtime shall wait for it when the process ends.
    fn begin(self: &Arc<Self>, is_due: impl FnOnce(&State) -> bool) {
        {
            let mut state = self.state();
            if !is_due(&state) {
                return;
            }
            state.is_running = true;
        }
        let name = Arc::clone(self);
        let thread = std::thread::Builder::new().name("resolver".into());
        let started = thread.spawn(move || {
            let answer = (name.resolve)(&name.host);
            name.settle(answer);
        });
        if let Err(error) = started {
            self.settle(Answer::Failed(format!(
                "no thread for the resolver: {error}"
            )));
        }
    }

    fn settle(&self, answer: Answer) {
        let is_new = {
            let mut state = self.state();
            let before = state.failed.as_ref().map(|(failure, _)| failure.clone());
            state.take(answer, Instant::now());
            let after = state.failed.as_ref().map(|(failure, _)| failure);
            (after != before.as_ref()).then(|| (after.cloned(), state.known.is_some()))
        };
        self.done.send_replace(());
        match is_new {
            Some((Some(failure), true)) => log::warn!(
                "upstream name {}: {failure}: deliveries go to its known addresses meanwhile",
                self.host
            ),
            Some((Some(failure), false)) => {
                log::warn!("upstream name {}: {failure}", self.host);
            }
            Some((None, _)) => log::info!("upstream name {} is resolved again", self.host),
            None => {}
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn found() -> Answer {
        Answer::Addresses(vec![A])
    }

    /// Answers with the second at which they come, and whether addresses are known a second later.
    type Row<'r> = (&'r str, &'r [(u64, Answer, bool)]);

    #[test]
    fn up_15_known_addresses_outlive_a_silent_resolver_for_an_hour_and_a_name_that_is_gone_for_seconds()
     {
        let begin = Instant::now();
        let silent = || Answer::Failed("no servers could be reached".into());
        let rows: &[Row<'_>] = &[
            ("found", &[(0, found(), true)]),
            (
                "never found",
                &[(0, Answer::NoSuchName, false), (1, silent(), false)],
            ),
            (
                "silent for an hour",
                &[
                    (0, found(), true),
                    (25, silent(), true),
                    (3598, silent(), true),
                    (3600, silent(), false),
                ],
            ),
            (
                "denied a single time",
                &[
                    (0, found(), true),
                    (25, Answer::NoSuchName, true),
                    (35, found(), true),
                ],
            ),
            (
                "denied twice, too soon and then later",
                &[
                    (0, found(), true),
                    (25, Answer::NoSuchName, true),
                    (34, Answer::NoSuchName, true),
                    (35, Answer::NoSuchName, false),
                    (40, found(), true),
                ],
            ),
            (
                "denied around silence",
                &[
                    (0, found(), true),
                    (25, Answer::NoSuchName, true),
                    (30, silent(), true),
                    (36, Answer::NoSuchName, false),
                ],
            ),
            (
                "denied, found, denied",
                &[
                    (0, found(), true),
                    (25, Answer::NoSuchName, true),
                    (35, found(), true),
                    (60, Answer::NoSuchName, true),
                ],
            ),
        ];
        let mut wrong = Vec::new();
        for (name, answers) in rows {
            let mut state = State::default();
            for (second, answer, expected) in *answers {
                let at = begin + Duration::from_secs(*second);
                state.take(answer.clone(), at);
                if state.usable(at + Duration::from_secs(1)).is_some() != *expected {
                    wrong.push((name, second));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn up_15_a_name_is_resolved_before_its_addresses_are_half_a_minute_old_and_one_at_a_time() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut state = State::default();
        assert!(state.is_due(begin, false) && state.is_due(begin, true));
        state.is_running = true;
        assert!(!state.is_due(at(1000), true), "a resolution is under way");
        state.take(found(), begin);
        assert!(!state.is_due(at(24), false) && state.is_due(at(25), false));
        state.take(Answer::Failed(String::new()), at(25));
        assert!(!state.is_due(at(29), false) && state.is_due(at(30), false));
        state.take(Answer::NoSuchName, at(30));
        assert!(!state.is_due(at(39), false) && state.is_due(at(40), false));
        state.take(Answer::NoSuchName, at(40));
        assert!(!state.is_due(at(44), false) && state.is_due(at(45), false));
        assert!(!state.is_due(at(40), true) && state.is_due(at(41), true));
    }

    #[tokio::test]
    async fn deliveries_without_an_address_share_a_resolution_and_later_ones_do_not_wait() {
        let (answer, answers) = mpsc::channel::<Answer>();
        let (answers, asked) = (Mutex::new(answers), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let names = Names::new(Arc::new(move |host: &str| {
            assert_eq!(host, "app");
            count.fetch_add(1, Ordering::SeqCst);
            answers.lock().unwrap().recv().unwrap()
        }));
        let (name, same) = (names.get("app"), names.get("app"));
        assert!(Arc::ptr_eq(&name, &same));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let name = Arc::clone(&name);
                tokio::spawn(async move { name.addresses().await })
            })
            .collect();
        tokio::task::yield_now().await;
        answer.send(found()).unwrap();
        for waiting in waiting {
            assert_eq!(*waiting.await.unwrap().unwrap(), [A]);
        }
        assert_eq!(
            *name.addresses().await.unwrap(),
            [A],
            "nothing answers any more"
        );
        assert!(name.has(A) && !name.has(IpAddr::from([192, 0, 2, 2])));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(names.ages().len(), 1);
        drop((name, same));
        // The resolver's thread uses the name until it ends, a moment after its answer.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !names.ages().is_empty() {
            assert!(Instant::now() < deadline, "somebody uses the name");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_failure_is_kept_for_a_second_and_tells_the_reason() {
        let names = Names::new(Arc::new(|_: &str| Answer::NoSuchName));
        let name = names.get("gone");
        for _ in 0..2 {
            assert_eq!(name.addresses().await, Err(Failure::NoSuchName));
        }
        assert!(!name.has(A));
    }

    #[test]
    fn the_system_resolves_localhost_and_knows_a_name_that_cannot_be() {
        let Answer::Addresses(found) = system("localhost") else {
            unreachable!("localhost has no address");
        };
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(!matches!(system("a-name.invalid"), Answer::Addresses(_)));
    }
}
