//! Literals of dictionaries, hashes and objects (Python, Ruby, JavaScript, Elixir, PHP, Go), read
//! back as the JSON that they were parsed from.

use std::iter::Peekable;
use std::str::Chars;

/// How deep values are read.
const MAX_DEPTH: usize = 64;

/// A printed dictionary as compact JSON in its own order, with the words for its language. `None`
/// for what is JSON already, and for what cannot be read.
pub(super) fn as_json(text: &str) -> Option<(String, &'static str)> {
    let begins = text.starts_with(['{', '['])
        || text.starts_with("%{")
        || text.starts_with("map[")
        || text.starts_with("array");
    if !begins || serde_json::from_str::<serde_json::Value>(text).is_ok() {
        return None;
    }
    let mut reader = Reader {
        chars: text.chars().peekable(),
        has: Seen::default(),
    };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.space();
    if reader.chars.next().is_some() {
        return None;
    }
    let words = if text.starts_with("%{") {
        "a map as Elixir prints it (`%{…}`)"
    } else if text.starts_with("map[") {
        "a map as Go prints it (`map[…]`)"
    } else if text.starts_with("array") || (text.starts_with('[') && reader.has.arrow) {
        "an array as PHP prints it"
    } else if reader.has.arrow || reader.has.nil {
        "a hash as Ruby prints it (`=>`, `nil`)"
    } else if reader.has.python || (reader.has.quoted_name && reader.has.single) {
        "a dictionary as Python prints it (single quotes, `None`, `True`)"
    } else if reader.has.bare {
        "an object as JavaScript prints it (`util.inspect`, names without quotation marks)"
    } else {
        "a dictionary as a program prints it"
    };
    Some((out, words))
}

/// What tells the languages apart.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a sign of its own, and none excludes another"
)]
#[derive(Default)]
struct Seen {
    arrow: bool,
    nil: bool,
    python: bool,
    single: bool,
    quoted_name: bool,
    bare: bool,
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    has: Seen,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn takes(&mut self, c: char) -> bool {
        self.space();
        self.chars.next_if_eq(&c).is_some()
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.chars.peek()? {
            '{' => {
                self.chars.next();
                self.members('}', out, depth)
            }
            '[' => {
                self.chars.next();
                self.members(']', out, depth)
            }
            '%' => {
                self.chars.next();
                self.takes('{').then_some(())?;
                self.members('}', out, depth)
            }
            '\'' | '"' | '`' => {
                let text = self.quoted()?;
                out.push_str(&serde_json::to_string(&text).ok()?);
                Some(())
            }
            // A symbol of Ruby or an atom of Elixir as a value.
            ':' => {
                self.chars.next();
                let word = self.word();
                out.push_str(&serde_json::to_string(&word).ok()?);
                Some(())
            }
            _ => {
                let word = self.word();
                match word.as_str() {
                    "map" if self.takes('[') => self.go_map(out, depth),
                    "array" if self.takes('(') => self.members(')', out, depth),
                    "True" | "true" => {
                        self.says(out, "true", word == "True");
                        Some(())
                    }
                    "False" | "false" => {
                        self.says(out, "false", word == "False");
                        Some(())
                    }
                    "None" => {
                        self.says(out, "null", true);
                        Some(())
                    }
                    "nil" => {
                        self.has.nil = true;
                        self.says(out, "null", false);
                        Some(())
                    }
                    "null" | "NULL" => {
                        self.says(out, "null", false);
                        Some(())
                    }
                    number if serde_json::from_str::<serde_json::Number>(number).is_ok() => {
                        out.push_str(number);
                        Some(())
                    }
                    _ => None,
                }
            }
        }
    }

    fn says(&mut self, out: &mut String, word: &str, is_python: bool) {
        self.has.python |= is_python;
        out.push_str(word);
    }

