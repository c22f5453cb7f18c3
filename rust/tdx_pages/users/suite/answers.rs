// SPDX-License-Identifier: GPL-2.0

//! What sweeps let a SEAMCALL answer: every class of status, before and after its effect.

use super::*;
use crate::abi::status::Operand;

/// It does not end by itself.
const EVER: u64 = u64::MAX;

/// An answer that a call gives instead of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// What it says.
    status: Status,
    /// Whether it does its work first.
    when: Fault,
    /// How many calls in a row say so.
    times: u64,
}

const fn before(times: u64, status: Status) -> Trouble {
    Trouble {
        status,
        when: Fault::Before,
        times,
    }
}

const fn after(times: u64, status: Status) -> Trouble {
    Trouble {
        status,
        when: Fault::After,
        times,
    }
}

/// A note that nobody knows.
const NOTE: Status = Status::from_raw(0x0000_7e00_0000_0000);
/// An error that is fatal.
const FATAL: Status = Status::from_raw(0xe000_0f77_0000_0000);
/// An error that nobody knows.
const UNKNOWN: Status = Status::from_raw(0xc000_1234_dead_beef);
/// The same, of which another try may be spared.
const RECOVERABLE: Status = Status::from_raw(0x8000_1234_dead_beef);

const BUSY: Status = Status::OPERAND_BUSY.on(Operand::Rcx);
const INTERRUPTED: Status = Status::INTERRUPTED_RESUMABLE;

/// All of them. "Not executed" is said before the effect only: it is the one answer beside the proof
/// that is trusted.
pub(super) const TROUBLES: [Trouble; 24] = [
    // Not executed.
    before(1, Status::UD),
    before(1, Status::OPERAND_INVALID.on(Operand::Rax)),
    before(2, Status::SYS_NOT_READY),
    before(EVER, Status::SYS_SHUTDOWN),
    // Busy.
    before(2, BUSY),
    after(1, BUSY),
    before(EVER, Status::SYS_BUSY),
    after(EVER, Status::RND_NO_ENTROPY),
    // Interrupted; and left so.
    before(2, INTERRUPTED),
    after(1, INTERRUPTED),
    before(EVER, INTERRUPTED),
    after(EVER, INTERRUPTED),
    // Recoverable.
    before(1, RECOVERABLE),
    after(1, Status::IOMMU_ECMD_TIMEOUT),
    // Non-recoverable.
    before(1, Status::CONNECT_INVALID_STATE),
    after(1, Status::SDPM_INVALID_MESSAGE),
    before(EVER, Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx)),
    after(1, Status::INVALID_RESUMPTION),
    // Fatal.
    before(1, FATAL),
    after(1, FATAL),
    // A note beside success.
    before(1, NOTE),
    after(1, NOTE),
    // Unknown.
    before(1, UNKNOWN),
    after(1, UNKNOWN),
];

impl Trouble {
    /// Whether a call of this leaf can say so.
    pub(super) fn fits(self, leaf: Leaf) -> bool {
        // The kernel's own retry feeds what came back in RCX as the operand of the next call. So a list
        // that was complete beside this answer is fed again, which custody has no say in.
        let fed_again = self.is_after() && self.status == Status::RND_NO_ENTROPY;
        match leaf {
            // No lie about the proof.
            Leaf::PHYMEM_PAGE_WBINVD => !self.status.is_success_class(),
            Leaf::EXT_MEM_ADD => !fed_again,
            _ => true,
        }
    }

    /// Whether the leaf does its work first.
    pub(super) fn is_after(self) -> bool {
        matches!(self.when, Fault::After)
    }

    /// The `nth` call of a leaf says so, 1 being the next.
    pub(super) fn at(self, emu: &Emu, leaf: Leaf, nth: u64) -> Result {
        emu.fail(leaf, nth, self.times, self.status, self.when)
    }

    /// The same, but for `most` calls at the most.
    pub(super) fn a_while(self, emu: &Emu, leaf: Leaf, nth: u64, most: u64) -> Result {
        emu.fail(leaf, nth, self.times.min(most), self.status, self.when)
    }
}
