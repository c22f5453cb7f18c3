// SPDX-License-Identifier: GPL-2.0

//! A small machine for host tests.

use super::{
    ide::{
        Stream,
        STREAMS, //
    },
    machine::{
        pattern,
        Check,
        Kind,
        List,
        Machine, //
    },
    page::PageState,
    spdm::{
        Session,
        SESSIONS, //
    },
    Config,
    Model,
    Regs, //
};
use crate::abi::{
    emu::Control,
    Hpa,
    Leaf,
    Status,
    PAGE_SIZE,
    ROOT_ENTRIES, //
};

impl Config {
    /// A pool of four pages, and IOMMU_MTs with two pages beside their queues.
    pub(crate) const SMALL: Self = Self {
        phys_bits: 46,
        global_keyid: 5,
        features0: 1 << 6 | 1 << 39,
        pool_pages: 4,
        pool_u32: false,
        ext_required: 1,
        iommu_mt_pages: 2,
        spdm_mt_pages: 3,
        ide_mt_pages: 1,
        spdm_max_dev_info_pages: 4,
        profile_late: false,
    };
}

/// Memory from HPA 0 on: RAM, but for the pages said to be something else.
#[derive(Clone)]
pub(crate) struct Sim {
    states: Vec<PageState>,
    lists: Vec<List>,
    sessions: Vec<Option<Session>>,
    streams: Vec<Option<Stream>>,
    object_lists: Vec<List>,
    pub(crate) memory: Vec<[u64; ROOT_ENTRIES]>,
    /// Pages that are managed but are no RAM.
    pub(crate) odd: Vec<(Hpa, Kind)>,
    /// Pages of RAM that cannot be accessed.
    pub(crate) unmapped: Vec<Hpa>,
}

impl Sim {
    /// `pages` pages, room for `iommus` IOMMUs.
    pub(crate) fn new(pages: usize, iommus: usize) -> Self {
        Self {
            states: vec![PageState::FREE; pages],
            lists: vec![[0; ROOT_ENTRIES]; iommus],
            sessions: vec![None; SESSIONS],
            streams: vec![None; STREAMS],
            object_lists: vec![[0; ROOT_ENTRIES]; SESSIONS + STREAMS],
            memory: vec![[0; ROOT_ENTRIES]; pages],
            odd: Vec::new(),
            unmapped: Vec::new(),
        }
    }

    fn at(&self, page: Hpa) -> Option<usize> {
        let index = page.pfn() as usize;
        (self.kind(page) != Kind::Absent && !self.unmapped.contains(&page)).then_some(index)
    }
}

impl Machine for Sim {
    fn states(&self) -> &[PageState] {
        &self.states
    }

    fn states_mut(&mut self) -> &mut [PageState] {
        &mut self.states
    }

    fn lists(&self) -> &[List] {
        &self.lists
    }

    fn lists_mut(&mut self) -> &mut [List] {
        &mut self.lists
    }

    fn sessions(&self) -> &[Option<Session>] {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut [Option<Session>] {
        &mut self.sessions
    }

    fn streams(&self) -> &[Option<Stream>] {
        &self.streams
    }

    fn streams_mut(&mut self) -> &mut [Option<Stream>] {
        &mut self.streams
    }

    fn object_lists(&self) -> &[List] {
        &self.object_lists
    }

    fn object_lists_mut(&mut self) -> &mut [List] {
        &mut self.object_lists
    }

    fn kind(&self, page: Hpa) -> Kind {
        if let Some((_, kind)) = self.odd.iter().find(|(odd, _)| *odd == page) {
            return *kind;
        }
        if (page.pfn() as usize) < self.memory.len() {
            Kind::Ram
        } else {
            Kind::Absent
        }
    }

    fn read(&self, page: Hpa, index: usize) -> Option<u64> {
        Some(self.memory[self.at(page)?][index])
    }

    fn write(&mut self, page: Hpa, index: usize, word: u64) -> bool {
        match self.at(page) {
            Some(at) => {
                self.memory[at][index] = word;
                true
            }
            None => false,
        }
    }

    fn fill(&mut self, page: Hpa, seed: u64) -> bool {
        (0..ROOT_ENTRIES).all(|index| self.write(page, index, pattern(seed, index)))
    }

    fn check(&self, page: Hpa, seed: u64) -> Check {
        let Some(at) = self.at(page) else {
            return Check::Unreadable;
        };
        let words = self.memory[at].iter().enumerate();
        for (index, word) in words {
            let diff = word ^ pattern(seed, index);
            if diff != 0 {
                return Check::Changed(index as u64 * 8 + u64::from(diff.trailing_zeros()) / 8);
            }
        }
        Check::Intact
    }
}

/// The HPA of page `n`.
pub(crate) const fn page(n: u64) -> u64 {
    n * PAGE_SIZE
}

impl Model<Sim> {
    /// A small TDX Module on 32 pages, with room for two IOMMUs.
    pub(crate) fn small() -> Self {
        Self::new(Sim::new(32, 2), Config::SMALL)
    }

    /// Makes a call with operands in RCX and RDX; gives status and registers.
    pub(crate) fn call(&mut self, leaf: Leaf, rcx: u64, rdx: u64) -> (Status, Regs) {
        let mut regs = Regs {
            rax: leaf.raw(),
            rcx,
            rdx,
            ..Regs::default()
        };
        self.seamcall(&mut regs);
        (Status::from_raw(regs.rax), regs)
    }

    /// Makes a control call with operands in RCX, RDX, R8, R9 and R10.
    pub(crate) fn ask(&mut self, control: Control, operands: [u64; 5]) -> (Status, Regs) {
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
        self.seamcall(&mut regs);
        (Status::from_raw(regs.rax), regs)
    }

    /// Puts words into page `root`.
    pub(crate) fn put(&mut self, root: u64, words: &[u64]) {
        let to = &mut self.machine_mut().memory[(root / PAGE_SIZE) as usize];
        to[..words.len()].copy_from_slice(words);
    }
}
