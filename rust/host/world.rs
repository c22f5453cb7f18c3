// SPDX-License-Identifier: GPL-2.0

//! The world below custody, on the host: the model of the TDX Module, an allocator that watches
//! what it is given, and a ledger.
//!
//! The allocator is the oracle. It panics when a page is freed that the TDX Module owns or
//! has not flushed, that an unfinished leaf names, or twice, or in a way that the kernel's allocator could not bear.

use crate::abi::{
    emu::Control,
    list::HpaListInfo,
    Block,
    Hpa,
    Leaf,
    Status,
    PAGE_SIZE,
    ROOT_ENTRIES, //
};
use crate::blocks::Blocks;
use crate::ledger::Record;
use crate::model::{
    machine::Machine,
    page::PageState,
    Config,
    Model,
    Regs, //
};
use crate::ram::Ram;
use crate::seam::Pending;
use crate::tape::{
    Key,
    Tape, //
};
use std::{
    cell::RefCell,
    rc::Rc, //
};

/// Root pages of a machine.
const ROOTS: usize = 4;

/// A TDX Module with a pool that is large enough for any test.
pub(crate) const CONFIG: Config = Config {
    pool_pages: 60_000,
    ..Config::SMALL
};

/// A page, as the allocator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Whoever asks may have it.
    Free,
    /// It belongs to the memory with this number.
    Allocated(u32),
    /// A root page that nobody has borrowed.
    Root,
    /// It is never given away, or is a root page that is borrowed.
    Taken,
}

/// What the world knows of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) page: Page,
    /// Flushed since it was entered in the ledger.
    pub(crate) flushed: bool,
    /// Proved since then.
    pub(crate) proved: bool,
    /// Its proof fails for no reason.
    pub(crate) fails: bool,
}

pub(crate) struct Inner {
    pub(crate) model: Model<Ram>,
    pub(crate) pages: Vec<Known>,
    pub(crate) records: Vec<Rc<Record>>,
    pub(crate) closed: bool,
    pub(crate) dropped: usize,
    pub(crate) proofs: Vec<(Hpa, Status)>,
    pub(crate) reclaims: Vec<Hpa>,
    memories: u32,
    pub(crate) tape: Tape,
    /// Only the proofs of these pages may fail of themselves; of all without.
    doubtful: Option<Vec<Hpa>>,
    pub(crate) spare: Option<Box<[u64; ROOT_ENTRIES]>>,
    /// A leaf that was left interrupted, and may still take or release pages.
    pub(crate) pending: Option<Pending>,
    /// What the TDX Module calls the object that it holds.
    pub(crate) object: Option<u64>,
}

/// A handle on the world.
#[derive(Clone)]
pub(crate) struct World(pub(crate) Rc<RefCell<Inner>>);

/// The HPA of a page.
pub(crate) fn hpa(pfn: usize) -> Hpa {
    Hpa::new(pfn as u64 * PAGE_SIZE).expect("a page of the machine")
}

impl World {
    /// A machine of 64 pages with a fresh TDX Module.
    pub(crate) fn new() -> Self {
        Self::with(64, CONFIG, Tape::default())
    }

    /// A machine of so many pages, the first of which is never given away, whose TDX Module answers
    /// as the tape says.
    pub(crate) fn with(pages: usize, config: Config, tape: Tape) -> Self {
        let known = |page| Known {
            page,
            flushed: false,
            proved: false,
            fails: false,
        };
        let mut all = vec![known(Page::Free); pages];
        all[0] = known(Page::Taken);
        all[pages - ROOTS..].fill(known(Page::Root));
        let mut model = Model::new(Ram::new(pages, ROOTS), config);
        model.machine_mut().states_mut().fill(PageState::FREE);
        Self(Rc::new(RefCell::new(Inner {
            model,
            pages: all,
            records: Vec::new(),
            closed: false,
            dropped: 0,
            proofs: Vec::new(),
            reclaims: Vec::new(),
            memories: 0,
            tape,
            doubtful: None,
            spare: None,
            pending: None,
            object: None,
        })))
    }

    /// The same machine for the next life, with a fresh TDX Module.
    pub(crate) fn renew(&self) {
        let mut world = self.0.borrow_mut();
        let records = std::mem::take(&mut world.records);
        let pending = world.pending.take();
        drop(world);
        // What they name is dropped with no borrow of the world.
        drop((records, pending));
        self.ask(Control::Reset, [0; 5]);
        let mut world = self.0.borrow_mut();
        let roots = world.pages.len() - ROOTS;
        for (pfn, known) in world.pages.iter_mut().enumerate() {
            known.page = match pfn {
                0 => Page::Taken,
                _ if pfn < roots => Page::Free,
                _ => Page::Root,
            };
        }
        world.closed = false;
        world.dropped = 0;
        world.proofs.clear();
        world.reclaims.clear();
        world.object = None;
    }

