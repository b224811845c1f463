//! `verigate queue`: what waits in the queue of a running gateway, and what an operator does with it
//! (contract: Command line).

mod client;
mod plan;
mod shown;
mod waiting;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

pub(super) use self::client::Client;
use self::client::Target;
use super::Exit;
use super::output::{complain, note, note_with_id, print};
use crate::clock::Clock;
use crate::config;
use crate::config::units;
use crate::notation::percent::{UNRESERVED, encode};

/// The pause between two looks at a plan that runs.
const LOOK: Duration = Duration::from_millis(300);

/// Arguments of `queue`.
#[derive(Args, Debug)]
#[command(
    after_help = "The gateway is asked on its admin port, whose address and token are those of the configuration file,\n\
    or of `--admin ADDR --token REF`.\n\n\
    Examples:\n  verigate queue list --state dead\n  verigate queue retry --route stripe --state dead --rate 20/s\n  \
    verigate queue pause stripe"
)]
pub(super) struct Queue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what waits, the oldest first
    #[command(
        after_help = "Example:\n  verigate queue list --route stripe --state dead --since 2h"
    )]
    List(List),
    /// Show a delivery: its head, without what proves it
    Show(Show),
    /// Try deliveries again now: one, or all that a filter finds
    #[command(
        after_help = "Examples:\n  verigate queue retry 0192f0c4-7b1e-7c3a-8000-000000000001\n  \
        verigate queue retry --route stripe --state dead --rate 20/s"
    )]
    Retry(Change),
    /// Discard deliveries for good: one, or all that a filter finds
    #[command(
        after_help = "An event that was discarded stays known: the provider's resend is answered as a replay or a duplicate\n\
        until `POST /replay/forget` on the admin port.\n\n\
        Example:\n  verigate queue discard --route stripe --state dead --status 410"
    )]
    Discard(Change),
    /// Show how far a plan is, also after Ctrl-C
    #[command(
        after_help = "A plan is known until ten minutes after its end, and until the gateway ends.\n\n\
        Example:\n  verigate queue plan 3f9c0b7a51d24e8f9a6b0c1d2e3f4a5b"
    )]
    Plan(OfPlan),
    /// End a plan that runs
    Cancel(OfPlan),
    /// Try no delivery of a route until `resume`, over restarts too
    Pause(Pause),
    /// End the pause of a route
    Resume(Pause),
}

