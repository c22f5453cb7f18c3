// SPDX-License-Identifier: GPL-2.0

//! TDH.EXT.MEM.ADD and TDH.EXT.INIT.

use super::super::{
    bugs::Bug,
    leaf_ext::POOL_FULL_STAND_IN,
    machine::Kind,
    page::PageType,
    sim::{
        page,
        Sim, //
    },
    Config,
    Model, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    list::{
        Entries,
        HpaListInfo, //
    },
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const ROOT: u64 = page(1);
const BAD: Status = Status::OPERAND_INVALID.on(Operand::Rcx);
const NOT_FREE: Status = Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx);

fn word(entries: usize) -> HpaListInfo {
    HpaListInfo::new(Entries::new(entries).unwrap(), Hpa::new(ROOT).unwrap())
}

fn add(model: &mut Model<Sim>, word: HpaListInfo) -> (Status, HpaListInfo) {
    let (status, regs) = model.call(Leaf::EXT_MEM_ADD, word.raw(), 0);
    (status, HpaListInfo::from_raw(regs.rcx))
}

fn set(model: &mut Model<Sim>, field: Field, value: u64) {
    let set = model
        .ask(Control::SetField, [field.raw(), value, 0, 0, 0])
        .0;
    assert!(set.is_success());
}

#[test]
fn takes_all_entries_and_wants_no_more() {
    let mut model = Model::small();
    model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
    let (status, back) = add(&mut model, word(4));
    assert_eq!((status, back), (Status::SUCCESS, word(4).with_first(4)));
    let balance = model.balance();
    assert_eq!((balance.taken, balance.pool, balance.held), (4, 4, 0));
    for n in 4..8 {
        let state = model.page(Hpa::new(page(n)).unwrap()).unwrap();
        assert_eq!(
            (state.page_type(), state.is_dirty()),
            (PageType::Pool, true)
        );
    }
    let (_, regs) = model.call(Leaf::SYS_RD, 0, Field::POOL_REQUIRED_PAGES_U16.raw());
    assert_eq!(regs.r8, 0);
    // One more is a note of the success class, and is not taken.
    model.put(ROOT, &[page(8)]);
    let (status, back) = add(&mut model, word(1));
    assert_eq!((status, back), (POOL_FULL_STAND_IN, word(1)));
    assert!(status.is_success_class() && !status.is_success());
    assert_eq!(model.balance().pool, 4);
}

#[test]
fn checks_in_order() {
    let mut model = Model::small();
    let machine = model.machine_mut();
    machine
        .odd
        .push((Hpa::new(page(9)).unwrap(), Kind::Reserved));
    machine
        .odd
        .push((Hpa::new(page(10)).unwrap(), Kind::Absent));
    // Whatever is wrong with the word or the list: without the feature nothing is looked at.
    set(&mut model, Field::FEATURES0, 1 << 6);
    for rcx in [0, u64::MAX, word(1).raw()] {
        let (status, back) = add(&mut model, HpaListInfo::from_raw(rcx));
        assert_eq!((status, back.raw()), (Status::CONNECT_INVALID_STATE, rcx));
    }
    set(&mut model, Field::FEATURES0, 1 << 39);

    let (no_memory, high) = (page(32), 1 << 46);
    let same_count = word(1).raw() & !0xf_ffff_ffff_f000;
    for (rcx, entry, want) in [
        (word(1).raw() | 1, page(4), BAD),
        (word(1).raw() | 1 << 52, page(4), BAD),
        (same_count | ROOT | high, page(4), BAD),
        (same_count | no_memory, page(4), BAD),
        (same_count | page(10), page(4), BAD),
        (word(1).raw(), page(4) | 1, BAD),
        (word(1).raw(), page(4) | high, BAD),
        (word(1).raw(), page(4) | 1 << 63, BAD),
        (
            word(1).raw(),
            no_memory,
            Status::OPERAND_ADDR_RANGE_ERROR.on(Operand::Rcx),
        ),
        (
            word(1).raw(),
            page(10),
            Status::OPERAND_ADDR_RANGE_ERROR.on(Operand::Rcx),
        ),
        (word(1).raw(), page(9), NOT_FREE),
    ] {
        model.put(ROOT, &[entry]);
        let (status, back) = add(&mut model, HpaListInfo::from_raw(rcx));
        assert_eq!(status, want, "{rcx:#x} {entry:#x}");
        assert_eq!(back.raw(), rcx, "nothing was processed");
    }
    assert_eq!((model.balance().taken, model.bugs().total()), (0, 0));
}

#[test]
fn entries_before_a_bad_one_stay_taken() {
    let mut model = Model::small();
    model.put(ROOT, &[page(4), page(5), page(4), page(6)]);
    let (status, back) = add(&mut model, word(4));
    assert_eq!((status, back.first()), (NOT_FREE, 2));
    assert_eq!(model.balance().pool, 2);
    // The host mends the list and goes on from there.
    model.put(ROOT, &[0, 0, page(7), page(6)]);
    assert_eq!(add(&mut model, back).0, Status::SUCCESS);
    assert_eq!(model.balance().pool, 4);
}

