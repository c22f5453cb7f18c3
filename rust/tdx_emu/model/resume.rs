// SPDX-License-Identifier: GPL-2.0

//! Leaves that are resumed with their original operands.
//!
//! TDH.EXT.MEM.ADD is none of them: it carries its progress in RCX. `[1]` V2

use super::{
    bugs::{
        Bug,
        Bugs, //
    },
    faults::{
        index,
        LEAVES, //
    },
    regs::Operands, //
};
use crate::abi::{
    Leaf,
    Status, //
};

/// A checksum of what a leaf reads from memory, and the page that it reads. The checksum is 0 where
/// there is nothing to read.
pub(crate) type ListSum = (u64, u64);

/// Nothing to read.
pub(crate) const NO_LIST: ListSum = (0, 0);

/// A leaf that was interrupted and not resumed to its end yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Those of the first call.
    operands: Operands,
    /// Checksums of the lists in memory.
    lists: [u64; 2],
    /// How many more times it is interrupted.
    left: u64,
}

/// What was interrupted, by leaf.
///
/// Whether a TDX Module bears another call in between is not known; this one minds the leaf only:
/// another leaf may be called, the same one with other operands may not. `[I]`
#[derive(Clone, Debug)]
pub(crate) struct Resume([Option<Pending>; LEAVES]);

impl Resume {
    /// Nothing is.
    pub(crate) const NOTHING: Self = Self([None; LEAVES]);

    /// The first check of a leaf of this kind: a resume must have the operands of the first call.
    /// M15's migration leaves answer INVALID_RESUMPTION; for these it is `[I]`.
    pub(crate) fn check(
        &self,
        leaf: Leaf,
        operands: Operands,
        bugs: &mut Bugs,
    ) -> Result<(), Status> {
        match self.get(leaf) {
            Some(pending) if pending.operands != operands => {
                let [rcx, ..] = operands;
                bugs.record_raw(Bug::OtherOperands, rcx, leaf.number());
                Err(Status::INVALID_RESUMPTION)
            }
            _ => Ok(()),
        }
    }

    /// The last check, when nothing stands against the leaf's completion: answers
    /// INTERRUPTED_RESUMABLE as long as `times` says.
    pub(crate) fn step(
        &mut self,
        leaf: Leaf,
        operands: Operands,
        lists: [ListSum; 2],
        times: u64,
        bugs: &mut Bugs,
    ) -> Result<(), Status> {
        let left = match self.get(leaf) {
            Some(pending) => {
                for (before, (sum, page)) in pending.lists.into_iter().zip(lists) {
                    if before != sum {
                        bugs.record_raw(Bug::ListTouched, page, leaf.number());
                    }
                }
                // What is set since holds for what is interrupted already.
                pending.left.min(times)
            }
            None => times,
        };
        if left == 0 {
            self.end(leaf);
            return Ok(());
        }
        if let Some(slot) = self.slot(leaf) {
            *slot = Some(Pending {
                operands,
                lists: lists.map(|(sum, _)| sum),
                left: left.saturating_sub(1),
            });
        }
        Err(Status::INTERRUPTED_RESUMABLE)
    }

    /// A final status was given: nothing is left to resume.
    pub(crate) fn end(&mut self, leaf: Leaf) {
        if let Some(slot) = self.slot(leaf) {
            *slot = None;
        }
    }

    fn get(&self, leaf: Leaf) -> Option<Pending> {
        self.0.get(index(leaf.number())?).copied().flatten()
    }

    fn slot(&mut self, leaf: Leaf) -> Option<&mut Option<Pending>> {
        self.0.get_mut(index(leaf.number())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: Leaf = Leaf::IOMMU_SETUP;
    const ONE: Operands = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const OTHER: Operands = [1, 2, 3, 4, 5, 6, 7, 8, 0];
    const THIRD: Operands = [7; 9];
    const STOP: Result<(), Status> = Err(Status::INTERRUPTED_RESUMABLE);

    #[test]
    fn stops_as_often_as_asked_then_completes_and_starts_anew() {
        let (mut resume, mut bugs) = (Resume::NOTHING, Bugs::default());
        for _ in 0..2 {
            for want in [STOP, STOP, STOP, Ok(())] {
                assert_eq!(resume.check(LEAF, ONE, &mut bugs), Ok(()));
                assert_eq!(
                    resume.step(LEAF, ONE, [(9, 0), NO_LIST], 3, &mut bugs),
                    want
                );
            }
        }
        assert_eq!(bugs.total(), 0);
    }

    #[test]
    fn other_operands_and_another_list_are_seen() {
        let (mut resume, mut bugs) = (Resume::NOTHING, Bugs::default());
        assert_eq!(
            resume.step(LEAF, ONE, [(9, 0), NO_LIST], 1, &mut bugs),
            STOP
        );
        let other = resume.check(LEAF, OTHER, &mut bugs);
        assert_eq!(other, Err(Status::INVALID_RESUMPTION));
        assert_eq!(bugs.count(Bug::OtherOperands), 1);
        assert_eq!(resume.check(Leaf::IOMMU_CLEAR, OTHER, &mut bugs), Ok(()));
        assert_eq!(
            resume.step(LEAF, ONE, [(8, 0), NO_LIST], 1, &mut bugs),
            Ok(())
        );
        assert_eq!(bugs.count(Bug::ListTouched), 1);
    }

    #[test]
    fn an_end_is_an_end() {
        let (mut resume, mut bugs) = (Resume::NOTHING, Bugs::default());
        assert_eq!(
            resume.step(LEAF, ONE, [(9, 0), NO_LIST], 5, &mut bugs),
            STOP
        );
        resume.end(LEAF);
        assert_eq!(resume.check(LEAF, THIRD, &mut bugs), Ok(()));
        assert_eq!(
            resume.step(LEAF, THIRD, [(1, 0), NO_LIST], 0, &mut bugs),
            Ok(())
        );
    }
}