    /// From now on only the proofs of these pages may fail of themselves.
    pub(crate) fn doubt(&self, pages: Vec<Hpa>) {
        self.0.borrow_mut().doubtful = Some(pages);
    }

    /// From now on the proof of a page fails for no reason, or does not any more.
    pub(crate) fn fail_proof(&self, page: Hpa, fails: bool) {
        self.0.borrow_mut().pages[page.pfn() as usize].fails = fails;
    }

    /// Allocates blocks of these sizes, powers of two, of which the first `folios` are folios.
    pub(crate) fn blocks(&self, sizes: &[usize], folios: usize) -> Blocks {
        let mut world = self.0.borrow_mut();
        world.memories += 1;
        let owner = Page::Allocated(world.memories);
        let mut records = Vec::new();
        // Where to look on for a block of 2^n pages.
        let mut from = [0; usize::BITS as usize];
        for size in sizes {
            let from = &mut from[size.ilog2() as usize];
            let first = (*from..world.pages.len())
                .step_by(*size)
                .find(|first| {
                    let block = world.pages.get(*first..*first + *size);
                    block.is_some_and(|pages| pages.iter().all(|p| p.page == Page::Free))
                })
                .expect("the machine is large enough");
            for known in &mut world.pages[first..first + size] {
                known.page = owner;
            }
            *from = first + size;
            records.push(Block::new(hpa(first), *size).expect("a block"));
        }
        let owner = world.memories;
        drop(world);
        Blocks::new(self, records, folios, owner)
    }

    /// The model, to prepare it or to look into it.
    pub(crate) fn model<R>(&self, f: impl FnOnce(&mut Model<Ram>) -> R) -> R {
        f(&mut self.0.borrow_mut().model)
    }

    /// From now on the TDX Module answers as this tape says.
    pub(crate) fn set_tape(&self, tape: &Tape) {
        self.0.borrow_mut().tape = tape.clone();
    }

    /// Whether nothing may be entered any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// What the host did wrong, by the model's books.
    pub(crate) fn host_bugs(&self) -> u64 {
        self.model(|model| model.bugs().total())
    }

    /// Whether the TDX Module has something left of an object whose pages it let go.
    pub(crate) fn has_remains(&self) -> bool {
        let world = self.0.borrow();
        world.pending.is_some() || world.object.is_some()
    }

    /// All of the world that decides how an object with these pages goes on.
    pub(crate) fn key(&self, pages: &[Hpa]) -> Key {
        let mut key = Key::with_capacity(64);
        self.ledger_key(&mut key);
        let world = self.0.borrow();
        key.push(u8::from(world.object.is_some()));
        let pending = world.pending.as_ref();
        key.push(pending.map_or(0, |leaf| 1 + u8::from(leaf.takes())));
        // A failed hand-over may leave an IOMMU that nobody can clear any more.
        key.push(world.model.iommu_count() as u8);
        for page in pages {
            let state = world.model.page(*page).unwrap_or_default();
            let free = world.pages[page.pfn() as usize].page == Page::Free;
            let flags = [state.is_owned(), state.is_dirty(), state.is_kept(), free];
            key.push(
                flags
                    .iter()
                    .fold(0, |bits, flag| bits << 1 | u8::from(*flag)),
            );
        }
        key
    }

    /// The TDX Module lets go of everything, and nothing goes wrong any more.
    pub(crate) fn forgive(&self, pages: &[Hpa]) {
        self.set_tape(&Tape::default());
        let pending = self.0.borrow_mut().pending.take();
        drop(pending);
        for page in pages {
            if self.state(*page).is_owned() {
                self.let_go(*page);
            }
        }
    }

    /// Makes a SEAMCALL with operands in RCX and RDX.
    pub(crate) fn call(&self, leaf: Leaf, rcx: u64, rdx: u64) -> (Status, Regs) {
        let mut regs = Regs {
            rax: leaf.raw(),
            rcx,
            rdx,
            ..Regs::default()
        };
        self.model(|model| model.seamcall(&mut regs));
        (Status::from_raw(regs.rax), regs)
    }

    /// Makes a control call with operands in RCX, RDX, R8, R9 and R10.
    pub(crate) fn ask(&self, control: Control, operands: [u64; 5]) {
        let [rcx, rdx, r8, r9, r10] = operands;
        let mut regs = Regs {
            rax: control.leaf().raw(),
            rcx,
            rdx,
            r8,
            r9,
            r10,
            ..Regs::default()
        };
        self.model(|model| model.seamcall(&mut regs));
        assert_eq!(Status::from_raw(regs.rax), Status::SUCCESS, "{control:?}");
    }

