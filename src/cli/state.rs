//! `verigate state`: what is in the databases of `[state] dir`, whether they are whole, and a copy of
//! them (contract: Command line). Works beside a gateway that runs, and without one.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::Exit;
use super::output::{complain, deliveries, note, print, table};
use crate::config;
use crate::queue::State as Progress;
use crate::store::sealing::Keyring;
use crate::store::sqlite::{self, Checked, Encrypted, Info};

/// Arguments of `state`.
#[derive(Args, Debug)]
#[command(
    after_help = "A copy is of one moment, also while a gateway runs. A gateway that starts with it takes it\n\
    for the state of a machine that has lost power: it delivers again what it may have delivered.\n\n\
    Examples:\n  verigate state info /var/lib/verigate\n  \
    verigate state check /var/lib/verigate --config /etc/verigate/verigate.toml\n  \
    verigate state backup /var/lib/verigate /backup/verigate-monday\n\n\
    Exit status: 0 done, or no fault found; 1 if there are faults, which are all shown, or the\n\
    directory cannot be read; 2 wrong arguments, or a configuration with problems."
)]
pub(super) struct State {
    /// What to do
    #[arg(value_name = "ACTION")]
    action: Action,
    /// The directory: `[state] dir` of the gateway
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// For `backup`: the directory that gets the copies, a new or empty one
    #[arg(value_name = "TO", required_if_eq("action", "backup"))]
    to: Option<PathBuf>,
    /// The configuration file, whose `[state] keys` read what is encrypted
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What `state` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Read everything, and name what is damaged
    Check,
    /// Say what is in the databases
    Info,
    /// Copy them into a new directory
    Backup,
}

impl State {
    /// The keys of the configuration, if one is named.
    fn keys(&self) -> anyhow::Result<Keyring> {
        let Some(path) = &self.config else {
            return Ok(Keyring::default());
        };
        let config = config::load(path)?;
        let keys = config.state.keys.iter();
        Ok(Keyring::new(keys.map(|key| key.key.clone())))
    }

    /// Does it, and prints what was found or made.
    pub(super) fn run(&self) -> Exit {
        let done = match (self.action, &self.to) {
            (Action::Check | Action::Info, Some(_)) => {
                note("verigate: `TO` is for `backup` alone");
                return Exit::Usage;
            }
            (Action::Check, None) => self.keys().and_then(|keys| check(&self.directory, &keys)),
            (Action::Info, None) => self.keys().and_then(|keys| info(&self.directory, &keys)),
            (Action::Backup, Some(to)) => back_up(&self.directory, to),
            // The definition of the argument asks for it.
            (Action::Backup, None) => return Exit::Usage,
        };
        match done {
            Ok(()) => Exit::Success,
            Err(error) => {
                complain(&error);
                Exit::of_failed(&error)
            }
        }
    }
}

fn check(directory: &Path, keys: &Keyring) -> anyhow::Result<()> {
    let Checked { faults, unchecked } = sqlite::check(directory, keys)?;
    for fault in &faults {
        print(fault);
    }
    for (key, count) in &unchecked {
        print(&format!(
            "not checked: {}, encrypted with the key {key}: {}",
            deliveries(*count),
            if keys.first().is_some() {
                "it is not in `[state] keys` of that configuration"
            } else {
                "`--config FILE` names the keys"
            }
        ));
    }
    match faults.len() {
        0 if unchecked.is_empty() => print("no fault was found"),
        0 => print("no fault was found in what could be checked"),
        1 => bail!("there is a fault"),
        more => bail!("there are {more} faults"),
    }
    Ok(())
}

fn info(directory: &Path, keys: &Keyring) -> anyhow::Result<()> {
    for database in sqlite::info(directory, keys)? {
        print(&described(&database, keys));
    }
    Ok(())
}

/// A database in lines.
fn described(database: &Info, keys: &Keyring) -> String {
    let Info {
        path,
        schema,
        file_bytes,
        unused_bytes,
        log_bytes,
        changes,
        is_clean,
        deliveries,
        encrypted,
    } = database;
    let stop = match is_clean {
        None => "",
        Some(true) => "; the last gateway ended in order",
        Some(false) => "; a gateway runs, the last one did not end in order, or this is a backup",
    };
    let mut text = format!(
        "{}: schema {schema}, {file_bytes} bytes, of which {unused_bytes} are unused, and a log of \
         {log_bytes}\n  {changes} changes of the replay window{stop}",
        path.display()
    );
    if !deliveries.is_empty() {
        let titles = ["route", "provider", "state", "deliveries", "bytes"].map(str::to_owned);
        let mut rows = vec![titles];
        for found in deliveries {
            let state = match found.state {
                Some(Progress::Waiting) => "waiting",
                Some(Progress::Retrying) => "retrying",
                Some(Progress::Dead) => "dead",
                None => "?",
            };
            rows.push([
                found.route.clone(),
                found.provider.clone(),
                state.to_owned(),
                found.count.to_string(),
                found.bytes.to_string(),
            ]);
        }
        for line in table(&rows).lines() {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    for one in encrypted {
        text.push_str("\n  ");
        text.push_str(&form(one, keys));
    }
    text
}

/// A sentence about the deliveries that one key encrypts, or none.
fn form(one: &Encrypted, keys: &Keyring) -> String {
    let Encrypted {
        key,
        is_readable,
        count,
    } = one;
    let deliveries = format!("{count} of the deliveries are");
    match key {
        None if *is_readable => format!("{deliveries} not encrypted"),
        None => format!("{deliveries} not encrypted, which is damage: all that was stored here is"),
        Some(key) if keys.first() == Some(*key) => {
            format!("{deliveries} encrypted with the key {key}, which is the one that writes")
        }
        Some(key) if *is_readable => {
            format!("{deliveries} encrypted with the key {key}, which is still needed")
        }
        Some(key) if keys.first().is_some() => {
            format!("{deliveries} encrypted with the key {key}, which `[state] keys` does not have")
        }
        Some(key) => format!("{deliveries} encrypted with the key {key}"),
    }
}

fn back_up(directory: &Path, to: &Path) -> anyhow::Result<()> {
    for copy in sqlite::back_up(directory, to)? {
        print(&format!("{}: {} bytes", copy.path.display(), copy.bytes));
    }
    // Each file may still be of use in a directory of its own.
    if let Err(apart) = sqlite::judge(to) {
        note(&format!(
            "verigate: the files were copied, but no gateway starts with them: {apart}"
        ));
    }
    Ok(())
}
