// SPDX-License-Identifier: GPL-2.0

//! A host that mostly does the right thing, in any order, and sometimes not.

use super::super::{
    ide,
    page::PageState,
    sim::{
        page,
        Sim, //
    },
    spdm,
    Machine,
    Model, //
};
use super::host::*;
use crate::abi::{
    emu::Control,
    ide_range::RidRange,
    list::{
        Entries,
        HpaArray,
        HpaListInfo, //
    },
    Hpa,
    Leaf,
    Status, //
};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Pages that the host has, in no order.
fn free_pages(model: &mut Model<Sim>, random: &mut Random, count: usize) -> Vec<u64> {
    let mut pages: Vec<u64> = (16..64).map(page).collect();
    for n in 0..pages.len() {
        let other = random.below(pages.len() as u64) as usize;
        pages.swap(n, other);
    }
    pages.retain(|hpa| !model.page(Hpa::new(*hpa).unwrap()).unwrap().is_owned());
    pages.truncate(count);
    pages
}

fn list(model: &mut Model<Sim>, late: bool, pages: &[u64]) -> u64 {
    model.put(ROOT, pages);
    let Some(entries) = Entries::new(pages.len()) else {
        return 0;
    };
    let (first, root) = (Hpa::new(pages[0]).unwrap(), Hpa::new(ROOT).unwrap());
    if late {
        HpaListInfo::new(entries, root).raw()
    } else {
        HpaArray::new(entries, first, root).raw()
    }
}

/// What the host would call next with these ids.
fn operands(model: &mut Model<Sim>, random: &mut Random, leaf: Leaf, late: bool) -> Vec<u64> {
    let session = FIRST_SESSION + random.below(2);
    let id = FIRST_STREAM + random.below(2);
    match leaf {
        Leaf::IOMMU_SETUP => {
            model.put(ROOT, &IOMMU_MT);
            vec![BASE, ROOT]
        }
        Leaf::IOMMU_CLEAR => vec![0x100, AUX],
        Leaf::SPDM_CREATE => {
            let pages = free_pages(model, random, 3);
            vec![random.below(3) * 8, list(model, late, &pages)]
        }
        Leaf::SPDM_DELETE => vec![session, AUX],
        Leaf::SPDM_CONNECT => connect(model, session).to_vec(),
        Leaf::SPDM_DISCONNECT => disconnect(session).to_vec(),
        Leaf::SPDM_MNG => {
            let mut operands = manage(session, random.below(3)).to_vec();
            if operands[1] == 2 {
                operands[5] = OUT[0];
            }
            operands
        }
        Leaf::IDE_STREAM_CREATE => {
            let pages = free_pages(model, random, 1);
            let mut operands = stream(model, session, 0).to_vec();
            operands[2] = list(model, late, &pages);
            let base = 16 * random.below(3) as u16;
            let limit = base + 15;
            let rids = RidRange {
                base,
                limit,
                ..RIDS
            };
            operands[4..6].copy_from_slice(&rids.images());
            operands
        }
        Leaf::IDE_STREAM_BLOCK => vec![session, id],
        Leaf::IDE_STREAM_DELETE => vec![session, id, 0],
        Leaf::IDE_STREAM_KM => keys(session, id, random.below(3)).to_vec(),
        _ => Vec::new(),
    }
}

/// The pages of each object are just those that have its id for owner.
fn check(model: &mut Model<Sim>, kept: bool) {
    let balance = model.balance();
    let sum = balance.released + balance.pool + balance.held + balance.unproved;
    assert_eq!(balance.taken, sum);
    let machine = model.machine_mut();
    let states = machine.states().to_vec();
    assert!(states.iter().all(|state| !state.is_claimed()));
    let owned = states.iter().filter(|state| state.is_owned()).count() as u64;
    assert_eq!(balance.owned(), owned);
    let dirty = |state: &&PageState| state.is_dirty() && !state.is_owned();
    assert_eq!(balance.unproved, states.iter().filter(dirty).count() as u64);
    if kept {
        return;
    }
    let machine = model.machine_mut();
    let sessions = machine.sessions().iter().take(3);
    let sessions = sessions.map(|session| session.map_or(0, |session| session.pages));
    let streams = machine.streams().iter().take(3);
    let streams = streams.map(|stream| stream.map_or(0, |stream| stream.pages));
    let all = (spdm::FIRST_ID..).zip(sessions);
    for (id, pages) in all.chain((ide::FIRST_ID..).zip(streams)) {
        let owned = states.iter().filter(|state| state.owner() == id).count();
        assert_eq!(owned, pages, "{id:#x}");
    }
}

