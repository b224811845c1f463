//! The form in which a shard keeps an entry: 56 bytes, and 64 more for the few that need them.
//!
//! Nearly all entries are of two kinds. Either the id is signed, and what is to be kept is a body
//! and two times; or the content is claimed, and what is to be kept is an unsigned id, and the type
//! of the event or two times. So there is a word for the body or the id, and a word for the times
//! or the variant. Whatever does not fit is kept in a [`Rare`] beside the entry.
//!
//! Nothing is cut that can be compared across entries, except for the digest of the request, of
//! which 48 bits are kept. Only an operator's `forget` looks for it: among ten million entries, it
//! finds an entry of another request once in 28 million calls. Moments at which entries may be
//! forgotten are rounded up to whole seconds.

use super::entry::{Facts, More, Phase};
use crate::clock::UnixMillis;
use crate::verify::claim::{ClaimKey, Mark};

/// The number of an entry's place in its shard's slab.
pub(super) type Slot = u32;

/// The number of slots of a slab is at most this, because the index keeps 24 bits of a slot.
pub(super) const SLOTS: Slot = (1 << 24) - 1;

/// The value for "no slot" in a link: an `Option` would double its size.
pub(super) const NONE: Slot = Slot::MAX;

/// The number of a route in a shard must be smaller.
pub(super) const ROUTES: u32 = 1 << 24;

/// The neighbours of an entry in the list of its route. While the first variant is in flight the
/// entry is in no list, and its serial is kept here. Of a vacant slot, `next` is the next vacant one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) prev: Slot,
    pub(super) next: Slot,
}

/// The link of an entry in no list.
pub(super) const UNLINKED: Link = Link {
    prev: NONE,
    next: NONE,
};

/// An entry. Keys and words are bytes, because the alignment of a `u64` would cost 4 bytes.
#[derive(Debug)]
pub(super) struct Entry {
    key: [u8; 16],
    word: [u8; 8],
    second: [u8; 8],
    request: [u8; 6],
    /// How many uses of its route lie between the entry and its neighbour in front, as far as there
    /// is room: see [`List`](super::slab::List).
    pub(super) step: u16,
    /// In seconds: while nothing is done, the ttl; afterwards the last moment of the monotonic
    /// clock at which the entry must be kept.
    pub(super) keep_s: u32,
    pub(super) link: Link,
    /// The number of the entry's route in the shard, and in the lowest byte its [`Form`].
    route_and_form: u32,
}

/// The state of the first variant, and the meaning of an entry's two words. In bits: two for the
/// phase, two for the word, two for the second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    phase: Phase,
    word: Word,
    second: Second,
}

/// The meaning of the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The mark of the body. The delivery has no id.
    Body,
    /// The mark of the body. The mark of the event is that of the claim key.
    BodyOfNamed,
    /// The mark of the event. There is no body to compare.
    Event,
    /// The number of a [`Rare`], which has everything; the second word is unused.
    Rare,
}

/// The meaning of the second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// The mark of the variant. There is no timestamp.
    Variant,
    /// The signed timestamp, which does not become stale. There is a single variant.
    Signed,
    /// The last whole second at which the timestamp is within the tolerance, and by how many
    /// milliseconds the timestamp precedes it. There is a single variant.
    Times,
}

/// The facts of an entry that do not fit into 56 bytes, and what grows with further claims.
#[derive(Debug)]
pub(super) struct Rare {
    body: Mark,
    variant: Mark,
    event: Mark,
    path: Mark,
    signed_at: UnixMillis,
    fresh_until: UnixMillis,
    more: Option<Box<More>>,
    has_event: bool,
    has_path: bool,
}

/// The value for "no timestamp" in a [`Rare`].
const UNDATED: UnixMillis = UnixMillis(i64::MIN);

