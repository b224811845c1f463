//! Documents that a library may have changed into the received one: members in another order,
//! other numbers, nulls; and what betrays that a library wrote a document.

use super::json;
use super::nulls;
use super::tree::{self, Node, ORDERS};

/// The tree of a body that is JSON and not longer than `most`.
fn tree_of(body: &[u8], most: usize) -> Option<Node> {
    let text = std::str::from_utf8(body).ok()?;
    let is_read = text.len() <= most && json::is_json(text);
    is_read.then(|| Node::read(&json::tokens(text)))?
}

/// A document with the members of its objects in every order, without white space and as Python
/// spaces it. A body that is too long has no orders, and neither has a body that is no JSON.
pub(super) fn orders(body: &[u8]) -> Vec<String> {
    const MAX_BYTES: usize = 16 * 1024;
    let Some(tree) = tree_of(body, MAX_BYTES) else {
        return Vec::new();
    };
    tree::orders(&tree)
        .flat_map(|order| [order.compact(), order.spaced()])
        .collect()
}

/// Documents that a library may have changed into this one by other numbers, nulls or empty
/// containers, with words for the difference.
pub(super) fn variants(body: &[u8]) -> Vec<(String, &'static str)> {
    const MAX_BYTES: usize = 256 * 1024;
    let Some(tree) = tree_of(body, MAX_BYTES) else {
        return Vec::new();
    };
    let variants = tree::variants(&tree).into_iter();
    variants
        .chain(nulls::variants(&tree))
        .flat_map(|(variant, words)| {
            let pretty = json::pretty(&variant.compact());
            [
                (variant.compact(), words),
                (variant.spaced(), words),
                (pretty, words),
            ]
        })
        .collect()
}

/// The objects and lists within a document, without white space and as Python spaces them, each
/// with its pointer.
pub(super) fn objects(text: &str, most: usize) -> Vec<(String, String)> {
    let tree = json::is_json(text)
        .then(|| Node::read(&json::tokens(text)))
        .flatten();
    let below = tree.iter().flat_map(|tree| tree.below(most));
    below
        .flat_map(|(at, node)| {
            let forms = [node.compact(), node.spaced()];
            forms.map(|form| (at.clone(), form))
        })
        .collect()
}

/// What betrays that a library wrote a document: the spaces or the order of its members. `None` for
/// compact JSON in no special order, as most senders write it.
pub(super) fn looks(body: &[u8]) -> Option<&'static str> {
    const MAX_BYTES: usize = 1 << 20;
    let text = std::str::from_utf8(body).ok()?;
    let tree = tree_of(body, MAX_BYTES)?;
    let (Node::Object(members), Some((_, order))) = (&tree, ORDERS.first()) else {
        return None;
    };
    if text == tree.spaced() && members.len() > 1 {
        return Some(
            "it has a space after each comma and colon, as Python's `json.dumps` writes it",
        );
    }
    if members.len() >= 5 && tree.ordered(*order) == tree {
        return Some("its keys are in alphabetical order, as Go and some databases write them");
    }
    let [_, (_, by_length), _] = &ORDERS;
    if members.len() >= 5 && tree.ordered(*by_length) == tree {
        return Some("its keys are sorted by their length, as PostgreSQL and MySQL write them");
    }
    let indented = text.contains("\n  ") || text.contains("\n\t");
    indented.then_some("it is indented, as tools print it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_every_order() {
        let all = orders(b"{ \"a\" : [1, {\"x\": 2}],\n\"b\":{},\"c\":\"},{\" }");
        for form in [
            "{\"c\":\"},{\",\"a\":[1,{\"x\":2}],\"b\":{}}",
            "{\"b\": {}, \"a\": [1, {\"x\": 2}], \"c\": \"},{\"}",
        ] {
            assert!(all.iter().any(|one| one == form), "{form} not in {all:#?}");
        }
        let inner = orders(b"{\"a\":{\"x\":1,\"y\":2},\"b\":1}");
        assert_eq!(inner.len(), 6, "{inner:#?}");
        for none in [&b"[1,2]"[..], b"{}", b"{\"a\":1}", b"{\"a\":1", b"\xff"] {
            assert_eq!(orders(none).len(), 0, "{none:?}");
        }
    }
}
