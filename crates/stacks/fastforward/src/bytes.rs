//! Little-endian numbers of any width, read from bytes that may end too early.

/// What is left to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `len` bytes, at most 8.
    pub(crate) fn number(&mut self, len: usize) -> Option<u64> {
        Some(self.take(len)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.number(2).and_then(|number| u16::try_from(number).ok())
    }

    pub(crate) fn u24(&mut self) -> Option<u32> {
        self.number(3).and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number(4).and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that are being written, up to the room there is for them.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Appends bytes; what finds no room is not written.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if let Some(room) = self.out.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
        self
    }

    /// Appends the lowest `len` bytes of a number.
    pub(crate) fn number(&mut self, number: u64, len: usize) -> &mut Self {
        self.bytes(&number.to_le_bytes()[..len])
    }

    pub(crate) fn room(&self) -> usize {
        self.out.len() - self.len
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}
