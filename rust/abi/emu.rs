// SPDX-License-Identifier: GPL-2.0

//! Control of the software TDX Module by SEAMCALL.
//!
//! A control call has bits 31:24 of RAX set to [`MARK`]. A real TDX Module refuses such a leaf as
//! OPERAND_INVALID on RAX, and no P-SEAMLDR is reached because bit 63 is clear, so asking is safe
//! anywhere. It is how test suites in `tdx_pages.ko` drive `tdx_emu.ko` without needing a symbol
//! of it, and how they learn that nobody answers and skip.

use super::Leaf;

/// Bits 31:24 of RAX in every control call.
pub(crate) const MARK: u64 = 0xe5 << 24;

/// What [`Control::Ping`] answers in R8: "TDX-EMU1".
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"TDX-EMU1");

/// The control calls; the number stands in bits 15:0 of RAX.
///
/// Operands in RCX, RDX, R8, R9, R10; outputs in the same registers and R11. A call that is
/// understood answers TDX_SUCCESS; any other OPERAND_INVALID on the register that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Control {
    /// Is a software TDX Module there? Out: R8 = [`MAGIC`].
    Ping = 0,
    /// Forget all pages, objects, faults and counters; metadata as at load.
    Reset = 1,
    /// Set a metadata field. In: RCX id, RDX value, R8 what is done:
    ///
    /// - 0: the field has the value,
    /// - 1: the field is missing,
    /// - 2: TDH.SYS.RD tells the value from the R9-th successful read on, 1 being the next, though
    ///   the field keeps its own,
    /// - 3: the same at each R9-th read, with the truth in between.
    ///
    /// 0 and 1 end a lie of 2 or 3.
    SetField = 2,
    /// Let calls of a leaf fail. In: RCX leaf number, RDX from the n-th call on (1 is the next), R8
    /// status, R9 = 0 before any effect or 1 after the whole effect, R10 how many calls.
    ///
    /// A second one for the same leaf waits for the end of the first, and its calls are counted
    /// from there; up to four, else OPERAND_INVALID on RCX. R10 = 0 takes all of the leaf away,
    /// whatever the other operands are.
    Fail = 3,
    /// Interrupt. In: RCX leaf number, RDX = k, R8 when:
    ///
    /// - 0: TDH.EXT.MEM.ADD stops after every k entries; a leaf that is resumed with its original
    ///   operands answers INTERRUPTED_RESUMABLE k times before it completes. k = 0 ends it.
    /// - 1: once. TDH.EXT.MEM.ADD stops before the entry of index k, 1 to 511, in a list that has
    ///   one; any other leaf is interrupted at the k-th call, 1 being the next, that nothing stands
    ///   against.
    /// - 2: TDH.EXT.MEM.ADD stops before the last entry of each list. RDX is not looked at.
    Interrupt = 4,
    /// Refuse an IOMMU as not capable. In: RCX register base. Up to eight at a time.
    Refuse = 5,
    /// Calls of a leaf since the last reset. In: RCX leaf number. Out: R8 calls, R9 of them plain
    /// success.
    Calls = 6,
    /// The page balance. Out: RCX pages ever taken, RDX pages proved and let go, R8 pages of the
    /// pool, R9 owned now without the pool, R10 let go but still dirty, R11 host bugs.
    Balance = 7,
    /// One page. In: RCX HPA. Out: RCX type, RDX owner, R8 = 1 if private-dirty.
    Page = 8,
    /// Stop honouring releases. In: RCX = 1: TDH.IOMMU.CLEAR, TDH.SPDM.DELETE and
    /// TDH.IDE.STREAM.DELETE succeed but every page stays owned; RCX = 2: only the page in RDX
    /// stays owned; 0 ends it, and lets the kept pages go. R8 = 1: of TDH.PHYMEM.PAGE.RECLAIM it
    /// holds too, which else gets a kept page back.
    KeepPages = 9,
    /// How exchanges with a device go. In: RCX what to set, RDX its value:
    ///
    /// - 0: rounds of a request and a response in each (3),
    /// - 1: bytes of device info (5000), of which those are written that fit in the pages given,
    /// - 2: bytes that it is said to have, 0 for the truth (0),
    /// - 3: requests that the key of a session lasts for, 0 for any number (0). Then each exchange
    ///   of the session answers SPDM_SESSION_KEY_REQUIRE_REFRESH where a request was due, until
    ///   TDH.SPDM.MNG has updated the key.
    Exchange = 10,
    /// Lie about released pages, in the v2 profile: in the word that a DELETE answers, and in the
    /// lists of a DELETE and of TDH.IOMMU.CLEAR. Which pages are let go is not touched. In: RCX the
    /// lie, RDX and R8 its operands:
    ///
    /// - 0: none,
    /// - 1: RDX pages, 1 to 512, in the word,
    /// - 2: the page RDX, which may be any word, at index R8,
    /// - 3: the first page again at index RDX,
    /// - 4: every page RDX places further on,
    /// - 5: backwards,
    /// - 6: RDX for the whole word,
    /// - 7: none, but no list is written.
    Released = 11,
    /// Update the TDX Module at run time. Objects stay through it. In: RCX:
    ///
    /// - 0: it is done,
    /// - 1: it begins, and every leaf but TDH.SYS.RD answers SYS_NOT_READY,
    /// - 2: it is done, EXT_REQUIRED is 1 and RDX pages are wanted for the pool.
    Update = 12,
    /// Objects. Out: RCX IOMMUs, RDX sessions, R8 streams, R9 = 1 while the slot of the extension
    /// SEAMCALLs is taken.
    Objects = 13,
    /// Change to another generation of the interface, until the next reset; best while there is no
    /// object. In: RCX = 1: late; 0: v2.
    Profile = 14,
    /// Lie about an id, once. In: RCX number of a leaf that gives one, RDX what its next success
    /// says instead of the true one.
    Id = 15,
    /// Host bugs of one kind since the last reset. In: RCX kind, as they stand in debugfs from 0
    /// on. Out: RDX = 1 if it is looked for, R8 how many; of the first one R9 page, R10 detail and
    /// R11 the address of the instruction.
    HostBugs = 16,
    /// Lie about the progress of TDH.EXT.MEM.ADD, in the word that it gives back on every exit.
    /// What is taken is not touched. In: RCX the lie, RDX its operand:
    ///
    /// - 0: none,
    /// - 1: the first entry stays as it was fed,
    /// - 2: it goes RDX entries back from there, at most to 0,
    /// - 3: it is RDX entries further on than the truth,
    /// - 4: RDX for the whole word.
    Progress = 17,
    /// What the output registers of a leaf hold where they mean nothing: after a failure or an
    /// interruption. In: RCX leaf number; RDX = 0: the truth; 1: what the call before, of whatever
    /// leaf, left in these registers; 2: R8 in each. R9 = 1: after success, and wherever they mean
    /// something, too.
    ///
    /// They stay as they are beside "not executed"; those of TDH.PHYMEM.PAGE.RECLAIM beside
    /// RND_NO_ENTROPY too: the kernel's own wrapper feeds them as the operands of the next call.
    Outputs = 18,
    /// Let chance make something go wrong in RCX of 1000 calls, 0 to end it. In: RDX seed, R8
    /// number of the only leaf, 0 for all. What is set by other control calls goes on beside it.
    Mix = 19,
}

impl Control {
    /// The leaf word for RAX.
    pub(crate) const fn leaf(self) -> Leaf {
        // CAST: An enum with `u64` values.
        Leaf::from_raw(MARK | self as u64)
    }

    /// The control call in a RAX, if it is one.
    pub(crate) fn from_raw(rax: u64) -> Option<Self> {
        [
            Self::Ping,
            Self::Reset,
            Self::SetField,
            Self::Fail,
            Self::Interrupt,
            Self::Refuse,
            Self::Calls,
            Self::Balance,
            Self::Page,
            Self::KeepPages,
            Self::Exchange,
            Self::Released,
            Self::Update,
            Self::Objects,
            Self::Profile,
            Self::Id,
            Self::HostBugs,
            Self::Progress,
            Self::Outputs,
            Self::Mix,
        ]
        .into_iter()
        .find(|control| control.leaf().raw() == rax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_tdx_module_refuses_every_control_call() {
        for n in 0..=19 {
            let control = Control::from_raw(MARK | n).unwrap();
            assert!(control.leaf().has_reserved_bits());
            assert_eq!(control.leaf().raw() >> 63, 0);
        }
        assert_eq!(Control::from_raw(MARK | 20), None);
        assert_eq!(Control::from_raw(7), None);
    }
}
