// SPDX-License-Identifier: GPL-2.0

//! What the host does beside SEAMCALLs: pages that it frees, cache lines that it writes back.
//!
//! Nothing of it reaches a real TDX Module either, which is why mistakes in it end in a machine
//! check, or in somebody else's data. Whoever runs the model tells it as far as it can, see
//! [`Watch`].

use super::{
    bugs::{
        Bug,
        Place,
        Watch, //
    },
    iommus::Entry,
    machine::{
        Kind,
        Machine, //
    },
    page::PageState,
    pages::Pages,
    Model, //
};
use crate::abi::{
    field::Features0,
    Hpa, //
};

impl<M: Machine> Pages<M> {
    /// The host has freed a page; gives the bug, if that is one.
    ///
    /// What was written back is forgotten: the next one to have the page begins anew.
    fn freed(&mut self, page: Hpa) -> Option<Bug> {
        let state = self.state(page)?;
        if state.is_owned() {
            self.bugs
                .record(Bug::FreeOfHeld, page, u64::from(state.owner()));
            self.set_state(page, state.freed());
            return Some(Bug::FreeOfHeld);
        }
        let unproved = state.is_dirty();
        if unproved {
            self.bugs.record(Bug::FreeOfUnproved, page, 0);
        }
        if state.written_back().is_some() {
            self.set_state(page, state.with_written_back(None));
        }
        unproved.then_some(Bug::FreeOfUnproved)
    }

    /// The host has written a page's cache lines back.
    fn written_back(&mut self, page: Hpa) {
        let Some(state) = self.state(page) else {
            return;
        };
        if self.machine.kind(page) == Kind::Ram && !state.is_owned() {
            let sum = self.machine.sum(page);
            self.set_state(page, state.with_written_back(sum));
        }
    }

    /// Looks whether the pages of a block, which are about to be taken, were written back as they
    /// are, where that is wanted.
    pub(crate) fn look_for_write_back(&mut self, block: Entry) {
        if !self.wants_flush {
            return;
        }
        let sum_of = |pages: &Self, page| pages.state(page).and_then(PageState::written_back);
        let some = block.hpas().any(|page| sum_of(self, page).is_some());
        for page in block.hpas() {
            let (bug, detail) = match sum_of(self, page) {
                None if some => (Bug::FlushHalf, block.pages),
                None => (Bug::FlushMissing, 0),
                sum if sum != self.machine.sum(page) => (Bug::FlushTooEarly, 0),
                Some(_) => continue,
            };
            self.bugs.record(bug, page, detail);
        }
    }
}

impl<M: Machine> Model<M> {
    /// Tells what it will be told of.
    pub(crate) fn watch(&mut self, watch: Watch) {
        self.watch = watch;
    }

    /// What it is told of.
    pub(crate) fn watched(&self) -> Watch {
        self.watch
    }

    /// Whether pages have to be written back before they are handed over, and it shows whether
    /// they were. `[1]` FEATURES0 bit 23
    pub(super) fn wants_flush(&self) -> bool {
        let features = self.fields.features();
        self.watch.flushes && features.has(Features0::CLFLUSH_BEFORE_ALLOC)
    }

    /// The host has freed a page; gives the bug, if that is one. Whoever calls this prints it.
    pub(crate) fn freed(&mut self, page: Hpa) -> Option<Bug> {
        self.pages.bugs.at(Place::default());
        let bug = self.pages.freed(page)?;
        self.pages.bugs.is_told(bug);
        Some(bug)
    }

    /// The host has written the cache lines of a page back.
    pub(crate) fn written_back(&mut self, page: Hpa) {
        if self.wants_flush() {
            self.pages.written_back(page);
        }
    }
}
