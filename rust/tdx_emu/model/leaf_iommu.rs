// SPDX-License-Identifier: GPL-2.0

//! Leaves that set an IOMMU up and clear it.

use super::{
    iommus::{
        Iommu,
        Iommus,
        MAX_PAGE_COUNT,
        QUEUES, //
    },
    lists::Place,
    machine::{
        Kind,
        Machine, //
    },
    regs::Regs,
    resume::NO_LIST,
    Model, //
};
use crate::abi::{
    field::Field,
    status::Operand,
    Leaf,
    Status, //
};

const BAD_RCX: Status = Status::OPERAND_INVALID.on(Operand::Rcx);
const BAD_RDX: Status = Status::OPERAND_INVALID.on(Operand::Rdx);

impl<M: Machine> Model<M> {
    /// TDH.IOMMU.SETUP. In: RCX register base, RDX IOMMU_MT. Out: RCX IOMMU id. `[1]`; the order of
    /// checks is `[I]`.
    ///
    /// All or nothing: every entry is checked before any page is taken.
    pub(super) fn iommu_setup(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let (base, operands) = (regs.rcx, regs.operands(2));
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
        let place = Place::Iommu(slot);
        let pages = &mut self.pages;
        let sum = pages.read_list(root, place, iommu.entries, Operand::Rdx)?;
        let times = self.faults.times(leaf);
        let list = (sum, root.get());
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [list, NO_LIST], times, bugs)?;

        let id = self.iommus.insert(slot, iommu);
        self.pages.take_list(place, iommu.entries, id);
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
        let with_list = !self.late;
        let operands = regs.operands(if with_list { 2 } else { 1 });
        self.connect()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (slot, iommu) = self.iommus.by_id(regs.rcx).ok_or(BAD_RCX)?;
        // A session counts on its IOMMU. `[1]` M20
        let mut sessions = self.pages.machine.sessions().iter().flatten();
        if sessions.any(|session| session.iommu == slot) {
            return Err(Status::IOMMU_INVALID_STATE.on(Operand::Rcx));
        }
        let root = if with_list {
            Some(self.pages.shared(regs.rdx, Operand::Rdx)?)
        } else {
            None
        };
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [NO_LIST; 2], times, bugs)?;

        let place = Place::Iommu(slot);
        if let Some(root) = root {
            let lie = self.faults.released();
            let pages = &mut self.pages;
            pages.write_list(root, place, iommu.entries, lie, Operand::Rdx)?;
        }
        let keep = self.faults.keep();
        self.pages.release_list(place, iommu.entries, keep);
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

    /// The generation of the owner of a page of an IOMMU_MT. `[1]` M20
    pub(super) fn iommu_generation(&self, owner: u16) -> u64 {
        Iommus::generation(&self.iommus, owner)
    }
}
