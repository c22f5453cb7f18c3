// SPDX-License-Identifier: GPL-2.0

//! Lies about the pages that are given back.
//!
//! In the v2 profile a DELETE answers an HPA_ARRAY_T and writes the list that it names, and
//! TDH.IOMMU.CLEAR writes a list. Which pages are let go is not touched by a lie.

use crate::abi::Hpa;

/// What is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Released {
    /// The truth: the pages in the order in which they were given.
    #[default]
    Truth,
    /// Another number of pages, 1 to 512, in the word.
    Count(u64),
    /// Another page at this index.
    Foreign {
        /// Which one; any word.
        hpa: u64,
        /// Where.
        index: usize,
    },
    /// The first page again at this index.
    Repeated(usize),
    /// Every page so many places further on, those at the end at the beginning.
    Shifted(usize),
    /// Backwards.
    Reversed,
    /// Another word, whatever it is.
    Word(u64),
    /// The truth, but the list is not written: maybe a TDX Module only checks the operand. `[I]`
    Unwritten,
}

impl Released {
    /// Word `index` of a list of `entries`, where `truth` gives the true ones.
    pub(crate) fn word(self, index: usize, entries: usize, truth: impl Fn(usize) -> u64) -> u64 {
        match self {
            Self::Foreign { hpa, index: at } if at == index => hpa,
            Self::Repeated(at) if at == index => truth(0),
            Self::Shifted(by) => {
                let back = by.checked_rem(entries).unwrap_or(0);
                let from = index.saturating_add(entries).saturating_sub(back);
                truth(from.checked_rem(entries).unwrap_or(0))
            }
            Self::Reversed => truth(entries.saturating_sub(1).saturating_sub(index)),
            _ => truth(index),
        }
    }

    /// The HPA_ARRAY_T of `entries` pages: of the only one, or of the page with the list. `[1]`
    pub(crate) fn array(self, entries: usize, page: Hpa) -> u64 {
        // CAST: At most 512.
        let entries = entries as u64;
        match self {
            Self::Word(word) => word,
            Self::Count(count) => page.get() | count.saturating_sub(1) << 55,
            _ => page.get() | entries.saturating_sub(1) << 55,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lie_about_a_list() {
        let list = |lie: Released| -> Vec<u64> {
            (0..4).map(|n| lie.word(n, 4, |n| n as u64 + 10)).collect()
        };
        for (lie, want) in [
            (Released::Truth, [10, 11, 12, 13]),
            (Released::Count(7), [10, 11, 12, 13]),
            (Released::Foreign { hpa: 99, index: 2 }, [10, 11, 99, 13]),
            (Released::Foreign { hpa: 99, index: 4 }, [10, 11, 12, 13]),
            (Released::Repeated(3), [10, 11, 12, 10]),
            (Released::Shifted(1), [13, 10, 11, 12]),
            (Released::Shifted(7), [11, 12, 13, 10]),
            (Released::Shifted(usize::MAX), [11, 12, 13, 10]),
            (Released::Reversed, [13, 12, 11, 10]),
        ] {
            assert_eq!(list(lie), want, "{lie:?}");
        }
    }

    #[test]
    fn the_word() {
        let page = Hpa::new(0xabcd_e000).unwrap();
        assert_eq!(Released::Truth.array(1, page), 0xabcd_e000);
        assert_eq!(Released::Truth.array(3, page), 0x0100_0000_abcd_e000);
        assert_eq!(Released::Count(2).array(3, page), 0x0080_0000_abcd_e000);
        assert_eq!(Released::Word(5).array(3, page), 5);
    }
}
