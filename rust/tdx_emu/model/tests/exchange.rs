// SPDX-License-Identifier: GPL-2.0

//! TDH.SPDM.CONNECT, DISCONNECT and MNG.

use super::super::{
    bugs::Bug,
    sim::Sim,
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
