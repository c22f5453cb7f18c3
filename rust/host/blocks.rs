// SPDX-License-Identifier: GPL-2.0

//! Memory of the host, as the allocator of the [`World`] gives it.

use crate::abi::{
    Block,
    Hpa, //
};
use crate::custody::memory::Memory;
use crate::world::World;

/// Memory in the state "host".
pub(crate) struct Blocks {
    world: World,
    records: Vec<Block>,
    folios: usize,
    split: Vec<bool>,
    /// First page and index of each block, in order of the pages.
    places: Vec<(u64, usize)>,
    owner: u32,
}

impl Blocks {
    /// Blocks that were allocated for the memory with the number `owner`.
    pub(crate) fn new(world: &World, records: Vec<Block>, folios: usize, owner: u32) -> Self {
        let firsts = records.iter().map(|block| block.hpa().pfn());
        let mut places: Vec<_> = firsts.zip(0..).collect();
        places.sort_unstable();
        Self {
            world: world.clone(),
            places,
            split: vec![false; records.len()],
            records,
            folios,
            owner,
        }
    }

    /// Which blocks have been split.
    pub(crate) fn split(&self) -> &[bool] {
        &self.split
    }
}

// SAFETY: Nothing is really freed here; the allocator checks.
unsafe impl Memory for Blocks {
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
        let pages = self.records[index].hpas();
        pages.for_each(|hpa| world.free(hpa, self.owner));
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
        let after = self.places.partition_point(|place| place.0 <= page.pfn());
        let (first, index) = self.places[after.checked_sub(1).expect("a page of this memory")];
        let pages = self.records[index].pages() as u64;
        assert!(page.pfn() < first + pages, "a page of this memory");
        assert!(self.split[index], "block {index} is not split");
        self.world.0.borrow_mut().free(page, self.owner);
    }

    fn forget_pages(mut self) {
        self.records.clear();
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // One panic is told; a second one would end all tests.
            return;
        }
        for index in 0..self.records.len() {
            // SAFETY: Nothing is really freed here; the allocator checks.
            unsafe { self.free_block(index) };
        }
    }
}
