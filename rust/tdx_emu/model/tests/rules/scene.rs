// SPDX-License-Identifier: GPL-2.0

//! A call that succeeds, to be spoilt; and the checks that many leaves have.

use super::{
    super::{
        super::{
            bugs::Bugs,
            resume::NO_LIST,
            sim::Sim,
            Model,
            Regs, //
        },
        host::*,
    },
    Source::*,
    Table, //
};
use crate::abi::{
    emu::Control,
    status::Operand,
    Leaf,
    Status, //
};

/// The bits of a word that name a page.
const PAGE: u64 = 0xf_ffff_ffff_f000;

/// An address bit that is a KeyID's.
pub(super) const KEYID_BIT: u64 = 1 << 46;

/// A TDX Module and the next call.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) model: Model<Sim>,
    pub(super) rax: u64,
    /// RCX, RDX and R8 to R14.
    pub(super) operands: [u64; 9],
    /// A page that the TDX Module owns.
    pub(super) held: u64,
}

impl Scene {
    /// `model`, which holds the page 8, is to be called with these operands.
    pub(super) fn new(model: Model<Sim>, leaf: Leaf, operands: &[u64]) -> Self {
        let mut all = [0; 9];
        all[..operands.len()].copy_from_slice(operands);
        Self {
            model,
            rax: leaf.raw(),
            operands: all,
            held: IOMMU_MT[2],
        }
    }

    /// The next call.
    pub(super) fn leaf(&self) -> Leaf {
        Leaf::from_raw(self.rax)
    }

    /// Makes it.
    pub(super) fn call(&mut self) -> Status {
        let [rcx, rdx, r8, r9, r10, r11, r12, r13, r14] = self.operands;
        let mut regs = Regs {
            rax: self.rax,
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            ..Regs::default()
        };
        self.model.seamcall(&mut regs);
        Status::from_raw(regs.rax)
    }

    /// The operand in a register.
    pub(super) fn at(&mut self, operand: Operand) -> &mut u64 {
        let place = match operand {
            Operand::Rcx => 0,
            Operand::Rdx => 1,
            other => other as usize - Operand::R8 as usize + 2,
        };
        &mut self.operands[place]
    }

    /// A control call.
    pub(super) fn ask(&mut self, control: Control, operands: [u64; 3]) {
        let [rcx, rdx, r8] = operands;
        ask(&mut self.model, control, [rcx, rdx, r8, 0, 0]);
    }

    /// A word of a page.
    pub(super) fn word(&mut self, page: u64, index: usize) -> &mut u64 {
        &mut words(&mut self.model, page)[index]
    }
}

/// The status for a wrong operand.
pub(super) const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

impl Table {
    /// TDX Connect must be there.
    pub(super) fn connect(&mut self) {
        self.row(
            "TDX Connect is there (FEATURES0 bit 6)",
            Status::CONNECT_INVALID_STATE,
            Inferred,
            |s| features(&mut s.model, 1 << 39),
        );
    }

    /// And the extensions initialised.
    pub(super) fn extensions(&mut self) {
        self.connect();
        self.row(
            "the extensions are initialised, or EXT_REQUIRED is 0",
            Status::CONNECT_INVALID_STATE,
            Inferred,
            |s| s.ask(Control::Update, [2, 0, 0]),
        );
    }

    /// An interrupted leaf must be called again with the operands of its first call.
    pub(super) fn resumption(&mut self) {
        let leaf = self.leaf.unwrap();
        self.row(
            "if it was interrupted: the operands are those of the first call",
            Status::INVALID_RESUMPTION,
            Inferred,
            move |s| {
                let mut bugs = Bugs::default();
                let resume = &mut s.model.resume;
                let step = resume.step(leaf, [0x77; 9], [NO_LIST; 2], 9, &mut bugs);
                assert_eq!(step, Err(Status::INTERRUPTED_RESUMABLE));
            },
        );
    }

    /// Nothing stands against the completion but an interrupt.
    pub(super) fn interrupted(&mut self) {
        let leaf = self.leaf.unwrap();
        self.row(
            "it is not interrupted",
            Status::INTERRUPTED_RESUMABLE,
            Single,
            move |s| interrupt(&mut s.model, leaf, 1),
        );
    }

    /// The register names a page that the TDX Module reads or writes during the call.
    pub(super) fn shared(&mut self, operand: Operand, what: &str) -> [usize; 3] {
        let first = self.rows.len();
        let what = format!("{}, {what}", Operand::name(operand as u32).unwrap());
        self.row(
            format!("{what}: 4 KiB aligned, without KeyID, not above the last address"),
            bad(operand),
            Single,
            move |s| *s.at(operand) |= KEYID_BIT,
        );
        self.row(
            format!("{what}: not owned by the TDX Module"),
            bad(operand),
            Inferred,
            move |s| {
                let held = s.held;
                let word = s.at(operand);
                *word = *word & !PAGE | held;
            },
        );
        self.row(
            format!("{what}: memory that can be accessed"),
            bad(operand),
            Inferred,
            move |s| {
                let word = s.at(operand);
                *word = *word & !PAGE | NOWHERE;
            },
        );
        [first, first + 1, first + 2]
    }

    /// The entries of a list of pages to be taken; entry `index` of [`ROOT`] is spoilt. One that is
    /// taken before the next one is looked at need not be compared with those before.
    pub(super) fn takeable(&mut self, operand: Operand, index: usize, all_first: bool) {
        self.row(
            "each entry: 4 KiB aligned, without KeyID, not above the last address",
            bad(operand),
            Inferred,
            move |s| *s.word(ROOT, index) |= KEYID_BIT | 1,
        );
        self.row(
            "each entry: a page that the TDX Module manages",
            Status::OPERAND_ADDR_RANGE_ERROR.on(operand),
            Inferred,
            move |s| *s.word(ROOT, index) = NOWHERE,
        );
        self.row(
            "each entry: a page of the host's",
            Status::PAGE_METADATA_INCORRECT.on(operand),
            Inferred,
            move |s| *s.word(ROOT, index) = s.held,
        );
        if all_first {
            self.row(
                "each entry: named once in the list",
                Status::PAGE_METADATA_INCORRECT.on(operand),
                Inferred,
                move |s| {
                    let before = *s.word(ROOT, index - 1);
                    *s.word(ROOT, index) = before & PAGE;
                },
            );
        }
        self.row(
            "each entry: not the list page itself",
            bad(operand),
            Inferred,
            move |s| *s.word(ROOT, index) = ROOT,
        );
    }

    /// The aux operand of a DELETE of an object with several pages.
    pub(super) fn aux(&mut self, operand: Operand) {
        let name = Operand::name(operand as u32).unwrap();
        self.row(
            format!("{name}: 0 just where the object has a single page"),
            bad(operand),
            Single,
            move |s| *s.at(operand) = 0,
        )
        .v2();
        for row in self.shared(operand, "the aux page") {
            self.rows[row].v2();
        }
    }
}
