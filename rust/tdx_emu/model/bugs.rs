// SPDX-License-Identifier: GPL-2.0

//! What the host did wrong and no status tells.
//!
//! On real hardware these end in corrupted data or a machine check. Here they are recorded, and
//! fail the test instead of the SEAMCALL.

use crate::abi::Hpa;
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
    /// A page the TDX Module owns stood as list page in an operand. Detail: the operand register.
    ListIsHeld,
    /// A list names its own list page. Detail: index of the entry.
    ListListsItself,
    /// A list word past its end, as a completed TDH.EXT.MEM.ADD leaves it. Detail: the word.
    ListWasComplete,
    /// An interrupted leaf was called with other operands. Detail: the leaf number.
    OtherOperands,
    /// A list was changed between an interruption and the resume. Detail: the leaf number.
    ListTouched,
}

impl Bug {
    /// Every kind, in the order of the discriminants.
    pub(crate) const ALL: [Self; 8] = [
        Self::Changed,
        Self::NotMapped,
        Self::WrongKeyId,
        Self::ListIsHeld,
        Self::ListListsItself,
        Self::ListWasComplete,
        Self::OtherOperands,
        Self::ListTouched,
    ];

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
        }
    }
}

/// One host bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) bug: Bug,
    /// The page it is about; of a leaf without one the operand.
    pub(crate) hpa: u64,
    /// What [`Bug`] says.
    pub(crate) detail: u64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bug, hpa, detail } = *self;
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
                "list page {hpa:#x} is owned by the TDX Module (operand register {detail})"
            ),
            Bug::ListListsItself => write!(f, "list page {hpa:#x} lists itself at entry {detail}"),
            Bug::ListWasComplete => write!(
                f,
                "list word {detail:#x} is past its end: it was fed again after it was complete"
            ),
            Bug::OtherOperands => write!(
                f,
                "leaf {detail} was interrupted and called again with other operands ({hpa:#x})"
            ),
            Bug::ListTouched => write!(
                f,
                "list page {hpa:#x} was changed while leaf {detail} was interrupted"
            ),
        }
    }
}

/// The host bugs since the last reset: how many of each kind, and the first and the last one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bugs {
    counts: [u64; Bug::ALL.len()],
    first: [Option<Record>; Bug::ALL.len()],
    fresh: Option<Record>,
}

impl Bugs {
    /// Records one.
    pub(crate) fn record(&mut self, bug: Bug, page: Hpa, detail: u64) {
        self.record_raw(bug, page.get(), detail);
    }

    /// Records one that is not about a page.
    pub(crate) fn record_raw(&mut self, bug: Bug, hpa: u64, detail: u64) {
        let record = Record { bug, hpa, detail };
        if let Some(count) = self.counts.get_mut(bug as usize) {
            *count = count.saturating_add(1);
        }
        if let Some(first @ None) = self.first.get_mut(bug as usize) {
            *first = Some(record);
            // One line for each kind is enough to be heard, and cannot flood a log.
            self.fresh.get_or_insert(record);
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
        self.fresh.is_some()
    }

    /// Takes what is to be printed.
    pub(crate) fn take_fresh(&mut self) -> Option<Record> {
        self.fresh.take()
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
        assert_eq!(bugs.total(), 16);
        assert_eq!(bugs.take_fresh().unwrap().bug, Bug::Changed);
        assert_eq!(bugs.take_fresh(), None);
    }
}
