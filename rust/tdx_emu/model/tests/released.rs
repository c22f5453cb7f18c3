// SPDX-License-Identifier: GPL-2.0

//! Lies about the pages that a DELETE or a CLEAR gives back.

use super::super::{
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

const TRUTH: u64 = 2 << 55 | AUX;

/// Deletes a session with this lie; gives the word and the list.
fn told(operands: [u64; 5]) -> (u64, [u64; 3]) {
    let (mut model, id) = with_session(false);
    ask(&mut model, Control::Released, operands);
    model.put(AUX, &[7; 3]);
    let (status, regs) = call(&mut model, Leaf::SPDM_DELETE, &[id, AUX]);
    assert_eq!(status, Status::SUCCESS);
    // Whatever is said, all pages were let go of.
    assert_eq!((model.balance().held, model.balance().unproved), (6, 3));
    let list = words(&mut model, AUX);
    (regs.rcx, [list[0], list[1], list[2]])
}

#[test]
fn each_lie() {
    let [a, b, c] = SESSION;
    for (operands, word, list) in [
        ([0, 0, 0, 0, 0], TRUTH, [a, b, c]),
        ([1, 2, 0, 0, 0], 1 << 55 | AUX, [a, b, c]),
        ([1, 512, 0, 0, 0], 511 << 55 | AUX, [a, b, c]),
        ([2, 0x1234_5000, 1, 0, 0], TRUTH, [a, 0x1234_5000, c]),
        ([2, u64::MAX, 0, 0, 0], TRUTH, [u64::MAX, b, c]),
        ([3, 2, 0, 0, 0], TRUTH, [a, b, a]),
        ([4, 1, 0, 0, 0], TRUTH, [c, a, b]),
        ([5, 0, 0, 0, 0], TRUTH, [c, b, a]),
        ([6, 0x5000, 0, 0, 0], 0x5000, [a, b, c]),
        ([7, 0, 0, 0, 0], TRUTH, [7, 7, 7]),
    ] {
        assert_eq!(told(operands), (word, list), "{operands:x?}");
    }
}

#[test]
fn a_wrong_operand_is_named() {
    let mut model = Model::small();
    for (operands, operand) in [
        ([8, 0, 0, 0, 0], Operand::Rcx),
        ([1, 0, 0, 0, 0], Operand::Rdx),
        ([1, 513, 0, 0, 0], Operand::Rdx),
        ([2, 0, 512, 0, 0], Operand::R8),
        ([3, 512, 0, 0, 0], Operand::Rdx),
        ([4, u64::MAX, 0, 0, 0], Operand::Rdx),
    ] {
        let (status, _) = model.ask(Control::Released, operands);
        assert_eq!(status, Status::OPERAND_INVALID.on(operand), "{operands:x?}");
    }
}

#[test]
fn about_a_single_page() {
    for (operands, want) in [
        ([0, 0, 0, 0, 0], STREAM),
        ([1, 3, 0, 0, 0], 2 << 55 | STREAM),
        ([2, 0x1234_5000, 0, 0, 0], 0x1234_5000),
        ([4, 1, 0, 0, 0], STREAM),
        ([6, 9, 0, 0, 0], 9),
    ] {
        let (mut model, id, stream) = with_stream(false);
        ask(&mut model, Control::Released, operands);
        assert!(call(&mut model, Leaf::IDE_STREAM_BLOCK, &[id, stream])
            .0
            .is_success());
        let (status, regs) = call(&mut model, Leaf::IDE_STREAM_DELETE, &[id, stream, 0]);
        assert_eq!((status, regs.rcx), (Status::SUCCESS, want), "{operands:x?}");
    }
}

#[test]
fn the_late_profile_says_nothing_so_it_cannot_lie() {
    let (mut model, id) = with_session(true);
    ask(&mut model, Control::Released, [6, 9, 0, 0, 0]);
    let (status, regs) = call(&mut model, Leaf::SPDM_DELETE, &[id, AUX]);
    assert_eq!((status, regs.rcx), (Status::SUCCESS, id));
}

#[test]
fn about_an_iommu() {
    let list = |model: &mut Model<Sim>| -> Vec<u64> { words(model, ROOT)[..4].to_vec() };
    let [a, b, c, d] = IOMMU_MT;
    for (operands, want) in [([4, 1, 0, 0, 0], [d, a, b, c]), ([7, 0, 0, 0, 0], [0; 4])] {
        let mut model = ready(false);
        ask(&mut model, Control::Released, operands);
        model.put(ROOT, &[0; 4]);
        assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[0x100, ROOT])
            .0
            .is_success());
        assert_eq!(list(&mut model), want);
        assert_eq!(model.balance().held, 0);
    }
}
