//! A JSON document as a tree that keeps the order of members and the spelling of values, for the
//! forms that change either: orders of keys, numbers, nulls, empty containers.

use std::fmt::Write as _;

/// How deep a document is read.
const MAX_DEPTH: usize = 96;

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A text, a number or a word, as written.
    Scalar(String),
    /// The members of an object: names as written, with their quotation marks.
    Object(Vec<(String, Node)>),
    /// The items of a list.
    List(Vec<Node>),
}

impl Node {
    /// Reads the tokens of a text that is known to be JSON.
    pub(super) fn read(tokens: &[&str]) -> Option<Self> {
        let mut at = 0;
        Self::read_at(tokens, &mut at, 0)
    }

    fn read_at(tokens: &[&str], at: &mut usize, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        let token = *tokens.get(*at)?;
        *at += 1;
        match token {
            "{" => {
                let mut members = Vec::new();
                loop {
                    let name = *tokens.get(*at)?;
                    *at += 1;
                    match name {
                        "}" => return Some(Self::Object(members)),
                        "," => {}
                        name => {
                            // The colon.
                            *at += 1;
                            members.push((name.to_owned(), Self::read_at(tokens, at, depth + 1)?));
                        }
                    }
                }
            }
            "[" => {
                let mut items = Vec::new();
                loop {
                    match *tokens.get(*at)? {
                        "]" => {
                            *at += 1;
                            return Some(Self::List(items));
                        }
                        "," => *at += 1,
                        _ => items.push(Self::read_at(tokens, at, depth + 1)?),
                    }
                }
            }
            scalar => Some(Self::Scalar(scalar.to_owned())),
        }
    }

    /// The document without white space.
    pub(super) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, ",", ":");
        out
    }

    /// The document with a space after each comma and colon, as Python writes it.
    pub(super) fn spaced(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, ", ", ": ");
        out
    }

    fn write(&self, out: &mut String, comma: &str, colon: &str) {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{}{name}{colon}", if place > 0 { comma } else { "" });
                    value.write(out, comma, colon);
                }
                out.push('}');
            }
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { comma } else { "" });
                    item.write(out, comma, colon);
                }
                out.push(']');
            }
        }
    }

    /// The document with every scalar and every container changed: `None` drops a member.
    pub(super) fn mapped(&self, change: &mut impl FnMut(&Self) -> Option<Self>) -> Option<Self> {
        let inner = match self {
            Self::Scalar(_) => self.clone(),
            Self::Object(members) => {
                let kept = members
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.mapped(change)?)));
                Self::Object(kept.collect())
            }
            Self::List(items) => Self::List(
                items
                    .iter()
                    .filter_map(|item| item.mapped(change))
                    .collect(),
            ),
        };
        change(&inner)
    }

    /// The document with the members of every object in another order.
    pub(super) fn ordered(&self, order: fn(&mut [(String, Self)])) -> Self {
        let mut change = |node: &Self| {
            Some(match node {
                Self::Object(members) => {
                    let mut members = members.clone();
                    order(&mut members);
                    Self::Object(members)
                }
                other => other.clone(),
            })
        };
        self.mapped(&mut change).unwrap_or_else(|| self.clone())
    }

    /// The objects and lists below the document, each with its pointer.
    pub(super) fn below(&self, most: usize) -> Vec<(String, &Self)> {
        let mut found = Vec::new();
        self.collect(String::new(), most, &mut found);
        found
    }

    fn collect<'n>(&'n self, path: String, most: usize, found: &mut Vec<(String, &'n Self)>) {
        if found.len() >= most {
            return;
        }
        let children: Vec<(String, &Self)> = match self {
            Self::Scalar(_) => return,
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (format!("{path}/{}", name.trim_matches('"')), value))
                .collect(),
            Self::List(items) => items
                .iter()
                .enumerate()
                .map(|(place, item)| (format!("{path}/{place}"), item))
                .collect(),
        };
        if !path.is_empty() {
            found.push((path, self));
        }
        for (path, child) in children {
            child.collect(path, most, found);
        }
    }
}

