// SPDX-License-Identifier: GPL-2.0

//! The type state: host, held, quarantined, held for good.
//!
//! `T` is memory of the host: whoever has one may read, map, write and drop it. Handing it over
//! consumes it and gives a [`Held`], which has none of that. The way from a [`Held`] to a `T` is
//! the proof, page by page, and there is no other. A step that fails gives back what it was given,
//! beside the decoded reason.

use super::{
    lent::{
        Lent,
        Unproved, //
    },
    memory::{
        Lend,
        Memory,
        Platform,
        Refusal, //
    },
};
use crate::abi::{
    Leaf,
    Status, //
};
use core::marker::PhantomData;

/// The state of a record in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The TDX Module has the pages, and somebody has the [`Held`].
    Held,
    /// The TDX Module has the pages and there is no way back: the extension pool.
    HeldForGood,
    /// Pages that should have come back and are not proved.
    Quarantined(Cause),
}

/// Why pages are in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// What went wrong.
    pub(crate) why: Why,
    /// The leaf after which it was found.
    pub(crate) leaf: Leaf,
    /// What that leaf answered.
    pub(crate) status: Status,
    /// The first page that failed its proof.
    pub(crate) unproved: Option<Unproved>,
}

/// What went wrong; see [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The hand-over failed and kept pages all the same.
    HandOverFailed,
    /// The leaf was given up while it could still be resumed, so nothing may be put to the proof:
    /// a page that is free now may be taken at the resume.
    Abandoned,
    /// The leaf that releases succeeded, but pages are not proved.
    NotProved,
    /// The leaf that releases succeeded, but the list it gave back is wrong.
    WrongList,
    /// The handle was dropped while the pages were held.
    DroppedWhileHeld,
}

impl Why {
    /// A few words for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::HandOverFailed => "hand-over failed",
            Self::Abandoned => "abandoned while interrupted",
            Self::NotProved => "not proved after release",
            Self::WrongList => "wrong list after release",
            Self::DroppedWhileHeld => "dropped while held",
        }
    }
}

/// What a leaf that takes or releases pages answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Its last status.
    pub(crate) status: Status,
    /// The caller gave up while the leaf could still be resumed.
    pub(crate) given_up: bool,
    /// The list that it gave back, where there is one, is as it must be. Looked at after success
    /// only.
    pub(crate) list_ok: bool,
}

impl Answer {
    /// A final status without a list.
    pub(crate) const fn of(status: Status) -> Self {
        Self {
            status,
            given_up: false,
            list_ok: true,
        }
    }
}

/// A summary of pages that took the way to the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Why.
    pub(crate) cause: Cause,
    /// Pages that were proved, and so were freed.
    pub(crate) freed: usize,
    /// Pages that went into quarantine.
    pub(crate) quarantined: usize,
}

/// A hand-over that did not succeed.
#[derive(Debug)]
pub(crate) enum HandOverError<T> {
    /// It was not begun: no SEAMCALL was made.
    Refused(T, Refusal),
    /// The TDX Module did not take anything: nothing was executed, or every page is proved.
    Back(T, Status),
    /// It kept pages.
    Settled(Settled),
}

/// A release that did not give the memory back.
pub(crate) enum ReleaseError<T: Lend<Memory = P::Memory>, P: Platform> {
    /// The leaf failed: the pages are held as before, and the caller may try again.
    StillHeld(Held<T, P>, Status),
    /// The leaf succeeded, but not all is well with the pages.
    Settled(Settled),
}

/// `T` while the TDX Module has it.
///
/// It cannot be read, mapped, lent or freed: there is no method for that. Dropping it leaves the
/// pages where they are, as a quarantined record in the ledger; forgetting it leaves the record.
#[must_use]
pub(crate) struct Held<T: Lend<Memory = P::Memory>, P: Platform> {
    // `None` only once a transition has consumed it.
    entry: Option<P::Entry>,
    platform: P,
    _object: PhantomData<T>,
}

impl<T: Lend<Memory = P::Memory>, P: Platform> Held<T, P> {
    fn new(platform: &P, entry: P::Entry) -> Self {
        Self {
            entry: Some(entry),
            platform: platform.clone(),
            _object: PhantomData,
        }
    }
}

/// Hands `object` over by a leaf that takes all of its pages or none.
///
/// `call` makes the SEAMCALLs; it sees the memory to list its pages, and says what the last answer
/// was. Sleeps.
pub(crate) fn hand_over<T: Lend<Memory = P::Memory>, P: Platform>(
    platform: &P,
    user: &P::User,
    object: T,
    leaf: Leaf,
    call: impl FnOnce(&P::Memory) -> Answer,
) -> Result<Held<T, P>, HandOverError<T>> {
    let entry = match platform.enter(user, object.into_memory()) {
        Ok(entry) => entry,
        Err((why, memory)) => return Err(HandOverError::Refused(T::from_memory(memory), why)),
    };
    let held = Held::new(platform, entry);
    let Some(mut lent) = held.take() else {
        // Nobody else knows a record that was made this moment.
        return Ok(held);
    };
    let answer = match lent.memory() {
        Some(memory) => {
            for block in memory.blocks() {
                platform.flush(*block);
            }
            call(memory)
        }
        None => Answer::of(Status::SUCCESS),
    };
    let status = answer.status;
    let mut cause = Cause {
        why: Why::HandOverFailed,
        leaf,
        status,
        unproved: None,
    };
    if answer.given_up {
        cause.why = Why::Abandoned;
        return Err(HandOverError::Settled(held.quarantine(lent, cause)));
    }
    if status.is_success() {
        held.put(lent, State::Held);
        return Ok(held);
    }
    if status.is_not_executed() {
        lent.never_offered(0..lent.pages());
    } else {
        cause.unproved = lent.prove(platform, 0..lent.pages());
    }
    match lent.into_memory() {
        Ok(memory) => {
            held.strike();
            Err(HandOverError::Back(T::from_memory(memory), status))
        }
        Err(lent) => Err(HandOverError::Settled(held.quarantine(lent, cause))),
    }
}

