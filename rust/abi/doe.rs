// SPDX-License-Identifier: GPL-2.0

//! The header of a message to or from a device: a PCIe Data Object Exchange (DOE) object.
//!
//! The TDX Module gives and takes whole objects with their header. `[1]` V2 24/31

use super::PAGE_SIZE;

/// The PCI-SIG as vendor. `[I]`: V2 takes it from the request as it is.
pub(crate) const VENDOR_PCI_SIG: u16 = 1;

/// The object type CMA/SPDM of that vendor. `[I]`, in the same way.
pub(crate) const TYPE_SPDM: u8 = 1;

/// Bytes of a header: two dwords.
pub(crate) const HEADER_BYTES: u64 = 8;

/// The bytes of the longest object that fits in a page.
pub(crate) const MAX_BYTES: u64 = PAGE_SIZE;

/// A header, as the first eight bytes of a page: vendor id in 15:0, object type in 23:16, length in
/// dwords in 49:32; the length counts the header. `[1]` V2 24/31
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct DoeHeader(u64);

impl DoeHeader {
    const TYPE_SHIFT: u32 = 16;
    const LENGTH_SHIFT: u32 = 32;
    const LENGTH_MASK: u64 = 0x3_ffff;
    const RESERVED: u64 = 0xff << 24 | !Self::LENGTH_MASK << Self::LENGTH_SHIFT;

    /// The header of an object with `payload` bytes behind it; [`None`] if they are no whole dwords
    /// or do not fit in a page.
    #[inline]
    pub(crate) const fn new(vendor: u16, object_type: u8, payload: u64) -> Option<Self> {
        if payload % 4 != 0 || payload > MAX_BYTES - HEADER_BYTES {
            return None;
        }
        let dwords = (payload + HEADER_BYTES) / 4;
        Some(Self(
            vendor as u64 | (object_type as u64) << Self::TYPE_SHIFT | dwords << Self::LENGTH_SHIFT,
        ))
    }

    /// The first word of a page. Nothing is checked.
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Self {
        Self(word)
    }

    /// The first word of a page.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The vendor id.
    #[inline]
    pub(crate) const fn vendor(self) -> u16 {
        // CAST: The low bits are meant.
        self.0 as u16
    }

    /// The object type, which means something with the vendor only.
    #[inline]
    pub(crate) const fn object_type(self) -> u8 {
        // CAST: Eight bits are meant.
        (self.0 >> Self::TYPE_SHIFT) as u8
    }

    /// Bytes of the whole object; [`None`] if it is shorter than a header or longer than a page, or
    /// if a reserved bit is set.
    #[inline]
    pub(crate) const fn bytes(self) -> Option<u64> {
        // A length of 0 means 2^18 dwords to PCIe, which is too long as well.
        let bytes = (self.0 >> Self::LENGTH_SHIFT & Self::LENGTH_MASK) * 4;
        if self.0 & Self::RESERVED != 0 || bytes < HEADER_BYTES || bytes > MAX_BYTES {
            return None;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        for (payload, want) in [
            (0, 0x0000_0002_0001_0001),
            (4, 0x0000_0003_0001_0001),
            (4088, 0x0000_0400_0001_0001),
        ] {
            let header = DoeHeader::new(VENDOR_PCI_SIG, TYPE_SPDM, payload).unwrap();
            assert_eq!(header.raw(), want);
            assert_eq!((header.vendor(), header.object_type()), (1, 1));
            assert_eq!(header.bytes(), Some(payload + 8));
        }
        for payload in [1, 2, 4092, u64::MAX, u64::MAX - 3] {
            assert_eq!(DoeHeader::new(1, 1, payload), None, "{payload}");
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        for dwords in [0, 1, 1025, 0x3_ffff] {
            let header = DoeHeader::from_raw(0x1_0001 | dwords << 32);
            assert_eq!(header.bytes(), None, "{dwords}");
        }
        for bit in [24, 31, 50, 63] {
            let header = DoeHeader::from_raw(0x2_0001_0001 | 1 << bit);
            assert_eq!(header.bytes(), None, "bit {bit}");
        }
    }
}
