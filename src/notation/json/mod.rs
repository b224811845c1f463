//! A scanner that judges a JSON text in one pass and finds the values at a few places in it
//! (contract: Envelope).
//!
//! No tree is built. The text is judged by the grammar of RFC 8259 and by limits of our own: UTF-8,
//! nothing after the value, nesting up to [`MAX_DEPTH`]. One byte-order mark at the very start is
//! skipped, which RFC 8259 section 8.1 allows to a reader. The values at
//! the [`Places`] that the caller asks for are returned as slices of the text. A key on the path to
//! such a place must not occur twice in its object, since two parsers could disagree about which of
//! the two values counts. The callers decide what the values mean.

mod each;
mod error;
mod fields;
mod places;
mod pointer;
mod string;
pub mod text;
mod value;
mod walk;
mod work;

#[cfg(test)]
mod tests;

pub use self::each::MAX_EACH;
pub use self::error::JsonError;
pub use self::fields::{Field, Fields, MAX_TEXT};
pub use self::places::{EachSlot, Places, Slot, Values, without_mark};
pub use self::pointer::Pointer;
pub use self::value::Value;
pub use self::walk::MAX_DEPTH;