    /// The state of a page, as the TDX Module has it.
    pub(crate) fn state(&self, page: Hpa) -> PageState {
        self.0.borrow().model.page(page).expect("a page of memory")
    }

    /// Sets it.
    pub(crate) fn set_state(&self, page: Hpa, state: PageState) {
        self.model(|m| m.machine_mut().states_mut()[page.pfn() as usize] = state);
    }

    /// The TDX Module lets go of a page by itself, as a leaf that releases does. It is not flushed.
    pub(crate) fn let_go(&self, page: Hpa) {
        self.set_state(page, PageState::let_go());
    }

    /// TDH.EXT.MEM.ADD as the C wrapper does it.
    pub(crate) fn ext_mem_add(&self, word: HpaListInfo) -> (Status, HpaListInfo) {
        let (status, regs) = self.call(Leaf::EXT_MEM_ADD, word.raw(), 0);
        (status, HpaListInfo::from_raw(regs.rcx))
    }

    /// The TDX Module writes a word into a page.
    pub(crate) fn write(&self, page: Hpa, index: usize, word: u64) {
        assert!(self.model(|model| model.machine_mut().write(page, index, word)));
    }

    /// Pages that belong to some memory.
    pub(crate) fn allocated(&self) -> usize {
        let world = self.0.borrow();
        let pages = world.pages.iter();
        pages
            .filter(|known| matches!(known.page, Page::Allocated(_)))
            .count()
    }

    /// Whether a page is free.
    pub(crate) fn is_free(&self, page: Hpa) -> bool {
        self.0.borrow().pages[page.pfn() as usize].page == Page::Free
    }

    /// How many proofs were asked for so far.
    pub(crate) fn proofs(&self) -> usize {
        self.0.borrow().proofs.len()
    }

    /// The proofs asked for since the last time this was asked.
    pub(crate) fn take_proofs(&self) -> Vec<(Hpa, Status)> {
        std::mem::take(&mut self.0.borrow_mut().proofs)
    }

    /// The pages asked for by RECLAIM since the last time this was asked.
    pub(crate) fn take_reclaims(&self) -> Vec<Hpa> {
        std::mem::take(&mut self.0.borrow_mut().reclaims)
    }

    /// The tape by which the TDX Module answers.
    pub(crate) fn tape(&self) -> Tape {
        self.0.borrow().tape.clone()
    }

    /// A leaf is about to name these pages: they must be flushed.
    pub(crate) fn assert_flushed(&self, pages: &[Hpa]) {
        let world = self.0.borrow();
        for page in pages {
            assert!(
                world.pages[page.pfn() as usize].flushed,
                "page {page} is handed over and not flushed"
            );
        }
    }

    /// The promise, as far as it holds in the middle of anything: no page is free that the TDX
    /// Module owns or has not flushed, or that an unfinished leaf names.
    pub(crate) fn promise(&self) {
        let world = self.0.borrow();
        if world.tape.repeats() {
            return;
        }
        for (pfn, known) in world.pages.iter().enumerate() {
            if known.page == Page::Free {
                world.assert_clean(hpa(pfn), "is free");
            }
        }
    }

    /// The promise between two steps: what is allocated is in the hands of somebody, or is owing on
    /// record, and in one place only.
    pub(crate) fn check(&self, in_hand: usize) {
        self.promise();
        let owing: usize = self.records().iter().map(|r| r.1).sum();
        assert_eq!(
            self.allocated(),
            owing + in_hand,
            "pages lost or counted twice"
        );
        self.check_records();
    }
}

impl Inner {
    fn assert_clean(&self, page: Hpa, how: &str) {
        assert!(
            self.model.page(page) == Some(PageState::FREE),
            "page {page} {how} and is owned, or is not proved"
        );
        assert!(
            !self.pending.as_ref().is_some_and(|leaf| leaf.names(page)),
            "page {page} {how} and a leaf that names it is not at its end"
        );
    }

    /// Frees a page of memory `owner`.
    pub(crate) fn free(&mut self, page: Hpa, owner: u32) {
        self.assert_clean(page, "is freed");
        let known = &mut self.pages[page.pfn() as usize];
        assert_eq!(
            known.page,
            Page::Allocated(owner),
            "page {page} is freed twice"
        );
        known.page = Page::Free;
    }

    /// Whether a proof or RECLAIM may be answered otherwise than it must be.
    pub(crate) fn doubts(&self, page: Hpa) -> bool {
        let doubtful = self.doubtful.as_ref();
        doubtful.is_none_or(|pages| pages.contains(&page))
    }

    pub(crate) fn is_owned(&self, page: Hpa) -> bool {
        self.model.page(page).is_some_and(PageState::is_owned)
    }
}
