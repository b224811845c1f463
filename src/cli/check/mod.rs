//! `verigate check`: checks a configuration and shows what would run, secrets hidden (contract:
//! Command line).

mod certificates;
pub(super) mod json;
mod keys;
mod queue;
mod report;
mod settings;
mod shown;
mod store;

use clap::Args;

pub(super) use self::queue::Found;
pub(super) use self::report::{identity, report, tolerance};
use super::output::{note, print};
use super::{ConfigFile, Exit};
use crate::clock::Clock;
use crate::config;

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 good, warnings included; 2 if the file, or a directory that\n    it names, has problems, which are all shown.\n\n\
    `env:` secrets are looked up in the environment of this shell. A running gateway has its own\n\
    environment, and checks the file again when it reloads.\n\n\
    Example:\n  verigate check conf/verigate.toml\n  \
    curl --fail-with-body -X POST http://127.0.0.1:9090/reload\n\n\
    With `[admin] token` the reload needs -H \"Authorization: Bearer TOKEN\"."
)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Print a JSON object, of problems too
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Prints all problems at once, or the configuration that would run and its warnings.
    pub(super) fn run(&self) -> Exit {
        let mut checked = config::check(&self.file.path());
        let found = checked.as_ref().map(Found::of).unwrap_or_default();
        let problem = checked.as_ref().ok().and_then(|own| found.problem(own));
        if let Some(problem) = problem {
            checked = Err(problem);
        }
        if let Ok(config) = &mut checked {
            let held = queue::warnings(config, &found);
            config.warnings.extend(held);
        }
        let wall = Clock::system().now().wall;
        match &checked {
            Ok(config) if self.json => print(&json::good(config, &found, wall)),
            Err(problems) if self.json => print(&json::bad(problems)),
            Ok(config) => {
                for warning in &config.warnings {
                    note(&format!("warning: {warning}"));
                }
                print(&report(config, &found, wall));
            }
            Err(problems) => note(problems.to_string().trim_end()),
        }
        if checked.is_ok() {
            Exit::Success
        } else {
            Exit::Usage
        }
    }
}
