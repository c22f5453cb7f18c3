// SPDX-License-Identifier: GPL-2.0

//! Leaves on a single page.

use super::{
    super::{
        super::{
            sim::page,
            Regs, //
        },
        host::*, //
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
    Leaf,
    Status, //
};

const RCX: Operand = Operand::Rcx;
const KEYID: u64 = 5 << 46;
/// A page of the pool, one of an IOMMU in use, and one that an IOMMU did not let go.
const POOL: u64 = page(30);
const IN_USE: u64 = page(36);

/// Each kind of page there is; the page 8 was kept.
fn pages(late: bool, leaf: Leaf, word: u64) -> Scene {
    let mut model = ready(late);
    let wanted = [Field::POOL_REQUIRED_PAGES_U16.raw(), 1, 0, 0, 0];
    ask(&mut model, Control::SetField, wanted);
    model.put(ROOT, &[POOL]);
    assert!(call(&mut model, Leaf::EXT_MEM_ADD, &[ROOT]).0.is_success());
    ask(&mut model, Control::KeepPages, [1, 0, 0, 0, 0]);
    assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[0x100, AUX])
        .0
        .is_success());
    model.put(ROOT, &[page(32) | 2, page(34) | 2, IN_USE, page(37)]);
    let (status, Regs { rcx, .. }) = call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT]);
    assert_eq!((status, rcx), (Status::SUCCESS, 0x100));
    Scene::new(model, leaf, &[word])
}

fn address(t: &mut Table, what: &str) {
    t.row(format!("RCX: {what}"), bad(RCX), Single, |s| {
        s.operands[0] |= 1;
    });
    t.row(
        "RCX: a page that the TDX Module manages",
        Status::OPERAND_ADDR_RANGE_ERROR.on(RCX),
        Single,
        |s| s.operands[0] = NOWHERE,
    );
}

const ALONE: &str = "4 KiB aligned, without KeyID, not above the last address";

pub(super) fn tables() -> Vec<Table> {
    vec![wbinvd(), reclaim(), rdmd()]
}

fn wbinvd() -> Table {
    let leaf = Leaf::PHYMEM_PAGE_WBINVD;
    let mut t = Table::new(leaf, "RCX HPA with KeyID", "nothing", |late| {
        pages(late, Leaf::PHYMEM_PAGE_WBINVD, KEYID | page(40))
    });
    let what = "4 KiB aligned, not above the last address; the KeyID is not looked at";
    address(&mut t, what);
    t.row(
        "the page is the host's",
        Status::PAGE_METADATA_INCORRECT.on(RCX),
        Single,
        |s| s.operands[0] = IN_USE,
    );
    t.done(
        "the cache lines with that KeyID are flushed: with the global one, the page is proved",
        Single,
    )
}

fn reclaim() -> Table {
    let leaf = Leaf::PHYMEM_PAGE_RECLAIM;
    let mut t = Table::new(leaf, "RCX HPA", "RCX type, RDX owner, R8 level", |late| {
        pages(late, Leaf::PHYMEM_PAGE_RECLAIM, page(8))
    });
    address(&mut t, ALONE);
    t.row(
        "the page is not the host's",
        Status::PAGE_METADATA_INCORRECT.on(RCX),
        Single,
        |s| s.operands[0] = page(40),
    );
    t.row(
        "it is not of the extension pool",
        Status::PAGE_METADATA_INCORRECT.on(RCX),
        Inferred,
        |s| s.operands[0] = POOL,
    );
    t.row(
        "its owner is gone",
        Status::IOMMU_MT_PAGE_IN_USE,
        Single,
        |s| s.operands[0] = IN_USE,
    );
    t.done("the page is the host's, and not proved", Single)
}

fn rdmd() -> Table {
    let leaf = Leaf::PHYMEM_PAGE_RDMD;
    let gives = "RCX type, RDX owner, R8 level, R9 epoch";
    let mut t = Table::new(leaf, "RCX HPA", gives, |late| {
        pages(late, Leaf::PHYMEM_PAGE_RDMD, IN_USE)
    });
    address(&mut t, ALONE);
    t.done("nothing changes; no type is refused", Single)
}
