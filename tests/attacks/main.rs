//! What must not work, and the right answer to each. A row of the catalogue of attacks is named where it is tested: a
//! test's name begins with its rows' ids, or a row of its table does. Every refused case is followed by a good delivery
//! on a new connection.
//!
//! Here are the classes whose rows are the bytes of one connection: SM, HD, HB, PA, AU, EN, UP and H2, a module each. Where
//! a function of a pure room decides, the module has one row for each outcome and names the file of the whole table.
//! The other classes are where the rest of their subject is tested:
//!
//! - RP (replay, claims, clocks): `gateway/replay.rs`, `gateway/claims.rs`, RP-16 `gateway/reload.rs`, RP-17
//!   `gateway/admin.rs` too; clocks and capacity, which no socket shows, beside `src/replay/`.
//! - RX (resources): `gateway/limits.rs`, RX-02 `gateway/keepalive.rs` too, RX-18 `gateway/shutdown.rs`.
//! - CF (configuration, admin port, command line): `cli/run.rs`, `cli/check.rs`, `cli/deliveries.rs`,
//!   `gateway/admin.rs`, `gateway/reload.rs`, and beside `src/config/`.
//! - LG (logs and metrics): `gateway/logs.rs`, `gateway/blocked.rs`, `gateway/metrics.rs`.
//! - SC (dependencies): `tests/architecture/`.

#[path = "../support/mod.rs"]
mod support;

mod stage;

mod au;
mod au_handshakes;
mod en;
mod h2;
mod h2_frames;
mod hb;
mod hd;
mod pa;
mod sm;
mod up;
