// SPDX-License-Identifier: GPL-2.0

//! TDH.SPDM.CREATE and TDH.SPDM.DELETE.

use super::super::{
    bugs::Bug,
    machine::Kind,
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
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

const BAD_RCX: Status = Status::OPERAND_INVALID.on(Operand::Rcx);
const BAD_RDX: Status = Status::OPERAND_INVALID.on(Operand::Rdx);
const NOT_FREE: Status = Status::PAGE_METADATA_INCORRECT.on(Operand::Rdx);
const ABSENT: Status = Status::OPERAND_ADDR_RANGE_ERROR.on(Operand::Rdx);
const NOT_READY: Status = Status::CONNECT_INVALID_STATE;

fn pages_wanted(model: &mut Model<Sim>, pages: u64) {
    let field = Field::SPDM_MT_PAGE_COUNT.raw();
    ask(model, Control::SetField, [field, pages, 0, 0, 0]);
}

fn delete(model: &mut Model<Sim>, id: u64, aux: u64) -> (Status, u64) {
    let (status, regs) = call(model, Leaf::SPDM_DELETE, &[id, aux]);
    (status, regs.rcx)
}

#[test]
fn create_takes_the_pages_and_counts_on_an_iommu() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        assert_eq!((model.balance().held, model.session_count()), (9, 1));
        for hpa in SESSION {
            let state = model.page(Hpa::new(hpa).unwrap()).unwrap();
            assert_eq!(state.page_type(), PageType::IommuMt);
            assert_eq!(u64::from(state.owner()), id);
            let (status, regs) = call(&mut model, Leaf::PHYMEM_PAGE_RDMD, &[hpa]);
            assert_eq!((status, regs.rcx, regs.rdx), (Status::SUCCESS, 11, id));
            let (status, _) = call(&mut model, Leaf::PHYMEM_PAGE_RECLAIM, &[hpa]);
            assert_eq!(status, Status::IOMMU_MT_PAGE_IN_USE);
        }
        // The root page is not kept, and may be used for the next one.
        let spare = &SPARE[..3];
        let (status, second) = create(&mut model, 0x310, spare);
        assert_eq!((status, second), (Status::SUCCESS, id + 1));
        let (status, _) = call(&mut model, Leaf::IOMMU_CLEAR, &[0x100, ROOT]);
        assert_eq!(status, Status::IOMMU_INVALID_STATE.on(Operand::Rcx));
        assert!(delete(&mut model, id, AUX).0.is_success());
        assert!(delete(&mut model, second, AUX).0.is_success());
        assert!(call(&mut model, Leaf::IOMMU_CLEAR, &[0x100, ROOT])
            .0
            .is_success());
        assert_eq!((model.balance().held, model.bugs().total()), (0, 0));
    }
}

/// Everything is wrong at first; each step mends what the step before was refused for.
#[test]
fn create_checks_in_order() {
    for late in PROFILES {
        let mut model = Model::new(Sim::new(64, 2), config(late));
        let high = 1 << 46;
        let good = ROOT | 2 << 55;
        let try_it = |model: &mut Model<Sim>, rcx, rdx| {
            let (status, regs) = call(model, Leaf::SPDM_CREATE, &[rcx, rdx]);
            assert_eq!((regs.rcx, regs.rdx), (rcx, rdx), "outputs are untouched");
            status
        };
        features(&mut model, 1 << 39);
        assert_eq!(try_it(&mut model, 1 << 63, 1), NOT_READY);
        features(&mut model, 1 << 6 | 1 << 39);
        assert_eq!(try_it(&mut model, 1 << 63, 1), NOT_READY);
        assert!(call(&mut model, Leaf::EXT_INIT, &[]).0.is_success());
        for function in [1 << 25, 1 << 63, 0x1_0308] {
            assert_eq!(try_it(&mut model, function, 1), BAD_RCX, "{function:#x}");
        }
        for bits in [1, 1 << 52, 1 << 54] {
            assert_eq!(
                try_it(&mut model, FUNCTION, good | bits),
                BAD_RDX,
                "{bits:#x}"
            );
        }
        // Progress that cannot be, or bits that are reserved.
        assert_eq!(try_it(&mut model, FUNCTION, good | 1 << 3), BAD_RDX);
        for count in [0, 1, 3, 511] {
            let word = ROOT | count << 55;
            assert_eq!(try_it(&mut model, FUNCTION, word), BAD_RDX, "{count}");
        }
        assert_eq!(
            try_it(&mut model, FUNCTION, good),
            Status::IOMMU_INVALID_STATE
        );
        model.put(ROOT, &IOMMU_MT);
        assert!(call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT])
            .0
            .is_success());
        for root in [ROOT | high, NOWHERE] {
            let word = root | 2 << 55;
            assert_eq!(try_it(&mut model, FUNCTION, word), BAD_RDX, "{root:#x}");
        }
        assert_eq!(model.bugs().total(), 0);
        assert_eq!(try_it(&mut model, FUNCTION, page(8) | 2 << 55), BAD_RDX);
        assert_eq!(model.bugs().count(Bug::ListIsHeld), 1);
        let machine = model.machine_mut();
        machine
            .odd
            .push((Hpa::new(page(60)).unwrap(), Kind::Absent));
        machine
            .odd
            .push((Hpa::new(page(61)).unwrap(), Kind::Reserved));
        let before = model.machine_mut().states().to_vec();
        for (entry, want) in [
            (page(16) | 1, BAD_RDX),
            (page(16) | high, BAD_RDX),
            (page(16) | 1 << 63, BAD_RDX),
            (NOWHERE, ABSENT),
            (page(60), ABSENT),
            (page(61), NOT_FREE),
            (page(8), NOT_FREE),
            (SESSION[0], NOT_FREE),
            (ROOT, BAD_RDX),
        ] {
            model.put(ROOT, &[SESSION[0], SESSION[1], entry]);
            assert_eq!(try_it(&mut model, FUNCTION, good), want, "{entry:#x}");
            let states = model.machine_mut().states();
            assert_eq!(states, before, "{entry:#x}: all or nothing");
        }
        assert_eq!(model.bugs().count(Bug::ListListsItself), 1);
        assert_eq!((model.bugs().total(), model.session_count()), (2, 0));
        assert_eq!(create(&mut model, FUNCTION, &SESSION).0, Status::SUCCESS);
    }
}