/// The facts of an entry as two words; `None` if they do not fit. The moment at which the timestamp
/// becomes stale is rounded up to a millisecond after a whole second. So it is exact where
/// timestamps are in whole seconds.
fn words(facts: &Facts, key: ClaimKey) -> Option<((Word, u64), (Second, u64))> {
    const NOTHING: Mark = Mark(0);
    if facts.path.is_some() {
        return None;
    }
    let word = match facts.event {
        None => (Word::Body, facts.body.0),
        Some(event) if event == key.mark() => (Word::BodyOfNamed, facts.body.0),
        Some(event) if facts.body == NOTHING => (Word::Event, event.0),
        Some(_) => return None,
    };
    let second = match (facts.signed_at, facts.fresh_until) {
        (None, None) => (Second::Variant, facts.variant.0),
        (Some(signed_at), None) if facts.variant == NOTHING => {
            (Second::Signed, signed_at.0.cast_unsigned())
        }
        (Some(UnixMillis(signed_at)), Some(UnixMillis(fresh_until)))
            if facts.variant == NOTHING =>
        {
            let last_s = fresh_until.checked_add(998)?.div_euclid(1000);
            let before = last_s.checked_mul(1000)?.checked_sub(signed_at)?;
            let halves = [u32::try_from(before).ok()?, u32::try_from(last_s).ok()?];
            (Second::Times, joined(halves))
        }
        _ => return None,
    };
    Some((word, second))
}

impl Entry {
    /// A vacant slot.
    pub(super) fn vacant() -> Self {
        Self {
            key: [0; 16],
            word: [0; 8],
            second: [0; 8],
            request: [0; 6],
            step: 0,
            keep_s: 0,
            link: UNLINKED,
            route_and_form: 0,
        }
    }

    /// Names the entry. Its facts follow.
    pub(super) fn name(&mut self, key: ClaimKey, request: Mark, route: u32) {
        self.key = key.0.to_le_bytes();
        self.request = requested(request);
        self.route_and_form = route << 8 | self.route_and_form & 0xff;
    }

    /// The claimed key.
    pub(super) fn key(&self) -> ClaimKey {
        ClaimKey(u128::from_le_bytes(self.key))
    }

    /// As much as is kept of the digest of the request that made the entry.
    pub(super) fn request(&self) -> Mark {
        let of_bytes = |high: u64, byte: &u8| high << 8 | u64::from(*byte);
        Mark(self.request.iter().rev().fold(0, of_bytes))
    }

    /// Whether this request made the entry.
    pub(super) fn is_of_request(&self, request: Mark) -> bool {
        self.request == requested(request)
    }

    /// The number of the entry's route in the shard.
    pub(super) fn route(&self) -> u32 {
        self.route_and_form >> 8
    }

    /// The state of the first variant.
    pub(super) fn phase(&self) -> Phase {
        self.form().phase
    }

