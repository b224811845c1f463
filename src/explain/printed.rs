//! Bodies as programs print them: byte strings, lists of numbers, dictionaries, dumps and the names
//! of objects, in place of the bytes themselves.
//!
//! What can be read back is tried as the body. What cannot (`[object Object]`) is a suspicion.

use super::json;
use super::literal;
use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;

/// The longest printed body that is read back.
const MAX_BYTES: usize = 2 << 20;

const PASS_THE_BYTES: &str = "Store and pass on the raw bytes of the body, never an object or its \
                              printed form: read them before any parser does, and write them in \
                              binary mode.";

/// A way in which a language prints a body.
struct Printer {
    words: &'static str,
    /// The bodies that the text may have been printed from.
    read: fn(&str) -> Vec<Vec<u8>>,
}

const PRINTERS: &[Printer] = &[
    Printer {
        words: "a byte string as Python prints it (`b'…'`)",
        read: |text| {
            let quoted = text.strip_prefix(['b', 'B']);
            quoted.and_then(python_string).into_iter().collect()
        },
    },
    Printer {
        words: "a string as a program prints it, in quotation marks and with escapes",
        read: |text| python_string(text).into_iter().collect(),
    },
    Printer {
        words: "a list of byte values, as Go (`[123 34 …]`), Node (`<Buffer 7b 22 …>`), Java or \
                Rust print it",
        read: numbers,
    },
    Printer {
        words: "a dump of bytes in hexadecimal digits, as `xxd` or `hexdump` print it",
        read: |text| hex_dump(text).into_iter().collect(),
    },
    Printer {
        words: "a string as PHP's `var_dump` prints it",
        read: |text| var_dumped(text).into_iter().collect(),
    },
];

/// The body is printed, and what it was printed from was signed.
pub(super) fn read_back(case: &Trials<'_>) -> Option<Finding> {
    let text = text(case)?;
    let by_printer = PRINTERS.iter().find_map(|printer| {
        (printer.read)(text).into_iter().find_map(|body| {
            let with = |body: &[u8]| case.with_body(body);
            // What was printed may lack or have a newline at its end.
            let secret = with(&body).or_else(|| with(&[&body, &b"\n"[..]].concat()));
            found(secret, || not_the_bytes(printer.words))
        })
    });
    by_printer.or_else(|| {
        let (body, words) = literal::as_json(text)?;
        let direct = found(case.with_body(body.as_bytes()), || not_the_bytes(words));
        direct.or_else(|| {
            json::forms(body.as_bytes()).find_map(|(form, _)| {
                found(case.with_body(form.as_bytes()), || not_the_bytes(words))
            })
        })
    })
}

fn text<'c>(case: &'c Trials<'_>) -> Option<&'c str> {
    let text = std::str::from_utf8(case.body).ok()?.trim();
    (text.len() <= MAX_BYTES && !case.scheme.is_credential()).then_some(text)
}

fn not_the_bytes(words: &str) -> Mistake {
    Mistake::new(
        "body_printed",
        format!("The body is {words}, and the bytes that it was printed from were signed."),
        PASS_THE_BYTES,
    )
}

/// The bytes of a Python literal in either quotation mark, or of a string in backticks.
fn python_string(text: &str) -> Option<Vec<u8>> {
    let mark = text
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            let mut buffer = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        match chars.next()? {
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'e' => out.push(0x1b),
            '0' => out.push(0),
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).ok()?);
            }
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                let c = char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?;
                out.extend_from_slice(c.to_string().as_bytes());
            }
            other => out.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    Some(out)
}

/// The words before the numbers of a printed list.
const NUMBER_WORDS: &[&str] = &[
    "<Buffer",
    "Buffer",
    "Uint8Array",
    "ArrayBuffer",
    "Int8Array",
    "[]byte",
    "[]uint8",
    "{\"type\":\"Buffer\",\"data\":",
    "{ type: 'Buffer', data:",
    "{\"type\": \"Buffer\", \"data\":",
    "bytearray(",
    "array('B',",
    "bytes(",
];

