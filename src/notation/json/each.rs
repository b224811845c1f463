//! Pointers in which `*` means each element of an array: all values that they name, in a list of
//! bounded length (schemes: Signature).
//!
//! Every element must match, so an element must not be missing from the list: it would pass without
//! being judged. Therefore the list has [`Value::Absent`] wherever the pointer does not fit the
//! text; only an empty array adds nothing. The token `*` is an extension of RFC 6901.

use super::error::JsonError;
use super::pointer::{Pointer, index};
use super::text::Text;
use super::value::Value;
use super::walk::{Search, walk};

/// The most values that are kept for a pointer with `*`.
pub const MAX_EACH: usize = 1024;

/// A pointer with `*`, split into tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `*`: each element of an array.
    Each,
    /// A key of an object. The second field is the same token as an index of an array, if it is a
    /// valid index.
    Named(String, Option<usize>),
}

impl Chain {
    pub(super) fn new(pointer: &Pointer) -> Self {
        let token = |text: &String| match text.as_str() {
            Pointer::EACH => Token::Each,
            name => Token::Named(name.to_owned(), index(name)),
        };
        Self(pointer.tokens.iter().map(token).collect())
    }

    /// Finds the values at the places of this pointer. `text` is judged once more in the same pass.
    pub(super) fn scan<'b>(
        &self,
        text: &'b [u8],
        is_exact: bool,
    ) -> Result<Vec<Value<'b>>, JsonError> {
        let mut found = Found {
            values: Vec::new(),
            is_exact,
        };
        walk(text, &mut found, self.0.as_slice())?;
        Ok(found.values)
    }
}

/// The values found so far.
struct Found<'b> {
    values: Vec<Value<'b>>,
    is_exact: bool,
}

/// An open object or array on the path of the pointer.
struct Step<'p> {
    /// The token that names the next key or element, and the tokens after it.
    token: &'p Token,
    rest: &'p [Token],
    /// In an array, the index of the next element.
    index: usize,
    /// Whether a key or element has fitted the token. It is true from the beginning for `*`, which
    /// an empty array satisfies.
    is_met: bool,
    /// Whether a key has fitted the token in this or another case.
    is_seen: bool,
}

impl<'b> Found<'b> {
    fn push(&mut self, value: Value<'b>) -> Result<(), JsonError> {
        if self.values.len() == MAX_EACH {
            return Err(JsonError::TooManyElements);
        }
        self.values.push(value);
        Ok(())
    }
}

