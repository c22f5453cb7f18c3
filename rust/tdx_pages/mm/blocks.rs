// SPDX-License-Identifier: GPL-2.0

//! Lists of physically contiguous blocks.

use super::records::Records;
use crate::abi::{
    block::MAX_BLOCK_PAGES,
    Block,
    Hpa,
    PAGE_SIZE, //
};
use crate::bindings;
use crate::custody::memory::{
    pass,
    Memory, //
};
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// The NUMA node to take memory from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// The node of the CPU that asks.
    Any,
    /// This node; another if it has none.
    Id(i32),
}

impl Node {
    const fn raw(self) -> i32 {
        match self {
            Self::Any => bindings::NUMA_NO_NODE,
            Self::Id(nid) => nid,
        }
    }
}

/// Memory in the state "host": a list of blocks, each 2^n pages in one piece.
///
/// The one record of it is 8 bytes a block, in the format of an IOMMU_MT entry, from which pages
/// and HPAs are computed; one is in place. Dropping it frees the pages. Sleeps when it is made; dropped in a
/// context that may sleep.
///
/// # Invariants
///
/// - Each record names a block of 2^n pages, n at most 9, from the page allocator, owned by this
///   value alone.
/// - The first `folios` records are folios; the others are not compound.
/// - `pages` is the number of pages of all records.
pub(crate) struct Blocks {
    records: Records,
    // Both fit in what the number of records takes: who uses this memory keeps it by value.
    folios: u32,
    pages: u32,
}

/// By how many orders blocks become smaller when there are none.
const STEP_DOWN: u32 = 3;

/// Where there is no larger one, a block of a smaller order is not taken, unless no more is wanted: a pair
/// of pages costs more than two from the bulk allocator.
const LEAST: u32 = 2;

/// After so many blocks of freeing others may run.
const FREED_IN_ONE_GO: usize = 512;

/// The order of a block of `pages` pages, which is a power of two by the invariant of [`Blocks`].
const fn order(pages: usize) -> u32 {
    pages.ilog2()
}

impl Blocks {
    /// Allocates `pages` pages as the few largest blocks that give them: up to 2 MiB each, smaller
    /// ones when the allocator has none, single pages as the last resort.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no pages, `ENOMEM`; nothing is kept then.
    pub(crate) fn new(pages: usize, node: Node) -> Result<Self> {
        Self::no_larger_than(MAX_BLOCK_PAGES, pages, node)
    }

    /// The same, as if the allocator had no block of more than `largest` pages, a power of two.
    pub(crate) fn no_larger_than(largest: usize, pages: usize, node: Node) -> Result<Self> {
        if !largest.is_power_of_two() || largest > MAX_BLOCK_PAGES {
            return Err(EINVAL);
        }
        if pages == 1 {
            // The shortest way for what is often asked for.
            let block = Self::alloc(0, node)?.ok_or(ENOMEM)?;
            // INVARIANT: The block was allocated this moment, of one page.
            return Ok(Self {
                records: Records::one(block),
                folios: 0,
                pages: 1,
            });
        }
        let mut blocks = Self::empty();
        blocks.add_pages(order(largest), pages, node)?;
        if blocks.blocks().is_empty() {
            return Err(EINVAL);
        }
        blocks.records.trim();
        Ok(blocks)
    }

    /// Allocates zeroed folios of the given numbers of pages, powers of two, and then `pages`
    /// pages as [`Blocks::new`] does.
    pub(crate) fn with_folios(folios: &[usize], pages: usize, node: Node) -> Result<Self> {
        let mut blocks = Self::empty();
        for folio in folios {
            blocks.add_folio(*folio, node)?;
        }
        blocks.add_pages(order(MAX_BLOCK_PAGES), pages, node)?;
        blocks.records.trim();
        Ok(blocks)
    }

    fn empty() -> Self {
        // INVARIANT: There is no record.
        Self {
            records: Records::NONE,
            folios: 0,
            pages: 0,
        }
    }

    fn add_folio(&mut self, pages: usize, node: Node) -> Result {
        if !pages.is_power_of_two() || pages > MAX_BLOCK_PAGES {
            return Err(EINVAL);
        }
        // Room first, so that no page is in hand when it is refused.
        self.records.reserve(1)?;
        // SAFETY: No preconditions; the order is at most 9.
        let alloc = || unsafe { bindings::tdx_pages_alloc_folio(order(pages), node.raw()) };
        #[cfg(TDX_PAGES_KUNIT)]
        let alloc = || super::scarce::allocate_folio(pages, alloc);
        let block = Self::named(alloc(), pages)?.ok_or(ENOMEM)?;
        // INVARIANT: The folio was allocated this moment, with a power of two for its pages.
        self.push(block)?;
        self.folios += 1;
        Ok(())
    }

