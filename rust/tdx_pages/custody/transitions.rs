// SPDX-License-Identifier: GPL-2.0

//! The type state: host, held, quarantined, held for good.
//!
//! `T` is memory of the host: whoever has one may read, map, write and drop it. Handing it over
//! consumes it and gives a [`Held`], which has none of that. The way from a [`Held`] to a `T` is
//! the proof, page by page, and there is no other. A step that fails gives back what it was given,
//! beside the decoded reason.

pub(crate) use super::{
    answer::Answer,
    state::{
        Cause,
        Settled,
        State,
        Why, //
    }, //
};

use super::{
    lent::Lent,
    listed::Recorded,
    memory::{
        Lend,
        Platform,
        Refusal, //
    },
};
use crate::abi::{
    Leaf,
    Status, //
};
use core::marker::PhantomData;

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
    /// The leaf failed or was not called, for what the status says: the pages are held as before,
    /// and the caller may try again.
    StillHeld(Held<T, P>, Status),
    /// The leaf succeeded, but not all is well with the pages.
    Settled(Settled),
}

/// What custody makes of an answer.
struct Outcome {
    status: Status,
    success: bool,
    given_up: bool,
    untouched: bool,
    list_ok: bool,
}

impl Outcome {
    /// The answer ends here: while it lives, so does the look at the memory that it is tied to.
    fn of(answer: Answer<'_>) -> Self {
        Self {
            status: answer.status,
            success: answer.is_success(),
            given_up: answer.is_given_up(),
            untouched: answer.is_untouched(),
            list_ok: answer.list_ok,
        }
    }
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
/// `call` lists the pages and makes the SEAMCALLs. Success with a note beside it
/// is success: the pages are taken. Sleeps.
pub(crate) fn hand_over<T: Lend<Memory = P::Memory>, P: Platform>(
    platform: &P,
    user: &P::User,
    object: T,
    leaf: Leaf,
    call: impl for<'id> FnOnce(Recorded<'id, P::Memory>) -> Answer<'id>,
) -> Result<Held<T, P>, HandOverError<T>> {
    let (entry, mut lent) = platform
        .enter(user, object.into_memory())
        .map_err(|(why, memory)| HandOverError::Refused(T::from_memory(memory), why))?;
    let held = Held::new(platform, entry);
    lent.flush(platform);
    let answer = Outcome::of(call(lent.recorded()));
    if answer.success {
        held.put(lent, State::Held);
        return Ok(held);
    }
    let mut cause = Cause {
        why: Why::HandOverFailed,
        leaf,
        status: answer.status,
        unproved: None,
    };
    if answer.given_up {
        cause.why = Why::Abandoned;
        return Err(HandOverError::Settled(held.settle(lent, cause)));
    }
    if answer.untouched {
        lent.never_offered(0..lent.pages());
    } else {
        cause.unproved = lent.prove(platform, 0..lent.pages());
    }
    match lent.into_memory() {
        Ok(memory) => {
            held.strike();
            Err(HandOverError::Back(T::from_memory(memory), answer.status))
        }
        Err(lent) => Err(HandOverError::Settled(held.settle(lent, cause))),
    }
}

impl<T: Lend<Memory = P::Memory>, P: Platform> Held<T, P> {
    /// Takes the pages back by the user's own leaf, and proves them.
    ///
    /// `call` lists the pages, makes the SEAMCALLs and checks the list that comes back, where the
    /// leaf has one. Sleeps.
    pub(crate) fn release(
        self,
        leaf: Leaf,
        call: impl for<'id> FnOnce(Recorded<'id, P::Memory>) -> Answer<'id>,
    ) -> Result<T, ReleaseError<T, P>> {
        let Some(lent) = self.take() else {
            return Err(self.busy());
        };
        let answer = Outcome::of(call(lent.recorded()));
        if answer.given_up {
            // It cannot be called again before it has ended, and then it must not be.
            let cause = Cause {
                why: Why::Abandoned,
                leaf,
                status: answer.status,
                unproved: None,
            };
            return Err(ReleaseError::Settled(self.settle(lent, cause)));
        }
        if !answer.success {
            self.put(lent, State::Held);
            return Err(ReleaseError::StillHeld(self, answer.status));
        }
        self.proved(lent, leaf, answer.status, answer.list_ok)
    }

    // No user of this kernel module has that way back; the suites walk it.
    #[cfg_attr(all(not(TDX_PAGES_KUNIT), not(test)), expect(dead_code))]
    /// Takes the pages back one by one by TDH.PHYMEM.PAGE.RECLAIM, and proves them. Sleeps.
    pub(crate) fn release_by_reclaim(self) -> Result<T, ReleaseError<T, P>> {
        let Some(lent) = self.take() else {
            return Err(self.busy());
        };
        // Whether RECLAIM failed does not matter for a page that is proved afterwards.
        let failed = lent.reclaim(&self.platform);
        let status = failed.map_or(Status::SUCCESS, |page| page.status);
        if status.is_not_executed() {
            self.put(lent, State::Held);
            return Err(ReleaseError::StillHeld(self, status));
        }
        self.proved(lent, Leaf::PHYMEM_PAGE_RECLAIM, status, true)
    }

    /// Somebody else works on the memory for the moment: as if the TDX Module had been busy.
    fn busy(self) -> ReleaseError<T, P> {
        ReleaseError::StillHeld(self, Status::OPERAND_BUSY)
    }

    /// The second half of every release: the proof.
    fn proved(
        self,
        mut lent: Lent<P>,
        leaf: Leaf,
        status: Status,
        list_ok: bool,
    ) -> Result<T, ReleaseError<T, P>> {
        let unproved = lent.prove(&self.platform, 0..lent.pages());
        let cause = Cause {
            why: if list_ok {
                Why::NotProved
            } else {
                Why::WrongList
            },
            leaf,
            status,
            unproved,
        };
        if !list_ok {
            return Err(ReleaseError::Settled(self.settle(lent, cause)));
        }
        match lent.into_memory() {
            Ok(memory) => {
                self.strike();
                Ok(T::from_memory(memory))
            }
            Err(lent) => Err(ReleaseError::Settled(self.settle(lent, cause))),
        }
    }

    /// Gives up on a release: its leaf will not be called, or not again. The pages stay where they
    /// are, on record with the cause: why, and what the last leaf answered.
    pub(crate) fn quarantine(self, why: Why, leaf: Leaf, status: Status) {
        let cause = Cause {
            why,
            leaf,
            status,
            unproved: None,
        };
        if let Some(lent) = self.take() {
            self.put(lent, State::Quarantined(cause));
        }
        self.disarm();
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
    fn settle(self, mut lent: Lent<P>, cause: Cause) -> Settled {
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
