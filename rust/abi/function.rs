// SPDX-License-Identifier: GPL-2.0

//! The PCI function that a session is with, as TDH.SPDM.CREATE takes it.

use core::fmt;

/// A function id: requester id in 15:0, PCI segment in 23:16, segment valid in 24. `[1]` V2 27/31
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct FunctionId(u64);

impl FunctionId {
    const SEGMENT_SHIFT: u32 = 16;
    const SEGMENT_VALID: u64 = 1 << 24;
    const RESERVED: u64 = !0x1ff_ffff;

    /// The function with the requester id `rid` (bus in 15:8, device and function in 7:0) in a PCI
    /// segment.
    ///
    /// The valid bit is set for a segment other than 0 only, as V2 does. Whether segment 0 may be
    /// said to be valid is not known. `[I]`
    #[inline]
    pub(crate) const fn new(segment: u8, rid: u16) -> Self {
        let valid = if segment != 0 { Self::SEGMENT_VALID } else { 0 };
        Self(rid as u64 | (segment as u64) << Self::SEGMENT_SHIFT | valid)
    }

    /// A word as it stands in RCX. Nothing is checked.
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Self {
        Self(word)
    }

    /// The value for RCX.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The requester id.
    #[inline]
    pub(crate) const fn rid(self) -> u16 {
        // CAST: The low bits are meant.
        self.0 as u16
    }

    /// The PCI segment.
    #[inline]
    pub(crate) const fn segment(self) -> u8 {
        // CAST: Eight bits are meant.
        (self.0 >> Self::SEGMENT_SHIFT) as u8
    }

    /// Whether it names a function: no bit above 24 is set, and no segment that is not said to be
    /// valid, `[I]`.
    #[inline]
    pub(crate) const fn is_well_formed(self) -> bool {
        self.0 & Self::RESERVED == 0 && (self.segment() == 0 || self.0 & Self::SEGMENT_VALID != 0)
    }

    /// The same function as [`Self::new`] would write it.
    #[inline]
    pub(crate) const fn canonical(self) -> Self {
        Self::new(self.segment(), self.rid())
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rid = self.rid();
        let (bus, device, function) = (rid >> 8, rid >> 3 & 0x1f, rid & 7);
        let segment = self.segment();
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        for (segment, rid, want) in [
            (0, 0, 0),
            (0, 0x1234, 0x1234),
            (1, 0x1234, 0x101_1234),
            (0xff, 0xffff, 0x1ff_ffff),
        ] {
            let id = FunctionId::new(segment, rid);
            assert_eq!(id.raw(), want);
            assert_eq!((id.segment(), id.rid()), (segment, rid));
            assert!(id.is_well_formed());
            assert_eq!(id.canonical(), id);
        }
    }

    #[test]
    fn what_names_no_function() {
        for word in [1 << 25, 1 << 63, 0x1_0000, u64::MAX] {
            assert!(!FunctionId::from_raw(word).is_well_formed(), "{word:#x}");
        }
        // Segment 0 said to be valid: another word for the same function.
        let id = FunctionId::from_raw(0x100_0008);
        assert!(id.is_well_formed());
        assert_eq!(id.canonical(), FunctionId::new(0, 8));
    }

    #[test]
    fn text() {
        assert_eq!(FunctionId::new(1, 0x1a2b).to_string(), "0001:1a:05.3");
    }
}
