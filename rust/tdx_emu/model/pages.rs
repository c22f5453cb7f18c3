// SPDX-License-Identifier: GPL-2.0

//! All pages: the checks of operands that name them, and their way in and out.

use super::{
    bugs::{
        Bug,
        Bugs, //
    },
    machine::{
        seed,
        Check,
        Kind,
        Machine, //
    },
    page::{
        PageState,
        PageType, //
    },
};
use crate::abi::{
    status::Operand,
    Hpa,
    Status,
    PAGE_SIZE, //
};

/// How many pages are where.
///
/// `taken` = `released` + `pool` + `held` + `unproved`, always: a page that is taken again before
/// it was proved never came back, so that is not another hand-over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Pages ever taken from the host.
    pub(crate) taken: u64,
    /// Pages let go and proved since.
    pub(crate) released: u64,
    /// Pages of the extension pool.
    pub(crate) pool: u64,
    /// Pages owned now, without the pool.
    pub(crate) held: u64,
    /// Pages let go and not proved yet.
    pub(crate) unproved: u64,
}

impl Balance {
    /// Pages owned now, with the pool.
    pub(crate) const fn owned(&self) -> u64 {
        self.pool.saturating_add(self.held)
    }
}

/// The pages of the machine.
#[derive(Clone)]
pub(crate) struct Pages<M> {
    pub(crate) machine: M,
    phys_bits: u32,
    pub(crate) balance: Balance,
    pub(crate) bugs: Bugs,
    /// Whether pages have to be written back before they are handed over. It follows from the
    /// features at each call.
    pub(crate) wants_flush: bool,
}

fn index(page: Hpa) -> usize {
    // CAST: 64-bit only; too large an index names no state.
    page.pfn() as usize
}

fn page_at(index: usize) -> Option<Hpa> {
    // CAST: 64-bit only.
    Hpa::new((index as u64).checked_mul(PAGE_SIZE)?)
}

impl<M: Machine> Pages<M> {
    /// All pages are the host's.
    pub(crate) fn new(machine: M, phys_bits: u32) -> Self {
        Self {
            machine,
            phys_bits,
            balance: Balance::default(),
            bugs: Bugs::default(),
            wants_flush: false,
        }
    }

    /// Forgets whatever was taken.
    pub(crate) fn reset(&mut self) {
        self.machine.states_mut().fill(PageState::FREE);
        self.balance = Balance::default();
        self.bugs = Bugs::default();
    }

    /// The state of a page; [`None`] if it is not managed.
    pub(crate) fn state(&self, page: Hpa) -> Option<PageState> {
        let state = self.machine.states().get(index(page)).copied()?;
        match self.machine.kind(page) {
            Kind::Absent => None,
            Kind::Reserved if state == PageState::FREE => Some(PageState::RESERVED),
            Kind::Reserved | Kind::Ram => Some(state),
        }
    }

    pub(crate) fn set_state(&mut self, page: Hpa, state: PageState) {
        if let Some(slot) = self.machine.states_mut().get_mut(index(page)) {
            *slot = state;
        }
    }

    /// The KeyID in a word, and the word without it. KeyIDs stand in the address bits from
    /// `phys_bits` up to 51. `[2]`
    pub(crate) fn split_keyid(&self, word: u64) -> (u64, u64) {
        let keyids = ((1 << 52) - 1) & !self.below_keyids();
        ((word & keyids) >> (self.phys_bits & 63), word & !keyids)
    }

    /// A mask of the address bits below the KeyID.
    fn below_keyids(&self) -> u64 {
        // At most 51, see `Config::check()`.
        !(u64::MAX << (self.phys_bits & 63))
    }

    /// The first check of an operand that names a page: 4 KiB aligned, no KeyID, not above the
    /// last address. `[1]` M15
    pub(crate) fn address(&self, word: u64, operand: Operand) -> Result<Hpa, Status> {
        Hpa::new(word)
            .filter(|page| page.get() & !self.below_keyids() == 0)
            .ok_or(Status::OPERAND_INVALID.on(operand))
    }

    /// The second check: the page is one that the TDX Module manages. `[1]` M15
    pub(crate) fn managed(&self, page: Hpa, operand: Operand) -> Result<PageState, Status> {
        self.state(page)
            .ok_or(Status::OPERAND_ADDR_RANGE_ERROR.on(operand))
    }

    /// All checks of a page that is to be taken. `[1]` M15 for one page, `[I]` for those of a list.
    pub(crate) fn takeable(&self, word: u64, operand: Operand) -> Result<Hpa, Status> {
        let page = self.address(word, operand)?;
        let state = self.managed(page, operand)?;
        if state.page_type() != PageType::Nda || state.is_claimed() {
            return Err(Status::PAGE_METADATA_INCORRECT.on(operand));
        }
        Ok(page)
    }