    /// A block of 2^`order` pages; [`None`] if there is none. `EFAULT` as for [`Blocks::named`].
    #[inline(always)]
    fn alloc(order: u32, node: Node) -> Result<Option<Block>> {
        // SAFETY: No preconditions; the order is at most 9.
        let alloc = || unsafe { bindings::tdx_pages_alloc_block(order, node.raw(), false) };
        #[cfg(TDX_PAGES_KUNIT)]
        let alloc = || super::scarce::allocate(1 << order, alloc);
        Self::named(alloc(), 1 << order)
    }

    /// The block at an address from the allocator; [`None`] for 0. The allocator's addresses are page
    /// aligned and below 2^52; were one not, its pages would be lost rather than named wrongly, with
    /// `EFAULT`.
    #[inline(always)]
    fn named(hpa: u64, pages: usize) -> Result<Option<Block>> {
        if hpa == 0 {
            return Ok(None);
        }
        let block = Hpa::new(hpa).and_then(|hpa| Block::new(hpa, pages));
        Ok(Some(block.ok_or(EFAULT)?))
    }

    fn add_pages(&mut self, mut largest: u32, pages: usize, node: Node) -> Result {
        // All that is counted below fits.
        let sum = self.pages.checked_add(u32::try_from(pages)?);
        sum.ok_or(EOVERFLOW)?;
        let mut left = pages;
        while left > 0 {
            let most = largest.min(order(left));
            let order = match most {
                0 => 0,
                // SAFETY: No preconditions.
                _ => unsafe { bindings::tdx_pages_largest_order(most, node.raw()) },
            };
            if left > 1 && order < most.clamp(1, LEAST) {
                left -= self.add_singles(left, node)?;
                continue;
            }
            // Room for all that are left, if they come in such blocks: it seldom grows again. Mostly there
            // is no rest, and counting its bits is long where the kernel has no POPCNT.
            let rest = match left & ((1 << order) - 1) {
                0 => 0,
                rest => usize::try_from(rest.count_ones())?,
            };
            self.records.reserve((left >> order) + rest)?;
            let Some(block) = Self::alloc(order, node)? else {
                // An eighth of it, from now on: there are some, but not for us.
                largest = match order {
                    0 => return Err(ENOMEM),
                    order => order.saturating_sub(STEP_DOWN),
                };
                continue;
            };
            // INVARIANT: The block was allocated this moment, with a power of two for its pages.
            self.push(block)?;
            left -= block.pages();
        }
        Ok(())
    }

    /// Adds `most` single pages or fewer, at least one.
    fn add_singles(&mut self, most: usize, node: Node) -> Result<usize> {
        let fill = |room: &mut [MaybeUninit<Block>]| {
            let at: *mut u64 = room.as_mut_ptr().cast();
            // SAFETY: There is room for as many words, which is what a block is.
            let alloc = |count| unsafe { bindings::tdx_pages_alloc_singles(at, count, node.raw()) };
            #[cfg(TDX_PAGES_KUNIT)]
            let alloc = |count| super::scarce::allocate_singles(count, alloc);
            alloc(room.len())
        };
        // INVARIANT: The pages were allocated this moment, one by one.
        // SAFETY: The C member writes so many HPAs of the page allocator's, which are page aligned and
        // below 2^52.
        match unsafe { self.records.append(most, fill) }? {
            0 => Err(ENOMEM),
            got => {
                // CAST: No more than were asked for, of which `add_pages` knows that they fit.
                self.pages += got as u32;
                Ok(got)
            }
        }
    }

    /// Frees the single pages from block `index` on, up to the first block that is larger, or a folio;
    /// not too many in one go. How many.
    ///
    /// # Safety
    ///
    /// They are the host's, and are not freed again.
    unsafe fn free_singles(&self, index: usize) -> usize {
        if index < self.folios() {
            return 0;
        }
        let rest = self.blocks().get(index..).unwrap_or_default();
        let most = rest.len().min(FREED_IN_ONE_GO);
        // SAFETY: There are so many words. That of a block of one page is its HPA, and that of a larger
        // one is not page aligned; the caller promises that each is free to go. They are not
        // compound and not split.
        let count = unsafe { bindings::tdx_pages_free_singles(rest.as_ptr().cast(), most) };
        #[cfg(TDX_PAGES_KUNIT)]
        super::scarce::freed(count);
        count
    }

    /// Adds a block for which there is room in `records`.
    #[inline(always)]
    fn push(&mut self, block: Block) -> Result {
        self.records.push(block)?;
        // CAST: At most 512.
        self.pages += block.pages() as u32;
        Ok(())
    }

