//! The parts of a value that could be a credential: by a well-known form, by the name in front of
//! them, or by a random look.

use std::ops::Range;

use super::HIDDEN;
use super::names::{self, Trust};
use super::quotes::quoted;
use crate::key::shape::conceal::{self, ALGORITHMS};
use crate::notation::encoding::is_uuid;

/// The shortest text that could be a proof: 16 bytes make 22 characters of base64.
const SHORTEST_PROOF: usize = 20;

/// The shortest random text that is hidden in a text for people or in a path: 8 bytes in hexadecimal
/// digits. Versions, builds and the ids of customers are shorter.
const SHORTEST_KEY: usize = 16;

/// The longest random text that is still an id: SHA-1 in hexadecimal digits. Proofs of SHA-256 are longer.
const LONGEST_ID: usize = 40;

/// The most digits of a number.
const LONGEST_NUMBER: usize = 19;

/// From this length on, a word of capitals is rather base32 than plain.
const SHORTEST_BASE32: usize = 16;

/// The shortest mixture of letters, digits and marks that could be a password.
const SHORTEST_MIXTURE: usize = 10;

/// The longest plain word.
const LONGEST_WORD: usize = 24;

/// The longest name that is looked for in front of a value.
const LONGEST_NAME: usize = 100;

/// The words in front of a credential in `Authorization` and in headers like it.
const SCHEMES: &[&str] = &[
    "bearer",
    "basic",
    "token",
    "digest",
    "apikey",
    "api-key",
    "key",
    "hmac",
    "hawk",
    "signature",
    "negotiate",
    "ntlm",
    "dpop",
    "oauth",
    "secret",
    "password",
    "splunk",
    "sso-key",
];

/// The ranges of a text that could be a credential. The more a text is trusted, the fewer kinds of
/// them are looked for.
pub(super) fn credentials(text: &str, trust: Trust) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    conceal::marked(text, &mut found);
    web_tokens(text, &mut found);
    behind_scheme(text, trust, &mut found);
    behind_name(text, trust, &mut found);
    match trust {
        Trust::Grammar => {}
        Trust::Id => random(text, is_no_id, &mut found),
        Trust::Words => {
            random(text, |word| odd_length(word) >= SHORTEST_KEY, &mut found);
            let words = conceal::words(text, |c| !c.is_whitespace()).into_iter();
            let odd = words.filter(|(_, word)| is_grouped(word) || is_mixture(word));
            found.extend(odd.map(|(at, word)| at..at + word.len()));
        }
        Trust::Little | Trust::Nothing => {
            let is_odd = |word: &str| word.len() >= SHORTEST_PROOF && odd_length(word) > 0;
            random(text, is_odd, &mut found);
            short(text, &mut found);
            if is_grouped(text) || text.split_whitespace().any(is_mixture) {
                found.push(0..text.len());
            }
        }
    }
    found
}

/// JSON Web Tokens, of which a part may be missing.
fn web_tokens(text: &str, found: &mut Vec<Range<usize>>) {
    let mut done = 0;
    for (at, begin) in text.match_indices("eyJ") {
        if at < done {
            continue;
        }
        let before = text.get(..at).unwrap_or_default();
        let rest = text.get(at..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c);
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        done = at + length;
        if !before.ends_with(|c: char| c.is_ascii_alphanumeric()) && length > begin.len() {
            found.push(at..at + length);
        }
    }
}

