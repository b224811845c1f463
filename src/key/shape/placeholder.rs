//! Texts that keep the place of a secret until somebody puts the secret there.

/// Words that are no secret when they are all there is.
const WORDS: &[&str] = &[
    "secret",
    "mysecret",
    "yoursecret",
    "supersecret",
    "topsecret",
    "thesecret",
    "notasecret",
    "secretkey",
    "mysecretkey",
    "yoursecretkey",
    "webhooksecret",
    "mywebhooksecret",
    "yourwebhooksecret",
    "signingsecret",
    "clientsecret",
    "appsecret",
    "password",
    "passw0rd",
    "passwort",
    "letmein",
    "qwerty",
    "test",
    "testing",
    "testsecret",
    "testkey",
    "demo",
    "dev",
    "foo",
    "bar",
    "foobar",
    "dummy",
    "none",
    "null",
    "nil",
    "undefined",
    "empty",
    "default",
    "true",
    "false",
    "token",
    "mytoken",
    "yourtoken",
    "key",
    "mykey",
    "yourkey",
    "apikey",
    "yourapikey",
    "todo",
    "tbd",
    "fixme",
    "na",
    "string",
    "value",
    "abc",
    "abc123",
    "admin",
    "root",
    "hunter2",
    "correcthorsebatterystaple",
    "0123456789abcdef",
    "0123456789",
    "1234567890",
    "123456789",
    "12345678",
    "1234567",
    "123456",
    "12345",
    "1234",
    "123",
];

/// Parts that no generated secret has, in lower case.
const PARTS: &[&str] = &[
    "changeme",
    "change_me",
    "change-me",
    "change me",
    "changeit",
    "change_it",
    "change-it",
    "replaceme",
    "replace_me",
    "replace-me",
    "replace_with",
    "replace-with",
    "replace with",
    "your_",
    "your-",
    "your ",
    "insert_",
    "insert-",
    "insert ",
    "enter_",
    "enter-",
    "enter ",
    "put_your",
    "paste_",
    "paste-",
    "paste ",
    "placeholder",
    "redacted",
    "example",
    "${",
    "$(",
    "{{",
    "<%",
    "%{",
    "#{",
    "...",
    "\u{2026}",
    "***",
    "\u{2022}\u{2022}",
    "xxxxx",
    "_here",
    "-here",
];

/// Whether the text keeps the place of a secret. `text` has neither quotation marks nor white space
/// around it; `rest` is the text without the beginning that marks secrets.
pub(super) fn is_placeholder(text: &str, rest: &str) -> bool {
    if is_marked(text) {
        return true;
    }
    let rest = rest.to_lowercase();
    let bare: String = rest.chars().filter(|c| c.is_alphanumeric()).collect();
    WORDS.contains(&bare.as_str()) || is_repeated(&rest)
}

/// Whether the text has a mark or a part that no value has.
pub(super) fn is_marked(text: &str) -> bool {
    let lower = text.to_lowercase();
    PARTS.iter().any(|part| has_part(&lower, part)) || is_variable(text) || is_bracketed(text)
}

/// Whether the part is there. A part that is a word begins no later than a word of the text does, so
/// that `center-` is not `enter-`.
fn has_part(text: &str, part: &str) -> bool {
    let is_word = part.starts_with(|c: char| c.is_ascii_alphabetic()) && part != "xxxxx";
    text.match_indices(part).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        !is_word || before.is_none_or(|c| !c.is_alphanumeric())
    })
}

/// `$NAME`, `%NAME%`, `@NAME@` or `__NAME__`: a variable that nothing has replaced.
fn is_variable(text: &str) -> bool {
    let is_name = |name: &str| {
        let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        name.len() >= 3
            && name.chars().all(letters)
            && name.contains(|c: char| c.is_ascii_uppercase())
    };
    let between = |mark: &str| {
        let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
        Some(is_name(inner))
    };
    text.strip_prefix('$').is_some_and(is_name)
        || ["%", "@", "__"]
            .iter()
            .any(|mark| between(mark) == Some(true))
}

/// `<your secret>` or `[secret]`. Base64 has no such brackets.
fn is_bracketed(text: &str) -> bool {
    let is = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    text.len() >= 2 && (is('<', '>') || (is('[', ']') && !text.contains('"')))
}

/// The same character or the same two all the way.
fn is_repeated(text: &str) -> bool {
    let all: Vec<char> = text.chars().collect();
    let is_periodic = |period: usize| {
        all.len() > period && all.iter().zip(all.iter().skip(period)).all(|(a, b)| a == b)
    };
    all.len() >= 3 && (is_periodic(1) || (all.len() >= 6 && is_periodic(2)))
}