    /// Copies bytes from `offset` on out. `ERANGE` if they are not all here. Nothing is allocated.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        // SAFETY: There is room for as many bytes.
        unsafe { self.copy_out(offset, to.as_mut_ptr(), to.len()) }
    }

    /// Copies bytes in, from `offset` on. `ERANGE` if they do not all fit. Nothing is allocated.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Result {
        // SAFETY: There are as many bytes.
        unsafe { self.copy_in(offset, from.as_ptr(), from.len()) }
    }

    /// Copies bytes out, page after page. `ERANGE` if they are not all here; nothing is copied then.
    ///
    /// # Safety
    ///
    /// There is room for `len` bytes at `to`.
    pub(crate) unsafe fn copy_out(&self, offset: usize, to: *mut u8, len: usize) -> Result {
        self.pieces(offset, len, |hpa, at, bytes| {
            // SAFETY: The memory is ours, and the caller promises the room.
            unsafe { bindings::tdx_pages_copy_out(to.add(at).cast(), hpa, bytes) }
        })
    }

    /// Copies bytes in. `ERANGE` if they do not all fit; nothing is copied then. Who copies at the
    /// same time to the same place gets a mixture.
    ///
    /// # Safety
    ///
    /// There are `len` bytes at `from`.
    pub(crate) unsafe fn copy_in(&self, offset: usize, from: *const u8, len: usize) -> Result {
        self.pieces(offset, len, |hpa, at, bytes| {
            // SAFETY: The memory is ours, and the caller promises the bytes.
            unsafe { bindings::tdx_pages_copy_in(hpa, from.add(at).cast(), bytes) }
        })
    }

    /// Calls `f` for each part in one block: where it is, how many bytes came before, how many it
    /// has.
    fn pieces(&self, offset: usize, len: usize, mut f: impl FnMut(u64, usize, usize)) -> Result {
        let page = usize::try_from(PAGE_SIZE)?;
        let size = self.pages().saturating_mul(page);
        if offset.checked_add(len).is_none_or(|end| end > size) {
            return Err(ERANGE);
        }
        let (mut skip, mut done) = (offset, 0);
        for block in self.records.as_slice() {
            let bytes = block.pages().saturating_mul(page);
            if skip >= bytes {
                skip -= bytes;
                continue;
            }
            let now = (bytes - skip).min(len - done);
            if now == 0 {
                break;
            }
            // CAST: Less than the size of a block.
            f(block.hpa().get() + skip as u64, done, now);
            done += now;
            skip = 0;
        }
        Ok(())
    }

    /// Bytes of bookkeeping, without this value itself.
    #[cfg(TDX_PAGES_KUNIT)]
    pub(crate) fn bookkeeping(&self) -> usize {
        self.records.bytes()
    }

    /// The NUMA node of the first page.
    pub(crate) fn node(&self) -> Option<i32> {
        let hpa = self.blocks().first()?.hpa();
        // SAFETY: The record names pages of the page allocator.
        Some(unsafe { bindings::tdx_pages_nid(hpa.get()) })
    }
}

// SAFETY: By its invariant it owns its pages; only `drop` and the unsafe functions free any.
unsafe impl Memory for Blocks {
    #[inline]
    fn blocks(&self) -> &[Block] {
        self.records.as_slice()
    }

    fn folios(&self) -> usize {
        // CAST: A larger type.
        self.folios as usize
    }

    #[inline]
    fn pages(&self) -> usize {
        // CAST: A larger type.
        self.pages as usize
    }

    unsafe fn free_block(&mut self, index: usize) {
        let Some(block) = self.blocks().get(index).copied() else {
            return;
        };
        let hpa = block.hpa().get();
        #[cfg(TDX_PAGES_KUNIT)]
        super::scarce::freed(block.pages());
        if index < self.folios() {
            // SAFETY: The record names a folio whose only reference is ours, and the caller
            // promises that it is free to go and is not freed twice.
            unsafe { bindings::tdx_pages_free_folio(hpa) };
        } else {
            // SAFETY: As above, for a block of this order that is not compound and not split.
            unsafe { bindings::tdx_pages_free_block(hpa, order(block.pages())) };
        }
    }

    unsafe fn split_block(&mut self, index: usize) {
        if let Some(block) = self.blocks().get(index).copied() {
            // SAFETY: The record names a block of this order that is not compound, of which the
            // caller promises that nothing is freed.
            unsafe { bindings::tdx_pages_split_block(block.hpa().get(), order(block.pages())) };
        }
    }

    unsafe fn free_page(&mut self, page: Hpa) {
        #[cfg(TDX_PAGES_KUNIT)]
        super::scarce::freed(1);
        // SAFETY: The caller promises a page of a split block that is not freed yet.
        unsafe { bindings::tdx_pages_free_block(page.get(), 0) };
    }

