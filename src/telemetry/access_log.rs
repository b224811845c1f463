//! The access log (contract: Access log): a JSON object a line for each exchange, its keys always
//! the same and in the same order.
//!
//! A line is formatted on the caller's thread and written on the thread of [`LogWriter`]; nothing
//! here blocks. A [`Record`] holds no secret, and values from the network are escaped and cut.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use prometheus::IntCounter;

use super::Record;
use super::line::Line;
use super::log_writer::Queue;

pub use super::log_writer::LogWriter;

/// The handle that writes lines. Cheap to clone; clones share a queue.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: Arc<Queue>,
}

impl AccessLog {
    /// Starts a log into `sink`. Lines that are lost, because the sink is blocked or fails or the
    /// log was finished, are counted in `dropped`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        sink: impl Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<(Self, LogWriter)> {
        let (queue, writer) = LogWriter::start(sink, dropped)?;
        Ok((Self { queue }, writer))
    }

    /// Writes a line and returns at once. Only `Telemetry::finish` calls this, since it counts the
    /// exchange as well.
    pub(super) fn write(&self, record: &Record<'_>) {
        thread_local! {
            // A buffer for each thread, so that a line costs no allocation and the queue's lock is
            // held only while the finished line is copied.
            static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
        }
        LINE.with_borrow_mut(|line| self.queue.push(line.of(record)));
    }
}

/// Standard output without the standard library's lock and line buffer: a batch is a single write,
/// and a blocked reader holds up nobody else.
///
/// # Errors
/// The descriptor cannot be duplicated.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::sample;

    #[test]
    fn lines_of_several_threads_arrive_whole() {
        #[derive(Clone, Default)]
        struct Sink(Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let dropped = IntCounter::new("dropped", "lines").unwrap();
        let (log, writer) = AccessLog::start(sink.clone(), dropped.clone()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let log = log.clone();
                scope.spawn(move || (0..250).for_each(|_| log.write(&sample::forwarded())));
            }
        });
        assert_eq!(writer.finish(Duration::from_secs(20)), 0);
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let mut line = Line::new();
        let expected = String::from_utf8_lossy(line.of(&sample::forwarded()));
        assert_eq!(
            written
                .split_inclusive('\n')
                .filter(|line| *line == expected)
                .count(),
            1000
        );
        assert_eq!(dropped.get(), 0);
    }
}
