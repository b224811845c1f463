//! Bytes in which a passing window is written: whole numbers, the lowest byte first, in a fixed
//! order.

/// Writes into a list of bytes.
#[derive(Debug)]
pub(super) struct Writer<'v>(pub(super) &'v mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn short(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn word(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn digest(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A value that may be absent, behind a byte that says so.
    pub(super) fn optional(&mut self, value: Option<u64>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.long(value);
        }
    }
}

/// Reads from bytes. Every method gives `None` where they end too early.
#[derive(Debug)]
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn digest(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    /// A value that may be absent.
    #[expect(
        clippy::option_option,
        reason = "the outer one says whether there were bytes, as everywhere here"
    )]
    pub(super) fn optional(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.long()?)),
            _ => None,
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}
