//! A client's HTTP/2 connection from its preface to its end (contract: HTTP/2).
//!
//! The crate `h2` speaks the protocol. This file drives a connection: each request gets a task of its
//! own, so that one which fails harms no other. The file `stream` is the client of an exchange,
//! `watched` looks at the bytes on their way, and `frames` and `tally` count what a client does.

mod frames;
mod stream;
mod tally;
mod watched;

use std::future::{Future, poll_fn};
use std::mem;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::Next;
use super::connections::{Place, StreamPlace};
use super::port::{BEYOND, ConnectionLimits, Port, SILENCE};
use super::stream::Stream;
use crate::verdict::Refusal;
use crate::wire::head::{Framing, Head, Http2Request, Limits};
use stream::{Common, H2, SENT_AT_ONCE};
use tally::Excess;
use watched::{Watch, Watched};

/// The streams that a client may have open at a time.
const STREAMS: u32 = 100;
/// The most bytes of a decoded head, with 32 for each line (RFC 9113 6.5.2).
const MAX_HEAD: u32 = 64 * 1024;
/// The bytes of bodies that a client may send before they are taken, for a stream and for all streams
/// of the connection: they are not charged to the budget yet.
const WINDOW: u32 = 128 * 1024;
/// The time in which a silent client shall end the connection, once it was told.
const FAREWELL: Duration = Duration::from_secs(1);
/// The memory that frames of bodies may take beside the bytes that they carry, counted as 256 bytes a
/// frame, until they are taken: that of a window in frames of 100 bytes. Some clients send each piece
/// of a body as they make it.
const FRAMES: usize = 256 * 1024;

type Connection = h2::server::Connection<Watched, Bytes>;
type Request = (http::Request<RecvStream>, SendResponse<Bytes>);

/// The settings of every connection.
fn settings(is_of_trusted_proxy: bool) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SENT_AT_ONCE)
        .data_frame_budget(FRAMES)
        // Streams that are opened and reset in the same breath: the tally is the first to say no.
        .max_pending_accept_reset_streams(tally::FIRST);
    if is_of_trusted_proxy {
        // A proxy passes on what is wrong with its clients' requests for as long as it runs.
        builder.max_local_error_reset_streams(None);
    }
    builder
}

/// A client's connection that was accepted, and has agreed on HTTP/2.
pub(crate) struct H2Connection {
    stream: Stream,
    peer: Option<IpAddr>,
    limits: ConnectionLimits,
}

/// A stream that has ended, as its task tells the connection: whether it had a place.
type Ended = bool;

/// Tells the connection of a stream's end, even if its task panics.
struct Ending(mpsc::Sender<Ended>, Ended);

impl Drop for Ending {
    fn drop(&mut self) {
        // There is room for each stream. Without a receiver the connection is gone.
        let _ = self.0.try_send(self.1);
    }
}

/// The streams of a connection that are open.
struct Streams<'p> {
    /// The connection's own place, which is that of one stream; `None` for a connection that has
    /// none.
    place: Option<&'p Place>,
    /// The streams that have a place, and the places beside that of the connection.
    within: usize,
    further: Vec<StreamPlace>,
    /// The streams that have none, and are refused.
    beyond: usize,
    tell: mpsc::Sender<Ended>,
    ended: mpsc::Receiver<Ended>,
}

impl<'p> Streams<'p> {
    fn new(place: Option<&'p Place>) -> Self {
        let (tell, ended) = mpsc::channel(STREAMS as usize);
        Self {
            place,
            within: 0,
            further: Vec::new(),
            beyond: 0,
            tell,
            ended,
        }
    }

    fn open(&self) -> usize {
        self.within + self.beyond
    }

    /// Takes a further stream, if there may be one. It may have a place or not.
    fn take(&mut self) -> Option<Ending> {
        // A stream that its client has reset counts until its task ends, which `h2` does not know.
        if self.open() >= STREAMS as usize {
            return None;
        }
        let has_place = match self.place {
            Some(_) if self.within == 0 => true,
            Some(place) => place.for_stream().is_some_and(|place| {
                self.further.push(place);
                true
            }),
            None => false,
        };
        if has_place {
            self.within += 1;
        } else {
            self.beyond += 1;
        }
        Some(Ending(self.tell.clone(), has_place))
    }

    /// Takes note of the end of a stream.
    fn note(&mut self, had_place: Ended) {
        if had_place {
            self.within -= 1;
            self.further.pop();
        } else {
            self.beyond -= 1;
        }
        if let Some(place) = self.place.filter(|_| self.open() == 0) {
            place.idle().begin(Instant::now());
        }
    }
}

/// Something that happens to a connection.
enum Event {
    Request(Box<Request>),
    Ended(Ended),
    /// No further request shall be taken.
    Stop,
    Excess(Excess),
    /// The deadline has passed.
    Late,
    /// The connection is over.
    Closed,
}

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests are taken.
    Open,
    /// The client was told that the connection ends, at this moment.
    Ending(Instant),
}

