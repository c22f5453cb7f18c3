// SPDX-License-Identifier: GPL-2.0

//! TDH.SPDM.CONNECT, DISCONNECT and MNG.

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
    emu_device::{
        device_info,
        MAGIC, //
    },
    spdm::NO_PAGE,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const REQUESTED: Status = Status::SPDM_REQUEST;
const STALE: Status = Status::SPDM_SESSION_KEY_REQUIRE_REFRESH;
const BUSY: Status = Status::OPERAND_BUSY;
const STOP: Status = Status::INTERRUPTED_RESUMABLE;
const DONE: Status = Status::SUCCESS;
const NOT_READY: Status = Status::CONNECT_INVALID_STATE;
const CONNECT: Leaf = Leaf::SPDM_CONNECT;
const DISCONNECT: Leaf = Leaf::SPDM_DISCONNECT;
const MNG: Leaf = Leaf::SPDM_MNG;

const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

fn status(model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]) -> Status {
    call(model, leaf, operands).0
}

fn rounds(model: &mut Model<Sim>, rounds: u64) {
    ask(model, Control::Exchange, [0, rounds, 0, 0, 0]);
}

fn key_lasts(model: &mut Model<Sim>, requests: u64) {
    ask(model, Control::Exchange, [3, requests, 0, 0, 0]);
}

#[test]
fn connect_asks_step_by_step_and_ends_with_device_info() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let operands = connect(&mut model, id);
        // The first call reads no response.
        for step in 0..3 {
            let (status, regs) = call(&mut model, CONNECT, &operands);
            assert_eq!((status, regs.rcx), (REQUESTED, 40 + 4 * step));
            let request = device(&mut model);
            assert_eq!(
                request[..5],
                [(10 + step) << 32 | 0x1_0001, MAGIC, id, 142, step]
            );
        }
        let (status, regs) = call(&mut model, CONNECT, &operands);
        assert_eq!((status, regs.rcx), (DONE, 5000));
        for index in 0..1024 {
            let got = words(&mut model, OUT[index / 512])[index % 512];
            let want = if index < 625 {
                device_info(id, index)
            } else {
                0
            };
            assert_eq!(got, want, "word {index}");
        }
        assert_eq!(model.bugs().total(), 0);
        assert!(!model.page(Hpa::new(OUT[0]).unwrap()).unwrap().is_owned());
    }
}

#[test]
fn device_info_fills_no_more_than_the_pages_given() {
    for (bytes, told, want) in [
        (0, 0, 0),
        (1, 0, 1),
        (13, 0, 13),
        (4096, 0, 4096),
        (8192, 0, 8192),
        (u64::MAX, 0, 8192),
        (13, 99_999, 99_999),
    ] {
        let (mut model, id) = with_session(false);
        ask(&mut model, Control::Exchange, [1, bytes, 0, 0, 0]);
        ask(&mut model, Control::Exchange, [2, told, 0, 0, 0]);
        rounds(&mut model, 0);
        for hpa in OUT {
            words(&mut model, hpa).fill(u64::MAX);
        }
        let operands = connect(&mut model, id);
        let (status, regs) = call(&mut model, CONNECT, &operands);
        assert_eq!((status, regs.rcx), (DONE, want), "no round at all");
        let written = bytes.min(8192).div_ceil(8) as usize;
        for index in 0..1024 {
            let got = words(&mut model, OUT[index / 512])[index % 512];
            assert_eq!(
                got != u64::MAX,
                index < written,
                "{bytes} bytes, word {index}"
            );
        }
        if bytes == 13 {
            let last = words(&mut model, OUT[0])[1];
            assert_eq!(last, device_info(id, 1) & 0xff_ffff_ffff);
        }
    }
}

#[test]
fn a_single_page_of_output_is_its_own_list() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let mut operands = connect(&mut model, id);
        operands[4] = SPARE[0];
        let (status, regs, steps) = exchange(&mut model, CONNECT, &operands);
        assert_eq!((status, regs.rcx, steps), (DONE, 4096, 3));
        assert_eq!(words(&mut model, SPARE[0])[511], device_info(id, 511));
    }
}

#[test]
fn connect_checks_in_order() {
    let (mut model, id) = with_session(false);
    let good = connect(&mut model, id);
    let wrong = [id + 1, 1, 1, 1, 1 << 52];
    features(&mut model, 0);
    assert_eq!(status(&mut model, CONNECT, &wrong), NOT_READY);
    features(&mut model, 1 << 6);
    let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx);
    let orders = [
        missing,
        bad(Operand::Rdx),
        bad(Operand::R8),
        bad(Operand::R9),
    ];
    let mut operands = wrong;
    for (at, want) in orders.into_iter().enumerate() {
        assert_eq!(status(&mut model, CONNECT, &operands), want);
        operands[at] = good[at];
    }
    let r10 = bad(Operand::R10);
    for array in [1 << 52, OUT_ROOT | 8, NOWHERE, NOWHERE | 1 << 55, 1 << 46] {
        operands[4] = array;
        assert_eq!(status(&mut model, CONNECT, &operands), r10, "{array:#x}");
    }
    operands = good;
    for entry in [OUT[0] | 1, NOWHERE, 1 << 46] {
        model.put(OUT_ROOT, &[OUT[0], entry]);
        assert_eq!(status(&mut model, CONNECT, &operands), r10, "{entry:#x}");
    }
    assert_eq!(model.bugs().total(), 0);
    model.put(OUT_ROOT, &[OUT[0], OUT_ROOT]);
    assert_eq!(status(&mut model, CONNECT, &operands), r10);
    assert_eq!(model.bugs().count(Bug::ListListsItself), 1);
    // Shared pages that are held.
    model.put(OUT_ROOT, &[OUT[0], SESSION[0]]);
    assert_eq!(status(&mut model, CONNECT, &operands), r10);
    let registers = [Operand::Rdx, Operand::R8, Operand::R9, Operand::R10];
    for (at, register) in registers.into_iter().enumerate() {
        let mut operands = connect(&mut model, id);
        operands[at + 1] = SESSION[0];
        assert_eq!(status(&mut model, CONNECT, &operands), bad(register));
    }
    assert_eq!(model.bugs().count(Bug::ListIsHeld), 5);
    // No failed call took the slot, nor a step.
    assert_eq!(model.ask(Control::Objects, [0; 5]).1.r9, 0);
    let operands = connect(&mut model, id);
    assert_eq!(exchange(&mut model, CONNECT, &operands).2, 3);
    assert_eq!(
        status(&mut model, CONNECT, &operands),
        Status::SPDM_INVALID_STATE
    );
}

