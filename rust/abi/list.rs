// SPDX-License-Identifier: GPL-2.0

//! The three ways a list of pages is told to the TDX Module.
//!
//! Each is a type of its own, with encoders that cannot fail. Nothing here owns the root page or
//! the pages it lists.

use super::{
    hpa::{
        Hpa,
        HPA_MASK, //
    },
    ROOT_ENTRIES, //
};

const COUNT_SHIFT: u32 = 55;
const FIRST_SHIFT: u32 = 3;
const INDEX_MASK: u64 = 0x1ff;

/// The number of entries in a root page: 1 to 512.
///
/// # Invariants
///
/// As said: never 0, which no format can express, and never more than [`ROOT_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entries(u16);

impl Entries {
    /// [`None`] unless `n` is 1 to 512.
    #[inline]
    pub(crate) const fn new(n: usize) -> Option<Self> {
        if n == 0 || n > ROOT_ENTRIES {
            return None;
        }
        // INVARIANT: Checked above. CAST: At most 512.
        Some(Self(n as u16))
    }

    /// The number.
    #[inline]
    pub(crate) const fn get(self) -> usize {
        // CAST: `u16` fits in any `usize`.
        self.0 as usize
    }

    /// The index of the last entry, where the formats want it.
    #[inline]
    const fn last_bits(self) -> u64 {
        // CAST: At most 511 after the subtraction, which the invariant allows.
        (self.0 as u64 - 1) << COUNT_SHIFT
    }
}

/// HPA_ARRAY_T: PFN in 51:12, number of entries less one in 63:55. `[1]`, layout `[2]`
///
/// A list of exactly one page is passed as the HPA of *that page*, without a root page: the rule
/// lives here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct HpaArray(u64);

impl HpaArray {
    /// The operand for `entries` pages, the first of which is `first`, listed in `root`.
    #[inline]
    pub(crate) const fn new(entries: Entries, first: Hpa, root: Hpa) -> Self {
        if entries.get() == 1 {
            return Self(first.get());
        }
        Self(root.get() | entries.last_bits())
    }

    /// A word as it stands in a register. Nothing is checked.
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Self {
        Self(word)
    }

    /// The number of entries, 1 to 512.
    #[inline]
    pub(crate) const fn entries(self) -> usize {
        // CAST: Nine bits.
        (self.0 >> COUNT_SHIFT) as usize + 1
    }

    /// The only page, or the root page where there are more entries.
    #[inline]
    pub(crate) const fn page(self) -> Hpa {
        Hpa::from_bits(self.0)
    }

    /// Whether a bit is set that the format reserves: 54:52 and 11:0.
    #[inline]
    pub(crate) const fn has_reserved_bits(self) -> bool {
        self.0 & (0x7 << 52 | 0xfff) != 0
    }

    /// The operand of a DELETE: where the list of released pages may be written. 0 for one page,
    /// else the HPA of `root` without a size. `[1]` V2 thread, 2026-04
    #[inline]
    pub(crate) const fn aux(entries: Entries, root: Hpa) -> u64 {
        if entries.get() == 1 {
            return 0;
        }
        root.get()
    }

    /// The word for the register.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }
}

/// HPA_LIST_INFO: first entry in 11:3, PFN in 51:12, last entry in 63:55. `[1]`, layout `[2]`
///
/// There is always a root page, for one entry too. The TDX Module advances the first entry and
/// gives the word back; an interrupted leaf is called again with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct HpaListInfo(u64);

/// What is wrong with a list word that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListWordError {
    /// The root page, the last entry or a reserved bit is not as it was given.
    Changed,
    /// The first entry went back.
    Backwards,
    /// The first entry is past the end of the list.
    PastTheEnd,
}

impl ListWordError {
    /// A few words for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Changed => "the list word that came back is for another list",
            Self::Backwards => "the list word that came back goes backwards",
            Self::PastTheEnd => "the list word that came back is past the end",
        }
    }
}

impl HpaListInfo {
    /// The operand for the first `entries` words of `root`, none processed yet.
    #[inline]
    pub(crate) const fn new(entries: Entries, root: Hpa) -> Self {
        Self(root.get() | entries.last_bits())
    }

    /// A word as the TDX Module gave it. Nothing is checked: see [`Self::processed`].
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Self {
        Self(word)
    }

    /// The word for the register.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The index of the next entry to process, 0 to 511.
    #[inline]
    pub(crate) const fn first(self) -> usize {
        // CAST: Nine bits.
        ((self.0 >> FIRST_SHIFT) & INDEX_MASK) as usize
    }

    /// The index of the last entry, 0 to 511.
    #[inline]
    pub(crate) const fn last(self) -> usize {
        // CAST: Nine bits.
        (self.0 >> COUNT_SHIFT) as usize
    }

    /// The root page.
    #[inline]
    pub(crate) const fn root(self) -> Hpa {
        Hpa::from_bits(self.0 & HPA_MASK)
    }

    /// Whether a bit is set that the format reserves: 54:52 and 2:0.
    #[inline]
    pub(crate) const fn has_reserved_bits(self) -> bool {
        self.0 & (0x7 << 52 | 0x7) != 0
    }

    /// The same word with another first entry; for the software TDX Module. It wraps at 512 as the
    /// field does. `[2]` for GPA_LIST_INFO, `[I]` here.
    #[inline]
    pub(crate) const fn with_first(self, first: usize) -> Self {
        // CAST: Masked to nine bits.
        Self(self.0 & !(INDEX_MASK << FIRST_SHIFT) | (first as u64 & INDEX_MASK) << FIRST_SHIFT)
    }