impl H2Connection {
    /// A connection from `peer` that has agreed on HTTP/2. Nothing of it has been read yet.
    pub(crate) fn new(stream: Stream, peer: Option<IpAddr>, limits: ConnectionLimits) -> Self {
        Self {
            stream,
            peer,
            limits,
        }
    }

    /// Serves the connection to its end. No further request is taken once `stopping` resolves.
    pub(crate) async fn serve<P: Port>(
        self,
        port: &Arc<P>,
        place: &Place,
        stopping: impl Future<Output = ()> + Send,
    ) {
        let mut streams = Streams::new(Some(place));
        let is_exempt = place.is_of_trusted_proxy();
        self.run(port, &mut streams, is_exempt, pin!(stopping))
            .await;
        // What was begun goes on: its claims must learn their outcome, and a stop waits for them.
        while streams.open() > 0
            && let Some(ended) = streams.ended.recv().await
        {
            streams.note(ended);
        }
    }

    /// Serves a connection for which there is no place: what comes within [`BEYOND`].
    pub(crate) async fn serve_beyond<P: Port>(mut self, port: &Arc<P>) {
        self.limits.head_timeout = BEYOND;
        self.limits.idle_timeout = Duration::ZERO;
        let mut streams = Streams::new(None);
        let stopping = tokio::time::sleep(BEYOND);
        self.run(port, &mut streams, false, pin!(stopping)).await;
    }

    async fn run<P: Port>(
        self,
        port: &Arc<P>,
        streams: &mut Streams<'_>,
        is_exempt: bool,
        mut stopping: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) {
        let limits = self.limits;
        let common = Arc::new(Common {
            peer: self.peer,
            is_tls: self.stream.is_tls(),
            shown: self.stream.shown().cloned(),
            write_timeout: limits.write_timeout,
            account: OnceLock::new(),
        });
        let watch = Watch::new(is_exempt);
        let began = Instant::now();
        let stream = Watched::new(self.stream, watch.clone(), limits.write_timeout);
        let handshake = settings(is_exempt).handshake(stream);
        let handshake = timeout(limits.head_timeout, handshake);
        let mut is_stopped = false;
        let silence = async {
            stopping.as_mut().await;
            is_stopped = true;
            // The client's preface may be on its way already.
            tokio::time::sleep(SILENCE).await;
        };
        let shaken = tokio::select! {
            biased;
            shaken = handshake => shaken,
            () = silence => return,
        };
        let Ok(Ok(connection)) = shaken else {
            return;
        };
        let mut driver = Driver {
            connection,
            watch,
            limits,
            phase: Phase::Open,
            silent_since: (began, limits.head_timeout),
            timer: Box::pin(sleep_until(began + limits.head_timeout)),
            stopping,
            is_stopped,
            has_waited: false,
        };
        if is_stopped {
            driver.end();
        }
        loop {
            match driver.next(streams).await {
                Event::Request(request) => {
                    let (request, mut respond) = *request;
                    let ending = driver.takes_requests().then(|| streams.take()).flatten();
                    if let Some(ending) = ending {
                        if let Some(place) = streams.place {
                            place.idle().end();
                        }
                        let head = head_of(&request, &limits.head);
                        let stream = H2::new(
                            Arc::clone(&common),
                            lengths(head.as_ref()),
                            request.into_body(),
                            respond,
                        );
                        tokio::spawn(answer(Arc::clone(port), head, stream, ending));
                    } else {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    }
                }
                Event::Ended(ended) => {
                    streams.note(ended);
                    driver.watch.lock().tally.note_served();
                    driver.silent_since = (Instant::now(), limits.idle_timeout);
                    if common
                        .shown
                        .as_ref()
                        .is_some_and(|shown| shown.is_refused())
                    {
                        driver.end();
                    }
                }
                Event::Stop => driver.end(),
                Event::Excess(excess) => {
                    log::debug!("an HTTP/2 connection ends: {excess}");
                    return driver.break_off().await;
                }
                Event::Late => match driver.phase {
                    Phase::Open if driver.watch.lock().tally.head_since().is_some() => {
                        log::debug!("an HTTP/2 connection ends: a head came too slowly");
                        return driver.break_off().await;
                    }
                    Phase::Open => driver.end(),
                    Phase::Ending(_) => return driver.close().await,
                },
                Event::Closed => return,
            }
        }
    }
}

/// A connection while it is driven.
struct Driver<'s, S> {
    connection: Connection,
    watch: Watch,
    limits: ConnectionLimits,
    phase: Phase,
    /// The end of the last stream, or the beginning, and the time until the next request.
    silent_since: (Instant, Duration),
    timer: Pin<Box<Sleep>>,
    stopping: Pin<&'s mut S>,
    is_stopped: bool,
    /// Whether the tasks that are ready had their turn since the connection's task was woken.
    has_waited: bool,
}

