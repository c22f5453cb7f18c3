// SPDX-License-Identifier: GPL-2.0

//! Memory that is not ours, and which of its pages came back.

use super::{
    listed::Recorded,
    memory::{
        pass,
        Memory,
        Platform, //
    },
    state::Why, //
};
use crate::abi::{
    block::{
        Block,
        Hpas,
        MAX_BLOCK_PAGES, //
    },
    Hpa,
    Status,
    PAGE_SIZE, //
};
use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        Range, //
    }, //
};

/// A page that did not come back, and what the TDX Module said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unproved {
    /// The page's number within its object, from 0.
    pub(crate) index: usize,
    /// The status of its proof.
    pub(crate) status: Status,
}

/// What is known of the pages whose proof failed in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// The first one.
    pub(crate) first: Option<Unproved>,
    /// Another try may not meet what some of them met: a TDX Module that is busy, or a CPU that has
    /// left VMX.
    pub(crate) may_pass: bool,
}

impl Failures {
    fn add(&mut self, index: usize, status: Status) {
        self.first = self.first.or(Some(Unproved { index, status }));
        self.may_pass |=
            status.is_recoverable() || status.is_not_executed() && status != Status::HOST_DOWN;
    }
}

/// Memory whose pages are not to be freed when it is dropped.
struct Away<M: Memory>(ManuallyDrop<M>);

