//! From the samples of all rounds to figures: medians, quartiles, ratios within a round.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::rounds::Sample;

/// A median between its quartiles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len().saturating_sub(1)) as f64;
            let below = sorted.get(place.floor() as usize).copied().unwrap_or(0.0);
            let above = sorted.get(place.ceil() as usize).copied().unwrap_or(below);
            below + (above - below) * place.fract()
        };
        Self {
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
        }
    }

    pub(crate) fn json(self) -> Value {
        let short = |value: f64| (value * 1000.0).round() / 1000.0;
        json!({ "low": short(self.low), "median": short(self.median), "high": short(self.high) })
    }

    /// The median with its quartiles behind it.
    pub(crate) fn text(self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            self.median, self.low, self.high
        )
    }
}

/// One program at one size, over all rounds; or why there is nothing.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) samples: Result<Vec<Sample>, String>,
}

impl Row {
    pub(crate) fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().flatten().map(figure))
    }

    /// This program's CPU time over that of `base`, round by round.
    pub(crate) fn ratio(&self, base: &Self) -> Option<Spread> {
        let (Ok(own), Ok(base)) = (&self.samples, &base.samples) else {
            return None;
        };
        (own.len() == base.len() && !own.is_empty()).then(|| {
            Spread::of(
                own.iter()
                    .zip(base)
                    .map(|(own, base)| own.cpu.total() / base.cpu.total()),
            )
        })
    }

    pub(crate) fn json(&self, base: Option<&Self>) -> Value {
        let samples = match &self.samples {
            Ok(samples) => samples,
            Err(reason) => return json!({ "name": self.name, "reason": reason }),
        };
        let rounds: Vec<Value> = samples
            .iter()
            .map(|sample| {
                json!({
                    "requests": sample.requests,
                    "user_us": sample.cpu.user,
                    "kernel_us": sample.cpu.kernel,
                    "requests_per_second": sample.per_second,
                    "p50_us": sample.p50,
                    "p99_us": sample.p99,
                    "p99.9_us": sample.p999,
                    "resident_bytes": sample.resident,
                    "generator_us": sample.generator,
                    "upstream_us": sample.upstream,
                    "waits": sample.waits,
                    "unlogged": sample.unlogged,
                })
            })
            .collect();
        json!({
            "name": self.name,
            "cpu_us": self.spread(|sample| sample.cpu.total()).json(),
            "user_us": self.spread(|sample| sample.cpu.user).json(),
            "kernel_us": self.spread(|sample| sample.cpu.kernel).json(),
            "of_base": base.and_then(|base| self.ratio(base)).map(Spread::json),
            "requests_per_second": self.spread(|sample| sample.per_second).json(),
            "rounds": rounds,
        })
    }
}

/// The rows as a table in Markdown. Each ratio is to the row `base`, which the heading calls `called`.
pub(crate) fn table(rows: &[Row], base: &str, called: &str) -> String {
    let base = rows.iter().find(|row| row.name == base);
    let mut out = format!(
        "| | user | kernel | CPU, µs a request | of {called} | requests/s | p50, µs | p99, µs | \
         p99.9, µs | memory, MiB | generator, upstream, µs | waits a request |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        if let Err(reason) = &row.samples {
            let _ = writeln!(out, "| {} | {reason} | | | | | | | | | | |", row.name);
            continue;
        }
        let ratio = base
            .and_then(|base| row.ratio(base))
            .map_or_else(|| "–".to_owned(), |ratio| ratio.text(2));
        let median = |figure: &dyn Fn(&Sample) -> f64| row.spread(figure).median;
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {} | {ratio} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1}, {:.1} | {:.2} |",
            row.name,
            median(&|sample| sample.cpu.user),
            median(&|sample| sample.cpu.kernel),
            row.spread(|sample| sample.cpu.total()).text(1),
            median(&|sample| sample.per_second),
            median(&|sample| sample.p50),
            median(&|sample| sample.p99),
            median(&|sample| sample.p999),
            median(&|sample| sample.resident as f64) / f64::from(1 << 20),
            median(&|sample| sample.generator),
            median(&|sample| sample.upstream),
            median(&|sample| sample.waits),
        );
    }
    out
}
