// SPDX-License-Identifier: GPL-2.0

//! The IOMMUs that are set up, and the entries of an IOMMU_MT.

use super::table;
use crate::abi::{
    hpa::HPA_MASK,
    Hpa,
    ROOT_ENTRIES, //
};

/// IOMMUs that can be set up at a time.
pub(crate) const IOMMUS: usize = 64;

/// Ids begin here: they are neither the place in a table nor small, so that no host can take them
/// for either. `[I]`
pub(crate) const FIRST_ID: u16 = 0x100;

/// An IOMMU that is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Iommu {
    /// The register base by which it is known.
    pub(crate) base: u64,
    /// Entries of its IOMMU_MT, the two queues included.
    pub(crate) entries: usize,
}

/// All places for an IOMMU.
#[derive(Clone, Debug)]
pub(crate) struct Iommus {
    slots: [Option<Iommu>; IOMMUS],
    /// Goes up whenever the IOMMU of a place is cleared. `[1]` M20
    generations: [u32; IOMMUS],
}

impl Iommus {
    /// None is set up.
    pub(crate) const NONE: Self = Self {
        slots: [None; IOMMUS],
        generations: [0; IOMMUS],
    };

    /// Whether an IOMMU is set up.
    pub(crate) fn has(&self, base: u64) -> bool {
        self.slots.iter().flatten().any(|iommu| iommu.base == base)
    }

    /// A free place below `limit`.
    pub(crate) fn free_slot(&self, limit: usize) -> Option<usize> {
        (0..limit.min(IOMMUS)).find(|slot| matches!(self.slots.get(*slot), Some(None)))
    }

    /// Fills a place; gives the id.
    pub(crate) fn insert(&mut self, slot: usize, iommu: Iommu) -> u16 {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(iommu);
        }
        Self::id(slot)
    }

    /// The place and the IOMMU of an id.
    pub(crate) fn by_id(&self, id: u64) -> Option<(usize, Iommu)> {
        let slot = usize::try_from(id.checked_sub(u64::from(FIRST_ID))?).ok()?;
        Some((slot, self.slots.get(slot).copied().flatten()?))
    }

    /// Empties a place.
    pub(crate) fn remove(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
        if let Some(generation) = self.generations.get_mut(slot) {
            *generation = generation.wrapping_add(1);
        }
    }

    /// The slot of the first one that is set up.
    pub(crate) fn first(&self) -> Option<usize> {
        self.slots.iter().position(Option::is_some)
    }

    /// The generation that pages of an owner have.
    pub(crate) fn generation(&self, owner: u16) -> u64 {
        owner
            .checked_sub(FIRST_ID)
            .and_then(|slot| self.generations.get(usize::from(slot)).copied())
            .map_or(0, u64::from)
    }

    /// The id of a place.
    pub(crate) fn id(slot: usize) -> u16 {
        // CAST: Places are at most 64.
        FIRST_ID.wrapping_add(slot as u16)
    }

    /// How many are set up.
    pub(crate) fn count(&self) -> usize {
        table::count(&self.slots)
    }
}

/// The queues of an IOMMU_MT: T_IQ and T_CTXIQ.
pub(crate) const QUEUES: usize = 2;

/// Single pages that fit in a root page beside the queues.
pub(crate) const MAX_PAGE_COUNT: usize = ROOT_ENTRIES - QUEUES;

/// The most pages of a queue. `[1]` M20
const MAX_QUEUE_PAGES: u64 = 128;

/// An entry of an IOMMU_MT: a block of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The first page.
    pub(crate) first: Hpa,
    /// How many.
    pub(crate) pages: u64,
}

impl Entry {
    /// Reads the entry at `index`; [`None`] if it is not well-formed.
    ///
    /// A queue is a power of two of pages, at most 128, `[1]` M20, written as 0 or 1 for a single
    /// one, and aligned to its size, `[I]`. Any other entry is one page with bits 11:0 zero.
    pub(crate) fn parse(index: usize, word: u64) -> Option<Self> {
        if index >= QUEUES {
            return Some(Self {
                first: Hpa::new(word)?,
                pages: 1,
            });
        }
        let pages = (word & 0xfff).max(1);
        let first = Hpa::new(word & !0xfff)?;
        if !pages.is_power_of_two() || pages > MAX_QUEUE_PAGES || first.pfn() % pages != 0 {
            return None;
        }
        Some(Self { first, pages })
    }

    /// Its pages, in order.
    pub(crate) fn hpas(self) -> impl Iterator<Item = Hpa> {
        (0..self.pages).filter_map(move |n| self.first.checked_add_pages(n))
    }
}

const _: () = assert!(HPA_MASK & 0xfff == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_not_places() {
        let mut iommus = Iommus::NONE;
        let iommu = Iommu {
            base: 0xfed9_0000,
            entries: 4,
        };
        let slot = iommus.free_slot(2).unwrap();
        let id = iommus.insert(slot, iommu);
        assert!(iommus.has(0xfed9_0000));
        assert_eq!(iommus.by_id(u64::from(id)), Some((slot, iommu)));
        for bad in [0, 1, 0xff, 0x101, 0x1_0000_0100, u64::MAX] {
            assert_eq!(iommus.by_id(bad), None, "{bad:#x}");
        }
        assert_eq!(iommus.free_slot(1), None);
        iommus.remove(slot);
        assert_eq!((iommus.by_id(u64::from(id)), iommus.count()), (None, 0));
        assert_eq!(iommus.generation(id), 1);
    }

    #[test]
    fn entries() {
        for (index, word, want) in [
            (0, 0x1000_0002, Some((0x1000_0000, 2))),
            (1, 0x1000_1000, Some((0x1000_1000, 1))),
            (1, 0x1000_1001, Some((0x1000_1000, 1))),
            (0, 0x1000_1002, None),
            (0, 0x1000_0003, None),
            (0, 0x3000_3003, None),
            (0, 0x1000_0080, Some((0x1000_0000, 128))),
            (0, 0x1000_0100, None),
            (0, 1 << 52, None),
            (2, 0x1000_0000, Some((0x1000_0000, 1))),
            (2, 0x1000_0001, None),
            (511, 1 << 63, None),
        ] {
            let got = Entry::parse(index, word).map(|entry| (entry.first.get(), entry.pages));
            assert_eq!(got, want, "entry {index} = {word:#x}");
        }
    }
}
