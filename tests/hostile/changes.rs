//! Everything that a stranger can change in a captured delivery without a key. The changes follow from the delivery's
//! parts alone: nothing here knows a preset.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::captured::Captured;

/// The most pairs that are tried of changes that pass the proof, and of others, spread evenly over all such pairs.
const MOST_PASSING: usize = 300;
const MOST_OTHERS: usize = 100;

/// A change of a single thing, or bytes that move from one part into another.
pub(crate) struct Change {
    /// The changed parts, a bit for each: two changes that share no part can be made together.
    touches: u64,
    make: Box<dyn Fn(&mut Captured)>,
}

impl Change {
    pub(crate) fn of(&self, good: &Captured) -> Captured {
        let mut changed = good.clone();
        (self.make)(&mut changed);
        changed
    }
}

/// A part of a delivery that holds text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Query,
    Header(usize),
    /// A piece of the body.
    Piece(usize),
}

const METHOD: u64 = 1;

impl Part {
    fn bit(self) -> u64 {
        match self {
            Self::Path => 2,
            Self::Query => 4,
            Self::Piece(_) => 8,
            Self::Header(at) => 16 << at,
        }
    }

    fn of(self, captured: &mut Captured) -> &mut Vec<u8> {
        match self {
            Self::Path => &mut captured.path,
            Self::Query => &mut captured.query,
            Self::Header(at) => &mut captured.headers[at].1,
            Self::Piece(at) => &mut captured.body[at],
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

struct Changes<'g> {
    good: &'g Captured,
    all: Vec<Change>,
}

impl Changes<'_> {
    fn add(&mut self, touches: u64, make: impl Fn(&mut Captured) + 'static) {
        let make = Box::new(make);
        self.all.push(Change { touches, make });
    }

    /// Gives a part another text, as far as it is another and can be sent.
    fn set(&mut self, part: Part, text: &[u8]) {
        let mut own = self.good.clone();
        let old = part.of(&mut own);
        let in_head = !matches!(part, Part::Piece(_));
        let cannot_be_sent = in_head && text.iter().any(u8::is_ascii_control)
            || matches!(part, Part::Path | Part::Query) && text.contains(&b' ');
        if old.as_slice() != text && !cannot_be_sent {
            let text = text.to_vec();
            self.add(part.bit(), move |c| part.of(c).clone_from(&text));
        }
    }

    /// Other texts, and other spellings of the same text.
    fn spell(&mut self, part: Part) {
        let mut own = self.good.clone();
        let old = part.of(&mut own).clone();
        let (first, rest) = match old.split_first() {
            Some((first, rest)) => (format!("{first:02x}"), rest),
            None => (String::new(), old.as_slice()),
        };
        let url_safe = |byte: &u8| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        };
        let unpadded = old.strip_suffix(b"=").unwrap_or(&old);
        let texts = [
            Vec::new(),
            b"other".to_vec(),
            [&old[..], b"0"].concat(),
            [b"0", &old[..]].concat(),
            [&old[..], b","].concat(),
            [&old[..], b",", &old[..]].concat(),
            [b"\"", &old[..], b"\""].concat(),
            [b" ", &old[..], b" "].concat(),
            [b"\t", &old[..]].concat(),
            old.to_ascii_uppercase(),
            old.to_ascii_lowercase(),
            old.iter().map(url_safe).collect(),
            unpadded.to_vec(),
            [b"%", first.as_bytes(), rest].concat(),
            [b"\\u00", first.as_bytes(), rest].concat(),
        ];
        for text in texts {
            self.set(part, &text);
        }
        // More than an entry takes of any kind.
        for number in 0..6 {
            self.set(part, format!("made.up.{number}").as_bytes());
        }
    }

    fn headers(&mut self) {
        for at in 0..self.good.headers.len() {
            let part = Part::Header(at);
            self.spell(part);
            let (name, value) = self.good.headers[at].clone();
            for name in ["", &name.to_uppercase(), &name.replace('-', "_")] {
                let name = name.to_owned();
                self.add(part.bit(), move |c| c.headers[at].0.clone_from(&name));
            }
            for value in [value, b"other".to_vec(), Vec::new()] {
                let line = (name.clone(), value);
                let own = line.clone();
                self.add(0, move |c| c.first.push(own.clone()));
                self.add(0, move |c| c.last.push(line.clone()));
            }
        }
        for (name, value) in [
            ("X-Forwarded-For", "192.0.2.9"),
            ("Content-Type", "text/plain"),
            ("Content-Encoding", "identity"),
            ("X-HTTP-Method-Override", "PUT"),
            ("X-Original-URL", "/x"),
            ("Idempotency-Key", "x"),
            ("X-Verigate-Event-Id", "x"),
        ] {
            self.add(0, move |c| c.last.push((name.to_owned(), value.into())));
        }
    }

    fn target(&mut self) {
        for method in ["PUT", "GET"] {
            self.add(METHOD, move |c| method.clone_into(&mut c.method));
        }
        for part in [Part::Path, Part::Query] {
            self.spell(part);
        }
        for text in [&b"b"[..], b"./a", b"a/", b"a;x", b"a%2f", b"%61"] {
            self.set(Part::Path, text);
        }
        let query = self.good.query.clone();
        for more in [&b"&x=1"[..], b"&", b"#x", b"&data.id=other"] {
            self.set(Part::Query, &[&query, more].concat());
            self.set(Part::Query, &[more, &query].concat());
        }
        self.add(Part::Query.bit(), |c| {
            c.mark = "";
            c.query.clear();
        });
    }

