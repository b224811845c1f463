//! The task that orders and renews the certificates of `[server.acme]` (contract: The edge). What is
//! ordered, and when, is decided in [`crate::acme`].
//!
//! One order at a time. A certificate is in force, without a reload, once it is proved and on the
//! disk; until then the one before it serves. Nothing that an authority does or fails to do touches
//! deliveries: whatever goes wrong here is a warning and a wait.

mod attempts;
mod found;
mod http;
mod order;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::found::Found;
use self::http::Seen;
use self::order::Failure;
use self::store::Store;
use crate::acme::certificate::held;
use crate::acme::file_of;
use crate::acme::ledger::{DAY, Ledger, later};
use crate::acme::plan::{self, Window};
use crate::clock::{Now, UnixMillis};
use crate::config::acme::Acme;
use crate::gateway::running::Running;
use crate::telemetry::rate_limit::RateLimits;
use crate::tls::Identity;

/// The longest pause between two looks at the clock, which may be set, and at the directory, where
/// another process may have put a certificate.
const LOOK: Duration = Duration::from_secs(300);

/// The time for the directory to be read at the start.
const READING: Duration = Duration::from_secs(10);

/// The pause after which a lock of another process is tried again.
const LOCKED: Duration = Duration::from_secs(15);

/// The time between two warnings that the directory cannot be used.
const WARN_INTERVAL: Duration = Duration::from_secs(3600);

/// Reads the certificates of the directory before the first connection is accepted, so that a restart
/// serves what was in force before it.
pub(crate) fn begin(running: &Arc<Running>) {
    let Some(settings) = running.snapshot.load().acme.clone() else {
        return;
    };
    let (done, read) = std::sync::mpsc::sync_channel(1);
    let begun = std::thread::Builder::new()
        .name("acme".to_owned())
        .spawn(move || {
            let _ = done.send(Found::read(&settings));
        });
    let found = begun.ok().and_then(|_| read.recv_timeout(READING).ok());
    // What is wrong is said by the task itself.
    if let Some(Ok(found)) = found {
        let mut served = found.former;
        served.extend(found.identities);
        running.acme.managed.set(served);
    }
}

/// Orders and renews, for ever.
pub(crate) async fn run(running: Arc<Running>) {
    let mut task = Task {
        directory: RateLimits::new(WARN_INTERVAL),
        seen: Seen::default(),
        running,
        settings: None,
        held: BTreeMap::new(),
        former: BTreeMap::new(),
        windows: HashMap::new(),
        ledger: None,
        settled: Duration::ZERO,
        failures: 0,
        pause: None,
        is_asked: false,
        without_replaces: None,
    };
    loop {
        let wait = task.look().await;
        let changed = task.running.acme.changed.notified();
        let _ = timeout(wait.min(LOOK), changed).await;
    }
}

struct Task {
    running: Arc<Running>,
    /// The settings of the last look.
    settings: Option<Arc<Acme>>,
    /// The certificates of the authority that are in force.
    held: BTreeMap<String, Identity>,
    /// Those of other authorities, for names that have none of this one.
    former: BTreeMap<String, Identity>,
    /// The windows that the authority has suggested, and when it is to be asked again. Each belongs
    /// to the certificate that ends at the last moment.
    windows: HashMap<String, Suggestion>,
    /// The count of orders, as far as this process knows it.
    ledger: Option<Ledger>,
    /// The moment from which this process orders at all, by the clock that cannot be set.
    settled: Duration,
    /// The attempts in a row that came to no order.
    failures: u32,
    /// The end of the pause after those, by the clock that cannot be set.
    pause: Option<Duration>,
    /// Whether the authority asked for that pause.
    is_asked: bool,
    /// The name whose last order named the certificate that it replaces, and failed: the authority
    /// may know nothing of that one.
    without_replaces: Option<String>,
    directory: RateLimits,
    seen: Seen,
}

struct Suggestion {
    window: Option<Window>,
    again: UnixMillis,
    of: UnixMillis,
}

