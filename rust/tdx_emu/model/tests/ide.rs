// SPDX-License-Identifier: GPL-2.0

//! TDH.IDE.STREAM.CREATE, BLOCK and DELETE.

use super::super::{
    bugs::Bug,
    page::PageType,
    sim::{
        page,
        Sim, //
    },
    Machine,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    field::Field,
    ide_range::{
        AddressRange,
        RidRange, //
    },
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const CREATE: Leaf = Leaf::IDE_STREAM_CREATE;
const BLOCK: Leaf = Leaf::IDE_STREAM_BLOCK;
const DELETE: Leaf = Leaf::IDE_STREAM_DELETE;
const NOT_READY: Status = Status::CONNECT_INVALID_STATE;
const UNKNOWN: Status = Status::IDE_STREAM_NOT_CONFIGURED;
const DONE: Status = Status::SUCCESS;

const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

fn status(model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]) -> Status {
    call(model, leaf, operands).0
}

/// Another stream that has nothing in common with the first one.
fn apart(model: &mut Model<Sim>, session: u64, page: u64, n: u16) -> [u64; 9] {
    let mut operands = stream(model, session, page);
    let base = 0x400 + 16 * n;
    let rids = RidRange {
        base,
        limit: base + 15,
        ..RIDS
    };
    let low = u64::from(n) << 32;
    let addresses = AddressRange::new(low, low | 0xffff_ffff).unwrap();
    operands[4..6].copy_from_slice(&rids.images());
    operands[6..].copy_from_slice(&addresses.images());
    operands
}

#[test]
fn create_takes_the_page() {
    for late in PROFILES {
        let (model, session, id) = with_stream(late);
        assert_ne!(session, id);
        assert_eq!((model.balance().held, model.stream_count()), (10, 1));
        let state = model.page(Hpa::new(STREAM).unwrap()).unwrap();
        assert_eq!(state.page_type(), PageType::IommuMt);
        assert_eq!(u64::from(state.owner()), id);
        assert_eq!(model.bugs().total(), 0);
    }
}

/// Everything is wrong at first; each step mends what the step before was refused for.
#[test]
fn create_checks_in_order() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        let good = stream(&mut model, id, STREAM);
        let mut operands = [1 << 9, 0, 1 << 52, 1, 1, 0, 0, 1 << 32, 1 << 32];
        let try_it = |model: &mut Model<Sim>, operands: &[u64; 9]| {
            let (status, regs) = call(model, CREATE, operands);
            let outputs = (regs.rcx, regs.rdx);
            assert_eq!(outputs, (operands[0], operands[1]), "outputs are untouched");
            status
        };
        features(&mut model, 1 << 39);
        assert_eq!(try_it(&mut model, &operands), NOT_READY);
        features(&mut model, 1 << 6);
        let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rdx);
        assert_eq!(try_it(&mut model, &operands), missing);
        operands[1] = id;
        assert_eq!(try_it(&mut model, &operands), Status::SPDM_INVALID_STATE);
        let connection = connect(&mut model, id);
        assert_eq!(
            exchange(&mut model, Leaf::SPDM_CONNECT, &connection).0,
            DONE
        );
        assert_eq!(try_it(&mut model, &operands), bad(Operand::Rcx));
        operands[0] = good[0] & 0xff;
        assert_eq!(
            try_it(&mut model, &operands),
            Status::IDE_STREAM_NOT_SUPPORTED
        );
        operands[0] = good[0];
        for (at, operand) in [
            (3, Operand::R9),
            (4, Operand::R10),
            (5, Operand::R11),
            (6, Operand::R12),
            (7, Operand::R13),
            (8, Operand::R14),
        ] {
            assert_eq!(try_it(&mut model, &operands), bad(operand));
            operands[at] = good[at];
        }
        // Each field of the control register that must be zero, and those that need not be.
        for bit in [0, 2, 9, 14, 22, 24, 32] {
            operands[3] = 1 << bit;
            assert_eq!(try_it(&mut model, &operands), bad(Operand::R9), "bit {bit}");
        }
        operands[3] = 1 << 8 | 5 << 19;
        assert_eq!(try_it(&mut model, &operands), bad(Operand::R8));
        for word in [good[2] | 1 << 55, ROOT | 1 << 3, NOWHERE, 1 << 46] {
            operands[2] = word;
            let want = match (late, word) {
                (false, NOWHERE) => Status::OPERAND_ADDR_RANGE_ERROR.on(Operand::R8),
                _ => bad(Operand::R8),
            };
            assert_eq!(try_it(&mut model, &operands), want, "{word:#x}");
        }
        operands[2] = stream(&mut model, id, SESSION[0])[2];
        let held = Status::PAGE_METADATA_INCORRECT.on(Operand::R8);
        assert_eq!(try_it(&mut model, &operands), held);
        assert_eq!((model.bugs().total(), model.balance().held), (0, 9));
        let good = stream(&mut model, id, STREAM);
        assert_eq!(status(&mut model, CREATE, &good), DONE);
    }
}

