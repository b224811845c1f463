//! A recording HTTP/1 upstream: keeps every request as it came and answers as it is told (`behaviour.rs`).

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustls::ServerConfig;

use super::behaviour::{Behaviour, Step};
use super::socket::{Handshake, Socket};
use super::{Deadline, LATE, SOON, eventually};

/// One request as the upstream received it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// From the request line to the empty line, both included.
    pub(crate) raw_head: Vec<u8>,
    pub(crate) method: String,
    /// The target as received, byte for byte.
    pub(crate) target: Vec<u8>,
    pub(crate) version: String,
    /// Names and values in order; the bytes of a value as received but for white space around it.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body was read to its end.
    pub(crate) complete: bool,
}

impl Recorded {
    /// The value of the only header of that name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let all = self.headers_named(name);
        assert!(all.len() < 2, "{name} occurs {} times in {self}", all.len());
        all.first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every value of that name, in order.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_slice())
            .collect()
    }

    /// Whether there is a header of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.headers_named(name).is_empty()
    }

    /// Panics unless it is framed as the contract says: one exact `Content-Length`, no `Transfer-Encoding`, this body.
    #[track_caller]
    pub(crate) fn expect_body(&self, body: &[u8]) {
        assert_eq!(
            self.header("Content-Length"),
            Some(body.len().to_string()),
            "{self}"
        );
        assert!(!self.has("Transfer-Encoding"), "{self}");
        assert!(self.complete, "the body was cut off: {self}");
        // Not assert_eq: a difference in 64 MiB is not for reading.
        let differs = self.body.iter().zip(body).position(|(a, b)| a != b);
        assert!(
            self.body == body,
            "{} bytes instead of {}, first difference at {differs:?}",
            self.body.len(),
            body.len()
        );
    }
}

impl std::fmt::Display for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = &self.body[..self.body.len().min(300)];
        write!(
            f,
            "{}{}",
            String::from_utf8_lossy(&self.raw_head),
            String::from_utf8_lossy(body)
        )
    }
}

type Choose = Arc<dyn Fn(&Recorded) -> Behaviour + Send + Sync>;

struct Shared {
    recorded: Mutex<Vec<Arc<Recorded>>>,
    seen: AtomicUsize,
    accepted: AtomicUsize,
    choose: Mutex<Choose>,
    next: Mutex<VecDeque<Behaviour>>,
    open: Mutex<Vec<Weak<Socket>>>,
    handshakes: Mutex<Vec<Handshake>>,
    stopped: AtomicBool,
}

/// Where an upstream accepts.
#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

/// A recording upstream on a port of the system's choice, or on a Unix socket.
pub(crate) struct Upstream {
    place: Place,
    shared: Arc<Shared>,
}

impl Upstream {
    /// One that answers 200 to everything.
    pub(crate) fn start() -> Self {
        Self::with(Behaviour::status(200))
    }