/// Reads a time as the gateway does, so that a slip is told with its option.
fn since(text: &str) -> Result<String, String> {
    match (units::moment(text), units::duration(text)) {
        (Err(_), Err(_)) => Err("write a time such as `2h`, or RFC 3339".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// Reads a status, so that a class such as `5xx` is told what would be right.
fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok();
    status
        .filter(|status| (100..=599).contains(status))
        .ok_or_else(|| "write a single status, a number from 100 to 599, as in `503`".to_owned())
}

/// Reads a rate as the gateway does.
fn rate(text: &str) -> Result<String, String> {
    let read = config::queue::rate(text);
    read.map(|_| text.to_owned()).map_err(|fault| fault.help)
}

/// The deliveries that are meant.
#[derive(Args, Debug)]
struct Filter {
    /// Deliveries of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Deliveries in this state
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
    /// Deliveries that came since then: RFC 3339, or a time such as `2h`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// Deliveries that the app answered with this status last
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Never tried
    Waiting,
    /// Tried, and tried again later
    Retrying,
    /// Not tried any more
    Dead,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// The most deliveries that are listed
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroUsize,
    /// Begin behind this place: `next` of the list before
    #[arg(long, value_name = "NEXT")]
    after: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
struct Show {
    /// The delivery's id
    #[arg(value_name = "ID")]
    id: String,
    /// Show the body too; the gateway logs that
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
struct Change {
    /// The delivery's id
    #[arg(value_name = "ID", conflicts_with_all = ["route", "state", "since", "status", "rate", "yes"])]
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many in a time, as in `20/s` or `100/m`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<String>,
    /// Do not ask before that is done to all that a filter finds; for an ID nothing is asked
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
struct OfPlan {
    /// The plan's id
    #[arg(value_name = "PLAN")]
    plan: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
struct Pause {
    /// The route's name
    #[arg(value_name = "ROUTE")]
    route: String,
    #[command(flatten)]
    target: Target,
}

impl Queue {
    /// Asks the gateway, and prints what it answers.
    pub(super) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Retry(change) => change.run("retry", "is due again"),
            Command::Discard(change) => change.run("discard", "is gone"),
            Command::Plan(plan) => plan.show(),
            Command::Cancel(plan) => plan.cancel(),
            Command::Pause(pause) => pause.run("pause"),
            Command::Resume(pause) => pause.run("resume"),
        };
        done.unwrap_or_else(|error| {
            complain(&error);
            Exit::of_failed(&error)
        })
    }
}

impl Filter {
    /// The filter as members of JSON.
    fn members(&self) -> Map<String, Value> {
        let state = self.state.map(|state| match state {
            State::Waiting => "waiting",
            State::Retrying => "retrying",
            State::Dead => "dead",
        });
        let members = [
            ("route", self.route.as_deref().map(Value::from)),
            ("state", state.map(Value::from)),
            ("since", self.since.as_deref().map(Value::from)),
            ("status", self.status.map(Value::from)),
        ];
        let given = members.into_iter();
        given
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// The filter as a query, which ends with `&` unless it is empty.
    fn query(&self) -> String {
        let pairs = self.members().into_iter();
        let pairs = pairs.map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}&", encode(text.as_bytes(), UNRESERVED))
        });
        pairs.collect()
    }
}

impl List {
    fn run(&self) -> anyhow::Result<Exit> {
        let client = self.target.client()?;
        let (limit, mut after) = (self.limit.get(), Value::from(self.after));
        let mut routes = Value::Null;
        let mut found: Vec<Value> = Vec::new();
        while found.len() < limit {
            let left = (limit - found.len()).min(1000);
            let from = after
                .as_u64()
                .map_or_else(String::new, |n| format!("&after={n}"));
            let mut page =
                client.get(&format!("/queue?{}limit={left}{from}", self.filter.query()))?;
            let listed = page.get("deliveries").and_then(Value::as_array);
            found.extend(listed.into_iter().flatten().cloned());
            after = page.get("next").cloned().unwrap_or_default();
            // A gateway that is older than this has no such member.
            routes = page
                .get_mut("routes")
                .map_or_else(|| json!([]), Value::take);
            if after.is_null() {
                break;
            }
        }
        if self.target.json {
            let listed = json!({"deliveries": found, "next": after, "routes": routes});
            print(&listed.to_string());
            return Ok(Exit::Success);
        }
        let now = Clock::system().now().wall;
        if found.is_empty() {
            let is_all = self.after.is_none() && self.filter.query().is_empty();
            note(if is_all {
                "the queue is empty"
            } else {
                "nothing fits"
            });
        } else {
            print(&shown::listed(
                &found,
                |name| waiting::delays(&routes, name),
                now,
            ));
        }
        let why = waiting::lines(&routes, &self.target.options(), now);
        if !why.is_empty() {
            let apart = if found.is_empty() { "" } else { "\n" };
            print(&format!("{apart}{}", why.join("\n")));
        }
        if !after.is_null() {
            note(&format!(
                "there are more: `--after {after}` shows the next ones, a larger `--limit` more at a time"
            ));
        }
        Ok(Exit::Success)
    }
}

impl Show {
    fn run(&self) -> anyhow::Result<Exit> {
        let client = self.target.client()?;
        let query = if self.body { "?body=1" } else { "" };
        let id = encode(self.id.as_bytes(), UNRESERVED);
        let shown = client.get(&format!("/queue/{id}{query}"))?;
        if self.target.json {
            print(&shown.to_string());
        } else {
            print(&shown::delivery(&shown));
        }
        Ok(Exit::Success)
    }
}

impl Change {
    fn run(&self, action: &str, done: &str) -> anyhow::Result<Exit> {
        let filter = self.filter.members();
        if self.id.is_none() && filter.is_empty() {
            note(&format!(
                "verigate: nothing is named: write `verigate queue {action} ID`, or say which deliveries by `--route`, \
                 `--state`, `--since` or `--status`"
            ));
            return Ok(Exit::Usage);
        }
        let client = self.target.client()?;
        let path = format!("/queue/{action}");
        if let Some(id) = &self.id {
            let answer = client.post(&path, &json!({"delivery_id": id}))?;
            let now = Clock::system().now().wall;
            let after = waiting::after_retry(&answer, &self.target.options(), now);
            self.say(&answer, &format!("the delivery {id} {done}{after}"));
            return Ok(Exit::Success);
        }
        let plan = client.post("/queue/plan", &Value::Object(filter))?;
        let id = plan.get("plan").and_then(Value::as_str).unwrap_or_default();
        let count = plan.get("deliveries").and_then(Value::as_u64);
        if count == Some(0) {
            self.say(&plan, "nothing fits");
            return Ok(Exit::Success);
        }
        let now = Clock::system().now().wall;
        let options = self.target.options();
        let rate = self.rate.as_deref();
        note(&plan::offered(action, rate, &plan, &options, now));
        if !self.yes && !asked(action)? {
            let _ = client.post("/queue/cancel", &json!({"plan": id}))?;
            note("nothing was done");
            return Ok(Exit::Failure);
        }
        client.post(&path, &json!({"plan": id, "rate": self.rate}))?;
        self.follow(&client, id)
    }

    /// Shows how far a plan is until it ends.
    fn follow(&self, client: &Client, id: &str) -> anyhow::Result<Exit> {
        let options = self.target.options();
        note_with_id(
            &format!(
                "it goes on without this command: after Ctrl-C, `verigate queue plan {id}{options}` shows how far it is, \
                 and `verigate queue cancel {id}{options}` ends it"
            ),
            id,
        );
        let mut last = None;
        loop {
            let now = client.get(&format!("/queue/plan/{id}"));
            let now = match &last {
                // It was running.
                Some(last) => now.with_context(|| {
                    format!(
                        "the plan cannot be followed any more ({last} when it was seen last). If its gateway was stopped or replaced, \
                         the plan has ended: make a new one for what is left"
                    )
                }),
                None => now,
            }?;
            let state = now.get("state").and_then(Value::as_str);
            if state == Some("running") {
                let progress = plan::progress(&now);
                if last.as_ref() != Some(&progress) {
                    note(&progress);
                    last = Some(progress);
                }
                std::thread::sleep(LOOK);
                continue;
            }
            self.say(&now, &plan::end(&now, &options));
            let is_done = state == Some("done");
            return Ok(if is_done {
                Exit::Success
            } else {
                Exit::Failure
            });
        }
    }

    fn say(&self, json: &Value, words: &str) {
        if self.target.json {
            print(&json.to_string());
        } else {
            print(words);
        }
    }
}

/// Whether the person at the terminal agrees.
fn asked(action: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is there to be asked: `--yes` does it without a question");
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{action} them? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl OfPlan {
    fn show(&self) -> anyhow::Result<Exit> {
        let id = encode(self.plan.as_bytes(), UNRESERVED);
        let plan = self.target.client()?.get(&format!("/queue/plan/{id}"))?;
        Ok(self.say(&plan))
    }

    fn cancel(&self) -> anyhow::Result<Exit> {
        let client = self.target.client()?;
        let ended = client.post("/queue/cancel", &json!({"plan": self.plan}))?;
        Ok(self.say(&ended))
    }

    fn say(&self, plan: &Value) -> Exit {
        if self.target.json {
            print(&plan.to_string());
        } else {
            print(&plan::end(plan, &self.target.options()));
        }
        Exit::Success
    }
}

impl Pause {
    /// Does it, and says what has changed, or that nothing has, and what is not tried all the same.
    fn run(&self, command: &str) -> anyhow::Result<Exit> {
        let client = self.target.client()?;
        let answer = client.post(&format!("/queue/{command}"), &json!({"route": self.route}))?;
        if self.target.json {
            print(&answer.to_string());
            return Ok(Exit::Success);
        }
        let is = |name: &str| answer.get(name).and_then(Value::as_bool);
        let is_listed = is("is_listed") != Some(false);
        let mut words = match (command, is("changed") == Some(true)) {
            ("pause", true) => "is paused",
            ("pause", false) => "was paused already",
            (_, true) if is_listed => "goes on",
            (_, true) => "is paused no more",
            (_, false) => "was not paused",
        }
        .to_owned();
        if !is_listed {
            words.push_str(", and the configuration has no such route");
        }
        if command == "pause" && answer.get("mode") == Some(&json!("relay")) {
            words.push_str(
                "; it is in relay mode, so what comes is forwarded at once: held is only what it accepted in queue mode",
            );
        }
        let now = Clock::system().now().wall;
        let options = self.target.options();
        let routes = answer.get("routes").unwrap_or(&Value::Null);
        if command == "resume" {
            words.extend(waiting::probed(routes, &options, now));
        }
        print(&format!("the route {} {words}", self.route));
        for line in waiting::held(routes, &options, now) {
            print(&line);
        }
        Ok(Exit::Success)
    }
}
