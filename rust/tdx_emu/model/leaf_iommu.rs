// SPDX-License-Identifier: GPL-2.0

//! Leaves that set an IOMMU up and clear it.

use super::{
    bugs::Bug,
    iommus::{
        Entry,
        Iommu,
        Iommus,
        MAX_PAGE_COUNT,
        QUEUES, //
    },
    machine::{
        Kind,
        Machine, //
    },
    page::PageType,
    regs::Regs,
    Model, //
};
use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const BAD_RCX: Status = Status::OPERAND_INVALID.on(Operand::Rcx);
const BAD_RDX: Status = Status::OPERAND_INVALID.on(Operand::Rdx);

impl<M: Machine> Model<M> {
    /// TDX Connect must be there. Which status tells so is `[I]`.
    fn connect(&self) -> Result<(), Status> {
        if self.fields.features().has(Features0::TDX_CONNECT) {
            Ok(())
        } else {
            Err(Status::CONNECT_INVALID_STATE)
        }
    }

    /// TDH.IOMMU.SETUP. In: RCX register base, RDX IOMMU_MT. Out: RCX IOMMU id. `[1]`; the order of
    /// checks is `[I]`.
    ///
    /// All or nothing: every entry is checked before any page is taken.
    pub(super) fn iommu_setup(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let (base, operands) = (regs.rcx, [regs.rcx, regs.rdx]);
        let leaf = Leaf::IOMMU_SETUP;
        self.connect()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        if !self.is_capable(base) {
            return Err(BAD_RCX);
        }
        if self.iommus.has(base) {
            return Err(Status::IOMMU_INVALID_STATE);
        }
        // One IOMMU more than there is room for is one that this TDX Module does not know. `[I]`
        let limit = self.pages.machine.lists().len();
        let slot = self.iommus.free_slot(limit).ok_or(BAD_RCX)?;

        let root = self.pages.shared(regs.rdx, Operand::Rdx)?;
        let iommu = Iommu {
            base,
            entries: self.iommu_mt_entries().ok_or(BAD_RDX)?,
        };
        let sum = self.copy_list(root, slot, iommu.entries)?;
        self.check_list(root, slot, iommu.entries)?;
        let times = self.faults.interrupts(leaf);
        let list = (sum, root.get());
        let bugs = &mut self.pages.bugs;
        self.resume.step(leaf, operands, list, times, bugs)?;

        let id = self.iommus.insert(slot, iommu);
        self.for_each_page(slot, iommu.entries, |model, page| {
            model.pages.take(page, PageType::IommuMt, id);
        });
        regs.rcx = u64::from(id);
        Ok(())
    }

    /// TDH.IOMMU.CLEAR. In: RCX IOMMU id; in the v2 profile RDX a page that the list is written
    /// back to. `[1]`
    ///
    /// After it the pages are the host's, but not flushed: that no RECLAIM is needed follows from
    /// the host code, `[I]`. That nothing happens unless the list can be written is `[I]` too.
    pub(super) fn iommu_clear(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let leaf = Leaf::IOMMU_CLEAR;
        // The late profile has no operand in RDX, so it may hold anything.
        let with_list = !self.config.profile_late;
        let operands = [regs.rcx, if with_list { regs.rdx } else { 0 }];
        self.connect()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (slot, iommu) = self.iommus.by_id(regs.rcx).ok_or(BAD_RCX)?;
        let root = if with_list {
            Some(self.pages.shared(regs.rdx, Operand::Rdx)?)
        } else {
            None
        };
        let times = self.faults.interrupts(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume.step(leaf, operands, (0, 0), times, bugs)?;

        if let Some(root) = root {
            for index in 0..iommu.entries {
                let word = self.list_word(slot, index);
                if !self.pages.machine.write(root, index, word) {
                    return Err(BAD_RDX);
                }
            }
        }
        self.for_each_page(slot, iommu.entries, |model, page| {
            if model.faults.keep.keeps(page) {
                model.pages.keep(page);
            } else {
                model.pages.let_go(page);
            }
        });
        self.iommus.remove(slot);
        Ok(())
    }

    /// Whether there is an IOMMU at `base` that can run in TDX mode.
    ///
    /// The model has no list of them: it is anything that can be a register base and was not
    /// refused by a test.
    fn is_capable(&self, base: u64) -> bool {
        let Ok(page) = self.pages.address(base, Operand::Rcx) else {
            return false;
        };
        base != 0 && self.pages.machine.kind(page) != Kind::Ram && !self.faults.is_refused(base)
    }

    /// Entries of an IOMMU_MT by the metadata; [`None`] if they do not fit in a root page.
    fn iommu_mt_entries(&self) -> Option<usize> {
        let pages = self.fields.get(Field::IOMMU_MT_PAGE_COUNT)?;
        let pages = usize::try_from(pages).ok()?;
        (pages <= MAX_PAGE_COUNT).then_some(pages.saturating_add(QUEUES))
    }

    /// Reads the list once, so that what is checked is what is taken; gives a checksum.
    fn copy_list(&mut self, root: Hpa, slot: usize, entries: usize) -> Result<u64, Status> {
        let mut sum = 0u64;
        for index in 0..entries {
            let word = self.pages.machine.read(root, index).ok_or(BAD_RDX)?;
            sum = sum.rotate_left(7) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let lists = self.pages.machine.lists_mut();
            if let Some(to) = lists.get_mut(slot).and_then(|list| list.get_mut(index)) {
                *to = word;
            }
        }
        Ok(sum)
    }

    fn list_word(&self, slot: usize, index: usize) -> u64 {
        let lists = self.pages.machine.lists();
        lists
            .get(slot)
            .and_then(|list| list.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Calls `act` on each page of a copied list that was checked.
    fn for_each_page(&mut self, slot: usize, entries: usize, mut act: impl FnMut(&mut Self, Hpa)) {
        for index in 0..entries {
            let Some(entry) = Entry::parse(index, self.list_word(slot, index)) else {
                continue;
            };
            for page in entry.hpas() {
                act(self, page);
            }
        }
    }

    /// Checks a copied list: both queues alike, each page the host's and named once.
    fn check_list(&mut self, root: Hpa, slot: usize, entries: usize) -> Result<(), Status> {
        let mut claimed = 0;
        let result = self.claim_pages(root, slot, entries, &mut claimed);
        // The marks were needed to find a page that is named twice; nothing is taken yet.
        let mut left: usize = claimed;
        self.for_each_page(slot, entries, |model, page| {
            if left > 0 {
                left = left.saturating_sub(1);
                model.pages.claim(page, false);
            }
        });
        result
    }

    fn claim_pages(
        &mut self,
        root: Hpa,
        slot: usize,
        entries: usize,
        claimed: &mut usize,
    ) -> Result<(), Status> {
        let mut queue = None;
        for index in 0..entries {
            let entry = Entry::parse(index, self.list_word(slot, index)).ok_or(BAD_RDX)?;
            if index < QUEUES && *queue.get_or_insert(entry.pages) != entry.pages {
                return Err(BAD_RDX);
            }
            for page in entry.hpas() {
                self.pages.takeable(page.get(), Operand::Rdx)?;
                if page == root {
                    // CAST: An index below 512.
                    let bugs = &mut self.pages.bugs;
                    bugs.record(Bug::ListListsItself, root, index as u64);
                    return Err(BAD_RDX);
                }
                self.pages.claim(page, true);
                *claimed = claimed.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The generation of the owner of a page of an IOMMU_MT. `[1]` M20
    pub(super) fn iommu_generation(&self, owner: u16) -> u64 {
        Iommus::generation(&self.iommus, owner)
    }
}
