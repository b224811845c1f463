//! Tests of the whole room.

#[cfg(test)]
mod properties;