/// The bytes of a printed list of numbers, whatever its brackets, words and separators are.
fn numbers(text: &str) -> Vec<Vec<u8>> {
    // A Buffer of Node as `JSON.stringify` writes it.
    let buffer = serde_json::from_str::<serde_json::Value>(text).ok();
    let buffer = buffer.filter(|buffer| buffer.get("type").is_some_and(|kind| kind == "Buffer"));
    if let Some(data) = buffer
        .as_ref()
        .and_then(|buffer| buffer.get("data")?.as_array())
    {
        let bytes = data.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
        return bytes.collect::<Option<Vec<u8>>>().into_iter().collect();
    }
    let is_buffer = text.starts_with("<Buffer");
    let mut rest = text;
    for word in NUMBER_WORDS {
        if let Some(behind) = rest.strip_prefix(word) {
            rest = behind.trim_start();
            // The length of a typed array: `Uint8Array(3) [ … ]`.
            if let Some(after) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
                rest = after.1;
            }
            break;
        }
    }
    // `{"0":123,"1":34}`: the places are names.
    let keyed = rest.starts_with("{\"0\":");
    let is_sign = |c: char| c.is_whitespace() || "[]{}()<>,;\"'".contains(c);
    let mut out = Vec::new();
    for word in rest.split(is_sign).filter(|word| !word.is_empty()) {
        let word = if keyed {
            match word.split_once(':') {
                Some((_, value)) if !value.is_empty() => value,
                _ if word.starts_with(':') => word.trim_start_matches(':'),
                _ => continue,
            }
        } else {
            word
        };
        let byte = match word.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok(),
            None if is_buffer => u8::from_str_radix(word, 16).ok(),
            None => word
                .parse::<u8>()
                .ok()
                .or_else(|| Some(word.parse::<i8>().ok()?.cast_unsigned())),
        };
        match byte {
            Some(byte) => out.push(byte),
            None => return Vec::new(),
        }
    }
    if out.len() < 2 || out == text.as_bytes() {
        return Vec::new();
    }
    vec![out]
}

/// The bytes of `xxd`, `hexdump -C`, or plain pairs of digits.
fn hex_dump(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let (_, digits) = line.split_once(": ").or_else(|| line.split_once("  "))?;
        // The readable column follows two spaces (`xxd`) or a bar (`hexdump -C`).
        let digits = digits.split('|').next().unwrap_or_default().trim();
        let digits = if line.contains(": ") {
            digits.split("  ").next().unwrap_or_default()
        } else {
            digits
        };
        let digits: String = digits.split_whitespace().collect();
        out.extend(hex::decode(digits).ok()?);
    }
    (!out.is_empty()).then_some(out)
}

/// The text of `string(12) "…"`.
fn var_dumped(text: &str) -> Option<Vec<u8>> {
    let at = text.find("string(")?;
    let (length, behind) = text.get(at + 7..)?.split_once(')')?;
    let inner = behind.trim_start().strip_prefix('"')?;
    let length: usize = length.parse().ok()?;
    inner.get(..length).map(|text| text.as_bytes().to_vec())
}

