//! A captured delivery of every preset, changed in everything that no signature covers: how often it is forwarded, and
//! how many entries it makes (contract: Keys, Beside an entry; RP-50).
//!
//! The deliveries, their changes and the numbers that are allowed follow from the schemes, and no preset is named here.
//! For a new preset nothing is to be done but to copy its row into docs/attacks.md, which the test prints.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; the lints spare only tests themselves"
)]

#[path = "../support/mod.rs"]
mod support;

mod algorithms;
mod captured;
mod changes;
mod keys;
mod making;
mod once;
mod sets;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use verigate::clock::UnixMillis;
use verigate::config::presets::{self, KeyOwner, Preset};
use verigate::scheme::Scheme;

use captured::Captured;
use making::{Made, ORIGIN, PARAM, account, made, unknown_account};
use support::answer::Answer;
use support::client::Client;
use support::config::{Config, Route, text};
use support::gateway::Gateway;
use support::upstream::Upstream;

/// How often one captured delivery may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Allowed {
    /// Each body once, however many bodies: a credential covers none.
    EachBody,
    /// A time for each of the first four topics.
    Topics,
    /// A time for each of the first four bodies.
    Bodies,
    /// The first time, and so many repeats within so many seconds.
    Repeats(u16, u64),
    Once,
}

/// The gateways that share the presets, so that the test takes half as long.
const GATEWAYS: usize = 4;

/// The types or bodies that an entry takes where a route lists none.
const BESIDE: usize = 4;

impl Allowed {
    fn of(scheme: &Scheme) -> Self {
        match &scheme.repeats {
            _ if scheme.is_credential() => Self::EachBody,
            Some(repeats) => Self::Repeats(repeats.most, repeats.within.as_secs()),
            None if scheme.types_share_bodies => Self::Topics,
            None if scheme.bodies_are_beside() => Self::Bodies,
            None => Self::Once,
        }
    }

    /// The number of times; `None` where there is no limit.
    fn times(self) -> Option<usize> {
        match self {
            Self::EachBody => None,
            Self::Topics | Self::Bodies => Some(BESIDE),
            Self::Repeats(most, _) => Some(usize::from(most) + 1),
            Self::Once => Some(1),
        }
    }

    /// Number and reason, as docs/attacks.md shows them.
    fn words(self) -> String {
        let why = match self {
            Self::EachBody => {
                "the secret itself is sent and covers nothing: whoever sees a delivery can send other bodies without \
                 end. Only the same body is a duplicate"
                    .to_owned()
            }
            Self::Topics => {
                "topics share bodies and are not signed: the first four, or as many as `event_types` lists".to_owned()
            }
            Self::Bodies => {
                "only the time and type of the event are signed, and events share them: the first four bodies"
                    .to_owned()
            }
            Self::Repeats(most, within) => format!(
                "calls ask for an answer and may come again byte for byte: the first and {most} repeats within {} hours",
                within / 3600
            ),
            Self::Once => "what it is claimed by is signed, and no change makes another event of it".to_owned(),
        };
        let times = self
            .times()
            .map_or("each body once".to_owned(), |times| times.to_string());
        format!("| {times} | {why} |")
    }
}

/// The table of docs/attacks.md.
fn table() -> String {
    let mut rows: BTreeMap<Allowed, Vec<&str>> = BTreeMap::new();
    for preset in presets::all() {
        let row = rows.entry(Allowed::of(&preset.scheme)).or_default();
        row.push(preset.name.as_str());
    }
    let mut table = "| preset | forwarded | why |\n| --- | --- | --- |\n".to_owned();
    for (allowed, mut names) in rows {
        names.sort_unstable();
        writeln!(table, "| `{}` {}", names.join("`, `"), allowed.words()).unwrap();
    }
    table
}

#[test]
fn the_table_of_captured_deliveries_shows_every_preset() {
    let table = table();
    assert!(
        include_str!("../../docs/attacks.md").contains(&table),
        "the table in docs/attacks.md, One captured delivery, should be:\n\n{table}"
    );
}

fn route(preset: &Preset, secret: &str, upstream: &Upstream) -> Route {
    let mut route = Route::new(&preset.name, &format!("/{}/*", preset.name), upstream)
        .set("provider", &text(&preset.name))
        .set(
            "secrets",
            &format!("[{}]", text(&format!("plain:{secret}"))),
        )
        .set("methods", "[\"POST\", \"PUT\", \"GET\"]")
        .set("replay", "{}");
    if preset.key_owner == KeyOwner::Provider {
        let accounts = match preset.scheme.account {
            Some(_) => format!("[{}]", text(account(preset))),
            None => text("any"),
        };
        route = route.set("accounts", &accounts);
    }
    if let Some(pointer) = unknown_account(preset) {
        route = route.set(
            "account",
            &format!("{{ json = {} }}", text(&pointer.text())),
        );
    }
    let params: Vec<String> = preset
        .scheme
        .params()
        .iter()
        .map(|name| format!("{name} = {}", text(PARAM)))
        .collect();
    if !params.is_empty() {
        route = route.set("params", &format!("{{ {} }}", params.join(", ")));
    }
    if preset.scheme.signs_url() {
        route = route.set("public_url", &text(ORIGIN));
    }
    if preset.scheme.handshake.is_some() {
        route = route.handshake("mode", "\"off\"");
    }
    route
}

