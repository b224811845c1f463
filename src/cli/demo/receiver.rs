//! The receiver of the demo: a small web server without any verification code, like an application
//! behind the gateway.
//!
//! It accepts and remembers every request, and can be taken down and brought up again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A delivery as the receiver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The value of `X-Verigate-Event-Type`.
    pub(super) event_type: String,
    /// The value of `X-Verigate-Event-Id`.
    pub(super) event_id: String,
    /// The body, byte for byte.
    pub(super) body: Vec<u8>,
}

/// The receiver, up or down, with everything that it saw.
pub(super) struct Receiver {
    /// The address on which it listens while it is up.
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    running: Option<Running>,
}

struct Running {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver on a free port.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let mut receiver = Self {
            address: listener.local_addr()?,
            seen: Arc::default(),
            running: None,
        };
        receiver.accept_on(listener);
        Ok(receiver)
    }

    /// Takes it down: connections are refused from then on.
    pub(super) fn take_down(&mut self) {
        if let Some(Running { stopping, thread }) = self.running.take() {
            stopping.store(true, Ordering::SeqCst);
            // This connection wakes the accepting thread, which then looks at the flag.
            let _ = TcpStream::connect(self.address);
            let _ = thread.join();
        }
    }

    /// Brings it up again on the same port.
    pub(super) fn bring_up(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address)?;
        self.accept_on(listener);
        Ok(())
    }

    /// Every delivery that the receiver has seen so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn accept_on(&mut self, listener: TcpListener) {
        let stopping = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&self.seen), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let seen = Arc::clone(&seen);
                // A broken connection is no error of the receiver.
                std::thread::spawn(move || receive(stream, &seen));
            }
        });
        self.running = Some(Running { stopping, thread });
    }
}

/// Reads a request and answers 200.
fn receive(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut event_type, mut event_id, mut length) = (String::new(), String::new(), 0);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "x-verigate-event-type" => value.clone_into(&mut event_type),
                "x-verigate-event-id" => value.clone_into(&mut event_id),
                _ => {}
            }
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Seen {
            event_type,
            event_id,
            body,
        });
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"received\":true}",
    )
}
