//! The receiver of the demo: a small web server without any verification code, like an application
//! behind the gateway.
//!
//! It accepts and remembers every request, and can be taken down and brought up again. It can refuse
//! an event, too.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    memory: Arc<Mutex<Memory>>,
    running: Option<Running>,
}

/// What the receiver remembers.
#[derive(Debug, Default)]
struct Memory {
    seen: Vec<Seen>,
    /// The id of the event that it answers with 410.
    poison: Option<String>,
    /// How often it did.
    refused: usize,
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
            memory: Arc::default(),
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

    /// Every delivery that the receiver has seen so far and not refused.
    pub(super) fn seen(&self) -> Vec<Seen> {
        locked(&self.memory).seen.clone()
    }

    /// Answers the event of this id with 410 from now on, as one that it can make nothing of; `None`:
    /// it takes all.
    pub(super) fn refuse(&self, event: Option<String>) {
        locked(&self.memory).poison = event;
    }

    /// How many deliveries it has refused.
    pub(super) fn refused(&self) -> usize {
        locked(&self.memory).refused
    }

    fn accept_on(&mut self, listener: TcpListener) {
        let stopping = Arc::new(AtomicBool::new(false));
        let (memory, stop) = (Arc::clone(&self.memory), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let memory = Arc::clone(&memory);
                // A broken connection is no error of the receiver.
                std::thread::spawn(move || receive(stream, &memory));
            }
        });
        self.running = Some(Running { stopping, thread });
    }
}

fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a request and answers it.
fn receive(mut stream: TcpStream, memory: &Mutex<Memory>) -> io::Result<()> {
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
    let mut memory = locked(memory);
    let is_refused = memory.poison.as_ref() == Some(&event_id);
    if is_refused {
        memory.refused += 1;
    } else {
        memory.seen.push(Seen {
            event_type,
            event_id,
            body,
        });
    }
    drop(memory);
    let (status, answer) = if is_refused {
        ("410 Gone", r#"{"received":false}"#)
    } else {
        ("200 OK", r#"{"received":true}"#)
    };
    let length = answer.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{answer}"
        )
        .as_bytes(),
    )
}
