//! The command line from outside (contract: Command line): the real binary, its exit codes, what it prints and what it
//! never prints.

#[path = "../support/mod.rs"]
mod support;

mod stage;

mod check;
mod deliveries;
mod demo;
mod explain;
mod health;
mod help;
mod keys;
mod made;
mod providers;
mod queue;
mod run;
mod schema;
mod sending;
mod signing;
mod state;
mod without_file;