impl<S: Future<Output = ()> + Send> Driver<'_, S> {
    /// Drives the connection until something happens.
    async fn next(&mut self, streams: &mut Streams<'_>) -> Event {
        poll_fn(|cx| {
            // An answer wakes this task, which would run next and write that answer alone. If other
            // streams go first, what they have ready goes with it in one write.
            if streams.open() > 1 && !mem::replace(&mut self.has_waited, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let event = self.poll_next(cx, streams);
            self.has_waited &= event.is_ready();
            event
        })
        .await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, streams: &mut Streams<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(ended)) = streams.ended.poll_recv(cx) {
            return Poll::Ready(Event::Ended(ended));
        }
        if !self.is_stopped && self.stopping.as_mut().poll(cx).is_ready() {
            self.is_stopped = true;
            return Poll::Ready(Event::Stop);
        }
        let accepted = loop {
            let accepted = self.connection.poll_accept(cx);
            let mut watch = self.watch.lock();
            if let Some(excess) = watch.tally.excess() {
                return Poll::Ready(Event::Excess(excess));
            }
            // What was read is taken before more is read.
            let was_paused = mem::replace(&mut watch.is_paused, accepted.is_ready());
            let has_enough = accepted.is_pending() && mem::take(&mut watch.has_enough);
            if has_enough {
                // Requests may have been taken since the task was woken for its next turn.
                cx.waker().wake_by_ref();
            }
            if accepted.is_ready() || has_enough || !was_paused {
                break accepted;
            }
        };
        match accepted {
            Poll::Ready(Some(Ok(request))) => {
                return Poll::Ready(Event::Request(Box::new(request)));
            }
            Poll::Ready(Some(Err(error))) => {
                log::debug!("an HTTP/2 connection ends: {error}");
                return Poll::Ready(Event::Closed);
            }
            Poll::Ready(None) => return Poll::Ready(Event::Closed),
            Poll::Pending => {}
        }
        let Some(deadline) = self.deadline(streams.open()) else {
            return Poll::Pending;
        };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx).map(|()| Event::Late)
    }

    /// The end of the connection's patience, while `open` streams are open.
    fn deadline(&self, open: usize) -> Option<Instant> {
        let (since, limit) = self.silent_since;
        let head = self.watch.lock().tally.head_since();
        let silence = match self.phase {
            _ if open > 0 => None,
            // A client that has begun a head is not silent.
            Phase::Open if head.is_some() => None,
            Phase::Open => Some(since + limit),
            Phase::Ending(at) => Some(at.max(since) + FAREWELL),
        };
        let head = head.map(|since| since + self.limits.head_timeout);
        silence.into_iter().chain(head).min()
    }

    /// Whether the client's requests are served: they are for a while after it was told that the
    /// connection ends, since they may have crossed what it was told.
    fn takes_requests(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Ending(at) => at.elapsed() < FAREWELL,
        }
    }

    /// Tells the client that the connection ends. Requests that are under way are served.
    fn end(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Ending(Instant::now());
            self.connection.graceful_shutdown();
        }
    }

    /// Ends the connection of a client that asks for too much. Its streams end too.
    async fn break_off(mut self) {
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.close_within(FAREWELL * 3).await;
    }

    /// Ends the connection of a client that was told.
    async fn close(mut self) {
        self.connection.abrupt_shutdown(Reason::NO_ERROR);
        self.close_within(FAREWELL).await;
    }

    async fn close_within(&mut self, limit: Duration) {
        self.watch.lock().is_paused = false;
        let closed = poll_fn(|cx| self.connection.poll_closed(cx));
        // Whatever comes of it, the connection is over.
        let _ = timeout(limit, closed).await;
    }
}

/// Answers a request.
async fn answer<P: Port>(
    port: Arc<P>,
    head: Result<Head, Refusal>,
    mut stream: H2,
    ending: Ending,
) {
    stream.gather().await;
    let Ending(_, has_place) = &ending;
    // Boxed, since a task moves several times before it runs, and an exchange is large.
    let next = match head {
        Ok(head) if *has_place => Box::pin(port.answer(&mut stream, &head)).await,
        Ok(head) => Box::pin(port.answer_beyond(&mut stream, &head)).await,
        Err(refusal) => {
            port.refuse(&mut stream, refusal).await;
            Next::Linger
        }
    };
    stream.finish(next).await;
    drop(ending);
}

/// The length of a head, and the length that it declares for its body.
fn lengths(head: Result<&Head, &Refusal>) -> (usize, Option<u64>) {
    head.map_or((0, None), |head| {
        let length = match head.framing() {
            Framing::Length(bytes) => Some(bytes),
            Framing::None | Framing::Chunked => None,
        };
        (head.bytes().len(), length)
    })
}

/// The judged head of a request.
fn head_of(request: &http::Request<RecvStream>, limits: &Limits) -> Result<Head, Refusal> {
    let uri = request.uri();
    // A CONNECT has no path, and is refused as in HTTP/1.
    let target = uri.path_and_query().map_or("", |path| path.as_str());
    let parts = Http2Request {
        method: request.method().as_str().as_bytes(),
        // `h2` has no place for a scheme without an authority.
        scheme: uri.scheme_str().map(str::as_bytes),
        target: target.as_bytes(),
        authority: uri
            .authority()
            .map(|authority| authority.as_str().as_bytes()),
        has_body: !request.body().is_end_stream(),
    };
    let lines = request.headers().iter();
    let lines = lines.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    Head::from_http2(&parts, lines, limits)
}
