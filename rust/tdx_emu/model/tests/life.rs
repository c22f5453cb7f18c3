// SPDX-License-Identifier: GPL-2.0

//! The whole life of a session and its stream.

use super::super::{
    page::PageState,
    sim::Sim,
    Machine,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    Leaf,
    Status, //
};

/// IOMMU.SETUP, SPDM.CREATE, CONNECT, IDE.CREATE, KM, BLOCK, IDE.DELETE, DISCONNECT, SPDM.DELETE,
/// IOMMU.CLEAR: at the end every page is the host's.
#[test]
fn every_page_comes_back() {
    for late in PROFILES {
        // Without interruptions, and with each leaf that can be resumed interrupted.
        for stops in [0, 2] {
            let mut model = ready(late);
            for leaf in Leaf::ALL {
                interrupt(&mut model, *leaf, stops);
            }
            model.put(ROOT, &SESSION);
            let run = |model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]| loop {
                let (status, regs) = call(model, leaf, operands);
                match status {
                    Status::INTERRUPTED_RESUMABLE => {}
                    Status::SPDM_REQUEST => drop(device(model)),
                    _ => {
                        assert_eq!(status, Status::SUCCESS, "{leaf}");
                        return regs.rcx;
                    }
                }
            };
            let list = word(&model, &SESSION);
            let id = run(&mut model, Leaf::SPDM_CREATE, &[FUNCTION, list]);
            let operands = connect(&mut model, id);
            run(&mut model, Leaf::SPDM_CONNECT, &operands);
            let operands = stream(&mut model, id, STREAM);
            let stream = run(&mut model, Leaf::IDE_STREAM_CREATE, &operands);
            assert_eq!(model.balance().held, 10);
            for operation in 0..3 {
                run(
                    &mut model,
                    Leaf::IDE_STREAM_KM,
                    &keys(id, stream, operation),
                );
                run(&mut model, Leaf::SPDM_MNG, &manage(id, operation % 2));
            }
            run(&mut model, Leaf::IDE_STREAM_BLOCK, &[id, stream]);
            run(&mut model, Leaf::IDE_STREAM_DELETE, &[id, stream, 0]);
            run(&mut model, Leaf::SPDM_DISCONNECT, &disconnect(id));
            run(&mut model, Leaf::SPDM_DELETE, &[id, AUX]);
            run(&mut model, Leaf::IOMMU_CLEAR, &[0x100, AUX]);
            prove(&mut model);
            let balance = model.balance();
            assert_eq!((balance.taken, balance.released), (10, 10));
            assert_eq!((balance.owned(), balance.unproved), (0, 0));
            assert_eq!(model.bugs().total(), 0);
            let states = model.machine_mut().states();
            assert!(states.iter().all(|state| *state == PageState::FREE));
            let objects = (
                model.iommu_count(),
                model.session_count(),
                model.stream_count(),
            );
            assert_eq!(objects, (0, 0, 0));
        }
    }
}

#[test]
fn a_reset_forgets_sessions_and_streams() {
    let (mut model, id, stream) = with_stream(false);
    assert_eq!(model.ask(Control::Objects, [0; 5]).1.rdx, 1);
    for (control, operands) in [
        (Control::Exchange, [0, 0, 0, 0, 0]),
        (Control::Exchange, [3, 1, 0, 0, 0]),
        (Control::Released, [6, 9, 0, 0, 0]),
        (Control::Interrupt, [Leaf::SPDM_MNG.number(), 1, 0, 0, 0]),
    ] {
        ask(&mut model, control, operands);
    }
    let (status, _) = call(&mut model, Leaf::SPDM_MNG, &manage(id, 0));
    assert_eq!(status, Status::INTERRUPTED_RESUMABLE);
    ask(&mut model, Control::Update, [1, 0, 0, 0, 0]);
    ask(&mut model, Control::Reset, [0; 5]);
    let (_, regs) = model.ask(Control::Objects, [0; 5]);
    assert_eq!((regs.rcx, regs.rdx, regs.r8, regs.r9), (0, 0, 0, 0));
    let (status, _) = call(&mut model, Leaf::IDE_STREAM_BLOCK, &[id, stream]);
    assert_eq!(
        status,
        Status::CONNECT_INVALID_STATE,
        "the extensions are not started"
    );
    // Another life, with other operands.
    assert!(call(&mut model, Leaf::EXT_INIT, &[]).0.is_success());
    model.put(ROOT, &IOMMU_MT);
    assert!(call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT])
        .0
        .is_success());
    assert!(create(&mut model, 0x308, &SESSION).0.is_success());
    let operands = connect(&mut model, id);
    assert_eq!(exchange(&mut model, Leaf::SPDM_CONNECT, &operands).2, 3);
    let mut operands = manage(id, 0);
    operands[2] = CONFIG;
    assert_eq!(exchange(&mut model, Leaf::SPDM_MNG, &operands).2, 3);
    let (status, ..) = exchange(&mut model, Leaf::SPDM_DISCONNECT, &disconnect(id));
    assert_eq!(status, Status::SUCCESS);
    let (_, regs) = call(&mut model, Leaf::SPDM_DELETE, &[id, AUX]);
    assert_eq!(regs.rcx, 2 << 55 | AUX);
    assert_eq!(model.bugs().total(), 0);
}
