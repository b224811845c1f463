//! The places that a caller asks for in a JSON text, and the values found there.
//!
//! Pointers are split once per route, not per delivery. The pass over a body is
//! [`super::walk::walk`]; pointers with `*` are in [`super::each`].

use simdutf8::basic::from_utf8;

use super::each::Chain;
use super::error::JsonError;
use super::pointer::{Pointer, index};
use super::text::Text;
use super::value::Value;
use super::walk::{Search, walk};
use super::work::work;

/// The body without the byte-order mark with which it may begin (RFC 8259 section 8.1).
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// A set of places. Their pointers are merged into a tree, so that each key of the text is compared
/// once per level.
#[derive(Clone, Debug)]
pub struct Places {
    root: Node,
    count: usize,
    each: Vec<Chain>,
    is_exact: bool,
}

/// The place in [`Values`] of a pointer's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// The place in [`Values`] of the list of values of a pointer with `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EachSlot(usize);

/// A token of one or more pointers, in the tree of all pointers.
#[derive(Clone, Debug)]
struct Node {
    /// The token as a key of an object.
    key: String,
    /// The same token as an index of an array, if it is a valid index.
    index: Option<usize>,
    slot: usize,
    children: Vec<Node>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: Node::new("", 0),
            count: 1,
            each: Vec::new(),
            is_exact: false,
        }
    }
}

impl Places {
    /// Places of a text in which no key on the path to a place may be written in another case, even
    /// alone. It is for signed values that may be absent: a parser that takes no account of case
    /// would find a value that nobody signed.
    pub fn exact() -> Self {
        Self {
            is_exact: true,
            ..Self::default()
        }
    }

    /// Adds a place and returns its slot, which is the same for the same pointer. A `*` in the
    /// pointer is a key like any other.
    pub fn add(&mut self, pointer: &Pointer) -> Slot {
        let mut node = &mut self.root;
        for token in &pointer.tokens {
            let known = node.children.iter().position(|child| child.key == *token);
            let place = known.unwrap_or_else(|| {
                node.children.push(Node::new(token, self.count));
                self.count += 1;
                node.children.len() - 1
            });
            // `place` was found or pushed just above.
            let Some(child) = node.children.get_mut(place) else {
                break;
            };
            node = child;
        }
        Slot(node.slot)
    }

    /// Adds all places of a pointer in which `*` means each element of an array, and returns their
    /// slot, which is the same for the same pointer. See [`Values::each`].
    pub fn add_each(&mut self, pointer: &Pointer) -> EachSlot {
        let chain = Chain::new(pointer);
        EachSlot(
            self.each
                .iter()
                .position(|known| *known == chain)
                .unwrap_or_else(|| {
                    self.each.push(chain);
                    self.each.len() - 1
                }),
        )
    }

    /// Judges `body` and finds the values at the places: in one pass, and in another pass for each
    /// pointer with `*`. One byte-order mark at the very start is skipped.
    ///
    /// # Errors
    /// The reason why `body` is not a JSON text; a key that is repeated on the path to a place;
    /// more than `MAX_EACH` values for a pointer with `*`; for [`exact`](Self::exact) places, a key
    /// in another case.
    pub fn scan<'b>(&self, body: &'b [u8]) -> Result<Values<'b>, JsonError> {
        // The pass judges each string by itself, so it may meet another fault first.
        self.find(body).map_err(|fault| match from_utf8(body) {
            Ok(_) => fault,
            Err(_) => JsonError::NotUtf8,
        })
    }

    /// The work of [`scan`](Self::scan), estimated as a number of bytes that take as long to hash.
    /// Costs a fraction of it, and nothing for a short body.
    pub fn work(&self, body: &[u8]) -> u64 {
        // Each pointer with `*` has a pass of its own.
        work(body).saturating_mul(1 + self.each.len() as u64)
    }

    fn find<'b>(&self, body: &'b [u8]) -> Result<Values<'b>, JsonError> {
        let text = without_mark(body);
        if without_mark(text).len() < text.len() {
            return Err(JsonError::ByteOrderMark);
        }
        let mut slots = Slots {
            values: SlotValues::absent(self.count),
            is_exact: self.is_exact,
        };
        walk(text, &mut slots, &self.root)?;
        let each = self
            .each
            .iter()
            .map(|chain| chain.scan(text, self.is_exact))
            .collect::<Result<_, _>>()?;
        Ok(Values {
            slots: slots.values,
            each,
        })
    }
}