impl<M: Memory> Away<M> {
    /// The memory of the host again: every page is proved, or was never offered.
    fn come_back(self) -> M {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<M: Memory> Deref for Away<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M: Memory> Drop for Away<M> {
    fn drop(&mut self) {
        // SAFETY: It is dropped once, and not used again.
        unsafe { ManuallyDrop::take(&mut self.0) }.forget_pages();
    }
}

/// Memory in the hands of the TDX Module.
///
/// There is no way to read, map or free it here but by proof. Dropping it frees no page: only the
/// bookkeeping ends.
///
/// # Invariants
///
/// - `bits` has a bit for each page of `memory`.
/// - A set bit means that the page is proved, or was never offered to the TDX Module.
/// - `owing` is the number of pages that have not been freed. A page of a plain block is freed as
///   soon as [`Lent::settle`] or [`Lent::retry`] finds its bit set; a folio as soon as all its
///   bits are.
/// - A plain block is split if and only if its pages have not been freed all at once.
pub(crate) struct Lent<P: Platform> {
    memory: Away<P::Memory>,
    bits: P::Bits,
    pages: usize,
    owing: usize,
}

/// The bits of one block as they were, to tell what is new.
type Before = [u64; MAX_BLOCK_PAGES / 64];

/// Pages that are put to the proof in one go, at most: others wait meanwhile.
const RUN: usize = 16;

fn bit(words: &[u64], index: usize) -> bool {
    words
        .get(index / 64)
        .is_some_and(|word| word >> (index % 64) & 1 != 0)
}

fn set_bit(words: &mut [u64], index: usize) {
    if let Some(word) = words.get_mut(index / 64) {
        *word |= 1 << (index % 64);
    }
}

/// Puts those pages of `range` to the proof that are not back. `pages` gives them all in order, and
/// does not stop before the last.
fn prove_each<P: Platform>(
    platform: &P,
    bits: &mut [u64],
    mut pages: Hpas<'_>,
    range: Range<usize>,
    failures: &mut Failures,
) {
    let mut index = range.start;
    while index < range.end {
        // Bits of pages past the end of a shorter one are never set.
        let Some(word) = bits.get_mut(index / 64) else {
            return;
        };
        // Pages in a row that are not back and have their bits in this word, in whatever blocks.
        let shift = index % 64;
        // CAST: At most 64.
        let not_back = (*word >> shift).trailing_zeros() as usize;
        let run = not_back.min(64 - shift).min(range.end - index).min(RUN);
        if run == 0 {
            pages.next();
            index += 1;
            continue;
        }
        let failed = |at, status| failures.add(index + at, status);
        // SAFETY: The callers give pages of theirs; these are not back and so not freed.
        let proved = unsafe { platform.prove_run(pages.up_to(run), failed) };
        // Whatever else is said: it is about these pages only, which are fewer than 64.
        *word |= (proved & !(u64::MAX << run)) << shift;
        index += run;
    }
}

impl<P: Platform> Lent<P> {
    /// Words of `u64` that the bits of `pages` pages take.
    pub(crate) const fn words(pages: usize) -> usize {
        pages.div_ceil(64)
    }

    /// Takes memory over, none of which has been offered yet. `bits` should have [`Lent::words`]
    /// words, all zero. A bit that is set already is cleared, and pages past the end of a shorter
    /// one are never found proved.
    pub(crate) fn new(memory: P::Memory, mut bits: P::Bits) -> Self {
        bits.as_mut().fill(0);
        let pages = memory.pages();
        // INVARIANT: No bit is set and no page is freed.
        Self {
            memory: Away(ManuallyDrop::new(memory)),
            bits,
            pages,
            owing: pages,
        }
    }

    /// The memory, to name its pages.
    pub(super) fn memory(&self) -> &P::Memory {
        &self.memory
    }

    /// The same for whoever makes a call with them.
    pub(super) fn recorded(&self) -> Recorded<'_, P::Memory> {
        Recorded::new(&self.memory)
    }

    /// The number of its pages.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The number of pages that have not come back to the allocator.
    pub(crate) fn owing(&self) -> usize {
        self.owing
    }

    /// Whether page `index` is proved or was never offered.
    pub(crate) fn is_back(&self, index: usize) -> bool {
        bit(self.bits.as_ref(), index)
    }

    /// Flushes all of it from the caches, if the TDX Module asks for it.
    pub(super) fn flush(&self, platform: &P) {
        // SAFETY: They are the blocks of this value.
        unsafe { platform.flush(self.memory.blocks()) };
    }

    /// Notes that pages were never named in an operand that reached the TDX Module.
    pub(super) fn never_offered(&mut self, pages: Range<usize>) {
        for index in pages {
            set_bit(self.bits.as_mut(), index);
        }
    }

    /// Puts the pages of `range` to the proof, each by itself: page k decides for page k only.
    /// Returns the first that failed.
    pub(super) fn prove(&mut self, platform: &P, range: Range<usize>) -> Option<Unproved> {
        pass();
        let mut failures = Failures::default();
        let mut pages = self.memory.hpas();
        pages.up_to(range.start).for_each(drop);
        prove_each(platform, self.bits.as_mut(), pages, range, &mut failures);
        failures.first
    }

    /// Whether every page is back, so that the memory is the host's again.
    pub(crate) fn all_back(&self) -> bool {
        let words = self.bits.as_ref();
        let rest = !(u64::MAX << (self.pages % 64));
        words
            .get(..self.pages / 64)
            .is_some_and(|whole| whole.iter().all(|word| *word == u64::MAX))
            && (rest == 0
                || words
                    .get(self.pages / 64)
                    .is_some_and(|word| word & rest == rest))
    }

    /// Gives the memory back if every page is back and none has been freed.
    pub(super) fn into_memory(self) -> Result<P::Memory, Self> {
        if self.owing != self.pages || !self.all_back() {
            return Err(self);
        }
        Ok(self.memory.come_back())
    }

    /// Frees every page that is back and has not been freed. Returns how many.
    pub(super) fn settle(&mut self) -> usize {
        self.each_block(|_, _, _| {})
    }

    /// Tries again for every page that is not back, and frees those that pass the proof. Returns
    /// how many were freed, and what is known of the others.
    pub(super) fn retry(&mut self, platform: &P) -> (usize, Failures) {
        let mut failures = Failures::default();
        let freed = self.each_block(|bits, block, range| {
            let pages = Hpas::new(core::slice::from_ref(&block));
            prove_each(platform, bits, pages, range, &mut failures);
        });
        (freed, failures)
    }

    /// One more try for what is in quarantine, as far as the cause allows. `ended` says whether no
    /// leaf that names the pages can still be resumed. Returns as [`Lent::retry`] does.
    pub(super) fn attempt(
        &mut self,
        platform: &P,
        why: Why,
        ended: impl FnOnce() -> bool,
    ) -> (usize, Failures) {
        match why {
            // A leaf that may still be resumed may still take what is free now.
            Why::Abandoned if !ended() => (0, Failures::default()),
            Why::NotProved | Why::WrongList | Why::Abandoned => {
                // TDX Modules of the TDX-IO preview keep the pages of a cleared IOMMU until they
                // are asked for one by one. `[1]` M20. Pages whose release did not succeed are not
                // asked for in this way: they may be in use. Whether a leaf that was left interrupted
                // did succeed is not known here; RECLAIM refuses what is in use.
                let _ = self.reclaim(platform);
                self.retry(platform)
            }
            _ => self.retry(platform),
        }
    }

    /// Goes through the blocks: lets `prove` set bits of the block's pages and frees what is new.
    fn each_block(&mut self, mut prove: impl FnMut(&mut [u64], Block, Range<usize>)) -> usize {
        let owing = self.owing;
        // Nothing has been freed yet, whatever the bits say: all that are set are new.
        let fresh = owing == self.pages;
        let mut start = 0;
        let mut index = 0;
        while let Some(block) = self.block(index) {
            let end = start + block.pages();
            let mut before: Before = [0; MAX_BLOCK_PAGES / 64];
            if !fresh {
                for page in (start..end).filter(|page| self.is_back(*page)) {
                    set_bit(&mut before, page - start);
                }
            }
            prove(self.bits.as_mut(), block, start..end);
            self.free_new(index, start..end, &before);
            start = end;
            index += 1;
        }
        pass();
        owing - self.owing
    }

    /// Block `index` of the memory.
    fn block(&self, index: usize) -> Option<Block> {
        self.memory.blocks().get(index).copied()
    }

    /// Frees the pages of block `index` whose bit is set but was not `before`.
    fn free_new(&mut self, index: usize, range: Range<usize>, before: &Before) {
        let pages = range.len();
        let had = (0..pages).filter(|page| bit(before, *page)).count();
        let has = range.clone().filter(|page| self.is_back(*page)).count();
        if has == had {
            return;
        }
        let memory = &mut *self.memory.0;
        let folio = index < memory.folios();
        if has == pages && (folio || had == 0) {
            // SAFETY:
            // - All bits of the block are set: each page is proved or was never offered.
            // - It is not split and no page of it is freed: it is a folio, which is freed here
            //   only, when its last bit is set; or no bit was set before, and a plain block is
            //   split when the first of its pages is freed.
            // - `Away` ends this memory by `forget_pages`.
            unsafe { memory.free_block(index) };
            self.owing -= pages;
        } else if !folio {
            if had == 0 {
                // SAFETY: By the invariant no page of the block has been freed, since no bit was
                // set before; from now on its pages are freed one by one below.
                unsafe { memory.split_block(index) };
            }
            let Some(block) = memory.blocks().get(index).copied() else {
                return;
            };
            for (page, hpa) in block.hpas().enumerate() {
                if bit(self.bits.as_ref(), range.start + page) && !bit(before, page) {
                    // SAFETY: The page's bit is set, so it is proved or was never offered; it was
                    // not set before, so the page has not been freed. The block is split.
                    unsafe { memory.free_page(hpa) };
                    self.owing -= 1;
                }
            }
        }
    }

    /// Asks for the pages one by one with TDH.PHYMEM.PAGE.RECLAIM. Returns the first that failed.
    pub(super) fn reclaim(&self, platform: &P) -> Option<Unproved> {
        let mut first = None;
        for (index, page) in self.hpas() {
            // SAFETY: It is a page of this value that is not back, and so not freed.
            let status = unsafe { platform.reclaim(page) };
            if !status.is_success() {
                first = first.or(Some(Unproved { index, status }));
            }
        }
        first
    }

    /// Calls `f` with the first page and the length of each run of pages that are not back.
    pub(crate) fn each_missing(&self, mut f: impl FnMut(Hpa, usize)) {
        let mut run: Option<(Hpa, usize)> = None;
        for (_, page) in self.hpas() {
            run = match run {
                // CAST: `usize` has 64 bits.
                Some((first, pages)) if first.get() + pages as u64 * PAGE_SIZE == page.get() => {
                    Some((first, pages + 1))
                }
                before => {
                    if let Some((first, pages)) = before {
                        f(first, pages);
                    }
                    Some((page, 1))
                }
            };
        }
        if let Some((first, pages)) = run {
            f(first, pages);
        }
    }

    /// The pages that are not back, with their numbers.
    fn hpas(&self) -> impl Iterator<Item = (usize, Hpa)> + '_ {
        self.memory
            .hpas()
            .enumerate()
            .filter(|(index, _)| !self.is_back(*index))
    }
}
