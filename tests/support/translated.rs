//! A connection of HTTP/2 that is used as one of HTTP/1: requests that are written become streams, and what comes back on
//! a stream is read as an answer of HTTP/1 whose version is `HTTP/2`.
//!
//! What HTTP/1 alone can say has no translation, and is a panic: a test that says it is left out by
//! [`super::transport::is_http1_only`]. The names and values of lines are sent as they are, right or wrong.
//!
//! | HTTP/1 | HTTP/2 |
//! | --- | --- |
//! | the `Host` line | `:authority` |
//! | a length, chunks, trailers | DATA frames as they are written, trailers |
//! | no more bytes from this side, within a body | the stream is reset |
//! | no more bytes from this side, else | the connection ends once all is answered |
//! | the connection ends within an answer, or instead of it | the stream is reset, or the connection ends |
//! | `Connection: close` in an answer | GOAWAY has come before |

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use loona_hpack::Decoder;

use super::LATE;
use super::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use super::transport::TlsWire;

/// The most bytes of a frame that nobody has asked to be larger, and the first size of windows.
const FRAME: usize = 16_384;
const WINDOW: i64 = 65_535;
/// The most bytes of trailers; the gateway drops longer ones unread.
const TRAILERS: usize = 64 * 1024;
/// The settings that matter here.
const INITIAL_WINDOW_SIZE: u16 = 4;
/// The reason by which a stream is reset whose request is not completed.
const CANCEL: u32 = 8;

/// The translating end of a connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each side ends in several steps, independent of the other's"
)]
pub(crate) struct Translated {
    tls: TlsWire,
    /// What was written of HTTP/1 and not sent yet.
    written: Vec<u8>,
    sending: Sending,
    /// The number of the next stream.
    next: u32,
    /// The bytes that the gateway takes on the connection, and on a new stream.
    window: i64,
    first_window: i64,
    /// What has come and is no whole frame yet; the head that is being read.
    came: Vec<u8>,
    head: Vec<u8>,
    head_is_last: bool,
    decoder: Decoder<'static>,
    /// The requests whose answers were not read whole, in their order.
    streams: VecDeque<Stream>,
    /// Whether the gateway has said that it takes no further requests.
    is_leaving: bool,
    /// Whether this side sends no further request, and whether the connection was told so.
    is_finished: bool,
    is_closed: bool,
    /// Whether the other side has ended.
    has_ended: bool,
}

/// What the next bytes that are written belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    /// A body with as many bytes left.
    Length(usize),
    /// The line before a chunk; a chunk with as many bytes left, and its line end; the trailers.
    ChunkLine,
    Chunk(usize),
    ChunkEnd,
    Trailers,
}

/// The request that is being sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    part: Part,
    stream: u32,
    window: i64,
    /// Whether the gateway wants no more of it.
    is_reset: bool,
}

