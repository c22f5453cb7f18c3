// SPDX-License-Identifier: GPL-2.0

//! Lies by control calls, leaf by leaf; and chance.

use super::super::{
    bugs::Bug,
    machine::Machine,
    sim::{
        page,
        Sim, //
    },
    Model, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    list::{
        Entries,
        HpaListInfo, //
    },
    Hpa,
    Leaf,
    Status, //
};

const ROOT: u64 = page(1);
const STOP: Status = Status::INTERRUPTED_RESUMABLE;
const ADD: u64 = Leaf::EXT_MEM_ADD.number();

fn ask(model: &mut Model<Sim>, control: Control, operands: [u64; 5]) {
    assert_eq!(model.ask(control, operands).0, Status::SUCCESS);
}

fn list(entries: usize) -> HpaListInfo {
    HpaListInfo::new(Entries::new(entries).unwrap(), Hpa::new(ROOT).unwrap())
}

/// A pool of four, listed.
fn with_list() -> Model<Sim> {
    let mut model = Model::small();
    model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
    model
}

/// The answer to the word, and the first entry given back.
fn add(model: &mut Model<Sim>, word: HpaListInfo) -> (Status, usize) {
    let (status, regs) = model.call(Leaf::EXT_MEM_ADD, word.raw(), 0);
    let back = HpaListInfo::from_raw(regs.rcx);
    assert_eq!(back.with_first(0), word.with_first(0));
    (status, back.first())
}

#[test]
fn interrupted_at_one_entry_or_at_the_last() {
    for k in 1..4 {
        let mut model = with_list();
        ask(&mut model, Control::Interrupt, [ADD, k as u64, 1, 0, 0]);
        assert_eq!(add(&mut model, list(4)), (STOP, k), "once at entry {k}");
        assert_eq!(model.balance().pool, k as u64);
        let rest = list(4).with_first(k);
        assert_eq!(add(&mut model, rest), (Status::SUCCESS, 4));
    }
    let mut model = with_list();
    ask(&mut model, Control::Interrupt, [ADD, 4, 1, 0, 0]);
    assert_eq!(
        add(&mut model, list(4)),
        (Status::SUCCESS, 4),
        "no such entry"
    );

    let mut model = with_list();
    ask(&mut model, Control::Interrupt, [ADD, 0, 2, 0, 0]);
    assert_eq!(add(&mut model, list(2)), (STOP, 1), "at the last of each");
    assert_eq!(add(&mut model, list(2).with_first(1)), (Status::SUCCESS, 2));
    model.put(ROOT, &[page(6), page(7)]);
    assert_eq!(add(&mut model, list(2)), (STOP, 1));
    assert_eq!(add(&mut model, list(2).with_first(1)), (Status::SUCCESS, 2));
    assert_eq!((model.balance().pool, model.bugs().total()), (4, 0));
}

#[test]
fn the_nth_call_of_another_leaf_is_interrupted_once() {
    let mut model = with_list();
    let leaf = Leaf::IOMMU_SETUP.number();
    ask(&mut model, Control::Interrupt, [leaf, 2, 1, 0, 0]);
    let mut answers = Vec::new();
    for (n, base) in [(8, 0xfed9_0000), (16, 0xfed9_1000), (16, 0xfed9_1000)] {
        let queues = [page(n) | 2, page(n + 2) | 2];
        model.put(ROOT, &[queues[0], queues[1], page(n + 4), page(n + 5)]);
        answers.push(model.call(Leaf::IOMMU_SETUP, base, ROOT).0);
    }
    assert_eq!(answers, [Status::SUCCESS, STOP, Status::SUCCESS]);
    assert_eq!((model.balance().held, model.bugs().total()), (12, 0));
}