#[test]
fn the_ide_id_is_another_number_than_the_stream_id() {
    let (mut model, session) = connected(false);
    let operands = apart(&mut model, session, SPARE[0], 0);
    let (status, first) = call(&mut model, CREATE, &operands);
    assert_eq!((status, first.rcx, first.rdx), (DONE, FIRST_STREAM, 0xff));
    let operands = apart(&mut model, session, SPARE[1], 1);
    let (status, second) = call(&mut model, CREATE, &operands);
    assert_eq!(
        (status, second.rcx, second.rdx),
        (DONE, FIRST_STREAM + 1, 0xfe)
    );
}

#[test]
fn streams_that_overlap() {
    let (mut model, session, _) = with_stream(false);
    // All addresses are taken; addresses come before requester ids.
    let operands = stream(&mut model, session, SPARE[0]);
    let got = status(&mut model, CREATE, &operands);
    assert_eq!(got, Status::IDE_STREAM_ADDR_OVERLAP);
    // Of another session the root port may be another one, but requester ids are one's own.
    let (_, other) = create(&mut model, 0x310, &SPARE[1..4]);
    let connection = connect(&mut model, other);
    assert_eq!(
        exchange(&mut model, Leaf::SPDM_CONNECT, &connection).0,
        DONE
    );
    let mut operands = stream(&mut model, other, SPARE[0]);
    let got = status(&mut model, CREATE, &operands);
    assert_eq!(got, Status::IDE_STREAM_RID_OVERLAP);
    operands[4] = 0x311 << 8;
    operands[5] = 0x310 << 8 | 1 << 24 | 1;
    assert_eq!(status(&mut model, CREATE, &operands), DONE);

    let (mut model, session) = connected(false);
    for (n, want) in [(0, DONE), (1, DONE), (1, Status::IDE_STREAM_ADDR_OVERLAP)] {
        let spare = SPARE[model.stream_count()];
        let operands = apart(&mut model, session, spare, n);
        assert_eq!(status(&mut model, CREATE, &operands), want);
    }
    let mut operands = apart(&mut model, session, SPARE[2], 2);
    operands[4..6].copy_from_slice(&apart(&mut model, session, SPARE[2], 1)[4..6]);
    let got = status(&mut model, CREATE, &operands);
    assert_eq!(got, Status::IDE_STREAM_RID_OVERLAP);
}

#[test]
fn many_streams() {
    let (mut model, session) = connected(true);
    // They need one page each, and the small machine has 64.
    let field = Field::IDE_MT_PAGE_COUNT.raw();
    ask(&mut model, Control::SetField, [field, 1, 0, 0, 0]);
    for n in 0..30 {
        let operands = apart(&mut model, session, page(30 + u64::from(n)), n);
        assert_eq!(status(&mut model, CREATE, &operands), DONE, "{n}");
    }
    assert_eq!(model.stream_count(), 30);
    let slots = model.machine_mut().streams_mut();
    let one = slots[0];
    slots.fill(one);
    let operands = apart(&mut model, session, page(62), 99);
    let got = status(&mut model, CREATE, &operands);
    assert_eq!(got, Status::IDE_STREAM_NOT_FREE);
}

#[test]
fn block_checks_in_order() {
    for late in PROFILES {
        let (mut model, session, id) = with_stream(late);
        features(&mut model, 0);
        assert_eq!(status(&mut model, BLOCK, &[0, 0]), NOT_READY);
        features(&mut model, 1 << 6);
        let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx);
        assert_eq!(status(&mut model, BLOCK, &[id, 0]), missing);
        for bad in [0, session, id + 1, id | 1 << 32] {
            assert_eq!(status(&mut model, BLOCK, &[session, bad]), UNKNOWN);
        }
        // A stream of another session is no stream of this one.
        let (_, other) = create(&mut model, 0x308, &SPARE[..3]);
        for leaf in [BLOCK, DELETE, Leaf::IDE_STREAM_KM] {
            assert_eq!(status(&mut model, leaf, &[other, id]), UNKNOWN);
        }
        interrupt(&mut model, BLOCK, 1);
        let stop = Status::INTERRUPTED_RESUMABLE;
        assert_eq!(status(&mut model, BLOCK, &[session, id]), stop);
        assert_eq!(status(&mut model, BLOCK, &[session, id]), DONE);
        let blocked = Status::IDE_STREAM_BLOCKED;
        assert_eq!(status(&mut model, BLOCK, &[session, id]), blocked);
        assert_eq!((model.balance().held, model.bugs().total()), (13, 0));
    }
}

