//! Values in bytes, for what one process of the gateway writes and another reads: whole numbers, the
//! lowest byte first, and texts behind their lengths, in an order that the reader knows.

/// Writes into a list of bytes.
#[derive(Debug)]
pub struct Writer<'v>(pub &'v mut Vec<u8>);

impl Writer<'_> {
    /// Writes a byte.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Writes a number of 16 bits.
    pub fn short(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a number of 32 bits.
    pub fn word(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a number of 64 bits.
    pub fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a number of 128 bits.
    pub fn digest(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A value that may be absent, behind a byte that says so.
    pub fn optional(&mut self, value: Option<u64>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.long(value);
        }
    }

    /// Writes bytes behind their length. More than 4 GiB are cut off.
    pub fn bytes(&mut self, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.word(length);
        let taken = value.get(..length as usize).unwrap_or(value);
        self.0.extend_from_slice(taken);
    }

    /// Writes bytes that may be absent, behind a byte that says so.
    pub fn optional_bytes(&mut self, value: Option<&[u8]>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.bytes(value);
        }
    }
}

/// Reads from bytes. Every method gives `None` where they end too early.
#[derive(Debug)]
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    /// A byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    /// A number of 16 bits.
    pub fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// A number of 32 bits.
    pub fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// A number of 64 bits.
    pub fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number of 128 bits.
    pub fn digest(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    /// A value that may be absent.
    pub fn optional(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.long()?)),
            _ => None,
        }
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.word()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Text behind its length; `None`, too, for bytes that are no text.
    pub fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Text that may be absent.
    pub fn optional_text(&mut self) -> Option<Option<&'b str>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.text()?)),
            _ => None,
        }
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}
