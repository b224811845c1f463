//! Parses the arguments, calls the command line, turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    verigate::cli::main()
}