/// A request, and what has come of its answer.
struct Stream {
    number: u32,
    has_no_body: bool,
    /// The answer as HTTP/1 that was not read yet.
    answer: Vec<u8>,
    has_head: bool,
    /// The place in `answer` where a line may still be put that says that the connection ends.
    lines_end: Option<usize>,
    is_chunked: bool,
    /// The bytes of the body that must still come, if it has a length.
    left: Option<usize>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// Names and values.
type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// The head of a request as HTTP/2 has it.
pub(crate) struct Head {
    lines: Lines,
    has_no_body: bool,
    body: Part,
}

impl std::fmt::Debug for Translated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Translated")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Translated {
    /// Begins HTTP/2 on a connection that has agreed on it. An answer has `window` bytes that were not read at most.
    pub(crate) fn begin(tls: TlsWire, window: Option<u32>) -> Self {
        let mut this = Self {
            tls,
            written: Vec::new(),
            sending: Sending {
                part: Part::Head,
                stream: 0,
                window: 0,
                is_reset: false,
            },
            next: 1,
            window: WINDOW,
            first_window: WINDOW,
            came: Vec::new(),
            head: Vec::new(),
            head_is_last: false,
            decoder: Decoder::new(),
            streams: VecDeque::new(),
            is_leaving: false,
            is_finished: false,
            is_closed: false,
            has_ended: false,
        };
        let settings = window.map_or_else(Vec::new, |window| {
            [
                &INITIAL_WINDOW_SIZE.to_be_bytes()[..],
                &window.to_be_bytes(),
            ]
            .concat()
        });
        // A connection that was refused is seen when it is read.
        let _ = this
            .tls
            .write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat());
        this
    }

    /// The TLS below.
    pub(crate) fn tls(&self) -> &TlsWire {
        &self.tls
    }

    /// Sends what these bytes and those before them say, as far as that is complete.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written.extend_from_slice(bytes);
        while self.send_part()? {}
        Ok(())
    }

    /// Sends a part of what was written; `false` if there is none.
    fn send_part(&mut self) -> io::Result<bool> {
        match self.sending.part {
            Part::Head => {
                let Some(end) = find(&self.written, b"\r\n\r\n") else {
                    return Ok(false);
                };
                let head: Vec<u8> = self.written.drain(..end + 4).collect();
                let head = Head::of(&head[..end]).unwrap_or_else(|why| untranslated(&why, &head));
                self.begin_stream(&head)?;
            }
            Part::Length(left) => {
                let count = left.min(self.written.len());
                if count == 0 {
                    return Ok(false);
                }
                self.sending.part = match left - count {
                    0 => Part::Head,
                    left => Part::Length(left),
                };
                let data: Vec<u8> = self.written.drain(..count).collect();
                self.send_data(&data, count == left)?;
            }
            Part::ChunkLine => {
                let Some(end) = find(&self.written, b"\r\n") else {
                    return Ok(false);
                };
                let line: Vec<u8> = self.written.drain(..end + 2).collect();
                self.sending.part = match chunk_size(&line[..end]) {
                    Some(0) => Part::Trailers,
                    Some(size) => Part::Chunk(size),
                    None => untranslated("a line of a chunk", &line),
                };
            }
            Part::Chunk(left) => {
                let count = left.min(self.written.len());
                if count == 0 {
                    return Ok(false);
                }
                self.sending.part = match left - count {
                    0 => Part::ChunkEnd,
                    left => Part::Chunk(left),
                };
                let data: Vec<u8> = self.written.drain(..count).collect();
                self.send_data(&data, false)?;
            }
            Part::ChunkEnd => {
                if self.written.len() < 2 {
                    return Ok(false);
                }
                let end: Vec<u8> = self.written.drain(..2).collect();
                if end != b"\r\n" {
                    untranslated("the end of a chunk", &end);
                }
                self.sending.part = Part::ChunkLine;
            }
            Part::Trailers => {
                let lines = if self.written.starts_with(b"\r\n") {
                    self.written.drain(..2);
                    Vec::new()
                } else {
                    let Some(end) = find(&self.written, b"\r\n\r\n") else {
                        return Ok(false);
                    };
                    let all: Vec<u8> = self.written.drain(..end + 4).collect();
                    lines(&all[..end]).unwrap_or_else(|why| untranslated(&why, &all))
                };
                self.sending.part = Part::Head;
                if lines.is_empty() {
                    self.send_data(b"", true)?;
                } else {
                    self.send_head(self.sending.stream, &lines, true)?;
                }
            }
        }
        Ok(true)
    }

    fn begin_stream(&mut self, head: &Head) -> io::Result<()> {
        let number = self.next;
        self.next += 2;
        self.sending = Sending {
            part: head.body,
            stream: number,
            window: self.first_window,
            is_reset: false,
        };
        self.streams.push_back(Stream {
            number,
            has_no_body: head.has_no_body,
            answer: Vec::new(),
            has_head: false,
            lines_end: None,
            is_chunked: false,
            left: None,
            end: None,
        });
        self.send_head(number, &head.lines, head.body == Part::Head)
    }

    fn send_head(
        &mut self,
        stream: u32,
        lines: &[(Vec<u8>, Vec<u8>)],
        is_last: bool,
    ) -> io::Result<()> {
        let block = block(lines);
        let mut pieces = block.chunks(FRAME).peekable();
        let mut kind = HEADERS;
        let mut flags = if is_last { END_STREAM } else { 0 };
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.tls.write_all(&frame(kind, flags, stream, piece))?;
            (kind, flags) = (CONTINUATION, 0);
        }
        Ok(())
    }

    /// Sends bytes of a body as the windows allow. What the gateway does not want is not sent.
    fn send_data(&mut self, data: &[u8], is_last: bool) -> io::Result<()> {
        let mut rest = data;
        loop {
            if self.sending.is_reset {
                return Ok(());
            }
            let room = self.window.min(self.sending.window).max(0);
            let room = usize::try_from(room).expect("a window").min(FRAME);
            let (now, later) = rest.split_at(rest.len().min(room));
            if !now.is_empty() || rest.is_empty() {
                let flags = if is_last && later.is_empty() {
                    END_STREAM
                } else {
                    0
                };
                self.tls
                    .write_all(&frame(DATA, flags, self.sending.stream, now))?;
                let count = i64::try_from(now.len()).expect("a length");
                self.window -= count;
                self.sending.window -= count;
            }
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
            if self.window.min(self.sending.window) <= 0 {
                self.tls.socket().set_read_timeout(Some(LATE))?;
                if !self.take()? {
                    return Err(ErrorKind::BrokenPipe.into());
                }
            }
        }
    }

    /// Sends no further request.
    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
        if self.sending.part != Part::Head && !self.sending.is_reset {
            let number = self.sending.stream;
            let _ = self
                .tls
                .write_all(&frame(RST_STREAM, 0, number, &CANCEL.to_be_bytes()));
            if let Some(stream) = self.stream(number) {
                stream.end.get_or_insert(End::Broken);
            }
        }
        self.close_if_done();
    }

    fn close_if_done(&mut self) {
        let is_done = self.streams.iter().all(|stream| stream.end.is_some());
        if self.is_finished && is_done && !self.is_closed {
            self.is_closed = true;
            self.tls.finish();
        }
    }

    /// Reads of the answers, in the order of their requests.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(first) = self.streams.front_mut() {
                if let Some(at) = first.lines_end.take()
                    && self.is_leaving
                {
                    let line = b"connection: close\r\n".iter().copied();
                    first.answer.splice(at..at, line);
                }
                let count = first.answer.len().min(into.len());
                if count > 0 {
                    into[..count].copy_from_slice(&first.answer[..count]);
                    first.answer.drain(..count);
                    return Ok(count);
                }
                match first.end {
                    Some(End::Whole) => {
                        self.streams.pop_front();
                        continue;
                    }
                    Some(End::Broken) => return Ok(0),
                    None => {}
                }
            }
            if self.has_ended || !self.take()? {
                return Ok(0);
            }
        }
    }

    /// Whether the stream of the next answer was reset, and not the connection ended.
    pub(crate) fn is_reset(&self) -> bool {
        let is_broken = |stream: &Stream| stream.end == Some(End::Broken);
        !self.has_ended && self.streams.front().is_some_and(is_broken)
    }

    /// Whether no more than one request was sent.
    pub(crate) fn is_first(&self) -> bool {
        self.next <= 3
    }

    /// Takes what comes next; `false` if the connection has ended.
    fn take(&mut self) -> io::Result<bool> {
        let mut bytes = [0; FRAME];
        let taken = self.tls.read(&mut bytes);
        if let Err(error) = &taken
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let count = taken.unwrap_or(0);
        if count == 0 {
            self.has_ended = true;
            self.sending.is_reset = true;
            for stream in &mut self.streams {
                stream.end.get_or_insert(End::Broken);
            }
            return Ok(false);
        }
        self.came.extend_from_slice(&bytes[..count]);
        while let Some(head) = self.came.get(..9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.came.len() < 9 + length {
                break;
            }
            let payload: Vec<u8> = self.came.drain(..9 + length).skip(9).collect();
            self.see(kind, flags, stream, &payload);
        }
        self.close_if_done();
        Ok(true)
    }

    fn see(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let number = |at: usize| {
            let four = payload[at..at + 4].try_into().expect("four bytes");
            u32::from_be_bytes(four)
        };
        // What cannot be sent any more is seen as the end of the connection.
        match kind {
            HEADERS | CONTINUATION => {
                self.head.extend_from_slice(payload);
                // The first frame of a head says whether the stream ends with it.
                self.head_is_last |= kind == HEADERS && flags & END_STREAM != 0;
                if flags & END_HEADERS != 0 {
                    let lines = self.decoder.decode(&self.head).expect("a head");
                    self.head.clear();
                    let is_last = std::mem::take(&mut self.head_is_last);
                    if let Some(stream) = self.stream(stream) {
                        stream.see_head(&lines, is_last);
                    }
                }
            }
            DATA => {
                let is_last = flags & END_STREAM != 0;
                if let Some(stream) = self.stream(stream) {
                    stream.see_data(payload, is_last);
                }
                let count = u32::try_from(payload.len()).expect("a length");
                if count > 0 {
                    let more = count.to_be_bytes();
                    let mut room = frame(WINDOW_UPDATE, 0, 0, &more);
                    if !is_last {
                        room.extend(frame(WINDOW_UPDATE, 0, stream, &more));
                    }
                    let _ = self.tls.write_all(&room);
                }
            }
            RST_STREAM => {
                if stream == self.sending.stream {
                    self.sending.is_reset = true;
                }
                if let Some(stream) = self.stream(stream) {
                    stream.end.get_or_insert(End::Broken);
                }
            }
            SETTINGS if flags & END_STREAM == 0 => {
                for setting in payload.chunks_exact(6) {
                    let value = [setting[2], setting[3], setting[4], setting[5]];
                    if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                        let value = i64::from(u32::from_be_bytes(value));
                        self.sending.window += value - self.first_window;
                        self.first_window = value;
                    }
                }
                let _ = self.tls.write_all(&frame(SETTINGS, END_STREAM, 0, b""));
            }
            PING if flags & END_STREAM == 0 => {
                let _ = self.tls.write_all(&frame(PING, END_STREAM, 0, payload));
            }
            WINDOW_UPDATE if stream == 0 => self.window += i64::from(number(0)),
            WINDOW_UPDATE if stream == self.sending.stream => {
                self.sending.window += i64::from(number(0));
            }
            GOAWAY => {
                self.is_leaving = true;
                let last = number(0);
                for stream in &mut self.streams {
                    if stream.number > last {
                        stream.end.get_or_insert(End::Broken);
                    }
                }
            }
            _ => {}
        }
    }

    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.streams
            .iter_mut()
            .find(|stream| stream.number == number)
    }
}

