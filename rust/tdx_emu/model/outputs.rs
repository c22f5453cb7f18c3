// SPDX-License-Identifier: GPL-2.0

//! What is in the output registers when nobody promises anything of them.
//!
//! After a failure or an interruption they mean nothing, so that a host which looks at them all the
//! same finds what is left there of something else.

use super::regs::Regs;
use crate::abi::{
    Leaf,
    Status, //
};

/// RCX, RDX, R8 and R9: no leaf has outputs in others.
type Registers = [u64; 4];

/// Which of them are outputs of a leaf. The late profile has none for what ends something.
const fn outputs(leaf: Leaf, late: bool) -> [bool; 4] {
    match leaf {
        Leaf::SYS_RD => [false, true, true, false],
        Leaf::PHYMEM_PAGE_RECLAIM => [true, true, true, false],
        Leaf::PHYMEM_PAGE_RDMD => [true; 4],
        Leaf::IDE_STREAM_CREATE => [true, true, false, false],
        Leaf::SPDM_DELETE | Leaf::IDE_STREAM_DELETE => [!late, false, false, false],
        Leaf::EXT_MEM_ADD
        | Leaf::IOMMU_SETUP
        | Leaf::SPDM_CREATE
        | Leaf::SPDM_CONNECT
        | Leaf::SPDM_DISCONNECT
        | Leaf::SPDM_MNG
        | Leaf::IDE_STREAM_KM => [true, false, false, false],
        _ => [false; 4],
    }
}

/// Whether a leaf has any outputs, in either profile.
pub(crate) fn has_outputs(leaf: Leaf) -> bool {
    outputs(leaf, false).contains(&true)
}

/// Whether the outputs of a leaf mean something beside this status: the length of a request, and
/// the list word of an interruption, do.
fn are_defined(leaf: Leaf, status: Status) -> bool {
    status.is_success_class()
        || status == Status::SPDM_REQUEST
        || leaf == Leaf::EXT_MEM_ADD && status == Status::INTERRUPTED_RESUMABLE
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Truth,
    Stale,
    Word(u64),
}

/// What the output registers of a leaf hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outputs {
    what: What,
    /// Even where they mean something.
    always: bool,
}

impl Outputs {
    /// What the leaf has put there.
    pub(crate) const TRUE: Self = Self {
        what: What::Truth,
        always: false,
    };

    /// What the call before has left in them.
    pub(crate) const fn stale(always: bool) -> Self {
        Self {
            what: What::Stale,
            always,
        }
    }

    /// This word in each.
    pub(crate) const fn word(word: u64, always: bool) -> Self {
        Self {
            what: What::Word(word),
            always,
        }
    }
}

/// What the last call has left in the registers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left(Registers);

impl Left {
    /// Ends a call: puts into its output registers what `lie` says.
    ///
    /// What was not executed has no outputs. Nor are those of RECLAIM touched beside RND_NO_ENTROPY:
    /// the kernel's own wrapper feeds them to the next call as its operands.
    pub(crate) fn leave(
        &mut self,
        lie: Outputs,
        leaf: Leaf,
        late: bool,
        status: Status,
        regs: &mut Regs,
    ) {
        let touched = (lie.always || !are_defined(leaf, status))
            && !status.is_not_executed()
            && (status != Status::RND_NO_ENTROPY || leaf != Leaf::PHYMEM_PAGE_RECLAIM);
        let Self([rcx, rdx, r8, r9]) = *self;
        let stale = [rcx, rdx, r8, r9];
        let registers = [&mut regs.rcx, &mut regs.rdx, &mut regs.r8, &mut regs.r9];
        for ((register, stale), is_output) in
            registers.into_iter().zip(stale).zip(outputs(leaf, late))
        {
            if touched && is_output {
                *register = match lie.what {
                    What::Truth => *register,
                    What::Stale => stale,
                    What::Word(word) => word,
                };
            }
        }
        *self = Self([regs.rcx, regs.rdx, regs.r8, regs.r9]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Status = Status::CONNECT_INVALID_STATE;

    fn leave(lie: Outputs, leaf: Leaf, late: bool, status: Status) -> Registers {
        let mut left = Left([11, 12, 13, 14]);
        let mut regs = Regs {
            rcx: 1,
            rdx: 2,
            r8: 3,
            r9: 4,
            ..Regs::default()
        };
        left.leave(lie, leaf, late, status, &mut regs);
        assert_eq!(left.0, [regs.rcx, regs.rdx, regs.r8, regs.r9]);
        left.0
    }

    #[test]
    fn of_each_leaf_its_outputs() {
        let stale = Outputs::stale(false);
        for (leaf, want) in [
            (Leaf::SYS_RD, [1, 12, 13, 4]),
            (Leaf::EXT_MEM_ADD, [11, 2, 3, 4]),
            (Leaf::EXT_INIT, [1, 2, 3, 4]),
            (Leaf::IDE_STREAM_CREATE, [11, 12, 3, 4]),
            (Leaf::PHYMEM_PAGE_RDMD, [11, 12, 13, 14]),
            (Leaf::PHYMEM_PAGE_WBINVD, [1, 2, 3, 4]),
            (Leaf::SPDM_DELETE, [11, 2, 3, 4]),
        ] {
            assert_eq!(leave(stale, leaf, false, FAILED), want, "{leaf}");
        }
        let late = leave(stale, Leaf::SPDM_DELETE, true, FAILED);
        assert_eq!(late, [1, 2, 3, 4], "it has none in the late profile");
        assert!(!has_outputs(Leaf::PHYMEM_PAGE_WBINVD) && !has_outputs(Leaf::IOMMU_CLEAR));
    }

    #[test]
    fn where_they_mean_something_only_when_asked_for() {
        const TRUE: Registers = [1, 2, 3, 4];
        const LIE: Registers = [9, 2, 3, 4];
        for (leaf, status, once, always) in [
            (Leaf::SPDM_CREATE, FAILED, LIE, LIE),
            (Leaf::SPDM_CREATE, Status::INTERRUPTED_RESUMABLE, LIE, LIE),
            (Leaf::SPDM_CREATE, Status::SUCCESS, TRUE, LIE),
            (Leaf::SPDM_CONNECT, Status::SPDM_REQUEST, TRUE, LIE),
            (Leaf::EXT_MEM_ADD, FAILED, LIE, LIE),
            (Leaf::EXT_MEM_ADD, Status::INTERRUPTED_RESUMABLE, TRUE, LIE),
            (Leaf::EXT_MEM_ADD, Status::SYS_NOT_READY, TRUE, TRUE),
            (Leaf::EXT_MEM_ADD, Status::RND_NO_ENTROPY, LIE, LIE),
            (
                Leaf::PHYMEM_PAGE_RECLAIM,
                Status::RND_NO_ENTROPY,
                TRUE,
                TRUE,
            ),
        ] {
            let said = [false, true].map(|always| {
                let lie = Outputs::word(9, always);
                leave(lie, leaf, false, status)
            });
            assert_eq!(said, [once, always], "{leaf} {status}");
        }
        assert_eq!(leave(Outputs::TRUE, Leaf::SYS_RD, false, FAILED), TRUE);
    }
}
