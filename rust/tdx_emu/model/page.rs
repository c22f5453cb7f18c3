// SPDX-License-Identifier: GPL-2.0

//! What the software TDX Module knows of one 4 KiB page.

/// Page types. The numbers are those of M15 and M20, `[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PageType {
    /// Not assigned: the host's. Only such a page can be taken, and only such a page can be proved.
    Nda = 0,
    /// Never to be taken: what the host has no use for as memory, either.
    Rsvd = 1,
    /// A page of an IOMMU_MT, or of one of its two queues.
    IommuMt = 11,
    /// A page of the extension pool. Its real type is not known, so this number is outside of the
    /// known range on purpose. `[I]`
    Pool = 0x80,
}

/// The state of a page in eight bytes: type in 7:0, marks in 15:8, owner in 31:16; in 63:32 the
/// checksum of its content when the host last wrote its cache lines back.
///
/// 0 is a page of which nothing is to be known, so that whoever frees pages can see in one look
/// that they are none of the TDX Module's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PageState(u64);

impl PageState {
    const TYPE_MASK: u64 = 0xff;
    const DIRTY: u64 = 1 << 8;
    const CLAIMED: u64 = 1 << 9;
    const KEPT: u64 = 1 << 10;
    const FREED: u64 = 1 << 11;
    const WRITTEN_BACK: u64 = 1 << 12;
    const OWNER_SHIFT: u32 = 16;
    const SUM_SHIFT: u32 = 32;
    const SUM_MASK: u64 = 0xffff_ffff << Self::SUM_SHIFT;

    /// The host's, and nothing to flush: what every page is at the start.
    pub(crate) const FREE: Self = Self(0);

    /// A page that is never taken. It is not stored: what it is follows from the machine.
    pub(crate) const RESERVED: Self = Self(PageType::Rsvd as u64);

    /// A page that the TDX Module has just taken. It is zeroed with the global KeyID then, so the
    /// caches have dirty lines of it from here on until it is flushed.
    pub(crate) const fn taken(page_type: PageType, owner: u16) -> Self {
        Self(page_type as u64 | Self::DIRTY | (owner as u64) << Self::OWNER_SHIFT)
    }

    /// A page that was just let go: the host's, but not flushed.
    pub(crate) const fn let_go() -> Self {
        Self(Self::DIRTY)
    }

    /// The type.
    pub(crate) const fn page_type(self) -> PageType {
        match (self.0 & Self::TYPE_MASK) as u8 {
            1 => PageType::Rsvd,
            11 => PageType::IommuMt,
            0x80 => PageType::Pool,
            _ => PageType::Nda,
        }
    }

    /// Whether the TDX Module owns the page.
    pub(crate) const fn is_owned(self) -> bool {
        matches!(self.page_type(), PageType::IommuMt | PageType::Pool)
    }

    /// The id of the owner, 0 where there is none.
    pub(crate) const fn owner(self) -> u16 {
        (self.0 >> Self::OWNER_SHIFT) as u16
    }

    /// Private-dirty: there may be cache lines with the global KeyID.
    pub(crate) const fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    /// The same page after a flush with the global KeyID.
    pub(crate) const fn flushed(self) -> Self {
        Self(self.0 & !Self::DIRTY)
    }

    /// Whether an earlier entry of the list that is being checked names this page already.
    pub(crate) const fn is_claimed(self) -> bool {
        self.0 & Self::CLAIMED != 0
    }

    /// The same page with or without that mark.
    pub(crate) const fn claimed(self, yes: bool) -> Self {
        if yes {
            Self(self.0 | Self::CLAIMED)
        } else {
            Self(self.0 & !Self::CLAIMED)
        }
    }

    /// Whether the page stayed owned because the TDX Module lied when it was to let go of it.
    pub(crate) const fn is_kept(self) -> bool {
        self.0 & Self::KEPT != 0
    }

    /// The same page, kept by a lie.
    pub(crate) const fn kept(self) -> Self {
        Self(self.0 | Self::KEPT)
    }

    /// Whether the host has freed the page though the TDX Module owns it. Its content is
    /// somebody else's since, and is left alone.
    pub(crate) const fn is_freed(self) -> bool {
        self.0 & Self::FREED != 0
    }

    /// The same page, freed.
    pub(crate) const fn freed(self) -> Self {
        Self(self.0 | Self::FREED)
    }

    /// The checksum of the content that the host wrote back; [`None`] if it did not since the page
    /// was freed last, or was the TDX Module's.
    pub(crate) const fn written_back(self) -> Option<u32> {
        if self.0 & Self::WRITTEN_BACK == 0 {
            return None;
        }
        // CAST: The upper half.
        Some((self.0 >> Self::SUM_SHIFT) as u32)
    }

    /// The same page, written back with this content, or not at all.
    pub(crate) const fn with_written_back(self, sum: Option<u32>) -> Self {
        let rest = self.0 & !(Self::SUM_MASK | Self::WRITTEN_BACK);
        match sum {
            Some(sum) => Self(rest | Self::WRITTEN_BACK | (sum as u64) << Self::SUM_SHIFT),
            None => Self(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life() {
        let page = PageState::FREE;
        assert!(!page.is_owned() && !page.is_dirty());
        let page = PageState::taken(PageType::IommuMt, 0x1ff);
        assert!(page.is_owned() && page.is_dirty() && !page.is_kept());
        assert_eq!((page.page_type(), page.owner()), (PageType::IommuMt, 0x1ff));
        let page = page.kept();
        assert!(page.is_owned() && page.is_kept());
        let page = PageState::let_go();
        assert!(!page.is_owned() && page.is_dirty());
        assert_eq!(page.flushed(), PageState::FREE);
    }

    #[test]
    fn marks_do_not_touch_the_rest() {
        let page = PageState::taken(PageType::Pool, 7);
        assert!(page.claimed(true).is_claimed());
        assert_eq!(page.claimed(true).claimed(false), page);
        assert_eq!(page.flushed().page_type(), PageType::Pool);
        assert_eq!(page.freed().owner(), 7);
        assert!(page.freed().is_freed() && !page.is_freed());
        for sum in [Some(0), Some(u32::MAX), None] {
            let page = page.with_written_back(Some(5)).with_written_back(sum);
            assert_eq!((page.written_back(), page.owner()), (sum, 7));
        }
        assert_eq!(size_of::<PageState>(), 8);
    }
}
