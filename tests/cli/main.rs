//! The command line from outside (SPEC 7): the real binary, its exit codes, what it prints and what it never prints.

#[path = "../support/mod.rs"]
mod support;

mod stage;

mod check;
mod deliveries;
mod demo;
mod explain;
mod help;
mod providers;
mod run;
mod signing;
