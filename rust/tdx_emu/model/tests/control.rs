// SPDX-License-Identifier: GPL-2.0

//! The control calls.

use super::super::{
    bugs::Bug,
    sim::{
        page,
        Sim, //
    },
    Model, //
};
use crate::abi::{
    emu::{
        Control,
        MAGIC,
        MARK, //
    },
    field::Field,
    status::Operand,
    Leaf,
    Status, //
};

const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

const PLAIN: [u64; 5] = [0; 5];

fn ask(model: &mut Model<Sim>, control: Control, operands: [u64; 5]) -> Status {
    model.ask(control, operands).0
}

#[test]
fn ping_answers_and_an_unknown_control_call_is_an_unknown_leaf() {
    let mut model = Model::small();
    assert_eq!(model.ask(Control::Ping, PLAIN).1.r8, MAGIC);
    let (status, regs) = model.call(Leaf::from_raw(MARK | 0xff), 3, 4);
    assert_eq!(status, bad(Operand::Rax));
    assert_eq!((regs.rcx, regs.rdx, regs.r8), (3, 4, 0));
    assert_eq!(
        model.counters().unknown().calls,
        1,
        "control calls are not counted"
    );
}

#[test]
fn a_wrong_operand_is_named_and_changes_nothing() {
    let mut model = Model::small();
    let field = Field::IOMMU_MT_PAGE_COUNT.raw();
    let wbinvd = Leaf::PHYMEM_PAGE_WBINVD.number();
    for (control, operands, operand) in [
        (Control::SetField, [5, 0, 0, 0, 0], Operand::Rcx),
        (Control::SetField, [field, 0, 4, 0, 0], Operand::R8),
        (Control::SetField, [field, 0, 2, 0, 0], Operand::R9),
        (Control::SetField, [field, 0, 3, 0, 0], Operand::R9),
        (Control::SetField, [5, 0, 3, 1, 0], Operand::Rcx),
        (Control::Fail, [5, 1, 0, 0, 1], Operand::Rcx),
        (Control::Fail, [61, 0, 0, 0, 1], Operand::Rdx),
        (Control::Fail, [61, 1, 0, 2, 1], Operand::R9),
        (Control::Fail, [wbinvd, 1, 0, 0, 1], Operand::R8),
        (Control::Fail, [wbinvd, 1, 0x301 << 32, 1, 1], Operand::R8),
        (Control::Interrupt, [5, 1, 0, 0, 0], Operand::Rcx),
        (Control::Interrupt, [61, 0, 1, 0, 0], Operand::Rdx),
        (Control::Interrupt, [61, 512, 1, 0, 0], Operand::Rdx),
        (Control::Interrupt, [60, 0, 2, 0, 0], Operand::Rcx),
        (Control::Interrupt, [61, 0, 3, 0, 0], Operand::R8),
        (Control::Progress, [5, 0, 0, 0, 0], Operand::Rcx),
        (Control::Outputs, [wbinvd, 1, 0, 0, 0], Operand::Rcx),
        (Control::Outputs, [5, 1, 0, 0, 0], Operand::Rcx),
        (Control::Outputs, [61, 3, 0, 0, 0], Operand::Rdx),
        (Control::Outputs, [61, 1, 0, 2, 0], Operand::R9),
        (Control::Mix, [1001, 0, 0, 0, 0], Operand::Rcx),
        (Control::Mix, [1000, 0, 5, 0, 0], Operand::R8),
        (Control::Refuse, [0x1001, 0, 0, 0, 0], Operand::Rcx),
        (Control::Calls, [5, 0, 0, 0, 0], Operand::Rcx),
        (Control::Page, [0x1001, 0, 0, 0, 0], Operand::Rcx),
        (Control::Page, [page(32), 0, 0, 0, 0], Operand::Rcx),
        (Control::KeepPages, [3, 0, 0, 0, 0], Operand::Rcx),
        (Control::KeepPages, [2, 1, 0, 0, 0], Operand::Rdx),
        (Control::KeepPages, [1, 0, 2, 0, 0], Operand::R8),
    ] {
        let status = ask(&mut model, control, operands);
        assert_eq!(status, bad(operand), "{control:?} {operands:x?}");
    }
    assert_eq!(model.call(Leaf::SYS_RD, 0, field).1.r8, 2);
    assert!(model
        .call(Leaf::PHYMEM_PAGE_WBINVD, 5 << 46, 0)
        .0
        .is_success());
}

#[test]
fn a_ninth_refusal_is_refused() {
    let mut model = Model::small();
    for n in 0..8 {
        assert!(ask(&mut model, Control::Refuse, [n << 30, 0, 0, 0, 0]).is_success());
    }
    let status = ask(&mut model, Control::Refuse, [8 << 30, 0, 0, 0, 0]);
    assert_eq!(status, bad(Operand::Rcx));
}

