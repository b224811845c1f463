//! What `check` shows of `[state]`, and of how a route keeps deliveries and delivers them later
//! (contract: State). No byte of a key is shown.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::shown::shown;
use super::store;
use crate::cli::output::deliveries;
use crate::config;
use crate::config::queue::written_rate;
use crate::config::units::{written_duration, written_size};
use crate::config::{
    Config, Mode, OnError, OrderBy, Problems, Queue, Route, StateKey, Warning, WarningName,
};
use crate::notation::shell;
use crate::queue::State;
use crate::store::sealing::{KeyId, Keyring};
use crate::store::sqlite;

/// The rows of the gateway's table about its directory.
pub(super) fn state_rows(config: &Config, found: &Found) -> Vec<[String; 2]> {
    let state = &config.state;
    let Some(dir) = &state.dir else {
        let nothing = "nothing: a restart forgets what came";
        return vec![["keeps on disk".to_owned(), nothing.to_owned()]];
    };
    let named = |key: &StateKey| format!("{} (id {})", shown(&key.name), KeyId::of(&key.key));
    let keys: Vec<_> = state.keys.iter().map(named).collect();
    let mut keys = match keys.split_first() {
        None => "not encrypted".to_owned(),
        Some((first, [])) => format!("encrypted with {first}"),
        Some((first, others)) => {
            format!("encrypted with {first}, also read: {}", others.join(", "))
        }
    };
    for (key, count) in &found.missing {
        let _ = write!(
            keys,
            "; {} held, for want of the key of the id {key}, which is not listed",
            deliveries(*count)
        );
    }
    let made = if is_missing(dir) {
        " (does not exist yet: it will be made)"
    } else {
        ""
    };
    let value = format!(
        "in {}{made}: at most {} and {} deliveries, {} left free, {keys}",
        dir.display(),
        written_size(state.max_bytes),
        state.max_deliveries,
        written_size(state.keep_free),
    );
    let mut rows = vec![["keeps on disk".to_owned(), value]];
    for held in &found.held {
        let value = format!(
            "{} of the route {} (provider {}), which is not in this file: until it is back, or they are \
             discarded ({})",
            deliveries(held.count),
            shown(&held.route),
            shown(&held.provider),
            held.discarding(config),
        );
        rows.push(["holds".to_owned(), value]);
    }
    for waiting in &found.draining {
        let value = format!(
            "{} of the route {}, accepted in queue mode: a gateway goes on delivering them",
            deliveries(waiting.count),
            shown(&waiting.route),
        );
        rows.push(["delivers".to_owned(), value]);
    }
    let on_error = match config.replay.on_error {
        OnError::Refuse => "refuses what relay routes get",
        OnError::Memory => "lets in what relay routes get, and a crash forgets it",
    };
    rows.push(["cannot write".to_owned(), on_error.to_owned()]);
    let open: Vec<_> = open_after_power_loss(config).collect();
    if !open.is_empty() {
        let value = format!(
            "the last second may be missing, and no signed time tells what: {}",
            open.join(", ")
        );
        rows.push(["loses power".to_owned(), value]);
    }
    let open: Vec<_> = open_after_restore(config).collect();
    if !open.is_empty() {
        let value = format!(
            "what came since the backup is let in again, and no signed time tells what: {}",
            open.join(", ")
        );
        rows.push(["is restored".to_owned(), value]);
    }
    rows
}

/// The warnings about deliveries that wait on disk and that this configuration cannot deliver.
pub(super) fn warnings(config: &Config, found: &Found) -> Vec<Warning> {
    let of_keys = found.missing.iter().map(|(key, count)| {
        format!(
            "`state.keys`: the key of the id {key} is not listed, which holds {} on disk: list it behind the \
             key that writes",
            deliveries(*count)
        )
    });
    let of_routes = found.held.iter().map(|held| {
        format!(
            "`state.dir`: the file has no route `{}` with the provider `{}`, which holds {} on disk: put it \
             back, or discard them ({})",
            shown(&held.route),
            shown(&held.provider),
            deliveries(held.count),
            held.discarding(config),
        )
    });
    let warning = |message| Warning {
        path: config::shown_path(&config.path),
        line: config.state_line,
        route: None,
        name: WarningName::HeldDeliveries,
        message,
    };
    let held = of_keys.chain(of_routes).map(warning);
    held.chain(store::full_disk(config, found.stored)).collect()
}

