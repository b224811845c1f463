//! Parameters in quotation marks, as the drafts of HTTP signatures by Cavage write them
//! (draft-cavage-http-signatures, section 2.2): `keyid="a", algorithm="b", headers="c d"`.
//!
//! A text has one reading: a name is there once, and a value holds neither a quotation mark nor a
//! backslash.

/// The most parameters that are read.
const MOST: usize = 16;

/// The parameters in their order; `None` for a text of another form.
pub(super) fn parameters(text: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut rest = std::str::from_utf8(text).ok()?;
    let mut found: Vec<(&str, &str)> = Vec::new();
    loop {
        let (name, behind) = rest.split_once("=\"")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (value, behind) = behind.split_once('"')?;
        let is_again = found
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !is_name || is_again || value.contains('\\') || found.len() == MOST {
            return None;
        }
        found.push((name, value));
        if behind.is_empty() {
            return Some(found);
        }
        rest = behind.strip_prefix(", ").or(behind.strip_prefix(','))?;
    }
}

/// The value of the parameter `name`.
pub(super) fn value<'p>(parameters: &[(&str, &'p str)], name: &str) -> Option<&'p str> {
    let found = parameters.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_one_reading() {
        let all = parameters(br#"keyid="a b", algorithm="",headers="(x) y""#).unwrap();
        assert_eq!(
            all,
            [("keyid", "a b"), ("algorithm", ""), ("headers", "(x) y")]
        );
        assert_eq!(value(&all, "headers"), Some("(x) y"));
        assert_eq!(value(&all, "Headers"), None);
        for bad in [
            "",
            "a",
            "a=b",
            "a=\"b",
            "a=\"b\",",
            "a=\"b\", ",
            "a=\"b\",  c=\"d\"",
            "a=\"b\" ,c=\"d\"",
            "a=\"b\";c=\"d\"",
            "a=\"b\",a=\"c\"",
            "a=\"b\",A=\"c\"",
            "a=\"b\\\"",
            "=\"b\"",
            " a=\"b\"",
            "a =\"b\"",
            "a=\"b\"c=\"d\"",
        ] {
            assert_eq!(parameters(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parameters(b"a=\"\xff\""), None);
    }
}
