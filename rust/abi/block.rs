// SPDX-License-Identifier: GPL-2.0

//! The one record of memory: a physically contiguous block in 8 bytes.

use super::{
    hpa::{
        Hpa,
        HPA_MASK, //
    },
    PAGE_SIZE, //
};
use core::fmt;

/// Pages in the largest block: 2 MiB.
pub(crate) const MAX_BLOCK_PAGES: usize = 512;

const NUM_PAGES_MASK: u64 = 0xfff;

/// A physically contiguous block of 4 KiB pages, in the format of an IOMMU_MT entry.
///
/// HPA in bits 51:12; NUM_PAGES in 11:0, which is written for more than one page only. `[1]` V2
/// 05/31. It owns nothing: it names memory.
///
/// # Invariants
///
/// NUM_PAGES is 0, for one page, or 2 to [`MAX_BLOCK_PAGES`]; all pages of the block are below
/// 2^52; bits 63:52 are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Block(u64);

impl Block {
    /// A block of `pages` 4 KiB pages from `first` on; [`None`] unless there are 1 to
    /// [`MAX_BLOCK_PAGES`] and all lie below 2^52.
    #[inline]
    pub(crate) const fn new(first: Hpa, pages: usize) -> Option<Self> {
        if pages == 0 || pages > MAX_BLOCK_PAGES {
            return None;
        }
        // CAST: `pages` is at most 512, as checked above.
        let count = pages as u64;
        if first.checked_add_pages(count - 1).is_none() {
            return None;
        }
        // INVARIANT: Both bounds are checked above; one page is written as 0.
        Some(Self(first.get() | if count == 1 { 0 } else { count }))
    }

    /// A block of one page.
    #[inline]
    pub(crate) const fn single(page: Hpa) -> Self {
        // INVARIANT: NUM_PAGES is 0, the page is below 2^52 by the invariant of `Hpa`.
        Self(page.get())
    }

    /// The word as the TDX Module reads it in an IOMMU_MT entry.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The HPA of the first page.
    #[inline]
    pub(crate) const fn hpa(self) -> Hpa {
        Hpa::from_bits(self.0 & HPA_MASK)
    }

    /// The number of pages, 1 to [`MAX_BLOCK_PAGES`].
    #[inline]
    pub(crate) const fn pages(self) -> usize {
        // CAST: 12 bits fit in any `usize`.
        match (self.0 & NUM_PAGES_MASK) as usize {
            0 => 1,
            n => n,
        }
    }

    /// Whether it is one page: its word is the HPA then.
    #[inline]
    pub(crate) const fn is_single(self) -> bool {
        self.0 & NUM_PAGES_MASK == 0
    }

    /// The HPA of page `n`; [`None`] past the end.
    #[inline]
    pub(crate) const fn page(self, n: usize) -> Option<Hpa> {
        if n >= self.pages() {
            return None;
        }
        // CAST: Less than 512.
        self.hpa().checked_add_pages(n as u64)
    }

    /// The HPAs of the pages, in order.
    #[inline]
    pub(crate) fn hpas(self) -> impl Iterator<Item = Hpa> + Clone {
        let first = self.hpa().get();
        // CAST: A page count is at most 512.
        // Nothing is cut off here: the invariant says that all are below 2^52.
        (0..self.pages() as u64).map(move |i| Hpa::from_bits(first.wrapping_add(i * PAGE_SIZE)))
    }
}

/// The HPAs of all pages of some blocks, in order.
#[derive(Clone)]
pub(crate) struct Hpas<'a> {
    blocks: core::slice::Iter<'a, Block>,
    // Of the block that is gone through: its next page, and where it ends.
    next: u64,
    end: u64,
}

impl<'a> Hpas<'a> {
    /// Those of these blocks.
    #[inline]
    pub(crate) fn new(blocks: &'a [Block]) -> Self {
        Self {
            blocks: blocks.iter(),
            next: 0,
            end: 0,
        }
    }

    /// The next `most` pages, or those that there are.
    #[inline]
    pub(crate) fn up_to(&mut self, most: usize) -> UpTo<'_, 'a> {
        UpTo {
            hpas: self,
            left: most,
        }
    }

    /// Begins a block.
    #[inline(always)]
    fn begin(&mut self, block: Block) {
        self.next = block.hpa().get();
        // CAST: At most 512. Below 2^52, or there at the most.
        self.end = self.next + block.pages() as u64 * PAGE_SIZE;
    }

