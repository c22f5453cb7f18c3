// SPDX-License-Identifier: GPL-2.0

//! TDH.IOMMU.SETUP and TDH.IOMMU.CLEAR.

use super::super::{
    bugs::Bug,
    machine::Kind,
    page::PageType,
    sim::{
        page,
        Sim, //
    },
    Config,
    Machine,
    Model, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const BASE: u64 = 0xfed9_0000;
const ROOT: u64 = page(1);
const BAD_RCX: Status = Status::OPERAND_INVALID.on(Operand::Rcx);
const BAD_RDX: Status = Status::OPERAND_INVALID.on(Operand::Rdx);
const NOT_FREE: Status = Status::PAGE_METADATA_INCORRECT.on(Operand::Rdx);
const ABSENT: Status = Status::OPERAND_ADDR_RANGE_ERROR.on(Operand::Rdx);
const STOP: Status = Status::INTERRUPTED_RESUMABLE;
/// Two queues of two pages, and two single pages: the pages 4 to 9.
const LIST: [u64; 4] = [page(4) | 2, page(6) | 2, page(8), page(9)];

fn setup(model: &mut Model<Sim>, base: u64) -> (Status, u64) {
    let (status, regs) = model.call(Leaf::IOMMU_SETUP, base, ROOT);
    (status, regs.rcx)
}

fn set(model: &mut Model<Sim>, field: Field, value: u64) {
    let set = model
        .ask(Control::SetField, [field.raw(), value, 0, 0, 0])
        .0;
    assert!(set.is_success());
}

fn interrupt(model: &mut Model<Sim>, leaf: Leaf, k: u64) {
    let set = model.ask(Control::Interrupt, [leaf.number(), k, 0, 0, 0]).0;
    assert!(set.is_success());
}

/// A TDX Module with the IOMMU set up; and its id.
fn ready(config: Config) -> (Model<Sim>, u64) {
    let mut model = Model::new(Sim::new(32, 2), config);
    model.put(ROOT, &LIST);
    let (status, id) = setup(&mut model, BASE);
    assert_eq!(status, Status::SUCCESS);
    (model, id)
}

#[test]
fn takes_both_pages_of_each_queue_and_every_single_page() {
    let (mut model, id) = ready(Config::SMALL);
    assert_ne!(id, BASE);
    let balance = model.balance();
    assert_eq!((balance.taken, balance.held, balance.pool), (6, 6, 0));
    for n in 4..10 {
        let state = model.page(Hpa::new(page(n)).unwrap()).unwrap();
        assert_eq!(state.page_type(), PageType::IommuMt);
        assert_eq!(u64::from(state.owner()), id);
    }
    assert_eq!(model.iommu_count(), 1);
    // The same one again, before anything is looked at in the list.
    model.put(ROOT, &[0; 4]);
    assert_eq!(setup(&mut model, BASE).0, Status::IOMMU_INVALID_STATE);
}

#[test]
fn setup_checks_in_order() {
    let mut model = Model::small();
    let high = 1 << 46;
    // Page 0 is no RAM here, and no register base either.
    let zero = Hpa::new(0).unwrap();
    model.machine_mut().odd.push((zero, Kind::Reserved));
    // Everything is wrong at first; each step mends what the step before was refused for.
    set(&mut model, Field::FEATURES0, 1 << 39);
    assert_eq!(
        model.call(Leaf::IOMMU_SETUP, 1, 1).0,
        Status::CONNECT_INVALID_STATE
    );
    set(&mut model, Field::FEATURES0, 1 << 6);
    assert!(model
        .ask(Control::Refuse, [BASE + 4096, 0, 0, 0, 0])
        .0
        .is_success());
    for base in [0, BASE + 1, BASE | high, page(5), BASE + 4096] {
        let (status, regs) = model.call(Leaf::IOMMU_SETUP, base, 1);
        assert_eq!(status, BAD_RCX, "{base:#x}");
        assert_eq!((regs.rcx, regs.rdx), (base, 1), "outputs are untouched");
    }
    for root in [ROOT | 1, ROOT | 1 << 55, ROOT | high, page(32)] {
        assert_eq!(
            model.call(Leaf::IOMMU_SETUP, BASE, root).0,
            BAD_RDX,
            "{root:#x}"
        );
    }
    set(&mut model, Field::IOMMU_MT_PAGE_COUNT, 511);
    assert_eq!(setup(&mut model, BASE).0, BAD_RDX);
    set(&mut model, Field::IOMMU_MT_PAGE_COUNT, 2);
    for (at, word, want) in [
        (0, page(4) | 3, BAD_RDX),
        (0, page(5) | 2, BAD_RDX),
        (0, page(4) | high | 2, BAD_RDX),
        (0, page(4), BAD_RDX),
        (1, page(8) | 4, BAD_RDX),
        (1, page(31) | 1, BAD_RDX),
        (1, page(32) | 2, ABSENT),
        (1, page(4) | 2, NOT_FREE),
        (2, page(8) | 1, BAD_RDX),
        (2, page(8) | 1 << 63, BAD_RDX),
        (2, page(7), NOT_FREE),
        (3, page(32), ABSENT),
        (3, page(8), NOT_FREE),
    ] {
        let mut list = LIST;
        list[at] = word;
        model.put(ROOT, &list);
        let (status, rcx) = setup(&mut model, BASE);
        assert_eq!((status, rcx), (want, BASE), "entry {at} = {word:#x}");
        let untouched = model
            .machine_mut()
            .states()
            .iter()
            .all(|s| *s == Default::default());
        assert!(untouched, "entry {at} = {word:#x}: all or nothing");
    }
    assert_eq!((model.balance().taken, model.bugs().total()), (0, 0));
    model.put(ROOT, &LIST);
    assert_eq!(setup(&mut model, BASE).0, Status::SUCCESS);
}

#[test]
fn single_page_queues_and_no_other_page() {
    for queue in [0, 1] {
        let mut model = Model::small();
        set(&mut model, Field::IOMMU_MT_PAGE_COUNT, 0);
        model.put(ROOT, &[page(5) | queue, page(7) | queue, page(8)]);
        assert_eq!(setup(&mut model, BASE).0, Status::SUCCESS);
        assert_eq!(model.balance().held, 2);
    }
}

#[test]
fn a_full_root_page() {
    let mut model = Model::new(Sim::new(600, 1), Config::SMALL);
    set(&mut model, Field::IOMMU_MT_PAGE_COUNT, 510);
    let list: Vec<u64> = [page(4) | 2, page(6) | 2]
        .into_iter()
        .chain((8..518).map(page))
        .collect();
    model.put(ROOT, &list);
    let (status, id) = setup(&mut model, BASE);
    assert_eq!((status, model.balance().held), (Status::SUCCESS, 514));
    model.put(ROOT, &[0; 512]);
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, ROOT).0, Status::SUCCESS);
    assert_eq!(model.machine_mut().memory[1].to_vec(), list);
    assert_eq!(model.balance().unproved, 514);
}