/// The orders of members that libraries write: sorted by name, by length and name (binary JSON of
/// `PostgreSQL` and `MySQL`), and reversed.
pub(super) type Order = fn(&mut [(String, Node)]);
pub(super) const ORDERS: [(&str, Order); 3] = [
    ("with sorted keys", |members| {
        members.sort_by(|a, b| a.0.cmp(&b.0));
    }),
    ("with keys sorted by length", |members| {
        members.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
    }),
    ("with keys in reverse order", |members| members.reverse()),
];

/// The most orders that are tried of a document.
const MAX_ORDERS: usize = 41_000;

/// The document with the members of its objects in every order, as far as [`MAX_ORDERS`] allows:
/// all objects together, or else the outermost one, or else each member at another place.
pub(super) fn orders(document: &Node) -> Box<dyn Iterator<Item = Node> + '_> {
    let sizes = sizes(document);
    let all = sizes.iter().try_fold(1_usize, |product, size| {
        product
            .checked_mul(factorial(*size)?)
            .filter(|all| *all <= MAX_ORDERS)
    });
    if let Some(all) = all.filter(|all| *all > 1) {
        return Box::new((1..all).map(|mut number| permuted(document, &mut number, usize::MAX)));
    }
    let outermost = match document {
        Node::Object(members) => factorial(members.len()).filter(|all| *all <= MAX_ORDERS),
        _ => None,
    };
    if let Some(all) = outermost.filter(|all| *all > 1) {
        return Box::new((1..all).map(|mut number| permuted(document, &mut number, 0)));
    }
    let Node::Object(members) = document else {
        return Box::new(std::iter::empty());
    };
    let places = members.len().min(64);
    Box::new((0..places).flat_map(move |from| {
        (0..places).filter(move |to| *to != from).map(move |to| {
            let mut moved = members.clone();
            let member = moved.remove(from);
            moved.insert(to.min(moved.len()), member);
            Node::Object(moved)
        })
    }))
}

fn factorial(size: usize) -> Option<usize> {
    (1..=size).try_fold(1_usize, usize::checked_mul)
}

/// The sizes of all objects.
fn sizes(node: &Node) -> Vec<usize> {
    match node {
        Node::Scalar(_) => Vec::new(),
        Node::Object(members) => std::iter::once(members.len())
            .chain(members.iter().flat_map(|(_, value)| sizes(value)))
            .collect(),
        Node::List(items) => items.iter().flat_map(sizes).collect(),
    }
}

/// The order of this number: each object takes its part of the number, to this depth.
fn permuted(node: &Node, number: &mut usize, depth: usize) -> Node {
    match node {
        Node::Scalar(_) => node.clone(),
        Node::Object(members) => {
            let mut rest: Vec<&(String, Node)> = members.iter().collect();
            let mut order = Vec::with_capacity(members.len());
            while !rest.is_empty() {
                let choice = *number % rest.len();
                *number /= rest.len();
                order.push(rest.remove(choice));
            }
            let inner = |(name, value): &(String, Node), number: &mut usize| {
                let value = if depth == 0 {
                    value.clone()
                } else {
                    permuted(value, number, depth - 1)
                };
                (name.clone(), value)
            };
            Node::Object(
                order
                    .into_iter()
                    .map(|member| inner(member, number))
                    .collect(),
            )
        }
        Node::List(items) => Node::List(
            items
                .iter()
                .map(|item| permuted(item, number, depth))
                .collect(),
        ),
    }
}

