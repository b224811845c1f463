//! H2-19: frames as RFC 9113 does not allow them, and a few that it does although they look odd, one of each kind.

use crate::support::SOON;
use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::Delivery;
use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, Tls, WINDOW_UPDATE, block, frame, lines_of,
};
use crate::support::upstream::Upstream;

/// Flags: bytes behind the payload that mean nothing, and a priority in front of a head.
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 32;

/// What must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    /// Nothing: a ping behind it is answered.
    Pass,
    /// The stream ends by an error, or the connection does.
    EndStream,
    /// The connection ends by an error, or without a word.
    End,
}
use Must::{End, EndStream, Pass};

/// The head of a good request without a body, to which nobody answers 200.
fn head() -> Vec<u8> {
    let delivery = Delivery::unsigned("/webhooks/itellico", "").without("Content-Length");
    block(&lines_of(&delivery))
}

/// The head of a request on this stream, whose body follows.
fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head())
}

/// A whole request on this stream.
fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head())
}

/// Settings of one entry.
fn setting(id: u8, value: u32) -> Vec<u8> {
    frame(
        SETTINGS,
        0,
        0,
        &[&[0, id][..], &value.to_be_bytes()].concat(),
    )
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn rows() -> Vec<(&'static str, Vec<u8>, Must)> {
    let priority = |on: u32| [&on.to_be_bytes()[..], &[7]].concat();
    let prioritised = |on: u32| [&priority(on)[..], &head()].concat();
    let padded = |length: u8, rest: &[u8]| [&[length][..], rest].concat();
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let halves = head();
    let (first, rest) = halves.split_at(9);
    vec![
        // What looks odd and is allowed.
        (
            "H2-19 an unknown frame",
            frame(0xfa, 0xff, 0, b"12345678"),
            Pass,
        ),
        (
            "H2-19 an unknown frame on a stream",
            [open(1), frame(0xfa, 0, 1, b"1")].concat(),
            Pass,
        ),
        (
            "H2-19 unknown flags",
            frame(PING, 0xf6, 0, b"abcdefgh"),
            Pass,
        ),
        (
            "H2-19 the reserved bit",
            frame(PING, 0, 1 << 31, b"abcdefgh"),
            Pass,
        ),
        ("H2-19 an unknown setting", setting(0xfa, 7), Pass),
        (
            "H2-19 the largest window in settings",
            setting(4, 0x7fff_ffff),
            Pass,
        ),
        (
            "H2-19 the same setting twice",
            [setting(4, 100), setting(4, 1)].concat(),
            Pass,
        ),
        (
            "H2-19 a priority of an idle stream",
            frame(PRIORITY, 0, 5, &priority(3)),
            Pass,
        ),
        (
            "H2-19 a priority of an ended stream",
            [whole(1), frame(PRIORITY, 0, 1, &priority(3))].concat(),
            Pass,
        ),
        (
            "H2-19 a head with a priority",
            frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, &prioritised(3)),
            Pass,
        ),
        (
            "H2-19 a head in three frames",
            [
                frame(HEADERS, END_STREAM, 1, first),
                frame(CONTINUATION, 0, 1, b""),
                frame(CONTINUATION, END_HEADERS, 1, rest),
            ]
            .concat(),
            Pass,
        ),
        (
            "H2-19 a padded head",
            frame(
                HEADERS,
                END_HEADERS | PADDED,
                1,
                &[&padded(3, &head())[..], &[0; 3]].concat(),
            ),
            Pass,
        ),
        (
            "H2-19 a padded body",
            [open(1), frame(DATA, PADDED, 1, &padded(2, b"a\0\0"))].concat(),
            Pass,
        ),
        (
            "H2-19 a reset of an ended stream",
            [whole(1), reset(1)].concat(),
            Pass,
        ),
        (
            "H2-19 a window of an ended stream",
            [whole(1), window(1, 7)].concat(),
            Pass,
        ),
        (
            "H2-19 an acknowledged ping that nobody sent",
            frame(PING, 1, 0, b"unasked!"),
            Pass,
        ),
        // Frames as such.
        (
            "H2-19 a body frame above 16 KiB",
            [open(1), frame(DATA, 0, 1, &[0; 16_385])].concat(),
            EndStream,
        ),
        (
            "H2-19 a head frame above 16 KiB",
            frame(HEADERS, END_HEADERS, 1, &[0; 16_385]),
            End,
        ),
        (
            "H2-19 an index beyond the table",
            frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 3]),
            End,
        ),
        (
            "H2-19 index 0",
            frame(HEADERS, END_HEADERS, 1, &[0x80]),
            End,
        ),
        (
            "H2-19 a text that is cut off",
            frame(HEADERS, END_HEADERS, 1, &[0, 9, b'a']),
            End,
        ),
        (
            "H2-19 Huffman padding of more than seven bits",
            frame(HEADERS, END_HEADERS, 1, &[0, 1, b'a', 0x82, 0xff, 0xff]),
            End,
        ),
        (
            "H2-19 a table above its limit",
            frame(
                HEADERS,
                END_HEADERS,
                1,
                &[&[0x3f, 0xff, 0xff, 3][..], &head()].concat(),
            ),
            End,
        ),
        (
            "H2-19 a new table size behind a line",
            frame(HEADERS, END_HEADERS, 1, &[&head()[..], &[0x20]].concat()),
            End,
        ),
        (
            "H2-19 another frame within a head",
            [
                frame(HEADERS, 0, 1, first),
                frame(PRIORITY, 0, 1, &priority(3)),
            ]
            .concat(),
            End,
        ),
        (
            "H2-19 another stream within a head",
            [frame(HEADERS, 0, 1, first), open(3)].concat(),
            End,
        ),
        (
            "H2-19 an unknown frame within a head",
            [frame(HEADERS, 0, 1, first), frame(0xfa, 0, 1, b"")].concat(),
            End,
        ),
        (
            "H2-19 the rest of another stream's head",
            [
                frame(HEADERS, 0, 1, first),
                frame(CONTINUATION, END_HEADERS, 3, rest),
            ]
            .concat(),
            End,
        ),
        // Streams.
        (
            "H2-19 a body on an idle stream",
            frame(DATA, 0, 1, b"a"),
            End,
        ),
        ("H2-19 a reset of an idle stream", reset(1), End),
        ("H2-19 a window of an idle stream", window(1, 7), End),
        (
            "H2-19 a rest without a head",
            frame(CONTINUATION, END_HEADERS, 1, &head()),
            End,
        ),
        (
            "H2-19 a rest behind a whole head",
            [open(1), frame(CONTINUATION, END_HEADERS, 1, &head())].concat(),
            End,
        ),
        (
            "H2-19 a body behind the end",
            [whole(1), frame(DATA, END_STREAM, 1, b"a")].concat(),
            EndStream,
        ),
        (
            "H2-19 a head behind the end",
            [whole(1), whole(1)].concat(),
            EndStream,
        ),
        (
            "H2-19 a body behind a reset",
            [open(1), reset(1), frame(DATA, END_STREAM, 1, b"a")].concat(),
            EndStream,
        ),
        (
            "H2-19 a second head that is no end",
            [open(1), open(1)].concat(),
            EndStream,
        ),
        ("H2-19 an even stream", open(2), End),
        ("H2-19 a lower stream", [whole(5), whole(3)].concat(), End),
        (
            "H2-19 a stream that depends on itself",
            frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, &prioritised(1)),
            EndStream,
        ),
        (
            "H2-19 a priority that depends on itself",
            [open(1), frame(PRIORITY, 0, 1, &priority(1))].concat(),
            EndStream,
        ),
        // Each frame's own rules.
        ("H2-19 a body on stream 0", frame(DATA, 0, 0, b"a"), End),
        (
            "H2-19 a body shorter than its padding",
            [open(1), frame(DATA, PADDED, 1, &padded(9, b"a"))].concat(),
            End,
        ),
        ("H2-19 a head on stream 0", open(0), End),
        (
            "H2-19 a head shorter than its padding",
            frame(HEADERS, END_HEADERS | PADDED, 1, &padded(200, &head())),
            End,
        ),
        (
            "H2-19 a priority on stream 0",
            frame(PRIORITY, 0, 0, &priority(3)),
            End,
        ),
        (
            "H2-19 a priority of another length",
            [open(1), frame(PRIORITY, 0, 1, b"1234")].concat(),
            EndStream,
        ),
        ("H2-19 a reset on stream 0", reset(0), End),
        (
            "H2-19 a reset of another length",
            [open(1), frame(RST_STREAM, 0, 1, b"123")].concat(),
            End,
        ),
        (
            "H2-19 settings on a stream",
            frame(SETTINGS, 0, 1, b""),
            End,
        ),
        (
            "H2-19 settings of another length",
            frame(SETTINGS, 0, 0, b"123"),
            End,
        ),
        (
            "H2-19 acknowledged settings with a payload",
            frame(SETTINGS, 1, 0, &[0; 6]),
            End,
        ),
        ("H2-19 push by 2", setting(2, 2), End),
        ("H2-19 a window above 2^31", setting(4, 1 << 31), End),
        ("H2-19 frames below 16 KiB", setting(5, 16_383), End),
        ("H2-19 frames above 2^24", setting(5, 1 << 24), End),
        (
            "H2-19 a push by a client",
            [
                open(1),
                frame(
                    PUSH_PROMISE,
                    END_HEADERS,
                    1,
                    &[&[0, 0, 0, 2][..], &head()].concat(),
                ),
            ]
            .concat(),
            End,
        ),
        (
            "H2-19 a ping on a stream",
            frame(PING, 0, 1, b"12345678"),
            End,
        ),
        (
            "H2-19 a ping of another length",
            frame(PING, 0, 0, b"1234567"),
            End,
        ),
        (
            "H2-19 a farewell on a stream",
            [open(1), frame(GOAWAY, 0, 1, &[0; 8])].concat(),
            End,
        ),
        ("H2-19 a window by 0", window(0, 0), End),
        (
            "H2-19 a stream's window by 0",
            [open(1), window(1, 0)].concat(),
            EndStream,
        ),
        (
            "H2-19 a window of another length",
            frame(WINDOW_UPDATE, 0, 0, b"123"),
            End,
        ),
        (
            "H2-19 a window beyond 2^31",
            window(0, 0x7fff_ffff).repeat(2),
            End,
        ),
        (
            "H2-19 a stream's window beyond 2^31",
            [open(1), window(1, 0x7fff_ffff).repeat(2)].concat(),
            EndStream,
        ),
        (
            "H2-19 a stream's window beyond 2^31 by settings",
            [open(1), window(1, 0x7fff_0000), setting(4, 0x7fff_ffff)].concat(),
            End,
        ),
    ]
}