#[test]
fn disconnect_checks_in_order() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let mut operands = [0, 1, 1];
        let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx);
        let orders = [missing, bad(Operand::Rdx), bad(Operand::R8)];
        for (at, want) in orders.into_iter().enumerate() {
            assert_eq!(status(&mut model, DISCONNECT, &operands), want);
            operands[at] = disconnect(id)[at];
        }
        let unconnected = Status::SPDM_INVALID_STATE;
        assert_eq!(status(&mut model, DISCONNECT, &operands), unconnected);
        let (mut model, id) = connected(late);
        let (status, regs, steps) = exchange(&mut model, DISCONNECT, &disconnect(id));
        assert_eq!((status, regs.rcx, steps), (DONE, 0, 3));
        assert_eq!(call(&mut model, DISCONNECT, &operands).0, unconnected);
        // It may be connected again.
        let operands = connect(&mut model, id);
        assert_eq!(exchange(&mut model, CONNECT, &operands).0, DONE);
    }
}

#[test]
fn manage_checks_in_order() {
    let (mut model, id) = with_session(false);
    let mut operands = [0, 3, 1, 1, 1, 1];
    let orders = [
        Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx),
        bad(Operand::Rdx),
        bad(Operand::R8),
        bad(Operand::R9),
        bad(Operand::R10),
        bad(Operand::R11),
    ];
    for (at, want) in orders.into_iter().enumerate() {
        assert_eq!(status(&mut model, MNG, &operands), want);
        operands[at] = manage(id, 2)[at];
    }
    // Device info wants pages; the others do without.
    assert_eq!(status(&mut model, MNG, &operands), bad(Operand::R11));
    for operation in [0, 1] {
        let unconnected = Status::SPDM_INVALID_STATE;
        assert_eq!(status(&mut model, MNG, &manage(id, operation)), unconnected);
    }
    operands[5] = OUT[0];
    assert_eq!(
        status(&mut model, MNG, &operands),
        Status::SPDM_INVALID_STATE
    );
}

#[test]
fn each_operation_of_manage() {
    for late in PROFILES {
        let (mut model, id) = connected(late);
        for operation in 0..3 {
            for hpa in OUT {
                words(&mut model, hpa).fill(0);
            }
            let mut operands = manage(id, operation);
            // Whether the parameter page is there or not.
            operands[2] = [NO_PAGE, CONFIG][operation as usize % 2];
            if operation == 2 {
                operands[5] = OUT_ROOT | 1 << 55;
            }
            let (status, regs) = call(&mut model, MNG, &operands);
            assert_eq!((status, regs.rcx), (REQUESTED, 40));
            assert_eq!(device(&mut model)[3], operation << 16 | 144);
            let (status, regs, steps) = exchange(&mut model, MNG, &operands);
            let bytes = if operation == 2 { 5000 } else { 0 };
            assert_eq!((status, regs.rcx, steps), (DONE, bytes, 2));
            let info = if operation == 2 {
                device_info(id, 624)
            } else {
                0
            };
            assert_eq!(words(&mut model, OUT[1])[112], info);
        }
        assert_eq!(model.bugs().total(), 0);
    }
}

#[test]
fn a_response_that_is_none_leaves_the_step() {
    let (mut model, id) = with_session(false);
    let operands = connect(&mut model, id);
    assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
    device(&mut model);
    assert_eq!(status(&mut model, CONNECT, &operands), REQUESTED);
    device(&mut model);
    let good = *words(&mut model, RESPONSE);
    // The second message has 44 bytes.
    for (at, flip) in [
        (0, 1),
        (0, 1 << 16),
        (0, 1 << 24),
        (0, 1 << 32),
        (0, 1 << 42),
        (0, 1 << 63),
        (1, 1),
        (2, 1 << 63),
        (3, 1 << 8),
        (4, 1),
        (5, 1 << 31),
    ] {
        words(&mut model, RESPONSE)[at] ^= flip;
        for _ in 0..2 {
            let got = status(&mut model, CONNECT, &operands);
            assert_eq!(got, Status::SDPM_INVALID_MESSAGE, "word {at} ^ {flip:#x}");
        }
        *words(&mut model, RESPONSE) = good;
    }
    // The request itself, or an old response, is none.
    let request = *words(&mut model, REQUEST);
    *words(&mut model, RESPONSE) = request;
    assert_eq!(
        status(&mut model, CONNECT, &operands),
        Status::SDPM_INVALID_MESSAGE
    );
    *words(&mut model, RESPONSE) = good;
    // What is behind the end does not matter.
    words(&mut model, RESPONSE)[5] ^= 1 << 32;
    words(&mut model, RESPONSE)[6] ^= 1;
    let (status, regs) = call(&mut model, CONNECT, &operands);
    assert_eq!((status, regs.rcx), (REQUESTED, 48));
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
