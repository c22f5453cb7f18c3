// SPDX-License-Identifier: GPL-2.0

//! An update of the TDX Module at run time.

use super::super::{
    sim::Sim,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    field::Field,
    Leaf,
    Status, //
};

const NOT_READY: Status = Status::SYS_NOT_READY;

fn update(model: &mut Model<Sim>, what: u64, pages: u64) {
    ask(model, Control::Update, [what, pages, 0, 0, 0]);
}

fn read(model: &mut Model<Sim>, field: Field) -> (Status, u64) {
    let (status, regs) = call(model, Leaf::SYS_RD, &[0, field.raw()]);
    (status, regs.r8)
}

#[test]
fn until_it_is_done_nothing_is_executed() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let fault = [Leaf::SPDM_DELETE.number(), 1, Status::SYS_BUSY.raw(), 0, 1];
        ask(&mut model, Control::Fail, fault);
        update(&mut model, 1, 0);
        for leaf in Leaf::ALL.iter().filter(|leaf| **leaf != Leaf::SYS_RD) {
            assert_eq!(call(&mut model, *leaf, &[id, AUX]).0, NOT_READY, "{leaf}");
        }
        // RAX is looked at first, its leaf number last.
        let reserved = Leaf::from_raw(1 << 40);
        assert_eq!(call(&mut model, reserved, &[]).0, Status::OPERAND_INVALID);
        assert_eq!(call(&mut model, Leaf::from_raw(7), &[]).0, NOT_READY);
        // Metadata are read, but for those of features that are not opted in yet.
        assert_eq!(read(&mut model, Field::FEATURES0).0, Status::SUCCESS);
        let hidden = Status::METADATA_FIELD_NOT_READABLE;
        for field in [Field::EXT_REQUIRED_U16, Field::SPDM_MT_PAGE_COUNT] {
            assert_eq!(read(&mut model, field).0, hidden);
        }
        update(&mut model, 0, 0);
        assert_eq!(
            read(&mut model, Field::EXT_REQUIRED_U16),
            (Status::SUCCESS, 0)
        );
        // What was set to go wrong still does, and then the session is there as before.
        assert_eq!(
            call(&mut model, Leaf::SPDM_DELETE, &[id, AUX]).0,
            Status::SYS_BUSY
        );
        assert_eq!(
            call(&mut model, Leaf::SPDM_DELETE, &[id, AUX]).0,
            Status::SUCCESS
        );
        assert_eq!((model.balance().unproved, model.bugs().total()), (3, 0));
    }
}

#[test]
fn after_it_the_extensions_may_want_more() {
    let (mut model, id) = with_session(false);
    update(&mut model, 1, 0);
    update(&mut model, 2, 2);
    let wanted = [Field::EXT_REQUIRED_U16, Field::POOL_REQUIRED_PAGES_U16];
    for (field, want) in wanted.into_iter().zip([1, 2]) {
        assert_eq!(read(&mut model, field), (Status::SUCCESS, want));
    }
    assert_eq!(
        read(&mut model, Field::EXT_REQUIRED_U8).0,
        Status::METADATA_FIELD_ID_INCORRECT
    );
    let delete = [id, AUX];
    let unready = Status::CONNECT_INVALID_STATE;
    assert_eq!(call(&mut model, Leaf::SPDM_DELETE, &delete).0, unready);
    assert_eq!(call(&mut model, Leaf::EXT_INIT, &[]).0, unready);
    model.put(ROOT, &SPARE[..2]);
    let (status, _) = call(&mut model, Leaf::EXT_MEM_ADD, &[1 << 55 | ROOT]);
    assert_eq!(status, Status::SUCCESS);
    assert_eq!(call(&mut model, Leaf::EXT_INIT, &[]).0, Status::SUCCESS);
    assert_eq!(
        call(&mut model, Leaf::SPDM_DELETE, &delete).0,
        Status::SUCCESS
    );
}

#[test]
fn an_interrupted_leaf_stays_so() {
    let mut model = ready(false);
    interrupt(&mut model, Leaf::SPDM_CREATE, 1);
    let stop = Status::INTERRUPTED_RESUMABLE;
    assert_eq!(create(&mut model, FUNCTION, &SESSION).0, stop);
    update(&mut model, 1, 0);
    assert_eq!(create(&mut model, FUNCTION, &SESSION).0, NOT_READY);
    update(&mut model, 0, 0);
    assert_eq!(create(&mut model, FUNCTION, &SESSION).0, Status::SUCCESS);
}

#[test]
fn a_wrong_operand_is_named() {
    let mut model = Model::small();
    let (status, _) = model.ask(Control::Update, [3, 0, 0, 0, 0]);
    assert_eq!(status.raw(), 0xc000_0100_0000_0001);
    let (status, _) = model.ask(Control::Exchange, [4, 0, 0, 0, 0]);
    assert_eq!(status.raw(), 0xc000_0100_0000_0001);
}
