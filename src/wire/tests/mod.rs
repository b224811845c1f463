//! ROOM wire/tests

#[cfg(test)]
mod properties;