/// Sends deliveries, and counts those that reach the app.
struct Stranger<'g> {
    gateway: &'g Gateway,
    upstream: &'g Upstream,
    client: Client,
    /// The bodies that were forwarded, and the number of those that were forwarded before.
    bodies: HashSet<Vec<u8>>,
    again: usize,
    asked: usize,
}

impl Stranger<'_> {
    /// Whether the delivery, or more in it, could pass with another change: the proof did not refuse it.
    fn ask(&mut self, captured: &Captured) -> bool {
        let before = self.upstream.count();
        let answer = self.client.ask_unless_reset(captured.bytes());
        if answer.as_ref().is_none_or(Answer::closes) {
            self.client = self.gateway.connect();
        }
        if self.upstream.count() > before && !self.bodies.insert(captured.whole_body()) {
            self.again += 1;
        }
        self.asked += 1;
        answer.is_some_and(|answer| !matches!(answer.status, 400..=408))
    }

    fn forwarded(&self) -> usize {
        self.bodies.len() + self.again
    }
}

fn unix_now() -> UnixMillis {
    UnixMillis::from_secs(i64::try_from(support::now()).unwrap())
}

/// The faults of a preset: what was forwarded or remembered otherwise than is allowed.
fn faults(preset: &Preset, gateway: &Gateway, upstream: &Upstream) -> Vec<String> {
    // It is made at the moment at which it is sent: some tolerances are a few seconds.
    let at = unix_now();
    let [good, twin] = match [made(preset, at), made(preset, at)] {
        [Ok(good), Ok(twin)] => [good.captured, twin.captured],
        [Err(why), _] | [_, Err(why)] => return vec![why],
    };
    let entries = || gateway.metrics().value("verigate_replay_entries", &[]);
    let entries_before = entries();
    let mut stranger = Stranger {
        gateway,
        upstream,
        client: gateway.connect(),
        bodies: HashSet::new(),
        again: 0,
        asked: 0,
    };
    stranger.ask(&good);
    if stranger.forwarded() != 1 {
        let answer = gateway.ask(good.bytes());
        return vec![format!("the genuine delivery is not forwarded: {answer}")];
    }
    // Another signature of the same content, where the algorithm has many: anyone can make a second of an ECDSA one.
    stranger.ask(&twin);
    let (pass, refused): (Vec<_>, Vec<_>) = changes::singles(&good)
        .into_iter()
        .partition(|change| stranger.ask(&change.of(&good)));
    for changed in &changes::pairs(&good, &pass, &refused) {
        stranger.ask(changed);
    }
    // Some presets forward the very same request again, but not without end.
    let allowed = Allowed::of(&preset.scheme);
    for _ in 0..=allowed.times().unwrap_or_default() {
        stranger.ask(&good);
    }
    let mut wrong = Vec::new();
    let (times, again) = (stranger.forwarded(), stranger.again);
    match allowed.times() {
        Some(most) if times != most => {
            wrong.push(format!("forwarded {times} times, allowed are {most}"));
        }
        None if again > 0 => wrong.push(format!("a body was forwarded again, {again} times")),
        None if times < 2 => wrong.push("it is not true that it covers nothing".to_owned()),
        _ => {}
    }
    let made = entries() - entries_before;
    let expected = if allowed == Allowed::EachBody {
        times
    } else {
        1
    };
    if made.to_string() != expected.to_string() {
        wrong.push(format!("made {made} entries, not {expected}"));
    }
    wrong
}

/// The faults of these presets, on a gateway and with an app of their own.
fn faults_of(presets: &[&Preset]) -> Vec<String> {
    let upstream = Upstream::start();
    let mut config = Config::new().server("threads", "1");
    let mut wrong = Vec::new();
    let mut tried = Vec::new();
    for preset in presets {
        match made(preset, unix_now()) {
            Ok(Made { secret, .. }) => {
                config = config.route(route(preset, &secret, &upstream));
                tried.push(preset);
            }
            Err(why) => wrong.push(why),
        }
    }
    let gateway = Gateway::start(&config);
    for preset in tried {
        let faults = faults(preset, &gateway, &upstream);
        wrong.extend(
            faults
                .iter()
                .map(|fault| format!("{}: {fault}", preset.name)),
        );
    }
    wrong
}

#[test]
fn rp_50_a_captured_delivery_of_any_preset_is_one_event_whatever_is_changed_in_it() {
    let shares: Vec<Vec<&Preset>> = (0..GATEWAYS)
        .map(|share| {
            presets::all()
                .iter()
                .skip(share)
                .step_by(GATEWAYS)
                .collect()
        })
        .collect();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .iter()
            .map(|share| scope.spawn(|| faults_of(share)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