impl Node {
    fn new(token: &str, slot: usize) -> Self {
        Self {
            key: token.to_owned(),
            index: index(token),
            slot,
            children: Vec::new(),
        }
    }
}

/// The number of slots whose values need no allocation. Few routes ask for more.
const FEW: usize = 8;

/// A value for each slot.
#[derive(Clone, Debug)]
struct SlotValues<'b> {
    few: [Value<'b>; FEW],
    more: Vec<Value<'b>>,
}

impl<'b> SlotValues<'b> {
    fn absent(count: usize) -> Self {
        Self {
            few: [Value::Absent; FEW],
            more: vec![Value::Absent; count.saturating_sub(FEW)],
        }
    }

    fn get(&self, slot: usize) -> Option<&Value<'b>> {
        let more = || self.more.get(slot.checked_sub(FEW)?);
        self.few.get(slot).or_else(more)
    }

    fn get_mut(&mut self, slot: usize) -> Option<&mut Value<'b>> {
        match slot.checked_sub(FEW) {
            None => self.few.get_mut(slot),
            Some(slot) => self.more.get_mut(slot),
        }
    }
}

/// The values that a scan has found.
#[derive(Clone, Debug)]
pub struct Values<'b> {
    slots: SlotValues<'b>,
    each: Vec<Vec<Value<'b>>>,
}

impl<'b> Values<'b> {
    /// The value at the place of `slot`.
    pub fn at(&self, slot: Slot) -> Value<'b> {
        self.slots.get(slot.0).copied().unwrap_or(Value::Absent)
    }

    /// The values at the places of `slot`, in the order of the text; at most `MAX_EACH`. An empty
    /// array adds no value. So that no element goes unnoticed, the list has [`Value::Absent`] for
    /// each element that lacks the rest of the pointer, and for each place where `*` meets anything
    /// but an array, or nothing.
    pub fn each(&self, slot: EachSlot) -> &[Value<'b>] {
        self.each.get(slot.0).map_or(&[], Vec::as_slice)
    }
}

/// The values found so far, by slot. A key on the path to a place may occur only once in its
/// object, so each place is visited at most once.
struct Slots<'b> {
    values: SlotValues<'b>,
    is_exact: bool,
}

/// An open object or array on the path to a place.
struct Step<'p> {
    node: &'p Node,
    /// In an array, the index of the next element.
    index: usize,
    /// The children whose keys were seen, in this or another case: a bit for each of the first 128.
    /// No scheme has more; of a further one only the exact key is noticed again.
    seen: u128,
}

impl<'p, 'b> Search<'b, &'p Node> for Slots<'b> {
    type Step = Step<'p>;

    fn value(&mut self, node: &'p Node, value: Value<'b>) -> Result<Option<Step<'p>>, JsonError> {
        if let Some(slot) = self.values.get_mut(node.slot) {
            *slot = value;
        }
        Ok((!node.children.is_empty()).then_some(Step {
            node,
            index: 0,
            seen: 0,
        }))
    }

    fn key(&mut self, step: &mut Step<'p>, key: Text<'b>) -> Result<Option<&'p Node>, JsonError> {
        let mut found = None;
        for (place, child) in step.node.children.iter().enumerate() {
            if !key.is_but_for_case(&child.key) {
                continue;
            }
            if self.is_exact && !key.is(&child.key) {
                return Err(JsonError::OtherCase);
            }
            // Two places may differ in case alone. Then either key repeats the other.
            let bit = 1_u128.checked_shl(u32::try_from(place).unwrap_or(u32::MAX));
            let is_seen = bit.map_or_else(
                || self.values.get(child.slot) != Some(&Value::Absent),
                |bit| step.seen & bit != 0,
            );
            if is_seen {
                return Err(JsonError::RepeatedKey);
            }
            step.seen |= bit.unwrap_or(0);
            if key.is(&child.key) {
                found = Some(child);
            }
        }
        Ok(found)
    }

    fn element(&mut self, step: &mut Step<'p>) -> Option<&'p Node> {
        step.index += 1;
        step.node
            .children
            .iter()
            .find(|child| child.index == Some(step.index - 1))
    }

    fn close(&mut self, _: Step<'p>) -> Result<(), JsonError> {
        Ok(())
    }
}
