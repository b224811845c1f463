//! `verigate man`: the manual pages, one for the program, one for each command, and one for the
//! configuration file (contract: Command line). The commands are described by the definitions that
//! `--help` is made from, the keys by the documentation ([`super::keys`]).

mod file;
mod roff;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};

use self::roff::Page;
use super::output::{complain, print};
use super::{Cli, Exit};

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  verigate man ~/.local/share/man\n  man verigate-run\n\n\
    The pages of section 1 go to man1, verigate.toml(5) to man5."
)]
pub(super) struct Man {
    /// The directory of manual pages, made where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    /// Writes the pages, and prints the path of each.
    pub(super) fn run(&self) -> Exit {
        for (name, text) in pages() {
            match write(&self.directory, &name, &text) {
                Ok(path) => print(&path.display().to_string()),
                Err(error) => {
                    complain(&error);
                    return Exit::Failure;
                }
            }
        }
        Exit::Success
    }
}

fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let section = name.rsplit('.').next().unwrap_or_default();
    let folder = directory.join(format!("man{section}"));
    let path = folder.join(name);
    let made = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
    made.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Every page: the name of its file, and its text.
fn pages() -> Vec<(String, String)> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut pages = vec![("verigate.1".to_owned(), of_command(&cli, "verigate", &cli))];
    for command in cli.get_subcommands() {
        let name = format!("verigate-{}", command.get_name());
        for own in command.get_subcommands() {
            let name = format!("{name}-{}", own.get_name());
            pages.push((format!("{name}.1"), of_command(own, &name, &cli)));
        }
        pages.push((format!("{name}.1"), of_command(command, &name, &cli)));
    }
    pages.push(("verigate.toml.5".to_owned(), file::page()));
    pages
}

/// The page of a command; `name` is that of the page.
fn of_command(command: &Command, name: &str, cli: &Command) -> String {
    let mut page = Page::new(name, 1);
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    page.heading("NAME");
    page.text(&format!("{name} - {about}"));
    page.heading("SYNOPSIS");
    page.usage(command);
    page.heading("DESCRIPTION");
    page.text(&format!("{about}."));
    if command.has_subcommands() {
        page.heading("COMMANDS");
        for one in command.get_subcommands() {
            let words = one.get_about().map(ToString::to_string).unwrap_or_default();
            page.item(&format!("`{name}-{}`(1)", one.get_name()), &words);
        }
    }
    page.options(command);
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    page.help(&help);
    if name == "verigate" {
        page.heading("FILES");
        page.item(
            "`/etc/verigate/verigate.toml`, `conf/verigate.toml`",
            "the configuration where no command names another: the first one where it exists, see `verigate.toml`(5)",
        );
    }
    page.heading("SEE ALSO");
    let commands = cli
        .get_subcommands()
        .map(|one| format!("verigate-{}", one.get_name()));
    let others = std::iter::once("verigate".to_owned()).chain(commands);
    let others = others
        .filter(|other| other != name)
        .map(|other| format!("`{other}`(1)"));
    let others: Vec<_> = others.chain(["`verigate.toml`(5)".to_owned()]).collect();
    page.text(&others.join(", "));
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_every_key_has_its_page() {
        let pages = pages();
        let page = |name: &str| {
            let page = pages.iter().find(|(own, _)| own == name);
            &page.unwrap_or_else(|| panic!("no page {name}")).1
        };
        for command in Cli::command().get_subcommands() {
            let text = page(&format!("verigate-{}.1", command.get_name()));
            for argument in command.get_arguments() {
                if let Some(long) = argument.get_long().filter(|_| !argument.is_hide_set()) {
                    let option = format!("\\-\\-{}", long.replace('-', "\\-"));
                    assert!(text.contains(&option), "{option} in {text}");
                }
            }
        }
        let file = page("verigate.toml.5");
        for section in crate::cli::keys::sections() {
            for key in section.keys {
                assert!(file.contains(key.name), "{}.{}", section.path, key.name);
            }
        }
        assert!(page("verigate.1").contains(env!("CARGO_PKG_VERSION")));
    }
}