/// What is behind a word such as `Bearer`, and a blank or what stands for one in a URL.
fn behind_scheme(text: &str, trust: Trust, found: &mut Vec<Range<usize>>) {
    let lower = text.to_ascii_lowercase();
    let is_end = |c: char| c.is_whitespace() || ",;\"'".contains(c);
    let blanks = [" ", "\t", "%20", "+"];
    for scheme in SCHEMES {
        let mut done = 0;
        for (at, _) in lower.match_indices(scheme) {
            let before = text.get(..at).unwrap_or_default();
            let behind = text.get(at + scheme.len()..).unwrap_or_default();
            let Some(rest) = blanks.iter().find_map(|blank| behind.strip_prefix(blank)) else {
                continue;
            };
            if at < done {
                continue;
            }
            let rest = rest.trim_start();
            let is_quoted = rest.starts_with(['"', '\'', '`']);
            let own = if is_quoted { quoted(rest) } else { None };
            let own = own.unwrap_or(0..rest.find(is_end).unwrap_or(rest.len()));
            let given = rest.get(own.clone()).unwrap_or_default();
            // In text for people the other words have a plain meaning, too.
            let is_sure = *scheme == "bearer" || (before.is_empty() && trust == Trust::Id);
            let is_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
            let start = text.len() - rest.len() + own.start;
            let length = given.len();
            if length > LONGEST_NAME {
                done = start + length;
            }
            let is_odd = is_sure || odd_length(given) > 0;
            if is_word && !given.is_empty() && !is_hidden(given) && is_odd {
                found.push(start..start + length);
            }
        }
    }
    let first = text.split(is_end).next().unwrap_or_default();
    let is_alone = text
        .get(first.len()..)
        .is_none_or(|rest| rest.trim().is_empty());
    if trust == Trust::Little && !is_alone && is_name(first) && names::speaks_of_proof(first) {
        found.push(0..text.len());
    }
}

/// Whether a text could be a name: letters, digits and the marks within names.
fn is_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The value of a pair whose name speaks of proof or access: `token=…`, `"api_key": "…"`,
/// `<token>…`.
fn behind_name(text: &str, trust: Trust, found: &mut Vec<Range<usize>>) {
    let mut done = 0;
    for (at, sign) in text.match_indices(['=', ':', '>']) {
        let rest = text.get(at + sign.len()..).unwrap_or_default();
        let is_url = sign == ":" && rest.starts_with("//");
        let is_port = trust == Trust::Grammar && sign == ":" && begins_with_port(rest);
        if at < done || is_url || is_port {
            continue;
        }
        // No name is longer, and a value without end must not be read again and again.
        let start =
            (at.saturating_sub(LONGEST_NAME)..at).find(|start| text.is_char_boundary(*start));
        let before = text.get(start.unwrap_or(at)..at).unwrap_or_default();
        let is_element = sign == ">" && !before.ends_with('=');
        let before = before.trim_end_matches(['"', '\'', '\\', ' ', '\t', '=']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = before.rsplit(|c| !is_part(c)).next().unwrap_or_default();
        if !names::speaks_of_proof(name) {
            continue;
        }
        let value = rest.trim_start_matches([' ', '\t', '\\', '=', '>']);
        let start = text.len() - value.len();
        done = start;
        if is_hidden(value) {
            continue;
        }
        let is_end = |c: char| c.is_whitespace() || ";,&\"'<>(){}\\".contains(c);
        let own = match quoted(value) {
            _ if is_element => 0..value.find('<').unwrap_or(value.len()),
            Some(own) => own,
            None => 0..value.find(is_end).unwrap_or(value.len()),
        };
        let given = value.get(own.clone()).unwrap_or_default();
        done = start + own.end;
        if !given.is_empty() && given != HIDDEN {
            found.push(start + own.start..done);
        }
    }
}

/// Whether a text begins with the number of a port.
fn begins_with_port(text: &str) -> bool {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
    let rest = text.get(digits..).unwrap_or_default();
    (1..=5).contains(&digits) && !rest.starts_with(|c: char| c.is_alphanumeric())
}

/// Whether a value is hidden already.
fn is_hidden(value: &str) -> bool {
    let rest = value.strip_prefix(HIDDEN);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '@'))
}

/// Long words that `is_odd` takes. UUIDs are left out. Words are what hex, base64 and base64url are
/// written with, and the escapes of their marks in a URL.
fn random(text: &str, is_odd: impl Fn(&str) -> bool, found: &mut Vec<Range<usize>>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-%".contains(c);
    let text = without_uuids(text);
    let words = conceal::words(&text, is_part).into_iter();
    let odd = words.filter(|(_, word)| is_odd(word));
    found.extend(odd.map(|(at, word)| at..at + word.len()));
}

