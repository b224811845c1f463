//! PEM (RFC 7468): blocks of base64 between lines that name their content.
//!
//! The reader is more lenient than the RFC's grammar, because keys travel through environment
//! variables and YAML: it allows any white space within a block, and text around blocks. The caller
//! decides which content it accepts.

use zeroize::Zeroizing;

use crate::notation::encoding::Encoding;

/// A block whose base64 is not decoded yet.
pub(super) struct Block<'t> {
    /// The name in the block's lines, such as `PUBLIC KEY`.
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
    /// Whether the block holds a private key of any kind.
    pub(super) fn is_private(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// The block's content, wiped on drop.
    pub(super) fn decoded(&self) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        if self.text.contains('\\') {
            return Err(
                "the PEM's line breaks are written as `\\n`: it needs real ones, or spaces",
            );
        }
        base64(self.text.as_bytes()).ok_or("the PEM block is not base64")
    }
}

/// The bytes of base64 in the standard alphabet, white space ignored; wiped on drop.
pub(super) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Zeroizing::new(vec![0; packed.len()]);
    let len = Encoding::Base64.decode(&packed, &mut bytes)?;
    bytes.truncate(len);
    Some(bytes)
}
