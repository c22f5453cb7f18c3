// SPDX-License-Identifier: GPL-2.0

//! What the host does beside SEAMCALLs.

use super::super::{
    bugs::{
        Bug,
        Watch, //
    },
    sim::{
        page,
        Sim, //
    },
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    Hpa,
    Leaf,
    Status, //
};

const CONNECT_AND_EXT: u64 = 1 << 6 | 1 << 39;
const WANTS_FLUSH: u64 = 1 << 23;
const KEYID: u64 = 5 << 46;

fn hpa(n: u64) -> Hpa {
    Hpa::new(page(n)).unwrap()
}

fn watching(model: &mut Model<Sim>) {
    let all = Watch {
        frees: true,
        flushes: true,
    };
    model.watch(all);
    features(model, CONNECT_AND_EXT | WANTS_FLUSH);
}

/// A TDX Module on which the pages 4 to 9 are to become an IOMMU_MT, of 2, 2, 1 and 1.
fn waiting() -> Model<Sim> {
    let mut model = Model::new(Sim::new(64, 2), config(false));
    watching(&mut model);
    for n in 4..10 {
        words(&mut model, page(n)).fill(n);
    }
    model.put(ROOT, &IOMMU_MT);
    model
}

fn set_up(model: &mut Model<Sim>) -> u64 {
    let (status, regs) = call(model, Leaf::IOMMU_SETUP, &[BASE, ROOT]);
    assert_eq!(status, Status::SUCCESS);
    regs.rcx
}

fn bugs(model: &Model<Sim>) -> Vec<(Bug, u64, u64, u64)> {
    let seen = Bug::ALL.into_iter().filter_map(|bug| {
        let first = model.bugs().first(bug)?;
        Some((bug, model.bugs().count(bug), first.hpa, first.detail))
    });
    seen.collect()
}

#[test]
fn every_page_of_a_block_is_to_be_written_back() {
    for (flushed, want) in [
        (vec![4, 5, 6, 7, 8, 9], vec![]),
        (vec![], vec![(Bug::FlushMissing, 6, page(4), 0)]),
        (vec![4, 7, 8, 9], vec![(Bug::FlushHalf, 2, page(5), 2)]),
        (
            vec![4, 5, 6, 7, 9],
            vec![(Bug::FlushMissing, 1, page(8), 0)],
        ),
    ] {
        let mut model = waiting();
        for n in &flushed {
            model.written_back(hpa(*n));
        }
        set_up(&mut model);
        assert_eq!(bugs(&model), want, "{flushed:?}");
    }
}

#[test]
fn what_is_written_to_later_counts_for_nothing() {
    let mut model = waiting();
    for n in 4..10 {
        model.written_back(hpa(n));
    }
    words(&mut model, page(7))[511] ^= 1 << 63;
    set_up(&mut model);
    assert_eq!(bugs(&model), [(Bug::FlushTooEarly, 1, page(7), 0)]);
    // Written back once more, all is well.
    let mut model = waiting();
    for n in 4..10 {
        model.written_back(hpa(n));
        words(&mut model, page(n))[0] = 0;
        model.written_back(hpa(n));
    }
    set_up(&mut model);
    assert_eq!(bugs(&model), []);
}

#[test]
fn a_write_back_is_good_for_one_hand_over_and_one_owner() {
    let mut model = waiting();
    for n in 4..10 {
        model.written_back(hpa(n));
    }
    // A page that somebody else had meanwhile.
    assert_eq!(model.freed(hpa(9)), None);
    let id = set_up(&mut model);
    assert_eq!(bugs(&model), [(Bug::FlushMissing, 1, page(9), 0)]);
    // What the TDX Module owns cannot be written back.
    model.written_back(hpa(8));
    assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[id, ROOT])
        .0
        .is_success());
    prove(&mut model);
    model.put(ROOT, &IOMMU_MT);
    set_up(&mut model);
    assert_eq!(model.bugs().count(Bug::FlushMissing), 7);
}

