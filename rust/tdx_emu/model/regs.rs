// SPDX-License-Identifier: GPL-2.0

//! The registers of one SEAMCALL.

/// RAX and the operand registers, in and out.
///
/// The C side has the same struct as `struct tdx_emu_regs`; both assert its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs)]
pub(crate) struct Regs {
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
    pub(crate) r10: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
    pub(crate) rbx: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    /// Where the instruction is, 0 where there is none: for reports, no operand.
    pub(crate) rip: u64,
}

/// The operands of a call: RCX, RDX and R8 to R14, 0 for those that a leaf does not have.
pub(crate) type Operands = [u64; 9];

impl Regs {
    /// The operands of a leaf that has `count` of them.
    pub(crate) fn operands(&self, count: usize) -> Operands {
        let mut operands = [
            self.rcx, self.rdx, self.r8, self.r9, self.r10, self.r11, self.r12, self.r13, self.r14,
        ];
        for operand in operands.iter_mut().skip(count) {
            *operand = 0;
        }
        operands
    }
}

const _: () = assert!(size_of::<Regs>() == 15 * 8);