    /// The next page of the block that is gone through, of which there is one.
    #[inline(always)]
    fn step(&mut self) -> Hpa {
        let page = Hpa::from_bits(self.next);
        // It ends at 2^52 at the most, as the invariant of `Block` says, so nothing is cut off here,
        // once for each page.
        self.next = self.next.wrapping_add(PAGE_SIZE);
        page
    }
}

impl Iterator for Hpas<'_> {
    type Item = Hpa;

    #[inline(always)]
    fn next(&mut self) -> Option<Hpa> {
        if self.next == self.end {
            let block = self.blocks.next()?;
            self.begin(*block);
        }
        Some(self.step())
    }
}

/// Some pages of [`Hpas`], which goes on behind them.
///
/// To be gone through by `for_each`: that has a loop for pages in a row, and another for single ones.
pub(crate) struct UpTo<'h, 'a> {
    hpas: &'h mut Hpas<'a>,
    left: usize,
}

impl Iterator for UpTo<'_, '_> {
    type Item = Hpa;

    #[inline]
    fn next(&mut self) -> Option<Hpa> {
        self.left = self.left.checked_sub(1)?;
        self.hpas.next()
    }

    #[inline(always)]
    fn fold<T, F: FnMut(T, Hpa) -> T>(self, begin: T, mut f: F) -> T {
        let Self { hpas: of, mut left } = self;
        let mut hpas = of.clone();
        let mut sum = begin;
        while left > 0 {
            if hpas.next == hpas.end {
                let Some(block) = hpas.blocks.next() else {
                    break;
                };
                if block.is_single() {
                    sum = f(sum, block.hpa());
                    left -= 1;
                    continue;
                }
                hpas.begin(*block);
            }
            // CAST: `usize` has 64 bits.
            let row = left.min((hpas.end.wrapping_sub(hpas.next) / PAGE_SIZE) as usize);
            for _ in 0..row {
                sum = f(sum, hpas.step());
            }
            left -= row;
        }
        *of = hpas;
        sum
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.hpa(), self.pages())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hpa(addr: u64) -> Hpa {
        Hpa::new(addr).unwrap()
    }

    #[test]
    fn is_an_iommu_mt_entry() {
        assert_eq!(Block::new(hpa(0x1000_0000), 2).unwrap().raw(), 0x1000_0002);
        assert_eq!(Block::new(hpa(0x1000_0000), 1).unwrap().raw(), 0x1000_0000);
        assert_eq!(Block::single(hpa(0x1000_0000)).raw(), 0x1000_0000);
        assert_eq!(
            Block::new(hpa(0x20_0000), 512).unwrap().raw(),
            0x20_0000 | 512
        );
    }

    #[test]
    fn bounds() {
        assert_eq!(Block::new(hpa(0x1000), 0), None);
        assert_eq!(Block::new(hpa(0x1000), 513), None);
        assert_eq!(Block::new(hpa(HPA_MASK), 2), None);
        assert!(Block::new(hpa(HPA_MASK), 1).is_some());
    }

    #[test]
    fn names_each_page_once() {
        for n in [1, 2, 3, 511, 512] {
            let block = Block::new(hpa(0x1_0000_0000), n).unwrap();
            assert_eq!((block.pages(), block.is_single()), (n, n == 1));
            let hpas: Vec<u64> = block.hpas().map(Hpa::get).collect();
            let want: Vec<u64> = (0..n as u64).map(|i| 0x1_0000_0000 + i * 4096).collect();
            assert_eq!(hpas, want);
        }
    }

    #[test]
    fn some_of_the_pages_and_then_the_rest() {
        let blocks = [
            (0x1000, 1),
            (0x9000, 4),
            (0x2000, 1),
            (HPA_MASK, 1),
            (0x4000, 2),
        ]
        .map(|(first, pages)| Block::new(hpa(first), pages).unwrap());
        let all: Vec<Hpa> = blocks.iter().copied().flat_map(Block::hpas).collect();
        assert_eq!(Hpas::new(&blocks).collect::<Vec<_>>(), all);
        for first in 0..=all.len() + 1 {
            for second in 0..=all.len() + 1 {
                let mut hpas = Hpas::new(&blocks);
                let mut told: Vec<Hpa> = hpas.up_to(first).collect();
                assert_eq!(told, all[..first.min(all.len())]);
                hpas.up_to(second).for_each(|hpa| told.push(hpa));
                assert_eq!(told, all[..(first + second).min(all.len())]);
                let rest = &all[told.len()..];
                assert_eq!(hpas.collect::<Vec<_>>(), rest, "{first}, {second}");
            }
        }
    }
}
