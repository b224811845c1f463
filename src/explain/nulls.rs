//! Members without a value in a JSON document: the nulls, zeros and empty texts that a library adds
//! for fields that were not there, and the nulls that it drops.

use super::tree::Node;

/// The most null members of which every choice is left out.
const MAX_NULLS: u32 = 6;

/// The most null members that are left out one by one.
const MAX_SINGLE: u32 = 16;

/// The documents that a library may have changed into this one by such members, with words for the
/// difference. Items of lists stay.
pub(super) fn variants(document: &Node) -> Vec<(Node, &'static str)> {
    let mut all = without_some_nulls(document);
    all.push((
        without(document, &mut |node| is_zero(node)),
        "without members that are null, empty, zero or false",
    ));
    all.push((
        with_nulls_of_siblings(document),
        "with null for members that other items of a list have",
    ));
    all
}

fn is_null(node: &Node) -> bool {
    matches!(node, Node::Scalar(text) if text == "null")
}

/// Whether a value is that of a field that was never set.
fn is_zero(node: &Node) -> bool {
    match node {
        Node::Scalar(text) => matches!(text.as_str(), "null" | "\"\"" | "0" | "0.0" | "false"),
        Node::Object(members) => members.is_empty(),
        Node::List(items) => items.is_empty(),
    }
}

/// The document without the members whose value is dropped.
fn without(document: &Node, is_dropped: &mut dyn FnMut(&Node) -> bool) -> Node {
    match document {
        Node::Scalar(_) => document.clone(),
        Node::Object(members) => {
            let mut kept = Vec::with_capacity(members.len());
            for (name, value) in members {
                if !is_dropped(value) {
                    kept.push((name.clone(), without(value, is_dropped)));
                }
            }
            Node::Object(kept)
        }
        Node::List(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                kept.push(without(item, is_dropped));
            }
            Node::List(kept)
        }
    }
}

/// The document without each choice of its null members, or without each and all but each of them
/// where they are many.
fn without_some_nulls(document: &Node) -> Vec<(Node, &'static str)> {
    let mut count = 0_u32;
    without(document, &mut |node| {
        count += u32::from(is_null(node));
        false
    });
    let mut choices: Vec<u64> = if count <= MAX_NULLS {
        (1..1_u64 << count).collect()
    } else {
        let singles = (0..count.min(MAX_SINGLE)).map(|place| 1_u64 << place);
        singles.clone().chain(singles.map(|bit| !bit)).collect()
    };
    // All of them are the likeliest.
    choices.reverse();
    let chosen = |choice: u64| {
        let mut place = 0_u32;
        without(document, &mut |node| {
            let is_it = is_null(node) && choice >> place.min(63) & 1 == 1;
            place += u32::from(is_null(node));
            is_it
        })
    };
    choices
        .into_iter()
        .map(|choice| (chosen(choice), "without some members that are null"))
        .collect()
}

/// The document with a null for each member that an object of a list lacks and the fullest object
/// of that list has.
fn with_nulls_of_siblings(document: &Node) -> Node {
    match document {
        Node::Scalar(_) => document.clone(),
        Node::Object(members) => {
            let filled =
                |(name, value): &(String, Node)| (name.clone(), with_nulls_of_siblings(value));
            Node::Object(members.iter().map(filled).collect())
        }
        Node::List(items) => {
            let members = |item: &'_ Node| match item {
                Node::Object(members) => members.len(),
                _ => 0,
            };
            let fullest = items.iter().max_by_key(|item| members(item));
            let filled = items.iter().map(|item| match (item, fullest) {
                (Node::Object(own), Some(Node::Object(fullest))) => filled_up(own, fullest),
                _ => item.clone(),
            });
            Node::List(filled.map(|item| with_nulls_of_siblings(&item)).collect())
        }
    }
}

/// An object with the members of a fuller one in their order, null where it lacks them.
fn filled_up(own: &[(String, Node)], fullest: &[(String, Node)]) -> Node {
    let filled = fullest.iter().map(|(name, _)| {
        let known = own.iter().find(|(known, _)| known == name).cloned();
        known.unwrap_or_else(|| (name.clone(), Node::Scalar("null".to_owned())))
    });
    let is_new = |(name, _): &&(String, Node)| !fullest.iter().any(|(known, _)| known == name);
    Node::Object(filled.chain(own.iter().filter(is_new).cloned()).collect())
}