#[test]
fn the_pool_is_looked_at_page_by_page() {
    let mut model = Model::small();
    watching(&mut model);
    model.put(ROOT, &[page(4), page(5), page(6), page(7)]);
    for n in [4, 6, 7] {
        model.written_back(hpa(n));
    }
    words(&mut model, page(7))[0] = 1;
    let (status, _) = call(&mut model, Leaf::EXT_MEM_ADD, &[ROOT | 3 << 55]);
    assert_eq!(status, Status::SUCCESS);
    let want = [
        (Bug::FlushMissing, 1, page(5), 0),
        (Bug::FlushTooEarly, 1, page(7), 0),
    ];
    assert_eq!(bugs(&model), want);
    let first = model.bugs().first(Bug::FlushMissing).unwrap();
    assert_eq!(first.place.leaf, Some(Leaf::EXT_MEM_ADD));
}

#[test]
fn nobody_is_blamed_for_what_is_not_wanted_or_not_seen() {
    for (frees, flushes, wanted) in [(true, true, 0), (true, false, WANTS_FLUSH)] {
        let mut model = waiting();
        model.watch(Watch { frees, flushes });
        features(&mut model, CONNECT_AND_EXT | wanted);
        set_up(&mut model);
        assert_eq!(bugs(&model), []);
    }
    let none = Watch::default();
    assert!(!none.sees(Bug::FreeOfHeld) && !none.sees(Bug::FlushHalf) && none.sees(Bug::Changed));
}

#[test]
fn what_is_not_ours_is_not_to_be_freed() {
    let mut model = waiting();
    features(&mut model, CONNECT_AND_EXT);
    let id = set_up(&mut model);
    assert_eq!(model.freed(hpa(3)), None);
    assert_eq!(model.freed(hpa(5)), Some(Bug::FreeOfHeld));
    assert_eq!(bugs(&model), [(Bug::FreeOfHeld, 1, page(5), id)]);
    assert!(!model.bugs().is_fresh(), "whoever tells prints it");
    // Whoever has it now may write to it.
    words(&mut model, page(5)).fill(0);
    assert!(call(&mut model, Leaf::PHYMEM_PAGE_RDMD, &[page(5)])
        .0
        .is_success());
    assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[id, ROOT])
        .0
        .is_success());
    assert_eq!(words(&mut model, page(5))[7], 0, "nor is it mended");
    assert_eq!(model.bugs().total(), 1);
    // Let go is not proved.
    assert_eq!(model.freed(hpa(6)), Some(Bug::FreeOfUnproved));
    prove(&mut model);
    assert_eq!(model.freed(hpa(7)), None);
    let want = [
        (Bug::FreeOfHeld, 1, page(5), id),
        (Bug::FreeOfUnproved, 1, page(6), 0),
    ];
    assert_eq!(bugs(&model), want);
    let first = model.bugs().first(Bug::FreeOfUnproved).unwrap();
    assert_eq!(first.place.leaf, None);
}

#[test]
fn what_is_let_go_is_proved_before_it_is_handed_over_again() {
    let mut model = waiting();
    features(&mut model, CONNECT_AND_EXT);
    let id = set_up(&mut model);
    assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[id, ROOT])
        .0
        .is_success());
    for n in [4, 5, 6, 7, 9] {
        assert!(
            call(&mut model, Leaf::PHYMEM_PAGE_WBINVD, &[KEYID | page(n)])
                .0
                .is_success()
        );
    }
    model.put(ROOT, &IOMMU_MT);
    set_up(&mut model);
    assert_eq!(bugs(&model), [(Bug::TakenUnproved, 1, page(8), 0)]);
}

#[test]
fn a_control_call_tells_of_each_kind() {
    let mut model = waiting();
    features(&mut model, CONNECT_AND_EXT);
    let id = set_up(&mut model);
    model.freed(hpa(5));
    for bug in Bug::ALL {
        let (status, regs) = model.ask(Control::HostBugs, [bug as u64, 0, 0, 0, 0]);
        assert_eq!(status, Status::SUCCESS);
        let held = bug == Bug::FreeOfHeld;
        let (count, page) = if held { (1, page(5)) } else { (0, 0) };
        assert_eq!((regs.rdx, regs.r8, regs.r9), (1, count, page), "{bug:?}");
        assert_eq!(regs.r10, if held { id } else { 0 });
    }
    let (status, _) = model.ask(Control::HostBugs, [Bug::ALL.len() as u64, 0, 0, 0, 0]);
    assert_eq!(
        status,
        Status::OPERAND_INVALID.on(crate::abi::status::Operand::Rcx)
    );
    model.watch(Watch::default());
    let (_, regs) = model.ask(Control::HostBugs, [Bug::FlushHalf as u64, 0, 0, 0, 0]);
    assert_eq!(regs.rdx, 0);
}