/// How many characters of a word are in parts that are neither plain words nor numbers.
fn odd_length(word: &str) -> usize {
    let parts = word.split(|c: char| !c.is_ascii_alphanumeric());
    parts.filter(|part| !is_plain(part)).map(str::len).sum()
}

/// Whether a word is longer than an id. The hexadecimal parts of a trace make a long one.
fn is_no_id(word: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let mut parts = word.split('-');
    let is_trace = parts.all(|part| part.len() <= 32 && part.bytes().all(is_digit));
    word.len() > LONGEST_ID && !is_trace && odd_length(word) > 0
}

/// Shorter words that mix letters and digits, or small letters and capitals, as no plain word does.
fn short(text: &str, found: &mut Vec<Range<usize>>) {
    let text = without_uuids(text);
    for (at, word) in conceal::words(&text, |c| c.is_ascii_alphanumeric()) {
        let by_case = conceal::changes(word, conceal::class);
        let by_digit = conceal::changes(word, |c| conceal::class(c).map(|class| class / 2));
        let lower = word.to_ascii_lowercase();
        let is_known = ALGORITHMS.contains(&&*lower) || is_span(word) || is_time(word);
        let is_odd = (word.len() >= 6 && by_digit >= 2)
            || (word.len() >= 10 && by_case * 3 >= word.len())
            || (word.len() >= SHORTEST_BASE32 && !is_plain(word));
        if is_odd && !is_known {
            found.push(at..at + word.len());
        }
    }
}

/// Whether a text is a key in groups, as `AB:CD:…` or `abcd efgh …`: many short groups, or groups of
/// the same length, of which the last one may be shorter.
fn is_grouped(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_mixed = text.contains(is_digit) && text.contains(|c: char| c.is_ascii_alphabetic());
    let is_grouped_by = |mark: char| {
        let groups: Vec<&str> = text.trim().split(mark).map(str::trim).collect();
        let Some((last, others)) = groups.split_last() else {
            return false;
        };
        let length = others.first().map_or(0, |group| group.len());
        let total: usize = groups.iter().map(|group| group.len()).sum();
        let is_list = matches!(mark, ' ' | ':' | ',' | '.' | '-' | '_');
        let is_made_of = |group: &&str| {
            let is_part = |b: u8| b.is_ascii_alphanumeric() || (is_list && b"+/=".contains(&b));
            !group.is_empty() && group.bytes().all(is_part)
        };
        let is_alike = others.iter().all(|group| group.len() == length)
            && (2..=12).contains(&length)
            && (length / 2..=length).contains(&last.len());
        // Plain words may be divided by these marks.
        let is_dense = matches!(mark, ' ' | ':') || is_mixed;
        let is_long = total >= 16 && groups.len() >= 3 && is_dense;
        let is_odd = total >= 8 && is_mixed && groups.iter().all(|group| group.contains(is_digit));
        let is_many = groups.len() >= 8
            && total >= 16
            && (is_mixed || (is_list && text.contains(is_digit)))
            && groups.iter().all(|group| group.len() <= 4);
        groups.iter().all(is_made_of) && (is_many || (is_alike && (is_long || is_odd)))
    };
    let is_mark = |c: &char| !c.is_alphanumeric() && !c.is_whitespace() && !"+/=".contains(*c);
    let mark = text.chars().find(is_mark).unwrap_or(' ');
    !is_time(text) && (is_grouped_by(mark) || is_grouped_by(' '))
}

/// Marks by which the values of headers are divided.
const DIVIDERS: &str = ",;:=.-_/%\"'()[]{}";

