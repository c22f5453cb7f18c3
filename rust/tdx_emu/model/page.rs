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

/// The state of a page in four bytes: type in 7:0, marks in 15:8, owner in 31:16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PageState(u32);

impl PageState {
    const TYPE_MASK: u32 = 0xff;
    const DIRTY: u32 = 1 << 8;
    const CLAIMED: u32 = 1 << 9;
    const KEPT: u32 = 1 << 10;
    const OWNER_SHIFT: u32 = 16;

    /// The host's, and nothing to flush: what every page is at the start.
    pub(crate) const FREE: Self = Self(0);

    /// A page that is never taken. It is not stored: what it is follows from the machine.
    pub(crate) const RESERVED: Self = Self(PageType::Rsvd as u32);

    /// A page that the TDX Module has just taken. It is zeroed with the global KeyID then, so the
    /// caches have dirty lines of it from here on until it is flushed.
    pub(crate) const fn taken(page_type: PageType, owner: u16) -> Self {
        Self(page_type as u32 | Self::DIRTY | (owner as u32) << Self::OWNER_SHIFT)
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
        assert_eq!(size_of::<PageState>(), 4);
    }
}
