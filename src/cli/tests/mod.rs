//! Tests of the command line, and samples that several commands are tested with.

mod candidates;
mod misplaced;
pub(crate) mod samples;
mod shapes;

use clap::CommandFactory as _;

use super::*;

#[test]
fn every_help_fits_a_screen_and_shows_an_example() {
    let mut cli = Cli::command();
    cli.build();
    let mut wrong = Vec::new();
    for command in std::iter::once(&cli).chain(cli.get_subcommands()) {
        let help = command.clone().term_width(80).render_help().to_string();
        if command.get_name() != "help" && (help.lines().count() > 50 || !help.contains("Example"))
        {
            wrong.push(help);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn the_installed_file_is_the_default_where_it_exists() {
    let folder = tempfile::tempdir().unwrap();
    let (installed, local) = (
        folder.path().join("installed.toml"),
        Path::new("local.toml"),
    );
    assert_eq!(default_among(&installed, local), local);
    std::fs::write(&installed, "").unwrap();
    assert_eq!(default_among(&installed, local), installed);
}