    /// How many entries the TDX Module has processed, read from the word it gave `back` for this
    /// one, on a call that did not complete.
    ///
    /// Here the first entry is at most the last one: a list that is complete is not interrupted.
    /// `[2]` for GPA_LIST_INFO.
    pub(crate) const fn processed(self, back: Self) -> Result<usize, ListWordError> {
        if (self.0 ^ back.0) & !(INDEX_MASK << FIRST_SHIFT) != 0 {
            return Err(ListWordError::Changed);
        }
        if back.first() < self.first() {
            return Err(ListWordError::Backwards);
        }
        if back.first() > back.last() {
            return Err(ListWordError::PastTheEnd);
        }
        Ok(back.first() - self.first())
    }
}

/// The operand of TDH.IOMMU.SETUP: the HPA of the IOMMU_MT root page and nothing else. `[1]`
///
/// The count is known to the TDX Module: two queues and IOMMU_MT_PAGE_COUNT pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct IommuMt(u64);

impl IommuMt {
    /// Entries before the single pages: T_IQ and T_CTXIQ. `[1]`
    pub(crate) const QUEUES: usize = 2;

    /// Pages of each queue; no metadata field tells. `[1]` V2 23/31, DEV-A, DEV-C.
    pub(crate) const QUEUE_PAGES: usize = 2;

    /// The largest IOMMU_MT_PAGE_COUNT that fits in a root page.
    pub(crate) const MAX_PAGE_COUNT: usize = ROOT_ENTRIES - Self::QUEUES;

    /// The operand for the IOMMU_MT listed in `root`.
    #[inline]
    pub(crate) const fn new(root: Hpa) -> Self {
        Self(root.get())
    }

    /// The word for the register.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: usize) -> Entries {
        Entries::new(n).unwrap()
    }

    const ROOT: Hpa = Hpa::from_bits(0xabcd_e000);
    const PAGE: Hpa = Hpa::from_bits(0x1234_5000);

    #[test]
    fn entries_are_1_to_512() {
        assert_eq!(Entries::new(0), None);
        assert_eq!(Entries::new(513), None);
        assert_eq!(Entries::new(usize::MAX), None);
        assert_eq!(entries(512).get(), 512);
    }

    #[test]
    fn hpa_array_vectors() {
        for (n, want) in [
            (1, 0x0000_0000_1234_5000),
            (2, 0x0080_0000_abcd_e000),
            (3, 0x0100_0000_abcd_e000),
            (511, 0xff00_0000_abcd_e000),
            (512, 0xff80_0000_abcd_e000),
        ] {
            let array = HpaArray::new(entries(n), PAGE, ROOT);
            assert_eq!(array.raw(), want, "{n} entries");
            assert_eq!(array.entries(), n);
            assert_eq!(array.page(), if n == 1 { PAGE } else { ROOT });
            assert!(!array.has_reserved_bits());
        }
    }

    #[test]
    fn aux_vectors() {
        assert_eq!(HpaArray::aux(entries(1), ROOT), 0);
        assert_eq!(HpaArray::aux(entries(2), ROOT), 0xabcd_e000);
        assert_eq!(HpaArray::aux(entries(512), ROOT), 0xabcd_e000);
    }

    #[test]
    fn hpa_list_info_vectors() {
        let word = HpaListInfo::new(entries(512), ROOT);
        assert_eq!(word.raw(), 0xff80_0000_abcd_e000);
        assert_eq!(word.with_first(5).raw(), 0xff80_0000_abcd_e028);
        let done = HpaListInfo::new(entries(37), ROOT).with_first(37);
        assert_eq!(done.raw(), 0x1200_0000_abcd_e128);
        assert_eq!((done.first(), done.last(), done.root()), (37, 36, ROOT));
        assert_eq!(word.with_first(512).first(), 0);
        assert_eq!(HpaListInfo::new(entries(1), ROOT).raw(), 0xabcd_e000);
    }

    #[test]
    fn progress_is_checked() {
        let word = HpaListInfo::new(entries(37), ROOT).with_first(5);
        assert_eq!(word.processed(word), Ok(0));
        assert_eq!(word.processed(word.with_first(36)), Ok(31));
        assert_eq!(
            word.processed(word.with_first(4)),
            Err(ListWordError::Backwards)
        );
        assert_eq!(
            word.processed(word.with_first(37)),
            Err(ListWordError::PastTheEnd)
        );
        for bit in [0, 1, 2, 12, 51, 52, 53, 54, 55, 63] {
            let other = HpaListInfo::from_raw(word.raw() ^ 1 << bit);
            assert_eq!(
                word.processed(other),
                Err(ListWordError::Changed),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn reserved_bits() {
        let word = HpaListInfo::new(entries(512), ROOT);
        assert!(!word.has_reserved_bits());
        for bit in [0, 1, 2, 52, 53, 54] {
            assert!(HpaListInfo::from_raw(word.raw() | 1 << bit).has_reserved_bits());
        }
        for bit in [0, 3, 11, 52, 53, 54] {
            assert!(HpaArray::from_raw(word.raw() | 1 << bit).has_reserved_bits());
        }
    }

    #[test]
    fn iommu_mt_is_the_bare_root() {
        assert_eq!(IommuMt::new(ROOT).raw(), 0xabcd_e000);
        assert_eq!(IommuMt::MAX_PAGE_COUNT, 510);
    }
}