#[test]
fn delete_checks_in_order() {
    for late in PROFILES {
        let (mut model, session, id) = with_stream(late);
        features(&mut model, 0);
        assert_eq!(status(&mut model, DELETE, &[0, 0, 1]), NOT_READY);
        features(&mut model, 1 << 6);
        let missing = Status::SPDM_ENTRY_NOT_PRESENT.on(Operand::Rcx);
        assert_eq!(status(&mut model, DELETE, &[id, 0, 1]), missing);
        assert_eq!(status(&mut model, DELETE, &[session, 0, 1]), UNKNOWN);
        let unblocked = Status::IDE_STREAM_NOT_BLOCKED;
        assert_eq!(status(&mut model, DELETE, &[session, id, 1]), unblocked);
        assert_eq!(status(&mut model, BLOCK, &[session, id]), DONE);
        // A session that was disconnected too early has to be connected once more.
        let ended = exchange(&mut model, Leaf::SPDM_DISCONNECT, &disconnect(session)).0;
        assert_eq!(ended, DONE);
        let unconnected = Status::SPDM_INVALID_STATE;
        assert_eq!(status(&mut model, DELETE, &[session, id, 1]), unconnected);
        let connection = connect(&mut model, session);
        assert_eq!(
            exchange(&mut model, Leaf::SPDM_CONNECT, &connection).0,
            DONE
        );
        if !late {
            // There is one page only.
            assert_eq!(
                status(&mut model, DELETE, &[session, id, AUX]),
                bad(Operand::R8)
            );
        }
        let aux = if late { u64::MAX } else { 0 };
        let (status, regs) = call(&mut model, DELETE, &[session, id, aux]);
        let back = if late { session } else { STREAM };
        assert_eq!((status, regs.rcx), (DONE, back));
        assert_eq!((model.balance().held, model.balance().unproved), (9, 1));
        assert_eq!(call(&mut model, DELETE, &[session, id, aux]).0, UNKNOWN);
        assert_eq!(model.bugs().total(), 0);
    }
}

#[test]
fn streams_of_more_than_one_page() {
    for late in PROFILES {
        let (mut model, session) = connected(late);
        let field = Field::IDE_MT_PAGE_COUNT.raw();
        ask(&mut model, Control::SetField, [field, 2, 0, 0, 0]);
        let mut operands = stream(&mut model, session, SPARE[0]);
        model.put(ROOT, &[SPARE[0], SPARE[0]]);
        operands[2] = ROOT | 1 << 55;
        let twice = Status::PAGE_METADATA_INCORRECT.on(Operand::R8);
        assert_eq!(status(&mut model, CREATE, &operands), twice);
        model.put(ROOT, &[SPARE[0], SPARE[1]]);
        interrupt(&mut model, CREATE, 1);
        let stop = Status::INTERRUPTED_RESUMABLE;
        assert_eq!(status(&mut model, CREATE, &operands), stop);
        for at in 0..9 {
            let mut other = operands;
            other[at] ^= 1 << 20;
            let got = status(&mut model, CREATE, &other);
            assert_eq!(got, Status::INVALID_RESUMPTION, "operand {at}");
        }
        assert_eq!(model.bugs().count(Bug::OtherOperands), 9);
        let (done, regs) = call(&mut model, CREATE, &operands);
        assert_eq!((done, model.balance().held), (DONE, 11));
        let id = regs.rcx;
        assert_eq!(status(&mut model, BLOCK, &[session, id]), DONE);
        if late {
            assert_eq!(status(&mut model, DELETE, &[session, id, 5]), DONE);
            continue;
        }
        for aux in [0, AUX | 1 << 55, NOWHERE] {
            let got = status(&mut model, DELETE, &[session, id, aux]);
            assert_eq!(got, bad(Operand::R8), "{aux:#x}");
        }
        ask(&mut model, Control::KeepPages, [1, 0, 0, 0, 0]);
        let (done, regs) = call(&mut model, DELETE, &[session, id, AUX]);
        assert_eq!((done, regs.rcx), (DONE, 1 << 55 | AUX));
        assert_eq!(words(&mut model, AUX)[..2], SPARE[..2]);
        assert_eq!((model.balance().held, model.stream_count()), (11, 0));
    }
}