    fn body(&mut self) {
        let last = self.good.body.len() - 1;
        let ends = (Part::Piece(0), Part::Piece(last));
        let (begins, ends_with) = (self.good.body[0].clone(), self.good.body[last].clone());
        for more in [
            &b" "[..],
            b"\n",
            b"&",
            b"\0",
            b"\xef\xbb\xbf",
            b"{}",
            b"&x=1",
            b"x=1&",
        ] {
            self.set(ends.0, &[more, &begins].concat());
            self.set(ends.1, &[&ends_with, more].concat());
        }
        for at in (1..last).step_by(2) {
            self.spell(Part::Piece(at));
            // A member of JSON: a second time, before and behind all others.
            if self.good.body[at + 1].starts_with(b"\":") {
                let member = [b"\"", &self.good.body[at][..], b"\":\"other\""].concat();
                self.member(&member);
            }
        }
        self.member(b"\"made_up\":1");
        let whole = self.good.whole_body();
        let packed = gzip(&whole);
        self.add(Part::Piece(0).bit(), move |c| {
            c.body = vec![packed.clone()];
            c.last
                .push(("Content-Encoding".to_owned(), b"gzip".to_vec()));
        });
        if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&whole) {
            let spaced = serde_json::to_vec_pretty(&json).unwrap();
            self.add(Part::Piece(0).bit(), move |c| c.body = vec![spaced.clone()]);
        }
        if !whole.contains(&b'{') {
            let mut fields: Vec<_> = whole.split(|byte| *byte == b'&').collect();
            fields.reverse();
            let swapped = fields.join(&b'&');
            self.add(Part::Piece(0).bit(), move |c| {
                c.body = vec![swapped.clone()];
            });
        }
    }

    fn member(&mut self, member: &[u8]) {
        let whole = self.good.whole_body();
        let open = whole.iter().position(|byte| *byte == b'{');
        let closed = whole.iter().rposition(|byte| *byte == b'}');
        if let (Some(open), Some(closed)) = (open, closed) {
            let first = [&whole[..=open], member, b",", &whole[open + 1..]].concat();
            let last = [&whole[..closed], b",", member, &whole[closed..]].concat();
            for body in [first, last] {
                self.add(Part::Piece(0).bit(), move |c| c.body = vec![body.clone()]);
            }
        }
    }

    /// Bytes that move over the border between two parts, in both directions.
    fn moves(&mut self) {
        let last = self.good.body.len() - 1;
        let headers = (0..self.good.headers.len()).map(Part::Header);
        let head: Vec<_> = [Part::Path, Part::Query]
            .into_iter()
            .chain(headers)
            .collect();
        for (place, one) in head.iter().enumerate() {
            for other in &head[place + 1..] {
                self.exchange(*one, *other, 3);
            }
            for at in 0..=last {
                let is_value = at % 2 == 1;
                if is_value || at == 0 || at == last {
                    self.exchange(*one, Part::Piece(at), if is_value { 1 } else { 3 });
                }
            }
        }
        for at in (1..last).step_by(2) {
            for next in [at + 2, at + 4, at + 6] {
                if next < last {
                    self.exchange(Part::Piece(at), Part::Piece(next), 3);
                }
            }
        }
    }

    /// From the end of either part to the beginning of the other, and from its beginning to the other's end.
    fn exchange(&mut self, one: Part, other: Part, most: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let mut own = self.good.clone();
            let (given, taken) = (from.of(&mut own).clone(), to.of(&mut own).clone());
            for count in 1..=most.min(given.len()) {
                let (kept, moved) = given.split_at(given.len() - count);
                self.moved(from, kept, to, &[moved, &taken].concat());
                let (moved, kept) = given.split_at(count);
                self.moved(from, kept, to, &[&taken, moved].concat());
            }
        }
    }

    fn moved(&mut self, from: Part, kept: &[u8], to: Part, taken: &[u8]) {
        let is_bad = |part, text: &[u8]| {
            !matches!(part, Part::Piece(_)) && text.iter().any(u8::is_ascii_control)
                || matches!(part, Part::Path | Part::Query) && text.contains(&b' ')
        };
        if is_bad(to, taken) {
            return;
        }
        let (kept, taken) = (kept.to_vec(), taken.to_vec());
        self.add(from.bit() | to.bit(), move |c| {
            from.of(c).clone_from(&kept);
            to.of(c).clone_from(&taken);
        });
    }
}

/// Every change of a single thing.
pub(crate) fn singles(good: &Captured) -> Vec<Change> {
    let mut changes = Changes {
        good,
        all: Vec::new(),
    };
    changes.headers();
    changes.target();
    changes.body();
    changes.moves();
    changes.all
}

/// Both changes at one time, for two that concern different parts: of those that the proof let pass alone, and of all.
pub(crate) fn pairs(good: &Captured, pass: &[Change], refused: &[Change]) -> Vec<Captured> {
    let both = |one: &Change, other: &Change| {
        let mut changed = one.of(good);
        (other.make)(&mut changed);
        changed
    };
    let spread = |pairs: Vec<(&Change, &Change)>, most: usize| -> Vec<Captured> {
        let apart: Vec<_> = pairs
            .into_iter()
            .filter(|(one, other)| one.touches & other.touches == 0)
            .collect();
        let step = apart.len().div_ceil(most).max(1);
        let spread = apart.into_iter().step_by(step);
        spread.map(|(one, other)| both(one, other)).collect()
    };
    let passing = (0..pass.len())
        .flat_map(|at| pass[at + 1..].iter().map(move |other| (&pass[at], other)))
        .collect();
    let others = refused
        .iter()
        .enumerate()
        .flat_map(|(at, one)| {
            let rest = refused[at + 1..].iter().chain(pass);
            rest.map(move |other| (one, other))
        })
        .collect();
    [spread(passing, MOST_PASSING), spread(others, MOST_OTHERS)].concat()
}
