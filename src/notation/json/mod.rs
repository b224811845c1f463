//! One pass over a JSON text: is it one, and what stands at a few places in it (SPEC 2.6)?
//!
//! No tree is built: the text is judged by RFC 8259's grammar and by our own limits (UTF-8 without a byte-order mark,
//! nothing after the value, nesting up to [`MAX_DEPTH`]), and the values at the [`Places`] asked for are handed out as
//! slices of it. A key on the way to such a place must not appear twice in its object, since two parsers could
//! disagree about which one counts. What the values mean is not decided here but in [`super`].

mod each;
mod error;
mod fields;
mod places;
mod pointer;
pub mod text;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use self::each::MAX_EACH;
pub use self::error::JsonError;
pub use self::fields::{Field, Fields, MAX_TEXT};
pub use self::places::{EachSlot, Places, Slot, Values};
pub use self::pointer::Pointer;
pub use self::value::Value;
pub use self::walk::MAX_DEPTH;