    /// The checks of a shared page in an operand, which is read or written during the call.
    ///
    /// M15 checks the address only. That a page it owns, or none that exists, is refused as well
    /// is `[I]`: on real hardware it would be read with the wrong key.
    pub(crate) fn shared(&mut self, word: u64, operand: Operand) -> Result<Hpa, Status> {
        let page = self.address(word, operand)?;
        if self.state(page).is_some_and(PageState::is_owned) {
            // CAST: An enum with `u32` values.
            self.bugs.record(Bug::ListIsHeld, page, operand as u64);
            return Err(Status::OPERAND_INVALID.on(operand));
        }
        match self.machine.read(page, 0) {
            Some(_) => Ok(page),
            None => Err(Status::OPERAND_INVALID.on(operand)),
        }
    }

    /// Marks a page as named by the list that is being checked, or takes that mark away.
    pub(crate) fn claim(&mut self, page: Hpa, yes: bool) {
        if let Some(state) = self.machine.states_mut().get_mut(index(page)) {
            *state = state.claimed(yes);
        }
    }

    /// Takes a page that passed [`Self::takeable`].
    pub(crate) fn take(&mut self, page: Hpa, page_type: PageType, owner: u16) {
        let balance = &mut self.balance;
        if self
            .machine
            .states()
            .get(index(page))
            .is_some_and(|state| state.is_dirty())
        {
            balance.unproved = balance.unproved.saturating_sub(1);
            self.bugs.record(Bug::TakenUnproved, page, 0);
        } else {
            balance.taken = balance.taken.saturating_add(1);
        }
        match page_type {
            PageType::Pool => balance.pool = balance.pool.saturating_add(1),
            _ => balance.held = balance.held.saturating_add(1),
        }
        self.set_state(page, PageState::taken(page_type, owner));
        if !self.machine.fill(page, seed(page)) {
            self.bugs.record(Bug::NotMapped, page, 0);
        }
    }

    /// Lets go of a page that is held.
    pub(crate) fn let_go(&mut self, page: Hpa) {
        self.inspect(page);
        self.balance.held = self.balance.held.saturating_sub(1);
        self.balance.unproved = self.balance.unproved.saturating_add(1);
        self.set_state(page, PageState::let_go());
    }

    /// Keeps a page that should be let go: the lie.
    pub(crate) fn keep(&mut self, page: Hpa) {
        if let Some(state) = self.machine.states_mut().get_mut(index(page)) {
            *state = state.kept();
        }
    }

    /// Flushes a page of the host's with the global KeyID.
    pub(crate) fn flush(&mut self, page: Hpa) {
        let Some(state) = self.machine.states().get(index(page)).copied() else {
            return;
        };
        if state.is_dirty() {
            self.balance.unproved = self.balance.unproved.saturating_sub(1);
            self.balance.released = self.balance.released.saturating_add(1);
            self.set_state(page, state.flushed());
        }
    }

    /// Looks whether the host wrote to a page that it does not own. The pattern is repaired, so
    /// that one write is one host bug. A page that it has freed may be anybody's by now.
    pub(crate) fn inspect(&mut self, page: Hpa) {
        if self.state(page).is_some_and(PageState::is_freed) {
            return;
        }
        match self.machine.check(page, seed(page)) {
            Check::Intact => return,
            Check::Changed(offset) => self.bugs.record(Bug::Changed, page, offset),
            Check::Unreadable => self.bugs.record(Bug::NotMapped, page, 0),
        }
        self.machine.fill(page, seed(page));
    }

    /// The pages that [`Self::keep`] kept are let go, late.
    pub(crate) fn let_go_of_kept(&mut self) {
        for index in 0..self.machine.states().len() {
            let state = self.machine.states().get(index).copied();
            if !state.is_some_and(PageState::is_kept) {
                continue;
            }
            if let Some(page) = page_at(index) {
                self.let_go(page);
            }
        }
    }

    /// Inspects owned pages from `from` on, at most `pages` of them among at most `states` in all.
    /// Gives where to go on, [`None`] at the end.
    pub(crate) fn inspect_owned(
        &mut self,
        from: usize,
        states: usize,
        pages: usize,
    ) -> Option<usize> {
        let end = self.machine.states().len();
        let stop = from.saturating_add(states).min(end);
        let mut seen = 0;
        for index in from..stop {
            let state = self.machine.states().get(index).copied();
            if !state.is_some_and(PageState::is_owned) {
                continue;
            }
            if seen == pages {
                return Some(index);
            }
            seen += 1;
            if let Some(page) = page_at(index) {
                self.inspect(page);
            }
        }
        (stop < end).then_some(stop)
    }
}