fn live(late: bool, seed: u64) -> [u32; Leaf::ALL.len()] {
    let mut random = Random(seed);
    let mut model = ready(late);
    let mut successes = [0; Leaf::ALL.len()];
    // Exchanges that are not over, with the device's last response; the next one last.
    let mut open: Vec<(Leaf, Vec<u64>, [u64; 512])> = Vec::new();
    let mut kept = false;
    for round in 0..60_000 {
        let at = 6 + random.below(Leaf::ALL.len() as u64 - 6) as usize;
        if open.len() > 6 {
            open.remove(0);
        }
        let goes_on = !random.one_in(8);
        let (leaf, good) = match goes_on.then(|| open.pop()).flatten() {
            Some((leaf, operands, response)) => {
                *words(&mut model, RESPONSE) = response;
                (leaf, operands)
            }
            None => {
                let leaf = Leaf::ALL[at];
                (leaf, operands(&mut model, &mut random, leaf, late))
            }
        };
        let mut operands = good.clone();
        if random.one_in(16) && !operands.is_empty() {
            let at = random.below(operands.len() as u64) as usize;
            operands[at] ^= 1 << random.below(64);
        }
        if random.one_in(16) {
            words(&mut model, RESPONSE)[1] ^= 1;
        }
        let (status, _) = call(&mut model, leaf, &operands);
        let place = Leaf::ALL.iter().position(|l| *l == leaf).unwrap();
        successes[place] += u32::from(status.is_success());
        let response = *words(&mut model, RESPONSE);
        match status {
            Status::SPDM_REQUEST => {
                device(&mut model);
                let response = *words(&mut model, RESPONSE);
                open.push((leaf, operands, response));
            }
            Status::INTERRUPTED_RESUMABLE => open.push((leaf, operands, response)),
            Status::SDPM_INVALID_MESSAGE | Status::IDE_STREAM_INVALID_RESPONSE => {
                let mut response = response;
                response[1] ^= 1;
                open.push((leaf, operands, response));
            }
            Status::SPDM_SESSION_KEY_REQUIRE_REFRESH => {
                let update = manage(operands[0], 1).to_vec();
                open.push((leaf, operands, response));
                open.push((Leaf::SPDM_MNG, update, response));
            }
            // Spoilt, or not its turn: what is under way has to come to its end.
            _ if !status.is_success() && goes_on && (operands != good || random.one_in(2)) => {
                open.push((leaf, good, response));
            }
            _ => {}
        }
        match random.below(2000) {
            0 => interrupt(&mut model, Leaf::ALL[at], random.below(3)),
            1 => ask(&mut model, Control::Exchange, [3, random.below(5), 0, 0, 0]),
            2 => ask(&mut model, Control::Exchange, [0, random.below(4), 0, 0, 0]),
            3 => {
                kept = true;
                ask(&mut model, Control::KeepPages, [1, 0, 0, 0, 0]);
            }
            4 => {
                ask(&mut model, Control::KeepPages, [0; 5]);
                kept = false;
            }
            5 => ask(&mut model, Control::Released, [random.below(6), 1, 1, 0, 0]),
            _ => {}
        }
        if round % 16 == 0 {
            check(&mut model, kept);
        }
    }
    // What is kept goes, and then every page can be proved.
    ask(&mut model, Control::KeepPages, [0; 5]);
    prove(&mut model);
    check(&mut model, false);
    successes
}

#[test]
fn every_leaf_is_reached_and_the_balance_holds() {
    for late in PROFILES {
        let mut successes = [0; Leaf::ALL.len()];
        for seed in 1..4 {
            let some = live(late, seed * 0x1234_5678_9abc_def1);
            for (all, n) in successes.iter_mut().zip(some) {
                *all += n;
            }
        }
        for (leaf, n) in Leaf::ALL.iter().zip(successes).skip(8) {
            assert!(n > 20, "{leaf} succeeded {n} times");
        }
    }
}
