//! The kinds of damage that is done to members without a value: nulls and zeros that a library
//! added or dropped.

use super::bodies::{AGAIN, signed_as};
use super::kinds::{Kind, kind};

pub(super) static KINDS: &[Kind] = &[
    kind("one null of two added", AGAIN, |d| {
        signed_as(
            d,
            r#"{"id":"evt_7","type":"a","note":null}"#,
            r#"{"id":"evt_7","type":"a","old":null,"note":null}"#,
        )
    }),
    kind("a null added beside a list with a null", AGAIN, |d| {
        signed_as(
            d,
            r#"{"id":"evt_7","type":"a","list":[null,1]}"#,
            r#"{"id":"evt_7","type":"a","old":null,"list":[null,1]}"#,
        )
    }),
    kind("nulls added inside, spaced", AGAIN, |d| {
        signed_as(
            d,
            r#"{"id": "evt_7", "type": "a", "data": {"n": null, "m": 1}}"#,
            r#"{"id":"evt_7","type":"a","data":{"n":null,"m":1,"o":null},"p":null}"#,
        )
    }),
    kind("zero values added", AGAIN, |d| {
        signed_as(
            d,
            r#"{"id":"evt_7","type":"a"}"#,
            r#"{"id":"evt_7","type":"a","count":0,"done":false,"name":"","list":[]}"#,
        )
    }),
    kind("nulls of a list's items dropped", AGAIN, |d| {
        signed_as(
            d,
            r#"{"id":"evt_7","type":"a","items":[{"a":1,"b":null},{"a":2,"b":3}]}"#,
            r#"{"id":"evt_7","type":"a","items":[{"a":1},{"a":2,"b":3}]}"#,
        )
    }),
    kind("nulls dropped, with a length", AGAIN, |d| {
        let signed = r#"{"id":"evt_7","type":"a","old":null,"note":null}"#;
        d.lines
            .push(("Content-Length".to_owned(), signed.len().to_string()));
        signed_as(d, signed, r#"{"id":"evt_7","type":"a"}"#)
    }),
];