/// The place of a value is the list of tokens that are still to be followed.
impl<'p, 'b> Search<'b, &'p [Token]> for Found<'b> {
    type Step = Step<'p>;

    fn value(
        &mut self,
        tokens: &'p [Token],
        value: Value<'b>,
    ) -> Result<Option<Step<'p>>, JsonError> {
        let Some((token, rest)) = tokens.split_first() else {
            self.push(value)?;
            return Ok(None);
        };
        let is_each = *token == Token::Each;
        if matches!(value, Value::Array) || matches!(value, Value::Object) && !is_each {
            return Ok(Some(Step {
                token,
                rest,
                index: 0,
                is_met: is_each,
                is_seen: false,
            }));
        }
        self.push(Value::Absent)?;
        Ok(None)
    }

    fn key(
        &mut self,
        step: &mut Step<'p>,
        key: Text<'b>,
    ) -> Result<Option<&'p [Token]>, JsonError> {
        match step.token {
            Token::Named(name, _) if key.is_but_for_case(name) => {
                if self.is_exact && !key.is(name) {
                    return Err(JsonError::OtherCase);
                }
                if step.is_seen {
                    return Err(JsonError::RepeatedKey);
                }
                step.is_seen = true;
                if !key.is(name) {
                    return Ok(None);
                }
                step.is_met = true;
                Ok(Some(step.rest))
            }
            _ => Ok(None),
        }
    }

    fn element(&mut self, step: &mut Step<'p>) -> Option<&'p [Token]> {
        let at = step.index;
        step.index += 1;
        match step.token {
            Token::Each => Some(step.rest),
            Token::Named(_, index) if *index == Some(at) => {
                step.is_met = true;
                Some(step.rest)
            }
            Token::Named(..) => None,
        }
    }

    fn close(&mut self, step: Step<'p>) -> Result<(), JsonError> {
        if step.is_met {
            Ok(())
        } else {
            self.push(Value::Absent)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Tree;

    use super::super::tests::{key, tree, write};
    use super::super::{EachSlot, Places};
    use super::*;

    fn places(pointer: &str) -> (Places, EachSlot) {
        let mut places = Places::default();
        let slot = places.add_each(&Pointer::parse(pointer).expect(pointer));
        (places, slot)
    }

    fn spelled(value: &Value<'_>) -> String {
        match value {
            Value::Text(text) => text
                .read(usize::MAX)
                .map_or("half a character".to_owned(), |(text, _)| text),
            Value::Integer(text) => (*text).to_owned(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// All values at `pointer`, as text.
    fn each(pointer: &str, body: &str) -> Result<String, JsonError> {
        let (places, slot) = places(pointer);
        let values = places.scan(body.as_bytes())?;
        Ok(values
            .each(slot)
            .iter()
            .map(spelled)
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn en_31_an_exact_place_takes_no_key_in_another_case_even_alone() {
        let exact = |pointer: &str, body: &str| {
            let mut places = Places::exact();
            places.add(&Pointer::parse(pointer).expect(pointer));
            places.add_each(&Pointer::parse(pointer).expect(pointer));
            places.scan(body.as_bytes()).map(drop)
        };
        for body in [
            r#"{"A":[{"b":1}]}"#,
            r#"{"a":{"B":1}}"#,
            r#"{"a":{"b":1,"B":1}}"#,
            r#"{"a":{"\u0042":1}}"#,
        ] {
            assert_eq!(exact("/a/b", body), Err(JsonError::OtherCase), "{body}");
        }
        for body in [r#"{"a":{"b":1},"c":{"B":1}}"#, r#"{"a":{}}"#, "{}"] {
            assert_eq!(exact("/a/b", body), Ok(()), "{body}");
        }
    }

    #[test]
    fn a_star_is_each_element_of_an_array_and_what_does_not_fit_is_absent() {
        let rows = [
            (
                "several",
                "/value/*/x",
                r#"{"value":[{"x":"a"},{"x":"b","y":{"x":9}},{"y":[1],"x":3}]}"#,
                "a b 3",
            ),
            ("one", "/value/*/x", r#"{"value":[{"x":"a"}]}"#, "a"),
            ("none", "/value/*/x", r#"{"value":[]}"#, ""),
            (
                "one lacks it",
                "/value/*/x",
                r#"{"value":[{"x":"a"},{"y":"a"},{}]}"#,
                "a absent absent",
            ),
            (
                "one is null",
                "/value/*/x",
                r#"{"value":[{"x":null},null,{"x":"a"}]}"#,
                "null absent a",
            ),
            (
                "other kinds",
                "/value/*/x",
                r#"{"value":[1,"x",true,["x"],[],{"x":{"x":1}}]}"#,
                "absent absent absent absent absent object",
            ),
            (
                "elements themselves",
                "/value/*",
                r#"{"value":[1,"x",[2],{"a":3},null,1.5]}"#,
                "1 x array object null fraction",
            ),
            (
                "text escaped",
                "/value/*/x",
                r#"{"v\u0061lue":[{"\u0078":"\u0061"}]}"#,
                "a",
            ),
            (
                "no array: object",
                "/value/*/x",
                r#"{"value":{"x":"a"}}"#,
                "absent",
            ),
            (
                "no array: its key is a star",
                "/value/*/x",
                r#"{"value":{"*":{"x":"a"}}}"#,
                "absent",
            ),
            ("no array: text", "/value/*/x", r#"{"value":"a"}"#, "absent"),
            ("no array: null", "/value/*", r#"{"value":null}"#, "absent"),
            (
                "no array: nothing",
                "/value/*/x",
                r#"{"other":[{"x":"a"}]}"#,
                "absent",
            ),
            ("no array: another text", "/value/*/x", "7", "absent"),
            ("at the top", "/*/x", r#"[{"x":1},{"x":2}]"#, "1 2"),
            (
                "at the top, no array",
                "/*/x",
                r#"{"*":{"x":1},"x":2}"#,
                "absent",
            ),
            (
                "several stars",
                "/*/a/*/x",
                r#"[{"a":[{"x":1},{"x":2}]},{"a":[]},{"a":3},{"a":[{"x":4}]}]"#,
                "1 2 absent 4",
            ),
            (
                "stars in a row",
                "/*/*",
                "[[1,2],[],3,[4,[5]]]",
                "1 2 absent 4 array",
            ),
            ("an index before it", "/1/*", "[[1],[2,3],[4]]", "2 3"),
            (
                "an index behind it",
                "/*/1",
                "[[1,2],[3],{\"1\":4},[[5],[6]]]",
                "2 absent 4 array",
            ),
            ("an index that is not there", "/2/*", "[[1],[2]]", "absent"),
            ("an index that is none", "/01/*", "[[1],[2]]", "absent"),
            ("without a star", "/a/x", r#"{"a":{"x":1}}"#, "1"),
            ("without a star, not there", "/a/x", r#"{"a":{}}"#, "absent"),
            ("without a star, into an array", "/a/0", r#"{"a":[5]}"#, "5"),
            (
                "more than a star is a key",
                "/**/x",
                r#"{"**":{"x":1}}"#,
                "1",
            ),
        ];
        let right = |row: &(&str, &str, &str, &str)| each(row.1, row.2).as_deref() == Ok(row.3);
        let wrong: Vec<_> = rows
            .iter()
            .filter(|row| !right(row))
            .map(|row| (row, each(row.1, row.2)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn en_01_a_repeated_key_is_refused_on_the_way_to_each() {
        let rows = [
            ("/value/*/x", r#"{"value":[],"value":[]}"#, false),
            ("/value/*/x", r#"{"value":null,"value":[{"x":1}]}"#, false),
            ("/value/*/x", r#"{"value":[{"x":1},{"x":1,"x":1}]}"#, false),
            ("/value/*/x", r#"{"value":[{"x":1,"\u0078":1}]}"#, false),
            ("/value/*/a/x", r#"{"value":[{"a":1,"a":{"x":1}}]}"#, false),
            ("/*/0", r#"[{"0":1,"0":2}]"#, false),
            ("/value/*/x", r#"{"value":[{"x":1},{"x":1}]}"#, true),
            (
                "/value/*/x",
                r#"{"value":[{"x":{"y":1,"y":2},"z":1,"z":2}],"z":1,"z":2}"#,
                true,
            ),
            ("/value/*", r#"{"value":[{"x":1,"x":2}]}"#, true),
            ("/value/*/x", r#"{"value":{"x":1,"x":2,"*":1,"*":2}}"#, true),
        ];
        for (pointer, body, is_fine) in rows {
            let judged = each(pointer, body).map(|_| ());
            assert_eq!(
                judged,
                if is_fine {
                    Ok(())
                } else {
                    Err(JsonError::RepeatedKey)
                },
                "{pointer} {body}"
            );
        }
    }

    #[test]
    fn no_more_are_kept_than_the_bound_says() {
        let body = |elements: usize| format!("[{}]", vec!["{}"; elements].join(","));
        for pointer in ["/*", "/*/x", "/*/*"] {
            let (places, slot) = places(pointer);
            let count = |body: &str| {
                places
                    .scan(body.as_bytes())
                    .map(|values| values.each(slot).len())
            };
            assert_eq!(count(&body(MAX_EACH)), Ok(MAX_EACH), "{pointer}");
            assert_eq!(
                count(&body(MAX_EACH + 1)),
                Err(JsonError::TooManyElements),
                "{pointer}"
            );
            assert_eq!(
                count(&body(100_000)),
                Err(JsonError::TooManyElements),
                "{pointer}"
            );
        }
        let (places, slot) = places("/a/*");
        let other = format!(r#"{{"b":{},"a":[1]}}"#, body(100_000));
        assert_eq!(
            places.scan(other.as_bytes()).expect("JSON").each(slot),
            [Value::Integer("1")]
        );
    }

    #[test]
    fn pointers_with_and_without_a_star_do_not_touch_each_other() {
        let mut places = Places::default();
        let pointer = |text| Pointer::parse(text).expect("a pointer");
        let (all, first) = (
            places.add_each(&pointer("/a/*/x")),
            places.add(&pointer("/a/0/x")),
        );
        let (starred, ids) = (
            places.add(&pointer("/*")),
            places.add_each(&pointer("/a/*/id")),
        );
        assert_eq!(places.add_each(&pointer("/a/*/x")), all);
        let values = places
            .scan(br#"{"*":7,"a":[{"x":1},{"x":2,"id":3}]}"#)
            .expect("JSON");
        assert_eq!(values.each(all), [Value::Integer("1"), Value::Integer("2")]);
        assert_eq!(values.each(ids), [Value::Absent, Value::Integer("3")]);
        assert_eq!(
            [values.at(first), values.at(starred)],
            [Value::Integer("1"), Value::Integer("7")]
        );
        assert_eq!(
            places.scan(b"{\"a\":[}").map(|_| ()),
            Err(JsonError::NoValue)
        );
    }

    #[test]
    fn a_pointer_tells_whether_it_has_a_star() {
        let rows = [
            ("/value/*/x", true),
            ("/*", true),
            ("/value/x", false),
            ("/**", false),
            ("/a*", false),
            ("/", false),
        ];
        for (text, is_each) in rows {
            assert_eq!(
                Pointer::parse(text).expect(text).is_each(),
                is_each,
                "{text}"
            );
        }
    }

    /// Collects the same list from the tree of another parser.
    fn collect(tree: Option<&Tree>, tokens: &[&str], out: &mut Vec<String>) {
        match (tokens.split_first(), tree) {
            (None, Some(Tree::String(text))) => out.push(text.clone()),
            (None, Some(Tree::Number(number))) if number.is_f64() => out.push("fraction".into()),
            (None, Some(Tree::Number(number))) => out.push(number.to_string()),
            (None, Some(Tree::Null)) => out.push("null".into()),
            (None, Some(Tree::Bool(_))) => out.push("bool".into()),
            (None, Some(Tree::Array(_))) => out.push("array".into()),
            (None, Some(Tree::Object(_))) => out.push("object".into()),
            (Some((&"*", rest)), Some(Tree::Array(items))) => {
                for item in items {
                    collect(Some(item), rest, out);
                }
            }
            (None | Some((&"*", _)), _) | (Some(_), None) => out.push("absent".into()),
            (Some((token, rest)), Some(tree)) => {
                let pointer = format!("/{}", token.replace('~', "~0").replace('/', "~1"));
                match tree.pointer(&pointer) {
                    Some(inner) => collect(Some(inner), rest, out),
                    None => out.push("absent".into()),
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn each_place_holds_what_another_parser_finds_there(
            trees in prop::collection::vec(tree(), 0..4), is_wrapped in any::<bool>(), escape in any::<bool>(),
            tokens in prop::collection::vec(prop_oneof![2 => Just("*".to_owned()), 3 => key()], 1..5),
        ) {
            // Most of it is arrays, so that a `*` in the pointer meets an array.
            let tree = if is_wrapped { serde_json::json!({ "data": trees, "id": [trees] }) } else { Tree::from(trees) };
            let mut body = String::new();
            write(&tree, escape, &mut body);
            let escaped: Vec<_> = tokens.iter().map(|token| token.replace('~', "~0").replace('/', "~1")).collect();
            let (places, slot) = places(&format!("/{}", escaped.join("/")));
            let values = places.scan(body.as_bytes()).expect("JSON");
            let found: Vec<_> = values.each(slot).iter().map(spelled).collect();
            let mut want = Vec::new();
            collect(Some(&tree), &tokens.iter().map(String::as_str).collect::<Vec<_>>(), &mut want);
            prop_assert_eq!(found, want);
        }
    }
}
