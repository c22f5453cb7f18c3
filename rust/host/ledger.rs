// SPDX-License-Identifier: GPL-2.0

//! The ledger of the [`World`]: as little of the kernel's as custody needs, and the oracle's view of
//! what is on record.

use crate::abi::Hpa;
use crate::custody::{
    self,
    lent::Lent,
    memory::Memory,
    transitions::{
        State,
        Why, //
    }, //
};
use crate::model::page::PageState;
use crate::tape::Key;
use crate::world::World;
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    rc::Rc, //
};

/// A record of the ledger.
pub(crate) struct Record {
    lent: RefCell<Option<Lent<World>>>,
    state: Cell<Option<State>>,
    dropped: Cell<bool>,
    pages: Vec<Hpa>,
}

impl Record {
    /// A record of memory that is worked on.
    pub(crate) fn new(lent: &Lent<World>) -> Rc<Self> {
        Rc::new(Self {
            lent: RefCell::new(None),
            state: Cell::new(None),
            dropped: Cell::new(false),
            pages: custody::memory_of(lent).hpas().collect(),
        })
    }

    /// Takes the memory out.
    pub(crate) fn take(&self) -> Option<Lent<World>> {
        self.lent.borrow_mut().take()
    }

    /// Puts it back in a state.
    pub(crate) fn put(&self, lent: Lent<World>, state: State) {
        assert!(self.lent.borrow().is_none(), "memory is put over memory");
        self.state.set(Some(state));
        *self.lent.borrow_mut() = Some(lent);
    }

    /// Its handle was dropped.
    pub(crate) fn drop_handle(&self) {
        assert!(!self.dropped.replace(true), "a handle is dropped twice");
    }

    /// Why its pages are in quarantine; [`None`] if they are not.
    fn why(&self) -> Option<Why> {
        match self.state.get() {
            Some(State::Quarantined(cause)) => Some(cause.why),
            Some(State::Held) if self.dropped.get() => Some(Why::DroppedWhileHeld),
            _ => None,
        }
    }

    /// What the oracle demands of a record at rest.
    fn check(&self, world: &World) {
        let lent = self.lent.borrow();
        let lent = lent.as_ref().expect("nobody works on it");
        let state = self.state.get().expect("it has a state");
        let allocated = self.pages.iter().filter(|page| !world.is_free(**page));
        assert_eq!(lent.owing(), allocated.count(), "owing is wrong");
        assert_ne!(lent.owing(), 0, "a record of nothing");
        let mut start = 0;
        for (block, split) in custody::memory_of(lent)
            .blocks()
            .iter()
            .zip(custody::memory_of(lent).split())
        {
            let pages = start..start + block.pages();
            let all_back = pages.clone().all(|index| lent.is_back(index));
            let folio = block.pages() > 1
                && (custody::memory_of(lent).blocks().iter())
                    .take(custody::memory_of(lent).folios())
                    .any(|folio| folio == block);
            let mut free = 0;
            for (page, index) in block.hpas().zip(pages) {
                let back = lent.is_back(index);
                if back {
                    let clean = world.state(page) == PageState::FREE;
                    assert!(clean, "page {index} is back and not proved");
                }
                if folio {
                    assert_eq!(world.is_free(page), all_back, "page {index} of a folio");
                } else {
                    assert_eq!(world.is_free(page), back, "page {index} is back");
                }
                free += usize::from(world.is_free(page));
            }
            let in_pieces = !folio && free > 0 && free < block.pages();
            assert!(*split || !in_pieces, "a block is in pieces and not split");
            start += block.pages();
        }
        self.check_runs(lent);
        if state == State::Held && !self.dropped.get() && !world.is_closed() {
            assert_eq!(lent.owing(), lent.pages(), "what is held lacks pages");
        }
    }

    /// What is shown of the pages that are not back: all of them, in runs that do not touch.
    fn check_runs(&self, lent: &Lent<World>) {
        let mut shown = Vec::new();
        let mut end = None;
        lent.each_missing(|first, pages| {
            assert_ne!(end, Some(first.pfn()), "two runs for one");
            end = Some(first.pfn() + pages as u64);
            let run = first.pfn()..first.pfn() + pages as u64;
            shown.extend(run);
        });
        let away = (0..lent.pages()).filter(|index| !lent.is_back(*index));
        let away: Vec<_> = away.map(|index| self.pages[index].pfn()).collect();
        assert_eq!(
            shown, away,
            "other pages are shown than those that are not back"
        );
    }

