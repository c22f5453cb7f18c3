// SPDX-License-Identifier: GPL-2.0

//! Host physical addresses of 4 KiB pages.

use super::PAGE_SIZE;
use core::fmt;

/// Bits 51:12, where every format of the TDX Module keeps a page number. `[2]`
pub(crate) const HPA_MASK: u64 = 0x000f_ffff_ffff_f000;

/// The HPA of a 4 KiB page, without a KeyID.
///
/// # Invariants
///
/// Bits 11:0 and 63:52 are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub(crate) struct Hpa(u64);

impl Hpa {
    /// Makes one from a physical address in bytes; [`None`] if it is not the address of a 4 KiB
    /// page below 2^52.
    #[inline]
    pub(crate) const fn new(addr: u64) -> Option<Self> {
        if addr & !HPA_MASK != 0 {
            return None;
        }
        // INVARIANT: Checked above.
        Some(Self(addr))
    }

    /// Takes the page number out of bits 51:12 of an operand and drops the other bits.
    #[inline]
    pub(crate) const fn from_bits(word: u64) -> Self {
        // INVARIANT: The mask leaves bits 51:12 only.
        Self(word & HPA_MASK)
    }

    /// The address in bytes.
    #[inline]
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// The page frame number.
    #[inline]
    pub(crate) const fn pfn(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// The page `n` pages further on; [`None`] past 2^52.
    #[inline]
    pub(crate) const fn checked_add_pages(self, n: u64) -> Option<Self> {
        match n.checked_mul(PAGE_SIZE) {
            Some(bytes) => match self.0.checked_add(bytes) {
                Some(addr) => Self::new(addr),
                None => None,
            },
            None => None,
        }
    }
}

impl fmt::Display for Hpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_pages_below_2_52_only() {
        assert_eq!(Hpa::new(0x1000).map(Hpa::get), Some(0x1000));
        assert_eq!(Hpa::new(HPA_MASK).map(Hpa::get), Some(HPA_MASK));
        for bad in [1, 0x1001, 0x1800, 1 << 52, 1 << 63, u64::MAX] {
            assert_eq!(Hpa::new(bad), None, "{bad:#x}");
        }
    }

    #[test]
    fn steps_by_pages_and_stops_at_the_end() {
        let hpa = Hpa::new(0x1_0000_0000).unwrap();
        assert_eq!(hpa.checked_add_pages(3).map(Hpa::get), Some(0x1_0000_3000));
        assert_eq!(hpa.pfn(), 0x10_0000);
        assert_eq!(Hpa::new(HPA_MASK).unwrap().checked_add_pages(1), None);
        assert_eq!(hpa.checked_add_pages(u64::MAX), None);
    }
}
