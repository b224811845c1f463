//! The command line (contract: Command line): a struct and a file for each command, dispatch, exit
//! codes.
//!
//! Data goes to standard output, everything else to standard error.
//!
//! What enters: reading of arguments, printing, and exit codes; the work itself is done in the
//! rooms below. May import: every other room. Only the main program imports this room.

mod candidates;
mod check;
mod completions;
mod delivery;
mod demo;
mod explain;
mod gateway;
mod health;
mod keys;
mod man;
mod message;
mod output;
mod providers;
mod queue;
mod run;
mod schema;
mod sign;
mod state;
mod subject;
mod usage;
mod verify;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Problems;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work, or the delivery is valid.
    Success,
    /// The command failed, or the delivery was rejected.
    Failure,
    /// The arguments or the configuration are wrong.
    Usage,
}

impl Exit {
    /// The end of a command that failed with this error: a configuration with problems is one thing,
    /// and whatever fails with a good one is another.
    fn of_failed(error: &anyhow::Error) -> Self {
        if error.is::<Problems>() {
            Self::Usage
        } else {
            Self::Failure
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
        })
    }
}

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "verigate",
    version,
    about = "Webhook verification gateway",
    max_term_width = 100,
    after_help = "Examples:\n  verigate demo --once                  see it at work\n  \
        verigate providers itellico           a route to start from\n  \
        verigate check && verigate run        with the default file\n\n\
        Exit status: 0 done or valid, 1 failed or rejected, 2 wrong arguments or configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Run(run::Run),
    /// Check a configuration and show what would run, secrets hidden
    Check(check::Check),
    /// Show the gateway at work: a tour of good and bad deliveries
    Demo(demo::Demo),
    /// Print the headers that make a body a valid delivery, or a curl command
    Sign(sign::Sign),
    /// Verify a captured delivery offline, at a chosen time
    Verify(verify::Verify),
    /// Say which common mistake makes a delivery fail
    Explain(explain::Explain),
    /// List the providers known by name, or show a route for one
    Providers(providers::Providers),
    /// Ask a running gateway whether it is ready
    Health(health::Health),
    /// Look at what a gateway keeps on disk, or copy it
    State(state::State),
    /// See what waits in the queue of a running gateway, retry and discard it, pause routes
    Queue(queue::Queue),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// Write the manual pages
    Man(man::Man),
    /// Print the JSON schema of the configuration file, for editors
    Schema(schema::Schema),
}

/// Names the configuration file.
#[derive(Args, Clone, Debug)]
struct ConfigFile {
    /// The configuration file; `-` is standard input
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same as FILE
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that is named, or the default one.
    fn path(&self) -> PathBuf {
        let named = self.file.as_ref().or(self.config.as_ref());
        named.cloned().unwrap_or_else(default_file)
    }
}

/// The file of an installed gateway, which is the default where it exists.
const INSTALLED: &str = "/etc/verigate/verigate.toml";

/// The default file otherwise.
const LOCAL: &str = "conf/verigate.toml";

/// The configuration file where none is named.
fn default_file() -> PathBuf {
    default_among(Path::new(INSTALLED), Path::new(LOCAL))
}

/// The installed file, unless it surely does not exist: a file that may not be looked at is named in
/// an error instead of being passed over.
fn default_among(installed: &Path, local: &Path) -> PathBuf {
    let exists = installed.try_exists().unwrap_or(true);
    if exists { installed } else { local }.to_owned()
}

/// Parses the process's arguments and runs the command.
pub fn main() -> ExitCode {
    // First of all, because a signal whose default is to end the process may come at any time.
    let early = run::early_signals();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error).into(),
    };
    let exit = match cli.command {
        Command::Run(run) => run.run(early),
        Command::Check(check) => check.run(),
        Command::Demo(demo) => demo.run(),
        Command::Sign(sign) => sign.run(),
        Command::Verify(verify) => verify.run(),
        Command::Explain(explain) => explain.run(),
        Command::Providers(providers) => providers.run(),
        Command::Health(health) => health.run(),
        Command::State(state) => state.run(),
        Command::Queue(queue) => queue.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Schema(schema) => schema.run(),
    };
    exit.into()
}