#[test]
fn one_iommu_too_many() {
    let (mut model, _) = ready(Config::SMALL);
    model.put(ROOT, &[page(12) | 2, page(14) | 2, page(16), page(17)]);
    assert_eq!(setup(&mut model, BASE + 8192).0, Status::SUCCESS);
    model.put(ROOT, &[page(20) | 2, page(22) | 2, page(24), page(25)]);
    assert_eq!(setup(&mut model, BASE + 4096).0, BAD_RCX);
    assert_eq!(model.balance().held, 12);
}

#[test]
fn a_root_page_is_never_in_its_own_list() {
    let mut model = Model::small();
    model.put(ROOT, &[LIST[0], LIST[1], LIST[2], ROOT]);
    assert_eq!(setup(&mut model, BASE).0, BAD_RDX);
    assert_eq!(model.bugs().count(Bug::ListListsItself), 1);
    assert_eq!(model.balance().taken, 0);
    model.put(ROOT, &LIST);
    assert_eq!(setup(&mut model, BASE).0, Status::SUCCESS);
    assert_eq!(
        model.call(Leaf::IOMMU_SETUP, BASE + 4096, page(4)).0,
        BAD_RDX
    );
    assert_eq!(model.bugs().count(Bug::ListIsHeld), 1);
}

#[test]
fn setup_is_resumed_with_its_first_operands() {
    let mut model = Model::small();
    model.put(ROOT, &LIST);
    interrupt(&mut model, Leaf::IOMMU_SETUP, 2);
    assert_eq!(setup(&mut model, BASE), (STOP, BASE));
    assert_eq!(setup(&mut model, BASE + 4096).0, Status::INVALID_RESUMPTION);
    assert_eq!(model.bugs().count(Bug::OtherOperands), 1);
    assert_eq!(
        model.balance().taken,
        0,
        "nothing is taken before it completes"
    );
    assert_eq!(setup(&mut model, BASE).0, STOP);
    assert_eq!(setup(&mut model, BASE).0, Status::SUCCESS);
    assert_eq!(model.balance().taken, 6);
    // A list that is changed meanwhile is seen, and what it says at the end counts.
    model.put(ROOT, &[page(12) | 2, page(14) | 2, page(16), page(17)]);
    assert_eq!(setup(&mut model, BASE + 4096).0, STOP);
    model.put(ROOT, &[page(12) | 2, page(14) | 2, page(16), page(16)]);
    assert_eq!(setup(&mut model, BASE + 4096).0, NOT_FREE);
    assert_eq!(
        setup(&mut model, BASE + 8192).0,
        NOT_FREE,
        "the end of a resume is final"
    );
    model.put(ROOT, &[page(12) | 2, page(14) | 2, page(16), page(17)]);
    assert_eq!(setup(&mut model, BASE + 4096).0, STOP);
    model.put(ROOT, &[page(12) | 2, page(14) | 2, page(17), page(16)]);
    assert_eq!(setup(&mut model, BASE + 4096).0, STOP);
    assert_eq!(model.bugs().count(Bug::ListTouched), 1);
}

