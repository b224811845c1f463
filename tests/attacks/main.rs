//! What must not work, and the right answer to each: one module per class of the catalogue of attacks, one test per row.
//!
//! A test's name begins with its row's id. Every refused case is followed by a good delivery on a new connection.

#[path = "../support/mod.rs"]
mod support;

mod stage;

mod au;
mod au_handshakes;
mod au_lists;
mod au_timestamps;
mod en;
mod en_values;
mod hb;
mod hd;
mod pa;
mod sm;
mod up;
