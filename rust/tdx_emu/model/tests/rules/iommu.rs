// SPDX-License-Identifier: GPL-2.0

//! Leaves that set an IOMMU up and clear it.

use super::{
    super::{
        super::{
            iommus::Iommu,
            sim::page,
            spdm::Session, //
        },
        host::*,
    },
    scene::{
        bad,
        Scene, //
    },
    Source::*,
    Table, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    status::Operand,
    FunctionId,
    Leaf,
    Status, //
};

const RCX: Operand = Operand::Rcx;
const RDX: Operand = Operand::Rdx;
const SECOND: u64 = BASE + 0x1_0000;

/// A second one is to be set up.
fn setup(late: bool) -> Scene {
    let mut model = ready(late);
    model.put(ROOT, &[page(32) | 2, page(34) | 2, page(36), page(37)]);
    Scene::new(model, Leaf::IOMMU_SETUP, &[SECOND, ROOT])
}

fn clear(late: bool) -> Scene {
    Scene::new(ready(late), Leaf::IOMMU_CLEAR, &[0x100, AUX])
}

pub(super) fn tables() -> Vec<Table> {
    vec![iommu_setup(), iommu_clear()]
}

fn iommu_setup() -> Table {
    let mut t = Table::new(
        Leaf::IOMMU_SETUP,
        "RCX register base, RDX root page of an IOMMU_MT",
        "RCX IOMMU id",
        setup,
    );
    t.connect();
    t.resumption();
    t.row(
        "RCX: 4 KiB aligned, without KeyID, not above the last address, not 0",
        bad(RCX),
        Inferred,
        |s| s.operands[0] |= 1,
    );
    t.row("RCX: no RAM", bad(RCX), Inferred, |s| {
        s.operands[0] = page(40);
    });
    t.row(
        "RCX: of an IOMMU that can run in TDX mode",
        bad(RCX),
        Single,
        |s| {
            let base = s.operands[0];
            assert!(s.model.faults.refuse(base));
        },
    );
    t.row(
        "the IOMMU is not set up",
        Status::IOMMU_INVALID_STATE,
        Inferred,
        |s| s.operands[0] = BASE,
    );
    t.row(
        "there is room for one more (there is for 64)",
        bad(RCX),
        Inferred,
        |s| {
            let other = Iommu {
                base: BASE + 0x2_0000,
                entries: 0,
            };
            s.model.iommus.insert(1, other);
        },
    );
    t.shared(RDX, "the root page");
    t.row(
        "IOMMU_MT_PAGE_COUNT is at most 510",
        bad(RDX),
        Inferred,
        |s| {
            s.ask(
                Control::SetField,
                [Field::IOMMU_MT_PAGE_COUNT.raw(), 511, 0],
            )
        },
    );
    t.row(
        "each queue: a power of two of pages, at most 128",
        bad(RDX),
        Single,
        |s| *s.word(ROOT, 0) |= 3,
    );
    t.row("each queue: aligned to its size", bad(RDX), Inferred, |s| {
        *s.word(ROOT, 0) = page(33) | 2
    });
    t.row("both queues have the same size", bad(RDX), Single, |s| {
        *s.word(ROOT, 1) = page(34) | 1
    });
    t.takeable(RDX, 3, true);
    t.interrupted();
    t.done("all pages are taken", Single)
}

fn iommu_clear() -> Table {
    let mut t = Table::new(
        Leaf::IOMMU_CLEAR,
        "RCX IOMMU id; v2: RDX a page for the list",
        "v2: the list in that page, as it was given",
        clear,
    );
    t.connect();
    t.resumption();
    t.row("RCX: the id of an IOMMU", bad(RCX), Inferred, |s| {
        s.operands[0] |= 0x55;
    });
    t.row(
        "no session counts on the IOMMU",
        Status::IOMMU_INVALID_STATE.on(RCX),
        Single,
        |s| {
            let session = Session::new(FunctionId::new(0, 8), 0, 0);
            s.model.set_session(0, Some(session));
        },
    );
    for row in t.shared(RDX, "the page for the list") {
        t.rows[row].v2();
    }
    t.interrupted();
    t.done("all pages are the host's, and not proved", Inferred)
}
