//! What the tests of several rooms of the gateway are run with.

use std::io::Write;
use std::path::Path;

use super::Supervisor;
use super::running::Running;
use crate::config::{self, Config, Files, Sources};
use crate::telemetry::Telemetry;
use crate::telemetry::access_log::LogWriter;

/// The configuration that a text says.
pub(crate) fn parsed(text: &str) -> Config {
    let files = Files::default();
    let sources = Sources::of_process(Path::new(""), &files);
    config::parse("a.toml", text, &sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A gateway with this configuration, whose access log goes to `log`. It serves nothing by itself.
pub(crate) fn running(config: Config, log: impl Write + Send + 'static) -> (Running, LogWriter) {
    let (telemetry, writer) = Telemetry::start(log, "1").unwrap();
    (
        super::build(
            config,
            telemetry,
            Supervisor::default(),
            super::Beginning::of(None, None).unwrap(),
            None,
        )
        .unwrap(),
        writer,
    )
}

/// A gateway with the configuration that a text says, without an access log.
pub(crate) fn running_by(text: &str) -> Running {
    running(parsed(text), std::io::sink()).0
}
