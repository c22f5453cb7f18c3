// SPDX-License-Identifier: GPL-2.0

//! Leaves of the extensions: the pool, and the start.

use super::{
    bugs::Bug,
    faults::{
        index,
        Interrupt, //
    },
    feed::Feed,
    iommus::Entry,
    machine::Machine,
    page::PageType,
    regs::{
        Operands,
        Regs, //
    },
    resume::NO_LIST,
    Model, //
};
use crate::abi::{
    field::Features0,
    list::HpaListInfo,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

/// TDX_EXT_MEMORY_POOL_FULL: more was added than is wanted. It exists and is of the success class,
/// `[1]` Q1, but its value is not public. This is a stand-in in a class that no known status has,
/// so that a host which compares with a value of its own guess fails here. `[I]`
pub(crate) const POOL_FULL_STAND_IN: Status = Status::from_raw(0x0000_7e00_0000_0000);

/// The owner of the pool's pages in RDMD. `[I]`
const POOL_OWNER: u16 = 0;

impl<M: Machine> Model<M> {
    /// The extensions must be there. Which status tells so is `[I]`.
    fn ext(&self) -> Result<(), Status> {
        if self.fields.features().has(Features0::EXT) {
            Ok(())
        } else {
            Err(Status::CONNECT_INVALID_STATE)
        }
    }

    /// TDH.EXT.MEM.ADD. In and out: RCX HPA_LIST_INFO. `[1]`; order of checks `[I]` after M15's
    /// handling of GPA_LIST_INFO.
    ///
    /// Entries are taken one by one, and those before a bad one stay taken. The first entry in RCX
    /// is rewritten on every exit, as it is told. An interrupt stops it between two entries, never
    /// after the last.
    pub(super) fn ext_mem_add(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let word = HpaListInfo::from_raw(regs.rcx);
        let mut next = word.first();
        let result = self.add_pages(word, &mut next);
        let word = self.faults.progress().word(word, next);
        regs.rcx = word.raw();
        self.feed = match result {
            Ok(()) => Feed::Complete(word.raw()),
            Err(Status::INTERRUPTED_RESUMABLE) => Feed::interrupted(word, word.root(), &self.pages),
            Err(_) => Feed::Nothing,
        };
        result
    }

    fn add_pages(&mut self, word: HpaListInfo, next: &mut usize) -> Result<(), Status> {
        const RCX: Operand = Operand::Rcx;

        self.ext()?;
        if word.has_reserved_bits() {
            return Err(Status::OPERAND_INVALID.on(RCX));
        }
        let (first, last) = (word.first(), word.last());
        if first > last {
            let bugs = &mut self.pages.bugs;
            bugs.record(Bug::ListWasComplete, word.root(), word.raw());
            return Err(Status::OPERAND_INVALID.on(RCX));
        }
        let root = self.pages.shared(word.root().get(), RCX)?;
        self.feed.look(word, root, &mut self.pages);
        let place = index(Leaf::EXT_MEM_ADD.number()).unwrap_or(usize::MAX);
        let interrupt = self.faults.interrupts(place);
        for entry in first..=last {
            // A full pool takes no more. `[I]`
            if self.fields.pool_wanted() == 0 {
                return Err(POOL_FULL_STAND_IN);
            }
            let page = self.listed_page(root, entry)?;
            self.pages.look_for_write_back(Entry {
                first: page,
                pages: 1,
            });
            self.pages.take(page, PageType::Pool, POOL_OWNER);
            self.fields.pool_got_one();
            // An index below 512: nothing saturates.
            *next = entry.saturating_add(1);
            // CAST: The same.
            let done = next.saturating_sub(first) as u64;
            let stops = match interrupt {
                Interrupt::Every(k) => done == k,
                Interrupt::At(k) => *next as u64 == k,
                Interrupt::Last => *next == last,
            };
            if stops && entry < last {
                if matches!(interrupt, Interrupt::At(_)) {
                    self.faults.interrupt(place, Interrupt::Every(0));
                }
                return Err(Status::INTERRUPTED_RESUMABLE);
            }
        }
        Ok(())
    }

    fn listed_page(&mut self, root: Hpa, entry: usize) -> Result<Hpa, Status> {
        const RCX: Operand = Operand::Rcx;

        let word = self.pages.machine.read(root, entry);
        let page = self
            .pages
            .takeable(word.ok_or(Status::OPERAND_INVALID.on(RCX))?, RCX)?;
        if page == root {
            // CAST: An index below 512.
            let bugs = &mut self.pages.bugs;
            bugs.record(Bug::ListListsItself, root, entry as u64);
            return Err(Status::OPERAND_INVALID.on(RCX));
        }
        Ok(page)
    }

    /// TDH.EXT.INIT. Nothing in, nothing out; resumed by calling it again. `[1]`
    pub(super) fn ext_init(&mut self) -> Result<(), Status> {
        const NOTHING: Operands = [0; 9];

        self.ext()?;
        if self.fields.pool_wanted() > 0 {
            // It cannot work without its memory; the status is `[I]`.
            return Err(Status::CONNECT_INVALID_STATE);
        }
        if !self.ext_ready {
            let times = self.faults.times(Leaf::EXT_INIT);
            let bugs = &mut self.pages.bugs;
            self.resume
                .step(Leaf::EXT_INIT, NOTHING, [NO_LIST; 2], times, bugs)?;
            self.ext_ready = true;
            self.fields.ext_not_required();
        }
        // When there was nothing to do, the answer is not known; success is `[I]`.
        Ok(())
    }
}
