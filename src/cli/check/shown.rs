//! How `check` shows a text of the configuration that may hold a secret by mistake.

use crate::key::shape::{Suspicion, concealed};

/// A name or an address as it is shown: a secret may have been written in its place.
pub(super) fn shown(text: &str) -> String {
    concealed(text, Suspicion::Plain).into_owned()
}
