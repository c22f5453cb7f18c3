// SPDX-License-Identifier: GPL-2.0

//! Lists of pages that are taken together and let go together: of an IOMMU, a session or a stream.
//!
//! A list is read once, into a place of the machine that belongs to the object, so that what is
//! checked is what is taken. It has at most 512 entries, whatever the host says.

use super::{
    bugs::Bug,
    faults::Keep,
    iommus::{
        Entry,
        QUEUES, //
    },
    machine::{
        List,
        Machine, //
    },
    page::PageType,
    pages::Pages,
    released::Released, //
};
use crate::abi::{
    list::{
        HpaArray,
        HpaListInfo, //
    },
    status::Operand,
    Hpa,
    Status, //
};

/// Where the list of an object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of an IOMMU, whose first entries are queues.
    Iommu(usize),
    /// That of a session or a stream: single pages only.
    Object(usize),
}

impl Place {
    fn entry(self, index: usize, word: u64) -> Option<Entry> {
        match self {
            Self::Iommu(_) => Entry::parse(index, word),
            Self::Object(_) => Some(Entry {
                first: Hpa::new(word)?,
                pages: 1,
            }),
        }
    }
}

/// The operand by which the pages of a session or a stream are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// How many.
    pub(crate) entries: usize,
    /// The root page, or the only page where there is none.
    page: Hpa,
    has_root: bool,
}

impl Listed {
    /// An HPA_ARRAY_T, or in the late profile an HPA_LIST_INFO of which nothing is processed.
    /// `[1]`; [`None`] if a bit is wrong.
    pub(crate) fn parse(word: u64, late: bool) -> Option<Self> {
        if late {
            let info = HpaListInfo::from_raw(word);
            // That a list cannot be begun in its middle is `[I]`.
            if info.has_reserved_bits() || info.first() != 0 {
                return None;
            }
            return Some(Self {
                entries: info.last().saturating_add(1),
                page: info.root(),
                has_root: true,
            });
        }
        let array = HpaArray::from_raw(word);
        if array.has_reserved_bits() {
            return None;
        }
        Some(Self {
            entries: array.entries(),
            page: array.page(),
            has_root: array.entries() > 1,
        })
    }
}

impl<M: Machine> Pages<M> {
    fn list_mut(&mut self, place: Place) -> Option<&mut List> {
        match place {
            Place::Iommu(slot) => self.machine.lists_mut().get_mut(slot),
            Place::Object(slot) => self.machine.object_lists_mut().get_mut(slot),
        }
    }

    /// Word `index` of a list that was read.
    pub(crate) fn listed(&self, place: Place, index: usize) -> u64 {
        let list = match place {
            Place::Iommu(slot) => self.machine.lists().get(slot),
            Place::Object(slot) => self.machine.object_lists().get(slot),
        };
        list.and_then(|list| list.get(index)).copied().unwrap_or(0)
    }

    fn put(&mut self, place: Place, index: usize, word: u64) {
        let list = self.list_mut(place);
        if let Some(to) = list.and_then(|list| list.get_mut(index)) {
            *to = word;
        }
    }

    /// Reads the list in a root page once, and checks it; gives a checksum.
    pub(crate) fn read_list(
        &mut self,
        root: Hpa,
        place: Place,
        entries: usize,
        operand: Operand,
    ) -> Result<u64, Status> {
        let mut sum = 0u64;
        for index in 0..entries {
            let word = self.machine.read(root, index);
            let word = word.ok_or(Status::OPERAND_INVALID.on(operand))?;
            sum = sum.rotate_left(7) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.put(place, index, word);
        }
        self.check_list(Some(root), place, entries, operand)?;
        Ok(sum)
    }

    /// The same for the pages that an operand names; gives the checksum and the root page.
    pub(crate) fn read_listed(
        &mut self,
        listed: Listed,
        place: Place,
        operand: Operand,
    ) -> Result<(u64, u64), Status> {
        if listed.has_root {
            let root = self.shared(listed.page.get(), operand)?;
            let sum = self.read_list(root, place, listed.entries, operand)?;
            return Ok((sum, root.get()));
        }
        self.put(place, 0, listed.page.get());
        self.check_list(None, place, 1, operand)?;
        Ok((0, 0))
    }

    /// Checks a list that was read: queues alike, each page the host's and named once.
    fn check_list(
        &mut self,
        root: Option<Hpa>,
        place: Place,
        entries: usize,
        operand: Operand,
    ) -> Result<(), Status> {
        let mut claimed: usize = 0;
        let result = self.claim_list(root, place, entries, operand, &mut claimed);
        // The marks were needed to find a page that is named twice; nothing is taken yet.
        self.for_each_page(place, entries, |pages, page| {
            if claimed > 0 {
                claimed = claimed.saturating_sub(1);
                pages.claim(page, false);
            }
        });
        result
    }

    fn claim_list(
        &mut self,
        root: Option<Hpa>,
        place: Place,
        entries: usize,
        operand: Operand,
        claimed: &mut usize,
    ) -> Result<(), Status> {
        let bad = Status::OPERAND_INVALID.on(operand);
        let mut queue = None;
        for index in 0..entries {
            let entry = place.entry(index, self.listed(place, index)).ok_or(bad)?;
            let is_queue = matches!(place, Place::Iommu(_)) && index < QUEUES;
            if is_queue && *queue.get_or_insert(entry.pages) != entry.pages {
                return Err(bad);
            }
            for page in entry.hpas() {
                self.takeable(page.get(), operand)?;
                if Some(page) == root {
                    // CAST: An index below 512.
                    self.bugs.record(Bug::ListListsItself, page, index as u64);
                    return Err(bad);
                }
                self.claim(page, true);
                *claimed = claimed.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Calls `act` on each page of a list that was read.
    fn for_each_page(&mut self, place: Place, entries: usize, mut act: impl FnMut(&mut Self, Hpa)) {
        for index in 0..entries {
            let Some(entry) = place.entry(index, self.listed(place, index)) else {
                continue;
            };
            for page in entry.hpas() {
                act(self, page);
            }
        }
    }

    /// Takes all pages of a list that was checked.
    pub(crate) fn take_list(&mut self, place: Place, entries: usize, owner: u16) {
        // M20 gives the pages of sessions the type of an IOMMU_MT, and of streams as far as it
        // shows.
        for index in 0..entries {
            let Some(block) = place.entry(index, self.listed(place, index)) else {
                continue;
            };
            self.look_for_write_back(block);
            for page in block.hpas() {
                self.take(page, PageType::IommuMt, owner);
            }
        }
    }

    /// Lets go of all pages of a list, but for those that a test wants kept.
    pub(crate) fn release_list(&mut self, place: Place, entries: usize, keep: Keep) {
        self.for_each_page(place, entries, |pages, page| {
            if keep.keeps(page) {
                pages.keep(page);
            } else {
                pages.let_go(page);
            }
        });
    }

    /// Writes a list back to a page of the host's, as it was given unless a test wants a lie.
    pub(crate) fn write_list(
        &mut self,
        root: Hpa,
        place: Place,
        entries: usize,
        lie: Released,
        operand: Operand,
    ) -> Result<(), Status> {
        if lie == Released::Unwritten {
            return Ok(());
        }
        for index in 0..entries {
            let word = lie.word(index, entries, |index| self.listed(place, index));
            if !self.machine.write(root, index, word) {
                return Err(Status::OPERAND_INVALID.on(operand));
            }
        }
        Ok(())
    }
}
