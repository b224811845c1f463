//! The metrics of the process itself, under the names that Prometheus' client libraries give them
//! (contract: Metrics).
//!
//! `prometheus` has a collector of its own, but that one counts CPU time in whole seconds. The files
//! are those of Linux (proc(5)); where they cannot be read, the metrics keep their last values.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, IntGauge};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::descriptions::{
    PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_THREADS, PROCESS_VIRTUAL,
};
use super::series::Series;

/// The metrics of the process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    // A plain lock: taken when metrics are scraped. It keeps two scrapes from counting the same
    // time twice.
    cpu: Mutex<Counter>,
    open_fds: IntGauge,
    max_fds: IntGauge,
    virtual_memory: IntGauge,
    resident_memory: IntGauge,
    start_time: IntGauge,
    threads: IntGauge,
}

impl ProcessMetrics {
    pub(super) fn new(series: &Series) -> Self {
        Self {
            cpu: Mutex::new(series.fractional_counter(&PROCESS_CPU)),
            open_fds: series.gauge(&PROCESS_OPEN_FDS, &[]),
            max_fds: series.gauge(&PROCESS_MAX_FDS, &[]),
            virtual_memory: series.gauge(&PROCESS_VIRTUAL, &[]),
            resident_memory: series.gauge(&PROCESS_RESIDENT, &[]),
            start_time: series.gauge(&PROCESS_START, &[]),
            threads: series.gauge(&PROCESS_THREADS, &[]),
        }
    }

    /// Sets all of them to the present state.
    pub(super) fn update(&self) {
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The directory itself is open while it is read.
            self.open_fds.set(whole(open.count().saturating_sub(1)));
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            self.max_fds.set(whole(limit));
        }
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let Some(stat) = Stat::parse(&stat) else {
            return;
        };
        let ticks = clock_ticks_per_second().max(1);
        let cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "exact for the first 2^53 ticks")]
        let seconds = stat.cpu_ticks as f64 / ticks as f64;
        cpu.inc_by((seconds - cpu.get()).max(0.0));
        drop(cpu);
        self.virtual_memory.set(whole(stat.virtual_bytes));
        self.resident_memory.set(whole(
            stat.resident_pages.saturating_mul(page_size() as u64),
        ));
        self.threads.set(whole(stat.threads));
        if self.start_time.get() == 0
            && let Some(boot) = boot_time()
        {
            self.start_time.set(whole(boot + stat.start_ticks / ticks));
        }
    }
}

/// The fields of `/proc/self/stat` that are shown.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    /// Since the boot of the machine.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, which may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) numbers the fields from 1, and the first of `rest` is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The boot of the machine in Unix seconds.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual_whatever_the_program_is_called() {
        let text = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 140 150 16 17 18 19 20 21 220 2300 240 25";
        let expected = Stat {
            cpu_ticks: 290,
            threads: 20,
            start_ticks: 220,
            virtual_bytes: 2300,
            resident_pages: 240,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        for broken in ["", "7 (a", "7 (a) S 1 2", &text.replace("150", "x")] {
            assert_eq!(Stat::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_running_process_has_all_of_them() {
        let metrics = ProcessMetrics::new(&Series::default());
        metrics.update();
        let gauges = [
            &metrics.open_fds,
            &metrics.max_fds,
            &metrics.virtual_memory,
            &metrics.resident_memory,
            &metrics.threads,
        ];
        assert!(gauges.iter().all(|gauge| gauge.get() > 0), "{metrics:?}");
        assert!(metrics.start_time.get() > 1_700_000_000, "{metrics:?}");
        let before = metrics.cpu.lock().unwrap().get();
        metrics.update();
        assert!(metrics.cpu.lock().unwrap().get() >= before);
    }
}
