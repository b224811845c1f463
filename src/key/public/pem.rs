//! PEM (RFC 7468): blocks of base64 between lines that name what is in them.
//!
//! More is taken than its grammar has, as keys travel through environment variables and YAML: any white space within
//! a block, and text around blocks. What a block may hold is decided by who asks.

use zeroize::Zeroizing;

use crate::notation::encoding::Encoding;

/// One block, not yet decoded.
pub(super) struct Block<'t> {
    /// What its lines name, `PUBLIC KEY`.
    pub(super) label: &'t str,
    text: &'t str,
}

/// All blocks of a text, at least one.
pub(super) fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, &'static str> {
    let mut rest = str::from_utf8(text).map_err(|_| "the PEM text is not UTF-8")?;
    let mut found = Vec::new();
    while let Some((_, block)) = rest.split_once("-----BEGIN ") {
        let (label, block) = block
            .split_once("-----")
            .ok_or("the PEM's `-----BEGIN` has no end")?;
        let end = format!("-----END {label}-----");
        let (text, after) = block
            .split_once(&end)
            .ok_or("the PEM's `-----BEGIN` has no `-----END` of the same name")?;
        found.push(Block { label, text });
        rest = after;
    }
    if found.is_empty() {
        Err("the PEM text has no `-----BEGIN`")
    } else {
        Ok(found)
    }
}

impl Block<'_> {
    /// Whether it holds a private key, of whatever kind.
    pub(super) fn is_private(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// What is in it; wiped on drop.
    pub(super) fn decoded(&self) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        if self.text.contains('\\') {
            return Err(
                "the PEM's line breaks are written as `\\n`: it needs real ones, or spaces",
            );
        }
        base64(self.text.as_bytes()).ok_or("the PEM block is not base64")
    }
}

/// What base64 of the standard alphabet stands for, white space left out; wiped on drop.
pub(super) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Zeroizing::new(vec![0; packed.len()]);
    let len = Encoding::Base64.decode(&packed, &mut bytes)?;
    bytes.truncate(len);
    Some(bytes)
}
