// SPDX-License-Identifier: GPL-2.0

//! What the host did wrong and no status tells.
//!
//! On real hardware these end in corrupted data or a machine check. Here they are recorded, and
//! fail the test instead of the SEAMCALL.

use crate::abi::{
    Hpa,
    Leaf, //
};
use core::fmt;

/// A kind of host bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Bug {
    /// The content of a page changed while the TDX Module owned it. Detail: byte offset.
    Changed,
    /// A page was handed over or given back that cannot be accessed. No detail.
    NotMapped,
    /// TDH.PHYMEM.PAGE.WBINVD with another KeyID than the global one. Detail: the KeyID.
    WrongKeyId,
    /// A page the TDX Module owns stood in an operand as list page or as page for messages. Detail:
    /// the operand register.
    ListIsHeld,
    /// A list names its own list page. Detail: index of the entry.
    ListListsItself,
    /// A list word that TDH.EXT.MEM.ADD completed was fed to it again. Detail: the word.
    ListWasComplete,
    /// An interrupted leaf was called with other operands. Detail: the leaf number.
    OtherOperands,
    /// A list was changed between an interruption and the resume. Detail: the leaf number.
    ListTouched,
    /// The host freed a page that the TDX Module owns. Detail: the owner's id, 0 for the pool.
    FreeOfHeld,
    /// The host freed a page that was let go and not proved. No detail.
    FreeOfUnproved,
    /// A page that was let go and not proved was handed over again. No detail.
    TakenUnproved,
    /// A page was handed over and its cache lines had not been written back, though FEATURES0 wants
    /// that. No detail.
    FlushMissing,
    /// The same of a page of a block, another page of which had been written back. Detail: pages of
    /// the block.
    FlushHalf,
    /// A page was written to between the write-back of its cache lines and its hand-over. No detail.
    FlushTooEarly,
}

impl Bug {
    /// Every kind, in the order of the discriminants.
    pub(crate) const ALL: [Self; 14] = [
        Self::Changed,
        Self::NotMapped,
        Self::WrongKeyId,
        Self::ListIsHeld,
        Self::ListListsItself,
        Self::ListWasComplete,
        Self::OtherOperands,
        Self::ListTouched,
        Self::FreeOfHeld,
        Self::FreeOfUnproved,
        Self::TakenUnproved,
        Self::FlushMissing,
        Self::FlushHalf,
        Self::FlushTooEarly,
    ];

    const fn bit(self) -> u32 {
        1u32.wrapping_shl(self as u32)
    }

    /// The key of its line in the debugfs file.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Changed => "page_changed",
            Self::NotMapped => "page_not_mapped",
            Self::WrongKeyId => "wrong_keyid",
            Self::ListIsHeld => "list_is_held",
            Self::ListListsItself => "list_lists_itself",
            Self::ListWasComplete => "list_was_complete",
            Self::OtherOperands => "other_operands",
            Self::ListTouched => "list_touched",
            Self::FreeOfHeld => "free_of_held",
            Self::FreeOfUnproved => "free_of_unproved",
            Self::TakenUnproved => "taken_unproved",
            Self::FlushMissing => "flush_missing",
            Self::FlushHalf => "flush_half",
            Self::FlushTooEarly => "flush_too_early",
        }
    }
}

/// What the software TDX Module is told of beside SEAMCALLs. Host bugs that would be seen that way
/// only are neither looked for nor counted otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    /// Pages that are freed.
    pub(crate) frees: bool,
    /// Cache lines that are written back.
    pub(crate) flushes: bool,
}

impl Watch {
    /// Whether bugs of this kind are looked for.
    pub(crate) const fn sees(self, bug: Bug) -> bool {
        match bug {
            Bug::FreeOfHeld | Bug::FreeOfUnproved => self.frees,
            Bug::FlushMissing | Bug::FlushHalf | Bug::FlushTooEarly => self.flushes,
            _ => true,
        }
    }
}

/// Where the host was: in which leaf, if any, and the address of the instruction, 0 if there is
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) leaf: Option<Leaf>,
    pub(crate) caller: u64,
}