#[test]
fn progress_is_told_otherwise_on_every_exit() {
    for (lie, operand, stopped, done) in [
        (1, 0, 1, 1),
        (2, 1, 0, 0),
        (3, 1, 3, 5),
        (3, 3, 5, 7),
        (0, 0, 2, 4),
    ] {
        let mut model = with_list();
        ask(&mut model, Control::Progress, [lie, operand, 0, 0, 0]);
        ask(&mut model, Control::Interrupt, [ADD, 1, 0, 0, 0]);
        let word = list(4).with_first(1);
        assert_eq!(add(&mut model, word), (STOP, stopped), "{lie} {operand}");
        assert_eq!(model.balance().pool, 1, "the truth is what was taken");
        ask(&mut model, Control::Interrupt, [ADD, 0, 0, 0, 0]);
        model.put(ROOT, &[page(4), page(8), page(6), page(7)]);
        assert_eq!(add(&mut model, word), (Status::SUCCESS, done));
        assert_eq!(model.balance().pool, 4);
    }
    let mut model = with_list();
    ask(&mut model, Control::Progress, [4, 77, 0, 0, 0]);
    let (status, regs) = model.call(Leaf::EXT_MEM_ADD, list(4).raw(), 0);
    assert_eq!((status, regs.rcx), (Status::SUCCESS, 77));
}

/// What a host does that believes a lie is no mistake of its own.
#[test]
fn who_believes_a_lie_is_not_blamed() {
    for (lie, operand, taken) in [(3, 1, 3), (2, 1, 1), (1, 0, 1)] {
        let mut model = with_list();
        ask(&mut model, Control::Progress, [lie, operand, 0, 0, 0]);
        ask(&mut model, Control::Interrupt, [ADD, 1, 1, 0, 0]);
        let (status, first) = add(&mut model, list(4));
        assert_eq!(status, STOP);
        let _ = add(&mut model, list(4).with_first(first));
        assert_eq!(model.balance().pool, taken, "{lie}");
        assert_eq!(model.bugs().total(), 0, "{lie}");
    }
}

#[test]
fn outputs_are_left_by_the_call_before() {
    let leaf = Leaf::SPDM_CREATE.number();
    let stale = |model: &mut Model<Sim>| {
        let (status, regs) = model.call(Leaf::SYS_RD, 0x77, Field::FEATURES0.raw());
        assert_eq!((status, regs.rcx), (Status::SUCCESS, 0x77));
        let (status, regs) = model.call(Leaf::SPDM_CREATE, 0x100, 0);
        assert!(!status.is_success());
        regs.rcx
    };
    let mut model = Model::small();
    assert_eq!(stale(&mut model), 0x100);
    ask(&mut model, Control::Outputs, [leaf, 1, 0, 0, 0]);
    assert_eq!(stale(&mut model), 0x77);
    ask(&mut model, Control::Outputs, [leaf, 2, 9, 0, 0]);
    assert_eq!(stale(&mut model), 9);
    ask(&mut model, Control::Outputs, [leaf, 0, 0, 0, 0]);
    assert_eq!(stale(&mut model), 0x100);
    let read = Leaf::SYS_RD.number();
    for (always, want) in [(0, false), (1, true)] {
        ask(&mut model, Control::Outputs, [read, 2, 9, always, 0]);
        let (status, regs) = model.call(Leaf::SYS_RD, 0, Field::FEATURES0.raw());
        assert_eq!((status, regs.r8 == 9), (Status::SUCCESS, want));
    }
}

#[test]
fn a_field_tells_one_thing_and_is_another() {
    let mut model = Model::small();
    let field = Field::IOMMU_MT_PAGE_COUNT.raw();
    let mut reads = |operands| -> Vec<u64> {
        ask(&mut model, Control::SetField, operands);
        (0..4)
            .map(|_| model.call(Leaf::SYS_RD, 0, field).1.r8)
            .collect()
    };
    assert_eq!(reads([field, 5, 2, 3, 0]), [2, 2, 5, 5]);
    assert_eq!(reads([field, 5, 3, 2, 0]), [2, 5, 2, 5]);
    assert_eq!(reads([field, 2, 0, 0, 0]), [2; 4]);
    // Two queues and two pages is still what it takes.
    ask(&mut model, Control::SetField, [field, 5, 2, 1, 0]);
    model.put(ROOT, &[page(8) | 2, page(10) | 2, page(12), page(13)]);
    let (status, _) = model.call(Leaf::IOMMU_SETUP, 0xfed9_0000, ROOT);
    assert_eq!(status, Status::SUCCESS);
}