    /// One that does the same with every request.
    pub(crate) fn with(behaviour: Behaviour) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour)
    }

    /// One at this address.
    pub(crate) fn at(addr: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = listen(addr);
        let place = Place::Tcp(listener.local_addr().expect("an address"));
        let accept = move || listener.accept().map(|(stream, _)| Socket::Tcp(stream));
        Self::accepting(place, behaviour, accept)
    }

    /// One that speaks TLS and answers 200 to everything.
    pub(crate) fn tls(config: Arc<ServerConfig>) -> Self {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let place = Place::Tls(listener.local_addr().expect("an address"));
        let shared = Shared::new(Behaviour::status(200));
        let heard = Arc::clone(&shared);
        let accept = move || {
            let (stream, _) = listener.accept()?;
            if heard.stopped.load(Ordering::SeqCst) {
                return Ok(Socket::Tcp(stream));
            }
            let (socket, handshake) = Socket::tls(stream, &config)?;
            held(&heard.handshakes).push(handshake);
            Ok(socket)
        };
        Self::sharing(place, shared, accept)
    }

    /// One on a Unix socket that answers 200 to everything.
    pub(crate) fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let accept = move || listener.accept().map(|(stream, _)| Socket::Unix(stream));
        Self::accepting(Place::Unix(path.to_owned()), Behaviour::status(200), accept)
    }

    fn accepting(
        place: Place,
        behaviour: Behaviour,
        accept: impl FnMut() -> std::io::Result<Socket> + Send + 'static,
    ) -> Self {
        Self::sharing(place, Shared::new(behaviour), accept)
    }

    fn sharing(
        place: Place,
        shared: Arc<Shared>,
        mut accept: impl FnMut() -> std::io::Result<Socket> + Send + 'static,
    ) -> Self {
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            loop {
                let socket = accept();
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                let stream = Arc::new(socket);
                let mut open = held(&accepting.open);
                open.retain(|other| other.strong_count() > 0);
                open.push(Arc::downgrade(&stream));
                drop(open);
                let number = accepting.accepted.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                // Its end, however it comes about, is what the behaviour wanted or what the other side did.
                std::thread::spawn(move || shared.serve(&stream, number));
            }
        });
        Self { place, shared }
    }

    /// Where it listens.
    #[track_caller]
    pub(crate) fn addr(&self) -> SocketAddr {
        match self.place {
            Place::Tcp(addr) | Place::Tls(addr) => addr,
            Place::Unix(_) => unreachable!("a Unix socket has no address"),
        }
    }

    /// `http://ADDR`, or what else stands for it, as a route's `upstream` has it.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(addr) => format!("http://{addr}"),
            Place::Tls(addr) => format!("https://{addr}"),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Every handshake so far that was completed.
    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        held(&self.shared.handshakes).clone()
    }

    /// From now on does this with every request.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.behave_by(move |_| behaviour.clone());
    }

    /// From now on decides by the request's head.
    pub(crate) fn behave_by(
        &self,
        choose: impl Fn(&Recorded) -> Behaviour + Send + Sync + 'static,
    ) {
        *held(&self.shared.choose) = Arc::new(choose);
    }

    /// Does this with the next request only; several calls line up.
    pub(crate) fn next(&self, behaviour: Behaviour) {
        held(&self.shared.next).push_back(behaviour);
    }

    /// How many requests have come, counted by their heads.
    pub(crate) fn count(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// How many connections have come.
    pub(crate) fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub(crate) fn open_connections(&self) -> usize {
        held(&self.shared.open)
            .iter()
            .filter(|stream| stream.strong_count() > 0)
            .count()
    }

    /// Every request so far, in the order in which their bodies were read.
    pub(crate) fn requests(&self) -> Vec<Arc<Recorded>> {
        held(&self.shared.recorded).clone()
    }

    /// Every request since the last call, which are forgotten here.
    pub(crate) fn taken(&self) -> Vec<Arc<Recorded>> {
        std::mem::take(&mut *held(&self.shared.recorded))
    }

    /// The latest request.
    #[track_caller]
    pub(crate) fn last(&self) -> Arc<Recorded> {
        self.requests().pop().expect("a request has come")
    }

    /// Waits until this many requests have been recorded, and returns them all.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Arc<Recorded>> {
        let came = eventually(SOON, || held(&self.shared.recorded).len() >= count);
        assert!(
            came,
            "the upstream saw {} requests, not {count}",
            self.requests().len()
        );
        self.requests()
    }

    /// Closes every open connection, as an upstream does with idle ones.
    pub(crate) fn close_connections(&self) {
        for stream in held(&self.shared.open).iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cuts every open connection beneath TLS.
    pub(crate) fn cut_connections(&self) {
        for stream in held(&self.shared.open).iter().filter_map(Weak::upgrade) {
            stream.cut();
        }
    }

    /// Sends bytes on every open connection unasked.
    pub(crate) fn send_unasked(&self, bytes: &[u8]) {
        for stream in held(&self.shared.open).iter().filter_map(Weak::upgrade) {
            let _ = (&*stream).write_all(bytes);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.close_connections();
        // Wakes the accepting thread so that it sees the flag.
        match &self.place {
            Place::Tcp(addr) | Place::Tls(addr) => drop(TcpStream::connect(addr)),
            Place::Unix(path) => drop(UnixStream::connect(path)),
        }
    }
}

/// A listener at an address that connections of an earlier one may still occupy.
fn listen(addr: SocketAddr) -> TcpListener {
    TcpListener::bind(addr).expect("a free port")
}

impl Shared {
    fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            recorded: Mutex::default(),
            seen: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            choose: Mutex::new(Arc::new(move |_| behaviour.clone())),
            next: Mutex::default(),
            open: Mutex::default(),
            handshakes: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    fn serve(&self, stream: &Socket, connection: usize) -> Option<()> {
        stream.set_nodelay().ok()?;
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        loop {
            let mut request = read_head(&mut reader, connection)?;
            let behaviour = held(&self.next).pop_front();
            let choose = Arc::clone(&held(&self.choose));
            let behaviour = behaviour.unwrap_or_else(|| choose(&request));
            self.seen.fetch_add(1, Ordering::SeqCst);
            let mut unread = Some(());
            for step in behaviour.0 {
                if matches!(step, Step::ReadBody) && unread.take().is_some() {
                    request.complete = read_body(&mut reader, &mut request).is_some();
                    self.record(&request);
                    continue;
                }
                if perform(step, stream, &mut reader).is_none() {
                    if unread.is_some() {
                        self.record(&request);
                    }
                    return None;
                }
            }
            if unread.is_some() {
                self.record(&request);
                read_body(&mut reader, &mut request)?;
            } else if !request.complete {
                return None;
            }
        }
    }

    fn record(&self, request: &Recorded) {
        held(&self.recorded).push(Arc::new(request.clone()));
    }
}

/// `None` when the connection is at its end.
fn perform(step: Step, stream: &Socket, reader: &mut BufReader<&Socket>) -> Option<()> {
    let mut writer = stream;
    match step {
        Step::ReadBody => {}
        Step::Wait(latch) => latch.wait(),
        Step::Pause(pause) => std::thread::sleep(pause),
        Step::Send(bytes) => writer.write_all(&bytes).ok()?,
        Step::Drip(bytes, pause) => {
            for byte in bytes {
                writer.write_all(&[byte]).ok()?;
                std::thread::sleep(pause);
            }
        }
        Step::Repeat(bytes, times) => {
            for _ in 0..times {
                writer.write_all(&bytes).ok()?;
            }
        }
        Step::Finish => {
            stream.shutdown(Shutdown::Write).ok()?;
            drain(reader);
            return None;
        }
        Step::Hold => {
            drain(reader);
            return None;
        }
        Step::Close => return None,
        Step::Reset => {
            stream.reset_at_end().ok()?;
            return None;
        }
    }
    Some(())
}

/// Reads until the other side closes.
fn drain(reader: &mut BufReader<&Socket>) {
    let until = Deadline::after(LATE * 2);
    let mut piece = [0; 4096];
    while !until.passed() && reader.read(&mut piece).is_ok_and(|count| count > 0) {}
}

fn read_head(reader: &mut BufReader<&Socket>, connection: usize) -> Option<Recorded> {
    let mut raw_head = Vec::new();
    while !raw_head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut raw_head).ok()? == 0 {
            return None;
        }
    }
    let mut lines = raw_head
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next()?.to_vec();
    let mut parts = first.split(|b| *b == b' ');
    let method = String::from_utf8_lossy(parts.next()?).into_owned();
    let target = parts.next()?.to_vec();
    let version = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let headers = lines
        .filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect();
    Some(Recorded {
        connection,
        raw_head,
        method,
        target,
        version,
        headers,
        body: Vec::new(),
        complete: false,
    })
}

fn read_body(reader: &mut BufReader<&Socket>, request: &mut Recorded) -> Option<()> {
    if request.headers_named("Transfer-Encoding").is_empty() {
        let length = request
            .headers_named("Content-Length")
            .first()
            .map_or(Some(0), |text| {
                std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse::<u64>().ok())
            })?;
        let mut body = Vec::new();
        let read = reader.take(length).read_to_end(&mut body);
        request.body = body;
        return (read.ok()? as u64 == length).then_some(());
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = u64::from_str_radix(line.trim(), 16).ok()?;
        let read = reader.take(size).read_to_end(&mut request.body).ok()?;
        let mut end = [0; 2];
        reader.read_exact(&mut end).ok()?;
        if read as u64 != size || &end != b"\r\n" {
            return None;
        }
        if size == 0 {
            return Some(());
        }
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port at which nobody listens and which nobody else can take: a connection to it is refused.
pub(crate) struct ClosedPort {
    socket: socket2::Socket,
}

impl ClosedPort {
    /// Takes one.
    pub(crate) fn take() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a free port");
        Self { socket }
    }

    /// Its address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .expect("an address")
            .as_socket()
            .expect("an internet address")
    }

    /// `http://ADDR`, as a route's `upstream` has it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr())
    }
}
