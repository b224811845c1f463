//! A program under measurement: started, found with its children, its CPU time and memory read from
//! `/proc`, ended on drop.

use std::fs;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// CPU time in µs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) kernel: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.kernel
    }
}

/// What a process had used at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Nanoseconds on a CPU, by the scheduler's own count.
    run: u64,
    /// Ticks of 10 ms in user mode and in the kernel.
    user: u64,
    kernel: u64,
    /// How often a thread gave the CPU away because it had to wait.
    waits: u64,
}

impl Used {
    /// The CPU time since `before`.
    ///
    /// The sum is exact to microseconds. Its parts are those that the kernel's clock tick saw (250
    /// times a second or so, whichever mode the process was in then), so their ratio needs a window
    /// of seconds.
    pub(crate) fn since(self, before: Self) -> Cpu {
        let total = self.run.saturating_sub(before.run) as f64 / 1000.0;
        let user = self.user.saturating_sub(before.user) as f64;
        let kernel = self.kernel.saturating_sub(before.kernel) as f64;
        let share = if user + kernel > 0.0 {
            user / (user + kernel)
        } else {
            0.0
        };
        Cpu {
            user: total * share,
            kernel: total * (1.0 - share),
        }
    }

    pub(crate) fn waits_since(self, before: Self) -> u64 {
        self.waits.saturating_sub(before.waits)
    }
}

/// A program that is ended, with its children, when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// What ends it: a master ends its workers when it is asked to end, and leaves them behind when it
    /// is killed; the gateway, when it is asked, waits for its clients.
    signal: Signal,
}

impl Process {
    /// A program that is killed at the end.
    pub(crate) fn killed(child: Child) -> Self {
        Self {
            child,
            signal: Signal::KILL,
        }
    }

    /// A program that is asked to end, and killed where it does not within half a second.
    pub(crate) fn asked(child: Child) -> Self {
        Self {
            child,
            signal: Signal::TERM,
        }
    }

    /// `true` while the program runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The program and its children, such as a master's workers.
    fn all(&self) -> io::Result<Vec<u32>> {
        let mut all = vec![self.child.id()];
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end while the list is read.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
                continue;
            };
            if stat_field(&stat, 1) == Some(u64::from(self.child.id())) {
                all.push(pid);
            }
        }
        Ok(all)
    }

    /// CPU time of the program and its children so far.
    pub(crate) fn used(&self) -> io::Result<Used> {
        let mut sum = Used::default();
        for pid in self.all()? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            sum.user += stat_field(&stat, 11).unwrap_or(0);
            sum.kernel += stat_field(&stat, 12).unwrap_or(0);
            for task in fs::read_dir(format!("/proc/{pid}/task"))? {
                let task = task?.path();
                // A thread may end while the list is read.
                let Ok(text) = fs::read_to_string(task.join("schedstat")) else {
                    continue;
                };
                sum.run += first_number(&text);
                if let Ok(status) = fs::read_to_string(task.join("status")) {
                    sum.waits += status_field(&status, "voluntary_ctxt_switches:");
                }
            }
        }
        Ok(sum)
    }

    /// Resident memory of the program and its children now, in bytes.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let mut sum = 0;
        for pid in self.all()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            sum += status_field(&status, "VmRSS:") * 1024;
        }
        Ok(sum)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        let children = self.all().unwrap_or_default();
        let _ = kill_process(pid, self.signal);
        let until = Instant::now() + Duration::from_millis(500);
        while self.runs() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.runs() {
            for pid in children {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
        let _ = self.child.wait();
    }
}

/// Resident memory of this process, in bytes.
pub(crate) fn own_resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(status_field(&status, "VmRSS:") * 1024)
}

/// CPU time of a thread of this process.
pub(crate) struct ThreadCpu(std::path::PathBuf);

impl ThreadCpu {
    /// For the calling thread.
    pub(crate) fn of_this() -> io::Result<Self> {
        let own = fs::read_link("/proc/thread-self")?;
        Ok(Self(
            std::path::Path::new("/proc").join(own).join("schedstat"),
        ))
    }

    /// µs on a CPU so far.
    pub(crate) fn us(&self) -> io::Result<f64> {
        Ok(first_number(&fs::read_to_string(&self.0)?) as f64 / 1000.0)
    }
}

/// Runs `start` so that the program which it starts keeps to this core, and the caller does not.
#[cfg(target_os = "linux")]
pub(crate) fn pinned<T>(core: Option<usize>, start: impl FnOnce() -> T) -> io::Result<T> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Some(core) = core else {
        return Ok(start());
    };
    let before = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one)?;
    let started = start();
    sched_setaffinity(None, &before)?;
    Ok(started)
}

/// Keeps the calling thread, and those that it starts later, off this core.
#[cfg(target_os = "linux")]
pub(crate) fn keep_off(core: usize) -> io::Result<()> {
    use rustix::thread::{sched_getaffinity, sched_setaffinity};
    let mut cores = sched_getaffinity(None)?;
    cores.unset(core);
    Ok(sched_setaffinity(None, &cores)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pinned<T>(_: Option<usize>, start: impl FnOnce() -> T) -> io::Result<T> {
    Ok(start())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_off(_: usize) -> io::Result<()> {
    Ok(())
}

/// A field of `/proc/PID/stat`, counted from the state, which follows the name, as 0.
fn stat_field(stat: &str, index: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(index)?.parse().ok()
}

/// A number of `/proc/PID/status`; 0 without the field.
fn status_field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map_or(0, first_number)
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