/// Whether a text without blanks looks like a random password: it often changes between letters,
/// digits and marks, and has marks that divide neither lists nor parameters.
fn is_mixture(word: &str) -> bool {
    let parts = word.split(|c: char| !c.is_ascii_alphanumeric());
    let odd = parts
        .filter(|part| !is_plain(part) && !is_measure(part))
        .count();
    let is_rare =
        |mark: &u8| !DIVIDERS.contains(char::from(*mark)) && word.contains(char::from(*mark));
    let marks = (b'!'..=b'~')
        .filter(u8::is_ascii_punctuation)
        .filter(is_rare)
        .count();
    let has = |is_kind: fn(&u8) -> bool| word.bytes().any(|b| is_kind(&b));
    let is_varied = has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit)
            || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)));
    let changes = conceal::changes(word, |c| Some(conceal::class(c).unwrap_or(3)));
    word.len() >= SHORTEST_MIXTURE
        && is_varied
        && marks > 0
        && odd + marks >= 3
        && changes * 2 >= word.len()
}

/// Whether a word is a number with a unit, or a span of time.
fn is_measure(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    is_span(word) || (unit.len() <= 2 && unit.bytes().all(|b| b.is_ascii_lowercase()))
}

/// The text with blanks in place of UUIDs, which are ids and no secrets.
fn without_uuids(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(word) = bytes.get(at..at + 36) {
        let is_border = |place: Option<usize>| {
            let byte = place.and_then(|place| bytes.get(place));
            byte.is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        if is_uuid(word) && is_border(at.checked_sub(1)) && is_border(Some(at + 36)) {
            if let Some(word) = bytes.get_mut(at..at + 36) {
                word.fill(b' ');
            }
            at += 36;
        } else {
            at += 1;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Whether letters and digits side by side are a number or a plain word, which may have capitals
/// within (`HttpClient`) or a few digits behind (`v2`).
fn is_plain(part: &str) -> bool {
    let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.len() - word.len();
    let is_small = word.bytes().all(|b| b.is_ascii_lowercase());
    let is_capital = word.len() < SHORTEST_BASE32 && word.bytes().all(|b| b.is_ascii_uppercase());
    let is_hex = part.len() >= 8 && digits > 0 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let rest = word.get(1..).unwrap_or_default();
    let begins_capital = rest.bytes().all(|b| b.is_ascii_lowercase());
    let is_joined = word.len() >= 8
        && word.bytes().any(|b| b.is_ascii_lowercase())
        && conceal::changes(word, conceal::class) * 3 < word.len();
    let has_letters_only = word.bytes().all(|b| b.is_ascii_alphabetic());
    if word.is_empty() {
        return digits <= LONGEST_NUMBER;
    }
    has_letters_only
        && !is_hex
        && word.len() <= LONGEST_WORD
        && digits <= 4
        && (is_small || is_capital || begins_capital || is_joined)
}

/// Whether the name of a parameter, or a label, is made of plain words.
pub fn is_plain_name(name: &str) -> bool {
    name.len() <= 40
        && name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .all(is_plain)
        && credentials(name, Trust::Little).is_empty()
}

/// Whether a word is a span of time, as `1h30m`.
fn is_span(word: &str) -> bool {
    let units = word.split(|c: char| c.is_ascii_digit());
    word.starts_with(|c: char| c.is_ascii_digit())
        && units
            .into_iter()
            .all(|unit| matches!(unit, "" | "d" | "h" | "m" | "s" | "ms"))
}

/// Whether a text is a moment: Unix time, ISO 8601, or the date of HTTP.
pub(super) fn is_time(text: &str) -> bool {
    let is_unix =
        (10..=LONGEST_NUMBER).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let is_iso = text.starts_with("20")
        && (8..=23).contains(&digits(text))
        && text.len() <= 36
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"TZtz:+-., ".contains(&b))
        && text.bytes().any(|b| b"TtZz-".contains(&b));
    is_unix || is_iso || is_date_of_http(text)
}

/// Whether a text is a moment in the form of HTTP, as `Sun, 15 Jun 2025 15:06:40 GMT`.
pub(super) fn is_date_of_http(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.ends_with(" GMT") && text.len() <= 34 && digits == 12
}
