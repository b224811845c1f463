//! `verigate run`: the gateway itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::output::note;
use super::{ConfigFile, Exit};
use crate::config;
use crate::config::{Given, presets};
use crate::gateway;
use crate::gateway::{Addresses, EarlySignals, Inherited, Stopper, Supervisor, Surroundings};
use crate::telemetry::access_log::standard_output;
use crate::telemetry::operational;
use crate::telemetry::operational::Notes;

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  export ITELLICO_WEBHOOK_SECRET=…\n  verigate run conf/verigate.toml\n  \
    verigate run --provider stripe --secret file:stripe.secret --to http://127.0.0.1:3000\n\n\
    With --provider no file is needed: the route takes every path, all else has its default.\n\n\
    SIGHUP loads the file again. SIGTERM finishes the requests in flight and stops. With `--upgrade`\n\
    another process takes over from the running one. The access log goes to standard output, messages\n\
    for the operator to standard error."
)]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// The provider whose deliveries are taken
    #[arg(long, short, value_name = "NAME", help_heading = WITHOUT_FILE,
        requires_all = ["secret", "to"], conflicts_with_all = ["file", "config"])]
    provider: Option<String>,
    /// The secret: `env:NAME` or `file:PATH`; may be given several times
    #[arg(long, short, value_name = "SECRET", help_heading = WITHOUT_FILE, requires = "provider")]
    secret: Vec<String>,
    /// Where proved deliveries go, as in `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL", help_heading = WITHOUT_FILE, requires = "provider")]
    to: Option<String>,
    /// The address for deliveries [default: 127.0.0.1:8080]; may be given several times
    #[arg(long, value_name = "ADDR", help_heading = WITHOUT_FILE, requires = "provider")]
    listen: Vec<String>,
    /// The address of the admin port [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", help_heading = WITHOUT_FILE, requires = "provider")]
    admin: Option<String>,
    /// Take over from the gateway that runs, without losing a request
    #[arg(long)]
    upgrade: bool,
}

/// The heading of the options that stand in for a file.
const WITHOUT_FILE: &str = "Without a file";

/// The signals of the process from now on, if its arguments ask for the gateway; other commands end
/// by signals as usual. The arguments are not read otherwise, since that takes longer.
pub(super) fn early_signals() -> Option<EarlySignals> {
    let command = std::env::args_os().nth(1);
    command.is_some_and(|name| name == "run").then(kept)
}

fn kept() -> EarlySignals {
    EarlySignals::keep().unwrap_or_else(|error| {
        note(&format!("verigate: cannot listen for signals: {error}"));
        EarlySignals::default()
    })
}

impl Run {
    /// The path of the configuration: that of a file, or the one under which the options are kept.
    fn path(&self) -> PathBuf {
        let (Some(provider), Some(upstream)) = (&self.provider, &self.to) else {
            return self.file.path();
        };
        let given = Given {
            provider,
            secrets: &self.secret,
            upstream,
            listen: &self.listen,
            admin: self.admin.as_deref(),
        };
        given.keep()
    }

    /// Runs until stopped. A configuration with problems is a usage error, an address that is in
    /// use a failure.
    ///
    /// `early` are the signals that came since [`early_signals`] was called.
    pub(super) fn run(&self, early: Option<EarlySignals>) -> Exit {
        let early = early.unwrap_or_else(kept);
        // There is no other thread yet, which it asks for.
        let inherited = Inherited::of_process();
        // A core dump would hold the secrets.
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            note(&format!("verigate: cannot forbid core dumps: {error}"));
        }
        // The guard writes the last messages when it is dropped, so it must be dropped last of all.
        let messages = operational::init()
            .map_err(|error| note(&format!("verigate: no operational messages: {error}")));
        let notes = messages.as_ref().ok().map(|(notes, _)| notes.clone());
        let path = self.path();
        let config = match config::load(&path) {
            Ok(config) => config,
            Err(problems) => {
                note(&problems.to_string());
                if let Some(written) = &self.provider {
                    // A secret may have been written in the place of the name.
                    let provider = presets::find(written).map_or("NAME", |preset| &preset.name);
                    note(&format!(
                        "note: `--to` is the route's `upstream`, `--secret` its `secrets`. What these options \
                         cannot say, a file can: `verigate providers {provider} > verigate.toml` begins one"
                    ));
                } else if path != Path::new("-") && path.try_exists().is_ok_and(|exists| !exists) {
                    note(
                        "note: no file is needed for a first try: `verigate run --provider NAME \
                         --secret env:SECRET --to http://127.0.0.1:3000`",
                    );
                }
                return Exit::Usage;
            }
        };
        let access_log: Box<dyn Write + Send> = match standard_output() {
            Ok(output) => Box::new(output),
            Err(error) => {
                note(&format!(
                    "verigate: cannot write to standard output: {error}"
                ));
                return Exit::Failure;
            }
        };
        let surroundings = Surroundings {
            access_log,
            on_ready: Box::new(move |addresses| announce(addresses, notes.as_ref())),
            stopper: Stopper::default(),
            early,
            supervisor: Supervisor::of_process(),
            inherited,
            is_upgrade: self.upgrade,
        };
        match gateway::run(config, surroundings) {
            Ok(()) => Exit::Success,
            Err(error) => {
                note(&format!("verigate: {error}"));
                Exit::Failure
            }
        }
    }
}

fn announce(addresses: &Addresses, notes: Option<&Notes>) {
    let say = |line: String| notes.map_or_else(|| note(&line), |notes| notes.line(&line));
    for address in &addresses.traffic {
        say(format!("listening on {address}"));
    }
    say(format!("listening on {} (admin)", addresses.admin));
}