/// One host bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) bug: Bug,
    /// The page it is about; of a leaf without one the operand.
    pub(crate) hpa: u64,
    /// What [`Bug`] says.
    pub(crate) detail: u64,
    /// Where it was seen.
    pub(crate) place: Place,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bug, hpa, detail) = (self.bug, self.hpa, self.detail);
        match bug {
            Bug::Changed => write!(
                f,
                "page {hpa:#x} was written to at byte {detail:#x} while the TDX Module owned it"
            ),
            Bug::NotMapped => write!(f, "page {hpa:#x} is in TDX Module use but not mapped"),
            Bug::WrongKeyId => write!(
                f,
                "page {hpa:#x} was flushed with KeyID {detail}, which is not the global one"
            ),
            Bug::ListIsHeld => write!(
                f,
                "list or message page {hpa:#x} is owned by the TDX Module (operand register {detail})"
            ),
            Bug::ListListsItself => write!(f, "list page {hpa:#x} lists itself at entry {detail}"),
            Bug::ListWasComplete => write!(
                f,
                "list word {detail:#x} was fed again after it was complete"
            ),
            Bug::OtherOperands => write!(
                f,
                "leaf {detail} was interrupted and called again with other operands ({hpa:#x})"
            ),
            Bug::ListTouched => write!(
                f,
                "list page {hpa:#x} was changed while leaf {detail} was interrupted"
            ),
            Bug::FreeOfHeld => write!(
                f,
                "page {hpa:#x} was freed while the TDX Module owned it (owner {detail:#x})"
            ),
            Bug::FreeOfUnproved => {
                write!(f, "page {hpa:#x} was let go and freed, but not proved")
            }
            Bug::TakenUnproved => write!(
                f,
                "page {hpa:#x} was let go and handed over again, but not proved"
            ),
            Bug::FlushMissing => {
                write!(f, "page {hpa:#x} was not written back before its hand-over")
            }
            Bug::FlushHalf => write!(
                f,
                "page {hpa:#x} of a block of {detail} was not written back before its hand-over"
            ),
            Bug::FlushTooEarly => write!(
                f,
                "page {hpa:#x} was written to after it was written back for its hand-over"
            ),
        }?;
        match self.place.leaf {
            Some(leaf) => write!(f, ", in {leaf}"),
            None => Ok(()),
        }
    }
}

/// The host bugs since the last reset: how many of each kind, and the first one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bugs {
    counts: [u64; Bug::ALL.len()],
    first: [Option<Record>; Bug::ALL.len()],
    /// A bit for each kind of which the first one is to be printed.
    fresh: u32,
    place: Place,
}

impl Bugs {
    /// What is recorded from now on happens there.
    pub(crate) fn at(&mut self, place: Place) {
        self.place = place;
    }

    /// Records one.
    pub(crate) fn record(&mut self, bug: Bug, page: Hpa, detail: u64) {
        self.record_raw(bug, page.get(), detail);
    }

    /// Records one that is not about a page.
    pub(crate) fn record_raw(&mut self, bug: Bug, hpa: u64, detail: u64) {
        let record = Record {
            bug,
            hpa,
            detail,
            place: self.place,
        };
        if let Some(count) = self.counts.get_mut(bug as usize) {
            *count = count.saturating_add(1);
        }
        if let Some(first @ None) = self.first.get_mut(bug as usize) {
            *first = Some(record);
            // One line for each kind is enough to be heard, and cannot flood a log.
            self.fresh |= bug.bit();
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum: u64, n| sum.saturating_add(*n))
    }

    /// How many of one kind.
    pub(crate) fn count(&self, bug: Bug) -> u64 {
        self.counts.get(bug as usize).copied().unwrap_or(0)
    }

    /// The first one of a kind.
    pub(crate) fn first(&self, bug: Bug) -> Option<Record> {
        self.first.get(bug as usize).copied().flatten()
    }

    /// Whether there is something to print.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh != 0
    }

    /// Takes what is to be printed.
    pub(crate) fn take_fresh(&mut self) -> Option<Record> {
        let bug = Bug::ALL
            .into_iter()
            .find(|bug| self.fresh & bug.bit() != 0)?;
        self.is_told(bug);
        self.first(bug)
    }

    /// The first one of a kind needs no more printing.
    pub(crate) fn is_told(&mut self, bug: Bug) {
        self.fresh &= !bug.bit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_and_keeps_the_first() {
        let mut bugs = Bugs::default();
        for (i, bug) in Bug::ALL.into_iter().enumerate() {
            assert_eq!(bug as usize, i);
            bugs.record_raw(bug, 0x1000, 1);
            bugs.record_raw(bug, 0x2000, 2);
            assert_eq!(bugs.count(bug), 2);
            assert_eq!(bugs.first(bug).unwrap().hpa, 0x1000);
        }
        assert_eq!(bugs.total(), 28);
        let fresh: Vec<Bug> = std::iter::from_fn(|| bugs.take_fresh())
            .map(|record| record.bug)
            .collect();
        assert_eq!(fresh, Bug::ALL);
        assert!(!bugs.is_fresh());
    }

    #[test]
    fn a_record_says_where() {
        let mut bugs = Bugs::default();
        bugs.record_raw(Bug::Changed, 0x1000, 1);
        bugs.at(Place {
            leaf: Some(Leaf::IOMMU_CLEAR),
            caller: 7,
        });
        bugs.record_raw(Bug::NotMapped, 0x1000, 0);
        let text = bugs.first(Bug::NotMapped).unwrap().to_string();
        let want = "page 0x1000 is in TDX Module use but not mapped, in TDH.IOMMU.CLEAR";
        assert_eq!(text, want);
        assert_eq!(bugs.first(Bug::NotMapped).unwrap().place.caller, 7);
        assert_eq!(bugs.first(Bug::Changed).unwrap().place, Place::default());
    }
}
