// SPDX-License-Identifier: GPL-2.0

//! TDH.IDE.STREAM.KM.

use super::super::{
    bugs::Bug,
    sim::Sim,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    emu_device::MAGIC,
    status::Operand,
    Leaf,
    Status, //
};

const KM: Leaf = Leaf::IDE_STREAM_KM;
const REQUESTED: Status = Status::SPDM_REQUEST;
const DONE: Status = Status::SUCCESS;
const SET_UP: u64 = 0;
const REFRESH: u64 = 1;
const STOP: u64 = 2;

const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

fn status(model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]) -> Status {
    call(model, leaf, operands).0
}

#[test]
fn the_life_of_keys() {
    for late in PROFILES {
        let (mut model, session, id) = with_stream(late);
        let no_keys = Status::IDE_STREAM_KEYS_NOT_READY;
        for operation in [REFRESH, STOP] {
            let operands = keys(session, id, operation);
            assert_eq!(status(&mut model, KM, &operands), no_keys);
        }
        for (operation, want) in [
            (SET_UP, DONE),
            (SET_UP, Status::IDE_STREAM_INVALID_STATE),
            (REFRESH, DONE),
            (STOP, DONE),
            (STOP, no_keys),
            (SET_UP, DONE),
        ] {
            let operands = keys(session, id, operation);
            let (status, regs, rounds) = exchange(&mut model, KM, &operands);
            assert_eq!(status, want);
            if status.is_success() {
                assert_eq!((regs.rcx, rounds), (0, 3));
            }
        }
        assert_eq!(model.bugs().total(), 0);
    }
}

#[test]
fn checks_in_order() {
    for late in PROFILES {
        let (mut model, session, id) = with_stream(late);
        let mut operands = [0, 0, 3, 1, 1];
        features(&mut model, 0);
        let not_ready = Status::CONNECT_INVALID_STATE;
        assert_eq!(status(&mut model, KM, &operands), not_ready);
        features(&mut model, 1 << 6);
        let good = keys(session, id, SET_UP);
        for (at, want) in [
            (0, Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx)),
            (1, Status::IDE_STREAM_NOT_CONFIGURED),
            (2, bad(Operand::R8)),
            (3, bad(Operand::R9)),
            (4, bad(Operand::R10)),
        ] {
            assert_eq!(status(&mut model, KM, &operands), want);
            operands[at] = good[at];
        }
        for at in [3, 4] {
            let mut held = good;
            held[at] = STREAM;
            assert!(status(&mut model, KM, &held) != DONE);
        }
        assert_eq!(model.bugs().count(Bug::ListIsHeld), 2);
        let ended = exchange(&mut model, Leaf::SPDM_DISCONNECT, &disconnect(session)).0;
        assert_eq!(ended, DONE);
        let unconnected = Status::SPDM_INVALID_STATE;
        assert_eq!(status(&mut model, KM, &good), unconnected);
        let connection = connect(&mut model, session);
        assert_eq!(
            exchange(&mut model, Leaf::SPDM_CONNECT, &connection).0,
            DONE
        );
        assert_eq!(exchange(&mut model, KM, &good).0, DONE);
        let blocked = status(&mut model, Leaf::IDE_STREAM_BLOCK, &[session, id]);
        assert_eq!(blocked, DONE);
        for (operation, want) in [
            (SET_UP, Status::IDE_STREAM_BLOCKED),
            (REFRESH, Status::IDE_STREAM_BLOCKED),
            (3, bad(Operand::R8)),
            (STOP, DONE),
        ] {
            let operands = keys(session, id, operation);
            assert_eq!(exchange(&mut model, KM, &operands).0, want);
        }
    }
}

#[test]
fn a_message_names_the_stream_and_a_wrong_response_leaves_the_step() {
    let (mut model, session, id) = with_stream(false);
    let operands = keys(session, id, SET_UP);
    assert_eq!(status(&mut model, KM, &operands), REQUESTED);
    assert_eq!(device(&mut model)[1..5], [MAGIC, id, 135, 0]);
    words(&mut model, RESPONSE)[1] ^= 1;
    for _ in 0..2 {
        let got = status(&mut model, KM, &operands);
        assert_eq!(got, Status::IDE_STREAM_INVALID_RESPONSE);
    }
    words(&mut model, RESPONSE)[1] ^= 1;
    assert_eq!(status(&mut model, KM, &operands), REQUESTED);
    assert_eq!(device(&mut model)[4], 1);
}