#[test]
fn clear_checks_in_order() {
    let (mut model, id) = ready(Config::SMALL);
    set(&mut model, Field::FEATURES0, 1 << 39);
    assert_eq!(
        model.call(Leaf::IOMMU_CLEAR, 0, 1).0,
        Status::CONNECT_INVALID_STATE
    );
    set(&mut model, Field::FEATURES0, 1 << 6);
    for bad in [0, 1, id + 1, id | 1 << 32, BASE] {
        assert_eq!(model.call(Leaf::IOMMU_CLEAR, bad, 1).0, BAD_RCX, "{bad:#x}");
    }
    for root in [0x1001, page(32), 1 << 46] {
        assert_eq!(
            model.call(Leaf::IOMMU_CLEAR, id, root).0,
            BAD_RDX,
            "{root:#x}"
        );
    }
    assert_eq!(model.bugs().total(), 0);
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, page(8)).0, BAD_RDX);
    assert_eq!(model.bugs().count(Bug::ListIsHeld), 1);
    assert_eq!((model.balance().held, model.iommu_count()), (6, 1));
}

#[test]
fn clear_gives_the_list_back_and_lets_go() {
    let (mut model, id) = ready(Config::SMALL);
    model.put(ROOT, &[u64::MAX; 5]);
    interrupt(&mut model, Leaf::IOMMU_CLEAR, 1);
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, ROOT).0, STOP);
    assert_eq!(model.balance().held, 6);
    let (status, _) = model.call(Leaf::IOMMU_CLEAR, id, page(2));
    assert_eq!(status, Status::INVALID_RESUMPTION);
    let (status, regs) = model.call(Leaf::IOMMU_CLEAR, id, ROOT);
    assert_eq!((status, regs.rcx, regs.rdx), (Status::SUCCESS, id, ROOT));
    let memory = &model.machine_mut().memory[1];
    assert_eq!(memory[..4], LIST);
    assert_eq!(memory[4], u64::MAX, "no more than the list is written");
    let balance = model.balance();
    assert_eq!(
        (balance.held, balance.unproved, balance.released),
        (0, 6, 0)
    );
    assert_eq!(
        model.call(Leaf::IOMMU_CLEAR, id, ROOT).0,
        BAD_RCX,
        "it is gone"
    );
    // The next one has another generation, told by RDMD.
    model.put(ROOT, &LIST);
    assert_eq!(setup(&mut model, BASE).0, Status::SUCCESS);
    assert_eq!(model.call(Leaf::PHYMEM_PAGE_RDMD, page(4), 0).1.r9, 1);
    assert_eq!(
        model.balance().taken,
        6,
        "pages that were never proved never came back"
    );
    assert_eq!(model.balance().unproved, 0);
}

#[test]
fn the_late_profile_takes_the_id_only() {
    let late = Config {
        profile_late: true,
        ..Config::SMALL
    };
    for rdx in [0, 1, page(4), u64::MAX] {
        let (mut model, id) = ready(late);
        model.put(ROOT, &[7; 4]);
        // What is in RDX is no operand, at a resume neither.
        interrupt(&mut model, Leaf::IOMMU_CLEAR, 1);
        assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, rdx).0, STOP);
        assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, 7).0, Status::SUCCESS);
        assert_eq!(
            model.machine_mut().memory[1][..4],
            [7; 4],
            "no list is written"
        );
        assert_eq!((model.balance().unproved, model.bugs().total()), (6, 0));
    }
}

#[test]
fn what_the_host_writes_to_a_held_page_is_seen_when_it_comes_back() {
    let (mut model, id) = ready(Config::SMALL);
    model.machine_mut().memory[5][100] ^= 1 << 17;
    model.machine_mut().memory[9][511] ^= 1 << 63;
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, ROOT).0, Status::SUCCESS);
    assert_eq!(model.bugs().count(Bug::Changed), 2);
    let first = model.bugs().first(Bug::Changed).unwrap();
    assert_eq!((first.hpa, first.detail), (page(5), 802));
}

#[test]
fn a_clear_that_lies() {
    let (mut model, id) = ready(Config::SMALL);
    assert!(model
        .ask(Control::KeepPages, [2, page(7), 0, 0, 0])
        .0
        .is_success());
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, ROOT).0, Status::SUCCESS);
    assert_eq!((model.balance().held, model.balance().unproved), (1, 5));
    let flush =
        |model: &mut Model<Sim>| model.call(Leaf::PHYMEM_PAGE_WBINVD, 5 << 46 | page(7), 0).0;
    assert_eq!(
        flush(&mut model),
        Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx)
    );
    assert!(model.ask(Control::KeepPages, [0; 5]).0.is_success());
    assert_eq!((model.balance().held, model.balance().unproved), (0, 6));
    assert_eq!(flush(&mut model), Status::SUCCESS);
    assert_eq!(model.balance().released, 1);
    // All of them.
    let (mut model, id) = ready(Config::SMALL);
    assert!(model
        .ask(Control::KeepPages, [1, 0, 0, 0, 0])
        .0
        .is_success());
    assert_eq!(model.call(Leaf::IOMMU_CLEAR, id, ROOT).0, Status::SUCCESS);
    assert_eq!((model.balance().held, model.iommu_count()), (6, 0));
}