impl<T: Lend<Memory = P::Memory>, P: Platform> Held<T, P> {
    /// Takes the pages back by the user's own leaf, and proves them.
    ///
    /// `call` makes the SEAMCALLs and checks the list that comes back, where the leaf has one.
    /// Sleeps.
    pub(crate) fn release(
        self,
        leaf: Leaf,
        call: impl FnOnce(&P::Memory) -> Answer,
    ) -> Result<T, ReleaseError<T, P>> {
        let Some(lent) = self.take() else {
            // The worker has it for the moment: as if the TDX Module had been busy.
            return Err(ReleaseError::StillHeld(self, Status::OPERAND_BUSY));
        };
        let answer = match lent.memory() {
            Some(memory) => call(memory),
            None => Answer::of(Status::SUCCESS),
        };
        if answer.given_up || !answer.status.is_success() {
            self.put(lent, State::Held);
            return Err(ReleaseError::StillHeld(self, answer.status));
        }
        self.proved(lent, leaf, answer)
    }

    // No user of this kernel module has that way back; the suites walk it.
    #[cfg_attr(all(not(TDX_PAGES_KUNIT), not(test)), expect(dead_code))]
    /// Takes the pages back one by one by TDH.PHYMEM.PAGE.RECLAIM, and proves them. Sleeps.
    pub(crate) fn release_by_reclaim(self) -> Result<T, ReleaseError<T, P>> {
        let Some(lent) = self.take() else {
            return Err(ReleaseError::StillHeld(self, Status::OPERAND_BUSY));
        };
        // Whether RECLAIM failed does not matter for a page that is proved afterwards.
        let failed = lent.reclaim(&self.platform);
        let status = failed.map_or(Status::SUCCESS, |page| page.status);
        if failed.is_some() && status.is_not_executed() {
            self.put(lent, State::Held);
            return Err(ReleaseError::StillHeld(self, status));
        }
        self.proved(lent, Leaf::PHYMEM_PAGE_RECLAIM, Answer::of(status))
    }

    /// The second half of every release: the proof.
    fn proved(
        self,
        mut lent: Lent<P>,
        leaf: Leaf,
        answer: Answer,
    ) -> Result<T, ReleaseError<T, P>> {
        let unproved = lent.prove(&self.platform, 0..lent.pages());
        let cause = Cause {
            why: if answer.list_ok {
                Why::NotProved
            } else {
                Why::WrongList
            },
            leaf,
            status: answer.status,
            unproved,
        };
        if !answer.list_ok {
            return Err(ReleaseError::Settled(self.quarantine(lent, cause)));
        }
        match lent.into_memory() {
            Ok(memory) => {
                self.strike();
                Ok(T::from_memory(memory))
            }
            Err(lent) => Err(ReleaseError::Settled(self.quarantine(lent, cause))),
        }
    }

    // The one user without a way back hands over by `feed`; the suites come this way.
    #[cfg_attr(all(not(TDX_PAGES_KUNIT), not(test)), expect(dead_code))]
    /// Declares that there is no way back, and that this is no loss but the contract.
    pub(crate) fn hold_for_good(self) {
        if let Some(lent) = self.take() {
            self.put(lent, State::HeldForGood);
        }
        self.disarm();
    }

    fn take(&self) -> Option<Lent<P>> {
        self.platform.take(self.entry.as_ref()?)
    }

    fn put(&self, lent: Lent<P>, state: State) {
        if let Some(entry) = &self.entry {
            self.platform.put(entry, lent, state);
        }
    }

    /// Frees what is back, and quarantines what is not.
    fn quarantine(self, mut lent: Lent<P>, cause: Cause) -> Settled {
        let freed = lent.settle();
        let quarantined = lent.owing();
        if quarantined == 0 {
            self.strike();
        } else {
            self.put(lent, State::Quarantined(cause));
            self.disarm();
        }
        Settled {
            cause,
            freed,
            quarantined,
        }
    }

    fn strike(mut self) {
        if let Some(entry) = self.entry.take() {
            self.platform.strike(entry);
        }
    }

    /// The record goes on without this handle.
    fn disarm(mut self) {
        self.entry = None;
    }
}

impl<T: Lend<Memory = P::Memory>, P: Platform> Drop for Held<T, P> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.platform.dropped(&entry);
        }
    }
}