#[test]
fn one_operation_of_a_stream_at_a_time() {
    let (mut model, session, id) = with_stream(false);
    assert_eq!(
        status(&mut model, KM, &keys(session, id, SET_UP)),
        REQUESTED
    );
    let outstanding = Status::IDE_STREAM_IDEKM_OUTREQ;
    for operation in [REFRESH, STOP] {
        let got = status(&mut model, KM, &keys(session, id, operation));
        assert_eq!(got, outstanding);
    }
    let mut elsewhere = keys(session, id, SET_UP);
    elsewhere[3] = CONFIG;
    let got = status(&mut model, KM, &elsewhere);
    assert_eq!(got, Status::INVALID_RESUMPTION);
    assert_eq!(model.bugs().count(Bug::OtherOperands), 1);
    // It leaves the slot of the extension SEAMCALLs alone.
    device(&mut model);
    let response = *words(&mut model, RESPONSE);
    assert_eq!(
        exchange(&mut model, Leaf::SPDM_MNG, &manage(session, 0)).0,
        DONE
    );
    *words(&mut model, RESPONSE) = response;
    assert_eq!(exchange(&mut model, KM, &keys(session, id, SET_UP)).2, 2);
}

#[test]
fn interrupted_and_left() {
    let (mut model, session, id) = with_stream(false);
    let operands = keys(session, id, SET_UP);
    interrupt(&mut model, KM, 1);
    let stop = Status::INTERRUPTED_RESUMABLE;
    assert_eq!(status(&mut model, KM, &operands), stop);
    assert_eq!(status(&mut model, KM, &operands), REQUESTED);
    device(&mut model);
    assert_eq!(status(&mut model, KM, &operands), stop);
    // The stream goes, and with it what was said.
    let (block, delete) = (Leaf::IDE_STREAM_BLOCK, Leaf::IDE_STREAM_DELETE);
    assert_eq!(status(&mut model, block, &[session, id]), DONE);
    assert_eq!(status(&mut model, delete, &[session, id, 0]), DONE);
    interrupt(&mut model, KM, 0);
    let create = stream(&mut model, session, SPARE[0]);
    assert_eq!(status(&mut model, Leaf::IDE_STREAM_CREATE, &create), DONE);
    let mut elsewhere = operands;
    elsewhere[3] = CONFIG;
    assert_eq!(status(&mut model, KM, &elsewhere), REQUESTED);
    assert_eq!(model.bugs().total(), 0);
}

#[test]
fn a_key_that_wears_out() {
    let (mut model, session, id) = with_stream(false);
    let operands = keys(session, id, SET_UP);
    ask(&mut model, Control::Exchange, [3, 2, 0, 0, 0]);
    for _ in 0..2 {
        assert_eq!(status(&mut model, KM, &operands), REQUESTED);
        device(&mut model);
    }
    let stale = Status::SPDM_SESSION_KEY_REQUIRE_REFRESH;
    assert_eq!(status(&mut model, KM, &operands), stale);
    assert_eq!(
        exchange(&mut model, Leaf::SPDM_MNG, &manage(session, 1)).0,
        DONE
    );
    let (status, _, rounds) = exchange(&mut model, KM, &operands);
    assert_eq!((status, rounds), (DONE, 1));
}

#[test]
fn a_final_fault_ends_it() {
    for (fault, rounds) in [
        (Status::IDE_STREAM_NO_ENTROPY, 3),
        (Status::OPERAND_BUSY, 2),
    ] {
        let (mut model, session, id) = with_stream(false);
        let operands = keys(session, id, SET_UP);
        assert_eq!(status(&mut model, KM, &operands), REQUESTED);
        device(&mut model);
        ask(
            &mut model,
            Control::Fail,
            [KM.number(), 1, fault.raw(), 0, 1],
        );
        assert_eq!(status(&mut model, KM, &operands), fault);
        assert_eq!(exchange(&mut model, KM, &operands).2, rounds, "{fault}");
    }
}
