// SPDX-License-Identifier: GPL-2.0

//! What the software TDX Module runs on: the memory of the machine, and room for its own records.

use super::{
    ide::Stream,
    page::PageState,
    spdm::Session, //
};
use crate::abi::{
    Hpa,
    ROOT_ENTRIES, //
};

/// Room for the list of pages of one object, as it was given in the root page.
pub(crate) type List = [u64; ROOT_ENTRIES];

/// What is at an HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No memory, or none that the TDX Module manages.
    Absent,
    /// Memory that nobody allocates: holes, firmware, the kernel image.
    Reserved,
    /// Memory.
    Ram,
}

/// What became of the pattern in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is as it was filled in.
    Intact,
    /// The byte at this offset is the first one that is not.
    Changed(u64),
    /// The page cannot be read at all.
    Unreadable,
}

/// The machine. In the kernel its memory is the real one, in host tests a vector.
///
/// No method may panic, sleep or allocate: in the kernel they run in an exception handler.
pub(crate) trait Machine {
    /// The states of all managed pages, by page frame number from 0 on.
    fn states(&self) -> &[PageState];

    /// The same, to change them.
    fn states_mut(&mut self) -> &mut [PageState];

    /// One list for each IOMMU that can be set up at a time, at most
    /// [`IOMMUS`](super::iommus::IOMMUS).
    fn lists(&self) -> &[List];

    /// The same, to change them.
    fn lists_mut(&mut self) -> &mut [List];

    /// A slot for each session that there can be at a time, at most
    /// [`SESSIONS`](super::spdm::SESSIONS). Without slots no session can be made.
    fn sessions(&self) -> &[Option<Session>] {
        &[]
    }

    /// The same, to change them.
    fn sessions_mut(&mut self) -> &mut [Option<Session>] {
        &mut []
    }

    /// A slot for each IDE stream that there can be at a time, at most
    /// [`STREAMS`](super::ide::STREAMS).
    fn streams(&self) -> &[Option<Stream>] {
        &[]
    }

    /// The same, to change them.
    fn streams_mut(&mut self) -> &mut [Option<Stream>] {
        &mut []
    }

    /// A list for each session that there may ever be, and behind them one for each stream.
    fn object_lists(&self) -> &[List] {
        &[]
    }

    /// The same, to change them.
    fn object_lists_mut(&mut self) -> &mut [List] {
        &mut []
    }

    /// What is at `page`.
    fn kind(&self, page: Hpa) -> Kind;

    /// Reads the 8-byte word `index` of a page; [`None`] if it cannot be read.
    fn read(&self, page: Hpa, index: usize) -> Option<u64>;

    /// Writes the 8-byte word `index` of a page; `false` if it cannot be written.
    fn write(&mut self, page: Hpa, index: usize, word: u64) -> bool;

    /// Fills a page with the pattern of `seed`; `false` if it cannot be written.
    fn fill(&mut self, page: Hpa, seed: u64) -> bool;

    /// Compares a page with the pattern of `seed`.
    fn check(&self, page: Hpa, seed: u64) -> Check;

    /// A checksum of a page; [`None`] if it cannot be read.
    fn sum(&self, page: Hpa) -> Option<u32> {
        let mut sum = 0u64;
        for index in 0..ROOT_ENTRIES {
            sum = sum.rotate_left(7) ^ self.read(page, index)?.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        // CAST: Both halves count.
        Some((sum ^ sum >> 32) as u32)
    }
}

/// The seed of the pattern that a held page is filled with. Each page has one of its own, so that
/// a page copied over another one is seen, too.
pub(crate) const fn seed(page: Hpa) -> u64 {
    // Odd, so it is a bijection: two pages never share a seed.
    page.pfn().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7d8_e6d0_6d0d_0e1e
}

/// Word `index` of the pattern of `seed`. `emu.c` computes the same.
pub(crate) const fn pattern(seed: u64, index: usize) -> u64 {
    // CAST: An index into a page.
    seed.wrapping_add(index as u64)
}