#[test]
fn reclaim_may_keep_pages_too() {
    let mut model = Model::small();
    model.put(ROOT, &[page(8) | 2, page(10) | 2, page(12), page(13)]);
    let (_, regs) = model.call(Leaf::IOMMU_SETUP, 0xfed9_0000, ROOT);
    ask(&mut model, Control::KeepPages, [2, page(9), 1, 0, 0]);
    assert!(model.call(Leaf::IOMMU_CLEAR, regs.rcx, ROOT).0.is_success());
    let reclaim = |model: &mut Model<Sim>| {
        let (status, _) = model.call(Leaf::PHYMEM_PAGE_RECLAIM, page(9), 0);
        (status, model.balance().held)
    };
    assert_eq!(reclaim(&mut model), (Status::SUCCESS, 1));
    ask(&mut model, Control::KeepPages, [2, page(9), 0, 0, 0]);
    assert_eq!(reclaim(&mut model), (Status::SUCCESS, 0));
}

#[test]
fn chance_is_the_same_for_a_seed_and_ends() {
    let answers = |seed: u64, per_mille: u64| -> Vec<(u64, u64)> {
        let mut model = with_list();
        ask(&mut model, Control::Mix, [per_mille, seed, 0, 0, 0]);
        let calls = (0..300).map(|_| {
            let (status, regs) = model.call(Leaf::SYS_RD, 0, Field::FEATURES0.raw());
            (status.raw(), regs.r8)
        });
        calls.collect()
    };
    let none = answers(1, 0);
    assert!(none.iter().all(|answer| *answer == none[0]));
    assert_eq!(answers(1, 500), answers(1, 500));
    assert_ne!(answers(1, 500), answers(2, 500));
    let wrong = answers(1, 500).iter().filter(|a| **a != none[0]).count();
    assert!((100..200).contains(&wrong), "{wrong} of 300");

    let mut model = with_list();
    let leaf = Leaf::SYS_RD.number();
    ask(&mut model, Control::Mix, [1000, 3, leaf, 0, 0]);
    assert!(model.mix().is_fresh(), "it is to be told");
    assert_eq!(add(&mut model, list(4)), (Status::SUCCESS, 4));
    ask(&mut model, Control::Reset, [0; 5]);
    let said = model.call(Leaf::SYS_RD, 0, Field::FEATURES0.raw()).0;
    assert_eq!(said, Status::SUCCESS, "reset ends it");
}

/// Under any mix the model knows the truth of each page, and blames nobody.
#[test]
fn chance_does_not_touch_the_books() {
    for seed in 0..300 {
        let mut model = with_list();
        ask(&mut model, Control::Mix, [400, seed, 0, 0, 0]);
        let mut word = list(4);
        for _ in 0..6 {
            let (status, regs) = model.call(Leaf::EXT_MEM_ADD, word.raw(), 0);
            let back = HpaListInfo::from_raw(regs.rcx);
            match word.processed(back) {
                Ok(_) if status == STOP => word = back,
                _ => break,
            }
        }
        model.put(page(2), &[page(8) | 2, page(10) | 2, page(12), page(13)]);
        let setup = |model: &mut Model<Sim>| model.call(Leaf::IOMMU_SETUP, 0xfed9_0000, page(2));
        let mut id = setup(&mut model).1.rcx;
        while setup(&mut model).0 == STOP {
            id = 0x100;
        }
        let _ = model.call(Leaf::IOMMU_CLEAR, id, page(3));
        for n in 8..14 {
            let _ = model.call(Leaf::PHYMEM_PAGE_RECLAIM, page(n), 0);
            let _ = model.call(Leaf::PHYMEM_PAGE_WBINVD, 5 << 46 | page(n), 0);
        }
        let balance = model.balance();
        let states = model.machine_mut().states().to_vec();
        let owned = states.iter().filter(|state| state.is_owned()).count() as u64;
        assert_eq!(balance.owned(), owned, "seed {seed}");
        let sum = balance.released + balance.pool + balance.held + balance.unproved;
        assert_eq!(balance.taken, sum, "seed {seed}");
        for bug in Bug::ALL {
            assert_eq!(model.bugs().count(bug), 0, "seed {seed}: {bug:?}");
        }
        // All calls are answered by the truth again.
        ask(&mut model, Control::Mix, [0; 5]);
        let (status, regs) = model.call(Leaf::PHYMEM_PAGE_RDMD, page(20), 0);
        assert_eq!((status, regs.rcx), (Status::SUCCESS, 0), "seed {seed}");
    }
}
