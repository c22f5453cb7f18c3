// SPDX-License-Identifier: GPL-2.0

//! Calls by leaf.

use super::faults::{
    index,
    LEAVES, //
};
use crate::abi::{
    Leaf,
    Status, //
};

/// Calls of one leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    /// All.
    pub(crate) calls: u64,
    /// Plain success.
    pub(crate) ok: u64,
    /// To be called again, after an interruption or with a device's response: neither success nor
    /// failure.
    pub(crate) interrupted: u64,
}

impl Counter {
    /// The rest: failures, and notes beside a success.
    pub(crate) const fn failed(self) -> u64 {
        self.calls
            .saturating_sub(self.ok)
            .saturating_sub(self.interrupted)
    }

    fn count(&mut self, status: Status) {
        self.calls = self.calls.saturating_add(1);
        if status.is_success() {
            self.ok = self.ok.saturating_add(1);
        } else if [Status::INTERRUPTED_RESUMABLE, Status::SPDM_REQUEST].contains(&status) {
            self.interrupted = self.interrupted.saturating_add(1);
        }
    }
}

/// The counters of all leaves since the last reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    known: [Counter; LEAVES],
    unknown: Counter,
}

impl Counters {
    /// Counts a call that answered `status`; a word in RAX that names no leaf is counted as
    /// unknown.
    pub(crate) fn count(&mut self, leaf: Leaf, status: Status) {
        let place = if leaf.has_reserved_bits() || leaf.version() != 0 {
            None
        } else {
            index(leaf.number())
        };
        place
            .and_then(|place| self.known.get_mut(place))
            .unwrap_or(&mut self.unknown)
            .count(status);
    }

    /// The counter of a leaf.
    pub(crate) fn get(&self, leaf: Leaf) -> Counter {
        index(leaf.number())
            .and_then(|place| self.known.get(place).copied())
            .unwrap_or_default()
    }

    /// What named no leaf.
    pub(crate) fn unknown(&self) -> Counter {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_of_answer() {
        let mut counters = Counters::default();
        for status in [
            Status::SUCCESS,
            Status::INTERRUPTED_RESUMABLE,
            Status::SPDM_REQUEST,
            Status::OPERAND_INVALID,
            Status::PAGE_ALREADY_FREE,
        ] {
            counters.count(Leaf::EXT_MEM_ADD, status);
        }
        counters.count(Leaf::from_raw(61 | 1 << 40), Status::OPERAND_INVALID);
        let counter = counters.get(Leaf::EXT_MEM_ADD);
        assert_eq!((counter.calls, counter.ok, counter.failed()), (5, 1, 2));
        assert_eq!(counters.unknown().failed(), 1);
        assert_eq!(counters.get(Leaf::SYS_RD), Counter::default());
    }
}
