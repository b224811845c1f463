//! A table of named cases inside one test: every failure is collected before the test panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::transport;

/// The failures so far.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    run: usize,
    /// The cases that are left out over HTTP/2 and were not met yet, and what they are about.
    http1_only: Vec<&'static str>,
    about: &'static str,
    failures: Vec<String>,
}

impl Cases {
    /// No case run yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Leaves these cases out over HTTP/2: HTTP/1 alone has what they are about. Called before the first case.
    pub(crate) fn http1_only(mut self, about: &'static str, names: &[&'static str]) -> Self {
        self.about = about;
        self.http1_only = names.to_vec();
        self
    }

    /// Whether this case is left out.
    fn leaves_out(&mut self, name: &str) -> bool {
        let place = self.http1_only.iter().position(|listed| *listed == name);
        place.is_some_and(|place| {
            self.http1_only.remove(place);
            transport::is_http1_only(&format!("{} ({name})", self.about))
        })
    }

    /// Runs one case; a panic inside is kept under its name.
    pub(crate) fn case(&mut self, name: &str, check: impl FnOnce()) {
        self.run += 1;
        if self.leaves_out(name) {
            return;
        }
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
            self.http1_only.is_empty(),
            "there are no such cases: {:?}",
            self.http1_only
        );
        assert!(
            self.failures.is_empty(),
            "{} of {} cases failed:\n{}",
            self.failures.len(),
            self.run,
            self.failures.join("\n")
        );
    }
}
