// SPDX-License-Identifier: GPL-2.0

//! The last SEAMCALLs, in order.

use crate::abi::{
    Leaf,
    Status, //
};

/// Entries that are kept.
pub(crate) const ENTRIES: usize = 256;

/// Calls of one leaf, one after the other, that all answered the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The answer.
    pub(crate) status: Status,
    /// How many; 0 where there is no entry.
    pub(crate) times: u32,
    number: u16,
}

impl Entry {
    const NONE: Self = Self {
        status: Status::SUCCESS,
        times: 0,
        number: 0,
    };

    /// Which leaf.
    pub(crate) fn leaf(self) -> Leaf {
        Leaf::from_raw(u64::from(self.number))
    }
}

/// A ring of entries; the oldest go first.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    ring: [Entry; ENTRIES],
    // Entries ever made.
    made: usize,
}

impl Journal {
    /// Nothing was called.
    pub(crate) const EMPTY: Self = Self {
        ring: [Entry::NONE; ENTRIES],
        made: 0,
    };

    /// As if nothing had been called.
    pub(crate) fn clear(&mut self) {
        self.made = 0;
    }

    /// Notes a call.
    pub(crate) fn note(&mut self, leaf: Leaf, status: Status) {
        // CAST: Bits 15:0 are the leaf number.
        let number = leaf.number() as u16;
        if let Some(last) = self.made.checked_sub(1).and_then(|at| self.slot(at)) {
            if last.times != 0 && (last.number, last.status) == (number, status) {
                last.times = last.times.saturating_add(1);
                return;
            }
        }
        let at = self.made;
        if let Some(slot) = self.slot(at) {
            *slot = Entry {
                status,
                times: 1,
                number,
            };
        }
        self.made = self.made.wrapping_add(1);
    }

    /// Entry `n` of those kept, 0 being the oldest.
    pub(crate) fn get(&self, n: usize) -> Option<Entry> {
        let kept = self.made.min(ENTRIES);
        if n >= kept {
            return None;
        }
        let at = self.made.wrapping_sub(kept).wrapping_add(n);
        self.ring.get(at % ENTRIES).copied()
    }

    fn slot(&mut self, at: usize) -> Option<&mut Entry> {
        self.ring.get_mut(at % ENTRIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(journal: &Journal) -> Vec<(u64, u32)> {
        let all = (0..).map_while(|n| journal.get(n));
        all.map(|entry| (entry.leaf().number(), entry.times))
            .collect()
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut journal = Journal::EMPTY;
        assert_eq!(journal.get(0), None);
        journal.note(Leaf::EXT_INIT, Status::SUCCESS);
        for _ in 0..3 {
            journal.note(Leaf::PHYMEM_PAGE_WBINVD, Status::SUCCESS);
        }
        journal.note(Leaf::PHYMEM_PAGE_WBINVD, Status::SYS_BUSY);
        journal.note(Leaf::EXT_INIT, Status::SUCCESS);
        assert_eq!(entries(&journal), [(60, 1), (41, 3), (41, 1), (60, 1)]);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut journal = Journal::EMPTY;
        for n in 0..ENTRIES as u64 + 10 {
            journal.note(Leaf::from_raw(n), Status::SUCCESS);
        }
        let kept = entries(&journal);
        assert_eq!(kept.len(), ENTRIES);
        assert_eq!((kept[0], kept[ENTRIES - 1]), ((10, 1), (265, 1)));
        journal.clear();
        assert_eq!(journal.get(0), None);
        journal.note(Leaf::from_raw(265), Status::SUCCESS);
        assert_eq!(entries(&journal), [(265, 1)]);
    }
}