    fn forget_pages(mut self) {
        // INVARIANT: Without records nothing is owned, and nothing is freed by `drop`.
        self.records.clear();
        self.folios = 0;
        self.pages = 0;
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.blocks().is_empty() {
            return;
        }
        pass();
        if self.blocks().len() == 1 {
            // SAFETY: As below.
            unsafe { self.free_block(0) };
            return;
        }
        let mut index = 0;
        let mut others = FREED_IN_ONE_GO;
        while index < self.blocks().len() {
            // SAFETY: The pages are the host's: custody takes what it hands over out of the
            // records, by `forget_pages`. Each block is whole and is freed once, as `index` says.
            index += match unsafe { self.free_singles(index) } {
                0 => {
                    // SAFETY: As above.
                    unsafe { self.free_block(index) };
                    1
                }
                singles => singles,
            };
            if index >= others {
                others = index + FREED_IN_ONE_GO;
                // SAFETY: It is dropped in a context that may sleep.
                unsafe { bindings::tdx_pages_resched() };
            }
        }
    }
}

#[cfg(TDX_PAGES_KUNIT)]
#[kunit_tests(tdx_pages_blocks)]
mod tests {
    use super::*;
    use kernel::rbtree::RBTree;

    /// Whether every page is named once.
    fn distinct(blocks: &Blocks) -> Result<bool> {
        let mut hpas = RBTree::new();
        for hpa in blocks.hpas() {
            let again = hpas.try_create_and_insert(hpa.get(), (), GFP_KERNEL)?;
            if again.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[test]
    fn gives_the_pages_asked_for() -> Result {
        for pages in [1, 2, 3, 511, 512, 513, 1024, 1025] {
            let blocks = Blocks::new(pages, Node::Any)?;
            expect_eq!(blocks.pages(), pages);
            expect_eq!(blocks.hpas().count(), pages);
            expect!(distinct(&blocks)?);
            for block in blocks.blocks() {
                let bytes = u64::try_from(block.pages())? * 4096;
                expect!(block.pages().is_power_of_two());
                expect_eq!(block.hpa().get() % bytes, 0);
            }
        }
        Ok(())
    }

    #[test]
    fn few_large_blocks_when_there_are_any() -> Result {
        // A freshly booted machine has 2 MiB blocks: 513 pages take one and a single page.
        let blocks = Blocks::new(513, Node::Any)?;
        expect!(blocks.blocks().len() <= 10);
        Ok(())
    }

    #[test]
    fn single_pages_when_there_is_nothing_larger() -> Result {
        for (largest, pages, blocks) in [(1, 700, 700), (2, 701, 351), (64, 700, 10 + 4)] {
            let memory = Blocks::no_larger_than(largest, pages, Node::Any)?;
            expect_eq!(memory.pages(), pages);
            expect!(memory.blocks().len() >= blocks);
            expect!(memory.blocks().iter().all(|block| block.pages() <= largest));
            expect!(distinct(&memory)?);
        }
        expect_eq!(Blocks::no_larger_than(3, 1, Node::Any).err(), Some(EINVAL));
        expect_eq!(
            Blocks::no_larger_than(1024, 1, Node::Any).err(),
            Some(EINVAL)
        );
        Ok(())
    }

    #[test]
    fn no_larger_blocks_are_looked_for_than_are_asked_for() -> Result {
        for nid in [bindings::NUMA_NO_NODE, 0, 1, 4096, -7] {
            for most in 0..=order(MAX_BLOCK_PAGES) {
                // SAFETY: No preconditions.
                let found = unsafe { bindings::tdx_pages_largest_order(most, nid) };
                // A freshly booted machine has blocks of 2 MiB.
                expect_eq!((nid, most, found), (nid, most, most));
            }
        }
        Ok(())
    }

    #[test]
    fn no_pages_is_an_error() -> Result {
        expect_eq!(Blocks::new(0, Node::Any).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn folios_come_first_and_are_whole() -> Result {
        let blocks = Blocks::with_folios(&[2, 2], 5, Node::Any)?;
        expect_eq!(blocks.folios(), 2);
        expect_eq!(blocks.pages(), 9);
        for queue in blocks.blocks().iter().take(2) {
            expect_eq!(queue.pages(), 2);
            expect_eq!(queue.hpa().get() % 8192, 0);
        }
        expect!(distinct(&blocks)?);
        expect_eq!(Blocks::with_folios(&[3], 1, Node::Any).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn the_node_is_honoured() -> Result {
        for nid in [0, 1] {
            let blocks = Blocks::with_folios(&[2, 2], 5, Node::Id(nid))?;
            // On a machine with one node the other falls back.
            let got = blocks.node().ok_or(EINVAL)?;
            expect!(got == nid || got == 0);
        }
        // A node that is none does no harm.
        expect_eq!(Blocks::new(1, Node::Id(4096))?.pages(), 1);
        expect_eq!(Blocks::new(1, Node::Id(-7))?.pages(), 1);
        Ok(())
    }
}
