// SPDX-License-Identifier: GPL-2.0

//! What a test makes go wrong.

use super::released::Released;
use crate::abi::{
    Hpa,
    Leaf,
    Status, //
};

/// Leaves that the model keeps books on: those of [`Leaf::ALL`], by their place there.
pub(crate) const LEAVES: usize = Leaf::ALL.len();

/// Faults of a leaf that can wait for their turn.
pub(crate) const QUEUE: usize = 4;

/// IOMMUs that can be refused at a time.
pub(crate) const REFUSALS: usize = 8;

/// The place of a leaf in the books.
pub(crate) fn index(number: u64) -> Option<usize> {
    Leaf::ALL.iter().position(|leaf| leaf.number() == number)
}

/// Calls of a leaf that are to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Calls that pass before the first one that fails, counted from the end of the fault before.
    pub(crate) skip: u64,
    /// Calls that fail then.
    pub(crate) times: u64,
    /// What they answer.
    pub(crate) status: Status,
    /// Whether the leaf does its whole work first.
    pub(crate) after: bool,
}

/// The faults of one leaf, the next one first. The places behind the last one are empty.
type Queue = [Option<Fault>; QUEUE];

/// Which pages a leaf that releases some does not let go of, though it succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It lets go of all, as it should.
    #[default]
    None,
    /// All.
    All,
    /// This one.
    Page(Hpa),
}

impl Keep {
    /// Whether `page` stays owned.
    pub(crate) fn keeps(self, page: Hpa) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Page(kept) => kept == page,
        }
    }
}

/// Everything that is set to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    faults: [Queue; LEAVES],
    interrupts: [u64; LEAVES],
    refused: [Option<u64>; REFUSALS],
    pub(crate) keep: Keep,
    pub(crate) released: Released,
    /// The place of a leaf, and the id that its next success is to say.
    pub(crate) id: Option<(usize, u64)>,
}

impl Faults {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self {
        faults: [[None; QUEUE]; LEAVES],
        interrupts: [0; LEAVES],
        refused: [None; REFUSALS],
        keep: Keep::None,
        released: Released::Truth,
        id: None,
    };

    /// Adds a fault behind those that a leaf has already; `false` if there is no room.
    pub(crate) fn push(&mut self, leaf: usize, fault: Fault) -> bool {
        let Some(queue) = self.faults.get_mut(leaf) else {
            return false;
        };
        match queue.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = (fault.times > 0).then_some(fault);
                true
            }
            None => false,
        }
    }

    /// Takes away all faults of a leaf.
    pub(crate) fn clear(&mut self, leaf: usize) {
        if let Some(queue) = self.faults.get_mut(leaf) {
            *queue = [None; QUEUE];
        }
    }

    /// The fault of the call that is being made, which is counted by this.
    pub(crate) fn hit(&mut self, leaf: usize) -> Option<Fault> {
        let queue = self.faults.get_mut(leaf)?;
        let fault = queue.first_mut()?.as_mut()?;
        if fault.skip > 0 {
            fault.skip = fault.skip.saturating_sub(1);
            return None;
        }
        let hit = *fault;
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            let [_, second, third, fourth] = *queue;
            *queue = [second, third, fourth, None];
        }
        Some(hit)
    }

    /// Sets after how many entries, or how many times, a leaf is interrupted; 0 ends it.
    pub(crate) fn interrupt(&mut self, leaf: usize, k: u64) {
        if let Some(slot) = self.interrupts.get_mut(leaf) {
            *slot = k;
        }
    }

    /// What [`Self::interrupt`] has set.
    pub(crate) fn interrupts(&self, leaf: Leaf) -> u64 {
        index(leaf.number())
            .and_then(|leaf| self.interrupts.get(leaf).copied())
            .unwrap_or(0)
    }

    /// Refuses an IOMMU from now on; `false` if too many are refused.
    pub(crate) fn refuse(&mut self, base: u64) -> bool {
        if self.is_refused(base) {
            return true;
        }
        match self.refused.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(base);
                true
            }
            None => false,
        }
    }

    /// Whether an IOMMU is refused.
    pub(crate) fn is_refused(&self, base: u64) -> bool {
        self.refused.contains(&Some(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault {
        skip: 2,
        times: 2,
        status: Status::OPERAND_BUSY,
        after: false,
    };

    #[test]
    fn from_the_nth_call_on_so_many_times() {
        let mut faults = Faults::NONE;
        assert!(faults.push(3, FAULT));
        let hits: Vec<bool> = (0..6).map(|_| faults.hit(3).is_some()).collect();
        assert_eq!(hits, [false, false, true, true, false, false]);
        assert!(faults.hit(2).is_none());
        assert!(faults.hit(LEAVES).is_none());
        assert!(!faults.push(LEAVES, FAULT));
    }

    #[test]
    fn one_after_the_other() {
        let mut faults = Faults::NONE;
        let later = Fault {
            skip: 1,
            times: 1,
            status: Status::SYS_SHUTDOWN,
            after: true,
        };
        let none = Fault { times: 0, ..FAULT };
        for fault in [FAULT, none, later, FAULT, FAULT] {
            assert!(faults.push(0, fault));
        }
        assert!(!faults.push(0, FAULT), "four are waiting");
        let hits: Vec<_> = (0..16)
            .map(|_| faults.hit(0).map(|fault| fault.status))
            .collect();
        let (busy, down) = (Some(Status::OPERAND_BUSY), Some(Status::SYS_SHUTDOWN));
        let want = [
            None, None, busy, busy, None, down, None, None, busy, busy, None, None, busy, busy,
            None, None,
        ];
        assert_eq!(hits, want);
        assert!(faults.push(0, FAULT), "there is room again");
    }

    #[test]
    fn cleared() {
        let mut faults = Faults::NONE;
        assert!(faults.push(0, FAULT) && faults.push(0, FAULT) && faults.push(1, FAULT));
        faults.clear(0);
        assert!((0..9).all(|_| faults.hit(0).is_none()));
        assert!((0..9).any(|_| faults.hit(1).is_some()));
    }

    #[test]
    fn eight_refusals() {
        let mut faults = Faults::NONE;
        for base in 0..8 {
            assert!(faults.refuse(base << 12));
        }
        assert!(faults.refuse(0x7000), "it is refused already");
        assert!(!faults.refuse(0x8000));
        assert!(faults.is_refused(0) && !faults.is_refused(0x8000));
    }
}