/// What a client sees of what it has sent.
fn seen(tls: &Tls, bytes: &[u8]) -> Must {
    const FIRST: &[u8; 8] = b"the 1st.";
    const LAST: &[u8; 8] = b"the last";
    let mut frames = tls.open();
    frames.send([bytes, &frame(PING, 0, 0, FIRST)].concat());
    let mut is_reset = false;
    loop {
        let came = frames.wait_for(SOON, |came| matches!(came.kind, GOAWAY | RST_STREAM | PING));
        match came {
            None => return End,
            Some(came) if came.kind == GOAWAY => {
                assert_ne!(came.code(), 0, "an error");
                assert_eq!(frames.end(SOON), None, "nothing more");
                return End;
            }
            // Whoever is answered early is asked for no more.
            Some(came) if came.kind == RST_STREAM => is_reset |= came.code() != 0,
            // A ping is answered before the streams are looked at.
            Some(came) if came.payload == FIRST => drop(frames.send(frame(PING, 0, 0, LAST))),
            Some(came) if came.payload == LAST && is_reset => return EndStream,
            Some(came) if came.payload == LAST => return Pass,
            Some(_) => {}
        }
    }
}

#[test]
fn h2_19_frames_that_are_not_allowed_end_their_stream_or_the_connection() {
    let upstream = Upstream::start();
    let (gateway, tls) = Tls::start(Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for (name, bytes, must) in rows() {
        cases.case(name, || {
            let found = seen(&tls, &bytes);
            let is_right = found == must || (found, must) == (End, EndStream);
            assert!(is_right, "{found:?}, where {must:?} is right");
        });
    }
    cases.case("H2-19 another preface", || {
        let mut frames = tls.connect();
        frames.send([&PREFACE[..20], b"XX\r\n", &frame(SETTINGS, 0, 0, b"")].concat());
        assert!(matches!(frames.end(SOON), None | Some(1..)));
    });
    cases.case("H2-19 no settings first", || {
        let mut frames = tls.connect();
        frames.send([PREFACE, &frame(PING, 0, 0, b"12345678")].concat());
        let found = frames.wait_for(SOON, |came| matches!(came.kind, PING | GOAWAY));
        // `h2` waits for them without insisting that they come first.
        assert!(found.is_none_or(|came| came.kind == PING || came.code() != 0));
    });
    cases.finish();
    assert_eq!(upstream.count(), 0, "forwarded");
    assert_eq!(tls.client().ask(&Delivery::fresh()).status, 200);
    gateway.expect_serving();
}
