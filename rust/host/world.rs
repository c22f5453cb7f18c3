// SPDX-License-Identifier: GPL-2.0

//! The world below custody, on the host: the model of the TDX Module, an allocator that watches
//! what it is given, and a ledger.
//!
//! The allocator is the oracle. It panics when a page is freed that the TDX Module owns, or that
//! is not proved, or twice, or in a way that the kernel's allocator could not bear.

use crate::abi::{
    list::HpaListInfo,
    Block,
    Hpa,
    Leaf,
    Status,
    PAGE_SIZE,
    ROOT_ENTRIES, //
};
use crate::custody::{
    lent::Lent,
    memory::{
        Entered,
        Memory,
        Platform,
        PublishedRoot,
        Refusal,
        RootPage, //
    },
    transitions::State, //
};
use crate::model::{
    machine::Machine,
    page::PageState,
    sim::Sim,
    Config,
    Model, //
};
use std::{
    cell::RefCell,
    rc::Rc, //
};

/// Pages of the machine; the first is never given away, the last are root pages.
const PAGES: usize = 64;
const ROOTS: usize = 4;

/// A page, as the allocator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Free,
    Allocated,
    Root,
}

struct Inner {
    model: Model<Sim>,
    pages: Vec<Page>,
    records: Vec<Rc<Record>>,
    closed: bool,
    dropped: usize,
    proofs: usize,
}

/// A handle on the world.
#[derive(Clone)]
pub(crate) struct World(Rc<RefCell<Inner>>);

/// A record of the ledger.
pub(crate) struct Record {
    lent: RefCell<Option<Lent<World>>>,
    state: RefCell<Option<State>>,
}

/// Memory of the host.
pub(crate) struct Blocks {
    world: World,
    records: Vec<Block>,
    folios: usize,
    split: Vec<bool>,
}

impl World {
    /// A machine with a fresh TDX Module.
    pub(crate) fn new() -> Self {
        let mut pages = vec![Page::Free; PAGES];
        pages[0] = Page::Allocated;
        pages[PAGES - ROOTS..].fill(Page::Root);
        Self(Rc::new(RefCell::new(Inner {
            model: Model::new(Sim::new(PAGES, 2), Config::SMALL),
            pages,
            records: Vec::new(),
            closed: false,
            dropped: 0,
            proofs: 0,
        })))
    }

    /// Allocates blocks of these sizes, powers of two, of which the first `folios` are folios.
    pub(crate) fn blocks(&self, sizes: &[usize], folios: usize) -> Blocks {
        let mut world = self.0.borrow_mut();
        let mut records = Vec::new();
        for size in sizes {
            let first = (0..PAGES)
                .step_by(*size)
                .find(|first| {
                    world.pages[*first..*first + *size]
                        .iter()
                        .all(|p| *p == Page::Free)
                })
                .expect("the machine is large enough");
            world.pages[first..first + size].fill(Page::Allocated);
            let hpa = Hpa::new(first as u64 * PAGE_SIZE).unwrap();
            records.push(Block::new(hpa, *size).unwrap());
        }
        Blocks {
            world: self.clone(),
            split: vec![false; records.len()],
            records,
            folios,
        }
    }

    /// The model, to prepare it or to look into it.
    pub(crate) fn model<R>(&self, f: impl FnOnce(&mut Model<Sim>) -> R) -> R {
        f(&mut self.0.borrow_mut().model)
    }

    /// The TDX Module lets go of a page by itself, as a leaf that releases does.
    pub(crate) fn let_go(&self, page: Hpa) {
        self.model(|m| m.machine_mut().states_mut()[page.pfn() as usize] = PageState::FREE);
    }

    /// TDH.EXT.MEM.ADD as the C wrapper does it.
    pub(crate) fn ext_mem_add(&self, word: HpaListInfo) -> (Status, HpaListInfo) {
        let (status, regs) = self.model(|m| m.call(Leaf::EXT_MEM_ADD, word.raw(), 0));
        (status, HpaListInfo::from_raw(regs.rcx))
    }

    /// Pages that are neither free nor the machine's own.
    pub(crate) fn allocated(&self) -> usize {
        let world = self.0.borrow();
        world.pages[1..]
            .iter()
            .filter(|p| **p == Page::Allocated)
            .count()
    }

    /// Proofs asked for so far.
    pub(crate) fn proofs(&self) -> usize {
        self.0.borrow().proofs
    }

    /// Handles dropped while their pages were held.
    pub(crate) fn dropped_handles(&self) -> usize {
        self.0.borrow().dropped
    }

    /// The states and owing pages of the ledger's records.
    pub(crate) fn records(&self) -> Vec<(Option<State>, usize)> {
        let world = self.0.borrow();
        let records = world.records.iter();
        records
            .map(|r| {
                let owing = r.lent.borrow().as_ref().map_or(0, Lent::owing);
                (*r.state.borrow(), owing)
            })
            .collect()
    }

    /// From now on nothing may be entered.
    pub(crate) fn close(&self) {
        self.0.borrow_mut().closed = true;
    }

    /// Tries every record again, and strikes those of which all came back.
    pub(crate) fn retry(&self) {
        let records = self.0.borrow().records.clone();
        for record in records {
            let Some(mut lent) = self.take(&record) else {
                continue;
            };
            crate::custody::retry(&mut lent, self);
            if lent.owing() == 0 {
                drop(lent);
                self.strike(record);
            } else {
                *record.lent.borrow_mut() = Some(lent);
            }
        }
    }