    /// Sets the state of the first variant.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.set_form(Form {
            phase,
            ..self.form()
        });
    }

    /// The serial of the ticket of the first variant, which must be in flight.
    pub(super) fn serial(&self) -> u64 {
        joined([self.link.prev, self.link.next])
    }

    /// Sets that serial.
    pub(super) fn set_serial(&mut self, serial: u64) {
        let [prev, next] = halves(serial);
        self.link = Link { prev, next };
    }

    /// The number of the entry's [`Rare`], if it has any.
    pub(super) fn rare(&self) -> Option<u32> {
        let [number, _] = halves(u64::from_le_bytes(self.word));
        (self.form().word == Word::Rare).then_some(number)
    }

    /// Says that the facts are in this [`Rare`].
    pub(super) fn set_rare(&mut self, number: u32) {
        self.word = u64::from(number).to_le_bytes();
        self.set_form(Form {
            word: Word::Rare,
            ..self.form()
        });
    }

    /// Keeps facts in the entry, which must have no [`Rare`]. `false` if they do not fit.
    pub(super) fn keep(&mut self, facts: &Facts) -> bool {
        let Some(((word, first), (second, other))) = words(facts, self.key()) else {
            return false;
        };
        self.word = first.to_le_bytes();
        self.second = other.to_le_bytes();
        self.set_form(Form {
            word,
            second,
            ..self.form()
        });
        true
    }

    /// The facts of an entry that has no [`Rare`].
    pub(super) fn facts(&self) -> Facts {
        let Form { word, second, .. } = self.form();
        let mut facts = Facts::default();
        let first = Mark(u64::from_le_bytes(self.word));
        match word {
            Word::Body | Word::Rare => facts.body = first,
            Word::BodyOfNamed => {
                facts.body = first;
                facts.event = Some(self.key().mark());
            }
            Word::Event => facts.event = Some(first),
        }
        match second {
            Second::Variant => facts.variant = Mark(u64::from_le_bytes(self.second)),
            Second::Signed => {
                facts.signed_at = Some(UnixMillis(u64::from_le_bytes(self.second).cast_signed()));
            }
            Second::Times => {
                let [before, _] = halves(u64::from_le_bytes(self.second));
                facts.signed_at = Some(UnixMillis(self.last_ms() - i64::from(before)));
                facts.fresh_until = self.fresh_until();
            }
        }
        facts
    }

    /// [`Facts::fresh_until`] of an entry that has no [`Rare`].
    pub(super) fn fresh_until(&self) -> Option<UnixMillis> {
        (self.form().second == Second::Times).then(|| UnixMillis(self.last_ms() + 1))
    }

    fn last_ms(&self) -> i64 {
        let [_, last_s] = halves(u64::from_le_bytes(self.second));
        i64::from(last_s) * 1000
    }

    fn form(&self) -> Form {
        let bits = self.route_and_form;
        Form {
            phase: match bits & 3 {
                0 => Phase::Vacant,
                1 => Phase::InFlight,
                2 => Phase::Done,
                _ => Phase::Again,
            },
            word: match bits >> 2 & 3 {
                0 => Word::Body,
                1 => Word::BodyOfNamed,
                2 => Word::Event,
                _ => Word::Rare,
            },
            second: match bits >> 4 & 3 {
                0 => Second::Variant,
                1 => Second::Signed,
                _ => Second::Times,
            },
        }
    }

    fn set_form(&mut self, form: Form) {
        let bits = form.phase as u32 | (form.word as u32) << 2 | (form.second as u32) << 4;
        self.route_and_form = self.route_and_form & !0xff | bits;
    }
}

impl Rare {
    /// Keeps facts in full, and what grows.
    pub(super) fn new(facts: &Facts, more: Option<Box<More>>) -> Self {
        Self {
            body: facts.body,
            variant: facts.variant,
            event: facts.event.unwrap_or(Mark(0)),
            path: facts.path.unwrap_or(Mark(0)),
            signed_at: facts.signed_at.unwrap_or(UNDATED),
            fresh_until: facts.fresh_until.unwrap_or(UNDATED),
            more,
            has_event: facts.event.is_some(),
            has_path: facts.path.is_some(),
        }
    }

    /// The facts.
    pub(super) fn facts(&self) -> Facts {
        let dated = |at| (at != UNDATED).then_some(at);
        Facts {
            body: self.body,
            variant: self.variant,
            event: self.has_event.then_some(self.event),
            path: self.has_path.then_some(self.path),
            signed_at: dated(self.signed_at),
            fresh_until: dated(self.fresh_until),
        }
    }

    /// What grows.
    pub(super) fn more(&self) -> Option<&More> {
        self.more.as_deref()
    }

    /// Gives up what grows.
    pub(super) fn take_more(&mut self) -> Option<Box<More>> {
        self.more.take()
    }
}

fn halves(word: u64) -> [u32; 2] {
    [(word & 0xffff_ffff) as u32, (word >> 32) as u32]
}