impl Task {
    /// Looks at everything once, and orders what is due. Returns the wait until the next look.
    async fn look(&mut self) -> Duration {
        let Some(settings) = self.running.snapshot.load().acme.clone() else {
            self.settings = None;
            self.held.clear();
            self.former.clear();
            self.put_in_force();
            return Duration::MAX;
        };
        let is_same = self
            .settings
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &settings));
        let found = match self.read(&settings).await {
            Ok(found) => found,
            Err(why) => {
                self.warn_of_directory(&settings, &why);
                return LOOK;
            }
        };
        let store = self.take(found, &settings, !is_same);
        self.settings = Some(Arc::clone(&settings));
        if let Some(rest) = self.paused() {
            return rest;
        }
        // A gateway that ends begins nothing, least of all where another has taken over: authorities ask
        // that one.
        if self.running.is_leaving() {
            return LOOK;
        }
        self.work(&settings, &store).await
    }

    async fn read(&self, settings: &Arc<Acme>) -> io::Result<Found> {
        let settings = Arc::clone(settings);
        let read = spawn_blocking(move || Found::read(&settings));
        match timeout(READING, read).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(io::Error::other("the reader broke")),
            Err(_) => Err(io::Error::other("it lies on a mount that does not answer")),
        }
    }

    /// Takes over what the directory holds, and puts it in force.
    fn take(&mut self, found: Found, settings: &Acme, is_new: bool) -> Store {
        let now = self.now();
        let names = || settings.names.iter().map(String::as_str);
        let is_elsewhere = self.settings.as_ref().is_some_and(|known| {
            known.directory != settings.directory || known.dir != settings.dir
        });
        if is_elsewhere {
            self.held.clear();
            self.ledger = None;
            self.windows.clear();
        }
        if is_elsewhere || (is_new && !self.is_asked) {
            self.failures = 0;
            self.pause = None;
        }
        let former = self.settings.as_ref().map(|known| known.directory.as_str());
        if let Some(former) = former.filter(|former| *former != settings.directory) {
            log::info!(
                "`server.acme.directory` is {} now: it gets an account of its own, and certificates of {former} \
                 stay in force until those of the new one have come",
                settings.directory
            );
        }
        let before = std::mem::take(&mut self.held);
        self.held = found.identities;
        for (name, own) in before {
            // A certificate that could not be written serves until the process ends.
            let is_named = settings.names.contains(&name);
            let is_better = |other: &Identity| own.not_after > other.not_after;
            if is_named && self.held.get(&name).is_none_or(is_better) && own.not_after > now.wall {
                self.held.insert(name, own);
            }
        }
        self.former = found.former;
        self.put_in_force();
        let folder = found.store.folder().display();
        let ledger = match found.ledger {
            Ok(Some(ledger)) => ledger,
            Ok(None) => self.ledger.take().unwrap_or_else(|| {
                let spread = random();
                self.settled = now.mono.saturating_add(plan::settling(spread));
                let recent = found.marked.filter(|at| now.wall < later(*at, DAY));
                let Some(at) = recent else {
                    return Ledger::default();
                };
                log::warn!(
                    "{folder} was emptied, and the last order was less than a day ago: no further \
                     order before {}. Remove the directory itself to begin anew",
                    shown(later(at, DAY))
                );
                Ledger::spent(names(), at)
            }),
            Err(()) => self.ledger.take().unwrap_or_else(|| {
                log::warn!(
                    "{folder}/{} cannot be read, so nobody knows what was ordered: no further order \
                     before {}",
                    store::ORDERS,
                    shown(later(now.wall, DAY))
                );
                Ledger::spent(names(), now.wall)
            }),
        };
        if is_new {
            for (name, why) in &found.faults {
                log::warn!("the certificate in {folder}/{} {why}", file_of(name));
            }
            for name in names().filter(|name| !self.held.contains_key(*name)) {
                let due = plan::due(name, None, None, &ledger, self.settled(), now.wall);
                let count = ledger.count(name, now.wall);
                let meanwhile = self.former.get(name).map_or_else(String::new, |former| {
                    let end = shown(former.not_after);
                    format!(
                        "; that of another authority is in force until then, at most until {end}"
                    )
                });
                log::info!(
                    "there is no certificate for {name} from {} yet: it is ordered {} (orders in the last \
                     day: {count}){meanwhile}",
                    settings.directory,
                    if due <= now.wall {
                        "now".to_owned()
                    } else {
                        format!("at {}", shown(due))
                    }
                );
            }
        }
        self.ledger = Some(ledger);
        found.store
    }

    /// Orders what is due, one name after the other.
    async fn work(&mut self, settings: &Arc<Acme>, store: &Store) -> Duration {
        if self.next(settings, true).0 > self.now().wall {
            return self.until(self.next(settings, true).0);
        }
        // Another process may have the lock, and does the same work.
        let lock = {
            let store = store.clone();
            spawn_blocking(move || store.lock()).await
        };
        let locked = match lock {
            Ok(Ok(Some(locked))) => locked,
            Ok(Ok(None)) => return LOCKED,
            Ok(Err(why)) => {
                self.warn_of_directory(settings, &why);
                return LOOK;
            }
            Err(_) => return LOOK,
        };
        // What it did meanwhile is seen now.
        match self.read(settings).await {
            Ok(found) => {
                self.take(found, settings, false);
            }
            Err(why) => {
                self.warn_of_directory(settings, &why);
                return LOOK;
            }
        }
        // Before anything is asked for that could not be kept.
        if let Err(why) = self.save(store, &locked).await {
            self.warn_of_directory(settings, &why);
            return LOOK;
        }
        let account = match self.account(settings, store, &locked).await {
            Ok(account) => account,
            Err(failure) => return self.fail(&failure),
        };
        self.ask_for_windows(settings, &account).await;
        loop {
            let (due, name) = self.next(settings, false);
            if self.running.is_leaving() {
                return LOOK;
            }
            let is_changed = !self.is_in_force(settings);
            let may_order = due <= self.now().wall && !is_changed;
            let Some(name) = name.filter(|_| may_order) else {
                self.failures = 0;
                return self.until(self.next(settings, true).0);
            };
            // Another process that is about to take over orders by itself.
            let Some(_under_way) = self.running.acme.orders.begin() else {
                return LOCKED;
            };
            match self.order(settings, store, &locked, &account, &name).await {
                Ok(Some(failure)) if failure.is_general => return self.begin_pause(&failure),
                Ok(_) => self.failures = 0,
                Err(why) => {
                    self.warn_of_directory(settings, &why);
                    return LOOK;
                }
            }
        }
    }

    /// The moment at which the next name is due, and the name. `with_windows`: or at which the
    /// authority is to be asked for a suggestion.
    fn next(&self, settings: &Acme, with_windows: bool) -> (UnixMillis, Option<String>) {
        let now = self.now().wall;
        let settled = self.settled();
        let empty = Ledger::default();
        let ledger = self.ledger.as_ref().unwrap_or(&empty);
        let due = |name: &String| {
            let held = self.held.get(name).map(held);
            let suggestion = self.suggestion(name);
            let window = suggestion.and_then(|own| own.window);
            let due = plan::due(name, held.as_ref(), window, ledger, settled, now);
            let ask = suggestion.map_or(now, |own| own.again);
            let ask = if held.is_some() { ask } else { due };
            (
                if with_windows { due.min(ask) } else { due },
                Some(name.clone()),
            )
        };
        let all = settings.names.iter().map(due);
        let first = all.min_by_key(|(due, _)| *due);
        first.unwrap_or((UnixMillis(i64::MAX), None))
    }

    /// The moment from which this process orders at all.
    fn settled(&self) -> UnixMillis {
        let now = self.now();
        later(now.wall, self.settled.saturating_sub(now.mono))
    }

    /// The authority's suggestion for the certificate that is held.
    fn suggestion(&self, name: &str) -> Option<&Suggestion> {
        let held = self.held.get(name)?;
        self.windows
            .get(name)
            .filter(|known| known.of == held.not_after)
    }

    /// Gives handshakes the certificates that are held.
    fn put_in_force(&self) {
        let mut served = self.former.clone();
        let held = self.held.iter();
        served.extend(held.map(|(name, own)| (name.clone(), own.clone())));
        self.running.acme.managed.set(served);
    }

    /// Warns of an attempt that came to no order, and begins a pause.
    fn fail(&mut self, failure: &Failure) -> Duration {
        let pause = self.begin_pause(failure);
        let first = self.held.values().map(|own| own.not_after).min();
        let until = first.map_or_else(String::new, |first| {
            format!("; the first certificate in force ends at {}", shown(first))
        });
        log::warn!(
            "the authority of `[server.acme]` cannot be used: {}; the next attempt is at {}{until}",
            failure.words,
            shown(later(self.now().wall, pause))
        );
        pause
    }

    /// Begins a pause in which the authority is left alone.
    fn begin_pause(&mut self, failure: &Failure) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.is_asked = failure.wait.is_some();
        let pause = plan::pause(self.failures, failure.wait);
        self.pause = Some(self.now().mono.saturating_add(pause));
        pause
    }

    /// The rest of the pause, if there is one.
    fn paused(&mut self) -> Option<Duration> {
        let rest = self.pause?.checked_sub(self.now().mono);
        if rest.is_none_or(|rest| rest.is_zero()) {
            self.pause = None;
            self.is_asked = false;
            return None;
        }
        rest
    }

    fn warn_of_directory(&self, settings: &Acme, why: &io::Error) {
        let cause = format!("{} {why}", settings.dir.display());
        if self.directory.allow(&cause, self.now().mono).is_some() {
            log::warn!(
                "the directory of `[server.acme]`, {}, cannot be used, so no certificate is ordered: \
                 {why}",
                settings.dir.display()
            );
        }
    }

    fn is_in_force(&self, settings: &Arc<Acme>) -> bool {
        let snapshot = self.running.snapshot.load();
        let now = snapshot.acme.as_ref();
        now.is_some_and(|now| Arc::ptr_eq(now, settings))
    }

    fn now(&self) -> Now {
        self.running.clock.now()
    }

    fn until(&self, moment: UnixMillis) -> Duration {
        let left = moment.0.saturating_sub(self.now().wall.0);
        // A little later rather than too early, and never at once again and again.
        let left = u64::try_from(left).unwrap_or(0).saturating_add(10);
        Duration::from_millis(left.max(100))
    }
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    // Without random bytes the spread is lost, and nothing else.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

/// A moment for a log, to the second.
fn shown(moment: UnixMillis) -> String {
    let seconds = jiff::Timestamp::from_second(moment.0.div_euclid(1000));
    seconds.map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}