/// Whether there is no such directory. One that cannot be looked at counts as there.
fn is_missing(dir: &Path) -> bool {
    fs::metadata(dir).is_err_and(|why| why.kind() == io::ErrorKind::NotFound)
}

/// The routes that let in again what came since a backup that is restored.
fn open_after_restore(config: &Config) -> impl Iterator<Item = &str> {
    let routes = config.routes.iter().filter(|route| route.replay.enabled);
    routes
        .filter(|route| !route.is_stamped_by_attempt())
        .map(|route| route.name.as_str())
}

/// The relay routes that let in again what a loss of power took from the window.
fn open_after_power_loss(config: &Config) -> impl Iterator<Item = &str> {
    let relayed = |route: &&Route| route.mode == Mode::Relay && route.replay.enabled;
    let routes = config.routes.iter().filter(relayed);
    routes
        .filter(|route| !route.is_stamped_by_attempt())
        .map(|route| route.name.as_str())
}

/// What is in the directory and worth a word.
#[derive(Default)]
pub(in crate::cli) struct Found {
    /// The keys that deliveries need and that are not listed, with the numbers of these deliveries.
    missing: Vec<(KeyId, u64)>,
    /// Deliveries of routes that are not here, or that have another provider here.
    held: Vec<Held>,
    /// Deliveries of routes in relay mode that wait for an attempt.
    draining: Vec<Held>,
    /// The number of all deliveries.
    stored: u64,
    /// The reason why no gateway would start with what is there, in words.
    fault: Option<String>,
}

/// The deliveries of a route.
struct Held {
    route: String,
    provider: String,
    count: u64,
}

impl Held {
    /// The command that gives them up. A filter by the name would mean the deliveries of a route of
    /// this name in the file, too.
    fn discarding(&self, config: &Config) -> String {
        if config.routes.iter().any(|route| route.name == self.route) {
            "one by one, by `verigate queue discard ID`".to_owned()
        } else {
            let option = shell::option("--route", &shown(&self.route));
            format!("`verigate queue discard {option}`")
        }
    }
}

impl Found {
    /// The problem of what is there, if no gateway would start with it.
    pub(super) fn problem(&self, config: &Config) -> Option<Problems> {
        let fault = self.fault.as_deref();
        fault.map(|fault| store::problem(config, fault))
    }

    /// What the directory of this configuration has, where it names one.
    pub(in crate::cli) fn of(config: &Config) -> Self {
        let state = &config.state;
        let Some(dir) = &state.dir else {
            return Self::default();
        };
        let keys = Keyring::new(state.keys.iter().map(|key| key.key.clone()));
        let own = |found: &sqlite::Deliveries| {
            let mut routes = config.routes.iter();
            routes.find(|own| *own.name == *found.route && own.scheme.provider == found.provider)
        };
        let mut all = Self {
            fault: store::foreign_file(dir),
            ..Self::default()
        };
        let databases = sqlite::info(dir, &keys).unwrap_or_else(|error| {
            all.fault = all.fault.take().or_else(|| store::fault(&error));
            Vec::new()
        });
        if let Err(apart) = sqlite::judge(dir) {
            all.fault = all.fault.take().or_else(|| store::fault(&apart));
        }
        for database in databases {
            let unread = database.encrypted.iter().filter(|one| !one.is_readable);
            all.missing
                .extend(unread.filter_map(|one| Some((one.key?, one.count))));
            // A line for each of their states.
            for found in database.deliveries {
                all.stored += found.count;
                let list = match own(&found).map(|route| route.mode) {
                    None => &mut all.held,
                    Some(Mode::Relay) if found.state != Some(State::Dead) => &mut all.draining,
                    Some(_) => continue,
                };
                match list.last_mut() {
                    Some(held) if held.route == found.route && held.provider == found.provider => {
                        held.count += found.count;
                    }
                    _ => list.push(Held {
                        route: found.route,
                        provider: found.provider,
                        count: found.count,
                    }),
                }
            }
        }
        all
    }
}