    /// The promise: what is allocated is in the hands of somebody, and what the TDX Module owns or
    /// has not flushed is not free.
    pub(crate) fn check(&self, in_hand: usize) {
        let owing: usize = self.records().iter().map(|r| r.1).sum();
        assert_eq!(
            self.allocated(),
            owing + in_hand,
            "pages lost or counted twice"
        );
        let world = self.0.borrow();
        for (index, page) in world.pages.iter().enumerate() {
            let hpa = Hpa::new(index as u64 * PAGE_SIZE).unwrap();
            if *page == Page::Free {
                assert!(world.is_clean(hpa), "page {index} is free and not clean");
            }
        }
    }
}

impl Inner {
    /// The TDX Module neither owns the page nor has dirty lines of it.
    fn is_clean(&self, hpa: Hpa) -> bool {
        self.model.page(hpa) == Some(PageState::FREE)
    }

    fn free(&mut self, hpa: Hpa) {
        assert!(
            self.is_clean(hpa),
            "page {hpa} is freed while the TDX Module has it"
        );
        let page = &mut self.pages[hpa.pfn() as usize];
        assert_eq!(*page, Page::Allocated, "page {hpa} is freed twice");
        *page = Page::Free;
    }
}

impl Memory for Blocks {
    fn blocks(&self) -> &[Block] {
        &self.records
    }

    fn folios(&self) -> usize {
        self.folios
    }

    unsafe fn free_block(&mut self, index: usize) {
        assert!(
            !self.split[index],
            "block {index} is split and freed as a whole"
        );
        let mut world = self.world.0.borrow_mut();
        self.records[index].hpas().for_each(|hpa| world.free(hpa));
    }

    unsafe fn split_block(&mut self, index: usize) {
        assert!(
            index >= self.folios,
            "block {index} is a folio and cannot be split"
        );
        assert!(!self.split[index], "block {index} is split twice");
        self.split[index] = true;
    }

    unsafe fn free_page(&mut self, page: Hpa) {
        let index = self
            .records
            .iter()
            .position(|block| block.hpas().any(|hpa| hpa == page))
            .expect("a page of this memory");
        assert!(self.split[index], "block {index} is not split");
        self.world.0.borrow_mut().free(page);
    }

    fn forget_pages(mut self) {
        self.records.clear();
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for index in 0..self.records.len() {
            // SAFETY: Nothing is really freed here; the allocator checks.
            unsafe { self.free_block(index) };
        }
    }
}

/// A root page before its address is known.
pub(crate) struct Root {
    words: Box<[u64; ROOT_ENTRIES]>,
    world: World,
}

/// A root page in the machine's memory.
pub(crate) struct Published {
    hpa: Hpa,
    world: World,
}

impl RootPage for Root {
    type Published = Published;

    fn words(&mut self) -> &mut [u64; ROOT_ENTRIES] {
        &mut self.words
    }

    fn publish(self) -> Published {
        let mut world = self.world.0.borrow_mut();
        let index = world
            .pages
            .iter()
            .rposition(|page| *page == Page::Root)
            .expect("no more than a few are borrowed at a time");
        world.pages[index] = Page::Allocated;
        let hpa = Hpa::new(index as u64 * PAGE_SIZE).unwrap();
        world.model.put(hpa.get(), &self.words[..]);
        drop(world);
        Published {
            hpa,
            world: self.world,
        }
    }
}

impl PublishedRoot for Published {
    fn hpa(&self) -> Hpa {
        self.hpa
    }

    fn word(&self, index: usize) -> Option<u64> {
        let hpa = self.hpa;
        self.world
            .model(|model| model.machine_mut().read(hpa, index))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.world.0.borrow_mut().pages[self.hpa.pfn() as usize] = Page::Root;
    }
}

impl Platform for World {
    type Memory = Blocks;
    type Bits = Vec<u64>;
    type User = ();
    type Entry = Rc<Record>;
    type Root<'a> = Root;

    fn prove(&self, page: Hpa) -> Status {
        let keyed = page.get() | Config::SMALL.global_keyid << Config::SMALL.phys_bits;
        self.0.borrow_mut().proofs += 1;
        self.model(|model| model.call(Leaf::PHYMEM_PAGE_WBINVD, keyed, 0).0)
    }

    fn reclaim(&self, page: Hpa) -> Status {
        self.model(|model| model.call(Leaf::PHYMEM_PAGE_RECLAIM, page.get(), 0).0)
    }

    fn flush(&self, _block: Block) {}

    fn root(&self) -> Root {
        Root {
            words: Box::new([u64::MAX; ROOT_ENTRIES]),
            world: self.clone(),
        }
    }

    fn enter(&self, _user: &(), memory: Blocks) -> Entered<Self> {
        if self.0.borrow().closed {
            return Err((Refusal::Closed, memory));
        }
        let bits = vec![0; Lent::<Self>::words(memory.pages())];
        let record = Rc::new(Record {
            lent: RefCell::new(None),
            state: RefCell::new(None),
        });
        self.0.borrow_mut().records.push(record.clone());
        Ok((record, Lent::new(memory, bits)))
    }

    fn take(&self, entry: &Rc<Record>) -> Option<Lent<Self>> {
        entry.lent.borrow_mut().take()
    }

    fn put(&self, entry: &Rc<Record>, lent: Lent<Self>, state: State) {
        *entry.state.borrow_mut() = Some(state);
        *entry.lent.borrow_mut() = Some(lent);
    }

    fn strike(&self, entry: Rc<Record>) {
        assert!(
            entry.lent.borrow().is_none(),
            "a record with memory is struck"
        );
        self.0
            .borrow_mut()
            .records
            .retain(|r| !Rc::ptr_eq(r, &entry));
    }

    fn dropped(&self, _entry: &Rc<Record>) {
        self.0.borrow_mut().dropped += 1;
    }
}
