// SPDX-License-Identifier: GPL-2.0

//! Extension SEAMCALLs beside each other, interrupted, and with a key that wears out.

use super::super::{
    bugs::Bug,
    sim::{
        page,
        Sim, //
    },
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    status::Operand,
    Leaf,
    Status, //
};

const REQUESTED: Status = Status::SPDM_REQUEST;
const STALE: Status = Status::SPDM_SESSION_KEY_REQUIRE_REFRESH;
const BUSY: Status = Status::OPERAND_BUSY;
const STOP: Status = Status::INTERRUPTED_RESUMABLE;
const DONE: Status = Status::SUCCESS;
const CONNECT: Leaf = Leaf::SPDM_CONNECT;
const DISCONNECT: Leaf = Leaf::SPDM_DISCONNECT;
const MNG: Leaf = Leaf::SPDM_MNG;

fn status(model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]) -> Status {
    call(model, leaf, operands).0
}

fn key_lasts(model: &mut Model<Sim>, requests: u64) {
    ask(model, Control::Exchange, [3, requests, 0, 0, 0]);
}

#[test]
fn one_exchange_at_a_time() {
    for late in PROFILES {
        let (mut model, id) = connected(late);
        let (created, other) = create(&mut model, 0x308, &SPARE[..3]);
        assert_eq!(created, DONE);
        assert_eq!(status(&mut model, MNG, &manage(id, 0)), REQUESTED);
        assert_eq!(model.ask(Control::Objects, [0; 5]).1.r9, 1);
        let operands = connect(&mut model, other);
        // Before any operand is looked at.
        for (leaf, operands) in [
            (CONNECT, &operands[..]),
            (CONNECT, &[0; 5]),
            (DISCONNECT, &disconnect(id)),
            (MNG, &manage(id, 1)),
            (MNG, &manage(other, 0)),
        ] {
            assert_eq!(status(&mut model, leaf, operands), BUSY);
        }
        assert_eq!(model.bugs().total(), 0);
        // Other operands of the same exchange are a mistake.
        let mut elsewhere = manage(id, 0);
        elsewhere[3] = CONFIG;
        let got = status(&mut model, MNG, &elsewhere);
        assert_eq!(got, Status::INVALID_RESUMPTION);
        assert_eq!(model.bugs().count(Bug::OtherOperands), 1);
        device(&mut model);
        assert_eq!(exchange(&mut model, MNG, &manage(id, 0)).2, 2);
        assert_eq!(exchange(&mut model, CONNECT, &operands).0, DONE);
    }
}

#[test]
fn interrupted_in_every_step() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        interrupt(&mut model, CONNECT, 2);
        let operands = connect(&mut model, id);
        for step in 0..4 {
            for _ in 0..2 {
                assert_eq!(status(&mut model, CONNECT, &operands), STOP);
                // It has the slot from its first call on.
                assert_eq!(status(&mut model, MNG, &manage(id, 0)), BUSY);
            }
            let want = if step == 3 { DONE } else { REQUESTED };
            assert_eq!(status(&mut model, CONNECT, &operands), want);
            if step < 3 {
                device(&mut model);
            }
        }
        assert_eq!(model.bugs().total(), 0);
    }
}

#[test]
fn a_response_that_changes_while_it_is_worked_on() {
    let (mut model, id) = with_session(false);
    let operands = connect(&mut model, id);
    assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
    interrupt(&mut model, CONNECT, 1);
    assert_eq!(status(&mut model, CONNECT, &operands), STOP);
    device(&mut model);
    assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
    assert_eq!(model.bugs().count(Bug::ListTouched), 1);
    // So is the list of pages for the device info, which may change between two steps only.
    device(&mut model);
    assert_eq!(status(&mut model, CONNECT, &operands), STOP);
    model.put(OUT_ROOT, &[OUT[1], OUT[0]]);
    assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
    assert_eq!(model.bugs().count(Bug::ListTouched), 2);
    let mut elsewhere = operands;
    elsewhere[4] = SPARE[0];
    let got = status(&mut model, CONNECT, &elsewhere);
    assert_eq!(got, Status::INVALID_RESUMPTION);
}