/// The object of `[state]`; null where nothing is kept on disk.
pub(super) fn state_object(config: &Config, found: &Found) -> Value {
    let state = &config.state;
    let Some(dir) = &state.dir else {
        return Value::Null;
    };
    json!({
        "dir": shown(&dir.display().to_string()),
        "dir_exists": !is_missing(dir),
        "timeout": written_duration(state.timeout),
        "max_bytes": state.max_bytes,
        "max_deliveries": state.max_deliveries,
        "keep_free": state.keep_free,
        "on_error": match config.replay.on_error {
            OnError::Refuse => "refuse",
            OnError::Memory => "memory",
        },
        "open_after_restore": open_after_restore(config).map(shown).collect::<Value>(),
        "open_after_power_loss": open_after_power_loss(config).map(shown).collect::<Value>(),
        "keys": state.keys.iter().map(|key| shown(&key.name)).collect::<Value>(),
        "key_ids": state.keys.iter().map(|key| KeyId::of(&key.key).to_string()).collect::<Value>(),
        "missing_key_ids": found
            .missing
            .iter()
            .map(|(key, count)| json!({"id": key.to_string(), "deliveries": count}))
            .collect::<Value>(),
        "held": found
            .held
            .iter()
            .map(|held| json!({
                "route": shown(&held.route),
                "provider": shown(&held.provider),
                "deliveries": held.count,
            }))
            .collect::<Value>(),
    })
}

/// The settings of a route's queue as the file writes them. A route in relay mode shows them only
/// where they are its own: they hold for what it accepted before.
pub(super) fn rows(route: &Route, config: &Config) -> Vec<(String, String)> {
    let (queue, state) = (&route.queue, &config.state);
    let is_queue = route.mode == Mode::Queue;
    if !is_queue && *queue == Queue::of(state) {
        return Vec::new();
    }
    let mut rows = vec![("mode".to_owned(), route.mode.name().to_owned())];
    let mut add = |key: &str, value: String| rows.push((format!("queue.{key}"), value));
    if is_queue && route.scheme.ack.is_none() {
        add("answer", queue.answer.to_string());
    }
    add("max_bytes", written_size(queue.max_bytes));
    add("max_deliveries", queue.max_deliveries.to_string());
    add("retry", schedule(queue));
    add("max_age", written_duration(queue.max_age));
    if !queue.dead_on.is_empty() {
        let statuses: Vec<_> = queue.dead_on.iter().map(ToString::to_string).collect();
        add("dead_on", statuses.join(", "));
    }
    add("keep_dead", written_duration(queue.keep_dead));
    add("concurrency", queue.concurrency.to_string());
    if let Some(rate) = queue.rate {
        add("rate", written_rate(rate));
    }
    if let Some(order) = &queue.order_by {
        add("order_by", order.text());
    }
    rows
}

/// The pauses between attempts, the last of which is repeated.
fn schedule(queue: &Queue) -> String {
    let mut pauses: Vec<_> = queue.retry.iter().copied().map(written_duration).collect();
    let last = pauses.pop().unwrap_or_default();
    if pauses.is_empty() {
        format!("every {last}")
    } else {
        format!("after {}, then every {last}", pauses.join(", "))
    }
}

/// The object of a route's queue; null where nothing is kept on disk.
pub(super) fn object(route: &Route, config: &Config) -> Value {
    let queue = &route.queue;
    if config.state.dir.is_none() {
        return Value::Null;
    }
    let retry = queue.retry.iter().copied().map(written_duration);
    json!({
        "answer": route.scheme.ack.as_ref().map_or(queue.answer, |ack| ack.status),
        "max_bytes": queue.max_bytes,
        "max_deliveries": queue.max_deliveries,
        "retry": retry.collect::<Value>(),
        "max_age": written_duration(queue.max_age),
        "dead_on": queue.dead_on,
        "keep_dead": written_duration(queue.keep_dead),
        "concurrency": queue.concurrency,
        "rate": queue.rate.map(written_rate),
        "order_by": queue.order_by.as_ref().map(OrderBy::text).as_deref().map(shown),
    })
}
