//! The spellings of values: hexadecimal and base64, percent escapes, forms, JSON, timestamps.

pub mod encoding;
pub mod form;
pub mod json;
pub mod percent;
pub mod timestamp;