#[test]
fn a_key_that_wears_out() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        key_lasts(&mut model, 2);
        let operands = connect(&mut model, id);
        for _ in 0..2 {
            assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
            device(&mut model);
        }
        // The second response was accepted: the update may use the pages.
        for _ in 0..2 {
            assert_eq!(status(&mut model, CONNECT, &operands), STALE);
        }
        // Nothing but the update of this session's key may pass.
        let (_, other) = create(&mut model, 0x308, &SPARE[..3]);
        for operands in [manage(id, 0), manage(other, 1), manage(id, 7)] {
            assert_eq!(status(&mut model, MNG, &operands), BUSY);
        }
        assert_eq!(status(&mut model, DISCONNECT, &disconnect(id)), BUSY);
        assert_eq!(status(&mut model, MNG, &manage(id, 1)), REQUESTED);
        assert_eq!(status(&mut model, CONNECT, &operands), BUSY);
        device(&mut model);
        assert_eq!(exchange(&mut model, MNG, &manage(id, 1)).2, 2);
        // It goes on from where it was.
        assert_eq!(status(&mut model, MNG, &manage(id, 1)), BUSY);
        let (status, regs) = call(&mut model, CONNECT, &operands);
        assert_eq!((status, regs.rcx), (REQUESTED, 48));
        device(&mut model);
        let (status, regs) = call(&mut model, CONNECT, &operands);
        assert_eq!((status, regs.rcx, model.bugs().total()), (DONE, 5000, 0));
    }
}

#[test]
fn a_connected_session_has_a_fresh_key() {
    let (mut model, id) = connected(false);
    key_lasts(&mut model, 3);
    assert_eq!(exchange(&mut model, MNG, &manage(id, 0)).0, DONE);
    assert_eq!(status(&mut model, DISCONNECT, &disconnect(id)), STALE);
    assert_eq!(exchange(&mut model, MNG, &manage(id, 1)).0, DONE);
    assert_eq!(exchange(&mut model, DISCONNECT, &disconnect(id)).0, DONE);
    // An update that nobody waits for is an exchange like any other.
    let operands = connect(&mut model, id);
    assert_eq!(exchange(&mut model, CONNECT, &operands).0, DONE);
    assert_eq!(status(&mut model, MNG, &manage(id, 0)), REQUESTED);
    assert_eq!(status(&mut model, MNG, &manage(id, 1)), BUSY);
}

#[test]
fn a_deleted_session_leaves_the_slot() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let operands = connect(&mut model, id);
        assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
        interrupt(&mut model, CONNECT, 9);
        device(&mut model);
        assert_eq!(status(&mut model, CONNECT, &operands), STOP);
        assert_eq!(status(&mut model, Leaf::SPDM_DELETE, &[id, AUX]), DONE);
        interrupt(&mut model, CONNECT, 0);
        prove(&mut model);
        let (_, id) = create(&mut model, 0x308, &SESSION);
        let mut operands = connect(&mut model, id);
        operands[1] = page(30);
        assert_eq!(exchange(&mut model, CONNECT, &operands).0, DONE);
        assert_eq!(model.bugs().total(), 0);
    }
}

#[test]
fn a_final_fault_ends_an_exchange_and_no_other() {
    for (fault, goes_on) in [
        (Status::SPDM_AUTH_FAILED, false),
        (Status::OPERAND_BUSY, true),
        (Status::SYS_SHUTDOWN, true),
        (Status::SDPM_INVALID_MESSAGE, true),
        (Status::SPDM_SESSION_KEY_REQUIRE_REFRESH, true),
        (Status::OPERAND_INVALID.on(Operand::R8), true),
    ] {
        let (mut model, id) = with_session(false);
        let operands = connect(&mut model, id);
        assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
        device(&mut model);
        ask(
            &mut model,
            Control::Fail,
            [CONNECT.number(), 1, fault.raw(), 0, 1],
        );
        assert_eq!(status(&mut model, CONNECT, &operands), fault);
        let slot = model.ask(Control::Objects, [0; 5]).1.r9;
        assert_eq!(slot == 1, goes_on, "{fault}");
        let rounds = exchange(&mut model, CONNECT, &operands).2;
        assert_eq!(rounds, if goes_on { 2 } else { 3 }, "{fault}");
    }
    // After the whole effect, and then never executed.
    let (mut model, id) = with_session(false);
    let operands = connect(&mut model, id);
    for (status, after) in [(BUSY, 1), (Status::SYS_SHUTDOWN, 0)] {
        ask(
            &mut model,
            Control::Fail,
            [CONNECT.number(), 1, status.raw(), after, 1],
        );
    }
    assert_eq!(status(&mut model, CONNECT, &operands), BUSY);
    assert_eq!(status(&mut model, CONNECT, &operands), Status::SYS_SHUTDOWN);
    device(&mut model);
    assert_eq!(exchange(&mut model, CONNECT, &operands).2, 2);
}
