//! The words of an authority, made fit for a log: whoever answers in its place chooses them.

/// The most characters of an authority's words that a message shows.
const SHOWN: usize = 500;

/// The text on one line: control characters, invisible ones and what could end the line are escaped,
/// and what is long is cut.
pub fn fit_for_log(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN));
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a terminal shows the character as nothing, or lets it change the order of others.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tl_11_words_of_an_authority_stay_on_one_short_line_and_say_what_they_are() {
        let rows = [
            ("DNS problem: NXDOMAIN", "DNS problem: NXDOMAIN"),
            ("a\nERROR forged \u{1b}[31m", "a\\nERROR forged \\u{1b}[31m"),
            ("\u{202e}evil\u{2028}", "\\u{202e}evil\\u{2028}"),
            ("größe", "größe"),
        ];
        for (text, expected) in rows {
            assert_eq!(fit_for_log(text), expected);
        }
        let long = fit_for_log(&"x".repeat(100_000));
        assert_eq!(long.chars().count(), SHOWN + 1);
    }
}