/// A document with other values than the received one, and the words for the difference.
type Variant = (Node, &'static str);

/// Another spelling of a scalar; `None` if it has no other.
type Respell = fn(&str) -> Option<String>;

/// The documents that a library may have changed into the received one: numbers in another
/// spelling, nulls, empty containers, numbers in quotation marks.
pub(super) fn variants(document: &Node) -> Vec<Variant> {
    let mut all: Vec<Variant> = Vec::new();
    let mut add = |node: Option<Node>, words| {
        if let Some(node) = node.filter(|node| node != document) {
            all.push((node, words));
        }
    };
    let is_null = |node: &Node| matches!(node, Node::Scalar(text) if text == "null");
    add(
        document.mapped(&mut |node| (!is_null(node)).then(|| node.clone())),
        "without members that are null",
    );
    let is_empty = |node: &Node| match node {
        Node::Object(members) => members.is_empty(),
        Node::List(items) => items.is_empty(),
        Node::Scalar(text) => text == "\"\"",
    };
    add(
        document.mapped(&mut |node| (!is_null(node) && !is_empty(node)).then(|| node.clone())),
        "without members that are null or empty",
    );
    let spellings: [(Respell, &str); 9] = [
        (
            |n| is_integer(n).then(|| format!("{n}.0")),
            "with whole numbers as `1.0`",
        ),
        (
            |n| is_integer(n).then(|| format!("{n}.00")),
            "with whole numbers as `1.00`",
        ),
        (
            |n| decimals(n, 1).then(|| format!("{n}0")),
            "with another zero at the end of numbers (`1.50`)",
        ),
        (
            |n| decimals(n, 2).then(|| n.trim_end_matches('0').trim_end_matches('.').to_owned()),
            "without zeros at the end of numbers",
        ),
        (
            |n| n.strip_suffix(".0").map(str::to_owned),
            "with whole numbers without a fraction",
        ),
        (
            |n| is_number(n).then(|| format!("\"{n}\"")),
            "with numbers in quotation marks",
        ),
        (
            |n| {
                n.trim_matches('"')
                    .parse::<f64>()
                    .ok()
                    .filter(|_| n.starts_with('"') && n.len() > 2)
                    .map(|_| n.trim_matches('"').to_owned())
            },
            "with numbers without quotation marks",
        ),
        (
            |n| (n == "null").then(|| "\"\"".to_owned()),
            "with empty texts for nulls",
        ),
        (
            |n| (n == "\"\"").then(|| "null".to_owned()),
            "with nulls for empty texts",
        ),
    ];
    for (spell, words) in spellings {
        let change = |node: &Node| match node {
            Node::Scalar(text) => spell(text).map(Node::Scalar),
            _ => None,
        };
        add(with_all(document, &change), words);
        for place in 0..8 {
            add(with_one(document, &change, place), words);
        }
    }
    let swap = |node: &Node| match node {
        Node::List(items) if items.is_empty() => Some(Node::Object(Vec::new())),
        _ => None,
    };
    let back = |node: &Node| match node {
        Node::Object(members) if members.is_empty() => Some(Node::List(Vec::new())),
        _ => None,
    };
    let words = "with `{}` and `[]` told apart (PHP makes both the same)";
    add(with_all(document, &swap), words);
    add(with_all(document, &back), words);
    for place in 0..4 {
        add(with_one(document, &swap, place), words);
        add(with_one(document, &back, place), words);
    }
    all
}

fn with_all(document: &Node, change: &impl Fn(&Node) -> Option<Node>) -> Option<Node> {
    document.mapped(&mut |node| Some(change(node).unwrap_or_else(|| node.clone())))
}

/// The document with the change at one place of those where it can be made.
fn with_one(
    document: &Node,
    change: &impl Fn(&Node) -> Option<Node>,
    place: usize,
) -> Option<Node> {
    let mut seen = 0;
    document.mapped(&mut |node| {
        let changed = change(node).filter(|_| {
            seen += 1;
            seen == place + 1
        });
        Some(changed.unwrap_or_else(|| node.clone()))
    })
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn is_integer(text: &str) -> bool {
    is_number(text) && !text.contains(['.', 'e', 'E'])
}

/// Whether a number has this many digits behind its point.
fn decimals(text: &str, digits: usize) -> bool {
    let fraction = text.split_once('.').map(|(_, fraction)| fraction);
    is_number(text) && fraction.is_some_and(|fraction| fraction.len() == digits)
}