#[test]
fn an_interrupt_comes_between_entries_never_after_the_last() {
    const STOP: Status = Status::INTERRUPTED_RESUMABLE;
    for (k, stops) in [(1, 3), (2, 1), (3, 1), (4, 0), (5, 0)] {
        let mut model = Model::small();
        model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
        let leaf = Leaf::EXT_MEM_ADD.number();
        assert!(model
            .ask(Control::Interrupt, [leaf, k, 0, 0, 0])
            .0
            .is_success());
        let mut list = word(4);
        for n in 1..=stops {
            let (status, back) = add(&mut model, list);
            assert_eq!((status, back.first() as u64), (STOP, n * k), "k = {k}");
            assert_eq!(model.balance().pool, n * k);
            list = back;
        }
        assert_eq!(add(&mut model, list).0, Status::SUCCESS, "k = {k}");
        assert_eq!(model.balance().pool, 4);
        let counter = model.counters().get(Leaf::EXT_MEM_ADD);
        assert_eq!(
            (counter.interrupted, counter.ok, counter.failed()),
            (stops, 1, 0)
        );
    }
}

#[test]
fn a_full_list_wraps_and_a_completed_one_is_not_to_be_fed_again() {
    let mut model = Model::new(Sim::new(600, 1), Config::SMALL);
    set(&mut model, Field::POOL_REQUIRED_PAGES_U16, 600);
    let pages: Vec<u64> = (2..514).map(page).collect();
    model.put(ROOT, &pages);
    let (status, back) = add(&mut model, word(512));
    assert_eq!((status, back), (Status::SUCCESS, word(512)));
    assert_eq!(model.balance().pool, 512);
    // Fed again, a full list starts anew and finds its pages taken; a short one is past its end.
    assert_eq!(add(&mut model, back), (NOT_FREE, word(512)));
    assert_eq!(model.bugs().count(Bug::ListWasComplete), 1);
    // Another list that is full, too, looks just the same.
    set(&mut model, Field::POOL_REQUIRED_PAGES_U16, 600);
    model.put(ROOT, &[page(519)]);
    assert_eq!(add(&mut model, back).0, NOT_FREE);
    model.put(ROOT, &[page(520)]);
    let (status, back) = add(&mut model, word(1));
    assert_eq!((status, back.first()), (Status::SUCCESS, 1));
    assert_eq!(add(&mut model, back), (BAD, back));
    assert_eq!(model.bugs().count(Bug::ListWasComplete), 2);
}

#[test]
fn a_list_stays_as_it_is_while_it_is_worked_on() {
    for (changed, bugs) in [(1, 0), (2, 1), (3, 1)] {
        let mut model = Model::small();
        model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
        let leaf = Leaf::EXT_MEM_ADD.number();
        let stop = [leaf, 2, 0, 0, 0];
        assert!(model.ask(Control::Interrupt, stop).0.is_success());
        let (status, back) = add(&mut model, word(4));
        assert_eq!(status, Status::INTERRUPTED_RESUMABLE);
        let list = &mut model.machine_mut().memory[1];
        list[changed] = page(8);
        assert_eq!(add(&mut model, back).0, Status::SUCCESS);
        // What was taken already may be changed.
        assert_eq!(model.bugs().count(Bug::ListTouched), bugs, "{changed}");
        assert_eq!(model.bugs().total(), bugs);
    }
}

#[test]
fn a_list_page_is_never_the_tdx_modules() {
    let mut model = Model::small();
    model.put(ROOT, &[page(4), ROOT]);
    let (status, back) = add(&mut model, word(2));
    assert_eq!((status, back.first()), (BAD, 1));
    assert_eq!(model.bugs().count(Bug::ListListsItself), 1);
    let held = HpaListInfo::new(Entries::new(1).unwrap(), Hpa::new(page(4)).unwrap());
    assert_eq!(add(&mut model, held), (BAD, held));
    assert_eq!(model.bugs().count(Bug::ListIsHeld), 1);
    assert_eq!(model.balance().taken, 1);
}

#[test]
fn a_page_that_cannot_be_written_is_the_hosts_mistake() {
    let mut model = Model::small();
    model
        .machine_mut()
        .unmapped
        .push(Hpa::new(page(4)).unwrap());
    model.put(ROOT, &[page(4)]);
    assert_eq!(add(&mut model, word(1)).0, Status::SUCCESS);
    assert_eq!(model.bugs().count(Bug::NotMapped), 1);
}

#[test]
fn init_wants_its_memory_and_may_be_interrupted() {
    let mut model = Model::small();
    let init = |model: &mut Model<Sim>| model.call(Leaf::EXT_INIT, 7, 8).0;
    let required = |model: &mut Model<Sim>| {
        model
            .call(Leaf::SYS_RD, 0, Field::EXT_REQUIRED_U16.raw())
            .1
            .r8
    };
    let leaf = Leaf::EXT_INIT.number();
    assert!(model
        .ask(Control::Interrupt, [leaf, 2, 0, 0, 0])
        .0
        .is_success());
    assert_eq!(init(&mut model), Status::CONNECT_INVALID_STATE);
    model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
    assert_eq!(add(&mut model, word(4)).0, Status::SUCCESS);
    assert_eq!(init(&mut model), Status::INTERRUPTED_RESUMABLE);
    assert_eq!(init(&mut model), Status::INTERRUPTED_RESUMABLE);
    assert_eq!(required(&mut model), 1);
    assert_eq!(init(&mut model), Status::SUCCESS);
    assert_eq!(required(&mut model), 0);
    assert_eq!(init(&mut model), Status::SUCCESS, "nothing is left to do");
    set(&mut model, Field::FEATURES0, 1 << 6);
    assert_eq!(init(&mut model), Status::CONNECT_INVALID_STATE);
}