#[test]
fn one_session_a_function() {
    for late in PROFILES {
        let (mut model, id) = with_session(late);
        // Before anything is looked at in the list, and however the function is written.
        model.put(ROOT, &[1, 1, 1]);
        let (status, _) = call(&mut model, Leaf::SPDM_CREATE, &[FUNCTION, ROOT | 2 << 55]);
        assert_eq!(status, Status::SPDM_ENTRY_ALREADY_PRESENT);
        let spare = &SPARE[..3];
        assert!(create(&mut model, 0x308, spare).0.is_success());
        let (status, _) = create(&mut model, 1 << 24 | 0x308, &SPARE[3..]);
        assert_eq!(status, Status::SPDM_ENTRY_ALREADY_PRESENT);
        assert!(delete(&mut model, id, AUX).0.is_success());
        let (status, again) = create(&mut model, FUNCTION, &SESSION);
        assert_eq!((status, again), (Status::SUCCESS, id));
    }
}

#[test]
fn one_page_is_its_own_list_in_v2_only() {
    let mut model = ready(false);
    pages_wanted(&mut model, 1);
    model.put(SPARE[0], &[1, 2, 3]);
    let (status, id) = create(&mut model, FUNCTION, &SPARE[..1]);
    assert_eq!(status, Status::SUCCESS);
    assert!(model.page(Hpa::new(SPARE[0]).unwrap()).unwrap().is_owned());
    // The aux operand must be 0 then.
    assert_eq!(delete(&mut model, id, AUX).0, BAD_RDX);
    assert_eq!(delete(&mut model, id, 0), (Status::SUCCESS, SPARE[0]));
    assert_eq!(model.balance().unproved, 1);

    let mut model = ready(true);
    pages_wanted(&mut model, 1);
    model.put(ROOT, &SPARE[..1]);
    let (status, regs) = call(&mut model, Leaf::SPDM_CREATE, &[FUNCTION, ROOT]);
    assert_eq!(status, Status::SUCCESS);
    assert!(model.page(Hpa::new(SPARE[0]).unwrap()).unwrap().is_owned());
    assert_eq!(delete(&mut model, regs.rcx, 1), (Status::SUCCESS, regs.rcx));
}

#[test]
fn a_full_list_and_counts_that_cannot_be() {
    for late in PROFILES {
        let mut model = Model::new(Sim::new(700, 1), config(late));
        assert!(call(&mut model, Leaf::EXT_INIT, &[]).0.is_success());
        model.put(ROOT, &IOMMU_MT);
        assert!(call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT])
            .0
            .is_success());
        let pages: Vec<u64> = (100..612).map(page).collect();
        for wanted in [0, 511, 513, 0xffff, u64::MAX] {
            pages_wanted(&mut model, wanted);
            assert_eq!(create(&mut model, FUNCTION, &pages).0, BAD_RDX, "{wanted}");
        }
        pages_wanted(&mut model, 512);
        let (status, id) = create(&mut model, FUNCTION, &pages);
        assert_eq!((status, model.balance().held), (Status::SUCCESS, 518));
        let (status, back) = delete(&mut model, id, AUX);
        assert_eq!(status, Status::SUCCESS);
        if !late {
            assert_eq!(back, 511 << 55 | AUX);
            assert_eq!(words(&mut model, AUX).to_vec(), pages);
        }
        assert_eq!(model.balance().unproved, 512);
    }
}

#[test]
fn a_sixty_fifth_session() {
    let mut model = Model::new(Sim::new(200, 1), config(false));
    assert!(call(&mut model, Leaf::EXT_INIT, &[]).0.is_success());
    model.put(ROOT, &IOMMU_MT);
    assert!(call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT])
        .0
        .is_success());
    pages_wanted(&mut model, 1);
    for n in 0..64 {
        let (status, id) = create(&mut model, n, &[page(100 + n)]);
        assert_eq!((status, id), (Status::SUCCESS, FIRST_SESSION + n));
    }
    assert_eq!(create(&mut model, 64, &[page(190)]).0, BAD_RCX);
    assert_eq!(model.session_count(), 64);
}
