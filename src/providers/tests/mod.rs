//! Rules that hold for all providers of this room.

pub(super) mod codes;
mod handshakes;
