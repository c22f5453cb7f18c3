// SPDX-License-Identifier: GPL-2.0

//! Metadata, and the extensions.

use super::{
    super::{
        super::{
            leaf_ext::POOL_FULL_STAND_IN,
            sim::{
                page,
                Sim, //
            },
            Model, //
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
    Leaf,
    Status, //
};

const RCX: Operand = Operand::Rcx;

/// A field is read.
pub(super) fn readable(late: bool) -> Scene {
    let field = Field::IOMMU_MT_PAGE_COUNT.raw();
    Scene::new(ready(late), Leaf::SYS_RD, &[0, field])
}

fn pool_wants(model: &mut Model<Sim>, pages: u64) {
    let wanted = [Field::POOL_REQUIRED_PAGES_U16.raw(), pages, 0, 0, 0];
    ask(model, Control::SetField, wanted);
}

/// Three pages are given to the pool.
fn add(late: bool) -> Scene {
    let mut model = ready(late);
    pool_wants(&mut model, 9);
    model.put(ROOT, &[page(30), page(31), page(32)]);
    Scene::new(model, Leaf::EXT_MEM_ADD, &[ROOT | 2 << 55])
}

fn init(late: bool) -> Scene {
    let model = Model::new(Sim::new(64, 2), config(late));
    Scene::new(model, Leaf::EXT_INIT, &[])
}

pub(super) fn tables() -> Vec<Table> {
    vec![sys_rd(), ext_mem_add(), ext_init()]
}

fn sys_rd() -> Table {
    let mut t = Table::new(
        Leaf::SYS_RD,
        "RDX field id",
        "R8 value, RDX next field id",
        readable,
    );
    t.row(
        "RDX: not all ones, which asks for the first id, in RDX",
        Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
        Single,
        |s| s.operands[1] = u64::MAX,
    );
    t.row(
        "RDX: a field that there is, without reserved bits, one element",
        Status::METADATA_FIELD_ID_INCORRECT,
        Single,
        |s| s.operands[1] |= 1 << 62,
    );
    t.row(
        "the feature of the field is there",
        Status::METADATA_FIELD_NOT_READABLE,
        Single,
        |s| features(&mut s.model, 0),
    );
    t.row(
        "while it is updated: the field belongs to no feature",
        Status::METADATA_FIELD_NOT_READABLE,
        Inferred,
        |s| s.ask(Control::Update, [1, 0, 0]),
    );
    t.done("the value is told, and the id that follows", Single)
}

fn extension(t: &mut Table) {
    t.row(
        "the extensions are there (FEATURES0 bit 39)",
        Status::CONNECT_INVALID_STATE,
        Inferred,
        |s| features(&mut s.model, 1 << 6),
    );
}

fn ext_mem_add() -> Table {
    let mut t = Table::new(
        Leaf::EXT_MEM_ADD,
        "RCX HPA_LIST_INFO",
        "RCX the same with the first entry that is left, on every exit",
        add,
    );
    extension(&mut t);
    t.row("RCX: no reserved bit", bad(RCX), Single, |s| {
        s.operands[0] |= 1 << 52;
    });
    t.row(
        "RCX: the first entry is not behind the last",
        bad(RCX),
        Single,
        |s| s.operands[0] |= 5 << 3,
    );
    t.shared(RCX, "the list page");
    t.row(
        "each entry: the pool wants a page (the status has a number of its own here; the real \
         one is not public)",
        POOL_FULL_STAND_IN,
        Single,
        |s| pool_wants(&mut s.model, 0),
    );
    t.takeable(RCX, 0, false);
    t.row(
        "each entry but the last: no interrupt is pending behind it",
        Status::INTERRUPTED_RESUMABLE,
        Single,
        |s| interrupt(&mut s.model, Leaf::EXT_MEM_ADD, 1),
    );
    t.done(
        "each page was taken in its turn; those before a failure stay taken",
        Single,
    )
}

fn ext_init() -> Table {
    let mut t = Table::new(Leaf::EXT_INIT, "nothing", "nothing", init);
    extension(&mut t);
    t.row(
        "the pool wants no more pages",
        Status::CONNECT_INVALID_STATE,
        Inferred,
        |s| pool_wants(&mut s.model, 1),
    );
    t.interrupted();
    t.done(
        "the extensions work, and EXT_REQUIRED is 0; so too where they did already",
        Inferred,
    )
}
