// SPDX-License-Identifier: GPL-2.0

//! TDH.SPDM.DELETE, and sessions when something goes wrong.

use super::super::{
    bugs::Bug,
    sim::Sim,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    status::Operand,
    Leaf,
    Status, //
};

const BAD_RDX: Status = Status::OPERAND_INVALID.on(Operand::Rdx);
const STOP: Status = Status::INTERRUPTED_RESUMABLE;
const NOT_READY: Status = Status::CONNECT_INVALID_STATE;

fn delete(model: &mut Model<Sim>, id: u64, aux: u64) -> (Status, u64) {
    let (status, regs) = call(model, Leaf::SPDM_DELETE, &[id, aux]);
    (status, regs.rcx)
}

#[test]
fn delete_checks_in_order() {
    for late in PROFILES {
        let (mut model, id, stream) = with_stream(late);
        features(&mut model, 0);
        assert_eq!(delete(&mut model, 0, 1).0, NOT_READY);
        features(&mut model, 1 << 6 | 1 << 39);
        let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx);
        for bad in [0, 0x100, id - 1, id + 1, id | 1 << 32, u64::MAX] {
            assert_eq!(delete(&mut model, bad, 1), (missing, bad), "{bad:#x}");
        }
        assert_eq!(
            delete(&mut model, id, 1).0,
            Status::SPDM_HAS_ACTIVE_IDE_STREAMS
        );
        assert!(call(&mut model, Leaf::IDE_STREAM_BLOCK, &[id, stream])
            .0
            .is_success());
        let ended = call(&mut model, Leaf::IDE_STREAM_DELETE, &[id, stream, 0]).0;
        assert_eq!(ended, Status::SUCCESS);
        assert_eq!(delete(&mut model, id, 1).0, Status::SPDM_INVALID_STATE);
        let (status, ..) = exchange(&mut model, Leaf::SPDM_DISCONNECT, &disconnect(id));
        assert_eq!(status, Status::SUCCESS);
        if !late {
            for aux in [0, AUX | 1, AUX | 2 << 55, NOWHERE, 1 << 46] {
                assert_eq!(delete(&mut model, id, aux), (BAD_RDX, id), "{aux:#x}");
            }
            assert_eq!(model.bugs().total(), 0);
            assert_eq!(delete(&mut model, id, SESSION[0]).0, BAD_RDX);
            assert_eq!(model.bugs().count(Bug::ListIsHeld), 1);
        }
        assert_eq!(
            model.balance().held,
            9,
            "nothing is let go of before all is well"
        );
        assert_eq!(delete(&mut model, id, AUX).0, Status::SUCCESS);
        assert_eq!(delete(&mut model, id, AUX).0, missing);
    }
}

#[test]
fn delete_gives_the_list_back_in_v2_only() {
    let (mut model, id) = with_session(false);
    model.put(AUX, &[u64::MAX; 4]);
    assert_eq!(
        delete(&mut model, id, AUX),
        (Status::SUCCESS, 2 << 55 | AUX)
    );
    assert_eq!(words(&mut model, AUX)[..3], SESSION);
    assert_eq!(
        words(&mut model, AUX)[3],
        u64::MAX,
        "no more than the list is written"
    );
    assert_eq!((model.balance().held, model.balance().unproved), (6, 3));

    for rdx in [0, 1, SESSION[0], u64::MAX] {
        let (mut model, id) = with_session(true);
        model.put(AUX, &[7; 4]);
        // What is in RDX is no operand, at a resume neither.
        interrupt(&mut model, Leaf::SPDM_DELETE, 1);
        assert_eq!(delete(&mut model, id, rdx).0, STOP);
        assert_eq!(delete(&mut model, id, AUX), (Status::SUCCESS, id));
        assert_eq!(words(&mut model, AUX)[..4], [7; 4], "no list is written");
        assert_eq!((model.balance().unproved, model.bugs().total()), (3, 0));
    }
}

#[test]
fn interrupted_calls_are_resumed_with_their_operands() {
    for late in PROFILES {
        let mut model = ready(late);
        interrupt(&mut model, Leaf::SPDM_CREATE, 2);
        interrupt(&mut model, Leaf::SPDM_DELETE, 1);
        assert_eq!(create(&mut model, FUNCTION, &SESSION), (STOP, FUNCTION));
        let (status, _) = create(&mut model, 0x308, &SESSION);
        assert_eq!(status, Status::INVALID_RESUMPTION);
        assert_eq!(model.bugs().count(Bug::OtherOperands), 1);
        // The list is changed meanwhile.
        assert_eq!(create(&mut model, FUNCTION, &SPARE[..3]).0, STOP);
        assert_eq!(model.bugs().count(Bug::ListTouched), 1);
        assert_eq!(
            model.balance().held,
            6,
            "nothing is taken before it completes"
        );
        let (status, id) = create(&mut model, FUNCTION, &SPARE[..3]);
        assert_eq!((status, model.balance().held), (Status::SUCCESS, 9));
        assert_eq!(delete(&mut model, id, AUX).0, STOP);
        assert_eq!(delete(&mut model, id, AUX).0, Status::SUCCESS);
        assert_eq!(model.bugs().total(), 2);
    }
}

#[test]
fn faults_before_and_after_the_effect() {
    const BROKEN: Status = Status::IOMMU_ECMD_ERROR;
    for (after, held) in [(0, 6), (1, 9)] {
        let mut model = ready(false);
        let fault = [Leaf::SPDM_CREATE.number(), 1, BROKEN.raw(), after, 1];
        ask(&mut model, Control::Fail, fault);
        let (status, _) = create(&mut model, FUNCTION, &SESSION);
        assert_eq!((status, model.balance().held), (BROKEN, held));
    }
}

#[test]
fn a_delete_that_keeps_pages() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        ask(&mut model, Control::KeepPages, [2, SESSION[1], 0, 0, 0]);
        assert_eq!(delete(&mut model, id, AUX).0, Status::SUCCESS);
        assert_eq!((model.balance().held, model.balance().unproved), (7, 2));
        let word = 5 << 46 | SESSION[1];
        let (status, _) = call(&mut model, Leaf::PHYMEM_PAGE_WBINVD, &[word]);
        assert_eq!(status, Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx));
        let (status, _) = call(&mut model, Leaf::PHYMEM_PAGE_RECLAIM, &[SESSION[1]]);
        assert_eq!(status, Status::SUCCESS);
        prove(&mut model);
    }
}

#[test]
fn what_the_host_writes_to_a_held_page_is_seen() {
    let (mut model, id) = with_session(false);
    words(&mut model, SESSION[2])[7] ^= 1;
    assert!(delete(&mut model, id, AUX).0.is_success());
    let first = model.bugs().first(Bug::Changed).unwrap();
    assert_eq!((first.hpa, first.detail), (SESSION[2], 56));
}