fn joined([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The bits that are kept of the digest of a request.
fn requested(Mark(request): Mark) -> [u8; 6] {
    let [kept @ .., _, _] = request.to_le_bytes();
    kept
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_takes_56_bytes_and_the_rest_of_a_rare_one_64() {
        assert_eq!((size_of::<Entry>(), size_of::<Rare>()), (56, 64));
    }

    fn moments() -> impl Strategy<Value = UnixMillis> {
        prop_oneof![
            (0_i64..5_000_000).prop_map(|s| UnixMillis(s * 1000)),
            (-5_i64..5_000_000_000).prop_map(UnixMillis),
            Just(UnixMillis(i64::MAX)),
            Just(UnixMillis(i64::MIN + 1)),
        ]
    }

    fn marks() -> impl Strategy<Value = Mark> {
        prop_oneof![Just(Mark(0)), any::<u64>().prop_map(Mark)]
    }

    prop_compose! {
        fn all_facts()(
            body in marks(),
            variant in marks(),
            event in option::of(marks()),
            path in option::weighted(0.2, marks()),
            signed_at in option::of(moments()),
            fresh_until in option::of(moments()),
        ) -> Facts {
            Facts { body, variant, event, path, signed_at, fresh_until }
        }
    }

    proptest! {
        #[test]
        fn facts_come_out_as_they_went_in(
            facts in all_facts(),
            is_named in any::<bool>(),
            key in any::<u128>(),
            request in any::<u64>(),
            route in 0..ROUTES,
            serial in any::<u64>(),
        ) {
            let key = ClaimKey(key);
            let facts = Facts { event: if is_named { Some(key.mark()) } else { facts.event }, ..facts };
            let mut entry = Entry::vacant();
            entry.name(key, Mark(request), route);
            entry.set_phase(Phase::Again);
            entry.set_serial(serial);
            let fits = entry.keep(&facts);
            if fits {
                let kept = entry.facts();
                let until = |facts: &Facts| facts.fresh_until.map_or(0, |until| until.0);
                prop_assert!((0..1000).contains(&(until(&kept) - until(&facts))));
                prop_assert_eq!(Facts { fresh_until: kept.fresh_until, ..facts }, kept);
                prop_assert_eq!(entry.fresh_until(), kept.fresh_until);
                prop_assert_eq!(entry.rare(), None);
            }
            prop_assert_eq!(Rare::new(&facts, None).facts(), facts);
            entry.set_phase(Phase::Done);
            prop_assert_eq!(
                (entry.key(), entry.route(), entry.phase(), entry.serial()),
                (key, route, Phase::Done, serial)
            );
            prop_assert!(entry.is_of_request(Mark(request)));
            prop_assert!(!entry.is_of_request(Mark(request ^ 1 << (serial % 48))));
        }
    }

    #[test]
    fn the_common_entries_fit() {
        let key = ClaimKey(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let at = |ms| Some(UnixMillis(ms));
        let (body, variant, id) = (Mark(5), Mark(6), Some(Mark(7)));
        let rows = [
            (
                "a signed id, attempts stamped",
                Facts {
                    body,
                    event: Some(key.mark()),
                    signed_at: at(1_750_000_000_123),
                    fresh_until: at(1_750_000_300_124),
                    ..Facts::default()
                },
            ),
            (
                "a signed id, no time",
                Facts {
                    body,
                    event: Some(key.mark()),
                    ..Facts::default()
                },
            ),
            (
                "content with an unsigned id and type",
                Facts {
                    variant,
                    event: id,
                    ..Facts::default()
                },
            ),
            (
                "content with an unsigned id and a time",
                Facts {
                    event: id,
                    signed_at: at(1_750_000_000_000),
                    fresh_until: at(1_750_000_300_001),
                    ..Facts::default()
                },
            ),
            (
                "content with a time that is not judged",
                Facts {
                    signed_at: at(1_750_000_000_000),
                    ..Facts::default()
                },
            ),
        ];
        for (name, facts) in rows {
            assert!(words(&facts, key).is_some(), "{name}");
        }
    }

    #[test]
    fn whole_seconds_are_not_rounded() {
        let facts = Facts {
            signed_at: Some(UnixMillis(1_750_000_000_000)),
            fresh_until: Some(UnixMillis(1_750_000_300_001)),
            ..Facts::default()
        };
        let mut entry = Entry::vacant();
        assert!(entry.keep(&facts));
        assert_eq!(entry.facts(), facts);
    }
}