    /// The members of an object or a list, up to its end. A list with arrows is an object.
    fn members(&mut self, end: char, out: &mut String, depth: usize) -> Option<()> {
        let mut items: Vec<(Option<String>, String)> = Vec::new();
        loop {
            if self.takes(end) {
                break;
            }
            let mut name = None;
            let mut value = String::new();
            let is_name = end != ']'
                && self
                    .chars
                    .peek()
                    .is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | ':' | '$'));
            if is_name {
                self.has.bare = true;
                self.takes(':');
                let word = self.word();
                // `a: 1` of JavaScript and Ruby, `:a=>1` of Ruby.
                name = Some(word.trim_end_matches(':').to_owned());
                if !word.ends_with(':') {
                    self.separator()?;
                }
                self.value(&mut value, depth + 1)?;
            } else {
                let is_text = self.chars.peek().is_some_and(|c| matches!(c, '\'' | '"'));
                self.value(&mut value, depth + 1)?;
                self.space();
                let is_pair = match self.chars.peek() {
                    Some(':') => end == '}',
                    Some('=') => true,
                    _ => false,
                };
                if is_pair {
                    self.has.quoted_name |= is_text;
                    self.separator()?;
                    name = Some(serde_json::from_str(&value).unwrap_or_else(|_| value.clone()));
                    value.clear();
                    self.value(&mut value, depth + 1)?;
                }
            }
            items.push((name, value));
            if !self.takes(',') {
                self.takes(end).then_some(())?;
                break;
            }
        }
        // Numbered members of PHP are a list.
        let is_list = items.iter().enumerate().all(|(place, (name, _))| {
            name.as_deref()
                .is_none_or(|name| end != '}' && name == place.to_string())
        });
        let is_object = !is_list || (end == '}' && items.is_empty());
        out.push(if is_object { '{' } else { '[' });
        for (place, (name, value)) in items.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            if is_object {
                out.push_str(&serde_json::to_string(name.as_deref()?).ok()?);
                out.push(':');
            }
            out.push_str(value);
        }
        out.push(if is_object { '}' } else { ']' });
        Some(())
    }

    /// The sign between a name and its value.
    fn separator(&mut self) -> Option<()> {
        self.space();
        match self.chars.next()? {
            ':' => Some(()),
            '=' => {
                self.has.arrow = true;
                self.chars.next_if_eq(&'>').map(drop)
            }
            _ => None,
        }
    }

    /// A map of Go: `a:1 b:map[c:x]`. Texts have no quotation marks, and end at a space.
    fn go_map(&mut self, out: &mut String, depth: usize) -> Option<()> {
        out.push('{');
        let mut is_first = true;
        loop {
            if self.takes(']') {
                break;
            }
            let mut name = String::new();
            while let Some(c) = self.chars.next_if(|c| !matches!(c, ':' | ' ' | ']')) {
                name.push(c);
            }
            self.takes(':').then_some(())?;
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(&name).ok()?);
            out.push(':');
            self.go_value(out, depth + 1)?;
        }
        out.push('}');
        Some(())
    }

    fn go_value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.chars.next_if_eq(&'[').is_some() {
            out.push('[');
            let mut is_first = true;
            while !self.takes(']') {
                if !std::mem::take(&mut is_first) {
                    out.push(',');
                }
                self.go_value(out, depth + 1)?;
            }
            out.push(']');
            return Some(());
        }
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, ' ' | ']' | '[')) {
            word.push(c);
        }
        if word == "map" && self.chars.next_if_eq(&'[').is_some() {
            return self.go_map(out, depth);
        }
        let is_number = serde_json::from_str::<serde_json::Number>(&word).is_ok();
        match word.as_str() {
            "<nil>" => out.push_str("null"),
            "true" | "false" => out.push_str(&word),
            number if is_number => out.push_str(number),
            text => out.push_str(&serde_json::to_string(text).ok()?),
        }
        Some(())
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let is_of_word =
            |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '$' | ':');
        while let Some(c) = self.chars.next_if(is_of_word) {
            word.push(c);
            if c == ':' {
                break;
            }
        }
        word
    }

    fn quoted(&mut self) -> Option<String> {
        let mark = self.chars.next()?;
        self.has.single |= mark == '\'';
        let mut text = String::new();
        loop {
            match self.chars.next()? {
                c if c == mark => return Some(text),
                '\\' => match self.chars.next()? {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    length @ ('x' | 'u') => {
                        let most = if length == 'x' { 2 } else { 4 };
                        let digits: String = self.chars.by_ref().take(most).collect();
                        text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
    }
}
