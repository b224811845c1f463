//! A table of named cases inside one test: every failure is collected before the test panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The failures so far.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    run: usize,
    failures: Vec<String>,
}

impl Cases {
    /// No case run yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Runs one case; a panic inside is kept under its name.
    pub(crate) fn case(&mut self, name: &str, check: impl FnOnce()) {
        self.run += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(check)) {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panicked without a text");
            self.failures.push(format!("  {name}: {text}"));
        }
    }

    /// Ends the table: panics with every failure, or because no case ran at all.
    pub(crate) fn finish(self) {
        assert!(self.run > 0, "the table has no case");
        assert!(
            self.failures.is_empty(),
            "{} of {} cases failed:\n{}",
            self.failures.len(),
            self.run,
            self.failures.join("\n")
        );
    }
}
