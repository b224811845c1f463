//! `verigate completions`: what a shell needs to complete commands and options (contract: Command
//! line), made from the same definitions as `--help`.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::output::print;
use super::{Cli, Exit};

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    verigate completions bash > ~/.local/share/bash-completion/completions/verigate\n  \
    verigate completions zsh > /usr/local/share/zsh/site-functions/_verigate\n  \
    verigate completions fish > ~/.config/fish/completions/verigate.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(super) fn run(&self) -> Exit {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "verigate", &mut script);
        print(String::from_utf8_lossy(&script).trim_end());
        Exit::Success
    }
}