#[test]
fn a_fault_comes_before_any_effect_or_after_the_whole() {
    const BUSY: Status = Status::OPERAND_BUSY;
    for (after, taken) in [(0, 0), (1, 4)] {
        let mut model = Model::small();
        model.put(page(1), &[page(4), page(5), page(6), page(7)]);
        let add = |model: &mut Model<Sim>| model.call(Leaf::EXT_MEM_ADD, page(1) | 3 << 55, 0);
        let fault = [Leaf::EXT_MEM_ADD.number(), 1, BUSY.raw(), after, 1];
        assert!(ask(&mut model, Control::Fail, fault).is_success());
        let (status, regs) = add(&mut model);
        assert_eq!((status, model.balance().taken), (BUSY, taken));
        assert_eq!(regs.rcx, page(1) | 3 << 55 | taken << 3);
        if after == 0 {
            assert_eq!(
                add(&mut model).0,
                Status::SUCCESS,
                "only the one call failed"
            );
        }
        let calls = model.ask(Control::Calls, [61, 0, 0, 0, 0]).1;
        assert_eq!(
            (calls.r8, calls.r9),
            if after == 0 { (2, 1) } else { (1, 0) }
        );
    }
}

#[test]
fn faults_of_a_leaf_come_in_turn_until_they_are_cleared() {
    let mut model = Model::small();
    let leaf = Leaf::SYS_RD.number();
    let field = Field::FEATURES0.raw();
    let read = |model: &mut Model<Sim>| model.call(Leaf::SYS_RD, 0, field).0;
    let (busy, down) = (Status::OPERAND_BUSY, Status::SYS_SHUTDOWN);
    let set = |model: &mut Model<Sim>| {
        for (nth, status, after) in [(1, busy, 1), (1, down, 0), (2, busy, 0), (1, busy, 0)] {
            let fault = [leaf, nth, status.raw(), after, 1];
            assert!(ask(model, Control::Fail, fault).is_success());
        }
    };
    set(&mut model);
    let full = ask(&mut model, Control::Fail, [leaf, 1, 0, 0, 1]);
    assert_eq!(full, bad(Operand::Rcx));
    for want in [busy, down, Status::SUCCESS, busy, busy, Status::SUCCESS] {
        assert_eq!(read(&mut model), want);
    }
    set(&mut model);
    // Nothing else is looked at.
    let clear = [leaf, 0, u64::MAX, 9, 0];
    assert!(ask(&mut model, Control::Fail, clear).is_success());
    assert_eq!(read(&mut model), Status::SUCCESS);
}

#[test]
fn a_final_fault_ends_a_resume_and_no_other() {
    let leaf = Leaf::IOMMU_SETUP;
    for (fault, bugs) in [
        (Status::IOMMU_INVALID_STATE, 0),
        (Status::OPERAND_BUSY, 1),
        (Status::SYS_SHUTDOWN, 1),
    ] {
        let mut model = Model::small();
        model.put(page(1), &[page(4) | 2, page(6) | 2, page(8), page(9)]);
        assert!(ask(&mut model, Control::Interrupt, [leaf.number(), 1, 0, 0, 0]).is_success());
        let operands = [leaf.number(), 2, fault.raw(), 0, 1];
        assert!(ask(&mut model, Control::Fail, operands).is_success());
        let first = model.call(leaf, 1 << 40, page(1)).0;
        assert_eq!(first, Status::INTERRUPTED_RESUMABLE);
        assert_eq!(model.call(leaf, 1 << 40, page(1)).0, fault);
        // Other operands: fine for a new call, a mistake for a resume.
        let want = if bugs == 0 {
            Status::INTERRUPTED_RESUMABLE
        } else {
            Status::INVALID_RESUMPTION
        };
        assert_eq!((fault, model.call(leaf, 1 << 41, page(1)).0), (fault, want));
        assert_eq!(model.bugs().total(), bugs);
    }
}

#[test]
fn page_and_balance() {
    let mut model = Model::small();
    model.put(page(1), &[page(4)]);
    assert!(model.call(Leaf::EXT_MEM_ADD, page(1), 0).0.is_success());
    let (_, regs) = model.ask(Control::Page, [page(4), 0, 0, 0, 0]);
    assert_eq!((regs.rcx, regs.rdx, regs.r8), (0x80, 0, 1));
    model.machine_mut().memory[4][1] = 0;
    assert!(ask(&mut model, Control::Page, [page(4), 0, 0, 0, 0]).is_success());
    let (_, regs) = model.ask(Control::Balance, PLAIN);
    let got = [regs.rcx, regs.rdx, regs.r8, regs.r9, regs.r10, regs.r11];
    assert_eq!(got, [1, 0, 1, 0, 0, 1]);
    assert_eq!(model.bugs().first(Bug::Changed).unwrap().detail, 8);
}