impl Stream {
    /// Takes a head: an interim answer, the answer, or its trailers.
    fn see_head(&mut self, lines: &[(Vec<u8>, Vec<u8>)], is_last: bool) {
        if self.has_head {
            return self.see_data(b"", true);
        }
        let value = |name: &[u8]| {
            let found = lines.iter().find(|line| line.0 == name);
            found.map(|line| String::from_utf8_lossy(&line.1).into_owned())
        };
        let status = value(b":status").expect("a status");
        let head = &mut self.answer;
        head.extend_from_slice(format!("HTTP/2 {status} \r\n").as_bytes());
        for (name, text) in lines.iter().filter(|line| !line.0.starts_with(b":")) {
            head.extend_from_slice(&[name, &b": "[..], text, b"\r\n"].concat());
        }
        if status.starts_with('1') {
            assert!(!is_last, "an interim answer is the last: {status}");
            return head.extend_from_slice(b"\r\n");
        }
        self.has_head = true;
        if !self.has_no_body && status != "204" && status != "304" {
            self.left = value(b"content-length").map(|text| text.parse().expect("a length"));
            if self.left.is_none() {
                self.is_chunked = true;
                head.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
        self.lines_end = Some(head.len());
        head.extend_from_slice(b"\r\n");
        if is_last {
            self.see_data(b"", true);
        }
    }

    fn see_data(&mut self, data: &[u8], is_last: bool) {
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(data.len())
                .expect("no more than the length");
        }
        if self.is_chunked {
            if !data.is_empty() {
                let line = format!("{:x}\r\n", data.len());
                let chunk = [line.as_bytes(), data, b"\r\n"].concat();
                self.answer.extend_from_slice(&chunk);
            }
            if is_last {
                self.answer.extend_from_slice(b"0\r\n\r\n");
            }
        } else {
            self.answer.extend_from_slice(data);
        }
        if is_last {
            let is_whole = self.left.is_none_or(|left| left == 0);
            self.end
                .get_or_insert(if is_whole { End::Whole } else { End::Broken });
        }
    }
}

impl Head {
    /// Translates a head without its empty line; why that cannot be done otherwise.
    pub(crate) fn of(head: &[u8]) -> Result<Self, String> {
        let (first, rest) = match find(head, b"\r\n") {
            Some(end) => (&head[..end], &head[end + 2..]),
            None => (head, &b""[..]),
        };
        let parts: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
        let [method, target, b"HTTP/1.1"] = parts[..] else {
            return Err("the request line".to_owned());
        };
        let mut all = vec![
            (b":method".to_vec(), method.to_vec()),
            (b":scheme".to_vec(), b"https".to_vec()),
            (b":path".to_vec(), target.to_vec()),
        ];
        let mut body = Part::Head;
        let mut has_host = false;
        for (name, value) in lines(rest)? {
            let text = String::from_utf8_lossy(&value).into_owned();
            match name.as_slice() {
                b"host" if !has_host => {
                    has_host = true;
                    all.insert(3, (b":authority".to_vec(), value));
                    continue;
                }
                b"content-length" if body == Part::Head && is_plain_number(&text) => {
                    let length = text.parse().map_err(|_| "the length")?;
                    body = match length {
                        0 => Part::Head,
                        length => Part::Length(length),
                    };
                }
                b"host" => return Err("two lines of the host".to_owned()),
                b"transfer-encoding" if body == Part::Head && text == "chunked" => {
                    body = Part::ChunkLine;
                    continue;
                }
                b"content-length" | b"transfer-encoding" => return Err("the framing".to_owned()),
                b"connection" | b"keep-alive" | b"proxy-connection" | b"upgrade" => {
                    return Err("a line about the connection".to_owned());
                }
                _ => {}
            }
            all.push((name, value));
        }
        Ok(Self {
            lines: all,
            has_no_body: method == b"HEAD",
            body,
        })
    }
}

fn is_plain_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// Why HTTP/2 cannot say what these bytes are in HTTP/1, or does not answer it, if that is so.
pub(crate) fn untranslatable(request: &[u8]) -> Option<String> {
    let Some(end) = find(request, b"\r\n\r\n") else {
        return Some("a head that does not end".to_owned());
    };
    let head = match Head::of(&request[..end]) {
        Ok(head) => head,
        Err(why) => return Some(why),
    };
    let target = head.lines.iter().find(|line| line.0 == b":path");
    if target.is_some_and(|line| line.1.contains(&b'#')) {
        return Some("a fragment that is not cut off".to_owned());
    }
    let mut rest = &request[end + 4..];
    if head.body != Part::ChunkLine {
        return None;
    }
    loop {
        let line_end = find(rest, b"\r\n")?;
        let Some(size) = chunk_size(&rest[..line_end]) else {
            return Some("a line of a chunk".to_owned());
        };
        rest = &rest[line_end + 2..];
        if size == 0 {
            return untranslatable_trailers(rest);
        }
        rest = rest.get(size..)?;
        if !rest.starts_with(b"\r\n") {
            return Some("the end of a chunk".to_owned());
        }
        rest = &rest[2..];
    }
}

fn untranslatable_trailers(trailers: &[u8]) -> Option<String> {
    if trailers.starts_with(b"\r\n") {
        return None;
    }
    match find(trailers, b"\r\n\r\n") {
        None => Some("the end of trailers".to_owned()),
        Some(end) if end > TRAILERS => Some("an answer to trailers above 64 KiB".to_owned()),
        Some(end) => lines(&trailers[..end]).err(),
    }
}

/// The size in a plain line before a chunk.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let is_plain = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then(|| usize::from_str_radix(text, 16).ok())?
}

/// Names in lower case, and values.
fn lines(text: &[u8]) -> Result<Lines, String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = find(rest, b"\r\n").unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        let colon = line.iter().position(|byte| *byte == b':');
        let colon = colon.ok_or("a line without a colon")?;
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err("a folded line".to_owned());
        }
        let value = &line[colon + 1..];
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = value.iter().position(|byte| !is_space(byte));
        let start = start.unwrap_or(value.len());
        let end = value.iter().rposition(|byte| !is_space(byte));
        let value = &value[start..end.map_or(start, |end| end + 1)];
        lines.push((line[..colon].to_ascii_lowercase(), value.to_vec()));
    }
    Ok(lines)
}

/// Where `what` begins.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

fn untranslated(why: &str, bytes: &[u8]) -> ! {
    panic!(
        "HTTP/2 cannot say this ({why}), so leave it out there: {:?}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(400)])
    )
}
