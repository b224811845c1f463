//! Tests of the whole room.

#[cfg(test)]
mod plain;
#[cfg(test)]
mod properties;
