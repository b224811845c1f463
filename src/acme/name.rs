//! The host names for which certificates are ordered.

/// The longest name (RFC 1035 2.3.4), and the longest label of a name.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The reason why no certificate can be ordered for a text, in words that complete "`names` …", and
/// the correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameFault {
    /// What is wrong.
    pub message: &'static str,
    /// The correction.
    pub help: &'static str,
}

const EXAMPLE: &str = "write a host name, as in `hooks.example.com`";

/// The host name of this text, in lower case.
///
/// # Errors
/// [`NameFault`] for a wildcard, an address, a name that is not ASCII, and whatever else is no host
/// name (RFC 1123 2.1).
pub fn host_name(text: &str) -> Result<String, NameFault> {
    let fault = |message, help| Err(NameFault { message, help });
    if text.starts_with("*.") || text == "*" {
        return fault(
            "has a wildcard, which needs a challenge in the DNS, and the gateway has none",
            "list each name by itself",
        );
    }
    if !text.is_ascii() {
        return fault(
            "has a name that is not ASCII",
            "write its form in the DNS, which begins with `xn--`",
        );
    }
    if text.contains("://") || text.contains('/') {
        return fault("has a URL", EXAMPLE);
    }
    let is_address = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    if is_address.is_ok() {
        return fault(
            "has an address, and certificates are ordered for names alone",
            EXAMPLE,
        );
    }
    if text.contains(':') {
        return fault("has a name with a port", "leave the port out");
    }
    if text.len() > 1 && text.ends_with('.') {
        return fault("has a name with a dot at its end", "leave the dot out");
    }
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    let last = text.rsplit('.').next().unwrap_or_default();
    if text.len() > MAX_NAME || !text.split('.').all(is_label) || is_number(last) {
        return fault("has a text that is no host name", EXAMPLE);
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_taken_in_lower_case_and_everything_else_is_refused_with_its_reason() {
        let long = format!("{}.example.com", "a".repeat(64));
        let longer = format!("{}com", "abcdefgh.".repeat(30));
        let rows = [
            ("hooks.example.com", Ok("hooks.example.com")),
            ("Hooks.Example.COM", Ok("hooks.example.com")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("localhost", Ok("localhost")),
            ("1.example.com", Ok("1.example.com")),
            ("*.example.com", Err("wildcard")),
            ("*", Err("wildcard")),
            ("bücher.example", Err("not ASCII")),
            ("https://hooks.example.com", Err("a URL")),
            ("hooks.example.com/a", Err("a URL")),
            ("hooks.example.com:443", Err("a port")),
            ("hooks.example.com.", Err("a dot at its end")),
            ("127.0.0.1", Err("an address")),
            ("[::1]", Err("an address")),
            ("::1", Err("an address")),
            ("127.1", Err("no host name")),
            ("", Err("no host name")),
            (".", Err("no host name")),
            ("a..b", Err("no host name")),
            ("../a", Err("a URL")),
            ("a b", Err("no host name")),
            ("a_b.example", Err("no host name")),
            ("-a.example", Err("no host name")),
            ("a-.example", Err("no host name")),
            ("a\0.example", Err("no host name")),
            (&long, Err("no host name")),
            (&longer, Err("no host name")),
        ];
        let mut failures = Vec::new();
        for (text, expected) in rows {
            let found = host_name(text);
            let is_good = match (&found, expected) {
                (Ok(name), Ok(expected)) => name == expected,
                (Err(fault), Err(words)) => fault.message.contains(words),
                _ => false,
            };
            if !is_good {
                failures.push((text, found, expected));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    }
}