    /// All that decides how it goes on.
    fn key(&self, key: &mut Key) {
        let state = match self.state.get() {
            None => 0,
            Some(State::Held) => 1,
            Some(State::HeldForGood) => 2,
            Some(State::Quarantined(cause)) => 3 + cause.why as u8,
        };
        key.extend([state, u8::from(self.dropped.get())]);
        if let Some(lent) = self.lent.borrow().as_ref() {
            key.extend((lent.owing() as u16).to_le_bytes());
            key.extend((0..lent.pages()).map(|index| u8::from(lent.is_back(index))));
            key.extend(
                custody::memory_of(lent)
                    .split()
                    .iter()
                    .map(|split| u8::from(*split)),
            );
        }
    }
}

impl World {
    /// The states and owing pages of the ledger's records.
    pub(crate) fn records(&self) -> Vec<(Option<State>, usize)> {
        let world = self.0.borrow();
        let records = world.records.iter();
        records
            .map(|r| {
                let owing = r.lent.borrow().as_ref().map_or(0, Lent::owing);
                (r.state.get(), owing)
            })
            .collect()
    }

    /// Handles dropped while their pages were held.
    pub(crate) fn dropped_handles(&self) -> usize {
        self.0.borrow().dropped
    }

    /// See [`Platform::strike`](crate::custody::memory::Platform::strike).
    pub(crate) fn struck(&self, entry: &Rc<Record>) {
        assert!(
            entry.lent.borrow().is_none(),
            "a record with memory is struck"
        );
        let mut world = self.0.borrow_mut();
        let before = world.records.len();
        world.records.retain(|r| !Rc::ptr_eq(r, entry));
        assert_eq!(world.records.len() + 1, before, "a record is struck twice");
    }

    /// From now on nothing may be entered.
    pub(crate) fn close(&self) {
        self.0.borrow_mut().closed = true;
    }

    /// Tries every record again that is in quarantine, and strikes those of which all came back.
    /// Returns how many pages were freed.
    pub(crate) fn retry(&self) -> usize {
        self.attempt(|record| record.why())
    }

    /// The last try: what is held is never released now.
    pub(crate) fn last_try(&self) -> usize {
        self.close();
        self.attempt(|record| {
            let held = record.state.get() == Some(State::Held);
            record.why().or(held.then_some(Why::NeverReleased))
        })
    }

    /// After the TDX Module forgot everything: what was held for good comes back, too.
    pub(crate) fn recover(&self) -> usize {
        self.attempt(|_| Some(Why::NeverReleased))
    }

    fn attempt(&self, why: impl Fn(&Record) -> Option<Why>) -> usize {
        let records = self.0.borrow().records.clone();
        let mut freed = 0;
        for record in records {
            let Some(why) = why(&record) else {
                continue;
            };
            let mut lent = record.take().expect("nobody works on it");
            let owing = lent.owing();
            let away = record.pages.iter().zip(0..);
            let away = away.filter(|(_, index)| !lent.is_back(*index));
            let away: Vec<Hpa> = away.map(|(page, _)| *page).collect();
            self.take_proofs();
            self.take_reclaims();
            let mut ended = None;
            let (pages, unproved) = custody::attempt(&mut lent, self, why, || {
                *ended.insert(self.settle_interrupted())
            });
            freed += pages;
            // Whether its leaf has ended matters to what was abandoned, and to nothing else.
            assert_eq!(ended.is_some(), why == Why::Abandoned);
            let proofs = self.take_proofs();
            let proved: Vec<Hpa> = proofs.iter().map(|proof| proof.0).collect();
            let asked: &[Hpa] = if ended == Some(false) { &[] } else { &away };
            assert_eq!(
                proved, asked,
                "one proof for each page that may be asked for"
            );
            // Only what a leaf has released may be asked for in this way, or may have.
            let released = matches!(why, Why::NotProved | Why::WrongList) || ended == Some(true);
            let asked: &[Hpa] = if released { &away } else { &[] };
            assert_eq!(
                self.take_reclaims(),
                asked,
                "RECLAIM of what was not released"
            );
            assert_eq!(owing - lent.owing(), pages, "freed is counted wrongly");
            assert!(lent.owing() > 0 || unproved.first.is_none());
            if lent.owing() == 0 {
                drop(lent);
                self.struck(&record);
            } else {
                *record.lent.borrow_mut() = Some(lent);
            }
        }
        freed
    }

    /// What the oracle demands of the records at rest.
    pub(crate) fn check_records(&self) {
        let records = self.0.borrow().records.clone();
        for record in &records {
            record.check(self);
        }
    }

    /// What decides how the ledger goes on.
    pub(crate) fn ledger_key(&self, key: &mut Key) {
        let world = self.0.borrow();
        key.push(u8::from(world.closed));
        key.push(world.records.len() as u8);
        for record in &world.records {
            record.key(key);
        }
    }
}
