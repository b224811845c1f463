//! Several measurements in turn: each round has all of them, and begins with another one.

use std::fmt::Write as _;
use std::io;

use crate::check;
use crate::contenders::{Contender, Setting};
use crate::figures::Row;
use crate::rounds::{Plan, Sample, sample};
use crate::support::upstream::Upstream;

/// A measurement of each round.
pub(crate) struct Entry {
    /// The row's heading.
    pub(crate) name: String,
    pub(crate) contender: Contender,
    pub(crate) setting: Setting,
    pub(crate) plan: Plan,
}

/// Measures all entries in each round; `between` is called once a round.
pub(crate) fn in_turn(
    title: &str,
    entries: &[Entry],
    rounds: usize,
    upstream: &Upstream,
    mut between: impl FnMut() -> io::Result<()>,
) -> io::Result<Vec<Row>> {
    let mut rows: Vec<Row> = entries
        .iter()
        .map(|entry| Row {
            name: entry.name.clone(),
            samples: entry
                .contender
                .cannot(entry.plan.size)
                .map_or_else(|| Ok(Vec::new()), |reason| Err(reason.to_owned())),
        })
        .collect();
    for round in 0..rounds {
        between()?;
        for turn in 0..entries.len() {
            let place = (turn + round) % entries.len();
            let (
                Some(entry),
                Some(Row {
                    samples: Ok(own), ..
                }),
            ) = (entries.get(place), rows.get_mut(place))
            else {
                continue;
            };
            let sample = sample(&entry.contender, &entry.setting, &entry.plan, upstream)?;
            eprintln!(
                "{title}, round {} of {rounds}: {}: {}",
                round + 1,
                entry.name,
                in_short(&sample)
            );
            own.push(sample);
        }
    }
    Ok(rows)
}

fn in_short(sample: &Sample) -> String {
    let unlogged = if sample.unlogged > 0 {
        format!(", {} requests are missing in its log", sample.unlogged)
    } else {
        String::new()
    };
    format!(
        "{:.1} + {:.1} µs a request, {:.0} a second{unlogged}",
        sample.cpu.user, sample.cpu.kernel, sample.per_second,
    )
}

/// The table of what each verifying recipe did with each delivery; an error where it was wrong.
pub(crate) fn checked(
    contenders: &[Contender],
    upstream: &Upstream,
    setting: &Setting,
) -> io::Result<String> {
    let mut columns = Vec::new();
    let mut mistakes = Vec::new();
    for contender in contenders.iter().filter(|contender| contender.verifies()) {
        let outcomes = check::outcomes(contender, upstream, setting)?;
        for mistake in check::mistakes(&outcomes) {
            mistakes.push(format!("{}: {mistake}", contender.name));
        }
        columns.push((&contender.name, outcomes));
    }
    let mut out = String::from("| delivery |");
    for (name, _) in &columns {
        let _ = write!(out, " {name} |");
    }
    out += "\n| --- |";
    out += &" --- |".repeat(columns.len());
    out.push('\n');
    for (row, name) in check::names().into_iter().enumerate() {
        let _ = write!(out, "| {name} |");
        for (_, outcomes) in &columns {
            let outcome = outcomes.get(row).map_or_else(String::new, |one| one.text());
            let _ = write!(out, " {outcome} |");
        }
        out.push('\n');
    }
    if mistakes.is_empty() {
        Ok(out)
    } else {
        Err(io::Error::other(format!("{out}\n{}", mistakes.join("\n"))))
    }
}
