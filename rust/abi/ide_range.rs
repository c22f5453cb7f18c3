// SPDX-License-Identifier: GPL-2.0

//! What traffic belongs to an IDE stream: requester ids and addresses, as the images of the root
//! port's association registers.
//!
//! TDH.IDE.STREAM.CREATE takes the images, `[1]` V2 29/31; the places of their fields are those of
//! PCIe, `[1]` K73 `pci_regs.h`.

/// Requester ids from `base` to `limit`, both within: R10 and R11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RidRange {
    /// PCI segment.
    pub(crate) segment: u8,
    /// The first one.
    pub(crate) base: u16,
    /// The last one.
    pub(crate) limit: u16,
}

/// Which register image is wrong: 1 is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRegister(pub(crate) u8);

impl RidRange {
    const VALID: u64 = 1;
    const SHIFT: u32 = 8;
    const FIELD: u64 = 0xffff << Self::SHIFT;
    const SEGMENT_SHIFT: u32 = 24;
    const SEGMENT: u64 = 0xff << Self::SEGMENT_SHIFT;

    /// Both register images: limit in 23:8 of the first; valid in 0, base in 23:8 and segment in
    /// 31:24 of the second.
    pub(crate) const fn images(self) -> [u64; 2] {
        [
            (self.limit as u64) << Self::SHIFT,
            Self::VALID
                | (self.base as u64) << Self::SHIFT
                | (self.segment as u64) << Self::SEGMENT_SHIFT,
        ]
    }

    /// Reads both images. That the TDX Module wants them valid, without other bits and with a base
    /// that is not above the limit is `[I]`.
    pub(crate) const fn parse(images: [u64; 2]) -> Result<Self, BadRegister> {
        let [one, two] = images;
        if one & !Self::FIELD != 0 {
            return Err(BadRegister(1));
        }
        if two & !(Self::FIELD | Self::SEGMENT) != Self::VALID {
            return Err(BadRegister(2));
        }
        // CAST: The fields are as wide as the types.
        let range = Self {
            segment: (two >> Self::SEGMENT_SHIFT) as u8,
            base: (two >> Self::SHIFT) as u16,
            limit: (one >> Self::SHIFT) as u16,
        };
        if range.base > range.limit {
            return Err(BadRegister(2));
        }
        Ok(range)
    }

    /// Whether both have a requester id in common.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.segment == other.segment && self.base <= other.limit && other.base <= self.limit
    }
}

/// Addresses from `base` to `limit`, both within, in blocks of 1 MiB: R12 to R14.
///
/// # Invariants
///
/// `base` is a multiple of 1 MiB and `limit` is one byte below such a multiple or below 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    base: u64,
    limit: u64,
}

impl AddressRange {
    const BLOCK: u64 = 1 << 20;
    const VALID: u64 = 1;

    /// Every address, which is what V2 passes. `[1]` V2 30/31
    // INVARIANT: 0, and one byte below 2^64.
    pub(crate) const ALL: Self = Self {
        base: 0,
        limit: u64::MAX,
    };

    /// The addresses from `base` to `limit`; [`None`] if they are no blocks of 1 MiB.
    pub(crate) const fn new(base: u64, limit: u64) -> Option<Self> {
        if base % Self::BLOCK != 0 || limit % Self::BLOCK != Self::BLOCK - 1 || base > limit {
            return None;
        }
        // INVARIANT: Checked above.
        Some(Self { base, limit })
    }

    /// All three register images. The first: valid in 0, bits 31:20 of the base in 19:8, of the
    /// limit in 31:20. The second: bits 63:32 of the limit, the third: of the base.
    pub(crate) const fn images(self) -> [u64; 3] {
        [
            Self::VALID | (self.base >> 20 & 0xfff) << 8 | (self.limit >> 20 & 0xfff) << 20,
            self.limit >> 32,
            self.base >> 32,
        ]
    }

    /// Reads all three images. That the TDX Module wants them valid, without other bits and with a
    /// base that is not above the limit is `[I]`.
    pub(crate) const fn parse(images: [u64; 3]) -> Result<Self, BadRegister> {
        let [one, two, three] = images;
        if one & !0xffff_ff00 != Self::VALID {
            return Err(BadRegister(1));
        }
        if two >> 32 != 0 {
            return Err(BadRegister(2));
        }
        if three >> 32 != 0 {
            return Err(BadRegister(3));
        }
        let base = three << 32 | (one >> 8 & 0xfff) << 20;
        let limit = two << 32 | (one >> 20 & 0xfff) << 20 | (Self::BLOCK - 1);
        match Self::new(base, limit) {
            Some(range) => Ok(range),
            None => Err(BadRegister(1)),
        }
    }

    /// Whether both have an address in common.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.base <= other.limit && other.base <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIDS: RidRange = RidRange {
        segment: 0x12,
        base: 0x100,
        limit: 0x1ff,
    };

    #[test]
    fn rid_images() {
        assert_eq!(RIDS.images(), [0x1_ff00, 0x1201_0001]);
        assert_eq!(RidRange::parse(RIDS.images()), Ok(RIDS));
        let [one, two] = RIDS.images();
        for (images, wrong) in [
            ([one | 1, two], 1),
            ([one | 1 << 24, two], 1),
            ([one, two & !1], 2),
            ([one, two | 2], 2),
            ([one, two | 1 << 32], 2),
            ([0, two], 2),
        ] {
            assert_eq!(
                RidRange::parse(images),
                Err(BadRegister(wrong)),
                "{images:x?}"
            );
        }
    }

    #[test]
    fn address_images() {
        assert_eq!(AddressRange::ALL.images(), [0xfff0_0001, 0xffff_ffff, 0]);
        let range = AddressRange::new(0x12_3450_0000, 0x45_678f_ffff).unwrap();
        assert_eq!(range.images(), [0x6783_4501, 0x45, 0x12]);
        for range in [range, AddressRange::ALL] {
            assert_eq!(AddressRange::parse(range.images()), Ok(range));
        }
        let [one, two, three] = range.images();
        for (images, wrong) in [
            ([one & !1, two, three], 1),
            ([one | 2, two, three], 1),
            ([one | 1 << 32, two, three], 1),
            ([one, 1 << 32, three], 2),
            ([one, two, 1 << 32], 3),
            ([one, 0, three], 1),
        ] {
            let parsed = AddressRange::parse(images);
            assert_eq!(parsed, Err(BadRegister(wrong)), "{images:x?}");
        }
        assert_eq!(AddressRange::new(4096, u64::MAX), None);
        assert_eq!(AddressRange::new(0, 4095), None);
    }

    #[test]
    fn overlaps() {
        let next = RidRange {
            base: 0x200,
            limit: 0x2ff,
            ..RIDS
        };
        assert!(RIDS.overlaps(RIDS) && !RIDS.overlaps(next) && !next.overlaps(RIDS));
        let wide = RidRange { base: 0, ..next };
        assert!(wide.overlaps(RIDS) && RIDS.overlaps(wide));
        assert!(!RIDS.overlaps(RidRange { segment: 0, ..RIDS }));
        let low = AddressRange::new(0, 0xf_ffff).unwrap();
        let high = AddressRange::new(0x10_0000, u64::MAX).unwrap();
        assert!(!low.overlaps(high) && !high.overlaps(low));
        assert!(AddressRange::ALL.overlaps(low) && high.overlaps(AddressRange::ALL));
    }
}