#[test]
fn reset_forgets_everything() {
    let mut model = Model::small();
    model.put(page(1), &[page(4) | 2, page(6) | 2, page(8), page(9)]);
    let setup = |model: &mut Model<Sim>| model.call(Leaf::IOMMU_SETUP, 1 << 40, page(1)).0;
    assert_eq!(setup(&mut model), Status::SUCCESS);
    let features = Field::FEATURES0.raw();
    for (control, operands) in [
        (Control::SetField, [features, 0, 0, 0, 0]),
        (Control::Fail, [128, 1, 7 << 32, 0, 99]),
        (Control::Interrupt, [128, 9, 0, 0, 0]),
        (Control::Refuse, [1 << 40, 0, 0, 0, 0]),
        (Control::KeepPages, [1, 0, 0, 0, 0]),
    ] {
        assert!(ask(&mut model, control, operands).is_success());
    }
    assert!(ask(&mut model, Control::Reset, PLAIN).is_success());
    assert_eq!(model.balance(), Default::default());
    assert_eq!(model.counters().get(Leaf::IOMMU_SETUP).calls, 0);
    model.put(page(1), &[page(4) | 2, page(6) | 2, page(8), page(9)]);
    assert_eq!(setup(&mut model), Status::SUCCESS);
    assert!(model.call(Leaf::IOMMU_CLEAR, 0x100, page(1)).0.is_success());
    assert_eq!(model.balance().unproved, 6);
}

#[test]
fn reset_forgets_what_is_half_done_and_what_is_done() {
    let mut model = Model::small();
    for _ in 0..2 {
        model.put(page(1), &[page(4), page(5), page(6), page(7)]);
        let (status, _) = model.call(Leaf::EXT_MEM_ADD, page(1) | 3 << 55, 0);
        assert_eq!(status, Status::SUCCESS);
        assert_eq!(model.call(Leaf::EXT_INIT, 0, 0).0, Status::SUCCESS);
        let required = model.call(Leaf::SYS_RD, 0, Field::EXT_REQUIRED_U16.raw()).1;
        assert_eq!(required.r8, 0, "the extensions were started, this time too");
        assert!(ask(&mut model, Control::Reset, PLAIN).is_success());
    }
    // An IOMMU is half set up when the reset comes.
    let leaf = Leaf::IOMMU_SETUP;
    model.put(page(1), &[page(4) | 2, page(6) | 2, page(8), page(9)]);
    assert!(ask(&mut model, Control::Interrupt, [leaf.number(), 1, 0, 0, 0]).is_success());
    assert_eq!(
        model.call(leaf, 1 << 40, page(1)).0,
        Status::INTERRUPTED_RESUMABLE
    );
    assert!(ask(&mut model, Control::Reset, PLAIN).is_success());
    assert_eq!(model.call(leaf, 1 << 41, page(1)).0, Status::SUCCESS);
}

#[test]
fn owned_pages_are_inspected_in_steps() {
    let mut model = Model::small();
    model.put(page(1), &[page(4), page(9), page(20), page(31)]);
    assert!(model
        .call(Leaf::EXT_MEM_ADD, page(1) | 3 << 55, 0)
        .0
        .is_success());
    for n in [4, 9, 20, 31] {
        model.machine_mut().memory[n][7] = 0;
    }
    model.machine_mut().memory[5][7] = 0;
    let (mut from, mut steps) = (Some(0), 0);
    while let Some(at) = from {
        let before = model.bugs().total();
        from = model.inspect_owned(at, 10, 1);
        assert!(
            model.bugs().total() <= before + 1,
            "one owned page at a time"
        );
        steps += 1;
    }
    assert_eq!(model.inspect_owned(0, 10, 99), Some(10));
    assert_eq!((model.bugs().count(Bug::Changed), steps), (4, 4));
}

#[test]
fn a_lie_about_an_id_is_told_once_and_of_one_leaf() {
    let mut model = Model::small();
    let (status, _) = model.ask(Control::Id, [Leaf::IOMMU_CLEAR.number(), 1, 0, 0, 0]);
    assert_eq!(status, Status::OPERAND_INVALID.on(Operand::Rcx));
    let (status, _) = model.ask(Control::Profile, [2, 0, 0, 0, 0]);
    assert_eq!(status, Status::OPERAND_INVALID.on(Operand::Rcx));
    let lie = [Leaf::IOMMU_SETUP.number(), 0x55, 0, 0, 0];
    assert_eq!(model.ask(Control::Id, lie).0, Status::SUCCESS);
    // Not for what fails, nor for another leaf.
    assert_ne!(model.call(Leaf::IOMMU_SETUP, 0, 0).0, Status::SUCCESS);
    let (status, regs) = model.call(Leaf::SYS_RD, 0, 0x3000_0001_0000_0003);
    assert_eq!((status, regs.rcx), (Status::SUCCESS, 0));
}