/// The beginnings of what programs print for objects, with the language.
const OBJECTS: &[(&str, &str)] = &[
    (
        "[object ",
        "an object as JavaScript prints it (`[object Object]`)",
    ),
    ("[Object", "an object as Node prints it"),
    ("<Buffer", "a Buffer as Node prints it, cut after 50 bytes"),
    ("<ref *", "an object as Node prints it"),
    ("IncomingMessage {", "a request object of Node"),
    ("ReadableStream", "a stream of JavaScript"),
    (
        "Promise {",
        "a promise of JavaScript, which was not awaited",
    ),
    ("Readable {", "a stream of Node"),
    ("BodyReadable {", "a stream of Node"),
    ("Map(", "a Map as Node prints it"),
    ("FormData", "a FormData object of JavaScript"),
    ("URLSearchParams", "a form as Node prints it"),
    ("<_io.", "a stream object of Python"),
    ("<bytes", "an object of Python"),
    ("<bound method", "a method of Python that was not called"),
    ("<coroutine", "a coroutine of Python, which was not awaited"),
    ("<generator", "a generator of Python"),
    ("<async_generator", "a generator of Python"),
    ("<Request", "a request object of Python"),
    ("<WSGIRequest", "a request object of Python (Django)"),
    ("<QueryDict", "a form as Django prints it"),
    ("ImmutableMultiDict(", "a form as Flask prints it"),
    ("MultiDict(", "a form as Python prints it"),
    ("FormData([", "a form as Starlette prints it"),
    ("OrderedDict(", "a dictionary as Python prints it"),
    ("defaultdict(", "a dictionary as Python prints it"),
    ("b'", "a byte string as Python prints it (`b'…'`)"),
    ("b\"", "a byte string as Python prints it (`b\"…\"`)"),
    ("#<", "an object as Ruby prints it (`#<StringIO …>`)"),
    ("{:", "a hash as Ruby prints it"),
    ("map[", "a map as Go prints it (`map[…]`)"),
    ("&{", "a struct as Go prints it (`&{…}`)"),
    ("{map[", "a struct as Go prints it"),
    ("&map[", "a map as Go prints it (`map[…]`)"),
    ("&bytes.", "a reader of Go"),
    ("0xc0", "the address of a value, as Go prints it"),
    ("%!", "a value that Go's `fmt` could not print"),
    ("Array\n", "an array as PHP's `print_r` prints it"),
    ("Array\r\n", "an array as PHP's `print_r` prints it"),
    ("Array(", "an array as PHP prints it"),
    (
        "array(",
        "an array as PHP's `var_dump` or `var_export` prints it",
    ),
    ("array (", "an array as PHP's `var_export` prints it"),
    ("object(", "an object as PHP's `var_dump` prints it"),
    ("stdClass Object", "an object as PHP's `print_r` prints it"),
    ("string(", "a string as PHP's `var_dump` prints it"),
    ("Resource id #", "a stream as PHP prints it"),
    ("a:", "an array as PHP's `serialize` writes it"),
    ("O:", "an object as PHP's `serialize` writes it"),
    ("[B@", "a byte array as Java prints it (`[B@…`)"),
    ("java.", "an object as Java prints it"),
    ("org.", "an object as Java prints it"),
    ("HeapByteBuffer", "a buffer as Java prints it"),
    ("System.", "an object as .NET prints it (`System.Byte[]`)"),
    ("Microsoft.", "an object as .NET prints it"),
    ("HASH(0x", "a hash as Perl prints it"),
    ("ARRAY(0x", "an array as Perl prints it"),
    ("%{", "a map as Elixir prints it"),
    ("%Plug", "a connection as Elixir prints it"),
    ("<<", "a binary as Elixir or Erlang prints it"),
    ("Object {", "an object as Rust prints it"),
    ("Bytes {", "bytes as Rust prints them"),
    ("Body(", "a body as Rust prints it"),
];

/// Whole bodies that are the word of a language for nothing or for any value.
const WORDS: &[(&str, &str)] = &[
    ("Array", "the word that PHP prints for any array"),
    ("undefined", "JavaScript's `undefined`"),
    (
        "null",
        "`null`: nothing was there when the body was written",
    ),
    (
        "None",
        "Python's `None`: nothing was there when the body was written",
    ),
    ("nil", "`nil`: nothing was there when the body was written"),
    (
        "<nil>",
        "Go's `<nil>`: nothing was there when the body was written",
    ),
    (
        "NULL",
        "`NULL`: nothing was there when the body was written",
    ),
    ("NaN", "JavaScript's `NaN`"),
    ("Object", "the name of an object"),
    (
        "[]",
        "an empty list: nothing was there when the body was written",
    ),
    (
        "{}",
        "an empty object, as a framework makes it when there is no body or none that it parses",
    ),
    (
        "\"\"",
        "an empty text: nothing was there when the body was written",
    ),
];

/// The body is the printed form of an object, and no bytes can be read back from it.
pub(super) fn looks_printed(case: &Trials<'_>) -> Option<Mistake> {
    if !case.scheme.covers_body() {
        return None;
    }
    let text = text(case)?;
    let by_word = WORDS
        .iter()
        .find(|(word, _)| text == *word)
        .map(|(_, words)| *words);
    let by_begin = || {
        let begin = OBJECTS.iter().find(|(begin, _)| text.starts_with(begin));
        let words = begin
            .map(|(_, words)| *words)
            .filter(|_| !text.starts_with("a:") || text.ends_with('}'));
        words
            .or_else(|| literal::as_json(text).map(|(_, words)| words))
            .or_else(|| of_java(text))
            .or_else(|| of_node(text))
    };
    let words = by_word.or_else(by_begin)?;
    Some(Mistake::new(
        "body_is_printed",
        format!("The body is {words}, and not the bytes of the request."),
        PASS_THE_BYTES,
    ))
}

/// A map of Java: `{name=value, …}`.
fn of_java(text: &str) -> Option<&'static str> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (name, _) = inner.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some("a map as Java prints it (`{name=value}`)")
}

/// An object of JavaScript whose members cannot be read back: `{ name: 'x', list: [Array] }`.
fn of_node(text: &str) -> Option<&'static str> {
    let (name, value) = text.strip_prefix('{')?.split_once(": ")?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (is_name && !value.is_empty()).then_some(
        "an object as JavaScript prints it (`util.inspect`, names without quotation marks)",
    )
}
