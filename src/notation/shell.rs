//! Words of a POSIX shell, for commands that are shown to be pasted.

/// A word, in single quotes unless every character of it is harmless.
pub fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._/:@=".contains(&b));
    if is_plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// An option and its value, as in `--route stripe`. A value that would look like an option itself is
/// bound to it, as in `--route=-x`.
pub fn option(option: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{option}{between}{}", quoted(value))
}

/// A value and what follows it, which are options, each behind a blank. A value that would look like an
/// option goes last, as in ` --json -- -x`.
pub fn argument(value: &str, options: &str) -> String {
    if value.starts_with('-') {
        format!("{options} -- {}", quoted(value))
            .trim_start()
            .to_owned()
    } else {
        format!("{}{options}", quoted(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_an_option_is_none() {
        assert_eq!(option("--route", "a b"), "--route 'a b'");
        assert_eq!(option("--route", "-a $b"), "--route='-a $b'");
        assert_eq!(argument("stripe", " --json"), "stripe --json");
        assert_eq!(argument("-x", " --json"), "--json -- -x");
        assert_eq!(argument("-x", ""), "-- -x");
    }
}
